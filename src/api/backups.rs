//! Backups, for operators.

use std::path::Path as FilePath;
use std::sync::Arc;

use poem::Body;
use poem::http::header;
use poem_openapi::param::Path;
use poem_openapi::payload::{Attachment, Response};
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};

use super::auth::Person;
use super::json::{Accepted, Created, Json, OptionalJson};
use super::problem::Problem;
use super::wire::{Done, Time};
use super::{Answer, Tag};
use crate::domain::error::Error;
use crate::services::Services;
use crate::services::backups::BackupFile;

/// The calls about backups.
pub struct Backups {
    /// The operations.
    pub services: Arc<Services>,
}

/// A backup.
#[derive(Object, Serialize)]
pub struct Backup {
    /// Its file, in the data directory's `backups`.
    file: String,
    /// Its size.
    bytes: u64,
    /// When it was made.
    created_at: Time,
}

impl From<BackupFile> for Backup {
    fn from(backup: BackupFile) -> Self {
        Self { file: backup.file, bytes: backup.bytes, created_at: backup.created_at.into() }
    }
}

/// The backups there are.
#[derive(Object, Serialize)]
pub struct BackupList {
    /// Newest first, at most 1000.
    items: Vec<Backup>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// Where a backup goes.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct MakeBackup {
    /// A file anywhere on the server's computer; for its administrator, over the local socket, alone.
    /// Left out: a new one in the data directory's `backups`.
    #[oai(validator(max_length = 4096))]
    path: Option<String>,
}

/// That a backup is to replace everything.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct RestoreBackup {
    /// The name of the backup once more.
    #[oai(validator(max_length = 255))]
    confirm: String,
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Operator")]
impl Backups {
    /// The backups in the data directory
    #[oai(path = "/backups", method = "get", operation_id = "list_backups")]
    async fn list_backups(&self, person: Person) -> Answer<Json<BackupList>> {
        let items = self.services.backups(&person.0)?.into_iter().map(Backup::from).collect();
        Ok(Json(BackupList { items, next_cursor: None }))
    }

    /// Make a backup in the data directory
    #[oai(path = "/backups", method = "post", operation_id = "create_backup")]
    async fn create_backup(
        &self,
        person: Person,
        body: OptionalJson<MakeBackup>,
    ) -> Answer<Created<Backup>> {
        let made = match &body.0.path {
            Some(path) => self.services.make_backup_at(&person.0, FilePath::new(path)).await?,
            None => self.services.make_backup(&person.0).await?,
        };
        Ok(Created(made.into()))
    }

    /// Fetch a backup
    ///
    /// The signing keys in it are encrypted; password hashes and licence keys are in it too.
    #[oai(path = "/backups/:file", method = "get", operation_id = "get_backup")]
    async fn get_backup(
        &self,
        person: Person,
        file: Path<String>,
    ) -> Answer<Response<Attachment<Body>>> {
        let path = self.services.backup_to_read(&person.0, &file.0).await?;
        let open = tokio::fs::File::open(path).await.map_err(Error::internal).map_err(Problem)?;
        let bytes = open.metadata().await.map_err(Error::internal).map_err(Problem)?.len();
        let attachment = Attachment::new(Body::from_async_read(open)).filename(file.0);
        // Whoever fetches it sees how far it has come, and whether all of it came.
        Ok(Response::new(attachment).header(header::CONTENT_LENGTH, bytes))
    }

    /// Remove a backup
    #[oai(path = "/backups/:file", method = "delete", operation_id = "remove_backup")]
    async fn remove_backup(&self, person: Person, file: Path<String>) -> Answer<Json<Done>> {
        self.services.remove_backup(&person.0, &file.0).await?;
        Ok(Json(Done::new("removed")))
    }

    /// Put a backup in the database's place
    ///
    /// The server finishes what runs, keeps the database of now beside the new one, and starts again by
    /// itself. What happened after the backup, sign-ins included, is undone.
    #[oai(path = "/backups/:file/restore", method = "post", operation_id = "restore_backup")]
    async fn restore_backup(
        &self,
        person: Person,
        file: Path<String>,
        body: Json<RestoreBackup>,
    ) -> Answer<Accepted<Done>> {
        self.services.restore_backup(&person.0, &file.0, &body.0.confirm).await?;
        Ok(Accepted(Done::new("restarting")))
    }
}
