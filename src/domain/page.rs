//! Lists are read a page at a time.

use super::error::{Error, Result};

/// Which page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items at most; 1 to [`PageRequest::LIMIT_MAX`].
    pub limit: usize,
    /// Where the previous page ended: the encoded key of its last item.
    pub after: Option<Vec<u8>>,
}

impl PageRequest {
    /// The most items a page holds.
    pub const LIMIT_MAX: usize = 200;
    /// How many items a page holds unless asked otherwise.
    pub const LIMIT_DEFAULT: usize = 50;

    /// A page from what was asked.
    ///
    /// # Errors
    /// A field error on `limit`.
    pub fn new(limit: Option<u32>, after: Option<Vec<u8>>) -> Result<Self> {
        let limit = limit.map_or(Self::LIMIT_DEFAULT, |l| l as usize);
        if !(1..=Self::LIMIT_MAX).contains(&limit) {
            return Err(Error::invalid("limit", "must be between 1 and 200"));
        }
        Ok(Self { limit, after })
    }

    /// The first page, as long as pages get.
    pub fn first() -> Self {
        Self { limit: Self::LIMIT_MAX, after: None }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page starts; none when this is the last.
    pub next: Option<Vec<u8>>,
}

impl<T> Page<T> {
    /// The same page of something made from each item.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(make).collect(), next: self.next }
    }
}
