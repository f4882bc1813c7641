//! What the engine is asked and what it answers.

use super::gate::Gate;
use crate::domain::error::SeatCount;
use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::license::LicenseStatus;
use crate::domain::time::Timestamp;

/// A machine asks for a seat.
#[derive(Clone, Copy, Debug)]
pub struct Acquire<'a> {
    /// Of which licence.
    pub license_id: LicenseId,
    /// What the asker knows of the licence, used unless the engine knows something newer. None
    /// trusts that the engine knows it: [`Acquisition::NeedsGate`] says when it does not.
    pub gate: Option<Gate>,
    /// Which machine. At most 256 characters; the caller has checked.
    pub hardware_id: &'a str,
    /// The id of the session, should one begin: fresh and random, for it is a bearer secret.
    pub session_id: SessionId,
    /// What the application says about itself. An empty text is none.
    pub metadata: Option<&'a str>,
}

/// The answer to [`Acquire`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acquisition {
    /// A seat was free and is the asker's now; answer once the grant is durable.
    Granted(Grant),
    /// This machine holds a seat already: the same session, heard from just now. The metadata it
    /// began with stays.
    AlreadyHeld(Grant),
    /// Every seat is held.
    Full {
        /// How full.
        seats: SeatCount,
        /// Milliseconds until the first seat can lapse; none when the licence has no seats at all.
        retry_in_ms: Option<u64>,
    },
    /// The licence does not work now.
    Refused {
        /// Where it stands.
        status: LicenseStatus,
    },
    /// Nobody told the engine of this licence lately: load it, then ask again with its gate.
    NeedsGate,
}

/// A seat that the asker holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The bearer secret to heartbeat and release with.
    pub session_id: SessionId,
    /// Calendar time of the grant.
    pub started_at: Timestamp,
    /// Milliseconds until the seat lapses unless its holder is heard from.
    pub remaining_ms: u64,
    /// Active, or in grace.
    pub status: LicenseStatus,
    /// How full the licence is, this seat included.
    pub seats: SeatCount,
    /// The ticket of the commit that makes the grant durable, while it is under way: wait for it
    /// before answering. None for a new grant, which has no ticket yet, and for a durable one.
    pub awaiting: Option<u64>,
}

/// The answer to a heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heartbeat {
    /// The seat is the holder's for another full time to live.
    Alive {
        /// Whose seat.
        license_id: LicenseId,
        /// Milliseconds until the seat lapses unless its holder is heard from again.
        remaining_ms: u64,
        /// Active, or in grace.
        status: LicenseStatus,
    },
    /// The licence stopped working. The deadline stays where it was: the seat lapses by itself,
    /// or lives on when the licence works again before that.
    Refused {
        /// Whose seat.
        license_id: LicenseId,
        /// Where the licence stands.
        status: LicenseStatus,
    },
    /// No such session: never begun, released, taken back, or lapsed.
    NotFound,
    /// The session was restored and its licence has not been looked up since the start:
    /// [`Engine::configure`](super::Engine::configure) it, then ask again.
    NeedsGate(LicenseId),
}

/// The answer to a release or an eviction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// The seat is free; answer once that is durable.
    Released {
        /// Whose seat.
        license_id: LicenseId,
    },
    /// No such session: never begun, released before, taken back, lapsed, or another licence's.
    NotFound,
}
