//! Tables for spreadsheets and scripts (RFC 4180).

use poem::http::{HeaderValue, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde::Serialize;

use super::json::Json;
use crate::domain::csv;

const MEDIA_TYPE: &str = "text/csv; charset=utf-8";

/// One cell of a table.
pub enum Cell {
    /// A number, as it is.
    Number(String),
    /// A text, which may have been written by anybody.
    Text(String),
    /// Nothing.
    None,
}

macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl From<$number> for Cell {
            fn from(number: $number) -> Self {
                Self::Number(number.to_string())
            }
        }
    )+};
}

numbers!(i64, u64, f64);

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

/// A table as `text/csv`.
pub struct Csv {
    text: String,
    name: String,
}

impl Csv {
    /// An empty table with these columns, saved under this name.
    pub fn new(name: String, columns: &[&str]) -> Self {
        let text = columns.join(",") + "\r\n";
        Self { text, name }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        for (place, cell) in cells.into_iter().enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            match cell {
                Cell::Number(number) => self.text.push_str(&number),
                Cell::Text(text) => self.text.push_str(&csv::cell(&text)),
                Cell::None => {}
            }
        }
        self.text.push_str("\r\n");
    }
}

impl IntoResponse for Csv {
    fn into_response(self) -> Response {
        let mut response = Response::builder().content_type(MEDIA_TYPE).body(self.text);
        let attachment = format!("attachment; filename=\"{}.csv\"", self.name);
        if let Ok(attachment) = HeaderValue::from_str(&attachment) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, attachment);
        }
        response
    }
}

/// The same figures for programs that read objects, or rows.
pub enum JsonOrCsv<T> {
    /// All of them.
    Json(T),
    /// One table of them.
    Csv(Csv),
}

impl<T: Serialize + Send> IntoResponse for JsonOrCsv<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Json(body) => Json(body).into_response(),
            Self::Csv(table) => table.into_response(),
        }
    }
}

impl<T: Type> ApiResponse for JsonOrCsv<T> {
    fn meta() -> MetaResponses {
        let mut meta = <Json<T> as ApiResponse>::meta();
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        for response in &mut meta.responses {
            response
                .content
                .push(MetaMediaType { content_type: "text/csv", schema: schema.clone() });
        }
        meta
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_negative_is_no_formula() {
        let mut table = Csv::new("t".to_owned(), &["a", "b", "c"]);
        table.row([Cell::from(-5_i64), Cell::from("=1"), Cell::from(None::<u64>)]);
        assert_eq!(table.text, "a,b,c\r\n-5,'=1,\r\n");
    }
}
