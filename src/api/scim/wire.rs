//! People and groups as SCIM has them (RFC 7643, sections 4.1 and 4.2).

use poem_openapi::Object;
use poem_openapi::types::Any;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::Wanted;
use crate::api::wire::Time;
use crate::domain::error::Result;
use crate::domain::provisioning::DirectoryName;
use crate::domain::time::Timestamp;
use crate::services::provisioning::{Found, GroupSeen, PersonSeen};

/// The schema of people.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of groups.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// What this server says of a resource.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct ScimMeta {
    /// `User` or `Group`.
    resource_type: Option<String>,
    /// Since when the organisation has it.
    created: Option<Time>,
    /// When it last changed.
    last_modified: Option<Time>,
    /// Its address.
    location: Option<String>,
}

impl ScimMeta {
    fn new(kind: &str, (created, changed): (Timestamp, Timestamp), location: String) -> Self {
        Self {
            resource_type: Some(kind.to_owned()),
            created: Some(created.into()),
            last_modified: Some(changed.into()),
            location: Some(location),
        }
    }
}

/// A person's names, as the directory gave them.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct ScimName {
    /// The whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    formatted: Option<String>,
    /// The first name.
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<String>,
    /// The last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<String>,
}

impl ScimName {
    fn of(name: DirectoryName) -> Option<Self> {
        let any = name.full().is_some();
        let DirectoryName { formatted, given, family } = name;
        any.then_some(Self { formatted, given_name: given, family_name: family })
    }
}

/// The address of a person.
#[derive(Object, Serialize)]
pub struct ScimEmail {
    /// The `userName`.
    value: Option<String>,
    /// `work`.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: Option<String>,
    /// True.
    primary: Option<bool>,
}

/// Something that a person belongs to, or somebody who belongs to a group.
#[derive(Object, Serialize)]
pub struct ScimReference {
    /// Its id.
    value: Option<String>,
    /// Its address.
    #[oai(rename = "$ref")]
    #[serde(rename = "$ref")]
    reference: Option<String>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<String>,
    /// `User` of members, `direct` of groups.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// A person. Attributes that were not asked for, or have no value, are left out.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct ScimUser {
    /// `urn:ietf:params:scim:schemas:core:2.0:User`.
    schemas: Vec<String>,
    /// The id of the person's account.
    id: String,
    /// The directory's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// The person's e-mail address.
    user_name: Option<String>,
    /// The person's names.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<ScimName>,
    /// What people are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// Whether the person belongs to the organisation.
    active: Option<bool>,
    /// The same address again.
    emails: Option<Vec<ScimEmail>>,
    /// The directory's groups that the person is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<ScimReference>>,
    /// What this server says of it.
    meta: Option<ScimMeta>,
}

/// A group. Attributes that were not asked for, or have no value, are left out.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct ScimGroup {
    /// `urn:ietf:params:scim:schemas:core:2.0:Group`.
    schemas: Vec<String>,
    /// The id of the team that it is.
    id: String,
    /// The directory's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// What people call it.
    display_name: Option<String>,
    /// Who belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<ScimReference>>,
    /// What this server says of it.
    meta: Option<ScimMeta>,
}

/// A part of what was found.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct ScimList {
    /// `urn:ietf:params:scim:api:messages:2.0:ListResponse`.
    schemas: Vec<String>,
    /// How many were found.
    total_results: u64,
    /// The number of the first of these, from 1.
    start_index: u64,
    /// How many these are.
    items_per_page: u64,
    /// The resources.
    #[oai(rename = "Resources")]
    #[serde(rename = "Resources")]
    resources: Vec<Any<Value>>,
}

/// A list of these, of which there are so many, from the one of this number on.
pub fn list(total: usize, skip: usize, resources: &[Value]) -> Value {
    json!({
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": skip + 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

/// Where resources are, and which of their attributes are wanted.
pub struct Shown {
    /// The address under which SCIM is spoken, without a slash at the end.
    pub base: String,
    /// Which attributes.
    pub wanted: Wanted,
}

impl Shown {
    /// A person.
    pub fn user(&self, person: PersonSeen) -> Result<Value> {
        let id = person.user.user_id.to_string();
        let meta = ScimMeta::new("User", person.times(), format!("{}/Users/{id}", self.base));
        let active = person.active();
        let groups: Vec<_> = person
            .groups
            .into_iter()
            .map(|team| ScimReference {
                value: Some(team.team_id.to_string()),
                reference: Some(format!("{}/Groups/{}", self.base, team.team_id)),
                display: Some(team.name),
                kind: Some("direct".to_owned()),
            })
            .collect();
        let email = person.user.email.as_str().to_owned();
        let full_name = person.user.full_name;
        // Of whom the directory has said nothing yet, the profile tells.
        let (external_id, name, display_name) = match person.said {
            Some(said) => (said.external_id, ScimName::of(said.name), said.display_name),
            None => (None, None, Some(full_name)),
        };
        self.wanted.of(ScimUser {
            schemas: vec![USER.to_owned()],
            id,
            external_id,
            user_name: Some(email.clone()),
            name,
            display_name,
            active: Some(active),
            emails: Some(vec![ScimEmail {
                value: Some(email),
                kind: Some("work".to_owned()),
                primary: Some(true),
            }]),
            groups: (!groups.is_empty()).then_some(groups),
            meta: Some(meta),
        })
    }

    /// A group.
    pub fn group(&self, group: GroupSeen) -> Result<Value> {
        let id = group.team.team_id.to_string();
        let times = (group.said.since, group.said.changed_at);
        let meta = ScimMeta::new("Group", times, format!("{}/Groups/{id}", self.base));
        let members: Vec<_> = group
            .members
            .into_iter()
            .map(|user_id| ScimReference {
                value: Some(user_id.to_string()),
                reference: Some(format!("{}/Users/{user_id}", self.base)),
                display: None,
                kind: Some("User".to_owned()),
            })
            .collect();
        self.wanted.of(ScimGroup {
            schemas: vec![GROUP.to_owned()],
            id,
            external_id: group.said.external_id,
            display_name: Some(group.team.name),
            members: (!members.is_empty()).then_some(members),
            meta: Some(meta),
        })
    }

    /// People.
    pub fn users(&self, found: Found<PersonSeen>, skip: usize) -> Result<Value> {
        let some = found.items.into_iter().map(|person| self.user(person));
        Ok(list(found.total, skip, &some.collect::<Result<Vec<_>>>()?))
    }

    /// Groups.
    pub fn groups(&self, found: Found<GroupSeen>, skip: usize) -> Result<Value> {
        let some = found.items.into_iter().map(|group| self.group(group));
        Ok(list(found.total, skip, &some.collect::<Result<Vec<_>>>()?))
    }
}
