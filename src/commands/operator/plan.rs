//! `coditect plan ...`

use serde_json::{Map, Value};

use super::context::Context;
use super::failure::{Failure, Result};
use super::license::{activations, features};
use super::output::{Column, made, shown, text, time, whole, word};
use crate::cli::customers::{PlanCommand, PlanTerms};
use crate::domain::money;

const LIST: [Column; 6] = [
    text("NAME", "plan_name"),
    whole("SEATS", "max_concurrent_seats"),
    made("A MONTH", |plan| price(plan, "monthly_price_cents")),
    made("A YEAR", |plan| price(plan, "yearly_price_cents")),
    whole("TRIAL DAYS", "trial_duration_days"),
    made("STATE", state),
];

const SHOW: [Column; 14] = [
    text("Name", "plan_name"),
    text("Description", "description"),
    made("State", state),
    whole("Seats", "max_concurrent_seats"),
    made("Activations", activations),
    made("A month", |plan| price(plan, "monthly_price_cents")),
    made("A year", |plan| price(plan, "yearly_price_cents")),
    whole("Trial days", "trial_duration_days"),
    text("Features", "features"),
    whole("Stripe, a month", "stripe_monthly_price_id"),
    whole("Stripe, a year", "stripe_yearly_price_id"),
    whole("Position", "position"),
    time("Since", "created_at"),
    whole("Plan id", "plan_id"),
];

fn price(plan: &Value, name: &str) -> String {
    plan[name]
        .as_i64()
        .map_or_else(|| "-".to_owned(), |minor| money::written(minor, word(plan, "currency")))
}

fn state(plan: &Value) -> String {
    let state = match (plan["archived_at"].is_null(), plan["public"].as_bool()) {
        (false, _) => "archived",
        (true, Some(false)) => "not listed",
        (true, _) => "on sale",
    };
    state.to_owned()
}

pub async fn run(context: &Context, command: PlanCommand) -> Result<()> {
    match command {
        PlanCommand::List { paging } => {
            let none = "No plans yet. `coditect plan create NAME --seats N --monthly AMOUNT --currency CODE` makes one.";
            context.list(&["admin", "plans"], &[], &paging, &LIST, none).await
        }
        PlanCommand::Show { plan } => context.show(&context.plan(&plan).await?, &SHOW),
        PlanCommand::Create { name, seats, monthly, currency, terms } => {
            let mut body = Map::new();
            body.insert("plan_name".to_owned(), name.into());
            body.insert("max_concurrent_seats".to_owned(), seats.into());
            body.insert("currency".to_owned(), currency.as_str().into());
            let amount = minor(&monthly, &currency)?;
            body.insert("monthly_price_cents".to_owned(), amount.into());
            put_terms(&mut body, &terms, &currency)?;
            let plan = context.http.post(&["admin", "plans"], Some(body.into())).await?;
            context.show(&plan, &SHOW)
        }
        PlanCommand::Update { plan, name, seats, monthly, currency, terms } => {
            let found = context.plan(&plan).await?;
            let mut body = Map::new();
            let mut put = |name: &str, value: Value| {
                if !value.is_null() {
                    body.insert(name.to_owned(), value);
                }
            };
            put("plan_name", name.into());
            put("max_concurrent_seats", seats.into());
            put("currency", currency.as_deref().into());
            let currency = currency.unwrap_or_else(|| word(&found, "currency").to_owned());
            if let Some(monthly) = monthly {
                put("monthly_price_cents", minor(&monthly, &currency)?.into());
            }
            put_terms(&mut body, &terms, &currency)?;
            if body.is_empty() {
                return Err(Failure::usage(
                    "say what is to change; `coditect plan update --help` lists what can",
                ));
            }
            let path = ["admin", "plans", word(&found, "plan_id")];
            let plan = context.http.patch(&path, body.into()).await?;
            context.show(&plan, &SHOW)
        }
        PlanCommand::Archive { plan } => {
            act(context, &plan, "archive", "is not on sale any more").await
        }
        PlanCommand::Restore { plan } => act(context, &plan, "restore", "is on sale again").await,
    }
}

async fn act(context: &Context, plan: &str, verb: &str, now: &str) -> Result<()> {
    let found = context.plan(plan).await?;
    let path = ["admin", "plans", word(&found, "plan_id"), verb];
    let answer = context.http.post(&path, None).await?;
    context.did(&answer, &format!("The plan {} {now}.", shown(&found["plan_name"])))
}

/// Adds what was given. `none` is null on the wire, in contrast to what is left out.
fn put_terms(body: &mut Map<String, Value>, terms: &PlanTerms, currency: &str) -> Result<()> {
    let yearly = match terms.yearly.as_deref() {
        None => None,
        Some("none") => Some(Value::Null),
        Some(amount) => Some(minor(amount, currency)?.into()),
    };
    let or_none = |text: &String| match text.as_str() {
        "none" => Value::Null,
        id => id.into(),
    };
    let features = (!terms.features.is_empty()).then(|| features(&terms.features));
    let terms = [
        ("yearly_price_cents", yearly),
        ("trial_duration_days", terms.trial_days.map(Value::from)),
        ("max_activations", terms.activations.map(|most| most.0.into())),
        ("description", terms.description.as_deref().map(Value::from)),
        ("public", terms.public.map(Value::from)),
        ("stripe_monthly_price_id", terms.stripe_monthly_price.as_ref().map(or_none)),
        ("stripe_yearly_price_id", terms.stripe_yearly_price.as_ref().map(or_none)),
        ("position", terms.position.map(Value::from)),
        ("features", features),
    ];
    body.extend(terms.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(())
}

/// An amount as the wire has it.
pub fn minor(amount: &str, currency: &str) -> Result<i64> {
    money::minor_units(amount, currency).ok_or_else(|| {
        let (one, tenth) = (money::written(100_000, currency), money::written(99, currency));
        Failure::usage(format!(
            "{amount} is no amount of {currency}. Write digits and a point, as in the numbers of {one} and {tenth}"
        ))
    })
}
