//! When a seat is kept, renewed, lost and regained: on paused time, against a server by the book.

use std::time::Duration;

use super::*;
use crate::client::error::SeatCount;
use crate::client::events::{Events, Reader};
use crate::client::script::{
    Answer, Asked, INTERVAL_S, Script, TTL_S, alive, away, full, granted, suspended,
};

const TTL: Duration = Duration::from_secs(TTL_S);
const HOUR: Duration = Duration::from_hours(1);
const INTERVAL: Duration = Duration::from_secs(INTERVAL_S);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn beat() -> Asked {
    Asked::Heartbeat("a".to_owned())
}

fn gone() -> Answer {
    Err(Fault::NoSession)
}

fn keeper(script: &Script, regain: bool) -> (Keeper<'_, Script>, Reader) {
    let entropy = Entropy::seeded(1);
    let granted = Granted {
        session_id: "a".to_owned(),
        expires_in: TTL_S,
        heartbeat_interval: INTERVAL_S,
        status: "active".to_owned(),
        fresh: true,
    };
    let lease = Lease::new(Moment::now(), granted, &entropy);
    let (board, reader) = Board::new(Known::Held { until: lease.deadline() });
    (Keeper::new(script, lease, board, entropy, secs(10), regain), reader)
}

/// Keeps a seat for so long, or until it is lost; what was told.
async fn kept_for(script: &Script, time: Duration) -> Vec<Event> {
    kept(script, time, false).await
}

async fn kept(script: &Script, time: Duration, regain: bool) -> Vec<Event> {
    let (mut keeper, reader) = keeper(script, regain);
    let events = reader.events();
    let _ = tokio::time::timeout(time, keeper.keep()).await;
    drop(keeper);
    all(events).await
}

async fn all(mut events: Events) -> Vec<Event> {
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        told.push(event);
    }
    told
}

fn is_kept(event: &Event) -> bool {
    matches!(event, Event::Kept { grace: false, left } if *left > secs(359))
}

fn loss(events: &[Event]) -> &Loss {
    let Some(Event::Lost(loss)) = events.last() else { panic!("{events:?}") };
    loss
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_at_the_interval_or_a_little_earlier() {
    let script = Script::always(alive());
    let events = kept_for(&script, HOUR).await;
    assert!(events.iter().all(is_kept) && events.len() >= 12, "{events:?}");
    let mut before = Duration::ZERO;
    let mut gaps = std::collections::BTreeSet::new();
    for at in script.times() {
        let gap = at.saturating_sub(before);
        assert!(gap >= INTERVAL * 9 / 10 && gap <= INTERVAL + secs(1), "{gap:?}");
        gaps.insert(gap.as_secs());
        before = at;
    }
    assert!(gaps.len() > 3, "no two are alike: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_not_even_told() {
    let script = Script::new([away(None), away(None), alive()]);
    let events = kept_for(&script, secs(310)).await;
    assert!(matches!(&events[..], [kept] if is_kept(kept)), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_shorter_than_the_time_left_costs_nothing() {
    let answers = (0..6).map(|_| away(None)).chain([alive()]);
    let script = Script::new(answers);
    let events = kept_for(&script, secs(355)).await;
    let (last, outage) = events.split_last().unwrap();
    assert!(is_kept(last) && !outage.is_empty(), "{events:?}");
    let mut less = TTL;
    for event in outage {
        let Event::Offline { left, .. } = event else { panic!("{event:?}") };
        assert!(*left < less, "the time left is counted down: {events:?}");
        less = *left;
    }
}

#[tokio::test(start_paused = true)]
async fn a_longer_one_costs_the_seat_when_its_time_is_over_and_not_before() {
    let script = Script::always(away(None));
    let start = Moment::now();
    let (mut keeper, reader) = keeper(&script, false);
    let deadline = keeper.lease.deadline();
    keeper.keep().await;
    let took = Moment::now().since(start);
    assert!(took >= TTL && took < TTL + secs(2), "{took:?}");
    let last = *script.times().last().unwrap();
    assert!(last + secs(1) >= TTL, "it was tried until the end: {last:?}");
    assert!(script.asked().len() < 15, "and not too often: {:?}", script.times());
    assert!(deadline.left().is_zero());
    assert!(matches!(&*reader.state.borrow(), Known::Lost(Loss::Unreachable { .. })));
}

/// An answer that took long has the seat live from when the server got the question, which this side
/// cannot know: only that it was not before it was sent.
#[tokio::test(start_paused = true)]
async fn the_time_is_counted_from_when_the_request_was_sent() {
    let script = Script::always(alive());
    let (mut keeper, reader) = keeper(&script, false);
    let sent = Moment::now();
    tokio::time::sleep(secs(9)).await;
    keeper.lease.extend(sent, TTL_S, "active", &Entropy::seeded(1));
    assert!(keeper.lease.deadline.left() + secs(9) <= TTL);
    assert!(keeper.lease.due.left() + secs(9) <= INTERVAL);
    drop((keeper, reader));
}

#[tokio::test(start_paused = true)]
async fn who_waited_long_in_line_is_heard_from_in_time() {
    let granted = Granted {
        session_id: "a".to_owned(),
        expires_in: 20,
        heartbeat_interval: INTERVAL_S,
        status: "grace".to_owned(),
        fresh: true,
    };
    let lease = Lease::new(Moment::now(), granted, &Entropy::seeded(1));
    assert!(lease.due.left() < secs(17) && lease.due.left() > secs(10) && lease.grace);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_server_asks_for_is_kept() {
    let script = Script::new([away(Some(25)), alive()]);
    let events = kept_for(&script, secs(330)).await;
    assert!(events.iter().any(is_kept), "{events:?}");
    let times = script.times();
    assert!(times[1] >= times[0] + secs(25), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_longer_than_the_seat_lives_is_kept_too_and_costs_it() {
    let script = Script::new([away(Some(600))]);
    let events = kept_for(&script, secs(400)).await;
    assert!(matches!(loss(&events), Loss::Unreachable { .. }));
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_seat_that_the_server_no_longer_knows_is_taken_anew_at_once() {
    let script = Script::new([gone(), granted("b"), alive()]);
    let events = kept_for(&script, secs(610)).await;
    assert!(
        matches!(&events[..], [Event::Renewing, first, second] if is_kept(first) && is_kept(second)),
        "{events:?}"
    );
    let later = Asked::Heartbeat("b".to_owned());
    assert_eq!(script.asked()[..3], [beat(), Asked::Acquire(0), later]);
    assert!(script.times()[1] < script.times()[0] + secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_seat_that_the_server_no_longer_knows_is_not_believed_in_until_there_is_another() {
    let script = Script::new([gone(), away(None), granted("b")]);
    let (mut keeper, reader) = keeper(&script, false);
    let looks = async {
        while script.asked().len() < 2 {
            tokio::time::sleep(secs(1) / 20).await;
        }
        let known = reader.state.borrow().clone();
        assert!(matches!(known, Known::Offline { until } if until.left().is_zero()), "{known:?}");
        while script.asked().len() < 3 {
            tokio::time::sleep(secs(1) / 20).await;
        }
        let known = reader.state.borrow().clone();
        assert!(matches!(known, Known::Held { .. }), "{known:?}");
    };
    tokio::select! {
        () = keeper.keep() => panic!("it has ten seconds to get it again"),
        () = looks => {}
    }
}

#[tokio::test(start_paused = true)]
async fn when_that_fails_it_is_lost() {
    let script = Script::new([gone(), full()]);
    let seats = SeatCount { max: 1, used: 1 };
    assert_eq!(loss(&kept_for(&script, secs(400)).await), &Loss::Full { seats });

    let script = Script::new([gone(), suspended()]);
    assert!(matches!(loss(&kept_for(&script, secs(400)).await), Loss::Refused(_)));

    let script = Script::new([gone()]);
    let start = Moment::now();
    assert!(matches!(loss(&kept_for(&script, secs(400)).await), Loss::Unreachable { .. }));
    assert!(Moment::now().since(start) < INTERVAL + RENEW + secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_licence_that_stops_being_usable_costs_the_seat_with_the_reason() {
    let script = Script::new([suspended()]);
    let events = kept_for(&script, secs(400)).await;
    let Loss::Refused(refusal) = loss(&events) else { panic!("{events:?}") };
    assert_eq!(refusal.code, "license_suspended");
    assert_eq!(script.asked(), [beat()], "it is asked no more");
}

/// A laptop that wakes up has its network some seconds later.
#[tokio::test(start_paused = true)]
async fn after_a_long_sleep_it_is_tried_for_a_while() {
    let script =
        Script::new([away(None), away(None), away(None), away(None), gone(), granted("b")]);
    let (mut keeper, reader) = keeper(&script, false);
    let events = reader.events();
    tokio::time::sleep(HOUR).await;
    let _ = tokio::time::timeout(secs(20), keeper.keep()).await;
    drop(keeper);
    let events = all(events).await;
    assert!(is_kept(events.last().unwrap()), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_it_goes_on_trying_where_that_is_wanted() {
    let script =
        Script::new([gone(), full(), full(), away(None), suspended(), granted("c"), alive()]);
    let events = kept(&script, secs(1_500), true).await;
    let lost = events.iter().position(|event| matches!(event, Event::Lost(_))).unwrap();
    assert!(matches!(events[lost + 1], Event::Regained { .. }), "{events:?}");
    assert!(is_kept(&events[lost + 2]), "{events:?}");
    assert_eq!(script.asked()[2], Asked::Acquire(50), "it waits in line");
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_for_long_is_asked_for_now_and_then() {
    let script = Script::always(suspended());
    kept(&script, HOUR, true).await;
    let asked = script.asked().len();
    assert!((50..150).contains(&asked), "{asked} times in an hour");
}

#[tokio::test(start_paused = true)]
async fn a_seat_is_given_back_and_unknown_is_as_good() {
    for answer in [alive(), gone()] {
        let script = Script::new([answer]);
        let (keeper, _reader) = keeper(&script, false);
        keeper.give_back().await.unwrap();
        assert_eq!(script.asked(), [Asked::Release("a".to_owned())]);
    }
    let script = Script::always(away(None));
    let (keeper, _reader) = keeper(&script, false);
    assert!(keeper.give_back().await.is_err());
    assert_eq!(script.asked().len(), RELEASES as usize);
}

/// The server may have granted what was asked for, although nobody listened any more.
#[tokio::test(start_paused = true)]
async fn a_seat_that_was_asked_for_at_the_end_is_given_back_too() {
    let script = Script::new([gone(), away(None)]);
    let (mut keeper, _reader) = keeper(&script, false);
    tokio::select! {
        () = keeper.keep() => panic!("it has ten seconds to get it again"),
        () = async { while script.asked().len() < 2 { tokio::time::sleep(secs(1) / 20).await } } => {}
    }
    script.then([alive(), granted("b"), alive()]);
    keeper.give_back().await.unwrap();
    let release = |session: &str| Asked::Release(session.to_owned());
    let end = &script.asked()[2..];
    assert_eq!(end, [release("a"), Asked::Acquire(0), release("b")]);
}
