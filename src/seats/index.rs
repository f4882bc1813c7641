//! From a key to the slot that has it, without storing the key again.

use hashbrown::HashTable;

use super::slab::Slot;

/// Grows by shard: when a table of a million entries doubles, it reads every key once, which
/// would hold the engine for a tenth of a second. A shard's turn takes well under a millisecond.
const SHARDS: usize = 256;

/// A hash table of slots. The keys stay where the slots point to, so looking up, and growing,
/// ask the caller for equality and hashes.
pub(super) struct Index {
    shards: Box<[HashTable<Slot>]>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }

    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(Slot) -> bool) -> Option<Slot> {
        self.shards[shard(hash)].find(hash, |&slot| is_it(slot)).copied()
    }

    /// Adds a slot whose key is not in the index yet.
    pub(super) fn insert(&mut self, hash: u64, slot: Slot, hash_of: impl Fn(Slot) -> u64) {
        self.shards[shard(hash)].insert_unique(hash, slot, |&slot| hash_of(slot));
    }

    pub(super) fn remove(&mut self, hash: u64, slot: Slot) {
        let entry = self.shards[shard(hash)].find_entry(hash, |&found| found == slot);
        debug_assert!(entry.is_ok(), "what is removed was indexed");
        if let Ok(entry) = entry {
            entry.remove();
        }
    }
}

/// The table inside a shard uses the lowest and the highest bits of the hash; these are between.
fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}
