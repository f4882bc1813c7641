//! `coditect config show` and `coditect config init`.

use serde_json::json;

use super::load;
use super::operator::output::{self, Column, text, whole};
use super::operator::{self, Failure, Result};
use crate::cli::{ConfigCommand, Settings};
use crate::config::Config;

const COLUMNS: [Column; 3] =
    [whole("SETTING", "key"), text("VALUE", "value"), text("SOURCE", "source")];

pub(super) fn run(command: ConfigCommand, settings: &Settings) -> Result<()> {
    let ConfigCommand::Show { running, serve, via } = command else {
        return output::print(&Config::default_file());
    };
    let listed = if running || via.server.is_some() {
        operator::settings_in_force(&via, settings)?
    } else {
        let loaded = load(serve.flags(settings))?;
        for warning in &loaded.warnings {
            eprintln!("coditect: {warning}");
        }
        json!({"items": loaded.describe()})
    };
    if via.json {
        return output::json(&listed);
    }
    let items = listed["items"]
        .as_array()
        .ok_or_else(|| Failure::failed("the server's answer is no list of settings"))?;
    output::print(&output::table(&COLUMNS, items))
}
