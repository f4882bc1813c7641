//! The audit log: what it tells, how it is narrowed, and that it can be proved.

use std::path::Path;
use std::process::Command;

use coditect::domain::audit::{AuditEntry, AuditFilter};
use coditect::domain::error::Result;
use coditect::domain::page::PageRequest;
use coditect::domain::time::Timestamp;
use coditect::signing::VerifyingKeys;
use coditect::signing::audit_file::{self, Verdict};
use coditect::store::{Table, audit};
use serde_json::{Value, json};

use crate::support::{DAY, HOUR, OPERATOR, PASSWORD, Person, Setup, TestApp, eventually, text};

async fn export(operator: &Person, query: &str) -> String {
    let answer = operator.get(&format!("/api/v1/admin/audit/export{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.text
}

async fn keys(app: &TestApp) -> String {
    app.anyone.get("/.well-known/jwks.json").await.ok(200).to_string()
}

async fn judged(app: &TestApp, file: &str) -> Verdict {
    let keys = VerifyingKeys::from_jwks(&keys(app).await).unwrap();
    audit_file::verify(file.as_bytes(), &keys).unwrap()
}

/// The list narrowed by a query, newest first.
async fn listed(operator: &Person, query: &str) -> Vec<Value> {
    operator.get(&format!("/api/v1/admin/audit?{query}")).await.list()
}

async fn newest(operator: &Person, action: &str) -> Value {
    let found = listed(operator, &format!("action={action}&limit=1")).await;
    found.into_iter().next().unwrap_or_else(|| panic!("no {action}"))
}

#[tokio::test]
async fn every_entry_says_who_on_whose_behalf_from_where_and_what_changed() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let plan = app.plan("Team", 5).await;
    let path = format!("/api/v1/admin/plans/{}", text(&plan["plan_id"]));
    operator.patch(&path, json!({"max_concurrent_seats": 8, "description": "More"})).await.ok(200);
    let changed = newest(&operator, "plan.changed").await;
    assert_eq!(changed["actor_email"], OPERATOR);
    assert_eq!(changed["address"], "127.0.0.1");
    assert!(changed["user_agent"].is_string() || changed["user_agent"].is_null());
    assert!(changed["request_id"].is_string());
    assert_eq!(
        changed["changes"],
        json!({
            "description": {"before": "", "after": "More"},
            "max_concurrent_seats": {"before": "5", "after": "8"},
        })
    );

    let license = app.license(3).await;
    let path = format!("/api/v1/admin/licenses/{}/resize", text(&license["license_id"]));
    operator.post(&path, json!({"max_concurrent_seats": 4})).await.ok(200);
    let resized = newest(&operator, "license.resized").await;
    assert_eq!(resized["org_id"], license["org_id"]);
    let change = &resized["changes"]["max_concurrent_seats"];
    assert_eq!(change, &json!({"before": "3", "after": "4"}));

    let ann = app.customer("ann@example.com").await;
    ann.patch("/api/v1/users/me", json!({"full_name": "Ann Loom"})).await.ok(200);
    let updated = newest(&operator, "user.updated").await;
    let expected = json!({"full_name": {"before": "Ann Weaver", "after": "Ann Loom"}});
    assert_eq!(updated["changes"], expected);
}

#[tokio::test]
async fn no_secret_gets_into_the_log() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let new = "nine loud herons at dawn";
    let body = json!({"current_password": PASSWORD, "new_password": new});
    ann.post("/api/v1/auth/change-password", body).await.ok(200);
    app.login("ann@example.com", "typed by mistake 77").await.refused(401, "invalid_credentials");
    let license = app.license(3).await;
    let operator = app.operator().await;
    let changed = newest(&operator, "user.password_changed").await;
    let change = json!({"before": "[redacted]", "after": "[redacted]"});
    assert_eq!(changed["changes"]["password_hash"], change);
    let log = format!("{}{}", export(&operator, "").await, export(&operator, "?format=csv").await);
    let key = text(&license["license_key"]);
    for secret in [PASSWORD, new, "typed by mistake", "argon2", key.as_str()] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_failed_sign_in_is_told_of_known_accounts_and_no_stranger_fills_the_log() {
    let app = TestApp::start().await;
    app.customer("ann@example.com").await;
    let operator = app.operator().await;
    for _ in 0..40 {
        app.login("ann@example.com", "wrong").await.refused(401, "invalid_credentials");
        app.login("nobody@example.com", "wrong").await.refused(401, "invalid_credentials");
    }
    let failed = || {
        let action = Some("user.sign_in_failed".to_owned());
        let filter = AuditFilter { action, ..AuditFilter::default() };
        let page = PageRequest::first();
        app.services.store.read(|tx| audit::list(tx, &filter, &page)).unwrap().items
    };
    eventually("the failures are noted", || failed().len() == 10).await;
    let told = newest(&operator, "user.sign_in_failed").await;
    assert_eq!(told["details"], json!({"reason": "wrong password", "within_hour": "10"}));
    assert_eq!((&told["actor"], &told["address"]), (&json!("anonymous"), &json!("127.0.0.1")));
    app.advance(HOUR).await;
    app.login("ann@example.com", "wrong").await.refused(401, "invalid_credentials");
    eventually("the next hour counts anew", || failed().len() == 11).await;
}

#[tokio::test]
async fn the_log_is_narrowed_by_action_actor_organisation_time_and_text() {
    let app = TestApp::start().await;
    let me = app.customer("ann@example.com").await.user.clone();
    app.advance(DAY).await;
    let license = app.license(3).await;
    let operator = app.operator().await;
    let actions = async |query: &str| -> Vec<String> {
        let found = listed(&operator, query).await;
        found.iter().map(|entry| text(&entry["action"])).collect()
    };
    assert!(actions("action=license.").await.iter().all(|action| action.starts_with("license.")));
    assert!(actions("action=license.").await.contains(&"license.issued".to_owned()));
    let by_ann = actions("actor=ann@example.com").await;
    assert_eq!(actions(&format!("actor={}", text(&me["user_id"]))).await, by_ann);
    assert!(by_ann.contains(&"user.signed_in".to_owned()), "{by_ann:?}");
    assert!(actions("actor=nobody@example.com").await.is_empty());
    assert!(actions("actor=system").await.contains(&"key.created".to_owned()));
    let of_org = listed(&operator, &format!("org_id={}", text(&license["org_id"]))).await;
    assert!(!of_org.is_empty());
    assert!(of_org.iter().all(|entry| entry["org_id"] == license["org_id"]));
    let later = actions("from=2030-01-16").await;
    assert!(later.contains(&"license.issued".to_owned()), "{later:?}");
    assert!(!later.contains(&"user.registered".to_owned()), "{later:?}");
    let earlier = actions("to=2030-01-16T00:00:00Z").await;
    assert!(!earlier.contains(&"license.issued".to_owned()), "{earlier:?}");
    assert!(earlier.contains(&"user.registered".to_owned()), "{earlier:?}");
    assert_eq!(actions("q=ANN%20weaver&limit=200").await, ["user.registered"]);
    assert!(actions("q=nothing%20has%20this").await.is_empty());
    operator.get("/api/v1/admin/audit?from=yesterday").await.refused(400, "validation_failed");
    let narrowed = "/api/v1/admin/audit/export?format=jsonl&action=license.";
    operator.get(narrowed).await.refused(400, "validation_failed");
}

#[tokio::test]
async fn an_export_is_proved_by_this_program_and_by_one_that_has_nothing_of_it() {
    let app = TestApp::start().await;
    app.license(3).await;
    for _ in 0..3 {
        app.advance(DAY).await;
        app.operator().await;
    }
    let operator = app.operator().await;
    let file = export(&operator, "").await;
    let verdict = judged(&app, &file).await;
    assert!(verdict.is_whole(), "{verdict:?}");
    assert_eq!(verdict.days, 3, "{file}");
    assert!(file.lines().nth_back(1).unwrap().contains("audit.exported"), "itself included");

    let said = python(&app, &file).await;
    assert_eq!(said, json!({"entries": verdict.entries, "days": 3}));

    let part = export(&operator, "?from=2030-01-16&to=2030-01-18").await;
    let verdict = judged(&app, &part).await;
    assert!(verdict.is_whole(), "{verdict:?}");
    assert!(verdict.first_seq > 1);
    python(&app, &part).await;

    let none = export(&operator, "?from=2040-01-01").await;
    let verdict = judged(&app, &none).await;
    assert!(verdict.is_whole() && verdict.entries == 0, "{verdict:?}");

    let changed = file.replacen("license.issued", "license.revoked", 1);
    let verdict = judged(&app, &changed).await;
    assert_eq!(verdict.faults.len(), 1, "{verdict:?}");
}

/// What a verifier in Python says, which has nothing of this program.
async fn python(app: &TestApp, file: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let (export, jwks) = (folder.path().join("audit.jsonl"), folder.path().join("jwks.json"));
    std::fs::write(&export, file).unwrap();
    std::fs::write(&jwks, keys(app).await).unwrap();
    let output = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("tests/python/verify_audit.py"))
        .args([export, jwks])
        .output()
        .expect("no .venv/bin/python: see tests/pyjwt.rs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn old_entries_go_by_whole_days_and_the_rest_is_still_proved() {
    let app = Setup::usual().set("RETENTION_AUDIT_DAYS", "2").start().await;
    let first = export(&app.operator().await, "").await;
    assert!(judged(&app, &first).await.is_whole());
    for _ in 0..5 {
        app.advance(DAY).await;
        app.operator().await;
    }
    app.advance(HOUR).await;
    let operator = app.operator().await;
    let status = operator.get("/api/v1/admin/audit/status").await.ok(200);
    assert_eq!(status["sound"], true, "{status}");
    let first_seq = status["first_seq"].as_u64().unwrap();
    assert!(first_seq > 1, "{status}");
    let removed = newest(&operator, "audit.removed").await;
    assert_eq!(text(&removed["subject"]), (first_seq - 1).to_string());
    let file = export(&operator, "").await;
    let verdict = judged(&app, &file).await;
    assert!(verdict.is_whole(), "{verdict:?}");
    assert_eq!(verdict.first_seq, first_seq);
    let second = file.lines().nth(1).unwrap();
    assert!(second.contains("signed_head"), "it follows on a signed day: {second}");
    python(&app, &file).await;

    // A build that knew of fewer histories has left its entries in one that it did not know.
    let oldest = app.services.store.read(|tx| audit::get(tx, first_seq)).unwrap();
    let notes: Table<(String, u64), bool> = Table::new("audit_log_by_subject");
    let whose = oldest.subject.clone();
    let note = move |tx: &mut coditect::store::WriteTx<'_>| {
        let mut left = [1, first_seq - 1].into_iter();
        left.try_for_each(|seq| tx.put(&notes, &(whose.clone(), seq), &true))
    };
    app.services.store.write(note).await.unwrap();
    let history = listed(&operator, &format!("subject={}", oldest.subject)).await;
    assert_eq!(history.last().unwrap()["seq"], first_seq);
}

#[tokio::test]
async fn a_key_that_was_replaced_meanwhile_still_proves_what_it_signed() {
    let app = TestApp::start().await;
    app.advance(DAY).await;
    app.operator().await;
    app.services.rotate_license_key(&coditect::services::Actor::of_the_computer()).await.unwrap();
    app.advance(DAY).await;
    let operator = app.operator().await;
    let file = export(&operator, "").await;
    let verdict = judged(&app, &file).await;
    assert!(verdict.is_whole() && verdict.days == 2, "{verdict:?}");
    python(&app, &file).await;

    // With the newest key alone the end is proved, and through it everything before.
    let published = app.anyone.get("/api/v1/keys").await.list();
    let newest = published
        .iter()
        .find(|key| key["purpose"] == "license" && key["retired_at"].is_null())
        .unwrap();
    let keys = VerifyingKeys::from_pem(&text(&newest["public_key_pem"])).unwrap();
    let verdict = audit_file::verify(file.as_bytes(), &keys).unwrap();
    assert!(verdict.is_whole(), "{verdict:?}");
    assert_eq!((verdict.days, verdict.days_unchecked), (1, 1));
}

#[tokio::test]
async fn the_order_is_that_of_the_log_also_when_the_clock_was_set_back() {
    let app = TestApp::start().await;
    app.advance(DAY).await;
    app.license(1).await;
    let before = app.audit().await.len();
    let ordered = |tx: &_| -> Result<Vec<(u64, Timestamp)>> {
        let entries = audit::starting_at(tx, 1, 1_000)?;
        Ok(entries.into_iter().map(|entry| (entry.seq, entry.at)).collect())
    };
    // An entry of a day that is over, as a clock that was set back would make it.
    let back = |tx: &mut coditect::store::WriteTx<'_>| {
        let mut late = audit::get(tx, 1)?;
        late.action = "clock.set_back".to_owned();
        audit::append(tx, late)
    };
    app.services.store.write(back).await.unwrap();
    let entries = app.services.store.read(ordered).unwrap();
    assert!(entries.iter().map(|(seq, _)| *seq).eq(1..=entries.len() as u64));
    assert!(entries.len() > before);
    let operator = app.operator().await;
    let file = export(&operator, "").await;
    assert!(judged(&app, &file).await.is_whole());
    let listed = listed(&operator, "limit=3").await;
    assert_eq!(listed[2]["action"], "clock.set_back", "{listed:?}");
}

#[tokio::test]
async fn changes_that_fail_leave_no_hole_and_those_of_one_commit_follow_on_one_another() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..40 {
        let operator = (*operator).clone();
        asked.spawn(async move {
            // Every other one is refused in its transaction: the name is taken.
            let plan = json!({
                "plan_name": format!("Plan {}", number / 2), "max_concurrent_seats": 1,
                "monthly_price_cents": 100, "currency": "EUR",
            });
            operator.post("/api/v1/admin/plans", plan).await.status
        });
    }
    asked.join_all().await;
    let status = operator.get("/api/v1/admin/audit/status").await.ok(200);
    assert_eq!(status["sound"], true, "{status}");
    assert_eq!(status["entries"], status["last_seq"]);
    let whole = app.services.store.read(|tx| audit::check(tx, u64::MAX)).unwrap();
    assert_eq!(whole, Ok(status["last_seq"].as_u64().unwrap()));
}

#[tokio::test]
async fn a_row_that_was_altered_in_the_database_is_noticed() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    app.license(1).await;
    let mut entry = app.services.store.read(|tx| audit::get(tx, 2)).unwrap();
    entry.subject = "somebody else".to_owned();
    let table: Table<u64, AuditEntry> = Table::new("audit_log");
    app.services.store.write(move |tx| tx.put(&table, &2, &entry)).await.unwrap();
    let status = operator.get("/api/v1/admin/audit/status").await.ok(200);
    assert_eq!(status["sound"], false);
    assert_eq!(status["trouble"], "entry 2 is not what was written");
    let report = operator.get("/api/v1/admin/diagnostics").await.ok(200);
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "audit");
    assert_eq!(check.unwrap()["state"], "problem", "{report}");
}

#[tokio::test]
async fn a_table_is_for_people_and_holds_no_formula() {
    let app = TestApp::start().await;
    let body = json!({"email": "eve@example.com", "password": PASSWORD, "full_name": "=1+1"});
    app.anyone.post("/api/v1/auth/register", body).await.ok(201);
    let operator = app.operator().await;
    let table = export(&operator, "?format=csv&action=user.registered").await;
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("seq,at,actor,email,"), "{table}");
    assert_eq!(rows.len(), 2, "{table}");
    assert!(!table.contains(",=1"), "{table}");
}
