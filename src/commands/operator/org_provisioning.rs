//! `coditect org provisioning ...`: the tokens of an organisation's directory.

use serde_json::{Value, json};

use super::context::{Context, Listed, confirm};
use super::failure::{Failure, Result};
use super::output::{self, Column, plain, shown, text, time, whole, word};
use crate::cli::org_parts::ProvisioningCommand;

const TOKENS: [Column; 6] = [
    text("NAME", "name"),
    whole("BEGINS", "prefix"),
    time("MADE", "created_at"),
    time("LAST USED", "last_used_at"),
    time("UNTIL", "expires_at"),
    whole("TOKEN ID", "provisioning_token_id"),
];

pub async fn run(context: &Context, command: ProvisioningCommand) -> Result<()> {
    match command {
        ProvisioningCommand::List { org } => {
            let id = context.org_id(&org).await?;
            let (base_url, items) = tokens(context, &id).await?;
            if !context.is_json() {
                eprintln!("The directory speaks SCIM at {base_url}");
            }
            let none = "No token yet. `coditect org provisioning create ORG NAME` makes one.";
            context.print_list(&Listed { items, more: false }, &TOKENS, none)
        }
        ProvisioningCommand::Create { org, name, expires_in_days } => {
            let id = context.org_id(&org).await?;
            let mut body = json!({"name": name});
            if let Some(days) = expires_in_days {
                body["expires_in_days"] = days.into();
            }
            let path = ["orgs", &id, "provisioning-tokens"];
            let made = context.http.post(&path, Some(body)).await?;
            if context.is_json() {
                return output::json(&made);
            }
            eprintln!(
                "The directory speaks SCIM at {} with this token. Keep it well: it is shown this once. \
                 Whoever has it decides who belongs to the organisation.",
                shown(&made["base_url"])
            );
            output::print(&format!("{}\n", plain(word(&made, "secret"))))
        }
        ProvisioningCommand::Revoke { org, token, consent } => {
            let id = context.org_id(&org).await?;
            let (_, all) = tokens(context, &id).await?;
            let meant = one_of(&all, &token)?;
            let name = shown(&meant["name"]);
            let last = if all.len() == 1 {
                " It is the last: the directory's teams become ordinary ones."
            } else {
                ""
            };
            confirm(consent.yes, &format!("Revoke the provisioning token {name}?{last}"))?;
            let path = ["orgs", &id, "provisioning-tokens", word(meant, "provisioning_token_id")];
            let answer = context.http.delete(&path).await?;
            context.did(&answer, &format!("{name} opens nothing any more."))
        }
    }
}

/// Where the directory speaks SCIM, and its tokens, which fit on one page.
async fn tokens(context: &Context, id: &str) -> Result<(String, Vec<Value>)> {
    let mut all = context.http.get(&["orgs", id, "provisioning-tokens"], &[]).await?;
    let items = all["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    Ok((shown(&all["base_url"]), items))
}

/// The token that is called so, begins so, or has that id.
fn one_of<'a>(all: &'a [Value], given: &str) -> Result<&'a Value> {
    let called = |token: &&Value| {
        ["name", "prefix", "provisioning_token_id"].iter().any(|field| word(token, field) == given)
    };
    let found: Vec<_> = all.iter().filter(called).collect();
    match found[..] {
        [token] => Ok(token),
        [] => {
            let name = plain(given);
            Err(Failure::not_found(format!("there is no provisioning token of {name}")))
        }
        _ => {
            let name = plain(given);
            let why = format!("several provisioning tokens are called {name}; give the id of one");
            Err(Failure::usage(why))
        }
    }
}
