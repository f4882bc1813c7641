//! Subscriptions that Stripe bills: payment pages, changes, and what its events lead to.
//!
//! `checkout` sends customers there, `events` takes what it tells, `follow` makes subscription,
//! licence, invoices and mail follow what it says. `health` tells operators what is not in order.

mod checkout;
mod events;
mod follow;
mod health;

pub(super) use checkout::End;
pub use checkout::{ChangeInput, CheckoutInput, CheckoutLink};
pub use events::Received;

use super::{Actor, Services};
use crate::billing::{Failure, Stripe};
use crate::domain::billing::Invoice;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::OrgId;
use crate::domain::organisation::Permission;
use crate::domain::page::{Page, PageRequest};
use crate::store::{self, billing};

impl Services {
    /// The way to Stripe.
    ///
    /// # Errors
    /// `BillingNotConfigured` when operators record payments by hand.
    pub(super) fn stripe(&self) -> Result<&Stripe> {
        self.stripe.as_deref().ok_or_else(|| {
            Error::new(
                Code::BillingNotConfigured,
                "This appliance takes no payments itself; ask the vendor for an invoice.",
            )
        })
    }

    /// The organisation's invoices, newest first.
    pub fn invoices(&self, actor: &Actor, request: &PageRequest) -> Result<Page<Invoice>> {
        let org_id = actor.org(Permission::BillingRead)?;
        self.store.read(|tx| store::org(tx, org_id).invoices(request))
    }

    /// All invoices, or an organisation's, newest first, for operators.
    pub fn all_invoices(
        &self,
        actor: &Actor,
        org_id: Option<OrgId>,
        request: &PageRequest,
    ) -> Result<Page<Invoice>> {
        actor.require_operator()?;
        self.store.read(|tx| match org_id {
            Some(org_id) => store::org(tx, org_id).invoices(request),
            None => billing::list_invoices(tx, request),
        })
    }
}

/// What somebody who asked for it is told.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let cause = failure.to_string();
        let away = || {
            let text =
                "Stripe cannot be reached just now; nothing has changed. Try again in a moment.";
            Self::new(Code::ProviderUnavailable, text).retry_after(30)
        };
        let mut error = match failure {
            // What a bank says is for the customer; everything else is for who runs the server.
            Failure::Refused { status: 402, message, .. } => {
                Self::new(Code::ProviderRefused, format!("The payment was refused: {message}"))
            }
            Failure::Refused { status: 401 | 403, .. } => {
                tracing::error!(
                    cause,
                    "Stripe does not accept the secret key, or it may not do that"
                );
                away()
            }
            Failure::Refused { .. } => {
                tracing::warn!(cause, "Stripe refuses a request");
                let text =
                    "Stripe refuses it. Whoever runs this server finds the reason in its log.";
                Self::new(Code::ProviderRefused, text)
            }
            Failure::Broken(_) | Failure::Away(_) => away(),
        };
        error.internal = Some(cause);
        error
    }
}
