//! Access tokens of people: short-lived signed JWTs, in the shape of RFC 9068, checked by the
//! rules of RFC 8725. They are verified without the store; what ends a login early (logout,
//! deactivation) is the business of the service, which knows the login id in `sid`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::error::{Code, Error, Result};
use crate::domain::time::Timestamp;
use crate::signing::jws::Expected;
use crate::signing::keys::Purpose;
use crate::signing::ring::KeyRing;

use super::tokens;

/// The `typ` of an access token (RFC 9068, section 2.1).
pub const ACCESS_TYP: &str = "at+jwt";

/// How far `iat` may lie ahead of the clock, in seconds: calendars are set back now and then.
const SKEW_S: i64 = 60;

/// Longest access token that is looked at.
const TOKEN_BYTES_MAX: usize = 4096;

/// Verified tokens that are remembered. 10,000 take about 5 MB.
const CACHE_MAX: u64 = 10_000;

/// How long a verified token is remembered. Its own expiry is checked at each use all the same.
const CACHE_TTL: Duration = Duration::from_mins(1);

/// The OAuth client that RFC 9068 wants named: the appliance's own pages and API users.
const CLIENT_ID: &str = "coditect";

/// What an access token says of its bearer; issuer and audience are added and checked here.
/// Times in whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The person.
    pub sub: Uuid,
    /// The sign-in it belongs to.
    pub sid: Uuid,
    /// The organisation the person acts for.
    pub org: Uuid,
    /// True for an operator of the appliance.
    pub operator: bool,
    /// Unique to this token.
    pub jti: Uuid,
    /// Issued at.
    pub iat: i64,
    /// Good until, not included.
    pub exp: i64,
}

/// The payload as it is signed.
#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(flatten)]
    claims: AccessClaims,
}

/// Issues and verifies access tokens; clones share the cache.
#[derive(Clone)]
pub struct AccessTokens {
    ring: KeyRing,
    issuer: Arc<str>,
    lifetime_s: i64,
    verified: Cache<[u8; 32], Arc<AccessClaims>>,
}

impl AccessTokens {
    /// Tokens that this server issues to itself: `issuer`, its public URL, is their `iss` and
    /// their `aud`. None that claims to live longer than `lifetime_s` seconds is accepted.
    pub fn new(ring: KeyRing, issuer: &str, lifetime_s: u32) -> Self {
        let verified = Cache::builder().max_capacity(CACHE_MAX).time_to_live(CACHE_TTL).build();
        Self { ring, issuer: Arc::from(issuer), lifetime_s: i64::from(lifetime_s), verified }
    }

    /// Signs a token: Ed25519, 11 µs. Errors: `overloaded` while there is no key yet.
    pub fn issue(&self, claims: &AccessClaims) -> Result<String> {
        let payload = Payload {
            iss: Cow::Borrowed(&self.issuer),
            aud: Cow::Borrowed(&self.issuer),
            client_id: Cow::Borrowed(CLIENT_ID),
            claims: claims.clone(),
        };
        Ok(self.ring.sign(Purpose::Access, ACCESS_TYP, &payload)?)
    }

    /// The claims of a token that is genuine, for this server, and good at `now`; else
    /// `unauthenticated` with the reason.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<AccessClaims>> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refused("it is too long"));
        }
        let digest = tokens::digest(token);
        if let Some(claims) = self.verified.get(&digest) {
            check_times(&claims, now)?;
            return Ok(claims);
        }
        let claims = Arc::new(self.verify_fresh(token)?);
        check_times(&claims, now)?;
        self.verified.insert(digest, claims.clone());
        Ok(claims)
    }

    fn verify_fresh(&self, token: &str) -> Result<AccessClaims> {
        let expected =
            Expected { typ: ACCESS_TYP, purpose: Purpose::Access, bytes_max: TOKEN_BYTES_MAX };
        let keys = self.ring.verifying_keys();
        let verified = keys.verify(token, expected).map_err(|error| refused(&error.to_string()))?;
        let payload: Payload<'_> = serde_json::from_slice(&verified.payload)
            .map_err(|_| refused("its claims are incomplete"))?;
        if *payload.iss != *self.issuer || *payload.aud != *self.issuer {
            return Err(refused("it was issued by or for another server"));
        }
        let claims = payload.claims;
        if claims.exp.saturating_sub(claims.iat) > self.lifetime_s {
            return Err(refused("it claims to live longer than such tokens do"));
        }
        // With the bound on its lifetime, a key that leaked after its retirement forges nothing.
        let retired_at = verified.key.retired_at.map(Timestamp::unix_seconds);
        if retired_at.is_some_and(|retired_at| claims.iat > retired_at.saturating_add(SKEW_S)) {
            return Err(refused("its key was retired before it was issued"));
        }
        Ok(claims)
    }
}

fn check_times(claims: &AccessClaims, now: Timestamp) -> Result<()> {
    let now = now.unix_seconds();
    if now >= claims.exp {
        return Err(refused("it has expired; refresh it"));
    }
    if claims.iat > now.saturating_add(SKEW_S) {
        return Err(refused("it was issued in the future"));
    }
    Ok(())
}

fn refused(why: &str) -> Error {
    Error::new(Code::Unauthenticated, format!("The access token is not valid: {why}."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::entropy::Entropy;
    use crate::signing::keys::KeyRecord;
    use crate::signing::master::MasterKey;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn master() -> MasterKey {
        MasterKey::generate(&Entropy::seeded(1))
    }

    fn key(purpose: Purpose, seed: u64) -> KeyRecord {
        KeyRecord::generate(purpose, &Entropy::seeded(seed), NOW, &master()).unwrap()
    }

    fn tokens() -> AccessTokens {
        let keys = vec![key(Purpose::Access, 2), key(Purpose::Validation, 3)];
        let ring = KeyRing::load(keys, &master()).unwrap();
        AccessTokens::new(ring, "https://a.example", 900)
    }

    fn claims_at(now: Timestamp) -> AccessClaims {
        AccessClaims {
            sub: Uuid::from_u128(1),
            sid: Uuid::from_u128(2),
            org: Uuid::from_u128(3),
            operator: false,
            jti: Uuid::from_u128(4),
            iat: now.unix_seconds(),
            exp: now.unix_seconds() + 900,
        }
    }

    /// What a genuine token says.
    fn payload() -> Value {
        let mut payload = serde_json::to_value(claims_at(NOW)).unwrap();
        payload["iss"] = json!("https://a.example");
        payload["aud"] = json!("https://a.example");
        payload["client_id"] = json!(CLIENT_ID);
        payload
    }

    /// A token with some of its claims changed before signing.
    fn altered(tokens: &AccessTokens, change: impl Fn(&mut Value)) -> String {
        let mut payload = payload();
        change(&mut payload);
        tokens.ring.sign(Purpose::Access, ACCESS_TYP, &payload).unwrap()
    }

    fn seconds_later(seconds: i64) -> Timestamp {
        NOW + seconds * 1000
    }

    #[test]
    fn an_issued_token_says_who() {
        let tokens = tokens();
        let claims = AccessClaims { operator: true, ..claims_at(NOW) };
        let token = tokens.issue(&claims).unwrap();
        assert_eq!(*tokens.verify(&token, NOW).unwrap(), claims);
        tokens.verify(&altered(&tokens, |_| ()), NOW).expect("the tests below change a good token");
    }

    #[test]
    fn it_ends_on_the_second_even_when_it_was_verified_before() {
        let tokens = tokens();
        let token = tokens.issue(&claims_at(NOW)).unwrap();
        for _ in 0..2 {
            tokens.verify(&token, seconds_later(899)).unwrap();
            let error = tokens.verify(&token, seconds_later(900)).unwrap_err();
            assert_eq!(error.code, Code::Unauthenticated);
            assert!(error.detail.contains("expired"));
        }
    }

    #[test]
    fn a_calendar_set_back_a_little_is_forgiven_and_more_is_not() {
        let tokens = tokens();
        let token = tokens.issue(&claims_at(NOW)).unwrap();
        tokens.verify(&token, seconds_later(-60)).unwrap();
        assert!(tokens.verify(&token, seconds_later(-61)).is_err());
    }

    #[test]
    fn tokens_of_other_servers_or_with_stretched_lives_are_refused() {
        let tokens = tokens();
        for (member, value) in [
            ("iss", json!("https://b.example")),
            ("aud", json!("https://b.example")),
            ("aud", json!(["https://a.example"])),
            ("exp", json!(NOW.unix_seconds() + 901)),
            ("exp", json!(i64::MAX)),
            ("iat", json!(i64::MIN)),
            ("sub", json!("not-a-uuid")),
            ("sid", Value::Null),
        ] {
            let token = altered(&tokens, |claims| claims[member] = value.clone());
            let error = tokens.verify(&token, NOW).unwrap_err();
            assert_eq!(error.code, Code::Unauthenticated, "{member} {value}");
        }
    }

    #[test]
    fn other_documents_of_the_same_server_are_no_access_tokens() {
        let tokens = tokens();
        for (purpose, typ) in [(Purpose::Validation, ACCESS_TYP), (Purpose::Access, "JWT")] {
            let token = tokens.ring.sign(purpose, typ, &payload()).unwrap();
            assert!(tokens.verify(&token, NOW).is_err(), "{purpose} {typ}");
        }
        assert!(tokens.verify("", NOW).is_err());
        assert!(tokens.verify(&"x".repeat(5000), NOW).is_err());
    }

    #[test]
    fn a_rotation_logs_nobody_out_and_a_retired_key_issues_nothing_new() {
        let tokens = tokens();
        let token = tokens.issue(&claims_at(NOW)).unwrap();
        let forged = altered(&tokens, |claims| {
            claims["iat"] = json!(NOW.unix_seconds() + 500);
            claims["exp"] = json!(NOW.unix_seconds() + 1000);
        });
        let old = tokens.ring.current(Purpose::Access).unwrap().record().clone();
        let new = key(Purpose::Access, 9);
        tokens.ring.insert_all(vec![old.retired(seconds_later(10)), new], &master()).unwrap();
        tokens.verify(&token, seconds_later(600)).unwrap();
        assert!(tokens.verify(&forged, seconds_later(600)).is_err());
        let fresh = tokens.issue(&claims_at(seconds_later(600))).unwrap();
        tokens.verify(&fresh, seconds_later(600)).unwrap();
    }

    #[test]
    fn without_a_key_the_caller_is_told_to_come_back() {
        let ring = KeyRing::empty();
        let tokens = AccessTokens::new(ring, "https://a.example", 900);
        let error = tokens.issue(&claims_at(NOW)).unwrap_err();
        assert_eq!((error.code, error.retry_after_s), (Code::Overloaded, Some(2)));
    }
}
