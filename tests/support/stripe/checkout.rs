//! Checkout sessions, and the pages on which customers pay.

use serde_json::{Value, json};

use super::billing::{Card, DAY, HOUR, NewSubscription, number, text};
use super::error::{Result, StripeError};
use super::form::Params;
use super::payments::Sale;
use super::world::World;

const KNOWN: [&str; 22] = [
    "allow_promotion_codes",
    "automatic_tax",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "currency",
    "custom_text",
    "customer",
    "customer_email",
    "customer_update",
    "expires_at",
    "line_items",
    "locale",
    "metadata",
    "mode",
    "payment_intent_data",
    "payment_method_collection",
    "payment_method_types",
    "subscription_data",
    "success_url",
    "tax_id_collection",
];

impl World {
    pub fn create_session(&mut self, p: &Params) -> Result<Value> {
        p.only(&KNOWN)?;
        let mode = p.needed("/mode")?;
        p.needed("/success_url")?;
        let customer = self.referred("customer", p, "customer")?;
        let items = self.session_items(p, mode)?;
        self.check_session(p, customer.as_deref())?;
        let expires_at = p.integer("/expires_at")?.unwrap_or(self.now + 24 * HOUR);
        let latest = if self.is_behind { i64::MAX } else { self.now + 24 * HOUR };
        if !(self.now + HOUR / 2..=latest).contains(&expires_at) {
            let message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.";
            return Err(StripeError::invalid("parameter_invalid_integer", "expires_at", message));
        }
        let trial_end = self.trial_end(p, "/subscription_data")?;
        let total: i64 = items.iter().map(|item| number(item, "amount_total")).sum();
        let total = if trial_end.is_some() { 0 } else { total };
        let collection = p.text("/payment_method_collection").unwrap_or("always");
        let id = self.next_id("cs_test");
        let shown = self.add(json!({
            "id": id, "object": "checkout.session", "created": self.now, "livemode": false,
            "allow_promotion_codes": p.flag("/allow_promotion_codes")?,
            "amount_subtotal": total, "amount_total": total,
            "automatic_tax": {
                "enabled": p.flag("/automatic_tax/enabled")?.unwrap_or(false),
                "liability": null, "provider": null, "status": null,
            },
            "cancel_url": p.text("/cancel_url"),
            "client_reference_id": p.text("/client_reference_id"),
            "currency": items[0]["currency"], "custom_fields": [],
            "custom_text": { "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null },
            "customer": customer,
            "customer_creation": if customer.is_some() { Value::Null } else { json!("always") },
            "customer_details": null, "customer_email": p.text("/customer_email"),
            "expires_at": expires_at, "invoice": null, "locale": p.text("/locale"),
            "metadata": p.metadata("/metadata", &Value::Null), "mode": mode,
            "payment_intent": null, "payment_link": null,
            "payment_method_collection": if mode == "subscription" { json!(collection) } else { Value::Null },
            "payment_method_types": ["card"], "payment_status": "unpaid",
            "setup_intent": null, "shipping_options": [], "status": "open",
            "subscription": null, "success_url": p.text("/success_url"),
            "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
            "ui_mode": "hosted_page",
            "url": format!("https://checkout.stripe.com/c/pay/{id}"),
            "_items": items, "_trial_end": trial_end,
            "_subscription_metadata": p.metadata("/subscription_data/metadata", &Value::Null),
            "_when_card_is_missing": missing_card(p, "/subscription_data"),
        }));
        Ok(self.get(&shown).clone())
    }

    fn session_items(&mut self, p: &Params, mode: &str) -> Result<Vec<Value>> {
        let count = p.items("/line_items").len();
        if count == 0 {
            p.needed("/line_items")?;
        }
        let mut items = Vec::new();
        for n in 0..count {
            let id = p.needed(&format!("/line_items/{n}/price"))?;
            let quantity = p.integer(&format!("/line_items/{n}/quantity"))?.unwrap_or(1);
            let Some(price) = self.find(id).filter(|price| price["object"] == "price").cloned()
            else {
                return Err(StripeError::missing("price", &format!("line_items[{n}][price]"), id));
            };
            if mode == "subscription" && price["type"] != "recurring" && count == 1 {
                return Err(StripeError::refused(
                    "You must provide at least one recurring price in `subscription` mode.",
                ));
            }
            let total = number(&price, "unit_amount") * quantity;
            items.push(json!({
                "id": self.next_id("li"), "object": "item", "amount_discount": 0,
                "amount_subtotal": total, "amount_tax": 0, "amount_total": total,
                "currency": price["currency"], "description": null, "price": price,
                "quantity": quantity,
            }));
        }
        Ok(items)
    }

    fn check_session(&self, p: &Params, customer: Option<&str>) -> Result<()> {
        if p.text("/client_reference_id").is_some_and(|id| id.len() > 200) {
            let message = "Invalid string: must be at most 200 characters";
            return Err(StripeError::invalid(
                "parameter_invalid_string",
                "client_reference_id",
                message,
            ));
        }
        let without_address = customer.is_some_and(|id| self.get(id)["address"].is_null());
        if p.flag("/automatic_tax/enabled")? == Some(true)
            && without_address
            && p.text("/customer_update/address") != Some("auto")
        {
            let message =
                "Automatic tax calculation in Checkout requires a valid address on the Customer.";
            return Err(StripeError::invalid(
                "customer_tax_location_invalid",
                "automatic_tax",
                message,
            ));
        }
        Ok(())
    }

    /// When a trial ends that parameters ask for, by a time or a number of days.
    pub fn trial_end(&self, p: &Params, place: &str) -> Result<Option<i64>> {
        if let Some(days) = p.integer(&format!("{place}/trial_period_days"))? {
            if days < 1 {
                let message = "Trial periods must be at least 1 day.";
                return Err(StripeError::invalid(
                    "parameter_invalid_integer",
                    "trial_period_days",
                    message,
                ));
            }
            return Ok(Some(self.now + days * DAY));
        }
        let end = p.integer(&format!("{place}/trial_end"))?;
        if place == "/subscription_data" && end.is_some_and(|end| end < self.now + 2 * DAY) {
            let message = "The `trial_end` date has to be at least 2 days in the future.";
            return Err(StripeError::invalid(
                "parameter_invalid_integer",
                "subscription_data[trial_end]",
                message,
            ));
        }
        Ok(end)
    }

    /// Expires a session because somebody wants it.
    pub fn expire_open_session(&mut self, id: &str) -> Result<()> {
        let status = text(self.look_up("checkout.session", id)?, "status");
        if status != "open" {
            let message = format!(
                "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of {status}."
            );
            return Err(StripeError::refused(&message));
        }
        self.expire_session(id);
        Ok(())
    }

    pub fn expire_session(&mut self, id: &str) {
        self.change(id, |session| {
            session["status"] = json!("expired");
            session["url"] = Value::Null;
        });
        self.emit("checkout.session.expired", id);
    }

    /// The customer pays on the page. False when the card was declined: the session stays open.
    pub fn complete_session(&mut self, id: &str, card: Card) -> bool {
        let session = self.get(id).clone();
        assert_eq!(session["status"], "open", "nobody can pay on the page of {id}");
        let amount = number(&session, "amount_total");
        if card == Card::Missing {
            let optional = session["payment_method_collection"] == "if_required" && amount == 0;
            assert!(optional, "{id} asks for a card");
        }
        let customer = match session["customer"].as_str() {
            Some(customer) => customer.to_owned(),
            None if session["mode"] == "payment" => String::new(),
            None => self.create_customer(&json!({ "email": session["customer_email"] })),
        };
        if card == Card::Declines && amount > 0 {
            let sale = Sale { customer: &customer, amount, currency: text(&session, "currency") };
            let intent = self.make_payment_intent(&sale);
            self.charge_fails(&intent);
            return false;
        }
        if !customer.is_empty() {
            self.set_card(&customer, card);
        }
        let details = self.find(&customer).map(|customer| {
            json!({
                "address": customer["address"], "email": customer["email"],
                "name": customer["name"], "phone": null, "tax_exempt": "none", "tax_ids": null,
            })
        });
        if session["mode"] == "payment" {
            self.pay_once(&session, &customer, card);
        } else {
            self.subscribe(&session, &customer);
        }
        self.change(id, |session| {
            session["status"] = json!("complete");
            session["url"] = Value::Null;
            session["customer_details"] = json!(details);
            if !customer.is_empty() {
                session["customer"] = json!(customer);
            }
            session["payment_status"] = json!(match card {
                _ if amount == 0 => "no_payment_required",
                Card::Async => "unpaid",
                _ => "paid",
            });
        });
        self.emit("checkout.session.completed", id);
        true
    }

    fn pay_once(&mut self, session: &Value, customer: &str, card: Card) {
        let sale = Sale {
            customer,
            amount: number(session, "amount_total"),
            currency: text(session, "currency"),
        };
        let intent = self.make_payment_intent(&sale);
        if card == Card::Async {
            self.change(&intent, |intent| intent["status"] = json!("processing"));
        } else {
            self.charge_succeeds(&intent);
        }
        self.change(text(session, "id"), |session| session["payment_intent"] = json!(intent));
    }

    fn subscribe(&mut self, session: &Value, customer: &str) {
        let item = |item: &Value| (text(&item["price"], "id").to_owned(), number(item, "quantity"));
        let new = NewSubscription {
            customer: customer.to_owned(),
            items: session["_items"].as_array().unwrap().iter().map(item).collect(),
            trial_end: session["_trial_end"].as_i64(),
            metadata: session["_subscription_metadata"].clone(),
            when_card_is_missing: text(session, "_when_card_is_missing").to_owned(),
            after_payment: true,
        };
        let (subscription, invoice) = self.begin_subscription(&new);
        self.change(text(session, "id"), |session| {
            session["subscription"] = json!(subscription);
            session["invoice"] = json!(invoice);
        });
    }

    /// Starts a subscription with its first invoice, and collects it.
    pub fn begin_subscription(&mut self, new: &NewSubscription) -> (String, String) {
        let subscription = self.start_subscription(new);
        self.emit("customer.subscription.created", &subscription);
        let invoice = self.first_invoice(&subscription);
        self.collect(&invoice);
        (subscription, invoice)
    }

    /// What becomes of a session's payment that was processing.
    pub fn settle_session(&mut self, id: &str, succeeds: bool) {
        let session = self.get(id).clone();
        match session["invoice"].as_str() {
            Some(invoice) => self.settle_invoice(invoice, succeeds),
            None if succeeds => {
                self.charge_succeeds(text(&session, "payment_intent"));
            }
            None => self.charge_fails(text(&session, "payment_intent")),
        }
        if succeeds {
            self.change(id, |session| session["payment_status"] = json!("paid"));
            self.emit("checkout.session.async_payment_succeeded", id);
        } else {
            self.emit("checkout.session.async_payment_failed", id);
        }
    }
}

/// `trial_settings[end_behavior][missing_payment_method]`
pub fn missing_card(p: &Params, place: &str) -> String {
    let place = format!("{place}/trial_settings/end_behavior/missing_payment_method");
    p.text(&place).unwrap_or("create_invoice").to_owned()
}
