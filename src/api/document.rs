//! The `OpenAPI` document: what poem-openapi says of the operations, made exact.
//!
//! Three things the code does are not in the generated text: fields that may be left
//! out may be null, unknown fields are refused, and wrong methods are told the right ones.

use std::collections::BTreeMap;

use poem::Response;
use poem::http::{Method, header};
use serde_json::{Value, json};

/// What the document says first.
pub const DESCRIPTION: &str = "The API of the CODITECT licensing appliance. Errors are \
`application/problem+json` (RFC 9457) with a stable `code`; times are RFC 3339 in UTC; money is in minor \
units; lists take `limit` and `cursor`.";

/// The document, and what routing needs to know of it.
pub struct Document {
    text: String,
    /// Path templates split at slashes, with the methods each has.
    paths: Vec<(Vec<String>, String)>,
}

impl Document {
    /// Reads the generated document and makes it exact.
    pub fn new(generated: &str) -> Self {
        let mut spec: Value = serde_json::from_str(generated).unwrap_or(Value::Null);
        if let Some(schemas) = spec.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
            schemas.values_mut().for_each(make_exact);
        }
        let paths = paths_of(&spec);
        Self { text: spec.to_string(), paths }
    }

    /// The document as text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The document as an answer.
    pub fn answer(&self, method: &Method) -> poem::Result<Response> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(poem::error::MethodNotAllowedError.into());
        }
        let response = Response::builder().content_type("application/json");
        Ok(response.header(header::CACHE_CONTROL, "no-cache").body(self.text.clone()))
    }

    /// The methods that a path has, as the `Allow` header lists them.
    pub fn allowed(&self, path: &str) -> Option<&str> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let fits = |template: &[String]| {
            template.len() == parts.len()
                && template.iter().zip(&parts).all(|(want, got)| want.starts_with('{') || want == got)
        };
        if path == "/openapi.json" {
            return Some("GET, HEAD");
        }
        // An exact path before one with parameters: /licenses/acquire is no licence's id.
        let mut found: Vec<_> = self.paths.iter().filter(|(template, _)| fits(template)).collect();
        found.sort_by_key(|(template, _)| template.iter().filter(|part| part.starts_with('{')).count());
        found.first().map(|(_, methods)| methods.as_str())
    }
}

/// Closes an object against unknown fields and lets what is not required be null.
fn make_exact(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let required: Vec<String> = object
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties.iter_mut() {
        if required.contains(name) {
            continue;
        }
        match property.as_object_mut() {
            // A reference takes no siblings in OpenAPI 3.0.
            Some(inner) if inner.contains_key("$ref") => {
                let reference = property.take();
                *property = json!({"nullable": true, "allOf": [reference]});
            }
            Some(inner) => {
                inner.insert("nullable".to_owned(), json!(true));
            }
            None => {}
        }
    }
    object.entry("additionalProperties").or_insert(json!(false));
}

fn paths_of(spec: &Value) -> Vec<(Vec<String>, String)> {
    let Some(paths) = spec.get("paths").and_then(Value::as_object) else { return Vec::new() };
    let mut methods: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for (path, operations) in paths {
        let names = operations.as_object().into_iter().flat_map(serde_json::Map::keys);
        methods.entry(path).or_default().extend(names.map(|name| name.to_uppercase()));
    }
    methods
        .into_iter()
        .map(|(path, mut names)| {
            if names.iter().any(|name| name == "GET") {
                names.push("HEAD".to_owned());
            }
            (path.trim_matches('/').split('/').map(str::to_owned).collect(), names.join(", "))
        })
        .collect()
}
