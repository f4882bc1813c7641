//! Keys and the documents they sign.
//!
//! - [`master`]: the one key that seals every private key at rest.
//! - [`keys`]: a signing key as it is stored; [`ring`]: the keys in use, ready to sign.
//! - [`jws`]: compact JWS (RFC 7515), made and checked here so that nothing is accepted by default.
//! - [`document`]: what is signed: licences, licence files, validation answers.
//! - [`audit`]: the audit log as it can be proved; [`audit_file`]: an export of it, verified.
//! - [`license_key`]: the key a customer types.
//!
//! # Architecture invariants
//!
//! - No store and no runtime: records come in and go out as values, and signing is a plain
//!   function that the caller runs where 2 ms (RSA-4096) or 1 s (making such a key) do no harm.
//! - A private key leaves this room only sealed.
//! - The algorithm of a signature follows from the key that is looked up, never from the token.

pub mod audit;
pub mod audit_file;
pub mod document;
pub mod jws;
pub mod keys;
pub mod license_key;
pub mod master;
pub mod ring;

pub use document::{LicenseClaims, VerifyLicenseError};
pub use jws::{VerifyError, VerifyingKeys};
pub use keys::{Algorithm, KeyError, KeyRecord, PublicJwk, PublishedKey, Purpose};
pub use license_key::{KeySlip, Template};
pub use master::{MasterKey, MasterKeyError};
pub use ring::{KeyRing, SignError};
