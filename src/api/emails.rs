//! The e-mail log, for operators.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::Json;
use super::wire::{Time, list, page_request};
use super::{Answer, Tag};
use crate::domain::mail;
use crate::services::Services;

/// The calls about the e-mail log.
pub struct Emails {
    /// The operations.
    pub services: Arc<Services>,
}

/// Where a message is on its way.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum EmailStatus {
    /// Waits to be sent, or to be tried again.
    Waiting,
    /// Taken by the transport.
    Sent,
    /// Taken by the recipient's server, as the transport reports.
    Delivered,
    /// Came back, as the transport reports.
    Bounced,
    /// Refused for good, or failed too often.
    Parked,
}

impl From<EmailStatus> for mail::MailStatus {
    fn from(status: EmailStatus) -> Self {
        match status {
            EmailStatus::Waiting => Self::Waiting,
            EmailStatus::Sent => Self::Sent,
            EmailStatus::Delivered => Self::Delivered,
            EmailStatus::Bounced => Self::Bounced,
            EmailStatus::Parked => Self::Parked,
        }
    }
}

impl From<mail::MailStatus> for EmailStatus {
    fn from(status: mail::MailStatus) -> Self {
        match status {
            mail::MailStatus::Waiting => Self::Waiting,
            mail::MailStatus::Sent => Self::Sent,
            mail::MailStatus::Delivered => Self::Delivered,
            mail::MailStatus::Bounced => Self::Bounced,
            mail::MailStatus::Parked => Self::Parked,
        }
    }
}

/// A message of the e-mail log.
#[derive(Object, Serialize)]
pub struct Email {
    /// Identifies the message.
    mail_id: Uuid,
    /// The recipient.
    to: String,
    /// Which message.
    message: String,
    /// Where it is on its way.
    status: EmailStatus,
    /// What caused it.
    cause: String,
    /// Attempts made.
    attempts: u32,
    /// What the last attempt met.
    last_error: Option<String>,
    /// When it was queued.
    created_at: Time,
    /// When a transport took it.
    sent_at: Option<Time>,
}

impl From<mail::MailRecord> for Email {
    fn from(mail: mail::MailRecord) -> Self {
        Self {
            mail_id: mail.mail_id.0,
            to: mail.to,
            message: mail.message,
            status: mail.status.into(),
            cause: mail.cause,
            attempts: mail.attempts,
            last_error: mail.last_error,
            created_at: mail.created_at.into(),
            sent_at: mail.sent_at.map(Time),
        }
    }
}

/// One attempt to hand a message to a transport.
#[derive(Object, Serialize)]
pub struct EmailAttempt {
    /// When it ended.
    at: Time,
    /// `folder`, `smtp` or `sendgrid`.
    transport: String,
    /// `taken`, `failed` (another attempt may help) or `refused` (for good).
    outcome: String,
    /// What the transport answered, or what was met instead.
    answer: String,
}

impl From<mail::Attempt> for EmailAttempt {
    fn from(attempt: mail::Attempt) -> Self {
        Self {
            at: attempt.at.into(),
            transport: attempt.transport,
            outcome: attempt.outcome.as_str().to_owned(),
            answer: attempt.answer,
        }
    }
}

/// What a transport reported of a message that it took.
#[derive(Object, Serialize)]
pub struct EmailDelivery {
    /// When it happened.
    at: Time,
    /// `delivered`, `bounced`, `dropped` (the service did not even try) or `spam` (so the recipient
    /// called it).
    kind: String,
    /// Why, in the words of who reports it.
    detail: String,
}

impl From<mail::Delivery> for EmailDelivery {
    fn from(delivery: mail::Delivery) -> Self {
        Self {
            at: delivery.at.into(),
            kind: delivery.kind.as_str().to_owned(),
            detail: delivery.detail,
        }
    }
}

/// A message as its recipient reads it.
#[derive(Object, Serialize)]
pub struct EmailPreview {
    /// As in the log.
    #[oai(flatten)]
    #[serde(flatten)]
    email: Email,
    /// What the transport calls it, where it has a name of its own for it.
    provider_id: Option<String>,
    /// The newest attempts, oldest first; at most 20.
    attempt_log: Vec<EmailAttempt>,
    /// What the transport reported since, in the order of its reports; at most 20.
    deliveries: Vec<EmailDelivery>,
    /// Its subject.
    subject: String,
    /// Its plain text. Links that open something are left out, and a licence key is shortened.
    text: String,
    /// The same in HTML.
    html: String,
}

list! {
    /// A page of the e-mail log.
    EmailList of Email;
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Operator")]
impl Emails {
    /// The e-mail log, newest first
    #[oai(path = "/emails", method = "get", operation_id = "admin_list_emails")]
    async fn admin_list_emails(
        &self,
        person: Person,
        /// Of this status alone.
        status: Query<Option<EmailStatus>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<EmailList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = self.services.mails(&person.0, status.0.map(Into::into), &request)?;
        Ok(Json(EmailList::of(page, Email::from)))
    }

    /// A message as its recipient reads it
    #[oai(path = "/emails/:mail_id", method = "get", operation_id = "preview_email")]
    async fn preview_email(
        &self,
        person: Person,
        mail_id: Path<String>,
    ) -> Answer<Json<EmailPreview>> {
        let id = path_id(&mail_id.0, "message")?;
        let (record, rendered) = self.services.preview_mail(&person.0, id)?;
        let provider_id = record.provider_id.clone();
        let deliveries = record.deliveries.iter().cloned().map(Into::into).collect();
        let attempt_log = record.attempt_log.iter().cloned().map(Into::into).collect();
        Ok(Json(EmailPreview {
            email: record.into(),
            provider_id,
            attempt_log,
            deliveries,
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        }))
    }

    /// Try a message again now
    ///
    /// One that waits, or was parked. 409 `mail_state` for one that was sent.
    #[oai(path = "/emails/:mail_id/retry", method = "post", operation_id = "retry_email")]
    async fn retry_email(&self, person: Person, mail_id: Path<String>) -> Answer<Json<Email>> {
        let id = path_id(&mail_id.0, "message")?;
        Ok(Json(self.services.retry_mail(&person.0, id).await?.into()))
    }
}
