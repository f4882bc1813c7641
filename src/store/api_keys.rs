//! Keys by which programs act for a person.

use super::tables::{API_KEYS, API_KEYS_BY_HASH, Digest};
use super::{Read, Scan, WriteTx};
use crate::domain::api_key::ApiKey;
use crate::domain::error::{Error, Result};
use crate::domain::ids::{ApiKeyId, OrgId, UserId};

/// The key whose secret has this hash.
pub fn by_hash(tx: &impl Read, hash: &Digest) -> Result<Option<ApiKey>> {
    match tx.get(&API_KEYS_BY_HASH, hash)? {
        Some(key) => Ok(tx.get(&API_KEYS, &key)?.map(|(_, key)| key)),
        None => Ok(None),
    }
}

/// A person's key.
pub fn find(tx: &impl Read, user_id: UserId, id: ApiKeyId) -> Result<Option<ApiKey>> {
    Ok(tx.get(&API_KEYS, &(user_id, id))?.map(|(_, key)| key))
}

/// A person's keys, oldest first, at most `limit`.
pub fn of_user(tx: &impl Read, user_id: UserId, limit: usize) -> Result<Vec<ApiKey>> {
    let rows = tx.scan(&API_KEYS, &Scan::prefix(&user_id).limit(limit))?;
    Ok(rows.into_iter().map(|(_, (_, key))| key).collect())
}

/// Adds a key under the hash of its secret.
pub fn insert(tx: &mut WriteTx, hash: &Digest, key: &ApiKey) -> Result<()> {
    let place = (key.user_id, key.api_key_id);
    tx.put(&API_KEYS_BY_HASH, hash, &place)?;
    tx.put(&API_KEYS, &place, &(*hash, key.clone()))
}

/// Writes a key that is there still; whether it is.
pub fn update(tx: &mut WriteTx, key: &ApiKey) -> Result<bool> {
    let place = (key.user_id, key.api_key_id);
    let Some((hash, _)) = tx.get(&API_KEYS, &place)? else { return Ok(false) };
    tx.put(&API_KEYS, &place, &(hash, key.clone()))?;
    Ok(true)
}

/// Removes all keys of a person.
pub fn remove_all(tx: &mut WriteTx, user_id: UserId) -> Result<()> {
    for (_, id) in tx.scan_keys(&API_KEYS, &Scan::prefix(&user_id))? {
        remove(tx, user_id, id)?;
    }
    Ok(())
}

/// Removes the keys of a person that act for this tenant.
pub fn remove_of_org(tx: &mut WriteTx, user_id: UserId, org_id: OrgId) -> Result<()> {
    for (place, (_, key)) in tx.scan(&API_KEYS, &Scan::prefix(&user_id))? {
        if key.org_id == Some(org_id) {
            remove(tx, user_id, place.1)?;
        }
    }
    Ok(())
}

/// Removes a person's key: its secret opens nothing any more.
pub fn remove(tx: &mut WriteTx, user_id: UserId, id: ApiKeyId) -> Result<ApiKey> {
    let place = (user_id, id);
    let (hash, key) = tx.get(&API_KEYS, &place)?.ok_or_else(|| Error::not_found("API key"))?;
    tx.remove(&API_KEYS_BY_HASH, &hash)?;
    tx.remove(&API_KEYS, &place)?;
    Ok(key)
}
