//! A generation as the request path uses it.

use std::sync::Arc;

use portcullis_config::Config;
use portcullis_config::model::{Respond, UpstreamId};

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

/// Where a route's requests end.
#[derive(Clone, Debug)]
pub enum LiveTarget {
    Upstream(UpstreamId),
    Respond(Arc<Respond>),
}

impl Generation {
    pub fn upstream_name(&self, id: UpstreamId) -> Arc<str> {
        self.upstream_names[usize::from(id.0)].clone()
    }

    pub fn upstream_metrics(&self, id: UpstreamId) -> &UpstreamMetrics {
        &self.upstream_metrics[usize::from(id.0)]
    }
}
