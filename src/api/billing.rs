//! Paying through a provider: payment pages, invoices, and what the provider tells.

use std::sync::Arc;

use poem_openapi::param::{Header, Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::{Created, Json, OptionalJson, Raw};
use super::subscriptions::{Interval, Subscription};
use super::wire::{Time, list, page_request};
use super::{Answer, Tag};
use crate::domain::billing;
use crate::domain::ids::{OrgId, PlanId};
use crate::services::Services;
use crate::services::billing::{ChangeInput, CheckoutInput, Received};

/// The calls about paying.
pub struct Billing {
    /// The operations.
    pub services: Arc<Services>,
}

/// What is to be paid for.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct NewCheckout {
    /// The plan.
    plan_id: Uuid,
    /// How often it is paid; left out: every month.
    interval: Option<Interval>,
    /// How many times the plan's seats; left out: once.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    quantity: Option<u32>,
    /// Where the customer goes after paying; left out: this server.
    #[oai(validator(max_length = 2000))]
    success_url: Option<String>,
    /// Where the customer goes who does not pay.
    #[oai(validator(max_length = 2000))]
    cancel_url: Option<String>,
}

/// A page where the customer pays.
#[derive(Object, Serialize)]
pub struct CheckoutSession {
    /// The provider's id of it.
    session_id: String,
    /// Where it is: lead the customer there.
    url: String,
}

/// Where the page leads back to.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct NewPortal {
    /// Where the customer goes afterwards; left out: this server.
    #[oai(validator(max_length = 2000))]
    return_url: Option<String>,
}

/// A page where the customer sees invoices and changes what is paid with.
#[derive(Object, Serialize)]
pub struct Portal {
    /// Where it is: lead the customer there.
    url: String,
}

/// What is to be another; what is left out stays.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionChange {
    /// Another plan.
    plan_id: Option<Uuid>,
    /// Paid by the month or by the year.
    interval: Option<Interval>,
    /// How many times the plan's seats.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    quantity: Option<u32>,
}

/// Where an invoice stands.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// It may still change.
    Draft,
    /// It is to be paid.
    Open,
    /// It is paid.
    Paid,
    /// Nobody expects it to be paid any more.
    Uncollectible,
    /// It does not count.
    Void,
}

/// An invoice.
#[derive(Object, Serialize)]
pub struct Invoice {
    /// Identifies the invoice.
    invoice_id: Uuid,
    /// Whose it is.
    org_id: Uuid,
    /// What for.
    subscription_id: Option<Uuid>,
    /// The number printed on it.
    number: Option<String>,
    /// Where it stands.
    status: InvoiceStatus,
    /// Minor units of `currency`.
    amount_due_cents: i64,
    /// Minor units of `currency`.
    amount_paid_cents: i64,
    /// Minor units of `currency` that were given back.
    amount_refunded_cents: i64,
    /// ISO 4217.
    currency: String,
    /// When it was made.
    created_at: Time,
    /// When it was paid.
    paid_at: Option<Time>,
    /// Where it is read and paid.
    hosted_url: Option<String>,
    /// Where it is as a PDF.
    pdf_url: Option<String>,
    /// The provider's id of it.
    stripe_invoice_id: String,
}

impl From<billing::Invoice> for Invoice {
    fn from(invoice: billing::Invoice) -> Self {
        use billing::InvoiceStatus as Status;
        Self {
            invoice_id: invoice.invoice_id.0,
            org_id: invoice.org_id.0,
            subscription_id: invoice.subscription_id.map(|id| id.0),
            number: invoice.number,
            status: match invoice.status {
                Status::Draft => InvoiceStatus::Draft,
                Status::Open => InvoiceStatus::Open,
                Status::Paid => InvoiceStatus::Paid,
                Status::Uncollectible => InvoiceStatus::Uncollectible,
                Status::Void => InvoiceStatus::Void,
            },
            amount_due_cents: invoice.amount_due_cents,
            amount_paid_cents: invoice.amount_paid_cents,
            amount_refunded_cents: invoice.amount_refunded_cents,
            currency: invoice.currency,
            created_at: invoice.created_at.into(),
            paid_at: invoice.paid_at.map(Time),
            hosted_url: invoice.hosted_url,
            pdf_url: invoice.pdf_url,
            stripe_invoice_id: invoice.stripe_invoice_id,
        }
    }
}

/// What became of a delivery.
#[derive(Object, Serialize)]
pub struct Delivery {
    /// `kept`, `known` (it came before) or `ignored` (it does not concern this server).
    status: String,
}

list! {
    /// A page of invoices.
    InvoiceList of Invoice;
}

#[OpenApi(prefix_path = "/api/v1")]
impl Billing {
    /// A page to pay for a plan at
    ///
    /// A trial, or what was paid already, is taken over. 409 `subscription_exists` when the
    /// organisation is billed already: change its plan. 409 `billing_not_configured` when this server
    /// takes no payments itself.
    #[oai(
        path = "/checkout/session",
        method = "post",
        operation_id = "create_checkout",
        tag = "Tag::Subscriptions"
    )]
    async fn create_checkout(
        &self,
        person: Person,
        body: Json<NewCheckout>,
    ) -> Answer<Created<CheckoutSession>> {
        let body = body.0;
        let input = CheckoutInput {
            plan_id: PlanId(body.plan_id),
            interval: body.interval.unwrap_or(Interval::Month).into(),
            quantity: body.quantity.unwrap_or(1),
            success_url: body.success_url,
            cancel_url: body.cancel_url,
        };
        let link = self.services.create_checkout(&person.0, input).await?;
        Ok(Created(CheckoutSession { session_id: link.session_id, url: link.url }))
    }

    /// A page to see invoices and to change what is paid with
    #[oai(
        path = "/billing/portal",
        method = "post",
        operation_id = "create_portal",
        tag = "Tag::Subscriptions"
    )]
    async fn create_portal(
        &self,
        person: Person,
        body: OptionalJson<NewPortal>,
    ) -> Answer<Created<Portal>> {
        let url = self.services.create_portal(&person.0, body.0.return_url.as_deref()).await?;
        Ok(Created(Portal { url }))
    }

    /// Change plan, interval or number of a subscription
    ///
    /// The licence follows at once. Where a provider bills it, the difference is paid at once;
    /// others are changed by operators alone.
    #[oai(
        path = "/subscriptions/:subscription_id/change-plan",
        method = "post",
        operation_id = "change_plan_of_subscription",
        tag = "Tag::Subscriptions"
    )]
    async fn change_plan_of_subscription(
        &self,
        person: Person,
        subscription_id: Path<String>,
        body: Json<SubscriptionChange>,
    ) -> Answer<Json<Subscription>> {
        let id = path_id(&subscription_id.0, "subscription")?;
        let change = ChangeInput {
            plan_id: body.0.plan_id.map(PlanId),
            interval: body.0.interval.map(Into::into),
            quantity: body.0.quantity,
        };
        Ok(Json(self.services.change_plan(&person.0, id, change).await?.into()))
    }

    /// The organisation's invoices
    #[oai(
        path = "/invoices",
        method = "get",
        operation_id = "list_invoices",
        tag = "Tag::Subscriptions"
    )]
    async fn list_invoices(
        &self,
        person: Person,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<InvoiceList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        Ok(Json(InvoiceList::of(self.services.invoices(&person.0, &request)?, Invoice::from)))
    }

    /// All invoices
    #[oai(
        path = "/admin/invoices",
        method = "get",
        operation_id = "admin_list_invoices",
        tag = "Tag::Operator"
    )]
    async fn admin_list_invoices(
        &self,
        person: Person,
        /// Of this organisation alone.
        org_id: Query<Option<Uuid>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<InvoiceList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = self.services.all_invoices(&person.0, org_id.0.map(OrgId), &request)?;
        Ok(Json(InvoiceList::of(page, Invoice::from)))
    }

    /// What Stripe tells
    ///
    /// For the webhook endpoint of the Stripe account. It is verified, kept, answered, and worked off
    /// afterwards. 400 `invalid_signature` for what Stripe has not signed within five minutes, 503
    /// `webhook_not_configured` while no secret is set.
    #[oai(
        path = "/webhooks/stripe",
        method = "post",
        operation_id = "receive_stripe",
        tag = "Tag::Subscriptions"
    )]
    async fn receive_stripe(
        &self,
        /// The time, and what was signed: `t=...,v1=...`.
        #[oai(name = "Stripe-Signature")]
        signature: Header<Option<String>>,
        body: Raw,
    ) -> Answer<Json<Delivery>> {
        let header = signature.0.unwrap_or_default();
        let status = match self.services.receive_stripe(&body.0, &header).await? {
            Received::Kept => "kept",
            Received::Known => "known",
            Received::Ignored => "ignored",
        };
        Ok(Json(Delivery { status: status.to_owned() }))
    }
}
