//! The e-mail log: each message that was to be sent, why, and what became of it.

use serde::{Deserialize, Serialize};

use super::ids::{MailId, OrgId};
use super::time::Timestamp;

/// A message in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRecord {
    /// Identifies the message; a transport sends an id once.
    pub mail_id: MailId,
    /// The tenant it concerns.
    pub org_id: Option<OrgId>,
    /// The recipient.
    pub to: String,
    /// Which message, such as `verify_email`.
    pub message: String,
    /// The message's own fields, encoded by `mail`. Emptied of links once sent.
    pub payload: String,
    /// What happened so far.
    pub status: MailStatus,
    /// The event that caused it, such as `license.issued`.
    pub cause: String,
    /// Attempts made.
    pub attempts: u32,
    /// What the last attempt met.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When a transport took it.
    pub sent_at: Option<Timestamp>,
}

/// Where a message is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStatus {
    /// Waiting to be sent, or to be tried again.
    Waiting,
    /// Taken by the transport.
    Sent,
    /// Failed too often; waits for an operator.
    Parked,
}

impl MailStatus {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Parked => "parked",
        }
    }
}
