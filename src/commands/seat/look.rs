//! `coditect seat status` and `coditect seat release`.

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use super::failure::{Failure, REFUSED};
use super::whose;
use crate::cli::{Settings, Whose};
use crate::client::{License, Validation};

/// Prints how the licence stands, and whether a program here keeps a seat.
pub(super) fn status(
    whose: &Whose,
    settings: &Settings,
    as_json: bool,
) -> Result<ExitCode, Failure> {
    let server = whose::server(whose, settings)?;
    let builder = whose::builder(whose, server.clone())?;
    let hardware_id = builder.used_hardware_id()?;
    let kept_here = builder.is_kept_here()?;
    let Validation { valid, code, license, .. } = builder.validate_blocking()?;
    if as_json {
        let seats = license.as_ref().map(|license| {
            let License { max_concurrent_seats: max, seats_used: used, .. } = *license;
            json!({"max": max, "used": used, "available": max.saturating_sub(used)})
        });
        print(&format!(
            "{:#}",
            json!({
                "server": server, "valid": valid, "code": code, "license": license, "seats": seats,
                "hardware_id": hardware_id, "kept_here": kept_here,
            })
        ));
    } else {
        print(&format!("Server        {server}"));
        print(&format!("Licence       {}", in_words(&code, license.as_ref())));
        if let Some(license) = &license {
            print(&format!(
                "Seats         {} of {} in use",
                license.seats_used, license.max_concurrent_seats
            ));
        }
        print(&format!("This machine  {hardware_id}"));
        print(&format!(
            "Seat          {}",
            if kept_here {
                "kept by a program that runs here"
            } else {
                "no program here keeps one"
            }
        ));
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

fn in_words(code: &str, license: Option<&License>) -> String {
    let Some(license) = license else {
        return format!("there is none with this key ({code})");
    };
    let until = match (&license.grace_period_ends_at, &license.expiry_date) {
        (Some(end), _) => format!(", works until {end}"),
        (None, Some(end)) => format!(", until {end}"),
        (None, None) => String::new(),
    };
    format!("{} ({}){until}", license.status, license.plan_name)
}

/// Gives back this machine's seat, whoever took it.
pub(super) fn release(whose: &Whose, settings: &Settings) -> Result<ExitCode, Failure> {
    let server = whose::server(whose, settings)?;
    let held = whose::builder(whose, server)?.release_machine_blocking()?;
    print(if held {
        "The seat of this machine was given back."
    } else {
        "This machine held no seat."
    });
    Ok(ExitCode::SUCCESS)
}

/// A line on standard output. Whoever reads it may have read enough.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
