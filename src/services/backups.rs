//! Backups: made, listed, fetched, removed, and put in the database's place.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::{Actor, Ending, Restore, Services};
use crate::config::DataDir;
use crate::domain::error::{Code, Error, Result};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::signing::{KeyRecord, MasterKey};
use crate::store::{BackupInfo, Inspection, Schema, logs};

/// What the names of backups in the data folder end with.
const ENDING: &str = ".backup";
/// Older ones are there, and not listed.
const LISTED_MAX: usize = 1_000;

/// A newest backup older than this deserves a word.
const AGE_MS: i64 = 7 * DAY_MS;

/// A backup in the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFile {
    /// Its name there.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Services {
    /// Writes a consistent copy of the running database.
    ///
    /// # Errors
    /// When there is such a file already: a backup, or the database itself, is not to be lost to
    /// a slip of the pen.
    async fn write_backup(&self, actor: &Actor, to: &Path) -> Result<BackupInfo> {
        if to.exists() {
            let path = to.display();
            return Err(Error::internal(format!(
                "{path} exists already; a backup replaces nothing"
            )));
        }
        let (store, file) = (self.store.clone(), to.to_owned());
        let info = tokio::task::spawn_blocking(move || store.backup(&file, |_| ()))
            .await
            .map_err(Error::internal)??;
        self.note_act(actor, "backup.made", &to.display().to_string()).await;
        Ok(info)
    }

    /// Leaves an audit entry, or a line in the log: who needs a backup most has a disk that takes no
    /// writes, and what was done is done.
    async fn note_act(&self, actor: &Actor, action: &'static str, file: &str) {
        let ctx = self.ctx_of(actor);
        let (by, request_id, subject) = (ctx.by.clone(), ctx.request_id.clone(), file.to_owned());
        let noted = self.commit(move |tx| ctx.audit(tx, None, action, subject, [])).await;
        if let Err(error) = noted {
            tracing::warn!(action, file, ?by, request_id, %error, "the audit log lacks this act");
        }
    }

    /// Makes a backup in the data folder, for operators.
    pub async fn make_backup(&self, actor: &Actor) -> Result<BackupFile> {
        actor.require_operator()?;
        let created_at = self.clock.now().wall;
        let stamp = created_at.to_string().replace([':', '.'], "-");
        // Two backups of one instant, or of a calendar that was set back, must not meet.
        let apart = u32::from_be_bytes(self.entropy.bytes());
        let file = format!("coditect-{stamp}-{apart:08x}{ENDING}");
        let info = self.write_backup(actor, &self.data.backups().join(&file)).await?;
        Ok(BackupFile { file, bytes: info.bytes, created_at })
    }

    /// Makes a backup anywhere on the computer, for whoever administers it.
    pub async fn make_backup_at(&self, actor: &Actor, path: &Path) -> Result<BackupFile> {
        actor.require_local()?;
        if !path.is_absolute() {
            return Err(Error::invalid("path", "must begin at the root of the file system"));
        }
        let created_at = self.clock.now().wall;
        let info = self.write_backup(actor, path).await?;
        Ok(BackupFile { file: path.display().to_string(), bytes: info.bytes, created_at })
    }

    /// Removes what backups that were cut off have left in the data folder. At the start, when none is
    /// being made.
    pub fn tidy_backups(&self) {
        let Ok(entries) = fs::read_dir(self.data.backups()) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.ends_with(&format!("{ENDING}.tmp"))) {
                // What cannot be removed is tried again at the next start.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The backups in the data folder, newest first, for operators.
    pub fn backups(&self, actor: &Actor) -> Result<Vec<BackupFile>> {
        actor.require_operator()?;
        self.list_backups()
    }

    /// The newest backup in the data folder.
    pub(super) fn newest_backup(&self) -> Option<BackupFile> {
        newest(&self.data)
    }

    fn list_backups(&self) -> Result<Vec<BackupFile>> {
        list(&self.data)
    }

    /// Where a backup in the data folder is, for operators; that it is read is audited.
    pub async fn backup_to_read(&self, actor: &Actor, file: &str) -> Result<PathBuf> {
        let path = self.backup_path(actor, file)?;
        self.note_act(actor, "backup.downloaded", file).await;
        Ok(path)
    }

    /// Removes a backup from the data folder, for operators.
    pub async fn remove_backup(&self, actor: &Actor, file: &str) -> Result<()> {
        let path = self.backup_path(actor, file)?;
        fs::remove_file(path).map_err(Error::internal)?;
        self.note_act(actor, "backup.removed", file).await;
        Ok(())
    }

    /// Has the server start again with a backup in the database's place, for operators. What is
    /// there now is kept beside it.
    ///
    /// # Errors
    /// When `confirm` is not the backup's name, or the server could not open the backup.
    pub async fn restore_backup(&self, actor: &Actor, file: &str, confirm: &str) -> Result<()> {
        let path = self.backup_path(actor, file)?;
        if confirm != file {
            return Err(Error::invalid("confirm", "must be the name of the backup to restore"));
        }
        let (looked_at, master) = (path.clone(), Arc::clone(&self.master));
        let look = move || require_keys(&inspect(&looked_at)?, &master);
        tokio::task::spawn_blocking(look).await.map_err(Error::internal)?.map_err(|error| {
            let why = error.internal.unwrap_or(error.detail);
            Error::new(Code::BackupUnusable, format!("Nothing was changed: {why}."))
        })?;
        // That took a while, and what is restored may give rights back that were taken meanwhile.
        self.store.read(|tx| actor.still(tx))?.require_operator()?;
        self.note_act(actor, "backup.restore_asked", file).await;
        let (by, request_id) = (actor.by(), actor.caller.request_id.clone());
        let restore = Restore { backup: path, by, request_id };
        // The answer to this request is among what a server finishes before it ends.
        let first = self.ending.send_if_modified(|ending| {
            let first = ending.is_none();
            if first {
                *ending = Some(Ending::Restore(restore));
            }
            first
        });
        if first {
            return Ok(());
        }
        let text = "The server is stopping already; look when it is back.";
        Err(Error::new(Code::ShuttingDown, text).retry_after(5))
    }

    /// Notes in a restored database where it comes from, and on whose word.
    pub async fn note_restored(&self, restore: &Restore) -> Result<()> {
        self.note_restore(restore, "backup.restored", None).await
    }

    /// Notes in the database that is there still that a restore failed, and tells whoever looks at the
    /// overview until the server is started the next time.
    pub async fn note_restore_failed(&self, restore: &Restore, why: &str) {
        let file = restore.file();
        let text = format!("{file} was not restored, all data is as it was before: {why}.");
        // Noted once: this is what the server has started after.
        let _ = self.restore_failed.set(text);
        let noted = self.note_restore(restore, "backup.restore_failed", Some(why.to_owned()));
        if let Err(error) = noted.await {
            tracing::warn!(%file, %error, "the audit log lacks that the restore failed");
        }
    }

    async fn note_restore(
        &self,
        restore: &Restore,
        action: &'static str,
        why: Option<String>,
    ) -> Result<()> {
        let mut ctx = self.ctx(restore.by.clone());
        ctx.request_id = Some(restore.request_id.clone());
        let (file, details) = (restore.file(), why.map(|why| ("why", why)));
        self.commit(move |tx| ctx.audit(tx, None, action, file, details)).await
    }

    fn backup_path(&self, actor: &Actor, file: &str) -> Result<PathBuf> {
        actor.require_operator()?;
        let path = self.data.backups().join(file);
        let plain =
            file.ends_with(ENDING) && !file.contains(['/', '\\', '\0']) && !file.starts_with('.');
        if plain && path.is_file() {
            return Ok(path);
        }
        Err(Error::not_found("backup"))
    }
}

/// Refuses a backup whose signing keys the server's master key does not open: it could not start with it.
fn require_keys(backup: &Inspection, master: &MasterKey) -> Result<()> {
    for row in backup.read(logs::keys)? {
        let record: KeyRecord = serde_json::from_value(row).map_err(Error::internal)?;
        record.verify(master).map_err(|_| {
            Error::internal(
                "it was made under another master key. Put that one in place, with the server stopped, and use `coditect restore`",
            )
        })?;
    }
    Ok(())
}

/// The time in the name that the server gave a backup: `coditect-2026-11-22T09-23-49Z-...`, to the
/// second. A file that was copied has lost its own.
fn made_at(file: &str) -> Option<Timestamp> {
    let (day, rest) = file.strip_prefix("coditect-")?.split_once('T')?;
    let time = rest.get(..8)?.replace('-', ":");
    format!("{day}T{time}Z").parse().ok()
}

/// Looks at a backup without writing to it, and refuses what the server could not open.
pub fn inspect(file: &Path) -> Result<Inspection> {
    let found = Inspection::open(file).map_err(Error::internal)?;
    let file = file.display();
    if !found.report.sound {
        return Err(Error::internal(format!(
            "{file} is damaged: a checksum is wrong. Restore another backup"
        )));
    }
    let (schema, supported) = (found.report.schema.unwrap_or_default(), Schema::CURRENT.version);
    if schema > supported {
        let known = format!("this program knows schemas up to {supported}");
        return Err(Error::internal(format!(
            "{file} has schema {schema}, and {known}. Use the version that wrote it"
        )));
    }
    Ok(found)
}

/// The newest backup in a data folder.
pub fn newest(data: &DataDir) -> Option<BackupFile> {
    list(data).ok()?.into_iter().next()
}

/// The backups in a data folder, newest first.
fn list(data: &DataDir) -> Result<Vec<BackupFile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data.backups()).map_err(Error::internal)? {
        let Ok(entry) = entry else { continue };
        let Ok(file) = entry.file_name().into_string() else { continue };
        let Ok(meta) = entry.metadata() else { continue };
        if !file.ends_with(ENDING) || !meta.is_file() {
            continue;
        }
        let written = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let written = written.map_or(0, |since| since.as_millis() as i64);
        let created_at = made_at(&file).unwrap_or(Timestamp(written));
        found.push(BackupFile { file, bytes: meta.len(), created_at });
    }
    found.sort_by(|a, b| (b.created_at, &b.file).cmp(&(a.created_at, &a.file)));
    found.truncate(LISTED_MAX);
    Ok(found)
}

/// What to say of the newest backup; none while it is young, or there is nothing to lose.
pub fn stale(newest: Option<&BackupFile>, licensed: bool, now: Timestamp) -> Option<String> {
    match newest {
        Some(backup) if now - backup.created_at <= AGE_MS => None,
        Some(backup) => {
            let days = (now - backup.created_at) / DAY_MS;
            Some(format!("The newest backup in the data folder is {days} days old."))
        }
        None if !licensed => None,
        None => Some("There is no backup in the data folder.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_as_old_as_its_name_says() {
        for (file, at) in [
            ("coditect-2026-11-22T09-23-49Z-91cf0a52.backup", Some("2026-11-22T09:23:49Z")),
            ("coditect-2026-11-22T09-23-49-592Z-91cf0a52.backup", Some("2026-11-22T09:23:49Z")),
            ("yesterday.backup", None),
            ("coditect-T.backup", None),
        ] {
            assert_eq!(made_at(file), at.map(|at| at.parse().unwrap()), "{file}");
        }
    }
}
