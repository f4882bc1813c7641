//! The write-ahead log beside the database: where appends to the seat log become durable.
//!
//! A commit of the database writes a dozen pages in two syncs. An append costs one write and one
//! sync here, into a file that has its full size from the start, so that the file system has
//! nothing to note about it. What has gathered becomes one record of the seat log, in a commit of
//! the database, now and then: the seat log lives there, and the file holds its last moments.
//!
//! The file is a chain of entries from its beginning, each
//!
//! | bytes | what |
//! | --- | --- |
//! | 16 | the first half of the SHA-256 of the database's identity and all that follows |
//! | 8 | the number of the record it belongs to, big-endian like the next two |
//! | 4 | its place in that record, from 0 |
//! | 4 | the length of what was appended |
//! | | what was appended |
//!
//! The chain ends at the first entry that is torn or belongs elsewhere. Once a record is in the
//! database, the next one starts at the file's beginning; entries count only while the database
//! does not have their record. So nothing has to be wiped, and the entries of another database mean
//! nothing. An entry that is whole behind one that is not shows that the file was damaged, which a
//! crash does not do: it is read, and the gap is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::StorageBackend;
use sha2::{Digest, Sha256};

use super::disk::Disk;
use super::engine::{OpenError, io_error};
use crate::domain::error::{Error, Result};

const CHECK: usize = 16;
const HEAD: usize = CHECK + 8 + 4 + 4;
/// The part of the file that may fill before what has gathered goes to the database.
const ENOUGH: u64 = 4;

/// What tells a database from others.
pub(super) type Identity = [u8; 16];

/// Appends that are durable here and not in the database yet.
pub(super) struct Wal {
    file: Arc<dyn StorageBackend>,
    capacity: u64,
    identity: Identity,
    /// The number of the record that gathers.
    seq: u64,
    chain: Chain,
}

/// What the entries of one record say together.
#[derive(Default)]
pub(super) struct Chain {
    /// What was appended, in order.
    pub(super) record: Vec<u8>,
    entries: u32,
    /// The length of the chain in the file.
    end: u64,
    /// Entries that are missing between whole ones.
    pub(super) lost: u32,
}

impl Wal {
    /// Opens the file beside the database at `path`, or makes it, and reads what has gathered for
    /// record `seq`, the first that the database does not have.
    pub(super) fn open(
        disk: &dyn Disk,
        path: &Path,
        capacity: u64,
        identity: Identity,
        seq: u64,
    ) -> Result<Self, OpenError> {
        let path = beside(path);
        let file = Self::of_full_size(disk, &path, capacity)
            .map_err(|e| io_error(&path, "making the write-ahead log", e))?;
        // A file that was made longer is used as it is: what it holds must be read.
        let capacity = file.len().map_err(|e| io_error(&path, "reading", e))?;
        let mut bytes = vec![0; capacity as usize];
        file.read(0, &mut bytes).map_err(|e| io_error(&path, "reading", e))?;
        let chain = Chain::read(&bytes, &identity, seq);
        if chain.lost > 0 {
            let lost = chain.lost;
            tracing::error!(path = %path.display(), lost, "the write-ahead log is damaged: seats that were acknowledged may be missing");
        }
        Ok(Self { file, capacity, identity, seq, chain })
    }

    /// The file appears under its name when it has its size, durably.
    fn of_full_size(
        disk: &dyn Disk,
        path: &Path,
        capacity: u64,
    ) -> std::io::Result<Arc<dyn StorageBackend>> {
        if disk.exists(path)? {
            let file = disk.open(path, false)?;
            fill(&*file, capacity)?;
            return Ok(file);
        }
        let temporary = path.with_added_extension("new");
        disk.remove(&temporary)?;
        let file = disk.open(&temporary, true)?;
        fill(&*file, capacity)?;
        disk.rename(&temporary, path)?;
        Ok(file)
    }

    /// The number of the record that gathers.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// What has gathered of it.
    pub(super) fn record(&self) -> &[u8] {
        &self.chain.record
    }

    /// Whether so much has gathered that it should go to the database.
    pub(super) fn has_enough(&self) -> bool {
        self.chain.end >= self.capacity / ENOUGH
    }

    /// Whether there is room for an append of so many bytes.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.chain.end + (HEAD + bytes) as u64 <= self.capacity
    }

    /// The longest append that an empty file of this capacity takes.
    pub(super) fn longest_append(capacity: u64) -> usize {
        capacity as usize - HEAD
    }

    /// Appends; on disk when it returns. After an error it may or may not be.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if !self.has_room_for(bytes.len()) {
            return Err(Error::internal("an append is longer than the write-ahead log"));
        }
        let entry = entry(&self.identity, self.seq, self.chain.entries, bytes);
        self.file.write(self.chain.end, &entry).map_err(Error::storage)?;
        self.file.sync_data().map_err(Error::storage)?;
        self.chain.record.extend_from_slice(bytes);
        self.chain.entries += 1;
        self.chain.end += entry.len() as u64;
        Ok(())
    }

    /// Begins to gather for record `seq`: the database has all before.
    pub(super) fn begin(&mut self, seq: u64) {
        if self.seq != seq {
            self.seq = seq;
            self.chain = Chain::default();
        }
    }
}

impl Chain {
    /// Reads the entries of record `seq` from the beginning of a file.
    pub(super) fn read(file: &[u8], identity: &Identity, seq: u64) -> Self {
        let mut chain = Self::default();
        let mut rest = file;
        while let Some(found) = next_entry(rest, identity, seq, chain.entries) {
            chain.lost += found.place - chain.entries;
            chain.record.extend_from_slice(found.appended);
            chain.entries = found.place + 1;
            rest = found.behind;
        }
        chain.end = (file.len() - rest.len()) as u64;
        chain
    }
}

/// The file's name.
pub(super) fn beside(database: &Path) -> PathBuf {
    database.with_added_extension("wal")
}

/// Brings a file to its full size, with real zeros: a hole would be filled, and noted, later.
fn fill(file: &dyn StorageBackend, capacity: u64) -> std::io::Result<()> {
    let len = file.len()?;
    if len < capacity {
        file.set_len(capacity)?;
        file.write(len, &vec![0; (capacity - len) as usize])?;
        file.sync_data()?;
    }
    Ok(())
}

fn entry(identity: &Identity, seq: u64, place: u32, bytes: &[u8]) -> Vec<u8> {
    let mut entry = vec![0; CHECK];
    entry.extend_from_slice(&seq.to_be_bytes());
    entry.extend_from_slice(&place.to_be_bytes());
    entry.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    entry.extend_from_slice(bytes);
    let check = check(identity, &entry[CHECK..]);
    entry[..CHECK].copy_from_slice(&check);
    entry
}

/// An entry that is whole.
struct Found<'f> {
    place: u32,
    appended: &'f [u8],
    behind: &'f [u8],
}

/// The entry at the beginning of `file`, if it is that of record `seq` in this place; otherwise
/// the first one of the record further on that has a later place.
fn next_entry<'f>(file: &'f [u8], identity: &Identity, seq: u64, place: u32) -> Option<Found<'f>> {
    if let Some(found) = whole_entry(file, identity, seq).filter(|found| found.place == place) {
        return Some(found);
    }
    memchr::memmem::find_iter(file, &seq.to_be_bytes())
        .filter_map(|at| whole_entry(file.get(at.checked_sub(CHECK)?..)?, identity, seq))
        .find(|found| found.place > place)
}

/// The entry of record `seq` at the beginning of `file`, if there is one and it is whole.
fn whole_entry<'f>(file: &'f [u8], identity: &Identity, seq: u64) -> Option<Found<'f>> {
    let (head, behind) = file.split_at_checked(HEAD)?;
    let (of, numbers) = head[CHECK..].split_first_chunk::<8>()?;
    let (place, len) = numbers.split_first_chunk::<4>()?;
    let len = u32::from_be_bytes(len.try_into().ok()?) as usize;
    if u64::from_be_bytes(*of) != seq || len > behind.len() {
        return None;
    }
    let (appended, behind) = behind.split_at(len);
    let whole = check(identity, &file[CHECK..HEAD + len]) == head[..CHECK];
    whole.then(|| Found { place: u32::from_be_bytes(*place), appended, behind })
}

fn check(identity: &Identity, bytes: &[u8]) -> [u8; CHECK] {
    let mut half = [0; CHECK];
    let whole = Sha256::new().chain_update(identity).chain_update(bytes).finalize();
    half.copy_from_slice(&whole[..CHECK]);
    half
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: Identity = [1; 16];

    fn file_of(seq: u64, appends: &[Vec<u8>]) -> Vec<u8> {
        let entries = appends.iter().zip(0..).map(|(bytes, place)| entry(&OURS, seq, place, bytes));
        entries.flatten().collect()
    }

    proptest! {
        /// Whatever an earlier record left behind it, a chain is read as it was written; for any
        /// other record there is nothing.
        #[test]
        fn a_chain_is_read_back_and_nothing_else(
            seq in 1_u64..100,
            appends in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
            older in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        ) {
            let mut file = file_of(seq - 1, &older);
            let newer = file_of(seq, &appends);
            file.resize(file.len().max(newer.len() + 100), 0);
            file[..newer.len()].copy_from_slice(&newer);
            let chain = Chain::read(&file, &OURS, seq);
            prop_assert_eq!(&chain.record, &appends.concat());
            prop_assert_eq!(chain.end, newer.len() as u64);
            prop_assert_eq!(chain.entries as usize, appends.len());
            prop_assert!(Chain::read(&file, &OURS, seq + 1).record.is_empty());
            prop_assert!(Chain::read(&file, &[2; 16], seq).record.is_empty(), "another database's");
        }

        /// A torn end is nothing to speak of.
        #[test]
        fn a_torn_end_ends_the_chain(
            appends in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut file = file_of(7, &appends);
            let at = cut.index(file.len());
            file[at..].fill(0);
            let mut end = 0;
            let whole = appends.iter().take_while(|bytes| {
                end += HEAD + bytes.len();
                end <= at
            });
            let expected: Vec<u8> = whole.flatten().copied().collect();
            let chain = Chain::read(&file, &OURS, 7);
            prop_assert!(chain.record.starts_with(&expected), "zeros may have been there before");
            prop_assert_eq!(chain.lost, 0);
        }

        /// Damage in the middle costs the entry it met, and is told.
        #[test]
        fn damage_costs_one_entry_and_is_told(
            appends in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 2..8),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let mut file = file_of(7, &appends);
            let last = HEAD + appends[appends.len() - 1].len();
            let at = at.index(file.len() - last);
            file[at] ^= 1 << bit;
            let mut end = 0;
            let met = appends.iter().position(|bytes| {
                end += HEAD + bytes.len();
                at < end
            });
            let others = appends.iter().enumerate().filter(|(place, _)| Some(*place) != met);
            let expected: Vec<u8> = others.flat_map(|(_, bytes)| bytes).copied().collect();
            let chain = Chain::read(&file, &OURS, 7);
            prop_assert_eq!(chain.record, expected);
            prop_assert_eq!(chain.lost, 1);
        }

        /// Any bytes are read without a panic.
        #[test]
        fn anything_can_be_read(file in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Chain::read(&file, &OURS, 1).record.is_empty());
        }
    }
}
