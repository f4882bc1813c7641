//! The only source of time. Everything else is handed a [`Now`].

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::time::{Mono, Now, Timestamp};

/// A shared clock: the system's, or one that a test moves.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    System { start: Instant },
    Manual { now: Mutex<Now>, moved: Notify },
}

impl Clock {
    /// The computer's clocks: `SystemTime` for the calendar, `Instant` for what lapses.
    pub fn system() -> Self {
        Self(Arc::new(Source::System { start: Instant::now() }))
    }

    /// A clock that stands still until [`Clock::advance`] or [`Clock::jump_wall`] moves it.
    pub fn manual(wall: Timestamp) -> Self {
        let now = Now { wall, mono: Mono(0) };
        Self(Arc::new(Source::Manual { now: Mutex::new(now), moved: Notify::new() }))
    }

    /// Both clocks, read together.
    pub fn now(&self) -> Now {
        match &*self.0 {
            Source::System { start } => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Now {
                    wall: Timestamp(since_epoch.as_millis() as i64),
                    mono: Mono(start.elapsed().as_millis() as u64),
                }
            }
            Source::Manual { now, .. } => *now.lock(),
        }
    }

    /// Moves a manual clock forward, calendar and monotonic alike. The system's clock ignores it.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { now, moved } = &*self.0 {
            let mut now = now.lock();
            now.wall = now.wall + by.as_millis() as i64;
            now.mono = now.mono.plus_ms(by.as_millis() as u64);
            moved.notify_waiters();
        }
    }

    /// Moves the calendar alone, forwards or backwards, as an administrator or NTP would.
    pub fn jump_wall(&self, by_ms: i64) {
        if let Source::Manual { now, moved } = &*self.0 {
            let mut now = now.lock();
            now.wall = now.wall + by_ms;
            moved.notify_waiters();
        }
    }

    /// Waits until about `until`, or until a manual clock moves. May wake early: look again.
    /// Never sleeps longer than `at_most`, so that a calendar that was set is noticed.
    pub async fn sleep_until(&self, until: Timestamp, at_most: Duration) {
        match &*self.0 {
            Source::System { .. } => {
                let wait = (until - self.now().wall).max(0) as u64;
                tokio::time::sleep(Duration::from_millis(wait).min(at_most)).await;
            }
            Source::Manual { now, moved } => {
                let notified = moved.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                let due = now.lock().wall >= until;
                if !due {
                    notified.await;
                }
            }
        }
    }
}
