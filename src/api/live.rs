//! What has just changed, seats over time, and the newest log lines; for operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use poem::web::sse::Event;
use poem_openapi::param::Query;
use poem_openapi::payload::EventStream;
use poem_openapi::{Enum, Object, OpenApi, Union};
use serde::Serialize;
use tracing::Level;
use uuid::Uuid;

use super::auth::Person;
use super::json::Json;
use super::licenses::LicenseStatus;
use super::operator::Overview;
use super::wire::{Time, decode_cursor, encode_cursor};
use super::{Answer, Tag};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::LicenseId;
use crate::domain::page::PageRequest;
use crate::services::watch::{Glimpse, Look, Sample};
use crate::services::{Actor, Services};
use crate::telemetry::LogLine;

/// The calls of those who look on.
pub struct Live {
    /// The operations.
    pub services: Arc<Services>,
}

/// How often it is looked whether something has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Proxies end what is silent for longer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What changed, as it is now: the data of an event whose name says which it is.
#[derive(Union)]
pub enum Change {
    /// `overview`: its counts.
    Overview(Box<Overview>),
    /// `license`: the one that was asked about.
    License(LicenseChange),
}

/// A licence that has changed, or whose seats have.
#[derive(Object, Serialize)]
pub struct LicenseChange {
    /// Which.
    license_id: Uuid,
    /// Where it stands.
    status: LicenseStatus,
    /// Seats held.
    seats_used: u32,
    /// Grows with every change of the licence.
    revision: u64,
}

impl From<Glimpse> for LicenseChange {
    fn from(license: Glimpse) -> Self {
        Self {
            license_id: license.license_id.0,
            status: license.status.into(),
            seats_used: license.seats_used,
            revision: license.revision,
        }
    }
}

/// Seats at one time.
#[derive(Object, Serialize)]
pub struct SeatPoint {
    /// When.
    at: Time,
    /// The most seats held since the point before.
    live: u64,
    /// Seats refused since the point before because every one was held.
    denials: u64,
}

impl From<Sample> for SeatPoint {
    fn from(sample: Sample) -> Self {
        Self { at: sample.at.into(), live: sample.live, denials: sample.denials }
    }
}

/// Seats over the last day, as long as the server runs.
#[derive(Object, Serialize)]
pub struct SeatPoints {
    /// Oldest first, at most 720.
    items: Vec<SeatPoint>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// How grave a log line is.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something should be looked after.
    Warn,
    /// What was done.
    Info,
    /// What was done often.
    Debug,
    /// Everything.
    Trace,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => Self::Trace,
        }
    }
}

/// A log line.
#[derive(Object, Serialize)]
pub struct LogEntry {
    /// Counts the lines since the start.
    seq: u64,
    /// When.
    at: Time,
    /// How grave.
    level: LogLevel,
    /// Which part of the program.
    target: String,
    /// What happened.
    message: String,
    /// What else was said.
    fields: BTreeMap<String, String>,
}

impl From<LogLine> for LogEntry {
    fn from(line: LogLine) -> Self {
        Self {
            seq: line.seq,
            at: line.at.into(),
            level: line.level.into(),
            target: line.target,
            message: line.message,
            fields: line.fields,
        }
    }
}

/// Log lines that are in memory.
#[derive(Object, Serialize)]
pub struct LogList {
    /// Newest first.
    items: Vec<LogEntry>,
    /// Give it as `cursor` for older ones; null when there are none.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Operator")]
impl Live {
    /// What has just changed
    ///
    /// Server-sent events: `overview` at once and whenever a count changed, and with `license_id` also
    /// `license` when that licence or its seats changed; at most one of each a second. The stream ends with the
    /// sign-in that opened it, and after ten minutes: open another one.
    #[oai(path = "/events", method = "get", operation_id = "events")]
    async fn events(
        &self,
        person: Person,
        /// Look at this licence too.
        license_id: Query<Option<Uuid>>,
    ) -> Answer<EventStream<stream::BoxStream<'static, Change>>> {
        let place = self.services.look_on(&person.0)?;
        let looking = Looking {
            services: Arc::clone(&self.services),
            actor: person.0,
            license: license_id.0.map(LicenseId),
            overview: None,
            glimpse: None,
            looks_left: LOOKS,
            _place: place,
        };
        let changes = Box::pin(changes(looking));
        Ok(EventStream::new(changes as stream::BoxStream<'static, Change>)
            .keep_alive(KEEP_ALIVE)
            .to_event(to_event))
    }

    /// Seats over the last day
    #[oai(path = "/seats/history", method = "get", operation_id = "seat_history")]
    async fn seat_history(&self, person: Person) -> Answer<Json<SeatPoints>> {
        let points = self.services.seat_history(&person.0)?;
        let items = points.into_iter().map(SeatPoint::from).collect();
        Ok(Json(SeatPoints { items, next_cursor: None }))
    }

    /// The newest log lines
    ///
    /// The last 2,000 of this process, of the levels that `log.level` lets through.
    #[oai(path = "/logs", method = "get", operation_id = "list_logs")]
    async fn list_logs(
        &self,
        person: Person,
        /// Of this level and graver ones; left out: all.
        level: Query<Option<LogLevel>>,
        /// With this text in them.
        q: Query<Option<String>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<LogList>> {
        let limit = PageRequest::new(limit.0, None)?.limit;
        let before = log_cursor(cursor.0.as_deref())?;
        let level = level.0.map_or(Level::TRACE, Level::from);
        let text = q.0.unwrap_or_default();
        let mut lines = self.services.log_lines(&person.0, level, &text, before, limit + 1)?;
        let more = lines.len() > limit;
        lines.truncate(limit);
        let last = lines.last().filter(|_| more);
        let next_cursor = last.map(|line| encode_cursor(&line.seq.to_be_bytes()));
        Ok(Json(LogList { items: lines.into_iter().map(LogEntry::from).collect(), next_cursor }))
    }
}

fn log_cursor(cursor: Option<&str>) -> Result<Option<u64>> {
    let Some(bytes) = cursor.map(decode_cursor).transpose()? else { return Ok(None) };
    let bytes: [u8; 8] = bytes.try_into().map_err(|_| {
        Error::new(
            Code::InvalidCursor,
            "Give `cursor` as `next_cursor` of the page before, unchanged.",
        )
    })?;
    Ok(Some(u64::from_be_bytes(bytes)))
}

/// Looks of one stream: ten minutes.
const LOOKS: u32 = 600;

/// One who looks on.
struct Looking {
    services: Arc<Services>,
    actor: Actor,
    license: Option<LicenseId>,
    /// What was told last, as JSON.
    overview: Option<String>,
    glimpse: Option<Glimpse>,
    looks_left: u32,
    _place: tokio::sync::OwnedSemaphorePermit,
}

/// The changes as they happen, until who looks on may not any more or the server ends.
fn changes(looking: Looking) -> impl Stream<Item = Change> + Send {
    stream::unfold((looking, Vec::new()), |(mut looking, mut ready)| async move {
        loop {
            if let Some(change) = ready.pop() {
                return Some((change, (looking, ready)));
            }
            ready = looking.wait().await?;
        }
    })
}

impl Looking {
    /// The next changes; `None` at the end.
    async fn wait(&mut self) -> Option<Vec<Change>> {
        let mut ending = self.services.ending.subscribe();
        loop {
            if self.looks_left == 0 {
                return None;
            }
            if self.looks_left < LOOKS {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = ending.wait_for(Option::is_some) => return None,
                }
            }
            self.looks_left -= 1;
            let look = self.services.look(&self.actor, self.license).ok()??;
            let changes = self.changes(look);
            if !changes.is_empty() {
                return Some(changes);
            }
        }
    }

    fn changes(&mut self, look: Look) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(glimpse) = look.license
            && self.glimpse != Some(glimpse)
        {
            self.glimpse = Some(glimpse);
            changes.push(Change::License(glimpse.into()));
        }
        let mut overview = Overview::from(look.overview);
        let uptime = overview.without_uptime();
        let told = serde_json::to_string(&overview).ok();
        if told != self.overview {
            self.overview = told;
            overview.uptime_s = uptime;
            changes.push(Change::Overview(Box::new(overview)));
        }
        changes
    }
}

fn to_event(change: Change) -> Event {
    let (name, data) = match change {
        Change::Overview(overview) => ("overview", serde_json::to_string(&overview)),
        Change::License(license) => ("license", serde_json::to_string(&license)),
    };
    Event::message(data.unwrap_or_default()).event_type(name)
}
