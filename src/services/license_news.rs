//! What must hear of a licence's change as soon as it is on disk: the seat engine, those who
//! wait for a seat, and validations.

use std::sync::Arc;

use moka::sync::Cache;

use super::Services;
use super::desk::{Desk, WAITING_MAX};
use crate::clock::Clock;
use crate::domain::error::{Error, Result};
use crate::domain::license::License;
use crate::seats::Gate;
use crate::signing::license_key;
use crate::store::WriteTx;

/// Licences as validations saw them, by the form of their key.
pub(crate) type Seen = Cache<String, Arc<License>>;

/// Who is told.
struct Listeners {
    desk: Arc<Desk>,
    seen: Seen,
    clock: Clock,
}

impl Services {
    /// Runs a transaction that changes a licence, and tells of it when it is on disk.
    ///
    /// Both happen in a task of their own: a client that goes away after its request was sent to
    /// the writer must not leave a suspended licence with an engine that knows it as active.
    pub(super) async fn commit_license<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        license_of: fn(&T) -> Option<&License>,
    ) -> Result<T> {
        let store = self.store.clone();
        let listeners = Listeners {
            desk: Arc::clone(&self.desk),
            seen: self.licenses_seen.clone(),
            clock: self.clock.clone(),
        };
        let work = Arc::clone(&self.work);
        let task = tokio::spawn(async move {
            let answer = store.write(change).await?;
            if let Some(license) = license_of(&answer) {
                listeners.hear(license);
            }
            work.notify_one();
            Ok(answer)
        });
        task.await.map_err(Error::internal)?
    }
}

impl Listeners {
    fn hear(&self, license: &License) {
        let gate = Gate::from(license);
        self.desk.inner.lock().engine.configure(self.clock.now(), license.license_id, gate);
        let key = license_key::index_form(&license.license_key);
        keep_newest(&self.seen, key, &Arc::new(license.clone()));
        // A resize upwards admits those who wait.
        let room = license.max_concurrent_seats.min(WAITING_MAX as u32);
        if let Some((people, line)) = self.desk.lines.lock().by_license.get(&license.license_id) {
            for _ in 0..room.min(*people as u32) {
                line.notify_one();
            }
        }
    }
}

/// Who read an older revision may come after who wrote a newer one; that one stays.
pub(super) fn keep_newest(seen: &Seen, key: String, license: &Arc<License>) -> Arc<License> {
    let newest = |known: Option<moka::Entry<String, Arc<License>>>| match known {
        Some(known) if known.value().revision > license.revision => known.into_value(),
        _ => Arc::clone(license),
    };
    seen.entry(key).and_upsert_with(newest).into_value()
}
