//! The catalogue: read by everybody, kept by operators.

use super::{Actor, Services};
use crate::domain::error::Result;
use crate::domain::ids::PlanId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::plan::{Features, Plan};
use crate::store::plans;

/// What an operator says of a plan.
pub struct PlanInput {
    /// Unique, whatever the case.
    pub plan_name: String,
    /// For the pricing page.
    pub description: String,
    /// Seats of its licences.
    pub max_concurrent_seats: u32,
    /// Machines of its licences; none: no limit.
    pub max_activations: Option<u32>,
    /// Minor units a month.
    pub monthly_price_cents: i64,
    /// Minor units a year.
    pub yearly_price_cents: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// Days of trial.
    pub trial_duration_days: u32,
    /// What else it grants.
    pub features: Features,
    /// Whether the public list shows it.
    pub public: bool,
}

impl Services {
    /// Plans on sale, for anybody.
    pub fn public_plans(&self, request: &PageRequest) -> Result<Page<Plan>> {
        let mut page = self.store.read(|tx| plans::list(tx, request))?;
        page.items.retain(|plan| plan.public && plan.archived_at.is_none());
        Ok(page)
    }

    /// All plans, for operators.
    pub fn plans(&self, actor: &Actor, request: &PageRequest) -> Result<Page<Plan>> {
        actor.require_operator()?;
        self.store.read(|tx| plans::list(tx, request))
    }

    /// Adds a plan.
    pub async fn create_plan(&self, actor: &Actor, input: PlanInput) -> Result<Plan> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        let plan = Plan {
            plan_id: PlanId(ctx.record_id()),
            plan_name: input.plan_name.trim().to_owned(),
            description: input.description,
            max_concurrent_seats: input.max_concurrent_seats,
            max_activations: input.max_activations,
            monthly_price_cents: input.monthly_price_cents,
            yearly_price_cents: input.yearly_price_cents,
            currency: input.currency,
            trial_duration_days: input.trial_duration_days,
            features: input.features,
            public: input.public,
            archived_at: None,
            created_at: ctx.now,
        };
        plan.check()?;
        self.commit(move |tx| {
            plans::put(tx, &plan)?;
            ctx.audit(
                tx,
                None,
                "plan.created",
                plan.plan_id,
                [("plan_name", plan.plan_name.clone())],
            )?;
            Ok(plan)
        })
        .await
    }

    /// Takes a plan from sale; existing subscriptions keep it.
    pub async fn archive_plan(&self, actor: &Actor, plan_id: PlanId) -> Result<Plan> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        self.commit(move |tx| {
            let mut plan = plans::get(tx, plan_id)?;
            if plan.archived_at.is_none() {
                plan.archived_at = Some(ctx.now);
                plans::put(tx, &plan)?;
                ctx.audit(
                    tx,
                    None,
                    "plan.archived",
                    plan_id,
                    [("plan_name", plan.plan_name.clone())],
                )?;
            }
            Ok(plan)
        })
        .await
    }
}
