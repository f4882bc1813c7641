//! `coditect seat run`: a command that holds a seat while it runs.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use jiff::SignedDuration;
use rustix::process::Signal;

use super::child::{Child, Signals, code};
use super::failure::{Failure, LOST};
use super::{say, whose};
use crate::cli::{OnLost, Run, Settings};
use crate::client::{Builder, Error, Event, Events, Loss, Seat};

/// Runs the command with a seat; the code to end with.
pub(super) fn run(args: &Run, settings: &Settings) -> Result<ExitCode, Failure> {
    let server = whose::server(&args.whose, settings)?;
    let mut builder = whose::builder(&args.whose, server)?.regain(args.on_lost == OnLost::Warn);
    for (name, value) in &args.metadata {
        builder = builder.metadata(name, value);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::Own(format!("no runtime can be had: {error}")))?;
    runtime.block_on(hold(args, &builder)).map(ExitCode::from)
}

async fn hold(args: &Run, builder: &Builder) -> Result<u8, Failure> {
    let mut signals = Signals::listen()
        .map_err(|error| Failure::Own(format!("signals cannot be listened to: {error}")))?;
    let teller = Teller { quiet: args.quiet };
    let seat = tokio::select! {
        seat = take(args, builder, &teller) => seat?,
        signal = signals.next_end() => return Err(Failure::Signal(signal.as_raw())),
    };
    if seat.in_grace() {
        teller.tell("the licence is in its grace period: it works, and payment is due");
    }
    let code = attend(args, &seat, &mut signals, &teller).await;
    tokio::select! {
        released = seat.release() => if let Err(error) = released {
            teller.tell(format_args!("the seat is not given back and lapses in some minutes: {error}"));
        },
        // Whoever wants it to end at once leaves the seat to lapse.
        _ = signals.next_end() => {}
    }
    code
}

/// Takes a seat at once, or says what is waited for.
async fn take(args: &Run, builder: &Builder, teller: &Teller) -> Result<Seat, Error> {
    match builder.acquire().await {
        Err(error @ (Error::Full { .. } | Error::Unreachable { .. })) if !args.wait.is_zero() => {
            teller.tell(format_args!("{error}; waiting for up to {}", time(args.wait)));
            builder.clone().wait(args.wait).acquire().await
        }
        other => other,
    }
}

/// Runs the command to its end, passes on what is meant for it, and acts when the seat is lost.
async fn attend(
    args: &Run,
    seat: &Seat,
    signals: &mut Signals,
    teller: &Teller,
) -> Result<u8, Failure> {
    let mut child = Child::start(&args.command)?;
    let mut news = News { events: seat.events(), offline: false, ended: false };
    let mut stopped = false;
    let mut grace = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status
                    .map_err(|error| Failure::Own(format!("the command was lost sight of: {error}")))?;
                return Ok(if stopped { LOST } else { code(status) });
            }
            signal = signals.next() => child.pass_on(signal),
            loss = news.next_loss(teller) => match args.on_lost {
                OnLost::Warn => teller.tell(format_args!(
                    "the seat is lost: {loss}. The command goes on without; a seat is taken again as soon as one can be had"
                )),
                OnLost::Stop => {
                    let grace_time = time(args.grace);
                    say(format_args!("the seat is lost: {loss}. The command is stopped, with SIGKILL in {grace_time}"));
                    child.send(Signal::TERM);
                    // One that was stopped with Ctrl-Z has to run to heed it.
                    child.send(Signal::CONT);
                    stopped = true;
                    grace.set(tokio::time::sleep(args.grace));
                }
            },
            () = &mut grace, if stopped && !grace.is_elapsed() => child.send(Signal::KILL),
        }
    }
}

/// What becomes of the seat, in words.
struct News {
    events: Events,
    /// Whether an outage was told.
    offline: bool,
    /// Whether no more can come.
    ended: bool,
}

impl News {
    /// Tells what is less than a loss; ends with the next loss.
    async fn next_loss(&mut self, teller: &Teller) -> Loss {
        while !self.ended {
            match self.events.next().await {
                None => self.ended = true,
                Some(Event::Lost(loss)) => {
                    self.offline = false;
                    return loss;
                }
                Some(Event::Regained { .. }) => teller.tell("a seat is held again"),
                Some(Event::Offline { left, cause }) if !self.offline => {
                    self.offline = true;
                    teller.tell(format_args!(
                        "the licence server cannot be reached ({cause}); the seat stays good for {}, and it is tried again",
                        time(left)
                    ));
                }
                Some(Event::Kept { .. }) if self.offline => {
                    self.offline = false;
                    teller.tell("the licence server answers again, and the seat was kept");
                }
                Some(_) => {}
            }
        }
        std::future::pending().await
    }
}

/// Who says what is not a failure.
struct Teller {
    quiet: bool,
}

impl Teller {
    fn tell(&self, line: impl Display) {
        if !self.quiet {
            say(line);
        }
    }
}

/// A time as people write it: `1m 30s`.
fn time(time: Duration) -> String {
    format!("{:#}", SignedDuration::from_secs(time.as_secs() as i64))
}
