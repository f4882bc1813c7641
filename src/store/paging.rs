//! A page of a table, and a page found through an index.

use super::table::{Key, Row, Scan, Table};
use super::tx::Read;
use crate::domain::error::Result;
use crate::domain::page::{Page, PageRequest};

/// A page of the rows of a scan. One row more than asked for is read, to know whether there are more.
pub(super) fn page<K: Key, V: Row>(
    tx: &impl Read,
    table: &Table<K, V>,
    scan: Scan,
    request: &PageRequest,
) -> Result<Page<V>> {
    let mut rows = tx.scan(table, &scan.after(request.after.clone()).limit(request.limit + 1))?;
    let more = rows.len() > request.limit;
    rows.truncate(request.limit);
    let next = if more { rows.last().map(|(key, _)| key.encode()) } else { None };
    Ok(Page { items: rows.into_iter().map(|(_, row)| row).collect(), next })
}

/// A page of records, newest first, each looked up by what an index says of it.
pub(super) fn through_index<K: Key + Copy, I: Row, V>(
    tx: &impl Read,
    index: &Table<K, I>,
    request: &PageRequest,
    mut look_up: impl FnMut(K, I) -> Result<Option<V>>,
) -> Result<Page<V>> {
    let scan = Scan::all().descending().after(request.after.clone()).limit(request.limit + 1);
    let mut entries = tx.scan(index, &scan)?;
    let more = entries.len() > request.limit;
    entries.truncate(request.limit);
    let next = if more { entries.last().map(|(key, _)| key.encode()) } else { None };
    let mut items = Vec::with_capacity(entries.len());
    for (key, entry) in entries {
        items.extend(look_up(key, entry)?);
    }
    Ok(Page { items, next })
}
