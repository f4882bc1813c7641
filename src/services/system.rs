//! The appliance itself: settings, backups, readiness, metrics.

use std::sync::atomic::Ordering;

use tracing::Level;

use super::{Actor, Services};
use crate::config::SettingInfo;
use crate::domain::error::Result;
use crate::store::Health;
use crate::telemetry::LogLine;

impl Services {
    /// Every setting with its source, for operators.
    pub fn settings(&self, actor: &Actor) -> Result<Vec<SettingInfo>> {
        actor.require_operator()?;
        Ok(self.settings.clone())
    }

    /// At most `limit` of the newest log lines from before the line `before`, newest first, of this
    /// level or a graver one and with this text in them; for operators.
    pub fn log_lines(
        &self,
        actor: &Actor,
        level: Level,
        text: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LogLine>> {
        actor.require_operator()?;
        let text = text.to_lowercase();
        let says = |part: &str| part.to_lowercase().contains(&text);
        Ok(self.logs.newest(before, limit, |line| {
            line.level <= level
                && (text.is_empty()
                    || says(&line.message)
                    || says(&line.target)
                    || line.fields.iter().any(|(name, value)| says(name) || says(value)))
        }))
    }

    /// Why writes are refused, when they are.
    pub fn storage_trouble(&self) -> Option<String> {
        match self.store.health() {
            Health::Writable => None,
            Health::ReadOnly { why } => Some(why),
        }
    }

    /// Seconds since the start.
    pub fn uptime_s(&self) -> u64 {
        self.clock.now().mono.0.saturating_sub(self.started.mono.0) / 1_000
    }

    /// Seats of a licence in use now.
    pub fn seats_used(&self, id: crate::domain::ids::LicenseId) -> u32 {
        self.desk.used(self.clock.now(), id)
    }

    /// Everything measured, in the `OpenMetrics` text format.
    pub fn render_metrics(&self) -> Result<String> {
        let glance = self.glance()?;
        let seats = &self.metrics.seats;
        seats.live.set(glance.seats.seats as i64);
        seats.peak.set(glance.seats.peak_seats as i64);
        seats.licenses.set(glance.seats.pools as i64);
        seats.waiting.set(self.desk.waiting() as i64);
        // The engine counts; these follow it when somebody looks.
        seats.acquired.inner().store(glance.seats.granted, Ordering::Relaxed);
        seats.lapsed.inner().store(glance.seats.lapsed, Ordering::Relaxed);
        seats.denied.inner().store(glance.seats.denied, Ordering::Relaxed);
        self.metrics.passwords_waiting.set(self.hasher.waiting() as i64);
        self.metrics.jobs.waiting.set(glance.jobs_waiting as i64);
        self.metrics.jobs.parked.set(glance.jobs_parked as i64);
        Ok(self.metrics.render())
    }
}
