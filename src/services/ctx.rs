//! What an operation knows of the world inside its transaction: the time it
//! happens at, who does it, and how to leave a trace or plan what follows.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::{Caller, changes};
use crate::config::Config;
use crate::domain::audit::{AuditEntry, By, Change};
use crate::domain::error::Result;
use crate::domain::ids::{ApiKeyId, AuditId, JobId, MailId, OrgId};
use crate::domain::job::{Job, Work};
use crate::domain::mail::{MailRecord, MailStatus};
use crate::domain::time::Timestamp;
use crate::entropy::Entropy;
use crate::mail::Message;
use crate::store::{WriteTx, audit, jobs, logs};

/// What is kept of the name that a client gives itself.
const USER_AGENT_CHARS_MAX: usize = 200;

/// One operation's context; moved into its transaction.
#[derive(Clone)]
pub struct Ctx {
    /// The operation happens at this instant, all of it.
    pub now: Timestamp,
    /// Who does it.
    pub by: By,
    /// With which API key.
    pub api_key_id: Option<ApiKeyId>,
    /// For whom, where nobody is there: such as the token of an organisation's directory.
    pub on_behalf: Option<String>,
    /// From which network address; none over the local socket, and where no request asked for it.
    pub address: Option<IpAddr>,
    /// With which program, as it calls itself.
    pub user_agent: Option<String>,
    /// The request that asked for it.
    pub request_id: Option<String>,
    /// Randomness for ids and secrets.
    pub entropy: Entropy,
    /// The settings.
    pub config: Arc<Config>,
    /// The address that people use.
    pub public_url: Arc<str>,
}

impl Ctx {
    /// The same operation as seen from a request.
    #[must_use]
    pub fn of(mut self, by: By, caller: &Caller) -> Self {
        // Whoever administers the computer comes from no address.
        self.address = Some(caller.address).filter(|_| by != By::Local);
        self.user_agent = Some(caller.user_agent.chars().take(USER_AGENT_CHARS_MAX).collect())
            .filter(|told: &String| !told.is_empty());
        self.by = by;
        self.request_id = Some(caller.request_id.clone()).filter(|id| !id.is_empty());
        self
    }

    /// The address that links in mails begin with.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// A fresh record id, ordered by time.
    pub fn record_id(&self) -> Uuid {
        self.entropy.record_id(self.now)
    }

    /// Leaves an audit entry.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "callers hand in an id or a word, and neither is used again"
    )]
    pub fn audit<'a>(
        &self,
        tx: &mut WriteTx,
        org_id: Option<OrgId>,
        action: &str,
        subject: impl ToString,
        details: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<()> {
        self.leave(tx, org_id, action, subject.to_string(), details, BTreeMap::new())
    }

    /// Leaves an audit entry of a change to a record, with each field that changed, before and after.
    #[allow(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "what was done, and the record before and after; callers hand in an id or a word"
    )]
    pub fn audit_change<'a>(
        &self,
        tx: &mut WriteTx,
        org_id: Option<OrgId>,
        action: &str,
        subject: impl ToString,
        details: impl IntoIterator<Item = (&'a str, String)>,
        before: &impl Serialize,
        after: &impl Serialize,
    ) -> Result<()> {
        let changes = changes::between(before, after)?;
        self.leave(tx, org_id, action, subject.to_string(), details, changes)
    }

    fn leave<'a>(
        &self,
        tx: &mut WriteTx,
        org_id: Option<OrgId>,
        action: &str,
        subject: String,
        details: impl IntoIterator<Item = (&'a str, String)>,
        changes: BTreeMap<String, Change>,
    ) -> Result<()> {
        let mut details: BTreeMap<String, String> =
            details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if let Some(whose) = &self.on_behalf {
            details.insert("on_behalf_of".to_owned(), whose.clone());
        }
        let entry = AuditEntry {
            seq: 0,
            audit_id: AuditId(self.record_id()),
            at: self.now,
            by: self.by.clone(),
            api_key_id: self.api_key_id,
            org_id,
            action: action.to_owned(),
            subject,
            details,
            changes,
            address: self.address.map(|address| address.to_string()),
            user_agent: self.user_agent.clone(),
            request_id: self.request_id.clone(),
            hash: String::new(),
        };
        // Its number and its hash it gets there, from the entry before.
        audit::append(tx, entry)
    }

    /// Plans work for `due` in the transaction of its cause.
    pub fn plan_job(&self, tx: &mut WriteTx, due: Timestamp, work: Work) -> Result<()> {
        let job = Job {
            job_id: JobId(self.record_id()),
            work,
            due,
            attempts: 0,
            last_error: None,
            created_at: self.now,
        };
        jobs::put(tx, &job)
    }

    /// Writes a message to the e-mail log and plans its sending.
    pub fn queue_mail(
        &self,
        tx: &mut WriteTx,
        org_id: Option<OrgId>,
        to: &str,
        cause: &str,
        message: &Message,
    ) -> Result<()> {
        let mail_id = MailId(self.record_id());
        let record = MailRecord {
            mail_id,
            org_id,
            to: to.to_owned(),
            message: message.name().to_owned(),
            payload: message.payload(),
            status: MailStatus::Waiting,
            cause: cause.to_owned(),
            attempts: 0,
            attempt_log: Vec::new(),
            last_error: None,
            created_at: self.now,
            sent_at: None,
            provider_id: None,
            deliveries: Vec::new(),
        };
        logs::put_mail(tx, &record)?;
        self.plan_job(tx, self.now, Work::SendMail { mail_id })
    }
}
