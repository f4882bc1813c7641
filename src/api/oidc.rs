//! Signing in through issuers by OpenID Connect.

use std::sync::Arc;

use poem::http::{HeaderValue, StatusCode, header};
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::param::{Path, Query};
use poem_openapi::registry::{MetaHeader, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::accounts::Tokens;
use super::auth::{From, Person, path_id};
use super::json::{Created, Json};
use super::problem::{Problem, table};
use super::wire::{Done, Time};
use super::{Answer, Tag};
use crate::domain::identity;
use crate::domain::ids::IdentityId;
use crate::services::oidc::{Arrival, COOKIE_S, Departure, Realm, Return};
use crate::services::{Caller, Services};

/// The calls about sign-in through issuers.
pub struct Oidc {
    /// The operations.
    pub services: Arc<Services>,
}

/// Browsers bind a cookie of this name to the very host and to TLS (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "__Host-coditect-oidc";
/// Without TLS they take no such name.
const COOKIE_IN_CLEAR: &str = "coditect-oidc";

/// An issuer that people may sign in through.
#[derive(Object, Serialize)]
pub struct Provider {
    /// Its name in addresses.
    name: String,
    /// What to call it.
    label: String,
    /// Where to send the browser; null: its ID tokens are exchanged alone.
    start_url: Option<String>,
}

/// The issuers.
#[derive(Object, Serialize)]
pub struct Providers {
    /// In the order of the settings.
    items: Vec<Provider>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// An ID token that a front end got from the issuer.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct IdToken {
    /// The token.
    #[oai(validator(max_length = 32_768))]
    id_token: String,
    /// What the front end asked for it with, where it did.
    #[oai(validator(max_length = 256))]
    nonce: Option<String>,
    /// A code of the authenticator app, or a recovery code, where the account has a second factor.
    #[oai(validator(max_length = 64))]
    totp: Option<String>,
}

/// What the page has after the issuer.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    /// What follows `oidc=` in the page's address.
    #[oai(validator(max_length = 200))]
    code: String,
    /// A code of the authenticator app, or a recovery code, where the account has a second factor.
    #[oai(validator(max_length = 64))]
    totp: Option<String>,
}

/// The token of a mailed link.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ConfirmationToken {
    /// What follows `token=` in the link.
    #[oai(validator(max_length = 200))]
    token: String,
}

/// What a mailed link confirms.
#[derive(Object, Serialize)]
pub struct Confirmation {
    /// The organisation whose issuer may sign in from then on.
    org_name: String,
    /// The issuer.
    issuer: String,
    /// To the account of this address.
    email: String,
}

/// An account at an issuer that signs you in.
#[derive(Object, Serialize)]
pub struct Identity {
    /// Identifies it.
    identity_id: Uuid,
    /// The issuer's name in the settings; empty for an organisation's.
    provider: String,
    /// The organisation whose issuer it is.
    org_id: Option<Uuid>,
    /// The issuer.
    issuer: String,
    /// The issuer's name for you.
    subject: String,
    /// The address that the issuer told last.
    email: Option<String>,
    /// Since when it signs you in.
    linked_at: Time,
    /// When it did last.
    last_used_at: Time,
}

impl std::convert::From<identity::Identity> for Identity {
    fn from(identity: identity::Identity) -> Self {
        Self {
            identity_id: identity.identity_id.0,
            provider: identity.provider,
            org_id: identity.org_id.map(|id| id.0),
            issuer: identity.issuer,
            subject: identity.subject,
            email: identity.email.map(|email| email.as_str().to_owned()),
            linked_at: identity.linked_at.into(),
            last_used_at: identity.last_used_at.into(),
        }
    }
}

/// The accounts at issuers that sign you in.
#[derive(Object, Serialize)]
pub struct Identities {
    /// Oldest first.
    items: Vec<Identity>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// Which account is to be linked to yours.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct IdentityToLink {
    /// The issuer's name, from `GET /auth/oidc`.
    #[oai(validator(max_length = 100))]
    provider: String,
    /// The account's; empty where it has none: then the sign-in must be of the last ten minutes.
    #[oai(validator(max_length = 1024))]
    password: String,
    /// The page to come back to: one of those that the setting `oidc.return_paths` lists.
    #[oai(validator(max_length = 500))]
    return_to: Option<String>,
}

/// Where to send the browser.
#[derive(Object, Serialize)]
pub struct IssuersPage {
    /// The issuer's page.
    location: String,
}

/// What the page has after the issuer.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct LinkCode {
    /// What follows `oidc_link=` in the page's address.
    #[oai(validator(max_length = 200))]
    code: String,
}

/// The cookie that a browser left for an issuer with.
pub struct Browser(Option<String>);

impl<'a> FromRequest<'a> for Browser {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let https =
            request.data::<Arc<Services>>().is_some_and(|services| services.is_public_url_https());
        let values = request.headers().get_all(header::COOKIE);
        let mut pairs =
            values.iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(';'));
        let ours =
            pairs.find_map(|pair| pair.trim().strip_prefix(cookie_name(https))?.strip_prefix('='));
        Ok(Self(ours.map(str::to_owned)))
    }
}

fn cookie_name(https: bool) -> &'static str {
    if https { COOKIE } else { COOKIE_IN_CLEAR }
}

/// Sends the browser elsewhere.
pub struct SeeOther {
    location: String,
    cookie: Option<String>,
}

impl IntoResponse for SeeOther {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(StatusCode::FOUND).finish();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, text) in
            [(header::LOCATION, Some(self.location)), (header::SET_COOKIE, self.cookie)]
        {
            if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl ApiResponse for SeeOther {
    fn meta() -> MetaResponses {
        let location = MetaHeader {
            name: "Location".to_owned(),
            description: Some("Where the browser goes.".to_owned()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Go there.",
                status: Some(302),
                status_range: None,
                content: vec![],
                headers: vec![location],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// Tells the page where to send the browser, which takes a cookie along.
pub struct Depart {
    page: IssuersPage,
    cookie: String,
}

impl IntoResponse for Depart {
    fn into_response(self) -> Response {
        let mut response = Json(self.page).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(value) = HeaderValue::from_str(&self.cookie) {
            headers.insert(header::SET_COOKIE, value);
        }
        response
    }
}

impl ApiResponse for Depart {
    fn meta() -> MetaResponses {
        Json::<IssuersPage>::meta()
    }

    fn register(registry: &mut Registry) {
        IssuersPage::register(registry);
    }
}

impl Oidc {
    async fn start(
        &self,
        caller: &Caller,
        realm: Realm,
        return_to: Option<String>,
    ) -> Answer<SeeOther> {
        let departure = self.services.oidc_start(caller, realm, return_to.as_deref()).await?;
        let Departure { location, cookie } = departure;
        Ok(SeeOther { location, cookie: Some(self.set_cookie(&cookie)) })
    }

    fn set_cookie(&self, value: &str) -> String {
        let https = self.services.is_public_url_https();
        let secure = if https { "; Secure" } else { "" };
        let name = cookie_name(https);
        format!("{name}={value}; Path=/; Max-Age={COOKIE_S}; HttpOnly; SameSite=Lax{secure}")
    }

    async fn arrive(
        &self,
        caller: &Caller,
        realm: Realm,
        browser: Browser,
        arrival: Arrival,
    ) -> Answer<SeeOther> {
        let cookie = browser.0.as_deref();
        let Return { page, link, outcome } =
            self.services.oidc_arrive(caller, realm, cookie, arrival).await?;
        let what = if link { "oidc_link" } else { "oidc" };
        // What stands after `#` goes to no server and into no log.
        let location = match outcome {
            Ok(code) => format!("{page}#{what}={code}"),
            Err(why) => format!("{page}#{what}_error={}", table(why.code).0),
        };
        Ok(SeeOther { location, cookie: None })
    }
}

/// The organisation whose issuer it is; an ill-formed id has none.
fn realm_of(org_id: &str) -> Result<Realm, Problem> {
    path_id(org_id, "provider").map(Realm::Org)
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl Oidc {
    /// Issuers that people may sign in through
    #[oai(path = "/auth/oidc", method = "get", operation_id = "list_oidc_providers")]
    async fn list_oidc_providers(&self) -> Answer<Json<Providers>> {
        let items = self.services.oidc_providers().map(|offered| {
            let name = offered.provider.name.clone();
            let start_url = offered.redirects.then(|| format!("/api/v1/auth/oidc/{name}/start"));
            Provider { name, label: offered.provider.label.clone(), start_url }
        });
        Ok(Json(Providers { items: items.collect(), next_cursor: None }))
    }

    /// Go to an issuer to sign in
    ///
    /// For browsers: with PKCE (S256), a nonce, and a state that is bound to the browser by a cookie.
    #[oai(path = "/auth/oidc/:provider/start", method = "get", operation_id = "oidc_start")]
    async fn oidc_start(
        &self,
        from: From,
        provider: Path<String>,
        /// The page to come back to: one of those that the setting `oidc.return_paths` lists.
        #[oai(validator(max_length = 500))]
        return_to: Query<Option<String>>,
    ) -> Answer<SeeOther> {
        self.start(&from.0, Realm::Provider(provider.0), return_to.0).await
    }

    /// Come back from an issuer
    ///
    /// Leads on to the page, with `#oidc=` and a code for `POST /auth/oidc/complete`, or with `#oidc_error=` and
    /// the code of a problem. Where an account was to be linked, with `#oidc_link=` and a code for
    /// `POST /users/me/identities`, or with `#oidc_link_error=`.
    #[oai(path = "/auth/oidc/:provider/callback", method = "get", operation_id = "oidc_callback")]
    #[allow(clippy::too_many_arguments, reason = "what issuers put into the address")]
    async fn oidc_callback(
        &self,
        from: From,
        browser: Browser,
        provider: Path<String>,
        /// Good once at the issuer.
        #[oai(validator(max_length = 3072))]
        code: Query<Option<String>>,
        /// What the browser left with.
        #[oai(validator(max_length = 500))]
        state: Query<Option<String>>,
        /// The issuer (RFC 9207).
        #[oai(validator(max_length = 500))]
        iss: Query<Option<String>>,
        /// Why there is no code.
        #[oai(validator(max_length = 500))]
        error: Query<Option<String>>,
    ) -> Answer<SeeOther> {
        let arrival = Arrival { code: code.0, state: state.0, iss: iss.0, error: error.0 };
        self.arrive(&from.0, Realm::Provider(provider.0), browser, arrival).await
    }

    /// Sign in with an ID token
    ///
    /// For front ends that got one from the issuer itself, as with Firebase or Google's buttons. 401 `oidc_failed`
    /// says why a token is not good; 401 `mfa_required` asks for the same again with `totp`.
    #[oai(path = "/auth/oidc/:provider/token", method = "post", operation_id = "exchange_id_token")]
    async fn exchange_id_token(
        &self,
        from: From,
        provider: Path<String>,
        body: Json<IdToken>,
    ) -> Answer<Json<Tokens>> {
        let Json(IdToken { id_token, nonce, totp }) = body;
        let exchanged =
            self.services.oidc_exchange(&from.0, &provider.0, &id_token, nonce.as_deref(), totp);
        Ok(Json(exchanged.await?.into()))
    }

    /// Finish a sign-in through an issuer
    ///
    /// With the code from the page's address, in the browser that was sent to the issuer: its cookie goes with it.
    /// 401 `mfa_required` asks for the same again with `totp`.
    #[oai(path = "/auth/oidc/complete", method = "post", operation_id = "complete_oidc")]
    async fn complete_oidc(
        &self,
        from: From,
        browser: Browser,
        body: Json<Completion>,
    ) -> Answer<Json<Tokens>> {
        let Json(Completion { code, totp }) = body;
        let done = self.services.oidc_complete(&from.0, browser.0.as_deref(), &code, totp);
        Ok(Json(done.await?.into()))
    }

    /// Go to an organisation's issuer to sign in
    #[oai(path = "/auth/oidc/org/:org_id/start", method = "get", operation_id = "org_oidc_start")]
    async fn org_oidc_start(
        &self,
        from: From,
        org_id: Path<String>,
        /// The page to come back to: one of those that the setting `oidc.return_paths` lists.
        #[oai(validator(max_length = 500))]
        return_to: Query<Option<String>>,
    ) -> Answer<SeeOther> {
        self.start(&from.0, realm_of(&org_id.0)?, return_to.0).await
    }

    /// Come back from an organisation's issuer
    #[oai(
        path = "/auth/oidc/org/:org_id/callback",
        method = "get",
        operation_id = "org_oidc_callback"
    )]
    #[allow(clippy::too_many_arguments, reason = "what issuers put into the address")]
    async fn org_oidc_callback(
        &self,
        from: From,
        browser: Browser,
        org_id: Path<String>,
        /// Good once at the issuer.
        #[oai(validator(max_length = 3072))]
        code: Query<Option<String>>,
        /// What the browser left with.
        #[oai(validator(max_length = 500))]
        state: Query<Option<String>>,
        /// The issuer (RFC 9207).
        #[oai(validator(max_length = 500))]
        iss: Query<Option<String>>,
        /// Why there is no code.
        #[oai(validator(max_length = 500))]
        error: Query<Option<String>>,
    ) -> Answer<SeeOther> {
        let arrival = Arrival { code: code.0, state: state.0, iss: iss.0, error: error.0 };
        self.arrive(&from.0, realm_of(&org_id.0)?, browser, arrival).await
    }

    /// Look at what a mailed link confirms
    #[oai(path = "/auth/oidc/confirm/look", method = "post", operation_id = "look_at_identity")]
    async fn look_at_identity(
        &self,
        from: From,
        body: Json<ConfirmationToken>,
    ) -> Answer<Json<Confirmation>> {
        let (org, pending) = self.services.look_at_identity(&from.0, &body.0.token)?;
        let (issuer, email) = (pending.issuer, pending.email.as_str().to_owned());
        Ok(Json(Confirmation { org_name: org.name, issuer, email }))
    }

    /// Let an organisation's issuer sign in to your account
    ///
    /// With the link that was mailed to the address that the issuer names. An account is made where there is none.
    #[oai(path = "/auth/oidc/confirm", method = "post", operation_id = "confirm_identity")]
    async fn confirm_identity(
        &self,
        from: From,
        body: Json<ConfirmationToken>,
    ) -> Answer<Json<Done>> {
        self.services.confirm_identity(&from.0, &body.0.token).await?;
        Ok(Json(Done::new("confirmed")))
    }

    /// The accounts at issuers that sign you in
    #[oai(path = "/users/me/identities", method = "get", operation_id = "list_identities")]
    async fn list_identities(&self, person: Person) -> Answer<Json<Identities>> {
        let items = self.services.identities(&person.0)?.into_iter().map(Into::into).collect();
        Ok(Json(Identities { items, next_cursor: None }))
    }

    /// Begin to link an account at an issuer to yours
    ///
    /// Answers where to send the browser, with a cookie that it is to keep: for pages of this server alone. The
    /// issuer sends it back with the code for `POST /users/me/identities`.
    #[oai(path = "/users/me/identities/begin", method = "post", operation_id = "begin_identity")]
    async fn begin_identity(&self, person: Person, body: Json<IdentityToLink>) -> Answer<Depart> {
        let Json(IdentityToLink { provider, password, return_to }) = body;
        let begun =
            self.services.begin_identity(&person.0, provider, password, return_to.as_deref());
        let Departure { location, cookie } = begun.await?;
        Ok(Depart { page: IssuersPage { location }, cookie: self.set_cookie(&cookie) })
    }

    /// Link an account at an issuer to yours
    ///
    /// With the code from the page's address, in the browser and the sign-in in which it was begun: the cookie goes
    /// with it. From then on the issuer signs you in; you are told by mail. 409 `identity_state` for an account
    /// that is linked already.
    #[oai(path = "/users/me/identities", method = "post", operation_id = "link_identity")]
    async fn link_identity(
        &self,
        person: Person,
        browser: Browser,
        body: Json<LinkCode>,
    ) -> Answer<Created<Identity>> {
        let linked =
            self.services.link_identity(&person.0, browser.0.as_deref(), &body.0.code).await?;
        Ok(Created(linked.into()))
    }

    /// Take such an account away
    ///
    /// 409 `identity_state` for the last way to sign in.
    #[oai(
        path = "/users/me/identities/:identity_id",
        method = "delete",
        operation_id = "unlink_identity"
    )]
    async fn unlink_identity(
        &self,
        person: Person,
        identity_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let id: IdentityId = path_id(&identity_id.0, "identity")?;
        self.services.unlink_identity(&person.0, id).await?;
        Ok(Json(Done::new("unlinked")))
    }
}
