//! Passkeys: keys that a person's device or password manager holds, one for this server alone.

use serde::{Deserialize, Serialize};

use super::ids::{PasskeyId, UserId};
use super::time::Timestamp;

/// The most passkeys of one account.
pub const PASSKEYS_MAX: usize = 20;

/// A passkey of somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// Identifies it here.
    pub passkey_id: PasskeyId,
    /// Whose it is.
    pub user_id: UserId,
    /// What its owner calls it, 1 to 100 characters.
    pub name: String,
    /// What its authenticator calls it, at most 1,023 bytes.
    pub credential_id: Vec<u8>,
    /// What its signatures are checked with.
    pub key: PasskeyKey,
    /// How often it has signed, as its authenticator counts; many count nothing and say 0.
    pub sign_count: u32,
    /// Whether copies are kept, as password managers do; else it lives in one device.
    pub synced: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last signed in.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
}

/// A public key, in one of the three kinds that authenticators make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasskeyKey {
    /// ECDSA on P-256 with SHA-256: the uncompressed point, 65 bytes.
    Es256(Vec<u8>),
    /// Ed25519: 32 bytes.
    EdDsa(Vec<u8>),
    /// RSA (PKCS #1, version 1.5) with SHA-256: modulus and exponent, big-endian.
    Rs256(Vec<u8>, Vec<u8>),
}
