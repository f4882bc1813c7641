//! What becomes of subscriptions, and which events tell of it.

use serde_json::json;

use crate::client::{Client, NOW, last, types};
use crate::stripe::{AfterRetries, Card, DAY, FakeStripe, HOUR, Shape};

const FEBRUARY: i64 = NOW + 31 * DAY;
const MARCH: i64 = FEBRUARY + 28 * DAY;

#[tokio::test]
async fn a_paid_checkout_is_an_active_subscription() {
    let stripe = FakeStripe::start(NOW);
    let (customer, subscription) = Client::of(&stripe).subscriber(&stripe).await;
    let events = stripe.take_events();
    let found = types(&events);
    for kind in [
        "customer.subscription.created",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
    ] {
        assert_eq!(found.iter().filter(|one| **one == kind).count(), 1, "{kind}: {found:?}");
    }
    let session = &last(&events, "checkout.session.completed")["data"]["object"];
    assert_eq!(session["payment_status"], "paid");
    assert_eq!(
        (&session["customer"], &session["subscription"]),
        (&json!(customer), &json!(subscription))
    );
    let now = stripe.get(&subscription);
    assert_eq!((&now["status"], stripe.period_end(&subscription)), (&json!("active"), FEBRUARY));
    assert_eq!(now["metadata"], json!({ "org": "org_1" }));
}

#[tokio::test]
async fn a_renewal_begins_the_period_and_is_paid_an_hour_later() {
    let stripe = FakeStripe::start(NOW);
    let (_, subscription) = Client::of(&stripe).subscriber(&stripe).await;
    stripe.take_events();
    stripe.advance_to(FEBRUARY);
    let events = stripe.take_events();
    assert_eq!(types(&events), ["customer.subscription.updated", "invoice.created"]);
    let before = &events[0]["data"]["previous_attributes"];
    assert_eq!(before["items"]["data"][0]["current_period_end"], FEBRUARY);
    assert_eq!(stripe.period_end(&subscription), MARCH);
    stripe.advance_to(FEBRUARY + HOUR);
    let events = stripe.take_events();
    let paid = last(&events, "invoice.paid");
    assert_eq!(
        (&paid["created"], &paid["data"]["object"]["amount_paid"]),
        (&json!(FEBRUARY + HOUR), &json!(14_700))
    );
}

#[tokio::test]
async fn a_trial_is_announced_and_then_paid() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let price = stripe.add_price("Team", 4_900, "usd", "month");
    let customer = client.customer().await;
    let trial = [("subscription_data[trial_period_days]", "14")];
    let session = client.session(&customer, &price, &trial).await;
    let subscription = stripe.complete_checkout(&session, Card::Good).unwrap();
    assert_eq!(stripe.get(&session)["payment_status"], "no_payment_required");
    assert_eq!(stripe.get(&subscription)["status"], "trialing");
    stripe.take_events();
    stripe.advance_to(NOW + 14 * DAY + HOUR);
    let events = stripe.take_events();
    assert_eq!(last(&events, "customer.subscription.trial_will_end")["created"], NOW + 11 * DAY);
    let updated = last(&events, "customer.subscription.updated");
    assert_eq!(updated["data"]["previous_attributes"]["status"], "trialing");
    assert_eq!(last(&events, "invoice.paid")["data"]["object"]["amount_paid"], 14_700);
}

#[tokio::test]
async fn a_trial_without_a_card_ends_as_it_was_agreed() {
    for (behavior, status) in
        [("cancel", "canceled"), ("pause", "paused"), ("create_invoice", "past_due")]
    {
        let stripe = FakeStripe::start(NOW);
        let client = Client::of(&stripe);
        let price = stripe.add_price("Team", 4_900, "usd", "month");
        let customer = client.customer().await;
        let trial = [
            ("subscription_data[trial_period_days]", "14"),
            ("subscription_data[trial_settings][end_behavior][missing_payment_method]", behavior),
            ("payment_method_collection", "if_required"),
        ];
        let session = client.session(&customer, &price, &trial).await;
        let subscription = stripe.complete_checkout(&session, Card::Missing).unwrap();
        stripe.advance_to(NOW + 14 * DAY + HOUR);
        assert_eq!(stripe.get(&subscription)["status"], status);
    }
}

#[tokio::test]
async fn a_failed_payment_is_tried_again_and_then_given_up() {
    for (policy, status) in [
        (AfterRetries::Cancel, "canceled"),
        (AfterRetries::Unpaid, "unpaid"),
        (AfterRetries::PastDue, "past_due"),
    ] {
        let stripe = FakeStripe::start(NOW);
        stripe.after_retries(policy);
        let (customer, subscription) = Client::of(&stripe).subscriber(&stripe).await;
        stripe.set_card(&customer, Card::Declines);
        stripe.take_events();
        stripe.advance_to(FEBRUARY + HOUR);
        assert_eq!(stripe.get(&subscription)["status"], "past_due");
        stripe.advance_to(FEBRUARY + 6 * DAY);
        assert_eq!(stripe.get(&subscription)["status"], status);
        let events = stripe.take_events();
        let failures = events.iter().filter(|event| event["type"] == "invoice.payment_failed");
        let days: Vec<i64> = failures
            .map(|event| (event["created"].as_i64().unwrap() - FEBRUARY - HOUR) / DAY)
            .collect();
        assert_eq!(days, [0, 1, 3, 5]);
        let failed = &last(&events, "invoice.payment_failed")["data"]["object"];
        assert_eq!(
            (&failed["attempt_count"], &failed["next_payment_attempt"]),
            (&json!(4), &json!(null))
        );
    }
}

#[tokio::test]
async fn paying_what_is_open_makes_it_active_again() {
    let stripe = FakeStripe::start(NOW);
    let (customer, subscription) = Client::of(&stripe).subscriber(&stripe).await;
    stripe.set_card(&customer, Card::Declines);
    stripe.advance_to(FEBRUARY + 2 * DAY);
    assert!(!stripe.pay_open_invoice(&subscription));
    stripe.set_card(&customer, Card::Good);
    assert!(stripe.pay_open_invoice(&subscription));
    assert_eq!(stripe.get(&subscription)["status"], "active");
    stripe.take_events();
    stripe.advance_to(FEBRUARY + 10 * DAY);
    assert!(stripe.take_events().is_empty());
}

#[tokio::test]
async fn a_payment_may_take_days() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let price = stripe.add_price("Team", 4_900, "usd", "month");
    for succeeds in [true, false] {
        let customer = client.customer().await;
        let session = client.session(&customer, &price, &[]).await;
        let subscription = stripe.complete_checkout(&session, Card::Async).unwrap();
        assert_eq!(stripe.get(&session)["payment_status"], "unpaid");
        stripe.take_events();
        stripe.settle(&session, succeeds);
        let events = stripe.take_events();
        let outcome = if succeeds { "succeeded" } else { "failed" };
        last(&events, &format!("checkout.session.async_payment_{outcome}"));
        let status = if succeeds { "active" } else { "past_due" };
        assert_eq!(stripe.get(&subscription)["status"], status);
    }
}

#[tokio::test]
async fn a_subscription_ends_now_or_later() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let (_, now) = client.subscriber(&stripe).await;
    let (_, later) = client.subscriber(&stripe).await;
    let (_, kept) = client.subscriber(&stripe).await;
    stripe.cancel_now(&now);
    stripe.cancel_at_period_end(&later);
    stripe.cancel_at_period_end(&kept);
    stripe.keep(&kept);
    assert_eq!(client.delete(&format!("/subscriptions/{now}")).await.0, 404);
    assert_eq!(stripe.get(&later)["cancel_at"], FEBRUARY);
    stripe.advance_to(FEBRUARY + HOUR);
    let status = |id: &str| stripe.get(id)["status"].clone();
    assert_eq!([status(&now), status(&later), status(&kept)], ["canceled", "canceled", "active"]);
    let ended = stripe.get(&later);
    assert_eq!((&ended["canceled_at"], &ended["ended_at"]), (&json!(NOW), &json!(FEBRUARY)));
    let (_, page) = client.get("/subscriptions").await;
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    let (_, page) = client.get("/subscriptions?status=all").await;
    assert_eq!(page["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn more_seats_cost_the_rest_of_the_period() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let (_, subscription) = client.subscriber(&stripe).await;
    let item = stripe.get(&subscription)["items"]["data"][0]["id"].as_str().unwrap().to_owned();
    stripe.advance_to(NOW + 31 * DAY / 2);
    let path = format!("/subscriptions/{subscription}");
    let form = [
        ("items[0][id]", item.as_str()),
        ("items[0][quantity]", "5"),
        ("proration_behavior", "always_invoice"),
    ];
    let body = client.make(&path, &form).await;
    assert_eq!(body["items"]["data"][0]["quantity"], 5);
    let invoice = stripe.get(body["latest_invoice"].as_str().unwrap());
    assert_eq!(
        (&invoice["amount_paid"], &invoice["billing_reason"]),
        (&json!(4_900), &json!("subscription_update"))
    );
    let yearly = stripe.add_price("Team", 49_000, "usd", "year");
    stripe.change_plan(&subscription, &yearly, 5);
    assert_eq!(stripe.period_end(&subscription), stripe.now() + 365 * DAY);
}

#[tokio::test]
async fn money_goes_back() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    let (customer, subscription) = client.subscriber(&stripe).await;
    let invoice = stripe.get(&subscription)["latest_invoice"].as_str().unwrap().to_owned();
    let charge = stripe.charge_of(&invoice);
    stripe.refund(&charge, Some(700));
    assert_eq!(stripe.get(&charge)["refunded"], false);
    let refund = client.make("/refunds", &[("charge", &charge)]).await;
    assert_eq!(
        (&refund["amount"], &stripe.get(&charge)["refunded"]),
        (&json!(14_000), &json!(true))
    );
    assert_eq!(client.post("/refunds", &[("charge", &charge)]).await.0, 400);
    let dispute = stripe.dispute(&charge);
    assert_eq!(
        client.get(&format!("/disputes/{dispute}?expand[]=charge")).await.1["charge"]["disputed"],
        true
    );
    let events = stripe.events();
    let refunded = last(&events, "charge.refunded");
    assert_eq!(refunded["data"]["previous_attributes"]["amount_refunded"], 700);
    last(&events, "charge.dispute.created");
    stripe.delete_customer(&customer);
    assert_eq!(
        types(&stripe.events()[events.len()..]),
        ["customer.subscription.deleted", "customer.deleted"]
    );
    let (status, body) = client.get(&format!("/customers/{customer}")).await;
    assert_eq!((status, &body["deleted"]), (200, &json!(true)));
}

#[tokio::test]
async fn a_pause_ends_with_a_new_period() {
    let stripe = FakeStripe::start(NOW);
    let (_, subscription) = Client::of(&stripe).subscriber(&stripe).await;
    stripe.pause(&subscription);
    stripe.advance_to(MARCH);
    assert_eq!(stripe.get(&subscription)["status"], "paused");
    stripe.resume(&subscription);
    assert_eq!(stripe.get(&subscription)["status"], "active");
    let events = stripe.events();
    last(&events, "customer.subscription.paused");
    last(&events, "customer.subscription.resumed");
    assert_eq!(last(&events, "invoice.paid")["created"], MARCH);
}

#[tokio::test]
async fn events_have_the_older_shape_when_asked_for() {
    let stripe = FakeStripe::start(NOW);
    stripe.shape(Shape::Old);
    let (_, subscription) = Client::of(&stripe).subscriber(&stripe).await;
    stripe.advance_to(FEBRUARY + HOUR);
    let events = stripe.events();
    assert!(events.iter().all(|event| event["api_version"] == "2024-06-20"));
    let renewed = &last(&events, "customer.subscription.updated")["data"];
    assert_eq!(renewed["object"]["current_period_end"], MARCH);
    assert_eq!(renewed["previous_attributes"]["current_period_end"], FEBRUARY);
    let invoice = &last(&events, "invoice.paid")["data"]["object"];
    assert_eq!((&invoice["subscription"], &invoice["paid"]), (&json!(subscription), &json!(true)));
    assert!(invoice.get("parent").is_none());
    let charge = &last(&events, "charge.succeeded")["data"]["object"];
    assert_eq!((&charge["invoice"], &invoice["charge"]), (&invoice["id"], &charge["id"]));
}
