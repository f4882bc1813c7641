//! The desk at which seats are given out: the engine behind one lock, the way of its
//! events to disk, and the lines of those who wait.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::search::begins_in;
use crate::domain::time::Now;
use crate::seats::{self, Engine, Event, Totals};
use crate::store::{Read, Store, Ticket, WriteTx};

/// The most requests that wait in line for a seat, over all licences.
const WAITING_MAX: usize = 10_000;
/// The most of them for one licence, so that no customer takes everybody's places.
const WAITING_FOR_ONE_MAX: usize = 500;
/// Seats a sweep looks at while it holds the lock.
const SWEPT_AT_ONCE: usize = 500;
/// Records of up to a few megabytes that are in memory at once during a start.
const RECORDS_READ_AT_ONCE: usize = 8;
/// Bytes of events in one append, and an event more.
const APPENDED_AT_ONCE: usize = 64 * 1024;
/// Events cleaned in one transaction, and a record more.
const CLEANED_AT_ONCE: u64 = 4_096;
/// Events looked up while the lock is held.
const LOOKED_UP_AT_ONCE: usize = 256;

/// Seats that a search looks through at most.
const SEARCHED_SEATS_MAX: usize = 200_000;
/// Of them, while the lock is held.
const SEARCHED_AT_ONCE: usize = 2_000;

/// The engine and what stands between it and the log.
pub struct Desk {
    pub(super) inner: Mutex<Inner>,
    /// Who waits for a seat of which licence; the first in line is woken first.
    lines: Mutex<Lines>,
}

pub(super) struct Inner {
    pub(super) engine: Engine,
    /// Events on their way to the log, in the engine's order: releases whose record failed to reach
    /// the disk, and lapses that a heartbeat noticed, stand here until the next command. What is
    /// free in memory may be granted again, and the log must not know two holders of one seat.
    pub(super) outbox: VecDeque<Event>,
    /// Events that were appended and whose outcome nobody has looked at yet, in the log's order.
    in_flight: VecDeque<(Ticket, Vec<Event>)>,
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
            let records = store.read_log(from, RECORDS_READ_AT_ONCE)?;
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
        let (outbox, in_flight) = (VecDeque::new(), VecDeque::new());
        let inner = Inner { engine, outbox, in_flight, logged };
        Ok(Self { inner: Mutex::new(inner), lines: Mutex::default() })
    }

    /// Licences of which a machine whose id has this word of a search holds a seat, among the first
    /// so many seats; looked through in bites, so that nobody waits long for the engine.
    pub(super) fn licenses_of_machines(&self, word: &str) -> BTreeSet<LicenseId> {
        let mut found = BTreeSet::new();
        let mut next = Some(0);
        for _ in 0..SEARCHED_SEATS_MAX / SEARCHED_AT_ONCE {
            let Some(from) = next else { break };
            let see = |license_id, hardware_id: &str| {
                if begins_in(hardware_id, word) {
                    found.insert(license_id);
                }
            };
            next = self.inner.lock().engine.machines(from, SEARCHED_AT_ONCE, see);
        }
        found
    }

    /// Seats of a licence held now, and a number that grows with every one granted.
    pub(super) fn used_and_granted(&self, now: Now, id: LicenseId) -> (u32, u64) {
        let inner = self.inner.lock();
        (inner.engine.used(now, id), inner.engine.last_grant(id))
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

    /// Does a command and sends its events on their way to the log, behind those that stand there
    /// already. All under one lock, so that the log has the engine's order.
    pub(super) fn command<T>(
        &self,
        store: &Store,
        command: impl FnOnce(&mut Engine, &mut Vec<Event>) -> T,
    ) -> Result<(T, Option<Ticket>)> {
        let mut inner = self.inner.lock();
        // Before the failures are looked at, so that none comes in between.
        let resumed = store.resumed();
        let freed = inner.settle();
        let mut events = Vec::new();
        let outcome = command(&mut inner.engine, &mut events);
        let sent = if events.is_empty() { Ok(None) } else { inner.send(store, resumed, events) };
        drop(inner);
        self.call(freed);
        sent.map(|ticket| (outcome, ticket))
    }

    /// Frees some of what has lapsed, and sends it on its way with what stands there; nobody
    /// waits for it. Whether there is more to do.
    pub(super) fn sweep(&self, store: &Store, now: Now) -> bool {
        let mut inner = self.inner.lock();
        // Before the failures are looked at, so that none comes in between.
        let resumed = store.resumed();
        let freed = inner.settle();
        let mut events = Vec::new();
        let more = inner.engine.sweep(now, SWEPT_AT_ONCE, &mut events);
        // What is refused stays where it stands.
        let _ = inner.send(store, resumed, events);
        drop(inner);
        self.call(freed);
        more
    }

    /// Waits until what a command did is on disk. Whoever does not wait, because its request was
    /// cut off, leaves that to the next command or sweep.
    pub(super) async fn arrive(&self, ticket: Option<Ticket>) -> Result<()> {
        let Some(ticket) = ticket else { return Ok(()) };
        let outcome = ticket.wait().await.map(drop);
        let freed = self.inner.lock().settle();
        self.call(freed);
        outcome
    }

    /// Wakes one who waits for each seat that was freed.
    fn call(&self, freed: Vec<LicenseId>) {
        for id in freed {
            self.call_next(id, 1);
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
        let (people, line) = lines.by_license.entry(id).or_default();
        if *people >= WAITING_FOR_ONE_MAX {
            let text = "Too many requests wait for a seat of this licence already.";
            return Err(Error::new(Code::Overloaded, text).retry_after(5));
        }
        *people += 1;
        let line = Arc::clone(line);
        lines.waiting += 1;
        Ok(InLine { desk: self, id, line })
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

impl Inner {
    /// Looks at what has become of the events in flight: notes where a grant stands in the log,
    /// takes back one that is not durable, and puts releases in doubt into the outbox. Which
    /// licences have a seat to give.
    fn settle(&mut self) -> Vec<LicenseId> {
        let mut freed = Vec::new();
        while let Some(outcome) = self.in_flight.front().and_then(|(ticket, _)| ticket.outcome()) {
            let Some((_, events)) = self.in_flight.pop_front() else { break };
            if outcome.is_err() {
                self.logged = self.logged.saturating_sub(events.len() as u64);
            }
            for event in events {
                match (&event, &outcome) {
                    (Event::Acquired { session_id, .. }, Ok(seq)) => {
                        self.engine.set_log_seq(*session_id, *seq);
                    }
                    (Event::Acquired { session_id, license_id, .. }, Err(_)) => {
                        let mut undone = Vec::new();
                        if self.engine.undo_acquire(*session_id, &mut undone) {
                            freed.push(*license_id);
                        }
                        // It may be in the log all the same.
                        self.outbox.extend(undone);
                    }
                    (Event::Released { license_id, .. }, outcome) => {
                        freed.push(*license_id);
                        if outcome.is_err() {
                            self.outbox.push_back(event);
                        }
                    }
                }
            }
        }
        freed
    }

    /// Appends what stands in the outbox and these events; the ticket of the last. Refused, a grant
    /// among the events is taken back; releases stay in the outbox.
    fn send(&mut self, store: &Store, resumed: u64, events: Vec<Event>) -> Result<Option<Ticket>> {
        let new = events.len();
        self.outbox.extend(events);
        self.flush(store, resumed).inspect_err(|_| {
            let old = self.outbox.len().saturating_sub(new);
            for event in self.outbox.split_off(old) {
                match event {
                    // It was never on its way, so its undoing need not be either.
                    Event::Acquired { session_id, .. } => {
                        self.engine.undo_acquire(session_id, &mut Vec::new());
                    }
                    Event::Released { .. } => self.outbox.push_back(event),
                }
            }
        })
    }

    /// Appends the outbox, a bounded part at a time.
    fn flush(&mut self, store: &Store, resumed: u64) -> Result<Option<Ticket>> {
        let mut last = None;
        while !self.outbox.is_empty() {
            let (mut bytes, mut events) = (Vec::with_capacity(256), 0);
            for event in &self.outbox {
                event.encode(&mut bytes);
                events += 1;
                if bytes.len() >= APPENDED_AT_ONCE {
                    break;
                }
            }
            let ticket = store.append_log_since(resumed, &bytes)?;
            let sent: Vec<Event> = self.outbox.drain(..events).collect();
            for event in &sent {
                if let Event::Acquired { session_id, .. } = event {
                    self.engine.set_ticket(*session_id, ticket.number);
                }
            }
            self.logged += events as u64;
            self.in_flight.push_back((ticket.clone(), sent));
            last = Some(ticket);
        }
        Ok(last)
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
    use crate::store::tests::until;
    use crate::store::{Health, Options};

    const LICENSE: LicenseId = LicenseId(Uuid::from_u128(1));

    fn at(ms: u64) -> Now {
        Now { wall: Timestamp(1_800_000_000_000), mono: Mono(ms) }
    }

    fn session_of(machine: u128) -> SessionId {
        SessionId(Uuid::from_u128(1_000_000 + machine))
    }

    /// Asks for one of the licence's seats, without waiting for the disk.
    fn ask(desk: &Desk, store: &Store, now: Now, machine: u128, seats: u32) -> Asked {
        let name = machine.to_string();
        let schedule = Schedule::always(LicenseStatus::Active);
        let ask = Acquire {
            license_id: LICENSE,
            gate: Some(Gate { revision: 1, max_seats: seats, schedule }),
            hardware_id: &name,
            session_id: session_of(machine),
            metadata: None,
        };
        desk.command(store, |engine, events| engine.acquire(now, &ask, events))
    }

    type Asked = Result<(Acquisition, Option<Ticket>)>;

    /// Asks for the licence's only seat.
    async fn acquire(desk: &Desk, store: &Store, now: Now, machine: u128) -> Acquisition {
        let (outcome, ticket) = ask(desk, store, now, machine, 1).unwrap();
        desk.arrive(ticket).await.unwrap();
        outcome
    }

    fn release(desk: &Desk, store: &Store, now: Now, machine: u128) -> Option<Ticket> {
        let release = |engine: &mut Engine, events: &mut Vec<Event>| {
            engine.release(now, session_of(machine), events)
        };
        desk.command(store, release).unwrap().1
    }

    fn on(disk: &FaultDisk) -> Store {
        let options = Options {
            disk: Arc::new(disk.clone()),
            probe_every: Duration::from_millis(10),
            ..Options::default()
        };
        Store::open(Path::new("/data/seats.redb"), options).unwrap()
    }

    /// A lapse that the sweep noticed, and that could not be made durable, is told to the log
    /// before the seat is somebody else's: or a restart would know two holders.
    #[tokio::test]
    async fn a_lapse_that_failed_to_reach_the_disk_is_carried_on() {
        let faulty = FaultDisk::new();
        let store = on(&faulty);
        let desk = Desk::restore(&store, at(0)).unwrap();
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

    /// A release that failed is known of before the next grant is logged, although nobody waited
    /// for it: or a restart would know two holders.
    #[tokio::test]
    async fn a_release_that_failed_comes_before_what_is_granted_after_it() {
        let faulty = FaultDisk::new();
        let store = on(&faulty);
        let desk = Desk::restore(&store, at(0)).unwrap();
        assert!(matches!(acquire(&desk, &store, at(0), 1).await, Acquisition::Granted(_)));
        faulty.fail_next_sync();
        drop(release(&desk, &store, at(1), 1));
        until(|| store.resumed() == 1).await;
        let second = acquire(&desk, &store, at(2), 2).await;
        assert!(matches!(second, Acquisition::Granted(_)));
        let restarted = Desk::restore(&store, at(3)).unwrap();
        assert_eq!(restarted.used(at(3), LICENSE), 1);
    }

    /// Whoever waits for a seat is called even if the one who gave it back went away at once.
    #[tokio::test]
    async fn a_release_nobody_waits_for_calls_the_next_in_line() {
        let store = on(&FaultDisk::new());
        let desk = Desk::restore(&store, at(0)).unwrap();
        acquire(&desk, &store, at(0), 1).await;
        let place = desk.join_line(LICENSE).unwrap();
        let called = place.line.notified();
        store.wait_durable(release(&desk, &store, at(1), 1).unwrap().number).await.unwrap();
        desk.sweep(&store, at(2));
        tokio::time::timeout(Duration::from_secs(5), called).await.expect("it is called");
    }

    /// Tens of thousands of seats that lapse at the same moment are more than one append takes.
    #[tokio::test]
    async fn any_number_of_seats_may_lapse_at_once() {
        const SEATS: u32 = 40_000;
        let store = on(&FaultDisk::new());
        let desk = Desk::restore(&store, at(0)).unwrap();
        let mut last = None;
        for machine in 0..u128::from(SEATS) {
            let (outcome, ticket) = ask(&desk, &store, at(0), machine, SEATS).unwrap();
            assert!(matches!(outcome, Acquisition::Granted(_)));
            last = ticket;
            if machine % 1_000 == 999 {
                desk.arrive(last.take()).await.unwrap();
            }
        }
        desk.arrive(last).await.unwrap();
        let (outcome, ticket) = ask(&desk, &store, at(SEAT_TTL_MS), 999_999, SEATS).unwrap();
        assert!(matches!(outcome, Acquisition::Granted(_)));
        desk.arrive(ticket).await.unwrap();
        let restarted = Desk::restore(&store, at(SEAT_TTL_MS)).unwrap();
        assert_eq!(restarted.used(at(SEAT_TTL_MS), LICENSE), 1);
    }
}
