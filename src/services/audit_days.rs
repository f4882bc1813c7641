//! The end of each day's audit log, signed; and old entries removed so that the rest can still be proved.

use serde::Serialize;

use super::Services;
use super::housekeeping::BITE;
use crate::domain::audit::{Link, SignedHead};
use crate::domain::error::{Error, Result};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::signing::audit::{HEAD_TYP, HeadClaims};
use crate::signing::{Purpose, jws};
use crate::store::{Read, audit};

/// Days that are signed at one time; the rest waits an hour.
const DAYS_MAX: usize = 1_000;

impl Services {
    /// Signs the last entry of each day that is over and has entries nobody has signed yet. Does nothing
    /// while the key is still being made.
    pub(crate) async fn sign_audit_days(&self) -> Result<()> {
        for _ in 0..DAYS_MAX {
            if self.keys.current(Purpose::License).is_none() {
                return Ok(());
            }
            let now = self.clock.now().wall;
            let Some((day, link)) = self.store.read(|tx| unsigned_day(tx, now))? else {
                return Ok(());
            };
            let claims = HeadClaims {
                iss: self.issuer().to_owned(),
                iat: now.unix_seconds(),
                day: day.clone(),
                link: link.clone(),
            };
            let jws = self.sign_audit(HEAD_TYP, claims).await?;
            let head = SignedHead { day, link, signed_at: now, jws };
            self.commit(move |tx| audit::put_head(tx, &head)).await?;
        }
        Ok(())
    }

    /// Signs with the key that signs licences, under a type of its own: what is signed here can never be
    /// taken for a licence. Waits for the key where it is still being made.
    pub(super) async fn sign_audit(
        &self,
        typ: &'static str,
        claims: impl Serialize + Send + 'static,
    ) -> Result<String> {
        let key = self.keys.ready(Purpose::License).await;
        let _turn = self.signing.lock().await;
        tokio::task::spawn_blocking(move || jws::sign(&key, typ, &claims))
            .await
            .map_err(Error::internal)?
            .map_err(Error::internal)
    }

    /// Removes entries that are older than is kept, by whole days, and leaves an entry of that.
    pub(super) async fn remove_old_audit(&self) -> Result<()> {
        let mut removed = 0;
        loop {
            let ctx = self.ctx(crate::domain::audit::By::System);
            let kept = i64::from(ctx.config.retention.audit_days) * DAY_MS;
            let before = start_of_day(ctx.now + -kept);
            let so_far = removed;
            let bite = self
                .commit(move |tx| {
                    let bite = audit::remove_old(tx, before, BITE)?;
                    let entries = so_far + bite;
                    if bite < BITE && entries > 0 {
                        let anchor = audit::anchor(tx)?;
                        let told = [("entries", entries.to_string()), ("hash", anchor.hash)];
                        ctx.audit(tx, None, "audit.removed", anchor.seq, told)?;
                    }
                    Ok(bite)
                })
                .await?;
            removed += bite;
            if bite < BITE {
                return Ok(());
            }
        }
    }
}

/// The first day that has entries which are not signed, and its last entry. Today is not over.
fn unsigned_day(tx: &impl Read, now: Timestamp) -> Result<Option<(String, Link)>> {
    let (head, end) = (audit::last_head(tx)?, audit::end(tx)?);
    let signed = head.as_ref().map_or(0, |head| head.link.seq).max(audit::anchor(tx)?.seq);
    if end.seq <= signed {
        return Ok(None);
    }
    let (today, first) = (start_of_day(now), audit::get(tx, signed + 1)?.at);
    let (day, last) = if first >= today + DAY_MS {
        // The clock was ahead when this was written. It is signed once a day all the same, rather
        // than when that day comes.
        if head.is_some_and(|head| head.signed_at >= today) {
            return Ok(None);
        }
        (today, end.seq)
    } else {
        let day = start_of_day(first);
        if day >= today {
            return Ok(None);
        }
        (day, (audit::first_at(tx, day + DAY_MS)? - 1).clamp(signed + 1, end.seq))
    };
    let day = day.to_string().chars().take(10).collect();
    audit::link_before(tx, last + 1).map(|link| Some((day, link)))
}

fn start_of_day(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(DAY_MS) * DAY_MS)
}
