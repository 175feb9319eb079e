//! Handles of what is measured at a listener.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use prometheus::Histogram;
use prometheus::proto::Metric;

use super::names;
use super::sample::{self, Counts, label};
use super::subject::{Subject, counted};

/// A millisecond to a day: from a refused connection to one of a database pool.
const CONNECTION_BUCKETS: [f64; 14] = [
    0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0,
    86_400.0,
];

label! {
    /// Why a TCP connection ended.
    ConnectionEnd {
        /// Client and origin both ended their side.
        Closed = "closed",
        ClientReset = "client_reset",
        OriginReset = "origin_reset",
        /// Nothing came or went for the listener's `idle_timeout`.
        IdleTimeout = "idle_timeout",
        FilterClosed = "filter_closed",
        /// A fault of a plugin whose policy is to deny.
        FilterFault = "filter_fault",
        /// A plugin held the connection for longer than `limits.pause`.
        FilterTimeout = "filter_timeout",
        /// A plugin made the bytes it held longer than `limits.body_held`.
        FilterOverflow = "filter_overflow",
        /// A plugin chose an upstream that does not exist.
        NoUpstream = "no_upstream",
        /// No name of the upstream has resolved.
        NoAddress = "no_address",
        ConnectFailed = "connect_failed",
        ConnectTimeout = "connect_timeout",
        /// Its configuration was replaced, and `reload.drain` was over.
        Superseded = "superseded",
        /// The process ended, and `reload.drain` was over.
        Drained = "drained",
    }
}

/// Metrics of a listener.
#[derive(Debug)]
pub struct ListenerMetrics {
    open: AtomicI64,
    accepted: AtomicU64,
    refused: AtomicU64,
    /// The rest only for listeners that relay TCP.
    ends: Counts<ConnectionEnd>,
    duration: Histogram,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Subject for ListenerMetrics {
    fn new(name: &str) -> Self {
        Self {
            open: AtomicI64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            ends: Counts::new(),
            duration: sample::seconds(
                &names::TCP_CONNECTION_DURATION,
                &[("listener", name)],
                &CONNECTION_BUCKETS,
            ),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }
}

impl ListenerMetrics {
    /// A connection was taken; [`ListenerMetrics::closed`] must follow.
    pub fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// A connection was closed at once, at the limit.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes came from the client of a TCP connection.
    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes went to the client of a TCP connection.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A TCP connection ended.
    pub fn ended(&self, end: ConnectionEnd, elapsed: Duration) {
        self.ends.add(end, 1);
        sample::observe(&self.duration, elapsed);
    }

    pub(super) fn connections(&self, name: &str) -> Vec<Metric> {
        let open = self.open.load(Ordering::Relaxed);
        vec![sample::gauge(&[("listener", name)], open)]
    }

    pub(super) fn accepted(&self, name: &str) -> Vec<Metric> {
        vec![counted("listener", name, &self.accepted)]
    }

    pub(super) fn connections_refused(&self, name: &str) -> Vec<Metric> {
        vec![counted("listener", name, &self.refused)]
    }

    /// Nothing before the first TCP connection: a listener for HTTP has none.
    pub(super) fn tcp_connections(&self, name: &str) -> Vec<Metric> {
        self.ends.samples(&[("listener", name)], "end")
    }

    pub(super) fn durations(&self) -> Vec<Metric> {
        let some =
            (self.duration.get_sample_count() > 0).then(|| sample::histogram(&self.duration));
        some.into_iter().collect()
    }

    pub(super) fn tcp_received(&self, name: &str) -> Vec<Metric> {
        self.of_tcp(name, &self.received)
    }

    pub(super) fn tcp_sent(&self, name: &str) -> Vec<Metric> {
        self.of_tcp(name, &self.sent)
    }

    fn of_tcp(&self, name: &str, count: &AtomicU64) -> Vec<Metric> {
        let some = count.load(Ordering::Relaxed) > 0;
        some.then(|| counted("listener", name, count))
            .into_iter()
            .collect()
    }
}
