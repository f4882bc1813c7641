//! The commands.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::POOL_IDLE_MS;
use super::event::{Event, Reason};
use super::gate::Gate;
use super::outcome::{Acquire, Acquisition, Grant, Heartbeat, Release};
use super::read::Totals;
use super::seat::{LogPlace, Pool, Seat};
use super::slab::Slot;
use super::table::Table;
use crate::domain::error::SeatCount;
use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::license::LicenseStatus;
use crate::domain::time::{Mono, Now};

/// Every pool and seat. See the [module](super) for what always holds.
///
/// Commands that change who holds a seat append to the caller's `events`, in the order in which
/// the log must have them.
pub struct Engine {
    ttl_ms: u64,
    /// The latest monotonic time seen.
    pub(super) mono: Mono,
    pub(super) table: Table,
    /// When to look at which pool. One entry per pool is valid, that of [`Pool::wake`]; others
    /// are left behind when a pool must be looked at earlier than thought, and skipped.
    due: BinaryHeap<Reverse<(Mono, Slot)>>,
    pub(super) counters: Totals,
}

impl Engine {
    /// No pools yet. A seat lives `ttl_ms` past its last heartbeat: [`SEAT_TTL_MS`](super::SEAT_TTL_MS),
    /// or less in tests.
    pub fn new(ttl_ms: u64) -> Self {
        Self {
            ttl_ms,
            mono: Mono(0),
            table: Table::new(),
            due: BinaryHeap::new(),
            counters: Totals::default(),
        }
    }

    /// Tells the engine what a licence allows. Ignored, with `false`, when it knows something newer.
    pub fn configure(&mut self, now: Now, license_id: LicenseId, gate: Gate) -> bool {
        self.tick(now);
        let pool = self.open_pool(license_id);
        self.apply(pool, Some(gate)) == Some(gate)
    }

    /// Gives a machine a seat, or the one it holds already.
    pub fn acquire(&mut self, now: Now, ask: &Acquire<'_>, events: &mut Vec<Event>) -> Acquisition {
        self.tick(now);
        let pool = self.open_pool(ask.license_id);
        let Some(gate) = self.apply(pool, ask.gate) else {
            return Acquisition::NeedsGate;
        };
        self.free_lapsed(pool, usize::MAX, events);

        let status = gate.schedule.status_at(now.wall);
        if !status.usable() {
            self.counters.refused += 1;
            return Acquisition::Refused { status };
        }
        if let Some(slot) = self.table.holder(pool, ask.hardware_id) {
            self.table.renew(slot, self.deadline(), now.wall);
            return Acquisition::AlreadyHeld(self.grant_of(slot, gate, status));
        }
        let used = self.table.pools[pool].held;
        if used >= gate.max_seats {
            self.counters.denied += 1;
            let first = self.table.first_to_lapse(pool).map(|slot| self.table.seats[slot].deadline);
            return Acquisition::Full {
                seats: SeatCount { max: gate.max_seats, used },
                retry_in_ms: first.map(|deadline| self.mono.ms_until(deadline)),
            };
        }
        let metadata = ask.metadata.filter(|text| !text.is_empty());
        let mut seat = Seat::new(pool, ask.session_id, ask.hardware_id, metadata);
        (seat.started_at, seat.last_heartbeat_at) = (now.wall, now.wall);
        events.push(seat.acquired(ask.license_id));
        let slot = self.add_seat(seat);
        self.counters.granted += 1;
        Acquisition::Granted(self.grant_of(slot, gate, status))
    }

    /// The holder was heard from. Changes nothing that the log must know, unless it comes too late.
    pub fn heartbeat(
        &mut self,
        now: Now,
        session_id: SessionId,
        events: &mut Vec<Event>,
    ) -> Heartbeat {
        self.tick(now);
        let Some(slot) = self.live_session(session_id, events) else {
            return Heartbeat::NotFound;
        };
        let pool = &self.table.pools[self.table.seats[slot].pool];
        let license_id = pool.license_id;
        let Some(gate) = pool.gate else {
            return Heartbeat::NeedsGate(license_id);
        };
        let status = gate.schedule.status_at(now.wall);
        if !status.usable() {
            self.counters.refused += 1;
            return Heartbeat::Refused { license_id, status };
        }
        self.table.renew(slot, self.deadline(), now.wall);
        Heartbeat::Alive { license_id, remaining_ms: self.ttl_ms, status }
    }

    /// The holder gives its seat back. Always possible, wherever the licence stands.
    pub fn release(&mut self, now: Now, session_id: SessionId, events: &mut Vec<Event>) -> Release {
        self.tick(now);
        self.give_back(session_id, None, Reason::Released, events)
    }

    /// A person takes back a seat of this licence. Another licence's is not found, and not touched.
    pub fn evict(
        &mut self,
        now: Now,
        license_id: LicenseId,
        session_id: SessionId,
        events: &mut Vec<Event>,
    ) -> Release {
        self.tick(now);
        self.give_back(session_id, Some(license_id), Reason::Evicted, events)
    }

    /// Frees seats that have lapsed, the earliest first within each pool, and forgets pools that
    /// were empty for long. `budget` bounds the work: seats freed plus pools looked at. True when
    /// there is more to do at once.
    ///
    /// Nothing depends on it but memory and counts: every command decides by itself what has lapsed.
    pub fn sweep(&mut self, now: Now, budget: usize, events: &mut Vec<Event>) -> bool {
        self.tick(now);
        let mut left = budget;
        loop {
            let Some(&Reverse((wake, pool))) = self.due.peek() else { return false };
            if wake > self.mono {
                return false;
            }
            if left == 0 {
                return true;
            }
            left -= 1;
            self.due.pop();
            if self.table.pools.get(pool).is_some_and(|pool| pool.wake == wake) {
                left -= self.free_lapsed(pool, left, events);
                self.look_again_or_forget(pool);
            }
        }
    }

    /// Time goes on. It never goes back, whatever the caller says.
    pub(super) fn tick(&mut self, now: Now) {
        self.mono = self.mono.max(now.mono);
    }

    /// The deadline of whoever is heard from now.
    pub(super) fn deadline(&self) -> Mono {
        self.mono.plus_ms(self.ttl_ms)
    }

    /// The licence's pool, made if there is none.
    pub(super) fn open_pool(&mut self, license_id: LicenseId) -> Slot {
        let mono = self.mono;
        if let Some(slot) = self.table.pool(license_id) {
            self.table.pools[slot].touched = mono;
            return slot;
        }
        let wake = mono.plus_ms(POOL_IDLE_MS);
        let slot = self.table.add_pool(Pool::new(license_id, mono, wake));
        self.due.push(Reverse((wake, slot)));
        slot
    }

    /// The newer of the gate known and the gate told, which is the pool's from now on.
    fn apply(&mut self, pool: Slot, told: Option<Gate>) -> Option<Gate> {
        let known = &mut self.table.pools[pool].gate;
        if let Some(told) = told
            && known.is_none_or(|known| known.revision <= told.revision)
        {
            *known = Some(told);
        }
        *known
    }

    /// Adds a seat whose holder was heard from now, and sees to it that the sweep comes in time.
    pub(super) fn add_seat(&mut self, mut seat: Seat) -> Slot {
        let deadline = self.deadline();
        seat.deadline = deadline;
        let pool_slot = seat.pool;
        let slot = self.table.add_seat(seat);
        let pool = &mut self.table.pools[pool_slot];
        if deadline < pool.wake {
            pool.wake = deadline;
            self.due.push(Reverse((deadline, pool_slot)));
        }
        self.counters.peak_seats = self.counters.peak_seats.max(self.table.seats.len());
        slot
    }

    /// Frees a seat and says so.
    pub(super) fn free(
        &mut self,
        slot: Slot,
        reason: Reason,
        events: &mut Vec<Event>,
    ) -> LicenseId {
        let (license_id, session_id) = self.take(slot);
        self.counters.lapsed += u64::from(reason == Reason::Lapsed);
        events.push(Event::Released { license_id, session_id, reason });
        license_id
    }

    /// Frees a seat.
    pub(super) fn take(&mut self, slot: Slot) -> (LicenseId, SessionId) {
        let seat = self.table.remove_seat(slot);
        let pool = &mut self.table.pools[seat.pool];
        pool.touched = self.mono;
        (pool.license_id, seat.session_id)
    }

    /// Frees seats of the pool that have lapsed, at most so many. Each seat is freed once, so a
    /// command that frees many pays for those that did not have to.
    fn free_lapsed(&mut self, pool: Slot, at_most: usize, events: &mut Vec<Event>) -> usize {
        let mut freed = 0;
        while freed < at_most
            && let Some(slot) = self.table.first_to_lapse(pool)
            && self.table.seats[slot].lapsed(self.mono)
        {
            self.free(slot, Reason::Lapsed, events);
            freed += 1;
        }
        freed
    }

    /// The session's seat if it is live. One that has lapsed is freed here.
    fn live_session(&mut self, session_id: SessionId, events: &mut Vec<Event>) -> Option<Slot> {
        let slot = self.table.session(session_id)?;
        if self.table.seats[slot].lapsed(self.mono) {
            self.free(slot, Reason::Lapsed, events);
            return None;
        }
        Some(slot)
    }

    fn give_back(
        &mut self,
        session_id: SessionId,
        of: Option<LicenseId>,
        reason: Reason,
        events: &mut Vec<Event>,
    ) -> Release {
        let Some(slot) = self.table.session(session_id) else {
            return Release::NotFound;
        };
        let owner = self.table.pools[self.table.seats[slot].pool].license_id;
        if of.is_some_and(|license_id| license_id != owner)
            || self.live_session(session_id, events).is_none()
        {
            return Release::NotFound;
        }
        Release::Released { license_id: self.free(slot, reason, events) }
    }

    fn grant_of(&self, slot: Slot, gate: Gate, status: LicenseStatus) -> Grant {
        let seat = &self.table.seats[slot];
        Grant {
            session_id: seat.session_id,
            started_at: seat.started_at,
            remaining_ms: self.mono.ms_until(seat.deadline),
            status,
            seats: SeatCount { max: gate.max_seats, used: self.table.pools[seat.pool].held },
            awaiting: match seat.log_place.unpack() {
                LogPlace::Queued(ticket) => Some(ticket),
                LogPlace::Nowhere | LogPlace::Written(_) => None,
            },
        }
    }

    /// After a look at a pool: the next look, or, when it was empty for long, none.
    fn look_again_or_forget(&mut self, slot: Slot) {
        let first = self.table.first_to_lapse(slot).map(|seat| self.table.seats[seat].deadline);
        let pool = &mut self.table.pools[slot];
        let wake = first.unwrap_or_else(|| pool.touched.plus_ms(POOL_IDLE_MS));
        if first.is_none() && wake <= self.mono {
            self.table.remove_pool(slot);
        } else {
            pool.wake = wake;
            self.due.push(Reverse((wake, slot)));
        }
    }
}
