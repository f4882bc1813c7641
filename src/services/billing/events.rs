//! What Stripe tells: kept first, worked off afterwards, looked for when it did not come.

use serde::Deserialize;

use super::follow::Outcome;
use crate::billing::objects::{
    Charge, CheckoutSession, Event, Identified, Invoice, Reference, Subscription, moment,
};
use crate::billing::{Failure, Stripe, signature};
use crate::config::Secret;
use crate::domain::audit::By;
use crate::domain::billing::{InvoiceStatus, ProviderEvent};
use crate::domain::error::{Code, Error, Result};
use crate::domain::job::{Job, Work};
use crate::domain::time::{DAY_MS, MINUTE_MS, Timestamp};
use crate::services::Services;
use crate::store::{billing, jobs, logs};

/// The events that lead to something; as many as can be asked for at once.
const KNOWN: [&str; 20] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.trial_will_end",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.deleted",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice.updated",
    "charge.refunded",
    "charge.dispute.created",
];
/// The shortest secret that is believed in; Stripe's are longer.
const SECRET_MIN: usize = 12;
/// Stripe keeps events for 30 days; as long we know which came.
const KEPT_MS: i64 = 35 * DAY_MS;
/// How far back is asked for the first time.
const FIRST_MS: i64 = 30 * DAY_MS;
/// Events become visible in no strict order: what was read last is read again.
const OVERLAP_MS: i64 = 10 * MINUTE_MS;
/// Subscriptions that are looked at in one go.
const LOOKED_AT: usize = 500;
/// Events removed at once.
const PRUNED: usize = 500;
/// Up to when it was asked.
const MARK: &str = "stripe.reconciled";

/// What came of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is kept, and a job works it off.
    Kept,
    /// It came before.
    Known,
    /// It is about nothing that concerns us.
    Ignored,
}

impl Services {
    /// Takes a delivery of Stripe: `body` byte for byte as it came, and its `Stripe-Signature`.
    ///
    /// # Errors
    /// `WebhookNotConfigured` without a secret, `InvalidSignature` for everything that Stripe has
    /// not signed within the last five minutes.
    pub async fn receive_stripe(&self, body: &[u8], header: &str) -> Result<Received> {
        let Some(secret) = &self.config.stripe.webhook_secret else {
            tracing::warn!(
                "a webhook of Stripe came and cannot be verified: set STRIPE_WEBHOOK_SECRET (stripe.webhook_secret) to the signing secret of the endpoint"
            );
            let text = "No secret is set to verify this webhook with.";
            return Err(Error::new(Code::WebhookNotConfigured, text).retry_after(600));
        };
        let now = self.clock.now().wall;
        // What stands beside a comma too many is no secret: everybody could sign with it.
        let parts = secret.expose().split(',').map(str::trim).filter(|one| one.len() >= SECRET_MIN);
        let secrets: Vec<Secret> = parts.map(Secret::new).collect();
        if !signature::is_good(header, body, &secrets, now) {
            return Err(Error::new(
                Code::InvalidSignature,
                "The Stripe-Signature does not fit this body, or is not of the last five minutes.",
            ));
        }
        let Ok(event) = serde_json::from_slice::<Event>(body) else {
            tracing::warn!("a webhook of Stripe is signed and cannot be read; nothing was done");
            return Ok(Received::Ignored);
        };
        self.keep_event(event).await
    }

    /// Keeps an event and plans its work, unless it came before or does not concern us.
    async fn keep_event(&self, event: Event) -> Result<Received> {
        let Some(stripe) = self.stripe.as_deref() else {
            tracing::warn!(
                event = event.id,
                "an event of Stripe came, and no secret key is set (STRIPE_SECRET_KEY)"
            );
            return Ok(Received::Ignored);
        };
        if event.livemode != stripe.livemode() {
            tracing::warn!(
                event = event.id,
                livemode = event.livemode,
                "an event of Stripe is of the other mode than the secret key; nothing was done"
            );
            return Ok(Received::Ignored);
        }
        if event.account.is_some() || !KNOWN.contains(&event.kind.as_str()) {
            tracing::debug!(
                event = event.id,
                kind = event.kind,
                "an event of Stripe does not concern us"
            );
            return Ok(Received::Ignored);
        }
        let ctx = self.ctx(By::System);
        self.commit(move |tx| {
            if billing::event(tx, &event.id)?.is_some() {
                return Ok(Received::Known);
            }
            let kept = ProviderEvent {
                kind: event.kind,
                payload: event.data.object.to_string(),
                created_at: moment(event.created),
                received_at: ctx.now,
                done_at: None,
            };
            billing::put_event(tx, &event.id, &kept)?;
            ctx.plan_job(tx, ctx.now, Work::ProviderEvent { event_id: event.id })?;
            Ok(Received::Kept)
        })
        .await
    }

    /// Works off an event: what it is about is looked at anew, since events come late, twice and in
    /// any order. What it says itself counts only while Stripe cannot be asked.
    pub async fn provider_event_due(&self, job: &Job, event_id: &str) -> Result<()> {
        let event = self.store.read(|tx| billing::event(tx, event_id))?;
        if let (Some(event), Some(stripe)) =
            (event.filter(|event| event.done_at.is_none()), self.stripe.as_deref())
        {
            self.work_off(stripe, &event).await?;
        }
        let ctx = self.ctx(By::System);
        let (job, event_id) = (job.clone(), event_id.to_owned());
        self.commit(move |tx| {
            jobs::remove(tx, &job)?;
            let Some(mut event) = billing::event(tx, &event_id)? else { return Ok(()) };
            event.done_at = Some(ctx.now);
            // It is told whole no more; that it came is enough.
            event.payload.clear();
            billing::put_event(tx, &event_id, &event)
        })
        .await
    }

    async fn work_off(&self, stripe: &Stripe, event: &ProviderEvent) -> Result<()> {
        let as_of = event.created_at;
        match event.kind.split('.').next().unwrap_or_default() {
            "checkout" => {
                let session: CheckoutSession = read(event)?;
                // Whether it was paid is for the subscription to say.
                match session.subscription {
                    Some(id) => self.look_at_subscription(stripe, id.id(), None).await.map(drop),
                    None => Ok(()),
                }
            }
            "invoice" => {
                let told: Invoice = read(event)?;
                let id = told.id.clone();
                self.look_at_invoice(stripe, &id, Some((told, as_of))).await
            }
            "charge" => self.money_back(stripe, event).await,
            _ if event.kind == "customer.deleted" => {
                let id = read::<Identified>(event)?.id;
                self.commit(move |tx| billing::forget_customer(tx, &id)).await
            }
            _ => {
                let told: Subscription = read(event)?;
                let id = told.id.clone();
                self.look_at_subscription(stripe, &id, Some((told, as_of))).await.map(drop)
            }
        }
    }

    /// Follows a subscription as it is now; without Stripe as an event told it, and again later.
    pub(super) async fn look_at_subscription(
        &self,
        stripe: &Stripe,
        id: &str,
        told: Option<(Subscription, Timestamp)>,
    ) -> Result<Outcome> {
        // What is asked for from now on is at least as new as this.
        let as_of = self.clock.now().wall;
        let found = match stripe.subscription(id).await {
            Ok(found) => found,
            Err(failure) if failure.is_missing() => return Ok(Outcome::Foreign),
            Err(failure) => {
                if let (Failure::Away(_), Some((told, at))) = (&failure, told) {
                    self.follow_subscription(&told, None, at).await?;
                }
                return Err(failure.into());
            }
        };
        self.follow_found(stripe, &found, as_of).await
    }

    async fn follow_found(
        &self,
        stripe: &Stripe,
        found: &Subscription,
        as_of: Timestamp,
    ) -> Result<Outcome> {
        let unpaid_since = self.unpaid_since(found).await?;
        let mut outcome = self.follow_subscription(found, unpaid_since, as_of).await?;
        if let Outcome::Second { first } = &outcome {
            outcome = self.second_subscription(stripe, first, found, as_of).await?;
        }
        if outcome == Outcome::Begun {
            // What was told of its invoices before may have been about nobody.
            for invoice in stripe.invoices_of(&found.id).await? {
                self.follow_invoice(&invoice).await?;
            }
        }
        Ok(outcome)
    }

    /// An organisation has another subscription already, as far as is known here. Its end may not have
    /// been told yet; otherwise one that was paid at a page of ours is ended, so that nobody pays twice.
    async fn second_subscription(
        &self,
        stripe: &Stripe,
        first: &str,
        second: &Subscription,
        as_of: Timestamp,
    ) -> Result<Outcome> {
        let told = stripe.subscription(first).await?;
        let unpaid = self.unpaid_since(&told).await?;
        self.follow_subscription(&told, unpaid, self.clock.now().wall).await?;
        let unpaid = self.unpaid_since(second).await?;
        let outcome = self.follow_subscription(second, unpaid, as_of).await?;
        if !matches!(outcome, Outcome::Second { .. }) {
            return Ok(outcome);
        }
        let ours = second.metadata.contains_key("coditect_subscription_id");
        let org_id = self.store.read(|tx| billing::org_of_customer(tx, second.customer.id()))?;
        self.note_second(org_id, &second.id, ours).await?;
        if ours {
            tracing::warn!(
                subscription = second.id,
                "an organisation has paid for a second subscription; it is ended at Stripe, and its payment waits to be given back there"
            );
            stripe.cancel_subscription(&second.id).await?;
        } else {
            tracing::warn!(
                subscription = second.id,
                "a second subscription of an organisation was made at Stripe; it is not followed"
            );
        }
        Ok(outcome)
    }

    async fn look_at_invoice(
        &self,
        stripe: &Stripe,
        id: &str,
        told: Option<(Invoice, Timestamp)>,
    ) -> Result<()> {
        let found = match stripe.invoice(id).await {
            Ok(found) => found,
            Err(failure) if failure.is_missing() => return Ok(()),
            Err(failure) => {
                if let (Failure::Away(_), Some((told, _))) = (&failure, told) {
                    // What it was for may not be known yet; then the next try knows.
                    self.follow_invoice(&told).await?;
                }
                return Err(failure.into());
            }
        };
        // The subscription first, so that a receipt tells until when it is paid.
        if let Some(subscription) = found.subscription() {
            self.look_at_subscription(stripe, subscription, None).await?;
        }
        self.follow_invoice(&found).await
    }

    /// A charge was given back, or is disputed.
    async fn money_back(&self, stripe: &Stripe, event: &ProviderEvent) -> Result<()> {
        let mut charge: Charge = read(event)?;
        let disputed = event.kind.starts_with("charge.dispute.");
        if disputed && charge.payment_intent.is_none() {
            let id = charge.charge.as_ref().map(Reference::id).unwrap_or_default();
            let reason = charge.reason.take();
            charge = Charge { reason, ..stripe.charge(id).await? };
        }
        let invoice = match (&charge.invoice, &charge.payment_intent) {
            (Some(invoice), _) => Some(invoice.id().to_owned()),
            (None, Some(intent)) => {
                let known = self.store.read(|tx| billing::invoice_by_intent(tx, intent.id()))?;
                match known {
                    Some(known) => Some(known.stripe_invoice_id),
                    None => stripe.invoice_paid_by(intent.id()).await?,
                }
            }
            (None, None) => None,
        };
        let Some(invoice) = invoice else {
            tracing::debug!(charge = charge.id, "a charge that went back was for no invoice");
            return Ok(());
        };
        // It may not have been told yet.
        self.look_at_invoice(stripe, &invoice, None).await?;
        if disputed {
            self.note_dispute(&invoice, charge.reason.as_deref().unwrap_or("no reason given")).await
        } else {
            self.note_refund(&invoice, charge.amount_refunded).await
        }
    }

    /// Looks for events that did not come, and at every subscription that lives. At the start, and
    /// every hour.
    ///
    /// # Errors
    /// When Stripe cannot be reached; what came before that is kept.
    pub async fn reconcile_billing(&self) -> Result<()> {
        match self.stripe.as_deref() {
            Some(stripe) => self.reconcile(stripe).await,
            None => Ok(()),
        }
    }

    async fn reconcile(&self, stripe: &Stripe) -> Result<()> {
        let now = self.clock.now().wall;
        let mark = self.store.read(|tx| logs::fact(tx, MARK))?;
        let mark = mark.and_then(|mark| mark.parse().ok()).map(Timestamp);
        let since = mark.unwrap_or(now + -FIRST_MS) + -OVERLAP_MS;
        let mut events = stripe.events_since(since.unix_seconds(), &KNOWN).await?;
        events.reverse();
        // By Stripe's clock, not by ours.
        let newest = events.last().map(|event| moment(event.created));
        for event in events {
            self.keep_event(event).await?;
        }
        self.commit(move |tx| {
            billing::prune_events(tx, now + -KEPT_MS, PRUNED)?;
            match newest {
                Some(newest) => logs::put_fact(tx, MARK, &newest.0.to_string()),
                None => Ok(()),
            }
        })
        .await?;
        self.look_at_all(stripe).await
    }

    /// Looks at a subscription that lives, and at its last invoice, of which every event may have been lost.
    async fn look_at_living(&self, stripe: &Stripe, id: &str) -> Result<Outcome> {
        let as_of = self.clock.now().wall;
        let found = match stripe.subscription(id).await {
            Ok(found) => found,
            Err(failure) if failure.is_missing() => return Ok(Outcome::Foreign),
            Err(failure) => return Err(failure.into()),
        };
        let outcome = self.follow_found(stripe, &found, as_of).await?;
        if let Some(last) = found.latest_invoice.as_ref().map(Reference::id) {
            let known = self.store.read(|tx| billing::invoice_by_stripe(tx, last))?;
            if known.is_none_or(|known| known.status != InvoiceStatus::Paid) {
                self.follow_invoice(&stripe.invoice(last).await?).await?;
            }
        }
        Ok(outcome)
    }

    /// Looks at every subscription that lives. One that cannot be looked at keeps nobody from the others.
    async fn look_at_all(&self, stripe: &Stripe) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page =
                self.store.read(|tx| billing::list_billed(tx, after.as_deref(), LOOKED_AT))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (stripe_id, (org_id, id)) in page {
                if !self.lives(org_id, id)? {
                    continue;
                }
                match self.look_at_living(stripe, &stripe_id).await {
                    Ok(Outcome::Foreign) => {
                        tracing::warn!(
                            subscription = stripe_id,
                            "Stripe does not know a subscription that it bills: is the secret key that of the same account and mode?"
                        );
                    }
                    Ok(_) => {}
                    Err(error) if error.code == Code::ProviderUnavailable => return Err(error),
                    Err(error) => {
                        tracing::warn!(
                            subscription = stripe_id,
                            error = error.cause(),
                            "a subscription could not be looked at"
                        );
                    }
                }
            }
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(event: &ProviderEvent) -> Result<T> {
    serde_json::from_str(&event.payload)
        .map_err(|error| Error::internal(format!("an event {} of Stripe: {error}", event.kind)))
}
