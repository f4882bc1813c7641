//! `coditect audit list|status|export|verify`

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::connect::{client, is_loopback};
use super::context::Context;
use super::failure::{Exit, Failure, Result};
use super::http::root_cause;
use super::output::{self, Column, at, made, new_file, plain, shown, text, time, whole, word};
use super::{ask, block_on};
use crate::cli::Settings;
use crate::cli::operator::{Noun, Via};
use crate::cli::server::{AuditCommand, AuditOnly};
use crate::domain::time::Timestamp;
use crate::signing::VerifyingKeys;
use crate::signing::audit_file::{self, Verdict};

/// A key set is far smaller.
const KEYS_BYTES_MAX: u64 = 1 << 20;

/// How long a key set may take to come.
const KEYS_PATIENCE: Duration = Duration::from_secs(30);

/// The audit log.
pub const HISTORY: [Column; 6] = [
    time("AT", "at"),
    whole("ACTION", "action"),
    made("BY", actor),
    text("SUBJECT", "subject"),
    text("DETAILS", "details"),
    made("CHANGES", changes),
];

const STATUS: [Column; 8] = [
    made("Sound", |all| match all["trouble"].as_str() {
        Some(trouble) => format!("NO: {}", plain(trouble)),
        None => format!("yes, the last {} entries were checked", shown(&all["checked"])),
    }),
    whole("Entries", "entries"),
    whole("First", "first_seq"),
    whole("Last", "last_seq"),
    whole("Its hash", "hash"),
    made("Signed up to", |all| match &all["signed"] {
        Value::Null => "nothing yet; a day is signed when it is over".to_owned(),
        _ => format!(
            "entry {}, the end of {}",
            shown(at(all, "signed.seq")),
            shown(at(all, "signed.day"))
        ),
    }),
    time("Signed at", "signed.signed_at"),
    whole("Chained late", "chained_late"),
];

/// `seats 5 -> 7, plan - -> Team`
fn changes(entry: &Value) -> String {
    let told: Vec<_> = entry["changes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, change)| {
            format!("{} {} -> {}", plain(name), shown(&change["before"]), shown(&change["after"]))
        })
        .collect();
    if told.is_empty() { "-".to_owned() } else { told.join(", ") }
}

/// Who did it: a person's address, or what kind of actor it was.
fn actor(entry: &Value) -> String {
    match word(entry, "actor_email") {
        "" => shown(&entry["actor"]),
        email if entry["api_key_id"].is_null() => plain(email),
        email => format!("{}, API key", plain(email)),
    }
}

/// Does what was typed; verifying asks a server for nothing but keys, where none were given.
pub fn run(noun: Noun<AuditCommand>, settings: &Settings) -> Result<()> {
    let via = noun.via;
    match noun.command {
        AuditCommand::Verify { file, key } => verify(&file, &key, &via, settings),
        AuditCommand::List { only, paging } => ask(&via, settings, async |context| {
            let only = resolved(context, only.clone()).await?;
            let none = "Nothing is recorded of that; entries are kept for retention.audit_days.";
            context.list(&["admin", "audit"], &query(&only), &paging, &HISTORY, none).await
        }),
        AuditCommand::Status => ask(&via, settings, async |context| {
            let status = context.http.get(&["admin", "audit", "status"], &[]).await?;
            context.show(&status, &STATUS)
        }),
        AuditCommand::Export { csv, only, out } => ask(&via, settings, async |context| {
            let only = resolved(context, only.clone()).await?;
            let mut query = query(&only);
            query.push(("format", if csv { "csv" } else { "jsonl" }));
            export(context, &query, out.as_deref()).await
        }),
    }
}

/// With ids in place of what the record and the organisation are known by.
async fn resolved(context: &Context, mut only: AuditOnly) -> Result<AuditOnly> {
    if let Some(subject) = &only.subject {
        only.subject = Some(context.subject(subject).await?);
    }
    if let Some(org) = &only.org {
        only.org = Some(context.org_id(org).await?);
    }
    Ok(only)
}

fn query(only: &AuditOnly) -> Vec<(&str, &str)> {
    let given = [
        ("subject", &only.subject),
        ("action", &only.action),
        ("actor", &only.actor),
        ("org_id", &only.org),
        ("from", &only.from),
        ("to", &only.to),
        ("q", &only.query),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
}

async fn export(context: &Context, query: &[(&str, &str)], out: Option<&Path>) -> Result<()> {
    let path = ["admin", "audit", "export"];
    let Some(out) = out else {
        let mut to = io::stdout().lock();
        context.http.download(&path, query, None, &mut to).await?;
        return to.flush().map_err(|error| Failure::failed(error.to_string()));
    };
    let fail = |error: io::Error| Failure::failed(format!("{}: {error}", out.display()));
    // It tells who did what from where: for its owner's eyes.
    let mut file = new_file(out)?;
    let fetched = async {
        let bytes = context.http.download(&path, query, None, &mut file).await?;
        file.sync_all().map_err(fail)?;
        Ok(bytes)
    }
    .await;
    match fetched {
        Ok(bytes) => {
            let answer = json!({"file": out.display().to_string(), "bytes": bytes});
            let sentence = format!("Written to {} ({}).", out.display(), output::size(bytes));
            context.did(&answer, &sentence)
        }
        Err(failure) => {
            let _ = fs::remove_file(out);
            Err(failure)
        }
    }
}

fn verify(file: &Path, given: &[String], via: &Via, settings: &Settings) -> Result<()> {
    let mut keys = VerifyingKeys::default();
    for given in given {
        keys.extend(&read_keys(given)?);
    }
    if given.is_empty() {
        keys = ask(via, settings, async |context| {
            let published = context.http.get(&["keys"], &[]).await?;
            let mut keys = VerifyingKeys::default();
            for key in published["items"].as_array().into_iter().flatten() {
                keys.extend(&parse_keys(word(key, "public_key_pem"), "a key of the server")?);
            }
            Ok(keys)
        })?;
    }
    let fail = |error: io::Error| Failure::failed(format!("{}: {error}", file.display()));
    let reader: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::with_capacity(1 << 20, File::open(file).map_err(fail)?))
    };
    let verdict = audit_file::verify(reader, &keys).map_err(fail)?;
    if via.json {
        output::json(&as_json(&verdict))?;
    } else if verdict.is_whole() {
        output::print(&praise(&verdict))?;
    }
    blame(&verdict)
}

/// What is proved of an export in which nothing is wrong.
fn praise(verdict: &Verdict) -> String {
    let signed = verdict.end.as_ref().map_or(0, |end| end.iat);
    let signed = Timestamp(signed.saturating_mul(1_000));
    let entries = match verdict.entries {
        0 => "No entries".to_owned(),
        1 => format!("1 entry, number {}", verdict.first_seq),
        many => format!("{many} entries, {} to {}", verdict.first_seq, verdict.last_seq),
    };
    let unchecked = match verdict.days_unchecked {
        0 => String::new(),
        days => format!(
            "\nThe own signatures of {days} days are by keys that were not given; the end's signature covers them."
        ),
    };
    format!(
        "Whole and unaltered. {entries}, of {}, signed at {signed}; {} signed days agree.{unchecked}\n",
        plain(&verdict.iss),
        verdict.days
    )
}

fn blame(verdict: &Verdict) -> Result<()> {
    if verdict.is_whole() {
        return Ok(());
    }
    if verdict.faults.is_empty() {
        let text = "the export was signed with a key that was not given: nothing is proved. Give the key of that time with --key, or the address of the server's key set";
        return Err(Failure::failed(text));
    }
    let mut text = "the export is not whole, or was altered:".to_owned();
    for fault in &verdict.faults {
        let _ = write!(text, "\n  line {}: {}", fault.line, plain(&fault.text));
    }
    if verdict.more > 0 {
        let _ = write!(text, "\n  and {} more", verdict.more);
    }
    Err(Failure::new(Exit::Altered, text))
}

fn as_json(verdict: &Verdict) -> Value {
    let faults: Vec<_> = verdict
        .faults
        .iter()
        .map(|fault| json!({"line": fault.line, "text": fault.text}))
        .collect();
    json!({
        "whole": verdict.is_whole(),
        "issuer": verdict.iss,
        "entries": verdict.entries,
        "first_seq": verdict.first_seq,
        "last_seq": verdict.last_seq,
        "signed_days": verdict.days,
        "signed_days_unchecked": verdict.days_unchecked,
        "key_unknown": verdict.unknown_key,
        "signed_at": verdict.end.as_ref().map(|end| Timestamp(end.iat.saturating_mul(1_000)).to_string()),
        "faults": faults,
        "more_faults": verdict.more,
    })
}

/// Keys from a file or an address.
fn read_keys(given: &str) -> Result<VerifyingKeys> {
    if given.starts_with("https://") || given.starts_with("http://") {
        return parse_keys(&block_on(fetch(given))?, given);
    }
    let fail = |error: io::Error| Failure::failed(format!("{given}: {error}"));
    let mut text = String::new();
    let file = File::open(given).map_err(fail)?;
    io::Read::read_to_string(&mut io::Read::take(file, KEYS_BYTES_MAX), &mut text).map_err(fail)?;
    parse_keys(&text, given)
}

async fn fetch(address: &str) -> Result<String> {
    let fail = |error: reqwest::Error| {
        Failure::new(Exit::Unavailable, format!("{address}: {}", root_cause(&error)))
    };
    let url = reqwest::Url::parse(address)
        .map_err(|error| Failure::usage(format!("{address}: {error}")))?;
    let client = client(url.scheme() == "https", is_loopback(&url))?;
    let answer = client.get(url).timeout(KEYS_PATIENCE).send().await.map_err(fail)?;
    let mut answer = answer.error_for_status().map_err(fail)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(fail)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > KEYS_BYTES_MAX {
            return Err(Failure::failed(format!("{address}: it is too large for a key set")));
        }
    }
    String::from_utf8(bytes).map_err(|_| Failure::failed(format!("{address}: it is no text")))
}

fn parse_keys(text: &str, whose: &str) -> Result<VerifyingKeys> {
    let parsed = if text.trim_start().starts_with('{') {
        VerifyingKeys::from_jwks(text)
    } else {
        VerifyingKeys::from_pem(text)
    };
    parsed.map_err(|error| Failure::usage(format!("{whose}: {error}")))
}
