//! Keys by which programs act for a person.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::{Created, Json};
use super::wire::{Done, Time};
use super::{Answer, Tag};
use crate::domain::api_key;
use crate::services::Services;

/// The calls about API keys.
pub struct ApiKeys {
    /// The operations.
    pub services: Arc<Services>,
}

/// An API key without its secret.
#[derive(Object, Serialize)]
pub struct ApiKey {
    /// Identifies the key.
    api_key_id: Uuid,
    /// What its owner calls it.
    name: String,
    /// For which organisation it acts; null: the person's own.
    org_id: Option<Uuid>,
    /// What it may do of what its owner may; null: all of it.
    scopes: Option<Vec<String>>,
    /// How the secret begins.
    prefix: String,
    /// When it was made.
    created_at: Time,
    /// From when it opens nothing; null: never.
    expires_at: Option<Time>,
    /// When it was last used, to the hour.
    last_used_at: Option<Time>,
}

impl From<api_key::ApiKey> for ApiKey {
    fn from(key: api_key::ApiKey) -> Self {
        Self {
            api_key_id: key.api_key_id.0,
            org_id: key.org_id.map(|id| id.0),
            scopes: key
                .scopes
                .map(|scopes| scopes.iter().map(|one| one.as_str().to_owned()).collect()),
            name: key.name,
            prefix: key.prefix,
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(Time),
            last_used_at: key.last_used_at.map(Time),
        }
    }
}

/// A new API key. The secret is told now and never again.
#[derive(Object, Serialize)]
pub struct NewApiKey {
    /// Identifies the key.
    api_key_id: Uuid,
    /// What its owner calls it.
    name: String,
    /// How the secret begins.
    prefix: String,
    /// The key itself, for `Authorization: Bearer`.
    secret: String,
    /// When it was made.
    created_at: Time,
    /// From when it opens nothing; null: never.
    expires_at: Option<Time>,
}

/// A key to make.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What it is for; 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    /// 1 to 3650; left out: until it is revoked.
    #[oai(validator(minimum(value = "1"), maximum(value = "3650")))]
    expires_in_days: Option<u32>,
    /// What it may do, of what you may: `licenses.read` and the other permissions of `/orgs`, and
    /// `operator`. Left out: everything that you may.
    #[oai(validator(max_items = 20))]
    scopes: Option<Vec<String>>,
}

/// A person's API keys.
#[derive(Object, Serialize)]
pub struct ApiKeyList {
    /// Oldest first.
    items: Vec<ApiKey>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl ApiKeys {
    /// The person's API keys
    #[oai(path = "/api-keys", method = "get", operation_id = "list_api_keys")]
    async fn list_api_keys(&self, person: Person) -> Answer<Json<ApiKeyList>> {
        let items = self.services.api_keys(&person.0)?.into_iter().map(ApiKey::from).collect();
        Ok(Json(ApiKeyList { items, next_cursor: None }))
    }

    /// Make an API key
    ///
    /// It acts as the person who makes it, except for passwords, sign-ins, keys and operators. The secret
    /// is in the answer and nowhere else.
    #[oai(path = "/api-keys", method = "post", operation_id = "create_api_key")]
    async fn create_api_key(
        &self,
        person: Person,
        body: Json<CreateApiKey>,
    ) -> Answer<Created<NewApiKey>> {
        let Json(CreateApiKey { name, expires_in_days, scopes }) = body;
        let made = self.services.create_api_key(&person.0, name, expires_in_days, scopes).await?;
        let (key, secret) = made;
        Ok(Created(NewApiKey {
            api_key_id: key.api_key_id.0,
            name: key.name,
            prefix: key.prefix,
            secret,
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(Time),
        }))
    }

    /// Revoke an API key
    #[oai(path = "/api-keys/:api_key_id", method = "delete", operation_id = "revoke_api_key")]
    async fn revoke_api_key(&self, person: Person, api_key_id: Path<String>) -> Answer<Json<Done>> {
        let id = path_id(&api_key_id.0, "API key")?;
        self.services.revoke_api_key(&person.0, id).await?;
        Ok(Json(Done::new("revoked")))
    }
}
