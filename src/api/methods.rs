//! Which methods a path has: what whoever tries another is told.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use poem_openapi::OpenApi;

use super::AllOperations;

/// Path templates split at slashes, each with its methods as the `Allow` header lists them.
static PATHS: LazyLock<Vec<(Vec<String>, String)>> = LazyLock::new(|| {
    let mut methods: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in AllOperations::meta().into_iter().flat_map(|api| api.paths) {
        let names = path.operations.iter().map(|operation| operation.method.to_string());
        methods.entry(path.path).or_default().extend(names);
    }
    let listed = methods.into_iter().map(|(path, mut names)| {
        if names.iter().any(|name| name == "GET") {
            names.push("HEAD".to_owned());
        }
        names.sort();
        (split(&path).map(str::to_owned).collect(), names.join(", "))
    });
    listed.collect()
});

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.trim_matches('/').split('/')
}

/// The methods of a path of the API, as the `Allow` header lists them (RFC 9110, section 10.2.1).
pub fn allowed(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = split(path).collect();
    let fits = |template: &[String]| {
        template.len() == parts.len()
            && template.iter().zip(&parts).all(|(want, got)| want.starts_with('{') || want == got)
    };
    // An exact path before one with parameters: /licenses/acquire is no licence's id.
    let found = PATHS.iter().filter(|(template, _)| fits(template));
    found
        .min_by_key(|(template, _)| template.iter().filter(|part| part.starts_with('{')).count())
        .map(|(_, methods)| methods.as_str())
}
