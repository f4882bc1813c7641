//! The desk at which seats are given out: the engine behind one lock, the way of its
//! events to disk, and the lines of those who wait.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::time::Now;
use crate::seats::{self, Engine, Event, Totals};
use crate::store::{Read, Store, Ticket, WriteTx};

/// The most requests that wait in line for a seat, over all licences.
pub(super) const WAITING_MAX: usize = 10_000;
/// Seats a sweep looks at while it holds the lock.
const SWEPT_AT_ONCE: usize = 500;
/// Events cleaned in one transaction, and a record more.
const CLEANED_AT_ONCE: u64 = 4_096;
/// Events looked up while the lock is held.
const LOOKED_UP_AT_ONCE: usize = 256;

/// The engine and what stands between it and the log.
pub struct Desk {
    pub(super) inner: Mutex<Inner>,
    /// Who waits for a seat of which licence; the first in line is woken first.
    lines: Mutex<Lines>,
}

pub(super) struct Inner {
    pub(super) engine: Engine,
    /// Releases whose record failed to reach the disk, and lapses that a heartbeat noticed. They
    /// stand first in the next record: what is free in memory may be granted again, and the log must not know
    /// two holders of one seat.
    pub(super) carried: Vec<Event>,
    /// Events in the log, for deciding when to clean it.
    pub(super) logged: u64,
}

#[derive(Default)]
struct Lines {
    /// The server stops: nobody waits any more.
    closed: bool,
    waiting: usize,
    by_license: HashMap<LicenseId, (usize, Arc<Notify>)>,
}

impl Desk {
    /// Replays the log: every session gets one full time to live to be heard from.
    pub fn restore(store: &Store, now: Now) -> Result<Self> {
        let mut engine = Engine::new(seats::SEAT_TTL_MS);
        let (mut from, mut logged) = (0, 0);
        loop {
            let records = store.read_log(from, 256)?;
            let Some((last, _)) = records.last() else { break };
            from = last + 1;
            for (seq, bytes) in records {
                let events = seats::decode_all(&bytes).map_err(|error| {
                    Error::internal(format!("seat log record {seq} is damaged: {error}"))
                })?;
                logged += events.len() as u64;
                engine.restore(now, seq, events);
            }
        }
        let inner = Inner { engine, carried: Vec::new(), logged };
        Ok(Self { inner: Mutex::new(inner), lines: Mutex::default() })
    }

    /// Counts over all licences.
    pub fn totals(&self) -> Totals {
        self.inner.lock().engine.totals()
    }

    /// Requests that wait in line now.
    pub fn waiting(&self) -> usize {
        self.lines.lock().waiting
    }

    /// Seats of a licence in use.
    pub fn used(&self, now: Now, id: LicenseId) -> u32 {
        self.inner.lock().engine.used(now, id)
    }

    /// Does a command and sends its events on their way to the log, those carried over first. Both
    /// under one lock, so that the log has the engine's order.
    pub(super) fn command<T>(
        self: &Arc<Self>,
        store: &Store,
        command: impl FnOnce(&mut Engine, &mut Vec<Event>) -> T,
    ) -> Result<(T, OnTheWay)> {
        let mut inner = self.inner.lock();
        let mut events = Vec::new();
        let outcome = command(&mut inner.engine, &mut events);
        if !events.is_empty() {
            let carried = std::mem::take(&mut inner.carried);
            events.splice(0..0, carried);
        }
        Ok((outcome, self.send(&mut inner, store, events)?))
    }

    /// Frees some of what has lapsed and sends what is carried on its way; nobody waits for it.
    /// Whose seats were freed, and whether there is more to do.
    pub(super) fn sweep(self: &Arc<Self>, store: &Store, now: Now) -> (Vec<LicenseId>, bool) {
        let mut inner = self.inner.lock();
        let mut events = std::mem::take(&mut inner.carried);
        let carried = events.len();
        let more = inner.engine.sweep(now, SWEPT_AT_ONCE, &mut events);
        let freed = events[carried..].iter().map(Event::license_id).collect();
        let on_the_way = self.send(&mut inner, store, events);
        drop(inner);
        // Refused, they are carried already. Otherwise dropping them sees to their arrival.
        drop(on_the_way);
        (freed, more)
    }

    fn send(
        self: &Arc<Self>,
        inner: &mut Inner,
        store: &Store,
        events: Vec<Event>,
    ) -> Result<OnTheWay> {
        let desk = Arc::clone(self);
        if events.is_empty() {
            return Ok(OnTheWay { desk, events, ticket: None });
        }
        let (events, ticket) = inner.enqueue(store, events)?;
        Ok(OnTheWay { desk, events, ticket: Some(ticket) })
    }

    /// Notes where a record landed, or takes back what failed to.
    fn landed(&self, events: Vec<Event>, outcome: Result<u64>) -> Result<()> {
        let mut inner = self.inner.lock();
        match outcome {
            Ok(seq) => {
                for event in &events {
                    if let Event::Acquired { session_id, .. } = event {
                        inner.engine.set_log_seq(*session_id, seq);
                    }
                }
                Ok(())
            }
            Err(error) => {
                inner.take_back(events, true);
                Err(error)
            }
        }
    }

    /// Wakes the first so many who wait for a seat of the licence.
    pub(super) fn call_next(&self, id: LicenseId, seats: u32) {
        if let Some((people, line)) = self.lines.lock().by_license.get(&id) {
            for _ in 0..seats.min(*people as u32) {
                line.notify_one();
            }
        }
    }

    /// Sends everybody away who waits, and whoever comes after them: a server that stops would
    /// otherwise wait as long as they do.
    pub fn close_lines(&self) {
        let mut lines = self.lines.lock();
        lines.closed = true;
        lines.by_license.values().for_each(|(_, line)| line.notify_waiters());
    }

    pub(super) fn lines_are_open(&self) -> Result<()> {
        if self.lines.lock().closed {
            let text = "The server is shutting down. Try again when it is back.";
            return Err(Error::new(Code::ShuttingDown, text).retry_after(5));
        }
        Ok(())
    }

    pub(super) fn join_line(&self, id: LicenseId) -> Result<InLine<'_>> {
        self.lines_are_open()?;
        let mut lines = self.lines.lock();
        if lines.waiting >= WAITING_MAX {
            return Err(Error::new(Code::Overloaded, "Too many requests wait for a seat already.")
                .retry_after(5));
        }
        lines.waiting += 1;
        let (people, line) = lines.by_license.entry(id).or_default();
        *people += 1;
        Ok(InLine { desk: self, id, line: Arc::clone(line) })
    }
}

/// A place in line; leaving it is dropping it.
pub(super) struct InLine<'d> {
    desk: &'d Desk,
    id: LicenseId,
    pub(super) line: Arc<Notify>,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let mut lines = self.desk.lines.lock();
        lines.waiting -= 1;
        if let Some((people, _)) = lines.by_license.get_mut(&self.id) {
            *people -= 1;
            if *people == 0 {
                lines.by_license.remove(&self.id);
            }
        }
    }
}

/// Events on their way to disk. When their commit fails, a grant among them is taken back, and
/// the releases are carried to the next record. When only the asker goes away, they arrive all
/// the same: another request of the same machine may have been told of the seat meanwhile.
pub(super) struct OnTheWay {
    desk: Arc<Desk>,
    events: Vec<Event>,
    ticket: Option<Ticket>,
}

impl OnTheWay {
    pub(super) async fn arrive(mut self) -> Result<()> {
        let Some(ticket) = self.ticket.clone() else { return Ok(()) };
        let outcome = ticket.wait().await;
        let events = std::mem::take(&mut self.events);
        self.desk.landed(events, outcome)
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take().filter(|_| !self.events.is_empty()) else { return };
        let (desk, events) = (Arc::clone(&self.desk), std::mem::take(&mut self.events));
        // Without a runtime the process is ending, and its memory with it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { desk.landed(events, ticket.wait().await) });
        }
    }
}

impl Inner {
    /// Takes back what could not be made durable. What `may_be_logged` must be ended in the log too.
    fn take_back(&mut self, events: Vec<Event>, may_be_logged: bool) {
        for event in events {
            match event {
                Event::Acquired { session_id, .. } => {
                    let mut undone = Vec::new();
                    self.engine.undo_acquire(session_id, &mut undone);
                    if may_be_logged {
                        self.carried.extend(undone);
                    }
                }
                Event::Released { .. } => self.carried.push(event),
            }
        }
    }

    /// Enqueues events as one append. Refused, they are taken back.
    fn enqueue(&mut self, store: &Store, events: Vec<Event>) -> Result<(Vec<Event>, Ticket)> {
        let mut bytes = Vec::with_capacity(events.len() * 96);
        for event in &events {
            event.encode(&mut bytes);
        }
        match store.append_log(bytes) {
            Ok(ticket) => {
                self.logged += events.len() as u64;
                for event in &events {
                    if let Event::Acquired { session_id, .. } = event {
                        self.engine.set_ticket(*session_id, ticket.number);
                    }
                }
                Ok((events, ticket))
            }
            Err(error) => {
                self.take_back(events, false);
                Err(error)
            }
        }
    }
}

/// Cleans some of the oldest records: how many events went, which sessions were written anew, and where.
pub(super) fn clean_some(
    desk: &Desk,
    tx: &mut WriteTx,
) -> Result<(u64, Vec<SessionId>, Option<u64>)> {
    let (mut removed, mut bytes, mut relogged) = (0, Vec::new(), Vec::new());
    while removed < CLEANED_AT_ONCE {
        let Some((seq, record)) = tx.log_oldest()? else { break };
        let events = seats::decode_all(&record).map_err(Error::internal)?;
        removed += events.len() as u64;
        for some in events.chunks(LOOKED_UP_AT_ONCE) {
            let living = desk.inner.lock().engine.relog(seq, some);
            for event in living {
                event.encode(&mut bytes);
                relogged.push(event.session_id());
            }
        }
        tx.log_remove(seq)?;
    }
    let seq = if bytes.is_empty() { None } else { Some(tx.log_append(bytes)?) };
    Ok((removed, relogged, seq))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::domain::license::LicenseStatus;
    use crate::domain::time::{Mono, Timestamp};
    use crate::seats::{Acquire, Acquisition, Gate, SEAT_TTL_MS, Schedule};
    use crate::store::fault::FaultDisk;
    use crate::store::{Health, Options};

    const LICENSE: LicenseId = LicenseId(Uuid::from_u128(1));

    fn at(ms: u64) -> Now {
        Now { wall: Timestamp(1_800_000_000_000), mono: Mono(ms) }
    }

    /// Asks for the licence's only seat.
    async fn acquire(desk: &Arc<Desk>, store: &Store, now: Now, machine: u128) -> Acquisition {
        let name = machine.to_string();
        let schedule = Schedule::always(LicenseStatus::Active);
        let ask = Acquire {
            license_id: LICENSE,
            gate: Some(Gate { revision: 1, max_seats: 1, schedule }),
            hardware_id: &name,
            session_id: SessionId(Uuid::from_u128(100 + machine)),
            metadata: None,
        };
        let (outcome, on_the_way) =
            desk.command(store, |engine, events| engine.acquire(now, &ask, events)).unwrap();
        on_the_way.arrive().await.unwrap();
        outcome
    }

    async fn until(mut there: impl FnMut() -> bool) {
        for _ in 0..1_000 {
            if there() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never came to that");
    }

    /// A lapse that the sweep noticed, and that could not be made durable, is told to the log
    /// before the seat is somebody else's: or a restart would know two holders.
    #[tokio::test]
    async fn a_lapse_that_failed_to_reach_the_disk_is_carried_on() {
        let faulty = FaultDisk::new();
        let options = Options {
            disk: Arc::new(faulty.clone()),
            probe_every: Duration::from_millis(10),
            ..Options::default()
        };
        let store = Store::open(Path::new("/data/seats.redb"), options).unwrap();
        let desk = Arc::new(Desk::restore(&store, at(0)).unwrap());
        assert!(matches!(acquire(&desk, &store, at(0), 1).await, Acquisition::Granted(_)));

        faulty.set_broken(true);
        desk.sweep(&store, at(SEAT_TTL_MS));
        until(|| store.health() != Health::Writable).await;
        faulty.set_broken(false);
        until(|| store.health() == Health::Writable).await;
        let second = acquire(&desk, &store, at(SEAT_TTL_MS), 2).await;
        assert!(matches!(second, Acquisition::Granted(_)));

        let restarted = Desk::restore(&store, at(SEAT_TTL_MS)).unwrap();
        assert_eq!(restarted.used(at(SEAT_TTL_MS), LICENSE), 1);
    }
}
