//! Putting a backup in the database's place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Copies `backup` beside `target`, syncs it, and renames it into place; what was there is kept
/// under another name, which is answered. A crash in between leaves the old database or the
/// new one, whole. No server may run on `target`: the caller has seen to that.
pub fn restore(backup: &Path, target: &Path) -> io::Result<Option<PathBuf>> {
    let incoming = beside(target, "restoring");
    fs::copy(backup, &incoming)?;
    File::open(&incoming)?.sync_all()?;
    let kept = if target.try_exists()? {
        let kept = free_name(target)?;
        fs::rename(target, &kept)?;
        Some(kept)
    } else {
        None
    };
    fs::rename(&incoming, target)?;
    if let Some(folder) = target.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(kept)
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
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "ten thousand databases were kept already; remove some"))
}
