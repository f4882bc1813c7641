//! Paying through Stripe: payment pages, webhooks in any order, and what follows from them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stripe::{self, AfterRetries, Card, FakeStripe, SECRET_KEY, Shape};
use crate::support::{Answer, Client, DAY, HOUR, START, Setup, TestApp, items, text};

const SECRET: &str = "whsec_of_the_tests";
pub const ANN: &str = "ann@example.com";
const WEBHOOK: &str = "/api/v1/webhooks/stripe";

/// A vendor whose customers pay through Stripe.
pub struct Shop {
    pub app: TestApp,
    pub stripe: FakeStripe,
    pub ann: Client,
    key: String,
    pub plan: Value,
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(|setup| setup).await
    }

    pub async fn open_with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let start: coditect::domain::time::Timestamp = START.parse().unwrap();
        let stripe = FakeStripe::start(start.unix_seconds());
        let setup = Setup::usual()
            .env("STRIPE_SECRET_KEY", SECRET_KEY)
            .env("STRIPE_WEBHOOK_SECRET", &format!("whsec_of_older_days, {SECRET},"))
            .set("STRIPE_API_BASE", &stripe.url());
        let app = change(setup).start().await;
        let plan = app.plan("Team", 10).await;
        // A sign-in would end while time passes.
        let ann = app.customer(ANN).await;
        let key = ann.post("/api/v1/api-keys", json!({"name": "the tests"})).await.ok(201);
        let key = text(&key["secret"]);
        let ann = ann.with_bearer(&key);
        Self { app, stripe, ann, key, plan }
    }

    /// The same with another process.
    pub async fn restart(self) -> Self {
        let app = self.app.restart().await;
        let ann = app.anyone.with_bearer(&self.key);
        Self { app, ann, ..self }
    }

    fn now(&self) -> i64 {
        self.app.clock.now().wall.unix_seconds()
    }

    /// Delivers one event.
    pub async fn deliver(&self, event: &Value) -> Answer {
        let (header, body) = self.stripe.signed_at(&text(&event["id"]), SECRET, self.now());
        self.post(&header, body).await
    }

    async fn post(&self, header: &str, body: String) -> Answer {
        let request = self.app.anyone.request(reqwest::Method::POST, WEBHOOK);
        let request = request
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", header)
            .body(body);
        self.app.anyone.send(request).await
    }

    /// Delivers all that has happened since, in order, and lets it be worked off.
    async fn deliver_all(&self) {
        for event in self.stripe.take_events() {
            self.deliver(&event).await.ok(200);
        }
        self.app.settle().await;
    }

    /// Time passes for everybody, an hour or a day at a time.
    async fn pass(&self, time: Duration, step: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(step);
            self.app.clock.advance(step);
            self.stripe.advance_to(self.now());
            self.deliver_all().await;
            left -= step;
        }
    }

    pub async fn page(&self) -> Answer {
        self.ann.post("/api/v1/checkout/session", json!({"plan_id": self.plan["plan_id"]})).await
    }

    /// Ann pays; the id at Stripe.
    pub async fn subscribe(&self) -> String {
        let page = self.page().await.ok(201);
        let id = self.stripe.complete_checkout(&text(&page["session_id"]), Card::Good).unwrap();
        self.deliver_all().await;
        id
    }

    async fn subscription(&self) -> Value {
        let all = self.ann.get("/api/v1/subscriptions").await.list();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    async fn license(&self) -> Value {
        let all = self.ann.get("/api/v1/licenses").await.list();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    async fn standing(&self) -> (String, String) {
        (text(&self.subscription().await["status"]), text(&self.license().await["status"]))
    }

    async fn expect(&self, subscription: &str, license: &str) {
        let found = self.standing().await;
        assert_eq!((found.0.as_str(), found.1.as_str()), (subscription, license));
    }

    pub fn customer(&self) -> String {
        text(&self.stripe.all("customer")[0]["id"])
    }
}

#[tokio::test]
async fn a_payment_page_leads_to_a_licence_a_receipt_and_an_invoice() {
    let shop = Shop::open().await;
    let page = shop.page().await.ok(201);
    assert!(text(&page["url"]).starts_with("http"), "{page}");
    assert!(shop.ann.get("/api/v1/licenses").await.list().is_empty());
    shop.stripe.complete_checkout(&text(&page["session_id"]), Card::Good).unwrap();
    shop.deliver_all().await;

    shop.expect("active", "active").await;
    let (subscription, license) = (shop.subscription().await, shop.license().await);
    assert_eq!(subscription["plan_id"], shop.plan["plan_id"]);
    assert!(text(&subscription["stripe_subscription_id"]).starts_with("sub_"));
    assert_eq!(license["max_concurrent_seats"], 10);
    shop.app.acquire(&license, "hw-1").await.ok(201);

    let subjects = shop.app.subjects_to(ANN).await;
    let about = |words: &str| subjects.iter().filter(|it| it.contains(words)).count();
    assert_eq!(about("Your subscription to Team"), 1, "{subjects:?}");
    assert_eq!(about("licence"), 1, "{subjects:?}");
    assert_eq!(about("Payment"), 1, "{subjects:?}");

    let invoices = shop.ann.get("/api/v1/invoices").await.list();
    assert_eq!(invoices.len(), 1, "{invoices:?}");
    assert_eq!(
        (&invoices[0]["status"], &invoices[0]["amount_paid_cents"]),
        (&json!("paid"), &json!(4900))
    );
    let payments = shop.ann.get("/api/v1/payments").await.list();
    assert_eq!((payments.len(), &payments[0]["amount_cents"]), (1, &json!(4900)));
}

#[tokio::test]
async fn a_year_with_stripe_from_trial_to_the_end() {
    let shop = Shop::open().await;
    let trial = json!({"plan_id": shop.plan["plan_id"]});
    shop.ann.post("/api/v1/subscriptions/trial", trial).await.ok(201);
    let license = shop.license().await;
    shop.pass(3 * DAY, DAY).await;

    // The trial is taken over, with its licence.
    let id = shop.subscribe().await;
    shop.expect("trialing", "active").await;
    assert_eq!(shop.license().await["license_id"], license["license_id"]);
    shop.pass(12 * DAY, 6 * HOUR).await;
    shop.expect("active", "active").await;
    shop.app.acquire(&license, "hw-1").await.ok(201);

    // Renewals move the end; the licence is never in grace for one, and seats stay.
    let mut ends = text(&shop.license().await["expiry_date"]);
    for _ in 0..2 {
        for _ in 0..31 {
            shop.pass(DAY, 6 * HOUR).await;
            shop.expect("active", "active").await;
        }
        let next = text(&shop.license().await["expiry_date"]);
        assert!(next > ends, "{next} after {ends}");
        ends = next;
    }

    // The card stops working.
    shop.stripe.after_retries(AfterRetries::Unpaid);
    shop.stripe.set_card(&shop.customer(), Card::Declines);
    let due = shop.stripe.period_end(&id);
    while shop.now() < due + 7_200 {
        shop.pass(HOUR, HOUR).await;
    }
    shop.expect("past_due", "grace").await;
    shop.pass(6 * DAY, DAY).await;
    shop.expect("past_due", "grace").await;
    shop.pass(2 * DAY, DAY).await;
    shop.expect("unpaid", "suspended").await;
    shop.app.acquire(&license, "hw-2").await.refused(403, "license_suspended");
    let subjects = shop.app.subjects_to(ANN).await;
    assert_eq!(
        subjects.iter().filter(|it| it.starts_with("Payment for")).count(),
        1,
        "{subjects:?}"
    );
    assert_eq!(subjects.iter().filter(|it| it.contains("suspended")).count(), 1, "{subjects:?}");

    // Another card, and all is well at once.
    shop.stripe.set_card(&shop.customer(), Card::Good);
    assert!(shop.stripe.pay_open_invoice(&id));
    shop.deliver_all().await;
    shop.expect("active", "active").await;
    shop.app.mail_to(ANN, "works again").await;

    // The end is asked for here, and comes with the period.
    let path =
        format!("/api/v1/subscriptions/{}", text(&shop.subscription().await["subscription_id"]));
    shop.ann.post_nothing(&format!("{path}/cancel")).await.ok(200);
    assert_eq!(shop.subscription().await["cancel_at_period_end"], true);
    shop.ann.post_nothing(&format!("{path}/resume")).await.ok(200);
    assert_eq!(shop.subscription().await["cancel_at_period_end"], false);
    shop.ann.post_nothing(&format!("{path}/cancel")).await.ok(200);
    shop.deliver_all().await;
    shop.expect("active", "active").await;
    shop.pass(35 * DAY, DAY).await;
    shop.expect("canceled", "expired").await;
    let subjects = shop.app.subjects_to(ANN).await;
    assert_eq!(subjects.iter().filter(|it| it.contains("has ended")).count(), 1, "{subjects:?}");
}

/// What a month of news leaves, however it was delivered.
async fn story(shop: &Shop) -> Vec<Value> {
    let page = shop.page().await.ok(201);
    let id = shop.stripe.complete_checkout(&text(&page["session_id"]), Card::Good).unwrap();
    shop.stripe.set_card(&shop.customer(), Card::Declines);
    shop.stripe.advance_to(shop.stripe.period_end(&id) + 2 * 86_400);
    shop.stripe.set_card(&shop.customer(), Card::Good);
    shop.stripe.pay_open_invoice(&id);
    shop.app.clock.advance(Duration::from_secs((shop.stripe.now() - shop.now()).unsigned_abs()));
    shop.stripe.take_events()
}

async fn left(shop: &Shop) -> Value {
    let (subscription, license) = (shop.subscription().await, shop.license().await);
    let invoices = shop.ann.get("/api/v1/invoices").await.list();
    let mut receipts: Vec<_> = shop.app.subjects_to(ANN).await;
    receipts.retain(|it| it.contains("Payment") || it.contains("subscription"));
    receipts.sort();
    json!({
        "status": subscription["status"], "end": subscription["current_period_end"],
        "license": license["status"], "expiry": license["expiry_date"],
        "paid": invoices.iter().filter(|it| it["status"] == "paid").count(),
        "payments": shop.ann.get("/api/v1/payments").await.list().len(),
        "receipts": receipts,
    })
}

#[tokio::test]
async fn the_order_the_number_and_the_shape_of_deliveries_change_nothing() {
    let mut found: Option<Value> = None;
    for way in 0..4 {
        let shop = Shop::open().await;
        shop.stripe.shape(if way == 3 { Shape::Old } else { Shape::New });
        let mut events = story(&shop).await;
        match way {
            1 => events.reverse(),
            2 => {
                let twice = events.clone();
                events.extend(twice);
                let half = events.len() / 3;
                events.rotate_left(half);
            }
            _ => {}
        }
        for event in &events {
            let status = shop.deliver(event).await.ok(200)["status"].clone();
            assert!(["kept", "known", "ignored"].contains(&text(&status).as_str()));
        }
        shop.app.settle().await;
        let this = left(&shop).await;
        assert_eq!(found.get_or_insert_with(|| this.clone()), &this, "way {way}");
    }
    assert_eq!(found.unwrap()["payments"], 2);
}

#[tokio::test]
async fn what_was_never_delivered_is_asked_for_at_the_start_and_every_hour() {
    let shop = Shop::open().await;
    let events = story(&shop).await;
    assert!(events.len() > 5);
    shop.app.services.reconcile_billing().await.unwrap();
    shop.app.settle().await;
    shop.expect("active", "active").await;
    assert_eq!(shop.ann.get("/api/v1/payments").await.list().len(), 2);
    let before = left(&shop).await;
    for event in &events {
        shop.deliver(event).await.ok(200);
    }
    shop.app.settle().await;
    assert_eq!(left(&shop).await, before, "late deliveries add nothing");
}

#[tokio::test]
async fn while_stripe_is_away_its_news_are_believed_and_looked_at_again_later() {
    let shop = Shop::open().await;
    let page = shop.page().await.ok(201);
    shop.stripe.complete_checkout(&text(&page["session_id"]), Card::Good).unwrap();
    shop.stripe.down(true);
    for event in shop.stripe.take_events() {
        shop.deliver(&event).await.ok(200);
    }
    shop.app.settle().await;
    shop.expect("active", "active").await;
    let refused = shop.ann.post_nothing("/api/v1/billing/portal").await;
    refused.refused(503, "provider_unavailable");
    shop.stripe.down(false);
    shop.app.advance(HOUR).await;
    shop.expect("active", "active").await;
    assert_eq!(shop.ann.get("/api/v1/payments").await.list().len(), 1);
    let portal = shop.ann.post_nothing("/api/v1/billing/portal").await.ok(201);
    assert!(text(&portal["url"]).starts_with("http"));
}

#[tokio::test]
async fn what_stripe_has_not_signed_is_refused() {
    let shop = Shop::open().await;
    shop.page().await.ok(201);
    shop.subscribe().await;
    let event = shop.stripe.events().pop().unwrap();
    let id = text(&event["id"]);
    let (header, body) = shop.stripe.signed_at(&id, SECRET, shop.now());
    let written_anew =
        serde_json::to_string(&serde_json::from_str::<Value>(&body).unwrap()).unwrap();
    for (header, body) in [
        (header.clone(), written_anew),
        (header.replace("v1=", "v0="), body.clone()),
        (String::new(), body.clone()),
        shop.stripe.signed_at(&id, "whsec_of_somebody_else", shop.now()),
        // A comma too many in the settings is no secret that everybody knows.
        shop.stripe.signed_at(&id, "", shop.now()),
        shop.stripe.signed_at(&id, SECRET, shop.now() - 301),
    ] {
        shop.post(&header, body).await.refused(400, "invalid_signature");
    }
    shop.post(&header, body).await.ok(200);
    let (header, body) = shop.stripe.signed_at(&id, "whsec_of_older_days", shop.now());
    assert_eq!(shop.post(&header, body).await.ok(200)["status"], "known");
}

#[tokio::test]
async fn without_a_secret_webhooks_are_refused_and_without_a_key_there_are_no_payment_pages() {
    let app = TestApp::start().await;
    let request =
        app.anyone.request(reqwest::Method::POST, WEBHOOK).header("stripe-signature", "t=1,v1=00");
    let request = request.header("content-type", "application/json").body("{}");
    app.anyone.send(request).await.refused(503, "webhook_not_configured");
    let plan = app.plan("Team", 10).await;
    let ann = app.customer(ANN).await;
    let page = ann.post("/api/v1/checkout/session", json!({"plan_id": plan["plan_id"]})).await;
    page.refused(409, "billing_not_configured");
}

#[tokio::test]
async fn what_does_not_concern_this_server_has_no_effect() {
    let shop = Shop::open().await;
    let sign = |event: &Value| {
        let body = event.to_string();
        (stripe::signature_of(&body, SECRET, shop.now()), body)
    };
    let object = json!({"id": "sub_foreign", "object": "subscription", "customer": "cus_foreign", "status": "active", "items": {"data": []}});
    let event = json!({"id": "evt_1", "object": "event", "type": "customer.subscription.created", "created": shop.now(), "livemode": false, "data": {"object": object}});
    let with = |name: &str, value: Value| {
        let mut event = event.clone();
        event[name] = value;
        event
    };
    for (event, status) in [
        (with("livemode", json!(true)), "ignored"),
        (with("type", json!("product.created")), "ignored"),
        (with("account", json!("acct_other")), "ignored"),
        (event.clone(), "kept"),
    ] {
        let (header, body) = sign(&event);
        assert_eq!(shop.post(&header, body).await.ok(200)["status"], status, "{event}");
    }
    shop.app.settle().await;
    assert!(shop.ann.get("/api/v1/subscriptions").await.list().is_empty());
    let (header, body) = sign(&json!("no event at all"));
    assert_eq!(shop.post(&header, body).await.ok(200)["status"], "ignored");
}

#[tokio::test]
async fn an_organisation_never_pays_twice() {
    let shop = Shop::open().await;
    let other = shop.app.plan("Studio", 25).await;
    let first = shop.page().await.ok(201);
    assert_eq!(shop.page().await.ok(201)["session_id"], first["session_id"], "the same page again");
    let body = json!({"plan_id": other["plan_id"]});
    let second = shop.ann.post("/api/v1/checkout/session", body).await.ok(201);
    assert_eq!(shop.stripe.get(&text(&first["session_id"]))["status"], "expired");
    shop.stripe.complete_checkout(&text(&second["session_id"]), Card::Good).unwrap();
    // Also before the news have come.
    shop.page().await.refused(409, "subscription_exists");
    shop.deliver_all().await;
    shop.page().await.refused(409, "subscription_exists");
    assert_eq!(shop.license().await["max_concurrent_seats"], 25);
    assert_eq!(shop.stripe.all("customer").len(), 1);
}

#[tokio::test]
async fn a_trial_of_a_small_plan_pays_for_no_large_one() {
    let shop = Shop::open().await;
    let large = shop.app.plan("Studio", 500).await;
    let trial = json!({"plan_id": shop.plan["plan_id"]});
    shop.ann.post("/api/v1/subscriptions/trial", trial).await.ok(201);
    let body = json!({"plan_id": large["plan_id"], "quantity": 3});
    let page = shop.ann.post("/api/v1/checkout/session", body).await.ok(201);
    let declined = shop.stripe.complete_checkout(&text(&page["session_id"]), Card::Declines);
    assert_eq!(declined, None, "it is to be paid now");
    shop.deliver_all().await;
    assert_eq!(shop.license().await["max_concurrent_seats"], 10);
    shop.expect("trialing", "active").await;
    shop.stripe.complete_checkout(&text(&page["session_id"]), Card::Good).unwrap();
    shop.deliver_all().await;
    shop.expect("active", "active").await;
    assert_eq!(shop.license().await["max_concurrent_seats"], 1500);
    assert_eq!(shop.ann.get("/api/v1/payments").await.list()[0]["amount_cents"], 3 * 4900);
}

#[tokio::test]
async fn a_change_that_cannot_be_paid_changes_nothing() {
    let shop = Shop::open().await;
    shop.subscribe().await;
    let id = text(&shop.subscription().await["subscription_id"]);
    let path = format!("/api/v1/subscriptions/{id}/change-plan");
    shop.stripe.set_card(&shop.customer(), Card::Declines);
    let answer = shop.ann.post(&path, json!({"quantity": 1000})).await;
    answer.refused(409, "provider_refused");
    assert_eq!(shop.license().await["max_concurrent_seats"], 10);
    shop.ann
        .post(&format!("{}/cancel", path.trim_end_matches("/change-plan")), json!({}))
        .await
        .ok(200);
    shop.ann.post(&path, json!({"quantity": 2})).await.refused(409, "subscription_state");
    assert!(shop.app.audited().await.contains(&"subscription.change_asked".to_owned()));
}

#[tokio::test]
async fn another_plan_another_number_another_interval() {
    let shop = Shop::open().await;
    let studio = shop.app.plan("Studio", 25).await;
    let stripe_id = shop.subscribe().await;
    let id = text(&shop.subscription().await["subscription_id"]);
    let path = format!("/api/v1/subscriptions/{id}/change-plan");
    let body = json!({"plan_id": studio["plan_id"], "quantity": 2});
    let changed = shop.ann.post(&path, body).await.ok(200);
    assert_eq!((&changed["plan_name"], &changed["quantity"]), (&json!("Studio"), &json!(2)));
    assert_eq!(shop.license().await["max_concurrent_seats"], 50);
    shop.deliver_all().await;
    shop.ann.post(&path, json!({"interval": "year"})).await.ok(200);
    assert_eq!(shop.subscription().await["interval"], "year");
    assert_eq!(shop.stripe.get(&stripe_id)["items"]["data"].as_array().unwrap().len(), 1);
    shop.ann.post(&path, json!({"quantity": 0})).await.refused(400, "validation_failed");
    // Changed at Stripe, it follows too.
    let price = shop.stripe.get(&stripe_id)["items"]["data"][0]["price"]["id"].clone();
    shop.stripe.change_plan(&stripe_id, &text(&price), 3);
    shop.deliver_all().await;
    assert_eq!(shop.license().await["max_concurrent_seats"], 75);
}

/// What came in during the first month: in all, and for the plan.
async fn came_in(shop: &Shop) -> (i64, i64) {
    let all = shop.app.operator().await.get("/api/v1/admin/analytics?months=36").await.ok(200);
    let money = &all["currencies"][0];
    let place = money["months"].as_array().unwrap().iter().position(|it| it["payments"] != 0);
    let (month, plan) = (&money["months"][place.unwrap()], &money["plans"][0]["revenue"]);
    let cents = |of: &Value| of["revenue_cents"].as_i64().unwrap();
    (cents(month), cents(&plan[place.unwrap()]))
}

#[tokio::test]
async fn what_stripe_bills_is_worth_what_stripe_says() {
    let shop = Shop::open().await;
    let id = shop.subscribe().await;
    let figures = async || {
        let all = shop.app.operator().await.get("/api/v1/admin/analytics").await.ok(200);
        all["currencies"][0].clone()
    };
    assert_eq!(figures().await["mrr_cents"], 4_900);
    let price = text(&shop.stripe.get(&id)["items"]["data"][0]["price"]["id"]);
    shop.stripe.change_plan(&id, &price, 3);
    shop.deliver_all().await;
    let money = figures().await;
    assert_eq!((&money["mrr_cents"], &money["customers"]), (&json!(3 * 4_900), &json!(1)));
    shop.stripe.set_card(&shop.customer(), Card::Declines);
    shop.pass(33 * DAY, DAY).await;
    let money = figures().await;
    assert_eq!(money["past_due"], json!({"count": 1, "mrr_cents": 3 * 4_900}));
    let open = shop.ann.get("/api/v1/invoices").await.list();
    let [open] = &open.iter().filter(|it| it["status"] == "open").collect::<Vec<_>>()[..] else {
        panic!("one: {open:?}")
    };
    let owed = json!({"count": 1, "amount_cents": open["amount_due_cents"]});
    assert_eq!(money["open_invoices"], owed);
    shop.pass(9 * DAY, DAY).await;
    let money = figures().await;
    assert_eq!((&money["mrr_cents"], &money["customers"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn money_that_goes_back_does_what_the_vendor_has_said() {
    let shop = Shop::open_with(|setup| setup.set("STRIPE_ON_REFUND", "suspend")).await;
    shop.subscribe().await;
    let invoice = text(&shop.ann.get("/api/v1/invoices").await.list()[0]["stripe_invoice_id"]);
    let charge = shop.stripe.charge_of(&invoice);
    assert_eq!(came_in(&shop).await, (4_900, 4_900));
    shop.stripe.refund(&charge, Some(900));
    shop.deliver_all().await;
    shop.expect("active", "active").await;
    assert_eq!(came_in(&shop).await, (4_000, 4_000), "what went back is taken out of its month");
    shop.stripe.refund(&charge, None);
    shop.deliver_all().await;
    assert_eq!(came_in(&shop).await, (0, 0));
    shop.expect("active", "suspended").await;
    let invoices = shop.ann.get("/api/v1/invoices").await.list();
    assert_eq!(invoices[0]["amount_refunded_cents"], 4900);
    // No payment lifts it, an operator does.
    shop.pass(40 * DAY, DAY).await;
    shop.expect("active", "suspended").await;
    let license = text(&shop.license().await["license_id"]);
    let path = format!("/api/v1/admin/licenses/{license}/reinstate");
    shop.app.operator().await.post_nothing(&path).await.ok(200);
    shop.expect("active", "active").await;
    let newest = shop.ann.get("/api/v1/invoices").await.list();
    shop.stripe.dispute(&shop.stripe.charge_of(&text(&newest[0]["stripe_invoice_id"])));
    shop.deliver_all().await;
    shop.expect("active", "suspended").await;
}

#[tokio::test]
async fn a_lost_answer_or_a_failure_of_stripe_makes_nothing_twice() {
    let shop = Shop::open().await;
    // One is asked for again at once; two are told.
    for _ in 0..3 {
        shop.stripe.lose_answers(2);
        shop.page().await.refused(503, "provider_unavailable");
    }
    shop.page().await.ok(201);
    assert_eq!(shop.stripe.all("customer").len(), 1);
    assert_eq!(shop.stripe.all("product").len(), 1);
    assert_eq!(shop.stripe.all("price").len(), 1);
    let open = shop.stripe.all("checkout.session").into_iter().filter(|it| it["status"] == "open");
    assert_eq!(open.count(), 1);
}

#[tokio::test]
async fn operators_see_all_invoices_and_customers_their_own() {
    let shop = Shop::open().await;
    shop.subscribe().await;
    let operator = shop.app.operator().await;
    let all = operator.get("/api/v1/admin/invoices").await.ok(200);
    assert_eq!(items(&all).len(), 1);
    let of = format!("/api/v1/admin/invoices?org_id={}", text(&items(&all)[0]["org_id"]));
    assert_eq!(operator.get(&of).await.list().len(), 1);
    assert!(operator.get("/api/v1/invoices").await.list().is_empty());
    shop.ann.get("/api/v1/admin/invoices").await.refused(403, "forbidden");
}

/// Time that is only promised is not taken over as paid.
#[tokio::test]
async fn an_open_purchase_order_is_not_taken_to_stripe() {
    let shop = Shop::open().await;
    let me = shop.ann.get("/api/v1/users/me").await.ok(200);
    let order = json!({
        "org_id": me["org_id"], "plan_id": shop.plan["plan_id"], "periods": 36,
        "kind": "purchase_order", "reference": "PO 1",
    });
    let operator = shop.app.operator().await;
    let ordered = operator.post("/api/v1/admin/payments", order).await.ok(201);
    shop.page().await.refused(409, "subscription_state");
    let settle = format!("/api/v1/admin/payments/{}/settle", text(&ordered["payment_id"]));
    operator.post_nothing(&settle).await.ok(200);
    shop.page().await.ok(201);
}

// ---- what operators are told --------------------------------------------------------------------

async fn doctors_word(shop: &Shop) -> Value {
    let report = shop.app.operator().await.get("/api/v1/admin/diagnostics").await.ok(200);
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "stripe").unwrap().clone()
}

#[tokio::test]
async fn the_doctor_says_whether_stripe_takes_the_key() {
    let shop = Shop::open().await;
    let word = doctors_word(&shop).await;
    assert_eq!(
        (&word["state"], &word["found"]),
        (&json!("ok"), &json!("the key works, in test mode"))
    );
    shop.stripe.down(true);
    assert_eq!(doctors_word(&shop).await["state"], "problem");
    let without = Shop::open_with(|setup| setup.env("STRIPE_WEBHOOK_SECRET", "")).await;
    assert_eq!(doctors_word(&without).await["state"], "warning");
}

/// What was made in test mode is nothing to live mode.
#[tokio::test]
async fn a_key_of_another_mode_forgets_customers_and_prices() {
    let shop = Shop::open().await;
    let first = shop.page().await.ok(201);
    let mode = |mode: &'static str| {
        shop.app
            .services
            .store
            .write(move |tx| coditect::store::logs::put_fact(tx, "stripe.mode", mode))
    };
    // As a server with a key of that mode would have left it.
    mode("live").await.unwrap();
    let shop = shop.restart().await;
    assert!(shop.app.audited().await.contains(&"billing.mode_changed".to_owned()));
    let second = shop.page().await.ok(201);
    assert_ne!(first["session_id"], second["session_id"]);
    assert_eq!(shop.stripe.all("price").len(), 1, "the same request within the hour");
    let shop = shop.restart().await;
    assert_eq!(shop.page().await.ok(201)["session_id"], second["session_id"], "nothing changed");
}

#[tokio::test]
async fn a_second_subscription_is_shown_to_operators() {
    let shop = Shop::open().await;
    shop.subscribe().await;
    let customer = text(&shop.stripe.all("customer")[0]["id"]);
    let price = text(&shop.stripe.all("price")[0]["id"]);
    let form = [("customer", customer.as_str()), ("items[0][price]", price.as_str())];
    let made = reqwest::Client::new()
        .post(format!("{}/v1/subscriptions", shop.stripe.url()))
        .bearer_auth(SECRET_KEY)
        .form(&form)
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success(), "{}", made.text().await.unwrap());
    shop.deliver_all().await;
    assert_eq!(shop.ann.get("/api/v1/subscriptions").await.list().len(), 1);
    let seen = shop.app.operator().await.get("/api/v1/admin/overview").await.ok(200);
    let attention = seen["attention"].as_array().unwrap();
    assert!(attention.iter().any(|each| each["code"] == "second_subscription"), "{seen}");
    let told = shop.app.audit().await;
    let told = told.iter().filter(|entry| entry["action"] == "billing.second_subscription");
    assert_eq!(told.count(), 1, "once, however many events tell of it");
}

/// Not one event of a renewal is to be had any more; the look at what lives finds it.
#[tokio::test]
async fn a_renewal_of_which_every_event_is_lost_is_found() {
    let shop = Shop::open().await;
    let id = shop.subscribe().await;
    let before = shop.ann.get("/api/v1/payments").await.list().len();
    let end = shop.stripe.period_end(&id);
    shop.stripe.advance_to(end + 7_200);
    shop.stripe.take_events();
    let far = (end + 400 * 86_400) * 1_000;
    let mark = far.to_string();
    let note = move |tx: &mut coditect::store::WriteTx<'_>| {
        coditect::store::logs::put_fact(tx, "stripe.reconciled", &mark)
    };
    shop.app.services.store.write(note).await.unwrap();
    shop.app.services.reconcile_billing().await.unwrap();
    assert_eq!(shop.ann.get("/api/v1/payments").await.list().len(), before + 1);
    shop.app.services.reconcile_billing().await.unwrap();
    assert_eq!(shop.ann.get("/api/v1/payments").await.list().len(), before + 1);
}
