//! Licences as people see them.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::PlainText;
use poem_openapi::{Enum, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::json::{Accepted, Created, Json, OptionalJson};
use super::plans::{Features, features, features_in};
use super::seats::{SessionList, session_cursor};
use super::wire::{Customer, Done, Time, list, page_request, unique_names};
use super::{Answer, Tag};
use crate::domain::error::Result;
use crate::domain::ids::{LicenseId, OrgId, PlanId};
use crate::domain::license;
use crate::domain::page::PageRequest;
use crate::services::customers::Owned;
use crate::services::licenses::{IssueInput, LicenseAct, LicenseFilter};
use crate::services::{Actor, Services};

/// The calls about licences, for people and operators.
pub struct Licenses {
    /// The operations.
    pub services: Arc<Services>,
}

/// Where a licence stands.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum LicenseStatus {
    /// Waits for its first payment.
    Inactive,
    /// Works.
    Active,
    /// Works until `grace_period_ends_at`.
    Grace,
    /// Does not work until paid or reinstated.
    Suspended,
    /// Has run out.
    Expired,
    /// Taken back for good.
    Revoked,
}

impl From<license::LicenseStatus> for LicenseStatus {
    fn from(status: license::LicenseStatus) -> Self {
        use license::LicenseStatus as Status;
        match status {
            Status::Inactive => Self::Inactive,
            Status::Active => Self::Active,
            Status::Grace => Self::Grace,
            Status::Suspended => Self::Suspended,
            Status::Expired => Self::Expired,
            Status::Revoked => Self::Revoked,
        }
    }
}

impl From<LicenseStatus> for license::LicenseStatus {
    fn from(status: LicenseStatus) -> Self {
        match status {
            LicenseStatus::Inactive => Self::Inactive,
            LicenseStatus::Active => Self::Active,
            LicenseStatus::Grace => Self::Grace,
            LicenseStatus::Suspended => Self::Suspended,
            LicenseStatus::Expired => Self::Expired,
            LicenseStatus::Revoked => Self::Revoked,
        }
    }
}

/// What suspends a licence.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum SuspendedBy {
    /// An operator, who may reinstate it.
    Operator,
    /// Want of a payment, which recording one lifts.
    Payment,
}

impl From<license::SuspendedBy> for SuspendedBy {
    fn from(by: license::SuspendedBy) -> Self {
        match by {
            license::SuspendedBy::Operator => Self::Operator,
            license::SuspendedBy::Payment => Self::Payment,
        }
    }
}

/// A licence.
#[derive(Object, Serialize)]
pub struct License {
    /// Identifies the licence.
    pub license_id: Uuid,
    /// Whose it is.
    pub org_id: Uuid,
    /// Who receives its mail.
    pub user_id: Uuid,
    /// The credential of its applications.
    pub license_key: String,
    /// What pays for it.
    pub subscription_id: Option<Uuid>,
    /// The plan it came from.
    pub plan_id: Option<Uuid>,
    /// The plan's name when it was issued.
    pub plan_name: String,
    /// Where it stands.
    pub status: LicenseStatus,
    /// While it is suspended: by what.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_by: Option<SuspendedBy>,
    /// What it grants besides seats.
    pub features: Features,
    /// Seats that may be held at once.
    pub max_concurrent_seats: u32,
    /// Seats held now.
    pub seats_used: u32,
    /// Machines that may be activated; null: no limit.
    pub max_activations: Option<u32>,
    /// When it was issued.
    pub issued_at: Time,
    /// Until when it is active; null: without end.
    pub expiry_date: Option<Time>,
    /// Until when it works, while in grace.
    pub grace_period_ends_at: Option<Time>,
    /// When it last changed.
    pub updated_at: Time,
    /// Whose it is; for operators alone.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<Customer>,
}

impl License {
    /// A licence as operators see it.
    pub fn owned(services: &Services, (license, customer): Owned<license::License>) -> Self {
        Self { customer: customer.map(Customer::from), ..Self::of(services, license) }
    }

    /// A licence as this person sees it.
    pub fn seen_by(services: &Services, actor: &Actor, license: license::License) -> Result<Self> {
        let customer = services.customer_of(actor, &license)?;
        Ok(Self::owned(services, (license, customer)))
    }

    /// A licence with its status and seats of now.
    pub fn of(services: &Services, license: license::License) -> Self {
        let now = services.clock.now();
        Self {
            license_id: license.license_id.0,
            org_id: license.org_id.0,
            user_id: license.user_id.0,
            subscription_id: license.subscription_id.map(|id| id.0),
            plan_id: license.plan_id.map(|id| id.0),
            status: license.status_at(now.wall).into(),
            seats_used: services.seats_used(license.license_id),
            grace_period_ends_at: license.grace_period_ends_at(now.wall).map(Time),
            suspended_by: license.suspended_by(now.wall).map(Into::into),
            license_key: license.license_key,
            plan_name: license.plan_name,
            features: features(license.features),
            max_concurrent_seats: license.max_concurrent_seats,
            max_activations: license.max_activations,
            issued_at: license.issued_at.into(),
            expiry_date: license.expiry_date.map(Time),
            updated_at: license.updated_at.into(),
            customer: None,
        }
    }
}

/// A machine bound to a licence.
#[derive(Object, Serialize)]
pub struct Activation {
    /// Identifies the activation.
    activation_id: Uuid,
    /// The licence.
    license_id: Uuid,
    /// The machine.
    hardware_id: String,
    /// For people.
    machine_name: Option<String>,
    /// For people.
    platform: Option<String>,
    /// The application's own notes.
    metadata: std::collections::BTreeMap<String, String>,
    /// When it was bound.
    activated_at: Time,
    /// When it was last activated again.
    last_seen_at: Time,
}

impl From<license::Activation> for Activation {
    fn from(activation: license::Activation) -> Self {
        Self {
            activation_id: activation.activation_id.0,
            license_id: activation.license_id.0,
            hardware_id: activation.hardware_id,
            machine_name: activation.machine_name,
            platform: activation.platform,
            metadata: activation.metadata,
            activated_at: activation.activated_at.into(),
            last_seen_at: activation.last_seen_at.into(),
        }
    }
}

list! {
    /// A page of licences.
    LicenseList of License;
    /// A page of activations.
    ActivationList of Activation;
}

/// A licence to issue: for `org_id`, or for the person with this `email`.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// The organisation that gets it ...
    org_id: Option<Uuid>,
    /// ... or the person whose personal organisation does.
    #[oai(validator(max_length = 254))]
    email: Option<String>,
    /// What it starts from; without one, `max_concurrent_seats` is needed.
    plan_id: Option<Uuid>,
    /// 1 to 1000000; left out: the plan's.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    max_concurrent_seats: Option<u32>,
    /// Left out: the plan's.
    #[oai(validator(minimum(value = "1")))]
    max_activations: Option<u32>,
    /// Until when; left out: without end.
    expiry_date: Option<Time>,
    /// Left out: the plan's.
    #[oai(validator(max_properties = 64))]
    #[serde(default, deserialize_with = "unique_names")]
    features: Option<Features>,
}

/// Why a licence is suspended.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// Told to its owner; at most 500 characters.
    #[oai(validator(max_length = 500))]
    reason: Option<String>,
}

/// A new end.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    /// Until when; null: without end.
    expiry_date: Option<Time>,
}

/// A new size.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// 1 to 1000000. Below what is in use, holders finish and nobody is admitted until there is room.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    max_concurrent_seats: u32,
}

#[OpenApi(prefix_path = "/api/v1")]
impl Licenses {
    /// The organisation's licences
    #[oai(
        path = "/licenses",
        method = "get",
        operation_id = "list_licenses",
        tag = "Tag::Licenses"
    )]
    async fn list_licenses(
        &self,
        person: Person,
        /// Those of this project alone.
        project_id: Query<Option<String>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<LicenseList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = match &project_id.0 {
            Some(id) => {
                let id = path_id(id, "project")?;
                self.services.licenses_of_project(&person.0, id, &request)?
            }
            None => self.services.licenses(&person.0, &request)?,
        };
        Ok(Json(LicenseList::of(page, |license| License::of(&self.services, license))))
    }

    /// One licence
    #[oai(
        path = "/licenses/:license_id",
        method = "get",
        operation_id = "get_license",
        tag = "Tag::Licenses"
    )]
    async fn get_license(&self, person: Person, license_id: Path<String>) -> Answer<Json<License>> {
        let id = path_id(&license_id.0, "license")?;
        let license = self.services.license(&person.0, id)?;
        Ok(Json(License::seen_by(&self.services, &person.0, license)?))
    }

    /// The signed licence file
    ///
    /// For machines without a network: an armoured text around the signed licence.
    #[oai(
        path = "/licenses/:license_id/file",
        method = "get",
        operation_id = "get_license_file",
        tag = "Tag::Licenses"
    )]
    async fn get_license_file(
        &self,
        person: Person,
        license_id: Path<String>,
    ) -> Answer<PlainText<String>> {
        let id = path_id(&license_id.0, "license")?;
        Ok(PlainText(self.services.license_file(&person.0, id).await?))
    }

    /// Who holds the seats
    #[oai(
        path = "/licenses/:license_id/sessions",
        method = "get",
        operation_id = "list_license_sessions",
        tag = "Tag::Licenses"
    )]
    async fn list_license_sessions(
        &self,
        person: Person,
        license_id: Path<String>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<SessionList>> {
        let id = path_id(&license_id.0, "license")?;
        let limit = PageRequest::new(limit.0, None)?.limit;
        let after = session_cursor(cursor.0.as_deref())?;
        Ok(Json(self.services.sessions(&person.0, id, after, limit)?.into()))
    }

    /// Take a seat back
    #[oai(
        path = "/licenses/:license_id/sessions/:session_id",
        method = "delete",
        operation_id = "evict_session",
        tag = "Tag::Licenses"
    )]
    async fn evict_session(
        &self,
        person: Person,
        license_id: Path<String>,
        session_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let id = path_id(&license_id.0, "license")?;
        let session_id = path_id(&session_id.0, "session")?;
        self.services.evict(&person.0, id, session_id).await?;
        Ok(Json(Done::new("released")))
    }

    /// The machines bound to a licence
    #[oai(
        path = "/licenses/:license_id/activations",
        method = "get",
        operation_id = "list_activations",
        tag = "Tag::Licenses"
    )]
    async fn list_activations(
        &self,
        person: Person,
        license_id: Path<String>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<ActivationList>> {
        let id = path_id(&license_id.0, "license")?;
        let request = page_request(limit.0, cursor.0.as_deref())?;
        Ok(Json(ActivationList::of(
            self.services.activations(&person.0, id, &request)?,
            Activation::from,
        )))
    }

    /// Unbind a machine
    #[oai(
        path = "/licenses/:license_id/activations/:activation_id",
        method = "delete",
        operation_id = "delete_activation",
        tag = "Tag::Licenses"
    )]
    async fn delete_activation(
        &self,
        person: Person,
        license_id: Path<String>,
        activation_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let id = path_id(&license_id.0, "license")?;
        let activation_id = path_id(&activation_id.0, "activation")?;
        self.services.deactivate(&person.0, id, activation_id).await?;
        Ok(Json(Done::new("deactivated")))
    }

    /// All licences
    ///
    /// `q` looks for words: each has to be the beginning of something in the key, in the name or address
    /// of its owner, or in a machine's hardware id. Newest first; of very common words no more
    /// than 10,000 matches are looked at.
    #[oai(
        path = "/admin/licenses",
        method = "get",
        operation_id = "admin_list_licenses",
        tag = "Tag::Operator"
    )]
    async fn admin_list_licenses(
        &self,
        person: Person,
        /// Words to look for.
        q: Query<Option<String>>,
        /// Of this status alone.
        status: Query<Option<LicenseStatus>>,
        /// Of this organisation alone.
        org_id: Query<Option<Uuid>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<LicenseList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let filter = LicenseFilter {
            q: q.0.unwrap_or_default(),
            status: status.0.map(Into::into),
            org_id: org_id.0.map(OrgId),
        };
        let page = self.services.all_licenses(&person.0, &filter, &request)?;
        Ok(Json(LicenseList::of(page, |found| License::owned(&self.services, found))))
    }

    /// Mail a licence again
    ///
    /// Its key and its file, to its owner.
    #[oai(
        path = "/admin/licenses/:license_id/resend",
        method = "post",
        operation_id = "resend_license",
        tag = "Tag::Operator"
    )]
    async fn resend_license(
        &self,
        person: Person,
        license_id: Path<String>,
    ) -> Answer<Accepted<Done>> {
        let id = path_id(&license_id.0, "license")?;
        self.services.resend_license(&person.0, id).await?;
        Ok(Accepted(Done::new("queued")))
    }

    /// Issue a licence
    #[oai(
        path = "/admin/licenses",
        method = "post",
        operation_id = "issue_license",
        tag = "Tag::Operator"
    )]
    async fn issue_license(&self, person: Person, body: Json<Issue>) -> Answer<Created<License>> {
        let Json(body) = body;
        let input = IssueInput {
            org_id: body.org_id.map(OrgId),
            email: body.email,
            plan_id: body.plan_id.map(PlanId),
            max_concurrent_seats: body.max_concurrent_seats,
            max_activations: body.max_activations,
            expiry_date: body.expiry_date.map(|time| time.0),
            features: body.features.map(features_in),
        };
        let license = self.services.issue_license(&person.0, input).await?;
        Ok(Created(License::seen_by(&self.services, &person.0, license)?))
    }

    /// Suspend a licence
    ///
    /// Holders of seats are told at their next heartbeat. No payment lifts it.
    #[oai(
        path = "/admin/licenses/:license_id/suspend",
        method = "post",
        operation_id = "suspend_license",
        tag = "Tag::Operator"
    )]
    async fn suspend_license(
        &self,
        person: Person,
        license_id: Path<String>,
        body: OptionalJson<Suspend>,
    ) -> Answer<Json<License>> {
        let reason = body.0.reason.unwrap_or_default();
        self.act(&person, &license_id.0, LicenseAct::Suspend(reason)).await
    }

    /// Lift a suspension
    #[oai(
        path = "/admin/licenses/:license_id/reinstate",
        method = "post",
        operation_id = "reinstate_license",
        tag = "Tag::Operator"
    )]
    async fn reinstate_license(
        &self,
        person: Person,
        license_id: Path<String>,
    ) -> Answer<Json<License>> {
        self.act(&person, &license_id.0, LicenseAct::Reinstate).await
    }

    /// Revoke a licence for good
    #[oai(
        path = "/admin/licenses/:license_id/revoke",
        method = "post",
        operation_id = "revoke_license",
        tag = "Tag::Operator"
    )]
    async fn revoke_license(
        &self,
        person: Person,
        license_id: Path<String>,
    ) -> Answer<Json<License>> {
        self.act(&person, &license_id.0, LicenseAct::Revoke).await
    }

    /// Move the end of a licence
    ///
    /// For one that no subscription pays for; the others follow their payments.
    #[oai(
        path = "/admin/licenses/:license_id/extend",
        method = "post",
        operation_id = "extend_license",
        tag = "Tag::Operator"
    )]
    async fn extend_license(
        &self,
        person: Person,
        license_id: Path<String>,
        body: Json<Extend>,
    ) -> Answer<Json<License>> {
        let expiry_date = body.0.expiry_date.map(|time| time.0);
        self.act(&person, &license_id.0, LicenseAct::Extend(expiry_date)).await
    }

    /// Change the number of seats
    #[oai(
        path = "/admin/licenses/:license_id/resize",
        method = "post",
        operation_id = "resize_license",
        tag = "Tag::Operator"
    )]
    async fn resize_license(
        &self,
        person: Person,
        license_id: Path<String>,
        body: Json<Resize>,
    ) -> Answer<Json<License>> {
        self.act(&person, &license_id.0, LicenseAct::Resize(body.0.max_concurrent_seats)).await
    }
}

impl Licenses {
    async fn act(
        &self,
        person: &Person,
        license_id: &str,
        act: LicenseAct,
    ) -> Answer<Json<License>> {
        let id: LicenseId = path_id(license_id, "license")?;
        let license = self.services.act_on_license(&person.0, id, act).await?;
        Ok(Json(License::seen_by(&self.services, &person.0, license)?))
    }
}
