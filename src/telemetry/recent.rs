//! The newest log lines, kept in memory for those who run the appliance.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock::Clock;
use crate::domain::time::Timestamp;

/// Lines that are kept.
const KEPT: usize = 2_000;
/// Longer texts are cut, in characters.
const TEXT_MAX: usize = 1_000;

/// A log line.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Counts the lines since the start.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// How grave.
    pub level: Level,
    /// Which part of the program.
    pub target: String,
    /// What happened.
    pub message: String,
    /// What else was said.
    pub fields: BTreeMap<String, String>,
}

/// The newest log lines. Clones share them.
#[derive(Clone)]
pub struct RecentLogs {
    lines: Arc<Mutex<Lines>>,
    clock: Clock,
}

#[derive(Default)]
struct Lines {
    next: u64,
    kept: VecDeque<LogLine>,
}

impl RecentLogs {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self { lines: Arc::default(), clock }
    }

    /// At most `limit` lines from before the line `before`, newest first, that `keep` keeps.
    pub fn newest(
        &self,
        before: Option<u64>,
        limit: usize,
        keep: impl Fn(&LogLine) -> bool,
    ) -> Vec<LogLine> {
        let lines = self.lines.lock();
        let older = lines.kept.iter().rev().filter(|line| before.is_none_or(|seq| line.seq < seq));
        older.filter(|line| keep(line)).take(limit).cloned().collect()
    }
}

impl<S: Subscriber> Layer<S> for RecentLogs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let at = self.clock.now().wall;
        let mut lines = self.lines.lock();
        let seq = lines.next;
        lines.next += 1;
        if lines.kept.len() == KEPT {
            lines.kept.pop_front();
        }
        lines.kept.push_back(LogLine {
            seq,
            at,
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            message: said.message,
            fields: said.fields,
        });
    }
}

#[derive(Default)]
struct Said {
    message: String,
    fields: BTreeMap<String, String>,
}

impl Said {
    fn note(&mut self, field: &Field, text: &str) {
        let text = text.chars().take(TEXT_MAX).collect();
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.insert(field.name().to_owned(), text);
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn the_newest_lines_are_kept_with_what_they_said() {
        let recent = RecentLogs::new(Clock::system());
        let subscriber = tracing_subscriber::registry().with(recent.clone());
        tracing::subscriber::with_default(subscriber, || {
            for nth in 0..KEPT + 5 {
                tracing::info!(nth, name = "x", "counted");
            }
            tracing::warn!("{}", "long".repeat(TEXT_MAX));
        });
        let all = recent.newest(None, usize::MAX, |_| true);
        assert_eq!(all.len(), KEPT);
        assert_eq!((all[0].level, all[0].message.len()), (Level::WARN, TEXT_MAX));
        let last = (KEPT + 4).to_string();
        assert_eq!((all[1].message.as_str(), &all[1].fields["nth"]), ("counted", &last));
        assert_eq!(all[1].fields["name"], "x");
        let older = recent.newest(Some(all[1].seq), 2, |line| line.level == Level::INFO);
        assert_eq!(older.iter().map(|line| line.seq).collect::<Vec<_>>(), [all[2].seq, all[3].seq]);
    }
}
