//! SIGTERM: what runs is finished, all is on disk, and it ends within ten seconds.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::ledger::{Ledger, Load};
use crate::support::{Home, person, text, until};

#[tokio::test(flavor = "multi_thread")]
async fn under_load_it_ends_in_time_and_keeps_what_it_acknowledged() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let ledger = Ledger::new(&operator).await;
    let load = Load::start(&ledger, &operator, 8, 1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told = Instant::now();
    server.terminate();
    let (status, printed) = tokio::task::spawn_blocking(|| server.wait()).await.unwrap();
    let took = told.elapsed();
    assert!(status.success(), "{status}\n{printed}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    load.finish().await;
    assert!(!home.data().join("admin.sock").exists());
    assert!(ledger.counts().0 > 0, "the load was no load");

    let server = home.start();
    ledger.check(&operator.at(&server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_in_line_for_a_seat_do_not_hold_it_up() {
    let home = Home::new();
    let server = home.start();
    let operator = server.operator().await;
    let license = operator.issue(1).await;
    operator.acquire(&license, "holder").await.expect(&[201]);
    let mut ask = license.ask("waiting");
    ask["wait_seconds"] = json!(60);
    let waiting = tokio::spawn({
        let operator = operator.clone();
        async move { operator.try_post("/api/v1/licenses/acquire", ask).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let told = Instant::now();
    server.terminate();
    let (status, printed) = tokio::task::spawn_blocking(|| server.wait()).await.unwrap();
    let took = told.elapsed();
    assert!(status.success(), "{status}\n{printed}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!((answer.status, answer.code()), (503, "shutting_down"), "{answer:?}");
    assert!(answer.retry_after.is_some(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_hold_it_up_and_ctrl_c_is_as_good() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::bare();
        let server = home.start();
        server.signing_key().await;
        let client = server.client();
        client.get("/health/live").await.expect(&[200]);
        let told = Instant::now();
        kill_process(server.os_pid(), signal).unwrap();
        let (status, printed) = tokio::task::spawn_blocking(|| server.wait()).await.unwrap();
        assert!(status.success(), "{status}\n{printed}");
        assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
        // The connection was kept open until here.
        drop(client);
    }
}

/// A request whose body is late: what runs at shutdown.
fn begin_registration(mut to: impl Write) -> (impl Write, String) {
    let body = person("late@example.com").to_string();
    let head = format!(
        "POST /api/v1/auth/register HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    to.write_all(head.as_bytes()).unwrap();
    (to, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_on_the_local_socket_is_finished_too() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let socket = home.data().join("admin.sock");
    until("it can be asked", async || socket.exists()).await;
    let mut local = UnixStream::connect(socket).unwrap();
    let (mut to, body) = begin_registration(local.try_clone().unwrap());
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.terminate();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    to.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    local.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let (status, printed) = tokio::task::spawn_blocking(|| server.wait()).await.unwrap();
    assert!(status.success(), "{status}\n{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_while_it_restores_it_does_not_come_up_again() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let made = operator.post("/api/v1/admin/backups", json!({})).await.expect(&[201]);
    let later = operator.issue(1).await;
    let late = TcpStream::connect(&server.address).unwrap();
    let (late, _) = begin_registration(late);
    let file = text(&made["file"]);
    let path = format!("/api/v1/admin/backups/{file}/restore");
    operator.post(&path, json!({ "confirm": file })).await.expect(&[202]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told = Instant::now();
    server.terminate();
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(late);
    let (status, printed) = tokio::task::spawn_blocking(|| server.wait()).await.unwrap();
    assert!(status.success(), "{status}\n{printed}");
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());

    // The backup was not in place yet: all is as it was, and that is told.
    let server = home.start();
    let operator = operator.at(&server);
    operator.get(&format!("/api/v1/licenses/{}", later.id)).await.expect(&[200]);
    let audit = operator.list("/api/v1/admin/audit").await;
    let failed = audit.iter().find(|entry| entry["action"] == "backup.restore_failed");
    assert!(text(&failed.unwrap()["details"]["why"]).contains("told to stop"), "{audit:?}");
}
