//! The server itself: overview, jobs, mail, keys, backups, audit log, settings.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use serde_json::json;

use crate::support::{OPERATOR, PATIENCE, run, text, until};
use crate::{Desk, row};

#[tokio::test]
async fn a_server_is_looked_after_from_the_command_line() {
    let desk = Desk::open().await;

    let overview = desk.says("overview");
    assert!(row(&overview, "Storage").ends_with("writable"), "{overview}");
    assert!(row(&overview, "Signing key").contains("ready"), "{overview}");
    assert_eq!(desk.json("overview")["users"], 1);

    keys(&desk);
    backups(&desk);
    audit(&desk);
    settings(&desk);
    mail_and_jobs(&desk).await;
    log(&desk);
}

fn log(desk: &Desk) {
    let lines = desk.says("log --limit 5");
    assert_eq!(lines.lines().count(), 5, "{lines}");
    let items = desk.items("log --limit 5");
    assert_eq!(items.len(), 5);
    let numbers: Vec<_> = items.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|newer, older| newer > older), "{numbers:?}");
    assert!(!desk.items("log --all --level info").is_empty());
    let grave = desk.items("log --all --level warn");
    assert!(grave.iter().all(|line| line["level"] != "info"), "{grave:?}");
    assert!(desk.items("log --query 'no line says this'").is_empty());

    // Followed, new lines come as they are written.
    let mut command = desk.home.command(&["log", "--follow", "--limit", "1"]);
    let mut follower = command.stdout(Stdio::piped()).spawn().unwrap();
    let (told, lines) = mpsc::channel();
    let out = BufReader::new(follower.stdout.take().unwrap());
    thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
    desk.says("plan create Followed --seats 1 --monthly 1 --currency EUR");
    while !lines.recv_timeout(PATIENCE).expect("the line comes").contains("create_plan") {}
    follower.kill().unwrap();
    follower.wait().unwrap();
}

fn keys(desk: &Desk) {
    let purposes = |desk: &Desk| -> Vec<String> {
        desk.items("key list").iter().map(|key| text(&key["purpose"])).collect()
    };
    let before = purposes(desk);
    assert!(before.contains(&"license".to_owned()), "{before:?}");
    let kid = text(&desk.json("key rotate")["kid"]);
    assert!(row(&desk.says("key list"), &kid).contains("signs"));
    assert_eq!(purposes(desk).len(), before.len() + 1);
}

fn backups(desk: &Desk) {
    assert!(desk.run("backup list").succeeded().err.contains("coditect backup create"));
    desk.refuses("backup download latest", 3, "coditect backup create");
    let made = desk.json("backup create");
    let name = text(&made["file"]);
    assert!(desk.says("backup list").contains(&name));
    let newer = text(&desk.json("backup create")["file"]);
    let one = desk.run("backup list --limit 1").succeeded();
    assert!(one.out.contains(&newer) && !one.out.contains(&name), "{}", one.out);
    assert!(one.err.contains("There are more"), "{}", one.err);
    desk.says(&format!("backup remove {newer} --yes"));

    // Fetched whole, for its owner alone, and never over something else.
    let file = desk.home.path().join("fetched.backup");
    let fetch = format!("backup download {name} --out {}", file.display());
    let told = desk.says(&fetch);
    assert!(told.contains(file.to_str().unwrap()), "{told}");
    let kept = desk.home.data().join("backups").join(&name);
    assert!(fs::read(&file).unwrap() == fs::read(kept).unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    desk.refuses(&fetch, 1, "exists already");
    // What lies where it is written meanwhile may be somebody's, open to all.
    let again = desk.home.path().join("again.backup");
    let (theirs, part) = (desk.home.path().join("theirs"), again.with_extension("backup.part"));
    fs::write(&theirs, "").unwrap();
    std::os::unix::fs::symlink(&theirs, &part).unwrap();
    let fetch = format!("backup download latest --out {}", again.display());
    desk.refuses(&fetch, 1, "again.backup.part: ");
    assert_eq!(fs::metadata(&theirs).unwrap().len(), 0);
    fs::remove_file(&part).unwrap();
    desk.says(&fetch);
    assert!(again.exists() && !part.exists());
    let nothing = desk.home.path().join("nothing");
    desk.refuses(
        &format!("backup download nothing --out {}", nothing.display()),
        3,
        "there is no backup nothing",
    );
    assert!(!nothing.exists() && !nothing.with_extension("part").exists());

    // Straight to a file, as a timer does.
    let today = desk.home.path().join("today.cdt");
    assert!(desk.says(&format!("backup {}", today.display())).contains("master.key"));
    assert!(today.exists());

    desk.refuses(&format!("backup remove {name}"), 2, "Add --yes");
    desk.says(&format!("backup remove {name} --yes"));
    assert!(desk.items("backup list").is_empty());
    desk.refuses(&format!("backup remove {name} --yes"), 3, "(not_found)");
    desk.refuses("backup remove ../../coditect.redb --yes", 3, "(not_found)");
    desk.refuses("backup restore nothing", 2, "Add --yes");
    desk.refuses("backup restore nothing --yes", 3, "(not_found)");
}

fn audit(desk: &Desk) {
    let list = desk.says("audit list");
    assert!(row(&list, "backup.removed").contains("local"), "{list}");
    assert_eq!(desk.items("audit list --limit 2").len(), 2);
    let of_operator = desk.items(&format!("audit list --subject {OPERATOR}"));
    let id = text(&desk.items("user list")[0]["user_id"]);
    assert!(!of_operator.is_empty());
    assert!(of_operator.iter().all(|entry| entry["subject"] == *id), "{of_operator:?}");
    let signs_in = desk.items("audit list --action license. --limit 2");
    assert!(signs_in.iter().all(|entry| text(&entry["action"]).starts_with("license.")));
    assert!(desk.items("audit list --to 2020-01-01").is_empty());
    assert_eq!(desk.json("audit status")["sound"], true);
    assert!(row(&desk.says("audit status"), "Sound").contains("yes"));

    // An export is proved with the keys of the server, or with a key in a file and no server at all.
    let file = desk.home.path().join("audit.jsonl");
    let name = file.to_str().unwrap();
    desk.says(&format!("audit export --out {name}"));
    desk.refuses(&format!("audit export --out {name}"), 1, "is there already");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(desk.says(&format!("audit verify {name}")).starts_with("Whole and unaltered."));
    let keys = desk.items("key list");
    let signs =
        keys.iter().find(|key| key["purpose"] == "license" && key["retired_at"].is_null()).unwrap();
    let pem = desk.home.path().join("public.pem");
    fs::write(&pem, text(&signs["public_key_pem"])).unwrap();
    let pem = pem.to_str().unwrap();
    let verify = ["audit", "verify", name, "--key", pem, "--json"];
    let told: serde_json::Value = serde_json::from_str(&run(&verify).succeeded().out).unwrap();
    assert_eq!((&told["whole"], &told["first_seq"]), (&json!(true), &json!(1)), "{told}");

    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, whole.replacen("key.created", "key.rotated", 1)).unwrap();
    run(&["audit", "verify", name, "--key", pem]).ended_with(7, "was changed");
    let lines: Vec<&str> = whole.lines().collect();
    fs::write(&file, lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    run(&["audit", "verify", name, "--key", pem]).ended_with(7, "was cut off after entry");
    let other = keys.iter().find(|key| key["purpose"] == "access").unwrap();
    fs::write(&file, whole).unwrap();
    fs::write(pem, text(&other["public_key_pem"])).unwrap();
    run(&["audit", "verify", name, "--key", pem]).ended_with(1, "with a key that was not given");
    assert!(desk.says("audit export --csv --action key.").starts_with("seq,at,actor"));
}

fn settings(desk: &Desk) {
    // As a server would have them that is started so ...
    let shown = desk.says("config show --listen 127.0.0.1:1");
    assert!(row(&shown, "server.listen").contains("flag --listen"), "{shown}");
    assert!(row(&shown, "admin.password").contains("(set)"), "{shown}");
    let json = desk.items("config show");
    let setting = |key: &str| json.iter().find(|setting| setting["key"] == key).unwrap();
    assert_eq!(setting("log.level")["source"], "default");
    assert!(
        json.iter().all(|setting| setting["source"].is_string()),
        "every setting has its source"
    );
    // ... and as the running one has them.
    let running = desk.says("config show --running");
    assert!(row(&running, "server.listen").contains("127.0.0.1:0"), "{running}");

    let file = desk.home.path().join("coditect.toml");
    fs::write(&file, desk.says("config init")).unwrap();
    let from_file = desk.items(&format!("config show --config {}", file.display()));
    assert_eq!(from_file.len(), json.len(), "the documented file is a good one");
}

async fn mail_and_jobs(desk: &Desk) {
    let client = desk.server.client();
    let body =
        json!({"email": "ada@example.com", "password": "plum-harbour-otter", "full_name": "Ada"});
    client.post("/api/v1/auth/register", body).await.expect(&[201]);
    until("the mail is sent", async || {
        row(&desk.says("mail list"), "ada@example.com").contains("sent")
    })
    .await;
    assert_eq!(desk.items("mail list")[0]["message"], "verify_email");

    let id = text(&desk.items("mail list --status sent")[0]["mail_id"]);
    let mail = desk.says(&format!("mail show {id}"));
    assert!(row(&mail, "To").ends_with("ada@example.com"), "{mail}");
    assert!(mail.lines().count() > 10, "the text is shown: {mail}");
    assert!(desk.json(&format!("mail show {id}"))["html"].is_string());
    assert!(desk.items("mail list --status parked").is_empty());
    desk.refuses(&format!("mail retry {id}"), 5, "(mail_state)");
    desk.refuses("mail show 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", 3, "(not_found)");

    assert!(desk.says("job list").contains("housekeeping"));
    assert!(desk.run("job list --parked").succeeded().err.contains("No job is parked"));
    assert_eq!(desk.json("job retry --all"), json!({"items": []}));
    assert_eq!(desk.says("job retry --all"), "No job is parked.\n");
    desk.refuses("job retry 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", 3, "(not_found)");
    desk.refuses("job retry ../overview", 3, "(not_found)");
}
