//! What the computer gives: files and who may read them, space, time.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, StatVfs, access, statvfs};

use super::check::{Check, State};
use crate::config::{Config, DataDir, MailTransport};
use crate::domain::time::{SECOND_MS, Timestamp};
use crate::mail::{Renderer, Transport};
use crate::store::{Disk, FileDisk};

/// Below this, writes will soon be refused.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// Below this, it is time to make room.
const FREE_BYTES_LOW: u64 = 1 << 30;
/// Clocks of one computer are set by so much without harm.
const CLOCK_SLACK_MS: i64 = 5 * SECOND_MS;
/// How long a service that takes mails may need to let us in.
const MAIL_CHECK: Duration = Duration::from_secs(10);
/// The program was written in this year; a clock that says less has lost its battery.
const YEAR_MIN: i16 = 2026;
/// A clock that says more was set by mistake.
const YEAR_MAX: i16 = 2100;

/// Whether anybody but the owner may read what is secret.
pub fn permissions(data: &DataDir) -> Check {
    let open_to_others = |path: &Path| {
        let mode = path.metadata().ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then(|| format!("{} has mode {mode:03o}", path.display()))
    };
    let files = [data.database(), data.master_key()];
    let open_files: Vec<String> = files.iter().filter_map(|path| open_to_others(path)).collect();
    if !open_files.is_empty() {
        let advice = "Run `chmod 600` on it: it holds password hashes or the key to every other key. \
                      If others may have read it, rotate the keys";
        return Check::problem("permissions", open_files.join("; "), advice);
    }
    let folders = [data.path().to_owned(), data.keys(), data.mail(), data.backups()];
    let open_folders: Vec<String> =
        folders.iter().filter_map(|path| open_to_others(path)).collect();
    if !open_folders.is_empty() {
        let advice = "Run `chmod 700` on it, unless others are meant to look into it";
        return Check::warning("permissions", open_folders.join("; "), advice);
    }
    Check::ok("permissions", "the data is open to its owner alone")
}

/// Whether there is room, and whether a write reaches the disk.
pub fn disk(data: &DataDir) -> Check {
    let folder = data.path();
    if let Err(error) = FileDisk.probe(folder) {
        let advice = "Make room or mend the disk; until then writes answer 503";
        return Check::problem(
            "disk",
            format!("a file of 256 KiB cannot be written and synced: {error}"),
            advice,
        );
    }
    match statvfs(folder) {
        Ok(stats) => space(&stats),
        Err(error) => {
            let error = io::Error::from(error);
            Check::warning(
                "disk",
                format!("the free space cannot be read: {error}"),
                "Look at it with `df`",
            )
        }
    }
}

fn space(stats: &StatVfs) -> Check {
    let free = stats.f_bavail.saturating_mul(stats.f_frsize);
    let found = format!("{} free, and a write reached the disk", size(free));
    let advice = "Make room: on a full disk writes answer 503";
    // File systems that make inodes as they go say 0 of 0.
    if stats.f_files > 0 && stats.f_favail == 0 {
        return Check::problem(
            "disk",
            "no more files can be made: the file system has no inode left",
            advice,
        );
    }
    Check::new("disk", free_space(free), found, advice)
}

/// Whether so many bytes are enough.
pub fn free_space(bytes: u64) -> State {
    match bytes {
        0..FREE_BYTES_MIN => State::Problem,
        FREE_BYTES_MIN..FREE_BYTES_LOW => State::Warning,
        _ => State::Ok,
    }
}

/// Free and total bytes of the disk that the data is on.
pub fn room(data: &DataDir) -> Option<(u64, u64)> {
    let stats = statvfs(data.path()).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stats.f_frsize);
    Some((bytes(stats.f_bavail), bytes(stats.f_blocks)))
}

/// Bytes as people read them.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes / 1024),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// Whether the calendar is plausible. `newest` is the time of the newest record.
pub fn clock(now: Timestamp, newest: Option<Timestamp>) -> Check {
    let advice = "Set the computer's clock, or let NTP do it: trials, expiry and signatures go by it. \
                  Seats do not";
    let year = now.year();
    if !(YEAR_MIN..=YEAR_MAX).contains(&year) {
        return Check::problem("clock", format!("it says {now}"), advice);
    }
    match newest {
        Some(newest) if now < newest + -CLOCK_SLACK_MS => {
            let found = format!("it says {now}, but the newest record was made at {newest}");
            Check::problem("clock", found, advice)
        }
        _ => Check::ok("clock", format!("it says {now}")),
    }
}

/// Whether mails can leave, without sending one or making a folder: a service is connected to and
/// signed in to.
pub async fn mail(config: &Config, data: &DataDir) -> Check {
    let setting = config.mail.transport;
    if setting == MailTransport::Folder {
        return mail_folder(data);
    }
    let found = match Transport::from_config(config, data.mail()) {
        Ok(transport) => tokio::time::timeout(MAIL_CHECK, transport.check()).await.map_or_else(
            |_| Err(format!("the service does not answer within {} s", MAIL_CHECK.as_secs())),
            |found| found.map_err(|error| error.to_string()),
        ),
        Err(error) => Err(error.to_string()),
    };
    match found {
        Ok(found) => Check::ok("mail", found),
        Err(error) => {
            let settings = format!("mail.{}", setting.as_str());
            let advice = format!(
                "Look at the settings of {settings} and at the service; mails wait and are tried again"
            );
            Check::problem("mail", error, advice)
        }
    }
}

fn mail_folder(data: &DataDir) -> Check {
    let folder = data.mail();
    let path = folder.display();
    if !folder.exists() {
        return Check::warning(
            "mail",
            format!("{path} is missing"),
            "It is made at the next start",
        );
    }
    match access(&folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Check::ok("mail", format!("each mail becomes a file in {path}")),
        Err(error) => {
            let error = io::Error::from(error);
            let advice = "Let the server's user write to it; mails wait and are tried again";
            Check::problem("mail", format!("{path} cannot be written to: {error}"), advice)
        }
    }
}

/// Whether the vendor's own texts of mails can be used; none when there are none.
pub fn mail_templates(data: &DataDir, renderer: &Renderer) -> Option<Check> {
    let folder = data.mail_templates();
    if !folder.exists() {
        return None;
    }
    let broken: Vec<String> =
        renderer.broken().iter().map(|broken| format!("{}: {}", broken.file, broken.why)).collect();
    if broken.is_empty() {
        return Some(Check::ok("mail_templates", format!("{} can be used", folder.display())));
    }
    let found = format!("in {}: {}", folder.display(), broken.join("; "));
    let advice = "Correct them and restart; until then the built-in texts stand in";
    Some(Check::warning("mail_templates", found, advice))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_is_plausible_from_the_newest_record_on() {
        let newest = Some(at("2027-03-01T12:00:00Z"));
        for (now, state) in [
            ("2027-03-01T12:00:00Z", State::Ok),
            ("2027-03-01T11:59:56Z", State::Ok),
            ("2031-01-01T00:00:00Z", State::Ok),
            ("2027-03-01T11:59:00Z", State::Problem),
            ("2026-06-01T00:00:00Z", State::Problem),
        ] {
            assert_eq!(clock(at(now), newest).state, state, "{now}");
        }
    }

    #[test]
    fn a_clock_without_a_battery_is_noticed_even_without_records() {
        assert_eq!(clock(at("1970-01-01T00:00:10Z"), None).state, State::Problem);
        assert_eq!(clock(at("2150-01-01T00:00:00Z"), None).state, State::Problem);
        assert_eq!(clock(at("2027-01-01T00:00:00Z"), None).state, State::Ok);
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(size(2048), "2 KiB");
        assert_eq!(size(3 << 20), "3 MiB");
        assert_eq!(size(1_610_612_736), "1.5 GiB");
    }
}
