//! `coditect org domain ...` and `coditect org sso ...`: how people come into an organisation by themselves.

use serde_json::{Value, json};

use super::context::{Context, confirm};
use super::failure::{Failure, Result};
use super::output::{Column, made, plain, shown, text, time, whole, word};
use super::secret;
use crate::cli::operator::Paging;
use crate::cli::org_parts::{DomainCommand, SsoCommand, SsoTerms};

const DOMAINS: [Column; 5] = [
    whole("DOMAIN", "domain"),
    made("PROVED", proved),
    whole("JOINING", "auto_join"),
    whole("TXT RECORD", "record_name"),
    whole("SAYS", "record_value"),
];

const DOMAIN: [Column; 6] = [
    whole("Domain", "domain"),
    made("Proved", proved),
    whole("Joining", "auto_join"),
    whole("TXT record", "record_name"),
    whole("Says", "record_value"),
    time("Looked for", "checked_at"),
];

const SSO: [Column; 10] = [
    whole("Issuer", "issuer"),
    whole("Client id", "client_id"),
    whole("Client secret kept", "has_client_secret"),
    text("Scopes", "scopes"),
    whole("Claim of groups", "groups_claim"),
    made("Groups", groups),
    made("Everybody else", everybody_else),
    whole("Members begin at", "start_url"),
    whole("Goes back to", "redirect_uri"),
    time("Changed", "changed_at"),
];

fn proved(domain: &Value) -> String {
    match (domain["verified_at"].is_null(), domain["verified_by_hand"].as_bool()) {
        (true, _) => "no",
        (false, Some(true)) => "by hand",
        (false, _) => "yes",
    }
    .to_owned()
}

fn groups(sso: &Value) -> String {
    let rules = sso["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rule = |it: &Value| format!("{}={}", plain(word(it, "group")), word(it, "role"));
    let rules: Vec<_> = rules.iter().map(rule).collect();
    if rules.is_empty() { "-".to_owned() } else { rules.join(", ") }
}

fn everybody_else(sso: &Value) -> String {
    sso["default_role"].as_str().unwrap_or("does not belong to it").to_owned()
}

pub async fn domains(context: &Context, command: DomainCommand) -> Result<()> {
    match command {
        DomainCommand::List { org } => {
            let id = context.org_id(&org).await?;
            let none = "No domain yet. `coditect org domain add ORG DOMAIN` adds one.";
            let all = Paging { limit: 200, all: true };
            context.list(&["orgs", &id, "domains"], &[], &all, &DOMAINS, none).await
        }
        DomainCommand::Add { org, domain } => {
            let id = context.org_id(&org).await?;
            let body = json!({"domain": domain});
            let added = context.http.post(&["orgs", &id, "domains"], Some(body)).await?;
            context.show(&added, &DOMAIN)
        }
        DomainCommand::Verify { org, domain } => {
            let id = context.org_id(&org).await?;
            let path = ["orgs", &id, "domains", &domain, "verify"];
            let answer = context.http.post(&path, None).await?;
            context.did(&answer, &format!("{} is proved.", shown(&answer["domain"])))
        }
        DomainCommand::Confirm { org, domain, consent } => {
            let id = context.org_id(&org).await?;
            let question = format!("Confirm {} without its record?", plain(&domain));
            confirm(consent.yes, &question)?;
            let path = ["admin", "orgs", &id, "domains", &domain, "verify"];
            let answer = context.http.post(&path, None).await?;
            context.did(&answer, &format!("{} is confirmed.", shown(&answer["domain"])))
        }
        DomainCommand::Joining { org, domain, join } => {
            let id = context.org_id(&org).await?;
            let path = ["orgs", &id, "domains", &domain];
            let answer = context.http.patch(&path, json!({"auto_join": join})).await?;
            let name = shown(&answer["domain"]);
            let sentence = match join.as_str() {
                "off" => format!("Nobody joins by {name}."),
                role => format!("Whoever has a confirmed address at {name} joins as {role}."),
            };
            context.did(&answer, &sentence)
        }
        DomainCommand::Remove { org, domain, consent } => {
            let id = context.org_id(&org).await?;
            confirm(consent.yes, &format!("Remove {}?", plain(&domain)))?;
            let answer = context.http.delete(&["orgs", &id, "domains", &domain]).await?;
            context.did(&answer, &format!("Nobody joins by {} any more.", plain(&domain)))
        }
    }
}

pub async fn sso(context: &Context, command: SsoCommand) -> Result<()> {
    match command {
        SsoCommand::Show { org } => {
            let id = context.org_id(&org).await?;
            let addresses = context.http.get(&["orgs", &id, "sso", "addresses"], &[]).await?;
            if addresses["set"] == true {
                return context.show(&context.http.get(&["orgs", &id, "sso"], &[]).await?, &SSO);
            }
            Err(Failure::not_found(format!(
                "no issuer is set. Register this server with one, with {} as the address to go \
                 back to; `coditect org sso set` names it then",
                shown(&addresses["redirect_uri"])
            )))
        }
        SsoCommand::Set { org, sso } => {
            let id = context.org_id(&org).await?;
            let body = body(&sso)?;
            let set = context.http.put(&["orgs", &id, "sso"], body).await?;
            context.show(&set, &SSO)
        }
        SsoCommand::Remove { org, consent } => {
            let id = context.org_id(&org).await?;
            confirm(consent.yes, &format!("Take the issuer of {} away?", plain(&org)))?;
            let answer = context.http.delete(&["orgs", &id, "sso"]).await?;
            context.did(&answer, "Nobody is signed in through it any more.")
        }
    }
}

/// What was typed, as the wire has it.
fn body(sso: &SsoTerms) -> Result<Value> {
    let group =
        |rule: &crate::cli::org_parts::GroupRole| json!({"group": rule.group, "role": rule.role});
    let secret = sso.client_secret_file.as_deref().map(secret::client_secret).transpose()?;
    Ok(json!({
        "issuer": sso.issuer,
        "client_id": sso.client_id,
        "client_secret": secret,
        "scopes": sso.scopes,
        "groups_claim": sso.groups_claim,
        "groups": sso.groups.iter().map(group).collect::<Vec<_>>(),
        "default_role": sso.default_role,
    }))
}
