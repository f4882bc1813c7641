//! A seat is kept through whatever is shorter than its time.

use std::time::{Duration, Instant};

use coditect::client::{Event, Events, Seat};

use crate::holder::{Running, Site, script, seat_run};
use crate::proxy::{FAST, Line, Pace, Proxy};
use crate::support::text;

/// The next event that is not of no interest.
async fn next(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut before = Vec::new();
    let all = async {
        while let Some(event) = events.next().await {
            let found = wanted(&event);
            before.push(event);
            if found {
                return;
            }
        }
        panic!("it never came: {before:?}");
    };
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("it comes in time");
    before
}

fn kept(event: &Event) -> bool {
    matches!(event, Event::Kept { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_keep_it() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    let seat = Seat::builder(&proxy.url, license.key.as_str()).acquire().await.unwrap();
    let first = site.holder(&license).await;
    let mut events = seat.events();
    for _ in 0..3 {
        let told = next(&mut events, kept).await;
        assert_eq!(told.len(), 1, "{told:?}");
    }
    let later = site.holder(&license).await;
    assert_eq!(first["session_id"], later["session_id"]);
    assert_ne!(first["last_heartbeat_at"], later["last_heartbeat_at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_shorter_than_its_time_is_not_noticed() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    for line in [Line::Cut, Line::Silent] {
        let proxy = Proxy::start(&site.server, Pace { ttl_s: 12, interval_s: 1 }).await;
        let builder = Seat::builder(&proxy.url, license.key.as_str());
        let seat = builder.request_timeout(Duration::from_secs(1)).acquire().await.unwrap();
        let mut events = seat.events();
        next(&mut events, kept).await;
        proxy.set(line);
        let offline = next(&mut events, |event| matches!(event, Event::Offline { .. })).await;
        let Some(Event::Offline { left, .. }) = offline.last() else { panic!() };
        assert!(*left > Duration::ZERO && *left < Duration::from_secs(12), "{left:?}");
        assert!(seat.is_held());
        proxy.set(Line::Open);
        let back = next(&mut events, kept).await;
        let quiet = back.iter().all(|e| kept(e) || matches!(e, Event::Offline { .. }));
        assert!(quiet && seat.is_held(), "{line:?}: {back:?}");
        seat.release().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_server_is_not_noticed() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    let seat = Seat::builder(&proxy.url, license.key.as_str()).acquire().await.unwrap();
    let mut events = seat.events();
    let session = text(&site.holder(&license).await["session_id"]);
    next(&mut events, kept).await;
    let Site { home, server, operator } = site;
    // Once in the ordinary way, once without a chance to tidy up.
    server.stop();
    let server = home.start();
    proxy.lead_to(&server);
    next(&mut events, kept).await;
    server.kill();
    let server = home.start();
    proxy.lead_to(&server);
    let told = next(&mut events, kept).await;
    assert!(
        !told.iter().any(|event| matches!(event, Event::Renewing | Event::Lost(_))),
        "{told:?}"
    );
    let site = Site { operator: operator.at(&server), home, server };
    assert_eq!(text(&site.holder(&license).await["session_id"]), session);
    assert!(seat.is_held());
    seat.release().await.unwrap();
    assert_eq!(site.used(&license).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_that_was_taken_back_is_taken_anew_where_one_is_free() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    let seat = Seat::builder(&proxy.url, license.key.as_str()).acquire().await.unwrap();
    let mut events = seat.events();
    site.evict(&license).await;
    let told = next(&mut events, |event| *event == Event::Renewing).await;
    assert!(told.iter().all(|event| kept(event) || *event == Event::Renewing), "{told:?}");
    assert_eq!(next(&mut events, |_| true).await.len(), 1);
    assert!(seat.is_held());
    site.holder(&license).await;
    seat.release().await.unwrap();
    assert_eq!(site.used(&license).await, 0, "it gives back the new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_ridden_out() {
    use rustix::process::{Signal, kill_process};

    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, Pace { ttl_s: 20, interval_s: 1 }).await;
    let mut running =
        Running::start(script(seat_run(&proxy.url, &license), &[], "echo up; exec sleep 60"));
    running.says("up");
    kill_process(site.server.os_pid(), Signal::STOP).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    kill_process(site.server.os_pid(), Signal::CONT).unwrap();
    let heard = text(&site.holder(&license).await["last_heartbeat_at"]);
    crate::support::until("heartbeats go on", async || {
        text(&site.holder(&license).await["last_heartbeat_at"]) != heard
    })
    .await;
    assert!(running.runs());
    assert_eq!(running.warned(), "", "nothing was worth saying");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_of_an_outage_and_of_its_end_and_goes_on() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, Pace { ttl_s: 30, interval_s: 1 }).await;
    let mut running = Running::start(script(
        seat_run(&proxy.url, &license),
        &["--on-lost", "stop"],
        "echo up; exec sleep 60",
    ));
    running.says("up");
    proxy.set(Line::Cut);
    running.warns("cannot be reached");
    running.warns("the seat stays good for");
    proxy.set(Line::Open);
    running.warns("answers again, and the seat was kept");
    assert!(running.runs());
    assert_eq!(running.warned().lines().count(), 2, "each is said once:\n{}", running.warned());
}

/// An answer that comes late is not a longer life.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_left_is_never_more_than_the_server_gives() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let first = Seat::builder(site.url(), license.key.as_str()).hardware_id("first");
    let first = first.acquire().await.unwrap();
    let second = Seat::builder(site.url(), license.key.as_str()).hardware_id("second");
    let start = Instant::now();
    let waiting = tokio::spawn(async move { second.wait(Duration::from_mins(1)).acquire().await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    first.release().await.unwrap();
    let seat = waiting.await.unwrap().unwrap();
    assert!(
        seat.time_left() + start.elapsed() <= Duration::from_mins(6) + Duration::from_millis(50)
    );
    assert!(seat.time_left() > Duration::from_secs(340));
}
