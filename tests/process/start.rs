//! Starting: in an empty directory, again, twice on the same data.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::support::{Home, OPERATOR, PASSWORD, Server, claim, files, text, until};

fn link_of(line: &str) -> Option<String> {
    line.contains("/admin#setup=").then(|| line.trim().to_owned())
}

#[tokio::test]
async fn the_first_start_makes_private_data_and_prints_where_things_are_and_a_set_up_link() {
    let home = Home::bare();
    let server = home.start();
    let link = server.wait_for(link_of);
    let address = format!("http://{}", server.address);
    assert!(link.starts_with(&format!("{address}/admin#setup=")), "{link}");
    let client = server.client();
    assert_eq!(client.get("/api/v1/setup").await.expect(&[200])["needed"], true);
    server.signing_key().await;

    for (path, mode, _) in files(&home.data()) {
        let private = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode & 0o777, private, "{}", path.display());
    }
    for there in [home.data(), home.database(), home.master_key(), home.data().join("mail")] {
        assert!(there.exists(), "{}", there.display());
    }

    claim(&client, &link).await.expect(&[201]);
    client.clone().sign_in(OPERATOR, PASSWORD).await;
    assert_eq!(claim(&client, &link).await.code(), "setup_done", "a link works once");
    let printed = server.stop();
    let data = home.data().canonicalize().unwrap();
    assert!(printed.contains(&format!("Address   {address}\n")), "{printed}");
    assert!(printed.contains(&format!("Data      {}\n", data.display())), "{printed}");
}

#[tokio::test]
async fn the_set_up_link_is_printed_anew_at_each_start_until_it_is_claimed() {
    let home = Home::bare();
    let first = home.start();
    let old = first.wait_for(link_of);
    first.stop();
    let second = home.start();
    let new = second.wait_for(link_of);
    assert_ne!(old.split_once('#'), new.split_once('#'));
    claim(&second.client(), &new).await.expect(&[201]);
    second.stop();
    let third = home.start();
    until("it answers", async || third.client().get("/health/live").await.status == 200).await;
    assert_eq!(third.client().get("/api/v1/setup").await.expect(&[200])["needed"], false);
    let printed = third.stop();
    assert!(!printed.contains("#setup="), "{printed}");
}

#[tokio::test]
async fn an_operator_from_the_environment_can_sign_in_at_once() {
    let home = Home::new();
    let server = home.start();
    let operator = server.operator().await;
    assert_eq!(operator.get("/api/v1/users/me").await.expect(&[200])["operator"], true);
    let printed = server.stop();
    assert!(!printed.contains("#setup="), "no link is needed: {printed}");
    assert!(!printed.contains(PASSWORD), "{printed}");

    // The setting made the first operator; it does not reset a password at the next start.
    fs::write(home.path().join("password"), "another-long-password-here").unwrap();
    let server = home.start();
    server.operator().await;
}

#[tokio::test]
async fn a_demo_shows_life_again_and_again_in_a_folder_of_its_own() {
    let home = Home::bare();
    let demo = || Server::spawn(home.command(&["serve", "--demo", "--listen", "127.0.0.1:0"]));
    let key_of = |printed: &str| {
        let (_, rest) = printed.split_once("\"license_key\":\"")?;
        Some(rest.split('"').next()?.to_owned())
    };
    let server = demo();
    let first = server.wait_for(key_of);
    let taken = json!({"license_key": first, "hardware_id": "my-laptop"});
    server.client().post("/api/v1/licenses/acquire", taken).await.expect(&[201]);
    server.stop();
    let server = demo();
    assert_eq!(server.wait_for(key_of), first);
    server.stop();
    let server = home.start();
    assert!(server.stop().contains("made by --demo"), "real data does not belong there");
}

#[tokio::test]
async fn a_demo_leaves_real_data_alone() {
    let home = Home::new();
    let server = home.start();
    let operator = server.operator().await;
    let users = operator.list("/api/v1/admin/users").await;
    server.stop();
    home.run(&["serve", "--demo", "--listen", "127.0.0.1:0"]).failed_saying("a folder of its own");
    let server = home.start();
    assert_eq!(operator.at(&server).list("/api/v1/admin/users").await, users);
}

#[tokio::test]
async fn an_operator_in_the_settings_who_comes_too_late_is_told() {
    let home = Home::new();
    let server = home.start();
    server.operator().await;
    server.stop();
    let home = home.with("CODITECT_ADMIN_EMAIL", "late@example.com");
    let server = home.start();
    assert!(server.stop().contains("admin.email and admin.password are ignored"));
}

#[tokio::test]
async fn a_second_server_is_told_which_process_holds_the_data() {
    let home = Home::bare();
    let server = home.start();
    let held = format!("in use by process {}", server.pid());
    home.run(&["serve", "--listen", "127.0.0.1:0"]).failed_saying(&held);
    // On the same port as well: that the data is held says more than that a port is taken.
    home.run(&["serve", "--listen", &server.address]).failed_saying(&held);
    assert_eq!(server.client().get("/health/live").await.status, 200);
}

#[tokio::test]
async fn a_taken_port_is_told_with_what_to_do() {
    let (one, other) = (Home::bare(), Home::bare());
    let server = one.start();
    let ended =
        other.run(&["serve", "--listen", &server.address]).failed_saying("cannot listen on");
    assert!(ended.err.contains("--listen"), "{}", ended.err);
}

#[tokio::test]
async fn settings_that_cannot_be_used_stop_the_start_before_anything_is_made() {
    let home = Home::bare().with("CODITECT_SEATS_MAX_WAIT_S", "soon");
    home.run(&["serve", "--listen", "127.0.0.1:0"]).failed_saying("CODITECT_SEATS_MAX_WAIT_S");
    assert!(!home.data().exists());
}

/// The limit is the product's promise; an unoptimised build on a busy machine gets more.
const FIRST_ANSWER: Duration =
    Duration::from_millis(if cfg!(debug_assertions) { 5_000 } else { 1_000 });

#[tokio::test]
async fn a_first_start_answers_at_once_and_what_needs_the_signing_key_waits_for_it() {
    let home = Home::new();
    let server = home.start();
    assert_eq!(server.client().get("/health/live").await.expect(&[200])["status"], "alive");
    let took = server.spawned.elapsed();
    assert!(took < FIRST_ANSWER, "{took:?}");

    // Nobody gets an error because they were early.
    let operator = server.operator().await;
    let license = operator.issue(1).await;
    let seat = operator.acquire(&license, "early").await.expect(&[201]);
    operator.heartbeat(&text(&seat["session_id"])).await.expect(&[200]);
    let activated = operator.activate(&license, "early").await.expect(&[201]);
    assert_eq!(text(&activated["signed_license"]).split('.').count(), 3);
    assert_eq!(operator.get("/health/ready").await.expect(&[200])["signing_key"], "ready");
}

#[tokio::test]
#[ignore = "needs libfaketime (the package `faketime`)"]
async fn a_wall_clock_that_jumps_neither_frees_nor_freezes_seats() {
    let home = Home::new().with_time().with("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let jump = |to: &str| home.ahead(to);
    let server = home.start();
    let operator = server.operator().await;
    let license = operator.issue(1).await;
    let seat = operator.acquire(&license, "holder").await.expect(&[201]);
    let session = text(&seat["session_id"]);
    let started = text(&seat["started_at"]);
    for to in ["+1d", "-30d", "+400d", "-2h", "+0"] {
        jump(to);
        let beat = operator.heartbeat(&session).await.expect(&[200]);
        assert_eq!(beat["expires_in"], 360, "{to}");
        if to != "+0" {
            let day = text(&beat["expires_at"])[..13].to_owned();
            assert_ne!(day, started[..13], "the jump to {to} was seen by the server");
        }
        let refused = operator.acquire(&license, "other").await;
        assert_eq!(refused.code(), "no_seats_available", "{to}: the seat is not free");
    }
    jump("-1d");
    operator.release(&session).await.expect(&[200]);
    operator.acquire(&license, "other").await.expect(&[201]);
}
