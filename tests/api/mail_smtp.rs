//! Mails over SMTP, taken and refused by a mail server that nobody here wrote: `aiosmtpd`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::*;

const RETRY: Duration = Duration::from_secs(30);

/// A mail server of its own process, and the folder where it keeps what it takes.
struct Smtpd {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Smtpd {
    fn start(args: &[&str]) -> Self {
        Self::start_at(0, args)
    }

    fn start_at(port: u16, args: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(root.join(".venv/bin/python"))
            .arg(root.join("tests/python/smtpd.py"))
            .arg(port.to_string())
            .arg(folder.path())
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("no .venv/bin/python: run `tests/all.sh tools`");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready ").expect("ready").parse().unwrap();
        Self { process, port, folder }
    }

    /// What it took, in order: what the envelope said, and the message.
    fn taken(&self) -> Vec<(Value, Vec<u8>)> {
        let entries = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut mails: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        mails.sort();
        let read = |path: PathBuf| {
            let about = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            (about, fs::read(path.with_extension("eml")).unwrap())
        };
        mails.into_iter().map(read).collect()
    }

    fn stop(mut self) -> u16 {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.port
    }
}

impl Drop for Smtpd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A certificate for `localhost` and the authority that signed it.
pub struct Certificates(TempDir);

impl Certificates {
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |args: &str| {
            let made = Command::new("openssl")
                .args(args.split(' '))
                .current_dir(folder.path())
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca"));
        openssl(&format!(
            "req -x509 {key} -keyout key.pem -out cert.pem -subj /CN=localhost -CA ca.pem -CAkey ca.key \
             -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost"
        ));
        Self(folder)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

fn setup(smtpd: &Smtpd) -> Setup {
    Setup::usual()
        .set("MAIL_TRANSPORT", "smtp")
        .set("MAIL_FROM", "Example Licensing <licensing@vendor.example>")
        .set("MAIL_SMTP_HOST", "localhost")
        .set("MAIL_SMTP_PORT", &smtpd.port.to_string())
        .set("MAIL_SMTP_SECURITY", "none")
        .set("MAIL_SMTP_TIMEOUT_S", "5")
        .set("JOBS_MAX_ATTEMPTS", "3")
        .set("JOBS_RETRY_BASE_S", "30")
}

/// The newest mail to an address, with its attempts.
async fn mail_to(app: &TestApp, to: &str) -> Value {
    app.settle().await;
    let operator = app.operator().await;
    let log = operator.get("/api/v1/admin/emails").await.list();
    let mail = log.iter().find(|mail| mail["to"] == to).unwrap_or_else(|| panic!("{to}: {log:?}"));
    operator.get(&format!("/api/v1/admin/emails/{}", text(&mail["mail_id"]))).await.ok(200)
}

/// What became of each attempt.
fn outcomes(mail: &Value) -> Vec<String> {
    let log = mail["attempt_log"].as_array().unwrap();
    log.iter().map(|attempt| text(&attempt["outcome"])).collect()
}

fn last_answer(mail: &Value) -> String {
    text(&mail["attempt_log"].as_array().unwrap().last().unwrap()["answer"])
}

async fn doctors_word(app: &TestApp) -> Value {
    let report = app.operator().await.get("/api/v1/admin/diagnostics").await.ok(200);
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "mail").unwrap().clone()
}

#[tokio::test]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn a_mail_is_handed_over_once_under_the_name_that_it_keeps() {
    let smtpd = Smtpd::start(&[]);
    let app = setup(&smtpd).start().await;
    app.register("ok+zoe@customer.example").await.ok(201);
    let mail = mail_to(&app, "ok+zoe@customer.example").await;
    assert_eq!(
        (&mail["status"], outcomes(&mail), last_answer(&mail)),
        (&json!("sent"), vec!["taken".to_owned()], "250 2.0.0 accepted".to_owned())
    );
    assert_eq!(mail["attempt_log"][0]["transport"], "smtp");
    let taken = smtpd.taken();
    assert_eq!(taken.len(), 1);
    let (about, bytes) = &taken[0];
    assert_eq!(about["from"], "licensing@vendor.example");
    assert_eq!(about["message_id"], format!("<{}@vendor.example>", text(&mail["mail_id"])));
    assert!(bytes.is_ascii(), "any mail server takes it");
    let read = Mail::read(bytes);
    assert_eq!(
        (read.to.as_str(), read.from.as_str()),
        ("ok+zoe@customer.example", "licensing@vendor.example")
    );
    assert!(!read.token().is_empty() && read.html.contains("Confirm"));
    assert_eq!(doctors_word(&app).await["state"], "ok");
}

#[tokio::test]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn a_recipient_refused_for_good_is_parked_at_once_with_the_servers_words() {
    let smtpd = Smtpd::start(&[]);
    let app = setup(&smtpd).leaving_parked_jobs().start().await;
    for (to, answer) in [
        ("r550@customer.example", "550 5.1.1 no such user"),
        ("d554@customer.example", "554 5.7.1 refused"),
    ] {
        app.register(to).await.ok(201);
        let mail = mail_to(&app, to).await;
        assert_eq!(
            (&mail["status"], outcomes(&mail)),
            (&json!("parked"), vec!["refused".to_owned()]),
            "{mail}"
        );
        assert!(last_answer(&mail).contains(answer), "{mail}");
    }
    assert_eq!(doctors_word(&app).await["state"], "ok", "the transport is well");
}

#[tokio::test]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn what_may_pass_is_tried_again_up_to_the_limit() {
    let smtpd = Smtpd::start(&["--slow", "4"]);
    let app = setup(&smtpd).set("MAIL_SMTP_TIMEOUT_S", "1").leaving_parked_jobs().start().await;
    let kinds = ["r421", "r450", "d452", "drop", "dropdata", "slow", "slowdata", "flaky2"];
    for kind in kinds {
        app.register(&format!("{kind}@customer.example")).await.ok(201);
    }
    for kind in kinds {
        let mail = mail_to(&app, &format!("{kind}@customer.example")).await;
        assert_eq!(
            (&mail["status"], outcomes(&mail)),
            (&json!("waiting"), vec!["failed".to_owned()]),
            "{mail}"
        );
    }
    let slow = mail_to(&app, "slow@customer.example").await;
    assert!(last_answer(&slow).contains("within 1 s"), "{slow}");
    app.advance(RETRY).await;
    app.advance(2 * RETRY).await;
    for kind in kinds {
        let mail = mail_to(&app, &format!("{kind}@customer.example")).await;
        let end = if kind == "flaky2" { "sent" } else { "parked" };
        assert_eq!((&mail["status"], outcomes(&mail).len()), (&json!(end), 3), "{mail}");
    }
    // The answer was lost and not the mail: whoever has it thrice can tell by its name.
    let ids = smtpd
        .taken()
        .into_iter()
        .filter(|(about, _)| about["to"][0] == "dropdata@customer.example");
    let ids: Vec<_> = ids.map(|(about, _)| about["message_id"].clone()).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn a_wrong_password_is_no_recipients_fault_and_everything_leaves_once_it_is_right() {
    let certificates = Certificates::make();
    let (cert, key) = (certificates.path("cert.pem"), certificates.path("key.pem"));
    let smtpd = Smtpd::start(&["--starttls", &cert, &key, "--auth", "licensing", "another"]);
    let app = setup(&smtpd)
        .set("MAIL_SMTP_SECURITY", "starttls")
        .set("MAIL_SMTP_CA_FILE", &certificates.path("ca.pem"))
        .set("MAIL_SMTP_USER", "licensing")
        .set("MAIL_SMTP_PASSWORD", "plum-harbour-otter")
        .start()
        .await;
    app.register("ok@customer.example").await.ok(201);
    for _ in 0..6 {
        app.advance(Duration::from_mins(10)).await;
    }
    let mail = mail_to(&app, "ok@customer.example").await;
    assert_eq!((&mail["status"], app.parked()), (&json!("waiting"), 0), "{mail}");
    assert!(outcomes(&mail).len() > 3 && last_answer(&mail).contains("535"), "{mail}");
    assert!(!mail.to_string().contains("plum-harbour"), "{mail}");
    let check = doctors_word(&app).await;
    assert_eq!(check["state"], "problem");
    assert!(text(&check["found"]).contains("sign in"), "{check}");

    let port = smtpd.stop();
    let args = ["--starttls", &cert, &key, "--auth", "licensing", "plum-harbour-otter"];
    let smtpd = Smtpd::start_at(port, &args);
    app.advance(Duration::from_mins(10)).await;
    let mail = mail_to(&app, "ok@customer.example").await;
    assert_eq!(mail["status"], "sent", "{mail}");
    let (about, _) = &smtpd.taken()[0];
    assert_eq!((&about["tls"], &about["signed_in"]), (&json!(true), &json!(true)));
    assert_eq!(doctors_word(&app).await["state"], "ok");
}

#[tokio::test]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn implicit_tls_needs_a_certificate_that_is_trusted() {
    let certificates = Certificates::make();
    let (cert, key) = (certificates.path("cert.pem"), certificates.path("key.pem"));
    let smtpd = Smtpd::start(&["--tls", &cert, &key, "--auth", "licensing", "plum-harbour-otter"]);
    let encrypted = || {
        setup(&smtpd)
            .set("MAIL_SMTP_SECURITY", "tls")
            .set("MAIL_SMTP_USER", "licensing")
            .set("MAIL_SMTP_PASSWORD", "plum-harbour-otter")
    };
    let app = encrypted().start().await;
    app.register("ok@customer.example").await.ok(201);
    let mail = mail_to(&app, "ok@customer.example").await;
    assert_eq!(mail["status"], "waiting", "{mail}");
    assert!(last_answer(&mail).contains("certificate"), "{mail}");
    assert!(smtpd.taken().is_empty());
    drop(app);

    let app = encrypted().set("MAIL_SMTP_CA_FILE", &certificates.path("ca.pem")).start().await;
    app.register("ok@customer.example").await.ok(201);
    assert_eq!(mail_to(&app, "ok@customer.example").await["status"], "sent");
}

#[tokio::test]
#[ignore = "needs python packages: run by tests/all.sh"]
async fn a_server_that_is_away_or_does_not_relay_holds_mails_back_and_parks_none() {
    let smtpd = Smtpd::start(&[]);
    let app = setup(&smtpd).start().await;
    app.register("relay@customer.example").await.ok(201);
    let mail = mail_to(&app, "relay@customer.example").await;
    assert_eq!((&mail["status"], app.parked()), (&json!("waiting"), 0), "{mail}");
    let check = doctors_word(&app).await;
    assert_eq!(check["state"], "warning", "it answers now, and refused us before: {check}");

    let port = smtpd.stop();
    app.register("ok@customer.example").await.ok(201);
    assert_eq!(outcomes(&mail_to(&app, "ok@customer.example").await), ["failed"]);
    app.register("ok+2@customer.example").await.ok(201);
    let second = mail_to(&app, "ok+2@customer.example").await;
    assert_eq!(outcomes(&second), [""; 0], "the first has just found that nobody is there");
    for _ in 0..5 {
        app.advance(Duration::from_mins(10)).await;
    }
    assert_eq!(mail_to(&app, "ok@customer.example").await["status"], "waiting");
    assert_eq!(doctors_word(&app).await["state"], "problem");
    let smtpd = Smtpd::start_at(port, &[]);
    app.advance(Duration::from_mins(10)).await;
    for to in ["ok@customer.example", "ok+2@customer.example"] {
        assert_eq!(mail_to(&app, to).await["status"], "sent");
    }
    assert_eq!(smtpd.taken().len(), 2);
}
