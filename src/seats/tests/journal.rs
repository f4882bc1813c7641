//! The engine beside a durable log.

use super::*;

const LICENSE: LicenseId = LicenseId(Uuid::from_u128(7));

fn restored(records: &[(u64, Vec<Event>)]) -> Desk {
    let mut desk = Desk::new();
    for (seq, events) in records {
        desk.engine.restore(desk.now, *seq, events.clone());
    }
    desk.engine.table.check();
    desk
}

fn acquired(session_id: SessionId, hardware_id: &str) -> Event {
    let at = NEW_YEAR + -60_000;
    Event::Acquired {
        license_id: LICENSE,
        session_id,
        hardware_id: hardware_id.into(),
        started_at: at,
        last_heartbeat_at: at,
        metadata: Some("{}".into()),
    }
}

fn released(session_id: SessionId) -> Event {
    Event::Released { license_id: LICENSE, session_id, reason: Reason::Released }
}

#[test]
fn a_second_asker_waits_for_the_commit_of_the_first() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    desk.engine.set_ticket(held, 42);
    let awaiting = |outcome| match outcome {
        Acquisition::AlreadyHeld(Grant { awaiting, .. }) => awaiting,
        other => panic!("a holds the seat, but was told {other:?}"),
    };
    assert_eq!(awaiting(desk.acquire(LICENSE, active(1, 1), "a")), Some(42));
    desk.engine.set_log_seq(held, 9);
    assert_eq!(awaiting(desk.acquire(LICENSE, active(1, 1), "a")), None);
}

#[test]
fn a_session_knows_the_latest_record_it_stands_in() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    assert_eq!(desk.engine.log_seq(held), None);
    desk.engine.set_ticket(held, 1);
    assert_eq!(desk.engine.log_seq(held), None);
    for (told, known) in [(9, 9), (8, 9), (10, 10)] {
        desk.engine.set_log_seq(held, told);
        assert_eq!(desk.engine.log_seq(held), Some(known));
    }
    desk.engine.set_ticket(held, 2);
    assert_eq!(desk.engine.log_seq(held), Some(10), "what is durable stays durable");
    assert_eq!(desk.engine.log_seq(session(99)), None);
}

#[test]
fn a_grant_that_could_not_be_made_durable_is_taken_back_alone() {
    let mut desk = Desk::new();
    let durable = desk.granted(LICENSE, active(1, 2), "a");
    desk.engine.set_log_seq(durable, 1);
    let failed = desk.granted(LICENSE, active(1, 2), "b");
    desk.engine.set_ticket(failed, 2);
    let mut events = Vec::new();
    assert!(!desk.engine.undo_acquire(durable, &mut events));
    assert!(desk.engine.undo_acquire(failed, &mut events));
    assert!(!desk.engine.undo_acquire(failed, &mut events));
    assert_eq!(
        events,
        [Event::Released { license_id: LICENSE, session_id: failed, reason: Reason::Undone }]
    );
    assert!(matches!(desk.heartbeat(durable), Heartbeat::Alive { .. }));
    desk.granted(LICENSE, active(1, 2), "c");
}

#[test]
fn after_a_restart_sessions_have_one_full_time_to_live() {
    let mut desk = restored(&[(3, vec![acquired(session(1), "a"), acquired(session(2), "b")])]);
    desk.engine.configure(desk.now, LICENSE, active(1, 2));
    let view = desk.engine.session(desk.now, session(1)).expect("restored");
    assert_eq!(view.expires_in_ms, SEAT_TTL_MS);
    assert_eq!((view.started_at, view.metadata.as_deref()), (NEW_YEAR + -60_000, Some("{}")));
    desk.pass(SEAT_TTL_MS - 1);
    assert!(matches!(desk.heartbeat(session(1)), Heartbeat::Alive { .. }));
    desk.pass(1);
    assert_eq!(desk.heartbeat(session(2)), Heartbeat::NotFound);
}

#[test]
fn after_a_restart_the_licence_must_be_looked_up_before_its_first_heartbeat() {
    let mut desk = restored(&[(3, vec![acquired(session(1), "a")])]);
    assert_eq!(desk.heartbeat(session(1)), Heartbeat::NeedsGate(LICENSE));
    assert_eq!((desk.engine.seats(desk.now, LICENSE), desk.used(LICENSE)), (None, 1));
    desk.engine.configure(desk.now, LICENSE, active(1, 1));
    assert!(matches!(desk.heartbeat(session(1)), Heartbeat::Alive { .. }));
    assert_eq!(desk.release(session(1)), Release::Released { license_id: LICENSE });
}

#[test]
fn the_machine_of_a_restored_session_finds_it_again() {
    let mut desk = restored(&[(3, vec![acquired(session(77), "a")])]);
    let outcome = desk.acquire(LICENSE, active(1, 1), "a");
    assert!(
        matches!(outcome, Acquisition::AlreadyHeld(Grant { session_id, awaiting: None, .. }) if session_id == session(77))
    );
}

#[test]
fn replay_tolerates_what_was_told_before() {
    let (a, b, c) = (session(1), session(2), session(3));
    let desk = restored(&[
        (1, vec![released(c), acquired(a, "a")]),
        (2, vec![acquired(a, "a"), acquired(b, "b")]),
        (3, vec![acquired(c, "b"), released(b)]),
    ]);
    let held: Vec<_> = desk.engine.sessions(desk.now, LICENSE, None, 9).items;
    assert_eq!(held.iter().map(|view| view.session_id).collect::<Vec<_>>(), [a, c]);
    assert_eq!((desk.engine.log_seq(a), desk.engine.log_seq(c)), (Some(2), Some(3)));
}

#[test]
fn a_replayed_grant_replaces_the_holder_of_its_hardware_id() {
    let desk = restored(&[(1, vec![acquired(session(1), "a"), acquired(session(2), "a")])]);
    assert_eq!((desk.used(LICENSE), desk.engine.totals().seats), (1, 1));
    assert!(desk.engine.session(desk.now, session(2)).is_some());
}

#[test]
fn a_session_id_that_moves_to_another_machine_takes_one_seat() {
    let desk = restored(&[(1, vec![acquired(session(1), "a"), acquired(session(1), "b")])]);
    assert_eq!((desk.used(LICENSE), desk.engine.totals().seats), (1, 1));
}

#[test]
fn cleaning_a_record_writes_anew_only_what_still_lives_in_it() {
    let record =
        vec![acquired(session(1), "a"), acquired(session(2), "b"), acquired(session(3), "c")];
    let mut desk = restored(&[(5, record.clone())]);
    desk.engine.configure(desk.now, LICENSE, active(1, 3));
    desk.release(session(2));
    desk.engine.set_log_seq(session(3), 6);
    desk.pass(1_000);
    desk.heartbeat(session(1));
    let anew = desk.engine.relog(5, &record);
    let [Event::Acquired { session_id, started_at, last_heartbeat_at, .. }] = &anew[..] else {
        panic!("one session lives in record 5 alone, not {anew:?}")
    };
    assert_eq!(*session_id, session(1));
    assert_eq!((*started_at, *last_heartbeat_at), (NEW_YEAR + -60_000, NEW_YEAR + 1_000));
}

#[test]
fn cleaning_writes_anew_when_an_earlier_cleaning_failed_after_reaching_the_disk() {
    let desk = restored(&[(5, vec![acquired(session(1), "a")])]);
    let anew = desk.engine.relog(5, &[acquired(session(1), "a")]);
    // Record 6 holds the session and record 5 is gone, but nobody told the engine.
    assert_eq!(desk.engine.relog(6, &anew), anew);
}

#[test]
fn cleaning_writes_anew_what_is_durable_though_nobody_told_the_engine() {
    let mut desk = Desk::new();
    let held = desk.granted(LICENSE, active(1, 1), "a");
    desk.engine.set_ticket(held, 9);
    assert_eq!(
        desk.engine.relog(5, &desk.events),
        desk.events,
        "the record holds it, so it is durable"
    );
}
