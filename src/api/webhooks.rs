//! What services report to us. They prove who they are by signing what they send.

use std::sync::Arc;

use poem_openapi::param::Header;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use super::json::Json;
use super::{Answer, Tag};
use crate::services::Services;

/// The calls that services make.
pub struct Webhooks {
    /// The operations.
    pub services: Arc<Services>,
}

/// What became of reports.
#[derive(Object, Serialize)]
pub struct Noted {
    /// How many said something new of a message in the e-mail log.
    noted: u32,
}

#[OpenApi(prefix_path = "/api/v1/webhooks", tag = "Tag::Webhooks")]
impl Webhooks {
    /// What SendGrid reports of mails
    ///
    /// For SendGrid's signed event webhook: a list of events, signed over its bytes. 400
    /// `invalid_signature` for anything else; 503 `webhook_not_configured` while
    /// `mail.sendgrid.webhook_key` is not set. Events may come again and in any order.
    #[oai(path = "/sendgrid", method = "post", operation_id = "sendgrid_webhook")]
    async fn sendgrid_webhook(
        &self,
        /// The signature, as base64.
        #[oai(name = "X-Twilio-Email-Event-Webhook-Signature")]
        signature: Header<Option<String>>,
        /// When it was made, in seconds since 1970.
        #[oai(name = "X-Twilio-Email-Event-Webhook-Timestamp")]
        timestamp: Header<Option<String>>,
        body: Vec<u8>,
    ) -> Answer<Json<Noted>> {
        let signature = signature.0.unwrap_or_default();
        let timestamp = timestamp.0.unwrap_or_default();
        let noted = self.services.note_sendgrid_reports(&timestamp, &signature, &body).await?;
        Ok(Json(Noted { noted: noted as u32 }))
    }
}
