//! Second factors: how one is set up, what its codes open, and who must have one.

use std::net::IpAddr;
use std::sync::Arc;

use super::accounts::mail_link;
use super::{Actor, Caller, Ctx, Services, Via, letters};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, RateLimit, Result};
use crate::domain::ids::{LoginId, UserId};
use crate::domain::organisation::Organisation;
use crate::domain::second_factor::{MISSES_AT_ONCE, Pending, SecondFactor};
use crate::domain::time::{MINUTE_MS, Timestamp};
use crate::domain::user::{LinkPurpose, Login, User};
use crate::identity::totp::{self, Secret};
use crate::signing::MasterKey;
use crate::store::{self, WriteTx, orgs, passkeys, second_factors, users};

use crate::store::orgs::OF_USER_MAX;

/// How long a sign-in is as good as the password of an account that has none.
const RECENT_MS: i64 = 10 * MINUTE_MS;

/// A secret that waits for its first code; told once.
pub struct Enrolment {
    /// In base32, for apps without a camera.
    pub secret: String,
    /// For apps on the same device.
    pub otpauth_uri: String,
    /// The same as a picture.
    pub qr_svg: String,
}

/// How an account stands.
pub struct Standing {
    /// Since when a password alone does not sign in; none: it does.
    pub enabled_at: Option<Timestamp>,
    /// Whether there is an authenticator app.
    pub app: bool,
    /// How many recovery codes are left.
    pub recovery_codes_left: usize,
    /// Whether the person needs one, as an operator or as a member of an organisation.
    pub required: bool,
}

impl Services {
    /// How the actor's account stands.
    pub fn second_factor(&self, actor: &Actor) -> Result<Standing> {
        actor.require_sign_in()?;
        let as_operator = self.config.auth.operators_need_second_factor;
        self.store.read(|tx| {
            let user = users::get(tx, actor.user_id)?;
            let factor = second_factors::find(tx, actor.user_id)?;
            let mine = orgs::of_user(tx, user.user_id, user.personal_org, OF_USER_MAX)?;
            let by_org = mine.iter().any(|(org, _)| org.require_second_factor);
            let factor = factor.filter(|_| user.second_factor_since.is_some());
            Ok(Standing {
                enabled_at: user.second_factor_since,
                app: factor.as_ref().is_some_and(SecondFactor::has_app),
                recovery_codes_left: factor.map_or(0, |factor| factor.recovery_digests.len()),
                required: by_org || (user.operator && as_operator),
            })
        })
    }

    /// Makes a secret for the actor's authenticator app. Nothing is asked for at sign-in before a code of it
    /// was given to [`Services::confirm_totp`].
    ///
    /// # Errors
    /// `InvalidCredentials` for a wrong password; `SecondFactorState` when there is an app already.
    pub async fn begin_totp(&self, actor: &Actor, password: String) -> Result<Enrolment> {
        let proof = self.prove_password(actor, password).await?;
        let ctx = self.ctx_of(actor);
        let secret = Secret::new(&ctx.entropy);
        let uri = secret.uri(&self.config.mail.product_name, proof.user.email.as_str());
        let enrolment = Enrolment {
            secret: secret.base32(),
            qr_svg: totp::qr_svg(&uri)
                .ok_or_else(|| Error::internal("a URI too long for a QR code"))?,
            otpauth_uri: uri,
        };
        let sealed = self.master.seal(&ctx.entropy, &sealed_for(actor.user_id), secret.as_bytes());
        self.commit(move |tx| {
            let user = proof.still_holds(tx)?;
            let mut factor = in_use(tx, &user)?.unwrap_or_else(|| SecondFactor::new(user.user_id));
            if factor.has_app() {
                return Err(on_already());
            }
            factor.pending = Some(Pending { sealed_secret: sealed, began_at: ctx.now });
            second_factors::put(tx, &factor)?;
            ctx.audit(tx, Some(user.personal_org), "second_factor.begun", user.user_id, [])
        })
        .await?;
        Ok(enrolment)
    }

    /// Takes the app's codes from now on, with the first of them, and ends every other sign-in of the account:
    /// they were made without it. Answers new recovery codes, which are told once.
    ///
    /// # Errors
    /// `InvalidTotp`; `SecondFactorState` when no secret waits for a code.
    pub async fn confirm_totp(&self, actor: &Actor, code: &str) -> Result<Vec<String>> {
        let login_id = actor.require_sign_in()?;
        self.throttles.check_address(actor.caller.address)?;
        self.throttles.check_account(&actor.user_id.to_string())?;
        let (ctx, check) = (self.ctx_of(actor), Check::new(self, &actor.caller));
        let (actor, user_id, code) = (actor.clone(), actor.user_id, code.to_owned());
        let codes = totp::recovery_codes(&ctx.entropy);
        let digests = codes.iter().map(|code| totp::recovery_digest(code)).collect();
        let answer = self.commit(move |tx| {
            actor.still(tx)?;
            let mut user = users::get(tx, user_id)?;
            let Some(mut factor) = second_factors::find(tx, user_id)? else {
                return Err(nothing_waits());
            };
            if factor.has_app() && user.second_factor_since.is_some() {
                return Err(on_already());
            }
            let pending = factor.pending.clone().filter(|it| !it.is_stale(ctx.now));
            let pending = pending.ok_or_else(nothing_waits)?;
            let before = factor.clone();
            // The recovery codes are those of a passkey, and confirm no app.
            factor.recovery_digests.clear();
            factor.adopt(pending);
            let mut factor = match check.judge(&ctx, tx, &user, factor, &code)? {
                Ok(factor) => factor,
                Err(refused) => {
                    // The wrong code counts, and nothing else.
                    let SecondFactor { misses_until, warned_at, .. } =
                        second_factors::find(tx, user_id)?.unwrap_or_else(|| before.clone());
                    second_factors::put(tx, &SecondFactor { misses_until, warned_at, ..before })?;
                    return Ok(Err(refused));
                }
            };
            factor.recovery_digests = digests;
            second_factors::put(tx, &factor)?;
            user.second_factor_since = user.second_factor_since.or(Some(ctx.now));
            users::update(tx, &user)?;
            users::end_logins(tx, user_id, Some(login_id))?;
            tell(&ctx, tx, &user, "second_factor.enabled", "on")?;
            Ok(Ok(codes))
        });
        answer.await?
    }

    /// Removes the app. Where there is no passkey either, the second factor is off.
    ///
    /// # Errors
    /// `InvalidCredentials` for a wrong password, `InvalidTotp` for a wrong code, and `WeakPassword` where
    /// the password is too short to stand alone.
    pub async fn disable_totp(&self, actor: &Actor, password: String, code: &str) -> Result<()> {
        let proof = self.prove_password(actor, password).await?;
        let (ctx, check) = (self.ctx_of(actor), Check::new(self, &actor.caller));
        let code = code.to_owned();
        let answer = self.commit(move |tx| {
            let mut user = proof.still_holds(tx)?;
            let others = !passkeys::of_user(tx, user.user_id)?.is_empty();
            if !others {
                require_long_password(&ctx, &user)?;
            }
            if !in_use(tx, &user)?.is_some_and(|factor| factor.has_app()) {
                return Err(Error::new(Code::SecondFactorState, "This account has no app."));
            }
            let mut factor = match check.of_one_that_is_on(&ctx, tx, &user, &code)? {
                Ok(factor) => factor,
                Err(refused) => return Ok(Err(refused)),
            };
            if others {
                factor.drop_app();
                second_factors::put(tx, &factor)?;
                return tell(&ctx, tx, &user, "second_factor.app_removed", "app_removed").map(Ok);
            }
            switch_off(tx, &mut user)?;
            tell(&ctx, tx, &user, "second_factor.disabled", "off").map(Ok)
        });
        answer.await?
    }

    /// Makes new recovery codes, which are told once; the old ones end.
    ///
    /// # Errors
    /// `InvalidCredentials` for a wrong password, `InvalidTotp` for a wrong code.
    pub async fn renew_recovery_codes(
        &self,
        actor: &Actor,
        password: String,
        code: &str,
    ) -> Result<Vec<String>> {
        let proof = self.prove_password(actor, password).await?;
        let (ctx, check) = (self.ctx_of(actor), Check::new(self, &actor.caller));
        let code = code.to_owned();
        let codes = totp::recovery_codes(&ctx.entropy);
        let digests = codes.iter().map(|code| totp::recovery_digest(code)).collect();
        let answer = self.commit(move |tx| {
            let user = proof.still_holds(tx)?;
            let mut factor = match check.of_one_that_is_on(&ctx, tx, &user, &code)? {
                Ok(factor) => factor,
                Err(refused) => return Ok(Err(refused)),
            };
            factor.recovery_digests = digests;
            second_factors::put(tx, &factor)?;
            tell(&ctx, tx, &user, "second_factor.recovery_codes_renewed", "renewed")?;
            Ok(Ok(codes))
        });
        answer.await?
    }

    /// Switches somebody's second factor off, who has lost the device and the recovery codes; for operators.
    /// A password that is too short to stand alone goes with it: a link to choose another one is mailed.
    ///
    /// # Errors
    /// `Forbidden` for the actor's own, which takes a code, and for an operator's by an API key.
    pub async fn remove_second_factor(&self, actor: &Actor, id: UserId) -> Result<User> {
        actor.require_operator()?;
        if id == actor.user_id {
            let text =
                "Switch your own second factor off in your account: that takes a code of it.";
            return Err(Error::new(Code::Forbidden, text));
        }
        let program = matches!(actor.via, Via::ApiKey(_));
        let ctx = self.ctx_of(actor);
        self.commit(actor.guarded(move |tx| {
            let mut user = users::get(tx, id)?;
            if program && user.operator {
                // A key that leaked, with a password that leaked, would be an operator.
                return Err(Error::new(
                    Code::Forbidden,
                    "An API key switches off no operator's second factor: sign in, or do it on the server's own computer.",
                ));
            }
            if user.second_factor_since.is_none() {
                return Ok(user);
            }
            if std::mem::take(&mut user.short_password) {
                user.password_hash = None;
                // A sign-in that is under way has checked it already.
                user.password_changed_at = ctx.now;
            }
            if user.password_hash.is_none() {
                mail_link(&ctx, tx, &user, LinkPurpose::ResetPassword)?;
            }
            switch_off(tx, &mut user)?;
            tell(&ctx, tx, &user, "second_factor.removed", "removed")?;
            Ok(user)
        }))
        .await
    }

    /// Refuses a person who needs a second factor and has none.
    pub(super) fn require_second_factor(&self, actor: &Actor) -> Result<()> {
        if !lacks_one(actor) {
            return Ok(());
        }
        if actor.operator && self.config.auth.operators_need_second_factor {
            let text = "Operators of this appliance need a second factor: set yours up first.";
            return Err(Error::new(Code::MfaEnrolmentRequired, text));
        }
        let org = self.store.read(|tx| store::org(tx, actor.named_org()).organisation())?;
        asked_by(&org, actor)
    }

    /// Checks the password of the actor, who is there already; without one, that they came just now.
    pub(super) async fn prove_password(&self, actor: &Actor, password: String) -> Result<Proof> {
        let login_id = actor.require_sign_in()?;
        self.throttles.check_address(actor.caller.address)?;
        self.throttles.check_account(&actor.user_id.to_string())?;
        let (user, login) = self.store.read(|tx| {
            Ok((users::get(tx, actor.user_id)?, users::login(tx, actor.user_id, login_id)?))
        })?;
        if user.password_hash.is_none() {
            // Whoever signs in at an issuer or with a passkey has no password to give. A customer's issuer
            // cannot stand in for it: whoever runs that could make the account theirs.
            let now = self.clock.now().wall;
            let recent = |login: &Login| now - login.created_at < RECENT_MS && !login.by_org;
            if login.as_ref().is_some_and(recent) {
                return Ok(Proof { user, login_id });
            }
            let text = "This account has no password, so this takes a sign-in of the last ten minutes, and not through an organisation's issuer. Choose a password (\"Forgotten password\"), or sign in again.";
            return Err(Error::new(Code::InvalidCredentials, text));
        }
        if self.hasher.verify(password, user.password_hash.clone()).await? {
            return Ok(Proof { user, login_id });
        }
        Err(Error::new(Code::InvalidCredentials, "The password is not right."))
    }
}

/// Refuses a person without a second factor where an organisation asks for one. Programs are not
/// concerned: they have a key, which nobody types.
pub(super) fn asked_by(org: &Organisation, actor: &Actor) -> Result<()> {
    if !org.require_second_factor || !lacks_one(actor) {
        return Ok(());
    }
    let text = format!("{} asks a second factor of its members: set yours up first.", org.name);
    Err(Error::new(Code::MfaEnrolmentRequired, text))
}

fn lacks_one(actor: &Actor) -> bool {
    matches!(actor.via, Via::SignIn(_)) && !actor.second_factor
}

/// What there is of a second factor that is on.
fn in_use(tx: &WriteTx, user: &User) -> Result<Option<SecondFactor>> {
    let factor = second_factors::find(tx, user.user_id)?;
    Ok(factor.filter(|_| user.second_factor_since.is_some()))
}

/// That of an account whose first second factor is a passkey.
pub(super) fn of_passkeys(user_id: UserId, codes: &[String]) -> SecondFactor {
    let recovery_digests = codes.iter().map(|code| totp::recovery_digest(code)).collect();
    SecondFactor { recovery_digests, ..SecondFactor::new(user_id) }
}

/// Refuses to let a password stand alone that is too short for that.
pub(super) fn require_long_password(ctx: &Ctx, user: &User) -> Result<()> {
    if !user.short_password {
        return Ok(());
    }
    let chars_min = ctx.config.auth.chars_min(false);
    let text = format!(
        "Without a second factor a password needs at least {chars_min} characters: change yours first."
    );
    Err(Error::new(Code::WeakPassword, text))
}

/// A password that was right a moment ago.
#[derive(Clone)]
pub(super) struct Proof {
    user: User,
    login_id: LoginId,
}

impl Proof {
    /// The account as it was.
    pub(super) fn user(&self) -> &User {
        &self.user
    }

    /// Whether it is about this account and this sign-in.
    pub(super) fn is_of(&self, user_id: UserId, login_id: LoginId) -> bool {
        self.user.user_id == user_id && self.login_id == login_id
    }

    /// The account, unless its password was changed or the sign-in ended while the password was checked.
    pub(super) fn still_holds(&self, tx: &WriteTx) -> Result<User> {
        let user = users::get(tx, self.user.user_id)?;
        let same = user.password_hash == self.user.password_hash;
        if same && users::login(tx, user.user_id, self.login_id)?.is_some() {
            return Ok(user);
        }
        let text = "The password was changed meanwhile. Sign in again.";
        Err(Error::new(Code::InvalidCredentials, text))
    }
}

/// What codes are checked with; moved into the transaction that spends them.
pub(super) struct Check {
    master: Arc<MasterKey>,
    address: IpAddr,
}

/// A refusal that is no failure: what was counted before it is kept.
type Judged<T> = Result<T, Error>;

impl Check {
    pub(super) fn new(services: &Services, caller: &Caller) -> Self {
        Self { master: Arc::clone(&services.master), address: caller.address }
    }

    /// Whether somebody who knows the password gets in; whether a code was asked for.
    pub(super) fn at_sign_in(
        &self,
        ctx: &Ctx,
        tx: &mut WriteTx,
        user: &User,
        code: Option<&str>,
    ) -> Result<Judged<bool>> {
        if user.second_factor_since.is_none() {
            return Ok(Ok(false));
        }
        let Some(code) = code.filter(|code| !code.trim().is_empty()) else {
            return Ok(Err(Error::new(
                Code::MfaRequired,
                "Give the code of your authenticator app, or a recovery code, as `totp`; or sign in with a passkey.",
            )));
        };
        Ok(self.of_one_that_is_on(ctx, tx, user, code)?.map(|_| true))
    }

    fn of_one_that_is_on(
        &self,
        ctx: &Ctx,
        tx: &mut WriteTx,
        user: &User,
        code: &str,
    ) -> Result<Judged<SecondFactor>> {
        if user.second_factor_since.is_none() {
            let text = "This account has no second factor.";
            return Err(Error::new(Code::SecondFactorState, text));
        }
        let factor = second_factors::find(tx, user.user_id)?
            .ok_or_else(|| Error::internal("an account asks for codes and has no secret"))?;
        self.judge(ctx, tx, user, factor, code)
    }

    /// Judges a code and stores what follows: a right one is spent, a wrong one counts.
    fn judge(
        &self,
        ctx: &Ctx,
        tx: &mut WriteTx,
        user: &User,
        mut factor: SecondFactor,
        code: &str,
    ) -> Result<Judged<SecondFactor>> {
        if let Some(wait_s) = factor.wait_s(ctx.now) {
            return Ok(Err(too_many(wait_s)));
        }
        let code = totp::tidied(code);
        let refusal = if totp::is_code(&code) && !factor.has_app() {
            Some("This account has no authenticator app. Use a passkey or a recovery code.")
        } else if totp::is_code(&code) {
            match self.open(&factor)?.matching_step(&code, ctx.now) {
                Some(step) if factor.spend(step) => None,
                Some(_) => Some("This code was used already; wait for the next one."),
                None => Some("The code is not right. The clock of the device must be, too."),
            }
        } else if let Some(index) = totp::find_recovery(&factor.recovery_digests, &code) {
            factor.recovery_digests.remove(index);
            self.tell_of_recovery(ctx, tx, user, factor.recovery_digests.len())?;
            None
        } else {
            Some("The recovery code is not right, or was used before.")
        };
        if let Some(text) = refusal {
            factor.miss(ctx.now);
            self.tell_of_miss(ctx, tx, user, &mut factor)?;
            second_factors::put(tx, &factor)?;
            return Ok(Err(Error::new(Code::InvalidTotp, text)));
        }
        second_factors::put(tx, &factor)?;
        Ok(Ok(factor))
    }

    fn open(&self, factor: &SecondFactor) -> Result<Secret> {
        let aad = sealed_for(factor.user_id);
        let bytes = self.master.open(&aad, &factor.sealed_secret).map_err(Error::internal)?;
        Secret::from_bytes(&bytes).ok_or_else(|| Error::internal("a secret of an odd length"))
    }

    fn tell_of_recovery(
        &self,
        ctx: &Ctx,
        tx: &mut WriteTx,
        user: &User,
        left: usize,
    ) -> Result<()> {
        let (org_id, cause) = (Some(user.personal_org), "second_factor.recovery_code_used");
        let told = [("left", left.to_string()), ("address", self.address.to_string())];
        ctx.audit(tx, org_id, cause, user.user_id, told)?;
        let message = letters::recovery_code_used(user, ctx.now, self.address, left);
        ctx.queue_mail(tx, org_id, user.email.as_str(), cause, &message)
    }

    fn tell_of_miss(
        &self,
        ctx: &Ctx,
        tx: &mut WriteTx,
        user: &User,
        factor: &mut SecondFactor,
    ) -> Result<()> {
        // Whoever has no right code has not shown who they are.
        let ctx = Ctx { by: By::Anonymous, ..ctx.clone() };
        let (org_id, cause) = (Some(user.personal_org), "second_factor.refused");
        let told = [("address", self.address.to_string())];
        ctx.audit(tx, org_id, cause, user.user_id, told)?;
        if !factor.warns(ctx.now) {
            return Ok(());
        }
        let message = letters::codes_refused(user, ctx.now, self.address);
        ctx.queue_mail(tx, org_id, user.email.as_str(), cause, &message)
    }
}

/// Leaves an audit entry and tells the owner by mail.
fn tell(ctx: &Ctx, tx: &mut WriteTx, user: &User, cause: &str, change: &str) -> Result<()> {
    let org_id = Some(user.personal_org);
    ctx.audit(tx, org_id, cause, user.user_id, [])?;
    let message = letters::second_factor_changed(user, change, ctx.now);
    ctx.queue_mail(tx, org_id, user.email.as_str(), cause, &message)
}

pub(super) fn switch_off(tx: &mut WriteTx, user: &mut User) -> Result<()> {
    user.second_factor_since = None;
    users::update(tx, user)?;
    passkeys::remove_all(tx, user.user_id)?;
    second_factors::remove(tx, user.user_id)
}

/// What a sealed secret is and whose, so that it opens for nobody else.
pub(super) fn sealed_for(user_id: UserId) -> Vec<u8> {
    format!("totp:{user_id}").into_bytes()
}

fn nothing_waits() -> Error {
    let text = "No secret waits for its first code; begin at POST /api/v1/users/me/totp.";
    Error::new(Code::SecondFactorState, text)
}

fn on_already() -> Error {
    let text = "This account has a second factor already; switch it off before you set up another.";
    Error::new(Code::SecondFactorState, text)
}

fn too_many(wait_s: u32) -> Error {
    let text = format!("Too many wrong codes for this account; wait {wait_s} s, then try again.");
    let mut error = Error::new(Code::RateLimited, text).retry_after(wait_s);
    let window_s = MISSES_AT_ONCE * 60;
    error.limit = Some(RateLimit { policy: "second_factor", quota: MISSES_AT_ONCE, window_s });
    error
}
