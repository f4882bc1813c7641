//! `coditect manual` and `coditect completions`, from the definitions that parse the command line.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::operator::{Failure, Result, output};
use crate::cli::Cli;

/// Prints the main page, or writes a page for every command.
pub(super) fn manual(dir: Option<&Path>) -> Result<()> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command())
            .render(&mut page)
            .map_err(|error| Failure::failed(error.to_string()))?;
        return output::print(&String::from_utf8_lossy(&page));
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .map_err(|error| Failure::failed(format!("{}: {error}", dir.display())))
}

/// Prints what a shell completes from.
pub(super) fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "coditect", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
