//! The figures of recurring revenue: kept up to date in the transaction of what changes them, so that
//! nothing walks over all records to read them.
//!
//! The ledger of movements is a record of its own: what a customer was worth a year ago can be read
//! nowhere else. Everything else here follows from records, and [`recount`] makes it anew from them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::tables::{
    CUSTOMER_WORTHS, INVOICES, LICENSES, MONTHLY_MOVEMENTS, MONTHLY_TRIALS, MOVEMENTS,
    OPEN_INVOICES, PAYMENTS, PLAN_REVENUE, PLANS, STANDINGS, SUBSCRIPTIONS,
};
use super::{Key, Read, Row, Scan, Table, WriteTx, counts, logs};
use crate::domain::analytics::{Movement, MovementKind, Movements, Standing, Tally, Trials, Worth};
use crate::domain::billing::Invoice;
use crate::domain::error::Result;
use crate::domain::ids::{PlanId, SubscriptionId};
use crate::domain::license::{License, LicenseStatus};
use crate::domain::payment::Payment;
use crate::domain::subscription::{Price, Subscription, SubscriptionStatus};
use crate::domain::time::Timestamp;

/// The fact that says by which rules the figures were made.
const RULES: &str = "analytics.rules";
/// The rules of this program. Raise it when a figure changes its meaning: then all are made anew from the
/// records; the ledger of movements is one of these, and stays as it was written.
const RULES_NOW: &str = "1";
/// How many movements there are.
const COUNT: &str = "movements";

// ---- what changes them ----------------------------------------------------------------------------

/// Follows a subscription from what it was, if anything, to what it is.
pub(super) fn follow(
    tx: &mut WriteTx,
    old: Option<&Subscription>,
    new: &Subscription,
    now: Timestamp,
) -> Result<()> {
    if let Some(old) = old {
        stand(tx, old, Tally::take)?;
        count_trial(tx, old, -1)?;
    }
    stand(tx, new, Tally::add)?;
    count_trial(tx, new, 1)?;
    let (before, after) = (old.and_then(Subscription::worth), new.worth());
    match (before, after) {
        (Some(before), Some(after)) if before.currency == after.currency => {
            let by = after.yearly_cents - before.yearly_cents;
            step(tx, new, Worth { yearly_cents: by, ..after }, now)
        }
        (before, after) => {
            if let (Some(worth), Some(old)) = (before, old) {
                step(tx, old, Worth { yearly_cents: -worth.yearly_cents, ..worth }, now)?;
            }
            after.map_or(Ok(()), |worth| step(tx, new, worth, now))
        }
    }
}

/// Counts a subscription no more that has ended and is removed.
pub(super) fn forget_ended(tx: &mut WriteTx, old: &Subscription) -> Result<()> {
    stand(tx, old, Tally::take)?;
    count_trial(tx, old, -1)
}

/// Counts a payment whose money has come, as much of it as was kept, for its plan.
pub(super) fn count_payment(tx: &mut WriteTx, payment: &Payment) -> Result<()> {
    let kept = kept_cents(tx, payment)?;
    change_revenue(tx, payment, |tally| tally.add(kept))
}

/// Takes what was given back of a payment out again.
pub(super) fn count_refund(tx: &mut WriteTx, payment: &Payment, cents: i64) -> Result<()> {
    change_revenue(tx, payment, |tally| tally.cents = tally.cents.saturating_sub(cents))
}

/// Counts an invoice while it waits to be paid.
pub(super) fn count_invoice(tx: &mut WriteTx, old: Option<&Invoice>, new: &Invoice) -> Result<()> {
    if let Some((old, owed)) = old.and_then(|old| Some((old, old.owed_cents()?))) {
        change(tx, &OPEN_INVOICES, &old.currency, |tally| tally.take(owed))?;
    }
    match new.owed_cents() {
        Some(owed) => change(tx, &OPEN_INVOICES, &new.currency, |tally| tally.add(owed)),
        None => Ok(()),
    }
}

/// Counts the seats of a licence under the status last noted.
pub(super) fn count_seats(tx: &mut WriteTx, license: &License, sign: i64) -> Result<()> {
    let seats = i64::from(license.max_concurrent_seats) * sign;
    counts::add(tx, &seats_in(license.noted_status), seats)
}

fn seats_in(status: LicenseStatus) -> String {
    format!("seats.{}", status.as_str())
}

fn change<K: Key, V: Row + Default>(
    tx: &mut WriteTx,
    table: &Table<K, V>,
    key: &K,
    how: impl FnOnce(&mut V),
) -> Result<()> {
    let mut row = tx.get(table, key)?.unwrap_or_default();
    how(&mut row);
    tx.put(table, key, &row)
}

fn stand(tx: &mut WriteTx, subscription: &Subscription, way: fn(&mut Tally, i64)) -> Result<()> {
    let Some(sold) = subscription.sold_for() else { return Ok(()) };
    let key = (sold.currency, subscription.plan_id);
    change(tx, &STANDINGS, &key, |standing| standing.count(subscription, way))
}

fn count_trial(tx: &mut WriteTx, subscription: &Subscription, by: i64) -> Result<()> {
    let Some((began, state)) = subscription.trial() else { return Ok(()) };
    change(tx, &MONTHLY_TRIALS, &began.month_before(0), |trials| {
        let count = trials.of(state);
        *count = count.saturating_add_signed(by);
    })
}

/// A customer is worth so much more, or less, because of a subscription: notes the movement.
fn step(tx: &mut WriteTx, cause: &Subscription, by: Worth, at: Timestamp) -> Result<()> {
    let key = (cause.org_id, by.currency.clone());
    let before = tx.get(&CUSTOMER_WORTHS, &key)?;
    let after = before.unwrap_or(0).saturating_add(by.yearly_cents);
    let Some(kind) = MovementKind::of(before, after) else { return Ok(()) };
    let number = counts::get(tx, COUNT)?;
    let movement = Movement {
        at,
        org_id: cause.org_id,
        subscription_id: cause.subscription_id,
        plan_id: cause.plan_id,
        currency: by.currency,
        kind,
        yearly_cents: by.yearly_cents,
    };
    tx.put(&MOVEMENTS, &(at, number), &movement)?;
    counts::add(tx, COUNT, 1)?;
    count_movement(tx, &movement)
}

fn count_movement(tx: &mut WriteTx, movement: &Movement) -> Result<()> {
    let currency = movement.currency.clone();
    let key = (movement.org_id, currency.clone());
    let before = tx.get(&CUSTOMER_WORTHS, &key)?.unwrap_or(0);
    tx.put(&CUSTOMER_WORTHS, &key, &before.saturating_add(movement.yearly_cents))?;
    change(tx, &MONTHLY_MOVEMENTS, &(movement.at.month_before(0), currency), |month| {
        month.add(movement.kind, movement.yearly_cents);
    })
}

fn change_revenue(tx: &mut WriteTx, payment: &Payment, how: impl FnOnce(&mut Tally)) -> Result<()> {
    let Some(received_at) = payment.received_at() else { return Ok(()) };
    let Some(plan_id) = plan_of(tx, payment)? else { return Ok(()) };
    let key = (received_at.month_before(0), payment.currency.clone(), plan_id);
    change(tx, &PLAN_REVENUE, &key, how)
}

fn plan_of(tx: &impl Read, payment: &Payment) -> Result<Option<PlanId>> {
    if payment.plan_id.is_some() {
        return Ok(payment.plan_id);
    }
    let of = tx.get(&SUBSCRIPTIONS, &(payment.org_id, payment.subscription_id))?;
    Ok(of.map(|subscription| subscription.plan_id))
}

// ---- what is read ---------------------------------------------------------------------------------

/// What all subscriptions are worth now, by currency and plan.
pub fn standings(tx: &impl Read) -> Result<Vec<((String, PlanId), Standing)>> {
    tx.scan(&STANDINGS, &Scan::all())
}

/// The movements of each month and currency, from a month on; what is dated after today is among them.
pub fn movements(tx: &impl Read, first_month: &str) -> Result<Vec<((String, String), Movements)>> {
    tx.scan(&MONTHLY_MOVEMENTS, &from_month(first_month))
}

/// How many customers there are now, by currency.
pub fn customers(tx: &impl Read) -> Result<BTreeMap<String, u64>> {
    let mut all: BTreeMap<String, i64> = BTreeMap::new();
    for ((_, currency), month) in tx.scan(&MONTHLY_MOVEMENTS, &Scan::all())? {
        *all.entry(currency).or_default() += month.net_customers();
    }
    Ok(all.into_iter().map(|(currency, n)| (currency, n.max(0).cast_unsigned())).collect())
}

/// What has come of the trials that began in each month, from a month on.
pub fn trials(tx: &impl Read, first_month: &str) -> Result<Vec<(String, Trials)>> {
    tx.scan(&MONTHLY_TRIALS, &Scan::all().starting_at(&first_month.to_owned()))
}

/// Month, currency and plan.
pub type MonthOfPlan = (String, String, PlanId);

/// What came in, by month, currency and plan, from a month on.
pub fn revenue(tx: &impl Read, first_month: &str) -> Result<Vec<(MonthOfPlan, Tally)>> {
    let first = (first_month.to_owned(), String::new(), PlanId(uuid::Uuid::nil()));
    tx.scan(&PLAN_REVENUE, &Scan::all().starting_at(&first))
}

/// Invoices that wait to be paid, by currency.
pub fn open_invoices(tx: &impl Read) -> Result<Vec<(String, Tally)>> {
    tx.scan(&OPEN_INVOICES, &Scan::all())
}

/// Seats of the licences that work: active or in grace.
pub fn seats_sold(tx: &impl Read) -> Result<u64> {
    let active = counts::get(tx, &seats_in(LicenseStatus::Active))?;
    Ok(active + counts::get(tx, &seats_in(LicenseStatus::Grace))?)
}

fn from_month(first: &str) -> Scan {
    Scan::all().starting_at(&(first.to_owned(), String::new()))
}

// ---- making them anew -----------------------------------------------------------------------------

/// Whether the figures are there, by the rules of this program.
pub fn is_prepared(tx: &impl Read) -> Result<bool> {
    Ok(logs::fact(tx, RULES)?.as_deref() == Some(RULES_NOW))
}

/// Makes the figures of a database that was written before there were any, or by other rules.
pub fn prepare(tx: &mut WriteTx<'_>) -> Result<()> {
    if tx.first(&MOVEMENTS, &Scan::all())?.is_none() {
        tell_the_past(tx)?;
    }
    recount(tx)?;
    logs::put_fact(tx, RULES, RULES_NOW)
}

/// Makes every figure anew from subscriptions, movements, payments, invoices and licences.
pub fn recount(tx: &mut WriteTx<'_>) -> Result<()> {
    clear(tx, &CUSTOMER_WORTHS)?;
    clear(tx, &MONTHLY_MOVEMENTS)?;
    clear(tx, &STANDINGS)?;
    clear(tx, &MONTHLY_TRIALS)?;
    clear(tx, &PLAN_REVENUE)?;
    clear(tx, &OPEN_INVOICES)?;
    for status in LicenseStatus::ALL {
        let name = seats_in(status);
        let counted = counts::get(tx, &name)?;
        counts::add(tx, &name, -counted.cast_signed())?;
    }
    for (_, movement) in tx.scan(&MOVEMENTS, &Scan::all())? {
        count_movement(tx, &movement)?;
    }
    for (_, subscription) in tx.scan(&SUBSCRIPTIONS, &Scan::all())? {
        stand(tx, &subscription, Tally::add)?;
        count_trial(tx, &subscription, 1)?;
    }
    for (_, payment) in tx.scan(&PAYMENTS, &Scan::all())? {
        count_payment(tx, &payment)?;
    }
    for (_, invoice) in tx.scan(&INVOICES, &Scan::all())? {
        count_invoice(tx, None, &invoice)?;
    }
    for (_, license) in tx.scan(&LICENSES, &Scan::all())? {
        count_seats(tx, &license, 1)?;
    }
    Ok(())
}

fn clear<K: Key, V: Row>(tx: &mut WriteTx, table: &Table<K, V>) -> Result<()> {
    for key in tx.scan_keys(table, &Scan::all())? {
        tx.remove(table, &key)?;
    }
    Ok(())
}

/// What of a payment was not given back.
pub(super) fn kept_cents(tx: &impl Read, payment: &Payment) -> Result<i64> {
    let invoice = match &payment.stripe_invoice_id {
        Some(stripe_id) => super::billing::invoice_by_stripe(tx, stripe_id)?,
        None => None,
    };
    let given_back = invoice.map_or(0, |invoice| invoice.amount_refunded_cents);
    Ok(payment.amount_cents - given_back)
}

/// Leaves a database as a program that knew nothing of figures would have. For tests.
#[doc(hidden)]
pub fn forget(tx: &mut WriteTx<'_>) -> Result<()> {
    for (key, subscription) in tx.scan(&SUBSCRIPTIONS, &Scan::all())? {
        let (price, trial_started_at, first_active_at) = (None, None, None);
        let of_before = Subscription { price, trial_started_at, first_active_at, ..subscription };
        tx.put(&SUBSCRIPTIONS, &key, &of_before)?;
    }
    for (key, payment) in tx.scan(&PAYMENTS, &Scan::all())? {
        tx.put(&PAYMENTS, &key, &Payment { plan_id: None, ..payment })?;
    }
    clear(tx, &MOVEMENTS)?;
    recount(tx)?;
    logs::put_fact(tx, RULES, "")
}

/// Every figure that is not nothing, in words, so that two readings can be compared.
#[doc(hidden)]
pub fn dump(tx: &impl Read) -> Result<Vec<String>> {
    let mut all = rows(tx, &CUSTOMER_WORTHS)?;
    all.extend(rows(tx, &MONTHLY_MOVEMENTS)?);
    all.extend(rows(tx, &STANDINGS)?);
    all.extend(rows(tx, &MONTHLY_TRIALS)?);
    all.extend(rows(tx, &PLAN_REVENUE)?);
    all.extend(rows(tx, &OPEN_INVOICES)?);
    for status in LicenseStatus::ALL {
        let name = seats_in(status);
        all.push(format!("{name} {}", counts::get(tx, &name)?));
    }
    Ok(all)
}

fn rows<K: Key + Debug, V: Row + Default + PartialEq + Debug>(
    tx: &impl Read,
    table: &Table<K, V>,
) -> Result<Vec<String>> {
    let rows = tx.scan(table, &Scan::all())?.into_iter();
    let told = rows.filter(|(_, row)| *row != V::default());
    Ok(told.map(|(key, row)| format!("{} {key:?} {row:?}", table.name())).collect())
}

/// What can be known of subscriptions of before there was a ledger: each began with its first payment,
/// at the price that its plan has today, and was lost when it ended.
fn tell_the_past(tx: &mut WriteTx<'_>) -> Result<()> {
    let mut paid: BTreeMap<SubscriptionId, Timestamp> = BTreeMap::new();
    for (_, payment) in tx.scan(&PAYMENTS, &Scan::all())? {
        let first = paid.entry(payment.subscription_id).or_insert(payment.recorded_at);
        *first = payment.recorded_at.min(*first);
    }
    let mut told = Vec::new();
    for (key, mut subscription) in tx.scan(&SUBSCRIPTIONS, &Scan::all())? {
        if subscription.price.is_none() {
            let plan = tx.get(&PLANS, &subscription.plan_id)?;
            subscription.price = plan.map(|plan| Price::of(&plan, subscription.interval));
        }
        let paid_at = paid.get(&subscription.subscription_id).copied();
        remember(&mut subscription, paid_at);
        tx.put(&SUBSCRIPTIONS, &key, &subscription)?;
        let (Some(sold), Some(began)) = (subscription.sold_for(), subscription.first_active_at)
        else {
            continue;
        };
        if subscription.worth().is_none() {
            let ended = match subscription.status {
                SubscriptionStatus::Unpaid => subscription.grace_ends_at,
                _ => subscription.canceled_at,
            };
            let ended = ended.unwrap_or(subscription.current_period_end).max(began);
            let lost = Worth { yearly_cents: -sold.yearly_cents, ..sold.clone() };
            told.push((ended, lost, subscription.clone()));
        }
        told.push((began, sold, subscription));
    }
    // What was won is told before what was lost in the same instant.
    told.sort_by_key(|(at, worth, _)| (*at, worth.yearly_cents < 0));
    for (at, worth, subscription) in told {
        step(tx, &subscription, worth, at)?;
    }
    Ok(())
}

/// When a subscription of before that was kept began its trial, and was active first.
fn remember(subscription: &mut Subscription, paid_at: Option<Timestamp>) {
    let created_at = subscription.created_at;
    let active = subscription.status == SubscriptionStatus::Active;
    if subscription.first_active_at.is_none() {
        subscription.first_active_at = paid_at.or(active.then_some(created_at));
    }
    // A subscription that was made by its payment had no trial.
    let began_paid = subscription.first_active_at == Some(created_at);
    if subscription.trial_started_at.is_none() && subscription.trial_end.is_some() && !began_paid {
        subscription.trial_started_at = Some(created_at);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{OrgId, UserId};
    use crate::domain::subscription::Interval;
    use crate::domain::time::DAY_MS;
    use crate::store::fault::FaultDisk;
    use crate::store::{Options, Store, subscriptions};

    /// Enough for a table that grows with them to be seen; `ANALYTICS_CUSTOMERS` makes more.
    const MANY: u32 = 2_000;

    fn subscription(number: u32, began: Timestamp) -> Subscription {
        let id = Uuid::from_u128(u128::from(number));
        Subscription {
            subscription_id: SubscriptionId(id),
            org_id: OrgId(id),
            user_id: UserId(id),
            plan_id: PlanId(Uuid::from_u128(u128::from(number % 3))),
            plan_name: "Team".to_owned(),
            interval: Interval::Month,
            price: Some(Price { amount_cents: 1_000, currency: "EUR".to_owned() }),
            status: SubscriptionStatus::Incomplete,
            trial_end: None,
            current_period_start: began,
            current_period_end: began,
            grace_ends_at: None,
            cancel_at_period_end: false,
            canceled_at: None,
            created_at: began,
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

    /// What is read for an answer does not grow with customers: only months, plans and currencies make rows.
    #[test]
    fn the_rows_of_figures_do_not_grow_with_customers() {
        let disk = FaultDisk::new();
        let options = Options { disk: Arc::new(disk), ..Options::default() };
        let store = Store::open(Path::new("/data/coditect.redb"), options).unwrap();
        let start = Timestamp(1_790_000_000_000);
        let many = std::env::var("ANALYTICS_CUSTOMERS").ok().and_then(|n| n.parse().ok());
        let many: u32 = many.unwrap_or(MANY);
        let fill = move |tx: &mut WriteTx<'_>| {
            for number in 0..many {
                let now = start + i64::from(number % 360) * DAY_MS;
                let mut one = subscription(number, now);
                one.begin_trial(now, now.plus_days(14));
                subscriptions::put(tx, &one, now)?;
                one.pay(now + DAY_MS, 12)?;
                subscriptions::put(tx, &one, now + DAY_MS)?;
            }
            Ok(())
        };
        store.write_blocking(fill).unwrap();
        let read = |tx: &crate::store::ReadTx| {
            let asked = std::time::Instant::now();
            let worth: i64 = standings(tx)?.iter().map(|(_, plan)| plan.worth.cents).sum();
            assert_eq!(worth, 12_000 * i64::from(many));
            assert_eq!(customers(tx)?["EUR"], u64::from(many));
            assert_eq!(standings(tx)?.len(), 3, "a row for each plan");
            assert!(movements(tx, "")?.len() <= 13 && trials(tx, "")?.len() <= 13);
            println!("{many} customers: read in {:?}", asked.elapsed());
            assert_eq!(tx.len(&MOVEMENTS)?, u64::from(many), "the ledger has all");
            Ok(())
        };
        // The first reading after so large a change waits for what the change left behind.
        store.read(read).unwrap();
        store.read(read).unwrap();
    }
}
