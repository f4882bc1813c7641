//! `coditect key ...` and `coditect api-key ...`

use serde_json::{Value, json};

use super::context::{Context, Listed, confirm};
use super::failure::{Failure, Result};
use super::output::{self, Column, made, plain, shown, text, time, whole, word};
use crate::cli::server::ApiKeyCommand;

const KEYS: [Column; 5] = [
    whole("SIGNS", "purpose"),
    whole("ALGORITHM", "algorithm"),
    made("STATE", state),
    time("SINCE", "created_at"),
    whole("KEY", "kid"),
];

const API_KEYS: [Column; 6] = [
    text("NAME", "name"),
    whole("BEGINS WITH", "prefix"),
    time("SINCE", "created_at"),
    time("UNTIL", "expires_at"),
    time("LAST USED", "last_used_at"),
    whole("API KEY", "api_key_id"),
];

fn state(key: &Value) -> String {
    if key["retired_at"].is_null() { "signs" } else { "retired" }.to_owned()
}

/// Every public key.
pub async fn list(context: &Context) -> Result<()> {
    let mut keys = context.http.get(&["keys"], &[]).await?;
    let items = keys["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let none = "No key yet: the server makes one at its first start, which takes a moment.";
    context.print_list(&Listed { items, more: false }, &KEYS, none)
}

/// A new key for licences.
pub async fn rotate(context: &Context) -> Result<()> {
    let key = context.http.post(&["admin", "keys", "rotate"], None).await?;
    let sentence = format!("Licences are signed with the key {} from now on.", shown(&key["kid"]));
    context.did(&key, &sentence)
}

pub async fn api_keys(context: &Context, command: ApiKeyCommand) -> Result<()> {
    match command {
        ApiKeyCommand::List { paging } => {
            let none = "No API keys. `coditect api-key create NAME` makes one.";
            context.list(&["api-keys"], &[], &paging, &API_KEYS, none).await
        }
        ApiKeyCommand::Create { name, expires_in_days, scopes } => {
            let mut body = json!({"name": name});
            if let Some(days) = expires_in_days {
                body["expires_in_days"] = days.into();
            }
            if !scopes.is_empty() {
                body["scopes"] = scopes.into();
            }
            let made = context.http.post(&["api-keys"], Some(body)).await?;
            if context.is_json() {
                return output::json(&made);
            }
            eprintln!("Keep it well: it is shown this once. Whoever has it acts in your place.");
            output::print(&format!("{}\n", plain(word(&made, "secret"))))
        }
        ApiKeyCommand::Revoke { api_key, consent } => {
            let all = context.pages(&["api-keys"], &[], None).await?.items;
            let meant =
                |key: &&Value| word(key, "api_key_id") == api_key || word(key, "name") == api_key;
            let found: Vec<_> = all.iter().filter(meant).collect();
            let key = match found[..] {
                [key] => key,
                [] => {
                    let name = plain(&api_key);
                    return Err(Failure::not_found(format!("there is no API key {name}")));
                }
                _ => {
                    return Err(Failure::usage(
                        "several API keys have this name; say which by its id, as `coditect api-key list` tells it",
                    ));
                }
            };
            let name = shown(&key["name"]);
            confirm(consent.yes, &format!("Take back the API key {name}?"))?;
            let answer = context.http.delete(&["api-keys", word(key, "api_key_id")]).await?;
            context.did(&answer, &format!("The API key {name} is taken back."))
        }
    }
}
