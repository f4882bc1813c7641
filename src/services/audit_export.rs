//! The audit log as a file: lines of JSON that can be proved, or a table for people.

use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::audit::email_of;
use super::{Actor, Services};
use crate::domain::audit::{AuditEntry, AuditFilter, Link, SignedHead};
use crate::domain::csv;
use crate::domain::error::{Error, Result};
use crate::domain::time::Timestamp;
use crate::signing::Purpose;
use crate::signing::audit::{
    END_TYP, EndClaims, FORMAT, Header, VERSION, end_line, entry_line, head_line, header_line, hex,
};
use crate::store::audit;

/// Entries that are read and sent at once.
const PAGE: usize = 500;

/// What is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Every entry of the span, with signatures: `coditect audit verify` proves it.
    JsonLines,
    /// For people and their spreadsheets; proves nothing.
    Csv,
}

/// From which time on and before which; by the order of the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// An export under way: give out [`AuditExport::next`] until there is no more.
pub struct AuditExport {
    services: Arc<Services>,
    format: ExportFormat,
    filter: AuditFilter,
    header: Header,
    last: Link,
    heads: std::iter::Peekable<std::vec::IntoIter<SignedHead>>,
    /// The next entry's number.
    next: u64,
    sha256: Sha256,
    begun: bool,
    ended: bool,
}

impl Services {
    /// Begins an export, for operators; that it was made is an entry of the log, the last one in it.
    /// A table may be narrowed to what a filter keeps; what can be proved has no gaps.
    pub async fn export_audit(
        self: &Arc<Self>,
        actor: &Actor,
        format: ExportFormat,
        filter: AuditFilter,
    ) -> Result<AuditExport> {
        actor.require_operator()?;
        let span = Span { from: filter.from, to: filter.to };
        let whole = AuditFilter { from: span.from, to: span.to, ..AuditFilter::default() };
        if format == ExportFormat::JsonLines && filter != whole {
            return Err(Error::invalid(
                "format",
                "must be csv when the export is narrowed by more than from and to: lines that are left out cannot be told from lines that were removed",
            ));
        }
        if format == ExportFormat::JsonLines && self.keys.current(Purpose::License).is_none() {
            return Err(crate::signing::SignError::NotReady(Purpose::License).into());
        }
        self.note_export(actor, format).await;
        let now = self.clock.now().wall;
        self.store.read(|tx| {
            let anchor = audit::anchor(tx)?;
            let end = audit::end(tx)?;
            let first = span.from.map_or(Ok(anchor.seq + 1), |from| audit::first_at(tx, from))?;
            let beyond = span.to.map_or(Ok(end.seq + 1), |to| audit::first_at(tx, to))?;
            let last = audit::link_before(tx, beyond.max(first))?;
            let header = Header {
                format: FORMAT.to_owned(),
                version: VERSION,
                iss: self.issuer().to_owned(),
                iat: now.unix_seconds(),
                first_seq: first,
                anchor: audit::link_before(tx, first)?.hash,
            };
            // The day before the first entry is signed, too.
            let heads = audit::heads(tx, first - 1, last.seq)?;
            Ok(AuditExport {
                services: Arc::clone(self),
                format,
                filter,
                header,
                last,
                heads: heads.into_iter().peekable(),
                next: first,
                sha256: Sha256::new(),
                begun: false,
                ended: false,
            })
        })
    }

    /// An entry of it, or a line in the log: where the disk takes no writes, the log can be read all the
    /// same.
    async fn note_export(&self, actor: &Actor, format: ExportFormat) {
        let ctx = self.ctx_of(actor);
        let told = match format {
            ExportFormat::JsonLines => "jsonl",
            ExportFormat::Csv => "csv",
        };
        let noted = self
            .commit(move |tx| {
                ctx.audit(tx, None, "audit.exported", "audit", [("format", told.to_owned())])
            })
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "the audit log lacks that it was exported");
        }
    }
}

impl AuditExport {
    /// What the file is to be called.
    pub fn file_name(&self) -> String {
        let day: String = Timestamp(self.header.iat * 1_000).to_string().chars().take(10).collect();
        let ending = if self.format == ExportFormat::Csv { "csv" } else { "jsonl" };
        format!("coditect-audit-{day}.{ending}")
    }

    /// The next piece of the file; none when that was all.
    pub async fn next(&mut self) -> Result<Option<String>> {
        if self.ended {
            return Ok(None);
        }
        let mut piece = String::new();
        if !self.begun {
            self.begun = true;
            match self.format {
                ExportFormat::JsonLines => {
                    add(&mut piece, &header_line(&self.header));
                    self.add_heads(&mut piece, self.header.first_seq - 1);
                }
                ExportFormat::Csv => piece.push_str(CSV_HEADER),
            }
        }
        self.add_entries(&mut piece)?;
        self.sha256.update(&piece);
        if self.next > self.last.seq {
            self.ended = true;
            if self.format == ExportFormat::JsonLines {
                add(&mut piece, &self.end().await?);
            }
        }
        Ok(Some(piece))
    }

    fn add_entries(&mut self, piece: &mut String) -> Result<()> {
        let services = Arc::clone(&self.services);
        services.store.read(|tx| {
            let room = (self.last.seq + 1).saturating_sub(self.next);
            let entries = audit::starting_at(tx, self.next, PAGE.min(room as usize))?;
            if room > 0 && entries.is_empty() {
                return Err(self.overtaken());
            }
            for entry in entries {
                if entry.seq != self.next {
                    return Err(self.overtaken());
                }
                match self.format {
                    ExportFormat::JsonLines => {
                        add(piece, &entry_line(&entry));
                        self.add_heads(piece, entry.seq);
                    }
                    ExportFormat::Csv if self.filter.keeps(&entry) => {
                        add_row(piece, &entry, email_of(tx, &entry.by)?.unwrap_or_default());
                    }
                    ExportFormat::Csv => {}
                }
                self.next += 1;
            }
            Ok(())
        })
    }

    /// Old entries were removed meanwhile; what is sent would not be whole.
    fn overtaken(&self) -> Error {
        Error::internal(format!(
            "entry {} of the audit log was removed while it was exported",
            self.next
        ))
    }

    fn add_heads(&mut self, piece: &mut String, seq: u64) {
        while let Some(head) = self.heads.next_if(|head| head.link.seq <= seq) {
            add(piece, &head_line(&head.jws));
        }
    }

    async fn end(&self) -> Result<String> {
        let claims = EndClaims {
            iss: self.header.iss.clone(),
            iat: self.header.iat,
            first_seq: self.header.first_seq,
            anchor: self.header.anchor.clone(),
            last_seq: self.last.seq,
            hash: self.last.hash.clone(),
            sha256: hex(&self.sha256.clone().finalize()),
        };
        Ok(end_line(&self.services.sign_audit(END_TYP, claims).await?))
    }
}

fn add(piece: &mut String, line: &str) {
    piece.push_str(line);
    piece.push('\n');
}

const CSV_HEADER: &str = "seq,at,actor,email,user_id,api_key_id,org_id,action,subject,details,changes,address,user_agent,request_id,hash\r\n";

fn add_row(piece: &mut String, entry: &AuditEntry, email: String) {
    let id = |id: Option<String>| id.unwrap_or_default();
    let json = |empty: bool, value: serde_json::Value| {
        if empty { String::new() } else { value.to_string() }
    };
    let cells = [
        entry.seq.to_string(),
        entry.at.to_string(),
        entry.by.kind().to_owned(),
        email,
        id(entry.by.user_id().map(|id| id.to_string())),
        id(entry.api_key_id.map(|id| id.to_string())),
        id(entry.org_id.map(|id| id.to_string())),
        entry.action.clone(),
        entry.subject.clone(),
        json(entry.details.is_empty(), json!(entry.details)),
        json(entry.changes.is_empty(), json!(entry.changes)),
        id(entry.address.clone()),
        id(entry.user_agent.clone()),
        id(entry.request_id.clone()),
        entry.hash.clone(),
    ];
    let cells: Vec<String> = cells.iter().map(|cell| csv::cell(cell)).collect();
    piece.push_str(&cells.join(","));
    piece.push_str("\r\n");
}
