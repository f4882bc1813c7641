//! Teams of an organisation: who belongs to them, and which licences they may use.

use serde_json::json;

use super::orgs::place;
use super::{Actor, Services};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{LicenseId, OrgId, TeamId, UserId};
use crate::domain::organisation::Permission;
use crate::domain::page::{Page, PageRequest};
use crate::domain::plan::check_text;
use crate::domain::team::{Grant, Team, TeamMember, TeamRole, require_room};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::teams::{GRANTS_MAX, TEAM_MEMBERS_MAX, TEAMS_MAX};
use crate::store::{self, Read, teams, users};

impl Services {
    /// The organisation's teams, oldest first.
    pub fn teams(&self, actor: &Actor, id: OrgId, request: &PageRequest) -> Result<Page<Team>> {
        self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgRead)?;
            store::org(tx, id).teams(request)
        })
    }

    /// One team.
    pub fn team(&self, actor: &Actor, id: OrgId, team_id: TeamId) -> Result<Team> {
        self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgRead)?;
            store::org(tx, id).team(team_id)
        })
    }

    /// Makes a team.
    ///
    /// # Errors
    /// `NameTaken` when another one is called so; `OrgState` when there are as many as there may be.
    pub async fn create_team(&self, actor: &Actor, id: OrgId, name: &str) -> Result<Team> {
        let name = checked_name(name)?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            let (org, _) = place(tx, &actor, id, Permission::TeamsManage)?;
            org.require_staying()?;
            let there = store::org(tx, id).all_teams()?;
            if there.len() >= TEAMS_MAX {
                let text = format!("There are {TEAMS_MAX} teams; delete one first.");
                return Err(Error::new(Code::OrgState, text));
            }
            require_free(&name, there.iter().map(|team| team.name.as_str()))?;
            let (team_id, created_at) = (TeamId(ctx.record_id()), ctx.now);
            let team = Team { team_id, org_id: id, name, created_at, directory: None };
            teams::put(tx, &team)?;
            let told = [("name", team.name.clone())];
            ctx.audit_change(tx, Some(id), "team.created", team_id, told, &json!({}), &team)?;
            Ok(team)
        })
        .await
    }

    /// Gives a team another name.
    pub async fn rename_team(
        &self,
        actor: &Actor,
        id: OrgId,
        team_id: TeamId,
        name: &str,
    ) -> Result<Team> {
        let name = checked_name(name)?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::TeamsManage)?;
            let org = store::org(tx, id);
            let was = org.team(team_id)?;
            require_by_hand(tx, &was, ctx.now)?;
            let there = org.all_teams()?;
            let others = there.iter().filter(|team| team.team_id != team_id);
            require_free(&name, others.map(|team| team.name.as_str()))?;
            let team = Team { name, ..was.clone() };
            if team != was {
                teams::put(tx, &team)?;
                ctx.audit_change(tx, Some(id), "team.renamed", team_id, [], &was, &team)?;
            }
            Ok(team)
        })
        .await
    }

    /// Deletes a team: nobody leaves the organisation by that, and no licence changes.
    pub async fn delete_team(&self, actor: &Actor, id: OrgId, team_id: TeamId) -> Result<()> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::TeamsManage)?;
            let team = store::org(tx, id).team(team_id)?;
            require_by_hand(tx, &team, ctx.now)?;
            teams::remove(tx, id, team_id)?;
            ctx.audit(tx, Some(id), "team.deleted", team_id, [("name", team.name)])
        })
        .await
    }

    /// Who belongs to a team.
    pub fn team_members(
        &self,
        actor: &Actor,
        id: OrgId,
        team_id: TeamId,
        request: &PageRequest,
    ) -> Result<Page<(TeamMember, User)>> {
        self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgRead)?;
            let org = store::org(tx, id);
            org.team(team_id)?;
            let page = org.team_members(team_id, request)?;
            let with_user = |member: TeamMember| {
                let user = users::get(tx, member.user_id)?;
                Ok((member, user))
            };
            let items = page.items.into_iter().map(with_user).collect::<Result<_>>()?;
            Ok(Page { items, next: page.next })
        })
    }

    /// Adds a member of the organisation to a team, or says what they are there. Maintainers of the team
    /// may do that as well.
    pub async fn set_team_member(
        &self,
        actor: &Actor,
        id: OrgId,
        team_id: TeamId,
        user_id: UserId,
        role: TeamRole,
    ) -> Result<(TeamMember, User)> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            require_team(tx, &actor, id, team_id)?;
            let org = store::org(tx, id);
            if org.membership(user_id)?.is_none() {
                return Err(Error::not_found("member"));
            }
            let was = org.team_member(team_id, user_id)?;
            if was.is_none() {
                require_by_hand(tx, &org.team(team_id)?, ctx.now)?;
            }
            if was.is_none() && org.team_members_count(team_id)? >= TEAM_MEMBERS_MAX as u64 {
                let text = format!("This team has {TEAM_MEMBERS_MAX} members; remove one first.");
                return Err(Error::new(Code::OrgState, text));
            }
            let joined_at = was.as_ref().map_or(ctx.now, |was| was.joined_at);
            let member = TeamMember { team_id, user_id, role, joined_at };
            let told = || [("user", user_id.to_string()), ("role", role.as_str().to_owned())];
            match &was {
                Some(was) if *was == member => {}
                Some(was) => {
                    let action = "team.member_changed";
                    ctx.audit_change(tx, Some(id), action, team_id, told(), was, &member)?;
                }
                None => ctx.audit(tx, Some(id), "team.member_added", team_id, told())?,
            }
            teams::put_member(tx, id, &member)?;
            Ok((member, users::get(tx, user_id)?))
        })
        .await
    }

    /// Takes somebody out of a team; anybody may leave.
    pub async fn remove_team_member(
        &self,
        actor: &Actor,
        id: OrgId,
        team_id: TeamId,
        user_id: UserId,
    ) -> Result<()> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            if user_id == actor.user_id {
                place(tx, &actor, id, Permission::OrgRead)?;
                store::org(tx, id).team(team_id)?;
            } else {
                require_team(tx, &actor, id, team_id)?;
            }
            require_by_hand(tx, &store::org(tx, id).team(team_id)?, ctx.now)?;
            if !teams::remove_member(tx, id, team_id, user_id)? {
                return Err(Error::not_found("member"));
            }
            let told = [("user", user_id.to_string())];
            ctx.audit(tx, Some(id), "team.member_removed", team_id, told)
        })
        .await
    }

    /// The licences that a team may use.
    pub fn grants(
        &self,
        actor: &Actor,
        id: OrgId,
        team_id: TeamId,
        request: &PageRequest,
    ) -> Result<Page<Grant>> {
        self.store.read(|tx| {
            place(tx, actor, id, Permission::LicensesRead)?;
            let org = store::org(tx, id);
            org.team(team_id)?;
            org.grants(team_id, request)
        })
    }

    /// Lets a team use a licence, with so many of its seats reserved for the team.
    ///
    /// # Errors
    /// `LicenseState` when more would be reserved than the licence has.
    pub async fn grant_license(
        &self,
        actor: &Actor,
        id: OrgId,
        team_id: TeamId,
        license_id: LicenseId,
        seats_reserved: u32,
    ) -> Result<Grant> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::TeamsManage)?;
            let org = store::org(tx, id);
            org.team(team_id)?;
            let license = org.license(license_id)?;
            let was = org.grant(team_id, license_id)?;
            if was.is_none() && org.grants_count(team_id)? >= GRANTS_MAX as u64 {
                let text = format!("This team may use {GRANTS_MAX} licences; take one back first.");
                return Err(Error::new(Code::OrgState, text));
            }
            let fewer = was.as_ref().is_some_and(|was| seats_reserved <= was.seats_reserved);
            if !fewer {
                let others = org.reserved_beside(license_id, team_id)?;
                require_room(license.max_concurrent_seats, others, seats_reserved)?;
            }
            let granted_at = was.as_ref().map_or(ctx.now, |was| was.granted_at);
            let grant = Grant { team_id, license_id, seats_reserved, granted_at };
            if was.as_ref() != Some(&grant) {
                teams::put_grant(tx, id, &grant)?;
                let told = [("license", license_id.to_string())];
                let was = serde_json::to_value(was).map_err(Error::internal)?;
                let was = if was.is_null() { json!({}) } else { was };
                ctx.audit_change(tx, Some(id), "team.granted", team_id, told, &was, &grant)?;
            }
            Ok(grant)
        })
        .await
    }

    /// Takes back that a team may use a licence.
    pub async fn withdraw_license(
        &self,
        actor: &Actor,
        id: OrgId,
        team_id: TeamId,
        license_id: LicenseId,
    ) -> Result<()> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::TeamsManage)?;
            if !teams::remove_grant(tx, id, team_id, license_id)? {
                return Err(Error::not_found("grant"));
            }
            let told = [("license", license_id.to_string())];
            ctx.audit(tx, Some(id), "team.grant_withdrawn", team_id, told)
        })
        .await
    }
}

/// Refuses whoever may not say who belongs to a team: those who manage teams may, and its maintainers.
fn require_team(tx: &impl Read, actor: &Actor, id: OrgId, team_id: TeamId) -> Result<()> {
    let (_, role) = place(tx, actor, id, Permission::OrgRead)?;
    let org = store::org(tx, id);
    org.team(team_id)?;
    let place = org.team_member(team_id, actor.user_id)?;
    if place.is_some_and(|place| place.role == TeamRole::Maintainer) {
        return actor.refuse_programs();
    }
    actor.require(role, Permission::TeamsManage)
}

/// Refuses to change by hand who belongs to a team where the organisation's directory says that: it would
/// not notice, and roles may follow from it.
fn require_by_hand(tx: &impl Read, team: &Team, now: Timestamp) -> Result<()> {
    if team.directory.is_none() || !store::org(tx, team.org_id).has_directory(now)? {
        return Ok(());
    }
    let text = "This team comes from the organisation's directory: change the group there.";
    Err(Error::new(Code::OrgState, text))
}

/// Refuses a name that something of the same kind has.
pub(super) fn require_free<'n>(name: &str, mut taken: impl Iterator<Item = &'n str>) -> Result<()> {
    let folded = name.to_lowercase();
    if taken.any(|taken| taken.to_lowercase() == folded) {
        let text = format!("{name:?} is the name of another one in this organisation.");
        return Err(Error::new(Code::NameTaken, text));
    }
    Ok(())
}

pub(super) fn checked_name(name: &str) -> Result<String> {
    check_text("name", name, 1, 100)?;
    Ok(name.trim().to_owned())
}
