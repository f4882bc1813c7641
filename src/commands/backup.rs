//! `coditect backup` and `coditect restore`.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::control::{self, Ask};
use super::load;
use crate::app::DataDir;
use crate::cli::Settings;
use crate::domain::error::{Error, Result};
use crate::store::{self, Options, Store};

/// Copies the database: the running server does it, or this process when none runs.
pub(super) fn backup(file: &Path, settings: &Settings) -> Result<ExitCode> {
    let data = DataDir::of(&load(settings.flags())?.config);
    let file = std::path::absolute(file).map_err(Error::internal)?;
    let size = match control::ask(&data, &Ask::Backup { file: file.clone() })? {
        Some(size) => size,
        None => copy_offline(&data, &file)?,
    };
    println!("Backed up to {} ({size}).", file.display());
    println!("It is of use only with the master key ({}), which is not in it.", data.master_key().display());
    Ok(ExitCode::SUCCESS)
}

fn copy_offline(data: &DataDir, file: &Path) -> Result<String> {
    require_database(data)?;
    let store = Store::open(&data.database(), Options::default()).map_err(Error::internal)?;
    let info = store.backup(file, |_| ())?;
    store.close()?;
    Ok(format!("{} bytes", info.bytes))
}

/// Puts a backup in the database's place; what was there is kept under another name.
pub(super) fn restore(file: &Path, yes: bool, settings: &Settings) -> Result<ExitCode> {
    let data = DataDir::of(&load(settings.flags())?.config);
    if control::ask(&data, &Ask::Health)?.is_some() {
        return Err(Error::internal("the server is running on this data; stop it first"));
    }
    data.create().map_err(Error::internal)?;
    let report = Store::check(file, &Options::default()).map_err(Error::internal)?;
    let target = data.database();
    if target.exists() && !yes && !confirmed(&data, file)? {
        println!("Nothing was changed.");
        return Ok(ExitCode::FAILURE);
    }
    let kept = store::restore(file, &target).map_err(Error::internal)?;
    println!("Restored {} (schema {}) to {}.", file.display(), report.schema.unwrap_or_default(), target.display());
    if let Some(kept) = kept {
        println!("What was there before is kept as {}.", kept.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn confirmed(data: &DataDir, file: &Path) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::internal("there is a database already; add --yes to put the backup in its place"));
    }
    print!("Replace {} by {}? The old one is kept beside it. [y/N] ", data.database().display(), file.display());
    std::io::stdout().flush().map_err(Error::internal)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(Error::internal)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn require_database(data: &DataDir) -> Result<PathBuf> {
    let database = data.database();
    if database.exists() {
        return Ok(database);
    }
    Err(Error::internal(format!("there is no database at {}; is --data right?", database.display())))
}
