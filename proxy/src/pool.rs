//! The VMs of one plugin, one for each worker or one for each exchange, and what keeps them alive.
//!
//! A pool belongs to the process, not to a generation: generations borrow it, and a plugin whose module, configuration,
//! limits and grants did not change keeps its pool, with VMs and state, across reloads.

mod callouts;
mod exchanges;
mod host;
mod registry;
mod told;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use portcullis_abi::host::Host;
use portcullis_abi::plugin::Plugin;
use portcullis_abi::vm::{Beginning, Fault, FaultKind, Role, Snapshot, Vm};
use portcullis_config::model::Isolation;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::metrics::{FaultKind as FaultLabel, FilterMetrics};
use crate::workers;
use exchanges::{Exchanges, Lease};

pub use host::{PoolHost, Services};
pub use registry::{Key, Registry};

/// So many faults within [`FAULT_WINDOW`] start the back-off.
const FAULTS_MAX: usize = 5;
const FAULT_WINDOW: Duration = Duration::from_secs(10);
/// The first pause of the back-off; doubled for each further one.
const BACK_OFF: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// See the module.
pub struct Pool {
    plugin: Arc<Plugin>,
    host: Arc<dyn Host>,
    services: Arc<Services>,
    metrics: Arc<FilterMetrics>,
    /// By worker; one alone where each exchange has a VM of its own.
    places: Box<[Place]>,
    /// The first VM as it was started: what others begin as. `None`: they are started anew.
    snapshot: OnceLock<Arc<Snapshot>>,
    exchanges: Option<Exchanges>,
    /// Times of recent faults, and how often in a row the back-off was taken.
    faults: Mutex<(Vec<Instant>, u32)>,
}

/// One worker's VM.
struct Place {
    worker: usize,
    vm: ArcSwapOption<Vm>,
    /// Woken when a VM was put in place, or starting one failed.
    changed: Notify,
    /// A replacement is on its way.
    replacing: Mutex<bool>,
}

impl Place {
    fn of(worker: usize) -> Self {
        Self {
            worker,
            vm: ArcSwapOption::default(),
            changed: Notify::default(),
            replacing: Mutex::default(),
        }
    }

    fn vm(&self) -> Option<Arc<Vm>> {
        self.vm.load_full().filter(|vm| vm.is_alive())
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("plugin", &self.plugin.name)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts one VM for each worker; or one in all and a snapshot, where each exchange has a VM of its own, at most
    /// `vms` at once. Blocks for as long as the module takes to start.
    ///
    /// # Errors
    /// The first start that failed.
    pub fn start(
        plugin: Arc<Plugin>,
        services: Arc<Services>,
        isolation: Isolation,
        vms: usize,
    ) -> Result<Arc<Self>, Fault> {
        let metrics = services.metrics.filter(&plugin.name);
        let workers = services.workers.len();
        let (places, exchanges) = match isolation {
            Isolation::Shared => ((0..workers).map(Place::of).collect(), None),
            Isolation::Request => {
                // Any worker will do; another for each plugin.
                let worker = plugin.name.bytes().map(usize::from).sum::<usize>() % workers;
                ([Place::of(worker)].into(), Some(Exchanges::new(vms)))
            }
        };
        let pool = Arc::new_cyclic(|weak| Self {
            host: Arc::new(PoolHost::new(
                weak.clone(),
                services.clone(),
                metrics.clone(),
            )),
            plugin,
            services,
            metrics,
            places,
            snapshot: OnceLock::new(),
            exchanges,
            faults: Mutex::default(),
        });
        for place in &pool.places {
            let vm = pool
                .first_vm(place.worker)
                .inspect_err(|fault| pool.metrics.fault(label(fault.kind)))?;
            pool.metrics.vm_started();
            place.vm.store(Some(vm));
        }
        Ok(pool)
    }

    /// A worker's VM, at the start of the pool. Only one works through a long configuration where the module says that
    /// it draws its seeds anew: the others begin as that one was, and share the pages that none of them writes.
    fn first_vm(&self, worker: usize) -> Result<Arc<Vm>, Fault> {
        if self.plugin.module.callbacks().reseed && self.snapshot.get().is_some() {
            return Vm::begin(self.beginning(), &self.host, worker, Role::Service);
        }
        let vm = Vm::start(&self.plugin, &self.host, worker)?;
        self.take_snapshot(vm)
    }

    /// Keeps what the first VM is after its start.
    fn take_snapshot(&self, vm: Arc<Vm>) -> Result<Arc<Vm>, Fault> {
        if self.snapshot.get().is_some() {
            return Ok(vm);
        }
        match vm.snapshot() {
            Ok(snapshot) => drop(self.snapshot.set(snapshot)),
            Err(error) if !vm.is_alive() => {
                return Err(Fault {
                    kind: FaultKind::Start,
                    callback: "snapshot",
                    message: error.to_string(),
                });
            }
            Err(error) if self.exchanges.is_some() => tracing::warn!(
                filter = %self.plugin.name,
                "there can be no snapshot of the filter, so it is started anew for every exchange: {error}",
            ),
            // It is only for replacements, and they have time.
            Err(error) => tracing::debug!(filter = %self.plugin.name, "no snapshot: {error}"),
        }
        Ok(vm)
    }

    fn beginning(&self) -> Beginning<'_> {
        match self.snapshot.get() {
            Some(snapshot) => Beginning::Snapshot(snapshot),
            None => Beginning::Start(&self.plugin),
        }
    }

    /// Lets the VMs act: ticks and callouts that they asked for while starting.
    pub fn activate(&self) {
        for place in &self.places {
            if let Some(vm) = place.vm.load_full() {
                vm.activate();
            }
        }
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.plugin.name
    }

    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    pub fn metrics(&self) -> &Arc<FilterMetrics> {
        &self.metrics
    }

    /// The VM for an exchange on this worker, where there is one at once.
    pub fn get(&self) -> Option<Arc<Vm>> {
        match &self.exchanges {
            None => self.place()?.vm(),
            Some(exchanges) => exchanges.get(self),
        }
    }

    /// Waits for this worker's VM to be replaced, or for the exchange's to be made.
    pub async fn wait(self: &Arc<Self>, time_max: Duration) -> Option<Arc<Vm>> {
        if let Some(exchanges) = &self.exchanges {
            return exchanges.wait(self, time_max).await;
        }
        let place = self.place()?;
        let waited = async {
            loop {
                let changed = place.changed.notified();
                if let Some(vm) = place.vm() {
                    return Some(vm);
                }
                // During a back-off nobody comes: fail at once.
                if !*place.replacing.lock() || self.backing_off() {
                    return place.vm();
                }
                changed.await;
            }
        };
        timeout(time_max, waited).await.ok().flatten()
    }

    fn place(&self) -> Option<&Place> {
        self.places.get(workers::current().unwrap_or(0))
    }

    fn backing_off(&self) -> bool {
        self.faults.lock().1 > 0
    }

    /// A VM was discarded: count it, tell it, and start another where it was a worker's. Later reports about the same
    /// VM do nothing.
    pub fn faulted(self: &Arc<Self>, vm: &Arc<Vm>, fault: &Fault) {
        if let Some(lease) = vm.role().lease::<Lease>() {
            if lease.faulted() {
                self.tell(fault);
            }
            return;
        }
        let mut places = self.places.iter();
        let Some(place) = places.find(|place| place.worker == vm.worker()) else {
            return;
        };
        {
            let current = place.vm.load();
            if !current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, vm))
            {
                return;
            }
            let mut replacing = place.replacing.lock();
            if std::mem::replace(&mut *replacing, true) {
                return;
            }
        }
        place.vm.store(None);
        self.metrics.vm_ended();
        self.tell(fault);
        let pause = self.next_pause();
        let (pool, worker) = (Arc::downgrade(self), vm.worker());
        self.services.control.spawn(async move {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            while let Some(pool) = pool.upgrade() {
                match pool.replace(worker).await {
                    Ok(()) => return,
                    Err(pause) => {
                        drop(pool);
                        sleep(pause).await;
                    }
                }
            }
        });
    }

    fn tell(&self, fault: &Fault) {
        self.metrics.fault(label(fault.kind));
        tracing::error!(filter = %self.plugin.name, kind = fault.kind.as_str(), callback = fault.callback, "filter fault: {}", fault.message);
    }

    /// Puts a fresh VM in place, or tells how long to wait before the next try.
    async fn replace(self: &Arc<Self>, worker: usize) -> Result<(), Duration> {
        let pool = self.clone();
        let started = tokio::task::spawn_blocking(move || {
            Vm::begin(pool.beginning(), &pool.host, worker, Role::Service)
        })
        .await;
        let mut places = self.places.iter();
        let Some(place) = places.find(|place| place.worker == worker) else {
            return Ok(());
        };
        match started {
            Ok(Ok(vm)) => {
                self.metrics.vm_started();
                place.vm.store(Some(vm.clone()));
                *place.replacing.lock() = false;
                place.changed.notify_waiters();
                vm.activate();
                self.recovered();
                Ok(())
            }
            Ok(Err(fault)) => {
                self.metrics.fault(label(fault.kind));
                tracing::error!(filter = %self.plugin.name, "filter cannot be restarted: {}", fault.message);
                place.changed.notify_waiters();
                Err(self.next_pause().max(BACK_OFF))
            }
            Err(panic) => {
                tracing::error!(filter = %self.plugin.name, "starting a VM panicked: {panic}");
                place.changed.notify_waiters();
                Err(BACK_OFF_MAX)
            }
        }
    }

    /// How long to wait before the next VM: nothing at first, more and more where the plugin keeps failing.
    fn next_pause(&self) -> Duration {
        let now = Instant::now();
        let mut faults = self.faults.lock();
        let (recent, steps) = &mut *faults;
        recent.retain(|at| now.duration_since(*at) < FAULT_WINDOW);
        recent.push(now);
        if recent.len() < FAULTS_MAX {
            return Duration::ZERO;
        }
        let pause = BACK_OFF
            .saturating_mul(1 << (*steps).min(6))
            .min(BACK_OFF_MAX);
        *steps += 1;
        self.metrics.set_backed_off(true);
        tracing::error!(
            filter = %self.plugin.name,
            "filter failed {} times within {FAULT_WINDOW:?}: no new VM for {pause:?}",
            recent.len(),
        );
        pause
    }

    /// A VM is in place again. The back-off's steps stay until the plugin has been well for a while.
    fn recovered(&self) {
        let mut faults = self.faults.lock();
        let quiet = faults
            .0
            .last()
            .is_none_or(|at| at.elapsed() >= FAULT_WINDOW);
        if quiet || faults.0.len() < FAULTS_MAX {
            faults.1 = 0;
        }
        self.metrics.set_backed_off(false);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for place in &self.places {
            if let Some(vm) = place.vm.swap(None) {
                vm.stop();
                self.metrics.vm_ended();
            }
        }
    }
}

fn label(kind: FaultKind) -> FaultLabel {
    match kind {
        FaultKind::Trap => FaultLabel::Trap,
        FaultKind::Cpu => FaultLabel::Cpu,
        FaultKind::Memory => FaultLabel::Memory,
        FaultKind::Stack => FaultLabel::Stack,
        FaultKind::Start => FaultLabel::Start,
    }
}
