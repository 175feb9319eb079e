//! Guests in WebAssembly text: every import of the host, an allocator, and ways to tell the test what they saw.

use portcullis_abi::hostcalls::{self, Type};

/// Where a callback's own numbers may be put; hostcalls answer there.
pub(crate) const OUT: u32 = 16;

/// Builds a module. Callbacks are given as bodies; their parameters are `$0`, `$1`...
pub(crate) struct Guest {
    marker: &'static str,
    callbacks: Vec<(&'static str, String)>,
    data: Vec<(u32, Vec<u8>)>,
    extra: String,
    memory: &'static str,
    allocator: String,
    wasi: &'static str,
    imports: String,
}

/// Exports, their parameters, and whether they answer.
const CALLBACKS: &[(&str, usize, bool)] = &[
    ("_initialize", 0, false),
    ("_start", 0, false),
    ("main", 2, true),
    ("proxy_on_context_create", 2, false),
    ("proxy_on_vm_start", 2, true),
    ("proxy_on_configure", 2, true),
    ("proxy_on_tick", 1, false),
    ("proxy_on_queue_ready", 2, false),
    ("proxy_on_request_headers", 3, true),
    ("proxy_on_request_body", 3, true),
    ("proxy_on_request_trailers", 2, true),
    ("proxy_on_response_headers", 3, true),
    ("proxy_on_response_body", 3, true),
    ("proxy_on_response_trailers", 2, true),
    ("proxy_on_http_call_response", 5, false),
    ("proxy_on_grpc_receive_initial_metadata", 3, false),
    ("proxy_on_grpc_receive", 3, false),
    ("proxy_on_grpc_receive_trailing_metadata", 3, false),
    ("proxy_on_grpc_trailing_metadata", 3, false),
    ("proxy_on_grpc_close", 3, false),
    ("proxy_on_foreign_function", 3, false),
    ("proxy_on_new_connection", 1, true),
    ("proxy_on_downstream_data", 3, true),
    ("proxy_on_upstream_data", 3, true),
    ("proxy_on_downstream_connection_close", 2, false),
    ("proxy_on_upstream_connection_close", 2, false),
    ("proxy_on_done", 1, true),
    ("proxy_on_log", 1, false),
    ("proxy_on_delete", 1, false),
];

/// The callbacks in which a fault must end as a fault, with what makes them be called.
pub(crate) const PER_STREAM: [&str; 10] = [
    "proxy_on_context_create",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_done",
    "proxy_on_log",
    "proxy_on_delete",
];

impl Guest {
    pub(crate) fn new() -> Self {
        Self {
            marker: "proxy_abi_version_0_2_1",
            callbacks: Vec::new(),
            data: Vec::new(),
            extra: String::new(),
            memory: "(memory (export \"memory\") 2)",
            allocator: "(export \"proxy_on_memory_allocate\") (param $size i32) (result i32)
                (global.get $heap)
                (global.set $heap (i32.add (global.get $heap) (local.get $size)))"
                .to_owned(),
            wasi: "wasi_snapshot_preview1",
            imports: String::new(),
        }
    }

    pub(crate) fn marker(mut self, marker: &'static str) -> Self {
        self.marker = marker;
        self
    }

    pub(crate) fn memory(mut self, memory: &'static str) -> Self {
        self.memory = memory;
        self
    }

    pub(crate) fn wasi(mut self, module: &'static str) -> Self {
        self.wasi = module;
        self
    }

    /// The allocator as the rest of a `(func ...)`.
    pub(crate) fn allocator(mut self, function: &str) -> Self {
        self.allocator = function.to_owned();
        self
    }

    /// Bytes at an address.
    pub(crate) fn data(mut self, at: u32, bytes: &[u8]) -> Self {
        self.data.push((at, bytes.to_vec()));
        self
    }

    /// A callback; one that answers answers 0 (or 1 for the three where 0 is a failure) unless `body` leaves a number.
    pub(crate) fn on(mut self, callback: &'static str, body: &str) -> Self {
        self.callbacks.push((callback, body.to_owned()));
        self
    }

    /// One more import, as text.
    pub(crate) fn import(mut self, import: &str) -> Self {
        self.imports.push_str(import);
        self
    }

    /// More fields of the module.
    pub(crate) fn extra(mut self, fields: &str) -> Self {
        self.extra.push_str(fields);
        self
    }

    pub(crate) fn wat(&self) -> String {
        let mut wat = String::from("(module\n");
        for call in hostcalls::all() {
            let module = if call.module == "env" {
                "env"
            } else {
                self.wasi
            };
            let params = list("param", call.signature.params);
            let results = list("result", call.signature.results);
            let name = call.name;
            wat += &format!("(import \"{module}\" \"{name}\" (func ${name} {params} {results}))\n");
        }
        wat += &self.imports;
        wat += self.memory;
        wat += "\n(global $heap (mut i32) (i32.const 0x8000))\n";
        wat += &format!("(func (export \"{}\"))\n", self.marker);
        wat += &format!("(func $allocate {})\n", self.allocator);
        wat += PRINTERS;
        for (at, bytes) in &self.data {
            let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
            wat += &format!("(data (i32.const {at}) \"{escaped}\")\n");
        }
        for (name, body) in &self.callbacks {
            let (_, params, answers) = CALLBACKS
                .iter()
                .find(|(known, ..)| known == name)
                .expect("a callback of the list");
            let params: String = (0..*params).map(|n| format!("(param ${n} i32)")).collect();
            let result = if *answers { "(result i32)" } else { "" };
            wat += &format!("(func (export \"{name}\") {params} {result}\n{body})\n");
        }
        wat += &self.extra;
        wat += ")";
        wat
    }

    pub(crate) fn wasm(&self) -> Vec<u8> {
        let wat = self.wat();
        wat::parse_str(&wat).unwrap_or_else(|error| panic!("{error}\n{wat}"))
    }
}

fn list(word: &str, types: &[Type]) -> String {
    let types: String = types.iter().map(|kind| format!(" {kind}")).collect();
    format!("({word}{types})")
}

/// `$number n` logs a number, `$text p n` bytes, `$out a` the bytes whose address and size are at `a`,
/// `$word a` the number at `a`; all at level info.
const PRINTERS: &str = r#"
(func $text (param $p i32) (param $n i32)
    (drop (call $proxy_log (i32.const 2) (local.get $p) (local.get $n))))
(func $out (param $a i32)
    (call $text (i32.load (local.get $a)) (i32.load offset=4 (local.get $a))))
(func $word (param $a i32) (call $number (i32.load (local.get $a))))
(func $number (param $n i32) (local $p i32)
    (local.set $p (i32.const 64))
    (loop $digit
        (local.set $p (i32.sub (local.get $p) (i32.const 1)))
        (i32.store8 (local.get $p) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
        (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
        (br_if $digit (local.get $n)))
    (call $text (local.get $p) (i32.sub (i32.const 64) (local.get $p))))
"#;

/// Calls a host function with numbers and logs its answer.
pub(crate) fn call(name: &str, arguments: &[u32]) -> String {
    format!("(call $number (call ${name} {}))", constants(arguments))
}

pub(crate) fn constants(arguments: &[u32]) -> String {
    arguments
        .iter()
        .map(|argument| format!("(i32.const {argument}) "))
        .collect()
}
