//! Subscriptions and what they charge.

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde_json::{Value, json};

use super::error::{Result, StripeError};
use super::invoices::Line;
use super::shape::Shape;
use super::world::{World, list};

pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 24 * HOUR;
/// A subscription whose first payment failed ends so long after its start.
const INCOMPLETE_SECONDS: i64 = 23 * HOUR;
/// No subscription lives longer.
const PERIODS_MAX: i64 = 10_000;

/// What pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    /// Every payment succeeds.
    Good,
    /// It is taken, and every payment fails.
    Declines,
    /// Payments are `processing` until a test settles them, as direct debits are.
    Async,
    /// There is none, as after a checkout with `payment_method_collection=if_required`.
    Missing,
}

/// What a subscription begins with.
pub struct NewSubscription {
    pub customer: String,
    /// Prices and quantities.
    pub items: Vec<(String, i64)>,
    pub trial_end: Option<i64>,
    pub metadata: Value,
    /// `trial_settings[end_behavior][missing_payment_method]`
    pub when_card_is_missing: String,
    /// It is made when the customer has paid on a page, so that it is never `incomplete`.
    pub after_payment: bool,
}

/// Something that time brings about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    ExpireSession(String),
    TrialWillEnd(String),
    EndSubscription(String),
    ExpireIncomplete(String),
    Renew(String),
    Finalize(String),
    Retry(String),
}

/// The first end of a period after `from`, counted in whole periods from the anchor.
fn period_end(anchor: i64, from: i64, recurring: &Value) -> i64 {
    let count = recurring["interval_count"].as_i64().unwrap_or(1);
    let start = Timestamp::from_second(anchor).unwrap().to_zoned(TimeZone::UTC);
    (1..PERIODS_MAX)
        .map(|n| {
            let span = match recurring["interval"].as_str() {
                Some("day") => (n * count).days(),
                Some("week") => (n * count).weeks(),
                Some("year") => (n * count).years(),
                _ => (n * count).months(),
            };
            (&start + span).timestamp().as_second()
        })
        .find(|end| *end > from)
        .unwrap()
}

/// The items of a subscription.
pub fn items(subscription: &Value) -> &Vec<Value> {
    subscription["items"]["data"].as_array().unwrap()
}

fn set_period(subscription: &mut Value, start: i64, end: i64) {
    for item in subscription["items"]["data"].as_array_mut().unwrap() {
        item["current_period_start"] = json!(start);
        item["current_period_end"] = json!(end);
    }
}

pub fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

pub fn number(object: &Value, name: &str) -> i64 {
    object[name].as_i64().unwrap_or_default()
}

impl World {
    /// The card that a customer's payments are made with.
    pub fn card(&self, customer: &str) -> Card {
        let method = text(&self.get(customer)["invoice_settings"], "default_payment_method");
        self.find(method).map_or(Card::Missing, |method| match text(method, "_card") {
            "Good" => Card::Good,
            "Declines" => Card::Declines,
            _ => Card::Async,
        })
    }

    /// Starts a subscription; `incomplete` until its first invoice is paid. Says nothing yet.
    pub fn start_subscription(&mut self, new: &NewSubscription) -> String {
        let id = self.next_id("sub");
        let now = self.now;
        let anchor = new.trial_end.unwrap_or(now);
        let recurring = self.get(&new.items[0].0)["recurring"].clone();
        let end = new.trial_end.unwrap_or_else(|| period_end(now, now, &recurring));
        let currency = self.get(&new.items[0].0)["currency"].clone();
        let parts: Vec<Value> = new
            .items
            .iter()
            .map(|(price, quantity)| self.new_item(&id, price, *quantity))
            .collect();
        let mut subscription = json!({
            "id": id, "object": "subscription", "created": now, "livemode": false,
            "automatic_tax": { "enabled": false, "disabled_reason": null, "liability": null },
            "billing_cycle_anchor": anchor, "billing_mode": { "type": "flexible" },
            "billing_schedules": [], "cancel_at": null, "cancel_at_period_end": false,
            "canceled_at": null,
            "cancellation_details": { "comment": null, "feedback": null, "reason": null },
            "collection_method": "charge_automatically", "currency": currency,
            "customer": new.customer, "default_payment_method": null, "description": null,
            "discounts": [], "ended_at": null,
            "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
            "items": list(&format!("/v1/subscription_items?subscription={id}"), json!(parts)),
            "latest_invoice": null, "metadata": new.metadata, "pause_collection": null,
            "start_date": now, "status": "incomplete",
            "trial_start": new.trial_end.map(|_| now), "trial_end": new.trial_end,
            "trial_settings": {
                "end_behavior": { "missing_payment_method": new.when_card_is_missing },
            },
            "_pending": [], "_told_of_trial_end": new.trial_end.is_none(),
        });
        if new.trial_end.is_some() {
            subscription["status"] = json!("trialing");
        } else if new.after_payment && self.shape == Shape::New {
            subscription["status"] = json!("active");
        }
        set_period(&mut subscription, now, end);
        self.add(subscription)
    }

    pub fn new_item(&mut self, subscription: &str, price: &str, quantity: i64) -> Value {
        json!({
            "id": self.next_id("si"), "object": "subscription_item", "created": self.now,
            "current_period_start": self.now, "current_period_end": self.now, "discounts": [],
            "metadata": {}, "price": self.get(price), "quantity": quantity,
            "subscription": subscription, "tax_rates": [],
        })
    }

    /// The first invoice: finalized at once, and not yet paid.
    pub fn first_invoice(&mut self, subscription: &str) -> String {
        let lines = full_lines(self.get(subscription));
        let invoice = self.make_invoice(subscription, "subscription_create", &lines);
        self.emit("invoice.created", &invoice);
        self.finalize(&invoice);
        invoice
    }

    pub fn set_status(&mut self, subscription: &str, status: &str) {
        self.update("customer.subscription.updated", subscription, |subscription| {
            subscription["status"] = json!(status);
        });
    }

    /// Ends a subscription now.
    pub fn end_subscription(&mut self, subscription: &str, reason: &str) {
        let now = self.now;
        self.change(subscription, |subscription| {
            subscription["status"] = json!("canceled");
            subscription["ended_at"] = json!(now);
            if subscription["canceled_at"].is_null() {
                subscription["canceled_at"] = json!(now);
                subscription["cancellation_details"]["reason"] = json!(reason);
            }
        });
        self.stop_collecting(subscription);
        self.emit("customer.subscription.deleted", subscription);
    }

    /// Lets a subscription go on to the end of its period, or no longer.
    pub fn set_cancel_at_period_end(&mut self, subscription: &str, cancel: bool) {
        let now = self.now;
        self.update("customer.subscription.updated", subscription, |subscription| {
            let end =
                items(subscription).iter().map(|item| number(item, "current_period_end")).min();
            subscription["cancel_at_period_end"] = json!(cancel);
            subscription["cancel_at"] = if cancel { json!(end) } else { Value::Null };
            note_cancellation(subscription, now, cancel);
        });
    }

    /// Ends a subscription at a time, which need not be the end of a period.
    pub fn set_cancel_at(&mut self, subscription: &str, time: Option<i64>) {
        let now = self.now;
        self.update("customer.subscription.updated", subscription, |subscription| {
            subscription["cancel_at"] = json!(time);
            subscription["cancel_at_period_end"] = json!(false);
            note_cancellation(subscription, now, time.is_some());
        });
    }

    /// The period is over: the next one begins, and its invoice is a draft for an hour.
    fn renew(&mut self, id: &str) {
        let subscription = self.get(id).clone();
        let trial_ends = subscription["status"] == "trialing";
        if trial_ends && self.card(text(&subscription, "customer")) == Card::Missing {
            let behavior = &subscription["trial_settings"]["end_behavior"];
            match text(behavior, "missing_payment_method") {
                "cancel" => return self.end_subscription(id, "payment_failed"),
                "pause" => return self.pause(id),
                _ => {}
            }
        }
        let start = number(&items(&subscription)[0], "current_period_end");
        let before = self.begin_period(id, start);
        let lines = full_lines(self.get(id));
        let invoice = self.make_invoice(id, "subscription_cycle", &lines);
        let at = self.now + HOUR;
        let stays_draft = subscription["status"] == "unpaid"
            || subscription["pause_collection"]["behavior"] == "keep_as_draft";
        self.change(&invoice, |invoice| {
            invoice["auto_advance"] = json!(!stays_draft);
            invoice["automatically_finalizes_at"] = json!((!stays_draft).then_some(at));
            invoice["period_start"] = items(&subscription)[0]["current_period_start"].clone();
            invoice["period_end"] = json!(start);
        });
        self.emit_changed("customer.subscription.updated", id, &before);
        self.emit("invoice.created", &invoice);
    }

    /// Begins a period; a trial or a pause is over. Says nothing yet; returns how the subscription was.
    fn begin_period(&mut self, id: &str, start: i64) -> Value {
        self.change(id, |subscription| {
            if ["trialing", "paused"].contains(&text(subscription, "status")) {
                subscription["status"] = json!("active");
            }
            let anchor = number(subscription, "billing_cycle_anchor");
            let end = period_end(anchor, start, &items(subscription)[0]["price"]["recurring"]);
            set_period(subscription, start, end);
        })
    }

    /// Begins a period now, and with it a new count of periods; its invoice is collected at once.
    pub fn restart_period(&mut self, id: &str, before: &Value, reason: &str) {
        let now = self.now;
        self.change(id, |subscription| subscription["billing_cycle_anchor"] = json!(now));
        self.begin_period(id, now);
        let lines = full_lines(self.get(id));
        let invoice = self.make_invoice(id, reason, &lines);
        self.emit_changed("customer.subscription.updated", id, before);
        self.emit("invoice.created", &invoice);
        self.finalize(&invoice);
        self.collect(&invoice);
    }

    /// Stops a subscription without ending it.
    pub fn pause(&mut self, id: &str) {
        self.set_status(id, "paused");
        self.emit("customer.subscription.paused", id);
    }

    /// Goes on with a paused subscription, in a period that begins now.
    pub fn resume(&mut self, id: &str) -> Result<()> {
        let before = self.get(id).clone();
        if before["status"] != "paused" {
            return Err(StripeError::refused("This subscription is not paused."));
        }
        self.restart_period(id, &before, "subscription_update");
        self.emit("customer.subscription.resumed", id);
        Ok(())
    }

    /// Ends a trial now.
    pub fn end_trial(&mut self, id: &str) {
        let now = self.now;
        let before = self.change(id, |subscription| {
            subscription["trial_end"] = json!(now);
            subscription["_told_of_trial_end"] = json!(true);
        });
        self.emit("customer.subscription.trial_will_end", id);
        if self.card(text(&before, "customer")) == Card::Missing
            && text(&before["trial_settings"]["end_behavior"], "missing_payment_method") == "pause"
        {
            return self.pause(id);
        }
        self.restart_period(id, &before, "subscription_update");
    }

    /// Does everything that is due up to a time, each in its turn and at its time.
    pub fn advance_to(&mut self, time: i64) {
        self.read_clock();
        while let Some((at, due)) = self.next_due(time) {
            self.move_clock(at);
            match due {
                Due::ExpireSession(id) => self.expire_session(&id),
                Due::TrialWillEnd(id) => {
                    self.change(&id, |subscription| {
                        subscription["_told_of_trial_end"] = json!(true);
                    });
                    self.emit("customer.subscription.trial_will_end", &id);
                }
                Due::EndSubscription(id) => self.end_subscription(&id, "cancellation_requested"),
                Due::ExpireIncomplete(id) => {
                    self.stop_collecting(&id);
                    self.set_status(&id, "incomplete_expired");
                }
                Due::Renew(id) => self.renew(&id),
                Due::Finalize(id) => {
                    self.finalize(&id);
                    self.collect(&id);
                }
                Due::Retry(id) => {
                    self.collect(&id);
                }
            }
        }
        self.move_clock(time);
    }

    /// The next thing that time brings about, up to a time.
    fn next_due(&self, until: i64) -> Option<(i64, Due)> {
        self.all().flat_map(dues).filter(|(at, _)| *at <= until).min()
    }
}

/// What the current period of a subscription costs in full; nothing on trial.
fn full_lines(subscription: &Value) -> Vec<Line> {
    let on_trial = subscription["status"] == "trialing";
    let line = |item: &Value| Line {
        item: text(item, "id").to_owned(),
        price: text(&item["price"], "id").to_owned(),
        quantity: number(item, "quantity"),
        amount: if on_trial {
            0
        } else {
            number(&item["price"], "unit_amount") * number(item, "quantity")
        },
        start: number(item, "current_period_start"),
        end: number(item, "current_period_end"),
        proration: false,
    };
    items(subscription).iter().map(line).collect()
}

fn note_cancellation(subscription: &mut Value, now: i64, canceled: bool) {
    subscription["canceled_at"] = if canceled { json!(now) } else { Value::Null };
    subscription["cancellation_details"]["reason"] =
        if canceled { json!("cancellation_requested") } else { Value::Null };
}

/// What time brings about of an object.
fn dues(object: &Value) -> Vec<(i64, Due)> {
    let id = text(object, "id").to_owned();
    match (text(object, "object"), text(object, "status")) {
        ("checkout.session", "open") => {
            vec![(number(object, "expires_at"), Due::ExpireSession(id))]
        }
        ("subscription", "incomplete") => {
            vec![(number(object, "created") + INCOMPLETE_SECONDS, Due::ExpireIncomplete(id))]
        }
        ("subscription", "trialing" | "active" | "past_due" | "unpaid" | "paused") => {
            let mut dues = Vec::new();
            if let Some(at) = object["cancel_at"].as_i64() {
                dues.push((at, Due::EndSubscription(id.clone())));
            }
            if object["_told_of_trial_end"] == false {
                let at = number(object, "trial_end") - 3 * DAY;
                dues.push((at, Due::TrialWillEnd(id.clone())));
            }
            if object["status"] != "paused" {
                let end = number(&items(object)[0], "current_period_end");
                dues.push((end, Due::Renew(id)));
            }
            dues
        }
        ("invoice", "draft") => {
            let at = object["automatically_finalizes_at"].as_i64();
            at.map(|at| (at, Due::Finalize(id))).into_iter().collect()
        }
        ("invoice", "open") => {
            let at = object["next_payment_attempt"].as_i64();
            at.map(|at| (at, Due::Retry(id))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
