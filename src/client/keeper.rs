//! Keeping a seat: heartbeats, and what is done when one does not come through.

use std::time::Duration;

use super::acquire::{FIRST_PAUSE, IN_LINE_MAX, waited};
use super::backoff::{Backoff, part};
use super::error::Loss;
use super::events::{Board, Event};
use super::http::{Alive, Fault, Granted, Server};
use super::moment::Moment;
use super::seat::Known;
use crate::entropy::Entropy;

/// The longest pause between tries while the seat is still held.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The longest pause between tries to get a seat again after a loss.
const REGAIN_PAUSE: Duration = Duration::from_mins(1);
/// An outage shorter than this is not worth telling.
const QUIET: Duration = Duration::from_secs(3);
/// A machine that wakes up has its network a little later; it is given this long before a seat
/// whose time is over counts as lost.
const RECONNECT: Duration = Duration::from_secs(15);
/// How long a seat that the server no longer knew is tried to be had again.
const RENEW: Duration = Duration::from_secs(10);
/// A try near the deadline has at least so much time.
const TRY: Duration = Duration::from_secs(1);
/// Giving back has so much time for each of its tries ...
const RELEASE: Duration = Duration::from_secs(2);
/// ... which are so many.
const RELEASES: u32 = 3;
/// What a server may ask for: more often is a burden, more seldom is a mistake.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_hours(24);

/// A seat's session and its time.
pub(super) struct Lease {
    session_id: String,
    /// Counted from when the request was sent that the server last answered, so that it has come
    /// before the server lets the seat lapse.
    deadline: Moment,
    /// When the server is to be heard from next.
    due: Moment,
    interval: Duration,
    pub(super) grace: bool,
}

impl Lease {
    pub(super) fn new(sent: Moment, granted: Granted, entropy: &Entropy) -> Self {
        let mut lease = Self {
            session_id: granted.session_id,
            deadline: sent,
            due: sent,
            interval: Duration::from_secs(granted.heartbeat_interval),
            grace: false,
        };
        lease.extend(sent, granted.expires_in, &granted.status, entropy);
        lease
    }

    /// The server answered what was sent then.
    fn extend(&mut self, sent: Moment, expires_in: u64, status: &str, entropy: &Entropy) {
        let life = Duration::from_secs(expires_in).min(INTERVAL_MAX);
        self.deadline = sent.plus(life);
        self.grace = status == "grace";
        // A seat may have less time left than an interval: whoever waited in line for it has sent
        // the request long ago. And clients that were started together are to part.
        let interval = self.interval.clamp(INTERVAL_MIN, INTERVAL_MAX).min(life * 5 / 6);
        self.due = sent.plus(interval * 9 / 10 + part(entropy, interval / 10));
    }

    pub(super) fn deadline(&self) -> Moment {
        self.deadline
    }

    fn kept(&self) -> Event {
        Event::Kept { left: self.deadline.left(), grace: self.grace }
    }
}

/// Keeps one seat, until it is lost for good.
pub(super) struct Keeper<'a, S> {
    server: &'a S,
    lease: Lease,
    board: Board,
    entropy: Entropy,
    /// The longest that a request may take.
    timeout: Duration,
    /// Whether a seat is to be taken again after a loss.
    regain: bool,
    /// Whether it is lost at present.
    lost: bool,
    /// Whether an acquire is under way, or ended without an answer.
    asking: bool,
}

impl<'a, S: Server> Keeper<'a, S> {
    /// Of a seat that was granted just now.
    pub(super) fn new(
        server: &'a S,
        lease: Lease,
        board: Board,
        entropy: Entropy,
        timeout: Duration,
        regain: bool,
    ) -> Self {
        Self { server, lease, board, entropy, timeout, regain, lost: false, asking: false }
    }

    /// Keeps the seat. Ends when it is lost and is not to be had again. May be dropped anywhere.
    pub(super) async fn keep(&mut self) {
        loop {
            self.lease.due.arrive().await;
            let Err(loss) = self.beat().await else { continue };
            self.board.tell(Known::Lost(loss.clone()), Event::Lost(loss));
            self.lost = true;
            if !self.regain {
                return;
            }
            self.get_again().await;
            self.lost = false;
        }
    }

    /// Has the server hear from us, whatever it takes.
    async fn beat(&mut self) -> Result<(), Loss> {
        let start = Moment::now();
        let last = self.lease.deadline.max(start.plus(RECONNECT));
        let mut backoff = Backoff::new(&self.entropy, FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let sent = Moment::now();
            let time = last.left().clamp(TRY, self.timeout.max(TRY));
            let answer = self.server.heartbeat(&self.lease.session_id);
            match within(time, answer).await {
                Ok(Alive { expires_in, license_status }) => {
                    self.lease.extend(sent, expires_in, &license_status, &self.entropy);
                    self.board.tell(Known::Held { until: self.lease.deadline }, self.lease.kept());
                    return Ok(());
                }
                Err(Fault::Refused(refusal)) => return Err(Loss::Refused(refusal)),
                Err(Fault::Away { cause, retry_after }) => {
                    self.tell_outage(start, &cause);
                    if !rest(backoff.pause(retry_after), retry_after, last).await {
                        return Err(Loss::Unreachable { cause });
                    }
                }
                Err(Fault::NoSession | Fault::Full { .. } | Fault::NoSuchWait) => {
                    return self.renew().await;
                }
            }
        }
    }

    /// Takes a seat in place of one that the server no longer knows.
    async fn renew(&mut self) -> Result<(), Loss> {
        // The server has let it lapse, whatever time it would have had left.
        self.board.tell(Known::Offline { until: Moment::now() }, Event::Renewing);
        let last = Moment::now().plus(RENEW);
        let mut backoff = Backoff::new(&self.entropy, FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match self.ask(Duration::ZERO, last.left().max(TRY)).await {
                Ok(()) => {
                    self.board.tell(Known::Held { until: self.lease.deadline }, self.lease.kept());
                    return Ok(());
                }
                Err(Fault::Full { seats, .. }) => return Err(Loss::Full { seats }),
                Err(Fault::Refused(refusal)) => return Err(Loss::Refused(refusal)),
                Err(Fault::Away { cause, retry_after }) => {
                    if !rest(backoff.pause(retry_after), retry_after, last).await {
                        return Err(Loss::Unreachable { cause });
                    }
                }
                Err(fault @ (Fault::NoSession | Fault::NoSuchWait)) => {
                    return Err(Loss::Unreachable { cause: format!("an odd answer: {fault:?}") });
                }
            }
        }
    }

    /// After a loss: tries until there is a seat again, however long that takes.
    async fn get_again(&mut self) {
        let mut backoff = Backoff::new(&self.entropy, FIRST_PAUSE, REGAIN_PAUSE);
        let mut in_line = IN_LINE_MAX;
        loop {
            let sent = Moment::now();
            let asked = match self.ask(in_line, self.timeout + in_line).await {
                Ok(()) => {
                    let regained = Event::Regained { left: self.lease.deadline.left() };
                    self.board.tell(Known::Held { until: self.lease.deadline }, regained);
                    return;
                }
                Err(Fault::NoSuchWait) => {
                    in_line = Duration::ZERO;
                    None
                }
                Err(Fault::Full { .. }) if waited(sent, in_line) => continue,
                Err(Fault::Away { retry_after, .. }) => retry_after,
                Err(_) => None,
            };
            Moment::now().plus(backoff.pause(asked)).arrive().await;
        }
    }

    async fn ask(&mut self, in_line: Duration, time: Duration) -> Result<(), Fault> {
        let sent = Moment::now();
        self.asking = true;
        let answer = within(time.min(self.timeout + in_line), self.server.acquire(in_line)).await;
        // Without an answer the server may have granted it all the same.
        self.asking = matches!(answer, Err(Fault::Away { .. }));
        self.lease = Lease::new(sent, answer?, &self.entropy);
        Ok(())
    }

    fn tell_outage(&self, start: Moment, cause: &str) {
        if Moment::now().since(start) >= QUIET {
            let cause = cause.to_owned();
            let until = self.lease.deadline;
            self.board.tell(Known::Offline { until }, Event::Offline { left: until.left(), cause });
        }
    }

    /// Gives the seat back, in bounded time.
    pub(super) async fn give_back(&self) -> Result<(), Fault> {
        if !self.lost {
            give_back(self.server, &self.lease.session_id, &self.entropy).await?;
        }
        if self.asking {
            forget(self.server, &self.entropy).await;
        }
        Ok(())
    }
}

/// Gives a seat back. That the server does not know it is as good.
pub(super) async fn give_back(
    server: &impl Server,
    session_id: &str,
    entropy: &Entropy,
) -> Result<(), Fault> {
    let mut backoff = Backoff::new(entropy, FIRST_PAUSE, FIRST_PAUSE);
    let mut tries = 0;
    loop {
        tries += 1;
        match within(RELEASE, server.release(session_id)).await {
            Ok(()) | Err(Fault::NoSession) => return Ok(()),
            Err(fault) if tries == RELEASES => return Err(fault),
            Err(_) => Moment::now().plus(backoff.pause(None)).arrive().await,
        }
    }
}

/// Gives back a seat that may have been granted to a question whose answer was not waited for. Asking
/// again is answered with the same seat.
pub(super) async fn forget(server: &impl Server, entropy: &Entropy) {
    if let Ok(granted) = within(RELEASE, server.acquire(Duration::ZERO)).await {
        // Otherwise it lapses by itself.
        let _ = give_back(server, &granted.session_id, entropy).await;
    }
}

/// Waits before the next try; whether there may be one. There is a last one when the time is over,
/// unless the server asked for more of it.
async fn rest(pause: Duration, asked: Option<Duration>, last: Moment) -> bool {
    let left = last.left();
    let in_vain = asked.is_some_and(|asked| asked > left);
    Moment::now().plus(pause.min(left)).arrive().await;
    !(left.is_zero() || in_vain)
}

async fn within<T>(
    time: Duration,
    call: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let late = Fault::Away { cause: "no answer in time".to_owned(), retry_after: None };
    tokio::time::timeout(time, call).await.unwrap_or(Err(late))
}

#[cfg(test)]
#[path = "tests/keeper.rs"]
mod tests;
