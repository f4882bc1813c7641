//! Every record belongs to one organisation: another's answers exactly as one that does not exist.
//!
//! These tests walk over every operation of `/openapi.json`, so that a new one is held to the same
//! without anybody thinking of it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::passkeys::{self, Device};
use crate::support::{Answer, Client, OPERATOR, PASSWORD, Person, TestApp, items, text};

/// Ids that nobody was given.
const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

struct Operation {
    method: Method,
    path: String,
    secured: bool,
    body: Value,
}

impl Operation {
    /// Its path with every id filled in.
    fn path_with(&self, id: impl Fn(&str, &str) -> String) -> String {
        let parts = self.path.split('/').map(|part| {
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => id(&self.path, name),
                None => part.to_owned(),
            }
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn has_ids(&self) -> bool {
        self.path.contains('{')
    }

    async fn call(&self, client: &Client, path: &str) -> Answer {
        match &self.body {
            Value::Null => client.send(client.request(self.method.clone(), path)).await,
            body => client.with_body(self.method.clone(), path, body).await,
        }
    }
}

/// Every operation of the document, with a body that it takes where an id alone would not do.
async fn operations(app: &TestApp) -> Vec<Operation> {
    let document = app.anyone.get("/openapi.json").await.ok(200);
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let body = match operation["operationId"].as_str().unwrap() {
                "scim_create_user" | "scim_replace_user" => {
                    json!({"userName": "dora@loom.example"})
                }
                "scim_create_group" | "scim_replace_group" => json!({"displayName": "Spinners"}),
                "scim_change_user" => {
                    json!({"Operations": [{"op": "replace", "path": "active", "value": false}]})
                }
                "scim_change_group" => {
                    json!({"Operations": [{"op": "remove", "path": "members"}]})
                }
                "scim_search" => json!({"count": 1}),
                "extend_license" => json!({"expiry_date": null}),
                "restore_backup" => json!({"confirm": NOBODY}),
                "change_plan" => json!({"plan_name": "Other"}),
                "admin_correct_address" => json!({"email": "elsewhere@example.com"}),
                "operator_rights" => json!({"operator": false}),
                "change_plan_of_subscription" => json!({"quantity": 2}),
                "create_team" | "rename_team" | "create_project" | "change_project" => {
                    json!({"name": "Weavers"})
                }
                "grant_license" => json!({"seats_reserved": 1}),
                "add_domain" => json!({"domain": "other.example"}),
                "change_domain" => json!({"auto_join": "off"}),
                "delete_org" => json!({"name": "Loom Ltd"}),
                "change_org" | "create_provisioning_token" => json!({"name": "Mine"}),
                "transfer_org" => json!({"user_id": NOBODY}),
                "change_role" | "set_team_member" => json!({"role": "member"}),
                "exchange_id_token" => json!({"id_token": "x"}),
                "set_sso" => json!({"issuer": "https://issuer.example", "client_id": "x"}),
                "invite" => json!({"email": "dora@example.com", "role": "admin"}),
                "remove_passkey" => json!({"password": PASSWORD}),
                "resize_license" => json!({"max_concurrent_seats": 1}),
                _ => Value::Null,
            };
            let method = method.to_uppercase().parse().unwrap();
            let secured =
                operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty());
            found.push(Operation { method, path: path.clone(), secured, body });
        }
    }
    assert!(found.len() > 40, "the document lists the operations");
    found
}

/// Everything that Ann has, by what a path calls it.
struct Anns {
    person: Person,
    license: Value,
    subscription: String,
    session: String,
    sign_in: String,
    activation: String,
    plan: String,
    api_key: String,
    invitation: String,
    passkey: String,
    team: String,
    project: String,
    provisioning_token: String,
    /// What her directory presents.
    directory: String,
    group: String,
}

impl Anns {
    async fn of(app: &TestApp) -> Self {
        let plan = app.plan("Team", 5).await;
        let person = app.customer("ann@example.com").await;
        let trial = person
            .post("/api/v1/subscriptions/trial", json!({"plan_id": plan["plan_id"]}))
            .await
            .ok(201);
        let license = trial["license"].clone();
        let body = json!({"license_key": license["license_key"], "hardware_id": "hw-1"});
        let activated = app.anyone.post("/api/v1/licenses/activate", body).await.ok(201);
        let seat = app.acquire(&license, "hw-1").await.ok(201);
        let sign_ins = person.get("/api/v1/auth/sessions").await.ok(200);
        let key = person.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
        let orgs = format!("/api/v1/orgs/{}/invitations", text(&person.user["org_id"]));
        let invite = json!({"email": "cleo@example.com", "role": "member"});
        let invitation = person.post(&orgs, invite).await.ok(201);
        let passkey = passkeys::add(&person, &mut Device::new("key"), "Key").await.ok(201);
        let org = format!("/api/v1/orgs/{}", text(&person.user["org_id"]));
        let named = json!({"name": "Weavers"});
        let domain = json!({"domain": "loom.example"});
        person.post(&format!("{org}/domains"), domain).await.ok(201);
        let team = person.post(&format!("{org}/teams"), named.clone()).await.ok(201);
        let project = person.post(&format!("{org}/projects"), named).await.ok(201);
        let made =
            person.post(&format!("{org}/provisioning-tokens"), json!({"name": "Entra"})).await;
        let made = made.ok(201);
        let directory = text(&made["secret"]);
        let groups = format!("{org}/scim/v2/Groups");
        let group = json!({"displayName": "Dyers"});
        let group = app.anyone.with_bearer(&directory).post(&groups, group).await.ok(201);
        Self {
            provisioning_token: text(&made["token"]["provisioning_token_id"]),
            directory,
            group: text(&group["id"]),
            passkey: text(&passkey["passkey"]["passkey_id"]),
            team: text(&team["team_id"]),
            project: text(&project["project_id"]),
            invitation: text(&invitation["invitation_id"]),
            api_key: text(&key["api_key_id"]),
            subscription: text(&trial["subscription_id"]),
            session: text(&seat["session_id"]),
            sign_in: text(&items(&sign_ins)[0]["session_id"]),
            activation: text(&activated["activation_id"]),
            plan: text(&plan["plan_id"]),
            person,
            license,
        }
    }

    fn id(&self, path: &str, name: &str) -> String {
        match name {
            "license_id" => text(&self.license["license_id"]),
            "subscription_id" => self.subscription.clone(),
            "session_id" if path.contains("/auth/") => self.sign_in.clone(),
            "session_id" => self.session.clone(),
            "activation_id" => self.activation.clone(),
            "plan_id" => self.plan.clone(),
            "api_key_id" => self.api_key.clone(),
            "org_id" => text(&self.person.user["org_id"]),
            "invitation_id" => self.invitation.clone(),
            "passkey_id" => self.passkey.clone(),
            "domain" => "loom.example".to_owned(),
            "team_id" if path.contains("/scim/") => self.group.clone(),
            "team_id" => self.team.clone(),
            "provisioning_token_id" => self.provisioning_token.clone(),
            "kind" => "User".to_owned(),
            "schema" => "urn:ietf:params:scim:schemas:core:2.0:User".to_owned(),
            "project_id" => self.project.clone(),
            "user_id" => text(&self.person.user["user_id"]),
            // No issuer is configured.
            "provider" => "google".to_owned(),
            "file" => "coditect.backup".to_owned(),
            "message" => "verify_email".to_owned(),
            // Only operators read these, and no job stays parked in a healthy server; no issuer signs Ann in.
            "identity_id" | "mail_id" | "job_id" | "payment_id" => NOBODY.to_owned(),
            other => panic!(
                "{path} has a new kind of id, {other}: say here which of Ann's records it is"
            ),
        }
    }
}

#[tokio::test]
async fn another_organisations_record_answers_as_one_that_does_not_exist() {
    let app = TestApp::start().await;
    let anns = Anns::of(&app).await;
    let stranger = app.customer("bob@example.com").await;
    let mut asked = 0;
    for operation in operations(&app).await.iter().filter(|operation| operation.has_ids()) {
        let hers = operation.path_with(|path, name| anns.id(path, name));
        let nobodys = operation.path_with(|_, _| NOBODY.to_owned());
        let (hers, nobodys) =
            (operation.call(&stranger, &hers).await, operation.call(&stranger, &nobodys).await);
        assert_eq!(
            (hers.status, &hers.body),
            (nobodys.status, &nobodys.body),
            "{} {}",
            operation.method,
            operation.path
        );
        let expected = match &operation.path {
            path if path.contains("/admin/") => 403,
            // No person opens these, whosever they are.
            path if path.contains("/scim/") => 401,
            _ => 404,
        };
        assert_eq!(hers.status, expected, "{} {}", operation.method, operation.path);
        asked += 1;
    }
    assert!(asked >= 14, "{asked} operations have ids");

    // Nothing of hers was touched.
    anns.person.get("/api/v1/users/me").await.ok(200);
    app.heartbeat(&json!({"session_id": anns.session})).await.ok(200);
    let license = anns
        .person
        .get(&format!("/api/v1/licenses/{}", text(&anns.license["license_id"])))
        .await
        .ok(200);
    assert_eq!(
        (&license["status"], &license["max_concurrent_seats"]),
        (&json!("active"), &json!(5))
    );
    let subscription = &items(&anns.person.get("/api/v1/subscriptions").await.ok(200))[0].clone();
    assert_eq!(
        (&subscription["status"], &subscription["cancel_at_period_end"]),
        (&json!("trialing"), &json!(false))
    );
}

#[tokio::test]
async fn a_provisioning_token_opens_its_own_organisations_calls_and_nothing_else() {
    let app = TestApp::start().await;
    let anns = Anns::of(&app).await;
    let bob = app.customer("bob@example.com").await;
    let his = format!("/api/v1/orgs/{}", text(&bob.user["org_id"]));
    let made = bob.post(&format!("{his}/provisioning-tokens"), json!({"name": "Okta"})).await;
    let his = app.anyone.with_bearer(&text(&made.ok(201)["secret"]));
    let hers = app.anyone.with_bearer(&anns.directory);
    let key = anns.person.post("/api/v1/api-keys", json!({"name": "all"})).await.ok(201);
    let key = app.anyone.with_bearer(&text(&key["secret"]));
    for operation in operations(&app).await.iter().filter(|operation| operation.secured) {
        let path = operation.path_with(|path, name| anns.id(path, name));
        if !operation.path.contains("/scim/") {
            operation.call(&hers, &path).await.refused(401, "unauthenticated");
            continue;
        }
        let nobodys = operation.path_with(|path, name| match name {
            "org_id" => NOBODY.to_owned(),
            _ => anns.id(path, name),
        });
        let (of_hers, of_nobodys) =
            (operation.call(&his, &path).await, operation.call(&his, &nobodys).await);
        assert_eq!((of_hers.status, &of_hers.text), (401, &of_nobodys.text), "{}", operation.path);
        operation.call(&key, &path).await.refused_in_scim(401, None);
    }
    // Of her group and her people nothing was touched.
    let base = format!("/api/v1/orgs/{}/scim/v2", text(&anns.person.user["org_id"]));
    let group = hers.get(&format!("{base}/Groups/{}", anns.group)).await.ok(200);
    assert_eq!(group["displayName"], "Dyers");
    assert_eq!(hers.get(&format!("{base}/Users")).await.ok(200)["totalResults"], 1);
}

#[tokio::test]
async fn a_mixed_path_of_ones_own_licence_and_anothers_record_is_unknown_too() {
    let app = TestApp::start().await;
    let anns = Anns::of(&app).await;
    app.customer("bob@example.com").await;
    let body = json!({"email": "bob@example.com", "max_concurrent_seats": 1});
    let his = app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201);
    let bob = app.sign_in("bob@example.com").await;
    let base = format!("/api/v1/licenses/{}", text(&his["license_id"]));
    bob.delete(&format!("{base}/sessions/{}", anns.session))
        .await
        .refused(404, "session_not_found");
    bob.delete(&format!("{base}/activations/{}", anns.activation)).await.refused(404, "not_found");
    app.heartbeat(&json!({"session_id": anns.session})).await.ok(200);
}

#[tokio::test]
async fn an_ill_formed_id_is_an_unknown_one() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    for operation in operations(&app).await.iter().filter(|operation| operation.has_ids()) {
        for odd in [
            "me",
            "0",
            "%00",
            "%F0%9F%A6%89",
            "..%2F..%2Fetc",
            "' OR 1=1",
            &"9".repeat(300),
            &NOBODY.to_uppercase(),
        ] {
            let answer =
                operation.call(&operator, &operation.path_with(|_, _| odd.to_owned())).await;
            let expected = if operation.path.contains("/scim/") { 401 } else { 404 };
            assert_eq!(
                answer.status, expected,
                "{} {} with {odd}: {}",
                operation.method, operation.path, answer.text
            );
        }
    }
}

#[tokio::test]
async fn without_credentials_every_secured_operation_answers_401() {
    let app = TestApp::start().await;
    let operations = operations(&app).await;
    for operation in operations.iter().filter(|operation| operation.secured) {
        let answer =
            operation.call(&app.anyone, &operation.path_with(|_, _| NOBODY.to_owned())).await;
        if operation.path.contains("/scim/") {
            answer.refused_in_scim(401, None);
            continue;
        }
        assert_eq!(
            (answer.status, answer.code()),
            (401, "unauthenticated"),
            "{} {}",
            operation.method,
            operation.path
        );
    }
    let open = operations
        .iter()
        .filter(|operation| !operation.secured)
        .map(|operation| operation.path.as_str());
    for path in open {
        let known = [
            "/api/v1/auth/",
            "/api/v1/setup",
            "/api/v1/plans",
            "/api/v1/licenses/",
            "/api/v1/keys",
            // Who signs what it sends need not sign in.
            "/api/v1/webhooks/",
            // The mailed token is the credential.
            "/api/v1/invitations/",
            "/.well-known/",
            "/health/",
            "/metrics",
        ];
        assert!(
            known.iter().any(|prefix| path.starts_with(prefix)),
            "{path} is open to everybody: is it meant to be?"
        );
    }
}

#[tokio::test]
async fn what_operators_do_is_forbidden_to_everybody_else() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let mut asked = 0;
    for operation in
        operations(&app).await.iter().filter(|operation| operation.path.contains("/admin/"))
    {
        assert!(operation.secured, "{}", operation.path);
        let mut operation_body = operation.body.clone();
        if operation.method == Method::POST && operation_body.is_null() {
            operation_body = match operation.path.rsplit('/').next().unwrap() {
                "plans" => {
                    json!({"plan_name": "Mine", "max_concurrent_seats": 1, "monthly_price_cents": 0, "currency": "EUR"})
                }
                "licenses" => json!({"email": "ann@example.com", "max_concurrent_seats": 1}),
                "users" => json!({"email": "new@example.com", "full_name": "New"}),
                "payments" => json!({"org_id": ann.user["org_id"], "plan_id": NOBODY}),
                _ => Value::Null,
            };
        }
        let operation = Operation {
            method: operation.method.clone(),
            path: operation.path.clone(),
            secured: true,
            body: operation_body,
        };
        operation
            .call(&ann, &operation.path_with(|_, _| NOBODY.to_owned()))
            .await
            .refused(403, "forbidden");
        asked += 1;
    }
    assert!(asked >= 20, "{asked} operations are for operators");
}

#[tokio::test]
async fn lists_show_ones_own_alone() {
    let app = TestApp::start().await;
    let anns = Anns::of(&app).await;
    let payment = json!({"subscription_id": anns.subscription});
    app.operator().await.post("/api/v1/admin/payments", payment).await.ok(201);
    let bob = app.customer("bob@example.com").await;
    for list in ["licenses", "subscriptions", "payments"] {
        assert!(items(&bob.get(&format!("/api/v1/{list}")).await.ok(200)).is_empty(), "{list}");
        assert_eq!(
            items(&anns.person.get(&format!("/api/v1/{list}")).await.ok(200)).len(),
            1,
            "{list}"
        );
    }
    // A cursor into her list leads nowhere in his.
    for nth in 0..2 {
        let body = json!({"email": "ann@example.com", "max_concurrent_seats": 1 + nth});
        app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201);
    }
    let page = anns.person.get("/api/v1/licenses?limit=1").await.ok(200);
    let cursor = text(&page["next_cursor"]);
    let his = bob.get(&format!("/api/v1/licenses?limit=1&cursor={cursor}")).await;
    assert!(his.status == 400 || items(&his.body).is_empty(), "{}", his.text);
}

#[tokio::test]
async fn an_operator_reads_any_licence_and_its_holders() {
    let app = TestApp::start().await;
    let anns = Anns::of(&app).await;
    let operator = app.sign_in(OPERATOR).await;
    let base = format!("/api/v1/licenses/{}", text(&anns.license["license_id"]));
    for path in [
        base.clone(),
        format!("{base}/sessions"),
        format!("{base}/activations"),
        format!("{base}/file"),
    ] {
        operator.get(&path).await.ok(200);
    }
}
