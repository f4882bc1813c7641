//! Requests that are wrong before anybody reads their JSON: media types, methods, addresses, sizes.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Answer, PASSWORD, Setup, TestApp, text};

const REGISTER: &str = "/api/v1/auth/register";

fn person() -> Value {
    json!({"email": "ann@example.com", "password": PASSWORD, "full_name": "Ann Weaver"})
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let app = TestApp::start().await;
    let sent = |content_type: Option<&'static str>| {
        let request = app.anyone.request(Method::POST, REGISTER).body(person().to_string());
        let request = match content_type {
            Some(content_type) => request.header("content-type", content_type),
            None => request,
        };
        app.anyone.send(request)
    };
    for wrong in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/xml"),
        Some("multipart/form-data; boundary=x"),
        Some("text/json"),
        Some("json"),
        Some("application/jsonp"),
        Some(""),
    ] {
        sent(wrong).await.refused(415, "unsupported_media_type");
    }
    sent(Some("Application/JSON; charset=utf-8")).await.ok(201);
    let operator = app.operator().await;
    let path = "/api/v1/admin/licenses/01890a5d-ac96-774b-bcce-b302099a8057/suspend";
    let request =
        operator.request(Method::POST, path).header("content-type", "text/plain").body("reason");
    operator.send(request).await.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::start().await;
    let sorted = |answer: &Answer| {
        let mut methods: Vec<String> =
            answer.header("allow").split(", ").map(str::to_owned).collect();
        methods.sort();
        methods.join(" ")
    };
    for (method, path, allowed) in [
        (Method::GET, REGISTER, "POST"),
        (Method::PUT, "/api/v1/plans", "GET HEAD"),
        (Method::POST, "/api/v1/users/me", "GET HEAD PATCH"),
        (Method::PATCH, "/api/v1/licenses/heartbeat", "POST PUT"),
        (Method::GET, "/api/v1/licenses/release", "DELETE POST"),
        (Method::DELETE, "/api/v1/licenses/01890a5d-ac96-774b-bcce-b302099a8057", "GET HEAD"),
        (Method::POST, "/health/live", "GET HEAD"),
        (Method::DELETE, "/openapi.json", "GET HEAD"),
        (Method::from_bytes(b"BREW").unwrap(), "/metrics", "GET HEAD"),
        (Method::TRACE, "/.well-known/jwks.json", "GET HEAD"),
    ] {
        let answer = app.anyone.send(app.anyone.request(method.clone(), path)).await;
        assert_eq!(sorted(&answer), allowed, "{method} {path}");
        answer.refused(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    for path in [
        "/api/v1/nothing",
        "/api/v2/plans",
        "/api/",
        "/api/v1",
        "/api/v1/plans/",
        "/health/",
        "/health",
        "/.well-known/openid-configuration",
        "/nothing",
        "/admin/../../etc/passwd",
        "/api/v1/licenses/%2e%2e/x",
        "/%00",
        "/assets/nothing.js",
        "/api/v1/PLANS",
    ] {
        app.anyone.get(path).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_query_is_checked_like_a_body() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    operator.get("/api/v1/admin/users?limit=ten").await.refused_field("limit");
    operator.get("/api/v1/admin/jobs?parked=maybe").await.refused_field("parked");
    // Which of two counts would be anybody's guess, a proxy's among them.
    let twice = operator.get("/api/v1/admin/users?limit=1&limit=2").await;
    assert_eq!((twice.status, twice.code()), (400, "validation_failed"), "{}", twice.text);
    operator.get("/api/v1/admin/audit?cursor=%F0%9F%A6%89").await.refused(400, "invalid_cursor");
    for list in [
        "users",
        "orgs",
        "audit",
        "emails",
        "jobs",
        "licenses",
        "subscriptions",
        "payments",
        "plans",
        "sessions",
    ] {
        // A cursor that no page gave is refused or leads somewhere; it is never a fault.
        let answer = operator.get(&format!("/api/v1/admin/{list}?cursor=AA")).await;
        assert!(
            matches!((answer.status, answer.code()), (200, "") | (400, "invalid_cursor")),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_header_that_is_no_bearer_token_is_no_credential() {
    let app = TestApp::start().await;
    for header in [
        "",
        "Bearer",
        "Bearer ",
        "Basic b3BlcmF0b3I6cGFzcw==",
        "bearer x y",
        "Token x",
        "Bearer \u{e9}",
    ] {
        let request = app
            .anyone
            .request(Method::GET, "/api/v1/users/me")
            .header("authorization", header.as_bytes());
        app.anyone.send(request).await.refused(401, "unauthenticated");
    }
}

// ---- sizes -------------------------------------------------------------------------------------

/// Writes bytes as they are and reads what comes back, until the server closes or is silent.
async fn raw(app: &TestApp, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(15), read).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whoever is refused while still sending is told so; the connection is not reset under the answer.
#[tokio::test]
async fn a_body_far_too_large_is_answered_while_it_is_still_sent() {
    let app = TestApp::start().await;
    let body = "x".repeat(16 << 20);
    for _ in 0..10 {
        app.anyone.post_raw(REGISTER, body.clone()).await.refused(413, "payload_too_large");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let app = Setup::usual().set("SERVER_BODY_LIMIT_BYTES", "2048").start().await;
    let pad = |length: usize| {
        let mut body = person();
        let short = body.to_string().len();
        body["full_name"] = json!(format!("Ann Weaver{}", "x".repeat(length - short)));
        body.to_string()
    };
    app.anyone.post_raw(REGISTER, pad(2048)).await.refused_field("full_name");
    let problem = app.anyone.post_raw(REGISTER, pad(2049)).await.refused(413, "payload_too_large");
    assert!(text(&problem["detail"]).contains("2048"));

    let declared = format!(
        "POST {REGISTER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\nconnection: close\r\n\r\n{{"
    );
    let answer = raw(&app, declared.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"), "{answer}");

    let declared = declared.replace(REGISTER, "/api/v1/webhooks/stripe");
    let answer = raw(&app, declared.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    let mut chunked = format!(
        "POST {REGISTER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    for _ in 0..3 {
        let _ = write!(chunked, "400\r\n{}\r\n", "x".repeat(1024));
    }
    chunked += "0\r\n\r\n";
    let answer = raw(&app, chunked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"), "{answer}");
    // The same to an address where nothing is.
    let nowhere = chunked.replace(REGISTER, "/api/v1/nothing");
    let answer = raw(&app, nowhere.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413") || answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn a_chunked_body_within_the_limit_is_read() {
    let app = TestApp::start().await;
    let body = person().to_string();
    let (head, tail) = body.split_at(20);
    let request = format!(
        "POST {REGISTER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{:x}\r\n{head}\r\n{:x}\r\n{tail}\r\n0\r\n\r\n",
        head.len(),
        tail.len()
    );
    let answer = raw(&app, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for_for_ever() {
    let app = TestApp::start().await;
    let request = format!(
        "POST {REGISTER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{{"
    );
    let answer = raw(&app, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("invalid_request"), "{answer}");
}

#[tokio::test]
async fn a_request_that_is_no_http_ends_the_connection_and_nothing_else() {
    let app = TestApp::start().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let answer = raw(&app, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let long =
        format!("GET /{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "x".repeat(200_000));
    let answer = raw(&app, long.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    app.anyone.get("/health/live").await.ok(200);
}

/// One connection of it could hold the memory of many requests and be kept open by pings alone.
#[tokio::test]
async fn http_2_in_clear_text_is_refused_however_slowly_it_begins() {
    let app = TestApp::start().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for at_once in [preface.len(), 1, 5] {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        for part in preface.chunks(at_once) {
            // It may be closed before all is sent.
            let _ = stream.write_all(part).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
            .await
            .expect("the server hangs up");
        assert_eq!(answer, b"", "{at_once} bytes at once");
    }
    // What begins alike and is something else is answered.
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream.write_all(b"PRINT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

// ---- pages of other origins --------------------------------------------------------------------

const SHOP: &str = "https://shop.example.com";

async fn from_page(app: &TestApp, method: Method, origin: &str) -> Answer {
    let request = app.anyone.request(method, "/api/v1/plans").header("origin", origin);
    app.anyone.send(request.header("access-control-request-method", "GET")).await
}

fn told(answer: &Answer) -> Option<&str> {
    answer.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn no_page_of_another_origin_may_call_unless_the_settings_say_so() {
    let app = TestApp::start().await;
    let answer = from_page(&app, Method::GET, SHOP).await;
    assert_eq!((answer.status, told(&answer)), (200, None));
    let answer = from_page(&app, Method::OPTIONS, SHOP).await;
    assert_eq!((answer.status, told(&answer)), (405, None));
}

#[tokio::test]
async fn a_page_that_the_settings_name_may_call_and_no_other() {
    let setup = Setup::usual()
        .set("SERVER_CORS_ORIGINS", "https://Shop.example.com, http://localhost:5173");
    let app = setup.start().await;
    for page in [SHOP, "http://localhost:5173"] {
        let answer = from_page(&app, Method::OPTIONS, page).await;
        assert_eq!((answer.status, told(&answer)), (204, Some(page)));
        assert!(answer.header("access-control-allow-headers").contains("authorization"));
        assert!(answer.header("access-control-allow-methods").contains("DELETE"));
        let answer = from_page(&app, Method::GET, page).await;
        assert_eq!((answer.status, told(&answer)), (200, Some(page)));
        assert!(answer.header("vary").contains("origin"));
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        // What is refused can be read as well.
        let request = app.anyone.request(Method::GET, "/api/v1/users/me").header("origin", page);
        let refused = app.anyone.send(request).await;
        assert_eq!((refused.status, told(&refused)), (401, Some(page)));
    }
    for other in [
        "https://evil.example",
        "https://shop.example.com.evil.example",
        "http://shop.example.com",
        "https://shop.example.com:8443",
        "null",
    ] {
        let answer = from_page(&app, Method::GET, other).await;
        assert_eq!((answer.status, told(&answer)), (200, None), "{other}");
        assert_eq!(told(&from_page(&app, Method::OPTIONS, other).await), None, "{other}");
    }
    // Pages are for people, and no program of others reads them.
    let request = app.anyone.request(Method::GET, "/admin").header("origin", SHOP);
    assert_eq!(told(&app.anyone.send(request).await), None);
}
