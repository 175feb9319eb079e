//! What a process needs for many plugins: a Markdown table on stdout. `benches/memory/run.sh` builds the filter and runs
//! this. Each row is a process of its own, which has put one exchange through each plugin on each of two workers.

#[path = "../benches/abi/exchange.rs"]
mod exchange;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_abi::{
    Beginning, Engine, EngineOptions, Grants, Host, HostAction, HttpCallResponse, Limits, Module,
    Plugin, Role, SharedStream, Snapshot, Spaces, Vm,
};

use exchange::{Memory, Quiet};

const PLUGINS: usize = 1000;
const WORKERS: usize = 2;
const HEADERS: u32 = 12;

/// Of how many modules the plugins are, whether this very process has compiled them, and their isolation. What is
/// compiled first is in the cache then.
const ROWS: [(&str, &str); 5] = [
    ("one module", "shared"),
    ("one module", "request"),
    ("a module each, compiled", "shared"),
    ("a module each, from the cache", "shared"),
    ("a module each, from the cache", "request"),
];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [file] => table(file, PLUGINS),
        [file, plugins] => table(file, plugins.parse().expect("a number of plugins")),
        [file, plugins, modules, isolation, cache] => {
            let plugins = plugins.parse().expect("a number of plugins");
            let wasm = std::fs::read(file).expect("a module");
            row(&wasm, plugins, modules, isolation, Path::new(cache));
        }
        _ => panic!("usage: memory MODULE.wasm [PLUGINS]"),
    }
}

fn table(file: &str, plugins: usize) {
    let cache = tempfile::tempdir().expect("a folder");
    println!("| {plugins} plugins of | isolation | resident, MiB | anonymous, MiB |");
    println!("|---|---|---:|---:|");
    for (modules, isolation) in ROWS {
        let mut process = Command::new(std::env::current_exe().expect("this program"));
        process.args([file, &plugins.to_string(), modules, isolation]);
        let output = process.arg(cache.path()).stderr(Stdio::inherit()).output();
        let output = output.expect("a process");
        assert!(output.status.success(), "{modules}, {isolation}");
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// Sets everything up, and tells what it took.
fn row(wasm: &[u8], plugins: usize, modules: &str, isolation: &str, cache: &Path) {
    let one = modules == ROWS[0].0;
    let cache_dir = (!one).then(|| cache.to_owned());
    let engine = Engine::new(EngineOptions { cache_dir }).expect("an engine");
    let quiet = Arc::new(Quiet::default());
    let host: Arc<dyn Host> = Arc::clone(&quiet) as Arc<dyn Host>;
    let mut kept = Vec::with_capacity(plugins);
    for number in 0..plugins {
        let module = match one {
            true => Module::load(&engine, wasm),
            false => Module::load(&engine, &distinct(wasm, number)),
        };
        let plugin = plugin(module.expect("a module that loads"), number);
        kept.push(configured(&plugin, &host, &quiet, isolation));
    }
    let [resident, anonymous] = ["VmRSS:", "RssAnon:"].map(mebibytes);
    println!("| {modules} | {isolation} | {resident} | {anonymous} |");
}

/// The same code under another hash.
fn distinct(wasm: &[u8], number: usize) -> Vec<u8> {
    const NAME: &[u8] = b"number";
    let number = number.to_le_bytes();
    let size = u8::try_from(1 + NAME.len() + number.len()).expect("one byte of size");
    let name_size = u8::try_from(NAME.len()).expect("one byte of size");
    [wasm, &[0, size, name_size], NAME, &number].concat()
}

/// The VMs that a proxy keeps for a plugin, each having seen an exchange.
fn configured(
    plugin: &Arc<Plugin>,
    host: &Arc<dyn Host>,
    quiet: &Quiet,
    isolation: &str,
) -> (Vec<Arc<Vm>>, Arc<Snapshot>) {
    let service = Vm::start(plugin, host, 0).expect("a filter that starts");
    let snapshot = service.snapshot().expect("a snapshot");
    service.activate();
    let begin = |role| Vm::begin(Beginning::Snapshot(&snapshot), host, 1, role).expect("a VM");
    let mut vms = vec![service];
    match isolation {
        "request" => {
            for _ in 0..WORKERS {
                let service = Arc::downgrade(&vms[0]);
                let vm = begin(Role::Exchange {
                    service,
                    lease: None,
                });
                exchange(&vm, quiet);
            }
        }
        _ => {
            for _ in 1..WORKERS {
                let vm = begin(Role::Service);
                vm.activate();
                vms.push(vm);
            }
            vms.iter().for_each(|vm| exchange(vm, quiet));
        }
    }
    (vms, snapshot)
}

fn plugin(module: Module, number: usize) -> Arc<Plugin> {
    let config = format!(
        r#"{{"header":"x-tenant","value":"{number}","mask":"password","upstream":"policy"}}"#
    );
    Arc::new(Plugin {
        name: format!("plugin-{number}"),
        root_id: String::new(),
        vm_id: format!("plugin-{number}"),
        vm_config: Vec::new(),
        roots: vec![config.into_bytes()],
        env: Vec::new(),
        grants: Grants {
            all: true,
            ..Grants::default()
        },
        limits: Limits::default(),
        module,
        shared: Spaces::new().space("memory"),
    })
}

/// A GET and its answer, without bodies; the callout is answered at once.
fn exchange(vm: &Arc<Vm>, quiet: &Quiet) {
    let stream: SharedStream = Arc::new(Mutex::new(Memory::request()));
    let context = vm.create_stream(0, &stream, 0).expect("a context");
    vm.on_request_headers(context, HEADERS, true)
        .expect("no fault");
    let asked = quiet.asked.lock().pop();
    let Some(HostAction::HttpCall(call)) = asked else {
        panic!("no callout, but {asked:?}");
    };
    let answer = HttpCallResponse {
        headers: vec![(b":status".to_vec(), b"200".to_vec())],
        ..HttpCallResponse::default()
    };
    vm.on_http_call_response(call.token, answer)
        .expect("no fault");
    vm.on_response_headers(context, HEADERS, true)
        .expect("no fault");
    vm.end_stream(context).expect("no fault");
}

/// A field of this process' memory, as the kernel counts it.
fn mebibytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u64 = kibibytes.and_then(|text| text.parse().ok()).expect(field);
    kibibytes / 1024
}
