//! The catalogue.

use super::tables::{PLANS, PLANS_BY_NAME};
use super::{Read, Scan, WriteTx, page};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::PlanId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::plan::Plan;

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
    tx.put(&PLANS_BY_NAME, &name, &plan.plan_id)?;
    tx.put(&PLANS, &plan.plan_id, plan)
}

/// All plans, oldest first.
pub fn list(tx: &impl Read, request: &PageRequest) -> Result<Page<Plan>> {
    page(tx, &PLANS, Scan::all(), request)
}
