//! Values in numbered slots: four bytes point to one, and it stays where it is.

use std::ops::{Index, IndexMut};

/// The number of a slot.
pub(super) type Slot = u32;

/// No slot.
pub(super) const NIL: Slot = Slot::MAX;

/// Values in numbered slots. A vacated slot is used again, the one vacated last first, so the
/// memory is that of the most values ever held at once.
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    vacant: Vec<Slot>,
    /// One bit per slot, so that paging skips vacated stretches 64 slots at a time.
    occupied: Vec<u64>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), vacant: Vec::new(), occupied: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn insert(&mut self, value: T) -> Slot {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            if self.slots.len().is_multiple_of(64) {
                self.occupied.push(0);
            }
            self.slots.push(None);
            (self.slots.len() - 1) as Slot
        });
        debug_assert!(slot < NIL, "memory runs out long before slot numbers do");
        self.occupied[slot as usize / 64] |= 1 << (slot % 64);
        self.slots[slot as usize] = Some(value);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> T {
        let value = self.slots[slot as usize].take().expect(HELD);
        self.occupied[slot as usize / 64] &= !(1 << (slot % 64));
        self.vacant.push(slot);
        value
    }

    /// The first slot at or after `from` that holds a value.
    pub(super) fn next_from(&self, from: Slot) -> Option<Slot> {
        let first = from as usize / 64;
        let head = self.occupied.get(first)? & (u64::MAX << (from % 64));
        let (word, bits) = std::iter::once(head)
            .chain(self.occupied[first + 1..].iter().copied())
            .enumerate()
            .find(|(_, bits)| *bits != 0)?;
        Some((first + word) as Slot * 64 + bits.trailing_zeros())
    }
}

/// Why a slot that is followed holds a value.
const HELD: &str = "lists and indexes point only to slots that hold a value";

impl<T> Index<Slot> for Slab<T> {
    type Output = T;

    fn index(&self, slot: Slot) -> &T {
        self.slots[slot as usize].as_ref().expect(HELD)
    }
}

impl<T> IndexMut<Slot> for Slab<T> {
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        self.slots[slot as usize].as_mut().expect(HELD)
    }
}
