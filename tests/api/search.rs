//! Finding and filtering, for operators.

use serde_json::{Value, json};

use crate::support::{OPERATOR, Person, TestApp, text};

/// Two customers with a licence each.
async fn shop(app: &TestApp) -> (Person, Value, Value) {
    app.customer("ann@looms.example").await;
    app.customer("bob@mills.example").await;
    let operator = app.operator().await;
    let issue = async |email: &str| {
        app.advance(std::time::Duration::from_secs(1)).await;
        let body = json!({"email": email, "max_concurrent_seats": 2});
        operator.post("/api/v1/admin/licenses", body).await.ok(201)
    };
    let (anns, bobs) = (issue("ann@looms.example").await, issue("bob@mills.example").await);
    (operator, anns, bobs)
}

/// The keys of what is found, in its order, with spaces between.
async fn keys(operator: &Person, query: &str) -> String {
    let found = operator.get(&format!("/api/v1/admin/licenses?{query}")).await.list();
    found.iter().map(|license| text(&license["license_key"])).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_licence_is_found_by_its_key_its_owner_and_its_machines() {
    let app = TestApp::start().await;
    let (operator, anns, bobs) = shop(&app).await;
    let key = text(&anns["license_key"]);
    let body = json!({"license_key": key, "hardware_id": "HW-77-forge"});
    let activated = app.anyone.post("/api/v1/licenses/activate", body).await.ok(201);
    app.acquire(&anns, "floating-09").await.ok(201);
    for query in [
        key.clone(),
        key.to_lowercase(),
        key[9..].to_owned(),
        key[14..].to_owned(),
        "ann@looms.example".to_owned(),
        "looms".to_owned(),
        "ann%20looms".to_owned(),
        "hw-77".to_owned(),
        "forge".to_owned(),
        "floating-0".to_owned(),
        "floating%20ann".to_owned(),
    ] {
        assert_eq!(keys(&operator, &format!("q={query}")).await, key, "{query}");
    }
    assert_eq!(
        keys(&operator, "q=example").await.split(' ').count(),
        2,
        "both addresses have the word"
    );
    for query in ["nothing", "looms%20mills", "oms"] {
        assert!(keys(&operator, &format!("q={query}")).await.is_empty(), "{query}");
    }

    // What is gone is not found any more.
    let path = format!(
        "/api/v1/licenses/{}/activations/{}",
        text(&anns["license_id"]),
        text(&activated["activation_id"])
    );
    operator.delete(&path).await.ok(200);
    assert!(keys(&operator, "q=forge").await.is_empty());
    assert_eq!(keys(&operator, "q=bob").await, text(&bobs["license_key"]));
}

#[tokio::test]
async fn a_name_that_changes_is_found_by_its_new_words_alone() {
    let app = TestApp::start().await;
    let (operator, anns, _) = shop(&app).await;
    let ann = app.sign_in("ann@looms.example").await;
    let change = json!({"full_name": "Anna Schreiner", "company_name": "Webstuhl AG"});
    ann.patch("/api/v1/users/me", change).await.ok(200);
    let key = text(&anns["license_key"]);
    for query in ["schreiner", "webstuhl", "looms"] {
        assert_eq!(keys(&operator, &format!("q={query}")).await, key, "{query}");
    }
    let users = async |q: &str| operator.get(&format!("/api/v1/admin/users?q={q}")).await.list();
    assert_eq!(users("schreiner").await.len(), 1);
    let weavers = users("weaver").await;
    assert!(weavers.iter().all(|user| user["email"] != "ann@looms.example"), "that was her name");
    assert_eq!(operator.get("/api/v1/admin/orgs?q=webstuhl").await.list().len(), 1);
}

#[tokio::test]
async fn licences_are_listed_by_status_and_organisation_and_paged() {
    let app = TestApp::start().await;
    let (operator, anns, bobs) = shop(&app).await;
    let suspend = format!("/api/v1/admin/licenses/{}/suspend", text(&bobs["license_id"]));
    operator.post_nothing(&suspend).await.ok(200);
    let (anns_key, bobs_key) = (text(&anns["license_key"]), text(&bobs["license_key"]));
    assert_eq!(keys(&operator, "status=active").await, anns_key);
    assert_eq!(keys(&operator, "status=suspended").await, bobs_key);
    assert!(keys(&operator, "status=active&q=bob").await.is_empty());
    let org = text(&bobs["org_id"]);
    assert_eq!(keys(&operator, &format!("org_id={org}")).await, bobs_key);
    assert!(keys(&operator, &format!("org_id={org}&status=active")).await.is_empty());
    let first = operator.get("/api/v1/admin/licenses?q=example&limit=1").await.ok(200);
    assert_eq!(first["items"][0]["license_key"], bobs["license_key"], "newest first");
    let cursor = text(&first["next_cursor"]);
    let next = format!("/api/v1/admin/licenses?q=example&limit=1&cursor={cursor}");
    let next = operator.get(&next).await.ok(200);
    assert_eq!(next["items"][0]["license_key"], anns["license_key"]);
    assert_eq!(next["next_cursor"], Value::Null);
    for bad in ["status=odd", "org_id=me", "q=a%20b%20c%20d%20e%20f%20g%20h%20i"] {
        let answer = operator.get(&format!("/api/v1/admin/licenses?{bad}")).await;
        answer.refused(400, "validation_failed");
    }
}

#[tokio::test]
async fn subscriptions_payments_and_mails_are_listed_by_what_they_are() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@looms.example").await;
    let trial = json!({"plan_id": plan["plan_id"]});
    let trial = ann.post("/api/v1/subscriptions/trial", trial).await.ok(201);
    let operator = app.operator().await;
    let list = async |path: &str| operator.get(&format!("/api/v1/admin/{path}")).await.list();
    let trialing = list("subscriptions?status=trialing").await;
    assert_eq!(trialing[0]["customer"]["email"], "ann@looms.example");
    assert!(list("subscriptions?status=active").await.is_empty());
    let pay = json!({"subscription_id": trial["subscription_id"]});
    operator.post("/api/v1/admin/payments", pay).await.ok(201);
    assert!(list("subscriptions?status=trialing").await.is_empty());
    let org = text(&ann.user["org_id"]);
    assert_eq!(list(&format!("subscriptions?status=active&org_id={org}")).await.len(), 1);
    assert_eq!(list(&format!("payments?org_id={org}")).await.len(), 1);
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert!(list(&format!("payments?org_id={nobody}")).await.is_empty());
    app.settle().await;
    assert!(!list("emails?status=sent").await.is_empty());
    assert!(list("emails?status=parked").await.is_empty());
}

/// Whom it has is what an organisation is.
#[tokio::test]
async fn the_history_of_an_organisation_tells_of_its_people() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.customer("ann@example.com").await, app.customer("bob@example.com").await);
    let operator = app.operator().await;
    let id = text(&ann.user["org_id"]);
    let org = format!("/api/v1/orgs/{id}");
    let bobs = format!("{org}/members/{}", text(&bob.user["user_id"]));
    let invite = json!({"email": "bob@example.com", "role": "member"});
    ann.post(&format!("{org}/invitations"), invite).await.ok(201);
    let token = app.mail_to("bob@example.com", "Join").await.token();
    bob.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
    ann.patch(&bobs, json!({"role": "admin"})).await.ok(200);
    ann.delete(&bobs).await.ok(200);
    let told = async |subject: &str| {
        let history = operator.get(&format!("/api/v1/admin/audit?subject={subject}")).await.list();
        history.iter().map(|entry| text(&entry["action"])).collect::<Vec<_>>()
    };
    let of_people = ["member.removed", "member.role_changed", "member.joined", "member.invited"];
    assert_eq!(told(&id).await, of_people);
    // They stand in the person's history as well, and in nobody else's.
    let theirs = told(&text(&bob.user["user_id"])).await;
    assert!(of_people[..3].iter().all(|action| theirs.contains(&(*action).to_owned())));
    assert!(!told(&text(&bob.user["org_id"])).await.iter().any(|it| it.starts_with("member.")));
}

#[tokio::test]
async fn the_history_of_one_record_can_be_read_alone() {
    let app = TestApp::start().await;
    let (operator, anns, _) = shop(&app).await;
    let id = text(&anns["license_id"]);
    operator.post_nothing(&format!("/api/v1/admin/licenses/{id}/suspend")).await.ok(200);
    let history = operator.get(&format!("/api/v1/admin/audit?subject={id}")).await.list();
    let told: Vec<_> = history.iter().map(|entry| text(&entry["action"])).collect();
    assert_eq!(told, ["license.suspended", "license.issued"]);
    assert!(history.iter().all(|entry| entry["subject"] == id));
    assert_eq!(history[0]["actor_email"], OPERATOR);
}
