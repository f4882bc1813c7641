//! The `OpenAPI` document: what poem-openapi says of the operations, made exact.
//!
//! Some things the code does are not in the generated text: fields that may be left out may be
//! null, unknown fields are refused, texts follow rules that belong to their names, whole numbers
//! have the range of their type, and ids and page sizes have their forms.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::wire::CURSOR_MAX;
use crate::domain::page::PageRequest;

/// What the document says first.
pub const DESCRIPTION: &str = "The API of the CODITECT licensing appliance. Errors are \
`application/problem+json` (RFC 9457) with a stable `code`; times are RFC 3339 in UTC; money is in minor \
units; lists take `limit` and `cursor`.";

/// Reads the generated document and makes it exact.
pub fn exact(generated: &str) -> Value {
    let mut spec: Value = serde_json::from_str(generated).unwrap_or(Value::Null);
    let requests = request_schemas(&spec);
    if let Some(schemas) = spec.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for (name, schema) in schemas {
            make_exact(schema);
            if requests.contains(name) {
                state_rules(schema);
            }
        }
    }
    state_parameters(&mut spec);
    state_organisation(&mut spec);
    spec
}

/// Closes an object against unknown fields and lets what is not required be null.
fn make_exact(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let required: Vec<String> = object
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
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

/// One line of text: control characters are refused.
const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// One line of text with something on it besides white space.
const NAME: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// What the code demands of a text in a request, by the name of its field; the same word
/// means the same thing in every request.
fn rule(field: &str) -> Option<(&'static str, &'static str)> {
    match field {
        "email" => Some(("format", "email")),
        "full_name" | "plan_name" => Some(("pattern", NAME)),
        "company_name" | "description" | "reference" | "reason" | "machine_name" | "platform"
        | "hardware_id" => Some(("pattern", LINE)),
        _ => None,
    }
}

/// Adds the rules of texts and the ranges of numbers to a request.
fn state_rules(schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, property) in properties {
        let Some(property) = property.as_object_mut() else { continue };
        if let Some((keyword, text)) = rule(name) {
            property.insert(keyword.to_owned(), json!(text));
        }
        if property.get("format").is_some_and(|format| format == "uint32") {
            property.entry("minimum").or_insert(json!(0));
            property.entry("maximum").or_insert(json!(u32::MAX));
        }
    }
}

/// Says what parameters look like: ids in paths, sizes of pages, cursors.
fn state_parameters(spec: &mut Value) {
    let operations = spec
        .get_mut("paths")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(|paths| paths.values_mut())
        .filter_map(Value::as_object_mut)
        .flat_map(|path| path.values_mut());
    for parameter in
        operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut()).flatten()
    {
        let place = parameter.get("in").and_then(Value::as_str).unwrap_or_default();
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        let rules = match (place, name) {
            ("path", "domain") => json!({"maxLength": 253}),
            ("path", "kind" | "schema") => json!({"maxLength": 100}),
            ("path", _) => json!({"format": "uuid"}),
            ("query", "limit") => {
                json!({"minimum": 1, "maximum": PageRequest::LIMIT_MAX, "default": PageRequest::LIMIT_DEFAULT})
            }
            ("query", "cursor") => json!({"maxLength": CURSOR_MAX}),
            _ => continue,
        };
        let schema = parameter.get_mut("schema").and_then(Value::as_object_mut);
        if let (Some(schema), Value::Object(rules)) = (schema, rules) {
            schema.extend(rules);
        }
    }
}

/// Says where a request may name the organisation that it is for: wherever somebody has to have signed in,
/// except where operators see all of them.
fn state_organisation(spec: &mut Value) {
    let paths = spec.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    let of_customers = paths
        .filter(|(path, _)| !path.starts_with("/api/v1/admin/") && !path.contains("/scim/v2/"));
    for operation in of_customers
        .filter_map(|(_, path)| path.as_object_mut())
        .flat_map(|path| path.values_mut())
        .filter_map(Value::as_object_mut)
    {
        let secured = operation.get("security").and_then(Value::as_array);
        if secured.is_none_or(Vec::is_empty) {
            continue;
        }
        let parameter = json!({
            "name": "Coditect-Organisation",
            "in": "header",
            "description": "The organisation that the request is for; left out: your own, or the one that an API key was made for.",
            "required": false,
            "schema": {"type": "string", "format": "uuid"},
        });
        let there = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(there) = there.as_array_mut() {
            there.push(parameter);
        }
    }
}

/// The names of the schemas that are read from bodies.
fn request_schemas(spec: &Value) -> BTreeSet<String> {
    let operations = spec
        .get("paths")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(serde_json::Map::values)
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::values);
    operations
        .filter_map(|operation| {
            operation.pointer("/requestBody/content/application~1json/schema/$ref")?.as_str()
        })
        .filter_map(|reference| reference.rsplit('/').next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document as poem-openapi generates it, with `properties` in the body of its one operation.
    fn with(properties: &Value) -> Value {
        let generated = json!({
            "paths": {"/things/{thing_id}": {"patch": {
                "parameters": [
                    {"name": "thing_id", "in": "path", "schema": {"type": "string"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "format": "uint32"}},
                    {"name": "cursor", "in": "query", "schema": {"type": "string"}},
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
            }}},
            "components": {"schemas": {
                "Thing": {"type": "object", "properties": properties},
                "Answer": {"type": "object", "properties": {"reason": {"type": "string"}}},
            }},
        });
        exact(&generated.to_string())
    }

    #[test]
    fn parameters_have_the_form_that_is_accepted() {
        let exact = with(&json!({}));
        let schema = |n: usize| {
            exact["paths"]["/things/{thing_id}"]["patch"]["parameters"][n]["schema"].clone()
        };
        assert_eq!(schema(0)["format"], "uuid");
        assert_eq!((&schema(1)["minimum"], &schema(1)["maximum"]), (&json!(1), &json!(200)));
        assert_eq!(schema(2)["maxLength"], 1024);
    }

    #[test]
    fn texts_and_numbers_of_requests_follow_their_rules() {
        let exact = with(&json!({
            "email": {"type": "string"},
            "reason": {"type": "string"},
            "max_activations": {"type": "integer", "format": "uint32", "minimum": 1},
        }));
        let properties = &exact["components"]["schemas"]["Thing"]["properties"];
        assert_eq!(properties["email"]["format"], "email");
        assert_eq!(properties["reason"]["pattern"], LINE);
        assert_eq!(properties["max_activations"]["minimum"], 1);
        assert_eq!(properties["max_activations"]["maximum"], u32::MAX);
    }

    #[test]
    fn answers_promise_nothing_about_texts() {
        let exact = with(&json!({}));
        assert_eq!(
            exact["components"]["schemas"]["Answer"]["properties"]["reason"]["pattern"],
            Value::Null
        );
    }
}
