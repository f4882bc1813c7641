//! `coditect analytics`

use serde_json::Value;

use super::context::Context;
use super::failure::Result;
use super::output::{self, Column, at, made, plain, shown, text, whole, word};
use crate::cli::server::Analytics;
use crate::domain::money;

/// A column of money, in the currency that stands beside it.
macro_rules! money {
    ($head:literal, $path:literal) => {
        made($head, |item| amount(item, $path))
    };
}

const NOW: [Column; 9] = [
    money!("Monthly recurring", "mrr_cents"),
    money!("Yearly recurring", "arr_cents"),
    made("Customers", |it| {
        format!("{}, each {} a month", shown(&it["customers"]), amount(it, "arpu_cents"))
    }),
    whole("Subscriptions", "subscriptions"),
    made("At risk, in grace", |it| recurring(it, "past_due")),
    made("Ends with its period", |it| recurring(it, "ending")),
    made("Unpaid after grace", |it| recurring(it, "unpaid")),
    made("Open invoices", |it| {
        let count = shown(at(it, "open_invoices.count"));
        format!("{} ({count})", amount(it, "open_invoices.amount_cents"))
    }),
    made("Lost in the month before", |it| {
        let months = it["months"].as_array().map(Vec::as_slice).unwrap_or_default();
        let before = months.iter().rev().nth(1).unwrap_or(&Value::Null);
        format!(
            "{} of customers, {} of revenue",
            percent(&before["customer_churn"]),
            percent(&before["revenue_churn"])
        )
    }),
];

const MONTHS: [Column; 9] = [
    whole("MONTH", "month"),
    money!("RECURRING", "mrr_cents"),
    whole("CUSTOMERS", "customers"),
    money!("NEW", "new.mrr_cents"),
    money!("BACK", "reactivation.mrr_cents"),
    money!("MORE", "expansion.mrr_cents"),
    money!("LESS", "contraction.mrr_cents"),
    money!("LOST", "churn.mrr_cents"),
    money!("CAME IN", "revenue_cents"),
];

const PLANS: [Column; 4] = [
    text("PLAN", "plan_name"),
    whole("SUBSCRIPTIONS", "subscriptions"),
    money!("RECURRING", "mrr_cents"),
    made("CAME IN", |plan| {
        let months = plan["revenue"].as_array().into_iter().flatten();
        let sum = months.filter_map(|month| month["revenue_cents"].as_i64()).sum();
        money::written(sum, &plain(word(plan, "currency")))
    }),
];

const REST: [Column; 2] = [
    made("Trials", |all| {
        let of = |name: &str| shown(&all["trials"][name]);
        format!(
            "{} began: {} paid, {} run, {} ended unpaid; {} converted",
            of("started"),
            of("converted"),
            of("running"),
            of("ended"),
            percent(at(all, "trials.conversion"))
        )
    }),
    made("Seats", |all| {
        let of = |name: &str| shown(&all["seats"][name]);
        format!(
            "{} sold, {} held (most: {}, refused: {})",
            of("sold"),
            of("now"),
            of("peak"),
            of("denials")
        )
    }),
];

fn amount(item: &Value, path: &str) -> String {
    let currency = plain(word(item, "currency"));
    at(item, path).as_i64().map_or("-".to_owned(), |minor| money::written(minor, &currency))
}

fn recurring(item: &Value, name: &str) -> String {
    let monthly = amount(item, &format!("{name}.mrr_cents"));
    format!("{monthly} ({})", shown(&item[name]["count"]))
}

fn percent(share: &Value) -> String {
    share.as_f64().map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

pub async fn show(context: &Context, wanted: &Analytics) -> Result<()> {
    let months = wanted.months.to_string();
    let path = ["admin", "analytics"];
    if let Some(table) = &wanted.csv {
        let query = [("months", months.as_str()), ("format", "csv"), ("table", table)];
        return output::print(&context.http.text(&path, &query).await?);
    }
    let all = context.http.get(&path, &[("months", &months)]).await?;
    if context.is_json() {
        return output::json(&all);
    }
    for money in all["currencies"].as_array().into_iter().flatten() {
        let with_currency = |items: &Value| -> Vec<Value> {
            let items = items.as_array().into_iter().flatten().cloned();
            items
                .map(|mut item| {
                    item["currency"] = money["currency"].clone();
                    item
                })
                .collect()
        };
        output::print(&format!("{}\n", output::record(&NOW, money)))?;
        output::print(&format!("{}\n", output::table(&MONTHS, &with_currency(&money["months"]))))?;
        output::print(&format!("{}\n", output::table(&PLANS, &with_currency(&money["plans"]))))?;
    }
    if all["currencies"].as_array().is_some_and(Vec::is_empty) {
        eprintln!(
            "No money yet. A subscription counts from its first payment on: `coditect payment record --help`."
        );
    }
    context.show(&all, &REST)
}
