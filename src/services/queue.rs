//! The queue as the worker sees it.

use super::Services;
use crate::domain::error::{Error, Result};
use crate::domain::ids::MailId;
use crate::domain::job::{Job, Lane, Work};
use crate::domain::mail::{Attempt, AttemptOutcome, MailStatus};
use crate::domain::time::Timestamp;
use crate::store::{WriteTx, jobs, logs};

/// Why a job failed, and how it goes on.
#[derive(Debug)]
pub struct Failed {
    /// What it met.
    pub error: Error,
    /// Whether to try again.
    pub again: Again,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Up to the limit of attempts; then an operator looks.
    UpToLimit,
    /// An operator looks at once: trying again cannot help.
    Never,
    /// For as long as it takes: what stands in the way is not this job's.
    AsLongAsItTakes,
    /// As [`Again::AsLongAsItTakes`], and it was not even tried: another job has just met what stands
    /// in the way.
    NotTried,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, again: Again::UpToLimit }
    }
}

/// What becomes of a failed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again at this time.
    Again(Timestamp),
    /// As [`Verdict::Again`], and the attempt does not count.
    Uncounted(Timestamp),
    /// It waits for an operator.
    Parked,
}

impl Services {
    /// Jobs of a lane that are due, oldest first; where there are fewer than `limit`, also the time of
    /// the first that is not.
    pub fn due_jobs(
        &self,
        lane: Lane,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Job>, Option<Timestamp>)> {
        self.store.read(|tx| jobs::due(tx, lane, now, limit))
    }

    /// Puts a failed job back, or aside for an operator; the e-mail log learns of it as well.
    pub async fn put_job_back(&self, job: &Job, failed: &Failed, verdict: Verdict) -> Result<()> {
        let (mut job, error) = (job.clone(), failed.error.cause().to_owned());
        let attempt = Attempt {
            at: self.clock.now().wall,
            transport: self.transport.name().to_owned(),
            outcome: match failed.again {
                Again::Never => AttemptOutcome::Refused,
                Again::UpToLimit | Again::AsLongAsItTakes | Again::NotTried => {
                    AttemptOutcome::Failed
                }
            },
            answer: error.clone(),
        };
        let tried = failed.again != Again::NotTried;
        self.commit(move |tx| {
            if !jobs::remove(tx, &job)? {
                return Ok(());
            }
            job.last_error = Some(error);
            if let (Work::SendMail { mail_id }, true) = (&job.work, tried) {
                let mail_id = *mail_id;
                note_attempt(tx, mail_id, attempt, verdict == Verdict::Parked)?;
            }
            match verdict {
                Verdict::Parked => {
                    job.attempts += 1;
                    jobs::park(tx, &job)
                }
                Verdict::Again(due) => {
                    job.attempts += 1;
                    job.due = due;
                    jobs::put(tx, &job)
                }
                Verdict::Uncounted(due) => {
                    job.due = due;
                    jobs::put(tx, &job)
                }
            }
        })
        .await
    }
}

fn note_attempt(tx: &mut WriteTx, mail_id: MailId, attempt: Attempt, parked: bool) -> Result<()> {
    let mut record = logs::mail(tx, mail_id)?;
    record.tried(attempt);
    record.status = if parked { MailStatus::Parked } else { MailStatus::Waiting };
    logs::put_mail(tx, &record)
}
