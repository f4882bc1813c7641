//! The engine against a naive one over random histories.
//!
//! A [`History`] drives both with the same commands, plays the caller's part of the durable log
//! (groups of commits, commits that fail and reach the disk all the same, cleaning, crashes), and
//! compares every answer, every event and everything that can be read. After a crash no seat that
//! was acknowledged is lost, none that had ended is back, and no licence has more than it ever had.

use super::naive::{Holder, Naive, Place, Terms, index};
use super::*;
use crate::seats::{Cursor, POOL_IDLE_MS, Page, decode_all};

pub(super) const LICENSES: u128 = 3;
const MACHINES: usize = 6;
const HISTORIES: u64 = 10_000;
const COMMANDS: usize = 80;

/// xorshift64*: enough for choosing commands.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % bound
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

struct History {
    dice: Dice,
    engine: Engine,
    naive: Naive,
    now: Now,
    /// The terms of each licence as its record has them, and the most seats it ever had.
    terms: Vec<(Terms, u32)>,
    sessions: Vec<SessionId>,
    /// Events that no commit has taken yet.
    queue: Vec<Event>,
    /// The disk: records by sequence number.
    log: Vec<(u64, Vec<u8>)>,
    /// Sessions whose grant is durable, and sessions whose end is.
    acknowledged: Vec<SessionId>,
    ended: Vec<SessionId>,
    next_seq: u64,
    next_ticket: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let ttl = [10_000, SEAT_TTL_MS][dice.below(2)];
        let standings = vec![(Timestamp(i64::MIN), LicenseStatus::Active)];
        let terms = Terms { revision: 1, max: 2, standings };
        Self {
            dice,
            engine: Engine::new(ttl),
            naive: Naive::new(ttl, 0),
            now: Now { wall: NEW_YEAR, mono: Mono(0) },
            terms: vec![(terms, 2); LICENSES as usize],
            sessions: Vec::new(),
            queue: Vec::new(),
            log: Vec::new(),
            acknowledged: Vec::new(),
            ended: Vec::new(),
            next_seq: 1,
            next_ticket: 1,
        }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..30 => self.acquire(),
            30..50 => self.heartbeat(),
            50..58 => self.give_back(),
            58..76 => self.pass(),
            76..80 => self.change_terms(),
            80..84 => self.sweep(),
            84..92 => self.commit(),
            92..96 => self.clean(),
            96..98 => self.crash(),
            _ => {
                self.now.wall =
                    self.now.wall + (self.dice.below(2_000_000_000) as i64 - 1_000_000_000);
            }
        }
        self.compare();
    }

    fn any_license(&mut self) -> LicenseId {
        license(self.dice.below(LICENSES as usize) as u128)
    }

    /// A session that was granted at some time, or one that never was.
    fn any_session(&mut self) -> SessionId {
        match self.sessions.len() {
            0 => session(0),
            _ if self.dice.chance(3) => session(0),
            // Mostly one of the latest, which may be live.
            len => self.sessions[len - 1 - self.dice.below(len.min(8))],
        }
    }

    fn acquire(&mut self) {
        let license_id = self.any_license();
        let mut told = self.terms[index(license_id)].0.clone();
        let must_know = self.naive.must_know(license_id);
        if must_know && self.dice.chance(20) {
            (told.revision, told.max) = (told.revision - 1, told.max + 3);
        }
        // Where the sweep may or may not have forgotten the gate, the two would differ by right.
        let unsure = !must_know && self.naive.known[index(license_id)].is_some();
        let told = Some(told).filter(|_| unsure || self.dice.chance(70));
        let machine = format!("machine {}", self.dice.below(MACHINES));
        let session_id = session(self.sessions.len() as u128 + 1);
        self.sessions.push(session_id);
        let ask = Acquire {
            license_id,
            gate: told.as_ref().map(Terms::gate),
            hardware_id: &machine,
            session_id,
            metadata: None,
        };
        let (mut events, mut expected) = (Vec::new(), Vec::new());
        let outcome = self.engine.acquire(self.now, &ask, &mut events);
        assert_eq!(outcome, self.naive.acquire(self.now.wall, &ask, told.as_ref(), &mut expected));
        assert_eq!(events, expected);
        self.queue.append(&mut events);
        if let Acquisition::Granted(_) = outcome {
            self.engine.set_ticket(session_id, self.next_ticket);
            let at = self.naive.find(session_id).expect("granted");
            self.naive.holders[at].place = Place::Queued(self.next_ticket);
            self.next_ticket += 1;
        }
    }

    fn heartbeat(&mut self) {
        let session_id = self.any_session();
        let (mut events, mut expected) = (Vec::new(), Vec::new());
        let outcome = self.engine.heartbeat(self.now, session_id, &mut events);
        assert_eq!(outcome, self.naive.heartbeat(self.now.wall, session_id, &mut expected));
        assert_eq!(events, expected);
        self.queue.append(&mut events);
        if let Heartbeat::NeedsGate(license_id) = outcome {
            self.tell_terms(license_id);
        }
    }

    fn give_back(&mut self) {
        let session_id = self.any_session();
        let (mut events, mut expected) = (Vec::new(), Vec::new());
        let (outcome, naive) = if self.dice.chance(70) {
            let outcome = self.engine.release(self.now, session_id, &mut events);
            (outcome, self.naive.give_back(session_id, None, Reason::Released, &mut expected))
        } else {
            let license_id = self.any_license();
            let outcome = self.engine.evict(self.now, license_id, session_id, &mut events);
            (
                outcome,
                self.naive.give_back(session_id, Some(license_id), Reason::Evicted, &mut expected),
            )
        };
        assert_eq!((outcome, &events), (naive, &expected));
        self.queue.append(&mut events);
    }

    /// Time goes on: a little, to a deadline exactly or just short of it, or far; or the caller errs.
    fn pass(&mut self) {
        let mono = self.now.mono.0;
        let deadlines: Vec<u64> = self.naive.holders.iter().map(|holder| holder.deadline).collect();
        let to = match self.dice.below(10) {
            0..4 if !deadlines.is_empty() => deadlines[self.dice.below(deadlines.len())],
            4 if !deadlines.is_empty() => deadlines[self.dice.below(deadlines.len())] - 1,
            5 => mono.saturating_sub(5_000),
            6 => mono + POOL_IDLE_MS * 2,
            _ => mono + self.dice.below(self.naive.ttl as usize / 4) as u64,
        };
        self.now.mono = Mono(to);
        self.now.wall = self.now.wall + (to as i64 - mono as i64);
        self.naive.mono = self.naive.mono.max(to);
        self.tell_time();
    }

    /// Reading leaves no trace in the engine, the time read at included; a command does.
    fn tell_time(&mut self) {
        self.engine.sweep(self.now, 0, &mut Vec::new());
    }

    fn change_terms(&mut self) {
        let license_id = self.any_license();
        let wall = self.now.wall;
        let standings = match self.dice.below(6) {
            0 => vec![(Timestamp(i64::MIN), LicenseStatus::Suspended)],
            1 => vec![
                (Timestamp(i64::MIN), LicenseStatus::Active),
                (wall + 5_000, LicenseStatus::Expired),
            ],
            2 => vec![
                (Timestamp(i64::MIN), LicenseStatus::Active),
                (wall + 1_000, LicenseStatus::Grace),
                (wall + 400_000, LicenseStatus::Suspended),
            ],
            _ => vec![(Timestamp(i64::MIN), LicenseStatus::Active)],
        };
        let max = self.dice.below(5) as u32;
        let (terms, most) = &mut self.terms[index(license_id)];
        *terms = Terms { revision: terms.revision + 1, max, standings };
        // A gate of the revision before with more seats may be told as stale; it never counts.
        *most = max.max(*most);
        self.tell_terms(license_id);
    }

    fn tell_terms(&mut self, license_id: LicenseId) {
        let terms = self.terms[index(license_id)].0.clone();
        assert!(self.engine.configure(self.now, license_id, terms.gate()));
        self.naive.learn(license_id, Some(&terms));
        let older = Terms { revision: terms.revision - 1, max: 9, ..terms };
        assert!(!self.engine.configure(self.now, license_id, older.gate()));
    }

    fn sweep(&mut self) {
        let budget = [1, 2, 1_000][self.dice.below(3)];
        let mut events = Vec::new();
        let more = self.engine.sweep(self.now, budget, &mut events);
        assert!(events.len() <= budget);
        for event in &events {
            let at = self.naive.find(event.session_id()).expect("only held seats are freed");
            assert!(
                self.naive.holders[at].deadline <= self.naive.mono,
                "only lapsed seats are freed"
            );
            let mut expected = Vec::new();
            self.naive.free(event.session_id(), Reason::Lapsed, &mut expected);
            assert_eq!(expected, std::slice::from_ref(event));
        }
        let left = self.naive.holders.iter().any(|holder| holder.deadline <= self.naive.mono);
        assert!(more || !left, "a sweep that is done leaves nothing that lapsed");
        self.queue.append(&mut events);
    }

    fn commit(&mut self) {
        self.commit_with(&[], false);
    }

    /// One record takes everything that waits, and what is written anew. Sometimes the commit
    /// fails, and of those that are reported as failed some have reached the disk.
    fn commit_with(&mut self, anew: &[Event], oldest_goes: bool) {
        let queued = std::mem::take(&mut self.queue);
        let failed = self.dice.chance(25);
        if !failed || self.dice.chance(40) {
            self.write(queued.iter().chain(anew));
            if oldest_goes {
                self.log.remove(0);
            }
        }
        if failed { self.give_up(queued) } else { self.note_written(queued.iter().chain(anew)) }
    }

    fn write<'a>(&mut self, events: impl Iterator<Item = &'a Event>) {
        let mut record = Vec::new();
        for event in events {
            event.encode(&mut record);
        }
        self.log.push((self.next_seq, record));
        self.next_seq += 1;
    }

    /// The caller learns that the record is on disk, and nearly always tells the engine so.
    fn note_written<'a>(&mut self, events: impl Iterator<Item = &'a Event>) {
        let seq = self.next_seq - 1;
        for event in events {
            if let Event::Released { session_id, .. } = event {
                self.ended.push(*session_id);
                continue;
            }
            self.acknowledged.push(event.session_id());
            if self.dice.chance(10) {
                continue;
            }
            self.engine.set_log_seq(event.session_id(), seq);
            if let Some(at) = self.naive.find(event.session_id()) {
                self.naive.holders[at].place = Place::Written(seq);
            }
        }
    }

    /// The grants of a failed record are undone; what it released goes into the next one.
    fn give_up(&mut self, events: Vec<Event>) {
        let mut undone = Vec::new();
        for event in events {
            if let Event::Acquired { session_id, .. } = event {
                let (mut here, mut expected) = (Vec::new(), Vec::new());
                let took = self.engine.undo_acquire(session_id, &mut here);
                let naive = self.naive.find(session_id).map(|at| self.naive.holders[at].place);
                assert_eq!(took, matches!(naive, Some(Place::Nowhere | Place::Queued(_))));
                if took {
                    self.naive.free(session_id, Reason::Undone, &mut expected);
                }
                assert_eq!(here, expected);
                undone.append(&mut here);
            } else {
                self.queue.push(event);
            }
        }
        self.queue.append(&mut undone);
    }

    /// The oldest record goes, after what lives in it was written anew.
    fn clean(&mut self) {
        let Some((seq, record)) = self.log.first().cloned() else { return };
        let old = decode_all(&record).expect("what was written can be read");
        let anew = self.engine.relog(seq, &old);
        let lives_here = |event: &Event| match event {
            Event::Acquired { session_id, .. } => {
                let holder = &self.naive.holders[self.naive.find(*session_id)?];
                let later = matches!(holder.place, Place::Written(known) if known > seq);
                (!later).then(|| holder.acquired())
            }
            Event::Released { .. } => None,
        };
        assert_eq!(anew, old.iter().filter_map(lives_here).collect::<Vec<_>>());
        self.commit_with(&anew, true);
    }

    /// What is in memory is lost; a new engine replays the log.
    fn crash(&mut self) {
        self.queue.clear();
        let held = std::mem::take(&mut self.naive.holders);
        let ttl = self.naive.ttl;
        self.now.mono = Mono(self.dice.below(1_000_000) as u64);
        self.engine = Engine::new(ttl);
        self.naive = Naive::new(ttl, self.now.mono.0);
        let mut holders: Vec<Holder> = Vec::new();
        for (seq, record) in &self.log {
            let events = decode_all(record).expect("what was written can be read");
            self.engine.restore(self.now, *seq, events.clone());
            for event in events {
                holders.retain(|holder| holder.session != event.session_id());
                let Event::Acquired {
                    license_id,
                    session_id,
                    hardware_id,
                    started_at,
                    last_heartbeat_at,
                    ..
                } = event
                else {
                    continue;
                };
                holders.retain(|holder| {
                    (holder.license, &*holder.machine) != (license_id, &*hardware_id)
                });
                self.naive.heard += 1;
                holders.push(Holder {
                    license: license_id,
                    session: session_id,
                    machine: hardware_id.into(),
                    started: started_at,
                    heard: last_heartbeat_at,
                    deadline: self.now.mono.0 + ttl,
                    heard_order: self.naive.heard,
                    place: Place::Written(*seq),
                });
            }
        }
        for (at, (_, most)) in self.terms.iter().enumerate() {
            let restored = holders.iter().filter(|holder| index(holder.license) == at).count();
            assert!(
                restored <= *most as usize,
                "{restored} seats of a licence that never had more than {most}"
            );
        }
        self.naive.holders = holders;
        for Holder { session, .. } in held {
            let lost = self.acknowledged.contains(&session) && self.naive.find(session).is_none();
            assert!(!lost, "{session:?} was acknowledged and is lost");
        }
        for &session in &self.ended {
            assert!(self.naive.find(session).is_none(), "{session:?} had ended and is back");
        }
        self.tell_time();
    }

    /// Everything that can be read says the same.
    fn compare(&mut self) {
        self.engine.table.check();
        let totals = self.engine.totals();
        assert_eq!(totals.seats, self.naive.holders.len());
        assert_eq!(
            [totals.granted, totals.denied, totals.refused, totals.lapsed],
            self.naive.counts
        );
        let mut everyone = 0;
        for license_id in (0..LICENSES).map(license) {
            let live: Vec<&Holder> = self.naive.live(license_id).collect();
            everyone += live.len();
            assert_eq!(self.engine.used(self.now, license_id), live.len() as u32);
            let seats = self.engine.seats(self.now, license_id);
            if self.naive.must_know(license_id) || seats.is_some() {
                let max = self.naive.known[index(license_id)].as_ref().map(|terms| terms.max);
                assert_eq!(
                    seats.map(|seats| (Some(seats.max), seats.used)),
                    Some((max, live.len() as u32))
                );
            }
            let limit = 1 + self.dice.below(4);
            let shown =
                pages(limit, |after| self.engine.sessions(self.now, license_id, after, limit));
            assert_eq!(shown, live.iter().map(|holder| holder.session).collect::<Vec<_>>());
            for holder in live {
                let view = self.engine.session(self.now, holder.session).expect("live");
                assert_eq!(
                    (view.started_at, view.last_heartbeat_at),
                    (holder.started, holder.heard)
                );
                assert_eq!(view.expires_in_ms, holder.deadline - self.naive.mono);
                assert_eq!((view.license_id, &*view.hardware_id), (license_id, &*holder.machine));
            }
        }
        let mut all = pages(3, |after| self.engine.all_sessions(self.now, after, 3));
        assert_eq!(all.len(), everyone);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), everyone, "nobody is shown twice");
    }
}

/// Every session, page by page.
fn pages(limit: usize, page: impl Fn(Option<Cursor>) -> Page) -> Vec<SessionId> {
    let (mut shown, mut after) = (Vec::new(), None);
    loop {
        let Page { items, next } = page(after);
        assert!(items.len() <= limit && (next.is_none() || items.len() == limit));
        shown.extend(items.iter().map(|item| item.session_id));
        match next {
            Some(_) => after = next,
            None => return shown,
        }
    }
}

/// Tells which history failed.
struct Telltale(u64, usize);

impl Drop for Telltale {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "seed {} failed at command {}: run `History::new({})`",
                self.0, self.1, self.0
            );
        }
    }
}

#[test]
fn the_engine_says_what_a_naive_one_says() {
    for seed in 1..=HISTORIES {
        let mut history = History::new(seed);
        let mut telltale = Telltale(seed, 0);
        for command in 0..COMMANDS {
            telltale.1 = command;
            history.step();
        }
    }
}
