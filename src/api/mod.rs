//! HTTP, thin: wire types, documentation, one call of a service each.

#![allow(
    clippy::unused_async,
    reason = "poem-openapi has operations be async, also those that wait for nothing"
)]

mod accounts;
mod analytics;
mod api_keys;
mod audit;
mod auth;
mod backups;
mod billing;
mod cors;
mod csv;
mod diagnostics;
mod document;
mod email_domains;
mod email_templates;
mod emails;
mod health;
mod json;
mod keys;
mod licenses;
mod live;
mod local;
mod methods;
mod observe;
mod oidc;
mod operator;
mod org_deletion;
mod orgs;
mod passkeys;
mod people;
mod plans;
pub mod problem;
mod provisioning;
mod scim;
mod seats;
mod second_factor;
mod sso;
mod subscriptions;
mod teams;
mod webhooks;
mod wire;

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, EndpointExt, IntoEndpoint, Request, Response};
use poem_openapi::{OpenApi, OpenApiService, Tags};

pub use self::local::Local;
use self::observe::Observe;
pub use self::observe::longest_request;
use self::problem::Problem;
use crate::services::Services;
use crate::web::Pages;

/// What an operation answers: its own success, or a problem.
type Answer<T> = Result<T, Problem>;

/// How the document groups operations.
#[derive(Tags)]
enum Tag {
    /// Registration, sign-in and one's own account.
    Accounts,
    /// Organisations, who belongs to them, and invitations.
    Organisations,
    /// An organisation's directory, and what it says of people and groups (SCIM 2.0).
    Provisioning,
    /// The catalogue.
    Plans,
    /// Trials, subscriptions and payments.
    Subscriptions,
    /// Licences and who uses them.
    Licenses,
    /// What a licensed application calls; the licence key is the credential.
    Seats,
    /// What operators of the appliance do.
    Operator,
    /// What services report, signed.
    Webhooks,
    /// Public keys for verifying what the appliance signs.
    Keys,
    /// What watches the server.
    Health,
}

fn operations(services: &Arc<Services>) -> impl OpenApi + use<> {
    let services = || Arc::clone(services);
    // The framework takes sixteen; those in brackets are about the same.
    (
        (
            accounts::Accounts { services: services() },
            second_factor::SecondFactors { services: services() },
            passkeys::Passkeys { services: services() },
            oidc::Oidc { services: services() },
        ),
        plans::Plans { services: services() },
        subscriptions::Subscriptions { services: services() },
        billing::Billing { services: services() },
        seats::SeatCalls { services: services() },
        licenses::Licenses { services: services() },
        (operator::Operator { services: services() }, analytics::Figures { services: services() }),
        live::Live { services: services() },
        (people::People { services: services() }, audit::AuditLog { services: services() }),
        (
            emails::Emails { services: services() },
            email_templates::EmailTemplates { services: services() },
        ),
        backups::Backups { services: services() },
        diagnostics::Diagnostics { services: services() },
        (
            api_keys::ApiKeys { services: services() },
            orgs::Orgs { services: services() },
            org_deletion::OrgDeletion { services: services() },
            teams::Teams { services: services() },
            email_domains::EmailDomains { services: services() },
            sso::SingleSignOn { services: services() },
            provisioning::ProvisioningTokens { services: services() },
            scim::Provisioned { services: services() },
        ),
        webhooks::Webhooks { services: services() },
        keys::Keys { services: services() },
        health::Watch { services: services() },
    )
}

type AllOperations = (
    (accounts::Accounts, second_factor::SecondFactors, passkeys::Passkeys, oidc::Oidc),
    plans::Plans,
    subscriptions::Subscriptions,
    billing::Billing,
    seats::SeatCalls,
    licenses::Licenses,
    (operator::Operator, analytics::Figures),
    live::Live,
    (people::People, audit::AuditLog),
    (emails::Emails, email_templates::EmailTemplates),
    backups::Backups,
    diagnostics::Diagnostics,
    (
        api_keys::ApiKeys,
        orgs::Orgs,
        org_deletion::OrgDeletion,
        teams::Teams,
        email_domains::EmailDomains,
        sso::SingleSignOn,
        provisioning::ProvisioningTokens,
        scim::Provisioned,
    ),
    webhooks::Webhooks,
    keys::Keys,
    health::Watch,
);

/// The operation ids of all calls, for metrics.
pub fn operation_ids() -> Vec<&'static str> {
    AllOperations::meta()
        .into_iter()
        .flat_map(|api| api.paths)
        .flat_map(|path| path.operations)
        .filter_map(|operation| operation.operation_id)
        .collect()
}

/// The whole server: API, document and pages, observed and secured.
pub fn server(services: &Arc<Services>, pages: Pages) -> impl Endpoint<Output = Response> + use<> {
    let fork =
        Fork { api: api(services).into_endpoint().map_to_response().boxed(), pages: pages.boxed() };
    Observe::new(fork, services)
}

/// The `OpenAPI` document, generated from the operations. What `/openapi.json` answers is this as it was
/// when it was last looked at: generating it takes more memory and time than all else at a start.
pub fn document(services: &Arc<Services>) -> serde_json::Value {
    document::exact(&api(services).spec())
}

fn api(services: &Arc<Services>) -> OpenApiService<impl OpenApi + use<>, ()> {
    OpenApiService::new(operations(services), "CODITECT", env!("CARGO_PKG_VERSION"))
        .description(document::DESCRIPTION)
        .server("/")
}

/// Where the API answers; everything else is a page.
const API: [&str; 4] = ["/api/", "/health/", "/metrics", "/.well-known/"];

/// Sends a request to the API or to the pages. Cheaper than one router for both, and neither can
/// shadow the other.
struct Fork {
    api: BoxEndpoint<'static, Response>,
    pages: BoxEndpoint<'static, Response>,
}

impl Endpoint for Fork {
    type Output = Response;

    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let path = request.uri().path();
        let room =
            if API.iter().any(|prefix| path.starts_with(prefix)) { &self.api } else { &self.pages };
        room.call(request)
    }
}
