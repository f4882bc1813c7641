//! What changed in a record, as the audit log tells it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::domain::audit::Change;
use crate::domain::error::{Error, Result};
use crate::domain::time::Timestamp;

/// Fields that follow from others, count changes, or tell of sign-ins, which have entries of their own.
const TOLD_OTHERWISE: [&str; 4] = ["revision", "updated_at", "noted_status", "familiar"];

/// What the name of a field has in it whose value nobody is to read.
const SECRET: [&str; 5] = ["password", "hash", "secret", "token", "license_key"];

/// Stands for a value that nobody is to read.
const REDACTED: &str = "[redacted]";

/// What the name of a field ends with that holds a point in time.
const TIMES: [&str; 4] = ["_at", "_end", "_start", "_date"];

/// The most that is kept of a value.
const VALUE_CHARS_MAX: usize = 500;

/// The fields that differ, before and after.
pub fn between(
    before: &impl Serialize,
    after: &impl Serialize,
) -> Result<BTreeMap<String, Change>> {
    let (before, after) = (fields(before)?, fields(after)?);
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |name: &&String| {
        !TOLD_OTHERWISE.contains(&name.as_str()) && before.get(*name) != after.get(*name)
    };
    Ok(names
        .into_iter()
        .filter(differs)
        .map(|name| {
            let told = |fields: &serde_json::Map<String, Value>| tell(name, fields.get(name));
            (name.clone(), Change { before: told(&before), after: told(&after) })
        })
        .collect())
}

fn fields(record: &impl Serialize) -> Result<serde_json::Map<String, Value>> {
    match serde_json::to_value(record).map_err(Error::internal)? {
        Value::Object(fields) => Ok(fields),
        other => Err(Error::internal(format!("a record without fields: {other}"))),
    }
}

fn tell(name: &str, value: Option<&Value>) -> Option<String> {
    let text = match readable(name, value?.clone()) {
        Value::Null => return None,
        Value::String(text) => text,
        other => other.to_string(),
    };
    if text.chars().nth(VALUE_CHARS_MAX).is_none() {
        return Some(text);
    }
    let kept: String = text.chars().take(VALUE_CHARS_MAX).collect();
    Some(format!("{kept}…"))
}

/// The value with times as people write them and secrets blacked out, however deep they are.
fn readable(name: &str, value: Value) -> Value {
    match value {
        Value::Null => Value::Null,
        _ if SECRET.iter().any(|word| name.contains(word)) => Value::from(REDACTED),
        Value::Number(at) if name == "at" || TIMES.iter().any(|end| name.ends_with(end)) => {
            at.as_i64().map_or(Value::Number(at), |at| Value::from(Timestamp(at).to_string()))
        }
        Value::Object(fields) => {
            let readable = |(name, value): (String, Value)| {
                let value = readable(&name, value);
                (name, value)
            };
            Value::Object(fields.into_iter().map(readable).collect())
        }
        Value::Array(items) => items.into_iter().map(|item| readable(name, item)).collect(),
        plain => plain,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_told_before_and_after() {
        let before = json!({"name": "Ada", "seats": 5, "ends_at": null, "same": 1, "revision": 1});
        let after = json!({"name": "Ada L.", "seats": 7, "ends_at": 0, "same": 1, "revision": 2});
        let told = between(&before, &after).unwrap();
        assert_eq!(told.keys().collect::<Vec<_>>(), ["ends_at", "name", "seats"]);
        assert_eq!(told["seats"].before.as_deref(), Some("5"));
        assert_eq!(told["seats"].after.as_deref(), Some("7"));
        assert_eq!(told["ends_at"].before, None);
        assert_eq!(told["ends_at"].after.as_deref(), Some("1970-01-01T00:00:00Z"));
    }

    #[test]
    fn a_secret_is_told_to_have_changed_and_no_more() {
        let (before, after) = (json!({"password_hash": null}), json!({"password_hash": "x"}));
        let told = between(&before, &after).unwrap();
        assert_eq!(told["password_hash"].before, None);
        assert_eq!(told["password_hash"].after.as_deref(), Some(REDACTED));
    }

    #[test]
    fn a_time_and_a_secret_deep_inside_are_told_as_others_are() {
        let after = json!({"suspended": {"at": 0, "reason": "unpaid"}, "keys": [{"secret": "x"}]});
        let told = between(&json!({}), &after).unwrap();
        let suspended = r#"{"at":"1970-01-01T00:00:00Z","reason":"unpaid"}"#;
        assert_eq!(told["suspended"].after.as_deref(), Some(suspended));
        assert_eq!(told["keys"].after.as_deref(), Some(r#"[{"secret":"[redacted]"}]"#));
    }

    #[test]
    fn a_long_value_is_cut() {
        let told = between(&json!({"text": ""}), &json!({"text": "ä".repeat(9_000)})).unwrap();
        assert_eq!(told["text"].after.as_ref().unwrap().chars().count(), VALUE_CHARS_MAX + 1);
    }
}
