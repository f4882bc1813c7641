//! The rules of seats, one test a sentence.

use super::*;
use crate::domain::error::SeatCount;
use crate::domain::ids::{OrgId, UserId};
use crate::domain::license::{Afterwards, License};
use crate::domain::plan::Features;
use crate::seats::{HEARTBEAT_INTERVAL_MS, POOL_IDLE_MS};

const LICENSE: LicenseId = LicenseId(Uuid::from_u128(7));
const OTHER: LicenseId = LicenseId(Uuid::from_u128(8));

fn status_from(from: Timestamp, status: LicenseStatus) -> Gate {
    Gate {
        revision: 1,
        max_seats: 5,
        schedule: Schedule::new(LicenseStatus::Active, [(from, status)]),
    }
}

#[test]
fn a_seat_lives_six_minutes_and_is_asked_for_every_five() {
    assert_eq!((SEAT_TTL_MS, HEARTBEAT_INTERVAL_MS), (360_000, 300_000));
}

#[test]
fn a_grant_says_everything_the_asker_is_told() {
    let mut desk = Desk::new();
    let expected = Grant {
        session_id: session(1),
        started_at: NEW_YEAR,
        remaining_ms: SEAT_TTL_MS,
        status: LicenseStatus::Active,
        seats: SeatCount { max: 2, used: 1 },
        awaiting: None,
    };
    assert_eq!(desk.acquire(LICENSE, active(1, 2), "a"), Acquisition::Granted(expected));
    let acquired = Event::Acquired {
        license_id: LICENSE,
        session_id: session(1),
        hardware_id: "a".into(),
        started_at: NEW_YEAR,
        last_heartbeat_at: NEW_YEAR,
        metadata: None,
    };
    assert_eq!(desk.events, [acquired]);
}

#[test]
fn never_more_seats_than_the_licence_has() {
    let mut desk = Desk::new();
    desk.granted(LICENSE, active(1, 2), "a");
    desk.pass(1_000);
    desk.granted(LICENSE, active(1, 2), "b");
    let full = Acquisition::Full {
        seats: SeatCount { max: 2, used: 2 },
        retry_in_ms: Some(SEAT_TTL_MS - 1_000),
    };
    assert_eq!(desk.acquire(LICENSE, active(1, 2), "c"), full);
    assert!(desk.events.is_empty());
    assert_eq!(desk.engine.totals().denied, 1);
}

#[test]
fn a_licence_without_seats_gives_no_hope_of_one() {
    let mut desk = Desk::new();
    let full = Acquisition::Full { seats: SeatCount { max: 0, used: 0 }, retry_in_ms: None };
    assert_eq!(desk.acquire(LICENSE, active(1, 0), "a"), full);
}

#[test]
fn licences_do_not_share_seats_or_machines() {
    let mut desk = Desk::new();
    let first = desk.granted(LICENSE, active(1, 1), "a");
    let second = desk.granted(OTHER, active(1, 1), "a");
    assert_ne!(first, second);
    assert_eq!((desk.used(LICENSE), desk.used(OTHER)), (1, 1));
}

#[test]
fn asking_twice_is_one_seat_and_renews_it() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    desk.pass(1_000);
    let Acquisition::AlreadyHeld(grant) = desk.acquire(LICENSE, active(1, 1), "a") else {
        panic!("a holds the seat")
    };
    assert_eq!(
        (grant.session_id, grant.started_at, grant.remaining_ms),
        (held, NEW_YEAR, SEAT_TTL_MS)
    );
    assert!(desk.events.is_empty());
    desk.pass(SEAT_TTL_MS - 1);
    assert_eq!(desk.used(LICENSE), 1);
}

#[test]
fn a_seat_lapses_exactly_at_its_deadline() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    desk.pass(SEAT_TTL_MS - 1);
    let full = Acquisition::Full { seats: SeatCount { max: 1, used: 1 }, retry_in_ms: Some(1) };
    assert_eq!(desk.acquire(LICENSE, active(1, 1), "b"), full);
    desk.pass(1);
    assert_eq!(desk.used(LICENSE), 0);
    desk.granted(LICENSE, active(1, 1), "b");
    assert_eq!(
        desk.events[0],
        lapsed(LICENSE, held),
        "the log learns of the free seat before it is granted anew"
    );
}

#[test]
fn a_heartbeat_gives_the_seat_another_full_time_to_live() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    desk.pass(HEARTBEAT_INTERVAL_MS);
    let alive = Heartbeat::Alive {
        license_id: LICENSE,
        remaining_ms: SEAT_TTL_MS,
        status: LicenseStatus::Active,
    };
    assert_eq!(desk.heartbeat(held), alive);
    assert!(desk.events.is_empty(), "heartbeats are not logged");
    desk.pass(SEAT_TTL_MS - 1);
    let view = desk.engine.session(desk.now, held).expect("still held");
    assert_eq!(view.last_heartbeat_at, NEW_YEAR + HEARTBEAT_INTERVAL_MS as i64);
    assert_eq!(view.expires_in_ms, 1);
}

#[test]
fn a_lapsed_seat_is_not_revived_by_a_heartbeat() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    desk.pass(SEAT_TTL_MS);
    assert_eq!(desk.heartbeat(held), Heartbeat::NotFound);
    assert_eq!(desk.events, [lapsed(LICENSE, held)]);
    assert_eq!(desk.heartbeat(held), Heartbeat::NotFound);
    assert!(desk.events.is_empty(), "it is freed once");
}

#[test]
fn a_lapsed_seat_is_not_revived_by_its_own_machine() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    desk.pass(SEAT_TTL_MS);
    assert_ne!(desk.granted(LICENSE, active(1, 1), "a"), held);
    assert_eq!(desk.events[0], lapsed(LICENSE, held));
}

#[test]
fn a_released_seat_is_free_at_once_and_released_once() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    assert_eq!(desk.release(held), Release::Released { license_id: LICENSE });
    assert_eq!(
        desk.events,
        [Event::Released { license_id: LICENSE, session_id: held, reason: Reason::Released }]
    );
    assert_eq!(desk.release(held), Release::NotFound);
    desk.granted(LICENSE, active(1, 1), "b");
}

#[test]
fn releasing_too_late_is_not_found_and_frees_the_lapsed_seat() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    desk.pass(SEAT_TTL_MS);
    assert_eq!(desk.release(held), Release::NotFound);
    assert_eq!(desk.events, [lapsed(LICENSE, held)]);
}

#[test]
fn an_operator_takes_back_a_seat_of_the_named_licence_only() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    assert_eq!(desk.evict(OTHER, held), Release::NotFound);
    assert!(desk.events.is_empty());
    assert_eq!(desk.evict(LICENSE, held), Release::Released { license_id: LICENSE });
    assert_eq!(desk.heartbeat(held), Heartbeat::NotFound);
}

#[test]
fn a_licence_stops_working_at_the_instant_its_dates_say() {
    let ends = NEW_YEAR + 10_000;
    for status in [
        LicenseStatus::Inactive,
        LicenseStatus::Suspended,
        LicenseStatus::Expired,
        LicenseStatus::Revoked,
    ] {
        let (mut desk, gate) = (Desk::new(), status_from(ends, status));
        desk.pass(9_999);
        let held = desk.granted(LICENSE, gate, "a");
        desk.pass(1);
        assert_eq!(desk.acquire(LICENSE, gate, "b"), Acquisition::Refused { status });
        assert_eq!(desk.acquire(LICENSE, gate, "a"), Acquisition::Refused { status });
        assert_eq!(desk.heartbeat(held), Heartbeat::Refused { license_id: LICENSE, status });
        assert_eq!(desk.engine.totals().refused, 3);
    }
}

#[test]
fn a_licence_in_grace_works_and_says_so() {
    let (mut desk, gate) = (Desk::new(), status_from(NEW_YEAR, LicenseStatus::Grace));
    let Acquisition::Granted(grant) = desk.acquire(LICENSE, gate, "a") else {
        panic!("grace works")
    };
    assert_eq!(grant.status, LicenseStatus::Grace);
    let held = grant.session_id;
    assert!(matches!(desk.heartbeat(held), Heartbeat::Alive { status: LicenseStatus::Grace, .. }));
}

#[test]
fn active_then_grace_then_suspended_without_anybody_telling_the_engine() {
    let schedule = Schedule::new(
        LicenseStatus::Active,
        [(NEW_YEAR, LicenseStatus::Grace), (NEW_YEAR.plus_days(7), LicenseStatus::Suspended)],
    );
    assert_eq!(schedule.status_at(NEW_YEAR + -1), LicenseStatus::Active);
    assert_eq!(schedule.status_at(NEW_YEAR), LicenseStatus::Grace);
    assert_eq!(schedule.status_at(NEW_YEAR.plus_days(7) + -1), LicenseStatus::Grace);
    assert_eq!(schedule.status_at(NEW_YEAR.plus_days(7)), LicenseStatus::Suspended);
    let standings = [
        (Timestamp(i64::MIN), LicenseStatus::Active),
        (NEW_YEAR, LicenseStatus::Grace),
        (NEW_YEAR.plus_days(7), LicenseStatus::Suspended),
    ];
    assert_eq!(Schedule::from_standings(&standings), schedule);
    assert_eq!(Schedule::from_standings(&[]).status_at(NEW_YEAR), LicenseStatus::Inactive);
}

#[test]
fn a_refused_holder_is_not_renewed_and_may_still_release() {
    let mut desk = Desk::new();
    let (a, b) =
        (desk.granted(LICENSE, active(1, 2), "a"), desk.granted(LICENSE, active(1, 2), "b"));
    let suspended =
        Gate { revision: 2, max_seats: 2, schedule: Schedule::always(LicenseStatus::Suspended) };
    assert!(desk.engine.configure(desk.now, LICENSE, suspended));
    desk.pass(1_000);
    assert!(matches!(desk.heartbeat(a), Heartbeat::Refused { .. }));
    assert_eq!(desk.release(b), Release::Released { license_id: LICENSE });
    desk.pass(SEAT_TTL_MS - 1_000);
    assert_eq!(desk.heartbeat(a), Heartbeat::NotFound);
}

#[test]
fn a_holder_lives_on_when_the_licence_works_again_in_time() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    let suspended =
        Gate { revision: 2, max_seats: 1, schedule: Schedule::always(LicenseStatus::Suspended) };
    desk.engine.configure(desk.now, LICENSE, suspended);
    assert!(matches!(desk.heartbeat(held), Heartbeat::Refused { .. }));
    desk.engine.configure(desk.now, LICENSE, active(3, 1));
    assert!(matches!(desk.heartbeat(held), Heartbeat::Alive { .. }));
}

#[test]
fn an_older_gate_never_replaces_a_newer_one() {
    let mut desk = Desk::new();
    assert!(desk.engine.configure(desk.now, LICENSE, active(5, 1)));
    assert!(!desk.engine.configure(desk.now, LICENSE, active(4, 100)));
    desk.granted(LICENSE, active(4, 100), "a");
    assert!(matches!(desk.acquire(LICENSE, active(4, 100), "b"), Acquisition::Full { .. }));
    desk.granted(LICENSE, active(6, 2), "b");
}

#[test]
fn an_asker_without_a_gate_relies_on_what_the_engine_knows() {
    let mut desk = Desk::new();
    let session_id = session(1);
    let ask =
        Acquire { license_id: LICENSE, gate: None, hardware_id: "a", session_id, metadata: None };
    let mut events = Vec::new();
    assert_eq!(desk.engine.acquire(desk.now, &ask, &mut events), Acquisition::NeedsGate);
    desk.engine.configure(desk.now, LICENSE, active(1, 1));
    let outcome = desk.engine.acquire(desk.now, &ask, &mut events);
    assert!(matches!(outcome, Acquisition::Granted(_)));
}

#[test]
fn the_seat_of_a_machine_is_found_by_its_hardware_id() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    assert_eq!(desk.engine.session_of(desk.now, LICENSE, "a"), Some(held));
    assert_eq!(desk.engine.session_of(desk.now, LICENSE, "b"), None);
    assert_eq!(desk.engine.session_of(desk.now, OTHER, "a"), None);
    desk.pass(SEAT_TTL_MS);
    assert_eq!(desk.engine.session_of(desk.now, LICENSE, "a"), None);
}

#[test]
fn an_empty_pool_remembers_its_gate_for_a_while_and_is_then_forgotten() {
    let mut desk = Desk::new();
    desk.engine.configure(desk.now, LICENSE, active(5, 0));
    desk.pass(POOL_IDLE_MS - 1);
    desk.sweep(100);
    assert_eq!(desk.engine.totals().pools, 1);
    assert!(matches!(desk.acquire(LICENSE, active(4, 100), "a"), Acquisition::Full { .. }));
    desk.pass(POOL_IDLE_MS - 1);
    desk.sweep(100);
    assert_eq!(desk.engine.totals().pools, 1, "asking counts as use");
    desk.pass(1);
    desk.sweep(100);
    assert_eq!(desk.engine.totals().pools, 0);
}

#[test]
fn resizing_below_what_is_in_use_lets_holders_finish_and_admits_nobody() {
    let mut desk = Desk::new();
    let held: Vec<_> =
        ["a", "b", "c"].map(|machine| desk.granted(LICENSE, active(1, 3), machine)).into();
    desk.engine.configure(desk.now, LICENSE, active(2, 1));
    assert_eq!(desk.engine.seats(desk.now, LICENSE), Some(SeatCount { max: 1, used: 3 }));
    for &holder in &held {
        assert!(matches!(desk.heartbeat(holder), Heartbeat::Alive { .. }));
    }
    assert!(matches!(desk.acquire(LICENSE, active(2, 1), "a"), Acquisition::AlreadyHeld(_)));
    for &holder in &held[..2] {
        desk.release(holder);
        assert!(matches!(desk.acquire(LICENSE, active(2, 1), "d"), Acquisition::Full { .. }));
    }
    desk.release(held[2]);
    desk.granted(LICENSE, active(2, 1), "d");
}

#[test]
fn a_calendar_that_is_set_neither_frees_nor_freezes_a_seat() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    desk.now.wall = NEW_YEAR.plus_days(365);
    assert!(matches!(desk.acquire(LICENSE, active(1, 1), "b"), Acquisition::Full { .. }));
    desk.now.wall = NEW_YEAR + -365 * 86_400_000;
    desk.now.mono = desk.now.mono.plus_ms(SEAT_TTL_MS);
    assert_eq!(desk.heartbeat(held), Heartbeat::NotFound);
}

#[test]
fn time_that_runs_backwards_reads_as_the_latest_seen() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 2), "a");
    desk.now.mono = Mono(0);
    let Acquisition::Granted(grant) = desk.acquire(LICENSE, active(1, 2), "b") else {
        panic!("a seat is free")
    };
    assert_eq!(grant.remaining_ms, SEAT_TTL_MS);
    assert_eq!(desk.engine.session(desk.now, held).expect("held").expires_in_ms, SEAT_TTL_MS);
    desk.now.mono = Mono(u64::MAX);
    assert_eq!(desk.heartbeat(held), Heartbeat::NotFound);
}

#[test]
fn the_sweep_frees_what_lapsed_everywhere_within_its_budget() {
    let mut desk = Desk::new();
    for number in 0..4 {
        for machine in ["a", "b", "c"] {
            desk.granted(license(number), active(1, 3), machine);
        }
    }
    desk.pass(1);
    let alive = desk.granted(license(0), active(1, 4), "d");
    assert!(!desk.sweep(100));
    assert!(desk.events.is_empty());
    desk.pass(SEAT_TTL_MS - 1);
    assert!(desk.sweep(5), "twelve seats do not fit in a budget of five");
    assert!((1..=5).contains(&desk.events.len()));
    while desk.sweep(5) {}
    assert_eq!(desk.engine.totals().seats, 1);
    assert_eq!(desk.engine.totals().lapsed, 12);
    assert_eq!(desk.used(license(0)), 1);
    assert!(desk.engine.session(desk.now, alive).is_some());
    desk.engine.table.check();
}

#[test]
fn counts_and_lists_do_not_wait_for_the_sweep() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 5), "a");
    desk.pass(1);
    desk.granted(LICENSE, active(1, 5), "b");
    desk.pass(SEAT_TTL_MS - 1);
    assert_eq!(desk.engine.seats(desk.now, LICENSE), Some(SeatCount { max: 5, used: 1 }));
    assert_eq!(desk.engine.session(desk.now, held), None);
    assert_eq!(desk.engine.sessions(desk.now, LICENSE, None, 10).items.len(), 1);
    assert_eq!(desk.engine.all_sessions(desk.now, None, 10).items.len(), 1);
}

#[test]
fn the_peak_is_remembered() {
    let mut desk = Desk::new();
    let held = ["a", "b"].map(|machine| desk.granted(LICENSE, active(1, 5), machine));
    for session in held {
        desk.release(session);
    }
    let totals = desk.engine.totals();
    assert_eq!((totals.seats, totals.peak_seats, totals.granted), (0, 2, 2));
}

#[test]
fn metadata_is_kept_and_an_empty_one_is_none() {
    let mut desk = Desk::new();
    let asks = [
        ("a", Some("{\"os\":\"plan9\"}")),
        ("b", Some("")),
        ("", Some("only metadata")),
        ("é", None),
    ];
    for (number, (hardware_id, metadata)) in asks.into_iter().enumerate() {
        let session_id = session(number as u128);
        let ask = Acquire {
            license_id: LICENSE,
            gate: Some(active(1, 9)),
            hardware_id,
            session_id,
            metadata,
        };
        desk.engine.acquire(desk.now, &ask, &mut desk.events);
        let view = desk.engine.session(desk.now, session_id).expect("granted");
        assert_eq!(
            (&*view.hardware_id, view.metadata.as_deref()),
            (hardware_id, metadata.filter(|m| !m.is_empty()))
        );
    }
}

#[test]
fn pages_show_each_session_once_whatever_ends_between_them() {
    let mut desk = Desk::new();
    let held: Vec<_> =
        (0..10).map(|n| desk.granted(LICENSE, active(1, 20), &format!("machine {n}"))).collect();
    let first = desk.engine.sessions(desk.now, LICENSE, None, 4);
    assert_eq!(first.items.iter().map(|item| item.session_id).collect::<Vec<_>>(), held[..4]);
    desk.heartbeat(held[0]);
    desk.release(held[3]);
    let reused = desk.granted(LICENSE, active(1, 20), "in the slot of the cursor");
    let second = desk.engine.sessions(desk.now, LICENSE, first.next, 4);
    assert_eq!(second.items.iter().map(|item| item.session_id).collect::<Vec<_>>(), held[4..8]);
    let third = desk.engine.sessions(desk.now, LICENSE, second.next, 4);
    assert_eq!(
        third.items.iter().map(|item| item.session_id).collect::<Vec<_>>(),
        [held[8], held[9], reused]
    );
    assert_eq!(third.next, None);
}

#[test]
fn a_page_that_ends_with_the_last_session_promises_no_more() {
    let mut desk = Desk::new();
    for n in 0..200 {
        desk.granted(license(n % 3), active(1, 100), &format!("machine {n}"));
    }
    let first = desk.engine.all_sessions(desk.now, None, 150);
    let second = desk.engine.all_sessions(desk.now, first.next, 50);
    assert_eq!((first.items.len(), second.items.len(), second.next), (150, 50, None));
    let nobody = desk.engine.sessions(desk.now, license(99), None, 10);
    assert!(nobody.items.is_empty() && nobody.next.is_none());
}

/// A licence's record and its gate agree on every instant around its dates.
#[test]
fn the_gate_of_a_licence_stands_where_the_licence_stands() {
    let (expiry, grace) = (NEW_YEAR.plus_days(30), NEW_YEAR.plus_days(37));
    for shape in 0..32 {
        let license = License {
            license_id: LICENSE,
            org_id: OrgId(Uuid::nil()),
            user_id: UserId(Uuid::nil()),
            license_key: "CODITECT-0000-0000-0000-0000-0000".into(),
            subscription_id: None,
            plan_id: None,
            plan_name: "Team".into(),
            features: Features::default(),
            max_concurrent_seats: 12,
            max_activations: None,
            issued_at: NEW_YEAR,
            expiry_date: (shape & 1 == 0).then_some(expiry),
            grace_ends_at: (shape & 2 == 0).then_some(grace),
            afterwards: if shape & 4 == 0 { Afterwards::Suspended } else { Afterwards::Expired },
            inactive: shape & 8 != 0,
            suspended: None,
            revoked_at: (shape & 16 != 0).then_some(NEW_YEAR),
            revision: 34,
            noted_status: LicenseStatus::Active,
            updated_at: NEW_YEAR,
        };
        let gate = Gate::from(&license);
        assert_eq!((gate.revision, gate.max_seats), (34, 12));
        for at in [NEW_YEAR, expiry + -1, expiry, grace + -1, grace, grace.plus_days(1)] {
            assert_eq!(
                gate.schedule.status_at(at),
                license.status_at(at),
                "at {at} of {license:?}"
            );
        }
    }
}
