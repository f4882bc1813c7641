//! `/orgs/{org_id}/sso` beside `/orgs/{org_id}/scim/v2`: who signs in through the issuer of an organisation
//! whose directory says who belongs to it.

use reqwest::Method;
use serde_json::{Value, json};

use super::now;
use super::peers::Peer;
use super::sso::{confirm, enter, path, roles};
use crate::support::{Answer, Client, PASSWORD, Person, SECOND, Setup, TestApp, text};

const ANN: &str = "ann@example.com";
const EVE: &str = "eve@loom.example";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Ann's organisation, to which loom.example belongs, its issuer and its directory.
struct Loom {
    app: TestApp,
    peer: Peer,
    ann: Person,
    org: Value,
    directory: Client,
}

impl Loom {
    async fn new() -> Self {
        let app = Setup::usual().set("OIDC_ALLOW_PRIVATE_ISSUERS", "true").start_at(now()).await;
        let (peer, ann) = (Peer::mock(), app.customer(ANN).await);
        let (org, directory) = org_of(&app, &ann, "Loom Ltd", "loom.example").await;
        let loom = Self { app, peer, ann, org, directory };
        loom.maps(&json!([
            {"group": "it", "role": "admin"},
            {"group": "Finance", "role": "billing"},
        ]))
        .await;
        loom
    }

    /// Gives roles to groups; whoever is in none does not belong to the organisation.
    async fn maps(&self, groups: &Value) {
        let settings = json!({
            "issuer": self.peer.issuer, "client_id": "app", "client_secret": "the secret",
            "groups": groups,
        });
        self.ann.with_body(Method::PUT, &path(&self.org), &settings).await.ok(200);
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/orgs/{}/scim/v2{rest}", text(&self.org["org_id"]))
    }

    async fn joins(&self) -> String {
        let body = json!({"userName": EVE});
        text(&self.directory.post(&self.path("/Users"), body).await.ok(201)["id"])
    }

    async fn active(&self, id: &str, active: bool) {
        let operations = [json!({"op": "replace", "path": "active", "value": active})];
        let body = json!({"schemas": [PATCH], "Operations": operations});
        self.directory.patch(&self.path(&format!("/Users/{id}")), body).await.ok(200);
    }

    async fn makes_group(&self, name: &str, id: &str) -> String {
        let body = json!({"displayName": name, "members": [{"value": id}]});
        text(&self.directory.post(&self.path("/Groups"), body).await.ok(201)["id"])
    }

    /// Eve comes through the issuer, which tells these groups.
    async fn enter(&self, groups: Value) -> Answer {
        let claims = json!({
            "sub": "eve-1", "email": EVE, "email_verified": true, "name": "Eve Baker", "groups": groups,
        });
        // Mails of one instant have no order, and the newest is the one to follow.
        self.app.advance(SECOND).await;
        enter(&self.app, &self.peer, &self.org, claims).await
    }

    /// The same, where she has to agree first.
    async fn enter_anew(&self, groups: Value) -> Person {
        self.enter(groups.clone()).await.refused(403, "identity_unconfirmed");
        confirm(&self.app, EVE).await.ok(200);
        self.app.person(&self.enter(groups).await.ok(200))
    }

    /// What Eve is in the organisation.
    async fn role(&self) -> Option<String> {
        let all = roles(&self.ann, &self.org).await;
        all.into_iter().find(|(email, _)| email == EVE).map(|(_, role)| role)
    }
}

/// An organisation to which a domain belongs, and its directory.
async fn org_of(app: &TestApp, owner: &Person, name: &str, domain: &str) -> (Value, Client) {
    let org = owner.post("/api/v1/orgs", json!({"name": name})).await.ok(201);
    let id = text(&org["org_id"]);
    let domains = format!("/api/v1/orgs/{id}/domains");
    owner.post(&domains, json!({"domain": domain})).await.ok(201);
    let verify = format!("/api/v1/admin/orgs/{id}/domains/{domain}/verify");
    app.operator().await.post_nothing(&verify).await.ok(200);
    let tokens = format!("/api/v1/orgs/{id}/provisioning-tokens");
    let made = owner.post(&tokens, json!({"name": "Entra ID"})).await.ok(201);
    (org, app.anyone.with_bearer(&text(&made["secret"])))
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn groups_of_the_directory_count_beside_those_that_the_issuer_tells() {
    let loom = Loom::new().await;
    let id = loom.joins().await;
    let finance = loom.makes_group("Finance", &id).await;
    assert_eq!(loom.role().await.unwrap(), "billing");
    loom.enter_anew(Value::Null).await;
    assert_eq!(loom.role().await.unwrap(), "billing", "the issuer tells no groups");
    loom.enter(json!(["it"])).await.ok(200);
    assert_eq!(loom.role().await.unwrap(), "admin", "the first rule that fits counts");
    loom.enter(json!(["guests"])).await.ok(200);
    assert_eq!(loom.role().await.unwrap(), "billing");
    // A team that was made by hand is no group, whatever it is called.
    loom.maps(&json!([{"group": "Weavers", "role": "admin"}])).await;
    let teams = format!("/api/v1/orgs/{}/teams", text(&loom.org["org_id"]));
    let team = loom.ann.post(&teams, json!({"name": "Weavers"})).await.ok(201);
    let member = format!("{teams}/{}/members/{id}", text(&team["team_id"]));
    loom.ann.with_body(Method::PUT, &member, &json!({"role": "member"})).await.ok(200);
    loom.enter(Value::Null).await.ok(200);
    assert_eq!(loom.role().await.unwrap(), "member", "no rule is about the group any more");
    let group = loom.path(&format!("/Groups/{finance}"));
    loom.directory.delete(&group).await.ok(204);
    loom.enter(Value::Null).await.ok(200);
    assert!(loom.role().await.is_some(), "whoever the directory wants there stays");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn whoever_the_directory_wants_there_needs_no_group_and_others_do() {
    let loom = Loom::new().await;
    loom.app.customer("max@loom.example").await;
    let max = json!({"sub": "max-1", "email": "max@loom.example", "email_verified": true});
    let stranger = enter(&loom.app, &loom.peer, &loom.org, max).await;
    stranger.refused(403, "forbidden");
    loom.joins().await;
    loom.enter_anew(Value::Null).await;
    assert_eq!(loom.role().await.unwrap(), "member");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn the_issuer_does_not_bring_back_whom_the_directory_has_deactivated() {
    let loom = Loom::new().await;
    let id = loom.joins().await;
    loom.enter_anew(json!(["it"])).await;
    assert_eq!(loom.role().await.unwrap(), "admin");
    // A link that was mailed before is no way back either.
    loom.active(&id, false).await;
    loom.active(&id, true).await;
    loom.enter(json!(["it"])).await.refused(403, "identity_unconfirmed");
    loom.active(&id, false).await;
    confirm(&loom.app, EVE).await.ok(200);
    loom.enter(json!(["it"])).await.refused(403, "forbidden");
    assert_eq!(loom.role().await, None);
    loom.active(&id, true).await;
    loom.enter(json!(["it"])).await.ok(200);
    assert_eq!(loom.role().await.unwrap(), "admin");

    // Nobody is asked to agree to what is refused.
    loom.active(&id, false).await;
    let asked = loom.app.subjects_to(EVE).await.len();
    loom.enter(json!(["it"])).await.refused(403, "forbidden");
    assert_eq!(loom.app.subjects_to(EVE).await.len(), asked);

    // Whoever was deleted is forgotten: the issuer's groups say, once the person agrees anew.
    loom.directory.delete(&loom.path(&format!("/Users/{id}"))).await.ok(204);
    loom.enter_anew(json!(["it"])).await;
    assert_eq!(loom.role().await.unwrap(), "admin");
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn with_the_leaver_go_the_sign_ins_through_the_organisations_issuer_and_no_others() {
    let loom = Loom::new().await;
    let own = loom.app.customer(EVE).await;
    let id = loom.joins().await;
    let through_loom = loom.enter_anew(Value::Null).await;
    // Eve belongs to Bob's organisation as well, whose issuer is the same one.
    let bob = loom.app.customer("bob@example.com").await;
    let his = bob.post("/api/v1/orgs", json!({"name": "Bobbin"})).await.ok(201);
    let settings =
        json!({"issuer": loom.peer.issuer, "client_id": "app", "default_role": "member"});
    bob.with_body(Method::PUT, &path(&his), &settings).await.ok(200);
    let claims = json!({"sub": "eve-1", "email": EVE, "email_verified": true});
    enter(&loom.app, &loom.peer, &his, claims.clone()).await.refused(403, "identity_unconfirmed");
    let token = loom.app.mail_to(EVE, "Confirm the sign-in of Bobbin").await.token();
    loom.app.anyone.post("/api/v1/auth/oidc/confirm", json!({"token": token})).await.ok(200);
    let through_bobbin =
        loom.app.person(&enter(&loom.app, &loom.peer, &his, claims.clone()).await.ok(200));
    for person in [&own, &through_loom, &through_bobbin] {
        person.get("/api/v1/users/me").await.ok(200);
    }

    loom.active(&id, false).await;
    through_loom.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    own.get("/api/v1/users/me").await.ok(200);
    through_bobbin.get("/api/v1/users/me").await.ok(200);
    let kept = own.get("/api/v1/users/me/identities").await.list();
    assert_eq!(kept.len(), 1, "Bobbin's issuer signs her in as before: {kept:?}");
    enter(&loom.app, &loom.peer, &his, claims).await.ok(200);
    loom.app.login(EVE, PASSWORD).await.ok(200);
}
