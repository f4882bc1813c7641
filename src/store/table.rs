//! Typed tables: what a key and a row look like as bytes.
//!
//! Keys are encoded so that comparing bytes compares keys; a table is thus also an
//! index in the order of its key's components. Rows are JSON: self-describing, so
//! that a field added with `#[serde(default)]` reads the rows written before it.

use std::marker::PhantomData;
use std::ops::Bound;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::domain::error::{Error, Result};
use crate::domain::ids::{
    ActivationId, ApiKeyId, AuditId, IdentityId, InvitationId, InvoiceId, JobId, LicenseId,
    LoginId, MailId, OrgId, PasskeyId, PaymentId, PlanId, ProjectId, ProvisioningTokenId,
    SessionId, SubscriptionId, TeamId, UserId,
};
use crate::domain::time::Timestamp;

/// A named map from `K` to `V`, in the order of `K`'s encoding.
pub struct Table<K, V> {
    name: &'static str,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Table<K, V> {
    /// The table of this name. Names are for ever: another name is another table.
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// The name in the file.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// What a table can be keyed by.
///
/// The encoding keeps the order (`a < b` exactly when `a.encode() < b.encode()`) and
/// no encoding is the beginning of another's, so that encodings can be put one
/// after the other to form the keys of tuples.
pub trait Key: Sized {
    /// Appends the encoding.
    fn encode_into(&self, out: &mut Vec<u8>);

    /// Takes one encoded key off the front of `bytes`.
    fn decode_from(bytes: &mut &[u8]) -> Result<Self>;

    /// The encoding alone; also what a cursor carries.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        self.encode_into(&mut out);
        out
    }

    /// The key that `bytes` encode, all of them.
    fn decode(mut bytes: &[u8]) -> Result<Self> {
        let key = Self::decode_from(&mut bytes)?;
        if bytes.is_empty() { Ok(key) } else { Err(malformed("has bytes left over")) }
    }
}

fn malformed(why: &str) -> Error {
    Error::internal(format!("a stored key {why}; the database may be damaged, run `doctor`"))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or_else(|| malformed("is too short"))?;
    *bytes = rest;
    Ok(*head)
}

macro_rules! unsigned_key {
    ($($int:ty),+) => {$(
        /// Big endian.
        impl Key for $int {
            fn encode_into(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn decode_from(bytes: &mut &[u8]) -> Result<Self> {
                take(bytes).map(Self::from_be_bytes)
            }
        }
    )+};
}

unsigned_key!(u8, u16, u32, u64);

/// Big endian with the sign bit turned, so that negative numbers come first.
impl Key for i64 {
    fn encode_into(&self, out: &mut Vec<u8>) {
        (self.cast_unsigned() ^ (1 << 63)).encode_into(out);
    }

    fn decode_from(bytes: &mut &[u8]) -> Result<Self> {
        Ok((u64::decode_from(bytes)? ^ (1 << 63)).cast_signed())
    }
}

impl Key for Timestamp {
    fn encode_into(&self, out: &mut Vec<u8>) {
        self.0.encode_into(out);
    }

    fn decode_from(bytes: &mut &[u8]) -> Result<Self> {
        i64::decode_from(bytes).map(Self)
    }
}

impl<const N: usize> Key for [u8; N] {
    fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode_from(bytes: &mut &[u8]) -> Result<Self> {
        take(bytes)
    }
}

impl Key for Uuid {
    fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode_from(bytes: &mut &[u8]) -> Result<Self> {
        take(bytes).map(Self::from_bytes)
    }
}

macro_rules! id_key {
    ($($id:ident),+ $(,)?) => {$(
        impl Key for $id {
            fn encode_into(&self, out: &mut Vec<u8>) {
                self.0.encode_into(out);
            }

            fn decode_from(bytes: &mut &[u8]) -> Result<Self> {
                Uuid::decode_from(bytes).map(Self)
            }
        }
    )+};
}

id_key!(
    UserId,
    OrgId,
    PlanId,
    SubscriptionId,
    LicenseId,
    ActivationId,
    InvitationId,
    PasskeyId,
    TeamId,
    ProjectId,
    ProvisioningTokenId,
    PaymentId,
    InvoiceId,
    SessionId,
    LoginId,
    ApiKeyId,
    IdentityId,
    JobId,
    MailId,
    AuditId,
);

/// UTF-8 with a terminator of two zero bytes; a zero byte inside becomes `00 ff`.
/// The terminator keeps "ab" + "c" apart from "a" + "bc" and sorts "a" before "ab".
impl Key for String {
    fn encode_into(&self, out: &mut Vec<u8>) {
        escape(self, out);
        out.extend_from_slice(&[0, 0]);
    }

    fn decode_from(bytes: &mut &[u8]) -> Result<Self> {
        let mut text = Vec::new();
        loop {
            match **bytes {
                [0, 0, ref rest @ ..] => {
                    *bytes = rest;
                    return Self::from_utf8(text).map_err(|_| malformed("is not UTF-8"));
                }
                [0, 0xff, ref rest @ ..] => {
                    text.push(0);
                    *bytes = rest;
                }
                [byte, ref rest @ ..] if byte != 0 => {
                    text.push(byte);
                    *bytes = rest;
                }
                _ => return Err(malformed("has an unterminated text")),
            }
        }
    }
}

fn escape(text: &str, out: &mut Vec<u8>) {
    for &byte in text.as_bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
}

macro_rules! tuple_key {
    ($($name:ident),+) => {
        /// The components one after the other: ordered by the first, then the next.
        impl<$($name: Key),+> Key for ($($name,)+) {
            #[allow(non_snake_case, reason = "the type parameters name the components")]
            fn encode_into(&self, out: &mut Vec<u8>) {
                let ($($name,)+) = self;
                $($name.encode_into(out);)+
            }

            fn decode_from(bytes: &mut &[u8]) -> Result<Self> {
                Ok(($($name::decode_from(bytes)?,)+))
            }
        }
    };
}

tuple_key!(A, B);
tuple_key!(A, B, C);
tuple_key!(A, B, C, D);

/// What a table can hold. Everything serde can is stored as JSON; [`Bytes`] as it is.
pub trait Row: Sized {
    /// The stored form.
    fn to_bytes(&self) -> Result<Vec<u8>>;

    /// Reads the stored form.
    fn from_bytes(bytes: &[u8]) -> Result<Self>;
}

impl<T: Serialize + DeserializeOwned> Row for T {
    fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(Error::internal)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            // The row itself stays out of the log: it may hold what nobody should read there.
            let kind = std::any::type_name::<T>();
            Error::internal(format!("a stored row is no {kind}: {error}; run `doctor`"))
        })
    }
}

/// A row of plain bytes, for what has an encoding of its own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bytes(pub Vec<u8>);

impl Row for Bytes {
    fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(self.0.clone())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self(bytes.to_vec()))
    }
}

/// Which rows of a table to read, in which order, and how many.
///
/// ```
/// use coditect::store::Scan;
/// let org = 7_u64;
/// let page = Scan::prefix(&org).descending().after(None).limit(50);
/// # let _ = page;
/// ```
#[derive(Clone, Debug)]
pub struct Scan {
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    after: Option<Vec<u8>>,
    descending: bool,
    limit: usize,
}

impl Scan {
    /// The whole table. A list that users can make grow wants a [`Scan::limit`].
    pub fn all() -> Self {
        Self::raw(Bound::Unbounded, Bound::Unbounded)
    }

    /// All keys that begin with these components, such as every `(org, _)`.
    pub fn prefix(components: &impl Key) -> Self {
        Self::begins_with(components.encode())
    }

    /// All text keys that begin with `text`.
    pub fn text_prefix(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len());
        escape(text, &mut bytes);
        Self::begins_with(bytes)
    }

    /// All keys `(components, text..)`: the components in full, then a text that begins so.
    pub fn prefix_and_text(components: &impl Key, text: &str) -> Self {
        let mut bytes = components.encode();
        escape(text, &mut bytes);
        Self::begins_with(bytes)
    }

    /// Only keys from this one on (included). Fewer components than the table's key has
    /// stand for the first key that begins with them.
    #[must_use]
    pub fn starting_at(mut self, key: &impl Key) -> Self {
        let key = key.encode();
        if start_of(as_slice(&self.lower)).is_none_or(|lower| lower < key.as_slice()) {
            self.lower = Bound::Included(key);
        }
        self
    }

    /// Only keys below this one (excluded).
    #[must_use]
    pub fn below(mut self, key: &impl Key) -> Self {
        let key = key.encode();
        if start_of(as_slice(&self.upper)).is_none_or(|upper| upper > key.as_slice()) {
            self.upper = Bound::Excluded(key);
        }
        self
    }

    /// Goes on behind this encoded key ([`Key::encode`]) in the scan's direction: the
    /// cursor of the page before. A cursor from outside the range yields nothing new.
    #[must_use]
    pub fn after(mut self, cursor: Option<Vec<u8>>) -> Self {
        self.after = cursor;
        self
    }

    /// From the greatest key to the least.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// At most so many rows.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = rows;
        self
    }

    fn raw(lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) -> Self {
        Self { lower, upper, after: None, descending: false, limit: usize::MAX }
    }

    fn begins_with(prefix: Vec<u8>) -> Self {
        let upper = successor(prefix.clone()).map_or(Bound::Unbounded, Bound::Excluded);
        Self::raw(Bound::Included(prefix), upper)
    }

    pub(super) fn most_rows(&self) -> usize {
        self.limit
    }

    /// The range as bytes, with the cursor applied; `None` when it cannot hold a key.
    pub(super) fn span(&self) -> Option<Span<'_>> {
        let mut lower = as_slice(&self.lower);
        let mut upper = as_slice(&self.upper);
        if let Some(cursor) = self.after.as_deref() {
            if self.descending && start_of(upper).is_none_or(|end| cursor < end) {
                upper = Bound::Excluded(cursor);
            } else if !self.descending && start_of(lower).is_none_or(|start| cursor >= start) {
                lower = Bound::Excluded(cursor);
            }
        }
        // Ordered maps panic when asked for a range that ends before it begins.
        let possible = match (lower, upper) {
            (Bound::Included(low), Bound::Included(high)) => low <= high,
            (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
            | (Bound::Excluded(low), Bound::Included(high)) => low < high,
            _ => true,
        };
        possible.then_some(Span { lower, upper, descending: self.descending })
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

fn start_of(bound: Bound<&[u8]>) -> Option<&[u8]> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    }
}

/// The least byte string greater than everything that begins with `prefix`.
fn successor(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            return Some(prefix);
        }
    }
    None
}

/// A range of encoded keys and the direction to walk it. Never empty by its bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) lower: Bound<&'a [u8]>,
    pub(super) upper: Bound<&'a [u8]>,
    pub(super) descending: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same_order<K: Key + Ord + std::fmt::Debug>(a: &K, b: &K) {
        assert_eq!(a.cmp(b), a.encode().cmp(&b.encode()), "{a:?} and {b:?}");
        assert_eq!(&K::decode(&a.encode()).unwrap(), a);
    }

    /// Texts that share beginnings and hold zero bytes.
    fn text() -> impl Strategy<Value = String> {
        "[\0a-c\u{ff}\u{10ffff}]{0,4}"
    }

    proptest! {
        #[test]
        fn encodings_keep_the_order_and_come_back(
            a in any::<(i64, u64, u8)>(), b in any::<(i64, u64, u8)>(),
            s in (text(), text(), any::<u8>()), t in (text(), text(), any::<u8>()),
            x in any::<[u8; 16]>(), y in any::<[u8; 16]>(),
        ) {
            same_order(&a, &b);
            same_order(&Timestamp(a.0), &Timestamp(b.0));
            same_order(&s, &t);
            same_order(&(s.0.clone(), a.0, s.1.clone(), x), &(t.0.clone(), b.0, t.1.clone(), y));
            same_order(&LicenseId(Uuid::from_bytes(x)), &LicenseId(Uuid::from_bytes(y)));
        }

        #[test]
        fn a_prefix_is_the_range_of_what_begins_with_it(
            prefix in text(), key in (text(), text()),
        ) {
            let inside = |scan: &Scan| {
                let span = scan.span().unwrap();
                let encoded = key.encode();
                std::ops::RangeBounds::<[u8]>::contains(&(span.lower, span.upper), encoded.as_slice())
            };
            prop_assert_eq!(inside(&Scan::prefix(&prefix)), key.0 == prefix);
            prop_assert_eq!(inside(&Scan::text_prefix(&prefix)), key.0.starts_with(&prefix));
            let scan = Scan::prefix_and_text(&key.0, &prefix);
            prop_assert_eq!(inside(&scan), key.1.starts_with(&prefix));
        }
    }

    #[test]
    fn damaged_keys_are_errors() {
        assert!(u64::decode(&[1, 2]).is_err());
        assert!(u8::decode(&[1, 2]).is_err());
        assert!(String::decode(b"no end").is_err());
        assert!(String::decode(&[0xff, 0, 0]).is_err());
        assert!(<(String, u8)>::decode(b"a\0\0").is_err());
    }

    #[test]
    fn a_field_added_later_reads_an_older_row() {
        #[derive(Serialize, serde::Deserialize, PartialEq, Debug)]
        struct New {
            name: String,
            #[serde(default)]
            seats: u32,
        }
        let old = br#"{"name":"a"}"#;
        assert_eq!(New::from_bytes(old).unwrap(), New { name: "a".to_owned(), seats: 0 });
        let error = New::from_bytes(b"{}").unwrap_err();
        assert!(error.internal.unwrap().contains("New"));
    }

    #[test]
    fn ranges_that_cannot_hold_a_key_are_empty_and_not_a_panic() {
        assert!(Scan::all().starting_at(&5_u64).below(&5_u64).span().is_none());
        assert!(Scan::all().starting_at(&6_u64).below(&5_u64).span().is_none());
        let behind = Scan::prefix(&1_u8).after(Some(vec![9]));
        assert!(behind.span().is_none());
        assert!(Scan::prefix(&1_u8).after(Some(vec![0])).descending().span().is_none());
    }
}
