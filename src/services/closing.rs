//! The end of one's own account.

use super::orgs::require_no_company;
use super::people::{self, UserAct};
use super::{Actor, Services};
use crate::domain::error::Result;

impl Services {
    /// Closes the actor's own account: no sign-in works any more. Licences live on with their organisation. A
    /// confirmed address is told: it may have been somebody else at the owner's keyboard.
    ///
    /// # Errors
    /// `LastOperator` when nobody could run this appliance afterwards; `MemberState` when an organisation
    /// of others would be left without its owner.
    pub async fn close_account(&self, actor: &Actor) -> Result<()> {
        actor.require_sign_in()?;
        let (ctx, user_id) = (self.ctx_of(actor), actor.user_id);
        self.commit(actor.guarded(move |tx| {
            require_no_company(tx, user_id)?;
            people::perform(&ctx, tx, user_id, UserAct::Deactivate).map(drop)
        }))
        .await
    }
}
