//! What the host costs by itself: calls in both directions, making a VM, chains of several. No sockets, no HTTP.
//!
//! Guests are hand-written, so that their own work is a few instructions.

mod exchange;
mod guest;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parking_lot::Mutex;
use portcullis_abi::{
    Engine, EngineOptions, Grants, Host, Limits, Module, Plugin, SharedStream, Spaces, Vm,
};

use exchange::{Memory, Quiet};
use guest::{CALLS, Guest, HOSTCALLS};

const WORKER: usize = 0;
const ROOT: usize = 0;
const HEADERS: u32 = 12;
const BODY_BYTES: u32 = 1024;

struct Bench {
    engine: Arc<Engine>,
    host: Arc<dyn Host>,
    spaces: Spaces,
}

impl Bench {
    fn new() -> Self {
        Self {
            engine: Engine::new(EngineOptions::default()).expect("an engine"),
            host: Arc::new(Quiet::default()),
            spaces: Spaces::new(),
        }
    }

    fn plugin(&self, guest: &Guest) -> Arc<Plugin> {
        let wasm = wat::parse_str(guest.text()).expect("a guest that parses");
        let shared = self.spaces.space("bench");
        shared
            .set(b"key", b"value", 0, usize::MAX)
            .expect("room for one value");
        Arc::new(Plugin {
            name: "bench".to_owned(),
            root_id: String::new(),
            vm_id: "bench".to_owned(),
            vm_config: Vec::new(),
            roots: vec![Vec::new()],
            env: Vec::new(),
            grants: Grants::default(),
            limits: Limits::default(),
            module: Module::load(&self.engine, &wasm).expect("a guest that loads"),
            shared,
        })
    }

    fn start(&self, plugin: &Arc<Plugin>) -> Arc<Vm> {
        let vm = Vm::start(plugin, &self.host, WORKER).expect("a guest that starts");
        vm.activate();
        vm
    }
}

fn exchange() -> SharedStream {
    Arc::new(Mutex::new(Memory::request()))
}

/// From host to guest and back.
fn callback(criterion: &mut Criterion) {
    let bench = Bench::new();
    let vm = bench.start(&bench.plugin(&Guest::noop()));
    let stream = exchange();
    let context = vm.create_stream(ROOT, &stream, 0).expect("a context");
    criterion.bench_function("callback/on_request_headers", |bencher| {
        bencher.iter(|| vm.on_request_headers(black_box(context), HEADERS, true));
    });
}

/// From guest to host and back: one callback makes [`CALLS`] calls, each of which must succeed.
fn hostcalls(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("hostcall");
    group.throughput(Throughput::Elements(CALLS.into()));
    for hostcall in &HOSTCALLS {
        let vm = bench.start(&bench.plugin(&Guest::calling(hostcall)));
        let stream = exchange();
        let context = vm.create_stream(ROOT, &stream, 0).expect("a context");
        vm.on_request_headers(context, HEADERS, false)
            .expect("a call that succeeds");
        group.bench_function(hostcall.name, |bencher| {
            bencher.iter(|| vm.on_request_headers(black_box(context), HEADERS, false));
        });
    }
    group.finish();
}

/// What a fault costs before the next request can be filtered, less what the guest's own start does.
fn start(criterion: &mut Criterion) {
    let bench = Bench::new();
    let plugin = bench.plugin(&Guest::noop());
    criterion.bench_function("vm/start and drop", |bencher| {
        bencher.iter(|| bench.start(black_box(&plugin)));
    });
}

/// A whole exchange (a GET with a body of 1 KiB in answer) through as many plugins, each with a VM of its own.
fn chain(criterion: &mut Criterion) {
    let bench = Bench::new();
    let plugin = bench.plugin(&Guest::noop());
    let mut group = criterion.benchmark_group("chain");
    for length in [1, 5, 20] {
        let vms: Vec<_> = (0..length).map(|_| bench.start(&plugin)).collect();
        group.bench_function(BenchmarkId::from_parameter(length), |bencher| {
            bencher.iter(|| through(black_box(&vms)));
        });
    }
    group.finish();
}

fn through(vms: &[Arc<Vm>]) {
    let stream = exchange();
    let contexts: Vec<_> = (0..)
        .zip(vms)
        .map(|(slot, vm)| {
            let context = vm.create_stream(ROOT, &stream, slot);
            (vm, context.expect("a context"))
        })
        .collect();
    for (vm, context) in &contexts {
        vm.on_request_headers(*context, HEADERS, true)
            .expect("no fault");
    }
    for (vm, context) in contexts.iter().rev() {
        vm.on_response_headers(*context, HEADERS, false)
            .expect("no fault");
        vm.on_response_body(*context, BODY_BYTES, true)
            .expect("no fault");
    }
    for (vm, context) in contexts {
        vm.end_stream(context).expect("no fault");
    }
}

criterion_group!(benches, callback, hostcalls, start, chain);
criterion_main!(benches);
