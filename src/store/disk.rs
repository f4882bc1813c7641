//! The few things the store asks of a file system.
//!
//! A trait, so that `fault` can stand in a disk that fails, fills up and loses power.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// How much a probe writes: more than a file system keeps in its inode or its journal.
const PROBE_BYTES: usize = 256 * 1024;

/// Where database files live.
pub trait Disk: Send + Sync + 'static {
    /// Whether there is a file at `path`.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Opens the file at `path`; with `create`, makes it when it is missing.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn StorageBackend>>;

    /// Puts the synced file `from` in the place of `to`, durably.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; a missing one is fine.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Whether a new file in `directory` can be written and synced.
    fn probe(&self, directory: &Path) -> io::Result<()>;

    /// Takes the lock file at `path` for this process, or says who has it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
}

/// The answer to [`Disk::lock`].
pub enum Lock {
    /// Ours until dropped.
    Taken(Box<dyn Send + Sync>),
    /// Another's; its process id where the file tells.
    Held(Option<u32>),
}

/// The computer's own file system. Files are readable by their owner alone: they
/// hold password hashes and encrypted keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileDisk;

impl Disk for FileDisk {
    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn StorageBackend>> {
        let file = private().create(create).open(path)?;
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Arc::new(backend))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        // The new name is durable only when the directory that holds it is.
        File::open(directory_of(to))?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn probe(&self, directory: &Path) -> io::Result<()> {
        let path = directory.join("coditect.probe");
        let written = private().create(true).truncate(true).open(&path).and_then(|mut file| {
            file.write_all(&vec![0x5a; PROBE_BYTES]).and_then(|()| file.sync_all())
        });
        let removed = self.remove(&path);
        written.and(removed)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        fs::create_dir_all(directory_of(path))?;
        let mut file = private().create(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // Who holds it is told as a courtesy: on a full disk that must not stop the start.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                Ok(Lock::Taken(Box::new(file)))
            }
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
                Ok(Lock::Held(pid))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).truncate(false).mode(0o600);
    options
}

/// The directory of a file; the current one for a bare name.
pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// One opening of a database over a file that outlives it.
///
/// After a failure the file is opened anew while readers still hold the old database.
/// The old one is then retired: whatever it still has in mind to write never reaches
/// the file, and pages it has not in memory, which the new one may overwrite, it
/// cannot read. Locks stay with the file, so that no other process slips in between.
pub(super) struct Handle {
    file: Arc<dyn StorageBackend>,
    retired: Arc<AtomicBool>,
}

impl Handle {
    /// A handle and the switch that retires it.
    pub(super) fn new(file: Arc<dyn StorageBackend>) -> (Self, Arc<AtomicBool>) {
        let retired = Arc::new(AtomicBool::new(false));
        (Self { file, retired: Arc::clone(&retired) }, retired)
    }

    fn live(&self) -> io::Result<&dyn StorageBackend> {
        if self.retired.load(Ordering::Acquire) {
            return Err(io::Error::other("the database was opened anew after a failure"));
        }
        Ok(&*self.file)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("retired", &self.retired).finish_non_exhaustive()
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.live()?.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.live()?.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.live()?.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.live()?.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.live()?.write(offset, data)
    }

    /// Releases nothing: the locks are the file's and go when it is dropped.
    fn close(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
