//! Keys by which programs act for a person.

use serde::{Deserialize, Serialize};

use super::ids::{ApiKeyId, OrgId, UserId};
use super::organisation::Permission;
use super::time::Timestamp;

/// Something that a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// What a role may allow in the key's organisation.
    Org(Permission),
    /// What operators of the appliance do.
    Operator,
}

impl Scope {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Org(permission) => permission.as_str(),
            Self::Operator => "operator",
        }
    }

    /// What a word means.
    pub fn parse(word: &str) -> Option<Self> {
        let all = Permission::ALL.into_iter().map(Self::Org).chain([Self::Operator]);
        all.into_iter().find(|scope| scope.as_str() == word)
    }
}

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
    /// What it may do of what its owner may; none: all of it.
    #[serde(default)]
    pub scopes: Option<Vec<Scope>>,
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
    /// Whether it may do that, as far as it was limited.
    pub fn covers(&self, scope: Scope) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&scope))
    }

    /// Whether it opens anything at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}
