//! The accounts at issuers that sign a person in, as the person sees them.

use super::accounts::IDENTITIES_MAX;
use crate::domain::error::{Code, Error, Result};
use crate::domain::identity::Identity;
use crate::domain::ids::IdentityId;
use crate::services::{Actor, Services};
use crate::store::{identities, passkeys, users};

impl Services {
    /// Where else the actor can sign in, oldest first.
    pub fn identities(&self, actor: &Actor) -> Result<Vec<Identity>> {
        actor.require_sign_in()?;
        self.store.read(|tx| identities::of_user(tx, actor.user_id, IDENTITIES_MAX))
    }

    /// Takes one away: it signs the actor in no longer.
    ///
    /// # Errors
    /// `IdentityState` for the last way to sign in.
    pub async fn unlink_identity(&self, actor: &Actor, id: IdentityId) -> Result<()> {
        actor.require_sign_in()?;
        let (ctx, user_id) = (self.ctx_of(actor), actor.user_id);
        self.commit(move |tx| {
            let user = users::get(tx, user_id)?;
            let gone =
                identities::remove(tx, user_id, id)?.ok_or_else(|| Error::not_found("identity"))?;
            let none_left = user.password_hash.is_none()
                && identities::of_user(tx, user_id, 1)?.is_empty()
                && passkeys::of_user(tx, user_id)?.is_empty();
            if none_left {
                let text =
                    "Nothing else signs you in: choose a password first (\"Forgotten password\").";
                return Err(Error::new(Code::IdentityState, text));
            }
            let told = [("issuer", gone.issuer), ("provider", gone.provider)];
            ctx.audit(tx, Some(user.personal_org), "identity.unlinked", user_id, told)
        })
        .await
    }
}
