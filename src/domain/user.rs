//! People and their sign-ins.

use std::net::IpAddr;

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
    /// Whether the password was chosen beside a second factor and is too short to stand alone.
    #[serde(default)]
    pub short_password: bool,
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
    /// From where and with what the person has signed in, the newest last.
    #[serde(default)]
    pub familiar: Vec<Familiar>,
    /// When the account was closed by its owner or an operator.
    #[serde(default)]
    pub deactivated_at: Option<Timestamp>,
    /// Since when a code is asked for beside the password; none: it is not.
    #[serde(default)]
    pub second_factor_since: Option<Timestamp>,
}

/// A place or a program somebody has signed in from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Familiar {
    /// The network of an address: `198.51.0.0/16`, `2001:db8::/32`. What a provider gives the same
    /// person from one day to the next is mostly within it.
    Network(String),
    /// A `User-Agent` without its numbers: an update does not make another program of it.
    Program(String),
}

impl Familiar {
    /// The network of an address.
    pub fn network(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, ..] = address.octets();
                format!("{a}.{b}.0.0/16")
            }
            IpAddr::V6(address) => {
                let [a, b, ..] = address.segments();
                format!("{a:x}:{b:x}::/32")
            }
        })
    }

    /// The program that calls itself so.
    pub fn program(user_agent: &str) -> Self {
        let name = user_agent.chars().filter(|c| !c.is_ascii_digit() && *c != '.');
        Self::Program(name.take(100).collect())
    }
}

/// The most that is remembered of where somebody signs in.
const FAMILIAR_MAX: usize = 24;

impl User {
    /// Notes a sign-in. Answers whether its owner should hear of it: it is not the first, and its
    /// network or its program is new.
    pub fn signs_in(&mut self, now: Timestamp, address: IpAddr, user_agent: &str) -> bool {
        let first = self.last_login_at.is_none() || self.familiar.is_empty();
        self.last_login_at = Some(now);
        let mut new = false;
        for seen in [Familiar::network(address), Familiar::program(user_agent)] {
            let before = self.familiar.len();
            self.familiar.retain(|known| *known != seen);
            new |= self.familiar.len() == before;
            self.familiar.push(seen);
        }
        let forgotten = self.familiar.len().saturating_sub(FAMILIAR_MAX);
        self.familiar.drain(..forgotten);
        new && !first
    }
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
    /// Whether a customer's issuer has said who it is, and neither the person nor an issuer of this server's.
    #[serde(default)]
    pub by_org: bool,
    /// Which customer's issuer that was; none also where nobody noted it.
    #[serde(default)]
    pub issuer_of: Option<OrgId>,
}

impl Login {
    /// Whether it has neither ended nor lain unused for so many days.
    pub fn lives(&self, now: Timestamp, idle_days: u32) -> bool {
        now < self.expires_at && now < self.last_used_at.plus_days(idle_days)
    }
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
    /// To whom it was mailed: it acts on the account for as long as that has this address. None for set-up.
    #[serde(default)]
    pub email: Option<Email>,
    /// When it was given.
    #[serde(default)]
    pub issued_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

    fn somebody() -> User {
        User {
            user_id: UserId(uuid::Uuid::nil()),
            email: Email::parse("zoe@example.com").unwrap(),
            password_hash: None,
            short_password: false,
            full_name: "Zoe".to_owned(),
            company_name: None,
            email_verified: true,
            operator: false,
            personal_org: OrgId(uuid::Uuid::nil()),
            created_at: Timestamp(0),
            password_changed_at: Timestamp(0),
            last_login_at: None,
            familiar: Vec::new(),
            deactivated_at: None,
            second_factor_since: None,
        }
    }

    #[test]
    fn a_sign_in_from_somewhere_new_is_told_of_and_the_first_is_not() {
        let mut zoe = somebody();
        let mut told = |address: &str, program: &str| {
            zoe.signs_in(Timestamp(1), address.parse().unwrap(), program)
        };
        assert!(!told("198.51.100.7", FIREFOX), "the first");
        assert!(!told("198.51.7.1", &FIREFOX.replace("145.0", "146.0.1")), "an update next door");
        assert!(!told("::ffff:198.51.7.1", FIREFOX), "the same network in other words");
        assert!(told("203.0.113.9", FIREFOX), "another network");
        assert!(told("203.0.113.9", "curl/8.14.1"), "another program");
        assert!(!told("198.51.100.7", "curl/8.14.1"), "both are known by now");
        assert!(told("2001:db8::1", "curl/8.14.1"));
        assert!(!told("2001:db8:ffff::1", "curl/8.14.1"));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_was_used_lately_stays() {
        let mut zoe = somebody();
        for n in 0..=255_u8 {
            zoe.signs_in(Timestamp(1), IpAddr::from([10, n, 0, 1]), FIREFOX);
        }
        assert_eq!(zoe.familiar.len(), FAMILIAR_MAX);
        assert!(!zoe.signs_in(Timestamp(1), IpAddr::from([10, 255, 0, 1]), FIREFOX));
        assert!(zoe.signs_in(Timestamp(1), IpAddr::from([10, 0, 0, 1]), FIREFOX));
    }
}
