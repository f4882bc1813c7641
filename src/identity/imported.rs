//! Password hashes that other systems made, so that people who move here keep their passwords.
//!
//! Known are bcrypt, as most frameworks write it, and what Django stores: PBKDF2, bcrypt and argon2
//! under its own prefixes. They are checked with the password as it was typed, because none of those
//! systems normalises it, and give way to an argon2id hash of this server's cost at the first sign-in.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::passwords::{self, Scratch};
use crate::domain::error::{Error, Result};

/// No stored text is longer.
const BYTES_MAX: usize = 512;

/// The highest cost of bcrypt that is computed: about a second.
const BCRYPT_COST_MAX: u32 = 14;

/// The most rounds of PBKDF2 that are computed: twice what Django asks for at its newest.
const PBKDF2_ROUNDS_MAX: u32 = 3_000_000;

/// A hash of another system's.
enum Imported<'a> {
    /// `$2b$12$...`; of the password, or of the hexadecimal SHA-256 of it.
    Bcrypt {
        hash: &'a str,
        of_digest: bool,
    },
    Pbkdf2 {
        algorithm: pbkdf2::Algorithm,
        rounds: NonZeroU32,
        salt: &'a str,
        hash: Vec<u8>,
    },
    /// A PHC string.
    Argon2 {
        phc: &'a str,
    },
}

/// Whether a stored hash is of a kind that this server does not make.
pub(super) fn is_imported(stored: &str) -> bool {
    !stored.starts_with("$argon2")
}

/// A hash as it is stored until its owner signs in: argon2 of elsewhere is told apart from this server's
/// own, which is of the normalised password.
pub fn as_typed(hash: String) -> String {
    if is_imported(&hash) { hash } else { format!("argon2{hash}") }
}

/// Checks that a hash can be verified here one day.
///
/// # Errors
/// A field error on `password_hash` that names what is known. It never shows the hash.
pub fn check(stored: &str) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid("password_hash", why));
    let judged = if stored.len() > BYTES_MAX {
        Err("it is too long")
    } else if is_imported(stored) {
        parse(stored).and_then(|imported| match imported {
            Imported::Argon2 { phc } => passwords::check_phc(phc),
            Imported::Bcrypt { .. } | Imported::Pbkdf2 { .. } => Ok(()),
        })
    } else {
        passwords::check_phc(stored)
    };
    judged.or_else(|why| {
        refuse(format!(
            "cannot be used: {why}. Known are bcrypt ($2b$...), argon2 ($argon2id$...) and Django's pbkdf2_sha256$..., pbkdf2_sha1$..., bcrypt_sha256$$..., bcrypt$$... and argon2$..."
        ))
    })
}

/// Whether a password, as it was typed, is the one behind a stored hash of another system's.
pub(super) fn verify(password: &str, stored: &str, scratch: &mut Scratch) -> Result<bool> {
    let unusable =
        |why: &str| Error::internal(format!("a stored password hash cannot be used: {why}"));
    match parse(stored).map_err(unusable)? {
        Imported::Bcrypt { hash, of_digest } => {
            let digest = of_digest.then(|| hexadecimal(&Sha256::digest(password)));
            let text = digest.as_deref().unwrap_or(password);
            bcrypt::verify(text, hash).map_err(|error| unusable(&error.to_string()))
        }
        Imported::Pbkdf2 { algorithm, rounds, salt, hash } => {
            Ok(pbkdf2::verify(algorithm, rounds, salt.as_bytes(), password.as_bytes(), &hash)
                .is_ok())
        }
        Imported::Argon2 { phc } => passwords::verify(password, phc, scratch),
    }
}

fn parse(stored: &str) -> Result<Imported<'_>, &'static str> {
    // Django writes NAME$REST, and the rest of bcrypt and argon2 begins with a dollar sign of its own or
    // lacks it.
    let (name, rest) = stored.split_once('$').ok_or("it is of no known kind")?;
    match name {
        "" => bcrypt(stored, false),
        "bcrypt" => bcrypt(rest, false),
        "bcrypt_sha256" => bcrypt(rest, true),
        "pbkdf2_sha256" => pbkdf2(rest, pbkdf2::PBKDF2_HMAC_SHA256, 32),
        "pbkdf2_sha1" => pbkdf2(rest, pbkdf2::PBKDF2_HMAC_SHA1, 20),
        "argon2" => Ok(Imported::Argon2 { phc: &stored["argon2".len()..] }),
        _ => Err("it is of no known kind"),
    }
}

fn bcrypt(hash: &str, of_digest: bool) -> Result<Imported<'_>, &'static str> {
    let parts: bcrypt::HashParts = hash.parse().map_err(|_| "it is no bcrypt hash")?;
    if !(4..=BCRYPT_COST_MAX).contains(&parts.get_cost()) {
        return Err("its cost is below 4 or above 14");
    }
    Ok(Imported::Bcrypt { hash, of_digest })
}

fn pbkdf2(
    rest: &str,
    algorithm: pbkdf2::Algorithm,
    length: usize,
) -> Result<Imported<'_>, &'static str> {
    let mut parts = rest.split('$');
    let (Some(rounds), Some(salt), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("it is not ROUNDS$SALT$HASH");
    };
    let rounds: NonZeroU32 = rounds.parse().map_err(|_| "its number of rounds is none")?;
    if rounds.get() > PBKDF2_ROUNDS_MAX {
        return Err("it has more than 3,000,000 rounds");
    }
    let hash = STANDARD.decode(hash).map_err(|_| "its hash is not base64")?;
    if salt.is_empty() || hash.len() != length {
        return Err("its salt or its hash has an odd length");
    }
    Ok(Imported::Pbkdf2 { algorithm, rounds, salt, hash })
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Made by Django 5.2 and by Python's bcrypt 5.0, all of one password.
    const PASSWORD: &str = "correct horse é";
    const OF_OTHERS: [&str; 6] = [
        "pbkdf2_sha256$1000$9TyVIsTRSPfaChYsUMrGJh$qc3FREK7eswCw1kUEMaXxvS/4CuetlDiaFCt/tYqtI4=",
        "pbkdf2_sha1$1000$F4QSG7nvFblM5OIuwwwqSG$MeG2ng/+xj10udBHShR6/ha6NdY=",
        "bcrypt_sha256$$2b$04$7bdvrTuy/qlIRDo5d0tZAuT/CThfD718TnOOUznUZeMxkf2AKdokq",
        "bcrypt$$2b$04$2dZ17/wYs9RBNmBuDwNMl.8i/06GWCtyOc0Iz7oNAVpQEiAwGB7zO",
        "argon2$argon2id$v=19$m=64,t=1,p=2$YmZSZUNNNTI0Y1RoNWVmaFV4SmZZaQ$oidnaiOHCbjvWk8EmocwF4V9HBdpkCR1cIpHDlUppU0",
        "$2b$04$bOmU7BCrGx.9AO.OXVeuwOOBOY/7FFn.a75OKP1da4kqlh4Q89xGW",
    ];

    fn matches(password: &str, stored: &str) -> bool {
        verify(password, stored, &mut Scratch::default()).unwrap()
    }

    #[test]
    fn hashes_of_django_and_of_bcrypt_open_for_their_password_alone() {
        for stored in OF_OTHERS {
            check(stored).unwrap();
            assert!(is_imported(stored), "{stored}");
            assert!(matches(PASSWORD, stored), "{stored}");
            for other in ["correct horse e", "", "correct horse é ", "CORRECT HORSE É"] {
                assert!(!matches(other, stored), "{other} {stored}");
            }
        }
    }

    #[test]
    fn argon2_of_elsewhere_is_of_the_password_as_it_was_typed() {
        let stored = as_typed(OF_OTHERS[4]["argon2".len()..].to_owned());
        assert_eq!(stored, OF_OTHERS[4]);
        assert!(is_imported(&stored) && matches(PASSWORD, &stored));
        assert_eq!(as_typed(OF_OTHERS[0].to_owned()), OF_OTHERS[0]);
    }

    #[test]
    fn what_bcrypt_would_cut_off_counts_where_django_digests_first() {
        let stored = "bcrypt_sha256$$2b$04$/B3tLKGrVmQwURvwWi2Bteaa8m3rxGqSY4FsHumiP.Y8I0jAZqS6.";
        assert!(matches(&"x".repeat(100), stored));
        assert!(!matches(&"x".repeat(99), stored));
    }

    #[test]
    fn what_is_unknown_broken_or_asks_for_the_moon_is_refused_with_the_reason() {
        for (stored, why) in [
            ("", "no known kind"),
            ("plain text", "no known kind"),
            ("md5$salt$5f4dcc3b5aa765d61d8327deb882cf99", "no known kind"),
            ("!unusable", "no known kind"),
            ("$2b$04$tooshort", "no bcrypt hash"),
            ("$2b$15$bOmU7BCrGx.9AO.OXVeuwOOBOY/7FFn.a75OKP1da4kqlh4Q89xGW", "cost"),
            ("$2b$03$bOmU7BCrGx.9AO.OXVeuwOOBOY/7FFn.a75OKP1da4kqlh4Q89xGW", "cost"),
            ("pbkdf2_sha256$0$salt$qc3F", "rounds"),
            ("pbkdf2_sha256$-1$salt$qc3F", "rounds"),
            (
                "pbkdf2_sha256$3000001$s$qc3FREK7eswCw1kUEMaXxvS/4CuetlDiaFCt/tYqtI4=",
                "more than 3,000,000",
            ),
            ("pbkdf2_sha256$1000$salt$qc3FREK7eswCw1kU", "odd length"),
            ("pbkdf2_sha256$1000$salt$***", "base64"),
            ("pbkdf2_sha256$1000$salt", "ROUNDS"),
            ("argon2$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$qc3FREK7eswCw1kU", "more work"),
            ("$argon2id$v=19$m=262144,t=5,p=1$c29tZXNhbHQ$qc3FREK7eswCw1kU", "more work"),
            ("$argon2id$nonsense", "PHC"),
            ("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ", "missing"),
        ] {
            let error = check(stored).unwrap_err();
            assert_eq!(error.fields[0].field, "password_hash");
            assert!(error.fields[0].message.contains(why), "{stored}: {}", error.fields[0].message);
        }
        assert!(check(&"x".repeat(513)).is_err());
    }

    #[test]
    fn no_text_makes_it_panic() {
        use proptest::prelude::*;
        let known = prop::sample::select(OF_OTHERS.to_vec());
        let spoilt =
            (known, any::<prop::sample::Index>(), any::<char>()).prop_map(|(stored, at, other)| {
                let at = at.index(stored.len());
                format!("{}{other}{}", &stored[..at], &stored[at + 1..])
            });
        proptest!(|(stored in prop_oneof![spoilt, any::<String>()])| {
            let _ = check(&stored);
        });
    }
}
