//! Tenants and who belongs to them.

use super::search::{reindex, words_of_org};
use super::tables::{MEMBERSHIPS, ORG_WORDS, ORGS};
use super::{Org, Read, Scan, WriteTx, page};
use crate::domain::error::{Error, Result};
use crate::domain::ids::UserId;
use crate::domain::organisation::{Membership, Organisation, Role};
use crate::domain::page::{Page, PageRequest};

impl<T: Read> Org<'_, T> {
    /// The organisation itself.
    pub fn organisation(&self) -> Result<Organisation> {
        self.tx.get(&ORGS, &self.id)?.ok_or_else(|| Error::not_found("organisation"))
    }

    /// Who owns it.
    pub fn owner(&self) -> Result<UserId> {
        let members = self.tx.scan(&MEMBERSHIPS, &Scan::prefix(&self.id))?;
        let owner = members.into_iter().find(|(_, member)| member.role == Role::Owner);
        owner.map(|((_, user_id), _)| user_id).ok_or_else(|| Error::not_found("organisation"))
    }

    /// A person's place in it.
    pub fn membership(&self, user_id: UserId) -> Result<Option<Membership>> {
        self.tx.get(&MEMBERSHIPS, &(self.id, user_id))
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
    tx.put(&MEMBERSHIPS, &(membership.org_id, membership.user_id), membership)
}

/// All tenants, newest first.
pub fn list(tx: &impl Read, request: &PageRequest) -> Result<Page<Organisation>> {
    page(tx, &ORGS, Scan::all().descending(), request)
}
