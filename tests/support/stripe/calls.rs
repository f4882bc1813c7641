//! The calls of the API.

use serde_json::{Value, json};

use super::billing::{Card, DAY, number, text};
use super::error::{Result, StripeError};
use super::form::Params;
use super::subscription_calls::has_ended;
use super::world::World;

/// What every list can be asked for.
pub const LIST: [&str; 4] = ["limit", "starting_after", "ending_before", "created"];

/// Answers a call by its method and the parts of its path after `/v1/`.
pub fn answer(world: &mut World, method: &str, path: &[&str], p: &Params) -> Result<Value> {
    let find = |world: &World, kind: &str, id: &str| world.look_up(kind, id).cloned();
    match (method, path) {
        ("GET", ["account"]) => Ok(account()),
        ("POST", ["customers"]) => world.post_customer(p),
        ("GET", ["customers"]) => world.list("customer", "/v1/customers", p, &["email"]),
        ("GET", ["customers", id]) => find(world, "customer", id),
        ("POST", ["customers", id]) => world.post_to_customer(id, p),
        ("DELETE", ["customers", id]) => {
            world.live_customer(id)?;
            world.delete_customer(id);
            find(world, "customer", id)
        }
        ("POST", ["products"]) => world.post_product(p),
        ("GET", ["products"]) => world.list("product", "/v1/products", p, &["active"]),
        ("GET", ["products", id]) => find(world, "product", id),
        ("POST", ["prices"]) => world.post_price(p),
        ("GET", ["prices"]) => world.list_prices(p),
        ("GET", ["prices", id]) => find(world, "price", id),
        ("POST", ["payment_methods"]) => world.post_payment_method(p),
        ("POST", ["checkout", "sessions"]) => world.create_session(p),
        ("GET", ["checkout", "sessions"]) => {
            let known = ["customer", "status", "subscription", "payment_intent"];
            world.list("checkout.session", "/v1/checkout/sessions", p, &known)
        }
        ("GET", ["checkout", "sessions", id] | ["payment_pages", id]) => {
            find(world, "checkout.session", id)
        }
        ("POST", ["checkout", "sessions", id, "expire"]) => {
            world.expire_open_session(id)?;
            find(world, "checkout.session", id)
        }
        ("POST", ["payment_pages", id, "confirm"]) => world.confirm_page(id, p),
        ("POST", ["billing_portal", "sessions"]) => world.post_portal_session(p),
        ("POST", ["subscriptions"]) => world.post_subscription(p),
        ("GET", ["subscriptions"]) => world.list_subscriptions(p),
        ("GET", ["subscriptions", id]) => find(world, "subscription", id),
        ("POST", ["subscriptions", id]) => world.post_to_subscription(id, p),
        ("DELETE", ["subscriptions", id]) => {
            p.only(&["invoice_now", "prorate", "cancellation_details"])?;
            if find(world, "subscription", id)?["status"] == "canceled" {
                return Err(StripeError::not_found("subscription", id));
            }
            world.note_cancellation_details(id, p);
            world.end_subscription(id, "cancellation_requested");
            find(world, "subscription", id)
        }
        ("POST", ["subscriptions", id, "resume"]) => {
            p.only(&["billing_cycle_anchor", "proration_behavior"])?;
            find(world, "subscription", id)?;
            world.resume(id)?;
            find(world, "subscription", id)
        }
        ("GET", ["invoices"]) => world.list_invoices(p),
        ("GET", ["invoices", id]) => find(world, "invoice", id),
        ("POST", ["invoices", id, "pay"]) => {
            p.only(&["paid_out_of_band", "payment_method"])?;
            find(world, "invoice", id)?;
            world.pay(id, p.flag("/paid_out_of_band")? == Some(true))?;
            find(world, "invoice", id)
        }
        ("GET", ["invoice_payments"]) => world.list_invoice_payments(p),
        ("GET", ["payment_intents", id]) => find(world, "payment_intent", id),
        ("GET", ["charges"]) => {
            world.list("charge", "/v1/charges", p, &["customer", "payment_intent"])
        }
        ("GET", ["charges", id]) => find(world, "charge", id),
        ("POST", ["refunds"]) => world.post_refund(p),
        ("GET", ["refunds", id]) => find(world, "refund", id),
        ("GET", ["disputes", id]) => find(world, "dispute", id),
        ("GET", ["events"]) => world.list_events(p),
        ("GET", ["events", id]) => {
            let event = world.events.iter().find(|event| event["id"] == *id);
            event.cloned().ok_or_else(|| StripeError::not_found("event", id))
        }
        _ => {
            let message = format!("Unrecognized request URL ({method}: /v1/{}).", path.join("/"));
            Err(StripeError::refused(&message).status(404))
        }
    }
}

fn account() -> Value {
    json!({
        "id": "acct_000001", "object": "account", "charges_enabled": true, "country": "US",
        "default_currency": "usd", "details_submitted": true, "email": "vendor@example.com",
        "payouts_enabled": true, "type": "standard",
    })
}

/// A parameter, or what was there before when it is not given; an empty one is null.
pub fn given(p: &Params, name: &str, otherwise: &Value) -> Value {
    match p.at(&format!("/{name}")) {
        None => otherwise[name].clone(),
        Some(value) if value == "" => Value::Null,
        Some(value) => value.clone(),
    }
}

impl World {
    /// Objects of a kind that are as the given members say, a page at a time.
    fn list(&self, kind: &str, url: &str, p: &Params, members: &[&str]) -> Result<Value> {
        p.only(&[&LIST[..], members].concat())?;
        let fits = |object: &&Value| {
            object["deleted"] != true
                && members.iter().all(|name| match p.text(&format!("/{name}")) {
                    None => true,
                    Some("true") => object[*name] == true,
                    Some("false") => object[*name] == false,
                    Some(wanted) => object[*name] == wanted,
                })
        };
        Self::page(p, url, self.of_kind(kind).rev().filter(fits))
    }

    // ---- customers ----

    /// A new customer with what of `email`, `name`, `address` and `metadata` is given.
    pub fn create_customer(&mut self, fields: &Value) -> String {
        let id = self.next_id("cus");
        let metadata =
            if fields["metadata"].is_null() { json!({}) } else { fields["metadata"].clone() };
        self.add(json!({
            "id": id, "object": "customer", "created": self.now, "livemode": false,
            "address": fields["address"], "balance": 0, "currency": null, "default_source": null,
            "delinquent": false, "description": fields["description"], "discount": null,
            "email": fields["email"], "invoice_prefix": "FAKE",
            "invoice_settings": { "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null },
            "metadata": metadata, "name": fields["name"], "phone": fields["phone"],
            "preferred_locales": [], "shipping": null, "tax_exempt": "none", "test_clock": null,
        }));
        self.emit("customer.created", &id);
        id
    }

    fn post_customer(&mut self, p: &Params) -> Result<Value> {
        p.only(&[
            "address",
            "description",
            "email",
            "invoice_settings",
            "metadata",
            "name",
            "payment_method",
            "phone",
            "preferred_locales",
            "tax_id_data",
        ])?;
        let mut fields = json!({ "metadata": p.metadata("/metadata", &Value::Null) });
        for name in ["address", "description", "email", "name", "phone"] {
            fields[name] = given(p, name, &Value::Null);
        }
        let id = self.create_customer(&fields);
        if let Some(method) = p.text("/payment_method") {
            self.set_card(&id, card_of_token(method));
        }
        Ok(self.get(&id).clone())
    }

    fn live_customer(&self, id: &str) -> Result<Value> {
        let customer = self.look_up("customer", id)?;
        if customer["deleted"] == true {
            return Err(StripeError::not_found("customer", id));
        }
        Ok(customer.clone())
    }

    fn post_to_customer(&mut self, id: &str, p: &Params) -> Result<Value> {
        let known = ["address", "description", "email", "name", "phone"];
        p.only(&[&known[..], &["metadata"]].concat())?;
        self.live_customer(id)?;
        self.update("customer.updated", id, |customer| {
            for name in known {
                customer[name] = given(p, name, customer);
            }
            customer["metadata"] = p.metadata("/metadata", &customer["metadata"]);
        });
        Ok(self.get(id).clone())
    }

    /// A customer goes, and with them at once what they subscribed to.
    pub fn delete_customer(&mut self, id: &str) {
        let live: Vec<String> = self
            .of_kind("subscription")
            .filter(|subscription| subscription["customer"] == id && !has_ended(subscription))
            .map(|subscription| text(subscription, "id").to_owned())
            .collect();
        for subscription in live {
            self.end_subscription(&subscription, "cancellation_requested");
        }
        self.emit("customer.deleted", id);
        self.change(id, |customer| {
            *customer = json!({ "id": id, "object": "customer", "deleted": true });
        });
    }

    /// The customer's payments are made with this card from now on.
    pub fn set_card(&mut self, customer: &str, card: Card) {
        let method = (card != Card::Missing).then(|| {
            let id = self.next_id("pm");
            self.add_payment_method(&id, Some(customer), card);
            self.emit("payment_method.attached", &id);
            id
        });
        self.update("customer.updated", customer, |customer| {
            customer["invoice_settings"]["default_payment_method"] = json!(method);
        });
    }

    fn add_payment_method(&mut self, id: &str, customer: Option<&str>, card: Card) {
        self.add(json!({
            "id": id, "object": "payment_method", "created": self.now, "livemode": false,
            "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
            "card": {
                "brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2040,
                "funding": "credit", "last4": if card == Card::Declines { "0341" } else { "4242" },
            },
            "customer": customer, "metadata": {}, "type": "card", "_card": format!("{card:?}"),
        }));
    }

    fn post_payment_method(&mut self, p: &Params) -> Result<Value> {
        p.only(&["type", "card", "billing_details", "metadata"])?;
        let card = card_of_token(p.text("/card/token").unwrap_or("tok_visa"));
        let id = self.next_id("pm");
        self.add_payment_method(&id, None, card);
        Ok(self.get(&id).clone())
    }

    fn confirm_page(&mut self, id: &str, p: &Params) -> Result<Value> {
        self.look_up("checkout.session", id)?;
        let method = self.look_up("payment_method", p.needed("/payment_method")?)?;
        let card = if method["_card"] == "Declines" { Card::Declines } else { Card::Good };
        if !self.complete_session(id, card) {
            return Err(StripeError::declined());
        }
        Ok(self.get(id).clone())
    }

    // ---- products and prices ----

    fn post_product(&mut self, p: &Params) -> Result<Value> {
        p.only(&["name", "description", "active", "metadata"])?;
        let active = p.flag("/active")?.unwrap_or(true);
        let id = self.add_product(p.needed("/name")?);
        self.change(&id, |product| {
            product["active"] = json!(active);
            product["description"] = json!(p.text("/description"));
            product["metadata"] = p.metadata("/metadata", &Value::Null);
        });
        self.emit("product.created", &id);
        Ok(self.get(&id).clone())
    }

    /// A new product. Says nothing yet.
    pub fn add_product(&mut self, name: &str) -> String {
        let id = self.next_id("prod");
        self.add(json!({
            "id": id, "object": "product", "created": self.now, "livemode": false,
            "active": true, "default_price": null, "description": null, "images": [],
            "marketing_features": [], "metadata": {}, "name": name, "package_dimensions": null,
            "shippable": null, "statement_descriptor": null, "tax_code": null,
            "unit_label": null, "updated": self.now, "url": null,
        }))
    }

    fn post_price(&mut self, p: &Params) -> Result<Value> {
        p.only(&[
            "currency",
            "product",
            "unit_amount",
            "recurring",
            "metadata",
            "lookup_key",
            "nickname",
            "tax_behavior",
            "active",
        ])?;
        let currency = p.needed("/currency")?.to_owned();
        p.needed("/product")?;
        let product = self.referred("product", p, "product")?.unwrap();
        p.needed("/unit_amount")?;
        let unit_amount = p.integer("/unit_amount")?.unwrap();
        let recurring = match p.text("/recurring/interval") {
            None => Value::Null,
            Some(interval) => json!({
                "interval": interval,
                "interval_count": p.integer("/recurring/interval_count")?.unwrap_or(1),
                "meter": null, "usage_type": "licensed",
            }),
        };
        let id = self.add_price(&product, &currency, unit_amount, &recurring);
        self.change(&id, |price| {
            price["active"] = json!(p.text("/active") != Some("false"));
            price["lookup_key"] = json!(p.text("/lookup_key"));
            price["metadata"] = p.metadata("/metadata", &Value::Null);
            price["nickname"] = json!(p.text("/nickname"));
            price["tax_behavior"] = json!(p.text("/tax_behavior").unwrap_or("unspecified"));
        });
        self.emit("price.created", &id);
        Ok(self.get(&id).clone())
    }

    /// A new price. Says nothing yet.
    pub fn add_price(
        &mut self,
        product: &str,
        currency: &str,
        unit_amount: i64,
        recurring: &Value,
    ) -> String {
        let id = self.next_id("price");
        self.add(json!({
            "id": id, "object": "price", "created": self.now, "livemode": false,
            "active": true, "billing_scheme": "per_unit", "currency": currency,
            "custom_unit_amount": null, "lookup_key": null, "metadata": {}, "nickname": null,
            "product": product, "tax_behavior": "unspecified", "tiers_mode": null,
            "transform_quantity": null,
            "type": if recurring.is_null() { "one_time" } else { "recurring" },
            "unit_amount": unit_amount, "unit_amount_decimal": unit_amount.to_string(),
            "recurring": recurring,
        }))
    }

    fn list_prices(&self, p: &Params) -> Result<Value> {
        let known = ["product", "active", "currency", "type", "lookup_keys", "recurring"];
        p.only(&[&LIST[..], &known].concat())?;
        let keys = p.texts("/lookup_keys");
        let fits = |price: &&Value| {
            p.text("/product").is_none_or(|product| price["product"] == product)
                && p.text("/currency").is_none_or(|currency| price["currency"] == currency)
                && p.text("/type").is_none_or(|kind| price["type"] == kind)
                && p.text("/active").is_none_or(|active| price["active"] == (active == "true"))
                && p.text("/recurring/interval")
                    .is_none_or(|interval| price["recurring"]["interval"] == interval)
                && (keys.is_empty() || keys.contains(&text(price, "lookup_key")))
        };
        Self::page(p, "/v1/prices", self.of_kind("price").rev().filter(fits))
    }

    // ---- the portal ----

    fn post_portal_session(&mut self, p: &Params) -> Result<Value> {
        p.only(&["customer", "return_url", "configuration", "flow_data", "locale"])?;
        p.needed("/customer")?;
        let customer = self.referred("customer", p, "customer")?;
        let id = self.next_id("bps");
        let flow = p.text("/flow_data/type").map(|kind| {
            json!({
                "type": kind,
                "after_completion": { "type": "portal_homepage", "hosted_confirmation": null, "redirect": null },
                "subscription_cancel": given_flow(p, "subscription_cancel"),
                "subscription_update": given_flow(p, "subscription_update"),
                "subscription_update_confirm": null,
            })
        });
        self.add(json!({
            "id": id, "object": "billing_portal.session", "created": self.now, "livemode": false,
            "configuration": p.text("/configuration").unwrap_or("bpc_000001"),
            "customer": customer, "flow": flow, "locale": p.text("/locale"), "on_behalf_of": null,
            "return_url": p.text("/return_url"),
            "url": format!("https://billing.stripe.com/p/session/{id}"),
        }));
        Ok(self.get(&id).clone())
    }

    // ---- invoices, payments, events ----

    fn list_invoices(&self, p: &Params) -> Result<Value> {
        p.only(&[&LIST[..], &["customer", "status", "subscription"]].concat())?;
        let fits = |invoice: &&Value| {
            let subscription = &invoice["parent"]["subscription_details"]["subscription"];
            p.text("/customer").is_none_or(|customer| invoice["customer"] == customer)
                && p.text("/status").is_none_or(|status| invoice["status"] == status)
                && p.text("/subscription").is_none_or(|wanted| subscription == wanted)
        };
        Self::page(p, "/v1/invoices", self.of_kind("invoice").rev().filter(fits))
    }

    fn list_invoice_payments(&self, p: &Params) -> Result<Value> {
        p.only(&[&LIST[..], &["invoice", "payment", "status"]].concat())?;
        let fits = |payment: &&Value| {
            p.text("/invoice").is_none_or(|invoice| payment["invoice"] == invoice)
                && p.text("/status").is_none_or(|status| payment["status"] == status)
                && p.text("/payment/payment_intent")
                    .is_none_or(|intent| payment["payment"]["payment_intent"] == intent)
        };
        let payments = self.of_kind("invoice_payment").rev().filter(fits);
        Self::page(p, "/v1/invoice_payments", payments)
    }

    fn post_refund(&mut self, p: &Params) -> Result<Value> {
        p.only(&["charge", "payment_intent", "amount", "reason", "metadata"])?;
        let charge = if let Some(intent) = self.referred("payment_intent", p, "payment_intent")? {
            text(self.get(&intent), "latest_charge").to_owned()
        } else {
            p.needed("/charge")?;
            self.referred("charge", p, "charge")?.unwrap()
        };
        let refund = self.refund(&charge, p.integer("/amount")?, p.text("/reason"))?;
        self.change(&refund, |refund| refund["metadata"] = p.metadata("/metadata", &Value::Null));
        Ok(self.get(&refund).clone())
    }

    fn list_events(&self, p: &Params) -> Result<Value> {
        p.only(&[&LIST[..], &["type", "types", "delivery_success"]].concat())?;
        let types = p.texts("/types");
        if types.len() > 20 || (!types.is_empty() && p.text("/type").is_some()) {
            let message = "You may pass up to 20 types, or one type, not both.";
            return Err(StripeError::invalid("parameter_invalid", "types", message));
        }
        let delivered = p.flag("/delivery_success")?;
        let fits = |event: &&Value| {
            let kind = text(event, "type");
            let of_type = |wanted: &str| match wanted.strip_suffix('*') {
                Some(start) => kind.starts_with(start),
                None => kind == wanted,
            };
            number(event, "created") >= self.now - 30 * DAY
                && p.text("/type").is_none_or(of_type)
                && (types.is_empty() || types.contains(&kind))
                && delivered
                    .is_none_or(|wanted| self.delivered.contains(text(event, "id")) == wanted)
        };
        Self::page(p, "/v1/events", self.events.iter().rev().filter(fits))
    }
}

fn given_flow(p: &Params, name: &str) -> Value {
    match p.text(&format!("/flow_data/{name}/subscription")) {
        None => Value::Null,
        Some(subscription) if name == "subscription_cancel" => {
            json!({ "subscription": subscription, "retention": null })
        }
        Some(subscription) => json!({ "subscription": subscription }),
    }
}

/// Which card one of Stripe's test tokens stands for.
fn card_of_token(token: &str) -> Card {
    if token.contains("Fail") || token.contains("Declined") { Card::Declines } else { Card::Good }
}
