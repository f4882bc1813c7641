//! `coditect license ...`

use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::audit::HISTORY;
use super::context::{Context, Query, confirm};
use super::failure::{Failure, Result};
use super::output::{self, Column, made, plain, shown, text, time, whole, word};
use crate::cli::customers::{IssueLicense, LicenseCommand};
use crate::cli::operator::{FeatureFlag, Until};

const LIST: [Column; 6] = [
    whole("KEY", "license_key"),
    whole("STATUS", "status"),
    made("SEATS", seats),
    text("PLAN", "plan_name"),
    made("CUSTOMER", customer),
    time("UNTIL", "expiry_date"),
];

const SHOW: [Column; 14] = [
    whole("Licence key", "license_key"),
    made("Status", status),
    made("Seats in use", seats),
    text("Plan", "plan_name"),
    made("Customer", customer),
    text("Organisation", "customer.org_name"),
    text("Features", "features"),
    made("Activations", activations),
    time("Issued", "issued_at"),
    time("Until", "expiry_date"),
    time("Grace until", "grace_period_ends_at"),
    whole("Licence id", "license_id"),
    whole("Organisation id", "org_id"),
    whole("Subscription id", "subscription_id"),
];

const SESSIONS: [Column; 5] = [
    text("HARDWARE ID", "hardware_id"),
    time("SINCE", "started_at"),
    time("LAST HEARD", "last_heartbeat_at"),
    time("LAPSES", "expires_at"),
    whole("SESSION", "session_id"),
];

const ACTIVATIONS: [Column; 6] = [
    text("HARDWARE ID", "hardware_id"),
    text("MACHINE", "machine_name"),
    text("PLATFORM", "platform"),
    time("ACTIVATED", "activated_at"),
    time("LAST SEEN", "last_seen_at"),
    whole("ACTIVATION", "activation_id"),
];

/// Where it stands, and what lifts a suspension.
fn status(license: &Value) -> String {
    let lifted = match word(license, "suspended_by") {
        "operator" => " by an operator, until it is reinstated",
        "payment" => " for want of payment, until one is recorded",
        _ => "",
    };
    format!("{}{lifted}", shown(&license["status"]))
}

/// Seats in use, of how many.
fn seats(license: &Value) -> String {
    format!("{}/{}", shown(&license["seats_used"]), shown(&license["max_concurrent_seats"]))
}

/// How many machines may be activated.
pub fn activations(record: &Value) -> String {
    match &record["max_activations"] {
        Value::Null => "no limit".to_owned(),
        most => shown(most),
    }
}

/// Whom a record belongs to: the address that mail goes to.
pub fn customer(record: &Value) -> String {
    match word(record, "customer.email") {
        "" => shown(output::at(record, "customer.org_name")),
        email => plain(email),
    }
}

pub async fn run(context: &Context, command: LicenseCommand) -> Result<()> {
    match command {
        LicenseCommand::List { status, query, org, paging } => {
            let org = match &org {
                Some(org) => Some(context.org_id(org).await?),
                None => None,
            };
            let filters = filters(&[("status", &status), ("q", &query), ("org_id", &org)]);
            let none = if filters.is_empty() {
                "No licences yet. `coditect license issue --email ADDRESS --seats N` makes one."
            } else {
                "No licence is like that. `coditect license list` lists all."
            };
            context.list(&["admin", "licenses"], &filters, &paging, &LIST, none).await
        }
        LicenseCommand::Show { license } => context.show(&context.license(&license).await?, &SHOW),
        LicenseCommand::Issue(wanted) => issue(context, wanted).await,
        LicenseCommand::Suspend { license, reason } => {
            let body = reason.map_or(json!({}), |reason| json!({"reason": reason}));
            let found = context.license(&license).await?;
            let now = match found["seats_used"].as_u64().unwrap_or_default() {
                0 => "is suspended; nobody holds a seat".to_owned(),
                n => format!("is suspended; {}", told(n)),
            };
            act(context, word(&found, "license_id"), "suspend", Some(body), &now).await
        }
        LicenseCommand::Reinstate { license } => {
            act(context, &license, "reinstate", None, "works again").await
        }
        LicenseCommand::Revoke { license, consent } => {
            let found = context.license(&license).await?;
            let (key, whose) = (shown(&found["license_key"]), customer(&found));
            confirm(consent.yes, &format!("Revoke {key} of {whose} for good?"))?;
            act(context, word(&found, "license_id"), "revoke", None, "is revoked").await
        }
        LicenseCommand::Extend { license, until } => {
            let (end, words) = end(&until);
            act(context, &license, "extend", Some(json!({"expiry_date": end})), &words).await
        }
        LicenseCommand::Resize { license, seats } => {
            let words = format!("has {seats} {} now", if seats == 1 { "seat" } else { "seats" });
            act(context, &license, "resize", Some(json!({"max_concurrent_seats": seats})), &words)
                .await
        }
        LicenseCommand::File { license, out } => file(context, &license, out.as_deref()).await,
        LicenseCommand::Resend { license } => {
            let found = context.license(&license).await?;
            let path = ["admin", "licenses", word(&found, "license_id"), "resend"];
            let answer = context.http.post(&path, None).await?;
            let whose = customer(&found);
            context.did(&answer, &format!("Key and signed file are mailed to {whose} again."))
        }
        LicenseCommand::Sessions { license, paging } => {
            let found = context.license(&license).await?;
            let path = ["licenses", word(&found, "license_id"), "sessions"];
            context.list(&path, &[], &paging, &SESSIONS, "Nobody holds a seat.").await
        }
        LicenseCommand::Activations { license, paging } => {
            let found = context.license(&license).await?;
            let path = ["licenses", word(&found, "license_id"), "activations"];
            context.list(&path, &[], &paging, &ACTIVATIONS, "No machine is activated.").await
        }
        LicenseCommand::Deactivate { license, machine } => {
            deactivate(context, &license, &machine).await
        }
        LicenseCommand::History { license, paging } => {
            let found = context.license(&license).await?;
            let subject = [("subject", word(&found, "license_id"))];
            let none = "Nothing is recorded of it; the audit log is kept for retention.audit_days.";
            context.list(&["admin", "audit"], &subject, &paging, &HISTORY, none).await
        }
    }
}

fn told(holders: u64) -> String {
    let (who, hears) = if holders == 1 { ("one holds", "is") } else { ("hold", "are") };
    let n = if holders == 1 { String::new() } else { format!("{holders} ") };
    format!("{n}{who} a seat and {hears} told at the next heartbeat, within minutes")
}

async fn act(
    context: &Context,
    license: &str,
    verb: &str,
    body: Option<Value>,
    now: &str,
) -> Result<()> {
    let found = context.license(license).await?;
    let path = ["admin", "licenses", word(&found, "license_id"), verb];
    let answer = context.http.post(&path, body).await?;
    context.did(&answer, &format!("The licence {} {now}.", shown(&answer["license_key"])))
}

async fn issue(context: &Context, wanted: IssueLicense) -> Result<()> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            body.insert(name.to_owned(), value);
        }
    };
    put("email", wanted.email.into());
    if let Some(org) = &wanted.org {
        put("org_id", context.org_id(org).await?.into());
    }
    if let Some(plan) = &wanted.plan {
        put("plan_id", context.plan(plan).await?["plan_id"].take());
    }
    put("max_concurrent_seats", wanted.seats.into());
    put("max_activations", wanted.activations.into());
    if let Some(until) = &wanted.until {
        put("expiry_date", end(until).0);
    }
    if !wanted.features.is_empty() {
        put("features", features(&wanted.features));
    }
    let license = context.http.post(&["admin", "licenses"], Some(body.into())).await?;
    context.show(&license, &SHOW)
}

async fn file(context: &Context, license: &str, out: Option<&Path>) -> Result<()> {
    let found = context.license(license).await?;
    let signed = context.http.text(&["licenses", word(&found, "license_id"), "file"], &[]).await?;
    let Some(out) = out else { return output::print(&signed) };
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(out)?;
        file.write_all(signed.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| {
        let why = match error.kind() {
            ErrorKind::AlreadyExists => "is there already, and nothing is replaced".to_owned(),
            _ => format!("cannot be written: {error}"),
        };
        Failure::failed(format!("{} {why}", out.display()))
    })?;
    eprintln!("Written to {}.", out.display());
    Ok(())
}

async fn deactivate(context: &Context, license: &str, machine: &str) -> Result<()> {
    let found = context.license(license).await?;
    let id = word(&found, "license_id");
    let all = context.pages(&["licenses", id, "activations"], &[], None).await?.items;
    let meant = |activation: &&Value| {
        word(activation, "activation_id") == machine || word(activation, "hardware_id") == machine
    };
    let Some(activation) = all.iter().find(meant) else {
        return Err(Failure::not_found(format!(
            "no machine {} is activated; `coditect license activations` lists those that are",
            plain(machine)
        )));
    };
    let path = ["licenses", id, "activations", word(activation, "activation_id")];
    let answer = context.http.delete(&path).await?;
    context.did(&answer, &format!("The machine {} is unbound.", plain(machine)))
}

/// The pairs that were given.
pub fn filters<'a>(given: &[(&'a str, &'a Option<String>)]) -> Query<'a> {
    given.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect()
}

/// An end on the wire, and in words.
fn end(until: &Until) -> (Value, String) {
    match until {
        Until::Never => (Value::Null, "has no end now".to_owned()),
        Until::At(moment) => (moment.as_str().into(), format!("ends {moment} now")),
    }
}

/// Features on the wire: flags, whole numbers and texts.
pub fn features(given: &[FeatureFlag]) -> Value {
    let value = |text: &str| match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
    };
    given.iter().map(|feature| (feature.name.clone(), value(&feature.value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_a_flag_a_number_or_a_text() {
        let given: Vec<FeatureFlag> =
            ["export=true", "beta=false", "projects=20", "tier=gold", "note=2.5"]
                .map(|text| text.parse().unwrap())
                .into();
        let wire =
            json!({"export": true, "beta": false, "projects": 20, "tier": "gold", "note": "2.5"});
        assert_eq!(features(&given), wire);
    }
}
