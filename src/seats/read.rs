//! Looking without changing anything. What has lapsed is not shown, freed or not.

use super::engine::Engine;
use super::list::{self, BY_START};
use super::seat::Seat;
use super::slab::{NIL, Slot};
use crate::domain::error::SeatCount;
use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::time::{Mono, Now, Timestamp};

/// A session as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionView {
    /// Who holds the seat.
    pub session_id: SessionId,
    /// Whose seat.
    pub license_id: LicenseId,
    /// The machine that holds it.
    pub hardware_id: Box<str>,
    /// What the application said about itself.
    pub metadata: Option<Box<str>>,
    /// Calendar time of the grant.
    pub started_at: Timestamp,
    /// Calendar time when the holder was last heard from.
    pub last_heartbeat_at: Timestamp,
    /// Milliseconds until the seat lapses unless its holder is heard from. Add it to the
    /// calendar time of the reading for the wire's `expires_at`.
    pub expires_in_ms: u64,
}

/// Some sessions, and where to go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// At most as many as were asked for.
    pub items: Vec<SessionView>,
    /// Ask again after this for more; none when there is no more.
    pub next: Option<Cursor>,
}

/// The last session of a page. Worth nothing after a restart, when the order begins anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The grant's number, in order of grants.
    pub serial: u64,
    /// Where the seat was, so that it need not be searched for while it is held.
    pub slot: u32,
}

/// Counts over all pools.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Seats held now. A seat that lapsed counts until a command or the sweep has freed it.
    pub seats: usize,
    /// Licences the engine knows something of.
    pub pools: usize,
    /// The most seats held at once since the start.
    pub peak_seats: usize,
    /// Seats granted since the start.
    pub granted: u64,
    /// Seats denied since the start because every seat was held.
    pub denied: u64,
    /// Acquires and heartbeats refused since the start because the licence did not work.
    pub refused: u64,
    /// Seats that lapsed since the start.
    pub lapsed: u64,
}

impl Engine {
    /// How full a licence is. None when the engine does not know how many seats it has: nobody
    /// asked for one lately, or not since the start; then [`Engine::used`] tells the other half.
    pub fn seats(&self, now: Now, license_id: LicenseId) -> Option<SeatCount> {
        let gate = self.table.pools[self.table.pool(license_id)?].gate?;
        Some(SeatCount { max: gate.max_seats, used: self.used(now, license_id) })
    }

    /// How many seats of a licence are held.
    pub fn used(&self, now: Now, license_id: LicenseId) -> u32 {
        let Some(pool) = self.table.pool(license_id) else { return 0 };
        let (pool, mono) = (&self.table.pools[pool], self.mono_at(now));
        let in_order = pool.by_deadline.iter(&self.table.seats);
        pool.held - in_order.take_while(|&slot| self.table.seats[slot].lapsed(mono)).count() as u32
    }

    /// The number of the licence's newest grant that is still held; 0: none is.
    pub fn last_grant(&self, license_id: LicenseId) -> u64 {
        let Some(pool) = self.table.pool(license_id) else { return 0 };
        let newest = self.table.pools[pool].by_start.tail();
        newest.map_or(0, |slot| self.table.seats[slot].serial + 1)
    }

    /// One session.
    pub fn session(&self, now: Now, session_id: SessionId) -> Option<SessionView> {
        self.view(self.table.session(session_id)?, self.mono_at(now))
    }

    /// Who holds the seat of this machine, if it holds one.
    pub fn session_of(
        &self,
        now: Now,
        license_id: LicenseId,
        hardware_id: &str,
    ) -> Option<SessionId> {
        let slot = self.table.holder(self.table.pool(license_id)?, hardware_id)?;
        let seat = &self.table.seats[slot];
        (!seat.lapsed(self.mono_at(now))).then_some(seat.session_id)
    }

    /// The sessions of a licence, longest held first. A session that is held throughout is shown
    /// exactly once, whatever begins and ends between the pages. Costs what it shows; once the
    /// session of the cursor has ended, a walk through the pool.
    pub fn sessions(
        &self,
        now: Now,
        license_id: LicenseId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Page {
        let slots = self.table.pool(license_id).map(|pool| {
            let first = after.map_or_else(
                || self.table.pools[pool].by_start.head().unwrap_or(NIL),
                |after| self.first_after(pool, after),
            );
            list::from_slot::<BY_START>(&self.table.seats, first)
        });
        self.page(now, slots.into_iter().flatten(), limit)
    }

    /// The sessions of all licences, in no telling order. A session that is held throughout is
    /// shown exactly once. Costs what it shows.
    pub fn all_sessions(&self, now: Now, after: Option<Cursor>, limit: usize) -> Page {
        let first =
            self.table.seats.next_from(after.map_or(0, |after| after.slot.saturating_add(1)));
        let slots = std::iter::successors(first, |slot| self.table.seats.next_from(slot + 1));
        self.page(now, slots, limit)
    }

    /// Shows at most `count` held seats, lapsed ones included, from the slot `from` on; where to go on.
    /// For looking for a machine without holding the engine up.
    pub fn machines(
        &self,
        from: u32,
        count: usize,
        mut see: impl FnMut(LicenseId, &str),
    ) -> Option<u32> {
        let mut next = self.table.seats.next_from(from);
        for _ in 0..count {
            let slot = next?;
            let seat = &self.table.seats[slot];
            see(self.table.pools[seat.pool].license_id, seat.hardware_id());
            next = self.table.seats.next_from(slot + 1);
        }
        next
    }

    /// Counts over all pools.
    pub fn totals(&self) -> Totals {
        Totals { seats: self.table.seats.len(), pools: self.table.pools.len(), ..self.counters }
    }

    fn mono_at(&self, now: Now) -> Mono {
        self.mono.max(now.mono)
    }

    /// The first seat of the pool granted after the cursor's.
    fn first_after(&self, pool: Slot, after: Cursor) -> Slot {
        let still_held = |seat: &&Seat| seat.serial == after.serial && seat.pool == pool;
        if let Some(seat) = self.table.seats.get(after.slot).filter(still_held) {
            return seat.links[BY_START].next;
        }
        let mut in_order = self.table.pools[pool].by_start.iter(&self.table.seats);
        in_order.find(|&slot| self.table.seats[slot].serial > after.serial).unwrap_or(NIL)
    }

    fn page(&self, now: Now, slots: impl Iterator<Item = Slot>, limit: usize) -> Page {
        let mono = self.mono_at(now);
        let mut live = slots.filter_map(|slot| Some((slot, self.view(slot, mono)?)));
        let mut page = Page { items: Vec::new(), next: None };
        let mut last = None;
        for (slot, view) in live.by_ref().take(limit) {
            last = Some(Cursor { serial: self.table.seats[slot].serial, slot });
            page.items.push(view);
        }
        page.next = last.filter(|_| live.next().is_some());
        page
    }

    /// The seat as it is shown, unless it has lapsed.
    fn view(&self, slot: Slot, mono: Mono) -> Option<SessionView> {
        let seat = &self.table.seats[slot];
        (!seat.lapsed(mono)).then(|| SessionView {
            session_id: seat.session_id,
            license_id: self.table.pools[seat.pool].license_id,
            hardware_id: seat.hardware_id().into(),
            metadata: seat.metadata().map(Into::into),
            started_at: seat.started_at,
            last_heartbeat_at: seat.last_heartbeat_at,
            expires_in_ms: mono.ms_until(seat.deadline),
        })
    }
}
