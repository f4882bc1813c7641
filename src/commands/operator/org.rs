//! `coditect org ...`

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::context::{Context, confirm};
use super::failure::{Failure, Result};
use super::license::filters;
use super::output::{Column, new_file, plain, shown, size, text, time, whole, word};
use super::{org_access, org_provisioning, org_teams};
use crate::cli::operator::{Consent, Paging};
use crate::cli::orgs::OrgCommand;

const LIST: [Column; 6] = [
    text("NAME", "name"),
    text("OWNER", "owner.email"),
    whole("PERSONAL", "personal"),
    time("SINCE", "created_at"),
    time("DELETED AFTER", "deletion_due_at"),
    whole("ORGANISATION", "org_id"),
];

const SHOW: [Column; 8] = [
    text("Name", "name"),
    text("Owner", "owner.email"),
    whole("Organisation id", "org_id"),
    whole("Personal", "personal"),
    whole("Second factor required", "require_second_factor"),
    time("Since", "created_at"),
    time("To be deleted after", "deletion_due_at"),
    time("Erased", "erased_at"),
];

const MEMBERS: [Column; 5] = [
    text("E-MAIL", "email"),
    text("NAME", "full_name"),
    whole("ROLE", "role"),
    whole("SECOND FACTOR", "second_factor"),
    time("SINCE", "joined_at"),
];

const INVITATIONS: [Column; 4] = [
    text("E-MAIL", "email"),
    whole("ROLE", "role"),
    time("SENT", "sent_at"),
    time("UNTIL", "expires_at"),
];

pub async fn run(context: &Context, command: OrgCommand) -> Result<()> {
    match command {
        OrgCommand::List { query, paging } => {
            let none = "No organisation is like that. `coditect org list` lists all.";
            let filters = filters(&[("q", &query)]);
            context.list(&["admin", "orgs"], &filters, &paging, &LIST, none).await
        }
        OrgCommand::Show { org } => context.show(&found(context, &org).await?, &SHOW),
        OrgCommand::Rename { org, name } => {
            let id = context.org_id(&org).await?;
            let answer = context.http.patch(&["orgs", &id], json!({"name": name})).await?;
            context.did(&answer, &format!("It is called {} now.", shown(&answer["name"])))
        }
        OrgCommand::Transfer { org, user, consent } => {
            let (org, user) = (found(context, &org).await?, context.user(&user).await?);
            transfer(context, &org, &user, &consent).await
        }
        OrgCommand::SecondFactor { org, need } => {
            let id = context.org_id(&org).await?;
            let body = json!({"require_second_factor": need == "required"});
            let answer = context.http.patch(&["orgs", &id], body).await?;
            let name = shown(&answer["name"]);
            let lacking =
                if need == "required" { lacking(context, &id).await? } else { String::new() };
            context.did(&answer, &format!("To act for {name}, a second factor is {need}.{lacking}"))
        }
        OrgCommand::Members { org, paging } => {
            let id = context.org_id(&org).await?;
            let none = "Nobody belongs to it.";
            context.list(&["orgs", &id, "members"], &[], &paging, &MEMBERS, none).await
        }
        OrgCommand::Role { org, user, role } => {
            let (id, user) = (context.org_id(&org).await?, context.user(&user).await?);
            let path = ["orgs", &id, "members", word(&user, "user_id")];
            let answer = context.http.patch(&path, json!({"role": role})).await?;
            context.did(&answer, &format!("{} is {role} now.", shown(&user["email"])))
        }
        OrgCommand::Remove { org, user, consent } => {
            let (org, user) = (found(context, &org).await?, context.user(&user).await?);
            let (name, email) = (shown(&org["name"]), shown(&user["email"]));
            confirm(consent.yes, &format!("Remove {email} from {name}?"))?;
            let path = ["orgs", word(&org, "org_id"), "members", word(&user, "user_id")];
            let answer = context.http.delete(&path).await?;
            context.did(&answer, &format!("{email} does not belong to {name} any more."))
        }
        OrgCommand::Invite { org, email, role } => {
            let id = context.org_id(&org).await?;
            let body = json!({"email": email, "role": role});
            let answer = context.http.post(&["orgs", &id, "invitations"], Some(body)).await?;
            let asked = shown(&answer["email"]);
            context.did(&answer, &format!("{asked} is asked to join; the mail is on its way."))
        }
        OrgCommand::Invitations { org } => {
            let id = context.org_id(&org).await?;
            let none = "Nobody was asked who has not answered.";
            let all = Paging { limit: 200, all: true };
            context.list(&["orgs", &id, "invitations"], &[], &all, &INVITATIONS, none).await
        }
        OrgCommand::Resend { org, email } => {
            let (id, invitation) = invitation(context, &org, &email).await?;
            let path = ["orgs", &id, "invitations", &invitation, "resend"];
            let answer = context.http.post(&path, None).await?;
            context.did(&answer, "The mail is on its way, with a new link.")
        }
        OrgCommand::Revoke { org, email } => {
            let (id, invitation) = invitation(context, &org, &email).await?;
            let answer = context.http.delete(&["orgs", &id, "invitations", &invitation]).await?;
            context.did(&answer, "The link works no longer.")
        }
        OrgCommand::Export { org, out } => {
            let id = context.org_id(&org).await?;
            export(context, &id, &out).await
        }
        OrgCommand::Delete { org, consent } => {
            let org = found(context, &org).await?;
            let name = shown(&org["name"]);
            confirm(consent.yes, &format!("Have {name} deleted, with all that it has?"))?;
            let path = ["orgs", word(&org, "org_id")];
            let body = json!({"name": org["name"]});
            let answer = context.http.delete_with(&path, body).await?;
            let until = word(&answer, "deletion_due_at");
            context.did(
                &answer,
                &format!("{name} is erased after {until}; `coditect org restore` takes that back."),
            )
        }
        OrgCommand::Restore { org } => {
            let org = found(context, &org).await?;
            let answer =
                context.http.post(&["orgs", word(&org, "org_id"), "restore"], None).await?;
            context.did(&answer, &format!("{} stays.", shown(&org["name"])))
        }
        OrgCommand::Team { command } => org_teams::teams(context, command).await,
        OrgCommand::Project { command } => org_teams::projects(context, command).await,
        OrgCommand::Domain { command } => org_access::domains(context, command).await,
        OrgCommand::Sso { command } => org_access::sso(context, command).await,
        OrgCommand::Provisioning { command } => org_provisioning::run(context, command).await,
    }
}

async fn found(context: &Context, given: &str) -> Result<Value> {
    let id = context.org_id(given).await?;
    context.http.get(&["admin", "orgs", &id], &[]).await
}

async fn transfer(context: &Context, org: &Value, user: &Value, consent: &Consent) -> Result<()> {
    let (name, email) = (shown(&org["name"]), shown(&user["email"]));
    confirm(consent.yes, &format!("Give {name} to {email}?"))?;
    let path = ["orgs", word(org, "org_id"), "transfer"];
    let body = json!({"user_id": user["user_id"]});
    let answer = context.http.post(&path, Some(body)).await?;
    context.did(&answer, &format!("{name} is {email}'s now."))
}

/// The ids of an organisation, and of the invitation to it of an address.
async fn invitation(context: &Context, org: &str, email: &str) -> Result<(String, String)> {
    let id = context.org_id(org).await?;
    let open = context.pages(&["orgs", &id, "invitations"], &[], None).await?;
    let asked = email.to_lowercase();
    let theirs = open.items.iter().find(|invitation| word(invitation, "email") == asked);
    let Some(theirs) = theirs else {
        let why = format!("{} was not asked to join, or has answered", plain(email));
        return Err(Failure::not_found(why));
    };
    Ok((id, word(theirs, "invitation_id").to_owned()))
}

async fn export(context: &Context, id: &str, out: &Path) -> Result<()> {
    let fail = |error: io::Error| Failure::failed(format!("{}: {error}", out.display()));
    // It tells who belongs to it and what they did: for its owner's eyes.
    let mut file = new_file(out)?;
    let fetched = async {
        let path = ["orgs", id, "export"];
        let bytes = context.http.download(&path, &[], None, &mut file).await?;
        file.sync_all().map_err(fail)?;
        Ok(bytes)
    }
    .await;
    match fetched {
        Ok(bytes) => {
            let answer = json!({"file": out.display().to_string(), "bytes": bytes});
            context.did(&answer, &format!("Written to {} ({}).", out.display(), size(bytes)))
        }
        Err(failure) => {
            let _ = fs::remove_file(out);
            Err(failure)
        }
    }
}

/// How many members are asked for a second factor that they do not have.
async fn lacking(context: &Context, id: &str) -> Result<String> {
    let members = context.pages(&["orgs", id, "members"], &[], None).await?.items;
    let without = members.iter().filter(|member| member["second_factor"] == false).count();
    if without == 0 {
        return Ok(String::new());
    }
    let all = members.len();
    Ok(format!(
        " {without} of {all} members have none, and can do nothing there until they have set one up under `Your account`. They are told by mail."
    ))
}
