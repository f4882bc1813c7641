//! The only source of randomness.

use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::domain::time::Timestamp;

/// Random bytes: the operating system's, or a reproducible stream for tests.
#[derive(Clone)]
pub struct Entropy(Arc<Source>);

enum Source {
    System,
    /// SHA-256 over (seed, counter): reproducible, never for production.
    Seeded(Mutex<(u64, u64)>),
}

impl Entropy {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self(Arc::new(Source::System))
    }

    /// The same bytes at every run, for tests.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Source::Seeded(Mutex::new((seed, 0)))))
    }

    /// Fills the buffer with random bytes.
    ///
    /// # Panics
    /// When the operating system cannot give randomness: nothing safe can be done without it.
    pub fn fill(&self, buffer: &mut [u8]) {
        match &*self.0 {
            Source::System => getrandom::fill(buffer)
                .expect("the operating system gives no random bytes; nothing secure can go on"),
            Source::Seeded(state) => {
                let mut state = state.lock();
                for chunk in buffer.chunks_mut(32) {
                    state.1 += 1;
                    let mut hasher = Sha256::new();
                    hasher.update(state.0.to_be_bytes());
                    hasher.update(state.1.to_be_bytes());
                    chunk.copy_from_slice(&hasher.finalize()[..chunk.len()]);
                }
            }
        }
    }

    /// An array of random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut buffer = [0; N];
        self.fill(&mut buffer);
        buffer
    }

    /// A time-ordered UUID (v7) for a record.
    pub fn record_id(&self, now: Timestamp) -> Uuid {
        Builder::from_unix_timestamp_millis(now.0.max(0) as u64, &self.bytes()).into_uuid()
    }

    /// A random UUID (v4, 122 random bits) for a bearer secret.
    pub fn secret_id(&self) -> Uuid {
        Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// A number below `bound` without modulo bias (rejection sampling).
    pub fn below(&self, bound: u32) -> u32 {
        debug_assert!(bound > 0);
        let zone = u32::MAX - u32::MAX % bound;
        loop {
            let candidate = u32::from_be_bytes(self.bytes());
            if candidate < zone {
                return candidate % bound;
            }
        }
    }
}
