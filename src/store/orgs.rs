//! Tenants, who belongs to them, and who was asked to.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::search::{reindex, words_of_org};
use super::tables::{
    Digest, ERASED_ORGS, INVITATIONS, INVITATIONS_BY_EMAIL, INVITATIONS_BY_END,
    INVITATIONS_BY_HASH, MEMBERSHIPS, MEMBERSHIPS_BY_USER, ORG_OWNERS, ORG_WORDS, ORGS,
};
use super::{Org, Read, Scan, WriteTx, page};
use crate::domain::error::{Error, Result, found};
use crate::domain::ids::{InvitationId, OrgId, UserId};
use crate::domain::organisation::{
    ErasedOrg, Invitation, Membership, Organisation, Permission, Role,
};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;
use crate::domain::user::Email;

impl<T: Read> Org<'_, T> {
    /// The organisation itself.
    pub fn organisation(&self) -> Result<Organisation> {
        self.tx.get(&ORGS, &self.id)?.ok_or_else(|| Error::not_found("organisation"))
    }

    /// Who owns it.
    pub fn owner(&self) -> Result<UserId> {
        if let Some(owner) = self.tx.get(&ORG_OWNERS, &self.id)? {
            return Ok(owner);
        }
        let members = self.tx.scan(&MEMBERSHIPS, &Scan::prefix(&self.id))?;
        let owner = members.into_iter().find(|(_, member)| member.role == Role::Owner);
        owner.map(|((_, user_id), _)| user_id).ok_or_else(|| Error::not_found("organisation"))
    }

    /// A person's place in it.
    pub fn membership(&self, user_id: UserId) -> Result<Option<Membership>> {
        self.tx.get(&MEMBERSHIPS, &(self.id, user_id))
    }

    /// Who belongs to it, in the order in which their accounts were made.
    pub fn members(&self, request: &PageRequest) -> Result<Page<Membership>> {
        page(self.tx, &MEMBERSHIPS, Scan::prefix(&self.id), request)
    }

    /// Who manages it, the owner among them, at most `limit`.
    pub fn managers(&self, limit: usize) -> Result<Vec<Membership>> {
        let mut found = Vec::new();
        self.tx.visit(&MEMBERSHIPS, &Scan::prefix(&self.id), |_, member| {
            if member.role.may(Permission::OrgManage) {
                found.push(member);
            }
            let enough = found.len() == limit;
            Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(found)
    }

    /// How many belong to it.
    pub fn members_count(&self) -> Result<u64> {
        self.tx.count(&MEMBERSHIPS, &Scan::prefix(&self.id))
    }

    /// Open and ended invitations, oldest first, at most `limit`.
    pub fn invitations(&self, limit: usize) -> Result<Vec<Invitation>> {
        let rows = self.tx.scan(&INVITATIONS, &Scan::prefix(&self.id).limit(limit))?;
        Ok(rows.into_iter().map(|(_, invitation)| invitation).collect())
    }

    /// An invitation to it that must exist.
    pub fn invitation(&self, id: InvitationId) -> Result<Invitation> {
        self.tx.get(&INVITATIONS, &(self.id, id))?.ok_or_else(|| Error::not_found("invitation"))
    }
}

/// Adds or writes a tenant.
pub fn put(tx: &mut WriteTx, organisation: &Organisation) -> Result<()> {
    let org_id = organisation.org_id;
    let old = words_of_org(tx, org_id)?;
    if tx.get(&ORGS, &org_id)?.is_none() {
        super::counts::add(tx, "orgs", 1)?;
    }
    tx.put(&ORGS, &org_id, organisation)?;
    let new = words_of_org(tx, org_id)?;
    reindex(tx, &ORG_WORDS, org_id, &old, &new)
}

/// Adds or writes a person's place in a tenant.
pub fn put_membership(tx: &mut WriteTx, membership: &Membership) -> Result<()> {
    let (org_id, user_id) = (membership.org_id, membership.user_id);
    if membership.role == Role::Owner {
        tx.put(&ORG_OWNERS, &org_id, &user_id)?;
    }
    tx.put(&MEMBERSHIPS_BY_USER, &(user_id, org_id), &true)?;
    tx.put(&MEMBERSHIPS, &(org_id, user_id), membership)
}

/// Removes a person's place in a tenant; whether there was one.
pub fn remove_membership(tx: &mut WriteTx, org_id: OrgId, user_id: UserId) -> Result<bool> {
    super::teams::leave_all(tx, org_id, user_id)?;
    tx.remove(&MEMBERSHIPS_BY_USER, &(user_id, org_id))?;
    tx.remove(&MEMBERSHIPS, &(org_id, user_id))
}

/// The most tenants that a person belongs to.
pub const OF_USER_MAX: usize = 100;

/// The tenants that a person belongs to, the personal one first, at most `limit`.
pub fn of_user(
    tx: &impl Read,
    user_id: UserId,
    personal: OrgId,
    limit: usize,
) -> Result<Vec<(Organisation, Membership)>> {
    // What was made before there was an index has no row there.
    let others = tx.scan_keys(&MEMBERSHIPS_BY_USER, &Scan::prefix(&user_id).limit(limit))?;
    let others = others.into_iter().map(|(_, org_id)| org_id).filter(|id| *id != personal);
    let mut found = Vec::new();
    for org_id in std::iter::once(personal).chain(others) {
        let org = super::org(tx, org_id);
        if let Some(membership) = org.membership(user_id)? {
            found.push((org.organisation()?, membership));
        }
    }
    Ok(found)
}

/// Adds or writes an invitation; the link that was mailed before is good no longer.
pub fn put_invitation(tx: &mut WriteTx, invitation: &Invitation) -> Result<()> {
    let place = (invitation.org_id, invitation.invitation_id);
    remove_invitation(tx, place.0, place.1)?;
    tx.put(&INVITATIONS_BY_HASH, &invitation.token_hash, &place)?;
    let end = (invitation.expires_at, invitation.invitation_id);
    tx.put(&INVITATIONS_BY_END, &end, &invitation.org_id)?;
    tx.put(&INVITATIONS_BY_EMAIL, &email_key(invitation), &true)?;
    tx.put(&INVITATIONS, &place, invitation)
}

/// Removes an invitation; what it was, if it was there.
pub fn remove_invitation(
    tx: &mut WriteTx,
    org_id: OrgId,
    id: InvitationId,
) -> Result<Option<Invitation>> {
    let Some(old) = tx.get(&INVITATIONS, &(org_id, id))? else { return Ok(None) };
    tx.remove(&INVITATIONS_BY_HASH, &old.token_hash)?;
    tx.remove(&INVITATIONS_BY_END, &(old.expires_at, id))?;
    tx.remove(&INVITATIONS_BY_EMAIL, &email_key(&old))?;
    tx.remove(&INVITATIONS, &(org_id, id))?;
    Ok(Some(old))
}

fn email_key(invitation: &Invitation) -> (String, OrgId, InvitationId) {
    let Invitation { email, org_id, invitation_id, .. } = invitation;
    (email.as_str().to_owned(), *org_id, *invitation_id)
}

/// The invitations that were mailed to an address.
pub fn invitations_to(tx: &impl Read, email: &Email) -> Result<Vec<(OrgId, InvitationId)>> {
    let prefix = Scan::prefix(&email.as_str().to_owned());
    let keys = tx.scan_keys(&INVITATIONS_BY_EMAIL, &prefix)?;
    Ok(keys.into_iter().map(|(_, org_id, id)| (org_id, id)).collect())
}

/// The invitation whose token has this hash.
pub fn invitation_of_token(tx: &impl Read, hash: &Digest) -> Result<Option<Invitation>> {
    match tx.get(&INVITATIONS_BY_HASH, hash)? {
        Some(place) => tx.get(&INVITATIONS, &place),
        None => Ok(None),
    }
}

/// Removes invitations that ended before `now`, at most `limit`; how many.
pub fn remove_ended(tx: &mut WriteTx, now: Timestamp, limit: usize) -> Result<usize> {
    let mut removed = 0;
    for ((end, id), org_id) in tx.scan(&INVITATIONS_BY_END, &Scan::all().limit(limit))? {
        if end > now {
            break;
        }
        remove_invitation(tx, org_id, id)?;
        removed += 1;
    }
    Ok(removed)
}

/// Removes a tenant of which nothing else is left, with its owner's place in it.
pub fn erase(tx: &mut WriteTx, org: &Organisation, now: Timestamp) -> Result<()> {
    let org_id = org.org_id;
    let words = words_of_org(tx, org_id)?;
    reindex(tx, &ORG_WORDS, org_id, &words, &BTreeSet::new())?;
    if let Some(owner) = found(super::org(tx, org_id).owner())? {
        remove_membership(tx, org_id, owner)?;
    }
    tx.remove(&ORG_OWNERS, &org_id)?;
    if tx.remove(&ORGS, &org_id)? {
        super::counts::add(tx, "orgs", -1)?;
    }
    let (name, created_at) = (org.name.clone(), org.created_at);
    tx.put(&ERASED_ORGS, &org_id, &ErasedOrg { org_id, name, created_at, erased_at: now })
}

/// What is kept of a tenant that was erased.
pub fn erased(tx: &impl Read, org_id: OrgId) -> Result<Option<ErasedOrg>> {
    tx.get(&ERASED_ORGS, &org_id)
}

/// All tenants, newest first.
pub fn list(tx: &impl Read, request: &PageRequest) -> Result<Page<Organisation>> {
    page(tx, &ORGS, Scan::all().descending(), request)
}
