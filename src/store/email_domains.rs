//! Domains of tenants, and who does not want to be brought back by one.

use super::tables::{DOMAIN_ORGS, ORG_DOMAINS, ORG_LEAVERS};
use super::{Org, Read, Scan, WriteTx};
use crate::domain::email_domain::{Domain, OrgDomain};
use crate::domain::error::{Error, Result};
use crate::domain::ids::{OrgId, UserId};

/// The most domains of an organisation.
pub const DOMAINS_MAX: usize = 20;

impl<T: Read> Org<'_, T> {
    /// A domain that it must have.
    pub fn domain(&self, domain: &Domain) -> Result<OrgDomain> {
        let key = (self.id, domain.as_str().to_owned());
        self.tx.get(&ORG_DOMAINS, &key)?.ok_or_else(|| Error::not_found("domain"))
    }

    /// All of its domains.
    pub fn domains(&self) -> Result<Vec<OrgDomain>> {
        let rows = self.tx.scan(&ORG_DOMAINS, &Scan::prefix(&self.id).limit(DOMAINS_MAX))?;
        Ok(rows.into_iter().map(|(_, domain)| domain).collect())
    }

    /// Whether a person left it, or was removed.
    pub fn was_left_by(&self, user_id: UserId) -> Result<bool> {
        self.tx.contains(&ORG_LEAVERS, &(self.id, user_id))
    }
}

/// Whose a domain is known to be.
pub fn owner_of(tx: &impl Read, domain: &Domain) -> Result<Option<OrgId>> {
    tx.get(&DOMAIN_ORGS, &domain.as_str().to_owned())
}

/// Adds or writes a domain; it is found by its name while it is known to be the tenant's.
pub fn put(tx: &mut WriteTx, domain: &OrgDomain) -> Result<()> {
    let name = domain.domain.as_str().to_owned();
    if domain.verified_at.is_some() {
        tx.put(&DOMAIN_ORGS, &name, &domain.org_id)?;
    } else if tx.get(&DOMAIN_ORGS, &name)? == Some(domain.org_id) {
        tx.remove(&DOMAIN_ORGS, &name)?;
    }
    tx.put(&ORG_DOMAINS, &(domain.org_id, name), domain)
}

/// Removes a domain.
pub fn remove(tx: &mut WriteTx, domain: &OrgDomain) -> Result<()> {
    put(tx, &OrgDomain { verified_at: None, ..domain.clone() })?;
    tx.remove(&ORG_DOMAINS, &(domain.org_id, domain.domain.as_str().to_owned())).map(drop)
}

/// Remembers that a person left a tenant, or was removed: no domain brings them back.
pub fn note_leaver(tx: &mut WriteTx, org_id: OrgId, user_id: UserId) -> Result<()> {
    tx.put(&ORG_LEAVERS, &(org_id, user_id), &true)
}

/// Forgets who left a tenant, at most `limit`; how many.
pub fn forget_leavers(tx: &mut WriteTx, org_id: OrgId, limit: usize) -> Result<usize> {
    let some = tx.scan_keys(&ORG_LEAVERS, &Scan::prefix(&org_id).limit(limit))?;
    for key in &some {
        tx.remove(&ORG_LEAVERS, key)?;
    }
    Ok(some.len())
}
