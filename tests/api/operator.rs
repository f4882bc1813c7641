//! `/admin`: what operators do and see.

use coditect::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::{
    DAY, OPERATOR, START, Setup, TestApp, claims, eventually, items, later, members, text,
};

const ANN: &str = "ann@example.com";

fn path(license: &Value, act: &str) -> String {
    format!("/api/v1/admin/licenses/{}/{act}", text(&license["license_id"]))
}

/// A licence of Ann's that no subscription pays for.
async fn anns_license(app: &TestApp) -> Value {
    app.customer(ANN).await;
    let body = json!({"email": ANN, "max_concurrent_seats": 2});
    app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201)
}

// ---- acts on licences --------------------------------------------------------------------------

#[tokio::test]
async fn an_operator_issues_a_licence_and_its_owner_gets_it_by_mail() {
    let app = TestApp::start().await;
    let license = anns_license(&app).await;
    assert_eq!((&license["status"], &license["issued_at"]), (&json!("active"), &json!(START)));
    let key = text(&license["license_key"]);
    let mail = app.mail_to(ANN, "Your licence").await;
    assert!(mail.text.contains(&key) && mail.html.contains(&key), "{}", mail.text);
    let [(name, file)] = &mail.attachments[..] else { panic!("one file: {mail:?}") };
    assert!(!name.is_empty());
    let token: String = file.lines().filter(|line| !line.starts_with("-----")).collect();
    assert_eq!(claims(&token)["license_key"], json!(key));
    assert!(app.audited().await.contains(&"license.issued".to_owned()));
}

#[tokio::test]
async fn a_licence_is_issued_from_a_plan_or_with_values_of_its_own() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let plan = app.plan("Team", 5).await;
    let operator = app.operator().await;
    let issue = |body: Value| operator.post("/api/v1/admin/licenses", body);
    let from_plan =
        issue(json!({"org_id": ann.user["org_id"], "plan_id": plan["plan_id"]})).await.ok(201);
    assert_eq!(
        (&from_plan["plan_name"], &from_plan["max_concurrent_seats"]),
        (&json!("Team"), &json!(5))
    );
    assert_eq!(
        (&from_plan["features"], &from_plan["org_id"]),
        (&plan["features"], &ann.user["org_id"])
    );
    let own = json!({"email": ANN, "plan_id": plan["plan_id"], "max_concurrent_seats": 50, "max_activations": 60,
        "expiry_date": later(DAY), "features": {"export": false}});
    let own = issue(own).await.ok(201);
    assert_eq!((&own["max_concurrent_seats"], &own["max_activations"]), (&json!(50), &json!(60)));
    assert_eq!(
        (&own["expiry_date"], &own["features"]),
        (&json!(later(DAY)), &json!({"export": false}))
    );

    let nobody = json!("00000000-0000-7000-8000-000000000000");
    issue(json!({"email": "nobody@example.com", "max_concurrent_seats": 1}))
        .await
        .refused(404, "not_found");
    issue(json!({"org_id": nobody, "max_concurrent_seats": 1})).await.refused(404, "not_found");
    issue(json!({"email": ANN, "plan_id": nobody})).await.refused(404, "not_found");
    issue(json!({"max_concurrent_seats": 1})).await.refused_field("org_id");
    issue(json!({"email": ANN, "org_id": ann.user["org_id"], "max_concurrent_seats": 1}))
        .await
        .refused_field("org_id");
    for (field, value) in [
        ("max_concurrent_seats", json!(0)),
        ("max_concurrent_seats", json!(1_000_001)),
        ("max_activations", json!(0)),
        ("expiry_date", json!(START)),
        ("expiry_date", json!("tomorrow")),
        ("expiry_date", json!(1_900_000_000)),
        ("expiry_date", json!("2030-02-30T00:00:00Z")),
        ("email", json!("not an address")),
    ] {
        let mut body = json!({"email": ANN, "max_concurrent_seats": 1});
        body[field] = value;
        issue(body).await.refused_field(field);
    }
    issue(json!({"email": ANN})).await.refused_field("max_concurrent_seats");
}

#[tokio::test]
async fn suspending_and_reinstating_are_mailed_with_the_reason_and_audited() {
    let app = TestApp::start().await;
    let license = anns_license(&app).await;
    let operator = app.operator().await;
    operator.post_nothing(&path(&license, "reinstate")).await.refused(409, "license_state");
    let suspended = operator
        .post(&path(&license, "suspend"), json!({"reason": "chargeback – größer"}))
        .await
        .ok(200);
    assert_eq!(
        (&suspended["status"], &suspended["suspended_by"]),
        (&json!("suspended"), &json!("operator"))
    );
    operator.post_nothing(&path(&license, "suspend")).await.refused(409, "license_state");
    let mail = app.mail_to(ANN, "is suspended").await;
    assert!(mail.text.contains("chargeback – größer"), "{}", mail.text);
    assert!(!mail.text.contains(&text(&license["license_key"])), "the whole key is mailed once");
    let active = operator.post_nothing(&path(&license, "reinstate")).await.ok(200);
    assert_eq!((&active["status"], active.get("suspended_by")), (&json!("active"), None));
    app.mail_to(ANN, "works again").await;
    let audited = app.audited().await;
    for action in ["license.suspended", "license.reinstated"] {
        assert!(audited.contains(&action.to_owned()), "{action} in {audited:?}");
    }
    operator
        .post(&path(&license, "suspend"), json!({"reason": "x".repeat(501)}))
        .await
        .refused_field("reason");
}

#[tokio::test]
async fn revoking_is_for_good() {
    let app = TestApp::start().await;
    let license = anns_license(&app).await;
    let operator = app.operator().await;
    assert_eq!(operator.post_nothing(&path(&license, "revoke")).await.ok(200)["status"], "revoked");
    app.mail_to(ANN, "was revoked").await;
    for act in ["revoke", "reinstate", "suspend"] {
        operator.post_nothing(&path(&license, act)).await.refused(409, "license_state");
    }
    operator
        .post(&path(&license, "extend"), json!({"expiry_date": later(DAY)}))
        .await
        .refused(409, "license_state");
    operator
        .post(&path(&license, "resize"), json!({"max_concurrent_seats": 3}))
        .await
        .refused(409, "license_state");
    assert!(app.audited().await.contains(&"license.revoked".to_owned()));
}

#[tokio::test]
async fn extending_moves_the_end_and_revives_what_had_expired() {
    let app = TestApp::start().await;
    let license = anns_license(&app).await;
    let operator = app.operator().await;
    operator
        .post(&path(&license, "extend"), json!({"expiry_date": START}))
        .await
        .refused_field("expiry_date");
    let ending =
        operator.post(&path(&license, "extend"), json!({"expiry_date": later(DAY)})).await.ok(200);
    assert_eq!((&ending["status"], &ending["expiry_date"]), (&json!("active"), &json!(later(DAY))));
    app.advance(DAY).await;
    app.acquire(&license, "hw-1").await.refused(403, "license_expired");
    app.mail_to(ANN, "has expired").await;
    assert!(app.audited().await.contains(&"license.expired".to_owned()));

    let operator = app.operator().await;
    let revived =
        operator.post(&path(&license, "extend"), json!({"expiry_date": null})).await.ok(200);
    assert_eq!((&revived["status"], &revived["expiry_date"]), (&json!("active"), &Value::Null));
    app.acquire(&license, "hw-1").await.ok(201);
}

#[tokio::test]
async fn a_licence_that_follows_a_subscription_is_extended_by_paying() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer(ANN).await;
    let trial =
        ann.post("/api/v1/subscriptions/trial", json!({"plan_id": plan["plan_id"]})).await.ok(201);
    let body = json!({"expiry_date": later(DAY)});
    app.operator()
        .await
        .post(&path(&trial["license"], "extend"), body)
        .await
        .refused(409, "license_state");
}

#[tokio::test]
async fn a_suspension_by_an_operator_is_not_lifted_by_a_payment() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer(ANN).await;
    let trial =
        ann.post("/api/v1/subscriptions/trial", json!({"plan_id": plan["plan_id"]})).await.ok(201);
    let operator = app.operator().await;
    operator.post_nothing(&path(&trial["license"], "suspend")).await.ok(200);
    let payment = json!({"subscription_id": trial["subscription_id"]});
    let recorded = operator.post("/api/v1/admin/payments", payment).await.ok(201);
    assert_eq!(
        (&recorded["subscription"]["status"], &recorded["license"]["status"]),
        (&json!("active"), &json!("suspended"))
    );
    app.acquire(&trial["license"], "hw-1").await.refused(403, "license_suspended");
}

#[tokio::test]
async fn resizing_changes_the_seats_and_the_signed_licence() {
    let app = TestApp::start().await;
    let license = anns_license(&app).await;
    let operator = app.operator().await;
    let resized =
        operator.post(&path(&license, "resize"), json!({"max_concurrent_seats": 9})).await.ok(200);
    assert_eq!(resized["max_concurrent_seats"], 9);
    let body = json!({"license_key": license["license_key"], "hardware_id": "hw-1"});
    let activated = app.anyone.post("/api/v1/licenses/activate", body).await.ok(201);
    assert_eq!(claims(&text(&activated["signed_license"]))["max_seats"], 9);
    for seats in [json!(0), json!(1_000_001), json!("9"), Value::Null] {
        operator
            .post(&path(&license, "resize"), json!({"max_concurrent_seats": seats}))
            .await
            .refused_field("max_concurrent_seats");
    }
}

// ---- what operators see ------------------------------------------------------------------------

#[tokio::test]
async fn the_overview_counts_what_there_is() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer(ANN).await;
    let trial =
        ann.post("/api/v1/subscriptions/trial", json!({"plan_id": plan["plan_id"]})).await.ok(201);
    app.acquire(&trial["license"], "hw-1").await.ok(201);
    let small = app.license(1).await;
    app.acquire(&small, "hw-1").await.ok(201);
    app.acquire(&small, "hw-2").await.refused(409, "no_seats_available");
    app.settle().await;
    let overview = app.operator().await.get("/api/v1/admin/overview").await.ok(200);
    assert_eq!(
        overview["seats"],
        json!({"live": 2, "peak": 2, "denials": 1, "licenses_in_use": 2})
    );
    assert_eq!(
        (&overview["licenses"]["active"], &overview["subscriptions"]["trialing"]),
        (&json!(2), &json!(1))
    );
    assert_eq!((&overview["users"], &overview["orgs"]), (&json!(2), &json!(2)));
    assert_eq!(
        (&overview["jobs"]["parked"], &overview["mails"]["waiting"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(overview["storage"], json!({"status": "writable", "reason": null}));
    assert_eq!(overview["signing_key"]["status"], "ready");
}

#[tokio::test]
async fn operators_list_people_organisations_licences_and_settings() {
    let app = TestApp::start().await;
    let license = anns_license(&app).await;
    let operator = app.operator().await;
    let list = async |noun: &str| operator.get(&format!("/api/v1/admin/{noun}")).await.list();
    let users = list("users").await;
    let mut emails: Vec<_> = users.iter().map(|user| text(&user["email"])).collect();
    emails.sort();
    assert_eq!(emails, [ANN, OPERATOR]);
    assert!(!format!("{users:?}").contains("argon2"));
    assert_eq!(list("orgs").await.len(), 2);
    assert_eq!(list("licenses").await, [license]);
    let settings = list("settings").await;
    let setting = |key: &str| settings.iter().find(|setting| setting["key"] == key).unwrap();
    assert_eq!(setting("license.grace_days")["value"], "7");
    assert!(text(&setting("auth.address_burst")["source"]).contains("CODITECT_AUTH_ADDRESS_BURST"));
    assert!(!format!("{settings:?}").contains(crate::support::PASSWORD), "secrets are not shown");
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_when_by_which_request() {
    let app = TestApp::start().await;
    let license = anns_license(&app).await;
    let operator = app.operator().await;
    let answer = operator.post_nothing(&path(&license, "suspend")).await;
    let request_id = answer.header("x-request-id").to_owned();
    answer.ok(200);
    let entries = app.audit().await;
    let entry = entries.iter().find(|entry| entry["action"] == "license.suspended").unwrap();
    assert_eq!(
        members(entry),
        [
            "action",
            "actor",
            "actor_email",
            "address",
            "api_key_id",
            "at",
            "audit_id",
            "changes",
            "details",
            "hash",
            "org_id",
            "request_id",
            "seq",
            "subject",
            "user_agent",
            "user_id"
        ]
    );
    assert_eq!((&entry["actor"], &entry["user_id"]), (&json!("user"), &operator.user["user_id"]));
    assert_eq!((&entry["subject"], &entry["org_id"]), (&license["license_id"], &license["org_id"]));
    assert_eq!((&entry["request_id"], &entry["at"]), (&json!(request_id), &json!(START)));
}

#[tokio::test]
async fn the_e_mail_log_says_what_was_sent_to_whom_and_why() {
    let app = TestApp::start().await;
    anns_license(&app).await;
    app.settle().await;
    let page = app.operator().await.get("/api/v1/admin/emails").await.ok(200);
    let mail = items(&page).iter().find(|mail| mail["message"] == "license_delivered").unwrap();
    assert_eq!(
        (&mail["to"], &mail["status"], &mail["cause"]),
        (&json!(ANN), &json!("sent"), &json!("license.issued"))
    );
    assert_eq!((&mail["attempts"], &mail["sent_at"]), (&json!(1), &json!(START)));
}

#[tokio::test]
async fn a_mail_that_fails_is_tried_again_later_and_later_then_parked_for_an_operator() {
    let app =
        Setup::usual().set("JOBS_MAX_ATTEMPTS", "3").set("JOBS_RETRY_BASE_S", "30").start().await;
    // A file where the folder was: no message can be written.
    let folder = app.data().join("mail");
    std::fs::rename(&folder, app.data().join("mail.away")).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    app.register(ANN).await.ok(201);
    app.settle().await;
    let operator = app.operator().await;
    let jobs = async || operator.get("/api/v1/admin/jobs").await.list();
    let waiting = jobs().await;
    let job = waiting.iter().find(|job| job["kind"] == "send_mail").unwrap();
    assert_eq!(job["attempts"], 1);
    // Up to half of the pause is left out by chance.
    let due: Timestamp = text(&job["due"]).parse().unwrap();
    let pause_ms = due.0 - START.parse::<Timestamp>().unwrap().0;
    assert!((15_001..=30_000).contains(&pause_ms), "{pause_ms}");
    assert!(!text(&job["last_error"]).is_empty());
    app.advance(std::time::Duration::from_secs(30)).await;
    assert_eq!(app.parked(), 0);
    app.advance(std::time::Duration::from_mins(1)).await;
    assert_eq!(app.parked(), 1);
    let operator = app.operator().await;
    let parked = operator.get("/api/v1/admin/jobs?parked=true").await.list();
    assert_eq!((&parked[0]["kind"], &parked[0]["attempts"]), (&json!("send_mail"), &json!(3)));
    let log = operator.get("/api/v1/admin/emails").await.list();
    assert_eq!((&log[0]["status"], &log[0]["attempts"]), (&json!("parked"), &json!(3)));

    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(app.data().join("mail.away"), &folder).unwrap();
    let path = format!("/api/v1/admin/jobs/{}/retry", text(&parked[0]["job_id"]));
    operator.post_nothing(&path).await.ok(200);
    let app_ref = &app;
    eventually("the parked job is done", || app_ref.parked() == 0).await;
    let log = operator.get("/api/v1/admin/emails").await.list();
    assert_ne!(log[0]["status"], json!("parked"), "nothing waits for an operator any more");
    app.mail_to(ANN, "Confirm").await;
    operator.post_nothing(&path).await.refused(404, "not_found");
    assert!(app.audited().await.contains(&"job.retried".to_owned()));
}

#[tokio::test]
async fn a_parked_message_is_sent_after_all_and_one_that_was_sent_is_not_sent_twice() {
    let app =
        Setup::usual().set("JOBS_MAX_ATTEMPTS", "3").set("JOBS_RETRY_BASE_S", "30").start().await;
    let folder = app.data().join("mail");
    std::fs::rename(&folder, app.data().join("mail.away")).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    app.register(ANN).await.ok(201);
    app.settle().await;
    app.advance(std::time::Duration::from_secs(30)).await;
    app.advance(std::time::Duration::from_mins(1)).await;
    assert_eq!(app.parked(), 1);
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(app.data().join("mail.away"), &folder).unwrap();
    let operator = app.operator().await;
    let parked = operator.get("/api/v1/admin/emails?status=parked").await.list();
    let job = operator.get("/api/v1/admin/jobs?parked=true").await.list().remove(0);
    let path = format!("/api/v1/admin/emails/{}", text(&parked[0]["mail_id"]));
    operator.post_nothing(&format!("{path}/retry")).await.ok(200);
    app.mail_to(ANN, "Confirm").await;
    assert_eq!(app.parked(), 0);
    app.settle().await;
    operator.post_nothing(&format!("{path}/retry")).await.refused(409, "mail_state");
    let retry_job = format!("/api/v1/admin/jobs/{}/retry", text(&job["job_id"]));
    operator.post_nothing(&retry_job).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_message_that_waits_has_one_job_however_often_it_is_tried() {
    let app = Setup::usual().set("JOBS_RETRY_BASE_S", "30").start().await;
    let folder = app.data().join("mail");
    std::fs::rename(&folder, app.data().join("mail.away")).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    app.register(ANN).await.ok(201);
    app.settle().await;
    let operator = app.operator().await;
    let waiting = operator.get("/api/v1/admin/emails?status=waiting").await.list();
    let retry = format!("/api/v1/admin/emails/{}/retry", text(&waiting[0]["mail_id"]));
    for _ in 0..5 {
        operator.post_nothing(&retry).await.ok(200);
        app.settle().await;
    }
    let jobs = operator.get("/api/v1/admin/jobs").await.list();
    assert_eq!(jobs.iter().filter(|job| job["kind"] == "send_mail").count(), 1, "{jobs:?}");
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(app.data().join("mail.away"), &folder).unwrap();
    operator.post_nothing(&retry).await.ok(200);
    app.mail_to(ANN, "Confirm").await;
    app.settle().await;
    let jobs = operator.get("/api/v1/admin/jobs").await.list();
    assert!(jobs.iter().all(|job| job["kind"] != "send_mail"), "{jobs:?}");
}

#[tokio::test]
async fn a_message_is_read_as_its_recipient_does_but_opens_nothing() {
    let app = TestApp::start().await;
    let license = anns_license(&app).await;
    app.anyone.post("/api/v1/auth/forgot-password", json!({"email": ANN})).await.ok(202);
    let reset = app.mail_to(ANN, "password").await;
    let operator = app.operator().await;
    let log = operator.get("/api/v1/admin/emails").await.list();
    for mail in &log {
        let path = format!("/api/v1/admin/emails/{}", text(&mail["mail_id"]));
        let seen = operator.get(&path).await.ok(200);
        for part in ["subject", "text", "html"] {
            assert!(!text(&seen[part]).is_empty(), "{part} of {}", mail["message"]);
        }
        let all = seen.to_string();
        assert!(!all.contains(&text(&license["license_key"])), "{}", mail["message"]);
        assert!(!all.contains("token=c") && !all.contains(&reset.token()), "{}", mail["message"]);
    }
    let names: Vec<_> = log.iter().map(|mail| text(&mail["message"])).collect();
    assert!(names.contains(&"license_delivered".to_owned()), "{names:?}");
    assert!(names.contains(&"password_reset".to_owned()), "{names:?}");
}

#[tokio::test]
async fn a_licence_is_mailed_again_on_an_operators_word() {
    let app = TestApp::start().await;
    let license = anns_license(&app).await;
    app.settle().await;
    let before = app.subjects_to(ANN).await.len();
    app.operator().await.post_nothing(&path(&license, "resend")).await.ok(202);
    app.settle().await;
    let subjects = app.subjects_to(ANN).await;
    assert_eq!(subjects.len(), before + 1, "{subjects:?}");
    assert!(app.audited().await.contains(&"license.resent".to_owned()));
}

#[tokio::test]
async fn the_overview_tells_what_needs_attention_and_what_came_in() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let overview = async || operator.get("/api/v1/admin/overview").await.ok(200);
    let fresh = overview().await;
    assert_eq!((&fresh["revenue"], &fresh["last_backup"]), (&json!([]), &Value::Null));
    let codes = |overview: &Value| -> Vec<String> {
        let all = overview["attention"].as_array().unwrap();
        all.iter().map(|item| text(&item["code"])).collect()
    };
    assert!(codes(&fresh).is_empty(), "{fresh}");
    assert!(fresh["disk"]["free_bytes"].as_u64() > Some(0));
    let ann = app.customer(ANN).await;
    let plan = app.plan("Team", 5).await;
    let pay = json!({"org_id": ann.user["org_id"], "plan_id": plan["plan_id"]});
    for _ in 0..2 {
        operator.post("/api/v1/admin/payments", pay.clone()).await;
    }
    let earned = overview().await;
    let month = &earned["revenue"][0];
    assert_eq!((&month["month"], &month["currency"]), (&json!("2030-01"), &json!("EUR")));
    let price = plan["monthly_price_cents"].as_u64().unwrap();
    let payments = month["payments"].as_u64().unwrap();
    assert_eq!(month["amount_cents"].as_u64().unwrap(), price * payments);
    assert_eq!(codes(&earned), ["backup_age"], "there is something to lose now");
    operator.post_nothing("/api/v1/admin/backups").await.ok(201);
    let kept = overview().await;
    assert!(codes(&kept).is_empty() && kept["last_backup"]["bytes"].as_u64() > Some(0), "{kept}");
}

#[tokio::test]
async fn the_newest_log_lines_and_the_history_of_seats_are_lists() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    for path in ["logs?level=warn&limit=10&q=x", "logs", "seats/history"] {
        operator.get(&format!("/api/v1/admin/{path}")).await.list();
    }
    operator.get("/api/v1/admin/logs?cursor=AAAA").await.refused(400, "invalid_cursor");
    operator.get("/api/v1/admin/logs?level=loud").await.refused(400, "validation_failed");
}

#[tokio::test]
async fn one_who_looks_on_is_told_of_changes_until_signed_out() {
    let app = TestApp::start().await;
    let license = anns_license(&app).await;
    let operator = app.sign_in(OPERATOR).await;
    let path = format!("/api/v1/admin/events?license_id={}", text(&license["license_id"]));
    let mut stream = operator.request(reqwest::Method::GET, &path).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut heard = String::new();
    // The event that these words are in, whole.
    let mut hear = async |words: &str| loop {
        while let Some((event, rest)) = heard.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            heard = rest;
            if event.contains(words) {
                return event;
            }
        }
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        heard.push_str(&String::from_utf8_lossy(&chunk));
    };
    let document = app.anyone.get("/openapi.json").await.ok(200);
    let schemas = &document["components"]["schemas"];
    let changes = schemas["Change"]["anyOf"].as_array().unwrap();
    let described = |event: &str| {
        let data = event.lines().find_map(|line| line.strip_prefix("data:")).unwrap();
        let data: Value = serde_json::from_str(data.trim()).unwrap();
        changes.iter().any(|change| {
            let name = text(&change["$ref"]);
            let schema = &schemas[name.rsplit('/').next().unwrap()];
            let known = members(&schema["properties"]);
            members(&data).iter().all(|member| known.contains(member))
        })
    };
    assert!(described(&hear("event: overview").await), "as the document has it");
    app.acquire(&license, "hw-1").await.ok(201);
    assert!(described(&hear("\"seats_used\":1").await), "as the document has it");
    operator.post_nothing("/api/v1/auth/logout").await.ok(200);
    while let Some(chunk) = stream.chunk().await.unwrap() {
        assert!(!chunk.is_empty());
    }
}

#[tokio::test]
async fn backups_are_listed_fetched_and_removed() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let made = operator.post_nothing("/api/v1/admin/backups").await.ok(201);
    let listed = operator.get("/api/v1/admin/backups").await.list();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["file"], &listed[0]["bytes"]), (&made["file"], &made["bytes"]));
    let path = format!("/api/v1/admin/backups/{}", text(&made["file"]));
    let fetched = operator.request(reqwest::Method::GET, &path).send().await.unwrap();
    let named = fetched.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(named.starts_with("attachment") && named.contains(&text(&made["file"])), "{named}");
    assert_eq!(fetched.content_length(), made["bytes"].as_u64());
    let kept = std::fs::read(app.data().join("backups").join(text(&made["file"]))).unwrap();
    assert!(fetched.bytes().await.unwrap() == kept);
    let elsewhere = json!({"path": app.data().join("x.cdt")});
    operator.post("/api/v1/admin/backups", elsewhere).await.refused(403, "forbidden");
    let restore = format!("{path}/restore");
    operator.post(&restore, json!({"confirm": "yes"})).await.refused_field("confirm");
    operator.delete(&path).await.ok(200);
    operator.get(&path).await.refused(404, "not_found");
    for odd in ["..%2Fcoditect.redb", "%2Fetc%2Fpasswd", "..backup", ".backup"] {
        let path = format!("/api/v1/admin/backups/{odd}");
        operator.get(&path).await.refused(404, "not_found");
    }
    std::fs::write(app.data().join("backups/damaged.backup"), "no database").unwrap();
    let damaged = "/api/v1/admin/backups/damaged.backup/restore";
    let answer = operator.post(damaged, json!({"confirm": "damaged.backup"})).await;
    answer.refused(409, "backup_unusable");
}

#[tokio::test]
async fn a_backup_is_made_while_the_server_runs() {
    let app = TestApp::start().await;
    let answer = app.operator().await.post_nothing("/api/v1/admin/backups").await.ok(201);
    let file = app.data().join("backups").join(text(&answer["file"]));
    assert_eq!(std::fs::metadata(file).unwrap().len(), answer["bytes"].as_u64().unwrap());
    assert!(app.audited().await.contains(&"backup.made".to_owned()));
    // The clock stands still: a second one of the same instant is another file.
    let again = app.operator().await.post_nothing("/api/v1/admin/backups").await.ok(201);
    assert_ne!(answer["file"], again["file"]);
}
