//! What several resources share on the wire.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem_openapi::Object;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::domain::error::{Code, Error, Result, SeatCount};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;
use crate::services::customers;

/// A point in time: RFC 3339 in UTC with `Z`.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let timestamp = text.parse().map_err(|_| {
            serde::de::Error::custom(
                "must be a point in time such as 2030-01-31T00:00:00Z (RFC 3339)",
            )
        })?;
        Ok(Self(timestamp))
    }
}

impl Type for Time {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_date-time".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "date-time")))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for Time {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
    }
}

impl ToJSON for Time {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
}

/// Reads an optional map and refuses a name that is given twice: which of the two was meant,
/// nobody could say. For `#[serde(default, deserialize_with = "unique_names")]`.
///
/// # Errors
/// What the values say, and `duplicate field` for a name that came before.
pub fn unique_names<'de, D, V>(deserializer: D) -> Result<Option<BTreeMap<String, V>>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    let names = Option::<UniqueNames<V>>::deserialize(deserializer)?;
    Ok(names.map(|names| names.0))
}

/// Tells a value that is null from one that is left out. For
/// `#[serde(default, deserialize_with = "given")]` on an `Option<Option<T>>`.
///
/// # Errors
/// What the value says.
pub fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

struct UniqueNames<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueNames<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueNamesVisitor(PhantomData))
    }
}

struct UniqueNamesVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueNamesVisitor<V> {
    type Value = UniqueNames<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<UniqueNames<V>, A::Error> {
        let mut names = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry::<String, V>()? {
            if names.contains_key(&name) {
                return Err(serde::de::Error::custom(format_args!("duplicate field `{name}`")));
            }
            names.insert(name, value);
        }
        Ok(UniqueNames(names))
    }
}

/// How full a licence is.
#[derive(Clone, Copy, Debug, Object, Serialize, Deserialize)]
pub struct Seats {
    /// Seats the licence has.
    pub max: u32,
    /// Seats held now.
    pub used: u32,
    /// Seats that could be taken now.
    pub available: u32,
}

impl From<SeatCount> for Seats {
    fn from(count: SeatCount) -> Self {
        Self { max: count.max, used: count.used, available: count.available() }
    }
}

/// Whose a record is, for operators.
#[derive(Clone, Debug, Object, Serialize)]
pub struct Customer {
    /// The organisation.
    org_id: uuid::Uuid,
    /// Its name.
    org_name: String,
    /// The person who receives its mail.
    user_id: uuid::Uuid,
    /// Their address.
    email: String,
    /// Their name.
    full_name: String,
}

impl From<customers::Customer> for Customer {
    fn from(customer: customers::Customer) -> Self {
        Self {
            org_id: customer.org_id.0,
            org_name: customer.org_name,
            user_id: customer.user_id.0,
            email: customer.email,
            full_name: customer.full_name,
        }
    }
}

/// An answer that says only that it was done.
#[derive(Debug, Object, Serialize, Deserialize)]
pub struct Done {
    /// What is the case now.
    pub status: String,
}

impl Done {
    /// An answer with this status.
    pub fn new(status: &str) -> Self {
        Self { status: status.to_owned() }
    }
}

/// The request for a page, from the query.
///
/// # Errors
/// A field error on `limit`, or `InvalidCursor`.
pub fn page_request(limit: Option<u32>, cursor: Option<&str>) -> Result<PageRequest> {
    let after = cursor.map(decode_cursor).transpose()?;
    PageRequest::new(limit, after)
}

/// The longest cursor that is read, in characters.
pub const CURSOR_MAX: usize = 1_024;

/// The bytes of a cursor.
///
/// # Errors
/// `InvalidCursor`.
pub fn decode_cursor(cursor: &str) -> Result<Vec<u8>> {
    let bad = || {
        Error::new(
            Code::InvalidCursor,
            "Give `cursor` as `next_cursor` of the page before, unchanged.",
        )
    };
    if cursor.len() > CURSOR_MAX {
        return Err(bad());
    }
    URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())
}

/// A cursor that leads on from a key.
pub fn encode_cursor(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The two parts of a list: its items made for the wire, and the cursor.
pub fn listed<T, U>(page: Page<T>, make: impl FnMut(T) -> U) -> (Vec<U>, Option<String>) {
    let page = page.map(make);
    (page.items, page.next.as_deref().map(encode_cursor))
}

/// Defines the wire type of a list of `$item`.
macro_rules! list {
    ($(#[doc = $doc:literal] $name:ident of $item:ty;)+) => {$(
        #[doc = $doc]
        #[derive(poem_openapi::Object, serde::Serialize)]
        pub struct $name {
            /// The items of this page.
            pub items: Vec<$item>,
            /// Give it as `cursor` for the next page; null when this is the last.
            pub next_cursor: Option<String>,
        }

        impl $name {
            /// A page for the wire.
            pub fn of<T>(page: crate::domain::page::Page<T>, make: impl FnMut(T) -> $item) -> Self {
                let (items, next_cursor) = crate::api::wire::listed(page, make);
                Self { items, next_cursor }
            }
        }
    )+};
}
pub(crate) use list;
