//! Who holds which seat: exact, in memory, pure.
//!
//! Everything here is `(state, now, command) -> outcome`. The room has no I/O, no clock, no
//! randomness of its own and no async: the caller brings the time ([`Now`]), fresh session ids
//! and a buffer for the [`Event`]s that the durable log must remember. One [`Engine`] stands
//! behind one mutex; a command costs about a microsecond and never walks all seats.
//!
//! # Words
//!
//! - A **pool** is a licence as the engine sees it: its [`Gate`] and the seats held.
//! - A **seat** is held by a **session**, one per (licence, hardware id).
//! - A seat **lapses** when its deadline has come: one time to live ([`SEAT_TTL_MS`]) after the
//!   grant or the last heartbeat. At the deadline itself it has lapsed.
//!
//! # Invariants
//!
//! 1. **Never more seats than the gate allows are granted.** A seat is granted only while the
//!    pool's live seats are fewer than `max_seats`. A resize below what is in use, and a
//!    restart, may leave a pool over full: holders finish, nobody is admitted until a seat is free.
//! 2. **One live seat per (licence, hardware id).** Asking again is answered with the same session.
//! 3. **Lapsing is decided by monotonic time alone, inside the command that asks.** A calendar
//!    that is set frees no seat and freezes none; [`Engine::sweep`] only keeps memory and counts
//!    tidy. Time that runs backwards is a caller's mistake and reads as the latest time seen.
//! 4. **A lapsed seat is never revived**, not by a heartbeat and not by its own hardware id.
//! 5. **Newer knowledge of a licence replaces older, never the reverse** ([`Gate::revision`]).
//!    An empty pool remembers its gate for [`POOL_IDLE_MS`], so that a reader who fetched the
//!    licence before a change cannot bring the old gate back by asking late.
//! 6. **Within a pool, the order of deadlines is the order of last heartbeats**, since the time to
//!    live is one constant. Moving a deadline is moving a seat to the back of a list, and the
//!    seats that have lapsed are always the front of it.
//! 7. **The events of the commands, replayed in order, give the same sessions.** The caller must
//!    enqueue a command's events to the log before it lets go of the mutex.
//!
//! # With the durable log
//!
//! A grant is durable when the log record with its `Acquired` event is. Until then the session
//! remembers the **ticket** under which the caller enqueued it ([`Engine::set_ticket`]), so that a
//! second asker for the same seat waits for the same commit. Afterwards it remembers the record's
//! sequence number ([`Engine::set_log_seq`]), so that an old record can be cleaned
//! ([`Engine::relog`]): what still lives in it is written anew, then the record goes. **Records
//! are cleaned oldest first**: a `Released` event may be forgotten only after the `Acquired` it ends.
//!
//! When a commit fails, each grant in it is taken back with [`Engine::undo_acquire`], and the
//! record's `Released` events (with the one that the undoing adds) stand first in the next record:
//! a seat that is free in memory may be granted again, and the log must not know both holders.
//!
//! [`Now`]: crate::domain::time::Now

mod codec;
mod engine;
mod event;
mod gate;
mod index;
mod journal;
mod list;
mod outcome;
mod read;
mod seat;
mod slab;
mod table;

#[cfg(test)]
mod tests;

use crate::domain::time::{MINUTE_MS, SECOND_MS};

pub use codec::{DecodeError, decode_all};
pub use engine::Engine;
pub use event::{Event, Reason};
pub use gate::{Gate, Schedule};
pub use outcome::{Acquire, Acquisition, Grant, Heartbeat, Release};
pub use read::{Cursor, Page, SessionView, Totals};

/// How long a seat lives past its last heartbeat: six minutes.
pub const SEAT_TTL_MS: u64 = 360 * SECOND_MS as u64;

/// How often a holder is asked to be heard from: every five minutes, which leaves one minute for
/// a network that stutters.
pub const HEARTBEAT_INTERVAL_MS: u64 = 300 * SECOND_MS as u64;

/// How long a pool without seats remembers its gate. Longer than any read of a licence that
/// began before a change can take to reach the engine.
pub const POOL_IDLE_MS: u64 = MINUTE_MS as u64;
