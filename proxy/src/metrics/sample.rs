//! Small parts metrics are made of: counts behind a closed set of labels, and samples for the text format.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::core::Metric as _;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric};
use prometheus::{Histogram, HistogramOpts};

use super::names::Name;

/// Declares an enum whose variants are the values of one label, each with its text.
macro_rules! label {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label's text.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl $crate::metrics::sample::Label for $name {
            const TEXTS: &'static [&'static str] = &[$($text),+];

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(super) use label;

/// A closed set of label values.
pub trait Label: Copy {
    /// The texts, by index.
    const TEXTS: &'static [&'static str];
    /// Position of this value in [`Label::TEXTS`].
    fn index(self) -> usize;
}

/// A count for each value of a label; counting is one atomic addition.
#[derive(Debug)]
pub(super) struct Counts<L> {
    counts: Box<[AtomicU64]>,
    label: std::marker::PhantomData<fn(L)>,
}

impl<L: Label> Counts<L> {
    pub(super) fn new() -> Self {
        Self {
            counts: L::TEXTS.iter().map(|_| AtomicU64::new(0)).collect(),
            label: std::marker::PhantomData,
        }
    }

    pub(super) fn add(&self, label: L, n: u64) {
        self.counts[label.index()].fetch_add(n, Ordering::Relaxed);
    }

    /// One sample a value, zeros included, so that `rate()` sees the first event.
    pub(super) fn samples(&self, subject: &[(&str, &str)], label: &str) -> Vec<Metric> {
        let texts = L::TEXTS.iter().zip(&self.counts);
        texts
            .map(|(text, count)| {
                let labels = [subject, &[(label, *text)]].concat();
                counter(&labels, count.load(Ordering::Relaxed))
            })
            .collect()
    }
}

/// A histogram of seconds with the labels of its subject.
pub(super) fn seconds(name: &Name, labels: &[(&str, &str)], buckets: &[f64]) -> Histogram {
    let opts = HistogramOpts::new(name.name, name.help).buckets(buckets.to_vec());
    let opts = labels.iter().fold(opts, |opts, (label, value)| {
        opts.const_label(*label, *value)
    });
    Histogram::with_opts(opts).expect("names and labels are constants of the metric table")
}

/// Adds a duration to a histogram of [`seconds`].
pub(super) fn observe(histogram: &Histogram, elapsed: Duration) {
    histogram.observe(elapsed.as_secs_f64());
}

/// The sample of a histogram, labels included.
pub(super) fn histogram(histogram: &Histogram) -> Metric {
    histogram.metric()
}

/// The sample of a histogram with these labels in place of its own.
pub(super) fn relabelled(histogram: &Histogram, labels: &[(&str, &str)]) -> Metric {
    let mut metric = histogram.metric();
    metric.set_label(pairs(labels));
    metric
}

pub(super) fn counter(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_counter(counter);
    metric
}

pub(super) fn gauge(labels: &[(&str, &str)], value: i64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value as f64);
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_gauge(gauge);
    metric
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    labels
        .iter()
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        })
        .collect()
}
