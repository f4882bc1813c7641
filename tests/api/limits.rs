//! What slows down guessing: limits by address and by account, and a bounded queue of passwords.

use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Person, Setup, TestApp};

const ANN: &str = "ann@example.com";
const OTHER_PASSWORD: &str = "nine loud magpies at dawn";

/// Tries to change the password without knowing it.
async fn guess(operator: &Person) -> Answer {
    let body = json!({"current_password": OTHER_PASSWORD, "new_password": PASSWORD});
    operator.post("/api/v1/auth/change-password", body).await
}

/// Every call that checks a credential or sends mail.
fn auth_calls() -> [(&'static str, Value); 8] {
    [
        (
            "/api/v1/auth/register",
            json!({"email": "e@example.com", "password": PASSWORD, "full_name": "E"}),
        ),
        ("/api/v1/auth/verify-email", json!({"token": "x"})),
        ("/api/v1/auth/resend-verification", json!({"email": "e@example.com"})),
        ("/api/v1/auth/forgot-password", json!({"email": "e@example.com"})),
        ("/api/v1/auth/reset-password", json!({"token": "x", "password": PASSWORD})),
        ("/api/v1/auth/login", json!({"email": "e@example.com", "password": PASSWORD})),
        ("/api/v1/auth/refresh", json!({"refresh_token": "x"})),
        (
            "/api/v1/setup",
            json!({"token": "x", "email": "e@example.com", "password": PASSWORD, "full_name": "E"}),
        ),
    ]
}

#[tokio::test]
async fn every_auth_call_is_limited_by_address_and_says_when_to_come_back() {
    let setup = Setup::usual().set("AUTH_ADDRESS_PER_MINUTE", "1").set("AUTH_ADDRESS_BURST", "2");
    let app = setup.start().await;
    for _ in 0..2 {
        app.login("nobody@example.com", PASSWORD).await.refused(401, "invalid_credentials");
    }
    for (path, body) in auth_calls() {
        let answer = app.anyone.post(path, body).await;
        assert!((1..=60).contains(&answer.retry_after()), "{path}");
        assert_eq!(answer.header("ratelimit-policy"), r#""address";q=2;w=120"#, "{path}");
        assert_eq!(
            answer.header("ratelimit"),
            format!(r#""address";r=0;t={}"#, answer.retry_after()),
            "{path}"
        );
        let problem = answer.refused(429, "rate_limited");
        assert!(problem["retry_after"].is_u64());
    }
    // What is no matter of credentials goes on.
    app.anyone.get("/api/v1/plans").await.ok(200);
}

#[tokio::test]
async fn changing_the_password_is_limited_like_signing_in() {
    let app = Setup::usual()
        .set("AUTH_ACCOUNT_PER_MINUTE", "1")
        .set("AUTH_ACCOUNT_BURST", "3")
        .start()
        .await;
    let operator = app.operator().await;
    for _ in 0..3 {
        guess(&operator).await.refused(401, "invalid_credentials");
    }
    guess(&operator).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn an_account_is_limited_whatever_the_address_and_others_are_not() {
    let setup = Setup::usual()
        .set("AUTH_ACCOUNT_PER_MINUTE", "6")
        .set("AUTH_ACCOUNT_BURST", "3")
        .set("SERVER_TRUSTED_PROXIES", "127.0.0.1");
    let app = setup.start().await;
    let from = |address: String, email: &'static str| {
        let body = json!({"email": email, "password": OTHER_PASSWORD});
        let request = app.anyone.request(reqwest::Method::POST, "/api/v1/auth/login");
        app.anyone.send(request.header("x-forwarded-for", address).json(&body))
    };
    for host in 1..=3 {
        from(format!("192.0.2.{host}"), ANN).await.refused(401, "invalid_credentials");
    }
    let answer = from("192.0.2.9".to_owned(), "ANN@example.com").await;
    assert_eq!(answer.header("ratelimit-policy"), r#""account";q=3;w=30"#);
    answer.refused(429, "rate_limited");
    from("192.0.2.9".to_owned(), "bob@example.com").await.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn a_stranger_who_guesses_keeps_no_owner_out() {
    let setup = Setup::usual()
        .set("AUTH_ACCOUNT_PER_MINUTE", "1")
        .set("AUTH_ACCOUNT_BURST", "3")
        .set("AUTH_LINKS_PER_HOUR", "2")
        .set("SERVER_TRUSTED_PROXIES", "127.0.0.1");
    let app = setup.start().await;
    app.register(ANN).await.ok(201);
    let token = app.mail_to(ANN, "Confirm").await.token();
    app.anyone.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok(200);
    let from = |address: &'static str, path: &'static str, body: Value| {
        let request = app.anyone.request(reqwest::Method::POST, path);
        app.anyone.send(request.header("x-forwarded-for", address).json(&body))
    };
    let sign_in = |address, password: &'static str| {
        from(address, "/api/v1/auth/login", json!({"email": ANN, "password": password}))
    };
    sign_in("198.51.100.7", PASSWORD).await.ok(200);
    for host in ["192.0.2.1", "192.0.2.2"] {
        sign_in(host, OTHER_PASSWORD).await.refused(401, "invalid_credentials");
    }
    sign_in("203.0.113.3", OTHER_PASSWORD).await.refused(429, "rate_limited");
    // The owner is at the usual place, or in the same network.
    sign_in("198.51.100.7", PASSWORD).await.ok(200);
    sign_in("198.51.7.9", PASSWORD).await.ok(200);
    // There the tries are bounded as well.
    sign_in("198.51.100.7", OTHER_PASSWORD).await.refused(401, "invalid_credentials");
    sign_in("198.51.100.7", PASSWORD).await.refused(429, "rate_limited");

    // Nor do links run out: those that were asked for before work still.
    let forget = |address| from(address, "/api/v1/auth/forgot-password", json!({"email": ANN}));
    forget("192.0.2.1").await.ok(202);
    forget("192.0.2.2").await.ok(202);
    let answer = forget("203.0.113.3").await;
    assert_eq!(answer.header("ratelimit-policy"), r#""mailbox";q=2;w=3600"#);
    answer.refused(429, "rate_limited");
    let token = app.mail_to(ANN, "Choose a new password").await.token();
    let body = json!({"token": token, "password": OTHER_PASSWORD});
    from("203.0.113.9", "/api/v1/auth/reset-password", body).await.ok(200);
}

#[tokio::test]
async fn nobody_hides_behind_a_forwarded_address_that_no_trusted_proxy_wrote() {
    let limited =
        || Setup::usual().set("AUTH_ADDRESS_PER_MINUTE", "1").set("AUTH_ADDRESS_BURST", "1");
    for (setup, last) in
        [(limited(), 429), (limited().set("SERVER_TRUSTED_PROXIES", "127.0.0.0/8"), 401)]
    {
        let app = setup.start().await;
        let mut status = 0;
        for host in 1..=2 {
            let request = app.anyone.request(reqwest::Method::POST, "/api/v1/auth/refresh");
            let request = request.header("x-forwarded-for", format!("192.0.2.{host}"));
            status = app.anyone.send(request.json(&json!({"refresh_token": "x"}))).await.status;
        }
        assert_eq!(status, last);
    }
}

#[tokio::test]
async fn a_forwarded_address_is_read_as_proxies_write_it_and_never_beyond_what_they_wrote() {
    for (first, second, last) in [
        ("192.0.2.1:4711", "192.0.2.1:4712", 429),
        ("[2001:db8::5]:1", "2001:db8::5", 429),
        ("192.0.2.1", "192.0.2.2", 401),
        // What stands left of something unreadable was written by the client.
        ("192.0.2.1, unknown", "192.0.2.2, unknown", 429),
    ] {
        let setup = Setup::usual()
            .set("AUTH_ADDRESS_PER_MINUTE", "1")
            .set("AUTH_ADDRESS_BURST", "1")
            .set("SERVER_TRUSTED_PROXIES", "127.0.0.0/8");
        let app = setup.start().await;
        let ask = |hops: &'static str| {
            let request = app.anyone.request(reqwest::Method::POST, "/api/v1/auth/refresh");
            let request = request.header("x-forwarded-for", hops);
            app.anyone.send(request.json(&json!({"refresh_token": "x"})))
        };
        ask(first).await.refused(401, "unauthenticated");
        assert_eq!(ask(second).await.status, last, "{first} and {second}");
    }
}

#[tokio::test]
async fn a_burst_of_sign_ins_does_not_keep_seats_waiting() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    let storm: Vec<_> = (0..60)
        .map(|nth| {
            let anyone = app.anyone.clone();
            let body = json!({"email": format!("nobody{nth}@example.com"), "password": PASSWORD});
            tokio::spawn(async move { anyone.post("/api/v1/auth/login", body).await.status })
        })
        .collect();
    for _ in 0..20 {
        app.heartbeat(&seat).await.ok(200);
    }
    let done = storm.iter().filter(|login| login.is_finished()).count();
    assert!(done < storm.len(), "twenty heartbeats were answered before sixty sign-ins were");
    for login in storm {
        // The queue of passwords is bounded; whoever finds it full is told to come back.
        assert!(matches!(login.await.unwrap(), 401 | 503));
    }
}
