//! `coditect backup` and `coditect restore`.

use std::path::Path;

use serde_json::json;

use super::load;
use super::operator::{self, Failure, Result, output};
use crate::cli::Settings;
use crate::config::DataDir;
use crate::domain::error::{self, Error};
use crate::services::backups;
use crate::store;

/// Copies the database: the running server does it, or this process when none runs.
pub(super) fn backup(file: &Path, as_json: bool, settings: &Settings) -> Result<()> {
    let data = DataDir::of(&load(settings.flags())?.config);
    let file = std::path::absolute(file).map_err(Error::internal)?;
    if file.exists() {
        let file = file.display();
        return Err(Failure::failed(format!(
            "{file} exists already; a backup replaces nothing. Name another file"
        )));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(Failure::failed(format!("the folder {folder} does not exist; make it first")));
    }
    let path = json!({ "path": file });
    let bytes = match operator::post_to_running(&data, &["admin", "backups"], Some(path))? {
        Some(made) => made["bytes"].as_u64().unwrap_or_default(),
        None => copy_offline(&data, &file)?,
    };
    if as_json {
        return output::json(&json!({"file": file, "bytes": bytes}));
    }
    output::print(&format!(
        "Backed up to {} ({bytes} bytes).\n\
         It is of use only with the master key ({}), which is not in it.\n",
        file.display(),
        data.master_key().display()
    ))
}

fn copy_offline(data: &DataDir, file: &Path) -> error::Result<u64> {
    // Looked at, not opened: that would upgrade it, and whoever backs up before an upgrade may have the
    // new program in place already.
    let database = backups::inspect(&data.require_database()?)?;
    Ok(database.copy_to(file)?.bytes)
}

/// Puts a backup in the database's place; what was there is kept under another name.
pub(super) fn restore(file: &Path, yes: bool, settings: &Settings) -> Result<()> {
    let data = DataDir::of(&load(settings.flags())?.config);
    // The backup is looked at before anything is made or moved, and without writing to it.
    let schema = backups::inspect(file)?.report.schema.unwrap_or_default();
    data.create().map_err(|error| {
        Error::internal(format!("the data folder {}: {error}", data.path().display()))
    })?;
    let target = data.database();
    store::require_unused(&target).map_err(Error::internal)?;
    if target.exists() {
        let (old, new) = (target.display(), file.display());
        let question = format!(
            "There is a database already. Replace {old} by {new}? The old one is kept beside it."
        );
        operator::confirm(yes, &question)?;
    }
    let kept = store::restore(file, &target, &|| false).map_err(Error::internal)?;
    let kept = kept.map_or_else(String::new, |kept| {
        format!("What was there before is kept as {}.\n", kept.display())
    });
    output::print(&format!(
        "Restored {} (schema {schema}) to {}.\n{kept}\
         `coditect doctor` tells whether the master key fits.\n",
        file.display(),
        target.display()
    ))
}
