//! The nine steps from registration to renewal, with the process stopped between any two of them.
//! Nothing is lost, and each step is mailed and audited.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::keys::verified;
use crate::support::{DAY, HOUR, MINUTE, PASSWORD, Person, Setup, TestApp, claims, items, text};

const ANN: &str = "ann@example.com";

async fn subscription(app: &TestApp) -> Value {
    let page = app.sign_in(ANN).await.get("/api/v1/subscriptions").await.ok(200);
    items(&page)[0].clone()
}

async fn license(app: &TestApp) -> Value {
    let page = app.sign_in(ANN).await.get("/api/v1/licenses").await.ok(200);
    items(&page)[0].clone()
}

/// The statuses of Ann's subscription and licence.
async fn stands(app: &TestApp) -> (String, String) {
    (text(&subscription(app).await["status"]), text(&license(app).await["status"]))
}

async fn pay(app: &TestApp, subscription_id: &Value) -> Value {
    let reference = format!("bank statement of {}", app.clock.now().wall);
    let body = json!({"subscription_id": subscription_id, "reference": reference});
    let operator = app.operator().await;
    let recorded = operator.post("/api/v1/admin/payments", body.clone()).await.ok(201);
    // Whoever clicks twice pays once.
    operator.post("/api/v1/admin/payments", body).await.refused(409, "payment_exists");
    recorded
}

async fn validated(app: &TestApp, license: &Value) -> Value {
    app.anyone
        .post("/api/v1/licenses/validate", json!({"license_key": license["license_key"]}))
        .await
        .ok(200)
}

/// How often each of these was audited.
async fn audited(app: &TestApp, actions: &[&str]) -> Vec<usize> {
    let audited = app.audited().await;
    actions.iter().map(|action| audited.iter().filter(|entry| entry == action).count()).collect()
}

/// How many mails to Ann have a subject with these words.
async fn mailed(app: &TestApp, words: &str) -> usize {
    app.subjects_to(ANN).await.iter().filter(|subject| subject.contains(words)).count()
}

/// Ann on trial: the first four steps, in one go.
async fn on_trial(app: &TestApp) -> (Person, Value) {
    let plan = app.plan("Team", 2).await;
    let ann = app.customer(ANN).await;
    let trial =
        ann.post("/api/v1/subscriptions/trial", json!({"plan_id": plan["plan_id"]})).await.ok(201);
    (ann, trial)
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "it is one story, told in order")]
async fn from_registration_to_renewal_with_the_process_stopped_between_any_two_steps() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 2).await;

    // 1. Register, verify, sign in.
    app.register(ANN).await.ok(201);
    let app = app.restart().await;
    let token = app.mail_to(ANN, "Confirm").await.token();
    app.anyone.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok(200);
    let app = app.restart().await;
    let signed_in = app.login(ANN, PASSWORD).await.ok(200);
    let app = app.restart().await;
    app.anyone
        .post("/api/v1/auth/verify-email", json!({"token": token}))
        .await
        .refused(400, "invalid_token");
    // The sign-in outlives the process.
    let ann = app.person(&signed_in);
    ann.get("/api/v1/users/me").await.ok(200);

    // 2. Choose a plan. 3. Start its trial: nothing is paid yet.
    let plans = app.anyone.get("/api/v1/plans").await.ok(200);
    assert_eq!(items(&plans), std::slice::from_ref(&plan));
    let trial =
        ann.post("/api/v1/subscriptions/trial", json!({"plan_id": plan["plan_id"]})).await.ok(201);
    assert_eq!(trial["trial_end"], "2030-01-29T09:00:00Z");
    let app = app.restart().await;

    // 4. The licence is generated, signed and mailed.
    assert_eq!(stands(&app).await, ("trialing".to_owned(), "active".to_owned()));
    let license = license(&app).await;
    assert_eq!(license["license_key"], trial["license"]["license_key"]);
    assert_eq!((mailed(&app, "has begun").await, mailed(&app, "Your licence").await), (1, 1));
    let mail = app.mail_to(ANN, "Your licence").await;
    assert!(mail.text.contains(&text(&license["license_key"])), "{}", mail.text);
    let [(_, file)] = &mail.attachments[..] else { panic!("the signed file: {mail:?}") };
    let token: String = file.lines().filter(|line| !line.starts_with("-----")).collect();
    assert_eq!(verified(&app, &token, Algorithm::RS256).await["sub"], license["license_id"]);
    assert_eq!(audited(&app, &["subscription.trial_started", "license.issued"]).await, [1, 1]);
    let app = app.restart().await;

    // 5. Activate.
    let body = json!({"license_key": license["license_key"], "hardware_id": "hw-1"});
    let activated = app.anyone.post("/api/v1/licenses/activate", body.clone()).await.ok(201);
    let app = app.restart().await;
    let again = app.anyone.post("/api/v1/licenses/activate", body).await.ok(200);
    assert_eq!(activated["activation_id"], again["activation_id"]);
    let said = verified(&app, &text(&again["signed_license"]), Algorithm::RS256).await;
    // The document of a trial with grace behind it ends with the grace: 2030-02-05T09:00:00Z, or with the trial.
    assert!([json!(1_895_907_600), json!(1_896_512_400)].contains(&said["exp"]), "{said}");

    // 6. Acquire, heartbeat, release.
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    let app = app.restart().await;
    app.heartbeat(&seat).await.ok(200);
    let app = app.restart().await;
    app.release(&seat).await.ok(200);
    let app = app.restart().await;
    app.heartbeat(&seat).await.refused(404, "session_not_found");

    // 7. The trial ends while nothing runs: grace begins, as of the trial's end.
    let app = app.restart_after(14 * DAY + MINUTE).await;
    assert_eq!(stands(&app).await, ("past_due".to_owned(), "grace".to_owned()));
    assert_eq!(subscription(&app).await["grace_period_ends_at"], "2030-02-05T09:00:00Z");
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    assert_eq!(seat["status"], "grace");
    assert_eq!(app.heartbeat(&seat).await.ok(200)["license_status"], "grace");
    let answer = validated(&app, &license).await;
    assert_eq!((&answer["valid"], &answer["code"]), (&json!(true), &json!("grace")));
    assert_eq!(answer["license"]["grace_period_ends_at"], "2030-02-05T09:00:00Z");
    assert_eq!(mailed(&app, "trial of CODITECT has ended").await, 1);
    assert_eq!(audited(&app, &["subscription.trial_ended", "license.grace"]).await, [1, 1]);

    // Grace ends: suspended, and who holds a seat is told at the next heartbeat.
    app.advance(6 * DAY + 23 * HOUR + 57 * MINUTE).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    app.advance(2 * MINUTE).await;
    app.heartbeat(&seat).await.refused(403, "license_suspended");
    app.acquire(&license, "hw-2").await.refused(403, "license_suspended");
    let app = app.restart().await;
    app.heartbeat(&seat).await.refused(403, "license_suspended");
    assert_eq!(stands(&app).await, ("unpaid".to_owned(), "suspended".to_owned()));
    let suspended = "/api/v1/admin/licenses?status=suspended";
    let suspended = app.operator().await.get(suspended).await.list();
    assert_eq!(suspended[0]["suspended_by"], "payment", "no operator can reinstate it");
    let answer = validated(&app, &license).await;
    assert_eq!((&answer["valid"], &answer["code"]), (&json!(false), &json!("license_suspended")));
    assert_eq!(mailed(&app, "is suspended").await, 1);
    assert_eq!(audited(&app, &["subscription.grace_ended", "license.suspended"]).await, [1, 1]);

    // 8. A payment lifts it; a new period begins with it.
    let app = app.restart_after(DAY).await;
    let recorded = pay(&app, &trial["subscription_id"]).await;
    assert_eq!(recorded["subscription"]["current_period_end"], "2030-03-06T09:00:00Z");
    let app = app.restart().await;
    assert_eq!(stands(&app).await, ("active".to_owned(), "active".to_owned()));
    let seat = app.acquire(&license, "hw-1").await;
    assert!(matches!(seat.status, 200 | 201), "{}", seat.text);
    assert_eq!((mailed(&app, "Payment received").await, mailed(&app, "works again").await), (1, 1));
    assert_eq!(audited(&app, &["payment.recorded", "license.active"]).await, [1, 1]);

    // The period ends unpaid: grace again, and a payment during grace goes on from the period's end.
    app.advance(28 * DAY).await;
    let app = app.restart().await;
    assert_eq!(stands(&app).await, ("past_due".to_owned(), "grace".to_owned()));
    assert_eq!(mailed(&app, "is due").await, 1);
    app.advance(3 * DAY).await;
    let recorded = pay(&app, &trial["subscription_id"]).await;
    assert_eq!(recorded["subscription"]["current_period_end"], "2030-04-06T09:00:00Z");
    let app = app.restart().await;
    assert_eq!(stands(&app).await, ("active".to_owned(), "active".to_owned()));

    // The next renewal comes before the end: no grace, and nobody is troubled.
    app.advance(20 * DAY).await;
    pay(&app, &trial["subscription_id"]).await;
    let app = app.restart_after(15 * DAY).await;
    assert_eq!(stands(&app).await, ("active".to_owned(), "active".to_owned()));
    assert_eq!(mailed(&app, "is due").await, 1);

    // Cancelled with the period: it ends for good, without grace.
    let ann = app.sign_in(ANN).await;
    ann.post_nothing(&format!("/api/v1/subscriptions/{}/cancel", text(&trial["subscription_id"])))
        .await
        .ok(200);
    let app = app.restart_after(30 * DAY).await;
    assert_eq!(stands(&app).await, ("canceled".to_owned(), "expired".to_owned()));
    app.acquire(&license, "hw-1").await.refused(403, "license_expired");
    assert_eq!(mailed(&app, "subscription of CODITECT has ended").await, 1);
    assert_eq!(
        audited(&app, &["subscription.canceled", "subscription.ended", "license.expired"]).await,
        [1, 1, 1]
    );

    // 9. The operator sees it all.
    let overview = app.operator().await.get("/api/v1/admin/overview").await.ok(200);
    assert_eq!(
        (&overview["jobs"]["parked"], &overview["mails"]["waiting"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(
        (&overview["subscriptions"]["canceled"], &overview["licenses"]["expired"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_server_that_slept_through_everything_takes_every_step_when_it_wakes() {
    let app = TestApp::start().await;
    let (_, trial) = on_trial(&app).await;
    let app = app.restart_after(40 * DAY).await;
    assert_eq!(stands(&app).await, ("unpaid".to_owned(), "suspended".to_owned()));
    app.acquire(&trial["license"], "hw-1").await.refused(403, "license_suspended");
    assert_eq!((mailed(&app, "has ended").await, mailed(&app, "is suspended").await), (1, 1));
    assert_eq!(
        audited(
            &app,
            &["subscription.trial_ended", "subscription.grace_ended", "license.suspended"]
        )
        .await,
        [1, 1, 1]
    );
    // Grace counts from the trial's end, not from when somebody noticed.
    let recorded = pay(&app, &trial["subscription_id"]).await;
    assert_eq!(recorded["subscription"]["current_period_start"], "2030-02-24T09:00:00Z");
}

#[tokio::test]
async fn mails_queued_before_the_process_ended_are_sent_once_by_the_next() {
    let app = TestApp::start().await;
    on_trial(&app).await;
    let before = app.mails().await.len();
    let app = app.restart().await;
    let app = app.restart().await;
    assert_eq!(app.mails().await.len(), before);
    let log = app.operator().await.get("/api/v1/admin/emails?limit=200").await.ok(200);
    assert_eq!(items(&log).len(), before);
    assert!(items(&log).iter().all(|mail| mail["status"] == "sent"));
}

#[tokio::test]
async fn a_status_is_right_at_its_instant_even_before_a_job_has_run() {
    let app = TestApp::start().await;
    let (_, trial) = on_trial(&app).await;
    app.settle().await;
    for (by, code) in [(14 * DAY, "grace"), (7 * DAY, "license_suspended")] {
        app.clock.advance(by);
        assert_eq!(validated(&app, &trial["license"]).await["code"], code);
    }
    app.acquire(&trial["license"], "hw-1").await.refused(403, "license_suspended");
    app.settle().await;
}

#[tokio::test]
async fn the_length_of_grace_is_a_setting_and_none_is_one_too() {
    for (days, after) in [("0", "suspended"), ("30", "grace")] {
        let app = Setup::usual().set("LICENSE_GRACE_DAYS", days).start().await;
        on_trial(&app).await;
        app.advance(14 * DAY).await;
        app.advance(Duration::from_secs(1)).await;
        assert_eq!(stands(&app).await.1, after, "{days} days");
    }
}

#[tokio::test]
async fn a_licence_in_grace_is_documented_until_the_end_of_grace() {
    let app = TestApp::start().await;
    let (_, trial) = on_trial(&app).await;
    app.advance(14 * DAY).await;
    let body = json!({"license_key": trial["license"]["license_key"], "hardware_id": "hw-1"});
    let activated = app.anyone.post("/api/v1/licenses/activate", body).await.ok(201);
    let said = claims(&text(&activated["signed_license"]));
    // 2030-02-05T09:00:00Z
    assert_eq!((&said["status"], &said["exp"]), (&json!("grace"), &json!(1_896_512_400)));
}
