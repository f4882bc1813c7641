//! The real program, as an operator meets it: started, asked, stopped, killed, starved of disk.
//!
//! Each test has a data directory of its own and a port that the system picks.
//! `PROCESS_TESTS_BINARY` names another build of the program to test, such as a release.

#![allow(clippy::unwrap_used)]

mod admin_link;
mod backup;
mod billing_crash;
mod commerce;
mod crash;
mod disk_full;
mod doctor;
mod fixture;
mod ledger;
mod localstripe;
// Not all of it is needed here.
#[allow(dead_code)]
#[path = "../api/support/mail.rs"]
mod mail;
mod scim;
mod shop;
mod shutdown;
mod start;
#[path = "../support/stripe/mod.rs"]
mod stripe;
mod support;
