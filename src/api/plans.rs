//! The catalogue.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::{Created, Json};
use super::wire::{Time, given, list, page_request, unique_names};
use super::{Answer, Tag};
use crate::domain::ids::PlanId;
use crate::domain::plan::{self, FEATURE_LIMIT_MAX, FEATURE_TEXT_MAX, Feature};
use crate::services::Services;
use crate::services::plans::{PlanChange, PlanInput};

/// The calls about plans.
pub struct Plans {
    /// The operations.
    pub services: Arc<Services>,
}

/// Features on the wire.
pub type Features = BTreeMap<String, FeatureValue>;

/// A feature's value on the wire: a flag, a whole number or a text.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureValue(Feature);

impl Type for FeatureValue {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "feature".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let number = MetaSchema {
            minimum: Some(-(FEATURE_LIMIT_MAX as f64)),
            maximum: Some(FEATURE_LIMIT_MAX as f64),
            ..MetaSchema::new_with_format("integer", "int64")
        };
        let text = MetaSchema { max_length: Some(FEATURE_TEXT_MAX), ..MetaSchema::new("string") };
        let one_of = [MetaSchema::new("boolean"), number, text];
        let one_of =
            one_of.into_iter().map(|schema| MetaSchemaRef::Inline(Box::new(schema))).collect();
        MetaSchemaRef::Inline(Box::new(MetaSchema { one_of, ..MetaSchema::ANY }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for FeatureValue {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
    }
}

impl ToJSON for FeatureValue {
    fn to_json(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }
}

/// A plan.
#[derive(Object, Serialize)]
pub struct Plan {
    /// Identifies the plan.
    plan_id: Uuid,
    /// Unique.
    plan_name: String,
    /// For the pricing page.
    description: String,
    /// Seats of its licences.
    max_concurrent_seats: u32,
    /// Machines that may be activated; null: no limit.
    max_activations: Option<u32>,
    /// Minor units of `currency`, per month.
    monthly_price_cents: i64,
    /// Minor units of `currency`, per year.
    yearly_price_cents: Option<i64>,
    /// Where it stands among the others; lower numbers come first.
    position: u32,
    /// Stripe's price of a month.
    stripe_monthly_price_id: Option<String>,
    /// Stripe's price of a year.
    stripe_yearly_price_id: Option<String>,
    /// ISO 4217.
    currency: String,
    /// Days of trial; 0: none.
    trial_duration_days: u32,
    /// What else it grants.
    features: Features,
    /// Whether the public list shows it.
    public: bool,
    /// When it was taken from sale.
    archived_at: Option<Time>,
    /// When it was made.
    created_at: Time,
}

impl From<plan::Plan> for Plan {
    fn from(plan: plan::Plan) -> Self {
        Self {
            plan_id: plan.plan_id.0,
            plan_name: plan.plan_name,
            description: plan.description,
            max_concurrent_seats: plan.max_concurrent_seats,
            max_activations: plan.max_activations,
            monthly_price_cents: plan.monthly_price_cents,
            yearly_price_cents: plan.yearly_price_cents,
            position: plan.position,
            stripe_monthly_price_id: plan.stripe_monthly_price_id,
            stripe_yearly_price_id: plan.stripe_yearly_price_id,
            currency: plan.currency,
            trial_duration_days: plan.trial_duration_days,
            features: features(plan.features),
            public: plan.public,
            archived_at: plan.archived_at.map(Time),
            created_at: plan.created_at.into(),
        }
    }
}

/// Features for the wire.
pub fn features(features: plan::Features) -> Features {
    features.into_iter().map(|(name, value)| (name, FeatureValue(value))).collect()
}

/// Features from the wire.
pub fn features_in(features: Features) -> plan::Features {
    features.into_iter().map(|(name, value)| (name, value.0)).collect()
}

/// A new plan.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct NewPlan {
    /// Unique, 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    plan_name: String,
    /// At most 2000 characters.
    #[oai(validator(max_length = 2000))]
    description: Option<String>,
    /// 1 to 1000000.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    max_concurrent_seats: u32,
    /// At least 1; left out: no limit.
    #[oai(validator(minimum(value = "1")))]
    max_activations: Option<u32>,
    /// Minor units, not negative.
    #[oai(validator(minimum(value = "0"), maximum(value = "100000000000")))]
    monthly_price_cents: i64,
    /// Minor units, not negative.
    #[oai(validator(minimum(value = "0"), maximum(value = "100000000000")))]
    yearly_price_cents: Option<i64>,
    /// Stripe's price of a month, `price_...`; left out: made at the first payment page.
    #[oai(validator(pattern = "^[A-Za-z0-9_.-]{1,255}$"))]
    stripe_monthly_price_id: Option<String>,
    /// Stripe's price of a year.
    #[oai(validator(pattern = "^[A-Za-z0-9_.-]{1,255}$"))]
    stripe_yearly_price_id: Option<String>,
    /// Where it stands among the others, lower numbers first; left out: 0.
    position: Option<u32>,
    /// ISO 4217, such as EUR.
    #[oai(validator(pattern = "^[A-Z]{3}$"))]
    currency: String,
    /// 0 to 365; left out: 14.
    #[oai(validator(minimum(value = "0"), maximum(value = "365")))]
    trial_duration_days: Option<u32>,
    /// What else it grants: flags, whole numbers or texts.
    #[oai(validator(max_properties = 64))]
    #[serde(default, deserialize_with = "unique_names")]
    features: Option<Features>,
    /// Whether the public list shows it; left out: yes.
    public: Option<bool>,
}

/// Days of trial of a plan that says nothing of it.
const TRIAL_DAYS: u32 = 14;

impl From<NewPlan> for PlanInput {
    fn from(body: NewPlan) -> Self {
        Self {
            plan_name: body.plan_name,
            description: body.description.unwrap_or_default(),
            max_concurrent_seats: body.max_concurrent_seats,
            max_activations: body.max_activations,
            monthly_price_cents: body.monthly_price_cents,
            yearly_price_cents: body.yearly_price_cents,
            stripe_monthly_price_id: body.stripe_monthly_price_id,
            stripe_yearly_price_id: body.stripe_yearly_price_id,
            position: body.position.unwrap_or_default(),
            currency: body.currency,
            trial_duration_days: body.trial_duration_days.unwrap_or(TRIAL_DAYS),
            features: body.features.map(features_in).unwrap_or_default(),
            public: body.public.unwrap_or(true),
        }
    }
}

/// What changes about a plan; what is left out stays.
#[allow(clippy::option_option, reason = "null takes a limit away, and what is left out stays")]
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ChangePlan {
    /// Unique, 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    plan_name: Option<String>,
    /// At most 2000 characters.
    #[oai(validator(max_length = 2000))]
    description: Option<String>,
    /// 1 to 1000000.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    max_concurrent_seats: Option<u32>,
    /// At least 1; null: no limit.
    #[oai(validator(minimum(value = "1")))]
    #[serde(default, deserialize_with = "given")]
    max_activations: Option<Option<u32>>,
    /// Minor units, not negative.
    #[oai(validator(minimum(value = "0"), maximum(value = "100000000000")))]
    monthly_price_cents: Option<i64>,
    /// Minor units, not negative; null: none.
    #[oai(validator(minimum(value = "0"), maximum(value = "100000000000")))]
    #[serde(default, deserialize_with = "given")]
    yearly_price_cents: Option<Option<i64>>,
    /// Stripe's price of a month; null: made at the next payment page. Another amount without another
    /// price takes it away.
    #[oai(validator(pattern = "^[A-Za-z0-9_.-]{1,255}$"))]
    #[serde(default, deserialize_with = "given")]
    stripe_monthly_price_id: Option<Option<String>>,
    /// Stripe's price of a year.
    #[oai(validator(pattern = "^[A-Za-z0-9_.-]{1,255}$"))]
    #[serde(default, deserialize_with = "given")]
    stripe_yearly_price_id: Option<Option<String>>,
    /// Where it stands among the others, lower numbers first.
    position: Option<u32>,
    /// ISO 4217, such as EUR.
    #[oai(validator(pattern = "^[A-Z]{3}$"))]
    currency: Option<String>,
    /// 0 to 365.
    #[oai(validator(minimum(value = "0"), maximum(value = "365")))]
    trial_duration_days: Option<u32>,
    /// All of them: flags, whole numbers or texts.
    #[oai(validator(max_properties = 64))]
    #[serde(default, deserialize_with = "unique_names")]
    features: Option<Features>,
    /// Whether the public list shows it.
    public: Option<bool>,
}

impl From<ChangePlan> for PlanChange {
    fn from(body: ChangePlan) -> Self {
        Self {
            plan_name: body.plan_name,
            description: body.description,
            max_concurrent_seats: body.max_concurrent_seats,
            max_activations: body.max_activations,
            monthly_price_cents: body.monthly_price_cents,
            yearly_price_cents: body.yearly_price_cents,
            stripe_monthly_price_id: body.stripe_monthly_price_id,
            stripe_yearly_price_id: body.stripe_yearly_price_id,
            position: body.position,
            currency: body.currency,
            trial_duration_days: body.trial_duration_days,
            features: body.features.map(features_in),
            public: body.public,
        }
    }
}

list! {
    /// A page of plans.
    PlanList of Plan;
}

#[OpenApi(prefix_path = "/api/v1")]
impl Plans {
    /// Plans on sale
    #[oai(path = "/plans", method = "get", operation_id = "list_plans", tag = "Tag::Plans")]
    async fn list_plans(
        &self,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<PlanList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        Ok(Json(PlanList::of(self.services.public_plans(&request)?, Plan::from)))
    }

    /// All plans
    #[oai(
        path = "/admin/plans",
        method = "get",
        operation_id = "admin_list_plans",
        tag = "Tag::Operator"
    )]
    async fn admin_list_plans(
        &self,
        person: Person,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<PlanList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        Ok(Json(PlanList::of(self.services.plans(&person.0, &request)?, Plan::from)))
    }

    /// Add a plan
    #[oai(
        path = "/admin/plans",
        method = "post",
        operation_id = "create_plan",
        tag = "Tag::Operator"
    )]
    async fn create_plan(&self, person: Person, body: Json<NewPlan>) -> Answer<Created<Plan>> {
        Ok(Created(self.services.create_plan(&person.0, body.0.into()).await?.into()))
    }

    /// Take a plan from sale
    ///
    /// Existing subscriptions keep it.
    #[oai(
        path = "/admin/plans/:plan_id/archive",
        method = "post",
        operation_id = "archive_plan",
        tag = "Tag::Operator"
    )]
    async fn archive_plan(&self, person: Person, plan_id: Path<String>) -> Answer<Json<Plan>> {
        let plan_id: PlanId = path_id(&plan_id.0, "plan")?;
        Ok(Json(self.services.archive_plan(&person.0, plan_id, false).await?.into()))
    }

    /// Put a plan back on sale
    #[oai(
        path = "/admin/plans/:plan_id/restore",
        method = "post",
        operation_id = "restore_plan",
        tag = "Tag::Operator"
    )]
    async fn restore_plan(&self, person: Person, plan_id: Path<String>) -> Answer<Json<Plan>> {
        let plan_id: PlanId = path_id(&plan_id.0, "plan")?;
        Ok(Json(self.services.archive_plan(&person.0, plan_id, true).await?.into()))
    }

    /// Change a plan
    ///
    /// Licences and subscriptions keep what they were sold with.
    #[oai(
        path = "/admin/plans/:plan_id",
        method = "patch",
        operation_id = "change_plan",
        tag = "Tag::Operator"
    )]
    async fn change_plan(
        &self,
        person: Person,
        plan_id: Path<String>,
        body: Json<ChangePlan>,
    ) -> Answer<Json<Plan>> {
        let plan_id: PlanId = path_id(&plan_id.0, "plan")?;
        Ok(Json(self.services.update_plan(&person.0, plan_id, body.0.into()).await?.into()))
    }
}
