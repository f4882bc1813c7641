//! What the store promises, each promise a test.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::fault::{FaultDisk, Survival};
use super::migrations::{Migration, Schema};
use super::*;
use crate::domain::error::Code;

const ROWS: Table<u64, String> = Table::new("rows");
const PATH: &str = "/data/coditect.redb";

fn on(disk: &FaultDisk) -> Options {
    Options {
        disk: Arc::new(disk.clone()),
        wal_bytes: 16 * 1024,
        probe_every: Duration::from_millis(5),
        ..Options::default()
    }
}

fn open(disk: &FaultDisk) -> Store {
    Store::open(Path::new(PATH), on(disk)).unwrap()
}

fn put(key: u64, row: &str) -> impl FnOnce(&mut WriteTx<'_>) -> Result<()> + Send + use<> {
    let row = row.to_owned();
    move |tx| tx.put(&ROWS, &key, &row)
}

fn row(store: &Store, key: u64) -> Option<String> {
    store.read(|tx| tx.get(&ROWS, &key)).unwrap()
}

fn log(store: &Store) -> Vec<(u64, String)> {
    let records = store.read_log(0, 1_000).unwrap();
    records.into_iter().map(|(seq, bytes)| (seq, String::from_utf8(bytes).unwrap())).collect()
}

/// Lets `f` queue things while the writer is held up in a sync, so that they form a group.
async fn as_one_group<T>(disk: &FaultDisk, store: &Store, f: impl FnOnce() -> T) -> T {
    disk.set_stalled(true);
    let first = tokio::spawn({
        let store = store.clone();
        async move { store.write(put(u64::MAX, "holds the writer up")).await }
    });
    // The writer has taken the first change when the queue is empty again.
    let events = disk.events();
    while disk.events() == events {
        tokio::task::yield_now().await;
    }
    let queued = f();
    disk.set_stalled(false);
    first.await.unwrap().unwrap();
    queued
}

#[tokio::test]
async fn a_change_is_there_when_it_is_answered_and_after_opening_again() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    let answer = store.write(|tx| put(1, "one")(tx).map(|()| 42)).await;
    assert_eq!(answer, Ok(42));
    assert_eq!(row(&store, 1).as_deref(), Some("one"));
    store.close().unwrap();
    assert_eq!(row(&open(&disk), 1).as_deref(), Some("one"));
}

#[tokio::test]
async fn a_closure_that_fails_or_panics_is_rolled_back_alone() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    let (before, refused, panicked, after) = as_one_group(&disk, &store, || {
        let submit = |f: fn(&mut WriteTx<'_>) -> Result<()>| store.0.writer.submit(f).unwrap();
        (
            submit(|tx| put(1, "before")(tx)),
            submit(|tx| {
                put(1, "refused")(tx)?;
                put(2, "refused")(tx)?;
                tx.log_append(b"refused".to_vec())?;
                Err(Error::not_found("licence"))
            }),
            submit(|tx| {
                put(3, "panicked")(tx)?;
                panic!("on purpose");
            }),
            submit(|tx| {
                assert_eq!(tx.get(&ROWS, &1)?.as_deref(), Some("before"));
                assert_eq!(tx.scan_keys(&ROWS, &Scan::all().below(&4_u64))?, [1]);
                put(4, "after")(tx)
            }),
        )
    })
    .await;
    assert_eq!(before.await.unwrap(), Ok(()));
    assert_eq!(refused.await.unwrap().unwrap_err().code, Code::NotFound);
    assert_eq!(panicked.await.unwrap().unwrap_err().code, Code::Internal);
    assert_eq!(after.await.unwrap(), Ok(()));
    assert_eq!(store.stats().totals.commits, 2, "all four were one group");
    assert_eq!(row(&store, 1).as_deref(), Some("before"));
    assert_eq!((row(&store, 2), row(&store, 3)), (None, None));
    assert_eq!(row(&store, 4).as_deref(), Some("after"));
    assert!(log(&store).is_empty());
    assert_eq!(store.health(), Health::Writable);
}

#[tokio::test]
async fn who_can_wait_is_committed_with_the_first_who_cannot() {
    let store = open(&FaultDisk::new());
    let hour = Duration::from_hours(1);
    let patient = |key| store.0.writer.submit_within(hour, put(key, "patient")).unwrap();
    let (one, two) = (patient(1), patient(2));
    store.write(put(3, "hurried")).await.unwrap();
    assert_eq!((one.await.unwrap(), two.await.unwrap()), (Ok(()), Ok(())));
    assert_eq!(store.stats().totals.commits, 1);
    let behind = patient(4);
    store.append_log("hurried").unwrap().wait().await.unwrap();
    assert_eq!(behind.await.unwrap(), Ok(()));
    let last = patient(5);
    store.clone().close().unwrap();
    assert_eq!(last.await.unwrap(), Ok(()), "nobody comes any more");
}

#[tokio::test]
async fn who_can_wait_does_so_for_no_longer_than_it_says() {
    let store = open(&FaultDisk::new());
    let began = Instant::now();
    let (hour, short) = (Duration::from_hours(1), Duration::from_millis(20));
    let patient = store.0.writer.submit_within(hour, put(1, "patient")).unwrap();
    let written = store.write_within(short, put(2, "less patient"));
    tokio::time::timeout(Duration::from_mins(1), written).await.expect("it waits 20 ms").unwrap();
    assert!(began.elapsed() >= short);
    assert_eq!(patient.await.unwrap(), Ok(()));
    assert_eq!(store.stats().totals.commits, 1, "it went with the less patient one");
    let began = Instant::now();
    store.write_within(short, put(3, "later")).await.unwrap();
    assert!(began.elapsed() >= short, "the patience of others is theirs");
}

#[tokio::test]
async fn a_closure_reads_its_own_writes() {
    let store = open(&FaultDisk::new());
    store.write(put(1, "old")).await.unwrap();
    store
        .write(|tx| {
            put(1, "new")(tx)?;
            put(2, "two")(tx)?;
            assert_eq!(tx.get(&ROWS, &1)?.as_deref(), Some("new"));
            assert_eq!(tx.len(&ROWS)?, 2);
            assert!(tx.remove(&ROWS, &1)?);
            assert!(!tx.remove(&ROWS, &1)?, "it is gone already");
            assert_eq!(tx.get(&ROWS, &1)?, None);
            assert_eq!(tx.scan(&ROWS, &Scan::all())?, [(2, "two".to_owned())]);
            assert_eq!(tx.len(&ROWS)?, 1);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_query_may_query_while_it_walks() {
    let store = open(&FaultDisk::new());
    store.write(put(1, "one")).await.unwrap();
    let inside = |tx: &ReadTx| {
        tx.visit(&ROWS, &Scan::all(), |key, _| {
            assert!(tx.contains(&ROWS, &key)?);
            assert!(!tx.contains(&Table::<u64, String>::new("another"), &key)?);
            Ok(ControlFlow::Continue(()))
        })
    };
    store.read(inside).unwrap();
    store
        .write(|tx| {
            put(2, "two")(tx)?;
            tx.visit(&ROWS, &Scan::all(), |key, _| {
                assert!(tx.contains(&ROWS, &key)?);
                assert!(!tx.contains(&Table::<u64, String>::new("another"), &key)?);
                Ok(ControlFlow::Continue(()))
            })
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn appends_become_one_record_in_the_order_of_the_calls() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    let tickets =
        as_one_group(&disk, &store, || ["a", "b", "c"].map(|text| store.append_log(text).unwrap()))
            .await;
    let numbers = tickets.each_ref().map(|ticket| ticket.number);
    for number in numbers {
        store.wait_durable(number).await.unwrap();
    }
    for ticket in tickets {
        assert_eq!(ticket.wait().await, Ok(1));
    }
    assert_eq!(log(&store), [(1, "abc".to_owned())]);
    store.wait_durable(numbers[0]).await.expect("it is durable for ever");
    assert_eq!(store.wait_durable(99).await.unwrap_err().code, Code::Internal);
}

#[tokio::test]
async fn what_a_closure_appends_comes_behind_what_was_appended_before() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    assert_eq!(store.append_log("first, ").unwrap().wait().await, Ok(1));
    let (before, closure) = as_one_group(&disk, &store, || {
        let before = store.append_log("before").unwrap();
        let closure = store.0.writer.submit(|tx| {
            assert_eq!(tx.scan_keys(&SEAT_LOG, &Scan::all())?, [1, 2]);
            Ok((tx.log_append(b"closure".to_vec())?, tx.log_append(b"again".to_vec())?))
        });
        (before, closure.unwrap())
    })
    .await;
    assert_eq!(before.wait().await, Ok(2));
    assert_eq!(closure.await.unwrap(), Ok((3, 4)));
    assert_eq!(store.append_log("after").unwrap().wait().await, Ok(5));
    let texts: Vec<String> = log(&store).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["first, ", "before", "closure", "again", "after"]);
}

#[tokio::test]
async fn the_log_can_be_cleaned_and_its_numbers_are_never_used_again() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    for text in ["a", "b"] {
        store.append_log(text).unwrap().wait().await.unwrap();
        store.write(put(1, text)).await.unwrap();
    }
    let cleaned = store.write(|tx| {
        let (seq, old) = tx.log_oldest()?.unwrap();
        let new = tx.log_append(old)?;
        assert!(tx.log_remove(seq)?);
        Ok((seq, new))
    });
    assert_eq!(cleaned.await, Ok((1, 3)));
    assert_eq!(log(&store), [(2, "b".to_owned()), (3, "a".to_owned())]);
    assert_eq!(store.read_log(3, 1).unwrap(), [(3, b"a".to_vec())]);
    let emptied = store.write(|tx| Ok(tx.log_remove(2)? && tx.log_remove(3)?));
    assert_eq!(emptied.await, Ok(true));
    store.close().unwrap();
    let store = open(&disk);
    assert_eq!(store.append_log("c").unwrap().wait().await, Ok(4));
}

#[tokio::test]
async fn a_full_queue_refuses_what_comes_next() {
    let disk = FaultDisk::new();
    let limits = Limits { queue_items: 3, queue_bytes: 10, batch_items: 2, batch_bytes: 10 };
    let store = Store::open(Path::new(PATH), Options { limits, ..on(&disk) }).unwrap();
    let tickets = as_one_group(&disk, &store, || {
        let tickets = [4, 4].map(|len| store.append_log(vec![b'x'; len]).unwrap());
        let too_long = store.append_log([b'x'; 3]).unwrap_err();
        assert_eq!(too_long.code, Code::Overloaded, "ten bytes may wait");
        assert!(too_long.retry_after_s.is_some());
        let third = store.append_log("x").unwrap();
        assert_eq!(store.append_log("").unwrap_err().code, Code::Overloaded, "three may wait");
        assert_eq!(store.stats().queued_items, 3);
        let [first, second] = tickets;
        [first, second, third]
    })
    .await;
    let mut records = Vec::new();
    for ticket in tickets {
        records.push(ticket.wait().await.unwrap());
    }
    assert_eq!(records, [1, 1, 1], "all of it gathers in one record");
    store.write(put(1, "after them")).await.unwrap();
    assert_eq!(store.stats().totals.commits, 4, "two items make a batch");
    assert_eq!(store.append_log([b'x'; 11]).unwrap_err().code, Code::Internal);
    assert_eq!(store.stats().queued_items, 0);
}

#[tokio::test]
async fn a_failed_commit_fails_all_its_waiters_and_the_store_recovers() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    store.write(put(1, "kept")).await.unwrap();
    let before = store.resumed();
    let ticket_before = store.append_log("kept").unwrap();
    let number_before = ticket_before.number;
    ticket_before.wait().await.unwrap();

    disk.set_broken(true);
    let lost = store.write(put(2, "lost")).await.unwrap_err();
    assert_eq!(lost.code, Code::StorageUnavailable);
    assert!(matches!(store.health(), Health::ReadOnly { why } if why.contains("broken")));
    let fast = store.append_log("refused").unwrap_err();
    assert_eq!(fast.code, Code::StorageUnavailable, "fails without waiting for the disk");
    assert_eq!(row(&store, 1).as_deref(), Some("kept"), "reads go on");

    disk.set_broken(false);
    until(|| store.resumed() > before).await;
    assert_eq!(store.health(), Health::Writable);
    store.write(put(3, "again")).await.unwrap();
    assert_eq!(row(&store, 1).as_deref(), Some("kept"));
    assert_eq!(row(&store, 3).as_deref(), Some("again"));
    assert_eq!(store.append_log("again").unwrap().wait().await, Ok(2));
    store.wait_durable(number_before).await.unwrap();
    let totals = store.stats().totals;
    assert_eq!((totals.failures, store.resumed()), (1, 1));
    store.close().unwrap();
    assert_eq!(row(&open(&disk), 3).as_deref(), Some("again"));
}

#[tokio::test]
async fn after_one_failed_sync_the_store_recovers_at_once() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    let before = store.resumed();
    disk.fail_next_sync();
    let ticket = store.append_log("in doubt").unwrap();
    let number = ticket.number;
    assert_eq!(ticket.wait().await.unwrap_err().code, Code::StorageUnavailable);
    let late = store.wait_durable(number).await.unwrap_err();
    assert_eq!(late.code, Code::StorageUnavailable, "a failed ticket stays failed");
    until(|| store.resumed() > before).await;
    store.write(put(2, "again")).await.unwrap();
    assert_eq!(row(&store, 2).as_deref(), Some("again"));
}

#[tokio::test]
async fn on_a_full_disk_reads_go_on_even_of_what_is_not_in_memory() {
    let disk = FaultDisk::new();
    let options = Options { cache_bytes: 0, ..on(&disk) };
    let store = Store::open(Path::new(PATH), options).unwrap();
    for key in 0..50 {
        store.write(put(key, &"x".repeat(2_000))).await.unwrap();
    }
    let before = store.resumed();
    disk.set_full(true);
    let mut key = 100;
    while store.write(put(key, &"y".repeat(100_000))).await.is_ok() {
        key += 1;
        assert!(key < 1_000, "the file has room for ever");
    }
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    let all = store.read(|tx| tx.count(&ROWS, &Scan::all().below(&50_u64))).unwrap();
    assert_eq!(all, 50);
    assert_eq!(row(&store, key), None, "what failed for want of room is not there");
    disk.set_full(false);
    until(|| store.resumed() > before).await;
    store.write(put(key, "fits")).await.unwrap();
    assert_eq!(
        row(&store, key - 1).map_or(0, |row| row.len()),
        if key > 100 { 100_000 } else { 0 }
    );
}

#[tokio::test]
async fn closing_writes_what_waits_and_refuses_what_comes() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    let waiting = as_one_group(&disk, &store, || store.0.writer.submit(put(1, "waits")).unwrap());
    let waiting = waiting.await;
    let other = store.clone();
    store.close().unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(other.write(put(2, "late")).await.unwrap_err().code, Code::ShuttingDown);
    assert_eq!(other.append_log("late").unwrap_err().code, Code::ShuttingDown);
    assert_eq!(other.read(|_| Ok(())).unwrap_err().code, Code::ShuttingDown);
    assert_eq!(row(&open(&disk), 1).as_deref(), Some("waits"));
}

/// What was appended is durable before the database has it, survives a crash, and gets there when
/// nothing else comes, when there is enough of it, and when the store is closed.
#[tokio::test]
async fn appends_gather_beside_the_database_and_move_there_in_time() {
    let disk = FaultDisk::new();
    let stored = |store: &Store| store.read(|tx| tx.count(&SEAT_LOG, &Scan::all())).unwrap();
    let store = open(&disk);
    store.append_log("a").unwrap().wait().await.unwrap();
    store.append_log("b").unwrap().wait().await.unwrap();
    assert_eq!((stored(&store), log(&store)), (0, vec![(1, "ab".to_owned())]));

    let crashed = disk.after_power_cut(disk.events(), Survival::Nothing, &mut |_| 0);
    let again = open(&crashed);
    assert_eq!(log(&again), [(1, "ab".to_owned())]);
    assert_eq!(again.append_log("c").unwrap().wait().await, Ok(2));
    assert_eq!(stored(&again), 1, "what an earlier process gathered moves before that");
    again.close().unwrap();
    let texts = vec![(1, "ab".to_owned()), (2, "c".to_owned())];
    assert_eq!((stored(&open(&crashed)), log(&open(&crashed))), (2, texts));

    until(|| stored(&store) == 1).await;
    for _ in 0..20 {
        store.append_log("x".repeat(1_000)).unwrap().wait().await.unwrap();
    }
    until(|| stored(&store) > 2).await;
    assert_eq!(log(&store).iter().map(|(_, text)| text.len()).sum::<usize>(), 20_002);
}

/// Looks again and again until something is so.
pub(crate) async fn until(mut there: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if there() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to that");
}

/// An append that failed may be in the file; what comes after it must not be read behind it.
#[tokio::test]
async fn what_was_acknowledged_after_a_failure_is_what_a_crash_leaves() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    store.append_log("kept, ").unwrap().wait().await.unwrap();
    for round in 0..3 {
        let before = store.resumed();
        disk.fail_next_sync();
        let failed = store.append_log(format!("failed {round}, ")).unwrap();
        assert_eq!(failed.wait().await.unwrap_err().code, Code::StorageUnavailable);
        until(|| store.resumed() > before).await;
        store.append_log(format!("kept {round}, ")).unwrap().wait().await.unwrap();
    }
    for survival in Survival::ALL {
        let crashed = disk.after_power_cut(disk.events(), survival, &mut |_| 0);
        let texts: String = log(&open(&crashed)).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, "kept, kept 0, kept 1, kept 2, ");
    }
}

/// Whoever does not know what failed before is told so, instead of having it logged behind.
#[tokio::test]
async fn an_append_that_does_not_know_of_a_failure_is_refused() {
    let faulty = FaultDisk::new();
    let store = open(&faulty);
    let before = store.resumed();
    faulty.fail_next_sync();
    assert!(store.append_log("lost").unwrap().wait().await.is_err());
    until(|| store.resumed() > before).await;
    let refused = store.append_log_since(before, "too early").unwrap_err();
    assert_eq!(refused.code, Code::StorageUnavailable);
    assert!(store.append_log_since(store.resumed(), "in time").is_ok());
}

#[tokio::test]
async fn a_change_that_changes_nothing_costs_no_sync() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    let events = disk.events();
    store.write(|tx| tx.get(&ROWS, &1).map(drop)).await.unwrap();
    assert_eq!(disk.events(), events);
}

#[tokio::test]
async fn the_observer_hears_of_every_group() {
    let heard = Arc::new(AtomicU64::new(0));
    let observer: Observer = Arc::new({
        let heard = Arc::clone(&heard);
        move |stats: &CommitStats| {
            assert!(stats.durable);
            heard.fetch_add((stats.writes + 10 * stats.appends) as u64, Ordering::SeqCst);
        }
    });
    let options = Options { observer: Some(observer), ..on(&FaultDisk::new()) };
    let store = Store::open(Path::new(PATH), options).unwrap();
    store.write(put(1, "one")).await.unwrap();
    store.append_log("a").unwrap().wait().await.unwrap();
    store.close().unwrap();
    assert_eq!(heard.load(Ordering::SeqCst), 11);
}

#[test]
fn a_second_process_is_told_who_has_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coditect.redb");
    let store = Store::open(&path, Options::default()).unwrap();
    let refused = Store::open(&path, Options::default()).err().unwrap();
    let us = std::process::id();
    assert!(matches!(refused, OpenError::AlreadyOpen { pid: Some(pid), .. } if pid == us));
    assert!(refused.to_string().contains(&format!("process {us}")));
    assert!(matches!(Store::check(&path, &Options::default()), Err(OpenError::AlreadyOpen { .. })));
    store.close().unwrap();
    Store::open(&path, Options::default()).unwrap();
}

#[test]
fn another_program_that_has_the_file_itself_is_noticed_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coditect.redb");
    Store::open(&path, Options::default()).unwrap().close().unwrap();
    let other = redb::Database::open(&path).unwrap();
    let refused = Store::open(&path, Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::AlreadyOpen { pid: None, .. }));
    drop(other);
    let store = Store::open(&path, Options::default()).unwrap();
    assert!(redb::Database::open(&path).is_err(), "we hold the file's lock in turn");
    store.close().unwrap();
}

#[test]
fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/coditect.redb");
    let store = Store::open(&path, Options::default()).unwrap();
    store.backup(&folder.path().join("copy.redb"), |_| {}).unwrap();
    for path in [path, folder.path().join("copy.redb")] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.redb");
    std::fs::write(&empty, "").unwrap();
    let text = folder.path().join("text.redb");
    std::fs::write(&text, "not a database").unwrap();
    let foreign = folder.path().join("foreign.redb");
    redb::Database::create(&foreign).unwrap();
    for path in [&empty, &text, &foreign] {
        let before = std::fs::read(path).unwrap();
        let refused = Store::open(path, Options::default()).err().unwrap();
        assert!(
            matches!(
                refused,
                OpenError::Foreign { .. } | OpenError::Damaged { .. } | OpenError::Io { .. }
            ),
            "{refused}"
        );
        // Looking into a database of another program lets the engine tidy it up.
        if path == &foreign {
            redb::Database::open(path).unwrap();
        } else {
            assert_eq!(std::fs::read(path).unwrap(), before);
        }
    }
}

fn schema(version: u64, migrations: &'static [Migration]) -> Schema {
    Schema { version, migrations }
}

const FIRST: Schema = Schema { version: 1, migrations: &[] };

const UPGRADES: &[Migration] = &[
    Migration {
        to: 2,
        name: "mark every row",
        run: |tx| {
            for (key, row) in tx.scan(&ROWS, &Scan::all())? {
                tx.put(&ROWS, &key, &format!("{row} 2"))?;
            }
            Ok(())
        },
    },
    Migration {
        to: 3,
        name: "mark every row again",
        run: |tx| {
            for (key, row) in tx.scan(&ROWS, &Scan::all())? {
                tx.put(&ROWS, &key, &format!("{row} 3"))?;
            }
            Ok(())
        },
    },
];

fn with_schema(disk: &FaultDisk, schema: Schema) -> Options {
    Options { schema, ..on(disk) }
}

#[test]
fn an_older_schema_is_upgraded_once_after_a_backup() {
    let disk = FaultDisk::new();
    let store = Store::open(Path::new(PATH), with_schema(&disk, FIRST)).unwrap();
    store.write_blocking(put(1, "row")).unwrap();
    store.close().unwrap();
    for _ in 0..2 {
        let options = with_schema(&disk, schema(3, UPGRADES));
        let store = Store::open(Path::new(PATH), options).unwrap();
        assert_eq!(row(&store, 1).as_deref(), Some("row 2 3"), "each step ran once, in order");
        store.close().unwrap();
    }
    let backup = PathBuf::from("/data/coditect-schema-1-backup.redb");
    let before =
        Store::open(&backup, with_schema(&disk, FIRST)).expect("the backup has the old schema");
    assert_eq!(row(&before, 1).as_deref(), Some("row"));
}

#[test]
fn a_newer_schema_is_refused_and_says_so() {
    let disk = FaultDisk::new();
    Store::open(Path::new(PATH), with_schema(&disk, schema(7, &[]))).unwrap().close().unwrap();
    let refused = Store::open(Path::new(PATH), on(&disk)).err().unwrap();
    assert!(
        matches!(refused, OpenError::NewerSchema { found: 7, supported, .. } if supported == Schema::CURRENT.version)
    );
    assert!(refused.to_string().contains("schema 7"));
}

#[test]
fn an_upgrade_that_fails_changes_nothing() {
    const BROKEN: &[Migration] = &[
        UPGRADES[0],
        Migration { to: 3, name: "fails", run: |_| Err(Error::internal("on purpose")) },
    ];
    let disk = FaultDisk::new();
    let store = Store::open(Path::new(PATH), with_schema(&disk, FIRST)).unwrap();
    store.write_blocking(put(1, "row")).unwrap();
    store.close().unwrap();
    let refused =
        Store::open(Path::new(PATH), with_schema(&disk, schema(3, BROKEN))).err().unwrap();
    assert!(
        matches!(&refused, OpenError::Migration { from: 1, why, .. } if why.contains("on purpose"))
    );
    let store = Store::open(Path::new(PATH), with_schema(&disk, FIRST)).unwrap();
    assert_eq!(row(&store, 1).as_deref(), Some("row"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_database_is_one_moment_of_it() {
    // Every change moves an amount between two accounts: a copy that mixes two
    // moments has another sum, or a counter that disagrees with the log.
    const ACCOUNTS: u64 = 2_000;
    const MONEY: Table<u64, i64> = Table::new("money");
    const COUNTER: Table<u8, u64> = Table::new("counter");
    let disk = FaultDisk::new();
    let store = open(&disk);
    let filled = store.write(|tx| {
        (0..ACCOUNTS).try_for_each(|account| {
            put(account, &"x".repeat(2_000))(tx)?;
            tx.put(&MONEY, &account, &100)
        })
    });
    filled.await.unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let changes = tokio::spawn({
        let (store, done) = (store.clone(), Arc::clone(&done));
        async move {
            let mut count = 0_u64;
            while done.load(Ordering::SeqCst) == 0 {
                count += 1;
                let (from, to) = (count * 7 % ACCOUNTS, count * 13 % ACCOUNTS);
                let change = store.write(move |tx| {
                    let taken = tx.get(&MONEY, &from)?.unwrap_or(0) - 5;
                    tx.put(&MONEY, &from, &taken)?;
                    let given = tx.get(&MONEY, &to)?.unwrap_or(0) + 5;
                    tx.put(&MONEY, &to, &given)?;
                    tx.remove(&ROWS, &(from / 2))?;
                    tx.put(&COUNTER, &0, &count)?;
                    tx.log_append(count.to_be_bytes().to_vec()).map(drop)
                });
                change.await.unwrap();
            }
            count
        }
    });
    let copy = PathBuf::from("/data/copy.redb");
    let info = tokio::task::spawn_blocking({
        let (store, copy) = (store.clone(), copy.clone());
        move || {
            let mut seen = 0;
            let info = store.backup(&copy, |progress| seen = progress.rows).unwrap();
            assert!(seen > 0);
            info
        }
    })
    .await
    .unwrap();
    done.store(1, Ordering::SeqCst);
    let count = changes.await.unwrap();

    let report = Store::check(&copy, &on(&disk)).unwrap();
    assert!(report.sound);
    assert_eq!((report.schema, report.bytes), (Some(Schema::CURRENT.version), info.bytes));
    assert_eq!(report.tables.iter().map(|(_, rows)| rows).sum::<u64>(), info.rows);
    let copy = Store::open(&copy, on(&disk)).unwrap();
    let (sum, at, newest) = copy
        .read(|tx| {
            let money = tx.scan(&MONEY, &Scan::all())?;
            assert_eq!(money.len() as u64, ACCOUNTS);
            let newest = tx.first(&SEAT_LOG, &Scan::all().descending())?;
            Ok((money.iter().map(|(_, amount)| amount).sum::<i64>(), tx.get(&COUNTER, &0)?, newest))
        })
        .unwrap();
    assert_eq!(sum, 100 * ACCOUNTS as i64);
    let (at, newest) = (at.unwrap(), newest.unwrap().1.0);
    assert_eq!(newest, at.to_be_bytes(), "log and counter are of the same moment");
    assert!(at <= count);
    // Numbers go on in the copy where they stood.
    assert_eq!(copy.append_log("x").unwrap().wait().await, Ok(at + 1));
}

#[test]
fn one_backup_at_a_time_and_none_left_half_done() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    store.write_blocking(put(1, "one")).unwrap();
    let tracking = store.0.engine.track().unwrap();
    let copy = Path::new("/data/copy.redb");
    assert_eq!(store.backup(copy, |_| {}).unwrap_err().code, Code::Overloaded);
    drop(tracking);
    disk.set_full(true);
    assert_eq!(store.backup(copy, |_| {}).unwrap_err().code, Code::StorageUnavailable);
    disk.set_full(false);
    assert!(!disk.exists(Path::new("/data/copy.redb.tmp")).unwrap());
    assert!(!disk.exists(copy).unwrap());
    store.backup(copy, |_| {}).unwrap();
    assert!(disk.exists(copy).unwrap());
}

#[test]
fn the_last_handle_may_be_dropped_inside_a_change() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    let inside = store.clone();
    let answer = store.0.writer.submit(move |_| {
        drop(inside);
        Ok(())
    });
    drop(store);
    assert_eq!(answer.unwrap().blocking_recv().unwrap(), Ok(()));
}
