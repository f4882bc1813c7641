//! The calls about subscriptions.

use serde_json::{Value, json};

use super::billing::{Card, NewSubscription, items, number, text};
use super::calls::{LIST, given};
use super::checkout::missing_card;
use super::error::{Result, StripeError};
use super::form::Params;
use super::world::World;

impl World {
    pub fn post_subscription(&mut self, p: &Params) -> Result<Value> {
        p.only(&[
            "customer",
            "items",
            "metadata",
            "trial_end",
            "trial_period_days",
            "trial_settings",
            "payment_behavior",
            "cancel_at_period_end",
            "default_payment_method",
        ])?;
        p.needed("/customer")?;
        let customer = self.referred("customer", p, "customer")?.unwrap();
        let mut items = Vec::new();
        for n in 0..p.items("/items").len().max(1) {
            let price = p.needed(&format!("/items/{n}/price"))?;
            self.price(price, n)?;
            let quantity = p.integer(&format!("/items/{n}/quantity"))?.unwrap_or(1);
            items.push((price.to_owned(), quantity));
        }
        let new = NewSubscription {
            customer,
            items,
            trial_end: self.trial_end(p, "")?,
            metadata: p.metadata("/metadata", &Value::Null),
            when_card_is_missing: missing_card(p, ""),
            after_payment: false,
        };
        let (id, _) = self.begin_subscription(&new);
        Ok(self.get(&id).clone())
    }

    fn price(&self, id: &str, n: usize) -> Result<Value> {
        let price = self.find(id).filter(|price| price["object"] == "price").cloned();
        price.ok_or_else(|| StripeError::missing("price", &format!("items[{n}][price]"), id))
    }

    pub fn list_subscriptions(&self, p: &Params) -> Result<Value> {
        p.only(&[&LIST[..], &["customer", "status", "price"]].concat())?;
        let fits = |subscription: &&Value| {
            let status = text(subscription, "status");
            p.text("/customer").is_none_or(|customer| subscription["customer"] == customer)
                && p.text("/price").is_none_or(|price| {
                    items(subscription).iter().any(|item| item["price"]["id"] == price)
                })
                && match p.text("/status") {
                    Some("all") => true,
                    Some("ended") => has_ended(subscription),
                    Some(wanted) => status == wanted,
                    None => status != "canceled",
                }
        };
        Self::page(p, "/v1/subscriptions", self.of_kind("subscription").rev().filter(fits))
    }

    pub fn note_cancellation_details(&mut self, id: &str, p: &Params) {
        for name in ["comment", "feedback"] {
            if let Some(said) = p.text(&format!("/cancellation_details/{name}")) {
                self.change(id, |subscription| {
                    subscription["cancellation_details"][name] = json!(said);
                });
            }
        }
    }

    pub fn post_to_subscription(&mut self, id: &str, p: &Params) -> Result<Value> {
        p.only(&[
            "cancel_at_period_end",
            "cancel_at",
            "items",
            "proration_behavior",
            "metadata",
            "trial_end",
            "trial_settings",
            "payment_behavior",
            "billing_cycle_anchor",
            "pause_collection",
            "description",
            "cancellation_details",
        ])?;
        let subscription = self.look_up("subscription", id)?.clone();
        let allowed_at_the_end = p.only(&["metadata", "cancellation_details"]);
        if has_ended(&subscription) && allowed_at_the_end.is_err() {
            return Err(StripeError::refused(
                "A canceled subscription can only update its cancellation_details and metadata.",
            ));
        }
        let after = self.items_after(&subscription, p)?;
        let cancel = p.flag("/cancel_at_period_end")?;
        let trial_end =
            if p.text("/trial_end") == Some("now") { None } else { p.integer("/trial_end")? };
        let behavior = p.text("/proration_behavior").unwrap_or("create_prorations");
        let restart = p.text("/billing_cycle_anchor") == Some("now");
        let charges_now =
            behavior == "always_invoice" || restart || p.text("/trial_end") == Some("now");
        match p.text("/payment_behavior").unwrap_or("allow_incomplete") {
            "allow_incomplete" => {}
            "error_if_incomplete" => {
                let card = self.card(text(&subscription, "customer"));
                if charges_now && [Card::Declines, Card::Missing].contains(&card) {
                    return Err(StripeError::declined());
                }
            }
            other => {
                let message =
                    format!("The fake Stripe does not know the payment behavior {other}.");
                return Err(StripeError::invalid(
                    "parameter_unknown",
                    "payment_behavior",
                    &message,
                ));
            }
        }
        self.note_cancellation_details(id, p);
        self.update("customer.subscription.updated", id, |subscription| {
            subscription["metadata"] = p.metadata("/metadata", &subscription["metadata"]);
            subscription["description"] = given(p, "description", subscription);
            if p.text("/trial_settings/end_behavior/missing_payment_method").is_some() {
                subscription["trial_settings"]["end_behavior"]["missing_payment_method"] =
                    json!(missing_card(p, ""));
            }
            match p.text("/pause_collection/behavior") {
                Some(behavior) => {
                    subscription["pause_collection"] =
                        json!({ "behavior": behavior, "resumes_at": null });
                }
                None if p.text("/pause_collection") == Some("") => {
                    subscription["pause_collection"] = Value::Null;
                }
                None => {}
            }
        });
        if let Some(cancel) = cancel {
            self.set_cancel_at_period_end(id, cancel);
        }
        self.post_cancel_at(id, p)?;
        if after != *items(&subscription) || restart {
            self.change_items(id, &after, behavior, restart);
        }
        if p.text("/trial_end") == Some("now") && subscription["status"] == "trialing" {
            self.end_trial(id);
        } else if let Some(end) = trial_end {
            self.set_trial_end(id, end);
        }
        Ok(self.get(id).clone())
    }

    fn post_cancel_at(&mut self, id: &str, p: &Params) -> Result<()> {
        let ends = |world: &Self| -> Vec<i64> {
            let of = items(world.get(id));
            of.iter().map(|item| number(item, "current_period_end")).collect()
        };
        match p.text("/cancel_at") {
            None => {}
            Some("") => self.set_cancel_at(id, None),
            Some("min_period_end") => self.set_cancel_at(id, ends(self).into_iter().min()),
            Some("max_period_end") => self.set_cancel_at(id, ends(self).into_iter().max()),
            Some(_) => self.set_cancel_at(id, p.integer("/cancel_at")?),
        }
        Ok(())
    }

    /// A trial of another length, in the same or a new period.
    fn set_trial_end(&mut self, id: &str, end: i64) {
        let now = self.now;
        self.update("customer.subscription.updated", id, |subscription| {
            if subscription["status"] != "trialing" {
                subscription["trial_start"] = json!(now);
            }
            subscription["status"] = json!("trialing");
            subscription["trial_end"] = json!(end);
            subscription["billing_cycle_anchor"] = json!(end);
            subscription["_told_of_trial_end"] = json!(false);
            for item in subscription["items"]["data"].as_array_mut().unwrap() {
                item["current_period_end"] = json!(end);
            }
        });
    }

    /// The items of a subscription after the parameters: those with an id change, others come.
    fn items_after(&mut self, subscription: &Value, p: &Params) -> Result<Vec<Value>> {
        let mut after = items(subscription).clone();
        let (start, end) =
            (after[0]["current_period_start"].clone(), after[0]["current_period_end"].clone());
        for n in 0..p.items("/items").len() {
            let at = |name: &str| format!("/items/{n}/{name}");
            let quantity = p.integer(&at("quantity"))?;
            let Some(item) = p.text(&at("id")) else {
                let price = p.needed(&at("price"))?;
                self.price(price, n)?;
                let id = text(subscription, "id").to_owned();
                let mut item = self.new_item(&id, price, quantity.unwrap_or(1));
                item["current_period_start"] = start.clone();
                item["current_period_end"] = end.clone();
                after.push(item);
                continue;
            };
            let Some(place) = after.iter().position(|one| one["id"] == item) else {
                let param = format!("items[{n}][id]");
                return Err(StripeError::missing("subscription item", &param, item));
            };
            if p.flag(&at("deleted"))? == Some(true) {
                after.remove(place);
                continue;
            }
            if let Some(price) = p.text(&at("price")) {
                after[place]["price"] = self.price(price, n)?;
            }
            if let Some(quantity) = quantity {
                after[place]["quantity"] = json!(quantity);
            }
        }
        if after.is_empty() {
            return Err(StripeError::refused("A subscription must have at least one active plan."));
        }
        Ok(after)
    }
}

pub fn has_ended(subscription: &Value) -> bool {
    ["canceled", "incomplete_expired"].contains(&text(subscription, "status"))
}
