//! Whatever is sent, the answer is a clear problem with a stable code.

use serde_json::{Value, json};

use crate::support::{PASSWORD, TestApp, text};

const REGISTER: &str = "/api/v1/auth/register";
const ACQUIRE: &str = "/api/v1/licenses/acquire";

fn person() -> Value {
    json!({"email": "ann@example.com", "password": PASSWORD, "full_name": "Ann Weaver"})
}

/// A request for a seat with one member changed.
fn acquire(name: &str, value: Value) -> Value {
    let mut body =
        json!({"license_key": "CODITECT-0000-0000-0000-0000-0000", "hardware_id": "hw-1"});
    body[name] = value;
    body
}

// ---- JSON --------------------------------------------------------------------------------------

#[tokio::test]
async fn malformed_json_is_told_with_its_place() {
    let app = TestApp::start().await;
    for body in [
        "",
        " ",
        "{",
        "}",
        "{\"email\"",
        "{\"email\":}",
        "{'email': 'a'}",
        "{\"email\": \"a\",}",
        "{email: \"a\"}",
        "not json",
        "{\"email\": \"a\"",
        "\u{feff}{}",
        "{\"email\": \"a\\x\"}",
        "{\"email\": \"a\nb\"}",
        "{\"email\": NaN}",
        "{\"email\": 01}",
        "{\"email\": \"\\ud800\"}",
    ] {
        let problem = app.anyone.post_raw(REGISTER, body).await.refused(400, "malformed_json");
        assert!(text(&problem["detail"]).contains("line"), "{body:?}: {problem}");
    }
    let valid = person().to_string();
    for rest in ["x", "{}", ",", "\0"] {
        app.anyone
            .post_raw(REGISTER, format!("{valid}{rest}"))
            .await
            .refused(400, "malformed_json");
    }
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_are_malformed() {
    let app = TestApp::start().await;
    let mut body = br#"{"email": ""#.to_vec();
    body.extend([0xff, 0xfe, 0xc0]);
    body.extend(br#"", "password": "x", "full_name": "y"}"#);
    let answer = app.anyone.post_raw(REGISTER, body).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed_json"), "{}", answer.text);
    app.anyone
        .post_raw(REGISTER, vec![0xff, 0xfe, 0x7b, 0x00])
        .await
        .refused(400, "malformed_json");
}

#[tokio::test]
async fn a_wrong_type_names_its_field() {
    let app = TestApp::start().await;
    for wrong in [
        Value::Null,
        json!(1),
        json!(1.5),
        json!(true),
        json!([]),
        json!({}),
        json!(["ann@example.com"]),
    ] {
        let mut body = person();
        body["email"] = wrong;
        app.anyone.post(REGISTER, body).await.refused_field("email");
    }
    for (field, wrong) in [
        ("wait_seconds", json!("5")),
        ("wait_seconds", json!(-1)),
        ("wait_seconds", json!(1.5)),
        ("wait_seconds", json!(4_294_967_296_u64)),
        ("wait_seconds", json!(1e300)),
        ("metadata", json!([])),
        ("metadata", json!("x")),
        ("license_key", json!(5)),
    ] {
        app.anyone.post(ACQUIRE, acquire(field, wrong)).await.refused_field(field);
    }
    app.anyone
        .post(ACQUIRE, acquire("metadata", json!({"a": 1})))
        .await
        .refused_field("metadata.a");
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    let app = TestApp::start().await;
    for body in [
        "null",
        "true",
        "0",
        "\"text\"",
        "[]",
        "[{}]",
        "[\"ann@example.com\", \"password\", \"Ann\"]",
    ] {
        let answer = app.anyone.post_raw(REGISTER, body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "validation_failed"),
            "{body}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_missing_field_is_named() {
    let app = TestApp::start().await;
    for field in ["email", "password", "full_name"] {
        let mut body = person();
        body.as_object_mut().unwrap().remove(field);
        app.anyone.post(REGISTER, body).await.refused_field(field);
    }
    app.anyone.post("/api/v1/licenses/heartbeat", json!({})).await.refused_field("session_id");
}

#[tokio::test]
async fn an_unknown_field_is_refused_so_that_a_misspelt_one_is_never_ignored() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let operator = app.operator().await;
    for (client, path, mut body, field) in [
        (&app.anyone, REGISTER, person(), "fullname"),
        (&app.anyone, REGISTER, person(), "operator"),
        (
            &app.anyone,
            "/api/v1/auth/login",
            json!({"email": "a@example.com", "password": "x"}),
            "remember",
        ),
        (&app.anyone, ACQUIRE, acquire("hardware_id", json!("hw-1")), "wait_second"),
        (&app.anyone, "/api/v1/licenses/validate", json!({"license_key": "x"}), "Nonce"),
        (
            &app.anyone,
            "/api/v1/licenses/heartbeat",
            json!({"session_id": "7d3f0c7e-5a52-4f8c-9a39-0a4f5d3c2b1a"}),
            "__proto__",
        ),
        (
            &ann,
            "/api/v1/subscriptions/01890a5d-ac96-774b-bcce-b302099a8057/cancel",
            json!({}),
            "at_end",
        ),
        (&operator, "/api/v1/admin/payments", json!({}), "amount"),
    ] {
        body[field] = json!(1);
        client.post(path, body).await.refused_field(field);
    }
}

#[tokio::test]
async fn a_key_given_twice_is_refused() {
    let app = TestApp::start().await;
    let twice = r#"{"email": "a@example.com", "email": "b@example.com", "password": "x", "full_name": "y"}"#;
    let answer = app.anyone.post_raw(REGISTER, twice).await;
    assert!(text(&answer.body["detail"]).contains("duplicate field"), "{}", answer.text);
    answer.refused(400, "validation_failed");
    let twice = r#"{"license_key": "x", "hardware_id": "y", "metadata": {"a": "1", "a": "2"}}"#;
    app.anyone.post_raw(ACQUIRE, twice).await.refused(400, "validation_failed");
    // Escapes do not hide it.
    let twice = r#"{"license_key": "x", "hardware_id": "y", "hardware\u005fid": "z"}"#;
    app.anyone.post_raw(ACQUIRE, twice).await.refused(400, "validation_failed");
}

#[tokio::test]
async fn deep_nesting_ends_in_a_refusal_and_not_in_the_stack() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let depth = 20_000;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = format!("{}1{}", "{\"a\":".repeat(depth / 4), "}".repeat(depth / 4));
    let plan = r#"{"plan_name": "p", "max_concurrent_seats": 1, "monthly_price_cents": 0, "currency": "EUR", "features": {"f": "#;
    for (client, path, body) in [
        (&app.anyone, ACQUIRE, deep.clone()),
        (&app.anyone, ACQUIRE, format!(r#"{{"metadata": {deep}}}"#)),
        (&app.anyone, ACQUIRE, format!(r#"{{"unknown": {objects}}}"#)),
        (&operator, "/api/v1/admin/plans", format!("{plan}{deep}}}}}")),
        (&operator, "/api/v1/admin/plans", format!("{plan}{objects}}}}}")),
    ] {
        let answer = client.post_raw(path, body).await;
        assert!(matches!(answer.code(), "malformed_json" | "validation_failed"), "{}", answer.text);
    }
}

// ---- texts -------------------------------------------------------------------------------------

#[tokio::test]
async fn an_over_long_text_is_refused_and_says_how_long_it_may_be() {
    let app = TestApp::start().await;
    let refused = |field: &'static str, length: usize| {
        let mut body = person();
        body[field] = json!("x".repeat(length));
        app.anyone.post(REGISTER, body)
    };
    for (field, length) in [("full_name", 201), ("company_name", 201), ("email", 255)] {
        let problem = refused(field, length).await.refused_field(field);
        assert!(text(&problem["detail"]).contains(&(length - 1).to_string()), "{problem}");
    }
    refused("password", 257).await.refused(400, "weak_password");
    refused("password", 60_000).await.refused(400, "weak_password");
    app.anyone
        .post(ACQUIRE, acquire("hardware_id", json!("x".repeat(257))))
        .await
        .refused_field("hardware_id");
    app.anyone
        .post(ACQUIRE, acquire("hardware_id", json!("🦉".repeat(257))))
        .await
        .refused_field("hardware_id");
    app.anyone.post(ACQUIRE, acquire("hardware_id", json!(""))).await.refused_field("hardware_id");
    app.anyone
        .post(ACQUIRE, acquire("license_key", json!("A".repeat(60_000))))
        .await
        .refused(404, "license_not_found");
    app.login("ann@example.com", &"x".repeat(60_000)).await.refused(401, "invalid_credentials");
    app.login(&"x".repeat(60_000), PASSWORD).await.refused(401, "invalid_credentials");
    for path in ["verify-email", "refresh"] {
        let field = if path == "refresh" { "refresh_token" } else { "token" };
        let answer = app
            .anyone
            .post(&format!("/api/v1/auth/{path}"), json!({field: "x".repeat(60_000)}))
            .await;
        assert!(matches!(answer.status, 400 | 401), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_longest_text_that_is_allowed_is_kept_whole_across_a_restart() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let notes: serde_json::Map<String, Value> = (0..16)
        .map(|nth| (format!("{nth:02}{}", "🦉".repeat(62)), json!("🦉".repeat(256))))
        .collect();
    let body = json!({"license_key": license["license_key"], "hardware_id": "🦉".repeat(256), "metadata": notes});
    app.anyone.post(ACQUIRE, body.clone()).await.ok(201);
    app.anyone.post("/api/v1/licenses/activate", body.clone()).await.ok(201);
    let app = app.restart().await;
    app.anyone.post("/api/v1/licenses/activate", body).await.ok(200);
    let held = app.operator().await.get("/api/v1/admin/sessions").await.list();
    assert_eq!(
        (&held[0]["hardware_id"], &held[0]["metadata"]),
        (&json!("🦉".repeat(256)), &json!(notes))
    );
}

#[tokio::test]
async fn control_characters_are_refused_where_people_will_read() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    for control in ["\u{0}", "\n", "\r\nBcc: eve@example.com", "\u{1b}[31m", "\u{7f}", "\u{85}"] {
        let evil = format!("Ann{control}");
        for field in ["full_name", "company_name", "email"] {
            let mut body = person();
            body[field] = json!(if field == "email" {
                format!("{evil}@example.com")
            } else {
                format!("{evil}W")
            });
            app.anyone.post(REGISTER, body).await.refused_field(field);
        }
        app.anyone
            .post(ACQUIRE, acquire("hardware_id", json!(evil.clone() + "x")))
            .await
            .refused_field("hardware_id");
        for field in ["machine_name", "platform"] {
            let mut body = json!({"license_key": license["license_key"], "hardware_id": "hw-1"});
            body[field] = json!(evil.clone() + "x");
            app.anyone.post("/api/v1/licenses/activate", body).await.refused_field(field);
        }
    }
}

#[tokio::test]
async fn odd_but_sound_unicode_is_kept_as_it_was() {
    let app = TestApp::start().await;
    let license = app.license(40).await;
    for (nth, name) in [
        "größer",
        "Zoë",
        "Zoe\u{308}",
        "李小龍",
        "مرحبا",
        "👩‍👩‍👧‍👦",
        "a\u{300}\u{301}\u{302}",
        "\u{202e}drawkcab",
        "ﷺ",
        "İstanbul ß ſ",
        "\u{200b}zero",
        "𝔘𝔫𝔦",
        "\u{fffd}",
        "\"quotes\" \\ 'and' <b>tags</b> {{ 7*7 }} ${x}",
    ]
    .iter()
    .enumerate()
    {
        let email = format!("person{nth}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "full_name": name});
        assert_eq!(app.anyone.post(REGISTER, body).await.ok(201)["full_name"], *name);
        let seat = app.acquire(&license, &format!("hw {name}")).await.ok(201);
        assert_eq!(seat["hardware_id"], format!("hw {name}"));
    }
    // Different bytes are different machines; nothing is folded behind an application's back.
    let page = app.operator().await.get("/api/v1/admin/sessions").await.ok(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 14);
}

#[tokio::test]
async fn names_in_mails_are_text_and_never_markup() {
    let app = TestApp::start().await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "full_name": "<img src=x onerror=alert(1)> {{ 7*7 }}"});
    app.anyone.post(REGISTER, body).await.ok(201);
    let body = json!({"email": "ann@example.com", "max_concurrent_seats": 1});
    app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201);
    let mail = app.mail_to("ann@example.com", "Your licence").await;
    assert!(!mail.html.contains("<img src=x"), "{}", mail.html);
    assert!(!mail.html.contains("49") || mail.html.contains("7*7"), "{}", mail.html);
}

#[tokio::test]
async fn an_address_must_be_one() {
    let app = TestApp::start().await;
    for email in [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@@example.com",
        "ann example@example.com",
        "ann@example.com, bob@example.com",
        "Ann <ann@example.com>",
        "ann@exa mple.com",
        "ann@-",
        "\"a b\"@example.com",
        "ann@[127.0.0.1]",
        "ann@.com",
    ] {
        let mut body = person();
        body["email"] = json!(email);
        app.anyone.post(REGISTER, body).await.refused_field("email");
        let answer = app.anyone.post("/api/v1/auth/forgot-password", json!({"email": email})).await;
        answer.refused_field("email");
    }
}
