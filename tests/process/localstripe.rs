//! Webhooks that nobody here has signed: localstripe, a Stripe that others wrote, delivers to the real
//! program, which asks it in turn. Its customers are none of ours.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;
use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::{Request, Response};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Home, OPERATOR, text, until};

const KEY: &str = "sk_test_12345";
const SECRET: &str = "whsec_of_the_tests";

/// localstripe in a process of its own.
struct LocalStripe {
    process: Child,
    url: String,
    http: reqwest::Client,
}

impl LocalStripe {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut process = Command::new(root.join(".venv/bin/python"))
            .arg(root.join("tests/python/local_stripe.py"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("no .venv/bin/python: run `tests/all.sh tools`");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready ").expect("ready").to_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { process, url: format!("http://127.0.0.1:{port}"), http }
    }

    /// Makes something; what it answers, when that is JSON.
    async fn make(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(KEY).form(form);
        let answer = request.send().await.unwrap();
        let (status, said) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {said}");
        serde_json::from_str(&said).unwrap_or_default()
    }

    /// From now on it delivers there.
    async fn delivers_to(&self, url: &str, secret: &str) {
        self.make("/_config/webhooks/coditect", &[("url", url), ("secret", secret)]).await;
    }

    /// A customer who pays; the customer and the plan.
    async fn customer(&self) -> (String, String) {
        let card = [
            ("type", "card"),
            ("card[number]", "4242424242424242"),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2055"),
            ("card[cvc]", "123"),
        ];
        let email = [("email", "ann@example.com")];
        let customer = text(&self.make("/v1/customers", &email).await["id"]);
        let method = text(&self.make("/v1/payment_methods", &card).await["id"]);
        let attach = format!("/v1/payment_methods/{method}/attach");
        self.make(&attach, &[("customer", &customer)]).await;
        let pays_with = [("invoice_settings[default_payment_method]", method.as_str())];
        self.make(&format!("/v1/customers/{customer}"), &pays_with).await;
        let product = [("name", "Team"), ("type", "service")];
        let product = text(&self.make("/v1/products", &product).await["id"]);
        let plan = [
            ("id", "team"),
            ("amount", "4900"),
            ("currency", "eur"),
            ("interval", "month"),
            ("product", &product),
        ];
        self.make("/v1/plans", &plan).await;
        (customer, "team".to_owned())
    }

    async fn subscribe(&self, (customer, plan): &(String, String)) -> String {
        let form = [("customer", customer.as_str()), ("items[0][plan]", plan)];
        text(&self.make("/v1/subscriptions", &form).await["id"])
    }

    async fn cancel(&self, subscription: &str) {
        let url = format!("{}/v1/subscriptions/{subscription}", self.url);
        let answer = self.http.delete(url).bearer_auth(KEY).send().await.unwrap();
        assert!(answer.status().is_success());
    }
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A delivery as it came, and how it was answered.
#[derive(Clone, Debug)]
struct Delivery {
    kind: String,
    signature: String,
    body: String,
    status: u16,
    said: Value,
}

/// Stands between localstripe, which tells nobody how it was answered, and the program.
struct Relay {
    url: String,
    seen: Arc<Mutex<Vec<Delivery>>>,
}

impl Relay {
    fn start(to: Client) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Delivery>>>::default();
        let kept = Arc::clone(&seen);
        let endpoint = poem::endpoint::make(move |mut request: Request| {
            let (to, kept) = (to.clone(), Arc::clone(&kept));
            async move {
                let signature = request.header("Stripe-Signature").unwrap_or_default().to_owned();
                let body = request.take_body().into_string().await.unwrap();
                let delivery = deliver(&to, &signature, &body).await;
                let status = StatusCode::from_u16(delivery.status).unwrap();
                kept.lock().push(delivery);
                Ok::<_, poem::Error>(Response::builder().status(status).finish())
            }
        });
        let acceptor = TcpAcceptor::from_std(listener).unwrap();
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(endpoint));
        Self { url, seen }
    }

    /// The deliveries of a kind so far.
    fn of(&self, kind: &str) -> Vec<Delivery> {
        self.seen.lock().iter().filter(|one| one.kind == kind).cloned().collect()
    }

    async fn saw(&self, kind: &str, times: usize) -> Delivery {
        until("it is delivered", async || self.of(kind).len() >= times).await;
        self.of(kind)[times - 1].clone()
    }
}

async fn deliver(to: &Client, signature: &str, body: &str) -> Delivery {
    let request = to.request(Method::POST, "/api/v1/webhooks/stripe");
    let request = request
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", signature)
        .body(body.to_owned());
    let answer = Client::send(request).await.unwrap();
    let event: Value = serde_json::from_str(body).unwrap_or_default();
    Delivery {
        kind: event["type"].as_str().unwrap_or_default().to_owned(),
        signature: signature.to_owned(),
        body: body.to_owned(),
        status: answer.status,
        said: answer.body,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn what_another_stripe_has_signed_is_taken_and_its_customers_are_none_of_ours() {
    let stripe = LocalStripe::start();
    let home = Home::new()
        .with("STRIPE_SECRET_KEY", KEY)
        .with("STRIPE_WEBHOOK_SECRET", SECRET)
        .with("CODITECT_STRIPE_API_BASE", &stripe.url)
        .with("CODITECT_JOBS_RETRY_BASE_S", "1");
    let server = home.start();
    let operator = server.operator().await;
    let relay = Relay::start(server.client());
    stripe.delivers_to(&relay.url, SECRET).await;

    let customer = stripe.customer().await;
    let subscription = stripe.subscribe(&customer).await;
    for (kind, status) in [
        ("customer.created", "ignored"),
        ("customer.subscription.created", "kept"),
        ("invoice.created", "kept"),
        ("invoice.payment_succeeded", "kept"),
    ] {
        let delivery = relay.saw(kind, 1).await;
        assert_eq!((delivery.status, &delivery.said["status"]), (200, &json!(status)), "{kind}");
    }
    stripe.cancel(&subscription).await;
    let ended = relay.saw("customer.subscription.deleted", 1).await;
    assert_eq!((ended.status, &ended.said["status"]), (200, &json!("kept")));

    // Once more is once; a blank more is somebody else's, and so is another secret.
    let again = deliver(&server.client(), &ended.signature, &ended.body).await;
    assert_eq!((again.status, &again.said["status"]), (200, &json!("known")));
    let changed = deliver(&server.client(), &ended.signature, &format!("{} ", ended.body)).await;
    assert_eq!((changed.status, &changed.said["code"]), (400, &json!("invalid_signature")));
    stripe.delivers_to(&relay.url, "whsec_of_somebody_else").await;
    stripe.subscribe(&customer).await;
    let refused = relay.saw("customer.subscription.created", 2).await;
    assert_eq!((refused.status, &refused.said["code"]), (400, &json!("invalid_signature")));

    // All of it was looked at, and none of it has left anything.
    until("all news are worked off", async || {
        let jobs = operator.list("/api/v1/admin/jobs").await;
        !jobs.iter().any(|job| job["kind"] == "provider_event")
    })
    .await;
    for list in ["subscriptions", "licenses", "invoices", "payments", "emails"] {
        let mut found = operator.list(&format!("/api/v1/admin/{list}")).await;
        // Who signs in is told so.
        found.retain(|it| it["to"] != OPERATOR);
        assert!(found.is_empty(), "{list}: {found:?}");
    }
    let overview = operator.get("/api/v1/admin/overview").await.expect(&[200]);
    assert_eq!(overview["jobs"]["parked"], 0, "{overview}");
    let printed = server.stop();
    assert!(!printed.contains("a job failed"), "{printed}");
}
