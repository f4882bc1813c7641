//! Failed sign-ins of known accounts in the audit log, so few that nobody can fill it.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{Ctx, Services};
use crate::domain::error::Result;
use crate::domain::ids::UserId;
use crate::domain::time::{HOUR_MS, Timestamp};
use crate::domain::user::User;
use crate::store::WriteTx;

/// So many of an account are told one by one within an hour; then each tenth of that, and so on.
const ONE_BY_ONE: u32 = 10;

/// Accounts that are counted at one time. Beyond that, failures are in the metrics alone.
const ACCOUNTS_MAX: usize = 10_000;

/// How often each account's sign-in has failed within the hour.
#[derive(Default)]
pub struct Failures(Mutex<HashMap<UserId, Count>>);

struct Count {
    since: Timestamp,
    failed: u32,
}

impl Failures {
    /// Counts one more: how many there were within the hour, where that is to be told.
    fn another(&self, user_id: UserId, now: Timestamp) -> Option<u32> {
        let mut counts = self.0.lock();
        let over = |count: &Count| !(0..HOUR_MS).contains(&(now - count.since));
        if counts.len() >= ACCOUNTS_MAX && !counts.contains_key(&user_id) {
            counts.retain(|_, count| !over(count));
            if counts.len() >= ACCOUNTS_MAX {
                return None;
            }
        }
        let count = counts.entry(user_id).or_insert(Count { since: now, failed: 0 });
        if over(count) {
            *count = Count { since: now, failed: 0 };
        }
        count.failed = count.failed.saturating_add(1);
        let told = count.failed <= ONE_BY_ONE || is_power_of_ten(count.failed);
        told.then_some(count.failed)
    }
}

fn is_power_of_ten(number: u32) -> bool {
    10_u32.pow(number.max(1).ilog10()) == number
}

impl Services {
    /// Notes that somebody could not sign in to an account. Nobody waits for that: the answer must take
    /// as long as for an address that nobody has.
    pub(super) fn note_failed_sign_in(&self, ctx: &Ctx, user: &User, reason: &'static str) {
        let Some(failed) = self.sign_in_failures.another(user.user_id, ctx.now) else { return };
        let (ctx, store) = (ctx.clone(), self.store.clone());
        let (user_id, org_id) = (user.user_id, user.personal_org);
        let change = move |tx: &mut WriteTx<'_>| -> Result<()> {
            let told = [("reason", reason.to_owned()), ("within_hour", failed.to_string())];
            ctx.audit(tx, Some(org_id), "user.sign_in_failed", user_id, told)
        };
        tokio::spawn(async move {
            if let Err(error) = store.write(change).await {
                tracing::warn!(%error, "the audit log lacks a failed sign-in");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_hour_of_guessing_leaves_a_handful_of_entries() {
        let (failures, user) = (Failures::default(), UserId(Uuid::from_u128(1)));
        let start = Timestamp(1_800_000_000_000);
        let told: Vec<u32> =
            (0..100_000).filter_map(|ms| failures.another(user, start + ms)).collect();
        assert_eq!(told[..10], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(told[10..], [100, 1_000, 10_000, 100_000]);
        assert_eq!(failures.another(user, start + HOUR_MS), Some(1), "the next hour");
    }

    #[test]
    fn as_many_accounts_are_counted_as_there_is_room_for() {
        let failures = Failures::default();
        let start = Timestamp(1_800_000_000_000);
        let account = |number: usize| UserId(Uuid::from_u128(number as u128));
        for number in 0..ACCOUNTS_MAX {
            assert_eq!(failures.another(account(number), start), Some(1));
        }
        assert_eq!(failures.another(account(ACCOUNTS_MAX), start), None);
        assert_eq!(failures.another(account(ACCOUNTS_MAX), start + HOUR_MS), Some(1));
    }
}
