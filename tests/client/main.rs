//! The client that keeps a seat, against the real server: the library `coditect::client`, and the command
//! `coditect seat` that is built on it.
//!
//! Between both stands a proxy that cuts the line, and that makes minutes pass in seconds where a test waits
//! for heartbeats.

#![allow(clippy::unwrap_used)]

mod command;
mod holder;
mod keeping;
mod lapse;
mod loss;
mod machine;
mod proxy;
mod signals;
// Not all of it is needed here.
#[allow(dead_code)]
#[path = "../process/support.rs"]
mod support;
mod taking;
