//! `coditect admin link`, `coditect keys rotate` and `coditect key replace-master`.

use std::path::Path;

use serde_json::{Value, json};

use super::operator::{self, Failure, Result, output};
use super::{load, runtime};
use crate::app;
use crate::cli::Settings;
use crate::clock::Clock;
use crate::config::{DataDir, Loaded};
use crate::domain::error::{self, Error};
use crate::entropy::Entropy;
use crate::services::master_key::Replaced;
use crate::services::{Actor, Services};
use crate::store;

/// Prints a fresh set-up link, from the running server or straight from the data.
pub(super) fn link(settings: &Settings) -> Result<()> {
    let loaded = load(settings.flags())?;
    let data = DataDir::of(&loaded.config);
    let link = match operator::post_to_running(&data, &["admin", "setup-link"], None)? {
        Some(made) => told(&made, "url")?,
        None => offline(loaded, async |services| services.setup_link().await)?,
    };
    output::print(&format!("{link}\n"))
}

/// Makes a new licence signing key, in the running server or straight in the data; the old public
/// key stays published.
pub(super) fn rotate(as_json: bool, settings: &Settings) -> Result<()> {
    let loaded = load(settings.flags())?;
    let data = DataDir::of(&loaded.config);
    let made = match operator::post_to_running(&data, &["admin", "keys", "rotate"], None)? {
        Some(made) => made,
        None => offline(loaded, async |services| {
            let kid = services.rotate_license_key(&Actor::of_the_computer()).await?.kid;
            Ok(json!({"kid": kid}))
        })?,
    };
    if as_json {
        return output::json(&made);
    }
    let kid = told(&made, "kid")?;
    output::print(&format!("Licences are signed with the key {kid} from now on.\n"))
}

/// Seals every secret of a server that does not run under another master key.
pub(super) fn replace_master(file: Option<&Path>, yes: bool, settings: &Settings) -> Result<()> {
    let loaded = load(settings.flags())?;
    let data = DataDir::of(&loaded.config);
    store::require_unused(&data.require_database()?).map_err(Error::internal)?;
    operator::confirm(yes, "Replace the master key?")?;
    let done = offline(loaded, async |services| services.replace_master_key(&data, file).await)?;
    let Replaced { secrets, kept } = done;
    let next = match (kept, file) {
        (Some(kept), _) => format!(
            "The old one is {}: backups made before need it. Move it to where their master key is kept, and back up anew.",
            kept.display()
        ),
        (None, Some(file)) => format!(
            "Now let keys.master name {}: with the old key the server does not start. Backups made before need the old one.",
            file.display()
        ),
        (None, None) => String::new(),
    };
    output::print(&format!("{secrets} secrets are sealed under the new master key.\n{next}\n"))
}

/// A text in what the server told.
fn told(answer: &Value, name: &str) -> Result<String> {
    let text = answer[name].as_str().map(str::to_owned);
    text.ok_or_else(|| Failure::failed("the running server is of another version; restart it"))
}

/// Does something with the data of a server that does not run, and closes it cleanly.
fn offline<T>(loaded: Loaded, act: impl AsyncFnOnce(&Services) -> error::Result<T>) -> Result<T> {
    runtime()?.block_on(async {
        let services = app::offline(loaded, Clock::system(), Entropy::system())?;
        let done = act(&services).await;
        let store = services.store.clone();
        drop(services);
        store.close()?;
        Ok(done?)
    })
}
