//! `/setup`: the first operator.

use serde_json::json;

use crate::support::{HOUR, PASSWORD, PUBLIC_URL, Setup, TestApp, text};

const FIRST: &str = "first@example.com";

async fn claim(app: &TestApp, token: &str) -> crate::support::Answer {
    let body =
        json!({"token": token, "email": FIRST, "password": PASSWORD, "full_name": "The First"});
    app.anyone.post("/api/v1/setup", body).await
}

async fn token(app: &TestApp) -> String {
    let link = app.services.setup_link().await.unwrap();
    link.strip_prefix(&format!("{PUBLIC_URL}/admin#setup="))
        .expect("a link to the admin page")
        .to_owned()
}

#[tokio::test]
async fn whoever_has_the_printed_link_becomes_the_operator_and_is_signed_in() {
    let app = Setup::usual().without_operator().start().await;
    assert_eq!(app.anyone.get("/api/v1/setup").await.ok(200), json!({"needed": true}));
    assert_eq!(app.anyone.get("/health/ready").await.ok(200)["setup_needed"], true);
    let answer = claim(&app, &token(&app).await).await.ok(201);
    assert_eq!(answer["user"]["operator"], true);
    app.person(&answer).get("/api/v1/admin/overview").await.ok(200);
    app.login(FIRST, PASSWORD).await.ok(200);
    assert_eq!(app.anyone.get("/api/v1/setup").await.ok(200), json!({"needed": false}));
}

#[tokio::test]
async fn a_set_up_link_works_once_and_no_guess_does() {
    let app = Setup::usual().without_operator().start().await;
    claim(&app, "guessed").await.refused(400, "invalid_token");
    let token = token(&app).await;
    let weak = json!({"token": token, "email": FIRST, "password": "password123", "full_name": "The First"});
    app.anyone.post("/api/v1/setup", weak).await.refused(400, "weak_password");
    claim(&app, &token).await.ok(201);
    claim(&app, &token).await.refused(409, "setup_done");
    assert!(app.services.setup_link().await.is_err(), "no more links are given");
}

#[tokio::test]
async fn two_claims_at_once_make_one_operator() {
    let app = Setup::usual().without_operator().start().await;
    let (one, two) = (token(&app).await, token(&app).await);
    let other = json!({"token": two, "email": "second@example.com", "password": PASSWORD, "full_name": "The Second"});
    let (one, two) = tokio::join!(claim(&app, &one), app.anyone.post("/api/v1/setup", other));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn a_set_up_link_works_for_a_day() {
    let app = Setup::usual().without_operator().start().await;
    let stale = token(&app).await;
    app.advance(24 * HOUR).await;
    claim(&app, &stale).await.refused(400, "invalid_token");
    claim(&app, &token(&app).await).await.ok(201);
}

#[tokio::test]
async fn an_operator_from_the_settings_signs_in_at_once_and_is_made_once() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    assert_eq!(
        (&operator.user["operator"], &operator.user["email_verified"]),
        (&json!(true), &json!(true))
    );
    let app = app.restart().await;
    assert_eq!(app.operator().await.user["user_id"], operator.user["user_id"]);
    assert_eq!(
        app.audited().await.iter().filter(|action| *action == "operator.created").count(),
        1
    );
}

#[tokio::test]
async fn there_is_no_default_password() {
    let app = Setup::usual().without_operator().start().await;
    for (email, password) in
        [("admin", "admin"), ("admin@localhost", "admin"), ("operator@example.com", "")]
    {
        app.login(email, password).await.refused(401, "invalid_credentials");
    }
    assert_eq!(text(&app.anyone.get("/health/ready").await.ok(200)["status"]), "ready");
}
