//! Around every request: its id, its bounds, its metrics, its log line, safe headers.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use poem::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use poem::{Endpoint, Error, IntoResponse, Request, Response};
use poem_openapi::OperationId;
use poem_openapi::error::{AuthorizationError, ContentTypeError, ParseParamError, ParsePathError};

use super::auth::{self, RequestId};
use super::cors;
use super::methods;
use super::problem::{Cause, Problem};
use super::scim;
use crate::config::Config;
use crate::domain::error::{self, Code};
use crate::services::Services;

/// Longer paths are cut in the log.
const PATH_LOGGED_MAX: usize = 80;
/// The header that carries a request's id back.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// For a year, a browser that was here by HTTPS comes by nothing else (RFC 6797).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// How long a client may take to send what comes before a body.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may take to send a body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How long what grows with the database may take.
const LONG_TIME: Duration = Duration::from_hours(1);

/// What services report comes in lists whose length is theirs to choose.
const WEBHOOKS: &str = "/api/v1/webhooks/";
const WEBHOOK_BODY_MAX: usize = 1 << 20;
/// A group comes with a thousand members, each with an address.
const DIRECTORY_BODY_MAX: usize = 1 << 18;

/// Wraps the routes.
pub struct Observe<E> {
    inner: Arc<E>,
    services: Arc<Services>,
    body_limit: usize,
    time_limit: Duration,
    /// Whether people reach this server by HTTPS.
    https: bool,
    /// Request ids are a random prefix for this start and a count: unique, and cheap to make.
    prefix: String,
    count: AtomicU64,
}

/// How long an operation may take; the wait in line for a seat comes on top.
fn time_limit(config: &Config) -> Duration {
    Duration::from_secs((config.server.request_timeout_s + config.seats.max_wait_s).into())
}

/// The longest that a request may take, from its first byte to its answer; what grows with the
/// database has more.
pub fn longest_request(config: &Config) -> Duration {
    HEAD_TIME + BODY_TIME + time_limit(config)
}

impl<E> Observe<E> {
    /// Wraps `inner`.
    pub fn new(inner: E, services: &Arc<Services>) -> Self {
        let body_limit = services.config.server.body_limit_bytes as usize;
        let time_limit = time_limit(&services.config);
        let prefix = services.entropy.secret_id().simple().to_string()[..12].to_owned();
        Self {
            inner: Arc::new(inner),
            services: Arc::clone(services),
            body_limit,
            time_limit,
            https: services.is_public_url_https(),
            prefix,
            count: AtomicU64::new(0),
        }
    }

    fn body_limit_of(&self, request: &Request) -> usize {
        if request.uri().path().starts_with(WEBHOOKS) {
            return self.body_limit.max(WEBHOOK_BODY_MAX);
        }
        if scim::is_spoken_at(request.uri().path()) {
            return self.body_limit.max(DIRECTORY_BODY_MAX);
        }
        self.body_limit
    }

    /// Reads the body within its bounds of size and time, so that nothing after this waits for the client.
    async fn bounded(&self, request: &mut Request) -> Result<(), Problem> {
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        let limit = self.body_limit_of(request);
        let too_large = || {
            Problem(error::Error::new(
                Code::PayloadTooLarge,
                format!("A body may have at most {limit} bytes."),
            ))
        };
        let declared =
            request.header(header::CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
        if declared.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let body = request.take_body();
        let read = async {
            match declared {
                // The length that was declared bounds it already.
                Some(_) => body.into_bytes().await,
                // In a box, because it holds a buffer that every request would carry otherwise.
                None => Box::pin(body.into_bytes_limit(limit)).await,
            }
        };
        match tokio::time::timeout(BODY_TIME, read).await {
            Ok(Ok(bytes)) => {
                request.set_body(bytes);
                Ok(())
            }
            Ok(Err(poem::error::ReadBodyError::PayloadTooLarge)) => Err(too_large()),
            Ok(Err(_)) => {
                Err(Problem(error::Error::new(Code::InvalidRequest, "The body could not be read.")))
            }
            Err(_) => {
                let text = "The body took longer than 10 seconds to arrive.";
                Err(Problem(error::Error::new(Code::InvalidRequest, text)))
            }
        }
    }
}

impl<E: Endpoint<Output = Response> + 'static> Observe<E> {
    async fn answer(&self, mut request: Request, id: &str) -> Response {
        if let Err(problem) = self.bounded(&mut request).await {
            return problem.into_response();
        }
        if let Some(name) = given_twice(request.uri()) {
            return Problem(error::Error::invalid(&name, "is given more than once"))
                .into_response();
        }
        let (time_limit, _held) = if takes_long(request.method(), request.uri().path()) {
            (LONG_TIME, Some(Arc::clone(&self.services.long_work)))
        } else {
            (self.time_limit, None)
        };
        let operation = async {
            if is_seat_call(request.uri().path()) {
                return self.inner.call(request).await;
            }
            // In a box, so that a seat call does not carry the room for it.
            Box::pin(self.detached(request, id)).await
        };
        // Within the time limit, whatever a disk or a lock does.
        if let Ok(answer) = tokio::time::timeout(time_limit, operation).await {
            return answer.unwrap_or_else(problem_of);
        }
        let text =
            "The request took too long. It may have taken effect; look before you repeat it.";
        Problem(error::Error::new(Code::Overloaded, text).retry_after(5)).into_response()
    }

    /// Does an operation in a task of its own, where it is finished even when the time limit
    /// passes or the client takes its request back: what follows a commit - telling the seat engine, signing with
    /// the new key - must follow it. A panic there is an answer, not a lost connection.
    async fn detached(&self, request: Request, id: &str) -> poem::Result<Response> {
        let inner = Arc::clone(&self.inner);
        let span = tracing::info_span!("request", request_id = id);
        let operation = async move { inner.call(request).await };
        tokio::spawn(tracing::Instrument::instrument(operation, span))
            .await
            .unwrap_or_else(|fault| Err(Problem(error::Error::internal(fault)).into()))
    }
}

impl<E: Endpoint<Output = Response> + 'static> Endpoint for Observe<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let id: Arc<str> =
            format!("{}-{}", self.prefix, self.count.fetch_add(1, Ordering::Relaxed)).into();
        request.set_data(RequestId(Arc::clone(&id)));
        request.set_data(Arc::clone(&self.services));
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        // Seat calls come by the thousand, and what is refused of them is no attempt at anything.
        let from = (!is_seat_call(&path)).then(|| auth::address(&request));
        let page = cors::allowed(&self.services.config.server.cors_origins, &request);
        let mut response = if page.is_some() && cors::is_preflight(&request) {
            cors::preflight()
        } else {
            self.answer(request, &id).await
        };
        if response.status().as_u16() >= 400 && scim::is_spoken_at(&path) {
            response = Box::pin(scim::in_scim(response)).await;
        }
        let took = started.elapsed();
        let status = response.status().as_u16();
        let operation = response.data::<OperationId>().map_or("", |operation| operation.0);
        self.services.metrics.operation(operation).record(status, took);
        if let Some(Cause { code, internal }) = response.data() {
            tracing::error!(request_id = &*id, code, internal, "a request failed");
        }
        log(&id, from, &method, &path, operation, status, took);
        let headers = response.headers_mut();
        cors::vary(&self.services.config.server.cors_origins, headers);
        if let Some(origin) = page {
            cors::allow(headers, origin);
        }
        if self.https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert(REQUEST_ID, id);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED.as_u16()
            && !headers.contains_key(header::ALLOW)
            && let Some(Ok(allowed)) = methods::allowed(&path).map(HeaderValue::from_str)
        {
            headers.insert(header::ALLOW, allowed);
        }
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            secure(headers);
        }
        Ok(response)
    }
}

/// What licensed applications call by the thousand a second. They go without a task and a span of
/// their own, which cost as much as the rest of a heartbeat does: the services see to it that
/// a seat call that is cut off leaves nothing half done, and what goes wrong in one is logged with
/// the request's id by [`Observe`] itself.
fn is_seat_call(path: &str) -> bool {
    path.strip_prefix("/api/v1/licenses/")
        .is_some_and(|call| matches!(call, "heartbeat" | "acquire" | "release" | "validate"))
}

/// A parameter of the query that stands there twice: which of them counts, the programs on the way here
/// may answer differently.
fn given_twice(uri: &Uri) -> Option<String> {
    let query = uri.query().filter(|_| uri.path().starts_with("/api/"))?;
    let mut seen = HashSet::new();
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let twice = names.find(|name| !seen.insert(name.clone()))?;
    Some(twice.chars().take(100).collect())
}

/// Whether the time that it takes grows with the database.
fn takes_long(method: &Method, path: &str) -> bool {
    let Some(call) = path.strip_prefix("/api/v1/admin/") else { return false };
    match *method {
        Method::GET => call == "diagnostics",
        Method::POST => {
            call == "backups" || call.starts_with("backups/") && call.ends_with("/restore")
        }
        _ => false,
    }
}

/// An answer of the API is for programs: it is not to be kept, guessed at, framed or run.
fn secure(headers: &mut poem::http::HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    );
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// One line a request. Seat calls and reads come by the thousand: they are logged at `debug`, unless
/// somebody tried what is not theirs. An operation is named rather than its path, which may carry the
/// secret id of a session.
fn log(
    id: &str,
    from: Option<IpAddr>,
    method: &Method,
    path: &str,
    operation: &str,
    status: u16,
    took: Duration,
) {
    let micros = took.as_micros() as u64;
    let what =
        if operation.is_empty() { path.get(..PATH_LOGGED_MAX).unwrap_or(path) } else { operation };
    let frequent = *method == Method::GET
        || matches!(
            operation,
            "heartbeat" | "heartbeat_put" | "acquire" | "release" | "release_delete" | "validate"
        );
    match (status, from) {
        (500.., _) => tracing::warn!(request_id = id, %method, what, status, micros, "answered"),
        (401 | 403 | 429, Some(from)) => {
            tracing::info!(request_id = id, %from, %method, what, status, micros, "refused");
        }
        _ if frequent => {
            tracing::debug!(request_id = id, %method, what, status, micros, "answered");
        }
        _ => tracing::info!(request_id = id, %method, what, status, micros, "answered"),
    }
}

/// Whatever the framework refuses, in the product's own form.
fn problem_of(error: Error) -> Response {
    let operation = error.data::<OperationId>().copied();
    let mut response = translate(error);
    if let Some(operation) = operation {
        response.set_data(operation);
    }
    response
}

fn translate(error: Error) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }
    let refuse = |code, text: String| Problem(error::Error::new(code, text)).into_response();
    if error.is::<AuthorizationError>() {
        return refuse(
            Code::Unauthenticated,
            "Send `Authorization: Bearer <access token>`.".to_owned(),
        );
    }
    if let Some(cause) = error.downcast_ref::<ParseParamError>() {
        return Problem(error::Error::invalid(cause.name, plain(&cause.reason))).into_response();
    }
    if let Some(cause) = error.downcast_ref::<ParsePathError>() {
        return refuse(Code::NotFound, format!("There is nothing with this {}.", cause.name));
    }
    if error.is::<ContentTypeError>() {
        return refuse(
            Code::UnsupportedMediaType,
            "Send the body as `Content-Type: application/json`.".to_owned(),
        );
    }
    match error.status() {
        StatusCode::NOT_FOUND => refuse(
            Code::NotFound,
            "There is nothing at this address; /docs lists what there is.".to_owned(),
        ),
        StatusCode::METHOD_NOT_ALLOWED => refuse(
            Code::MethodNotAllowed,
            "This address has other methods; see the Allow header.".to_owned(),
        ),
        status if status.is_client_error() => refuse(Code::InvalidRequest, format!("{error}.")),
        _ => Problem(error::Error::internal(error)).into_response(),
    }
}

/// The framework's words without its type names.
fn plain(reason: &str) -> String {
    let reason = match reason.split_once("\": ") {
        Some((_, rest)) if reason.starts_with("failed to parse") => rest,
        _ => reason,
    };
    reason.split(" (occurred while parsing").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_with_the_database_has_more_time() {
        for (method, call, long) in [
            (Method::POST, "backups", true),
            (Method::POST, "backups/a.backup/restore", true),
            (Method::GET, "diagnostics", true),
            (Method::GET, "backups", false),
            (Method::POST, "plans/1/restore", false),
            (Method::POST, "licenses", false),
        ] {
            assert_eq!(takes_long(&method, &format!("/api/v1/admin/{call}")), long, "{call}");
        }
    }
}
