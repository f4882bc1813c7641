//! The fake Stripe of the tests is fit: it does what Stripe's documentation says, in the form that
//! Stripe's published specification says, for programs that Stripe made.

#![allow(clippy::unwrap_used)]

mod calls;
mod client;
mod life;
mod official;
#[path = "../support/stripe/mod.rs"]
mod stripe;
