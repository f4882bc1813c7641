//! `/orgs` and `/invitations`: organisations, who belongs to them, and what each may do there.

use std::time::Duration;

use coditect::domain::error::Code;
use coditect::domain::ids::{OrgId, UserId};
use coditect::domain::organisation::Role;
use coditect::services::Actor;
use coditect::services::people::UserAct;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Client, DAY, MINUTE, PASSWORD, PUBLIC_URL, Person, Setup, TestApp, items, members, text,
};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";

/// Ann's own organisation, in which others are what their address says.
pub struct Company {
    pub app: TestApp,
    pub ann: Person,
    pub org_id: Value,
}

impl Company {
    pub async fn new() -> Self {
        let app = TestApp::start().await;
        let ann = app.customer(ANN).await;
        let org_id = ann.user["org_id"].clone();
        Self { app, ann, org_id }
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/orgs/{}{rest}", text(&self.org_id))
    }

    pub async fn invite(&self, email: &str, role: &str) -> Answer {
        self.ann.post(&self.path("/invitations"), json!({"email": email, "role": role})).await
    }

    pub async fn token(&self, email: &str) -> String {
        self.app.mail_to(email, "Join").await.token()
    }

    /// Somebody with an account of their own who was invited and accepted.
    pub async fn joins(&self, email: &str, role: &str) -> Person {
        let person = self.app.customer(email).await;
        self.invite(email, role).await.ok(201);
        let token = self.token(email).await;
        person.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
        person
    }

    pub async fn role_of(&self, person: &Person) -> Value {
        let all = self.ann.get(&self.path("/members")).await.ok(200);
        let theirs = items(&all).iter().find(|each| each["user_id"] == person.user["user_id"]);
        theirs.map_or(Value::Null, |member| member["role"].clone())
    }
}

fn member_path(company: &Company, person: &Person) -> String {
    company.path(&format!("/members/{}", text(&person.user["user_id"])))
}

// ---- organisations ------------------------------------------------------------------------------

#[tokio::test]
async fn whoever_registers_owns_an_organisation_and_can_make_more() {
    let company = Company::new().await;
    let mine = company.ann.get("/api/v1/orgs").await.ok(200);
    assert_eq!(items(&mine).len(), 1);
    let first = &items(&mine)[0];
    let expected = [
        "created_at",
        "deletion_due_at",
        "name",
        "org_id",
        "permissions",
        "personal",
        "require_second_factor",
        "role",
    ];
    assert_eq!(members(first), expected);
    assert_eq!((&first["name"], &first["role"]), (&json!("Loom Ltd"), &json!("owner")));
    let second = company.ann.post("/api/v1/orgs", json!({"name": " Spin Ltd "})).await.ok(201);
    assert_eq!((&second["name"], &second["personal"]), (&json!("Spin Ltd"), &json!(false)));
    let mine = company.ann.get("/api/v1/orgs").await.ok(200);
    let names: Vec<_> = items(&mine).iter().map(|each| text(&each["name"])).collect();
    assert_eq!(names, ["Loom Ltd", "Spin Ltd"]);
    assert!(company.app.audited().await.contains(&"org.created".to_owned()));
}

#[tokio::test]
async fn an_organisation_is_renamed_and_the_trail_says_from_what() {
    let company = Company::new().await;
    let renamed = company.ann.patch(&company.path(""), json!({"name": "Loom GmbH"})).await.ok(200);
    assert_eq!(renamed["name"], "Loom GmbH");
    let audit = company.app.audit().await;
    let entry = audit.iter().find(|entry| entry["action"] == "org.renamed").unwrap();
    assert_eq!(entry["details"]["name_before"], "Loom Ltd");
    company.ann.patch(&company.path(""), json!({"name": "  "})).await.refused_field("name");
}

/// Each request says for which organisation it is; what it sees is that one's alone.
#[tokio::test]
async fn the_active_organisation_is_chosen_per_request() {
    let company = Company::new().await;
    let second = company.ann.post("/api/v1/orgs", json!({"name": "Spin Ltd"})).await.ok(201);
    let plan = company.app.plan("Team", 5).await;
    let there = company.ann.in_org(&second["org_id"]);
    let trial = json!({"plan_id": plan["plan_id"]});
    let begun = there.post("/api/v1/subscriptions/trial", trial.clone()).await.ok(201);
    assert_eq!(begun["license"]["org_id"], second["org_id"]);
    for (client, expected) in [(&*company.ann, 0), (&there, 1)] {
        for list in ["licenses", "subscriptions"] {
            let found = client.get(&format!("/api/v1/{list}")).await.ok(200);
            assert_eq!(items(&found).len(), expected, "{list}");
        }
    }
    // Making organisations is no way to a trial after another.
    company.ann.post("/api/v1/subscriptions/trial", trial).await.refused(409, "trial_used");
}

#[tokio::test]
async fn an_organisation_of_others_cannot_be_chosen() {
    let company = Company::new().await;
    let bob = company.app.customer(BOB).await;
    let unknown = bob.in_org(&json!("01890a5d-ac96-774b-bcce-b302099a8057"));
    let garbage = bob.in_org(&json!("loom"));
    let request = bob.request(Method::GET, "/api/v1/licenses");
    let unreadable = reqwest::header::HeaderValue::from_bytes(b"01890a5d\xff").unwrap();
    bob.send(request.header("coditect-organisation", unreadable)).await.refused(404, "not_found");
    let expected = unknown.get("/api/v1/licenses").await;
    for client in [&bob.in_org(&company.org_id), &garbage, &unknown] {
        let answer = client.get("/api/v1/licenses").await;
        assert_eq!((answer.status, &answer.body), (expected.status, &expected.body));
        answer.refused(404, "not_found");
    }
}

#[tokio::test]
async fn an_api_key_acts_for_the_organisation_it_was_made_for() {
    let company = Company::new().await;
    let second = company.ann.post("/api/v1/orgs", json!({"name": "Spin Ltd"})).await.ok(201);
    let there = company.ann.in_org(&second["org_id"]);
    let made = there.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let key = company.app.anyone.with_bearer(&text(&made["secret"]));
    let seen = key.get("/api/v1/orgs").await.ok(200);
    assert_eq!(items(&seen).len(), 1);
    assert_eq!(items(&seen)[0]["org_id"], second["org_id"]);
    key.in_org(&second["org_id"]).get("/api/v1/licenses").await.ok(200);
    key.in_org(&company.org_id).get("/api/v1/licenses").await.refused(404, "not_found");
    key.get(&company.path("")).await.refused(404, "not_found");
}

// ---- members ------------------------------------------------------------------------------------

/// A request that waits in line while what allowed it ends.
#[tokio::test]
async fn nobody_acts_in_an_organisation_behind_the_end_of_their_rights() {
    let company = Company::new().await;
    let services = &company.app.services;
    let here = Actor::of_the_computer();
    let org_id: OrgId = text(&company.org_id).parse().unwrap();
    let bob = company.joins("bob@example.com", "member").await;
    let bob_id: UserId = text(&bob.user["user_id"]).parse().unwrap();

    let eve = company.app.customer("eve@example.com").await;
    let eve_id: UserId = text(&eve.user["user_id"]).parse().unwrap();
    services.act_on_user(&here, eve_id, UserAct::Operator(true)).await.unwrap();
    let eve = company.app.sign_in("eve@example.com").await;
    let waiting = company.app.waiting(&eve).await;
    services.act_on_user(&here, eve_id, UserAct::Operator(false)).await.unwrap();
    let changed = services.change_role(&waiting, org_id, bob_id, Role::Admin).await;
    assert_eq!(changed.err().unwrap().code, Code::NotFound);

    let waiting = company.app.waiting(&bob).await;
    services.act_on_user(&here, bob_id, UserAct::SignOut).await.unwrap();
    let left = services.remove_member(&waiting, org_id, bob_id).await;
    assert_eq!(left.unwrap_err().code, Code::Unauthenticated);
    let made = services.create_org(&waiting, "Late Ltd").await;
    assert_eq!(made.unwrap_err().code, Code::Unauthenticated);
}

#[tokio::test]
async fn the_owner_changes_roles_and_removes_members() {
    let company = Company::new().await;
    let bob = company.joins(BOB, "member").await;
    let path = member_path(&company, &bob);
    let changed = company.ann.patch(&path, json!({"role": "billing"})).await.ok(200);
    assert_eq!((&changed["role"], &changed["email"]), (&json!("billing"), &json!(BOB)));
    company.ann.delete(&path).await.ok(200);
    assert_eq!(company.role_of(&bob).await, Value::Null);
    bob.in_org(&company.org_id).get("/api/v1/subscriptions").await.refused(404, "not_found");
    company.ann.delete(&path).await.refused(404, "not_found");
    let audited = company.app.audited().await;
    for action in ["member.invited", "member.joined", "member.role_changed", "member.removed"] {
        assert!(audited.contains(&action.to_owned()), "{action}");
    }
}

#[tokio::test]
async fn nobody_becomes_owner_but_by_being_given_the_organisation() {
    let company = Company::new().await;
    let bob = company.joins(BOB, "admin").await;
    let ann = member_path(&company, &company.ann);
    let owner = json!({"role": "owner"});
    company
        .ann
        .patch(&member_path(&company, &bob), owner.clone())
        .await
        .refused(409, "member_state");
    bob.patch(&member_path(&company, &bob), owner).await.refused(409, "member_state");
    bob.patch(&ann, json!({"role": "member"})).await.refused(409, "member_state");
    bob.delete(&ann).await.refused(409, "member_state");
    let to_bob = json!({"user_id": bob.user["user_id"]});
    bob.post(&company.path("/transfer"), to_bob.clone()).await.refused(403, "forbidden");
    company.ann.post(&company.path("/transfer"), to_bob).await.ok(200);
    assert_eq!(company.role_of(&bob).await, "owner");
    assert_eq!(company.role_of(&company.ann).await, "admin");
    // She has another one to act for, and may leave this one.
    let mine = company.ann.get("/api/v1/orgs").await.ok(200);
    assert_eq!((items(&mine).len(), &items(&mine)[0]["personal"]), (2, &json!(true)));
    assert_ne!(items(&mine)[0]["org_id"], company.org_id);
    company.ann.delete(&ann).await.ok(200);
    company.ann.get("/api/v1/licenses").await.ok(200);
    bob.delete(&member_path(&company, &bob)).await.refused(409, "member_state");
}

/// Both are told, whoever did it; and nobody where nothing was given.
#[tokio::test]
async fn whoever_gets_an_organisation_and_whoever_had_it_are_told() {
    let company = Company::new().await;
    let bob = company.joins(BOB, "member").await;
    bob.patch("/api/v1/users/me", json!({"full_name": "Bob Reed"})).await.ok(200);
    let to = |person: &Person| json!({"user_id": person.user["user_id"]});
    company.ann.post(&company.path("/transfer"), to(&company.ann)).await.ok(200);
    let told = async |email: &str| {
        let subjects = company.app.subjects_to(email).await;
        subjects.iter().filter(|it| it.contains("Loom Ltd") && !it.contains("Join")).count()
    };
    assert_eq!((told(ANN).await, told(BOB).await), (0, 0));
    company.app.operator().await.post(&company.path("/transfer"), to(&bob)).await.ok(200);
    let received = company.app.mail_to(BOB, "Loom Ltd is yours now").await;
    assert!(received.text.contains("Ann Weaver, who is one of its admins"), "{}", received.text);
    let given = company.app.mail_to(ANN, "Loom Ltd has another owner").await;
    assert!(given.text.contains("owned by Bob Reed"), "{}", given.text);
    assert_eq!((told(ANN).await, told(BOB).await), (1, 1));
}

/// Whoever leaves knows that; whoever others take out is told.
#[tokio::test]
async fn a_person_whom_others_remove_is_told() {
    let company = Company::new().await;
    let (bob, cleo) =
        (company.joins(BOB, "member").await, company.joins("cleo@example.com", "member").await);
    company.ann.delete(&member_path(&company, &bob)).await.ok(200);
    cleo.delete(&member_path(&company, &cleo)).await.ok(200);
    let mail = company.app.mail_to(BOB, "You do not belong to Loom Ltd any more").await;
    assert!(mail.text.contains("taken you out"), "{}", mail.text);
    let subjects = company.app.subjects_to("cleo@example.com").await;
    assert!(!subjects.iter().any(|it| it.contains("any more")), "{subjects:?}");
}

/// Those mails are bounded, and refusals do not use them up.
#[tokio::test]
async fn nobody_talks_away_the_mail_that_somebody_will_get() {
    let company = Company::new().await;
    let (bob, eve) =
        (company.joins(BOB, "member").await, company.app.customer("eve@example.com").await);
    for _ in 0..10 {
        eve.delete(&member_path(&company, &bob)).await.refused(404, "not_found");
    }
    company.ann.delete(&member_path(&company, &bob)).await.ok(200);
    company.app.mail_to(BOB, "You do not belong to Loom Ltd any more").await;
}

/// Both owners are mailed each time.
#[tokio::test]
async fn an_organisation_is_not_given_back_and_forth_without_end() {
    let app = Setup::usual().set("AUTH_LINKS_PER_HOUR", "3").start().await;
    let ann = app.customer(ANN).await;
    let company = Company { org_id: ann.user["org_id"].clone(), app, ann };
    let bob = company.joins(BOB, "member").await;
    let to = |person: &Person| json!({"user_id": person.user["user_id"]});
    company.ann.post(&company.path("/transfer"), to(&bob)).await.ok(200);
    bob.post(&company.path("/transfer"), to(&company.ann)).await.ok(200);
    company.ann.post(&company.path("/transfer"), to(&bob)).await.ok(200);
    let again = bob.post(&company.path("/transfer"), to(&company.ann)).await;
    let detail = text(&again.refused(429, "rate_limited")["detail"]);
    assert!(detail.starts_with("This organisation was given away too often; wait"), "{detail}");
    bob.get(&company.path("")).await.ok(200);
}

#[tokio::test]
async fn an_owner_closes_no_account_while_others_belong_to_the_organisation() {
    let company = Company::new().await;
    let bob = company.joins(BOB, "admin").await;
    let close = "/api/v1/users/me/deactivate";
    company.ann.post_nothing(close).await.refused(409, "member_state");
    let to_bob = json!({"user_id": bob.user["user_id"]});
    company.ann.post(&company.path("/transfer"), to_bob).await.ok(200);
    company.ann.post_nothing(close).await.ok(200);
}

#[tokio::test]
async fn a_member_leaves_and_their_keys_for_the_organisation_go_with_them() {
    let company = Company::new().await;
    let bob = company.joins(BOB, "admin").await;
    let there = bob.in_org(&company.org_id);
    let made = there.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let own = bob.post("/api/v1/api-keys", json!({"name": "own"})).await.ok(201);
    let key = |made: &Value| company.app.anyone.with_bearer(&text(&made["secret"]));
    key(&made).get("/api/v1/licenses").await.ok(200);
    bob.delete(&member_path(&company, &bob)).await.ok(200);
    key(&made).get("/api/v1/licenses").await.refused(401, "unauthenticated");
    key(&own).get("/api/v1/licenses").await.ok(200);
}

/// What somebody bought stays with the organisation; so does the mail about it.
#[tokio::test]
async fn mail_about_what_a_member_bought_goes_to_the_owner_once_they_left() {
    let company = Company::new().await;
    let plan = company.app.plan("Team", 5).await;
    let bob = company.joins(BOB, "billing").await;
    let trial = json!({"plan_id": plan["plan_id"]});
    bob.in_org(&company.org_id).post("/api/v1/subscriptions/trial", trial).await.ok(201);
    company.ann.delete(&member_path(&company, &bob)).await.ok(200);
    let before = company.app.subjects_to(BOB).await.len();
    company.app.advance(DAY * 15).await;
    assert_eq!(company.app.subjects_to(BOB).await.len(), before);
    company.app.mail_to(ANN, "trial").await;
}

// ---- what a role allows -------------------------------------------------------------------------

/// Calls that stand for each permission.
const CALLS: [(&str, Method, &str); 16] = [
    ("org.read", Method::GET, "/api/v1/orgs/ORG"),
    ("org.read", Method::GET, "/api/v1/orgs/ORG/members"),
    ("org.manage", Method::GET, "/api/v1/orgs/ORG/invitations"),
    ("org.manage", Method::PATCH, "/api/v1/orgs/ORG"),
    ("org.read", Method::GET, "/api/v1/orgs/ORG/teams"),
    ("org.read", Method::GET, "/api/v1/orgs/ORG/projects"),
    ("teams.manage", Method::POST, "/api/v1/orgs/ORG/teams"),
    ("teams.manage", Method::POST, "/api/v1/orgs/ORG/projects"),
    ("licenses.read", Method::GET, "/api/v1/licenses"),
    ("licenses.read", Method::GET, "/api/v1/licenses/LICENSE/file"),
    ("licenses.manage", Method::DELETE, "/api/v1/licenses/LICENSE/sessions/SESSION"),
    ("billing.read", Method::GET, "/api/v1/subscriptions"),
    ("billing.read", Method::GET, "/api/v1/payments"),
    ("billing.read", Method::GET, "/api/v1/invoices"),
    ("billing.manage", Method::POST, "/api/v1/subscriptions/SUBSCRIPTION/cancel"),
    ("org.own", Method::POST, "/api/v1/orgs/ORG/transfer"),
];

#[tokio::test]
async fn every_role_may_what_its_permissions_say_and_nothing_else() {
    let company = Company::new().await;
    let plan = company.app.plan("Team", 5).await;
    let trial = json!({"plan_id": plan["plan_id"]});
    let trial = company.ann.post("/api/v1/subscriptions/trial", trial).await.ok(201);
    let license = &trial["license"];
    for role in ["member", "billing", "admin", "owner"] {
        let person = match role {
            "owner" => company.app.sign_in(ANN).await,
            _ => company.joins(&format!("{role}@example.com"), role).await,
        };
        let there = person.in_org(&company.org_id);
        let mine = there.get(&company.path("")).await.ok(200);
        assert_eq!(mine["role"], role);
        let allowed: Vec<_> =
            mine["permissions"].as_array().unwrap().iter().map(|each| text(each)).collect();
        for (permission, method, path) in CALLS {
            let seat = company.app.acquire(license, "hw-1").await.body;
            let path = path
                .replace("ORG", &text(&company.org_id))
                .replace("LICENSE", &text(&license["license_id"]))
                .replace("SESSION", &text(&seat["session_id"]))
                .replace("SUBSCRIPTION", &text(&trial["subscription_id"]));
            let answer = match method {
                Method::PATCH => there.patch(&path, json!({"name": "Loom"})).await,
                Method::POST if path.ends_with("transfer") => {
                    there.post(&path, json!({"user_id": company.ann.user["user_id"]})).await
                }
                Method::POST if path.contains("/teams") || path.contains("/projects") => {
                    there.post(&path, json!({"name": role})).await
                }
                _ => there.send(there.request(method, &path)).await,
            };
            if allowed.iter().any(|each| each == permission) {
                assert!(answer.status < 300, "{role} {permission} {path}: {}", answer.text);
            } else {
                answer.refused(403, "forbidden");
            }
        }
    }
}

#[tokio::test]
async fn a_member_sees_their_own_machines_and_seats_alone() {
    let company = Company::new().await;
    let plan = company.app.plan("Team", 5).await;
    let trial = json!({"plan_id": plan["plan_id"]});
    let trial = company.ann.post("/api/v1/subscriptions/trial", trial).await.ok(201);
    let license = &trial["license"];
    let bob = company.joins(BOB, "member").await;
    let stranger = company.app.customer("cleo@example.com").await;
    let activate = async |client: &Client, machine: &str| {
        let body = json!({"license_key": license["license_key"], "hardware_id": machine});
        client.post("/api/v1/licenses/activate", body).await
    };
    activate(&bob, "bobs").await.ok(201);
    activate(&company.app.anyone, "anybodys").await.ok(201);
    activate(&stranger, "strangers").await.ok(201);
    activate(&company.app.anyone.with_bearer("stale"), "x").await.refused(401, "unauthenticated");
    for machine in ["bobs", "anybodys", "strangers"] {
        company.app.acquire(license, machine).await.ok(201);
    }
    let base = format!("/api/v1/licenses/{}", text(&license["license_id"]));
    let seen = async |client: &Client, list: &str| {
        let page = client.get(&format!("{base}/{list}")).await.ok(200);
        items(&page).iter().map(|each| text(&each["hardware_id"])).collect::<Vec<_>>()
    };
    let there = bob.in_org(&company.org_id);
    for list in ["sessions", "activations"] {
        assert_eq!(seen(&there, list).await, ["bobs"], "{list}");
        assert_eq!(seen(&company.ann, list).await.len(), 3, "{list}");
    }
    // Activated again by a program, it is still his.
    activate(&company.app.anyone, "bobs").await.ok(200);
    assert_eq!(seen(&there, "activations").await, ["bobs"]);
}

// ---- invitations --------------------------------------------------------------------------------

#[tokio::test]
async fn somebody_without_an_account_accepts_with_a_name_and_a_password() {
    let company = Company::new().await;
    let invited = company.invite(BOB, "billing").await.ok(201);
    assert_eq!(
        members(&invited),
        [
            "created_at",
            "email",
            "expires_at",
            "invitation_id",
            "invited_by",
            "org_id",
            "role",
            "sent_at"
        ]
    );
    let mail = company.app.mail_to(BOB, "Join Loom Ltd").await;
    assert!(mail.text.contains(&format!("{PUBLIC_URL}/accept-invitation?token=")), "{}", mail.text);
    assert!(mail.text.contains("Ann Weaver") && mail.text.contains("billing"), "{}", mail.text);
    let token = json!({"token": mail.token()});
    let shown = company.app.anyone.post("/api/v1/invitations/look", token.clone()).await.ok(200);
    assert_eq!((&shown["email"], &shown["has_account"]), (&json!(BOB), &json!(false)));
    let accept = "/api/v1/invitations/accept";
    company.app.anyone.post(accept, token).await.refused(401, "unauthenticated");
    let mut answer =
        json!({"token": mail.token(), "full_name": "Bob Spinner", "password": "short"});
    company.app.anyone.post(accept, answer.clone()).await.refused(400, "weak_password");
    answer["password"] = json!(PASSWORD);
    let joined = company.app.anyone.post(accept, answer.clone()).await.ok(200);
    assert_eq!((&joined["role"], &joined["name"]), (&json!("billing"), &json!("Loom Ltd")));
    // The link showed that the address is read.
    let bob = company.app.sign_in(BOB).await;
    assert_eq!(items(&bob.get("/api/v1/orgs").await.ok(200)).len(), 2);
    company.app.anyone.post(accept, answer).await.refused(400, "invalid_token");
}

#[tokio::test]
async fn somebody_with_an_account_accepts_by_signing_in_with_that_address() {
    let company = Company::new().await;
    let bob = company.app.customer(BOB).await;
    let cleo = company.app.customer("cleo@example.com").await;
    company.invite("Bob@Example.com", "member").await.ok(201);
    let token = company.token(BOB).await;
    let accept = "/api/v1/invitations/accept";
    let body = json!({"token": token});
    let with_password = json!({"token": token, "full_name": "Bob", "password": PASSWORD});
    company.app.anyone.post(accept, with_password).await.refused(401, "unauthenticated");
    cleo.post(accept, body.clone()).await.refused(403, "forbidden");
    bob.post(accept, body).await.ok(200);
    assert_eq!(company.role_of(&bob).await, "member");
}

#[tokio::test]
async fn an_invitation_ends_after_a_week_when_it_is_revoked_and_when_it_is_sent_again() {
    let company = Company::new().await;
    let look = async |token: &str| {
        company.app.anyone.post("/api/v1/invitations/look", json!({"token": token})).await
    };
    let invited = company.invite(BOB, "member").await.ok(201);
    let path = company.path(&format!("/invitations/{}", text(&invited["invitation_id"])));
    let first = company.token(BOB).await;
    company.ann.post_nothing(&format!("{path}/resend")).await.refused(429, "rate_limited");
    company.app.advance(MINUTE + Duration::from_secs(1)).await;
    company.ann.post_nothing(&format!("{path}/resend")).await.ok(200);
    let second = company.token(BOB).await;
    look(&first).await.refused(400, "invalid_token");
    look(&second).await.ok(200);
    company.ann.delete(&path).await.ok(200);
    look(&second).await.refused(400, "invalid_token");
    company.ann.delete(&path).await.refused(404, "not_found");

    company.invite(BOB, "member").await.ok(201);
    let third = company.token(BOB).await;
    company.app.advance(DAY * 7).await;
    look(&third).await.refused(400, "invalid_token");
    let ann = company.app.sign_in(ANN).await;
    let open = ann.get(&company.path("/invitations")).await.ok(200);
    assert!(items(&open).is_empty());
    let body = json!({"email": BOB, "role": "member"});
    ann.post(&company.path("/invitations"), body).await.ok(201);
}

/// Whoever is removed cannot come back through a door of their own.
#[tokio::test]
async fn what_somebody_sent_who_may_invite_no_longer_is_not_good() {
    let company = Company::new().await;
    let bob = company.joins(BOB, "admin").await;
    let invite = json!({"email": "bobs-other@example.com", "role": "admin"});
    bob.post(&company.path("/invitations"), invite).await.ok(201);
    let token = company.token("bobs-other@example.com").await;
    let look =
        async || company.app.anyone.post("/api/v1/invitations/look", json!({"token": token})).await;
    look().await.ok(200);
    company.ann.patch(&member_path(&company, &bob), json!({"role": "billing"})).await.ok(200);
    look().await.refused(400, "invalid_token");
    company.ann.patch(&member_path(&company, &bob), json!({"role": "admin"})).await.ok(200);
    look().await.ok(200);
    company.ann.delete(&member_path(&company, &bob)).await.ok(200);
    look().await.refused(400, "invalid_token");
}

#[tokio::test]
async fn where_registration_is_closed_customers_let_nobody_in() {
    let app = Setup::usual().set("AUTH_OPEN_REGISTRATION", "false").start().await;
    let operator = app.operator().await;
    let path = format!("/api/v1/orgs/{}/invitations", text(&operator.user["org_id"]));
    let accept = async |person: &Person, path: &str, email: &str| {
        person.post(path, json!({"email": email, "role": "admin"})).await.ok(201);
        let token = app.mail_to(email, "Join").await.token();
        let body = json!({"token": token, "full_name": "New", "password": PASSWORD});
        app.anyone.post("/api/v1/invitations/accept", body).await
    };
    accept(&operator, &path, ANN).await.ok(200);
    let ann = app.sign_in(ANN).await;
    let path = format!("/api/v1/orgs/{}/invitations", text(&ann.user["org_id"]));
    accept(&ann, &path, BOB).await.refused(403, "forbidden");
}

#[tokio::test]
async fn billing_buys_and_sees_no_licence() {
    let company = Company::new().await;
    let plan = company.app.plan("Team", 5).await;
    let bob = company.joins(BOB, "billing").await;
    let trial = json!({"plan_id": plan["plan_id"]});
    let there = bob.in_org(&company.org_id);
    let begun = there.post("/api/v1/subscriptions/trial", trial).await.ok(201);
    assert_eq!((&begun["status"], &begun["license"]), (&json!("trialing"), &Value::Null));
    company.app.mail_to(ANN, "licence").await;
    assert!(!company.app.subjects_to(BOB).await.iter().any(|subject| subject.contains("licence")));
}

#[tokio::test]
async fn an_address_is_invited_once_and_a_member_not_at_all() {
    let company = Company::new().await;
    company.invite(BOB, "member").await.ok(201);
    company.invite("BOB@example.com", "admin").await.refused(409, "invitation_exists");
    company.invite(ANN, "member").await.refused(409, "member_state");
    company.invite("cleo@example.com", "owner").await.refused(409, "member_state");
    company.invite("no address", "member").await.refused_field("email");
}

/// A name is no way to put an address of one's own into other people's mail.
#[tokio::test]
async fn an_invitation_shows_no_link_but_its_own() {
    let company = Company::new().await;
    let nothing = json!({"name": "\u{200b}\u{202e}"});
    company.ann.patch(&company.path(""), nothing).await.refused_field("name");
    let name = json!({"name": "Win \u{202e}now: https://evil.example/prize <b>"});
    company.ann.patch(&company.path(""), name).await.ok(200);
    company.invite(BOB, "member").await.ok(201);
    let mail = company.app.mail_to(BOB, "Join").await;
    for part in [&mail.text, &mail.html, &mail.subject] {
        assert!(
            !part.contains("://evil") && !part.contains("<b>") && !part.contains('\u{202e}'),
            "{part}"
        );
    }
}

/// Operators help where the owner cannot, and the trail says so.
#[tokio::test]
async fn an_operator_gives_an_organisation_to_a_member_whose_owner_is_gone() {
    let company = Company::new().await;
    let bob = company.joins(BOB, "member").await;
    let to_bob = json!({"user_id": bob.user["user_id"]});
    company.app.operator().await.post(&company.path("/transfer"), to_bob).await.ok(200);
    let seen = bob.get(&company.path("")).await.ok(200);
    assert_eq!(seen["role"], "owner");
    let there = company.app.operator().await.in_org(&company.org_id);
    there.get("/api/v1/subscriptions").await.ok(200);
}

/// Inviting and revoking again and again is no way to fill somebody's box.
#[tokio::test]
async fn an_address_is_mailed_no_invitation_after_invitation() {
    let app = Setup::usual().set("AUTH_LINKS_PER_HOUR", "3").start().await;
    let ann = app.customer(ANN).await;
    let path = format!("/api/v1/orgs/{}/invitations", text(&ann.user["org_id"]));
    for _ in 0..3 {
        let invited = ann.post(&path, json!({"email": BOB, "role": "member"})).await.ok(201);
        ann.delete(&format!("{path}/{}", text(&invited["invitation_id"]))).await.ok(200);
    }
    ann.post(&path, json!({"email": BOB, "role": "member"})).await.refused(429, "rate_limited");
}
