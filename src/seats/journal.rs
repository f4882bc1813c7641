//! The engine's side of the durable log: which commit a grant waits for, which record it stands
//! in, how old records are cleaned, and how a start replays them.
//!
//! Tickets and sequence numbers are the caller's; both stay below 2^63 - 1.

use super::engine::Engine;
use super::event::{Event, Reason};
use super::seat::{LogPlace, Seat};
use super::slab::Slot;
use crate::domain::ids::SessionId;
use crate::domain::time::Now;

impl Engine {
    /// Remembers under which ticket the grant's event was enqueued, so that
    /// [`Grant::awaiting`](super::Grant::awaiting) can tell the next asker. Call it before letting go of the mutex.
    pub fn set_ticket(&mut self, session_id: SessionId, ticket: u64) {
        if let Some(slot) = self.table.session(session_id) {
            let place = &mut self.table.seats[slot].log_place;
            if !matches!(place.unpack(), LogPlace::Written(_)) {
                *place = LogPlace::Queued(ticket).pack();
            }
        }
    }

    /// Remembers that the session's `Acquired` event stands in the durable record `seq`. Older
    /// records than the one known are ignored, and so are sessions that have ended meanwhile.
    pub fn set_log_seq(&mut self, session_id: SessionId, seq: u64) {
        if let Some(slot) = self.table.session(session_id) {
            let place = &mut self.table.seats[slot].log_place;
            if !matches!(place.unpack(), LogPlace::Written(known) if known > seq) {
                *place = LogPlace::Written(seq).pack();
            }
        }
    }

    /// The durable record in which the session's `Acquired` event stands, once there is one.
    pub fn log_seq(&self, session_id: SessionId) -> Option<u64> {
        match self.table.seats[self.table.session(session_id)?].log_place.unpack() {
            LogPlace::Written(seq) => Some(seq),
            LogPlace::Nowhere | LogPlace::Queued(_) => None,
        }
    }

    /// What must be written anew before the record `seq`, the oldest in the log and holding
    /// `events`, can go: `Acquired` events for its sessions that are held still, unless they are
    /// known to stand in a later record. The log must have them before any event of a command that
    /// comes after this one; the old record goes in the same commit. Then
    /// [`Engine::set_log_seq`] the sessions to the new one.
    ///
    /// When in doubt a session is written anew: one with an earlier number comes from a cleaning
    /// that was reported as failed but reached the disk, one with a ticket from a commit whose
    /// success nobody told the engine. The record at hand proves that they are durable.
    pub fn relog(&self, seq: u64, events: &[Event]) -> Vec<Event> {
        let still_here = |event: &Event| match event {
            Event::Released { .. } => None,
            Event::Acquired { session_id, .. } => {
                let seat = &self.table.seats[self.table.session(*session_id)?];
                let later =
                    matches!(seat.log_place.unpack(), LogPlace::Written(known) if known > seq);
                (!later).then(|| seat.acquired(self.table.pools[seat.pool].license_id))
            }
        };
        events.iter().filter_map(still_here).collect()
    }

    /// Takes back a grant whose commit failed. False, and nothing changes, when the session has
    /// ended or is durable.
    ///
    /// The event it appends belongs into the log all the same: a commit that was reported as
    /// failed may have reached the disk.
    pub fn undo_acquire(&mut self, session_id: SessionId, events: &mut Vec<Event>) -> bool {
        let Some(slot) = self.table.session(session_id) else { return false };
        if matches!(self.table.seats[slot].log_place.unpack(), LogPlace::Written(_)) {
            return false;
        }
        self.free(slot, Reason::Undone, events);
        true
    }

    /// Replays the record `seq` at start; records come in the order of the log. Every session
    /// gets one full time to live from `now` to be heard from.
    ///
    /// Tolerant, because a record may tell what a later one told already: an unknown session's
    /// release is nothing, and a grant replaces whoever held its session id or hardware id. No
    /// limit is applied: what was granted stays granted.
    pub fn restore(&mut self, now: Now, seq: u64, events: impl IntoIterator<Item = Event>) {
        self.tick(now);
        for event in events {
            match event {
                Event::Released { session_id, .. } => self.forget(self.table.session(session_id)),
                Event::Acquired {
                    license_id,
                    session_id,
                    hardware_id,
                    started_at,
                    last_heartbeat_at,
                    metadata,
                } => {
                    let pool = self.open_pool(license_id);
                    self.forget(self.table.session(session_id));
                    self.forget(self.table.holder(pool, &hardware_id));
                    let metadata = metadata.filter(|text| !text.is_empty());
                    let mut seat = Seat::new(pool, session_id, &hardware_id, metadata.as_deref());
                    (seat.started_at, seat.last_heartbeat_at) = (started_at, last_heartbeat_at);
                    seat.log_place = LogPlace::Written(seq).pack();
                    self.add_seat(seat);
                }
            }
        }
    }

    /// Removes a seat of which the log knows that it is free.
    fn forget(&mut self, slot: Option<Slot>) {
        if let Some(slot) = slot {
            self.take(slot);
        }
    }
}
