//! A seat that is held: the guard.

use std::fmt;
use std::time::Duration;

use super::blocking::wait;
use super::builder::Builder;
use super::error::{Loss, Result};
use super::events::{Events, Reader};
use super::moment::Moment;
use super::worker::Worker;

/// How a seat stands, as its keeper knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Known {
    Held { until: Moment },
    Offline { until: Moment },
    Lost(Loss),
}

/// How a seat stands.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum State {
    /// It is held, for so long at least.
    Held {
        /// The time it is good for, unless the server is heard from again.
        left: Duration,
    },
    /// The server cannot be reached just now; the seat is held while there is time left.
    Offline {
        /// The time it is good for, unless the server is heard from again. Nothing: it has lapsed, as
        /// far as this machine can know, and is about to be taken anew or lost.
        left: Duration,
    },
    /// It is held no longer.
    Lost(Loss),
}

/// A seat of a licence, held by this machine and kept in the background until this is dropped.
///
/// Dropping it gives the seat back, and blocks for that for two seconds at most: usually for a few
/// milliseconds, and also while a runtime shuts down. Where even that must not happen on a thread,
/// call [`release`](Self::release).
#[must_use = "the seat is given back when this is dropped"]
pub struct Seat {
    pub(super) worker: Worker,
    pub(super) board: Reader,
    pub(super) hardware_id: String,
    pub(super) grace: bool,
}

impl Seat {
    /// What is needed to take a seat: the server's address, such as `https://licensing.example.com`,
    /// and the licence key.
    pub fn builder(server: impl Into<String>, license_key: impl Into<String>) -> Builder {
        Builder::new(server.into(), license_key.into())
    }

    /// Whether the seat is held at this moment. False as soon as its time is over, even before
    /// the keeper has given up on it.
    pub fn is_held(&self) -> bool {
        !self.time_left().is_zero()
    }

    /// For how long the seat is good, unless the server is heard from again; zero when it is not held.
    pub fn time_left(&self) -> Duration {
        match self.state() {
            State::Held { left } | State::Offline { left } => left,
            State::Lost(_) => Duration::ZERO,
        }
    }

    /// How the seat stands at this moment.
    pub fn state(&self) -> State {
        match &*self.board.state.borrow() {
            Known::Held { until } => match until.left() {
                // The keeper is about to notice: this machine has slept, or was very busy.
                Duration::ZERO => State::Offline { left: Duration::ZERO },
                left => State::Held { left },
            },
            Known::Offline { until } => State::Offline { left: until.left() },
            Known::Lost(loss) => State::Lost(loss.clone()),
        }
    }

    /// What happens to the seat from now on; whoever asks first also gets what has happened already.
    pub fn events(&self) -> Events {
        self.board.events()
    }

    /// Waits until the seat is lost, and says why. Never ends while it is held.
    pub async fn lost(&self) -> Loss {
        let mut state = self.board.state.clone();
        loop {
            if let Known::Lost(loss) = &*state.borrow_and_update() {
                return loss.clone();
            }
            if state.changed().await.is_err() {
                return Loss::Unreachable { cause: "the thread that kept it has ended".to_owned() };
            }
        }
    }

    /// What the server knows this machine by.
    pub fn hardware_id(&self) -> &str {
        &self.hardware_id
    }

    /// Whether the licence was in its grace period when the seat was taken: it works, and payment is due.
    /// Later changes are told by [`Event::Kept`](super::Event::Kept).
    pub fn in_grace(&self) -> bool {
        self.grace
    }

    /// Gives the seat back, and waits for the server's answer for a few seconds at most. A seat that was lost
    /// has nothing to give back: that is no error.
    ///
    /// # Errors
    /// When the server did not answer in time; the seat then lapses by itself.
    pub async fn release(self) -> Result<()> {
        let Self { mut worker, .. } = self;
        worker.end().await
    }

    /// [`Seat::release`] for a program without async.
    ///
    /// # Errors
    /// As [`Seat::release`].
    pub fn release_blocking(self) -> Result<()> {
        wait(self.release())
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("hardware_id", &self.hardware_id)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
