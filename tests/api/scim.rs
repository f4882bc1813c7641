//! `/orgs/{org_id}/scim/v2`: an organisation's directory, whose joiners and leavers come and go by
//! themselves.

use coditect::domain::identity::{GroupRole, Sso};
use coditect::domain::organisation::Role;
use coditect::domain::time::Timestamp;
use coditect::store::identities;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Client, DAY, OPERATOR, Person, SECOND, Setup, TestApp, items, members, text,
};

const ANN: &str = "ann@example.com";
const EVE: &str = "eve@loom.example";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Ann's organisation, to which loom.example belongs, and its directory.
struct Loom {
    app: TestApp,
    ann: Person,
    org_id: Value,
    directory: Client,
}

impl Loom {
    async fn new() -> Self {
        Self::of(TestApp::start().await).await
    }

    async fn of(app: TestApp) -> Self {
        let ann = app.customer(ANN).await;
        let org = ann.post("/api/v1/orgs", json!({"name": "Loom Ltd"})).await.ok(201);
        let org_id = org["org_id"].clone();
        prove(&app, &ann, &org_id, "loom.example").await;
        let path = format!("/api/v1/orgs/{}/provisioning-tokens", text(&org_id));
        let made = ann.post(&path, json!({"name": "Entra ID"})).await.ok(201);
        assert_eq!(
            made["base_url"],
            format!("{}/api/v1/orgs/{}/scim/v2", crate::support::PUBLIC_URL, text(&org_id))
        );
        let directory = app.anyone.with_bearer(&text(&made["secret"]));
        Self { app, ann, org_id, directory }
    }

    fn org(&self, rest: &str) -> String {
        format!("/api/v1/orgs/{}{rest}", text(&self.org_id))
    }

    fn path(&self, rest: &str) -> String {
        self.org(&format!("/scim/v2{rest}"))
    }

    fn user(&self, id: &Value) -> String {
        self.path(&format!("/Users/{}", text(id)))
    }

    fn group(&self, id: &Value) -> String {
        self.path(&format!("/Groups/{}", text(id)))
    }

    async fn create(&self, body: Value) -> Answer {
        self.directory.post(&self.path("/Users"), body).await
    }

    /// Somebody who joins.
    async fn joins(&self, email: &str) -> Value {
        self.create(json!({"schemas": [USER], "userName": email, "active": true})).await.ok(201)
    }

    async fn change(&self, path: &str, operations: Value) -> Answer {
        let body = json!({"schemas": [PATCH], "Operations": operations});
        self.directory.patch(path, body).await
    }

    async fn active(&self, id: &Value, active: bool) -> Answer {
        let operation = json!([{"op": "replace", "path": "active", "value": active}]);
        self.change(&self.user(id), operation).await
    }

    async fn makes_group(&self, name: &str, people: &[&Value]) -> Value {
        let named: Vec<_> = people.iter().map(|person| json!({"value": person["id"]})).collect();
        let body =
            json!({"displayName": name, "externalId": format!("of {name}"), "members": named});
        self.directory.post(&self.path("/Groups"), body).await.ok(201)
    }

    async fn look(&self, what: &str, filter: &str) -> Vec<Value> {
        let path = self.path(&format!("/{what}"));
        let request = self.directory.request(Method::GET, &path).query(&[("filter", filter)]);
        let found = self.directory.send(request).await.ok(200);
        found["Resources"].as_array().unwrap().clone()
    }

    /// Who belongs to the organisation, as what.
    async fn roles(&self) -> Vec<(String, String)> {
        let all = self.ann.get(&self.org("/members")).await.list();
        let mut roles: Vec<_> =
            all.iter().map(|it| (text(&it["email"]), text(&it["role"]))).collect();
        roles.sort();
        roles
    }

    async fn role_of(&self, email: &str) -> Option<String> {
        self.roles().await.into_iter().find(|(whose, _)| whose == email).map(|(_, role)| role)
    }

    /// Gives roles to groups, as the organisation's single sign-on does.
    async fn maps(&self, rules: &[(&str, Role)]) {
        let rule =
            |(group, role): &(&str, Role)| GroupRole { group: (*group).to_owned(), role: *role };
        let sso = Sso {
            org_id: text(&self.org_id).parse().unwrap(),
            issuer: "https://login.loom.example".to_owned(),
            client_id: "coditect".to_owned(),
            sealed_secret: None,
            scopes: "openid".to_owned(),
            groups_claim: "groups".to_owned(),
            groups: rules.iter().map(rule).collect(),
            default_role: None,
            changed_at: Timestamp(0),
        };
        self.app.services.store.write(move |tx| identities::put_sso(tx, &sso)).await.unwrap();
    }
}

/// A domain is the organisation's, on the word of an operator.
async fn prove(app: &TestApp, owner: &Person, org_id: &Value, domain: &str) {
    let domains = format!("/api/v1/orgs/{}/domains", text(org_id));
    owner.post(&domains, json!({"domain": domain})).await.ok(201);
    let verify = format!("/api/v1/admin/orgs/{}/domains/{domain}/verify", text(org_id));
    app.operator().await.post_nothing(&verify).await.ok(200);
}

// ---- tokens -------------------------------------------------------------------------------------

#[tokio::test]
async fn an_owner_makes_two_tokens_so_that_one_takes_over_from_the_other() {
    let loom = Loom::new().await;
    let path = loom.org("/provisioning-tokens");
    let next = json!({"name": "Entra ID, next", "expires_in_days": 30});
    let next = loom.ann.post(&path, next).await.ok(201);
    assert_eq!(members(&next), ["base_url", "secret", "token"]);
    assert!(text(&next["secret"]).starts_with(&text(&next["token"]["prefix"])));
    loom.ann.post(&path, json!({"name": "third"})).await.refused(409, "too_many_keys");
    loom.app.settle().await;
    let told = loom.app.subjects_to(ANN).await;
    let told = told.iter().filter(|it| it.starts_with("A directory can provision Loom Ltd"));
    assert_eq!(told.count(), 2, "the owner learns of each");
    let taking_over = loom.app.anyone.with_bearer(&text(&next["secret"]));
    taking_over.get(&loom.path("/Users")).await.ok(200);

    let listed = loom.ann.get(&path).await.ok(200);
    let named = |list: &Value, name: &str| {
        items(list).iter().find(|token| token["name"] == name).unwrap().clone()
    };
    let first = named(&listed, "Entra ID");
    assert!(!listed.to_string().contains("secret"), "{listed}");
    assert_eq!(first["created_by"], loom.ann.user["user_id"]);
    loom.directory.get(&loom.path("/Users")).await.ok(200);
    let used = loom.ann.get(&path).await.ok(200);
    assert_ne!(named(&used, "Entra ID, next")["last_used_at"], Value::Null);

    let first = format!("{path}/{}", text(&first["provisioning_token_id"]));
    loom.ann.delete(&first).await.ok(200);
    loom.ann.delete(&first).await.refused(404, "not_found");
    loom.directory.get(&loom.path("/Users")).await.refused_in_scim(401, None);
    taking_over.get(&loom.path("/Users")).await.ok(200);
    loom.app.advance(31 * DAY).await;
    taking_over.get(&loom.path("/Users")).await.refused_in_scim(401, None);
    let audited = loom.app.audited().await;
    for action in ["provisioning_token.created", "provisioning_token.revoked"] {
        assert!(audited.contains(&action.to_owned()), "{action}");
    }
}

#[tokio::test]
async fn only_whoever_may_set_single_sign_on_makes_tokens_and_no_program_does() {
    let loom = Loom::new().await;
    let path = loom.org("/provisioning-tokens");
    let bob = loom.app.customer("bob@example.com").await;
    let invite = json!({"email": "bob@example.com", "role": "admin"});
    loom.ann.post(&loom.org("/invitations"), invite).await.ok(201);
    let token = loom.app.mail_to("bob@example.com", "Join").await.token();
    bob.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
    bob.get(&path).await.ok(200);
    bob.post(&path, json!({"name": "mine"})).await.refused(403, "forbidden");
    let key = loom.ann.in_org(&loom.org_id);
    let key = key.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let program = loom.app.anyone.with_bearer(&text(&key["secret"]));
    program.post(&path, json!({"name": "mine"})).await.refused(403, "forbidden");
    loom.ann.post(&path, json!({"name": ""})).await.refused_field("name");
    let days = json!({"name": "x", "expires_in_days": 0});
    loom.ann.post(&path, days).await.refused_field("expires_in_days");
}

#[tokio::test]
async fn a_directory_that_calls_too_often_is_told_when_to_call_again() {
    let loom = Loom::new().await;
    let mut refused = None;
    for _ in 0..4_000 {
        let answer = loom.directory.get(&loom.path("/ServiceProviderConfig")).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("there is a limit");
    assert!(refused.retry_after() <= 60);
    refused.refused_in_scim(429, None);
}

// ---- joiners ------------------------------------------------------------------------------------

#[tokio::test]
async fn somebody_new_gets_an_account_and_chooses_a_password_by_mail() {
    let loom = Loom::new().await;
    let body = json!({
        "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": "00u1", "userName": "Eve@Loom.example", "active": true,
        "name": {"formatted": "Eve Baker", "givenName": "Eve", "familyName": "Baker"},
        "displayName": "Eve", "title": "Weaver", "password": "ignored", "locale": "en-GB",
        "emails": [{"type": "work", "value": EVE, "primary": true}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Looms"},
    });
    let request = loom.directory.request(Method::POST, &loom.path("/Users"));
    let request = request.header("content-type", "application/scim+json; charset=utf-8");
    let answer = loom.directory.send(request.body(body.to_string())).await;
    assert_eq!(answer.header("content-type"), "application/scim+json");
    let location = answer.header("location").to_owned();
    let eve = answer.ok(201);
    let id = text(&eve["id"]);
    assert_eq!(location, format!("{}{}", crate::support::PUBLIC_URL, loom.user(&eve["id"])));
    assert_eq!(
        eve,
        json!({
            "schemas": [USER], "id": id, "externalId": "00u1", "userName": EVE, "active": true,
            "name": {"formatted": "Eve Baker", "givenName": "Eve", "familyName": "Baker"},
            "displayName": "Eve",
            "emails": [{"value": EVE, "type": "work", "primary": true}],
            "meta": {
                "resourceType": "User", "location": location,
                "created": crate::support::START, "lastModified": crate::support::START,
            },
        })
    );
    assert_eq!(loom.directory.get(&loom.user(&eve["id"])).await.ok(200), eve);
    assert_eq!(loom.role_of(EVE).await.unwrap(), "member");

    // Nobody has shown yet that the address is theirs: the mailed link does.
    let mail = loom.app.mail_to(EVE, "Your account").await;
    for part in [&mail.text, &mail.html] {
        assert!(part.contains("organisation Loom Ltd"), "{part}");
    }
    let token = mail.token();
    let chosen = json!({"token": token, "password": crate::support::PASSWORD});
    loom.app.anyone.post("/api/v1/auth/reset-password", chosen).await.ok(200);
    let eve = loom.app.sign_in(EVE).await;
    assert_eq!(eve.user["full_name"], "Eve Baker");
    eve.get(&loom.org("")).await.ok(200);
    let audit = loom.app.audit().await;
    let joined = audit.iter().find(|it| it["action"] == "member.provisioned").unwrap();
    assert_eq!((&joined["subject"], &joined["actor"]), (&json!(id), &json!("system")));
    assert!(text(&joined["details"]["on_behalf_of"]).starts_with("provisioning token cds_"));
}

#[tokio::test]
async fn a_directory_makes_and_claims_no_accounts_of_others() {
    let loom = Loom::new().await;
    let bob = loom.app.customer("bob@spin.example").await;
    for user_name in ["bob@spin.example", "new@spin.example", "eve@sub.loom.example"] {
        let told = loom.create(json!({"userName": user_name})).await;
        let told = told.refused_in_scim(400, Some("invalidValue"));
        assert!(told.contains("proved") && told.contains("userName"), "{told}");
    }
    for user_name in [json!("eve"), json!(""), json!(7), Value::Null] {
        loom.create(json!({"userName": user_name}))
            .await
            .refused_in_scim(400, Some("invalidValue"));
    }
    // Neither is one looked up who does not belong to it.
    assert!(loom.look("Users", "userName eq \"bob@spin.example\"").await.is_empty());
    loom.directory.get(&loom.user(&bob.user["user_id"])).await.refused_in_scim(404, None);
    loom.active(&bob.user["user_id"], false).await.refused_in_scim(404, None);
    let deleted = loom.directory.delete(&loom.user(&bob.user["user_id"])).await;
    deleted.refused_in_scim(404, None);
    let members = json!({"displayName": "Spinners", "members": [{"value": bob.user["user_id"]}]});
    let group = loom.directory.post(&loom.path("/Groups"), members).await;
    group.refused_in_scim(400, Some("invalidValue"));
    // A domain that was given up is not the organisation's any more.
    loom.ann.delete(&loom.org("/domains/loom.example")).await.ok(200);
    loom.create(json!({"userName": EVE})).await.refused_in_scim(400, Some("invalidValue"));
}

#[tokio::test]
async fn operators_are_never_provisioned() {
    let loom = Loom::new().await;
    prove(&loom.app, &loom.ann, &loom.org_id, "example.com").await;
    loom.create(json!({"userName": OPERATOR})).await.refused_in_scim(409, None);
    let operator = loom.app.operator().await;
    let invite = json!({"email": OPERATOR, "role": "member"});
    loom.ann.post(&loom.org("/invitations"), invite).await.ok(201);
    let token = loom.app.mail_to(OPERATOR, "Join").await.token();
    operator.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
    loom.active(&operator.user["user_id"], false).await.refused_in_scim(409, None);
    operator.get("/api/v1/admin/users").await.ok(200);
}

#[tokio::test]
async fn an_account_of_the_domain_joins_with_its_own_name_and_password() {
    let loom = Loom::new().await;
    let eve = loom.app.customer(EVE).await;
    let name = json!({"formatted": "Evelyn", "givenName": "Evelyn"});
    let joined = loom.create(json!({"userName": EVE, "name": name})).await.ok(201);
    assert_eq!((&joined["id"], &joined["name"]), (&eve.user["user_id"], &name));
    eve.get(&loom.org("")).await.ok(200);
    let me = eve.get("/api/v1/users/me").await.ok(200);
    assert_eq!(me["full_name"], "Ann Weaver", "the profile is the person's own");
    let again = loom.create(json!({"userName": EVE})).await;
    again.refused_in_scim(409, Some("uniqueness"));
    // Neither is the address the directory's to change.
    let moved = json!([{"op": "replace", "path": "userName", "value": "evelyn@loom.example"}]);
    let moved = loom.change(&loom.user(&joined["id"]), moved).await;
    moved.refused_in_scim(400, Some("mutability"));
}

#[tokio::test]
async fn an_account_that_somebody_else_made_beforehand_keeps_nothing_of_theirs() {
    let loom = Loom::new().await;
    loom.app.register(EVE).await.ok(201);
    let earlier = json!({"token": loom.app.mail_to(EVE, "Confirm").await.token()});
    loom.app.advance(SECOND).await;
    loom.joins(EVE).await;
    // Whoever registered knows a password; it is none any more, and neither is the link of then.
    let confirmed = loom.app.anyone.post("/api/v1/auth/verify-email", earlier).await;
    confirmed.refused(400, "invalid_token");
    let login = loom.app.login(EVE, crate::support::PASSWORD).await;
    login.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn a_closed_account_is_not_opened_by_a_directory() {
    let loom = Loom::new().await;
    let eve = loom.joins(EVE).await;
    let operator = loom.app.operator().await;
    let close = format!("/api/v1/admin/users/{}/deactivate", text(&eve["id"]));
    operator.post_nothing(&close).await.ok(200);
    let seen = loom.directory.get(&loom.user(&eve["id"])).await.ok(200);
    assert_eq!(seen["active"], false);
    loom.active(&eve["id"], false).await.ok(200);
    loom.active(&eve["id"], true).await.refused_in_scim(409, None);
}

#[tokio::test]
async fn whoever_comes_inactive_belongs_to_nothing_until_they_are_active() {
    let loom = Loom::new().await;
    let eve = loom.create(json!({"userName": EVE, "active": "False"})).await.ok(201);
    assert_eq!((&eve["active"], loom.role_of(EVE).await), (&json!(false), None));
    assert!(loom.app.subjects_to(EVE).await.is_empty());
    assert_eq!(loom.active(&eve["id"], true).await.ok(200)["active"], true);
    assert_eq!(loom.role_of(EVE).await.unwrap(), "member");
    loom.app.mail_to(EVE, "Your account").await.token();
}

#[tokio::test]
async fn no_domain_brings_in_whoever_the_directory_made_inactive() {
    let loom = Loom::new().await;
    loom.app.customer(EVE).await;
    loom.create(json!({"userName": EVE, "active": false})).await.ok(201);
    let domain = loom.org("/domains/loom.example");
    loom.ann.patch(&domain, json!({"auto_join": "member"})).await.ok(200);
    loom.app.sign_in(EVE).await.get(&loom.org("")).await.refused(404, "not_found");
    loom.app.customer("bob@loom.example").await.get(&loom.org("")).await.ok(200);
}

#[tokio::test]
async fn parts_of_a_name_that_are_not_named_stay() {
    let loom = Loom::new().await;
    let eve = loom.joins(EVE).await;
    let whole =
        json!([{"op": "add", "value": {"name": {"givenName": "Eve", "familyName": "Loom"}}}]);
    loom.change(&loom.user(&eve["id"]), whole).await.ok(200);
    let married = json!([{"op": "replace", "path": "name", "value": {"familyName": "Miller"}}]);
    let married = loom.change(&loom.user(&eve["id"]), married).await.ok(200);
    assert_eq!(
        (&married["name"]["givenName"], &married["name"]["familyName"]),
        (&json!("Eve"), &json!("Miller"))
    );
}

#[tokio::test]
async fn a_link_to_the_address_of_before_confirms_no_other() {
    let loom = Loom::new().await;
    let eve = loom.joins(EVE).await;
    let earlier = json!({"token": loom.app.mail_to(EVE, "Your account").await.token(), "password": crate::support::PASSWORD});
    let moved = json!([{"op": "replace", "path": "userName", "value": "evelyn@loom.example"}]);
    loom.change(&loom.user(&eve["id"]), moved).await.ok(200);
    let chosen = loom.app.anyone.post("/api/v1/auth/reset-password", earlier).await;
    chosen.refused(400, "invalid_token");
}

/// A domain may be lost, and a person may have changed the name: neither keeps a leaver in.
#[tokio::test]
async fn a_leaver_leaves_whatever_became_of_the_domain_and_the_name() {
    let loom = Loom::new().await;
    let eve = loom.joins(EVE).await;
    let named = json!([{"op": "replace", "path": "name.formatted", "value": "Eve Loom"}]);
    loom.change(&loom.user(&eve["id"]), named).await.ok(200);
    let chosen = json!({"token": loom.app.mail_to(EVE, "Your account").await.token(), "password": crate::support::PASSWORD});
    loom.app.anyone.post("/api/v1/auth/reset-password", chosen).await.ok(200);
    let own = loom.app.sign_in(EVE).await;
    own.patch("/api/v1/users/me", json!({"full_name": "Evelyn"})).await.ok(200);
    loom.active(&eve["id"], true).await.ok(200);
    assert_eq!(own.get("/api/v1/users/me").await.ok(200)["full_name"], "Evelyn");
    loom.ann.delete(&loom.org("/domains/loom.example")).await.ok(200);
    loom.active(&eve["id"], false).await.ok(200);
    assert_eq!(loom.role_of(EVE).await, None);
}

/// Whoever reads the mail of a domain must not get more by a new address than they have.
#[tokio::test]
async fn the_address_of_an_account_that_opens_more_is_the_persons_own() {
    let loom = Loom::new().await;
    let moves = async |id: &Value, to: &str| {
        let moved = json!([{"op": "replace", "path": "userName", "value": to}]);
        loom.change(&loom.user(id), moved).await
    };
    let eve = loom.joins(EVE).await;
    let chosen = json!({"token": loom.app.mail_to(EVE, "Your account").await.token(), "password": crate::support::PASSWORD});
    loom.app.anyone.post("/api/v1/auth/reset-password", chosen).await.ok(200);
    let there = loom.app.sign_in(EVE).await;
    there.post("/api/v1/orgs", json!({"name": "Her own firm"})).await.ok(201);
    moves(&eve["id"], "evil@loom.example").await.refused_in_scim(400, Some("mutability"));
    loom.app.login(EVE, crate::support::PASSWORD).await.ok(200);
}

/// Steps that undo each other cost nothing, and a large change is a handful of entries.
#[tokio::test]
async fn what_a_group_change_writes_is_what_it_changes() {
    let loom = Loom::new().await;
    let eve = loom.joins(EVE).await;
    let mut people = vec![json!({"value": eve["id"]})];
    let group = loom.makes_group("Weavers", &[&eve]).await;
    let told = async |about: &str| {
        let log = loom.app.audit().await;
        log.iter().filter(|entry| text(&entry["action"]).starts_with(about)).count()
    };
    let before = told("team.").await;
    let all = json!({"op": "add", "path": "members", "value": people});
    let none = json!({"op": "remove", "path": "members"});
    let undone = json!([none, all, none, all]);
    loom.change(&loom.group(&group["id"]), undone).await.ok(200);
    assert_eq!(told("team.").await, before);
    for number in 0..120 {
        let joined = loom.joins(&format!("p{number}@loom.example")).await;
        people.push(json!({"value": joined["id"]}));
    }
    let before = told("team.member_added").await;
    let many = json!([{"op": "replace", "path": "members", "value": people}]);
    loom.change(&loom.group(&group["id"]), many).await.ok(200);
    assert_eq!(told("team.member_added").await - before, 2, "120 people, 100 to an entry");
}

/// A person is mailed as often as by the calls that send links, however often a directory changes its mind.
#[tokio::test]
async fn a_directory_fills_nobodys_letter_box() {
    let loom = Loom::of(Setup::usual().set("AUTH_LINKS_PER_HOUR", "3").start().await).await;
    let eve = loom.joins(EVE).await;
    for _ in 0..5 {
        loom.active(&eve["id"], false).await.ok(200);
        loom.active(&eve["id"], true).await.ok(200);
    }
    loom.directory.delete(&loom.user(&eve["id"])).await.ok(204);
    assert!(loom.app.subjects_to(EVE).await.len() <= 4);
    // Nor by making somebody anew again and again.
    for _ in 0..6 {
        let fay = loom.joins("fay@loom.example").await;
        loom.directory.delete(&loom.user(&fay["id"])).await.ok(204);
    }
    assert_eq!(loom.app.subjects_to("fay@loom.example").await.len(), 3);
    // Nor does it together with whoever takes out by hand those whom it brings back.
    let bob = loom.joins("bob@loom.example").await;
    for _ in 0..5 {
        loom.ann.delete(&loom.org(&format!("/members/{}", text(&bob["id"])))).await.ok(200);
        loom.active(&bob["id"], true).await.ok(200);
    }
    assert!(loom.app.subjects_to("bob@loom.example").await.len() <= 7);
}

/// Where the address is known to be theirs; and what a directory says without changing anything does not count.
#[tokio::test]
async fn a_leaver_is_told_once() {
    let loom = Loom::new().await;
    let (eve, bob) = (loom.joins(EVE).await, loom.joins("bob@loom.example").await);
    for email in [EVE, "bob@loom.example"] {
        let token = loom.app.mail_to(email, "Your account").await.token();
        let chosen = json!({"token": token, "password": crate::support::PASSWORD});
        loom.app.anyone.post("/api/v1/auth/reset-password", chosen).await.ok(200);
    }
    let cleo = loom.joins("cleo@loom.example").await;
    for _ in 0..10 {
        loom.active(&eve["id"], true).await.ok(200);
        let elsewhere = loom.user(&json!("0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"));
        loom.directory.delete(&elsewhere).await.refused_in_scim(404, None);
    }
    let told = async |email: &str| {
        let subjects = loom.app.subjects_to(email).await;
        subjects.iter().filter(|it| *it == "You do not belong to Loom Ltd any more").count()
    };
    assert_eq!((told(EVE).await, told("bob@loom.example").await), (0, 0));
    loom.active(&eve["id"], false).await.ok(200);
    loom.active(&eve["id"], false).await.ok(200);
    loom.directory.delete(&loom.user(&eve["id"])).await.ok(204);
    loom.directory.delete(&loom.user(&bob["id"])).await.ok(204);
    loom.directory.delete(&loom.user(&cleo["id"])).await.ok(204);
    assert_eq!((told(EVE).await, told("bob@loom.example").await), (1, 1));
    assert_eq!(told("cleo@loom.example").await, 0, "nobody has shown to read it");
}

#[tokio::test]
async fn leavers_leave_although_the_organisation_is_to_be_deleted() {
    let loom = Loom::new().await;
    let (eve, bob) = (loom.joins(EVE).await, loom.joins("bob@loom.example").await);
    let name = json!({"name": "Loom Ltd"});
    loom.ann.with_body(Method::DELETE, &loom.org(""), &name).await.ok(200);
    loom.active(&eve["id"], false).await.ok(200);
    loom.directory.delete(&loom.user(&bob["id"])).await.ok(204);
    loom.active(&eve["id"], true).await.refused_in_scim(409, None);
}

#[tokio::test]
async fn where_nobody_may_register_no_directory_makes_accounts() {
    let app = Setup::usual().set("AUTH_OPEN_REGISTRATION", "true").start().await;
    let loom = Loom::of(app).await;
    loom.app.customer(EVE).await;
    let Loom { app, ann, org_id, directory } = loom;
    let app = app.restart_with("AUTH_OPEN_REGISTRATION", "false").await;
    let path = format!("/api/v1/orgs/{}/scim/v2/Users", text(&org_id));
    drop((ann, directory));
    let ann = app.sign_in(ANN).await;
    let tokens = format!("/api/v1/orgs/{}/provisioning-tokens", text(&org_id));
    let made = ann.post(&tokens, json!({"name": "Okta"})).await.ok(201);
    let directory = app.anyone.with_bearer(&text(&made["secret"]));
    let new = directory.post(&path, json!({"userName": "new@loom.example"})).await;
    new.refused_in_scim(409, None);
    directory.post(&path, json!({"userName": EVE})).await.ok(201);
}

#[tokio::test]
async fn the_owners_address_is_not_the_directorys_to_change() {
    let loom = Loom::new().await;
    let eve = loom.joins(EVE).await;
    let chosen = json!({"token": loom.app.mail_to(EVE, "Your account").await.token(), "password": crate::support::PASSWORD});
    loom.app.anyone.post("/api/v1/auth/reset-password", chosen).await.ok(200);
    loom.ann.post(&loom.org("/transfer"), json!({"user_id": eve["id"]})).await.ok(200);
    let moved = json!([{"op": "replace", "path": "userName", "value": "mallory@loom.example"}]);
    let moved = loom.change(&loom.user(&eve["id"]), moved).await;
    moved.refused_in_scim(400, Some("mutability"));
}

#[tokio::test]
async fn whoever_comes_back_by_an_invitation_is_in_the_directorys_groups_again() {
    let loom = Loom::new().await;
    let eve = loom.app.customer(EVE).await;
    let joined = loom.joins(EVE).await;
    let group = loom.makes_group("Weavers", &[&joined]).await;
    let member = loom.org(&format!("/members/{}", text(&joined["id"])));
    loom.ann.delete(&member).await.ok(200);
    let team = loom.org(&format!("/teams/{}/members", text(&group["id"])));
    assert!(loom.ann.get(&team).await.list().is_empty());
    let invite = json!({"email": EVE, "role": "member"});
    loom.ann.post(&loom.org("/invitations"), invite).await.ok(201);
    let token = loom.app.mail_to(EVE, "Join").await.token();
    eve.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
    assert_eq!(loom.ann.get(&team).await.list().len(), 1);
}

#[tokio::test]
async fn a_name_that_changes_in_the_directory_changes_here_where_the_account_came_from_it() {
    let loom = Loom::new().await;
    let eve = loom.joins(EVE).await;
    let operations = json!([
        {"op": "Replace", "path": "name.givenName", "value": "Eve"},
        {"op": "Add", "path": "name.familyName", "value": "Miller"},
        {"op": "Replace", "path": "userName", "value": "eve.miller@loom.example"},
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "eve.miller@loom.example"},
    ]);
    let changed = loom.change(&loom.user(&eve["id"]), operations).await.ok(200);
    assert_eq!(changed["userName"], "eve.miller@loom.example");
    assert_eq!(changed["emails"][0]["value"], "eve.miller@loom.example");
    let all = loom.ann.get(&loom.org("/members")).await.list();
    let eve = all.iter().find(|it| it["user_id"] == eve["id"]).unwrap();
    assert_eq!(
        (&eve["full_name"], &eve["email"]),
        (&json!("Eve Miller"), &json!("eve.miller@loom.example"))
    );
    // That the new address is theirs they show anew.
    loom.app.mail_to("eve.miller@loom.example", "Confirm").await.token();
    let told = loom.app.mail_to(EVE, "another e-mail address").await;
    assert!(told.text.contains("eve.miller@loom.example") && told.text.contains("Loom Ltd"));
    // The old one is free, and the new one is not.
    let other = loom.joins(EVE).await;
    for taken in ["eve.miller@loom.example", "ann@spin.example"] {
        let moved = json!([{"op": "replace", "value": {"userName": taken}}]);
        let moved = loom.change(&loom.user(&other["id"]), moved).await;
        let expected = if taken.ends_with("loom.example") {
            (409, "uniqueness")
        } else {
            (400, "invalidValue")
        };
        moved.refused_in_scim(expected.0, Some(expected.1));
    }
}

// ---- leavers ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_leaver_loses_what_the_organisation_gave_and_keeps_their_account() {
    let loom = Loom::new().await;
    let eve = loom.app.customer(EVE).await;
    let joined = loom.joins(EVE).await;
    let group = loom.makes_group("Weavers", &[&joined]).await;
    let here = eve.in_org(&loom.org_id);
    let key = here.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let program = loom.app.anyone.with_bearer(&text(&key["secret"]));
    program.get("/api/v1/licenses").await.ok(200);

    let gone = loom.active(&joined["id"], false).await.ok(200);
    assert_eq!(gone["active"], false);
    assert_eq!(loom.directory.get(&loom.user(&joined["id"])).await.ok(200), gone);
    assert_eq!(loom.active(&joined["id"], false).await.ok(200)["active"], false, "once more");
    eve.get(&loom.org("")).await.refused(404, "not_found");
    program.get("/api/v1/licenses").await.refused(401, "unauthenticated");
    eve.get("/api/v1/users/me").await.ok(200);
    let team = loom.org(&format!("/teams/{}/members", text(&group["id"])));
    assert!(loom.ann.get(&team).await.list().is_empty());
    // The domain does not bring them back.
    let domain = loom.org("/domains/loom.example");
    loom.ann.patch(&domain, json!({"auto_join": "member"})).await.ok(200);
    loom.app.sign_in(EVE).await.get(&loom.org("")).await.refused(404, "not_found");

    // Who comes back has the groups of the directory again.
    assert_eq!(loom.active(&joined["id"], true).await.ok(200)["active"], true);
    let back = loom.directory.get(&loom.user(&joined["id"])).await.ok(200);
    assert_eq!(back["groups"][0]["value"], group["id"]);
    assert_eq!(loom.ann.get(&team).await.list().len(), 1);

    // Entra ID deletes a month after it has deactivated.
    loom.directory.delete(&loom.user(&joined["id"])).await.ok(204);
    loom.directory.get(&loom.user(&joined["id"])).await.refused_in_scim(404, None);
    loom.directory.delete(&loom.user(&joined["id"])).await.refused_in_scim(404, None);
    let left = loom.directory.get(&loom.group(&group["id"])).await.ok(200);
    assert_eq!(left["members"], Value::Null);
    eve.get("/api/v1/users/me").await.ok(200);
    assert_eq!(loom.joins(EVE).await["id"], joined["id"], "and may come again");
}

#[tokio::test]
async fn the_owner_stays_whatever_the_directory_says() {
    let loom = Loom::new().await;
    let ann = &loom.ann.user["user_id"];
    for refused in [
        loom.active(ann, false).await,
        loom.directory.delete(&loom.user(ann)).await,
        loom.change(&loom.user(ann), json!([{"op": "replace", "value": {"active": "false"}}]))
            .await,
    ] {
        let told = refused.refused_in_scim(409, None);
        assert!(told.contains("owner"), "{told}");
    }
    let named = json!([{"op": "add", "path": "externalId", "value": "00u0"}]);
    let seen = loom.change(&loom.user(ann), named).await.ok(200);
    assert_eq!(seen["externalId"], "00u0");
    assert_eq!(loom.role_of(ANN).await.unwrap(), "owner");
}

#[tokio::test]
async fn who_was_removed_by_hand_is_seen_as_inactive() {
    let loom = Loom::new().await;
    let eve = loom.joins(EVE).await;
    loom.ann.delete(&loom.org(&format!("/members/{}", text(&eve["id"])))).await.ok(200);
    assert_eq!(loom.directory.get(&loom.user(&eve["id"])).await.ok(200)["active"], false);
    loom.active(&eve["id"], true).await.ok(200);
    assert_eq!(loom.role_of(EVE).await.unwrap(), "member");
}

// ---- groups -------------------------------------------------------------------------------------

#[tokio::test]
async fn a_group_is_a_team_of_which_the_directory_says_who_belongs_to_it() {
    let loom = Loom::new().await;
    let (eve, max) = (loom.joins(EVE).await, loom.joins("max@loom.example").await);
    let group = loom.makes_group("Weavers", &[&eve]).await;
    assert_eq!(
        group["members"],
        json!([{
            "value": eve["id"], "type": "User",
            "$ref": format!("{}{}", crate::support::PUBLIC_URL, loom.user(&eve["id"])),
        }])
    );
    let team = loom.org(&format!("/teams/{}", text(&group["id"])));
    let seen = loom.ann.get(&team).await.ok(200);
    assert_eq!((&seen["name"], &seen["provisioned"]), (&json!("Weavers"), &json!(true)));
    // By hand nobody changes it.
    let place = |who: &Value| format!("{team}/members/{}", text(&who["id"]));
    let member = json!({"role": "member"});
    loom.ann.with_body(Method::PUT, &place(&max), &member).await.refused(409, "org_state");
    loom.ann.delete(&place(&eve)).await.refused(409, "org_state");
    loom.ann.patch(&team, json!({"name": "Dyers"})).await.refused(409, "org_state");
    loom.ann.delete(&team).await.refused(409, "org_state");
    let maintainer = json!({"role": "maintainer"});
    loom.ann.with_body(Method::PUT, &place(&eve), &maintainer).await.ok(200);

    let path = loom.group(&group["id"]);
    for (operations, expected) in [
        (json!([{"op": "Add", "path": "members", "value": [{"value": max["id"]}]}]), 2),
        (json!([{"op": "add", "path": "members", "value": [{"value": max["id"]}]}]), 2),
        (json!([{"op": "Remove", "path": "members", "value": [{"value": eve["id"]}]}]), 1),
        (
            json!([{"op": "replace", "value": {"members": [{"value": eve["id"]}, {"value": max["id"]}]}}]),
            2,
        ),
        (
            json!([{"op": "remove", "path": format!("members[value eq \"{}\"]", text(&max["id"]))}]),
            1,
        ),
        (json!([{"op": "remove", "path": "members"}]), 0),
        (
            json!([
                {"op": "replace", "path": "displayName", "value": "Dyers"},
                {"op": "add", "path": "members", "value": [{"value": max["id"], "display": "Max"}]},
            ]),
            1,
        ),
    ] {
        let changed = loom.change(&path, operations.clone()).await.ok(200);
        assert_eq!(changed["members"].as_array().map_or(0, Vec::len), expected, "{operations}");
    }
    assert_eq!(loom.ann.get(&team).await.ok(200)["name"], "Dyers");
    // All steps, or none.
    let half = json!([
        {"op": "replace", "path": "displayName", "value": "Spinners"},
        {"op": "add", "path": "members", "value": [{"value": "01890a5d-ac96-774b-bcce-b302099a8057"}]},
    ]);
    loom.change(&path, half).await.refused_in_scim(400, Some("invalidValue"));
    assert_eq!(loom.ann.get(&team).await.ok(200)["name"], "Dyers");
    let whole = json!({"displayName": "Weavers", "members": [{"value": eve["id"]}]});
    let whole = loom.directory.with_body(Method::PUT, &path, &whole).await.ok(200);
    assert_eq!((&whole["externalId"], &whole["members"][0]["value"]), (&Value::Null, &eve["id"]));
    loom.directory.delete(&path).await.ok(204);
    loom.directory.get(&path).await.refused_in_scim(404, None);
    assert_eq!(loom.role_of(EVE).await.unwrap(), "member");
}

#[tokio::test]
async fn a_team_made_by_hand_is_none_of_the_directorys_until_it_has_one_of_that_name() {
    let loom = Loom::new().await;
    let eve = loom.joins(EVE).await;
    let team = loom.ann.post(&loom.org("/teams"), json!({"name": "Weavers"})).await.ok(201);
    assert_eq!(team["provisioned"], false);
    let place = format!("/teams/{}/members/{}", text(&team["team_id"]), text(&eve["id"]));
    loom.ann.with_body(Method::PUT, &loom.org(&place), &json!({"role": "member"})).await.ok(200);
    assert!(loom.look("Groups", "displayName eq \"Weavers\"").await.is_empty());
    loom.directory.get(&loom.group(&team["team_id"])).await.refused_in_scim(404, None);
    let seen = loom.directory.get(&loom.user(&eve["id"])).await.ok(200);
    assert_eq!(seen["groups"], Value::Null);

    let group = loom.makes_group("weavers", &[]).await;
    assert_eq!((&group["id"], &group["members"]), (&team["team_id"], &Value::Null));
    let again = json!({"displayName": "Weavers"});
    let again = loom.directory.post(&loom.path("/Groups"), again).await;
    again.refused_in_scim(409, Some("uniqueness"));
    // Without a directory it is changed by hand again.
    let tokens = loom.ann.get(&loom.org("/provisioning-tokens")).await.ok(200);
    let token = text(&items(&tokens)[0]["provisioning_token_id"]);
    loom.ann.delete(&loom.org(&format!("/provisioning-tokens/{token}"))).await.ok(200);
    let team = loom.org(&format!("/teams/{}", text(&team["team_id"])));
    assert_eq!(loom.ann.patch(&team, json!({"name": "Dyers"})).await.ok(200)["provisioned"], false);
}

#[tokio::test]
async fn a_group_that_single_sign_on_knows_says_what_people_are() {
    let loom = Loom::new().await;
    loom.maps(&[("License admins", Role::Admin), ("Finance", Role::Billing)]).await;
    let eve = loom.joins(EVE).await;
    assert!(loom.app.subjects_to(EVE).await.is_empty(), "they sign in through the issuer");
    let admins = loom.makes_group("License admins", &[&eve]).await;
    assert_eq!(loom.role_of(EVE).await.unwrap(), "admin");
    let finance = loom.makes_group("Finance", &[&eve]).await;
    assert_eq!(loom.role_of(EVE).await.unwrap(), "admin", "the first that fits counts");
    loom.change(&loom.group(&admins["id"]), json!([{"op": "remove", "path": "members"}]))
        .await
        .ok(200);
    assert_eq!(loom.role_of(EVE).await.unwrap(), "billing");
    let renamed = json!([{"op": "replace", "path": "displayName", "value": "Bookkeepers"}]);
    loom.change(&loom.group(&finance["id"]), renamed).await.ok(200);
    assert_eq!(loom.role_of(EVE).await.unwrap(), "member");
    let renamed = json!([{"op": "replace", "path": "displayName", "value": "Finance"}]);
    loom.change(&loom.group(&finance["id"]), renamed).await.ok(200);
    assert_eq!(loom.role_of(EVE).await.unwrap(), "billing");
    // Who leaves and comes back is what the groups say.
    loom.active(&eve["id"], false).await.ok(200);
    loom.active(&eve["id"], true).await.ok(200);
    assert_eq!(loom.role_of(EVE).await.unwrap(), "billing");
    loom.directory.delete(&loom.group(&finance["id"])).await.ok(204);
    assert_eq!(loom.role_of(EVE).await.unwrap(), "member");
}

#[tokio::test]
async fn a_group_makes_no_owner_and_unmakes_none_and_others_leave_roles_alone() {
    let loom = Loom::new().await;
    loom.maps(&[("Staff", Role::Member), ("Chiefs", Role::Owner)]).await;
    let (eve, ann) = (loom.joins(EVE).await, json!({"id": loom.ann.user["user_id"]}));
    loom.makes_group("Chiefs", &[&eve]).await;
    loom.makes_group("Staff", &[&ann]).await;
    assert_eq!(loom.role_of(ANN).await.unwrap(), "owner");
    assert_eq!(loom.role_of(EVE).await.unwrap(), "member");
    let role = loom.org(&format!("/members/{}", text(&eve["id"])));
    loom.ann.patch(&role, json!({"role": "admin"})).await.ok(200);
    loom.makes_group("Weavers", &[&eve]).await;
    assert_eq!(loom.role_of(EVE).await.unwrap(), "admin", "that group says nothing about roles");
}

// ---- looking up ---------------------------------------------------------------------------------

#[tokio::test]
async fn directories_find_people_and_groups_by_what_they_know_of_them() {
    let loom = Loom::new().await;
    let body = json!({"userName": EVE, "externalId": "00u1", "displayName": "Eve B"});
    let eve = loom.create(body).await.ok(201);
    let group = loom.makes_group("Weavers", &[&eve]).await;
    let id = text(&eve["id"]);
    for filter in [
        format!("userName eq \"{EVE}\""),
        "USERNAME EQ \"EVE@LOOM.EXAMPLE\"".to_owned(),
        "externalId eq \"00u1\"".to_owned(),
        format!("emails.value eq \"{EVE}\""),
        format!("emails[type eq \"work\"].value eq \"{EVE}\""),
        format!("id eq \"{id}\""),
        "displayName eq \"eve b\" and active eq true".to_owned(),
    ] {
        let found = loom.look("Users", &filter).await;
        assert_eq!(found.len(), 1, "{filter}");
        assert_eq!(found[0]["id"], eve["id"], "{filter}");
    }
    let group_id = text(&group["id"]);
    for filter in [
        "displayName eq \"weavers\"".to_owned(),
        "externalId eq \"of Weavers\"".to_owned(),
        format!("id eq \"{group_id}\" and members[value eq \"{id}\"]"),
        format!("members eq \"{id}\""),
    ] {
        assert_eq!(loom.look("Groups", &filter).await.len(), 1, "{filter}");
    }
    for filter in [
        format!("userName eq \"{EVE}\" and active eq false"),
        "externalId eq \"00U1\"".to_owned(),
        "userName eq \"no address\"".to_owned(),
        "id eq \"7\"".to_owned(),
        format!("members eq \"{id}\""),
    ] {
        assert!(loom.look("Users", &filter).await.is_empty(), "{filter}");
    }
    for filter in
        ["userName sw \"e\"", "userName", "(", "title eq \"x\"", "userName eq \"a\" or id eq \"b\""]
    {
        for what in ["Users", "Groups"] {
            let request = loom.directory.request(Method::GET, &loom.path(&format!("/{what}")));
            let answer = loom.directory.send(request.query(&[("filter", filter)])).await;
            answer.refused_in_scim(400, Some("invalidFilter"));
        }
    }
}

#[tokio::test]
async fn lists_are_read_in_bounded_parts() {
    let loom = Loom::new().await;
    for nth in 0..4 {
        loom.joins(&format!("nr{nth}@loom.example")).await;
    }
    let page = async |query: &str| {
        let page = loom.directory.get(&loom.path(&format!("/Users?{query}"))).await.ok(200);
        let count = page["Resources"].as_array().unwrap().len();
        assert_eq!((&page["itemsPerPage"], &page["totalResults"]), (&json!(count), &json!(5)));
        page
    };
    for (query, start, count) in [
        ("", 1, 5),
        ("startIndex=2&count=2", 2, 2),
        ("startIndex=5&count=100000", 5, 1),
        ("startIndex=6", 6, 0),
        ("startIndex=0&count=1", 1, 1),
        ("startIndex=-9223372036854775808&count=-1", 1, 0),
        ("count=0", 1, 0),
    ] {
        let page = page(query).await;
        assert_eq!(page["startIndex"], start, "{query}");
        assert_eq!(page["Resources"].as_array().unwrap().len(), count, "{query}");
    }
    let odd = loom.directory.get(&loom.path("/Users?count=many")).await;
    odd.refused_in_scim(400, Some("invalidValue"));
    let short = page("attributes=userName&startIndex=2&count=1").await;
    assert_eq!(members(&short["Resources"][0]), ["id", "schemas", "userName"]);
    let without = page("excludedAttributes=meta,emails&count=1").await;
    assert!(!members(&without["Resources"][0]).contains(&"meta"), "{without}");
    let search = json!({"filter": "displayName eq \"Nobody\"", "startIndex": 1, "count": 10});
    let found = loom.directory.post(&loom.path("/.search"), search).await.ok(200);
    assert_eq!(found["totalResults"], 0);
    let search = json!({"startIndex": 5, "count": 2, "attributes": ["displayName"]});
    loom.makes_group("Weavers", &[]).await;
    let found = loom.directory.post(&loom.path("/.search"), search).await.ok(200);
    assert_eq!((&found["totalResults"], &found["itemsPerPage"]), (&json!(6), &json!(2)));
    assert_eq!(found["Resources"][1]["displayName"], "Weavers");
}

// ---- everything else ----------------------------------------------------------------------------

/// What is made or changed is answered as what is read (RFC 7644, section 3.9), and where it is in any case.
#[tokio::test]
async fn an_answer_to_a_change_has_the_attributes_that_were_asked_for() {
    let loom = Loom::new().await;
    let path = |rest: &str, wanted: &str| format!("{}?{wanted}", loom.path(rest));
    let eve = json!({"userName": EVE, "displayName": "Eve", "active": true});
    let made = loom.directory.post(&path("/Users", "attributes=userName"), eve.clone()).await;
    let location = made.header("location").to_owned();
    let made = made.ok(201);
    let id = text(&made["id"]);
    assert_eq!(made, json!({"schemas": [USER], "id": id, "userName": EVE}));
    assert!(location.ends_with(&loom.user(&made["id"])), "{location}");
    let user = format!("/Users/{id}");
    let put = path(&user, "attributes=displayName");
    let put = loom.directory.with_body(Method::PUT, &put, &eve).await.ok(200);
    assert_eq!(put, json!({"schemas": [USER], "id": id, "displayName": "Eve"}));
    let change = json!({"schemas": [PATCH], "Operations": [
        {"op": "replace", "path": "displayName", "value": "Eva"},
    ]});
    let shorter = "excludedAttributes=meta,emails,userName,active";
    let patched = loom.directory.patch(&path(&user, shorter), change).await.ok(200);
    assert_eq!(patched, json!({"schemas": [USER], "id": id, "displayName": "Eva"}));

    let weavers = json!({"displayName": "Weavers", "members": [{"value": id}]});
    let made = path("/Groups", "excludedAttributes=meta,members");
    let made = loom.directory.post(&made, weavers.clone()).await;
    assert!(made.header("location").contains("/Groups/"), "{:?}", made.header("location"));
    let made = made.ok(201);
    let few = json!({"schemas": [GROUP], "id": made["id"], "displayName": "Weavers"});
    assert_eq!(made, few);
    let group = format!("/Groups/{}", text(&made["id"]));
    let put = path(&group, "attributes=displayName");
    assert_eq!(loom.directory.with_body(Method::PUT, &put, &weavers).await.ok(200), few);
    let change = json!({"schemas": [PATCH], "Operations": [
        {"op": "remove", "path": format!("members[value eq \"{id}\"]")},
    ]});
    let patched = loom.directory.patch(&path(&group, "attributes=members"), change).await.ok(200);
    assert_eq!(patched, json!({"schemas": [GROUP], "id": made["id"]}));
}

#[tokio::test]
async fn the_server_tells_what_of_scim_it_can_do() {
    let loom = Loom::new().await;
    let config = loom.directory.get(&loom.path("/ServiceProviderConfig")).await.ok(200);
    assert_eq!(
        (&config["patch"]["supported"], &config["filter"]["supported"]),
        (&json!(true), &json!(true))
    );
    for lacking in ["bulk", "sort", "etag", "changePassword"] {
        assert_eq!(config[lacking]["supported"], false, "{lacking}");
    }
    for (list, names) in [("ResourceTypes", ["User", "Group"]), ("Schemas", ["User", "Group"])] {
        let all = loom.directory.get(&loom.path(&format!("/{list}"))).await.ok(200);
        for (one, name) in all["Resources"].as_array().unwrap().iter().zip(names) {
            assert_eq!(one["name"], name);
            let path = loom.path(&format!("/{list}/{}", text(&one["id"])));
            assert_eq!(&loom.directory.get(&path).await.ok(200), one);
        }
        let path = loom.path(&format!("/{list}/Device"));
        loom.directory.get(&path).await.refused_in_scim(404, None);
        let posted = loom.directory.post(&loom.path(&format!("/{list}")), json!({})).await;
        posted.refused_in_scim(405, None);
    }
    loom.directory.get(&loom.path("/Me")).await.refused_in_scim(404, None);
}

#[tokio::test]
async fn what_is_no_body_is_refused_in_the_words_of_scim() {
    let loom = Loom::new().await;
    let send = async |kind: &str, body: String| {
        let request = loom.directory.request(Method::POST, &loom.path("/Users"));
        loom.directory.send(request.header("content-type", kind).body(body)).await
    };
    let scim = "application/scim+json";
    send(scim, "{".to_owned()).await.refused_in_scim(400, Some("invalidSyntax"));
    send(scim, "[]".to_owned()).await.refused_in_scim(400, Some("invalidSyntax"));
    send("text/plain", "{}".to_owned()).await.refused_in_scim(415, None);
    // A group of a thousand is longer than other bodies may be.
    let large = json!({"userName": "large@loom.example", "title": "x".repeat(200_000)});
    send(scim, large.to_string()).await.ok(201);
    let long = json!({"userName": EVE, "externalId": "x".repeat(201)});
    send(scim, long.to_string()).await.refused_in_scim(400, Some("invalidValue"));
    let eve = loom.joins(EVE).await;
    let path = loom.user(&eve["id"]);
    for (operations, kind) in [
        (json!([]), "invalidValue"),
        (json!([{"op": "replace", "path": "shoeSize", "value": 43}]), "invalidPath"),
        (json!([{"op": "replace", "path": "id", "value": "7"}]), "mutability"),
        (json!([{"op": "remove"}]), "noTarget"),
        (json!([{"op": "replace", "path": "active", "value": "perhaps"}]), "invalidValue"),
    ] {
        loom.change(&path, operations).await.refused_in_scim(400, Some(kind));
    }
}

#[tokio::test]
async fn an_organisation_takes_it_along_and_with_its_end_all_of_it_ends() {
    let loom = Loom::of(Setup::usual().set("ORGS_DELETION_WAIT_DAYS", "1").start().await).await;
    let eve = loom.create(json!({"userName": EVE, "externalId": "00u1"})).await.ok(201);
    let export = loom.ann.get(&loom.org("/export")).await;
    let records: Vec<Value> =
        export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| records.iter().filter(|it| it["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of("provisioned")[0]["external_id"], "00u1");
    assert_eq!(of("provisioning_token").len(), 1);
    let secret = loom.directory.bearer().unwrap();
    assert!(!export.text.contains(&secret));

    loom.ann
        .send(loom.ann.request(Method::DELETE, &loom.org("")).json(&json!({"name": "Loom Ltd"})))
        .await
        .ok(200);
    // Nobody is added to what is to be deleted.
    loom.create(json!({"userName": "new@loom.example"})).await.refused_in_scim(409, None);
    loom.app.advance(2 * DAY).await;
    loom.directory.get(&loom.path("/Users")).await.refused_in_scim(401, None);
    let operator = loom.app.operator().await;
    let account = format!("/api/v1/admin/users/{}", text(&eve["id"]));
    operator.get(&account).await.ok(200);
}
