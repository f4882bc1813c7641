//! Money that was received.

use serde::{Deserialize, Serialize};

use super::ids::{OrgId, PaymentId, PlanId, SubscriptionId, UserId};
use super::time::Timestamp;

/// A payment, recorded by an operator or told by a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Identifies the payment.
    pub payment_id: PaymentId,
    /// Who paid.
    pub org_id: OrgId,
    /// What for.
    pub subscription_id: SubscriptionId,
    /// The plan that the subscription was to; none on rows of before this was kept.
    #[serde(default)]
    pub plan_id: Option<PlanId>,
    /// Minor units of `currency`.
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
}
