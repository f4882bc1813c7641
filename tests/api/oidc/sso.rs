//! `/orgs/{org_id}/sso`: an organisation's own issuer, and what its owner cannot do with it.

use reqwest::Method;
use serde_json::{Value, json};

use super::peers::{Browser, Peer};
use super::{ANN, EVE, code, complete, now};
use crate::support::{DAY, OPERATOR, PUBLIC_URL, Person, Setup, TestApp, items, text, without};

const BOB: &str = "bob@example.com";

async fn server() -> TestApp {
    Setup::usual().set("OIDC_ALLOW_PRIVATE_ISSUERS", "true").start_at(now()).await
}

pub(super) fn path(org: &Value) -> String {
    format!("/api/v1/orgs/{}/sso", text(&org["org_id"]))
}

fn settings(peer: &Peer) -> Value {
    json!({
        "issuer": peer.issuer, "client_id": "app", "client_secret": "the secret",
        "groups": [{"group": "it", "role": "admin"}, {"group": "staff", "role": "member"}],
    })
}

/// Ann's organisation, whose issuer this is.
async fn loom(app: &TestApp, peer: &Peer) -> (Person, Value) {
    let ann = app.customer(ANN).await;
    let org = ann.post("/api/v1/orgs", json!({"name": "Loom Ltd"})).await.ok(201);
    ann.with_body(Method::PUT, &path(&org), &settings(peer)).await.ok(200);
    let addresses = ann.get(&format!("{}/addresses", path(&org))).await.ok(200);
    assert_eq!(addresses["set"], true);
    (ann, org)
}

/// Signs in through the organisation's issuer as whom it says.
pub(super) async fn enter(
    app: &TestApp,
    peer: &Peer,
    org: &Value,
    claims: Value,
) -> crate::support::Answer {
    peer.says(claims).await;
    let mut browser = Browser::new(app);
    let url = browser.start(&format!("org/{}", text(&org["org_id"]))).await;
    let fragment = browser.follow(url).await.unwrap();
    complete(app, &browser, code(&fragment)).await
}

#[allow(clippy::needless_pass_by_value, reason = "callers write it where they need it")]
fn eve(groups: Value) -> Value {
    json!({"sub": "eve-1", "email": EVE, "email_verified": true, "name": "Eve Baker", "groups": groups})
}

/// Follows the mailed link.
pub(super) async fn confirm(app: &TestApp, email: &str) -> crate::support::Answer {
    let token = app.mail_to(email, "Confirm the sign-in of Loom Ltd").await.token();
    let look =
        app.anyone.post("/api/v1/auth/oidc/confirm/look", json!({"token": token})).await.ok(200);
    assert_eq!((&look["org_name"], &look["email"]), (&json!("Loom Ltd"), &json!(email)));
    app.anyone.post("/api/v1/auth/oidc/confirm", json!({"token": token})).await
}

pub(super) async fn roles(ann: &Person, org: &Value) -> Vec<(String, String)> {
    let members = ann.get(&format!("/api/v1/orgs/{}/members", text(&org["org_id"]))).await.list();
    let mut roles: Vec<_> =
        members.iter().map(|it| (text(&it["email"]), text(&it["role"]))).collect();
    roles.sort();
    roles
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn an_owner_names_an_issuer_and_its_secret_is_never_shown() {
    let (app, peer) = (server().await, Peer::mock());
    let (ann, org) = loom(&app, &peer).await;
    let shown = ann.get(&path(&org)).await.ok(200);
    assert_eq!(shown["has_client_secret"], true);
    assert!(!shown.to_string().contains("the secret"), "{shown}");
    assert_eq!(shown["scopes"], "openid email profile");
    assert!(text(&shown["start_url"]).ends_with("/start"));
    let database = std::fs::read(app.data().join("coditect.redb")).unwrap_or_default();
    assert!(!database.windows(10).any(|part| part == b"the secret"), "it is sealed at rest");
    // Left out it stays, with another client it goes.
    let same = without(&settings(&peer), "client_secret");
    let set = async |body: Value| ann.with_body(Method::PUT, &path(&org), &body).await;
    assert_eq!(set(same.clone()).await.ok(200)["has_client_secret"], true);
    let mut other = same;
    other["client_id"] = json!("another");
    assert_eq!(set(other).await.ok(200)["has_client_secret"], false);
    for (field, value) in [
        ("groups", json!([{"group": "it", "role": "owner"}])),
        ("default_role", json!("owner")),
        ("issuer", json!("no address")),
        ("issuer", json!(format!("{}/other", peer.issuer))),
        ("issuer", json!("http://127.0.0.1:9")),
        ("scopes", json!("email")),
    ] {
        let mut body = settings(&peer);
        body[field] = value;
        set(body).await.refused_field(field);
    }
    let key = ann.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let program = ann.with_key(&text(&key["secret"]));
    program.with_body(Method::PUT, &path(&org), &settings(&peer)).await.refused(403, "forbidden");
    let bob = app.customer(BOB).await;
    for method in [Method::GET, Method::DELETE] {
        bob.send(bob.request(method, &path(&org))).await.refused(404, "not_found");
    }
    ann.delete(&path(&org)).await.ok(200);
    ann.get(&path(&org)).await.refused(404, "not_found");
    let start = format!("/api/v1/auth/oidc/org/{}/start", text(&org["org_id"]));
    app.anyone.get(&start).await.refused(404, "not_found");
    let audited = app.audited().await;
    assert!(
        audited.contains(&"org.sso_set".to_owned())
            && audited.contains(&"org.sso_removed".to_owned())
    );
}

#[tokio::test]
async fn a_customers_issuer_is_no_way_into_the_servers_own_network() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let org = ann.post("/api/v1/orgs", json!({"name": "Loom Ltd"})).await.ok(201);
    for inside in [
        "http://issuer.example",
        "https://127.0.0.1",
        "https://localhost",
        "https://[::1]:8750",
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://0x7f000001",
        "https://192.168.0.1/realms/a",
        "https://[::ffff:10.0.0.1]",
    ] {
        let body = json!({"issuer": inside, "client_id": "app", "default_role": "member"});
        ann.with_body(Method::PUT, &path(&org), &body).await.refused_field("issuer");
    }
}

#[tokio::test]
async fn an_issuer_that_would_send_everybody_away_is_refused() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let org = ann.post("/api/v1/orgs", json!({"name": "Loom Ltd"})).await.ok(201);
    let set = async |rules: Value| {
        let mut body = json!({"issuer": "https://10.0.0.1", "client_id": "app"});
        body.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
        ann.with_body(Method::PUT, &path(&org), &body).await
    };
    // What is refused after these rules is the issuer, which nobody is to be led to.
    for (rules, field) in [
        (json!({}), "groups"),
        (json!({"groups": [], "default_role": null}), "groups"),
        (json!({"groups": [{"group": "it", "role": "admin"}]}), "issuer"),
        (json!({"default_role": "billing"}), "issuer"),
    ] {
        set(rules).await.refused_field(field);
    }
    // Whoever a directory wants there stays without a rule.
    let tokens = format!("/api/v1/orgs/{}/provisioning-tokens", text(&org["org_id"]));
    ann.post(&tokens, json!({"name": "Entra ID"})).await.ok(201);
    set(json!({})).await.refused_field("issuer");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn groups_say_what_somebody_is_at_each_sign_in() {
    let (app, peer) = (server().await, Peer::mock());
    let (ann, org) = loom(&app, &peer).await;
    enter(&app, &peer, &org, eve(json!(["guests"]))).await.refused(403, "forbidden");
    let told =
        enter(&app, &peer, &org, eve(json!(["staff"]))).await.refused(403, "identity_unconfirmed");
    assert!(text(&told["detail"]).contains(EVE));
    confirm(&app, EVE).await.ok(200);
    let used = app.mail_to(EVE, "Confirm the sign-in").await.token();
    let again = app.anyone.post("/api/v1/auth/oidc/confirm", json!({"token": used})).await;
    again.refused(400, "invalid_token");
    let tokens = enter(&app, &peer, &org, eve(json!(["staff"]))).await.ok(200);
    assert_eq!(tokens["user"]["full_name"], "Eve Baker");
    let welcome = app.mail_to(EVE, "Welcome").await.text;
    assert!(welcome.contains(&text(&org["name"])) && !welcome.contains("trial"), "{welcome}");
    let person = app.person(&tokens).in_org(&org["org_id"]);
    assert_eq!(person.get("/api/v1/licenses").await.status, 200);
    let (anns, eves) = (
        |role: &str| (ANN.to_owned(), role.to_owned()),
        |role: &str| (EVE.to_owned(), role.to_owned()),
    );
    assert_eq!(roles(&ann, &org).await, [anns("owner"), eves("member")]);
    enter(&app, &peer, &org, eve(json!("it"))).await.ok(200);
    assert_eq!(roles(&ann, &org).await, [anns("owner"), eves("admin")]);
    enter(&app, &peer, &org, eve(json!(["STAFF", "staff "]))).await.refused(403, "forbidden");
    assert_eq!(roles(&ann, &org).await, [anns("owner")], "in no group there is no membership");
    let mut defaulted = settings(&peer);
    defaulted["default_role"] = json!("billing");
    ann.with_body(Method::PUT, &path(&org), &defaulted).await.ok(200);
    enter(&app, &peer, &org, eve(Value::Null)).await.ok(200);
    assert_eq!(roles(&ann, &org).await, [anns("owner"), eves("billing")]);
    // Ann herself, who owns it, stays its owner whatever her groups.
    let anns_claims =
        json!({"sub": "ann-1", "email": ANN, "email_verified": true, "groups": ["staff"]});
    enter(&app, &peer, &org, anns_claims.clone()).await.refused(403, "identity_unconfirmed");
    confirm(&app, ANN).await.ok(200);
    enter(&app, &peer, &org, anns_claims).await.ok(200);
    assert_eq!(roles(&ann, &org).await[0], anns("owner"));
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn an_issuer_of_a_customer_signs_in_as_nobody_who_has_not_agreed() {
    let (app, peer) = (server().await, Peer::mock());
    let (_, org) = loom(&app, &peer).await;
    let bob = app.customer(BOB).await;
    // Ann's issuer claims the operator's address, Bob's, and one that nobody has.
    for whom in [OPERATOR, BOB, "new@example.com"] {
        let claims = json!({"sub": whom, "email": whom, "email_verified": true, "groups": ["it"]});
        let refused = enter(&app, &peer, &org, claims).await.refused(403, "identity_unconfirmed");
        assert!(refused.get("access_token").is_none());
    }
    app.settle().await;
    assert!(
        !app.subjects_to(OPERATOR).await.iter().any(|it| it.contains("Confirm the sign-in")),
        "operators are not even asked"
    );
    assert!(app.subjects_to(BOB).await.iter().any(|it| it.contains("Confirm the sign-in")));
    assert!(items(&bob.get("/api/v1/users/me/identities").await.ok(200)).is_empty());
    app.register("new@example.com").await.ok(201);
    // What became an operator's account afterwards is out of its reach, too.
    confirm(&app, BOB).await.ok(200);
    let claims = json!({"sub": BOB, "email": BOB, "email_verified": true, "groups": ["it"]});
    let before = app.person(&enter(&app, &peer, &org, claims.clone()).await.ok(200));
    let operator = app.operator().await;
    let rights = format!("/api/v1/admin/users/{}/operator", text(&bob.user["user_id"]));
    operator.with_body(Method::PUT, &rights, &json!({"operator": true})).await.ok(200);
    enter(&app, &peer, &org, claims).await.refused(403, "forbidden");
    // And what was begun before is no operator's.
    before.get("/api/v1/admin/users").await.refused(401, "unauthenticated");
}

/// Eve, signed in through the organisation's issuer.
async fn eve_of(app: &TestApp, peer: &Peer, org: &Value) -> Person {
    enter(app, peer, org, eve(json!(["staff"]))).await.refused(403, "identity_unconfirmed");
    confirm(app, EVE).await.ok(200);
    app.person(&enter(app, peer, org, eve(json!(["staff"]))).await.ok(200))
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn whoever_is_gone_agrees_anew_before_the_issuer_signs_them_in() {
    let (app, peer) = (server().await, Peer::mock());
    let (ann, org) = loom(&app, &peer).await;
    let person = eve_of(&app, &peer, &org).await;
    let member = |who: &Person| {
        format!("/api/v1/orgs/{}/members/{}", text(&org["org_id"]), text(&who.user["user_id"]))
    };
    ann.delete(&member(&person)).await.ok(200);
    // What its issuer had vouched for ends with it.
    person.get("/api/v1/users/me/identities").await.refused(401, "unauthenticated");
    enter(&app, &peer, &org, eve(json!(["staff"]))).await.refused(403, "identity_unconfirmed");
    assert_eq!(roles(&ann, &org).await, [(ANN.to_owned(), "owner".to_owned())]);
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn whoever_runs_the_issuer_makes_no_account_theirs() {
    let (app, peer) = (server().await, Peer::mock());
    let (_, org) = loom(&app, &peer).await;
    let person = eve_of(&app, &peer, &org).await;
    for begin in ["/api/v1/users/me/passkeys/begin", "/api/v1/users/me/totp"] {
        let begun = person.post(begin, json!({"password": ""})).await;
        begun.refused(401, "invalid_credentials");
    }
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn into_an_organisation_that_is_going_or_gone_nobody_is_signed() {
    let (app, peer) = (server().await, Peer::mock());
    let (ann, org) = loom(&app, &peer).await;
    enter(&app, &peer, &org, eve(json!(["staff"]))).await.refused(403, "identity_unconfirmed");
    confirm(&app, EVE).await.ok(200);
    let whole = format!("/api/v1/orgs/{}", text(&org["org_id"]));
    let named = json!({"name": "Loom Ltd"});
    ann.with_body(Method::DELETE, &whole, &named).await.ok(200);
    enter(&app, &peer, &org, eve(json!(["staff"]))).await.refused(409, "org_state");
    app.advance(30 * DAY).await;
    app.settle().await;
    let start = format!("/api/v1/auth/oidc/org/{}/start", text(&org["org_id"]));
    assert_ne!(app.anyone.get(&start).await.status, 200);
    let ann = app.sign_in(ANN).await;
    assert_eq!(ann.get("/api/v1/orgs").await.list().len(), 1, "her own");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn what_one_organisations_issuer_says_counts_nowhere_else() {
    let (app, peer) = (server().await, Peer::mock());
    let (_, org) = loom(&app, &peer).await;
    enter(&app, &peer, &org, eve(json!(["staff"]))).await.refused(403, "identity_unconfirmed");
    confirm(&app, EVE).await.ok(200);
    enter(&app, &peer, &org, eve(json!(["staff"]))).await.ok(200);
    // Bob names the same issuer for his own organisation: Eve has not agreed to that.
    let bob = app.customer(BOB).await;
    let his = bob.post("/api/v1/orgs", json!({"name": "Bobbin"})).await.ok(201);
    bob.with_body(Method::PUT, &path(&his), &settings(&peer)).await.ok(200);
    enter(&app, &peer, &his, eve(json!(["staff"]))).await.refused(403, "identity_unconfirmed");
    assert_eq!(roles(&bob, &his).await, [(BOB.to_owned(), "owner".to_owned())]);
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn another_issuer_in_the_place_of_the_first_does_not_speak_for_it() {
    let (app, peer, evil) = (server().await, Peer::mock(), Peer::mock());
    let (ann, org) = loom(&app, &peer).await;
    enter(&app, &peer, &org, eve(json!(["staff"]))).await.refused(403, "identity_unconfirmed");
    confirm(&app, EVE).await.ok(200);
    ann.with_body(Method::PUT, &path(&org), &settings(&evil)).await.ok(200);
    evil.says(eve(json!(["staff"]))).await;
    let mut browser = Browser::new(&app);
    let url = browser.start(&format!("org/{}", text(&org["org_id"]))).await;
    let fragment = browser.follow(url).await.unwrap();
    // Between the return and the page the owner puts the first one back.
    ann.with_body(Method::PUT, &path(&org), &settings(&peer)).await.ok(200);
    complete(&app, &browser, code(&fragment)).await.refused(404, "not_found");
    enter(&app, &peer, &org, eve(json!(["staff"]))).await.ok(200);
}

#[tokio::test]
async fn what_the_issuer_is_to_be_told_is_known_before_it_is_named() {
    let app = server().await;
    let ann = app.customer(ANN).await;
    let org = ann.post("/api/v1/orgs", json!({"name": "Loom Ltd"})).await.ok(201);
    let addresses = format!("{}/addresses", path(&org));
    let base = format!("{PUBLIC_URL}/api/v1/auth/oidc/org/{}", text(&org["org_id"]));
    assert_eq!(
        ann.get(&addresses).await.ok(200),
        json!({
            "set": false,
            "start_url": format!("{base}/start"),
            "redirect_uri": format!("{base}/callback"),
        })
    );
    app.customer(BOB).await.get(&addresses).await.refused(404, "not_found");
}
