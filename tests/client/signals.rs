//! Signals are meant for the command; the seat is given back whatever ends it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::holder::{Running, Site, script};
use crate::support::{Ended, binary};

/// Counts what it gets, and lives on.
const COUNTS: &str = r#"
    for name in INT HUP QUIT USR1 USR2; do trap "echo got $name" $name; done
    echo up; while :; do sleep 0.02; done"#;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_command_and_gives_the_seat_back_at_once() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let mut running =
        Running::start(script(site.seat_run(&license), &[], "echo up; exec sleep 60"));
    running.says("up");
    assert_eq!(site.used(&license).await, 1);
    let told = Instant::now();
    running.signal(Signal::TERM);
    running.ends_with(128 + 15);
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    assert_eq!(site.used(&license).await, 0);
    assert_eq!(running.warned(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signal_is_passed_on_and_a_command_that_lives_on_keeps_its_seat() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let mut running = Running::start(script(site.seat_run(&license), &[], COUNTS));
    running.says("up");
    for (signal, name) in [
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        running.signal(signal);
        running.says(&format!("got {name}"));
    }
    assert!(running.runs());
    assert_eq!(site.used(&license).await, 1);
    running.signal(Signal::TERM);
    running.ends_with(128 + 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nohup_has_ignored_stays_ignored() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let run = script(site.seat_run(&license), &[], "echo up; exec sleep 60");
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(binary()).args(run.get_args());
    command.env("CODITECT_LICENSE_KEY", &license.key).stdin(Stdio::null());
    let mut running = Running::start(command);
    running.says("up");
    running.signal(Signal::HUP);
    running.signal(Signal::USR1);
    // The second ended it, so the first was dealt with.
    running.ends_with(128 + 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_tired_of_waiting_leaves_nothing_behind() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let seat = site.operator.acquire(&license, "another").await.expect(&[201]);
    let mut running =
        Running::start(script(site.seat_run(&license), &["--wait", "10m"], "echo ran"));
    running.warns("waiting for up to 10m");
    running.signal(Signal::INT);
    running.ends_with(128 + 2);
    assert_eq!(site.used(&license).await, 1);
    site.operator.release(seat["session_id"].as_str().unwrap()).await.expect(&[200]);
    let pause = Duration::from_millis(100);
    for _ in 0..3 {
        assert_eq!(site.used(&license).await, 0, "nobody waits any more");
        tokio::time::sleep(pause).await;
    }
}

/// The terminal sends what is typed to both; passing it on as well would send it twice.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs script (the package `bsdutils`)"]
async fn ctrl_c_reaches_the_command_once() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let run = format!(
        "{} seat run --server {} -- sh -c 'trap \"echo interrupted\" INT; stty -echo; echo up; read a; read b; echo end'",
        binary().display(),
        site.url()
    );
    let mut command = Command::new("script");
    command.args(["-qec", &run, "/dev/null"]).env("CODITECT_LICENSE_KEY", &license.key);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    site.until_used(&license, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for typed in ["\u{3}", "x\n", "y\n", "z\n"] {
        // It may have read enough.
        let _ = input.write_all(typed.as_bytes());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    drop(input);
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.out.matches("interrupted").count(), 1, "{}", ended.out);
    assert!(ended.out.contains("end"), "{}", ended.out);
    site.until_used(&license, 0).await;
}
