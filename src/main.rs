//! The `coditect` program: parse, call the library, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    coditect::commands::run(coditect::cli::Cli::read())
}
