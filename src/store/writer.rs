//! Group commit: one thread owns writing.
//!
//! It takes what waits, runs it in one transaction, syncs once and answers everybody.
//! Nothing is delayed to gather company: while one group is being synced, the next one
//! gathers by itself. When a commit fails, writes are refused and the thread tries
//! about every second whether the disk has recovered; then it opens the database anew.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::engine::Engine;
use super::queue::{Batch, Health, Item, Job, Limits, Next, Outcome, Queue};
use super::tx::{Group, GroupEffect, WriteTx, next_log_seq};
use crate::domain::error::{Error, Result};

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
    /// How often the database was opened anew after a failure.
    pub reopened: u64,
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
    counters: Counters,
    observer: Option<Observer>,
    probe_every: Duration,
    reopened: watch::Sender<u64>,
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
    /// Waits until the append is on disk; says the number of the seat log's record it
    /// landed in. An error means it may or may not be on disk.
    pub async fn wait(self) -> Result<u64> {
        let landed = self.outcome.wait().await.as_ref().map_err(Clone::clone)?;
        let record = landed.partition_point(|(tickets_end, _)| *tickets_end <= self.number);
        let found = landed.get(record).map(|(_, seq)| *seq);
        found.ok_or_else(|| Error::internal("an append was committed in no record"))
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        engine: Arc<Engine>,
        limits: Limits,
        probe_every: Duration,
        observer: Option<Observer>,
    ) -> Result<Self> {
        let next_seq = next_log_seq(&engine.begin_read()?)?;
        let shared = Arc::new(Shared {
            engine,
            queue: Queue::new(limits),
            counters: Counters::default(),
            observer,
            probe_every,
            reopened: watch::Sender::new(0),
        });
        let worker = Worker { shared: Arc::clone(&shared), next_seq, must_reopen: false };
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
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push_job(Box::new(Closure { f: Some(f), result: None, reply }))?;
        Ok(answer)
    }

    /// Queues an append to the seat log.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<Ticket> {
        let (number, outcome) = self.shared.queue.push_append(bytes)?;
        Ok(Ticket { number, outcome })
    }

    /// Waits until the append with this ticket number is on disk.
    pub(super) async fn wait_durable(&self, number: u64) -> Result<()> {
        match self.shared.queue.outcome_of(number)? {
            Some(outcome) => outcome.wait().await.as_ref().map(drop).map_err(Clone::clone),
            None => Ok(()),
        }
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
            reopened: *self.shared.reopened.borrow(),
        }
    }

    /// Changes whenever the database was opened anew.
    pub(super) fn reopened(&self) -> watch::Receiver<u64> {
        self.shared.reopened.subscribe()
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
    next_seq: u64,
    /// The open database refuses writes and must be opened anew.
    must_reopen: bool,
}

impl Worker {
    fn run(mut self) {
        let mut company = 0;
        loop {
            match self.shared.queue.next(self.shared.probe_every, company) {
                Next::Commit(batch) => {
                    company = batch.size;
                    self.commit(batch);
                }
                Next::Probe => self.recover(),
                Next::Stop => return,
            }
        }
    }

    fn commit(&mut self, mut batch: Batch) {
        let mut times = (Duration::ZERO, Duration::ZERO);
        // The engine may panic on a damaged file; the thread must outlive that.
        let result = catch_unwind(AssertUnwindSafe(|| self.write(&mut batch.items, &mut times)))
            .unwrap_or_else(|panic| {
                let message = panic_message(&*panic);
                Err(Error::storage(format!("the storage engine panicked: {message}")))
            });
        let mut stats = CommitStats {
            writes: batch.size - batch.appends,
            appends: batch.appends,
            append_bytes: batch.bytes,
            run: times.0,
            commit: times.1,
            queued: 0,
            durable: result.is_ok(),
        };
        match result {
            Ok(landed) => self.succeed(batch, landed),
            Err(error) => self.fail(batch, &error),
        }
        if let Some(observer) = &self.shared.observer {
            stats.queued = self.shared.queue.depth().0;
            observer(&stats);
        }
    }

    /// Runs the items in one transaction and commits it; says where appends landed.
    fn write(
        &mut self,
        items: &mut [Item],
        (run, commit): &mut (Duration, Duration),
    ) -> Result<Vec<(u64, u64)>> {
        let engine = &self.shared.engine;
        let began = Instant::now();
        let txn = engine.begin_write()?;
        let group = Group::new(&txn, self.next_seq);
        for item in items {
            match item {
                Item::Log { bytes, tickets_end } => group.append_log(bytes, *tickets_end),
                Item::Write(job) => job.run(&group)?,
            }
        }
        let GroupEffect { touched, landed, next_seq } = group.finish()?;
        *run = began.elapsed();
        if touched.is_empty() {
            // Nothing was changed, so there is nothing to sync.
            txn.abort().map_err(Error::storage)?;
        } else {
            engine.commit(txn, touched)?;
        }
        *commit = began.elapsed().saturating_sub(*run);
        self.next_seq = next_seq;
        Ok(landed)
    }

    fn succeed(&self, batch: Batch, landed: Vec<(u64, u64)>) {
        let counters = &self.shared.counters;
        counters.commits.fetch_add(1, Ordering::Relaxed);
        counters.writes.fetch_add((batch.size - batch.appends) as u64, Ordering::Relaxed);
        counters.appends.fetch_add(batch.appends as u64, Ordering::Relaxed);
        self.shared.queue.settled(&batch);
        answer(batch, &Ok(landed));
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

    /// Takes writes again if a new file can be written and the database be opened.
    fn recover(&mut self) {
        if let Err(error) = self.shared.engine.probe() {
            let why = error.internal.unwrap_or(error.detail);
            self.shared.queue.still_refused(&why);
            tracing::warn!(why, "the disk still refuses; trying again");
            return;
        }
        if self.must_reopen {
            self.reopen();
        }
        if !self.must_reopen {
            tracing::info!("the disk has recovered; the database was opened anew");
            self.shared.queue.accept();
            self.shared.reopened.send_modify(|times| *times += 1);
        }
    }

    fn reopen(&mut self) {
        let engine = &self.shared.engine;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            engine.reopen()?;
            next_log_seq(&engine.begin_read()?)
        }))
        .unwrap_or_else(|panic| Err(Error::storage(panic_message(&*panic))));
        match opened {
            Ok(next_seq) => {
                self.next_seq = next_seq;
                self.must_reopen = false;
            }
            Err(error) => {
                let why = error.internal.unwrap_or(error.detail);
                self.shared.queue.still_refused(&why);
                tracing::warn!(why, "the database cannot be opened anew yet");
            }
        }
    }
}

fn answer(batch: Batch, result: &Result<Vec<(u64, u64)>>) {
    if let Some(outcome) = &batch.outcome {
        // Set once: a batch is answered once.
        let _ = outcome.set(result.clone());
    }
    for item in batch.items {
        if let Item::Write(job) = item {
            job.answer(result.as_ref().map(drop).map_err(Clone::clone));
        }
    }
}
