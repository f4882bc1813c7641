//! The queue as the worker sees it.

use super::Services;
use crate::domain::error::Result;
use crate::domain::job::Job;
use crate::domain::time::Timestamp;
use crate::store::jobs;

impl Services {
    /// Jobs that are due, oldest first, and the time of the first that is not.
    pub fn due_jobs(&self, now: Timestamp, limit: usize) -> Result<(Vec<Job>, Option<Timestamp>)> {
        self.store.read(|tx| jobs::due(tx, now, limit))
    }

    /// Puts a failed job back for `due`, or aside for an operator.
    pub async fn put_job_back(
        &self,
        job: &Job,
        error: String,
        due: Timestamp,
        parked: bool,
    ) -> Result<()> {
        let job = job.clone();
        self.commit(move |tx| {
            if !jobs::remove(tx, &job)? {
                return Ok(());
            }
            let mut job = job;
            job.attempts += 1;
            job.last_error = Some(error);
            if parked {
                return jobs::park(tx, &job);
            }
            job.due = due;
            jobs::put(tx, &job)
        })
        .await
    }
}
