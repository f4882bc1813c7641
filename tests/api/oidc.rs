//! `/auth/oidc`: signing in on the word of issuers that nobody here wrote, hostile ones among them.

mod directory;
mod linking;
mod peers;
mod sso;

use std::time::{SystemTime, UNIX_EPOCH};

use coditect::domain::time::Timestamp;
use coditect::entropy::Entropy;
use reqwest::Method;
use serde_json::{Value, json};

use self::peers::{Browser, Peer};
use crate::passkeys::Device;
use crate::second_factor::{enrol, login as login_with_code};
use crate::support::{
    Answer, HOUR, MINUTE, OPERATOR, PASSWORD, PUBLIC_URL, Setup, TestApp, items, members, text,
};

const ANN: &str = "ann@example.com";
const EVE: &str = "eve@example.com";

/// Issuers know the calendar of this computer alone.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(since.as_millis() as i64)
}

fn with(providers: &Value) -> Setup {
    Setup::usual().set("OIDC_PROVIDERS", &providers.to_string())
}

/// A server whose provider `mock` is this issuer.
async fn server_of(peer: &Peer) -> TestApp {
    with(&json!([{"name": "mock", "issuer": peer.issuer, "client_id": "app", "label": "The Mock"}]))
        .start_at(now())
        .await
}

/// What a good token says beside what the issuer puts there.
fn eve() -> Value {
    json!({"aud": "app", "sub": "eve-1", "email": EVE, "email_verified": true, "name": "Eve Baker"})
}

#[allow(clippy::needless_pass_by_value, reason = "callers write it where they need it")]
fn eve_but(changed: Value) -> Value {
    let mut claims = eve();
    claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    claims
}

async fn exchange(app: &TestApp, token: &str) -> Answer {
    app.anyone.post("/api/v1/auth/oidc/mock/token", json!({"id_token": token})).await
}

async fn complete(app: &TestApp, browser: &Browser, code: &str) -> Answer {
    complete_with(app, &browser.cookie(), json!({"code": code})).await
}

async fn complete_with(app: &TestApp, cookie: &str, body: Value) -> Answer {
    let request = app.anyone.request(Method::POST, "/api/v1/auth/oidc/complete");
    app.anyone.send(request.header("cookie", cookie).json(&body)).await
}

/// The code of the page's address.
fn code(fragment: &str) -> &str {
    fragment.strip_prefix("oidc=").unwrap_or_else(|| panic!("a code, not {fragment}"))
}

// ---- ID tokens that a front end has -------------------------------------------------------------

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn an_id_token_is_traded_for_a_sign_in_and_a_new_account() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let offered = app.anyone.get("/api/v1/auth/oidc").await.list();
    let start = "/api/v1/auth/oidc/mock/start";
    assert_eq!(offered, [json!({"name": "mock", "label": "The Mock", "start_url": start})]);
    let token = peer.token(eve()).await;
    let first = exchange(&app, &token).await.ok(200);
    let login = app.login(OPERATOR, PASSWORD).await.ok(200);
    assert_eq!(members(&first), members(&login), "the body of a login");
    let eve = app.person(&first);
    let me = eve.get("/api/v1/users/me").await.ok(200);
    assert_eq!(
        (&me["email"], &me["full_name"], &me["email_verified"], &me["operator"]),
        (&json!(EVE), &json!("Eve Baker"), &json!(true), &json!(false))
    );
    let refreshed = json!({"refresh_token": eve.refresh_token});
    app.anyone.post("/api/v1/auth/refresh", refreshed).await.ok(200);
    let again = exchange(&app, &token).await.ok(200);
    assert_eq!(again["user"]["user_id"], first["user"]["user_id"]);
    let audit = app.audit().await;
    let signed_in: Vec<_> = audit
        .iter()
        .filter(|it| it["action"] == "user.signed_in" && it["details"]["provider"] == "mock")
        .collect();
    assert_eq!(signed_in.len(), 2);
    // The issuer's name for a person is what counts: another address is the same account.
    let moved = peer.token(eve_but(json!({"email": "eve@new.example"}))).await;
    let moved = exchange(&app, &moved).await.ok(200);
    assert_eq!(moved["user"]["user_id"], first["user"]["user_id"]);
    app.anyone
        .post("/api/v1/auth/oidc/other/token", json!({"id_token": token}))
        .await
        .refused(404, "not_found");
}

/// One mail welcomes whoever joins by their domain at their first sign-in, and says where they are.
#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_new_account_of_a_domain_that_people_join_by_is_welcomed_there() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let ann = app.customer(ANN).await;
    let id = text(&ann.user["org_id"]);
    let domain = format!("/api/v1/orgs/{id}/domains/loom.example");
    let added = json!({"domain": "loom.example"});
    ann.post(&format!("/api/v1/orgs/{id}/domains"), added).await.ok(201);
    let verify = format!("/api/v1/admin/orgs/{id}/domains/loom.example/verify");
    app.operator().await.post_nothing(&verify).await.ok(200);
    ann.patch(&domain, json!({"auto_join": "member"})).await.ok(200);
    let token = peer.token(eve_but(json!({"email": "eve@loom.example"}))).await;
    let eve = app.person(&exchange(&app, &token).await.ok(200));
    assert_eq!(eve.get("/api/v1/orgs").await.list().len(), 2);
    let welcome = app.mail_to("eve@loom.example", "Welcome").await.text;
    assert!(welcome.contains("Loom Ltd") && !welcome.contains("trial"), "{welcome}");
    let subjects = app.subjects_to("eve@loom.example").await;
    assert!(!subjects.iter().any(|it| it.contains("You belong to")), "{subjects:?}");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn every_claim_that_is_wrong_is_refused_and_told() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let seconds = app.clock.now().wall.unix_seconds();
    exchange(&app, &peer.token(eve()).await).await.ok(200);
    for (changed, why) in [
        (json!({"iss": "https://accounts.example"}), "another issuer"),
        (json!({"iss": format!("{}/", peer.issuer)}), "another issuer"),
        (json!({"iss": null}), "another issuer"),
        (json!({"aud": "another-app"}), "another audience"),
        (json!({"aud": ["app", "another-app"]}), "another audience"),
        (json!({"aud": []}), "another audience"),
        (json!({"aud": null}), "another audience"),
        (json!({"azp": "another-app"}), "another audience"),
        (json!({"exp": seconds - 61}), "expired"),
        (json!({"exp": null}), "expired"),
        (json!({"exp": "tomorrow"}), "expired"),
        (json!({"iat": seconds + 120}), "future"),
        (json!({"iat": null}), "future"),
        (json!({"nbf": seconds + 120}), "future"),
        (json!({"nbf": "never"}), "future"),
        (json!({"sub": null}), "no subject"),
        (json!({"sub": ""}), "no subject"),
        (json!({"sub": "x".repeat(256)}), "no subject"),
        (json!({"sub": 7}), "no subject"),
    ] {
        let token = peer.token(eve_but(changed.clone())).await;
        let refused = exchange(&app, &token).await.refused(401, "oidc_failed");
        assert!(text(&refused["detail"]).contains(why), "{changed}: {refused}");
    }
    // Clocks may differ by a minute.
    for close in [json!({"exp": seconds - 20}), json!({"iat": seconds + 40})] {
        exchange(&app, &peer.token(eve_but(close)).await).await.ok(200);
    }
    let nonce = peer.token(eve_but(json!({"nonce": "n-1"}))).await;
    let with = |nonce_given: &str| json!({"id_token": nonce, "nonce": nonce_given});
    app.anyone.post("/api/v1/auth/oidc/mock/token", with("n-1")).await.ok(200);
    let other = app.anyone.post("/api/v1/auth/oidc/mock/token", with("n-2")).await;
    assert!(text(&other.refused(401, "oidc_failed")["detail"]).contains("this sign-in"));
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn every_signature_that_is_none_of_the_issuers_is_refused() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    for (how, why) in [
        ("none", "no"),
        ("None", "algorithm"),
        ("nOnE", "algorithm"),
        ("none-with-signature", "algorithm"),
        ("unsigned", ""),
        ("HS256-pem", "algorithm"),
        ("HS256-der", "algorithm"),
        ("HS256-jwk", "algorithm"),
        ("foreign-key", "signature"),
        ("embedded-key", "signature"),
        ("unknown-kid", "does not publish"),
        ("crit", "three parts"),
    ] {
        let token = peer.token_made(eve(), how).await;
        let refused = exchange(&app, &token).await.refused(401, "oidc_failed");
        assert!(text(&refused["detail"]).contains(why), "{how}: {refused}");
    }
    exchange(&app, &peer.token(eve()).await).await.ok(200);
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_good_token_that_was_changed_anywhere_signs_nobody_in() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let good = peer.token(eve()).await;
    exchange(&app, &good).await.ok(200);
    let entropy = Entropy::seeded(7);
    for round in 0..400 {
        let mut bytes = good.clone().into_bytes();
        let at = entropy.below(bytes.len() as u32) as usize;
        let other = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
            [entropy.below(65) as usize];
        match round % 4 {
            0 | 1 => bytes[at] = other,
            2 => drop(bytes.remove(at)),
            _ => bytes.insert(at, other),
        }
        let changed = String::from_utf8(bytes).unwrap();
        if changed != good {
            exchange(&app, &changed).await.refused(401, "oidc_failed");
        }
    }
    for cut in [0, 1, good.len() / 2, good.len() - 1] {
        exchange(&app, &good[..cut]).await.refused(401, "oidc_failed");
    }
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn new_keys_are_fetched_when_they_are_met_and_nobody_can_ask_for_that_at_will() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let old = peer.token(eve()).await;
    exchange(&app, &old).await.ok(200);
    assert_eq!(peer.keys_asked().await, 1);
    peer.tell(json!({"do": "rotate"})).await;
    let fresh = peer.token(eve()).await;
    exchange(&app, &fresh).await.refused(401, "oidc_failed");
    app.advance(std::time::Duration::from_secs(31)).await;
    exchange(&app, &fresh).await.ok(200);
    assert_eq!(peer.keys_asked().await, 2);
    exchange(&app, &old).await.refused(401, "oidc_failed");
    app.advance(std::time::Duration::from_secs(31)).await;
    for _ in 0..20 {
        let unknown = peer.token_made(eve(), "unknown-kid").await;
        exchange(&app, &unknown).await.refused(401, "oidc_failed");
    }
    assert_eq!(peer.keys_asked().await, 3, "twenty tokens of unknown keys ask once");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn while_the_issuer_is_away_its_known_keys_count_for_a_day() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    peer.tell(json!({"do": "away", "away": true})).await;
    let token = peer.token(eve()).await;
    let refused = exchange(&app, &token).await;
    assert_eq!(refused.retry_after(), 10);
    refused.refused(503, "issuer_unavailable");
    app.anyone.get("/api/v1/auth/oidc/mock/start").await.refused(503, "issuer_unavailable");
    peer.tell(json!({"do": "away", "away": false})).await;
    app.advance(std::time::Duration::from_secs(6)).await;
    exchange(&app, &token).await.ok(200);
    peer.tell(json!({"do": "away", "away": true})).await;
    app.advance(HOUR * 20).await;
    let later = app.clock.now().wall.unix_seconds();
    let token =
        peer.token(eve_but(json!({"iat": later, "nbf": later, "exp": later + 3_600}))).await;
    exchange(&app, &token).await.ok(200);
    app.advance(HOUR * 5).await;
    exchange(&app, &token).await.refused(503, "issuer_unavailable");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn firebases_tokens_are_those_of_the_project_with_the_instant_of_sign_in() {
    let peer = Peer::mock();
    let keys = format!("{}/jwks", peer.issuer);
    let app = with(
        &json!([{"name": "mock", "preset": "firebase", "project_id": "loom-1", "jwks_url": keys}]),
    )
    .start_at(now())
    .await;
    let offered = app.anyone.get("/api/v1/auth/oidc").await.list();
    assert_eq!(offered[0]["start_url"], Value::Null, "there is no page to go to");
    let seconds = app.clock.now().wall.unix_seconds();
    let shaped = |changed: Value| {
        let mut claims = json!({
            "iss": "https://securetoken.google.com/loom-1", "aud": "loom-1", "sub": "hTx0VbcZ3Zf",
            "user_id": "hTx0VbcZ3Zf", "auth_time": seconds - 5, "email": EVE, "email_verified": true,
            "firebase": {"identities": {"email": [EVE]}, "sign_in_provider": "password"},
        });
        claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        claims
    };
    let answer = exchange(&app, &peer.token(shaped(json!({}))).await).await.ok(200);
    assert_eq!(answer["user"]["full_name"], "eve", "without a name");
    for (changed, why) in [
        (json!({"iss": "https://securetoken.google.com/other-1"}), "another issuer"),
        (json!({"aud": "other-1"}), "another audience"),
        (json!({"auth_time": null}), "when the person signed in"),
        (json!({"auth_time": seconds + 600}), "when the person signed in"),
        (json!({"sub": ""}), "no subject"),
    ] {
        let refused = exchange(&app, &peer.token(shaped(changed.clone())).await)
            .await
            .refused(401, "oidc_failed");
        assert!(text(&refused["detail"]).contains(why), "{changed}: {refused}");
    }
    for how in ["none", "HS256-pem", "foreign-key"] {
        let token = peer.token_made(shaped(json!({})), how).await;
        exchange(&app, &token).await.refused(401, "oidc_failed");
    }
}

// ---- whose account it is ------------------------------------------------------------------------

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn an_account_is_linked_on_a_verified_address_alone_and_its_owner_is_told() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let ann = app.customer(ANN).await;
    for unverified in [json!(false), json!("false"), json!(1), Value::Null] {
        let claims =
            json!({"aud": "app", "sub": "a-1", "email": ANN, "email_verified": unverified});
        exchange(&app, &peer.token(claims).await).await.refused(403, "identity_unverified");
    }
    let nobody = json!({"aud": "app", "sub": "a-1", "email_verified": true});
    exchange(&app, &peer.token(nobody).await).await.refused(403, "identity_unverified");
    let claims =
        json!({"aud": "app", "sub": "a-1", "email": "Ann@Example.com", "email_verified": "true"});
    let linked = exchange(&app, &peer.token(claims).await).await.ok(200);
    assert_eq!(linked["user"]["user_id"], ann.user["user_id"]);
    let mail = app.mail_to(ANN, "through The Mock").await;
    assert!(mail.text.contains("vouches for your e-mail address"), "{}", mail.text);
    assert!(app.audited().await.contains(&"identity.linked".to_owned()));
    app.login(ANN, PASSWORD).await.ok(200);
    // Once known, the person signs in whatever the address has become.
    let later = json!({"aud": "app", "sub": "a-1"});
    exchange(&app, &peer.token(later).await).await.ok(200);
    // An address that the issuer has given to somebody else is not Ann.
    let other = json!({"aud": "app", "sub": "a-2", "email": ANN, "email_verified": true});
    exchange(&app, &peer.token(other).await).await.refused(409, "identity_state");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn whoever_registered_an_address_beforehand_keeps_nothing_of_the_account() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    app.register(EVE).await.ok(201);
    app.login(EVE, PASSWORD).await.refused(403, "email_unverified");
    let answer = exchange(&app, &peer.token(eve()).await).await.ok(200);
    assert_eq!(answer["user"]["full_name"], "Eve Baker", "not the name of whoever registered");
    app.login(EVE, PASSWORD).await.refused(401, "invalid_credentials");
    assert!(app.audited().await.contains(&"identity.claimed".to_owned()));
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_closed_account_stays_closed() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let token = peer.token(eve()).await;
    let answer = exchange(&app, &token).await.ok(200);
    app.person(&answer).post_nothing("/api/v1/users/me/deactivate").await.ok(200);
    exchange(&app, &token).await.refused(403, "account_deactivated");
    let other = peer.token(eve_but(json!({"sub": "eve-2"}))).await;
    exchange(&app, &other).await.refused(409, "identity_state");
    // It is written while nobody waits for it.
    for _ in 0..500 {
        let noted = app.audit().await;
        if noted.iter().any(|it| it["details"]["reason"] == "the account is closed") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the audit log does not tell of it");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_second_factor_is_asked_for_unless_the_issuer_stands_in_for_it() {
    let peer = Peer::mock();
    let trusting =
        json!({"name": "trusted", "issuer": peer.issuer, "client_id": "app", "trusts_mfa": true});
    let app = with(&json!([{"name": "mock", "issuer": peer.issuer, "client_id": "app"}, trusting]))
        .start_at(now())
        .await;
    let person = app.customer(EVE).await;
    let eves = enrol(&app, person).await;
    let token = peer.token(eve()).await;
    exchange(&app, &token).await.refused(401, "mfa_required");
    let listed = eves.person.get("/api/v1/users/me/identities").await.ok(200);
    assert!(items(&listed).is_empty(), "nothing was linked without it");
    let with_code = |code: &str| json!({"id_token": token, "totp": code});
    let wrong = eves.phone.wrong(&app);
    app.anyone
        .post("/api/v1/auth/oidc/mock/token", with_code(&wrong))
        .await
        .refused(401, "invalid_totp");
    let right = eves.phone.code(&app);
    app.anyone.post("/api/v1/auth/oidc/mock/token", with_code(&right)).await.ok(200);
    login_with_code(&app, EVE, &right).await.refused(401, "invalid_totp");
    app.anyone.post("/api/v1/auth/oidc/trusted/token", json!({"id_token": token})).await.ok(200);
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn accounts_are_made_where_the_vendor_wants_it_for_the_domains_that_are_admitted() {
    let peer = Peer::mock();
    let base = |extra: Value| {
        let mut provider = json!({"name": "mock", "issuer": peer.issuer, "client_id": "app"});
        provider.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        with(&json!([provider]))
    };
    let token = peer.token(eve()).await;
    let app = base(json!({})).set("AUTH_OPEN_REGISTRATION", "false").start_at(now()).await;
    exchange(&app, &token).await.refused(403, "forbidden");
    let app = base(json!({"new_accounts": false})).start_at(now()).await;
    exchange(&app, &token).await.refused(403, "forbidden");
    app.customer(EVE).await;
    exchange(&app, &token).await.ok(200);
    let app = base(json!({"email_domains": ["Example.com"]})).start_at(now()).await;
    exchange(&app, &token).await.ok(200);
    for outside in ["eve@example.org", "eve@sub.example.com", "eve@notexample.com"] {
        let token = peer.token(eve_but(json!({"sub": outside, "email": outside}))).await;
        exchange(&app, &token).await.refused(403, "forbidden");
    }
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn links_are_listed_and_taken_away_but_not_the_last_way_in() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let answer = exchange(&app, &peer.token(eve()).await).await.ok(200);
    let eve = app.person(&answer);
    let listed = eve.get("/api/v1/users/me/identities").await.list();
    assert_eq!(
        (&listed[0]["provider"], &listed[0]["subject"], &listed[0]["email"], &listed[0]["issuer"]),
        (&json!("mock"), &json!("eve-1"), &json!(EVE), &json!(peer.issuer))
    );
    let path = format!("/api/v1/users/me/identities/{}", text(&listed[0]["identity_id"]));
    let ann = app.customer(ANN).await;
    ann.delete(&path).await.refused(404, "not_found");
    eve.delete(&path).await.refused(409, "identity_state");
    app.anyone.post("/api/v1/auth/forgot-password", json!({"email": EVE})).await.ok(202);
    let token = app.mail_to(EVE, "password").await.token();
    let reset = json!({"token": token, "password": PASSWORD});
    app.anyone.post("/api/v1/auth/reset-password", reset).await.ok(200);
    let eve = app.sign_in(EVE).await;
    eve.delete(&path).await.ok(200);
    eve.delete(&path).await.refused(404, "not_found");
    assert!(app.audited().await.contains(&"identity.unlinked".to_owned()));
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn an_account_without_a_password_adds_a_passkey_soon_after_signing_in() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let eve = app.person(&exchange(&app, &peer.token(eve()).await).await.ok(200));
    let begin = "/api/v1/users/me/passkeys/begin";
    let asked = eve.post(begin, json!({"password": ""})).await.ok(200);
    let mut key = Device::new("key");
    let credential = key.create(&asked["options"]);
    let body =
        json!({"ceremony_id": asked["ceremony_id"], "name": "Key", "credential": credential});
    let added = eve.post("/api/v1/users/me/passkeys", body).await.ok(201);
    // With the passkey as the one way left, it stays.
    let listed = eve.get("/api/v1/users/me/identities").await.list();
    let identity = format!("/api/v1/users/me/identities/{}", text(&listed[0]["identity_id"]));
    eve.delete(&identity).await.ok(200);
    let passkey = format!("/api/v1/users/me/passkeys/{}", text(&added["passkey"]["passkey_id"]));
    let nothing = json!({"password": ""});
    let kept = eve.with_body(Method::DELETE, &passkey, &nothing).await;
    kept.refused(409, "second_factor_state");
    app.advance(10 * MINUTE).await;
    eve.post(begin, nothing).await.refused(401, "invalid_credentials");
}

// ---- a browser's way to the issuer and back -----------------------------------------------------

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_certified_issuer_signs_in_clients_of_every_kind() {
    let names = ["basic", "post", "public"];
    let peer = Peer::certified(&names);
    let of = |name: &str, client: &str, secret: &str| {
        let mut one = json!({"name": name, "issuer": peer.issuer, "client_id": client});
        if !secret.is_empty() {
            one["client_secret"] = json!(secret);
        }
        one
    };
    let app = with(&json!([
        of("basic", "confidential", "s3cr%t:of+the tests"),
        of("post", "posting", "another"),
        of("public", "public", ""),
    ]))
    .start_at(now())
    .await;
    for name in names {
        let mut browser = Browser::new(&app);
        let url = browser.start(name).await;
        for needed in
            ["code_challenge_method=S256", "code_challenge=", "nonce=", "state=", "scope=openid"]
        {
            assert!(url.contains(needed), "{needed} in {url}");
        }
        let fragment = browser.agree(url, name).await;
        let tokens = complete(&app, &browser, code(&fragment)).await.ok(200);
        assert_eq!(tokens["user"]["email"], format!("{name}@example.com"));
        assert_eq!(tokens["user"]["full_name"], format!("{name} of the issuer"));
        let person = app.person(&tokens);
        person.get("/api/v1/users/me").await.ok(200);
        let fresh = json!({"refresh_token": person.refresh_token});
        app.anyone.post("/api/v1/auth/refresh", fresh).await.ok(200);
    }
    // The issuer vouches for no address.
    let mut browser = Browser::new(&app);
    let url = browser.start("basic").await;
    let fragment = browser.agree(url, "unverified").await;
    complete(&app, &browser, code(&fragment)).await.refused(403, "identity_unverified");
}

#[tokio::test]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn an_issuer_in_another_language_signs_in_as_well() {
    let peer = Peer::python();
    let app = with(
        &json!([{"name": "py", "issuer": peer.issuer, "client_id": "any", "client_secret": "s"}]),
    )
    .start_at(now())
    .await;
    let mut browser = Browser::new(&app);
    let url = browser.start("py").await;
    let seen = browser.ask(Method::POST, &url, &[("sub", "eve")]).await;
    let fragment = browser.follow(seen.location).await.unwrap();
    let tokens = complete(&app, &browser, code(&fragment)).await.ok(200);
    assert_eq!(
        (&tokens["user"]["email"], &tokens["user"]["full_name"]),
        (&json!(EVE), &json!("Eve Baker"))
    );
    // Somebody else there who claims the same address, and the person who says no.
    let mut browser = Browser::new(&app);
    let url = browser.start("py").await;
    let seen = browser.ask(Method::POST, &url, &[("sub", "mallory")]).await;
    let fragment = browser.follow(seen.location).await.unwrap();
    complete(&app, &browser, code(&fragment)).await.refused(403, "identity_unverified");
    let url = browser.start("py").await;
    let seen = browser.ask(Method::POST, &url, &[("sub", "eve"), ("action", "deny")]).await;
    assert_eq!(browser.follow(seen.location).await.unwrap(), "oidc_error=oidc_failed");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn the_cookie_is_bound_to_this_host_and_the_code_works_once_in_that_browser() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    peer.says(eve()).await;
    let mut browser = Browser::new(&app);
    let seen =
        browser.get(&format!("{PUBLIC_URL}/api/v1/auth/oidc/mock/start?return_to=/admin")).await;
    let cookie = &seen.set_cookie;
    assert!(cookie.starts_with("__Host-coditect-oidc="), "{cookie}");
    for needed in ["; Path=/;", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
        assert!(cookie.contains(needed), "{needed} in {cookie}");
    }
    let back = browser.way_back(seen.location).await;
    let back_again = back.clone();
    let fragment = browser.follow(back).await.unwrap();
    let code = code(&fragment).to_owned();
    // Without the cookie, with another browser's, and with a code that is none.
    let mut other = Browser::new(&app);
    other.start("mock").await;
    complete_with(&app, "", json!({"code": code})).await.refused(401, "oidc_failed");
    complete(&app, &other, &code).await.refused(401, "oidc_failed");
    complete(&app, &browser, "none").await.refused(401, "oidc_failed");
    complete(&app, &browser, &code).await.ok(200);
    complete(&app, &browser, &code).await.refused(401, "oidc_failed");
    assert_eq!(
        browser.follow(back_again).await.unwrap(),
        "oidc_error=oidc_failed",
        "a return is made once"
    );
    // A code that waits too long is good no longer.
    let url = browser.start("mock").await;
    let fragment = browser.follow(url).await.unwrap();
    app.advance(std::time::Duration::from_secs(301)).await;
    complete(&app, &browser, fragment.strip_prefix("oidc=").unwrap())
        .await
        .refused(401, "oidc_failed");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_return_belongs_to_the_browser_that_left_and_the_issuer_it_left_for() {
    let (peer, evil) = (Peer::mock(), Peer::mock());
    let app = with(&json!([
        {"name": "mock", "issuer": peer.issuer, "client_id": "app"},
        {"name": "evil", "issuer": evil.issuer, "client_id": "app"},
    ]))
    .start_at(now())
    .await;
    peer.says(eve()).await;
    let failed = "oidc_error=oidc_failed";
    let (mut anns, mut eves) = (Browser::new(&app), Browser::new(&app));
    let url = eves.start("mock").await;
    let eves_return = eves.way_back(url).await;
    // Ann is lured to Eve's return: with no sign-in of her own begun, and with one.
    assert_eq!(anns.follow(eves_return.clone()).await.unwrap(), failed);
    anns.start("mock").await;
    assert_eq!(anns.follow(eves_return.clone()).await.unwrap(), failed);
    // The return at another issuer's address, without a state, and of another issuer by its word.
    let moved = eves_return.replace("/mock/callback", "/evil/callback");
    assert_eq!(eves.follow(moved).await.unwrap(), failed);
    let stateless =
        eves_return.split('&').filter(|it| !it.starts_with("state=")).collect::<Vec<_>>();
    assert_eq!(eves.follow(stateless.join("&")).await.unwrap(), failed);
    let named = format!("{eves_return}&iss=https%3A%2F%2Fevil.example");
    assert_eq!(eves.follow(named).await.unwrap(), failed);
    // A code that the issuer does not know, a nonce of another sign-in, another client's token.
    let forged: Vec<&str> = eves_return.split('&').collect();
    let forged = forged[0]
        .split_once("code=")
        .map(|(head, _)| format!("{head}code=forged&{}", forged[1..].join("&")));
    if let Some(forged) = forged {
        assert_eq!(eves.follow(forged).await.unwrap(), failed);
    }
    for wrong in [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"aud": "another-app"}),
        json!({"iss": evil.issuer}),
    ] {
        peer.says(eve_but(wrong.clone())).await;
        let url = eves.start("mock").await;
        assert_eq!(eves.follow(url).await.unwrap(), failed, "{wrong}");
    }
    // What took too long.
    peer.says(eve()).await;
    let url = eves.start("mock").await;
    let late = eves.way_back(url).await;
    app.advance(std::time::Duration::from_secs(601)).await;
    assert_eq!(eves.follow(late).await.unwrap(), failed);
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_sign_in_leads_to_no_page_that_is_not_listed() {
    let peer = Peer::mock();
    let app = with(&json!([{"name": "mock", "issuer": peer.issuer, "client_id": "app"}]))
        .set("OIDC_RETURN_PATHS", "/admin, /portal")
        .start_at(now())
        .await;
    for elsewhere in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/admin/../x",
        "/admin?next=x",
        "/admin%0d%0aX:y",
        "",
        "/admin#oidc=x",
        "javascript:alert(1)",
        "/admin@evil.example",
    ] {
        let request = app.anyone.request(Method::GET, "/api/v1/auth/oidc/mock/start");
        app.anyone
            .send(request.query(&[("return_to", elsewhere)]))
            .await
            .refused_field("return_to");
    }
    for page in ["/admin", "/portal"] {
        let seen = app.anyone.get(&format!("/api/v1/auth/oidc/mock/start?return_to={page}")).await;
        assert_eq!(seen.status, 302);
    }
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_second_factor_is_given_with_the_same_code() {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let person = app.customer(EVE).await;
    let eves = enrol(&app, person).await;
    peer.says(eve()).await;
    let mut browser = Browser::new(&app);
    let url = browser.start("mock").await;
    let fragment = browser.follow(url).await.unwrap();
    let code = code(&fragment);
    complete(&app, &browser, code).await.refused(401, "mfa_required");
    let with = |totp: String| json!({"code": code, "totp": totp});
    complete_with(&app, &browser.cookie(), with(eves.phone.wrong(&app)))
        .await
        .refused(401, "invalid_totp");
    complete_with(&app, &browser.cookie(), with(eves.phone.code(&app))).await.ok(200);
}
