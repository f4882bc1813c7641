//! `coditect job ...` and `coditect mail ...`

use serde_json::json;

use super::context::Context;
use super::failure::{Failure, Result};
use super::license::filters;
use super::output::{self, Column, shown, text, time, whole, word};
use super::progress::Progress;
use crate::cli::server::{JobCommand, MailCommand};

const JOBS: [Column; 5] = [
    whole("KIND", "kind"),
    time("DUE", "due"),
    whole("ATTEMPTS", "attempts"),
    text("LAST ERROR", "last_error"),
    whole("JOB", "job_id"),
];

const MAILS: [Column; 6] = [
    time("QUEUED", "created_at"),
    whole("STATUS", "status"),
    text("TO", "to"),
    whole("MESSAGE", "message"),
    text("LAST ERROR", "last_error"),
    whole("MAIL", "mail_id"),
];

const ATTEMPTS: [Column; 4] = [
    time("TRIED", "at"),
    whole("BY", "transport"),
    whole("OUTCOME", "outcome"),
    text("ANSWER", "answer"),
];

const DELIVERIES: [Column; 3] =
    [time("REPORTED", "at"), whole("WHAT", "kind"), text("DETAIL", "detail")];

const MAIL: [Column; 7] = [
    text("To", "to"),
    text("Subject", "subject"),
    whole("Message", "message"),
    whole("Status", "status"),
    time("Queued", "created_at"),
    time("Sent", "sent_at"),
    text("Last error", "last_error"),
];

pub async fn jobs(context: &Context, command: JobCommand) -> Result<()> {
    match command {
        JobCommand::List { parked, paging } => {
            let (parked, none) = if parked {
                ("true", "No job is parked: nothing failed for good.")
            } else {
                ("false", "Nothing waits to be done. --parked lists what failed for good.")
            };
            let query = [("parked", parked)];
            context.list(&["admin", "jobs"], &query, &paging, &JOBS, none).await
        }
        JobCommand::Retry { job: Some(job), .. } => {
            let answer = context.http.post(&["admin", "jobs", &job, "retry"], None).await?;
            context.did(&answer, "The job is tried again.")
        }
        JobCommand::Retry { job: None, .. } => retry_all(context).await,
    }
}

async fn retry_all(context: &Context) -> Result<()> {
    let parked = context.pages(&["admin", "jobs"], &[("parked", "true")], None).await?.items;
    let mut progress = Progress::items("Trying again", Some(parked.len() as u64));
    let (mut retried, mut gone) = (Vec::new(), 0);
    for job in &parked {
        let path = ["admin", "jobs", word(job, "job_id"), "retry"];
        match context.http.post(&path, None).await {
            Ok(job) => retried.push(job),
            // Somebody else was faster.
            Err(failure) if failure.exit == super::failure::Exit::NotFound => gone += 1,
            Err(failure) => {
                let text = format!("after {} of {}: {}", retried.len(), parked.len(), failure.text);
                return Err(Failure { text, ..failure });
            }
        }
        progress.reached(retried.len() as u64 + gone);
    }
    drop(progress);
    let sentence = match retried.len() {
        0 => "No job is parked.".to_owned(),
        1 => "1 job is tried again.".to_owned(),
        many => format!("{many} jobs are tried again."),
    };
    context.did(&json!({"items": retried}), &sentence)
}

pub async fn mails(context: &Context, command: MailCommand) -> Result<()> {
    match command {
        MailCommand::List { status, paging } => {
            let none = if status.is_some() {
                "No mail is like that. `coditect mail list` lists all."
            } else {
                "No mail was sent yet."
            };
            let filters = filters(&[("status", &status)]);
            context.list(&["admin", "emails"], &filters, &paging, &MAILS, none).await
        }
        MailCommand::Show { mail } => {
            let mail = context.http.get(&["admin", "emails", &mail], &[]).await?;
            context.show(&mail, &MAIL)?;
            if context.is_json() {
                return Ok(());
            }
            let attempts = mail["attempt_log"].as_array().map_or(&[][..], Vec::as_slice);
            if !attempts.is_empty() {
                output::print(&format!("\n{}", output::table(&ATTEMPTS, attempts)))?;
            }
            let reports = mail["deliveries"].as_array().map_or(&[][..], Vec::as_slice);
            if !reports.is_empty() {
                output::print(&format!("\n{}", output::table(&DELIVERIES, reports)))?;
            }
            // Lines are kept, and what a terminal would obey is not.
            let lines: Vec<_> = word(&mail, "text")
                .lines()
                .map(|line| format!("{}\n", output::plain(line)))
                .collect();
            output::print(&format!("\n{}", lines.concat()))
        }
        MailCommand::Retry { mail } => {
            let answer = context.http.post(&["admin", "emails", &mail, "retry"], None).await?;
            let to = shown(&answer["to"]);
            context.did(&answer, &format!("The mail to {to} is tried again now."))
        }
    }
}
