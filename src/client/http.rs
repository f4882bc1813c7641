//! The calls, over HTTP.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Response, StatusCode, Url, header};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::{Error, Refusal, Result, SeatCount};

/// More than any answer that is expected.
const BODY_BYTES_MAX: usize = 64 << 10;
/// More than any explanation that is read by people.
const TEXT_CHARS_MAX: usize = 500;
/// A pause that a server asks for is not longer.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
/// Heartbeats are minutes apart: a connection kept between them would only be found broken.
const IDLE: Duration = Duration::from_secs(15);
/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// Why a call did not do what it was to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The server does not know the session.
    NoSession,
    /// Every seat is held.
    Full { seats: SeatCount, retry_after: Option<Duration> },
    /// The server lets nobody wait in line for so long.
    NoSuchWait,
    /// No, whenever asked.
    Refused(Refusal),
    /// No answer, or none that tells anything about the seat; it may come at the next try.
    Away { cause: String, retry_after: Option<Duration> },
}

/// A seat as the server granted it.
#[derive(Clone, Deserialize)]
pub(super) struct Granted {
    pub(super) session_id: String,
    pub(super) expires_in: u64,
    pub(super) heartbeat_interval: u64,
    pub(super) status: String,
    /// Whether it was granted just now, rather than held by this machine already.
    #[serde(skip)]
    pub(super) fresh: bool,
}

/// A heartbeat's answer.
#[derive(Clone, Deserialize)]
pub(super) struct Alive {
    pub(super) expires_in: u64,
    pub(super) license_status: String,
}

/// What a keeper asks of a server.
pub(super) trait Server {
    /// Takes a seat; with `in_line`, waits so long for one to come free.
    async fn acquire(&self, in_line: Duration) -> Result<Granted, Fault>;
    /// Keeps it.
    async fn heartbeat(&self, session_id: &str) -> Result<Alive, Fault>;
    /// Gives it back.
    async fn release(&self, session_id: &str) -> Result<(), Fault>;
}

/// Whether a licence may be used, as [`Builder::validate`](super::Builder::validate) learns it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Validation {
    /// Whether it may be used now.
    pub valid: bool,
    /// `valid` or `grace`, or why not: `license_suspended`, `license_not_found` ...
    pub code: String,
    /// The licence, where the key is one's.
    pub license: Option<License>,
}

/// A licence, as far as an application has use for it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct License {
    /// `active`, `grace`, `suspended`, `expired`, `revoked` or `inactive`.
    pub status: String,
    /// The plan's name when it was issued.
    pub plan_name: String,
    /// Seats that may be held at once.
    pub max_concurrent_seats: u32,
    /// Seats held now.
    pub seats_used: u32,
    /// Until when it is active (RFC 3339); none: without end.
    pub expiry_date: Option<String>,
    /// Until when it works, while in grace (RFC 3339).
    pub grace_period_ends_at: Option<String>,
}

/// Who asks, and whom.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) server: String,
    pub(super) license_key: Zeroizing<String>,
    pub(super) hardware_id: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) timeout: Duration,
    pub(super) certificates: Vec<Vec<u8>>,
}

/// A server that is called over HTTP.
pub(super) struct Http {
    settings: Settings,
    base: Url,
    client: reqwest::Client,
}

#[derive(Serialize)]
struct Acquire<'a> {
    license_key: &'a str,
    hardware_id: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_zero")]
    wait_seconds: u64,
}

#[derive(Serialize)]
struct Validate<'a> {
    license_key: &'a str,
    hardware_id: &'a str,
}

#[derive(Serialize)]
struct Session<'a> {
    session_id: &'a str,
}

/// RFC 9457, as far as it is needed.
#[derive(Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    detail: String,
    seats: Option<Count>,
    #[serde(default)]
    errors: Vec<FieldProblem>,
}

#[derive(Deserialize)]
struct Count {
    max: u32,
    used: u32,
}

#[derive(Deserialize)]
struct FieldProblem {
    field: String,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Http {
    pub(super) fn new(settings: Settings) -> Result<Self> {
        let base = address(&settings.server)?;
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("coditect-client/", env!("CARGO_PKG_VERSION")))
            // A redirected POST would carry the licence key to wherever, or become a GET.
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE);
        if base.scheme() == "http" {
            // Without this the computer's certificates would be read, and have to be there.
            client = client.tls_certs_only([]);
        }
        for pem in &settings.certificates {
            let bundle = Certificate::from_pem_bundle(pem).map_err(|error| {
                Error::Settings(format!(
                    "the certificate cannot be read as PEM: {}",
                    causes(&error)
                ))
            })?;
            client = client.tls_certs_merge(bundle);
        }
        let client = client.build().map_err(|error| {
            Error::Settings(format!("no secure connection can be made: {}", causes(&error)))
        })?;
        Ok(Self { settings, base, client })
    }

    /// The server's name, for messages.
    pub(super) fn server(&self) -> String {
        shown(&self.base)
    }

    /// A fault of this server, for the application.
    pub(super) fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::Full { seats, retry_after } => Error::Full { seats, retry_after },
            Fault::Refused(refusal) => Error::Refused(refusal),
            Fault::Away { cause, .. } => Error::Unreachable { server: self.server(), cause },
            Fault::NoSession | Fault::NoSuchWait => Error::Unreachable {
                server: self.server(),
                cause: "its answer does not belong to the question".to_owned(),
            },
        }
    }

    pub(super) async fn validate(&self) -> Result<Validation, Fault> {
        let Settings { license_key, hardware_id, .. } = &self.settings;
        let (_, body) =
            self.post("validate", &Validate { license_key, hardware_id }, Duration::ZERO).await?;
        understood(&body)
    }

    async fn post<B: Serialize>(
        &self,
        call: &str,
        body: &B,
        in_line: Duration,
    ) -> Result<(StatusCode, Vec<u8>), Fault> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/api/v1/licenses/{call}", self.base.path().trim_end_matches('/')));
        let time = self.settings.timeout.saturating_add(in_line);
        let sent = self.client.post(url).timeout(time).json(body).send().await;
        let response = sent.map_err(|error| away(causes(&error.without_url())))?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let body = read(response).await?;
        if status.is_success() {
            return Ok((status, body));
        }
        Err(fault(status, &body, retry_after))
    }
}

impl Server for Http {
    async fn acquire(&self, in_line: Duration) -> Result<Granted, Fault> {
        let Settings { license_key, hardware_id, metadata, .. } = &self.settings;
        let wait_seconds = in_line.as_secs();
        let ask = Acquire { license_key, hardware_id, metadata, wait_seconds };
        let (status, body) = self.post("acquire", &ask, in_line).await?;
        let granted: Granted = understood(&body)?;
        Ok(Granted { fresh: status == StatusCode::CREATED, ..granted })
    }

    async fn heartbeat(&self, session_id: &str) -> Result<Alive, Fault> {
        let (_, body) = self.post("heartbeat", &Session { session_id }, Duration::ZERO).await?;
        understood(&body)
    }

    async fn release(&self, session_id: &str) -> Result<(), Fault> {
        self.post("release", &Session { session_id }, Duration::ZERO).await.map(drop)
    }
}

/// The name of the server with this address.
pub(super) fn server_name(address_text: &str) -> Result<String> {
    address(address_text).map(|url| shown(&url))
}

/// Without credentials that the address may carry.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.as_str().trim_end_matches('/').to_owned()
}

fn address(text: &str) -> Result<Url> {
    let bad = |why: &str| {
        Error::Settings(format!(
            "{text:?} is no address of a licence server: {why}. It looks like https://licensing.example.com"
        ))
    };
    let scheme = "it has to begin with https:// or http://";
    if !text.contains("://") {
        return Err(bad(scheme));
    }
    let mut url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad(scheme));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

async fn read(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| away(causes(&error.without_url())))?
    {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(away("the answer is too long to be this server's".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn understood<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| away(format!("its answer is not that of a licence server ({error})")))
}

/// Only the problem's own code decides: a 404 from something else in between says nothing about a seat.
fn fault(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Fault {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        let hint = if status.is_redirection() { "; give the address it leads to" } else { "" };
        return Fault::Away {
            cause: format!("it answered {status}, not as a licence server does{hint}"),
            retry_after,
        };
    };
    let code = tame(&problem.code);
    let detail = tame(&problem.detail);
    match (code.as_str(), problem.seats) {
        ("session_not_found", _) => Fault::NoSession,
        ("no_seats_available", Some(Count { max, used })) => {
            Fault::Full { seats: SeatCount { max, used }, retry_after }
        }
        ("validation_failed", _) if problem.errors.iter().any(|e| e.field == "wait_seconds") => {
            Fault::NoSuchWait
        }
        (word, _) if word.starts_with("license_") || status == StatusCode::BAD_REQUEST => {
            Fault::Refused(Refusal { code, detail })
        }
        // Too many requests, a fault of the server, or an address below its own.
        _ => Fault::Away { cause: format!("{detail} ({code})"), retry_after },
    }
}

/// Seconds; a date would need a calendar that both sides agree on, and this server sends none.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds =
        response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn away(cause: String) -> Fault {
    Fault::Away { cause, retry_after: None }
}

/// What a server says is shown on terminals and in logs: short, and without control characters.
fn tame(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

/// An error with what caused it: the outermost alone says only that something could not be sent.
fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut last = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        last = cause.to_string();
        source = cause.source();
    }
    tame(&last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, body: &str) -> Fault {
        fault(StatusCode::from_u16(status).unwrap(), body.as_bytes(), Some(Duration::from_secs(7)))
    }

    fn refusal(code: &str, detail: &str) -> Fault {
        Fault::Refused(Refusal { code: code.to_owned(), detail: detail.to_owned() })
    }

    #[test]
    fn the_code_of_a_problem_decides() {
        assert_eq!(problem(404, r#"{"code":"session_not_found"}"#), Fault::NoSession);
        let full = problem(
            409,
            r#"{"code":"no_seats_available","seats":{"max":3,"used":3,"available":0}}"#,
        );
        let seats = SeatCount { max: 3, used: 3 };
        assert_eq!(full, Fault::Full { seats, retry_after: Some(Duration::from_secs(7)) });
        let suspended = r#"{"code":"license_suspended","detail":"Not paid."}"#;
        assert_eq!(problem(403, suspended), refusal("license_suspended", "Not paid."));
        let long = r#"{"code":"validation_failed","errors":[{"field":"wait_seconds","message":"must be at most 5"}]}"#;
        assert_eq!(problem(400, long), Fault::NoSuchWait);
        let bad =
            r#"{"code":"validation_failed","detail":"no","errors":[{"field":"hardware_id"}]}"#;
        assert_eq!(problem(400, bad), refusal("validation_failed", "no"));
    }

    #[test]
    fn what_is_not_said_by_the_server_itself_says_nothing_about_a_seat() {
        for (status, body) in [
            (404, "<html>Not Found</html>"),
            (403, "{}"),
            (404, r#"{"code":"not_found"}"#),
            (401, r#"{"code":"unauthenticated"}"#),
            (302, ""),
            (429, r#"{"code":"rate_limited"}"#),
            (503, r#"{"code":"shutting_down"}"#),
            (500, r#"{"code":"internal"}"#),
            (502, "Bad Gateway"),
        ] {
            let Fault::Away { retry_after, .. } = problem(status, body) else {
                panic!("{status} {body}")
            };
            assert_eq!(retry_after, Some(Duration::from_secs(7)), "{status}");
        }
    }

    #[test]
    fn what_the_server_says_cannot_write_on_a_terminal() {
        let text =
            format!(r#"{{"code":"license_expired","detail":"a\u001b[2Jb{}"}}"#, "x".repeat(9_999));
        let Fault::Refused(Refusal { detail, .. }) = problem(403, &text) else { panic!() };
        assert!(detail.starts_with("a[2Jb") && detail.len() == TEXT_CHARS_MAX, "{detail}");
    }

    #[test]
    fn an_address_may_have_a_path_and_must_be_http() {
        assert_eq!(
            address(" https://a.example/licensing/?x#y ").unwrap().as_str(),
            "https://a.example/licensing/"
        );
        for bad in ["", "licensing.example.com", "ftp://a.example", "unix:/x", "https://"] {
            let error = address(bad).unwrap_err();
            assert!(error.to_string().contains("address of a licence server"), "{bad}: {error}");
        }
    }
}
