//! What a customer's mail program shows of a mail that came over TLS, by a mail server and a reader
//! that nobody here wrote: `MailDev`'s.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::keys::verified;
use crate::mail_smtp::Certificates;
use crate::support::{PUBLIC_URL, Setup, TestApp, eventually, text};

const ANN: &str = "ann@customer.example";
const USER: &str = "licensing";
const PASSWORD: &str = "plum-harbour-otter";

/// The mail server in a process of its own, and the folder where it tells what came.
struct MailDev {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl MailDev {
    fn start(certificates: &Certificates) -> Self {
        let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
        let there = browser.join("node_modules/@maildev/smtp").exists();
        assert!(there, "there is no MailDev: run `tests/all.sh tools`");
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new("node")
            .arg(browser.join("maildev.js"))
            .arg(folder.path())
            .args([&certificates.path("cert.pem"), &certificates.path("key.pem")])
            .args([USER, PASSWORD])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready ").expect("ready").parse().unwrap();
        Self { process, port, folder }
    }

    /// What came, in order.
    fn mails(&self) -> Vec<Value> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut told: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        told.retain(|path| path.extension().is_some_and(|end| end == "json"));
        told.sort();
        let read = |path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        told.iter().map(read).collect()
    }

    /// The mail whose subject begins so.
    async fn mail(&self, subject: &str) -> Value {
        let found =
            || self.mails().into_iter().find(|mail| text(&mail["subject"]).starts_with(subject));
        eventually(subject, || found().is_some()).await;
        found().unwrap()
    }
}

impl Drop for MailDev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn start(maildev: &MailDev, certificates: &Certificates) -> TestApp {
    Setup::usual()
        .set("MAIL_TRANSPORT", "smtp")
        .set("MAIL_FROM", "Éxample Licensing <licensing@vendor.example>")
        .set("MAIL_SMTP_HOST", "localhost")
        .set("MAIL_SMTP_PORT", &maildev.port.to_string())
        .set("MAIL_SMTP_SECURITY", "tls")
        .set("MAIL_SMTP_CA_FILE", &certificates.path("ca.pem"))
        .set("MAIL_SMTP_USER", USER)
        .set("MAIL_SMTP_PASSWORD", PASSWORD)
        .start()
        .await
}

/// What every mail is, whatever it says.
fn check(mail: &Value) {
    let subject = text(&mail["subject"]);
    assert_eq!(mail["from"][0]["address"], "licensing@vendor.example", "{subject}");
    assert_eq!(mail["from"][0]["name"], "Éxample Licensing", "{subject}");
    assert_eq!(mail["to"], json!([{"address": ANN, "name": ""}]), "{subject}");
    assert_eq!(mail["headers"]["auto-submitted"], "auto-generated", "{subject}");
    let id = text(&mail["headers"]["message-id"]);
    assert!(id.starts_with('<') && id.ends_with("@vendor.example>"), "{subject}: {id}");
    // Nothing is taken out of it for safety, and nothing is fetched to show it.
    let tags = |html: &Value| {
        let html = text(html);
        let tags = html.split('<').filter_map(|rest| {
            rest.split(|c: char| !c.is_ascii_alphanumeric()).next().filter(|tag| !tag.is_empty())
        });
        let mut tags: Vec<String> = tags.map(str::to_ascii_lowercase).collect();
        tags.retain(|tag| tag != "tbody" && tag != "meta");
        tags
    };
    assert_eq!(tags(&mail["shown"]), tags(&mail["html"]), "{subject}");
    let html = text(&mail["html"]);
    for active in ["<script", "<img", "<link", "url(", "@import"] {
        assert!(!html.contains(active), "{subject}: {active} in {html}");
    }
}

#[tokio::test]
#[ignore = "needs npm packages: run by tests/all.sh"]
async fn a_mail_reader_shows_the_licence_and_its_file_as_they_were_sent() {
    let certificates = Certificates::make();
    let maildev = MailDev::start(&certificates);
    let app = start(&maildev, &certificates).await;
    let plan = app.plan("Größe <L> & Söhne", 2).await;
    app.register(ANN).await.ok(201);
    let confirm = maildev.mail("Confirm").await;
    let said = text(&confirm["text"]);
    let (_, token) = said.split_once("token=").expect("a link with a token");
    let is_token = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
    let token: String = token.chars().take_while(is_token).collect();
    assert!(text(&confirm["shown"]).contains(&format!("token={token}\"")), "{confirm}");
    app.anyone.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok(200);
    let ann = app.sign_in(ANN).await;
    let wanted = json!({"plan_id": plan["plan_id"]});
    let trial = ann.post("/api/v1/subscriptions/trial", wanted).await.ok(201);
    app.settle().await;

    let mail = maildev.mail("Your licence for").await;
    let key = text(&trial["license"]["license_key"]);
    assert!(text(&mail["subject"]).ends_with("Größe <L> & Söhne"), "{mail}");
    let shown = text(&mail["shown"]);
    assert!(shown.contains(&key) && shown.contains("Größe &lt;L&gt; &amp; Söhne"), "{shown}");
    let words = text(&mail["text"]);
    assert!(words.contains(&key) && words.contains("Größe <L> & Söhne"), "{words}");
    assert!(words.contains(PUBLIC_URL), "{words}");
    let attachments = mail["attachments"].as_array().unwrap();
    let [file] = &attachments[..] else { panic!("the signed file: {mail}") };
    assert!(text(&file["filename"]).contains(".lic"), "{file}");
    let token: String =
        text(&file["text"]).lines().filter(|line| !line.starts_with("-----")).collect();
    let claims = verified(&app, &token, Algorithm::RS256).await;
    assert_eq!(claims["sub"], trial["license"]["license_id"]);
    maildev.mails().iter().for_each(check);
}
