//! Trials, subscriptions and payments.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::{Created, Json, OptionalJson};
use super::licenses::License;
use super::wire::{Customer, Time, list, page_request};
use super::{Answer, Tag};
use crate::domain::ids::{OrgId, PlanId, SubscriptionId};
use crate::domain::organisation::Permission;
use crate::domain::{payment, subscription};
use crate::services::Services;
use crate::services::customers::Owned;
use crate::services::subscriptions::{OrderAct, PaymentInput, PaymentOutcome};

/// The calls about subscriptions and payments.
pub struct Subscriptions {
    /// The operations.
    pub services: Arc<Services>,
}

/// Where a subscription stands.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// On trial.
    Trialing,
    /// Paid.
    Active,
    /// Not paid; in grace.
    PastDue,
    /// Over.
    Canceled,
    /// Not paid when grace ended.
    Unpaid,
    /// Waits for its first payment.
    Incomplete,
}

impl From<subscription::SubscriptionStatus> for SubscriptionStatus {
    fn from(status: subscription::SubscriptionStatus) -> Self {
        use subscription::SubscriptionStatus as Status;
        match status {
            Status::Trialing => Self::Trialing,
            Status::Active => Self::Active,
            Status::PastDue => Self::PastDue,
            Status::Canceled => Self::Canceled,
            Status::Unpaid => Self::Unpaid,
            Status::Incomplete => Self::Incomplete,
        }
    }
}

impl From<SubscriptionStatus> for subscription::SubscriptionStatus {
    fn from(status: SubscriptionStatus) -> Self {
        match status {
            SubscriptionStatus::Trialing => Self::Trialing,
            SubscriptionStatus::Active => Self::Active,
            SubscriptionStatus::PastDue => Self::PastDue,
            SubscriptionStatus::Canceled => Self::Canceled,
            SubscriptionStatus::Unpaid => Self::Unpaid,
            SubscriptionStatus::Incomplete => Self::Incomplete,
        }
    }
}

/// How often a subscription is paid.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Every month.
    Month,
    /// Every year.
    Year,
}

impl From<subscription::Interval> for Interval {
    fn from(interval: subscription::Interval) -> Self {
        match interval {
            subscription::Interval::Month => Self::Month,
            subscription::Interval::Year => Self::Year,
        }
    }
}

impl From<Interval> for subscription::Interval {
    fn from(interval: Interval) -> Self {
        match interval {
            Interval::Month => Self::Month,
            Interval::Year => Self::Year,
        }
    }
}

/// A subscription.
#[derive(Object, Serialize)]
pub struct Subscription {
    /// Identifies the subscription.
    subscription_id: Uuid,
    /// Whose it is.
    org_id: Uuid,
    /// Who made it.
    user_id: Uuid,
    /// To what.
    plan_id: Uuid,
    /// The plan's name when it was made.
    plan_name: String,
    /// How often it is paid.
    interval: Interval,
    /// Where it stands.
    status: SubscriptionStatus,
    /// When the trial ends or ended.
    trial_end: Option<Time>,
    /// Start of the period.
    current_period_start: Time,
    /// End of the period.
    current_period_end: Time,
    /// End of grace, once the period ended unpaid.
    grace_period_ends_at: Option<Time>,
    /// Whether it ends with the period.
    cancel_at_period_end: bool,
    /// When it ended.
    canceled_at: Option<Time>,
    /// How many times the plan's seats.
    quantity: u32,
    /// What it costs each time that it is paid, in minor units of `currency`; kept when the plan's price
    /// changes.
    amount_cents: Option<i64>,
    /// ISO 4217.
    currency: Option<String>,
    /// The id under which Stripe bills it; null: operators record its payments.
    stripe_subscription_id: Option<String>,
    /// When it was made.
    created_at: Time,
    /// Whose it is, in the lists of operators alone.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Customer>,
}

impl From<Owned<subscription::Subscription>> for Subscription {
    fn from((subscription, customer): Owned<subscription::Subscription>) -> Self {
        Self { customer: customer.map(Customer::from), ..subscription.into() }
    }
}

impl From<subscription::Subscription> for Subscription {
    fn from(subscription: subscription::Subscription) -> Self {
        Self {
            subscription_id: subscription.subscription_id.0,
            org_id: subscription.org_id.0,
            user_id: subscription.user_id.0,
            plan_id: subscription.plan_id.0,
            plan_name: subscription.plan_name,
            interval: subscription.interval.into(),
            status: subscription.status.into(),
            trial_end: subscription.trial_end.map(Time),
            current_period_start: subscription.current_period_start.into(),
            current_period_end: subscription.current_period_end.into(),
            grace_period_ends_at: subscription.grace_ends_at.map(Time),
            cancel_at_period_end: subscription.cancel_at_period_end,
            canceled_at: subscription.canceled_at.map(Time),
            quantity: subscription.quantity,
            amount_cents: subscription
                .price
                .as_ref()
                .map(|price| price.amount_cents.saturating_mul(subscription.quantity.into())),
            currency: subscription.price.map(|price| price.currency),
            stripe_subscription_id: subscription.stripe_subscription_id,
            created_at: subscription.created_at.into(),
            customer: None,
        }
    }
}

/// A plan to try.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct StartTrial {
    /// Which plan.
    plan_id: Uuid,
}

/// A trial that has begun.
#[derive(Object, Serialize)]
pub struct Trial {
    /// Identifies the subscription.
    subscription_id: Uuid,
    /// Where it stands.
    status: SubscriptionStatus,
    /// When the trial ends.
    trial_end: Option<Time>,
    /// The subscription.
    subscription: Subscription,
    /// The licence it came with; null for somebody whose role shows no licences.
    license: Option<License>,
}

/// When a subscription is to end.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// With the current period (left out: yes), or at once.
    at_period_end: Option<bool>,
}

/// What stands behind a payment.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PaymentKind {
    /// Money that came.
    Payment,
    /// A promise to pay: what it is for works at once, and stops when it is not settled in time.
    PurchaseOrder,
    /// Time that is given, for no money.
    Credit,
}

impl From<payment::PaymentKind> for PaymentKind {
    fn from(kind: payment::PaymentKind) -> Self {
        match kind {
            payment::PaymentKind::Payment => Self::Payment,
            payment::PaymentKind::PurchaseOrder => Self::PurchaseOrder,
            payment::PaymentKind::Credit => Self::Credit,
        }
    }
}

impl From<PaymentKind> for payment::PaymentKind {
    fn from(kind: PaymentKind) -> Self {
        match kind {
            PaymentKind::Payment => Self::Payment,
            PaymentKind::PurchaseOrder => Self::PurchaseOrder,
            PaymentKind::Credit => Self::Credit,
        }
    }
}

/// A payment.
#[derive(Object, Serialize)]
pub struct Payment {
    /// Identifies the payment.
    payment_id: Uuid,
    /// Who paid.
    org_id: Uuid,
    /// What for.
    subscription_id: Uuid,
    /// What stands behind it.
    kind: PaymentKind,
    /// Minor units of `currency`.
    amount_cents: i64,
    /// ISO 4217.
    currency: String,
    /// Billing periods it pays for.
    periods: u32,
    /// Of a purchase order: until when it is to be settled.
    due_at: Option<Time>,
    /// Of a purchase order: when its money came; null while it is open.
    settled_at: Option<Time>,
    /// Of a purchase order: when it was withdrawn.
    withdrawn_at: Option<Time>,
    /// What finds it in other books.
    reference: String,
    /// When it was recorded.
    recorded_at: Time,
    /// Who recorded it.
    recorded_by: Option<Uuid>,
    /// Who paid, in the lists of operators alone.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Customer>,
}

impl From<Owned<payment::Payment>> for Payment {
    fn from((payment, customer): Owned<payment::Payment>) -> Self {
        Self { customer: customer.map(Customer::from), ..payment.into() }
    }
}

impl From<payment::Payment> for Payment {
    fn from(payment: payment::Payment) -> Self {
        Self {
            payment_id: payment.payment_id.0,
            org_id: payment.org_id.0,
            subscription_id: payment.subscription_id.0,
            kind: payment.kind.into(),
            due_at: payment.due_at.map(Time),
            settled_at: payment.settled_at.map(Time),
            withdrawn_at: payment.withdrawn_at.map(Time),
            amount_cents: payment.amount_cents,
            currency: payment.currency,
            periods: payment.periods,
            reference: payment.reference,
            recorded_at: payment.recorded_at.into(),
            recorded_by: payment.recorded_by.map(|id| id.0),
            customer: None,
        }
    }
}

/// A payment to record: for a `subscription_id`, or for `org_id` and `plan_id` to start one.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct NewPayment {
    /// The subscription it pays for.
    subscription_id: Option<Uuid>,
    /// The organisation that gets a new subscription.
    org_id: Option<Uuid>,
    /// The plan of the new subscription.
    plan_id: Option<Uuid>,
    /// How often the new subscription is paid; left out: every month.
    interval: Option<Interval>,
    /// Minor units; left out: the price that the subscription was sold at, for the periods. A credit has
    /// none.
    #[oai(validator(minimum(value = "0"), maximum(value = "100000000000")))]
    amount_cents: Option<i64>,
    /// ISO 4217; left out: the plan's.
    #[oai(validator(pattern = "^[A-Z]{3}$"))]
    currency: Option<String>,
    /// Billing periods it pays for, 1 to 36; left out: 1.
    #[oai(validator(minimum(value = "1"), maximum(value = "36")))]
    periods: Option<u32>,
    /// A purchase order, a bank reference; at most 200 characters. An organisation's payments have
    /// different ones, so that none is recorded twice.
    #[oai(validator(max_length = 200))]
    reference: Option<String>,
    /// What stands behind it; left out: money that came. A purchase order needs its number as reference.
    kind: Option<PaymentKind>,
    /// Days until a purchase order is to be settled, 1 to 365, no longer than what it pays for; left out:
    /// 30. Over that date a grace period begins, once what was paid before is over too.
    #[oai(validator(minimum(value = "1"), maximum(value = "365")))]
    due_days: Option<u32>,
}

impl From<NewPayment> for PaymentInput {
    fn from(body: NewPayment) -> Self {
        Self {
            subscription_id: body.subscription_id.map(SubscriptionId),
            org_id: body.org_id.map(OrgId),
            plan_id: body.plan_id.map(PlanId),
            interval: body.interval.unwrap_or(Interval::Month).into(),
            amount_cents: body.amount_cents,
            currency: body.currency,
            periods: body.periods.unwrap_or(1),
            reference: body.reference.unwrap_or_default(),
            kind: body.kind.unwrap_or(PaymentKind::Payment).into(),
            due_days: body.due_days,
        }
    }
}

/// What recording a payment led to.
#[derive(Object, Serialize)]
pub struct Recorded {
    /// Identifies the payment.
    payment_id: Uuid,
    /// The payment.
    payment: Payment,
    /// The subscription it paid for.
    subscription: Subscription,
    /// The licence it keeps alive.
    license: License,
}

list! {
    /// A page of subscriptions.
    SubscriptionList of Subscription;
    /// A page of payments.
    PaymentList of Payment;
}

#[OpenApi(prefix_path = "/api/v1")]
impl Subscriptions {
    /// Start a plan's trial
    ///
    /// Once per organisation and plan. The licence is issued and mailed at once.
    #[oai(
        path = "/subscriptions/trial",
        method = "post",
        operation_id = "start_trial",
        tag = "Tag::Subscriptions"
    )]
    async fn start_trial(&self, person: Person, body: Json<StartTrial>) -> Answer<Created<Trial>> {
        let (subscription, license) =
            self.services.start_trial(&person.0, PlanId(body.0.plan_id)).await?;
        let shown = person.0.may(Permission::LicensesRead);
        let license = shown.then(|| License::of(&self.services, license));
        let subscription = Subscription::from(subscription);
        Ok(Created(Trial {
            subscription_id: subscription.subscription_id,
            status: subscription.status,
            trial_end: subscription.trial_end,
            subscription,
            license,
        }))
    }

    /// The organisation's subscriptions
    #[oai(
        path = "/subscriptions",
        method = "get",
        operation_id = "list_subscriptions",
        tag = "Tag::Subscriptions"
    )]
    async fn list_subscriptions(
        &self,
        person: Person,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<SubscriptionList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        Ok(Json(SubscriptionList::of(
            self.services.subscriptions(&person.0, &request)?,
            Subscription::from,
        )))
    }

    /// Cancel a subscription
    #[oai(
        path = "/subscriptions/:subscription_id/cancel",
        method = "post",
        operation_id = "cancel_subscription",
        tag = "Tag::Subscriptions"
    )]
    async fn cancel_subscription(
        &self,
        person: Person,
        subscription_id: Path<String>,
        body: OptionalJson<Cancel>,
    ) -> Answer<Json<Subscription>> {
        let id = path_id(&subscription_id.0, "subscription")?;
        let at_period_end = body.0.at_period_end.unwrap_or(true);
        Ok(Json(self.services.cancel_subscription(&person.0, id, at_period_end).await?.into()))
    }

    /// Take a cancellation back
    #[oai(
        path = "/subscriptions/:subscription_id/resume",
        method = "post",
        operation_id = "resume_subscription",
        tag = "Tag::Subscriptions"
    )]
    async fn resume_subscription(
        &self,
        person: Person,
        subscription_id: Path<String>,
    ) -> Answer<Json<Subscription>> {
        let id = path_id(&subscription_id.0, "subscription")?;
        Ok(Json(self.services.resume_subscription(&person.0, id).await?.into()))
    }

    /// The organisation's payments
    #[oai(
        path = "/payments",
        method = "get",
        operation_id = "list_payments",
        tag = "Tag::Subscriptions"
    )]
    async fn list_payments(
        &self,
        person: Person,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<PaymentList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        Ok(Json(PaymentList::of(self.services.payments(&person.0, &request)?, Payment::from)))
    }

    /// All subscriptions
    #[oai(
        path = "/admin/subscriptions",
        method = "get",
        operation_id = "admin_list_subscriptions",
        tag = "Tag::Operator"
    )]
    async fn admin_list_subscriptions(
        &self,
        person: Person,
        /// Of this status alone.
        status: Query<Option<SubscriptionStatus>>,
        /// Of this organisation alone.
        org_id: Query<Option<Uuid>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<SubscriptionList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let (status, org_id) = (status.0.map(Into::into), org_id.0.map(OrgId));
        let page = self.services.all_subscriptions(&person.0, status, org_id, &request)?;
        Ok(Json(SubscriptionList::of(page, Subscription::from)))
    }

    /// All payments
    #[oai(
        path = "/admin/payments",
        method = "get",
        operation_id = "admin_list_payments",
        tag = "Tag::Operator"
    )]
    async fn admin_list_payments(
        &self,
        person: Person,
        /// Of this organisation alone.
        org_id: Query<Option<Uuid>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<PaymentList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = self.services.all_payments(&person.0, org_id.0.map(OrgId), &request)?;
        Ok(Json(PaymentList::of(page, Payment::from)))
    }

    /// Record a payment
    ///
    /// Money that came, a purchase order or a credit. It extends or revives a subscription, or starts one
    /// for an organisation and a plan; the licence follows at once.
    #[oai(
        path = "/admin/payments",
        method = "post",
        operation_id = "record_payment",
        tag = "Tag::Operator"
    )]
    async fn record_payment(
        &self,
        person: Person,
        body: Json<NewPayment>,
    ) -> Answer<Created<Recorded>> {
        let outcome = self.services.record_payment(&person.0, body.0.into()).await?;
        Ok(Created(self.recorded(outcome)))
    }

    /// Settle a purchase order
    ///
    /// Its money came. What had stopped because it came late works again, for as long as the order pays.
    #[oai(
        path = "/admin/payments/:payment_id/settle",
        method = "post",
        operation_id = "settle_payment",
        tag = "Tag::Operator"
    )]
    async fn settle_payment(
        &self,
        person: Person,
        payment_id: Path<String>,
    ) -> Answer<Json<Recorded>> {
        let id = path_id(&payment_id.0, "payment")?;
        let settled = self.services.end_order(&person.0, id, OrderAct::Settle).await?;
        Ok(Json(self.recorded(settled)))
    }

    /// Withdraw a purchase order
    ///
    /// Its money will not come. What was paid before goes on to its end; without that grace begins.
    #[oai(
        path = "/admin/payments/:payment_id/withdraw",
        method = "post",
        operation_id = "withdraw_payment",
        tag = "Tag::Operator"
    )]
    async fn withdraw_payment(
        &self,
        person: Person,
        payment_id: Path<String>,
    ) -> Answer<Json<Recorded>> {
        let id = path_id(&payment_id.0, "payment")?;
        let withdrawn = self.services.end_order(&person.0, id, OrderAct::Withdraw).await?;
        Ok(Json(self.recorded(withdrawn)))
    }
}

impl Subscriptions {
    fn recorded(&self, outcome: PaymentOutcome) -> Recorded {
        let PaymentOutcome { payment, subscription, license } = outcome;
        Recorded {
            payment_id: payment.payment_id.0,
            payment: payment.into(),
            subscription: subscription.into(),
            license: License::of(&self.services, license),
        }
    }
}
