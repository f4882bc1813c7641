//! How messages read, for operators.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use super::auth::Person;
use super::json::Json;
use super::{Answer, Tag};
use crate::services::Services;

/// The calls about the texts of messages.
pub struct EmailTemplates {
    /// The operations.
    pub services: Arc<Services>,
}

/// Every message there is.
#[derive(Object, Serialize)]
pub struct EmailTemplateList {
    /// The messages.
    items: Vec<EmailTemplate>,
    /// Whether the data folder has a logo that goes with them.
    logo: bool,
    /// Files of the folder `mail-templates` that cannot be used; the built-in text stands in.
    broken: Vec<BrokenTemplate>,
}

/// A message.
#[derive(Object, Serialize)]
pub struct EmailTemplate {
    /// Its name.
    message: String,
    /// Which of its texts come from the data folder: `subject.txt`, `body.txt`, `body.html`.
    overridden: Vec<String>,
}

/// A file that cannot be used.
#[derive(Object, Serialize)]
pub struct BrokenTemplate {
    /// Its path in the folder.
    file: String,
    /// Why not.
    why: String,
}

/// A message with sample data, as its recipient would read it.
#[derive(Object, Serialize)]
pub struct EmailSample {
    /// Which message.
    message: String,
    /// Its subject.
    subject: String,
    /// Its plain text.
    text: String,
    /// The same in HTML.
    html: String,
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Operator")]
impl EmailTemplates {
    /// Every message, and which of its texts are your own
    #[oai(path = "/email-templates", method = "get", operation_id = "admin_list_email_templates")]
    async fn admin_list_email_templates(&self, person: Person) -> Answer<Json<EmailTemplateList>> {
        let renderer = self.services.mail_templates(&person.0)?;
        let items = renderer.templates().map(|(message, overridden)| EmailTemplate {
            message: message.to_owned(),
            overridden: overridden.into_iter().map(str::to_owned).collect(),
        });
        let broken = renderer
            .broken()
            .iter()
            .map(|broken| BrokenTemplate { file: broken.file.clone(), why: broken.why.clone() });
        Ok(Json(EmailTemplateList {
            items: items.collect(),
            logo: renderer.has_logo(),
            broken: broken.collect(),
        }))
    }

    /// A message with sample data
    #[oai(
        path = "/email-templates/:message",
        method = "get",
        operation_id = "preview_email_template"
    )]
    async fn preview_email_template(
        &self,
        person: Person,
        message: Path<String>,
    ) -> Answer<Json<EmailSample>> {
        let rendered = self.services.preview_template(&person.0, &message.0)?;
        Ok(Json(EmailSample {
            message: message.0,
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        }))
    }
}
