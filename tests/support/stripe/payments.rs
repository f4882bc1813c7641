//! Money that comes and goes: payment intents, charges, refunds and disputes.

use serde_json::{Value, json};

use super::billing::{DAY, number};
use super::error::{Result, StripeError};
use super::world::World;

/// What is to be paid, and by whom; nobody in particular when `customer` is empty.
pub struct Sale<'a> {
    pub customer: &'a str,
    pub amount: i64,
    pub currency: &'a str,
}

impl World {
    pub fn make_payment_intent(&mut self, sale: &Sale) -> String {
        let id = self.next_id("pi");
        self.add(json!({
            "id": id, "object": "payment_intent", "created": self.now, "livemode": false,
            "amount": sale.amount, "amount_received": 0, "currency": sale.currency,
            "customer": if sale.customer.is_empty() { Value::Null } else { json!(sale.customer) },
            "description": null, "last_payment_error": null, "latest_charge": null,
            "metadata": {}, "payment_method": null, "payment_method_types": ["card"],
            "status": "requires_payment_method",
        }))
    }

    fn make_charge(&mut self, intent: &str, succeeded: bool) -> String {
        let id = self.next_id("ch");
        let intent = self.get(intent).clone();
        let amount = number(&intent, "amount");
        self.add(json!({
            "id": id, "object": "charge", "created": self.now, "livemode": false,
            "amount": amount, "amount_captured": if succeeded { amount } else { 0 },
            "amount_refunded": 0, "balance_transaction": null,
            "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
            "captured": succeeded, "currency": intent["currency"], "customer": intent["customer"],
            "description": null, "disputed": false,
            "failure_code": if succeeded { Value::Null } else { json!("card_declined") },
            "failure_message": if succeeded { Value::Null } else { json!("Your card was declined.") },
            "metadata": {}, "paid": succeeded, "payment_intent": intent["id"],
            "payment_method": null, "payment_method_details": null, "receipt_email": null,
            "receipt_number": null,
            "receipt_url": if succeeded { json!(format!("https://pay.stripe.com/receipts/{id}")) } else { Value::Null },
            "refunded": false, "status": if succeeded { "succeeded" } else { "failed" },
        }))
    }

    /// A payment succeeds.
    pub fn charge_succeeds(&mut self, intent: &str) -> String {
        let charge = self.make_charge(intent, true);
        self.change(intent, |intent| {
            intent["status"] = json!("succeeded");
            intent["amount_received"] = intent["amount"].clone();
            intent["latest_charge"] = json!(charge);
        });
        self.emit("charge.succeeded", &charge);
        self.emit("payment_intent.succeeded", intent);
        charge
    }

    /// A payment is declined.
    pub fn charge_fails(&mut self, intent: &str) {
        let charge = self.make_charge(intent, false);
        self.change(intent, |intent| {
            intent["status"] = json!("requires_payment_method");
            intent["latest_charge"] = json!(charge);
            intent["last_payment_error"] = json!({
                "type": "card_error", "code": "card_declined",
                "decline_code": "generic_decline", "message": "Your card was declined.",
                "charge": charge,
            });
        });
        self.emit("charge.failed", &charge);
        self.emit("payment_intent.payment_failed", intent);
    }

    /// Gives money back; returns the refund.
    pub fn refund(
        &mut self,
        charge: &str,
        amount: Option<i64>,
        reason: Option<&str>,
    ) -> Result<String> {
        let before = self.get(charge).clone();
        let left = number(&before, "amount_captured") - number(&before, "amount_refunded");
        let amount = amount.unwrap_or(left);
        if left == 0 {
            let message = format!("Charge {charge} has already been refunded.");
            return Err(StripeError::invalid("charge_already_refunded", "charge", &message));
        }
        if amount < 1 || amount > left {
            let message = format!("Refund amount is not within what is left: {left}.");
            return Err(StripeError::invalid("parameter_invalid_integer", "amount", &message));
        }
        let id = self.next_id("re");
        self.add(json!({
            "id": id, "object": "refund", "created": self.now, "amount": amount,
            "balance_transaction": null, "charge": charge, "currency": before["currency"],
            "metadata": {}, "payment_intent": before["payment_intent"], "reason": reason,
            "receipt_number": null, "status": "succeeded",
        }));
        self.emit("refund.created", &id);
        self.update("charge.refunded", charge, |charge| {
            let refunded = number(charge, "amount_refunded") + amount;
            charge["amount_refunded"] = json!(refunded);
            charge["refunded"] = json!(refunded == number(charge, "amount_captured"));
        });
        Ok(id)
    }

    /// The cardholder disputes a charge; returns the dispute.
    pub fn dispute(&mut self, charge: &str) -> String {
        let id = self.next_id("du");
        let before = self.change(charge, |charge| charge["disputed"] = json!(true));
        self.add(json!({
            "id": id, "object": "dispute", "created": self.now, "livemode": false,
            "amount": before["amount"], "balance_transactions": [], "charge": charge,
            "currency": before["currency"], "enhanced_eligibility_types": [],
            "evidence": { "enhanced_evidence": {} },
            "evidence_details": {
                "due_by": self.now + 7 * DAY, "enhanced_eligibility": {}, "has_evidence": false,
                "past_due": false, "submission_count": 0,
            },
            "is_charge_refundable": false, "metadata": {},
            "payment_intent": before["payment_intent"], "reason": "fraudulent",
            "status": "needs_response",
        }));
        self.emit("charge.dispute.created", &id);
        id
    }
}
