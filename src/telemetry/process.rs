//! The process as the kernel sees it, read from `/proc` when somebody scrapes. Where there is no
//! `/proc` these metrics are absent. Names follow what Prometheus client libraries agree on, so
//! that common dashboards work.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::domain::time::Timestamp;

/// The unit of CPU times in `/proc`, fixed by the kernel's interface: hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process {
    pub(super) started_at: Timestamp,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let started = ConstGauge::new(self.started_at.unix_seconds());
        started.encode(encoder.encode_descriptor(
            "process_start_time",
            "When the server started, in seconds since 1970",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?)?;
        if let Some(bytes) = resident_bytes() {
            ConstGauge::new(bytes).encode(encoder.encode_descriptor(
                "process_resident_memory",
                "Memory that the process holds",
                Some(&Unit::Bytes),
                MetricType::Gauge,
            )?)?;
        }
        if let Some(open) = open_files() {
            ConstGauge::new(open).encode(encoder.encode_descriptor(
                "process_open_fds",
                "Open files and connections",
                None,
                MetricType::Gauge,
            )?)?;
        }
        if let Some(seconds) = cpu_seconds() {
            ConstCounter::new(seconds).encode(encoder.encode_descriptor(
                "process_cpu",
                "Processor time used",
                Some(&Unit::Seconds),
                MetricType::Counter,
            )?)?;
        }
        Ok(())
    }
}

/// Resident memory, in bytes.
pub(super) fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1_024)
}

fn open_files() -> Option<i64> {
    // One of them is the folder being read.
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as i64 - 1)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name comes second, in brackets, and may hold spaces: count from behind it.
    // Of what follows, the 12th and 13th are user and system time (proc_pid_stat(5)).
    let (_, after_name) = stat.rsplit_once(") ")?;
    let ticks = after_name.split(' ').skip(11).take(2).map(str::parse::<f64>);
    let ticks: f64 = ticks.sum::<Result<f64, _>>().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}
