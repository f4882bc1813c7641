//! ID tokens (OpenID Connect Core 1.0, sections 2 and 3.1.3.7): whether one is believed.
//!
//! The algorithm must be one that has a public key, and must be one of the key that is found: `none` and
//! the HMAC algorithms have no word here, so that a public key is never taken for a secret (RFC 8725).
//! Signatures are checked by `jsonwebtoken` over aws-lc; what the claims mean is judged here, by the
//! injected clock.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use crate::domain::time::Timestamp;
use crate::domain::user::Email;

/// The longest ID token that is looked at: some carry hundreds of groups.
pub const TOKEN_BYTES_MAX: usize = 32 * 1024;
/// How far the clocks of issuer and server may differ, in seconds.
const LEEWAY_S: i64 = 60;
/// Keys of a set beyond this many are not read.
const KEYS_MAX: usize = 100;
/// The longest subject (OpenID Connect Core, section 2).
const SUBJECT_BYTES_MAX: usize = 255;
/// Groups of a person beyond this many are not read.
const GROUPS_MAX: usize = 200;
/// The longest text that is taken from a person's profile, in bytes.
const CLAIM_BYTES_MAX: usize = 400;
const NAME_CHARS_MAX: usize = 200;

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Why an ID token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Refusal {
    #[error("it is not a signed token of three parts, or too long")]
    Malformed,
    #[error("its algorithm is none that has a public key")]
    Algorithm,
    #[error("it was signed with a key that the issuer does not publish")]
    UnknownKey,
    #[error("its signature does not match")]
    Signature,
    #[error("it was issued by another issuer")]
    Issuer,
    #[error("it was issued for another audience")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it was issued in the future")]
    Future,
    #[error("it was not issued for this sign-in")]
    Nonce,
    #[error("it names no subject, or one that is too long")]
    Subject,
    #[error("it says of no instant in the past when the person signed in")]
    AuthTime,
}

/// What an ID token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Any of these as `iss`.
    pub issuers: &'a [String],
    /// Each `aud` must be one of these, and `azp` where there is one.
    pub audiences: &'a [String],
    /// The `nonce` that this sign-in was begun with; none: the token was had by other means.
    pub nonce: Option<&'a str>,
    /// Whether `auth_time` must be there.
    pub auth_time: bool,
    /// The instant it is judged at.
    pub now: Timestamp,
}

/// What an issuer says of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// The issuer, as it writes itself.
    pub fn issuer(&self) -> &str {
        self.text("iss").unwrap_or_default()
    }

    /// The issuer's name for the person; never another's.
    pub fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// The address, where it is one.
    pub fn email(&self) -> Option<Email> {
        Email::parse(self.text("email")?).ok()
    }

    /// Whether the issuer says that the person reads mail to the address. Some write it as a text.
    pub fn email_verified(&self) -> bool {
        match self.0.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// The person's name.
    pub fn name(&self) -> Option<String> {
        let name = self.text("name")?.trim();
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        (!name.is_empty()).then_some(name)
    }

    /// The groups under a claim: a list of texts, or one text.
    pub fn groups(&self, claim: &str) -> Vec<String> {
        match self.0.get(claim) {
            Some(Value::String(group)) => vec![group.clone()],
            Some(Value::Array(groups)) => groups
                .iter()
                .take(GROUPS_MAX)
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Adds what the issuer says elsewhere of the same subject, as far as anybody asks for it; what the token
    /// says stays. Answers whether it was about the same subject.
    pub fn complete_with(
        &mut self,
        mut more: Map<String, Value>,
        groups_claim: Option<&str>,
    ) -> bool {
        if more.get("sub").and_then(Value::as_str) != Some(self.subject()) {
            return false;
        }
        // It is kept until the browser is back, and an issuer may send as much as it likes.
        for name in ["email", "email_verified", "name"].into_iter().chain(groups_claim) {
            if let Some(value) = more.remove(name).and_then(within_bounds) {
                self.0.entry(name).or_insert(value);
            }
        }
        true
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn seconds(&self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        // Some write a fraction of a second.
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
    }
}

/// A claim as far as it is ever read: a word, a short text, or a list of some.
fn within_bounds(value: Value) -> Option<Value> {
    match value {
        Value::Bool(_) => Some(value),
        Value::String(ref text) => (text.len() <= CLAIM_BYTES_MAX).then_some(value),
        Value::Array(items) => {
            let short = |item: &Value| item.as_str().is_some_and(|it| it.len() <= CLAIM_BYTES_MAX);
            Some(Value::Array(items.into_iter().filter(short).take(GROUPS_MAX).collect()))
        }
        _ => None,
    }
}

/// A key of an issuer and what it may have signed with.
struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// The public keys of an issuer.
#[derive(Default)]
pub struct Keys(Vec<Key>);

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
    b64: Option<Value>,
}

impl Keys {
    /// The signature keys of a JSON Web Key Set; others are passed over (RFC 7517, section 5). None when
    /// it is no key set.
    pub fn from_jwks(text: &[u8]) -> Option<Self> {
        let set: KeySet = serde_json::from_slice(text).ok()?;
        Some(Self(set.keys.iter().take(KEYS_MAX).filter_map(key).collect()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks form, algorithm, key, signature and claims, in this order.
    pub fn verify(&self, token: &str, expected: &Expected<'_>) -> Result<Claims, Refusal> {
        let claims = self.signed(token)?;
        judge(&claims, expected)?;
        Ok(claims)
    }

    fn signed(&self, token: &str) -> Result<Claims, Refusal> {
        if token.len() > TOKEN_BYTES_MAX || token.split('.').count() != 3 {
            return Err(Refusal::Malformed);
        }
        let header = token.split('.').next().unwrap_or_default();
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| Refusal::Malformed)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| Refusal::Malformed)?;
        if header.crit.is_some() || header.b64.is_some() {
            return Err(Refusal::Malformed);
        }
        let algorithm = algorithm(&header.alg).ok_or(Refusal::Algorithm)?;
        let key = self.key(header.kid.as_deref(), algorithm)?;
        let mut rules = Validation::new(algorithm);
        // The claims are judged by the injected clock, below.
        rules.required_spec_claims.clear();
        (rules.validate_exp, rules.validate_aud) = (false, false);
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key.key, &rules);
        decoded.map(|decoded| Claims(decoded.claims)).map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => Refusal::Signature,
            _ => Refusal::Malformed,
        })
    }

    /// The key of this id; without an id, the only one that can have signed so.
    fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, Refusal> {
        let named = |key: &&Key| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid));
        let mut named = self.0.iter().filter(named).peekable();
        if named.peek().is_none() {
            return Err(Refusal::UnknownKey);
        }
        let mut fitting = named.filter(|key| key.algorithms.contains(&algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(Refusal::UnknownKey),
            (None, _) => Err(Refusal::Algorithm),
        }
    }
}

fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "RS384" => Some(Algorithm::RS384),
        "RS512" => Some(Algorithm::RS512),
        "PS256" => Some(Algorithm::PS256),
        "PS384" => Some(Algorithm::PS384),
        "PS512" => Some(Algorithm::PS512),
        "ES256" => Some(Algorithm::ES256),
        "ES384" => Some(Algorithm::ES384),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// A key of a set that may verify signatures.
fn key(entry: &Value) -> Option<Key> {
    let for_signatures = entry.get("use").is_none_or(|usage| usage == "sig");
    let jwk = Jwk::deserialize(entry).ok().filter(|_| for_signatures)?;
    let possible = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA,
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            &[Algorithm::EdDSA]
        }
        _ => return None,
    };
    let said = entry.get("alg").and_then(Value::as_str);
    let mut algorithms = possible.to_vec();
    if let Some(said) = said {
        let said = algorithm(said)?;
        algorithms.retain(|possible| *possible == said);
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Key { kid: jwk.common.key_id, algorithms, key })
}

fn judge(claims: &Claims, expected: &Expected<'_>) -> Result<(), Refusal> {
    let among = |known: &[String], text: &str| known.iter().any(|one| one == text);
    if !claims.text("iss").is_some_and(|issuer| among(expected.issuers, issuer)) {
        return Err(Refusal::Issuer);
    }
    // A token that is for somebody else as well may have come from them.
    let ours = |value: &Value| value.as_str().is_some_and(|text| among(expected.audiences, text));
    let for_us = match claims.0.get("aud") {
        Some(Value::Array(all)) => !all.is_empty() && all.iter().all(ours),
        Some(one) => ours(one),
        None => false,
    };
    if !for_us || !claims.0.get("azp").is_none_or(ours) {
        return Err(Refusal::Audience);
    }
    let now = expected.now.unix_seconds();
    let at = |name: &str| claims.seconds(name);
    if at("exp").is_none_or(|end| now >= end.saturating_add(LEEWAY_S)) {
        return Err(Refusal::Expired);
    }
    let past = |seconds: i64| seconds <= now.saturating_add(LEEWAY_S);
    let begun = !claims.0.contains_key("nbf") || at("nbf").is_some_and(past);
    if !at("iat").is_some_and(past) || !begun {
        return Err(Refusal::Future);
    }
    if let Some(nonce) = expected.nonce {
        let said = claims.text("nonce").unwrap_or_default();
        if !bool::from(said.as_bytes().ct_eq(nonce.as_bytes())) {
            return Err(Refusal::Nonce);
        }
    }
    let subject = claims.subject();
    if subject.trim().is_empty() || subject.len() > SUBJECT_BYTES_MAX {
        return Err(Refusal::Subject);
    }
    if expected.auth_time && !at("auth_time").is_some_and(past) {
        return Err(Refusal::AuthTime);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use aws_lc_rs::hmac;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn jwk() -> Value {
        let x = URL_SAFE_NO_PAD.encode(pair().public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "x": x})
    }

    fn keys(entries: &[Value]) -> Keys {
        Keys::from_jwks(json!({ "keys": entries }).to_string().as_bytes()).unwrap()
    }

    fn signed(header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = pair().sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header() -> Value {
        json!({"alg": "EdDSA", "kid": "k"})
    }

    fn claims() -> Value {
        let now = NOW.unix_seconds();
        json!({"iss": "https://i.example", "aud": "app", "sub": "s", "iat": now, "exp": now + 300})
    }

    fn judged(keys: &Keys, token: &str) -> Result<Claims, Refusal> {
        let (issuers, audiences) = (["https://i.example".to_owned()], ["app".to_owned()]);
        let (nonce, auth_time) = (None, false);
        let expected =
            Expected { issuers: &issuers, audiences: &audiences, nonce, auth_time, now: NOW };
        keys.verify(token, &expected)
    }

    #[test]
    fn a_good_token_says_who() {
        let said = judged(&keys(&[jwk()]), &signed(&header(), &claims())).unwrap();
        assert_eq!((said.subject(), said.email(), said.email_verified()), ("s", None, false));
        let nameless = signed(&json!({"alg": "EdDSA"}), &claims());
        judged(&keys(&[jwk()]), &nameless).expect("the only key that fits");
    }

    #[test]
    fn the_algorithm_is_that_of_the_key() {
        let keys_of = |change: &dyn Fn(&mut Value)| {
            let mut entry = jwk();
            change(&mut entry);
            keys(&[entry])
        };
        let token = signed(&header(), &claims());
        let other_algorithm = keys_of(&|entry| entry["alg"] = json!("ES256"));
        assert_eq!(judged(&other_algorithm, &token), Err(Refusal::Algorithm));
        let for_encryption = keys_of(&|entry| entry["use"] = json!("enc"));
        assert_eq!(judged(&for_encryption, &token), Err(Refusal::UnknownKey));
        for alg in ["none", "HS256", "RS256", "ES256", "ed25519", ""] {
            let token = signed(&json!({"alg": alg, "kid": "k"}), &claims());
            assert_eq!(judged(&keys(&[jwk()]), &token), Err(Refusal::Algorithm), "{alg}");
        }
        // A secret that an issuer publishes by mistake is no key.
        let secret = json!({"kty": "oct", "kid": "s", "k": URL_SAFE_NO_PAD.encode("secret")});
        assert!(keys(&[secret]).is_empty());
    }

    #[test]
    fn the_public_key_is_no_secret() {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": "k"}).to_string()),
            URL_SAFE_NO_PAD.encode(claims().to_string())
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, pair().public_key().as_ref());
        let tag = hmac::sign(&key, message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(judged(&keys(&[jwk()]), &token), Err(Refusal::Algorithm));
    }

    proptest! {
        #[test]
        fn what_was_changed_or_made_up_is_refused(at in 0_usize..500, byte in any::<u8>(), text in ".{0,200}") {
            let keys = keys(&[jwk()]);
            let good = signed(&header(), &claims());
            let mut changed = good.clone().into_bytes();
            let at = at % changed.len();
            changed[at] = byte;
            let changed = String::from_utf8_lossy(&changed).into_owned();
            prop_assert!(changed == good || judged(&keys, &changed).is_err());
            prop_assert!(judged(&keys, &text).is_err());
            // Key sets come from outside as well.
            let _ = Keys::from_jwks(text.as_bytes());
        }
    }

    #[test]
    fn of_a_profile_no_more_is_kept_than_is_read() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let mut claims = Claims(object(json!({"sub": "s", "name": "Eve"})));
        let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        let more = json!({
            "sub": "s", "name": "Mallory", "email": "eve@example.com", "email_verified": true,
            "teams": many, "bomb": vec![0; 10_000],
        });
        assert!(claims.complete_with(object(more), Some("teams")));
        assert_eq!(claims.name().unwrap(), "Eve", "the token comes first");
        assert_eq!(claims.groups("teams").len(), GROUPS_MAX);
        assert!(!claims.0.contains_key("bomb"));
        let long = json!({"sub": "s", "groups": ["x".repeat(1_000), {"a": 1}, "fine"]});
        assert!(claims.complete_with(object(long), Some("groups")));
        assert_eq!(claims.groups("groups"), ["fine"]);
        assert!(!claims.complete_with(object(json!({"sub": "t"})), None));
    }
}
