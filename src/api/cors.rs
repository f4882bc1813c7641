//! Pages of other origins, where the settings let them call the API from a browser.
//!
//! The protocol of the Fetch standard (section 3.3), without credentials: who calls is told by the
//! `Authorization` header alone, so there is no cookie that another page could use.

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};

use crate::config::Origins;

/// How long a browser need not ask again, in seconds.
const MAX_AGE: &str = "3600";
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const ASKED: &str = "authorization, content-type, coditect-organisation";
const TOLD: &str = "coditect-organisation, ratelimit, ratelimit-policy, retry-after, x-request-id";

/// The origin of the page that sends this, if it may call the API.
pub fn allowed(origins: &Origins, request: &Request) -> Option<HeaderValue> {
    if origins.is_empty() {
        return None;
    }
    let api = ["/api/", "/.well-known/"];
    if !api.iter().any(|prefix| request.uri().path().starts_with(prefix)) {
        return None;
    }
    let origin = request.headers().get(header::ORIGIN)?;
    origins.contains(origin.to_str().ok()?).then(|| origin.clone())
}

/// Whether a browser asks beforehand what a page may send.
pub fn is_preflight(request: &Request) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that.
pub fn preflight() -> Response {
    Response::builder()
        .status(StatusCode::NO_CONTENT)
        .header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
        .header(header::ACCESS_CONTROL_ALLOW_HEADERS, ASKED)
        .header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE)
        .finish()
}

/// Lets the page of this origin read the answer.
pub fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(TOLD));
}

/// Says to caches that answers differ by the page that asks, where there are such pages.
pub fn vary(origins: &Origins, headers: &mut HeaderMap) {
    if !origins.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}
