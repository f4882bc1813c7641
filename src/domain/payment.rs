//! What pays for a subscription: money that came, a promise of it, or a gift of time.

use serde::{Deserialize, Serialize};

use super::ids::{OrgId, PaymentId, PlanId, SubscriptionId, UserId};
use super::time::Timestamp;

/// What stands behind a payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentKind {
    /// Money that came.
    #[default]
    Payment,
    /// A promise to pay: what it is for works at once, and stops when it is not settled in time.
    PurchaseOrder,
    /// Time that is given, for no money.
    Credit,
}

impl PaymentKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::PurchaseOrder => "purchase_order",
            Self::Credit => "credit",
        }
    }
}

/// A payment, recorded by an operator or told by a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Identifies the payment.
    pub payment_id: PaymentId,
    /// Whose subscription it pays for.
    pub org_id: OrgId,
    /// What for.
    pub subscription_id: SubscriptionId,
    /// The plan that the subscription was to; none on rows of before this was kept.
    #[serde(default)]
    pub plan_id: Option<PlanId>,
    /// What stands behind it.
    #[serde(default)]
    pub kind: PaymentKind,
    /// Minor units of `currency`; nothing for a credit.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Billing periods it pays for.
    pub periods: u32,
    /// A purchase order, a bank reference: what finds it in other books.
    pub reference: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The provider's invoice that it paid.
    #[serde(default)]
    pub stripe_invoice_id: Option<String>,
    /// The operator who recorded it.
    pub recorded_by: Option<UserId>,
    /// Of a purchase order: until when it is to be settled.
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// Of a purchase order: when its money came.
    #[serde(default)]
    pub settled_at: Option<Timestamp>,
    /// Of a purchase order: when it was withdrawn.
    #[serde(default)]
    pub withdrawn_at: Option<Timestamp>,
}

impl Payment {
    /// When its money came, if it has.
    pub fn received_at(&self) -> Option<Timestamp> {
        match self.kind {
            PaymentKind::Payment => Some(self.recorded_at),
            PaymentKind::PurchaseOrder => self.settled_at,
            PaymentKind::Credit => None,
        }
    }

    /// Whether it is a promise that was not kept yet.
    pub fn is_open(&self) -> bool {
        self.kind == PaymentKind::PurchaseOrder
            && self.settled_at.is_none()
            && self.withdrawn_at.is_none()
    }
}
