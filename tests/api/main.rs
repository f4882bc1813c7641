//! The API as its clients see it: a real server on a real port with a real data directory, under a
//! clock that the test moves. One module for each group of routes, and each test is a sentence
//! about them.

#![allow(clippy::unwrap_used)]
#![recursion_limit = "256"]

mod accounts;
mod analytics;
mod api_keys;
mod audit;
mod bad_http;
mod bad_input;
mod billing;
mod billing_chaos;
mod email_domains;
mod email_templates;
mod health;
mod isolation;
mod journey;
mod keys;
mod licenses;
mod limits;
mod mail_maildev;
mod mail_sendgrid;
mod mail_smtp;
mod oidc;
mod operator;
mod org_deletion;
mod orgs;
mod passkeys;
mod people;
mod plans;
mod scim;
mod search;
mod seats;
mod second_factor;
mod setup;
#[path = "../support/stripe/mod.rs"]
mod stripe;
mod subscriptions;
mod support;
mod teams;
