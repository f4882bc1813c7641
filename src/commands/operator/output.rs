//! What is printed: tables and lines for people, JSON for programs.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde_json::Value;

use super::failure::{Failure, Result};
use crate::domain::plan::is_invisible;

/// Between two columns.
const GAP: u16 = 2;
/// A text is not broken into anything narrower.
const TEXT_MIN: u16 = 12;

/// A column of a table, or a line of one record.
pub struct Column {
    head: &'static str,
    cell: Cell,
    /// Whether it stays on one line: keys and ids have to be copied whole.
    whole: bool,
}

enum Cell {
    /// The member at this path, its names joined with dots.
    Text(&'static str),
    /// The same, as a point in time.
    Time(&'static str),
    /// What the function makes of the item.
    Made(fn(&Value) -> String),
}

/// A text that may go over several lines.
pub const fn text(head: &'static str, path: &'static str) -> Column {
    Column { head, cell: Cell::Text(path), whole: false }
}

/// A key, an id, a status: what stays on one line.
pub const fn whole(head: &'static str, path: &'static str) -> Column {
    Column { head, cell: Cell::Text(path), whole: true }
}

/// A point in time.
pub const fn time(head: &'static str, path: &'static str) -> Column {
    Column { head, cell: Cell::Time(path), whole: true }
}

/// What is made of several members.
pub const fn made(head: &'static str, make: fn(&Value) -> String) -> Column {
    Column { head, cell: Cell::Made(make), whole: true }
}

impl Column {
    fn of(&self, item: &Value) -> String {
        match self.cell {
            Cell::Text(path) => shown(at(item, path)),
            Cell::Time(path) => moment(at(item, path)),
            Cell::Made(make) => make(item),
        }
    }
}

/// The member at a path, its names joined with dots; null where there is none.
pub fn at<'a>(item: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(item, |item, name| &item[name])
}

/// A member as text, or nothing.
pub fn word<'a>(item: &'a Value, path: &str) -> &'a str {
    at(item, path).as_str().unwrap_or_default()
}

/// A value on one line; `-` for none.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => plain(text),
        Value::Object(map) if map.is_empty() => "-".to_owned(),
        Value::Object(map) => {
            let members: Vec<String> =
                map.iter().map(|(name, value)| format!("{}={}", plain(name), raw(value))).collect();
            members.join(", ")
        }
        Value::Array(_) | Value::Number(_) => plain(&value.to_string()),
    }
}

fn raw(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// A text from elsewhere without what a terminal would obey, and without what turns text around.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).collect()
}

/// A point in time to the minute, in UTC.
fn moment(value: &Value) -> String {
    let Some(text) = value.as_str() else { return shown(value) };
    text.parse::<jiff::Timestamp>()
        .map_or_else(|_| plain(text), |moment| moment.strftime("%Y-%m-%d %H:%MZ").to_string())
}

/// `12.3 MiB`.
pub fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// A table of these items.
pub fn table(columns: &[Column], items: &[Value]) -> String {
    let heads: Vec<&str> = columns.iter().map(|column| column.head).collect();
    let rows = items.iter().map(|item| columns.iter().map(|column| column.of(item)).collect());
    let whole: Vec<bool> = columns.iter().map(|column| column.whole).collect();
    lay_out(Some(&heads), rows.collect(), &whole, width())
}

/// One record, a line for each member.
pub fn record(columns: &[Column], item: &Value) -> String {
    let rows = columns.iter().map(|column| vec![column.head.to_owned(), column.of(item)]).collect();
    lay_out(None, rows, &[true, false], width())
}

/// Rows in columns, without borders: easy on the eye, and on `grep` and `awk`.
fn lay_out(
    heads: Option<&[&str]>,
    rows: Vec<Vec<String>>,
    whole: &[bool],
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(heads) = heads {
        table.set_header(heads);
    }
    table.add_rows(rows);
    let widths = table.column_max_content_widths();
    let least = |(whole, width): (&bool, &u16)| if *whole { *width } else { TEXT_MIN.min(*width) };
    let room: u32 =
        whole.iter().zip(&widths).map(|column| u32::from(least(column)) + u32::from(GAP)).sum();
    match width {
        Some(width) if room <= u32::from(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        // Where keys leave no room for texts, the terminal breaks the lines.
        _ => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    for ((column, whole), width) in table.column_iter_mut().zip(whole).zip(&widths) {
        column.set_padding((0, GAP));
        column.set_constraint(if *whole {
            ColumnConstraint::ContentWidth
        } else {
            ColumnConstraint::LowerBoundary(Width::Fixed(TEXT_MIN.min(*width) + GAP))
        });
    }
    let mut text = String::new();
    for (number, line) in table.lines().enumerate() {
        let line = line.trim_end();
        let _ = match heads {
            Some(_) if number == 0 && coloured() => writeln!(text, "\x1b[1m{line}\x1b[0m"),
            _ => writeln!(text, "{line}"),
        };
    }
    text
}

/// How wide the terminal is; `None` where there is none, so that no line is broken for a pipe.
fn width() -> Option<u16> {
    let stdout = std::io::stdout();
    stdout.is_terminal().then_some(())?;
    rustix::termios::tcgetwinsize(&stdout).ok().map(|size| size.ws_col).filter(|width| *width > 0)
}

/// See <https://no-color.org>.
fn coloured() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Prints JSON, indented.
pub fn json(value: &Value) -> Result<()> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::failed(error.to_string()))?;
    print(&format!("{text}\n"))
}

/// A new file for its owner's eyes alone; one that is there already stays as it is.
pub fn new_file(out: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(out).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::AlreadyExists => {
                "is there already, and nothing is replaced; name another file".to_owned()
            }
            _ => format!("cannot be written: {error}"),
        };
        Failure::failed(format!("{} {why}", out.display()))
    })
}

/// Writes to standard output. Whoever has read enough, such as `head`, is no failure.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: [Column; 3] =
        [whole("KEY", "license_key"), text("NAME", "customer.full_name"), time("SINCE", "at")];

    #[test]
    fn a_table_has_a_column_for_each_member_and_no_trailing_space() {
        let items = [
            json!({"license_key": "AAAA", "customer": {"full_name": "Ada Park"}, "at": "2026-11-22T10:11:12.345Z"}),
            json!({"license_key": "B", "customer": null, "at": null}),
        ];
        assert_eq!(
            table(&COLUMNS, &items),
            "KEY   NAME      SINCE\nAAAA  Ada Park  2026-11-22 10:11Z\nB     -         -\n"
        );
    }

    #[test]
    fn a_narrow_terminal_breaks_texts_and_never_keys() {
        let rows =
            vec![vec!["KEY-0000-1111-2222".to_owned(), "a name of several words".to_owned()]];
        let text = lay_out(Some(&["KEY", "NAME"]), rows, &[true, false], Some(34));
        assert!(text.contains("KEY-0000-1111-2222"), "{text}");
        assert!(text.lines().count() > 2, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 34), "{text}");
        // Words of one letter below one another are worse than lines that the terminal breaks.
        let rows =
            vec![vec!["KEY-0000-1111-2222".to_owned(), "a name of several words".to_owned()]];
        let text = lay_out(None, rows, &[true, false], Some(24));
        assert_eq!(text, "KEY-0000-1111-2222  a name of several words\n");
    }

    #[test]
    fn a_record_has_a_line_for_each_member() {
        let item = json!({"license_key": "AAAA", "customer": {"full_name": "Ada"}});
        assert_eq!(record(&COLUMNS, &item), "KEY    AAAA\nNAME   Ada\nSINCE  -\n");
    }

    #[test]
    fn nothing_that_a_customer_wrote_reaches_the_terminal_as_a_command() {
        assert_eq!(shown(&json!("a\u{1b}[2Jb\r\nc\u{9b}d")), "a [2Jb  c d");
    }

    #[test]
    fn values_are_shown_in_the_words_of_people() {
        for (value, text) in [
            (json!(null), "-"),
            (json!(""), "-"),
            (json!({}), "-"),
            (json!(true), "yes"),
            (json!(12), "12"),
            (json!({"export": true, "tier": "gold"}), "export=true, tier=gold"),
        ] {
            assert_eq!(shown(&value), text);
        }
    }

    #[test]
    fn sizes_are_rounded() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (5 << 20, "5.0 MiB"),
            (3 << 40, "3.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
