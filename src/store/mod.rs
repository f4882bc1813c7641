//! Everything durable: one redb file behind a group-committing writer, and a short
//! write-ahead log beside it.
//!
//! - `table`: typed tables over ordered bytes; `tx`: transactions over them.
//! - `queue` and `writer`: what waits, and the one thread that writes it.
//! - `wal`: where appends to the seat log are durable before the database has them.
//! - `engine`: opening, locking, opening anew; `disk`: the file system it needs.
//! - [`backup`]: a copy of a running database; [`migrations`]: old schemas.
//! - `inspect`: a look at a file that changes nothing.
//! - `fault`: a disk that fails on demand, for tests.
//!
//! Reads run on the caller's thread: they touch memory, and now and then the disk.
//! Writes are closures sent to the writer; their result comes back when it is on disk.

pub mod analytics;
pub mod api_keys;
pub mod audit;
pub mod backup;
pub mod billing;
pub mod counts;
pub mod disk;
pub mod email_domains;
mod engine;
#[doc(hidden)]
pub mod fault;
pub mod identities;
mod inspect;
pub mod jobs;
pub mod licenses;
pub mod logs;
pub mod migrations;
pub mod orgs;
mod paging;
pub mod passkeys;
pub mod plans;
pub mod projects;
pub mod provisioning;
mod queue;
mod restore;
mod scope;
pub mod search;
pub mod second_factors;
pub mod subscriptions;
mod table;
mod tables;
pub mod teams;
#[cfg(test)]
pub(crate) mod tests;
mod tx;
pub mod users;
mod wal;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

pub use backup::{BackupInfo, Progress};
pub use disk::{Disk, FileDisk};
pub use engine::OpenError;
pub use inspect::Inspection;
pub use migrations::Schema;
use paging::{filtered, page, through_index, through_keys};
pub use queue::{Health, Limits};
pub use restore::{require_unused, restore};
pub use scope::{Org, org};
pub use table::{Bytes, Key, Row, Scan, Table};
pub use tx::{Read, ReadTx, SEAT_LOG, WriteTx};
pub use writer::{CommitStats, Observer, Ticket, Totals};

use crate::domain::error::{Error, Result};
use crate::entropy::Entropy;
use engine::Engine;
use wal::Wal;
use writer::Writer;

/// How to open a [`Store`].
#[derive(Clone)]
pub struct Options {
    /// Memory for pages of the file, in bytes.
    pub cache_bytes: usize,
    /// Bounds of the write queue.
    pub limits: Limits,
    /// The size of the write-ahead log, in bytes.
    pub wal_bytes: u64,
    /// Told after each group commit.
    pub observer: Option<Observer>,
    /// How often a failed disk is tried.
    pub probe_every: Duration,
    /// Writes the allocator's state with each commit, so that the file opens at once after
    /// a crash, and syncs data before the header that points to it. Off only in benchmarks.
    pub quick_repair: bool,
    /// Gives a new database its identity.
    pub entropy: Entropy,
    /// What this program understands; tests bring their own.
    pub schema: Schema,
    /// Where the file lives; tests bring one that fails.
    pub disk: Arc<dyn Disk>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1024 * 1024,
            limits: Limits::default(),
            wal_bytes: 4 * 1024 * 1024,
            observer: None,
            probe_every: Duration::from_secs(1),
            quick_repair: true,
            entropy: Entropy::system(),
            schema: Schema::CURRENT,
            disk: Arc::new(FileDisk),
        }
    }
}

/// Counts and sizes, for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Counts since the start.
    pub totals: Totals,
    /// Items that wait to be written.
    pub queued_items: usize,
    /// Bytes of log appends that wait.
    pub queued_bytes: usize,
    /// The size of the file.
    pub file_bytes: u64,
}

/// The database of a running server; cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: Arc<Engine>,
    writer: Writer,
}

impl Store {
    /// Opens the database at `path`, or creates it; blocks.
    ///
    /// Takes the lock file beside it (`.lock` in place of the ending). An older schema is
    /// upgraded after a backup, a newer one refused.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let (engine, wal) = Engine::open(path, &options)?;
        let engine = Arc::new(engine);
        let longest = Wal::longest_append(options.wal_bytes);
        let writer = Writer::start(
            Arc::clone(&engine),
            wal,
            Limits { batch_bytes: options.limits.batch_bytes.min(longest), ..options.limits },
            options.probe_every,
            options.observer,
        )
        .map_err(|e| OpenError::Damaged { path: path.to_owned(), why: e.to_string() })?;
        Ok(Self(Arc::new(Inner { engine, writer })))
    }

    /// Runs `f` on a consistent view, here and now. Keep it short: no pages are freed
    /// meanwhile. Long walks go page by page, each in a read of its own.
    pub fn read<T>(&self, f: impl FnOnce(&ReadTx) -> Result<T>) -> Result<T> {
        f(&self.0.engine.begin_read()?)
    }

    /// Runs `f` on the writer's thread, in the group that is committed next. The result
    /// comes back when it is on disk. When `f` fails or panics, it alone is rolled back.
    ///
    /// Dropping the future does not withdraw `f`. After [`Error::storage`] the change may or
    /// may not be on disk; a refusal of the queue (`Overloaded`, `ShuttingDown`, or storage
    /// refusing writes) means `f` did not run.
    pub async fn write<T, F>(&self, f: F) -> Result<T>
    where
        F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.0.writer.submit(f)?.await.map_err(unanswered)?
    }

    /// [`Store::write`] for what comes in crowds and can wait: others may join the same commit
    /// for as long as `patience`. Whatever does not wait takes it along.
    pub async fn write_within<T, F>(&self, patience: Duration, f: F) -> Result<T>
    where
        F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.0.writer.submit_within(patience, f)?.await.map_err(unanswered)?
    }

    /// [`Store::write`] for threads outside of the runtime, such as the command line's.
    pub fn write_blocking<T, F>(&self, f: F) -> Result<T>
    where
        F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.0.writer.submit(f)?.blocking_recv().map_err(unanswered)?
    }

    /// Appends to the seat log, without waiting. What is appended within a while becomes one
    /// record, in the order of the calls.
    pub fn append_log(&self, bytes: impl AsRef<[u8]>) -> Result<Ticket> {
        self.0.writer.append(bytes.as_ref(), None)
    }

    /// The same, but refused when [`Store::resumed`] is not what it was: then appends before this
    /// one have failed that the caller did not know of.
    pub fn append_log_since(&self, resumed: u64, bytes: impl AsRef<[u8]>) -> Result<Ticket> {
        self.0.writer.append(bytes.as_ref(), Some(resumed))
    }

    /// How often writes were taken again after a failure. Every append that failed before has
    /// its outcome by then.
    pub fn resumed(&self) -> u64 {
        self.0.writer.resumed()
    }

    /// Waits until the append with this [`Ticket::number`] is on disk.
    pub async fn wait_durable(&self, number: u64) -> Result<()> {
        self.0.writer.wait_durable(number).await
    }

    /// At most `limit` records of the seat log, from number `from_seq` on.
    pub fn read_log(&self, from_seq: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        self.0.writer.read_log(from_seq, limit)
    }

    /// Writes a compact, consistent copy of the running database to `to`; blocks for as long
    /// as that takes, at half of a core's speed so that others go on.
    pub fn backup(&self, to: &Path, mut progress: impl FnMut(Progress)) -> Result<BackupInfo> {
        // A copy has no write-ahead log beside it. Where the disk refuses writes, a copy on
        // another one is wanted all the more, without the seats of the last moment.
        if let Err(error) = self.0.writer.fold() {
            tracing::warn!(%error, "the backup lacks the last changes of seats");
        }
        backup::run(&self.0.engine, to, &mut progress)
    }

    /// Whether writes are taken.
    pub fn health(&self) -> Health {
        self.0.writer.health()
    }

    /// Counts and sizes, for metrics.
    pub fn stats(&self) -> Stats {
        let (queued_items, queued_bytes) = self.0.writer.depth();
        Stats {
            totals: self.0.writer.totals(),
            queued_items,
            queued_bytes,
            file_bytes: self.0.engine.file_bytes(),
        }
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        self.0.engine.path()
    }

    /// Writes what waits, ends the writer and closes the file; blocks. Other handles to
    /// this store answer `ShuttingDown` from then on.
    pub fn close(self) -> Result<()> {
        self.0.writer.stop();
        self.0.engine.close()
    }

    /// Checks a database that no server has open: every checksum, and what is in it.
    pub fn check(path: &Path, options: &Options) -> Result<CheckReport, OpenError> {
        engine::check(path, options)
    }
}

pub use engine::CheckReport;

impl Drop for Inner {
    fn drop(&mut self) {
        self.writer.stop();
        if let Err(error) = self.engine.close() {
            tracing::warn!(%error, "the database was not closed cleanly; it recovers when opened");
        }
    }
}

fn unanswered(_: oneshot::error::RecvError) -> Error {
    Error::storage("the writer ended before it answered")
}
