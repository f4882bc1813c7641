//! What operators look at: the overview, people, logs, jobs, keys, settings and backups.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use super::auth::{Person, path_id};
use super::backups::Backup;
use super::diagnostics::State;
use super::json::{Created, Json};
use super::wire::{Time, list, page_request};
use super::{Answer, Tag};
use crate::domain::job;
use crate::services::Services;
use crate::services::overview as seen;
use crate::services::subscriptions;

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
    pub(super) uptime_s: u64,
    /// What needs attention, the gravest first; null in the stream of events.
    attention: Option<Vec<Attention>>,
    /// What came in, in the months of the last year that had any, oldest first; null in the stream of events.
    revenue: Option<Vec<Revenue>>,
    /// The newest backup in the data directory.
    last_backup: Option<Backup>,
    /// The disk that the data is on; null where it cannot be read, and in the stream of events.
    disk: Option<DiskSpace>,
}

/// Something that an operator should look at.
#[derive(Object, Serialize)]
pub struct Attention {
    /// What it is, for programs.
    code: String,
    /// How bad it is; never `ok`.
    severity: State,
    /// What it is, for people.
    text: String,
    /// The screen of the admin page that shows it.
    screen: String,
}

/// What came in within a month, in one currency.
#[derive(Object, Serialize)]
pub struct Revenue {
    /// Such as 2026-11.
    month: String,
    /// ISO 4217.
    currency: String,
    /// Minor units.
    amount_cents: u64,
    /// How many payments.
    payments: u64,
}

/// Room on a disk.
#[derive(Object, Serialize)]
pub struct DiskSpace {
    /// Bytes that can be written.
    free_bytes: u64,
    /// Bytes in all.
    total_bytes: u64,
}

impl From<seen::Attention> for Attention {
    fn from(item: seen::Attention) -> Self {
        let severity = item.state.into();
        let (code, screen) = (item.code.to_owned(), item.screen.to_owned());
        Self { code, severity, text: item.text, screen }
    }
}

impl From<subscriptions::Revenue> for Revenue {
    fn from(revenue: subscriptions::Revenue) -> Self {
        Self {
            month: revenue.month,
            currency: revenue.currency,
            amount_cents: revenue.amount_cents,
            payments: revenue.payments,
        }
    }
}

impl Overview {
    /// Takes out what changes all the time, and tells it.
    pub(super) fn without_uptime(&mut self) -> u64 {
        std::mem::take(&mut self.uptime_s)
    }

    /// With what costs more to look at.
    fn with(mut self, outlook: seen::Outlook) -> Self {
        self.attention = Some(outlook.attention.into_iter().map(Attention::from).collect());
        self.revenue = Some(outlook.revenue.into_iter().map(Revenue::from).collect());
        self.last_backup = outlook.last_backup.map(Backup::from);
        self.disk =
            outlook.disk.map(|(free, total)| DiskSpace { free_bytes: free, total_bytes: total });
        self.signing_key.rotation_due_at = outlook.rotation_due_at.map(Time);
        self
    }
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
    /// When it is replaced by itself; null in the stream of events.
    rotation_due_at: Option<Time>,
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
        Self { status, kid, created_at: created_at.map(Time), rotation_due_at: None }
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
            attention: None,
            revenue: None,
            last_backup: None,
            disk: None,
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
    /// A page of jobs.
    JobList of Job;
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Operator")]
impl Operator {
    /// Everything at a glance
    #[oai(path = "/overview", method = "get", operation_id = "overview")]
    async fn overview(&self, person: Person) -> Answer<Json<Overview>> {
        let seen = self.services.overview(&person.0)?;
        let outlook = self.services.outlook(&person.0, &seen)?;
        Ok(Json(Overview::from(seen).with(outlook)))
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
