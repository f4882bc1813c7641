//! The subscription state machine.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | trialing | trial over | `past_due`, grace begins |
//! | active | period over | `past_due`, grace begins |
//! | `past_due` | grace over | unpaid |
//! | trialing, active, `past_due`, unpaid | ordered | active |
//! | active | the order over its date, and what was paid before over | `past_due`, grace begins |
//! | active | the order withdrawn, and nothing was paid before | `past_due`, grace begins |
//! | `past_due`, unpaid | the order settled, while it still pays | active |
//! | active, or one that was | credited | active |
//! | one that was never paid | credited | trialing |
//! | trialing, active | over, and cancellation was asked for | canceled |
//! | any live one | canceled at once, or its organisation erased | canceled |
//!
//! The end of a trial and of grace is announced some days before.
//!
//! Time only ever moves it through [`Subscription::tick`], which names each step
//! it took, so that a server that slept through several ends in the same state and
//! sends the same messages as one that was awake.

use serde::{Deserialize, Serialize};

use super::error::{Code, Error, Result};
use super::ids::{OrgId, PaymentId, PlanId, SubscriptionId, UserId};
use super::plan::Plan;
use super::time::{DAY_MS, Timestamp};

/// The words of Stripe's API for the state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// On trial until `trial_end`.
    Trialing,
    /// Paid until `current_period_end`.
    Active,
    /// Not paid; works until `grace_ends_at`.
    PastDue,
    /// Over; a new subscription is needed.
    Canceled,
    /// Not paid when the grace period ended; paying lifts it.
    Unpaid,
    /// Waits for its first payment.
    Incomplete,
}

impl SubscriptionStatus {
    /// Every status, for counting.
    pub const ALL: [Self; 6] = [
        Self::Trialing,
        Self::Active,
        Self::PastDue,
        Self::Canceled,
        Self::Unpaid,
        Self::Incomplete,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Canceled => "canceled",
            Self::Unpaid => "unpaid",
            Self::Incomplete => "incomplete",
        }
    }
}

/// How often it is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Every month.
    Month,
    /// Every year.
    Year,
}

impl Interval {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// How many months it is long.
    pub fn months(self) -> u32 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }
}

/// What a subscription costs each time that it is paid, once. It is fixed when the subscription is made
/// or moved to another plan or interval: whoever keeps these keeps the price, whatever becomes of
/// the plan's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Minor units of `currency`.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
}

impl Price {
    /// What a plan costs now.
    pub fn of(plan: &Plan, interval: Interval) -> Self {
        let amount_cents = match interval {
            Interval::Month => plan.monthly_price_cents,
            Interval::Year => {
                plan.yearly_price_cents.unwrap_or(plan.monthly_price_cents.saturating_mul(12))
            }
        };
        Self { amount_cents, currency: plan.currency.clone() }
    }
}

/// An organisation's subscription to a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Identifies the subscription.
    pub subscription_id: SubscriptionId,
    /// Whose it is.
    pub org_id: OrgId,
    /// Who made it; receives its mail.
    pub user_id: UserId,
    /// To what.
    pub plan_id: PlanId,
    /// The plan's name when it was made.
    pub plan_name: String,
    /// How often it is paid.
    pub interval: Interval,
    /// What it costs per interval, once; none on rows of before prices were kept.
    #[serde(default)]
    pub price: Option<Price>,
    /// Where it stands. Moved by this module alone.
    pub status: SubscriptionStatus,
    /// When the trial ends or ended.
    pub trial_end: Option<Timestamp>,
    /// Start of the paid or trial period.
    pub current_period_start: Timestamp,
    /// End of the paid or trial period.
    pub current_period_end: Timestamp,
    /// End of grace, while `past_due` or once unpaid. Counted from the first failure.
    pub grace_ends_at: Option<Timestamp>,
    /// Whether it ends with the current period.
    pub cancel_at_period_end: bool,
    /// When it ended.
    pub canceled_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The provider's id, where a provider bills it.
    #[serde(default)]
    pub stripe_subscription_id: Option<String>,
    /// The provider's customer.
    #[serde(default)]
    pub stripe_customer_id: Option<String>,
    /// How many times the plan: its seats are multiplied by it.
    #[serde(default = "one")]
    pub quantity: u32,
    /// As of when the provider was seen; what it said before changes nothing.
    #[serde(default)]
    pub seen_at: Option<Timestamp>,
    /// Whether the end of the trial, or of grace, was announced.
    #[serde(default)]
    pub reminded: bool,
    /// When its trial began; none when it was active first.
    #[serde(default)]
    pub trial_started_at: Option<Timestamp>,
    /// When it was active first.
    #[serde(default)]
    pub first_active_at: Option<Timestamp>,
    /// The purchase order that pays for it and is not settled.
    #[serde(default)]
    pub owed: Option<Owed>,
}

/// A purchase order that is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// The record of the order.
    pub payment_id: PaymentId,
    /// Until when it is to be settled.
    pub due_at: Timestamp,
    /// Until when it was paid before: the order takes nothing of that away.
    pub paid_until: Timestamp,
    /// Once it is overdue: until when it pays, if it is settled after all.
    #[serde(default)]
    pub pays_until: Option<Timestamp>,
}

impl Owed {
    /// When what it pays for ends unless it is settled.
    fn ends_at(&self) -> Option<Timestamp> {
        self.pays_until.is_none().then(|| self.due_at.max(self.paid_until))
    }
}

/// The end of a trial is announced so many days before, as Stripe announces it.
const TRIAL_REMINDER_MS: i64 = 3 * DAY_MS;
/// The end of grace is announced so many days before.
const GRACE_REMINDER_MS: i64 = 2 * DAY_MS;

/// Nothing is paid for beyond this, the year 9000: what comes after cannot all be written as dates.
const LATEST: Timestamp = Timestamp(221_845_392_000_000);

fn one() -> u32 {
    1
}

/// A step that time made a subscription take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The trial will end soon.
    TrialEnding,
    /// Grace will end soon.
    GraceEnding,
    /// The trial ended unpaid and grace began.
    TrialEnded,
    /// The paid period ended unpaid and grace began.
    PeriodEnded,
    /// A purchase order was not settled in time, and grace began.
    OrderOverdue,
    /// Grace ended unpaid.
    GraceEnded,
    /// It ended as was asked.
    Canceled,
}

impl Subscription {
    /// Starts its trial.
    pub fn begin_trial(&mut self, now: Timestamp, end: Timestamp) {
        self.status = SubscriptionStatus::Trialing;
        self.trial_end = Some(end);
        self.current_period_end = end;
        self.note_beginnings(now);
    }

    /// Remembers when a trial began and when it was active first.
    pub(super) fn note_beginnings(&mut self, now: Timestamp) {
        match self.status {
            SubscriptionStatus::Active => {
                self.first_active_at.get_or_insert(now);
            }
            SubscriptionStatus::Trialing if self.first_active_at.is_none() => {
                self.trial_started_at.get_or_insert(now);
            }
            _ => {}
        }
    }

    /// Moves it to a plan; one that it has already, at the same interval, keeps its price.
    pub fn sell(&mut self, plan: &Plan, interval: Interval, quantity: u32) {
        if self.price.is_none() || (self.plan_id, self.interval) != (plan.plan_id, interval) {
            self.price = Some(Price::of(plan, interval));
        }
        (self.plan_id, self.plan_name) = (plan.plan_id, plan.plan_name.clone());
        (self.interval, self.quantity) = (interval, quantity);
    }

    /// Ends it because whose it is ends; nothing for one that has ended.
    pub fn end_with_owner(&mut self, now: Timestamp) {
        if self.status != SubscriptionStatus::Canceled {
            self.status = SubscriptionStatus::Canceled;
            self.canceled_at = Some(now);
        }
    }

    /// When [`Subscription::tick`] next has something to do.
    pub fn next_step_at(&self) -> Option<Timestamp> {
        self.reminder_at().or_else(|| self.next_end_at())
    }

    /// When an end is to be announced; none for a trial or a grace so short that its beginning
    /// announces it.
    fn reminder_at(&self) -> Option<Timestamp> {
        let (begin, at) = match self.status {
            SubscriptionStatus::Trialing if !self.cancel_at_period_end => {
                (self.current_period_start, self.current_period_end + -TRIAL_REMINDER_MS)
            }
            SubscriptionStatus::PastDue => {
                (self.current_period_end, self.grace_ends_at? + -GRACE_REMINDER_MS)
            }
            _ => return None,
        };
        (!self.reminded && at > begin).then_some(at)
    }

    fn next_end_at(&self) -> Option<Timestamp> {
        match self.status {
            // The provider says whether it goes on.
            SubscriptionStatus::Trialing | SubscriptionStatus::Active if self.is_billed() => None,
            SubscriptionStatus::Trialing | SubscriptionStatus::Active => {
                let end = self.owed.and_then(|owed| owed.ends_at());
                Some(end.map_or(self.current_period_end, |end| end.min(self.current_period_end)))
            }
            SubscriptionStatus::PastDue => self.grace_ends_at,
            SubscriptionStatus::Canceled
            | SubscriptionStatus::Unpaid
            | SubscriptionStatus::Incomplete => None,
        }
    }

    /// Takes the one step that is due at `now`, if any. Call until it answers `None`.
    pub fn tick(&mut self, now: Timestamp, grace_days: u32) -> Option<Step> {
        if self.reminder_at().is_some_and(|at| at <= now) {
            self.reminded = true;
            let trial = self.status == SubscriptionStatus::Trialing;
            return Some(if trial { Step::TrialEnding } else { Step::GraceEnding });
        }
        let due = self.next_end_at().filter(|due| *due <= now)?;
        self.reminded = false;
        let step = match self.status {
            SubscriptionStatus::PastDue => {
                self.status = SubscriptionStatus::Unpaid;
                return Some(Step::GraceEnded);
            }
            SubscriptionStatus::Trialing => Step::TrialEnded,
            _ if due < self.current_period_end => {
                let pays_until = Some(std::mem::replace(&mut self.current_period_end, due));
                self.owed = self.owed.map(|owed| Owed { pays_until, ..owed });
                Step::OrderOverdue
            }
            _ => Step::PeriodEnded,
        };
        if self.cancel_at_period_end && step != Step::OrderOverdue {
            self.status = SubscriptionStatus::Canceled;
            self.canceled_at = Some(due);
            return Some(Step::Canceled);
        }
        self.status = SubscriptionStatus::PastDue;
        self.grace_ends_at = Some(due.plus_days(grace_days));
        Some(step)
    }

    /// Books a payment for so many periods.
    ///
    /// A payment while trialing or active extends what is there, one during grace continues from
    /// the end of the period that was not paid, and one after suspension starts afresh at `now`.
    ///
    /// # Errors
    /// `SubscriptionState` when the subscription has ended, or a provider bills it.
    pub fn pay(&mut self, now: Timestamp, periods: u32) -> Result<()> {
        if self.is_billed() {
            return Err(Error::new(
                Code::SubscriptionState,
                "Stripe bills this subscription: mark its invoice as paid there, and it follows.",
            ));
        }
        let start = match self.status {
            SubscriptionStatus::Trialing
            | SubscriptionStatus::Active
            | SubscriptionStatus::PastDue => self.current_period_end,
            SubscriptionStatus::Unpaid | SubscriptionStatus::Incomplete => now,
            SubscriptionStatus::Canceled => {
                return Err(Error::new(
                    Code::SubscriptionState,
                    "This subscription has ended; record the payment for the organisation and a plan to start a new one.",
                ));
            }
        };
        let end = start.plus_months(self.interval.months().saturating_mul(periods));
        if end >= LATEST {
            let text = "that would be paid until after the year 9000; book fewer periods";
            return Err(Error::invalid("periods", text));
        }
        // Grace may have been longer than a period: what is paid now must not be over already.
        let (start, end) = if end <= now {
            (now, now.plus_months(self.interval.months() * periods))
        } else {
            (start, end)
        };
        // A customer who pays early keeps the period that runs; its end moves.
        if !matches!(self.status, SubscriptionStatus::Active | SubscriptionStatus::Trialing) {
            self.current_period_start = start;
        }
        self.current_period_end = end;
        self.status = SubscriptionStatus::Active;
        self.note_beginnings(now);
        self.reminded = false;
        self.grace_ends_at = None;
        self.cancel_at_period_end = false;
        Ok(())
    }

    /// Books a purchase order, which pays for so many periods, and is to be settled by then; no later than
    /// what it pays for ends.
    ///
    /// # Errors
    /// As [`Subscription::pay`], and while another order is open.
    pub fn order(
        &mut self,
        now: Timestamp,
        periods: u32,
        payment_id: PaymentId,
        due_at: Timestamp,
    ) -> Result<Owed> {
        let runs = matches!(self.status, SubscriptionStatus::Trialing | SubscriptionStatus::Active);
        let paid_until = if runs { self.current_period_end } else { now };
        self.pay(now, periods)?;
        let due_at = due_at.min(self.current_period_end);
        let owed = Owed { payment_id, due_at, paid_until, pays_until: None };
        self.owed = Some(owed);
        Ok(owed)
    }

    /// Gives so many periods for no money. One that was never paid is on trial for them.
    ///
    /// # Errors
    /// As [`Subscription::pay`].
    pub fn credit(&mut self, now: Timestamp, periods: u32) -> Result<()> {
        let before = (self.first_active_at, self.trial_started_at);
        self.pay(now, periods)?;
        if before.0.is_none() {
            (self.first_active_at, self.trial_started_at) = before;
            self.begin_trial(now, self.current_period_end);
        }
        Ok(())
    }

    /// Books the money of the open purchase order. What ended because it was late works again for the
    /// rest of the time that it pays for; what is over is over.
    pub fn settle(&mut self, now: Timestamp) {
        let Some(pays_until) = self.owed.take().and_then(|owed| owed.pays_until) else { return };
        let lapsed =
            matches!(self.status, SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid);
        if lapsed && pays_until > now && !self.is_billed() {
            self.status = SubscriptionStatus::Active;
            self.current_period_end = pays_until;
            self.grace_ends_at = None;
            self.reminded = false;
        }
    }

    /// Takes the open purchase order out: what was paid before goes on to its end, and without that grace
    /// begins.
    pub fn withdraw(&mut self, now: Timestamp, grace_days: u32) {
        let Some(owed) = self.owed.take() else { return };
        if self.status != SubscriptionStatus::Active || self.is_billed() {
            return;
        }
        self.current_period_end = self.current_period_end.min(owed.paid_until.max(now));
        if owed.paid_until <= now {
            self.status = SubscriptionStatus::PastDue;
            self.grace_ends_at = Some(now.plus_days(grace_days));
            self.reminded = false;
        }
    }

    /// Asks for the end: with the current period, or at once.
    ///
    /// # Errors
    /// `SubscriptionState` when it has ended already.
    pub fn cancel(&mut self, now: Timestamp, at_period_end: bool) -> Result<()> {
        match self.status {
            SubscriptionStatus::Canceled => {
                Err(Error::new(Code::SubscriptionState, "This subscription has ended already."))
            }
            SubscriptionStatus::Trialing | SubscriptionStatus::Active if at_period_end => {
                self.cancel_at_period_end = true;
                Ok(())
            }
            _ => {
                self.status = SubscriptionStatus::Canceled;
                self.canceled_at = Some(now);
                self.grace_ends_at = None;
                self.current_period_end = self.current_period_end.min(now);
                Ok(())
            }
        }
    }

    /// Takes an asked-for end back while the period still runs.
    ///
    /// # Errors
    /// `SubscriptionState` when no end was asked for, or it has come.
    pub fn resume(&mut self) -> Result<()> {
        if self.cancel_at_period_end && self.status != SubscriptionStatus::Canceled {
            self.cancel_at_period_end = false;
            return Ok(());
        }
        Err(Error::new(Code::SubscriptionState, "There is no pending cancellation to take back."))
    }
}
