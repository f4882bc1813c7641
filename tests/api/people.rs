//! `/admin/users`: what operators do to accounts.

use serde_json::json;

use crate::support::{OPERATOR, TestApp, text};

#[tokio::test]
async fn a_closed_account_cannot_sign_in_until_it_is_opened_again() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let operator = app.operator().await;
    let path = format!("/api/v1/admin/users/{}", text(&ann.user["user_id"]));
    let closed = operator.post_nothing(&format!("{path}/deactivate")).await.ok(200);
    assert!(closed["deactivated_at"].is_string());
    ann.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    app.login("ann@example.com", crate::support::PASSWORD)
        .await
        .refused(401, "invalid_credentials");
    operator.post_nothing(&format!("{path}/reactivate")).await.ok(200);
    app.sign_in("ann@example.com").await;
    assert_eq!(operator.get(&path).await.ok(200)["email"], "ann@example.com");
    let told = app.audited().await;
    for action in ["user.deactivated", "user.reactivated"] {
        assert!(told.contains(&action.to_owned()), "{told:?}");
    }
}

#[tokio::test]
async fn operators_make_operators_and_the_last_one_stays() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let operator = app.sign_in(OPERATOR).await;
    let of = |id: &str| format!("/api/v1/admin/users/{id}/operator");
    let me = of(&text(&operator.user["user_id"]));
    let put = |path: &str, yes: bool| {
        let body = json!({ "operator": yes });
        let (operator, path) = (&operator, path.to_owned());
        async move { operator.with_body(reqwest::Method::PUT, &path, &body).await }
    };
    put(&me, false).await.refused(409, "last_operator");
    let deactivate = me.replace("/operator", "/deactivate");
    operator.post_nothing(&deactivate).await.refused(409, "last_operator");
    ann.get("/api/v1/admin/overview").await.refused(403, "forbidden");
    put(&of(&text(&ann.user["user_id"])), true).await.ok(200);
    ann.get("/api/v1/admin/overview").await.ok(200);
    put(&me, false).await.ok(200);
    operator.get("/api/v1/admin/overview").await.refused(403, "forbidden");
}
