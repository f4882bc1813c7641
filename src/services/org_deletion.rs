//! Deleting an organisation: asked for by its owner, taken back within a time, and then erased in small
//! bites, so that no other write waits long and a crash loses nothing but the bite.
//!
//! What the books and the audit log need stays: payments, invoices and entries, and under which name
//! the organisation was known. Licences go first, so that whoever holds a key hears of it at once;
//! the owner's place goes last, since mail about everything else leads to them.

use super::housekeeping::BITE;
use super::orgs::place;
use super::{Actor, Ctx, Services, letters};
use crate::domain::audit::By;
use crate::domain::error::{Error, Result, found};
use crate::domain::ids::{LicenseId, OrgId};
use crate::domain::job::{Job, Work};
use crate::domain::license::{License, LicenseStatus};
use crate::domain::organisation::{Organisation, Permission, Role, is_over, require_unbound};
use crate::domain::page::PageRequest;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::signing::license_key;
use crate::store::{
    self, WriteTx, api_keys, billing, email_domains, identities, jobs, licenses, orgs, projects,
    provisioning, subscriptions, teams, users,
};

/// Licences that are erased at once.
const LICENSES_AT_ONCE: usize = 50;
/// Subscriptions that are erased at once.
const SUBSCRIPTIONS_AT_ONCE: usize = 50;
/// The most people who are told by mail.
const TOLD_MAX: usize = 50;
/// The most operators whose keys are looked through.
const OPERATORS_MAX: usize = 1_000;

/// Removes some of a kind of record; how many.
type Bite = fn(&Ctx, &mut WriteTx<'_>, OrgId) -> Result<usize>;

impl Services {
    /// Has an organisation deleted once the time to take that back is over. `name` is its name, typed to
    /// show that this one is meant.
    ///
    /// # Errors
    /// `OrgState` for the one made for a person at registration, while a subscription is billed or a
    /// purchase order is open, and when it is to be deleted already.
    pub async fn delete_org(
        &self,
        actor: &Actor,
        id: OrgId,
        name: String,
    ) -> Result<(Organisation, Role)> {
        actor.refuse_programs()?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            let (mut org, role) = place(tx, &actor, id, Permission::OrgOwn)?;
            if name.trim() != org.name {
                let text = "must be the name of the organisation, to show that this one is meant";
                return Err(Error::invalid("name", text));
            }
            let binding = |it: &_| require_unbound(it).is_err();
            if let Some(binding) = store::org(tx, id).any_subscription(binding)? {
                require_unbound(&binding)?;
            }
            let was = org.clone();
            let wait_days = ctx.config.orgs.deletion_wait_days;
            let due_at = org.ask_deletion(ctx.now, ctx.by.user_id(), wait_days)?;
            orgs::put(tx, &org)?;
            ctx.plan_job(tx, due_at, Work::EraseOrg { org_id: id })?;
            let told = [("due_at", due_at.to_string())];
            ctx.audit_change(tx, Some(id), "org.deletion_asked", id, told, &was, &org)?;
            tell(&ctx, tx, &org, "asked", due_at)?;
            Ok((org, role))
        })
        .await
    }

    /// Takes back that an organisation is to be deleted.
    ///
    /// # Errors
    /// `OrgState` when it is not to be, and once erasing it has begun.
    pub async fn restore_org(&self, actor: &Actor, id: OrgId) -> Result<(Organisation, Role)> {
        actor.refuse_programs()?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            let (mut org, role) = place(tx, &actor, id, Permission::OrgOwn)?;
            let was = org.clone();
            org.stay()?;
            orgs::put(tx, &org)?;
            ctx.audit_change(tx, Some(id), "org.deletion_taken_back", id, [], &was, &org)?;
            tell(&ctx, tx, &org, "taken_back", ctx.now)?;
            Ok((org, role))
        })
        .await
    }

    /// Erases an organisation whose time has come, and removes the job. Each bite is a transaction of its
    /// own; a job that was cut off begins anew and finds what is left.
    pub async fn erase_org_due(&self, job: &Job, id: OrgId) -> Result<()> {
        if !self.begin_erasing(job, id).await? {
            return Ok(());
        }
        while self.erase_some_licenses(id).await? {}
        // What a key opens is remembered under the key as it was typed.
        self.licenses_by_key.invalidate_all();
        self.note_plans_of_payments(id).await?;
        let bites: [Bite; 9] = [
            erase_subscriptions,
            erase_trials,
            erase_invitations,
            erase_team,
            erase_projects,
            erase_domains,
            erase_provisioned,
            erase_leavers,
            erase_members,
        ];
        for bite in bites {
            loop {
                let ctx = self.ctx(By::System);
                if self.commit(move |tx| bite(&ctx, tx, id)).await? == 0 {
                    break;
                }
            }
        }
        let (ctx, job) = (self.ctx(By::System), job.clone());
        self.commit(move |tx| {
            jobs::remove(tx, &job)?;
            let Some(org) = found(store::org(tx, id).organisation())? else { return Ok(()) };
            billing::forget_org(tx, id)?;
            let owner = users::get(tx, store::org(tx, id).owner()?)?;
            api_keys::remove_of_org(tx, owner.user_id, id)?;
            identities::remove_sso(tx, id)?;
            identities::remove_of_org(tx, owner.user_id, id)?;
            for operator in users::operators(tx, OPERATORS_MAX)? {
                api_keys::remove_of_org(tx, operator, id)?;
            }
            tell(&ctx, tx, &org, "done", ctx.now)?;
            orgs::erase(tx, &org, ctx.now)?;
            ctx.audit(tx, Some(id), "org.erased", id, [("name", org.name)])
        })
        .await
    }

    /// Whether it is to be erased now. Where it is not, the job is removed, or waits for what Stripe runs.
    async fn begin_erasing(&self, job: &Job, id: OrgId) -> Result<bool> {
        let (ctx, job) = (self.ctx(By::System), job.clone());
        self.commit(move |tx| {
            let org = found(store::org(tx, id).organisation())?;
            let Some(mut org) = org.filter(|org| org.clone().begin_erasing(ctx.now)) else {
                return jobs::remove(tx, &job).map(|_| false);
            };
            let begun = org.deletion.as_ref().is_some_and(|it| it.begun_at.is_some());
            let scope = store::org(tx, id);
            let may_pay = scope.checkout()?.is_some_and(|page| page.is_open(ctx.now));
            if !begun && (may_pay || scope.any_subscription(|it| !is_over(it))?.is_some()) {
                jobs::remove(tx, &job)?;
                tracing::info!(
                    org_id = %id,
                    "an organisation is erased once its subscription and its payment page are over"
                );
                ctx.plan_job(tx, ctx.now + DAY_MS, Work::EraseOrg { org_id: id })?;
                return Ok(false);
            }
            if !begun {
                org.begin_erasing(ctx.now);
                orgs::put(tx, &org)?;
                ctx.audit(tx, Some(id), "org.erasing", id, [])?;
            }
            Ok(true)
        })
        .await
    }

    /// Erases the newest licences with their seats and machines; whether there were any.
    async fn erase_some_licenses(&self, id: OrgId) -> Result<bool> {
        let request = PageRequest { limit: LICENSES_AT_ONCE, after: None };
        let page = self.store.read(|tx| store::org(tx, id).licenses(&request))?;
        let ids: Vec<LicenseId> = page.items.iter().map(|license| license.license_id).collect();
        if ids.is_empty() {
            return Ok(false);
        }
        let (ctx, some) = (self.ctx(By::System), ids.clone());
        let void = self.commit(move |tx| void_licenses(&ctx, tx, id, &some)).await?;
        // Whoever asks for a seat from now on is refused, so that none is left behind.
        for license in &void {
            self.configure_gate(license);
        }
        for license_id in &ids {
            self.evict_all(*license_id).await?;
        }
        loop {
            let (ctx, some) = (self.ctx(By::System), ids.clone());
            if self.commit(move |tx| erase_licenses(&ctx, tx, id, &some)).await? {
                break;
            }
        }
        for license_id in &ids {
            self.licenses_seen.invalidate(license_id);
        }
        Ok(true)
    }

    /// Payments stay when their subscriptions go; which plan they were for is written to them before.
    async fn note_plans_of_payments(&self, id: OrgId) -> Result<()> {
        let mut request = PageRequest::first();
        loop {
            let page = self.store.read(|tx| store::org(tx, id).payments(&request))?;
            let unknown: Vec<_> =
                page.items.into_iter().filter(|payment| payment.plan_id.is_none()).collect();
            if !unknown.is_empty() {
                let note = move |tx: &mut WriteTx<'_>| {
                    unknown.iter().try_for_each(|payment| subscriptions::note_plan(tx, payment))
                };
                self.commit(note).await?;
            }
            match page.next {
                Some(next) => request.after = Some(next),
                None => return Ok(()),
            }
        }
    }
}

/// Revokes licences without a word about each: the organisation's end is told.
fn void_licenses(
    ctx: &Ctx,
    tx: &mut WriteTx,
    org_id: OrgId,
    ids: &[LicenseId],
) -> Result<Vec<License>> {
    let mut void = Vec::new();
    for id in ids {
        let Some(mut license) = found(store::org(tx, org_id).license(*id))? else { continue };
        if license.revoked_at.is_none() {
            license.revoked_at = Some(ctx.now);
            license.noted_status = LicenseStatus::Revoked;
            license.revision += 1;
            license.updated_at = ctx.now;
            licenses::update(tx, &license)?;
        }
        void.push(license);
    }
    Ok(void)
}

/// A bite of these licences; whether they are all gone.
fn erase_licenses(ctx: &Ctx, tx: &mut WriteTx, org_id: OrgId, ids: &[LicenseId]) -> Result<bool> {
    let mut room = BITE;
    for id in ids {
        let Some(license) = found(store::org(tx, org_id).license(*id))? else { continue };
        let key_form = license_key::index_form(&license.license_key);
        if !licenses::erase(tx, &license, &key_form, &mut room)? {
            return Ok(false);
        }
        ctx.audit(tx, Some(org_id), "license.erased", id, [("plan", license.plan_name)])?;
    }
    Ok(true)
}

fn erase_subscriptions(ctx: &Ctx, tx: &mut WriteTx, id: OrgId) -> Result<usize> {
    let request = PageRequest { limit: SUBSCRIPTIONS_AT_ONCE, after: None };
    let page = store::org(tx, id).subscriptions(&request)?;
    let some = page.items.len();
    for mut subscription in page.items {
        subscription.end_with_owner(ctx.now);
        subscriptions::put(tx, &subscription, ctx.now)?;
        subscriptions::remove(tx, &subscription)?;
    }
    Ok(some)
}

/// A trial that was had stays had: otherwise every new organisation would be a way to another.
fn erase_trials(_: &Ctx, tx: &mut WriteTx, id: OrgId) -> Result<usize> {
    // Another run of this job may have come to the end meanwhile.
    let Some(owner) = found(store::org(tx, id).owner())? else { return Ok(0) };
    let owner = users::get(tx, owner)?;
    subscriptions::move_trials(tx, id, owner.personal_org, BITE)
}

fn erase_invitations(_: &Ctx, tx: &mut WriteTx, id: OrgId) -> Result<usize> {
    let some = store::org(tx, id).invitations(BITE)?;
    for invitation in &some {
        orgs::remove_invitation(tx, id, invitation.invitation_id)?;
    }
    Ok(some.len())
}

/// One, with its members.
fn erase_team(_: &Ctx, tx: &mut WriteTx, id: OrgId) -> Result<usize> {
    let request = PageRequest { limit: 1, after: None };
    let some = store::org(tx, id).teams(&request)?.items;
    for team in &some {
        teams::remove(tx, id, team.team_id)?;
    }
    Ok(some.len())
}

/// Their licences went before.
fn erase_projects(_: &Ctx, tx: &mut WriteTx, id: OrgId) -> Result<usize> {
    let some = store::org(tx, id).projects(&PageRequest::first())?.items;
    for project in &some {
        projects::remove(tx, id, project.project_id)?;
    }
    Ok(some.len())
}

fn erase_domains(_: &Ctx, tx: &mut WriteTx, id: OrgId) -> Result<usize> {
    let some = store::org(tx, id).domains()?;
    for domain in &some {
        email_domains::remove(tx, domain)?;
    }
    Ok(some.len())
}

/// The directory's tokens go at once.
fn erase_provisioned(_: &Ctx, tx: &mut WriteTx, id: OrgId) -> Result<usize> {
    provisioning::forget(tx, id, BITE)
}

fn erase_leavers(_: &Ctx, tx: &mut WriteTx, id: OrgId) -> Result<usize> {
    email_domains::forget_leavers(tx, id, BITE)
}

/// All but the owner, each with the keys they made for the organisation.
fn erase_members(_: &Ctx, tx: &mut WriteTx, id: OrgId) -> Result<usize> {
    let page = store::org(tx, id).members(&PageRequest::first())?;
    let mut removed = 0;
    for member in page.items.iter().filter(|member| member.role != Role::Owner) {
        api_keys::remove_of_org(tx, member.user_id, id)?;
        orgs::remove_membership(tx, id, member.user_id)?;
        identities::remove_of_org(tx, member.user_id, id)?;
        removed += 1;
    }
    Ok(removed)
}

/// Tells who manages the organisation; of its end its owner alone hears, who is left.
fn tell(
    ctx: &Ctx,
    tx: &mut WriteTx,
    org: &Organisation,
    change: &str,
    due_at: Timestamp,
) -> Result<()> {
    for member in store::org(tx, org.org_id).managers(TOLD_MAX)? {
        let user = users::get(tx, member.user_id)?;
        if user.deactivated_at.is_some() {
            continue;
        }
        let message = letters::org_deletion(&user, org, change, due_at);
        let cause = format!("org.deletion_{change}");
        ctx.queue_mail(tx, Some(org.org_id), user.email.as_str(), &cause, &message)?;
    }
    Ok(())
}
