//! A load of contending clients, and a ledger of what the server has acknowledged to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coditect::entropy::Entropy;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::support::{Answer, Client, License, person, text};

/// Machines that each worker has for each licence; nobody else speaks for them.
const MACHINES: u32 = 2;
/// Released seats that a check asks about.
const RELEASED_MAX: usize = 300;

/// What is known of a machine's seat.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seat {
    Free,
    /// The session was acknowledged.
    Held(String),
    /// An acquire was not answered: it may have one.
    Asked,
    /// A release was not answered: it may still have this one.
    Leaving(String),
}

type Machine = (usize, String);

#[derive(Default)]
struct Known {
    seats: BTreeMap<Machine, Seat>,
    released: Vec<String>,
    users: BTreeSet<String>,
    activated: BTreeSet<Machine>,
    faults: Vec<String>,
    answers: u64,
    refusals: u64,
}

/// Everything the server has acknowledged, and every fault that was seen.
pub struct Ledger {
    licenses: Vec<License>,
    known: Mutex<Known>,
}

impl Ledger {
    /// Makes small licences for many machines to contend for.
    pub async fn new(operator: &Client) -> Arc<Self> {
        let mut licenses = Vec::new();
        for seats in [1, 2, 3, 5] {
            licenses.push(operator.issue(seats).await);
        }
        Arc::new(Self { licenses, known: Mutex::default() })
    }

    /// Answers to changes so far: acknowledged, and refused for want of storage or at the end.
    pub fn counts(&self) -> (u64, u64) {
        let known = self.known.lock();
        (known.answers, known.refusals)
    }

    /// Accounts and activations that were acknowledged so far.
    pub fn records(&self) -> (BTreeSet<String>, BTreeSet<Machine>) {
        let known = self.known.lock();
        (known.users.clone(), known.activated.clone())
    }

    pub fn license(&self, index: usize) -> &License {
        &self.licenses[index]
    }

    /// Fails when these accounts and activations are not all there.
    #[allow(clippy::implicit_hasher)]
    pub async fn check_records(
        &self,
        operator: &Client,
        (users, activated): &(BTreeSet<String>, BTreeSet<Machine>),
    ) {
        let there: BTreeSet<String> = operator.emails().await.into_iter().collect();
        let lost: Vec<_> = users.difference(&there).collect();
        assert!(lost.is_empty(), "acknowledged accounts are lost: {lost:?}");
        for (index, license) in self.licenses.iter().enumerate() {
            let there = operator.machines(license).await;
            for (_, machine) in activated.iter().filter(|(of, _)| *of == index) {
                assert!(there.contains(machine), "an acknowledged activation is lost: {machine}");
            }
        }
    }

    /// Holds the server to everything it has acknowledged. Nobody else may use it meanwhile.
    pub async fn check(&self, operator: &Client) {
        for index in 0..self.licenses.len() {
            self.check_seats(operator, index).await;
        }
        let released: Vec<String> = {
            let mut known = self.known.lock();
            let newest = known.released.len().saturating_sub(RELEASED_MAX);
            known.released.split_off(newest)
        };
        for session in &released {
            let answer = operator.heartbeat(session).await;
            assert_eq!(answer.code(), "session_not_found", "a released seat is held: {answer:?}");
        }
        self.check_records(operator, &self.records()).await;
        let faults = &self.known.lock().faults;
        assert!(faults.is_empty(), "{faults:#?}");
    }

    async fn check_seats(&self, operator: &Client, index: usize) {
        let license = &self.licenses[index];
        let holders = operator.holders(license).await;
        assert!(
            holders.len() <= license.seats as usize,
            "over-issued: {} of {}",
            holders.len(),
            license.seats
        );
        let mut held = BTreeMap::new();
        for holder in &holders {
            let before = held.insert(text(&holder["hardware_id"]), text(&holder["session_id"]));
            assert!(before.is_none(), "a machine has two seats: {holder}");
        }
        let ours: Vec<(Machine, Seat)> = {
            let known = self.known.lock();
            known
                .seats
                .iter()
                .filter(|((of, _), _)| *of == index)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect()
        };
        for (machine, seat) in ours {
            let found = held.remove(&machine.1);
            let now = match (seat, found) {
                (Seat::Held(session), found) => {
                    assert_eq!(
                        found.as_ref(),
                        Some(&session),
                        "{machine:?}: an acknowledged seat is missing"
                    );
                    let beat = operator.heartbeat(&session).await.expect(&[200]);
                    assert_eq!(beat["status"], "alive");
                    Seat::Held(session)
                }
                (Seat::Free, Some(session)) => {
                    panic!("{machine:?} holds {session}, which it has not or gave back")
                }
                (Seat::Leaving(old), Some(session)) => {
                    assert_eq!(
                        old, session,
                        "{machine:?}: another seat than the one it was giving back"
                    );
                    Seat::Held(session)
                }
                (Seat::Asked, Some(session)) => Seat::Held(session),
                (Seat::Free | Seat::Asked | Seat::Leaving(_), None) => Seat::Free,
            };
            self.known.lock().seats.insert(machine, now);
        }
        assert!(held.is_empty(), "held by machines that never asked: {held:?}");
    }

    fn seat_of(&self, machine: &Machine) -> Seat {
        self.known.lock().seats.get(machine).cloned().unwrap_or(Seat::Free)
    }

    /// Notes what is known of a machine now. Seats noted as held are held, whatever else is
    /// under way, so there are never more of them than the licence has.
    fn note(&self, machine: &Machine, seat: Seat) {
        let mut known = self.known.lock();
        known.answers += 1;
        known.seats.insert(machine.clone(), seat);
        let of_license = known.seats.iter().filter(|((of, _), _)| *of == machine.0);
        let held = of_license.filter(|(_, seat)| matches!(seat, Seat::Held(_))).count();
        let seats = self.licenses[machine.0].seats as usize;
        if held > seats {
            known.faults.push(format!("over-issued: {held} of {seats} seats acknowledged at once"));
        }
    }

    /// An answer that no client should ever get is a fault; one that says "not now" is not.
    fn refused(&self, what: &str, answer: &Answer) {
        let mut known = self.known.lock();
        known.refusals += 1;
        let honest = answer.status == 503
            && answer.retry_after.is_some()
            && ["storage_unavailable", "shutting_down", "overloaded"].contains(&answer.code());
        if !honest {
            known.faults.push(format!("{what}: {answer:?}"));
        }
    }
}

/// Clients at work.
pub struct Load {
    tasks: JoinSet<bool>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Sets so many clients to work. `seed` makes their choices; accounts and activations of
    /// each are named after it, so it must be new for each load of one ledger.
    pub fn start(ledger: &Arc<Ledger>, client: &Client, workers: usize, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for number in 0..workers {
            let worker = Worker {
                ledger: Arc::clone(ledger),
                client: client.clone(),
                entropy: Entropy::seeded(seed * 1_000 + number as u64),
                name: format!("w{number}"),
                round: format!("{seed}-{number}"),
            };
            tasks.spawn(worker.work(Arc::clone(&stop)));
        }
        Self { tasks, stop }
    }

    /// Lets each client end its last call; whether no connection broke.
    pub async fn finish(self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().all(|unbroken| unbroken)
    }
}

struct Worker {
    ledger: Arc<Ledger>,
    client: Client,
    entropy: Entropy,
    name: String,
    round: String,
}

impl Worker {
    /// Works until told to stop (true) or until the connection breaks (false).
    async fn work(self, stop: Arc<AtomicBool>) -> bool {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            count += 1;
            let index = self.entropy.below(self.ledger.licenses.len() as u32) as usize;
            let done = match self.entropy.below(16) {
                0 => self.register(count).await,
                1 | 2 => self.activate(index, count).await,
                _ => self.use_seat(index).await,
            };
            match done {
                Err(_) => return false,
                // Refused: there is no point in asking as fast as one can.
                Ok(false) => tokio::time::sleep(Duration::from_millis(20)).await,
                Ok(true) => {}
            }
        }
        true
    }

    async fn register(&self, count: u32) -> reqwest::Result<bool> {
        let email = format!("person-{}-{count}@example.com", self.round);
        let answer = self.client.try_post("/api/v1/auth/register", person(&email)).await?;
        if answer.status == 201 {
            let mut known = self.ledger.known.lock();
            known.answers += 1;
            known.users.insert(email);
            return Ok(true);
        }
        self.ledger.refused("register", &answer);
        Ok(false)
    }

    async fn activate(&self, index: usize, count: u32) -> reqwest::Result<bool> {
        let machine = (index, format!("laptop-{}-{count}", self.round));
        let ask = self.ledger.licenses[index].ask(&machine.1);
        let answer = self.client.try_post("/api/v1/licenses/activate", ask).await?;
        if answer.status == 201 {
            let mut known = self.ledger.known.lock();
            known.answers += 1;
            known.activated.insert(machine);
            return Ok(true);
        }
        self.ledger.refused("activate", &answer);
        Ok(false)
    }

    async fn use_seat(&self, index: usize) -> reqwest::Result<bool> {
        let machine = (index, format!("{}-m{}", self.name, self.entropy.below(MACHINES)));
        match self.ledger.seat_of(&machine) {
            Seat::Free | Seat::Asked => self.acquire(machine).await,
            Seat::Held(session) if self.entropy.below(2) == 0 => {
                self.heartbeat(machine, session).await
            }
            Seat::Held(session) => self.release(machine, session).await,
            Seat::Leaving(session) => self.heartbeat(machine, session).await,
        }
    }

    async fn acquire(&self, machine: Machine) -> reqwest::Result<bool> {
        self.ledger.known.lock().seats.insert(machine.clone(), Seat::Asked);
        let ask = self.ledger.licenses[machine.0].ask(&machine.1);
        let answer = self.client.try_post("/api/v1/licenses/acquire", ask).await?;
        match answer.status {
            200 | 201 => self.ledger.note(&machine, Seat::Held(text(&answer.body["session_id"]))),
            409 if answer.code() == "no_seats_available" => self.ledger.note(&machine, Seat::Free),
            _ => {
                self.ledger.refused("acquire", &answer);
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn heartbeat(&self, machine: Machine, session: String) -> reqwest::Result<bool> {
        let leaving = matches!(self.ledger.seat_of(&machine), Seat::Leaving(_));
        let ask = serde_json::json!({"session_id": session});
        let answer = self.client.try_post("/api/v1/licenses/heartbeat", ask).await?;
        match answer.status {
            200 => self.ledger.note(&machine, Seat::Held(session)),
            404 if leaving => self.ledger.note(&machine, Seat::Free),
            _ => {
                // Heartbeats go on whatever the disk does.
                let fault = format!("heartbeat of {machine:?}: {answer:?}");
                if answer.code() != "shutting_down" {
                    self.ledger.known.lock().faults.push(fault);
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn release(&self, machine: Machine, session: String) -> reqwest::Result<bool> {
        self.ledger.known.lock().seats.insert(machine.clone(), Seat::Leaving(session.clone()));
        let ask = serde_json::json!({"session_id": session});
        let answer = self.client.try_post("/api/v1/licenses/release", ask).await?;
        if answer.status == 200 {
            self.ledger.note(&machine, Seat::Free);
            self.ledger.known.lock().released.push(session);
            return Ok(true);
        }
        self.ledger.refused("release", &answer);
        Ok(false)
    }
}
