//! What is known of the payment provider: customers, invoices, payment pages and events.

use super::tables::{
    BILLED_SUBSCRIPTIONS, BILLING_CUSTOMER_ORGS, BILLING_CUSTOMERS, CHECKOUTS, INVOICE_ORGS,
    INVOICES, INVOICES_BY_INTENT, INVOICES_BY_STRIPE, PROVIDER_EVENTS, PROVIDER_EVENTS_BY_TIME,
};
use super::{Org, Read, Scan, WriteTx, page};
use crate::domain::billing::{Checkout, Invoice, ProviderEvent};
use crate::domain::error::Result;
use crate::domain::ids::{InvoiceId, OrgId, SubscriptionId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;

impl<T: Read> Org<'_, T> {
    /// The tenant's invoices, newest first.
    pub fn invoices(&self, request: &PageRequest) -> Result<Page<Invoice>> {
        page(self.tx, &INVOICES, Scan::prefix(&self.id).descending(), request)
    }

    /// The provider's customer that stands for the tenant.
    pub fn customer(&self) -> Result<Option<String>> {
        self.tx.get(&BILLING_CUSTOMERS, &self.id)
    }

    /// The payment page that the tenant was sent to last.
    pub fn checkout(&self) -> Result<Option<Checkout>> {
        self.tx.get(&CHECKOUTS, &self.id)
    }
}

/// The tenant for whom a provider's customer stands.
pub fn org_of_customer(tx: &impl Read, customer: &str) -> Result<Option<OrgId>> {
    tx.get(&BILLING_CUSTOMER_ORGS, &customer.to_owned())
}

/// Notes which customer stands for a tenant.
pub fn put_customer(tx: &mut WriteTx, org_id: OrgId, customer: &str) -> Result<()> {
    tx.put(&BILLING_CUSTOMER_ORGS, &customer.to_owned(), &org_id)?;
    tx.put(&BILLING_CUSTOMERS, &org_id, &customer.to_owned())
}

/// Forgets a customer that the provider has no more; what was billed to it stays known.
pub fn forget_customer(tx: &mut WriteTx, customer: &str) -> Result<()> {
    let Some(org_id) = org_of_customer(tx, customer)? else { return Ok(()) };
    if tx.get(&BILLING_CUSTOMERS, &org_id)?.as_deref() == Some(customer) {
        tx.remove(&BILLING_CUSTOMERS, &org_id)?;
    }
    Ok(())
}

/// Forgets every customer, payment page and price of the provider; how many. What was billed stays known.
pub fn forget_all(tx: &mut WriteTx<'_>) -> Result<usize> {
    let mut forgotten = 0;
    for (org_id, customer) in tx.scan(&BILLING_CUSTOMERS, &Scan::all())? {
        tx.remove(&BILLING_CUSTOMERS, &org_id)?;
        tx.remove(&BILLING_CUSTOMER_ORGS, &customer)?;
        forgotten += 1;
    }
    for org_id in tx.scan_keys(&CHECKOUTS, &Scan::all())? {
        tx.remove(&CHECKOUTS, &org_id)?;
        forgotten += 1;
    }
    for mut plan in super::plans::all(tx)? {
        let prices = [plan.stripe_monthly_price_id.take(), plan.stripe_yearly_price_id.take()];
        if prices.iter().any(Option::is_some) {
            super::plans::put(tx, &plan)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

/// Our subscription that a provider's one bills.
pub fn billed(tx: &impl Read, stripe_id: &str) -> Result<Option<(OrgId, SubscriptionId)>> {
    tx.get(&BILLED_SUBSCRIPTIONS, &stripe_id.to_owned())
}

/// Notes which of our subscriptions a provider's one bills.
pub fn put_billed(
    tx: &mut WriteTx,
    stripe_id: &str,
    org_id: OrgId,
    id: SubscriptionId,
) -> Result<()> {
    tx.put(&BILLED_SUBSCRIPTIONS, &stripe_id.to_owned(), &(org_id, id))
}

/// Forgets what a provider's subscription billed.
pub(super) fn forget_billed(tx: &mut WriteTx, stripe_id: &str) -> Result<()> {
    tx.remove(&BILLED_SUBSCRIPTIONS, &stripe_id.to_owned()).map(drop)
}

/// Forgets the customer and the payment page of a tenant; what was billed stays known.
pub fn forget_org(tx: &mut WriteTx, org_id: OrgId) -> Result<()> {
    if let Some(customer) = tx.get(&BILLING_CUSTOMERS, &org_id)? {
        tx.remove(&BILLING_CUSTOMER_ORGS, &customer)?;
        tx.remove(&BILLING_CUSTOMERS, &org_id)?;
    }
    remove_checkout(tx, org_id)
}

/// The provider's subscriptions that bill ours, after one, in the order of their ids.
pub fn list_billed(
    tx: &impl Read,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, (OrgId, SubscriptionId))>> {
    let mut scan = Scan::all().limit(limit.saturating_add(1));
    if let Some(after) = after {
        scan = scan.starting_at(&after.to_owned());
    }
    let mut rows = tx.scan(&BILLED_SUBSCRIPTIONS, &scan)?;
    rows.retain(|(id, _)| after != Some(id.as_str()));
    rows.truncate(limit);
    Ok(rows)
}

/// Notes the payment page that a tenant was sent to.
pub fn put_checkout(tx: &mut WriteTx, org_id: OrgId, checkout: &Checkout) -> Result<()> {
    tx.put(&CHECKOUTS, &org_id, checkout)
}

/// Forgets the payment page: it was used.
pub fn remove_checkout(tx: &mut WriteTx, org_id: OrgId) -> Result<()> {
    tx.remove(&CHECKOUTS, &org_id).map(drop)
}

/// An invoice by the provider's id.
pub fn invoice_by_stripe(tx: &impl Read, stripe_id: &str) -> Result<Option<Invoice>> {
    match tx.get(&INVOICES_BY_STRIPE, &stripe_id.to_owned())? {
        Some(key) => tx.get(&INVOICES, &key),
        None => Ok(None),
    }
}

/// The invoice that a payment of the provider paid.
pub fn invoice_by_intent(tx: &impl Read, intent: &str) -> Result<Option<Invoice>> {
    match tx.get(&INVOICES_BY_INTENT, &intent.to_owned())? {
        Some(key) => tx.get(&INVOICES, &key),
        None => Ok(None),
    }
}

/// Adds or writes an invoice.
pub fn put_invoice(tx: &mut WriteTx, invoice: &Invoice) -> Result<()> {
    let key = (invoice.org_id, invoice.invoice_id);
    let old = tx.get(&INVOICES, &key)?;
    super::analytics::count_invoice(tx, old.as_ref(), invoice)?;
    tx.put(&INVOICES_BY_STRIPE, &invoice.stripe_invoice_id, &key)?;
    if let Some(intent) = &invoice.stripe_payment_intent_id {
        tx.put(&INVOICES_BY_INTENT, intent, &key)?;
    }
    tx.put(&INVOICE_ORGS, &invoice.invoice_id, &invoice.org_id)?;
    tx.put(&INVOICES, &key, invoice)
}

/// All invoices, newest first, for operators.
pub fn list_invoices(tx: &impl Read, request: &PageRequest) -> Result<Page<Invoice>> {
    super::through_index(tx, &INVOICE_ORGS, request, |id: InvoiceId, org_id| {
        tx.get(&INVOICES, &(org_id, id))
    })
}

/// An event of the provider.
pub fn event(tx: &impl Read, id: &str) -> Result<Option<ProviderEvent>> {
    tx.get(&PROVIDER_EVENTS, &id.to_owned())
}

/// Adds or writes an event.
pub fn put_event(tx: &mut WriteTx, id: &str, event: &ProviderEvent) -> Result<()> {
    tx.put(&PROVIDER_EVENTS_BY_TIME, &(event.received_at, id.to_owned()), &true)?;
    tx.put(&PROVIDER_EVENTS, &id.to_owned(), event)
}

/// Removes at most `limit` events that came before an instant; how many.
pub fn prune_events(tx: &mut WriteTx, before: Timestamp, limit: usize) -> Result<usize> {
    let old = tx.scan_keys(&PROVIDER_EVENTS_BY_TIME, &Scan::all().limit(limit))?;
    let mut removed = 0;
    for (at, id) in old.into_iter().filter(|(at, _)| *at < before) {
        tx.remove(&PROVIDER_EVENTS_BY_TIME, &(at, id.clone()))?;
        tx.remove(&PROVIDER_EVENTS, &id)?;
        removed += 1;
    }
    Ok(removed)
}
