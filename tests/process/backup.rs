//! `coditect backup` and `coditect restore`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::ledger::{Ledger, Load};
use crate::support::{Home, OPERATOR, files, text, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_restored_elsewhere_has_everything_acknowledged_before() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let socket = home.data().join("admin.sock");
    until("it can be asked", async || socket.exists()).await;
    let operator = server.operator().await;
    let ledger = Ledger::new(&operator).await;
    let steady = operator.issue(1).await;
    let seat = operator.acquire(&steady, "steady").await.expect(&[201]);
    let session = text(&seat["session_id"]);
    let load = Load::start(&ledger, &operator, 6, 1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = ledger.records();
    assert!(!before.0.is_empty() || !before.1.is_empty(), "the load was no load");

    let file = home.path().join("today.cdt");
    let named = file.to_str().unwrap();
    let told = tokio::task::block_in_place(|| home.run(&["backup", named])).succeeded().out;
    assert!(told.contains(named) && told.contains("master.key"), "{told}");
    assert!(load.finish().await, "nobody was disturbed");
    ledger.check(&operator).await;
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    // A backup replaces nothing: not an older one, and not the database.
    let kept = fs::read(&file).unwrap();
    home.run(&["backup", named]).failed_saying("exists already");
    home.run(&["backup", home.database().to_str().unwrap()]).failed_saying("exists already");
    assert!(fs::read(&file).unwrap() == kept);

    let elsewhere = Home::new();
    let beside = fs::read_dir(home.path()).unwrap().count();
    elsewhere.run(&["restore", named]).succeeded();
    assert_eq!(
        fs::read_dir(home.path()).unwrap().count(),
        beside,
        "nothing is left beside the backup"
    );
    fs::copy(home.master_key(), elsewhere.master_key()).unwrap();
    elsewhere.run(&["doctor"]).succeeded();
    let restored = elsewhere.start();
    let operator = operator.at(&restored);
    ledger.check_records(&operator, &before).await;
    operator.heartbeat(&session).await.expect(&[200]);
    operator.activate(&steady, "steady").await.expect(&[201]);
}

#[tokio::test]
async fn a_stopped_server_can_be_backed_up_and_put_back() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let license = operator.issue(1).await;
    server.stop();
    let file = home.path().join("stopped.cdt");
    let named = file.to_str().unwrap();
    home.run(&["backup", named]).succeeded();

    // What came after the backup is gone with the restore, and kept beside.
    let server = home.start();
    let later = operator.at(&server).issue(1).await;
    let running = server.pid();
    home.run(&["restore", named, "--yes"]).failed_saying(&format!("in use by process {running}"));
    server.stop();
    let present = fs::read(home.database()).unwrap();
    home.run(&["restore", named]).ended_with(2, "--yes");
    assert!(fs::read(home.database()).unwrap() == present, "not without being asked");
    let told = home.run(&["restore", named, "--yes"]).succeeded().out;
    let kept = home.data().join("coditect.redb.before-restore-1");
    assert!(told.contains(kept.to_str().unwrap()), "{told}");
    assert!(fs::read(kept).unwrap() == present);

    let server = home.start();
    let operator = operator.at(&server);
    operator.get(&format!("/api/v1/licenses/{}", license.id)).await.expect(&[200]);
    operator.get(&format!("/api/v1/licenses/{}", later.id)).await.expect(&[404]);
}

#[tokio::test]
async fn undoing_a_restore_brings_back_the_seats_of_the_last_moment() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let license = operator.issue(3).await;
    let file = home.path().join("before.cdt");
    home.run(&["backup", file.to_str().unwrap()]).succeeded();
    for machine in ["one", "two", "three"] {
        operator.acquire(&license, machine).await.expect(&[201]);
    }
    // So soon that the seats stand in the write-ahead log alone.
    server.kill();
    home.run(&["restore", file.to_str().unwrap(), "--yes"]).succeeded();
    let server = home.start();
    assert!(operator.at(&server).holders(&license).await.is_empty());
    server.stop();
    let kept = home.data().join("coditect.redb.before-restore-1");
    home.run(&["restore", kept.to_str().unwrap(), "--yes"]).succeeded();
    let server = home.start();
    let operator = operator.at(&server);
    assert_eq!(operator.holders(&license).await.len(), 3);
    assert_eq!(operator.acquire(&license, "four").await.status, 409);
}

#[tokio::test]
async fn what_is_no_backup_is_refused_before_anything_is_made() {
    let home = Home::new();
    let file = home.path().join("holiday.jpg");
    fs::write(&file, b"not a database").unwrap();
    let missing = home.path().join("missing.cdt");
    for path in [&file, &missing] {
        let before = files(home.path());
        let ended = home.run(&["restore", path.to_str().unwrap(), "--yes"]);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
        assert!(ended.err.contains(path.to_str().unwrap()), "{}", ended.err);
        assert!(files(home.path()) == before, "something was made");
    }
}

#[tokio::test]
async fn a_backup_without_its_master_key_does_not_start_and_says_what_is_missing() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    server.stop();
    let file = home.path().join("stopped.cdt");
    home.run(&["backup", file.to_str().unwrap()]).succeeded();
    let elsewhere = Home::new();
    elsewhere.run(&["restore", file.to_str().unwrap()]).succeeded();
    elsewhere.run(&["serve", "--listen", "127.0.0.1:0"]).failed_saying("master key file");
    assert!(!elsewhere.master_key().exists(), "no new key takes its place");
}

#[tokio::test]
async fn a_running_server_puts_a_backup_in_place_and_starts_again_by_itself() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let kept = operator.issue(2).await;
    let made = operator.post("/api/v1/admin/backups", json!({})).await.expect(&[201]);
    let undone = operator.issue(3).await;
    let file = text(&made["file"]);
    let path = format!("/api/v1/admin/backups/{file}/restore");
    operator.post(&path, json!({ "confirm": file })).await.expect(&[202]);
    until("the server is back, and does not know what came after the backup", async || {
        let asked = operator.try_post("/api/v1/licenses/acquire", undone.ask("hw-1")).await;
        asked.is_ok_and(|answer| answer.status == 404)
    })
    .await;
    operator.activate(&kept, "hw-1").await.expect(&[201]);
    let audit = operator.list("/api/v1/admin/audit").await;
    let told = audit.iter().find(|entry| entry["action"] == "backup.restored").expect("it is told");
    assert_eq!((&told["actor"], &told["actor_email"]), (&json!("user"), &json!(OPERATOR)));
    assert!(home.data().join("coditect.redb.before-restore-1").exists(), "what was there is kept");
    // The command line reaches the same process.
    let process = format!("process {}", server.pid());
    assert!(home.run(&["doctor"]).succeeded().out.contains(&process));
    server.stop();
}

#[tokio::test]
async fn a_running_server_refuses_a_backup_that_it_could_not_start_with() {
    let elsewhere = Home::new();
    let other = elsewhere.start();
    other.signing_key().await;
    let foreign = elsewhere.path().join("foreign");
    elsewhere.run(&["backup", foreign.to_str().unwrap()]).succeeded();
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    fs::copy(&foreign, home.data().join("backups/foreign.backup")).unwrap();
    let path = "/api/v1/admin/backups/foreign.backup/restore";
    let refused = operator.post(path, json!({ "confirm": "foreign.backup" })).await;
    assert_eq!((refused.status, refused.code()), (409, "backup_unusable"), "{:?}", refused.body);
    operator.issue(1).await;
    let asked = operator.list("/api/v1/admin/audit").await;
    assert!(asked.iter().all(|entry| entry["action"] != "backup.restore_asked"), "{asked:?}");
}

#[tokio::test]
async fn a_restore_that_fails_changes_nothing_and_is_told() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let made = operator.post("/api/v1/admin/backups", json!({})).await.expect(&[201]);
    let later = operator.issue(1).await;
    // In the way of the copy.
    fs::create_dir(home.data().join("coditect.redb.restoring")).unwrap();
    let file = text(&made["file"]);
    let path = format!("/api/v1/admin/backups/{file}/restore");
    operator.post(&path, json!({ "confirm": file })).await.expect(&[202]);
    let overview = async || operator.call(Method::GET, "/api/v1/admin/overview", None).await;
    let failed = |overview: &Value| {
        let all = overview["attention"].as_array().unwrap();
        all.iter().find(|item| item["code"] == "restore_failed").cloned()
    };
    until("the server is back, and says so", async || {
        overview().await.is_ok_and(|answer| failed(&answer.expect(&[200])).is_some())
    })
    .await;
    let told = failed(&overview().await.unwrap().body).unwrap();
    assert_eq!(told["severity"], "problem");
    assert!(text(&told["text"]).starts_with(&format!("{file} was not restored")), "{told}");
    operator.get(&format!("/api/v1/licenses/{}", later.id)).await.expect(&[200]);
    let audit = operator.get(&format!("/api/v1/admin/audit?subject={file}")).await.expect(&[200]);
    let audit = audit["items"].as_array().unwrap();
    let actions: Vec<_> = audit.iter().map(|entry| text(&entry["action"])).collect();
    assert_eq!(actions, ["backup.restore_failed", "backup.restore_asked"]);
    assert_eq!(audit[0]["actor_email"], OPERATOR);
    assert!(text(&audit[0]["details"]["why"]).contains("directory"), "{audit:?}");

    // With nothing in the way it works, and nothing more is said of it.
    fs::remove_dir(home.data().join("coditect.redb.restoring")).unwrap();
    operator.post(&path, json!({ "confirm": file })).await.expect(&[202]);
    until("the server is back with the backup", async || {
        overview().await.is_ok_and(|answer| failed(&answer.expect(&[200])).is_none())
    })
    .await;
    operator.get(&format!("/api/v1/licenses/{}", later.id)).await.expect(&[404]);
}

#[tokio::test]
async fn a_backup_beside_no_server_leaves_the_database_as_it_is_even_an_old_one() {
    let home = Home::new();
    fs::create_dir_all(home.data()).unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/schema-1.redb");
    fs::copy(fixture, home.database()).unwrap();
    let before = files(&home.data());
    let file = home.path().join("before-the-upgrade.cdt");
    home.run(&["backup", file.to_str().unwrap()]).succeeded();
    assert!(files(&home.data()) == before, "something was changed");
    let elsewhere = Home::new();
    let told = elsewhere.run(&["restore", file.to_str().unwrap()]).succeeded().out;
    assert!(told.contains("(schema 1)"), "{told}");
}

#[tokio::test]
async fn a_backup_beside_no_server_has_the_seats_of_the_last_moment() {
    let home = Home::new();
    let server = home.start();
    server.signing_key().await;
    let operator = server.operator().await;
    let license = operator.issue(3).await;
    for machine in ["one", "two", "three"] {
        operator.acquire(&license, machine).await.expect(&[201]);
    }
    server.kill();
    let file = home.path().join("after-a-crash.cdt");
    home.run(&["backup", file.to_str().unwrap()]).succeeded();
    home.run(&["restore", file.to_str().unwrap(), "--yes"]).succeeded();
    let server = home.start();
    assert_eq!(operator.at(&server).holders(&license).await.len(), 3);
}
