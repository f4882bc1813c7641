//! What subscriptions are worth, and what happened to that: monthly recurring revenue and its movements.
//!
//! The definitions are the common ones of subscription metrics (those of `ChartMogul`, which others
//! follow); `assets/handbook/analytics.md` has them for people.
//!
//! **Exactness.** A subscription's worth is kept per *year*, in whole minor units of one currency: a
//! monthly price times twelve, or a yearly price, times the quantity. Yearly amounts are added and
//! subtracted without a remainder; [`monthly`] divides by twelve and rounds once, where a figure is
//! shown. Amounts of unlike currencies are never added.
//!
//! **Movements** are those of a customer, which is an organisation in one currency: whoever replaces
//! one subscription by a larger one has expanded, not churned and come anew. The sum of all
//! movements is what all subscriptions are worth, whatever the history.

use serde::{Deserialize, Serialize};

use super::ids::{OrgId, PlanId, SubscriptionId};
use super::subscription::{Subscription, SubscriptionStatus};
use super::time::Timestamp;

/// Recurring money: minor units of a currency per year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worth {
    /// ISO 4217.
    pub currency: String,
    /// Minor units per year, more than 0.
    pub yearly_cents: i64,
}

impl Subscription {
    /// What it is sold for per year, whether or not it is paid; none where that is nothing, or not known.
    pub fn sold_for(&self) -> Option<Worth> {
        let price = self.price.as_ref()?;
        let per_year = 12 / i64::from(self.interval.months());
        let yearly_cents =
            price.amount_cents.saturating_mul(per_year).saturating_mul(i64::from(self.quantity));
        (yearly_cents > 0).then(|| Worth { currency: price.currency.clone(), yearly_cents })
    }

    /// What it adds to the recurring revenue. It counts from the first time that it is active until it
    /// is unpaid or canceled: grace counts, a trial does not, nor the grace after a trial.
    pub fn worth(&self) -> Option<Worth> {
        use SubscriptionStatus as Status;
        let counts = match self.status {
            Status::Active => true,
            // Stripe calls trial also what was paid before it took the subscription over.
            Status::Trialing | Status::PastDue => self.first_active_at.is_some(),
            Status::Canceled | Status::Unpaid | Status::Incomplete => false,
        };
        if counts { self.sold_for() } else { None }
    }

    /// When its trial began, and what has come of it; none when it had none.
    pub fn trial(&self) -> Option<(Timestamp, TrialState)> {
        use SubscriptionStatus as Status;
        let state = match self.status {
            _ if self.first_active_at.is_some() => TrialState::Converted,
            Status::Canceled | Status::Unpaid => TrialState::Ended,
            _ => TrialState::Running,
        };
        self.trial_started_at.map(|began| (began, state))
    }
}

/// What has come of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialState {
    /// It runs, or its grace does.
    Running,
    /// The subscription became active.
    Converted,
    /// It ended unpaid. Paying later still converts it.
    Ended,
}

/// What a change of a customer's worth is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// The first time that the customer is worth anything.
    New,
    /// Worth something again, after nothing.
    Reactivation,
    /// Worth more.
    Expansion,
    /// Worth less, and not nothing.
    Contraction,
    /// Worth nothing any more.
    Churn,
}

impl MovementKind {
    /// The change from `before` to `after`; `before` is none for who never was worth anything. None when
    /// nothing changed.
    pub fn of(before: Option<i64>, after: i64) -> Option<Self> {
        match (before, after) {
            (None, 0) => None,
            (None, _) => Some(Self::New),
            (Some(before), after) if before == after => None,
            (Some(0), _) => Some(Self::Reactivation),
            (Some(_), 0) => Some(Self::Churn),
            (Some(before), after) if after > before => Some(Self::Expansion),
            _ => Some(Self::Contraction),
        }
    }
}

/// A change of what a customer is worth, as it is kept for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// When this server saw it.
    pub at: Timestamp,
    /// The customer.
    pub org_id: OrgId,
    /// The subscription that changed.
    pub subscription_id: SubscriptionId,
    /// Its plan: the one that it left, where it is worth nothing now.
    pub plan_id: PlanId,
    /// ISO 4217.
    pub currency: String,
    /// What it is called.
    pub kind: MovementKind,
    /// Minor units per year that were added; less than 0 where some were lost.
    pub yearly_cents: i64,
}

/// How many, and how much money together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Minor units.
    pub cents: i64,
}

impl Tally {
    /// One more of so much.
    pub fn add(&mut self, cents: i64) {
        self.count = self.count.saturating_add(1);
        self.cents = self.cents.saturating_add(cents);
    }

    /// One less of so much.
    pub fn take(&mut self, cents: i64) {
        self.count = self.count.saturating_sub(1);
        self.cents = self.cents.saturating_sub(cents);
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let count = self.count.saturating_add(other.count);
        Self { count, cents: self.cents.saturating_add(other.cents) }
    }
}

/// The movements of a month in one currency. Each sum is in minor units per year, and not negative:
/// the name tells the direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as MovementKind")]
pub struct Movements {
    pub new: Tally,
    pub reactivation: Tally,
    pub expansion: Tally,
    pub contraction: Tally,
    pub churn: Tally,
}

impl Movements {
    /// With one more.
    pub fn add(&mut self, kind: MovementKind, yearly_cents: i64) {
        let tally = match kind {
            MovementKind::New => &mut self.new,
            MovementKind::Reactivation => &mut self.reactivation,
            MovementKind::Expansion => &mut self.expansion,
            MovementKind::Contraction => &mut self.contraction,
            MovementKind::Churn => &mut self.churn,
        };
        tally.add(yearly_cents.saturating_abs());
    }

    /// What they changed together, in minor units per year.
    pub fn net_cents(&self) -> i64 {
        let won = self.new.cents + self.reactivation.cents + self.expansion.cents;
        won - self.contraction.cents - self.churn.cents
    }

    /// Customers won less customers lost.
    pub fn net_customers(&self) -> i64 {
        let won = self.new.count + self.reactivation.count;
        won.cast_signed() - self.churn.count.cast_signed()
    }
}

/// What the subscriptions to one plan in one currency are worth now, in minor units per year.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// All that count.
    pub worth: Tally,
    /// Those of them that are in grace: at risk.
    pub past_due: Tally,
    /// Those of them that end with their period, as was asked.
    pub ending: Tally,
    /// Those that do not count any more because grace passed; paying brings them back.
    pub unpaid: Tally,
}

impl Standing {
    /// Counts a subscription in (`Tally::add`) or out (`Tally::take`).
    pub fn count(&mut self, subscription: &Subscription, way: fn(&mut Tally, i64)) {
        let Some(sold) = subscription.sold_for() else { return };
        let tell = |tally: &mut Tally| way(tally, sold.yearly_cents);
        if subscription.worth().is_some() {
            tell(&mut self.worth);
            match subscription.status {
                SubscriptionStatus::PastDue => tell(&mut self.past_due),
                _ if subscription.cancel_at_period_end => tell(&mut self.ending),
                _ => {}
            }
        } else if subscription.status == SubscriptionStatus::Unpaid
            && subscription.first_active_at.is_some()
        {
            tell(&mut self.unpaid);
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            worth: self.worth.and(other.worth),
            past_due: self.past_due.and(other.past_due),
            ending: self.ending.and(other.ending),
            unpaid: self.unpaid.and(other.unpaid),
        }
    }
}

/// What has come of the trials that began in one month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trials {
    /// They run.
    pub running: u64,
    /// They became subscriptions that are paid.
    pub converted: u64,
    /// They ended unpaid.
    pub ended: u64,
}

impl Trials {
    /// How many of a state there are, to count.
    pub fn of(&mut self, state: TrialState) -> &mut u64 {
        match state {
            TrialState::Running => &mut self.running,
            TrialState::Converted => &mut self.converted,
            TrialState::Ended => &mut self.ended,
        }
    }

    /// How many began.
    pub fn started(&self) -> u64 {
        self.running + self.converted + self.ended
    }

    /// The share of those begun that converted so far; none when none began.
    pub fn conversion(&self) -> Option<f64> {
        share(self.converted.cast_signed(), self.started().cast_signed())
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            running: self.running + other.running,
            converted: self.converted + other.converted,
            ended: self.ended + other.ended,
        }
    }
}

/// Minor units per month, rounded half away from zero: the one place where a remainder is lost.
pub fn monthly(yearly_cents: i64) -> i64 {
    rounded(yearly_cents, 12)
}

/// Minor units per month and customer, rounded once; none without customers.
pub fn per_customer(yearly_cents: i64, customers: u64) -> Option<i64> {
    let parts = customers.cast_signed().checked_mul(12).filter(|parts| *parts > 0)?;
    Some(rounded(yearly_cents, parts))
}

fn rounded(amount: i64, parts: i64) -> i64 {
    let (whole, rest) = (amount / parts, amount % parts);
    if rest.unsigned_abs() * 2 >= parts.unsigned_abs() { whole + rest.signum() } else { whole }
}

/// A part of a whole, to four digits; none of nothing.
pub fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::UserId;
    use crate::domain::subscription::{Interval, Price};
    use crate::domain::time::DAY_MS;

    const START: Timestamp = Timestamp(1_790_000_000_000);

    fn subscription(status: SubscriptionStatus) -> Subscription {
        Subscription {
            subscription_id: SubscriptionId(Uuid::nil()),
            org_id: OrgId(Uuid::nil()),
            user_id: UserId(Uuid::nil()),
            plan_id: PlanId(Uuid::nil()),
            plan_name: "Team".to_owned(),
            interval: Interval::Month,
            price: Some(Price { amount_cents: 1_000, currency: "EUR".to_owned() }),
            status,
            trial_end: None,
            current_period_start: START,
            current_period_end: START + 30 * DAY_MS,
            grace_ends_at: None,
            cancel_at_period_end: false,
            canceled_at: None,
            created_at: START,
            stripe_subscription_id: None,
            stripe_customer_id: None,
            quantity: 1,
            seen_at: None,
            reminded: false,
            trial_started_at: None,
            first_active_at: Some(START),
            owed: None,
        }
    }

    fn yearly(it: &Subscription) -> i64 {
        it.worth().map_or(0, |worth| worth.yearly_cents)
    }

    #[test]
    fn a_subscription_counts_from_when_it_is_active_until_it_is_unpaid_or_ends() {
        use SubscriptionStatus as Status;
        for (status, was_active, counts) in [
            (Status::Active, true, true),
            (Status::PastDue, true, true),
            (Status::PastDue, false, false),
            (Status::Trialing, false, false),
            (Status::Trialing, true, true),
            (Status::Incomplete, false, false),
            (Status::Unpaid, true, false),
            (Status::Canceled, true, false),
        ] {
            let first_active_at = was_active.then_some(START);
            let it = Subscription { first_active_at, ..subscription(status) };
            assert_eq!(yearly(&it) > 0, counts, "{status:?}, active before: {was_active}");
        }
        let mut ends = subscription(Status::Active);
        ends.cancel_at_period_end = true;
        assert_eq!(yearly(&ends), 12_000, "it counts until it ends");
    }

    #[test]
    fn a_year_is_twelve_months_and_the_quantity_multiplies() {
        let mut it = subscription(SubscriptionStatus::Active);
        it.quantity = 3;
        assert_eq!(yearly(&it), 36_000);
        it.interval = Interval::Year;
        assert_eq!(yearly(&it), 3_000);
        assert_eq!(monthly(3_000), 250);
        it.price = Some(Price { amount_cents: 0, currency: "EUR".to_owned() });
        assert_eq!(it.worth(), None, "what costs nothing is worth nothing");
    }

    #[test]
    fn a_trial_is_decided_by_whether_it_was_ever_active() {
        use SubscriptionStatus as Status;
        let on = |status, first_active_at| {
            let began = Some(START);
            let it =
                Subscription { trial_started_at: began, first_active_at, ..subscription(status) };
            it.trial().unwrap().1
        };
        assert_eq!(on(Status::Trialing, None), TrialState::Running);
        assert_eq!(on(Status::PastDue, None), TrialState::Running, "it may still be paid");
        assert_eq!(on(Status::Unpaid, None), TrialState::Ended);
        assert_eq!(on(Status::Canceled, None), TrialState::Ended);
        assert_eq!(on(Status::Active, Some(START)), TrialState::Converted);
        assert_eq!(on(Status::Canceled, Some(START)), TrialState::Converted, "for good");
        assert_eq!(subscription(Status::Active).trial(), None);
    }

    #[test]
    fn every_change_of_a_customer_has_one_name() {
        use MovementKind as Kind;
        for (before, after, kind) in [
            (None, 0, None),
            (None, 5, Some(Kind::New)),
            (Some(0), 0, None),
            (Some(0), 5, Some(Kind::Reactivation)),
            (Some(5), 5, None),
            (Some(5), 9, Some(Kind::Expansion)),
            (Some(9), 5, Some(Kind::Contraction)),
            (Some(5), 0, Some(Kind::Churn)),
        ] {
            assert_eq!(MovementKind::of(before, after), kind, "{before:?} to {after}");
        }
    }

    #[test]
    fn a_month_is_rounded_once_half_away_from_zero() {
        for (yearly, month) in
            [(0, 0), (5, 0), (6, 1), (12, 1), (17, 1), (18, 2), (-6, -1), (-5, 0)]
        {
            assert_eq!(monthly(yearly), month, "{yearly}");
        }
        assert_eq!(per_customer(100, 0), None);
        assert_eq!(per_customer(36_000, 2), Some(1_500));
        assert_eq!(per_customer(i64::MAX, u64::MAX), None);
    }

    proptest! {
        /// Whatever a customer does, the movements add up to what it is worth, and new, won back and
        /// churned to whether it is one.
        #[test]
        fn movements_are_conserved(history in prop::collection::vec(0_i64..5, 0..60)) {
            let mut movements = Movements::default();
            let mut now = None;
            for after in history {
                if let Some(kind) = MovementKind::of(now, after) {
                    movements.add(kind, after - now.unwrap_or(0));
                    now = Some(after);
                }
                prop_assert_eq!(movements.net_cents(), now.unwrap_or(0));
                prop_assert_eq!(movements.net_customers(), i64::from(now.unwrap_or(0) > 0));
                prop_assert!(movements.new.count <= 1);
            }
        }

        /// Rounding is off by half a unit at most, however many subscriptions are added.
        #[test]
        fn a_sum_is_rounded_once(amounts in prop::collection::vec(0_i64..1_000_000, 0..50)) {
            let sum: i64 = amounts.iter().sum();
            prop_assert!((monthly(sum) * 12 - sum).abs() <= 6);
        }

        /// What is counted in and out again leaves nothing behind.
        #[test]
        fn counting_out_undoes_counting_in(
            status in prop::sample::select(&SubscriptionStatus::ALL[..]),
            ends in any::<bool>(),
            was_active in any::<bool>(),
            quantity in 0_u32..4,
        ) {
            let first_active_at = was_active.then_some(START);
            let it = Subscription { cancel_at_period_end: ends, quantity, first_active_at, ..subscription(status) };
            let mut standing = Standing::default();
            standing.count(&it, Tally::add);
            prop_assert_eq!(standing.worth.cents, yearly(&it));
            standing.count(&it, Tally::take);
            prop_assert_eq!(standing, Standing::default());
        }
    }
}
