//! `coditect seat`: holding a seat on this machine. Thin over the library's `client`.

mod child;
mod failure;
mod hold;
mod look;
mod whose;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use crate::cli::{SeatCommand, Settings};

/// Does it. Whatever prevents it is said on standard error, and told by the exit code.
pub(super) fn run(command: SeatCommand, settings: &Settings) -> ExitCode {
    let outcome = match command {
        SeatCommand::Run(run) => hold::run(&run, settings),
        SeatCommand::Status { json, whose } => look::status(&whose, settings, json),
        SeatCommand::Release { whose } => look::release(&whose, settings),
    };
    outcome.unwrap_or_else(|failure| {
        say(&failure);
        failure.code()
    })
}

/// A line on standard error. That may be closed by now, which must not end the command.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "coditect: {line}");
}
