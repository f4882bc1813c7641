//! The payment provider: Stripe's API as far as it is used here, and its webhooks' signatures.
//!
//! Nothing is decided here. `services` asks, `domain::billing` says what follows.

pub mod objects;
pub mod signature;
mod stripe;

pub use stripe::{Failure, Form, NewCheckout, Stripe};
