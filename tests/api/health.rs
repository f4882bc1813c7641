//! Health, metrics, the document and the pages.

use std::sync::{Arc, LazyLock, Mutex};

use serde_json::json;

use crate::support::{PASSWORD, Setup, TestApp, text};

#[tokio::test]
async fn a_process_that_answers_is_alive() {
    let app = TestApp::start().await;
    let live = app.anyone.get("/health/live").await.ok(200);
    assert_eq!(live, json!({"status": "alive", "version": env!("CARGO_PKG_VERSION")}));
}

#[tokio::test]
async fn readiness_says_what_is_ready() {
    let app = TestApp::start().await;
    let ready = app.anyone.get("/health/ready").await.ok(200);
    assert_eq!(
        ready,
        json!({"status": "ready", "storage": {"status": "writable", "reason": null}, "signing_key": "ready", "setup_needed": false})
    );
}

#[tokio::test]
async fn readiness_says_that_the_signing_key_is_still_being_made() {
    let app = Setup::usual().without_key().start().await;
    let ready = app.anyone.get("/health/ready").await.ok(200);
    assert!(["generating", "ready"].contains(&text(&ready["signing_key"]).as_str()));
    assert_eq!(ready["status"], "ready");
}

/// The value of a sample without labels, or the sum over all labels.
fn measured(metrics: &str, name: &str) -> f64 {
    let values = metrics.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
    });
    let mut values =
        values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).peekable();
    assert!(values.peek().is_some(), "{name} in\n{metrics}");
    values.sum()
}

#[tokio::test]
async fn metrics_tell_requests_seats_commits_jobs_and_mails() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    app.acquire(&license, "hw-2").await.refused(409, "no_seats_available");
    app.heartbeat(&seat).await.ok(200);
    app.settle().await;
    let answer = app.anyone.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let metrics = answer.text;
    for (name, at_least) in [
        ("coditect_requests_total", 4.0),
        ("coditect_request_duration_seconds_count", 4.0),
        ("coditect_seats_live", 1.0),
        ("coditect_seats_peak", 1.0),
        ("coditect_seats_denied_total", 1.0),
        ("coditect_seats_acquired_total", 1.0),
        ("coditect_commit_batch_writes_count", 1.0),
        ("coditect_commit_duration_seconds_count", 1.0),
        ("coditect_writer_queue_depth", 0.0),
        ("coditect_jobs", 1.0),
        ("coditect_mails_total", 1.0),
    ] {
        assert!(measured(&metrics, name) >= at_least, "{name} in\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));
    assert!(!metrics.contains(&text(&license["license_key"])));
}

#[tokio::test]
async fn every_page_is_served_by_the_binary_under_a_strict_policy() {
    let app = TestApp::start().await;
    for path in
        ["/", "/admin", "/docs", "/handbook", "/verify-email?token=x", "/reset-password?token=x"]
    {
        let answer = app.anyone.get(path).await;
        assert!(
            answer.status == 200 || matches!(answer.status, 301..=308),
            "{path}: {}",
            answer.status
        );
        let policy = answer.header("content-security-policy");
        assert!(
            !policy.contains("http:") && !policy.contains("https:") && !policy.contains('*'),
            "{path}: {policy}"
        );
    }
    let document = app.anyone.get("/openapi.json").await;
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(document.ok(200)["info"]["title"], "CODITECT");
}

#[tokio::test]
async fn who_came_by_https_comes_by_nothing_else() {
    let app = TestApp::start().await;
    for path in ["/admin", "/api/v1/plans", "/nothing"] {
        let answer = app.anyone.get(path).await;
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000", "{path}");
    }
    let app = Setup::usual().set("SERVER_PUBLIC_URL", "http://127.0.0.1:8750").start().await;
    let answer = app.anyone.get("/api/v1/plans").await;
    assert!(!answer.headers.contains_key("strict-transport-security"));
}

#[tokio::test]
async fn a_head_request_is_answered_like_a_get_without_its_body() {
    let app = TestApp::start().await;
    for path in ["/health/live", "/api/v1/plans", "/openapi.json", "/docs"] {
        let answer = app.anyone.send(app.anyone.request(reqwest::Method::HEAD, path)).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{path}");
    }
}

#[tokio::test]
async fn no_two_answers_have_one_request_id() {
    let app = TestApp::start().await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..10 {
        assert!(ids.insert(app.anyone.get("/health/live").await.header("x-request-id").to_owned()));
    }
}

// ---- logs --------------------------------------------------------------------------------------

static LOG: LazyLock<Arc<Mutex<Vec<u8>>>> = LazyLock::new(Arc::default);

struct Lines;

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_names_each_request_and_no_secret() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(|| Lines)
        .init();
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let body = json!({"email": "ann@example.com", "max_concurrent_seats": 1});
    let license = app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201);
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    app.heartbeat(&seat).await.ok(200);
    let refused = app.acquire(&license, "hw-2").await;
    let id = refused.header("x-request-id").to_owned();
    refused.refused(409, "no_seats_available");
    let link = app.mail_to("ann@example.com", "Confirm").await.token();
    let forbidden = ann.get("/api/v1/admin/users").await;
    let tried = forbidden.header("x-request-id").to_owned();
    forbidden.refused(403, "forbidden");
    drop(app);

    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    // What libraries say of the bytes on the wire is not the product's and off by default.
    let ours: String =
        log.lines().filter(|line| line.contains("coditect")).collect::<Vec<_>>().join("\n");
    assert!(ours.lines().any(|line| line.contains(&id)), "a line for {id} in\n{ours}");
    let tried = ours.lines().find(|line| line.contains(&tried)).unwrap();
    assert!(tried.contains("INFO") && tried.contains("from=127.0.0.1"), "{tried}");
    let secrets = [
        text(&license["license_key"]),
        text(&seat["session_id"]),
        ann.refresh_token.clone(),
        link,
        PASSWORD.to_owned(),
    ];
    for secret in secrets {
        assert!(!ours.contains(&secret), "{secret} in\n{ours}");
    }
}
