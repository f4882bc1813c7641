//! Linking an account at an issuer to one's own while signed in: `/users/me/identities`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::peers::{Browser, Peer};
use super::{ANN, EVE, code, complete, eve, exchange, now, server_of, with};
use crate::support::{Answer, MINUTE, OPERATOR, PASSWORD, PUBLIC_URL, Person, TestApp, text};

const IDENTITIES: &str = "/api/v1/users/me/identities";
const BEGIN: &str = "/api/v1/users/me/identities/begin";

/// Begins to link, in a browser; the issuer's address.
async fn begin(person: &Person, browser: &mut Browser) -> String {
    let answer = person.post(BEGIN, json!({"provider": "mock", "password": PASSWORD})).await;
    keep_cookie(&answer, browser);
    text(&answer.ok(200)["location"])
}

fn keep_cookie(answer: &Answer, browser: &mut Browser) {
    let pair = answer.header("set-cookie").split(';').next().unwrap_or_default();
    let (name, value) = pair.split_once('=').unwrap();
    let jar = browser.cookies.entry(PUBLIC_URL.to_owned()).or_default();
    jar.insert(name.to_owned(), value.to_owned());
}

/// The way to the issuer and back; the code of the page's address.
async fn come_back(browser: &mut Browser, url: String) -> String {
    let fragment = browser.follow(url).await.unwrap();
    let code = fragment.strip_prefix("oidc_link=");
    code.unwrap_or_else(|| panic!("a code to link with, not {fragment}")).to_owned()
}

async fn link(person: &Person, browser: &Browser, code: &str) -> Answer {
    let request = person.request(Method::POST, IDENTITIES).header("cookie", browser.cookie());
    person.send(request.json(&json!({"code": code}))).await
}

async fn linked(person: &Person) -> Vec<Value> {
    person.get(IDENTITIES).await.list()
}

/// A server, its issuer, and Ann, who has signed in.
async fn scene() -> (Peer, TestApp, Person) {
    let peer = Peer::mock();
    let app = server_of(&peer).await;
    let ann = app.customer(ANN).await;
    peer.says(eve()).await;
    (peer, app, ann)
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn an_account_of_another_address_is_linked_and_signs_in_from_then_on() {
    let (peer, app, ann) = scene().await;
    let mut browser = Browser::new(&app);
    let url = begin(&ann, &mut browser).await;
    assert!(url.starts_with(&peer.issuer), "{url}");
    let code = come_back(&mut browser, url).await;
    let answer = link(&ann, &browser, &code).await.ok(201);
    assert_eq!((&answer["provider"], &answer["email"]), (&json!("mock"), &json!(EVE)));
    assert_eq!(linked(&ann).await, [answer]);
    let mail = app.mail_to(ANN, "through The Mock").await;
    assert!(mail.text.contains("somebody who was signed in"), "{}", mail.text);
    let audit = app.audit().await;
    let noted = audit.iter().find(|it| it["action"] == "identity.linked").unwrap();
    assert_eq!(noted["details"]["provider"], "mock");
    // The code works once, and the account is Ann's.
    link(&ann, &browser, &code).await.refused(401, "oidc_failed");
    let token = peer.token(eve()).await;
    let signed_in = exchange(&app, &token).await.ok(200);
    assert_eq!(signed_in["user"]["user_id"], ann.user["user_id"]);
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_certified_issuer_links_as_well() {
    let peer = Peer::certified(&["mock"]);
    let provider = json!({"name": "mock", "issuer": peer.issuer, "client_id": "public"});
    let app = with(&json!([provider])).start_at(now()).await;
    let ann = app.customer(ANN).await;
    let mut browser = Browser::new(&app);
    let url = begin(&ann, &mut browser).await;
    let fragment = browser.agree(url, "eve").await;
    let code = fragment.strip_prefix("oidc_link=").unwrap_or_else(|| panic!("{fragment}"));
    let answer = link(&ann, &browser, code).await.ok(201);
    assert_eq!(answer["subject"], "eve");
    let url = browser.start("mock").await;
    let fragment = browser.agree(url, "eve").await;
    let signed_in = complete(&app, &browser, super::code(&fragment)).await.ok(200);
    assert_eq!(signed_in["user"]["user_id"], ann.user["user_id"]);
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn nobody_links_what_another_browser_person_or_sign_in_has_begun() {
    let (_peer, app, ann) = scene().await;
    let ben = app.customer("ben@example.com").await;
    let (mut anns, mut bens) = (Browser::new(&app), Browser::new(&app));
    let url = begin(&ben, &mut bens).await;
    let bens_code = come_back(&mut bens, url).await;
    begin(&ann, &mut anns).await;
    // Ann is lured to the code that Ben was given, even with Ben's cookie in her browser.
    link(&ann, &anns, &bens_code).await.refused(401, "oidc_failed");
    link(&ann, &bens, &bens_code).await.refused(401, "oidc_failed");
    // The way back in her browser is not the one that she left for.
    let url = begin(&ben, &mut bens).await;
    let bens_return = bens.way_back(url).await;
    assert_eq!(anns.follow(bens_return).await.unwrap(), "oidc_link_error=oidc_failed");
    // Another sign-in of the same person is another one.
    let again = app.sign_in("ben@example.com").await;
    link(&again, &bens, &bens_code).await.refused(401, "oidc_failed");
    // None of that has spent it; whoever has no cookie does not either.
    link(&ben, &Browser::new(&app), &bens_code).await.refused(401, "oidc_failed");
    let url = begin(&ben, &mut bens).await;
    let code = come_back(&mut bens, url).await;
    link(&ben, &bens, &code).await.ok(201);
    assert!(linked(&ann).await.is_empty());
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn what_was_to_be_linked_signs_nobody_in_and_what_was_to_sign_in_links_nothing() {
    let (_peer, app, ann) = scene().await;
    let mut browser = Browser::new(&app);
    let url = begin(&ann, &mut browser).await;
    let to_link = come_back(&mut browser, url).await;
    complete(&app, &browser, &to_link).await.refused(401, "oidc_failed");
    link(&ann, &browser, &to_link).await.ok(201);
    let url = browser.start("mock").await;
    let fragment = browser.follow(url).await.unwrap();
    let to_sign_in = code(&fragment);
    link(&ann, &browser, to_sign_in).await.refused(401, "oidc_failed");
    complete(&app, &browser, to_sign_in).await.ok(200);
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn an_account_there_belongs_to_one_account_here() {
    let (peer, app, ann) = scene().await;
    let eve_here = app.person(&exchange(&app, &peer.token(eve()).await).await.ok(200));
    let mut browser = Browser::new(&app);
    let url = begin(&ann, &mut browser).await;
    let code = come_back(&mut browser, url).await;
    let refused = link(&ann, &browser, &code).await.refused(409, "identity_state");
    assert!(text(&refused["detail"]).contains("another account"), "{refused}");
    assert_eq!(linked(&eve_here).await.len(), 1);
    // One's own, once more.
    let answer = eve_here.post(BEGIN, json!({"provider": "mock", "password": ""})).await;
    keep_cookie(&answer, &mut browser);
    let code = come_back(&mut browser, text(&answer.ok(200)["location"])).await;
    let refused = link(&eve_here, &browser, &code).await.refused(409, "identity_state");
    assert!(text(&refused["detail"]).contains("already"), "{refused}");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn it_takes_the_password_or_a_sign_in_of_just_now_and_no_program_does_it() {
    let (peer, app, ann) = scene().await;
    let wrong = json!({"provider": "mock", "password": "not her password"});
    ann.post(BEGIN, wrong).await.refused(401, "invalid_credentials");
    let right = json!({"provider": "mock", "password": PASSWORD});
    let unknown = json!({"provider": "other", "password": PASSWORD});
    ann.post(BEGIN, unknown).await.refused(404, "not_found");
    let elsewhere =
        json!({"provider": "mock", "password": PASSWORD, "return_to": "//evil.example"});
    ann.post(BEGIN, elsewhere).await.refused_field("return_to");
    app.anyone.post(BEGIN, right.clone()).await.refused(401, "unauthenticated");
    app.anyone.post(IDENTITIES, json!({"code": "x"})).await.refused(401, "unauthenticated");
    let key = ann.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let program = ann.with_key(&text(&key["secret"]));
    program.post(BEGIN, right).await.refused(403, "forbidden");
    program.post(IDENTITIES, json!({"code": "x"})).await.refused(403, "forbidden");
    // Whoever has no password.
    let eve_here = app.person(&exchange(&app, &peer.token(eve()).await).await.ok(200));
    assert_eq!(eve_here.get("/api/v1/users/me").await.ok(200)["has_password"], json!(false));
    assert_eq!(ann.get("/api/v1/users/me").await.ok(200)["has_password"], json!(true));
    let nothing = json!({"provider": "mock", "password": ""});
    eve_here.post(BEGIN, nothing.clone()).await.ok(200);
    app.advance(10 * MINUTE).await;
    eve_here.post(BEGIN, nothing).await.refused(401, "invalid_credentials");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_password_that_is_changed_and_a_sign_in_that_ends_meanwhile_take_it_back() {
    let (_peer, app, ann) = scene().await;
    let mut browser = Browser::new(&app);
    let url = begin(&ann, &mut browser).await;
    let code = come_back(&mut browser, url).await;
    app.advance(Duration::from_secs(1)).await;
    let change =
        json!({"current_password": PASSWORD, "new_password": "another one of some length"});
    ann.post("/api/v1/auth/change-password", change).await.ok(200);
    link(&ann, &browser, &code).await.refused(401, "oidc_failed");
    let body = json!({"provider": "mock", "password": "another one of some length"});
    let answer = ann.post(BEGIN, body.clone()).await;
    keep_cookie(&answer, &mut browser);
    let code = come_back(&mut browser, text(&answer.ok(200)["location"])).await;
    ann.post_nothing("/api/v1/auth/logout").await.ok(200);
    link(&ann, &browser, &code).await.refused(401, "unauthenticated");
    // And what takes too long.
    let ann = app.person(&app.login(ANN, "another one of some length").await.ok(200));
    let answer = ann.post(BEGIN, body).await;
    keep_cookie(&answer, &mut browser);
    let code = come_back(&mut browser, text(&answer.ok(200)["location"])).await;
    app.advance(6 * MINUTE).await;
    link(&ann, &browser, &code).await.refused(401, "oidc_failed");
    assert!(linked(&ann).await.is_empty());
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn an_address_of_a_domain_that_is_not_admitted_is_not_linked() {
    let peer = Peer::mock();
    let provider = json!({
        "name": "mock", "issuer": peer.issuer, "client_id": "app", "email_domains": ["vendor.example"],
    });
    let app = with(&json!([provider])).start_at(now()).await;
    let operator = app.sign_in(OPERATOR).await;
    peer.says(eve()).await;
    let mut browser = Browser::new(&app);
    let url = begin(&operator, &mut browser).await;
    let code = come_back(&mut browser, url).await;
    link(&operator, &browser, &code).await.refused(403, "forbidden");
    assert!(linked(&operator).await.is_empty());
}
