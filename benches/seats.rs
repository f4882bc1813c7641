//! What a command on the seat engine costs, and how that grows with the number of seats.
//!
//! `cargo bench --bench seats`. Seats are spread over licences of 100 each and touched in a
//! scattered order, so that a large engine pays for its cache misses. Prints the resident memory
//! of a million seats first.

use coditect::domain::ids::{LicenseId, SessionId};
use coditect::domain::license::LicenseStatus;
use coditect::domain::time::{Mono, Now, Timestamp};
use coditect::seats::{
    Acquire, Acquisition, Engine, Event, Gate, Heartbeat, Release, SEAT_TTL_MS, Schedule,
};
use divan::{Bencher, black_box};
use uuid::Uuid;

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
const SEATS_PER_LICENSE: u64 = 100;

fn main() {
    if std::env::args().any(|arg| arg == "--bench") {
        // Both stay until the end, so that the second cannot live in memory the first gave back.
        let _halls = [SEATS_PER_LICENSE, 1].map(print_memory);
    }
    divan::main();
}

/// An engine in which seat `n` is held by machine `n`.
struct Hall {
    engine: Engine,
    now: Now,
    size: u64,
    per_license: u64,
    events: Vec<Event>,
    /// A multiplier that visits every seat in a scattered order.
    turn: u64,
}

/// Scatters the bits of a number, as random ids would be.
fn scatter(number: u64) -> u128 {
    let high = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (u128::from(high) << 64) | u128::from(high.rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

fn gate(revision: u64, max_seats: u32) -> Gate {
    Gate { revision, max_seats, schedule: Schedule::always(LicenseStatus::Active) }
}

impl Hall {
    fn with(size: u64, per_license: u64) -> Self {
        let now = Now { wall: Timestamp(1_767_225_600_000), mono: Mono(0) };
        let engine = Engine::new(SEAT_TTL_MS);
        let mut hall = Self { engine, now, size, per_license, events: Vec::new(), turn: 0 };
        for number in 0..size {
            let granted = hall.acquire(number, number);
            assert!(matches!(granted, Acquisition::Granted(_)));
        }
        hall
    }

    fn license(&self, number: u64) -> LicenseId {
        LicenseId(Uuid::from_u128(scatter(number / self.per_license)))
    }

    fn session(number: u64) -> SessionId {
        SessionId(Uuid::from_u128(!scatter(number)))
    }

    fn acquire(&mut self, number: u64, session: u64) -> Acquisition {
        // One more than are held, so that releasing and acquiring are free to interleave.
        let max_seats = self.per_license as u32 + 1;
        let gate = Some(gate(1, max_seats));
        let hardware_id = Uuid::from_u128(scatter(number)).hyphenated().to_string();
        self.events.clear();
        let license_id = self.license(number);
        let session_id = Self::session(session);
        let ask =
            Acquire { license_id, gate, hardware_id: &hardware_id, session_id, metadata: None };
        self.engine.acquire(self.now, &ask, &mut self.events)
    }

    fn any_seat(&mut self) -> u64 {
        self.turn = self.turn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((u128::from(self.turn) * u128::from(self.size)) >> 64) as u64
    }
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn heartbeat(bencher: Bencher, size: u64) {
    let mut hall = Hall::with(size, SEATS_PER_LICENSE);
    bencher.bench_local(|| {
        let session = Hall::session(hall.any_seat());
        let outcome = hall.engine.heartbeat(hall.now, session, &mut hall.events);
        assert!(matches!(outcome, Heartbeat::Alive { .. }));
    });
}

/// Releases a seat and lets the same machine take one again, with the event's allocation and the
/// formatting of its hardware id.
#[divan::bench(args = SIZES, sample_size = 1000)]
fn release_and_acquire(bencher: Bencher, size: u64) {
    let mut hall = Hall::with(size, SEATS_PER_LICENSE);
    bencher.bench_local(|| {
        let number = hall.any_seat();
        hall.events.clear();
        let outcome = hall.engine.release(hall.now, Hall::session(number), &mut hall.events);
        assert!(matches!(outcome, Release::Released { .. }));
        assert!(matches!(hall.acquire(number, number), Acquisition::Granted(_)));
    });
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn acquire_already_held(bencher: Bencher, size: u64) {
    let mut hall = Hall::with(size, SEATS_PER_LICENSE);
    bencher.bench_local(|| {
        let number = hall.any_seat();
        assert!(matches!(hall.acquire(number, u64::MAX), Acquisition::AlreadyHeld(_)));
    });
}

/// Ten thousand machines in want of a thousand seats of one licence.
#[divan::bench(sample_size = 1000)]
fn acquire_from_a_full_pool(bencher: Bencher) {
    let mut hall = Hall::with(1_000, 1_000);
    hall.acquire(1_000 - 1, 1_000);
    let gate = gate(2, 1_000);
    hall.engine.configure(hall.now, hall.license(0), gate);
    let machines: Vec<String> = (0..10_000).map(|n| format!("machine {n}")).collect();
    let license_id = hall.license(0);
    let mut turn = 0;
    bencher.bench_local(|| {
        turn = (turn + 1) % machines.len();
        let (hardware_id, session_id) = (&*machines[turn], Hall::session(u64::MAX));
        let ask = Acquire { license_id, gate: None, hardware_id, session_id, metadata: None };
        let outcome = hall.engine.acquire(hall.now, &ask, &mut hall.events);
        assert!(matches!(outcome, Acquisition::Full { .. }));
    });
}

/// A sweep that finds nothing to do.
#[divan::bench(args = SIZES)]
fn sweep_idle(bencher: Bencher, size: u64) {
    let mut hall = Hall::with(size, SEATS_PER_LICENSE);
    bencher.bench_local(|| hall.engine.sweep(hall.now, 1_000, &mut hall.events));
}

/// A sweep that frees a thousand seats.
#[divan::bench(args = [1_000, 100_000], sample_count = 20)]
fn sweep_of_1000_lapsed(bencher: Bencher, size: u64) {
    bencher
        .with_inputs(|| {
            let mut hall = Hall::with(size, SEATS_PER_LICENSE);
            hall.now.mono = Mono(SEAT_TTL_MS);
            hall.events = Vec::with_capacity(2_000);
            hall
        })
        .bench_local_refs(|hall| hall.engine.sweep(hall.now, 1_010, &mut hall.events));
}

#[divan::bench(args = SIZES)]
fn page_of_50_from_all(bencher: Bencher, size: u64) {
    let hall = Hall::with(size, SEATS_PER_LICENSE);
    bencher.bench_local(|| black_box(hall.engine.all_sessions(hall.now, None, 50)));
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn read_seats(bencher: Bencher, size: u64) {
    let mut hall = Hall::with(size, SEATS_PER_LICENSE);
    bencher.bench_local(|| {
        let number = hall.any_seat();
        black_box(hall.engine.seats(hall.now, hall.license(number)))
    });
}

fn print_memory(per_license: u64) -> Hall {
    let before = resident_bytes();
    let hall = Hall::with(1_000_000, per_license);
    let megabytes = (resident_bytes() - before) as f64 / 1e6;
    println!(
        "{megabytes:.0} MB resident for {} seats, {per_license} per licence",
        hall.engine.totals().seats
    );
    hall
}

/// Linux: the second number of `/proc/self/statm`, in pages of 4 KiB. Elsewhere zero.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default()
        * 4096
}
