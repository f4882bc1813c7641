//! Passkeys: added and removed by their owners, and signed in with.

use std::time::Duration;

use serde_json::Value;

use super::second_factor::{self, Proof};
use super::sign_in::{Grant, SignedIn, why_not};
use super::{Actor, Caller, Ctx, Services, letters};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::PasskeyId;
use crate::domain::passkey::{PASSKEYS_MAX, Passkey};
use crate::domain::plan::check_text;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::identity::passkeys::{
    self as ceremony, Assertion, Attestation, Challenge, Owner, Refused, RelyingParty,
};
use crate::identity::{tokens, totp};
use crate::store::{WriteTx, identities, passkeys, second_factors, users};

/// A challenge that waits for its answer, once and for some minutes.
#[derive(Clone)]
pub(crate) struct Ceremony {
    challenge: Challenge,
    /// Who adds a passkey; none: somebody signs in.
    proof: Option<Proof>,
    asked_at: Timestamp,
}

impl Ceremony {
    /// How long a browser, and whoever sits before it, has time.
    pub(crate) const LIFE: Duration = Duration::from_mins(5);
}

/// What a browser is to do, and under which name its answer is taken.
pub struct Asked {
    /// Comes with the answer.
    pub ceremony_id: String,
    /// As browsers want it.
    pub options: Value,
}

/// A browser's answer to a request for a new passkey.
pub struct NewPasskey {
    /// As it was told.
    pub ceremony_id: String,
    /// What the owner calls it.
    pub name: String,
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `attestationObject`.
    pub attestation: Vec<u8>,
}

/// A browser's answer to a request to sign in.
pub struct PasskeyAnswer {
    /// As it was told.
    pub ceremony_id: String,
    /// What the authenticator calls the passkey.
    pub credential_id: Vec<u8>,
    /// Whose the authenticator says it is.
    pub user_handle: Vec<u8>,
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// `signature`.
    pub signature: Vec<u8>,
}

impl Services {
    /// The actor's passkeys, oldest first.
    pub fn passkeys(&self, actor: &Actor) -> Result<Vec<Passkey>> {
        actor.require_sign_in()?;
        self.store.read(|tx| passkeys::of_user(tx, actor.user_id))
    }

    /// The origin whose pages may use passkeys; none: there are none here.
    pub fn passkey_origin(&self) -> Option<&str> {
        self.relying_party.as_ref().map(RelyingParty::origin)
    }

    /// Begins to add a passkey to the actor's account.
    ///
    /// # Errors
    /// `InvalidCredentials` for a wrong password; `SecondFactorState` where there can be no passkeys, or
    /// no more.
    pub async fn begin_passkey(&self, actor: &Actor, password: String) -> Result<Asked> {
        let server = self.relying_party()?;
        let proof = self.prove_password(actor, password).await?;
        let known = self.store.read(|tx| passkeys::of_user(tx, actor.user_id))?;
        if known.len() >= PASSKEYS_MAX {
            return Err(too_many());
        }
        let known: Vec<_> = known.into_iter().map(|passkey| passkey.credential_id).collect();
        let challenge = ceremony::challenge(&self.entropy);
        let user = proof.user();
        let owner = Owner {
            handle: user.user_id.0.as_bytes(),
            email: user.email.as_str(),
            full_name: &user.full_name,
        };
        let name = &self.config.mail.product_name;
        let options = server.to_make(name, &challenge, &owner, &known);
        Ok(self.ask(challenge, Some(proof), options))
    }

    /// Adds the passkey that a browser has made. With an account's first second factor every other sign-in
    /// ends, and the recovery codes are answered, which are told once.
    ///
    /// # Errors
    /// A field error on `credential` for what is not good, or is known already.
    pub async fn add_passkey(
        &self,
        actor: &Actor,
        new: NewPasskey,
    ) -> Result<(Passkey, Option<Vec<String>>)> {
        let login_id = actor.require_sign_in()?;
        check_text("name", &new.name, 1, 100)?;
        let server = self.relying_party()?;
        let asked = self.taken(&new.ceremony_id);
        let own = |proof: &Proof| proof.is_of(actor.user_id, login_id);
        let Some((challenge, proof)) =
            asked.and_then(|asked| asked.proof.filter(own).map(|proof| (asked.challenge, proof)))
        else {
            return Err(Error::invalid("ceremony_id", "is not known, or has ended: begin again"));
        };
        let answer = Attestation { client_data: &new.client_data, object: &new.attestation };
        let made = server.made(&challenge, &answer).map_err(|Refused(why)| {
            Error::invalid("credential", format!("cannot be used: {why}"))
        })?;
        let ctx = self.ctx_of(actor);
        let passkey = Passkey {
            passkey_id: PasskeyId(ctx.record_id()),
            user_id: actor.user_id,
            name: new.name.trim().to_owned(),
            credential_id: made.credential_id,
            key: made.key,
            sign_count: made.sign_count,
            synced: made.synced,
            created_at: ctx.now,
            last_used_at: None,
        };
        let codes = totp::recovery_codes(&ctx.entropy);
        self.commit(move |tx| {
            let mut user = proof.still_holds(tx)?;
            if passkeys::by_credential(tx, &passkey.credential_id)?.is_some() {
                return Err(Error::invalid("credential", "is known here already"));
            }
            if passkeys::of_user(tx, user.user_id)?.len() >= PASSKEYS_MAX {
                return Err(too_many());
            }
            passkeys::put(tx, &passkey)?;
            let first = user.second_factor_since.is_none();
            if first {
                let factor = second_factor::of_passkeys(user.user_id, &codes);
                second_factors::put(tx, &factor)?;
                user.second_factor_since = Some(ctx.now);
                users::update(tx, &user)?;
                users::end_logins(tx, user.user_id, Some(login_id))?;
            }
            tell(&ctx, tx, &user, &passkey, "added")?;
            Ok((passkey, first.then_some(codes)))
        })
        .await
    }

    /// Removes a passkey of the actor's. With the last second factor its recovery codes go.
    ///
    /// # Errors
    /// `InvalidCredentials` for a wrong password; `WeakPassword` where it would be too short to stand alone.
    pub async fn remove_passkey(
        &self,
        actor: &Actor,
        id: PasskeyId,
        password: String,
    ) -> Result<()> {
        let proof = self.prove_password(actor, password).await?;
        let ctx = self.ctx_of(actor);
        self.commit(move |tx| {
            let mut user = proof.still_holds(tx)?;
            let passkey = passkeys::remove(tx, user.user_id, id)?
                .ok_or_else(|| Error::not_found("passkey"))?;
            let others = !passkeys::of_user(tx, user.user_id)?.is_empty();
            let app = second_factors::find(tx, user.user_id)?.is_some_and(|it| it.has_app());
            let other_ways = user.password_hash.is_some()
                || !identities::of_user(tx, user.user_id, 1)?.is_empty();
            if !others && !other_ways {
                let text =
                    "Nothing else signs you in: choose a password first (\"Forgotten password\").";
                return Err(Error::new(Code::SecondFactorState, text));
            }
            if !others && !app {
                second_factor::require_long_password(&ctx, &user)?;
                second_factor::switch_off(tx, &mut user)?;
            }
            tell(&ctx, tx, &user, &passkey, "removed")
        })
        .await
    }

    /// Begins a sign-in with a passkey. Nobody has said who they are.
    ///
    /// # Errors
    /// `SecondFactorState` where there can be no passkeys.
    pub fn begin_passkey_sign_in(&self, caller: &Caller) -> Result<Asked> {
        self.throttles.check_address(caller.address)?;
        let challenge = ceremony::challenge(&self.entropy);
        let options = self.relying_party()?.to_sign_in(&challenge);
        Ok(self.ask(challenge, None, options))
    }

    /// Signs in with a passkey: it is two factors by itself, so neither password nor code is asked for.
    ///
    /// # Errors
    /// `InvalidCredentials`, whatever is wrong with it.
    pub async fn passkey_sign_in(
        &self,
        caller: &Caller,
        answer: PasskeyAnswer,
    ) -> Result<SignedIn> {
        self.throttles.check_address(caller.address)?;
        let server = self.relying_party()?;
        let asked = self.taken(&answer.ceremony_id);
        let challenge = asked.filter(|it| it.proof.is_none()).map(|it| it.challenge);
        let passkey = self.store.read(|tx| passkeys::by_credential(tx, &answer.credential_id))?;
        let own = |it: &Passkey| it.user_id.0.as_bytes()[..] == answer.user_handle[..];
        let (Some(challenge), Some(passkey)) = (challenge, passkey.filter(own)) else {
            return Err(self.refused("it is not known, or the attempt has ended"));
        };
        let assertion = Assertion {
            client_data: &answer.client_data,
            authenticator_data: &answer.authenticator_data,
            signature: &answer.signature,
        };
        let mut ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        let user = self.store.read(|tx| users::find(tx, passkey.user_id))?.ok_or_else(refusal)?;
        let signed = server.signed(&challenge, &assertion, &passkey.key, passkey.sign_count);
        let reason = match &signed {
            Ok(_) => why_not(&user, true),
            Err(Refused(why)) => Some(*why),
        };
        if let Some(reason) = reason {
            self.note_failed_sign_in(&ctx, &user, reason);
        }
        let signed = signed.map_err(|Refused(why)| self.refused(why))?;
        ctx.by = By::User(passkey.user_id);
        let grant = Grant::new(&ctx, caller).with_passkey(&passkey);
        let (user, granted) = self
            .commit(move |tx| {
                let gone = || refusal();
                let user = users::find(tx, passkey.user_id)?.ok_or_else(gone)?;
                let mut passkey =
                    passkeys::by_credential(tx, &passkey.credential_id)?.ok_or_else(gone)?;
                let rose = ceremony::check_count(passkey.sign_count, signed.sign_count).is_ok();
                if user.deactivated_at.is_some() || !user.email_verified || !rose {
                    return Err(gone());
                }
                passkey.sign_count = signed.sign_count;
                passkey.synced = signed.synced;
                passkey.last_used_at = Some(ctx.now);
                passkeys::put(tx, &passkey)?;
                grant.begin(&ctx, tx, user)
            })
            .await?;
        self.signed_in(user, granted)
    }

    fn relying_party(&self) -> Result<&RelyingParty> {
        self.relying_party.as_ref().ok_or_else(|| {
            Error::new(
                Code::SecondFactorState,
                "Browsers allow passkeys only on pages with HTTPS and a name, and server.public_url names no such address.",
            )
        })
    }

    fn ask(&self, challenge: Challenge, proof: Option<Proof>, options: Value) -> Asked {
        let ceremony_id = tokens::secret(&self.entropy, "");
        let asked_at = self.clock.now().wall;
        self.ceremonies.insert(ceremony_id.clone(), Ceremony { challenge, proof, asked_at });
        Asked { ceremony_id, options }
    }

    /// What was asked, once and in time.
    fn taken(&self, ceremony_id: &str) -> Option<Ceremony> {
        let now = self.clock.now().wall;
        let in_time = |it: &Ceremony| now - it.asked_at < Ceremony::LIFE.as_millis() as i64;
        self.ceremonies.remove(ceremony_id).filter(in_time)
    }

    fn refused(&self, why: &'static str) -> Error {
        self.metrics.sign_in_failed();
        tracing::info!(why, "a passkey was refused");
        refusal()
    }
}

fn refusal() -> Error {
    let text = "This passkey does not sign in here. Try again, or sign in with the password.";
    Error::new(Code::InvalidCredentials, text)
}

fn too_many() -> Error {
    let text = format!("An account has at most {PASSKEYS_MAX} passkeys; remove one first.");
    Error::new(Code::SecondFactorState, text)
}

/// Leaves an audit entry and tells the owner by mail.
fn tell(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: &User,
    passkey: &Passkey,
    change: &'static str,
) -> Result<()> {
    let org_id = Some(user.personal_org);
    let cause = if change == "added" { "passkey.added" } else { "passkey.removed" };
    let about = [("passkey_id", passkey.passkey_id.to_string()), ("name", passkey.name.clone())];
    ctx.audit(tx, org_id, cause, user.user_id, about)?;
    let message = letters::passkey_changed(user, &passkey.name, change, ctx.now);
    ctx.queue_mail(tx, org_id, user.email.as_str(), cause, &message)
}
