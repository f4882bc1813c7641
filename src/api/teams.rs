//! Teams of an organisation, the licences that they may use, and projects.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::{Created, Json};
use super::wire::{Done, Time, list, page_request};
use super::{Answer, Problem, Tag};
use crate::domain::ids::OrgId;
use crate::domain::team;
use crate::domain::user::User;
use crate::services::Services;
use crate::services::projects::ProjectChange;

/// The calls about teams and projects.
pub struct Teams {
    /// The operations.
    pub services: Arc<Services>,
}

/// A team.
#[derive(Object, Serialize)]
pub struct Team {
    /// Identifies the team.
    team_id: Uuid,
    /// The organisation.
    org_id: Uuid,
    /// What people call it.
    name: String,
    /// When it was made.
    created_at: Time,
    /// Whether the organisation's directory says what it is called and who belongs to it.
    provisioned: bool,
}

impl From<team::Team> for Team {
    fn from(team: team::Team) -> Self {
        let team::Team { team_id, org_id, name, created_at, directory } = team;
        let provisioned = directory.is_some();
        let created_at = created_at.into();
        Self { team_id: team_id.0, org_id: org_id.0, name, created_at, provisioned }
    }
}

/// What a person is in a team.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum TeamRole {
    /// Says who belongs to it, too.
    Maintainer,
    /// Belongs to it.
    Member,
}

impl From<team::TeamRole> for TeamRole {
    fn from(role: team::TeamRole) -> Self {
        match role {
            team::TeamRole::Maintainer => Self::Maintainer,
            team::TeamRole::Member => Self::Member,
        }
    }
}

impl From<TeamRole> for team::TeamRole {
    fn from(role: TeamRole) -> Self {
        match role {
            TeamRole::Maintainer => Self::Maintainer,
            TeamRole::Member => Self::Member,
        }
    }
}

/// Somebody who belongs to a team.
#[derive(Object, Serialize)]
pub struct TeamMember {
    /// The team.
    team_id: Uuid,
    /// The person.
    user_id: Uuid,
    /// The person's address.
    email: String,
    /// The person's name.
    full_name: String,
    /// What the person is there.
    role: TeamRole,
    /// Since when.
    joined_at: Time,
}

impl From<(team::TeamMember, User)> for TeamMember {
    fn from((member, user): (team::TeamMember, User)) -> Self {
        Self {
            team_id: member.team_id.0,
            user_id: member.user_id.0,
            email: user.email.as_str().to_owned(),
            full_name: user.full_name,
            role: member.role.into(),
            joined_at: member.joined_at.into(),
        }
    }
}

/// A team may use a licence.
#[derive(Object, Serialize)]
pub struct Grant {
    /// The team.
    team_id: Uuid,
    /// The licence.
    license_id: Uuid,
    /// Seats that are the team's; 0: none is kept for it.
    seats_reserved: u32,
    /// Since when.
    granted_at: Time,
}

impl From<team::Grant> for Grant {
    fn from(grant: team::Grant) -> Self {
        Self {
            team_id: grant.team_id.0,
            license_id: grant.license_id.0,
            seats_reserved: grant.seats_reserved,
            granted_at: grant.granted_at.into(),
        }
    }
}

/// A project.
#[derive(Object, Serialize)]
pub struct Project {
    /// Identifies the project.
    project_id: Uuid,
    /// The organisation.
    org_id: Uuid,
    /// What people call it.
    name: String,
    /// When it was made.
    created_at: Time,
    /// Since when nothing is added to it.
    archived_at: Option<Time>,
}

impl From<team::Project> for Project {
    fn from(project: team::Project) -> Self {
        Self {
            project_id: project.project_id.0,
            org_id: project.org_id.0,
            name: project.name,
            created_at: project.created_at.into(),
            archived_at: project.archived_at.map(Time),
        }
    }
}

/// A name for a team or a project.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct NewName {
    /// 1 to 100 characters; no other one of the organisation is called so.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
}

/// What a person is to be in a team.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct SetTeamRole {
    /// `maintainer` or `member`.
    role: TeamRole,
}

/// How a team may use a licence.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct SetGrant {
    /// Seats to reserve, no more than the licence has beside those of other teams; 0: none.
    #[oai(validator(maximum(value = "1000000")))]
    seats_reserved: u32,
}

/// What is to change of a project; what is left out stays.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ChangeProject {
    /// 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: Option<String>,
    /// Whether nothing is added to it any more.
    archived: Option<bool>,
}

list! {
    /// A page of teams.
    TeamList of Team;
    /// A page of a team's members.
    TeamMemberList of TeamMember;
    /// A page of the licences that a team may use.
    GrantList of Grant;
    /// A page of projects.
    ProjectList of Project;
}

#[OpenApi(prefix_path = "/api/v1/orgs", tag = "Tag::Organisations")]
impl Teams {
    /// Teams
    #[oai(path = "/:org_id/teams", method = "get", operation_id = "list_teams")]
    async fn list_teams(
        &self,
        person: Person,
        org_id: Path<String>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<TeamList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = self.services.teams(&person.0, org(&org_id)?, &request)?;
        Ok(Json(TeamList::of(page, Team::from)))
    }

    /// Make a team
    #[oai(path = "/:org_id/teams", method = "post", operation_id = "create_team")]
    async fn create_team(
        &self,
        person: Person,
        org_id: Path<String>,
        body: Json<NewName>,
    ) -> Answer<Created<Team>> {
        let id = org(&org_id)?;
        Ok(Created(self.services.create_team(&person.0, id, &body.0.name).await?.into()))
    }

    /// One team
    #[oai(path = "/:org_id/teams/:team_id", method = "get", operation_id = "get_team")]
    async fn get_team(
        &self,
        person: Person,
        org_id: Path<String>,
        team_id: Path<String>,
    ) -> Answer<Json<Team>> {
        let (id, team) = (org(&org_id)?, path_id(&team_id.0, "team")?);
        Ok(Json(self.services.team(&person.0, id, team)?.into()))
    }

    /// Rename a team
    #[oai(path = "/:org_id/teams/:team_id", method = "patch", operation_id = "rename_team")]
    async fn rename_team(
        &self,
        person: Person,
        org_id: Path<String>,
        team_id: Path<String>,
        body: Json<NewName>,
    ) -> Answer<Json<Team>> {
        let (id, team) = (org(&org_id)?, path_id(&team_id.0, "team")?);
        Ok(Json(self.services.rename_team(&person.0, id, team, &body.0.name).await?.into()))
    }

    /// Delete a team
    ///
    /// Its members stay in the organisation, and its licences stay what they are.
    #[oai(path = "/:org_id/teams/:team_id", method = "delete", operation_id = "delete_team")]
    async fn delete_team(
        &self,
        person: Person,
        org_id: Path<String>,
        team_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let (id, team) = (org(&org_id)?, path_id(&team_id.0, "team")?);
        self.services.delete_team(&person.0, id, team).await?;
        Ok(Json(Done::new("deleted")))
    }

    /// Who belongs to a team
    #[oai(
        path = "/:org_id/teams/:team_id/members",
        method = "get",
        operation_id = "list_team_members"
    )]
    async fn list_team_members(
        &self,
        person: Person,
        org_id: Path<String>,
        team_id: Path<String>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<TeamMemberList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let (id, team) = (org(&org_id)?, path_id(&team_id.0, "team")?);
        let page = self.services.team_members(&person.0, id, team, &request)?;
        Ok(Json(TeamMemberList::of(page, TeamMember::from)))
    }

    /// Add a member of the organisation to a team, or say what they are there
    ///
    /// Maintainers of the team may do that as well.
    #[oai(
        path = "/:org_id/teams/:team_id/members/:user_id",
        method = "put",
        operation_id = "set_team_member"
    )]
    async fn set_team_member(
        &self,
        person: Person,
        org_id: Path<String>,
        team_id: Path<String>,
        user_id: Path<String>,
        body: Json<SetTeamRole>,
    ) -> Answer<Json<TeamMember>> {
        let (id, team) = (org(&org_id)?, path_id(&team_id.0, "team")?);
        let (user, role) = (path_id(&user_id.0, "member")?, body.0.role.into());
        let set = self.services.set_team_member(&person.0, id, team, user, role).await?;
        Ok(Json(set.into()))
    }

    /// Take somebody out of a team, or leave it
    #[oai(
        path = "/:org_id/teams/:team_id/members/:user_id",
        method = "delete",
        operation_id = "remove_team_member"
    )]
    async fn remove_team_member(
        &self,
        person: Person,
        org_id: Path<String>,
        team_id: Path<String>,
        user_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let (id, team) = (org(&org_id)?, path_id(&team_id.0, "team")?);
        let user = path_id(&user_id.0, "member")?;
        self.services.remove_team_member(&person.0, id, team, user).await?;
        Ok(Json(Done::new("removed")))
    }

    /// The licences that a team may use
    #[oai(
        path = "/:org_id/teams/:team_id/licenses",
        method = "get",
        operation_id = "list_team_licenses"
    )]
    async fn list_team_licenses(
        &self,
        person: Person,
        org_id: Path<String>,
        team_id: Path<String>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<GrantList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let (id, team) = (org(&org_id)?, path_id(&team_id.0, "team")?);
        let page = self.services.grants(&person.0, id, team, &request)?;
        Ok(Json(GrantList::of(page, Grant::from)))
    }

    /// Let a team use a licence
    ///
    /// With so many of its seats reserved. Who gets a seat does not depend on that yet. A licence that is
    /// made smaller keeps what is reserved of it; no more is reserved until it fits again.
    #[oai(
        path = "/:org_id/teams/:team_id/licenses/:license_id",
        method = "put",
        operation_id = "grant_license"
    )]
    async fn grant_license(
        &self,
        person: Person,
        org_id: Path<String>,
        team_id: Path<String>,
        license_id: Path<String>,
        body: Json<SetGrant>,
    ) -> Answer<Json<Grant>> {
        let (id, team) = (org(&org_id)?, path_id(&team_id.0, "team")?);
        let (license, seats) = (path_id(&license_id.0, "license")?, body.0.seats_reserved);
        Ok(Json(self.services.grant_license(&person.0, id, team, license, seats).await?.into()))
    }

    /// Take back that a team may use a licence
    #[oai(
        path = "/:org_id/teams/:team_id/licenses/:license_id",
        method = "delete",
        operation_id = "withdraw_license"
    )]
    async fn withdraw_license(
        &self,
        person: Person,
        org_id: Path<String>,
        team_id: Path<String>,
        license_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let (id, team) = (org(&org_id)?, path_id(&team_id.0, "team")?);
        let license = path_id(&license_id.0, "license")?;
        self.services.withdraw_license(&person.0, id, team, license).await?;
        Ok(Json(Done::new("withdrawn")))
    }

    /// Projects
    #[oai(path = "/:org_id/projects", method = "get", operation_id = "list_projects")]
    async fn list_projects(
        &self,
        person: Person,
        org_id: Path<String>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<ProjectList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = self.services.projects(&person.0, org(&org_id)?, &request)?;
        Ok(Json(ProjectList::of(page, Project::from)))
    }

    /// Make a project
    ///
    /// Licences are grouped in it, each in one project at most; `GET /licenses?project_id=` lists them.
    #[oai(path = "/:org_id/projects", method = "post", operation_id = "create_project")]
    async fn create_project(
        &self,
        person: Person,
        org_id: Path<String>,
        body: Json<NewName>,
    ) -> Answer<Created<Project>> {
        let id = org(&org_id)?;
        Ok(Created(self.services.create_project(&person.0, id, &body.0.name).await?.into()))
    }

    /// One project
    #[oai(path = "/:org_id/projects/:project_id", method = "get", operation_id = "get_project")]
    async fn get_project(
        &self,
        person: Person,
        org_id: Path<String>,
        project_id: Path<String>,
    ) -> Answer<Json<Project>> {
        let (id, project) = (org(&org_id)?, path_id(&project_id.0, "project")?);
        Ok(Json(self.services.project(&person.0, id, project)?.into()))
    }

    /// Rename a project, archive it, or open it again
    #[oai(
        path = "/:org_id/projects/:project_id",
        method = "patch",
        operation_id = "change_project"
    )]
    async fn change_project(
        &self,
        person: Person,
        org_id: Path<String>,
        project_id: Path<String>,
        body: Json<ChangeProject>,
    ) -> Answer<Json<Project>> {
        let (id, project) = (org(&org_id)?, path_id(&project_id.0, "project")?);
        let ChangeProject { name, archived } = body.0;
        let change = ProjectChange { name, archived };
        Ok(Json(self.services.change_project(&person.0, id, project, change).await?.into()))
    }

    /// Delete a project
    ///
    /// Its licences stay what they are.
    #[oai(
        path = "/:org_id/projects/:project_id",
        method = "delete",
        operation_id = "delete_project"
    )]
    async fn delete_project(
        &self,
        person: Person,
        org_id: Path<String>,
        project_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let (id, project) = (org(&org_id)?, path_id(&project_id.0, "project")?);
        self.services.delete_project(&person.0, id, project).await?;
        Ok(Json(Done::new("deleted")))
    }

    /// Group a licence in a project
    ///
    /// It leaves the one that it was in.
    #[oai(
        path = "/:org_id/projects/:project_id/licenses/:license_id",
        method = "put",
        operation_id = "add_to_project"
    )]
    async fn add_to_project(
        &self,
        person: Person,
        org_id: Path<String>,
        project_id: Path<String>,
        license_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let (id, project) = (org(&org_id)?, path_id(&project_id.0, "project")?);
        let license = path_id(&license_id.0, "license")?;
        self.services.add_to_project(&person.0, id, project, license).await?;
        Ok(Json(Done::new("added")))
    }

    /// Take a licence out of a project
    #[oai(
        path = "/:org_id/projects/:project_id/licenses/:license_id",
        method = "delete",
        operation_id = "take_out_of_project"
    )]
    async fn take_out_of_project(
        &self,
        person: Person,
        org_id: Path<String>,
        project_id: Path<String>,
        license_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let (id, project) = (org(&org_id)?, path_id(&project_id.0, "project")?);
        let license = path_id(&license_id.0, "license")?;
        self.services.take_out_of_project(&person.0, id, project, license).await?;
        Ok(Json(Done::new("removed")))
    }
}

fn org(id: &Path<String>) -> Result<OrgId, Problem> {
    path_id(&id.0, "organisation")
}
