//! Handing mails to SendGrid's v3 API.
//!
//! It has no idempotency keys: a mail whose answer was lost is handed over again, and may arrive
//! twice. Both carry the same `Message-ID`.

use std::error::Error as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::Mailbox;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Letter, SendError, Taken, message_id, told};
use crate::config::{self, Secret};
use crate::mail::render::LOGO_ID;

const CONNECT: Duration = Duration::from_secs(10);
/// More of an answer is not read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// An account with SendGrid.
#[derive(Debug)]
pub(super) struct Sendgrid {
    base: String,
    api_key: Option<Secret>,
    client: Client,
}

/// What it says of a request that it refuses.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    errors: Vec<Complaint>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Complaint {
    message: String,
    field: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Scopes {
    scopes: Vec<String>,
}

impl Sendgrid {
    pub(super) fn new(settings: &config::Sendgrid) -> Result<Self, SendError> {
        let mut client = Client::builder()
            .user_agent(concat!("coditect/", env!("CARGO_PKG_VERSION")))
            // A redirected request would carry the API key to wherever.
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(Duration::from_secs(settings.timeout_s.into()));
        let base = settings.base_url.as_str().to_owned();
        if base.starts_with("http://") {
            // Without this the computer's certificates would be read, and have to be there.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| SendError::Transport(causes(&error)))?;
        Ok(Self { base, api_key: settings.api_key.clone(), client })
    }

    /// Hands over one mail to one recipient.
    pub(super) async fn send(
        &self,
        from: &Mailbox,
        letter: &Letter<'_>,
    ) -> Result<Taken, SendError> {
        let request = self.client.post(format!("{}/v3/mail/send", self.base));
        let sent = request.bearer_auth(self.key()).json(&body(from, letter)).send().await;
        let response = sent.map_err(|error| self.unanswered(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(refusal(response).await);
        }
        let id = response.headers().get("x-message-id").and_then(|id| id.to_str().ok());
        let provider_id = id.map(told).filter(|id| !id.is_empty());
        Ok(Taken { answer: status.to_string(), provider_id })
    }

    /// Whether the key may send mail; sends nothing.
    pub(super) async fn check(&self) -> Result<String, SendError> {
        let request = self.client.get(format!("{}/v3/scopes", self.base));
        let sent = request.bearer_auth(self.key()).send().await;
        let response = sent.map_err(|error| self.unanswered(&error))?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let scopes: Scopes = serde_json::from_slice(&read(response).await).unwrap_or_default();
        if scopes.scopes.iter().any(|scope| scope == "mail.send") {
            return Ok(format!("SendGrid at {} takes the API key", self.base));
        }
        Err(SendError::Transport("the SendGrid API key may not send mail (mail.send)".to_owned()))
    }

    fn key(&self) -> &str {
        self.api_key.as_ref().map_or("", Secret::expose)
    }

    fn unanswered(&self, error: &reqwest::Error) -> SendError {
        let told = format!("SendGrid at {} does not answer: {}", self.base, causes(error));
        // Once connected, it may be this one mail that takes too long.
        if error.is_connect() { SendError::Unreachable(told) } else { SendError::Deferred(told) }
    }
}

fn body(from: &Mailbox, letter: &Letter<'_>) -> Value {
    let rendered = letter.rendered;
    let mut sender = json!({"email": from.email.to_string()});
    if let Some(name) = &from.name {
        sender["name"] = json!(name);
    }
    let mut body = json!({
        "personalizations": [{
            "to": [{"email": letter.to}],
            // Comes back with every event about the mail.
            "custom_args": {"mail_id": letter.mail_id.to_string()},
        }],
        "from": sender,
        "subject": rendered.subject,
        // Plain text has to come first.
        "content": [
            {"type": "text/plain", "value": rendered.text},
            {"type": "text/html", "value": rendered.html},
        ],
        "headers": {
            "Message-ID": message_id(letter.mail_id, from),
            "Auto-Submitted": "auto-generated",
        },
        // Tracked links lead through SendGrid: those that open accounts must not.
        "tracking_settings": {
            "click_tracking": {"enable": false, "enable_text": false},
            "open_tracking": {"enable": false},
        },
    });
    let mut attachments: Vec<Value> = letter
        .attachments
        .iter()
        .map(|attachment| {
            json!({
                "content": STANDARD.encode(&attachment.content),
                "filename": attachment.file_name,
                "type": attachment.content_type,
                "disposition": "attachment",
            })
        })
        .collect();
    if let Some(logo) = &rendered.logo {
        attachments.push(json!({
            "content": STANDARD.encode(&logo.content),
            "filename": logo.file_name,
            "type": logo.content_type,
            "disposition": "inline",
            "content_id": LOGO_ID,
        }));
    }
    if !attachments.is_empty() {
        body["attachments"] = json!(attachments);
    }
    body
}

/// Whose fault an answer tells of.
async fn refusal(response: Response) -> SendError {
    let status = response.status();
    let refusal: Refusal = serde_json::from_slice(&read(response).await).unwrap_or_default();
    let complaints: Vec<&str> =
        refusal.errors.iter().map(|complaint| complaint.message.as_str()).collect();
    let answer = told(&format!("{status} {}", complaints.join("; ")));
    let of_sender = |complaint: &Complaint| {
        complaint.field.as_deref().is_some_and(|field| field.split('.').next() == Some("from"))
    };
    match status {
        StatusCode::BAD_REQUEST if refusal.errors.iter().any(of_sender) => {
            SendError::Transport(format!("SendGrid refuses the sender: {answer}"))
        }
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE => SendError::Refused(answer),
        StatusCode::TOO_MANY_REQUESTS => {
            SendError::Transport(format!("SendGrid takes no more mails just now: {answer}"))
        }
        status if status.is_server_error() => SendError::Deferred(answer),
        // A key or sender that is not good, or another service at this address.
        _ => SendError::Transport(format!("SendGrid refuses us: {answer}")),
    }
}

/// The beginning of an answer's body.
async fn read(mut response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    bytes
}

/// The innermost cause: the outermost says only that something could not be sent.
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
    told(&last)
}
