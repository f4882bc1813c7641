//! Groups of an organisation's directory: each is a team, and what a person is in the organisation may
//! follow from one whose name the organisation's single sign-on gives a role.

use std::collections::BTreeSet;

use super::people::groups_of;
use super::{Directory, Found, Part, Services};
use crate::domain::error::{Code, Error, Result};
use crate::domain::identity::Sso;
use crate::domain::ids::{OrgId, TeamId, UserId};
use crate::domain::organisation::{Membership, Role};
use crate::domain::plan::check_text;
use crate::domain::provisioning::{
    Attribute, Condition, DirectoryGroup, GroupStep, TEXT_CHARS_MAX,
};
use crate::domain::team::{Team, TeamMember, TeamRole};
use crate::services::Ctx;
use crate::services::orgs::set_role;
use crate::services::teams::{checked_name, require_free};
use crate::store::teams::{TEAM_MEMBERS_MAX, TEAMS_MAX};
use crate::store::{self, Read, WriteTx, provisioning, teams, users};

/// People whom one entry of the audit log names at most.
const TOLD_AT_ONCE: usize = 100;

/// A group that a directory has.
pub struct GroupInput {
    /// What it is called.
    pub name: String,
    /// The directory's own id for it.
    pub external_id: Option<String>,
    /// Who belongs to it.
    pub members: Vec<UserId>,
}

/// A group as its directory sees it.
pub struct GroupSeen {
    /// The team that it is.
    pub team: Team,
    /// What the directory has said of it.
    pub said: DirectoryGroup,
    /// Who belongs to it, those who have left the organisation included; none where it was not asked.
    pub members: Vec<UserId>,
}

impl Services {
    /// One of the directory's groups.
    pub fn provisioned_group(&self, directory: &Directory, id: TeamId) -> Result<GroupSeen> {
        self.store.read(|tx| seen(tx, directory.org_id, id))
    }

    /// Those of the directory's groups for which all of this holds; with their members, or without.
    pub fn provisioned_groups(
        &self,
        directory: &Directory,
        wanted: &[Condition],
        part: Part,
        with_members: bool,
    ) -> Result<Found<GroupSeen>> {
        let id = directory.org_id;
        self.store.read(|tx| {
            let mut found = Vec::new();
            for team in store::org(tx, id).all_teams()? {
                let Some(said) = team.directory.clone() else { continue };
                if fits(tx, &team, &said, wanted)? {
                    found.push(GroupSeen { team, said, members: Vec::new() });
                }
            }
            let total = found.len();
            let some = found.into_iter().skip(part.skip).take(part.count);
            let filled = some.map(|group| {
                let members =
                    if with_members { everybody(tx, id, group.team.team_id)? } else { vec![] };
                Ok(GroupSeen { members, ..group })
            });
            Ok(Found { total, items: filled.collect::<Result<_>>()? })
        })
    }

    /// Makes a team of a directory's group. A team of its name that was made by hand becomes the
    /// directory's, who says from then on who belongs to it; what it may use stays.
    ///
    /// # Errors
    /// `NameTaken` when another group is called so; `OrgState` when there are as many as there may be.
    pub async fn provision_group(
        &self,
        directory: &Directory,
        input: GroupInput,
    ) -> Result<GroupSeen> {
        let name = checked_display_name(&input.name)?;
        check_external_id(input.external_id.as_deref())?;
        self.throttles.check_directory_work(directory.org_id, input.members.len())?;
        let (ctx, directory) = (self.ctx_of_directory(directory), directory.clone());
        self.commit(move |tx| {
            directory.require_good(tx)?;
            let id = directory.org_id;
            let there = store::org(tx, id).all_teams()?;
            let (since, changed_at) = (ctx.now, ctx.now);
            let said = DirectoryGroup { external_id: input.external_id, since, changed_at };
            let by_hand = there.iter().find(|team| {
                team.directory.is_none() && team.name.to_lowercase() == name.to_lowercase()
            });
            let team = if let Some(team) = by_hand {
                Team { name, directory: Some(said), ..team.clone() }
            } else {
                if there.len() >= TEAMS_MAX {
                    let text = format!("There are {TEAMS_MAX} teams; delete one first.");
                    return Err(Error::new(Code::OrgState, text));
                }
                require_free(&name, there.iter().map(|team| team.name.as_str()))?;
                let team_id = TeamId(ctx.record_id());
                Team { team_id, org_id: id, name, created_at: ctx.now, directory: Some(said) }
            };
            teams::put(tx, &team)?;
            let told = [("name", team.name.clone())];
            ctx.audit(tx, Some(id), "team.provisioned", team.team_id, told)?;
            let members = input.members.into_iter().collect();
            let touched = set_members(&ctx, tx, id, team.team_id, &members)?;
            settle_roles(&ctx, tx, id, &[&team.name], &touched)?;
            seen(tx, id, team.team_id)
        })
        .await
    }

    /// Changes a group, step by step; all steps or none.
    pub async fn change_provisioned_group(
        &self,
        directory: &Directory,
        team_id: TeamId,
        steps: Vec<GroupStep>,
    ) -> Result<GroupSeen> {
        let named = steps.iter().map(GroupStep::people).sum();
        self.throttles.check_directory_work(directory.org_id, named)?;
        let (ctx, directory) = (self.ctx_of_directory(directory), directory.clone());
        self.commit(move |tx| {
            directory.require_good(tx)?;
            let id = directory.org_id;
            let GroupSeen { team: was, mut said, members } = seen(tx, id, team_id)?;
            let mut team = was.clone();
            let before: BTreeSet<UserId> = members.into_iter().collect();
            let mut wanted = before.clone();
            for step in &steps {
                match step {
                    GroupStep::Name(name) => {
                        team.name = checked_display_name(name)?;
                        let there = store::org(tx, id).all_teams()?;
                        let others = there.iter().filter(|other| other.team_id != team_id);
                        require_free(&team.name, others.map(|other| other.name.as_str()))?;
                    }
                    GroupStep::ExternalId(external_id) => {
                        check_external_id(external_id.as_deref())?;
                        said.external_id.clone_from(external_id);
                    }
                    step => after(&mut wanted, step),
                }
            }
            let mut touched = if wanted == before {
                BTreeSet::new()
            } else {
                set_members(&ctx, tx, id, team_id, &wanted)?
            };
            team.directory = Some(said.clone());
            if team != was || !touched.is_empty() {
                said.changed_at = ctx.now;
                team.directory = Some(said);
                teams::put(tx, &team)?;
            }
            if team.name != was.name {
                ctx.audit_change(tx, Some(id), "team.renamed", team_id, [], &was, &team)?;
                touched.extend(store::org(tx, id).whole_team(team_id)?);
            }
            settle_roles(&ctx, tx, id, &[&was.name, &team.name], &touched)?;
            seen(tx, id, team_id)
        })
        .await
    }

    /// Deletes a group: nobody leaves the organisation by that.
    pub async fn remove_provisioned_group(
        &self,
        directory: &Directory,
        team_id: TeamId,
    ) -> Result<()> {
        let (ctx, directory) = (self.ctx_of_directory(directory), directory.clone());
        self.commit(move |tx| {
            directory.require_good(tx)?;
            let id = directory.org_id;
            let GroupSeen { team, .. } = seen(tx, id, team_id)?;
            let touched = store::org(tx, id).whole_team(team_id)?.into_iter().collect();
            teams::remove(tx, id, team_id)?;
            ctx.audit(tx, Some(id), "team.deleted", team_id, [("name", team.name.clone())])?;
            settle_roles(&ctx, tx, id, &[&team.name], &touched)
        })
        .await
    }
}

/// A team that is the directory's; those made by hand it does not know.
fn seen(tx: &impl Read, id: OrgId, team_id: TeamId) -> Result<GroupSeen> {
    let team = store::org(tx, id).team(team_id).ok().filter(|team| team.directory.is_some());
    let team = team.ok_or_else(|| Error::not_found("group"))?;
    let said = team.directory.clone().ok_or_else(|| Error::not_found("group"))?;
    Ok(GroupSeen { members: everybody(tx, id, team_id)?, team, said })
}

fn everybody(tx: &impl Read, id: OrgId, team_id: TeamId) -> Result<Vec<UserId>> {
    let org = store::org(tx, id);
    let mut all = org.whole_team(team_id)?;
    all.extend(org.held_members(team_id)?);
    Ok(all)
}

fn fits(tx: &impl Read, team: &Team, said: &DirectoryGroup, wanted: &[Condition]) -> Result<bool> {
    for Condition { attribute, value } in wanted {
        let holds = match attribute {
            Attribute::Id => team.team_id.to_string() == *value,
            Attribute::DisplayName => team.name.to_lowercase() == value.to_lowercase(),
            Attribute::ExternalId => said.external_id.as_ref() == Some(value),
            Attribute::Member => match value.parse() {
                Ok(user_id) => is_in(tx, team.org_id, team.team_id, user_id)?,
                Err(_) => false,
            },
            Attribute::UserName | Attribute::Email | Attribute::Active => false,
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_in(tx: &impl Read, id: OrgId, team_id: TeamId, user_id: UserId) -> Result<bool> {
    let org = store::org(tx, id);
    Ok(org.team_member(team_id, user_id)?.is_some() || org.is_held(team_id, user_id)?)
}

/// Who belongs to a group after one more step; nothing is written yet, so that steps which undo each other
/// cost nothing.
fn after(members: &mut BTreeSet<UserId>, step: &GroupStep) {
    match step {
        GroupStep::Add(added) => members.extend(added),
        GroupStep::Remove(removed) => removed.iter().for_each(|it| {
            members.remove(it);
        }),
        GroupStep::Replace(all) => *members = all.iter().copied().collect(),
        GroupStep::Name(_) | GroupStep::ExternalId(_) => {}
    }
}

/// Lets these belong to a group and nobody else; for whom that changed something.
fn set_members(
    ctx: &Ctx,
    tx: &mut WriteTx,
    id: OrgId,
    team_id: TeamId,
    wanted: &BTreeSet<UserId>,
) -> Result<BTreeSet<UserId>> {
    if wanted.len() > TEAM_MEMBERS_MAX {
        let text = format!("A group may have at most {TEAM_MEMBERS_MAX} members.");
        return Err(Error::new(Code::OrgState, text));
    }
    let there: BTreeSet<UserId> = everybody(tx, id, team_id)?.into_iter().collect();
    let mut gone = Vec::new();
    for user_id in there.difference(wanted) {
        provisioning::let_go(tx, id, team_id, *user_id)?;
        if teams::remove_member(tx, id, team_id, *user_id)? {
            gone.push(*user_id);
        }
    }
    let mut come = Vec::new();
    for user_id in wanted.difference(&there) {
        let org = store::org(tx, id);
        if org.membership(*user_id)?.is_some() {
            let (role, joined_at) = (TeamRole::Member, ctx.now);
            let member = TeamMember { team_id, user_id: *user_id, role, joined_at };
            teams::put_member(tx, id, &member)?;
            come.push(*user_id);
        } else if org.provisioned(*user_id)?.is_some() {
            provisioning::hold(tx, id, team_id, *user_id)?;
        } else {
            let text =
                format!("{user_id} is nobody whom this organisation has; provision them first");
            return Err(Error::invalid("members.value", text));
        }
    }
    audit_members(ctx, tx, id, team_id, "team.member_removed", &gone)?;
    audit_members(ctx, tx, id, team_id, "team.member_added", &come)?;
    Ok(there.symmetric_difference(wanted).copied().collect())
}

/// One entry for many, so that a large group does not fill the log.
fn audit_members(
    ctx: &Ctx,
    tx: &mut WriteTx,
    id: OrgId,
    team_id: TeamId,
    action: &str,
    people: &[UserId],
) -> Result<()> {
    for some in people.chunks(TOLD_AT_ONCE) {
        let named: Vec<String> = some.iter().map(ToString::to_string).collect();
        let told = [("user", named.join(" ")), ("role", TeamRole::Member.as_str().to_owned())];
        ctx.audit(tx, Some(id), action, team_id, told)?;
    }
    Ok(())
}

/// What people are in the organisation, where one of these names of groups has a say in that.
fn settle_roles(
    ctx: &Ctx,
    tx: &mut WriteTx,
    id: OrgId,
    names: &[&String],
    touched: &BTreeSet<UserId>,
) -> Result<()> {
    let Some(sso) = store::org(tx, id).sso()? else { return Ok(()) };
    if !sso.groups.iter().any(|rule| names.contains(&&rule.group)) {
        return Ok(());
    }
    touched.iter().try_for_each(|user_id| settle_role(ctx, tx, id, Some(&sso), *user_id))
}

/// Makes of somebody what their groups say. An owner stays one, and nobody becomes one.
pub(super) fn settle_role(
    ctx: &Ctx,
    tx: &mut WriteTx,
    id: OrgId,
    sso: Option<&Sso>,
    user_id: UserId,
) -> Result<()> {
    let Some(sso) = sso else { return Ok(()) };
    let Some(member) = store::org(tx, id).membership(user_id)? else { return Ok(()) };
    let mine: Vec<String> = groups_of(tx, id, user_id)?.into_iter().map(|it| it.name).collect();
    let role = sso.role_of(&mine).unwrap_or(Role::Member);
    if member.role == Role::Owner || role == Role::Owner || member.role == role {
        return Ok(());
    }
    // Of whoever runs the appliance a directory says nothing.
    if users::get(tx, user_id)?.operator {
        return Ok(());
    }
    set_role(ctx, tx, &member, role, None).map(drop)
}

/// Remembers the groups of somebody who is about to leave, where the directory knows them.
pub(in crate::services) fn hold_groups(tx: &mut WriteTx, id: OrgId, user_id: UserId) -> Result<()> {
    if store::org(tx, id).provisioned(user_id)?.is_some() {
        for team in groups_of(tx, id, user_id)? {
            provisioning::hold(tx, id, team.team_id, user_id)?;
        }
    }
    Ok(())
}

/// Lets somebody who has joined into the groups that the directory has them in.
pub(in crate::services) fn join_held_groups(
    ctx: &Ctx,
    tx: &mut WriteTx,
    member: &Membership,
) -> Result<()> {
    let (id, user_id) = (member.org_id, member.user_id);
    if store::org(tx, id).provisioned(user_id)?.is_none() {
        return Ok(());
    }
    for team in store::org(tx, id).all_teams()? {
        if provisioning::let_go(tx, id, team.team_id, user_id)? {
            let (role, joined_at) = (TeamRole::Member, ctx.now);
            let member = TeamMember { team_id: team.team_id, user_id, role, joined_at };
            teams::put_member(tx, id, &member)?;
        }
    }
    Ok(())
}

fn checked_display_name(name: &str) -> Result<String> {
    checked_name(name).map_err(|_| {
        Error::invalid(
            "displayName",
            "must be 1 to 100 characters, none of them a control character",
        )
    })
}

fn check_external_id(external_id: Option<&str>) -> Result<()> {
    external_id.map_or(Ok(()), |text| check_text("externalId", text, 1, TEXT_CHARS_MAX))
}
