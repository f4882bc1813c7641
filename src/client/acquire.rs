//! Getting a seat in the first place, with the patience that was asked for.

use std::time::Duration;

use super::backoff::Backoff;
use super::http::{Fault, Granted, Server};
use super::moment::Moment;
use crate::entropy::Entropy;

/// The longest that one request waits in line. Proxies commonly cut off what takes a minute.
pub(super) const IN_LINE_MAX: Duration = Duration::from_secs(50);
/// A server that is being restarted is given this long, also by who does not want to wait.
const RESTART: Duration = Duration::from_secs(3);
/// Pauses between tries.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Asks for a seat until there is one, for `patience`; who has none gives up at the first no. The
/// moment is that at which the request was sent.
pub(super) async fn take(
    server: &impl Server,
    patience: Duration,
    entropy: &Entropy,
) -> Result<(Moment, Granted), Fault> {
    let start = Moment::now();
    let end = start.plus(patience);
    let mut backoff = Backoff::new(entropy, FIRST_PAUSE, LONGEST_PAUSE);
    let mut line_is_open = true;
    loop {
        let sent = Moment::now();
        let in_line =
            if line_is_open { whole_seconds(end.left().min(IN_LINE_MAX)) } else { Duration::ZERO };
        let (fault, asked, until) = match server.acquire(in_line).await {
            Ok(granted) => return Ok((sent, granted)),
            Err(Fault::NoSuchWait) if line_is_open => {
                line_is_open = false;
                continue;
            }
            // Whoever has waited in line may join it again at once. When a seat lapses is no reason
            // to wait so long: one may be given back before.
            Err(fault @ Fault::Full { .. }) if end.left().is_zero() => return Err(fault),
            Err(Fault::Full { .. }) if waited(sent, in_line) => continue,
            Err(fault @ Fault::Full { .. }) => (fault, None, end),
            Err(Fault::Away { cause, retry_after }) => {
                let until = end.max(start.plus(RESTART));
                (Fault::Away { cause, retry_after }, retry_after, until)
            }
            Err(fault) => return Err(fault),
        };
        let pause = backoff.pause(asked);
        if pause >= until.left() {
            return Err(fault);
        }
        Moment::now().plus(pause).arrive().await;
    }
}

/// Whether there was a line, and this was in it to the end, or nearly: the server counts by its own clock.
pub(super) fn waited(since: Moment, in_line: Duration) -> bool {
    !in_line.is_zero() && Moment::now().since(since) * 10 >= in_line * 9
}

fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::error::{Refusal, SeatCount};
    use crate::client::script::{Asked, Script, away, full, granted};

    async fn taken(script: &Script, patience_s: u64) -> (Result<Granted, Fault>, Duration) {
        let start = Moment::now();
        let taken = take(script, Duration::from_secs(patience_s), &Entropy::seeded(1)).await;
        (taken.map(|(_, granted)| granted), Moment::now().since(start))
    }

    #[tokio::test(start_paused = true)]
    async fn the_impatient_are_told_at_once() {
        let script = Script::new([full()]);
        let (answer, took) = taken(&script, 0).await;
        assert!(matches!(answer, Err(Fault::Full { .. })) && took < Duration::from_millis(100));
        assert_eq!(script.asked(), [Asked::Acquire(0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_patient_wait_in_line_and_join_it_again() {
        let script = Script::new([full(), full(), granted("a")]);
        let (answer, _) = taken(&script, 120).await;
        assert_eq!(answer.unwrap().session_id, "a");
        assert_eq!(script.asked(), [Asked::Acquire(50), Asked::Acquire(50), Asked::Acquire(20)]);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let script = Script::always(full());
        let (answer, took) = taken(&script, 60).await;
        let seats = SeatCount { max: 1, used: 1 };
        assert_eq!(
            answer.err(),
            Some(Fault::Full { seats, retry_after: Some(Duration::from_mins(5)) })
        );
        assert!(took >= Duration::from_secs(59) && took <= Duration::from_secs(61), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_is_no_line_it_asks_now_and_then() {
        let script = Script::new([Err(Fault::NoSuchWait), full(), full(), granted("a")]);
        let (answer, took) = taken(&script, 60).await;
        assert!(answer.is_ok() && took < Duration::from_secs(2), "{took:?}");
        assert_eq!(script.asked()[1..], [Asked::Acquire(0), Asked::Acquire(0), Asked::Acquire(0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_being_restarted_is_waited_for() {
        let script = Script::new([away(None), away(None), granted("a")]);
        assert!(taken(&script, 0).await.0.is_ok());
        let script = Script::always(away(None));
        let (answer, took) = taken(&script, 0).await;
        assert!(matches!(answer, Err(Fault::Away { .. })) && took <= RESTART, "{took:?}");
        let script = Script::always(away(None));
        let (_, took) = taken(&script, 600).await;
        assert!(took > Duration::from_secs(590) && took <= Duration::from_mins(10), "{took:?}");
        assert!(script.asked().len() < 250, "{}", script.asked().len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_the_server_asks_for_is_kept() {
        let script = Script::new([away(Some(20)), granted("a")]);
        let (answer, took) = taken(&script, 60).await;
        assert!(answer.is_ok() && took >= Duration::from_secs(20), "{took:?}");
        let script = Script::new([away(Some(20))]);
        let (answer, took) = taken(&script, 10).await;
        assert!(answer.is_err() && took < Duration::from_secs(1), "it would be in vain: {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_no_is_a_no() {
        let no = Fault::Refused(Refusal { code: "license_expired".into(), detail: String::new() });
        let script = Script::new([Err(no.clone())]);
        assert_eq!(taken(&script, 600).await.0.err(), Some(no));
    }
}
