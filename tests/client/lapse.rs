//! A seat that lapses at the server, whose clock is made to run ahead.

use std::fs;
use std::path::Path;

use coditect::client::{Event, Seat};
use rustix::process::Signal;

use crate::holder::{Running, Site, script};
use crate::proxy::{FAST, Proxy};
use crate::support::{Home, Server};

const LIBFAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// A server whose clocks, the monotonic one as well, are ahead by what a file says.
async fn site() -> Site {
    let library =
        LIBFAKETIME.iter().find(|path| Path::new(path).exists()).expect("libfaketime is installed");
    let home = Home::new();
    let offset = home.path().join("offset");
    fs::write(&offset, "+0").unwrap();
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &offset)
        .env("FAKETIME_NO_CACHE", "1");
    let server = Server::spawn(command);
    let operator = server.operator().await;
    Site { home, server, operator }
}

fn ahead(site: &Site, offset: &str) {
    // Replaced in one step: the library reads it at every call.
    let new = site.home.path().join("offset.new");
    fs::write(&new, offset).unwrap();
    fs::rename(&new, site.home.path().join("offset")).unwrap();
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
    ahead(&site, "+350");
    let refused = site.operator.acquire(&license, "another").await;
    assert_eq!(refused.code(), "no_seats_available", "{refused:?}");
    ahead(&site, "+361");
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
    ahead(&site, "+400");
    let mut told = Vec::new();
    while !matches!(told.last(), Some(Event::Renewing)) {
        told.push(events.next().await.unwrap());
    }
    assert!(matches!(events.next().await, Some(Event::Kept { .. })), "{told:?}");
    assert!(seat.is_held());
    assert_eq!(site.used(&license).await, 1);
}
