//! Sending what is queued, and the e-mail log.

use parking_lot::Mutex;

use super::queue::{Again, Failed};
use super::{Actor, Services};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::MailId;
use crate::domain::job::{Job, Work};
use crate::domain::mail::{Attempt, AttemptOutcome, Delivery, MailRecord, MailStatus};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::{SECOND_MS, Timestamp};
use crate::mail::sendgrid_events::{self, Report};
use crate::mail::{Letter, Message, Rendered, Renderer, SendError, Taken};
use crate::store::{WriteTx, jobs, logs};

/// Reports that are taken at once; a body within its limit holds fewer that are complete.
const REPORTS_MAX: usize = 10_000;

/// How long the other mails wait once the transport could not be reached: each would hold the worker up
/// for as long as that takes, and a wrong password given often locks an account.
const PUT_OFF_MS: i64 = 60 * SECOND_MS;

/// What keeps every mail from leaving, if anything does.
#[derive(Default)]
pub struct TroubleSpot(Mutex<Option<MailTrouble>>);

/// Something that keeps every mail from leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailTrouble {
    /// When it was first met.
    pub since: Timestamp,
    /// Until when nothing is tried.
    pub wait_until: Timestamp,
    /// What was met last.
    pub why: String,
}

impl Services {
    /// Hands a message to the transport, then notes that in the transaction that removes the job.
    /// Between the two a crash sends again, under the same `Message-ID`; the folder knows the id and
    /// makes no second file.
    pub async fn send_mail_due(&self, job: &Job, mail_id: MailId) -> Result<(), Failed> {
        let record = match self.store.read(|tx| logs::mail(tx, mail_id)) {
            // It was parked for so long that the log has let it go.
            Err(error) if error.code == Code::NotFound => return Ok(self.drop_job(job).await?),
            found => found?,
        };
        if record.status.is_out() {
            return Ok(self.drop_job(job).await?);
        }
        let now = self.clock.now().wall;
        if let Some(trouble) = self.mail_trouble()
            && now < trouble.wait_until
        {
            return Err(Failed { error: Error::internal(trouble.why), again: Again::NotTried });
        }
        let message = Message::decode(&record.message, &record.payload).map_err(Error::internal)?;
        let message = self.completed(message).await?;
        let redacted = message.clone().redacted().payload();
        let sent = self.hand_over(&record, &message).await?;
        self.note_trouble(sent.as_ref().err());
        let taken = sent.map_err(|error| {
            self.metrics.mail_failed();
            failed(&error)
        })?;
        // Here, not after the commit: the log and the figure are read together.
        self.metrics.mail_sent();
        let (job, now) = (job.clone(), self.clock.now().wall);
        let attempt = Attempt {
            at: now,
            transport: self.transport.name().to_owned(),
            outcome: AttemptOutcome::Taken,
            answer: taken.answer,
        };
        self.commit(move |tx| {
            jobs::remove(tx, &job)?;
            let mut record = logs::mail(tx, mail_id)?;
            record.status = MailStatus::Sent;
            record.tried(attempt);
            record.sent_at = Some(now);
            record.provider_id = taken.provider_id;
            record.payload = redacted;
            logs::put_mail(tx, &record)
        })
        .await?;
        Ok(())
    }

    /// Takes what SendGrid reports of mails it took; how many reports said something new. Reports on
    /// mails that the log does not have, and on other programs' mails, count as taken.
    ///
    /// # Errors
    /// `InvalidSignature` for what SendGrid has not signed within the last minutes, and
    /// `WebhookNotConfigured` while its public key is not set.
    pub async fn note_sendgrid_reports(
        &self,
        timestamp: &str,
        signature: &str,
        body: &[u8],
    ) -> Result<usize> {
        let Some(key) = &self.config.sendgrid.webhook_key else {
            let mut error = Error::new(
                Code::WebhookNotConfigured,
                "This server has no key to check SendGrid's reports with.",
            )
            .retry_after(3_600);
            error.internal = Some("SendGrid reports on mails, but mail.sendgrid.webhook_key is not set. Put the verification key that SendGrid shows under its signed event webhook into SENDGRID_WEBHOOK_KEY".to_owned());
            return Err(error);
        };
        let now = self.clock.now().wall;
        if !sendgrid_events::is_genuine(key.as_str(), timestamp, signature, body, now) {
            return Err(Error::new(
                Code::InvalidSignature,
                "The signature is not SendGrid's, or was made more than five minutes from now.",
            ));
        }
        let mut reports = sendgrid_events::reports(body);
        reports.truncate(REPORTS_MAX);
        self.commit(move |tx| {
            let mut noted = 0;
            for report in reports {
                noted += usize::from(note_report(tx, report)?);
            }
            Ok(noted)
        })
        .await
    }

    /// What keeps every mail from leaving, if anything does.
    pub fn mail_trouble(&self) -> Option<MailTrouble> {
        self.mail_trouble.0.lock().clone()
    }

    /// Remembers what keeps every mail from leaving, and says so in the log once for each cause.
    fn note_trouble(&self, met: Option<&SendError>) {
        let mut trouble = self.mail_trouble.0.lock();
        match met {
            Some(error) if error.is_of_transport() => {
                let why = error.to_string();
                let known = trouble.as_ref();
                if known.is_none_or(|known| known.why != why) {
                    tracing::error!(
                        transport = self.transport.name(),
                        error = why,
                        "no mail can leave; all wait and are tried again. `coditect doctor` tests the way out"
                    );
                }
                let now = self.clock.now().wall;
                let since = known.map_or(now, |known| known.since);
                let unreachable = matches!(error, SendError::Unreachable(_));
                let wait_until = if unreachable { now + PUT_OFF_MS } else { now };
                *trouble = Some(MailTrouble { since, wait_until, why });
            }
            // This one mail was not taken; the transport answers all the same.
            _ => {
                if trouble.take().is_some() {
                    tracing::info!(transport = self.transport.name(), "mails leave again");
                }
            }
        }
    }

    async fn drop_job(&self, job: &Job) -> Result<()> {
        let job = job.clone();
        self.commit(move |tx| jobs::remove(tx, &job).map(drop)).await
    }

    /// The e-mail log, or what has a status there, newest first, for operators.
    pub fn mails(
        &self,
        actor: &Actor,
        status: Option<MailStatus>,
        request: &PageRequest,
    ) -> Result<Page<MailRecord>> {
        actor.require_operator()?;
        self.store.read(|tx| match status {
            Some(status) => logs::list_mails_of_status(tx, status, request),
            None => logs::list_mails(tx, request),
        })
    }

    /// A message as its recipient reads it, for operators: without links that open something and
    /// with its licence key shortened.
    pub fn preview_mail(&self, actor: &Actor, id: MailId) -> Result<(MailRecord, Rendered)> {
        actor.require_operator()?;
        let record = self.store.read(|tx| logs::mail(tx, id))?;
        let message = Message::decode(&record.message, &record.payload).map_err(Error::internal)?;
        let rendered = self.templates.render(&message.redacted()).map_err(Error::internal)?;
        Ok((record, rendered))
    }

    /// Every message, which of its texts are the vendor's, and what of those cannot be used; for
    /// operators.
    pub fn mail_templates(&self, actor: &Actor) -> Result<&Renderer> {
        actor.require_operator()?;
        Ok(self.templates.as_ref())
    }

    /// A message with sample data, as its recipient would read it, for operators.
    pub fn preview_template(&self, actor: &Actor, name: &str) -> Result<Rendered> {
        actor.require_operator()?;
        let rendered = self.templates.sample(name).ok_or_else(|| Error::not_found("message"))?;
        rendered.map_err(Error::internal)
    }

    /// Has a message that waits, or was parked, tried again now; for operators.
    ///
    /// # Errors
    /// `MailState` when it was sent: what it opened is not in the log any more.
    pub async fn retry_mail(&self, actor: &Actor, id: MailId) -> Result<MailRecord> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        // Who asks for it may have mended what was in the way.
        if let Some(trouble) = self.mail_trouble.0.lock().as_mut() {
            trouble.wait_until = ctx.now;
        }
        self.commit(actor.guarded(move |tx| {
            let record = logs::mail(tx, id)?;
            if record.status.is_out() {
                return Err(Error::new(
                    Code::MailState,
                    "This message was sent, and its links were taken out of the log. A licence can be mailed again from its own page; other links are asked for anew.",
                ));
            }
            match jobs::take_mail(tx, id)? {
                Some(mut job) => {
                    job.due = ctx.now;
                    job.attempts = 0;
                    jobs::put(tx, &job)?;
                }
                None => ctx.plan_job(tx, ctx.now, Work::SendMail { mail_id: id })?,
            }
            logs::wait_again(tx, id)?;
            ctx.audit(tx, record.org_id, "mail.retried", id, [("message", record.message)])?;
            logs::mail(tx, id)
        }))
        .await
    }

    /// Adds what a message needs when it goes out: the signed file of a licence.
    async fn completed(&self, message: Message) -> Result<Message> {
        let Message::LicenseDelivered(mut delivery) = message else {
            return Ok(message);
        };
        // A message that was sent before has its key shortened; it is not sent again.
        if let Ok(license) = self.license_by_key(&delivery.license_key) {
            delivery.signed_license = self.signed_license(&license, None).await?;
        }
        Ok(delivery.into())
    }

    async fn hand_over(
        &self,
        record: &MailRecord,
        message: &Message,
    ) -> Result<Result<Taken, SendError>> {
        let rendered = self.templates.render(message).map_err(Error::internal)?;
        let letter = Letter {
            mail_id: record.mail_id,
            to: &record.to,
            rendered: &rendered,
            attachments: &message.attachments(),
            // That of the cause, so that a second attempt makes the same message.
            date: record.created_at,
        };
        Ok(self.transport.send(&letter).await)
    }
}

/// Notes what was reported of a mail; whether that was new.
fn note_report(tx: &mut WriteTx, report: Report) -> Result<bool> {
    let mut record = match logs::mail(tx, report.mail_id) {
        Err(error) if error.code == Code::NotFound => return Ok(false),
        found => found?,
    };
    let was_out = record.status.is_out();
    let Report { event_id, kind, detail, at, provider_id, .. } = report;
    if !record.reported(Delivery { at, kind, detail, event_id }) {
        return Ok(false);
    }
    if !was_out && record.status.is_out() {
        // The answer to an attempt was lost, and not the mail: it need not be sent again.
        jobs::take_mail(tx, record.mail_id)?;
        record.sent_at = Some(at);
        record.provider_id = record.provider_id.or(provider_id);
        let message = Message::decode(&record.message, &record.payload).map_err(Error::internal)?;
        record.payload = message.redacted().payload();
    }
    logs::put_mail(tx, &record)?;
    Ok(true)
}

fn failed(error: &SendError) -> Failed {
    let again = match error {
        error if error.is_permanent() => Again::Never,
        error if error.is_of_transport() => Again::AsLongAsItTakes,
        _ => Again::UpToLimit,
    };
    Failed { error: Error::internal(error), again }
}
