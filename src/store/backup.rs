//! A consistent copy of a running database.
//!
//! One long read transaction would be simpler, but while it is open no page that newer
//! commits free can be reused, and the file grows for as long as the copy takes.
//! So the copy is made piece by piece, each from a short snapshot of its own, while the
//! engine notes which keys change; then what changed is fetched again, together with
//! the snapshot it belongs to. The copy ends up equal to that last snapshot.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use redb::{ReadTransaction, TableError, TableHandle, WriteTransaction};

use super::disk::{Disk, FileDisk, Handle};
use super::engine::Engine;
use super::table::Key;
use super::tx::{RawTable, SEAT_LOG};
use crate::domain::error::{Error, Result};

/// How much is read from one snapshot: a few milliseconds of work.
const PIECE_BYTES: usize = 1024 * 1024;
/// How much the copy gathers between syncs, so that no sync is long and stalls the
/// database's own on the same disk.
const SYNC_BYTES: usize = 8 * 1024 * 1024;
/// So many changed keys are fetched in one go without keeping the snapshot long.
const FEW_CHANGES: usize = 2_000;
/// More changed keys than this are fetched before the next piece, to bound the memory.
const MANY_CHANGES: usize = 50_000;
/// After so many rounds of fetching changes the next is the last, however long.
const ROUNDS_MAX: usize = 8;
/// The longest pause after a piece.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// How far a backup has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Rows copied so far.
    pub rows: u64,
    /// Rows there were when it began.
    pub rows_total: u64,
}

/// A finished backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupInfo {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The rows in it.
    pub rows: u64,
    /// The tables in it.
    pub tables: u64,
}

/// Copies the database of `engine` to `to`: written under a temporary name, compacted,
/// synced, and then moved into place. Blocks; pauses as long as it works, so that
/// others keep at least half of a core and of the disk.
pub(super) fn run(
    engine: &Engine,
    to: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<BackupInfo> {
    let tracking = engine.track()?;
    write_copy(engine.disk(), to, |copy| {
        copy_tables(engine, copy, progress)?;
        drop(tracking);
        Ok(())
    })
}

/// Copies a database that nobody writes to, with what has `gathered` of a record of its seat log.
pub(super) fn copy_snapshot(
    snapshot: &ReadTransaction,
    (seq, gathered): (u64, &[u8]),
    to: &Path,
) -> Result<BackupInfo> {
    write_copy(&FileDisk, to, |copy| {
        let mut sink = Sink { database: copy, txn: None, bytes: 0 };
        for (name, _) in rows_by_table(snapshot)? {
            let mut cursor: Option<Vec<u8>> = None;
            loop {
                let piece = read_piece(snapshot, &name, cursor.as_deref())?;
                sink.put(&name, &piece)?;
                let Some((last, _)) = piece.into_iter().next_back() else { break };
                cursor = Some(last);
            }
        }
        if !gathered.is_empty() {
            sink.set(SEAT_LOG.name(), &seq.encode(), Some(gathered))?;
        }
        sink.sync()
    })
}

/// What `write` writes, under a temporary name until it is whole.
fn write_copy(
    disk: &dyn Disk,
    to: &Path,
    write: impl FnOnce(&Database) -> Result<()>,
) -> Result<BackupInfo> {
    let mut temporary = to.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let info = copy_and_name(disk, &temporary, to, write);
    if info.is_err() {
        // Whatever went wrong is in the error; a leftover is removed by the next backup.
        let _ = disk.remove(&temporary);
    }
    info
}

fn copy_and_name(
    disk: &dyn Disk,
    temporary: &Path,
    to: &Path,
    write: impl FnOnce(&Database) -> Result<()>,
) -> Result<BackupInfo> {
    disk.remove(temporary).map_err(Error::storage)?;
    let file = disk.open(temporary, true).map_err(Error::storage)?;
    let (handle, _) = Handle::new(std::sync::Arc::clone(&file));
    let mut copy = Database::builder()
        .set_cache_size(2 * SYNC_BYTES)
        .create_with_backend(handle)
        .map_err(Error::storage)?;
    write(&copy)?;
    copy.compact().map_err(Error::storage)?;
    let tables = rows_by_table(&copy.begin_read().map_err(Error::storage)?)?;
    let rows = tables.iter().map(|(_, rows)| rows).sum();
    copy.close().map_err(Error::storage)?;
    file.sync_data().map_err(Error::storage)?;
    let bytes = file.len().map_err(Error::storage)?;
    disk.rename(temporary, to).map_err(Error::storage)?;
    Ok(BackupInfo { path: to.to_owned(), bytes, rows, tables: tables.len() as u64 })
}

fn copy_tables(engine: &Engine, copy: &Database, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let tables = rows_by_table(&engine.snapshot()?)?;
    let rows_total = tables.iter().map(|(_, rows)| rows).sum();
    let mut sink = Sink { database: copy, txn: None, bytes: 0 };
    let mut rows = 0;
    for (name, _) in &tables {
        let mut cursor: Option<Vec<u8>> = None;
        loop {
            let started = Instant::now();
            let piece = read_piece(&engine.snapshot()?, name, cursor.as_deref())?;
            sink.put(name, &piece)?;
            if engine.changes_waiting() > MANY_CHANGES {
                fetch_changes(engine, &mut sink)?;
            }
            rows += piece.len() as u64;
            progress(Progress { rows, rows_total });
            let Some((last, _)) = piece.into_iter().next_back() else { break };
            cursor = Some(last);
            std::thread::sleep(started.elapsed().min(PAUSE_MAX));
        }
    }
    for _ in 0..ROUNDS_MAX {
        if fetch_changes(engine, &mut sink)? <= FEW_CHANGES {
            break;
        }
    }
    sink.sync()
}

type Piece = Vec<(Vec<u8>, Vec<u8>)>;

fn definition(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

/// Each table's name and number of rows.
pub(super) fn rows_by_table(snapshot: &ReadTransaction) -> Result<Vec<(String, u64)>> {
    let mut tables = Vec::new();
    for handle in snapshot.list_tables().map_err(Error::storage)? {
        let table = snapshot.open_table(definition(handle.name())).map_err(Error::storage)?;
        tables.push((handle.name().to_owned(), table.len().map_err(Error::storage)?));
    }
    Ok(tables)
}

fn read_piece(snapshot: &ReadTransaction, name: &str, after: Option<&[u8]>) -> Result<Piece> {
    use std::ops::Bound::{Excluded, Unbounded};

    let table = snapshot.open_table(definition(name)).map_err(Error::storage)?;
    let from = after.map_or(Unbounded, Excluded);
    let mut piece = Vec::new();
    let mut bytes = 0;
    for row in table.range::<&[u8]>((from, Unbounded)).map_err(Error::storage)? {
        let (key, value) = row.map_err(Error::storage)?;
        bytes += key.value().len() + value.value().len();
        piece.push((key.value().to_vec(), value.value().to_vec()));
        if bytes >= PIECE_BYTES {
            break;
        }
    }
    Ok(piece)
}

/// Brings the copy of every key that has changed up to one snapshot; says how many.
fn fetch_changes(engine: &Engine, sink: &mut Sink<'_>) -> Result<usize> {
    let (keys, snapshot) = engine.changes_and_snapshot()?;
    let changed = keys.len();
    for (name, key) in keys {
        let row = match snapshot.open_table(RawTable::new(name)) {
            Ok(table) => {
                let row = table.get(key.as_slice()).map_err(Error::storage)?;
                row.map(|row| row.value().to_vec())
            }
            // A commit that failed may have been the table's first.
            Err(TableError::TableDoesNotExist(_)) => continue,
            Err(error) => return Err(Error::storage(error)),
        };
        sink.set(name, &key, row.as_deref())?;
    }
    Ok(changed)
}

/// Writes the copy, syncing every few megabytes.
struct Sink<'c> {
    database: &'c Database,
    txn: Option<WriteTransaction>,
    bytes: usize,
}

impl Sink<'_> {
    fn put(&mut self, name: &str, piece: &Piece) -> Result<()> {
        {
            let txn = self.txn()?;
            let mut table = txn.open_table(definition(name)).map_err(Error::storage)?;
            for (key, row) in piece {
                table.insert(key.as_slice(), row.as_slice()).map_err(Error::storage)?;
            }
        }
        self.bytes += piece.iter().map(|(key, row)| key.len() + row.len()).sum::<usize>();
        self.sync_when_full()
    }

    fn set(&mut self, name: &str, key: &[u8], row: Option<&[u8]>) -> Result<()> {
        {
            let txn = self.txn()?;
            let mut table = txn.open_table(definition(name)).map_err(Error::storage)?;
            match row {
                Some(row) => table.insert(key, row).map(drop),
                None => table.remove(key).map(drop),
            }
            .map_err(Error::storage)?;
        }
        self.bytes += key.len() + row.map_or(0, <[u8]>::len);
        self.sync_when_full()
    }

    fn txn(&mut self) -> Result<&WriteTransaction> {
        let txn = match self.txn.take() {
            Some(txn) => txn,
            None => self.database.begin_write().map_err(Error::storage)?,
        };
        Ok(self.txn.insert(txn))
    }

    fn sync_when_full(&mut self) -> Result<()> {
        if self.bytes < SYNC_BYTES { Ok(()) } else { self.sync() }
    }

    fn sync(&mut self) -> Result<()> {
        self.bytes = 0;
        self.txn.take().map_or(Ok(()), |txn| txn.commit().map_err(Error::storage))
    }
}
