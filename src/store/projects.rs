//! Projects, and the licences that are grouped in them.

use super::tables::{LICENSES, PROJECT_LICENSES, PROJECT_OF_LICENSE, PROJECTS};
use super::{Org, Read, Scan, WriteTx, page, through_keys};
use crate::domain::error::{Error, Result};
use crate::domain::ids::{LicenseId, OrgId, ProjectId};
use crate::domain::license::License;
use crate::domain::page::{Page, PageRequest};
use crate::domain::team::Project;

/// The most projects of an organisation.
pub const PROJECTS_MAX: usize = 1_000;
/// The most licences of a project.
pub const LICENSES_MAX: usize = 1_000;

impl<T: Read> Org<'_, T> {
    /// A project that must exist.
    pub fn project(&self, id: ProjectId) -> Result<Project> {
        self.tx.get(&PROJECTS, &(self.id, id))?.ok_or_else(|| Error::not_found("project"))
    }

    /// Its projects, oldest first.
    pub fn projects(&self, request: &PageRequest) -> Result<Page<Project>> {
        page(self.tx, &PROJECTS, Scan::prefix(&self.id), request)
    }

    /// All of its projects.
    pub fn all_projects(&self) -> Result<Vec<Project>> {
        let rows = self.tx.scan(&PROJECTS, &Scan::prefix(&self.id).limit(PROJECTS_MAX))?;
        Ok(rows.into_iter().map(|(_, project)| project).collect())
    }

    /// The project that a licence is grouped in.
    pub fn project_of(&self, id: LicenseId) -> Result<Option<ProjectId>> {
        self.tx.get(&PROJECT_OF_LICENSE, &(self.id, id))
    }

    /// The licences of a project, newest first.
    pub fn licenses_of_project(
        &self,
        id: ProjectId,
        request: &PageRequest,
    ) -> Result<Page<License>> {
        let scan = Scan::prefix(&(self.id, id));
        through_keys(self.tx, &PROJECT_LICENSES, scan, request, |(org_id, _, license_id)| {
            self.tx.get(&LICENSES, &(org_id, license_id))
        })
    }

    /// Which licence is grouped in which project.
    pub fn grouped(&self, request: &PageRequest) -> Result<Page<(ProjectId, LicenseId)>> {
        let scan = Scan::prefix(&self.id);
        through_keys(self.tx, &PROJECT_LICENSES, scan, request, |(_, id, of)| Ok(Some((id, of))))
    }

    /// How many licences a project has.
    pub fn project_licenses_count(&self, id: ProjectId) -> Result<u64> {
        self.tx.count(&PROJECT_LICENSES, &Scan::prefix(&(self.id, id)))
    }
}

/// Adds or writes a project.
pub fn put(tx: &mut WriteTx, project: &Project) -> Result<()> {
    tx.put(&PROJECTS, &(project.org_id, project.project_id), project)
}

/// Removes a project; its licences are grouped in none any more.
pub fn remove(tx: &mut WriteTx, org_id: OrgId, id: ProjectId) -> Result<()> {
    for (_, _, license_id) in tx.scan_keys(&PROJECT_LICENSES, &Scan::prefix(&(org_id, id)))? {
        take_out(tx, org_id, license_id)?;
    }
    tx.remove(&PROJECTS, &(org_id, id)).map(drop)
}

/// Groups a licence in a project, and in no other.
pub fn put_license(tx: &mut WriteTx, org_id: OrgId, id: ProjectId, of: LicenseId) -> Result<()> {
    take_out(tx, org_id, of)?;
    tx.put(&PROJECT_OF_LICENSE, &(org_id, of), &id)?;
    tx.put(&PROJECT_LICENSES, &(org_id, id, of), &true)
}

/// Takes a licence out of its project; which that was.
pub fn take_out(tx: &mut WriteTx, org_id: OrgId, id: LicenseId) -> Result<Option<ProjectId>> {
    let Some(project_id) = tx.get(&PROJECT_OF_LICENSE, &(org_id, id))? else { return Ok(None) };
    tx.remove(&PROJECT_OF_LICENSE, &(org_id, id))?;
    tx.remove(&PROJECT_LICENSES, &(org_id, project_id, id))?;
    Ok(Some(project_id))
}
