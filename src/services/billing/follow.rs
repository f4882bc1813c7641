//! Subscription, licence, invoices and mail follow what Stripe says.
//!
//! Each of these is one transaction that can be done again without harm: what is there already
//! changes nothing, and is neither audited nor mailed twice.

use serde_json::json;

use super::checkout::live;
use crate::billing::Failure;
use crate::billing::objects::{Invoice as ToldInvoice, Subscription as Told, moment};
use crate::config::AfterMoneyBack;
use crate::domain::audit::By;
use crate::domain::billing::{Billed, Invoice, InvoiceStatus, ProviderStatus};
use crate::domain::error::{Code, Error, Result, found};
use crate::domain::ids::{InvoiceId, OrgId, PaymentId, PlanId, SubscriptionId};
use crate::domain::license::License;
use crate::domain::payment::{Payment, PaymentKind};
use crate::domain::plan::Plan;
use crate::domain::subscription::{Interval, Price, Subscription, SubscriptionStatus};
use crate::domain::time::Timestamp;
use crate::services::customers::recipient;
use crate::services::licenses::{self, LicenseAct, NewLicense};
use crate::services::subscriptions::{new_subscription, plan_next_step};
use crate::services::{Actor, Ctx, Services, letters};
use crate::store::{self, Read, WriteTx, billing, plans, subscriptions};

/// What looking at a subscription led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is followed, whether or not anything changed.
    Followed,
    /// It is followed from now on.
    Begun,
    /// It is none of ours.
    Foreign,
    /// The organisation has another one.
    Second {
        /// Stripe's id of that.
        first: String,
    },
}

/// The invoices of a subscription that wait to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unpaid {
    /// When the first of them was made: until then it is paid.
    since: Timestamp,
    /// When that one was to be charged.
    failed_at: Timestamp,
}

impl Services {
    /// Since when a subscription that is not paid is not.
    pub(super) async fn unpaid_since(&self, told: &Told) -> Result<Option<Unpaid>, Failure> {
        use ProviderStatus as Status;
        let matters = matches!(
            told.state(),
            Some(Status::PastDue | Status::Unpaid | Status::Paused | Status::Canceled)
        );
        let Some(stripe) = self.stripe.as_deref().filter(|_| matters) else { return Ok(None) };
        let invoices = stripe.invoices_of(&told.id).await?;
        let waits = |invoice: &&ToldInvoice| {
            matches!(invoice.state(), InvoiceStatus::Open | InvoiceStatus::Uncollectible)
        };
        // Newest first. What was owed before a later one was paid is not what is owed now.
        let since_paid = invoices.iter().take_while(|invoice| {
            invoice.state() != InvoiceStatus::Paid || invoice.amount_paid == 0
        });
        let first = since_paid.filter(waits).min_by_key(|invoice| invoice.created);
        Ok(first.map(|first| Unpaid {
            since: moment(first.created),
            failed_at: first.finalized_at().unwrap_or(moment(first.created)),
        }))
    }

    /// Makes our subscription and its licence follow Stripe's, as it was at `as_of`.
    pub(super) async fn follow_subscription(
        &self,
        told: &Told,
        unpaid: Option<Unpaid>,
        as_of: Timestamp,
    ) -> Result<Outcome> {
        let Some(status) = told.state() else {
            tracing::warn!(
                subscription = told.id,
                status = told.status,
                "Stripe says of a subscription what is not known here; nothing was done"
            );
            return Ok(Outcome::Foreign);
        };
        let (period_start, period_end) = told.period();
        let billed = Billed {
            status,
            period_start,
            period_end,
            trial_end: told.trial_end.map(moment),
            cancel_at_period_end: told.ends_with_period(),
            ended_at: told.ended_at.map(moment),
            unpaid_since: unpaid.map(|unpaid| unpaid.since),
            failed_at: unpaid.map(|unpaid| unpaid.failed_at),
            plan: None,
            price: None,
            quantity: None,
        };
        let ctx = self.ctx(By::System);
        let told = told.clone();
        let change = move |tx: &mut WriteTx<'_>| follow(&ctx, tx, &told, billed, as_of);
        let (outcome, _) = self.commit_license(change, |(_, license)| license.as_ref()).await?;
        Ok(outcome)
    }

    /// Keeps an invoice as Stripe tells it; one that is paid becomes a payment with its receipt.
    pub(super) async fn follow_invoice(&self, told: &ToldInvoice) -> Result<()> {
        let ctx = self.ctx(By::System);
        let told = told.clone();
        self.commit(move |tx| keep_invoice(&ctx, tx, &told)).await
    }

    /// Whether one of our subscriptions has not ended.
    pub(super) fn lives(&self, org_id: OrgId, id: SubscriptionId) -> Result<bool> {
        let found = self.store.read(|tx| store::org(tx, org_id).subscription(id))?;
        Ok(found.status != SubscriptionStatus::Canceled)
    }

    /// Notes what was given back of an invoice; all of it may suspend the licence.
    pub(super) async fn note_refund(&self, stripe_id: &str, refunded_cents: i64) -> Result<()> {
        let suspends = self.config.stripe.on_refund == AfterMoneyBack::Suspend;
        let ctx = self.ctx(By::System);
        let id = stripe_id.to_owned();
        let change = move |tx: &mut WriteTx<'_>| {
            let Some(mut invoice) = billing::invoice_by_stripe(tx, &id)? else { return Ok(None) };
            let more = refunded_cents - invoice.amount_refunded_cents;
            if more <= 0 {
                return Ok(None);
            }
            invoice.amount_refunded_cents = refunded_cents;
            billing::put_invoice(tx, &invoice)?;
            subscriptions::count_refund(tx, &invoice, more)?;
            let told = [("amount", format!("{more} {}", invoice.currency))];
            ctx.audit(tx, Some(invoice.org_id), "payment.refunded", &id, told)?;
            if suspends && refunded_cents >= invoice.amount_paid_cents {
                return suspend(&ctx, tx, &invoice, "The payment was refunded.");
            }
            Ok(None)
        };
        self.commit_license(change, Option::as_ref).await?;
        Ok(())
    }

    /// Notes that the payment of an invoice is disputed; that may suspend the licence.
    pub(super) async fn note_dispute(&self, stripe_id: &str, reason: &str) -> Result<()> {
        let suspends = self.config.stripe.on_dispute == AfterMoneyBack::Suspend;
        let ctx = self.ctx(By::System);
        let (id, reason) = (stripe_id.to_owned(), reason.to_owned());
        let change = move |tx: &mut WriteTx<'_>| {
            let Some(invoice) = billing::invoice_by_stripe(tx, &id)? else { return Ok(None) };
            ctx.audit(tx, Some(invoice.org_id), "payment.disputed", &id, [("reason", reason)])?;
            if suspends {
                return suspend(&ctx, tx, &invoice, "The payment is disputed.");
            }
            Ok(None)
        };
        self.commit_license(change, Option::as_ref).await?;
        Ok(())
    }

    /// Changes a subscription that nobody but the operator bills.
    pub(super) async fn change_unbilled(
        &self,
        actor: &Actor,
        id: SubscriptionId,
        plan_id: PlanId,
        interval: Interval,
        quantity: u32,
    ) -> Result<Subscription> {
        let ctx = self.ctx_of(actor);
        let change = actor.guarded(move |tx| {
            let org_id = subscriptions::org_of(tx, id)?;
            let before = store::org(tx, org_id).subscription(id)?;
            let plan = plans::get(tx, plan_id)?;
            let mut subscription = before.clone();
            subscription.sell(&plan, interval, quantity);
            subscriptions::put(tx, &subscription, ctx.now)?;
            let told = [("plan", plan.plan_name.clone()), ("quantity", quantity.to_string())];
            let action = "subscription.plan_changed";
            ctx.audit_change(tx, Some(org_id), action, id, told, &before, &subscription)?;
            let license = licenses::adopt(&ctx, tx, &subscription, Some(&plan))?;
            Ok((subscription, license))
        });
        let (subscription, _) =
            self.commit_license(change, |(_, license)| license.as_ref()).await?;
        Ok(subscription)
    }
}

type Followed = (Outcome, Option<License>);

fn follow(
    ctx: &Ctx,
    tx: &mut WriteTx,
    told: &Told,
    mut billed: Billed,
    as_of: Timestamp,
) -> Result<Followed> {
    for (_, price, quantity) in told.prices() {
        // Other things may be sold with it.
        if let Some(plan) = plans::by_price(tx, &price.id)? {
            (billed.plan, billed.quantity) = (Some(plan), Some(quantity));
            billed.price = price.of_one();
            break;
        }
    }
    let (mut subscription, before) = match ours(ctx, tx, told, &billed)? {
        Ours::Known(known) => (known.clone(), Some(known)),
        Ours::Taken(taken) => (taken, None),
        Ours::None(outcome) => return Ok((outcome, None)),
    };
    if subscription.seen_at.is_some_and(|seen| as_of < seen) {
        return Ok((Outcome::Followed, None));
    }
    subscription.seen_at = Some(as_of);
    subscription.stripe_subscription_id = Some(told.id.clone());
    subscription.stripe_customer_id = Some(told.customer.id().to_owned());
    let sold = (subscription.plan_id, subscription.interval);
    let changed = subscription.observe(&billed, ctx.now, ctx.config.license.grace_days);
    let plan = plans::get(tx, subscription.plan_id)?;
    subscription.plan_name.clone_from(&plan.plan_name);
    if billed.price.is_none() && sold != (subscription.plan_id, subscription.interval) {
        subscription.price = Some(Price::of(&plan, subscription.interval));
    }
    let is_new = before.is_none();
    if !changed && !is_new {
        subscriptions::put(tx, &subscription, ctx.now)?;
        return Ok((Outcome::Followed, None));
    }
    let (org_id, id) = (subscription.org_id, subscription.subscription_id);
    let stood = found(store::org(tx, org_id).subscription(id))?;
    subscriptions::put(tx, &subscription, ctx.now)?;
    billing::put_billed(tx, &told.id, org_id, id)?;
    if store::org(tx, org_id).checkout()?.is_some_and(|checkout| checkout.subscription_id == id) {
        billing::remove_checkout(tx, org_id)?;
    }
    plan_next_step(ctx, tx, &subscription)?;
    tell(ctx, tx, before.as_ref(), stood.as_ref(), &subscription)?;
    let license = keep_license(ctx, tx, stood.as_ref(), &subscription, &plan)?;
    Ok((if is_new { Outcome::Begun } else { Outcome::Followed }, license))
}

enum Ours {
    /// It is billed already.
    Known(Subscription),
    /// It is billed from now on: one that began without Stripe, or a new one.
    Taken(Subscription),
    /// There is none.
    None(Outcome),
}

/// Which of our subscriptions Stripe's one bills.
fn ours(ctx: &Ctx, tx: &impl Read, told: &Told, billed: &Billed) -> Result<Ours> {
    if let Some((org_id, id)) = billing::billed(tx, &told.id)? {
        return Ok(Ours::Known(store::org(tx, org_id).subscription(id)?));
    }
    let Some(org_id) = billing::org_of_customer(tx, told.customer.id())? else {
        tracing::info!(
            subscription = told.id,
            "a subscription of Stripe is of a customer that is none of ours"
        );
        return Ok(Ours::None(Outcome::Foreign));
    };
    let scope = store::org(tx, org_id);
    let meant: Option<SubscriptionId> =
        told.metadata.get("coditect_subscription_id").and_then(|id| id.parse().ok());
    let ended =
        matches!(billed.status, ProviderStatus::Canceled | ProviderStatus::IncompleteExpired);
    let live = live(tx, org_id)?.filter(Subscription::is_billed);
    if let Some(first) = live.as_ref().and_then(|live| live.stripe_subscription_id.clone())
        && !ended
    {
        return Ok(Ours::None(Outcome::Second { first }));
    }
    let begins = matches!(
        billed.status,
        ProviderStatus::Trialing | ProviderStatus::Active | ProviderStatus::PastDue
    );
    let there = match meant {
        Some(id) => found(scope.subscription(id))?,
        None => None,
    };
    if let Some(there) = &there
        && there.status != SubscriptionStatus::Canceled
        && !there.is_billed()
    {
        // A payment that failed ends nothing that runs without it.
        return Ok(if begins { Ours::Taken(there.clone()) } else { Ours::None(Outcome::Foreign) });
    }
    if live.is_some() {
        return Ok(Ours::None(Outcome::Foreign));
    }
    let checkout = scope.checkout()?.filter(|checkout| Some(checkout.subscription_id) == meant);
    let sold = billed.plan.or(checkout.as_ref().map(|it| (it.plan_id, it.interval)));
    let Some((plan_id, interval)) = sold else {
        let text = format!(
            "Stripe bills {} at a price that no plan has. Give it to a plan (stripe_monthly_price_id or stripe_yearly_price_id); it is looked at again.",
            told.id
        );
        return Err(Error::new(Code::PlanUnavailable, text));
    };
    let user_id = match checkout {
        Some(checkout) => checkout.user_id,
        None => scope.owner()?,
    };
    let plan = plans::get(tx, plan_id)?;
    let mut new = new_subscription(ctx, org_id, user_id, &plan, interval);
    if let Some(meant) = meant.filter(|_| there.is_none()) {
        new.subscription_id = meant;
    }
    Ok(Ours::Taken(new))
}

/// Audits and mails what has become of a subscription.
fn tell(
    ctx: &Ctx,
    tx: &mut WriteTx,
    before: Option<&Subscription>,
    stood: Option<&Subscription>,
    now: &Subscription,
) -> Result<()> {
    use SubscriptionStatus as Status;
    let was = stood.map(|it| it.status);
    let status_before = was.map_or("none", Status::as_str).to_owned();
    let told = [
        ("status", now.status.as_str().to_owned()),
        ("status_before", status_before),
        ("period_end", now.current_period_end.to_string()),
        ("plan", now.plan_name.clone()),
    ];
    let action = match (before.is_none(), now.status) {
        (_, Status::Canceled) => "subscription.ended",
        (true, _) => "subscription.started",
        (_, Status::PastDue | Status::Unpaid) if was != Some(now.status) => {
            "subscription.payment_failed"
        }
        _ => "subscription.changed",
    };
    let (org_id, id) = (Some(now.org_id), now.subscription_id);
    match stood {
        Some(stood) => ctx.audit_change(tx, org_id, action, id, told, stood, now)?,
        None => ctx.audit_change(tx, org_id, action, id, told, &json!({}), now)?,
    }
    let user = recipient(tx, now.org_id, now.user_id)?;
    let mail = |tx: &mut WriteTx, message| {
        ctx.queue_mail(tx, Some(now.org_id), user.email.as_str(), action, &message)
    };
    match now.status {
        Status::Canceled if was.is_some_and(|was| was != Status::Incomplete) => {
            mail(tx, letters::subscription_ended(&user, now))
        }
        Status::PastDue if was != Some(Status::PastDue) => {
            mail(tx, letters::grace_started(&user, now, was == Some(Status::Trialing)))
        }
        Status::Active | Status::Trialing if !started(before) => {
            mail(tx, letters::subscription_confirmed(&user, now))
        }
        _ => Ok(()),
    }
}

/// Whether a subscription that Stripe bills had got beyond its first payment.
fn started(before: Option<&Subscription>) -> bool {
    before.is_some_and(|before| before.status != SubscriptionStatus::Incomplete)
}

/// The licence comes with the first payment or the trial, and then follows.
fn keep_license(
    ctx: &Ctx,
    tx: &mut WriteTx,
    stood: Option<&Subscription>,
    now: &Subscription,
    plan: &Plan,
) -> Result<Option<License>> {
    let sold = |it: &Subscription| (it.plan_id, it.quantity);
    let other = stood.is_some_and(|stood| sold(stood) != sold(now));
    let license = licenses::adopt(ctx, tx, now, other.then_some(plan))?;
    let works =
        !matches!(now.status, SubscriptionStatus::Incomplete | SubscriptionStatus::Canceled);
    if license.is_some() || !works {
        return Ok(license);
    }
    let mut new = NewLicense::of_plan(plan, now.org_id, now.user_id);
    new.max_concurrent_seats = plan.max_concurrent_seats.saturating_mul(now.quantity);
    new.subscription = Some(now.clone());
    licenses::insert(ctx, tx, new).map(Some)
}

fn keep_invoice(ctx: &Ctx, tx: &mut WriteTx, told: &ToldInvoice) -> Result<()> {
    let known = billing::invoice_by_stripe(tx, &told.id)?;
    let bills = match told.subscription() {
        Some(stripe_id) => billing::billed(tx, stripe_id)?,
        None => None,
    };
    let customer = match &told.customer {
        Some(customer) => billing::org_of_customer(tx, customer.id())?,
        None => None,
    };
    let Some(org_id) = bills.map(|(org_id, _)| org_id).or(customer) else { return Ok(()) };
    if told.subscription().is_some() && bills.is_none() {
        // Of a subscription that is none of ours.
        return Ok(());
    }
    let status = told.state();
    if known.as_ref().is_some_and(|known| !known.status.leads_to(status)) {
        return Ok(());
    }
    let invoice = Invoice {
        invoice_id: known
            .as_ref()
            .map_or_else(|| InvoiceId(ctx.record_id()), |known| known.invoice_id),
        stripe_invoice_id: told.id.clone(),
        org_id,
        subscription_id: bills.map(|(_, id)| id),
        number: told.number.clone(),
        status,
        amount_due_cents: told.amount_due,
        amount_paid_cents: told.amount_paid,
        amount_refunded_cents: known.as_ref().map_or(0, |known| known.amount_refunded_cents),
        currency: told.currency.to_uppercase(),
        attempts: told.attempt_count,
        created_at: moment(told.created),
        paid_at: told.paid_at(),
        hosted_url: told.hosted_invoice_url.clone(),
        pdf_url: told.invoice_pdf.clone(),
        stripe_payment_intent_id: told
            .payment_intent()
            .map(str::to_owned)
            .or_else(|| known.as_ref().and_then(|known| known.stripe_payment_intent_id.clone())),
    };
    if known.as_ref() == Some(&invoice) {
        return Ok(());
    }
    billing::put_invoice(tx, &invoice)?;
    let was_paid = known.is_some_and(|known| known.status == InvoiceStatus::Paid);
    match invoice.subscription_id {
        Some(id) if status == InvoiceStatus::Paid && !was_paid && invoice.amount_paid_cents > 0 => {
            book(ctx, tx, &invoice, id)
        }
        _ => Ok(()),
    }
}

fn book(ctx: &Ctx, tx: &mut WriteTx, invoice: &Invoice, id: SubscriptionId) -> Result<()> {
    let subscription = store::org(tx, invoice.org_id).subscription(id)?;
    let payment = Payment {
        payment_id: PaymentId(ctx.record_id()),
        org_id: invoice.org_id,
        subscription_id: id,
        kind: PaymentKind::Payment,
        plan_id: Some(subscription.plan_id),
        amount_cents: invoice.amount_paid_cents,
        currency: invoice.currency.clone(),
        periods: 1,
        // Stripe's own id is nobody else's; a number may have been typed for another payment.
        reference: invoice.stripe_invoice_id.clone(),
        stripe_invoice_id: Some(invoice.stripe_invoice_id.clone()),
        recorded_at: invoice.paid_at.unwrap_or(ctx.now),
        recorded_by: None,
        due_at: None,
        settled_at: None,
        withdrawn_at: None,
    };
    subscriptions::insert_payment(tx, &payment)?;
    let told = [
        ("amount", format!("{} {}", payment.amount_cents, payment.currency)),
        ("subscription", id.to_string()),
        ("invoice", invoice.number.clone().unwrap_or_default()),
    ];
    ctx.audit(tx, Some(invoice.org_id), "payment.received", payment.payment_id, told)?;
    let user = recipient(tx, subscription.org_id, subscription.user_id)?;
    let message = letters::payment_recorded(&user, &payment, &subscription);
    ctx.queue_mail(tx, Some(invoice.org_id), user.email.as_str(), "payment.received", &message)
}

fn suspend(
    ctx: &Ctx,
    tx: &mut WriteTx,
    invoice: &Invoice,
    reason: &str,
) -> Result<Option<License>> {
    let Some(id) = invoice.subscription_id else { return Ok(None) };
    let license = store::org(tx, invoice.org_id).license_of_subscription(id)?;
    match license.filter(|license| license.suspended.is_none() && license.revoked_at.is_none()) {
        Some(license) => {
            let act = LicenseAct::Suspend(reason.to_owned());
            licenses::perform(ctx, tx, license.license_id, &act).map(Some)
        }
        None => Ok(None),
    }
}
