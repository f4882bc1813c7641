//! Drives a server: many kept connections, each with a script of its own, on one thread.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::http::Connection;
use super::server::Process;

/// What an answer was to its script.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What was asked for: counted and timed.
    Done,
    /// A refusal that belongs to the scene, such as no free seat: told apart.
    Refused,
    /// Anything else.
    Failed,
}

/// What one client does, request by request.
pub trait Script: Send + Sync {
    /// The next request, whole.
    fn next(&mut self, request: &mut Vec<u8>);

    /// Looks at its answer.
    fn answered(&mut self, status: u16, body: &[u8]) -> Verdict;
}

/// One script a connection.
pub type Clients = Vec<Box<dyn Script>>;

/// How a round goes.
#[derive(Clone, Copy)]
pub struct Round {
    /// Not measured, at the start.
    pub warm_up: Duration,
    /// Measured.
    pub time: Duration,
    /// The mean pause of a client between an answer and its next request, where it takes one;
    /// pauses are spread evenly from nothing to twice that.
    pub think: Option<Duration>,
}

/// What a round came to.
pub struct Outcome {
    /// Times of what was done, in microseconds.
    pub times: Histogram<u64>,
    /// Requests done.
    pub done: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests failed.
    pub failed: u64,
    /// Requests answered in any way, warm-up included.
    pub answered: u64,
    /// How long was measured.
    pub time: Duration,
    /// Processor time the server took for a request, warm-up included, in microseconds.
    pub cpu_us: f64,
}

impl Outcome {
    fn new(time: Duration) -> Self {
        let times = Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are sound");
        Self { times, done: 0, refused: 0, failed: 0, answered: 0, time, cpu_us: f64::NAN }
    }

    /// Requests done a second.
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.time.as_secs_f64()
    }

    /// The time within which so many of a hundred were done, in milliseconds.
    pub fn percentile_ms(&self, percentile: f64) -> f64 {
        self.times.value_at_quantile(percentile / 100.0) as f64 / 1_000.0
    }

    /// Adds another round, as if it had been longer.
    pub fn add(&mut self, other: &Self) {
        self.times.add(&other.times).expect("the bounds are the same");
        self.done += other.done;
        self.refused += other.refused;
        self.failed += other.failed;
        self.answered += other.answered;
        self.time += other.time;
    }
}

/// Lets every client work for a round, and keeps what they know for the next one.
///
/// # Panics
/// When the server cannot be reached, or more than one request in a thousand fails.
pub fn drive(server: &Process, clients: &mut Clients, round: Round) -> Outcome {
    let before = server.ticks();
    let mut outcome = drive_whatever_comes(server.address, clients, round);
    outcome.cpu_us = (server.ticks() - before) as f64 * 10_000.0 / outcome.answered as f64;
    let all = outcome.done + outcome.refused;
    assert!(outcome.failed * 1_000 <= all, "{} of {all} requests failed", outcome.failed);
    outcome
}

/// The same for a server that may go away meanwhile.
pub fn drive_whatever_comes(address: SocketAddr, clients: &mut Clients, round: Round) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let begin = Instant::now() + round.warm_up;
        let tasks: Vec<_> = std::mem::take(clients)
            .into_iter()
            .enumerate()
            .map(|(nth, script)| tokio::spawn(client(address, script, round, begin, nth as u64)))
            .collect();
        let mut sum = Outcome::new(Duration::ZERO);
        for task in tasks {
            let (script, outcome) = task.await.expect("a client does not panic");
            clients.push(script);
            sum.add(&outcome);
        }
        sum.time = round.time;
        sum
    })
}

async fn client(
    address: SocketAddr,
    mut script: Box<dyn Script>,
    round: Round,
    begin: Instant,
    seed: u64,
) -> (Box<dyn Script>, Outcome) {
    let end = begin + round.time;
    let mut outcome = Outcome::new(round.time);
    let mut connection = Connection::open(address).await.expect("the server accepts connections");
    let (mut request, mut dice) =
        (Vec::with_capacity(512), seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    loop {
        if let Some(mean) = round.think {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            tokio::time::sleep(mean.mul_f64((dice >> 11) as f64 / (1_u64 << 52) as f64)).await;
        }
        script.next(&mut request);
        let sent = Instant::now();
        let verdict = match connection.exchange(&request).await {
            Ok((status, body)) => script.answered(status, body),
            Err(_) => Verdict::Failed,
        };
        let now = Instant::now();
        outcome.answered += 1;
        if now >= end {
            return (script, outcome);
        }
        if now >= begin {
            match verdict {
                Verdict::Done => {
                    outcome.done += 1;
                    outcome.times.saturating_record((now - sent).as_micros() as u64);
                }
                Verdict::Refused => outcome.refused += 1,
                Verdict::Failed => outcome.failed += 1,
            }
        }
        if verdict == Verdict::Failed {
            // A server that went away is not to be hammered; the count says that it did.
            tokio::time::sleep(Duration::from_millis(10)).await;
            if let Ok(again) = Connection::open(address).await {
                connection = again;
            }
        }
    }
}
