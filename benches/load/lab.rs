//! The reference beside the server under test, and how the two are compared.

use std::time::Duration;

use uuid::Uuid;

use super::bare;
use super::drive::{Clients, Outcome, Round, drive};
use super::report::{Row, median};
use super::scripts::Cycle;
use super::server::Process;

/// Connections, unless said otherwise.
pub const CONNECTIONS: usize = 64;

/// The reference and how long to measure.
pub struct Lab {
    bare: Process,
    bare_clients: Clients,
    rounds: usize,
    round: Round,
}

impl Lab {
    /// Starts the reference. `LOAD_ROUNDS` and `LOAD_MS` say how many rounds of how many
    /// milliseconds each measurement has.
    pub fn open() -> Self {
        let number = |name: &str, standard| {
            std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(standard)
        };
        let bodies: Vec<String> = (1..=CONNECTIONS as u128)
            .map(|nth| format!(r#"{{"session_id":"{}"}}"#, Uuid::from_u128(nth << 64 | nth)))
            .collect();
        Self {
            bare: Process::bare(),
            bare_clients: Cycle::clients(CONNECTIONS, bare::PATH, &bodies),
            rounds: number("LOAD_ROUNDS", 5) as usize,
            round: Round {
                warm_up: Duration::from_millis(200),
                time: Duration::from_millis(number("LOAD_MS", 1_000)),
                think: None,
            },
        }
    }

    /// One round of the reference.
    pub fn bare_round(&mut self) -> Outcome {
        drive(&self.bare, &mut self.bare_clients, self.round)
    }

    /// The reference alone.
    pub fn bare(&mut self) -> Row {
        let rounds: Vec<Outcome> = (0..self.rounds).map(|_| self.bare_round()).collect();
        Row::of("bare endpoint, the reference", &rounds, &[], &[], "")
    }

    /// Rounds of a load, each between two of the reference; the ratio is to the mean of these two,
    /// because a shared machine is not as fast from one second to the next.
    pub fn compare(
        &mut self,
        name: &str,
        server: &Process,
        clients: &mut Clients,
        goal: &str,
    ) -> Row {
        let (mut outcomes, mut ratios, mut costs) = (Vec::new(), Vec::new(), Vec::new());
        let mut before = self.bare_round();
        for _ in 0..self.rounds {
            let outcome = drive(server, clients, self.round);
            let after = self.bare_round();
            ratios.push(outcome.rate() / f64::midpoint(before.rate(), after.rate()));
            costs.push(outcome.cpu_us / f64::midpoint(before.cpu_us, after.cpu_us));
            before = after;
            outcomes.push(outcome);
        }
        Row::of(name, &outcomes, &ratios, &costs, goal)
    }

    /// Rounds without the reference, at a pace: each client takes a pause after each answer.
    pub fn paced(
        &self,
        name: &str,
        server: &Process,
        clients: &mut Clients,
        think: Duration,
        goal: &str,
    ) -> Row {
        let round = Round { think: Some(think), ..self.round };
        let rounds: Vec<Outcome> =
            (0..self.rounds).map(|_| drive(server, clients, round)).collect();
        Row::of(name, &rounds, &[], &[], goal)
    }

    /// One longer measurement, beside something else that runs.
    pub fn beside(
        &self,
        server: &Process,
        clients: &mut Clients,
        think: Option<Duration>,
        time: Duration,
    ) -> Outcome {
        drive(server, clients, Round { time, think, ..self.round })
    }

    /// How many hashes of a password, at the product's cost, this machine makes a second on all its
    /// processors with nothing else to do.
    pub fn hashes_a_second() -> f64 {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let time = Duration::from_secs(2);
        let once = || -> f64 {
            let made: usize = std::thread::scope(|scope| {
                let workers: Vec<_> =
                    (0..threads).map(|_| scope.spawn(|| hash_for(time))).collect();
                workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum()
            });
            made as f64 / time.as_secs_f64()
        };
        median((0..3).map(|_| once()).collect())
    }
}

fn hash_for(time: Duration) -> usize {
    let parameters = argon2::Params::new(19 * 1024, 2, 1, Some(32)).expect("OWASP's parameters");
    let hasher =
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    let mut memory = vec![argon2::Block::default(); 19 * 1024];
    let (mut made, mut hash, begin) = (0, [0; 32], std::time::Instant::now());
    while begin.elapsed() < time {
        hasher
            .hash_password_into_with_memory(
                b"a quiet harbour at dawn",
                b"sixteen bytes of",
                &mut hash,
                &mut memory,
            )
            .expect("the memory is enough");
        made += 1;
    }
    made
}
