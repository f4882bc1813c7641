//! Every metric, by name. Who measures holds a clone of the handle; who scrapes calls
//! [`Metrics::render`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::time::Timestamp;

use super::histogram::Histogram;
use super::process::{Process, resident_bytes};

type Labels = Vec<(&'static str, &'static str)>;
/// Status classes, for the label `class`.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The operation of requests that no operation answers.
const UNMATCHED: &str = "unmatched";

/// All metrics of the server.
pub struct Metrics {
    registry: Mutex<Registry>,
    operations: HashMap<&'static str, Arc<OpMetrics>>,
    unmatched: Arc<OpMetrics>,
    /// Requests refused by a rate limit.
    pub rate_limited: Counter,
    /// Concurrent seats.
    pub seats: SeatMetrics,
    /// The store's writer.
    pub commits: CommitMetrics,
    /// Background work by state.
    pub jobs: JobMetrics,
    /// Attempts at background work: by kind and outcome.
    job_attempts: Family<Labels, Counter>,
    mails_sent: Counter,
    mails_failed: Counter,
    sign_ins_failed: Counter,
    /// Sign-ins and the like that wait for a password to be hashed.
    pub passwords_waiting: Gauge,
    /// Signatures.
    pub signing: SigningMetrics,
}

/// One operation of the API.
#[derive(Debug)]
pub struct OpMetrics {
    by_class: [Counter; 5],
    duration: Histogram,
}

impl OpMetrics {
    /// Counts an answered request: its status and how long it took.
    pub fn record(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.by_class[class].inc();
        self.duration.observe_duration(took);
    }

    /// How many requests were answered.
    pub fn count(&self) -> u64 {
        self.duration.count()
    }
}

/// What the seat engine knows.
#[derive(Clone, Debug, Default)]
pub struct SeatMetrics {
    /// Seats held now.
    pub live: Gauge,
    /// The most seats held at once since the start.
    pub peak: Gauge,
    /// Licences of which a seat is held now.
    pub licenses: Gauge,
    /// Clients in line for a seat.
    pub waiting: Gauge,
    /// Seats taken.
    pub acquired: Counter,
    /// Seats that lapsed without being released.
    pub lapsed: Counter,
    /// Refusals for want of a seat.
    pub denied: Counter,
}

/// What the group-committing writer does.
#[derive(Clone, Debug)]
pub struct CommitMetrics {
    /// Writes that share a commit.
    pub batch_size: Histogram,
    /// How long a commit takes until it is on disk.
    pub duration: Histogram,
    /// Writes waiting for the writer.
    pub queue_depth: Gauge,
    /// Commits that failed.
    pub failed: Counter,
}

/// Background work by state.
#[derive(Clone, Debug)]
pub struct JobMetrics {
    /// Jobs that wait for their time or another attempt.
    pub waiting: Gauge,
    /// Jobs that failed too often and wait for an operator.
    pub parked: Gauge,
}

/// Signatures by kind.
#[derive(Clone, Debug)]
pub struct SigningMetrics {
    /// Licence documents (RSA-4096).
    pub licenses: Counter,
    /// Answers to `validate` with a nonce (Ed25519).
    pub answers: Counter,
}

impl Metrics {
    /// The media type of [`Metrics::render`].
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Makes every metric, those of each operation included, so that none needs to be made later.
    pub fn new(
        version: &str,
        started_at: Timestamp,
        operations: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let mut all = Registry::default();
        all.register_collector(Box::new(Process { started_at }));
        let registry = all.sub_registry_with_prefix("coditect");
        registry.register(
            "build",
            "The version that runs",
            Info::new(vec![("version", version.to_owned())]),
        );
        let rate_limited = Counter::default();
        registry.register("rate_limited", "Requests refused by a rate limit", rate_limited.clone());
        let sign_ins_failed = Counter::default();
        registry.register(
            "sign_ins_failed",
            "Sign-ins refused for a wrong address or password",
            sign_ins_failed.clone(),
        );
        let (operations, unmatched) = register_operations(registry, operations);
        let seats = register_seats(registry);
        let commits = register_commits(registry);
        let (jobs, job_attempts) = register_jobs(registry);
        let (mails_sent, mails_failed) = register_mails(registry);
        let passwords_waiting = Gauge::default();
        registry.register(
            "passwords_waiting",
            "Requests waiting for a password to be hashed",
            passwords_waiting.clone(),
        );
        let signing = register_signing(registry);
        Self {
            registry: Mutex::new(all),
            operations,
            unmatched,
            rate_limited,
            seats,
            commits,
            jobs,
            job_attempts,
            mails_sent,
            mails_failed,
            sign_ins_failed,
            passwords_waiting,
            signing,
        }
    }

    /// The metrics of an operation; those of requests that nothing answers for an unknown name.
    pub fn operation(&self, operation_id: &str) -> &Arc<OpMetrics> {
        self.operations.get(operation_id).unwrap_or(&self.unmatched)
    }

    /// A transport took a mail.
    pub fn mail_sent(&self) {
        self.mails_sent.inc();
    }

    /// An attempt to send a mail failed.
    pub fn mail_failed(&self) {
        self.mails_failed.inc();
    }

    /// A sign-in was refused for a wrong address or password.
    pub fn sign_in_failed(&self) {
        self.sign_ins_failed.inc();
    }

    /// A licence document was signed.
    pub fn license_signed(&self) {
        self.signing.licenses.inc();
    }

    /// A background job of this kind was done.
    pub fn job_done(&self, kind: &'static str) {
        self.job_attempts.get_or_create(&vec![("kind", kind), ("outcome", "done")]).inc();
    }

    /// An attempt at a background job of this kind failed.
    pub fn job_failed(&self, kind: &'static str) {
        self.job_attempts.get_or_create(&vec![("kind", kind), ("outcome", "failed")]).inc();
    }

    /// Adds a gauge that is read whenever somebody scrapes: for what something else keeps count of.
    /// `name` stands without the prefix `coditect_` and ends with its unit, if it has one.
    pub fn sample(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> i64 + Send + Sync + 'static,
    ) {
        let mut registry = self.registry.lock();
        let registry = registry.sub_registry_with_prefix("coditect");
        registry.register_collector(Box::new(Sample { name, help, read: Box::new(read) }));
    }

    /// Everything in the `OpenMetrics` text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if text::encode(&mut text, &self.registry.lock()).is_err() {
            // A String takes everything that is written to it, so no metric can be at fault.
            tracing::error!("the metrics could not be written as text");
        }
        text
    }

    /// Memory that this process holds, in bytes, where the kernel tells.
    pub fn resident_bytes() -> Option<i64> {
        resident_bytes()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metrics({} operations)", self.operations.len())
    }
}

struct Sample {
    name: &'static str,
    help: &'static str,
    read: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sample({})", self.name)
    }
}

impl Collector for Sample {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let gauge = ConstGauge::new((self.read)());
        gauge.encode(encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?)
    }
}

type Operations = HashMap<&'static str, Arc<OpMetrics>>;

fn register_operations(
    registry: &mut Registry,
    operations: impl IntoIterator<Item = &'static str>,
) -> (Operations, Arc<OpMetrics>) {
    let requests = Family::<Labels, Counter>::default();
    let durations: Family<Labels, Histogram, fn() -> Histogram> =
        Family::new_with_constructor(Histogram::durations);
    registry.register("requests", "Requests answered", requests.clone());
    registry.register_with_unit(
        "request_duration",
        "How long requests took",
        Unit::Seconds,
        durations.clone(),
    );
    let make = |operation: &'static str| {
        let of = ("operation", operation);
        let by_class =
            CLASSES.map(|class| requests.get_or_create_owned(&vec![of, ("class", class)]));
        Arc::new(OpMetrics { by_class, duration: durations.get_or_create_owned(&vec![of]) })
    };
    (operations.into_iter().map(|id| (id, make(id))).collect(), make(UNMATCHED))
}

fn register_seats(registry: &mut Registry) -> SeatMetrics {
    let seats = SeatMetrics::default();
    registry.register("seats_live", "Seats held now", seats.live.clone());
    registry.register(
        "seats_peak",
        "The most seats held at once since the start",
        seats.peak.clone(),
    );
    registry.register(
        "seats_licenses",
        "Licences of which a seat is held now",
        seats.licenses.clone(),
    );
    registry.register("seats_waiting", "Clients in line for a seat", seats.waiting.clone());
    registry.register("seats_acquired", "Seats taken", seats.acquired.clone());
    registry.register("seats_lapsed", "Seats that lapsed without release", seats.lapsed.clone());
    registry.register("seats_denied", "Refusals for want of a seat", seats.denied.clone());
    seats
}

fn register_commits(registry: &mut Registry) -> CommitMetrics {
    let commits = CommitMetrics {
        batch_size: Histogram::sizes(),
        duration: Histogram::durations(),
        queue_depth: Gauge::default(),
        failed: Counter::default(),
    };
    let batch_size = commits.batch_size.clone();
    registry.register("commit_batch_writes", "Writes that share a commit", batch_size);
    registry.register_with_unit(
        "commit_duration",
        "How long a commit takes until it is on disk",
        Unit::Seconds,
        commits.duration.clone(),
    );
    let queue_depth = commits.queue_depth.clone();
    registry.register("writer_queue_depth", "Writes waiting for the writer", queue_depth);
    registry.register("commits_failed", "Commits that failed", commits.failed.clone());
    commits
}

fn register_jobs(registry: &mut Registry) -> (JobMetrics, Family<Labels, Counter>) {
    let states = Family::<Labels, Gauge>::default();
    let attempts = Family::<Labels, Counter>::default();
    registry.register("jobs", "Background jobs by state", states.clone());
    registry.register("job_attempts", "Attempts at background jobs", attempts.clone());
    let state = |state| states.get_or_create_owned(&vec![("state", state)]);
    let jobs = JobMetrics { waiting: state("waiting"), parked: state("parked") };
    (jobs, attempts)
}

fn register_mails(registry: &mut Registry) -> (Counter, Counter) {
    let mails = Family::<Labels, Counter>::default();
    registry.register("mails", "Attempts to send a mail", mails.clone());
    let outcome = |outcome| mails.get_or_create_owned(&vec![("outcome", outcome)]);
    (outcome("sent"), outcome("failed"))
}

fn register_signing(registry: &mut Registry) -> SigningMetrics {
    let signatures = Family::<Labels, Counter>::default();
    registry.register("signatures", "Signatures made", signatures.clone());
    let kind = |kind| signatures.get_or_create_owned(&vec![("kind", kind)]);
    SigningMetrics { licenses: kind("license"), answers: kind("answer") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        Metrics::new("1.2.3", Timestamp(1_795_348_800_000), ["acquire_seat", "login"])
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|have| have == line), "{line} in\n{text}");
    }

    #[test]
    fn a_request_is_counted_by_operation_class_and_duration() {
        let metrics = metrics();
        metrics.operation("acquire_seat").record(201, Duration::from_micros(700));
        metrics.operation("acquire_seat").record(409, Duration::from_millis(3));
        metrics.operation("no_such_operation").record(404, Duration::from_mins(1));
        let text = metrics.render();
        for line in [
            "coditect_requests_total{operation=\"acquire_seat\",class=\"2xx\"} 1",
            "coditect_requests_total{operation=\"acquire_seat\",class=\"4xx\"} 1",
            "coditect_requests_total{operation=\"login\",class=\"2xx\"} 0",
            "coditect_requests_total{operation=\"unmatched\",class=\"4xx\"} 1",
            "coditect_request_duration_seconds_bucket{le=\"0.0005\",operation=\"acquire_seat\"} 0",
            "coditect_request_duration_seconds_bucket{le=\"0.001\",operation=\"acquire_seat\"} 1",
            "coditect_request_duration_seconds_bucket{le=\"0.005\",operation=\"acquire_seat\"} 2",
            "coditect_request_duration_seconds_bucket{le=\"10.0\",operation=\"unmatched\"} 0",
            "coditect_request_duration_seconds_bucket{le=\"+Inf\",operation=\"unmatched\"} 1",
            "coditect_request_duration_seconds_count{operation=\"acquire_seat\"} 2",
            "coditect_request_duration_seconds_sum{operation=\"acquire_seat\"} 0.0037",
        ] {
            has(&text, line);
        }
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_it_closes() {
        let metrics = metrics();
        metrics.commits.batch_size.observe_size(64);
        metrics.commits.batch_size.observe_size(65);
        let text = metrics.render();
        has(&text, "coditect_commit_batch_writes_bucket{le=\"32.0\"} 0");
        has(&text, "coditect_commit_batch_writes_bucket{le=\"64.0\"} 1");
        has(&text, "coditect_commit_batch_writes_bucket{le=\"128.0\"} 2");
        has(&text, "coditect_commit_batch_writes_sum 129.0");
    }

    #[test]
    fn every_part_of_the_server_is_told() {
        let metrics = metrics();
        metrics.rate_limited.inc();
        metrics.seats.live.set(7);
        metrics.seats.denied.inc();
        metrics.commits.queue_depth.set(3);
        metrics.jobs.parked.set(1);
        metrics.mail_sent();
        metrics.sign_in_failed();
        metrics.job_done("send_mail");
        metrics.job_failed("send_mail");
        metrics.passwords_waiting.inc();
        metrics.license_signed();
        metrics.sample("database_bytes", "Size of the database", || 4_096);
        let text = metrics.render();
        for line in [
            "coditect_build_info{version=\"1.2.3\"} 1",
            "coditect_rate_limited_total 1",
            "coditect_seats_live 7",
            "coditect_seats_denied_total 1",
            "coditect_writer_queue_depth 3",
            "coditect_jobs{state=\"parked\"} 1",
            "coditect_mails_total{outcome=\"sent\"} 1",
            "coditect_mails_total{outcome=\"failed\"} 0",
            "coditect_sign_ins_failed_total 1",
            "coditect_job_attempts_total{kind=\"send_mail\",outcome=\"done\"} 1",
            "coditect_job_attempts_total{kind=\"send_mail\",outcome=\"failed\"} 1",
            "coditect_passwords_waiting 1",
            "coditect_signatures_total{kind=\"license\"} 1",
            "coditect_database_bytes 4096",
            "process_start_time_seconds 1795348800",
            "# UNIT coditect_request_duration_seconds seconds",
            "# EOF",
        ] {
            has(&text, line);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_is_told_as_the_kernel_sees_it() {
        let text = metrics().render();
        for name in
            ["process_resident_memory_bytes ", "process_open_fds ", "process_cpu_seconds_total "]
        {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value: f64 = line.unwrap_or_else(|| panic!("{name}")).parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{name} {value}");
        }
        assert!(Metrics::resident_bytes().unwrap() > 100_000);
    }

    #[test]
    fn each_metric_is_described_once() {
        let text = metrics().render();
        let mut described: Vec<&str> =
            text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let all = described.len();
        described.sort_unstable();
        described.dedup();
        assert_eq!(described.len(), all);
    }

    #[test]
    fn nothing_is_lost_when_many_count_at_once() {
        let metrics = metrics();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        metrics.operation("login").record(200, Duration::from_millis(1));
                    }
                });
            }
        });
        assert_eq!(metrics.operation("login").count(), 40_000);
    }
}
