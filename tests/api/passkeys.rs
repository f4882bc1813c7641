//! `/users/me/passkeys` and `/auth/passkey`: passkeys, from the first to the last.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::Encoder;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    Answer, MINUTE, OPERATOR, PASSWORD, PUBLIC_URL, Person, START, Setup, TestApp, items, members,
    text,
};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
const MINE: &str = "/api/v1/users/me/passkeys";

/// Present, verified, with a credential.
const MADE: u8 = 0x45;
/// Present and verified.
const SIGNED: u8 = 0x05;

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An authenticator with one passkey, and the browser before it.
pub struct Device {
    key: EcdsaKeyPair,
    credential_id: Vec<u8>,
    /// As the server said when the passkey was made.
    handle: String,
    count: u32,
    // What a liar says instead of the truth.
    origin: String,
    rp_id: String,
    kind: Option<&'static str>,
    flags: Option<u8>,
    cross_origin: bool,
    tail: &'static [u8],
}

/// What is wrong, and how a device comes to say it.
type Lie = (&'static str, fn(&mut Device));

impl Device {
    pub fn new(name: &str) -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            credential_id: Sha256::digest(name).to_vec(),
            handle: String::new(),
            count: 0,
            origin: PUBLIC_URL.to_owned(),
            rp_id: PUBLIC_URL.strip_prefix("https://").unwrap().to_owned(),
            kind: None,
            flags: None,
            cross_origin: false,
            tail: b"",
        }
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        serde_json::to_vec(&json!({
            "type": self.kind.unwrap_or(kind),
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
        }))
        .unwrap()
    }

    fn data(&self, flags: u8, credential: &[u8]) -> Vec<u8> {
        let mut data = Sha256::digest(&self.rp_id).to_vec();
        data.push(self.flags.unwrap_or(flags));
        data.extend(self.count.to_be_bytes());
        data.extend(credential);
        data.extend(self.tail);
        data
    }

    /// Makes the passkey that `options` ask for.
    pub fn create(&mut self, options: &Value) -> Value {
        self.handle = text(&options["user"]["id"]);
        let point = self.key.public_key().as_ref();
        let mut credential = vec![0; 16];
        credential.extend((self.credential_id.len() as u16).to_be_bytes());
        credential.extend(&self.credential_id);
        let mut key = Encoder::new(Vec::new());
        key.map(5).unwrap().i8(1).unwrap().i8(2).unwrap().i8(3).unwrap().i8(-7).unwrap();
        key.i8(-1).unwrap().i8(1).unwrap();
        key.i8(-2).unwrap().bytes(&point[1..33]).unwrap();
        key.i8(-3).unwrap().bytes(&point[33..]).unwrap();
        credential.extend(key.into_writer());
        let mut object = Encoder::new(Vec::new());
        object.map(3).unwrap().str("fmt").unwrap().str("none").unwrap();
        object.str("attStmt").unwrap().map(0).unwrap();
        object.str("authData").unwrap().bytes(&self.data(MADE, &credential)).unwrap();
        json!({
            "id": encoded(&self.credential_id),
            "rawId": encoded(&self.credential_id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(&self.client_data("webauthn.create", options)),
                "attestationObject": encoded(&object.into_writer()),
                "transports": ["internal"],
            },
        })
    }

    /// Signs what `options` ask for.
    fn get(&mut self, options: &Value) -> Value {
        self.count += 1;
        let data = self.data(SIGNED, b"");
        let client_data = self.client_data("webauthn.get", options);
        let message = [data.clone(), Sha256::digest(&client_data).to_vec()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &message).unwrap();
        json!({
            "id": encoded(&self.credential_id),
            "rawId": encoded(&self.credential_id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(&client_data),
                "authenticatorData": encoded(&data),
                "signature": encoded(signature.as_ref()),
                "userHandle": self.handle,
            },
        })
    }
}

async fn begin(person: &Person) -> Value {
    person.post(&format!("{MINE}/begin"), json!({"password": PASSWORD})).await.ok(200)
}

pub async fn add(person: &Person, device: &mut Device, name: &str) -> Answer {
    let asked = begin(person).await;
    let credential = device.create(&asked["options"]);
    let body = json!({"ceremony_id": asked["ceremony_id"], "name": name, "credential": credential});
    person.post(MINE, body).await
}

async fn begin_sign_in(app: &TestApp) -> Value {
    app.anyone.post_nothing("/api/v1/auth/passkey/begin").await.ok(200)
}

async fn sign_in(app: &TestApp, device: &mut Device) -> Answer {
    let asked = begin_sign_in(app).await;
    let credential = device.get(&asked["options"]);
    answer(app, &asked, credential).await
}

async fn answer(app: &TestApp, asked: &Value, credential: Value) -> Answer {
    let body = json!({"ceremony_id": asked["ceremony_id"], "credential": credential});
    app.anyone.post("/api/v1/auth/passkey", body).await
}

async fn remove(person: &Person, id: &Value, password: &str) -> Answer {
    let path = format!("{MINE}/{}", text(id));
    person.with_body(Method::DELETE, &path, &json!({"password": password})).await
}

async fn login(app: &TestApp, totp: &str) -> Answer {
    let body = json!({"email": ANN, "password": PASSWORD, "totp": totp});
    app.anyone.post("/api/v1/auth/login", body).await
}

// ---- adding ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_browser_is_asked_for_a_passkey_that_knows_its_owner() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let wrong = json!({"password": "nine loud magpies at dawn"});
    ann.post(&format!("{MINE}/begin"), wrong).await.refused(401, "invalid_credentials");
    let options = begin(&ann).await["options"].clone();
    assert_eq!(options["rp"]["id"], "licensing.example.com");
    assert_eq!(options["user"]["name"], ANN);
    assert_eq!(options["attestation"], "none");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(text(&options["challenge"]).len(), 43, "256 bits");
    assert_ne!(options["challenge"], begin(&ann).await["options"]["challenge"]);
}

#[tokio::test]
async fn the_first_one_is_a_second_factor_with_recovery_codes() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let elsewhere = app.sign_in(ANN).await;
    let mut key = Device::new("key");
    let added = add(&ann, &mut key, "Blue key").await.ok(201);
    assert_eq!(
        members(&added["passkey"]),
        ["created_at", "last_used_at", "name", "passkey_id", "synced"]
    );
    assert_eq!(added["passkey"]["name"], "Blue key");
    let codes = added["recovery_codes"].as_array().unwrap();
    assert_eq!(codes.len(), 10);
    assert_eq!(ann.get("/api/v1/users/me").await.ok(200)["second_factor_since"], START);
    elsewhere.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    let standing = ann.get("/api/v1/users/me/totp").await.ok(200);
    assert_eq!((&standing["enabled_at"], &standing["app"]), (&json!(START), &json!(false)));
    app.mail_to(ANN, "passkey was added").await;
    assert!(app.audited().await.contains(&"passkey.added".to_owned()));

    // The password alone signs in no more, nor with a code of an app that there is not.
    app.login(ANN, PASSWORD).await.refused(401, "mfa_required");
    login(&app, "123456").await.refused(401, "invalid_totp");
    login(&app, &text(&codes[0])).await.ok(200);
    login(&app, &text(&codes[0])).await.refused(401, "invalid_totp");

    let second = add(&ann, &mut Device::new("phone"), "Phone").await.ok(201);
    assert_eq!(second["recovery_codes"], Value::Null);
    let mine = ann.get(MINE).await.ok(200);
    assert_eq!(items(&mine).len(), 2);
    assert_eq!(mine["origin"], PUBLIC_URL);
}

#[tokio::test]
async fn what_is_not_whole_or_not_from_here_is_not_added() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let liars: [Lie; 9] = [
        ("another page", |it| it.origin = "https://evil.example".to_owned()),
        ("another page", |it| it.origin += ":8443"),
        ("another page", |it| it.cross_origin = true),
        ("another server", |it| it.rp_id = "example.com".to_owned()),
        ("another question", |it| it.kind = Some("webauthn.get")),
        ("who is there", |it| it.flags = Some(0x41)),
        ("who is there", |it| it.flags = Some(0x44)),
        ("no key", |it| it.flags = Some(0x05)),
        ("no key", |it| it.tail = b"\x00"),
    ];
    for (why, lie) in liars {
        let mut liar = Device::new("liar");
        lie(&mut liar);
        let problem = add(&ann, &mut liar, "Liar").await.refused_field("credential");
        assert!(text(&problem["detail"]).contains(why), "{why}: {problem}");
    }
    assert_eq!(items(&ann.get(MINE).await.ok(200)).len(), 0);
    assert_eq!(ann.get("/api/v1/users/me").await.ok(200)["second_factor_since"], Value::Null);
}

#[tokio::test]
async fn a_ceremony_is_answered_once_and_by_whoever_began_it() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.customer(ANN).await, app.customer(BOB).await);
    let mut key = Device::new("key");
    let of = |asked: &Value, credential: &Value| json!({"ceremony_id": asked["ceremony_id"], "name": "Key", "credential": credential});
    let asked = begin(&ann).await;
    let credential = key.create(&asked["options"]);
    bob.post(MINE, of(&asked, &credential)).await.refused_field("ceremony_id");
    // Bob's attempt has used it up.
    ann.post(MINE, of(&asked, &credential)).await.refused_field("ceremony_id");

    // What answers one challenge answers no other.
    let other = begin(&ann).await;
    ann.post(MINE, of(&other, &credential)).await.refused_field("credential");

    // A challenge to sign in adds nothing.
    let asked = begin_sign_in(&app).await;
    let credential =
        key.create(&json!({"challenge": asked["options"]["challenge"], "user": {"id": ""}}));
    ann.post(MINE, of(&asked, &credential)).await.refused_field("ceremony_id");

    add(&ann, &mut key, "Key").await.ok(201);
    add(&bob, &mut key, "Hers").await.refused_field("credential");
    add(&ann, &mut Device::new("b"), "").await.refused_field("name");
}

#[tokio::test]
async fn a_password_that_changed_meanwhile_adds_nothing() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let asked = begin(&ann).await;
    let change = json!({"current_password": PASSWORD, "new_password": "nine loud magpies at dawn"});
    ann.post("/api/v1/auth/change-password", change).await.ok(200);
    let credential = Device::new("key").create(&asked["options"]);
    let body =
        json!({"ceremony_id": asked["ceremony_id"], "name": "Key", "credential": credential});
    ann.post(MINE, body).await.refused(401, "invalid_credentials");
}

// ---- signing in --------------------------------------------------------------------------------

#[tokio::test]
async fn a_passkey_signs_in_without_a_password_or_a_code() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let mut key = Device::new("key");
    let id = add(&ann, &mut key, "Key").await.ok(201)["passkey"]["passkey_id"].clone();
    let options = begin_sign_in(&app).await["options"].clone();
    assert_eq!(options["rpId"], "licensing.example.com");
    assert_eq!(options["allowCredentials"], json!([]), "nobody is named");

    let pair = sign_in(&app, &mut key).await.ok(200);
    let again = app.person(&pair);
    assert_eq!(again.get("/api/v1/users/me").await.ok(200)["email"], ANN);
    assert_eq!(items(&again.get(MINE).await.ok(200))[0]["last_used_at"], START);
    let log = app.operator().await.get("/api/v1/admin/audit?action=user.signed_in").await.ok(200);
    let factors: Vec<_> = items(&log)
        .iter()
        .filter(|entry| entry["details"]["passkey_id"] == id)
        .map(|entry| entry["details"]["factors"].clone())
        .collect();
    assert_eq!(factors, ["passkey"]);
    // Over a restart as well.
    let app = app.restart().await;
    sign_in(&app, &mut key).await.ok(200);
}

#[tokio::test]
async fn whoever_lies_about_anything_does_not_sign_in() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.customer(ANN).await, app.customer(BOB).await);
    let (mut key, mut other) = (Device::new("key"), Device::new("other"));
    add(&ann, &mut key, "Key").await.ok(201);
    add(&bob, &mut other, "Other").await.ok(201);
    let refused = async |device: &mut Device, why: &str| {
        let told = sign_in(&app, device).await;
        assert_eq!(told.status, 401, "{why}: {}", told.text);
        told.refused(401, "invalid_credentials")
    };
    let unknown = refused(&mut Device::new("unknown"), "unknown").await;
    let lies: [Lie; 8] = [
        ("origin", |it| it.origin = "https://evil.example".to_owned()),
        ("frame", |it| it.cross_origin = true),
        ("server", |it| it.rp_id = "evil.example".to_owned()),
        ("question", |it| it.kind = Some("webauthn.create")),
        ("nobody there", |it| it.flags = Some(0x04)),
        ("locked", |it| it.flags = Some(0x01)),
        ("flags", |it| it.flags = Some(0x15)),
        ("handle", |it| it.handle = encoded(&[7; 16])),
    ];
    for (why, lie) in lies {
        let Device { origin, rp_id, handle, .. } = &key;
        let (origin, rp_id, handle) = (origin.clone(), rp_id.clone(), handle.clone());
        lie(&mut key);
        assert_eq!(refused(&mut key, why).await, unknown, "nothing is told");
        (key.origin, key.rp_id, key.handle) = (origin, rp_id, handle);
        (key.kind, key.flags, key.cross_origin) = (None, None, false);
    }
    // A key of one's own under the name of another's.
    let own = std::mem::replace(&mut key.key, Device::new("thief").key);
    refused(&mut key, "thief").await;
    key.key = own;
    // A copy that has fallen behind.
    sign_in(&app, &mut key).await.ok(200);
    key.count -= 1;
    refused(&mut key, "copy").await;
    key.count += 10;
    sign_in(&app, &mut key).await.ok(200);

    // An answer is good once.
    let asked = begin_sign_in(&app).await;
    let credential = key.get(&asked["options"]);
    answer(&app, &asked, credential.clone()).await.ok(200);
    answer(&app, &asked, credential).await.refused(401, "invalid_credentials");
    // One that answers a challenge to add answers none to sign in.
    let asked = begin(&ann).await;
    let credential = key.get(&asked["options"]);
    answer(&app, &asked, credential).await.refused(401, "invalid_credentials");
    let asked = begin_sign_in(&app).await;
    let mut credential = key.get(&asked["options"]);
    credential["response"]["signature"] = json!("***");
    answer(&app, &asked, credential).await.refused_field("credential");
}

#[tokio::test]
async fn a_closed_account_is_not_signed_in_to() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let mut key = Device::new("key");
    add(&ann, &mut key, "Key").await.ok(201);
    let path = format!("/api/v1/admin/users/{}/deactivate", text(&ann.user["user_id"]));
    app.operator().await.post_nothing(&path).await.ok(200);
    sign_in(&app, &mut key).await.refused(401, "invalid_credentials");
    // It is written while nobody waits for it.
    app.settle().await;
    let log = app.audit().await;
    let failed = log.iter().find(|entry| entry["action"] == "user.sign_in_failed").unwrap();
    assert_eq!(failed["details"]["reason"], "the account is closed");
}

#[tokio::test]
async fn a_browser_that_takes_its_time_is_asked_anew() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let mut key = Device::new("key");
    add(&ann, &mut key, "Key").await.ok(201);
    let asked = begin_sign_in(&app).await;
    app.advance(MINUTE * 5).await;
    let credential = key.get(&asked["options"]);
    answer(&app, &asked, credential).await.refused(401, "invalid_credentials");
    sign_in(&app, &mut key).await.ok(200);
}

// ---- beside an app, and the end ----------------------------------------------------------------

#[tokio::test]
async fn the_last_one_leaves_the_password_alone_again() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.customer(ANN).await, app.customer(BOB).await);
    let (mut key, mut phone) = (Device::new("key"), Device::new("phone"));
    let key_id = add(&ann, &mut key, "Key").await.ok(201)["passkey"]["passkey_id"].clone();
    let phone_id = add(&ann, &mut phone, "Phone").await.ok(201)["passkey"]["passkey_id"].clone();
    remove(&ann, &key_id, "nine loud magpies at dawn").await.refused(401, "invalid_credentials");
    remove(&bob, &key_id, PASSWORD).await.refused(404, "not_found");
    remove(&ann, &key_id, PASSWORD).await.ok(200);
    remove(&ann, &key_id, PASSWORD).await.refused(404, "not_found");
    sign_in(&app, &mut key).await.refused(401, "invalid_credentials");
    app.login(ANN, PASSWORD).await.refused(401, "mfa_required");
    remove(&ann, &phone_id, PASSWORD).await.ok(200);
    app.login(ANN, PASSWORD).await.ok(200);
    app.mail_to(ANN, "passkey was removed").await;
    // What was removed may be added again.
    add(&ann, &mut key, "Key").await.ok(201);
}

#[tokio::test]
async fn a_password_that_is_too_short_to_stand_alone_keeps_the_last_one() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let id =
        add(&ann, &mut Device::new("key"), "Key").await.ok(201)["passkey"]["passkey_id"].clone();
    let short = "9f3kQ-zz8!x";
    let body = json!({"current_password": PASSWORD, "new_password": short});
    ann.post("/api/v1/auth/change-password", body).await.ok(200);
    remove(&ann, &id, short).await.refused(400, "weak_password");
    assert_eq!(items(&ann.get(MINE).await.ok(200)).len(), 1, "nothing was half done");
}

#[tokio::test]
async fn an_operator_who_switches_the_second_factor_off_removes_them() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let mut key = Device::new("key");
    add(&ann, &mut key, "Key").await.ok(201);
    let path = format!("/api/v1/admin/users/{}/remove-second-factor", text(&ann.user["user_id"]));
    app.operator().await.post_nothing(&path).await.ok(200);
    sign_in(&app, &mut key).await.refused(401, "invalid_credentials");
    app.login(ANN, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn a_passkey_is_the_second_factor_that_operators_need() {
    let app = Setup::usual().set("AUTH_OPERATORS_NEED_SECOND_FACTOR", "true").start().await;
    let operator = app.operator().await;
    operator.get("/api/v1/admin/users").await.refused(403, "mfa_enrolment_required");
    add(&operator, &mut Device::new("key"), "Key").await.ok(201);
    operator.get("/api/v1/admin/users").await.ok(200);
    assert_eq!(operator.user["email"], OPERATOR);
}

#[tokio::test]
async fn without_a_name_there_are_none() {
    let app = Setup::usual().set("SERVER_PUBLIC_URL", "http://192.0.2.7:8750").start().await;
    let ann = app.customer(ANN).await;
    assert_eq!(ann.get(MINE).await.ok(200)["origin"], Value::Null);
    let body = json!({"password": PASSWORD});
    ann.post(&format!("{MINE}/begin"), body).await.refused(409, "second_factor_state");
    let begun = app.anyone.post_nothing("/api/v1/auth/passkey/begin").await;
    begun.refused(409, "second_factor_state");
}

// ---- an authenticator of others ----------------------------------------------------------------

/// `soft-webauthn`, which answers line by line.
struct SoftWebauthn(Child);

impl SoftWebauthn {
    fn start(unlocked: bool) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let child = Command::new(root.join(".venv/bin/python"))
            .arg(root.join("tests/python/authenticator.py"))
            .args(unlocked.then_some("--unlocked"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("no .venv/bin/python: run `tests/all.sh tools`");
        Self(child)
    }

    fn does(&mut self, what: &str, options: &Value) -> Value {
        let asked = json!({"do": what, "options": options, "origin": PUBLIC_URL});
        writeln!(self.0.stdin.as_mut().unwrap(), "{asked}").unwrap();
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for SoftWebauthn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "needs python packages: run by .ci/run"]
async fn an_authenticator_of_others_is_added_and_signs_in_once_it_asks_who_is_there() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let added = async |device: &mut SoftWebauthn| {
        let asked = begin(&ann).await;
        let credential = device.does("create", &asked["options"]);
        let body =
            json!({"ceremony_id": asked["ceremony_id"], "name": "Soft", "credential": credential});
        ann.post(MINE, body).await
    };
    // As it comes it asks nobody for a finger or a code, and says so.
    let problem = added(&mut SoftWebauthn::start(false)).await.refused_field("credential");
    assert!(text(&problem["detail"]).contains("did not ask who is there"), "{problem}");

    let mut device = SoftWebauthn::start(true);
    added(&mut device).await.ok(201);
    for _ in 0..2 {
        let asked = begin_sign_in(&app).await;
        let credential = device.does("get", &asked["options"]);
        answer(&app, &asked, credential).await.ok(200);
    }
}
