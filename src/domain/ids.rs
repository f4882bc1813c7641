//! Identifiers. Records carry time-ordered UUIDs (v7, RFC 9562), so that a
//! table keyed by them is also a table in order of creation; bearer secrets
//! such as session ids are random UUIDs (v4: 122 random bits).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[doc = $doc:literal] $name:ident),+ $(,)?) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::from_str(text).map(Self)
            }
        }
    )+};
}

id! {
    /// A person's account.
    UserId,
    /// An organisation: the tenant every record belongs to.
    OrgId,
    /// An invitation to join an organisation.
    InvitationId,
    /// A passkey of somebody's.
    PasskeyId,
    /// A team of an organisation.
    TeamId,
    /// A project of an organisation.
    ProjectId,
    /// A plan in the catalogue.
    PlanId,
    /// A subscription of an organisation to a plan.
    SubscriptionId,
    /// A licence.
    LicenseId,
    /// A machine bound to a licence.
    ActivationId,
    /// A recorded payment.
    PaymentId,
    /// An invoice.
    InvoiceId,
    /// A seat held by one (licence, hardware id). A bearer secret: random.
    SessionId,
    /// One sign-in of a user: a family of refresh tokens.
    LoginId,
    /// An account at an issuer that signs somebody in.
    IdentityId,
    /// A key by which programs act for a person.
    ApiKeyId,
    /// A token that an organisation's directory presents.
    ProvisioningTokenId,
    /// A durable job.
    JobId,
    /// A message in the e-mail log.
    MailId,
    /// An entry of the audit log.
    AuditId,
}
