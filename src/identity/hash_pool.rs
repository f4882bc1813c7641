//! The threads that hash passwords.
//!
//! One argon2id hash takes 28 ms and 19 MiB. Done on the threads that serve requests, a storm of
//! logins would delay every heartbeat by as much; done on a growing pool, it would eat the memory. So a
//! few threads of their own, of lower priority than the rest of the process, take hashes from a
//! bounded queue, and whoever finds it full is told to come back.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::domain::error::{Code, Error, Result};
use crate::entropy::Entropy;

use super::imported;
use super::passwords::{self, Cost, Scratch};

/// How much weaker than the others the hashing threads are when they compete for a processor
/// (`nice`): with 10 they get about a tenth of it, and all of it when it is idle.
const NICENESS: i32 = 10;

/// After so much idleness a thread gives its 19 MiB back.
const IDLE: Duration = Duration::from_secs(5);

/// What one hash takes, for telling how long others will wait.
const HASH: Duration = Duration::from_millis(30);

/// The size of a pool.
#[derive(Clone, Copy, Debug)]
pub struct HashPoolConfig {
    /// Threads; as many as there are processors by default.
    pub threads: usize,
    /// Requests that may wait. 256 take four seconds on two processors.
    pub queue_max: usize,
    /// Cost of new hashes.
    pub cost: Cost,
}

impl Default for HashPoolConfig {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { threads, queue_max: 256, cost: Cost::OWASP }
    }
}

/// Hashes and verifies passwords on threads of its own; clones share them. The threads end when
/// the last clone is dropped.
#[derive(Clone)]
pub struct HashPool(Arc<Handle>);

/// Dropped with the last clone of the pool, and only then.
struct Handle {
    shared: Arc<Shared>,
    config: HashPoolConfig,
    entropy: Entropy,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
}

struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

type Job = Box<dyn FnOnce(&mut Scratch) + Send>;

impl HashPool {
    /// Starts the threads. Fails when the operating system gives none.
    pub fn start(config: HashPoolConfig, entropy: &Entropy) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { jobs: VecDeque::new(), closed: false }),
            work: Condvar::new(),
        });
        // Made before the threads, so that its drop ends those that were started when one fails.
        let handle = Arc::new(Handle { shared, config, entropy: entropy.clone() });
        for index in 0..config.threads.max(1) {
            let shared = handle.shared.clone();
            thread::Builder::new()
                .name(format!("hash-{index}"))
                .spawn(move || shared.work())
                .map_err(|error| Error::internal(format!("no thread for hashing: {error}")))?;
        }
        Ok(Self(handle))
    }

    /// Judges a new password (see [`passwords::check`]) and hashes it: a PHC string, or
    /// `weak_password`. It needs `chars_min` characters; `about` are words that belong to its owner.
    pub async fn hash_new(
        &self,
        password: String,
        chars_min: usize,
        about: Vec<String>,
    ) -> Result<String> {
        let password = Zeroizing::new(password);
        let (cost, entropy) = (self.0.config.cost, self.0.entropy.clone());
        self.run(move |scratch| {
            let about: Vec<&str> = about.iter().map(String::as_str).collect();
            passwords::check(&password, chars_min, &about)?;
            hash(&password, cost, &entropy, scratch)
        })
        .await
    }

    /// Hashes a password that needs no judging, such as one that was right just now and is stored
    /// under a higher cost. A PHC string.
    pub async fn hash(&self, password: String) -> Result<String> {
        let password = Zeroizing::new(password);
        let (cost, entropy) = (self.0.config.cost, self.0.entropy.clone());
        self.run(move |scratch| hash(&password, cost, &entropy, scratch)).await
    }

    /// Whether the password is the one behind `phc`. For an account that does not exist or has no
    /// password give `None`: the answer is `false` after the same work, so that time tells nobody which
    /// accounts exist. Errors: `overloaded` when the queue is full.
    pub async fn verify(&self, password: String, phc: Option<String>) -> Result<bool> {
        let password = Zeroizing::new(password);
        let (cost, entropy) = (self.0.config.cost, self.0.entropy.clone());
        self.run(move |scratch| match (passwords::normalise(&password), phc) {
            (Some(_), Some(stored)) if imported::is_imported(&stored) => {
                imported::verify(&password, &stored, scratch)
            }
            (Some(normal), Some(phc)) => passwords::verify(&normal, &phc, scratch),
            (normal, _) => {
                // Making a hash is the very work of checking one.
                let stand_in = normal.unwrap_or_default();
                passwords::hash(&stand_in, cost, &entropy, scratch)?;
                Ok(false)
            }
        })
        .await
    }

    /// Whether a stored hash should be made anew at this pool's cost.
    pub fn needs_rehash(&self, phc: &str) -> bool {
        passwords::needs_rehash(phc, self.0.config.cost)
    }

    /// Requests that wait now: for metrics.
    pub fn waiting(&self) -> usize {
        self.0.shared.queue.lock().jobs.len()
    }

    /// How long those who wait now will take.
    pub fn backlog(&self) -> Duration {
        HASH * self.waiting() as u32 / self.0.config.threads.max(1) as u32
    }

    /// Runs `work` on one of the threads and waits for its answer.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Scratch) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.submit(Box::new(move |scratch| {
            // Whoever asked may have hung up meanwhile; then the work would warm nobody.
            if !answer.is_closed() {
                let _ = answer.send(work(scratch));
            }
        }))?;
        answered.await.unwrap_or_else(|_| Err(Error::internal("a hashing thread lost its work")))
    }

    fn submit(&self, job: Job) -> Result<()> {
        let HashPoolConfig { threads, queue_max, .. } = self.0.config;
        let mut queue = self.0.shared.queue.lock();
        if queue.jobs.len() >= queue_max {
            let wait = HASH * queue_max as u32 / threads.max(1) as u32;
            let seconds = wait.as_millis().div_ceil(1000);
            let error = Error::new(
                Code::Overloaded,
                "Too many people are signing in just now. Try again in some seconds.",
            );
            return Err(error.retry_after(seconds.max(1) as u32));
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.0.shared.work.notify_one();
        Ok(())
    }
}

impl Shared {
    /// The life of a thread.
    fn work(&self) {
        // On Linux this sets the priority of the calling thread alone. Where it is refused the
        // pool works all the same, only less politely.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        let mut scratch = Scratch::default();
        while let Some(job) = self.next(&mut scratch) {
            // A panic must not take the thread with it; whoever asked gets an error.
            if catch_unwind(AssertUnwindSafe(|| job(&mut scratch))).is_err() {
                scratch.release();
            }
        }
    }

    /// The next job; `None` when the pool is closed.
    fn next(&self, scratch: &mut Scratch) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if scratch.is_empty() {
                self.work.wait(&mut queue);
            } else if self.work.wait_for(&mut queue, IDLE).timed_out() {
                scratch.release();
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Not joined: this may run on a thread that serves requests, and a hash takes a while.
        let mut queue = self.shared.queue.lock();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.work.notify_all();
    }
}

fn hash(password: &str, cost: Cost, entropy: &Entropy, scratch: &mut Scratch) -> Result<String> {
    let normal = passwords::normalise(password).ok_or_else(|| {
        Error::invalid("password", format!("has at most {} characters", passwords::CHARS_MAX))
    })?;
    passwords::hash(&normal, cost, entropy, scratch)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
    const PASSWORD: &str = "correct horse battery";

    fn pool(threads: usize, queue_max: usize) -> HashPool {
        let config = HashPoolConfig { threads, queue_max, cost: CHEAP };
        HashPool::start(config, &Entropy::system()).unwrap()
    }

    /// Occupies one thread until the returned sender is dropped.
    fn occupy(pool: &HashPool) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let (started, starting) = mpsc::channel();
        pool.submit(Box::new(move |_| {
            started.send(()).unwrap();
            let _ = released.recv();
        }))
        .unwrap();
        starting.recv().unwrap();
        release
    }

    #[tokio::test]
    async fn a_password_hashed_here_verifies_here() {
        let pool = pool(2, 8);
        let phc = pool.hash_new(PASSWORD.to_owned(), 8, Vec::new()).await.unwrap();
        assert!(pool.verify(PASSWORD.to_owned(), Some(phc.clone())).await.unwrap());
        assert!(!pool.verify("another".to_owned(), Some(phc.clone())).await.unwrap());
        assert!(!pool.needs_rehash(&phc));
    }

    #[tokio::test]
    async fn weak_passwords_are_refused_before_hashing() {
        let about = vec!["ann@example.com".to_owned()];
        let error = pool(1, 8).hash_new("ann12345".to_owned(), 8, about).await.unwrap_err();
        assert_eq!(error.code, Code::WeakPassword);
    }

    #[tokio::test]
    async fn nobodys_password_and_an_endless_one_are_wrong() {
        let pool = pool(1, 8);
        assert!(!pool.verify(PASSWORD.to_owned(), None).await.unwrap());
        let phc = pool.hash(PASSWORD.to_owned()).await.unwrap();
        assert!(!pool.verify("x".repeat(10_000), Some(phc)).await.unwrap());
        assert!(pool.hash("x".repeat(10_000)).await.is_err());
    }

    #[tokio::test]
    async fn a_full_queue_says_when_to_come_back() {
        let pool = pool(1, 2);
        let release = occupy(&pool);
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.hash(PASSWORD.to_owned()).await })
            })
            .collect();
        while pool.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        let error = pool.hash(PASSWORD.to_owned()).await.unwrap_err();
        assert_eq!(error.code, Code::Overloaded);
        assert_eq!(error.retry_after_s, Some(1));
        drop(release);
        for answer in waiting {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(pool.waiting(), 0);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_passed_over() {
        let pool = pool(1, 8);
        let release = occupy(&pool);
        let (ran, seen) = mpsc::channel();
        let asking = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move |_| Ok(ran.send(()))).await.map(|_| ()) }
        });
        while pool.waiting() < 1 {
            tokio::task::yield_now().await;
        }
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        drop(release);
        pool.hash(PASSWORD.to_owned()).await.unwrap();
        assert!(seen.try_recv().is_err(), "the abandoned work must not have run");
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_thread() {
        let pool = pool(1, 8);
        let lost: Result<()> = pool.run(|_| panic!("a bug in a library")).await;
        assert_eq!(lost.unwrap_err().code, Code::Internal);
        pool.hash(PASSWORD.to_owned()).await.unwrap();
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_threads_are_nicer_than_the_process() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let inside = pool(1, 8).run(move |_| Ok(niceness())).await.unwrap();
        assert_eq!(inside, NICENESS.max(before));
        assert_eq!(niceness(), before, "the caller's own priority is untouched");
    }

    #[tokio::test]
    async fn the_threads_end_with_the_pool() {
        let pool = pool(2, 8);
        let shared = Arc::downgrade(&pool.0.shared);
        drop(pool);
        let gone = async {
            while shared.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    }
}
