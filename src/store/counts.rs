//! Running counts, so that no overview walks over all records.

use super::tables::COUNTS;
use super::{Read, WriteTx};
use crate::domain::error::Result;

/// A count; 0 when nothing was ever counted.
pub fn get(tx: &impl Read, name: &str) -> Result<u64> {
    Ok(tx.get(&COUNTS, &name.to_owned())?.unwrap_or(0))
}

/// Removes a count of what is there no more.
pub(super) fn forget(tx: &mut WriteTx, name: &str) -> Result<()> {
    tx.remove(&COUNTS, &name.to_owned()).map(drop)
}

/// Moves a count; never below 0.
pub(super) fn add(tx: &mut WriteTx, name: &str, by: i64) -> Result<()> {
    let count = get(tx, name)?.saturating_add_signed(by);
    tx.put(&COUNTS, &name.to_owned(), &count)
}
