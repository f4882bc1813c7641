//! The load benchmark: starts the release binary, drives it over loopback beside a bare
//! endpoint of the same framework, and prints one table.
//!
//! ```sh
//! cargo bench --bench load                     # all that fits into some minutes
//! cargo bench --bench load -- seats            # one part: rest, seats, validate, users, sign-in or size
//! LOAD_LONG=1 cargo bench --bench load -- size # with a million licences and seats
//! cargo bench --bench load -- fill FILE 100000 # no measurement: adds licences to a database
//! ```
//!
//! `LOAD_ROUNDS` and `LOAD_MS` set how long each measurement takes, `LOAD_BINARY` measures another
//! binary, `TMPDIR` chooses the disk. Rates depend on the machine: the ratio to the bare endpoint,
//! measured right before and after each round, is what to compare.

mod bare;
mod drive;
mod http;
mod lab;
mod report;
mod scripts;
mod seed;
mod server;

use std::path::Path;
use std::time::Duration;

use self::drive::drive_whatever_comes;
use self::lab::{CONNECTIONS, Lab};
use self::report::{Row, fact, head};
use self::scripts::{Cycle, TakeAndGive};
use self::server::{House, Operator, Process, file_mb, take_seats};

const HEARTBEAT: &str = "/api/v1/licenses/heartbeat";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == bare::ARGUMENT) {
        return bare::serve();
    }
    // `cargo test --benches` runs benchmarks without it: that it builds is enough then.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let parts: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if let ["fill", database, count] = parts[..] {
        let count = count.parse().expect("how many licences");
        seed::fill(Path::new(database), count, 0);
        return;
    }
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    let mut lab = Lab::open();
    if wanted("rest") {
        rest();
    }
    if wanted("seats") {
        seats(&mut lab);
    }
    if wanted("validate") {
        validate(&mut lab);
    }
    if wanted("users") {
        users(&mut lab);
    }
    if wanted("sign-in") {
        sign_in(&lab);
    }
    if wanted("size") {
        let long = std::env::var_os("LOAD_LONG").is_some();
        if long {
            size(&mut lab, 1_000_000, 100_000);
            size(&mut lab, 10_000, 1_000_000);
        } else {
            size(&mut lab, 10_000, 100_000);
        }
    }
}

fn session_bodies(sessions: &[String]) -> Vec<String> {
    sessions.iter().map(|session_id| format!(r#"{{"session_id":"{session_id}"}}"#)).collect()
}

/// Starting, and doing nothing.
fn rest() {
    println!("\nAt rest, with nothing in the database");
    let house = House::new();
    let (server, ready) = house.serve_ready();
    fact(
        "first start to ready (the RSA key is made meanwhile)",
        ready.as_secs_f64() * 1e3,
        "ms",
        "",
    );
    Operator::sign_in(server.address).settle();
    server.stop();
    let starts = (0..5).map(|_| {
        let (server, ready) = house.serve_ready();
        server.stop();
        ready.as_secs_f64() * 1e3
    });
    fact("start to ready", report::median(starts.collect()), "ms", "goal <= 150");
    let (server, _) = house.serve_ready();
    std::thread::sleep(Duration::from_secs(2));
    let (before, time) = (server.ticks(), Duration::from_secs(20));
    std::thread::sleep(time);
    fact("memory", server.resident_mb(), "MB", "goal <= 30");
    let percent = (server.ticks() - before) as f64 / time.as_secs_f64();
    fact("processor time", percent, "%", "goal < 0.1 (a tick is 0.05 here)");
    Operator::sign_in(server.address);
    std::thread::sleep(Duration::from_secs(8));
    fact("memory after a sign-in and a pause", server.resident_mb(), "MB", "goal <= 30");
    server.stop();
}

/// An empty server with a licence for each connection, and seats of the first of them.
struct Scene {
    server: Process,
    operator: Operator,
    license_keys: Vec<String>,
    heartbeats: Vec<String>,
    _house: House,
}

impl Scene {
    fn set() -> Self {
        let house = House::new();
        let (server, _) = house.serve_ready();
        let operator = Operator::sign_in(server.address);
        let license_keys: Vec<String> = (0..CONNECTIONS).map(|_| operator.issue(1_000)).collect();
        let sessions = take_seats(server.address, &license_keys[0], 640).expect("it answers");
        operator.settle();
        Self {
            server,
            operator,
            license_keys,
            heartbeats: session_bodies(&sessions),
            _house: house,
        }
    }

    fn heartbeat(&self, lab: &mut Lab) -> Row {
        let mut beats = Cycle::clients(CONNECTIONS, HEARTBEAT, &self.heartbeats);
        lab.compare("heartbeat", &self.server, &mut beats, "goal >= 0.90, p99 <= 5")
    }

    fn take_and_give(&self, lab: &mut Lab) -> Row {
        let mut takers = TakeAndGive::clients(CONNECTIONS, &self.license_keys, 6_400, 1);
        let goal = "goal >= 0.60, then 0.75; p99 <= 8";
        lab.compare("acquire + release, durable, 64 licences", &self.server, &mut takers, goal)
    }
}

/// Taking, keeping and giving back seats, as fast as they come.
fn seats(lab: &mut Lab) {
    head("Seats, on an empty server");
    let scene = Scene::set();
    lab.bare().print();
    scene.heartbeat(lab).print();
    let many = scene.take_and_give(lab);
    many.print();

    let contended = scene.operator.issue(1_000);
    let mut rivals = TakeAndGive::clients(CONNECTIONS, &[contended], 10_000, usize::MAX);
    // Until every seat is held.
    lab.beside(&scene.server, &mut rivals, None, Duration::from_secs(2));
    let goal = format!("goal >= {:.0}/s with refusals, 0.8 of 64 licences", many.rate() * 0.8);
    lab.compare("the same, 10,000 machines for 1,000 seats", &scene.server, &mut rivals, &goal)
        .print();
    std::thread::sleep(Duration::from_secs(6));
    fact("memory after all this", scene.server.resident_mb(), "MB", "");
    scene.server.stop();
}

/// Looking at licences.
fn validate(lab: &mut Lab) {
    head("Validation");
    let scene = Scene::set();
    let cases = [
        ("validate", "", "goal >= 0.85"),
        (
            "validate, signed with its nonce",
            r#","nonce":"0123456789abcdef""#,
            "Ed25519, two cores: see `signing`",
        ),
    ];
    for (name, nonce, goal) in cases {
        let body = |key: &String| format!(r#"{{"license_key":"{key}"{nonce}}}"#);
        let bodies: Vec<String> = scene.license_keys.iter().map(body).collect();
        let mut asking = Cycle::clients(CONNECTIONS, "/api/v1/licenses/validate", &bodies);
        lab.compare(name, &scene.server, &mut asking, goal).print();
    }
    scene.server.stop();
}

/// People and applications as they come: with pauses, at half of what saturates.
fn users(lab: &mut Lab) {
    head("100 users with pauses, at half of what saturates");
    let scene = Scene::set();
    let (most_beats, most_takes) = (scene.heartbeat(lab).rate(), scene.take_and_give(lab).rate());
    let pause = |rate: f64| Duration::from_secs_f64(100.0 / (rate / 2.0));
    let mut beats = Cycle::clients(100, HEARTBEAT, &scene.heartbeats);
    lab.paced("heartbeat", &scene.server, &mut beats, pause(most_beats), "goal p99 <= 3").print();
    let mut takers = TakeAndGive::clients(100, &scene.license_keys, 10_000, 1);
    lab.paced(
        "acquire + release, durable",
        &scene.server,
        &mut takers,
        pause(most_takes),
        "goal p99 <= 3",
    )
    .print();
    scene.server.stop();
}

/// Passwords: the most expensive thing a stranger can ask for.
fn sign_in(lab: &Lab) {
    head("Sign-in");
    let house = House::new();
    let (server, _) = house.serve_ready();
    let operator = Operator::sign_in(server.address);
    let key = operator.issue(1_000);
    operator.settle();
    server.stop();
    let bodies: Vec<String> = seed::people(&house.database(), 10 * CONNECTIONS)
        .iter()
        .map(|email| server::login(email))
        .collect();
    let (server, _) = house.serve_ready();
    let sessions = take_seats(server.address, &key, 640).expect("it answers");

    let limit = Lab::hashes_a_second();
    let mut people = Cycle::clients(CONNECTIONS, "/api/v1/auth/login", &bodies);
    let storm = lab.beside(&server, &mut people, None, Duration::from_secs(5));
    let limit = f64::midpoint(limit, Lab::hashes_a_second());
    let share = 100.0 * storm.rate() / limit;
    let remark =
        format!("{share:.0} % of the {limit:.1} hashes/s this machine makes; goal >= 95 %");
    report::Row::of("login, 64 at once", &[storm], &[], &[], &remark).print();

    let mut beats = Cycle::clients(CONNECTIONS, HEARTBEAT, &session_bodies(&sessions));
    for (name, think) in [
        ("heartbeat meanwhile, 3,000/s", Some(Duration::from_millis(21))),
        ("heartbeat meanwhile, saturated", None),
    ] {
        let (storm, calm) = std::thread::scope(|scope| {
            let storm =
                scope.spawn(|| lab.beside(&server, &mut people, None, Duration::from_secs(5)));
            let calm = lab.beside(&server, &mut beats, think, Duration::from_secs(5));
            (storm.join().expect("the storm ends"), calm)
        });
        let remark = format!("with {:.1} logins/s; goal p99 <= 15", storm.rate());
        report::Row::of(name, &[calm], &[], &[], &remark).print();
    }
    server.stop();
}

/// With much in the database.
fn size(lab: &mut Lab, licenses: usize, seats: usize) {
    head(&format!("With {licenses} licences and {seats} live seats"));
    let house = House::new();
    let (server, _) = house.serve_ready();
    let operator = Operator::sign_in(server.address);
    operator.issue(1);
    operator.settle();
    server.stop();
    let seeded = seed::fill(&house.database(), licenses, seats);

    let (server, ready) = house.serve_ready();
    let fresh_mb = server.resident_mb();
    let mut beats = Cycle::clients(CONNECTIONS, HEARTBEAT, &session_bodies(&seeded.sessions));
    lab.compare("heartbeat", &server, &mut beats, "goal: 0.85 x that of an empty server").print();
    let mut takers = TakeAndGive::clients(CONNECTIONS, &seeded.license_keys, 6_400, 1);
    let goal = "goal: 0.9 x that of an empty server";
    lab.compare("acquire + release, durable", &server, &mut takers, goal).print();
    backup(lab, &house, &server, &mut beats);
    println!();
    fact(
        "start to ready",
        ready.as_secs_f64() * 1e3,
        "ms",
        "goal <= 1500 with 1,000,000 and 100,000",
    );
    fact("memory after the start", fresh_mb, "MB", "goal <= 400 with 1,000,000 seats");
    fact("memory after the load", server.resident_mb(), "MB", "");
    fact("database file", file_mb(&house.database()), "MB", "");

    // Killed in the middle of writing.
    let address = server.address;
    let writing = std::thread::spawn(move || {
        let round =
            drive::Round { warm_up: Duration::ZERO, time: Duration::from_secs(2), think: None };
        drive_whatever_comes(address, &mut takers, round)
    });
    std::thread::sleep(Duration::from_secs(1));
    server.kill();
    let (server, ready) = house.serve_ready();
    fact(
        "start to ready after kill -9 under load",
        ready.as_secs_f64() * 1e3,
        "ms",
        "goal <= 1000 with 1 GB",
    );
    let _ = writing.join();
    server.stop();
}

/// A backup while heartbeats arrive.
fn backup(lab: &Lab, house: &House, server: &Process, beats: &mut drive::Clients) {
    let operator = Operator::sign_in(server.address);
    let before = file_mb(&house.database());
    let (took, outcome) = std::thread::scope(|scope| {
        let copying = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            let begin = std::time::Instant::now();
            operator.call("POST", "/api/v1/admin/backups", &serde_json::Value::Null);
            begin.elapsed()
        });
        let outcome =
            lab.beside(server, beats, Some(Duration::from_millis(6)), Duration::from_secs(3));
        (copying.join().expect("the backup is made"), outcome)
    });
    let growth = 100.0 * (file_mb(&house.database()) - before) / before;
    let remark = format!(
        "took {:.1} s, the file grew by {growth:.0} %; goal p99 <= 10, <= 10 %",
        took.as_secs_f64()
    );
    report::Row::of("heartbeat, 10,000/s, while a backup is made", &[outcome], &[], &[], &remark)
        .print();
}
