//! Accounts and organisations, for operators.

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
use crate::domain::error::Error;
use crate::domain::ids::UserId;
use crate::domain::organisation;
use crate::services::Services;
use crate::services::accounts::{BroughtPassword, NewProfile};
use crate::services::customers::Owned;
use crate::services::people::{OrgSeen, UserAct};

/// The calls about people.
pub struct People {
    /// The operations.
    pub services: Arc<Services>,
}

/// Who owns an organisation.
#[derive(Object, Serialize)]
pub struct Owner {
    /// The person.
    user_id: Uuid,
    /// Their address.
    email: String,
    /// Their name.
    full_name: String,
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
    /// Whose it is; left out once it was erased.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Owner>,
    /// Whether people act for it only with an account that has a second factor.
    require_second_factor: bool,
    /// Once it is to be deleted: until when that can be taken back.
    deletion_due_at: Option<Time>,
    /// When it was erased; then no more is kept of it than this, its payments and its invoices.
    erased_at: Option<Time>,
    /// When it was made.
    created_at: Time,
}

impl From<Owned<organisation::Organisation>> for Org {
    fn from((org, owner): Owned<organisation::Organisation>) -> Self {
        let owner = owner.map(|owner| Owner {
            user_id: owner.user_id.0,
            email: owner.email,
            full_name: owner.full_name,
        });
        Self {
            org_id: org.org_id.0,
            name: org.name,
            personal: org.personal,
            owner,
            require_second_factor: org.require_second_factor,
            deletion_due_at: org.deletion.map(|deletion| deletion.due_at.into()),
            erased_at: None,
            created_at: org.created_at.into(),
        }
    }
}

impl From<OrgSeen> for Org {
    fn from(seen: OrgSeen) -> Self {
        match seen {
            OrgSeen::There(org, owner) => (org, owner).into(),
            OrgSeen::Erased(org) => Self {
                org_id: org.org_id.0,
                name: org.name,
                personal: false,
                owner: None,
                require_second_factor: false,
                deletion_due_at: None,
                erased_at: Some(org.erased_at.into()),
                created_at: org.created_at.into(),
            },
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
    /// What another system keeps of the password: a hash of bcrypt or argon2, or as Django writes it. It
    /// gives way to a hash of this server's at the first sign-in.
    #[oai(validator(max_length = 512))]
    password_hash: Option<String>,
    /// Whether that system has verified the address; goes with `password_hash` alone. Without it a link is
    /// mailed.
    email_verified: Option<bool>,
}

/// Whether a person runs this appliance.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct OperatorRights {
    /// From now on.
    operator: bool,
}

/// Where a person reads mail.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct NewAddress {
    /// The address from now on.
    #[oai(validator(max_length = 254))]
    email: String,
}

list! {
    /// A page of accounts.
    UserList of User;
    /// A page of organisations.
    OrgList of Org;
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
    /// For a customer who has not registered. A link to choose a password with is mailed to the address,
    /// unless the hash of one is given; licences can be issued at once.
    #[oai(path = "/users", method = "post", operation_id = "admin_create_user")]
    async fn admin_create_user(
        &self,
        person: Person,
        body: Json<NewUser>,
    ) -> Answer<Created<User>> {
        let NewUser { email, full_name, company_name, password_hash, email_verified } = body.0;
        let profile = NewProfile { email, full_name, company_name };
        if password_hash.is_none() && email_verified.is_some() {
            let text = "goes with password_hash: whoever chooses a password by the mailed link has read it";
            return Err(Error::invalid("email_verified", text).into());
        }
        let email_verified = email_verified.unwrap_or(false);
        let brought = password_hash.map(|hash| BroughtPassword { hash, email_verified });
        Ok(Created(self.services.create_account(&person.0, profile, brought).await?.into()))
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
    /// their organisation. Not an operator's with an API key. 409 `last_operator` when nobody could run this
    /// appliance afterwards.
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

    /// End every sign-in of a person
    ///
    /// Who it is has to sign in anew, whoever had taken a sign-in over as well. API keys stay. Not an operator's
    /// with an API key.
    #[oai(path = "/users/:user_id/sign-out", method = "post", operation_id = "admin_sign_out_user")]
    async fn admin_sign_out_user(
        &self,
        person: Person,
        user_id: Path<String>,
    ) -> Answer<Json<User>> {
        self.act(&person, &user_id.0, UserAct::SignOut).await
    }

    /// Let a person run this appliance, or no longer
    ///
    /// Whoever becomes one signs in anew: sign-ins and API keys from before end. Not with an API key. 409
    /// `last_operator` when nobody could run it afterwards.
    #[oai(path = "/users/:user_id/operator", method = "put", operation_id = "operator_rights")]
    async fn operator_rights(
        &self,
        person: Person,
        user_id: Path<String>,
        body: Json<OperatorRights>,
    ) -> Answer<Json<User>> {
        self.act(&person, &user_id.0, UserAct::Operator(body.0.operator)).await
    }

    /// Correct a person's address
    ///
    /// For a customer who mistyped theirs. Both addresses are told; the new one is unconfirmed until whoever reads
    /// it chooses a password with the link that is mailed there. The password until now, sign-ins, API keys,
    /// linked accounts, mailed links and invitations to the address until now end; licence keys that were mailed
    /// there stay good. Not for an API key; an operator's is changed on the server's own computer alone. 409
    /// `second_factor_state` where there is a second factor: remove it first. 400 for the address that it has already.
    #[oai(path = "/users/:user_id/email", method = "put", operation_id = "admin_correct_address")]
    async fn admin_correct_address(
        &self,
        person: Person,
        user_id: Path<String>,
        body: Json<NewAddress>,
    ) -> Answer<Json<User>> {
        let id = path_id(&user_id.0, "user")?;
        Ok(Json(self.services.correct_address(&person.0, id, &body.0.email).await?.into()))
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
        /// Those that this person owns; `q` then looks in their names alone.
        owner_id: Query<Option<Uuid>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<OrgList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let (q, owner) = (q.0.unwrap_or_default(), owner_id.0.map(UserId));
        let page = self.services.organisations(&person.0, &q, owner, &request)?;
        Ok(Json(OrgList::of(page, Org::from)))
    }

    /// One organisation
    ///
    /// Also one that was erased: its payments and invoices stay.
    #[oai(path = "/orgs/:org_id", method = "get", operation_id = "admin_get_org")]
    async fn admin_get_org(&self, person: Person, org_id: Path<String>) -> Answer<Json<Org>> {
        let id = path_id(&org_id.0, "organisation")?;
        Ok(Json(self.services.organisation(&person.0, id)?.into()))
    }
}

impl People {
    async fn act(&self, person: &Person, user_id: &str, act: UserAct) -> Answer<Json<User>> {
        let id = path_id(user_id, "user")?;
        Ok(Json(self.services.act_on_user(&person.0, id, act).await?.into()))
    }
}
