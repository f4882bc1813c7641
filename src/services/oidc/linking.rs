//! Linking an account at an issuer to one's own, while signed in.
//!
//! Whoever begins shows the password once more, or has signed in just now; then the browser goes the way
//! of a sign-in. Three things have to agree at the end: the browser that left, the person who has signed
//! in, and the very sign-in in which it was begun. So nobody is made to link somebody else's account,
//! whoever sent their browser back, and nobody finishes what another person began in the same browser.

use super::accounts::{IDENTITIES_MAX, add_identity, room_for_another, vouched_for};
use super::{Departure, Linker, Realm, not_this_browsers};
use crate::domain::error::{Code, Error, Result};
use crate::domain::identity::Identity;
use crate::identity::tokens;
use crate::services::{Actor, Services, letters};
use crate::store::{identities, users};

impl Services {
    /// Begins to link an account at an issuer of the settings to the actor's: where to send the browser,
    /// and the cookie that it is to bring back.
    ///
    /// # Errors
    /// `InvalidCredentials` for a wrong password; then those of [`Services::oidc_start`].
    pub async fn begin_identity(
        &self,
        actor: &Actor,
        provider: String,
        password: String,
        return_to: Option<&str>,
    ) -> Result<Departure> {
        let realm = Realm::Provider(provider);
        self.issuer_in(&realm)?;
        let proof = self.prove_password(actor, password).await?;
        let link = Linker {
            user_id: actor.user_id,
            login_id: actor.require_sign_in()?,
            password_changed_at: proof.user().password_changed_at,
        };
        self.depart(realm, return_to, Some(link)).await
    }

    /// Links the account that the issuer has named, in the browser and the sign-in in which that was begun.
    /// The code works once.
    ///
    /// # Errors
    /// `OidcFailed` for a code that is not good, not this browser's or not this sign-in's; `IdentityState`
    /// for an account that is linked already, and where there are as many as there may be; `Forbidden` for
    /// an address of a domain that is not admitted.
    pub async fn link_identity(
        &self,
        actor: &Actor,
        cookie: Option<&str>,
        code: &str,
    ) -> Result<Identity> {
        let login_id = actor.require_sign_in()?;
        self.throttles.check_address(actor.caller.address)?;
        let user_id = actor.user_id;
        let own = |it: &Linker| it.user_id == user_id && it.login_id == login_id;
        let key = tokens::digest(code);
        let waiting = self
            .take_waiting(&key, cookie, |it| it.link.as_ref().is_some_and(own))
            .ok_or_else(not_this_browsers)?;
        let (Some(link), Realm::Provider(name)) = (waiting.link.clone(), &waiting.realm) else {
            return Err(not_this_browsers());
        };
        let provider = self.config.oidc.providers.named(name).cloned();
        let provider = provider.ok_or_else(|| Error::not_found("provider"))?;
        let (ctx, claims) = (self.ctx_of(actor), waiting.claims.clone());
        self.commit(move |tx| {
            let user = users::get(tx, user_id)?;
            let begun = users::login(tx, user_id, login_id)?.is_some()
                && user.password_changed_at == link.password_changed_at;
            if !begun {
                let text = "The password was changed meanwhile. Sign in, and begin again.";
                return Err(Error::new(Code::OidcFailed, text));
            }
            vouched_for(&provider, &claims)?;
            let known = identities::by_subject(tx, None, &provider.issuer, claims.subject())?;
            if let Some(known) = known {
                let text = if known.user_id == user_id {
                    "It signs you in to this account already."
                } else {
                    "It signs in to another account here. Sign in to that one with it, and take the link away there first."
                };
                return Err(Error::new(Code::IdentityState, text));
            }
            room_for_another(identities::of_user(tx, user_id, IDENTITIES_MAX)?.len())?;
            let (org_id, cause) = (Some(user.personal_org), "identity.linked");
            let identity = add_identity(&ctx, tx, &user, &provider, &claims, cause)?;
            let told = letters::identity_linked(&user, &provider.label, "owner", ctx.now);
            ctx.queue_mail(tx, org_id, user.email.as_str(), cause, &told)?;
            Ok(identity)
        })
        .await
    }
}
