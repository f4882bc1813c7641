//! What tests ask of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A text that must be there.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

/// The names of an object's members, in order.
#[track_caller]
pub fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// An object without one of its members.
#[track_caller]
pub fn without(value: &Value, member: &str) -> Value {
    let mut object = value.as_object().expect("an object").clone();
    object.remove(member).expect("the member is there");
    Value::Object(object)
}

/// The items of a list.
#[track_caller]
pub fn items(page: &Value) -> &[Value] {
    page["items"].as_array().expect("a list")
}

/// The claims of a JWS, without a look at its signature.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a compact JWS");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
