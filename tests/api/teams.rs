//! `/orgs/{org_id}/teams` and `/orgs/{org_id}/projects`: who works together, with which licences.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::orgs::Company;
use crate::support::{Answer, Client, items, members, text};

const BOB: &str = "bob@example.com";

async fn put(client: &Client, path: &str, body: Value) -> Answer {
    client.with_body(Method::PUT, path, &body).await
}

/// A licence of the company's, issued by an operator.
async fn license(company: &Company, seats: u32) -> Value {
    // Of one instant, which came first is chance.
    company.app.clock.advance(Duration::from_millis(2));
    let issue = json!({"org_id": company.org_id, "max_concurrent_seats": seats});
    company.app.operator().await.post("/api/v1/admin/licenses", issue).await.ok(201)
}

async fn team(company: &Company, name: &str) -> String {
    let made = company.ann.post(&company.path("/teams"), json!({"name": name})).await.ok(201);
    company.path(&format!("/teams/{}", text(&made["team_id"])))
}

async fn project(company: &Company, name: &str) -> Value {
    company.ann.post(&company.path("/projects"), json!({"name": name})).await.ok(201)
}

fn project_path(company: &Company, project: &Value) -> String {
    company.path(&format!("/projects/{}", text(&project["project_id"])))
}

fn within(path: &str, kind: &str, id: &Value) -> String {
    format!("{path}/{kind}/{}", text(id))
}

// ---- teams --------------------------------------------------------------------------------------

#[tokio::test]
async fn a_team_is_made_renamed_listed_and_deleted() {
    let company = Company::new().await;
    let made = company.ann.post(&company.path("/teams"), json!({"name": " Looms "})).await.ok(201);
    assert_eq!(members(&made), ["created_at", "name", "org_id", "provisioned", "team_id"]);
    assert_eq!(made["name"], "Looms");
    let path = company.path(&format!("/teams/{}", text(&made["team_id"])));
    let twice = json!({"name": "LOOMS"});
    company.ann.post(&company.path("/teams"), twice.clone()).await.refused(409, "name_taken");
    company.ann.patch(&path, twice).await.ok(200);
    company.app.clock.advance(Duration::from_millis(2));
    let other = team(&company, "Spindles").await;
    company.ann.patch(&other, json!({"name": "looms"})).await.refused(409, "name_taken");
    company.ann.patch(&other, json!({"name": "   "})).await.refused_field("name");
    let page = company.ann.get(&company.path("/teams?limit=1")).await.ok(200);
    assert_eq!(items(&page)[0]["name"], "LOOMS");
    let next = format!("/teams?limit=1&cursor={}", text(&page["next_cursor"]));
    let page = company.ann.get(&company.path(&next)).await.ok(200);
    assert_eq!(
        (&items(&page)[0]["name"], &page["next_cursor"]),
        (&json!("Spindles"), &Value::Null)
    );
    company.ann.delete(&other).await.ok(200);
    company.ann.get(&other).await.refused(404, "not_found");
    let audited = company.app.audited().await;
    for action in ["team.created", "team.renamed", "team.deleted"] {
        assert!(audited.contains(&action.to_owned()), "{action}");
    }
}

#[tokio::test]
async fn members_of_the_organisation_join_teams_and_maintainers_say_who() {
    let company = Company::new().await;
    let path = team(&company, "Looms").await;
    let bob = company.joins(BOB, "member").await;
    let cleo = company.joins("cleo@example.com", "member").await;
    let stranger = company.app.customer("dora@example.com").await;
    let member = |id: &Value| within(&path, "members", id);
    let (as_member, as_maintainer) = (json!({"role": "member"}), json!({"role": "maintainer"}));
    let (bobs, cleos) = (member(&bob.user["user_id"]), member(&cleo.user["user_id"]));
    let doras = member(&stranger.user["user_id"]);
    put(&company.ann, &doras, as_member.clone()).await.refused(404, "not_found");
    put(&bob, &cleos, as_member.clone()).await.refused(403, "forbidden");
    put(&company.ann, &bobs, as_maintainer).await.ok(200);
    let added = put(&bob, &cleos, as_member.clone()).await.ok(200);
    assert_eq!((&added["role"], &added["email"]), (&json!("member"), &json!("cleo@example.com")));
    put(&cleo, &bobs, as_member.clone()).await.refused(403, "forbidden");
    put(&bob, &doras, as_member).await.refused(404, "not_found");
    // What a maintainer may not do: anything about the team but who belongs to it.
    bob.patch(&path, json!({"name": "Mine"})).await.refused(403, "forbidden");
    bob.delete(&path).await.refused(403, "forbidden");
    let seen = cleo.get(&format!("{path}/members")).await.ok(200);
    assert_eq!(items(&seen).len(), 2);
    cleo.delete(&cleos).await.ok(200);
    bob.delete(&cleos).await.refused(404, "not_found");
    stranger.get(&format!("{path}/members")).await.refused(404, "not_found");
}

#[tokio::test]
async fn whoever_leaves_the_organisation_leaves_its_teams() {
    let company = Company::new().await;
    let path = team(&company, "Looms").await;
    let bob = company.joins(BOB, "member").await;
    let bobs = within(&path, "members", &bob.user["user_id"]);
    put(&company.ann, &bobs, json!({"role": "maintainer"})).await.ok(200);
    let place = company.path(&format!("/members/{}", text(&bob.user["user_id"])));
    company.ann.delete(&place).await.ok(200);
    assert!(items(&company.ann.get(&format!("{path}/members")).await.ok(200)).is_empty());
    put(&bob, &bobs, json!({"role": "member"})).await.refused(404, "not_found");
}

#[tokio::test]
async fn there_are_so_many_teams_and_no_more() {
    let company = Company::new().await;
    for nth in 0..200 {
        team(&company, &format!("Team {nth}")).await;
    }
    let one_more = json!({"name": "One more"});
    company.ann.post(&company.path("/teams"), one_more).await.refused(409, "org_state");
}

// ---- licences of teams --------------------------------------------------------------------------

#[tokio::test]
async fn teams_reserve_no_more_seats_than_the_licence_has() {
    let company = Company::new().await;
    let license = license(&company, 5).await;
    let (looms, spindles) = (team(&company, "Looms").await, team(&company, "Spindles").await);
    let of = |path: &str| within(path, "licenses", &license["license_id"]);
    let seats = |seats: u32| json!({"seats_reserved": seats});
    let granted = put(&company.ann, &of(&looms), seats(3)).await.ok(200);
    assert_eq!(members(&granted), ["granted_at", "license_id", "seats_reserved", "team_id"]);
    let refused = put(&company.ann, &of(&spindles), seats(3)).await.refused(409, "license_state");
    assert!(text(&refused["detail"]).contains("3 are reserved for other teams: 2 can be"));
    put(&company.ann, &of(&spindles), seats(2)).await.ok(200);
    put(&company.ann, &of(&looms), seats(4)).await.refused(409, "license_state");
    put(&company.ann, &of(&looms), seats(0)).await.ok(200);
    put(&company.ann, &of(&spindles), seats(5)).await.ok(200);

    // Who pays decides how large a licence is: what is reserved stays, and no more can be.
    let operator = company.app.operator().await;
    let resize = format!("/api/v1/admin/licenses/{}/resize", text(&license["license_id"]));
    operator.post(&resize, json!({"max_concurrent_seats": 2})).await.ok(200);
    put(&company.ann, &of(&looms), seats(1)).await.refused(409, "license_state");
    put(&company.ann, &of(&spindles), seats(4)).await.ok(200);
    let listed = company.ann.get(&format!("{spindles}/licenses")).await.ok(200);
    assert_eq!(items(&listed)[0]["seats_reserved"], 4);

    company.ann.delete(&of(&spindles)).await.ok(200);
    company.ann.delete(&of(&spindles)).await.refused(404, "not_found");
    put(&company.ann, &of(&looms), seats(2)).await.ok(200);
    let audit = company.app.audit().await;
    let entry = audit.iter().rev().find(|entry| entry["action"] == "team.granted").unwrap();
    assert_eq!(entry["changes"]["seats_reserved"], json!({"before": "0", "after": "2"}));
}

/// Two who reserve the last seats at once: the licence is reserved once.
#[tokio::test]
async fn of_two_teams_that_reserve_the_same_seats_at_once_one_gets_them() {
    let company = Company::new().await;
    let (looms, spindles) = (team(&company, "Looms").await, team(&company, "Spindles").await);
    for _ in 0..10 {
        let license = license(&company, 5).await;
        let (looms, spindles) = (
            within(&looms, "licenses", &license["license_id"]),
            within(&spindles, "licenses", &license["license_id"]),
        );
        let all = json!({"seats_reserved": 5});
        let both = tokio::join!(
            put(&company.ann, &looms, all.clone()),
            put(&company.ann, &spindles, all.clone())
        );
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

#[tokio::test]
async fn anothers_licence_team_or_member_is_unknown() {
    let company = Company::new().await;
    let bob = company.app.customer(BOB).await;
    let org = format!("/api/v1/orgs/{}", text(&bob.user["org_id"]));
    let his = bob.post(&format!("{org}/teams"), json!({"name": "His"})).await.ok(201);
    let his_project = bob.post(&format!("{org}/projects"), json!({"name": "His"})).await.ok(201);
    let hers = license(&company, 5).await;
    let team = format!("{org}/teams/{}", text(&his["team_id"]));
    let grant = within(&team, "licenses", &hers["license_id"]);
    put(&bob, &grant, json!({"seats_reserved": 1})).await.refused(404, "not_found");
    let project = format!("{org}/projects/{}", text(&his_project["project_id"]));
    let group = within(&project, "licenses", &hers["license_id"]);
    bob.send(bob.request(Method::PUT, &group)).await.refused(404, "not_found");
    let ann = within(&team, "members", &company.ann.user["user_id"]);
    put(&bob, &ann, json!({"role": "member"})).await.refused(404, "not_found");
    // His team is none of hers, also under her organisation.
    let mixed = company.path(&format!("/teams/{}", text(&his["team_id"])));
    company.ann.get(&mixed).await.refused(404, "not_found");
    let list = format!("/api/v1/licenses?project_id={}", text(&his_project["project_id"]));
    company.ann.get(&list).await.refused(404, "not_found");
}

// ---- projects -----------------------------------------------------------------------------------

#[tokio::test]
async fn licences_are_grouped_in_projects_and_listed_by_them() {
    let company = Company::new().await;
    let (first, second) = (license(&company, 1).await, license(&company, 1).await);
    let (rig, mill) = (project(&company, "Rig").await, project(&company, "Mill").await);
    assert_eq!(members(&rig), ["archived_at", "created_at", "name", "org_id", "project_id"]);
    let add = async |project: &Value, license: &Value| {
        let path = within(&project_path(&company, project), "licenses", &license["license_id"]);
        company.ann.send(company.ann.request(Method::PUT, &path)).await
    };
    let listed = async |project: &Value| {
        let path = format!("/api/v1/licenses?project_id={}", text(&project["project_id"]));
        let page = company.ann.get(&path).await.ok(200);
        items(&page).iter().map(|each| text(&each["license_id"])).collect::<Vec<_>>()
    };
    add(&rig, &first).await.ok(200);
    add(&rig, &second).await.ok(200);
    assert_eq!(listed(&rig).await, [text(&second["license_id"]), text(&first["license_id"])]);
    // A licence is in one project: it leaves the other.
    add(&mill, &first).await.ok(200);
    assert_eq!(listed(&rig).await, [text(&second["license_id"])]);
    assert_eq!(listed(&mill).await, [text(&first["license_id"])]);
    let out = within(&project_path(&company, &rig), "licenses", &first["license_id"]);
    company.ann.delete(&out).await.refused(404, "not_found");
    let out = within(&project_path(&company, &mill), "licenses", &first["license_id"]);
    company.ann.delete(&out).await.ok(200);
    assert!(listed(&mill).await.is_empty());

    let path = project_path(&company, &rig);
    let archived = company.ann.patch(&path, json!({"archived": true})).await.ok(200);
    assert_ne!(archived["archived_at"], Value::Null);
    add(&rig, &first).await.refused(409, "org_state");
    assert_eq!(listed(&rig).await.len(), 1);
    company.ann.patch(&path, json!({"archived": false, "name": "Drill"})).await.ok(200);
    add(&rig, &first).await.ok(200);
    company.ann.delete(&path).await.ok(200);
    company.ann.get(&path).await.refused(404, "not_found");
    let all = company.ann.get("/api/v1/licenses").await.ok(200);
    assert_eq!(items(&all).len(), 2, "the licences stay");
    add(&mill, &first).await.ok(200);
}
