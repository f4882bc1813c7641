//! The audit log as it can be proved: how entries are chained, what is signed, and the lines of an
//! export.
//!
//! The handbook (`assets/handbook/security.md`) tells the format to who verifies with another program.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::jws::{Expected, VerifyError, VerifyingKeys};
use super::keys::Purpose;
use crate::domain::audit::{AuditEntry, Link};

/// The `typ` of a signed day of the log.
pub const HEAD_TYP: &str = "audit-head+jwt";

/// The `typ` of the signed end of an export.
pub const END_TYP: &str = "audit-export+jwt";

/// What an export says it is.
pub const FORMAT: &str = "coditect-audit-log";

/// Changes when what is written is read differently.
pub const VERSION: u32 = 1;

/// The longest signature over a place in the log.
const JWS_BYTES_MAX: usize = 8 * 1024;

/// What is signed of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadClaims {
    /// The server.
    pub iss: String,
    /// Signed at.
    pub iat: i64,
    /// The UTC day.
    pub day: String,
    /// The last entry of that day.
    #[serde(flatten)]
    pub link: Link,
}

/// What is signed of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndClaims {
    /// The server.
    pub iss: String,
    /// Signed at.
    pub iat: i64,
    /// The number of the first entry.
    pub first_seq: u64,
    /// The hash of the entry before the first.
    pub anchor: String,
    /// The number of the last entry; the one before the first where there is none.
    pub last_seq: u64,
    /// The hash of the last entry.
    pub hash: String,
    /// SHA-256 over all bytes before the line of this signature.
    pub sha256: String,
}

/// The first line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The server.
    pub iss: String,
    /// When it was begun.
    pub iat: i64,
    /// The number of the first entry.
    pub first_seq: u64,
    /// The hash of the entry before the first.
    pub anchor: String,
}

/// JSON in one spelling: members in the order of their names, no space between them, and only those
/// characters escaped that have to be (RFC 8785 for values without fractions).
pub fn canonical(value: &Value) -> String {
    let mut text = String::with_capacity(512);
    write(value, &mut text);
    text
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            out.push('{');
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            for (at, (name, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// What the log says of an entry, without its hash. What there is nothing to say of is left out, so
/// that an entry keeps its hash when a later version knows more members.
fn facts(entry: &AuditEntry) -> Value {
    let mut facts = json!({
        "seq": entry.seq,
        "audit_id": entry.audit_id.to_string(),
        "at": entry.at.to_string(),
        "actor": entry.by.kind(),
        "action": entry.action,
        "subject": entry.subject,
    });
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            facts[name] = value;
        }
    };
    add("user_id", entry.by.user_id().map(|id| json!(id.to_string())));
    add("api_key_id", entry.api_key_id.map(|id| json!(id.to_string())));
    add("org_id", entry.org_id.map(|id| json!(id.to_string())));
    add("details", (!entry.details.is_empty()).then(|| json!(entry.details)));
    add("changes", (!entry.changes.is_empty()).then(|| json!(entry.changes)));
    add("address", entry.address.as_ref().map(|told| json!(told)));
    add("user_agent", entry.user_agent.as_ref().map(|told| json!(told)));
    add("request_id", entry.request_id.as_ref().map(|told| json!(told)));
    facts
}

/// SHA-256 in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The hash of what follows on an entry: SHA-256 over that one's hash in hexadecimal digits, a line
/// feed, and the canonical JSON.
pub(super) fn hash_after(before: &str, canonical: &str) -> String {
    hex(&Sha256::new().chain_update(before).chain_update("\n").chain_update(canonical).finalize())
}

/// The hash of an entry that follows on the one with the hash `before`.
pub fn hash(before: &str, entry: &AuditEntry) -> String {
    hash_after(before, &canonical(&facts(entry)))
}

/// The entry as a line of an export, without the line feed.
pub fn entry_line(entry: &AuditEntry) -> String {
    let mut facts = facts(entry);
    facts["hash"] = json!(entry.hash);
    canonical(&facts)
}

/// The first line of an export.
pub fn header_line(header: &Header) -> String {
    canonical(&json!(header))
}

/// The line that follows on the last entry of a day.
pub fn head_line(jws: &str) -> String {
    canonical(&json!({ "signed_head": jws }))
}

/// The last line of an export.
pub fn end_line(jws: &str) -> String {
    canonical(&json!({ "signed_end": jws }))
}

/// Checks a signed day, and gives what it says.
pub fn verify_head(jws: &str, keys: &VerifyingKeys) -> Result<HeadClaims, VerifyError> {
    claims(jws, HEAD_TYP, keys)
}

/// Checks the signed end of an export, and gives what it says.
pub fn verify_end(jws: &str, keys: &VerifyingKeys) -> Result<EndClaims, VerifyError> {
    claims(jws, END_TYP, keys)
}

fn claims<T: serde::de::DeserializeOwned>(
    jws: &str,
    typ: &'static str,
    keys: &VerifyingKeys,
) -> Result<T, VerifyError> {
    let expected = Expected { typ, purpose: Purpose::License, bytes_max: JWS_BYTES_MAX };
    let verified = keys.verify(jws, expected)?;
    serde_json::from_slice(&verified.payload)
        .map_err(|_| VerifyError::Malformed("the payload says something else"))
}
