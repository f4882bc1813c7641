//! `coditect doctor`: what is wrong, and what to do about it.
//!
//! Without a server it reads the data itself and leaves every byte as it was. Beside a
//! running server it asks that one, which alone can open the database and which has the
//! settings that count.

mod check;
mod computer;
mod records;

use std::process::ExitCode;

use self::check::{Check, Report, State};
use super::control::{self, Ask};
use super::load;
use crate::app::DataDir;
use crate::cli::Settings;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::error::{Error, Result};
use crate::entropy::Entropy;
use crate::services::Services;
use crate::signing::MasterKey;
use crate::store::{Inspection, OpenError};

/// Looks at everything, prints it, and fails when something is broken.
pub(super) fn run(json: bool, settings: &Settings) -> Result<ExitCode> {
    let report = examine(settings);
    if json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(Error::internal)?);
    } else {
        println!("{report}");
    }
    Ok(if report.state == State::Problem { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn examine(settings: &Settings) -> Report {
    let loaded = match load(settings.flags()) {
        Ok(loaded) => loaded,
        Err(error) => {
            let advice = "Correct them: the server does not start like that. `coditect config init` shows what there is";
            let check = Check::problem("config", super::cause(&error), advice);
            return Report::new("unknown".to_owned(), false, vec![check]);
        }
    };
    let data = DataDir::of(&loaded.config);
    let path = data.path().display().to_string();
    let mut checks = vec![config(&loaded.warnings)];
    let mut server_running = false;
    match control::ask(&data, &Ask::Health) {
        Ok(Some(told)) => {
            server_running = true;
            match serde_json::from_str::<Vec<Check>>(&told) {
                Ok(told) => checks.extend(told),
                Err(_) => checks.push(other_version()),
            }
        }
        Ok(None) => checks.extend(without_server(&loaded.config, &data)),
        Err(error) => {
            let advice = "It may be starting or stopping: try again; then look at its log";
            let found =
                format!("a server runs on the data but does not answer: {}", super::cause(&error));
            checks.push(Check::problem("server", found, advice));
        }
    }
    Report::new(path, server_running, checks)
}

fn config(warnings: &[String]) -> Check {
    if warnings.is_empty() {
        return Check::ok("config", "the settings are in order");
    }
    Check::warning(
        "config",
        warnings.join(" "),
        "`coditect config show` tells each value and its source",
    )
}

fn other_version() -> Check {
    let advice = "Run the doctor of the same version as the server";
    Check::warning(
        "server",
        "the running server answers in words that this program does not know",
        advice,
    )
}

/// What can be seen while no server runs.
fn without_server(config: &Config, data: &DataDir) -> Vec<Check> {
    let now = Clock::system().now().wall;
    if !data.database().exists() {
        let found = format!("there is none at {}", data.database().display());
        let advice = "Is --data right? The first start makes it";
        return vec![Check::problem("database", found, advice), computer::clock(now, None)];
    }
    let mut checks = vec![computer::permissions(data), computer::disk(data)];
    match Inspection::open(&data.database()) {
        Ok(inspection) => {
            checks.push(records::database(&inspection.report));
            checks.push(records::schema(inspection.report.schema));
            let stored = inspection.read(|tx| {
                let keys =
                    records::keys(tx, master_key(config, data), now, config.keys.rotation_days)?;
                let clock = computer::clock(now, records::newest(tx)?);
                let log = match &inspection.wal_trouble {
                    Some(trouble) => records::lost_seats(trouble),
                    None => records::seat_log(|from, limit| inspection.read_log(from, limit))?,
                };
                Ok(vec![keys, log, clock, records::work(tx, now, false)?])
            });
            checks.extend(readable(stored));
        }
        Err(error) => checks.push(unopened(&error)),
    }
    checks.push(computer::mail(config, data));
    checks
}

/// What a running server knows of itself, as JSON: the answer to [`Ask::Health`].
pub(super) fn with_server(services: &Services, data: &DataDir) -> Result<String> {
    let now = services.clock.now().wall;
    let uptime = services.uptime_s();
    let version = env!("CARGO_PKG_VERSION");
    let found = format!("version {version}, process {}, up for {uptime} s", std::process::id());
    let mut checks =
        vec![Check::ok("server", found), computer::permissions(data), computer::disk(data)];
    checks.push(open_database(services));
    let stored = services.store.read(|tx| {
        let keys = records::keys(
            tx,
            master_key(&services.config, data),
            now,
            services.config.keys.rotation_days,
        )?;
        let clock = computer::clock(now, records::newest(tx)?);
        Ok(vec![keys, clock, records::work(tx, now, true)?])
    });
    checks.extend(readable(stored));
    let log = records::seat_log(|from, limit| services.store.read_log(from, limit));
    checks.extend(readable(log.map(|log| vec![log])));
    checks.push(computer::mail(&services.config, data));
    serde_json::to_string(&checks).map_err(Error::internal)
}

fn open_database(services: &Services) -> Check {
    if let Some(why) = services.storage_trouble() {
        let advice =
            "Make room or mend the disk; the server tries every second and goes on by itself";
        return Check::problem("database", format!("writes are refused: {why}"), advice);
    }
    let bytes = computer::size(services.store.stats().file_bytes);
    let tested = "stop the server to have every checksum tested";
    Check::ok("database", format!("{bytes}, writes are taken ({tested})"))
}

/// The master key as the server would find it; makes none.
fn master_key(config: &Config, data: &DataDir) -> Result<MasterKey, String> {
    let entropy = Entropy::system();
    crate::app::master_key(config, data, &entropy, true)
        .map_err(|error| super::cause(&error).to_owned())
}

fn readable(stored: Result<Vec<Check>>) -> Vec<Check> {
    stored.unwrap_or_else(|error| {
        let found = format!("what is stored cannot be read: {}", super::cause(&error));
        vec![Check::problem("database", found, "Restore the latest backup")]
    })
}

fn unopened(error: &OpenError) -> Check {
    let advice = match error {
        OpenError::AlreadyOpen { .. } => {
            "The process that holds it does not answer; look at its log, or stop it"
        }
        _ => "Copy the data folder away, then restore the latest backup",
    };
    Check::problem("database", error.to_string(), advice)
}
