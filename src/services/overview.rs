//! What an operator sees at a glance, and the logs.

use std::cmp::Reverse;

use super::backups::BackupFile;
use super::doctor::check::State;
use super::doctor::{computer, records};
use super::{Actor, Services};
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
use crate::store::subscriptions::Revenue;
use crate::store::{counts, jobs, logs, subscriptions};

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

/// What costs more to look at than counts: the disk, files, sums of money.
pub struct Outlook {
    /// What needs attention, the gravest first.
    pub attention: Vec<Attention>,
    /// What came in, in the months of the last year that had any.
    pub revenue: Vec<Revenue>,
    /// The newest backup in the data folder.
    pub last_backup: Option<BackupFile>,
    /// Free and total bytes of the disk, where they can be read.
    pub disk: Option<(u64, u64)>,
    /// When the licence signing key is replaced by itself.
    pub rotation_due_at: Option<Timestamp>,
}

/// Something that an operator should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// How bad it is.
    pub state: State,
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub text: String,
    /// The screen of the admin page that shows it.
    pub screen: &'static str,
}

impl Attention {
    /// What is not as it should be.
    fn of(state: State, code: &'static str, text: String, screen: &'static str) -> Option<Self> {
        (state != State::Ok).then_some(Self { state, code, text, screen })
    }

    /// An organisation paid for a second subscription, under this id of Stripe.
    pub(super) fn second_subscription(stripe_id: &str) -> Self {
        let text = format!(
            "An organisation paid for a second subscription, {stripe_id}: see whether its payment is to be given back at Stripe."
        );
        Self { state: State::Warning, code: "second_subscription", text, screen: "audit" }
    }
}

/// Months of revenue before this one, which with it are a year.
const REVENUE_MONTHS: u32 = 11;

impl Services {
    /// Everything at a glance, for operators.
    pub fn overview(&self, actor: &Actor) -> Result<Overview> {
        actor.require_operator()?;
        self.glance()
    }

    /// What deserves attention, and money; for operators.
    pub fn outlook(&self, actor: &Actor, seen: &Overview) -> Result<Outlook> {
        actor.require_operator()?;
        let now = self.clock.now().wall;
        let last_backup = self.newest_backup();
        let disk = computer::room(&self.data);
        let rotation_days = self.config.keys.rotation_days;
        let rotation_due_at =
            seen.signing_key.as_ref().map(|(_, since)| since.plus_days(rotation_days));
        let first_month = now.month_before(REVENUE_MONTHS);
        let revenue = self.store.read(|tx| subscriptions::revenue(tx, &first_month))?;
        let mut attention = attention(seen);
        if let Some(text) = self.restore_failed.get().cloned() {
            attention.push(Attention {
                state: State::Problem,
                code: "restore_failed",
                text,
                screen: "backups",
            });
        }
        attention.extend(self.second_subscription_seen(now)?);
        attention.extend(backup_age(seen, last_backup.as_ref(), now));
        if let Some((free, _)) = disk {
            let text = format!("The disk has {} left.", computer::size(free));
            attention.extend(Attention::of(
                computer::free_space(free),
                "disk",
                text,
                "diagnostics",
            ));
        }
        if let Some((_, since)) = seen.signing_key {
            let text = "The signing key is due for rotation, and was not replaced.".to_owned();
            let state = records::rotation(since, now, rotation_days);
            attention.extend(Attention::of(state, "key_rotation", text, "keys"));
        }
        attention.sort_by_key(|item| Reverse(item.state));
        Ok(Outlook { attention, revenue, last_backup, disk, rotation_due_at })
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
                mails: MailStatus::ALL
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
        self.commit(actor.guarded(move |tx| {
            let mut job = jobs::unpark(tx, job_id)?;
            job.due = ctx.now;
            job.attempts = 0;
            jobs::put(tx, &job)?;
            if let Work::SendMail { mail_id } = job.work {
                logs::wait_again(tx, mail_id)?;
            }
            ctx.audit(tx, None, "job.retried", job_id, [("kind", job.work.kind().to_owned())])?;
            Ok(job)
        }))
        .await
    }
}

/// What the counts tell.
fn attention(seen: &Overview) -> Vec<Attention> {
    let mut found = Vec::new();
    let mut tell =
        |state, code, text, screen| found.extend(Attention::of(state, code, text, screen));
    if let Some(why) = &seen.storage_trouble {
        tell(State::Problem, "storage", format!("Storage refuses writes: {why}."), "diagnostics");
    }
    let n = seen.jobs_parked;
    let text = format!("{} failed too often and {} parked.", many(n, "job"), is(n));
    tell(records::parked(n), "jobs_parked", text, "jobs?parked=true");
    let mails = |status| seen.mails.iter().find(|(it, _)| *it == status).map_or(0, |(_, n)| *n);
    let parked = mails(MailStatus::Parked);
    if parked > 0 {
        let text = format!("{} could not be sent.", many(parked, "e-mail"));
        tell(State::Problem, "mails_parked", text, "emails?status=parked");
    }
    let licenses =
        |status| seen.licenses.iter().find(|(it, _)| *it == status).map_or(0, |(_, n)| *n);
    let grace = licenses(LicenseStatus::Grace);
    if grace > 0 {
        let text = format!(
            "{} {} in the grace period and will stop working unless paid.",
            many(grace, "licence"),
            is(grace)
        );
        tell(State::Warning, "grace", text, "licenses?status=grace");
    }
    if seen.signing_key.is_none() {
        let text = "The signing key is still being made.".to_owned();
        tell(State::Warning, "signing_key", text, "keys");
    }
    found
}

fn backup_age(seen: &Overview, last: Option<&BackupFile>, now: Timestamp) -> Option<Attention> {
    let licensed = seen.licenses.iter().any(|(_, n)| *n > 0);
    let text = super::backups::stale(last, licensed, now)?;
    Attention::of(State::Warning, "backup_age", text, "backups")
}

fn many(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

fn is(n: u64) -> &'static str {
    if n == 1 { "is" } else { "are" }
}
