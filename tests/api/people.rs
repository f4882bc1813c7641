//! `/admin/users`: what operators do to accounts.

use coditect::domain::audit::AuditFilter;
use coditect::domain::email_domain::Domain;
use coditect::domain::error::Code;
use coditect::domain::ids::{OrgId, UserId};
use coditect::domain::organisation::Role;
use coditect::domain::page::PageRequest;
use coditect::domain::payment::PaymentKind;
use coditect::domain::subscription::Interval;
use coditect::domain::user::Email;
use coditect::services::Actor;
use coditect::services::accounts::NewProfile;
use coditect::services::billing::ChangeInput;
use coditect::services::licenses::{IssueInput, LicenseAct};
use coditect::services::people::UserAct;
use coditect::services::plans::PlanChange;
use coditect::services::subscriptions::PaymentInput;
use coditect::store::users;
use reqwest::Method;
use serde_json::{Value, json};

use crate::orgs::Company;
use crate::passkeys::{self, Device};
use crate::support::{Answer, Client, HOUR, OPERATOR, PASSWORD, Setup, TestApp, text};

#[tokio::test]
async fn a_closed_account_cannot_sign_in_until_it_is_opened_again() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let operator = app.operator().await;
    let path = format!("/api/v1/admin/users/{}", text(&ann.user["user_id"]));
    let closed = operator.post_nothing(&format!("{path}/deactivate")).await.ok(200);
    assert!(closed["deactivated_at"].is_string());
    ann.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    app.login("ann@example.com", crate::support::PASSWORD)
        .await
        .refused(401, "invalid_credentials");
    operator.post_nothing(&format!("{path}/reactivate")).await.ok(200);
    app.sign_in("ann@example.com").await;
    assert_eq!(operator.get(&path).await.ok(200)["email"], "ann@example.com");
    let told = app.audited().await;
    for action in ["user.deactivated", "user.reactivated"] {
        assert!(told.contains(&action.to_owned()), "{told:?}");
    }
}

/// Operators see whose an organisation is, whoever it was made for, and which ones are somebody's.
#[tokio::test]
async fn the_list_of_organisations_says_who_owns_them() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.customer("ann@example.com").await, app.customer("bob@example.com").await);
    let spin = ann.post("/api/v1/orgs", json!({"name": "Spin Ltd"})).await.ok(201);
    let operator = app.operator().await;
    let list = operator.get("/api/v1/admin/orgs?q=spin").await.list();
    let owner = json!({
        "user_id": ann.user["user_id"], "email": "ann@example.com", "full_name": ann.user["full_name"]
    });
    assert_eq!(list[0]["owner"], owner);
    let one = format!("/api/v1/admin/orgs/{}", text(&spin["org_id"]));
    assert_eq!(operator.get(&one).await.ok(200)["owner"], owner);

    let list_of = async |query: &str| {
        let list = operator.get(&format!("/api/v1/admin/orgs?owner_id={query}")).await.list();
        list.iter().map(|org| org["org_id"].clone()).collect::<Vec<_>>()
    };
    let anns = text(&ann.user["user_id"]);
    assert_eq!(list_of(&anns).await, [&ann.user["org_id"], &spin["org_id"]].map(Clone::clone));
    assert_eq!(list_of(&format!("{anns}&q=sp")).await, [spin["org_id"].clone()]);
    let first = operator.get(&format!("/api/v1/admin/orgs?owner_id={anns}&limit=1")).await.ok(200);
    assert_eq!(first["items"].as_array().map(Vec::len), Some(1));
    let rest = format!("{anns}&limit=1&cursor={}", text(&first["next_cursor"]));
    assert_eq!(list_of(&rest).await, [spin["org_id"].clone()]);
    assert_eq!(list_of(&text(&bob.user["user_id"])).await, [bob.user["org_id"].clone()]);
    let nobody = "/api/v1/admin/orgs?owner_id=0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b";
    operator.get(nobody).await.refused(404, "not_found");
    operator.get("/api/v1/admin/orgs?owner_id=ann").await.refused(400, "validation_failed");
    ann.get(&format!("/api/v1/admin/orgs?owner_id={anns}")).await.refused(403, "forbidden");
}

#[tokio::test]
async fn an_operator_ends_every_sign_in_of_a_person_and_no_program() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let elsewhere = app.sign_in("ann@example.com").await;
    let made = ann.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let program = ann.with_bearer(&text(&made["secret"]));
    let path = format!("/api/v1/admin/users/{}/sign-out", text(&ann.user["user_id"]));
    ann.post_nothing(&path).await.refused(403, "forbidden");
    app.operator().await.post_nothing(&path).await.ok(200);
    for person in [&ann, &elsewhere] {
        person.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    }
    program.get("/api/v1/users/me").await.ok(200);
    app.sign_in("ann@example.com").await;
    // A key that leaked keeps no operator from revoking it.
    let operator = app.operator().await;
    let key = json!({"name": "script"});
    let key = operator.post("/api/v1/api-keys", key).await.ok(201);
    let by_key = operator.with_bearer(&text(&key["secret"]));
    let me = format!("/api/v1/admin/users/{}/sign-out", text(&operator.user["user_id"]));
    by_key.post_nothing(&me).await.refused(403, "forbidden");
    by_key.post_nothing(&path).await.ok(200);
    assert!(app.audited().await.contains(&"user.signed_out_by_operator".to_owned()));
}

#[tokio::test]
async fn whoever_did_not_register_gets_an_account_and_chooses_the_password() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let nora =
        json!({"email": "Nora@example.com", "full_name": "Nora New", "company_name": "New Ltd"});
    let made = operator.post("/api/v1/admin/users", nora.clone()).await.ok(201);
    assert_eq!(
        (&made["email"], &made["email_verified"]),
        (&json!("nora@example.com"), &json!(false))
    );
    operator.post("/api/v1/admin/users", nora).await.refused(409, "email_taken");
    operator
        .post("/api/v1/admin/users", json!({"email": "x", "full_name": "X"}))
        .await
        .refused_field("email");
    let license = json!({"email": "nora@example.com", "max_concurrent_seats": 2});
    operator.post("/api/v1/admin/licenses", license).await.ok(201);
    // Nobody knows a password yet, not even an empty one.
    app.login("nora@example.com", PASSWORD).await.refused(401, "invalid_credentials");
    app.login("nora@example.com", "").await.refused(401, "invalid_credentials");

    let mail = app.mail_to("nora@example.com", "Your account").await;
    let token = mail.token();
    // The link outlives that of a forgotten password, for who reads mail tomorrow.
    app.advance(24 * HOUR).await;
    let body = json!({"token": token, "password": PASSWORD});
    app.anyone.post("/api/v1/auth/reset-password", body).await.ok(200);
    // There was none that could have been changed.
    let told = app.mail_to("nora@example.com", "has a password now").await;
    assert!(told.text.contains("it had none before"), "{}", told.text);
    let nora = app.sign_in("nora@example.com").await;
    assert_eq!(nora.get("/api/v1/licenses").await.list().len(), 1);
    nora.post("/api/v1/admin/users", json!({"email": "a@example.com", "full_name": "A"}))
        .await
        .refused(403, "forbidden");
    let audited = app.audited().await;
    assert!(["user.created", "user.password_set"].iter().all(|it| audited.contains(&(*it).into())));
    assert!(!audited.contains(&"user.password_reset".to_owned()), "{audited:?}");
}

// ---- a mistyped address -------------------------------------------------------------------------

async fn correct(person: &Client, user: &Value, email: &str) -> Answer {
    let path = format!("/api/v1/admin/users/{}/email", text(&user["user_id"]));
    person.with_body(Method::PUT, &path, &json!({"email": email})).await
}

/// Whoever had the old address may have been a stranger: nothing that they put there stays.
#[tokio::test]
async fn a_mistyped_address_is_corrected_and_the_account_goes_to_whoever_reads_the_right_one() {
    let app = TestApp::start().await;
    let (wrong, right) = ("ann@exmaple.com", "ann@example.com");
    let ann = app.customer(wrong).await;
    let key = ann.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let program = app.anyone.with_bearer(&text(&key["secret"]));
    app.anyone.post("/api/v1/auth/forgot-password", json!({"email": wrong})).await.ok(202);
    let old_link = app.mail_to(wrong, "Choose a new password").await.token();

    let operator = app.operator().await;
    let changed = correct(&operator, &ann.user, "Ann@Example.com").await.ok(200);
    assert_eq!(
        (&changed["email"], &changed["email_verified"], &changed["has_password"]),
        (&json!(right), &json!(false), &json!(false))
    );
    ann.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    program.get("/api/v1/licenses").await.refused(401, "unauthenticated");
    let reset = async |token: String, password: &str| {
        let body = json!({"token": token, "password": password});
        app.anyone.post("/api/v1/auth/reset-password", body).await
    };
    reset(old_link, "nine loud magpies at dawn").await.refused(400, "invalid_token");
    for email in [wrong, right] {
        app.login(email, PASSWORD).await.refused(401, "invalid_credentials");
    }
    // A stranger who reads the old one learns neither whose it is nor where it went.
    let told = app.mail_to(wrong, "was replaced").await;
    assert!(!told.text.contains(right) && !told.text.contains("Ann"), "{}", told.text);

    let link = app.mail_to(right, "Confirm your new address").await.token();
    reset(link, PASSWORD).await.ok(200);
    let seen = app.services.store.read(|tx| users::by_email(tx, &Email::parse(right)?)).unwrap();
    assert_eq!(seen.unwrap().familiar, [], "where the other one signed in");
    let ann = app.sign_in(right).await;
    assert_eq!(ann.user["email_verified"], true);
    assert_eq!(ann.user["org_id"], changed["org_id"]);
    let path = format!("/api/v1/admin/audit?subject={}", text(&changed["user_id"]));
    let history = operator.get(&path).await.list();
    let entry = history.iter().find(|it| it["action"] == "user.address_corrected").unwrap();
    assert_eq!(entry["changes"]["email"], json!({"before": wrong, "after": right}));
    assert_eq!(entry["actor_email"], OPERATOR);
}

#[tokio::test]
async fn an_address_is_no_way_into_an_account_for_whoever_may_not_go_there() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let bob = app.customer("bob@example.com").await;
    let operator = app.operator().await;
    correct(&ann, &ann.user, "new@example.com").await.refused(403, "forbidden");
    correct(&operator, &ann.user, "bob@example.com").await.refused(409, "email_taken");
    correct(&operator, &ann.user, "no address").await.refused_field("email");
    // Nothing is mailed to the address that it has already, and nothing ends.
    let same = correct(&operator, &ann.user, "Ann@Example.com").await.refused_field("email");
    assert!(text(&same["detail"]).contains("Forgotten password"), "{same}");
    ann.get("/api/v1/users/me").await.ok(200);
    // A key that leaked would take over whom it liked.
    let key = operator.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
    let by_key = operator.with_bearer(&text(&key["secret"]));
    correct(&by_key, &ann.user, "new@example.com").await.refused(403, "forbidden");
    // Nor does an operator become another one, or somebody else in the audit log.
    correct(&operator, &operator.user, "new@example.com").await.refused(403, "forbidden");
    let id: UserId = text(&operator.user["user_id"]).parse().unwrap();
    let here = Actor::of_the_computer();
    let moved = app.services.correct_address(&here, id, "boss@example.com").await.unwrap();
    assert!(moved.operator && !moved.email_verified);
    // Whose account is closed gets no other.
    let ann_id: UserId = text(&ann.user["user_id"]).parse().unwrap();
    let bob_id: UserId = text(&bob.user["user_id"]).parse().unwrap();
    app.services.act_on_user(&here, bob_id, UserAct::Deactivate).await.unwrap();
    for email in ["new@example.com", "bob@example.com"] {
        let closed = app.services.correct_address(&here, bob_id, email).await.unwrap_err();
        assert_eq!(closed.code, Code::AccountDeactivated);
    }
    // Whoever has a second factor has it for this.
    passkeys::add(&ann, &mut Device::new("key"), "Key").await.ok(201);
    for email in ["new@example.com", "ann@example.com"] {
        let kept = app.services.correct_address(&here, ann_id, email).await.unwrap_err();
        assert_eq!(kept.code, Code::SecondFactorState);
    }
}

#[tokio::test]
async fn a_link_to_the_wrong_address_confirms_the_right_one_never() {
    let app = TestApp::start().await;
    let ann = app.register("ann@exmaple.com").await.ok(201);
    let old = app.mail_to("ann@exmaple.com", "Confirm").await.token();
    let operator = app.operator().await;
    correct(&operator, &ann, "ann@example.com").await.ok(200);
    let followed = app.anyone.post("/api/v1/auth/verify-email", json!({"token": old})).await;
    followed.refused(400, "invalid_token");
}

#[tokio::test]
async fn what_the_wrong_address_was_invited_to_nobody_joins_by_it() {
    let company = Company::new().await;
    let app = &company.app;
    let (wrong, other) = ("bob@exmaple.com", "eve@example.com");
    let bob = app.customer(wrong).await;
    for email in [wrong, other] {
        company.invite(email, "admin").await.ok(201);
    }
    let token = company.token(wrong).await;
    let operator = app.operator().await;
    correct(&operator, &bob.user, "bob@example.com").await.ok(200);
    let newcomer = json!({"token": token, "full_name": "A Stranger", "password": PASSWORD});
    let accepted = app.anyone.post("/api/v1/invitations/accept", newcomer).await;
    accepted.refused(400, "invalid_token");
    let open = company.ann.get(&company.path("/invitations")).await.list();
    assert_eq!(open.iter().map(|it| text(&it["email"])).collect::<Vec<_>>(), [other]);
    let audit = app.audit().await;
    let entry = audit.iter().find(|it| it["action"] == "invitation.revoked").unwrap();
    assert_eq!(
        (&entry["org_id"], &entry["actor_email"]),
        (&company.org_id, &json!(OPERATOR)),
        "{entry}"
    );
}

// ---- from another system ------------------------------------------------------------------------

/// Made by Django 5.2, all of [`PASSWORD`].
const OF_DJANGO: [(&str, &str); 3] = [
    (
        "pbkdf2",
        "pbkdf2_sha256$1000000$l5bkUOQEL73x82KZSwM4B7$cUN1GnlYCBPTb5teMuXLe9Bex31n4MODvqSwXjRHiYY=",
    ),
    ("bcrypt", "bcrypt_sha256$$2b$10$PwPt1AOup.cFilX2aHLbk./T/yZw2M0a3b5XX3iKTVczay5V51D.6"),
    (
        "argon2",
        "argon2$argon2id$v=19$m=102400,t=2,p=8$RHVoQWVya0J1OUJZZkVNYlJCYlU5cQ$0Ju7laQGSs7mISrbjY76YmR/NBDaOv4tzazPxUmfiZY",
    ),
];

#[tokio::test]
async fn people_of_another_system_keep_their_passwords() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    for (name, hash) in OF_DJANGO {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "full_name": name, "password_hash": hash, "email_verified": true});
        let made = operator.post("/api/v1/admin/users", body).await.ok(201);
        assert_eq!(made["email_verified"], true);
        app.login(&email, "nine loud magpies at dawn").await.refused(401, "invalid_credentials");
        app.login(&email, PASSWORD).await.ok(200);
        // From now on it is one of this server's own.
        let email = Email::parse(&email).unwrap();
        let user = app.services.store.read(|tx| users::by_email(tx, &email)).unwrap().unwrap();
        assert!(user.password_hash.unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        app.login(email.as_str(), PASSWORD).await.ok(200);
        assert_eq!(app.subjects_to(email.as_str()).await, [""; 0], "nothing is asked of them");
    }
    let told = operator.get("/api/v1/admin/audit").await.text;
    for (_, hash) in OF_DJANGO {
        assert!(!told.contains(hash), "{told}");
    }
}

#[tokio::test]
async fn an_address_that_nobody_verified_is_verified_here_and_odd_hashes_are_refused() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let (_, hash) = OF_DJANGO[0];
    let make = |body: Value| operator.post("/api/v1/admin/users", body);
    let nora = json!({"email": "nora@example.com", "full_name": "Nora"});
    let with = |name: &str, value: Value| {
        let mut body = nora.clone();
        body[name] = value;
        body
    };
    for odd in ["", "secret", "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99", "$2b$31$x"] {
        make(with("password_hash", json!(odd))).await.refused_field("password_hash");
    }
    make(with("email_verified", json!(true))).await.refused_field("email_verified");
    make(with("password_hash", json!(hash))).await.ok(201);
    app.login("nora@example.com", PASSWORD).await.refused(403, "email_unverified");
    let token = app.mail_to("nora@example.com", "Confirm").await.token();
    app.anyone.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok(200);
    app.login("nora@example.com", PASSWORD).await.ok(200);
}

#[tokio::test]
async fn operators_make_operators_and_the_last_one_stays() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let operator = app.sign_in(OPERATOR).await;
    let of = |id: &str| format!("/api/v1/admin/users/{id}/operator");
    let me = of(&text(&operator.user["user_id"]));
    let put = |path: &str, yes: bool| {
        let body = json!({ "operator": yes });
        let (operator, path) = (&operator, path.to_owned());
        async move { operator.with_body(reqwest::Method::PUT, &path, &body).await }
    };
    put(&me, false).await.refused(409, "last_operator");
    let deactivate = me.replace("/operator", "/deactivate");
    operator.post_nothing(&deactivate).await.refused(409, "last_operator");
    ann.get("/api/v1/admin/overview").await.refused(403, "forbidden");
    put(&of(&text(&ann.user["user_id"])), true).await.ok(200);
    // What was begun as somebody ordinary is no operator's.
    ann.get("/api/v1/admin/overview").await.refused(401, "unauthenticated");
    let ann = app.sign_in("ann@example.com").await;
    ann.get("/api/v1/admin/overview").await.ok(200);
    put(&me, false).await.ok(200);
    operator.get("/api/v1/admin/overview").await.refused(403, "forbidden");
}

#[tokio::test]
async fn neither_a_program_nor_an_unconfirmed_address_makes_an_operator() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let unconfirmed = app.register("eve@example.com").await.ok(201);
    let operator = app.sign_in(OPERATOR).await;
    let key = operator.post("/api/v1/api-keys", json!({"name": "ops"})).await.ok(201);
    let program = operator.with_bearer(&text(&key["secret"]));
    let path = |user: &serde_json::Value| {
        format!("/api/v1/admin/users/{}/operator", text(&user["user_id"]))
    };
    let yes = json!({"operator": true});
    let put = reqwest::Method::PUT;
    let answer = program.with_body(put.clone(), &path(&ann.user), &yes).await;
    answer.refused(403, "forbidden");
    let answer = operator.with_body(put, &path(&unconfirmed), &yes).await;
    answer.refused(403, "email_unverified");
}

/// One that leaked could leave nobody who revokes it.
#[tokio::test]
async fn a_program_takes_no_operators_rights() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let operator = app.operator().await;
    let key = operator.post("/api/v1/api-keys", json!({"name": "ops"})).await.ok(201);
    let program = operator.with_bearer(&text(&key["secret"]));
    let path = format!("/api/v1/admin/users/{}", text(&ann.user["user_id"]));
    let rights = async |who: &Client, yes: bool| {
        let body = json!({"operator": yes});
        who.with_body(Method::PUT, &format!("{path}/operator"), &body).await
    };
    rights(&operator, true).await.ok(200);
    rights(&program, false).await.refused(403, "forbidden");
    program.post_nothing(&format!("{path}/deactivate")).await.refused(403, "forbidden");
    rights(&operator, false).await.ok(200);
    program.post_nothing(&format!("{path}/deactivate")).await.ok(200);
}

#[tokio::test]
async fn whoever_is_no_operator_by_then_does_nothing_as_one() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.customer("ann@example.com").await, app.customer("bob@example.com").await);
    let id = |of: &Value| text(&of["user_id"]).parse::<UserId>().unwrap();
    let (ann, bob) = (id(&ann.user), id(&bob.user));
    let (services, here) = (&app.services, Actor::of_the_computer());
    let free = |email: &str| IssueInput {
        org_id: None,
        email: Some(email.to_owned()),
        plan_id: None,
        max_concurrent_seats: Some(5),
        max_activations: None,
        expiry_date: None,
        features: None,
    };
    let paid = |plan| PaymentInput {
        subscription_id: None,
        org_id: services.store.read(|tx| users::get(tx, bob)).ok().map(|bob| bob.personal_org),
        plan_id: Some(plan),
        interval: Interval::Month,
        amount_cents: None,
        currency: None,
        periods: 1,
        reference: String::new(),
        kind: PaymentKind::Payment,
        due_days: None,
    };
    let license = services.issue_license(&here, free("bob@example.com")).await.unwrap().license_id;
    let plan = text(&app.plan("Team", 5).await["plan_id"]).parse().unwrap();
    let sold = services.record_payment(&here, paid(plan)).await.unwrap();
    let sold = sold.subscription.subscription_id;
    let change = ChangeInput { plan_id: None, interval: None, quantity: Some(2) };
    let backup = services.make_backup(&here).await.unwrap().file;
    let attempts = async |waiting: &Actor| {
        let grant = UserAct::Operator(true);
        let person = NewProfile {
            email: "new@example.com".to_owned(),
            full_name: "New".to_owned(),
            company_name: None,
        };
        [
            services.correct_address(waiting, bob, "eve@example.com").await,
            services.act_on_user(waiting, bob, grant).await,
            services.act_on_user(waiting, bob, UserAct::Deactivate).await,
            services.remove_second_factor(waiting, bob).await,
            services.create_account(waiting, person, None).await,
        ]
        .map(|answer| answer.unwrap_err().code)
    };
    let sales = async |waiting: &Actor| {
        [
            services.issue_license(waiting, free("ann@example.com")).await.map(drop),
            services.act_on_license(waiting, license, LicenseAct::Resize(99)).await.map(drop),
            services.resend_license(waiting, license).await,
            services.update_plan(waiting, plan, PlanChange::default()).await.map(drop),
            services.archive_plan(waiting, plan, false).await.map(drop),
            services.record_payment(waiting, paid(plan)).await.map(drop),
            services.rotate_license_key(waiting).await.map(drop),
            services.change_plan(waiting, sold, change).await.map(drop),
            services.restore_backup(waiting, &backup, &backup).await,
        ]
        .map(|answer| answer.unwrap_err().code)
    };
    services.act_on_user(&here, ann, UserAct::Operator(true)).await.unwrap();
    let person = app.sign_in("ann@example.com").await;
    let waiting = app.waiting(&person).await;
    services.act_on_user(&here, ann, UserAct::Operator(false)).await.unwrap();
    assert_eq!(attempts(&waiting).await, [Code::Forbidden; 5]);
    assert_eq!(sales(&waiting).await, [Code::Forbidden; 9]);
    services.act_on_user(&here, ann, UserAct::Operator(true)).await.unwrap();
    assert_eq!(attempts(&waiting).await, [Code::Unauthenticated; 5], "that sign-in has ended");
    assert_eq!(sales(&waiting).await, [Code::Unauthenticated; 9]);
    let person = app.sign_in("ann@example.com").await;
    let again = app.waiting(&person).await;
    services.act_on_user(&again, bob, UserAct::SignOut).await.unwrap();
}

/// A thief's request that waits in line leaves nothing that stays when the thief is thrown out.
#[tokio::test]
async fn nothing_lasting_is_given_to_whoever_was_signed_out_meanwhile() {
    let company = Company::new().await;
    let (app, services) = (&company.app, &company.app.services);
    let org_id: OrgId = text(&company.org_id).parse().unwrap();
    let bob = app.customer("bob@example.com").await;
    company.invite("bob@example.com", "admin").await.ok(201);
    let token = company.token("bob@example.com").await;
    let (ann, bob) = (app.waiting(&company.ann).await, app.waiting(&bob).await);
    for actor in [&ann, &bob] {
        let (here, end) = (Actor::of_the_computer(), UserAct::SignOut);
        services.act_on_user(&here, actor.user_id, end).await.unwrap();
    }
    let domain = || Domain::parse("loom.example").unwrap();
    let attempts = [
        services.invite(&ann, org_id, "eve@example.com", Role::Admin).await.map(drop),
        services.create_provisioning_token(&ann, org_id, "directory", None).await.map(drop),
        services.set_auto_join(&ann, org_id, domain(), None).await.map(drop),
        services.confirm_totp(&ann, "123456").await.map(drop),
        services.accept_invitation(Some(&bob), &bob.caller, &token, None).await.map(drop),
    ];
    assert_eq!(attempts.map(|answer| answer.unwrap_err().code), [Code::Unauthenticated; 5]);
}

#[tokio::test]
async fn whoever_has_a_confirmed_address_is_told_what_operators_do_to_the_account() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let operator = app.operator().await;
    let path = format!("/api/v1/admin/users/{}", text(&ann.user["user_id"]));
    let rights = async |yes: bool| {
        let body = json!({"operator": yes});
        operator.with_body(Method::PUT, &format!("{path}/operator"), &body).await.ok(200);
    };
    let act = async |what: &str| operator.post_nothing(&format!("{path}/{what}")).await.ok(200);
    let told = async |subject: &str, says: &str| {
        let mail = app.mail_to("ann@example.com", subject).await;
        let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(says), "{text}");
    };
    rights(true).await;
    told("You are an operator of", "you see and change everything on it").await;
    rights(true).await;
    rights(false).await;
    told("You are no operator of", "Your account stays as it is").await;
    let _there = app.sign_in("ann@example.com").await;
    act("sign-out").await;
    act("sign-out").await;
    told("You were signed out of", "an operator ended every sign-in").await;
    act("deactivate").await;
    told("is closed", "was closed, by an operator.").await;
    act("reactivate").await;
    told("is open again", "an operator opened your account").await;
    let subjects = app.subjects_to("ann@example.com").await;
    for once in ["You are an operator", "You were signed out"] {
        let told = subjects.iter().filter(|one| one.contains(once)).count();
        assert_eq!(told, 1, "nothing changed the second time: {subjects:?}");
    }

    let quiet = app.register("eve@example.com").await.ok(201);
    let path = format!("/api/v1/admin/users/{}", text(&quiet["user_id"]));
    operator.post_nothing(&format!("{path}/deactivate")).await.ok(200);
    let subjects = app.subjects_to("eve@example.com").await;
    assert!(!subjects.iter().any(|one| one.contains("closed")), "it may be a stranger's");
}

#[tokio::test]
async fn an_operators_rights_end_with_the_account() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let operator = app.sign_in(OPERATOR).await;
    let key = operator.post("/api/v1/api-keys", json!({"name": "ops"})).await.ok(201);
    let program = operator.with_bearer(&text(&key["secret"]));
    let path = format!("/api/v1/admin/users/{}", text(&ann.user["user_id"]));
    let make_operator = async || {
        let put = reqwest::Method::PUT;
        operator.with_body(put, &format!("{path}/operator"), &json!({"operator": true})).await
    };

    // Closed by whoever: a program that opens it again makes no operator by that.
    make_operator().await.ok(200);
    let ann = app.sign_in("ann@example.com").await;
    ann.post_nothing("/api/v1/users/me/deactivate").await.ok(200);
    make_operator().await.refused(403, "account_deactivated");
    let open = program.post_nothing(&format!("{path}/reactivate")).await.ok(200);
    assert_eq!(open["operator"], false);
    make_operator().await.ok(200);
    let closed = operator.post_nothing(&format!("{path}/deactivate")).await.ok(200);
    assert_eq!(closed["operator"], false);
    program.post_nothing(&format!("{path}/reactivate")).await.ok(200);
    let ann = app.sign_in("ann@example.com").await;
    ann.get("/api/v1/admin/overview").await.refused(403, "forbidden");
}

#[tokio::test]
async fn before_there_is_an_operator_customers_accounts_can_be_closed_and_opened() {
    let app = Setup::usual().without_operator().start().await;
    let ann = app.register("ann@example.com").await.ok(201);
    let id = UserId(text(&ann["user_id"]).parse().unwrap());
    let computer = Actor::of_the_computer();
    for act in [UserAct::Deactivate, UserAct::Reactivate] {
        app.services.act_on_user(&computer, id, act).await.unwrap();
    }
    let request = PageRequest::new(None, None).unwrap();
    let filter = AuditFilter { subject: Some(id.to_string()), ..AuditFilter::default() };
    let told = app.services.audit(&computer, &filter, &request).unwrap().items;
    let reactivated = told.iter().find(|(entry, _)| entry.action == "user.reactivated").unwrap();
    assert_eq!(reactivated.0.request_id, None, "nobody asked over HTTP");
}

#[tokio::test]
async fn a_closed_account_loses_its_keys_for_good_and_so_does_one_whose_password_was_reset() {
    let app = TestApp::start().await;
    let ann = app.customer("ann@example.com").await;
    let operator = app.operator().await;
    let key = async || {
        let person = app.sign_in("ann@example.com").await;
        let made = person.post("/api/v1/api-keys", json!({"name": "script"})).await.ok(201);
        person.with_bearer(&text(&made["secret"]))
    };
    let first = key().await;
    let path = format!("/api/v1/admin/users/{}", text(&ann.user["user_id"]));
    operator.post_nothing(&format!("{path}/deactivate")).await.ok(200);
    operator.post_nothing(&format!("{path}/reactivate")).await.ok(200);
    first.get("/api/v1/users/me").await.refused(401, "unauthenticated");
    let second = key().await;
    app.anyone
        .post("/api/v1/auth/forgot-password", json!({"email": "ann@example.com"}))
        .await
        .ok(202);
    let token = app.mail_to("ann@example.com", "password").await.token();
    let reset = json!({"token": token, "password": "seven-new-otters-sing"});
    app.anyone.post("/api/v1/auth/reset-password", reset).await.ok(200);
    second.get("/api/v1/users/me").await.refused(401, "unauthenticated");
}
