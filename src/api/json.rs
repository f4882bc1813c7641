//! JSON bodies, read and written by serde straight from and to bytes.
//!
//! poem-openapi's own payload goes through a tree of values and tells of a wrong type
//! without naming the field. This one names it, refuses duplicates and unknown
//! fields, and costs less; the `OpenAPI` document is the same.

use poem::http::{HeaderValue, header};
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::error::ContentTypeError;
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{
    MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, impl_apirequest_for_payload,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::Problem;
use crate::domain::error::{Code, Error, FieldError};

/// A JSON body; as an answer, with status 200.
pub struct Json<T>(pub T);

/// A JSON answer with status 201.
pub struct Created<T>(pub T);

/// A JSON answer with status 202.
pub struct Accepted<T>(pub T);

/// A JSON answer with status 201 when something began, and 200 when it was there already.
pub struct CreatedOrFound<T> {
    /// Whether it began.
    pub created: bool,
    /// The answer, the same either way.
    pub body: T,
}

impl<T: Type> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        // Parameters such as charset are let be: JSON is UTF-8 (RFC 8259, section 8.1).
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + DeserializeOwned> ParsePayload for Json<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(_: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = body.take()?.into_bytes().await?;
        parse(&bytes).map(Self).map_err(|error| Problem(error).into())
    }
}

impl_apirequest_for_payload!(Json<T>, T: Type + DeserializeOwned);

/// A JSON body byte for byte as it came: what is signed must not be written anew before it is verified.
pub struct Raw(pub Vec<u8>);

impl Payload for Raw {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        Json::<serde_json::Value>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::ANY))
    }
}

impl ParsePayload for Raw {
    const IS_REQUIRED: bool = true;

    async fn from_request(_: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(body.take()?.into_bytes().await?.into()))
    }
}

impl_apirequest_for_payload!(Raw);

/// A JSON body that may be left out, with its media type; then every field has its default.
pub struct OptionalJson<T>(pub T);

impl<'a, T: Type + DeserializeOwned + Default> ApiExtractor<'a> for OptionalJson<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content =
            vec![MetaMediaType { content_type: Json::<T>::CONTENT_TYPE, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: false })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bytes = body.take()?.into_bytes().await?;
        match request.content_type() {
            _ if bytes.is_empty() => Ok(Self(T::default())),
            Some(given) if Json::<T>::check_content_type(given) => {
                parse(&bytes).map(Self).map_err(|error| Problem(error).into())
            }
            Some(given) => {
                Err(ContentTypeError::NotSupported { content_type: given.to_owned() }.into())
            }
            None => Err(ContentTypeError::ExpectContentType.into()),
        }
    }
}

/// Reads a body; an error names the field and what it must be.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // serde reads a struct from an array of its fields as well; the document promises objects alone.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Error::invalid("body", "must be an object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        match cause.classify() {
            Category::Data => refused(&path, &cause),
            Category::Syntax | Category::Eof | Category::Io => {
                Error::new(Code::MalformedJson, format!("{cause}."))
            }
        }
    })?;
    reader.end().map_err(|cause| Error::new(Code::MalformedJson, format!("{cause}.")))?;
    Ok(parsed)
}

fn refused(path: &str, cause: &serde_json::Error) -> Error {
    let text = cause.to_string();
    // The position helps nobody who sent the body from a program.
    let text = text.split(" at line ").next().unwrap_or_default();
    let quoted = || text.split('`').nth(1).unwrap_or_default().to_owned();
    // serde names a missing field in its message; the path is that of the object around it.
    let field = match (path, text) {
        (".", text) if text.starts_with("missing field") => quoted(),
        (path, text) if text.starts_with("missing field") => format!("{path}.{}", quoted()),
        (".", _) => "body".to_owned(),
        (path, _) => path.to_owned(),
    };
    let mut error = Error::new(Code::ValidationFailed, format!("{field}: {text}."));
    error.fields.push(FieldError { field, message: text.to_owned() });
    error
}

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/json");
/// Most answers are shorter.
const USUAL_BYTES: usize = 1_024;

fn respond(status: poem::http::StatusCode, body: &impl Serialize) -> Response {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    match serde_json::to_writer(&mut bytes, body) {
        Ok(()) => {
            Response::builder().status(status).header(header::CONTENT_TYPE, MEDIA_TYPE).body(bytes)
        }
        Err(cause) => Problem(Error::internal(cause)).into_response(),
    }
}

fn meta<T: Type>(statuses: &[(u16, &'static str)]) -> MetaResponses {
    let content =
        || vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }];
    let responses = statuses
        .iter()
        .map(|(status, description)| MetaResponse {
            description,
            status: Some(*status),
            status_range: None,
            content: content(),
            headers: vec![],
        })
        .collect();
    MetaResponses { responses }
}

macro_rules! answer {
    ($($name:ident: $status:ident $code:literal $text:literal;)+) => {$(
        impl<T: Serialize + Send> IntoResponse for $name<T> {
            fn into_response(self) -> Response {
                respond(poem::http::StatusCode::$status, &self.0)
            }
        }

        impl<T: Type> ApiResponse for $name<T> {
            fn meta() -> MetaResponses {
                meta::<T>(&[($code, $text)])
            }

            fn register(registry: &mut Registry) {
                T::register(registry);
            }
        }
    )+};
}

answer! {
    Json: OK 200 "Done.";
    Created: CREATED 201 "Created.";
    Accepted: ACCEPTED 202 "Accepted.";
}

impl<T: Serialize + Send> IntoResponse for CreatedOrFound<T> {
    fn into_response(self) -> Response {
        let status =
            if self.created { poem::http::StatusCode::CREATED } else { poem::http::StatusCode::OK };
        respond(status, &self.body)
    }
}

impl<T: Type> ApiResponse for CreatedOrFound<T> {
    fn meta() -> MetaResponses {
        meta::<T>(&[(201, "Begun."), (200, "It was there already.")])
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: Option<String>,
    }

    fn fields(body: &str) -> Vec<String> {
        let error = parse::<Body>(body.as_bytes()).unwrap_err();
        error.fields.into_iter().map(|field| field.field).collect()
    }

    #[test]
    fn an_object_is_read_and_what_may_be_left_out_may_be_null() {
        assert_eq!(parse::<Body>(b"{}").unwrap(), Body { name: None });
        assert_eq!(parse::<Body>(b" {\"name\":null} ").unwrap(), Body { name: None });
    }

    #[test]
    fn an_array_of_fields_is_no_object() {
        assert_eq!(fields("[null]"), ["body"]);
        assert_eq!(fields(" \n[]"), ["body"]);
    }

    #[test]
    fn a_refusal_names_the_field() {
        assert_eq!(fields(r#"{"name":7}"#), ["name"]);
        assert_eq!(fields(r#"{"nmae":"x"}"#), ["nmae"]);
        assert_eq!(fields("7"), ["body"]);
    }
}
