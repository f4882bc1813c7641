//! What a reader of our mails may rely on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::Mailbox;
use serde_json::{Value, json};

use crate::config::{Config, Flags};
use crate::domain::ids::MailId;
use crate::domain::time::Timestamp;
use crate::entropy::Entropy;

use super::messages::*;
use super::overrides::Overrides;
use super::render::{Branding, Templates, one_line};
use super::*;

const NOON: Timestamp = Timestamp(1_795_348_800_000);

fn renderer() -> Renderer {
    Renderer::new("CODITECT", "https://licensing.example.com")
}

/// As long as one is: a signature of 4096 bits makes 683 letters.
fn signed_license() -> String {
    format!("eyJhbGciOiJSUzI1NiJ9.{}.{}", "e30".repeat(150), "c2ln".repeat(171))
}

/// The one with this name.
fn sample(name: &str) -> Message {
    samples().into_iter().find(|message| message.name() == name).unwrap()
}

/// One of each, with the names of an awkward customer.
fn samples() -> Vec<Message> {
    let url = "https://licensing.example.com";
    let mut samples = samples::samples(url, "Zoë <b>O'Neil</b>", "Team & Co");
    for sample in &mut samples {
        if let Message::LicenseDelivered(delivery) = sample {
            delivery.signed_license = signed_license();
        }
    }
    samples
}

/// The other branches of every template that has some.
fn variants() -> Vec<Message> {
    let changed = [
        (
            "account_changed",
            "change",
            json!(["closed", "closed_by_operator", "reopened", "no_operator", "signed_out"]),
        ),
        ("org_deletion", "change", json!(["taken_back", "done"])),
        ("org_domain", "change", json!(["verified"])),
        ("org_transferred", "change", json!(["given"])),
        ("passkey_changed", "change", json!(["removed"])),
        ("second_factor_changed", "change", json!(["renewed", "app_removed", "removed", "off"])),
        ("identity_linked", "because", json!(["address"])),
        ("password_changed", "first", json!([true])),
        ("password_changed", "other_ways", json!([false])),
        ("license_delivered", "expiry_date", json!([null])),
        ("license_reinstated", "expiry_date", json!([null])),
        ("license_suspended", "reason", json!(["terms broken"])),
        ("account_created", "org_name", json!(["Loom Ltd"])),
        ("welcome", "org_name", json!(["Loom Ltd"])),
        ("provisioning_token_made", "expires_at", json!([null])),
        ("payment_recorded", "reference", json!([""])),
        ("payment_recorded", "credit", json!([true])),
        ("recovery_code_used", "left", json!([0, 1])),
        ("subscription_confirmed", "trialing", json!([true, false])),
        ("trial_ending", "charged", json!([true, false])),
    ];
    let mut variants = Vec::new();
    for (name, field, values) in changed {
        let sample: Value = serde_json::from_str(&sample(name).payload()).unwrap();
        for value in values.as_array().unwrap() {
            let mut payload = sample.clone();
            assert!(payload.get(field).is_some(), "{name} has no {field}");
            payload[field] = value.clone();
            variants.push(Message::decode(name, &payload.to_string()).unwrap());
        }
    }
    variants
}

/// What a paragraph of a page begins with, as it is read.
fn beginnings(html: &str) -> Vec<String> {
    let body = html.split_once("font-weight:600").unwrap().1;
    let body = body.split_once("border-top").unwrap().0;
    let mut paragraphs: Vec<_> = body.split("<p>").skip(1).collect();
    paragraphs.retain(|paragraph| !paragraph.starts_with('<'));
    let first_words = |paragraph: &str| {
        let text = paragraph.split('<').next().unwrap();
        let words = text.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
        let escaped =
            [("&lt;", "<"), ("&gt;", ">"), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")];
        escaped.iter().fold(words, |words, (entity, is)| words.replace(entity, is))
    };
    paragraphs.into_iter().map(first_words).collect()
}

/// minijinja takes the line break after a tag away, so that a blank line is easily lost.
#[test]
fn the_paragraphs_of_a_text_stand_apart_and_its_signature_does() {
    for message in samples().into_iter().chain(variants()) {
        let Rendered { text, html, .. } = renderer().render(&message).unwrap();
        let name = message.name();
        assert!(text.contains("\n\n--\nSent by the licensing server"), "{name}:\n{text}");
        let apart: Vec<String> = text
            .split("\n\n")
            .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for beginning in beginnings(&html) {
            let stands = apart.iter().any(|paragraph| paragraph.starts_with(&beginning));
            assert!(stands, "{name}: {beginning:?} begins no paragraph of\n{text}");
        }
    }
}

#[test]
fn every_message_reads_as_agreed() {
    for message in samples() {
        let Rendered { subject, text, html, .. } = renderer().render(&message).unwrap();
        let all = format!("Subject: {subject}\n\n{text}\n======== html ========\n{html}");
        insta::assert_snapshot!(message.name(), all);
    }
}

#[test]
fn every_branch_renders_whole_short_lined_and_escaped() {
    for message in samples().into_iter().chain(variants()) {
        let Rendered { subject, text, html, .. } = renderer().render(&message).unwrap();
        let name = message.name();
        assert!(!subject.is_empty() && !subject.contains('\n'), "{name}: {subject:?}");
        for part in [&subject, &text, &html] {
            for leftover in ["{{", "}}", "{%", "None", "undefined", "\n\n\n"] {
                assert!(!part.contains(leftover), "{name}: {leftover:?} in {part}");
            }
        }
        assert!(!html.contains("<b>"), "{name}: a customer's markup must stay text\n{html}");
        assert!(html.contains("Team &amp; Co") || !text.contains("Team & Co"), "{name}");
        // A link stands alone on its line; everything else fits a terminal.
        let long = text.lines().find(|line| line.chars().count() > 78 && !line.contains("://"));
        assert_eq!(long, None, "{name}");
        assert!(!html.contains("<script") && !html.contains("<img"), "{name}");
    }
}

/// A reader's program would decode it (RFC 2047), and show what no name may hold.
#[test]
fn a_name_that_looks_encoded_stays_a_name_in_a_subject() {
    let message = samples().into_iter().find_map(|message| match message {
        Message::MemberRemoved(mut m) => {
            m.org_name = "=?utf-8?b?aHR0cHM6Ly9l?=".to_owned();
            Some(Message::from(m))
        }
        _ => None,
    });
    let Rendered { subject, .. } = renderer().render(&message.unwrap()).unwrap();
    assert!(subject.contains("utf-8") && !subject.contains("=?"), "{subject}");
}

#[test]
fn every_message_has_its_folder_and_every_folder_its_message() {
    let folders: BTreeSet<String> = Templates::iter()
        .filter_map(|path| path.split_once('/').map(|(folder, _)| folder.to_owned()))
        .collect();
    let names: BTreeSet<String> = Message::NAMES.iter().map(ToString::to_string).collect();
    let sampled: BTreeSet<String> =
        samples().iter().map(|message| message.name().to_owned()).collect();
    assert_eq!(folders, names);
    assert_eq!(sampled, names, "give the new message a sample");
}

#[test]
fn a_message_is_stored_and_read_back() {
    for message in samples() {
        let read = Message::decode(message.name(), &message.payload()).unwrap();
        assert_eq!(read, message);
    }
    let unknown = Message::decode("newsletter", "{}").unwrap_err();
    assert!(unknown.to_string().contains("newsletter"), "{unknown}");
    let broken = Message::decode("verify_email", "{}").unwrap_err();
    assert!(broken.to_string().contains("link"), "{broken}");
}

#[test]
fn what_opens_something_is_not_kept_once_sent_and_never_logged() {
    for message in samples() {
        let logged = format!("{message:?}");
        let kept = message.clone().redacted().payload();
        for secret in ["token=", "7K2M", "eyJ"] {
            assert!(!logged.contains(secret) && !kept.contains(secret), "{logged} {kept}");
        }
        Message::decode(message.name(), &kept).unwrap();
    }
}

#[test]
fn a_text_from_elsewhere_cannot_begin_a_line_of_its_own() {
    assert_eq!(one_line("Zoë\r\nBcc: all@example.com\u{b}x", 200), "Zoë Bcc: all@example.com x");
    assert_eq!(one_line("abcdef", 3), "abc");
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

struct Outbox {
    folder: tempfile::TempDir,
    transport: Transport,
    entropy: Entropy,
}

fn sender() -> Mailbox {
    "CODITECT <licensing@localhost>".parse().unwrap()
}

impl Outbox {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let transport = Transport::folder(folder.path().join("mail"), sender());
        Self { folder, transport, entropy: Entropy::seeded(1) }
    }

    fn id(&self) -> MailId {
        MailId(self.entropy.record_id(NOON))
    }

    fn send(&self, id: MailId, to: &str, message: &Message) -> Result<(), SendError> {
        let rendered = renderer().render(message).unwrap();
        let letter = Letter {
            mail_id: id,
            to,
            rendered: &rendered,
            attachments: &message.attachments(),
            date: NOON,
        };
        block_on(self.transport.send(&letter)).map(drop)
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("mail")
    }

    fn files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path()) else {
            return Vec::new();
        };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn only(&self) -> String {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        fs::read_to_string(self.path().join(&files[0])).unwrap()
    }
}

#[test]
fn a_mail_becomes_one_complete_file_that_says_when_and_which() {
    let outbox = Outbox::new();
    let id = outbox.id();
    outbox.send(id, "zoe@example.com", &sample("verify_email")).unwrap();

    assert_eq!(outbox.files(), [format!("20261122T120000.000Z-{id}.eml")]);
    let mail = outbox.only();
    for line in [
        "From: CODITECT <licensing@localhost>",
        "To: zoe@example.com",
        "Date: Sun, 22 Nov 2026 12:00:00 +0000",
        "Subject: Confirm your e-mail address for CODITECT",
        "Auto-Submitted: auto-generated",
        &format!("Message-ID: <{id}@localhost>"),
    ] {
        assert!(mail.lines().any(|have| have == line), "{line} in\n{mail}");
    }
}

#[test]
fn the_link_stays_whole_on_a_line_of_its_own() {
    let outbox = Outbox::new();
    let message = &sample("verify_email");
    let Message::VerifyEmail(VerifyEmail { link, .. }) = message else { panic!("{message:?}") };
    outbox.send(outbox.id(), "zoe@example.com", message).unwrap();
    assert!(link.len() > 76, "long enough to be folded by a careless encoder");
    assert!(outbox.only().lines().any(|line| line == link));
}

#[test]
fn text_beyond_ascii_keeps_its_lines_too() {
    let outbox = Outbox::new();
    outbox.send(outbox.id(), "zoe@example.com", &sample("password_changed")).unwrap();
    let mail = outbox.only();
    assert!(mail.contains("Content-Transfer-Encoding: 8bit"), "{mail}");
    assert!(mail.contains("Hello Zoë <b>O'Neil</b>,"), "{mail}");
}

#[test]
fn the_licence_file_is_attached() {
    let outbox = Outbox::new();
    outbox.send(outbox.id(), "zoe@example.com", &sample("license_delivered")).unwrap();
    let mail = outbox.only();
    assert!(mail.contains("Content-Disposition: attachment; filename=\"license.lic\""), "{mail}");
    let encoded = STANDARD.encode(signed_license());
    assert!(mail.replace("\r\n", "").contains(&encoded), "{mail}");
    assert!(mail.lines().all(|line| line.len() <= 998));
}

#[test]
fn a_licence_file_that_is_not_made_yet_is_not_attached_empty() {
    let Message::LicenseDelivered(mut delivery) = sample("license_delivered") else {
        panic!("the licence")
    };
    delivery.signed_license.clear();
    assert!(Message::from(delivery).attachments().is_empty());
}

#[test]
fn the_settings_name_the_transport() {
    let loaded = Config::load(Flags { data: Some("d".into()), ..Flags::default() }, []).unwrap();
    let transport = Transport::from_config(&loaded.config, "d/mail".into()).unwrap();
    assert_eq!(transport.name(), "folder");
}

#[test]
fn the_same_mail_sent_again_is_one_file_and_another_mail_another() {
    let outbox = Outbox::new();
    let id = outbox.id();
    for _ in 0..3 {
        outbox.send(id, "zoe@example.com", &sample("verify_email")).unwrap();
    }
    assert_eq!(outbox.files().len(), 1);
    outbox.send(outbox.id(), "zoe@example.com", &sample("verify_email")).unwrap();
    assert_eq!(outbox.files().len(), 2);
}

#[test]
fn what_a_crash_left_unfinished_is_written_anew() {
    let outbox = Outbox::new();
    let id = outbox.id();
    fs::create_dir_all(outbox.path()).unwrap();
    fs::write(outbox.path().join(format!(".{id}.tmp")), "From: half a mes").unwrap();
    outbox.send(id, "zoe@example.com", &sample("verify_email")).unwrap();
    assert!(outbox.only().starts_with("From: CODITECT"));
}

#[test]
fn an_address_cannot_carry_a_header() {
    let outbox = Outbox::new();
    for to in
        ["zoe@example.com\r\nBcc: all@example.com", "zoe@example.com, all@example.com", "zoe", ""]
    {
        let error = outbox.send(outbox.id(), to, &sample("verify_email")).unwrap_err();
        assert!(matches!(error, SendError::Recipient(_)), "{to:?}");
    }
    assert!(outbox.files().is_empty());
}

#[test]
fn a_plan_name_cannot_carry_a_header() {
    let outbox = Outbox::new();
    let Message::OrderReceived(mut order) = sample("order_received") else { panic!("the order") };
    order.plan_name = "Team\r\nBcc: all@example.com\r\n\r\n<p>".to_owned();
    outbox.send(outbox.id(), "zoe@example.com", &order.into()).unwrap();
    let mail = outbox.only();
    let (headers, _) = mail.split_once("\r\n\r\n").unwrap();
    assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{mail}");
    assert!(headers.contains("Subject: Your order of CODITECT: Team Bcc: all@example.com"));
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let mut outbox = Outbox::new();
    let file = outbox.folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    outbox.transport = Transport::folder(file.join("mail"), sender());
    let error = outbox.send(outbox.id(), "zoe@example.com", &sample("verify_email")).unwrap_err();
    assert!(matches!(error, SendError::Folder { .. }), "{error}");
    assert!(block_on(outbox.transport.check()).is_err());
    assert!(block_on(Transport::folder(outbox.path(), sender()).check()).is_ok());
}

#[test]
#[cfg(unix)]
fn mails_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let outbox = Outbox::new();
    outbox.send(outbox.id(), "zoe@example.com", &sample("verify_email")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&outbox.path()), 0o700);
    assert_eq!(mode(&outbox.path().join(&outbox.files()[0])), 0o600);
}

/// A folder of overrides with these files.
fn overrides(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn branded(folder: &Path) -> Renderer {
    let branding = Branding { product_name: "Loom".to_owned(), accent_color: "#aa0000".to_owned() };
    Renderer::branded(branding, "https://licensing.example.com", Overrides::read(folder))
}

#[test]
fn a_vendors_texts_colour_and_logo_take_the_place_of_ours() {
    let folder = overrides(&[
        ("verify_email/subject.txt", b"Hello from {{ product_name }}"),
        ("verify_email/body.txt", b"Go to {{ link }}\n"),
        ("logo.png", b"\x89PNG and so on"),
    ]);
    let renderer = branded(folder.path());
    assert!(renderer.broken().is_empty(), "{:?}", renderer.broken());
    let mail = renderer.render(&sample("verify_email")).unwrap();
    assert_eq!(mail.subject, "Hello from Loom");
    assert!(mail.text.starts_with("Go to https://"), "{}", mail.text);
    assert!(mail.html.contains("#aa0000") && !mail.html.contains("#1f5fbf"));
    assert!(mail.html.contains("<img src=\"cid:"), "{}", mail.html);
    let named: Vec<_> = renderer.templates().filter(|(_, own)| !own.is_empty()).collect();
    assert_eq!(named, [("verify_email", vec!["subject.txt", "body.txt"])]);

    let outbox = Outbox::new();
    let letter = Letter {
        mail_id: outbox.id(),
        to: "zoe@example.com",
        rendered: &mail,
        attachments: &[],
        date: NOON,
    };
    block_on(outbox.transport.send(&letter)).unwrap();
    let written = outbox.only();
    for part in ["multipart/related", "Content-ID: <logo@mail>", "image/png", "Disposition: inline"]
    {
        assert!(written.contains(part), "{part} in\n{written}");
    }
}

#[test]
fn a_broken_override_is_told_and_ours_stands_in_for_it() {
    let (long, large) = (vec![b'x'; (64 << 10) + 1], vec![0; (256 << 10) + 1]);
    let folder = overrides(&[
        ("verify_email/body.txt", b"{{ lnik }}"),
        ("verify_email/subject.txt", b"{% if %}"),
        ("password_reset/subject.txt", b"  "),
        ("password_reset/body.txt", &long),
        ("password_reset/body.html", b"\xff\xfe"),
        ("layout.html", b"<p>nothing</p>"),
        ("newsletter/body.txt", b"x"),
        ("verify_email/body.md", b"x"),
        ("logo.gif", &large),
    ]);
    let renderer = branded(folder.path());
    let broken: BTreeSet<&str> = renderer.broken().iter().map(|it| it.file.as_str()).collect();
    let all = [
        "layout.html",
        "logo.gif",
        "newsletter",
        "password_reset/body.html",
        "password_reset/body.txt",
        "password_reset/subject.txt",
        "verify_email/body.md",
        "verify_email/body.txt",
        "verify_email/subject.txt",
    ];
    assert_eq!(broken.into_iter().collect::<Vec<_>>(), all, "{:?}", renderer.broken());
    let plain = Renderer::branded(
        Branding { product_name: "Loom".to_owned(), accent_color: "#aa0000".to_owned() },
        "https://licensing.example.com",
        Overrides::default(),
    );
    for message in samples() {
        assert!(renderer.render(&message).unwrap() == plain.render(&message).unwrap());
    }
}

#[test]
fn a_branch_that_fails_only_now_falls_back_to_our_text() {
    let folder = overrides(&[(
        "license_suspended/body.txt",
        b"{% if reason %}{{ nonsense }}{% endif %}suspended",
    )]);
    let renderer = branded(folder.path());
    assert!(renderer.broken().is_empty(), "{:?}", renderer.broken());
    let with_reason = variants().into_iter().find(|it| it.name() == "license_suspended").unwrap();
    let text = renderer.render(&with_reason).unwrap().text;
    assert!(text.contains("terms broken"), "{text}");
}
