//! What directories of tenants have said, and the tokens that they present.

use std::collections::BTreeSet;

use super::tables::{
    Digest, HELD_TEAM_MEMBERS, MEMBERSHIPS, PROVISIONED, PROVISIONED_BY_EXTERNAL_ID,
    PROVISIONING_TOKENS, PROVISIONING_TOKENS_BY_HASH,
};
use super::{Org, Read, Scan, WriteTx, page, teams};
use crate::domain::error::{Error, Result};
use crate::domain::ids::{OrgId, ProvisioningTokenId, TeamId, UserId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::provisioning::{DirectoryPerson, ProvisioningToken};
use crate::domain::time::Timestamp;

/// The most tokens of an organisation: two, so that one can take over from the other.
pub const TOKENS_MAX: usize = 2;
/// The most people whom a directory speaks of, those who have left included.
pub const PROVISIONED_MAX: u64 = 20_000;

impl<T: Read> Org<'_, T> {
    /// Its provisioning tokens, oldest first.
    pub fn provisioning_tokens(&self) -> Result<Vec<ProvisioningToken>> {
        let rows = self.tx.scan(&PROVISIONING_TOKENS, &Scan::prefix(&self.id).limit(TOKENS_MAX))?;
        Ok(rows.into_iter().map(|(_, (_, token))| token).collect())
    }

    /// Whether a directory provisions its people: it has a token that is good.
    pub fn has_directory(&self, now: Timestamp) -> Result<bool> {
        self.provisioning_tokens().map(|tokens| tokens.iter().any(|token| token.is_good(now)))
    }

    /// What its directory has said of somebody.
    pub fn provisioned(&self, user_id: UserId) -> Result<Option<DirectoryPerson>> {
        self.tx.get(&PROVISIONED, &(self.id, user_id))
    }

    /// Whether its directory does not want somebody there, who does not belong to it either.
    pub fn is_deactivated(&self, user_id: UserId, now: Timestamp) -> Result<bool> {
        let said = self.provisioned(user_id)?;
        Ok(said.is_some_and(|said| !said.active)
            && self.membership(user_id)?.is_none()
            && self.has_directory(now)?)
    }

    /// What its directory has said of everybody.
    pub fn all_provisioned(&self, request: &PageRequest) -> Result<Page<DirectoryPerson>> {
        page(self.tx, &PROVISIONED, Scan::prefix(&self.id), request)
    }

    /// Of how many people its directory has spoken.
    pub fn provisioned_count(&self) -> Result<u64> {
        self.tx.count(&PROVISIONED, &Scan::prefix(&self.id))
    }

    /// Whom its directory calls by this id of its own.
    pub fn provisioned_as(&self, external_id: &str) -> Result<Vec<UserId>> {
        let prefix = Scan::prefix(&(self.id, external_id.to_owned()));
        let keys = self.tx.scan_keys(&PROVISIONED_BY_EXTERNAL_ID, &prefix)?;
        Ok(keys.into_iter().map(|(_, _, user_id)| user_id).collect())
    }

    /// Whoever belongs to it, and whoever its directory has spoken of, in the order in which their
    /// accounts were made.
    pub fn people(&self) -> Result<BTreeSet<UserId>> {
        let members = self.tx.scan_keys(&MEMBERSHIPS, &Scan::prefix(&self.id))?;
        let spoken_of = self.tx.scan_keys(&PROVISIONED, &Scan::prefix(&self.id))?;
        Ok(members.into_iter().chain(spoken_of).map(|(_, user_id)| user_id).collect())
    }

    /// Who belongs to a team again as soon as they belong to the organisation.
    pub fn held_members(&self, team_id: TeamId) -> Result<Vec<UserId>> {
        let keys = self.tx.scan_keys(&HELD_TEAM_MEMBERS, &Scan::prefix(&(self.id, team_id)))?;
        Ok(keys.into_iter().map(|(_, _, user_id)| user_id).collect())
    }

    /// Whether somebody is one of those.
    pub fn is_held(&self, team_id: TeamId, user_id: UserId) -> Result<bool> {
        self.tx.contains(&HELD_TEAM_MEMBERS, &(self.id, team_id, user_id))
    }
}

/// The token whose secret has this hash.
pub fn token_by_hash(tx: &impl Read, hash: &Digest) -> Result<Option<ProvisioningToken>> {
    match tx.get(&PROVISIONING_TOKENS_BY_HASH, hash)? {
        Some(place) => Ok(tx.get(&PROVISIONING_TOKENS, &place)?.map(|(_, token)| token)),
        None => Ok(None),
    }
}

/// Adds a token under the hash of its secret.
pub fn insert_token(tx: &mut WriteTx, hash: &Digest, token: &ProvisioningToken) -> Result<()> {
    let place = (token.org_id, token.provisioning_token_id);
    tx.put(&PROVISIONING_TOKENS_BY_HASH, hash, &place)?;
    tx.put(&PROVISIONING_TOKENS, &place, &(*hash, token.clone()))
}

/// Writes a token that is there still; whether it is.
pub fn update_token(tx: &mut WriteTx, token: &ProvisioningToken) -> Result<bool> {
    let place = (token.org_id, token.provisioning_token_id);
    let Some((hash, _)) = tx.get(&PROVISIONING_TOKENS, &place)? else { return Ok(false) };
    tx.put(&PROVISIONING_TOKENS, &place, &(hash, token.clone()))?;
    Ok(true)
}

/// Removes a token: its secret opens nothing any more.
pub fn remove_token(
    tx: &mut WriteTx,
    org_id: OrgId,
    id: ProvisioningTokenId,
) -> Result<ProvisioningToken> {
    let place = (org_id, id);
    let found = tx.get(&PROVISIONING_TOKENS, &place)?;
    let (hash, token) = found.ok_or_else(|| Error::not_found("provisioning token"))?;
    tx.remove(&PROVISIONING_TOKENS_BY_HASH, &hash)?;
    tx.remove(&PROVISIONING_TOKENS, &place)?;
    Ok(token)
}

/// Adds or writes what a directory says of somebody.
pub fn put(tx: &mut WriteTx, person: &DirectoryPerson) -> Result<()> {
    remove(tx, person.org_id, person.user_id)?;
    if let Some(external_id) = &person.external_id {
        let key = (person.org_id, external_id.clone(), person.user_id);
        tx.put(&PROVISIONED_BY_EXTERNAL_ID, &key, &true)?;
    }
    tx.put(&PROVISIONED, &(person.org_id, person.user_id), person)
}

/// Forgets what a directory has said of somebody; whether it had said anything.
pub fn remove(tx: &mut WriteTx, org_id: OrgId, user_id: UserId) -> Result<bool> {
    let Some(old) = tx.get(&PROVISIONED, &(org_id, user_id))? else { return Ok(false) };
    if let Some(external_id) = old.external_id {
        tx.remove(&PROVISIONED_BY_EXTERNAL_ID, &(org_id, external_id, user_id))?;
    }
    tx.remove(&PROVISIONED, &(org_id, user_id))
}

/// Remembers that somebody is to belong to a team as soon as they belong to the organisation.
pub fn hold(tx: &mut WriteTx, org_id: OrgId, team_id: TeamId, user_id: UserId) -> Result<()> {
    tx.put(&HELD_TEAM_MEMBERS, &(org_id, team_id, user_id), &true)
}

/// Forgets that; whether it was remembered.
pub fn let_go(tx: &mut WriteTx, org_id: OrgId, team_id: TeamId, user_id: UserId) -> Result<bool> {
    tx.remove(&HELD_TEAM_MEMBERS, &(org_id, team_id, user_id))
}

/// Forgets that for everybody of a team.
pub fn let_all_go(tx: &mut WriteTx, org_id: OrgId, team_id: TeamId) -> Result<()> {
    for key in tx.scan_keys(&HELD_TEAM_MEMBERS, &Scan::prefix(&(org_id, team_id)))? {
        tx.remove(&HELD_TEAM_MEMBERS, &key)?;
    }
    Ok(())
}

/// Gives the teams of a directory to whoever manages the organisation by hand.
pub fn release_teams(tx: &mut WriteTx, org_id: OrgId) -> Result<()> {
    for mut team in super::org(tx, org_id).all_teams()? {
        if team.directory.take().is_some() {
            let_all_go(tx, org_id, team.team_id)?;
            teams::put(tx, &team)?;
        }
    }
    Ok(())
}

/// Forgets what a directory has said of people, at most `limit`, and its tokens; how many.
pub fn forget(tx: &mut WriteTx, org_id: OrgId, limit: usize) -> Result<usize> {
    for token in super::org(tx, org_id).provisioning_tokens()? {
        remove_token(tx, org_id, token.provisioning_token_id)?;
    }
    let some = tx.scan_keys(&PROVISIONED, &Scan::prefix(&org_id).limit(limit))?;
    for (_, user_id) in &some {
        remove(tx, org_id, *user_id)?;
    }
    Ok(some.len())
}
