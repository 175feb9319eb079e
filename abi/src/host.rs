//! What the host needs of its embedder beside the exchange: logs, metrics, callouts, timers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::grpc::GrpcCall;
use crate::plugin::Plugin;
use crate::vm::{ContextId, Vm};
use crate::wire::types::{LogLevel, MetricType};

/// Process-wide services. Calls come from worker threads inside a hostcall, except [`Host::act`].
pub trait Host: Send + Sync + 'static {
    /// One line of a guest (already rate limited, control characters escaped).
    fn log(&self, plugin: &Plugin, level: LogLevel, message: &str);

    /// The level below which [`Host::log`] drops lines (`proxy_get_log_level`).
    fn log_level(&self) -> LogLevel;

    /// Defines (or finds) a metric, process-wide by name. `None`: the name exists with another kind, or is unusable.
    fn define_metric(
        &self,
        plugin: &Plugin,
        kind: MetricType,
        name: &str,
    ) -> Option<Arc<dyn Metric>>;

    /// Whether `upstream` exists. Grants were checked by the host before.
    fn has_upstream(&self, upstream: &str) -> bool;

    /// Whether there is a foreign function of this name, which begins with `portcullis.`. Grants are checked by the host.
    fn has_foreign_function(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The result of an own function that answers at once. `None`: it takes its time, as a [`HostAction::ForeignCall`].
    fn answer_foreign_function(
        &self,
        plugin: &Plugin,
        name: &str,
        argument: &[u8],
    ) -> Option<Vec<u8>> {
        let _ = (plugin, name, argument);
        None
    }

    /// A property that needs no exchange (`node`, `xds.node`...), in Envoy's encoding. False: not found.
    fn property(&self, plugin: &Plugin, path: &[u8], out: &mut Vec<u8>) -> bool;

    /// A call was refused or had no effect: for a counter, and one line of log (the host logs once a plugin and kind).
    fn refused(&self, plugin: &Plugin, refusal: Refusal);

    /// Does what a callback asked for, after the guest returned and its VM was unlocked.
    fn act(&self, vm: &Arc<Vm>, action: HostAction);
}

/// What a VM asks its embedder to do after a callback.
#[derive(Debug)]
pub enum HostAction {
    /// Make the call; answer by [`Vm::on_http_call_response`] on the VM's worker.
    HttpCall(HttpCall),
    /// Make the call or open the stream; answer by [`Vm::on_grpc`] on the VM's worker.
    GrpcCall(GrpcCall),
    /// Run the function; answer by [`Vm::on_foreign_function`] on the VM's worker.
    ForeignCall(ForeignCall),
    /// Call [`Vm::on_tick`] every `period` (re-armed after each callback); `None` stops.
    SetTick {
        root: ContextId,
        period: Option<Duration>,
    },
    /// The VM was stopped, and a root of it is not done: call [`Vm::give_up`] on the VM's worker after `time_max`.
    AwaitDone { time_max: Duration },
    /// Call [`Vm::on_queue_ready`] on `consumer`'s worker; drop it where the VM is gone.
    QueueReady {
        consumer: Weak<Vm>,
        root: ContextId,
        queue: u32,
    },
}

/// An HTTP callout (`proxy_http_call`), checked: `:method`, `:path` and `:authority` are there.
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// Unique in its VM for ever.
    pub token: u32,
    pub upstream: String,
    /// Pseudo headers included, in the guest's order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// `None`: no timeout of the guest's own.
    pub timeout: Option<Duration>,
}

/// A call of a foreign function of the embedder's own.
#[derive(Clone, Debug)]
pub struct ForeignCall {
    /// Unique in its VM for ever.
    pub token: u32,
    /// One that [`Host::has_foreign_function`] said is there.
    pub name: String,
    pub argument: Vec<u8>,
}

/// What a callout brought back. A failure has no headers (Envoy: a reset), and `proxy_get_status` says why.
#[derive(Debug, Default)]
pub struct HttpCallResponse {
    /// With `:status`.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// gRPC-style code and text for `proxy_get_status`; (0, "") where all went well.
    pub status: (u32, String),
}

/// A metric of guests. Values are those of the ABI: counters and gauges hold integers, histograms observe them.
pub trait Metric: Send + Sync {
    fn kind(&self) -> MetricType;
    /// Adds to a counter or gauge; the host has checked the sign.
    fn increment(&self, offset: i64);
    /// Adds to a counter, sets a gauge, observes in a histogram.
    fn record(&self, value: u64);
    fn value(&self) -> u64;
}

/// Why a call of a guest had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Grant missing: the YAML line that would give it, such as `grants: { http_call: [auth] }`.
    Grant { call: &'static str, missing: String },
    /// A header name or value with CR, LF, NUL and the like.
    InvalidHeader,
    /// A write out of its phase, to a map or buffer that does not exist now, or with an argument that makes no sense.
    Unavailable { call: &'static str },
    /// Shared data over its quota: this many entries went.
    SharedDataEvicted { entries: usize },
    /// A queue over its quota: the item was dropped.
    QueueFull,
    /// More callouts in flight than `limits.callouts`.
    TooManyCallouts,
    /// More gRPC messages of one stream wait than may: this one was dropped.
    GrpcQueueFull,
    /// Log lines dropped by the rate limit.
    LogRate { lines: u64 },
}
