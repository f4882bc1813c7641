//! Power cuts, simulated: whatever the disk had not synced is lost, kept, half kept,
//! shuffled or torn, and what was acknowledged is there all the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coditect::domain::error::{Error, Result};
use coditect::entropy::Entropy;
use coditect::store::fault::{FaultDisk, Survival};
use coditect::store::{Options, Read, Scan, Store, Table};

const PATH: &str = "/data/coditect.redb";
/// Three rows of each change, in two tables: all there or none.
const LEFT: Table<u64, Vec<u64>> = Table::new("left");
const RIGHT: Table<(u64, String), u64> = Table::new("right");

fn options(disk: &FaultDisk) -> Options {
    Options {
        disk: Arc::new(disk.clone()),
        cache_bytes: 4 * 1024 * 1024,
        // Small, so that what has gathered goes to the database again and again.
        wal_bytes: 2 * 1024,
        probe_every: Duration::from_millis(1),
        ..Options::default()
    }
}

fn open(disk: &FaultDisk) -> Store {
    Store::open(Path::new(PATH), options(disk)).expect("every image opens")
}

fn change(number: u64) -> impl FnOnce(&mut coditect::store::WriteTx<'_>) -> Result<()> {
    move |tx| {
        tx.put(&LEFT, &number, &vec![number; 40])?;
        tx.put(&RIGHT, &(number, "a".to_owned()), &number)?;
        tx.put(&RIGHT, &(number, "b".to_owned()), &number)?;
        if number.is_multiple_of(7) && number > 10 {
            let old = number - 9;
            tx.remove(&LEFT, &old)?;
            tx.remove(&RIGHT, &(old, "a".to_owned()))?;
            tx.remove(&RIGHT, &(old, "b".to_owned()))?;
        }
        Ok(())
    }
}

/// What was acknowledged, and when.
#[derive(Default)]
struct Acknowledged {
    /// Change -> requests to the disk before it was acknowledged.
    changes: BTreeMap<u64, usize>,
    /// (requests to the disk so far, append)
    appends: Vec<(usize, u8)>,
    changes_asked: u64,
}

async fn workload(disk: &FaultDisk) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    let store = open(disk);
    let mut append = 0_u8;
    for round in 0..56_u64 {
        // Every third round has appends alone, which gather beside the database.
        let changes = if round % 3 == 0 { 0..0 } else { 0..1 + round % 5 };
        let changes: Vec<u64> = changes.map(|n| acknowledged.changes_asked + n).collect();
        acknowledged.changes_asked += changes.len() as u64;
        let mut running = tokio::task::JoinSet::new();
        for number in changes {
            let (store, disk) = (store.clone(), disk.clone());
            running.spawn(async move {
                store.write(change(number)).await.expect("the disk works");
                (number, disk.events())
            });
        }
        let mut tickets = Vec::new();
        for number in 0..=round % 4 {
            if number == 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tickets.push((append, store.append_log([append]).expect("the queue has room")));
            append += 1;
        }
        // One that fails in the middle of a group leaves nothing behind.
        let refused = store
            .write(move |tx| {
                tx.put(&LEFT, &(1_000_000 + round), &vec![round])?;
                Err::<(), _>(Error::not_found("licence"))
            })
            .await;
        assert!(refused.is_err());
        for (byte, ticket) in tickets {
            ticket.wait().await.expect("the disk works");
            acknowledged.appends.push((disk.events(), byte));
        }
        while let Some(done) = running.join_next().await {
            let (number, events) = done.expect("no change panics");
            acknowledged.changes.insert(number, events);
        }
    }
    store.close().expect("the disk works");
    acknowledged
}

/// Opens the image and holds it against what was acknowledged before the cut.
fn examine(image: &FaultDisk, cut: usize, acknowledged: &Acknowledged) {
    let store = open(image);
    let (left, right) = store
        .read(|tx| {
            let left: BTreeMap<_, _> = tx.scan(&LEFT, &Scan::all())?.into_iter().collect();
            Ok((left, tx.scan(&RIGHT, &Scan::all())?))
        })
        .expect("every image can be read");
    for (number, row) in &left {
        assert!(*number < 1_000_000, "a refused change left a row");
        assert_eq!(row, &vec![*number; 40]);
        for side in ["a", "b"] {
            assert!(right.contains(&((*number, side.to_owned()), *number)), "half of {number}");
        }
    }
    assert_eq!(right.len(), 2 * left.len(), "half a change");
    for number in 0..acknowledged.changes_asked {
        let remover = number + 9;
        let gone = remover > 10 && remover % 7 == 0 && left.contains_key(&remover);
        let must =
            acknowledged.changes.contains_key(&number) && acknowledged.changes[&number] <= cut;
        assert!(!(gone && left.contains_key(&number)), "half of {remover}");
        assert!(!must || gone || left.contains_key(&number), "{number} is lost at {cut}");
    }
    let log: Vec<u8> = store
        .read_log(0, usize::MAX)
        .expect("every image can be read")
        .into_iter()
        .flat_map(|(_, record)| record)
        .collect();
    let asked: Vec<u8> = (0..log.len() as u8).collect();
    assert_eq!(log, asked, "appends are in order and none is missing in between");
    let must = acknowledged.appends.iter().filter(|(at, _)| *at <= cut).count();
    assert!(log.len() >= must, "an append is lost at {cut}");
    store.close().expect("the image's disk works");
}

/// How often every cut is tried, each time with other luck: `POWER_CUT_SEEDS`, 1 unless it is set.
fn seeds() -> u64 {
    std::env::var("POWER_CUT_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_a_power_cut_at_any_moment() {
    let disk = FaultDisk::new();
    let acknowledged = workload(&disk).await;
    let events = disk.events();
    let mut images = 0;
    for seed in 0..seeds() {
        let entropy = Entropy::seeded(20_260_723 + seed);
        for cut in 0..=events {
            for survival in Survival::ALL {
                let image = disk.after_power_cut(cut, survival, &mut |n| entropy.below(n));
                examine(&image, cut, &acknowledged);
                images += 1;
            }
        }
    }
    println!("{images} images of a disk after a power cut");
    assert!(events > 400, "the workload asks the disk for {events} things only");
}

#[tokio::test]
async fn a_cut_while_creating_leaves_no_file_or_a_whole_one() {
    let disk = FaultDisk::new();
    open(&disk).close().expect("the disk works");
    let entropy = Entropy::seeded(1);
    for cut in 0..=disk.events() {
        for survival in Survival::ALL {
            let image = disk.after_power_cut(cut, survival, &mut |n| entropy.below(n));
            // Opening twice: the first one creates, or finishes what was begun.
            open(&image).close().expect("the image's disk works");
            open(&image).close().expect("the image's disk works");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_while_recovering_from_a_cut_is_survived_too() {
    let disk = FaultDisk::new();
    let acknowledged = workload(&disk).await;
    let entropy = Entropy::seeded(2);
    for cut in (0..=disk.events()).step_by(40) {
        let image = disk.after_power_cut(cut, Survival::Shuffled, &mut |n| entropy.below(n));
        let first = image.events();
        examine(&image, cut, &acknowledged);
        for again in first..=image.events() {
            let second = image.after_power_cut(again, Survival::Some, &mut |n| entropy.below(n));
            examine(&second, cut, &acknowledged);
        }
    }
}
