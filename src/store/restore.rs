//! Putting a backup in the database's place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::disk::FileDisk;
use super::engine::{OpenError, io_error, take_lock};
use super::wal;

/// So much is copied before it is looked again whether to give up.
const PIECE_BYTES: u64 = 64 * 1024 * 1024;

/// Whether the copy is to be given up.
type Stop<'s> = &'s dyn Fn() -> bool;

/// Copies `backup` beside `target`, syncs it, and renames it into place; what was there is kept
/// under another name, which is answered. A crash in between leaves the old database or the
/// new one, whole.
///
/// # Errors
/// When a server runs on `target`, the disk refuses, or `stop` says so before all is copied.
pub fn restore(backup: &Path, target: &Path, stop: Stop<'_>) -> Result<Option<PathBuf>, OpenError> {
    let _lock = take_lock(&FileDisk, target)?;
    replace(backup, target, stop)
        .map_err(|e| io_error(target, "putting the backup in its place", e))
}

/// Refuses when a server runs on `target`.
pub fn require_unused(target: &Path) -> Result<(), OpenError> {
    take_lock(&FileDisk, target).map(drop)
}

fn replace(backup: &Path, target: &Path, stop: Stop<'_>) -> io::Result<Option<PathBuf>> {
    let incoming = beside(target, "restoring");
    // A database that an earlier restore kept may have its last seats beside it.
    let (from_wal, wal) = (wal::beside(backup), wal::beside(target));
    let incoming_wal = beside(&wal, "restoring");
    let has_wal = from_wal.try_exists()?;
    let mut copied = copy_privately(backup, &incoming, stop);
    if has_wal {
        copied = copied.and_then(|()| copy_privately(&from_wal, &incoming_wal, stop));
    }
    copied.inspect_err(|_| {
        // A half copy is of no use; that it could not be made is the error to tell.
        let _ = fs::remove_file(&incoming);
        let _ = fs::remove_file(&incoming_wal);
    })?;
    let kept = if target.try_exists()? {
        let kept = free_name(target)?;
        // Under both names until the backup takes one: there is a database at any moment.
        fs::hard_link(target, &kept).or_else(|_| fs::rename(target, &kept))?;
        Some(kept)
    } else {
        None
    };
    // The last seats of the database that was; the new one must never be found beside them.
    if wal.try_exists()? {
        match &kept {
            Some(kept) => fs::rename(&wal, wal::beside(kept))?,
            None => fs::remove_file(&wal)?,
        }
    }
    fs::rename(&incoming, target)?;
    if has_wal {
        fs::rename(&incoming_wal, &wal)?;
    } else {
        // An empty one says that none is missing.
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&wal)?;
    }
    if let Some(folder) = target.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(kept)
}

/// Whatever the backup's mode is: what is in it is for the owner alone.
fn copy_privately(from: &Path, to: &Path, stop: Stop<'_>) -> io::Result<()> {
    let source = File::open(from)?;
    let mut options = OpenOptions::new();
    let mut copy = options.write(true).create(true).truncate(true).mode(0o600).open(to)?;
    loop {
        if stop() {
            return Err(io::Error::other("the server was told to stop"));
        }
        if io::copy(&mut (&source).take(PIECE_BYTES), &mut copy)? == 0 {
            return copy.sync_all();
        }
        // Piece by piece, so that no sync is so long that it keeps anybody waiting.
        copy.sync_data()?;
    }
}

fn beside(target: &Path, ending: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// The first of `NAME.before-restore-1`, `-2`, ... that is not there yet.
fn free_name(target: &Path) -> io::Result<PathBuf> {
    for number in 1..10_000 {
        let name = beside(target, &format!("before-restore-{number}"));
        if !name.try_exists()? {
            return Ok(name);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        "ten thousand databases were kept already; remove some",
    ))
}
