//! Asking people to join an organisation, and their answers.

use super::accounts::{RegisterInput, add_account};
use super::orgs::{join, place};
use super::throttles::Mailing;
use super::{Actor, Caller, Ctx, Services, letters};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, RateLimit, Result};
use crate::domain::ids::{InvitationId, OrgId};
use crate::domain::organisation::{Invitation, Membership, Organisation, Permission, Role};
use crate::domain::time::{DAY_MS, MINUTE_MS, Timestamp};
use crate::domain::user::{Email, User};
use crate::identity::tokens;
use crate::store::{self, Read, WriteTx, orgs, users};

/// The most open invitations of an organisation.
const INVITATIONS_MAX: usize = 200;
/// How long one is good for.
const GOOD_MS: i64 = 7 * DAY_MS;
/// The least time between two mails of one invitation.
const RESEND_MS: i64 = MINUTE_MS;

/// An invitation as whoever holds its link sees it.
pub struct Shown {
    /// The invitation.
    pub invitation: Invitation,
    /// To what.
    pub organisation: Organisation,
    /// Whether the address has an account, to sign in with before accepting.
    pub has_account: bool,
}

/// Somebody without an account who accepts.
pub struct Newcomer {
    /// 1 to 200 characters.
    pub full_name: String,
    /// What the new account is to be signed in with.
    pub password: String,
}

impl Services {
    /// Who was asked to join and has not answered, oldest first.
    pub fn invitations(&self, actor: &Actor, id: OrgId) -> Result<Vec<Invitation>> {
        let now = self.clock.now().wall;
        self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgManage)?;
            let mut open = store::org(tx, id).invitations(INVITATIONS_MAX)?;
            open.retain(|invitation| invitation.expires_at > now);
            Ok(open)
        })
    }

    /// Asks somebody to join, by mail.
    ///
    /// # Errors
    /// `InvitationExists` when the address was asked and can still answer; `MemberState` when it is a
    /// member's.
    pub async fn invite(
        &self,
        actor: &Actor,
        id: OrgId,
        email: &str,
        role: Role,
    ) -> Result<Invitation> {
        let email = Email::parse(email)?;
        self.throttles.check_address(actor.caller.address)?;
        // Whoever is invited and taken out again and again is mailed no more often than others.
        self.throttles.check_mailing(Mailing::Invited(&email))?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            let (org, own) = place(tx, &actor, id, Permission::OrgManage)?;
            org.require_staying()?;
            if !own.grants(role) {
                let text = "Nobody is invited as the owner: invite as admin, billing or member, and give the organisation away afterwards.";
                return Err(Error::new(Code::MemberState, text));
            }
            let known = users::by_email(tx, &email)?;
            let theirs = known.map(|user| store::org(tx, id).membership(user.user_id));
            if theirs.transpose()?.flatten().is_some() {
                let text = "Whoever has this address belongs to the organisation already.";
                return Err(Error::new(Code::MemberState, text));
            }
            let (open, over): (Vec<_>, Vec<_>) = store::org(tx, id)
                .invitations(INVITATIONS_MAX)?
                .into_iter()
                .partition(|earlier| earlier.expires_at > ctx.now);
            for earlier in over {
                orgs::remove_invitation(tx, id, earlier.invitation_id)?;
            }
            if open.iter().any(|earlier| earlier.email == email) {
                let text = "This address was invited and has not answered; send that invitation again, or revoke it.";
                return Err(Error::new(Code::InvitationExists, text));
            }
            if open.len() >= INVITATIONS_MAX {
                let text = format!("{INVITATIONS_MAX} invitations are open; revoke some first.");
                return Err(Error::new(Code::MemberState, text));
            }
            let invitation = Invitation {
                invitation_id: InvitationId(ctx.record_id()),
                org_id: id,
                email,
                role,
                invited_by: actor.user_id,
                token_hash: [0; 32],
                created_at: ctx.now,
                sent_at: ctx.now,
                expires_at: ctx.now,
            };
            send(&ctx, tx, &org, invitation, "member.invited")
        })
        .await
    }

    /// Mails an invitation once more; the link of the mail before is good no longer.
    pub async fn resend_invitation(
        &self,
        actor: &Actor,
        id: OrgId,
        invitation_id: InvitationId,
    ) -> Result<Invitation> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            let (org, _) = place(tx, &actor, id, Permission::OrgManage)?;
            org.require_staying()?;
            let invitation = store::org(tx, id).invitation(invitation_id)?;
            let wait = invitation.sent_at + RESEND_MS - ctx.now;
            if wait > 0 {
                let seconds = u32::try_from(wait.unsigned_abs().div_ceil(1_000)).unwrap_or(60);
                let text = format!("It was mailed just now; wait {seconds} s, then try again.");
                let mut error = Error::new(Code::RateLimited, text).retry_after(seconds);
                error.limit = Some(RateLimit { policy: "invitation", quota: 1, window_s: 60 });
                return Err(error);
            }
            send(&ctx, tx, &org, invitation, "invitation.resent")
        })
        .await
    }

    /// Takes an invitation back: its link is good no longer.
    pub async fn revoke_invitation(
        &self,
        actor: &Actor,
        id: OrgId,
        invitation_id: InvitationId,
    ) -> Result<()> {
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::OrgManage)?;
            let gone = orgs::remove_invitation(tx, id, invitation_id)?
                .ok_or_else(|| Error::not_found("invitation"))?;
            let told = [("email", gone.email.as_str().to_owned())];
            ctx.audit(tx, Some(id), "invitation.revoked", invitation_id, told)
        })
        .await
    }

    /// What the holder of a mailed link is asked.
    pub fn look_at_invitation(&self, caller: &Caller, token: &str) -> Result<Shown> {
        self.throttles.check_address(caller.address)?;
        let (hash, now) = (tokens::digest(token), self.clock.now().wall);
        self.store.read(|tx| {
            let invitation = good(tx, &hash, now)?;
            let organisation = store::org(tx, invitation.org_id).organisation()?;
            let has_account = users::by_email(tx, &invitation.email)?.is_some();
            Ok(Shown { invitation, organisation, has_account })
        })
    }

    /// Accepts an invitation: as the person who has signed in, whose address must be the one that was
    /// invited, or with a new account for that address.
    ///
    /// # Errors
    /// `Unauthenticated` when the address has an account and nobody has signed in; `Forbidden` when
    /// somebody else has.
    pub async fn accept_invitation(
        &self,
        actor: Option<&Actor>,
        caller: &Caller,
        token: &str,
        newcomer: Option<Newcomer>,
    ) -> Result<(Organisation, Role)> {
        let Shown { invitation, has_account, .. } = self.look_at_invitation(caller, token)?;
        let hash = tokens::digest(token);
        if let Some(actor) = actor {
            actor.require_sign_in()?;
            let (ctx, actor) = (self.ctx_of(actor), actor.clone());
            return self
                .commit(move |tx| {
                    let user = users::get(tx, actor.still(tx)?.user_id)?;
                    take(&ctx, tx, &hash, &user)
                })
                .await;
        }
        if !has_account && !self.config.auth.open_registration {
            let by_vendor = self.store.read(|tx| users::find(tx, invitation.invited_by))?;
            if by_vendor.is_some_and(|inviter| !inviter.operator) {
                return Err(Error::new(
                    Code::Forbidden,
                    "Registration is closed here; ask the vendor for an account, then accept with it.",
                ));
            }
        }
        let email = invitation.email.as_str();
        let Some(newcomer) = newcomer.filter(|_| !has_account) else {
            let what = if has_account { "Sign in as" } else { "Give a name and a password for" };
            let text = format!("{what} {email} to accept this invitation.");
            return Err(Error::new(Code::Unauthenticated, text));
        };
        let person =
            self.person(RegisterInput::of(email, newcomer.full_name, newcomer.password)).await?;
        let ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        self.commit(move |tx| {
            // Whoever holds the link reads the address.
            let mut user = add_account(&ctx, tx, person, "user.registered", false)?;
            user.email_verified = true;
            users::update(tx, &user)?;
            let mut ctx = ctx;
            ctx.by = By::User(user.user_id);
            take(&ctx, tx, &hash, &user)
        })
        .await
    }
}

/// Takes back every invitation that was mailed to an address. They are few: an address is mailed a bounded
/// number in an hour, and they end after a week.
pub(super) fn revoke_those_to(ctx: &Ctx, tx: &mut WriteTx, email: &Email) -> Result<()> {
    for (org_id, id) in orgs::invitations_to(tx, email)? {
        let gone = orgs::remove_invitation(tx, org_id, id)?;
        if gone.is_some_and(|invitation| invitation.expires_at > ctx.now) {
            let told = [("email", email.as_str().to_owned())];
            ctx.audit(tx, Some(org_id), "invitation.revoked", id, told)?;
        }
    }
    Ok(())
}

/// Gives an invitation a fresh link and mails it.
fn send(
    ctx: &Ctx,
    tx: &mut WriteTx,
    org: &Organisation,
    mut invitation: Invitation,
    cause: &str,
) -> Result<Invitation> {
    let token = tokens::secret(&ctx.entropy, "");
    invitation.token_hash = tokens::digest(&token);
    invitation.sent_at = ctx.now;
    invitation.expires_at = ctx.now + GOOD_MS;
    orgs::put_invitation(tx, &invitation)?;
    let (org_id, email) = (Some(invitation.org_id), invitation.email.as_str());
    let told = [("email", email.to_owned()), ("role", invitation.role.as_str().to_owned())];
    ctx.audit(tx, org_id, cause, invitation.invitation_id, told)?;
    let link = format!("{}/accept-invitation?token={token}", ctx.public_url());
    let inviter = users::find(tx, invitation.invited_by)?;
    let message = letters::invitation(org, inviter.as_ref(), &invitation, link);
    ctx.queue_mail(tx, org_id, email, cause, &message)?;
    Ok(invitation)
}

fn good(tx: &impl Read, hash: &[u8; 32], now: Timestamp) -> Result<Invitation> {
    let found = orgs::invitation_of_token(tx, hash)?;
    match found.filter(|invitation| invitation.expires_at > now) {
        Some(invitation) if stands(tx, &invitation)? => Ok(invitation),
        _ => Err(Error::new(
            Code::InvalidToken,
            "This invitation is not good: it was accepted, revoked or sent again, has expired, or whoever sent it may invite no longer. Ask for another.",
        )),
    }
}

/// Whether whoever invited could do so now.
fn stands(tx: &impl Read, invitation: &Invitation) -> Result<bool> {
    let Some(inviter) = users::find(tx, invitation.invited_by)? else {
        // Over the local socket nobody has an account.
        return Ok(invitation.invited_by.0.is_nil());
    };
    let member = store::org(tx, invitation.org_id).membership(inviter.user_id)?;
    let grants = member.is_some_and(|member| member.role.grants(invitation.role));
    Ok(inviter.deactivated_at.is_none() && (grants || inviter.operator))
}

/// Lets the person who was invited join.
fn take(ctx: &Ctx, tx: &mut WriteTx, hash: &[u8; 32], user: &User) -> Result<(Organisation, Role)> {
    let invitation = good(tx, hash, ctx.now)?;
    if user.email != invitation.email {
        let text = "This invitation is for another address than the one you have signed in with.";
        return Err(Error::new(Code::Forbidden, text));
    }
    orgs::remove_invitation(tx, invitation.org_id, invitation.invitation_id)?;
    let org = store::org(tx, invitation.org_id);
    let organisation = org.organisation()?;
    if let Some(already) = org.membership(user.user_id)? {
        return Ok((organisation, already.role));
    }
    let (org_id, user_id, role) = (invitation.org_id, user.user_id, invitation.role);
    join(ctx, tx, &Membership { org_id, user_id, role, joined_at: ctx.now })?;
    Ok((organisation, role))
}
