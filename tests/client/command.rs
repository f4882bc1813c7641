//! `coditect seat run` is the command that it runs, save that there is a seat.

use std::fs;
use std::net::TcpListener;

use crate::holder::{Running, Site, fed, script, seat_run};
use crate::support::{Ended, Home, License, coditect};

fn ended(mut command: std::process::Command) -> Ended {
    command.output().unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn input_output_and_exit_code_are_the_commands_own() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let command = script(site.seat_run(&license), &[], "cat; echo oops >&2; exit 7");
    let ended = fed(command, "a line\nand another");
    assert_eq!(ended.status.code(), Some(7));
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("a line\nand another", "oops\n"));
    assert_eq!(site.used(&license).await, 0, "it was given back");
    let killed = fed(script(site.seat_run(&license), &[], "kill -KILL $$"), "");
    assert_eq!(killed.status.code(), Some(128 + 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_runs_there_is_a_seat() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let flags =
        ["--metadata", "host=studio-7", "--metadata", "user=ada", "--hardware-id", "studio-7"];
    let mut running = Running::start(script(site.seat_run(&license), &flags, "echo up; sleep 2"));
    running.says("up");
    let holder = site.holder(&license).await;
    assert_eq!(holder["hardware_id"], "studio-7");
    assert_eq!(holder["metadata"]["host"], "studio-7");
    assert_eq!(holder["metadata"]["user"], "ada");
    running.wait();
    assert_eq!(site.used(&license).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_to_run_nothing_has_an_exit_code() {
    let site = Site::new().await;
    let (full, suspended) = (site.operator.issue(1).await, site.operator.issue(1).await);
    site.operator.acquire(&full, "another").await.expect(&[201]);
    site.act(&suspended, "suspend").await;
    let unknown = License { key: "CODITECT-0000-0000-0000-0000-0000".to_owned(), ..full.clone() };
    let fine = site.operator.issue(1).await;
    let nobody = "http://127.0.0.1:1".to_owned();
    for (server, license, flags, code, says) in [
        (site.url(), &full, &[][..], 121, "in use (1 of 1)"),
        (site.url(), &suspended, &[], 122, "license_suspended"),
        (site.url(), &unknown, &[], 122, "license_not_found"),
        (nobody, &fine, &[], 123, "http://127.0.0.1:1 cannot be reached"),
        (format!("{}/admin", site.url()), &fine, &[], 123, "There is nothing at this address"),
        ("licensing.example.com".to_owned(), &fine, &[], 125, "no address of a licence server"),
        (site.url(), &fine, &["--ca-file", "/nonexistent"], 125, "/nonexistent cannot be read"),
        (site.url(), &fine, &["--hardware-id", ""], 122, "hardware_id"),
    ] {
        let ended = ended(script(seat_run(&server, license), flags, "echo ran"));
        assert_eq!(ended.status.code(), Some(code), "{}", ended.err);
        assert!(ended.err.contains(says), "{says}?\n{}", ended.err);
        assert_eq!(ended.out, "", "the command was not run");
    }
    for (program, code) in [("/nonexistent", 127), ("no-such-program", 127), ("/etc", 126)] {
        let mut command = site.seat_run(&fine);
        let ended: Ended = command.args(["--", program]).output().unwrap().into();
        assert_eq!(ended.status.code(), Some(code), "{}", ended.err);
        assert_eq!(site.used(&fine).await, 0, "it was given back");
    }
}

/// As every other command: whoever names a data folder means the server on it.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_the_one_on_the_data_folder_that_is_named() {
    let home = Home::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = home.start_listening_on(&free);
    let license = server.operator().await.issue(1).await;
    let data = home.data().to_str().unwrap().to_owned();
    let on = |data: &str, words: &[&str]| {
        let mut command = coditect(&[&["--data", data, "seat"], words].concat());
        command.env("CODITECT_LICENSE_KEY", &license.key);
        command.env("CODITECT_SERVER", "http://127.0.0.1:1");
        ended(command)
    };
    let run = ["run", "--", "echo", "ran"];
    assert_eq!(on(&data, &run).succeeded().out, "ran\n");
    let status = on(&data, &["status"]).succeeded().out;
    assert!(status.contains(&format!("http://{free}")), "{status}");
    on(&data, &["release"]).succeeded();
    let elsewhere = [&["run", "--server", "http://127.0.0.1:2"], &run[1..]].concat();
    on(&data, &elsewhere).ended_with(123, "http://127.0.0.1:2 cannot be reached");
    on("/nonexistent", &run).ended_with(123, "no server runs on /nonexistent");

    // In the environment it counts where no server is named.
    let env = |server: &str| {
        let mut command = coditect(&[&["seat"][..], &run].concat());
        command.env("CODITECT_LICENSE_KEY", &license.key).env("CODITECT_DATA", &data);
        command.env("CODITECT_SERVER", server);
        ended(command)
    };
    assert_eq!(env("").succeeded().out, "ran\n");
    env("http://127.0.0.1:1").ended_with(123, "http://127.0.0.1:1 cannot be reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_comes_from_a_flag_a_file_or_the_environment() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let file = site.home.path().join("key");
    fs::write(&file, format!("{}\n", license.key)).unwrap();
    let file = file.to_str().unwrap();
    let (key, url) = (license.key.as_str(), site.url());
    for (flags, environment) in [
        (&["--server", &url, "--key", key][..], &[][..]),
        (&["--server", &url, "--key-file", file], &[]),
        (&["--key-file", file], &[("CODITECT_SERVER", url.as_str())]),
        (&[], &[("CODITECT_SERVER", &url), ("CODITECT_LICENSE_KEY", key)]),
        (&[], &[("CODITECT_SERVER", &url), ("CODITECT_LICENSE_KEY_FILE", file)]),
        // What is typed wins.
        (
            &["--server", &url, "--key", key],
            &[("CODITECT_SERVER", "http://127.0.0.1:1"), ("CODITECT_LICENSE_KEY", "x")],
        ),
    ] {
        let mut command = coditect(&["seat", "run"]);
        command.args(flags).envs(environment.iter().copied());
        let ended = ended(script(command, &[], "echo ran"));
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("ran\n", ""), "{flags:?}");
    }
    let empty = site.home.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    for flags in
        [&[][..], &["--key-file", "/nonexistent"], &["--key-file", empty.to_str().unwrap()]]
    {
        let mut command = coditect(&["seat", "run", "--server", &url]);
        command.args(flags);
        let ended = ended(script(command, &[], "echo ran"));
        assert_eq!((ended.status.code(), ended.out.as_str()), (Some(125), ""), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_how_the_licence_stands_and_changes_nothing() {
    let site = Site::new().await;
    let license = site.operator.issue(3).await;
    let status = |license: &License, flags: &[&str]| {
        let mut command = coditect(&["seat", "status", "--server", &site.url()]);
        command.env("CODITECT_LICENSE_KEY", &license.key).args(flags);
        ended(command)
    };
    let idle = status(&license, &[]).succeeded();
    assert!(
        idle.out.contains("0 of 3 in use") && idle.out.contains("no program here"),
        "{}",
        idle.out
    );
    assert_eq!(site.used(&license).await, 0);

    let running = Running::start(script(site.seat_run(&license), &[], "echo up; sleep 60"));
    running.says("up");
    let held: serde_json::Value =
        serde_json::from_str(&status(&license, &["--json"]).succeeded().out).unwrap();
    assert_eq!(held["valid"], true);
    assert_eq!(held["kept_here"], true);
    assert_eq!(held["seats"], serde_json::json!({"max": 3, "used": 1, "available": 2}));
    assert_eq!(held["hardware_id"], site.holder(&license).await["hardware_id"]);
    assert!(!held.to_string().contains(&license.key), "the key is a secret");

    site.act(&license, "suspend").await;
    let suspended = status(&license, &[]);
    assert_eq!(suspended.status.code(), Some(122));
    assert!(suspended.out.contains("suspended"), "{}", suspended.out);
    let unknown = License { key: "nothing".to_owned(), ..license };
    assert_eq!(status(&unknown, &[]).status.code(), Some(122));
}

#[tokio::test(flavor = "multi_thread")]
async fn release_gives_back_what_a_crash_left_behind() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let release = || {
        let mut command = coditect(&["seat", "release", "--server", &site.url()]);
        command.env("CODITECT_LICENSE_KEY", &license.key);
        ended(command).succeeded().out
    };
    let mut running =
        Running::start(script(site.seat_run(&license), &[], "echo up; read x <&2; sleep 1"));
    running.says("up");
    running.signal(rustix::process::Signal::KILL);
    running.wait();
    assert_eq!(site.used(&license).await, 1, "nobody gave it back");
    assert_eq!(release(), "The seat of this machine was given back.\n");
    assert_eq!(site.used(&license).await, 0);
    assert_eq!(release(), "This machine held no seat.\n");
    site.operator.acquire(&license, "another").await.expect(&[201]);
    assert_eq!(release(), "This machine held no seat.\n");
    assert_eq!(site.used(&license).await, 1, "another machine's seat is not touched");
}
