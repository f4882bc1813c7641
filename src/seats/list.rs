//! Doubly linked lists through the seats of a slab: constant-time append and removal, no
//! allocation, slot numbers for pointers.

use super::seat::Seat;
use super::slab::{NIL, Slab, Slot};

/// The list of a pool's seats by deadline, which is by last heartbeat.
pub(super) const BY_DEADLINE: usize = 0;
/// The list of a pool's seats by the order of their grants.
pub(super) const BY_START: usize = 1;

/// A seat's neighbours in one list.
#[derive(Clone, Copy)]
pub(super) struct Link {
    prev: Slot,
    pub(super) next: Slot,
}

impl Link {
    pub(super) const UNLINKED: Self = Self { prev: NIL, next: NIL };
}

/// The ends of a list that runs through the links number `LINK` of its seats.
pub(super) struct List<const LINK: usize> {
    head: Slot,
    tail: Slot,
}

impl<const LINK: usize> List<LINK> {
    pub(super) const EMPTY: Self = Self { head: NIL, tail: NIL };

    pub(super) fn head(&self) -> Option<Slot> {
        (self.head != NIL).then_some(self.head)
    }

    pub(super) fn tail(&self) -> Option<Slot> {
        (self.tail != NIL).then_some(self.tail)
    }

    pub(super) fn push_back(&mut self, seats: &mut Slab<Seat>, slot: Slot) {
        seats[slot].links[LINK] = Link { prev: self.tail, next: NIL };
        match self.tail {
            NIL => self.head = slot,
            tail => seats[tail].links[LINK].next = slot,
        }
        self.tail = slot;
    }

    pub(super) fn unlink(&mut self, seats: &mut Slab<Seat>, slot: Slot) {
        let Link { prev, next } = std::mem::replace(&mut seats[slot].links[LINK], Link::UNLINKED);
        match prev {
            NIL => self.head = next,
            prev => seats[prev].links[LINK].next = next,
        }
        match next {
            NIL => self.tail = prev,
            next => seats[next].links[LINK].prev = prev,
        }
    }

    pub(super) fn move_to_back(&mut self, seats: &mut Slab<Seat>, slot: Slot) {
        if self.tail != slot {
            self.unlink(seats, slot);
            self.push_back(seats, slot);
        }
    }

    /// The list's slots from the front.
    pub(super) fn iter<'a>(
        &self,
        seats: &'a Slab<Seat>,
    ) -> impl Iterator<Item = Slot> + use<'a, LINK> {
        from_slot::<LINK>(seats, self.head)
    }
}

/// The slots of a list from one of its seats on; nothing from [`NIL`].
pub(super) fn from_slot<const LINK: usize>(
    seats: &Slab<Seat>,
    first: Slot,
) -> impl Iterator<Item = Slot> {
    let present = |slot: Slot| (slot != NIL).then_some(slot);
    std::iter::successors(present(first), move |&slot| present(seats[slot].links[LINK].next))
}
