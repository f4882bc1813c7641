//! What a durable write costs, alone and in company. On a real disk: set `TMPDIR` to
//! choose which.

use std::sync::LazyLock;

use coditect::store::{Limits, Options, Read, Scan, Store, Table};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const ROWS: Table<u64, String> = Table::new("rows");
const WAITERS: u64 = 64;
const EACH: u64 = 100;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime starts")
});

struct Bench {
    store: Store,
    _folder: tempfile::TempDir,
}

fn open(options: Options) -> Bench {
    let folder = tempfile::tempdir().expect("the disk works");
    let store = Store::open(&folder.path().join("coditect.redb"), options).expect("it opens");
    Bench { store, _folder: folder }
}

/// A store with so many rows of about 270 bytes.
fn filled(rows: u64, quick_repair: bool) -> Bench {
    let bench = open(Options { quick_repair, ..Options::default() });
    for start in (0..rows).step_by(10_000) {
        let fill = bench.store.write_blocking(move |tx| {
            let row = "x".repeat(260);
            (start..(start + 10_000).min(rows))
                .try_for_each(|key| tx.put(&ROWS, &spread(key), &row))
        });
        fill.expect("the disk works");
    }
    bench
}

/// Scatters keys over the whole range, as random ids are.
fn spread(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn main() {
    divan::main();
}

#[divan::bench(args = [true, false], sample_count = 200, sample_size = 20)]
fn one_writer(bencher: Bencher<'_, '_>, quick_repair: bool) {
    let bench = open(Options { quick_repair, ..Options::default() });
    let mut key = 0;
    bencher.counter(ItemsCount::new(1_u64)).bench_local(|| {
        key += 1;
        let (key, row) = (spread(key), "x".repeat(200));
        bench.store.write_blocking(move |tx| tx.put(&ROWS, &key, &row)).expect("the disk works");
    });
}

#[divan::bench(args = [true, false], sample_count = 20, sample_size = 1)]
fn waiting_writers(bencher: Bencher<'_, '_>, quick_repair: bool) {
    let bench = open(Options { quick_repair, ..Options::default() });
    let mut round = 0;
    bencher.counter(ItemsCount::new(WAITERS * EACH)).bench_local(|| {
        round += 1;
        in_company(|waiter| {
            let store = bench.store.clone();
            async move {
                for n in 0..EACH {
                    let key = spread((round * WAITERS + waiter) * EACH + n);
                    let row = "x".repeat(200);
                    let put = store.write(move |tx| tx.put(&ROWS, &key, &row));
                    put.await.expect("the disk works");
                }
            }
        });
    });
}

/// The rows are 0, then a million: the log's cost must not grow with them.
#[divan::bench(args = [(0_u64, true), (0, false), (1_000_000, true), (1_000_000, false)], sample_count = 20, sample_size = 1)]
fn waiting_appenders(bencher: Bencher<'_, '_>, (rows, quick_repair): (u64, bool)) {
    let bench = filled(rows, quick_repair);
    bencher.counter(ItemsCount::new(WAITERS * EACH)).bench_local(|| {
        in_company(|_| {
            let store = bench.store.clone();
            async move {
                for _ in 0..EACH {
                    let ticket = store.append_log([7; 60]).expect("the queue has room");
                    ticket.wait().await.expect("the disk works");
                }
            }
        });
    });
}

/// How large groups may be hardly matters, as long as there are groups.
#[divan::bench(args = [1, 16, 1024], sample_count = 5, sample_size = 1)]
fn group_size(bencher: Bencher<'_, '_>, batch_items: usize) {
    let limits = Limits { batch_items, ..Limits::default() };
    let bench = open(Options { limits, ..Options::default() });
    bencher.counter(ItemsCount::new(WAITERS * EACH)).bench_local(|| {
        in_company(|_| {
            let store = bench.store.clone();
            async move {
                for _ in 0..EACH {
                    let ticket = store.append_log([7; 60]).expect("the queue has room");
                    ticket.wait().await.expect("the disk works");
                }
            }
        });
    });
}

fn in_company<F: Future<Output = ()> + Send + 'static>(work: impl Fn(u64) -> F) {
    RUNTIME.block_on(async {
        let mut running = JoinSet::new();
        for waiter in 0..WAITERS {
            running.spawn(work(waiter));
        }
        running.join_all().await;
    });
}

#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn point_read(bencher: Bencher<'_, '_>, rows: u64) {
    let bench = filled(rows, true);
    let mut key = 0;
    bencher.counter(ItemsCount::new(1_u64)).bench_local(|| {
        key = (key + 7_919) % rows;
        bench.store.read(|tx| tx.get(&ROWS, &spread(key))).expect("the disk works")
    });
}

#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn page_of_fifty(bencher: Bencher<'_, '_>, rows: u64) {
    let bench = filled(rows, true);
    let mut key = 0;
    bencher.bench_local(|| {
        key = (key + 7_919) % rows;
        let scan = Scan::all().starting_at(&spread(key)).limit(50);
        black_box(bench.store.read(|tx| tx.scan(&ROWS, &scan)).expect("the disk works"))
    });
}

#[divan::bench(args = [1_000_000], sample_count = 1, sample_size = 1)]
fn backup(bencher: Bencher<'_, '_>, rows: u64) {
    let bench = filled(rows, true);
    let copy = bench.store.path().with_extension("copy");
    bencher.bench_local(|| bench.store.backup(&copy, |_| {}).expect("the disk works"));
}
