//! People and their sign-ins.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::error::{Error, Result};
use super::ids::{LoginId, OrgId, UserId};
use super::time::Timestamp;

/// A person's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Identifies the account.
    pub user_id: UserId,
    /// Unique among all accounts; see [`Email`].
    pub email: Email,
    /// A PHC string (argon2id). Never leaves the server. None until the owner of an account that an
    /// operator made has chosen a password.
    #[serde(default)]
    pub password_hash: Option<String>,
    /// As the person gave it.
    pub full_name: String,
    /// As the person gave it.
    pub company_name: Option<String>,
    /// Whether a link mailed to the address was followed.
    pub email_verified: bool,
    /// Whether the person runs this appliance.
    #[serde(default)]
    pub operator: bool,
    /// The organisation made for the person at registration.
    pub personal_org: OrgId,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When a password was last set.
    pub password_changed_at: Timestamp,
    /// When the person last signed in.
    #[serde(default)]
    pub last_login_at: Option<Timestamp>,
    /// When the account was closed by its owner or an operator.
    #[serde(default)]
    pub deactivated_at: Option<Timestamp>,
}

/// An e-mail address in the form accounts are compared by: NFKC, lower case, no
/// surrounding space. Two spellings that a mail server would deliver to the same
/// box in practice are one account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// The longest address that can be mailed to (RFC 5321, section 4.5.3.1.3).
    pub const MAX_LENGTH: usize = 254;

    /// Checks the form of an address.
    ///
    /// # Errors
    /// A field error on `email` that says what an address must be.
    pub fn parse(text: &str) -> Result<Self> {
        let address: String = text.trim().nfkc().collect::<String>().to_lowercase();
        let sound = address.len() <= Self::MAX_LENGTH
            && !address.contains(|c: char| {
                c.is_control() || c.is_whitespace() || "<>()[],;:\\\"".contains(c)
            })
            && email_address::EmailAddress::is_valid(&address);
        if sound {
            Ok(Self(address))
        } else {
            Err(Error::invalid(
                "email",
                "must be an e-mail address like name@example.com, at most 254 bytes",
            ))
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One sign-in: a family of refresh tokens of which only the newest is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Identifies the family.
    pub login_id: LoginId,
    /// Whose it is.
    pub user_id: UserId,
    /// SHA-256 of the refresh token that is good now.
    pub refresh_hash: [u8; 32],
    /// When the person signed in.
    pub created_at: Timestamp,
    /// How many tokens of the family were spent.
    #[serde(default)]
    pub refreshes: u32,
    /// When a token of the family was last used.
    pub last_used_at: Timestamp,
    /// When the family ends.
    pub expires_at: Timestamp,
    /// From where.
    pub address: String,
    /// With what (the `User-Agent`, cut to a bound).
    pub user_agent: String,
}

/// What a mailed or printed link lets its bearer do, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkPurpose {
    /// Show that the address is read by the account's owner.
    VerifyEmail,
    /// Choose a new password.
    ResetPassword,
    /// Become this appliance's first operator.
    Setup,
}

/// A one-time link, kept under the hash of its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it is for.
    pub purpose: LinkPurpose,
    /// Whose account it acts on; none for set-up.
    pub user_id: Option<UserId>,
    /// When it was given.
    #[serde(default)]
    pub issued_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}
