//! Licences: activation and validation by applications, and what their owners see and do.

use coditect::entropy::Entropy;
use coditect::signing::license_key::Template;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::keys::verified;
use crate::support::{
    Answer, DAY, OPERATOR, START, Setup, TestApp, claims, items, later, members, text, without,
};

const LICENSE: [&str; 16] = [
    "expiry_date",
    "features",
    "grace_period_ends_at",
    "issued_at",
    "license_id",
    "license_key",
    "max_activations",
    "max_concurrent_seats",
    "org_id",
    "plan_id",
    "plan_name",
    "seats_used",
    "status",
    "subscription_id",
    "updated_at",
    "user_id",
];

async fn activate(app: &TestApp, license: &Value, hardware_id: &str) -> Answer {
    let body = json!({"license_key": license["license_key"], "hardware_id": hardware_id});
    app.anyone.post("/api/v1/licenses/activate", body).await
}

async fn validate(app: &TestApp, license_key: &str) -> Value {
    app.anyone.post("/api/v1/licenses/validate", json!({"license_key": license_key})).await.ok(200)
}

/// A licence that nobody was issued, but whose check character is right.
fn unknown_key() -> String {
    Template::default().generate(&Entropy::seeded(7), 2030)
}

/// A key with one symbol mistyped.
fn mistyped(key: &str) -> String {
    let wrong = if key.ends_with('7') { "8" } else { "7" };
    format!("{}{wrong}", &key[..key.len() - 1])
}

// ---- keys --------------------------------------------------------------------------------------

#[tokio::test]
async fn a_key_has_the_default_shape_and_no_look_alike_letters() {
    let app = TestApp::start().await;
    let key = text(&app.license(1).await["license_key"]);
    let groups: Vec<&str> = key.split('-').collect();
    assert_eq!((groups.len(), groups[0]), (6, "CODITECT"));
    for group in &groups[1..] {
        assert_eq!(group.len(), 4, "{key}");
        assert!(group.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()), "{key}");
        assert!(!group.contains(['I', 'L', 'O', 'U']), "{key}");
    }
}

#[tokio::test]
async fn the_older_template_with_the_year_is_a_setting_and_keys_of_before_keep_working() {
    let app = TestApp::start().await;
    let before = app.license(1).await;
    drop(app.restart().await);
    let app = Setup::usual().set("LICENSE_KEY_TEMPLATE", "CODITECT-{year}-XXXX-XXXX").start().await;
    let license = app.license(1).await;
    let key = text(&license["license_key"]);
    assert!(
        key.starts_with("CODITECT-2030-") && key.len() == "CODITECT-2030-XXXX-XXXX".len(),
        "{key}"
    );
    app.acquire(&license, "hw-1").await.ok(201);
    // It is no licence of this server, but no slip either: the check needs no template.
    let answer = validate(&app, &text(&before["license_key"])).await;
    assert_eq!(answer["code"], "license_not_found");
}

#[tokio::test]
async fn a_key_works_however_it_is_typed() {
    let app = TestApp::start().await;
    let key = text(&app.license(1).await["license_key"]);
    let spellings = [
        key.to_lowercase(),
        key.replace('-', ""),
        key.replace('-', " "),
        format!("  {key}\n"),
        key.replace('-', "–"),
        key.replace('0', "O").replace('1', "l"),
    ];
    for spelling in spellings {
        assert_eq!(validate(&app, &spelling).await["code"], "valid", "{spelling:?}");
    }
}

#[tokio::test]
async fn a_typing_slip_is_told_from_an_unknown_key() {
    let app = TestApp::start().await;
    let key = text(&app.license(1).await["license_key"]);
    let asked = |key: String| {
        let app = &app;
        async move {
            text(
                &app.acquire(&json!({"license_key": key}), "hw-1")
                    .await
                    .refused(404, "license_not_found")["detail"],
            )
        }
    };
    let unknown = asked(unknown_key()).await;
    assert!(unknown.contains("not a typing slip"), "{unknown}");
    let mut swapped: Vec<char> = key.chars().collect();
    let differ =
        |i: &usize| swapped[*i] != swapped[i + 1] && swapped[*i] != '-' && swapped[i + 1] != '-';
    let place = (9..swapped.len() - 1).find(differ).unwrap();
    swapped.swap(place, place + 1);
    for slip in [
        mistyped(&key),
        swapped.into_iter().collect(),
        key[..5].to_owned(),
        String::new(),
        "🦉".repeat(20),
    ] {
        assert_ne!(asked(slip.clone()).await, unknown, "{slip:?}");
    }
}

// ---- activation --------------------------------------------------------------------------------

#[tokio::test]
async fn activating_binds_a_machine_and_answers_a_licence_for_it_alone() {
    let app = TestApp::start().await;
    let license = app.license(3).await;
    let body = json!({
        "license_key": license["license_key"], "hardware_id": "hw-1", "machine_name": "Ann's desk – größer",
        "platform": "linux-x86_64", "metadata": {"rack": "7"},
    });
    let answer = app.anyone.post("/api/v1/licenses/activate", body).await.ok(201);
    assert_eq!(members(&answer), ["activation_id", "license", "signed_license"]);
    assert_eq!(answer["license"], without(&license, "customer"));
    let claims = verified(&app, &text(&answer["signed_license"]), Algorithm::RS256).await;
    assert_eq!(claims["hardware_id"], "hw-1");

    let operator = app.operator().await;
    let path = format!("/api/v1/licenses/{}/activations", text(&license["license_id"]));
    let page = operator.get(&path).await.ok(200);
    let [activation] = items(&page) else { panic!("one: {page}") };
    assert_eq!(
        members(activation),
        [
            "activated_at",
            "activation_id",
            "hardware_id",
            "last_seen_at",
            "license_id",
            "machine_name",
            "metadata",
            "platform"
        ]
    );
    assert_eq!(activation["activation_id"], answer["activation_id"]);
    assert_eq!(
        (&activation["machine_name"], &activation["metadata"]),
        (&json!("Ann's desk – größer"), &json!({"rack": "7"}))
    );
    assert!(app.audited().await.contains(&"license.activated".to_owned()));
}

#[tokio::test]
async fn a_machine_that_is_activated_already_answers_200_and_stays_one() {
    let app = TestApp::start().await;
    let license = app.license(3).await;
    let first = activate(&app, &license, "hw-1").await.ok(201);
    app.advance(DAY).await;
    let again = activate(&app, &license, "hw-1").await.ok(200);
    assert_eq!(first["activation_id"], again["activation_id"]);
    let path = format!("/api/v1/licenses/{}/activations", text(&license["license_id"]));
    let page = app.operator().await.get(&path).await.ok(200);
    let [activation] = items(&page) else { panic!("one: {page}") };
    assert_eq!(
        (&activation["activated_at"], &activation["last_seen_at"]),
        (&json!(START), &json!(later(DAY)))
    );
}

#[tokio::test]
async fn only_so_many_machines_are_activated_and_unbinding_one_makes_room() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let body = json!({"email": OPERATOR, "max_concurrent_seats": 5, "max_activations": 2});
    let license = operator.post("/api/v1/admin/licenses", body).await.ok(201);
    let first = activate(&app, &license, "hw-1").await.ok(201);
    activate(&app, &license, "hw-2").await.ok(201);
    activate(&app, &license, "hw-3").await.refused(409, "activation_limit_reached");
    activate(&app, &license, "hw-1").await.ok(200);
    let seat = app.acquire(&license, "hw-1").await.ok(201);

    let (license_id, activation_id) = (text(&license["license_id"]), text(&first["activation_id"]));
    operator
        .delete(&format!("/api/v1/licenses/{license_id}/activations/{activation_id}"))
        .await
        .ok(200);
    app.heartbeat(&seat).await.refused(404, "session_not_found");
    activate(&app, &license, "hw-3").await.ok(201);
    assert!(app.audited().await.contains(&"license.deactivated".to_owned()));
}

#[tokio::test]
async fn concurrent_activations_keep_the_limit() {
    let app = TestApp::start().await;
    let body = json!({"email": OPERATOR, "max_concurrent_seats": 5, "max_activations": 3});
    let license = app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201);
    let tries: Vec<_> = (0..12)
        .map(|nth| {
            let (anyone, key) = (app.anyone.clone(), license["license_key"].clone());
            tokio::spawn(async move {
                let body = json!({"license_key": key, "hardware_id": format!("hw-{nth}")});
                anyone.post("/api/v1/licenses/activate", body).await.status
            })
        })
        .collect();
    let mut made = 0;
    for attempt in tries {
        made += u32::from(attempt.await.unwrap() == 201);
    }
    assert_eq!(made, 3);
}

#[tokio::test]
async fn a_licence_that_does_not_work_says_why() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let act = |license: &Value, act: &str| {
        format!("/api/v1/admin/licenses/{}/{act}", text(&license["license_id"]))
    };
    let suspended = app.license(1).await;
    operator.post_nothing(&act(&suspended, "suspend")).await.ok(200);
    let revoked = app.license(1).await;
    operator.post_nothing(&act(&revoked, "revoke")).await.ok(200);
    let body = json!({"email": OPERATOR, "max_concurrent_seats": 1, "expiry_date": later(DAY)});
    let expired = operator.post("/api/v1/admin/licenses", body).await.ok(201);
    app.advance(DAY).await;
    for (license, code) in [
        (suspended, "license_suspended"),
        (revoked, "license_revoked"),
        (expired, "license_expired"),
    ] {
        activate(&app, &license, "hw-1").await.refused(403, code);
        app.acquire(&license, "hw-1").await.refused(403, code);
        let answer = validate(&app, &text(&license["license_key"])).await;
        assert_eq!((&answer["valid"], &answer["code"]), (&json!(false), &json!(code)));
    }
}

// ---- validation --------------------------------------------------------------------------------

#[tokio::test]
async fn validating_is_never_an_error_for_a_bad_key() {
    let app = TestApp::start().await;
    let key = text(&app.license(1).await["license_key"]);
    for bad in [
        unknown_key(),
        mistyped(&key),
        "hello".to_owned(),
        String::new(),
        "Ünïcödé 🦉 \u{202e}".to_owned(),
    ] {
        let answer = validate(&app, &bad).await;
        assert_eq!(
            (&answer["valid"], &answer["code"]),
            (&json!(false), &json!("license_not_found"))
        );
        assert_eq!(answer["license"], Value::Null);
    }
}

#[tokio::test]
async fn what_an_operator_changed_shows_in_the_next_validation() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let license = app.license(3).await;
    let key = text(&license["license_key"]);
    for (what, code) in
        [("suspend", "license_suspended"), ("reinstate", "valid"), ("revoke", "license_revoked")]
    {
        let act = format!("/api/v1/admin/licenses/{}/{what}", text(&license["license_id"]));
        operator.post_nothing(&act).await.ok(200);
        assert_eq!(validate(&app, &key).await["code"], code, "after {what}");
        assert_eq!(validate(&app, &key).await["code"], code, "and again");
    }
}

#[tokio::test]
async fn validating_tells_the_licence_and_whether_the_machine_is_activated() {
    let app = TestApp::start().await;
    let license = app.license(3).await;
    let answer = validate(&app, &text(&license["license_key"])).await;
    assert_eq!(members(&answer), ["activated", "code", "license", "signed", "valid"]);
    assert_eq!(
        (&answer["valid"], &answer["code"], &answer["license"]),
        (&json!(true), &json!("valid"), &without(&license, "customer"))
    );
    assert_eq!((&answer["activated"], &answer["signed"]), (&Value::Null, &Value::Null));
    activate(&app, &license, "hw-1").await.ok(201);
    for (hardware_id, activated) in [("hw-1", true), ("hw-2", false)] {
        let body = json!({"license_key": license["license_key"], "hardware_id": hardware_id});
        let answer = app.anyone.post("/api/v1/licenses/validate", body).await.ok(200);
        assert_eq!(answer["activated"], activated);
    }
}

#[tokio::test]
async fn even_the_answer_about_an_unknown_key_is_signed_when_a_nonce_is_given() {
    let app = TestApp::start().await;
    let body = json!({"license_key": unknown_key(), "nonce": "größer 🦉"});
    let answer = app.anyone.post("/api/v1/licenses/validate", body).await.ok(200);
    let claims = verified(&app, &text(&answer["signed"]), Algorithm::EdDSA).await;
    assert_eq!(
        (&claims["valid"], &claims["code"], &claims["nonce"]),
        (&json!(false), &json!("license_not_found"), &json!("größer 🦉"))
    );
    for nonce in [String::new(), "n".repeat(129)] {
        let body = json!({"license_key": unknown_key(), "nonce": nonce});
        app.anyone.post("/api/v1/licenses/validate", body).await.refused_field("nonce");
    }
}

// ---- people ------------------------------------------------------------------------------------

#[tokio::test]
async fn an_owner_sees_the_licences_of_the_organisation() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let body = json!({"email": "ann@example.com", "max_concurrent_seats": 4});
    let license = app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201);
    let page = ann.get("/api/v1/licenses").await.ok(200);
    let [listed] = items(&page) else { panic!("one: {page}") };
    assert_eq!(listed, &without(&license, "customer"));
    assert_eq!(members(listed), LICENSE);
    assert_eq!((&listed["status"], &listed["max_concurrent_seats"]), (&json!("active"), &json!(4)));
    assert_eq!((&listed["expiry_date"], &listed["seats_used"]), (&Value::Null, &json!(0)));
    app.acquire(&license, "hw-1").await.ok(201);
    let path = format!("/api/v1/licenses/{}", text(&license["license_id"]));
    assert_eq!(ann.get(&path).await.ok(200)["seats_used"], 1);
}

#[tokio::test]
async fn an_owner_downloads_the_signed_licence_file() {
    let app = TestApp::start().await;
    let license = app.license(3).await;
    let path = format!("/api/v1/licenses/{}/file", text(&license["license_id"]));
    let answer = app.operator().await.get(&path).await;
    assert!(answer.header("content-type").starts_with("text/plain"));
    assert!(answer.text.starts_with("-----BEGIN CODITECT LICENSE-----\n"), "{}", answer.text);
    let token: String = answer.text.lines().filter(|line| !line.starts_with("-----")).collect();
    let claims = verified(&app, &token, Algorithm::RS256).await;
    assert_eq!((&claims["sub"], claims.get("hardware_id")), (&license["license_id"], None));
}

#[tokio::test]
async fn an_owner_sees_who_holds_seats_and_takes_one_back() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let body = json!({"email": "ann@example.com", "max_concurrent_seats": 4});
    let license = app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201);
    let seats =
        [app.acquire(&license, "hw-1").await.ok(201), app.acquire(&license, "hw-2").await.ok(201)];
    let path = format!("/api/v1/licenses/{}/sessions", text(&license["license_id"]));
    let page = ann.get(&path).await.ok(200);
    assert_eq!(items(&page).len(), 2);
    let told = members(&items(&page)[0]);
    for member in ["session_id", "hardware_id", "started_at", "last_heartbeat_at", "expires_at"] {
        assert!(told.contains(&member), "{member}");
    }
    let operator = app.operator().await;
    assert_eq!(operator.get(&path).await.ok(200), page, "operators read any licence's");

    ann.delete(&format!("{path}/{}", text(&seats[0]["session_id"]))).await.ok(200);
    ann.delete(&format!("{path}/{}", text(&seats[0]["session_id"])))
        .await
        .refused(404, "session_not_found");
    app.heartbeat(&seats[0]).await.refused(404, "session_not_found");
    app.heartbeat(&seats[1]).await.ok(200);
    assert_eq!(items(&ann.get(&path).await.ok(200)).len(), 1);
    assert!(app.audited().await.contains(&"seat.evicted".to_owned()));
}

#[tokio::test]
async fn holders_are_read_a_page_at_a_time() {
    let app = TestApp::start().await;
    let license = app.license(10).await;
    for nth in 0..7 {
        app.acquire(&license, &format!("hw-{nth}")).await.ok(201);
    }
    let operator = app.operator().await;
    for list in [
        format!("/api/v1/licenses/{}/sessions", text(&license["license_id"])),
        "/api/v1/admin/sessions".to_owned(),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = operator.get(&format!("{list}?limit=3{cursor}")).await.ok(200);
            assert!(items(&page).len() <= 3);
            seen.extend(items(&page).iter().map(|holder| text(&holder["hardware_id"])));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        seen.sort();
        assert_eq!(seen, (0..7).map(|nth| format!("hw-{nth}")).collect::<Vec<_>>());
        operator.get(&format!("{list}?cursor=AAAA")).await.refused(400, "invalid_cursor");
        operator.get(&format!("{list}?limit=0")).await.refused_field("limit");
    }
}

#[tokio::test]
async fn a_document_says_when_it_ends() {
    let app = TestApp::start().await;
    let body = json!({"email": OPERATOR, "max_concurrent_seats": 1, "expiry_date": "2030-06-30T00:00:00Z"});
    let license = app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201);
    let claims = claims(&text(&activate(&app, &license, "hw-1").await.ok(201)["signed_license"]));
    // 2030-06-30T00:00:00Z and 2030-01-15T09:00:00Z.
    assert_eq!((&claims["exp"], &claims["nbf"]), (&json!(1_909_008_000), &json!(1_894_698_000)));
}
