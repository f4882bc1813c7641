//! The clock that a seat's time is counted on.

use std::time::Duration;

use tokio::time::Instant;

/// How long a wait may go on without a look at the clock: when a machine wakes up, the runtime's timer
/// has not moved.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// To what precision sleep is counted, in milliseconds.
#[cfg(target_os = "linux")]
const STEP_MS: u64 = 10;

/// A point in time on a clock that cannot be set, and that runs on while the machine sleeps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Moment(Instant);

impl Moment {
    /// Now.
    pub(super) fn now() -> Self {
        Self(Instant::now() + asleep())
    }

    /// This moment and so much more. Saturates, should it be beyond all reckoning.
    pub(super) fn plus(self, time: Duration) -> Self {
        Self(self.0.checked_add(time).unwrap_or(self.0))
    }

    /// The time from `earlier` until here; nothing when that is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The time from now until here; nothing when it has come.
    pub(super) fn left(self) -> Duration {
        self.since(Self::now())
    }

    /// Waits until it has come. What is missed while the machine sleeps is noticed soon after.
    pub(super) async fn arrive(self) {
        loop {
            let left = self.left();
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK_EVERY)).await;
        }
    }
}

/// How long the machine has slept since it was started: the runtime's clock stands still meanwhile.
#[cfg(target_os = "linux")]
fn asleep() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    // Whatever happens between both readings only adds to the difference: of some the least is right.
    let reading = |_| {
        let awake = clock_gettime(ClockId::Monotonic);
        let all = clock_gettime(ClockId::Boottime);
        (all.tv_sec - awake.tv_sec) * 1_000_000_000 + (all.tv_nsec - awake.tv_nsec)
    };
    let nanos = (0..3).map(reading).min().unwrap_or_default();
    // In whole steps, so that the time between two moments is exact while nothing sleeps.
    Duration::from_millis(nanos.max(0) as u64 / 1_000_000 / STEP_MS * STEP_MS)
}

/// Elsewhere the monotonic clock has to do.
#[cfg(not(target_os = "linux"))]
fn asleep() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_moment_arrives_when_its_time_has_passed_and_not_before() {
        let start = Moment::now();
        let later = start.plus(Duration::from_mins(7));
        assert_eq!(later.left(), Duration::from_mins(7));
        later.arrive().await;
        assert_eq!(later.left(), Duration::ZERO);
        let passed = Moment::now().since(start);
        assert!(
            passed >= Duration::from_mins(7) && passed < Duration::from_secs(421),
            "{passed:?}"
        );
        assert_eq!(start.since(later), Duration::ZERO);
    }

    #[test]
    fn a_time_beyond_all_reckoning_is_no_panic() {
        let now = Moment::now();
        assert!(now.plus(Duration::MAX) >= now);
    }
}
