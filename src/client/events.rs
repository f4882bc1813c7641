//! What becomes of a seat, as it happens.

use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

use super::blocking::wait;
use super::error::Loss;
use super::seat::Known;

/// Events that are kept for a reader who is slow; then the oldest are left out.
const KEPT_MAX: usize = 64;

/// What has become of the seat.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server was heard from, and the seat is good for so long.
    Kept {
        /// The time it is good for from now, unless the server is heard from again.
        left: Duration,
        /// Whether the licence is in its grace period: it works, and payment is due.
        grace: bool,
    },
    /// The server no longer knew the seat; one is being taken anew.
    Renewing,
    /// The server cannot be reached; the seat is still held.
    Offline {
        /// The time it is good for from now, unless the server is heard from again.
        left: Duration,
        /// What went wrong at the last try.
        cause: String,
    },
    /// The seat is held no longer.
    Lost(Loss),
    /// After a loss a seat was taken again; only with [`Builder::regain`](super::Builder::regain).
    Regained {
        /// The time it is good for from now, unless the server is heard from again.
        left: Duration,
    },
}

/// The events of a seat, from the moment this was asked for.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` when no more can come, because the seat was released or lost for
    /// good. Of a reader who is far behind the oldest events are withheld, never the newest.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The same for a program without async.
    pub fn next_blocking(&mut self) -> Option<Event> {
        wait(self.next())
    }
}

/// Where the keeper of a seat tells how it stands.
pub(super) struct Board {
    state: watch::Sender<Known>,
    events: broadcast::Sender<Event>,
}

/// Where others read it.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) state: watch::Receiver<Known>,
    /// Not a strong one: that would keep the channel open when the keeper has ended.
    events: broadcast::WeakSender<Event>,
    /// For the first to ask, so that nothing between the grant and the asking is missed.
    first: parking_lot::Mutex<Option<broadcast::Receiver<Event>>>,
}

impl Board {
    pub(super) fn new(state: Known) -> (Self, Reader) {
        let (state, state_reader) = watch::channel(state);
        let (events, first) = broadcast::channel(KEPT_MAX);
        let reader = Reader {
            state: state_reader,
            events: events.downgrade(),
            first: parking_lot::Mutex::new(Some(first)),
        };
        (Self { state, events }, reader)
    }

    pub(super) fn tell(&self, state: Known, event: Event) {
        self.state.send_replace(state);
        // Nobody has to listen.
        let _ = self.events.send(event);
    }
}

impl Reader {
    pub(super) fn events(&self) -> Events {
        let first = self.first.lock().take();
        let later = || self.events.upgrade().map(|events| events.subscribe());
        Events(first.or_else(later).unwrap_or_else(|| broadcast::channel(1).1))
    }
}
