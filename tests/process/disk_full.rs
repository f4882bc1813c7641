//! A disk that takes no more: writes are refused honestly, everything else goes on, and
//! writing resumes by itself.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::json;

use crate::ledger::{Ledger, Load};
use crate::support::{Client, Home, Server, text, until};

/// Tries to bind machines until a write is refused; how the refusal reads, and who was bound before.
async fn write_until_refused(operator: &Client, ledger: &Ledger) -> Vec<String> {
    let license = ledger.license(0);
    let mut bound = Vec::new();
    for number in 0..200_000 {
        let machine = format!("filler-{number}-{}", "x".repeat(200));
        let answer = operator.activate(license, &machine).await;
        match answer.status {
            201 => bound.push(machine),
            503 => {
                assert_eq!(answer.code(), "storage_unavailable", "{answer:?}");
                assert!(answer.retry_after.is_some(), "{answer:?}");
                return bound;
            }
            _ => panic!("{answer:?}"),
        }
    }
    panic!("the disk is never full")
}

/// The whole story on a server whose disk can be filled and freed.
async fn ordeal(home: &Home, server: Server, fill: impl Fn(&Server), free: impl Fn(&Server)) {
    server.signing_key().await;
    let operator = server.operator().await;
    let ledger = Ledger::new(&operator).await;
    let load = Load::start(&ledger, &operator, 4, 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(load.finish().await);
    let spare = operator.issue(1).await;
    let seat = operator.acquire(&spare, "holder").await.expect(&[201]);
    let session = text(&seat["session_id"]);
    let backup = operator.post("/api/v1/admin/backups", json!({})).await.expect(&[201]);
    let backup = format!("/api/v1/admin/backups/{}", text(&backup["file"]));

    fill(&server);
    let bound = write_until_refused(&operator, &ledger).await;

    // Reads and heartbeats go on, and what was acknowledged is there.
    let ready = operator.get("/health/ready").await;
    assert_eq!((ready.status, &ready.body["status"]), (503, &"degraded".into()), "{ready:?}");
    assert!(!text(&ready.body["storage"]["reason"]).is_empty(), "{ready:?}");
    operator.get("/health/live").await.expect(&[200]);
    for _ in 0..20 {
        assert_eq!(operator.heartbeat(&session).await.expect(&[200])["status"], "alive");
    }
    ledger.check(&operator).await;
    let machines = operator.machines(ledger.license(0)).await;
    assert!(bound.iter().all(|machine| machines.contains(machine)));

    // Every kind of write is refused alike; clients that go on asking do no harm.
    let refused = operator.release(&session).await;
    assert_eq!((refused.status, refused.code()), (503, "storage_unavailable"), "{refused:?}");
    assert!(refused.retry_after.is_some());
    let load = Load::start(&ledger, &operator, 4, 2);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(load.finish().await);
    assert!(ledger.counts().1 > 0, "writes were refused");
    let doctor = home.run(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1), "{}", doctor.out);
    assert!(doctor.out.contains("writes are refused"), "{}", doctor.out);

    // Backups are what is wanted now: one can be fetched, and removed to make room.
    operator.get(&backup).await.expect(&[200]);
    operator.call(Method::DELETE, &backup, None).await.unwrap().expect(&[200]);

    // With room again it goes on by itself.
    free(&server);
    until("writes are taken again", async || operator.get("/health/ready").await.status == 200)
        .await;
    let load = Load::start(&ledger, &operator, 4, 3);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(load.finish().await);
    let answers = ledger.counts();
    ledger.check(&operator).await;
    operator.activate(ledger.license(0), "after").await.expect(&[201]);
    assert!(answers.0 > 0);

    server.stop();
    let server = home.start();
    let operator = operator.at(&server);
    ledger.check(&operator).await;
    let machines = operator.machines(ledger.license(0)).await;
    assert!(bound.iter().all(|machine| machines.contains(machine)));
    assert!(machines.contains(&"after".to_owned()));
}

/// The limit on the size of files that the process may write, as a disk that takes nothing.
fn limit_writes(server: &Server, bytes: Option<u64>) {
    let pid = Some(server.os_pid());
    let now = rustix::process::getrlimit(Resource::Fsize);
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: now.maximum }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_file_can_be_written_writes_are_refused_and_all_else_goes_on() {
    // Without this the system ends a process that writes beyond the limit.
    let home = Home::new().launched_by(&["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    let server = home.start();
    ordeal(
        &home,
        server,
        |server| limit_writes(server, Some(0)),
        |server| limit_writes(server, None),
    )
    .await;
}

/// A small file system in memory; taken away when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where mounting is not permitted.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m,mode=700", "coditect-test"])
            .arg(at)
            .output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).unwrap();
        // Ever smaller pieces, until not a byte more fits.
        let mut piece = vec![0x5a; 1 << 20];
        while !piece.is_empty() {
            if ballast.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Says so where the test cannot be run.
fn small_disk(home: &Home) -> Option<SmallDisk> {
    let disk = SmallDisk::mount(&home.data());
    if disk.is_none() {
        eprintln!("skipped: mounting a tmpfs is not permitted here; the limit on files is tested");
    }
    disk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_on_a_full_disk_and_keeps_what_was_acknowledged() {
    let home = Home::new();
    let Some(disk) = small_disk(&home) else { return };
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let license = operator.issue(1).await;
    let seat = operator.acquire(&license, "holder").await.expect(&[201]);
    server.kill();
    disk.fill();
    let server = home.start();
    let operator = operator.at(&server);
    operator.heartbeat(&text(&seat["session_id"])).await.expect(&[200]);
    assert_eq!(operator.emails().await.len(), 1);
    disk.free();
    until("writes are taken", async || operator.activate(&license, "holder").await.status == 201)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_writes_are_refused_and_all_else_goes_on() {
    let home = Home::new();
    let Some(disk) = small_disk(&home) else { return };
    let server = home.start();
    ordeal(&home, server, |_| disk.fill(), |_| disk.free()).await;
}
