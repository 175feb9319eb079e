//! The start of a VM: instantiate, run the module's own start, configure every root context.

use std::sync::Arc;

use wasmtime::{Extern, Instance, Store, StoreContextMut, UpdateDeadline};

use super::bounds::thread_time;
use super::exports::{Exports, RESEED, find};
use super::retire::Retirement;
use super::{Context, Fault, Live, Role, Snapshot, State, Vm};
use crate::image::{Image, mapping};

/// Stands for the callback in faults before the first function with a name: the wasm start section's among them.
const INSTANTIATE: &str = "instantiate";

/// Why a VM did not start, and in which function.
enum Failure {
    Error(&'static str, wasmtime::Error),
    AnsweredFalse(&'static str),
}

/// The whole start shares one CPU limit. The VM is not reachable meanwhile, except as a consumer of queues.
pub(super) fn start(vm: &Arc<Vm>) -> Result<Live, Fault> {
    let mut store = store(vm);
    store.data_mut().last_error = Some(String::new());
    let started = match vm.plugin.module.image() {
        Ok(image) => instantiate(&mut store, vm, image, false),
        Err(error) => Err(Failure::Error(
            INSTANTIATE,
            wasmtime::Error::msg(error.clone()),
        )),
    }
    .and_then(|instance| started(&mut store, vm, &instance).map(|exports| (instance, exports)));
    live(store, started)
}

/// The start of a VM that is as another was after its start.
pub(super) fn resume(vm: &Arc<Vm>, snapshot: &Snapshot) -> Result<Live, Fault> {
    let mut store = store(vm);
    let reused = matches!(vm.role, Role::Exchange { .. });
    let resumed = instantiate(&mut store, vm, &snapshot.image, reused);
    let resumed = resumed.and_then(|instance| {
        snapshot
            .set_globals(&instance, &mut store)
            .map_err(|error| Failure::Error(INSTANTIATE, error))?;
        snapshot.kept.restore(store.data_mut());
        let exports = Exports::of(&instance, &mut store);
        if let Some(reseed) = &exports.reseed {
            reseed
                .call(&mut store, ())
                .map_err(|error| Failure::Error(RESEED, error))?;
        }
        Ok((instance, exports))
    });
    live(store, resumed)
}

fn store(vm: &Arc<Vm>) -> Store<State> {
    let mut store = Store::new(vm.plugin.module.runtime(), State::new(vm));
    store.limiter(|state| &mut state.bounds);
    store.epoch_deadline_callback(on_epoch);
    store.set_epoch_deadline(1);
    store.data_mut().cpu.begin(vm.plugin.limits.cpu_start);
    store
}

/// An instance whose memory begins as `image`. No code of the guest runs here.
fn instantiate(
    store: &mut Store<State>,
    vm: &Vm,
    image: &Arc<Image>,
    reused: bool,
) -> Result<Instance, Failure> {
    let fail = |error| Failure::Error(INSTANTIATE, error);
    let linked = vm.plugin.module.linked();
    let instance =
        mapping::begin(image, reused, || linked.instantiate(&mut *store)).map_err(fail)?;
    let memory = instance.get_memory(&mut *store, "memory");
    let memory =
        memory.ok_or_else(|| fail(wasmtime::Error::msg("the module exports no memory")))?;
    let allocate = find(&instance, store, "proxy_on_memory_allocate")
        .or_else(|| find(&instance, store, "malloc"));
    let state = store.data_mut();
    state.memory = Some(memory);
    state.allocate = allocate;
    Ok(instance)
}

fn live(
    mut store: Store<State>,
    started: Result<(Instance, Exports), Failure>,
) -> Result<Live, Fault> {
    let failure = match (started, store.data().memory) {
        (Ok((instance, exports)), Some(memory)) => {
            store.data_mut().last_error = None;
            return Ok(Live {
                store,
                instance,
                exports,
                memory,
                rests_on: None,
                retirement: Retirement::None,
                ticking: Vec::new(),
                callback: INSTANTIATE,
            });
        }
        (Ok(_), None) => Failure::Error(INSTANTIATE, wasmtime::Error::msg("there is no memory")),
        (Err(failure), _) => failure,
    };
    let fault = match failure {
        Failure::Error(callback, error) => Fault::of(&error, store.data(), callback),
        Failure::AnsweredFalse(callback) => Fault::refused_start(callback),
    };
    Err(fault.at_start(store.data().last_error.as_deref()))
}

fn started(store: &mut Store<State>, vm: &Vm, instance: &Instance) -> Result<Exports, Failure> {
    if let Some(start) = vm.plugin.module.start() {
        let start = instance.get_module_export(&mut *store, start);
        let start = start.and_then(Extern::into_func);
        if let Some(start) = start {
            start
                .typed::<(), ()>(&*store)
                .and_then(|start| start.call(&mut *store, ()))
                .map_err(|error| Failure::Error(INSTANTIATE, error))?;
        }
    }
    initialise(store, instance)?;
    let exports = Exports::of(instance, store);
    for (index, configuration) in vm.plugin.roots.iter().enumerate() {
        configure(store, &exports, index, &vm.plugin.vm_config, configuration)?;
    }
    Ok(exports)
}

/// A reactor has `_initialize`, and maybe a `main` for its own set-up; a command has `_start`, which runs `main` itself.
fn initialise(store: &mut Store<State>, instance: &Instance) -> Result<(), Failure> {
    if let Some(initialize) = find::<(), ()>(instance, store, "_initialize") {
        initialize
            .call(&mut *store, ())
            .map_err(|error| Failure::Error("_initialize", error))?;
        let fail = |error| Failure::Error("main", error);
        if let Some(main) = find::<(u32, u32), u32>(instance, store, "main") {
            main.call(&mut *store, (0, 0)).map_err(fail)?;
        } else if let Some(main) = find::<(), u32>(instance, store, "__main_void") {
            main.call(&mut *store, ()).map_err(fail)?;
        }
    } else if let Some(start) = find::<(), ()>(instance, store, "_start") {
        start
            .call(&mut *store, ())
            .map_err(|error| Failure::Error("_start", error))?;
    }
    Ok(())
}

fn configure(
    store: &mut Store<State>,
    exports: &Exports,
    index: usize,
    vm_configuration: &[u8],
    configuration: &[u8],
) -> Result<(), Failure> {
    const CREATE: &str = "proxy_on_context_create";
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let state = store.data_mut();
    let root = state
        .contexts
        .create(Context::Root)
        .ok_or_else(|| Failure::Error(CREATE, wasmtime::Error::msg("no context id is left")))?;
    state.enter(root);
    if let Some(context_create) = &exports.context_create {
        context_create
            .call(&mut *store, (root.0, 0))
            .map_err(|error| Failure::Error(CREATE, error))?;
    }
    store.data_mut().enter(root);
    if let Some(vm_start) = &exports.vm_start {
        let answer = vm_start.call(&mut *store, (root.0, size(vm_configuration)));
        accepted("proxy_on_vm_start", answer)?;
    }
    store.data_mut().enter(root);
    if let Some(configure) = &exports.configure {
        store.data_mut().configuring = Some(index);
        let answer = configure.call(&mut *store, (root.0, size(configuration)));
        store.data_mut().configuring = None;
        accepted("proxy_on_configure", answer)?;
    }
    Ok(())
}

fn accepted(callback: &'static str, answer: wasmtime::Result<u32>) -> Result<(), Failure> {
    match answer {
        Ok(0) => Err(Failure::AnsweredFalse(callback)),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Error(callback, error)),
    }
}

/// Called by the guest at the first function entry or loop after each tick.
fn on_epoch(mut store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    if store.data_mut().tick(thread_time()) {
        Ok(UpdateDeadline::Continue(1))
    } else {
        Err(wasmtime::Error::msg("the CPU limit is used up"))
    }
}
