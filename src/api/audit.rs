//! The audit log, for operators: what was done by whom, and the proof of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use futures_util::stream;
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::param::Query;
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::Json;
use super::wire::{Time, list, page_request};
use super::{Answer, Tag};
use crate::domain::audit::{AuditEntry, AuditFilter, Change, SignedHead};
use crate::domain::error::{Error, Result};
use crate::domain::time::Timestamp;
use crate::services::Services;
use crate::services::audit::{AuditStatus, ExportFormat};

/// The longest text that may be looked for, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// The calls about the audit log.
pub struct AuditLog {
    /// The operations.
    pub services: Arc<Services>,
}

const JSON_LINES: &str = "application/jsonl";
const CSV: &str = "text/csv";

/// An export, as it is read.
pub struct AuditFile {
    content_type: &'static str,
    name: String,
    body: Body,
}

impl IntoResponse for AuditFile {
    fn into_response(self) -> Response {
        let attachment = format!("attachment; filename=\"{}\"", self.name);
        Response::builder()
            .content_type(self.content_type)
            .header(header::CONTENT_DISPOSITION, attachment)
            .body(self.body)
    }
}

impl ApiResponse for AuditFile {
    fn meta() -> MetaResponses {
        let text = || MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let content = [JSON_LINES, CSV]
            .into_iter()
            .map(|content_type| MetaMediaType { content_type, schema: text() })
            .collect();
        let response = MetaResponse {
            description: "The log, to be saved as a file",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_: &mut Registry) {}
}

/// A field before and after.
#[derive(Object, Serialize)]
pub struct FieldChange {
    /// What it was; null where there was nothing.
    before: Option<String>,
    /// What it is; null where there is nothing any more.
    after: Option<String>,
}

impl From<Change> for FieldChange {
    fn from(Change { before, after }: Change) -> Self {
        Self { before, after }
    }
}

/// An entry of the audit log.
#[derive(Object, Serialize)]
pub struct Audit {
    /// Its place in the log: from 1, without gaps.
    seq: u64,
    /// Identifies the entry.
    audit_id: Uuid,
    /// When.
    at: Time,
    /// `user`, `local` (whoever administers the computer), `anonymous` or `system`.
    actor: String,
    /// Which user.
    user_id: Option<Uuid>,
    /// With which API key.
    api_key_id: Option<Uuid>,
    /// Their address.
    actor_email: Option<String>,
    /// On whose behalf: the organisation whose record it is.
    org_id: Option<Uuid>,
    /// What was done, as `noun.verb`.
    action: String,
    /// To which record.
    subject: String,
    /// What more there is to know.
    details: BTreeMap<String, String>,
    /// Each field that changed, before and after; a secret is `[redacted]`.
    changes: BTreeMap<String, FieldChange>,
    /// From which network address.
    address: Option<String>,
    /// With which program, as it calls itself.
    user_agent: Option<String>,
    /// By which request.
    request_id: Option<String>,
    /// SHA-256 over the entry and the hash of the one before, in hexadecimal digits.
    hash: String,
}

impl From<(AuditEntry, Option<String>)> for Audit {
    fn from((entry, actor_email): (AuditEntry, Option<String>)) -> Self {
        let changes = entry.changes.into_iter();
        Self {
            seq: entry.seq,
            audit_id: entry.audit_id.0,
            at: entry.at.into(),
            actor: entry.by.kind().to_owned(),
            user_id: entry.by.user_id().map(|id| id.0),
            api_key_id: entry.api_key_id.map(|id| id.0),
            actor_email,
            org_id: entry.org_id.map(|id| id.0),
            action: entry.action,
            subject: entry.subject,
            details: entry.details,
            changes: changes.map(|(name, change)| (name, change.into())).collect(),
            address: entry.address,
            user_agent: entry.user_agent,
            request_id: entry.request_id,
            hash: entry.hash,
        }
    }
}

list! {
    /// A page of the audit log.
    AuditList of Audit;
}

/// The end of a day, signed.
#[derive(Object, Serialize)]
pub struct SignedDay {
    /// The UTC day.
    day: String,
    /// Its last entry.
    seq: u64,
    /// The hash of that entry.
    hash: String,
    /// When it was signed.
    signed_at: Time,
    /// The signature, a compact JWS (RS256, `typ` `audit-head+jwt`).
    jws: String,
}

impl From<SignedHead> for SignedDay {
    fn from(head: SignedHead) -> Self {
        Self {
            day: head.day,
            seq: head.link.seq,
            hash: head.link.hash,
            signed_at: head.signed_at.into(),
            jws: head.jws,
        }
    }
}

/// How the audit log stands.
#[derive(Object, Serialize)]
pub struct AuditState {
    /// Whether the newest entries are what was written.
    sound: bool,
    /// What is wrong, where something is.
    trouble: Option<String>,
    /// How many of the newest entries were checked; an export is checked whole.
    checked: u64,
    /// Entries that are kept.
    entries: u64,
    /// The number of the first of them.
    first_seq: u64,
    /// The number of the last one.
    last_seq: u64,
    /// The hash of the last one.
    hash: String,
    /// The newest signed day.
    signed: Option<SignedDay>,
    /// The first so many entries were written before the log was chained.
    chained_late: u64,
}

impl From<AuditStatus> for AuditState {
    fn from(status: AuditStatus) -> Self {
        Self {
            sound: status.checked.is_ok(),
            checked: status.checked.as_ref().copied().unwrap_or(0),
            trouble: status.checked.err(),
            entries: (status.last.seq + 1).saturating_sub(status.first_seq),
            first_seq: status.first_seq,
            last_seq: status.last.seq,
            hash: status.last.hash,
            signed: status.signed.map(SignedDay::from),
            chained_late: status.chained_late,
        }
    }
}

/// What an export is to be.
#[derive(Enum, Clone, Copy, Debug)]
#[oai(rename_all = "lowercase")]
pub enum AuditFormat {
    /// Lines of JSON with signatures; can be proved.
    Jsonl,
    /// A table for people; proves nothing.
    Csv,
}

/// What the log is narrowed to, as it is asked for.
#[derive(Default)]
struct Asked {
    action: Option<String>,
    actor: Option<String>,
    org_id: Option<String>,
    subject: Option<String>,
    from: Option<String>,
    to: Option<String>,
    q: Option<String>,
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Operator")]
impl AuditLog {
    /// The audit log, newest first
    ///
    /// Narrowed to what fits all that is given. A page may be short, or empty, and have a next one all
    /// the same: no more than 5000 entries are looked at for it.
    #[oai(path = "/audit", method = "get", operation_id = "admin_list_audit")]
    #[allow(clippy::too_many_arguments, reason = "each is a parameter of the query")]
    async fn admin_list_audit(
        &self,
        person: Person,
        /// What was done to the record with this id alone; to an organisation is also what was done to its
        /// members and invitations.
        subject: Query<Option<String>>,
        /// How the action begins, such as `license.` or `user.sign`.
        action: Query<Option<String>>,
        /// Who did it: a user's id or e-mail address, `local`, `anonymous` or `system`.
        actor: Query<Option<String>>,
        /// On behalf of this organisation.
        org_id: Query<Option<String>>,
        /// Not before this time (RFC 3339) or UTC day (`2026-11-22`).
        from: Query<Option<String>>,
        /// Before this time or UTC day.
        to: Query<Option<String>>,
        /// A text that occurs in it, whatever the case.
        q: Query<Option<String>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<AuditList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let asked = Asked {
            action: action.0,
            actor: actor.0,
            org_id: org_id.0,
            subject: subject.0,
            from: from.0,
            to: to.0,
            q: q.0,
        };
        let filter = self.filter(&person, asked)?;
        let page = self.services.audit(&person.0, &filter, &request)?;
        Ok(Json(AuditList::of(page, Audit::from)))
    }

    /// How the audit log stands
    ///
    /// How many entries it has, what was signed last, and whether its newest entries are what was written.
    #[oai(path = "/audit/status", method = "get", operation_id = "audit_status")]
    async fn audit_status(&self, person: Person) -> Answer<Json<AuditState>> {
        Ok(Json(self.services.audit_status(&person.0)?.into()))
    }

    /// The audit log as a file
    ///
    /// As lines of JSON it can be proved whole and unaltered with the public key alone: `coditect audit
    /// verify`, or any program that does what the handbook says. It is narrowed by `from` and `to` alone,
    /// in the order of the log. As CSV it may be narrowed by all that the list is, and proves nothing.
    #[oai(path = "/audit/export", method = "get", operation_id = "export_audit")]
    #[allow(clippy::too_many_arguments, reason = "each is a parameter of the query")]
    async fn export_audit(
        &self,
        person: Person,
        /// `jsonl` unless it is given.
        format: Query<Option<AuditFormat>>,
        /// What was done to the record with this id alone; to an organisation is also what was done to its
        /// members and invitations.
        subject: Query<Option<String>>,
        /// How the action begins.
        action: Query<Option<String>>,
        /// Who did it.
        actor: Query<Option<String>>,
        /// On behalf of this organisation.
        org_id: Query<Option<String>>,
        /// Not before this time (RFC 3339) or UTC day (`2026-11-22`).
        from: Query<Option<String>>,
        /// Before this time or UTC day.
        to: Query<Option<String>>,
        /// A text that occurs in it, whatever the case.
        q: Query<Option<String>>,
    ) -> Answer<AuditFile> {
        let asked = Asked {
            action: action.0,
            actor: actor.0,
            org_id: org_id.0,
            subject: subject.0,
            from: from.0,
            to: to.0,
            q: q.0,
        };
        let filter = self.filter(&person, asked)?;
        let (format, content_type) = match format.0.unwrap_or(AuditFormat::Jsonl) {
            AuditFormat::Jsonl => (ExportFormat::JsonLines, JSON_LINES),
            AuditFormat::Csv => (ExportFormat::Csv, CSV),
        };
        let export = self.services.export_audit(&person.0, format, filter).await?;
        let name = export.file_name();
        // A piece that cannot be read breaks the connection: what came is not whole, and shows it.
        let pieces = stream::try_unfold(export, async |mut export| {
            let piece = export.next().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(piece.map(|piece| (piece, export)))
        });
        Ok(AuditFile { content_type, name, body: Body::from_bytes_stream(pieces) })
    }
}

impl AuditLog {
    fn filter(&self, person: &Person, asked: Asked) -> Answer<AuditFilter> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let by = match given(asked.actor) {
            Some(actor) => Some(self.services.audit_actor(&person.0, &actor)?),
            None => None,
        };
        let org_id = match given(asked.org_id) {
            Some(org_id) => Some(path_id(&org_id, "organisation")?),
            None => None,
        };
        if asked.q.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX) {
            return Err(Error::invalid("q", "must have at most 200 characters").into());
        }
        Ok(AuditFilter {
            action: given(asked.action),
            by,
            org_id,
            subject: given(asked.subject),
            from: moment("from", given(asked.from))?,
            to: moment("to", given(asked.to))?,
            text: given(asked.q),
        })
    }
}

/// A point in time, or the beginning of a UTC day.
fn moment(name: &'static str, text: Option<String>) -> Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    let day = format!("{text}T00:00:00Z");
    match text.parse::<Timestamp>().or_else(|_| day.parse()) {
        Ok(at) => Ok(Some(at)),
        Err(_) => Err(Error::invalid(
            name,
            "must be a point in time such as 2026-11-22T10:00:00Z, or a day such as 2026-11-22",
        )),
    }
}
