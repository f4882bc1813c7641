//! Who did what, when, from where, to what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{ApiKeyId, AuditId, OrgId, UserId};
use super::time::Timestamp;

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place in the log: from 1, without gaps. The log's order is this, whatever clocks did.
    #[serde(default)]
    pub seq: u64,
    /// Identifies the entry.
    pub audit_id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: By,
    /// By which API key, where it was not a person at a keyboard.
    #[serde(default)]
    pub api_key_id: Option<ApiKeyId>,
    /// On whose behalf: whose record it was, where it belonged to a tenant.
    pub org_id: Option<OrgId>,
    /// What was done, as `noun.verb`, such as `license.suspended`.
    pub action: String,
    /// The id of what it was done to.
    pub subject: String,
    /// What more there is to know; never a secret.
    pub details: BTreeMap<String, String>,
    /// What changed, by the name of the field; never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, Change>,
    /// From which network address, where a request caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// With which program, as it calls itself, cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The request that did it.
    pub request_id: Option<String>,
    /// Covers the entry and, through the hash of the one before, all that came before it.
    #[serde(default)]
    pub hash: String,
}

impl AuditEntry {
    /// The ids of the records in whose history it stands: what it was done to and, where that is somebody's
    /// place in an organisation, the organisation.
    pub fn concerns(&self) -> Vec<String> {
        let of_people = ["member.", "invitation."].iter().any(|noun| self.action.starts_with(noun));
        let org_id = self.org_id.filter(|_| of_people).map(|org_id| org_id.to_string());
        [Some(self.subject.clone()), org_id].into_iter().flatten().collect()
    }
}

/// A field before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it was; none where there was nothing.
    pub before: Option<String>,
    /// What it is; none where there is nothing any more.
    pub after: Option<String>,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A person.
    User(UserId),
    /// Whoever administers the computer, over the local socket.
    Local,
    /// Somebody not signed in, such as at registration.
    Anonymous,
    /// A job, or the server itself.
    System,
}

impl By {
    /// What kind of actor it is, as it is told.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Local => "local",
            Self::Anonymous => "anonymous",
            Self::System => "system",
        }
    }

    /// Which person.
    pub fn user_id(&self) -> Option<UserId> {
        match self {
            Self::User(user_id) => Some(*user_id),
            Self::Local | Self::Anonymous | Self::System => None,
        }
    }
}

/// A place in the log: an entry's number and its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The entry's number; 0 before the first.
    pub seq: u64,
    /// SHA-256 in hexadecimal digits; 64 zeros before the first.
    pub hash: String,
}

impl Link {
    /// Before the first entry.
    pub fn genesis() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }
}

/// A place in the log that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHead {
    /// The UTC day it ends, such as `2026-11-22`.
    pub day: String,
    /// The last entry of that day.
    #[serde(flatten)]
    pub link: Link,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// The signature over all of that, a compact JWS.
    pub jws: String,
}

/// Which entries are wanted; all of it has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// How the action begins, such as `license.`.
    pub action: Option<String>,
    /// Who did it.
    pub by: Option<By>,
    /// On whose behalf.
    pub org_id: Option<OrgId>,
    /// To what; to an organisation is also what was done to its members.
    pub subject: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// A text that occurs anywhere in it, whatever the case.
    pub text: Option<String>,
}

impl AuditFilter {
    /// Whether the entry is wanted.
    pub fn keeps(&self, entry: &AuditEntry) -> bool {
        self.action.as_ref().is_none_or(|action| entry.action.starts_with(action.as_str()))
            && self.by.as_ref().is_none_or(|by| entry.by == *by)
            && self.org_id.is_none_or(|org_id| entry.org_id == Some(org_id))
            && self.subject.as_ref().is_none_or(|subject| entry.concerns().contains(subject))
            && self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at < to)
            && self.text.as_ref().is_none_or(|text| occurs(entry, &text.to_lowercase()))
    }
}

fn occurs(entry: &AuditEntry, text: &str) -> bool {
    let known = [&entry.address, &entry.user_agent, &entry.request_id];
    let changed = entry.changes.iter().flat_map(|(name, change)| {
        [Some(name), change.before.as_ref(), change.after.as_ref()].into_iter().flatten()
    });
    [&entry.action, &entry.subject]
        .into_iter()
        .chain(entry.details.iter().flat_map(|(name, value)| [name, value]))
        .chain(changed)
        .chain(known.into_iter().flatten())
        .any(|told| told.to_lowercase().contains(text))
}
