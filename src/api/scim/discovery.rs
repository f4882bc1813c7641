//! What this server says of its own SCIM (RFC 7643, sections 5 to 7).

use serde_json::{Value, json};

use super::wire::{GROUP, USER};
use crate::services::provisioning::LISTED_MAX;

const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// What of SCIM this server can do.
pub fn config(base: &str, public_url: &str) -> Value {
    json!({
        "schemas": [CONFIG],
        "documentationUri": format!("{public_url}/handbook/provisioning"),
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": LISTED_MAX},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": false},
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Provisioning token",
            "description": "A token that the organisation's owner makes for its directory.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base}/ServiceProviderConfig"),
        },
    })
}

/// The kinds of resources.
pub fn resource_types(base: &str) -> Vec<Value> {
    let of = |name: &str, schema: &str, description: &str| {
        json!({
            "schemas": [RESOURCE_TYPE],
            "id": name,
            "name": name,
            "endpoint": format!("/{name}s"),
            "description": description,
            "schema": schema,
            "meta": {"resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{name}")},
        })
    };
    vec![
        of("User", USER, "Somebody who belongs to the organisation"),
        of("Group", GROUP, "A team of the organisation"),
    ]
}

/// An attribute with one value, in the order of RFC 7643, section 7.
fn attribute(name: &str, kind: &str, mutability: &str, required: bool, description: &str) -> Value {
    let mut attribute = json!({
        "name": name,
        "type": kind,
        "multiValued": false,
        "description": description,
        "required": required,
        "mutability": mutability,
        "returned": "default",
    });
    if kind == "string" {
        attribute["caseExact"] = json!(false);
        attribute["uniqueness"] = json!("none");
    }
    attribute
}

fn text(name: &str, description: &str) -> Value {
    attribute(name, "string", "readWrite", false, description)
}

fn reference(to: &str, mutability: &str) -> Value {
    let mut it = attribute("$ref", "reference", mutability, false, "The address of it");
    it["referenceTypes"] = json!([to]);
    it["caseExact"] = json!(true);
    it
}

fn complex(
    name: &str,
    many: bool,
    mutability: &str,
    description: &str,
    parts: Vec<Value>,
) -> Value {
    let mut it = attribute(name, "complex", mutability, false, description);
    it["multiValued"] = json!(many);
    it["subAttributes"] = Value::Array(parts);
    it
}

fn user() -> Vec<Value> {
    let mut user_name =
        attribute("userName", "string", "readWrite", true, "The person's e-mail address");
    user_name["uniqueness"] = json!("server");
    let read = |name: &str, kind: &str, text: &str| attribute(name, kind, "readOnly", false, text);
    let mut email_type = read("type", "string", "What the address is for");
    email_type["canonicalValues"] = json!(["work"]);
    vec![
        user_name,
        complex(
            "name",
            false,
            "readWrite",
            "The person's names",
            vec![
                text("formatted", "The whole name"),
                text("familyName", "The last name"),
                text("givenName", "The first name"),
            ],
        ),
        text("displayName", "What people are shown"),
        attribute(
            "active",
            "boolean",
            "readWrite",
            false,
            "Whether the person belongs to the organisation; true unless said otherwise, and never removed",
        ),
        complex(
            "emails",
            true,
            "readOnly",
            "The userName again; what is sent is let be",
            vec![
                read("value", "string", "The address"),
                email_type,
                read("primary", "boolean", "True: there is one"),
            ],
        ),
        complex(
            "groups",
            true,
            "readOnly",
            "The groups that the person is in",
            vec![
                read("value", "string", "The id of the group"),
                reference("Group", "readOnly"),
                read("display", "string", "What people call the group"),
                read("type", "string", "direct"),
            ],
        ),
    ]
}

fn group() -> Vec<Value> {
    let mut display_name =
        attribute("displayName", "string", "readWrite", true, "What people call the group");
    display_name["uniqueness"] = json!("server");
    let mut kind = attribute("type", "string", "immutable", false, "What the member is");
    kind["canonicalValues"] = json!(["User"]);
    vec![
        display_name,
        complex(
            "members",
            true,
            "readWrite",
            "Who belongs to the group",
            vec![
                attribute("value", "string", "immutable", false, "The id of the user"),
                reference("User", "immutable"),
                kind,
            ],
        ),
    ]
}

/// The schemas of the resources.
pub fn schemas(base: &str) -> Vec<Value> {
    let of = |id: &str, name: &str, description: &str, attributes: Vec<Value>| {
        json!({
            "schemas": [SCHEMA],
            "id": id,
            "name": name,
            "description": description,
            "attributes": attributes,
            "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{id}")},
        })
    };
    vec![
        of(USER, "User", "Somebody who belongs to the organisation", user()),
        of(GROUP, "Group", "A team of the organisation", group()),
    ]
}
