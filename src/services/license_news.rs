//! What must hear of a licence's change as soon as it is on disk: the seat engine, those who
//! wait for a seat, and validations.

use std::sync::Arc;

use moka::sync::Cache;

use super::Services;
use crate::domain::error::Result;
use crate::domain::ids::LicenseId;
use crate::domain::license::License;
use crate::store::WriteTx;

/// Licences as validations saw them.
pub(crate) type Seen = Cache<LicenseId, Arc<License>>;

impl Services {
    /// Runs a transaction that changes a licence, and tells of it when it is on disk. Whoever
    /// calls this must not be dropped in between: `api` finishes what it begins.
    pub(super) async fn commit_license<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        license_of: fn(&T) -> Option<&License>,
    ) -> Result<T> {
        let answer = self.commit(change).await?;
        if let Some(license) = license_of(&answer) {
            self.configure_gate(license);
            keep_newest(&self.licenses_seen, &Arc::new(license.clone()));
            // A resize upwards admits those who wait.
            self.desk.call_next(license.license_id, license.max_concurrent_seats);
        }
        Ok(answer)
    }
}

/// Who read an older revision may come after who wrote a newer one; that one stays.
pub(super) fn keep_newest(seen: &Seen, license: &Arc<License>) -> Arc<License> {
    let newest = |known: Option<moka::Entry<LicenseId, Arc<License>>>| match known {
        Some(known) if known.value().revision > license.revision => known.into_value(),
        _ => Arc::clone(license),
    };
    seen.entry(license.license_id).and_upsert_with(newest).into_value()
}
