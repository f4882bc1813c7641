//! What must happen later, as durable rows.

use serde::{Deserialize, Serialize};

use super::email_domain::Domain;
use super::ids::{JobId, LicenseId, MailId, OrgId, SubscriptionId};
use super::time::Timestamp;

/// A piece of work with its due time. Done at least once: handlers are idempotent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Identifies the job.
    pub job_id: JobId,
    /// What to do.
    pub work: Work,
    /// When, at the earliest.
    pub due: Timestamp,
    /// Failed attempts so far.
    pub attempts: u32,
    /// What the last attempt met.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
}

/// The kinds of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Hand a message to the transport.
    SendMail {
        /// The message.
        mail_id: MailId,
    },
    /// Find out whether the address has an account and mail it a link. Queued for known and
    /// unknown addresses alike, so that the answer to the asker is the same and as quick.
    MailLink {
        /// The address that was given.
        email: String,
        /// Which link.
        purpose: super::user::LinkPurpose,
    },
    /// A trial, a paid period or a grace period may have ended.
    SubscriptionDue {
        /// The tenant.
        org_id: OrgId,
        /// Which subscription.
        subscription_id: SubscriptionId,
    },
    /// A licence without a subscription may have expired.
    LicenseDue {
        /// The tenant.
        org_id: OrgId,
        /// Which licence.
        license_id: LicenseId,
    },
    /// The time to take back an organisation's deletion may be over.
    EraseOrg {
        /// The tenant.
        org_id: OrgId,
    },
    /// Tell members that their organisation asks for a second factor, some at a time.
    TellOfSecondFactor {
        /// The tenant.
        org_id: OrgId,
        /// Since when it does; another time is another asking, which has a job of its own.
        since: Timestamp,
        /// The place in the list of members behind the last one who was told; none: nobody was yet.
        after: Option<Vec<u8>>,
    },
    /// Look whether a domain is still proved to be an organisation's.
    LookAtDomain {
        /// The tenant.
        org_id: OrgId,
        /// Which domain.
        domain: Domain,
        /// Since when it is; another time is another proof, which has a look of its own.
        since: Timestamp,
    },
    /// Look at what an event of the payment provider is about.
    ProviderEvent {
        /// The provider's id of it.
        event_id: String,
    },
    /// Look whether signing keys are due for rotation; repeats.
    RotateKeys,
    /// Remove what has outlived its use: links, sign-ins, sent mails; repeats.
    Housekeeping,
}

/// What is worked off beside each other: what waits for another computer holds up nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Asks nobody.
    Inside,
    /// Waits for the mail transport.
    Mail,
    /// Waits for the payment provider.
    Provider,
    /// Waits for name servers.
    Names,
    /// Takes as long as there is much of it.
    Long,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 5] = [Self::Inside, Self::Mail, Self::Provider, Self::Names, Self::Long];
}

impl Work {
    /// Beside what it is done.
    pub fn lane(&self) -> Lane {
        match self {
            Self::SendMail { .. } => Lane::Mail,
            Self::ProviderEvent { .. } => Lane::Provider,
            Self::LookAtDomain { .. } => Lane::Names,
            Self::EraseOrg { .. } => Lane::Long,
            Self::MailLink { .. }
            | Self::SubscriptionDue { .. }
            | Self::LicenseDue { .. }
            | Self::TellOfSecondFactor { .. }
            | Self::RotateKeys
            | Self::Housekeeping => Lane::Inside,
        }
    }

    /// The kind's stable name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SendMail { .. } => "send_mail",
            Self::MailLink { .. } => "mail_link",
            Self::SubscriptionDue { .. } => "subscription_due",
            Self::LicenseDue { .. } => "license_due",
            Self::EraseOrg { .. } => "erase_org",
            Self::TellOfSecondFactor { .. } => "tell_of_second_factor",
            Self::LookAtDomain { .. } => "look_at_domain",
            Self::ProviderEvent { .. } => "provider_event",
            Self::RotateKeys => "rotate_keys",
            Self::Housekeeping => "housekeeping",
        }
    }
}
