//! Two renderings of the same objects: as now, and as before version 2025-03-31.

use serde_json::{Value, json};

use super::world::World;

/// In which API version events are rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Periods on the items; an invoice names its subscription in `parent`.
    New,
    /// Periods on the subscription; `invoice.subscription`, `charge.invoice`.
    Old,
}

impl Shape {
    pub fn api_version(self) -> &'static str {
        match self {
            Self::New => "2026-08-26.dahlia",
            Self::Old => "2024-06-20",
        }
    }

    /// An object as this version shows it.
    pub fn render(self, world: &World, object: &Value) -> Value {
        let mut shown = public(object);
        if self == Self::Old {
            match object["object"].as_str() {
                Some("subscription") => old_subscription(&mut shown),
                Some("invoice") => old_invoice(world, &mut shown),
                Some("charge") => {
                    shown["invoice"] = invoice_paid_by(world, &object["payment_intent"]);
                }
                Some("payment_intent") => {
                    shown["invoice"] = invoice_paid_by(world, &object["id"]);
                }
                _ => {}
            }
        }
        shown
    }
}

/// An object without what the fake notes in it for itself, in names that begin with `_`.
pub fn public(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !name.starts_with('_'))
            .map(|(name, member)| (name.clone(), public(member)))
            .collect(),
        Value::Array(items) => items.iter().map(public).collect(),
        other => other.clone(),
    }
}

/// What changed, as `previous_attributes` says it: the old values of the changed members.
pub fn previous(before: &Value, after: &Value) -> Value {
    let mut changed = json!({});
    for (name, old) in before.as_object().unwrap() {
        let new = &after[name];
        if old != new {
            let nested = old.is_object() && new.is_object();
            changed[name] = if nested { previous(old, new) } else { old.clone() };
        }
    }
    for (name, _) in
        after.as_object().unwrap().iter().filter(|(name, _)| before.get(name.as_str()).is_none())
    {
        changed[name] = Value::Null;
    }
    changed
}

fn remove(object: &mut Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name).unwrap_or_default()
}

fn old_subscription(subscription: &mut Value) {
    for name in ["current_period_start", "current_period_end"] {
        for item in subscription["items"]["data"].as_array_mut().unwrap() {
            item["plan"] = plan(&item["price"]);
            item[format!("_{name}")] = remove(item, name);
        }
        subscription[name] = subscription["items"]["data"][0][format!("_{name}")].clone();
    }
    *subscription = public(subscription);
    let first = subscription["items"]["data"][0].clone();
    subscription["plan"] = first["plan"].clone();
    subscription["quantity"] = first["quantity"].clone();
    remove(subscription, "billing_mode");
    remove(subscription, "billing_schedules");
}

/// A price as the older `plan` that stood beside it.
fn plan(price: &Value) -> Value {
    json!({
        "id": price["id"], "object": "plan", "active": true, "amount": price["unit_amount"],
        "currency": price["currency"], "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"], "product": price["product"],
    })
}

fn old_invoice(world: &World, invoice: &mut Value) {
    let parent = remove(invoice, "parent");
    invoice["subscription"] = parent["subscription_details"]["subscription"].clone();
    invoice["subscription_details"] =
        json!({ "metadata": parent["subscription_details"]["metadata"] });
    let payment = world
        .of_kind("invoice_payment")
        .find(|payment| payment["invoice"] == invoice["id"])
        .map_or(Value::Null, |payment| payment["payment"]["payment_intent"].clone());
    let charge = payment.as_str().map_or(Value::Null, |id| world.get(id)["latest_charge"].clone());
    invoice["payment_intent"] = payment;
    invoice["charge"] = charge;
    invoice["paid"] = json!(invoice["status"] == "paid");
    invoice["tax"] = Value::Null;
    for line in invoice["lines"]["data"].as_array_mut().unwrap() {
        let parent = remove(line, "parent");
        let pricing = remove(line, "pricing");
        let details = &parent["subscription_item_details"];
        line["type"] = json!("subscription");
        line["subscription"] = details["subscription"].clone();
        line["subscription_item"] = details["subscription_item"].clone();
        line["proration"] = details["proration"].clone();
        let price = pricing["price_details"]["price"].as_str().unwrap_or_default();
        line["price"] = world.find(price).map_or(Value::Null, public);
        line["plan"] = plan(&line["price"]);
    }
}

fn invoice_paid_by(world: &World, payment_intent: &Value) -> Value {
    world
        .of_kind("invoice_payment")
        .find(|payment| payment["payment"]["payment_intent"] == *payment_intent)
        .map_or(Value::Null, |payment| payment["invoice"].clone())
}
