//! A vendor whose customers pay through Stripe, served by the real program.

use reqwest::Method;
use serde_json::{Value, json};

use crate::mail::Mail;
use crate::stripe::{FakeStripe, SECRET_KEY};
use crate::support::{Answer, Client, Home, PASSWORD, Server, person, text, until};

const SECRET: &str = "whsec_of_the_tests";
/// Who issues what the servers of a [`Home`] sign.
pub const ISSUER: &str = "http://licensing.test";

/// The data, and the Stripe that bills; servers come and go.
pub struct Shop {
    pub home: Home,
    pub stripe: FakeStripe,
}

impl Shop {
    pub fn new(home: Home, stripe: FakeStripe) -> Self {
        let home = home
            .with("STRIPE_SECRET_KEY", SECRET_KEY)
            .with("STRIPE_WEBHOOK_SECRET", SECRET)
            .with("CODITECT_STRIPE_API_BASE", &stripe.url())
            .with("CODITECT_JOBS_RETRY_BASE_S", "1");
        Self { home, stripe }
    }

    /// Offers a plan for ten seats.
    pub async fn plan(&self, operator: &Client, price: Option<&str>) -> Value {
        let plan = json!({
            "plan_name": "Team", "max_concurrent_seats": 10, "monthly_price_cents": 4900,
            "currency": "EUR", "stripe_monthly_price_id": price,
        });
        operator.post("/api/v1/admin/plans", plan).await.expect(&[201])
    }

    /// Registers somebody and follows the link in the mail; signed in.
    pub async fn customer(&self, server: &Server, email: &str) -> Client {
        let anyone = server.client();
        anyone.post("/api/v1/auth/register", person(email)).await.expect(&[201]);
        let confirm = || self.mails_to(email).into_iter().find(|it| it.subject.contains("Confirm"));
        until("the mail with the link has come", async || confirm().is_some()).await;
        let token = confirm().unwrap().token();
        let verify = json!({"token": token});
        anyone.post("/api/v1/auth/verify-email", verify).await.expect(&[200]);
        anyone.sign_in(email, PASSWORD).await
    }

    /// The same person, for longer than a sign-in lasts.
    pub async fn for_long(&self, person: &Client) -> Client {
        let made = person.post("/api/v1/api-keys", json!({"name": "the tests"})).await;
        person.with_token(&text(&made.expect(&[201])["secret"]))
    }

    /// A page for a plan at Stripe; its session.
    pub async fn page(&self, customer: &Client, plan: &Value) -> String {
        let wanted = json!({"plan_id": plan["plan_id"]});
        let page = customer.post("/api/v1/checkout/session", wanted).await.expect(&[201]);
        assert!(text(&page["url"]).starts_with("https://checkout.stripe.com/"), "{page}");
        text(&page["session_id"])
    }

    /// An event, signed at a time: the signature and the body.
    pub fn delivery(&self, event: &Value, at: i64) -> (String, String) {
        self.stripe.signed_at(&text(&event["id"]), SECRET, at)
    }

    /// Delivers it.
    pub async fn post(to: &Client, (signature, body): (String, String)) -> reqwest::Result<Answer> {
        let request = to.request(Method::POST, "/api/v1/webhooks/stripe");
        let request = request
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", signature)
            .body(body);
        Client::send(request).await
    }

    /// Waits until all that was delivered is worked off, and its mail is sent.
    pub async fn worked_off(&self, operator: &Client) {
        until("all news are worked off", async || {
            let jobs = operator.list("/api/v1/admin/jobs").await;
            !jobs.iter().any(|job| job["kind"] == "provider_event" || job["kind"] == "send_mail")
        })
        .await;
    }

    /// What was mailed to somebody, oldest first.
    pub fn mails_to(&self, email: &str) -> Vec<Mail> {
        let Ok(folder) = std::fs::read_dir(self.home.data().join("mail")) else {
            return Vec::new();
        };
        let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "eml"));
        files.sort();
        let mails = files.iter().map(|path| Mail::read(&std::fs::read(path).unwrap()));
        mails.filter(|mail| mail.to == email).collect()
    }

    /// How many of them have a subject with these words.
    pub fn mailed(&self, email: &str, words: &str) -> usize {
        self.mails_to(email).iter().filter(|mail| mail.subject.contains(words)).count()
    }
}
