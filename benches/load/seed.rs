//! Fills a database with licences, live seats and people, faster than a million calls would.

use std::path::Path;

use coditect::clock::Clock;
use coditect::domain::ids::{LicenseId, SessionId, UserId};
use coditect::domain::license::License;
use coditect::domain::page::PageRequest;
use coditect::domain::user::{Email, User};
use coditect::entropy::Entropy;
use coditect::seats::Event;
use coditect::signing::{Template, license_key};
use coditect::store::{Options, Store, licenses, users};

const LICENSES_A_COMMIT: usize = 2_000;
/// Seats in one record of the log: about what a busy server writes in one commit.
const SEATS_A_RECORD: usize = 64;

/// What was filled in, for the scripts.
pub struct Seeded {
    /// Keys of licences that have seats.
    pub license_keys: Vec<String>,
    /// All sessions.
    pub sessions: Vec<String>,
}

/// Adds licences, each like the newest one there is, and seats spread evenly over the first of
/// them, at most 100 a licence; every licence has room for 100 more. No server may be running.
///
/// # Panics
/// When the database cannot be written.
pub fn fill(database: &Path, licenses: usize, seats: usize) -> Seeded {
    let store = Store::open(database, Options::default()).expect("no server has it");
    let model = store
        .read(|tx| licenses::list(tx, &PageRequest::first()))
        .expect("it reads")
        .items
        .remove(0);
    let entropy = Entropy::system();
    let made = make(&model, licenses, &entropy);
    for some in made.chunks(LICENSES_A_COMMIT) {
        let some = some.to_vec();
        let write = store.write_blocking(move |tx| {
            some.iter().try_for_each(|one| {
                licenses::insert(tx, one, &license_key::index_form(&one.license_key))
            })
        });
        write.expect("the disk works");
    }
    let holding = &made[..seats.div_ceil(100).min(licenses)];
    let sessions = fill_log(&store, holding, seats, &entropy);
    let license_keys = holding.iter().map(|license| license.license_key.clone()).collect();
    store.close().expect("the disk works");
    Seeded { license_keys, sessions }
}

fn make(model: &License, count: usize, entropy: &Entropy) -> Vec<License> {
    let template =
        Template::parse("CODITECT-XXXX-XXXX-XXXX-XXXX-XXXX").expect("the default template");
    let now = Clock::system().now().wall;
    let one = |_| License {
        license_id: LicenseId(entropy.record_id(now)),
        license_key: template.generate(entropy, now.year()),
        max_concurrent_seats: 200,
        ..model.clone()
    };
    (0..count).map(one).collect()
}

fn fill_log(store: &Store, holding: &[License], seats: usize, entropy: &Entropy) -> Vec<String> {
    let now = Clock::system().now().wall;
    let mut sessions = Vec::with_capacity(seats);
    let mut bytes = Vec::new();
    for nth in 0..seats {
        let session_id = SessionId(entropy.secret_id());
        let event = Event::Acquired {
            license_id: holding[nth % holding.len()].license_id,
            session_id,
            hardware_id: format!("seeded-{nth:08}").into(),
            started_at: now,
            last_heartbeat_at: now,
            metadata: None,
        };
        event.encode(&mut bytes);
        sessions.push(session_id.0.to_string());
        if (nth + 1) % SEATS_A_RECORD == 0 || nth + 1 == seats {
            let record = std::mem::take(&mut bytes);
            store.write_blocking(move |tx| tx.log_append(record)).expect("the disk works");
        }
    }
    sessions
}

/// Adds so many people with the newest account's password and organisation; their addresses. No
/// server may be running.
///
/// # Panics
/// When the database cannot be written.
pub fn people(database: &Path, count: usize) -> Vec<String> {
    let store = Store::open(database, Options::default()).expect("no server has it");
    let model =
        store.read(|tx| users::list(tx, &PageRequest::first())).expect("it reads").items.remove(0);
    let entropy = Entropy::system();
    let addresses: Vec<String> =
        (0..count).map(|nth| format!("person-{nth}@load.example")).collect();
    let wanted = addresses.clone();
    let write = store.write_blocking(move |tx| {
        wanted.iter().try_for_each(|address| {
            let user = User {
                user_id: UserId(entropy.record_id(model.created_at)),
                email: Email::parse(address)?,
                operator: false,
                ..model.clone()
            };
            users::insert(tx, &user)
        })
    });
    write.expect("the disk works");
    store.close().expect("the disk works");
    addresses
}
