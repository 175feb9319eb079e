//! Metrics that guests define: process-wide by name, bounded in number, never removed.
//!
//! A guest chooses names at run time, and what it writes into them may come from a client. Whatever it does, the text
//! stays valid, no two series are the same, and memory is bounded.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use portcullis_abi::host::Metric;
use portcullis_abi::wire::types::MetricType;
use prometheus::proto::{self, MetricFamily};
use prometheus::{Histogram, HistogramOpts};
use sha2::{Digest as _, Sha256};

use super::guest_name::GuestName;
use super::sample;

/// Names without their labels: what a scrape of a few megabytes can hold.
const FAMILIES_MAX: usize = 1_000;

/// Names with their labels, over all families.
const SERIES_MAX: usize = 10_000;

/// Bytes of one name with its labels.
const NAME_BYTES_MAX: usize = 1_024;

/// A guest's histogram may hold milliseconds, bytes or items: 1 to a milliard, three steps a decade at first.
const BUCKETS: [f64; 20] = [
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 1e5,
    1e6, 1e7, 1e8, 1e9,
];

/// The metrics of all guests.
#[derive(Debug)]
pub struct GuestMetrics {
    state: Mutex<State>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// By the name the guest gave.
    defined: HashMap<String, Arc<Series>>,
    /// By the name Prometheus sees.
    families: BTreeMap<String, Family>,
}

#[derive(Debug)]
struct Family {
    base: String,
    kind: MetricType,
    help: String,
    /// By labels, sorted.
    series: BTreeMap<Vec<(String, String)>, Arc<Series>>,
}

impl GuestMetrics {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
            refused: AtomicU64::new(0),
        }
    }

    /// Defines a metric, or finds the one of this name, whichever plugin defined it.
    ///
    /// `None` where the name is one of another kind, is longer than 1,024 bytes, or where there are 1,000 names or
    /// 10,000 series already; that is counted and logged under `plugin`.
    pub fn define(&self, plugin: &str, kind: MetricType, name: &str) -> Option<Arc<dyn Metric>> {
        match self.state.lock().define(plugin, kind, name) {
            Ok(series) => Some(series),
            Err(reason) => {
                let times = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
                // A guest may ask once a request: say it at the 1st, 2nd, 4th, 8th... time.
                if times.is_power_of_two() {
                    let name: String = name.escape_debug().take(100).collect();
                    tracing::warn!(filter = plugin, "metric `{name}` is not kept: {reason}");
                }
                None
            }
        }
    }

    /// Definitions that were refused so far.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn families(&self) -> Vec<MetricFamily> {
        let state = self.state.lock();
        state
            .families
            .iter()
            .map(|(name, family)| family.proto(name))
            .collect()
    }
}

impl State {
    fn define(
        &mut self,
        plugin: &str,
        kind: MetricType,
        raw: &str,
    ) -> Result<Arc<Series>, &'static str> {
        if let Some(series) = self.defined.get(raw) {
            return match series.kind() == kind {
                true => Ok(Arc::clone(series)),
                false => Err("the name exists with another kind"),
            };
        }
        if raw.len() > NAME_BYTES_MAX {
            return Err("the name is too long");
        }
        if self.defined.len() >= SERIES_MAX {
            return Err("there are too many series");
        }
        let name = GuestName::parse(raw);
        let family = self.family(plugin, kind, &name)?;
        let series = family
            .series
            .entry(name.labels)
            .or_insert_with(|| Arc::new(Series::new(kind)));
        let series = Arc::clone(series);
        self.defined.insert(raw.to_owned(), Arc::clone(&series));
        Ok(series)
    }

    /// The family of this base and kind. Where another base or kind has its name already (`a.b` and `a_b`), the
    /// newcomer's name gets a mark made of its own base and kind.
    fn family(
        &mut self,
        plugin: &str,
        kind: MetricType,
        name: &GuestName,
    ) -> Result<&mut Family, &'static str> {
        let plain = name.family(kind, None);
        let free_or_ours = |family: Option<&Family>| {
            family.is_none_or(|family| family.base == name.base && family.kind == kind)
        };
        let full = match free_or_ours(self.families.get(&plain)) {
            true => plain,
            false => name.family(kind, Some(&mark(&name.base, kind))),
        };
        if !free_or_ours(self.families.get(&full)) {
            return Err("another metric has the same name in Prometheus");
        }
        if !self.families.contains_key(&full) && self.families.len() >= FAMILIES_MAX {
            return Err("there are too many metrics");
        }
        Ok(self.families.entry(full).or_insert_with(|| Family {
            base: name.base.clone(),
            kind,
            help: help(plugin, &name.base),
            series: BTreeMap::new(),
        }))
    }
}

/// Eight hexadecimal digits.
fn mark(base: &str, kind: MetricType) -> String {
    let digest = Sha256::digest(format!("{kind:?} {base}"));
    digest[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn help(plugin: &str, base: &str) -> String {
    let base: String = base.escape_debug().take(200).collect();
    format!("Metric `{base}`, first defined by filter `{plugin}`.")
}

impl Family {
    fn proto(&self, name: &str) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(self.help.clone());
        family.set_field_type(match self.kind {
            MetricType::Counter => proto::MetricType::COUNTER,
            MetricType::Gauge => proto::MetricType::GAUGE,
            MetricType::Histogram => proto::MetricType::HISTOGRAM,
        });
        let samples = self.series.iter().map(|(labels, series)| {
            let labels: Vec<(&str, &str)> = labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            series.sample(&labels)
        });
        family.set_metric(samples.collect());
        family
    }
}

/// One series of a guest.
#[derive(Debug)]
enum Series {
    Counter(AtomicU64),
    /// Two's complement: a guest may count below zero.
    Gauge(AtomicU64),
    Histogram(Histogram),
}

impl Series {
    fn new(kind: MetricType) -> Self {
        match kind {
            MetricType::Counter => Self::Counter(AtomicU64::new(0)),
            MetricType::Gauge => Self::Gauge(AtomicU64::new(0)),
            // Its name and labels come from the family when it is read.
            MetricType::Histogram => {
                let opts = HistogramOpts::new("guest", "guest").buckets(BUCKETS.to_vec());
                Self::Histogram(Histogram::with_opts(opts).expect("constant options"))
            }
        }
    }

    fn sample(&self, labels: &[(&str, &str)]) -> proto::Metric {
        match self {
            Self::Counter(value) => sample::counter(labels, value.load(Ordering::Relaxed)),
            Self::Gauge(value) => {
                sample::gauge(labels, value.load(Ordering::Relaxed).cast_signed())
            }
            Self::Histogram(histogram) => sample::relabelled(histogram, labels),
        }
    }
}

impl Metric for Series {
    fn kind(&self) -> MetricType {
        match self {
            Self::Counter(_) => MetricType::Counter,
            Self::Gauge(_) => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
        }
    }

    fn increment(&self, offset: i64) {
        match self {
            Self::Counter(value) | Self::Gauge(value) => {
                value.fetch_add(offset.cast_unsigned(), Ordering::Relaxed);
            }
            Self::Histogram(_) => {}
        }
    }

    fn record(&self, value: u64) {
        match self {
            Self::Counter(count) => {
                count.fetch_add(value, Ordering::Relaxed);
            }
            Self::Gauge(gauge) => gauge.store(value, Ordering::Relaxed),
            Self::Histogram(histogram) => histogram.observe(value as f64),
        }
    }

    fn value(&self) -> u64 {
        match self {
            Self::Counter(value) | Self::Gauge(value) => value.load(Ordering::Relaxed),
            Self::Histogram(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds() -> [MetricType; 3] {
        [
            MetricType::Counter,
            MetricType::Gauge,
            MetricType::Histogram,
        ]
    }

    #[test]
    fn one_name_is_one_metric_for_all_plugins() {
        let guests = GuestMetrics::new();
        let one = guests
            .define("a", MetricType::Counter, "hits")
            .expect("defined");
        let two = guests
            .define("b", MetricType::Counter, "hits")
            .expect("found");
        one.increment(2);
        two.record(3);
        assert_eq!(one.value(), 5);
        assert!(guests.define("b", MetricType::Gauge, "hits").is_none());
        assert_eq!(guests.refused(), 1);
    }

    #[test]
    fn bases_that_look_alike_to_prometheus_stay_apart() {
        let guests = GuestMetrics::new();
        for (kind, name) in [
            (MetricType::Gauge, "a.c"),
            (MetricType::Gauge, "a_c"),
            (MetricType::Histogram, "a-c"),
            (MetricType::Gauge, "a.c_k=1"),
        ] {
            assert!(guests.define("f", kind, name).is_some(), "{name}");
        }
        let families = guests.families();
        let names: Vec<(&str, usize)> = families
            .iter()
            .map(|family| (family.name(), family.get_metric().len()))
            .collect();
        assert_eq!(names.len(), 3);
        assert_eq!(names[0], ("portcullis_guest_a_c", 2));
    }

    #[test]
    fn a_gauge_may_fall_below_zero() {
        let guests = GuestMetrics::new();
        let gauge = guests
            .define("f", MetricType::Gauge, "level")
            .expect("defined");
        gauge.record(5);
        gauge.increment(-8);
        let families = guests.families();
        let value = families[0].get_metric()[0].get_gauge().get_value();
        assert!((value - -3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn numbers_are_bounded() {
        let guests = GuestMetrics::new();
        let define = |name: &str| guests.define("f", MetricType::Counter, name).is_some();
        assert!(!define(&"x".repeat(NAME_BYTES_MAX + 1)));
        for n in 0..FAMILIES_MAX {
            assert!(define(&format!("name{n}")));
        }
        assert!(!define("one_too_many"));
        for n in FAMILIES_MAX..SERIES_MAX {
            assert!(define(&format!("name0_k={n}")));
        }
        assert!(!define("name0_k=one_too_many"));
        assert!(define("name7"), "what exists is still found");
    }

    #[test]
    fn every_kind_counts_what_it_should() {
        for kind in kinds() {
            let metric = Series::new(kind);
            metric.record(7);
            metric.record(7);
            let expected = match kind {
                MetricType::Counter => 14,
                MetricType::Gauge => 7,
                MetricType::Histogram => 0,
            };
            assert_eq!((metric.kind(), metric.value()), (kind, expected));
        }
    }
}
