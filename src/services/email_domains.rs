//! Domains that organisations prove to be theirs, and people who join by their address there.

use super::orgs::{join, place};
use super::throttles::OrgWork;
use super::{Actor, Ctx, Services, letters};
use crate::domain::audit::By;
use crate::domain::email_domain::{Domain, OrgDomain};
use crate::domain::error::{Code, Error, Result, found};
use crate::domain::ids::OrgId;
use crate::domain::job::{Job, Work};
use crate::domain::organisation::{Membership, Permission, Role};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::domain::user::User;
use crate::identity::tokens;
use crate::store::email_domains::DOMAINS_MAX;
use crate::store::{self, WriteTx, email_domains, jobs, users};

/// How often a proof is looked for again.
const LOOKED_AGAIN_MS: i64 = 7 * DAY_MS;
/// How soon where it was not found, or nobody could be asked.
const SOON_MS: i64 = DAY_MS;

impl Services {
    /// The organisation's domains.
    pub fn domains(&self, actor: &Actor, id: OrgId) -> Result<Vec<OrgDomain>> {
        self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgManage)?;
            store::org(tx, id).domains()
        })
    }

    /// Says that a domain is the organisation's; the answer tells what proves it.
    ///
    /// # Errors
    /// `DomainTaken` when it is another's, `OrgState` when there are as many as there may be.
    pub async fn add_domain(&self, actor: &Actor, id: OrgId, text: &str) -> Result<OrgDomain> {
        let domain = Domain::parse(text)?;
        if domain.is_public() {
            let text = "must be the organisation's own: everybody can have an address at this one";
            return Err(Error::invalid("domain", text));
        }
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        let proof = tokens::secret(&ctx.entropy, "");
        self.commit(move |tx| {
            let (org, _) = place(tx, &actor, id, Permission::OrgManage)?;
            org.require_staying()?;
            let there = store::org(tx, id).domains()?;
            if let Some(known) = there.iter().find(|known| known.domain == domain) {
                return Ok(known.clone());
            }
            if there.len() >= DOMAINS_MAX {
                let text = format!("There are {DOMAINS_MAX} domains; remove one first.");
                return Err(Error::new(Code::OrgState, text));
            }
            let added = OrgDomain::new(id, domain, proof, ctx.now);
            email_domains::put(tx, &added)?;
            let told = [("domain", added.domain.as_str().to_owned())];
            ctx.audit(tx, Some(id), "domain.added", id, told)?;
            Ok(added)
        })
        .await
    }

    /// Looks whether the domain's owner has written the proof.
    ///
    /// # Errors
    /// `DomainUnproven` when it is not there, `DomainTaken` when the domain is another organisation's,
    /// `NamesUnavailable` when no name server answers.
    pub async fn verify_domain(
        &self,
        actor: &Actor,
        id: OrgId,
        domain: Domain,
    ) -> Result<OrgDomain> {
        let claim = self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgManage)?;
            store::org(tx, id).domain(&domain)
        })?;
        self.throttles.check_org_work(id, OrgWork::Domain)?;
        let name = claim.record_name();
        let texts = self.names.texts(&name).await.map_err(|away| {
            let text = "No name server could be asked just now. Try again in a moment, or have whoever runs this server confirm the domain.";
            let mut error = Error::new(Code::NamesUnavailable, text).retry_after(30);
            error.internal = Some(away.to_string());
            error
        })?;
        if !claim.is_proved_by(&texts) {
            let value = claim.record_value();
            let text = format!(
                "There is no TXT record {name:?} that says {value:?}. Where it was written just now, name servers may take some time to know."
            );
            return Err(Error::new(Code::DomainUnproven, text));
        }
        self.confirm(actor, id, domain, false).await
    }

    /// Notes that a domain is an organisation's, for an operator who knows: where no name server can be
    /// asked, nobody looks again.
    pub async fn confirm_domain(
        &self,
        actor: &Actor,
        id: OrgId,
        domain: Domain,
    ) -> Result<OrgDomain> {
        actor.require_operator()?;
        self.confirm(actor, id, domain, true).await
    }

    async fn confirm(
        &self,
        actor: &Actor,
        id: OrgId,
        domain: Domain,
        by_hand: bool,
    ) -> Result<OrgDomain> {
        let (ctx, who) = (self.ctx_of(actor), actor.clone());
        self.commit(actor.guarded(move |tx| {
            place(tx, &who, id, Permission::OrgManage)?;
            let was = store::org(tx, id).domain(&domain)?;
            if email_domains::owner_of(tx, &domain)?.is_some_and(|owner| owner != id) {
                let text = "This domain belongs to another organisation here. Ask whoever runs this server.";
                return Err(Error::new(Code::DomainTaken, text));
            }
            let same = was.by_hand == by_hand;
            let verified_at = was.verified_at.filter(|_| same).or(Some(ctx.now));
            let checked_at = Some(ctx.now);
            let now = OrgDomain { verified_at, checked_at, by_hand, misses: 0, ..was.clone() };
            email_domains::put(tx, &now)?;
            if was.verified_at.is_none() || !same {
                let told = [("domain", domain.as_str().to_owned())];
                ctx.audit_change(tx, Some(id), "domain.verified", id, told, &was, &now)?;
            }
            if was.verified_at.is_none() {
                tell_owner(&ctx, tx, &now, "verified")?;
            }
            if !by_hand && was.verified_at != now.verified_at {
                plan_look(&ctx, tx, &now, LOOKED_AGAIN_MS)?;
            }
            Ok(now)
        }))
        .await
    }

    /// Says as what people with an address at a domain join; none: they do not.
    ///
    /// # Errors
    /// `DomainUnproven` while nothing shows that it is the organisation's.
    pub async fn set_auto_join(
        &self,
        actor: &Actor,
        id: OrgId,
        domain: Domain,
        role: Option<Role>,
    ) -> Result<OrgDomain> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::OrgManage)?;
            let was = store::org(tx, id).domain(&domain)?;
            if role.is_some_and(|role| !matches!(role, Role::Member | Role::Billing)) {
                return Err(Error::invalid("auto_join", "must be off, member or billing"));
            }
            if role.is_some() && was.verified_at.is_none() {
                let text = "Prove first that this domain is the organisation's.";
                return Err(Error::new(Code::DomainUnproven, text));
            }
            let now = OrgDomain { auto_join: role, ..was.clone() };
            if now != was {
                email_domains::put(tx, &now)?;
                let told = [("domain", domain.as_str().to_owned())];
                ctx.audit_change(tx, Some(id), "domain.changed", id, told, &was, &now)?;
            }
            Ok(now)
        })
        .await
    }

    /// Removes a domain: nobody joins by it any more; who has joined stays.
    pub async fn remove_domain(&self, actor: &Actor, id: OrgId, domain: Domain) -> Result<()> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::OrgManage)?;
            let gone = store::org(tx, id).domain(&domain)?;
            email_domains::remove(tx, &gone)?;
            let told = [("domain", domain.as_str().to_owned())];
            ctx.audit(tx, Some(id), "domain.removed", id, told)
        })
        .await
    }

    /// Looks for the proof of a domain again, and plans the next look.
    pub async fn look_at_domain_due(
        &self,
        job: &Job,
        id: OrgId,
        domain: &Domain,
        since: Timestamp,
    ) -> Result<()> {
        let known = self.store.read(|tx| found(store::org(tx, id).domain(domain)))?;
        let looked_for = known.filter(|it| it.verified_at == Some(since) && !it.by_hand);
        let proved = match &looked_for {
            Some(known) => match self.names.texts(&known.record_name()).await {
                Ok(texts) => Some(known.is_proved_by(&texts)),
                Err(error) => {
                    tracing::warn!(domain = domain.as_str(), %error, "a domain was not looked at");
                    None
                }
            },
            None => None,
        };
        let (ctx, job, domain) = (self.ctx(By::System), job.clone(), domain.clone());
        self.commit(move |tx| {
            if !jobs::remove(tx, &job)? || looked_for.is_none() {
                return Ok(());
            }
            let Some(was) = found(store::org(tx, id).domain(&domain))? else { return Ok(()) };
            if was.verified_at != Some(since) || was.by_hand {
                return Ok(());
            }
            let Some(proved) = proved else { return plan_look(&ctx, tx, &was, SOON_MS) };
            let mut now = was.clone();
            let lost = now.looked(ctx.now, proved);
            email_domains::put(tx, &now)?;
            if lost {
                let told = [("domain", domain.as_str().to_owned())];
                ctx.audit_change(tx, Some(id), "domain.lost", id, told, &was, &now)?;
                return tell_owner(&ctx, tx, &was, "lost");
            }
            plan_look(&ctx, tx, &now, if proved { LOOKED_AGAIN_MS } else { SOON_MS })
        })
        .await
    }
}

fn plan_look(ctx: &Ctx, tx: &mut WriteTx, domain: &OrgDomain, after_ms: i64) -> Result<()> {
    let Some(since) = domain.verified_at else { return Ok(()) };
    let (org_id, domain) = (domain.org_id, domain.domain.clone());
    ctx.plan_job(tx, ctx.now + after_ms, Work::LookAtDomain { org_id, domain, since })
}

fn tell_owner(ctx: &Ctx, tx: &mut WriteTx, domain: &OrgDomain, change: &str) -> Result<()> {
    let org = store::org(tx, domain.org_id);
    let organisation = org.organisation()?;
    let owner = users::get(tx, org.owner()?)?;
    let message = letters::org_domain(&owner, &organisation, domain, change);
    let cause = format!("domain.{change}");
    ctx.queue_mail(tx, Some(domain.org_id), owner.email.as_str(), &cause, &message)
}

/// Lets somebody join as [`join_by_domain`] does, and tells them by mail where they did.
pub(super) fn join_and_tell(ctx: &Ctx, tx: &mut WriteTx, user: &User) -> Result<()> {
    let Some((domain, member)) = join_by_domain(ctx, tx, user)? else { return Ok(()) };
    let org = store::org(tx, member.org_id).organisation()?;
    let message = letters::org_joined(user, &org, &domain, member.role, member.joined_at);
    let (personal, cause) = (Some(user.personal_org), "member.joined");
    ctx.queue_mail(tx, personal, user.email.as_str(), cause, &message)
}

/// Lets somebody whose address is known to be theirs join the organisation whose domain it is of, unless
/// they left it before; the domain and the membership where they did. What stands in the way keeps nobody
/// from signing in.
pub(super) fn join_by_domain(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: &User,
) -> Result<Option<(Domain, Membership)>> {
    if !user.email_verified || user.deactivated_at.is_some() {
        return Ok(None);
    }
    let Some(domain) = Domain::of(&user.email) else { return Ok(None) };
    let Some(org_id) = email_domains::owner_of(tx, &domain)? else { return Ok(None) };
    let org = store::org(tx, org_id);
    let (ours, user_id) = (org.domain(&domain)?, user.user_id);
    let Some(role) = ours.auto_join else { return Ok(None) };
    if org.organisation()?.deletion.is_some()
        || org.membership(user_id)?.is_some()
        || org.was_left_by(user_id)?
        || org.is_deactivated(user_id, ctx.now)?
    {
        return Ok(None);
    }
    let member = Membership { org_id, user_id, role, joined_at: ctx.now };
    match join(ctx, tx, &member) {
        Err(error) if error.code == Code::MemberState => {
            tracing::info!(%org_id, %user_id, why = error.detail, "nobody joined by a domain");
            Ok(None)
        }
        joined => joined.map(|()| Some((domain, member))),
    }
}
