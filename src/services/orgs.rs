//! Organisations and who belongs to them, as their members see and change them.

use super::provisioning::{hold_groups, join_held_groups};
use super::throttles::Mailing;
use super::{Actor, Ctx, Services, letters, second_factor};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, Result, found};
use crate::domain::ids::{OrgId, UserId};
use crate::domain::job::{Job, Work};
use crate::domain::organisation::{Membership, Organisation, Permission, Role};
use crate::domain::page::{Page, PageRequest};
use crate::domain::plan::check_text;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::domain::user::User;
use crate::store::orgs::OF_USER_MAX;
use crate::store::{self, Read, WriteTx, api_keys, email_domains, identities, jobs, orgs, users};

/// The most that belong to an organisation.
const MEMBERS_MAX: u64 = 10_000;
/// Members who are told something in one transaction.
const TOLD_AT_ONCE: usize = 100;
/// Members are told of the same no sooner again.
const TOLD_AGAIN_MS: i64 = DAY_MS;

/// Somebody who belongs to an organisation, as another member sees them.
pub struct Member {
    /// What they are there.
    pub membership: Membership,
    /// Who they are.
    pub user: User,
    /// Whether their account has a second factor; told to whoever may require one.
    pub second_factor: Option<bool>,
}

impl Member {
    pub(super) fn seen_by_a_manager(membership: Membership, user: User) -> Self {
        let second_factor = Some(user.second_factor_since.is_some());
        Self { membership, user, second_factor }
    }
}

/// What is to change of an organisation; what is left out stays.
pub struct OrgChange {
    /// What people call it.
    pub name: Option<String>,
    /// Whether people act for it only with a second factor.
    pub require_second_factor: Option<bool>,
}

impl Services {
    /// The organisations that the actor belongs to, the personal one first, with the role in each.
    pub fn my_orgs(&self, actor: &Actor) -> Result<Vec<(Organisation, Role)>> {
        let mine = self.store.read(|tx| {
            let user = users::get(tx, actor.user_id)?;
            orgs::of_user(tx, user.user_id, user.personal_org, OF_USER_MAX)
        })?;
        let reached = mine.into_iter().filter(|(org, _)| actor.reaches(org.org_id));
        Ok(reached.map(|(org, member)| (org, member.role)).collect())
    }

    /// Makes an organisation that the actor owns.
    pub async fn create_org(&self, actor: &Actor, name: &str) -> Result<Organisation> {
        actor.require_sign_in()?;
        let name = checked_name(name)?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            let user_id = actor.still(tx)?.user_id;
            room_for_another(tx, user_id)?;
            let org_id = OrgId(ctx.record_id());
            let org = Organisation::new(org_id, name, false, ctx.now);
            orgs::put(tx, &org)?;
            let joined_at = ctx.now;
            let owner = Membership { org_id, user_id, role: Role::Owner, joined_at };
            orgs::put_membership(tx, &owner)?;
            ctx.audit(tx, Some(org_id), "org.created", org_id, [("name", org.name.clone())])?;
            Ok(org)
        })
        .await
    }

    /// One organisation and the actor's role in it.
    pub fn org(&self, actor: &Actor, id: OrgId) -> Result<(Organisation, Role)> {
        self.store.read(|tx| place(tx, actor, id, Permission::OrgRead))
    }

    /// Gives an organisation another name, or has it ask a second factor of its members.
    ///
    /// # Errors
    /// `MfaEnrolmentRequired` when the actor asks of others what their own account does not have;
    /// `RateLimited` when members would be told of that too often. Whoever asks for it again within a day of the
    /// last time tells nobody: they know.
    pub async fn change_org(
        &self,
        actor: &Actor,
        id: OrgId,
        change: OrgChange,
    ) -> Result<(Organisation, Role)> {
        let name = change.name.as_deref().map(checked_name).transpose()?;
        let (org, _) = self.store.read(|tx| place(tx, actor, id, Permission::OrgManage))?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        let required = change.require_second_factor;
        let required = required.filter(|it| *it != org.require_second_factor);
        if let Some(required) = required {
            may_require(&actor, required)?;
            // Each time leads to mails, which nobody is to go without.
            if required && !actor.operator && !were_told(&org, ctx.now) {
                self.throttles.check_mailing(Mailing::AskedForSecondFactor(id))?;
            }
        }
        self.commit(move |tx| {
            let (mut org, role) = place(tx, &actor, id, Permission::OrgManage)?;
            let was = org.clone();
            if let Some(name) = name.filter(|name| *name != org.name) {
                let before = std::mem::replace(&mut org.name, name);
                let told = [("name_before", before), ("name", org.name.clone())];
                ctx.audit_change(tx, Some(id), "org.renamed", id, told, &was, &org)?;
            }
            if let Some(required) = required.filter(|it| *it != org.require_second_factor) {
                require_second_factor(&ctx, tx, &mut org, required)?;
            }
            orgs::put(tx, &org)?;
            Ok((org, role))
        })
        .await
    }

    /// Mails those of some members who have no second factor that their organisation asks for one, and plans
    /// the next ones. Nobody is told any more once it does not, nor by what another time of asking has outlived.
    pub async fn tell_of_second_factor_due(
        &self,
        job: &Job,
        id: OrgId,
        since: Timestamp,
        after: Option<Vec<u8>>,
    ) -> Result<()> {
        let (ctx, job) = (self.ctx(By::System), job.clone());
        self.commit(move |tx| {
            let org = found(store::org(tx, id).organisation())?;
            let org = org.filter(|org| org.second_factor_since == Some(since));
            let (true, Some(mut org)) = (jobs::remove(tx, &job)?, org) else { return Ok(()) };
            if !org.require_second_factor {
                // Not everybody knows: when it is asked for again, they are to be told.
                org.second_factor_since = None;
                return orgs::put(tx, &org);
            }
            let page = store::org(tx, id).members(&PageRequest { limit: TOLD_AT_ONCE, after })?;
            for member in page.items {
                let user = users::get(tx, member.user_id)?;
                if user.second_factor_since.is_some()
                    || user.deactivated_at.is_some()
                    || !user.email_verified
                {
                    continue;
                }
                let message = letters::second_factor_required(&user, &org, since);
                let (address, cause) = (user.email.as_str(), "org.second_factor_required");
                ctx.queue_mail(tx, Some(id), address, cause, &message)?;
            }
            match page.next {
                Some(next) => {
                    let after = Some(next);
                    let work = Work::TellOfSecondFactor { org_id: id, since, after };
                    ctx.plan_job(tx, ctx.now, work)
                }
                None => Ok(()),
            }
        })
        .await
    }

    /// Who belongs to an organisation.
    pub fn members(&self, actor: &Actor, id: OrgId, request: &PageRequest) -> Result<Page<Member>> {
        self.store.read(|tx| {
            let (_, role) = place(tx, actor, id, Permission::OrgRead)?;
            let manages = actor.require(role, Permission::OrgManage).is_ok();
            let page = store::org(tx, id).members(request)?;
            let with_user = |member: Membership| {
                let user = users::get(tx, member.user_id)?;
                let mut seen = Member::seen_by_a_manager(member, user);
                seen.second_factor = seen.second_factor.filter(|_| manages);
                Ok(seen)
            };
            let items = page.items.into_iter().map(with_user).collect::<Result<_>>()?;
            Ok(Page { items, next: page.next })
        })
    }

    /// Makes somebody else of a member.
    pub async fn change_role(
        &self,
        actor: &Actor,
        id: OrgId,
        user_id: UserId,
        role: Role,
    ) -> Result<Member> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            let (_, own) = place(tx, &actor, id, Permission::OrgManage)?;
            let mut member = member(tx, id, user_id)?;
            if !own.grants(role) || !own.grants(member.role) {
                return Err(owner_stays());
            }
            member = set_role(&ctx, tx, &member, role, None)?;
            Ok(Member::seen_by_a_manager(member, users::get(tx, user_id)?))
        })
        .await
    }

    /// Removes a member, or lets the actor leave. Keys that the person made for the organisation open
    /// nothing any more; mail about what the person had bought goes to the owner.
    pub async fn remove_member(&self, actor: &Actor, id: OrgId, user_id: UserId) -> Result<()> {
        let leaves = user_id == actor.user_id;
        // Only what will happen counts.
        self.store.read(|tx| removable(tx, actor, id, user_id))?;
        // Whoever is brought in and taken out again and again is mailed no more often than others.
        let may_tell =
            !leaves && self.throttles.check_mailing(Mailing::Removed(id, user_id)).is_ok();
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            let (member, user) = removable(tx, &actor, id, user_id)?;
            end_membership(&ctx, tx, &member, if leaves { End::Left } else { End::Removed })?;
            if may_tell { tell_removed(&ctx, tx, id, &user) } else { Ok(()) }
        })
        .await
    }

    /// Gives an organisation to another member; whoever owned it is an admin from then on.
    pub async fn transfer_org(
        &self,
        actor: &Actor,
        id: OrgId,
        user_id: UserId,
    ) -> Result<(Organisation, Role)> {
        actor.refuse_programs()?;
        self.store.read(|tx| place(tx, actor, id, Permission::OrgOwn))?;
        // Each leads to two mails, which nobody is to go without.
        if !actor.operator {
            self.throttles.check_mailing(Mailing::Transferred(id))?;
        }
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::OrgOwn)?;
            let mut next = member(tx, id, user_id)?;
            if users::get(tx, user_id)?.deactivated_at.is_some() {
                let text = "The account of this member is closed.";
                return Err(Error::new(Code::AccountDeactivated, text));
            }
            let owner = store::org(tx, id).owner()?;
            if owner != user_id {
                let mut last = member(tx, id, owner)?;
                (last.role, next.role) = (Role::Admin, Role::Owner);
                orgs::put_membership(tx, &last)?;
                orgs::put_membership(tx, &next)?;
                leave_room(&ctx, tx, owner, id)?;
                let told = [("from", owner.to_string()), ("to", user_id.to_string())];
                ctx.audit(tx, Some(id), "org.transferred", id, told)?;
                tell_transferred(&ctx, tx, id, owner, user_id)?;
            }
            place(tx, &actor, id, Permission::OrgRead)
        })
        .await
    }
}

/// Refuses programs, and whoever asks of others what their own account does not have.
fn may_require(actor: &Actor, required: bool) -> Result<()> {
    actor.refuse_programs()?;
    if required && !actor.second_factor {
        let text = "Set up a second factor of your own before you ask one of the others.";
        return Err(Error::new(Code::MfaEnrolmentRequired, text));
    }
    Ok(())
}

/// Whether the members know already, or are being told, should their organisation ask for a second factor now.
fn were_told(org: &Organisation, now: Timestamp) -> bool {
    org.second_factor_since.is_some_and(|since| now < since + TOLD_AGAIN_MS)
}

/// Has an organisation ask for a second factor, and its members be told; or no longer.
fn require_second_factor(
    ctx: &Ctx,
    tx: &mut WriteTx,
    org: &mut Organisation,
    required: bool,
) -> Result<()> {
    let id = org.org_id;
    org.require_second_factor = required;
    let action = if required { "org.second_factor_required" } else { "org.second_factor_optional" };
    ctx.audit(tx, Some(id), action, id, [])?;
    if !required || were_told(org, ctx.now) {
        return Ok(());
    }
    org.second_factor_since = Some(ctx.now);
    let work = Work::TellOfSecondFactor { org_id: id, since: ctx.now, after: None };
    ctx.plan_job(tx, ctx.now, work)
}

/// A member whom the actor may take out of an organisation, or who is the actor and may leave.
fn removable(
    tx: &impl Read,
    actor: &Actor,
    id: OrgId,
    user_id: UserId,
) -> Result<(Membership, User)> {
    let leaves = user_id == actor.user_id;
    // Whoever does not want a second factor may still leave.
    let (_, own) = if leaves {
        let actor = &actor.still(tx)?;
        let own = standing(tx, actor, id)?;
        actor.require(own.1, Permission::OrgRead)?;
        own
    } else {
        place(tx, actor, id, Permission::OrgManage)?
    };
    let member = member(tx, id, user_id)?;
    if member.role == Role::Owner || !(leaves || own.grants(member.role)) {
        return Err(owner_stays());
    }
    let user = users::get(tx, user_id)?;
    if user.personal_org == id {
        let text =
            "This organisation was made for that person at registration; nobody leaves that one.";
        return Err(Error::new(Code::MemberState, text));
    }
    Ok((member, user))
}

/// Tells both of those between whom an organisation was given.
fn tell_transferred(
    ctx: &Ctx,
    tx: &mut WriteTx,
    id: OrgId,
    from: UserId,
    to: UserId,
) -> Result<()> {
    let org = store::org(tx, id).organisation()?;
    let (from, to) = (users::get(tx, from)?, users::get(tx, to)?);
    for (user, change, other) in [(&to, "received", &from), (&from, "given", &to)] {
        if user.deactivated_at.is_none() {
            let message = letters::org_transferred(user, &org, change, other, ctx.now);
            ctx.queue_mail(tx, Some(id), user.email.as_str(), "org.transferred", &message)?;
        }
    }
    Ok(())
}

/// Tells somebody that others took them out of an organisation, where the address is known to be theirs.
pub(super) fn tell_removed(ctx: &Ctx, tx: &mut WriteTx, id: OrgId, user: &User) -> Result<()> {
    if user.deactivated_at.is_some() || !user.email_verified {
        return Ok(());
    }
    let message = letters::member_removed(user, &store::org(tx, id).organisation()?, ctx.now);
    let (personal, cause) = (Some(user.personal_org), "member.removed");
    ctx.queue_mail(tx, personal, user.email.as_str(), cause, &message)
}

/// The organisation, and the actor's role in it, where that allows it. Operators act as its owner.
///
/// # Errors
/// `NotFound` for an organisation that the actor does not belong to, as for one that there is not;
/// `MfaEnrolmentRequired` where it asks for a second factor.
pub(super) fn place(
    tx: &impl Read,
    actor: &Actor,
    id: OrgId,
    permission: Permission,
) -> Result<(Organisation, Role)> {
    let actor = &actor.still(tx)?;
    let (organisation, role) = standing(tx, actor, id)?;
    actor.require(role, permission)?;
    second_factor::asked_by(&organisation, actor)?;
    Ok((organisation, role))
}

/// The organisation, and what the actor, as it stands by now, is there.
fn standing(tx: &impl Read, actor: &Actor, id: OrgId) -> Result<(Organisation, Role)> {
    let org = store::org(tx, id);
    let member = org.membership(actor.user_id)?.filter(|_| actor.reaches(id));
    let role = match member {
        Some(member) if !actor.operator => member.role,
        None if !actor.operator => return Err(Error::not_found("organisation")),
        _ => Role::Owner,
    };
    Ok((org.organisation()?, role))
}

/// Whoever gives away the organisation that was made for them gets another to act for.
fn leave_room(ctx: &Ctx, tx: &mut WriteTx, user_id: UserId, given: OrgId) -> Result<()> {
    let mut user = users::get(tx, user_id)?;
    if user.personal_org != given {
        return Ok(());
    }
    let mut org = store::org(tx, given).organisation()?;
    org.personal = false;
    orgs::put(tx, &org)?;
    let org_id = OrgId(ctx.record_id());
    let name = user.full_name.clone();
    let org = Organisation::new(org_id, name, true, ctx.now);
    orgs::put(tx, &org)?;
    let own = Membership { org_id, user_id, role: Role::Owner, joined_at: ctx.now };
    orgs::put_membership(tx, &own)?;
    user.personal_org = org_id;
    users::update(tx, &user)?;
    ctx.audit(tx, Some(org_id), "org.created", org_id, [("name", user.full_name)])
}

/// Refuses to close the account of somebody whose organisation has other members.
pub(super) fn require_no_company(tx: &impl Read, user_id: UserId) -> Result<()> {
    let user = users::get(tx, user_id)?;
    for (org, member) in orgs::of_user(tx, user_id, user.personal_org, OF_USER_MAX)? {
        if member.role == Role::Owner && store::org(tx, org.org_id).members_count()? > 1 {
            let text = format!(
                "You own {:?}, which has other members: give it to one of them first.",
                org.name
            );
            return Err(Error::new(Code::MemberState, text));
        }
    }
    Ok(())
}

fn member(tx: &impl Read, id: OrgId, user_id: UserId) -> Result<Membership> {
    store::org(tx, id).membership(user_id)?.ok_or_else(|| Error::not_found("member"))
}

pub(super) fn owner_stays() -> Error {
    Error::new(
        Code::MemberState,
        "The owner stays what they are until they give the organisation to another member.",
    )
}

/// Adds somebody to an organisation.
pub(super) fn join(ctx: &Ctx, tx: &mut WriteTx, member: &Membership) -> Result<()> {
    store::org(tx, member.org_id).organisation()?.require_staying()?;
    room_for_another(tx, member.user_id)?;
    if store::org(tx, member.org_id).members_count()? >= MEMBERS_MAX {
        let text = format!("This organisation has {MEMBERS_MAX} members; remove one first.");
        return Err(Error::new(Code::MemberState, text));
    }
    orgs::put_membership(tx, member)?;
    let told = [("role", member.role.as_str().to_owned())];
    ctx.audit(tx, Some(member.org_id), "member.joined", member.user_id, told)?;
    join_held_groups(ctx, tx, member)
}

/// Makes something else of a member; `by` tells whose word that follows, where it is nobody's who is there.
pub(super) fn set_role(
    ctx: &Ctx,
    tx: &mut WriteTx,
    was: &Membership,
    role: Role,
    by: Option<&str>,
) -> Result<Membership> {
    let now = Membership { role, ..was.clone() };
    orgs::put_membership(tx, &now)?;
    let mut told =
        vec![("role_before", was.role.as_str().to_owned()), ("role", role.as_str().to_owned())];
    told.extend(by.map(|by| ("by", by.to_owned())));
    let (org_id, action) = (Some(was.org_id), "member.role_changed");
    ctx.audit_change(tx, org_id, action, was.user_id, told, was, &now)?;
    Ok(now)
}

/// Why somebody does not belong to an organisation any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// They did not want to.
    Left,
    /// Somebody who manages it, or its directory, took them out.
    Removed,
    /// Its issuer signs them in, and no group makes them anything; it may again tomorrow.
    NoGroup,
}

/// Ends a membership with what hangs on it: keys that act for the organisation, sign-ins on the word of its
/// issuer, places in teams. No domain brings the person back; the issuer does where no group was all.
/// Groups of its directory are remembered for their return.
pub(super) fn end_membership(
    ctx: &Ctx,
    tx: &mut WriteTx,
    member: &Membership,
    end: End,
) -> Result<()> {
    let (id, user_id) = (member.org_id, member.user_id);
    hold_groups(tx, id, user_id)?;
    orgs::remove_membership(tx, id, user_id)?;
    email_domains::note_leaver(tx, id, user_id)?;
    if end != End::NoGroup {
        identities::remove_of_org(tx, user_id, id)?;
    }
    api_keys::remove_of_org(tx, user_id, id)?;
    users::end_logins_of_org(tx, user_id, id)?;
    let action = if end == End::Left { "member.left" } else { "member.removed" };
    let mut told = vec![("role", member.role.as_str().to_owned())];
    told.extend((end == End::NoGroup).then(|| ("by", "single sign-on".to_owned())));
    ctx.audit(tx, Some(id), action, user_id, told)
}

fn room_for_another(tx: &WriteTx, user_id: UserId) -> Result<()> {
    let user = users::get(tx, user_id)?;
    if orgs::of_user(tx, user_id, user.personal_org, OF_USER_MAX)?.len() < OF_USER_MAX {
        return Ok(());
    }
    let text = format!("This person belongs to {OF_USER_MAX} organisations; leave one first.");
    Err(Error::new(Code::MemberState, text))
}

fn checked_name(name: &str) -> Result<String> {
    check_text("name", name, 1, 200)?;
    Ok(name.trim().to_owned())
}
