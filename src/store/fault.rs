//! A disk in memory that fails on demand, fills up, and loses power.
//!
//! It keeps a journal of everything that was asked of it, so that a test can rebuild
//! the disk as a power cut at any point would have left it: what was synced is there;
//! of what was not, anything may be, in any order, and the last write may be torn.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use redb::StorageBackend;

use super::disk::{Disk, Lock};

/// One thing that was asked of the disk.
#[derive(Clone, Debug)]
pub enum Event {
    /// A name was given to a new, empty file.
    Create {
        /// The name.
        path: PathBuf,
        /// The file's number.
        file: usize,
    },
    /// A file took the place of another name, and the directory was synced.
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
    },
    /// A name was taken away.
    Remove {
        /// The name.
        path: PathBuf,
    },
    /// The directory was synced: all names so far are durable.
    SyncNames,
    /// A file's length was set.
    SetLen {
        /// The file's number.
        file: usize,
        /// Its new length.
        len: u64,
    },
    /// A part of a file was written.
    Write {
        /// The file's number.
        file: usize,
        /// Where.
        offset: u64,
        /// What.
        data: Vec<u8>,
    },
    /// A file was synced: all of it so far is durable.
    Sync {
        /// The file's number.
        file: usize,
    },
}

/// Which of the requests not yet synced a power cut leaves on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Survival {
    /// None of them.
    Nothing,
    /// All of them.
    Everything,
    /// All of them, the last write cut off in its middle.
    TornLast,
    /// Each with a chance of one half.
    Some,
    /// Each with a chance of one half, and in any order.
    Shuffled,
}

impl Survival {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Nothing, Self::Everything, Self::TornLast, Self::Some, Self::Shuffled];
}

type Content = Arc<Mutex<Vec<u8>>>;

#[derive(Default)]
struct Contents {
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Content>,
}

impl Contents {
    fn as_events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (file, content) in self.files.iter().enumerate() {
            let named = self.names.iter().find(|(_, number)| **number == file);
            let path = named.map_or_else(PathBuf::new, |(path, _)| path.clone());
            events.push(Event::Create { path, file });
            events.push(Event::Write { file, offset: 0, data: content.lock().clone() });
            events.push(Event::Sync { file });
        }
        events.push(Event::SyncNames);
        events
    }
}

#[derive(Default)]
struct Faults {
    /// Every write, length change and sync fails.
    broken: AtomicBool,
    /// Writes beyond the present end of a file and new files fail, as on a full disk.
    full: AtomicBool,
    /// The next sync fails, once.
    fail_next_sync: AtomicBool,
    /// Syncs wait until this is lifted.
    stalled: Mutex<bool>,
    moves: Condvar,
}

#[derive(Default)]
struct Inner {
    contents: Mutex<Contents>,
    journal: Mutex<Vec<Event>>,
    faults: Faults,
}

/// The disk; clones are the same disk.
#[derive(Clone, Default)]
pub struct FaultDisk(Arc<Inner>);

impl FaultDisk {
    /// An empty disk that works.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on all writes and syncs fail with `EIO`, or work again.
    pub fn set_broken(&self, broken: bool) {
        self.0.faults.broken.store(broken, Ordering::SeqCst);
    }

    /// From now on nothing can grow (`ENOSPC`), or can again.
    pub fn set_full(&self, full: bool) {
        self.0.faults.full.store(full, Ordering::SeqCst);
    }

    /// The next sync fails, once.
    pub fn fail_next_sync(&self) {
        self.0.faults.fail_next_sync.store(true, Ordering::SeqCst);
    }

    /// From now on syncs wait, or go on.
    pub fn set_stalled(&self, stalled: bool) {
        *self.0.faults.stalled.lock() = stalled;
        self.0.faults.moves.notify_all();
    }

    /// How many things were asked of it so far.
    pub fn events(&self) -> usize {
        self.0.journal.lock().len()
    }

    /// The size of a file, where there is one.
    pub fn size_of(&self, path: &Path) -> Option<u64> {
        let contents = self.0.contents.lock();
        let file = *contents.names.get(path)?;
        Some(contents.files[file].lock().len() as u64)
    }

    /// The disk as a power cut after the first `events` requests would have left it.
    /// `below(n)` gives random numbers below `n`.
    #[must_use]
    pub fn after_power_cut(
        &self,
        events: usize,
        survival: Survival,
        below: &mut dyn FnMut(u32) -> u32,
    ) -> Self {
        let journal = self.0.journal.lock();
        let mut cut = PowerCut::default();
        for event in &journal[..events] {
            cut.replay(event);
        }
        let contents = cut.survivors(survival, below);
        // The survivor's journal starts with what survived, so that it can be cut again.
        let journal = Mutex::new(contents.as_events());
        Self(Arc::new(Inner { contents: Mutex::new(contents), journal, ..Inner::default() }))
    }

    fn note(&self, event: Event) {
        self.0.journal.lock().push(event);
    }

    fn grow(&self) -> io::Result<()> {
        self.change()?;
        if self.0.faults.full.load(Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the disk"));
        }
        Ok(())
    }

    fn change(&self) -> io::Result<()> {
        if self.0.faults.broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is broken"));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut stalled = self.0.faults.stalled.lock();
        while *stalled {
            self.0.faults.moves.wait(&mut stalled);
        }
        drop(stalled);
        self.change()?;
        if self.0.faults.fail_next_sync.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("the sync failed"));
        }
        Ok(())
    }
}

impl Disk for FaultDisk {
    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.0.contents.lock().names.contains_key(path))
    }

    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn StorageBackend>> {
        let mut contents = self.0.contents.lock();
        let number = match contents.names.get(path) {
            Some(number) => *number,
            None if !create => return Err(io::ErrorKind::NotFound.into()),
            None => {
                self.grow()?;
                let number = contents.files.len();
                contents.files.push(Content::default());
                contents.names.insert(path.to_owned(), number);
                self.note(Event::Create { path: path.to_owned(), file: number });
                number
            }
        };
        let content = Arc::clone(&contents.files[number]);
        Ok(Arc::new(FaultFile { disk: self.clone(), number, content }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        let mut contents = self.0.contents.lock();
        let file = contents.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        contents.names.insert(to.to_owned(), file);
        self.note(Event::Rename { from: from.to_owned(), to: to.to_owned() });
        self.sync()?;
        self.note(Event::SyncNames);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        if self.0.contents.lock().names.remove(path).is_some() {
            self.note(Event::Remove { path: path.to_owned() });
        }
        Ok(())
    }

    fn probe(&self, _directory: &Path) -> io::Result<()> {
        self.grow()?;
        self.sync()
    }

    fn lock(&self, _path: &Path) -> io::Result<Lock> {
        Ok(Lock::Taken(Box::new(())))
    }
}

struct FaultFile {
    disk: FaultDisk,
    number: usize,
    content: Content,
}

impl fmt::Debug for FaultFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultFile").field("number", &self.number).finish_non_exhaustive()
    }
}

impl StorageBackend for FaultFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.content.lock();
        let start = offset as usize;
        let part = content.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(part);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.content.lock().len() as u64 {
            self.disk.grow()?;
        } else {
            self.disk.change()?;
        }
        self.disk.note(Event::SetLen { file: self.number, len });
        self.content.lock().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync()?;
        self.disk.note(Event::Sync { file: self.number });
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.change()?;
        self.disk.note(Event::Write { file: self.number, offset, data: data.to_vec() });
        overwrite(&mut self.content.lock(), offset, data);
        Ok(())
    }
}

fn overwrite(content: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let start = offset as usize;
    let end = start + data.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(data);
}

/// What is durable at a point of the journal, and what was asked since.
#[derive(Default)]
struct PowerCut {
    names: BTreeMap<PathBuf, usize>,
    names_unsynced: Vec<Event>,
    files: Vec<Vec<u8>>,
    unsynced: Vec<Vec<Event>>,
}

impl PowerCut {
    fn replay(&mut self, event: &Event) {
        match event {
            Event::Create { file, .. } => {
                debug_assert_eq!(*file, self.files.len(), "files are numbered as they come");
                self.files.push(Vec::new());
                self.unsynced.push(Vec::new());
                self.names_unsynced.push(event.clone());
            }
            Event::Rename { .. } | Event::Remove { .. } => self.names_unsynced.push(event.clone()),
            Event::SyncNames => {
                for event in std::mem::take(&mut self.names_unsynced) {
                    rename(&mut self.names, &event);
                }
            }
            Event::SetLen { file, .. } | Event::Write { file, .. } => {
                self.unsynced[*file].push(event.clone());
            }
            Event::Sync { file } => {
                for event in std::mem::take(&mut self.unsynced[*file]) {
                    modify(&mut self.files[*file], &event, usize::MAX);
                }
            }
        }
    }

    fn survivors(mut self, survival: Survival, below: &mut dyn FnMut(u32) -> u32) -> Contents {
        // A journalling file system keeps the order of names: some first part survives.
        let kept = match survival {
            Survival::Nothing => 0,
            Survival::Everything | Survival::TornLast => self.names_unsynced.len(),
            Survival::Some | Survival::Shuffled => {
                below(self.names_unsynced.len() as u32 + 1) as usize
            }
        };
        for event in &self.names_unsynced[..kept] {
            rename(&mut self.names, event);
        }
        for (file, unsynced) in self.files.iter_mut().zip(&mut self.unsynced) {
            match survival {
                Survival::Nothing => unsynced.clear(),
                Survival::Everything | Survival::TornLast => {}
                Survival::Some | Survival::Shuffled => unsynced.retain(|_| below(2) == 0),
            }
            if survival == Survival::Shuffled {
                for last in (1..unsynced.len()).rev() {
                    unsynced.swap(last, below(last as u32 + 1) as usize);
                }
            }
            for (number, event) in unsynced.iter().enumerate() {
                let torn = survival == Survival::TornLast && number + 1 == unsynced.len();
                let most = match event {
                    Event::Write { data, .. } if torn => below(data.len() as u32 + 1) as usize,
                    _ => usize::MAX,
                };
                modify(file, event, most);
            }
        }
        let files = self.files.into_iter().map(|bytes| Arc::new(Mutex::new(bytes))).collect();
        Contents { names: self.names, files }
    }
}

fn rename(names: &mut BTreeMap<PathBuf, usize>, event: &Event) {
    match event {
        Event::Create { path, file } => {
            names.insert(path.clone(), *file);
        }
        Event::Rename { from, to } => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Event::Remove { path } => {
            names.remove(path);
        }
        _ => {}
    }
}

/// Applies a request to a file; of a write at most so many bytes.
fn modify(content: &mut Vec<u8>, event: &Event, most: usize) {
    match event {
        Event::SetLen { len, .. } => content.resize(*len as usize, 0),
        Event::Write { offset, data, .. } => {
            overwrite(content, *offset, &data[..data.len().min(most)]);
        }
        _ => {}
    }
}
