//! The appliance itself: settings, backups, readiness, metrics.

use std::sync::atomic::Ordering;

use super::{Actor, Services};
use crate::config::SettingInfo;
use crate::domain::error::Result;
use crate::store::Health;

impl Services {
    /// Every setting with its source, for operators.
    pub fn settings(&self, actor: &Actor) -> Result<Vec<SettingInfo>> {
        actor.require_operator()?;
        Ok(self.settings.clone())
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
