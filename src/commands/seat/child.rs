//! The command that holds the seat, and the signals that are meant for it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::future::poll_fn;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::task::Poll;

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::process::Command;
use tokio::signal::unix::{self, SignalKind};

use super::failure::{Failure, of_signal};

/// What is passed on.
const PASSED: [Signal; 7] = [
    Signal::INT,
    Signal::TERM,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
];

/// What a terminal sends to everybody in the foreground.
const TYPED: [Signal; 3] = [Signal::INT, Signal::QUIT, Signal::WINCH];

/// The signals that come to this process.
pub(super) struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// From now on none of them ends this process, save those that it was started to ignore (by `nohup`, or by
    /// a shell in the background): these stay ignored, here and in the command.
    pub(super) fn listen() -> io::Result<Self> {
        let ignored = ignored();
        let heard = PASSED.into_iter().filter(|signal| ignored >> (signal.as_raw() - 1) & 1 == 0);
        heard
            .map(|signal| Ok((signal, unix::signal(SignalKind::from_raw(signal.as_raw()))?)))
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// The next one. Never ends without.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, stream) in &mut self.0 {
                if stream.poll_recv(context) == Poll::Ready(Some(())) {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The next one that is meant to end whoever gets it.
    pub(super) async fn next_end(&mut self) -> Signal {
        loop {
            let signal = self.next().await;
            if signal != Signal::WINCH {
                return signal;
            }
        }
    }
}

/// A bit for each signal that is ignored, the lowest for signal 1. None where this cannot be told.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// The command, running.
pub(super) struct Child(tokio::process::Child);

impl Child {
    /// Starts it, with our input, output, environment, folder and process group: to a terminal the two
    /// are one job.
    pub(super) fn start(command: &[OsString]) -> Result<Self, Failure> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(Failure::Own("no command was given".to_owned()));
        };
        let started = Command::new(program).args(arguments).spawn();
        started.map(Self).map_err(|error| Failure::NotStarted {
            command: program.to_string_lossy().into_owned(),
            error,
        })
    }

    /// Its end.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Passes on what was sent to us, unless the terminal has sent it to both.
    pub(super) fn pass_on(&self, signal: Signal) {
        if !(TYPED.contains(&signal) && in_foreground()) {
            self.send(signal);
        }
    }

    /// Sends it a signal, as long as it runs.
    pub(super) fn send(&self, signal: Signal) {
        if let Some(pid) = self.0.id().and_then(|id| Pid::from_raw(id as i32)) {
            // It may just have ended.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Whether what is typed at the terminal reaches this process and the command alike.
fn in_foreground() -> bool {
    let terminal = File::open("/dev/tty");
    terminal.is_ok_and(|terminal| {
        rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp())
    })
}

/// The code to end with for the command.
pub(super) fn code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => of_signal(signal),
        (None, None) => u8::MAX,
    }
}
