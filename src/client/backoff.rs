//! How long to wait before trying again.

use std::time::Duration;

use crate::entropy::Entropy;

/// Pauses that double from the first to the longest, each shortened by chance by up to half, so that
/// clients that were cut off together do not come back together.
pub(super) struct Backoff {
    entropy: Entropy,
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Pauses from `first` to `longest`.
    pub(super) fn new(entropy: &Entropy, first: Duration, longest: Duration) -> Self {
        Self { entropy: entropy.clone(), next: first.min(longest), longest }
    }

    /// The next pause. One that the server asked for is the shortest it may be.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.longest);
        let pause = full / 2 + part(&self.entropy, full / 2);
        pause.max(asked.unwrap_or_default())
    }
}

/// A random part of `whole`.
pub(super) fn part(entropy: &Entropy, whole: Duration) -> Duration {
    const PARTS: u32 = 1 << 16;
    whole / PARTS * entropy.below(PARTS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(15);

    #[test]
    fn pauses_double_up_to_the_longest_and_are_shortened_by_half_at_most() {
        for seed in 0..100 {
            let mut backoff = Backoff::new(&Entropy::seeded(seed), FIRST, LONGEST);
            for full in [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000].map(Duration::from_millis)
            {
                let pause = backoff.pause(None);
                assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
            }
        }
    }

    #[test]
    fn chance_parts_those_who_were_cut_off_together() {
        let first = |seed| Backoff::new(&Entropy::seeded(seed), FIRST, LONGEST).pause(None);
        let different: std::collections::BTreeSet<Duration> = (0..100).map(first).collect();
        assert!(different.len() > 90, "{}", different.len());
    }

    #[test]
    fn what_the_server_asks_for_is_the_least() {
        let mut backoff = Backoff::new(&Entropy::seeded(1), FIRST, LONGEST);
        assert_eq!(backoff.pause(Some(Duration::from_secs(70))), Duration::from_secs(70));
        assert!(backoff.pause(Some(Duration::from_millis(1))) >= Duration::from_millis(500));
    }
}
