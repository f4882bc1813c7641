//! When a seat cannot be kept, its holder is told why, and what is done is its choice.

use std::time::{Duration, Instant};

use coditect::client::{Event, Loss, Seat, State};

use crate::holder::{Running, Site, script, seat_run};
use crate::proxy::{FAST, Line, Proxy};

/// Says when it is asked to end, and does.
const POLITE: &str = "trap 'echo asked to end; exit 3' TERM; echo up; while :; do sleep 0.02; done";
/// Never ends by itself, and does not listen.
const STUBBORN: &str = "trap '' TERM; echo up; while :; do sleep 0.02; done";

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_its_time_costs_the_seat() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    let seat = Seat::builder(&proxy.url, license.key.as_str()).acquire().await.unwrap();
    proxy.set(Line::Cut);
    let cut = Instant::now();
    let seen = tokio::time::timeout(Duration::from_mins(1), async {
        while seat.is_held() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cut.elapsed()
    });
    let believed = seen.await.unwrap();
    let ttl = Duration::from_secs(FAST.ttl_s);
    assert!(believed <= ttl + Duration::from_millis(100), "{believed:?}");
    assert!(matches!(seat.lost().await, Loss::Unreachable { .. }));
    assert!(matches!(seat.state(), State::Lost(_)));
    let dropped = Instant::now();
    seat.release().await.unwrap();
    assert!(dropped.elapsed() < Duration::from_secs(1), "there is nothing to give back");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_it_gets_a_seat_again_when_that_is_possible() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    let builder = Seat::builder(&proxy.url, license.key.as_str()).regain(true);
    let seat = builder.acquire().await.unwrap();
    let mut events = seat.events();
    proxy.set(Line::Cut);
    seat.lost().await;
    // Meanwhile another machine has taken the seat.
    site.evict(&license).await;
    let other = site.operator.acquire(&license, "another").await.expect(&[201]);
    proxy.set(Line::Open);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!seat.is_held());
    site.operator.release(other["session_id"].as_str().unwrap()).await.expect(&[200]);
    let regained = async { while !matches!(events.next().await, Some(Event::Regained { .. })) {} };
    tokio::time::timeout(Duration::from_mins(2), regained).await.unwrap();
    assert!(seat.is_held());
    assert_eq!(site.used(&license).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_that_was_taken_back_and_given_to_another_is_lost() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    let seat = Seat::builder(&proxy.url, license.key.as_str()).acquire().await.unwrap();
    site.evict(&license).await;
    site.operator.acquire(&license, "another").await.expect(&[201]);
    let Loss::Full { seats } = seat.lost().await else { panic!() };
    assert_eq!((seats.max, seats.used), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_is_told_with_its_reason() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    let seat = Seat::builder(&proxy.url, license.key.as_str()).acquire().await.unwrap();
    site.act(&license, "suspend").await;
    let Loss::Refused(refusal) = seat.lost().await else { panic!() };
    assert_eq!(refusal.code, "license_suspended");
    assert!(!seat.is_held());
    let again = Seat::builder(&proxy.url, license.key.as_str()).acquire().await;
    assert_eq!(again.unwrap_err(), coditect::client::Error::Refused(refusal));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_may_go_on_without_and_has_a_seat_again_later() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    let mut running = Running::start(script(seat_run(&proxy.url, &license), &[], POLITE));
    running.says("up");
    site.act(&license, "suspend").await;
    running.warns("the seat is lost: ");
    assert!(running.warned().contains("license_suspended"), "{}", running.warned());
    assert!(running.warned().contains("The command goes on without"), "{}", running.warned());
    site.act(&license, "reinstate").await;
    running.warns("a seat is held again");
    assert!(running.runs());
    running.signal(rustix::process::Signal::TERM);
    running.ends_with(3);
    assert_eq!(site.used(&license).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_may_be_stopped_when_its_seat_is_lost() {
    let site = Site::new().await;
    for (command, grace, asked) in [(POLITE, "1m", true), (STUBBORN, "500ms", false)] {
        let license = site.operator.issue(1).await;
        let proxy = Proxy::start(&site.server, FAST).await;
        let flags = ["--on-lost", "stop", "--grace", grace];
        let mut running = Running::start(script(seat_run(&proxy.url, &license), &flags, command));
        running.says("up");
        site.act(&license, "suspend").await;
        running.warns("The command is stopped");
        assert!(running.warned().contains("license_suspended"), "{}", running.warned());
        running.ends_with(124);
        assert_eq!(running.printed().contains("asked to end"), asked, "{}", running.printed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_news_gets_none_but_of_the_end() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    let quiet = |flags: &[&str]| {
        let running = Running::start(script(seat_run(&proxy.url, &license), flags, POLITE));
        running.says("up");
        running
    };
    let mut going_on = quiet(&["--quiet", "--hardware-id", "a"]);
    site.evict(&license).await;
    let mut stopped = quiet(&["--quiet", "--on-lost", "stop", "--hardware-id", "b"]);
    // One of them is without a seat from its next heartbeat on.
    site.act(&license, "suspend").await;
    stopped.ends_with(124);
    assert_eq!(stopped.warned().lines().count(), 1, "{}", stopped.warned());
    going_on.signal(rustix::process::Signal::TERM);
    going_on.ends_with(3);
    assert_eq!(going_on.warned(), "");
}
