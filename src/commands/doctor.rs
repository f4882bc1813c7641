//! `coditect doctor`.
use std::process::ExitCode;
use crate::cli::Settings;
use crate::domain::error::Result;
pub(super) fn run(_json: bool, _settings: &Settings) -> Result<ExitCode> { Ok(ExitCode::SUCCESS) }
