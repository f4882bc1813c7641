//! The appliance itself: settings, backups, readiness, metrics.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::{Actor, Services};
use crate::config::SettingInfo;
use crate::domain::audit::By;
use crate::domain::error::{Error, Result};
use crate::store::{BackupInfo, Health};

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

    /// Writes a consistent copy of the running database.
    ///
    /// # Errors
    /// When there is such a file already: a backup, or the database itself, is not to be lost to
    /// a slip of the pen.
    pub async fn backup(&self, to: &Path) -> Result<BackupInfo> {
        if to.exists() {
            let path = to.display();
            return Err(Error::internal(format!(
                "{path} exists already; a backup replaces nothing"
            )));
        }
        let (store, file) = (self.store.clone(), to.to_owned());
        let info = tokio::task::spawn_blocking(move || store.backup(&file, |_| ()))
            .await
            .map_err(Error::internal)??;
        let ctx = self.ctx(By::System);
        let file = to.display().to_string();
        self.commit(move |tx| ctx.audit(tx, None, "backup.made", file, [])).await?;
        Ok(info)
    }

    /// Makes a backup in the data directory, for operators; its name and size.
    pub async fn backup_to_data(&self, actor: &Actor) -> Result<(String, u64)> {
        actor.require_operator()?;
        let now = self.clock.now().wall;
        let stamp = now.to_string().replace([':', '.'], "-");
        // Two backups of one instant, or of a calendar that was set back, must not meet.
        let apart = u32::from_be_bytes(self.entropy.bytes());
        let name = format!("coditect-{stamp}-{apart:08x}.backup");
        let info = self.backup(&self.backups.join(&name)).await?;
        Ok((name, info.bytes))
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
