//! The figures of the business: recurring revenue and its movements, what came in, trials, seats.
//!
//! All of it is read from running figures (`store::analytics`), never by a walk over records: the
//! answer takes as long with a hundred thousand subscriptions as with ten.

use std::collections::{BTreeMap, BTreeSet};

use super::{Actor, Services};
use crate::domain::analytics::{Movements, Standing, Tally, Trials, share};
use crate::domain::error::{Error, Result};
use crate::domain::ids::PlanId;
use crate::domain::subscription::SubscriptionStatus;
use crate::domain::time::Timestamp;
use crate::store::{Read, analytics, counts, plans, subscriptions};

/// The most months that are told at once.
pub const MONTHS_MAX: u32 = 36;

/// The figures of the last months and of now.
pub struct Analytics {
    /// When they were read.
    pub at: Timestamp,
    /// The calendar months in UTC, oldest first; the last one is not over.
    pub months: Vec<String>,
    /// Money, each currency for itself.
    pub currencies: Vec<CurrencyFigures>,
    /// Subscriptions by status.
    pub subscriptions: Vec<(SubscriptionStatus, u64)>,
    /// Of the trials that began in each of the months.
    pub trials: Vec<Trials>,
    /// Seats.
    pub seats: SeatFigures,
}

/// Money in one currency. Recurring amounts are minor units per year.
pub struct CurrencyFigures {
    /// ISO 4217.
    pub currency: String,
    /// Customers who are worth something now.
    pub customers: u64,
    /// What all subscriptions together are worth now.
    pub standing: Standing,
    /// Invoices that wait to be paid.
    pub open_invoices: Tally,
    /// As many as there are months.
    pub months: Vec<MonthFigures>,
    /// Every plan that is worth something now, or brought something in these months.
    pub plans: Vec<PlanFigures>,
}

/// One month in one currency.
#[derive(Clone, Default)]
pub struct MonthFigures {
    /// What all was worth at its end, or is now; per year.
    pub worth_cents: i64,
    /// Customers at its end, or now.
    pub customers: u64,
    /// What changed in it.
    pub movements: Movements,
    /// What came in, less what of it was given back since.
    pub revenue_cents: u64,
    /// Payments.
    pub payments: u64,
}

impl MonthFigures {
    /// What all was worth when it began; per year.
    pub fn worth_before_cents(&self) -> i64 {
        self.worth_cents - self.movements.net_cents()
    }

    /// The share of the customers of its beginning that was lost in it; none when there were none.
    pub fn customer_churn(&self) -> Option<f64> {
        let before = self.customers.cast_signed() - self.movements.net_customers();
        share(self.movements.churn.count.cast_signed(), before)
    }

    /// The share of what all was worth at its beginning that was lost with those customers.
    pub fn revenue_churn(&self) -> Option<f64> {
        share(self.movements.churn.cents, self.worth_before_cents())
    }
}

/// One plan in one currency.
pub struct PlanFigures {
    /// Which.
    pub plan_id: PlanId,
    /// As it is called today.
    pub plan_name: String,
    /// What its subscriptions are worth now.
    pub standing: Standing,
    /// What came in for it in each month.
    pub revenue: Vec<Tally>,
}

/// Seats.
pub struct SeatFigures {
    /// Those of the licences that work.
    pub sold: u64,
    /// Held now.
    pub now: u64,
    /// The most held at once since the start.
    pub peak: u64,
    /// Refused since the start because every one was held.
    pub denials: u64,
}

impl Services {
    /// Makes the figures of a database of before there were any.
    pub(crate) async fn prepare_analytics(&self) -> Result<()> {
        if self.store.read(analytics::is_prepared)? {
            return Ok(());
        }
        self.commit(analytics::prepare).await
    }

    /// The figures of so many months, this one included; for operators.
    ///
    /// # Errors
    /// A field error unless there are 1 to [`MONTHS_MAX`] months.
    pub fn analytics(&self, actor: &Actor, months: u32) -> Result<Analytics> {
        actor.require_operator()?;
        if !(1..=MONTHS_MAX).contains(&months) {
            return Err(Error::invalid("months", "must be between 1 and 36"));
        }
        let at = self.clock.now().wall;
        let months: Vec<String> = (0..months).rev().map(|back| at.month_before(back)).collect();
        let totals = self.desk.totals();
        self.store.read(|tx| {
            let by_status = |status: &SubscriptionStatus| {
                let name = format!("subscriptions.{}", status.as_str());
                Ok((*status, counts::get(tx, &name)?))
            };
            let trials: BTreeMap<String, Trials> =
                analytics::trials(tx, &months[0])?.into_iter().collect();
            Ok(Analytics {
                at,
                currencies: currencies(tx, &months)?,
                subscriptions: SubscriptionStatus::ALL
                    .iter()
                    .map(by_status)
                    .collect::<Result<_>>()?,
                trials: months
                    .iter()
                    .map(|month| trials.get(month).copied().unwrap_or_default())
                    .collect(),
                seats: SeatFigures {
                    sold: analytics::seats_sold(tx)?,
                    now: totals.seats as u64,
                    peak: totals.peak_seats as u64,
                    denials: totals.denied,
                },
                months: months.clone(),
            })
        })
    }
}

/// The figures of every currency that has any, in the order of their codes.
fn currencies(tx: &impl Read, months: &[String]) -> Result<Vec<CurrencyFigures>> {
    let customers = analytics::customers(tx)?;
    let open: BTreeMap<String, Tally> = analytics::open_invoices(tx)?.into_iter().collect();
    let mut movements =
        group(analytics::movements(tx, &months[0])?, |(month, currency)| (currency, month));
    let mut plans = by_plan(tx, months)?;
    let mut revenue: BTreeMap<String, Vec<subscriptions::Revenue>> = BTreeMap::new();
    for one in subscriptions::revenue(tx, &months[0])? {
        revenue.entry(one.currency.clone()).or_default().push(one);
    }
    let mut names: BTreeSet<&String> = customers.keys().chain(open.keys()).collect();
    names.extend(plans.keys().chain(revenue.keys()));
    let names: Vec<String> = names.into_iter().cloned().collect();
    let mut all = Vec::with_capacity(names.len());
    for currency in names {
        let plans = plans.remove(&currency).unwrap_or_default();
        let standing = plans.iter().fold(Standing::default(), |sum, plan| sum.and(plan.standing));
        let customers = customers.get(&currency).copied().unwrap_or(0);
        let moved = movements.remove(&currency).unwrap_or_default();
        let mut told = history(months, &moved, standing.worth.cents, customers);
        for came in revenue.remove(&currency).unwrap_or_default() {
            if let Some(place) = months.iter().position(|month| *month == came.month) {
                (told[place].revenue_cents, told[place].payments) =
                    (came.amount_cents, came.payments);
            }
        }
        let open_invoices = open.get(&currency).copied().unwrap_or_default();
        all.push(CurrencyFigures {
            currency,
            customers,
            standing,
            open_invoices,
            months: told,
            plans,
        });
    }
    Ok(all)
}

/// Walks back from what is the case now. What a clock that was wrong has dated later is undone first.
fn history(
    months: &[String],
    moved: &[(String, Movements)],
    worth_cents: i64,
    customers: u64,
) -> Vec<MonthFigures> {
    let (mut worth_cents, mut customers) = (worth_cents, customers.cast_signed());
    let mut told = vec![MonthFigures::default(); months.len()];
    let last = &months[months.len() - 1];
    for (_, later) in moved.iter().filter(|(month, _)| month > last) {
        worth_cents -= later.net_cents();
        customers -= later.net_customers();
    }
    for (month, told) in months.iter().zip(&mut told).rev() {
        (told.worth_cents, told.customers) = (worth_cents, customers.max(0).cast_unsigned());
        if let Some((_, movements)) = moved.iter().find(|(at, _)| at == month) {
            told.movements = *movements;
            worth_cents -= movements.net_cents();
            customers -= movements.net_customers();
        }
    }
    told
}

/// Plans by currency, in the order of their names.
fn by_plan(tx: &impl Read, months: &[String]) -> Result<BTreeMap<String, Vec<PlanFigures>>> {
    let mut found: BTreeMap<(String, PlanId), (Standing, Vec<Tally>)> = BTreeMap::new();
    let none = || (Standing::default(), vec![Tally::default(); months.len()]);
    for (key, standing) in analytics::standings(tx)? {
        if standing != Standing::default() {
            found.entry(key).or_insert_with(none).0 = standing;
        }
    }
    for ((month, currency, plan_id), tally) in analytics::revenue(tx, &months[0])? {
        if let Some(place) = months.iter().position(|known| *known == month) {
            found.entry((currency, plan_id)).or_insert_with(none).1[place] = tally;
        }
    }
    let mut plans: BTreeMap<String, Vec<PlanFigures>> = BTreeMap::new();
    for ((currency, plan_id), (standing, revenue)) in found {
        let plan_name = plans::get(tx, plan_id)?.plan_name;
        let plan = PlanFigures { plan_id, plan_name, standing, revenue };
        plans.entry(currency).or_default().push(plan);
    }
    for plans in plans.values_mut() {
        plans.sort_by(|a, b| a.plan_name.cmp(&b.plan_name));
    }
    Ok(plans)
}

fn group<K, V, A: Ord, B>(
    rows: Vec<(K, V)>,
    split: impl Fn(K) -> (A, B),
) -> BTreeMap<A, Vec<(B, V)>> {
    let mut groups: BTreeMap<A, Vec<(B, V)>> = BTreeMap::new();
    for (key, row) in rows {
        let (group, rest) = split(key);
        groups.entry(group).or_default().push((rest, row));
    }
    groups
}
