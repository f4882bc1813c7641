//! API keys: programs act for a person, until the key is revoked or ends.

use std::time::Duration;

use coditect::domain::error::Code;
use coditect::domain::ids::UserId;
use coditect::services::Actor;
use coditect::services::people::UserAct;
use serde_json::{Value, json};

use crate::orgs::Company;
use crate::support::{Client, OPERATOR, Person, TestApp, text};

async fn make(person: &Person, body: Value) -> (Client, Value) {
    let made = person.post("/api/v1/api-keys", body).await.ok(201);
    let client = person.with_bearer(&text(&made["secret"]));
    (client, made)
}

#[tokio::test]
async fn a_key_acts_as_the_person_who_made_it() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let (program, made) = make(&ann, json!({"name": "nightly report"})).await;
    let secret = text(&made["secret"]);
    assert!(secret.starts_with("cdt_") && secret.len() == 47, "{secret}");
    assert_eq!(text(&made["prefix"]), secret[..8]);
    let me = program.get("/api/v1/users/me").await.ok(200);
    assert_eq!(me["user_id"], ann.user["user_id"]);
    program.get("/api/v1/admin/overview").await.refused(403, "forbidden");
    let (operators, _) = make(&app.sign_in(OPERATOR).await, json!({"name": "ops"})).await;
    operators.get("/api/v1/admin/overview").await.ok(200);
}

#[tokio::test]
async fn the_list_tells_keys_apart_and_never_their_secrets() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let (program, made) = make(&ann, json!({"name": "ci", "expires_in_days": 30})).await;
    let listed = ann.get("/api/v1/api-keys").await.list();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["name"], &listed[0]["prefix"]), (&json!("ci"), &made["prefix"]));
    assert_eq!(listed[0]["last_used_at"], Value::Null);
    assert!(listed[0].get("secret").is_none());
    program.get("/api/v1/users/me").await.ok(200);
    let used = ann.get("/api/v1/api-keys").await.list();
    assert!(used[0]["last_used_at"].is_string(), "{used:?}");
}

/// A key covers what it was made for, of what its owner may at that time.
#[tokio::test]
async fn a_limited_key_does_what_it_was_made_for_alone() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let body = json!({"name": "report", "scopes": ["licenses.read", "licenses.read"]});
    let (program, _) = make(&ann, body).await;
    program.get("/api/v1/licenses").await.ok(200);
    for path in ["subscriptions", "payments", "invoices"] {
        let problem = program.get(&format!("/api/v1/{path}")).await.refused(403, "forbidden");
        assert!(text(&problem["detail"]).contains("API key"), "{problem}");
    }
    let org = format!("/api/v1/orgs/{}", text(&ann.user["org_id"]));
    program.get(&org).await.refused(403, "forbidden");
    program.patch("/api/v1/users/me", json!({"full_name": "Eve"})).await.refused(403, "forbidden");
    assert_eq!(ann.get("/api/v1/api-keys").await.list()[0]["scopes"], json!(["licenses.read"]));
    for (scopes, word) in [
        (json!(["licenses.reed"]), "licenses.reed"),
        (json!(["operator"]), "more than you may"),
        (json!([]), "must name something"),
    ] {
        let body = json!({"name": "x", "scopes": scopes});
        let problem = ann.post("/api/v1/api-keys", body).await.refused_field("scopes");
        assert!(problem.to_string().contains(word), "{problem}");
    }
}

#[tokio::test]
async fn an_operators_key_without_that_scope_is_no_operators() {
    let app = TestApp::start().await;
    let operator = app.sign_in(OPERATOR).await;
    let (own, _) = make(&operator, json!({"name": "own", "scopes": ["licenses.read"]})).await;
    own.get("/api/v1/admin/overview").await.refused(403, "forbidden");
    own.get("/api/v1/licenses").await.ok(200);
    let (ops, _) = make(&operator, json!({"name": "ops", "scopes": ["operator"]})).await;
    ops.get("/api/v1/admin/overview").await.ok(200);
    ops.get("/api/v1/subscriptions").await.refused(403, "forbidden");
    let ann = app.customer("ann@example.com").await;
    ops.get(&format!("/api/v1/orgs/{}", text(&ann.user["org_id"]))).await.ok(200);
}

#[tokio::test]
async fn a_key_that_was_revoked_or_has_ended_opens_nothing() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let (revoked, made) = make(&ann, json!({"name": "old"})).await;
    ann.delete(&format!("/api/v1/api-keys/{}", text(&made["api_key_id"]))).await.ok(200);
    revoked.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    let (short, _) = make(&ann, json!({"name": "short", "expires_in_days": 1})).await;
    short.get("/api/v1/users/me").await.ok(200);
    app.advance(Duration::from_hours(24)).await;
    short.get("/api/v1/users/me").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_program_changes_no_password_and_makes_no_keys() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let (program, made) = make(&ann, json!({"name": "script"})).await;
    program.post("/api/v1/api-keys", json!({"name": "more"})).await.refused(403, "forbidden");
    let its_own = format!("/api/v1/api-keys/{}", text(&made["api_key_id"]));
    program.delete(&its_own).await.refused(403, "forbidden");
    program.get("/api/v1/auth/sessions").await.refused(403, "forbidden");
    program.post("/api/v1/users/me/deactivate", json!({})).await.refused(403, "forbidden");
}

#[tokio::test]
async fn the_audit_log_tells_which_key_did_it() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let (program, made) = make(&ann, json!({"name": "script"})).await;
    let rename = json!({"full_name": "Ann Loom"});
    program.with_body(reqwest::Method::PATCH, "/api/v1/users/me", &rename).await.ok(200);
    let told = app.audit().await;
    let entry = |action: &str| told.iter().find(|entry| entry["action"] == action).unwrap();
    assert_eq!(entry("user.updated")["api_key_id"], made["api_key_id"]);
    assert_eq!(entry("user.updated")["user_id"], ann.user["user_id"]);
    assert_eq!(entry("api_key.created")["api_key_id"], Value::Null);
}

#[tokio::test]
async fn keys_are_bounded_and_ask_for_a_name() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    for bad in [json!({"name": ""}), json!({"name": "x", "expires_in_days": 0})] {
        ann.post("/api/v1/api-keys", bad).await.refused(400, "validation_failed");
    }
    for nth in 0..50 {
        ann.post("/api/v1/api-keys", json!({"name": format!("key {nth}")})).await.ok(201);
    }
    let answer = ann.post("/api/v1/api-keys", json!({"name": "one more"})).await;
    answer.refused(409, "too_many_keys");
}

/// Else a thief's key would outlive what was done against the thief.
#[tokio::test]
async fn no_key_is_made_that_waited_behind_the_end_of_its_sign_in() {
    let app = TestApp::start().await;
    let here = Actor::of_the_computer();
    for end in ["closed", "promoted", "corrected", "reset"] {
        let email = format!("{end}@example.com");
        let ann = app.customer(&email).await;
        let id: UserId = text(&ann.user["user_id"]).parse().unwrap();
        let waiting = app.waiting(&ann).await;
        match end {
            "closed" => {
                for act in [UserAct::Deactivate, UserAct::Reactivate] {
                    app.services.act_on_user(&here, id, act).await.unwrap();
                }
            }
            "promoted" => {
                app.services.act_on_user(&here, id, UserAct::Operator(true)).await.unwrap();
            }
            "corrected" => {
                app.services.correct_address(&here, id, "right@example.com").await.unwrap();
            }
            _ => {
                app.anyone
                    .post("/api/v1/auth/forgot-password", json!({"email": email}))
                    .await
                    .ok(202);
                let token = app.mail_to(&email, "Choose a new password").await.token();
                let body = json!({"token": token, "password": "nine loud magpies at dawn"});
                app.anyone.post("/api/v1/auth/reset-password", body).await.ok(200);
            }
        }
        let late = app.services.create_api_key(&waiting, "late".to_owned(), None, None).await;
        assert_eq!(late.unwrap_err().code, Code::Unauthenticated, "{end}");
        assert_eq!(app.services.api_keys(&waiting).unwrap(), [], "{end}");
    }
}

#[tokio::test]
async fn a_key_covers_nothing_that_its_owner_may_no_longer_do_once_it_is_made() {
    let company = Company::new().await;
    let services = &company.app.services;
    let bob = company.joins("bob@example.com", "admin").await;
    let waiting = company.app.waiting(&bob.in_org(&company.org_id)).await;
    let make = |scope: &str| {
        services.create_api_key(&waiting, "late".to_owned(), None, Some(vec![scope.to_owned()]))
    };
    let path = company.path(&format!("/members/{}", text(&bob.user["user_id"])));
    company.ann.patch(&path, json!({"role": "member"})).await.ok(200);
    assert_eq!(make("billing.read").await.unwrap_err().fields[0].field, "scopes");
    make("licenses.read").await.unwrap();
    company.ann.delete(&path).await.ok(200);
    assert_eq!(make("licenses.read").await.unwrap_err().code, Code::NotFound);

    let here = Actor::of_the_computer();
    let id: UserId = text(&bob.user["user_id"]).parse().unwrap();
    services.act_on_user(&here, id, UserAct::Operator(true)).await.unwrap();
    let bob = company.app.sign_in("bob@example.com").await;
    let waiting = company.app.waiting(&bob).await;
    services.act_on_user(&here, id, UserAct::Operator(false)).await.unwrap();
    let scopes = Some(vec!["operator".to_owned()]);
    let late = services.create_api_key(&waiting, "late".to_owned(), None, scopes).await;
    assert_eq!(late.unwrap_err().fields[0].field, "scopes");
}
