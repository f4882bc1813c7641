//! The catalogue: read by everybody, kept by operators.

use serde_json::json;

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
    /// Stripe's price of a month; none: made at the first checkout.
    pub stripe_monthly_price_id: Option<String>,
    /// Stripe's price of a year.
    pub stripe_yearly_price_id: Option<String>,
    /// Where it stands among the others.
    pub position: u32,
    /// ISO 4217.
    pub currency: String,
    /// Days of trial.
    pub trial_duration_days: u32,
    /// What else it grants.
    pub features: Features,
    /// Whether the public list shows it.
    pub public: bool,
}

/// What an operator changes about a plan; none: it stays.
#[derive(Default)]
#[allow(missing_docs, reason = "the names are the plan's own")]
pub struct PlanChange {
    pub plan_name: Option<String>,
    pub description: Option<String>,
    pub max_concurrent_seats: Option<u32>,
    /// `Some(None)` takes the limit away; the same below.
    pub max_activations: Option<Option<u32>>,
    pub monthly_price_cents: Option<i64>,
    pub yearly_price_cents: Option<Option<i64>>,
    pub stripe_monthly_price_id: Option<Option<String>>,
    pub stripe_yearly_price_id: Option<Option<String>>,
    pub position: Option<u32>,
    pub currency: Option<String>,
    pub trial_duration_days: Option<u32>,
    pub features: Option<Features>,
    pub public: Option<bool>,
}

impl PlanChange {
    fn applied_to(self, plan: Plan) -> Plan {
        let currency = self.currency.as_ref().is_none_or(|it| *it == plan.currency);
        let month = self.monthly_price_cents.is_none_or(|it| it == plan.monthly_price_cents);
        let year = self.yearly_price_cents.is_none_or(|it| it == plan.yearly_price_cents);
        Plan {
            // Another amount is another price of Stripe: one that is not named with it is made anew.
            stripe_monthly_price_id: self
                .stripe_monthly_price_id
                .unwrap_or(plan.stripe_monthly_price_id.filter(|_| month && currency)),
            stripe_yearly_price_id: self
                .stripe_yearly_price_id
                .unwrap_or(plan.stripe_yearly_price_id.filter(|_| year && currency)),
            position: self.position.unwrap_or(plan.position),
            plan_name: self.plan_name.map_or(plan.plan_name, |name| name.trim().to_owned()),
            description: self.description.unwrap_or(plan.description),
            max_concurrent_seats: self.max_concurrent_seats.unwrap_or(plan.max_concurrent_seats),
            max_activations: self.max_activations.unwrap_or(plan.max_activations),
            monthly_price_cents: self.monthly_price_cents.unwrap_or(plan.monthly_price_cents),
            yearly_price_cents: self.yearly_price_cents.unwrap_or(plan.yearly_price_cents),
            currency: self.currency.unwrap_or(plan.currency),
            trial_duration_days: self.trial_duration_days.unwrap_or(plan.trial_duration_days),
            features: self.features.unwrap_or(plan.features),
            public: self.public.unwrap_or(plan.public),
            ..plan
        }
    }
}

impl Services {
    /// Plans on sale in the order of their position, for anybody.
    pub fn public_plans(&self, request: &PageRequest) -> Result<Page<Plan>> {
        let mut page = self.store.read(|tx| plans::list(tx, request))?;
        page.items.retain(|plan| plan.public && plan.archived_at.is_none());
        page.items.sort_by_key(|plan| plan.position);
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
            stripe_monthly_price_id: input.stripe_monthly_price_id,
            stripe_yearly_price_id: input.stripe_yearly_price_id,
            position: input.position,
            currency: input.currency,
            trial_duration_days: input.trial_duration_days,
            features: input.features,
            public: input.public,
            archived_at: None,
            created_at: ctx.now,
        };
        plan.check()?;
        self.commit(actor.guarded(move |tx| {
            plans::put(tx, &plan)?;
            let (told, id) = ([("plan_name", plan.plan_name.clone())], plan.plan_id);
            ctx.audit_change(tx, None, "plan.created", id, told, &json!({}), &plan)?;
            Ok(plan)
        }))
        .await
    }

    /// Changes a plan. Licences and subscriptions keep what they were sold with.
    pub async fn update_plan(
        &self,
        actor: &Actor,
        plan_id: PlanId,
        change: PlanChange,
    ) -> Result<Plan> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        self.commit(actor.guarded(move |tx| {
            let before = plans::get(tx, plan_id)?;
            let plan = change.applied_to(before.clone());
            plan.check()?;
            if plan == before {
                return Ok(plan);
            }
            plans::put(tx, &plan)?;
            let told = [("plan_name", plan.plan_name.clone())];
            ctx.audit_change(tx, None, "plan.changed", plan_id, told, &before, &plan)?;
            Ok(plan)
        }))
        .await
    }

    /// Takes a plan from sale, or puts it back; existing subscriptions keep it either way.
    pub async fn archive_plan(
        &self,
        actor: &Actor,
        plan_id: PlanId,
        on_sale: bool,
    ) -> Result<Plan> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        self.commit(actor.guarded(move |tx| {
            let mut plan = plans::get(tx, plan_id)?;
            if plan.archived_at.is_none() == on_sale {
                return Ok(plan);
            }
            let before = plan.clone();
            plan.archived_at = (!on_sale).then_some(ctx.now);
            plans::put(tx, &plan)?;
            let action = if on_sale { "plan.restored" } else { "plan.archived" };
            let told = [("plan_name", plan.plan_name.clone())];
            ctx.audit_change(tx, None, action, plan_id, told, &before, &plan)?;
            Ok(plan)
        }))
        .await
    }
}
