//! How a VM comes about: compiled, loaded, started anew, from a snapshot; and what a VM for each exchange costs, in
//! processor time.
//!
//! Guests are a trivial one, one whose configuration takes 100 ms, and the example filters, where their compilers are.

mod cpu;
#[path = "../abi/exchange.rs"]
mod exchange;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main};
use parking_lot::Mutex;
use portcullis_abi::{
    Beginning, Engine, EngineOptions, Grants, Host, HostAction, HttpCallResponse, Limits, Module,
    Plugin, Role, SharedStream, Snapshot, Spaces, Vm,
};

use exchange::{Memory, Quiet};

const HEADERS: u32 = 12;

/// What the example filters are configured with.
const CONFIGURATION: &[u8] =
    br#"{ "header": "x-tenant", "value": "blue", "mask": "password", "upstream": "policy" }"#;

/// The trivial guest; `configure` is what it does in `proxy_on_configure`.
fn hand_written(configure: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (memory (export "memory") 1)
          (func (export "proxy_abi_version_0_2_1"))
          (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
          (func (export "proxy_on_configure") (param i32 i32) (result i32) (local $n i32)
            {configure}
            (i32.const 1))
          (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
          (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0)))"#
    );
    wat::parse_str(text).expect("a guest that parses")
}

/// Works for `rounds`, and leaves something to be remembered.
fn working(rounds: u32) -> Vec<u8> {
    hand_written(&format!(
        "(loop $again
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (i32.store (i32.const 8192)
             (i32.add (i32.const 7) (i32.div_u (i32.load (i32.const 8192)) (local.get $n))))
           (br_if $again (i32.lt_u (local.get $n) (i32.const {rounds}))))"
    ))
}

/// Rounds that take 100 ms on this machine.
fn rounds_of_100_ms(bench: &Bench) -> u32 {
    const ROUNDS: u32 = 1_000_000;
    let plugin = bench.plugin(&working(ROUNDS));
    let before = cpu::spent();
    bench.start(&plugin);
    let took = (cpu::spent() - before).max(Duration::from_micros(1));
    let factor = Duration::from_millis(100).as_secs_f64() / took.as_secs_f64();
    (f64::from(ROUNDS) * factor) as u32
}

/// The example filters that there are compilers for, by language.
fn examples() -> Vec<(&'static str, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let build = root.join("examples/filters/build.sh");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let languages = ["rust", "go", "cpp"];
    // What does not build is not there to be read.
    if let Err(error) = Command::new(build)
        .arg("--offline")
        .args(languages)
        .status()
    {
        eprintln!("no example filters: {error}");
    }
    languages
        .into_iter()
        .filter_map(|language| {
            let module = fs::read(target.join(format!("examples/{language}.wasm")));
            Some((language, module.ok()?))
        })
        .collect()
}

/// Measures by [`cpu::spent`].
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        cpu::spent()
    }

    fn end(&self, start: Duration) -> Duration {
        cpu::spent() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

struct Bench {
    engine: Arc<Engine>,
    host: Arc<dyn Host>,
    /// The same.
    quiet: Arc<Quiet>,
}

impl Bench {
    fn new(cache: Option<&Path>) -> Self {
        let cache_dir = cache.map(Path::to_owned);
        let quiet = Arc::new(Quiet::default());
        Self {
            engine: Engine::new(EngineOptions { cache_dir }).expect("an engine"),
            host: Arc::clone(&quiet) as Arc<dyn Host>,
            quiet,
        }
    }

    fn plugin(&self, wasm: &[u8]) -> Arc<Plugin> {
        Arc::new(Plugin {
            name: "bench".to_owned(),
            root_id: String::new(),
            vm_id: "bench".to_owned(),
            vm_config: Vec::new(),
            roots: vec![CONFIGURATION.to_vec()],
            env: Vec::new(),
            grants: Grants {
                http_call: vec!["policy".to_owned()],
                ..Grants::default()
            },
            limits: Limits {
                cpu_start: Duration::from_secs(60),
                ..Limits::default()
            },
            module: Module::load(&self.engine, wasm).expect("a guest that loads"),
            shared: Spaces::new().space("bench"),
        })
    }

    fn start(&self, plugin: &Arc<Plugin>) -> Arc<Vm> {
        Vm::start(plugin, &self.host, 0).expect("a guest that starts")
    }

    fn begin(&self, snapshot: &Arc<Snapshot>, service: &Arc<Vm>) -> Arc<Vm> {
        let role = Role::Exchange {
            service: Arc::downgrade(service),
            lease: None,
        };
        Vm::begin(Beginning::Snapshot(snapshot), &self.host, 0, role).expect("a VM")
    }
}

/// A GET and its answer, without bodies; a callout is answered at once.
fn exchange(bench: &Bench, vm: &Arc<Vm>) {
    let stream: SharedStream = Arc::new(Mutex::new(Memory::request()));
    let context = vm.create_stream(0, &stream, 0).expect("a context");
    vm.on_request_headers(context, HEADERS, true)
        .expect("no fault");
    let asked = bench.quiet.asked.lock().pop();
    if let Some(HostAction::HttpCall(call)) = asked {
        let answer = HttpCallResponse {
            headers: vec![(b":status".to_vec(), b"200".to_vec())],
            ..HttpCallResponse::default()
        };
        vm.on_http_call_response(call.token, answer)
            .expect("no fault");
    }
    vm.on_response_headers(context, HEADERS, true)
        .expect("no fault");
    vm.end_stream(context).expect("no fault");
}

fn compile(group: &mut BenchmarkGroup<'_, CpuTime>, wasm: &[u8]) {
    let cache = tempfile::tempdir().expect("a folder");
    group.bench_function("compile", |bencher| {
        bencher.iter_batched(
            || Bench::new(None),
            |bench| Module::load(&bench.engine, black_box(wasm)).expect("a module"),
            BatchSize::PerIteration,
        );
    });
    Module::load(&Bench::new(Some(cache.path())).engine, wasm).expect("a module");
    group.bench_function("load from cache", |bencher| {
        bencher.iter_batched(
            || Bench::new(Some(cache.path())),
            |bench| Module::load(&bench.engine, black_box(wasm)).expect("a module"),
            BatchSize::PerIteration,
        );
    });
}

/// Every way to a VM of one guest.
fn ways(criterion: &mut Criterion<CpuTime>, bench: &Bench, name: &str, wasm: &[u8]) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    compile(&mut group, wasm);
    let plugin = bench.plugin(wasm);
    group.bench_function("start anew", |bencher| {
        bencher.iter_with_large_drop(|| bench.start(black_box(&plugin)));
    });
    group.bench_function("take a snapshot", |bencher| {
        bencher.iter_batched(
            || bench.start(&plugin),
            |vm| (vm.snapshot().expect("a snapshot"), vm),
            BatchSize::PerIteration,
        );
    });
    let service = bench.start(&plugin);
    let snapshot = service.snapshot().expect("a snapshot");
    service.activate();
    group.sample_size(100);
    group.bench_function("begin from the snapshot, and end", |bencher| {
        bencher.iter(|| bench.begin(black_box(&snapshot), &service));
    });
    group.bench_function("exchange, shared VM", |bencher| {
        bencher.iter(|| exchange(bench, black_box(&service)));
    });
    group.bench_function("exchange, VM of its own", |bencher| {
        bencher.iter(|| exchange(bench, &bench.begin(black_box(&snapshot), &service)));
    });
    group.finish();
}

fn start(criterion: &mut Criterion<CpuTime>) {
    let bench = Bench::new(None);
    let slow = working(rounds_of_100_ms(&bench));
    ways(criterion, &bench, "trivial", &hand_written(""));
    ways(criterion, &bench, "configured for 100 ms", &slow);
    for (language, wasm) in examples() {
        ways(criterion, &bench, language, &wasm);
    }
}

criterion_group!(name = benches; config = Criterion::default().with_measurement(CpuTime); targets = start);
criterion_main!(benches);
