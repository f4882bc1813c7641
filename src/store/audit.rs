//! The audit log: appended to, chained, searched, and cut off at its old end; never changed.

use std::ops::ControlFlow;

use super::table::Key;
use super::tables::{AUDIT_HEADS, AUDIT_LOG, AUDIT_LOG_BY_SUBJECT, FACTS};
use super::{Read, Scan, WriteTx};
use crate::domain::audit::{AuditEntry, AuditFilter, Link, SignedHead};
use crate::domain::error::{Error, Result};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::signing::audit;

/// Names the fact of how many entries were chained when the log became a chain.
pub(super) const CHAINED_LATE: &str = "audit_chained_late";

/// Names the fact of the last entry that was removed.
const ANCHOR: &str = "audit_anchor";

/// Entries that are looked at for one page.
const LOOKED_AT_MAX: usize = 5_000;

/// Gives the entry its number and its hash, and adds it behind all others.
///
/// The last row is the chain's end, so there is nothing beside the log that could contradict it. All
/// changes pass one writer: a change that is rolled back takes its entries with it, and the next one
/// continues where the log ends then.
pub fn append(tx: &mut WriteTx, mut entry: AuditEntry) -> Result<()> {
    let end = end(tx)?;
    entry.seq = end.seq + 1;
    entry.hash = audit::hash(&end.hash, &entry);
    for id in entry.concerns() {
        tx.put(&AUDIT_LOG_BY_SUBJECT, &(id, entry.seq), &true)?;
    }
    tx.put(&AUDIT_LOG, &entry.seq, &entry)
}

/// The last entry, or the last one that was removed where none is left.
pub fn end(tx: &impl Read) -> Result<Link> {
    match tx.first(&AUDIT_LOG, &Scan::all().descending())? {
        Some((seq, entry)) => Ok(Link { seq, hash: entry.hash }),
        None => anchor(tx),
    }
}

/// What the first entry that is left follows on: the last one that was removed.
pub fn anchor(tx: &impl Read) -> Result<Link> {
    let Some(text) = tx.get(&FACTS, &ANCHOR.to_owned())? else { return Ok(Link::genesis()) };
    serde_json::from_str(&text).map_err(Error::internal)
}

/// How many entries were chained when the log became a chain.
pub fn chained_late(tx: &impl Read) -> Result<u64> {
    let count = tx.get(&FACTS, &CHAINED_LATE.to_owned())?;
    Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
}

/// The place before an entry.
pub fn link_before(tx: &impl Read, seq: u64) -> Result<Link> {
    let anchor = anchor(tx)?;
    if seq <= anchor.seq + 1 {
        return Ok(anchor);
    }
    let before = get(tx, seq - 1)?;
    Ok(Link { seq: before.seq, hash: before.hash })
}

/// An entry that must be there.
pub fn get(tx: &impl Read, seq: u64) -> Result<AuditEntry> {
    let lost = || Error::internal(format!("entry {seq} of the audit log is gone; run `doctor`"));
    tx.get(&AUDIT_LOG, &seq)?.ok_or_else(lost)
}

/// At most `limit` entries from a number on, oldest first.
pub fn starting_at(tx: &impl Read, seq: u64, limit: usize) -> Result<Vec<AuditEntry>> {
    let rows = tx.scan(&AUDIT_LOG, &Scan::all().starting_at(&seq).limit(limit))?;
    Ok(rows.into_iter().map(|(_, entry)| entry).collect())
}

/// The number of the first entry that is not from before a time, or of the one that comes next.
/// Found by halving: where a clock was set back, entries around that may be on either side.
pub fn first_at(tx: &impl Read, at: Timestamp) -> Result<u64> {
    let (mut low, mut high) = (anchor(tx)?.seq + 1, end(tx)?.seq + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if get(tx, middle)?.at < at {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// A page of the log, newest first. A page may be short, or empty, and have a next one all the same:
/// no more than 5,000 entries are looked at for it.
///
/// The history of an organisation begins where entries of its people were first noted under it. There is no
/// migration for older ones: no version was released that has this index without them.
pub fn list(
    tx: &impl Read,
    filter: &AuditFilter,
    request: &PageRequest,
) -> Result<Page<AuditEntry>> {
    let mut found = Found::new(filter, request);
    if let Some(subject) = &filter.subject {
        let scan = Scan::prefix(subject).descending().after(request.after.clone());
        let removed = anchor(tx)?.seq;
        for key in tx.scan_keys(&AUDIT_LOG_BY_SUBJECT, &scan.limit(LOOKED_AT_MAX + 1))? {
            // A build that knew no such notes has removed entries and left theirs, all of them further down.
            if key.1 <= removed {
                break;
            }
            let entry = get(tx, key.1)?;
            if found.look_at(key.encode(), entry).is_break() {
                break;
            }
        }
        return Ok(found.page);
    }
    let mut scan = Scan::all().descending().after(request.after.clone()).limit(LOOKED_AT_MAX + 1);
    if let Some(to) = filter.to {
        // A day more, for clocks that were set.
        scan = scan.below(&first_at(tx, to + DAY_MS)?);
    }
    tx.visit(&AUDIT_LOG, &scan, |seq, entry| Ok(found.look_at(seq.encode(), entry)))?;
    Ok(found.page)
}

/// A page in the making.
struct Found<'a> {
    filter: &'a AuditFilter,
    limit: usize,
    looked_at: usize,
    last: Option<Vec<u8>>,
    page: Page<AuditEntry>,
}

impl<'a> Found<'a> {
    fn new(filter: &'a AuditFilter, request: &PageRequest) -> Self {
        let page = Page { items: Vec::new(), next: None };
        Self { filter, limit: request.limit, looked_at: 0, last: None, page }
    }

    fn look_at(&mut self, key: Vec<u8>, entry: AuditEntry) -> ControlFlow<()> {
        if self.filter.from.is_some_and(|from| entry.at + DAY_MS < from) {
            return ControlFlow::Break(());
        }
        if self.page.items.len() == self.limit || self.looked_at == LOOKED_AT_MAX {
            self.page.next = self.last.take();
            return ControlFlow::Break(());
        }
        self.looked_at += 1;
        self.last = Some(key);
        if self.filter.keeps(&entry) {
            self.page.items.push(entry);
        }
        ControlFlow::Continue(())
    }
}

/// Adds a signed day.
pub fn put_head(tx: &mut WriteTx, head: &SignedHead) -> Result<()> {
    tx.put(&AUDIT_HEADS, &head.link.seq, head)
}

/// The newest signed day.
pub fn last_head(tx: &impl Read) -> Result<Option<SignedHead>> {
    Ok(tx.first(&AUDIT_HEADS, &Scan::all().descending())?.map(|(_, head)| head))
}

/// The signed days whose last entry has a number from `first` up to `last`, both included.
pub fn heads(tx: &impl Read, first: u64, last: u64) -> Result<Vec<SignedHead>> {
    let scan = Scan::all().starting_at(&first).below(&last.saturating_add(1));
    Ok(tx.scan(&AUDIT_HEADS, &scan)?.into_iter().map(|(_, head)| head).collect())
}

/// Removes at most `limit` of the oldest entries, as far as they are from before a time and a signed day
/// covers them, with the signed days before the last of those; how many entries. The last one that was
/// removed is kept as what the rest follows on.
pub fn remove_old(tx: &mut WriteTx, before: Timestamp, limit: usize) -> Result<usize> {
    let Some(signed) = last_head(tx)? else { return Ok(0) };
    let mut last = None;
    let mut removed = 0;
    for (seq, entry) in tx.scan(&AUDIT_LOG, &Scan::all().limit(limit))? {
        if entry.at >= before || seq > signed.link.seq {
            break;
        }
        for id in entry.concerns() {
            tx.remove(&AUDIT_LOG_BY_SUBJECT, &(id, seq))?;
        }
        tx.remove(&AUDIT_LOG, &seq)?;
        last = Some(Link { seq, hash: entry.hash });
        removed += 1;
    }
    let Some(anchor) = last else { return Ok(0) };
    for seq in tx.scan_keys(&AUDIT_HEADS, &Scan::all().below(&anchor.seq).limit(limit))? {
        tx.remove(&AUDIT_HEADS, &seq)?;
    }
    let anchor = serde_json::to_string(&anchor).map_err(Error::internal)?;
    tx.put(&FACTS, &ANCHOR.to_owned(), &anchor)?;
    Ok(removed)
}

/// Checks the last `most` entries: numbers without gaps, and hashes that follow on one another. Gives
/// how many were looked at, or what is wrong.
pub fn check(tx: &impl Read, most: u64) -> Result<std::result::Result<u64, String>> {
    let (anchor, end) = (anchor(tx)?, end(tx)?);
    let first = (anchor.seq + 1).max((end.seq + 1).saturating_sub(most));
    let mut before = match tx.get(&AUDIT_LOG, &(first - 1))? {
        Some(entry) => entry.hash,
        None if first == anchor.seq + 1 => anchor.hash,
        None => return Ok(Err(format!("entry {} is missing", first - 1))),
    };
    let mut expected = first;
    for entry in starting_at(tx, first, most as usize)? {
        if entry.seq != expected {
            return Ok(Err(format!("entry {expected} is missing")));
        }
        if audit::hash(&before, &entry) != entry.hash {
            return Ok(Err(format!("entry {expected} is not what was written")));
        }
        before = entry.hash;
        expected += 1;
    }
    if let Some(head) = last_head(tx)? {
        let cut_short = head.link.seq > end.seq;
        if cut_short || link_before(tx, head.link.seq + 1)? != head.link {
            return Ok(Err(format!("the log differs from what was signed of {}", head.day)));
        }
    }
    Ok(Ok(expected - first))
}
