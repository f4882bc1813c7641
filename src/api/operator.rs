//! What operators look at: the overview, people, logs, jobs, keys, settings and backups.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use super::accounts::User;
use super::auth::{Person, path_id};
use super::json::{Created, Json};
use super::wire::{Time, list, page_request};
use super::{Answer, Tag};
use crate::domain::audit::{AuditEntry, By};
use crate::domain::{job, mail, organisation};
use crate::services::Services;
use crate::services::overview as seen;

/// The calls of operators.
pub struct Operator {
    /// The operations.
    pub services: Arc<Services>,
}

/// Everything at a glance.
#[derive(Object, Serialize)]
pub struct Overview {
    /// Seats over all licences.
    seats: SeatTotals,
    /// How many licences have which status.
    licenses: BTreeMap<String, u64>,
    /// How many subscriptions have which status.
    subscriptions: BTreeMap<String, u64>,
    /// Accounts.
    users: u64,
    /// Organisations.
    orgs: u64,
    /// The queue.
    jobs: JobCounts,
    /// How many messages have which status.
    mails: BTreeMap<String, u64>,
    /// Whether writes can be made durable.
    storage: Storage,
    /// The key that licences are signed with.
    signing_key: SigningKey,
    /// The program's version.
    version: String,
    /// Seconds since the start.
    uptime_s: u64,
}

/// Seats over all licences.
#[derive(Object, Serialize)]
pub struct SeatTotals {
    /// Held now.
    live: u64,
    /// The most held at once since the start.
    peak: u64,
    /// Refused since the start because every seat was held.
    denials: u64,
    /// Licences with at least one seat held, or used lately.
    licenses_in_use: u64,
}

/// The queue.
#[derive(Object, Serialize)]
pub struct JobCounts {
    /// Waiting for their time.
    waiting: u64,
    /// Failed too often.
    parked: u64,
}

/// Whether writes can be made durable.
#[derive(Object, Serialize)]
pub struct Storage {
    /// `writable` or `read_only`.
    status: String,
    /// Why not.
    reason: Option<String>,
}

/// The key that licences are signed with.
#[derive(Object, Serialize)]
pub struct SigningKey {
    /// `ready` or `generating`.
    status: String,
    /// Names it in signed documents.
    kid: Option<String>,
    /// Since when it signs.
    created_at: Option<Time>,
}

impl Storage {
    pub(super) fn of(reason: Option<String>) -> Self {
        let status = if reason.is_none() { "writable" } else { "read_only" };
        Self { status: status.to_owned(), reason }
    }

    pub(super) fn is_writable(&self) -> bool {
        self.reason.is_none()
    }
}

impl SigningKey {
    fn of(key: Option<(String, crate::domain::time::Timestamp)>) -> Self {
        let status = if key.is_some() { "ready" } else { "generating" }.to_owned();
        let (kid, created_at) = key.unzip();
        Self { status, kid, created_at: created_at.map(Time) }
    }
}

impl From<seen::Overview> for Overview {
    fn from(overview: seen::Overview) -> Self {
        Self {
            seats: SeatTotals {
                live: overview.seats.seats as u64,
                peak: overview.seats.peak_seats as u64,
                denials: overview.seats.denied,
                licenses_in_use: overview.seats.pools as u64,
            },
            licenses: overview
                .licenses
                .iter()
                .map(|(status, n)| (status.as_str().to_owned(), *n))
                .collect(),
            subscriptions: overview
                .subscriptions
                .iter()
                .map(|(status, n)| (status.as_str().to_owned(), *n))
                .collect(),
            users: overview.users,
            orgs: overview.orgs,
            jobs: JobCounts { waiting: overview.jobs_waiting, parked: overview.jobs_parked },
            mails: overview
                .mails
                .iter()
                .map(|(status, n)| (status.as_str().to_owned(), *n))
                .collect(),
            storage: Storage::of(overview.storage_trouble),
            signing_key: SigningKey::of(overview.signing_key),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: overview.uptime_s,
        }
    }
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
    /// When it was made.
    created_at: Time,
}

impl From<organisation::Organisation> for Org {
    fn from(org: organisation::Organisation) -> Self {
        Self {
            org_id: org.org_id.0,
            name: org.name,
            personal: org.personal,
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

impl From<AuditEntry> for Audit {
    fn from(entry: AuditEntry) -> Self {
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
            org_id: entry.org_id.map(|id| id.0),
            action: entry.action,
            subject: entry.subject,
            details: entry.details,
            request_id: entry.request_id,
        }
    }
}

/// A message of the e-mail log.
#[derive(Object, Serialize)]
pub struct Email {
    /// Identifies the message.
    mail_id: Uuid,
    /// The recipient.
    to: String,
    /// Which message.
    message: String,
    /// `waiting`, `sent` or `parked`.
    status: String,
    /// What caused it.
    cause: String,
    /// Attempts made.
    attempts: u32,
    /// What the last attempt met.
    last_error: Option<String>,
    /// When it was queued.
    created_at: Time,
    /// When a transport took it.
    sent_at: Option<Time>,
}

impl From<mail::MailRecord> for Email {
    fn from(mail: mail::MailRecord) -> Self {
        Self {
            mail_id: mail.mail_id.0,
            to: mail.to,
            message: mail.message,
            status: mail.status.as_str().to_owned(),
            cause: mail.cause,
            attempts: mail.attempts,
            last_error: mail.last_error,
            created_at: mail.created_at.into(),
            sent_at: mail.sent_at.map(Time),
        }
    }
}

/// A job.
#[derive(Object, Serialize)]
pub struct Job {
    /// Identifies the job.
    job_id: Uuid,
    /// What is to be done.
    kind: String,
    /// When, at the earliest.
    due: Time,
    /// Failed attempts.
    attempts: u32,
    /// What the last attempt met.
    last_error: Option<String>,
    /// When it was queued.
    created_at: Time,
}

impl From<job::Job> for Job {
    fn from(job: job::Job) -> Self {
        Self {
            job_id: job.job_id.0,
            kind: job.work.kind().to_owned(),
            due: job.due.into(),
            attempts: job.attempts,
            last_error: job.last_error,
            created_at: job.created_at.into(),
        }
    }
}

/// A setting with its value and where that comes from.
#[derive(Object, Serialize)]
pub struct Setting {
    /// Its name in the file.
    key: String,
    /// Its name in the environment.
    env: String,
    /// What it does.
    doc: String,
    /// What it is unless set.
    default: Option<String>,
    /// What it is; secrets are not shown.
    value: Option<String>,
    /// Where the value comes from.
    source: String,
}

/// Every setting.
#[derive(Object, Serialize)]
pub struct Settings {
    /// In the order of the file.
    items: Vec<Setting>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// A link that makes the first operator.
#[derive(Object, Serialize)]
pub struct SetupLink {
    /// Works once and not for long.
    url: String,
}

list! {
    /// A page of accounts.
    UserList of User;
    /// A page of organisations.
    OrgList of Org;
    /// A page of the audit log.
    AuditList of Audit;
    /// A page of the e-mail log.
    EmailList of Email;
    /// A page of jobs.
    JobList of Job;
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Operator")]
impl Operator {
    /// Everything at a glance
    #[oai(path = "/overview", method = "get", operation_id = "overview")]
    async fn overview(&self, person: Person) -> Answer<Json<Overview>> {
        Ok(Json(self.services.overview(&person.0)?.into()))
    }

    /// All accounts
    #[oai(path = "/users", method = "get", operation_id = "admin_list_users")]
    async fn admin_list_users(
        &self,
        person: Person,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<UserList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        Ok(Json(UserList::of(self.services.users(&person.0, &request)?, User::from)))
    }

    /// All organisations
    #[oai(path = "/orgs", method = "get", operation_id = "admin_list_orgs")]
    async fn admin_list_orgs(
        &self,
        person: Person,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<OrgList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        Ok(Json(OrgList::of(self.services.organisations(&person.0, &request)?, Org::from)))
    }

    /// The audit log, newest first
    #[oai(path = "/audit", method = "get", operation_id = "admin_list_audit")]
    async fn admin_list_audit(
        &self,
        person: Person,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<AuditList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        Ok(Json(AuditList::of(self.services.audit(&person.0, &request)?, Audit::from)))
    }

    /// The e-mail log, newest first
    #[oai(path = "/emails", method = "get", operation_id = "admin_list_emails")]
    async fn admin_list_emails(
        &self,
        person: Person,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<EmailList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        Ok(Json(EmailList::of(self.services.mails(&person.0, &request)?, Email::from)))
    }

    /// Jobs: the waiting ones, or the parked
    #[oai(path = "/jobs", method = "get", operation_id = "admin_list_jobs")]
    async fn admin_list_jobs(
        &self,
        person: Person,
        parked: Query<Option<bool>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<JobList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = self.services.jobs(&person.0, parked.0.unwrap_or(false), &request)?;
        Ok(Json(JobList::of(page, Job::from)))
    }

    /// Try a parked job again
    #[oai(path = "/jobs/:job_id/retry", method = "post", operation_id = "retry_job")]
    async fn retry_job(&self, person: Person, job_id: Path<String>) -> Answer<Json<Job>> {
        let id = path_id(&job_id.0, "job")?;
        Ok(Json(self.services.retry_job(&person.0, id).await?.into()))
    }

    /// Sign with a new key from now on
    ///
    /// The old public key stays published, so what it signed stays valid.
    #[oai(path = "/keys/rotate", method = "post", operation_id = "rotate_key")]
    async fn rotate_key(&self, person: Person) -> Answer<Created<SigningKey>> {
        let record = self.services.rotate_license_key(&person.0).await?;
        Ok(Created(SigningKey::of(Some((record.kid, record.created_at)))))
    }

    /// Every setting with its source
    #[oai(path = "/settings", method = "get", operation_id = "admin_list_settings")]
    async fn admin_list_settings(&self, person: Person) -> Answer<Json<Settings>> {
        let items = self.services.settings(&person.0)?.into_iter().map(|setting| Setting {
            key: setting.key.to_owned(),
            env: setting.env,
            doc: setting.doc,
            default: setting.default,
            value: setting.value,
            source: setting.source,
        });
        Ok(Json(Settings { items: items.collect(), next_cursor: None }))
    }

    /// A fresh link that makes the first operator
    ///
    /// For whoever administers the computer, over the local socket, alone.
    #[oai(path = "/setup-link", method = "post", operation_id = "create_setup_link")]
    async fn create_setup_link(&self, person: Person) -> Answer<Created<SetupLink>> {
        person.0.require_local()?;
        Ok(Created(SetupLink { url: self.services.setup_link().await? }))
    }
}
