//! Every metric name of Portcullis, with its help text. Guests' metrics get theirs in [`super::guest_name`].
//!
//! Rules: base units, `_total` on counters only, the label of a plugin is `filter`. A name is a contract with
//! dashboards and alerts: it is never changed, only joined by another.

use prometheus::proto::{Metric, MetricFamily, MetricType};

/// What Prometheus calls a metric family: one name, its help and its type.
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    kind: MetricType,
}

impl Name {
    const fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind: MetricType::COUNTER,
        }
    }

    const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind: MetricType::GAUGE,
        }
    }

    const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind: MetricType::HISTOGRAM,
        }
    }

    /// The family with these samples; the registry leaves out one that has none.
    pub(super) fn family(&self, samples: Vec<Metric>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(samples);
        family
    }
}

// One request.
pub(super) const REQUESTS: Name = Name::counter(
    "portcullis_requests_total",
    "Requests answered, by route and status code (0 where the connection ended before a status was sent).",
);
pub(super) const REQUEST_DURATION: Name = Name::histogram(
    "portcullis_request_duration_seconds",
    "Time from the end of the request head to the end of the response.",
);
pub(super) const REQUESTS_REFUSED: Name = Name::counter(
    "portcullis_requests_refused_total",
    "Requests refused before a route was chosen, by reason.",
);

// Plugins and their VMs.
pub(super) const FILTER_DURATION: Name = Name::histogram(
    "portcullis_filter_duration_seconds",
    "Time spent inside a filter's callbacks, by phase; time it paused is not counted.",
);
pub(super) const FILTER_FAULTS: Name = Name::counter(
    "portcullis_filter_faults_total",
    "Faults of a filter, by kind; each one cost a VM.",
);
pub(super) const FILTER_BACKED_OFF: Name = Name::gauge(
    "portcullis_filter_backed_off",
    "1 while a filter's VMs are not replaced because it keeps failing, else 0.",
);
pub(super) const VMS: Name = Name::gauge("portcullis_vms", "Running VMs of a filter.");
pub(super) const FILTER_CALLOUTS: Name = Name::counter(
    "portcullis_filter_callouts_total",
    "HTTP and gRPC calls a filter asked for, by result.",
);
pub(super) const FILTER_REFUSED_CALLS: Name = Name::counter(
    "portcullis_filter_refused_calls_total",
    "Host calls of a filter that had no effect, by kind.",
);
pub(super) const FILTER_EVICTIONS: Name = Name::counter(
    "portcullis_filter_shared_data_evictions_total",
    "Shared data entries that went because a filter was over its quota.",
);
pub(super) const FILTER_LOG_DROPPED: Name = Name::counter(
    "portcullis_filter_log_lines_dropped_total",
    "Log lines of a filter dropped by its rate limit.",
);

// Connections.
pub(super) const CONNECTIONS: Name = Name::gauge(
    "portcullis_connections",
    "Open client connections of a listener.",
);
pub(super) const CONNECTIONS_ACCEPTED: Name = Name::counter(
    "portcullis_connections_accepted_total",
    "Client connections a listener took.",
);
pub(super) const CONNECTIONS_REFUSED: Name = Name::counter(
    "portcullis_connections_refused_total",
    "Client connections closed at once because a listener was at its limit.",
);
pub(super) const TCP_CONNECTIONS: Name = Name::counter(
    "portcullis_tcp_connections_total",
    "Connections of a TCP listener that ended, by the reason.",
);
pub(super) const TCP_CONNECTION_DURATION: Name = Name::histogram(
    "portcullis_tcp_connection_duration_seconds",
    "Time from the acceptance of a TCP connection to its end.",
);
pub(super) const TCP_RECEIVED: Name = Name::counter(
    "portcullis_tcp_received_bytes_total",
    "Bytes that clients of a TCP listener sent.",
);
pub(super) const TCP_SENT: Name = Name::counter(
    "portcullis_tcp_sent_bytes_total",
    "Bytes sent to clients of a TCP listener.",
);
pub(super) const UPSTREAM_CONNECT_FAILURES: Name = Name::counter(
    "portcullis_upstream_connect_failures_total",
    "Connections to an upstream's endpoints that could not be opened.",
);
pub(super) const DNS_FAILURES: Name = Name::counter(
    "portcullis_dns_failures_total",
    "Look-ups of an upstream's host names that failed.",
);

// The process.
pub(super) const RELOADS: Name = Name::counter(
    "portcullis_reloads_total",
    "Reloads of the configuration, by result.",
);
pub(super) const GENERATION: Name = Name::gauge(
    "portcullis_generation",
    "Number of the configuration generation in force.",
);
pub(super) const ACCESS_LOG_DROPPED: Name = Name::counter(
    "portcullis_access_log_lines_dropped_total",
    "Access log lines dropped because the output was too slow or failed.",
);
pub(super) const AUDIT_LOG_DROPPED: Name = Name::counter(
    "portcullis_audit_log_lines_dropped_total",
    "Lines of the audit log dropped because the output was too slow or failed.",
);
pub(super) const GUEST_METRICS_REFUSED: Name = Name::counter(
    "portcullis_metric_definitions_refused_total",
    "Metrics that filters defined in vain: over the limit, too long a name, or a name of another kind.",
);
pub(super) const BUILD_INFO: Name = Name::gauge(
    "portcullis_build_info",
    "Always 1; the labels say what is running.",
);
