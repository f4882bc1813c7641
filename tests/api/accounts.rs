//! `/auth` and `/users/me`: registration, sign-in, and one's own account.

use std::time::{Duration, Instant};

use coditect::domain::user::Email;
use coditect::store::{WriteTx, users};
use serde_json::{Value, json};

use crate::support::{
    DAY, HOUR, MINUTE, PASSWORD, PUBLIC_URL, SECOND, START, Setup, TestApp, claims, items, later,
    members, text,
};

const ANN: &str = "ann@example.com";
const OTHER_PASSWORD: &str = "nine loud magpies at dawn";

const USER: [&str; 12] = [
    "company_name",
    "created_at",
    "deactivated_at",
    "email",
    "email_verified",
    "full_name",
    "has_password",
    "last_login_at",
    "operator",
    "org_id",
    "second_factor_since",
    "user_id",
];

// ---- registration ------------------------------------------------------------------------------

#[tokio::test]
async fn registering_makes_an_account_that_awaits_its_verification() {
    let app = TestApp::start().await;
    let user = app.register(ANN).await.ok(201);
    assert_eq!(members(&user), USER);
    assert_eq!(user["email"], ANN);
    assert_eq!(
        (&user["full_name"], &user["company_name"]),
        (&json!("Ann Weaver"), &json!("Loom Ltd"))
    );
    assert_eq!((&user["email_verified"], &user["operator"]), (&json!(false), &json!(false)));
    assert_eq!(user["created_at"], START);
    assert!(app.audited().await.contains(&"user.registered".to_owned()));
}

#[tokio::test]
async fn registering_mails_a_link_to_the_public_address() {
    let app = TestApp::start().await;
    app.register(ANN).await.ok(201);
    let mail = app.mail_to(ANN, "Confirm").await;
    assert_eq!(mail.from, "licensing@localhost");
    assert!(mail.text.contains(&format!("{PUBLIC_URL}/verify-email?token=")), "{}", mail.text);
    assert!(mail.html.contains(&mail.token()));
}

#[tokio::test]
async fn an_address_has_one_account_however_it_is_spelt() {
    let app = TestApp::start().await;
    app.register(ANN).await.ok(201);
    for spelling in [ANN, "Ann@EXAMPLE.com", " ann@example.com ", "ａnn@example.com"] {
        app.register(spelling).await.refused(409, "email_taken");
    }
}

#[tokio::test]
async fn a_password_that_can_be_guessed_is_refused_with_advice() {
    let app = TestApp::start().await;
    for password in [
        "short",
        "password123",
        "ann@example.com",
        "Ann Weaver",
        "zwirnwerkegmbh-1",
        "aaaaaaaaaaaa",
        "",
    ] {
        let body = json!({
            "email": ANN,
            "password": password,
            "full_name": "Ann Weaver",
            "company_name": "Zwirnwerkegmbh",
        });
        let problem =
            app.anyone.post("/api/v1/auth/register", body).await.refused(400, "weak_password");
        assert_eq!(problem["errors"][0]["field"], "password");
    }
}

#[tokio::test]
async fn a_password_that_stands_alone_is_long_and_may_be_as_long_as_one_likes() {
    let app = TestApp::start().await;
    let register = |email: &'static str, password: String| {
        let body = json!({"email": email, "password": password, "full_name": "Ann Weaver"});
        app.anyone.post("/api/v1/auth/register", body)
    };
    // Strong enough, and too short: 14 characters, of four bytes each.
    for short in ["9f3kQ-zz8!xW#2", &"\u{1f9c2}\u{1f41d}".repeat(7)] {
        let problem = register(ANN, short.to_owned()).await.refused(400, "weak_password");
        assert!(text(&problem["detail"]).contains("at least 15 characters"), "{problem}");
    }
    register(ANN, "9f3kQ-zz8!xW#2u".to_owned()).await.ok(201);
    let sentence = "mud ants nod: ".repeat(18) + "yes!";
    assert_eq!(sentence.chars().count(), 256);
    register("bob@example.com", sentence.clone()).await.ok(201);
    register("cy@example.com", sentence + "!").await.refused(400, "weak_password");
}

#[tokio::test]
async fn the_settings_say_how_long_a_password_is() {
    let app = Setup::usual().set("AUTH_PASSWORD_CHARS_MIN", "8").start().await;
    let body = json!({"email": ANN, "password": "9f3kQ-zz8!x", "full_name": "Ann Weaver"});
    app.anyone.post("/api/v1/auth/register", body).await.ok(201);
}

#[tokio::test]
async fn registration_can_be_closed() {
    let app = Setup::usual().set("AUTH_OPEN_REGISTRATION", "false").start().await;
    app.register(ANN).await.refused(403, "forbidden");
}

// ---- verification ------------------------------------------------------------------------------

#[tokio::test]
async fn nobody_signs_in_before_the_address_is_verified() {
    let app = TestApp::start().await;
    app.register(ANN).await.ok(201);
    app.login(ANN, PASSWORD).await.refused(403, "email_unverified");
    // Who does not know the password does not learn that there is such an account.
    app.login(ANN, OTHER_PASSWORD).await.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn a_verification_link_works_once() {
    let app = TestApp::start().await;
    app.register(ANN).await.ok(201);
    let token = json!({"token": app.mail_to(ANN, "Confirm").await.token()});
    let user = app.anyone.post("/api/v1/auth/verify-email", token.clone()).await.ok(200);
    assert_eq!(user["email_verified"], true);
    app.anyone.post("/api/v1/auth/verify-email", token).await.refused(400, "invalid_token");
    app.anyone
        .post("/api/v1/auth/verify-email", json!({"token": "guessed"}))
        .await
        .refused(400, "invalid_token");
    assert!(app.audited().await.contains(&"user.email_verified".to_owned()));
    app.login(ANN, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn a_verification_link_works_for_48_hours() {
    let app = TestApp::start().await;
    app.register(ANN).await.ok(201);
    let token = json!({"token": app.mail_to(ANN, "Confirm").await.token()});
    app.advance(48 * HOUR).await;
    app.anyone.post("/api/v1/auth/verify-email", token).await.refused(400, "invalid_token");
}

#[tokio::test]
async fn a_new_link_is_mailed_to_whoever_still_needs_one_and_to_nobody_else() {
    let app = TestApp::start().await;
    app.register(ANN).await.ok(201);
    app.customer("bob@example.com").await;
    let mut answers = Vec::new();
    for email in [ANN, "bob@example.com", "nobody@example.com"] {
        let answer =
            app.anyone.post("/api/v1/auth/resend-verification", json!({"email": email})).await;
        answers.push(answer.ok(202));
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "the same for everybody: {answers:?}"
    );
    let count = |email: &'static str| {
        let app = &app;
        async move {
            app.subjects_to(email)
                .await
                .iter()
                .filter(|subject| subject.contains("Confirm"))
                .count()
        }
    };
    assert_eq!(
        [count(ANN).await, count("bob@example.com").await, count("nobody@example.com").await],
        [2, 1, 0]
    );
    let token = app.mail_to(ANN, "Confirm").await.token();
    app.anyone.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok(200);
}

// ---- sign-in -----------------------------------------------------------------------------------

#[tokio::test]
async fn signing_in_answers_a_pair_of_tokens_and_who_it_is() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let answer = app.login("ANN@example.com", PASSWORD).await.ok(200);
    assert_eq!(
        members(&answer),
        ["access_token", "expires_in", "refresh_token", "token_type", "user"]
    );
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(members(&answer["user"]), USER);
    assert_eq!(answer["user"]["last_login_at"], START);
    let ann = app.person(&answer);
    assert_eq!(ann.get("/api/v1/users/me").await.ok(200), ann.user);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_cannot_be_told_apart() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let wrong = app.login(ANN, OTHER_PASSWORD).await.refused(401, "invalid_credentials");
    for unknown in ["nobody@example.com", "no address at all", ""] {
        assert_eq!(app.login(unknown, PASSWORD).await.refused(401, "invalid_credentials"), wrong);
    }
}

/// The medians of how long two calls take that are made in turn, so that what else the computer does
/// meets both alike.
async fn medians<F: Future<Output = ()>>(
    app: &TestApp,
    calls: [impl Fn() -> F; 2],
) -> [Duration; 2] {
    let mut taken = [Vec::new(), Vec::new()];
    for _ in 0..41 {
        for (call, taken) in calls.iter().zip(&mut taken) {
            let begun = Instant::now();
            call().await;
            taken.push(begun.elapsed());
            // What the call has left to do must not fall upon the next.
            app.settle().await;
        }
    }
    taken.map(|mut taken| {
        taken.sort_unstable();
        taken[taken.len() / 2]
    })
}

#[tokio::test]
async fn nor_by_the_time_the_answer_takes() {
    let setup = Setup::usual()
        .set("AUTH_ACCOUNT_BURST", "1000")
        .set("AUTH_ADDRESS_BURST", "1000")
        .set("AUTH_LINKS_PER_HOUR", "1000");
    let app = setup.start().await;
    app.customer(ANN).await;
    let app = &app;
    let sign_in = |email: &'static str| {
        move || async move {
            app.login(email, OTHER_PASSWORD).await.refused(401, "invalid_credentials");
        }
    };
    let forget = |email: &'static str| move || async move { drop(forgot(app, email).await) };
    let both = [ANN, "nobody@example.com"];
    for (what, [known, unknown]) in [
        ("signing in", medians(app, both.map(sign_in)).await),
        ("forgetting the password", medians(app, both.map(forget)).await),
    ] {
        // A hash takes twenty times the millisecond that a busy computer may add.
        let allowed = known / 4 + Duration::from_millis(1);
        assert!(known.abs_diff(unknown) < allowed, "{what}: {known:?}, unknown {unknown:?}");
    }
}

#[tokio::test]
async fn an_access_token_is_good_for_fifteen_minutes() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    app.advance(14 * MINUTE).await;
    ann.get("/api/v1/users/me").await.ok(200);
    app.advance(MINUTE).await;
    let answer = ann.get("/api/v1/users/me").await;
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    answer.refused(401, "unauthenticated");
}

#[tokio::test]
async fn only_a_token_that_the_server_signed_signs_in() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let token = text(&app.login(ANN, PASSWORD).await.ok(200)["access_token"]);
    let (rest, _) = token.rsplit_once('.').unwrap();
    let license = text(&app.license(1).await["license_key"]);
    for bad in [
        "",
        "x",
        "a.b.c",
        &format!("{rest}."),
        &format!("{rest}.AAAA"),
        &ann.refresh_token,
        &license,
    ] {
        ann.with_bearer(bad).get("/api/v1/users/me").await.refused(401, "unauthenticated");
    }
    app.anyone.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    assert_eq!(claims(&token)["sub"], ann.user["user_id"]);
}

// ---- refresh -----------------------------------------------------------------------------------

async fn refresh(app: &TestApp, token: &str) -> crate::support::Answer {
    app.anyone.post("/api/v1/auth/refresh", json!({"refresh_token": token})).await
}

#[tokio::test]
async fn a_refresh_token_is_good_once_for_the_next_pair() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    app.advance(HOUR).await;
    let answer = refresh(&app, &ann.refresh_token).await.ok(200);
    assert_eq!(
        members(&answer),
        ["access_token", "expires_in", "refresh_token", "token_type", "user"]
    );
    assert_ne!(text(&answer["refresh_token"]), ann.refresh_token);
    app.person(&answer).get("/api/v1/users/me").await.ok(200);
}

#[tokio::test]
async fn a_spent_refresh_token_ends_its_whole_family_and_no_other() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let elsewhere = app.sign_in(ANN).await;
    let newer = app.person(&refresh(&app, &ann.refresh_token).await.ok(200));
    app.advance(30 * SECOND).await;
    refresh(&app, &ann.refresh_token).await.refused(401, "token_reused");
    newer.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    refresh(&app, &newer.refresh_token).await.refused(401, "unauthenticated");
    elsewhere.get("/api/v1/users/me").await.ok(200);
    refresh(&app, &elsewhere.refresh_token).await.ok(200);
    assert!(app.audited().await.contains(&"user.token_reused".to_owned()));
}

#[tokio::test]
async fn whoever_lost_the_answer_asks_again_and_gets_the_same_token() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    // Two windows of a browser that share a token ask at once.
    let (one, two) =
        tokio::join!(refresh(&app, &ann.refresh_token), refresh(&app, &ann.refresh_token));
    let (one, two) = (one.ok(200), two.ok(200));
    assert_eq!(one["refresh_token"], two["refresh_token"]);
    app.advance(29 * SECOND).await;
    // The process may have ended in between: the token is not remembered, it follows.
    let app = app.restart().await;
    let again = refresh(&app, &ann.refresh_token).await.ok(200);
    assert_eq!(again["refresh_token"], one["refresh_token"]);
    for pair in [one, two, again] {
        app.person(&pair).get("/api/v1/users/me").await.ok(200);
    }
    assert!(!app.audited().await.contains(&"user.token_reused".to_owned()));
}

#[tokio::test]
async fn once_the_new_token_was_used_the_old_one_is_a_theft() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let second = text(&refresh(&app, &ann.refresh_token).await.ok(200)["refresh_token"]);
    let third = text(&refresh(&app, &second).await.ok(200)["refresh_token"]);
    refresh(&app, &ann.refresh_token).await.refused(401, "token_reused");
    refresh(&app, &third).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn without_an_overlap_a_token_is_good_once() {
    let app = Setup::usual().set("AUTH_REFRESH_OVERLAP_S", "0").start().await;
    let ann = app.customer(ANN).await;
    let (one, two) =
        tokio::join!(refresh(&app, &ann.refresh_token), refresh(&app, &ann.refresh_token));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

/// Whoever signs in from a script without signing out does not fill the disk, nor lose the newest.
#[tokio::test]
async fn of_fifty_sign_ins_the_one_that_was_unused_longest_makes_room() {
    let app = TestApp::start().await;
    let first = app.customer(ANN).await;
    app.advance(SECOND).await;
    let second = app.sign_in(ANN).await;
    app.advance(SECOND).await;
    let first = app.person(&refresh(&app, &first.refresh_token).await.ok(200));
    for _ in 0..49 {
        app.advance(SECOND).await;
        app.sign_in(ANN).await;
    }
    second.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    let mine = first.get("/api/v1/auth/sessions").await.ok(200);
    assert_eq!(items(&mine).len(), 50);
}

#[tokio::test]
async fn a_sign_in_that_lay_unused_ends_sooner() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    app.advance(14 * DAY).await;
    refresh(&app, &ann.refresh_token).await.refused(401, "unauthenticated");
    let app = app.restart_with("AUTH_REFRESH_IDLE_DAYS", "30").await;
    let ann = app.sign_in(ANN).await;
    app.advance(29 * DAY).await;
    refresh(&app, &ann.refresh_token).await.ok(200);
}

#[tokio::test]
async fn a_sign_in_ends_after_thirty_days_at_the_latest() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let mut newer = ann;
    for _ in 0..3 {
        app.advance(9 * DAY).await;
        newer = app.person(&refresh(&app, &newer.refresh_token).await.ok(200));
    }
    app.advance(3 * DAY).await;
    refresh(&app, &newer.refresh_token).await.refused(401, "unauthenticated");
    refresh(&app, "never given").await.refused(401, "unauthenticated");
}

// ---- sign-out and sessions ---------------------------------------------------------------------

#[tokio::test]
async fn signing_out_ends_both_tokens_at_once() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let elsewhere = app.sign_in(ANN).await;
    ann.post_nothing("/api/v1/auth/logout").await.ok(200);
    ann.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    refresh(&app, &ann.refresh_token).await.refused(401, "unauthenticated");
    elsewhere.get("/api/v1/users/me").await.ok(200);
}

#[tokio::test]
async fn a_person_sees_every_sign_in_and_ends_any_of_them() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    app.advance(MINUTE).await;
    let elsewhere = app.sign_in(ANN).await;
    let page = ann.get("/api/v1/auth/sessions").await.ok(200);
    assert_eq!(members(&page), ["items", "next_cursor"]);
    let sessions = items(&page);
    assert_eq!(sessions.len(), 2);
    let members = members(&sessions[0]);
    assert_eq!(
        members,
        [
            "address",
            "created_at",
            "current",
            "expires_at",
            "last_used_at",
            "session_id",
            "user_agent"
        ]
    );
    assert_eq!((&sessions[0]["current"], &sessions[1]["current"]), (&json!(true), &json!(false)));
    assert_eq!(
        (&sessions[0]["address"], &sessions[0]["user_agent"]),
        (&json!("127.0.0.1"), &json!("coditect-tests/1"))
    );
    assert_eq!(sessions[1]["created_at"], later(MINUTE));

    ann.delete(&format!("/api/v1/auth/sessions/{}", text(&sessions[1]["session_id"])))
        .await
        .ok(200);
    elsewhere.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    ann.get("/api/v1/users/me").await.ok(200);
}

#[tokio::test]
async fn a_person_signs_out_everywhere() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let elsewhere = app.sign_in(ANN).await;
    ann.delete("/api/v1/auth/sessions").await.ok(200);
    for gone in [&ann, &elsewhere] {
        gone.get("/api/v1/users/me").await.refused(401, "unauthenticated");
        refresh(&app, &gone.refresh_token).await.refused(401, "unauthenticated");
    }
}

// ---- passwords ---------------------------------------------------------------------------------

async fn change_password(
    ann: &crate::support::Client,
    current: &str,
    new: &str,
) -> crate::support::Answer {
    let body = json!({"current_password": current, "new_password": new});
    ann.post("/api/v1/auth/change-password", body).await
}

#[tokio::test]
async fn changing_the_password_needs_the_old_one_and_ends_every_other_sign_in() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let elsewhere = app.sign_in(ANN).await;
    change_password(&ann, OTHER_PASSWORD, PASSWORD).await.refused(401, "invalid_credentials");
    change_password(&ann, PASSWORD, "password123").await.refused(400, "weak_password");
    elsewhere.get("/api/v1/users/me").await.ok(200);

    change_password(&ann, PASSWORD, OTHER_PASSWORD).await.ok(200);
    ann.get("/api/v1/users/me").await.ok(200);
    elsewhere.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    app.login(ANN, PASSWORD).await.refused(401, "invalid_credentials");
    app.login(ANN, OTHER_PASSWORD).await.ok(200);
    app.mail_to(ANN, "was changed").await;
    assert!(app.audited().await.contains(&"user.password_changed".to_owned()));
}

#[tokio::test]
async fn a_hash_of_lower_cost_is_made_anew_at_the_next_sign_in() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let app = app.restart_with("AUTH_PASSWORD_PASSES", "3").await;
    let hash = || {
        let email = Email::parse(ANN).unwrap();
        let ann = app.services.store.read(|tx| users::by_email(tx, &email)).unwrap().unwrap();
        ann.password_hash.unwrap()
    };
    app.login(ANN, OTHER_PASSWORD).await.refused(401, "invalid_credentials");
    assert!(hash().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash());
    // Two at once: each may be the first.
    let (one, two) = tokio::join!(app.login(ANN, PASSWORD), app.login(ANN, PASSWORD));
    one.ok(200);
    two.ok(200);
    assert!(hash().starts_with("$argon2id$v=19$m=19456,t=3,p=1$"), "{}", hash());
    let before = hash();
    app.login(ANN, PASSWORD).await.ok(200);
    assert_eq!(hash(), before);
    assert!(app.audited().await.contains(&"user.password_rehashed".to_owned()));
}

async fn forgot(app: &TestApp, email: &str) -> Value {
    app.anyone.post("/api/v1/auth/forgot-password", json!({"email": email})).await.ok(202)
}

async fn reset(app: &TestApp, token: &str, password: &str) -> crate::support::Answer {
    app.anyone
        .post("/api/v1/auth/reset-password", json!({"token": token, "password": password}))
        .await
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_from_a_mailed_link() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    assert_eq!(forgot(&app, ANN).await, forgot(&app, "nobody@example.com").await);
    assert_eq!(app.subjects_to("nobody@example.com").await, [""; 0]);
    let mail = app.mail_to(ANN, "Choose a new password").await;
    assert!(mail.text.contains(&format!("{PUBLIC_URL}/reset-password?token=")), "{}", mail.text);

    reset(&app, &mail.token(), "password123").await.refused(400, "weak_password");
    ann.get("/api/v1/users/me").await.ok(200);
    reset(&app, &mail.token(), OTHER_PASSWORD).await.ok(200);
    reset(&app, &mail.token(), PASSWORD).await.refused(400, "invalid_token");
    ann.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    refresh(&app, &ann.refresh_token).await.refused(401, "unauthenticated");
    app.login(ANN, PASSWORD).await.refused(401, "invalid_credentials");
    app.login(ANN, OTHER_PASSWORD).await.ok(200);
    app.mail_to(ANN, "was changed").await;
    assert!(app.audited().await.contains(&"user.password_reset".to_owned()));
}

#[tokio::test]
async fn the_password_that_one_has_is_no_new_one() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let problem = change_password(&ann, PASSWORD, PASSWORD).await.refused(400, "weak_password");
    assert_eq!(problem["title"], "Choose another password", "it may be a strong one");
    assert_eq!(problem["errors"][0]["field"], "password");
    assert!(text(&problem["detail"]).contains("has already"), "{problem}");
    forgot(&app, ANN).await;
    let token = app.mail_to(ANN, "Choose a new password").await.token();
    reset(&app, &token, PASSWORD).await.refused(400, "weak_password");
    // Nothing has happened, and the link still works.
    ann.get("/api/v1/users/me").await.ok(200);
    reset(&app, &token, OTHER_PASSWORD).await.ok(200);
}

/// Made by another system, of `password123`.
const OF_A_WEAK_ONE: &str =
    "pbkdf2_sha256$1000$l5bkUOQEL73x82KZSwM4B7$EIghAKxnQwZm6dR/TfXtBrOv+xdv+g2zPT6Hb2PvnZo=";

/// Whoever reads the mail alone could try weak passwords with a link, and nobody would count.
#[tokio::test]
async fn a_reset_link_tells_nobody_which_weak_password_there_is() {
    let app = TestApp::start().await;
    let ann = json!({
        "email": ANN, "full_name": "Ann", "password_hash": OF_A_WEAK_ONE, "email_verified": true
    });
    app.operator().await.post("/api/v1/admin/users", ann).await.ok(201);
    forgot(&app, ANN).await;
    let token = app.mail_to(ANN, "Choose a new password").await.token();
    let told = async |guess: &str| {
        text(&reset(&app, &token, guess).await.refused(400, "weak_password")["detail"])
    };
    assert_eq!(told("password123").await, told("password124").await);
    app.login(ANN, "password123").await.ok(200);
}

#[tokio::test]
async fn a_password_that_cannot_be_verified_any_more_is_replaced_from_a_mailed_link() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let damage = |tx: &mut coditect::store::WriteTx<'_>| {
        let mut user = users::by_email(tx, &Email::parse(ANN)?)?.unwrap();
        user.password_hash = Some("damaged$".to_owned());
        users::update(tx, &user)
    };
    app.services.store.write(damage).await.unwrap();
    forgot(&app, ANN).await;
    let token = app.mail_to(ANN, "Choose a new password").await.token();
    reset(&app, &token, OTHER_PASSWORD).await.ok(200);
    app.login(ANN, OTHER_PASSWORD).await.ok(200);
}

/// An old mail in somebody's hands would be a way to try passwords.
#[tokio::test]
async fn a_reset_link_that_was_outlived_tells_nobody_what_the_password_is() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    forgot(&app, ANN).await;
    let token = app.mail_to(ANN, "Choose a new password").await.token();
    app.advance(SECOND).await;
    change_password(&ann, PASSWORD, OTHER_PASSWORD).await.ok(200);
    for guess in [PASSWORD, OTHER_PASSWORD] {
        reset(&app, &token, guess).await.refused(400, "invalid_token");
    }
}

#[tokio::test]
async fn a_reset_link_works_for_an_hour_and_for_nothing_else() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    forgot(&app, ANN).await;
    let token = app.mail_to(ANN, "Choose a new password").await.token();
    app.anyone
        .post("/api/v1/auth/verify-email", json!({"token": token}))
        .await
        .refused(400, "invalid_token");
    app.advance(HOUR).await;
    reset(&app, &token, OTHER_PASSWORD).await.refused(400, "invalid_token");
    app.login(ANN, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn a_reset_link_ends_when_the_password_is_changed_without_it() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    forgot(&app, ANN).await;
    let token = app.mail_to(ANN, "Choose a new password").await.token();
    app.advance(Duration::from_secs(1)).await;
    let change = json!({"current_password": PASSWORD, "new_password": OTHER_PASSWORD});
    ann.post("/api/v1/auth/change-password", change).await.ok(200);
    reset(&app, &token, PASSWORD).await.refused(400, "invalid_token");
    app.login(ANN, OTHER_PASSWORD).await.ok(200);
}

#[tokio::test]
async fn a_change_of_the_password_never_undoes_a_reset_that_came_in_between() {
    let app = TestApp::start().await;
    for round in 0..5 {
        let email = format!("ann{round}@example.com");
        let thief = app.customer(&email).await;
        forgot(&app, &email).await;
        let token = app.mail_to(&email, "Choose a new password").await.token();
        let change = json!({"current_password": PASSWORD, "new_password": "the-thief-has-it-now"});
        let (changed, was_reset) = tokio::join!(
            thief.post("/api/v1/auth/change-password", change),
            reset(&app, &token, OTHER_PASSWORD)
        );
        assert!(changed.status == 200 || was_reset.status == 200);
        if was_reset.status == 200 {
            app.login(&email, OTHER_PASSWORD).await.ok(200);
        }
    }
}

#[tokio::test]
async fn the_e_mail_log_keeps_no_link_that_still_opens_something() {
    let app = TestApp::start().await;
    app.register(ANN).await.ok(201);
    let token = app.mail_to(ANN, "Confirm").await.token();
    let log = app.operator().await.get("/api/v1/admin/emails").await.ok(200);
    assert!(!log.to_string().contains(&token));
}

// ---- profile and deactivation ------------------------------------------------------------------

#[tokio::test]
async fn a_person_changes_the_profile_and_nothing_else() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let user = ann.patch("/api/v1/users/me", json!({"full_name": "  Ann W. "})).await.ok(200);
    assert_eq!((&user["full_name"], &user["company_name"]), (&json!("Ann W."), &json!("Loom Ltd")));
    let user = ann.patch("/api/v1/users/me", json!({"company_name": ""})).await.ok(200);
    assert_eq!((&user["full_name"], &user["company_name"]), (&json!("Ann W."), &Value::Null));
    for (name, value) in [
        ("email", json!("b@example.com")),
        ("operator", json!(true)),
        ("email_verified", json!(true)),
    ] {
        ann.patch("/api/v1/users/me", json!({name: value})).await.refused_field(name);
    }
    ann.patch("/api/v1/users/me", json!({"full_name": "  "})).await.refused_field("full_name");
    assert_eq!(ann.get("/api/v1/users/me").await.ok(200)["full_name"], "Ann W.");
}

#[tokio::test]
async fn a_closed_account_signs_in_no_more_while_its_licences_live_on() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let body = json!({"email": ANN, "max_concurrent_seats": 1});
    let license = app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201);
    ann.post_nothing("/api/v1/users/me/deactivate").await.ok(200);
    ann.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    refresh(&app, &ann.refresh_token).await.refused(401, "unauthenticated");
    app.login(ANN, PASSWORD).await.refused(401, "invalid_credentials");
    forgot(&app, ANN).await;
    assert!(!app.subjects_to(ANN).await.iter().any(|subject| subject.contains("new password")));
    app.register(ANN).await.refused(409, "email_taken");
    app.acquire(&license, "hw-1").await.ok(201);
    assert!(app.audited().await.contains(&"user.deactivated".to_owned()));
    // Somebody else may have done that.
    let mail = app.mail_to(ANN, "is closed").await;
    assert!(mail.text.contains("by somebody who was signed in to it"), "{}", mail.text);
}

#[tokio::test]
async fn an_address_that_was_never_confirmed_is_told_of_no_closed_account() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let email = Email::parse(ANN).unwrap();
    let unconfirmed = move |tx: &mut WriteTx<'_>| {
        let mut user = users::by_email(tx, &email)?.unwrap();
        user.email_verified = false;
        users::update(tx, &user)
    };
    app.services.store.write(unconfirmed).await.unwrap();
    ann.post_nothing("/api/v1/users/me/deactivate").await.ok(200);
    assert!(!app.subjects_to(ANN).await.iter().any(|subject| subject.contains("is closed")));
}

#[tokio::test]
async fn the_only_operator_cannot_leave() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    operator.post_nothing("/api/v1/users/me/deactivate").await.refused(409, "last_operator");
    operator.get("/api/v1/users/me").await.ok(200);
}

// ---- what is told of it ------------------------------------------------------------------------

#[tokio::test]
async fn whoever_confirms_the_address_is_welcomed_once() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    let welcomes = async || {
        let subjects = app.subjects_to(ANN).await;
        subjects.iter().filter(|subject| subject.starts_with("Welcome")).count()
    };
    assert_eq!(welcomes().await, 1);
    app.anyone.post("/api/v1/auth/resend-verification", json!({"email": ANN})).await.ok(202);
    assert_eq!(welcomes().await, 1);
    assert!(app.mail_to(ANN, "Welcome").await.text.contains(ANN));
}

#[tokio::test]
async fn a_sign_in_with_another_program_is_told_of_and_the_usual_one_is_not() {
    let app = TestApp::start().await;
    app.customer(ANN).await;
    app.sign_in(ANN).await;
    let sign_in = async |program: &str| {
        let login = json!({"email": ANN, "password": PASSWORD});
        let request = app.anyone.request(reqwest::Method::POST, "/api/v1/auth/login");
        app.anyone.send(request.header("user-agent", program).json(&login)).await.ok(200);
    };
    let told = async || {
        let subjects = app.subjects_to(ANN).await;
        subjects.iter().filter(|subject| subject.starts_with("A new sign-in")).count()
    };
    assert_eq!(told().await, 0);
    sign_in("Firefox/145.0").await;
    assert_eq!(told().await, 1);
    sign_in("Firefox/146.0.1").await;
    assert_eq!(told().await, 1, "an update");
    let mail = app.mail_to(ANN, "A new sign-in").await;
    assert!(
        mail.text.contains("127.0.0.1") && mail.text.contains("Firefox/145.0"),
        "{}",
        mail.text
    );
}
