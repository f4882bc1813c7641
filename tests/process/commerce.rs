//! A customer of Stripe from registration to the end, over HTTP alone: the program runs as it is
//! shipped, and only the system's calendar is moved.

use std::time::{SystemTime, UNIX_EPOCH};

use coditect::domain::time::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::Method;
use serde_json::{Value, json};

use crate::mail::Mail;
use crate::shop::{ISSUER, Shop};
use crate::stripe::{AfterRetries, Card, DAY, FakeStripe, HOUR};
use crate::support::{Client, Home, License, Server, text, until};

const ANN: &str = "ann@example.com";
const START: &str = "2030-01-15T09:00:00Z";

/// The time outside, in Unix seconds.
fn real_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// What any JWT library does with a signed document: its claims.
async fn verified(client: &Client, token: &str) -> Value {
    let keys = client.get("/.well-known/jwks.json").await.expect(&[200]);
    let keys: JwkSet = serde_json::from_value(keys).unwrap();
    let header = decode_header(token).unwrap();
    assert_eq!(header.alg, Algorithm::RS256);
    let key = keys.find(&header.kid.expect("a kid")).expect("a published key");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[ISSUER]);
    // The computer's clock is not the program's.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    decode(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
}

/// A licence file without its armour.
fn token_in(file: &str) -> String {
    file.lines().filter(|line| !line.starts_with("-----")).collect()
}

/// The vendor's server, with a calendar that the test moves. What lapses by the monotonic clock - a
/// seat without heartbeats - does not notice.
struct Story {
    shop: Shop,
    server: Server,
    operator: Client,
}

impl Story {
    async fn begin() -> Self {
        let start: Timestamp = START.parse().unwrap();
        let stripe = FakeStripe::start(start.unix_seconds());
        stripe.after_retries(AfterRetries::Unpaid);
        let home = Home::new().with_time().with("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let shop = Shop::new(home, stripe);
        set_calendar(&shop);
        let server = shop.home.start();
        server.signing_key().await;
        let operator = shop.for_long(&server.operator().await).await;
        Self { shop, server, operator }
    }

    fn now(&self) -> i64 {
        self.shop.stripe.now()
    }

    /// Delivers all that has happened, in order, and lets it be worked off.
    async fn deliver(&self) {
        for event in self.shop.stripe.take_events() {
            let delivery = self.shop.delivery(&event, self.now());
            Shop::post(&self.operator, delivery).await.unwrap().expect(&[200]);
        }
        self.shop.worked_off(&self.operator).await;
    }

    /// Time passes for everybody, a step at a time.
    async fn pass_until(&self, end: i64, step: i64) {
        while self.now() < end {
            self.shop.stripe.advance_to(end.min(self.now() + step));
            set_calendar(&self.shop);
            self.deliver().await;
        }
    }

    /// The program is stopped, and started again.
    async fn restart(mut self) -> Self {
        self.server.stop();
        self.server = self.shop.home.start();
        self.operator = self.operator.at(&self.server);
        self.shop.worked_off(&self.operator).await;
        self
    }
}

/// The program's calendar shows Stripe's time.
fn set_calendar(shop: &Shop) {
    let ahead = shop.stripe.now() - real_now();
    shop.home.ahead(&format!("{ahead:+}"));
}

/// Ann, her machine and her licence, once she has one.
struct Ann(Client);

impl Ann {
    async fn one(&self, path: &str) -> Value {
        let all = self.0.list(path).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    async fn expect(&self, subscription: &str, license: &str) {
        let (one, other) =
            (self.one("/api/v1/subscriptions").await, self.one("/api/v1/licenses").await);
        let found = (text(&one["status"]), text(&other["status"]));
        assert_eq!((found.0.as_str(), found.1.as_str()), (subscription, license));
    }

    /// The licence file, as it is downloaded.
    async fn file(&self, license: &License) -> String {
        let path = format!("/api/v1/licenses/{}/file", license.id);
        let answer = self.0.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        token_in(&answer.text().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs libfaketime (the package `faketime`)"]
#[allow(clippy::too_many_lines, reason = "it is one story, told in order")]
async fn nine_steps_with_stripe_over_http_alone() {
    let story = Story::begin().await;
    let plan = story.shop.plan(&story.operator, None).await;

    // 1. Register, follow the mailed link, sign in.
    let signed_in = story.shop.customer(&story.server, ANN).await;
    let ann = Ann(story.shop.for_long(&signed_in).await);

    // 2. Choose a plan.
    let plans = story.server.client().get("/api/v1/plans").await.expect(&[200]);
    assert_eq!(plans["items"][0]["plan_id"], plan["plan_id"]);

    // 3. Pay at Stripe. Nothing is sold before Stripe says so.
    let session = story.shop.page(&ann.0, &plan).await;
    let subscription = story.shop.stripe.complete_checkout(&session, Card::Good).unwrap();
    let customer = text(&story.shop.stripe.get(&subscription)["customer"]);
    assert!(ann.0.list("/api/v1/licenses").await.is_empty());
    story.deliver().await;
    ann.expect("active", "active").await;

    // 4. The licence is mailed and can be downloaded; both verify with what is published.
    let made = ann.one("/api/v1/licenses").await;
    let license =
        License { id: text(&made["license_id"]), key: text(&made["license_key"]), seats: 10 };
    let mails = story.shop.mails_to(ANN);
    let mails: Vec<&Mail> =
        mails.iter().filter(|mail| mail.subject.contains("Your licence for")).collect();
    let [mail] = &mails[..] else { panic!("one mail with the licence: {mails:?}") };
    assert!(mail.text.contains(&license.key), "{}", mail.text);
    let [(_, mailed)] = &mail.attachments[..] else { panic!("the signed file: {mail:?}") };
    let first = ann.file(&license).await;
    for token in [&token_in(mailed), &first] {
        let said = verified(&ann.0, token).await;
        assert_eq!((&said["sub"], &said["max_seats"]), (&json!(license.id), &json!(10)), "{said}");
    }
    assert_eq!(story.shop.mailed(ANN, "Payment received"), 1);

    // 5. Activate. 6. Acquire; 7. heartbeat, release, and acquire again.
    let app = story.server.client();
    let activated = app.activate(&license, "loom-1").await.expect(&[201]);
    let said = verified(&app, &text(&activated["signed_license"])).await;
    assert_eq!(said["hardware_id"], "loom-1");
    let seat = app.acquire(&license, "loom-1").await.expect(&[201]);
    app.heartbeat(&text(&seat["session_id"])).await.expect(&[200]);
    app.release(&text(&seat["session_id"])).await.expect(&[200]);
    let gone = app.heartbeat(&text(&seat["session_id"])).await;
    assert_eq!((gone.status, gone.code()), (404, "session_not_found"), "{gone:?}");
    let held = text(&app.acquire(&license, "loom-1").await.expect(&[201])["session_id"]);

    // 8. Renewal: the end moves, the document is a new one, who holds a seat notices nothing.
    let ends = text(&made["expiry_date"]);
    let due = story.shop.stripe.period_end(&subscription);
    story.pass_until(due - HOUR, 15 * DAY).await;
    for _ in 0..4 {
        story.pass_until(story.now() + HOUR, HOUR).await;
        ann.expect("active", "active").await;
        assert_eq!(app.heartbeat(&held).await.expect(&[200])["license_status"], "active");
    }
    let moved = text(&ann.one("/api/v1/licenses").await["expiry_date"]);
    assert!(moved > ends, "{moved} after {ends}");
    let second = ann.file(&license).await;
    let (before, after) = (verified(&ann.0, &first).await, verified(&ann.0, &second).await);
    assert!(after["exp"].as_i64() > before["exp"].as_i64(), "{after} after {before}");
    let again = app.activate(&license, "loom-1").await.expect(&[200]);
    assert_eq!(again["activation_id"], activated["activation_id"]);
    assert_eq!(verified(&app, &text(&again["signed_license"])).await["exp"], after["exp"]);
    let holders = ann.0.holders(&license).await;
    assert_eq!((holders.len(), text(&holders[0]["session_id"])), (1, held.clone()));
    assert_eq!(story.shop.mailed(ANN, "Payment received"), 2);

    // The card fails: grace, in which everything still works.
    story.shop.stripe.set_card(&customer, Card::Declines);
    let due = story.shop.stripe.period_end(&subscription);
    story.pass_until(due - HOUR, 15 * DAY).await;
    story.pass_until(due + 2 * HOUR, HOUR).await;
    ann.expect("past_due", "grace").await;
    assert_eq!(app.heartbeat(&held).await.expect(&[200])["license_status"], "grace");
    assert_eq!(story.shop.mailed(ANN, "is due"), 1);
    story.pass_until(due + 6 * DAY, DAY).await;
    ann.expect("past_due", "grace").await;
    app.heartbeat(&held).await.expect(&[200]);

    // Nobody pays, and grace ends while nothing runs.
    let Story { shop, server, operator } = story;
    server.stop();
    shop.stripe.advance_to(due + 8 * DAY);
    set_calendar(&shop);
    let server = shop.home.start();
    let operator = operator.at(&server);
    let story = Story { shop, server, operator };
    let (ann, app) = (Ann(ann.0.at(&story.server)), story.server.client());
    story.deliver().await;
    until("it is suspended", async || story.shop.mailed(ANN, "is suspended") == 1).await;
    ann.expect("unpaid", "suspended").await;
    for refused in [app.heartbeat(&held).await, app.acquire(&license, "loom-2").await] {
        assert_eq!((refused.status, refused.code()), (403, "license_suspended"), "{refused:?}");
    }

    // Another card, and all is well at once.
    story.shop.stripe.set_card(&customer, Card::Good);
    assert!(story.shop.stripe.pay_open_invoice(&subscription));
    story.deliver().await;
    ann.expect("active", "active").await;
    assert_eq!(story.shop.mailed(ANN, "works again"), 1);
    app.acquire(&license, "loom-1").await.expect(&[200, 201]);

    // 9. The end is asked for, and comes with the period.
    let ours = text(&ann.one("/api/v1/subscriptions").await["subscription_id"]);
    let cancel = format!("/api/v1/subscriptions/{ours}/cancel");
    ann.0.call(Method::POST, &cancel, None).await.unwrap().expect(&[200]);
    assert_eq!(story.shop.stripe.get(&subscription)["cancel_at_period_end"], true);
    story.deliver().await;
    ann.expect("active", "active").await;
    let due = story.shop.stripe.period_end(&subscription);
    story.pass_until(due + HOUR, 15 * DAY).await;
    ann.expect("canceled", "expired").await;
    let refused = app.acquire(&license, "loom-1").await;
    assert_eq!((refused.status, refused.code()), (403, "license_expired"), "{refused:?}");

    // What was said once is not said again by the next process.
    let story = story.restart().await;
    let paid = story.shop.stripe.all("invoice").into_iter();
    let paid = paid.filter(|it| it["status"] == "paid" && it["amount_paid"] != json!(0)).count();
    for (words, times) in [
        ("Your subscription to", 1),
        ("Your licence for CODITECT: ", 1),
        ("Payment received", paid),
        ("is due", 1),
        ("is suspended", 1),
        ("works again", 1),
        ("has ended", 1),
    ] {
        assert_eq!(story.shop.mailed(ANN, words), times, "{words}");
    }
    let overview = story.operator.get("/api/v1/admin/overview").await.expect(&[200]);
    assert_eq!(
        (&overview["jobs"]["parked"], &overview["mails"]["waiting"]),
        (&json!(0), &json!(0)),
        "{overview}"
    );
    let printed = story.server.stop();
    assert!(!printed.contains("ERROR"), "{printed}");
    story.shop.home.run(&["doctor"]).succeeded();
}
