//! Subscriptions, trials and payments.

use super::tables::{PAYMENT_ORGS, PAYMENTS, SUBSCRIPTION_ORGS, SUBSCRIPTIONS, TRIALS};
use super::{Org, Read, Scan, WriteTx, page};
use crate::domain::error::{Error, Result};
use crate::domain::ids::{OrgId, PlanId, SubscriptionId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::payment::Payment;
use crate::domain::subscription::Subscription;

impl<T: Read> Org<'_, T> {
    /// A subscription that must exist.
    pub fn subscription(&self, id: SubscriptionId) -> Result<Subscription> {
        self.tx.get(&SUBSCRIPTIONS, &(self.id, id))?.ok_or_else(|| Error::not_found("subscription"))
    }

    /// The tenant's subscriptions, newest first.
    pub fn subscriptions(&self, request: &PageRequest) -> Result<Page<Subscription>> {
        page(self.tx, &SUBSCRIPTIONS, Scan::prefix(&self.id).descending(), request)
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

/// Adds or writes a subscription.
pub fn put(tx: &mut WriteTx, subscription: &Subscription) -> Result<()> {
    let key = (subscription.org_id, subscription.subscription_id);
    match tx.get(&SUBSCRIPTIONS, &key)? {
        Some(old) => super::counts::add(tx, &format!("subscriptions.{}", old.status.as_str()), -1)?,
        None => tx.put(&SUBSCRIPTION_ORGS, &subscription.subscription_id, &subscription.org_id)?,
    }
    super::counts::add(tx, &format!("subscriptions.{}", subscription.status.as_str()), 1)?;
    tx.put(&SUBSCRIPTIONS, &key, subscription)
}

/// Remembers that the tenant has had the plan's trial.
pub fn put_trial(tx: &mut WriteTx, subscription: &Subscription) -> Result<()> {
    tx.put(&TRIALS, &(subscription.org_id, subscription.plan_id), &subscription.subscription_id)
}

/// Adds a payment.
pub fn insert_payment(tx: &mut WriteTx, payment: &Payment) -> Result<()> {
    tx.put(&PAYMENT_ORGS, &payment.payment_id, &payment.org_id)?;
    tx.put(&PAYMENTS, &(payment.org_id, payment.payment_id), payment)
}

/// All payments, newest first, for operators.
pub fn list_payments(tx: &impl Read, request: &PageRequest) -> Result<Page<Payment>> {
    super::through_index(tx, &PAYMENT_ORGS, request, |id, org_id| tx.get(&PAYMENTS, &(org_id, id)))
}
