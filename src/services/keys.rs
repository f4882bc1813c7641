//! The signing keys: made, rotated, published.

use std::sync::Arc;

use super::{Actor, Services};
use crate::domain::audit::By;
use crate::domain::error::{Error, Result};
use crate::domain::job::{Job, Work};
use crate::domain::time::HOUR_MS;
use crate::signing::{KeyRecord, Purpose};
use crate::store::{WriteTx, jobs, logs};

impl Services {
    /// Makes the keys that are missing: those for tokens at once, the RSA key in the background,
    /// since it takes a second or more.
    pub async fn ensure_keys(self: &Arc<Self>) -> Result<()> {
        for purpose in [Purpose::Access, Purpose::Validation] {
            if self.keys.current(purpose).is_none() {
                self.renew_key(purpose, None).await?;
            }
        }
        if self.keys.current(Purpose::License).is_none() {
            let services = Arc::clone(self);
            tokio::spawn(async move {
                while let Err(error) = services.renew_key(Purpose::License, None).await {
                    tracing::error!(%error, "the signing key could not be made; trying again in 10 s");
                    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
                }
                tracing::info!("the RSA-4096 signing key is ready");
            });
        }
        Ok(())
    }

    /// Rotates the licence signing key on an operator's word. The old public key stays published.
    pub async fn rotate_license_key(&self, actor: &Actor) -> Result<KeyRecord> {
        actor.require_operator()?;
        self.renew_key(Purpose::License, Some(actor)).await
    }

    /// Rotates what is due, and looks again in an hour.
    pub async fn rotate_keys_due(&self, job: &Job) -> Result<()> {
        let now = self.clock.now().wall;
        for purpose in Purpose::ALL {
            if self.keys.rotation_due(purpose, now, self.config.keys.rotation_days) {
                self.renew_key(purpose, None).await?;
            }
        }
        let ctx = self.ctx(By::System);
        let job = job.clone();
        self.commit(move |tx| {
            jobs::remove(tx, &job)?;
            ctx.plan_job(tx, ctx.now + HOUR_MS, Work::RotateKeys)
        })
        .await
    }

    /// Makes a key, stores it, retires the one before, and signs with it from then on: stored
    /// first, so that what it signs can be verified after a crash.
    async fn renew_key(&self, purpose: Purpose, actor: Option<&Actor>) -> Result<KeyRecord> {
        let _one_at_a_time = self.renewing.lock().await;
        let (entropy, master, now) =
            (self.entropy.clone(), Arc::clone(&self.master), self.clock.now().wall);
        let fresh = tokio::task::spawn_blocking(move || {
            KeyRecord::generate(purpose, &entropy, now, &master)
        })
        .await
        .map_err(Error::internal)?
        .map_err(Error::internal)?;
        let mut records = vec![fresh.clone()];
        if let Some(old) = self.keys.current(purpose) {
            records.push(old.record().clone().retired(now));
        }
        let rows = records
            .iter()
            .map(|record| {
                Ok((record.kid.clone(), serde_json::to_value(record).map_err(Error::internal)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut ctx = actor.map_or_else(|| self.ctx(By::System), |actor| self.ctx_of(actor));
        ctx.now = now;
        let kid = fresh.kid.clone();
        let store = move |tx: &mut WriteTx<'_>| {
            for (kid, row) in &rows {
                logs::put_key(tx, kid, row)?;
            }
            ctx.audit(tx, None, "key.created", kid, [("purpose", purpose.as_str().to_owned())])
        };
        match actor {
            Some(actor) => self.commit(actor.guarded(store)).await?,
            None => self.commit(store).await?,
        }
        self.keys.insert_all(records, &self.master).map_err(Error::internal)?;
        Ok(fresh)
    }
}
