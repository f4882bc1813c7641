//! Time as the domain sees it: a parameter, never a call.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Milliseconds in a second.
pub const SECOND_MS: i64 = 1_000;
/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds in a day of 24 hours.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// A point in calendar time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// 9999-12-31T23:59:59Z: the `exp` of a document that does not end.
    pub const NEVER: Self = Self(253_402_300_799_000);

    /// Whole seconds since the epoch, rounded down (a JWT `NumericDate`).
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(SECOND_MS)
    }

    /// This instant moved by whole days of 24 hours.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        self + i64::from(days) * DAY_MS
    }

    /// The same day and time `months` later; the 31st becomes the month's last day.
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        let Ok(now) = jiff::Timestamp::from_millisecond(self.0) else {
            return self;
        };
        let later = now
            .to_zoned(jiff::tz::TimeZone::UTC)
            .checked_add(jiff::Span::new().months(i64::from(months)));
        later.map_or(Self::NEVER, |zoned| Self(zoned.timestamp().as_millisecond()))
    }

    /// The calendar month in UTC that is `months` before this instant's, as `2026-11`.
    pub fn month_before(self, months: u32) -> String {
        let day = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        let day = day.to_zoned(jiff::tz::TimeZone::UTC).date();
        let earlier = day.saturating_sub(jiff::Span::new().months(i64::from(months)));
        format!("{:04}-{:02}", earlier.year(), earlier.month())
    }

    /// The calendar year in UTC.
    pub fn year(self) -> i16 {
        jiff::Timestamp::from_millisecond(self.0)
            .map_or(1970, |t| t.to_zoned(jiff::tz::TimeZone::UTC).year())
    }
}

/// RFC 3339 in UTC with `Z`, milliseconds where there are any.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let instant: jiff::Timestamp = text.parse()?;
        Ok(Self(instant.as_millisecond()))
    }
}

/// Adds milliseconds.
impl Add<i64> for Timestamp {
    type Output = Self;

    fn add(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// The milliseconds from `other` to `self`.
impl Sub for Timestamp {
    type Output = i64;

    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// A point on a clock that never runs backwards and knows no calendar:
/// milliseconds since an arbitrary start. Seats live by this clock alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Mono(pub u64);

impl Mono {
    /// This instant moved forward.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds until `later`; zero when that has passed.
    pub fn ms_until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

/// Both clocks read together: what a command needs to know of the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Calendar time, for dates people read and agree on.
    pub wall: Timestamp,
    /// Monotonic time, for everything that lapses.
    pub mono: Mono,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_counted_back_from_whatever_day() {
        for (day, month) in [
            ("2027-03-01", "2026-04"),
            ("2027-03-31", "2026-04"),
            ("2027-12-31", "2027-01"),
            ("2028-01-30", "2027-02"),
        ] {
            let at: Timestamp = format!("{day}T12:00:00Z").parse().unwrap();
            assert_eq!(at.month_before(11), month, "{day}");
        }
        assert_eq!(Timestamp(0).month_before(0), "1970-01");
    }
}
