//! The key ring: every signing key there is or was, the current ones ready to sign.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::domain::error::{Code, Error};
use crate::domain::time::{DAY_MS, Timestamp};

use super::jws::{self, VerifyingKeys};
use super::keys::{KeyError, KeyRecord, PublicJwk, PublishedKey, Purpose, Signer};
use super::master::MasterKey;

/// Days after which a signing key is replaced.
pub const ROTATION_DAYS: u32 = 90;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// There is no current key for this purpose yet: it is being made.
    #[error("the signing key for {0} is still being made")]
    NotReady(Purpose),
    /// The claims are no JSON, or the cipher library failed.
    #[error("signing failed: {0}")]
    Failed(String),
}

impl From<SignError> for Error {
    fn from(error: SignError) -> Self {
        match error {
            SignError::NotReady(_) => Self::new(
                Code::Overloaded,
                "The server is still making its signing key, which takes a few seconds after the first start. Try again shortly.",
            )
            .retry_after(2),
            SignError::Failed(cause) => Self::internal(cause),
        }
    }
}

/// A key that can sign.
pub struct SigningKey {
    record: KeyRecord,
    signer: Signer,
}

impl SigningKey {
    /// Its id.
    pub fn kid(&self) -> &str {
        &self.record.kid
    }

    /// Its record.
    pub fn record(&self) -> &KeyRecord {
        &self.record
    }

    /// The signature over `message`: 512 bytes for RSA-4096 (about 2.3 ms), 64 for Ed25519.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.signer {
            Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                // PKCS#1 v1.5 is deterministic, and the library ignores the generator.
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SignError::Failed("the RSA operation failed".to_owned()))?;
                Ok(signature)
            }
            Signer::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

/// All keys; clones share them. Readers see a consistent set at any time.
#[derive(Clone)]
pub struct KeyRing(Arc<Shared>);

struct Shared {
    keys: watch::Sender<Arc<Keys>>,
    /// Held from reading the old set to publishing the new one, so that no insertion is lost.
    /// Readers do not wait for it: opening an RSA key takes milliseconds.
    changing: Mutex<()>,
}

/// One consistent set of keys.
struct Keys {
    records: Vec<KeyRecord>,
    /// The current key of each purpose, in the order of [`Purpose::ALL`].
    current: [Option<Arc<SigningKey>>; Purpose::ALL.len()],
    verifying: Arc<VerifyingKeys>,
    jwks: Arc<str>,
}

impl KeyRing {
    /// An empty ring: [`KeyRing::ready`] waits until keys are inserted.
    pub fn empty() -> Self {
        let keys = watch::Sender::new(Arc::new(Keys {
            records: Vec::new(),
            current: [const { None }; Purpose::ALL.len()],
            verifying: Arc::new(VerifyingKeys::default()),
            jwks: Arc::from(r#"{"keys":[]}"#),
        }));
        Self(Arc::new(Shared { keys, changing: Mutex::new(()) }))
    }

    /// A ring of stored keys. Opens the private part of the current ones alone.
    pub fn load(records: Vec<KeyRecord>, master: &MasterKey) -> Result<Self, KeyError> {
        let ring = Self::empty();
        ring.insert_all(records, master)?;
        Ok(ring)
    }

    /// Adds a key, or replaces the record of the same `kid` (to retire it).
    /// Store the record first: what was signed must be verifiable after a crash.
    pub fn insert(&self, record: KeyRecord, master: &MasterKey) -> Result<(), KeyError> {
        self.insert_all(vec![record], master)
    }

    /// Several at once, such as a new key and the one it replaces: nobody sees one without the other.
    pub fn insert_all(&self, new: Vec<KeyRecord>, master: &MasterKey) -> Result<(), KeyError> {
        let _changing = self.0.changing.lock();
        let before = self.keys();
        let mut records = before.records.clone();
        for record in new {
            records.retain(|known| known.kid != record.kid);
            records.push(record);
        }
        let keys = Arc::new(Keys::new(records, &before, master)?);
        self.0.keys.send_replace(keys);
        Ok(())
    }

    /// Retires a key: it signs nothing more and stays published. Answers its new record, which is
    /// to be stored; `None` when there is no such key.
    pub fn retire(
        &self,
        kid: &str,
        now: Timestamp,
        master: &MasterKey,
    ) -> Result<Option<KeyRecord>, KeyError> {
        let found = self.keys().records.iter().find(|record| record.kid == kid).cloned();
        let Some(record) = found.map(|record| record.retired(now)) else { return Ok(None) };
        self.insert(record.clone(), master)?;
        Ok(Some(record))
    }

    /// The key that signs for `purpose` now: the newest that is not retired.
    pub fn current(&self, purpose: Purpose) -> Option<Arc<SigningKey>> {
        self.0.keys.borrow().current[purpose as usize].clone()
    }

    /// The key that signs for `purpose`, as soon as there is one. The RSA key is made in the
    /// background at the first start; whoever comes early waits here instead of meeting an error.
    pub async fn ready(&self, purpose: Purpose) -> Arc<SigningKey> {
        let mut changes = self.0.keys.subscribe();
        loop {
            let current = changes.borrow_and_update().current[purpose as usize].clone();
            if let Some(key) = current {
                return key;
            }
            if changes.changed().await.is_err() {
                // Impossible while `self` holds the sender; waiting is the answer that harms nobody.
                std::future::pending::<()>().await;
            }
        }
    }

    /// A compact JWS by the current key for `purpose`. Takes 2.3 ms for licences: run it where that
    /// blocks nobody.
    pub fn sign(
        &self,
        purpose: Purpose,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String, SignError> {
        let key = self.current(purpose).ok_or(SignError::NotReady(purpose))?;
        jws::sign(&key, typ, claims)
    }

    /// True when there is no current key, or the current one is older than `days`.
    pub fn rotation_due(&self, purpose: Purpose, now: Timestamp, days: u32) -> bool {
        self.current(purpose)
            .is_none_or(|key| now - key.record.created_at >= i64::from(days) * DAY_MS)
    }

    /// Every record, oldest first.
    pub fn records(&self) -> Vec<KeyRecord> {
        self.keys().records.clone()
    }

    /// The public halves of every key, for verifying.
    pub fn verifying_keys(&self) -> Arc<VerifyingKeys> {
        self.0.keys.borrow().verifying.clone()
    }

    /// The JSON Web Key Set (RFC 7517) of every key that ever signed, rendered when it last changed.
    /// Extra members: `purpose`, `created_at`, `retired_at`.
    pub fn jwks(&self) -> Arc<str> {
        self.0.keys.borrow().jwks.clone()
    }

    /// Every key that ever signed, with its PEM and its dates, oldest first.
    pub fn published(&self) -> Result<Vec<PublishedKey>, KeyError> {
        self.keys().records.iter().map(KeyRecord::published).collect()
    }

    fn keys(&self) -> Arc<Keys> {
        self.0.keys.borrow().clone()
    }
}

impl Keys {
    fn new(
        mut records: Vec<KeyRecord>,
        before: &Self,
        master: &MasterKey,
    ) -> Result<Self, KeyError> {
        // The id breaks a tie of two keys made in the same millisecond, so that every start agrees.
        records.sort_by(|a, b| (a.created_at, &a.kid).cmp(&(b.created_at, &b.kid)));
        let mut verifying = VerifyingKeys::default();
        for record in &records {
            record.check()?;
            verifying.add_record(record)?;
        }
        let mut current = [const { None }; Purpose::ALL.len()];
        for (slot, purpose) in current.iter_mut().zip(Purpose::ALL) {
            let newest = records.iter().rfind(|r| r.purpose == purpose && r.retired_at.is_none());
            let Some(record) = newest else { continue };
            let known = before.current[purpose as usize].as_ref();
            *slot = Some(match known.filter(|key| key.record == *record) {
                Some(key) => key.clone(),
                None => {
                    Arc::new(SigningKey { record: record.clone(), signer: record.signer(master)? })
                }
            });
        }
        let keys: Vec<Value> = records.iter().map(jwk_entry).collect();
        let jwks = Arc::from(json!({ "keys": keys }).to_string());
        Ok(Self { records, current, verifying: Arc::new(verifying), jwks })
    }
}

fn jwk_entry(record: &KeyRecord) -> Value {
    let mut entry = match &record.public_jwk {
        PublicJwk::Rsa { n, e } => json!({ "kty": "RSA", "n": n, "e": e }),
        PublicJwk::Okp { crv, x } => json!({ "kty": "OKP", "crv": crv, "x": x }),
    };
    entry["kid"] = json!(record.kid);
    entry["alg"] = json!(record.algorithm.as_str());
    entry["use"] = json!("sig");
    entry["purpose"] = json!(record.purpose.as_str());
    entry["created_at"] = json!(record.created_at.to_string());
    if let Some(retired_at) = record.retired_at {
        entry["retired_at"] = json!(retired_at.to_string());
    }
    entry
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::super::keys::tests::{CREATED, ed25519_record, master, rsa_record};
    use super::*;
    use crate::entropy::Entropy;

    /// A ring with a key for each purpose.
    pub(crate) fn ring() -> KeyRing {
        let records = vec![
            rsa_record(),
            ed25519_record(Purpose::Validation, 21),
            ed25519_record(Purpose::Access, 22),
        ];
        KeyRing::load(records, &master()).unwrap()
    }

    fn later_key(purpose: Purpose, days: u32) -> KeyRecord {
        let entropy = Entropy::seeded(1000 + u64::from(days));
        KeyRecord::generate(purpose, &entropy, CREATED.plus_days(days), &master()).unwrap()
    }

    #[test]
    fn the_newest_key_that_is_not_retired_signs() {
        let ring = ring();
        let old = ring.current(Purpose::Access).unwrap().kid().to_owned();
        let new = later_key(Purpose::Access, 90);
        ring.insert(new.clone(), &master()).unwrap();
        assert_eq!(ring.current(Purpose::Access).unwrap().kid(), new.kid);
        ring.retire(&new.kid, CREATED.plus_days(91), &master()).unwrap().unwrap();
        assert_eq!(ring.current(Purpose::Access).unwrap().kid(), old);
        assert!(ring.retire("unknown", CREATED, &master()).unwrap().is_none());
    }

    #[test]
    fn a_rotation_swaps_both_keys_at_once_and_keeps_the_old_one_published() {
        let ring = ring();
        let old = ring.current(Purpose::License).unwrap().record().clone();
        let now = CREATED.plus_days(90);
        let new = ed25519_record(Purpose::Validation, 77);
        ring.insert_all(vec![old.clone().retired(now), new], &master()).unwrap();
        assert!(ring.current(Purpose::License).is_none());
        let jwks: Value = serde_json::from_str(&ring.jwks()).unwrap();
        let entry = jwks["keys"].as_array().unwrap().iter().find(|k| k["kid"] == old.kid.as_str());
        assert_eq!(entry.unwrap()["retired_at"], now.to_string());
        assert_eq!(ring.published().unwrap().len(), 4);
    }

    #[test]
    fn a_retired_key_keeps_its_first_date() {
        let record = ed25519_record(Purpose::Access, 5).retired(CREATED.plus_days(1));
        assert_eq!(record.retired(CREATED.plus_days(2)).retired_at, Some(CREATED.plus_days(1)));
    }

    #[test]
    fn rotation_is_due_on_the_ninetieth_day_and_when_there_is_no_key() {
        let ring = ring();
        let due = |now| ring.rotation_due(Purpose::License, now, ROTATION_DAYS);
        assert!(!due(CREATED));
        assert!(!due(CREATED.plus_days(90) + -1));
        assert!(due(CREATED.plus_days(90)));
        assert!(KeyRing::empty().rotation_due(Purpose::License, CREATED, ROTATION_DAYS));
    }

    #[test]
    fn the_key_set_holds_the_public_parts_and_no_others() {
        let jwks: Value = serde_json::from_str(&ring().jwks()).unwrap();
        let keys = jwks["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 3);
        for key in keys {
            for member in ["kty", "kid", "alg", "use", "purpose", "created_at"] {
                assert!(key[member].is_string(), "{member}");
            }
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(key.get(private).is_none(), "{private}");
            }
        }
        let rsa = keys.iter().find(|key| key["kty"] == "RSA").unwrap();
        assert_eq!((&rsa["alg"], &rsa["e"]), (&json!("RS256"), &json!("AQAB")));
        let okp = keys.iter().find(|key| key["kty"] == "OKP").unwrap();
        assert_eq!((&okp["alg"], &okp["crv"]), (&json!("EdDSA"), &json!("Ed25519")));
    }

    #[test]
    fn loading_with_another_master_key_fails_at_once() {
        let other = MasterKey::generate(&Entropy::seeded(98));
        assert!(matches!(
            KeyRing::load(vec![rsa_record()], &other),
            Err(KeyError::Unopened { .. })
        ));
    }

    #[test]
    fn a_failed_insert_changes_nothing() {
        let ring = ring();
        let before = ring.jwks();
        let other = MasterKey::generate(&Entropy::seeded(98));
        assert!(ring.insert(later_key(Purpose::Access, 1), &other).is_err());
        assert_eq!(ring.jwks(), before);
    }

    #[tokio::test]
    async fn whoever_comes_early_waits_for_the_key() {
        let ring = KeyRing::empty();
        let waiting = tokio::spawn({
            let ring = ring.clone();
            async move { ring.ready(Purpose::License).await.kid().to_owned() }
        });
        tokio::task::yield_now().await;
        // Another purpose's key must not wake it into an answer.
        ring.insert(ed25519_record(Purpose::Access, 1), &master()).unwrap();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let record = rsa_record();
        ring.insert(record.clone(), &master()).unwrap();
        let kid = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
        assert_eq!(kid, record.kid);
    }
}
