//! What the seat engine promises: [`spec`] sentence by sentence, [`journal`] with the durable log,
//! [`codec`] byte by byte, [`model`] against a [`naive`] engine over random histories.

mod codec;
mod journal;
mod model;
mod naive;
mod spec;

use uuid::Uuid;

use super::{
    Acquire, Acquisition, Engine, Event, Gate, Grant, Heartbeat, Reason, Release, SEAT_TTL_MS,
    Schedule,
};
use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::license::LicenseStatus;
use crate::domain::time::{Mono, Now, Timestamp};

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: Timestamp = Timestamp(1_767_225_600_000);

fn license(number: u128) -> LicenseId {
    LicenseId(Uuid::from_u128(number))
}

fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

fn active(revision: u64, max_seats: u32) -> Gate {
    Gate { revision, max_seats, schedule: Schedule::always(LicenseStatus::Active) }
}

/// An engine with a clock and an endless supply of session ids, asked in few words.
struct Desk {
    engine: Engine,
    now: Now,
    sessions: u128,
    /// The events of the last command.
    events: Vec<Event>,
}

impl Desk {
    fn new() -> Self {
        let now = Now { wall: NEW_YEAR, mono: Mono(1_000) };
        Self { engine: Engine::new(SEAT_TTL_MS), now, sessions: 0, events: Vec::new() }
    }

    fn pass(&mut self, ms: u64) {
        self.now = Now { wall: self.now.wall + ms as i64, mono: self.now.mono.plus_ms(ms) };
    }

    fn acquire(&mut self, license_id: LicenseId, gate: Gate, hardware_id: &str) -> Acquisition {
        self.sessions += 1;
        let session_id = session(self.sessions);
        self.events.clear();
        let gate = Some(gate);
        let ask = Acquire { license_id, gate, hardware_id, session_id, metadata: None };
        self.engine.acquire(self.now, &ask, &mut self.events)
    }

    fn granted(&mut self, license_id: LicenseId, gate: Gate, hardware_id: &str) -> SessionId {
        match self.acquire(license_id, gate, hardware_id) {
            Acquisition::Granted(grant) => grant.session_id,
            other => panic!("{hardware_id} was not granted a seat but told {other:?}"),
        }
    }

    fn heartbeat(&mut self, session_id: SessionId) -> Heartbeat {
        self.events.clear();
        self.engine.heartbeat(self.now, session_id, &mut self.events)
    }

    fn release(&mut self, session_id: SessionId) -> Release {
        self.events.clear();
        self.engine.release(self.now, session_id, &mut self.events)
    }

    fn evict(&mut self, license_id: LicenseId, session_id: SessionId) -> Release {
        self.events.clear();
        self.engine.evict(self.now, license_id, session_id, &mut self.events)
    }

    fn sweep(&mut self, budget: usize) -> bool {
        self.events.clear();
        self.engine.sweep(self.now, budget, &mut self.events)
    }

    fn used(&self, license_id: LicenseId) -> u32 {
        self.engine.used(self.now, license_id)
    }
}

fn lapsed(license_id: LicenseId, session_id: SessionId) -> Event {
    Event::Released { license_id, session_id, reason: Reason::Lapsed }
}
