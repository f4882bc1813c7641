//! A naive seat engine: its sessions stand in one vector, which it searches for everything.

use super::model::LICENSES;
use super::*;
use crate::domain::error::SeatCount;
use crate::seats::POOL_IDLE_MS;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Place {
    Nowhere,
    Queued(u64),
    Written(u64),
}

#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) license: LicenseId,
    pub(super) session: SessionId,
    pub(super) machine: String,
    pub(super) started: Timestamp,
    pub(super) heard: Timestamp,
    pub(super) deadline: u64,
    /// Grows with every sign of life, over all sessions.
    pub(super) heard_order: u64,
    pub(super) place: Place,
}

impl Holder {
    pub(super) fn acquired(&self) -> Event {
        Event::Acquired {
            license_id: self.license,
            session_id: self.session,
            hardware_id: self.machine.as_str().into(),
            started_at: self.started,
            last_heartbeat_at: self.heard,
            metadata: None,
        }
    }
}

/// What a licence allows, spelt out.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) revision: u64,
    pub(super) max: u32,
    pub(super) standings: Vec<(Timestamp, LicenseStatus)>,
}

impl Terms {
    pub(super) fn gate(&self) -> Gate {
        Gate {
            revision: self.revision,
            max_seats: self.max,
            schedule: Schedule::from_standings(&self.standings),
        }
    }

    pub(super) fn status(&self, wall: Timestamp) -> LicenseStatus {
        self.standings.iter().rfind(|(from, _)| *from <= wall).expect("a first standing").1
    }
}

/// The naive engine. Sessions stand in the order of their grants.
pub(super) struct Naive {
    pub(super) ttl: u64,
    pub(super) mono: u64,
    pub(super) holders: Vec<Holder>,
    pub(super) known: Vec<Option<Terms>>,
    pub(super) touched: Vec<u64>,
    pub(super) heard: u64,
    pub(super) counts: [u64; 4],
}

pub(super) const GRANTED: usize = 0;
pub(super) const DENIED: usize = 1;
pub(super) const REFUSED: usize = 2;
pub(super) const LAPSED: usize = 3;

impl Naive {
    pub(super) fn new(ttl: u64, mono: u64) -> Self {
        let pools = LICENSES as usize;
        Self {
            ttl,
            mono,
            holders: vec![],
            known: vec![None; pools],
            touched: vec![0; pools],
            heard: 0,
            counts: [0; 4],
        }
    }

    pub(super) fn hear(&mut self, at: usize, wall: Timestamp) {
        self.heard += 1;
        let (heard_order, deadline) = (self.heard, self.mono + self.ttl);
        let holder = &mut self.holders[at];
        (holder.heard, holder.deadline, holder.heard_order) = (wall, deadline, heard_order);
    }

    pub(super) fn find(&self, session: SessionId) -> Option<usize> {
        self.holders.iter().position(|holder| holder.session == session)
    }

    pub(super) fn free(&mut self, session: SessionId, reason: Reason, events: &mut Vec<Event>) {
        let holder = self.holders.remove(self.find(session).expect("held"));
        self.touched[index(holder.license)] = self.mono;
        self.counts[LAPSED] += u64::from(reason == Reason::Lapsed);
        events.push(Event::Released { license_id: holder.license, session_id: session, reason });
    }

    pub(super) fn lapse(&mut self, license: LicenseId, events: &mut Vec<Event>) {
        let mut over: Vec<_> = self
            .holders
            .iter()
            .filter(|h| h.license == license && h.deadline <= self.mono)
            .collect();
        over.sort_by_key(|holder| holder.heard_order);
        let over: Vec<_> = over.iter().map(|holder| holder.session).collect();
        for session in over {
            self.free(session, Reason::Lapsed, events);
        }
    }

    pub(super) fn learn(&mut self, license: LicenseId, told: Option<&Terms>) -> Option<Terms> {
        self.touched[index(license)] = self.mono;
        let known = &mut self.known[index(license)];
        let revision = |terms: &Option<Terms>| terms.as_ref().map(|terms| terms.revision);
        if told.map(|told| told.revision) >= revision(known) {
            *known = told.cloned();
        }
        known.clone()
    }

    pub(super) fn live(&self, license: LicenseId) -> impl Iterator<Item = &Holder> {
        self.holders
            .iter()
            .filter(move |holder| holder.license == license && holder.deadline > self.mono)
    }

    pub(super) fn acquire(
        &mut self,
        wall: Timestamp,
        ask: &Acquire<'_>,
        told: Option<&Terms>,
        events: &mut Vec<Event>,
    ) -> Acquisition {
        let license = ask.license_id;
        let Some(terms) = self.learn(license, told) else { return Acquisition::NeedsGate };
        self.lapse(license, events);
        let status = terms.status(wall);
        if !status.usable() {
            self.counts[REFUSED] += 1;
            return Acquisition::Refused { status };
        }
        let used = self.live(license).count() as u32;
        let grant = |holder: &Holder, used| Grant {
            session_id: holder.session,
            started_at: holder.started,
            remaining_ms: self.ttl,
            status,
            seats: SeatCount { max: terms.max, used },
            awaiting: if let Place::Queued(ticket) = holder.place { Some(ticket) } else { None },
        };
        if let Some(at) =
            self.holders.iter().position(|h| h.license == license && h.machine == ask.hardware_id)
        {
            let grant = grant(&self.holders[at], used);
            self.hear(at, wall);
            return Acquisition::AlreadyHeld(grant);
        }
        if used >= terms.max {
            self.counts[DENIED] += 1;
            let retry_in_ms = self.live(license).map(|holder| holder.deadline - self.mono).min();
            return Acquisition::Full { seats: SeatCount { max: terms.max, used }, retry_in_ms };
        }
        let holder = Holder {
            license,
            session: ask.session_id,
            machine: ask.hardware_id.to_owned(),
            started: wall,
            heard: wall,
            deadline: 0,
            heard_order: 0,
            place: Place::Nowhere,
        };
        let grant = grant(&holder, used + 1);
        events.push(holder.acquired());
        self.holders.push(holder);
        self.hear(self.holders.len() - 1, wall);
        self.counts[GRANTED] += 1;
        Acquisition::Granted(grant)
    }

    pub(super) fn live_or_lapse(
        &mut self,
        session: SessionId,
        events: &mut Vec<Event>,
    ) -> Option<usize> {
        let at = self.find(session)?;
        if self.holders[at].deadline <= self.mono {
            self.free(session, Reason::Lapsed, events);
            return None;
        }
        Some(at)
    }

    pub(super) fn heartbeat(
        &mut self,
        wall: Timestamp,
        session: SessionId,
        events: &mut Vec<Event>,
    ) -> Heartbeat {
        let Some(at) = self.live_or_lapse(session, events) else { return Heartbeat::NotFound };
        let license_id = self.holders[at].license;
        let Some(terms) = &self.known[index(license_id)] else {
            return Heartbeat::NeedsGate(license_id);
        };
        let status = terms.status(wall);
        if !status.usable() {
            self.counts[REFUSED] += 1;
            return Heartbeat::Refused { license_id, status };
        }
        self.hear(at, wall);
        Heartbeat::Alive { license_id, remaining_ms: self.ttl, status }
    }

    pub(super) fn give_back(
        &mut self,
        session: SessionId,
        of: Option<LicenseId>,
        reason: Reason,
        events: &mut Vec<Event>,
    ) -> Release {
        let owner = self.find(session).map(|at| self.holders[at].license);
        if of.is_some() && owner.is_some() && of != owner
            || self.live_or_lapse(session, events).is_none()
        {
            return Release::NotFound;
        }
        self.free(session, reason, events);
        Release::Released { license_id: owner.expect("found") }
    }

    /// Whether a gate that is known cannot have been forgotten by a sweep.
    pub(super) fn must_know(&self, license: LicenseId) -> bool {
        let at = index(license);
        let in_use = self.holders.iter().any(|holder| holder.license == license);
        self.known[at].is_some() && (in_use || self.touched[at] + POOL_IDLE_MS > self.mono)
    }
}

pub(super) fn index(license: LicenseId) -> usize {
    license.0.as_u128() as usize
}
