//! What customers do about a subscription that Stripe bills.

use crate::billing::{Failure, Form, NewCheckout, Stripe};
use crate::domain::audit::By;
use crate::domain::billing::Checkout;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{OrgId, PlanId, SubscriptionId};
use crate::domain::organisation::Permission;
use crate::domain::page::PageRequest;
use crate::domain::plan::{Plan, SEATS_MAX};
use crate::domain::subscription::{Interval, Price, Subscription, SubscriptionStatus};
use crate::domain::time::{HOUR_MS, Timestamp};
use crate::services::subscriptions::{plan_on_sale, tenant};
use crate::services::{Actor, Services};
use crate::store::{self, Read, billing, plans, users};

/// A trial that ends sooner cannot be taken over (`subscription_data.trial_end`).
const TRIAL_LEAST_MS: i64 = 48 * HOUR_MS;
/// Subscriptions of an organisation that are looked through for one that lives.
const LOOKED_AT: usize = 200;

/// What a customer wants to subscribe to.
pub struct CheckoutInput {
    /// The plan.
    pub plan_id: PlanId,
    /// How often it is paid.
    pub interval: Interval,
    /// How many times the plan, 1 or more.
    pub quantity: u32,
    /// Where the customer goes after paying; none: this appliance.
    pub success_url: Option<String>,
    /// Where the customer goes who does not pay.
    pub cancel_url: Option<String>,
}

/// A page where the customer pays.
pub struct CheckoutLink {
    /// Stripe's id of it.
    pub session_id: String,
    /// Where it is.
    pub url: String,
}

/// What is to be another about a subscription; none: it stays.
#[derive(Clone, Copy)]
pub struct ChangeInput {
    /// To which plan.
    pub plan_id: Option<PlanId>,
    /// How often it is paid.
    pub interval: Option<Interval>,
    /// How many times the plan.
    pub quantity: Option<u32>,
}

impl Services {
    /// A page where the actor's organisation pays for a new subscription, or goes on with its trial.
    ///
    /// # Errors
    /// `SubscriptionExists` when Stripe bills one already: change that.
    pub async fn create_checkout(
        &self,
        actor: &Actor,
        input: CheckoutInput,
    ) -> Result<CheckoutLink> {
        let stripe = self.stripe()?;
        let success = self.page("success_url", input.success_url.as_deref(), "paid")?;
        let cancel = self.page("cancel_url", input.cancel_url.as_deref(), "not-paid")?;
        let org_id = actor.org(Permission::BillingManage)?;
        let (plan, live, last) = self.store.read(|tx| {
            store::org(tx, org_id).organisation()?.require_staying()?;
            let plan = plan_on_sale(tx, input.plan_id)?;
            check_quantity(&plan, input.quantity)?;
            if input.interval == Interval::Year && plan.yearly_price_cents.is_none() {
                return Err(Error::invalid("interval", "this plan is not sold by the year"));
            }
            Ok((plan, live(tx, org_id)?, store::org(tx, org_id).checkout()?))
        })?;
        may_check_out(live.as_ref())?;
        let now = self.clock.now().wall;
        let last = last.filter(|last| last.is_open(now));
        if let Some(link) = self.same_page(stripe, &input, last.as_ref()).await? {
            return Ok(link);
        }
        let customer = self.customer(stripe, org_id).await?;
        let price_id = self.price_id(stripe, plan, input.interval).await?;
        let ctx = self.ctx_of(actor);
        // An answer that was lost: the same page again, if everything else is the same.
        let again = last.filter(|last| last.stripe_session_id.is_none() && is_same(last, &input));
        let again_at = again.as_ref().map(|again| again.created_at);
        let checkout = Checkout {
            subscription_id: live
                .as_ref()
                .map(|live| live.subscription_id)
                .or(again.as_ref().map(|again| again.subscription_id))
                .unwrap_or_else(|| SubscriptionId(ctx.record_id())),
            plan_id: input.plan_id,
            interval: input.interval,
            quantity: input.quantity,
            attempt: again
                .as_ref()
                .map_or_else(|| ctx.record_id().to_string(), |again| again.attempt.clone()),
            stripe_session_id: None,
            url: None,
            created_at: again_at.unwrap_or(ctx.now),
            user_id: actor.user_id,
        };
        self.note_checkout(actor, org_id, checkout.clone()).await?;
        let (subscription_id, org) = (checkout.subscription_id.to_string(), org_id.to_string());
        let new = NewCheckout {
            customer: &customer,
            price: &price_id,
            quantity: input.quantity,
            subscription_id: &subscription_id,
            org_id: &org,
            trial_end: live.as_ref().and_then(|live| paid_until(live, &input, now)),
            expires_at: (checkout.created_at + Checkout::LIFE_MS).unix_seconds(),
            success_url: &success,
            cancel_url: &cancel,
        };
        let key = format!("checkout-{}", checkout.attempt);
        let session = match stripe.create_checkout(&new, &key).await {
            // The same key would fail again; what is missing was forgotten there, as it is here then.
            Err(failure @ Failure::Broken(_)) => {
                self.commit(move |tx| billing::remove_checkout(tx, org_id)).await?;
                return Err(failure.into());
            }
            Err(failure) if failure.is_missing() => {
                self.commit(move |tx| {
                    billing::forget_customer(tx, &customer)?;
                    billing::remove_checkout(tx, org_id)
                })
                .await?;
                return Err(failure.into());
            }
            answer => answer?,
        };
        let url = session.url.ok_or_else(|| Error::internal("Stripe gave no address to pay at"))?;
        let link = CheckoutLink { session_id: session.id, url };
        let (id, address) = (link.session_id.clone(), link.url.clone());
        let plan_id = input.plan_id;
        let newest = self
            .commit(move |tx| {
                let newest = store::org(tx, org_id).checkout()?;
                if newest.is_none_or(|newest| newest.attempt != checkout.attempt) {
                    return Ok(false);
                }
                let checkout = Checkout {
                    stripe_session_id: Some(id.clone()),
                    url: Some(address),
                    ..checkout
                };
                billing::put_checkout(tx, org_id, &checkout)?;
                let told = [("plan_id", plan_id.to_string())];
                ctx.audit(tx, Some(org_id), "checkout.started", id, told)?;
                Ok(true)
            })
            .await?;
        if newest {
            return Ok(link);
        }
        // Somebody else of the organisation asked at the same time: one page is enough.
        let _ = stripe.expire_checkout(&link.session_id).await;
        Err(Error::new(Code::SubscriptionExists, "Another payment page was asked for just now."))
    }

    /// Notes that there is going to be a page: an organisation that is to be deleted waits for its end.
    async fn note_checkout(&self, actor: &Actor, org_id: OrgId, checkout: Checkout) -> Result<()> {
        self.commit(actor.guarded(move |tx| {
            store::org(tx, org_id).organisation()?.require_staying()?;
            billing::put_checkout(tx, org_id, &checkout)
        }))
        .await
    }

    /// The page that was given before, if it is for the same; one for something else is closed, so
    /// that nobody pays twice.
    async fn same_page(
        &self,
        stripe: &Stripe,
        input: &CheckoutInput,
        last: Option<&Checkout>,
    ) -> Result<Option<CheckoutLink>> {
        let Some(last) = last else { return Ok(None) };
        let (Some(id), Some(url)) = (&last.stripe_session_id, &last.url) else { return Ok(None) };
        let session = match stripe.checkout(id).await {
            Err(failure) if failure.is_missing() => return Ok(None),
            told => told?,
        };
        match session.status.as_deref() {
            Some("complete") => Err(exists()),
            Some("open") if is_same(last, input) => {
                Ok(Some(CheckoutLink { session_id: id.clone(), url: url.clone() }))
            }
            Some("open") => {
                // Refused when it was paid in this moment.
                match stripe.expire_checkout(id).await {
                    Err(Failure::Refused { .. }) => Err(exists()),
                    answer => answer.map(|_| None).map_err(Error::from),
                }
            }
            _ => Ok(None),
        }
    }

    /// Where Stripe's pages lead back to.
    fn page(&self, field: &str, given: Option<&str>, mark: &str) -> Result<String> {
        let Some(given) = given else {
            return Ok(format!("{}/?checkout={mark}", self.public_url()));
        };
        let sound = given.len() <= 2_000
            && (given.starts_with("https://") || given.starts_with("http://"))
            && !given.contains(|c: char| c.is_control() || c.is_whitespace());
        if sound {
            return Ok(given.to_owned());
        }
        Err(Error::invalid(
            field,
            "must be an address that begins with https://, at most 2000 bytes",
        ))
    }

    /// The organisation's customer at Stripe; made with the first payment page.
    async fn customer(&self, stripe: &Stripe, org_id: OrgId) -> Result<String> {
        let (known, org, owner) = self.store.read(|tx| {
            let scope = store::org(tx, org_id);
            Ok((scope.customer()?, scope.organisation()?, users::get(tx, scope.owner()?)?))
        })?;
        if let Some(known) = known {
            return Ok(known);
        }
        let key = format!("customer-{org_id}-{}", self.hour());
        let made = stripe
            .create_customer(owner.email.as_str(), &org.name, &org_id.to_string(), &key)
            .await?;
        self.commit(move |tx| {
            if let Some(known) = store::org(tx, org_id).customer()? {
                return Ok(known);
            }
            billing::put_customer(tx, org_id, &made.id)?;
            Ok(made.id)
        })
        .await
    }

    /// Stripe's price for a plan; made when none was given for it.
    async fn price_id(&self, stripe: &Stripe, plan: Plan, interval: Interval) -> Result<String> {
        let known = match interval {
            Interval::Month => &plan.stripe_monthly_price_id,
            Interval::Year => &plan.stripe_yearly_price_id,
        };
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let (plan_id, amount) = (plan.plan_id, Price::of(&plan, interval).amount_cents);
        let product = stripe
            .create_product(
                &plan.plan_name,
                &plan_id.to_string(),
                &format!("product-{plan_id}-{}", self.hour()),
            )
            .await?;
        let word = interval.as_str();
        let key = format!("price-{plan_id}-{word}-{}", self.hour());
        let made = stripe.create_price(&product, &plan.currency, amount, word, &key).await?;
        let ctx = self.ctx(By::System);
        self.commit(move |tx| {
            let mut plan = plans::get(tx, plan_id)?;
            let place = match interval {
                Interval::Month => &mut plan.stripe_monthly_price_id,
                Interval::Year => &mut plan.stripe_yearly_price_id,
            };
            let price_id = place.get_or_insert(made.id).clone();
            plans::put(tx, &plan)?;
            let told = [("interval", interval.as_str().to_owned()), ("price", price_id.clone())];
            ctx.audit(tx, None, "plan.price_made", plan_id, told)?;
            Ok(price_id)
        })
        .await
    }

    /// A page of Stripe where the organisation sees its invoices and changes what it pays with.
    pub async fn create_portal(&self, actor: &Actor, return_url: Option<&str>) -> Result<String> {
        let stripe = self.stripe()?;
        let return_url = self.page("return_url", return_url, "back")?;
        let org_id = actor.org(Permission::BillingManage)?;
        let known = self.store.read(|tx| store::org(tx, org_id).customer())?;
        let customer = known.ok_or_else(|| {
            Error::new(
                Code::SubscriptionState,
                "There is nothing to look after yet: subscribe first.",
            )
        })?;
        // A page more does no harm; the request itself is the key.
        let key = format!("portal-{}", self.ctx_of(actor).record_id());
        let url = stripe.create_portal(&customer, &return_url, &key).await?.url;
        let ctx = self.ctx_of(actor);
        let action = "billing.portal_opened";
        let told = actor.guarded(move |tx| ctx.audit(tx, Some(org_id), action, customer, []));
        self.commit(told).await?;
        Ok(url)
    }

    /// Has Stripe end a subscription at once, or with its period; or go on after all.
    pub(in crate::services) async fn end_billed(
        &self,
        actor: &Actor,
        subscription: &Subscription,
        end: End,
    ) -> Result<Subscription> {
        let (stripe, id) = (self.stripe()?, stripe_id(subscription)?);
        let asked = match end {
            End::Now => "subscription.end_asked",
            End::WithPeriod(true) => "subscription.canceled",
            End::WithPeriod(false) => "subscription.resumed",
        };
        self.note_asked(actor, subscription, asked, String::new()).await?;
        match end {
            End::Now => stripe.cancel_subscription(id).await?,
            End::WithPeriod(yes) => {
                let form: Form = vec![("cancel_at_period_end".to_owned(), yes.to_string())];
                stripe.update_subscription(id, &form, &self.change_key()).await?
            }
        };
        self.look_again(stripe, subscription).await
    }

    /// Has Stripe bill another plan, interval or number; the difference is paid at once. Without
    /// Stripe the operator changes it, and the next payment is another.
    pub async fn change_plan(
        &self,
        actor: &Actor,
        id: SubscriptionId,
        change: ChangeInput,
    ) -> Result<Subscription> {
        let (subscription, plan, interval, quantity) = self.store.read(|tx| {
            let org_id = tenant(tx, actor, id)?;
            let subscription = store::org(tx, org_id).subscription(id)?;
            if subscription.status == SubscriptionStatus::Canceled {
                let text = "This subscription has ended; start a new one.";
                return Err(Error::new(Code::SubscriptionState, text));
            }
            let plan_id = change.plan_id.unwrap_or(subscription.plan_id);
            let plan = if plan_id == subscription.plan_id {
                plans::get(tx, plan_id)?
            } else {
                plan_on_sale(tx, plan_id)?
            };
            let interval = change.interval.unwrap_or(subscription.interval);
            let quantity = change.quantity.unwrap_or(subscription.quantity);
            check_quantity(&plan, quantity)?;
            if interval == Interval::Year && plan.yearly_price_cents.is_none() {
                return Err(Error::invalid("interval", "this plan is not sold by the year"));
            }
            Ok((subscription, plan, interval, quantity))
        })?;
        if !subscription.is_billed() {
            actor.require_operator()?;
            return self.change_unbilled(actor, id, plan.plan_id, interval, quantity).await;
        }
        if subscription.status != SubscriptionStatus::Active || subscription.cancel_at_period_end {
            let text = "A subscription is changed while it is paid and goes on: not in a trial, not while a payment is due, and not once its end was asked for.";
            return Err(Error::new(Code::SubscriptionState, text));
        }
        let (stripe, stripe_id) = (self.stripe()?, stripe_id(&subscription)?);
        let told = stripe.subscription(stripe_id).await?;
        let item = self.store.read(|tx| {
            for (item, price, _) in told.prices() {
                if plans::by_price(tx, &price.id)?.is_some() {
                    return Ok(Some(item.to_owned()));
                }
            }
            Ok(None)
        })?;
        let Some(item) = item else {
            let text = "What Stripe bills is none of the plans here; change it there.";
            return Err(Error::new(Code::SubscriptionState, text));
        };
        let detail = format!("{}, every {}, {quantity} times", plan.plan_name, interval.as_str());
        self.note_asked(actor, &subscription, "subscription.change_asked", detail).await?;
        // Paid at once, or not done at all.
        let mut form: Form = [
            ("items[0][id]", item.as_str()),
            ("items[0][quantity]", &quantity.to_string()),
            ("proration_behavior", "always_invoice"),
            ("payment_behavior", "error_if_incomplete"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        // Whoever keeps plan and interval keeps the price.
        if (plan.plan_id, interval) != (subscription.plan_id, subscription.interval) {
            let price_id = self.price_id(stripe, plan, interval).await?;
            form.push(("items[0][price]".to_owned(), price_id));
        }
        stripe.update_subscription(stripe_id, &form, &self.change_key()).await?;
        self.look_again(stripe, &subscription).await
    }

    /// Who asked for what, and may do so still; what comes of it is told by Stripe.
    async fn note_asked(
        &self,
        actor: &Actor,
        subscription: &Subscription,
        action: &'static str,
        detail: String,
    ) -> Result<()> {
        let ctx = self.ctx_of(actor);
        let (org_id, id) = (subscription.org_id, subscription.subscription_id);
        let told = [("detail", detail)];
        self.commit(actor.guarded(move |tx| ctx.audit(tx, Some(org_id), action, id, told))).await
    }

    /// Follows what has just been changed; as it is now.
    async fn look_again(
        &self,
        stripe: &Stripe,
        subscription: &Subscription,
    ) -> Result<Subscription> {
        self.look_at_subscription(stripe, stripe_id(subscription)?, None).await?;
        let id = subscription.subscription_id;
        self.store.read(|tx| store::org(tx, subscription.org_id).subscription(id))
    }

    /// Which hour it is. A key with it makes a second try the same request, and one that Stripe failed at does
    /// not fail all day.
    fn hour(&self) -> i64 {
        self.clock.now().wall.unix_seconds() / 3_600
    }

    /// A key for one change. Changes say what is to be, so that a second one of the same is none.
    fn change_key(&self) -> String {
        format!("change-{}", self.entropy.record_id(self.clock.now().wall))
    }
}

/// When a subscription is to end.
#[derive(Clone, Copy)]
pub(in crate::services) enum End {
    /// At once.
    Now,
    /// With its period, or not after all.
    WithPeriod(bool),
}

fn stripe_id(subscription: &Subscription) -> Result<&str> {
    subscription
        .stripe_subscription_id
        .as_deref()
        .ok_or_else(|| Error::internal("the subscription is not billed by Stripe"))
}

fn is_same(last: &Checkout, input: &CheckoutInput) -> bool {
    (last.plan_id, last.interval, last.quantity) == (input.plan_id, input.interval, input.quantity)
}

fn exists() -> Error {
    Error::new(
        Code::SubscriptionExists,
        "Your organisation has a subscription already: change its plan instead of buying another.",
    )
}

fn check_quantity(plan: &Plan, quantity: u32) -> Result<()> {
    let seats = u64::from(plan.max_concurrent_seats) * u64::from(quantity);
    if quantity >= 1 && seats <= u64::from(SEATS_MAX) {
        return Ok(());
    }
    Err(Error::invalid("quantity", "must be at least 1, and a licence has at most 1000000 seats"))
}

/// The organisation's subscription that has not ended; one that Stripe bills before others.
pub(super) fn live(tx: &impl Read, org_id: OrgId) -> Result<Option<Subscription>> {
    let request = PageRequest { limit: LOOKED_AT, after: None };
    let mut all = store::org(tx, org_id).subscriptions(&request)?.items;
    all.retain(|it| it.status != SubscriptionStatus::Canceled);
    all.sort_by_key(|it| !it.is_billed());
    Ok(all.into_iter().next())
}

/// Whether there is something to be paid at a page, beside the subscription that lives.
fn may_check_out(live: Option<&Subscription>) -> Result<()> {
    if live.is_some_and(Subscription::is_billed) {
        return Err(exists());
    }
    if live.is_some_and(|live| live.owed.is_some()) {
        // Time that is only promised is not taken over as paid.
        let text = "A purchase order pays for your subscription and is open; ask the vendor to settle or withdraw it first.";
        return Err(Error::new(Code::SubscriptionState, text));
    }
    Ok(())
}

/// What was given or paid already is not to be paid again; more than that is paid at once.
fn paid_until(live: &Subscription, wanted: &CheckoutInput, now: Timestamp) -> Option<i64> {
    let runs = matches!(live.status, SubscriptionStatus::Trialing | SubscriptionStatus::Active);
    let same = (live.plan_id, live.quantity) == (wanted.plan_id, wanted.quantity);
    (runs && same && live.current_period_end - now > TRIAL_LEAST_MS)
        .then(|| live.current_period_end.unix_seconds())
}
