//! Transactions: what queries and changes are written against.
//!
//! Queries take `&impl Read` and thus work inside a read and inside a write alike.
//! A [`WriteTx`] gathers its changes in an overlay over the group's transaction: a
//! closure that fails drops its overlay and nothing else, which a savepoint of the
//! database could not do in the middle of a transaction.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, TableError};

use super::table::{Bytes, Key, Row, Scan, Span, Table};
use crate::domain::error::{Error, Result};

/// The log of seats: a record for all that was appended within a while.
pub const SEAT_LOG: Table<u64, Bytes> = Table::new("seat_log");

/// Facts about the file itself, by name.
pub(super) const META: Table<String, u64> = Table::new("meta");

/// In [`META`]: no seat-log record below this number may be written any more.
const SEAT_LOG_FLOOR: &str = "seat_log_floor";

/// How every table is stored: the typing is ours, see [`super::table`].
pub(super) type RawTable = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Called with each encoded key and row; says whether to go on.
pub(super) type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'v;

/// Called with the encoded row, where there is one.
pub(super) type Found<'f> = dyn FnMut(&[u8]) -> Result<()> + 'f;

/// Encoded reads: what a read transaction, a group and an overlay have in common.
pub(super) trait RawRead {
    fn raw_get(&self, table: &'static str, key: &[u8], found: &mut Found<'_>) -> Result<()>;
    fn raw_scan(&self, table: &'static str, span: Span<'_>, visit: &mut Visit<'_>) -> Result<()>;
    fn raw_len(&self, table: &'static str) -> Result<u64>;
}

mod sealed {
    /// Keeps encoded access inside the store: only its transactions are readable.
    pub trait Source {
        #[allow(private_interfaces, reason = "the trait cannot be named outside the store")]
        fn raw(&self) -> &dyn super::RawRead;
    }
}

/// Typed reads, in a [`ReadTx`] and in a [`WriteTx`] alike.
pub trait Read: sealed::Source {
    /// The row under `key`.
    fn get<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>> {
        let mut row = None;
        self.raw().raw_get(table.name(), &key.encode(), &mut |bytes| {
            row = Some(V::from_bytes(bytes)?);
            Ok(())
        })?;
        Ok(row)
    }

    /// Whether there is a row under `key`; does not decode it.
    fn contains<K: Key, V: Row>(&self, table: &Table<K, V>, key: &K) -> Result<bool> {
        let mut there = false;
        self.raw().raw_get(table.name(), &key.encode(), &mut |_| {
            there = true;
            Ok(())
        })?;
        Ok(there)
    }

    /// The keys and rows of a scan, in its order.
    fn scan<K: Key, V: Row>(&self, table: &Table<K, V>, scan: &Scan) -> Result<Vec<(K, V)>> {
        let mut rows = Vec::new();
        self.visit(table, scan, |key, row| {
            rows.push((key, row));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(rows)
    }

    /// The keys of a scan, without decoding its rows.
    fn scan_keys<K: Key, V: Row>(&self, table: &Table<K, V>, scan: &Scan) -> Result<Vec<K>> {
        let mut keys = Vec::new();
        visit_raw(self.raw(), table.name(), scan, &mut |key, _| {
            keys.push(K::decode(key)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(keys)
    }

    /// The first key and row of a scan.
    fn first<K: Key, V: Row>(&self, table: &Table<K, V>, scan: &Scan) -> Result<Option<(K, V)>> {
        Ok(self.scan(table, &scan.clone().limit(scan.most_rows().min(1)))?.pop())
    }

    /// Walks a scan until it ends, its limit is reached or `each` breaks off.
    ///
    /// For filters: a scan without limit whose closure breaks off when the page is full.
    fn visit<K: Key, V: Row>(
        &self,
        table: &Table<K, V>,
        scan: &Scan,
        mut each: impl FnMut(K, V) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        visit_raw(self.raw(), table.name(), scan, &mut |key, row| {
            each(K::decode(key)?, V::from_bytes(row)?)
        })
    }

    /// How many rows a scan has; walks them without decoding.
    fn count<K: Key, V: Row>(&self, table: &Table<K, V>, scan: &Scan) -> Result<u64> {
        let mut rows = 0;
        visit_raw(self.raw(), table.name(), scan, &mut |_, _| {
            rows += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(rows)
    }

    /// How many rows the table has; known without a walk.
    fn len<K: Key, V: Row>(&self, table: &Table<K, V>) -> Result<u64> {
        self.raw().raw_len(table.name())
    }

    /// The oldest record of the seat log.
    fn log_oldest(&self) -> Result<Option<(u64, Vec<u8>)>> {
        Ok(self.first(&SEAT_LOG, &Scan::all())?.map(|(seq, bytes)| (seq, bytes.0)))
    }
}

impl<T: sealed::Source> Read for T {}

fn visit_raw(
    source: &dyn RawRead,
    table: &'static str,
    scan: &Scan,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let Some(range) = scan.span() else { return Ok(()) };
    let mut left = scan.most_rows();
    if left == 0 {
        return Ok(());
    }
    source.raw_scan(table, range, &mut |key, row| {
        left -= 1;
        let flow = visit(key, row)?;
        Ok(if left == 0 { ControlFlow::Break(()) } else { flow })
    })
}

/// A consistent view of what was committed when it began. Keep it short: while it is
/// open the file cannot reuse the pages that newer commits free.
pub struct ReadTx {
    txn: redb::ReadTransaction,
    /// Opening a table costs a look-up in the table of tables. `None`: it does not exist yet.
    tables: RefCell<BTreeMap<&'static str, Option<Rc<ReadTable>>>>,
}

type ReadTable = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

impl ReadTx {
    pub(super) fn new(txn: redb::ReadTransaction) -> Self {
        Self { txn, tables: RefCell::default() }
    }

    fn table(&self, name: &'static str) -> Result<Option<Rc<ReadTable>>> {
        if let Some(table) = self.tables.borrow().get(name) {
            return Ok(table.clone());
        }
        let table = match self.txn.open_table(RawTable::new(name)) {
            Ok(table) => Some(Rc::new(table)),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(Error::storage(error)),
        };
        self.tables.borrow_mut().insert(name, table.clone());
        Ok(table)
    }
}

impl sealed::Source for ReadTx {
    #[allow(private_interfaces, reason = "the trait cannot be named outside the store")]
    fn raw(&self) -> &dyn RawRead {
        self
    }
}

impl RawRead for ReadTx {
    fn raw_get(&self, table: &'static str, key: &[u8], found: &mut Found<'_>) -> Result<()> {
        self.table(table)?.map_or(Ok(()), |table| get_in(&*table, key, found))
    }

    fn raw_scan(&self, table: &'static str, span: Span<'_>, visit: &mut Visit<'_>) -> Result<()> {
        self.table(table)?.map_or(Ok(()), |table| scan_in(&*table, span, visit))
    }

    fn raw_len(&self, table: &'static str) -> Result<u64> {
        self.table(table)?.map_or(Ok(0), |table| table.len().map_err(Error::storage))
    }
}

fn get_in<T>(table: &T, key: &[u8], found: &mut Found<'_>) -> Result<()>
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    match table.get(key).map_err(Error::storage)? {
        Some(row) => found(row.value()),
        None => Ok(()),
    }
}

fn scan_in<T>(table: &T, span: Span<'_>, visit: &mut Visit<'_>) -> Result<()>
where
    T: ReadableTable<&'static [u8], &'static [u8]>,
{
    let mut rows = table.range::<&[u8]>((span.lower, span.upper)).map_err(Error::storage)?;
    loop {
        let next = if span.descending { rows.next_back() } else { rows.next() };
        let Some(row) = next else { return Ok(()) };
        let (key, value) = row.map_err(Error::storage)?;
        if visit(key.value(), value.value())?.is_break() {
            return Ok(());
        }
    }
}

/// One group's transaction: its open tables and the seat log's next record.
pub(super) struct Group<'txn> {
    txn: &'txn redb::WriteTransaction,
    tables: RefCell<BTreeMap<&'static str, Rc<WriteTable<'txn>>>>,
    log: RefCell<LogTail<'txn>>,
    touched: RefCell<Vec<Touched>>,
}

type WriteTable<'txn> = redb::Table<'txn, &'static [u8], &'static [u8]>;

/// A key that a group changed, and in which table.
pub(super) type Touched = (&'static str, Vec<u8>);

/// The end of the seat log.
struct LogTail<'r> {
    next_seq: u64,
    /// What the next record is to have, appended before the group began.
    gathered: &'r [u8],
}

/// What a group did to the database.
pub(super) struct GroupEffect {
    pub(super) touched: Vec<Touched>,
    pub(super) next_seq: u64,
}

impl<'txn> Group<'txn> {
    /// `next_seq`: the number of the seat log's next record; `gathered`: what it is to have.
    pub(super) fn new(
        txn: &'txn redb::WriteTransaction,
        next_seq: u64,
        gathered: &'txn [u8],
    ) -> Self {
        Self {
            txn,
            tables: RefCell::default(),
            log: RefCell::new(LogTail { next_seq, gathered }),
            touched: RefCell::default(),
        }
    }

    /// Runs `f` on an overlay and keeps what it changed when it succeeds.
    ///
    /// The outer error is the group's (storage failed), the inner one the closure's own.
    pub(super) fn run<T>(
        &self,
        f: impl FnOnce(&mut WriteTx<'_>) -> Result<T>,
    ) -> Result<Result<T>> {
        let mut tx = WriteTx { group: self, overlay: BTreeMap::new(), log_appends: 0 };
        match f(&mut tx) {
            Ok(value) => {
                let WriteTx { overlay, log_appends, .. } = tx;
                self.apply(overlay)?;
                self.log.borrow_mut().next_seq += log_appends;
                Ok(Ok(value))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// Closes the tables. A group that changed something, or that is to `fold` the seat log's
    /// end into the database, takes along what has gathered.
    pub(super) fn finish(self, fold: bool) -> Result<GroupEffect> {
        if fold || !self.touched.borrow().is_empty() {
            self.flush_log()?;
        }
        let next_seq = self.log.into_inner().next_seq;
        Ok(GroupEffect { touched: self.touched.into_inner(), next_seq })
    }

    fn apply(&self, overlay: Overlay) -> Result<()> {
        for (name, changes) in overlay {
            for (key, row) in changes {
                self.write(name, key, row.as_deref())?;
            }
        }
        Ok(())
    }

    fn write(&self, name: &'static str, key: Vec<u8>, row: Option<&[u8]>) -> Result<()> {
        self.table(name)?;
        let mut tables = self.tables.borrow_mut();
        let table = tables
            .get_mut(name)
            .and_then(Rc::get_mut)
            .ok_or_else(|| Error::internal("a table was changed while it was being read"))?;
        let changed = match row {
            Some(row) => table.insert(key.as_slice(), row).map(drop),
            None => table.remove(key.as_slice()).map(drop),
        };
        changed.map_err(Error::storage)?;
        self.touched.borrow_mut().push((name, key));
        Ok(())
    }

    fn table(&self, name: &'static str) -> Result<Rc<WriteTable<'txn>>> {
        if let Some(table) = self.tables.borrow().get(name) {
            return Ok(Rc::clone(table));
        }
        let table = Rc::new(self.txn.open_table(RawTable::new(name)).map_err(Error::storage)?);
        self.tables.borrow_mut().insert(name, Rc::clone(&table));
        Ok(table)
    }
}

/// A group as an overlay sees it, whatever the lifetime of its transaction.
trait Base: RawRead {
    /// Makes what has gathered a record, so that what follows comes behind it; says the
    /// number of the next record.
    fn flush_log(&self) -> Result<u64>;
}

impl Base for Group<'_> {
    fn flush_log(&self) -> Result<u64> {
        let mut log = self.log.borrow_mut();
        if !log.gathered.is_empty() {
            let record = std::mem::take(&mut log.gathered);
            self.write(SEAT_LOG.name(), log.next_seq.encode(), Some(record))?;
            log.next_seq += 1;
        }
        Ok(log.next_seq)
    }
}

impl RawRead for Group<'_> {
    fn raw_get(&self, table: &'static str, key: &[u8], found: &mut Found<'_>) -> Result<()> {
        get_in(&*self.table(table)?, key, found)
    }

    fn raw_scan(&self, table: &'static str, span: Span<'_>, visit: &mut Visit<'_>) -> Result<()> {
        scan_in(&*self.table(table)?, span, visit)
    }

    fn raw_len(&self, table: &'static str) -> Result<u64> {
        self.table(table)?.len().map_err(Error::storage)
    }
}

type Overlay = BTreeMap<&'static str, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// A change in the making: reads see what it has written so far, others see nothing of
/// it until its group is committed.
pub struct WriteTx<'group> {
    group: &'group dyn Base,
    /// `None` for a row that was removed.
    overlay: Overlay,
    log_appends: u64,
}

impl WriteTx<'_> {
    /// Writes the row under `key`, in place of what was there.
    pub fn put<K: Key, V: Row>(&mut self, table: &Table<K, V>, key: &K, row: &V) -> Result<()> {
        let row = row.to_bytes()?;
        self.overlay.entry(table.name()).or_default().insert(key.encode(), Some(row));
        Ok(())
    }

    /// Removes the row under `key` and says whether there was one.
    pub fn remove<K: Key, V: Row>(&mut self, table: &Table<K, V>, key: &K) -> Result<bool> {
        let there = self.contains(table, key)?;
        if there {
            self.overlay.entry(table.name()).or_default().insert(key.encode(), None);
        }
        Ok(there)
    }

    /// Appends a record to the seat log, behind all that was appended before this closure,
    /// and says its number.
    pub fn log_append(&mut self, bytes: Vec<u8>) -> Result<u64> {
        let seq = self.group.flush_log()? + self.log_appends;
        self.log_appends += 1;
        self.put(&SEAT_LOG, &seq, &Bytes(bytes))?;
        Ok(seq)
    }

    /// Removes a record of the seat log and says whether there was one. Its number is
    /// never used again, even when the log becomes empty.
    pub fn log_remove(&mut self, seq: u64) -> Result<bool> {
        let floor = SEAT_LOG_FLOOR.to_owned();
        if self.get(&META, &floor)?.unwrap_or(0) <= seq {
            self.put(&META, &floor, &(seq + 1))?;
        }
        self.remove(&SEAT_LOG, &seq)
    }
}

/// The number of the next record of the seat log. Numbers start at 1.
pub(super) fn next_log_seq(tx: &impl Read) -> Result<u64> {
    let newest = tx.scan_keys(&SEAT_LOG, &Scan::all().descending().limit(1))?.pop();
    let floor = tx.get(&META, &SEAT_LOG_FLOOR.to_owned())?.unwrap_or(1);
    Ok(newest.map_or(1, |seq| seq + 1).max(floor))
}

/// At most `limit` records of the seat log from number `from_seq` on; behind those in the database
/// the one that gathers, if it has something.
pub(super) fn log_records(
    tx: &ReadTx,
    (seq, gathered): (u64, &[u8]),
    from_seq: u64,
    limit: usize,
) -> Result<Vec<(u64, Vec<u8>)>> {
    let scan = Scan::all().starting_at(&from_seq).limit(limit);
    let stored = tx.scan(&SEAT_LOG, &scan)?;
    let mut records: Vec<_> = stored.into_iter().map(|(seq, bytes)| (seq, bytes.0)).collect();
    if records.len() < limit && seq >= from_seq && !gathered.is_empty() {
        records.push((seq, gathered.to_vec()));
    }
    Ok(records)
}

impl sealed::Source for WriteTx<'_> {
    #[allow(private_interfaces, reason = "the trait cannot be named outside the store")]
    fn raw(&self) -> &dyn RawRead {
        self
    }
}

impl RawRead for WriteTx<'_> {
    fn raw_get(&self, table: &'static str, key: &[u8], found: &mut Found<'_>) -> Result<()> {
        match self.overlay.get(table).and_then(|changes| changes.get(key)) {
            Some(Some(row)) => found(row),
            Some(None) => Ok(()),
            None => self.below(table)?.raw_get(table, key, found),
        }
    }

    fn raw_scan(&self, table: &'static str, span: Span<'_>, visit: &mut Visit<'_>) -> Result<()> {
        let below = self.below(table)?;
        let Some(changes) = self.overlay.get(table) else {
            return below.raw_scan(table, span, visit);
        };
        let range = changes.range::<[u8], _>((span.lower, span.upper));
        if span.descending {
            merge(below, table, span, range.rev(), visit)
        } else {
            merge(below, table, span, range, visit)
        }
    }

    fn raw_len(&self, table: &'static str) -> Result<u64> {
        let below = self.below(table)?;
        let mut rows = below.raw_len(table)?;
        for (key, row) in self.overlay.get(table).into_iter().flatten() {
            let mut there = false;
            below.raw_get(table, key, &mut |_| {
                there = true;
                Ok(())
            })?;
            match (there, row.is_some()) {
                (false, true) => rows += 1,
                (true, false) => rows -= 1,
                _ => {}
            }
        }
        Ok(rows)
    }
}

impl WriteTx<'_> {
    /// The group under the overlay; its seat log includes all that was appended before.
    fn below(&self, table: &'static str) -> Result<&dyn Base> {
        if table == SEAT_LOG.name() {
            self.group.flush_log()?;
        }
        Ok(self.group)
    }
}

/// Walks the rows below and the overlay's changes together, in the direction of both.
fn merge<'o>(
    below: &dyn Base,
    table: &'static str,
    span: Span<'_>,
    changes: impl Iterator<Item = (&'o Vec<u8>, &'o Option<Vec<u8>>)>,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let mut changes = changes.peekable();
    let mut broken_off = false;
    below.raw_scan(table, span, &mut |key, row| {
        // Changes to keys that come before this row's, which the rows below do not have.
        while let Some((changed, new)) = changes.next_if(|(changed, _)| {
            if span.descending { changed.as_slice() > key } else { changed.as_slice() < key }
        }) {
            if let Some(new) = new
                && visit(changed, new)?.is_break()
            {
                broken_off = true;
                return Ok(ControlFlow::Break(()));
            }
        }
        let flow = match changes.next_if(|(changed, _)| changed.as_slice() == key) {
            Some((_, Some(new))) => visit(key, new)?,
            Some((_, None)) => ControlFlow::Continue(()),
            None => visit(key, row)?,
        };
        broken_off = flow.is_break();
        Ok(flow)
    })?;
    if broken_off {
        return Ok(());
    }
    for (key, new) in changes {
        if let Some(new) = new
            && visit(key, new)?.is_break()
        {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use redb::{Database, ReadableDatabase};

    use super::*;

    const ROWS: Table<(u8, u8), u32> = Table::new("rows");

    type Model = BTreeMap<(u8, u8), u32>;

    fn change() -> impl Strategy<Value = ((u8, u8), Option<u32>)> {
        ((0..4_u8, 0..6_u8), proptest::option::weighted(0.6, any::<u32>()))
    }

    fn scan() -> impl Strategy<Value = Probe> {
        let key = || proptest::option::of((0..5_u8, 0..7_u8));
        let limit = prop_oneof![Just(usize::MAX), 0..6_usize];
        (proptest::option::of(0..5_u8), key(), key(), key(), any::<bool>(), limit).prop_map(
            |(prefix, from, below, after, descending, limit)| Probe {
                prefix,
                from,
                below,
                after,
                descending,
                limit,
            },
        )
    }

    #[derive(Clone, Debug)]
    struct Probe {
        prefix: Option<u8>,
        from: Option<(u8, u8)>,
        below: Option<(u8, u8)>,
        after: Option<(u8, u8)>,
        descending: bool,
        limit: usize,
    }

    impl Probe {
        fn scan(&self) -> Scan {
            let mut scan = self.prefix.map_or_else(Scan::all, |prefix| Scan::prefix(&prefix));
            if let Some(from) = self.from {
                scan = scan.starting_at(&from);
            }
            if let Some(below) = self.below {
                scan = scan.below(&below);
            }
            scan = scan.after(self.after.map(|key| key.encode())).limit(self.limit);
            if self.descending { scan.descending() } else { scan }
        }

        fn expected(&self, model: &Model) -> Vec<((u8, u8), u32)> {
            let mut rows: Vec<_> = model
                .iter()
                .filter(|(key, _)| {
                    self.prefix.is_none_or(|prefix| key.0 == prefix)
                        && self.from.is_none_or(|from| **key >= from)
                        && self.below.is_none_or(|below| **key < below)
                        && self.after.is_none_or(|after| {
                            if self.descending { **key < after } else { **key > after }
                        })
                })
                .map(|(key, row)| (*key, *row))
                .collect();
            if self.descending {
                rows.reverse();
            }
            rows.truncate(self.limit);
            rows
        }
    }

    fn agrees(tx: &impl Read, model: &Model, probes: &[Probe]) {
        for probe in probes {
            let (scan, expected) = (probe.scan(), probe.expected(model));
            assert_eq!(tx.scan(&ROWS, &scan).unwrap(), expected, "{probe:?}");
            assert_eq!(tx.count(&ROWS, &scan).unwrap(), expected.len() as u64);
            let first = tx.first(&ROWS, &scan).unwrap();
            assert_eq!(first, expected.first().copied(), "{probe:?}");
        }
        assert_eq!(tx.len(&ROWS).unwrap(), model.len() as u64);
        for key in (0..4).flat_map(|a| (0..6).map(move |b| (a, b))) {
            assert_eq!(tx.get(&ROWS, &key).unwrap(), model.get(&key).copied());
            assert_eq!(tx.contains(&ROWS, &key).unwrap(), model.contains_key(&key));
        }
    }

    fn make(tx: &mut WriteTx<'_>, model: &mut Model, changes: &[((u8, u8), Option<u32>)]) {
        for (key, row) in changes {
            if let Some(row) = row {
                tx.put(&ROWS, key, row).unwrap();
                model.insert(*key, *row);
            } else {
                let there = model.remove(key).is_some();
                assert_eq!(tx.remove(&ROWS, key).unwrap(), there);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn a_transaction_is_a_sorted_map(
            closures in prop::collection::vec(
                (prop::collection::vec(change(), 0..20), any::<bool>()),
                1..5,
            ),
            probes in prop::collection::vec(scan(), 1..8),
        ) {
            let backend = redb::backends::InMemoryBackend::new();
            let database = Database::builder().create_with_backend(backend).unwrap();
            let txn = database.begin_write().unwrap();
            let group = Group::new(&txn, 1, &[]);
            let mut model = Model::new();
            for (changes, succeeds) in &closures {
                let mut inside = model.clone();
                let result = group.run(|tx| {
                    make(tx, &mut inside, changes);
                    agrees(tx, &inside, &probes);
                    if *succeeds { Ok(()) } else { Err(Error::not_found("luck")) }
                });
                prop_assert_eq!(result.unwrap().is_ok(), *succeeds);
                if *succeeds {
                    model = inside;
                }
            }
            group.finish(false).unwrap();
            txn.commit().unwrap();
            agrees(&ReadTx::new(database.begin_read().unwrap()), &model, &probes);
        }
    }
}
