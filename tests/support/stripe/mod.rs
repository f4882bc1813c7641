//! A Stripe of our own, for tests: in memory, on loopback, and the same every time.
//!
//! ```ignore
//! let stripe = FakeStripe::start(1_893_456_000); // or `start_with(clock)`, a clock shared with others
//! let price = stripe.add_price("Team", 4_900, "usd", "month");
//! // the program under test: base URL `stripe.url()`, key `SECRET_KEY`, makes a checkout session ..
//! let subscription = stripe.complete_checkout("cs_test_000007", Card::Good).unwrap();
//! stripe.set_card(&customer, Card::Declines);
//! stripe.advance_to(stripe.period_end(&subscription) + HOUR); // renewal, and its failed payment
//! for event in stripe.take_events() {
//!     let (header, body) = stripe.signed(event["id"].as_str().unwrap(), "whsec_..");
//!     // POST it to the program under test, once, twice, late or never
//! }
//! ```
//!
//! *The API*: the calls of `calls.rs`, with Stripe's errors, lists, `expand[]` and idempotency keys.
//! Parameters that the fake does not know are refused, never ignored.
//!
//! *What customers do*: [`FakeStripe::complete_checkout`], `settle`, `expire_checkout`, `set_card`,
//! `pay_open_invoice`, `cancel_now`, `cancel_at_period_end`, `keep`, `cancel_at`, `change_plan`,
//! `pause`, `resume`, `dispute`. *What the vendor does in the dashboard*: `refund`, `delete_customer`.
//!
//! *Time* only moves with [`FakeStripe::advance_to`], which does what is due on the way, each at its
//! time: the notice three days before a trial's end; the next period, which begins at once while its
//! invoice is a draft for an hour; then its payment, tried again 1, 3 and 5 days after the first
//! failure; then what [`FakeStripe::after_retries`] says. A clock that others move is looked at, too,
//! but what was due is then done late.
//!
//! *Events* are made by all of this ([`FakeStripe::events`], [`FakeStripe::take_events`]) in the shape
//! that [`FakeStripe::shape`] sets; delivering them is the test's. Answers always have today's shape.
//!
//! *Faults*: `down`, `fail_next`, `lose_answers`, `slow`. *Everything* that was said is in
//! [`FakeStripe::transcript`].

#![allow(dead_code)]

mod billing;
mod calls;
mod checkout;
mod error;
mod form;
mod invoices;
mod payments;
mod server;
mod shape;
mod signature;
mod subscription_calls;
mod world;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use poem::listener::TcpAcceptor;
use serde_json::{Value, json};
use tokio::sync::oneshot;

#[allow(unused_imports, reason = "each binary uses its own part")]
pub use billing::{Card, DAY, HOUR};
pub use shape::Shape;
pub use world::AfterRetries;

use billing::{items, number, text};
use server::Service;
use world::World;

/// The only key that the fake knows.
pub const SECRET_KEY: &str = "sk_test_fakeStripeOfTheTests";

/// A running Stripe; it stops when dropped.
pub struct FakeStripe {
    service: Arc<Mutex<Service>>,
    address: SocketAddr,
    /// How many events were taken.
    taken: Mutex<usize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeStripe {
    /// Starts one with a clock of its own, in Unix seconds.
    pub fn start(now: i64) -> Self {
        Self::start_with(Arc::new(AtomicI64::new(now)))
    }

    /// Starts one with a clock in Unix seconds.
    pub fn start_with(clock: Arc<AtomicI64>) -> Self {
        let service = Arc::new(Mutex::new(Service::new(World::new(clock), SECRET_KEY)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&service);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let endpoint = poem::endpoint::make(move |request| {
                    let service = Arc::clone(&shared);
                    async move { Ok::<_, poem::Error>(server::serve(service, request).await) }
                });
                let acceptor = TcpAcceptor::from_std(listener).unwrap();
                let server = poem::Server::new_with_acceptor(acceptor);
                let stop = async { drop(stopped.await) };
                server
                    .run_with_graceful_shutdown(endpoint, stop, Some(Duration::ZERO))
                    .await
                    .unwrap();
            });
        });
        let (stop, thread) = (Some(stop), Some(thread));
        Self { service, address, taken: Mutex::new(0), stop, thread }
    }

    /// The base URL, without `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut service = self.service.lock();
        service.world.read_clock();
        act(&mut service.world)
    }

    // ---- what is there ----

    /// Any object by its id, in today's shape.
    #[track_caller]
    pub fn get(&self, id: &str) -> Value {
        self.world(|world| shape::public(world.get(id)))
    }

    /// All objects of a kind, as `object` names it, oldest first.
    pub fn all(&self, kind: &str) -> Vec<Value> {
        self.world(|world| world.of_kind(kind).map(shape::public).collect())
    }

    /// When the subscription's current period ends.
    #[track_caller]
    pub fn period_end(&self, subscription: &str) -> i64 {
        number(&items(&self.get(subscription))[0], "current_period_end")
    }

    /// The charge that paid an invoice, or that failed to.
    #[track_caller]
    pub fn charge_of(&self, invoice: &str) -> String {
        self.world(|world| text(world.get(&world.intent_of(invoice)), "latest_charge").to_owned())
    }

    /// The time.
    pub fn now(&self) -> i64 {
        self.world(|world| world.now)
    }

    // ---- settings ----

    /// The shape of events from now on.
    pub fn shape(&self, shape: Shape) {
        self.world(|world| world.shape = shape);
    }

    /// What becomes of a subscription after the last try to collect; [`AfterRetries::Cancel`] at first.
    pub fn after_retries(&self, policy: AfterRetries) {
        self.world(|world| world.after_retries = policy);
    }

    /// The clock is behind that of the program under test, so that weeks can pass until today; a page
    /// may then be open for longer than Stripe allows.
    pub fn is_behind(&self) {
        self.world(|world| world.is_behind = true);
    }

    /// A product with one price, charged each `week`, `month` or `year`; returns the price.
    pub fn add_price(&self, name: &str, cents: i64, currency: &str, interval: &str) -> String {
        self.world(|world| {
            let product = world.add_product(name);
            let recurring = json!({
                "interval": interval, "interval_count": 1, "meter": null, "usage_type": "licensed",
            });
            world.add_price(&product, currency, cents, &recurring)
        })
    }

    // ---- what happens ----

    /// Does all that is due up to a time.
    pub fn advance_to(&self, time: i64) {
        self.world(|world| world.advance_to(time));
    }

    /// The customer pays on the page of a session. Returns the subscription, if there is one now;
    /// with [`Card::Declines`] there is none and the session stays open, unless a trial comes first.
    #[track_caller]
    pub fn complete_checkout(&self, session: &str, card: Card) -> Option<String> {
        self.world(|world| {
            world.complete_session(session, card);
            world.get(session)["subscription"].as_str().map(str::to_owned)
        })
    }

    /// What becomes of a payment that waits since [`Card::Async`]: of a session or an invoice.
    #[track_caller]
    pub fn settle(&self, id: &str, succeeds: bool) {
        self.world(|world| match text(world.get(id), "object") {
            "invoice" => world.settle_invoice(id, succeeds),
            _ => world.settle_session(id, succeeds),
        });
    }

    /// A session runs out before its time.
    #[track_caller]
    pub fn expire_checkout(&self, session: &str) {
        self.world(|world| world.expire_open_session(session)).unwrap();
    }

    /// The customer has another card from now on.
    #[track_caller]
    pub fn set_card(&self, customer: &str, card: Card) {
        self.world(|world| world.set_card(customer, card));
    }

    /// The customer pays the oldest open invoice of a subscription; false when the card was declined.
    #[track_caller]
    pub fn pay_open_invoice(&self, subscription: &str) -> bool {
        self.world(|world| {
            let open = world.of_kind("invoice").find(|invoice| {
                invoice["status"] == "open"
                    && invoice["parent"]["subscription_details"]["subscription"] == subscription
            });
            let invoice = text(open.expect("an open invoice"), "id").to_owned();
            world.pay(&invoice, false).is_ok()
        })
    }

    /// Gives back an amount of a charge, or all that is left; returns the refund.
    #[track_caller]
    pub fn refund(&self, charge: &str, amount: Option<i64>) -> String {
        self.world(|world| world.refund(charge, amount, None)).unwrap()
    }

    /// The cardholder disputes a charge; returns the dispute.
    #[track_caller]
    pub fn dispute(&self, charge: &str) -> String {
        self.world(|world| world.dispute(charge))
    }

    /// In the portal: ends a subscription now.
    #[track_caller]
    pub fn cancel_now(&self, subscription: &str) {
        self.world(|world| world.end_subscription(subscription, "cancellation_requested"));
    }

    /// In the portal: lets a subscription go on to the end of its period.
    #[track_caller]
    pub fn cancel_at_period_end(&self, subscription: &str) {
        self.world(|world| world.set_cancel_at_period_end(subscription, true));
    }

    /// In the portal: takes a cancellation back.
    #[track_caller]
    pub fn keep(&self, subscription: &str) {
        self.world(|world| world.set_cancel_at_period_end(subscription, false));
    }

    /// Ends a subscription at a time; only `cancel_at` says so.
    #[track_caller]
    pub fn cancel_at(&self, subscription: &str, time: i64) {
        self.world(|world| world.set_cancel_at(subscription, Some(time)));
    }

    /// In the portal: another price and quantity, with prorations on the next invoice.
    #[track_caller]
    pub fn change_plan(&self, subscription: &str, price: &str, quantity: i64) {
        self.world(|world| {
            let mut after = items(world.get(subscription)).clone();
            after[0]["price"] = world.get(price).clone();
            after[0]["quantity"] = json!(quantity);
            world.change_items(subscription, &after, "create_prorations", false);
        });
    }

    /// A subscription gets the status `paused`.
    #[track_caller]
    pub fn pause(&self, subscription: &str) {
        self.world(|world| world.pause(subscription));
    }

    /// A paused subscription goes on, in a period that begins now and is paid at once.
    #[track_caller]
    pub fn resume(&self, subscription: &str) {
        self.world(|world| world.resume(subscription)).unwrap();
    }

    /// Deletes a customer, whose subscriptions end at once.
    #[track_caller]
    pub fn delete_customer(&self, customer: &str) {
        self.world(|world| world.delete_customer(customer));
    }

    // ---- events ----

    /// All events, oldest first.
    pub fn events(&self) -> Vec<Value> {
        self.world(|world| world.events.clone())
    }

    /// The events since this was last called.
    pub fn take_events(&self) -> Vec<Value> {
        let events = self.events();
        let mut taken = self.taken.lock();
        events[std::mem::replace(&mut *taken, events.len())..].to_vec()
    }

    /// An event as Stripe delivers it at its time: the `Stripe-Signature` header and the body.
    #[track_caller]
    pub fn signed(&self, event: &str, secret: &str) -> (String, String) {
        self.signed_at(event, secret, self.now())
    }

    /// An event as Stripe delivers it at a time.
    #[track_caller]
    pub fn signed_at(&self, event: &str, secret: &str, time: i64) -> (String, String) {
        let events = self.events();
        let event = events.iter().find(|one| one["id"] == event).expect("an event of this id");
        // Indented, as Stripe's are.
        let body = serde_json::to_string_pretty(event).unwrap();
        (signature::header(&body, secret, time), body)
    }

    /// An event was delivered, which only `GET /v1/events?delivery_success=` wants to know.
    pub fn mark_delivered(&self, event: &str) {
        self.world(|world| world.delivered.insert(event.to_owned()));
    }

    // ---- faults ----

    /// Every request gets 503, and nothing is done.
    pub fn down(&self, down: bool) {
        self.service.lock().faults.down = down;
    }

    /// So many requests get this status, and nothing is done; a 5xx is kept for its idempotency key.
    pub fn fail_next(&self, count: u32, status: u16) {
        self.service.lock().faults.fail_next = (count, status);
    }

    /// So many requests are done, and a proxy's 502 comes instead of the answer.
    pub fn lose_answers(&self, count: u32) {
        self.service.lock().faults.lose_next = count;
    }

    /// Answers come so much later than what they tell of.
    pub fn slow(&self, by: Duration) {
        self.service.lock().faults.slow = by;
    }

    // ---- the transcript ----

    /// Every request with its answer, and every event, in the order of their coming.
    pub fn transcript(&self) -> Vec<Value> {
        self.world(|world| world.transcript.clone())
    }

    /// Writes the transcript, a line each, for `tests/python/stripe_spec.py`.
    pub fn write_transcript(&self, path: &Path) {
        let lines: Vec<String> = self.transcript().iter().map(Value::to_string).collect();
        std::fs::write(path, lines.join("\n")).unwrap();
    }
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The `Stripe-Signature` of any body.
pub fn signature_of(body: &str, secret: &str, time: i64) -> String {
    signature::header(body, secret, time)
}
