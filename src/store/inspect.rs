//! Looking at a database that no server has open, without changing a byte of it.
//!
//! Opening a database after a crash repairs it, and a check may repair it further. Here
//! whatever the engine writes stays in memory and is forgotten, so that a look at the
//! evidence leaves the evidence as it is, and a backup on a read-only disk can be read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parking_lot::Mutex;
use redb::{Database, ReadableDatabase, StorageBackend};

use super::engine::{self, CheckReport, OpenError, io_error, refusal};
use super::tx::{log_records, next_log_seq};
use super::wal::{self, Chain};
use super::{BackupInfo, ReadTx, backup, writer};
use crate::domain::error::{Error, Result};

/// No write-ahead log is longer.
const WAL_READ_MAX: u64 = 64 * 1024 * 1024;
/// Written parts are kept in pieces of this size.
const PIECE: u64 = 4096;
/// Memory for pages of the file, in bytes.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// A database as it is on disk.
pub struct Inspection {
    /// Whether every checksum is right, and what is in it.
    pub report: CheckReport,
    database: Database,
    /// What is wrong with the write-ahead log, if anything.
    pub wal_trouble: Option<String>,
    /// What stands in the write-ahead log: its record's number, and what has gathered of it.
    gathered: (u64, Vec<u8>),
    /// Keeps a server from starting meanwhile, where there is a lock file.
    _lock: Option<File>,
}

impl Inspection {
    /// Opens the file at `path` and checks every checksum; blocks for as long as it takes to
    /// read it all.
    ///
    /// # Errors
    /// When a server has it, when it is no database of this program, or damaged beyond reading.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // The engine may panic on a damaged file, and damage is what a doctor is asked about.
        catch_unwind(AssertUnwindSafe(|| Self::look(path))).unwrap_or_else(|panic| {
            let why = format!("the storage engine panicked: {}", writer::panic_message(&*panic));
            Err(OpenError::Damaged { path: path.to_owned(), why })
        })
    }

    fn look(path: &Path) -> Result<Self, OpenError> {
        let lock = borrow_lock(path)?;
        let file = File::open(path).map_err(|e| io_error(path, "opening", e))?;
        let bytes = file.metadata().map_err(|e| io_error(path, "reading", e))?.len();
        let foreign = |why: &str| OpenError::Foreign { path: path.to_owned(), why: why.to_owned() };
        if bytes == 0 {
            return Err(foreign("it is empty"));
        }
        let damaged = |why: String| OpenError::Damaged { path: path.to_owned(), why };
        let overlay = Overlay::new(file, bytes);
        let mut database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(overlay)
            .map_err(|e| refusal(path, e))?;
        let sound = database.check_integrity().map_err(|e| refusal(path, e))?;
        let snapshot = database.begin_read().map_err(|e| damaged(e.to_string()))?;
        let tables = backup::rows_by_table(&snapshot).map_err(|e| damaged(e.to_string()))?;
        let snapshot = ReadTx::new(snapshot);
        let schema = engine::schema_of(&snapshot).map_err(|e| damaged(e.to_string()))?;
        let next_seq = next_log_seq(&snapshot).map_err(|e| damaged(e.to_string()))?;
        if schema.is_none() {
            return Err(foreign("it has no schema version"));
        }
        let report = CheckReport { sound, schema, tables, bytes };
        let wal = wal::beside(path);
        let identity = engine::identity_of(&snapshot).map_err(|e| damaged(e.to_string()))?;
        let mut bytes = Vec::new();
        let mut trouble = None;
        match File::open(&wal) {
            // A backup has none; only where a server ran there is a lock file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let there = lock.is_some() && identity.is_some();
                trouble = there.then(|| engine::MISSING.to_owned());
            }
            opened => {
                let file = opened.map_err(|e| io_error(&wal, "opening", e))?;
                let read = file.take(WAL_READ_MAX).read_to_end(&mut bytes);
                read.map_err(|e| io_error(&wal, "reading", e))?;
            }
        }
        let chain = Chain::read(&bytes, &identity.unwrap_or_default(), next_seq);
        if chain.lost > 0 {
            let lost = chain.lost;
            trouble = Some(format!(
                "the write-ahead log is damaged: {lost} of its entries cannot be read"
            ));
        }
        let gathered = (next_seq, chain.record);
        Ok(Self { report, database, gathered, wal_trouble: trouble, _lock: lock })
    }

    /// At most `limit` records of the seat log, from number `from_seq` on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read_log(&self, from_seq: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        let (seq, record) = &self.gathered;
        self.read(|tx| log_records(tx, (*seq, record), from_seq, limit))
    }

    /// Writes a compact copy to `to`, of the same schema and with what stands in the write-ahead
    /// log, which a copy does not have; blocks.
    pub fn copy_to(&self, to: &Path) -> Result<BackupInfo> {
        let snapshot = self.database.begin_read().map_err(Error::storage)?;
        let (seq, record) = &self.gathered;
        backup::copy_snapshot(&snapshot, (*seq, record), to)
    }

    /// Runs `f` on what is in it.
    pub fn read<T>(&self, f: impl FnOnce(&ReadTx) -> Result<T>) -> Result<T> {
        f(&ReadTx::new(self.database.begin_read().map_err(Error::storage)?))
    }
}

/// Holds the lock of the database at `path` if there is a lock file; makes none.
fn borrow_lock(path: &Path) -> Result<Option<File>, OpenError> {
    let lock_path = path.with_extension("lock");
    let file = match File::open(&lock_path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(&lock_path, "opening", error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&lock_path).ok().and_then(|text| text.trim().parse().ok());
            Err(engine::already_open(path, pid))
        }
        Err(TryLockError::Error(error)) => Err(io_error(&lock_path, "locking", error)),
    }
}

/// A file that is only read, and what was written over it, in memory.
#[derive(Debug)]
struct Overlay {
    file: File,
    state: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    /// The length the engine sees.
    len: u64,
    /// How much of the file still shows: what was cut off comes back as zeros.
    base_len: u64,
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    fn new(file: File, len: u64) -> Self {
        Self { file, state: Mutex::new(Written { len, base_len: len, pieces: BTreeMap::new() }) }
    }

    /// A part of the file itself; zeros beyond its end.
    fn base(&self, base_len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.fill(0);
        let there = base_len.saturating_sub(offset).min(out.len() as u64) as usize;
        self.file.read_exact_at(&mut out[..there], offset)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.lock();
        let end = offset + out.len() as u64;
        if end > state.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.base(state.base_len, offset, out)?;
        for (number, piece) in state.pieces.range(offset / PIECE..end.div_ceil(PIECE)) {
            let start = number * PIECE;
            let (from, to) = (start.max(offset), (start + PIECE).min(end));
            let source = &piece[(from - start) as usize..(to - start) as usize];
            out[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if len < state.len {
            state.base_len = state.base_len.min(len);
            state.pieces.split_off(&len.div_ceil(PIECE));
            if let Some(last) = state.pieces.get_mut(&(len / PIECE)) {
                last[(len % PIECE) as usize..].fill(0);
            }
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let end = offset + data.len() as u64;
        let base_len = state.base_len;
        for number in offset / PIECE..end.div_ceil(PIECE) {
            let start = number * PIECE;
            let piece = match state.pieces.entry(number) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let mut piece = vec![0; PIECE as usize];
                    self.base(base_len, start, &mut piece)?;
                    entry.insert(piece)
                }
            };
            let (from, to) = (start.max(offset), (start + PIECE).min(end));
            let source = &data[(from - offset) as usize..(to - offset) as usize];
            piece[(from - start) as usize..(to - start) as usize].copy_from_slice(source);
        }
        state.len = state.len.max(end);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        SetLen(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let write = (0_u64..20_000, proptest::collection::vec(any::<u8>(), 1..9_000))
            .prop_map(|(offset, data)| Step::Write(offset, data));
        prop_oneof![3 => write, 1 => (0_u64..30_000).prop_map(Step::SetLen)]
    }

    proptest! {
        /// It reads as a file would that had been written to, and the file itself stays as it was.
        #[test]
        fn an_overlay_reads_like_the_file_it_stands_for(
            before in proptest::collection::vec(any::<u8>(), 1..15_000),
            steps in proptest::collection::vec(step(), 0..12),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            fs::write(&path, &before).unwrap();
            let overlay = Overlay::new(File::open(&path).unwrap(), before.len() as u64);
            let mut model = before.clone();
            for step in steps {
                match step {
                    Step::Write(offset, data) => {
                        overlay.write(offset, &data).unwrap();
                        let end = offset as usize + data.len();
                        model.resize(model.len().max(end), 0);
                        model[offset as usize..end].copy_from_slice(&data);
                    }
                    Step::SetLen(len) => {
                        overlay.set_len(len).unwrap();
                        model.resize(len as usize, 0);
                    }
                }
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
                let mut read = vec![0; model.len()];
                overlay.read(0, &mut read).unwrap();
                prop_assert!(read == model);
                let middle = model.len() / 3;
                let mut part = vec![0; model.len() - middle];
                overlay.read(middle as u64, &mut part).unwrap();
                prop_assert!(part == model[middle..]);
            }
            prop_assert!(overlay.read(model.len() as u64, &mut [0]).is_err());
            prop_assert_eq!(fs::read(&path).unwrap(), before);
        }
    }
}
