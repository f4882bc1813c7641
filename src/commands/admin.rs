//! `coditect admin link` and `coditect keys rotate`.

use std::process::ExitCode;

use super::{control, load, runtime};
use crate::app;
use crate::cli::Settings;
use crate::clock::Clock;
use crate::config::{DataDir, Loaded};
use crate::domain::error::{Error, Result};
use crate::entropy::Entropy;
use crate::services::{Actor, Services};

/// Prints a fresh set-up link, from the running server or straight from the data.
pub(super) fn link(settings: &Settings) -> Result<ExitCode> {
    let loaded = load(settings.flags())?;
    let data = DataDir::of(&loaded.config);
    let link = match control::post(&data, "/api/v1/admin/setup-link", None)? {
        Some(made) => told(&made, "url")?,
        None => offline(loaded, async |services| services.setup_link().await)?,
    };
    println!("{link}");
    Ok(ExitCode::SUCCESS)
}

/// Makes a new licence signing key; the old public key stays published.
pub(super) fn rotate(settings: &Settings) -> Result<ExitCode> {
    let loaded = load(settings.flags())?;
    let data = DataDir::of(&loaded.config);
    let kid = match control::post(&data, "/api/v1/admin/keys/rotate", None)? {
        Some(made) => told(&made, "kid")?,
        None => offline(loaded, async |services| {
            Ok(services.rotate_license_key(&Actor::of_the_computer()).await?.kid)
        })?,
    };
    println!("Licences are signed with the key {kid} from now on.");
    Ok(ExitCode::SUCCESS)
}

/// A text in what the server told.
fn told(answer: &serde_json::Value, name: &str) -> Result<String> {
    let text = answer[name].as_str().map(str::to_owned);
    text.ok_or_else(|| Error::internal("the running server is of another version; restart it"))
}

/// Does something with the data of a server that does not run, and closes it cleanly.
fn offline<T>(loaded: Loaded, act: impl AsyncFnOnce(&Services) -> Result<T>) -> Result<T> {
    runtime()?.block_on(async {
        let services = app::offline(loaded, Clock::system(), Entropy::system())?;
        let done = act(&services).await;
        let store = services.store.clone();
        drop(services);
        store.close()?;
        done
    })
}
