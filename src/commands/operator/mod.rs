//! What operators ask of a running server, through its API: one file for one or two kinds of record.
//!
//! Answers are not turned into types: a column names a member of the JSON, so that `--json` prints
//! what the server said, and a newer server's members are no trouble.

mod analytics;
mod audit;
mod backup;
mod billing;
mod connect;
mod context;
mod failure;
mod find;
mod http;
mod import;
mod key;
mod license;
mod org;
mod org_access;
mod org_provisioning;
mod org_teams;
pub mod output;
mod plan;
mod progress;
mod queue;
mod secret;
mod user;
mod watch;

use serde_json::Value;

use self::context::Context;
pub use self::context::confirm;
pub use self::failure::{Exit, Failure, Result};
use self::http::Http;
use crate::cli::operator::Via;
use crate::cli::server::{BackupCommand, SeatDesk};
use crate::cli::{AnySeat, Command, Settings};
use crate::config::DataDir;

/// Does what was typed. Commands that ask no server are none of this room's.
pub fn run(command: Command, settings: &Settings) -> Result<()> {
    match command {
        Command::Overview(via) => ask(&via, settings, async |c| watch::overview(c).await),
        Command::Analytics(wanted) => {
            ask(&wanted.via, settings, async |c| analytics::show(c, &wanted).await)
        }
        Command::License(noun) => {
            ask(&noun.via, settings, async |c| license::run(c, noun.command).await)
        }
        Command::User(noun) => ask(&noun.via, settings, async |c| user::run(c, noun.command).await),
        Command::Org(noun) => ask(&noun.via, settings, async |c| org::run(c, noun.command).await),
        Command::Plan(noun) => ask(&noun.via, settings, async |c| plan::run(c, noun.command).await),
        Command::Subscription(noun) => {
            ask(&noun.via, settings, async |c| billing::subscriptions(c, noun.command).await)
        }
        Command::Invoice(noun) => {
            ask(&noun.via, settings, async |c| billing::invoices(c, noun.command).await)
        }
        Command::Payment(noun) => {
            ask(&noun.via, settings, async |c| billing::payments(c, noun.command).await)
        }
        Command::Seat { command: AnySeat::All(SeatDesk::List { paging, via }) } => {
            ask(&via, settings, async |c| watch::seats(c, &paging).await)
        }
        Command::Seat { command: AnySeat::All(SeatDesk::Evict { session, license, via }) } => {
            ask(&via, settings, async |c| watch::evict(c, &session, license.as_deref()).await)
        }
        Command::Job(noun) => {
            ask(&noun.via, settings, async |c| queue::jobs(c, noun.command).await)
        }
        Command::Mail(noun) => {
            ask(&noun.via, settings, async |c| queue::mails(c, noun.command).await)
        }
        Command::ApiKey(keys) => block_on(async {
            let http = Http::sign_in(&keys.via, settings, &keys.sign_in).await?;
            let context = Context::of(http, keys.via.json);
            let outcome = key::api_keys(&context, keys.command).await;
            context.http.sign_out().await;
            outcome
        }),
        Command::Audit(noun) => audit::run(noun, settings),
        Command::Log(log) => ask(&log.via, settings, async |c| watch::log(c, &log).await),
        other => Err(Failure::failed(format!("this asks no server: {other:?}"))),
    }
}

/// `coditect key list`
pub fn list_keys(via: &Via, settings: &Settings) -> Result<()> {
    ask(via, settings, async |c| key::list(c).await)
}

/// `coditect key rotate` of a running server.
pub fn rotate_key(via: &Via, settings: &Settings) -> Result<()> {
    ask(via, settings, async |c| key::rotate(c).await)
}

/// What is done with the backups of a running server.
pub fn backups(command: BackupCommand, via: &Via, settings: &Settings) -> Result<()> {
    ask(via, settings, async |c| backup::run(c, command).await)
}

/// The settings of a running server.
pub fn settings_in_force(via: &Via, settings: &Settings) -> Result<Value> {
    ask(via, settings, async |c| c.http.get(&["admin", "settings"], &[]).await)
}

/// Whether a server is meant that is not the one on the data folder.
pub fn is_elsewhere(via: &Via, settings: &Settings) -> bool {
    connect::elsewhere(via, settings).is_some()
}

/// Where the server listens that runs on the data that the settings name, for whoever has no need of an API key.
pub fn address_of_running(settings: &Settings) -> Result<String> {
    let data = DataDir::of(&super::load(settings.flags())?.config);
    block_on(async { Http::on_or(&data, "use --server URL")?.own_address().await })
}

/// Reads something from the server that runs on this data; `None` when none does.
pub fn get_from_running(data: &DataDir, path: &[&str]) -> Result<Option<Value>> {
    let Ok(http) = Http::on(data) else { return Ok(None) };
    block_on(async { http.get(path, &[]).await.map(Some) })
}

/// Has the server that runs on this data do something; `None` when none does.
pub fn post_to_running(
    data: &DataDir,
    path: &[&str],
    body: Option<Value>,
) -> Result<Option<Value>> {
    let Ok(http) = Http::on(data) else { return Ok(None) };
    block_on(async { http.post(path, body).await.map(Some) })
}

/// Finds the server and does with it what `act` says.
fn ask<T>(
    via: &Via,
    settings: &Settings,
    act: impl AsyncFnOnce(&Context) -> Result<T>,
) -> Result<T> {
    block_on(async { act(&Context::of(Http::find(via, settings)?, via.json)).await })
}

/// Nothing runs beside the one request: threads would only cost time to start.
fn block_on<T>(act: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(error.to_string()))?;
    runtime.block_on(act)
}
