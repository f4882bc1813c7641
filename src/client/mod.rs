//! What a licensed application links: it takes a seat and keeps it.
//!
//! ```no_run
//! use std::time::Duration;
//! use coditect::client::Seat;
//!
//! # async fn work() {}
//! # async fn example(key: &str) -> Result<(), coditect::client::Error> {
//! let seat = Seat::builder("https://licensing.example.com", key)
//!     .metadata("app", "Sketch 3.1")
//!     .wait(Duration::from_secs(60))
//!     .acquire()
//!     .await?;
//! tokio::select! {
//!     () = work() => {}
//!     loss = seat.lost() => eprintln!("The licence seat is lost: {loss}"),
//! }
//! seat.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A program without an async runtime does the same with the methods that end in `_blocking`:
//!
//! ```no_run
//! use coditect::client::Seat;
//!
//! # fn step() -> bool { false }
//! # fn example(key: &str) -> Result<(), coditect::client::Error> {
//! let seat = Seat::builder("https://licensing.example.com", key).acquire_blocking()?;
//! while seat.is_held() && step() {}
//! seat.release_blocking()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - **The seat is kept in the background**, by one thread with a small runtime of its own. It
//!   needs none of the program's runtime and works under any, or none.
//! - **An outage is not noticed** while it is shorter than the time the seat has left. A server that is
//!   restarted, a network that stutters, a laptop that sleeps: the keeper tries again by itself, and
//!   takes a seat anew, for the same machine, when the server no longer knows the old one.
//! - **It never believes in a seat longer than the server does.** [`Seat::is_held`] compares a clock that
//!   nobody can set, and that runs on while the machine sleeps, with a deadline that is counted from
//!   the moment the last answered request was *sent*.
//! - **A loss has a reason** ([`Loss`]), told by [`Seat::lost`], [`Seat::state`] and [`Seat::events`].
//!   What then happens is the application's choice.
//! - **The seat is given back** when the guard is dropped, also while a runtime shuts down. Dropping waits
//!   for the answer two seconds at most; [`Seat::release`] waits without blocking a thread and tells
//!   the outcome. Several programs of one machine share its seat: the last to end gives it back.
//! - Everything is bounded: answers, retries and their pauses, events, the time each thing may take.
//!   `Retry-After` is respected.
//!
//! Which machine it is, is told by [`HardwareId`]; see there for containers.

mod acquire;
mod backoff;
mod blocking;
mod builder;
mod error;
mod events;
mod hardware;
mod http;
mod keeper;
mod moment;
mod neighbours;
mod seat;
mod worker;

/// The examples of the handbook's page compile, too.
#[cfg(doctest)]
#[doc = include_str!("../../assets/handbook/client.md")]
struct Handbook;

#[cfg(test)]
#[path = "tests/script.rs"]
mod script;

pub use builder::Builder;
pub use error::{Error, Loss, Refusal, Result, SeatCount};
pub use events::{Event, Events};
pub use hardware::HardwareId;
pub use http::{License, Validation};
pub use seat::{Seat, State};
