//! The worker: does what is due, in order of time.
//!
//! A job is a row; the handler's transaction removes it together with its effect, so
//! that a crash in between does neither or both. What reaches outside - a mail - is
//! done first and is idempotent. A failure is tried again later and later, and after
//! a limit the job is parked where an operator sees it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::error::Result;
use crate::domain::job::{Job, Work};
use crate::domain::time::{HOUR_MS, SECOND_MS, Timestamp};
use crate::services::Services;

/// Jobs read at once.
const BATCH: usize = 64;
/// The longest sleep: a calendar that was set is noticed within this time.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// The longest pause between two attempts.
const PAUSE_MAX_MS: i64 = 6 * HOUR_MS;

/// Works until told to stop. One worker is enough: handlers are short, and order is kept.
pub async fn run(services: Arc<Services>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let next = run_due(&services).await;
        let until = next.unwrap_or(Timestamp(i64::MAX));
        tokio::select! {
            () = services.clock.sleep_until(until, SLEEP_MAX) => {}
            () = services.work.notified() => {}
            _ = stop.changed() => {}
        }
    }
}

/// Does everything that is due now; when the next job will be.
pub async fn run_due(services: &Services) -> Option<Timestamp> {
    loop {
        let now = services.clock.now().wall;
        let (jobs, next) = match services.due_jobs(now, BATCH) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "the job queue cannot be read");
                return Some(now + 5 * SECOND_MS);
            }
        };
        if jobs.is_empty() {
            return next;
        }
        for job in jobs {
            if let Err(error) = run_one(services, &job).await {
                tracing::error!(%error, job_id = %job.job_id, "a failed job could not be put back; storage refuses writes");
                return Some(now + 5 * SECOND_MS);
            }
        }
    }
}

async fn run_one(services: &Services, job: &Job) -> Result<()> {
    let kind = job.work.kind();
    match perform(services, job).await {
        Ok(()) => {
            services.metrics.job_done(kind);
            tracing::debug!(job_id = %job.job_id, kind, "job done");
            Ok(())
        }
        Err(error) => {
            services.metrics.job_failed(kind);
            let attempts = job.attempts + 1;
            let parked = attempts >= services.config.jobs.max_attempts;
            tracing::warn!(job_id = %job.job_id, kind, attempts, parked, error = error.cause(), "a job failed");
            let due =
                services.clock.now().wall + pause_ms(services.config.jobs.retry_base_s, attempts);
            let cause = error.cause().to_owned();
            services.put_job_back(job, cause.clone(), due, parked).await?;
            if let Work::SendMail { mail_id } = job.work {
                services.note_mail_failure(mail_id, cause, parked).await?;
            }
            Ok(())
        }
    }
}

async fn perform(services: &Services, job: &Job) -> Result<()> {
    match &job.work {
        Work::SendMail { mail_id } => services.send_mail_due(job, *mail_id).await,
        Work::MailLink { email, purpose } => services.mail_link_due(job, email, *purpose).await,
        Work::SubscriptionDue { org_id, subscription_id } => {
            services.subscription_due(job, *org_id, *subscription_id).await
        }
        Work::LicenseDue { org_id, license_id } => {
            services.license_due(job, *org_id, *license_id).await
        }
        Work::ProviderEvent { event_id } => services.provider_event_due(job, event_id).await,
        Work::RotateKeys => services.rotate_keys_due(job).await,
        Work::Housekeeping => services.housekeeping_due(job).await,
    }
}

/// Twice as long after each attempt.
fn pause_ms(base_s: u32, attempts: u32) -> i64 {
    let base = i64::from(base_s) * SECOND_MS;
    base.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(PAUSE_MAX_MS)
}
