//! Seats over time, and what has just changed, for those who look on.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::overview::Overview;
use super::{Actor, Services, Via};
use crate::domain::error::{Code, Error, Result, found};
use crate::domain::ids::LicenseId;
use crate::domain::license::LicenseStatus;
use crate::domain::time::{SECOND_MS, Timestamp};
use crate::store::{api_keys, users};

/// How often seats are counted.
const SAMPLE_EVERY_MS: i64 = 10 * SECOND_MS;
/// A day of counts.
const SAMPLES_MAX: usize = 8_640;
/// Points of an answer.
const POINTS_MAX: usize = 720;

/// Seats at one time, or the most within a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Seats held.
    pub live: u64,
    /// Seats refused within the span because every one was held.
    pub denials: u64,
}

/// Seats over the last day, as long as the server runs.
#[derive(Default)]
pub struct SeatHistory(Mutex<History>);

#[derive(Default)]
struct History {
    samples: VecDeque<Sample>,
    /// Refusals counted when the last sample was taken.
    denied: u64,
}

impl SeatHistory {
    /// Counts, when it is time.
    fn sample(&self, at: Timestamp, live: u64, denied: u64) {
        let mut history = self.0.lock();
        if history.samples.back().is_some_and(|last| (0..SAMPLE_EVERY_MS).contains(&(at - last.at)))
        {
            return;
        }
        let denials = denied.saturating_sub(history.denied);
        history.denied = denied;
        if history.samples.len() == SAMPLES_MAX {
            history.samples.pop_front();
        }
        history.samples.push_back(Sample { at, live, denials });
    }

    /// Oldest first; of neighbours that fall together, the most seats and all refusals.
    fn points(&self) -> Vec<Sample> {
        let history = self.0.lock();
        let together = history.samples.len().div_ceil(POINTS_MAX).max(1);
        let samples: Vec<Sample> = history.samples.iter().copied().collect();
        let join = |some: &[Sample]| Sample {
            at: some[some.len() - 1].at,
            live: some.iter().map(|sample| sample.live).max().unwrap_or_default(),
            denials: some.iter().map(|sample| sample.denials).sum(),
        };
        samples.chunks(together).map(join).collect()
    }
}

/// A licence as one who looks on sees it change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// Which.
    pub license_id: LicenseId,
    /// Where it stands.
    pub status: LicenseStatus,
    /// Seats held.
    pub seats_used: u32,
    /// Grows with every change of the licence.
    pub revision: u64,
    /// Grows with every seat that is granted.
    pub grants: u64,
}

impl Services {
    /// Counts seats for the history; called every second.
    pub fn sample_seats(&self) {
        let totals = self.desk.totals();
        self.history.sample(self.clock.now().wall, totals.seats as u64, totals.denied);
    }

    /// Seats over the last day, oldest first, for operators.
    pub fn seat_history(&self, actor: &Actor) -> Result<Vec<Sample>> {
        actor.require_operator()?;
        Ok(self.history.points())
    }

    /// What one who looks on may see now: `None` when they may not any more.
    pub fn look(&self, actor: &Actor, license: Option<LicenseId>) -> Result<Option<Look>> {
        if !self.may_still(actor)? {
            return Ok(None);
        }
        let overview = self.overview(actor)?;
        let license = match license {
            Some(id) => self.glimpse(actor, id)?,
            None => None,
        };
        Ok(Some(Look { overview, license }))
    }

    fn glimpse(&self, actor: &Actor, id: LicenseId) -> Result<Option<Glimpse>> {
        let Some(license) = found(self.license(actor, id))? else { return Ok(None) };
        let now = self.clock.now();
        let (seats_used, grants) = self.desk.used_and_granted(now, id);
        let status = license.status_at(now.wall);
        Ok(Some(Glimpse { license_id: id, status, seats_used, revision: license.revision, grants }))
    }

    /// Whether what the actor came by is good still.
    fn may_still(&self, actor: &Actor) -> Result<bool> {
        let now = self.clock.now().wall;
        self.store.read(|tx| {
            let came = match actor.via {
                Via::Local => return Ok(true),
                Via::SignIn(login_id) => users::login(tx, actor.user_id, login_id)?
                    .is_some_and(|it| it.lives(now, self.config.auth.refresh_idle_days)),
                Via::ApiKey(id) => {
                    api_keys::find(tx, actor.user_id, id)?.is_some_and(|key| key.is_good(now))
                }
            };
            let user = users::find(tx, actor.user_id)?;
            Ok(came && user.is_some_and(|user| user.operator && user.deactivated_at.is_none()))
        })
    }

    /// A place among those who look on, until it is dropped.
    ///
    /// # Errors
    /// `Overloaded` when there are too many.
    pub fn look_on(&self, actor: &Actor) -> Result<tokio::sync::OwnedSemaphorePermit> {
        actor.require_operator()?;
        std::sync::Arc::clone(&self.onlookers).try_acquire_owned().map_err(|_| {
            Error::new(
                Code::Overloaded,
                "Too many pages look on already; ask from time to time instead.",
            )
            .retry_after(30)
        })
    }
}

/// What one who looks on sees.
pub struct Look {
    /// The counts.
    pub overview: Overview,
    /// The licence that was asked about.
    pub license: Option<Glimpse>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_counts_is_kept_and_told_in_few_points() {
        let history = SeatHistory::default();
        for second in 0..200_000_u64 {
            history.sample(Timestamp(second as i64 * SECOND_MS), second, second);
        }
        let points = history.points();
        assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&points.len()), "{}", points.len());
        assert_eq!(points.last().map(|point| point.live), Some(199_990));
        let denials: u64 = points.iter().map(|point| point.denials).sum();
        assert_eq!(denials, SAMPLES_MAX as u64 * 10);
    }

    #[test]
    fn a_calendar_that_is_set_back_stops_nothing() {
        let history = SeatHistory::default();
        history.sample(Timestamp(100 * SECOND_MS), 1, 0);
        history.sample(Timestamp(SECOND_MS), 2, 0);
        assert_eq!(history.points().len(), 2);
    }
}
