//! Log lines.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt as _;

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

/// Starts logging to standard error, for the whole process and once.
///
/// JSON lines carry `timestamp`, `level`, `target`, `message` and the fields of the event side by
/// side, and the fields of the innermost span (the request) under `span`.
///
/// # Errors
/// When the filter cannot be read, or logging has been started before.
pub fn init_logs(format: LogFormat, level: &LogFilter) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(level.as_str())?;
    let terminal = io::stderr().is_terminal();
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_span_list(false).finish().try_init()?;
        }
        LogFormat::Auto if !terminal => {
            lines.json().flatten_event(true).with_span_list(false).finish().try_init()?;
        }
        LogFormat::Human | LogFormat::Auto => lines.with_ansi(terminal).finish().try_init()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logging_starts_once() {
        let level: LogFilter = "info,coditect=debug".parse().expect("a filter");
        init_logs(LogFormat::Json, &level).expect("nothing logs yet in this process");
        let again = init_logs(LogFormat::Human, &level).expect_err("started already");
        assert!(again.to_string().contains("twice"), "{again}");
    }
}
