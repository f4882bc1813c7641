//! `coditect seat`: what may be typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use jiff::SignedDuration;

const RUN_HELP: &str = "\
Examples:
  coditect seat run --server https://licensing.example.com --key-file key -- render scene.blend
  coditect seat run --wait 10m --on-lost stop -- make -j8
  coditect seat run --metadata host=$(hostname) --metadata user=$USER -- sh -c 'echo licensed'

Exit codes: the command's own, 128+N when signal N ended it, and of coditect itself:
  121  no seat came free in time
  122  the licence was refused: unknown key, suspended, expired, revoked
  123  the server could not be reached
  124  the seat was lost, and the command was stopped for that (--on-lost stop)
  125  coditect itself failed: a key file that cannot be read, a bad address
  126  the command was found and could not be started
  127  the command was not found";

/// Holding a seat on this machine.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum SeatCommand {
    /// Run a command that holds a seat while it runs
    ///
    /// Takes a seat, runs the command, keeps the seat in the background and gives it back at the end. Input, output,
    /// signals and the exit code are the command's own. A server that cannot be reached for a while is not noticed: the
    /// seat stays good for some minutes, and coditect connects again by itself.
    #[command(after_help = RUN_HELP)]
    Run(Run),
    /// Show how the licence stands and whether this machine holds a seat
    ///
    /// Changes nothing and takes no seat. Ends with 0 when the licence may be used, with 122 when it may not, and with 123
    /// when the server cannot be reached.
    #[command(after_help = "Example:\n  coditect seat status --key-file key --json | jq .seats")]
    Status {
        /// Print one JSON object instead of lines for people
        #[arg(long)]
        json: bool,
        /// Whose seat, and where.
        #[command(flatten)]
        whose: Whose,
    },
    /// Give back the seat that this machine holds
    ///
    /// For a seat that was left behind by a program that crashed; otherwise it lapses by itself some minutes later. A
    /// program that still runs takes a seat anew at its next heartbeat.
    #[command(after_help = "Example:\n  coditect seat release --key-file key")]
    Release {
        /// Whose seat, and where.
        #[command(flatten)]
        whose: Whose,
    },
}

/// Which licence's seat, on which machine, of which server.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct Whose {
    /// The licence server [default: http://127.0.0.1:8750] [env: CODITECT_SERVER]
    ///
    /// On the server's own computer the user who owns its data folder may name that instead: --data counts before
    /// CODITECT_SERVER, and CODITECT_DATA after it.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// The licence key; others may see it here, so a file or the environment is better [env: CODITECT_LICENSE_KEY]
    #[arg(long, value_name = "KEY", conflicts_with = "key_file")]
    pub key: Option<String>,
    /// Read the licence key from this file [env: CODITECT_LICENSE_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// What the server is to know this machine by, instead of what is found out [env: CODITECT_HARDWARE_ID]
    #[arg(long, value_name = "ID")]
    pub hardware_id: Option<String>,
    /// Trust the authorities in this PEM file for TLS, too [env: CODITECT_CA_FILE]
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// A command that is to hold a seat.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Whose seat, and where.
    #[command(flatten)]
    pub whose: Whose,
    /// Wait so long for a seat when all are in use, and for a server that cannot be reached
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub wait: Duration,
    /// What to do when the seat is lost while the command runs
    #[arg(long, value_name = "WHAT", default_value = "warn")]
    pub on_lost: OnLost,
    /// With --on-lost stop: the time between SIGTERM and SIGKILL
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub grace: Duration,
    /// A note that is shown to who looks who holds the seats; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = note)]
    pub metadata: Vec<(String, String)>,
    /// Say only why the command was not run or was stopped
    #[arg(long, short)]
    pub quiet: bool,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, required = true, num_args = 1..)]
    pub command: Vec<OsString>,
}

/// What is done when a seat is lost.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnLost {
    /// Say so, let the command go on, and try to get a seat again
    Warn,
    /// Say so, and end the command: SIGTERM, and SIGKILL when it does not heed that
    Stop,
}

/// Far longer than anybody waits, and short enough for all reckoning.
const DURATION_MAX: Duration = Duration::from_hours(24 * 30);

fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "it has to be a time such as 90s, 5m or 1h 30m, of 30 days at most".to_owned();
    let parsed: SignedDuration = text.parse().map_err(|_| bad())?;
    Duration::try_from(parsed).ok().filter(|time| *time <= DURATION_MAX).ok_or_else(bad)
}

fn note(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it has to be NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(subcommand)]
        command: SeatCommand,
    }

    fn parse(words: &[&str]) -> Result<SeatCommand, clap::Error> {
        Line::try_parse_from([&["seat"], words].concat()).map(|line| line.command)
    }

    fn run(words: &[&str]) -> Run {
        match parse(words) {
            Ok(SeatCommand::Run(run)) => run,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn what_follows_is_the_command_with_its_own_flags() {
        let plain = run(&["run", "--", "make", "--wait", "-j8"]);
        assert_eq!(plain.command, ["make", "--wait", "-j8"]);
        assert_eq!((plain.wait, plain.on_lost), (Duration::ZERO, OnLost::Warn));
        assert_eq!(run(&["run", "--quiet", "make", "--quiet"]).command, ["make", "--quiet"]);
    }

    #[test]
    fn each_flag_is_understood() {
        let line = [
            "run",
            "--server",
            "http://a",
            "--key",
            "K",
            "--hardware-id",
            "h",
            "--wait",
            "1m 30s",
            "--on-lost",
            "stop",
            "--grace",
            "5s",
            "--metadata",
            "a=b=c",
            "--metadata",
            "d=",
            "-q",
            "--",
            "true",
        ];
        let run = run(&line);
        assert_eq!(run.whose.key.as_deref(), Some("K"));
        assert_eq!(run.whose.server.as_deref(), Some("http://a"));
        assert_eq!(run.whose.hardware_id.as_deref(), Some("h"));
        assert_eq!(run.wait, Duration::from_secs(90));
        assert_eq!(run.grace, Duration::from_secs(5));
        assert_eq!(run.on_lost, OnLost::Stop);
        let notes = [("a", "b=c"), ("d", "")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(run.metadata, notes);
        assert!(run.quiet);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (line, kind) in [
            (&["run"][..], ErrorKind::MissingRequiredArgument),
            (&["run", "--wait", "60", "--", "true"], ErrorKind::ValueValidation),
            (&["run", "--wait=-5s", "--", "true"], ErrorKind::ValueValidation),
            (&["run", "--wait", "10000h", "--", "true"], ErrorKind::ValueValidation),
            (&["run", "--metadata", "a", "--", "true"], ErrorKind::ValueValidation),
            (&["run", "--metadata", "=a", "--", "true"], ErrorKind::ValueValidation),
            (&["run", "--on-lost", "cry", "--", "true"], ErrorKind::InvalidValue),
            (&["status", "--key", "a", "--key-file", "b"], ErrorKind::ArgumentConflict),
            (&["release", "now"], ErrorKind::UnknownArgument),
        ] {
            assert_eq!(parse(line).unwrap_err().kind(), kind, "{line:?}");
        }
    }
}
