//! `coditect backup create|list|download|restore|remove`

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::context::{Context, confirm};
use super::failure::{Failure, Result};
use super::output::{Column, made, plain, shown, size, time, whole, word};
use super::progress::Progress;
use crate::cli::server::BackupCommand;

const LIST: [Column; 3] = [whole("FILE", "file"), made("SIZE", bytes), time("MADE", "created_at")];

/// Stands for the newest backup.
const LATEST: &str = "latest";

fn bytes(backup: &Value) -> String {
    backup["bytes"].as_u64().map_or_else(|| "-".to_owned(), size)
}

pub async fn run(context: &Context, command: BackupCommand) -> Result<()> {
    match command {
        BackupCommand::Create => {
            let progress = Progress::waiting("Making a backup");
            let made = context.http.post(&["admin", "backups"], None).await?;
            drop(progress);
            let sentence = format!(
                "Backed up to {} ({}), in the folder `backups` of the server's data.",
                shown(&made["file"]),
                bytes(&made)
            );
            context.did(&made, &sentence)
        }
        BackupCommand::List { paging } => {
            let none = "No backups. `coditect backup create` makes one.";
            context.list(&["admin", "backups"], &[], &paging, &LIST, none).await
        }
        BackupCommand::Download { name, out } => {
            let backup = find(context, &name).await?;
            let out = out.unwrap_or_else(|| PathBuf::from(own_name(word(&backup, "file"))));
            let bytes = download(context, &backup, &out).await?;
            let sentence = format!("Written to {} ({}).", out.display(), size(bytes));
            let answer = json!({"file": out.display().to_string(), "bytes": bytes});
            context.did(&answer, &sentence)
        }
        BackupCommand::Restore { name, consent } => {
            let shown = plain(&name);
            let question = format!(
                "Put the backup {shown} in place of all data? What came after it is undone."
            );
            confirm(consent.yes, &question)?;
            let path = ["admin", "backups", &name, "restore"];
            let progress = Progress::waiting("Checking the backup");
            let answer = context.http.post(&path, Some(json!({"confirm": name}))).await?;
            drop(progress);
            let sentence = "The server puts it in place and starts again, which takes some seconds; \
                            `coditect overview` tells when it is back, and whether that failed.";
            context.did(&answer, sentence)
        }
        BackupCommand::Remove { name, consent } => {
            confirm(consent.yes, &format!("Delete the backup {}?", plain(&name)))?;
            let answer = context.http.delete(&["admin", "backups", &name]).await?;
            context.did(&answer, &format!("The backup {} is deleted.", plain(&name)))
        }
    }
}

/// A backup by its name, or the newest one.
async fn find(context: &Context, name: &str) -> Result<Value> {
    let backups = context.pages(&["admin", "backups"], &[], None).await?.items;
    let meant = |backup: &Value| name == LATEST || word(backup, "file") == name;
    backups.into_iter().find(meant).ok_or_else(|| {
        let name = plain(name);
        Failure::not_found(format!(
            "there is no backup {name}; `coditect backup list` lists them, `coditect backup create` makes one"
        ))
    })
}

/// What a file from the server is called here: never a path of the server's choice.
fn own_name(name: &str) -> &str {
    Path::new(name).file_name().and_then(|name| name.to_str()).unwrap_or("backup.cdt")
}

/// Fetches a backup; it appears under its name only when it is complete and on disk.
async fn download(context: &Context, backup: &Value, out: &Path) -> Result<u64> {
    let fail = |error: std::io::Error| Failure::failed(format!("{}: {error}", out.display()));
    if out.exists() {
        let out = out.display();
        return Err(Failure::failed(format!("{out} exists already. Name another file with --out")));
    }
    let mut part = out.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // A backup holds every customer's data: it is for its owner's eyes, in a file that nobody else has
    // laid out for it.
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    let mut file = opened.map_err(|error| {
        let left = error.kind() == io::ErrorKind::AlreadyExists;
        let advice = if left { ". Remove it, unless another download writes it" } else { "" };
        Failure::failed(format!("{}: {error}{advice}", part.display()))
    })?;
    let fetched = async {
        let path = ["admin", "backups", word(backup, "file")];
        let bytes = context.http.download(&path, &[], backup["bytes"].as_u64(), &mut file).await?;
        file.flush().and_then(|()| file.sync_all()).map_err(fail)?;
        rename_to_new(&part, out).map_err(fail)?;
        Ok(bytes)
    }
    .await;
    if fetched.is_err() {
        let _ = fs::remove_file(&part);
    }
    fetched
}

/// Renames, and refuses a name that has come to exist meanwhile.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems know no such renaming.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if !to.exists() => fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}
