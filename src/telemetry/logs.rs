//! Log lines.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::RecentLogs;
use crate::config::{LogFilter, LogFormat};

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("log.level cannot be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something in this process logs already.
    #[error("logging was started twice: {0}")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging to standard error and into `recent`, for the whole process and once.
///
/// JSON lines carry `timestamp`, `level`, `target`, `message` and the fields of the event side by
/// side, and the fields of the innermost span (the request) under `span`.
///
/// # Errors
/// When the filter cannot be read, or logging has been started before.
pub fn init_logs(format: LogFormat, level: &LogFilter, recent: RecentLogs) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(level.as_str())?;
    let terminal = io::stderr().is_terminal();
    let to_memory = tracing_subscriber::registry().with(filter).with(recent);
    let lines = fmt::layer().with_writer(io::stderr);
    let json =
        || fmt::layer().with_writer(io::stderr).json().flatten_event(true).with_span_list(false);
    match format {
        LogFormat::Json => to_memory.with(json()).try_init()?,
        LogFormat::Auto if !terminal => to_memory.with(json()).try_init()?,
        LogFormat::Human | LogFormat::Auto => {
            to_memory.with(lines.with_ansi(terminal)).try_init()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logging_starts_once() {
        let recent = RecentLogs::new(crate::clock::Clock::system());
        let level: LogFilter = "info,coditect=debug".parse().expect("a filter");
        init_logs(LogFormat::Json, &level, recent.clone())
            .expect("nothing logs yet in this process");
        let again = init_logs(LogFormat::Human, &level, recent).expect_err("started already");
        assert!(again.to_string().contains("twice"), "{again}");
    }
}
