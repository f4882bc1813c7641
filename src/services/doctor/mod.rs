//! What is wrong with the appliance, and what to do about it: the checks that a running server
//! makes of itself and those that the command line makes without one.

pub mod check;
pub mod computer;
pub mod records;

use std::sync::Arc;

use self::check::{Check, Report, State};
use super::master_key::master_key;
use super::{Actor, Services};
use crate::config::{Config, DataDir};
use crate::domain::error::{Error, Result};
use crate::entropy::Entropy;
use crate::signing::MasterKey;

impl Services {
    /// What is wrong with the running server and its data, as far as it can see; for operators.
    pub async fn diagnose(self: &Arc<Self>, actor: &Actor) -> Result<Report> {
        actor.require_operator()?;
        // It reads the disk and opens every key: not for a thread that serves requests.
        let services = Arc::clone(self);
        let mut checks = tokio::task::spawn_blocking(move || examine(&services))
            .await
            .map_err(Error::internal)?;
        checks.push(self.way_out().await);
        checks.extend(self.check_stripe().await);
        checks.extend(computer::mail_templates(&self.data, &self.templates));
        Ok(Report::new(self.data.path().display().to_string(), true, checks))
    }

    /// Whether mails can leave now, and whether they could when the last one was tried.
    async fn way_out(&self) -> Check {
        let mut check = computer::mail(&self.config, &self.data).await;
        if let Some(trouble) = self.mail_trouble() {
            let tried = format!("; since {} no mail could leave: {}", trouble.since, trouble.why);
            check.found.push_str(&tried);
            if check.state == State::Ok {
                check.state = State::Warning;
                check.advice = Some("It seems mended: mails are tried again within ten minutes, or at once with `coditect mail retry`".to_owned());
            }
        }
        check
    }
}

fn examine(services: &Services) -> Vec<Check> {
    let (config, data) = (&services.config, &services.data);
    let now = services.clock.now().wall;
    let uptime = services.uptime_s();
    let version = env!("CARGO_PKG_VERSION");
    let found = format!("version {version}, process {}, up for {uptime} s", std::process::id());
    let mut checks =
        vec![Check::ok("server", found), computer::permissions(data), computer::disk(data)];
    checks.push(open_database(services));
    let stored = services.store.read(|tx| {
        let keys =
            records::keys(tx, stored_master_key(config, data), now, config.keys.rotation_days)?;
        let clock = computer::clock(now, records::newest(tx)?);
        Ok(vec![
            keys,
            clock,
            records::work(tx, now, true)?,
            records::backup(tx, data, now)?,
            records::audit_log(tx)?,
        ])
    });
    checks.extend(readable(stored));
    let log = records::seat_log(|from, limit| services.store.read_log(from, limit));
    checks.extend(readable(log.map(|log| vec![log])));
    checks
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

/// The master key as a start of the server would find it; makes none.
pub fn stored_master_key(config: &Config, data: &DataDir) -> Result<MasterKey, String> {
    master_key(config, data, &Entropy::system(), true).map_err(|error| cause(&error).to_owned())
}

/// The checks, or that what is stored cannot be read.
pub fn readable(stored: Result<Vec<Check>>) -> Vec<Check> {
    stored.unwrap_or_else(|error| {
        let found = format!("what is stored cannot be read: {}", cause(&error));
        vec![Check::problem("database", found, "Restore the latest backup")]
    })
}

/// The reader runs the appliance: the cause is what helps.
fn cause(error: &Error) -> &str {
    error.internal.as_deref().unwrap_or(&error.detail)
}
