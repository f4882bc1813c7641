//! `coditect org team ...` and `coditect org project ...`

use serde_json::{Value, json};

use super::context::{Context, confirm};
use super::failure::Result;
use super::output::{Column, made, shown, text, time, whole, word};
use crate::cli::operator::Paging;
use crate::cli::org_parts::{ProjectCommand, TeamCommand};

const TEAMS: [Column; 3] =
    [text("NAME", "name"), time("SINCE", "created_at"), whole("TEAM", "team_id")];

const MEMBERS: [Column; 4] = [
    text("E-MAIL", "email"),
    text("NAME", "full_name"),
    whole("ROLE", "role"),
    time("SINCE", "joined_at"),
];

const GRANTS: [Column; 3] = [
    whole("LICENCE", "license_id"),
    whole("SEATS KEPT", "seats_reserved"),
    time("SINCE", "granted_at"),
];

const PROJECTS: [Column; 4] = [
    text("NAME", "name"),
    made("STATE", state),
    time("SINCE", "created_at"),
    whole("PROJECT", "project_id"),
];

fn state(project: &Value) -> String {
    if project["archived_at"].is_null() { "open" } else { "archived" }.to_owned()
}

pub async fn teams(context: &Context, command: TeamCommand) -> Result<()> {
    match command {
        TeamCommand::List { org, paging } => {
            let none = "No teams yet. `coditect org team create ORG NAME` makes one.";
            list(context, &org, "teams", &paging, &TEAMS, none).await
        }
        TeamCommand::Create { org, name } => create(context, &org, "teams", &name).await,
        TeamCommand::Rename { org, team, name } => {
            change(context, &Part::team(context, &org, &team).await?, json!({"name": name})).await
        }
        TeamCommand::Delete { org, team, consent } => {
            let team = Part::team(context, &org, &team).await?;
            confirm(consent.yes, &format!("Delete the team {}?", shown(&team.item["name"])))?;
            delete(context, &team).await
        }
        TeamCommand::Members { org, team, paging } => {
            let team = Part::team(context, &org, &team).await?;
            let none = "Nobody belongs to it yet.";
            context.list(&team.path(&["members"]), &[], &paging, &MEMBERS, none).await
        }
        TeamCommand::Add { org, team, user, role } => {
            let team = Part::team(context, &org, &team).await?;
            let user = context.user(&user).await?;
            let path = team.path(&["members", word(&user, "user_id")]);
            let answer = context.http.put(&path, json!({"role": role})).await?;
            let (email, name) = (shown(&user["email"]), shown(&team.item["name"]));
            context.did(&answer, &format!("{email} is a {role} of {name} now."))
        }
        TeamCommand::Remove { org, team, user } => {
            let team = Part::team(context, &org, &team).await?;
            let user = context.user(&user).await?;
            let path = team.path(&["members", word(&user, "user_id")]);
            let answer = context.http.delete(&path).await?;
            let (email, name) = (shown(&user["email"]), shown(&team.item["name"]));
            context.did(&answer, &format!("{email} does not belong to {name} any more."))
        }
        TeamCommand::Licenses { org, team, paging } => {
            let team = Part::team(context, &org, &team).await?;
            let none = "It may use no licence yet. `coditect org team grant` lets it.";
            context.list(&team.path(&["licenses"]), &[], &paging, &GRANTS, none).await
        }
        TeamCommand::Grant { org, team, license, seats } => {
            let team = Part::team(context, &org, &team).await?;
            let license = context.license_of(&team.org_id, &license).await?;
            let path = team.path(&["licenses", word(&license, "license_id")]);
            let answer = context.http.put(&path, json!({"seats_reserved": seats})).await?;
            let (name, key) = (shown(&team.item["name"]), shown(&license["license_key"]));
            context.did(&answer, &format!("{name} may use {key}; seats kept for it: {seats}."))
        }
        TeamCommand::Withdraw { org, team, license } => {
            let team = Part::team(context, &org, &team).await?;
            let license = context.license_of(&team.org_id, &license).await?;
            let path = team.path(&["licenses", word(&license, "license_id")]);
            let answer = context.http.delete(&path).await?;
            let (name, key) = (shown(&team.item["name"]), shown(&license["license_key"]));
            context.did(&answer, &format!("{name} may not use {key} any more."))
        }
    }
}

pub async fn projects(context: &Context, command: ProjectCommand) -> Result<()> {
    match command {
        ProjectCommand::List { org, paging } => {
            let none = "No projects yet. `coditect org project create ORG NAME` makes one.";
            list(context, &org, "projects", &paging, &PROJECTS, none).await
        }
        ProjectCommand::Create { org, name } => create(context, &org, "projects", &name).await,
        ProjectCommand::Rename { org, project, name } => {
            let project = Part::project(context, &org, &project).await?;
            change(context, &project, json!({"name": name})).await
        }
        ProjectCommand::Archive { org, project } => {
            let project = Part::project(context, &org, &project).await?;
            let answer = context.http.patch(&project.path(&[]), json!({"archived": true})).await?;
            let name = shown(&project.item["name"]);
            context.did(&answer, &format!("Nothing is added to {name} any more."))
        }
        ProjectCommand::Reopen { org, project } => {
            let project = Part::project(context, &org, &project).await?;
            let answer = context.http.patch(&project.path(&[]), json!({"archived": false})).await?;
            context.did(&answer, &format!("{} is open again.", shown(&project.item["name"])))
        }
        ProjectCommand::Delete { org, project, consent } => {
            let project = Part::project(context, &org, &project).await?;
            confirm(consent.yes, &format!("Delete the project {}?", shown(&project.item["name"])))?;
            delete(context, &project).await
        }
        ProjectCommand::Add { org, project, license } => {
            let project = Part::project(context, &org, &project).await?;
            let license = context.license_of(&project.org_id, &license).await?;
            let path = project.path(&["licenses", word(&license, "license_id")]);
            let answer = context.http.put(&path, json!({})).await?;
            let (name, key) = (shown(&project.item["name"]), shown(&license["license_key"]));
            context.did(&answer, &format!("{key} is in {name} now."))
        }
        ProjectCommand::Remove { org, project, license } => {
            let project = Part::project(context, &org, &project).await?;
            let license = context.license_of(&project.org_id, &license).await?;
            let path = project.path(&["licenses", word(&license, "license_id")]);
            let answer = context.http.delete(&path).await?;
            let (name, key) = (shown(&project.item["name"]), shown(&license["license_key"]));
            context.did(&answer, &format!("{key} is in {name} no more."))
        }
    }
}

/// A team or a project, as it was found.
struct Part {
    org_id: String,
    /// As paths call such parts.
    kind: &'static str,
    id: String,
    item: Value,
}

impl Part {
    async fn team(context: &Context, org: &str, given: &str) -> Result<Self> {
        let org_id = context.org_id(org).await?;
        let item = context.part_of(&org_id, "teams", given, "team", "team_id").await?;
        Ok(Self { org_id, kind: "teams", id: word(&item, "team_id").to_owned(), item })
    }

    async fn project(context: &Context, org: &str, given: &str) -> Result<Self> {
        let org_id = context.org_id(org).await?;
        let item = context.part_of(&org_id, "projects", given, "project", "project_id").await?;
        Ok(Self { org_id, kind: "projects", id: word(&item, "project_id").to_owned(), item })
    }

    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [&["orgs", &*self.org_id, self.kind, &*self.id], rest].concat()
    }
}

async fn list(
    context: &Context,
    org: &str,
    kind: &str,
    paging: &Paging,
    columns: &[Column],
    none: &str,
) -> Result<()> {
    let id = context.org_id(org).await?;
    context.list(&["orgs", &id, kind], &[], paging, columns, none).await
}

async fn create(context: &Context, org: &str, kind: &str, name: &str) -> Result<()> {
    let id = context.org_id(org).await?;
    let answer = context.http.post(&["orgs", &id, kind], Some(json!({"name": name}))).await?;
    context.did(&answer, &format!("{} is there.", shown(&answer["name"])))
}

async fn change(context: &Context, part: &Part, body: Value) -> Result<()> {
    let answer = context.http.patch(&part.path(&[]), body).await?;
    context.did(&answer, &format!("It is called {} now.", shown(&answer["name"])))
}

async fn delete(context: &Context, part: &Part) -> Result<()> {
    let answer = context.http.delete(&part.path(&[])).await?;
    context.did(&answer, &format!("{} is deleted.", shown(&part.item["name"])))
}
