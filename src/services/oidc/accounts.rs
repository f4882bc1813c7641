//! Whose account it is that an issuer's word opens.
//!
//! An issuer's subject that is known opens its account. One that is not known is linked to the account
//! of its address if the issuer vouches for that, and if the account's own address was confirmed: then
//! both are the same person's. An account whose address nobody has confirmed may have been made by
//! somebody else beforehand; it is given to whom the issuer vouches for, without its password, its
//! sign-ins and its keys.

use super::Realm;
use crate::config::OidcProvider;
use crate::domain::audit::By;
use crate::domain::email_domain::Domain;
use crate::domain::error::{Code, Error, Result};
use crate::domain::identity::Identity;
use crate::domain::ids::IdentityId;
use crate::domain::organisation::Organisation;
use crate::domain::user::{Email, User};
use crate::identity::oidc::Claims;
use crate::services::accounts::{Person, add_account, welcome};
use crate::services::email_domains::join_by_domain;
use crate::services::second_factor::{self, Check};
use crate::services::sign_in::{Grant, SignedIn};
use crate::services::{Caller, Ctx, Services, letters};
use crate::store::{Read, WriteTx, api_keys, identities, users};

/// The most that one account has.
pub(in crate::services) const IDENTITIES_MAX: usize = 50;

/// Who it is.
enum Who {
    /// The account that the subject opens.
    Known(User, Identity),
    /// The account of the address, to be linked.
    Linked(User),
    /// The account of the address, which nobody has confirmed, to be given over.
    Claimed(User),
    /// Nobody yet.
    New(Email),
}

impl Services {
    /// Signs in whoever an issuer vouches for.
    ///
    /// # Errors
    /// `IdentityUnverified`, `IdentityState`, `AccountDeactivated`; `Forbidden` for a domain that is not
    /// admitted and where no account is made; `MfaRequired` and `InvalidTotp` where the account has a
    /// second factor that the issuer does not stand in for. For an organisation's issuer also
    /// `IdentityUnconfirmed`.
    pub(super) async fn enter(
        &self,
        caller: &Caller,
        realm: &Realm,
        claims: &Claims,
        totp: Option<String>,
    ) -> Result<SignedIn> {
        let answer = match realm {
            Realm::Provider(name) => {
                let provider = self.config.oidc.providers.named(name);
                let provider = provider.ok_or_else(|| Error::not_found("provider"))?;
                self.enter_through(caller, provider, claims, totp).await
            }
            Realm::Org(id) => self.enter_org(caller, *id, claims, totp).await,
        };
        answer.inspect_err(|refused| {
            if refused.code != Code::MfaRequired {
                self.metrics.sign_in_failed();
            }
        })
    }

    async fn enter_through(
        &self,
        caller: &Caller,
        provider: &OidcProvider,
        claims: &Claims,
        totp: Option<String>,
    ) -> Result<SignedIn> {
        let mut ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        let who = self.store.read(|tx| who(tx, provider, claims))?;
        if let Who::Known(user, _) | Who::Linked(user) | Who::Claimed(user) = &who {
            self.require_open(&ctx, user)?;
            ctx.by = By::User(user.user_id);
        }
        if matches!(who, Who::New(_))
            && !(provider.new_accounts && ctx.config.auth.open_registration)
        {
            let text = "Nobody has an account with this address, and none is made here; ask the vendor for one.";
            return Err(Error::new(Code::Forbidden, text));
        }
        let check = (!provider.trusts_mfa).then(|| Check::new(self, caller));
        let grant = Grant::new(&ctx, caller).through(provider.name.clone());
        let (provider, claims) = (provider.clone(), claims.clone());
        // A wrong code counts although it is refused: the refusal is the closure's answer.
        let answer = self
            .commit(move |tx| {
                let who = who_still(tx, &provider, &claims)?;
                let judged = match (&who, &check) {
                    (Who::Known(user, _) | Who::Linked(user), Some(check)) => {
                        check.at_sign_in(&ctx, tx, user, totp.as_deref())?
                    }
                    _ => Ok(false),
                };
                let asked = match judged {
                    Ok(asked) => asked,
                    Err(refused) => return Ok(Err(refused)),
                };
                let user = settle(&ctx, tx, who, &provider, &claims)?;
                let ctx = Ctx { by: By::User(user.user_id), ..ctx };
                grant.with_code(asked).begin(&ctx, tx, user).map(Ok)
            })
            .await?;
        let (user, granted) = answer?;
        self.signed_in(user, granted)
    }

    /// Refuses a closed account, and notes the attempt.
    pub(super) fn require_open(&self, ctx: &Ctx, user: &User) -> Result<()> {
        if user.deactivated_at.is_some() {
            self.note_failed_sign_in(ctx, user, "the account is closed");
        }
        open(user)
    }
}

pub(super) fn open(user: &User) -> Result<()> {
    if user.deactivated_at.is_none() {
        return Ok(());
    }
    Err(Error::new(Code::AccountDeactivated, "This account is closed."))
}

/// The address that an issuer vouches for, if any.
///
/// # Errors
/// `Forbidden` for one of a domain that is not admitted.
pub(super) fn vouched_for(provider: &OidcProvider, claims: &Claims) -> Result<Option<Email>> {
    let verified = claims.email_verified() || provider.trusts_email;
    let email = claims.email().filter(|_| verified);
    if !provider.email_domains.is_empty() {
        let domain = email.as_ref().and_then(Domain::of);
        if !domain.is_some_and(|domain| provider.email_domains.contains(&domain)) {
            let text =
                format!("{} signs in people of other domains than yours here.", provider.label);
            return Err(Error::new(Code::Forbidden, text));
        }
    }
    Ok(email)
}

/// Who it is that an issuer of the settings speaks of.
fn who(tx: &impl Read, provider: &OidcProvider, claims: &Claims) -> Result<Who> {
    let email = vouched_for(provider, claims)?;
    let known = identities::by_subject(tx, None, &provider.issuer, claims.subject())?;
    if let Some(known) = known {
        return Ok(Who::Known(users::get(tx, known.user_id)?, known));
    }
    let Some(email) = email else {
        let text = format!(
            "{} vouches for no e-mail address of yours, so nobody knows which account is yours. Have it confirm your address, then try again.",
            provider.label
        );
        return Err(Error::new(Code::IdentityUnverified, text));
    };
    let Some(user) = users::by_email(tx, &email)? else { return Ok(Who::New(email)) };
    if !user.email_verified {
        return Ok(Who::Claimed(user));
    }
    // An address that the issuer has given to somebody else since is not the same person's.
    let theirs = identities::of_user(tx, user.user_id, IDENTITIES_MAX)?;
    if theirs.iter().any(|it| it.org_id.is_none() && it.issuer == provider.issuer) {
        let text = format!(
            "The account of this address is linked to somebody else at {}. Sign in to it in another way, and take that link away first.",
            provider.label
        );
        return Err(Error::new(Code::IdentityState, text));
    }
    room_for_another(theirs.len())?;
    Ok(Who::Linked(user))
}

/// The same in the transaction that acts on it: accounts may have been closed meanwhile.
fn who_still(tx: &WriteTx, provider: &OidcProvider, claims: &Claims) -> Result<Who> {
    let who = who(tx, provider, claims)?;
    if let Who::Known(user, _) | Who::Linked(user) | Who::Claimed(user) = &who {
        open(user)?;
    }
    Ok(who)
}

pub(super) fn room_for_another(there: usize) -> Result<()> {
    if there < IDENTITIES_MAX {
        return Ok(());
    }
    let text = format!("This account has {IDENTITIES_MAX} links; take one away first.");
    Err(Error::new(Code::IdentityState, text))
}

/// Does to the account what follows from who it is.
fn settle(
    ctx: &Ctx,
    tx: &mut WriteTx,
    who: Who,
    provider: &OidcProvider,
    claims: &Claims,
) -> Result<User> {
    let name = |email: &Email| claims.name().unwrap_or_else(|| local_part(email));
    let (user, cause) = match who {
        Who::Known(user, mut identity) => {
            identity.last_used_at = ctx.now;
            identity.email = claims.email().or(identity.email);
            identities::put(tx, &identity)?;
            return Ok(user);
        }
        Who::Linked(user) => {
            let told = letters::identity_linked(&user, &provider.label, "address", ctx.now);
            let (org_id, cause) = (Some(user.personal_org), "identity.linked");
            ctx.queue_mail(tx, org_id, user.email.as_str(), cause, &told)?;
            (user, cause)
        }
        Who::Claimed(user) => {
            let full_name = name(&user.email);
            (give_over(ctx, tx, user, full_name)?, "identity.claimed")
        }
        Who::New(email) => {
            let person = Person::without_password(email.clone(), name(&email));
            (new_account(ctx, tx, person, None)?, "identity.linked")
        }
    };
    let ctx = Ctx { by: By::User(user.user_id), ..ctx.clone() };
    add_identity(&ctx, tx, &user, provider, claims, cause)?;
    Ok(user)
}

/// Lets what an issuer of the settings says of this subject open the account from now on.
pub(super) fn add_identity(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: &User,
    provider: &OidcProvider,
    claims: &Claims,
    cause: &str,
) -> Result<Identity> {
    let identity = Identity {
        identity_id: IdentityId(ctx.record_id()),
        user_id: user.user_id,
        org_id: None,
        provider: provider.name.clone(),
        issuer: provider.issuer.clone(),
        subject: claims.subject().to_owned(),
        email: claims.email(),
        linked_at: ctx.now,
        last_used_at: ctx.now,
    };
    identities::put(tx, &identity)?;
    let told = [("provider", provider.name.clone()), ("issuer", provider.issuer.clone())];
    ctx.audit(tx, Some(user.personal_org), cause, user.user_id, told)?;
    Ok(identity)
}

/// Makes an account whose address is known to be its owner's, who came through this organisation's issuer or
/// one of the settings.
pub(super) fn new_account(
    ctx: &Ctx,
    tx: &mut WriteTx,
    person: Person,
    through: Option<&Organisation>,
) -> Result<User> {
    let mut user = add_account(ctx, tx, person, "user.registered", false)?;
    user.email_verified = true;
    users::update(tx, &user)?;
    if through.is_none() {
        join_by_domain(ctx, tx, &user)?;
    }
    welcome(ctx, tx, &user, "user.registered", through)?;
    Ok(user)
}

/// Gives an account whose address nobody has confirmed to whoever the address belongs to: nothing that
/// somebody else may have put there stays.
pub(super) fn give_over(
    ctx: &Ctx,
    tx: &mut WriteTx,
    mut user: User,
    full_name: String,
) -> Result<User> {
    let before = user.clone();
    user.email_verified = true;
    user.full_name = full_name;
    take_from_others(ctx, tx, &mut user)?;
    let (org_id, action) = (Some(user.personal_org), "user.email_verified");
    ctx.audit_change(tx, org_id, action, user.user_id, [], &before, &user)?;
    Ok(user)
}

/// Takes from an account, and writes it, all that somebody else may have put there.
pub(in crate::services) fn take_from_others(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: &mut User,
) -> Result<()> {
    (user.password_hash, user.short_password) = (None, false);
    user.familiar.clear();
    // Links to choose a password that were asked for before are good no longer.
    user.password_changed_at = ctx.now;
    users::update(tx, user)?;
    second_factor::switch_off(tx, user)?;
    users::end_logins(tx, user.user_id, None)?;
    api_keys::remove_all(tx, user.user_id)?;
    for identity in identities::of_user(tx, user.user_id, IDENTITIES_MAX)? {
        identities::remove(tx, user.user_id, identity.identity_id)?;
    }
    Ok(())
}

/// What stands for a name that nobody has told.
pub(in crate::services) fn local_part(email: &Email) -> String {
    email.as_str().split('@').next().unwrap_or_default().to_owned()
}
