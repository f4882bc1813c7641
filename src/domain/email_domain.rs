//! Domains that an organisation has shown to be its own, so that whoever has an address there belongs
//! to it.

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::ids::OrgId;
use super::organisation::Role;
use super::time::Timestamp;
use super::user::Email;

/// Where everybody has an address: nobody's own.
const PUBLIC: &str = include_str!("public_mail.txt");

/// The label under which a domain's owner writes the proof.
const LABEL: &str = "_coditect";

/// What the proof begins with.
const MARK: &str = "coditect-verification=";

/// Looks in a row that found no proof until the domain is the organisation's no more: a name server that
/// stumbles once takes nothing away.
pub const MISSES_MAX: u32 = 3;

/// A domain in the form that is compared: lower case, and in ASCII as the name system has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Domain(String);

impl Domain {
    /// Reads a domain, be it international.
    ///
    /// # Errors
    /// A field error on `domain` that says what it must be.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::invalid("domain", "must be a domain such as example.com");
        let text = text.trim().trim_end_matches('.');
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| bad())?;
        let labels: Vec<&str> = ascii.split('.').collect();
        let digits = |label: &&str| label.bytes().all(|byte| byte.is_ascii_digit());
        // An address of numbers is no domain; neither is a single word.
        if labels.len() < 2 || labels.last().is_none_or(digits) || ascii.len() > 200 {
            return Err(bad());
        }
        Ok(Self(ascii))
    }

    /// The domain of an address.
    pub fn of(email: &Email) -> Option<Self> {
        let (_, domain) = email.as_str().rsplit_once('@')?;
        Self::parse(domain).ok()
    }

    /// The domain, in ASCII.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether everybody can have an address there.
    pub fn is_public(&self) -> bool {
        PUBLIC.lines().any(|line| line == self.0)
    }
}

/// A domain that an organisation says is its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgDomain {
    /// The organisation.
    pub org_id: OrgId,
    /// The domain.
    pub domain: Domain,
    /// What proves it, at the end of the record. No secret: the name system shows it to everybody.
    pub proof: String,
    /// When it was said.
    pub created_at: Timestamp,
    /// Since when it is known to be so.
    pub verified_at: Option<Timestamp>,
    /// Whether an operator knows it: then nobody looks.
    pub by_hand: bool,
    /// As what people with an address there join; none: they do not.
    pub auto_join: Option<Role>,
    /// When the proof was last looked for.
    pub checked_at: Option<Timestamp>,
    /// How often in a row it was not found since.
    pub misses: u32,
}

impl OrgDomain {
    /// One that nothing proves yet.
    pub fn new(org_id: OrgId, domain: Domain, proof: String, created_at: Timestamp) -> Self {
        Self {
            org_id,
            domain,
            proof,
            created_at,
            verified_at: None,
            by_hand: false,
            auto_join: None,
            checked_at: None,
            misses: 0,
        }
    }

    /// The name of the record that proves it.
    pub fn record_name(&self) -> String {
        format!("{LABEL}.{}", self.domain.as_str())
    }

    /// What that record says.
    pub fn record_value(&self) -> String {
        format!("{MARK}{}", self.proof)
    }

    /// Whether one of these texts proves it.
    pub fn is_proved_by(&self, texts: &[String]) -> bool {
        texts.iter().any(|text| text.trim() == self.record_value())
    }

    /// Notes what was found when it was looked for again; whether it is the organisation's no more.
    pub fn looked(&mut self, now: Timestamp, found: bool) -> bool {
        self.checked_at = Some(now);
        self.misses = if found { 0 } else { self.misses + 1 };
        let lost = self.misses >= MISSES_MAX;
        if lost {
            (self.verified_at, self.auto_join, self.misses) = (None, None, 0);
        }
        lost
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_compared_as_the_name_system_does() {
        for (text, ascii) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(Domain::parse(text).unwrap().as_str(), ascii, "{text}");
        }
        for text in ["", "com", "192.0.2.1", "a b.com", "a..b", "@example.com", "exa_mple.com", "."]
        {
            assert!(Domain::parse(text).is_err(), "{text}");
        }
        assert!(Domain::parse(&format!("{}.com", "a".repeat(64))).is_err());
        let email = Email::parse("Ann@BÜCHER.example").unwrap();
        assert_eq!(Domain::of(&email).unwrap().as_str(), "xn--bcher-kva.example");
    }

    #[test]
    fn the_list_of_public_domains_is_in_the_form_that_is_compared() {
        assert!(Domain::parse("Gmail.com").unwrap().is_public());
        assert!(!Domain::parse("example.com").unwrap().is_public());
        for line in PUBLIC.lines() {
            assert_eq!(Domain::parse(line).unwrap().as_str(), line);
        }
    }

    #[test]
    fn one_look_that_finds_nothing_takes_nothing_away() {
        let domain = Domain::parse("example.com").unwrap();
        let id = OrgId(uuid::Uuid::from_u128(1));
        let mut ours = OrgDomain::new(id, domain, "abc".to_owned(), Timestamp(0));
        (ours.verified_at, ours.auto_join) = (Some(Timestamp(0)), Some(Role::Member));
        for _ in 0..5 {
            assert!(!ours.looked(Timestamp(1), false));
            assert!(!ours.looked(Timestamp(1), false));
            assert!(!ours.looked(Timestamp(1), true));
        }
        assert!(!ours.looked(Timestamp(2), false));
        assert!(!ours.looked(Timestamp(3), false));
        assert!(ours.looked(Timestamp(4), false));
        assert_eq!((ours.verified_at, ours.auto_join), (None, None));
    }
}
