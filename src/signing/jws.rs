//! Compact JSON Web Signatures (RFC 7515), made and checked.
//!
//! Checking is written out here because every freedom of the standard that is not needed is a way
//! in (RFC 8725): the algorithm follows from the key that is found, never from the token; `typ` must be
//! the expected one; unknown header members, `crit` among them, are refused; base64url must be
//! canonical, so that a token has one spelling.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::signature::{
    ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::time::Timestamp;

use super::keys::{Algorithm, KeyError, KeyRecord, PublicJwk, Purpose, parse_pem_block};
use super::ring::{SignError, SigningKey};

/// A key set longer than this is refused unread.
const JWKS_BYTES_MAX: usize = 1024 * 1024;

/// More keys than this are refused: 90-day rotation of three keys makes twelve a year.
const KEYS_MAX: usize = 4096;

/// A header is three short members.
const HEADER_CHARS_MAX: usize = 1024;

/// Why a token is not believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VerifyError {
    /// Longer than such a token can be.
    #[error("it is longer than {max} bytes")]
    TooLong {
        /// The bound.
        max: usize,
    },
    /// Not three parts of canonical base64url with the expected JSON.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// Signed for another use (`typ`), or by a key of another purpose.
    #[error("it was made for another use")]
    WrongUse,
    /// The header names another algorithm than the key has.
    #[error("its algorithm does not belong to its key")]
    WrongAlgorithm,
    /// No key with this id is known.
    #[error("it was signed with an unknown key; fetch the current key set and try again")]
    UnknownKey,
    /// Changed after it was signed, or signed by somebody else.
    #[error("its signature does not match")]
    BadSignature,
}

/// What a token must be to be considered at all.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The `typ` header, compared without regard to case (RFC 7515, section 4.1.9).
    pub typ: &'static str,
    /// What its key must be for; fixes the algorithm.
    pub purpose: Purpose,
    /// Longest token that is looked at.
    pub bytes_max: usize,
}

/// A token whose signature holds. Its claims are still to be judged.
#[derive(Debug)]
pub struct Verified<'k> {
    /// The key that signed it.
    pub key: &'k VerifyingKey,
    /// The payload: JSON by convention, not yet parsed.
    pub payload: Vec<u8>,
}

/// A public key with what is known of it.
#[derive(Debug)]
pub struct VerifyingKey {
    /// Its id.
    pub kid: String,
    /// What it may sign; `None` when its source does not say (a PEM, a foreign key set).
    pub purpose: Option<Purpose>,
    /// Since when it signs nothing more, where that is known.
    pub retired_at: Option<Timestamp>,
    algorithm: Algorithm,
    parsed: ParsedPublicKey,
}

/// Public keys by id.
#[derive(Clone, Default, Debug)]
pub struct VerifyingKeys(HashMap<String, Arc<VerifyingKey>>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    kid: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    typ: std::borrow::Cow<'a, str>,
}

/// Signs `claims` as a compact JWS with the header members `alg`, `kid` and `typ`.
pub fn sign(key: &SigningKey, typ: &str, claims: &impl Serialize) -> Result<String, SignError> {
    let header = serde_json::json!({
        "alg": key.record().algorithm.as_str(),
        "kid": key.kid(),
        "typ": typ,
    });
    let payload = serde_json::to_vec(claims).map_err(|e| SignError::Failed(e.to_string()))?;
    let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

impl VerifyingKeys {
    /// The keys of a JSON Web Key Set. Keys of other types or uses are passed over (RFC 7517,
    /// section 5); a set in which no key can be used is an error.
    pub fn from_jwks(text: &str) -> Result<Self, KeyError> {
        if text.len() > JWKS_BYTES_MAX {
            return Err(KeyError::Unsuitable("the key set is longer than 1 MiB"));
        }
        let set: Value = serde_json::from_str(text)
            .map_err(|_| KeyError::Unsuitable("the key set is not JSON"))?;
        let entries = set["keys"]
            .as_array()
            .ok_or(KeyError::Unsuitable("the key set has no member `keys`"))?;
        if entries.len() > KEYS_MAX {
            return Err(KeyError::Unsuitable("the key set has too many keys"));
        }
        let mut keys = Self::default();
        for entry in entries {
            keys.add_jwk(entry)?;
        }
        if keys.is_empty() {
            return Err(KeyError::Unsuitable("the key set holds no RSA or Ed25519 signature key"));
        }
        Ok(keys)
    }

    /// One key from a PEM block `PUBLIC KEY`; its id is its RFC 7638 thumbprint.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = parse_pem_block("PUBLIC KEY", pem)
            .ok_or(KeyError::Unsuitable("it is not a PEM block `PUBLIC KEY`"))?;
        let jwk = PublicJwk::from_spki_der(&der)?;
        let mut keys = Self::default();
        keys.add(jwk.thumbprint(), None, None, &jwk)?;
        Ok(keys)
    }

    /// Adds the keys of another set; those with the same id are replaced.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(kid, key)| (kid.clone(), key.clone())));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks form, use, key, algorithm and signature, in this order.
    pub fn verify(&self, token: &str, expected: Expected) -> Result<Verified<'_>, VerifyError> {
        if token.len() > expected.bytes_max {
            return Err(VerifyError::TooLong { max: expected.bytes_max });
        }
        let (message, signature) =
            token.rsplit_once('.').ok_or(VerifyError::Malformed("a part is missing"))?;
        let (header, payload) =
            message.split_once('.').ok_or(VerifyError::Malformed("a part is missing"))?;
        if header.len() > HEADER_CHARS_MAX {
            return Err(VerifyError::Malformed("the header is too long"));
        }
        let header = decode(header)?;
        let header: Header<'_> = serde_json::from_slice(&header)
            .map_err(|_| VerifyError::Malformed("the header is not {alg, kid, typ}"))?;
        if !header.typ.eq_ignore_ascii_case(expected.typ) {
            return Err(VerifyError::WrongUse);
        }
        let key = self.0.get(header.kid.as_ref()).ok_or(VerifyError::UnknownKey)?;
        if key.purpose.is_some_and(|purpose| purpose != expected.purpose) {
            return Err(VerifyError::WrongUse);
        }
        // Both must agree: the key with the use, so that a stronger one cannot be swapped for a
        // weaker, and the header with the key.
        if key.algorithm != expected.purpose.algorithm() || header.alg != key.algorithm.as_str() {
            return Err(VerifyError::WrongAlgorithm);
        }
        let payload = decode(payload)?;
        let signature = decode(signature)?;
        key.parsed
            .verify_sig(message.as_bytes(), &signature)
            .map_err(|_| VerifyError::BadSignature)?;
        Ok(Verified { key, payload })
    }

    pub(super) fn add_record(&mut self, record: &KeyRecord) -> Result<(), KeyError> {
        self.add(record.kid.clone(), Some(record.purpose), record.retired_at, &record.public_jwk)
    }

    fn add_jwk(&mut self, entry: &Value) -> Result<(), KeyError> {
        let Ok(jwk) = PublicJwk::deserialize(entry) else { return Ok(()) };
        let for_signatures = entry.get("use").is_none_or(|usage| usage == "sig");
        let algorithm_fits = entry.get("alg").is_none_or(|alg| alg == jwk.algorithm().as_str());
        if !for_signatures || !algorithm_fits {
            return Ok(());
        }
        let kid = entry["kid"].as_str().map_or_else(|| jwk.thumbprint(), str::to_owned);
        if self.0.contains_key(&kid) {
            return Err(KeyError::Unsuitable("two keys of the set have the same id"));
        }
        let purpose = entry.get("purpose").and_then(|purpose| Purpose::deserialize(purpose).ok());
        let retired_at = entry["retired_at"].as_str().and_then(|text| text.parse().ok());
        self.add(kid, purpose, retired_at, &jwk)
    }

    fn add(
        &mut self,
        kid: String,
        purpose: Option<Purpose>,
        retired_at: Option<Timestamp>,
        jwk: &PublicJwk,
    ) -> Result<(), KeyError> {
        let algorithm = jwk.algorithm();
        let verification: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::EdDsa => &ED25519,
        };
        let parsed = ParsedPublicKey::new(verification, jwk.spki_der()?)
            .map_err(|_| KeyError::Unsuitable("a public key of the set is not valid"))?;
        let key = VerifyingKey { kid: kid.clone(), purpose, retired_at, algorithm, parsed };
        self.0.insert(kid, Arc::new(key));
        Ok(())
    }
}

/// Canonical base64url without padding (RFC 7515, section 2).
fn decode(part: &str) -> Result<Vec<u8>, VerifyError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| VerifyError::Malformed("a part is not base64url"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::keys::tests::{CREATED, ed25519_record, master, rsa_record};
    use super::super::ring::tests::ring;
    use super::*;

    const LICENSE: Expected =
        Expected { typ: "license+jwt", purpose: Purpose::License, bytes_max: 16_384 };
    const ANSWER: Expected =
        Expected { typ: "validation+jwt", purpose: Purpose::Validation, bytes_max: 16_384 };

    fn answer() -> String {
        ring().sign(Purpose::Validation, ANSWER.typ, &json!({ "valid": true })).unwrap()
    }

    /// A token with any header, signed by the validation key of the ring.
    fn forged(header: &Value) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode("{}")
        );
        let key = ring().current(Purpose::Validation).unwrap();
        let signature = key.sign(message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn verify(token: &str, expected: Expected) -> Result<Vec<u8>, VerifyError> {
        ring().verifying_keys().verify(token, expected).map(|verified| verified.payload)
    }

    #[test]
    fn what_was_signed_verifies_and_carries_alg_kid_and_typ() {
        let token = answer();
        assert_eq!(verify(&token, ANSWER).unwrap(), br#"{"valid":true}"#);
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        let kid = ring().current(Purpose::Validation).unwrap().kid().to_owned();
        assert_eq!(header, json!({ "alg": "EdDSA", "kid": kid, "typ": "validation+jwt" }));
    }

    #[test]
    fn both_algorithms_verify_with_an_independent_library() {
        use jsonwebtoken::{DecodingKey, Validation};
        let ring = ring();
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&ring.jwks()).unwrap();
        for purpose in Purpose::ALL {
            let token = ring.sign(purpose, "x", &json!({ "a": 1 })).unwrap();
            let header = jsonwebtoken::decode_header(&token).unwrap();
            let key = DecodingKey::from_jwk(set.find(&header.kid.unwrap()).unwrap()).unwrap();
            let mut rules = Validation::new(header.alg);
            rules.required_spec_claims.clear();
            rules.validate_exp = false;
            let claims = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap().claims;
            assert_eq!(claims, json!({ "a": 1 }));
        }
    }

    #[test]
    fn alg_none_and_symmetric_algorithms_are_refused() {
        let kid = ring().current(Purpose::Validation).unwrap().kid().to_owned();
        for alg in ["none", "None", "HS256", "RS256", "ES256", "Ed25519", ""] {
            let token = forged(&json!({ "alg": alg, "kid": kid, "typ": ANSWER.typ }));
            assert_eq!(verify(&token, ANSWER), Err(VerifyError::WrongAlgorithm), "{alg}");
        }
    }

    #[test]
    fn the_public_key_as_an_hmac_secret_opens_nothing() {
        use aws_lc_rs::hmac;
        let record = rsa_record();
        let header = json!({ "alg": "HS256", "kid": record.kid, "typ": LICENSE.typ });
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode("{}")
        );
        let pem = record.published().unwrap().public_pem;
        let tag =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes()), message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(verify(&token, LICENSE), Err(VerifyError::WrongAlgorithm));
    }

    #[test]
    fn a_key_of_one_purpose_signs_nothing_of_another() {
        let ring = ring();
        let access = ring.sign(Purpose::Access, ANSWER.typ, &json!({})).unwrap();
        assert_eq!(verify(&access, ANSWER), Err(VerifyError::WrongUse));
        let ed25519 = ring.sign(Purpose::Validation, LICENSE.typ, &json!({})).unwrap();
        assert_eq!(verify(&ed25519, LICENSE), Err(VerifyError::WrongUse));
        // Also where the source of the keys does not say what they are for.
        let pem = ring.current(Purpose::Validation).unwrap().record().public_jwk.pem().unwrap();
        let keys = VerifyingKeys::from_pem(&pem).unwrap();
        assert_eq!(keys.verify(&ed25519, LICENSE).unwrap_err(), VerifyError::WrongAlgorithm);
    }

    #[test]
    fn another_typ_is_another_use() {
        assert_eq!(
            verify(&answer(), Expected { typ: "at+jwt", ..ANSWER }),
            Err(VerifyError::WrongUse)
        );
    }

    #[test]
    fn unknown_header_members_are_refused_crit_and_embedded_keys_among_them() {
        let kid = ring().current(Purpose::Validation).unwrap().kid().to_owned();
        for member in ["crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "cty"] {
            let mut header = json!({ "alg": "EdDSA", "kid": kid, "typ": ANSWER.typ });
            header[member] = json!(["x"]);
            let result = verify(&forged(&header), ANSWER);
            assert!(matches!(result, Err(VerifyError::Malformed(_))), "{member}: {result:?}");
        }
    }

    #[test]
    fn an_unknown_key_and_an_endless_token_are_refused() {
        let header = json!({ "alg": "EdDSA", "kid": "nobody", "typ": ANSWER.typ });
        assert_eq!(verify(&forged(&header), ANSWER), Err(VerifyError::UnknownKey));
        let long = "a".repeat(20_000);
        assert_eq!(verify(&long, ANSWER), Err(VerifyError::TooLong { max: 16_384 }));
    }

    #[test]
    fn a_retired_key_still_verifies_what_it_signed() {
        let ring = ring();
        let token = ring.sign(Purpose::License, LICENSE.typ, &json!({})).unwrap();
        let kid = ring.current(Purpose::License).unwrap().kid().to_owned();
        ring.retire(&kid, CREATED.plus_days(90), &master()).unwrap();
        let keys = ring.verifying_keys();
        let verified = keys.verify(&token, LICENSE).unwrap();
        assert_eq!(verified.key.retired_at, Some(CREATED.plus_days(90)));
    }

    #[test]
    fn a_key_set_read_back_verifies_and_keeps_purposes() {
        let ring = ring();
        let keys = VerifyingKeys::from_jwks(&ring.jwks()).unwrap();
        assert_eq!(keys.len(), 3);
        let token = ring.sign(Purpose::License, LICENSE.typ, &json!({})).unwrap();
        let purpose = keys.verify(&token, LICENSE).unwrap().key.purpose;
        assert_eq!(purpose, Some(Purpose::License));
    }

    #[test]
    fn key_sets_that_are_hostile_or_useless_are_refused() {
        let okp = |kid: &str| json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        for (why, set) in [
            ("no keys", json!({})),
            ("only foreign types", json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] })),
            (
                "only for encryption",
                json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "", "use": "enc" }] }),
            ),
            ("a short key", json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" }] })),
            (
                "another curve",
                json!({ "keys": [{ "kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] }),
            ),
            ("an empty modulus", json!({ "keys": [{ "kty": "RSA", "n": "", "e": "" }] })),
            ("a zero modulus", json!({ "keys": [{ "kty": "RSA", "n": "AA", "e": "AQAB" }] })),
            ("an id twice", json!({ "keys": [okp("a"), okp("a")] })),
        ] {
            assert!(VerifyingKeys::from_jwks(&set.to_string()).is_err(), "{why}");
        }
        assert!(VerifyingKeys::from_jwks("not json").is_err());
        assert_eq!(
            VerifyingKeys::from_jwks(&json!({ "keys": [okp("a"), okp("b")] }).to_string())
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn a_pem_verifies_by_thumbprint() {
        let record = ed25519_record(Purpose::Validation, 21);
        let keys = VerifyingKeys::from_pem(&record.published().unwrap().public_pem).unwrap();
        assert_eq!(keys.verify(&answer(), ANSWER).unwrap().key.kid, record.kid);
        assert!(
            VerifyingKeys::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")
                .is_err()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn no_changed_character_goes_unnoticed(index in any::<prop::sample::Index>(), new in "[A-Za-z0-9_.=-]") {
            let token = answer();
            let index = index.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(index..=index, &new);
            prop_assume!(changed != token);
            prop_assert!(verify(&changed, ANSWER).is_err());
        }

        #[test]
        fn no_cut_or_grown_token_is_believed(cut in any::<prop::sample::Index>(), tail in "[A-Za-z0-9_.=-]{1,8}") {
            let token = answer();
            prop_assert!(verify(&token[..cut.index(token.len())], ANSWER).is_err());
            let grown = format!("{token}{tail}");
            prop_assert!(verify(&grown, ANSWER).is_err());
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
            prop_assert!(verify(&text, ANSWER).is_err());
        }
    }
}
