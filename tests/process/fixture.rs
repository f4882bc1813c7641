//! Keeps a database of the present schema for `tests/upgrade.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Client, Home, OPERATOR, text, until};

async fn known_by(operator: &Client, path: &str, field: &str) -> Vec<String> {
    let mut names: Vec<String> =
        operator.list(path).await.iter().map(|item| text(&item[field])).collect();
    names.sort();
    names
}

/// Uses a server in every way that leaves records.
async fn use_it(operator: &Client) -> Value {
    let plan = json!({
        "plan_name": "Team", "description": "For teams", "max_concurrent_seats": 5, "monthly_price_cents": 4900,
        "yearly_price_cents": 49_000, "currency": "EUR", "trial_duration_days": 14,
        "features": {"export": true, "projects": 20, "support": "e-mail"},
    });
    let plan = operator.post("/api/v1/admin/plans", plan).await.expect(&[201]);
    let trial = json!({"plan_id": plan["plan_id"]});
    let trial = operator.post("/api/v1/subscriptions/trial", trial).await.expect(&[201]);
    let license = operator.issue(3).await;
    operator.activate(&license, "laptop-1").await.expect(&[201]);
    operator.activate(&license, "laptop-2").await.expect(&[201]);
    let seat = operator.acquire(&license, "laptop-1").await.expect(&[201]);
    operator.acquire(&license, "laptop-2").await.expect(&[201]);
    operator.release(&text(&seat["session_id"])).await.expect(&[200]);
    let reader = crate::support::person("reader@example.com");
    operator.post("/api/v1/auth/register", reader).await.expect(&[201]);
    let payment = json!({
        "subscription_id": trial["subscription_id"], "amount_cents": 4900, "currency": "EUR", "reference": "PO-1",
    });
    operator.post("/api/v1/admin/payments", payment).await.expect(&[201])
}

#[tokio::test]
#[ignore = "writes tests/fixtures: run it once for each schema that is released"]
async fn keep_a_database_of_this_schema() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    use_it(&operator).await;
    until("the mails are sent", async || {
        operator.list("/api/v1/admin/emails").await.iter().all(|mail| mail["status"] == "sent")
    })
    .await;
    let mut written: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (kind, path, field) in [
        ("users", "/api/v1/admin/users", "email"),
        ("orgs", "/api/v1/admin/orgs", "name"),
        ("plans", "/api/v1/admin/plans", "plan_name"),
        ("subscriptions", "/api/v1/admin/subscriptions", "subscription_id"),
        ("payments", "/api/v1/admin/payments", "payment_id"),
        ("licenses", "/api/v1/admin/licenses", "license_key"),
        ("mails", "/api/v1/admin/emails", "message"),
        ("jobs", "/api/v1/admin/jobs", "kind"),
        ("audit", "/api/v1/admin/audit", "action"),
    ] {
        written.insert(kind, known_by(&operator, path, field).await);
    }
    let mut machines = Vec::new();
    for license in operator.list("/api/v1/admin/licenses").await {
        let path = format!("/api/v1/licenses/{}/activations", text(&license["license_id"]));
        machines.extend(known_by(&operator, &path, "hardware_id").await);
    }
    written.insert("activations", machines);
    assert!(written["users"].contains(&OPERATOR.to_owned()));
    server.stop();

    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let version = coditect::store::Schema::CURRENT.version;
    let named = |ending: &str| fixtures.join(format!("schema-{version}.{ending}"));
    let backup = home.path().join("kept");
    home.run(&["backup", backup.to_str().unwrap()]).succeeded();
    fs::copy(backup, named("redb")).unwrap();
    fs::copy(home.master_key(), named("master.key")).unwrap();
    fs::write(named("json"), serde_json::to_string_pretty(&written).unwrap() + "\n").unwrap();
}
