//! Accounts: registration, links, profile, deactivation, and the first operator.

use serde_json::json;

use super::email_domains::{join_and_tell, join_by_domain};
use super::sign_in::{Grant, SignedIn};
use super::{Actor, Caller, Ctx, Services, letters};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{OrgId, UserId};
use crate::domain::job::{Job, Work};
use crate::domain::organisation::{Membership, Organisation, Role};
use crate::domain::plan::check_text;
use crate::domain::time::{HOUR_MS, MINUTE_MS, Timestamp};
use crate::domain::user::{Email, Link, LinkPurpose, User};
use crate::identity::{imported, passwords, tokens};
use crate::store::orgs::OF_USER_MAX;
use crate::store::{Read, WriteTx, api_keys, identities, jobs, orgs, passkeys, users};

/// Who gets an account.
pub struct NewProfile {
    /// Unique among all accounts.
    pub email: String,
    /// 1 to 200 characters.
    pub full_name: String,
    /// At most 200 characters.
    pub company_name: Option<String>,
}

/// Who registers.
pub struct RegisterInput {
    /// Who it is.
    pub profile: NewProfile,
    /// At most 256 characters that cannot be guessed, and as many as the settings ask for.
    pub password: String,
}

/// A password that is known by its hash alone, from another system.
pub struct BroughtPassword {
    /// As [`imported`] knows them.
    pub hash: String,
    /// Whether that system has seen the person read the address.
    pub email_verified: bool,
}

/// What a person changes of the profile.
pub struct ProfileInput {
    /// A new name.
    pub full_name: Option<String>,
    /// A new company; empty removes it.
    pub company_name: Option<String>,
}

impl Services {
    /// Makes an account with its personal organisation and mails the verification link.
    pub async fn register(&self, caller: &Caller, input: RegisterInput) -> Result<User> {
        self.throttles.check_address(caller.address)?;
        if !self.config.auth.open_registration {
            return Err(Error::new(
                Code::Forbidden,
                "Registration is closed here; ask the vendor for an account.",
            ));
        }
        let person = self.person(input).await?;
        let ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        self.commit(move |tx| {
            let user = add_account(&ctx, tx, person, "user.registered", false)?;
            mail_link(&ctx, tx, &user, LinkPurpose::VerifyEmail)?;
            Ok(user)
        })
        .await
    }

    /// Makes an account for somebody who did not register, and mails a link to choose a password with. Who
    /// comes from another system may bring the hash of the password: then the link verifies the address,
    /// unless that was done there.
    ///
    /// # Errors
    /// `EmailTaken` when the address has an account; a field error for a hash that is of no use here.
    pub async fn create_account(
        &self,
        actor: &Actor,
        profile: NewProfile,
        brought: Option<BroughtPassword>,
    ) -> Result<User> {
        actor.require_operator()?;
        if let Some(brought) = &brought {
            imported::check(&brought.hash)?;
        }
        let verified = brought.as_ref().map(|brought| brought.email_verified);
        let password_hash = brought.map(|brought| imported::as_typed(brought.hash));
        let person = Person { profile: profile.checked()?, password_hash };
        let ctx = self.ctx_of(actor);
        self.commit(actor.guarded(move |tx| {
            let mut user = add_account(&ctx, tx, person, "user.created", false)?;
            if let Some(verified) = verified {
                user.email_verified = verified;
                users::update(tx, &user)?;
                if !verified {
                    mail_link(&ctx, tx, &user, LinkPurpose::VerifyEmail)?;
                }
                return Ok(user);
            }
            let expires_at = ctx.now + i64::from(ctx.config.auth.verification_hours) * HOUR_MS;
            let link = give_link(&ctx, tx, &user, LinkPurpose::ResetPassword, expires_at)?;
            let message = letters::account_created(&user, None, link, expires_at);
            let address = user.email.as_str();
            ctx.queue_mail(tx, Some(user.personal_org), address, "user.created", &message)?;
            Ok(user)
        }))
        .await
    }

    /// Marks the address as read by the account's owner.
    pub async fn verify_email(&self, caller: &Caller, token: &str) -> Result<User> {
        self.throttles.check_address(caller.address)?;
        let hash = tokens::digest(token);
        let ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        self.commit(move |tx| {
            let mut user = take_user_link(&ctx, tx, &hash, LinkPurpose::VerifyEmail)?;
            let before = user.clone();
            let first = !std::mem::replace(&mut user.email_verified, true);
            users::update(tx, &user)?;
            let (org_id, cause) = (Some(user.personal_org), "user.email_verified");
            ctx.audit_change(tx, org_id, cause, user.user_id, [], &before, &user)?;
            if first {
                join_by_domain(&ctx, tx, &user)?;
                welcome(&ctx, tx, &user, cause, None)?;
            } else {
                join_and_tell(&ctx, tx, &user)?;
            }
            Ok(user)
        })
        .await
    }

    /// Plans to mail a link, if the address has an account that can use it. Whether it has
    /// cannot be told from the answer or its time: the same job is queued either way.
    pub async fn request_link(
        &self,
        caller: &Caller,
        email: &str,
        purpose: LinkPurpose,
    ) -> Result<()> {
        self.throttles.check_address(caller.address)?;
        let email = Email::parse(email)?;
        self.throttles.check_link(email.as_str())?;
        let ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        let work = Work::MailLink { email: email.as_str().to_owned(), purpose };
        self.commit(move |tx| ctx.plan_job(tx, ctx.now, work)).await
    }

    /// Mails the link that was asked for, where there is an account, and removes the job.
    pub async fn mail_link_due(&self, job: &Job, email: &str, purpose: LinkPurpose) -> Result<()> {
        let ctx = self.ctx(By::System);
        let (job, email) = (job.clone(), Email::parse(email)?);
        self.commit(move |tx| {
            if !jobs::remove(tx, &job)? {
                return Ok(());
            }
            let Some(user) = users::by_email(tx, &email)? else {
                return Ok(());
            };
            let of_use = match purpose {
                LinkPurpose::VerifyEmail => !user.email_verified,
                LinkPurpose::ResetPassword => true,
                LinkPurpose::Setup => false,
            };
            if of_use && user.deactivated_at.is_none() {
                mail_link(&ctx, tx, &user, purpose)
            } else {
                Ok(())
            }
        })
        .await
    }

    /// Sets a new password from a mailed link and ends every sign-in.
    pub async fn reset_password(
        &self,
        caller: &Caller,
        token: &str,
        password: String,
    ) -> Result<()> {
        self.throttles.check_address(caller.address)?;
        let hash = tokens::digest(token);
        let ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        // The link is looked at first, so that hashing is not to be had for nothing, and taken
        // in the transaction, so that it works once.
        let user = self.store.read(|tx| {
            let link = users::link(tx, &hash)?
                .filter(|link| is_good(link, ctx.now, LinkPurpose::ResetPassword));
            user_of_link(tx, &link.ok_or_else(invalid_link)?)
        })?;
        let chosen = self.chosen(&user, password).await?;
        self.commit(move |tx| {
            let mut user = take_user_link(&ctx, tx, &hash, LinkPurpose::ResetPassword)?;
            let before = user.clone();
            chosen.become_that_of(&mut user, ctx.now)?;
            // Whoever followed the link reads the address.
            user.email_verified = true;
            users::update(tx, &user)?;
            users::end_logins(tx, user.user_id, None)?;
            // Whoever had taken the account over may have made keys.
            api_keys::remove_all(tx, user.user_id)?;
            let first = before.password_hash.is_none();
            let action = if first { "user.password_set" } else { "user.password_reset" };
            tell_of_password(&ctx, tx, action, &before, &user)
        })
        .await
    }

    /// Sets a new password for one who knows the old one; ends every other sign-in.
    pub async fn change_password(&self, actor: &Actor, current: String, new: String) -> Result<()> {
        let login_id = actor.require_sign_in()?;
        self.throttles.check_address(actor.caller.address)?;
        self.throttles.check_account(&actor.user_id.to_string())?;
        let user = self.store.read(|tx| users::get(tx, actor.user_id))?;
        if !self.hasher.verify(current, user.password_hash.clone()).await? {
            return Err(Error::new(Code::InvalidCredentials, "The current password is not right."));
        }
        let chosen = self.chosen(&user, new).await?;
        let ctx = self.ctx_of(actor);
        let user_id = actor.user_id;
        let verified = user.password_hash;
        self.commit(move |tx| {
            let mut user = users::get(tx, user_id)?;
            // The owner may have set another one, or ended this sign-in, while it was hashed.
            if user.password_hash != verified || users::login(tx, user_id, login_id)?.is_none() {
                let text = "The password was changed meanwhile. Sign in again.";
                return Err(Error::new(Code::InvalidCredentials, text));
            }
            let before = user.clone();
            chosen.become_that_of(&mut user, ctx.now)?;
            users::update(tx, &user)?;
            users::end_logins(tx, user_id, Some(login_id))?;
            tell_of_password(&ctx, tx, "user.password_changed", &before, &user)
        })
        .await
    }

    /// The actor's own account.
    pub fn me(&self, actor: &Actor) -> Result<User> {
        self.store.read(|tx| users::get(tx, actor.user_id))
    }

    /// Changes the actor's own profile.
    pub async fn update_profile(&self, actor: &Actor, input: ProfileInput) -> Result<User> {
        actor.require_whole()?;
        let full_name = input.full_name.map(|name| checked_name(&name)).transpose()?;
        let company_name =
            input.company_name.map(|name| checked_company(Some(name))).transpose()?;
        let ctx = self.ctx_of(actor);
        let user_id = actor.user_id;
        self.commit(actor.guarded(move |tx| {
            let mut user = users::get(tx, user_id)?;
            let before = user.clone();
            user.full_name = full_name.unwrap_or(user.full_name);
            user.company_name = company_name.unwrap_or(user.company_name);
            users::update(tx, &user)?;
            let org_id = Some(user.personal_org);
            ctx.audit_change(tx, org_id, "user.updated", user_id, [], &before, &user)?;
            Ok(user)
        }))
        .await
    }

    /// Whether this appliance has no operator yet.
    pub fn needs_setup(&self) -> Result<bool> {
        self.store.read(|tx| Ok(!users::any_operator(tx)?))
    }

    /// A fresh one-time set-up link.
    ///
    /// # Errors
    /// `SetupDone` when there is an operator already.
    pub async fn setup_link(&self) -> Result<String> {
        let ctx = self.ctx(By::System);
        let token = tokens::secret(&ctx.entropy, "");
        let hash = tokens::digest(&token);
        self.commit(move |tx| {
            if users::any_operator(tx)? {
                return Err(setup_done());
            }
            let expires_at = ctx.now + i64::from(ctx.config.auth.setup_hours) * HOUR_MS;
            users::put_link(
                tx,
                &hash,
                &Link {
                    purpose: LinkPurpose::Setup,
                    user_id: None,
                    email: None,
                    issued_at: ctx.now,
                    expires_at,
                },
            )
        })
        .await?;
        Ok(format!("{}/admin#setup={token}", self.public_url()))
    }

    /// Makes the first operator from the set-up link, signed in.
    pub async fn claim_setup(
        &self,
        caller: &Caller,
        token: &str,
        input: RegisterInput,
    ) -> Result<SignedIn> {
        self.throttles.check_address(caller.address)?;
        let hash = tokens::digest(token);
        let ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        self.store.read(|tx| {
            if users::any_operator(tx)? {
                return Err(setup_done());
            }
            users::link(tx, &hash)?
                .filter(|link| is_good(link, ctx.now, LinkPurpose::Setup))
                .map(|_| ())
                .ok_or_else(invalid_link)
        })?;
        let person = self.person(input).await?;
        let grant = Grant::new(&ctx, caller);
        let (user, login) = self
            .commit(move |tx| {
                if users::any_operator(tx)? {
                    return Err(setup_done());
                }
                take_link(&ctx, tx, &hash, LinkPurpose::Setup)?;
                let user = add_account(&ctx, tx, person, "operator.created", true)?;
                grant.begin(&ctx, tx, user)
            })
            .await?;
        self.signed_in(user, login)
    }

    /// Makes the first operator from the configuration; does nothing once there is one.
    pub async fn setup_from_config(&self) -> Result<FirstOperator> {
        let admin = &self.config.admin;
        let (Some(email), Some(password)) = (&admin.email, &admin.password) else {
            return Ok(FirstOperator::NotAsked);
        };
        if !self.needs_setup()? {
            let theirs = self.store.read(|tx| users::by_email(tx, email))?;
            let same = theirs.is_some_and(|user| user.operator);
            return Ok(if same { FirstOperator::NotAsked } else { FirstOperator::ThereAlready });
        }
        let input = RegisterInput {
            profile: NewProfile {
                email: email.as_str().to_owned(),
                full_name: "Administrator".to_owned(),
                company_name: None,
            },
            password: password.expose().trim_end_matches(['\r', '\n']).to_owned(),
        };
        self.make_operator(input).await.map_err(|error| {
            Error::internal(format!("admin.email and admin.password: {}", error.detail))
        })?;
        Ok(FirstOperator::Made)
    }

    /// Makes an operator on the word of whoever runs the program.
    pub(super) async fn make_operator(&self, input: RegisterInput) -> Result<User> {
        let person = self.person(input).await?;
        let ctx = self.ctx(By::System);
        self.commit(move |tx| add_account(&ctx, tx, person, "operator.created", true)).await
    }

    /// Checks who registers and hashes the password.
    pub(super) async fn person(&self, input: RegisterInput) -> Result<Person> {
        let profile = input.profile.checked()?;
        let mut about = self.not_in_passwords(&profile.email, &profile.full_name);
        about.extend(profile.company_name.clone());
        let chars_min = self.config.auth.chars_min(false);
        let password_hash = Some(self.hasher.hash_new(input.password, chars_min, about).await?);
        Ok(Person { profile, password_hash })
    }

    /// Words that a stranger would try first.
    fn not_in_passwords(&self, email: &Email, full_name: &str) -> Vec<String> {
        vec![email.as_str().to_owned(), full_name.to_owned(), self.config.mail.product_name.clone()]
    }

    /// Judges the new password of somebody who has an account, and hashes it.
    async fn chosen(&self, user: &User, password: String) -> Result<Chosen> {
        let auth = &self.config.auth;
        let mut about = self.not_in_passwords(&user.email, &user.full_name);
        about.extend(user.company_name.clone());
        let chars_min = auth.chars_min(user.second_factor_since.is_some());
        let short = !passwords::is_as_long_as(&password, auth.chars_min(false));
        // Strength comes first: whoever holds a link alone is not to learn whether a weak guess is right.
        let hash = self.hasher.hash_new(password.clone(), chars_min, about).await?;
        if self.is_that_of(user, password).await? {
            return Err(passwords::same_again().into());
        }
        Ok(Chosen { hash, short })
    }

    /// Whether somebody has this password already. One that nothing can be compared with is to be replaced.
    async fn is_that_of(&self, user: &User, password: String) -> Result<bool> {
        let Some(stored) = user.password_hash.clone() else { return Ok(false) };
        match self.hasher.verify(password, Some(stored)).await {
            Err(error) if error.code == Code::Internal => {
                tracing::warn!(%error, user_id = %user.user_id, "a stored password cannot be verified");
                Ok(false)
            }
            judged => judged,
        }
    }
}

/// A new password that was found good.
struct Chosen {
    hash: String,
    short: bool,
}

impl Chosen {
    fn become_that_of(self, user: &mut User, now: Timestamp) -> Result<()> {
        if self.short && user.second_factor_since.is_none() {
            let text = "The second factor was switched off meanwhile, and without one this password is too short.";
            return Err(Error::new(Code::WeakPassword, text));
        }
        user.password_hash = Some(self.hash);
        user.short_password = self.short;
        user.password_changed_at = now;
        Ok(())
    }
}

/// What became of the operator that the settings name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstOperator {
    /// None is named, or it is there from an earlier start.
    NotAsked,
    /// It was made.
    Made,
    /// It was not made: there is another operator.
    ThereAlready,
}

impl RegisterInput {
    /// Somebody who belongs to no company of their own.
    pub(super) fn of(email: &str, full_name: String, password: String) -> Self {
        let profile = NewProfile { email: email.to_owned(), full_name, company_name: None };
        Self { profile, password }
    }
}

/// Somebody who is to get an account.
pub(super) struct Person {
    profile: Profile,
    password_hash: Option<String>,
}

impl Person {
    /// Somebody whom an issuer vouches for; without a password.
    pub(super) fn without_password(email: Email, full_name: String) -> Self {
        let profile = Profile { email, full_name, company_name: None };
        Self { profile, password_hash: None }
    }
}

struct Profile {
    email: Email,
    full_name: String,
    company_name: Option<String>,
}

impl NewProfile {
    fn checked(self) -> Result<Profile> {
        Ok(Profile {
            email: Email::parse(&self.email)?,
            full_name: checked_name(&self.full_name)?,
            company_name: checked_company(self.company_name)?,
        })
    }
}

fn checked_name(name: &str) -> Result<String> {
    check_text("full_name", name, 1, 200)?;
    Ok(name.trim().to_owned())
}

fn checked_company(name: Option<String>) -> Result<Option<String>> {
    let Some(name) = name else {
        return Ok(None);
    };
    check_text("company_name", &name, 0, 200)?;
    let name = name.trim();
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

/// Stores the account and its personal organisation. An operator's address counts as
/// verified: whoever could read the server's log or files is trusted with more already.
pub(super) fn add_account(
    ctx: &Ctx,
    tx: &mut WriteTx,
    Person { profile, password_hash }: Person,
    action: &str,
    operator: bool,
) -> Result<User> {
    let org_id = OrgId(ctx.record_id());
    let name = profile.company_name.clone().unwrap_or_else(|| profile.full_name.clone());
    let user = User {
        user_id: UserId(ctx.record_id()),
        email: profile.email,
        password_hash,
        short_password: false,
        full_name: profile.full_name,
        company_name: profile.company_name,
        email_verified: operator,
        operator,
        personal_org: org_id,
        created_at: ctx.now,
        password_changed_at: ctx.now,
        last_login_at: None,
        familiar: Vec::new(),
        deactivated_at: None,
        second_factor_since: None,
    };
    users::insert(tx, &user)?;
    orgs::put(tx, &Organisation::new(org_id, name, true, ctx.now))?;
    let membership =
        Membership { org_id, user_id: user.user_id, role: Role::Owner, joined_at: ctx.now };
    orgs::put_membership(tx, &membership)?;
    ctx.audit_change(tx, Some(org_id), action, user.user_id, [], &json!({}), &user)?;
    Ok(user)
}

/// Welcomes somebody whose address is known to be theirs. Whoever is there through an organisation, one that
/// they belong to already or this one, is not asked to buy.
pub(super) fn welcome(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: &User,
    cause: &str,
    through: Option<&Organisation>,
) -> Result<()> {
    let mine = orgs::of_user(tx, user.user_id, user.personal_org, OF_USER_MAX)?;
    let of_others =
        mine.iter().find(|(org, member)| member.role != Role::Owner && org.deletion.is_none());
    let belongs = of_others.map(|(org, _)| org);
    let message = letters::welcome(user, belongs.or(through), belongs.is_some());
    ctx.queue_mail(tx, Some(user.personal_org), user.email.as_str(), cause, &message)
}

/// Makes a one-time link and queues the message that carries it.
pub(super) fn mail_link(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: &User,
    purpose: LinkPurpose,
) -> Result<()> {
    let auth = &ctx.config.auth;
    let expires_at = ctx.now
        + match purpose {
            LinkPurpose::VerifyEmail => i64::from(auth.verification_hours) * HOUR_MS,
            LinkPurpose::ResetPassword | LinkPurpose::Setup => {
                i64::from(auth.reset_minutes) * MINUTE_MS
            }
        };
    let link = give_link(ctx, tx, user, purpose, expires_at)?;
    let (cause, message) = match purpose {
        LinkPurpose::VerifyEmail => {
            ("user.verification_asked", letters::verify_email(link, expires_at))
        }
        LinkPurpose::ResetPassword | LinkPurpose::Setup => {
            ("user.reset_asked", letters::password_reset(link, expires_at))
        }
    };
    ctx.queue_mail(tx, Some(user.personal_org), user.email.as_str(), cause, &message)
}

/// Makes a one-time link that acts on an account; its address.
pub(super) fn give_link(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: &User,
    purpose: LinkPurpose,
    expires_at: Timestamp,
) -> Result<String> {
    let token = tokens::secret(&ctx.entropy, "");
    let link = Link {
        purpose,
        user_id: Some(user.user_id),
        email: Some(user.email.clone()),
        issued_at: ctx.now,
        expires_at,
    };
    users::put_link(tx, &tokens::digest(&token), &link)?;
    let page = match purpose {
        LinkPurpose::VerifyEmail => "verify-email",
        LinkPurpose::ResetPassword | LinkPurpose::Setup => "reset-password",
    };
    Ok(format!("{}/{page}?token={token}", ctx.public_url()))
}

fn is_good(link: &Link, now: Timestamp, purpose: LinkPurpose) -> bool {
    link.purpose == purpose && link.expires_at > now
}

fn take_link(ctx: &Ctx, tx: &mut WriteTx, hash: &[u8; 32], purpose: LinkPurpose) -> Result<Link> {
    users::take_link(tx, hash)?
        .filter(|link| is_good(link, ctx.now, purpose))
        .ok_or_else(invalid_link)
}

fn take_user_link(
    ctx: &Ctx,
    tx: &mut WriteTx,
    hash: &[u8; 32],
    purpose: LinkPurpose,
) -> Result<User> {
    let link = take_link(ctx, tx, hash, purpose)?;
    user_of_link(tx, &link)
}

/// Whose account a link acts on, as long as it does.
fn user_of_link(tx: &impl Read, link: &Link) -> Result<User> {
    let user = users::get(tx, link.user_id.ok_or_else(invalid_link)?)?;
    // Whoever set a password since, or has another address by now, does not want an older link to act.
    let outlived =
        link.issued_at < user.password_changed_at || link.email.as_ref() != Some(&user.email);
    if outlived || user.deactivated_at.is_some() { Err(invalid_link()) } else { Ok(user) }
}

/// Leaves an audit entry of a new password, and tells the owner of the account by mail.
fn tell_of_password(
    ctx: &Ctx,
    tx: &mut WriteTx,
    action: &str,
    before: &User,
    user: &User,
) -> Result<()> {
    let org_id = Some(user.personal_org);
    ctx.audit_change(tx, org_id, action, user.user_id, [], before, user)?;
    let first = before.password_hash.is_none();
    let other_ways = has_other_ways(tx, user.user_id)?;
    let message = letters::password_changed(user, ctx.now, first, other_ways);
    ctx.queue_mail(tx, org_id, user.email.as_str(), action, &message)
}

/// Whether something but the password signs this person in.
fn has_other_ways(tx: &impl Read, user_id: UserId) -> Result<bool> {
    Ok(!passkeys::of_user(tx, user_id)?.is_empty()
        || !identities::of_user(tx, user_id, 1)?.is_empty())
}

fn invalid_link() -> Error {
    Error::new(
        Code::InvalidToken,
        "This link is not good: it was used, has expired, or was never given. Ask for a new one.",
    )
}

fn setup_done() -> Error {
    Error::new(Code::SetupDone, "This appliance has an operator already; sign in instead.")
}
