//! The issuer that an organisation names for its members.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::Json;
use super::orgs::Role;
use super::wire::{Done, Time};
use super::{Answer, Tag};
use crate::domain::identity;
use crate::services::Services;
use crate::services::oidc::{self, SsoInput, SsoShown};

/// The calls about single sign-on.
pub struct SingleSignOn {
    /// The operations.
    pub services: Arc<Services>,
}

/// What a group makes of a person.
#[derive(Object, Serialize, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct GroupRole {
    /// The group, as the issuer calls it.
    #[oai(validator(min_length = 1, max_length = 200))]
    group: String,
    /// The role; not `owner`.
    role: Role,
}

/// The issuer that members are to sign in through.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct SetSso {
    /// As the issuer writes it in its discovery document.
    #[oai(validator(max_length = 500))]
    issuer: String,
    /// This server, as the issuer knows it.
    #[oai(validator(min_length = 1, max_length = 500))]
    client_id: String,
    /// The client's secret. Left out: the one before, where issuer and client stay the same.
    #[oai(validator(max_length = 1024))]
    client_secret: Option<String>,
    /// What is asked of the issuer; left out: `openid email profile`.
    #[oai(validator(max_length = 500))]
    scopes: Option<String>,
    /// The claim that lists a person's groups; left out: `groups`.
    #[oai(validator(max_length = 200))]
    groups_claim: Option<String>,
    /// What groups make of a person; the first that fits counts. Without one there has to be a `default_role`,
    /// unless a directory provisions the organisation.
    #[oai(validator(max_items = 100))]
    groups: Option<Vec<GroupRole>>,
    /// What everybody else is; left out: they do not belong to the organisation. Not `owner`.
    default_role: Option<Role>,
}

/// The issuer that members sign in through.
#[derive(Object, Serialize)]
pub struct Sso {
    /// Whose it is.
    org_id: Uuid,
    /// The issuer.
    issuer: String,
    /// This server, as the issuer knows it.
    client_id: String,
    /// Whether there is a secret, which is not shown.
    has_client_secret: bool,
    /// What is asked of the issuer.
    scopes: String,
    /// The claim that lists a person's groups.
    groups_claim: String,
    /// What groups make of a person.
    groups: Vec<GroupRole>,
    /// What everybody else is.
    default_role: Option<Role>,
    /// When it was set last.
    changed_at: Time,
    /// Where members begin to sign in.
    start_url: String,
    /// Where the issuer is to send them back.
    redirect_uri: String,
}

impl From<SsoShown> for Sso {
    fn from(shown: SsoShown) -> Self {
        let SsoShown { sso, start_url, redirect_uri } = shown;
        let group =
            |rule: identity::GroupRole| GroupRole { group: rule.group, role: rule.role.into() };
        Self {
            org_id: sso.org_id.0,
            issuer: sso.issuer,
            client_id: sso.client_id,
            has_client_secret: sso.sealed_secret.is_some(),
            scopes: sso.scopes,
            groups_claim: sso.groups_claim,
            groups: sso.groups.into_iter().map(group).collect(),
            default_role: sso.default_role.map(Into::into),
            changed_at: sso.changed_at.into(),
            start_url,
            redirect_uri,
        }
    }
}

/// What an issuer has to know of this server.
#[derive(Object, Serialize)]
pub struct SsoAddresses {
    /// Whether an issuer is named already.
    set: bool,
    /// Where members begin to sign in.
    start_url: String,
    /// Where the issuer is to send them back: it asks for that when this server is registered with it.
    redirect_uri: String,
}

impl From<oidc::SsoAddresses> for SsoAddresses {
    fn from(addresses: oidc::SsoAddresses) -> Self {
        let oidc::SsoAddresses { set, start_url, redirect_uri } = addresses;
        Self { set, start_url, redirect_uri }
    }
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Organisations")]
impl SingleSignOn {
    /// What to tell the issuer before it is named
    #[oai(path = "/orgs/:org_id/sso/addresses", method = "get", operation_id = "get_sso_addresses")]
    async fn get_sso_addresses(
        &self,
        person: Person,
        org_id: Path<String>,
    ) -> Answer<Json<SsoAddresses>> {
        let id = path_id(&org_id.0, "organisation")?;
        Ok(Json(self.services.sso_addresses(&person.0, id)?.into()))
    }

    /// The issuer that members sign in through
    #[oai(path = "/orgs/:org_id/sso", method = "get", operation_id = "get_sso")]
    async fn get_sso(&self, person: Person, org_id: Path<String>) -> Answer<Json<Sso>> {
        let id = path_id(&org_id.0, "organisation")?;
        Ok(Json(self.services.sso(&person.0, id)?.into()))
    }

    /// Name the issuer that members sign in through
    ///
    /// For owners. The issuer is asked at once; it must be reached by https and, unless the setting
    /// `oidc.allow_private_issuers` says otherwise, at a public address.
    #[oai(path = "/orgs/:org_id/sso", method = "put", operation_id = "set_sso")]
    async fn set_sso(
        &self,
        person: Person,
        org_id: Path<String>,
        body: Json<SetSso>,
    ) -> Answer<Json<Sso>> {
        let id = path_id(&org_id.0, "organisation")?;
        let Json(body) = body;
        let group =
            |rule: GroupRole| identity::GroupRole { group: rule.group, role: rule.role.into() };
        let input = SsoInput {
            issuer: body.issuer,
            client_id: body.client_id,
            client_secret: body.client_secret,
            scopes: body.scopes,
            groups_claim: body.groups_claim,
            groups: body.groups.unwrap_or_default().into_iter().map(group).collect(),
            default_role: body.default_role.map(Into::into),
        };
        Ok(Json(self.services.set_sso(&person.0, id, input).await?.into()))
    }

    /// Take the issuer away
    ///
    /// For owners. Nobody is signed in through it any more; who belongs to the organisation stays.
    #[oai(path = "/orgs/:org_id/sso", method = "delete", operation_id = "remove_sso")]
    async fn remove_sso(&self, person: Person, org_id: Path<String>) -> Answer<Json<Done>> {
        let id = path_id(&org_id.0, "organisation")?;
        self.services.remove_sso(&person.0, id).await?;
        Ok(Json(Done::new("removed")))
    }
}
