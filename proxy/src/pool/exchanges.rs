//! VMs for one exchange each (`isolation: request`): from a snapshot, which takes microseconds, or started anew where
//! there can be none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_abi::vm::{Beginning, Fault, Role, Vm};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::told::Told;
use super::{Place, Pool, label};
use crate::metrics::FilterMetrics;
use crate::workers;

/// How many there may be, and are.
pub(super) struct Exchanges {
    room: Arc<Semaphore>,
    vms_max: usize,
    told: Told,
}

impl Exchanges {
    pub(super) fn new(vms_max: usize) -> Self {
        let vms_max = vms_max.min(Semaphore::MAX_PERMITS);
        Self {
            room: Arc::new(Semaphore::new(vms_max)),
            vms_max,
            told: Told::default(),
        }
    }

    /// A VM, where there is room and a snapshot.
    pub(super) fn get(&self, pool: &Pool) -> Option<Arc<Vm>> {
        let snapshot = pool.snapshot.get()?;
        let permit = self.room.clone().try_acquire_owned().ok()?;
        // A failure is told by who waits for another.
        begin(pool, Beginning::Snapshot(snapshot), permit).ok()
    }

    /// A VM, once there is room for one. A start anew does not keep the worker from other exchanges.
    pub(super) async fn wait(&self, pool: &Arc<Pool>, time_max: Duration) -> Option<Arc<Vm>> {
        let made = async {
            let permit = self.room.clone().acquire_owned().await.ok()?;
            if pool.snapshot.get().is_some() {
                return Some(begin(pool, pool.beginning(), permit));
            }
            let worker = workers::current().unwrap_or(0);
            let pool = pool.clone();
            let started = tokio::task::spawn_blocking(move || {
                begin_on(&pool, pool.beginning(), permit, worker)
            });
            started.await.ok()
        };
        match timeout(time_max, made).await {
            Ok(Some(Ok(vm))) => Some(vm),
            Ok(Some(Err(fault))) => {
                pool.metrics.fault(label(fault.kind));
                tracing::error!(filter = %pool.plugin.name, "no VM for an exchange: {}", fault.message);
                None
            }
            Ok(None) => None,
            Err(_) => {
                self.tell_exhausted(&pool.plugin.name);
                None
            }
        }
    }

    fn tell_exhausted(&self, filter: &str) {
        if self.told.again("vms") {
            let vms_max = self.vms_max;
            tracing::warn!(
                filter,
                "no VM for an exchange within its time: limits.vms is {vms_max}"
            );
        }
    }
}

fn begin(
    pool: &Pool,
    beginning: Beginning<'_>,
    permit: OwnedSemaphorePermit,
) -> Result<Arc<Vm>, Fault> {
    begin_on(pool, beginning, permit, workers::current().unwrap_or(0))
}

fn begin_on(
    pool: &Pool,
    beginning: Beginning<'_>,
    permit: OwnedSemaphorePermit,
    worker: usize,
) -> Result<Arc<Vm>, Fault> {
    let service = pool.places.first().and_then(Place::vm);
    let role = Role::Exchange {
        service: service.as_ref().map(Arc::downgrade).unwrap_or_default(),
        lease: Some(Arc::new(Lease::new(permit, pool.metrics.clone()))),
    };
    Vm::begin(beginning, &pool.host, worker, role)
}

/// A VM's place among so many. It is counted for as long as it holds one.
pub(super) struct Lease {
    _permit: OwnedSemaphorePermit,
    metrics: Arc<FilterMetrics>,
    faulted: AtomicBool,
}

impl Lease {
    fn new(permit: OwnedSemaphorePermit, metrics: Arc<FilterMetrics>) -> Self {
        metrics.vm_started();
        Self {
            _permit: permit,
            metrics,
            faulted: AtomicBool::new(false),
        }
    }

    /// The VM has faulted. False: that was known.
    pub(super) fn faulted(&self) -> bool {
        !self.faulted.swap(true, Ordering::Relaxed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.metrics.vm_ended();
    }
}
