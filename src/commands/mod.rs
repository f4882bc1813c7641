//! What the program does: one file per command.

mod admin;
mod backup;
mod config;
mod demo;
mod doctor;
mod manual;
mod operator;
mod seat;
mod serve;

use std::process::ExitCode;

use self::operator::Failure;
use crate::cli::server::KeyCommand;
use crate::cli::{AdminCommand, AnySeat, Cli, Command};
use crate::config::{self as settings, Config, Flags, Loaded};
use crate::domain::error::{Error, Result};

/// Runs the command that was typed; the exit code is one of those that the manual page lists.
pub fn run(cli: Cli) -> ExitCode {
    let (command, settings) = cli.split();
    let outcome: operator::Result<ExitCode> = match command {
        Command::Serve(args) => serve::run(&args, &settings).map_err(Failure::from),
        Command::Admin { command: AdminCommand::Link } => admin::link(&settings).map(done),
        Command::Key(noun) => match noun.command {
            KeyCommand::List => operator::list_keys(&noun.via, &settings).map(done),
            KeyCommand::Rotate if operator::is_elsewhere(&noun.via, &settings) => {
                operator::rotate_key(&noun.via, &settings).map(done)
            }
            KeyCommand::Rotate => admin::rotate(noun.via.json, &settings).map(done),
            KeyCommand::ReplaceMaster { new, consent } => {
                admin::replace_master(new.as_deref(), consent.yes, &settings).map(done)
            }
        },
        Command::Backup(args) => match (args.command, args.file) {
            (Some(command), None) => operator::backups(command, &args.via, &settings).map(done),
            (None, Some(_)) if operator::is_elsewhere(&args.via, &settings) => Err(Failure::usage(
                "a server elsewhere keeps its backups itself: `backup create`, then `backup download`",
            )),
            (None, Some(file)) => backup::backup(&file, args.via.json, &settings).map(done),
            _ => Err(Failure::usage("name either a file to write or a command, not both")),
        },
        Command::Restore { file, yes } => backup::restore(&file, yes, &settings).map(done),
        Command::Doctor { json } => doctor::run(json, &settings),
        Command::Config { command } => config::run(command, &settings).map(done),
        Command::Seat { command: AnySeat::Here(command) } => Ok(seat::run(command, &settings)),
        Command::Completions { shell } => manual::completions(shell).map(done),
        Command::Manual { dir } => manual::manual(dir.as_deref()).map(done),
        Command::Version => {
            operator::output::print(&format!("coditect {}\n", env!("CARGO_PKG_VERSION"))).map(done)
        }
        asking => operator::run(asking, &settings).map(done),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("coditect: {}", failure.text);
        ExitCode::from(failure.exit as u8)
    })
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
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
