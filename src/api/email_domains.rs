//! Domains of organisations, by which people join.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::{Created, Json};
use super::wire::{Done, Time};
use super::{Answer, Problem, Tag};
use crate::domain::email_domain::{self, Domain};
use crate::domain::error::Error;
use crate::domain::ids::OrgId;
use crate::domain::organisation::Role;
use crate::services::Services;

/// The calls about domains.
pub struct EmailDomains {
    /// The operations.
    pub services: Arc<Services>,
}

/// As what people with an address at a domain join.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum AutoJoin {
    /// They do not.
    Off,
    /// As members.
    Member,
    /// For the money alone.
    Billing,
}

/// A domain that an organisation says is its own.
#[derive(Object, Serialize)]
pub struct OrgDomain {
    /// The organisation.
    org_id: Uuid,
    /// The domain; an international one in ASCII.
    domain: String,
    /// The name of the TXT record that proves it.
    record_name: String,
    /// What that record says.
    record_value: String,
    /// Since when it is known to be the organisation's.
    verified_at: Option<Time>,
    /// Whether an operator said so; then nobody looks for the record.
    verified_by_hand: bool,
    /// When the record was last looked for.
    checked_at: Option<Time>,
    /// As what whoever has a verified address there joins.
    auto_join: AutoJoin,
    /// When it was added.
    created_at: Time,
}

impl From<email_domain::OrgDomain> for OrgDomain {
    fn from(domain: email_domain::OrgDomain) -> Self {
        Self {
            org_id: domain.org_id.0,
            record_name: domain.record_name(),
            record_value: domain.record_value(),
            domain: domain.domain.as_str().to_owned(),
            verified_at: domain.verified_at.map(Time),
            verified_by_hand: domain.by_hand,
            checked_at: domain.checked_at.map(Time),
            auto_join: match domain.auto_join {
                None => AutoJoin::Off,
                Some(Role::Billing) => AutoJoin::Billing,
                Some(_) => AutoJoin::Member,
            },
            created_at: domain.created_at.into(),
        }
    }
}

/// An organisation's domains.
#[derive(Object, Serialize)]
pub struct OrgDomains {
    /// In the order of their names.
    items: Vec<OrgDomain>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// A domain to add.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct NewDomain {
    /// Such as `example.com`; none where everybody can have an address.
    #[oai(validator(max_length = 253))]
    domain: String,
}

/// Whether people join by a domain.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ChangeDomain {
    /// `off`, `member` or `billing`.
    auto_join: AutoJoin,
}

#[OpenApi(prefix_path = "/api/v1")]
impl EmailDomains {
    /// Domains by which people join
    #[oai(
        path = "/orgs/:org_id/domains",
        method = "get",
        operation_id = "list_domains",
        tag = "Tag::Organisations"
    )]
    async fn list_domains(&self, person: Person, org_id: Path<String>) -> Answer<Json<OrgDomains>> {
        let found = self.services.domains(&person.0, org(&org_id)?)?;
        let items = found.into_iter().map(OrgDomain::from).collect();
        Ok(Json(OrgDomains { items, next_cursor: None }))
    }

    /// Add a domain
    ///
    /// The answer says which TXT record its owner writes, to prove that it is the organisation's.
    #[oai(
        path = "/orgs/:org_id/domains",
        method = "post",
        operation_id = "add_domain",
        tag = "Tag::Organisations"
    )]
    async fn add_domain(
        &self,
        person: Person,
        org_id: Path<String>,
        body: Json<NewDomain>,
    ) -> Answer<Created<OrgDomain>> {
        let id = org(&org_id)?;
        Ok(Created(self.services.add_domain(&person.0, id, &body.0.domain).await?.into()))
    }

    /// Look whether a domain is proved
    ///
    /// The record is looked for again every week; once it is gone for days, nobody joins by the domain.
    #[oai(
        path = "/orgs/:org_id/domains/:domain/verify",
        method = "post",
        operation_id = "verify_domain",
        tag = "Tag::Organisations"
    )]
    async fn verify_domain(
        &self,
        person: Person,
        org_id: Path<String>,
        domain: Path<String>,
    ) -> Answer<Json<OrgDomain>> {
        let id = org(&org_id)?;
        let domain = self.named(&person, id, &domain)?;
        Ok(Json(self.services.verify_domain(&person.0, id, domain).await?.into()))
    }

    /// Say whether people join by a domain
    ///
    /// Whoever has a verified address there joins when it is verified, or at the next sign-in; nobody who
    /// left or was removed.
    #[oai(
        path = "/orgs/:org_id/domains/:domain",
        method = "patch",
        operation_id = "change_domain",
        tag = "Tag::Organisations"
    )]
    async fn change_domain(
        &self,
        person: Person,
        org_id: Path<String>,
        domain: Path<String>,
        body: Json<ChangeDomain>,
    ) -> Answer<Json<OrgDomain>> {
        let id = org(&org_id)?;
        let domain = self.named(&person, id, &domain)?;
        let role = match body.0.auto_join {
            AutoJoin::Off => None,
            AutoJoin::Member => Some(Role::Member),
            AutoJoin::Billing => Some(Role::Billing),
        };
        Ok(Json(self.services.set_auto_join(&person.0, id, domain, role).await?.into()))
    }

    /// Remove a domain
    ///
    /// Who has joined by it stays.
    #[oai(
        path = "/orgs/:org_id/domains/:domain",
        method = "delete",
        operation_id = "remove_domain",
        tag = "Tag::Organisations"
    )]
    async fn remove_domain(
        &self,
        person: Person,
        org_id: Path<String>,
        domain: Path<String>,
    ) -> Answer<Json<Done>> {
        let id = org(&org_id)?;
        let domain = self.named(&person, id, &domain)?;
        self.services.remove_domain(&person.0, id, domain).await?;
        Ok(Json(Done::new("removed")))
    }

    /// Confirm a domain by hand
    ///
    /// For operators who know that it is the organisation's, where no name server can be asked. Nobody looks
    /// for the record then.
    #[oai(
        path = "/admin/orgs/:org_id/domains/:domain/verify",
        method = "post",
        operation_id = "confirm_domain",
        tag = "Tag::Operator"
    )]
    async fn confirm_domain(
        &self,
        person: Person,
        org_id: Path<String>,
        domain: Path<String>,
    ) -> Answer<Json<OrgDomain>> {
        person.0.require_operator()?;
        let id = org(&org_id)?;
        let domain = self.named(&person, id, &domain)?;
        Ok(Json(self.services.confirm_domain(&person.0, id, domain).await?.into()))
    }
}

fn org(id: &Path<String>) -> Result<OrgId, Problem> {
    path_id(&id.0, "organisation")
}

impl EmailDomains {
    /// What is no domain is one that nobody has added; who may not ask is told that first.
    fn named(&self, person: &Person, id: OrgId, domain: &Path<String>) -> Result<Domain, Problem> {
        Domain::parse(&domain.0).map_err(|_| {
            let unknown = Error::not_found("domain");
            Problem(self.services.org(&person.0, id).map_or_else(|refused| refused, |_| unknown))
        })
    }
}
