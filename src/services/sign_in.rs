//! Sign-in: passwords for tokens, refresh tokens for fresh ones.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use zeroize::Zeroizing;

use super::email_domains::join_and_tell;
use super::{Actor, Caller, Ctx, Services, Via, letters, second_factor};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{LoginId, OrgId, PasskeyId, UserId};
use crate::domain::organisation::Role;
use crate::domain::passkey::Passkey;
use crate::domain::time::{DAY_MS, SECOND_MS};
use crate::domain::user::{Email, Familiar, Login, User};
use crate::identity::tokens::{self, AccessClaims};
use crate::store::{self, Read, WriteTx, users};

/// The most sign-ins an account has at once; the oldest makes room.
const LOGINS_MAX: usize = 50;

/// How long a sign-in may wait for others to be committed with it, and from when on that is worth it: about what one
/// hash takes.
const COMPANY: RangeInclusive<Duration> = Duration::from_millis(30)..=Duration::from_millis(50);

/// What a sign-in answers.
pub struct SignedIn {
    /// A short-lived JWT.
    pub access_token: String,
    /// Seconds it is good for.
    pub expires_in: u32,
    /// Good once, for the next pair.
    pub refresh_token: String,
    /// Who signed in.
    pub user: User,
}

/// A sign-in that is about to be stored: the secret goes to the person, its hash to disk.
pub(super) struct Grant {
    refresh_token: String,
    address: IpAddr,
    user_agent: String,
    passkey: Option<PasskeyId>,
    /// Whether a code was asked for, and was right.
    code: bool,
    /// The issuer that vouches for the person; none: the password does.
    provider: Option<String>,
    /// The customer whose issuer that is.
    by_org: Option<OrgId>,
}

/// What was stored, and the refresh token that belongs to it.
pub(super) struct Granted {
    pub login_id: LoginId,
    pub refresh_token: String,
}

impl Grant {
    pub(super) fn new(ctx: &Ctx, caller: &Caller) -> Self {
        Self {
            refresh_token: tokens::secret(&ctx.entropy, tokens::REFRESH_PREFIX),
            address: caller.address,
            user_agent: caller.user_agent.clone(),
            passkey: None,
            code: false,
            provider: None,
            by_org: None,
        }
    }

    /// The same without a password.
    pub(super) fn with_passkey(mut self, passkey: &Passkey) -> Self {
        self.passkey = Some(passkey.passkey_id);
        self
    }

    /// The same where a code of the second factor was asked for.
    pub(super) fn with_code(mut self, asked: bool) -> Self {
        self.code = asked;
        self
    }

    /// The same on the word of an issuer.
    pub(super) fn through(mut self, provider: String) -> Self {
        self.provider = Some(provider);
        self
    }

    /// The same on the word of a customer's issuer.
    pub(super) fn of_org(mut self, org_id: OrgId) -> Self {
        self.by_org = Some(org_id);
        self
    }

    /// Stores a new sign-in of the user, who is told of it by mail where it is from somewhere new.
    pub(super) fn begin(
        self,
        ctx: &Ctx,
        tx: &mut WriteTx,
        mut user: User,
    ) -> Result<(User, Granted)> {
        let new = user.signs_in(ctx.now, self.address, &self.user_agent);
        users::update(tx, &user)?;
        let running = users::logins(tx, user.user_id, LOGINS_MAX)?;
        if running.len() >= LOGINS_MAX
            && let Some(oldest) = running.iter().min_by_key(|login| login.last_used_at)
        {
            users::end_login(tx, user.user_id, oldest.login_id)?;
        }
        let login = Login {
            login_id: LoginId(ctx.record_id()),
            user_id: user.user_id,
            refresh_hash: tokens::digest(&self.refresh_token),
            refreshes: 0,
            created_at: ctx.now,
            last_used_at: ctx.now,
            // An absolute end, not a sliding one: it also bounds the spent tokens a family keeps.
            expires_at: ctx.now + i64::from(ctx.config.auth.refresh_token_days) * DAY_MS,
            address: self.address.to_string(),
            user_agent: self.user_agent,
            by_org: self.by_org.is_some(),
            issuer_of: self.by_org,
        };
        users::put_login(tx, &login)?;
        let (org_id, cause) = (Some(user.personal_org), "user.signed_in");
        let factors = match (&self.passkey, &self.provider) {
            (Some(_), _) => "passkey",
            (None, Some(_)) if self.code => "issuer and code",
            (None, Some(_)) => "issuer",
            (None, None) if self.code => "password and code",
            (None, None) => "password",
        };
        let mut told = vec![("address", login.address.clone()), ("factors", factors.to_owned())];
        told.extend(self.passkey.map(|id| ("passkey_id", id.to_string())));
        told.extend(self.provider.map(|provider| ("provider", provider)));
        ctx.audit(tx, org_id, cause, user.user_id, told)?;
        if new {
            let message = letters::new_sign_in(&user, &login);
            ctx.queue_mail(tx, org_id, user.email.as_str(), cause, &message)?;
        }
        join_and_tell(ctx, tx, &user)?;
        let granted = Granted { login_id: login.login_id, refresh_token: self.refresh_token };
        Ok((user, granted))
    }
}

/// The most refreshes of one sign-in: three times as many as its longest life asks for. Each spent token
/// is kept until the sign-in ends, so that its reuse is noticed.
const REFRESHES_MAX: u32 = 100_000;

impl Services {
    /// Signs in with e-mail and password, and with a code where the account asks for one.
    ///
    /// # Errors
    /// `InvalidCredentials` for a wrong password and an unknown address alike, in the same time.
    /// Whether there is a second factor shows to the right password alone: `MfaRequired`, `InvalidTotp`.
    pub async fn login(
        &self,
        caller: &Caller,
        email: &str,
        password: String,
        totp: Option<String>,
    ) -> Result<SignedIn> {
        self.throttles.check_address(caller.address)?;
        // An ill-formed address is treated as an unknown one: the same answer in the same time.
        let email = Email::parse(email).ok();
        let user = match &email {
            Some(email) => self.store.read(|tx| users::by_email(tx, email))?,
            None => None,
        };
        // Whoever guesses from elsewhere does not spend the tries of the owner, where the owner is known.
        let network = Familiar::network(caller.address);
        let familiar = user.as_ref().is_some_and(|user| user.familiar.contains(&network));
        let account = email.as_ref().map_or("", Email::as_str);
        self.throttles.check_sign_in(account, familiar.then_some(&network))?;
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        // Kept for a moment only where it is to be hashed anew.
        let stale = hash.as_ref().is_some_and(|hash| self.hasher.needs_rehash(hash));
        let kept = stale.then(|| Zeroizing::new(password.clone()));
        let right = self.hasher.verify(password, hash).await?;
        let ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        if let Some(user) = &user
            && let Some(reason) = why_not(user, right)
        {
            self.note_failed_sign_in(&ctx, user, reason);
        }
        let Some(user) = user.filter(|user| right && user.deactivated_at.is_none()) else {
            self.metrics.sign_in_failed();
            return Err(Error::new(
                Code::InvalidCredentials,
                "The e-mail address or the password is not right.",
            ));
        };
        if !user.email_verified {
            return Err(Error::new(
                Code::EmailUnverified,
                "Follow the link in the verification mail first, or ask for a new one at /api/v1/auth/resend-verification.",
            ));
        }
        let rehashed = match kept {
            Some(password) => Some(self.hasher.hash(String::clone(&password)).await?),
            None => None,
        };
        let mut ctx = ctx;
        ctx.by = By::User(user.user_id);
        let grant = Grant::new(&ctx, caller);
        let (user_id, verified) = (user.user_id, user.password_changed_at);
        let check = second_factor::Check::new(self, caller);
        // A commit costs a tenth of a hash. In a storm the next ones will be here in a moment, and one commit
        // can serve them all; where few come, nobody waits.
        let company = (self.hasher.backlog() / 4).min(*COMPANY.end());
        let patience = if company < *COMPANY.start() { Duration::ZERO } else { company };
        // A wrong code counts although it is refused: the refusal is the closure's answer.
        let answer = self
            .commit_within(patience, move |tx| {
                let mut user = users::get(tx, user_id)?;
                // The password may have been changed, or the account closed, while it was verified.
                if user.password_changed_at != verified || user.deactivated_at.is_some() {
                    return Err(Error::new(
                        Code::InvalidCredentials,
                        "The e-mail address or the password is not right.",
                    ));
                }
                let asked = match check.at_sign_in(&ctx, tx, &user, totp.as_deref())? {
                    Ok(asked) => asked,
                    Err(refused) => return Ok(Err(refused)),
                };
                if rehashed.is_some() {
                    user.password_hash = rehashed;
                    let org_id = Some(user.personal_org);
                    ctx.audit(tx, org_id, "user.password_rehashed", user_id, [])?;
                }
                grant.with_code(asked).begin(&ctx, tx, user).map(Ok)
            })
            .await?;
        let (user, granted) = answer.inspect_err(|refused| {
            if refused.code != Code::MfaRequired {
                self.metrics.sign_in_failed();
            }
        })?;
        self.signed_in(user, granted)
    }

    /// Spends a refresh token for a fresh pair. One that was spent already was stolen, by
    /// whoever uses it now or before: its whole family ends (RFC 9700, section 4.14.2). But whoever lost
    /// the answer may ask once more for a little while, and gets the same new token: it follows from the
    /// old one, and nobody has used it yet.
    pub async fn refresh(&self, caller: &Caller, refresh_token: &str) -> Result<SignedIn> {
        self.throttles.check_address(caller.address)?;
        let hash = tokens::digest(refresh_token);
        let ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        let fresh = self.refresh_chain.successor(refresh_token);
        let fresh_hash = tokens::digest(&fresh);
        // The end of a family must be kept although the caller is refused: the refusal is the
        // closure's answer, not its error.
        let answer = self
            .commit(move |tx| {
                let Some(mut login) = users::login_of_refresh(tx, &hash)? else {
                    return Ok(Err(invalid_refresh()));
                };
                let user = users::get(tx, login.user_id)?;
                let overlap_ms = i64::from(ctx.config.auth.refresh_overlap_s) * SECOND_MS;
                let lost =
                    login.refresh_hash == fresh_hash && ctx.now - login.last_used_at < overlap_ms;
                if login.refresh_hash != hash && !lost {
                    users::end_login(tx, login.user_id, login.login_id)?;
                    ctx.audit(tx, Some(user.personal_org), "user.token_reused", user.user_id, [])?;
                    return Ok(Err(Error::new(
                        Code::TokenReused,
                        "This refresh token was spent before, so the sign-in it belongs to has been ended. Sign in again.",
                    )));
                }
                let spent = login.refreshes >= REFRESHES_MAX;
                let lives = login.lives(ctx.now, ctx.config.auth.refresh_idle_days);
                if spent || !lives || user.deactivated_at.is_some() {
                    users::end_login(tx, login.user_id, login.login_id)?;
                    return Ok(Err(invalid_refresh()));
                }
                if !lost {
                    login.refresh_hash = fresh_hash;
                    login.refreshes += 1;
                    login.last_used_at = ctx.now;
                    users::put_login(tx, &login)?;
                }
                Ok(Ok((user, login.login_id)))
            })
            .await?;
        let (user, login_id) = answer?;
        self.signed_in(user, Granted { login_id, refresh_token: fresh })
    }

    /// Ends one sign-in of the actor.
    pub async fn end_login(&self, actor: &Actor, login_id: LoginId) -> Result<()> {
        actor.require_sign_in()?;
        let ctx = self.ctx_of(actor);
        let (user_id, org_id) = (actor.user_id, actor.named_org());
        self.commit(move |tx| {
            if !users::end_login(tx, user_id, login_id)? {
                return Err(Error::not_found("session"));
            }
            ctx.audit(tx, Some(org_id), "user.signed_out", user_id, [])
        })
        .await
    }

    /// Ends every sign-in of the actor.
    pub async fn end_all_logins(&self, actor: &Actor) -> Result<()> {
        actor.require_sign_in()?;
        let ctx = self.ctx_of(actor);
        let (user_id, org_id) = (actor.user_id, actor.named_org());
        self.commit(move |tx| {
            users::end_logins(tx, user_id, None)?;
            ctx.audit(tx, Some(org_id), "user.signed_out_everywhere", user_id, [])
        })
        .await
    }

    /// The actor's running sign-ins, oldest first.
    pub fn logins(&self, actor: &Actor) -> Result<Vec<Login>> {
        actor.require_sign_in()?;
        let now = self.clock.now().wall;
        let mut logins = self.store.read(|tx| users::logins(tx, actor.user_id, LOGINS_MAX))?;
        logins.retain(|login| login.lives(now, self.config.auth.refresh_idle_days));
        Ok(logins)
    }

    /// Who presents this access token or API key.
    ///
    /// # Errors
    /// `Unauthenticated` when it is not good, has expired, or its sign-in has ended.
    ///
    /// `NotFound` when they are to act for an organisation that they do not belong to, or that there
    /// is not. `MfaEnrolmentRequired` when they need a second factor for that, and have none.
    pub async fn authenticate(
        &self,
        bearer: &str,
        org: Option<&str>,
        caller: Caller,
    ) -> Result<Actor> {
        let actor = self.authenticate_to_enrol(bearer, org, caller).await?;
        self.require_second_factor(&actor)?;
        Ok(actor)
    }

    /// The same for the calls with which a second factor is set up: nobody needs one for them.
    pub async fn authenticate_to_enrol(
        &self,
        bearer: &str,
        org: Option<&str>,
        caller: Caller,
    ) -> Result<Actor> {
        if bearer.starts_with(tokens::API_KEY_PREFIX) {
            return self.authenticate_key(bearer, org, caller).await;
        }
        let now = self.clock.now().wall;
        let refused = || {
            Error::new(
                Code::Unauthenticated,
                "The access token is not good or has expired. Refresh it at /api/v1/auth/refresh, or sign in.",
            )
        };
        let claims = self.tokens.verify(bearer, now).map_err(|_| refused())?;
        let (user_id, login_id) = (UserId(claims.sub), LoginId(claims.sid));
        // Signing out, a new password and deactivation work at once: the sign-in must still be there.
        let found = self.store.read(|tx| {
            let idle_days = self.config.auth.refresh_idle_days;
            let login = users::login(tx, user_id, login_id)?;
            let lives = login.filter(|login| login.lives(now, idle_days));
            let user = lives.map_or(Ok(None), |_| users::find(tx, user_id))?;
            let Some(user) = user.filter(|user| user.deactivated_at.is_none()) else {
                return Ok(None);
            };
            acting_for(tx, &user, org, None).map(|place| Some((user, place)))
        })?;
        let (user, place) = found.ok_or_else(refused)?;
        Ok(Actor::new(&user, Via::SignIn(login_id), place, caller))
    }

    pub(super) fn signed_in(&self, user: User, granted: Granted) -> Result<SignedIn> {
        let now = self.clock.now().wall;
        let expires_in = self.config.auth.access_token_s;
        let claims = AccessClaims {
            sub: user.user_id.0,
            sid: granted.login_id.0,
            org: user.personal_org.0,
            operator: user.operator,
            jti: self.entropy.secret_id(),
            iat: now.unix_seconds(),
            exp: now.unix_seconds() + i64::from(expires_in),
        };
        let access_token = self.tokens.issue(&claims)?;
        Ok(SignedIn { access_token, expires_in, refresh_token: granted.refresh_token, user })
    }
}

/// For which tenant a person acts, and as what: the one that is asked for, or else `usual`, or else the
/// person's own. Operators act as the owner of any.
pub(super) fn acting_for(
    tx: &impl Read,
    user: &User,
    asked: Option<&str>,
    usual: Option<OrgId>,
) -> Result<(OrgId, Role)> {
    let unknown = || Error::not_found("organisation");
    let org_id = match asked {
        Some(text) => text.parse().map_err(|_| unknown())?,
        None => usual.unwrap_or(user.personal_org),
    };
    if usual.is_some_and(|bound| bound != org_id) {
        return Err(unknown());
    }
    role_in(tx, user, org_id).map(|role| (org_id, role))
}

/// As what a person acts for a tenant.
pub(super) fn role_in(tx: &impl Read, user: &User, org_id: OrgId) -> Result<Role> {
    let org = store::org(tx, org_id);
    match org.membership(user.user_id)? {
        Some(member) => Ok(member.role),
        None if user.operator => org.organisation().map(|_| Role::Owner),
        None => Err(Error::not_found("organisation")),
    }
}

/// Why an account cannot be signed in to, as the audit log tells it.
pub(super) fn why_not(user: &User, right: bool) -> Option<&'static str> {
    match (right, user.deactivated_at, user.email_verified) {
        (false, ..) => Some("wrong password"),
        (true, Some(_), _) => Some("the account is closed"),
        (true, None, false) => Some("the address is not confirmed"),
        (true, None, true) => None,
    }
}

fn invalid_refresh() -> Error {
    Error::new(Code::Unauthenticated, "This refresh token is not good; sign in again.")
}
