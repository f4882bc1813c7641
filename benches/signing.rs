//! What signing, licence keys and passwords cost: `cargo bench --bench signing`.
//!
//! `raw_*` are the cipher library alone, for comparison: a fresh signature should stay within 10 % of it.

#![allow(missing_docs, clippy::unwrap_used)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coditect::domain::plan::{Feature, Features};
use coditect::domain::time::Timestamp;
use coditect::entropy::Entropy;
use coditect::identity::tokens;
use coditect::identity::{
    AccessClaims, AccessTokens, HashPool, HashPoolConfig, Throttle, passwords,
};
use coditect::signing::document::{sign_license, sign_validation, verify_license};
use coditect::signing::license_key::{self, Template};
use coditect::signing::{KeyRecord, KeyRing, LicenseClaims, MasterKey, Purpose};
use divan::{Bencher, black_box};
use serde_json::json;
use uuid::Uuid;

const RSA_PEM: &str = include_str!("../tests/fixtures/keys/license-rsa4096.pkcs8.pem");
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn main() {
    divan::main();
}

fn ring() -> KeyRing {
    let entropy = Entropy::system();
    let master = MasterKey::generate(&entropy);
    let license = KeyRecord::import_pem(Purpose::License, RSA_PEM, &entropy, NOW, &master).unwrap();
    let others = [Purpose::Validation, Purpose::Access]
        .map(|purpose| KeyRecord::generate(purpose, &entropy, NOW, &master).unwrap());
    let [validation, access] = others;
    KeyRing::load(vec![license, validation, access], &master).unwrap()
}

fn claims() -> LicenseClaims {
    LicenseClaims {
        iss: "https://licenses.example.com".to_owned(),
        sub: Uuid::from_u128(1).to_string(),
        license_key: "CODITECT-AAAA-BBBB-CCCC-DDDD-EEEE".to_owned(),
        org: Uuid::from_u128(2).to_string(),
        plan: "Team".to_owned(),
        features: Features::from([("export".to_owned(), Feature::Flag(true))]),
        max_seats: 25,
        status: "active".to_owned(),
        iat: NOW.unix_seconds(),
        nbf: NOW.unix_seconds(),
        exp: NOW.plus_days(30).unix_seconds(),
        jti: "0190aaaa".to_owned(),
        hardware_id: None,
    }
}

#[divan::bench(sample_count = 200)]
fn raw_rsa_4096_sign(bencher: Bencher<'_, '_>) {
    let body: String = RSA_PEM.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    bencher.bench_local(|| {
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), black_box(&[7; 700]), &mut signature)
    });
}

#[divan::bench(sample_count = 200)]
fn license_sign(bencher: Bencher<'_, '_>) {
    let (ring, claims) = (ring(), claims());
    bencher.bench(|| sign_license(&ring, black_box(&claims)).unwrap());
}

#[divan::bench]
fn license_verify(bencher: Bencher<'_, '_>) {
    let ring = ring();
    let token = sign_license(&ring, &claims()).unwrap();
    let keys = ring.verifying_keys();
    bencher.bench(|| verify_license(black_box(&token), &keys).unwrap());
}

#[divan::bench]
fn raw_ed25519_sign(bencher: Bencher<'_, '_>) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    bencher.bench(|| pair.sign(black_box(&[7; 300])));
}

#[divan::bench]
fn validation_sign(bencher: Bencher<'_, '_>) {
    let ring = ring();
    let answer = json!({ "valid": true, "code": "valid", "nonce": "n-0S6_WzA2Mj", "license": { "status": "active", "max_seats": 25 } });
    bencher.bench(|| sign_validation(&ring, black_box(&answer)).unwrap());
}

#[divan::bench]
fn access_issue(bencher: Bencher<'_, '_>) {
    let tokens = AccessTokens::new(ring(), "https://a.example", 900);
    bencher.bench(|| tokens.issue(&access()).unwrap());
}

#[divan::bench]
fn access_verify_fresh(bencher: Bencher<'_, '_>) {
    let tokens = AccessTokens::new(ring(), "https://a.example", 900);
    bencher
        .with_inputs(|| {
            let jti = Entropy::system().secret_id();
            tokens.issue(&AccessClaims { jti, ..access() }).unwrap()
        })
        .bench_refs(|token| tokens.verify(token, NOW).unwrap());
}

#[divan::bench]
fn access_verify_cached(bencher: Bencher<'_, '_>) {
    let tokens = AccessTokens::new(ring(), "https://a.example", 900);
    let token = tokens.issue(&access()).unwrap();
    bencher.bench(|| tokens.verify(black_box(&token), NOW).unwrap());
}

fn access() -> AccessClaims {
    AccessClaims {
        sub: Uuid::from_u128(1),
        sid: Uuid::from_u128(2),
        org: Uuid::from_u128(3),
        operator: false,
        jti: Uuid::from_u128(4),
        iat: NOW.unix_seconds(),
        exp: NOW.unix_seconds() + 900,
    }
}

#[divan::bench]
fn refresh_token_mint(bencher: Bencher<'_, '_>) {
    let entropy = Entropy::system();
    bencher.bench(|| tokens::secret(&entropy, tokens::REFRESH_PREFIX));
}

#[divan::bench]
fn license_key_generate(bencher: Bencher<'_, '_>) {
    let (template, entropy) = (Template::default(), Entropy::system());
    bencher.bench(|| template.generate(&entropy, 2026));
}

#[divan::bench]
fn license_key_normalise(bencher: Bencher<'_, '_>) {
    let key = Template::default().generate(&Entropy::system(), 2026);
    bencher.bench(|| license_key::normalise(black_box(&key)).unwrap());
}

#[divan::bench]
fn throttle_check(bencher: Bencher<'_, '_>) {
    let throttle = Throttle::new(1_000_000, 1_000_000);
    bencher.bench(|| throttle.check(black_box("ann@example.com")));
}

#[divan::bench(sample_count = 20)]
fn password_verify(bencher: Bencher<'_, '_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let pool = HashPool::start(HashPoolConfig::default(), &Entropy::system()).unwrap();
    let password = "correct horse battery staple".to_owned();
    let phc = runtime.block_on(pool.hash(password.clone())).unwrap();
    bencher.bench_local(|| runtime.block_on(pool.verify(password.clone(), Some(phc.clone()))));
}

#[divan::bench(sample_count = 20, args = ["correct horse battery staple", "1234567890", "a1A!"])]
fn password_strength(pattern: &str) -> bool {
    // The last argument stands for a password made to keep the judge busy.
    let password = if pattern.len() < 5 { pattern.repeat(60) } else { pattern.to_owned() };
    passwords::check(black_box(&password), 15, &["ann@example.com"]).is_ok()
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn rsa_4096_generate() -> KeyRecord {
    let entropy = Entropy::system();
    let master = MasterKey::generate(&entropy);
    KeyRecord::generate(Purpose::License, &entropy, NOW, &master).unwrap()
}

#[divan::bench(sample_count = 20)]
fn ring_load(bencher: Bencher<'_, '_>) {
    let entropy = Entropy::system();
    let master = MasterKey::generate(&entropy);
    let record = KeyRecord::import_pem(Purpose::License, RSA_PEM, &entropy, NOW, &master).unwrap();
    bencher.bench(|| KeyRing::load(vec![record.clone()], &master).map(|_| ()));
}
