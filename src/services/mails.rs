//! Sending what is queued, and the e-mail log.

use std::sync::Arc;

use super::{Actor, Services};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::MailId;
use crate::domain::job::{Job, Work};
use crate::domain::mail::{MailRecord, MailStatus};
use crate::domain::page::{Page, PageRequest};
use crate::mail::{Message, Rendered};
use crate::store::{jobs, logs};

impl Services {
    /// Hands a message to the transport, then notes that in the transaction that removes the job.
    /// Between the two a crash sends again; the transport knows the id and makes no second file.
    pub async fn send_mail_due(&self, job: &Job, mail_id: MailId) -> Result<()> {
        let record = match self.store.read(|tx| logs::mail(tx, mail_id)) {
            // It was parked for so long that the log has let it go.
            Err(error) if error.code == Code::NotFound => return self.drop_job(job).await,
            found => found?,
        };
        if record.status == MailStatus::Sent {
            return self.drop_job(job).await;
        }
        let message = Message::decode(&record.message, &record.payload).map_err(Error::internal)?;
        let message = self.completed(message).await?;
        let redacted = message.clone().redacted().payload();
        self.hand_over(&record, message).await?;
        let (job, now) = (job.clone(), self.clock.now().wall);
        self.commit(move |tx| {
            jobs::remove(tx, &job)?;
            let mut record = logs::mail(tx, mail_id)?;
            record.status = MailStatus::Sent;
            record.attempts += 1;
            record.last_error = None;
            record.sent_at = Some(now);
            record.payload = redacted;
            logs::put_mail(tx, &record)
        })
        .await?;
        self.metrics.mail_sent();
        Ok(())
    }

    async fn drop_job(&self, job: &Job) -> Result<()> {
        let job = job.clone();
        self.commit(move |tx| jobs::remove(tx, &job).map(drop)).await
    }

    /// Notes in the e-mail log what an attempt met; called by the queue when a job failed.
    pub async fn note_mail_failure(
        &self,
        mail_id: MailId,
        error: String,
        parked: bool,
    ) -> Result<()> {
        self.metrics.mail_failed();
        self.commit(move |tx| {
            let mut record = logs::mail(tx, mail_id)?;
            record.attempts += 1;
            record.last_error = Some(error);
            record.status = if parked { MailStatus::Parked } else { MailStatus::Waiting };
            logs::put_mail(tx, &record)
        })
        .await
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

    /// Has a message that waits, or was parked, tried again now; for operators.
    ///
    /// # Errors
    /// `MailState` when it was sent: what it opened is not in the log any more.
    pub async fn retry_mail(&self, actor: &Actor, id: MailId) -> Result<MailRecord> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        self.commit(move |tx| {
            let record = logs::mail(tx, id)?;
            if record.status == MailStatus::Sent {
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
        })
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

    async fn hand_over(&self, record: &MailRecord, message: Message) -> Result<()> {
        let (transport, templates) = (Arc::clone(&self.transport), Arc::clone(&self.templates));
        let (mail_id, to) = (record.mail_id, record.to.clone());
        // The date is that of the cause, so that a second attempt makes the same message.
        let date = record.created_at;
        tokio::task::spawn_blocking(move || {
            let rendered = templates.render(&message).map_err(Error::internal)?;
            transport
                .send(mail_id, &to, &rendered, &message.attachments(), date)
                .map_err(Error::internal)
        })
        .await
        .map_err(Error::internal)?
    }
}
