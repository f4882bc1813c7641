//! The durable queue.

use std::ops::ControlFlow;

use super::tables::{JOBS, JOBS_PARKED};
use super::{Read, Scan, WriteTx, page};
use crate::domain::error::{Error, Result};
use crate::domain::ids::{JobId, MailId};
use crate::domain::job::{Job, Lane, Work};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;

/// Jobs that are looked through for one, the next due first: retries are due within minutes or hours.
const SEARCHED_MAX: usize = 10_000;

/// Queues a job.
pub fn put(tx: &mut WriteTx, job: &Job) -> Result<()> {
    super::counts::add(tx, "jobs.waiting", 1)?;
    tx.put(&JOBS, &(job.due, job.job_id), job)
}

/// Removes a job that is done.
pub fn remove(tx: &mut WriteTx, job: &Job) -> Result<bool> {
    let was_waiting = tx.remove(&JOBS, &(job.due, job.job_id))?;
    if was_waiting {
        super::counts::add(tx, "jobs.waiting", -1)?;
    }
    Ok(was_waiting)
}

/// Jobs of a lane that are due, oldest first; where there are fewer than `limit`, also the time of the
/// first of any lane that is not.
pub fn due(
    tx: &impl Read,
    lane: Lane,
    now: Timestamp,
    limit: usize,
) -> Result<(Vec<Job>, Option<Timestamp>)> {
    let (mut jobs, mut next) = (Vec::new(), None);
    tx.visit(&JOBS, &Scan::all(), |(due, _), job| {
        if due > now {
            next = Some(due);
        } else if job.work.lane() == lane {
            jobs.push(job);
        }
        let enough = next.is_some() || jobs.len() >= limit;
        Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok((jobs, next))
}

/// Puts a job aside for an operator.
pub fn park(tx: &mut WriteTx, job: &Job) -> Result<()> {
    super::counts::add(tx, "jobs.parked", 1)?;
    tx.put(&JOBS_PARKED, &job.job_id, job)
}

/// Takes a job back from the parked ones.
pub fn unpark(tx: &mut WriteTx, job_id: JobId) -> Result<Job> {
    let job = tx.get(&JOBS_PARKED, &job_id)?.ok_or_else(|| Error::not_found("parked job"))?;
    tx.remove(&JOBS_PARKED, &job_id)?;
    super::counts::add(tx, "jobs.parked", -1)?;
    Ok(job)
}

/// Waiting jobs, the next one first.
pub fn list_waiting(tx: &impl Read, request: &PageRequest) -> Result<Page<Job>> {
    page(tx, &JOBS, Scan::all(), request)
}

/// Parked jobs, oldest first.
pub fn list_parked(tx: &impl Read, request: &PageRequest) -> Result<Page<Job>> {
    page(tx, &JOBS_PARKED, Scan::all(), request)
}

/// Takes the job of a message from the parked ones or from those that wait, if it is there. Among the
/// first ten thousand of each.
pub fn take_mail(tx: &mut WriteTx, id: MailId) -> Result<Option<Job>> {
    let work = Work::SendMail { mail_id: id };
    let mut parked = None;
    tx.visit(&JOBS_PARKED, &Scan::all().limit(SEARCHED_MAX), |job_id, job| {
        Ok(if job.work == work {
            parked = Some(job_id);
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    if let Some(job_id) = parked {
        return unpark(tx, job_id).map(Some);
    }
    let mut waiting = None;
    tx.visit(&JOBS, &Scan::all().limit(SEARCHED_MAX), |_, job| {
        Ok(if job.work == work {
            waiting = Some(job);
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    if let Some(job) = &waiting {
        remove(tx, job)?;
    }
    Ok(waiting)
}
