//! Accounts at issuers that sign people in, and the issuers of organisations.

use super::tables::{
    Digest, IDENTITIES, IDENTITIES_BY_SUBJECT, ORG_SSO, PENDING_IDENTITIES,
    PENDING_IDENTITIES_BY_END,
};
use super::{Org, Read, Scan, WriteTx};
use crate::domain::error::Result;
use crate::domain::identity::{Identity, PendingIdentity, Sso};
use crate::domain::ids::{IdentityId, OrgId, UserId};
use crate::domain::time::Timestamp;

/// Where an identity is looked up: an organisation's issuer is apart from all others, so that naming
/// somebody else's issuer as one's own leads to nobody.
type Subject = (String, String, String);

fn subject_key(org_id: Option<OrgId>, issuer: &str, subject: &str) -> Subject {
    let realm = org_id.map(|id| id.to_string()).unwrap_or_default();
    (realm, issuer.to_owned(), subject.to_owned())
}

/// The identity of an issuer's subject.
pub fn by_subject(
    tx: &impl Read,
    org_id: Option<OrgId>,
    issuer: &str,
    subject: &str,
) -> Result<Option<Identity>> {
    match tx.get(&IDENTITIES_BY_SUBJECT, &subject_key(org_id, issuer, subject))? {
        Some(place) => tx.get(&IDENTITIES, &place),
        None => Ok(None),
    }
}

/// A person's identities, oldest first, at most `limit`.
pub fn of_user(tx: &impl Read, user_id: UserId, limit: usize) -> Result<Vec<Identity>> {
    let rows = tx.scan(&IDENTITIES, &Scan::prefix(&user_id).limit(limit))?;
    Ok(rows.into_iter().map(|(_, identity)| identity).collect())
}

/// Adds or writes an identity.
pub fn put(tx: &mut WriteTx, identity: &Identity) -> Result<()> {
    let place = (identity.user_id, identity.identity_id);
    let subject = subject_key(identity.org_id, &identity.issuer, &identity.subject);
    tx.put(&IDENTITIES_BY_SUBJECT, &subject, &place)?;
    tx.put(&IDENTITIES, &place, identity)
}

/// Removes an identity; what it was, if it was there.
pub fn remove(tx: &mut WriteTx, user_id: UserId, id: IdentityId) -> Result<Option<Identity>> {
    let Some(old) = tx.get(&IDENTITIES, &(user_id, id))? else { return Ok(None) };
    tx.remove(&IDENTITIES_BY_SUBJECT, &subject_key(old.org_id, &old.issuer, &old.subject))?;
    tx.remove(&IDENTITIES, &(user_id, id))?;
    Ok(Some(old))
}

/// Removes the identities of a person at an organisation's issuer.
pub fn remove_of_org(tx: &mut WriteTx, user_id: UserId, org_id: OrgId) -> Result<()> {
    for ((_, id), identity) in tx.scan(&IDENTITIES, &Scan::prefix(&user_id))? {
        if identity.org_id == Some(org_id) {
            remove(tx, user_id, id)?;
        }
    }
    Ok(())
}

/// Keeps what is to be confirmed until `end` under the hash of the mailed token.
pub fn put_pending(
    tx: &mut WriteTx,
    hash: &Digest,
    end: Timestamp,
    pending: &PendingIdentity,
) -> Result<()> {
    tx.put(&PENDING_IDENTITIES_BY_END, &(end, *hash), &true)?;
    tx.put(&PENDING_IDENTITIES, hash, &(end, pending.clone()))
}

/// What a mailed token confirms, and until when it can.
pub fn pending(tx: &impl Read, hash: &Digest) -> Result<Option<(Timestamp, PendingIdentity)>> {
    tx.get(&PENDING_IDENTITIES, hash)
}

/// The same, taken: it works once.
pub fn take_pending(
    tx: &mut WriteTx,
    hash: &Digest,
) -> Result<Option<(Timestamp, PendingIdentity)>> {
    let found = pending(tx, hash)?;
    if let Some((end, _)) = &found {
        tx.remove(&PENDING_IDENTITIES, hash)?;
        tx.remove(&PENDING_IDENTITIES_BY_END, &(*end, *hash))?;
    }
    Ok(found)
}

/// Removes what was not confirmed before `now`, at most `limit`; how many.
pub fn remove_ended(tx: &mut WriteTx, now: Timestamp, limit: usize) -> Result<usize> {
    let mut removed = 0;
    for ((end, hash), _) in tx.scan(&PENDING_IDENTITIES_BY_END, &Scan::all().limit(limit))? {
        if end > now {
            break;
        }
        take_pending(tx, &hash)?;
        removed += 1;
    }
    Ok(removed)
}

impl<T: Read> Org<'_, T> {
    /// The issuer that it names for its members.
    pub fn sso(&self) -> Result<Option<Sso>> {
        self.tx.get(&ORG_SSO, &self.id)
    }
}

/// The issuers of all organisations.
pub fn all_sso(tx: &impl Read) -> Result<Vec<Sso>> {
    Ok(tx.scan(&ORG_SSO, &Scan::all())?.into_iter().map(|(_, sso)| sso).collect())
}

/// Adds or writes the issuer that an organisation names.
pub fn put_sso(tx: &mut WriteTx, sso: &Sso) -> Result<()> {
    tx.put(&ORG_SSO, &sso.org_id, sso)
}

/// Removes the issuer that an organisation names; whether there was one.
pub fn remove_sso(tx: &mut WriteTx, org_id: OrgId) -> Result<bool> {
    tx.remove(&ORG_SSO, &org_id)
}
