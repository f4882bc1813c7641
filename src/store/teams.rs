//! Teams, who belongs to them, and which licences they may use.

use super::tables::{
    TEAM_GRANTS, TEAM_GRANTS_BY_LICENSE, TEAM_MEMBERS, TEAM_MEMBERS_BY_USER, TEAMS,
};
use super::{Org, Read, Scan, WriteTx, page};
use crate::domain::error::{Error, Result};
use crate::domain::ids::{LicenseId, OrgId, TeamId, UserId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::team::{Grant, Team, TeamMember};

/// The most teams of an organisation.
pub const TEAMS_MAX: usize = 200;
/// The most people in a team.
pub const TEAM_MEMBERS_MAX: usize = 1_000;
/// The most licences that a team may use.
pub const GRANTS_MAX: usize = 1_000;

impl<T: Read> Org<'_, T> {
    /// A team that must exist.
    pub fn team(&self, id: TeamId) -> Result<Team> {
        self.tx.get(&TEAMS, &(self.id, id))?.ok_or_else(|| Error::not_found("team"))
    }

    /// Its teams, oldest first.
    pub fn teams(&self, request: &PageRequest) -> Result<Page<Team>> {
        page(self.tx, &TEAMS, Scan::prefix(&self.id), request)
    }

    /// All of its teams.
    pub fn all_teams(&self) -> Result<Vec<Team>> {
        let rows = self.tx.scan(&TEAMS, &Scan::prefix(&self.id).limit(TEAMS_MAX))?;
        Ok(rows.into_iter().map(|(_, team)| team).collect())
    }

    /// A person's place in a team.
    pub fn team_member(&self, id: TeamId, user_id: UserId) -> Result<Option<TeamMember>> {
        self.tx.get(&TEAM_MEMBERS, &(self.id, id, user_id))
    }

    /// Who belongs to a team.
    pub fn team_members(&self, id: TeamId, request: &PageRequest) -> Result<Page<TeamMember>> {
        page(self.tx, &TEAM_MEMBERS, Scan::prefix(&(self.id, id)), request)
    }

    /// Who belongs to any of its teams.
    pub fn all_team_members(&self, request: &PageRequest) -> Result<Page<TeamMember>> {
        page(self.tx, &TEAM_MEMBERS, Scan::prefix(&self.id), request)
    }

    /// How many belong to a team.
    pub fn team_members_count(&self, id: TeamId) -> Result<u64> {
        self.tx.count(&TEAM_MEMBERS, &Scan::prefix(&(self.id, id)))
    }

    /// Whether, and how, a team may use a licence.
    pub fn grant(&self, id: TeamId, license_id: LicenseId) -> Result<Option<Grant>> {
        self.tx.get(&TEAM_GRANTS, &(self.id, id, license_id))
    }

    /// The teams of a person.
    pub fn teams_of(&self, user_id: UserId) -> Result<Vec<Team>> {
        let keys = self.tx.scan_keys(&TEAM_MEMBERS_BY_USER, &Scan::prefix(&(self.id, user_id)))?;
        keys.into_iter().map(|(_, _, team_id)| self.team(team_id)).collect()
    }

    /// Who belongs to a team, all of them.
    pub fn whole_team(&self, id: TeamId) -> Result<Vec<UserId>> {
        let keys = self.tx.scan_keys(&TEAM_MEMBERS, &Scan::prefix(&(self.id, id)))?;
        Ok(keys.into_iter().map(|(_, _, user_id)| user_id).collect())
    }

    /// The licences that a team may use.
    pub fn grants(&self, id: TeamId, request: &PageRequest) -> Result<Page<Grant>> {
        page(self.tx, &TEAM_GRANTS, Scan::prefix(&(self.id, id)), request)
    }

    /// The licences that any of its teams may use.
    pub fn all_grants(&self, request: &PageRequest) -> Result<Page<Grant>> {
        page(self.tx, &TEAM_GRANTS, Scan::prefix(&self.id), request)
    }

    /// How many licences a team may use.
    pub fn grants_count(&self, id: TeamId) -> Result<u64> {
        self.tx.count(&TEAM_GRANTS, &Scan::prefix(&(self.id, id)))
    }

    /// Seats of a licence that are reserved for teams, but for one.
    pub fn reserved_beside(&self, license_id: LicenseId, id: TeamId) -> Result<u64> {
        let prefix = Scan::prefix(&(self.id, license_id)).limit(TEAMS_MAX);
        let rows = self.tx.scan(&TEAM_GRANTS_BY_LICENSE, &prefix)?;
        let others = rows.into_iter().filter(|((_, _, team_id), _)| *team_id != id);
        Ok(others.map(|(_, seats)| u64::from(seats)).sum())
    }
}

/// Adds or writes a team.
pub fn put(tx: &mut WriteTx, team: &Team) -> Result<()> {
    tx.put(&TEAMS, &(team.org_id, team.team_id), team)
}

/// Removes a team with its members' places and what it may use.
pub fn remove(tx: &mut WriteTx, org_id: OrgId, id: TeamId) -> Result<()> {
    for (_, _, user_id) in tx.scan_keys(&TEAM_MEMBERS, &Scan::prefix(&(org_id, id)))? {
        remove_member(tx, org_id, id, user_id)?;
    }
    for (_, _, license_id) in tx.scan_keys(&TEAM_GRANTS, &Scan::prefix(&(org_id, id)))? {
        remove_grant(tx, org_id, id, license_id)?;
    }
    super::provisioning::let_all_go(tx, org_id, id)?;
    tx.remove(&TEAMS, &(org_id, id)).map(drop)
}

/// Adds or writes a person's place in a team.
pub fn put_member(tx: &mut WriteTx, org_id: OrgId, member: &TeamMember) -> Result<()> {
    let (id, user_id) = (member.team_id, member.user_id);
    tx.put(&TEAM_MEMBERS_BY_USER, &(org_id, user_id, id), &true)?;
    tx.put(&TEAM_MEMBERS, &(org_id, id, user_id), member)
}

/// Removes a person's place in a team; whether there was one.
pub fn remove_member(tx: &mut WriteTx, org_id: OrgId, id: TeamId, user_id: UserId) -> Result<bool> {
    tx.remove(&TEAM_MEMBERS_BY_USER, &(org_id, user_id, id))?;
    tx.remove(&TEAM_MEMBERS, &(org_id, id, user_id))
}

/// Removes a person from every team of an organisation.
pub fn leave_all(tx: &mut WriteTx, org_id: OrgId, user_id: UserId) -> Result<()> {
    for (_, _, id) in tx.scan_keys(&TEAM_MEMBERS_BY_USER, &Scan::prefix(&(org_id, user_id)))? {
        remove_member(tx, org_id, id, user_id)?;
    }
    Ok(())
}

/// Adds or writes that a team may use a licence.
pub fn put_grant(tx: &mut WriteTx, org_id: OrgId, grant: &Grant) -> Result<()> {
    let (id, license_id) = (grant.team_id, grant.license_id);
    tx.put(&TEAM_GRANTS_BY_LICENSE, &(org_id, license_id, id), &grant.seats_reserved)?;
    tx.put(&TEAM_GRANTS, &(org_id, id, license_id), grant)
}

/// Removes that a team may use a licence; whether it might.
pub fn remove_grant(
    tx: &mut WriteTx,
    org_id: OrgId,
    id: TeamId,
    license_id: LicenseId,
) -> Result<bool> {
    tx.remove(&TEAM_GRANTS_BY_LICENSE, &(org_id, license_id, id))?;
    tx.remove(&TEAM_GRANTS, &(org_id, id, license_id))
}

/// Removes a licence from all teams.
pub(super) fn forget_license(tx: &mut WriteTx, org_id: OrgId, id: LicenseId) -> Result<()> {
    for (_, _, team) in tx.scan_keys(&TEAM_GRANTS_BY_LICENSE, &Scan::prefix(&(org_id, id)))? {
        remove_grant(tx, org_id, team, id)?;
    }
    Ok(())
}
