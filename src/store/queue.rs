//! What waits to be written, in the order it came.
//!
//! The queue is cut into batches as it fills, so that the writer takes a whole batch
//! at once, and every append knows from the start with which batch it will become durable.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::SetOnce;

use super::engine::closed;
use super::tx::Group;
use crate::domain::error::{Code, Error, Result};

/// Bounds of the queue and of what is committed together.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most items that may wait.
    pub queue_items: usize,
    /// Most bytes of log appends that may wait.
    pub queue_bytes: usize,
    /// Most items in one commit.
    pub batch_items: usize,
    /// Most bytes of log appends in one commit.
    pub batch_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_items: 16 * 1024,
            queue_bytes: 64 * 1024 * 1024,
            batch_items: 1024,
            batch_bytes: 1024 * 1024,
        }
    }
}

/// A closure that waits for its turn, and later for its commit.
pub(super) trait Job: Send {
    /// Runs it. An error is the group's, not the closure's own.
    fn run(&mut self, group: &Group<'_>) -> Result<()>;

    /// Answers whoever waits, with the closure's result or why it is not durable.
    fn answer(self: Box<Self>, commit: Result<()>);
}

/// What became of a batch's appends: the number of the seat log's record they are in, or why
/// they are not durable.
pub(super) type Outcome = SetOnce<Result<u64>>;

/// What is written together.
#[derive(Default)]
pub(super) struct Batch {
    /// All appends, one behind the other.
    pub(super) log: Vec<u8>,
    pub(super) appends: usize,
    /// There once there is an append, and until these are settled.
    pub(super) outcome: Option<Arc<Outcome>>,
    pub(super) jobs: Vec<Box<dyn Job>>,
}

impl Batch {
    fn size(&self) -> usize {
        self.appends + self.jobs.len()
    }
}

/// Whether writes are taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// Writes are taken.
    Writable,
    /// Writes are refused, reads go on.
    ReadOnly {
        /// What failed last.
        why: String,
    },
}

#[derive(PartialEq, Eq)]
enum Phase {
    Writable,
    ReadOnly(String),
    Closing,
}

/// Tickets whose outcome is not known yet, batch by batch.
struct Undecided {
    numbers: Range<u64>,
    outcome: Arc<Outcome>,
}

struct State {
    phase: Phase,
    waiting: VecDeque<Batch>,
    size: usize,
    bytes: usize,
    /// Until when what waits may wait for company; none: something does not.
    patient_until: Option<Instant>,
    next_ticket: u64,
    undecided: VecDeque<Undecided>,
    /// Tickets that failed, ascending; neighbours are merged, so one range per outage.
    failed: VecDeque<Range<u64>>,
    /// The writer sleeps and wants to be woken.
    idle: bool,
    /// How often writes were taken again after a failure.
    resumed: u64,
}

impl State {
    /// Notes how long the next item may wait; what waits already keeps its own bound.
    fn hurry(&mut self, patience: Duration) {
        let until = (!patience.is_zero()).then(|| Instant::now() + patience);
        self.patient_until = match self.patient_until {
            _ if self.waiting.is_empty() => until,
            Some(already) => until.map(|until| until.min(already)),
            None => None,
        };
    }

    /// How long what waits may go on waiting.
    fn patience(&self) -> Duration {
        match self.patient_until {
            Some(until) if self.phase == Phase::Writable && !self.waiting.is_empty() => {
                until.saturating_duration_since(Instant::now())
            }
            _ => Duration::ZERO,
        }
    }
}

/// Outages remembered for `wait_durable`; older failed tickets have long been answered.
const OUTAGES_MAX: usize = 1024;

pub(super) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    wake: Condvar,
}

/// What the writer should do next.
pub(super) enum Next {
    Commit(Batch),
    /// Nothing came for a while.
    Rest,
    Probe,
    Stop,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        let state = State {
            phase: Phase::Writable,
            waiting: VecDeque::new(),
            size: 0,
            bytes: 0,
            patient_until: None,
            next_ticket: 0,
            undecided: VecDeque::new(),
            failed: VecDeque::new(),
            idle: false,
            resumed: 0,
        };
        Self { limits, state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Queues a closure, which may wait so long for others; or hands back why not.
    pub(super) fn push_job(&self, job: Box<dyn Job>, patience: Duration) -> Result<()> {
        let mut state = self.state.lock();
        self.admit(&state, 0)?;
        state.hurry(patience);
        self.batch(&mut state, 0).jobs.push(job);
        self.wake(state);
        Ok(())
    }

    /// Queues an append; says its number and where its outcome will be. Refused if writes were
    /// taken again after `since`: the caller does not know yet what failed before.
    pub(super) fn push_append(
        &self,
        append: &[u8],
        since: Option<u64>,
    ) -> Result<(u64, Arc<Outcome>)> {
        if append.len() > self.limits.batch_bytes {
            return Err(Error::internal("an append to the seat log is larger than a batch may be"));
        }
        let mut state = self.state.lock();
        self.admit(&state, append.len())?;
        if since.is_some_and(|since| since != state.resumed) {
            return Err(Error::storage("an append came from before the disk's last failure"));
        }
        state.hurry(Duration::ZERO);
        let number = state.next_ticket;
        let end = number + 1;
        state.next_ticket = end;
        let batch = self.batch(&mut state, append.len());
        batch.appends += 1;
        batch.log.extend_from_slice(append);
        let fresh = batch.outcome.is_none();
        let outcome = Arc::clone(batch.outcome.get_or_insert_default());
        if fresh {
            let entry = Undecided { numbers: number..end, outcome: Arc::clone(&outcome) };
            state.undecided.push_back(entry);
        } else if let Some(entry) = state.undecided.back_mut() {
            entry.numbers.end = end;
        }
        self.wake(state);
        Ok((number, outcome))
    }

    /// Where the outcome of ticket `number` will be; `None` when it is durable already.
    pub(super) fn outcome_of(&self, number: u64) -> Result<Option<Arc<Outcome>>> {
        let state = self.state.lock();
        if number >= state.next_ticket {
            return Err(Error::internal(format!("there is no ticket {number} yet")));
        }
        if state.failed.iter().any(|range| range.contains(&number)) {
            return Err(Error::storage(format!("the commit with ticket {number} failed")));
        }
        let entry = state.undecided.iter().find(|entry| entry.numbers.contains(&number));
        Ok(entry.map(|entry| Arc::clone(&entry.outcome)))
    }

    /// Waits for something to do. While writes are refused, that is a probe every
    /// `probe_every`; otherwise an idle writer sleeps until it is woken, or `rest` is over, or what
    /// waits for company has waited enough.
    pub(super) fn next(&self, probe_every: Duration, rest: Option<Duration>) -> Next {
        let mut state = self.state.lock();
        loop {
            let patience = state.patience();
            if patience.is_zero()
                && let Some(batch) = state.waiting.pop_front()
            {
                state.size -= batch.size();
                state.bytes -= batch.log.len();
                return Next::Commit(batch);
            }
            let (most, then) = match state.phase {
                Phase::Closing => return Next::Stop,
                Phase::ReadOnly(_) => (Some(probe_every), Next::Probe),
                Phase::Writable if patience.is_zero() => (rest, Next::Rest),
                Phase::Writable => (Some(patience), Next::Rest),
            };
            state.idle = true;
            let over = if let Some(time) = most {
                self.wake.wait_for(&mut state, time).timed_out()
            } else {
                self.wake.wait(&mut state);
                false
            };
            state.idle = false;
            if over && state.waiting.is_empty() && state.phase != Phase::Closing {
                return then;
            }
        }
    }

    /// Notes that a batch's appends are durable, and tells those who wait for them.
    pub(super) fn settle(&self, batch: &mut Batch, record: u64) {
        if let Some(outcome) = batch.outcome.take() {
            self.state.lock().undecided.pop_front();
            // Set once: a batch is settled once.
            let _ = outcome.set(Ok(record));
        }
    }

    /// Refuses writes from now on; hands back what was waiting, which fails too.
    pub(super) fn refuse(&self, failed: &Batch, why: &str) -> VecDeque<Batch> {
        let mut state = self.state.lock();
        if state.phase != Phase::Closing {
            state.phase = Phase::ReadOnly(why.to_owned());
        }
        state.size = 0;
        state.bytes = 0;
        let waiting = std::mem::take(&mut state.waiting);
        for batch in std::iter::once(failed).chain(&waiting) {
            if batch.outcome.is_some()
                && let Some(entry) = state.undecided.pop_front()
            {
                remember(&mut state.failed, entry.numbers);
            }
        }
        waiting
    }

    /// Says why writes are still refused.
    pub(super) fn still_refused(&self, why: &str) {
        let mut state = self.state.lock();
        if let Phase::ReadOnly(reason) = &mut state.phase {
            why.clone_into(reason);
        }
    }

    /// Takes writes again.
    pub(super) fn accept(&self) {
        let mut state = self.state.lock();
        if state.phase != Phase::Closing {
            state.phase = Phase::Writable;
            state.resumed += 1;
        }
    }

    /// How often writes were taken again after a failure. By then every append that failed has
    /// its outcome.
    pub(super) fn resumed(&self) -> u64 {
        self.state.lock().resumed
    }

    /// Takes nothing more; what waits is still written.
    pub(super) fn close(&self) {
        self.state.lock().phase = Phase::Closing;
        self.wake.notify_all();
    }

    /// Items and bytes that wait.
    pub(super) fn depth(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.size, state.bytes)
    }

    pub(super) fn health(&self) -> Health {
        match &self.state.lock().phase {
            Phase::Writable => Health::Writable,
            Phase::ReadOnly(why) => Health::ReadOnly { why: why.clone() },
            Phase::Closing => Health::ReadOnly { why: "the server is shutting down".to_owned() },
        }
    }

    fn admit(&self, state: &State, bytes: usize) -> Result<()> {
        match &state.phase {
            Phase::Writable => {}
            Phase::ReadOnly(why) => return Err(Error::storage(why)),
            Phase::Closing => return Err(closed()),
        }
        if state.size >= self.limits.queue_items || state.bytes + bytes > self.limits.queue_bytes {
            let busy =
                "More changes are waiting for the disk than may wait. Try again in a second.";
            return Err(Error::new(Code::Overloaded, busy).retry_after(1));
        }
        Ok(())
    }

    /// The batch that takes the next item, of so many bytes; counts the item in.
    fn batch<'s>(&self, state: &'s mut State, bytes: usize) -> &'s mut Batch {
        let full = state.waiting.back().is_none_or(|batch| {
            batch.size() >= self.limits.batch_items
                || batch.log.len() + bytes > self.limits.batch_bytes
        });
        if full {
            state.waiting.push_back(Batch::default());
        }
        state.size += 1;
        state.bytes += bytes;
        let newest = state.waiting.len() - 1;
        &mut state.waiting[newest]
    }

    fn wake(&self, state: parking_lot::MutexGuard<'_, State>) {
        let idle = state.idle;
        drop(state);
        if idle {
            self.wake.notify_one();
        }
    }
}

/// Adds failed tickets to the ranges, merging neighbours.
fn remember(failed: &mut VecDeque<Range<u64>>, numbers: Range<u64>) {
    match failed.back_mut() {
        Some(last) if last.end == numbers.start => last.end = numbers.end,
        _ => failed.push_back(numbers),
    }
    if failed.len() > OUTAGES_MAX {
        failed.pop_front();
    }
}
