//! `/.well-known/jwks.json` and `/api/v1/keys`: what the server signs is verified here with a
//! library that knows nothing of it.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::support::{DAY, PUBLIC_URL, START, Setup, TestApp, items, members, text};

async fn jwks(app: &TestApp) -> JwkSet {
    serde_json::from_value(app.anyone.get("/.well-known/jwks.json").await.ok(200)).unwrap()
}

/// What any JWT library does: the key by its id, the signature, the issuer.
pub async fn verified(app: &TestApp, token: &str, algorithm: Algorithm) -> Value {
    let header = decode_header(token).unwrap();
    assert_eq!(header.alg, algorithm);
    let keys = jwks(app).await;
    let key = keys.find(&header.kid.expect("a kid")).expect("a published key");
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[PUBLIC_URL]);
    // The computer's clock is not the test's.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    decode(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
}

/// A licence and its signed form, bound to a machine.
async fn signed(app: &TestApp) -> (Value, String) {
    let license = app.license(3).await;
    let body = json!({"license_key": license["license_key"], "hardware_id": "hw-1"});
    let activated = app.anyone.post("/api/v1/licenses/activate", body).await.ok(201);
    (license, text(&activated["signed_license"]))
}

#[tokio::test]
async fn a_signed_license_verifies_against_the_key_set_and_says_what_it_must() {
    let app = TestApp::start().await;
    let (license, token) = signed(&app).await;
    let claims = verified(&app, &token, Algorithm::RS256).await;
    assert_eq!(
        members(&claims),
        [
            "exp",
            "features",
            "hardware_id",
            "iat",
            "iss",
            "jti",
            "license_key",
            "max_seats",
            "nbf",
            "org",
            "plan",
            "status",
            "sub"
        ]
    );
    assert_eq!(
        (&claims["sub"], &claims["license_key"]),
        (&license["license_id"], &license["license_key"])
    );
    assert_eq!((&claims["org"], &claims["max_seats"]), (&license["org_id"], &json!(3)));
    assert_eq!((&claims["status"], &claims["hardware_id"]), (&json!("active"), &json!("hw-1")));
    assert_eq!(claims["iss"], PUBLIC_URL);
}

#[tokio::test]
async fn the_key_is_rsa_with_4096_bits_and_published_as_pem_with_its_dates() {
    let app = TestApp::start().await;
    let (_, token) = signed(&app).await;
    let page = app.anyone.get("/api/v1/keys").await.ok(200);
    let kid = decode_header(&token).unwrap().kid.unwrap();
    let key =
        items(&page).iter().find(|key| key["kid"] == json!(kid)).expect("the key that signed");
    assert_eq!(
        members(key),
        ["algorithm", "created_at", "kid", "public_key_pem", "purpose", "retired_at"]
    );
    assert_eq!(
        (&key["algorithm"], &key["created_at"], &key["retired_at"]),
        (&json!("RS256"), &json!(START), &Value::Null)
    );
    let jwk = app.anyone.get("/.well-known/jwks.json").await.ok(200);
    let jwk = jwk["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == json!(kid))
        .unwrap()
        .clone();
    // 512 bytes are 683 characters of base64url.
    assert_eq!((text(&jwk["n"]).len(), &jwk["e"]), (683, &json!("AQAB")));
    assert!(jwk.get("d").is_none() && jwk.get("p").is_none(), "no private half");
}

#[tokio::test]
async fn openssl_verifies_a_signed_license_with_the_published_pem() {
    let app = TestApp::start().await;
    let (_, token) = signed(&app).await;
    let kid = decode_header(&token).unwrap().kid.unwrap();
    let keys = app.anyone.get("/api/v1/keys").await.list();
    let pem = text(&keys.iter().find(|key| key["kid"] == json!(kid)).unwrap()["public_key_pem"]);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let folder = app.data();
    std::fs::write(folder.join("public.pem"), pem).unwrap();
    std::fs::write(folder.join("message"), message).unwrap();
    std::fs::write(folder.join("signature"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let verify = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "message"];
    let said = Command::new("openssl")
        .args(verify)
        .current_dir(&folder)
        .output()
        .expect("openssl is installed");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "Verified OK\n");
}

#[tokio::test]
async fn a_changed_license_does_not_verify() {
    let app = TestApp::start().await;
    let (_, token) = signed(&app).await;
    let keys = jwks(&app).await;
    let key =
        DecodingKey::from_jwk(keys.find(&decode_header(&token).unwrap().kid.unwrap()).unwrap())
            .unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    let parts: Vec<&str> = token.split('.').collect();
    let payload =
        parts[1].replace(&parts[1][40..41], if &parts[1][40..41] == "A" { "B" } else { "A" });
    decode::<Value>(&format!("{}.{payload}.{}", parts[0], parts[2]), &key, &validation)
        .unwrap_err();
}

#[tokio::test]
async fn a_rotated_key_stays_published_so_what_it_signed_stays_valid() {
    let app = TestApp::start().await;
    let (license, before) = signed(&app).await;
    let operator = app.operator().await;
    let made = operator.post_nothing("/api/v1/admin/keys/rotate").await.ok(201);
    let body = json!({"license_key": license["license_key"], "hardware_id": "hw-1"});
    let after =
        text(&app.anyone.post("/api/v1/licenses/activate", body).await.ok(200)["signed_license"]);
    assert_eq!(json!(decode_header(&after).unwrap().kid.unwrap()), made["kid"]);
    assert_ne!(decode_header(&before).unwrap().kid, decode_header(&after).unwrap().kid);
    let app = app.restart().await;
    for token in [&before, &after] {
        verified(&app, token, Algorithm::RS256).await;
    }
    let page = app.anyone.get("/api/v1/keys").await.ok(200);
    let retired = items(&page)
        .iter()
        .filter(|key| key["purpose"] == "license" && !key["retired_at"].is_null());
    assert_eq!(retired.count(), 1);
    assert!(app.audited().await.contains(&"key.created".to_owned()));
}

#[tokio::test]
async fn keys_are_rotated_every_90_days_by_themselves() {
    let app = Setup::usual().set("KEYS_ROTATION_DAYS", "90").start().await;
    let kid = |app: TestApp| async move {
        let page = app.anyone.get("/api/v1/keys").await.ok(200);
        let keys = items(&page)
            .iter()
            .filter(|key| key["purpose"] == "license" && key["retired_at"].is_null());
        let kids: Vec<String> = keys.map(|key| text(&key["kid"])).collect();
        assert_eq!(kids.len(), 1, "one key signs");
        (kids[0].clone(), app)
    };
    let (first, app) = kid(app).await;
    app.advance(89 * DAY).await;
    let (still, app) = kid(app).await;
    assert_eq!(first, still);
    app.advance(DAY + DAY / 24).await;
    let (next, _app) = kid(app).await;
    assert_ne!(first, next);
}

#[tokio::test]
async fn nobody_gets_an_error_for_being_earlier_than_the_key() {
    let app = Setup::usual().without_key().start().await;
    // Made in the background: the answer to this waits for it.
    let (_, token) = signed(&app).await;
    verified(&app, &token, Algorithm::RS256).await;
    assert_eq!(app.anyone.get("/health/ready").await.ok(200)["signing_key"], "ready");
}

#[tokio::test]
async fn private_keys_are_sealed_on_disk_and_useless_without_the_master_key() {
    let app = TestApp::start().await;
    let data = app.data();
    let master = std::fs::read_to_string(data.join("keys/master.key")).unwrap();
    assert!(master.trim().len() >= 43);
    let database = std::fs::read(data.join("coditect.redb")).unwrap();
    let master = master.trim();
    assert!(!database.windows(master.len()).any(|bytes| bytes == master.as_bytes()));
    // The private exponent begins with these bytes of the PEM's base64, as does no other text here.
    let pem = include_str!("../fixtures/keys/license-rsa4096.pkcs8.pem");
    let line = pem.lines().nth(20).unwrap();
    assert!(!database.windows(line.len()).any(|bytes| bytes == line.as_bytes()));
    drop(app);
}

#[tokio::test]
async fn the_answer_to_a_nonce_is_signed_with_a_published_key() {
    let app = TestApp::start().await;
    let license = app.license(3).await;
    let body = json!({"license_key": license["license_key"], "hardware_id": "hw-1", "nonce": "n-0S6_WzA2Mj"});
    let answer = app.anyone.post("/api/v1/licenses/validate", body).await.ok(200);
    let claims = verified(&app, &text(&answer["signed"]), Algorithm::EdDSA).await;
    assert_eq!(
        (&claims["nonce"], &claims["valid"], &claims["code"]),
        (&json!("n-0S6_WzA2Mj"), &json!(true), &json!("valid"))
    );
    assert_eq!((&claims["hardware_id"], &claims["activated"]), (&json!("hw-1"), &json!(false)));
    assert_eq!(claims["sub"], license["license_id"]);
}
