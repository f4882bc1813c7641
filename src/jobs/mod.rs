//! The workers: each does what is due in its lane, in order of time.
//!
//! A job is a row; the handler's transaction removes it together with its effect, so
//! that a crash in between does neither or both. What reaches outside - a mail - is
//! done first and is idempotent. A failure is tried again later and later, and after
//! a limit the job is parked where an operator sees it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::watch;

use crate::domain::error::{Code, Result};
use crate::domain::job::{Job, Lane, Work};
use crate::domain::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use crate::entropy::Entropy;
use crate::services::Services;
use crate::services::queue::{Again, Failed, Verdict};

/// Jobs read at once.
const BATCH: usize = 64;
/// Jobs of a lane that waits for other computers, at once.
const OUTSIDE_AT_ONCE: usize = 4;
/// The longest sleep: a calendar that was set is noticed within this time.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// The longest pause between two attempts.
const PAUSE_MAX_MS: i64 = 6 * HOUR_MS;
/// The longest pause while something stands in the way of every job of a kind: once it is gone, they
/// should not wait for hours.
const PAUSE_IN_TROUBLE_MAX_MS: i64 = 10 * MINUTE_MS;

/// Works a lane off until told to stop. One worker is enough where nobody is asked: handlers are
/// short, and order is kept.
pub async fn run(services: Arc<Services>, lane: Lane, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let next = run_due(&services, lane).await;
        let until = next.unwrap_or(Timestamp(i64::MAX));
        tokio::select! {
            () = services.clock.sleep_until(until, SLEEP_MAX) => {}
            () = services.work[lane as usize].notified() => {}
            _ = stop.changed() => {}
        }
    }
}

/// Does everything in a lane that is due now; when the next job will be.
pub async fn run_due(services: &Services, lane: Lane) -> Option<Timestamp> {
    let at_once = if matches!(lane, Lane::Inside | Lane::Long) { 1 } else { OUTSIDE_AT_ONCE };
    loop {
        let now = services.clock.now().wall;
        let (jobs, next) = match services.due_jobs(lane, now, BATCH) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "the job queue cannot be read");
                return Some(now + 5 * SECOND_MS);
            }
        };
        if jobs.is_empty() {
            return next;
        }
        if let Err(error) = run_all(services, jobs, at_once).await {
            tracing::error!(%error, "a failed job could not be put back; storage refuses writes");
            return Some(now + 5 * SECOND_MS);
        }
    }
}

/// Does them in order, so many at once, up to one that cannot even be put back.
async fn run_all(services: &Services, jobs: Vec<Job>, at_once: usize) -> Result<()> {
    stream::iter(jobs)
        .map(async |job| run_one(services, &job).await)
        .buffered(at_once)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
}

async fn run_one(services: &Services, job: &Job) -> Result<()> {
    let kind = job.work.kind();
    match perform(services, job).await {
        Ok(()) => {
            services.metrics.job_done(kind);
            tracing::debug!(job_id = %job.job_id, kind, "job done");
            Ok(())
        }
        Err(failed) => {
            services.metrics.job_failed(kind);
            let verdict = judge(services, job, failed.again);
            let (attempts, parked) = (job.attempts + 1, verdict == Verdict::Parked);
            let error = failed.error.cause();
            tracing::warn!(job_id = %job.job_id, kind, attempts, parked, error, "a job failed");
            services.put_job_back(job, &failed, verdict).await
        }
    }
}

/// Whether and when a failed job is tried again.
fn judge(services: &Services, job: &Job, again: Again) -> Verdict {
    let (settings, now) = (&services.config.jobs, services.clock.now().wall);
    let attempts = job.attempts + 1;
    match again {
        Again::Never => Verdict::Parked,
        Again::UpToLimit if attempts >= settings.max_attempts => Verdict::Parked,
        Again::UpToLimit => {
            let pause = pause_ms(settings.retry_base_s, attempts);
            Verdict::Again(now + jittered(pause, &services.entropy))
        }
        Again::AsLongAsItTakes | Again::NotTried => {
            // Attempts are not counted here, so the pause grows with the job's age.
            let base = i64::from(settings.retry_base_s) * SECOND_MS;
            let age = now.0.saturating_sub(job.created_at.0);
            let pause = (age / 2).max(base).min(PAUSE_IN_TROUBLE_MAX_MS.max(base));
            Verdict::Uncounted(now + jittered(pause, &services.entropy))
        }
    }
}

async fn perform(services: &Services, job: &Job) -> Result<(), Failed> {
    match &job.work {
        Work::SendMail { mail_id } => services.send_mail_due(job, *mail_id).await,
        Work::MailLink { email, purpose } => {
            Ok(services.mail_link_due(job, email, *purpose).await?)
        }
        Work::SubscriptionDue { org_id, subscription_id } => {
            Ok(services.subscription_due(job, *org_id, *subscription_id).await?)
        }
        Work::LicenseDue { org_id, license_id } => {
            Ok(services.license_due(job, *org_id, *license_id).await?)
        }
        Work::EraseOrg { org_id } => Ok(services.erase_org_due(job, *org_id).await?),
        Work::TellOfSecondFactor { org_id, since, after } => {
            Ok(services.tell_of_second_factor_due(job, *org_id, *since, after.clone()).await?)
        }
        Work::LookAtDomain { org_id, domain, since } => {
            Ok(services.look_at_domain_due(job, *org_id, domain, *since).await?)
        }
        Work::ProviderEvent { event_id } => {
            services.provider_event_due(job, event_id).await.map_err(|error| {
                // Whether the provider can be reached is not this event's.
                let away = error.code == Code::ProviderUnavailable;
                let again = if away { Again::AsLongAsItTakes } else { Again::UpToLimit };
                Failed { error, again }
            })
        }
        Work::RotateKeys => Ok(services.rotate_keys_due(job).await?),
        Work::Housekeeping => Ok(services.housekeeping_due(job).await?),
    }
}

/// Twice as long after each attempt.
fn pause_ms(base_s: u32, attempts: u32) -> i64 {
    let base = i64::from(base_s) * SECOND_MS;
    base.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(PAUSE_MAX_MS)
}

/// A pause up to half shorter, by chance: what failed together does not come back together.
fn jittered(pause_ms: i64, entropy: &Entropy) -> i64 {
    let half = u32::try_from(pause_ms / 2).unwrap_or(u32::MAX);
    pause_ms - i64::from(entropy.below(half.max(1)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_part_by_chance() {
        let pauses: Vec<i64> = (1..=4).map(|attempts| pause_ms(30, attempts) / SECOND_MS).collect();
        assert_eq!(pauses, [30, 60, 120, 240]);
        assert_eq!(pause_ms(30, 40), PAUSE_MAX_MS);
        let entropy = Entropy::seeded(1);
        let parted: Vec<i64> = (0..100).map(|_| jittered(30 * SECOND_MS, &entropy)).collect();
        assert!(parted.iter().all(|pause| (15_001..=30_000).contains(pause)), "{parted:?}");
        assert!(parted.iter().max().unwrap() - parted.iter().min().unwrap() > 10_000, "{parted:?}");
    }
}
