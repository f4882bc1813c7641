//! What a payment provider says of a subscription, and what follows from it.
//!
//! Order is never assumed: [`Subscription::observe`] takes the whole state as the provider tells it,
//! so whichever news came first, came twice or never came, the last look decides. Two rules keep it
//! from moving backwards: what has ended stays ended, and what is older than what was seen changes
//! nothing (the caller's part: only it knows when something was seen).
//!
//! | the provider says | the subscription is |
//! | --- | --- |
//! | trialing, active | trialing, active, until the end of its period |
//! | `past_due`, unpaid, paused | `past_due` for the grace period, counted from the first failure; then unpaid |
//! | incomplete | incomplete |
//! | canceled, `incomplete_expired` | canceled, for good |

use serde::{Deserialize, Serialize};

use super::ids::{InvoiceId, OrgId, PlanId, SubscriptionId};
use super::subscription::{Interval, Price, Subscription, SubscriptionStatus};
use super::time::{HOUR_MS, Timestamp};

/// After the end of a period the provider makes the next invoice final and charges it; Stripe takes
/// about an hour. A licence is not in grace for that.
pub const RENEWAL_LEEWAY_MS: i64 = 6 * HOUR_MS;

/// The words of Stripe's API for a subscription's state (`Subscription.status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are Stripe's")]
pub enum ProviderStatus {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Canceled,
    Unpaid,
    Paused,
}

/// A subscription as the provider tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billed {
    /// Its state.
    pub status: ProviderStatus,
    /// Start of the period that was invoiced last.
    pub period_start: Timestamp,
    /// End of that period.
    pub period_end: Timestamp,
    /// When its trial ends or ended.
    pub trial_end: Option<Timestamp>,
    /// Whether it ends with the period.
    pub cancel_at_period_end: bool,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When the first of the invoices that are open was made: until then it is paid.
    pub unpaid_since: Option<Timestamp>,
    /// When the first of them was charged in vain.
    pub failed_at: Option<Timestamp>,
    /// What is subscribed to, where the price is one of a plan's.
    pub plan: Option<(PlanId, Interval)>,
    /// What that costs per interval, once; where the provider says it.
    pub price: Option<Price>,
    /// How many times the plan; none where nothing of a plan is billed.
    pub quantity: Option<u32>,
}

impl Subscription {
    /// Takes over what the provider says; whether anything changed.
    pub fn observe(&mut self, billed: &Billed, now: Timestamp, grace_days: u32) -> bool {
        if self.status == SubscriptionStatus::Canceled {
            return false;
        }
        let before = self.clone();
        if let Some((plan_id, interval)) = billed.plan {
            (self.plan_id, self.interval) = (plan_id, interval);
        }
        if billed.price.is_some() {
            self.price.clone_from(&billed.price);
        }
        self.quantity = billed.quantity.unwrap_or(self.quantity).max(1);
        self.trial_end = billed.trial_end.or(self.trial_end);
        self.cancel_at_period_end = billed.cancel_at_period_end;
        match billed.status {
            ProviderStatus::Trialing => self.runs(SubscriptionStatus::Trialing, billed),
            ProviderStatus::Active => self.runs(SubscriptionStatus::Active, billed),
            ProviderStatus::PastDue | ProviderStatus::Unpaid | ProviderStatus::Paused => {
                // The provider's period goes on; the one that was paid has ended here.
                let grace_ends_at = match (billed.unpaid_since, self.grace_ends_at) {
                    (None, Some(counted)) => counted,
                    (None, None) => {
                        // Nobody knows since when: from when it was noticed.
                        self.current_period_end = billed.period_start.min(now);
                        now.plus_days(grace_days)
                    }
                    (Some(since), _) => {
                        self.current_period_end = since;
                        billed.failed_at.unwrap_or(since).plus_days(grace_days)
                    }
                };
                self.current_period_start = billed.period_start.min(self.current_period_end);
                self.grace_ends_at = Some(grace_ends_at);
                self.status = if grace_ends_at <= now {
                    SubscriptionStatus::Unpaid
                } else {
                    SubscriptionStatus::PastDue
                };
            }
            ProviderStatus::Incomplete => self.status = SubscriptionStatus::Incomplete,
            ProviderStatus::Canceled | ProviderStatus::IncompleteExpired => {
                let ended_at = billed.ended_at.unwrap_or(now);
                self.status = SubscriptionStatus::Canceled;
                self.canceled_at = Some(ended_at);
                self.grace_ends_at = None;
                let paid_until = billed.unpaid_since.unwrap_or(billed.period_end);
                self.current_period_end = paid_until.min(ended_at);
                self.current_period_start = billed.period_start.min(self.current_period_end);
            }
        }
        if self.status != before.status {
            self.reminded = false;
        }
        self.note_beginnings(now);
        *self != before
    }

    fn runs(&mut self, status: SubscriptionStatus, billed: &Billed) {
        self.status = status;
        self.current_period_start = billed.period_start;
        self.current_period_end = billed.period_end;
        self.grace_ends_at = None;
    }

    /// Whether a provider bills it: its dates follow what that one says, not the calendar.
    pub fn is_billed(&self) -> bool {
        self.stripe_subscription_id.is_some()
    }

    /// Until when its licence works without grace.
    pub fn works_until(&self) -> Timestamp {
        let renews =
            matches!(self.status, SubscriptionStatus::Active | SubscriptionStatus::Trialing)
                && !self.cancel_at_period_end;
        if self.is_billed() && renews {
            self.current_period_end + RENEWAL_LEEWAY_MS
        } else {
            self.current_period_end
        }
    }
}

/// Where an invoice stands, in Stripe's words (`Invoice.status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are Stripe's")]
pub enum InvoiceStatus {
    Draft,
    Open,
    Paid,
    Uncollectible,
    Void,
}

impl InvoiceStatus {
    /// Whether an invoice that stands here may come to stand there: a paid one is not opened again
    /// by news that come late.
    pub fn leads_to(self, next: Self) -> bool {
        match self {
            Self::Draft => true,
            Self::Open => next != Self::Draft,
            Self::Uncollectible => matches!(next, Self::Uncollectible | Self::Paid | Self::Void),
            Self::Paid => next == Self::Paid,
            Self::Void => next == Self::Void,
        }
    }
}

/// An invoice as the provider made it; kept here so that it is read without the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// Identifies the invoice here.
    pub invoice_id: InvoiceId,
    /// The provider's id.
    pub stripe_invoice_id: String,
    /// Who owes.
    pub org_id: OrgId,
    /// What for.
    pub subscription_id: Option<SubscriptionId>,
    /// The number printed on it; none while it is a draft.
    pub number: Option<String>,
    /// Where it stands.
    pub status: InvoiceStatus,
    /// Minor units of `currency` that are due in all.
    pub amount_due_cents: i64,
    /// Minor units that were paid.
    pub amount_paid_cents: i64,
    /// Minor units that were given back.
    #[serde(default)]
    pub amount_refunded_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// How often a charge was tried.
    pub attempts: u32,
    /// When the provider made it.
    pub created_at: Timestamp,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// Where the customer pays or reads it, at the provider.
    pub hosted_url: Option<String>,
    /// Where it is as a PDF, at the provider.
    pub pdf_url: Option<String>,
    /// What paid it, so that a refund finds it.
    #[serde(default)]
    pub stripe_payment_intent_id: Option<String>,
}

impl Invoice {
    /// What is still to be paid of it; none of one that is not open.
    pub fn owed_cents(&self) -> Option<i64> {
        let owed = self.amount_due_cents.saturating_sub(self.amount_paid_cents).max(0);
        (self.status == InvoiceStatus::Open).then_some(owed)
    }
}

/// A payment page that an organisation was sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// The subscription it is for: one that is there already, or the id that the new one will have.
    pub subscription_id: SubscriptionId,
    /// To what.
    pub plan_id: PlanId,
    /// How often it is paid.
    pub interval: Interval,
    /// How many times the plan.
    pub quantity: u32,
    /// Distinguishes the tries, for the provider's idempotency keys.
    pub attempt: String,
    /// The provider's session; none until it answered.
    pub stripe_session_id: Option<String>,
    /// Where the customer pays.
    pub url: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Who asked.
    pub user_id: super::ids::UserId,
}

impl Checkout {
    /// How long its page is open; Stripe keeps idempotency keys for an hour more.
    pub const LIFE_MS: i64 = 23 * HOUR_MS;

    /// Whether the customer may still pay there.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now - self.created_at < Self::LIFE_MS
    }
}

/// An event of the provider, kept so that it counts once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderEvent {
    /// What happened, such as `invoice.paid`.
    pub kind: String,
    /// The object as it was sent, for when the provider cannot be asked.
    pub payload: String,
    /// When the provider made it.
    pub created_at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// When it was worked off.
    #[serde(default)]
    pub done_at: Option<Timestamp>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::UserId;
    use crate::domain::time::DAY_MS;

    const START: Timestamp = Timestamp(1_790_000_000_000);

    fn day(n: i64) -> Timestamp {
        START + n * DAY_MS
    }

    fn subscription() -> Subscription {
        Subscription {
            subscription_id: SubscriptionId(Uuid::nil()),
            org_id: OrgId(Uuid::nil()),
            user_id: UserId(Uuid::nil()),
            plan_id: PlanId(Uuid::nil()),
            plan_name: "Team".to_owned(),
            interval: Interval::Month,
            price: None,
            status: SubscriptionStatus::Incomplete,
            trial_end: None,
            current_period_start: START,
            current_period_end: START,
            grace_ends_at: None,
            cancel_at_period_end: false,
            canceled_at: None,
            created_at: START,
            stripe_subscription_id: Some("sub_1".to_owned()),
            stripe_customer_id: None,
            quantity: 1,
            seen_at: None,
            reminded: false,
            trial_started_at: None,
            first_active_at: None,
            owed: None,
        }
    }

    fn told(status: ProviderStatus, from: i64, to: i64) -> Billed {
        Billed {
            status,
            period_start: day(from),
            period_end: day(to),
            trial_end: None,
            cancel_at_period_end: false,
            ended_at: None,
            unpaid_since: None,
            failed_at: None,
            plan: None,
            price: None,
            quantity: Some(1),
        }
    }

    fn unpaid(since: i64, from: i64, to: i64) -> Billed {
        Billed {
            unpaid_since: Some(day(since)),
            failed_at: Some(day(since)),
            ..told(ProviderStatus::PastDue, from, to)
        }
    }

    #[test]
    fn grace_is_counted_from_the_first_failure_whatever_the_provider_does_meanwhile() {
        let mut it = subscription();
        it.observe(&told(ProviderStatus::Active, 0, 30), day(0), 7);
        it.observe(&unpaid(30, 30, 60), day(30), 7);
        assert_eq!((it.status, it.grace_ends_at), (SubscriptionStatus::PastDue, Some(day(37))));
        assert_eq!(it.current_period_end, day(30), "the new period is not paid");
        assert!(!it.observe(&unpaid(30, 30, 60), day(35), 7), "a retry that fails changes nothing");
        it.observe(&unpaid(30, 60, 90), day(61), 7);
        assert_eq!((it.status, it.grace_ends_at), (SubscriptionStatus::Unpaid, Some(day(37))));
        it.observe(&told(ProviderStatus::Active, 60, 90), day(62), 7);
        assert_eq!((it.status, it.current_period_end), (SubscriptionStatus::Active, day(90)));
        assert_eq!(it.grace_ends_at, None);
    }

    #[test]
    fn what_has_ended_stays_ended() {
        let mut it = subscription();
        it.observe(&told(ProviderStatus::Active, 0, 30), day(0), 7);
        let ended = Billed { ended_at: Some(day(10)), ..told(ProviderStatus::Canceled, 0, 30) };
        it.observe(&ended, day(10), 7);
        assert_eq!((it.status, it.current_period_end), (SubscriptionStatus::Canceled, day(10)));
        assert!(!it.observe(&told(ProviderStatus::Active, 0, 30), day(11), 7));
    }

    #[test]
    fn a_licence_is_not_in_grace_while_the_provider_renews() {
        let mut it = subscription();
        it.observe(&told(ProviderStatus::Active, 0, 30), day(0), 7);
        assert_eq!(it.works_until(), day(30) + RENEWAL_LEEWAY_MS);
        assert_eq!(it.next_step_at(), None, "the provider says whether it goes on");
        let ends = Billed { cancel_at_period_end: true, ..told(ProviderStatus::Active, 0, 30) };
        it.observe(&ends, day(1), 7);
        assert_eq!(it.works_until(), day(30));
    }

    fn any_status() -> impl Strategy<Value = ProviderStatus> {
        use ProviderStatus as Status;
        prop::sample::select(vec![
            Status::Incomplete,
            Status::IncompleteExpired,
            Status::Trialing,
            Status::Active,
            Status::PastDue,
            Status::Canceled,
            Status::Unpaid,
            Status::Paused,
        ])
    }

    prop_compose! {
        fn any_told()(
            status in any_status(),
            from in 0_i64..300,
            length in 1_i64..60,
            ends in any::<bool>(),
            unpaid in prop::option::of(0_i64..300),
            quantity in 1_u32..5,
        ) -> Billed {
            let ended = matches!(status, ProviderStatus::Canceled | ProviderStatus::IncompleteExpired);
            let owes = !matches!(
                status,
                ProviderStatus::Active | ProviderStatus::Trialing | ProviderStatus::Incomplete
            );
            Billed {
                cancel_at_period_end: ends,
                ended_at: ended.then(|| day(from + length / 2)),
                unpaid_since: unpaid.filter(|_| owes).map(day),
                failed_at: unpaid.filter(|_| owes).map(day),
                quantity: Some(quantity),
                ..told(status, from, from + length)
            }
        }
    }

    proptest! {
        /// Whatever was seen before, how often, and in which order: the last look decides, but for an end.
        #[test]
        fn the_last_look_decides(history in prop::collection::vec(any_told(), 0..12), last in any_told()) {
            let now = day(150);
            let mut it = subscription();
            for seen in &history {
                it.observe(seen, now, 7);
            }
            let ended = it.status == SubscriptionStatus::Canceled;
            let before = it.clone();
            it.observe(&last, now, 7);
            if ended {
                prop_assert_eq!(it, before);
                return Ok(());
            }
            let mut fresh = subscription();
            fresh.observe(&last, now, 7);
            // What says nothing of dates leaves them.
            let unknown = fresh.grace_ends_at.is_some() && last.unpaid_since.is_none();
            if last.status == ProviderStatus::Incomplete || unknown {
                return Ok(());
            }
            prop_assert_eq!(it.status, fresh.status);
            prop_assert_eq!(it.current_period_end, fresh.current_period_end);
            prop_assert_eq!(it.grace_ends_at, fresh.grace_ends_at);
            prop_assert_eq!(it.quantity, fresh.quantity);
            prop_assert!(!it.clone().observe(&last, now, 7), "twice is once");
        }

        /// News of an invoice that come in any order end where the furthest of them stands.
        #[test]
        fn an_invoice_is_never_opened_again(mut news in Just([InvoiceStatus::Draft, InvoiceStatus::Open, InvoiceStatus::Paid]).prop_shuffle()) {
            let mut stands = news[0];
            for next in news.iter_mut().skip(1) {
                if stands.leads_to(*next) {
                    stands = *next;
                }
            }
            prop_assert_eq!(stands, InvoiceStatus::Paid);
        }
    }
}
