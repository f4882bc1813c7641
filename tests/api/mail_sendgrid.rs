//! Mails through SendGrid's v3 API, to a stand-in that answers as its documentation says.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use poem::http::StatusCode;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::web::{Data, Json};
use poem::{EndpointExt, Request, Response, Route, handler};
use serde_json::{Value, json};

use crate::support::*;

const KEY: &str = "SG.plum-harbour-otter";

/// What it was asked to send, each as it was posted.
type Sent = Arc<Mutex<Vec<Value>>>;

fn signed_in(request: &Request) -> bool {
    request.header("authorization") == Some(&format!("Bearer {KEY}"))
}

fn refuse(status: u16, message: &str, field: Option<&str>) -> Response {
    let body = json!({"errors": [{"message": message, "field": field, "help": null}]});
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .content_type("application/json")
        .body(body.to_string())
}

#[handler]
fn send(request: &Request, Json(mail): Json<Value>, Data(sent): Data<&Sent>) -> Response {
    if !signed_in(request) {
        return refuse(
            401,
            "The provided authorization grant is invalid, expired, or revoked",
            None,
        );
    }
    let to = text(&mail["personalizations"][0]["to"][0]["email"]);
    match to.split(['@', '+']).next().unwrap() {
        "r400" => {
            refuse(400, "Does not contain a valid address.", Some("personalizations.0.to.0.email"))
        }
        "f400" => {
            refuse(400, "The from email does not contain a valid address.", Some("from.email"))
        }
        "a403" => {
            refuse(403, "The from address does not match a verified Sender Identity.", Some("from"))
        }
        "l429" => refuse(429, "too many requests", None),
        "e503" => Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).body("<html>"),
        _ => {
            sent.lock().push(mail);
            let id = format!("x-{}", sent.lock().len());
            Response::builder().status(StatusCode::ACCEPTED).header("X-Message-Id", id).finish()
        }
    }
}

#[handler]
fn scopes(request: &Request) -> Response {
    if !signed_in(request) {
        return refuse(401, "authorization required", None);
    }
    let body = json!({"scopes": ["mail.send", "alerts.read"]}).to_string();
    Response::builder().content_type("application/json").body(body)
}

/// Starts the stand-in; its address, and what it was asked to send.
async fn sendgrid() -> (String, Sent) {
    let sent = Sent::default();
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
    let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
    let routes = Route::new()
        .at("/v3/mail/send", poem::post(send))
        .at("/v3/scopes", poem::get(scopes))
        .data(Arc::clone(&sent));
    tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(routes));
    (format!("http://{address}"), sent)
}

fn setup(base: &str) -> Setup {
    Setup::usual()
        .set("MAIL_TRANSPORT", "sendgrid")
        .set("MAIL_SENDGRID_BASE_URL", base)
        .env("SENDGRID_API_KEY", KEY)
        .env("SENDGRID_FROM_EMAIL", "Example Licensing <licensing@vendor.example>")
        .set("JOBS_MAX_ATTEMPTS", "3")
        .set("JOBS_RETRY_BASE_S", "30")
}

async fn mail_to(app: &TestApp, to: &str) -> Value {
    app.settle().await;
    let operator = app.operator().await;
    let log = operator.get("/api/v1/admin/emails").await.list();
    let mail = log.iter().find(|mail| mail["to"] == to).unwrap();
    operator.get(&format!("/api/v1/admin/emails/{}", text(&mail["mail_id"]))).await.ok(200)
}

async fn doctors_word(app: &TestApp) -> Value {
    let report = app.operator().await.get("/api/v1/admin/diagnostics").await.ok(200);
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "mail").unwrap().clone()
}

#[tokio::test]
async fn a_mail_is_posted_with_its_id_and_without_tracking() {
    let (base, sent) = sendgrid().await;
    let app = setup(&base).start().await;
    app.register("ok@customer.example").await.ok(201);
    let mail = mail_to(&app, "ok@customer.example").await;
    assert_eq!((&mail["status"], &mail["provider_id"]), (&json!("sent"), &json!("x-1")), "{mail}");
    assert_eq!(mail["attempt_log"][0]["answer"], "202 Accepted");
    let id = text(&mail["mail_id"]);
    let posted = sent.lock()[0].clone();
    assert_eq!(
        posted["from"],
        json!({"email": "licensing@vendor.example", "name": "Example Licensing"})
    );
    assert_eq!(posted["personalizations"][0]["custom_args"], json!({"mail_id": id}));
    assert_eq!(posted["headers"]["Message-ID"], format!("<{id}@vendor.example>"));
    assert_eq!(posted["content"][0]["type"], "text/plain");
    assert!(text(&posted["content"][1]["value"]).contains("token="));
    assert_eq!(posted["tracking_settings"]["click_tracking"]["enable"], false);
    assert_eq!(doctors_word(&app).await["state"], "ok");
}

#[tokio::test]
async fn a_licence_goes_with_its_file() {
    let (base, sent) = sendgrid().await;
    let app = setup(&base).start().await;
    app.license(3).await;
    app.settle().await;
    let posted = sent.lock().last().unwrap().clone();
    let file = &posted["attachments"][0];
    assert_eq!(
        (&file["filename"], &file["type"]),
        (&json!("license.lic"), &json!("application/jose"))
    );
    assert!(text(&file["content"]).len() > 1_000);
}

#[tokio::test]
async fn refusals_are_the_recipients_the_accounts_or_pass() {
    let (base, sent) = sendgrid().await;
    let app = setup(&base).leaving_parked_jobs().start().await;
    let all = [
        ("r400", "parked", "refused"),
        ("f400", "waiting", "failed"),
        ("a403", "waiting", "failed"),
        ("l429", "waiting", "failed"),
        ("e503", "waiting", "failed"),
    ];
    for (kind, status, outcome) in all {
        let to = format!("{kind}@customer.example");
        app.register(&to).await.ok(201);
        let mail = mail_to(&app, &to).await;
        let last = mail["attempt_log"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&mail["status"], &last["outcome"]),
            (&json!(status), &json!(outcome)),
            "{mail}"
        );
        assert!(text(&last["answer"]).contains(&kind[1..]), "{mail}");
    }
    for _ in 0..6 {
        app.advance(Duration::from_mins(10)).await;
    }
    for (kind, ..) in all {
        let mail = mail_to(&app, &format!("{kind}@customer.example")).await;
        let end = if ["r400", "e503"].contains(&kind) { "parked" } else { "waiting" };
        assert_eq!(mail["status"], end, "{mail}");
    }
    assert!(sent.lock().is_empty());
}

#[tokio::test]
async fn a_key_that_is_not_good_parks_nothing_and_is_told_by_the_doctor() {
    let (base, _) = sendgrid().await;
    let app = setup(&base).env("SENDGRID_API_KEY", "SG.wrong-ocean-lemur").start().await;
    app.register("ok@customer.example").await.ok(201);
    for _ in 0..6 {
        app.advance(Duration::from_mins(10)).await;
    }
    let mail = mail_to(&app, "ok@customer.example").await;
    assert_eq!((&mail["status"], app.parked()), (&json!("waiting"), 0), "{mail}");
    assert!(mail["attempts"].as_u64().unwrap() > 3);
    let check = doctors_word(&app).await;
    assert_eq!(check["state"], "problem");
    assert!(text(&check["found"]).contains("401"), "{check}");
    assert!(!format!("{mail}{check}").contains("ocean"));
}

/// Whoever signs as SendGrid does.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    fn public_key(&self) -> String {
        STANDARD.encode(self.0.public_key().as_der().unwrap().as_ref())
    }

    async fn post(&self, app: &TestApp, body: &str) -> Answer {
        self.post_at(app, body, app.clock.now().wall.unix_seconds()).await
    }

    async fn post_at(&self, app: &TestApp, body: &str, seconds: i64) -> Answer {
        let signed = format!("{seconds}{body}");
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let request = app
            .anyone
            .request(reqwest::Method::POST, "/api/v1/webhooks/sendgrid")
            .header("content-type", "application/json")
            .header("X-Twilio-Email-Event-Webhook-Signature", STANDARD.encode(signature))
            .header("X-Twilio-Email-Event-Webhook-Timestamp", seconds.to_string())
            .body(body.to_owned());
        app.anyone.send(request).await
    }
}

fn event(kind: &str, mail_id: &str, id: &str) -> Value {
    json!({
        "event": kind, "mail_id": mail_id, "sg_event_id": id, "sg_message_id": "x-1.filter", "timestamp": 1_900_000_000,
        "email": "ok@customer.example", "reason": "550 5.1.1 no such user", "type": "bounce",
    })
}

#[tokio::test]
async fn what_sendgrid_reports_is_noted_once_in_whatever_order() {
    let (base, _) = sendgrid().await;
    let signer = Signer::new();
    let app = setup(&base).env("SENDGRID_WEBHOOK_KEY", &signer.public_key()).start().await;
    app.register("ok@customer.example").await.ok(201);
    let id = text(&mail_to(&app, "ok@customer.example").await["mail_id"]);
    let stranger = "0190aaaa-0000-7000-8000-000000000001";
    // A line break between the events, as SendGrid writes them: the bytes are what is signed.
    let body =
        format!("[{},\r\n{}]\r\n", event("delivered", &id, "a"), event("delivered", stranger, "b"));
    assert_eq!(signer.post(&app, &body).await.ok(200), json!({"noted": 1}));
    assert_eq!(signer.post(&app, &body).await.ok(200), json!({"noted": 0}));
    let mail = mail_to(&app, "ok@customer.example").await;
    assert_eq!(
        (&mail["status"], mail["deliveries"].as_array().unwrap().len()),
        (&json!("delivered"), 1)
    );

    let body = json!([
        event("bounce", &id, "c"),
        event("delivered", &id, "d"),
        event("spamreport", &id, "e")
    ]);
    assert_eq!(signer.post(&app, &body.to_string()).await.ok(200), json!({"noted": 3}));
    let mail = mail_to(&app, "ok@customer.example").await;
    assert_eq!(mail["status"], "bounced");
    let bounce = &mail["deliveries"][1];
    assert_eq!(
        (&bounce["kind"], &bounce["detail"]),
        (&json!("bounced"), &json!("550 5.1.1 no such user"))
    );
    let operator = app.operator().await;
    let bounced = operator.get("/api/v1/admin/emails?status=bounced").await.list();
    assert_eq!(bounced.len(), 1);
    let retry = format!("/api/v1/admin/emails/{id}/retry");
    operator.post_nothing(&retry).await.refused(409, "mail_state");
    assert_eq!(operator.get("/api/v1/admin/overview").await.ok(200)["mails"]["bounced"], 1);
}

#[tokio::test]
async fn a_mail_whose_answer_was_lost_and_that_arrived_is_not_sent_again() {
    let (base, sent) = sendgrid().await;
    let signer = Signer::new();
    let app = setup(&base).env("SENDGRID_WEBHOOK_KEY", &signer.public_key()).start().await;
    app.register("e503@customer.example").await.ok(201);
    let mail = mail_to(&app, "e503@customer.example").await;
    assert_eq!(mail["status"], "waiting");
    let body = json!([event("delivered", &text(&mail["mail_id"]), "a")]);
    signer.post(&app, &body.to_string()).await.ok(200);
    app.advance(Duration::from_mins(10)).await;
    let mail = mail_to(&app, "e503@customer.example").await;
    assert_eq!((&mail["status"], &mail["attempts"]), (&json!("delivered"), &json!(1)), "{mail}");
    assert!(sent.lock().is_empty());
}

#[tokio::test]
async fn only_what_sendgrid_signed_just_now_is_believed() {
    let (base, _) = sendgrid().await;
    let signer = Signer::new();
    let app = setup(&base).env("SENDGRID_WEBHOOK_KEY", &signer.public_key()).start().await;
    let path = "/api/v1/webhooks/sendgrid";
    app.anyone.post(path, json!([])).await.refused(400, "invalid_signature");
    Signer::new().post(&app, "[]").await.refused(400, "invalid_signature");
    let now = app.clock.now().wall.unix_seconds();
    for seconds in [now - 301, now + 301, 0] {
        signer.post_at(&app, "[]", seconds).await.refused(400, "invalid_signature");
    }
    for body in ["[]", "{}", "no JSON at all", "[null, 7, {\"event\": \"delivered\"}]"] {
        assert_eq!(signer.post(&app, body).await.ok(200), json!({"noted": 0}), "{body}");
    }
    let long = format!("[{}]", vec![event("open", "x", "y").to_string(); 2_000].join(","));
    assert!(long.len() > 65_536);
    signer.post(&app, &long).await.ok(200);
    signer.post(&app, &" ".repeat((1 << 20) + 1)).await.refused(413, "payload_too_large");
}

#[tokio::test]
async fn without_a_key_reports_are_not_taken() {
    let app = TestApp::start().await;
    app.anyone
        .post("/api/v1/webhooks/sendgrid", json!([]))
        .await
        .refused(503, "webhook_not_configured");
}
