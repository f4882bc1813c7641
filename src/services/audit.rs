//! The audit log: read by operators, and whether it is sound.

pub use super::audit_export::{AuditExport, ExportFormat, Span};
use super::{Actor, Services};
use crate::domain::audit::{AuditEntry, AuditFilter, By, Link, SignedHead};
use crate::domain::error::Result;
use crate::domain::ids::UserId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::user::Email;
use crate::store::{Read, audit, users};

/// The newest entries whose hashes are checked when somebody asks whether the log is sound.
pub const CHECKED: u64 = 1_000;

/// How the log stands.
pub struct AuditStatus {
    /// The number of the first entry that is kept.
    pub first_seq: u64,
    /// The last entry.
    pub last: Link,
    /// The newest signed day.
    pub signed: Option<SignedHead>,
    /// Entries that were written before the log was a chain.
    pub chained_late: u64,
    /// How many of the newest entries were checked, or what is wrong with them.
    pub checked: Result<u64, String>,
}

impl Services {
    /// The entries that a filter keeps, newest first, for operators; each with its actor's address.
    pub fn audit(
        &self,
        actor: &Actor,
        filter: &AuditFilter,
        request: &PageRequest,
    ) -> Result<Page<(AuditEntry, Option<String>)>> {
        actor.require_operator()?;
        self.store.read(|tx| {
            let page = audit::list(tx, filter, request)?;
            let items = page
                .items
                .into_iter()
                .map(|entry| email_of(tx, &entry.by).map(|email| (entry, email)))
                .collect::<Result<_>>()?;
            Ok(Page { items, next: page.next })
        })
    }

    /// Who is meant by a user's id or e-mail address, or by a kind of actor. Somebody who is unknown did
    /// nothing.
    pub fn audit_actor(&self, actor: &Actor, text: &str) -> Result<By> {
        actor.require_operator()?;
        Ok(match text {
            "local" => By::Local,
            "anonymous" => By::Anonymous,
            "system" => By::System,
            text => By::User(match (text.parse::<UserId>(), Email::parse(text)) {
                (Ok(user_id), _) => user_id,
                (_, Ok(email)) => {
                    let user = self.store.read(|tx| users::by_email(tx, &email))?;
                    user.map_or(UserId(uuid::Uuid::nil()), |user| user.user_id)
                }
                _ => UserId(uuid::Uuid::nil()),
            }),
        })
    }

    /// How the log stands, for operators.
    pub fn audit_status(&self, actor: &Actor) -> Result<AuditStatus> {
        actor.require_operator()?;
        self.store.read(|tx| {
            Ok(AuditStatus {
                first_seq: audit::anchor(tx)?.seq + 1,
                last: audit::end(tx)?,
                signed: audit::last_head(tx)?,
                chained_late: audit::chained_late(tx)?,
                checked: audit::check(tx, CHECKED)?,
            })
        })
    }
}

/// The address of whoever did it.
pub(super) fn email_of(tx: &impl Read, by: &By) -> Result<Option<String>> {
    let Some(user_id) = by.user_id() else { return Ok(None) };
    Ok(users::find(tx, user_id)?.map(|user| user.email.as_str().to_owned()))
}
