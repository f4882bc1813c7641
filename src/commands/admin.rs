//! `coditect admin link` and `coditect keys rotate`.

use std::process::ExitCode;

use super::control::{self, Ask};
use super::{load, runtime};
use crate::app::{self, DataDir};
use crate::cli::Settings;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::domain::error::Result;
use crate::entropy::Entropy;
use crate::services::Services;

/// Prints a fresh set-up link, from the running server or straight from the data.
pub(super) fn link(settings: &Settings) -> Result<ExitCode> {
    let loaded = load(settings.flags())?;
    let link = match control::ask(&DataDir::of(&loaded.config), &Ask::SetupLink)? {
        Some(link) => link,
        None => offline(loaded, async |services| services.setup_link().await)?,
    };
    println!("{link}");
    Ok(ExitCode::SUCCESS)
}

/// Makes a new licence signing key; the old public key stays published.
pub(super) fn rotate(settings: &Settings) -> Result<ExitCode> {
    let loaded = load(settings.flags())?;
    let kid = match control::ask(&DataDir::of(&loaded.config), &Ask::RotateKey)? {
        Some(kid) => kid,
        None => {
            offline(loaded, async |services| Ok(services.rotate_license_key_locally().await?.kid))?
        }
    };
    println!("Licences are signed with the key {kid} from now on.");
    Ok(ExitCode::SUCCESS)
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
