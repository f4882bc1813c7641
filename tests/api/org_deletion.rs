//! `/orgs/{org_id}`: exported, deleted after a time in which that can be taken back, and then gone.

use std::collections::BTreeMap;
use std::time::Duration;

use coditect::domain::ids::{JobId, OrgId};
use coditect::domain::job::{Job, Work};
use coditect::domain::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::billing::Shop;
use crate::orgs::Company;
use crate::support::{
    Answer, Client, DAY, PASSWORD, Person, Setup, TestApp, figures_and_recounted, items, text,
};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";

/// Ann's second organisation, of which Bob is an admin, with a trial, a licence of five seats, a machine
/// and a seat.
struct Spin {
    app: TestApp,
    ann: Person,
    bob: Person,
    /// Ann acting for it.
    there: Client,
    org_id: Value,
    license: Value,
    plan: Value,
    seat: Value,
}

impl Spin {
    async fn of(app: TestApp) -> Self {
        let ann = app.customer(ANN).await;
        let bob = app.customer(BOB).await;
        let plan = app.plan("Team", 5).await;
        let org = ann.post("/api/v1/orgs", json!({"name": "Spin Ltd"})).await.ok(201);
        let org_id = org["org_id"].clone();
        let invite = json!({"email": BOB, "role": "admin"});
        ann.post(&format!("/api/v1/orgs/{}/invitations", text(&org_id)), invite).await.ok(201);
        let token = app.mail_to(BOB, "Join").await.token();
        bob.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
        let there = ann.in_org(&org_id);
        let trial = json!({"plan_id": plan["plan_id"]});
        let trial = there.post("/api/v1/subscriptions/trial", trial).await.ok(201);
        let license = trial["license"].clone();
        let machine = json!({"license_key": license["license_key"], "hardware_id": "hw-1"});
        app.anyone.post("/api/v1/licenses/activate", machine).await.ok(201);
        let seat = app.acquire(&license, "hw-1").await.ok(201);
        Self { app, ann, bob, there, org_id, license, plan, seat }
    }

    async fn new() -> Self {
        Self::of(TestApp::start().await).await
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/orgs/{}{rest}", text(&self.org_id))
    }

    async fn delete(&self, person: &Client) -> Answer {
        person.with_body(Method::DELETE, &self.path(""), &json!({"name": "Spin Ltd"})).await
    }

    async fn restore(&self, person: &Client) -> Answer {
        person.post_nothing(&self.path("/restore")).await
    }

    fn id(&self) -> OrgId {
        text(&self.org_id).parse().unwrap()
    }
}

/// The records of an export by their kind.
async fn exported(person: &Client, path: &str) -> BTreeMap<String, Vec<Value>> {
    let answer = person.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in answer.text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        found.entry(text(&record["kind"])).or_default().push(record);
    }
    let end = found.remove("end").unwrap();
    let records: usize = found.values().map(Vec::len).sum();
    assert_eq!(end[0]["records"], records);
    found
}

// ---- asked for, and taken back ------------------------------------------------------------------

#[tokio::test]
async fn the_owner_has_it_deleted_after_a_time_in_which_everything_works_and_nothing_is_added() {
    let spin = Spin::new().await;
    let asked = spin.delete(&spin.ann).await.ok(200);
    assert_eq!(asked["deletion_due_at"], crate::support::later(DAY * 30));
    for person in [ANN, BOB] {
        let mail = spin.app.mail_to(person, "Spin Ltd is to be deleted").await;
        assert!(mail.text.contains("can take that back"), "{}", mail.text);
    }
    spin.delete(&spin.ann).await.refused(409, "org_state");

    // Nobody who works with it is stopped.
    spin.app.heartbeat(&spin.seat).await.ok(200);
    spin.app.acquire(&spin.license, "hw-2").await.ok(201);
    assert_eq!(items(&spin.there.get("/api/v1/licenses").await.ok(200)).len(), 1);

    let invite = json!({"email": "cleo@example.com", "role": "member"});
    spin.bob.post(&spin.path("/invitations"), invite).await.refused(409, "org_state");
    let other = spin.app.plan("Solo", 1).await;
    let trial = json!({"plan_id": other["plan_id"]});
    spin.there.post("/api/v1/subscriptions/trial", trial).await.refused(409, "org_state");
    let operator = spin.app.operator().await;
    let issue = json!({"org_id": spin.org_id, "max_concurrent_seats": 1});
    operator.post("/api/v1/admin/licenses", issue).await.refused(409, "org_state");
    let pay = json!({"org_id": spin.org_id, "plan_id": spin.plan["plan_id"]});
    operator.post("/api/v1/admin/payments", pay).await.refused(409, "org_state");
}

#[tokio::test]
async fn an_invitation_that_is_open_cannot_be_accepted_meanwhile() {
    let spin = Spin::new().await;
    let invite = json!({"email": "cleo@example.com", "role": "member"});
    spin.ann.post(&spin.path("/invitations"), invite).await.ok(201);
    let token = spin.app.mail_to("cleo@example.com", "Join").await.token();
    spin.delete(&spin.ann).await.ok(200);
    let accept = json!({"token": token, "full_name": "Cleo", "password": PASSWORD});
    let path = "/api/v1/invitations/accept";
    spin.app.anyone.post(path, accept.clone()).await.refused(409, "org_state");
    spin.restore(&spin.ann).await.ok(200);
    spin.app.anyone.post(path, accept).await.ok(200);
}

#[tokio::test]
async fn it_is_taken_back_within_the_time_and_stays() {
    let spin = Spin::new().await;
    spin.restore(&spin.ann).await.refused(409, "org_state");
    spin.delete(&spin.ann).await.ok(200);
    spin.app.advance(DAY * 29).await;
    let ann = spin.app.sign_in(ANN).await;
    let back = spin.restore(&ann).await.ok(200);
    assert_eq!(back["deletion_due_at"], Value::Null);
    spin.app.mail_to(BOB, "Spin Ltd stays").await;
    spin.app.advance(DAY * 2).await;
    let ann = spin.app.sign_in(ANN).await;
    ann.get(&spin.path("")).await.ok(200);
    // Asked for once more, the time begins anew.
    spin.delete(&ann).await.ok(200);
    spin.app.advance(DAY * 29).await;
    let ann = spin.app.sign_in(ANN).await;
    ann.get(&spin.path("")).await.ok(200);
    let audited = spin.app.audited().await;
    for action in ["org.deletion_asked", "org.deletion_taken_back"] {
        assert!(audited.contains(&action.to_owned()), "{action}");
    }
}

#[tokio::test]
async fn only_the_owner_or_an_operator_deletes_and_neither_by_a_key() {
    let spin = Spin::new().await;
    spin.delete(&spin.bob).await.refused(403, "forbidden");
    let stranger = spin.app.customer("dora@example.com").await;
    spin.delete(&stranger).await.refused(404, "not_found");
    let made = spin.there.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let key = spin.app.anyone.with_bearer(&text(&made["secret"]));
    spin.delete(&key).await.refused(403, "forbidden");
    let operator = spin.app.operator().await;
    spin.delete(&operator).await.ok(200);
    let seen = format!("/api/v1/admin/orgs/{}", text(&spin.org_id));
    assert_ne!(operator.get(&seen).await.ok(200)["deletion_due_at"], Value::Null);
    spin.restore(&spin.bob).await.refused(403, "forbidden");
    spin.restore(&key).await.refused(403, "forbidden");
    spin.restore(&operator).await.ok(200);
    assert_eq!(operator.get(&seen).await.ok(200)["deletion_due_at"], Value::Null);
}

#[tokio::test]
async fn the_name_shows_that_this_one_is_meant_and_ones_own_is_not_deleted() {
    let spin = Spin::new().await;
    let wrong = json!({"name": "Spin"});
    let answer = spin.ann.with_body(Method::DELETE, &spin.path(""), &wrong).await;
    answer.refused_field("name");
    let own = format!("/api/v1/orgs/{}", text(&spin.ann.user["org_id"]));
    let name = json!({"name": "Loom Ltd"});
    spin.ann.with_body(Method::DELETE, &own, &name).await.refused(409, "org_state");
}

#[tokio::test]
async fn an_open_purchase_order_is_settled_first() {
    let spin = Spin::new().await;
    let operator = spin.app.operator().await;
    let subscription = spin.license["subscription_id"].clone();
    let order =
        json!({"subscription_id": subscription, "kind": "purchase_order", "reference": "PO 7"});
    let order = operator.post("/api/v1/admin/payments", order).await.ok(201);
    let refused = spin.delete(&spin.ann).await.refused(409, "org_state");
    assert!(text(&refused["detail"]).contains("purchase order"), "{refused}");
    let id = text(&order["payment_id"]);
    operator.post_nothing(&format!("/api/v1/admin/payments/{id}/settle")).await.ok(200);
    spin.delete(&spin.ann).await.ok(200);
}

#[tokio::test]
async fn what_stripe_bills_is_cancelled_first_and_runs_out_before_it_is_erased() {
    let shop = Shop::open().await;
    shop.subscribe().await;
    let ann = shop.app.sign_in(ANN).await;
    let bob = shop.app.customer(BOB).await;
    let path = format!("/api/v1/orgs/{}", text(&ann.user["org_id"]));
    let invite = json!({"email": BOB, "role": "admin"});
    ann.post(&format!("{path}/invitations"), invite).await.ok(201);
    let token = shop.app.mail_to(BOB, "Join").await.token();
    bob.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
    let to_bob = json!({"user_id": bob.user["user_id"]});
    let given = ann.post(&format!("{path}/transfer"), to_bob).await.ok(200);
    let name = json!({"name": given["name"]});
    let refused = bob.with_body(Method::DELETE, &path, &name).await.refused(409, "org_state");
    assert!(text(&refused["detail"]).contains("cancel it first"), "{refused}");
    let there = bob.in_org(&given["org_id"]);
    let mine = there.get("/api/v1/subscriptions").await.ok(200);
    let id = text(&items(&mine)[0]["subscription_id"]);
    there.post_nothing(&format!("/api/v1/subscriptions/{id}/cancel")).await.ok(200);
    bob.with_body(Method::DELETE, &path, &name).await.ok(200);
    let checkout = json!({"plan_id": items(&mine)[0]["plan_id"]});
    there.post("/api/v1/checkout/session", checkout).await.refused(409, "org_state");
}

/// Whoever pays in the last moment gets what was paid for.
#[tokio::test]
async fn while_somebody_may_still_pay_nothing_is_erased() {
    let shop = Shop::open_with(|setup| setup.set("ORGS_DELETION_WAIT_DAYS", "0")).await;
    let ann = shop.app.sign_in(ANN).await;
    let org = ann.post("/api/v1/orgs", json!({"name": "Spin Ltd"})).await.ok(201);
    let there = ann.in_org(&org["org_id"]);
    let checkout = json!({"plan_id": shop.plan["plan_id"]});
    there.post("/api/v1/checkout/session", checkout).await.ok(201);
    let path = format!("/api/v1/orgs/{}", text(&org["org_id"]));
    ann.with_body(Method::DELETE, &path, &json!({"name": "Spin Ltd"})).await.ok(200);
    shop.app.settle().await;
    ann.get(&path).await.ok(200);
    shop.app.advance(DAY).await;
    shop.app.sign_in(ANN).await.get(&path).await.refused(404, "not_found");
}

/// Two who press the button at once: one is told that it was done.
#[tokio::test]
async fn of_two_who_ask_and_take_back_at_once_one_wins_each_time() {
    let spin = Spin::new().await;
    let operator = spin.app.operator().await;
    for _ in 0..10 {
        let both = tokio::join!(spin.delete(&spin.ann), spin.delete(&operator));
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let both = tokio::join!(spin.restore(&spin.ann), spin.restore(&operator));
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

// ---- erased -------------------------------------------------------------------------------------

#[tokio::test]
async fn when_the_time_is_over_everything_goes_but_what_the_books_need() {
    let spin = Spin::new().await;
    let operator = spin.app.operator().await;
    let subscription = spin.license["subscription_id"].clone();
    let payment = json!({"subscription_id": subscription, "periods": 3});
    let payment = operator.post("/api/v1/admin/payments", payment).await.ok(201);
    let made = spin.there.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let bobs = spin.bob.in_org(&spin.org_id);
    let bobs = bobs.post("/api/v1/api-keys", json!({"name": "bobs"})).await.ok(201);
    let invite = json!({"email": "cleo@example.com", "role": "member"});
    spin.ann.post(&spin.path("/invitations"), invite).await.ok(201);
    spin.delete(&spin.ann).await.ok(200);
    spin.app.advance(DAY * 30).await;

    let (ann, bob) = (spin.app.sign_in(ANN).await, spin.app.sign_in(BOB).await);
    for person in [&ann, &bob] {
        person.get(&spin.path("")).await.refused(404, "not_found");
        assert_eq!(items(&person.get("/api/v1/orgs").await.ok(200)).len(), 1);
        person.in_org(&spin.org_id).get("/api/v1/licenses").await.refused(404, "not_found");
    }
    for key in [made, bobs] {
        let key = spin.app.anyone.with_bearer(&text(&key["secret"]));
        key.get("/api/v1/orgs").await.refused(401, "unauthenticated");
    }
    spin.app.acquire(&spin.license, "hw-1").await.refused(404, "license_not_found");
    spin.app.heartbeat(&spin.seat).await.refused(404, "session_not_found");
    let body = json!({"license_key": spin.license["license_key"]});
    let valid = spin.app.anyone.post("/api/v1/licenses/validate", body).await.ok(200);
    assert_eq!((&valid["valid"], &valid["code"]), (&json!(false), &json!("license_not_found")));

    let operator = spin.app.operator().await;
    for list in ["licenses", "subscriptions", "sessions"] {
        let all = operator.get(&format!("/api/v1/admin/{list}")).await.ok(200);
        assert!(items(&all).is_empty(), "{list}: {all}");
    }
    let payments = operator.get("/api/v1/admin/payments").await.ok(200);
    assert_eq!(items(&payments)[0]["payment_id"], payment["payment_id"]);
    let kept = format!("/api/v1/admin/orgs/{}", text(&spin.org_id));
    let kept = operator.get(&kept).await.ok(200);
    assert_eq!(kept["name"], "Spin Ltd");
    assert_ne!(kept["erased_at"], Value::Null);
    let found = operator.get("/api/v1/admin/orgs?q=spin").await.ok(200);
    assert!(items(&found).is_empty());
    spin.app.mail_to(ANN, "Spin Ltd was deleted").await;
    assert!(operator.get("/api/v1/admin/audit/status").await.ok(200)["sound"].as_bool().unwrap());
    // Time goes on over what planned to look at it.
    spin.app.advance(DAY * 400).await;
}

#[tokio::test]
async fn a_trial_that_was_had_stays_had() {
    let spin = Spin::new().await;
    spin.delete(&spin.ann).await.ok(200);
    spin.app.advance(DAY * 31).await;
    let ann = spin.app.sign_in(ANN).await;
    let next = ann.post("/api/v1/orgs", json!({"name": "Spin Again"})).await.ok(201);
    let trial = json!({"plan_id": spin.plan["plan_id"]});
    let there = ann.in_org(&next["org_id"]);
    there.post("/api/v1/subscriptions/trial", trial).await.refused(409, "trial_used");
}

#[tokio::test]
async fn without_a_time_to_wait_it_is_erased_at_once() {
    let app = Setup::usual().set("ORGS_DELETION_WAIT_DAYS", "0").start().await;
    let spin = Spin::of(app).await;
    spin.delete(&spin.ann).await.ok(200);
    spin.app.settle().await;
    spin.ann.get(&spin.path("")).await.refused(404, "not_found");
    spin.restore(&spin.ann).await.refused(404, "not_found");
}

/// Many licences and machines are erased in bites. A job that is cut off, at any place, and one that is
/// done twice at once leave nothing behind and take nothing twice.
#[tokio::test]
async fn a_large_one_is_erased_in_bites_however_often_that_is_cut_off() {
    let spin = Spin::new().await;
    let operator = spin.app.operator().await;
    let mut keys = Vec::new();
    for nth in 0..110 {
        let issue = json!({"org_id": spin.org_id, "max_concurrent_seats": 2});
        let license = operator.post("/api/v1/admin/licenses", issue).await.ok(201);
        assert_eq!(license["org_id"], spin.org_id);
        if nth % 10 == 0 {
            spin.app.acquire(&license, "hw-1").await.ok(201);
        }
        keys.push(license);
    }
    for nth in 0..600 {
        let machine = format!("machine-{nth}");
        let body = json!({"license_key": keys[7]["license_key"], "hardware_id": machine});
        spin.app.anyone.post("/api/v1/licenses/activate", body).await.ok(201);
    }
    let other = spin.app.license(3).await;
    spin.app.acquire(&other, "hw-9").await.ok(201);
    spin.delete(&spin.ann).await.ok(200);
    let job = Job {
        job_id: JobId(uuid::Uuid::nil()),
        work: Work::EraseOrg { org_id: spin.id() },
        due: Timestamp(0),
        attempts: 0,
        last_error: None,
        created_at: Timestamp(0),
    };
    // As a crash does: what was committed stays, and nothing comes after it.
    spin.app.clock.advance(DAY * 31);
    for ms in 1..15 {
        let erasing = spin.app.services.erase_org_due(&job, spin.id());
        let _ = tokio::time::timeout(Duration::from_millis(ms), erasing).await;
    }
    let twice = tokio::join!(
        spin.app.services.erase_org_due(&job, spin.id()),
        spin.app.services.erase_org_due(&job, spin.id())
    );
    assert!(twice.0.is_ok() && twice.1.is_ok(), "{twice:?}");
    spin.app.settle().await;
    let operator = spin.app.operator().await;
    let left = operator.get("/api/v1/admin/licenses").await.ok(200);
    assert_eq!(items(&left).len(), 1, "another's stays");
    let seats = operator.get("/api/v1/admin/overview").await.ok(200);
    assert_eq!(seats["licenses"]["active"], 1);
    assert_eq!(seats["orgs"], 3, "the operator's, Ann's and Bob's own");
    let (figures, recounted) = figures_and_recounted(&spin.app.services).unwrap();
    assert_eq!(figures, recounted);
    let erased = spin.app.audited().await;
    assert_eq!(erased.iter().filter(|action| *action == "org.erased").count(), 1);
}

// ---- the export ---------------------------------------------------------------------------------

#[tokio::test]
async fn the_owner_takes_everything_along_and_nothing_that_opens_anything() {
    let spin = Spin::new().await;
    let operator = spin.app.operator().await;
    let issue = json!({"org_id": spin.org_id, "max_concurrent_seats": 2});
    let second = operator.post("/api/v1/admin/licenses", issue).await.ok(201);
    let pay = json!({"subscription_id": spin.license["subscription_id"]});
    let payment = operator.post("/api/v1/admin/payments", pay).await.ok(201);
    let invite = json!({"email": "cleo@example.com", "role": "member"});
    let invitation = spin.ann.post(&spin.path("/invitations"), invite).await.ok(201);

    let named = json!({"name": "Weavers"});
    let team = spin.ann.post(&spin.path("/teams"), named.clone()).await.ok(201);
    let project = spin.ann.post(&spin.path("/projects"), named).await.ok(201);
    let team_path = spin.path(&format!("/teams/{}", text(&team["team_id"])));
    let member = format!("{team_path}/members/{}", text(&spin.bob.user["user_id"]));
    spin.ann.with_body(Method::PUT, &member, &json!({"role": "member"})).await.ok(200);
    let grant = format!("{team_path}/licenses/{}", text(&second["license_id"]));
    spin.ann.with_body(Method::PUT, &grant, &json!({"seats_reserved": 1})).await.ok(200);
    let project_path = spin.path(&format!("/projects/{}", text(&project["project_id"])));
    let group = format!("{project_path}/licenses/{}", text(&second["license_id"]));
    spin.ann.send(spin.ann.request(Method::PUT, &group)).await.ok(200);

    let found = exported(&spin.ann, &spin.path("/export")).await;
    let ids = |kind: &str, id: &str| {
        let mut ids: Vec<_> = found[kind].iter().map(|record| text(&record[id])).collect();
        ids.sort();
        ids
    };
    let sorted = |ids: &[&Value]| {
        let mut ids: Vec<_> = ids.iter().map(|id| text(id)).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids("organisation", "name"), ["Spin Ltd"]);
    assert_eq!(ids("member", "email"), [ANN, BOB]);
    assert_eq!(ids("invitation", "invitation_id"), sorted(&[&invitation["invitation_id"]]));
    let licenses = [&spin.license["license_id"], &second["license_id"]];
    assert_eq!(ids("license", "license_id"), sorted(&licenses));
    assert_eq!(ids("activation", "hardware_id"), ["hw-1"]);
    assert_eq!(ids("seat", "hardware_id"), ["hw-1"]);
    let subscription = [&spin.license["subscription_id"]];
    assert_eq!(ids("subscription", "subscription_id"), sorted(&subscription));
    assert_eq!(ids("payment", "payment_id"), sorted(&[&payment["payment_id"]]));
    assert_eq!(ids("team", "team_id"), sorted(&[&team["team_id"]]));
    assert_eq!(ids("team_member", "email"), [BOB]);
    assert_eq!(ids("team_license", "license_id"), sorted(&[&second["license_id"]]));
    assert_eq!(ids("project", "project_id"), sorted(&[&project["project_id"]]));
    assert_eq!(ids("project_license", "license_id"), sorted(&[&second["license_id"]]));
    let actions = ids("audit", "action");
    for action in ["org.created", "member.joined", "license.issued", "org.exported"] {
        assert!(actions.iter().any(|each| each == action), "{action}: {actions:?}");
    }
    assert!(found["audit"].iter().all(|entry| entry["org_id"] == spin.org_id));

    let text_of_it = spin.ann.get(&spin.path("/export")).await.text;
    for secret in [&spin.license["license_key"], &second["license_key"], &spin.seat["session_id"]] {
        assert!(!text_of_it.contains(&text(secret)), "{secret}");
    }
    for word in ["token", "hash", "password", "secret", "127.0.0.1"] {
        assert!(!text_of_it.contains(&format!("\"{word}")), "{word}");
    }
    spin.bob.get(&spin.path("/export")).await.refused(403, "forbidden");
    operator.get(&spin.path("/export")).await.ok(200);

    // All of that goes with it.
    spin.delete(&spin.ann).await.ok(200);
    spin.app.advance(DAY * 30).await;
    let ann = spin.app.sign_in(ANN).await;
    for path in [&team_path, &project_path] {
        ann.get(path).await.refused(404, "not_found");
    }
}

/// What is more than a page of anything is exported whole.
#[tokio::test]
async fn a_large_one_is_exported_whole() {
    let company = Company::new().await;
    let operator = company.app.operator().await;
    for _ in 0..230 {
        let issue = json!({"org_id": company.org_id, "max_concurrent_seats": 2});
        let license = operator.post("/api/v1/admin/licenses", issue).await.ok(201);
        company.app.acquire(&license, "hw").await.ok(201);
    }
    let found = exported(&company.ann, &company.path("/export")).await;
    assert_eq!((found["license"].len(), found["seat"].len()), (230, 230));
    assert!(found["audit"].len() >= 231);
}
