//! Other programs of this machine that hold the same seat.
//!
//! A seat belongs to a machine, not to a program: a second program that asks for one is given the
//! first one's. If it then gave the seat back at its end, the first would go on without, unaware until its
//! next heartbeat. So every holder keeps a shared lock on a file that is named after the seat, and
//! only the last one gives the seat back. The system lets go of the lock however a program ends.
//!
//! This needs a folder for temporary files that the programs have in common. Where there is none, each
//! gives the seat back at its end, and the others take it anew at their next heartbeat.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::hardware::hexadecimal;
use super::moment::Moment;

/// Whoever is the last gives the seat back under an exclusive lock; that is waited for so long.
const WAIT: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Of the hash, this much names the file. Everybody on the computer can see the name, and a hardware id is made
/// from the licence key: the whole hash would let short keys be guessed, and with less of it two seats would
/// share a name, of which one would lapse instead of being given back.
const NAME_BYTES: usize = 5;

/// A lock that is shared by the holders of a seat.
pub(super) struct Neighbours(Option<File>);

impl Neighbours {
    /// Joins them. Ends before anything is asked of the server.
    pub(super) async fn join(server: &str, hardware_id: &str) -> Self {
        Self::join_in(&std::env::temp_dir(), server, hardware_id).await
    }

    async fn join_in(folder: &Path, server: &str, hardware_id: &str) -> Self {
        let Some(file) = open(&path(folder, server, hardware_id)) else { return Self(None) };
        let end = Moment::now().plus(WAIT);
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Self(Some(file)),
                Err(TryLockError::WouldBlock) if !end.left().is_zero() => {
                    Moment::now().plus(LOOK_EVERY).arrive().await;
                }
                Err(_) => return Self(None),
            }
        }
    }

    /// Leaves them; whether there are none left. Until this is dropped, nobody new can join.
    pub(super) fn none_left(&self) -> bool {
        self.0.as_ref().is_none_or(|file| !matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Whether any program of this machine holds the seat.
    pub(super) fn any(server: &str, hardware_id: &str) -> bool {
        let path = path(&std::env::temp_dir(), server, hardware_id);
        let Some(file) = existing(&path).ok() else { return false };
        matches!(file.try_lock(), Err(TryLockError::WouldBlock))
    }
}

fn path(folder: &Path, server: &str, hardware_id: &str) -> PathBuf {
    let mut hash = Sha256::new();
    for text in ["coditect seat lock, version 1", server, hardware_id] {
        hash.update(text);
        hash.update([0]);
    }
    let name = hexadecimal(&hash.finalize()[..NAME_BYTES]);
    folder.join(format!("coditect-seat-{name}.lock"))
}

/// Opens the file, or makes it. To read is enough for a lock, so that other users' programs can share it;
/// and what stands there is never written to, nor waited for: it may be something else than a file.
fn open(path: &Path) -> Option<File> {
    let made = || OpenOptions::new().write(true).create_new(true).open(path);
    let file = existing(path).or_else(|_| made()).or_else(|_| existing(path)).ok()?;
    file.metadata().is_ok_and(|meta| meta.is_file()).then_some(file)
}

fn existing(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn join(folder: &Path, machine: &str) -> Neighbours {
        let joined = Neighbours::join_in(folder, "http://a.example", machine).await;
        assert!(joined.0.is_some());
        joined
    }

    #[tokio::test]
    async fn the_last_one_turns_off_the_light() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (join(folder.path(), "a").await, join(folder.path(), "a").await);
        let other = join(folder.path(), "b").await;
        assert!(!first.none_left());
        drop(first);
        assert!(second.none_left() && other.none_left());
    }

    #[tokio::test]
    async fn whoever_comes_while_the_seat_is_given_back_waits_for_that() {
        let folder = tempfile::tempdir().unwrap();
        let leaving = join(folder.path(), "a").await;
        assert!(leaving.none_left());
        let coming = tokio::spawn({
            let folder = folder.path().to_owned();
            async move { join(&folder, "a").await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!coming.is_finished());
        drop(leaving);
        assert!(coming.await.unwrap().none_left());
    }

    #[tokio::test]
    async fn something_else_of_that_name_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "http://a.example", "a");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        let one = Neighbours::join_in(folder.path(), "http://a.example", "a").await;
        assert!(one.0.is_none() && one.none_left());
    }

    #[tokio::test]
    async fn without_a_common_folder_everybody_is_alone() {
        let gone = Path::new("/nonexistent");
        let one = Neighbours::join_in(gone, "http://a.example", "a").await;
        assert!(one.0.is_none() && one.none_left());
    }
}
