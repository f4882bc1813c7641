//! The seats and pools with their indexes and lists, kept in step. Knows no time and no rules.

use std::hash::{BuildHasher, RandomState};

use super::index::Index;
use super::seat::{Pool, Seat};
use super::slab::{Slab, Slot};
use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::time::{Mono, Timestamp};

/// Every seat and pool. A seat is in both lists of its pool and in both indexes, or nowhere.
pub(super) struct Table {
    pub(super) seats: Slab<Seat>,
    pub(super) pools: Slab<Pool>,
    by_session: Index,
    by_hardware: Index,
    by_license: Index,
    hashes: Hashes,
    next_serial: u64,
}

/// Hashes under keys of this process. Hardware ids are whatever a stranger sends, so the keys
/// must not be guessable; they change no outcome, so they need not be reproducible.
#[derive(Default)]
struct Hashes(RandomState);

impl Hashes {
    fn session(&self, session_id: SessionId) -> u64 {
        self.0.hash_one(session_id.0.as_u128())
    }

    fn license(&self, license_id: LicenseId) -> u64 {
        self.0.hash_one(license_id.0.as_u128())
    }

    fn hardware(&self, pool: Slot, hardware_id: &str) -> u64 {
        self.0.hash_one((pool, hardware_id))
    }

    fn hardware_of(&self, seat: &Seat) -> u64 {
        self.hardware(seat.pool, seat.hardware_id())
    }
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            seats: Slab::new(),
            pools: Slab::new(),
            by_session: Index::new(),
            by_hardware: Index::new(),
            by_license: Index::new(),
            hashes: Hashes::default(),
            next_serial: 0,
        }
    }

    pub(super) fn pool(&self, license_id: LicenseId) -> Option<Slot> {
        let hash = self.hashes.license(license_id);
        self.by_license.find(hash, |slot| self.pools[slot].license_id == license_id)
    }

    pub(super) fn session(&self, session_id: SessionId) -> Option<Slot> {
        let hash = self.hashes.session(session_id);
        self.by_session.find(hash, |slot| self.seats[slot].session_id == session_id)
    }

    pub(super) fn holder(&self, pool: Slot, hardware_id: &str) -> Option<Slot> {
        let hash = self.hashes.hardware(pool, hardware_id);
        self.by_hardware.find(hash, |slot| {
            let seat = &self.seats[slot];
            seat.pool == pool && seat.hardware_id() == hardware_id
        })
    }

    /// The seat of the pool that lapses first.
    pub(super) fn first_to_lapse(&self, pool: Slot) -> Option<Slot> {
        self.pools[pool].by_deadline.head()
    }

    pub(super) fn add_pool(&mut self, pool: Pool) -> Slot {
        let Self { pools, by_license, hashes, .. } = self;
        let hash = hashes.license(pool.license_id);
        let slot = pools.insert(pool);
        by_license.insert(hash, slot, |slot| hashes.license(pools[slot].license_id));
        slot
    }

    pub(super) fn remove_pool(&mut self, slot: Slot) {
        let pool = self.pools.remove(slot);
        debug_assert_eq!(pool.held, 0, "a pool that has seats stays");
        self.by_license.remove(self.hashes.license(pool.license_id), slot);
    }

    /// Adds a seat at the back of both lists of its pool. Nobody holds its (pool, hardware id),
    /// and its deadline is not before any other's of the pool.
    pub(super) fn add_seat(&mut self, mut seat: Seat) -> Slot {
        let Self { seats, pools, by_session, by_hardware, hashes, next_serial, .. } = self;
        seat.serial = *next_serial;
        *next_serial += 1;
        let (session, hardware) = (hashes.session(seat.session_id), hashes.hardware_of(&seat));
        let pool = &mut pools[seat.pool];
        let slot = seats.insert(seat);
        by_session.insert(session, slot, |slot| hashes.session(seats[slot].session_id));
        by_hardware.insert(hardware, slot, |slot| hashes.hardware_of(&seats[slot]));
        pool.by_deadline.push_back(seats, slot);
        pool.by_start.push_back(seats, slot);
        pool.held += 1;
        slot
    }

    pub(super) fn remove_seat(&mut self, slot: Slot) -> Seat {
        let Self { seats, pools, by_session, by_hardware, hashes, .. } = self;
        let pool = &mut pools[seats[slot].pool];
        pool.by_deadline.unlink(seats, slot);
        pool.by_start.unlink(seats, slot);
        pool.held -= 1;
        let seat = seats.remove(slot);
        by_session.remove(hashes.session(seat.session_id), slot);
        by_hardware.remove(hashes.hardware_of(&seat), slot);
        seat
    }

    /// The holder was heard from: the seat gets a deadline that is not before any other's.
    pub(super) fn renew(&mut self, slot: Slot, deadline: Mono, wall: Timestamp) {
        let seat = &mut self.seats[slot];
        seat.deadline = deadline;
        seat.last_heartbeat_at = wall;
        self.pools[seat.pool].by_deadline.move_to_back(&mut self.seats, slot);
    }

    /// Panics when an invariant of the structures does not hold. Walks everything.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let (mut seats, mut pools, mut next) = (0, 0, 0);
        while let Some(slot) = self.pools.next_from(next) {
            let pool = &self.pools[slot];
            assert_eq!(self.pool(pool.license_id), Some(slot));
            let order: Vec<Slot> = pool.by_deadline.iter(&self.seats).collect();
            assert!(
                order.windows(2).all(|w| self.seats[w[0]].deadline <= self.seats[w[1]].deadline)
            );
            let mut started: Vec<Slot> = pool.by_start.iter(&self.seats).collect();
            assert!(started.windows(2).all(|w| self.seats[w[0]].serial < self.seats[w[1]].serial));
            assert_eq!(order.len(), pool.held as usize);
            for &seat in &order {
                assert_eq!(self.seats[seat].pool, slot);
                assert_eq!(self.session(self.seats[seat].session_id), Some(seat));
                assert_eq!(self.holder(slot, self.seats[seat].hardware_id()), Some(seat));
            }
            let mut order = order;
            order.sort_unstable();
            started.sort_unstable();
            assert_eq!(order, started, "both lists hold the same seats");
            (seats, pools, next) = (seats + order.len(), pools + 1, slot + 1);
        }
        assert_eq!((seats, pools), (self.seats.len(), self.pools.len()));
    }
}
