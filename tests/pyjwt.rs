//! What the server signs must verify in the library that most customers' scripts use: `PyJWT`.
//!
//! These tests need a Python environment in `.venv`:
//! `python3 -m venv .venv && .venv/bin/pip install 'pyjwt[crypto]'`.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use coditect::domain::plan::{Feature, Features};
use coditect::domain::time::Timestamp;
use coditect::entropy::Entropy;
use coditect::identity::{AccessClaims, AccessTokens};
use coditect::signing::document::{sign_license, sign_validation};
use coditect::signing::{KeyRecord, KeyRing, LicenseClaims, MasterKey, Purpose};
use serde_json::{Value, json};
use uuid::Uuid;

const RSA_PEM: &str = include_str!("fixtures/keys/license-rsa4096.pkcs8.pem");
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const ISSUER: &str = "https://licenses.example.com";

fn ring() -> KeyRing {
    let entropy = Entropy::seeded(1);
    let master = MasterKey::generate(&entropy);
    let mut records =
        vec![KeyRecord::import_pem(Purpose::License, RSA_PEM, &entropy, NOW, &master).unwrap()];
    for purpose in [Purpose::Validation, Purpose::Access] {
        records.push(KeyRecord::generate(purpose, &entropy, NOW, &master).unwrap());
    }
    KeyRing::load(records, &master).unwrap()
}

fn license() -> LicenseClaims {
    LicenseClaims {
        iss: ISSUER.to_owned(),
        sub: Uuid::from_u128(1).to_string(),
        license_key: "CODITECT-AAAA-BBBB-CCCC-DDDD-EEEE".to_owned(),
        org: Uuid::from_u128(2).to_string(),
        plan: "Team – größer".to_owned(),
        features: Features::from([("export".to_owned(), Feature::Text("größer".to_owned()))]),
        max_seats: 25,
        status: "active".to_owned(),
        iat: NOW.unix_seconds(),
        nbf: NOW.unix_seconds(),
        exp: Timestamp::NEVER.unix_seconds(),
        jti: "0190aaaa".to_owned(),
        hardware_id: Some("hw-1".to_owned()),
    }
}

/// Verifies `token` with `PyJWT` against the published key set alone.
fn pyjwt(ring: &KeyRing, token: &str, algorithm: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("jwks.json"), &*ring.jwks()).unwrap();
    std::fs::write(directory.path().join("token"), token).unwrap();
    let output = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("tests/python/verify_jws.py"))
        .arg(directory.path())
        .arg(algorithm)
        .output()
        .expect("no .venv/bin/python: run `python3 -m venv .venv && .venv/bin/pip install 'pyjwt[crypto]'`");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        !complaint.contains("ModuleNotFoundError"),
        "run `.venv/bin/pip install 'pyjwt[crypto]'`: {complaint}"
    );
    output
}

fn claims(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs python packages: run by .ci/run"]
fn a_signed_license_verifies_and_says_the_same() {
    let ring = ring();
    let token = sign_license(&ring, &license()).unwrap();
    let answer = claims(&pyjwt(&ring, &token, "RS256"));
    assert_eq!(answer, serde_json::to_value(license()).unwrap());
}

#[test]
#[ignore = "needs python packages: run by .ci/run"]
fn a_validation_answer_verifies_and_says_the_same() {
    let ring = ring();
    let sent = json!({ "valid": true, "code": "valid", "nonce": "n-1" });
    let token = sign_validation(&ring, &sent).unwrap();
    assert_eq!(claims(&pyjwt(&ring, &token, "EdDSA")), sent);
}

#[test]
#[ignore = "needs python packages: run by .ci/run"]
fn an_access_token_verifies() {
    let ring = ring();
    let tokens = AccessTokens::new(ring.clone(), ISSUER, 900);
    let sent = AccessClaims {
        sub: Uuid::from_u128(3),
        sid: Uuid::from_u128(4),
        org: Uuid::from_u128(5),
        operator: true,
        jti: Uuid::from_u128(6),
        iat: NOW.unix_seconds(),
        exp: NOW.unix_seconds() + 900,
    };
    let answer = claims(&pyjwt(&ring, &tokens.issue(&sent).unwrap(), "EdDSA"));
    assert_eq!(serde_json::from_value::<AccessClaims>(answer.clone()).unwrap(), sent);
    assert_eq!((&answer["iss"], &answer["aud"]), (&json!(ISSUER), &json!(ISSUER)));
}

#[test]
#[ignore = "needs python packages: run by .ci/run"]
fn a_changed_license_does_not_verify() {
    let ring = ring();
    let token = sign_license(&ring, &license()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let output = pyjwt(&ring, &format!("{message}.{other}{}", &signature[1..]), "RS256");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("InvalidSignatureError"), "{complaint}");
}
