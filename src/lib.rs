//! CODITECT, a licensing appliance in one file.
//!
//! # The map, in reading order
//!
//! - [`domain`]: the words of the product and its rules, pure.
//! - [`seats`]: who holds which seat, pure; [`signing`]: keys and licence documents.
//! - [`clock`], [`entropy`], [`config`]: the only sources of time, randomness and settings.
//! - [`store`]: everything durable, one redb file and its write-ahead log behind one writer.
//! - [`billing`]: the payment provider; [`mail`], [`identity`]: messages, passwords and tokens.
//! - [`services`]: one file per noun; each operation authorises, opens the transaction, decides.
//! - [`jobs`]: what must happen later, durable.
//! - [`api`], [`web`]: HTTP, thin. [`telemetry`]: logs and metrics.
//! - [`app`]: the only composition root. [`cli`] and [`commands`]: the program.
//! - [`client`]: what a licensed application links, and `coditect seat` uses.
//!
//! # Architecture invariants
//!
//! A room uses only rooms to its right:
//!
//! `commands -> app -> api, jobs, web, listen -> services -> store, billing, mail, identity, signing, seats -> domain`
//!
//! - `domain` and `seats` know no tokio, redb, poem, serde formats or wall clock. Time is a parameter.
//! - `api` never sees `store`. Wire types live in `api`, encodings in `store`, rules in
//!   `domain`, `seats` and `services`.
//! - Nothing outside `store` names a redb type.
//! - Every write goes through one group-commit writer; the caller is answered only after it
//!   is on disk; a closure that fails or panics rolls back alone.
//! - What must happen later is a job row in the transaction of its cause.
//! - The seat engine's memory is a cache of what is durable: acquire and release are on disk
//!   before they are answered.
//! - Errors are HTTP-free enums; one exhaustive table maps code to status and title.
//! - No globals, no wall clock outside `clock`, no `unwrap` outside tests, no unsafe code.
//!
//! `tests/architecture.rs` reads the `use crate::` lines and holds the code to this.

pub mod domain;

pub mod seats;
pub mod signing;

pub mod clock;
pub mod config;
pub mod entropy;

pub mod store;

pub mod billing;
pub mod identity;
pub mod mail;

pub mod services;

pub mod jobs;

pub mod api;
pub mod telemetry;
pub mod web;

pub mod app;
pub mod cli;
pub mod client;
pub mod commands;
mod listen;
