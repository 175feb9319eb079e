//! What the proxy counts and measures, and how Prometheus gets it.
//!
//! [`names`] is the table of every name. What a generation resolves once ([`Metrics::route`] and the like) costs the
//! request path a few atomic additions; only [`Metrics::render`] locks.

mod endpoint;
mod guest;
mod guest_name;
mod listener;
mod names;
mod sample;
mod subject;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Metric, MetricFamily};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

pub use endpoint::serve;
pub use guest::GuestMetrics;
pub use listener::{ConnectionEnd, ListenerMetrics};
pub use sample::Label;
pub use subject::{
    CalloutResult, FaultKind, FilterMetrics, Phase, RefusedCall, RouteMetrics, UpstreamMetrics,
};

use sample::{Counts, label};
use subject::Subjects;

label! {
    /// How a reload ended.
    ReloadResult {
        Success = "success",
        Failure = "failure",
    }
}

/// Names of the configuration in force, for [`Metrics::retain`].
#[derive(Clone, Debug, Default)]
pub struct Names<'a> {
    pub routes: BTreeSet<&'a str>,
    pub filters: BTreeSet<&'a str>,
    pub upstreams: BTreeSet<&'a str>,
    pub listeners: BTreeSet<&'a str>,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    /// The process itself, and the few metrics without a subject in the configuration.
    registry: Registry,
    routes: Subjects<RouteMetrics>,
    filters: Subjects<FilterMetrics>,
    upstreams: Subjects<UpstreamMetrics>,
    listeners: Subjects<ListenerMetrics>,
    guests: GuestMetrics,
    requests_refused: IntCounterVec,
    access_log_dropped: IntCounter,
    audit_log_dropped: IntCounter,
    reloads: Counts<ReloadResult>,
    generation: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        let opts = |name: &names::Name| Opts::new(name.name, name.help);
        let requests_refused = IntCounterVec::new(opts(&names::REQUESTS_REFUSED), &["reason"])
            .expect("names are constants of the metric table");
        let access_log_dropped = IntCounter::with_opts(opts(&names::ACCESS_LOG_DROPPED))
            .expect("names are constants of the metric table");
        let audit_log_dropped = IntCounter::with_opts(opts(&names::AUDIT_LOG_DROPPED))
            .expect("names are constants of the metric table");
        let collectors: [Box<dyn prometheus::core::Collector>; 4] = [
            Box::new(requests_refused.clone()),
            Box::new(access_log_dropped.clone()),
            Box::new(audit_log_dropped.clone()),
            Box::new(ProcessCollector::for_self()),
        ];
        for collector in collectors {
            registry
                .register(collector)
                .expect("names of the metric table are distinct");
        }
        Self {
            registry,
            routes: Subjects::new(),
            filters: Subjects::new(),
            upstreams: Subjects::new(),
            listeners: Subjects::new(),
            guests: GuestMetrics::new(),
            requests_refused,
            access_log_dropped,
            audit_log_dropped,
            reloads: Counts::new(),
            generation: AtomicU64::new(0),
        }
    }

    /// The handle of a route; the same for as long as its name is retained.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        self.routes.handle(name)
    }

    /// The handle of a filter; the same for as long as its name is retained.
    pub fn filter(&self, name: &str) -> Arc<FilterMetrics> {
        self.filters.handle(name)
    }

    /// The handle of an upstream; the same for as long as its name is retained.
    pub fn upstream(&self, name: &str) -> Arc<UpstreamMetrics> {
        self.upstreams.handle(name)
    }

    /// The handle of a listener; the same for as long as its name is retained.
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        self.listeners.handle(name)
    }

    /// What guests define.
    pub fn guests(&self) -> &GuestMetrics {
        &self.guests
    }

    /// A request was refused before a route was chosen. `reason` is one of few fixed words, never the client's.
    pub fn request_refused(&self, reason: &'static str) {
        self.requests_refused.with_label_values(&[reason]).inc();
    }

    /// The counter of dropped access log lines, for [`crate::access_log::AccessLog::open`].
    pub fn access_log_dropped(&self) -> IntCounter {
        self.access_log_dropped.clone()
    }

    /// The counter of dropped audit log lines, for [`crate::audit_log::AuditLog::open`].
    pub fn audit_log_dropped(&self) -> IntCounter {
        self.audit_log_dropped.clone()
    }

    pub fn reloaded(&self, result: ReloadResult) {
        self.reloads.add(result, 1);
    }

    /// The generation in force from now on.
    pub fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Forgets subjects that left the configuration; those that stayed keep their counts. Called after a swap.
    pub fn retain(&self, names: &Names<'_>) {
        let Names {
            routes,
            filters,
            upstreams,
            listeners,
        } = names;
        self.routes.retain(routes);
        self.filters.retain(filters);
        self.upstreams.retain(upstreams);
        self.listeners.retain(listeners);
    }

    /// Everything in Prometheus' text format, version 0.0.4, ordered by name.
    pub fn render(&self) -> String {
        let mut families = self.registry.gather();
        families.extend(self.own_families());
        families.extend(self.guests.families());
        families.retain(|family| !family.get_metric().is_empty());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new()
            .encode_to_string(&families)
            .expect("no family is empty or without a name")
    }

    fn own_families(&self) -> Vec<MetricFamily> {
        let routes = |of: fn(&RouteMetrics, &str) -> Vec<Metric>| {
            self.routes.samples(|name, route| of(route, name))
        };
        let filters = |of: fn(&FilterMetrics, &str) -> Vec<Metric>| {
            self.filters.samples(|name, filter| of(filter, name))
        };
        let upstreams = |of: fn(&UpstreamMetrics, &str) -> Vec<Metric>| {
            self.upstreams.samples(|name, upstream| of(upstream, name))
        };
        let listeners = |of: fn(&ListenerMetrics, &str) -> Vec<Metric>| {
            self.listeners.samples(|name, listener| of(listener, name))
        };
        vec![
            names::REQUESTS.family(routes(RouteMetrics::requests)),
            names::REQUEST_DURATION.family(routes(|route, _| route.durations())),
            names::FILTER_DURATION.family(filters(|filter, _| filter.durations())),
            names::FILTER_FAULTS.family(filters(FilterMetrics::faults)),
            names::FILTER_BACKED_OFF.family(filters(FilterMetrics::backed_off)),
            names::VMS.family(filters(FilterMetrics::vms)),
            names::FILTER_CALLOUTS.family(filters(FilterMetrics::callouts)),
            names::FILTER_REFUSED_CALLS.family(filters(FilterMetrics::refused_calls)),
            names::FILTER_EVICTIONS.family(filters(FilterMetrics::evictions)),
            names::FILTER_LOG_DROPPED.family(filters(FilterMetrics::log_dropped)),
            names::CONNECTIONS.family(listeners(ListenerMetrics::connections)),
            names::CONNECTIONS_ACCEPTED.family(listeners(ListenerMetrics::accepted)),
            names::CONNECTIONS_REFUSED.family(listeners(ListenerMetrics::connections_refused)),
            names::TCP_CONNECTIONS.family(listeners(ListenerMetrics::tcp_connections)),
            names::TCP_CONNECTION_DURATION.family(listeners(|listener, _| listener.durations())),
            names::TCP_RECEIVED.family(listeners(ListenerMetrics::tcp_received)),
            names::TCP_SENT.family(listeners(ListenerMetrics::tcp_sent)),
            names::UPSTREAM_CONNECT_FAILURES.family(upstreams(UpstreamMetrics::connect_failures)),
            names::DNS_FAILURES.family(upstreams(UpstreamMetrics::dns_failures)),
            names::RELOADS.family(self.reloads.samples(&[], "result")),
            names::GENERATION.family(vec![self.generation_sample()]),
            names::GUEST_METRICS_REFUSED.family(vec![sample::counter(&[], self.guests.refused())]),
            names::BUILD_INFO.family(vec![build_info()]),
        ]
    }

    fn generation_sample(&self) -> Metric {
        let generation = self.generation.load(Ordering::Relaxed);
        sample::gauge(&[], i64::try_from(generation).unwrap_or(i64::MAX))
    }
}

fn build_info() -> Metric {
    let labels = [
        ("arch", std::env::consts::ARCH),
        ("os", std::env::consts::OS),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    sample::gauge(&labels, 1)
}
