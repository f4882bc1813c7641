//! Requests and their answers.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::client::{Client, NOW, id};
use crate::stripe::{Card, FakeStripe};

#[tokio::test]
async fn a_customer_is_as_it_was_sent() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let customer = client.customer().await;
    let (status, body) = client.get(&format!("/customers/{customer}")).await;
    assert_eq!((status, &body["name"]), (200, &json!("Añ & Co")));
    assert_eq!(
        (&body["email"], &body["metadata"]),
        (&json!("a+b@example.com"), &json!({ "org": "org_1" }))
    );
}

#[tokio::test]
async fn what_is_not_there_is_answered_as_stripe_does() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let (status, body) = client.get("/subscriptions/sub_x").await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("resource_missing")));
    let (status, body) = client.post("/billing_portal/sessions", &[("customer", "cus_x")]).await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("customer")));
    let (status, body) = client.post("/customers", &[("emial", "a@example.com")]).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("parameter_unknown")));
    assert_eq!(client.get("/nothing").await.0, 404);
}

#[tokio::test]
async fn only_the_secret_key_opens() {
    let stripe = FakeStripe::start(NOW);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v1/account", stripe.url());
    assert_eq!(http.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(http.get(&url).bearer_auth("sk_test_other").send().await.unwrap().status(), 401);
    assert_eq!(Client::of(&stripe).get("/account").await.0, 200);
}

#[tokio::test]
async fn an_idempotency_key_counts_once() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let send = |key, email| client.send(Method::POST, "/customers", key, email);
    let first = send("k", &[("email", "a@example.com")]).await;
    assert!(first.headers().get("idempotent-replayed").is_none());
    let again = send("k", &[("email", "a@example.com")]).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(first.text().await.unwrap(), again.text().await.unwrap());
    let other = send("k", &[("email", "b@example.com")]).await;
    assert_eq!(other.status(), 400);
    assert!(other.text().await.unwrap().contains("idempotency_error"));
    assert_eq!(stripe.all("customer").len(), 1);
}

#[tokio::test]
async fn a_server_error_is_kept_for_its_key_and_a_full_queue_is_not() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let send = |key| client.send(Method::POST, "/customers", key, &[("email", "a@example.com")]);
    stripe.fail_next(1, 500);
    assert_eq!(send("k1").await.status(), 500);
    assert_eq!(send("k1").await.status(), 500);
    stripe.advance_to(NOW + 25 * 3_600);
    assert_eq!(send("k1").await.status(), 200);
    stripe.fail_next(1, 429);
    assert_eq!(send("k2").await.status(), 429);
    assert_eq!(send("k2").await.status(), 200);
}

#[tokio::test]
async fn an_answer_that_was_lost_comes_again_under_its_key() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let send = |key| client.send(Method::POST, "/customers", key, &[("email", "a@example.com")]);
    stripe.lose_answers(1);
    assert_eq!(send("k").await.status(), 502);
    assert_eq!(stripe.all("customer").len(), 1);
    assert_eq!(send("k").await.status(), 200);
    assert_eq!(stripe.all("customer").len(), 1);
}

#[tokio::test]
async fn it_can_be_down_and_slow() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    stripe.down(true);
    assert_eq!(client.get("/account").await.0, 503);
    stripe.down(false);
    stripe.slow(Duration::from_millis(100));
    let began = Instant::now();
    assert_eq!(client.get("/account").await.0, 200);
    assert!(began.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(client.customer().await);
    }
    made.reverse();
    let (_, page) = client.get("/customers?limit=2").await;
    assert_eq!((page["has_more"].clone(), id(&page["data"][1])), (json!(true), made[1].clone()));
    let (_, page) = client.get(&format!("/customers?limit=10&starting_after={}", made[1])).await;
    assert_eq!((page["has_more"].clone(), id(&page["data"][0])), (json!(false), made[2].clone()));
    let (_, page) = client.get(&format!("/customers?limit=2&ending_before={}", made[3])).await;
    assert_eq!((page["has_more"].clone(), id(&page["data"][0])), (json!(true), made[1].clone()));
    let (_, page) = client.get("/events?types[]=customer.created&limit=100").await;
    assert_eq!(page["data"].as_array().unwrap().len(), 5);
    let (_, page) = client.get(&format!("/events?type=customer.*&created[gt]={NOW}")).await;
    assert_eq!(page["data"], json!([]));
}

#[tokio::test]
async fn objects_are_expanded() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let (customer, subscription) = client.subscriber(&stripe).await;
    let path =
        format!("/subscriptions/{subscription}?expand[]=latest_invoice.payments&expand[]=customer");
    let (_, body) = client.get(&path).await;
    assert_eq!(body["customer"]["id"], customer.as_str());
    assert_eq!(body["latest_invoice"]["payments"]["data"][0]["status"], "paid");
    let intent = &body["latest_invoice"]["payments"]["data"][0]["payment"]["payment_intent"];
    let path = format!(
        "/invoice_payments?payment[type]=payment_intent&payment[payment_intent]={}&expand[]=data.invoice",
        intent.as_str().unwrap()
    );
    let (_, body) = client.get(&path).await;
    let parent = &body["data"][0]["invoice"]["parent"];
    assert_eq!(parent["subscription_details"]["subscription"], subscription.as_str());
    assert_eq!(client.get(&format!("/subscriptions/{subscription}?expand[]=nothing")).await.0, 400);
}

#[tokio::test]
async fn a_session_is_open_until_it_is_paid_expired_or_too_old() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let price = stripe.add_price("Team", 4_900, "usd", "month");
    let customer = client.customer().await;
    let paid = client.session(&customer, &price, &[]).await;
    let given_up = client.session(&customer, &price, &[]).await;
    let forgotten = client.session(&customer, &price, &[("expires_at", "1893459600")]).await;
    let (_, open) =
        client.get(&format!("/checkout/sessions?customer={customer}&status=open")).await;
    assert_eq!(open["data"].as_array().unwrap().len(), 3);
    assert_eq!(stripe.complete_checkout(&paid, Card::Declines), None);
    assert_eq!(stripe.get(&paid)["status"], "open");
    stripe.complete_checkout(&paid, Card::Good).unwrap();
    let expire = |id: &str| format!("/checkout/sessions/{id}/expire");
    assert_eq!(client.post(&expire(&given_up), &[]).await.0, 200);
    assert_eq!(client.post(&expire(&paid), &[]).await.0, 400);
    stripe.advance_to(NOW + 3_600);
    let status = |id: &str| stripe.get(id)["status"].clone();
    assert_eq!(
        [status(&paid), status(&given_up), status(&forgotten)],
        ["complete", "expired", "expired"]
    );
}
