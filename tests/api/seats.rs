//! Seats: acquire, heartbeat and release.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{DAY, HOUR, START, Setup, TestApp, eventually, items, later, members, text};

/// How long a seat lives past its last heartbeat.
const TTL: Duration = Duration::from_mins(6);
/// One second less.
const ALMOST_TTL: Duration = Duration::from_secs(359);
const SECOND: Duration = Duration::from_secs(1);
const YEAR_MS: i64 = 365 * 86_400_000;

async fn resize(app: &TestApp, license: &Value, seats: u32) {
    let path = format!("/api/v1/admin/licenses/{}/resize", text(&license["license_id"]));
    app.operator().await.post(&path, json!({"max_concurrent_seats": seats})).await.ok(200);
}

/// A request for a seat that waits in line.
fn waiting(
    app: &TestApp,
    license: &Value,
    hardware_id: &str,
    seconds: u32,
) -> tokio::task::JoinHandle<crate::support::Answer> {
    let body = json!({"license_key": license["license_key"], "hardware_id": hardware_id, "wait_seconds": seconds});
    let anyone = app.anyone.clone();
    tokio::spawn(async move { anyone.post("/api/v1/licenses/acquire", body).await })
}

/// Until so many wait in line.
async fn in_line(app: &TestApp, people: u32) {
    let services = &app.services;
    let waiting = || services.render_metrics().unwrap();
    let line = format!("waiting {people}\n");
    eventually("they wait in line", || {
        waiting().lines().any(|told| told.contains("seat") && format!("{told}\n").ends_with(&line))
    })
    .await;
}

#[tokio::test]
async fn a_seat_is_granted_for_360_seconds_and_wants_a_heartbeat_every_300() {
    let app = TestApp::start().await;
    let license = app.license(3).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    assert_eq!(
        members(&seat),
        [
            "expires_at",
            "expires_in",
            "hardware_id",
            "heartbeat_interval",
            "license_id",
            "seats",
            "session_id",
            "started_at",
            "status"
        ]
    );
    assert_eq!((&seat["expires_in"], &seat["heartbeat_interval"]), (&json!(360), &json!(300)));
    assert_eq!((&seat["started_at"], &seat["expires_at"]), (&json!(START), &json!(later(TTL))));
    assert_eq!(
        (&seat["license_id"], &seat["hardware_id"]),
        (&license["license_id"], &json!("hw-1"))
    );
    assert_eq!(seat["seats"], json!({"max": 3, "used": 1, "available": 2}));
    assert_eq!(seat["status"], "active");
}

#[tokio::test]
async fn asking_twice_is_never_two_seats() {
    let app = TestApp::start().await;
    let license = app.license(3).await;
    let first = app.acquire(&license, "hw-1").await.ok(201);
    app.advance(60 * SECOND).await;
    let again = app.acquire(&license, "hw-1").await.ok(200);
    assert_eq!(
        (&first["session_id"], &first["started_at"]),
        (&again["session_id"], &again["started_at"])
    );
    assert_eq!(again["seats"]["used"], 1);
}

#[tokio::test]
async fn one_machine_asking_a_hundred_times_at_once_holds_one_seat() {
    let app = TestApp::start().await;
    let license = app.license(3).await;
    let asked: Vec<_> = (0..100).map(|_| waiting(&app, &license, "hw-1", 0)).collect();
    let (mut fresh, mut sessions) = (0, Vec::new());
    for answer in asked {
        let answer = answer.await.unwrap();
        fresh += u32::from(answer.status == 201);
        sessions.push(text(&answer.body["session_id"]));
    }
    sessions.dedup();
    assert_eq!((fresh, sessions.len()), (1, 1));
}

#[tokio::test]
async fn never_more_seats_than_the_licence_has_however_many_ask_at_once() {
    let app = TestApp::start().await;
    let license = app.license(7).await;
    let asked: Vec<_> =
        (0..100).map(|nth| waiting(&app, &license, &format!("hw-{nth}"), 0)).collect();
    let mut granted = 0;
    for answer in asked {
        let answer = answer.await.unwrap();
        match answer.status {
            201 => granted += 1,
            _ => drop(answer.refused(409, "no_seats_available")),
        }
    }
    assert_eq!(granted, 7);
}

#[tokio::test]
async fn a_full_licence_says_how_full_and_when_the_first_seat_can_lapse() {
    let app = TestApp::start().await;
    let license = app.license(2).await;
    app.acquire(&license, "hw-1").await.ok(201);
    app.advance(100 * SECOND).await;
    app.acquire(&license, "hw-2").await.ok(201);
    let full = app.acquire(&license, "hw-3").await;
    assert_eq!(full.retry_after(), 260);
    let problem = full.refused(409, "no_seats_available");
    assert_eq!(problem["seats"], json!({"max": 2, "used": 2, "available": 0}));
    assert_eq!(problem["retry_after"], 260);
}

#[tokio::test]
async fn a_heartbeat_gives_a_seat_another_full_life() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    for nth in 1..=3 {
        app.advance(300 * SECOND).await;
        let alive = app.heartbeat(&seat).await.ok(200);
        assert_eq!(members(&alive), ["expires_at", "expires_in", "license_status", "status"]);
        assert_eq!((&alive["status"], &alive["expires_in"]), (&json!("alive"), &json!(360)));
        assert_eq!(alive["expires_at"], later(nth * 300 * SECOND + TTL));
        assert_eq!(alive["license_status"], "active");
    }
}

#[tokio::test]
async fn heartbeat_and_release_have_two_methods_each() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    let body = json!({"session_id": seat["session_id"]});
    app.anyone.with_body(Method::PUT, "/api/v1/licenses/heartbeat", &body).await.ok(200);
    let released =
        app.anyone.with_body(Method::DELETE, "/api/v1/licenses/release", &body).await.ok(200);
    assert_eq!(released, json!({"status": "released"}));
}

#[tokio::test]
async fn a_seat_lapses_exactly_360_seconds_after_it_was_last_heard_from() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    app.advance(ALMOST_TTL).await;
    let full = app.acquire(&license, "hw-2").await;
    assert_eq!(full.retry_after(), 1);
    full.refused(409, "no_seats_available");
    // Decided by the clock inside acquire: no sweeper need come first.
    app.advance(SECOND).await;
    app.acquire(&license, "hw-2").await.ok(201);
    app.heartbeat(&seat).await.refused(404, "session_not_found");
    app.release(&seat).await.refused(404, "session_not_found");
    let again = app.acquire(&license, "hw-1").await;
    assert_eq!(again.retry_after(), 360);
    again.refused(409, "no_seats_available");
}

#[tokio::test]
async fn a_released_seat_is_free_at_once_and_its_session_is_gone() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    assert_eq!(app.release(&seat).await.ok(200), json!({"status": "released"}));
    app.release(&seat).await.refused(404, "session_not_found");
    app.heartbeat(&seat).await.refused(404, "session_not_found");
    let next = app.acquire(&license, "hw-1").await.ok(201);
    assert_ne!(next["session_id"], seat["session_id"]);
}

#[tokio::test]
async fn a_session_that_was_never_granted_is_unknown() {
    let app = TestApp::start().await;
    for id in ["00000000-0000-0000-0000-000000000000", "7d3f0c7e-5a52-4f8c-9a39-0a4f5d3c2b1a"] {
        app.heartbeat(&json!({"session_id": id})).await.refused(404, "session_not_found");
        app.release(&json!({"session_id": id})).await.refused(404, "session_not_found");
    }
    app.heartbeat(&json!({"session_id": "mine"})).await.refused_field("session_id");
}

#[tokio::test]
async fn a_session_id_is_random_and_not_made_from_the_time() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    let id: uuid::Uuid = text(&seat["session_id"]).parse().unwrap();
    assert_eq!(id.get_version_num(), 4);
}

#[tokio::test]
async fn a_calendar_that_is_set_neither_frees_seats_nor_freezes_them() {
    for jumps in [[YEAR_MS, -2 * YEAR_MS], [-YEAR_MS, 2 * YEAR_MS]] {
        let app = TestApp::start().await;
        let license = app.license(1).await;
        let seat = app.acquire(&license, "hw-1").await.ok(201);
        for jump in jumps {
            app.clock.jump_wall(jump);
            let full = app.acquire(&license, "hw-2").await;
            assert_eq!(full.retry_after(), 360);
            full.refused(409, "no_seats_available");
            assert_eq!(app.heartbeat(&seat).await.ok(200)["expires_in"], 360);
        }
        app.advance(ALMOST_TTL).await;
        app.acquire(&license, "hw-2").await.refused(409, "no_seats_available");
        app.advance(SECOND).await;
        app.acquire(&license, "hw-2").await.ok(201);
    }
}

#[tokio::test]
async fn a_licence_that_shrinks_lets_its_holders_finish_and_admits_nobody_until_there_is_room() {
    let app = TestApp::start().await;
    let license = app.license(3).await;
    let mut seats = Vec::new();
    for hardware_id in ["hw-1", "hw-2", "hw-3"] {
        seats.push(app.acquire(&license, hardware_id).await.ok(201));
    }
    resize(&app, &license, 1).await;
    for seat in &seats {
        app.heartbeat(seat).await.ok(200);
    }
    app.acquire(&license, "hw-2").await.ok(200);
    for used in [3, 2, 1] {
        let problem = app.acquire(&license, "hw-9").await.refused(409, "no_seats_available");
        assert_eq!(problem["seats"], json!({"max": 1, "used": used, "available": 0}));
        app.release(&seats.remove(0)).await.ok(200);
    }
    app.acquire(&license, "hw-9").await.ok(201);
}

#[tokio::test]
async fn a_licence_that_grows_admits_at_once() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    app.acquire(&license, "hw-1").await.ok(201);
    app.acquire(&license, "hw-2").await.refused(409, "no_seats_available");
    resize(&app, &license, 2).await;
    assert_eq!(
        app.acquire(&license, "hw-2").await.ok(201)["seats"],
        json!({"max": 2, "used": 2, "available": 0})
    );
}

#[tokio::test]
async fn suspending_tells_the_holders_at_their_next_heartbeat() {
    let app = TestApp::start().await;
    let license = app.license(2).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    let operator = app.operator().await;
    let path = |act: &str| format!("/api/v1/admin/licenses/{}/{act}", text(&license["license_id"]));
    operator.post(&path("suspend"), json!({"reason": "chargeback"})).await.ok(200);
    app.heartbeat(&seat).await.refused(403, "license_suspended");
    app.acquire(&license, "hw-1").await.refused(403, "license_suspended");
    app.acquire(&license, "hw-2").await.refused(403, "license_suspended");
    operator.post_nothing(&path("reinstate")).await.ok(200);
    app.heartbeat(&seat).await.ok(200);
    operator.post_nothing(&path("revoke")).await.ok(200);
    app.heartbeat(&seat).await.refused(403, "license_revoked");
    app.release(&seat).await.ok(200);
}

#[tokio::test]
async fn who_waits_in_line_gets_the_seat_that_is_released() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    let next = waiting(&app, &license, "hw-2", 60);
    in_line(&app, 1).await;
    app.release(&seat).await.ok(200);
    next.await.unwrap().ok(201);
}

#[tokio::test]
async fn who_waits_in_line_gets_the_seat_that_lapses_or_is_added() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    app.acquire(&license, "hw-1").await.ok(201);
    let next = waiting(&app, &license, "hw-2", 60);
    in_line(&app, 1).await;
    app.advance(TTL).await;
    next.await.unwrap().ok(201);
    let third = waiting(&app, &license, "hw-3", 60);
    in_line(&app, 1).await;
    resize(&app, &license, 2).await;
    third.await.unwrap().ok(201);
}

#[tokio::test]
async fn who_closes_the_connection_has_left_the_line() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    let next = waiting(&app, &license, "hw-2", 60);
    in_line(&app, 1).await;
    next.abort();
    in_line(&app, 0).await;
    app.release(&seat).await.ok(200);
    app.acquire(&license, "hw-3").await.ok(201);
}

#[tokio::test]
async fn who_waits_in_line_is_told_when_the_licence_stops_working() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    app.acquire(&license, "hw-1").await.ok(201);
    let next = waiting(&app, &license, "hw-2", 60);
    in_line(&app, 1).await;
    let path = format!("/api/v1/admin/licenses/{}/suspend", text(&license["license_id"]));
    app.operator().await.post_nothing(&path).await.ok(200);
    next.await.unwrap().refused(403, "license_suspended");
}

#[tokio::test]
async fn waiting_ends_and_is_bounded() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    app.acquire(&license, "hw-1").await.ok(201);
    let begun = std::time::Instant::now();
    waiting(&app, &license, "hw-2", 1).await.unwrap().refused(409, "no_seats_available");
    assert!(begun.elapsed() >= SECOND);
    waiting(&app, &license, "hw-2", 61).await.unwrap().refused_field("wait_seconds");
}

#[tokio::test]
async fn a_seat_survives_the_process_and_has_a_full_life_to_be_heard_from() {
    let app = TestApp::start().await;
    let license = app.license(2).await;
    let kept = app.acquire(&license, "hw-1").await.ok(201);
    let released = app.acquire(&license, "hw-2").await.ok(201);
    app.release(&released).await.ok(200);
    app.advance(200 * SECOND).await;
    let app = app.restart().await;
    app.heartbeat(&released).await.refused(404, "session_not_found");
    let again = app.acquire(&license, "hw-1").await.ok(200);
    assert_eq!(
        (&again["session_id"], &again["started_at"]),
        (&kept["session_id"], &kept["started_at"])
    );
    app.acquire(&license, "hw-2").await.ok(201);
    app.acquire(&license, "hw-3").await.refused(409, "no_seats_available");
    app.advance(ALMOST_TTL).await;
    app.heartbeat(&kept).await.ok(200);
}

#[tokio::test]
async fn seats_of_one_licence_do_not_touch_another() {
    let app = TestApp::start().await;
    let (one, two) = (app.license(1).await, app.license(1).await);
    app.acquire(&one, "hw-1").await.ok(201);
    app.acquire(&two, "hw-1").await.ok(201);
    let operator = app.operator().await;
    assert_eq!(items(&operator.get("/api/v1/admin/sessions").await.ok(200)).len(), 2);
}

#[tokio::test]
async fn an_expiry_is_noticed_inside_acquire_and_heartbeat() {
    let app = TestApp::start().await;
    let body = json!({"email": crate::support::OPERATOR, "max_concurrent_seats": 1, "expiry_date": later(DAY)});
    let license = app.operator().await.post("/api/v1/admin/licenses", body).await.ok(201);
    app.advance(23 * HOUR + 3_599 * SECOND).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    // No job runs between the clock's move and the question.
    app.clock.advance(SECOND);
    app.heartbeat(&seat).await.refused(403, "license_expired");
    app.acquire(&license, "hw-1").await.refused(403, "license_expired");
}

#[tokio::test]
async fn notes_of_an_application_are_kept_with_its_seat() {
    let app = TestApp::start().await;
    let license = app.license(1).await;
    let body = json!({"license_key": license["license_key"], "hardware_id": "hw-1", "metadata": {"user": "Ann – größer", "tab": "a\tb"}});
    app.anyone.post("/api/v1/licenses/acquire", body).await.ok(201);
    let page = app.operator().await.get("/api/v1/admin/sessions").await.ok(200);
    assert_eq!(items(&page)[0]["metadata"], json!({"user": "Ann – größer", "tab": "a\tb"}));
    let many: serde_json::Map<String, Value> =
        (0..17).map(|nth| (format!("n{nth}"), json!("v"))).collect();
    for metadata in
        [json!(many), json!({"": "v"}), json!({"n".repeat(65): "v"}), json!({"n": "v".repeat(257)})]
    {
        let body = json!({"license_key": license["license_key"], "hardware_id": "hw-1", "metadata": metadata});
        app.anyone.post("/api/v1/licenses/acquire", body).await.refused_field("metadata");
    }
}

/// A request that is cut off while the writer has it: what it asked for is done whole.
#[tokio::test]
async fn a_suspension_reaches_holders_although_its_request_took_too_long() {
    let brief = Setup::usual().set("SERVER_REQUEST_TIMEOUT_S", "1").set("SEATS_MAX_WAIT_S", "0");
    let app = brief.start().await;
    let license = app.license(1).await;
    let seat = app.acquire(&license, "hw-1").await.ok(201);
    let operator = app.operator().await;
    let path = format!("/api/v1/admin/licenses/{}/suspend", text(&license["license_id"]));

    // The disk takes its time.
    let (go_on, held_up) = std::sync::mpsc::channel::<()>();
    let (signal, started) = tokio::sync::oneshot::channel();
    let store = app.services.store.clone();
    let slow = tokio::spawn(async move {
        store
            .write(move |_| {
                let _ = signal.send(());
                let _ = held_up.recv();
                Ok(())
            })
            .await
    });
    started.await.unwrap();
    operator.post(&path, json!({})).await.refused(503, "overloaded");
    go_on.send(()).unwrap();
    slow.await.unwrap().unwrap();

    for _ in 0..500 {
        if app.heartbeat(&seat).await.status == 403 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the holder of a suspended licence's seat was never told");
}
