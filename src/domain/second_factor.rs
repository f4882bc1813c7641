//! A second factor: the codes of somebody's authenticator app, asked for beside the password, and the
//! recovery codes that take the place of it or of a passkey.

use serde::{Deserialize, Serialize};

use super::ids::UserId;
use super::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp};

/// How long a secret that was shown waits for the first code.
const PENDING_MS: i64 = HOUR_MS;
/// Wrong codes at once, before one may be tried a minute: somebody who knows the password tries some
/// 1,400 of a million in a day, of which three are right.
pub const MISSES_AT_ONCE: u32 = 5;
/// How long a wrong code counts.
const MISS_MS: i64 = MINUTE_MS;
/// An owner whose account is being guessed at is told so this often.
const WARN_EVERY_MS: i64 = DAY_MS;

/// What there is of an account's second factor. Whether it is asked for stands in
/// [`super::user::User::second_factor_since`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// Whose.
    pub user_id: UserId,
    /// The secret that the app knows, sealed under the master key. Empty: there is no app.
    pub sealed_secret: Vec<u8>,
    /// A secret that was shown and waits for its first code.
    #[serde(default)]
    pub pending: Option<Pending>,
    /// The newest step whose code was used: none of it or of an earlier one is good any more.
    #[serde(default)]
    pub last_step: Option<u64>,
    /// SHA-256 of the recovery codes that are left.
    #[serde(default)]
    pub recovery_digests: Vec<[u8; 32]>,
    /// When the last of the wrong codes is forgotten, if each counts for a minute after the one before.
    #[serde(default)]
    pub misses_until: Timestamp,
    /// When the owner was told last that somebody guesses.
    #[serde(default)]
    pub warned_at: Option<Timestamp>,
}

/// A secret that waits for its first code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Sealed under the master key.
    pub sealed_secret: Vec<u8>,
    /// When it was shown.
    pub began_at: Timestamp,
}

impl Pending {
    /// Whether the first code comes too late.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now - self.began_at >= PENDING_MS
    }
}

impl SecondFactor {
    /// That of an account that has none yet.
    pub fn new(user_id: UserId) -> Self {
        Self {
            user_id,
            sealed_secret: Vec::new(),
            pending: None,
            last_step: None,
            recovery_digests: Vec::new(),
            misses_until: Timestamp(0),
            warned_at: None,
        }
    }

    /// Whether there is an app whose codes are taken.
    pub fn has_app(&self) -> bool {
        !self.sealed_secret.is_empty()
    }

    /// The app that waited is the one from now on.
    pub fn adopt(&mut self, pending: Pending) {
        self.sealed_secret = pending.sealed_secret;
        self.pending = None;
    }

    /// The app is no more.
    pub fn drop_app(&mut self) {
        (self.sealed_secret, self.last_step) = (Vec::new(), None);
    }

    /// Uses the code of a step; whether neither it nor a later one was used before.
    pub fn spend(&mut self, step: u64) -> bool {
        let fresh = self.last_step.is_none_or(|last| step > last);
        if fresh {
            self.last_step = Some(step);
        }
        fresh
    }

    /// Notes a wrong code.
    pub fn miss(&mut self, now: Timestamp) {
        self.misses_until = self.misses_until.max(now) + MISS_MS;
    }

    /// In how many seconds a code may be tried again; `None`: now.
    pub fn wait_s(&self, now: Timestamp) -> Option<u32> {
        let wait_ms = self.misses_until - now - i64::from(MISSES_AT_ONCE - 1) * MISS_MS;
        // More than this nobody gathers; the calendar was set back, and must lock nobody out.
        let credible = (1..=MISS_MS).contains(&wait_ms);
        credible.then(|| wait_ms.unsigned_abs().div_ceil(1000) as u32)
    }

    /// Whether the owner is to be told now that somebody guesses, who must know the password.
    pub fn warns(&mut self, now: Timestamp) -> bool {
        let due = self.wait_s(now).is_some()
            && self.warned_at.is_none_or(|warned_at| now - warned_at >= WARN_EVERY_MS);
        if due {
            self.warned_at = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor() -> SecondFactor {
        SecondFactor::new(UserId(uuid::Uuid::nil()))
    }

    #[test]
    fn a_step_is_good_once_and_none_before_it() {
        let mut factor = factor();
        assert!(factor.spend(7));
        assert!(!factor.spend(7) && !factor.spend(6));
        assert!(factor.spend(8));
    }

    #[test]
    fn five_wrong_codes_at_once_then_one_a_minute() {
        let mut factor = factor();
        let start = Timestamp(1_000_000_000);
        for _ in 0..MISSES_AT_ONCE {
            assert_eq!(factor.wait_s(start), None);
            factor.miss(start);
        }
        assert_eq!(factor.wait_s(start), Some(60));
        assert_eq!(factor.wait_s(start + 59_001), Some(1));
        assert_eq!(factor.wait_s(start + 60_000), None);
        factor.miss(start + 60_000);
        assert_eq!(factor.wait_s(start + 60_000), Some(60));
        assert_eq!(factor.wait_s(start + HOUR_MS), None);
        assert_eq!(factor.wait_s(Timestamp(0)), None, "the calendar was set back");
    }

    #[test]
    fn the_owner_is_warned_once_a_day() {
        let mut factor = factor();
        let start = Timestamp(1_000_000_000);
        assert!(!factor.warns(start));
        for _ in 0..MISSES_AT_ONCE {
            factor.miss(start);
        }
        assert!(factor.warns(start) && !factor.warns(start));
        for _ in 0..MISSES_AT_ONCE {
            factor.miss(start + DAY_MS);
        }
        assert!(factor.warns(start + DAY_MS));
    }
}
