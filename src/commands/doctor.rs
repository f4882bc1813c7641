//! `coditect doctor`: what is wrong, and what to do about it.
//!
//! Without a server it reads the data itself and leaves every byte as it was. Beside a
//! running server it asks that one, which alone can open the database and which has the
//! settings that count.

use std::process::ExitCode;

use super::operator::output;
use super::{load, operator};
use crate::cli::Settings;
use crate::clock::Clock;
use crate::config::{Config, DataDir};
use crate::domain::error::Error;
use crate::mail::Renderer;
use crate::services::doctor::check::{Check, Report, State};
use crate::services::doctor::{computer, readable, records, stored_master_key};
use crate::store::{Inspection, OpenError};

/// Looks at everything, prints it, and fails when something is broken.
pub(super) fn run(json: bool, settings: &Settings) -> operator::Result<ExitCode> {
    let report = examine(settings);
    let text = if json {
        serde_json::to_string_pretty(&report).map_err(Error::internal)?
    } else {
        report.to_string()
    };
    output::print(&format!("{text}\n"))?;
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
    match operator::get_from_running(&data, &["admin", "diagnostics"]) {
        Ok(Some(told)) => {
            server_running = true;
            match serde_json::from_value::<Report>(told) {
                Ok(told) => checks.extend(told.checks),
                Err(_) => checks.push(other_version()),
            }
        }
        Ok(None) => checks.extend(without_server(&loaded.config, &data)),
        Err(error) => {
            let advice = "It may be starting or stopping: try again; then look at its log";
            let found = format!("a server runs on the data but does not answer: {}", error.text);
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
                let keys = records::keys(
                    tx,
                    stored_master_key(config, data),
                    now,
                    config.keys.rotation_days,
                )?;
                let clock = computer::clock(now, records::newest(tx)?);
                let log = match &inspection.wal_trouble {
                    Some(trouble) => records::lost_seats(trouble),
                    None => records::seat_log(|from, limit| inspection.read_log(from, limit))?,
                };
                let work = records::work(tx, now, false)?;
                let audit = records::audit_log(tx)?;
                Ok(vec![keys, log, clock, work, records::backup(tx, data, now)?, audit])
            });
            checks.extend(readable(stored));
        }
        Err(error) => checks.push(unopened(&error)),
    }
    checks.push(match super::runtime() {
        Ok(runtime) => runtime.block_on(computer::mail(config, data)),
        Err(error) => {
            Check::warning("mail", super::cause(&error), "Start the server and ask again")
        }
    });
    let public_url = config.public_url(config.server.listen);
    let renderer = Renderer::from_config(config, public_url, &data.mail_templates());
    checks.extend(computer::mail_templates(data, &renderer));
    checks
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
