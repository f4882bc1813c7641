//! What the program does: one file per command.

mod admin;
mod backup;
mod config;
pub mod control;
mod demo;
mod doctor;
mod seat;
mod serve;

use std::process::ExitCode;

use crate::cli::{AdminCommand, Cli, Command, KeysCommand};
use crate::config::{self as settings, Config, Flags, Loaded};
use crate::domain::error::{Error, Result};

/// Runs the command that was typed. 0: done; 1: it failed, or found something wrong.
pub fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.command() {
        Command::Serve(args) => serve::run(&args),
        Command::Admin { command: AdminCommand::Link(settings) } => admin::link(&settings),
        Command::Backup { file, settings } => backup::backup(&file, &settings),
        Command::Restore { file, yes, settings } => backup::restore(&file, yes, &settings),
        Command::Doctor { json, settings } => doctor::run(json, &settings),
        Command::Config { command } => config::run(command),
        Command::Keys { command: KeysCommand::Rotate(settings) } => admin::rotate(&settings),
        Command::Seat { command } => Ok(seat::run(command)),
        Command::Version => {
            println!("coditect {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("coditect: {}", cause(&error));
        ExitCode::FAILURE
    })
}

/// On the command line the operator is the reader: the cause is what helps.
fn cause(error: &Error) -> &str {
    error.internal.as_deref().unwrap_or(&error.detail)
}

fn load(flags: Flags) -> Result<Loaded> {
    Config::load(flags, settings::environment()).map_err(Error::internal)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::internal)
}
