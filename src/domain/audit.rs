//! Who did what, when, to what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{ApiKeyId, AuditId, OrgId, UserId};
use super::time::Timestamp;

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Identifies the entry, in order of time.
    pub audit_id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: By,
    /// By which API key, where it was not a person at a keyboard.
    #[serde(default)]
    pub api_key_id: Option<ApiKeyId>,
    /// Whose record it was, where it belonged to a tenant.
    pub org_id: Option<OrgId>,
    /// What was done, as `noun.verb`, such as `license.suspended`.
    pub action: String,
    /// The id of what it was done to.
    pub subject: String,
    /// What changed; never a secret.
    pub details: BTreeMap<String, String>,
    /// The request that did it.
    pub request_id: Option<String>,
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
