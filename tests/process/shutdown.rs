//! SIGTERM: what runs is finished, all is on disk, and it ends within ten seconds.

use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::ledger::{Ledger, Load};
use crate::support::Home;

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
