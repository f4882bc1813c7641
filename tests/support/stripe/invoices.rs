//! Invoices, and how they are collected.

use serde_json::{Map, Value, json};

use super::billing::{Card, DAY, items, number, text};
use super::error::{Result, StripeError};
use super::payments::Sale;
use super::world::{AfterRetries, World, list};

/// Days after the first failure on which a payment is tried again.
const RETRY_DAYS: [i64; 3] = [1, 3, 5];

/// One line of an invoice to be.
#[derive(Clone, Debug)]
pub struct Line {
    pub item: String,
    pub price: String,
    pub quantity: i64,
    pub amount: i64,
    pub start: i64,
    pub end: i64,
    pub proration: bool,
}

impl World {
    /// Makes a draft invoice with these lines and the prorations that wait. Says nothing yet.
    pub fn make_invoice(&mut self, subscription: &str, reason: &str, lines: &[Line]) -> String {
        let id = self.next_id("in");
        let pending = self.get(subscription)["_pending"].clone();
        let mut data = pending.as_array().cloned().unwrap_or_default();
        data.extend(lines.iter().map(|line| self.line(subscription, line)));
        for line in &mut data {
            line["id"] = json!(self.next_id("il"));
            line["invoice"] = json!(id);
        }
        let total: i64 = data.iter().map(|line| number(line, "amount")).sum();
        let parent = self.get(subscription).clone();
        let customer = self.get(text(&parent, "customer")).clone();
        let now = self.now;
        let mut invoice = blank_invoice();
        invoice.as_object_mut().unwrap().extend(members(json!({
            "id": id, "created": now, "amount_due": total.max(0), "amount_remaining": total.max(0),
            "billing_reason": reason, "currency": parent["currency"], "customer": customer["id"],
            "customer_email": customer["email"], "customer_name": customer["name"],
            "lines": list(&format!("/v1/invoices/{id}/lines"), json!(data)),
            "parent": {
                "type": "subscription_details", "quote_details": null,
                "subscription_details": {
                    "subscription": subscription, "metadata": parent["metadata"],
                },
            },
            "period_start": now, "period_end": now, "subtotal": total,
            "subtotal_excluding_tax": total, "total": total, "total_excluding_tax": total,
        })));
        self.add(invoice);
        self.change(subscription, |subscription| {
            subscription["latest_invoice"] = json!(id);
            subscription["_pending"] = json!([]);
        });
        id
    }

    /// A line as an invoice has it.
    pub fn line(&self, subscription: &str, line: &Line) -> Value {
        let price = self.get(&line.price);
        json!({
            "object": "line_item", "amount": line.amount, "currency": price["currency"],
            "description": format!("{} × {}", line.quantity, text(price, "id")),
            "discount_amounts": [], "discountable": !line.proration, "discounts": [],
            "livemode": false, "metadata": {},
            "parent": {
                "type": "subscription_item_details", "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null, "proration": line.proration, "proration_details": null,
                    "subscription": subscription, "subscription_item": line.item,
                },
            },
            "period": { "start": line.start, "end": line.end },
            "pricing": {
                "type": "price_details", "unit_amount_decimal": price["unit_amount_decimal"],
                "price_details": { "price": line.price, "product": price["product"] },
            },
            "quantity": line.quantity, "subtotal": line.amount, "taxes": [],
        })
    }

    fn subscription_of(&self, invoice: &Value) -> Value {
        self.get(text(&invoice["parent"]["subscription_details"], "subscription")).clone()
    }

    /// Opens a draft for payment; the customer's balance is used up, or a credit goes there.
    pub fn finalize(&mut self, id: &str) {
        let now = self.now;
        let invoice = self.get(id).clone();
        let customer = text(&invoice, "customer").to_owned();
        let balance = number(self.get(&customer), "balance");
        let (total, count) = (number(&invoice, "total"), self.of_kind("invoice").count());
        let due = (total + balance).max(0);
        let left = total + balance - due;
        self.change(id, |invoice| {
            invoice["status"] = json!("open");
            invoice["number"] = json!(format!("FAKE-{count:04}"));
            invoice["automatically_finalizes_at"] = Value::Null;
            invoice["effective_at"] = json!(now);
            invoice["status_transitions"]["finalized_at"] = json!(now);
            invoice["starting_balance"] = json!(balance);
            invoice["ending_balance"] = json!(left);
            invoice["amount_due"] = json!(due);
            invoice["amount_remaining"] = json!(due);
            invoice["hosted_invoice_url"] = json!(format!("https://invoice.stripe.com/i/{id}"));
            invoice["invoice_pdf"] = json!(format!("https://pay.stripe.com/invoice/{id}/pdf"));
        });
        if left != balance {
            self.update("customer.updated", &customer, |c| c["balance"] = json!(left));
        }
        if due > 0 {
            let sale =
                Sale { customer: &customer, amount: due, currency: text(&invoice, "currency") };
            let intent = self.make_payment_intent(&sale);
            let payment = self.next_id("inpay");
            self.add(json!({
                "id": payment, "object": "invoice_payment", "created": now, "livemode": false,
                "amount_paid": null, "amount_requested": due, "currency": sale.currency,
                "invoice": id, "is_default": true,
                "payment": { "type": "payment_intent", "payment_intent": intent },
                "status": "open", "status_transitions": { "canceled_at": null, "paid_at": null },
            }));
        }
        self.emit("invoice.finalized", id);
    }

    /// Tries to collect an open invoice with the customer's card; true when it was paid.
    pub fn collect(&mut self, id: &str) -> bool {
        let subscription = self.subscription_of(self.get(id));
        match text(&subscription["pause_collection"], "behavior") {
            "void" => self.close_invoice(id, "void", "voided"),
            "mark_uncollectible" => self.close_invoice(id, "uncollectible", "marked_uncollectible"),
            _ => return self.charge_invoice(id),
        }
        false
    }

    fn charge_invoice(&mut self, id: &str) -> bool {
        let invoice = self.get(id).clone();
        if number(&invoice, "amount_due") == 0 {
            self.note_paid(id, None);
            return true;
        }
        self.change(id, |invoice| {
            invoice["attempted"] = json!(true);
            invoice["attempt_count"] = json!(number(invoice, "attempt_count") + 1);
            invoice["next_payment_attempt"] = Value::Null;
        });
        let intent = self.intent_of(id);
        match self.card(text(&invoice, "customer")) {
            Card::Good => {
                self.charge_succeeds(&intent);
                self.note_paid(id, Some(&intent));
                true
            }
            Card::Async => {
                self.update("payment_intent.processing", &intent, |intent| {
                    intent["status"] = json!("processing");
                });
                self.after_payment(id, "active");
                false
            }
            Card::Declines | Card::Missing => {
                self.charge_fails(&intent);
                self.note_failed(id);
                false
            }
        }
    }

    /// The payment intent of an open invoice.
    pub fn intent_of(&self, invoice: &str) -> String {
        let payment = self.of_kind("invoice_payment").find(|payment| payment["invoice"] == invoice);
        text(&payment.expect("the invoice has a payment")["payment"], "payment_intent").to_owned()
    }

    /// An invoice is paid, with a payment intent or without.
    pub fn note_paid(&mut self, id: &str, intent: Option<&str>) {
        let now = self.now;
        self.change(id, |invoice| {
            invoice["status"] = json!("paid");
            invoice["attempted"] = json!(true);
            invoice["auto_advance"] = json!(false);
            invoice["next_payment_attempt"] = Value::Null;
            invoice["amount_paid"] = invoice["amount_due"].clone();
            invoice["amount_remaining"] = json!(0);
            invoice["status_transitions"]["paid_at"] = json!(now);
        });
        if let Some(intent) = intent {
            let paid_with = self
                .of_kind("invoice_payment")
                .find(|payment| payment["payment"]["payment_intent"] == intent)
                .map(|payment| text(payment, "id").to_owned());
            if let Some(payment) = paid_with {
                self.change(&payment, |payment| {
                    payment["status"] = json!("paid");
                    payment["amount_paid"] = payment["amount_requested"].clone();
                    payment["status_transitions"]["paid_at"] = json!(now);
                });
                self.emit("invoice_payment.paid", &payment);
            }
        }
        self.emit("invoice.paid", id);
        self.emit("invoice.payment_succeeded", id);
        self.after_payment(id, "active");
    }

    /// A payment of an invoice has failed; it is tried again on the days for that.
    pub fn note_failed(&mut self, id: &str) {
        let now = self.now;
        self.change(id, |invoice| {
            let first = invoice["_first_failure"].as_i64().unwrap_or(now);
            let next = RETRY_DAYS.iter().map(|days| first + days * DAY).find(|time| *time > now);
            invoice["_first_failure"] = json!(first);
            invoice["next_payment_attempt"] = json!(next);
        });
        let subscription = self.subscription_of(self.get(id));
        let first_of_all = subscription["status"] == "incomplete";
        if first_of_all {
            self.change(id, |invoice| invoice["next_payment_attempt"] = Value::Null);
        }
        self.emit("invoice.payment_failed", id);
        if first_of_all || text(&subscription, "status") == "canceled" {
            return;
        }
        self.after_payment(id, "past_due");
        if self.get(id)["next_payment_attempt"].is_null() {
            let subscription = text(&subscription, "id");
            match self.after_retries {
                AfterRetries::Cancel => self.end_subscription(subscription, "payment_failed"),
                AfterRetries::Unpaid => self.set_status(subscription, "unpaid"),
                AfterRetries::PastDue => {}
            }
        }
    }

    /// The status of a subscription follows its latest invoice.
    fn after_payment(&mut self, invoice: &str, status: &str) {
        let subscription = self.subscription_of(self.get(invoice));
        let follows = match text(&subscription, "status") {
            "active" | "past_due" | "unpaid" => subscription["latest_invoice"] == invoice,
            "incomplete" => status == "active",
            _ => false,
        };
        if follows && !(subscription["status"] == "unpaid" && status == "past_due") {
            self.set_status(text(&subscription, "id"), status);
        }
    }

    fn close_invoice(&mut self, id: &str, status: &str, what: &str) {
        let now = self.now;
        self.change(id, |invoice| {
            invoice["status"] = json!(status);
            invoice["auto_advance"] = json!(false);
            invoice["status_transitions"][format!("{what}_at")] = json!(now);
        });
        self.emit(&format!("invoice.{what}"), id);
    }

    /// No more tries for the invoices of a subscription that has ended.
    pub fn stop_collecting(&mut self, subscription: &str) {
        let of_it: Vec<String> = self
            .of_kind("invoice")
            .filter(|invoice| {
                invoice["parent"]["subscription_details"]["subscription"] == subscription
            })
            .filter(|invoice| ["draft", "open"].contains(&text(invoice, "status")))
            .map(|invoice| text(invoice, "id").to_owned())
            .collect();
        for id in of_it {
            self.change(&id, |invoice| {
                invoice["auto_advance"] = json!(false);
                invoice["automatically_finalizes_at"] = Value::Null;
                invoice["next_payment_attempt"] = Value::Null;
            });
        }
    }

    /// Tries to collect an invoice that somebody wants paid now.
    pub fn pay(&mut self, id: &str, out_of_band: bool) -> Result<()> {
        match text(&self.get(id).clone(), "status") {
            "draft" => self.finalize(id),
            "open" => {}
            status => return Err(StripeError::refused(&format!("Invoice is already {status}."))),
        }
        if out_of_band {
            self.note_paid(id, None);
            return Ok(());
        }
        let paid = self.charge_invoice(id);
        let processing = number(self.get(id), "amount_due") > 0
            && self.get(&self.intent_of(id))["status"] == "processing";
        if paid || processing { Ok(()) } else { Err(StripeError::declined()) }
    }

    /// What becomes of a payment that was processing.
    pub fn settle_invoice(&mut self, id: &str, succeeds: bool) {
        let intent = self.intent_of(id);
        assert_eq!(self.get(&intent)["status"], "processing", "{intent} does not wait");
        if succeeds {
            self.charge_succeeds(&intent);
            self.note_paid(id, Some(&intent));
        } else {
            self.charge_fails(&intent);
            self.note_failed(id);
        }
    }

    /// Moves a subscription to other items; see the call of the same name for the proration.
    pub fn change_items(&mut self, id: &str, after: &[Value], proration: &str, restart: bool) {
        let before = self.get(id).clone();
        let now = self.now;
        let interval = |item: &Value| item["price"]["recurring"].clone();
        let restart = restart || interval(&items(&before)[0]) != interval(&after[0]);
        let mut lines = Vec::new();
        if before["status"] != "trialing" && proration != "none" {
            for item in items(&before).iter().filter(|item| restart || !after.contains(item)) {
                lines.push(self.line(id, &prorated(item, now, -1)));
            }
            for item in after.iter().filter(|item| !restart && !items(&before).contains(item)) {
                lines.push(self.line(id, &prorated(item, now, 1)));
            }
        }
        self.change(id, |subscription| {
            subscription["items"]["data"] = json!(after);
            subscription["_pending"].as_array_mut().unwrap().extend(lines.iter().cloned());
        });
        if restart && before["status"] != "trialing" {
            self.restart_period(id, &before, "subscription_update");
        } else if proration == "always_invoice" && !lines.is_empty() {
            let invoice = self.make_invoice(id, "subscription_update", &[]);
            self.emit_changed("customer.subscription.updated", id, &before);
            self.emit("invoice.created", &invoice);
            self.finalize(&invoice);
            self.collect(&invoice);
        } else {
            self.emit_changed("customer.subscription.updated", id, &before);
        }
    }
}

/// What the rest of the period costs, or gives back when `sign` is -1.
fn prorated(item: &Value, now: i64, sign: i64) -> Line {
    let (start, end) = (number(item, "current_period_start"), number(item, "current_period_end"));
    let full = number(&item["price"], "unit_amount") * number(item, "quantity");
    Line {
        item: text(item, "id").to_owned(),
        price: text(&item["price"], "id").to_owned(),
        quantity: number(item, "quantity"),
        amount: sign * full * (end - now) / (end - start).max(1),
        start: now,
        end,
        proration: true,
    }
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

/// A draft invoice for nothing and nobody.
fn blank_invoice() -> Value {
    json!({
        "object": "invoice", "livemode": false, "account_country": "US",
        "account_name": "Example", "amount_overpaid": 0, "amount_paid": 0,
        "amount_paid_off_stripe": 0, "amount_shipping": 0, "attempt_count": 0, "attempted": false,
        "auto_advance": true,
        "automatic_tax": {
            "enabled": false, "disabled_reason": null, "liability": null, "provider": null,
            "status": null,
        },
        "automatically_finalizes_at": null, "collection_method": "charge_automatically",
        "default_tax_rates": [], "description": null, "discounts": [], "due_date": null,
        "effective_at": null, "ending_balance": null, "hosted_invoice_url": null,
        "invoice_pdf": null, "issuer": { "type": "self" }, "metadata": {},
        "next_payment_attempt": null, "number": null,
        "payment_settings": {
            "default_mandate": null, "payment_method_options": null, "payment_method_types": null,
        },
        "post_payment_credit_notes_amount": 0, "pre_payment_credit_notes_amount": 0,
        "receipt_number": null, "starting_balance": 0, "status": "draft",
        "status_transitions": {
            "finalized_at": null, "marked_uncollectible_at": null, "paid_at": null,
            "voided_at": null,
        },
        "total_discount_amounts": [], "total_taxes": [], "webhooks_delivered_at": null,
        "_first_failure": null,
    })
}
