//! Taking seats: at most as many as there are, and none is left behind.

use std::time::{Duration, Instant};

use coditect::client::{Builder, Error, Seat};

use crate::holder::{Running, Site, script};
use crate::proxy::{FAST, Line, Proxy};
use crate::support::License;

fn builder(site: &Site, license: &License, machine: usize) -> Builder {
    Seat::builder(site.url(), license.key.as_str()).hardware_id(format!("machine-{machine}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_clients_at_once_exactly_as_many_get_a_seat_as_there_are() {
    const CLIENTS: usize = 200;
    const SEATS: usize = 120;
    let site = Site::new().await;
    let license = site.operator.issue(SEATS as u32).await;
    let tries: Vec<_> = (0..CLIENTS)
        .map(|machine| {
            let builder = builder(&site, &license, machine);
            tokio::spawn(async move { builder.acquire().await })
        })
        .collect();
    let (mut held, mut refused) = (Vec::new(), 0);
    for one in tries {
        match one.await.unwrap() {
            Ok(seat) => held.push(seat),
            Err(Error::Full { seats, .. }) => {
                assert_eq!(seats.max, SEATS as u32);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((held.len(), refused), (SEATS, CLIENTS - SEATS));
    assert!(held.iter().all(Seat::is_held));
    assert_eq!(site.used(&license).await, SEATS);
    let released = held.into_iter().map(|seat| tokio::spawn(seat.release()));
    for one in released.collect::<Vec<_>>() {
        one.await.unwrap().unwrap();
    }
    assert_eq!(site.used(&license).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_gets_the_next_seat_that_comes_free() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let first = builder(&site, &license, 1).acquire().await.unwrap();
    let mut waiting = Running::start(script(
        site.seat_run(&license),
        &["--wait", "5m", "--hardware-id", "machine-2"],
        "echo ran",
    ));
    waiting.warns("in use (1 of 1); waiting for up to 5m");
    assert!(waiting.runs());
    let freed = Instant::now();
    first.release().await.unwrap();
    waiting.ends_with(0);
    assert!(freed.elapsed() < Duration::from_secs(5), "{:?}", freed.elapsed());
    waiting.says("ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends_when_it_was_said_to() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let _held = builder(&site, &license, 1).acquire().await.unwrap();
    let start = Instant::now();
    let error = builder(&site, &license, 2).wait(Duration::from_millis(1_500)).acquire().await;
    assert!(matches!(error, Err(Error::Full { .. })), "{error:?}");
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_waiting_line_is_asked_now_and_then() {
    let home = crate::support::Home::new().with("CODITECT_SEATS_MAX_WAIT_S", "0");
    let server = home.start();
    let operator = server.operator().await;
    let site = Site { home, server, operator };
    let license = site.operator.issue(1).await;
    let first = builder(&site, &license, 1).acquire().await.unwrap();
    let second = builder(&site, &license, 2).wait(Duration::from_mins(1));
    let waiting = tokio::spawn(async move { second.acquire().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    first.release().await.unwrap();
    let seat = waiting.await.unwrap().unwrap();
    assert!(seat.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_late_is_waited_for() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let Site { home, server, .. } = site;
    let address = server.address.clone();
    server.stop();
    let early = Seat::builder(format!("http://{address}"), license.key.as_str());
    let late = early.clone().wait(Duration::from_mins(2));
    let waiting = tokio::spawn(async move { late.acquire().await });
    let Err(Error::Unreachable { server, .. }) = early.acquire().await else { panic!() };
    assert_eq!(server, format!("http://{address}"));
    let _server = home.start_listening_on(&address);
    assert!(waiting.await.unwrap().unwrap().is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_future_gives_back_what_it_may_have_got() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    // At any moment, also while the answer is on its way.
    for micros in (0..20_000).step_by(500) {
        let builder = builder(&site, &license, 1);
        let _ = tokio::time::timeout(Duration::from_micros(micros), builder.acquire()).await;
        assert_eq!(site.used(&license).await, 0, "after {micros} microseconds");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_that_was_granted_by_an_answer_that_never_came_is_given_back() {
    let site = Site::new().await;
    let license = site.operator.issue(1).await;
    let proxy = Proxy::start(&site.server, FAST).await;
    proxy.set(Line::Silent);
    // Longer than a restarting server is waited for: it asks once.
    let builder = Seat::builder(proxy.url.as_str(), license.key.as_str())
        .request_timeout(Duration::from_secs(4));
    let taking = tokio::spawn(async move { builder.acquire().await });
    site.until_used(&license, 1).await;
    // The answer is on its way no more.
    tokio::time::sleep(Duration::from_secs(1)).await;
    proxy.set(Line::Open);
    assert!(matches!(taking.await.unwrap(), Err(Error::Unreachable { .. })));
    site.until_used(&license, 0).await;
}

#[test]
fn a_seat_is_given_back_when_its_runtime_shuts_down() {
    let outer = tokio::runtime::Runtime::new().unwrap();
    let site = outer.block_on(Site::new());
    let license = outer.block_on(site.operator.issue(1));
    let inner = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let builder = builder(&site, &license, 1);
    let (tell, told) = std::sync::mpsc::channel();
    inner.spawn(async move {
        let seat = builder.acquire().await.unwrap();
        tell.send(()).unwrap();
        // Dropped with the runtime.
        seat.lost().await;
    });
    inner.block_on(async {
        while told.try_recv().is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(outer.block_on(site.used(&license)), 1);
    drop(inner);
    assert_eq!(outer.block_on(site.used(&license)), 0);
}

#[test]
fn no_runtime_is_needed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let site = runtime.block_on(Site::new());
    let license = runtime.block_on(site.operator.issue(1));
    let builder = builder(&site, &license, 1);
    let validation = builder.validate_blocking().unwrap();
    assert!(validation.valid && validation.license.is_some());
    let seat = builder.acquire_blocking().unwrap();
    assert!(seat.is_held() && seat.time_left() > Duration::from_secs(350));
    assert_eq!(runtime.block_on(site.used(&license)), 1);
    drop(seat);
    assert_eq!(runtime.block_on(site.used(&license)), 0);
    let seat = builder.acquire_blocking().unwrap();
    seat.release_blocking().unwrap();
    assert_eq!(runtime.block_on(site.used(&license)), 0);
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let builder = Seat::builder("http://127.0.0.1:1", "CODITECT-SECRET");
    assert!(!format!("{builder:?}").contains("SECRET"));
    let error = builder.acquire().await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("SECRET"));
}
