//! What a licence allows, as the engine needs to know it.

use crate::domain::license::{License, LicenseStatus};
use crate::domain::time::Timestamp;

/// What a licence allows. Small and copied into its pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gate {
    /// Grows with every change of the licence; an older gate never replaces a newer one.
    pub revision: u64,
    /// How many seats may be held at once.
    pub max_seats: u32,
    /// Where the licence stands, and when that changes by itself.
    pub schedule: Schedule,
}

/// The gate that a licence's record describes.
impl From<&License> for Gate {
    fn from(license: &License) -> Self {
        Self {
            revision: license.revision,
            max_seats: license.max_concurrent_seats,
            schedule: Schedule::from_standings(&license.standings()),
        }
    }
}

/// How a licence's status moves through calendar time if nothing is done to it: the one at
/// first, then at most [`Schedule::CHANGES_MAX`] changes (say grace, then suspended). Of fixed
/// size, because there is one in every pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    first: LicenseStatus,
    status: [LicenseStatus; Self::CHANGES_MAX],
    from: [Timestamp; Self::CHANGES_MAX],
}

/// The instant of a change that never comes.
const NEVER: Timestamp = Timestamp(i64::MAX);

impl Schedule {
    /// The most changes a schedule holds.
    pub const CHANGES_MAX: usize = 2;

    /// One status for all time.
    pub fn always(status: LicenseStatus) -> Self {
        Self::new(status, [])
    }

    /// `first` from the beginning of time, then each change from its instant on, in order. More
    /// changes than [`Schedule::CHANGES_MAX`] do not compile.
    pub fn new<const N: usize>(
        first: LicenseStatus,
        changes: [(Timestamp, LicenseStatus); N],
    ) -> Self {
        const { assert!(N <= Self::CHANGES_MAX, "a schedule holds two changes") };
        let mut schedule =
            Self { first, status: [first; Self::CHANGES_MAX], from: [NEVER; Self::CHANGES_MAX] };
        for (nth, (from, status)) in changes.into_iter().enumerate() {
            schedule.status[nth] = status;
            schedule.from[nth] = from;
        }
        schedule
    }

    /// From the shape of [`License::standings`]: the first entry from the beginning of time, then
    /// the changes in order. No entry at all reads as inactive, which admits nobody.
    pub fn from_standings(standings: &[(Timestamp, LicenseStatus)]) -> Self {
        debug_assert!(
            standings.len() <= 1 + Self::CHANGES_MAX,
            "a licence has at most three standings"
        );
        match *standings {
            [] => Self::always(LicenseStatus::Inactive),
            [(_, first)] => Self::always(first),
            [(_, first), then] => Self::new(first, [then]),
            [(_, first), then, at_last, ..] => Self::new(first, [then, at_last]),
        }
    }

    /// The status at `wall`. A change counts from its instant on, that instant included.
    pub fn status_at(&self, wall: Timestamp) -> LicenseStatus {
        (0..Self::CHANGES_MAX)
            .rev()
            .find(|&nth| self.from[nth] != NEVER && self.from[nth] <= wall)
            .map_or(self.first, |nth| self.status[nth])
    }
}
