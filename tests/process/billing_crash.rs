//! `kill -9` while Stripe tells its news: they come twice, late, in any order or not at all, to a
//! program that is killed at any instant. In the end everything stands as it does at Stripe, with one
//! licence for each subscription, and one mail for each cause.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coditect::entropy::Entropy;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::shop::Shop;
use crate::stripe::{AfterRetries, Card, DAY, FakeStripe};
use crate::support::{Client, Home, PATIENCE, Server, text};

/// The story is told in so many parts of so many days each.
const PARTS: u32 = 3;
const DAYS: u32 = 9;
/// Deliveries that may be under way when the program is killed.
const UNDER_WAY_MAX: u32 = 24;
const SENDERS: usize = 3;
/// The longest time under deliveries before a kill.
const LOAD_MS_MAX: u32 = 50;
/// The longest time a start is given before it is killed, every so many-th time.
const START_MS_MAX: u32 = 120;
const START_KILLED_EVERY: u32 = 4;

/// A number from the environment, for longer runs.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

struct Customer {
    email: String,
    client: Client,
    /// At Stripe.
    subscription: String,
}

struct Crash {
    shop: Shop,
    chance: Entropy,
    customers: Vec<Customer>,
    kills: u64,
    /// Deliveries that were news.
    kept: u64,
    /// Deliveries that a kill cut short, and that were not tried again.
    lost: u64,
}

/// What became of deliveries.
#[derive(Default)]
struct Heard {
    kept: u64,
    /// Nobody has acknowledged these.
    unheard: Vec<Value>,
}

impl Crash {
    fn is_one_in(&self, n: u32) -> bool {
        self.chance.below(n) == 0
    }

    fn milliseconds(&self, below: u32) -> Duration {
        Duration::from_millis(u64::from(self.chance.below(below)))
    }

    /// What customers do, and Stripe, in some days.
    fn live(&self, until: i64) {
        let stripe = &self.shop.stripe;
        for day in (0..i64::from(DAYS)).rev() {
            for customer in &self.customers {
                self.act(&customer.subscription);
            }
            let second = i64::from(self.chance.below(86_000));
            stripe.advance_to((until - day * DAY - second).max(stripe.now()));
        }
        stripe.advance_to(until);
    }

    fn act(&self, subscription: &str) {
        let stripe = &self.shop.stripe;
        let there = stripe.get(subscription);
        if there["status"] == "canceled" {
            return;
        }
        let customer = text(&there["customer"]);
        match self.chance.below(20) {
            0 | 1 => stripe.set_card(&customer, Card::Declines),
            2 => stripe.set_card(&customer, Card::Good),
            3 => stripe.cancel_at_period_end(subscription),
            4 | 5 => stripe.keep(subscription),
            6 if self.is_one_in(4) => stripe.cancel_now(subscription),
            7 => {
                let price = text(&there["items"]["data"][0]["price"]["id"]);
                stripe.change_plan(subscription, &price, 1 + i64::from(self.chance.below(3)));
            }
            _ => {}
        }
    }

    /// What Stripe has to deliver: some of it twice, some never, in any order.
    fn deliveries(&self) -> Vec<Value> {
        let mut events = self.shop.stripe.take_events();
        let twice: Vec<Value> = events.iter().filter(|_| self.is_one_in(3)).cloned().collect();
        events.extend(twice);
        events.retain(|_| !self.is_one_in(5));
        for at in (1..events.len()).rev() {
            events.swap(at, self.chance.below(at as u32 + 1) as usize);
        }
        events
    }

    /// Delivers what there is, and kills the program again and again meanwhile.
    async fn tell(&mut self, mut server: Server) -> Server {
        let mut waiting = self.deliveries();
        while !waiting.is_empty() {
            let most = 1 + self.chance.below(UNDER_WAY_MAX) as usize;
            let under_way = waiting.split_off(waiting.len().saturating_sub(most));
            self.shop.stripe.slow(self.milliseconds(12));
            let senders = self.send(&server, &under_way);
            tokio::time::sleep(self.milliseconds(LOAD_MS_MAX)).await;
            server.kill();
            self.kills += 1;
            for heard in senders.join_all().await {
                self.kept += heard.kept;
                for unheard in heard.unheard {
                    if self.is_one_in(3) {
                        self.lost += 1;
                    } else {
                        waiting.push(unheard);
                    }
                }
            }
            self.shop.stripe.slow(Duration::ZERO);
            server = self.start().await;
        }
        server
    }

    /// Posts them from several connections.
    fn send(&self, server: &Server, events: &[Value]) -> JoinSet<Heard> {
        let mut senders = JoinSet::new();
        for number in 0..SENDERS {
            let part: Vec<Value> = events.iter().skip(number).step_by(SENDERS).cloned().collect();
            let signed: Vec<_> =
                part.into_iter().map(|event| (self.shop.delivery(&event, now()), event)).collect();
            let client = server.client();
            senders.spawn(async move {
                let mut heard = Heard::default();
                for (delivery, event) in signed {
                    match Shop::post(&client, delivery).await {
                        Ok(answer) => {
                            let said = answer.expect(&[200]);
                            heard.kept += u64::from(said["status"] == "kept");
                        }
                        Err(_) => heard.unheard.push(event),
                    }
                }
                heard
            });
        }
        senders
    }

    /// Starts the program, which is killed in doing so now and then; Stripe is often away meanwhile,
    /// so that what was not delivered stays unknown.
    async fn start(&mut self) -> Server {
        self.shop.stripe.down(!self.is_one_in(3));
        if self.is_one_in(START_KILLED_EVERY) {
            let serve = &mut self.shop.home.command(&["serve", "--listen", "127.0.0.1:0"]);
            let server = Server::spawn_unready(serve);
            tokio::time::sleep(self.milliseconds(START_MS_MAX)).await;
            server.kill();
            self.kills += 1;
        }
        let server = self.shop.home.start();
        tokio::time::sleep(self.milliseconds(20)).await;
        self.shop.stripe.down(self.is_one_in(6));
        server
    }

    /// What is not as it has to be.
    async fn faults(&self, server: &Server) -> Vec<String> {
        let mut faults = Vec::new();
        for customer in &self.customers {
            let found = self.faults_of(customer, &customer.client.at(server)).await;
            faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", customer.email)));
        }
        faults
    }

    async fn faults_of(&self, customer: &Customer, client: &Client) -> Vec<String> {
        let stripe = &self.shop.stripe;
        let there = stripe.get(&customer.subscription);
        let here = client.list("/api/v1/subscriptions").await;
        let [here] = &here[..] else { return vec![format!("{} subscriptions", here.len())] };
        let licenses = client.list("/api/v1/licenses").await;
        if licenses.len() > 1 {
            return vec![format!("{} licences", licenses.len())];
        }
        let (told, stands) = (text(&there["status"]), text(&here["status"]));
        let license = licenses.first().map_or("none".to_owned(), |it| text(&it["status"]));
        let mut faults = Vec::new();
        let mut check = |so: bool, what: &str| {
            if !so {
                let all = format!("{told} at Stripe, {stands} here, licence {license}");
                faults.push(format!("{what} ({all})"));
            }
        };
        check(fits(&told, &stands), "the subscription stands wrong");
        check(
            match stands.as_str() {
                "canceled" => ["expired", "none"].contains(&license.as_str()),
                "past_due" => license == "grace",
                "unpaid" => license == "suspended",
                _ => license == "active",
            },
            "the licence stands wrong",
        );
        check(here["quantity"] == there["items"]["data"][0]["quantity"], "another quantity");
        let paid = stripe.all("invoice").into_iter().filter(|it| {
            it["parent"]["subscription_details"]["subscription"] == customer.subscription.as_str()
                && it["status"] == "paid"
                && it["amount_paid"] != json!(0)
        });
        let paid = paid.count();
        let payments = client.list("/api/v1/payments").await.len();
        check(payments == paid, &format!("{payments} payments for {paid} invoices"));
        let mailed = |words: &str| self.shop.mailed(&customer.email, words);
        let receipts = mailed("Payment received");
        check(receipts == paid, &format!("{receipts} receipts for {paid} invoices"));
        for words in ["Your licence for CODITECT: ", "Your subscription to", "has ended"] {
            let times = mailed(words);
            check(times <= 1, &format!("{times} mails about {words:?}"));
        }
        let delivered = mailed("Your licence for CODITECT: ");
        check(delivered == licenses.len(), &format!("{delivered} mails with the licence"));
        faults
    }
}

fn fits(told: &str, stands: &str) -> bool {
    match told {
        "canceled" | "incomplete_expired" => stands == "canceled",
        "past_due" | "unpaid" | "paused" => stands == "past_due" || stands == "unpaid",
        other => stands == other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_it_is_killed_it_ends_where_stripe_stands() {
    let seed = setting("BILLING_CRASH_SEED", 1);
    let customers = setting("BILLING_CRASH_CUSTOMERS", 4);
    let chance = Entropy::seeded(seed);
    // The past, so that what happened there is the past for the program as well.
    let begin = now() - i64::from(PARTS * DAYS) * DAY;
    let stripe = FakeStripe::start(begin);
    stripe.is_behind();
    stripe.after_retries(if seed.is_multiple_of(2) {
        AfterRetries::Cancel
    } else {
        AfterRetries::Unpaid
    });
    // Weeks, so that many renewals fall into what Stripe remembers.
    let price = stripe.add_price("Team", 4_900, "eur", "week");
    let shop = Shop::new(Home::new(), stripe);
    let mut server = shop.home.start();
    server.signing_key().await;
    let operator = shop.for_long(&server.operator().await).await;
    let plan = shop.plan(&operator, Some(&price)).await;
    let mut crash = Crash { shop, chance, customers: Vec::new(), kills: 0, kept: 0, lost: 0 };
    for number in 0..customers {
        let email = format!("person-{number}@example.com");
        let shop = &crash.shop;
        let client = shop.for_long(&shop.customer(&server, &email).await).await;
        let session = shop.page(&client, &plan).await;
        let subscription = shop.stripe.complete_checkout(&session, Card::Good).unwrap();
        crash.customers.push(Customer { email, client, subscription });
    }

    for part in (0..PARTS).rev() {
        crash.live(now() - i64::from(part * DAYS) * DAY);
        server = crash.tell(server).await;
    }

    // Whoever is not killed any more learns the rest by asking.
    server.kill();
    crash.shop.stripe.down(false);
    let server = crash.shop.home.start();
    let end = tokio::time::Instant::now() + PATIENCE / 4;
    while !crash.faults(&server).await.is_empty() && tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    crash.shop.worked_off(&operator.at(&server)).await;
    assert_eq!(crash.faults(&server).await, [""; 0], "seed {seed}\n{}", server.printed());
    // Nothing is done a second time either.
    server.kill();
    let server = crash.shop.home.start();
    crash.shop.worked_off(&operator.at(&server)).await;
    assert_eq!(crash.faults(&server).await, [""; 0], "seed {seed}\n{}", server.printed());
    let overview = operator.at(&server).get("/api/v1/admin/overview").await.expect(&[200]);
    assert_eq!(overview["jobs"]["parked"], 0, "{overview}");
    let events = crash.shop.stripe.events().len();
    let Crash { kills, kept, lost, .. } = &crash;
    println!("{events} events, {kept} delivered, {kills} kills, {lost} deliveries lost to them");
    assert!(*kills > 5 && *kept > 5, "that was no load: {kills} kills, {kept} deliveries");
    server.stop();
    crash.shop.home.run(&["doctor"]).succeeded();
}
