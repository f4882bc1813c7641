//! What prevents a command from being run with a seat, and the exit code for it.
//!
//! The numbers stand beside those that `timeout`, `env` and `nohup` end with, 124 to 127, so that they
//! are rarely a command's own.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::client::Error;
use crate::commands::operator::{self, Exit};

/// No seat came free in time.
const FULL: u8 = 121;
/// The licence was refused.
pub(super) const REFUSED: u8 = 122;
/// The server could not be reached.
const UNREACHABLE: u8 = 123;
/// The seat was lost, and the command was stopped for that.
pub(super) const LOST: u8 = 124;
/// This program itself failed.
const OWN: u8 = 125;
/// The command could not be started ...
const NOT_STARTED: u8 = 126;
/// ... because it was not found.
const NOT_FOUND: u8 = 127;

/// Why the command was not run.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no seat.
    NoSeat(Error),
    /// No server runs on the data folder that was named.
    NoServer(String),
    /// What was typed or found cannot be used.
    Own(String),
    /// The command cannot be started.
    NotStarted { command: String, error: io::Error },
    /// This signal came while a seat was waited for.
    Signal(i32),
}

impl Failure {
    /// The program ends with this.
    pub(super) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NoSeat(Error::Full { .. }) => FULL,
            Self::NoSeat(Error::Refused(_)) => REFUSED,
            Self::NoSeat(Error::Unreachable { .. }) | Self::NoServer(_) => UNREACHABLE,
            Self::NoSeat(_) | Self::Own(_) => OWN,
            Self::NotStarted { error, .. } if error.kind() == io::ErrorKind::NotFound => NOT_FOUND,
            Self::NotStarted { .. } => NOT_STARTED,
            Self::Signal(signal) => of_signal(*signal),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSeat(error @ Error::Full { .. }) => {
                write!(f, "{error}. Try again later, or wait for one with --wait")
            }
            Self::NoSeat(error) => error.fmt(f),
            Self::NoServer(why) | Self::Own(why) => f.write_str(why),
            Self::NotStarted { command, error } => write!(f, "{command} cannot be run: {error}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal} before there was a seat"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::NoSeat(error)
    }
}

impl From<operator::Failure> for Failure {
    fn from(failure: operator::Failure) -> Self {
        match failure.exit {
            Exit::Unavailable => Self::NoServer(failure.text),
            _ => Self::Own(failure.text),
        }
    }
}

/// The code that a shell gives to what a signal has ended.
pub(super) fn of_signal(signal: i32) -> u8 {
    u8::try_from(signal).map_or(u8::MAX, |signal| signal.saturating_add(128))
}
