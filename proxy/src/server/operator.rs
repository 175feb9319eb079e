//! The operator's addresses, and what reloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use portcullis_config::model::Admin;
use portcullis_config::{Config, Problems};
use serde_json::Value;
use tokio::task::JoinSet;

use super::control::Control;
use super::{Bound, StartError};
use crate::admin::{self, AdminApi, Endpoint};
use crate::metrics::{self, Metrics};
use crate::reload::Reloader;

/// The bound addresses, not yet served.
pub(super) struct Operator {
    metrics: Option<Endpoint>,
    admin: Option<(Endpoint, Admin)>,
}

impl Operator {
    /// Binds the metrics and the admin address.
    ///
    /// # Errors
    /// At its place in the configuration, where one cannot be bound.
    pub(super) fn bind(config: &Config, bound: &mut Bound) -> Result<Self, StartError> {
        let observability = &config.observability;
        let metrics = observability.metrics.map(|address| {
            Endpoint::bind(address).map_err(|error| {
                observability.metrics_at.problem(
                    format!("cannot listen on {address} for metrics: {error}"),
                    None,
                )
            })
        });
        let admin = config.admin.as_ref().map(|admin| {
            let endpoint = Endpoint::bind(admin.address).map_err(|error| {
                admin.at.problem(
                    format!("cannot listen on {} for admin: {error}", admin.address),
                    None,
                )
            })?;
            Ok::<_, portcullis_config::Problem>((endpoint, admin.clone()))
        });
        let operator = Self {
            metrics: metrics.transpose()?,
            admin: admin.transpose()?,
        };
        bound.metrics = operator.metrics.as_ref().map(Endpoint::address);
        bound.admin = operator
            .admin
            .as_ref()
            .map(|(endpoint, _)| endpoint.address());
        Ok(operator)
    }

    /// Serves them until the result is dropped.
    pub(super) fn start(
        self,
        control: Arc<Control>,
        reloader: Reloader,
        metrics: Arc<Metrics>,
    ) -> Serving {
        let ready = Arc::new(AtomicBool::new(true));
        let mut tasks = JoinSet::new();
        if let Some(endpoint) = self.metrics {
            tasks.spawn(async move { match metrics::serve(endpoint, metrics).await {} });
        }
        if let Some((endpoint, admin)) = self.admin {
            let api = Arc::new(Api {
                control,
                reloader,
                ready: ready.clone(),
            });
            tasks.spawn(async move { match admin::serve(endpoint, &admin, api).await {} });
        }
        Serving {
            ready,
            _tasks: tasks,
        }
    }
}

/// The operator's addresses while they are served.
pub(super) struct Serving {
    ready: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Serving {
    /// From now on `/readyz` says no: send new requests elsewhere.
    pub(super) fn draining(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }
}

struct Api {
    control: Arc<Control>,
    reloader: Reloader,
    ready: Arc<AtomicBool>,
}

impl AdminApi for Api {
    fn generation(&self) -> u64 {
        self.control.current.load().number
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn config(&self) -> Value {
        self.control.current.load().config.redacted.clone()
    }

    fn reload(&self) -> BoxFuture<'static, Result<u64, Problems>> {
        self.reloader.reload()
    }
}
