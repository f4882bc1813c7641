//! Trials, payments, and what time does to a subscription.

use super::billing::End;
use super::customers::recipient;
use super::customers::{Owned, with_customers};
use super::licenses::{self, NewLicense};
use super::{Actor, Ctx, Services, letters};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, Result, found};
use crate::domain::ids::{OrgId, PaymentId, PlanId, SubscriptionId, UserId};
use crate::domain::job::{Job, Work};
use crate::domain::license::License;
use crate::domain::organisation::{Permission, Role};
use crate::domain::page::{Page, PageRequest};
use crate::domain::payment::{Payment, PaymentKind};
use crate::domain::plan::{MONEY_MAX, Plan, check_currency, check_text};
use crate::domain::subscription::{Interval, Price, Subscription, SubscriptionStatus};
pub use crate::store::subscriptions::Revenue;
use crate::store::{self, Read, WriteTx, jobs, orgs, plans, subscriptions, users};

/// A payment as an operator records it.
pub struct PaymentInput {
    /// What it pays for: a subscription that exists ...
    pub subscription_id: Option<SubscriptionId>,
    /// ... or a new one, for this organisation ...
    pub org_id: Option<OrgId>,
    /// ... to this plan.
    pub plan_id: Option<PlanId>,
    /// How often the new one is paid.
    pub interval: Interval,
    /// Minor units; none: what the subscription costs for the periods.
    pub amount_cents: Option<i64>,
    /// ISO 4217; none: the subscription's.
    pub currency: Option<String>,
    /// Billing periods it pays for, 1 to 36.
    pub periods: u32,
    /// What finds it in other books.
    pub reference: String,
    /// What stands behind it.
    pub kind: PaymentKind,
    /// Days until a purchase order is to be settled, 1 to 365; none: thirty.
    pub due_days: Option<u32>,
}

/// Days until a purchase order is to be settled, where nothing else was agreed.
const DUE_DAYS: u32 = 30;

/// What recording a payment led to.
#[derive(Debug)]
pub struct PaymentOutcome {
    /// The payment as recorded.
    pub payment: Payment,
    /// The subscription it paid for.
    pub subscription: Subscription,
    /// The licence it keeps alive.
    pub license: License,
}

impl Services {
    /// Starts the plan's trial for the actor's organisation: subscription, licence and mail at once.
    pub async fn start_trial(
        &self,
        actor: &Actor,
        plan_id: PlanId,
    ) -> Result<(Subscription, License)> {
        let ctx = self.ctx_of(actor);
        let (org_id, user_id) = (actor.org(Permission::BillingManage)?, actor.user_id);
        self.commit(actor.guarded(move |tx| {
            store::org(tx, org_id).organisation()?.require_staying()?;
            let plan = plan_on_sale(tx, plan_id)?;
            if plan.trial_duration_days == 0 {
                return Err(Error::new(Code::TrialUnavailable, "This plan has no trial."));
            }
            if had_trial(tx, org_id, user_id, plan_id)? {
                return Err(Error::new(
                    Code::TrialUsed,
                    "Your organisation has had this plan's trial. Subscribe to go on, or choose another plan.",
                ));
            }
            let end = ctx.now.plus_days(plan.trial_duration_days);
            let mut subscription = new_subscription(&ctx, org_id, user_id, &plan, Interval::Month);
            subscription.begin_trial(ctx.now, end);
            subscriptions::put_trial(tx, &subscription)?;
            ctx.audit(
                tx,
                Some(org_id),
                "subscription.trial_started",
                subscription.subscription_id,
                [("plan", plan.plan_name.clone()), ("trial_end", end.to_string())],
            )?;
            let user = users::get(tx, user_id)?;
            let message = letters::trial_started(&user, &subscription);
            ctx.queue_mail(tx, Some(org_id), user.email.as_str(), "subscription.trial_started", &message)?;
            begin(&ctx, tx, &plan, subscription)
        }))
        .await
    }

    /// The organisation's subscriptions.
    pub fn subscriptions(
        &self,
        actor: &Actor,
        request: &PageRequest,
    ) -> Result<Page<Subscription>> {
        let org_id = actor.org(Permission::BillingRead)?;
        self.store.read(|tx| store::org(tx, org_id).subscriptions(request))
    }

    /// All subscriptions, or those of a status or an organisation, newest first, for operators.
    pub fn all_subscriptions(
        &self,
        actor: &Actor,
        status: Option<SubscriptionStatus>,
        org_id: Option<OrgId>,
        request: &PageRequest,
    ) -> Result<Page<Owned<Subscription>>> {
        actor.require_operator()?;
        self.store.read(|tx| {
            let page = match (org_id, status) {
                (Some(org_id), Some(status)) => {
                    store::org(tx, org_id).subscriptions_of_status(status, request)?
                }
                (Some(org_id), None) => store::org(tx, org_id).subscriptions(request)?,
                (None, Some(status)) => subscriptions::list_of_status(tx, status, request)?,
                (None, None) => subscriptions::list(tx, request)?,
            };
            with_customers(tx, page, |it| (it.org_id, Some(it.user_id)))
        })
    }

    /// The organisation's payments.
    pub fn payments(&self, actor: &Actor, request: &PageRequest) -> Result<Page<Payment>> {
        let org_id = actor.org(Permission::BillingRead)?;
        self.store.read(|tx| store::org(tx, org_id).payments(request))
    }

    /// All payments, or an organisation's, newest first, for operators.
    pub fn all_payments(
        &self,
        actor: &Actor,
        org_id: Option<OrgId>,
        request: &PageRequest,
    ) -> Result<Page<Owned<Payment>>> {
        actor.require_operator()?;
        self.store.read(|tx| {
            let page = match org_id {
                Some(org_id) => store::org(tx, org_id).payments(request)?,
                None => subscriptions::list_payments(tx, request)?,
            };
            with_customers(tx, page, |payment| (payment.org_id, None))
        })
    }

    /// Records a payment: it extends, revives or starts a subscription with its licence.
    pub async fn record_payment(
        &self,
        actor: &Actor,
        input: PaymentInput,
    ) -> Result<PaymentOutcome> {
        actor.require_operator()?;
        input.check()?;
        let ctx = self.ctx_of(actor);
        let recorded_by = match actor.by() {
            By::User(user_id) => Some(user_id),
            By::Local | By::Anonymous | By::System => None,
        };
        let change = actor.guarded(move |tx| book(&ctx, tx, recorded_by, input));
        self.commit_license(change, |outcome| Some(&outcome.license)).await
    }

    /// Books the money of a purchase order, or that it will not come.
    ///
    /// # Errors
    /// `PaymentState` when it is no purchase order that is open.
    pub async fn end_order(
        &self,
        actor: &Actor,
        id: PaymentId,
        act: OrderAct,
    ) -> Result<PaymentOutcome> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        let change = actor.guarded(move |tx| end_order(&ctx, tx, id, act));
        self.commit_license(change, |outcome| Some(&outcome.license)).await
    }

    /// Asks for the end of a subscription: with its period, or at once.
    pub async fn cancel_subscription(
        &self,
        actor: &Actor,
        id: SubscriptionId,
        at_period_end: bool,
    ) -> Result<Subscription> {
        if let Some(billed) = self.billed(actor, id)? {
            let end = if at_period_end { End::WithPeriod(true) } else { End::Now };
            return self.end_billed(actor, &billed, end).await;
        }
        self.change_subscription(actor, id, "subscription.canceled", move |subscription, now| {
            subscription.cancel(now, at_period_end)
        })
        .await
    }

    /// Takes an asked-for end back.
    pub async fn resume_subscription(
        &self,
        actor: &Actor,
        id: SubscriptionId,
    ) -> Result<Subscription> {
        self.store.read(|tx| {
            let org_id = tenant(tx, actor, id)?;
            store::org(tx, org_id).organisation()?.require_staying()
        })?;
        if let Some(billed) = self.billed(actor, id)? {
            let mut asked = billed.clone();
            asked.resume()?;
            return self.end_billed(actor, &billed, End::WithPeriod(false)).await;
        }
        self.change_subscription(actor, id, "subscription.resumed", |subscription, _| {
            subscription.resume()
        })
        .await
    }

    /// The subscription, where Stripe bills it and it has not ended.
    fn billed(&self, actor: &Actor, id: SubscriptionId) -> Result<Option<Subscription>> {
        let found = self.store.read(|tx| {
            let org_id = tenant(tx, actor, id)?;
            store::org(tx, org_id).subscription(id)
        })?;
        let lives = found.status != SubscriptionStatus::Canceled;
        Ok(Some(found).filter(|found| found.is_billed() && lives))
    }

    async fn change_subscription(
        &self,
        actor: &Actor,
        id: SubscriptionId,
        action: &'static str,
        step: impl FnOnce(&mut Subscription, crate::domain::time::Timestamp) -> Result<()>
        + Send
        + 'static,
    ) -> Result<Subscription> {
        let ctx = self.ctx_of(actor);
        let whose = actor.clone();
        let change = actor.guarded(move |tx| {
            let org_id = tenant(tx, &whose, id)?;
            let mut subscription = store::org(tx, org_id).subscription(id)?;
            let before = subscription.clone();
            step(&mut subscription, ctx.now)?;
            subscriptions::put(tx, &subscription, ctx.now)?;
            let told = [("status", subscription.status.as_str().to_owned())];
            ctx.audit_change(tx, Some(org_id), action, id, told, &before, &subscription)?;
            if subscription.status == SubscriptionStatus::Canceled {
                // Ended at once: no step of time will tell of it.
                let user = recipient(tx, subscription.org_id, subscription.user_id)?;
                let message = letters::subscription_ended(&user, &subscription);
                ctx.queue_mail(tx, Some(org_id), user.email.as_str(), action, &message)?;
            }
            let license = licenses::follow(&ctx, tx, &subscription)?;
            Ok((subscription, license))
        });
        let (subscription, _) =
            self.commit_license(change, |(_, license)| license.as_ref()).await?;
        Ok(subscription)
    }

    /// Does what time has made due for a subscription, and removes the job, in one transaction.
    pub async fn subscription_due(
        &self,
        job: &Job,
        org_id: OrgId,
        id: SubscriptionId,
    ) -> Result<()> {
        let ctx = self.ctx(By::System);
        let job = job.clone();
        let change = move |tx: &mut WriteTx<'_>| {
            // It may have gone with its organisation.
            let there = found(store::org(tx, org_id).subscription(id))?.is_some();
            if !jobs::remove(tx, &job)? || !there {
                return Ok(None);
            }
            advance(&ctx, tx, org_id, id)
        };
        self.commit_license(change, Option::as_ref).await?;
        Ok(())
    }
}

impl PaymentInput {
    fn check(&self) -> Result<()> {
        check_text("reference", &self.reference, 0, 200)?;
        if !(1..=36).contains(&self.periods) {
            return Err(Error::invalid("periods", "must be between 1 and 36"));
        }
        if self.amount_cents.is_some_and(|amount| !(0..=MONEY_MAX).contains(&amount)) {
            return Err(Error::invalid(
                "amount_cents",
                "must be between 0 and 100000000000 minor units",
            ));
        }
        if let Some(currency) = &self.currency {
            check_currency(currency)?;
        }
        let order = self.kind == PaymentKind::PurchaseOrder;
        if order && self.reference.trim().is_empty() {
            return Err(Error::invalid("reference", "must be the number of the purchase order"));
        }
        if self.kind == PaymentKind::Credit && self.amount_cents.is_some_and(|cents| cents != 0) {
            return Err(Error::invalid("amount_cents", "must be left out: a credit is no money"));
        }
        if self.due_days.is_some_and(|days| !order || !(1..=365).contains(&days)) {
            return Err(Error::invalid("due_days", "must be 1 to 365, for a purchase order alone"));
        }
        match (self.subscription_id, self.org_id, self.plan_id) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(()),
            _ => Err(Error::invalid(
                "subscription_id",
                "give a subscription_id to pay for it, or org_id and plan_id together to start a new subscription",
            )),
        }
    }
}

/// Whether the organisation, or another one that the person owns, has had this plan's trial.
fn had_trial(tx: &impl Read, org_id: OrgId, user_id: UserId, plan_id: PlanId) -> Result<bool> {
    let user = users::get(tx, user_id)?;
    let own = orgs::of_user(tx, user_id, user.personal_org, orgs::OF_USER_MAX)?;
    let own = own.into_iter().filter(|(_, member)| member.role == Role::Owner);
    for id in own.map(|(org, _)| org.org_id).chain([org_id]) {
        if store::org(tx, id).had_trial(plan_id)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whose subscription the actor may change: the own organisation's, or any for an operator.
pub(super) fn tenant(tx: &impl Read, actor: &Actor, id: SubscriptionId) -> Result<OrgId> {
    if actor.operator {
        subscriptions::org_of(tx, id)
    } else {
        actor.org(Permission::BillingManage)
    }
}

/// A plan that can be bought now.
pub(super) fn plan_on_sale(tx: &impl Read, plan_id: PlanId) -> Result<Plan> {
    let plan = plans::get(tx, plan_id)?;
    if plan.archived_at.is_some() {
        return Err(Error::new(
            Code::PlanUnavailable,
            "This plan is no longer on sale; choose another.",
        ));
    }
    Ok(plan)
}

pub(super) fn new_subscription(
    ctx: &Ctx,
    org_id: OrgId,
    user_id: UserId,
    plan: &Plan,
    interval: Interval,
) -> Subscription {
    Subscription {
        subscription_id: SubscriptionId(ctx.record_id()),
        org_id,
        user_id,
        plan_id: plan.plan_id,
        plan_name: plan.plan_name.clone(),
        interval,
        price: Some(Price::of(plan, interval)),
        status: SubscriptionStatus::Incomplete,
        trial_end: None,
        current_period_start: ctx.now,
        current_period_end: ctx.now,
        grace_ends_at: None,
        cancel_at_period_end: false,
        canceled_at: None,
        created_at: ctx.now,
        stripe_subscription_id: None,
        stripe_customer_id: None,
        quantity: 1,
        seen_at: None,
        reminded: false,
        trial_started_at: None,
        first_active_at: None,
        owed: None,
    }
}

/// Stores a new subscription with its licence and the job that looks at it next.
fn begin(
    ctx: &Ctx,
    tx: &mut WriteTx,
    plan: &Plan,
    subscription: Subscription,
) -> Result<(Subscription, License)> {
    subscriptions::put(tx, &subscription, ctx.now)?;
    plan_next_step(ctx, tx, &subscription)?;
    let mut new = NewLicense::of_plan(plan, subscription.org_id, subscription.user_id);
    new.subscription = Some(subscription.clone());
    let license = licenses::insert(ctx, tx, new)?;
    Ok((subscription, license))
}

pub(super) fn plan_next_step(
    ctx: &Ctx,
    tx: &mut WriteTx,
    subscription: &Subscription,
) -> Result<()> {
    let Some(due) = subscription.next_step_at() else {
        return Ok(());
    };
    let (org_id, subscription_id) = (subscription.org_id, subscription.subscription_id);
    ctx.plan_job(tx, due, Work::SubscriptionDue { org_id, subscription_id })
}

/// Books a payment, for a subscription or for a new one, as of the context's time.
pub(super) fn book(
    ctx: &Ctx,
    tx: &mut WriteTx,
    recorded_by: Option<UserId>,
    input: PaymentInput,
) -> Result<PaymentOutcome> {
    let (subscription, plan, new) = match (input.subscription_id, input.org_id, input.plan_id) {
        (None, Some(org_id), Some(plan_id)) => {
            let plan = plan_on_sale(tx, plan_id)?;
            store::org(tx, org_id).organisation()?.require_staying()?;
            let user_id = store::org(tx, org_id).owner()?;
            (new_subscription(ctx, org_id, user_id, &plan, input.interval), plan, true)
        }
        (Some(id), ..) => {
            let org_id = subscriptions::org_of(tx, id)?;
            let subscription = store::org(tx, org_id).subscription(id)?;
            let plan = plans::get(tx, subscription.plan_id)?;
            (subscription, plan, false)
        }
        _ => return Err(Error::not_found("subscription")),
    };
    let mut subscription = subscription;
    let before = subscription.clone();
    let payment_id = PaymentId(ctx.record_id());
    if let Some(owed) = subscription.owed
        && (input.kind != PaymentKind::Credit || owed.pays_until.is_some())
    {
        let text = format!(
            "A purchase order of this subscription is open: settle or withdraw it first (payment {}).",
            owed.payment_id
        );
        return Err(Error::new(Code::SubscriptionState, text));
    }
    let due_at = match input.kind {
        PaymentKind::Payment => subscription.pay(ctx.now, input.periods).map(|()| None)?,
        PaymentKind::Credit => subscription.credit(ctx.now, input.periods).map(|()| None)?,
        PaymentKind::PurchaseOrder => {
            let due_at = ctx.now.plus_days(input.due_days.unwrap_or(DUE_DAYS));
            let owed = subscription.order(ctx.now, input.periods, payment_id, due_at)?;
            Some(owed.due_at)
        }
    };
    let org_id = subscription.org_id;
    let price = subscription.price.clone();
    let price = price.unwrap_or_else(|| Price::of(&plan, subscription.interval));
    let payment = Payment {
        payment_id,
        org_id,
        subscription_id: subscription.subscription_id,
        kind: input.kind,
        plan_id: Some(subscription.plan_id),
        amount_cents: input.amount_cents.unwrap_or_else(|| {
            if input.kind == PaymentKind::Credit {
                return 0;
            }
            let times = i64::from(subscription.quantity).saturating_mul(input.periods.into());
            price.amount_cents.saturating_mul(times)
        }),
        currency: input.currency.unwrap_or(price.currency),
        periods: input.periods,
        reference: input.reference,
        stripe_invoice_id: None,
        recorded_at: ctx.now,
        recorded_by,
        due_at,
        settled_at: None,
        withdrawn_at: None,
    };
    subscriptions::insert_payment(tx, &payment)?;
    let cause = match input.kind {
        PaymentKind::Payment => "payment.recorded",
        PaymentKind::PurchaseOrder => "payment.ordered",
        PaymentKind::Credit => "payment.credited",
    };
    tell(ctx, tx, cause, &payment, &before, &subscription)?;
    if new {
        let (subscription, license) = begin(ctx, tx, &plan, subscription)?;
        return Ok(PaymentOutcome { payment, subscription, license });
    }
    carried_on(ctx, tx, payment, subscription)
}

fn carried_on(
    ctx: &Ctx,
    tx: &mut WriteTx,
    payment: Payment,
    subscription: Subscription,
) -> Result<PaymentOutcome> {
    subscriptions::put(tx, &subscription, ctx.now)?;
    plan_next_step(ctx, tx, &subscription)?;
    let license = licenses::follow(ctx, tx, &subscription)?.ok_or_else(|| {
        Error::internal(format!("subscription {} has no licence", subscription.subscription_id))
    })?;
    Ok(PaymentOutcome { payment, subscription, license })
}

/// What becomes of a purchase order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderAct {
    /// Its money came.
    Settle,
    /// It will not come.
    Withdraw,
}

fn end_order(ctx: &Ctx, tx: &mut WriteTx, id: PaymentId, act: OrderAct) -> Result<PaymentOutcome> {
    let mut payment = subscriptions::payment(tx, id)?;
    if !payment.is_open() {
        let text = "This is no open purchase order: its money came, was never promised, or it was withdrawn.";
        return Err(Error::new(Code::PaymentState, text));
    }
    let mut subscription = store::org(tx, payment.org_id).subscription(payment.subscription_id)?;
    let before = subscription.clone();
    let cause = match act {
        OrderAct::Settle => {
            payment.settled_at = Some(ctx.now);
            subscription.settle(ctx.now);
            "payment.settled"
        }
        OrderAct::Withdraw => {
            payment.withdrawn_at = Some(ctx.now);
            subscription.withdraw(ctx.now, ctx.config.license.grace_days);
            "payment.withdrawn"
        }
    };
    subscriptions::update_order(tx, &payment)?;
    tell(ctx, tx, cause, &payment, &before, &subscription)?;
    carried_on(ctx, tx, payment, subscription)
}

/// Audits and mails what was booked.
fn tell(
    ctx: &Ctx,
    tx: &mut WriteTx,
    cause: &str,
    payment: &Payment,
    before: &Subscription,
    subscription: &Subscription,
) -> Result<()> {
    let org_id = Some(payment.org_id);
    let told = [
        ("amount", format!("{} {}", payment.amount_cents, payment.currency)),
        ("reference", payment.reference.clone()),
        ("subscription", subscription.subscription_id.to_string()),
        ("status_before", before.status.as_str().to_owned()),
        ("period_end", subscription.current_period_end.to_string()),
    ];
    ctx.audit_change(tx, org_id, cause, payment.payment_id, told, before, subscription)?;
    let user = recipient(tx, subscription.org_id, subscription.user_id)?;
    let message = match payment.due_at {
        Some(due_at) if payment.is_open() => {
            letters::order_received(&user, payment, subscription, due_at)
        }
        // Without it what was paid before goes on, or grace begins as for any period.
        Some(_) if payment.withdrawn_at.is_some() => {
            if subscription.status != SubscriptionStatus::PastDue
                || before.status == subscription.status
            {
                return Ok(());
            }
            letters::grace_started(&user, subscription, false)
        }
        _ => letters::payment_recorded(&user, payment, subscription),
    };
    ctx.queue_mail(tx, org_id, user.email.as_str(), cause, &message)
}

/// Takes every step that is due, each audited and mailed, and plans the next look.
fn advance(
    ctx: &Ctx,
    tx: &mut WriteTx,
    org_id: OrgId,
    id: SubscriptionId,
) -> Result<Option<License>> {
    let mut subscription = store::org(tx, org_id).subscription(id)?;
    let user = recipient(tx, subscription.org_id, subscription.user_id)?;
    let (mut moved, mut before) = (false, subscription.clone());
    while let Some(step) = subscription.tick(ctx.now, ctx.config.license.grace_days) {
        moved = true;
        let (action, message) = letters::step_taken(step, &user, &subscription, ctx.now);
        let told = [("status", subscription.status.as_str().to_owned())];
        ctx.audit_change(tx, Some(org_id), action, id, told, &before, &subscription)?;
        before.clone_from(&subscription);
        if let Some(message) = message {
            ctx.queue_mail(tx, Some(org_id), user.email.as_str(), action, &message)?;
        }
    }
    if !moved {
        // Paid in the meantime: the payment planned its own look at the new period's end.
        return Ok(None);
    }
    subscriptions::put(tx, &subscription, ctx.now)?;
    plan_next_step(ctx, tx, &subscription)?;
    licenses::follow(ctx, tx, &subscription)
}
