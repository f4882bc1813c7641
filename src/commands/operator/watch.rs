//! What goes on: `coditect overview`, `seat list`, `seat evict`, `log`.

use std::time::Duration;

use serde_json::{Value, json};

use super::context::Context;
use super::failure::Result;
use super::license::{customer, filters};
use super::output::{self, Column, at, made, plain, shown, size, text, time, whole, word};
use crate::cli::operator::Paging;
use crate::cli::server::Log;

/// How often the log is looked at while it is followed.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// As many lines are fetched first while the log is followed; more where all of them are new.
const FOLLOW_MAX: usize = 200;

const SEATS: [Column; 6] = [
    text("HARDWARE ID", "hardware_id"),
    whole("LICENCE", "license_key"),
    made("CUSTOMER", customer),
    time("SINCE", "started_at"),
    time("LAPSES", "expires_at"),
    whole("SESSION", "session_id"),
];

const OVERVIEW: [Column; 12] = [
    made("Seats held", |all| {
        let at = |path| shown(at(all, path));
        format!(
            "{} (most: {}, refused: {})",
            at("seats.live"),
            at("seats.peak"),
            at("seats.denials")
        )
    }),
    made("Licences", |all| counts(&all["licenses"])),
    made("Subscriptions", |all| counts(&all["subscriptions"])),
    whole("Users", "users"),
    whole("Organisations", "orgs"),
    made("Jobs", |all| counts(&all["jobs"])),
    made("Mails", |all| counts(&all["mails"])),
    made("Storage", |all| match all["storage"]["reason"].as_str() {
        Some(reason) => format!("{}: {}", shown(&all["storage"]["status"]), plain(reason)),
        None => shown(&all["storage"]["status"]),
    }),
    made("Free on disk", |all| at(all, "disk.free_bytes").as_u64().map_or("-".to_owned(), size)),
    made("Signing key", |all| {
        format!("{} {}", shown(at(all, "signing_key.status")), shown(at(all, "signing_key.kid")))
    }),
    time("Last backup", "last_backup.created_at"),
    made("Version", |all| {
        format!(
            "{}, up for {}",
            shown(&all["version"]),
            span(all["uptime_s"].as_u64().unwrap_or(0))
        )
    }),
];

/// `3 active, 1 grace`, without what there is none of.
fn counts(by_status: &Value) -> String {
    let some: Vec<_> = by_status
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, n)| n.as_u64() != Some(0))
        .map(|(status, n)| format!("{n} {}", plain(status)))
        .collect();
    if some.is_empty() { "none".to_owned() } else { some.join(", ") }
}

/// A time that has passed, in its two largest units.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {} s", seconds % 60),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

pub async fn overview(context: &Context) -> Result<()> {
    let all = context.http.get(&["admin", "overview"], &[]).await?;
    context.show(&all, &OVERVIEW)?;
    if context.is_json() {
        return Ok(());
    }
    for point in all["attention"].as_array().into_iter().flatten() {
        output::print(&format!("\n{}: {}\n", shown(&point["severity"]), shown(&point["text"])))?;
    }
    Ok(())
}

pub async fn seats(context: &Context, paging: &Paging) -> Result<()> {
    let none = "Nobody holds a seat.";
    context.list(&["admin", "sessions"], &[], paging, &SEATS, none).await
}

pub async fn evict(context: &Context, session: &str, license: Option<&str>) -> Result<()> {
    let found = context.session(session, license).await?;
    let id = |name| word(&found, name);
    let path = ["licenses", id("license_id"), "sessions", id("session_id")];
    let answer = context.http.delete(&path).await?;
    let machine = shown(&found["hardware_id"]);
    context.did(&answer, &format!("The seat of {machine} is taken back."))
}

/// Prints lines of the log, oldest first, as they would stand in a file.
pub async fn log(context: &Context, log: &Log) -> Result<()> {
    let path = ["admin", "logs"];
    let filters = filters(&[("level", &log.level), ("q", &log.query)]);
    let listed = context.pages(&path, &filters, log.paging.most()).await?;
    if context.is_json() && !log.follow {
        return context.print_list(&listed, &[], "");
    }
    let mut seen = print_after(context, &listed.items, None)?;
    if !log.follow {
        return Ok(());
    }
    loop {
        // Ctrl+C ends the program here as it does anywhere else.
        tokio::time::sleep(FOLLOW_EVERY).await;
        let mut newest = context.pages(&path, &filters, Some(FOLLOW_MAX)).await?;
        seen = seen.filter(|seen| Some(*seen) <= number(newest.items.first()));
        if newest.more && number(newest.items.last()) > seen {
            newest = context.pages(&path, &filters, None).await?;
        }
        seen = print_after(context, &newest.items, seen)?;
    }
}

/// A line's number, which counts from the server's start: less than before means that it has started again.
fn number(line: Option<&Value>) -> Option<u64> {
    line.and_then(|line| line["seq"].as_u64())
}

/// Prints the lines that came after `seen`; the number of the last one.
fn print_after(
    context: &Context,
    newest_first: &[Value],
    seen: Option<u64>,
) -> Result<Option<u64>> {
    let mut last = seen;
    for line in newest_first.iter().rev() {
        let number = number(Some(line));
        if number <= seen && seen.is_some() {
            continue;
        }
        last = last.max(number);
        let text = if context.is_json() { line.to_string() } else { log_line(line) };
        output::print(&format!("{text}\n"))?;
    }
    Ok(last)
}

fn log_line(line: &Value) -> String {
    let word = |name| shown(&line[name]);
    let fields = match &line["fields"] {
        Value::Object(fields) if !fields.is_empty() => format!("  {}", shown(&json!(fields))),
        _ => String::new(),
    };
    let (at, level, target) = (word("at"), word("level").to_uppercase(), word("target"));
    format!("{at} {level:>5} {target}: {}{fields}", word("message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_two_units() {
        for (seconds, text) in
            [(5, "0 min 5 s"), (65, "1 min 5 s"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn counts_leave_out_what_there_is_none_of() {
        assert_eq!(counts(&json!({"active": 3, "grace": 1, "revoked": 0})), "3 active, 1 grace");
        assert_eq!(counts(&json!({"active": 0})), "none");
        assert_eq!(counts(&Value::Null), "none");
    }

    #[test]
    fn a_line_of_the_log_is_one_line() {
        let line = json!({"seq": 1, "at": "2026-11-22T10:11:12.5Z", "level": "warn", "target": "coditect::mail",
            "message": "two\nlines", "fields": {"attempt": 2, "to": "a@b"}});
        assert_eq!(
            log_line(&line),
            "2026-11-22T10:11:12.5Z  WARN coditect::mail: two lines  attempt=2, to=a@b"
        );
    }
}
