//! The e-mail log: each message that was to be sent, why, and what became of it.

use serde::{Deserialize, Serialize};

use super::ids::{MailId, OrgId};
use super::time::Timestamp;

/// Of more attempts, the newest are kept.
const ATTEMPTS_KEPT: usize = 20;
/// Of more reports on the delivery, the newest are kept.
const DELIVERIES_KEPT: usize = 20;

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
    /// The newest attempts with their answers, oldest first.
    #[serde(default)]
    pub attempt_log: Vec<Attempt>,
    /// What the last attempt met.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When a transport took it.
    pub sent_at: Option<Timestamp>,
    /// The transport's own name for it, where it gave one.
    #[serde(default)]
    pub provider_id: Option<String>,
    /// What was reported of its way from there to the recipient, in the order of the reports.
    #[serde(default)]
    pub deliveries: Vec<Delivery>,
}

impl MailRecord {
    /// Notes what was reported of its delivery; whether that was new. A mail that came back stays
    /// one, whatever is reported before or after: servers take mails that they return later.
    pub fn reported(&mut self, delivery: Delivery) -> bool {
        if self.deliveries.iter().any(|known| known.event_id == delivery.event_id) {
            return false;
        }
        match delivery.kind {
            DeliveryKind::Bounced | DeliveryKind::Dropped => self.status = MailStatus::Bounced,
            DeliveryKind::Delivered if self.status != MailStatus::Bounced => {
                self.status = MailStatus::Delivered;
            }
            DeliveryKind::Delivered | DeliveryKind::Spam => {}
        }
        self.deliveries.push(delivery);
        let surplus = self.deliveries.len().saturating_sub(DELIVERIES_KEPT);
        self.deliveries.drain(..surplus);
        true
    }

    /// Notes an attempt.
    pub fn tried(&mut self, attempt: Attempt) {
        self.attempts += 1;
        self.last_error =
            (attempt.outcome != AttemptOutcome::Taken).then(|| attempt.answer.clone());
        self.attempt_log.push(attempt);
        let surplus = self.attempt_log.len().saturating_sub(ATTEMPTS_KEPT);
        self.attempt_log.drain(..surplus);
    }
}

/// One attempt to hand a message to a transport.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended.
    pub at: Timestamp,
    /// The transport's name in the settings.
    pub transport: String,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What the transport answered, or what was met instead.
    pub answer: String,
}

/// Something that was reported of a mail after a transport took it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: DeliveryKind,
    /// Why, in the words of who reports it.
    pub detail: String,
    /// The reporter's name for the event.
    pub event_id: String,
}

/// What may become of a mail that a transport took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    /// The recipient's server took it.
    Delivered,
    /// The recipient's server did not take it.
    Bounced,
    /// The service did not even try: mails to this address came back before, or were unwanted.
    Dropped,
    /// The recipient called it spam.
    Spam,
}

impl DeliveryKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Dropped => "dropped",
            Self::Spam => "spam",
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The transport took the message.
    Taken,
    /// Not this time; another attempt may help.
    Failed,
    /// For good: another attempt cannot help.
    Refused,
}

impl AttemptOutcome {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// Where a message is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStatus {
    /// Waiting to be sent, or to be tried again.
    Waiting,
    /// Taken by the transport.
    Sent,
    /// Taken by the recipient's server, as the transport reports.
    Delivered,
    /// Came back, as the transport reports.
    Bounced,
    /// Refused for good or failed too often; waits for an operator.
    Parked,
}

impl MailStatus {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::Sent, Self::Delivered, Self::Bounced, Self::Parked];

    /// Whether a transport took it: what it opened is not in the log any more.
    pub fn is_out(self) -> bool {
        matches!(self, Self::Sent | Self::Delivered | Self::Bounced)
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Parked => "parked",
        }
    }
}
