//! What the server says of itself: logs to standard error, metrics to `/metrics`.
//!
//! Nothing is sent anywhere. A request costs three relaxed atomic additions: handles are
//! resolved once, no lock is taken and no text is built until somebody scrapes.

mod histogram;
mod logs;
mod metrics;
mod process;
mod recent;

pub use histogram::Histogram;
pub use logs::{LogError, init_logs};
pub use metrics::{CommitMetrics, JobMetrics, Metrics, OpMetrics, SeatMetrics, SigningMetrics};
pub use recent::{LogLine, RecentLogs};
