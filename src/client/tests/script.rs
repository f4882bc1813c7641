//! A server that answers by the book, for tests of what depends on time alone.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;

use super::error::{Refusal, SeatCount};
use super::http::{Alive, Fault, Granted, Server};
use super::moment::Moment;

/// What it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// For a seat, with so many seconds in line.
    Acquire(u64),
    Heartbeat(String),
    Release(String),
}

/// What it answers: a session's name where that is good news.
pub(super) type Answer = Result<&'static str, Fault>;

pub(super) struct Script {
    answers: Mutex<VecDeque<Answer>>,
    afterwards: Answer,
    asked: Mutex<Vec<(Duration, Asked)>>,
    start: Moment,
}

pub(super) const TTL_S: u64 = 360;
pub(super) const INTERVAL_S: u64 = 300;

impl Script {
    /// These answers, one after the other; then it cannot be reached.
    pub(super) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::always(away(None)) }
    }

    pub(super) fn always(answer: Answer) -> Self {
        Self {
            answers: Mutex::default(),
            afterwards: answer,
            asked: Mutex::default(),
            start: Moment::now(),
        }
    }

    /// These answers next.
    pub(super) fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().extend(answers);
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().iter().map(|(_, asked)| asked.clone()).collect()
    }

    /// When it was asked, since the start.
    pub(super) fn times(&self) -> Vec<Duration> {
        self.asked.lock().iter().map(|(at, _)| *at).collect()
    }

    async fn answer(&self, asked: Asked) -> Answer {
        let in_line = if let Asked::Acquire(seconds) = &asked { *seconds } else { 0 };
        self.asked.lock().push((Moment::now().since(self.start), asked));
        let answer = self.answers.lock().pop_front().unwrap_or_else(|| self.afterwards.clone());
        if matches!(answer, Err(Fault::Full { .. })) {
            tokio::time::sleep(Duration::from_secs(in_line)).await;
        }
        answer
    }
}

impl Server for Script {
    async fn acquire(&self, in_line: Duration) -> Result<Granted, Fault> {
        let session_id = self.answer(Asked::Acquire(in_line.as_secs())).await?.to_owned();
        Ok(Granted {
            session_id,
            expires_in: TTL_S,
            heartbeat_interval: INTERVAL_S,
            status: "active".to_owned(),
            fresh: true,
        })
    }

    async fn heartbeat(&self, session_id: &str) -> Result<Alive, Fault> {
        self.answer(Asked::Heartbeat(session_id.to_owned())).await?;
        Ok(Alive { expires_in: TTL_S, license_status: "active".to_owned() })
    }

    async fn release(&self, session_id: &str) -> Result<(), Fault> {
        self.answer(Asked::Release(session_id.to_owned())).await.map(drop)
    }
}

// As every other answer.
#[allow(clippy::unnecessary_wraps)]
pub(super) fn granted(session: &'static str) -> Answer {
    Ok(session)
}

#[allow(clippy::unnecessary_wraps)]
pub(super) fn alive() -> Answer {
    Ok("")
}

pub(super) fn full() -> Answer {
    let retry_after = Some(Duration::from_mins(5));
    Err(Fault::Full { seats: SeatCount { max: 1, used: 1 }, retry_after })
}

pub(super) fn away(retry_after_s: Option<u64>) -> Answer {
    let retry_after = retry_after_s.map(Duration::from_secs);
    Err(Fault::Away { cause: "no answer".to_owned(), retry_after })
}

pub(super) fn suspended() -> Answer {
    Err(Fault::Refused(Refusal { code: "license_suspended".to_owned(), detail: "Ask.".to_owned() }))
}
