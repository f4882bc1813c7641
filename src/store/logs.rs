//! The e-mail log and the signing keys.

use super::tables::{FACTS, KEYS, MAILS, MAILS_BY_STATUS};
use super::{Read, Scan, WriteTx, page, through_keys};
use crate::domain::error::{Error, Result};
use crate::domain::ids::MailId;
use crate::domain::mail::{MailRecord, MailStatus};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::Timestamp;

/// A message of the e-mail log.
pub fn mail(tx: &impl Read, mail_id: MailId) -> Result<MailRecord> {
    tx.get(&MAILS, &mail_id)?.ok_or_else(|| Error::not_found("message"))
}

/// Adds or writes a message.
pub fn put_mail(tx: &mut WriteTx, mail: &MailRecord) -> Result<()> {
    if let Some(old) = tx.get(&MAILS, &mail.mail_id)? {
        super::counts::add(tx, mail_count(old.status), -1)?;
        tx.remove(&MAILS_BY_STATUS, &(old.status.as_str().to_owned(), mail.mail_id))?;
    }
    super::counts::add(tx, mail_count(mail.status), 1)?;
    tx.put(&MAILS_BY_STATUS, &(mail.status.as_str().to_owned(), mail.mail_id), &true)?;
    tx.put(&MAILS, &mail.mail_id, mail)
}

/// Notes that a parked message is to be sent after all, if the log still has it.
pub fn wait_again(tx: &mut WriteTx, mail_id: MailId) -> Result<()> {
    let Some(mut mail) = tx.get(&MAILS, &mail_id)? else { return Ok(()) };
    if mail.status.is_out() {
        // What it opened is not in the log any more; there is nothing to send again.
        return Ok(());
    }
    mail.status = MailStatus::Waiting;
    put_mail(tx, &mail)
}

/// The e-mail log, newest first.
pub fn list_mails(tx: &impl Read, request: &PageRequest) -> Result<Page<MailRecord>> {
    page(tx, &MAILS, Scan::all().descending(), request)
}

/// Messages of a status, newest first.
pub fn list_mails_of_status(
    tx: &impl Read,
    status: MailStatus,
    request: &PageRequest,
) -> Result<Page<MailRecord>> {
    let scan = Scan::prefix(&status.as_str().to_owned());
    through_keys(tx, &MAILS_BY_STATUS, scan, request, |(_, id)| tx.get(&MAILS, &id))
}

/// The name under which messages of a status are counted.
pub fn mail_count(status: MailStatus) -> &'static str {
    match status {
        MailStatus::Waiting => "mails.waiting",
        MailStatus::Sent => "mails.sent",
        MailStatus::Delivered => "mails.delivered",
        MailStatus::Bounced => "mails.bounced",
        MailStatus::Parked => "mails.parked",
    }
}

/// Removes at most `limit` of the oldest messages, sent or given up, from before a time; how many.
pub fn remove_old(tx: &mut WriteTx, before: Timestamp, limit: usize) -> Result<usize> {
    let mut removed = 0;
    for (mail_id, mail) in tx.scan(&MAILS, &Scan::all().limit(limit))? {
        if mail.created_at >= before {
            break;
        }
        tx.remove(&MAILS, &mail_id)?;
        tx.remove(&MAILS_BY_STATUS, &(mail.status.as_str().to_owned(), mail_id))?;
        super::counts::add(tx, mail_count(mail.status), -1)?;
        removed += 1;
    }
    Ok(removed)
}

/// Every signing key, as `signing` encodes it.
pub fn keys(tx: &impl Read) -> Result<Vec<serde_json::Value>> {
    Ok(tx.scan(&KEYS, &Scan::all())?.into_iter().map(|(_, key)| key).collect())
}

/// Adds or writes a signing key.
pub fn put_key(tx: &mut WriteTx, kid: &str, key: &serde_json::Value) -> Result<()> {
    tx.put(&KEYS, &kid.to_owned(), key)
}

/// A single named value.
pub fn fact(tx: &impl Read, name: &str) -> Result<Option<String>> {
    tx.get(&FACTS, &name.to_owned())
}

/// Writes a single named value.
pub fn put_fact(tx: &mut WriteTx, name: &str, value: &str) -> Result<()> {
    tx.put(&FACTS, &name.to_owned(), &value.to_owned())
}
