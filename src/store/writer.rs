//! Group commit: one thread owns writing.
//!
//! It takes what waits: appends to the seat log go to the write-ahead log and are answered after
//! one sync; then the closures run in one transaction and are answered when it is committed.
//! Nothing is delayed to gather company but what asks for it: while one group is being synced,
//! the next one gathers by itself. What the write-ahead log has gathered is folded into the
//! database with the next commit, when it is enough, or when nothing comes for a while. When
//! writing fails, writes are refused and the thread tries about every second whether the disk has
//! recovered; then it opens the database anew.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::engine::{Engine, closed};
use super::queue::{Batch, Health, Job, Limits, Next, Outcome, Queue};
use super::tx::{Group, GroupEffect, Read, WriteTx, log_records, next_log_seq};
use super::wal::Wal;
use crate::domain::error::{Error, Result};

/// After so long without work, what the write-ahead log has gathered goes to the database.
const REST: Duration = Duration::from_secs(1);

/// What one group commit did, for metrics.
#[derive(Clone, Copy, Debug)]
pub struct CommitStats {
    /// Closures in the group.
    pub writes: usize,
    /// Appends to the seat log in the group.
    pub appends: usize,
    /// Bytes of these appends.
    pub append_bytes: usize,
    /// The time the closures took.
    pub run: Duration,
    /// The time writing and syncing took.
    pub commit: Duration,
    /// Items that were waiting when it was done.
    pub queued: usize,
    /// Whether it is on disk.
    pub durable: bool,
}

/// Told after each group commit, on the writer's thread: be quick.
pub type Observer = Arc<dyn Fn(&CommitStats) + Send + Sync>;

/// Counts since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Group commits on disk.
    pub commits: u64,
    /// Group commits that failed.
    pub failures: u64,
    /// Closures in commits on disk, those that refused included.
    pub writes: u64,
    /// Appends on disk.
    pub appends: u64,
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    failures: AtomicU64,
    writes: AtomicU64,
    appends: AtomicU64,
}

struct Shared {
    engine: Arc<Engine>,
    queue: Queue,
    /// Held over each commit: whoever has it sees the database and what it does not have yet.
    wal: Mutex<Wal>,
    counters: Counters,
    observer: Option<Observer>,
    probe_every: Duration,
}

/// The handle to the thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A place in the order of appends: redeemed when the append is on disk.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Counts appends since the start; also orders them.
    pub number: u64,
    outcome: Arc<Outcome>,
}

impl Ticket {
    /// Waits until the append is on disk; says the number of the seat log's record that it
    /// is part of. An error means it may or may not be on disk.
    pub async fn wait(self) -> Result<u64> {
        self.outcome.wait().await.clone()
    }

    /// What [`Ticket::wait`] would say, if that is known already.
    pub fn outcome(&self) -> Option<Result<u64>> {
        self.outcome.get().cloned()
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        engine: Arc<Engine>,
        wal: Wal,
        limits: Limits,
        probe_every: Duration,
        observer: Option<Observer>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            engine,
            queue: Queue::new(limits),
            wal: Mutex::new(wal),
            counters: Counters::default(),
            observer,
            probe_every,
        });
        let worker = Worker { shared: Arc::clone(&shared), must_reopen: false };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || worker.run())
            .map_err(Error::internal)?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a closure; the receiver gets its result when that is on disk.
    pub(super) fn submit<T, F>(&self, f: F) -> Result<oneshot::Receiver<Result<T>>>
    where
        F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.submit_within(Duration::ZERO, f)
    }

    /// The same, but it may wait so long for others that are committed with it.
    pub(super) fn submit_within<T, F>(
        &self,
        patience: Duration,
        f: F,
    ) -> Result<oneshot::Receiver<Result<T>>>
    where
        F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Closure { f: Some(f), result: None, reply };
        self.shared.queue.push_job(Box::new(job), patience)?;
        Ok(answer)
    }

    /// Queues an append to the seat log.
    pub(super) fn append(&self, bytes: &[u8], since: Option<u64>) -> Result<Ticket> {
        let (number, outcome) = self.shared.queue.push_append(bytes, since)?;
        Ok(Ticket { number, outcome })
    }

    /// How often appends were taken again after a failure.
    pub(super) fn resumed(&self) -> u64 {
        self.shared.queue.resumed()
    }

    /// Waits until the append with this ticket number is on disk.
    pub(super) async fn wait_durable(&self, number: u64) -> Result<()> {
        match self.shared.queue.outcome_of(number)? {
            Some(outcome) => outcome.wait().await.as_ref().map(drop).map_err(Clone::clone),
            None => Ok(()),
        }
    }

    /// Moves what the write-ahead log has gathered to the database; blocks.
    pub(super) fn fold(&self) -> Result<()> {
        let folded = self.submit(|tx| tx.log_oldest().map(drop))?;
        folded.blocking_recv().map_err(|_| closed())?
    }

    /// At most `limit` records of the seat log, from number `from_seq` on.
    pub(super) fn read_log(&self, from_seq: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>> {
        // Together they are one moment; the reading takes its time afterwards.
        let (tx, seq, gathered) = {
            let wal = self.shared.wal.lock();
            (self.shared.engine.begin_read()?, wal.seq(), wal.record().to_vec())
        };
        log_records(&tx, (seq, &gathered), from_seq, limit)
    }

    pub(super) fn health(&self) -> Health {
        self.shared.queue.health()
    }

    pub(super) fn depth(&self) -> (usize, usize) {
        self.shared.queue.depth()
    }

    pub(super) fn totals(&self) -> Totals {
        let counters = &self.shared.counters;
        Totals {
            commits: counters.commits.load(Ordering::Relaxed),
            failures: counters.failures.load(Ordering::Relaxed),
            writes: counters.writes.load(Ordering::Relaxed),
            appends: counters.appends.load(Ordering::Relaxed),
        }
    }

    /// Writes what waits, then ends the thread and waits for it.
    pub(super) fn stop(&self) {
        self.shared.queue.close();
        let thread = self.thread.lock().take();
        // A closure that owns the last handle to the store drops it on the writer's own
        // thread, which cannot wait for itself and ends anyway.
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the writer ended with a panic");
        }
    }
}

struct Closure<T, F> {
    f: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Closure<T, F>
where
    F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send,
    T: Send,
{
    fn run(&mut self, group: &Group<'_>) -> Result<()> {
        let Some(f) = self.f.take() else { return Ok(()) };
        // A panic leaves the overlay behind and nothing else, so what follows is sound.
        let result = group.run(|tx| {
            catch_unwind(AssertUnwindSafe(|| f(tx))).unwrap_or_else(|panic| {
                let message = panic_message(&*panic);
                tracing::error!(message, "a change panicked; it was rolled back alone");
                Err(Error::internal(format!("a change panicked: {message}")))
            })
        })?;
        self.result = Some(result);
        Ok(())
    }

    fn answer(self: Box<Self>, commit: Result<()>) {
        let answer = match (commit, self.result) {
            // A refusal changed nothing and stands, whatever became of the others.
            (_, Some(Err(refusal))) => Err(refusal),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Ok(()), None) => Err(Error::internal("a change was answered but never run")),
            (Err(failure), _) => Err(failure),
        };
        // Nobody waits any more when the request was cancelled.
        let _ = self.reply.send(answer);
    }
}

pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// What the thread itself owns.
struct Worker {
    shared: Arc<Shared>,
    /// The open database refuses writes and must be opened anew.
    must_reopen: bool,
}

impl Worker {
    fn run(mut self) {
        // What an earlier process gathered may be in the file without being on the disk, and
        // nothing may be appended behind that.
        if self.has_gathered() {
            self.fold();
        }
        loop {
            let rest = self.has_gathered().then_some(REST);
            match self.shared.queue.next(self.shared.probe_every, rest) {
                Next::Commit(batch) => self.commit(batch),
                Next::Rest => self.fold(),
                Next::Probe => self.recover(),
                Next::Stop => break,
            }
        }
        // What cannot be folded now stays in the write-ahead log, and is read from it again.
        if self.has_gathered()
            && let Err(error) = self.write(&mut [], true)
        {
            tracing::warn!(%error, "the seat log's last moments stay in the write-ahead log");
        }
    }

    fn has_gathered(&self) -> bool {
        !self.shared.wal.lock().record().is_empty()
    }

    fn commit(&mut self, mut batch: Batch) {
        let counters = &self.shared.counters;
        let mut stats = CommitStats {
            writes: batch.jobs.len(),
            appends: batch.appends,
            append_bytes: batch.log.len(),
            run: Duration::ZERO,
            commit: Duration::ZERO,
            queued: 0,
            durable: false,
        };
        let began = Instant::now();
        let result = self.append(&mut batch).and_then(|()| {
            counters.appends.fetch_add(stats.appends as u64, Ordering::Relaxed);
            if batch.jobs.is_empty() {
                return Ok(());
            }
            stats.run = self.write(&mut batch.jobs, false)?;
            counters.writes.fetch_add(stats.writes as u64, Ordering::Relaxed);
            Ok(())
        });
        stats.commit = began.elapsed().saturating_sub(stats.run);
        stats.durable = result.is_ok();
        match result {
            Ok(()) => {
                counters.commits.fetch_add(1, Ordering::Relaxed);
                answer(batch, &Ok(()));
                if self.shared.wal.lock().has_enough() {
                    self.fold();
                }
            }
            Err(error) => self.fail(batch, &error),
        }
        if let Some(observer) = &self.shared.observer {
            stats.queued = self.shared.queue.depth().0;
            observer(&stats);
        }
    }

    /// Makes a batch's appends durable and tells those who wait for them.
    fn append(&self, batch: &mut Batch) -> Result<()> {
        if batch.appends == 0 {
            return Ok(());
        }
        if !self.shared.wal.lock().has_room_for(batch.log.len()) {
            self.write(&mut [], true)?;
        }
        let mut wal = self.shared.wal.lock();
        wal.append(&batch.log)?;
        self.shared.queue.settle(batch, wal.seq());
        Ok(())
    }

    /// Runs closures in one transaction and commits it, with what the write-ahead log has
    /// gathered; says how long they took. To `fold` is to commit even if nothing was changed.
    fn write(&self, jobs: &mut [Box<dyn Job>], fold: bool) -> Result<Duration> {
        // The engine may panic on a damaged file; the thread must outlive that.
        catch_unwind(AssertUnwindSafe(|| {
            let engine = &self.shared.engine;
            let mut wal = self.shared.wal.lock();
            let began = Instant::now();
            let txn = engine.begin_write()?;
            let group = Group::new(&txn, wal.seq(), wal.record());
            for job in jobs {
                job.run(&group)?;
            }
            let GroupEffect { touched, next_seq } = group.finish(fold)?;
            let run = began.elapsed();
            if touched.is_empty() {
                // Nothing was changed, so there is nothing to sync.
                txn.abort().map_err(Error::storage)?;
            } else {
                engine.commit(txn, touched)?;
                wal.begin(next_seq);
            }
            Ok(run)
        }))
        .unwrap_or_else(|panic| {
            let message = panic_message(&*panic);
            Err(Error::storage(format!("the storage engine panicked: {message}")))
        })
    }

    /// Moves what the write-ahead log has gathered to the database.
    fn fold(&mut self) {
        if let Err(error) = self.write(&mut [], true) {
            self.fail(Batch::default(), &error);
        }
    }

    /// Refuses writes, fails the batch and all that waits, and looks for a way back.
    fn fail(&mut self, batch: Batch, error: &Error) {
        self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
        let why = error.internal.as_deref().unwrap_or(&error.detail);
        tracing::error!(why, "a commit failed; writes are refused until the disk recovers");
        self.must_reopen = true;
        let waiting = self.shared.queue.refuse(&batch, why);
        // Even on a full disk the file can often be opened: then every read goes on, where
        // the failed database serves only what it has in memory.
        self.reopen();
        for batch in std::iter::once(batch).chain(waiting) {
            answer(batch, &Err(error.clone()));
        }
        self.recover();
    }

    /// Takes writes again if a new file can be written, the database be opened, and what the
    /// write-ahead log has gathered be moved there: a fresh chain has nothing in doubt behind it.
    fn recover(&mut self) {
        if let Err(error) = self.shared.engine.probe() {
            return self.still_refused("the disk still refuses; trying again", error);
        }
        if self.must_reopen {
            self.reopen();
        }
        if self.must_reopen {
            return;
        }
        if let Err(error) = self.write(&mut [], true) {
            self.must_reopen = true;
            return self.still_refused("the seat log cannot be written yet", error);
        }
        tracing::info!("the disk has recovered; the database was opened anew");
        self.shared.queue.accept();
    }

    fn reopen(&mut self) {
        let shared = &self.shared;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            shared.engine.reopen()?;
            next_log_seq(&shared.engine.begin_read()?)
        }))
        .unwrap_or_else(|panic| Err(Error::storage(panic_message(&*panic))));
        match opened {
            Ok(next_seq) => {
                // A commit that was reported as failed may have taken along what had gathered.
                shared.wal.lock().begin(next_seq);
                self.must_reopen = false;
            }
            Err(error) => self.still_refused("the database cannot be opened anew yet", error),
        }
    }

    fn still_refused(&self, what: &str, error: Error) {
        let why = error.internal.unwrap_or(error.detail);
        self.shared.queue.still_refused(&why);
        tracing::warn!(why, "{what}");
    }
}

/// Answers whoever waits for a closure; appends only when they failed, the others have been settled.
fn answer(batch: Batch, result: &Result<()>) {
    if let (Some(outcome), Err(error)) = (&batch.outcome, result) {
        // Set once: a batch is settled once.
        let _ = outcome.set(Err(error.clone()));
    }
    for job in batch.jobs {
        job.answer(result.clone());
    }
}
