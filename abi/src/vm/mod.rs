//! A VM: one instance of a plugin's module, for one worker.
//!
//! Every callback takes the VM's lock for as long as the guest runs. What the guest asked for goes to
//! [`Host::act`] after the lock is free again. An embedder must not call a VM from inside its [`Host`] or
//! [`Stream`](crate::stream::Stream) methods, except `act`.

mod answers;
mod bounds;
mod callbacks;
mod callouts;
mod context;
mod exports;
mod fault;
mod retire;
mod role;
mod snapshot;
mod start;
mod state;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::{Instance, Memory, Store};

use crate::host::{Host, HostAction};
use crate::image::Image;
use crate::plugin::Plugin;
use crate::stream::SharedStream;

pub(crate) use callouts::{Kind as Callout, Unsent};
use context::Context;
pub use context::ContextId;
pub(crate) use context::Effective;
use exports::Exports;
pub use fault::{Fault, FaultKind};
use retire::Retirement;
pub use role::Role;
pub use snapshot::{Snapshot, SnapshotError};
pub(crate) use state::State;

/// One instance of a plugin's module.
pub struct Vm {
    plugin: Arc<Plugin>,
    host: Arc<dyn Host>,
    worker: usize,
    role: Role,
    life: Mutex<Life>,
    alive: AtomicBool,
    memory: AtomicUsize,
    /// Actions kept until activation; `None` once active.
    kept: Mutex<Option<Vec<HostAction>>>,
    /// Itself, while it waits for its roots to be done.
    until_done: Mutex<Option<Arc<Self>>>,
}

/// The life of a VM; each step consumes the one before.
enum Life {
    /// The guest may be called.
    Live(Box<Live>),
    /// A callback runs; seen only while the lock is held, or after the embedder panicked in a hostcall.
    Entered,
    /// Never to be called again; why.
    Dead(Fault),
}

/// What a guest needs to be called.
struct Live {
    store: Store<State>,
    instance: Instance,
    exports: Exports,
    memory: Memory,
    /// The snapshot's image that its memory rests on, which has to be there for as long as the store is.
    rests_on: Option<Arc<Image>>,
    retirement: Retirement,
    /// Roots with a tick, which end with the VM.
    ticking: Vec<ContextId>,
    /// The ABI's name of the callback that runs, or ran last.
    callback: &'static str,
}

/// How a callback finds its context.
enum Entry {
    Context(ContextId),
    /// A stream context: no root, which only ends with its VM.
    Stream(ContextId),
    /// The root context at a place of the plugin's `roots`.
    Root(usize),
    /// The root context that waits for the answer to an HTTP callout; it waits no more.
    HttpCall(u32),
    /// The root context that waits for what a gRPC callout brings, and whether this is the last of it.
    Grpc(u32, bool),
    /// The root context that waits for the result of a foreign function; it waits no more.
    Foreign(u32),
}

impl Entry {
    fn resolve(self, state: &mut State) -> Option<ContextId> {
        match self {
            Self::Context(context) => state.contexts.contains(context).then_some(context),
            Self::Stream(context) => state.contexts.is_stream(context).then_some(context),
            Self::Root(index) => state.contexts.roots().get(index).copied(),
            Self::HttpCall(token) => state.callouts.close_http(token),
            Self::Foreign(token) => state.callouts.close_foreign(token),
            Self::Grpc(token, last) => state.callouts.receive_grpc(token, last),
        }
    }
}

/// What a VM begins as.
#[derive(Clone, Copy)]
pub enum Beginning<'a> {
    /// The module as it was compiled: the whole start, every root context's configuration included.
    Start(&'a Arc<Plugin>),
    /// A VM that was started before.
    Snapshot(&'a Arc<Snapshot>),
}

impl Vm {
    /// Instantiates, starts and configures every root context. Blocks for up to `limits.cpu_start`; any thread.
    ///
    /// Actions asked for meanwhile (ticks, callouts) are kept until [`Vm::activate`].
    ///
    /// # Errors
    /// A [`FaultKind::Start`], whatever the reason.
    pub fn start(
        plugin: &Arc<Plugin>,
        host: &Arc<dyn Host>,
        worker: usize,
    ) -> Result<Arc<Self>, Fault> {
        Self::begin(Beginning::Start(plugin), host, worker, Role::Service)
    }

    /// Makes a VM. From a snapshot that takes microseconds, and only `portcullis_reseed` of the guest is called.
    ///
    /// # Errors
    /// A [`FaultKind::Start`], whatever the reason.
    pub fn begin(
        beginning: Beginning<'_>,
        host: &Arc<dyn Host>,
        worker: usize,
        role: Role,
    ) -> Result<Arc<Self>, Fault> {
        let plugin = match beginning {
            Beginning::Start(plugin) => plugin,
            Beginning::Snapshot(snapshot) => snapshot.plugin(),
        };
        let vm = Arc::new(Self {
            plugin: Arc::clone(plugin),
            host: Arc::clone(host),
            worker,
            life: Mutex::new(Life::Entered),
            alive: AtomicBool::new(false),
            memory: AtomicUsize::new(0),
            kept: Mutex::new(Some(Vec::new())),
            until_done: Mutex::default(),
            role,
        });
        let mut live = match beginning {
            Beginning::Start(_) => start::start(&vm)?,
            Beginning::Snapshot(snapshot) => start::resume(&vm, snapshot)?,
        };
        let actions = vm.left(&mut live);
        *vm.life.lock() = Life::Live(Box::new(live));
        vm.alive.store(true, Ordering::Release);
        match vm.role {
            Role::Service => vm.hand_over(actions),
            // The VM that works for the root contexts was started too, and asked for the same.
            Role::Exchange { .. } => *vm.kept.lock() = None,
        }
        Ok(vm)
    }

    /// What it is for.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Hands the kept actions to [`Host::act`]; from now on actions are handed over after each callback.
    pub fn activate(self: &Arc<Self>) {
        let kept = self.kept.lock().take();
        self.hand_over(kept.unwrap_or_default());
    }

    /// The worker it was started for.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// What it was started from.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// False after a fault, and after [`Vm::stop`] took effect.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Size of the guest's linear memory after the last callback, in bytes; 0 when dead.
    pub fn memory_bytes(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// Runs `call` on the guest, with the context of `entry` in effect. `None`: there is no such context (any more).
    ///
    /// # Errors
    /// The fault that ended the VM, now or before.
    fn run<R>(
        self: &Arc<Self>,
        callback: &'static str,
        entry: Entry,
        call: impl FnOnce(&mut Live, ContextId) -> wasmtime::Result<R>,
    ) -> Result<Option<R>, Fault> {
        let mut life = self.life.lock();
        let mut live = match mem::replace(&mut *life, Life::Entered) {
            Life::Live(live) => live,
            Life::Dead(fault) => {
                *life = Life::Dead(fault.clone());
                return Err(fault);
            }
            Life::Entered => {
                self.alive.store(false, Ordering::Release);
                return Err(Fault::host_panicked(callback));
            }
        };
        let Some(context) = entry.resolve(live.store.data_mut()) else {
            *life = Life::Live(live);
            return Ok(None);
        };
        live.begin(callback, context, self.plugin.limits.cpu_per_call);
        match call(&mut live, context) {
            Ok(value) => {
                let actions = self.left(&mut live);
                let waits = matches!(live.retirement, Retirement::Waiting(_));
                *life = Life::Live(live);
                drop(life);
                self.hand_over(actions);
                if waits {
                    self.end_done_roots();
                }
                Ok(Some(value))
            }
            Err(error) => {
                let fault = Fault::of(&error, live.store.data(), live.callback);
                let streams = self.bury(&mut life, *live, fault.clone());
                drop(life);
                tell_lost(streams);
                Err(fault)
            }
        }
    }

    /// After a callback: forgets what it alone could see, and takes what it asked for.
    fn left(&self, live: &mut Live) -> Vec<HostAction> {
        self.memory
            .store(live.memory.data_size(&live.store), Ordering::Relaxed);
        let state = live.store.data_mut();
        state.leave();
        if state.actions.is_empty() {
            return Vec::new();
        }
        let mut actions = mem::take(&mut state.actions);
        for action in &actions {
            if let HostAction::SetTick { root, period } = action {
                live.ticking.retain(|ticking| ticking != root);
                live.ticking.extend(period.map(|_| *root));
            }
        }
        let retirement = &live.retirement;
        live.ticking.retain(|root| retirement.allows_tick(*root));
        actions.retain(|action| match action {
            HostAction::SetTick { root, period } => {
                period.is_none() || retirement.allows_tick(*root)
            }
            _ => true,
        });
        actions
    }

    /// The guest is gone: its memory is freed here, its streams are returned to be told.
    fn bury(&self, life: &mut Life, live: Live, fault: Fault) -> Vec<(SharedStream, u16)> {
        self.let_go();
        *life = Life::Dead(fault);
        live.store.into_data().contexts.into_streams()
    }

    fn hand_over(self: &Arc<Self>, actions: Vec<HostAction>) {
        if actions.is_empty() {
            return;
        }
        if let Some(kept) = &mut *self.kept.lock() {
            kept.extend(actions);
            return;
        }
        for action in actions {
            self.host.act(self, action);
        }
    }
}

/// After the guest stopped and its VM was unlocked.
fn tell_lost(streams: Vec<(SharedStream, u16)>) {
    for (stream, slot) in streams {
        stream.lock().vm_lost(slot);
    }
}

impl Live {
    /// A callback begins: its CPU limit counts from here; the epoch traps or extends at the next tick.
    fn begin(&mut self, callback: &'static str, context: ContextId, cpu: Duration) {
        self.callback = callback;
        let state = self.store.data_mut();
        state.enter(context);
        state.cpu.begin(cpu);
        self.store.set_epoch_deadline(1);
    }
}
