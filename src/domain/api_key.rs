//! Keys by which programs act for a person.

use serde::{Deserialize, Serialize};

use super::ids::{ApiKeyId, OrgId, UserId};
use super::time::Timestamp;

/// An API key; of its secret only the hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Identifies the key.
    pub api_key_id: ApiKeyId,
    /// For whom it acts.
    pub user_id: UserId,
    /// For which organisation; none, in keys made before that was asked: the person's own.
    #[serde(default)]
    pub org_id: Option<OrgId>,
    /// What its owner calls it.
    pub name: String,
    /// How the secret begins, so that its owner tells it from others.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it opens nothing any more; none: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it opens anything at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}
