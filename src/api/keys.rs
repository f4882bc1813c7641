//! Public keys: every one that ever signed.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use super::json::Json;
use super::wire::Time;
use super::{Answer, Tag};
use crate::domain::error::Error;
use crate::services::Services;

/// The calls about public keys.
pub struct Keys {
    /// The operations.
    pub services: Arc<Services>,
}

/// A public key.
#[derive(Object, Serialize)]
pub struct PublicKey {
    /// Names it in signed documents (RFC 7638).
    kid: String,
    /// `license`, `validation` or `access`.
    purpose: String,
    /// `RS256` or `EdDSA`.
    algorithm: String,
    /// When it was made.
    created_at: Time,
    /// Since when it signs nothing more; it stays published.
    retired_at: Option<Time>,
    /// `SubjectPublicKeyInfo`.
    public_key_pem: String,
}

/// Every public key that ever signed.
#[derive(Object, Serialize)]
pub struct PublicKeys {
    /// Oldest first.
    items: Vec<PublicKey>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

#[OpenApi(tag = "Tag::Keys")]
impl Keys {
    /// Public keys as PEM
    #[oai(path = "/api/v1/keys", method = "get", operation_id = "list_keys")]
    async fn list_keys(&self) -> Answer<Json<PublicKeys>> {
        let keys = self.services.keys.published().map_err(Error::internal)?;
        let items = keys.into_iter().map(|key| PublicKey {
            kid: key.kid,
            purpose: key.purpose.as_str().to_owned(),
            algorithm: key.algorithm.as_str().to_owned(),
            created_at: key.created_at.into(),
            retired_at: key.retired_at.map(Time),
            public_key_pem: key.public_pem,
        });
        Ok(Json(PublicKeys { items: items.collect(), next_cursor: None }))
    }
}
