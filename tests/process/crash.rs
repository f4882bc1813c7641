//! `kill -9` at any instant: nothing acknowledged is lost, no seat is given twice.

use std::time::Duration;

use coditect::entropy::Entropy;

use crate::ledger::{Ledger, Load};
use crate::support::{Home, Server};

/// Clients that contend for eleven seats.
const WORKERS: usize = 8;
/// The longest time under load before a kill.
const LOAD_MS_MAX: u32 = 450;
/// The longest time a start is given before it is killed, in every so many-th round.
const START_MS_MAX: u32 = 120;
const START_KILLED_EVERY: u64 = 5;

/// A number from the environment, for longer runs.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_however_often_the_server_is_killed() {
    let kills = setting("CRASH_KILLS", 20);
    let seed = setting("CRASH_SEED", 1);
    let entropy = Entropy::seeded(seed);
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let ledger = Ledger::new(&operator).await;
    let mut running = server;
    for kill in 1..=kills {
        let operator = operator.at(&running);
        ledger.check(&operator).await;
        let load = Load::start(&ledger, &operator, WORKERS, seed * 100_000 + kill);
        tokio::time::sleep(Duration::from_millis(u64::from(entropy.below(LOAD_MS_MAX)))).await;
        running.kill();
        load.finish().await;
        if kill % START_KILLED_EVERY == 0 {
            // Recovery must stand being interrupted as well.
            let server =
                Server::spawn_unready(&mut home.command(&["serve", "--listen", "127.0.0.1:0"]));
            tokio::time::sleep(Duration::from_millis(u64::from(entropy.below(START_MS_MAX)))).await;
            server.kill();
        }
        running = home.start();
    }
    // Access tokens do not last for the longest runs.
    let operator = running.operator().await;
    ledger.check(&operator).await;
    let (answers, _) = ledger.counts();
    println!("{kills} kills, {answers} acknowledged answers");
    assert!(answers > kills, "the load was no load: {answers} answers");
    the_audit_log_is_one_chain(&home);
    running.stop();
    home.run(&["doctor"]).succeeded();
}

/// No kill has left a gap in it, or an entry twice.
fn the_audit_log_is_one_chain(home: &Home) {
    let export = home.data().join("audit.jsonl");
    let export = export.to_str().unwrap();
    home.run(&["audit", "export", "--out", export]).succeeded();
    let told = home.run(&["audit", "verify", export]).succeeded().out;
    assert!(told.contains("Whole and unaltered"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_is_killed_leaves_data_that_the_next_one_can_use() {
    let entropy = Entropy::seeded(7);
    let home = Home::new();
    for kill in 0..12 {
        let server =
            Server::spawn_unready(&mut home.command(&["serve", "--listen", "127.0.0.1:0"]));
        tokio::time::sleep(Duration::from_millis(u64::from(5 + entropy.below(10 + 25 * kill))))
            .await;
        server.kill();
    }
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let license = operator.issue(1).await;
    operator.acquire(&license, "machine").await.expect(&[201]);
    operator.activate(&license, "machine").await.expect(&[201]);
    server.stop();
    home.run(&["doctor"]).succeeded();
}

/// The check itself: a database that is set back to an earlier state must not pass.
#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_notices_when_acknowledged_answers_are_lost() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let ledger = Ledger::new(&operator).await;
    server.stop();
    let earlier = std::fs::read(home.database()).unwrap();

    let server = home.start();
    let load = Load::start(&ledger, &operator.at(&server), WORKERS, 1);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(load.finish().await);
    ledger.check(&operator.at(&server)).await;
    server.stop();
    std::fs::write(home.database(), earlier).unwrap();

    let server = home.start();
    let operator = operator.at(&server);
    let checked = tokio::spawn(async move { ledger.check(&operator).await }).await;
    assert!(checked.unwrap_err().is_panic());
}
