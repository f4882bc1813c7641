//! Histories of subscriptions, told in any order, twice or not at all, to a server that is stopped
//! in between: it ends where Stripe stands, with one licence, and one receipt for each payment.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::billing::Shop;
use crate::stripe::{AfterRetries, Card};
use crate::support::{HOUR, text};

/// Histories that are told; `CHAOS_SEEDS` tells more, `CHAOS_FIRST` begins elsewhere.
const SEEDS: u64 = 24;
const AT_ONCE: usize = 2;

/// A number from the environment, for longer runs.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Numbers that a seed determines (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn is_one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What customers do, and Stripe, in some weeks.
fn live(shop: &Shop, chance: &mut Chance, subscription: &str) {
    let ended = || shop.stripe.get(subscription)["status"] == "canceled";
    for _ in 0..4 + chance.below(8) {
        if ended() {
            return;
        }
        let customer = shop.customer();
        match chance.below(7) {
            0 => shop.stripe.set_card(&customer, Card::Declines),
            1 => shop.stripe.set_card(&customer, Card::Good),
            2 => shop.stripe.cancel_at_period_end(subscription),
            3 => shop.stripe.keep(subscription),
            4 if chance.is_one_in(6) => shop.stripe.cancel_now(subscription),
            5 => {
                let price = text(&shop.stripe.get(subscription)["items"]["data"][0]["price"]["id"]);
                shop.stripe.change_plan(subscription, &price, 1 + chance.below(3) as i64);
            }
            _ => {}
        }
        if ended() {
            return;
        }
        let days = 1 + chance.below(9) as i64;
        shop.stripe.advance_to(shop.stripe.now() + days * 86_400 + chance.below(86_400) as i64);
    }
}

async fn tell(mut shop: Shop, chance: &mut Chance) -> Shop {
    let page = shop.page().await.ok(201);
    let card = if chance.is_one_in(5) { Card::Async } else { Card::Good };
    let policy = if chance.is_one_in(2) { AfterRetries::Cancel } else { AfterRetries::Unpaid };
    shop.stripe.after_retries(policy);
    let session = text(&page["session_id"]);
    let subscription = shop.stripe.complete_checkout(&session, card);
    let subscription = subscription.unwrap_or_else(|| {
        shop.stripe.settle(&session, true);
        text(&shop.stripe.get(&session)["subscription"])
    });
    live(&shop, chance, &subscription);
    let ahead = shop.stripe.now() - shop.app.clock.now().wall.unix_seconds();
    shop.app.clock.advance(Duration::from_secs(ahead.unsigned_abs()));

    let mut events = shop.stripe.take_events();
    let twice: Vec<Value> = events.iter().filter(|_| chance.is_one_in(3)).cloned().collect();
    events.extend(twice);
    events.retain(|_| !chance.is_one_in(5));
    for at in (1..events.len()).rev() {
        events.swap(at, chance.below(at + 1));
    }
    for event in &events {
        if chance.is_one_in(12) {
            // What was taken and not worked off yet is so by the next process.
            shop = shop.restart().await;
        }
        shop.stripe.down(chance.is_one_in(10));
        shop.deliver(event).await.ok(200);
    }
    shop.stripe.down(false);
    shop.app.services.reconcile_billing().await.unwrap();
    // What failed while Stripe was away is tried again.
    for _ in 0..4 {
        shop.app.advance(2 * HOUR).await;
    }
    // Hours have passed at Stripe as well.
    shop.stripe.advance_to(shop.app.clock.now().wall.unix_seconds());
    shop.app.services.reconcile_billing().await.unwrap();
    shop.app.settle().await;
    shop
}

async fn check(shop: &Shop, seed: u64) {
    let there = &shop.stripe.all("subscription")[0];
    let here = shop.ann.get("/api/v1/subscriptions").await.list();
    assert_eq!(here.len(), 1, "seed {seed}: {here:?}");
    let (told, stands) = (text(&there["status"]), text(&here[0]["status"]));
    let fits = match told.as_str() {
        "canceled" | "incomplete_expired" => stands == "canceled",
        "past_due" | "unpaid" | "paused" => stands == "past_due" || stands == "unpaid",
        other => stands == other,
    };
    assert!(fits, "seed {seed}: {told} at Stripe, {stands} here");
    assert_eq!(here[0]["quantity"], there["items"]["data"][0]["quantity"], "seed {seed}");
    let licenses = shop.ann.get("/api/v1/licenses").await.list();
    assert!(licenses.len() <= 1, "seed {seed}: {licenses:?}");
    if let Some(license) = licenses.first() {
        let status = text(&license["status"]);
        let fits = match stands.as_str() {
            "canceled" => status == "expired",
            "past_due" => status == "grace",
            "unpaid" => status == "suspended",
            _ => status == "active",
        };
        assert!(fits, "seed {seed}: the subscription is {stands}, the licence {status}");
    } else {
        assert_eq!(stands, "canceled", "seed {seed}: without a licence");
    }
    let paid = shop.stripe.all("invoice").into_iter();
    let paid = paid.filter(|it| it["status"] == "paid" && it["amount_paid"] != json!(0)).count();
    let payments = shop.ann.get("/api/v1/payments").await.list();
    assert_eq!(payments.len(), paid, "seed {seed}: a payment for each paid invoice");
    let subjects = shop.app.subjects_to(crate::billing::ANN).await;
    let about = |words: &str| subjects.iter().filter(|it| it.contains(words)).count();
    assert_eq!(about("Payment received"), paid, "seed {seed}: {subjects:?}");
    assert!(about("Your licence for CODITECT: ") <= 1, "seed {seed}: {subjects:?}");
    assert!(about("has ended") <= 1, "seed {seed}: {subjects:?}");
}

async fn one(seed: u64) {
    let mut chance = Chance(seed);
    let shop = tell(Shop::open().await, &mut chance).await;
    check(&shop, seed).await;
}

#[tokio::test]
async fn whatever_was_delivered_the_end_is_what_stripe_says() {
    let first = setting("CHAOS_FIRST", 0);
    let mut seeds = first..first + setting("CHAOS_SEEDS", SEEDS);
    let (mut failed, mut told) = (Vec::new(), JoinSet::new());
    loop {
        while told.len() < AT_ONCE
            && let Some(seed) = seeds.next()
        {
            told.spawn(async move {
                // One that fails does not hide the others.
                tokio::spawn(one(seed)).await.map_err(|_| seed)
            });
        }
        match told.join_next().await {
            Some(outcome) => failed.extend(outcome.unwrap().err()),
            None => break,
        }
    }
    assert_eq!(failed, [0; 0], "these seeds failed");
}
