//! The signed documents: licences, licence files, answers to validation calls.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::plan::Features;
use crate::domain::time::Timestamp;

use super::jws::{Expected, VerifyError, VerifyingKeys};
use super::keys::Purpose;
use super::ring::{KeyRing, SignError};

/// The `typ` of a signed licence.
pub const LICENSE_TYP: &str = "license+jwt";

/// The `typ` of a signed answer to a validation call.
pub const VALIDATION_TYP: &str = "validation+jwt";

/// Longest signed licence. Its features are the vendor's, so it is generous.
pub const LICENSE_BYTES_MAX: usize = 64 * 1024;

/// Longest licence file: the longest licence, its line breaks, and room for remarks around it.
pub const FILE_BYTES_MAX: usize = 2 * LICENSE_BYTES_MAX;

const BEGIN: &str = "-----BEGIN CODITECT LICENSE-----";
const END: &str = "-----END CODITECT LICENSE-----";
const LINE_CHARS: usize = 64;

/// What a licence says. The names are those of the wire; times are `NumericDate`s (RFC 7519: whole
/// seconds since 1970-01-01T00:00:00Z).
///
/// Members that are not known are ignored, so that a program built today reads the licences of
/// a later server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LicenseClaims {
    /// The server that issued it.
    pub iss: String,
    /// The licence's id.
    pub sub: String,
    /// What the customer types.
    pub license_key: String,
    /// The id of the organisation it was issued to.
    pub org: String,
    /// The plan's name.
    pub plan: String,
    /// Features by name, as the plan defines them.
    pub features: Features,
    /// Seats that may be held at once.
    pub max_seats: u32,
    /// The licence's status when this was signed: `active`, `grace`, ...
    pub status: String,
    /// Signed at.
    pub iat: i64,
    /// Good from.
    pub nbf: i64,
    /// Good until, not included.
    pub exp: i64,
    /// Unique to this document.
    pub jti: String,
    /// The machine it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_id: Option<String>,
}

/// Whether a time lies within a licence's dates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Validity {
    /// Before `nbf`.
    NotYet,
    /// From `nbf` up to `exp`.
    Valid,
    /// At or after `exp`.
    Expired,
}

impl LicenseClaims {
    /// Whether `now` lies within its dates.
    pub fn validity(&self, now: Timestamp) -> Validity {
        let now = now.unix_seconds();
        if now < self.nbf {
            Validity::NotYet
        } else if now < self.exp {
            Validity::Valid
        } else {
            Validity::Expired
        }
    }

    /// Whether it may be used on this machine: it is bound to none, or to this one.
    pub fn allows_hardware(&self, hardware_id: &str) -> bool {
        self.hardware_id.as_deref().is_none_or(|bound| bound == hardware_id)
    }
}

/// Why a licence or a licence file is not believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VerifyLicenseError {
    /// The text is no licence file.
    #[error("this is not a licence file: {0}")]
    NotAFile(&'static str),
    /// The signature, the key or the form is wrong.
    #[error("the licence is not genuine or not readable: {0}")]
    Signature(#[from] VerifyError),
    /// Genuine, but without something a licence must say.
    #[error("the licence is signed but incomplete: {0}")]
    Claims(String),
}

/// Signs a licence: RS256, 2.3 ms. Run it where that blocks nobody.
pub fn sign_license(ring: &KeyRing, claims: &LicenseClaims) -> Result<String, SignError> {
    let token = ring.sign(Purpose::License, LICENSE_TYP, claims)?;
    if token.len() > LICENSE_BYTES_MAX {
        // Better no licence than one that every verifier refuses.
        return Err(SignError::Failed(format!(
            "the signed licence would have {} bytes, but at most {LICENSE_BYTES_MAX} are read: shorten the plan's features",
            token.len()
        )));
    }
    Ok(token)
}

/// Checks a signed licence without asking any server, and gives its claims. Dates and hardware are
/// for the caller to judge: [`LicenseClaims::validity`], [`LicenseClaims::allows_hardware`].
pub fn verify_license(
    token: &str,
    keys: &VerifyingKeys,
) -> Result<LicenseClaims, VerifyLicenseError> {
    let expected =
        Expected { typ: LICENSE_TYP, purpose: Purpose::License, bytes_max: LICENSE_BYTES_MAX };
    let verified = keys.verify(token, expected)?;
    serde_json::from_slice(&verified.payload)
        .map_err(|error| VerifyLicenseError::Claims(error.to_string()))
}

/// Signs the answer to a validation call (with its nonce): Ed25519, 13 µs.
pub fn sign_validation(ring: &KeyRing, answer: &Value) -> Result<String, SignError> {
    ring.sign(Purpose::Validation, VALIDATION_TYP, answer)
}

/// Checks a signed answer to a validation call. The caller compares the nonce with the one it sent.
pub fn verify_validation(token: &str, keys: &VerifyingKeys) -> Result<Value, VerifyError> {
    let expected = Expected {
        typ: VALIDATION_TYP,
        purpose: Purpose::Validation,
        bytes_max: LICENSE_BYTES_MAX,
    };
    let verified = keys.verify(token, expected)?;
    serde_json::from_slice(&verified.payload)
        .map_err(|_| VerifyError::Malformed("the payload is not JSON"))
}

/// A signed licence as a text file: between two marker lines, in lines of 64 characters.
///
/// ```text
/// -----BEGIN CODITECT LICENSE-----
/// eyJhbGciOiJSUzI1NiIsImtpZCI6...
/// -----END CODITECT LICENSE-----
/// ```
pub fn armour(signed_license: &str) -> String {
    let lines = signed_license.len() / LINE_CHARS + 1;
    let mut text =
        String::with_capacity(signed_license.len() + lines + BEGIN.len() + END.len() + 2);
    text.push_str(BEGIN);
    text.push('\n');
    for (index, character) in signed_license.chars().enumerate() {
        if index > 0 && index % LINE_CHARS == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push('\n');
    text.push_str(END);
    text.push('\n');
    text
}

/// Finds the signed licence, not verified yet, in the text of a file that [`armour`] made.
///
/// Line ends and indentation do not matter. Text before and after is passed over, as in RFC 7468,
/// so that a licence pasted from a mail with its greeting still reads. Nothing outside the markers is
/// signed, so nothing there is used.
pub fn dearmour(text: &str) -> Result<String, VerifyLicenseError> {
    let not_a_file = |why| Err(VerifyLicenseError::NotAFile(why));
    if text.len() > FILE_BYTES_MAX {
        return not_a_file("it is longer than 128 KiB");
    }
    let Some((_, rest)) = text.split_once(BEGIN) else {
        return not_a_file("the line -----BEGIN CODITECT LICENSE----- is missing");
    };
    let Some((body, rest)) = rest.split_once(END) else {
        return not_a_file("the line -----END CODITECT LICENSE----- is missing; it may be cut off");
    };
    if body.contains(BEGIN) || rest.contains(BEGIN) {
        return not_a_file("it holds more than one licence; give one at a time");
    }
    let signed_license: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let plausible = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if signed_license.is_empty() || !signed_license.bytes().all(plausible) {
        return not_a_file("something else stands between its markers");
    }
    Ok(signed_license)
}

/// [`dearmour`], then [`verify_license`].
pub fn verify_file(text: &str, keys: &VerifyingKeys) -> Result<LicenseClaims, VerifyLicenseError> {
    verify_license(&dearmour(text)?, keys)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::keys::tests::{CREATED, rsa_record};
    use super::super::ring::tests::ring;
    use super::*;
    use crate::domain::plan::Feature;

    fn claims() -> LicenseClaims {
        LicenseClaims {
            iss: "https://licenses.example.com".to_owned(),
            sub: "0190a000-0000-7000-8000-000000000001".to_owned(),
            license_key: "CODITECT-AAAA-BBBB-CCCC-DDDD-EEEE".to_owned(),
            org: "0190a000-0000-7000-8000-000000000002".to_owned(),
            plan: "Team".to_owned(),
            features: Features::from([("export".to_owned(), Feature::Flag(true))]),
            max_seats: 25,
            status: "active".to_owned(),
            iat: CREATED.unix_seconds(),
            nbf: CREATED.unix_seconds(),
            exp: CREATED.plus_days(30).unix_seconds(),
            jti: "j1".to_owned(),
            hardware_id: None,
        }
    }

    #[test]
    fn a_signed_license_verifies_offline_with_the_published_key_set_alone() {
        let ring = ring();
        let token = sign_license(&ring, &claims()).unwrap();
        let keys = VerifyingKeys::from_jwks(&ring.jwks()).unwrap();
        assert_eq!(verify_license(&token, &keys).unwrap(), claims());
    }

    #[test]
    fn a_license_says_what_the_contract_names_and_hardware_only_when_bound() {
        let free = serde_json::to_value(claims()).unwrap();
        let names: Vec<_> = free.as_object().unwrap().keys().map(String::as_str).collect();
        let mut contract = "iss sub license_key org plan features max_seats status iat nbf exp jti"
            .split(' ')
            .collect::<Vec<_>>();
        contract.sort_unstable();
        let mut names = names;
        names.sort_unstable();
        assert_eq!(names, contract);
        let bound = LicenseClaims { hardware_id: Some("hw-1".to_owned()), ..claims() };
        assert_eq!(serde_json::to_value(&bound).unwrap()["hardware_id"], "hw-1");
        assert!(bound.allows_hardware("hw-1") && !bound.allows_hardware("hw-2"));
        assert!(claims().allows_hardware("any"));
    }

    #[test]
    fn dates_include_the_first_second_and_exclude_the_last() {
        let claims = claims();
        let at = |seconds| claims.validity(Timestamp(seconds * 1000));
        assert_eq!(at(claims.nbf - 1), Validity::NotYet);
        assert_eq!(at(claims.nbf), Validity::Valid);
        assert_eq!(at(claims.exp - 1), Validity::Valid);
        assert_eq!(at(claims.exp), Validity::Expired);
    }

    #[test]
    fn a_later_servers_extra_claims_are_passed_over_and_missing_ones_are_named() {
        let ring = ring();
        let mut value = serde_json::to_value(claims()).unwrap();
        value["something_new"] = json!({ "a": [1] });
        let token = ring.sign(Purpose::License, LICENSE_TYP, &value).unwrap();
        assert_eq!(verify_license(&token, &ring.verifying_keys()).unwrap(), claims());
        value.as_object_mut().unwrap().remove("max_seats");
        let token = ring.sign(Purpose::License, LICENSE_TYP, &value).unwrap();
        let error = verify_license(&token, &ring.verifying_keys()).unwrap_err();
        assert!(error.to_string().contains("max_seats"), "{error}");
    }

    #[test]
    fn a_validation_answer_is_no_license_and_a_license_no_answer() {
        let ring = ring();
        let keys = ring.verifying_keys();
        let answer = json!({ "valid": true, "nonce": "n-1" });
        let token = sign_validation(&ring, &answer).unwrap();
        assert_eq!(verify_validation(&token, &keys).unwrap(), answer);
        assert!(verify_license(&token, &keys).is_err());
        let license = sign_license(&ring, &claims()).unwrap();
        assert!(verify_validation(&license, &keys).is_err());
    }

    #[test]
    fn a_license_that_no_verifier_would_read_is_not_issued() {
        let features =
            (0..3000).map(|i| (format!("feature-{i:05}"), Feature::Text("x".repeat(20))));
        let claims = LicenseClaims { features: features.collect(), ..claims() };
        let error = sign_license(&ring(), &claims).unwrap_err();
        assert!(error.to_string().contains("features"), "{error}");
    }

    #[test]
    fn a_license_file_survives_mail_programs() {
        let ring = ring();
        let token = sign_license(&ring, &claims()).unwrap();
        let text = armour(&token);
        assert!(text.lines().all(|line| line.len() <= LINE_CHARS));
        for mangled in [
            text.clone(),
            text.replace('\n', "\r\n"),
            text.replace('\n', " \n  "),
            format!("\u{feff}Dear customer,\nyour licence:\n\n{text}\nKind regards"),
            text.trim_end().to_owned(),
        ] {
            assert_eq!(verify_file(&mangled, &ring.verifying_keys()).unwrap(), claims());
        }
    }

    #[test]
    fn files_that_are_none_are_refused_with_a_reason() {
        let token = sign_license(&ring(), &claims()).unwrap();
        let text = armour(&token);
        for (text, reason) in [
            (String::new(), "BEGIN"),
            (token, "BEGIN"),
            (text.replace(END, ""), "cut off"),
            (format!("{text}{text}"), "more than one"),
            (text.replacen(END, &text, 1), "more than one"),
            (armour(""), "between its markers"),
            (armour("<html>"), "between its markers"),
            ("x".repeat(FILE_BYTES_MAX + 1), "longer"),
        ] {
            let error = dearmour(&text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error} should say {reason}");
        }
    }

    #[test]
    fn the_openssl_command_verifies_a_signed_license() {
        use std::process::Command;

        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;

        let token = sign_license(&ring(), &claims()).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("public.pem"), rsa_record().published().unwrap().public_pem).unwrap();
        std::fs::write(path("signature"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let verify = |message: &str| {
            std::fs::write(path("message"), message).unwrap();
            Command::new("openssl")
                .current_dir(&directory)
                .args(["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature"])
                .arg("message")
                .output()
                .expect("this test needs the openssl command: install it, for example with `apt install openssl`")
        };
        let output = verify(message);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "Verified OK", "{output:?}");
        assert!(!verify(&message[1..]).status.success(), "a changed licence must not verify");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn no_changed_character_of_a_license_goes_unnoticed(
            index in any::<prop::sample::Index>(),
            new in "[A-Za-z0-9_.-]",
        ) {
            static TOKEN: std::sync::OnceLock<(String, std::sync::Arc<VerifyingKeys>)> =
                std::sync::OnceLock::new();
            let (token, keys) = TOKEN.get_or_init(|| {
                let ring = ring();
                (sign_license(&ring, &claims()).unwrap(), ring.verifying_keys())
            });
            let index = index.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(index..=index, &new);
            prop_assume!(changed != *token);
            prop_assert!(verify_license(&changed, keys).is_err());
        }

        #[test]
        fn any_license_comes_back_as_it_was_signed(
            plan in "\\PC{0,40}", seats in any::<u32>(), exp in any::<i64>(),
            hardware in proptest::option::of("\\PC{0,80}"),
        ) {
            // The file form carries any signed text; the signature itself is proved above.
            let claims = LicenseClaims { plan, max_seats: seats, exp, hardware_id: hardware, ..claims() };
            let json = serde_json::to_vec(&claims).unwrap();
            prop_assert_eq!(serde_json::from_slice::<LicenseClaims>(&json).unwrap(), claims);
        }

        #[test]
        fn the_file_form_keeps_every_token(token in "[A-Za-z0-9_.-]{1,500}") {
            prop_assume!(!token.contains("-----"));
            let file = dearmour(&armour(&token)).unwrap();
            prop_assert_eq!(file, token);
        }

        #[test]
        fn arbitrary_files_never_panic(text in "(-----BEGIN CODITECT LICENSE-----|-----END CODITECT LICENSE-----|\\PC|\n){0,60}") {
            let _ = dearmour(&text);
        }
    }
}
