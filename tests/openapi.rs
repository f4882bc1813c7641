//! The document that clients are written against. A change of the wire shows here, to be looked at.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "the harness serves other tests too"
)]

#[path = "api/support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;
use support::TestApp;

/// What the server answers with, and its API page shows.
const FILE: &str = "assets/docs/openapi.json";
const UPDATE: &str = "UPDATE_OPENAPI";

async fn document() -> Value {
    TestApp::start().await.anyone.get("/openapi.json").await.ok(200)
}

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    operations.collect()
}

#[tokio::test]
async fn the_document_is_the_one_that_was_agreed_upon() {
    let app = TestApp::start().await;
    let document = coditect::api::document(&app.services);
    let now = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, &now).unwrap();
        return;
    }
    let agreed = std::fs::read_to_string(&file).unwrap_or_default();
    let line = agreed.lines().zip(now.lines()).position(|(agreed, now)| agreed != now);
    let line = line.unwrap_or_else(|| agreed.lines().count().min(now.lines().count()));
    let shown = |text: &str| {
        text.lines().skip(line.saturating_sub(3)).take(7).collect::<Vec<_>>().join("\n")
    };
    assert!(
        agreed == now,
        "The API changed at line {} of {FILE}.\n--- agreed\n{}\n--- now\n{}\n\
         If that is meant, accept it with `{UPDATE}=1 cargo test --test openapi`, look at the difference and commit it.",
        line + 1,
        shown(&agreed),
        shown(&now),
    );
    assert_eq!(app.anyone.get("/openapi.json").await.ok(200), document);
}

#[tokio::test]
async fn every_operation_has_a_name_a_summary_and_a_group() {
    let document = document().await;
    let mut names = HashSet::new();
    for (at, operation) in operations(&document) {
        assert!(
            names.insert(operation["operationId"].as_str().unwrap()),
            "{at}: the name is taken"
        );
        assert!(
            operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()),
            "{at}: a summary"
        );
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{at}: one group");
    }
}

#[tokio::test]
async fn every_operation_describes_its_problems() {
    let document = document().await;
    for (at, operation) in operations(&document) {
        if at.ends_with("/health/live") {
            continue;
        }
        // Directories are told of problems in the form of SCIM.
        let (kind, schema) = if at.contains("/scim/v2/") {
            ("application/scim+json", "#/components/schemas/ScimError")
        } else {
            ("application/problem+json", "#/components/schemas/Problem")
        };
        let problem = &operation["responses"]["default"]["content"][kind];
        assert_eq!(problem["schema"]["$ref"], schema, "{at}");
        assert!(operation["responses"].get("422").is_none(), "{at}: 400 says it");
    }
}

#[tokio::test]
async fn every_object_is_described_and_closed_against_unknown_fields() {
    let document = document().await;
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let Some(properties) = schema["properties"].as_object() else { continue };
        assert_eq!(schema["additionalProperties"], false, "{name}");
        for (property, described) in properties {
            let inner = described["allOf"][0].as_object();
            let told = described["description"].is_string()
                || described.get("$ref").is_some()
                || inner.is_some();
            assert!(told, "{name}.{property}: a description");
        }
    }
}
