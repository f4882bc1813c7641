//! A seat and a pool, packed: there may be a million of each.

use super::event::Event;
use super::gate::Gate;
use super::list::{BY_DEADLINE, BY_START, Link, List};
use super::slab::Slot;
use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::time::{Mono, Timestamp};

/// A seat that is held.
pub(super) struct Seat {
    pub(super) session_id: SessionId,
    /// The hardware id, then the metadata: one allocation for both.
    text: Box<str>,
    hardware_len: u32,
    pub(super) pool: Slot,
    pub(super) started_at: Timestamp,
    pub(super) last_heartbeat_at: Timestamp,
    pub(super) deadline: Mono,
    pub(super) log_place: PackedLogPlace,
    /// Grows with every grant: the place in the pool's list by start, for paging.
    pub(super) serial: u64,
    pub(super) links: [Link; 2],
}

// A million seats are to stay within 250 MB, their hardware ids and the indexes included.
const _: () = assert!(size_of::<Option<Seat>>() <= 96);

impl Seat {
    pub(super) fn new(
        pool: Slot,
        session_id: SessionId,
        hardware_id: &str,
        metadata: Option<&str>,
    ) -> Self {
        let text = metadata
            .map_or_else(|| hardware_id.into(), |metadata| [hardware_id, metadata].concat().into());
        Self {
            session_id,
            text,
            hardware_len: hardware_id.len() as u32,
            pool,
            started_at: Timestamp(0),
            last_heartbeat_at: Timestamp(0),
            deadline: Mono(0),
            log_place: LogPlace::Nowhere.pack(),
            serial: 0,
            links: [Link::UNLINKED; 2],
        }
    }

    pub(super) fn hardware_id(&self) -> &str {
        &self.text[..self.hardware_len as usize]
    }

    pub(super) fn metadata(&self) -> Option<&str> {
        Some(&self.text[self.hardware_len as usize..]).filter(|text| !text.is_empty())
    }

    pub(super) fn lapsed(&self, mono: Mono) -> bool {
        self.deadline <= mono
    }

    /// The event that gives this seat back after a restart.
    pub(super) fn acquired(&self, license_id: LicenseId) -> Event {
        Event::Acquired {
            license_id,
            session_id: self.session_id,
            hardware_id: self.hardware_id().into(),
            started_at: self.started_at,
            last_heartbeat_at: self.last_heartbeat_at,
            metadata: self.metadata().map(Into::into),
        }
    }
}

/// A licence as the engine sees it.
pub(super) struct Pool {
    pub(super) license_id: LicenseId,
    /// Unknown after a restart, until the licence is looked up.
    pub(super) gate: Option<Gate>,
    /// Seats in the lists, lapsed ones that nobody has freed yet included.
    pub(super) held: u32,
    pub(super) by_deadline: List<BY_DEADLINE>,
    pub(super) by_start: List<BY_START>,
    /// When it was last asked for or lost a seat; an empty pool goes some time after that.
    pub(super) touched: Mono,
    /// When the sweep looks at it next; never later than its first deadline.
    pub(super) wake: Mono,
}

impl Pool {
    pub(super) fn new(license_id: LicenseId, mono: Mono, wake: Mono) -> Self {
        let (by_deadline, by_start) = (List::EMPTY, List::EMPTY);
        Self { license_id, gate: None, held: 0, by_deadline, by_start, touched: mono, wake }
    }
}

/// How far a grant is on its way into the durable log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LogPlace {
    /// Not handed to the log yet.
    Nowhere,
    /// Enqueued under this ticket.
    Queued(u64),
    /// In the durable record of this sequence number.
    Written(u64),
}

/// A [`LogPlace`] in eight bytes: the highest bit tells tickets from sequence numbers.
#[derive(Clone, Copy)]
pub(super) struct PackedLogPlace(u64);

const QUEUED: u64 = 1 << 63;

impl LogPlace {
    pub(super) fn pack(self) -> PackedLogPlace {
        let number = match self {
            Self::Nowhere => u64::MAX,
            Self::Queued(ticket) => ticket | QUEUED,
            Self::Written(seq) => seq & !QUEUED,
        };
        PackedLogPlace(number)
    }
}

impl PackedLogPlace {
    pub(super) fn unpack(self) -> LogPlace {
        match self.0 {
            u64::MAX => LogPlace::Nowhere,
            queued if queued & QUEUED != 0 => LogPlace::Queued(queued & !QUEUED),
            seq => LogPlace::Written(seq),
        }
    }
}
