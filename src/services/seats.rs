//! Seats: the engine behind one lock, made durable through the store's seat log.
//!
//! A command changes the engine and enqueues its events under the same lock, so the
//! log has the engine's order; the caller is answered when its record is on disk.
//! Heartbeats touch memory alone.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::customers::{Owned, customer};
use super::desk::clean_some;
use super::licenses::{check_hardware_id, check_metadata, unknown_key, visible};
use super::{Actor, Services};
use crate::domain::error::{Code, Error, Result, SeatCount, found};
use crate::domain::ids::{LicenseId, SessionId};
use crate::domain::license::{License, LicenseStatus};
use crate::domain::organisation::Permission;
use crate::domain::time::{Now, Timestamp};
use crate::seats::{
    Acquire, Acquisition, Cursor, Engine, Event, Gate, Grant, Heartbeat, Release, SessionView,
};
use crate::store::{self, Read, licenses};

/// The log is cleaned once it holds this many events more than twice the live seats.
const LOG_SLACK_EVENTS: u64 = 20_000;
/// Seats taken back while the lock is held.
const EVICTED_AT_ONCE: usize = 200;
/// Transactions of one cleaning.
const CLEANINGS_MAX: usize = 100;

/// An application asks for a seat.
pub struct AcquireInput {
    /// The credential.
    pub license_key: String,
    /// What the application knows the machine by; 1 to 256 bytes.
    pub hardware_id: String,
    /// The application's own notes.
    pub metadata: BTreeMap<String, String>,
    /// How long to wait in line when every seat is held, in seconds.
    pub wait_seconds: u32,
}

/// A seat, as its holder is told.
#[derive(Debug)]
pub struct Seat {
    /// The bearer secret for heartbeat and release.
    pub session_id: SessionId,
    /// Whose seat.
    pub license_id: LicenseId,
    /// The machine that holds it.
    pub hardware_id: String,
    /// When it was granted.
    pub started_at: Timestamp,
    /// When it lapses unless the holder is heard from.
    pub expires_at: Timestamp,
    /// The same in milliseconds from now.
    pub remaining_ms: u64,
    /// How full the licence is.
    pub seats: SeatCount,
    /// Active or grace.
    pub status: LicenseStatus,
    /// Whether it was granted just now, rather than held already.
    pub fresh: bool,
}

/// What a heartbeat answers.
pub struct Beat {
    /// When the seat lapses unless the holder is heard from again.
    pub expires_at: Timestamp,
    /// The same in milliseconds from now.
    pub remaining_ms: u64,
    /// Active or grace.
    pub status: LicenseStatus,
}

/// A page of sessions and the time they were read at.
pub struct Sessions {
    /// The sessions; each with its licence's key and whose that is, where those were asked for.
    pub items: Vec<(SessionView, Option<Owned<String>>)>,
    /// Where the next page starts.
    pub next: Option<Cursor>,
    /// The calendar time of the reading.
    pub now: Timestamp,
}

/// What one attempt at a seat came to.
enum Attempt {
    Seat(Seat),
    Full { seats: SeatCount, retry_in_ms: Option<u64> },
}

impl Services {
    /// Takes a seat, or answers with the one this machine holds already.
    ///
    /// # Errors
    /// `NoSeatsAvailable` with the time until the first seat can lapse; `LicenseNotFound`,
    /// `LicenseSuspended` and the like; `StorageUnavailable` when the grant could not be made durable.
    pub async fn acquire(&self, input: AcquireInput) -> Result<Seat> {
        check_hardware_id(&input.hardware_id)?;
        check_metadata(&input.metadata)?;
        let longest = self.config.seats.max_wait_s;
        if input.wait_seconds > longest {
            return Err(Error::invalid("wait_seconds", format!("must be at most {longest}")));
        }
        let license_id = self.license_id_of(&input.license_key)?;
        let (seats, retry_in_ms) = match self.try_acquire(license_id, &input).await? {
            Attempt::Seat(seat) => return Ok(seat),
            Attempt::Full { seats, retry_in_ms } => (seats, retry_in_ms),
        };
        if input.wait_seconds == 0 {
            return Err(no_seats(seats, retry_in_ms));
        }
        self.acquire_in_line(license_id, &input).await
    }

    /// Waits for a seat: whenever one is freed the first in line tries again, and everybody does
    /// when the first seat can lapse.
    async fn acquire_in_line(&self, license_id: LicenseId, input: &AcquireInput) -> Result<Seat> {
        let place = self.desk.join_line(license_id)?;
        let until = tokio::time::Instant::now() + Duration::from_secs(input.wait_seconds.into());
        loop {
            let called = place.line.notified();
            self.desk.lines_are_open()?;
            let (seats, retry_in_ms) = match self.try_acquire(license_id, input).await? {
                Attempt::Seat(seat) => return Ok(seat),
                Attempt::Full { seats, retry_in_ms } => (seats, retry_in_ms),
            };
            let now = tokio::time::Instant::now();
            if now >= until {
                return Err(no_seats(seats, retry_in_ms));
            }
            let lapse = now + Duration::from_millis(retry_in_ms.unwrap_or(60_000).max(1));
            // Either way it is time to look again.
            let _ = tokio::time::timeout_at(until.min(lapse), called).await;
        }
    }

    async fn try_acquire(&self, license_id: LicenseId, input: &AcquireInput) -> Result<Attempt> {
        let metadata = if input.metadata.is_empty() {
            None
        } else {
            Some(serde_json::to_string(&input.metadata).map_err(Error::internal)?)
        };
        let session_id = SessionId(self.entropy.secret_id());
        let mut gate = None;
        loop {
            let ask = Acquire {
                license_id,
                gate,
                hardware_id: &input.hardware_id,
                session_id,
                metadata: metadata.as_deref(),
            };
            let ((now, outcome), ticket) = self.desk.command(&self.store, |engine, events| {
                let now = self.clock.now();
                (now, engine.acquire(now, &ask, events))
            })?;
            let (grant, fresh) = match outcome {
                Acquisition::NeedsGate => {
                    gate = Some(Gate::from(&self.load_license(license_id)?));
                    continue;
                }
                Acquisition::Granted(grant) => (grant, true),
                Acquisition::AlreadyHeld(grant) => (grant, false),
                Acquisition::Full { seats, retry_in_ms } => {
                    self.desk.arrive(ticket).await?;
                    return Ok(Attempt::Full { seats, retry_in_ms });
                }
                Acquisition::Refused { status } => {
                    self.desk.arrive(ticket).await?;
                    status.require_usable()?;
                    return Err(Error::internal("the engine refused a usable licence"));
                }
            };
            self.desk.arrive(ticket).await?;
            if let Some(ticket) = grant.awaiting {
                self.store.wait_durable(ticket).await?;
            }
            return Ok(Attempt::Seat(seat(
                license_id,
                &input.hardware_id,
                now.wall,
                &grant,
                fresh,
            )));
        }
    }

    /// The holder was heard from: its seat lives another full time to live.
    pub fn heartbeat(&self, session_id: SessionId) -> Result<Beat> {
        loop {
            let (now, outcome) = {
                let mut inner = self.desk.inner.lock();
                let now = self.clock.now();
                let mut events = Vec::new();
                let outcome = inner.engine.heartbeat(now, session_id, &mut events);
                // A lapse that is noticed here need not be durable before it is told: a restart
                // may only give the seat a little longer. It goes with the next record.
                inner.outbox.extend(events);
                (now, outcome)
            };
            match outcome {
                Heartbeat::Alive { remaining_ms, status, .. } => {
                    let expires_at = now.wall + remaining_ms as i64;
                    return Ok(Beat { expires_at, remaining_ms, status });
                }
                Heartbeat::Refused { status, .. } => {
                    status.require_usable()?;
                    return Err(Error::internal("the engine refused a usable licence"));
                }
                Heartbeat::NotFound => return Err(no_session()),
                Heartbeat::NeedsGate(license_id) => {
                    self.configure_gate(&self.load_license(license_id)?);
                }
            }
        }
    }

    /// The holder gives its seat back.
    pub async fn release(&self, session_id: SessionId) -> Result<()> {
        self.free(|engine, now, events| engine.release(now, session_id, events)).await
    }

    /// Takes a seat back from its holder, who hears of it at its next heartbeat.
    pub async fn evict(
        &self,
        actor: &Actor,
        license_id: LicenseId,
        session_id: SessionId,
    ) -> Result<()> {
        let license =
            self.store.read(|tx| visible(tx, actor, license_id, Permission::LicensesManage))?;
        let held = self.desk.inner.lock().engine.session(self.clock.now(), session_id);
        if held.is_none_or(|seat| seat.license_id != license_id) {
            return Err(no_session());
        }
        // First, so that no seat is taken back without a trace of who did it.
        let ctx = self.ctx_of(actor);
        let org_id = Some(license.org_id);
        let noted = actor.guarded(move |tx| ctx.audit(tx, org_id, "seat.evicted", license_id, []));
        self.commit(noted).await?;
        self.free(|engine, now, events| engine.evict(now, license_id, session_id, events)).await
    }

    /// Frees the seat a machine holds, if any.
    pub(super) async fn evict_machine(
        &self,
        license_id: LicenseId,
        hardware_id: &str,
    ) -> Result<()> {
        let held = {
            let inner = self.desk.inner.lock();
            inner.engine.session_of(self.clock.now(), license_id, hardware_id)
        };
        let Some(session_id) = held else { return Ok(()) };
        match self
            .free(|engine, now, events| engine.evict(now, license_id, session_id, events))
            .await
        {
            Err(error) if error.code == Code::SessionNotFound => Ok(()),
            other => other,
        }
    }

    async fn free(
        &self,
        command: impl FnOnce(&mut Engine, Now, &mut Vec<Event>) -> Release,
    ) -> Result<()> {
        let (outcome, ticket) = self
            .desk
            .command(&self.store, |engine, events| command(engine, self.clock.now(), events))?;
        self.desk.arrive(ticket).await?;
        match outcome {
            Release::Released { .. } => Ok(()),
            Release::NotFound => Err(no_session()),
        }
    }

    /// Who holds the seats of a licence; one's own machines where the role shows no others.
    pub fn sessions(
        &self,
        actor: &Actor,
        id: LicenseId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Sessions> {
        let license = self.store.read(|tx| visible(tx, actor, id, Permission::LicensesRead))?;
        let now = self.clock.now();
        let mut page = self.desk.inner.lock().engine.sessions(now, id, after, limit);
        if !actor.may(Permission::SeatsRead) {
            let own = |hardware_id: &str| {
                let bound = self
                    .store
                    .read(|tx| store::org(tx, license.org_id).activation(id, hardware_id));
                bound.map(|bound| bound.is_some_and(|it| it.user_id == Some(actor.user_id)))
            };
            let mut mine = Vec::new();
            for seat in page.items {
                if own(&seat.hardware_id)? {
                    mine.push(seat);
                }
            }
            page.items = mine;
        }
        let items = page.items.into_iter().map(|view| (view, None)).collect();
        Ok(Sessions { items, next: page.next, now: now.wall })
    }

    /// Who holds seats, over all licences, for operators.
    pub fn all_sessions(
        &self,
        actor: &Actor,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Sessions> {
        actor.require_operator()?;
        let now = self.clock.now();
        let page = self.desk.inner.lock().engine.all_sessions(now, after, limit);
        let mut known: HashMap<LicenseId, Option<Owned<String>>> = HashMap::new();
        let items = self.store.read(|tx| {
            let mut items = Vec::with_capacity(page.items.len());
            for view in page.items {
                let id = view.license_id;
                let owned = match known.entry(id) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(key_and_customer(tx, id)?),
                };
                items.push((view, owned.clone()));
            }
            Ok(items)
        })?;
        Ok(Sessions { items, next: page.next, now: now.wall })
    }

    pub(super) fn configure_gate(&self, license: &License) {
        let mut inner = self.desk.inner.lock();
        inner.engine.configure(self.clock.now(), license.license_id, Gate::from(license));
    }

    /// Frees what has lapsed, so that counts and the log are tidy and those who wait are called.
    pub fn sweep(&self) {
        while self.desk.sweep(&self.store, self.clock.now()) {}
    }

    /// Shortens the log: what still lives in its oldest records is written anew, and they go.
    /// The cost follows the number of events, never the number of seats. What is not done within
    /// a bounded time is left for the next time.
    pub async fn clean_log(self: &Arc<Self>) -> Result<()> {
        for _ in 0..CLEANINGS_MAX {
            let (logged, live) = {
                let inner = self.desk.inner.lock();
                (inner.logged, inner.engine.totals().seats as u64)
            };
            if logged <= 2 * live + LOG_SLACK_EVENTS {
                return Ok(());
            }
            let services = Arc::clone(self);
            let (removed, relogged, seq) =
                self.store.write(move |tx| clean_some(&services.desk, tx)).await?;
            if removed == 0 {
                return Ok(());
            }
            let mut inner = self.desk.inner.lock();
            inner.logged = (inner.logged + relogged.len() as u64).saturating_sub(removed);
            if let Some(seq) = seq {
                for session_id in &relogged {
                    inner.engine.set_log_seq(*session_id, seq);
                }
            }
        }
        Ok(())
    }

    pub(super) fn license_id_of(&self, text: &str) -> Result<LicenseId> {
        // What a key opens never changes, however it is typed, so this look-up cannot be stale.
        if let Some(license_id) = self.licenses_by_key.get(text) {
            return Ok(license_id);
        }
        let license_id = self.license_by_key(text)?.license_id;
        self.licenses_by_key.insert(text.to_owned(), license_id);
        Ok(license_id)
    }

    pub(super) fn load_license(&self, id: LicenseId) -> Result<License> {
        let there = self.store.read(|tx| {
            let org_id = licenses::org_of(tx, id)?;
            store::org(tx, org_id).license(id)
        });
        // It may have gone with its organisation since its key was looked up.
        found(there)?.ok_or_else(unknown_key)
    }

    /// Takes back every seat of a licence.
    pub(super) async fn evict_all(&self, license_id: LicenseId) -> Result<()> {
        loop {
            let (left, ticket) = self.desk.command(&self.store, |engine, events| {
                let now = self.clock.now();
                let page = engine.sessions(now, license_id, None, EVICTED_AT_ONCE);
                for seat in &page.items {
                    engine.evict(now, license_id, seat.session_id, events);
                }
                page.items.len()
            })?;
            self.desk.arrive(ticket).await?;
            if left < EVICTED_AT_ONCE {
                return Ok(());
            }
        }
    }
}

fn seat(
    license_id: LicenseId,
    hardware_id: &str,
    wall: Timestamp,
    grant: &Grant,
    fresh: bool,
) -> Seat {
    Seat {
        session_id: grant.session_id,
        license_id,
        hardware_id: hardware_id.to_owned(),
        started_at: grant.started_at,
        expires_at: wall + grant.remaining_ms as i64,
        remaining_ms: grant.remaining_ms,
        seats: grant.seats,
        status: grant.status,
        fresh,
    }
}

fn no_seats(seats: SeatCount, retry_in_ms: Option<u64>) -> Error {
    let mut error = Error::new(
        Code::NoSeatsAvailable,
        format!(
            "All {} seats of this licence are in use. Wait for one to be released or to lapse.",
            seats.max
        ),
    );
    error.seats = Some(seats);
    error.retry_after_s = retry_in_ms.map(|ms| ms.div_ceil(1_000).max(1) as u32);
    error
}

fn no_session() -> Error {
    Error::new(
        Code::SessionNotFound,
        "There is no such session: it was released, taken back, or lapsed. Acquire a seat again.",
    )
}

/// The key of a licence, and whose it is.
fn key_and_customer(tx: &impl Read, id: LicenseId) -> Result<Option<Owned<String>>> {
    let Some(org_id) = found(licenses::org_of(tx, id))? else { return Ok(None) };
    let license = store::org(tx, org_id).license(id)?;
    let customer = customer(tx, org_id, Some(license.user_id))?;
    Ok(Some((license.license_key, customer)))
}
