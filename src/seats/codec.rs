//! Events as bytes: compact, bounds-checked, readable for ever.
//!
//! An event is a tag byte and its fields; a record is events one after another. The tag names
//! both the kind and the version of its shape: a new shape takes a new tag, and an old tag is read
//! for as long as there may be a log that has it.
//!
//! | tag | fields |
//! | --- | --- |
//! | 1 acquired | license id 16, session id 16, started at `i64` LE, last heartbeat as zigzag varint of the milliseconds since, hardware id (varint length, UTF-8), metadata (varint 0: none, else length + 1, UTF-8) |
//! | 2 released | license id 16, session id 16, reason byte |
//!
//! Varints are LEB128 of a `u64`.

use std::fmt;

use uuid::Uuid;

use super::event::{Event, Reason};
use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::time::Timestamp;

const ACQUIRED: u8 = 1;
const RELEASED: u8 = 2;

/// Why bytes are not events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// The bytes end inside an event, or a length reaches past their end.
    Truncated,
    /// An event of a kind or version this program does not know, perhaps a newer one.
    UnknownTag(u8),
    /// A reason this program does not know.
    UnknownReason(u8),
    /// A number longer than 64 bits.
    NumberTooLong,
    /// Text that is not UTF-8.
    NotUtf8,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("a seat log record ends inside an event"),
            Self::UnknownTag(tag) => {
                write!(
                    f,
                    "a seat log record has an event of unknown kind {tag}; a newer version may have written it"
                )
            }
            Self::UnknownReason(reason) => {
                write!(f, "a seat log record has the unknown reason {reason}")
            }
            Self::NumberTooLong => {
                f.write_str("a seat log record has a number of more than 64 bits")
            }
            Self::NotUtf8 => f.write_str("a seat log record has text that is not UTF-8"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl Event {
    /// Appends the event to a record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Acquired {
                license_id,
                session_id,
                hardware_id,
                started_at,
                last_heartbeat_at,
                metadata,
            } => {
                out.push(ACQUIRED);
                out.extend_from_slice(license_id.0.as_bytes());
                out.extend_from_slice(session_id.0.as_bytes());
                out.extend_from_slice(&started_at.0.to_le_bytes());
                put_varint(out, zigzag(last_heartbeat_at.0.wrapping_sub(started_at.0)));
                put_varint(out, hardware_id.len() as u64);
                out.extend_from_slice(hardware_id.as_bytes());
                match metadata {
                    None => put_varint(out, 0),
                    Some(text) => {
                        put_varint(out, text.len() as u64 + 1);
                        out.extend_from_slice(text.as_bytes());
                    }
                }
            }
            Self::Released { license_id, session_id, reason } => {
                out.push(RELEASED);
                out.extend_from_slice(license_id.0.as_bytes());
                out.extend_from_slice(session_id.0.as_bytes());
                out.push(match reason {
                    Reason::Released => 0,
                    Reason::Lapsed => 1,
                    Reason::Evicted => 2,
                    Reason::Undone => 3,
                });
            }
        }
    }
}

/// The events of a record, in order.
///
/// # Errors
/// [`DecodeError`] when any byte is out of place; no event is given then. Never panics, and never
/// allocates more than the record is long.
pub fn decode_all(record: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let mut reader = Reader { rest: record };
    let mut events = Vec::new();
    while !reader.rest.is_empty() {
        events.push(reader.event()?);
    }
    Ok(events)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn event(&mut self) -> Result<Event, DecodeError> {
        match self.byte()? {
            ACQUIRED => {
                let license_id = LicenseId(self.uuid()?);
                let session_id = SessionId(self.uuid()?);
                let started_at = i64::from_le_bytes(self.array()?);
                let last_heartbeat_at = started_at.wrapping_add(unzigzag(self.varint()?));
                let hardware_len = self.varint()?;
                let hardware_id = self.text(hardware_len)?;
                let metadata = match self.varint()? {
                    0 => None,
                    len_plus_one => Some(self.text(len_plus_one - 1)?),
                };
                Ok(Event::Acquired {
                    license_id,
                    session_id,
                    hardware_id,
                    started_at: Timestamp(started_at),
                    last_heartbeat_at: Timestamp(last_heartbeat_at),
                    metadata,
                })
            }
            RELEASED => Ok(Event::Released {
                license_id: LicenseId(self.uuid()?),
                session_id: SessionId(self.uuid()?),
                reason: match self.byte()? {
                    0 => Reason::Released,
                    1 => Reason::Lapsed,
                    2 => Reason::Evicted,
                    3 => Reason::Undone,
                    other => return Err(DecodeError::UnknownReason(other)),
                },
            }),
            other => Err(DecodeError::UnknownTag(other)),
        }
    }

    fn bytes(&mut self, len: u64) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(len).map_err(|_| DecodeError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    fn text(&mut self, len: u64) -> Result<Box<str>, DecodeError> {
        let text = std::str::from_utf8(self.bytes(len)?).map_err(|_| DecodeError::NotUtf8)?;
        Ok(text.into())
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return Err(DecodeError::NumberTooLong);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::NumberTooLong)
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps numbers near zero of either sign to small ones.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}
