//! What can go wrong, in the product's own words and free of HTTP.
//!
//! An [`Error`] carries a stable [`Code`] for machines, a detail for people, and
//! what happened inside, which is logged and never shown.

use std::fmt;

/// Why an operation was refused. `api::problem` maps each to a status and a title.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(
    missing_docs,
    reason = "the names say it, and the table in api::problem gives each a title"
)]
pub enum Code {
    // What was asked
    InvalidRequest,
    MalformedJson,
    ValidationFailed,
    WeakPassword,
    InvalidToken,
    InvalidSignature,
    InvalidCursor,
    InvalidFilter,
    InvalidPath,
    NoTarget,
    ReadOnly,
    NotFound,
    MethodNotAllowed,
    PayloadTooLarge,
    UnsupportedMediaType,
    // Who asks
    Unauthenticated,
    InvalidCredentials,
    MfaRequired,
    InvalidTotp,
    MfaEnrolmentRequired,
    TokenReused,
    EmailUnverified,
    AccountDeactivated,
    OidcFailed,
    IdentityUnverified,
    IdentityUnconfirmed,
    Forbidden,
    RateLimited,
    // What stands in the way
    EmailTaken,
    PlanNameTaken,
    PlanUnavailable,
    PriceTaken,
    SubscriptionExists,
    PaymentExists,
    PaymentState,
    TrialUsed,
    TrialUnavailable,
    SetupDone,
    SubscriptionState,
    LicenseState,
    LicenseNotFound,
    LicenseInactive,
    LicenseSuspended,
    LicenseExpired,
    LicenseRevoked,
    ActivationLimitReached,
    NoSeatsAvailable,
    SessionNotFound,
    BillingNotConfigured,
    BackupUnusable,
    MailState,
    LastOperator,
    SecondFactorState,
    TooManyKeys,
    MemberState,
    InvitationExists,
    OrgState,
    NameTaken,
    DomainTaken,
    DomainUnproven,
    IdentityState,
    // What the server cannot do just now
    WebhookNotConfigured,
    NamesUnavailable,
    StorageUnavailable,
    ProviderUnavailable,
    IssuerUnavailable,
    ProviderRefused,
    Overloaded,
    ShuttingDown,
    Internal,
}

/// A field of a request that breaks a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldError {
    /// The field's name on the wire.
    pub field: String,
    /// What it must be.
    pub message: String,
}

/// How full a licence is; told with a refusal for want of a seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeatCount {
    /// Seats the licence has.
    pub max: u32,
    /// Seats held now. More than `max` after a resize below what was in use.
    pub used: u32,
}

impl SeatCount {
    /// Seats that could be taken now.
    pub fn available(self) -> u32 {
        self.max.saturating_sub(self.used)
    }
}

/// A limit on how often something may be tried; told with a refusal for want of tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimit {
    /// Whom the limit counts, such as `address`.
    pub policy: &'static str,
    /// Tries in a window.
    pub quota: u32,
    /// The window, in seconds: as long as it takes to win all tries back.
    pub window_s: u32,
}

/// A refusal or a failure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// Stable, for machines.
    pub code: Code,
    /// What happened, why, and what to do; for people, and safe to show.
    pub detail: String,
    /// Which fields break which rule.
    pub fields: Vec<FieldError>,
    /// When trying again makes sense, in seconds.
    pub retry_after_s: Option<u32>,
    /// For [`Code::NoSeatsAvailable`].
    pub seats: Option<SeatCount>,
    /// For [`Code::RateLimited`].
    pub limit: Option<RateLimit>,
    /// For the log alone.
    pub internal: Option<String>,
}

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refusal with its reason.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after_s: None,
            seats: None,
            limit: None,
            internal: None,
        }
    }

    /// A request whose `field` breaks a rule.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut error = Self::new(Code::ValidationFailed, format!("{field}: {message}"));
        error.fields.push(FieldError { field: field.to_owned(), message });
        error
    }

    /// No such record, or another tenant's.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}."))
    }

    /// A fault of the server; `cause` goes to the log only.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let mut error = Self::new(
            Code::Internal,
            "The server met a fault of its own. The request id leads its operator to the cause in the log.",
        );
        error.internal = Some(cause.to_string());
        error
    }

    /// What an operator wants to read: the cause, where it is known, without the words for those who
    /// cannot see the log.
    pub fn cause(&self) -> &str {
        self.internal.as_deref().unwrap_or(&self.detail)
    }

    /// Writes cannot be made durable just now; `cause` goes to the log only.
    pub fn storage(cause: impl fmt::Display) -> Self {
        let mut error = Self::new(
            Code::StorageUnavailable,
            "Storage refuses writes just now, so nothing was changed. Try again shortly; /health/ready says why.",
        )
        .retry_after(5);
        error.internal = Some(cause.to_string());
        error
    }

    /// The same error, worth another try after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        if let Some(internal) = &self.internal {
            write!(f, " ({internal})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// None where there is no such record; what could not be read stays an error.
pub fn found<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Err(error) if error.code == Code::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_there_is_nothing() {
        assert_eq!(found(Ok(1)), Ok(Some(1)));
        assert_eq!(found::<u8>(Err(Error::not_found("user"))), Ok(None));
        let unread = Error::internal("a bad page");
        assert_eq!(found::<u8>(Err(unread.clone())), Err(unread));
    }
}
