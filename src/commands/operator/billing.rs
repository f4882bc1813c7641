//! `coditect subscription ...` and `coditect payment ...`

use serde_json::{Map, Value, json};

use super::context::{Context, confirm};
use super::failure::{Failure, Result};
use super::license::{customer, filters};
use super::output::{Column, made, plain, shown, text, time, whole, word};
use super::plan::minor;
use crate::cli::customers::{InvoiceCommand, PaymentCommand, RecordPayment, SubscriptionCommand};
use crate::domain::money;

const SUBSCRIPTIONS: [Column; 6] = [
    text("PLAN", "plan_name"),
    made("STATUS", status),
    made("CUSTOMER", customer),
    whole("EVERY", "interval"),
    time("UNTIL", "current_period_end"),
    whole("SUBSCRIPTION", "subscription_id"),
];

const PAYMENTS: [Column; 7] = [
    time("RECORDED", "recorded_at"),
    made("AMOUNT", amount),
    made("KIND", kind),
    whole("PERIODS", "periods"),
    made("CUSTOMER", customer),
    text("REFERENCE", "reference"),
    whole("PAYMENT", "payment_id"),
];

const RECORDED: [Column; 9] = [
    whole("Payment", "payment_id"),
    made("Kind", |recorded| kind(&recorded["payment"])),
    made("Amount", |recorded| amount(&recorded["payment"])),
    text("Reference", "payment.reference"),
    text("Plan", "subscription.plan_name"),
    made("Subscription", |recorded| status(&recorded["subscription"])),
    time("Paid until", "subscription.current_period_end"),
    whole("Licence key", "license.license_key"),
    whole("Licence", "license.status"),
];

const INVOICES: [Column; 6] = [
    time("MADE", "created_at"),
    text("NUMBER", "number"),
    made("DUE", |invoice| {
        let due = invoice["amount_due_cents"].as_i64().unwrap_or_default();
        money::written(due, &plain(word(invoice, "currency")))
    }),
    whole("STATUS", "status"),
    time("PAID", "paid_at"),
    whole("INVOICE", "invoice_id"),
];

fn status(subscription: &Value) -> String {
    let status = shown(&subscription["status"]);
    if subscription["cancel_at_period_end"] == true { format!("{status}, ends") } else { status }
}

fn kind(payment: &Value) -> String {
    let kind = shown(&payment["kind"]).replace('_', " ");
    let day =
        |at: &Value| plain(at.as_str().unwrap_or_default()).chars().take(10).collect::<String>();
    if payment["due_at"].is_null() {
        kind
    } else if !payment["settled_at"].is_null() {
        format!("{kind}, settled")
    } else if !payment["withdrawn_at"].is_null() {
        format!("{kind}, withdrawn")
    } else {
        format!("{kind}, due {}", day(&payment["due_at"]))
    }
}

fn amount(payment: &Value) -> String {
    money::written(
        payment["amount_cents"].as_i64().unwrap_or_default(),
        &plain(word(payment, "currency")),
    )
}

pub async fn subscriptions(context: &Context, command: SubscriptionCommand) -> Result<()> {
    match command {
        SubscriptionCommand::List { status, org, paging } => {
            let org = org_id(context, org).await?;
            let filters = filters(&[("status", &status), ("org_id", &org)]);
            let none = "No subscription is like that. Customers start one with a trial, or with a \
                        payment: `coditect payment record --help`.";
            context.list(&["admin", "subscriptions"], &filters, &paging, &SUBSCRIPTIONS, none).await
        }
        SubscriptionCommand::Cancel { subscription, now, consent } => {
            let id = context.subscription_id(&subscription).await?;
            if now {
                let question = format!("End the subscription of {} at once?", plain(&subscription));
                confirm(consent.yes, &question)?;
            }
            let body = json!({"at_period_end": !now});
            let path = ["subscriptions", &id, "cancel"];
            let answer = context.http.post(&path, Some(body)).await?;
            let end = if now { "ended".to_owned() } else { ends(&answer) };
            context.did(&answer, &format!("The subscription {end}."))
        }
        SubscriptionCommand::Change { subscription, plan, interval, quantity } => {
            let id = context.subscription_id(&subscription).await?;
            let mut body = Map::new();
            if let Some(plan) = &plan {
                body.insert("plan_id".to_owned(), context.plan(plan).await?["plan_id"].take());
            }
            body.extend(interval.map(|interval| ("interval".to_owned(), interval.into())));
            body.extend(quantity.map(|quantity| ("quantity".to_owned(), quantity.into())));
            if body.is_empty() {
                return Err(Failure::usage(
                    "say what is to change: --plan, --interval or --quantity",
                ));
            }
            let path = ["subscriptions", &id, "change-plan"];
            let answer = context.http.post(&path, Some(body.into())).await?;
            let plan = shown(&answer["plan_name"]);
            context.did(&answer, &format!("The subscription is to {plan} now."))
        }
        SubscriptionCommand::Resume { subscription } => {
            let id = context.subscription_id(&subscription).await?;
            let answer = context.http.post(&["subscriptions", &id, "resume"], None).await?;
            context.did(&answer, "The subscription goes on.")
        }
    }
}

fn ends(subscription: &Value) -> String {
    format!("ends on {}", shown(&subscription["current_period_end"]))
}

pub async fn invoices(context: &Context, command: InvoiceCommand) -> Result<()> {
    let InvoiceCommand::List { org, paging } = command;
    let org = org_id(context, org).await?;
    let none = "No invoices. They are made by the payment provider.";
    context
        .list(&["admin", "invoices"], &filters(&[("org_id", &org)]), &paging, &INVOICES, none)
        .await
}

pub async fn payments(context: &Context, command: PaymentCommand) -> Result<()> {
    match command {
        PaymentCommand::List { org, paging } => {
            let org = org_id(context, org).await?;
            let none = "No payments. `coditect payment record` records one.";
            let filters = filters(&[("org_id", &org)]);
            context.list(&["admin", "payments"], &filters, &paging, &PAYMENTS, none).await
        }
        PaymentCommand::Record(payment) => record(context, payment).await,
        PaymentCommand::Settle { payment } => end_order(context, &payment, "settle").await,
        PaymentCommand::Withdraw { payment } => end_order(context, &payment, "withdraw").await,
    }
}

async fn end_order(context: &Context, payment: &str, act: &str) -> Result<()> {
    let path = ["admin", "payments", payment, act];
    context.show(&context.http.post(&path, None).await?, &RECORDED)
}

async fn record(context: &Context, payment: RecordPayment) -> Result<()> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            body.insert(name.to_owned(), value);
        }
    };
    if let Some(subscription) = &payment.subscription {
        put("subscription_id", context.subscription_id(subscription).await?.into());
    }
    put("org_id", org_id(context, payment.org).await?.into());
    if let Some(plan) = &payment.plan {
        put("plan_id", context.plan(plan).await?["plan_id"].take());
    }
    put("interval", payment.interval.into());
    // The command line demands both or neither.
    if let (Some(amount), Some(currency)) = (&payment.amount, &payment.currency) {
        put("amount_cents", minor(amount, currency)?.into());
    }
    put("currency", payment.currency.into());
    put("periods", payment.periods.into());
    if payment.reference.is_none() {
        eprintln!(
            "coditect: without --reference nobody can tell this payment from the same one recorded again"
        );
    }
    put("reference", payment.reference.into());
    put("kind", payment.kind.map(|kind| kind.replace('-', "_")).into());
    put("due_days", payment.due_days.into());
    let recorded = context.http.post(&["admin", "payments"], Some(body.into())).await?;
    context.show(&recorded, &RECORDED)
}

async fn org_id(context: &Context, given: Option<String>) -> Result<Option<String>> {
    match given {
        Some(given) => Ok(Some(context.org_id(&given).await?)),
        None => Ok(None),
    }
}
