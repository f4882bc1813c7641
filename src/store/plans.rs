//! The catalogue.

use super::tables::{PLANS, PLANS_BY_NAME, PLANS_BY_PRICE};
use super::{Read, Scan, WriteTx, page};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::PlanId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::plan::Plan;
use crate::domain::subscription::Interval;

/// A plan.
pub fn find(tx: &impl Read, plan_id: PlanId) -> Result<Option<Plan>> {
    tx.get(&PLANS, &plan_id)
}

/// A plan that must exist.
pub fn get(tx: &impl Read, plan_id: PlanId) -> Result<Plan> {
    find(tx, plan_id)?.ok_or_else(|| Error::not_found("plan"))
}

/// Adds or writes a plan; `PlanNameTaken` when another has its name, whatever the case.
pub fn put(tx: &mut WriteTx, plan: &Plan) -> Result<()> {
    let name = plan.plan_name.to_lowercase();
    if tx.get(&PLANS_BY_NAME, &name)?.is_some_and(|other| other != plan.plan_id) {
        return Err(Error::new(
            Code::PlanNameTaken,
            "There is a plan of this name already; choose another.",
        ));
    }
    if let Some(old) = find(tx, plan.plan_id)? {
        tx.remove(&PLANS_BY_NAME, &old.plan_name.to_lowercase())?;
    }
    // A price that the plan no longer asks for stays known: subscriptions keep it.
    for (price, interval) in [
        (&plan.stripe_monthly_price_id, Interval::Month),
        (&plan.stripe_yearly_price_id, Interval::Year),
    ] {
        let Some(price) = price else { continue };
        let sold = (plan.plan_id, interval);
        if tx.get(&PLANS_BY_PRICE, price)?.is_some_and(|other| other != sold) {
            let text = format!("The price {price} is that of another plan or interval already.");
            return Err(Error::new(Code::PriceTaken, text));
        }
        tx.put(&PLANS_BY_PRICE, price, &sold)?;
    }
    tx.put(&PLANS_BY_NAME, &name, &plan.plan_id)?;
    tx.put(&PLANS, &plan.plan_id, plan)
}

/// What is subscribed to at a price of the provider.
pub fn by_price(tx: &impl Read, price: &str) -> Result<Option<(PlanId, Interval)>> {
    tx.get(&PLANS_BY_PRICE, &price.to_owned())
}

/// All plans, oldest first.
pub fn list(tx: &impl Read, request: &PageRequest) -> Result<Page<Plan>> {
    page(tx, &PLANS, Scan::all(), request)
}

/// Every plan there is.
pub fn all(tx: &impl Read) -> Result<Vec<Plan>> {
    Ok(tx.scan(&PLANS, &Scan::all())?.into_iter().map(|(_, plan)| plan).collect())
}
