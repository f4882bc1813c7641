//! Bodies, answers and errors in the form of SCIM (RFC 7644, sections 3.1, 3.9 and 3.12).

use std::marker::PhantomData;

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::error::ContentTypeError;
use poem_openapi::registry::{
    MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::problem::{self, Problem};
use crate::domain::error::{Code, Error, Result};

/// The media type of all that is said in SCIM.
pub const MEDIA_TYPE: &str = "application/scim+json";

/// Where SCIM is spoken: below each organisation.
pub fn is_spoken_at(path: &str) -> bool {
    path.starts_with("/api/v1/orgs/") && path.contains("/scim/v2")
}

/// A body: an object, whatever is in it. What is not known is let be (RFC 7643, section 2.1).
pub struct Body(pub Map<String, Value>);

impl<'a> ApiExtractor<'a> for Body {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(_: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let of = |content_type| {
            let schema = MetaSchema::new("object");
            MetaMediaType { content_type, schema: MetaSchemaRef::Inline(Box::new(schema)) }
        };
        let content = vec![of(MEDIA_TYPE), of("application/json")];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let given = request.content_type().ok_or(ContentTypeError::ExpectContentType)?;
        let essence = given.split(';').next().unwrap_or_default().trim();
        if ![MEDIA_TYPE, "application/json"].iter().any(|it| essence.eq_ignore_ascii_case(it)) {
            let content_type = given.to_owned();
            return Err(ContentTypeError::NotSupported { content_type }.into());
        }
        let bytes = body.take()?.into_bytes().await?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => {
                Err(Problem(Error::new(Code::MalformedJson, "The body must be an object.")).into())
            }
            Err(cause) => {
                let text = format!("{cause}.");
                Err(Problem(Error::new(Code::MalformedJson, text)).into())
            }
        }
    }
}

/// Which attributes an answer is to have (RFC 7644, section 3.9).
pub struct Wanted {
    only: Option<Vec<String>>,
    without: Vec<String>,
}

/// The most attributes that are named.
const NAMED_MAX: usize = 100;
/// What every resource has.
const ALWAYS: [&str; 2] = ["schemas", "id"];

impl Wanted {
    /// From what the query says.
    pub fn new(only: Option<&str>, without: Option<&str>) -> Self {
        let names = |text: &str| -> Vec<String> {
            let names = text.split(',').map(str::trim).filter(|name| !str::is_empty(name));
            names.map(|name| plain(name).to_lowercase()).take(NAMED_MAX).collect()
        };
        let only = only.map(names).filter(|names| !names.is_empty());
        Self { only, without: without.map(names).unwrap_or_default() }
    }

    /// Whether an attribute is in the answer at all.
    pub fn has(&self, attribute: &str) -> bool {
        let attribute = attribute.to_lowercase();
        let within = |name: &String| {
            *name == attribute
                || name.strip_prefix(&attribute).is_some_and(|it| it.starts_with('.'))
        };
        self.only.as_ref().is_none_or(|only| only.iter().any(within))
            && !self.without.contains(&attribute)
    }

    /// A resource with these attributes alone.
    pub fn of(&self, resource: impl Serialize) -> Result<Value> {
        let mut value = serde_json::to_value(resource).map_err(Error::internal)?;
        let Some(attributes) = value.as_object_mut() else { return Ok(value) };
        attributes.retain(|name, _| ALWAYS.contains(&name.as_str()) || self.has(name));
        for (name, attribute) in attributes.iter_mut() {
            match attribute {
                Value::Object(parts) => self.cut(name, parts),
                Value::Array(many) if name != "schemas" => {
                    let objects = many.iter_mut().filter_map(Value::as_object_mut);
                    objects.for_each(|parts| self.cut(name, parts));
                }
                _ => {}
            }
        }
        Ok(value)
    }

    fn cut(&self, name: &str, parts: &mut Map<String, Value>) {
        let name = name.to_lowercase();
        let whole = self.only.as_ref().is_none_or(|only| only.contains(&name));
        parts.retain(|part, _| {
            let full = format!("{name}.{}", part.to_lowercase());
            let named = self.only.as_ref().is_some_and(|only| only.contains(&full));
            (whole || named) && !self.without.contains(&full)
        });
    }
}

/// What the names of attributes of people and groups may begin with.
const SCHEMAS: [&str; 2] =
    ["urn:ietf:params:scim:schemas:core:2.0:User:", "urn:ietf:params:scim:schemas:core:2.0:Group:"];

/// The name of an attribute without the schema that it may be named with.
pub fn plain(name: &str) -> &str {
    let after = |schema: &&str| {
        let head = name.get(..schema.len())?;
        head.eq_ignore_ascii_case(schema).then(|| &name[schema.len()..])
    };
    SCHEMAS.iter().find_map(after).unwrap_or(name)
}

/// An answer that the document describes as a `T`.
pub struct Scim<T> {
    body: Value,
    of: PhantomData<fn() -> T>,
}

impl<T> Scim<T> {
    /// This answer.
    pub fn new(body: Value) -> Self {
        Self { body, of: PhantomData }
    }
}

/// The same with status 201, and the address of what was made, which is told whatever of it is wanted.
pub struct ScimCreated<T> {
    made: Scim<T>,
    location: String,
}

impl<T> ScimCreated<T> {
    /// What was made, and where it is.
    pub fn new(made: Value, location: String) -> Self {
        Self { made: Scim::new(made), location }
    }
}

/// Nothing more to say: status 204.
pub struct ScimGone;

fn respond(status: StatusCode, body: &Value) -> Response {
    Response::builder().status(status).content_type(MEDIA_TYPE).body(body.to_string())
}

impl<T: Send> IntoResponse for Scim<T> {
    fn into_response(self) -> Response {
        respond(StatusCode::OK, &self.body)
    }
}

impl<T: Send> IntoResponse for ScimCreated<T> {
    fn into_response(self) -> Response {
        let mut response = respond(StatusCode::CREATED, &self.made.body);
        if let Ok(location) = HeaderValue::from_str(&self.location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

impl IntoResponse for ScimGone {
    fn into_response(self) -> Response {
        Response::builder().status(StatusCode::NO_CONTENT).finish()
    }
}

fn meta(status: u16, description: &'static str, content: Vec<MetaMediaType>) -> MetaResponses {
    let (status, status_range, headers) = (Some(status), None, vec![]);
    MetaResponses {
        responses: vec![MetaResponse { description, status, status_range, content, headers }],
    }
}

fn content<T: Type>() -> Vec<MetaMediaType> {
    vec![MetaMediaType { content_type: MEDIA_TYPE, schema: T::schema_ref() }]
}

impl<T: Type> ApiResponse for Scim<T> {
    fn meta() -> MetaResponses {
        meta(200, "Done.", content::<T>())
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type> ApiResponse for ScimCreated<T> {
    fn meta() -> MetaResponses {
        meta(201, "Created.", content::<T>())
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl ApiResponse for ScimGone {
    fn meta() -> MetaResponses {
        meta(204, "It is gone.", vec![])
    }

    fn register(_: &mut Registry) {}
}

/// What a directory reads of an error.
#[derive(poem_openapi::Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct ScimError {
    /// `urn:ietf:params:scim:api:messages:2.0:Error`.
    schemas: Vec<String>,
    /// The HTTP status, as a text.
    status: String,
    /// The kind of error, where SCIM has a word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    scim_type: Option<String>,
    /// What happened, why, and what to do.
    detail: String,
}

/// A refusal of a call in SCIM. It travels as any problem does, and is told in SCIM's form where all
/// answers pass.
pub struct Refusal(Problem);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(Problem(error))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Refusal> for poem::Error {
    fn from(refusal: Refusal) -> Self {
        refusal.0.into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl ApiResponse for Refusal {
    fn meta() -> MetaResponses {
        let mut all = meta(0, "An error of SCIM (RFC 7644, section 3.12).", content::<ScimError>());
        all.responses.iter_mut().for_each(|it| it.status = None);
        all
    }

    fn register(registry: &mut Registry) {
        ScimError::register(registry);
    }
}

/// The word of RFC 7644, table 9, for a code of ours.
fn scim_type(code: &str) -> Option<&'static str> {
    Some(match code {
        "invalid_filter" => "invalidFilter",
        "invalid_path" => "invalidPath",
        "no_target" => "noTarget",
        "read_only" => "mutability",
        "malformed_json" => "invalidSyntax",
        "validation_failed" => "invalidValue",
        "email_taken" | "name_taken" => "uniqueness",
        _ => return None,
    })
}

/// A problem as SCIM tells it.
pub async fn in_scim(mut response: Response) -> Response {
    let is_problem = response.content_type().is_some_and(|it| it == problem::CONTENT_TYPE);
    if !is_problem {
        return response;
    }
    let told = response.take_body().into_vec().await.unwrap_or_default();
    let told: Value = serde_json::from_slice(&told).unwrap_or_default();
    let code = told["code"].as_str().unwrap_or_default();
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": response.status().as_str(),
        "detail": told["detail"],
    });
    if let Some(word) = scim_type(code) {
        body["scimType"] = json!(word);
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response.set_body(body.to_string());
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(only: Option<&str>, without: Option<&str>) -> Value {
        let resource = json!({
            "schemas": ["x"], "id": "7", "userName": "a", "meta": {"created": "c", "location": "l"},
            "emails": [{"value": "v", "primary": true}],
        });
        Wanted::new(only, without).of(resource).unwrap()
    }

    #[test]
    fn an_answer_has_the_attributes_that_were_asked_for() {
        assert_eq!(
            of(Some("username"), None),
            json!({"schemas": ["x"], "id": "7", "userName": "a"})
        );
        assert_eq!(
            of(Some("emails.value,urn:ietf:params:scim:schemas:core:2.0:User:userName"), None),
            json!({"schemas": ["x"], "id": "7", "userName": "a", "emails": [{"value": "v"}]})
        );
        assert_eq!(
            of(None, Some("meta, id, emails.primary")),
            json!({"schemas": ["x"], "id": "7", "userName": "a", "emails": [{"value": "v"}]})
        );
        assert_eq!(of(Some(""), None), of(None, None), "nothing is no wish");
    }
}
