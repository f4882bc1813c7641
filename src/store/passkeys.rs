//! Passkeys.

use sha2::{Digest as _, Sha256};

use super::tables::{Digest, PASSKEYS, PASSKEYS_BY_CREDENTIAL};
use super::{Read, Scan, WriteTx};
use crate::domain::error::Result;
use crate::domain::ids::{PasskeyId, UserId};
use crate::domain::passkey::{PASSKEYS_MAX, Passkey};

fn digest(credential_id: &[u8]) -> Digest {
    Sha256::digest(credential_id).into()
}

/// The passkey that its authenticator calls so.
pub fn by_credential(tx: &impl Read, credential_id: &[u8]) -> Result<Option<Passkey>> {
    match tx.get(&PASSKEYS_BY_CREDENTIAL, &digest(credential_id))? {
        Some(place) => tx.get(&PASSKEYS, &place),
        None => Ok(None),
    }
}

/// A person's passkeys, oldest first.
pub fn of_user(tx: &impl Read, user_id: UserId) -> Result<Vec<Passkey>> {
    let rows = tx.scan(&PASSKEYS, &Scan::prefix(&user_id).limit(PASSKEYS_MAX))?;
    Ok(rows.into_iter().map(|(_, passkey)| passkey).collect())
}

/// Adds or writes a passkey.
pub fn put(tx: &mut WriteTx, passkey: &Passkey) -> Result<()> {
    let place = (passkey.user_id, passkey.passkey_id);
    tx.put(&PASSKEYS_BY_CREDENTIAL, &digest(&passkey.credential_id), &place)?;
    tx.put(&PASSKEYS, &place, passkey)
}

/// Removes a person's passkey; the one that there was.
pub fn remove(tx: &mut WriteTx, user_id: UserId, id: PasskeyId) -> Result<Option<Passkey>> {
    let found = tx.get(&PASSKEYS, &(user_id, id))?;
    if let Some(passkey) = &found {
        tx.remove(&PASSKEYS, &(user_id, id))?;
        tx.remove(&PASSKEYS_BY_CREDENTIAL, &digest(&passkey.credential_id))?;
    }
    Ok(found)
}

/// Removes all passkeys of a person.
pub fn remove_all(tx: &mut WriteTx, user_id: UserId) -> Result<()> {
    for passkey in of_user(tx, user_id)? {
        remove(tx, user_id, passkey.passkey_id)?;
    }
    Ok(())
}
