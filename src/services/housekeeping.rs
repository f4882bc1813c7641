//! Removing what has outlived its use, in small bites.

use super::Services;
use crate::domain::audit::By;
use crate::domain::error::Result;
use crate::domain::job::{Job, Work};
use crate::domain::time::{DAY_MS, HOUR_MS};
use crate::store::{identities, jobs, logs, orgs, users};

/// The most records removed in one transaction, so that no other write waits long.
pub(super) const BITE: usize = 500;

impl Services {
    /// Removes ended links, invitations, sign-ins and old log entries, signs the days of the audit log
    /// that are over, and looks again in an hour.
    pub async fn housekeeping_due(&self, job: &Job) -> Result<()> {
        loop {
            let ctx = self.ctx(By::System);
            let mails = ctx.now + -i64::from(ctx.config.retention.mail_days) * DAY_MS;
            let removed = self
                .commit(move |tx| {
                    let links = users::remove_ended(tx, ctx.now, BITE)?;
                    let asked = orgs::remove_ended(tx, ctx.now, BITE)?;
                    let ended = links + asked + identities::remove_ended(tx, ctx.now, BITE)?;
                    Ok(ended + logs::remove_old(tx, mails, BITE)?)
                })
                .await?;
            if removed < BITE {
                break;
            }
        }
        self.sign_audit_days().await?;
        self.remove_old_audit().await?;
        let ctx = self.ctx(By::System);
        let job = job.clone();
        self.commit(move |tx| {
            jobs::remove(tx, &job)?;
            ctx.plan_job(tx, ctx.now + HOUR_MS, Work::Housekeeping)
        })
        .await
    }

    /// Plans the repeating jobs once, when the database is new.
    pub async fn plan_repeating_jobs(&self) -> Result<()> {
        // A server must be able to start on a disk that takes no writes.
        if self.store.read(|tx| logs::fact(tx, "repeating_jobs"))?.is_some() {
            return Ok(());
        }
        let ctx = self.ctx(By::System);
        self.commit(move |tx| {
            logs::put_fact(tx, "repeating_jobs", "planned")?;
            ctx.plan_job(tx, ctx.now + HOUR_MS, Work::RotateKeys)?;
            ctx.plan_job(tx, ctx.now + HOUR_MS, Work::Housekeeping)
        })
        .await
    }
}
