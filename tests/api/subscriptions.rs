//! Trials, subscriptions and payments. What time does to them is in `journey`.

use serde_json::{Value, json};

use crate::support::{DAY, OPERATOR, START, TestApp, items, later, members, text, without};

const SUBSCRIPTION: [&str; 18] = [
    "amount_cents",
    "cancel_at_period_end",
    "canceled_at",
    "created_at",
    "currency",
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

// ---- purchase orders and credit ------------------------------------------------------------------

struct Ordered {
    app: TestApp,
    ann: crate::support::Person,
    outcome: Value,
}

impl Ordered {
    /// A year on a purchase order that is due within ten days.
    async fn new() -> Self {
        let app = TestApp::start().await;
        let plan = app.plan("Team", 5).await;
        let ann = app.customer("ann@example.com").await;
        let order = json!({
            "org_id": ann.user["org_id"], "plan_id": plan["plan_id"], "interval": "year",
            "kind": "purchase_order", "reference": "PO 4711", "due_days": 10,
        });
        let outcome = pay(&app, order).await.ok(201);
        Self { app, ann, outcome }
    }

    async fn settle(&self) -> crate::support::Answer {
        self.end("settle").await
    }

    async fn end(&self, act: &str) -> crate::support::Answer {
        let id = text(&self.outcome["payment_id"]);
        let operator = self.app.operator().await;
        operator.post_nothing(&format!("/api/v1/admin/payments/{id}/{act}")).await
    }

    async fn standing(&self) -> (String, String) {
        let ann = self.app.sign_in("ann@example.com").await;
        let subscription = items(&ann.get("/api/v1/subscriptions").await.ok(200))[0].clone();
        let license = items(&ann.get("/api/v1/licenses").await.ok(200))[0].clone();
        (text(&subscription["status"]), text(&license["status"]))
    }

    async fn revenue(&self) -> Value {
        let overview = self.app.operator().await.get("/api/v1/admin/overview").await.ok(200);
        overview["revenue"].clone()
    }
}

fn standing(subscription: &str, license: &str) -> (String, String) {
    (subscription.to_owned(), license.to_owned())
}

#[tokio::test]
async fn what_is_ordered_works_at_once_and_is_revenue_when_its_money_comes() {
    let ordered = Ordered::new().await;
    let payment = &ordered.outcome["payment"];
    assert_eq!(
        (&payment["kind"], &payment["due_at"]),
        (&json!("purchase_order"), &json!(later(10 * DAY)))
    );
    assert_eq!(ordered.outcome["subscription"]["status"], "active");
    assert_eq!(ordered.standing().await, standing("active", "active"));
    let mail = ordered.app.mail_to("ann@example.com", "Your order").await;
    assert!(mail.text.contains("PO 4711") && mail.text.contains("490.00"), "{}", mail.text);
    assert_eq!(ordered.revenue().await, json!([]));

    ordered.app.advance(5 * DAY).await;
    let settled = ordered.settle().await.ok(200);
    assert_eq!(settled["payment"]["settled_at"], later(5 * DAY));
    assert_eq!(
        settled["subscription"]["current_period_end"],
        ordered.outcome["subscription"]["current_period_end"]
    );
    assert_eq!(ordered.revenue().await[0]["amount_cents"], 49_000);
    ordered.app.mail_to("ann@example.com", "Payment received").await;
    ordered.settle().await.refused(409, "payment_state");
    ordered.app.advance(100 * DAY).await;
    assert_eq!(ordered.standing().await, standing("active", "active"));
}

#[tokio::test]
async fn an_order_that_is_not_settled_in_time_goes_the_way_of_what_is_not_paid() {
    let ordered = Ordered::new().await;
    ordered.app.advance(10 * DAY).await;
    assert_eq!(ordered.standing().await, standing("past_due", "grace"));
    ordered.app.mail_to("ann@example.com", "Payment for").await;
    assert!(ordered.app.audited().await.contains(&"subscription.order_overdue".to_owned()));
    ordered.app.advance(7 * DAY).await;
    assert_eq!(ordered.standing().await, standing("unpaid", "suspended"));

    // Late is better than never: what is left of the year works again.
    let settled = ordered.settle().await.ok(200);
    assert_eq!(
        settled["subscription"]["current_period_end"],
        ordered.outcome["subscription"]["current_period_end"]
    );
    assert_eq!(ordered.standing().await, standing("active", "active"));
    ordered.app.mail_to("ann@example.com", "works again").await;
}

#[tokio::test]
async fn an_order_is_due_no_later_than_what_it_pays_for_ends() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let order = json!({
        "org_id": ann.user["org_id"], "plan_id": plan["plan_id"],
        "kind": "purchase_order", "reference": "PO 1", "due_days": 60,
    });
    let outcome = pay(&app, order).await.ok(201);
    assert_eq!(outcome["payment"]["due_at"], outcome["subscription"]["current_period_end"]);
    let ordered = Ordered { app, ann, outcome };
    ordered.app.advance(32 * DAY).await;
    assert_eq!(ordered.standing().await, standing("past_due", "grace"));
    let settled = ordered.settle().await.ok(200);
    assert_eq!(settled["subscription"]["status"], "past_due", "what it paid for is over");
    // The next period is paid as any.
    let next = json!({"subscription_id": settled["subscription"]["subscription_id"]});
    pay(&ordered.app, next).await.ok(201);
    assert_eq!(ordered.standing().await, standing("active", "active"));
}

/// An order for more takes nothing of what was paid before.
#[tokio::test]
async fn an_order_that_is_not_settled_ends_what_it_was_for_alone() {
    for (withdrawn, late) in [(false, true), (false, false), (true, false)] {
        let app = TestApp::start().await;
        let plan = app.plan("Team", 5).await;
        let ann = app.customer("ann@example.com").await;
        let body =
            json!({"org_id": ann.user["org_id"], "plan_id": plan["plan_id"], "reference": "1"});
        let paid = pay(&app, body).await.ok(201);
        let order = json!({
            "subscription_id": paid["subscription"]["subscription_id"],
            "kind": "purchase_order", "reference": "PO 2", "due_days": 5,
        });
        let outcome = pay(&app, order).await.ok(201);
        let ordered = Ordered { app, ann, outcome };
        let end = |of: &Value| of["subscription"]["current_period_end"].clone();
        assert_ne!(end(&ordered.outcome), end(&paid));
        ordered.app.advance(10 * DAY).await;
        assert_eq!(ordered.standing().await, standing("active", "active"));
        if withdrawn {
            let ended = ordered.end("withdraw").await.ok(200);
            assert_eq!(
                (&ended["subscription"]["status"], end(&ended)),
                (&json!("active"), end(&paid))
            );
        }
        ordered.app.advance(21 * DAY).await;
        assert_eq!(ordered.standing().await, standing("past_due", "grace"));
        if late {
            let settled = ordered.settle().await.ok(200);
            assert_eq!(end(&settled), end(&ordered.outcome));
            assert_eq!(ordered.standing().await, standing("active", "active"));
        } else {
            ordered.app.advance(7 * DAY).await;
            assert_eq!(ordered.standing().await, standing("unpaid", "suspended"));
        }
    }
}

#[tokio::test]
async fn an_order_that_is_withdrawn_is_no_revenue_and_grace_begins() {
    let ordered = Ordered::new().await;
    let ended = ordered.end("withdraw").await.ok(200);
    assert!(ended["payment"]["withdrawn_at"].is_string());
    assert_eq!(ordered.standing().await, standing("past_due", "grace"));
    ordered.app.mail_to("ann@example.com", "Payment for").await;
    ordered.end("withdraw").await.refused(409, "payment_state");
    ordered.settle().await.refused(409, "payment_state");
    let more = json!({"subscription_id": ended["subscription"]["subscription_id"]});
    pay(&ordered.app, more).await.ok(201);
    assert_eq!(ordered.standing().await, standing("active", "active"));
}

#[tokio::test]
async fn time_is_credited_while_an_order_is_open() {
    let ordered = Ordered::new().await;
    let id = &ordered.outcome["subscription"]["subscription_id"];
    let credit = json!({"subscription_id": id, "kind": "credit", "reference": "outage"});
    let credited = pay(&ordered.app, credit.clone()).await.ok(201);
    ordered.app.advance(10 * DAY).await;
    assert_eq!(ordered.standing().await, standing("past_due", "grace"));
    pay(&ordered.app, credit).await.refused(409, "subscription_state");
    let settled = ordered.settle().await.ok(200);
    let end = |of: &Value| of["subscription"]["current_period_end"].clone();
    assert_eq!(end(&settled), end(&credited));
}

#[tokio::test]
async fn an_open_order_is_settled_before_anything_else_is_paid() {
    let ordered = Ordered::new().await;
    let id = &ordered.outcome["subscription"]["subscription_id"];
    let more = json!({"subscription_id": id, "reference": "bank 7"});
    let problem = pay(&ordered.app, more.clone()).await.refused(409, "subscription_state");
    assert!(text(&problem["detail"]).contains(&text(&ordered.outcome["payment_id"])));
    ordered.settle().await.ok(200);
    pay(&ordered.app, more).await.ok(201);
    let mine = ordered.app.sign_in("ann@example.com").await.get("/api/v1/payments").await.ok(200);
    assert_eq!(items(&mine).len(), 2);
    drop(ordered.ann);
}

#[tokio::test]
async fn a_credit_gives_time_and_is_no_revenue() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let trial = start_trial(&ann, &plan).await.ok(201);
    let credit = json!({
        "subscription_id": trial["subscription_id"], "kind": "credit",
        "reference": "outage of 3 May",
    });
    let credited = pay(&app, credit).await.ok(201);
    // A gift makes no paying customer.
    assert_eq!(credited["subscription"]["status"], "trialing");
    assert!(text(&credited["subscription"]["trial_end"]) > text(&trial["trial_end"]));
    assert_eq!(
        (&credited["payment"]["kind"], &credited["payment"]["amount_cents"]),
        (&json!("credit"), &json!(0))
    );
    let overview = app.operator().await.get("/api/v1/admin/overview").await.ok(200);
    assert_eq!(overview["revenue"], json!([]));
    let mail = app.mail_to("ann@example.com", "A credit").await;
    assert!(mail.text.contains("was credited to you"), "{}", mail.text);
    let id = text(&credited["payment_id"]);
    let settle = format!("/api/v1/admin/payments/{id}/settle");
    app.operator().await.post_nothing(&settle).await.refused(409, "payment_state");
}

#[tokio::test]
async fn one_transfer_is_recorded_once_however_it_is_typed() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let body = |reference: &str| json!({"org_id": ann.user["org_id"], "plan_id": plan["plan_id"], "reference": reference});
    pay(&app, body("Transfer 4711")).await.ok(201);
    for again in ["transfer 4711", " Transfer 4711 ", "Transfer\u{200b} 4711", "Ｔransfer 4711"] {
        pay(&app, body(again)).await.refused(409, "payment_exists");
    }
    pay(&app, body("Transfer 4712")).await.ok(201);
}

#[tokio::test]
async fn nothing_is_paid_for_beyond_what_a_date_can_say() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let body = json!({"org_id": ann.user["org_id"], "plan_id": plan["plan_id"], "interval": "year", "periods": 36});
    let mut paid = pay(&app, body).await.ok(201);
    let more = json!({"subscription_id": paid["subscription"]["subscription_id"], "periods": 36});
    let operator = app.operator().await;
    let pay_more = async || operator.post("/api/v1/admin/payments", more.clone()).await;
    for _ in 0..192 {
        paid = pay_more().await.ok(201);
    }
    assert!(text(&paid["subscription"]["current_period_end"]).starts_with("89"), "{paid}");
    pay_more().await.refused_field("periods");
}

#[tokio::test]
async fn an_order_names_its_number_and_nothing_else_has_a_due_date() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let with = |more: Value| {
        let mut body = json!({"org_id": ann.user["org_id"], "plan_id": plan["plan_id"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, field) in [
        (json!({"kind": "purchase_order"}), "reference"),
        (json!({"kind": "purchase_order", "reference": " "}), "reference"),
        (json!({"kind": "credit", "amount_cents": 5}), "amount_cents"),
        (json!({"kind": "credit", "due_days": 30}), "due_days"),
        (json!({"due_days": 30}), "due_days"),
        (json!({"kind": "purchase_order", "reference": "PO 1", "due_days": 366}), "due_days"),
    ] {
        pay(&app, with(more)).await.refused_field(field);
    }
}
