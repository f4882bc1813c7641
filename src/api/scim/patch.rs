//! What the bodies of directories say: resources, and changes to them as Entra ID, Okta and RFC 7644,
//! section 3.5.2, write those. Names and words are the same in any case; `"False"` is false.

use serde_json::{Map, Value};

use super::answer::plain;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::UserId;
use crate::domain::provisioning::{Attribute, GroupStep, PersonChange, parse_filter};
use crate::services::provisioning::{GroupInput, PersonInput};

/// The most operations of a change.
const OPERATIONS_MAX: usize = 100;
/// The most members that are named at once.
const MEMBERS_MAX: usize = 1_000;

/// Attributes of people that SCIM has and this server keeps nothing of.
const NOT_KEPT: [&str; 18] = [
    "addresses",
    "emails",
    "entitlements",
    "ims",
    "locale",
    "name",
    "nickname",
    "password",
    "phonenumbers",
    "photos",
    "preferredlanguage",
    "profileurl",
    "roles",
    "schemas",
    "timezone",
    "title",
    "usertype",
    "x509certificates",
];

type Object = Map<String, Value>;

/// The value of a name, whatever its case.
fn get<'v>(object: &'v Object, name: &str) -> Option<&'v Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A text; none where there is none.
fn text(field: &str, value: Option<&Value>) -> Result<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let text = text.trim();
            Ok((!text.is_empty()).then(|| text.to_owned()))
        }
        Some(_) => Err(Error::invalid(field, "must be a text")),
    }
}

fn required(field: &str, value: Option<&Value>) -> Result<String> {
    text(field, value)?.ok_or_else(|| Error::invalid(field, "is required"))
}

fn truth(field: &str, value: &Value) -> Result<bool> {
    match value {
        Value::Bool(value) => return Ok(*value),
        Value::String(word) if word.eq_ignore_ascii_case("true") => return Ok(true),
        Value::String(word) if word.eq_ignore_ascii_case("false") => return Ok(false),
        _ => {}
    }
    Err(Error::invalid(field, "must be true or false"))
}

/// A whole person, who is to be made or to take another's place.
pub fn person(body: &Object) -> Result<PersonInput> {
    let user_name = required("userName", get(body, "userName"))?;
    let mut said = PersonChange {
        external_id: Some(text("externalId", get(body, "externalId"))?),
        display_name: Some(text("displayName", get(body, "displayName"))?),
        ..PersonChange::default()
    };
    whole_name(&mut said, get(body, "name"))?;
    if let Some(active) = get(body, "active").filter(|active| !active.is_null()) {
        said.active = Some(truth("active", active)?);
    }
    Ok(PersonInput { user_name, said })
}

/// A name in place of the one before.
fn whole_name(change: &mut PersonChange, value: Option<&Value>) -> Result<()> {
    (change.formatted, change.given, change.family) = (Some(None), Some(None), Some(None));
    parts_of_name(change, value)
}

/// What of a name is given.
fn parts_of_name(change: &mut PersonChange, value: Option<&Value>) -> Result<()> {
    let parts = match value {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(parts)) => parts,
        Some(_) => return Err(Error::invalid("name", "must be an object")),
    };
    for (part, to) in [
        ("formatted", &mut change.formatted),
        ("givenName", &mut change.given),
        ("familyName", &mut change.family),
    ] {
        if let Some(value) = get(parts, part) {
            *to = Some(text(&format!("name.{part}"), Some(value))?);
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

struct Operation<'b> {
    op: Op,
    path: Option<&'b str>,
    value: Option<&'b Value>,
}

fn operations(body: &Object) -> Result<Vec<Operation<'_>>> {
    let Some(Value::Array(all)) = get(body, "Operations") else {
        return Err(Error::invalid("Operations", "must be a list of operations"));
    };
    if all.is_empty() || all.len() > OPERATIONS_MAX {
        let text = format!("must be 1 to {OPERATIONS_MAX}");
        return Err(Error::invalid("Operations", text));
    }
    all.iter().map(operation).collect()
}

fn operation(operation: &Value) -> Result<Operation<'_>> {
    let Value::Object(operation) = operation else {
        return Err(Error::invalid("Operations", "must be objects"));
    };
    let word = get(operation, "op").and_then(Value::as_str).unwrap_or_default();
    let op = match word.to_ascii_lowercase().as_str() {
        "add" => Op::Add,
        "replace" => Op::Replace,
        "remove" => Op::Remove,
        _ => return Err(Error::invalid("op", "must be add, replace or remove")),
    };
    let path = match get(operation, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) => Some(path.trim()).filter(|path| !path.is_empty()),
        Some(_) => return Err(Error::invalid("path", "must be a text")),
    };
    if op == Op::Remove && path.is_none() {
        let text = "An operation that removes something needs a path.";
        return Err(Error::new(Code::NoTarget, text));
    }
    Ok(Operation { op, path, value: get(operation, "value") })
}

/// The parts of a value that has no path: each name is one.
fn parts(value: Option<&Value>) -> Result<&Object> {
    match value {
        Some(Value::Object(parts)) => Ok(parts),
        _ => Err(Error::invalid("value", "must be an object where there is no path")),
    }
}

/// Changes to a person.
pub fn person_change(body: &Object) -> Result<PersonChange> {
    let mut change = PersonChange::default();
    for Operation { op, path, value } in operations(body)? {
        if let Some(path) = path {
            change_person(&mut change, op, path, value)?;
            continue;
        }
        for (name, value) in parts(value)? {
            // Clients send whole resources along: what of them is not for them to say is let be.
            match change_person(&mut change, op, name, Some(value)) {
                Err(error) if matches!(error.code, Code::InvalidPath | Code::ReadOnly) => {}
                changed => changed?,
            }
        }
    }
    Ok(change)
}

fn change_person(
    change: &mut PersonChange,
    op: Op,
    path: &str,
    value: Option<&Value>,
) -> Result<()> {
    let name = plain(path).to_ascii_lowercase();
    // An extension, of which nothing is kept.
    if name.starts_with("urn:") {
        return Ok(());
    }
    let kept = |field: &str| match op {
        Op::Remove => Ok(Some(None)),
        Op::Add | Op::Replace => text(field, value).map(Some),
    };
    match name.as_str() {
        "username" if op == Op::Remove => return Err(always("userName")),
        "username" => change.user_name = Some(required("userName", value)?),
        "active" if op == Op::Remove => return Err(always("active")),
        "active" => {
            change.active = Some(truth("active", value.unwrap_or(&Value::Null))?);
        }
        "externalid" => change.external_id = kept("externalId")?,
        "displayname" => change.display_name = kept("displayName")?,
        "name.formatted" => change.formatted = kept("name.formatted")?,
        "name.givenname" => change.given = kept("name.givenName")?,
        "name.familyname" => change.family = kept("name.familyName")?,
        "name" if op == Op::Remove => whole_name(change, None)?,
        // Parts that are not named stay (RFC 7644, section 3.5.2.3).
        "name" => parts_of_name(change, value)?,
        "id" | "meta" | "groups" => return Err(read_only(path)),
        other => {
            let attribute = other.split(['.', '[']).next().unwrap_or_default();
            if !NOT_KEPT.contains(&attribute) {
                return Err(no_attribute(path));
            }
        }
    }
    Ok(())
}

/// A whole group.
pub fn group(body: &Object) -> Result<GroupInput> {
    Ok(GroupInput {
        name: required("displayName", get(body, "displayName"))?,
        external_id: text("externalId", get(body, "externalId"))?,
        members: get(body, "members").map_or(Ok(Vec::new()), members)?,
    })
}

/// Changes to a group, in order.
pub fn group_steps(body: &Object) -> Result<Vec<GroupStep>> {
    let mut steps = Vec::new();
    for Operation { op, path, value } in operations(body)? {
        if let Some(path) = path {
            steps.extend(group_step(op, path, value)?);
            continue;
        }
        for (name, value) in parts(value)? {
            match group_step(op, name, Some(value)) {
                Err(error) if matches!(error.code, Code::InvalidPath | Code::ReadOnly) => {}
                step => steps.extend(step?),
            }
        }
    }
    Ok(steps)
}

fn group_step(op: Op, path: &str, value: Option<&Value>) -> Result<Option<GroupStep>> {
    let name = plain(path);
    let folded = name.to_ascii_lowercase();
    Ok(Some(match (folded.as_str(), op) {
        ("displayname", Op::Remove) => return Err(always("displayName")),
        ("displayname", _) => GroupStep::Name(required("displayName", value)?),
        ("externalid", Op::Remove) => GroupStep::ExternalId(None),
        ("externalid", _) => GroupStep::ExternalId(text("externalId", value)?),
        ("members", op) => {
            let named = value.filter(|value| !value.is_null()).map(members).transpose()?;
            match (op, named) {
                (Op::Add, named) => GroupStep::Add(named.unwrap_or_default()),
                (Op::Remove, Some(named)) => GroupStep::Remove(named),
                (Op::Remove, None) => GroupStep::Replace(Vec::new()),
                (Op::Replace, named) => GroupStep::Replace(named.unwrap_or_default()),
            }
        }
        (path, Op::Remove) if path.starts_with("members[") => {
            GroupStep::Remove(vec![selected(name)?])
        }
        ("id" | "meta", _) => return Err(read_only(path)),
        ("schemas", _) => return Ok(None),
        (path, _) if path.starts_with("urn:") => return Ok(None),
        _ => return Err(no_attribute(path)),
    }))
}

/// The one of `members[value eq "..."]`.
fn selected(path: &str) -> Result<UserId> {
    let bad = || {
        let text = r#"Members are selected by members[value eq "..."], with the id of one."#;
        Error::new(Code::InvalidPath, text)
    };
    match parse_filter(path).map_err(|_| bad())?.as_slice() {
        [one] if one.attribute == Attribute::Member => one.value.parse().map_err(|_| bad()),
        _ => Err(bad()),
    }
}

/// A search that comes in a body (RFC 7644, section 3.4.3).
pub struct Search {
    /// What is wanted.
    pub filter: Option<String>,
    /// The first of those, from 1.
    pub start_index: Option<i64>,
    /// How many of them.
    pub count: Option<i64>,
    /// Which attributes they are to have.
    pub attributes: Option<Vec<String>>,
    /// Which they are not.
    pub excluded_attributes: Option<Vec<String>>,
}

/// A search request.
pub fn search(body: &Object) -> Result<Search> {
    let number = |field: &str| match get(body, field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(number) => Ok(Some(number)),
            None => Err(Error::invalid(field, "must be a whole number")),
        },
    };
    let names = |field: &str| match get(body, field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(names)) => {
            let names = names.iter().map(|name| required(field, Some(name)));
            names.collect::<Result<Vec<_>>>().map(Some)
        }
        Some(_) => Err(Error::invalid(field, "must be a list of names")),
    };
    Ok(Search {
        filter: text("filter", get(body, "filter"))?,
        start_index: number("startIndex")?,
        count: number("count")?,
        attributes: names("attributes")?,
        excluded_attributes: names("excludedAttributes")?,
    })
}

/// The ids of members: objects with a `value`, or one of them.
fn members(value: &Value) -> Result<Vec<UserId>> {
    let all = match value {
        Value::Array(all) => all.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    if all.len() > MEMBERS_MAX {
        return Err(Error::invalid("members", format!("must be at most {MEMBERS_MAX}")));
    }
    let id = |member: &Value| {
        let id = match member {
            Value::Object(member) => get(member, "value").and_then(Value::as_str),
            Value::String(id) => Some(id.as_str()),
            _ => None,
        };
        let parsed = id.and_then(|id| id.parse().ok());
        parsed.ok_or_else(|| Error::invalid("members.value", "must be the id of a user"))
    };
    all.iter().map(id).collect()
}

fn always(attribute: &str) -> Error {
    let text = format!("{attribute} always has a value; replace it.");
    Error::new(Code::ReadOnly, text)
}

fn read_only(path: &str) -> Error {
    Error::new(Code::ReadOnly, format!("{path:?} is for this server to say."))
}

fn no_attribute(path: &str) -> Error {
    Error::new(Code::InvalidPath, format!("{path:?} is no attribute that this server knows."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "callers write it where they need it")]
    fn change(operations: Value) -> Result<PersonChange> {
        person_change(json!({"Operations": operations}).as_object().unwrap())
    }

    #[allow(clippy::needless_pass_by_value, reason = "callers write it where they need it")]
    fn steps(operations: Value) -> Result<Vec<GroupStep>> {
        group_steps(json!({"Operations": operations}).as_object().unwrap())
    }

    fn ann() -> UserId {
        "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
    }

    #[test]
    fn directories_write_the_same_in_many_ways() {
        let inactive = PersonChange { active: Some(false), ..PersonChange::default() };
        for operation in [
            json!({"op": "Replace", "path": "active", "value": "False"}),
            json!({"op": "replace", "path": "active", "value": false}),
            json!({"op": "replace", "value": {"active": false}}),
            json!({"op": "Add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "value": "false"}),
            json!({"op": "replace", "value": {"id": "7", "meta": {}, "active": false, "shoeSize": 43}}),
        ] {
            assert_eq!(change(json!([operation])).unwrap(), inactive, "{operation}");
        }
        let named = change(json!([
            {"op": "add", "path": "name", "value": {"givenName": "Ann"}},
            {"op": "replace", "path": "name.familyName", "value": "Weaver"},
            {"op": "remove", "path": "displayName"},
            {"op": "replace", "value": {"name.formatted": "Ann Weaver", "externalId": ""}},
            {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "ann@loom.example"},
            {"op": "add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": "7"},
        ]));
        let expected = PersonChange {
            given: Some(Some("Ann".to_owned())),
            family: Some(Some("Weaver".to_owned())),
            formatted: Some(Some("Ann Weaver".to_owned())),
            display_name: Some(None),
            external_id: Some(None),
            ..PersonChange::default()
        };
        assert_eq!(named.unwrap(), expected);
    }

    #[test]
    fn members_are_named_in_many_ways() {
        let member = json!({"value": ann().to_string()});
        for (operation, expected) in [
            (
                json!({"op": "Add", "path": "members", "value": [member]}),
                GroupStep::Add(vec![ann()]),
            ),
            (json!({"op": "add", "value": {"members": member}}), GroupStep::Add(vec![ann()])),
            (
                json!({"op": "Remove", "path": "members", "value": [member]}),
                GroupStep::Remove(vec![ann()]),
            ),
            (
                json!({"op": "remove", "path": format!("members[value eq \"{}\"]", ann())}),
                GroupStep::Remove(vec![ann()]),
            ),
            (json!({"op": "remove", "path": "members"}), GroupStep::Replace(vec![])),
            (json!({"op": "replace", "path": "members", "value": []}), GroupStep::Replace(vec![])),
            (
                json!({"op": "replace", "value": {"id": "7", "displayName": "Weavers"}}),
                GroupStep::Name("Weavers".to_owned()),
            ),
        ] {
            assert_eq!(steps(json!([operation])).unwrap(), [expected], "{operation}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (operation, code) in [
            (json!({"op": "move", "path": "active"}), Code::ValidationFailed),
            (json!({"op": "remove"}), Code::NoTarget),
            (json!({"op": "replace", "value": 7}), Code::ValidationFailed),
            (json!({"op": "replace", "path": "active", "value": "maybe"}), Code::ValidationFailed),
            (json!({"op": "remove", "path": "active"}), Code::ReadOnly),
            (json!({"op": "remove", "path": "userName"}), Code::ReadOnly),
            (json!({"op": "replace", "path": "id", "value": "7"}), Code::ReadOnly),
            (json!({"op": "replace", "path": "shoeSize", "value": 43}), Code::InvalidPath),
            (json!({"op": "replace", "path": "displayName", "value": 7}), Code::ValidationFailed),
        ] {
            assert_eq!(change(json!([operation])).unwrap_err().code, code, "{operation}");
        }
        assert_eq!(change(json!([])).unwrap_err().code, Code::ValidationFailed);
        let many = vec![json!({"op": "add", "value": {}}); OPERATIONS_MAX + 1];
        assert_eq!(change(json!(many)).unwrap_err().code, Code::ValidationFailed);
        for path in ["members[value eq \"x\"]", "members[display eq \"x\"]", "members["] {
            let refused = steps(json!([{"op": "remove", "path": path}])).unwrap_err();
            assert_eq!(refused.code, Code::InvalidPath, "{path}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            "\\PC{0,20}".prop_map(Value::String),
            Just(json!("False")),
            Just(json!(7)),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            let name =
                "[a-zA-Z.\\[\\]\" ]{0,12}|active|members|value|name|displayName|Operations|op|path";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((name, inner), 0..4)
                    .prop_map(|parts| Value::Object(parts.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_body_brings_the_reader_down(
            op in "add|replace|Remove|x",
            path in prop::option::of("members\\[\\PC{0,20}|[a-z.]{0,12}|\\PC{0,30}"),
            value in value(),
        ) {
            let one = json!([{"op": op, "path": path, "value": value}]);
            let _ = (change(one.clone()), steps(one));
            if let Value::Object(body) = &value {
                let _ = (person(body).is_ok(), group(body).is_ok());
            }
        }
    }
}
