//! How often one may try: token buckets (GCRA) by address or by account.
//!
//! A bucket is kept under the keyed hash of its key, so entries have one size and no e-mail address
//! stays in memory. Their number is bounded: while it is reached, which takes an attack from a
//! hundred thousand addresses, everybody shares a few thousand buckets. Limits are then stricter
//! than promised, never absent.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

/// Buckets that are kept: about 64 bytes each.
const KEYS_MAX: usize = 100_000;

/// Buckets that are shared while the table is full.
const SHARED_BUCKETS: u64 = 4096;

/// After so many checks the full buckets are swept out.
const SWEEP_EVERY: u32 = 4096;

/// Tries left in the bucket: the `RateLimit` field's `remaining`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remaining(pub u32);

/// Whole seconds until the next try can succeed: `Retry-After`. At least 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryAfterSeconds(pub u32);

/// A rate limit for many keys.
pub struct Throttle<C: Clock = MonotonicClock> {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, C, StateInformationMiddleware>,
    hasher: RandomState,
    checks: AtomicU32,
    keys_max: usize,
    burst: u32,
}

impl Throttle {
    /// `burst` tries at once, refilled at `per_minute`. Zero counts as one.
    pub fn new(per_minute: u32, burst: u32) -> Self {
        let quota = Quota::per_minute(at_least_one(per_minute)).allow_burst(at_least_one(burst));
        Self::with_clock(quota, KEYS_MAX, MonotonicClock)
    }

    /// `quota` tries at once, and as many again within an hour. Zero counts as one.
    pub fn hourly(quota: u32) -> Self {
        let quota = Quota::per_hour(at_least_one(quota));
        Self::with_clock(quota, KEYS_MAX, MonotonicClock)
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

impl<C: Clock> Throttle<C> {
    fn with_clock(quota: Quota, keys_max: usize, clock: C) -> Self {
        let burst = quota.burst_size().get();
        let limiter = RateLimiter::new(quota, DashMapStateStore::default(), clock);
        Self { limiter, hasher: RandomState::new(), checks: AtomicU32::new(0), keys_max, burst }
    }

    /// Takes one try from the bucket of `key`.
    pub fn check(&self, key: &(impl Hash + ?Sized)) -> Result<Remaining, RetryAfterSeconds> {
        // Sweeping walks over all buckets, so it is done seldom; a full table is swept no oftener,
        // or an attacker could make everybody pay for it.
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let hash = self.hasher.hash_one(key);
        let bucket = if self.limiter.len() < self.keys_max { hash } else { hash % SHARED_BUCKETS };
        match self.limiter.check_key(&bucket) {
            Ok(state) => Ok(Remaining(state.remaining_burst_capacity())),
            Err(refusal) => {
                let wait = refusal.wait_time_from(self.limiter.clock().now());
                Err(RetryAfterSeconds(wait.as_millis().div_ceil(1000).max(1) as u32))
            }
        }
    }

    /// Tries at once: the `RateLimit-Policy` field's quota.
    pub fn burst(&self) -> u32 {
        self.burst
    }
}

/// What an address counts as: an IPv4 address alone, an IPv6 address with the 2^64 others of its subnet,
/// which one customer of a provider may use at will (RFC 6177).
pub fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn throttle(
        per_minute: u32,
        burst: u32,
        keys_max: usize,
    ) -> (Throttle<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_minute(at_least_one(per_minute)).allow_burst(at_least_one(burst));
        (Throttle::with_clock(quota, keys_max, clock.clone()), clock)
    }

    #[test]
    fn a_burst_is_allowed_then_one_try_per_interval() {
        let (throttle, clock) = throttle(6, 3, 100);
        for remaining in [2, 1, 0] {
            assert_eq!(throttle.check("ann"), Ok(Remaining(remaining)));
        }
        assert_eq!(throttle.check("ann"), Err(RetryAfterSeconds(10)));
        clock.advance(Duration::from_millis(9_999));
        assert_eq!(throttle.check("ann"), Err(RetryAfterSeconds(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(throttle.check("ann"), Ok(Remaining(0)));
        clock.advance(Duration::from_mins(10));
        assert_eq!(throttle.check("ann"), Ok(Remaining(2)), "a bucket never overflows");
    }

    #[test]
    fn keys_do_not_touch_one_another() {
        let (throttle, _) = throttle(1, 1, 100);
        assert!(throttle.check("ann").is_ok());
        assert!(throttle.check("ann").is_err());
        assert!(throttle.check("bob").is_ok());
    }

    #[test]
    fn memory_is_bounded_while_ever_new_keys_come() {
        let (throttle, _) = throttle(1, 1, 1000);
        for key in 0..50_000_u32 {
            let _ = throttle.check(&key);
        }
        let kept = throttle.limiter.len();
        assert!(kept <= 1000 + SHARED_BUCKETS as usize, "{kept}");
    }

    #[test]
    fn buckets_that_filled_up_again_are_swept_out() {
        let (throttle, clock) = throttle(60, 1, 100_000);
        for key in 0..SWEEP_EVERY - 2 {
            throttle.check(&key).unwrap();
        }
        clock.advance(Duration::from_hours(1));
        throttle.check("late").unwrap();
        throttle.check("later").unwrap();
        assert!(throttle.limiter.len() <= 2, "{}", throttle.limiter.len());
    }

    #[test]
    fn a_subnet_counts_as_one_address() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.7"), key("192.0.2.7"));
        assert_ne!(key("192.0.2.7"), key("192.0.2.8"));
    }

    #[test]
    fn zero_means_one_so_that_a_slip_in_the_settings_locks_nobody_out() {
        let (throttle, _) = throttle(0, 0, 10);
        assert_eq!(throttle.check("ann"), Ok(Remaining(0)));
    }
}
