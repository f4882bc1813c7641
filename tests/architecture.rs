//! The map in `src/lib.rs` is true: who uses whom, and what each room must not know.
//!
//! The arrows are read from that file's documentation, so that the picture and this test
//! cannot differ. A room is a directory or a file directly under `src`.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms that any other may use; they know `domain` and nothing else.
const LEAVES: [&str; 4] = ["clock", "entropy", "config", "telemetry"];

/// What a leaf may use beyond `domain`: logs are set up as the settings say, and lines have a time.
const LEAF_EXCEPTIONS: [(&str, &str); 2] = [("telemetry", "config"), ("telemetry", "clock")];

/// Rooms outside of the picture, with what they may use.
const ASIDE: [(&str, &[&str]); 2] = [
    // What may be typed names the settings that flags set.
    ("cli", &["config"]),
    // What a licensed application uses: it verifies what the server signs, and parts from others by chance.
    ("client", &["domain", "signing", "entropy"]),
];

/// Rooms that know neither the clock nor chance: both are parameters.
const PURE: [&str; 2] = ["domain", "seats"];

/// Files outside `clock` that read a clock, and why they may.
const CLOCK_READERS: [(&str, &str); 7] = [
    ("api/observe.rs", "measures how long a request took"),
    ("client/moment.rs", "counts a seat's time on the runtime's timer, which tests can pause"),
    ("listen.rs", "closes idle connections on the runtime's timer"),
    ("services/seats.rs", "waits in line on the runtime's timer, which tests can pause"),
    ("store/backup.rs", "pauses as long as it worked"),
    ("store/queue.rs", "measures how long a change waits for others"),
    ("store/writer.rs", "measures how long a commit took"),
];

const LINES_MAIN_MAX: usize = 40;
/// Longer files are named, as a reminder to split them.
const LINES_LONG: usize = 600;
/// Longer ones are not to be read.
const LINES_MAX: usize = 800;

struct Source {
    /// Under `src`, with `/`.
    path: String,
    room: String,
    text: String,
    /// Without comments and without what only tests compile.
    code: String,
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    let mut found: Vec<Source> = paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
            let first = path.split('/').next().unwrap();
            let room = first.strip_suffix(".rs").unwrap_or(first).to_owned();
            let tests_alone = path.ends_with("/tests.rs") || path.contains("/tests/");
            let code = if tests_alone { String::new() } else { production(&text) };
            Source { path, room, text, code }
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 50, "the sources were found");
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The code without comment lines and without items under `#[cfg(test)]`: rustfmt lets an item
/// end in a line of its own, indented as its first.
fn production(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("#[cfg(test)]") {
            let indent = &line[..line.len() - trimmed.len()];
            for line in lines.by_ref() {
                let outermost =
                    line.strip_prefix(indent).filter(|rest| !rest.starts_with([' ', '#']));
                if outermost.is_some_and(|rest| rest == "}" || rest.ends_with(';')) {
                    break;
                }
            }
        } else if !trimmed.starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The rooms that a text names after `crate::`, also in braces.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` stands in macros, where the room is the caller's.
        if code[..at].ends_with(|c: char| c == '$' || c == '_' || c.is_alphanumeric()) {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(first_names(group)),
            None => rooms.extend(name(rest)),
        }
    }
    rooms
}

/// The first names of a group's members, up to its closing brace.
fn first_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.extend(name(group[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The rooms of the picture, from left to right.
fn arrows() -> Vec<String> {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let line =
        map.lines().find(|line| line.contains("-> services ->")).expect("lib.rs shows the arrows");
    let picture = line.trim_start_matches("//!").trim().trim_matches('`');
    picture
        .split([',', '>'])
        .map(|room| room.trim().trim_end_matches('-').trim().to_owned())
        .collect()
}

#[test]
fn a_room_uses_only_rooms_to_its_right() {
    let order = arrows();
    assert_eq!(order.last().map(String::as_str), Some("domain"), "{order:?}");
    let place: BTreeMap<&str, usize> =
        order.iter().enumerate().map(|(at, room)| (room.as_str(), at)).collect();
    let mut wrong = Vec::new();
    let mut rooms = BTreeSet::new();
    for source in sources().iter().filter(|source| !["lib", "main"].contains(&source.room.as_str()))
    {
        let room = source.room.as_str();
        rooms.insert(room.to_owned());
        for used in rooms_named(&source.code).into_iter().filter(|used| used != room) {
            let used = used.as_str();
            let allowed = if let Some((_, uses)) = ASIDE.iter().find(|(aside, _)| *aside == room) {
                uses.contains(&used)
            } else if LEAVES.contains(&room) {
                used == "domain" || LEAF_EXCEPTIONS.contains(&(room, used))
            } else if LEAVES.contains(&used) {
                !PURE.contains(&room)
            } else if ["cli", "client"].contains(&used) {
                room == "commands"
            } else {
                matches!((place.get(room), place.get(used)), (Some(here), Some(there)) if here < there)
            };
            if !allowed {
                wrong.push(format!("{}: {room} uses {used}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "against the arrows {}:\n{}", order.join(" -> "), wrong.join("\n"));
    for room in rooms {
        let known = place.contains_key(room.as_str())
            || LEAVES.contains(&room.as_str())
            || ASIDE.iter().any(|(aside, _)| *aside == room);
        assert!(known, "the room `{room}` has no place in the picture in src/lib.rs");
    }
}

#[test]
fn the_api_never_sees_the_store() {
    for source in sources().iter().filter(|source| source.room == "api") {
        assert!(!rooms_named(&source.code).contains("store"), "{}", source.path);
    }
}

/// Fails when code outside these rooms has one of these words.
#[track_caller]
fn only_in(rooms: &[&str], words: &[&str]) {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !rooms.contains(&source.room.as_str())) {
        for (number, line) in source.code.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{} (about line {}): {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "only {rooms:?} may know {words:?}:\n{}", wrong.join("\n"));
}

#[test]
fn redb_is_named_in_the_store_alone() {
    only_in(&["store"], &["redb::", "use redb"]);
}

#[test]
fn the_web_framework_is_named_at_the_edge_alone() {
    only_in(&["api", "web", "listen", "app"], &["poem::", "use poem", "poem_openapi::"]);
}

#[test]
fn domain_and_seats_are_pure() {
    for source in sources().iter().filter(|source| PURE.contains(&source.room.as_str())) {
        for word in
            ["tokio", "redb", "poem", "serde_json", "std::time", "std::fs", "async fn", "Mutex"]
        {
            assert!(!source.code.contains(word), "{} knows {word}", source.path);
        }
    }
}

#[test]
fn time_is_read_in_the_clock_alone() {
    let now = ["SystemTime::now", "Instant::now", "Utc::now", "Timestamp::now", "Zoned::now"];
    let readers: BTreeSet<String> = sources()
        .into_iter()
        .filter(|source| {
            source.room != "clock" && now.iter().any(|word| source.code.contains(word))
        })
        .map(|source| source.path)
        .collect();
    let reasoned: BTreeSet<String> =
        CLOCK_READERS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(readers, reasoned, "left: who reads a clock; right: who has a reason to");
}

#[test]
fn chance_comes_from_entropy_alone() {
    only_in(
        &["entropy"],
        &["rand::fill", "OsRng", "thread_rng", "getrandom", "new_v4()", "now_v7()"],
    );
}

#[test]
fn nothing_unwraps_outside_of_tests() {
    only_in(&[], &[".unwrap()", "todo!(", "unimplemented!(", "dbg!("]);
}

#[test]
fn files_stay_readable() {
    let mut too_long = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if source.path == "main.rs" {
            assert!(
                lines <= LINES_MAIN_MAX,
                "main.rs parses, calls the library, exits: {lines} lines"
            );
        }
        if lines > LINES_LONG {
            println!("{} has {lines} lines; consider splitting it", source.path);
        }
        if lines > LINES_MAX {
            too_long.push(format!("{}: {lines}", source.path));
        }
    }
    assert!(too_long.is_empty(), "over {LINES_MAX} lines: {too_long:?}");
}

#[test]
fn this_test_reads_code_as_the_compiler_does() {
    let text = "\
use crate::domain::error::Error;
// crate::store in a comment
use crate::{api, jobs::{self, run}, web};
fn f() { crate::clock::now(); $crate::macros!(); my_crate::x(); }
#[cfg(test)]
mod tests {
    use crate::store::Store;
    fn g() { x.unwrap(); }
}
#[cfg(test)]
#[path = \"x.rs\"]
mod others;
fn after() { crate::entropy::x(); }
";
    let code = production(text);
    assert!(
        !code.contains("unwrap") && !code.contains("others") && code.contains("after"),
        "{code}"
    );
    let expected = ["api", "clock", "domain", "entropy", "jobs", "web"];
    assert_eq!(rooms_named(&code).into_iter().collect::<Vec<_>>(), expected);
}
