//! A page of a table, and a page found through an index.

use std::ops::ControlFlow;

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

/// A page of records, newest first, each looked up by a key of an index that `scan` reads.
pub(super) fn through_keys<K: Key, V>(
    tx: &impl Read,
    index: &Table<K, bool>,
    scan: Scan,
    request: &PageRequest,
    mut look_up: impl FnMut(K) -> Result<Option<V>>,
) -> Result<Page<V>> {
    let scan = scan.descending().after(request.after.clone()).limit(request.limit + 1);
    let mut keys = tx.scan_keys(index, &scan)?;
    let more = keys.len() > request.limit;
    keys.truncate(request.limit);
    let next = if more { keys.last().map(Key::encode) } else { None };
    let mut items = Vec::with_capacity(keys.len());
    for key in keys {
        items.extend(look_up(key)?);
    }
    Ok(Page { items, next })
}

/// Rows that are looked at for one page of those that a filter keeps.
const LOOKED_AT_MAX: usize = 5_000;

/// A page of the rows that `keep` keeps, newest first. A page may be short, or empty, and have a
/// next one all the same: no more than [`LOOKED_AT_MAX`] rows are looked at for it.
pub(super) fn filtered<K: Key, V: Row>(
    tx: &impl Read,
    table: &Table<K, V>,
    scan: Scan,
    request: &PageRequest,
    keep: impl Fn(&V) -> bool,
) -> Result<Page<V>> {
    let scan = scan.descending().after(request.after.clone()).limit(LOOKED_AT_MAX + 1);
    let (mut items, mut looked_at, mut last, mut next) = (Vec::new(), 0, None, None);
    tx.visit(table, &scan, |key, row| {
        if items.len() == request.limit || looked_at == LOOKED_AT_MAX {
            next = last.take();
            return Ok(ControlFlow::Break(()));
        }
        looked_at += 1;
        last = Some(key.encode());
        if keep(&row) {
            items.push(row);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Page { items, next })
}
