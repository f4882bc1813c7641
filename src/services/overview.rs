//! What an operator sees at a glance, and the logs.

use super::{Actor, Services};
use crate::domain::audit::AuditEntry;
use crate::domain::error::Result;
use crate::domain::ids::JobId;
use crate::domain::job::{Job, Work};
use crate::domain::license::LicenseStatus;
use crate::domain::mail::MailStatus;
use crate::domain::page::{Page, PageRequest};
use crate::domain::subscription::SubscriptionStatus;
use crate::domain::time::Timestamp;
use crate::seats::Totals;
use crate::signing::Purpose;
use crate::store::{counts, jobs, logs};

/// Everything at a glance, without a walk over any table.
pub struct Overview {
    /// Seats over all licences.
    pub seats: Totals,
    /// Licences by the status last noted.
    pub licenses: Vec<(LicenseStatus, u64)>,
    /// Subscriptions by status.
    pub subscriptions: Vec<(SubscriptionStatus, u64)>,
    /// Accounts.
    pub users: u64,
    /// Organisations.
    pub orgs: u64,
    /// Jobs that wait for their time.
    pub jobs_waiting: u64,
    /// Jobs that failed too often.
    pub jobs_parked: u64,
    /// Messages by status.
    pub mails: Vec<(MailStatus, u64)>,
    /// Why writes are refused, when they are.
    pub storage_trouble: Option<String>,
    /// The licence signing key and since when, once it is made.
    pub signing_key: Option<(String, Timestamp)>,
    /// Seconds since the start.
    pub uptime_s: u64,
}

impl Services {
    /// Everything at a glance, for operators.
    pub fn overview(&self, actor: &Actor) -> Result<Overview> {
        actor.require_operator()?;
        self.glance()
    }

    /// The same without an actor, for metrics.
    pub fn glance(&self) -> Result<Overview> {
        let now = self.clock.now();
        self.store.read(|tx| {
            let count = |name: &str| counts::get(tx, name);
            Ok(Overview {
                seats: self.desk.totals(),
                licenses: LicenseStatus::ALL
                    .iter()
                    .map(|status| Ok((*status, count(&format!("licenses.{}", status.as_str()))?)))
                    .collect::<Result<_>>()?,
                subscriptions: SubscriptionStatus::ALL
                    .iter()
                    .map(|status| {
                        Ok((*status, count(&format!("subscriptions.{}", status.as_str()))?))
                    })
                    .collect::<Result<_>>()?,
                users: count("users")?,
                orgs: count("orgs")?,
                jobs_waiting: count("jobs.waiting")?,
                jobs_parked: count("jobs.parked")?,
                mails: [MailStatus::Waiting, MailStatus::Sent, MailStatus::Parked]
                    .iter()
                    .map(|status| Ok((*status, count(logs::mail_count(*status))?)))
                    .collect::<Result<_>>()?,
                storage_trouble: self.storage_trouble(),
                signing_key: self
                    .keys
                    .current(Purpose::License)
                    .map(|key| (key.kid().to_owned(), key.record().created_at)),
                uptime_s: now.mono.0.saturating_sub(self.started.mono.0) / 1_000,
            })
        })
    }

    /// The audit log, for operators.
    pub fn audit(&self, actor: &Actor, request: &PageRequest) -> Result<Page<AuditEntry>> {
        actor.require_operator()?;
        self.store.read(|tx| logs::list_audit(tx, request))
    }

    /// Waiting or parked jobs, for operators.
    pub fn jobs(&self, actor: &Actor, parked: bool, request: &PageRequest) -> Result<Page<Job>> {
        actor.require_operator()?;
        self.store.read(|tx| {
            if parked { jobs::list_parked(tx, request) } else { jobs::list_waiting(tx, request) }
        })
    }

    /// Lets a parked job be tried again, now.
    pub async fn retry_job(&self, actor: &Actor, job_id: JobId) -> Result<Job> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        self.commit(move |tx| {
            let mut job = jobs::unpark(tx, job_id)?;
            job.due = ctx.now;
            job.attempts = 0;
            jobs::put(tx, &job)?;
            if let Work::SendMail { mail_id } = job.work {
                logs::wait_again(tx, mail_id)?;
            }
            ctx.audit(tx, None, "job.retried", job_id, [("kind", job.work.kind().to_owned())])?;
            Ok(job)
        })
        .await
    }
}
