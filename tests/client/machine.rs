//! One machine is one seat of a licence, however many programs it runs.

use std::fs;

use rustix::process::Signal;

use coditect::client::HardwareId;

use crate::holder::{Running, Site, script};
use crate::support::text;

#[tokio::test(flavor = "multi_thread")]
async fn the_hardware_id_is_the_same_at_every_start_and_another_for_each_licence() {
    let site = Site::new().await;
    let (one, other) = (site.operator.issue(1).await, site.operator.issue(1).await);
    let mut ids = Vec::new();
    for license in [&one, &one, &other] {
        let mut running =
            Running::start(script(site.seat_run(license), &[], "echo up; exec sleep 60"));
        running.says("up");
        ids.push(text(&site.holder(license).await["hardware_id"]));
        running.signal(Signal::TERM);
        running.wait();
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert_eq!(ids[0], HardwareId::of_this_machine(&one.key).unwrap().as_str());
    assert_eq!(ids[0], HardwareId::of_this_machine(&one.key.to_lowercase()).unwrap().as_str());
    let machine_id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    assert!(machine_id.trim().is_empty() || !ids[0].contains(machine_id.trim()));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_one_machine_share_its_seat_and_the_last_gives_it_back() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let start = || {
        let running =
            Running::start(script(site.seat_run(&license), &[], "echo up; exec sleep 60"));
        running.says("up");
        running
    };
    let (mut first, mut second) = (start(), start());
    let session = text(&site.holder(&license).await["session_id"]);
    first.signal(Signal::TERM);
    first.ends_with(128 + 15);
    assert_eq!(
        text(&site.holder(&license).await["session_id"]),
        session,
        "the second still has it"
    );
    let mut third = start();
    // However a program ends, it no longer counts.
    third.signal(Signal::KILL);
    third.wait();
    second.signal(Signal::TERM);
    second.ends_with(128 + 15);
    assert_eq!(site.used(&license).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_and_ending_side_by_side_never_leaves_one_without() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let lines: Vec<_> = (0..4)
        .map(|_| {
            let (site_url, license) = (site.url(), license.clone());
            tokio::task::spawn_blocking(move || {
                for _ in 0..8 {
                    let command = crate::holder::seat_run(&site_url, &license);
                    let ended = script(command, &[], "true").output().unwrap();
                    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
                }
            })
        })
        .collect();
    for line in lines {
        line.await.unwrap();
    }
    assert_eq!(site.used(&license).await, 0);
}
