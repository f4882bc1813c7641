//! The database file: creating, locking, opening, migrating, opening again after a failure.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use redb::{Database, DatabaseError, ReadableDatabase, StorageBackend, WriteTransaction};
use thiserror::Error;

use super::disk::{Disk, Handle, Lock, directory_of};
use super::migrations::Schema;
use super::table::Table;
use super::tx::{Group, META, Read, ReadTx, Touched, next_log_seq};
use super::wal::{self, Identity, Wal};
use super::{Options, backup};
use crate::domain::error::{Code, Error, Result};

/// What tells this database from others, under 0.
const IDENTITY: Table<u8, Identity> = Table::new("identity");

/// Why seats may be missing.
pub(super) const MISSING: &str =
    "the write-ahead log is missing: seats of the last moments before the end may be as well";

/// In [`META`]: which schema the file has.
const SCHEMA_VERSION: &str = "schema_version";

/// Why a database could not be opened, and what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{path} is in use by {holder}. One process at a time can open a database: stop that one \
         first."
    )]
    AlreadyOpen {
        /// The database file.
        path: PathBuf,
        /// "process 4711", as far as it is known.
        holder: String,
        /// The process, as far as it is known.
        pid: Option<u32>,
    },
    /// A newer program wrote it.
    #[error(
        "{path} has schema {found}; this version of the program knows schemas up to {supported}. \
         Start the version that wrote it, or restore a backup that is older."
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// The file's schema.
        found: u64,
        /// The newest schema this program understands.
        supported: u64,
    },
    /// The file is something else.
    #[error("{path} is no database of this program: {why}. Check the configured path.")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        why: String,
    },
    /// The file system refused.
    #[error("{path}: {doing} failed: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The database is damaged or could not be repaired.
    #[error("{path} cannot be opened: {why}. Run `doctor`, or restore the latest backup.")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The engine's reason.
        why: String,
    },
    /// An upgrade failed; the file is as it was.
    #[error(
        "upgrading {path} from schema {from} failed and nothing was changed: {why}. The backup \
         made before is {backup}."
    )]
    Migration {
        /// The file.
        path: PathBuf,
        /// Its schema.
        from: u64,
        /// The copy made before.
        backup: PathBuf,
        /// The step's error.
        why: String,
    },
}

/// An open database file.
pub(super) struct Engine {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn StorageBackend>,
    cache_bytes: usize,
    quick_repair: bool,
    /// `None` once closed.
    open: RwLock<Option<Open>>,
    /// While a backup runs: the keys changed since it last looked. Held over each commit,
    /// so that a snapshot and the list of what changed before it can be taken together.
    tracked: Mutex<Option<HashSet<Touched>>>,
    /// Held for as long as the file is open.
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

#[derive(Clone)]
struct Open {
    database: Arc<Database>,
    retired: Arc<AtomicBool>,
}

impl Engine {
    /// Opens the database at `path` and the write-ahead log beside it, or creates them, and
    /// brings the schema up to date.
    pub(super) fn open(path: &Path, options: &Options) -> Result<(Self, Wal), OpenError> {
        let disk = Arc::clone(&options.disk);
        let lock = take_lock(&*disk, path)?;
        let exists = disk.exists(path).map_err(|e| io_error(path, "looking for the file", e))?;
        if !exists {
            create(&*disk, path, options)?;
        }
        let file = disk.open(path, false).map_err(|e| io_error(path, "opening", e))?;
        // The engine would make a database out of an empty file; we never leave one, so
        // somebody else did, and their intention is not ours to guess.
        if file.len().map_err(|e| io_error(path, "reading", e))? == 0 {
            return Err(OpenError::Foreign {
                path: path.to_owned(),
                why: "it is empty".to_owned(),
            });
        }
        let open = open_database(&file, options.cache_bytes).map_err(|e| refusal(path, e))?;
        let engine = Self {
            disk,
            path: path.to_owned(),
            file,
            cache_bytes: options.cache_bytes,
            quick_repair: options.quick_repair,
            open: RwLock::new(Some(open)),
            tracked: Mutex::new(None),
            lock: Mutex::new(Some(lock)),
        };
        let found = engine.schema(&options.schema)?;
        let mut wal = engine.open_wal(options, exists)?;
        if found < options.schema.version {
            engine.upgrade(found, &options.schema, &mut wal)?;
        }
        Ok((engine, wal))
    }

    fn open_wal(&self, options: &Options, existed: bool) -> Result<Wal, OpenError> {
        let damaged = |e: Error| OpenError::Damaged { path: self.path.clone(), why: e.to_string() };
        let tx = self.begin_read().map_err(damaged)?;
        let next_seq = next_log_seq(&tx).map_err(damaged)?;
        let known = identity_of(&tx).map_err(damaged)?;
        let identity = known.unwrap_or_else(|| options.entropy.bytes());
        if known.is_none() {
            // A database from before there was a write-ahead log.
            self.write_identity(&identity).map_err(damaged)?;
        }
        let wal = wal::beside(&self.path);
        let there = self.disk.exists(&wal).map_err(|e| io_error(&wal, "looking for it", e))?;
        if existed && known.is_some() && !there {
            tracing::error!(path = %wal.display(), "{MISSING}");
        }
        Wal::open(&*self.disk, &self.path, options.wal_bytes, identity, next_seq)
    }

    fn write_identity(&self, identity: &Identity) -> Result<()> {
        let txn = self.begin_write()?;
        let group = Group::new(&txn, 1, &[]);
        group.run(|tx| tx.put(&IDENTITY, &0, identity))??;
        let effect = group.finish(false)?;
        self.commit(txn, effect.touched)
    }

    /// A snapshot of what is committed.
    pub(super) fn begin_read(&self) -> Result<ReadTx> {
        Ok(ReadTx::new(self.database()?.begin_read().map_err(Error::storage)?))
    }

    /// A write transaction whose commit is on disk when it returns.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction> {
        let mut txn = self.database()?.begin_write().map_err(Error::storage)?;
        // With quick repair comes the two-phase commit: data is synced before the header
        // points to it. Beside a quick start after a crash, that makes a failed sync
        // harmless: the kernel may have forgotten the pages it could not write, but
        // nothing that is still in use refers to them.
        txn.set_quick_repair(self.quick_repair);
        Ok(txn)
    }

    /// Commits and tells a running backup what changed.
    pub(super) fn commit(&self, txn: WriteTransaction, touched: Vec<Touched>) -> Result<()> {
        let mut tracked = self.tracked.lock();
        if let Some(keys) = tracked.as_mut() {
            keys.extend(touched);
        }
        txn.commit().map_err(Error::storage)
    }

    /// Opens the file anew, after a failure has made the open database refuse writes.
    /// Readers change over; when opening fails, the old database stays for them.
    pub(super) fn reopen(&self) -> Result<()> {
        let old = self.open.read().clone().ok_or_else(closed)?;
        // From here on the old database cannot write: the file has one master at a time.
        old.retired.store(true, Ordering::Release);
        let new = open_database(&self.file, self.cache_bytes).map_err(Error::storage)?;
        let mut open = self.open.write();
        if open.is_some() {
            *open = Some(new);
        }
        Ok(())
    }

    /// Whether the disk takes new data again.
    pub(super) fn probe(&self) -> Result<()> {
        self.disk.probe(directory_of(&self.path)).map_err(Error::storage)
    }

    /// Closes the file cleanly. Transactions begun before end with an error.
    pub(super) fn close(&self) -> Result<()> {
        let Some(open) = self.open.write().take() else { return Ok(()) };
        // A reader may hold the database for the moment it takes to begin; the last one
        // to let go closes it then.
        let result = match Arc::try_unwrap(open.database) {
            Ok(database) => database.close().map_err(Error::storage),
            Err(_) => Ok(()),
        };
        self.lock.lock().take();
        result
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The size of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.file.len().unwrap_or(0)
    }

    /// The keys changed since the last call or [`Engine::track`], and a snapshot that has
    /// all these changes and no other.
    pub(super) fn changes_and_snapshot(&self) -> Result<(HashSet<Touched>, redb::ReadTransaction)> {
        let mut tracked = self.tracked.lock();
        let snapshot = self.database()?.begin_read().map_err(Error::storage)?;
        let keys = tracked.as_mut().map(std::mem::take).unwrap_or_default();
        Ok((keys, snapshot))
    }

    /// How many changed keys are waiting to be fetched.
    pub(super) fn changes_waiting(&self) -> usize {
        self.tracked.lock().as_ref().map_or(0, HashSet::len)
    }

    /// A snapshot for a part of a backup.
    pub(super) fn snapshot(&self) -> Result<redb::ReadTransaction> {
        self.database()?.begin_read().map_err(Error::storage)
    }

    /// Begins to note which keys commits change, until the guard is dropped.
    pub(super) fn track(&self) -> Result<Tracking<'_>> {
        let mut tracked = self.tracked.lock();
        if tracked.is_some() {
            return Err(Error::new(
                Code::Overloaded,
                "A backup is running already. Wait until it is done.",
            )
            .retry_after(10));
        }
        *tracked = Some(HashSet::new());
        Ok(Tracking(self))
    }

    fn database(&self) -> Result<Arc<Database>> {
        self.open.read().as_ref().map(|open| Arc::clone(&open.database)).ok_or_else(closed)
    }

    /// The schema that the file has, which this program can make its own.
    fn schema(&self, schema: &Schema) -> Result<u64, OpenError> {
        let path = &self.path;
        let found = self
            .begin_read()
            .and_then(|tx| tx.get(&META, &SCHEMA_VERSION.to_owned()))
            .map_err(|e| OpenError::Damaged { path: path.clone(), why: e.to_string() })?;
        let Some(found) = found else {
            let why = "it has no schema version".to_owned();
            return Err(OpenError::Foreign { path: path.clone(), why });
        };
        if found > schema.version {
            let supported = schema.version;
            return Err(OpenError::NewerSchema { path: path.clone(), found, supported });
        }
        Ok(found)
    }

    fn upgrade(&self, found: u64, schema: &Schema, wal: &mut Wal) -> Result<(), OpenError> {
        let path = &self.path;
        let backup = path.with_file_name(format!("coditect-schema-{found}-backup.redb"));
        tracing::info!(from = found, to = schema.version, backup = %backup.display(), "upgrading the database");
        self.fold(wal)
            .and_then(|()| backup::run(self, &backup, &mut |_| {}))
            .and_then(|_| self.migrate(found, schema, wal))
            .map_err(|e| OpenError::Migration {
                path: path.clone(),
                from: found,
                backup,
                why: e.to_string(),
            })
    }

    /// Moves what has gathered to the database.
    fn fold(&self, wal: &mut Wal) -> Result<()> {
        let txn = self.begin_write()?;
        let effect = Group::new(&txn, wal.seq(), wal.record()).finish(true)?;
        self.commit(txn, effect.touched)?;
        wal.begin(effect.next_seq);
        Ok(())
    }

    fn migrate(&self, found: u64, schema: &Schema, wal: &mut Wal) -> Result<()> {
        let txn = self.begin_write()?;
        let group = Group::new(&txn, wal.seq(), &[]);
        for migration in schema.migrations.iter().filter(|m| m.to > found) {
            tracing::info!(to = migration.to, name = migration.name, "running a migration");
            group.run(migration.run)??;
        }
        group.run(|tx| tx.put(&META, &SCHEMA_VERSION.to_owned(), &schema.version))??;
        let effect = group.finish(false)?;
        self.commit(txn, effect.touched)?;
        wal.begin(effect.next_seq);
        Ok(())
    }
}

/// While it lives, commits note which keys they change.
pub(super) struct Tracking<'e>(&'e Engine);

impl Drop for Tracking<'_> {
    fn drop(&mut self) {
        *self.0.tracked.lock() = None;
    }
}

/// The answer to whoever comes after [`Engine::close`].
pub(super) fn closed() -> Error {
    Error::new(Code::ShuttingDown, "The server is shutting down. Try again when it is back.")
        .retry_after(5)
}

/// Makes a new database under a temporary name and moves it to its place when it is
/// whole and on disk: the file that appears under `path` can always be opened.
fn create(disk: &dyn Disk, path: &Path, options: &Options) -> Result<(), OpenError> {
    let io = |doing| move |e| io_error(path, doing, e);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    disk.remove(&temporary).map_err(io("removing an unfinished creation"))?;
    let file = disk.open(&temporary, true).map_err(io("creating"))?;
    let open = open_database(&file, options.cache_bytes).map_err(|e| refusal(path, e))?;
    let version = options.schema.version;
    write_first(&open.database, version, &options.entropy.bytes())
        .and_then(|()| {
            Arc::try_unwrap(open.database).map_or(Ok(()), |db| db.close().map_err(Error::storage))
        })
        .map_err(|e| OpenError::Damaged { path: path.to_owned(), why: e.to_string() })?;
    file.sync_data().map_err(io("writing"))?;
    disk.rename(&temporary, path).map_err(io("naming the new file"))
}

fn write_first(database: &Database, version: u64, identity: &Identity) -> Result<()> {
    let txn = database.begin_write().map_err(Error::storage)?;
    let group = Group::new(&txn, 1, &[]);
    group.run(|tx| {
        tx.put(&IDENTITY, &0, identity)?;
        tx.put(&META, &SCHEMA_VERSION.to_owned(), &version)
    })??;
    group.finish(false)?;
    txn.commit().map_err(Error::storage)
}

/// Opens a database over a file that may be opened again later.
fn open_database(
    file: &Arc<dyn StorageBackend>,
    cache_bytes: usize,
) -> Result<Open, DatabaseError> {
    let (handle, retired) = Handle::new(Arc::clone(file));
    let database = Database::builder().set_cache_size(cache_bytes).create_with_backend(handle)?;
    Ok(Open { database: Arc::new(database), retired })
}

/// Takes the lock file beside the database for this process.
pub(super) fn take_lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn Send + Sync>, OpenError> {
    let lock_path = path.with_extension("lock");
    match disk.lock(&lock_path).map_err(|e| io_error(&lock_path, "locking", e))? {
        Lock::Taken(guard) => Ok(guard),
        Lock::Held(pid) => Err(already_open(path, pid)),
    }
}

pub(super) fn already_open(path: &Path, pid: Option<u32>) -> OpenError {
    let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    OpenError::AlreadyOpen { path: path.to_owned(), holder, pid }
}

pub(super) fn refusal(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            already_open(path, None)
        }
        DatabaseError::Storage(redb::StorageError::Io(source)) => io_error(path, "opening", source),
        other => OpenError::Damaged { path: path.to_owned(), why: other.to_string() },
    }
}

pub(super) fn io_error(path: &Path, doing: &'static str, source: std::io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), doing, source }
}

/// What [`super::Store::check`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckReport {
    /// Whether every checksum was right. When not, the engine repaired what it could.
    pub sound: bool,
    /// The file's schema; `None`: it is no database of this program.
    pub schema: Option<u64>,
    /// Each table's name and number of rows.
    pub tables: Vec<(String, u64)>,
    /// The size of the file.
    pub bytes: u64,
}

/// The schema that a database says it has.
pub(super) fn schema_of(tx: &ReadTx) -> Result<Option<u64>> {
    tx.get(&META, &SCHEMA_VERSION.to_owned())
}

/// The identity that a database has, unless it is older than that.
pub(super) fn identity_of(tx: &ReadTx) -> Result<Option<Identity>> {
    tx.get(&IDENTITY, &0)
}

pub(super) fn check(path: &Path, options: &Options) -> Result<CheckReport, OpenError> {
    let disk = &*options.disk;
    let damaged = |why: String| OpenError::Damaged { path: path.to_owned(), why };
    let _lock = take_lock(disk, path)?;
    let file = disk.open(path, false).map_err(|e| io_error(path, "opening", e))?;
    let bytes = file.len().map_err(|e| io_error(path, "reading", e))?;
    if bytes == 0 {
        return Err(OpenError::Foreign { path: path.to_owned(), why: "it is empty".to_owned() });
    }
    let (handle, _) = Handle::new(file);
    let mut database = Database::builder()
        .set_cache_size(options.cache_bytes)
        .create_with_backend(handle)
        .map_err(|e| refusal(path, e))?;
    let sound = database.check_integrity().map_err(|e| refusal(path, e))?;
    let snapshot = database.begin_read().map_err(|e| damaged(e.to_string()))?;
    let tables = backup::rows_by_table(&snapshot).map_err(|e| damaged(e.to_string()))?;
    let schema = schema_of(&ReadTx::new(snapshot)).map_err(|e| damaged(e.to_string()))?;
    Ok(CheckReport { sound, schema, tables, bytes })
}
