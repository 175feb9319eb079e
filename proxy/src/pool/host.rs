//! What the VMs of a pool get from this process: logs, metrics, callouts, timers.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use portcullis_abi::host::{Host, HostAction, HttpCall, HttpCallResponse, Metric, Refusal};
use portcullis_abi::plugin::Plugin;
use portcullis_abi::vm::{ContextId, Fault, Vm};
use portcullis_abi::wire::types::{LogLevel, MetricType};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::told::Told;
use super::{Pool, Registry};
use crate::audit_log::AuditLog;
use crate::callout::Callouts;
use crate::foreign;
use crate::metrics::{CalloutResult, FilterMetrics, Metrics, Phase};
use crate::upstream::Upstreams;
use crate::workers::Workers;

/// What pools share. One for the process.
pub struct Services {
    pub metrics: Arc<Metrics>,
    pub workers: Arc<Workers>,
    /// One for each worker: connections stay on the runtime that opened them.
    pub callouts: Vec<Callouts>,
    pub registry: Registry,
    /// Runs what must not run on a worker.
    pub control: Handle,
    /// The upstreams that callouts go to: those of the newest generation, or of the one being built.
    pub upstreams: ArcSwapOption<Upstreams>,
    /// Where `portcullis.audit` writes: the one of the generation in force.
    pub audit_log: ArcSwap<AuditLog>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

/// The [`Host`] of one pool.
pub struct PoolHost {
    pub(super) pool: Weak<Pool>,
    pub(super) services: Arc<Services>,
    pub(super) metrics: Arc<FilterMetrics>,
    /// Running timers by worker and root context.
    ticks: Arc<Mutex<HashMap<(usize, ContextId), AbortHandle>>>,
    told: Told,
}

impl PoolHost {
    pub fn new(pool: Weak<Pool>, services: Arc<Services>, metrics: Arc<FilterMetrics>) -> Self {
        Self {
            pool,
            services,
            metrics,
            ticks: Arc::default(),
            told: Told::default(),
        }
    }

    fn http_call(&self, vm: &Arc<Vm>, call: HttpCall) {
        let (vm, pool) = (Arc::downgrade(vm), self.pool.clone());
        let (services, metrics) = (self.services.clone(), self.metrics.clone());
        let Some(worker) = vm.upgrade().map(|vm| vm.worker()) else {
            return;
        };
        self.services.workers.handle(worker).spawn(async move {
            let token = call.token;
            let Some(upstreams) = services.upstreams.load_full() else {
                return;
            };
            let response = services.callouts[worker].call(&upstreams, call).await;
            metrics.callout(result_of(&response));
            // The VM may be gone, with whoever waited: the answer is nobody's then.
            let Some(vm) = vm.upgrade() else { return };
            let started = Instant::now();
            let answered = vm.on_http_call_response(token, response);
            metrics.observe(Phase::HttpCallResponse, started.elapsed());
            report(&pool, &vm, answered);
        });
    }

    fn set_tick(&self, vm: &Arc<Vm>, root: ContextId, period: Option<Duration>) {
        let key = (vm.worker(), root);
        if let Some(running) = self.ticks.lock().remove(&key) {
            running.abort();
        }
        let Some(period) = period else { return };
        let (weak, pool, metrics) = (Arc::downgrade(vm), self.pool.clone(), self.metrics.clone());
        let task = self.services.workers.handle(vm.worker()).spawn(async move {
            loop {
                tokio::time::sleep(period).await;
                let Some(vm) = weak.upgrade().filter(|vm| vm.is_alive()) else {
                    return;
                };
                let started = Instant::now();
                let ticked = vm.on_tick(root);
                metrics.observe(Phase::Tick, started.elapsed());
                report(&pool, &vm, ticked);
            }
        });
        self.ticks.lock().insert(key, task.abort_handle());
    }

    fn await_done(&self, vm: &Arc<Vm>, time_max: Duration) {
        let weak = Arc::downgrade(vm);
        self.services.workers.handle(vm.worker()).spawn(async move {
            tokio::time::sleep(time_max).await;
            if let Some(vm) = weak.upgrade()
                && vm.give_up()
            {
                let filter = &vm.plugin().name;
                tracing::warn!(%filter, "a retired filter was not done after {time_max:?}: it was ended");
            }
        });
    }

    fn queue_ready(&self, consumer: Weak<Vm>, root: ContextId, queue: u32) {
        let Some(worker) = consumer.upgrade().map(|vm| vm.worker()) else {
            return;
        };
        let services = self.services.clone();
        self.services.workers.handle(worker).spawn(async move {
            let Some(vm) = consumer.upgrade() else { return };
            let started = Instant::now();
            let answered = vm.on_queue_ready(root, queue);
            // The consumer may belong to another plugin.
            let Some(pool) = services.registry.of(vm.plugin()) else {
                return;
            };
            pool.metrics().observe(Phase::Queue, started.elapsed());
            if let Err(fault) = answered {
                pool.faulted(&vm, &fault);
            }
        });
    }
}

/// How a callout ended, for its counter: a timeout is answered by a lone 504, an upstream that cannot be reached by a
/// lone 503.
fn result_of(response: &HttpCallResponse) -> CalloutResult {
    if response.status.0 != 0 {
        CalloutResult::Failed
    } else if matches!(&response.headers[..], [(_, status)] if status == b"504") {
        CalloutResult::TimedOut
    } else if matches!(&response.headers[..], [(_, status)] if status == b"503") {
        CalloutResult::Failed
    } else {
        CalloutResult::Answered
    }
}

/// A fault outside of an exchange's own callbacks.
pub(super) fn report(pool: &Weak<Pool>, vm: &Arc<Vm>, answer: Result<(), Fault>) {
    if let (Err(fault), Some(pool)) = (answer, pool.upgrade()) {
        pool.faulted(vm, &fault);
    }
}

impl Host for PoolHost {
    fn log(&self, plugin: &Plugin, level: LogLevel, message: &str) {
        let filter = plugin.name.as_str();
        match level {
            LogLevel::Trace => tracing::trace!(target: "guest", filter, "{message}"),
            LogLevel::Debug => tracing::debug!(target: "guest", filter, "{message}"),
            LogLevel::Info => tracing::info!(target: "guest", filter, "{message}"),
            LogLevel::Warn => tracing::warn!(target: "guest", filter, "{message}"),
            LogLevel::Error => tracing::error!(target: "guest", filter, "{message}"),
            LogLevel::Critical => {
                tracing::error!(target: "guest", filter, critical = true, "{message}")
            }
        }
    }

    fn log_level(&self) -> LogLevel {
        if tracing::enabled!(target: "guest", tracing::Level::TRACE) {
            LogLevel::Trace
        } else if tracing::enabled!(target: "guest", tracing::Level::DEBUG) {
            LogLevel::Debug
        } else if tracing::enabled!(target: "guest", tracing::Level::INFO) {
            LogLevel::Info
        } else if tracing::enabled!(target: "guest", tracing::Level::WARN) {
            LogLevel::Warn
        } else {
            LogLevel::Error
        }
    }

    fn define_metric(
        &self,
        plugin: &Plugin,
        kind: MetricType,
        name: &str,
    ) -> Option<Arc<dyn Metric>> {
        self.services
            .metrics
            .guests()
            .define(&plugin.name, kind, name)
    }

    fn has_upstream(&self, upstream: &str) -> bool {
        self.services
            .upstreams
            .load()
            .as_ref()
            .is_some_and(|upstreams| upstreams.id(upstream).is_some())
    }

    fn has_foreign_function(&self, name: &str) -> bool {
        name == foreign::AUDIT || foreign::find(name).is_some()
    }

    fn answer_foreign_function(
        &self,
        _plugin: &Plugin,
        name: &str,
        argument: &[u8],
    ) -> Option<Vec<u8>> {
        if name != foreign::AUDIT {
            return None;
        }
        self.services.audit_log.load().write(argument);
        Some(Vec::new())
    }

    fn property(&self, _plugin: &Plugin, path: &[u8], out: &mut Vec<u8>) -> bool {
        match path {
            // An empty node: Portcullis is configured by a file, not by a control plane.
            b"node" | b"xds\0node" => true,
            b"listener_direction" | b"xds\0listener_direction" => {
                portcullis_abi::wire::property::int(1, out);
                true
            }
            _ => false,
        }
    }

    fn refused(&self, plugin: &Plugin, refusal: Refusal) {
        self.metrics.refused(&refusal);
        let filter = &plugin.name;
        match refusal {
            Refusal::Unavailable { call } => tracing::debug!(filter, "{call} had no effect"),
            Refusal::Grant { call, missing } => {
                if self.told.once(&missing) {
                    tracing::warn!(
                        filter,
                        "{call} was refused: the filter has no grant for it; to give it, add to the filter: {missing}",
                    );
                }
            }
            Refusal::InvalidHeader => {
                if self.told.again("header") {
                    tracing::warn!(filter, "refused a header name or value that cannot be sent");
                }
            }
            other => {
                let text = format!("{other:?}");
                let kind = text.split([' ', '(']).next().unwrap_or_default();
                if self.told.again(kind) {
                    tracing::warn!(filter, "over a limit: {text}");
                }
            }
        }
    }

    fn act(&self, vm: &Arc<Vm>, action: HostAction) {
        match action {
            HostAction::HttpCall(call) => self.http_call(vm, call),
            HostAction::ForeignCall(call) => self.foreign_call(vm, call),
            HostAction::GrpcCall(call) => self.grpc_call(vm, call),
            HostAction::SetTick { root, period } => self.set_tick(vm, root, period),
            HostAction::QueueReady {
                consumer,
                root,
                queue,
            } => self.queue_ready(consumer, root, queue),
            HostAction::AwaitDone { time_max } => self.await_done(vm, time_max),
        }
    }
}
