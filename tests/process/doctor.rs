//! `coditect doctor`: tells what is wrong, and changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{Ended, Home, files, until};

/// A home whose server has been used and has stopped.
async fn stopped() -> Home {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let license = operator.issue(2).await;
    operator.acquire(&license, "machine").await.expect(&[201]);
    server.stop();
    home
}

fn report(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{}\n{}", ended.out, ended.err))
}

/// The state of a check, and what was found.
#[track_caller]
fn check(report: &Value, name: &str) -> (String, String) {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no check {name}: {report:#}"));
    let ok = check["state"] == "ok";
    assert_eq!(ok, check["advice"].is_null(), "advice goes with trouble: {check}");
    (check["state"].as_str().unwrap().to_owned(), check["found"].as_str().unwrap().to_owned())
}

/// Fails unless the doctor finds this one thing broken and says so with its exit code.
#[track_caller]
fn finds(home: &Home, name: &str, words: &str) {
    let before = files(&home.data());
    let ended = home.run(&["doctor", "--json"]);
    assert_eq!(ended.status.code(), Some(1), "{}\n{}", ended.out, ended.err);
    let report = report(&ended);
    assert_eq!(report["state"], "problem");
    let (state, found) = check(&report, name);
    assert_eq!(state, "problem", "{report:#}");
    assert!(found.contains(words), "{found}");
    assert!(files(&home.data()) == before, "the doctor has changed something");
}

#[tokio::test]
async fn a_write_ahead_log_that_is_gone_or_damaged_is_told() {
    let home = Home::new();
    let server = home.start();
    let operator = server.operator().await;
    let license = operator.issue(3).await;
    for machine in ["one", "two", "three"] {
        operator.acquire(&license, machine).await.expect(&[201]);
    }
    server.kill();
    let wal = home.data().join("coditect.redb.wal");
    let whole = fs::read(&wal).unwrap();
    let seats = || {
        let report = report(&home.run(&["doctor", "--json"]).succeeded());
        check(&report, "seats")
    };
    assert_eq!(seats().0, "ok");
    let mut damaged = whole.clone();
    damaged[60] ^= 1;
    fs::write(&wal, damaged).unwrap();
    assert!(seats().1.contains("damaged: 1 of its entries"), "{}", seats().1);
    fs::remove_file(&wal).unwrap();
    assert!(seats().1.contains("missing"), "{}", seats().1);
    fs::write(&wal, whole).unwrap();
    let server = home.start();
    assert_eq!(operator.at(&server).holders(&license).await.len(), 3);
}

#[tokio::test]
async fn a_sound_stopped_server_passes_and_nothing_is_changed() {
    let home = stopped().await;
    let before = files(&home.data());
    let ended = home.run(&["doctor", "--json"]).succeeded();
    let report = report(&ended);
    assert_eq!(report["server_running"], false);
    for name in
        ["config", "permissions", "database", "schema", "keys", "seats", "clock", "jobs", "mail"]
    {
        assert_eq!(check(&report, name).0, "ok", "{report:#}");
    }
    // Whoever runs the tests may be short of space.
    assert_ne!(check(&report, "disk").0, "problem", "{report:#}");
    let people = home.run(&["doctor"]).succeeded().out;
    assert!(people.contains("every checksum is right"), "{people}");
    assert!(files(&home.data()) == before, "the doctor has changed something");
}

#[tokio::test]
async fn a_sound_running_server_is_asked_and_passes() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let socket = home.data().join("admin.sock");
    until("it can be asked", async || socket.exists()).await;
    let report = report(&home.run(&["doctor", "--json"]).succeeded());
    assert_eq!(report["server_running"], true);
    let (state, found) = check(&report, "server");
    assert_eq!(state, "ok");
    assert!(found.contains(&format!("process {}", server.pid())), "{found}");
    for name in ["permissions", "database", "keys", "seats", "clock", "jobs", "mail"] {
        assert_eq!(check(&report, name).0, "ok", "{report:#}");
    }
    // A key file that is lost while the server runs would be missed at its next start.
    fs::rename(home.master_key(), home.path().join("elsewhere")).unwrap();
    let ended = home.run(&["doctor", "--json"]);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(check(&self::report(&ended), "keys").0, "problem");
}

#[tokio::test]
async fn data_as_a_crash_left_it_is_sound_and_left_so() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let license = operator.issue(2).await;
    operator.acquire(&license, "machine").await.expect(&[201]);
    server.kill();
    let before = files(&home.data());
    let report = report(&home.run(&["doctor", "--json"]).succeeded());
    assert_eq!(check(&report, "database").0, "ok", "{report:#}");
    assert!(files(&home.data()) == before, "the doctor has changed something");
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_a_problem_and_an_open_folder_a_warning() {
    let home = stopped().await;
    let set = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    set(&home.data(), 0o750);
    let report = report(&home.run(&["doctor", "--json"]).succeeded());
    assert_eq!(check(&report, "permissions").0, "warning", "{report:#}");
    set(&home.data(), 0o700);
    set(&home.master_key(), 0o644);
    finds(&home, "permissions", "master.key has mode 644");
    set(&home.master_key(), 0o600);
    set(&home.database(), 0o640);
    finds(&home, "permissions", "coditect.redb has mode 640");
}

#[tokio::test]
async fn a_master_key_that_is_missing_or_another_is_a_problem() {
    let home = stopped().await;
    let key = fs::read(home.master_key()).unwrap();
    fs::remove_file(home.master_key()).unwrap();
    finds(&home, "keys", "is missing");
    fs::write(home.master_key(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    fs::set_permissions(home.master_key(), fs::Permissions::from_mode(0o600)).unwrap();
    finds(&home, "keys", "does not open with this master key");
    // The server says the same instead of starting.
    home.run(&["serve", "--listen", "127.0.0.1:0"])
        .failed_saying("does not open with this master key");
    fs::write(home.master_key(), key).unwrap();
    home.run(&["doctor"]).succeeded();
}

#[tokio::test]
async fn a_damaged_database_is_a_problem() {
    let home = stopped().await;
    let whole = fs::read(home.database()).unwrap();
    let mut damaged = whole.clone();
    // The first page is the header; a byte in each of the following is turned.
    damaged.iter_mut().skip(4096).step_by(509).for_each(|byte| *byte ^= 0x40);
    fs::write(home.database(), damaged).unwrap();
    finds(&home, "database", "");
    fs::write(home.database(), &whole[..whole.len() / 3]).unwrap();
    finds(&home, "database", "");
    fs::write(home.database(), b"something else altogether").unwrap();
    finds(&home, "database", "");
    fs::write(home.database(), b"").unwrap();
    finds(&home, "database", "empty");
}

#[tokio::test]
async fn a_server_that_holds_the_data_and_cannot_be_asked_is_named() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let socket = home.data().join("admin.sock");
    until("it can be asked", async || socket.exists()).await;
    fs::remove_file(&socket).unwrap();
    let ended = home.run(&["doctor", "--json"]);
    assert_eq!(ended.status.code(), Some(1));
    let (state, found) = check(&report(&ended), "database");
    assert_eq!(state, "problem");
    assert!(found.contains(&format!("process {}", server.pid())), "{found}");
}

#[tokio::test]
async fn settings_are_looked_at_first() {
    let home = stopped().await;
    let doctor = |name: &str, value: &str| -> Ended {
        home.command(&["doctor", "--json"]).env(name, value).output().unwrap().into()
    };
    let warned = report(&doctor("CODITECT_MIAL_FROM", "a@b.example").succeeded());
    let (state, found) = check(&warned, "config");
    assert_eq!(state, "warning");
    assert!(found.contains("CODITECT_MIAL_FROM"), "{found}");
    let broken = doctor("CODITECT_SEATS_MAX_WAIT_S", "soon");
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(check(&report(&broken), "config").0, "problem");
}
