//! What is read of Stripe's objects: the fields that are needed, in the shapes of every version of
//! its API since 2017. All else is passed over.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::billing::{InvoiceStatus, ProviderStatus};
use crate::domain::subscription;
use crate::domain::time::Timestamp;

/// Something that is told by its id, or whole.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Reference {
    /// By its id.
    Id(String),
    /// Whole.
    Whole {
        /// Its id.
        id: String,
    },
}

impl Reference {
    /// The id.
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) | Self::Whole { id } => id,
        }
    }
}

/// Names and values that we attached.
pub type Metadata = BTreeMap<String, String>;

/// A page of a list.
#[derive(Clone, Debug, Deserialize)]
pub struct List<T> {
    /// What is on it.
    pub data: Vec<T>,
    /// Whether there is more.
    #[serde(default)]
    pub has_more: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { data: Vec::new(), has_more: false }
    }
}

/// What an event is about, before its kind is looked at.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// `evt_...`
    pub id: String,
    /// Such as `invoice.paid`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Seconds since the epoch.
    pub created: i64,
    /// Whether real money is meant.
    #[serde(default)]
    pub livemode: bool,
    /// Another account's, on a platform.
    #[serde(default)]
    pub account: Option<String>,
    /// The object.
    pub data: EventData,
}

/// The object of an event.
#[derive(Clone, Debug, Deserialize)]
pub struct EventData {
    /// As it was then.
    pub object: serde_json::Value,
}

/// The id of whatever object.
#[derive(Clone, Debug, Deserialize)]
pub struct Identified {
    /// Its id.
    pub id: String,
}

/// A price.
#[derive(Clone, Debug, Deserialize)]
pub struct Price {
    /// `price_...`, or the id of a plan in the old way of pricing.
    pub id: String,
    /// Minor units for each; none where they are not all the same, as in tiers.
    #[serde(default)]
    unit_amount: Option<i64>,
    /// The same in the old way of pricing.
    #[serde(default)]
    amount: Option<i64>,
    /// ISO 4217, in small letters.
    #[serde(default)]
    currency: String,
}

impl Price {
    /// What one costs, where that is one amount.
    pub fn of_one(&self) -> Option<subscription::Price> {
        let amount_cents = self.unit_amount.or(self.amount)?;
        let currency = self.currency.to_uppercase();
        (currency.len() == 3).then_some(subscription::Price { amount_cents, currency })
    }
}

/// A payment page.
#[derive(Clone, Debug, Deserialize)]
pub struct CheckoutSession {
    /// `cs_...`
    pub id: String,
    /// `open`, `complete` or `expired`.
    #[serde(default)]
    pub status: Option<String>,
    /// Where the customer pays; none once it is complete.
    #[serde(default)]
    pub url: Option<String>,
    /// What it led to.
    #[serde(default)]
    pub subscription: Option<Reference>,
}

/// A page where customers look after their means of payment.
#[derive(Clone, Debug, Deserialize)]
pub struct PortalSession {
    /// Where it is.
    pub url: String,
}

/// A subscription.
#[derive(Clone, Debug, Deserialize)]
pub struct Subscription {
    /// `sub_...`
    pub id: String,
    /// Whose.
    pub customer: Reference,
    /// A word of [`ProviderStatus`], or one that is not known yet.
    pub status: String,
    /// What is subscribed to.
    #[serde(default)]
    pub items: List<Item>,
    /// Before 2025-03-31; on the items since.
    #[serde(default)]
    current_period_start: Option<i64>,
    #[serde(default)]
    current_period_end: Option<i64>,
    /// When it began, for one without a period.
    #[serde(default)]
    created: i64,
    /// When the trial ends or ended.
    #[serde(default)]
    pub trial_end: Option<i64>,
    #[serde(default)]
    cancel_at_period_end: bool,
    #[serde(default)]
    cancel_at: Option<i64>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<i64>,
    /// What we attached.
    #[serde(default)]
    pub metadata: Metadata,
    /// The invoice that was made last.
    #[serde(default)]
    pub latest_invoice: Option<Reference>,
}

/// One of the things a subscription is to.
#[derive(Clone, Debug, Deserialize)]
pub struct Item {
    id: String,
    #[serde(default)]
    price: Option<Price>,
    #[serde(default)]
    plan: Option<Price>,
    #[serde(default)]
    quantity: Option<u32>,
    #[serde(default)]
    current_period_start: Option<i64>,
    #[serde(default)]
    current_period_end: Option<i64>,
}

/// Seconds as Stripe counts them.
pub fn moment(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000))
}

impl Subscription {
    /// Where it stands; none in words that are not known.
    pub fn state(&self) -> Option<ProviderStatus> {
        serde_json::from_value(self.status.as_str().into()).ok()
    }

    /// The period that was invoiced last.
    pub fn period(&self) -> (Timestamp, Timestamp) {
        let first = |of: fn(&Item) -> Option<i64>| self.items.data.iter().filter_map(of).min();
        let start = self.current_period_start.or_else(|| first(|item| item.current_period_start));
        let end = self.current_period_end.or_else(|| first(|item| item.current_period_end));
        let start = start.unwrap_or(self.created);
        (moment(start), moment(end.unwrap_or(start)))
    }

    /// Whether it ends with its period.
    pub fn ends_with_period(&self) -> bool {
        let (_, end) = self.period();
        self.cancel_at_period_end || self.cancel_at.is_some_and(|at| moment(at) <= end)
    }

    /// What it is to: the id of each item, its price, and how many.
    pub fn prices(&self) -> impl Iterator<Item = (&str, &Price, u32)> {
        self.items.data.iter().filter_map(|item| {
            let price = item.price.as_ref().or(item.plan.as_ref())?;
            Some((item.id.as_str(), price, item.quantity.unwrap_or(1)))
        })
    }
}

/// An invoice.
#[derive(Clone, Debug, Deserialize)]
pub struct Invoice {
    /// `in_...`; none on a preview.
    pub id: String,
    /// Whose.
    #[serde(default)]
    pub customer: Option<Reference>,
    /// Where it stands.
    #[serde(default)]
    status: Option<String>,
    /// Its printed number.
    #[serde(default)]
    pub number: Option<String>,
    /// ISO 4217, in small letters.
    #[serde(default)]
    pub currency: String,
    /// Minor units.
    #[serde(default)]
    pub amount_due: i64,
    /// Minor units.
    #[serde(default)]
    pub amount_paid: i64,
    /// Charges tried.
    #[serde(default)]
    pub attempt_count: u32,
    /// Seconds since the epoch.
    #[serde(default)]
    pub created: i64,
    #[serde(default)]
    status_transitions: Transitions,
    /// For people.
    #[serde(default)]
    pub hosted_invoice_url: Option<String>,
    /// For people.
    #[serde(default)]
    pub invoice_pdf: Option<String>,
    /// Before 2025-03-31.
    #[serde(default)]
    subscription: Option<Reference>,
    #[serde(default)]
    payment_intent: Option<Reference>,
    /// Since then.
    #[serde(default)]
    parent: Option<Parent>,
    #[serde(default)]
    payments: List<InvoicePayment>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Transitions {
    #[serde(default)]
    finalized_at: Option<i64>,
    #[serde(default)]
    paid_at: Option<i64>,
}

#[derive(Clone, Debug, Deserialize)]
struct Parent {
    #[serde(default)]
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Clone, Debug, Deserialize)]
struct SubscriptionDetails {
    #[serde(default)]
    subscription: Option<Reference>,
}

/// What paid an invoice.
#[derive(Clone, Debug, Deserialize)]
pub struct InvoicePayment {
    /// Which invoice.
    #[serde(default)]
    pub invoice: Option<Reference>,
    #[serde(default)]
    payment: Option<PaymentMeans>,
}

#[derive(Clone, Debug, Deserialize)]
struct PaymentMeans {
    #[serde(default)]
    payment_intent: Option<Reference>,
}

impl Invoice {
    /// Where it stands; a draft in words that are not known.
    pub fn state(&self) -> InvoiceStatus {
        let status = self.status.as_deref().unwrap_or("draft");
        serde_json::from_value(status.into()).unwrap_or(InvoiceStatus::Draft)
    }

    /// The subscription it is for.
    pub fn subscription(&self) -> Option<&str> {
        let details = self.parent.as_ref().and_then(|parent| parent.subscription_details.as_ref());
        let new = details.and_then(|details| details.subscription.as_ref());
        new.or(self.subscription.as_ref()).map(Reference::id)
    }

    /// What paid it.
    pub fn payment_intent(&self) -> Option<&str> {
        let new = self.payments.data.iter().find_map(|each| each.payment.as_ref());
        let new = new.and_then(|means| means.payment_intent.as_ref());
        new.or(self.payment_intent.as_ref()).map(Reference::id)
    }

    /// When it was made final, and charged.
    pub fn finalized_at(&self) -> Option<Timestamp> {
        self.status_transitions.finalized_at.map(moment)
    }

    /// When it was paid.
    pub fn paid_at(&self) -> Option<Timestamp> {
        self.status_transitions.paid_at.map(moment)
    }
}

/// A charge, or what a dispute is about: what leads from there to an invoice.
#[derive(Clone, Debug, Deserialize)]
pub struct Charge {
    /// `ch_...`
    pub id: String,
    /// What the customer paid with.
    #[serde(default)]
    pub payment_intent: Option<Reference>,
    /// Before 2025-03-31.
    #[serde(default)]
    pub invoice: Option<Reference>,
    /// Of a dispute.
    #[serde(default)]
    pub charge: Option<Reference>,
    /// Minor units given back in all.
    #[serde(default)]
    pub amount_refunded: i64,
    /// Minor units.
    #[serde(default)]
    pub amount: i64,
    /// Why, of a dispute.
    #[serde(default)]
    pub reason: Option<String>,
}
