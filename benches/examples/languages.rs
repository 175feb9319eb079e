//! The example filter of each language beside the others: a Markdown table on stdout. `benches/languages/run.sh` builds
//! the filters and runs this.
//!
//! No sockets: the exchange is in memory and the callout is answered at once, so that what differs is the guests.
//! Times are of the processor.

#[path = "../benches/start/cpu.rs"]
mod cpu;
#[path = "../benches/abi/exchange.rs"]
mod exchange;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_abi::{
    BufferType, Engine, EngineOptions, Grants, Host, HostAction, HttpCallResponse, Limits, MapType,
    Module, Plugin, SharedStream, Spaces, Stream, Vm,
};

use exchange::{Memory, Quiet};

const CONFIG: &[u8] =
    br#"{"header":"x-tenant","value":"blue","mask":"password","upstream":"policy"}"#;
const BODY: &[u8] = br#"{"user":"alice@example.com","password":"correct horse battery staple","remember":true,"device":{"id":"0f8fad5b-d9cb-469f-a165-70867728950e","os":"linux"}}"#;

const ROOT: usize = 0;
const HEADERS: u32 = 12;
/// The best of so many is taken: what else the machine does only adds.
const ROUNDS: usize = 20;
const STARTS: usize = 5;
const REQUESTS: u32 = 500;

fn main() {
    let mut files: Vec<_> = std::env::args().skip(1).collect();
    assert!(!files.is_empty(), "usage: languages MODULE.wasm...");
    files.sort();
    println!("| language | size, KiB | compile, ms | start, ms | memory, MiB | a request, µs |");
    println!("|---|---:|---:|---:|---:|---:|");
    for file in files {
        let wasm = std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let language = Path::new(&file)
            .file_stem()
            .expect("a name")
            .to_string_lossy();
        println!("| {language} {}", row(&wasm));
    }
}

fn row(wasm: &[u8]) -> String {
    let engine = Engine::new(EngineOptions::default()).expect("an engine");
    let began = cpu::spent();
    let module = Module::load(&engine, wasm).expect("a module that loads");
    let compile = cpu::spent() - began;
    let plugin = plugin(module);
    let quiet = Arc::new(Quiet::default());
    let host: Arc<dyn Host> = Arc::clone(&quiet) as Arc<dyn Host>;
    let start = best(STARTS, || {
        Vm::start(&plugin, &host, 0).expect("a filter that starts");
    });
    let vm = Vm::start(&plugin, &host, 0).expect("a filter that starts");
    vm.activate();
    let round = best(ROUNDS, || {
        for _ in 0..REQUESTS {
            request(&vm, &quiet);
        }
    });
    format!(
        "| {} | {:.0} | {:.2} | {:.1} | {:.1} |",
        wasm.len().div_ceil(1024),
        compile.as_secs_f64() * 1e3,
        start.as_secs_f64() * 1e3,
        vm.memory_bytes() as f64 / f64::from(1 << 20),
        round.as_secs_f64() * 1e6 / f64::from(REQUESTS),
    )
}

fn plugin(module: Module) -> Arc<Plugin> {
    Arc::new(Plugin {
        name: "example".to_owned(),
        root_id: String::new(),
        vm_id: "example".to_owned(),
        vm_config: Vec::new(),
        roots: vec![CONFIG.to_vec()],
        env: Vec::new(),
        grants: Grants {
            all: true,
            ..Grants::default()
        },
        limits: Limits::default(),
        module,
        shared: Spaces::new().space("example"),
    })
}

fn best(times: usize, mut work: impl FnMut()) -> Duration {
    let each = (0..times).map(|_| {
        let began = cpu::spent();
        work();
        cpu::spent() - began
    });
    each.min().expect("at least one")
}

/// A POST with a JSON body: headers, a callout and its answer, the body, the response's headers, the end.
fn request(vm: &Arc<Vm>, quiet: &Quiet) {
    let memory = Arc::new(Mutex::new(Memory::posting(BODY)));
    let stream: SharedStream = Arc::clone(&memory) as SharedStream;
    let context = vm.create_stream(ROOT, &stream, 0).expect("a context");
    vm.on_request_headers(context, HEADERS, false)
        .expect("no fault");
    let asked = quiet.asked.lock().pop();
    let Some(HostAction::HttpCall(call)) = asked else {
        panic!("no callout, but {asked:?}");
    };
    let header = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
    let answer = HttpCallResponse {
        headers: vec![header(b":status", b"200"), header(b"x-user", b"alice")],
        ..HttpCallResponse::default()
    };
    vm.on_http_call_response(call.token, answer)
        .expect("no fault");
    let size = u32::try_from(BODY.len()).expect("a small body");
    vm.on_request_body(context, size, true).expect("no fault");
    vm.on_response_headers(context, HEADERS, false)
        .expect("no fault");
    vm.end_stream(context).expect("no fault");
    // It has done its work, or the time means nothing.
    let memory = memory.lock();
    assert_eq!(
        memory.header(MapType::RequestHeaders, b"x-user").as_deref(),
        Some(b"alice".as_slice())
    );
    let body = memory.body(BufferType::RequestBody).expect("a body");
    assert!(body.windows(5).any(|part| part == br#""***""#), "masked");
}
