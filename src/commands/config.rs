//! `coditect config show` and `coditect config init`.

use std::process::ExitCode;

use super::load;
use crate::cli::ConfigCommand;
use crate::config::Config;
use crate::domain::error::{Error, Result};

pub(super) fn run(command: ConfigCommand) -> Result<ExitCode> {
    match command {
        ConfigCommand::Init => print!("{}", Config::default_file()),
        ConfigCommand::Show { json, serve } => {
            let loaded = load(serve.flags())?;
            for warning in &loaded.warnings {
                eprintln!("coditect: {warning}");
            }
            show(json, loaded.describe())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(json: bool, settings: Vec<crate::config::SettingInfo>) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(&settings).map_err(Error::internal)?);
        return Ok(());
    }
    let width = settings.iter().map(|setting| setting.key.len()).max().unwrap_or(0);
    for setting in settings {
        let value = setting.value.unwrap_or_else(|| "(not set)".to_owned());
        println!("{:width$}  {value}  ({})", setting.key, setting.source);
    }
    Ok(())
}
