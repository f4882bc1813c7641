//! Accounts and organisations, and what was done by whom; for operators.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::accounts::User;
use super::auth::{Person, path_id};
use super::json::{Created, Json};
use super::wire::{Time, list, page_request};
use super::{Answer, Tag};
use crate::domain::audit::{AuditEntry, By};
use crate::domain::organisation;
use crate::services::Services;
use crate::services::accounts::NewProfile;
use crate::services::people::UserAct;

/// The calls about people.
pub struct People {
    /// The operations.
    pub services: Arc<Services>,
}

/// An organisation.
#[derive(Object, Serialize)]
pub struct Org {
    /// Identifies the organisation.
    org_id: Uuid,
    /// What people call it.
    name: String,
    /// Whether it was made for one person.
    personal: bool,
    /// Whether people act for it only with an account that has a second factor.
    require_second_factor: bool,
    /// When it was made.
    created_at: Time,
}

impl From<organisation::Organisation> for Org {
    fn from(org: organisation::Organisation) -> Self {
        Self {
            org_id: org.org_id.0,
            name: org.name,
            personal: org.personal,
            require_second_factor: org.require_second_factor,
            created_at: org.created_at.into(),
        }
    }
}

/// An entry of the audit log.
#[derive(Object, Serialize)]
pub struct Audit {
    /// Identifies the entry.
    audit_id: Uuid,
    /// When.
    at: Time,
    /// `user`, `local` (whoever administers the computer), `anonymous` or `system`.
    actor: String,
    /// Which user.
    user_id: Option<Uuid>,
    /// With which API key.
    api_key_id: Option<Uuid>,
    /// Their address.
    actor_email: Option<String>,
    /// Whose record.
    org_id: Option<Uuid>,
    /// What was done, as `noun.verb`.
    action: String,
    /// To which record.
    subject: String,
    /// What changed.
    details: BTreeMap<String, String>,
    /// By which request.
    request_id: Option<String>,
}

impl From<(AuditEntry, Option<String>)> for Audit {
    fn from((entry, actor_email): (AuditEntry, Option<String>)) -> Self {
        let (actor, user_id) = match entry.by {
            By::User(user_id) => ("user", Some(user_id.0)),
            By::Local => ("local", None),
            By::Anonymous => ("anonymous", None),
            By::System => ("system", None),
        };
        Self {
            audit_id: entry.audit_id.0,
            at: entry.at.into(),
            actor: actor.to_owned(),
            user_id,
            api_key_id: entry.api_key_id.map(|id| id.0),
            actor_email,
            org_id: entry.org_id.map(|id| id.0),
            action: entry.action,
            subject: entry.subject,
            details: entry.details,
            request_id: entry.request_id,
        }
    }
}

/// Somebody who is to get an account.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Receives the link to choose a password with.
    #[oai(validator(max_length = 254))]
    email: String,
    /// 1 to 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    full_name: String,
    /// At most 200 characters.
    #[oai(validator(max_length = 200))]
    company_name: Option<String>,
}

/// Whether a person runs this appliance.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct OperatorRights {
    /// From now on.
    operator: bool,
}

list! {
    /// A page of accounts.
    UserList of User;
    /// A page of organisations.
    OrgList of Org;
    /// A page of the audit log.
    AuditList of Audit;
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Operator")]
impl People {
    /// All accounts
    ///
    /// `q` looks for words in address, name and company: each has to be the beginning of something.
    #[oai(path = "/users", method = "get", operation_id = "admin_list_users")]
    async fn admin_list_users(
        &self,
        person: Person,
        /// Words to look for.
        q: Query<Option<String>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<UserList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = self.services.users(&person.0, &q.0.unwrap_or_default(), &request)?;
        Ok(Json(UserList::of(page, User::from)))
    }

    /// Make an account
    ///
    /// For a customer who has not registered. A link to choose a password with is mailed to the address;
    /// licences can be issued at once.
    #[oai(path = "/users", method = "post", operation_id = "admin_create_user")]
    async fn admin_create_user(
        &self,
        person: Person,
        body: Json<NewUser>,
    ) -> Answer<Created<User>> {
        let NewUser { email, full_name, company_name } = body.0;
        let profile = NewProfile { email, full_name, company_name };
        Ok(Created(self.services.create_account(&person.0, profile).await?.into()))
    }

    /// One account
    #[oai(path = "/users/:user_id", method = "get", operation_id = "admin_get_user")]
    async fn admin_get_user(&self, person: Person, user_id: Path<String>) -> Answer<Json<User>> {
        let id = path_id(&user_id.0, "user")?;
        Ok(Json(self.services.user(&person.0, id)?.into()))
    }

    /// Close an account
    ///
    /// No sign-in works any more, and whoever was an operator is none any more. Licences live on with
    /// their organisation. 409 `last_operator` when nobody could run this appliance afterwards.
    #[oai(
        path = "/users/:user_id/deactivate",
        method = "post",
        operation_id = "admin_deactivate_user"
    )]
    async fn admin_deactivate_user(
        &self,
        person: Person,
        user_id: Path<String>,
    ) -> Answer<Json<User>> {
        self.act(&person, &user_id.0, UserAct::Deactivate).await
    }

    /// Open a closed account again
    ///
    /// As an ordinary account: an operator's rights end when it is closed.
    #[oai(
        path = "/users/:user_id/reactivate",
        method = "post",
        operation_id = "admin_reactivate_user"
    )]
    async fn admin_reactivate_user(
        &self,
        person: Person,
        user_id: Path<String>,
    ) -> Answer<Json<User>> {
        self.act(&person, &user_id.0, UserAct::Reactivate).await
    }

    /// Let a person run this appliance, or no longer
    ///
    /// An API key makes no operators. 409 `last_operator` when nobody could run it afterwards.
    #[oai(path = "/users/:user_id/operator", method = "put", operation_id = "operator_rights")]
    async fn operator_rights(
        &self,
        person: Person,
        user_id: Path<String>,
        body: Json<OperatorRights>,
    ) -> Answer<Json<User>> {
        self.act(&person, &user_id.0, UserAct::Operator(body.0.operator)).await
    }

    /// All organisations
    ///
    /// `q` looks for words in the name and in those of the people it was made for.
    #[oai(path = "/orgs", method = "get", operation_id = "admin_list_orgs")]
    async fn admin_list_orgs(
        &self,
        person: Person,
        /// Words to look for.
        q: Query<Option<String>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<OrgList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = self.services.organisations(&person.0, &q.0.unwrap_or_default(), &request)?;
        Ok(Json(OrgList::of(page, Org::from)))
    }

    /// The audit log, newest first
    #[oai(path = "/audit", method = "get", operation_id = "admin_list_audit")]
    async fn admin_list_audit(
        &self,
        person: Person,
        /// What was done to the record with this id alone.
        subject: Query<Option<String>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<AuditList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = self.services.audit(&person.0, subject.0.as_deref(), &request)?;
        Ok(Json(AuditList::of(page, Audit::from)))
    }
}

impl People {
    async fn act(&self, person: &Person, user_id: &str, act: UserAct) -> Answer<Json<User>> {
        let id = path_id(user_id, "user")?;
        Ok(Json(self.services.act_on_user(&person.0, id, act).await?.into()))
    }
}
