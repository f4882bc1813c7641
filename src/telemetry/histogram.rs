//! A histogram without a lock: an observation is two relaxed additions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds for durations in seconds: half a millisecond to ten seconds, fine where the goals
/// lie (1, 5, 10, 200 ms).
const DURATION_BOUNDS_US: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];
/// Upper bounds for how many things go together.
const SIZE_BOUNDS: [u64; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

/// Counts observations by size. Clones share their counts.
#[derive(Clone)]
pub struct Histogram(Arc<Inner>);

struct Inner {
    /// Upper bounds in raw units; what lies above the last goes to the bucket after it.
    bounds: Vec<u64>,
    buckets: Vec<AtomicU64>,
    sum: AtomicU64,
    /// Raw units in one unit of the metric.
    scale: f64,
}

impl Histogram {
    /// For durations, told in seconds and kept in nanoseconds.
    pub fn durations() -> Self {
        Self::new(DURATION_BOUNDS_US.iter().map(|us| us * 1_000).collect(), 1e9)
    }

    /// For numbers of things.
    pub fn sizes() -> Self {
        Self::new(SIZE_BOUNDS.to_vec(), 1.0)
    }

    fn new(bounds: Vec<u64>, scale: f64) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Inner { bounds, buckets, sum: AtomicU64::new(0), scale }))
    }

    /// Counts a duration.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts a number of things.
    pub fn observe_size(&self, size: usize) {
        self.observe(size as u64);
    }

    fn observe(&self, raw: u64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < raw);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum.fetch_add(raw, Ordering::Relaxed);
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Histogram({})", self.count())
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let Inner { bounds, buckets, sum, scale } = &*self.0;
        let sum = sum.load(Ordering::Relaxed) as f64 / scale;
        let upper = bounds.iter().map(|bound| *bound as f64 / scale);
        let counts = buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> =
            upper.chain(std::iter::once(f64::INFINITY)).zip(counts).collect();
        // The count is taken from the same reading as the buckets, so that the two agree even
        // while others observe.
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
