//! Projects of an organisation, in which its licences are grouped.

use serde_json::json;

use super::orgs::place;
use super::teams::{checked_name, require_free};
use super::{Actor, Services};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{LicenseId, OrgId, ProjectId};
use crate::domain::license::License;
use crate::domain::organisation::Permission;
use crate::domain::page::{Page, PageRequest};
use crate::domain::team::Project;
use crate::store::projects::{LICENSES_MAX, PROJECTS_MAX};
use crate::store::{self, projects};

/// What is to change of a project; what is left out stays.
pub struct ProjectChange {
    /// What people call it.
    pub name: Option<String>,
    /// Whether nothing is added to it any more.
    pub archived: Option<bool>,
}

impl Services {
    /// The organisation's projects, oldest first.
    pub fn projects(
        &self,
        actor: &Actor,
        id: OrgId,
        request: &PageRequest,
    ) -> Result<Page<Project>> {
        self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgRead)?;
            store::org(tx, id).projects(request)
        })
    }

    /// One project.
    pub fn project(&self, actor: &Actor, id: OrgId, project_id: ProjectId) -> Result<Project> {
        self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgRead)?;
            store::org(tx, id).project(project_id)
        })
    }

    /// The licences of a project of the actor's organisation, newest first.
    pub fn licenses_of_project(
        &self,
        actor: &Actor,
        project_id: ProjectId,
        request: &PageRequest,
    ) -> Result<Page<License>> {
        let org_id = actor.org(Permission::LicensesRead)?;
        self.store.read(|tx| {
            let org = store::org(tx, org_id);
            org.project(project_id)?;
            org.licenses_of_project(project_id, request)
        })
    }

    /// Makes a project.
    ///
    /// # Errors
    /// `NameTaken` when another one is called so; `OrgState` when there are as many as there may be.
    pub async fn create_project(&self, actor: &Actor, id: OrgId, name: &str) -> Result<Project> {
        let name = checked_name(name)?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            let (org, _) = place(tx, &actor, id, Permission::TeamsManage)?;
            org.require_staying()?;
            let there = store::org(tx, id).all_projects()?;
            if there.len() >= PROJECTS_MAX {
                let text = format!("There are {PROJECTS_MAX} projects; delete one first.");
                return Err(Error::new(Code::OrgState, text));
            }
            require_free(&name, there.iter().map(|project| project.name.as_str()))?;
            let project_id = ProjectId(ctx.record_id());
            let (created_at, archived_at) = (ctx.now, None);
            let project = Project { project_id, org_id: id, name, created_at, archived_at };
            projects::put(tx, &project)?;
            let (action, told) = ("project.created", [("name", project.name.clone())]);
            ctx.audit_change(tx, Some(id), action, project_id, told, &json!({}), &project)?;
            Ok(project)
        })
        .await
    }

    /// Gives a project another name, archives it, or opens it again.
    pub async fn change_project(
        &self,
        actor: &Actor,
        id: OrgId,
        project_id: ProjectId,
        change: ProjectChange,
    ) -> Result<Project> {
        let name = change.name.as_deref().map(checked_name).transpose()?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::TeamsManage)?;
            let org = store::org(tx, id);
            let was = org.project(project_id)?;
            let mut project = was.clone();
            if let Some(name) = name {
                let there = org.all_projects()?;
                let others = there.iter().filter(|other| other.project_id != project_id);
                require_free(&name, others.map(|project| project.name.as_str()))?;
                project.name = name;
            }
            match change.archived {
                Some(true) => project.archived_at = project.archived_at.or(Some(ctx.now)),
                Some(false) => project.archived_at = None,
                None => {}
            }
            if project != was {
                projects::put(tx, &project)?;
                let action = "project.changed";
                ctx.audit_change(tx, Some(id), action, project_id, [], &was, &project)?;
            }
            Ok(project)
        })
        .await
    }

    /// Deletes a project; its licences stay.
    pub async fn delete_project(
        &self,
        actor: &Actor,
        id: OrgId,
        project_id: ProjectId,
    ) -> Result<()> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::TeamsManage)?;
            let project = store::org(tx, id).project(project_id)?;
            projects::remove(tx, id, project_id)?;
            ctx.audit(tx, Some(id), "project.deleted", project_id, [("name", project.name)])
        })
        .await
    }

    /// Groups a licence in a project, and in no other.
    pub async fn add_to_project(
        &self,
        actor: &Actor,
        id: OrgId,
        project_id: ProjectId,
        license_id: LicenseId,
    ) -> Result<()> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::TeamsManage)?;
            let org = store::org(tx, id);
            let project = org.project(project_id)?;
            org.license(license_id)?;
            let before = org.project_of(license_id)?;
            if before == Some(project_id) {
                return Ok(());
            }
            if project.archived_at.is_some() {
                let text = "This project is archived: nothing is added to it. Open it again first.";
                return Err(Error::new(Code::OrgState, text));
            }
            if org.project_licenses_count(project_id)? >= LICENSES_MAX as u64 {
                let text = format!("This project has {LICENSES_MAX} licences.");
                return Err(Error::new(Code::OrgState, text));
            }
            projects::put_license(tx, id, project_id, license_id)?;
            let mut told = vec![("license", license_id.to_string())];
            told.extend(before.map(|before| ("from", before.to_string())));
            ctx.audit(tx, Some(id), "project.license_added", project_id, told)
        })
        .await
    }

    /// Takes a licence out of a project.
    pub async fn take_out_of_project(
        &self,
        actor: &Actor,
        id: OrgId,
        project_id: ProjectId,
        license_id: LicenseId,
    ) -> Result<()> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::TeamsManage)?;
            if store::org(tx, id).project_of(license_id)? != Some(project_id) {
                return Err(Error::not_found("license"));
            }
            projects::take_out(tx, id, license_id)?;
            let told = [("license", license_id.to_string())];
            ctx.audit(tx, Some(id), "project.license_removed", project_id, told)
        })
        .await
    }
}
