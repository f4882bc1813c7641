//! Second factors.

use super::tables::SECOND_FACTORS;
use super::{Read, Scan, WriteTx};
use crate::domain::error::Result;
use crate::domain::ids::UserId;
use crate::domain::second_factor::SecondFactor;

/// What there is of a person's second factor: one in use, or one that waits for its first code.
pub fn find(tx: &impl Read, user_id: UserId) -> Result<Option<SecondFactor>> {
    tx.get(&SECOND_FACTORS, &user_id)
}

/// Every person's.
pub fn all(tx: &impl Read) -> Result<Vec<SecondFactor>> {
    let rows = tx.scan(&SECOND_FACTORS, &Scan::all())?;
    Ok(rows.into_iter().map(|(_, factor)| factor).collect())
}

/// Adds or writes a person's second factor.
pub fn put(tx: &mut WriteTx, factor: &SecondFactor) -> Result<()> {
    tx.put(&SECOND_FACTORS, &factor.user_id, factor)
}

/// Removes a person's second factor.
pub fn remove(tx: &mut WriteTx, user_id: UserId) -> Result<()> {
    tx.remove(&SECOND_FACTORS, &user_id).map(drop)
}
