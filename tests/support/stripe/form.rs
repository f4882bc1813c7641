//! What a form or a query says: `items[0][price]=price_1` is a value in a tree.

use reqwest::Url;
use serde_json::{Map, Value};

use super::error::{Result, StripeError};

/// The parameters of a request. Places in them are JSON pointers: `/items/0/price`.
pub struct Params(Value);

impl Params {
    /// Decodes keys and values; `a[]=x` and `a[0]=x` are lists.
    pub fn parse(raw: &str) -> Self {
        let mut url = Url::parse("http://form.invalid").unwrap();
        url.set_query(Some(raw));
        let mut tree = Value::Object(Map::new());
        for (key, value) in url.query_pairs().filter(|(key, _)| !key.is_empty()) {
            let mut at = &mut tree;
            for part in key.split('[').map(|part| part.trim_end_matches(']')) {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                let members = at.as_object_mut().unwrap();
                let name = if part.is_empty() { members.len().to_string() } else { part.into() };
                at = members.entry(name).or_insert(Value::Null);
            }
            *at = Value::String(value.into_owned());
        }
        Self(lists(tree))
    }

    /// Fails like Stripe when a parameter is none of these.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        let mut names = self.0.as_object().unwrap().keys();
        match names.find(|name| *name != "expand" && !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(StripeError::invalid(
                "parameter_unknown",
                name,
                &format!("Received unknown parameter: {name}"),
            )),
        }
    }

    /// The part of the tree at a place.
    pub fn at(&self, place: &str) -> Option<&Value> {
        self.0.pointer(place)
    }

    pub fn text(&self, place: &str) -> Option<&str> {
        self.at(place)?.as_str()
    }

    pub fn needed(&self, place: &str) -> Result<&str> {
        self.text(place).filter(|text| !text.is_empty()).ok_or_else(|| missing(place))
    }

    pub fn integer(&self, place: &str) -> Result<Option<i64>> {
        let Some(text) = self.text(place) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let message = format!("Invalid integer: {text}");
            StripeError::invalid("parameter_invalid_integer", &bracketed(place), &message)
        })
    }

    pub fn flag(&self, place: &str) -> Result<Option<bool>> {
        match self.text(place) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => {
                let message = format!("Invalid boolean: {text}");
                Err(StripeError::invalid("parameter_invalid_boolean", &bracketed(place), &message))
            }
        }
    }

    /// The members of a list; none when it is not there.
    pub fn items(&self, place: &str) -> &[Value] {
        self.at(place).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    pub fn texts(&self, place: &str) -> Vec<&str> {
        self.items(place).iter().filter_map(Value::as_str).collect()
    }

    /// Metadata as it is after these parameters: an empty value takes a key away.
    pub fn metadata(&self, place: &str, before: &Value) -> Value {
        let mut after = before.as_object().cloned().unwrap_or_default();
        match self.at(place) {
            Some(Value::Object(given)) => {
                for (key, value) in given {
                    if value == "" {
                        after.remove(key);
                    } else {
                        after.insert(key.clone(), value.clone());
                    }
                }
            }
            Some(_) => after.clear(),
            None => {}
        }
        Value::Object(after)
    }
}

fn missing(place: &str) -> StripeError {
    let param = bracketed(place);
    StripeError::invalid("parameter_missing", &param, &format!("Missing required param: {param}."))
}

/// `/items/0/price` as Stripe writes it: `items[0][price]`.
fn bracketed(place: &str) -> String {
    let mut parts = place.trim_start_matches('/').split('/');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| format!("{whole}[{part}]"))
}

/// Objects whose names are numbers become lists, but for metadata.
fn lists(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let numbered = members.keys().all(|key| key.parse::<u32>().is_ok());
    if numbered && !members.is_empty() {
        let mut items: Vec<(u32, Value)> =
            members.into_iter().map(|(key, item)| (key.parse().unwrap(), lists(item))).collect();
        items.sort_by_key(|(number, _)| *number);
        return Value::Array(items.into_iter().map(|(_, item)| item).collect());
    }
    let keep = |(key, member): (String, Value)| match key.as_str() {
        "metadata" => (key, member),
        _ => (key, lists(member)),
    };
    Value::Object(members.into_iter().map(keep).collect())
}
