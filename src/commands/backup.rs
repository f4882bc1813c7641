//! `coditect backup` and `coditect restore`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use super::{control, load};
use crate::cli::Settings;
use crate::config::DataDir;
use crate::domain::error::{Error, Result};
use crate::services::backups;
use crate::store::{self, Options, Store};

/// Copies the database: the running server does it, or this process when none runs.
pub(super) fn backup(file: &Path, settings: &Settings) -> Result<ExitCode> {
    let data = DataDir::of(&load(settings.flags())?.config);
    let file = std::path::absolute(file).map_err(Error::internal)?;
    if file.exists() {
        let file = file.display();
        return Err(Error::internal(format!(
            "{file} exists already; a backup replaces nothing. Name another file"
        )));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(Error::internal(format!("the folder {folder} does not exist; make it first")));
    }
    let path = serde_json::json!({ "path": file });
    let bytes = match control::post(&data, "/api/v1/admin/backups", Some(&path))? {
        Some(made) => made["bytes"].as_u64().unwrap_or_default(),
        None => copy_offline(&data, &file)?,
    };
    println!("Backed up to {} ({bytes} bytes).", file.display());
    println!(
        "It is of use only with the master key ({}), which is not in it.",
        data.master_key().display()
    );
    Ok(ExitCode::SUCCESS)
}

fn copy_offline(data: &DataDir, file: &Path) -> Result<u64> {
    let store =
        Store::open(&data.require_database()?, Options::default()).map_err(Error::internal)?;
    let info = store.backup(file, |_| ())?;
    store.close()?;
    Ok(info.bytes)
}

/// Puts a backup in the database's place; what was there is kept under another name.
pub(super) fn restore(file: &Path, yes: bool, settings: &Settings) -> Result<ExitCode> {
    let data = DataDir::of(&load(settings.flags())?.config);
    // The backup is looked at before anything is made or moved, and without writing to it.
    let schema = backups::inspect(file)?;
    data.create().map_err(|error| {
        Error::internal(format!("the data folder {}: {error}", data.path().display()))
    })?;
    let target = data.database();
    store::require_unused(&target).map_err(Error::internal)?;
    if target.exists() && !yes && !confirmed(&data, file)? {
        println!("Nothing was changed.");
        return Ok(ExitCode::FAILURE);
    }
    let kept = store::restore(file, &target).map_err(Error::internal)?;
    println!("Restored {} (schema {schema}) to {}.", file.display(), target.display());
    if let Some(kept) = kept {
        println!("What was there before is kept as {}.", kept.display());
    }
    println!("`coditect doctor` tells whether the master key fits.");
    Ok(ExitCode::SUCCESS)
}

fn confirmed(data: &DataDir, file: &Path) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::internal(
            "there is a database already; add --yes to put the backup in its place",
        ));
    }
    print!(
        "Replace {} by {}? The old one is kept beside it. [y/N] ",
        data.database().display(),
        file.display()
    );
    std::io::stdout().flush().map_err(Error::internal)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(Error::internal)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
