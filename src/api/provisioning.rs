//! The tokens by which an organisation's directory provisions its people.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::{Created, Json};
use super::wire::{Done, Time};
use super::{Answer, Tag};
use crate::domain::ids::OrgId;
use crate::domain::provisioning;
use crate::services::Services;

/// The calls about provisioning tokens.
pub struct ProvisioningTokens {
    /// The operations.
    pub services: Arc<Services>,
}

/// A provisioning token without its secret.
#[derive(Object, Serialize)]
pub struct ProvisioningToken {
    /// Identifies the token.
    provisioning_token_id: Uuid,
    /// The organisation.
    org_id: Uuid,
    /// What its owner calls it.
    name: String,
    /// How the secret begins.
    prefix: String,
    /// When it was made.
    created_at: Time,
    /// By whom; null: over the local socket.
    created_by: Option<Uuid>,
    /// From when it opens nothing; null: never.
    expires_at: Option<Time>,
    /// When it was last used, to the hour.
    last_used_at: Option<Time>,
}

impl From<provisioning::ProvisioningToken> for ProvisioningToken {
    fn from(token: provisioning::ProvisioningToken) -> Self {
        Self {
            provisioning_token_id: token.provisioning_token_id.0,
            org_id: token.org_id.0,
            name: token.name,
            prefix: token.prefix,
            created_at: token.created_at.into(),
            created_by: token.created_by.map(|id| id.0),
            expires_at: token.expires_at.map(Time),
            last_used_at: token.last_used_at.map(Time),
        }
    }
}

/// What an organisation's directory has said of a person, as it is exported.
#[derive(Serialize)]
pub struct ProvisionedPerson {
    user_id: Uuid,
    external_id: Option<String>,
    formatted: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    display_name: Option<String>,
    active: bool,
    made_account: bool,
    created_at: Time,
    changed_at: Time,
}

impl From<provisioning::DirectoryPerson> for ProvisionedPerson {
    fn from(person: provisioning::DirectoryPerson) -> Self {
        let provisioning::DirectoryName { formatted, given, family } = person.name;
        Self {
            user_id: person.user_id.0,
            external_id: person.external_id,
            formatted,
            given_name: given,
            family_name: family,
            display_name: person.display_name,
            active: person.active,
            made_account: person.made_account,
            created_at: Time(person.created_at),
            changed_at: Time(person.changed_at),
        }
    }
}

/// What an organisation's directory is told.
#[derive(Object, Serialize)]
pub struct ProvisioningTokenList {
    /// Where the directory speaks SCIM.
    base_url: String,
    /// Oldest first; at most two.
    items: Vec<ProvisioningToken>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// A new token. The secret is told now and never again.
#[derive(Object, Serialize)]
pub struct NewProvisioningToken {
    /// The token.
    token: ProvisioningToken,
    /// The token itself, for `Authorization: Bearer`.
    secret: String,
    /// Where the directory speaks SCIM.
    base_url: String,
}

/// A token to make.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct CreateProvisioningToken {
    /// Which directory it is for; 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    /// 1 to 3650; left out: until it is revoked.
    #[oai(validator(minimum(value = "1"), maximum(value = "3650")))]
    expires_in_days: Option<u32>,
}

impl ProvisioningTokens {
    fn base_url(&self, id: OrgId) -> String {
        format!("{}/api/v1/orgs/{id}/scim/v2", self.services.public_url())
    }
}

#[OpenApi(prefix_path = "/api/v1/orgs", tag = "Tag::Provisioning")]
impl ProvisioningTokens {
    /// The tokens of an organisation's directory
    #[oai(
        path = "/:org_id/provisioning-tokens",
        method = "get",
        operation_id = "list_provisioning_tokens"
    )]
    async fn list_provisioning_tokens(
        &self,
        person: Person,
        org_id: Path<String>,
    ) -> Answer<Json<ProvisioningTokenList>> {
        let id: OrgId = path_id(&org_id.0, "organisation")?;
        let tokens = self.services.provisioning_tokens(&person.0, id)?;
        let items = tokens.into_iter().map(Into::into).collect();
        let base_url = self.base_url(id);
        Ok(Json(ProvisioningTokenList { base_url, items, next_cursor: None }))
    }

    /// Make a token for the organisation's directory
    ///
    /// For owners who have signed in. It opens the calls of SCIM for this organisation and nothing else.
    /// There are two at most, so that one can take over from the other.
    #[oai(
        path = "/:org_id/provisioning-tokens",
        method = "post",
        operation_id = "create_provisioning_token"
    )]
    async fn create_provisioning_token(
        &self,
        person: Person,
        org_id: Path<String>,
        body: Json<CreateProvisioningToken>,
    ) -> Answer<Created<NewProvisioningToken>> {
        let id: OrgId = path_id(&org_id.0, "organisation")?;
        let Json(CreateProvisioningToken { name, expires_in_days }) = body;
        let made =
            self.services.create_provisioning_token(&person.0, id, &name, expires_in_days).await?;
        let (token, secret) = made;
        Ok(Created(NewProvisioningToken {
            token: token.into(),
            secret,
            base_url: self.base_url(id),
        }))
    }

    /// Revoke a token of the organisation's directory
    ///
    /// For owners who have signed in. With the last one the directory's teams can be changed by hand; who
    /// belongs to the organisation stays.
    #[oai(
        path = "/:org_id/provisioning-tokens/:provisioning_token_id",
        method = "delete",
        operation_id = "revoke_provisioning_token"
    )]
    async fn revoke_provisioning_token(
        &self,
        person: Person,
        org_id: Path<String>,
        provisioning_token_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let id = path_id(&org_id.0, "organisation")?;
        let token_id = path_id(&provisioning_token_id.0, "provisioning token")?;
        self.services.revoke_provisioning_token(&person.0, id, token_id).await?;
        Ok(Json(Done::new("revoked")))
    }
}
