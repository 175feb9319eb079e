//! A snapshot of a VM that was started and has done nothing since: from it others begin as if they had been started so.
//!
//! It is the guest's memory (an [image](crate::image)) and mutable globals, and what the host knows of the VM: root
//! contexts, metrics, queues, callouts on their way, and the actions of the start. The code is that of the module, so
//! taking a snapshot compiles nothing, and any number of plugins share one module's code.
//!
//! It also is what the guest drew of randomness at its start, its seeds of hashes and generators, and its secrets. So it
//! is kept in memory only, and a guest may export `portcullis_reseed`, which is called in each VM that begins from a
//! snapshot, before anything else.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{AsContextMut, Extern, Instance, Store, Val};

use super::callouts::{Callouts, Kind};
use super::context::{ContextId, Contexts};
use super::{Fault, Life, Live, State, Vm};
use crate::grpc::{GrpcCall, GrpcSender};
use crate::host::{ForeignCall, HostAction, HttpCall, Metric};
use crate::hostcalls::ForeignState;
use crate::image::{Image, mapping};
use crate::plugin::Plugin;

/// See the module. VMs begin from it by [`Vm::begin`].
pub struct Snapshot {
    pub(super) plugin: Arc<Plugin>,
    pub(super) image: Arc<Image>,
    pub(super) globals: Vec<Val>,
    pub(super) kept: Kept,
}

/// Why there is no snapshot of a VM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The module changes more than its memory and globals.
    #[error("the module {0}")]
    Unfit(&'static str),
    /// The VM is at work already, or has ended.
    #[error("the VM is not as it was started")]
    Late,
    /// No memory for the image.
    #[error("{0}")]
    Image(String),
}

/// What the host knows of a VM at the end of its start.
pub(super) struct Kept {
    contexts: Contexts,
    last_token: u32,
    metrics: Vec<Arc<dyn Metric>>,
    queues: Vec<(u32, ContextId)>,
    ticks: Vec<(ContextId, Option<Duration>)>,
    foreign: ForeignState,
    /// Each with the root that waits for it.
    foreign_calls: Vec<(ContextId, ForeignCall)>,
    /// Each with the root that waits for it.
    http_calls: Vec<(ContextId, HttpCall)>,
    /// With the end of the guest: without it, what is to be sent would be gone.
    grpc_calls: Vec<(ContextId, GrpcSender, GrpcCall)>,
}

impl Kept {
    /// Of a state in which no stream is, nor any callback, and whose actions were not done yet.
    fn of(state: &State, actions: &[HostAction]) -> Self {
        // Each field is either kept, or made anew for each VM: a new one has to be decided on here.
        let State {
            contexts,
            callouts,
            metrics,
            queues,
            foreign,
            plugin: _,
            host: _,
            vm: _,
            service: _,
            memory: _,
            allocate: _,
            allocating: _,
            effective: _,
            configuring: _,
            done: _,
            actions: _,
            bounds: _,
            cpu: _,
            log_rate: _,
            last_error: _,
            scratch: _,
            absent_header_is_empty: _,
        } = state;
        let mut kept = Self {
            contexts: contexts.of_roots(),
            last_token: callouts.last_token(),
            metrics: metrics.clone(),
            queues: queues.clone(),
            foreign: foreign.clone(),
            foreign_calls: Vec::new(),
            ticks: Vec::new(),
            http_calls: Vec::new(),
            grpc_calls: Vec::new(),
        };
        for action in actions {
            match action {
                HostAction::SetTick { root, period } => kept.ticks.push((*root, *period)),
                HostAction::HttpCall(call) => {
                    let root = callouts.root(call.token);
                    kept.http_calls
                        .extend(root.map(|root| (root, call.clone())));
                }
                HostAction::ForeignCall(call) => {
                    let root = callouts.root(call.token);
                    kept.foreign_calls
                        .extend(root.map(|root| (root, call.clone())));
                }
                // Where nobody waits, the guest has cancelled it.
                HostAction::GrpcCall(call) => {
                    let root = callouts.root(call.token);
                    let (sender, twin) = call.twin();
                    kept.grpc_calls
                        .extend(root.map(|root| (root, sender, twin)));
                }
                // A notice is for who was there; who comes finds the item. No VM is retired at its start.
                HostAction::QueueReady { .. } | HostAction::AwaitDone { .. } => {}
            }
        }
        kept
    }

    /// Makes a fresh state as the one that was kept. Where another VM works for the root contexts, their work is left
    /// to it.
    pub(super) fn restore(&self, state: &mut State) {
        state.contexts = self.contexts.of_roots();
        state.callouts = Callouts::after(self.last_token);
        state.metrics.clone_from(&self.metrics);
        state.foreign.clone_from(&self.foreign);
        if state.service.is_some() {
            return;
        }
        state.queues.clone_from(&self.queues);
        for (queue, root) in &self.queues {
            // A guest registers queues of its own space only.
            if let Some(queue) = state.plugin.shared.queue(*queue, |_| false) {
                queue.consume(state.vm.clone(), *root);
            }
        }
        for (root, period) in &self.ticks {
            let (root, period) = (*root, *period);
            state.actions.push(HostAction::SetTick { root, period });
        }
        for (root, call) in &self.http_calls {
            state.callouts.wait(call.token, *root, Kind::Http);
            state.actions.push(HostAction::HttpCall(call.clone()));
        }
        for (root, call) in &self.foreign_calls {
            state.callouts.wait(call.token, *root, Kind::Foreign);
            state.actions.push(HostAction::ForeignCall(call.clone()));
        }
        for (root, _, call) in &self.grpc_calls {
            let (sender, call) = call.twin();
            let kind = Kind::Grpc(call.kind, sender);
            state.callouts.wait(call.token, *root, kind);
            state.actions.push(HostAction::GrpcCall(call));
        }
    }
}

impl Vm {
    /// Takes a snapshot, before [`Vm::activate`]. Its memory then rests on the snapshot's, so both together need little
    /// more than one.
    ///
    /// # Errors
    /// See [`SnapshotError`]; the VM is as it was, unless the system has no memory left: then it may have ended.
    pub fn snapshot(self: &Arc<Self>) -> Result<Arc<Snapshot>, SnapshotError> {
        if let Some(reason) = self.plugin.module.unfit_for_snapshots() {
            return Err(SnapshotError::Unfit(reason));
        }
        let mut life = self.life.lock();
        let actions = self.kept.lock();
        let (Life::Live(live), Some(actions)) = (&mut *life, &*actions) else {
            return Err(SnapshotError::Late);
        };
        if live.store.data().contexts.streams() != 0 {
            return Err(SnapshotError::Late);
        }
        let snapshot = live.freeze(&self.plugin, actions);
        let snapshot = snapshot.map_err(|error| SnapshotError::Image(error.to_string()))?;
        live.rests_on = Some(Arc::clone(&snapshot.image));
        let rests = mapping::rest_on(&snapshot.image, live.memory, &mut live.store);
        if let Err(error) = rests {
            if let Life::Live(live) = mem::replace(&mut *life, Life::Entered) {
                self.bury(&mut life, *live, Fault::stopped());
            }
            return Err(SnapshotError::Image(error.to_string()));
        }
        Ok(Arc::new(snapshot))
    }
}

impl Live {
    fn freeze(
        &mut self,
        plugin: &Arc<Plugin>,
        actions: &[HostAction],
    ) -> std::io::Result<Snapshot> {
        let images = plugin.module.images();
        let image = images.copy_of(self.memory.data(&self.store))?;
        let (instance, store) = (self.instance, &mut self.store);
        let globals = plugin.module.globals().iter();
        let globals = globals.map(
            |global| match instance.get_module_export(&mut *store, global) {
                Some(Extern::Global(global)) => Ok(global.get(&mut *store)),
                _ => Err(std::io::Error::other("a global is not exported")),
            },
        );
        Ok(Snapshot {
            globals: globals.collect::<Result<_, _>>()?,
            kept: Kept::of(self.store.data(), actions),
            image: Arc::new(image),
            plugin: Arc::clone(plugin),
        })
    }
}

impl Snapshot {
    /// The plugin it is of.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Gives a fresh instance the values of the mutable globals.
    pub(super) fn set_globals(
        &self,
        instance: &Instance,
        store: &mut Store<State>,
    ) -> wasmtime::Result<()> {
        for (export, value) in self.plugin.module.globals().iter().zip(&self.globals) {
            match instance.get_module_export(&mut *store, export) {
                Some(Extern::Global(global)) => global.set(store.as_context_mut(), *value)?,
                _ => wasmtime::bail!("a global is not exported"),
            }
        }
        Ok(())
    }
}
