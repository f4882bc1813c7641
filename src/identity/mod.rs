//! Who somebody is: passwords, tokens, and how often one may try.
//!
//! - [`passwords`]: what a password must be, argon2id hashes; [`imported`]: hashes that other systems
//!   made; [`hash_pool`]: the threads that compute them, so that a storm of logins starves nobody.
//! - [`tokens`]: opaque tokens (refresh, API keys, links in mails); [`access`]: signed access tokens.
//! - [`oidc`]: the same on the word of another service.
//! - [`totp`]: codes of authenticator apps and recovery codes; [`passkeys`]: what browsers sign with keys of
//!   their own.
//! - [`names`]: what the owner of a domain has written in the domain name system.
//! - [`throttle`]: rate limits by address and by account.
//!
//! # Architecture invariants
//!
//! - Nothing here reads the store: what is stored comes in as values, what is to be stored goes out.
//! - A secret is stored as its hash alone, and never appears in an error, a log or `Debug`.

pub mod access;
pub mod hash_pool;
pub mod imported;
pub mod names;
pub mod oidc;
pub mod passkeys;
pub mod passwords;
pub mod throttle;
pub mod tokens;
pub mod totp;

pub use access::{AccessClaims, AccessTokens};
pub use hash_pool::{HashPool, HashPoolConfig};
pub use names::Names;
pub use passwords::{Cost, Weak};
pub use throttle::{Remaining, RetryAfterSeconds, Throttle, address_key};
