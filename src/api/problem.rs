//! Errors on the wire: `application/problem+json` (RFC 9457). One table maps each code
//! to its status and title; everything else about an error comes from the error itself.

use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde::Serialize;

use crate::domain::error::{Code, Error, RateLimit};

/// The media type of RFC 9457.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Each code with its word on the wire, its status and its title.
#[rustfmt::skip]
pub fn table(code: Code) -> (&'static str, StatusCode, &'static str) {
    match code {
        Code::InvalidRequest         => ("invalid_request",          StatusCode::BAD_REQUEST,            "The request is not valid"),
        Code::MalformedJson          => ("malformed_json",           StatusCode::BAD_REQUEST,            "The body is not well-formed JSON"),
        Code::ValidationFailed       => ("validation_failed",        StatusCode::BAD_REQUEST,            "A field breaks a rule"),
        Code::WeakPassword           => ("weak_password",            StatusCode::BAD_REQUEST,            "Choose another password"),
        Code::InvalidToken           => ("invalid_token",            StatusCode::BAD_REQUEST,            "The link is not good"),
        Code::InvalidCursor          => ("invalid_cursor",           StatusCode::BAD_REQUEST,            "The cursor is not good"),
        Code::InvalidFilter          => ("invalid_filter",           StatusCode::BAD_REQUEST,            "The filter is not understood"),
        Code::InvalidPath            => ("invalid_path",             StatusCode::BAD_REQUEST,            "The path is not good"),
        Code::NoTarget               => ("no_target",                StatusCode::BAD_REQUEST,            "The change names no target"),
        Code::ReadOnly               => ("read_only",                StatusCode::BAD_REQUEST,            "The attribute cannot be changed so"),
        Code::InvalidSignature       => ("invalid_signature",        StatusCode::BAD_REQUEST,            "The signature is not good"),
        Code::NotFound               => ("not_found",                StatusCode::NOT_FOUND,              "Not found"),
        Code::MethodNotAllowed       => ("method_not_allowed",       StatusCode::METHOD_NOT_ALLOWED,     "The method is not allowed here"),
        Code::PayloadTooLarge        => ("payload_too_large",        StatusCode::PAYLOAD_TOO_LARGE,      "The body is too large"),
        Code::UnsupportedMediaType   => ("unsupported_media_type",   StatusCode::UNSUPPORTED_MEDIA_TYPE, "The media type is not supported"),
        Code::Unauthenticated        => ("unauthenticated",          StatusCode::UNAUTHORIZED,           "No good credentials"),
        Code::InvalidCredentials     => ("invalid_credentials",      StatusCode::UNAUTHORIZED,           "The credentials are not right"),
        Code::MfaRequired            => ("mfa_required",             StatusCode::UNAUTHORIZED,           "A second factor is asked for"),
        Code::InvalidTotp            => ("invalid_totp",             StatusCode::UNAUTHORIZED,           "The code is not right"),
        Code::MfaEnrolmentRequired   => ("mfa_enrolment_required",   StatusCode::FORBIDDEN,              "Set up a second factor first"),
        Code::TokenReused            => ("token_reused",             StatusCode::UNAUTHORIZED,           "The refresh token was spent before"),
        Code::EmailUnverified        => ("email_unverified",         StatusCode::FORBIDDEN,              "The e-mail address is not verified"),
        Code::AccountDeactivated     => ("account_deactivated",      StatusCode::FORBIDDEN,              "The account is closed"),
        Code::OidcFailed             => ("oidc_failed",              StatusCode::UNAUTHORIZED,           "The sign-in through the issuer failed"),
        Code::IdentityUnverified     => ("identity_unverified",      StatusCode::FORBIDDEN,              "The issuer vouches for no e-mail address"),
        Code::IdentityUnconfirmed    => ("identity_unconfirmed",     StatusCode::FORBIDDEN,              "The mailed link has to be followed first"),
        Code::Forbidden              => ("forbidden",                StatusCode::FORBIDDEN,              "Not allowed"),
        Code::RateLimited            => ("rate_limited",             StatusCode::TOO_MANY_REQUESTS,      "Too many requests"),
        Code::EmailTaken             => ("email_taken",              StatusCode::CONFLICT,               "The e-mail address has an account"),
        Code::PlanNameTaken          => ("plan_name_taken",          StatusCode::CONFLICT,               "The plan name is taken"),
        Code::PlanUnavailable        => ("plan_unavailable",         StatusCode::CONFLICT,               "The plan is not on sale"),
        Code::PriceTaken             => ("price_taken",              StatusCode::CONFLICT,               "The price is another plan's"),
        Code::SubscriptionExists     => ("subscription_exists",      StatusCode::CONFLICT,               "There is a subscription already"),
        Code::PaymentExists          => ("payment_exists",           StatusCode::CONFLICT,               "The payment is recorded already"),
        Code::PaymentState           => ("payment_state",            StatusCode::CONFLICT,               "The payment does not allow that"),
        Code::ProviderRefused        => ("provider_refused",         StatusCode::CONFLICT,               "The payment provider refuses"),
        Code::TrialUsed              => ("trial_used",               StatusCode::CONFLICT,               "The trial was used"),
        Code::TrialUnavailable       => ("trial_unavailable",        StatusCode::CONFLICT,               "The plan has no trial"),
        Code::SetupDone              => ("setup_done",               StatusCode::CONFLICT,               "Set-up is done"),
        Code::SubscriptionState      => ("subscription_state",       StatusCode::CONFLICT,               "The subscription does not allow that now"),
        Code::LicenseState           => ("license_state",            StatusCode::CONFLICT,               "The licence does not allow that now"),
        Code::LicenseNotFound        => ("license_not_found",        StatusCode::NOT_FOUND,              "No such licence"),
        Code::LicenseInactive        => ("license_inactive",         StatusCode::FORBIDDEN,              "The licence is not active yet"),
        Code::LicenseSuspended       => ("license_suspended",        StatusCode::FORBIDDEN,              "The licence is suspended"),
        Code::LicenseExpired         => ("license_expired",          StatusCode::FORBIDDEN,              "The licence has expired"),
        Code::LicenseRevoked         => ("license_revoked",          StatusCode::FORBIDDEN,              "The licence was revoked"),
        Code::ActivationLimitReached => ("activation_limit_reached", StatusCode::CONFLICT,               "All machines are activated"),
        Code::NoSeatsAvailable       => ("no_seats_available",       StatusCode::CONFLICT,               "All seats are in use"),
        Code::SessionNotFound        => ("session_not_found",        StatusCode::NOT_FOUND,              "No such session"),
        Code::BackupUnusable         => ("backup_unusable",          StatusCode::CONFLICT,               "The backup cannot be used"),
        Code::MailState              => ("mail_state",               StatusCode::CONFLICT,               "The message does not allow that now"),
        Code::LastOperator           => ("last_operator",            StatusCode::CONFLICT,               "The last operator"),
        Code::SecondFactorState      => ("second_factor_state",      StatusCode::CONFLICT,               "The second factor does not allow that now"),
        Code::MemberState            => ("member_state",             StatusCode::CONFLICT,               "The membership does not allow that"),
        Code::InvitationExists       => ("invitation_exists",        StatusCode::CONFLICT,               "That address is invited already"),
        Code::OrgState               => ("org_state",                StatusCode::CONFLICT,               "The organisation does not allow that now"),
        Code::NameTaken              => ("name_taken",               StatusCode::CONFLICT,               "Something else has that name"),
        Code::DomainTaken            => ("domain_taken",             StatusCode::CONFLICT,               "The domain belongs to another organisation"),
        Code::DomainUnproven         => ("domain_unproven",          StatusCode::CONFLICT,               "Nothing proves whose the domain is"),
        Code::IdentityState          => ("identity_state",           StatusCode::CONFLICT,               "The linked account does not allow that"),
        Code::TooManyKeys            => ("too_many_keys",            StatusCode::CONFLICT,               "Too many API keys"),
        Code::BillingNotConfigured   => ("billing_not_configured",   StatusCode::CONFLICT,               "No payment provider is configured"),
        Code::WebhookNotConfigured   => ("webhook_not_configured",   StatusCode::SERVICE_UNAVAILABLE,    "Webhooks cannot be verified"),
        Code::ProviderUnavailable    => ("provider_unavailable",     StatusCode::SERVICE_UNAVAILABLE,    "The payment provider is away"),
        Code::NamesUnavailable       => ("names_unavailable",        StatusCode::SERVICE_UNAVAILABLE,    "No name server answers"),
        Code::IssuerUnavailable      => ("issuer_unavailable",       StatusCode::SERVICE_UNAVAILABLE,    "The issuer is away"),
        Code::StorageUnavailable     => ("storage_unavailable",      StatusCode::SERVICE_UNAVAILABLE,    "Storage refuses writes"),
        Code::Overloaded             => ("overloaded",               StatusCode::SERVICE_UNAVAILABLE,    "Too much to do just now"),
        Code::ShuttingDown           => ("shutting_down",            StatusCode::SERVICE_UNAVAILABLE,    "Shutting down"),
        Code::Internal               => ("internal",                 StatusCode::INTERNAL_SERVER_ERROR,  "A fault of the server"),
    }
}

/// An error as an answer.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// What the client reads.
#[derive(poem_openapi::Object, Serialize)]
#[oai(rename = "Problem")]
struct Body {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened, why, and what to do.
    detail: String,
    /// The stable name of the kind, for programs.
    code: String,
    /// Which fields break which rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldProblem>>,
    /// How full the licence is, when it is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    seats: Option<super::wire::Seats>,
    /// Seconds after which trying again makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
}

/// A field that breaks a rule.
#[derive(poem_openapi::Object, Serialize)]
struct FieldProblem {
    /// The field's name; nested names are joined with a dot.
    field: String,
    /// What it must be.
    message: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let (code, status, title) = table(error.code);
        let fields: Vec<FieldProblem> = error
            .fields
            .into_iter()
            .map(|field| FieldProblem { field: field.field, message: field.message })
            .collect();
        let body = Body {
            kind: format!("/handbook/api#{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: error.detail,
            code: code.to_owned(),
            errors: (!fields.is_empty()).then_some(fields),
            seats: error.seats.map(Into::into),
            retry_after: error.retry_after_s,
        };
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response =
            Response::builder().status(status).content_type(CONTENT_TYPE).body(bytes);
        let headers = response.headers_mut();
        if let Some(seconds) = error.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(limit) = error.limit {
            describe_limit(headers, limit, error.retry_after_s.unwrap_or(limit.window_s));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"coditect\""),
            );
        }
        if let Some(internal) = error.internal {
            response.set_data(Cause { code, internal });
        }
        response
    }
}

/// The `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers-10): structured fields whose items
/// are named after the policy. A refusal has no tries left, `t` seconds from the next.
fn describe_limit(headers: &mut HeaderMap, limit: RateLimit, next_s: u32) {
    let RateLimit { policy, quota, window_s } = limit;
    let fields = [
        ("ratelimit-policy", format!("\"{policy}\";q={quota};w={window_s}")),
        ("ratelimit", format!("\"{policy}\";r=0;t={next_s}")),
    ];
    for (name, text) in fields {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

/// What is logged of a problem and never sent. It travels with the response to where the request's
/// id is known.
#[derive(Clone)]
pub(super) struct Cause {
    pub(super) code: &'static str,
    pub(super) internal: String,
}

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> Self {
        let mut response = problem.into_response();
        // An error puts its own data in place of its response's.
        let cause = response.extensions_mut().remove::<Cause>();
        let mut error = Self::from_response(response);
        if let Some(cause) = cause {
            error.set_data(cause);
        }
        error
    }
}

/// Every operation may answer with a problem: the document says so once, as the `default` response.
impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: CONTENT_TYPE, schema: schema() }];
        MetaResponses {
            responses: vec![MetaResponse {
                description: "A problem (RFC 9457): `code` says which.",
                status: None,
                status_range: None,
                content,
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        Body::register(registry);
    }
}

fn schema() -> MetaSchemaRef {
    Body::schema_ref()
}
