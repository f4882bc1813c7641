//! `coditect admin link` and `coditect keys rotate`.

use std::process::ExitCode;

use super::control::{self, Ask};
use super::{load, runtime};
use crate::app::{App, DataDir};
use crate::cli::Settings;
use crate::clock::Clock;
use crate::domain::error::{Error, Result};
use crate::entropy::Entropy;
use crate::signing::Purpose;

/// Prints a fresh set-up link, from the running server or straight from the data.
pub(super) fn link(settings: &Settings) -> Result<ExitCode> {
    let loaded = load(settings.flags())?;
    let link = match control::ask(&DataDir::of(&loaded.config), &Ask::SetupLink)? {
        Some(link) => link,
        None => runtime()?.block_on(async {
            let app = App::open(loaded, Clock::system(), Entropy::system()).await?;
            app.services.setup_link().await
        })?,
    };
    println!("{link}");
    Ok(ExitCode::SUCCESS)
}

/// Makes a new licence signing key; the old public key stays published.
pub(super) fn rotate(settings: &Settings) -> Result<ExitCode> {
    let loaded = load(settings.flags())?;
    let kid = match control::ask(&DataDir::of(&loaded.config), &Ask::RotateKey)? {
        Some(kid) => kid,
        None => runtime()?.block_on(async {
            let app = App::open(loaded, Clock::system(), Entropy::system()).await?;
            app.services.keys.ready(Purpose::License).await;
            Ok::<_, Error>(app.services.rotate_license_key_locally().await?.kid)
        })?,
    };
    println!("Licences are signed with the key {kid} from now on.");
    Ok(ExitCode::SUCCESS)
}
