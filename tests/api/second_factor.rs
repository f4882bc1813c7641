//! `/users/me/totp`: a second factor, from the QR code to its end, and who must have one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use coditect::config::DataDir;
use coditect::domain::ids::{JobId, OrgId, UserId};
use coditect::domain::job::{Job, Work};
use coditect::domain::organisation::{Membership, Role};
use coditect::domain::time::Timestamp;
use coditect::domain::user::Email;
use coditect::services::Actor;
use coditect::services::orgs::OrgChange;
use coditect::store::{self, WriteTx, jobs, orgs, users};
use reqwest::Method;
use serde_json::{Value, json};

use crate::passkeys::{self, Device};
use crate::support::{
    Answer, Client, DAY, HOUR, MINUTE, OPERATOR, PASSWORD, PUBLIC_URL, Person, START, Setup,
    TestApp, items, later, members, text,
};

const ANN: &str = "ann@example.com";
const TOTP: &str = "/api/v1/users/me/totp";
const STEP: Duration = Duration::from_secs(30);

/// An authenticator app.
pub struct Phone(Vec<u8>);

impl Phone {
    /// Reads what the page shows.
    fn with(secret: &Value) -> Self {
        let value = |c: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
        let bits: Vec<usize> = text(secret)
            .chars()
            .flat_map(|c| (0..5).rev().map(move |bit| value(c) >> bit & 1))
            .collect();
        Self(
            bits.chunks(8)
                .map(|byte| byte.iter().fold(0, |all, bit| all << 1 | *bit as u8))
                .collect(),
        )
    }

    /// What it shows now.
    pub fn code(&self, app: &TestApp) -> String {
        self.code_in(app, 0)
    }

    /// What it shows so many steps later, or has shown.
    fn code_in(&self, app: &TestApp, steps: i64) -> String {
        let step = app.clock.now().wall.unix_seconds() / 30 + steps;
        let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let mac = sign(&key, &step.to_be_bytes());
        let at = usize::from(mac.as_ref()[19] & 15);
        let bits = u32::from_be_bytes(mac.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", bits % 1_000_000)
    }

    /// What it does not show, now or shortly before or after.
    pub fn wrong(&self, app: &TestApp) -> String {
        let right: Vec<String> = (-2..=2).map(|steps| self.code_in(app, steps)).collect();
        let codes = (0..).map(|n: u32| format!("{n:06}"));
        codes.into_iter().find(|code| !right.contains(code)).unwrap()
    }
}

/// Somebody with a second factor, half a minute after it was switched on.
pub struct Enrolled {
    pub person: Person,
    pub phone: Phone,
    recovery: Vec<String>,
}

async fn begin(client: &Client) -> Value {
    client.post(TOTP, json!({"password": PASSWORD})).await.ok(200)
}

pub async fn enrol(app: &TestApp, person: Person) -> Enrolled {
    let phone = Phone::with(&begin(&person).await["secret"]);
    let code = json!({"totp": phone.code(app)});
    let told = person.post(&format!("{TOTP}/confirm"), code).await.ok(200);
    app.advance(STEP).await;
    let recovery = told["recovery_codes"].as_array().unwrap().iter().map(text).collect();
    Enrolled { person, phone, recovery }
}

async fn ann(app: &TestApp) -> Enrolled {
    let person = app.customer(ANN).await;
    enrol(app, person).await
}

pub async fn login(app: &TestApp, email: &str, code: &str) -> Answer {
    let body = json!({"email": email, "password": PASSWORD, "totp": code});
    app.anyone.post("/api/v1/auth/login", body).await
}

async fn standing(person: &Client) -> Value {
    person.get(TOTP).await.ok(200)
}

async fn switch_off(person: &Client, password: &str, code: &str) -> Answer {
    person.with_body(Method::DELETE, TOTP, &json!({"password": password, "totp": code})).await
}

// ---- setting it up ------------------------------------------------------------------------------

#[tokio::test]
async fn it_is_set_up_with_the_password_a_qr_code_and_a_first_code() {
    let app = TestApp::start().await;
    let person = app.customer(ANN).await;
    let off =
        json!({"enabled_at": null, "app": false, "recovery_codes_left": 0, "required": false});
    assert_eq!(standing(&person).await, off);
    let wrong = json!({"password": "not the password"});
    person.post(TOTP, wrong).await.refused(401, "invalid_credentials");

    let shown = begin(&person).await;
    assert_eq!(members(&shown), ["otpauth_uri", "qr_svg", "secret"]);
    let secret = text(&shown["secret"]);
    assert_eq!(secret.len(), 32, "160 bits");
    assert_eq!(
        shown["otpauth_uri"],
        format!(
            "otpauth://totp/CODITECT:ann%40example.com?secret={secret}&issuer=CODITECT&algorithm=SHA1&digits=6&period=30"
        )
    );
    assert!(text(&shown["qr_svg"]).starts_with("<svg "));
    let phone = Phone::with(&shown["secret"]);

    // Until a code shows that the app has it, sign-in asks for none.
    app.login(ANN, PASSWORD).await.ok(200);
    assert_eq!(standing(&person).await, off);
    let confirm = format!("{TOTP}/confirm");
    person.post(&confirm, json!({"totp": phone.wrong(&app)})).await.refused(401, "invalid_totp");
    let told = person.post(&confirm, json!({"totp": phone.code(&app)})).await.ok(200);
    let codes = items_of(&told);
    assert_eq!(codes.len(), 10);
    assert!(
        codes.iter().all(|code| code.len() == 19 && code.matches('-').count() == 3),
        "{codes:?}"
    );
    let on =
        json!({"enabled_at": START, "app": true, "recovery_codes_left": 10, "required": false});
    assert_eq!(standing(&person).await, on);
    assert_eq!(person.get("/api/v1/users/me").await.ok(200)["second_factor_since"], START);
    app.mail_to(ANN, "is on").await;
    let audited: Vec<String> = app.audited().await;
    for action in ["second_factor.begun", "second_factor.enabled"] {
        assert!(audited.contains(&action.to_owned()), "{action} in {audited:?}");
    }
}

fn items_of(told: &Value) -> Vec<String> {
    told["recovery_codes"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn from_then_on_the_password_alone_is_not_enough() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    app.login(ANN, PASSWORD).await.refused(401, "mfa_required");
    login(&app, ANN, "  ").await.refused(401, "mfa_required");
    login(&app, ANN, &ann.phone.wrong(&app)).await.refused(401, "invalid_totp");
    let code = ann.phone.code(&app);
    login(&app, ANN, &format!(" {} {}", &code[..3], &code[3..])).await.ok(200);
}

/// Who does not know the password does not learn whether there is a second factor.
#[tokio::test]
async fn a_wrong_password_answers_as_ever() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    app.customer("bob@example.com").await;
    let mut answers = Vec::new();
    for email in [ANN, "bob@example.com", "nobody@example.com"] {
        for code in [Value::Null, json!(ann.phone.code(&app))] {
            let body = json!({"email": email, "password": "not the password", "totp": code});
            let answer = app.anyone.post("/api/v1/auth/login", body).await;
            answers.push(answer.refused(401, "invalid_credentials"));
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // A code that came with a wrong password is not used up.
    login(&app, ANN, &ann.phone.code(&app)).await.ok(200);
}

#[tokio::test]
async fn a_secret_that_nobody_confirms_lapses_and_one_that_is_on_stays() {
    let app = TestApp::start().await;
    let person = app.customer(ANN).await;
    let confirm = format!("{TOTP}/confirm");
    let any = json!({"totp": "123456"});
    person.post(&confirm, any).await.refused(409, "second_factor_state");
    let first = Phone::with(&begin(&person).await["secret"]);
    let second = Phone::with(&begin(&person).await["secret"]);
    person.post(&confirm, json!({"totp": first.code(&app)})).await.refused(401, "invalid_totp");
    app.advance(HOUR).await;
    let person = app.sign_in(ANN).await;
    let late = json!({"totp": second.code(&app)});
    person.post(&confirm, late).await.refused(409, "second_factor_state");
    let ann = enrol(&app, person).await;
    let again = json!({"password": PASSWORD});
    ann.person.post(TOTP, again).await.refused(409, "second_factor_state");
    let again = json!({"totp": ann.phone.code(&app)});
    ann.person.post(&confirm, again).await.refused(409, "second_factor_state");
}

#[tokio::test]
async fn switching_it_on_ends_the_sign_ins_that_were_made_without_it() {
    let app = TestApp::start().await;
    let elsewhere = app.customer(ANN).await;
    let here = app.sign_in(ANN).await;
    let ann = enrol(&app, here).await;
    elsewhere.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    ann.person.get("/api/v1/users/me").await.ok(200);
}

#[tokio::test]
async fn secrets_outlive_a_change_of_the_master_key() {
    let app = TestApp::start().await;
    let mut ann = ann(&app).await;
    // Bob has begun, and confirms afterwards.
    let bob = app.customer("bob@example.com").await;
    let begun = Phone::with(&begin(&bob).await["secret"]);
    let data = DataDir::of(&app.services.config);
    let replaced = app.services.replace_master_key(&data, None).await.unwrap();
    assert_eq!(replaced.secrets, 3 + 2, "three signing keys, two phones");
    let before = fs::read(replaced.kept.unwrap()).unwrap();
    assert_ne!(before, fs::read(data.master_key()).unwrap());
    let app = app.restart().await;
    login(&app, ANN, &ann.phone.code(&app)).await.ok(200);
    let bob = app.sign_in("bob@example.com").await;
    let confirm = format!("{TOTP}/confirm");
    bob.post(&confirm, json!({"totp": begun.code(&app)})).await.ok(200);
    // Cut off before the new key was in its place: the next start puts it there.
    fs::rename(data.master_key(), data.next_master_key()).unwrap();
    fs::write(data.master_key(), before).unwrap();
    let app = app.restart().await;
    app.advance(MINUTE).await;
    ann.person = app.person(&login(&app, ANN, &ann.phone.code(&app)).await.ok(200));
    assert!(!data.next_master_key().exists());
    // Cut off a moment later: the new key is in its place, and stands beside it still.
    fs::copy(data.master_key(), data.next_master_key()).unwrap();
    let app = app.restart().await;
    assert!(!data.next_master_key().exists());
    assert!(app.audited().await.contains(&"key.master_replaced".to_owned()));
}

#[tokio::test]
async fn a_sign_in_goes_on_by_its_refresh_tokens_without_another_code() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let mut tokens = login(&app, ANN, &ann.phone.code(&app)).await.ok(200);
    for _ in 0..3 {
        app.advance(HOUR).await;
        let body = json!({"refresh_token": tokens["refresh_token"]});
        tokens = app.anyone.post("/api/v1/auth/refresh", body).await.ok(200);
    }
}

// ---- codes --------------------------------------------------------------------------------------

#[tokio::test]
async fn a_clock_may_be_half_a_minute_off_and_no_more() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    app.advance(10 * STEP).await;
    for steps in [-2, 2] {
        login(&app, ANN, &ann.phone.code_in(&app, steps)).await.refused(401, "invalid_totp");
    }
    for steps in [-1, 0, 1] {
        login(&app, ANN, &ann.phone.code_in(&app, steps)).await.ok(200);
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_none_before_it_any_more() {
    let app = TestApp::start().await;
    let person = app.customer(ANN).await;
    let phone = Phone::with(&begin(&person).await["secret"]);
    let first = phone.code(&app);
    person.post(&format!("{TOTP}/confirm"), json!({"totp": first})).await.ok(200);
    // Somebody saw it while it was typed.
    let told = login(&app, ANN, &first).await.refused(401, "invalid_totp");
    assert!(text(&told["detail"]).contains("used already"), "{told}");
    app.advance(2 * STEP).await;
    let (earlier, now) = (phone.code_in(&app, -1), phone.code(&app));
    login(&app, ANN, &now).await.ok(200);
    login(&app, ANN, &now).await.refused(401, "invalid_totp");
    login(&app, ANN, &earlier).await.refused(401, "invalid_totp");
    // Neither a restart nor its last second brings it back.
    let app = app.restart_after(Duration::from_secs(29)).await;
    login(&app, ANN, &now).await.refused(401, "invalid_totp");
}

#[tokio::test]
async fn of_many_that_bring_the_same_code_at_once_one_gets_in() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let code = ann.phone.code(&app);
    let tries = (0..4).map(|_| login(&app, ANN, &code));
    let answers = futures_util::future::join_all(tries).await;
    let within = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(within, 1);
}

#[tokio::test]
async fn six_digits_cannot_be_guessed() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    for _ in 0..5 {
        login(&app, ANN, &ann.phone.wrong(&app)).await.refused(401, "invalid_totp");
    }
    // From now on one a minute, be it right or wrong, from wherever and after a restart.
    let app = app.restart().await;
    let held = login(&app, ANN, &ann.phone.code(&app)).await;
    assert_eq!(held.retry_after(), 60);
    assert!(held.header("ratelimit-policy").starts_with("\"second_factor\";q=5"));
    held.refused(429, "rate_limited");
    // The right password wins nothing back.
    app.login(ANN, PASSWORD).await.refused(401, "mfa_required");
    login(&app, ANN, &ann.recovery[0]).await.refused(429, "rate_limited");
    app.advance(MINUTE).await;
    login(&app, ANN, &ann.phone.wrong(&app)).await.refused(401, "invalid_totp");
    login(&app, ANN, &ann.phone.code(&app)).await.refused(429, "rate_limited");
    app.advance(MINUTE).await;
    login(&app, ANN, &ann.phone.code(&app)).await.ok(200);
    // Whoever tries knows the password: its owner is told, once a day.
    let warned = |subjects: &[String]| {
        subjects.iter().filter(|subject| subject.contains("knows your password")).count()
    };
    assert_eq!(warned(&app.subjects_to(ANN).await), 1);
    let audit = app.audit().await;
    let refused: Vec<_> =
        audit.iter().filter(|it| it["action"] == "second_factor.refused").collect();
    assert_eq!(refused.len(), 6);
    assert_eq!(
        (&refused[0]["actor"], &refused[0]["subject"]),
        (&json!("anonymous"), &ann.person.user["user_id"])
    );
    app.advance(DAY).await;
    for _ in 0..5 {
        login(&app, ANN, &ann.phone.wrong(&app)).await.refused(401, "invalid_totp");
    }
    assert_eq!(warned(&app.subjects_to(ANN).await), 2);
}

// ---- recovery codes -----------------------------------------------------------------------------

#[tokio::test]
async fn a_recovery_code_takes_the_place_of_the_app_once() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    login(&app, ANN, &ann.recovery[3]).await.ok(200);
    login(&app, ANN, &ann.recovery[3]).await.refused(401, "invalid_totp");
    login(&app, ANN, &ann.recovery[4].to_lowercase().replace('-', " ")).await.ok(200);
    login(&app, ANN, "7K2M-9QXT-4HVD-R3WN").await.refused(401, "invalid_totp");
    assert_eq!(standing(&ann.person).await["recovery_codes_left"], 8);
    let told = app.mail_to(ANN, "recovery code").await;
    assert!(told.text.contains("8 are left") || told.text.contains("9 are left"), "{}", told.text);
    let audit = app.audit().await;
    let used = audit.iter().filter(|it| it["action"] == "second_factor.recovery_code_used");
    // Those of one instant are in any order.
    let mut left: Vec<String> = used.map(|entry| text(&entry["details"]["left"])).collect();
    left.sort();
    assert_eq!(left, ["8", "9"]);
}

#[tokio::test]
async fn new_recovery_codes_take_a_code_and_end_the_old_ones() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let path = format!("{TOTP}/recovery-codes");
    let ask = |password: &str, code: &str| json!({"password": password, "totp": code});
    let code = ann.phone.code(&app);
    ann.person.post(&path, ask("wrong", &code)).await.refused(401, "invalid_credentials");
    let wrong = ann.phone.wrong(&app);
    ann.person.post(&path, ask(PASSWORD, &wrong)).await.refused(401, "invalid_totp");
    let told = ann.person.post(&path, ask(PASSWORD, &code)).await.ok(200);
    assert_eq!(items_of(&told).len(), 10);
    login(&app, ANN, &ann.recovery[0]).await.refused(401, "invalid_totp");
    login(&app, ANN, &items_of(&told)[0]).await.ok(200);
    app.mail_to(ANN, "New recovery codes").await;
    // The last one may ask for new ones as well.
    let last = ask(PASSWORD, &items_of(&told)[1]);
    ann.person.post(&path, last).await.ok(200);
    assert_eq!(standing(&ann.person).await["recovery_codes_left"], 10);
}

// ---- switching it off ---------------------------------------------------------------------------

#[tokio::test]
async fn it_is_switched_off_with_the_password_and_a_code() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let code = ann.phone.code(&app);
    switch_off(&ann.person, "wrong", &code).await.refused(401, "invalid_credentials");
    let wrong = ann.phone.wrong(&app);
    switch_off(&ann.person, PASSWORD, &wrong).await.refused(401, "invalid_totp");
    switch_off(&ann.person, PASSWORD, &code).await.ok(200);
    switch_off(&ann.person, PASSWORD, &code).await.refused(409, "second_factor_state");
    app.login(ANN, PASSWORD).await.ok(200);
    app.mail_to(ANN, "is off").await;
    assert!(app.audited().await.contains(&"second_factor.disabled".to_owned()));
    // Set up anew, the app of before and its recovery codes open nothing.
    let again = enrol(&app, ann.person).await;
    login(&app, ANN, &ann.recovery[0]).await.refused(401, "invalid_totp");
    switch_off(&again.person, PASSWORD, &again.recovery[0]).await.ok(200);
}

#[tokio::test]
async fn a_new_password_by_mail_does_not_switch_it_off() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    app.anyone.post("/api/v1/auth/forgot-password", json!({"email": ANN})).await.ok(202);
    let token = app.mail_to(ANN, "password").await.token();
    let other = "nine loud magpies at dawn";
    let body = json!({"token": token, "password": other});
    app.anyone.post("/api/v1/auth/reset-password", body).await.ok(200);
    app.login(ANN, other).await.refused(401, "mfa_required");
    let body = json!({"email": ANN, "password": other, "totp": ann.phone.code(&app)});
    app.anyone.post("/api/v1/auth/login", body).await.ok(200);
}

#[tokio::test]
async fn beside_it_a_password_may_be_short_and_without_it_a_short_one_is_none() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let short = "9f3kQ-zz8!x";
    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        let person = ann.person.clone();
        async move { person.post("/api/v1/auth/change-password", body).await }
    };
    change(PASSWORD, "9f3kQ-z").await.refused(400, "weak_password");
    change(PASSWORD, short).await.ok(200);
    let body = json!({"password": short, "totp": ann.phone.code(&app)});
    let problem = ann.person.with_body(Method::DELETE, TOTP, &body).await;
    let problem = problem.refused(400, "weak_password");
    assert!(text(&problem["detail"]).contains("at least 15 characters"), "{problem}");
    // The code was not spent on that, and a longer password lets it be switched off.
    change(short, PASSWORD).await.ok(200);
    let body = json!({"password": PASSWORD, "totp": ann.phone.code(&app)});
    ann.person.with_body(Method::DELETE, TOTP, &body).await.ok(200);
    change(PASSWORD, short).await.refused(400, "weak_password");
}

#[tokio::test]
async fn when_an_operator_switches_it_off_a_short_password_ends_with_it() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let short = "9f3kQ-zz8!x";
    let body = json!({"current_password": PASSWORD, "new_password": short});
    ann.person.post("/api/v1/auth/change-password", body).await.ok(200);
    let id = text(&ann.person.user["user_id"]);
    let path = format!("/api/v1/admin/users/{id}/remove-second-factor");
    app.operator().await.post_nothing(&path).await.ok(200);
    app.login(ANN, short).await.refused(401, "invalid_credentials");
    let token = app.mail_to(ANN, "Choose a new password").await.token();
    let reset = |password: &str| {
        let body = json!({"token": token, "password": password});
        app.anyone.post("/api/v1/auth/reset-password", body)
    };
    reset(short).await.refused(400, "weak_password");
    reset(PASSWORD).await.ok(200);
    app.login(ANN, PASSWORD).await.ok(200);
}

#[tokio::test]
async fn an_operator_switches_it_off_for_whoever_lost_the_phone() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let id = text(&ann.person.user["user_id"]);
    let path = format!("/api/v1/admin/users/{id}/remove-second-factor");
    ann.person.post_nothing(&path).await.refused(403, "forbidden");
    let operator = app.operator().await;
    let shown = operator.get(&format!("/api/v1/admin/users/{id}")).await.ok(200);
    assert_eq!(shown["second_factor_since"], START);
    let removed = operator.post_nothing(&path).await.ok(200);
    assert_eq!(removed["second_factor_since"], Value::Null);
    operator.post_nothing(&path).await.ok(200);
    app.login(ANN, PASSWORD).await.ok(200);
    let told = app.mail_to(ANN, "is off").await;
    assert!(told.text.contains("an operator switched"), "{}", told.text);
    let audit = app.audit().await;
    let entry = audit.iter().find(|it| it["action"] == "second_factor.removed").unwrap();
    assert_eq!((&entry["subject"], &entry["actor_email"]), (&json!(id), &json!(OPERATOR)));
}

#[tokio::test]
async fn an_operators_own_takes_a_code_and_no_key_removes_one() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let key = operator.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let program = app.anyone.with_bearer(&text(&key["secret"]));
    let boss = app.operator().await;
    let own = format!("/api/v1/admin/users/{}/remove-second-factor", text(&boss.user["user_id"]));
    boss.post_nothing(&own).await.refused(403, "forbidden");
    program.post_nothing(&own).await.refused(403, "forbidden");

    let ann = ann(&app).await;
    let hers = format!("/api/v1/admin/users/{}", text(&ann.person.user["user_id"]));
    rights(&boss, &hers, true).await;
    let remove = format!("{hers}/remove-second-factor");
    program.post_nothing(&remove).await.refused(403, "forbidden");
    app.login(ANN, PASSWORD).await.refused(401, "mfa_required");
    rights(&boss, &hers, false).await;
    program.post_nothing(&remove).await.ok(200);
}

async fn rights(boss: &Client, path: &str, operator: bool) {
    let body = json!({"operator": operator});
    boss.with_body(Method::PUT, &format!("{path}/operator"), &body).await.ok(200);
}

// ---- who must have one --------------------------------------------------------------------------

#[tokio::test]
async fn operators_can_be_required_to_have_one() {
    let app = TestApp::start().await;
    let before = app.operator().await;
    let key = before.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let app = app.restart_with("AUTH_OPERATORS_NEED_SECOND_FACTOR", "true").await;
    let program = app.anyone.with_bearer(&text(&key["secret"]));
    program.get("/api/v1/admin/overview").await.ok(200);

    // Who has none signs in, sets it up, and does nothing else.
    let operator = app.operator().await;
    for path in ["/api/v1/admin/overview", "/api/v1/licenses", "/api/v1/orgs", "/api/v1/api-keys"] {
        operator.get(path).await.refused(403, "mfa_enrolment_required");
    }
    let key = json!({"name": "a way around"});
    operator.post("/api/v1/api-keys", key).await.refused(403, "mfa_enrolment_required");
    operator.get("/api/v1/users/me").await.ok(200);
    assert_eq!(standing(&operator).await["required"], true);
    let operator = enrol(&app, operator).await;
    operator.person.get("/api/v1/admin/overview").await.ok(200);

    // Customers are not concerned.
    let customer = app.customer(ANN).await;
    customer.get("/api/v1/licenses").await.ok(200);
    assert_eq!(standing(&customer).await["required"], false);

    // Without it again: back to setting it up.
    let code = operator.phone.code(&app);
    switch_off(&operator.person, PASSWORD, &code).await.ok(200);
    operator.person.get("/api/v1/orgs").await.refused(403, "mfa_enrolment_required");
    operator.person.post_nothing("/api/v1/auth/logout").await.ok(200);
}

#[tokio::test]
async fn an_organisation_can_require_one_of_its_members() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let bob = app.customer("bob@example.com").await;
    let org_id = ann.user["org_id"].clone();
    let org = format!("/api/v1/orgs/{}", text(&org_id));
    let invite = json!({"email": "bob@example.com", "role": "admin"});
    ann.post(&format!("{org}/invitations"), invite).await.ok(201);
    let token = app.mail_to("bob@example.com", "Join").await.token();
    bob.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
    let key = bob.in_org(&org_id).post("/api/v1/api-keys", json!({"name": "build"})).await.ok(201);
    let program = app.anyone.with_bearer(&text(&key["secret"]));

    // Nobody asks of others what they do not have.
    let require = json!({"require_second_factor": true});
    ann.patch(&org, require.clone()).await.refused(403, "mfa_enrolment_required");
    let ann = enrol(&app, ann).await;
    let changed = ann.person.patch(&org, require).await.ok(200);
    assert_eq!(
        (&changed["require_second_factor"], &changed["name"]),
        (&json!(true), &json!("Loom Ltd"))
    );
    assert!(app.audited().await.contains(&"org.second_factor_required".to_owned()));
    ann.person.get("/api/v1/licenses").await.ok(200);

    // Who would be locked out shows before, to those who may require it alone.
    let all = ann.person.get(&format!("{org}/members")).await.ok(200);
    let mut having: Vec<_> = items(&all).iter().map(|it| it["second_factor"].clone()).collect();
    having.sort_by_key(Value::to_string);
    assert_eq!(having, [json!(false), json!(true)]);

    // Bob sees that he is a member, and does nothing there.
    assert_eq!(standing(&bob).await["required"], true);
    let mine = bob.get("/api/v1/orgs").await.ok(200);
    assert!(items(&mine).iter().any(|it| it["require_second_factor"] == true));
    for path in [&org, &format!("{org}/members"), &format!("{org}/invitations")] {
        bob.get(path).await.refused(403, "mfa_enrolment_required");
    }
    bob.in_org(&org_id).get("/api/v1/licenses").await.refused(403, "mfa_enrolment_required");
    let off = json!({"require_second_factor": false});
    bob.patch(&org, off.clone()).await.refused(403, "mfa_enrolment_required");
    // For himself he does; and what runs by itself goes on, without a say in this.
    bob.get("/api/v1/licenses").await.ok(200);
    program.get("/api/v1/licenses").await.ok(200);
    program.patch(&org, off.clone()).await.refused(403, "forbidden");
    // A stranger learns nothing.
    let cleo = app.customer("cleo@example.com").await;
    cleo.get(&org).await.refused(404, "not_found");

    let bob = enrol(&app, bob).await;
    bob.person.get(&org).await.ok(200);
    bob.person.in_org(&org_id).get("/api/v1/licenses").await.ok(200);
    bob.person.patch(&org, off).await.ok(200);
}

/// Otherwise they learn of it when they are refused.
#[tokio::test]
async fn members_who_have_none_are_told_when_their_organisation_asks_for_one() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let org_id: OrgId = text(&ann.person.user["org_id"]).parse().unwrap();
    let org = format!("/api/v1/orgs/{org_id}");
    // More than are told at once, and some who are not.
    let others: Vec<String> = (0..120).map(|n| format!("m{n}@example.com")).collect();
    let some = others.clone();
    let email = Email::parse(ANN).unwrap();
    let template = app.services.store.read(|tx| users::by_email(tx, &email)).unwrap().unwrap();
    let make = move |tx: &mut WriteTx<'_>| {
        for (n, email) in some.iter().enumerate() {
            let mut user = template.clone();
            user.user_id = UserId(uuid::Uuid::from_u128(1_000 + n as u128));
            user.email = Email::parse(email).unwrap();
            user.second_factor_since = None;
            user.email_verified = n != 1;
            user.deactivated_at = (n == 2).then_some(user.created_at);
            users::insert(tx, &user)?;
            let (user_id, joined_at) = (user.user_id, user.created_at);
            orgs::put_membership(
                tx,
                &Membership { org_id, user_id, role: Role::Member, joined_at },
            )?;
        }
        Ok(())
    };
    app.services.store.write(make).await.unwrap();
    let told = async || {
        let mut mails = app.mails().await;
        mails.retain(|mail| mail.subject.contains("asks you for a second factor"));
        mails.into_iter().map(|mail| mail.to).collect::<Vec<_>>()
    };

    ann.person.patch(&org, json!({"require_second_factor": true})).await.ok(200);
    ann.person.patch(&org, json!({"require_second_factor": true, "name": "Loom"})).await.ok(200);
    let mail = app.mail_to(&others[119], "Loom asks you for a second factor").await;
    assert!(mail.text.contains(&format!("{PUBLIC_URL}/admin#/account")), "{}", mail.text);
    let mut once = told().await;
    once.sort();
    let mut expected = others.clone();
    // Ann has one, the address of another was never confirmed, and one account is closed.
    expected.drain(1..3);
    expected.sort();
    assert_eq!(once, expected);

    // Whoever takes it back and asks again tells nobody what they know, before another day.
    for required in [false, true, false, true] {
        ann.person.patch(&org, json!({"require_second_factor": required})).await.ok(200);
    }
    assert_eq!(told().await.len(), 118);
    app.advance(DAY).await;
    // At the word of whoever runs the server as well.
    for required in [false, true] {
        let change = OrgChange { name: None, require_second_factor: Some(required) };
        app.services.change_org(&Actor::of_the_computer(), org_id, change).await.unwrap();
    }
    assert_eq!(told().await.len(), 2 * 118);
}

/// Many are told in parts, between which their organisation may think better of it.
#[tokio::test]
async fn nobody_is_told_any_more_once_it_is_taken_back_and_what_is_refused_counts_for_nothing() {
    let app = Setup::usual().set("AUTH_LINKS_PER_HOUR", "3").start().await;
    let ann = app.customer(ANN).await;
    let bob = app.customer("bob@example.com").await;
    let org_id: OrgId = text(&ann.user["org_id"]).parse().unwrap();
    let org = format!("/api/v1/orgs/{org_id}");
    let invite = json!({"email": "bob@example.com", "role": "member"});
    ann.post(&format!("{org}/invitations"), invite).await.ok(201);
    let token = app.mail_to("bob@example.com", "Join").await.token();
    bob.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
    let on = json!({"require_second_factor": true});
    let off = json!({"require_second_factor": false});
    for _ in 0..5 {
        ann.patch(&org, on.clone()).await.refused(403, "mfa_enrolment_required");
    }
    let ann = enrol(&app, ann).await.person;

    let told = async || {
        let subjects = app.subjects_to("bob@example.com").await;
        subjects.iter().filter(|it| it.contains("a second factor")).count()
    };
    let since = || {
        let org = app.services.store.read(|tx| store::org(tx, org_id).organisation()).unwrap();
        org.second_factor_since
    };
    // The part that comes next.
    let part = async |since: Timestamp| {
        let now = app.clock.now().wall;
        let work = Work::TellOfSecondFactor { org_id, since, after: None };
        let (job_id, due) = (JobId(uuid::Uuid::from_u128(7)), now.plus_days(9));
        let job = Job { job_id, work, due, attempts: 0, last_error: None, created_at: now };
        let planned = job.clone();
        app.services.store.write(move |tx| jobs::put(tx, &planned)).await.unwrap();
        app.services.tell_of_second_factor_due(&job, org_id, since, None).await.unwrap();
    };
    ann.patch(&org, on.clone()).await.ok(200);
    assert_eq!(told().await, 1);
    let first = since().unwrap();
    part(first).await;
    assert_eq!(told().await, 2);
    // Another time of asking has its own.
    part(first + -1).await;
    assert_eq!(told().await, 2);
    ann.patch(&org, off.clone()).await.ok(200);
    part(first + -1).await;
    assert_eq!(since(), Some(first));
    part(first).await;
    assert_eq!(told().await, 2);
    // Those who were not told yet are, when it is asked for again.
    ann.patch(&org, on.clone()).await.ok(200);
    assert_eq!(told().await, 3);

    // That does not go on without end.
    for another in [true, false] {
        ann.patch(&org, off.clone()).await.ok(200);
        part(since().unwrap()).await;
        let again = ann.patch(&org, on.clone()).await;
        if another {
            again.ok(200);
            app.settle().await;
        } else {
            assert_eq!(again.header("ratelimit-policy"), r#""organisation_mails";q=3;w=3600"#);
            let detail = text(&again.refused(429, "rate_limited")["detail"]);
            assert!(detail.contains("were asked for a second factor too often; wait"), "{detail}");
        }
    }
}

#[tokio::test]
async fn whoever_wants_none_may_leave() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let bob = app.customer("bob@example.com").await;
    let org = format!("/api/v1/orgs/{}", text(&ann.person.user["org_id"]));
    let invite = json!({"email": "bob@example.com", "role": "member"});
    ann.person.post(&format!("{org}/invitations"), invite).await.ok(201);
    ann.person.patch(&org, json!({"require_second_factor": true})).await.ok(200);
    let token = app.mail_to("bob@example.com", "Join").await.token();
    bob.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
    bob.get(&org).await.refused(403, "mfa_enrolment_required");
    ann.person.patch(&org, json!({"require_second_factor": false})).await.ok(200);
    let seen = bob.get(&format!("{org}/members")).await.ok(200);
    assert!(items(&seen).iter().all(|it| it["second_factor"] == Value::Null), "{seen}");
    ann.person.patch(&org, json!({"require_second_factor": true})).await.ok(200);
    bob.delete(&format!("{org}/members/{}", text(&bob.user["user_id"]))).await.ok(200);
    bob.get(&org).await.refused(404, "not_found");
}

#[tokio::test]
async fn programs_have_no_second_factor() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let key = ann.person.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let program = app.anyone.with_bearer(&text(&key["secret"]));
    program.get("/api/v1/licenses").await.ok(200);
    program.get(TOTP).await.refused(403, "forbidden");
    program.post(TOTP, json!({"password": PASSWORD})).await.refused(403, "forbidden");
    switch_off(&program, PASSWORD, &ann.phone.code(&app)).await.refused(403, "forbidden");
}

// ---- what is kept -------------------------------------------------------------------------------

/// Whoever steals the database, a backup, the logs or the mail can make no code.
#[tokio::test]
async fn the_secret_and_the_recovery_codes_are_nowhere_to_be_read() {
    let app = TestApp::start().await;
    let person = app.customer(ANN).await;
    let shown = begin(&person).await;
    let phone = Phone::with(&shown["secret"]);
    let told = person.post(&format!("{TOTP}/confirm"), json!({"totp": phone.code(&app)})).await;
    let codes = items_of(&told.ok(200));
    app.operator().await.post_nothing("/api/v1/admin/backups").await.ok(201);
    app.settle().await;
    let base32 = text(&shown["secret"]);
    let numbers = phone.0.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    let mut needles = vec![base32.into_bytes(), phone.0.clone(), numbers.into_bytes()];
    for code in codes {
        needles.push(code.replace('-', "").into_bytes());
        needles.push(code.into_bytes());
    }
    let mut looked = 0;
    let mut folders = vec![app.data()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                looked += 1;
                for needle in &needles {
                    let there = memchr::memmem::find(&bytes, needle).is_some();
                    assert!(
                        !there,
                        "{} holds {:?}",
                        path.display(),
                        String::from_utf8_lossy(needle)
                    );
                }
            }
        }
    }
    assert!(looked >= 3, "the database, a backup and mails: {looked}");
}

#[tokio::test]
async fn the_state_says_since_when() {
    let app = TestApp::start().await;
    app.advance(MINUTE).await;
    let ann = ann(&app).await;
    assert_eq!(standing(&ann.person).await["enabled_at"], later(MINUTE));
}

// ---- beside passkeys ----------------------------------------------------------------------------

#[tokio::test]
async fn an_app_comes_to_a_passkey_and_goes_again() {
    let app = TestApp::start().await;
    let ann = app.customer(ANN).await;
    let added = passkeys::add(&ann, &mut Device::new("key"), "Key").await.ok(201);
    let old: Vec<String> = added["recovery_codes"].as_array().unwrap().iter().map(text).collect();
    let phone = Phone::with(&begin(&ann).await["secret"]);
    // Until it is confirmed, and after a wrong code, all is as it was.
    login(&app, ANN, &phone.code(&app)).await.refused(401, "invalid_totp");
    let confirm = format!("{TOTP}/confirm");
    let wrong = json!({"totp": phone.wrong(&app)});
    ann.post(&confirm, wrong).await.refused(401, "invalid_totp");
    ann.post(&confirm, json!({"totp": old[1]})).await.refused(401, "invalid_totp");
    login(&app, ANN, &phone.code(&app)).await.refused(401, "invalid_totp");
    app.advance(5 * MINUTE).await;
    login(&app, ANN, &old[0]).await.ok(200);
    assert_eq!(standing(&ann).await["app"], false);

    let told = ann.post(&confirm, json!({"totp": phone.code(&app)})).await.ok(200);
    let codes = told["recovery_codes"].as_array().unwrap();
    app.advance(STEP).await;
    login(&app, ANN, &phone.code(&app)).await.ok(200);
    login(&app, ANN, &old[2]).await.refused(401, "invalid_totp");
    ann.post(TOTP, json!({"password": PASSWORD})).await.refused(409, "second_factor_state");

    app.advance(STEP).await;
    switch_off(&ann, PASSWORD, &phone.code(&app)).await.ok(200);
    app.mail_to(ANN, "app for").await;
    app.login(ANN, PASSWORD).await.refused(401, "mfa_required");
    app.advance(STEP).await;
    login(&app, ANN, &phone.code(&app)).await.refused(401, "invalid_totp");
    login(&app, ANN, &text(&codes[0])).await.ok(200);
    switch_off(&ann, PASSWORD, &text(&codes[1])).await.refused(409, "second_factor_state");
    // And comes back, as another.
    let phone = Phone::with(&begin(&ann).await["secret"]);
    ann.post(&confirm, json!({"totp": phone.code(&app)})).await.ok(200);
}

#[tokio::test]
async fn a_passkey_comes_to_an_app_and_stays_when_that_goes() {
    let app = TestApp::start().await;
    let ann = ann(&app).await;
    let mut key = Device::new("key");
    let added = passkeys::add(&ann.person, &mut key, "Key").await.ok(201);
    assert_eq!(added["recovery_codes"], Value::Null, "there are some");
    login(&app, ANN, &ann.recovery[0]).await.ok(200);
    switch_off(&ann.person, PASSWORD, &ann.phone.code(&app)).await.ok(200);
    assert_eq!(standing(&ann.person).await["enabled_at"], START);
    app.login(ANN, PASSWORD).await.refused(401, "mfa_required");
}

// ---- an app of others ---------------------------------------------------------------------------

/// `pyotp` reads the address in the QR code as authenticator apps do, and makes the code.
#[tokio::test]
#[ignore = "needs python packages: run by .ci/run"]
async fn an_authenticator_app_of_others_enrols_from_the_uri() {
    let app = TestApp::start().await;
    let person = app.customer(ANN).await;
    let uri = text(&begin(&person).await["otpauth_uri"]);
    let code = pyotp(&uri, app.clock.now().wall.unix_seconds());
    person.post(&format!("{TOTP}/confirm"), json!({"totp": code})).await.ok(200);
    app.advance(STEP).await;
    let code = pyotp(&uri, app.clock.now().wall.unix_seconds());
    login(&app, ANN, &code).await.ok(200);
}

fn pyotp(uri: &str, unix_seconds: i64) -> String {
    let program = "import sys\n\
        import pyotp\n\
        otp = pyotp.parse_uri(sys.argv[1])\n\
        assert (otp.name, otp.issuer) == ('ann@example.com', 'CODITECT'), (otp.name, otp.issuer)\n\
        print(otp.at(int(sys.argv[2])))";
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python"))
        .args(["-c", program, uri, &unix_seconds.to_string()])
        .output()
        .expect("no .venv/bin/python: run `python3 -m venv .venv && .venv/bin/pip install pyotp`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
