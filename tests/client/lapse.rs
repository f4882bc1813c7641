//! A seat that lapses at the server, whose clock is made to run ahead.

use coditect::client::{Event, Seat};
use rustix::process::Signal;

use crate::holder::{Running, Site, script};
use crate::proxy::{FAST, Proxy};
use crate::support::Home;

/// A server whose clocks, the monotonic one as well, are ahead by what the test says.
async fn site() -> Site {
    let home = Home::new().with_time();
    let server = home.start();
    let operator = server.operator().await;
    Site { home, server, operator }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs libfaketime (the package `faketime`)"]
async fn a_program_that_was_killed_holds_its_seat_for_six_minutes_and_no_longer() {
    let site = site().await;
    let license = site.operator.issue(1).await;
    let mut running = Running::start(script(site.seat_run(&license), &[], "echo up; exec sleep 5"));
    running.says("up");
    running.signal(Signal::KILL);
    running.wait();
    site.home.ahead("+350");
    let refused = site.operator.acquire(&license, "another").await;
    assert_eq!(refused.code(), "no_seats_available", "{refused:?}");
    site.home.ahead("+361");
    site.operator.acquire(&license, "another").await.expect(&[201]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs libfaketime (the package `faketime`)"]
async fn a_seat_that_has_lapsed_at_the_server_is_taken_anew() {
    let site = site().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    let seat = Seat::builder(&proxy.url, license.key.as_str()).acquire().await.unwrap();
    let mut events = seat.events();
    site.home.ahead("+400");
    let mut told = Vec::new();
    while !matches!(told.last(), Some(Event::Renewing)) {
        told.push(events.next().await.unwrap());
    }
    assert!(matches!(events.next().await, Some(Event::Kept { .. })), "{told:?}");
    assert!(seat.is_held());
    assert_eq!(site.used(&license).await, 1);
}
