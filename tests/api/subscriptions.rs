//! Trials, subscriptions and payments. What time does to them is in `journey`.

use serde_json::{Value, json};

use crate::support::{DAY, OPERATOR, START, TestApp, items, later, members, text, without};

const SUBSCRIPTION: [&str; 16] = [
    "cancel_at_period_end",
    "canceled_at",
    "created_at",
    "current_period_end",
    "current_period_start",
    "grace_period_ends_at",
    "interval",
    "org_id",
    "plan_id",
    "plan_name",
    "quantity",
    "status",
    "stripe_subscription_id",
    "subscription_id",
    "trial_end",
    "user_id",
];

async fn start_trial(ann: &crate::support::Person, plan: &Value) -> crate::support::Answer {
    ann.post("/api/v1/subscriptions/trial", json!({"plan_id": plan["plan_id"]})).await
}

async fn pay(app: &TestApp, body: Value) -> crate::support::Answer {
    app.operator().await.post("/api/v1/admin/payments", body).await
}

fn path(subscription: &Value, act: &str) -> String {
    format!("/api/v1/subscriptions/{}/{act}", text(&subscription["subscription_id"]))
}

#[tokio::test]
async fn a_trial_starts_a_subscription_with_its_licence() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let trial = start_trial(&ann, &plan).await.ok(201);
    assert_eq!(
        (&trial["status"], &trial["trial_end"]),
        (&json!("trialing"), &json!(later(14 * DAY)))
    );
    let subscription = &trial["subscription"];
    assert_eq!(members(subscription), SUBSCRIPTION);
    assert_eq!(subscription["subscription_id"], trial["subscription_id"]);
    assert_eq!(
        (&subscription["current_period_start"], &subscription["current_period_end"]),
        (&json!(START), &json!(later(14 * DAY)))
    );
    let license = &trial["license"];
    assert_eq!(
        (&license["status"], &license["max_concurrent_seats"]),
        (&json!("active"), &json!(5))
    );
    assert_eq!((&license["plan_name"], &license["features"]), (&json!("Team"), &plan["features"]));
    assert_eq!(
        (&license["subscription_id"], &license["expiry_date"]),
        (&trial["subscription_id"], &json!(later(14 * DAY)))
    );
    assert_eq!(
        items(&ann.get("/api/v1/subscriptions").await.ok(200)),
        std::slice::from_ref(subscription)
    );
    assert_eq!(items(&ann.get("/api/v1/licenses").await.ok(200)), std::slice::from_ref(license));
}

#[tokio::test]
async fn a_trial_is_had_once_for_each_organisation_and_plan() {
    let app = TestApp::start().await;
    let (team, studio) = (app.plan("Team", 5).await, app.plan("Studio", 9).await);
    let ann = app.customer("ann@example.com").await;
    start_trial(&ann, &team).await.ok(201);
    start_trial(&ann, &team).await.refused(409, "trial_used");
    start_trial(&ann, &studio).await.ok(201);
    start_trial(&app.customer("bob@example.com").await, &team).await.ok(201);
    assert_eq!(items(&ann.get("/api/v1/subscriptions").await.ok(200)).len(), 2);
}

#[tokio::test]
async fn two_trials_asked_for_at_once_are_one() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let (one, two) = tokio::join!(start_trial(&ann, &plan), start_trial(&ann, &plan));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn a_trial_needs_a_plan_that_has_one() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let body = json!({"plan_name": "Solid", "max_concurrent_seats": 1, "monthly_price_cents": 1, "currency": "EUR", "trial_duration_days": 0});
    let plan = operator.post("/api/v1/admin/plans", body).await.ok(201);
    let ann = app.customer("ann@example.com").await;
    start_trial(&ann, &plan).await.refused(409, "trial_unavailable");
    start_trial(&ann, &json!({"plan_id": "00000000-0000-7000-8000-000000000000"}))
        .await
        .refused(404, "not_found");
    start_trial(&ann, &json!({"plan_id": "team"})).await.refused_field("plan_id");
}

#[tokio::test]
async fn a_recorded_payment_starts_a_subscription_and_its_licence_is_mailed() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let body = json!({"org_id": ann.user["org_id"], "plan_id": plan["plan_id"], "interval": "year", "reference": "PO 4711"});
    let recorded = pay(&app, body).await.ok(201);
    assert_eq!(members(&recorded), ["license", "payment", "payment_id", "subscription"]);
    let payment = &recorded["payment"];
    assert_eq!((&payment["amount_cents"], &payment["currency"]), (&json!(49000), &json!("EUR")));
    assert_eq!((&payment["reference"], &payment["periods"]), (&json!("PO 4711"), &json!(1)));
    assert_eq!(
        (&recorded["subscription"]["status"], &recorded["subscription"]["interval"]),
        (&json!("active"), &json!("year"))
    );
    assert_eq!(recorded["subscription"]["current_period_end"], "2031-01-15T09:00:00Z");
    assert_eq!(recorded["license"]["status"], "active");
    assert_eq!(items(&ann.get("/api/v1/payments").await.ok(200)), std::slice::from_ref(payment));
    let all = app.operator().await.get("/api/v1/admin/payments").await.list();
    assert_eq!(all[0]["customer"]["email"], "ann@example.com");
    assert_eq!(without(&all[0], "customer"), *payment);
    app.mail_to("ann@example.com", "Payment received").await;
    let mail = app.mail_to("ann@example.com", "Your licence").await;
    assert!(mail.text.contains(&text(&recorded["license"]["license_key"])), "{}", mail.text);
    assert!(app.audited().await.contains(&"payment.recorded".to_owned()));
}

#[tokio::test]
async fn a_payment_during_the_trial_extends_what_is_there() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let trial = start_trial(&ann, &plan).await.ok(201);
    let recorded =
        pay(&app, json!({"subscription_id": trial["subscription_id"], "periods": 2})).await.ok(201);
    assert_eq!(
        (&recorded["payment"]["amount_cents"], &recorded["payment"]["periods"]),
        (&json!(9800), &json!(2))
    );
    assert_eq!(recorded["subscription"]["status"], "active");
    // Two months after the trial's end of 29 January.
    assert_eq!(recorded["subscription"]["current_period_end"], "2030-03-29T09:00:00Z");
    assert_eq!(recorded["license"]["license_id"], trial["license"]["license_id"]);
    assert_eq!(recorded["license"]["expiry_date"], "2030-03-29T09:00:00Z");
}

#[tokio::test]
async fn a_month_after_the_31st_is_the_last_day_of_a_shorter_month() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    app.advance(16 * DAY).await;
    let body = json!({"org_id": ann.user["org_id"], "plan_id": plan["plan_id"]});
    let recorded = pay(&app, body).await.ok(201);
    assert_eq!(recorded["subscription"]["current_period_start"], "2030-01-31T09:00:00Z");
    assert_eq!(recorded["subscription"]["current_period_end"], "2030-02-28T09:00:00Z");
}

#[tokio::test]
async fn a_payment_names_what_it_is_for() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let (org_id, plan_id) = (&ann.user["org_id"], &plan["plan_id"]);
    let nobody = json!("00000000-0000-7000-8000-000000000000");
    for body in [
        json!({}),
        json!({"org_id": org_id}),
        json!({"plan_id": plan_id}),
        json!({"subscription_id": nobody, "org_id": org_id}),
    ] {
        pay(&app, body).await.refused_field("subscription_id");
    }
    let sound = json!({"org_id": org_id, "plan_id": plan_id});
    for (field, value) in [
        ("amount_cents", json!(-1)),
        ("amount_cents", json!(1.5)),
        ("periods", json!(0)),
        ("periods", json!(37)),
        ("currency", json!("euro")),
        ("reference", json!("x".repeat(201))),
        ("reference", json!("a\u{0}b")),
        ("interval", json!("week")),
    ] {
        let mut body = sound.clone();
        body[field] = value;
        pay(&app, body).await.refused_field(field);
    }
    pay(&app, json!({"subscription_id": nobody})).await.refused(404, "not_found");
    pay(&app, json!({"org_id": nobody, "plan_id": plan_id})).await.refused(404, "not_found");
    pay(&app, json!({"org_id": org_id, "plan_id": nobody})).await.refused(404, "not_found");
    assert!(items(&ann.get("/api/v1/payments").await.ok(200)).is_empty());
}

#[tokio::test]
async fn a_cancellation_takes_effect_with_the_period_and_can_be_taken_back() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let trial = start_trial(&ann, &plan).await.ok(201);
    ann.post_nothing(&path(&trial, "resume")).await.refused(409, "subscription_state");
    let canceled = ann.post_nothing(&path(&trial, "cancel")).await.ok(200);
    assert_eq!(
        (&canceled["status"], &canceled["cancel_at_period_end"]),
        (&json!("trialing"), &json!(true))
    );
    app.acquire(&trial["license"], "hw-1").await.ok(201);
    let resumed = ann.post_nothing(&path(&trial, "resume")).await.ok(200);
    assert_eq!(resumed["cancel_at_period_end"], false);

    ann.post(&path(&trial, "cancel"), json!({"at_period_end": true})).await.ok(200);
    app.advance(14 * DAY).await;
    let ann = app.sign_in("ann@example.com").await;
    let ended = &items(&ann.get("/api/v1/subscriptions").await.ok(200))[0].clone();
    assert_eq!(
        (&ended["status"], &ended["canceled_at"]),
        (&json!("canceled"), &json!(later(14 * DAY)))
    );
    app.acquire(&trial["license"], "hw-1").await.refused(403, "license_expired");
    app.mail_to("ann@example.com", "has ended").await;
    let audited = app.audited().await;
    for action in
        ["subscription.canceled", "subscription.resumed", "subscription.ended", "license.expired"]
    {
        assert!(audited.contains(&action.to_owned()), "{action} in {audited:?}");
    }
    ann.post_nothing(&path(&trial, "cancel")).await.refused(409, "subscription_state");
    ann.post_nothing(&path(&trial, "resume")).await.refused(409, "subscription_state");
    pay(&app, json!({"subscription_id": trial["subscription_id"]}))
        .await
        .refused(409, "subscription_state");
}

#[tokio::test]
async fn a_subscription_canceled_at_once_ends_at_once_and_that_is_mailed() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let trial = start_trial(&ann, &plan).await.ok(201);
    let seat = app.acquire(&trial["license"], "hw-1").await.ok(201);
    let canceled = ann.post(&path(&trial, "cancel"), json!({"at_period_end": false})).await.ok(200);
    assert_eq!(
        (&canceled["status"], &canceled["canceled_at"]),
        (&json!("canceled"), &json!(START))
    );
    app.heartbeat(&seat).await.refused(403, "license_expired");
    app.mail_to("ann@example.com", "has ended").await;
}

#[tokio::test]
async fn operators_see_every_subscription() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    for email in ["ann@example.com", "bob@example.com"] {
        start_trial(&app.customer(email).await, &plan).await.ok(201);
    }
    let operator = app.sign_in(OPERATOR).await;
    assert_eq!(items(&operator.get("/api/v1/admin/subscriptions").await.ok(200)).len(), 2);
    assert!(items(&operator.get("/api/v1/subscriptions").await.ok(200)).is_empty());
}
