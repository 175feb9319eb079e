//! A generation as the request path uses it.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_config::Config;
use portcullis_config::model::{Respond, Upstream, UpstreamId};

use crate::access_log::AccessLog;
use crate::chain::Plan;
use crate::metrics::{RouteMetrics, UpstreamMetrics};
use crate::route::Router;
use crate::upstream::Upstreams;

/// See the module.
pub struct Generation {
    /// Counts up from 1 in the life of a process.
    pub number: u64,
    pub config: Arc<Config>,
    pub router: Router,
    /// By route id.
    pub routes: Vec<Arc<LiveRoute>>,
    /// By listener name.
    pub(super) tcp: HashMap<String, Arc<LiveTcp>>,
    pub upstreams: Arc<Upstreams>,
    pub(super) upstream_metrics: Vec<Arc<UpstreamMetrics>>,
    pub(super) upstream_names: Vec<Arc<str>>,
    pub access_log: Arc<AccessLog>,
    pub accept_request_id: bool,
    /// For requests that match no route.
    pub unrouted: Arc<RouteMetrics>,
}

/// A route, ready to serve.
#[derive(Debug)]
pub struct LiveRoute {
    pub name: Arc<str>,
    pub plan: Arc<Plan>,
    pub target: LiveTarget,
    pub metrics: Arc<RouteMetrics>,
}

/// What connections of a TCP listener go through, ready to serve.
#[derive(Debug)]
pub struct LiveTcp {
    pub plan: Arc<Plan>,
    pub upstream: UpstreamId,
    /// The same, as configured.
    pub target: Upstream,
}

/// Where a route's requests end.
#[derive(Clone, Debug)]
pub enum LiveTarget {
    Upstream(UpstreamId),
    Respond(Arc<Respond>),
}

impl Generation {
    /// The target of a TCP listener.
    pub fn tcp(&self, listener: &str) -> Option<&Arc<LiveTcp>> {
        self.tcp.get(listener)
    }

    /// Whether a TCP connection that began with `before` would run on the same plugins to the same endpoints if it began
    /// now. `chosen`: the upstream that a plugin of it chose.
    pub fn continues(&self, listener: &str, before: &LiveTcp, chosen: Option<&Upstream>) -> bool {
        let Some(now) = self.tcp(listener) else {
            return false;
        };
        let same_target = match chosen {
            None => before.target == now.target,
            Some(chosen) => {
                let id = self.upstreams.id(&chosen.name);
                id.and_then(|id| self.upstreams.upstream(id)) == Some(chosen)
            }
        };
        same_target && before.plan.is_same(&now.plan)
    }

    pub fn upstream_name(&self, id: UpstreamId) -> Arc<str> {
        self.upstream_names[usize::from(id.0)].clone()
    }

    pub fn upstream_metrics(&self, id: UpstreamId) -> &UpstreamMetrics {
        &self.upstream_metrics[usize::from(id.0)]
    }
}
