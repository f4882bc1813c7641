//! Accounts and organisations as operators see and change them.

use super::accounts::give_link;
use super::customers::{Customer, Owned, customer, with_customers};
use super::invitations::revoke_those_to;
use super::oidc::accounts::take_from_others;
use super::{Actor, Ctx, Services, Via, letters};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{OrgId, UserId};
use crate::domain::organisation::{ErasedOrg, Organisation, Role};
use crate::domain::page::{Page, PageRequest};
use crate::domain::search::{has_word, query_words};
use crate::domain::time::HOUR_MS;
use crate::domain::user::{Email, LinkPurpose, User};
use crate::store::orgs::OF_USER_MAX;
use crate::store::{self, Read, WriteTx, api_keys, orgs, search, users};

/// What an operator does to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserAct {
    /// Close it: no sign-in works any more, and it runs nothing. Licences live on with their organisation.
    Deactivate,
    /// Open it again, as an ordinary account.
    Reactivate,
    /// End every sign-in of the person. API keys stay.
    SignOut,
    /// Let the person run this appliance, or no longer.
    Operator(bool),
}

/// An organisation as operators find it.
pub enum OrgSeen {
    /// It is there, and who owns it.
    There(Organisation, Option<Customer>),
    /// It was erased.
    Erased(ErasedOrg),
}

impl Services {
    /// Accounts that have every word of `q`, newest first, for operators.
    pub fn users(&self, actor: &Actor, q: &str, request: &PageRequest) -> Result<Page<User>> {
        actor.require_operator()?;
        let words = query_words(q)?;
        self.store.read(|tx| {
            if words.is_empty() {
                users::list(tx, request)
            } else {
                search::users(tx, &words, request)
            }
        })
    }

    /// Organisations that have every word of `q`, each with its owner, newest first, for operators; or those
    /// of one owner, which are few.
    pub fn organisations(
        &self,
        actor: &Actor,
        q: &str,
        owner: Option<UserId>,
        request: &PageRequest,
    ) -> Result<Page<Owned<Organisation>>> {
        actor.require_operator()?;
        let words = query_words(q)?;
        self.store.read(|tx| {
            let page = match owner {
                Some(owner) => page_of(owned_by(tx, owner, &words)?, request),
                None if words.is_empty() => orgs::list(tx, request)?,
                None => search::orgs(tx, &words, request)?,
            };
            with_customers(tx, page, |org| (org.org_id, None))
        })
    }

    /// One organisation, or what is kept of one that was erased, for operators.
    pub fn organisation(&self, actor: &Actor, id: OrgId) -> Result<OrgSeen> {
        actor.require_operator()?;
        self.store.read(|tx| {
            if let Some(erased) = orgs::erased(tx, id)? {
                return Ok(OrgSeen::Erased(erased));
            }
            let org = store::org(tx, id).organisation()?;
            Ok(OrgSeen::There(org, customer(tx, id, None)?))
        })
    }

    /// One account, for operators.
    pub fn user(&self, actor: &Actor, id: UserId) -> Result<User> {
        actor.require_operator()?;
        self.store.read(|tx| users::get(tx, id))
    }

    /// Does an operator's act on an account.
    ///
    /// # Errors
    /// `Forbidden` for an API key that would make an operator, or do anything to one; `LastOperator` when nobody
    /// could run this appliance afterwards; `EmailUnverified` or `AccountDeactivated` when the account cannot be
    /// an operator's.
    pub async fn act_on_user(&self, actor: &Actor, id: UserId, act: UserAct) -> Result<User> {
        actor.require_operator()?;
        let by_key = matches!(actor.via, Via::ApiKey(_));
        let ctx = self.ctx_of(actor);
        self.commit(actor.guarded(move |tx| {
            let about_operators = matches!(act, UserAct::Operator(_)) || users::get(tx, id)?.operator;
            if by_key && about_operators {
                // A key that leaked could make somebody who stays when it is revoked, or keep out whoever would
                // revoke it.
                return Err(Error::new(
                    Code::Forbidden,
                    "An API key makes no operators, and does nothing to those there are: sign in, or do it on the server's own computer.",
                ));
            }
            perform(&ctx, tx, id, act)
        }))
        .await
    }

    /// Gives an account another address, for a customer who mistyped theirs. Both addresses are told; whoever
    /// reads the new one chooses a password, and nothing that opened the account before does any more.
    ///
    /// # Errors
    /// `Forbidden` for an API key, and for an operator's account but on the server's own computer;
    /// `SecondFactorState` for an account that has a second factor, `AccountDeactivated` for one that is
    /// closed, `EmailTaken`, and a field error for the address that it has already.
    pub async fn correct_address(&self, actor: &Actor, id: UserId, email: &str) -> Result<User> {
        actor.require_operator()?;
        if matches!(actor.via, Via::ApiKey(_)) {
            // A key that leaked could take over whatever account it liked.
            return Err(Error::new(
                Code::Forbidden,
                "An API key gives no account another address: sign in, or do it on the server's own computer.",
            ));
        }
        let email = Email::parse(email)?;
        let (ctx, local) = (self.ctx_of(actor), actor.via == Via::Local);
        self.commit(actor.guarded(move |tx| {
            let user = users::get(tx, id)?;
            if user.operator && !local {
                let text = "An operator's address is changed on the server's own computer alone: whoever reads the new one runs this appliance.";
                return Err(Error::new(Code::Forbidden, text));
            }
            if user.deactivated_at.is_some() {
                let text = "This account is closed: open it again first.";
                return Err(Error::new(Code::AccountDeactivated, text));
            }
            if user.second_factor_since.is_some() {
                let text = "This account has a second factor, which whoever reads another address must not get past. Remove it first, once you are sure who asks.";
                return Err(Error::new(Code::SecondFactorState, text));
            }
            if user.email == email {
                let text = "is the address of the account already; \"Forgotten password\" mails a new link there";
                return Err(Error::invalid("email", text));
            }
            give_address(&ctx, tx, user, email)
        }))
        .await
    }
}

/// Gives an account to whoever reads the new address, and to nobody else: what was put there before opens it
/// no longer. Whoever had the old address may have been a stranger.
fn give_address(ctx: &Ctx, tx: &mut WriteTx, mut user: User, email: Email) -> Result<User> {
    let before = user.clone();
    user.email = email;
    user.email_verified = false;
    users::change_address(tx, &before.email, &user)?;
    take_from_others(ctx, tx, &mut user)?;
    revoke_those_to(ctx, tx, &before.email)?;
    let (org_id, action) = (Some(user.personal_org), "user.address_corrected");
    ctx.audit_change(tx, org_id, action, user.user_id, [], &before, &user)?;
    let told = letters::address_corrected(ctx.now);
    ctx.queue_mail(tx, org_id, before.email.as_str(), action, &told)?;
    let expires_at = ctx.now + i64::from(ctx.config.auth.verification_hours) * HOUR_MS;
    let link = give_link(ctx, tx, &user, LinkPurpose::ResetPassword, expires_at)?;
    let message = letters::address_given(&user, link, expires_at);
    ctx.queue_mail(tx, org_id, user.email.as_str(), action, &message)?;
    Ok(user)
}

/// The organisations that somebody owns, the personal one first, with all of these words in their names.
fn owned_by(tx: &impl Read, user_id: UserId, words: &[String]) -> Result<Vec<Organisation>> {
    let user = users::get(tx, user_id)?;
    let mine = orgs::of_user(tx, user_id, user.personal_org, OF_USER_MAX)?;
    let owned = mine.into_iter().filter(|(_, member)| member.role == Role::Owner);
    let named = |org: &Organisation| words.iter().all(|word| has_word([org.name.as_str()], word));
    Ok(owned.map(|(org, _)| org).filter(named).collect())
}

/// A page of organisations that are there all at once.
fn page_of(mut all: Vec<Organisation>, request: &PageRequest) -> Page<Organisation> {
    let key = |org: &Organisation| org.org_id.0.as_bytes().to_vec();
    if let Some(after) = &request.after {
        let last = all.iter().position(|org| key(org) == *after);
        all.drain(..last.map_or(all.len(), |last| last + 1));
    }
    let more = all.len() > request.limit;
    all.truncate(request.limit);
    let next = all.last().filter(|_| more).map(key);
    Page { items: all, next }
}

/// Does it, audits it, and mails it to whom it concerns.
pub(super) fn perform(ctx: &Ctx, tx: &mut WriteTx, id: UserId, act: UserAct) -> Result<User> {
    let mut user = users::get(tx, id)?;
    let before = user.clone();
    let (action, change) = match act {
        UserAct::SignOut => {
            let action = "user.signed_out_by_operator";
            let any = users::end_logins(tx, id, None)?;
            ctx.audit(tx, Some(user.personal_org), action, id, [])?;
            if any {
                tell(ctx, tx, &user, action, "signed_out")?;
            }
            return Ok(user);
        }
        UserAct::Deactivate => {
            user.deactivated_at = user.deactivated_at.or(Some(ctx.now));
            user.operator = false;
            let own = ctx.by == By::User(id);
            ("user.deactivated", if own { "closed" } else { "closed_by_operator" })
        }
        UserAct::Reactivate => {
            user.deactivated_at = None;
            ("user.reactivated", "reopened")
        }
        UserAct::Operator(operator) => {
            if operator && user.deactivated_at.is_some() {
                let text = "This account is closed: open it again first.";
                return Err(Error::new(Code::AccountDeactivated, text));
            }
            if operator && !user.email_verified {
                let text = "This account's address is not confirmed: nobody knows whose it is.";
                return Err(Error::new(Code::EmailUnverified, text));
            }
            user.operator = operator;
            if operator {
                ("user.made_operator", "made_operator")
            } else {
                ("user.no_operator", "no_operator")
            }
        }
    };
    if user == before {
        return Ok(user);
    }
    users::update(tx, &user)?;
    if before.operator && before.deactivated_at.is_none() && !users::any_operator(tx)? {
        return Err(Error::new(
            Code::LastOperator,
            "This is the only operator of this appliance; make another one first.",
        ));
    }
    // Whatever was begun as somebody ordinary - through a customer's issuer, say - is no operator's.
    if user.deactivated_at.is_some() || (user.operator && !before.operator) {
        users::end_logins(tx, id, None)?;
        api_keys::remove_all(tx, id)?;
    }
    ctx.audit_change(tx, Some(user.personal_org), action, id, [], &before, &user)?;
    tell(ctx, tx, &user, action, change)?;
    Ok(user)
}

/// Tells whoever has an account what became of it, at an address that is known to be theirs: it may not have been
/// what they wanted.
fn tell(ctx: &Ctx, tx: &mut WriteTx, user: &User, action: &str, change: &str) -> Result<()> {
    if !user.email_verified {
        return Ok(());
    }
    let message = letters::account_changed(user, change, ctx.now);
    ctx.queue_mail(tx, Some(user.personal_org), user.email.as_str(), action, &message)
}
