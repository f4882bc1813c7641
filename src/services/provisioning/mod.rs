//! An organisation's directory keeps its people and groups here as they are there (SCIM 2.0).
//!
//! A directory has a token of its own, which opens the calls of provisioning for one organisation and
//! nothing else. It speaks of people whose addresses are at domains that the organisation has proved to
//! be its own, so that it neither makes nor claims accounts of others; of operators of the appliance it
//! says nothing, and its organisation's owner it can neither remove nor make.
//!
//! Who belongs to the organisation is told by memberships alone: a person whom the directory has
//! deactivated has none, and what the directory has said of them stays until it deletes them.

mod groups;
mod people;

pub use self::groups::{GroupInput, GroupSeen};
pub(super) use self::groups::{hold_groups, join_held_groups};
pub(super) use self::people::groups_of;
pub use self::people::{PersonInput, PersonSeen};
use super::orgs::place;
use super::{Actor, Caller, Ctx, Services, letters};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{OrgId, ProvisioningTokenId};
use crate::domain::organisation::{Organisation, Permission};
use crate::domain::plan::check_text;
use crate::domain::provisioning::{Condition, ProvisioningToken};
use crate::domain::time::{DAY_MS, HOUR_MS, Timestamp};
use crate::identity::tokens;
use crate::store::provisioning::TOKENS_MAX;
use crate::store::{self, WriteTx, provisioning, users};

/// The longest life that can be asked for; without one a token lives until it is revoked.
const DAYS_MAX: u32 = 3_650;
/// Characters of a secret that are kept for people: its prefix and 24 of its 256 bits.
const SHOWN: usize = tokens::PROVISIONING_PREFIX.len() + 4;
/// How exactly the last use is known.
const USE_NOTED_MS: i64 = HOUR_MS;
/// The most that an answer lists.
pub const LISTED_MAX: usize = 200;

/// An organisation's directory, which has shown its token.
#[derive(Clone, Debug)]
pub struct Directory {
    org_id: OrgId,
    token_id: ProvisioningTokenId,
    prefix: String,
    caller: Caller,
}

impl Directory {
    /// The organisation whose people it provisions.
    pub fn org_id(&self) -> OrgId {
        self.org_id
    }
}

/// A part of what was found.
pub struct Found<T> {
    /// How many were found.
    pub total: usize,
    /// Some of them.
    pub items: Vec<T>,
}

/// Which part is wanted: from the item of this number, from 0, so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many to skip.
    pub skip: usize,
    /// How many to give; at most [`LISTED_MAX`].
    pub count: usize,
}

impl Services {
    /// The tokens of the organisation's directory, oldest first.
    pub fn provisioning_tokens(&self, actor: &Actor, id: OrgId) -> Result<Vec<ProvisioningToken>> {
        self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgManage)?;
            store::org(tx, id).provisioning_tokens()
        })
    }

    /// Makes a token for the organisation's directory; its secret is told now and never again.
    ///
    /// # Errors
    /// `TooManyKeys` when there are as many as there may be.
    pub async fn create_provisioning_token(
        &self,
        actor: &Actor,
        id: OrgId,
        name: &str,
        expires_in_days: Option<u32>,
    ) -> Result<(ProvisioningToken, String)> {
        actor.refuse_programs()?;
        check_text("name", name, 1, 100)?;
        if expires_in_days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return Err(Error::invalid("expires_in_days", "must be 1 to 3650, or left out"));
        }
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        let secret = tokens::secret(&ctx.entropy, tokens::PROVISIONING_PREFIX);
        let hash = tokens::digest(&secret);
        let token = ProvisioningToken {
            provisioning_token_id: ProvisioningTokenId(ctx.record_id()),
            org_id: id,
            name: name.trim().to_owned(),
            prefix: secret[..SHOWN].to_owned(),
            created_at: ctx.now,
            created_by: ctx.by.user_id(),
            expires_at: expires_in_days.map(|days| ctx.now + i64::from(days) * DAY_MS),
            last_used_at: None,
        };
        let token = self
            .commit(move |tx| {
                let (org, _) = place(tx, &actor, id, Permission::OrgOwn)?;
                org.require_staying()?;
                if store::org(tx, id).provisioning_tokens()?.len() >= TOKENS_MAX {
                    let text = format!(
                        "This organisation has {TOKENS_MAX} provisioning tokens; revoke one first."
                    );
                    return Err(Error::new(Code::TooManyKeys, text));
                }
                provisioning::insert_token(tx, &hash, &token)?;
                let told = [("name", token.name.clone()), ("prefix", token.prefix.clone())];
                let subject = token.provisioning_token_id;
                ctx.audit(tx, Some(id), "provisioning_token.created", subject, told)?;
                tell_owner(&ctx, tx, &org, &token)?;
                Ok(token)
            })
            .await?;
        Ok((token, secret))
    }

    /// Revokes a token: it opens nothing from now on. With the last one the directory's teams become
    /// ordinary ones; who belongs to the organisation stays.
    pub async fn revoke_provisioning_token(
        &self,
        actor: &Actor,
        id: OrgId,
        token_id: ProvisioningTokenId,
    ) -> Result<()> {
        actor.refuse_programs()?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::OrgOwn)?;
            let token = provisioning::remove_token(tx, id, token_id)?;
            if store::org(tx, id).provisioning_tokens()?.is_empty() {
                provisioning::release_teams(tx, id)?;
            }
            let told = [("name", token.name), ("prefix", token.prefix)];
            ctx.audit(tx, Some(id), "provisioning_token.revoked", token_id, told)
        })
        .await
    }

    /// Whose directory presents this token to the calls of an organisation.
    ///
    /// # Errors
    /// `Unauthenticated` when it is none, has expired, or is another organisation's: whether there is an
    /// organisation does not show. `RateLimited`.
    pub async fn authenticate_directory(
        &self,
        secret: &str,
        org: &str,
        caller: Caller,
    ) -> Result<Directory> {
        let now = self.clock.now().wall;
        let hash = tokens::digest(secret);
        let found = self.store.read(|tx| provisioning::token_by_hash(tx, &hash))?;
        let token = found.filter(|token| token.is_good(now) && token.org_id.to_string() == org);
        let Some(token) = token else {
            return Err(Error::new(
                Code::Unauthenticated,
                "This is no provisioning token of this organisation: it was revoked, has expired, or never was one. Its owner makes another.",
            ));
        };
        self.throttles.check_directory(token.org_id)?;
        let directory = Directory {
            org_id: token.org_id,
            token_id: token.provisioning_token_id,
            prefix: token.prefix.clone(),
            caller,
        };
        self.note_token_use(token, now).await;
        Ok(directory)
    }

    async fn note_token_use(&self, mut token: ProvisioningToken, now: Timestamp) {
        if token.last_used_at.is_some_and(|at| now - at < USE_NOTED_MS) {
            return;
        }
        token.last_used_at = Some(now);
        // A disk that takes no writes must not keep a directory from reading.
        let noted = self.store.write(move |tx| provisioning::update_token(tx, &token)).await;
        if let Err(error) = noted {
            tracing::debug!(%error, "the use of a provisioning token was not noted");
        }
    }

    /// People and groups for which all of this holds, people first.
    pub fn search_provisioned(
        &self,
        directory: &Directory,
        wanted: &[Condition],
        part: Part,
        with_members: bool,
    ) -> Result<(Found<PersonSeen>, Found<GroupSeen>)> {
        let people = self.provisioned_people(directory, wanted, part)?;
        let rest = Part {
            skip: part.skip.saturating_sub(people.total),
            count: part.count - people.items.len(),
        };
        let groups = self.provisioned_groups(directory, wanted, rest, with_members)?;
        Ok((people, groups))
    }

    fn ctx_of_directory(&self, directory: &Directory) -> Ctx {
        let mut ctx = self.ctx(By::System).of(By::System, &directory.caller);
        ctx.on_behalf = Some(format!("provisioning token {}", directory.prefix));
        ctx
    }
}

/// Whoever has a token decides who belongs to the organisation: its owner learns of each, even of their
/// own, which somebody else may have made in their place.
fn tell_owner(
    ctx: &Ctx,
    tx: &mut WriteTx,
    org: &Organisation,
    token: &ProvisioningToken,
) -> Result<()> {
    let owner = users::get(tx, store::org(tx, token.org_id).owner()?)?;
    let maker = token.created_by.map(|user_id| users::get(tx, user_id)).transpose()?;
    let message = letters::provisioning_token_made(&owner, org, maker.as_ref(), token);
    let cause = "provisioning_token.created";
    ctx.queue_mail(tx, Some(token.org_id), owner.email.as_str(), cause, &message)
}

impl Directory {
    /// Refuses a directory whose token was revoked since it was shown, and an organisation that is to be
    /// deleted.
    fn require_good(&self, tx: &impl store::Read) -> Result<()> {
        self.require_token(tx)?;
        store::org(tx, self.org_id).organisation()?.require_staying()
    }

    /// The same for what ends something, which is done until the organisation is gone.
    fn require_token(&self, tx: &impl store::Read) -> Result<()> {
        let there = store::org(tx, self.org_id).provisioning_tokens()?;
        if !there.iter().any(|token| token.provisioning_token_id == self.token_id) {
            return Err(Error::new(Code::Unauthenticated, "This provisioning token was revoked."));
        }
        Ok(())
    }
}
