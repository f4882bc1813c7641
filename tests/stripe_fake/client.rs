//! A program that calls Stripe.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Method, Response};
use serde_json::Value;

use crate::stripe::{Card, FakeStripe, SECRET_KEY};

pub const NOW: i64 = 1_893_456_000; // 2030-01-01T00:00:00Z

pub struct Client {
    http: reqwest::Client,
    base: String,
    keys: AtomicU64,
}

/// A status and a body.
pub type Answer = (u16, Value);

impl Client {
    pub fn of(stripe: &FakeStripe) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, base: stripe.url(), keys: AtomicU64::new(0) }
    }

    /// Sends parameters, whose keys are percent-encoded on the way.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        key: &str,
        form: &[(&str, &str)],
    ) -> Response {
        let mut encoded = reqwest::Url::parse("http://x").unwrap();
        encoded.query_pairs_mut().extend_pairs(form);
        let request = self
            .http
            .request(method.clone(), format!("{}/v1{path}", self.base))
            .bearer_auth(SECRET_KEY)
            .header("Stripe-Version", "2026-08-26.dahlia");
        let request = if method == Method::POST {
            request
                .header("Idempotency-Key", key)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(encoded.query().unwrap_or_default().to_owned())
        } else {
            request
        };
        request.send().await.unwrap()
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let key = format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed));
        answer(self.send(Method::POST, path, &key, form).await).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.send(Method::GET, path, "", &[]).await).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.send(Method::DELETE, path, "", &[]).await).await
    }

    /// Posts what must succeed.
    pub async fn make(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let (status, body) = self.post(path, form).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A customer of `org_1`.
    pub async fn customer(&self) -> String {
        let form = [("email", "a+b@example.com"), ("name", "Añ & Co"), ("metadata[org]", "org_1")];
        id(&self.make("/customers", &form).await)
    }

    /// A checkout session for three seats, with further parameters.
    pub async fn session(&self, customer: &str, price: &str, more: &[(&str, &str)]) -> String {
        let mut form = vec![
            ("mode", "subscription"),
            ("customer", customer),
            ("client_reference_id", "org_1"),
            ("line_items[0][price]", price),
            ("line_items[0][quantity]", "3"),
            ("subscription_data[metadata][org]", "org_1"),
            ("success_url", "https://example.com/done?id={CHECKOUT_SESSION_ID}"),
            ("cancel_url", "https://example.com/plans"),
        ];
        form.extend(more);
        id(&self.make("/checkout/sessions", &form).await)
    }

    /// A customer with a subscription for three seats that was just paid.
    pub async fn subscriber(&self, stripe: &FakeStripe) -> (String, String) {
        let price = stripe.add_price("Team", 4_900, "usd", "month");
        let customer = self.customer().await;
        let session = self.session(&customer, &price, &[]).await;
        (customer, stripe.complete_checkout(&session, Card::Good).unwrap())
    }
}

async fn answer(response: Response) -> Answer {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

/// The types of events.
pub fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// The last event of a type.
#[track_caller]
pub fn last<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    events.iter().rev().find(|event| event["type"] == kind).expect(kind)
}
