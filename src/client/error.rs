//! What can stand between an application and its seat.

use std::fmt;
use std::time::Duration;

pub use crate::domain::error::SeatCount;

/// The result of what an application asks for.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no seat.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that was given cannot be used: an address, a certificate.
    #[error("{0}")]
    Settings(String),
    /// Nothing identifies this machine.
    #[error(
        "nothing on this machine identifies it: there is no machine id and no host name. Give a hardware id that stays the same"
    )]
    NoHardwareId,
    /// Every seat of the licence is held, and none came free in the time that was given.
    #[error("every seat of the licence is in use ({} of {})", .seats.used, .seats.max)]
    Full {
        /// How full it is.
        seats: SeatCount,
        /// When the first of them lapses, unless its holder is heard from.
        retry_after: Option<Duration>,
    },
    /// The server said no, and trying again would not change that.
    #[error("{0}")]
    Refused(Refusal),
    /// The server could not be reached, or did not answer as this server does.
    #[error("the licence server {server} cannot be reached: {cause}")]
    Unreachable {
        /// Its address.
        server: String,
        /// What went wrong.
        cause: String,
    },
}

/// A no of the server, with its reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The stable word for programs: `license_not_found`, `license_suspended`, `license_expired`,
    /// `license_revoked`, `license_inactive`, `validation_failed` ...
    pub code: String,
    /// What happened, why, and what to do; for people.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

/// Why a seat that was held is held no longer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Loss {
    /// The server could not be reached for so long that the seat has lapsed.
    Unreachable {
        /// What went wrong at the last try.
        cause: String,
    },
    /// The server no longer knew the seat, and all seats of the licence were taken since.
    Full {
        /// How full the licence is.
        seats: SeatCount,
    },
    /// The licence stopped being usable: suspended, expired, revoked.
    Refused(Refusal),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { cause } => {
                write!(f, "the licence server could not be reached in time: {cause}")
            }
            Self::Full { seats } => write!(
                f,
                "the seat had lapsed or was taken back, and every seat of the licence is in use ({} of {})",
                seats.used, seats.max
            ),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}
