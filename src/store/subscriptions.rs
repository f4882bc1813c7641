//! Subscriptions, trials and payments.

use super::tables::{
    PAYMENT_ORGS, PAYMENTS, PAYMENTS_BY_REFERENCE, SUBSCRIPTION_ORGS, SUBSCRIPTIONS,
    SUBSCRIPTIONS_BY_STATUS, TRIALS,
};
use super::{Org, Read, Scan, WriteTx, page};
use crate::domain::billing::Invoice;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use unicode_normalization::UnicodeNormalization;

use crate::domain::analytics::Tally;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{OrgId, PaymentId, PlanId, SubscriptionId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::payment::Payment;
use crate::domain::plan::is_invisible;
use crate::domain::subscription::{Subscription, SubscriptionStatus};
use crate::domain::time::Timestamp;

impl<T: Read> Org<'_, T> {
    /// A subscription that must exist.
    pub fn subscription(&self, id: SubscriptionId) -> Result<Subscription> {
        self.tx.get(&SUBSCRIPTIONS, &(self.id, id))?.ok_or_else(|| Error::not_found("subscription"))
    }

    /// The tenant's subscriptions of a status, newest first.
    pub fn subscriptions_of_status(
        &self,
        status: SubscriptionStatus,
        request: &PageRequest,
    ) -> Result<Page<Subscription>> {
        let scan = Scan::prefix(&self.id);
        super::filtered(self.tx, &SUBSCRIPTIONS, scan, request, |it| it.status == status)
    }

    /// The tenant's subscriptions, newest first.
    pub fn subscriptions(&self, request: &PageRequest) -> Result<Page<Subscription>> {
        page(self.tx, &SUBSCRIPTIONS, Scan::prefix(&self.id).descending(), request)
    }

    /// The first subscription of the tenant that is so.
    pub fn any_subscription(
        &self,
        is_so: impl Fn(&Subscription) -> bool,
    ) -> Result<Option<Subscription>> {
        let mut any = None;
        self.tx.visit(&SUBSCRIPTIONS, &Scan::prefix(&self.id), |_, subscription| {
            if is_so(&subscription) {
                any = Some(subscription);
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(any)
    }

    /// The tenant's payments, newest first.
    pub fn payments(&self, request: &PageRequest) -> Result<Page<Payment>> {
        page(self.tx, &PAYMENTS, Scan::prefix(&self.id).descending(), request)
    }

    /// Whether the tenant has had this plan's trial.
    pub fn had_trial(&self, plan_id: PlanId) -> Result<bool> {
        Ok(self.tx.get(&TRIALS, &(self.id, plan_id))?.is_some())
    }
}

/// Whose subscription it is, for operators.
pub fn org_of(tx: &impl Read, id: SubscriptionId) -> Result<OrgId> {
    tx.get(&SUBSCRIPTION_ORGS, &id)?.ok_or_else(|| Error::not_found("subscription"))
}

/// All subscriptions, newest first, for operators.
pub fn list(tx: &impl Read, request: &PageRequest) -> Result<Page<Subscription>> {
    super::through_index(tx, &SUBSCRIPTION_ORGS, request, |id, org_id| {
        tx.get(&SUBSCRIPTIONS, &(org_id, id))
    })
}

/// All subscriptions of a status, newest first, for operators.
pub fn list_of_status(
    tx: &impl Read,
    status: SubscriptionStatus,
    request: &PageRequest,
) -> Result<Page<Subscription>> {
    let scan = Scan::prefix(&status.as_str().to_owned());
    super::through_keys(tx, &SUBSCRIPTIONS_BY_STATUS, scan, request, |(_, id)| {
        let org_id = tx.get(&SUBSCRIPTION_ORGS, &id)?;
        org_id.map_or(Ok(None), |org_id| tx.get(&SUBSCRIPTIONS, &(org_id, id)))
    })
}

/// Adds or writes a subscription; what that changes in money is of `now`.
pub fn put(tx: &mut WriteTx, subscription: &Subscription, now: Timestamp) -> Result<()> {
    let key = (subscription.org_id, subscription.subscription_id);
    let old = tx.get(&SUBSCRIPTIONS, &key)?;
    super::analytics::follow(tx, old.as_ref(), subscription, now)?;
    match old {
        Some(old) => {
            let status = old.status.as_str();
            super::counts::add(tx, &format!("subscriptions.{status}"), -1)?;
            let listed = (status.to_owned(), subscription.subscription_id);
            tx.remove(&SUBSCRIPTIONS_BY_STATUS, &listed)?;
        }
        None => tx.put(&SUBSCRIPTION_ORGS, &subscription.subscription_id, &subscription.org_id)?,
    }
    let status = subscription.status.as_str();
    super::counts::add(tx, &format!("subscriptions.{status}"), 1)?;
    let listed = (status.to_owned(), subscription.subscription_id);
    tx.put(&SUBSCRIPTIONS_BY_STATUS, &listed, &true)?;
    tx.put(&SUBSCRIPTIONS, &key, subscription)
}

/// Removes a subscription that has ended.
pub fn remove(tx: &mut WriteTx, subscription: &Subscription) -> Result<()> {
    let (org_id, id) = (subscription.org_id, subscription.subscription_id);
    super::analytics::forget_ended(tx, subscription)?;
    let status = subscription.status.as_str();
    super::counts::add(tx, &format!("subscriptions.{status}"), -1)?;
    tx.remove(&SUBSCRIPTIONS_BY_STATUS, &(status.to_owned(), id))?;
    if let Some(stripe_id) = &subscription.stripe_subscription_id {
        super::billing::forget_billed(tx, stripe_id)?;
    }
    tx.remove(&SUBSCRIPTION_ORGS, &id)?;
    tx.remove(&SUBSCRIPTIONS, &(org_id, id)).map(drop)
}

/// Notes the trials that a tenant has had with another one, at most `limit`; how many.
pub fn move_trials(tx: &mut WriteTx, from: OrgId, to: OrgId, limit: usize) -> Result<usize> {
    let had = tx.scan(&TRIALS, &Scan::prefix(&from).limit(limit))?;
    for ((_, plan_id), subscription_id) in &had {
        tx.put(&TRIALS, &(to, *plan_id), subscription_id)?;
        tx.remove(&TRIALS, &(from, *plan_id))?;
    }
    Ok(had.len())
}

/// Writes to payments of before plans were kept which one they were for, while its subscription knows.
pub fn note_plan(tx: &mut WriteTx, payment: &Payment) -> Result<()> {
    let key = (payment.org_id, payment.subscription_id);
    let Some(subscription) = tx.get(&SUBSCRIPTIONS, &key)? else { return Ok(()) };
    let noted = Payment { plan_id: Some(subscription.plan_id), ..payment.clone() };
    tx.put(&PAYMENTS, &(payment.org_id, payment.payment_id), &noted)
}

/// Remembers that the tenant has had the plan's trial.
pub fn put_trial(tx: &mut WriteTx, subscription: &Subscription) -> Result<()> {
    tx.put(&TRIALS, &(subscription.org_id, subscription.plan_id), &subscription.subscription_id)
}

/// Adds a payment; `PaymentExists` when the tenant has one of the same reference.
pub fn insert_payment(tx: &mut WriteTx, payment: &Payment) -> Result<()> {
    if !payment.reference.is_empty() {
        let named = (payment.org_id, spelling(payment));
        if tx.get(&PAYMENTS_BY_REFERENCE, &named)?.is_some() {
            let text = format!(
                "A payment of {:?} is recorded for this organisation already. If this is another one, give it another reference.",
                payment.reference
            );
            return Err(Error::new(Code::PaymentExists, text));
        }
        tx.put(&PAYMENTS_BY_REFERENCE, &named, &payment.payment_id)?;
    }
    super::analytics::count_payment(tx, payment)?;
    tx.put(&PAYMENT_ORGS, &payment.payment_id, &payment.org_id)?;
    tx.put(&PAYMENTS, &(payment.org_id, payment.payment_id), payment)
}

/// A reference as two are compared: one transfer that is typed in two ways is one.
fn spelling(payment: &Payment) -> String {
    if payment.stripe_invoice_id.is_some() {
        return payment.reference.clone();
    }
    let visible = payment.reference.nfkc().filter(|c| !c.is_whitespace() && !is_invisible(*c));
    visible.collect::<String>().to_lowercase()
}

/// A payment that must exist, wherever it belongs, for operators.
pub fn payment(tx: &impl Read, id: PaymentId) -> Result<Payment> {
    let missing = || Error::not_found("payment");
    let org_id = tx.get(&PAYMENT_ORGS, &id)?.ok_or_else(missing)?;
    tx.get(&PAYMENTS, &(org_id, id))?.ok_or_else(missing)
}

/// Writes a purchase order whose money has come, or will not.
pub fn update_order(tx: &mut WriteTx, payment: &Payment) -> Result<()> {
    super::analytics::count_payment(tx, payment)?;
    tx.put(&PAYMENTS, &(payment.org_id, payment.payment_id), payment)
}

/// All payments, newest first, for operators.
pub fn list_payments(tx: &impl Read, request: &PageRequest) -> Result<Page<Payment>> {
    super::through_index(tx, &PAYMENT_ORGS, request, |id, org_id| tx.get(&PAYMENTS, &(org_id, id)))
}

/// Takes what was given back of an invoice out of the sums of the month in which its payment came; an
/// invoice that no payment was counted for leaves them as they are.
pub fn count_refund(tx: &mut WriteTx, invoice: &Invoice, amount_cents: i64) -> Result<()> {
    let named = (invoice.org_id, invoice.stripe_invoice_id.clone());
    let Some(id) = tx.get(&PAYMENTS_BY_REFERENCE, &named)? else { return Ok(()) };
    let Some(payment) = tx.get(&PAYMENTS, &(invoice.org_id, id))? else { return Ok(()) };
    super::analytics::count_refund(tx, &payment, amount_cents)
}

/// What came in within a month, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revenue {
    /// `2026-11`.
    pub month: String,
    /// ISO 4217.
    pub currency: String,
    /// Minor units.
    pub amount_cents: u64,
    /// How many payments.
    pub payments: u64,
}

/// What came in each month from `first_month` on (`2026-11`), oldest first: for all plans together.
pub fn revenue(tx: &impl Read, first_month: &str) -> Result<Vec<Revenue>> {
    let mut sums: BTreeMap<(String, String), Tally> = BTreeMap::new();
    for ((month, currency, _), tally) in super::analytics::revenue(tx, first_month)? {
        let sum = sums.entry((month, currency)).or_default();
        *sum = sum.and(tally);
    }
    let told = |((month, currency), sum): ((String, String), Tally)| {
        let amount_cents = sum.cents.max(0).cast_unsigned();
        Revenue { month, currency, amount_cents, payments: sum.count }
    };
    Ok(sums.into_iter().map(told).collect())
}
