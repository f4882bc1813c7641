//! The `coditect` program: parse, call the library, exit.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    coditect::commands::run(coditect::cli::Cli::parse())
}
