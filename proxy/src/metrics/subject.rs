//! Handles of what is measured: a route, a filter, an upstream, a listener.
//!
//! A generation resolves its handles once; afterwards the request path only adds to atomics: no lock, no allocation.
//! A handle outlives its name: an exchange of an old generation may go on counting where nobody looks any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use portcullis_abi::host::Refusal;
use prometheus::Histogram;
use prometheus::proto::Metric;

use super::names;
use super::sample::{self, Counts, label};

/// Half a millisecond to a minute: from a proxied answer in memory to a client's patience.
const REQUEST_BUCKETS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];

/// One microsecond to one second: from an empty callback to a CPU limit nobody should need.
const FILTER_BUCKETS: [f64; 15] = [
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.005,
    0.01,
    0.05,
    0.1,
    1.0,
];

label! {
    /// Which callbacks of a filter a duration belongs to.
    Phase {
        RequestHeaders = "request_headers",
        RequestBody = "request_body",
        RequestTrailers = "request_trailers",
        ResponseHeaders = "response_headers",
        ResponseBody = "response_body",
        ResponseTrailers = "response_trailers",
        Log = "log",
        HttpCallResponse = "http_call_response",
        Grpc = "grpc",
        ForeignFunction = "foreign_function",
        Tick = "tick",
        Queue = "queue",
        NewConnection = "new_connection",
        DownstreamData = "downstream_data",
        UpstreamData = "upstream_data",
        ConnectionClose = "connection_close",
    }
}

label! {
    /// What went wrong in a VM.
    FaultKind {
        Trap = "trap",
        Cpu = "cpu",
        Memory = "memory",
        Stack = "stack",
        Start = "start",
    }
}

label! {
    /// How a callout ended.
    CalloutResult {
        /// The upstream answered, with whatever status.
        Answered = "answered",
        TimedOut = "timed_out",
        /// No connection, or it broke.
        Failed = "failed",
        /// The filter did not want the answer any more.
        Cancelled = "cancelled",
    }
}

label! {
    /// Why a host call had no effect.
    RefusedCall {
        Grant = "grant",
        InvalidHeader = "invalid_header",
        Unavailable = "unavailable",
        QueueFull = "queue_full",
        TooManyCallouts = "too_many_callouts",
        GrpcQueueFull = "grpc_queue_full",
    }
}

/// Something with a name in the configuration that has metrics of its own.
pub(super) trait Subject {
    fn new(name: &str) -> Self;
}

/// The subjects of one sort, by name.
#[derive(Debug)]
pub(super) struct Subjects<S>(RwLock<BTreeMap<String, Arc<S>>>);

impl<S: Subject> Subjects<S> {
    pub(super) fn new() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }

    /// The handle of `name`; the same one for as long as the name is retained.
    pub(super) fn handle(&self, name: &str) -> Arc<S> {
        if let Some(subject) = self.0.read().get(name) {
            return Arc::clone(subject);
        }
        let mut subjects = self.0.write();
        let subject = subjects
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(S::new(name)));
        Arc::clone(subject)
    }

    pub(super) fn retain(&self, names: &BTreeSet<&str>) {
        self.0
            .write()
            .retain(|name, _| names.contains(name.as_str()));
    }

    /// The samples that `of` gives for each subject, in the order of names.
    pub(super) fn samples(&self, of: impl Fn(&str, &S) -> Vec<Metric>) -> Vec<Metric> {
        let subjects = self.0.read();
        subjects
            .iter()
            .flat_map(|(name, subject)| of(name, subject))
            .collect()
    }
}

/// Metrics of a route.
#[derive(Debug)]
pub struct RouteMetrics {
    /// By status from 100 to 599; the last one holds everything else.
    codes: Box<[AtomicU64]>,
    duration: Histogram,
}

/// Statuses with a count of their own: 100 to 599.
const CODES: usize = 500;

impl Subject for RouteMetrics {
    fn new(name: &str) -> Self {
        Self {
            codes: (0..=CODES).map(|_| AtomicU64::new(0)).collect(),
            duration: sample::seconds(
                &names::REQUEST_DURATION,
                &[("route", name)],
                &REQUEST_BUCKETS,
            ),
        }
    }
}

impl RouteMetrics {
    /// One exchange ended. A status outside 100 to 599 (0: none was sent) counts under code 0.
    pub fn observe(&self, status: u16, elapsed: Duration) {
        let index = usize::from(status)
            .checked_sub(100)
            .filter(|index| *index < CODES);
        self.codes[index.unwrap_or(CODES)].fetch_add(1, Ordering::Relaxed);
        sample::observe(&self.duration, elapsed);
    }

    pub(super) fn requests(&self, name: &str) -> Vec<Metric> {
        let counts = self
            .codes
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .enumerate();
        counts
            .filter(|(_, count)| *count > 0)
            .map(|(index, count)| {
                let code = if index == CODES { 0 } else { index + 100 };
                sample::counter(&[("route", name), ("code", &code.to_string())], count)
            })
            .collect()
    }

    pub(super) fn durations(&self) -> Vec<Metric> {
        vec![sample::histogram(&self.duration)]
    }
}

/// Metrics of a filter.
#[derive(Debug)]
pub struct FilterMetrics {
    durations: Box<[Histogram]>,
    faults: Counts<FaultKind>,
    callouts: Counts<CalloutResult>,
    refused: Counts<RefusedCall>,
    evictions: AtomicU64,
    log_dropped: AtomicU64,
    vms: AtomicI64,
    backed_off: AtomicBool,
}

impl Subject for FilterMetrics {
    fn new(name: &str) -> Self {
        let duration = |phase: &Phase| {
            let labels = [("filter", name), ("phase", phase.text())];
            sample::seconds(&names::FILTER_DURATION, &labels, &FILTER_BUCKETS)
        };
        Self {
            durations: Phase::ALL.iter().map(duration).collect(),
            faults: Counts::new(),
            callouts: Counts::new(),
            refused: Counts::new(),
            evictions: AtomicU64::new(0),
            log_dropped: AtomicU64::new(0),
            vms: AtomicI64::new(0),
            backed_off: AtomicBool::new(false),
        }
    }
}

impl FilterMetrics {
    /// One callback returned after `elapsed`.
    pub fn observe(&self, phase: Phase, elapsed: Duration) {
        sample::observe(&self.durations[phase as usize], elapsed);
    }

    pub fn fault(&self, kind: FaultKind) {
        self.faults.add(kind, 1);
    }

    pub fn callout(&self, result: CalloutResult) {
        self.callouts.add(result, 1);
    }

    /// Counts a refusal under the metric it belongs to.
    pub fn refused(&self, refusal: &Refusal) {
        let kind = match refusal {
            Refusal::Grant { .. } => RefusedCall::Grant,
            Refusal::InvalidHeader => RefusedCall::InvalidHeader,
            Refusal::Unavailable { .. } => RefusedCall::Unavailable,
            Refusal::QueueFull => RefusedCall::QueueFull,
            Refusal::TooManyCallouts => RefusedCall::TooManyCallouts,
            Refusal::GrpcQueueFull => RefusedCall::GrpcQueueFull,
            Refusal::SharedDataEvicted { entries } => {
                let entries = u64::try_from(*entries).unwrap_or(u64::MAX);
                self.evictions.fetch_add(entries, Ordering::Relaxed);
                return;
            }
            Refusal::LogRate { lines } => {
                self.log_dropped.fetch_add(*lines, Ordering::Relaxed);
                return;
            }
        };
        self.refused.add(kind, 1);
    }

    pub fn vm_started(&self) {
        self.vms.fetch_add(1, Ordering::Relaxed);
    }

    pub fn vm_ended(&self) {
        self.vms.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn set_backed_off(&self, backed_off: bool) {
        self.backed_off.store(backed_off, Ordering::Relaxed);
    }

    /// Only the phases that ran: a histogram is 17 lines.
    pub(super) fn durations(&self) -> Vec<Metric> {
        let ran = self
            .durations
            .iter()
            .filter(|histogram| histogram.get_sample_count() > 0);
        ran.map(sample::histogram).collect()
    }

    pub(super) fn faults(&self, name: &str) -> Vec<Metric> {
        self.faults.samples(&[("filter", name)], "kind")
    }

    pub(super) fn callouts(&self, name: &str) -> Vec<Metric> {
        self.callouts.samples(&[("filter", name)], "result")
    }

    pub(super) fn refused_calls(&self, name: &str) -> Vec<Metric> {
        self.refused.samples(&[("filter", name)], "kind")
    }

    pub(super) fn evictions(&self, name: &str) -> Vec<Metric> {
        vec![counted("filter", name, &self.evictions)]
    }

    pub(super) fn log_dropped(&self, name: &str) -> Vec<Metric> {
        vec![counted("filter", name, &self.log_dropped)]
    }

    pub(super) fn vms(&self, name: &str) -> Vec<Metric> {
        let vms = self.vms.load(Ordering::Relaxed);
        vec![sample::gauge(&[("filter", name)], vms)]
    }

    pub(super) fn backed_off(&self, name: &str) -> Vec<Metric> {
        let backed_off = self.backed_off.load(Ordering::Relaxed);
        vec![sample::gauge(&[("filter", name)], i64::from(backed_off))]
    }
}

/// Metrics of an upstream.
#[derive(Debug)]
pub struct UpstreamMetrics {
    connect_failures: AtomicU64,
    dns_failures: AtomicU64,
}

impl Subject for UpstreamMetrics {
    fn new(_: &str) -> Self {
        Self {
            connect_failures: AtomicU64::new(0),
            dns_failures: AtomicU64::new(0),
        }
    }
}

impl UpstreamMetrics {
    pub fn connect_failed(&self) {
        self.connect_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub fn dns_failed(&self) {
        self.dns_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connect_failures(&self, name: &str) -> Vec<Metric> {
        vec![counted("upstream", name, &self.connect_failures)]
    }

    pub(super) fn dns_failures(&self, name: &str) -> Vec<Metric> {
        vec![counted("upstream", name, &self.dns_failures)]
    }
}

pub(super) fn counted(label: &str, name: &str, count: &AtomicU64) -> Metric {
    sample::counter(&[(label, name)], count.load(Ordering::Relaxed))
}
