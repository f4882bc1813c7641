//! What the durable log must remember of a command.

use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::time::Timestamp;

/// A change of who holds which seat. Heartbeats are none: a restart gives every session a full
/// time to live anyway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A seat was granted, or a live one is written anew so that an old record can go.
    Acquired {
        /// Whose seat.
        license_id: LicenseId,
        /// Who holds it.
        session_id: SessionId,
        /// The machine that holds it.
        hardware_id: Box<str>,
        /// Calendar time of the grant.
        started_at: Timestamp,
        /// Calendar time when the holder was last heard from.
        last_heartbeat_at: Timestamp,
        /// What the application said about itself, as it was given.
        metadata: Option<Box<str>>,
    },
    /// A seat became free.
    Released {
        /// Whose seat.
        license_id: LicenseId,
        /// Who held it.
        session_id: SessionId,
        /// Why it is free.
        reason: Reason,
    },
}

/// Why a seat became free.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The holder gave it back.
    Released,
    /// The holder was not heard from in time.
    Lapsed,
    /// A person took it back.
    Evicted,
    /// The grant could not be made durable, so its asker was refused.
    Undone,
}

impl Event {
    /// Whose seat it is about.
    pub fn license_id(&self) -> LicenseId {
        match self {
            Self::Acquired { license_id, .. } | Self::Released { license_id, .. } => *license_id,
        }
    }

    /// Which session it is about.
    pub fn session_id(&self) -> SessionId {
        match self {
            Self::Acquired { session_id, .. } | Self::Released { session_id, .. } => *session_id,
        }
    }
}
