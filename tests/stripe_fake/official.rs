//! Held against what Stripe publishes: its `OpenAPI` document, its CLI, its Python package.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::client::{Client, NOW, id, last, types};
use crate::stripe::{AfterRetries, Card, DAY, FakeStripe, HOUR, SECRET_KEY, Shape};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A tool that `tests/all.sh tools` installs.
fn tool(path: &str) -> PathBuf {
    let found = root().join(path);
    assert!(found.exists(), "there is no {path}: run `tests/all.sh tools`");
    found
}

/// Fails unless every line of the transcript is as Stripe's document says.
fn check(stripe: &FakeStripe) {
    let folder = tempfile::tempdir().unwrap();
    let transcript = folder.path().join("transcript.jsonl");
    stripe.write_transcript(&transcript);
    let output = Command::new(tool(".venv/bin/python"))
        .arg(root().join("tests/python/stripe_spec.py"))
        .arg(&transcript)
        .output()
        .unwrap();
    let (said, complaint) = (output.stdout, output.stderr);
    let said = String::from_utf8(said).unwrap() + &String::from_utf8(complaint).unwrap();
    assert!(output.status.success(), "{said}");
}

#[tokio::test]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn everything_said_fits_the_published_document() {
    let stripe = FakeStripe::start(NOW);
    let client = Client::of(&stripe);
    client.get("/account").await;
    let monthly = catalogue(&client).await;
    let customer = client.customer().await;
    let subscription = checkouts(&stripe, &client, &customer, &monthly).await;
    changes(&client, &subscription, &monthly).await;
    client
        .make(
            "/billing_portal/sessions",
            &[("customer", &customer), ("return_url", "https://example.com")],
        )
        .await;
    let cancel = [
        ("customer", customer.as_str()),
        ("flow_data[type]", "subscription_cancel"),
        ("flow_data[subscription_cancel][subscription]", &subscription),
    ];
    client.make("/billing_portal/sessions", &cancel).await;
    failures(&stripe, &client, &customer, &subscription).await;
    money(&stripe, &client, &subscription).await;
    the_end(&stripe, &client, &customer, &subscription).await;
    stripe.down(true);
    client.get("/account").await;
    stripe.down(false);
    stripe.fail_next(1, 429);
    client.get("/account").await;
    stripe.shape(Shape::Old);
    client.subscriber(&stripe).await;
    check(&stripe);
}

/// Products and prices; returns a price.
async fn catalogue(client: &Client) -> String {
    let product = [("name", "Team"), ("description", "For teams"), ("metadata[plan]", "team")];
    let product = id(&client.make("/products", &product).await);
    let price = [
        ("currency", "usd"),
        ("product", product.as_str()),
        ("unit_amount", "4900"),
        ("recurring[interval]", "month"),
        ("lookup_key", "team_monthly"),
    ];
    let price = id(&client.make("/prices", &price).await);
    client.get(&format!("/prices/{price}?expand[]=product")).await;
    client.get(&format!("/prices?lookup_keys[]=team_monthly&product={product}&active=true")).await;
    client.get(&format!("/products/{product}")).await;
    client.get("/products?active=true&limit=3").await;
    price
}

/// Sessions of every end; returns a subscription on trial, whose trial was ended.
async fn checkouts(stripe: &FakeStripe, client: &Client, customer: &str, price: &str) -> String {
    let more = [
        ("allow_promotion_codes", "true"),
        ("automatic_tax[enabled]", "true"),
        ("customer_update[address]", "auto"),
        ("subscription_data[trial_period_days]", "14"),
        ("subscription_data[trial_settings][end_behavior][missing_payment_method]", "cancel"),
        ("tax_id_collection[enabled]", "true"),
        ("payment_method_collection", "always"),
        ("metadata[org]", "org_1"),
    ];
    let session = client.session(customer, price, &more).await;
    let subscription = stripe.complete_checkout(&session, Card::Good).unwrap();
    client
        .get(&format!("/checkout/sessions/{session}?expand[]=subscription&expand[]=line_items"))
        .await;
    client.get(&format!("/checkout/sessions?customer={customer}&status=complete&limit=5")).await;
    let expired = client.session(customer, price, &[]).await;
    client.make(&format!("/checkout/sessions/{expired}/expire"), &[]).await;
    client.post(&format!("/checkout/sessions/{expired}/expire"), &[]).await;
    let other = client.customer().await;
    let declined = client.session(&other, price, &[]).await;
    stripe.complete_checkout(&declined, Card::Declines);
    for succeeds in [true, false] {
        let slow = client.session(&other, price, &[]).await;
        stripe.complete_checkout(&slow, Card::Async);
        stripe.settle(&slow, succeeds);
    }
    client.get(&format!("/customers/{other}")).await;
    client.get("/customers?email=a%2Bb%40example.com").await;
    client.make(&format!("/customers/{other}"), &[("name", "B"), ("metadata[org]", "")]).await;
    client.get("/customers/cus_x").await;
    stripe.advance_to(NOW + 12 * DAY);
    client.make(&format!("/subscriptions/{subscription}"), &[("trial_end", "now")]).await;
    subscription
}

/// Every update of a subscription.
async fn changes(client: &Client, subscription: &str, price: &str) {
    let path = format!("/subscriptions/{subscription}");
    let (_, body) = client.get(&format!("{path}?expand[]=latest_invoice&expand[]=customer")).await;
    let item = id(&body["items"]["data"][0]);
    for quantity in ["2", "9"] {
        let items = [
            ("items[0][id]", item.as_str()),
            ("items[0][price]", price),
            ("items[0][quantity]", quantity),
            ("proration_behavior", "always_invoice"),
            ("payment_behavior", "error_if_incomplete"),
        ];
        client.make(&path, &items).await;
    }
    for change in [
        ("cancel_at_period_end", "true"),
        ("cancel_at_period_end", "false"),
        ("cancel_at", "min_period_end"),
        ("cancel_at", ""),
        ("metadata[seats]", "2"),
        ("pause_collection[behavior]", "void"),
        ("pause_collection", ""),
        ("description", "Two seats"),
    ] {
        client.make(&path, &[change]).await;
    }
    client.post(&path, &[("cancel_at_period_end", "maybe")]).await;
}

/// A renewal that fails, is paid late, and one that never is.
async fn failures(stripe: &FakeStripe, client: &Client, customer: &str, subscription: &str) {
    stripe.after_retries(AfterRetries::Unpaid);
    stripe.set_card(customer, Card::Declines);
    stripe.advance_to(stripe.period_end(subscription) + 2 * DAY);
    let (_, open) = client.get(&format!("/invoices?subscription={subscription}&status=open")).await;
    let invoice = id(&open["data"][0]);
    client.post(&format!("/invoices/{invoice}/pay"), &[]).await;
    stripe.set_card(customer, Card::Good);
    client.make(&format!("/invoices/{invoice}/pay"), &[]).await;
    client.post(&format!("/invoices/{invoice}/pay"), &[]).await;
    stripe.set_card(customer, Card::Declines);
    stripe.advance_to(stripe.period_end(subscription) + 9 * DAY);
    assert_eq!(stripe.get(subscription)["status"], "unpaid");
    stripe.set_card(customer, Card::Good);
    assert!(stripe.pay_open_invoice(subscription));
}

/// Invoices, payments, refunds and disputes.
async fn money(stripe: &FakeStripe, client: &Client, subscription: &str) {
    client
        .get(&format!(
            "/invoices?subscription={subscription}&created[gte]={NOW}&expand[]=data.payments"
        ))
        .await;
    let invoice = stripe.get(subscription)["latest_invoice"].as_str().unwrap().to_owned();
    client.get(&format!("/invoices/{invoice}?expand[]=payments")).await;
    client.get(&format!("/invoice_payments?invoice={invoice}&status=paid")).await;
    let charge = stripe.charge_of(&invoice);
    let (_, body) = client.get(&format!("/charges/{charge}?expand[]=refunds")).await;
    let intent = body["payment_intent"].as_str().unwrap();
    client.get(&format!("/payment_intents/{intent}?expand[]=latest_charge")).await;
    let payments = "/invoice_payments?payment[type]=payment_intent&payment[payment_intent]=";
    client.get(&format!("{payments}{intent}&expand[]=data.invoice")).await;
    let refund =
        [("payment_intent", intent), ("amount", "100"), ("reason", "requested_by_customer")];
    client.make("/refunds", &refund).await;
    stripe.refund(&charge, None);
    client.post("/refunds", &[("charge", &charge)]).await;
    let dispute = stripe.dispute(&charge);
    client.get(&format!("/disputes/{dispute}?expand[]=charge")).await;
}

/// Pauses, the end, and what is left to be read.
async fn the_end(stripe: &FakeStripe, client: &Client, customer: &str, subscription: &str) {
    stripe.pause(subscription);
    client
        .make(&format!("/subscriptions/{subscription}/resume"), &[("billing_cycle_anchor", "now")])
        .await;
    client.post(&format!("/subscriptions/{subscription}/resume"), &[]).await;
    stripe.cancel_at(subscription, stripe.now() + HOUR);
    client.delete(&format!("/subscriptions/{subscription}")).await;
    client.delete(&format!("/subscriptions/{subscription}")).await;
    client.get(&format!("/subscriptions?customer={customer}&status=all&limit=100")).await;
    stripe.delete_customer(customer);
    client.get(&format!("/customers/{customer}")).await;
    let events = "/events?types[]=invoice.paid&types[]=customer.deleted&limit=100";
    let (_, page) = client.get(events).await;
    let first = id(&page["data"][0]);
    client.get(&format!("/events?type=customer.*&created[gte]={NOW}&starting_after={first}")).await;
    client.get(&format!("/events/{first}")).await;
}

#[test]
#[ignore = "needs python packages: run by tests/all.sh"]
fn a_wrong_word_is_found() {
    let stripe = FakeStripe::start(NOW);
    let folder = tempfile::tempdir().unwrap();
    let transcript = folder.path().join("transcript.jsonl");
    let line = json!({
        "method": "POST", "path": "/v1/customers", "headers": { "idempotency-key": "k" },
        "form": "emial=x", "status": 200, "body": { "id": "cus_1", "object": "customer" },
    });
    std::fs::write(&transcript, line.to_string()).unwrap();
    drop(stripe);
    let output = Command::new(tool(".venv/bin/python"))
        .arg(root().join("tests/python/stripe_spec.py"))
        .arg(&transcript)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    for complaint in
        ["'emial' was unexpected", "'created' is a required property", "the form came as"]
    {
        assert!(said.contains(complaint), "{complaint}? {said}");
    }
}

#[test]
#[ignore = "needs npm packages: run by tests/all.sh"]
fn the_official_cli_makes_a_checkout_complete() {
    let subscribe = [
        "--override",
        "checkout_session:mode=subscription",
        "--add",
        "price:recurring.interval=month",
        "--remove",
        "checkout_session:payment_intent_data",
        "--add",
        "checkout_session:client_reference_id=org_1",
    ];
    for (mode, more) in [("payment", &[][..]), ("subscription", &subscribe[..])] {
        let stripe = FakeStripe::start(NOW);
        let home = tempfile::tempdir().unwrap();
        let output =
            Command::new(tool("tests/browser/node_modules/@stripe/cli-linux-x64/bin/stripe"))
                .args(["trigger", "checkout.session.completed", "--api-base", &stripe.url()])
                .args(more)
                .env("HOME", home.path())
                .env("XDG_CONFIG_HOME", home.path())
                .env("STRIPE_API_KEY", SECRET_KEY)
                .env("STRIPE_CLI_TELEMETRY_OPTOUT", "1")
                .output()
                .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{complaint}");
        let events = stripe.events();
        let session = &last(&events, "checkout.session.completed")["data"]["object"];
        assert_eq!((&session["mode"], &session["amount_total"]), (&json!(mode), &json!(3_000)));
        assert_eq!(session["payment_status"], "paid", "{:?}", types(&events));
    }
}

#[tokio::test]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn the_official_package_accepts_what_is_signed() {
    let stripe = FakeStripe::start(NOW);
    Client::of(&stripe).customer().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let event = id(&stripe.events()[0]);
    let (header, body) = stripe.signed_at(&event, "whsec_right", now);
    assert_eq!(constructed(&header, &body, "whsec_right"), "customer.created");
    assert_eq!(constructed(&header, &body, "whsec_wrong"), "refused");
    assert_eq!(constructed(&header, &body.replace('\n', ""), "whsec_right"), "refused");
    let (old, body) = stripe.signed_at(&event, "whsec_right", now - 301);
    assert_eq!(constructed(&old, &body, "whsec_right"), "refused");
}

/// What `stripe.Webhook.construct_event` makes of a delivery.
fn constructed(header: &str, body: &str, secret: &str) -> String {
    let given: Value = json!({ "header": header, "body": body, "secret": secret });
    let mut python = Command::new(tool(".venv/bin/python"))
        .arg(root().join("tests/python/stripe_event.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
