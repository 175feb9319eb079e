//! Modules that misbehave, generated in the text format: any [`Fault`] in any [`Callback`], an allocator that lies, and
//! every host function called with pointers that lead nowhere.

mod pointers;

use std::fmt::Write;

pub use pointers::{HOST_FUNCTIONS, wild_pointers};

/// A callback in which a module can misbehave. (`proxy_on_request_trailers` is missing: the proxy cannot read request
/// trailers, so it is never called.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    VmStart,
    Configure,
    ContextCreate,
    RequestHeaders,
    RequestBody,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    Tick,
    HttpCallResponse,
    QueueReady,
    Log,
    Done,
    Delete,
}

impl Callback {
    /// The callbacks of a running plugin.
    pub const RUNNING: [Self; 12] = [
        Self::ContextCreate,
        Self::RequestHeaders,
        Self::RequestBody,
        Self::ResponseHeaders,
        Self::ResponseBody,
        Self::ResponseTrailers,
        Self::Tick,
        Self::HttpCallResponse,
        Self::QueueReady,
        Self::Log,
        Self::Done,
        Self::Delete,
    ];

    /// The callbacks of a start.
    pub const STARTING: [Self; 2] = [Self::VmStart, Self::Configure];

    /// The export's name without `proxy_on_`; the one for contexts has a prefix like the others.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VmStart => "vm_start",
            Self::Configure => "configure",
            Self::ContextCreate => "context_create",
            Self::RequestHeaders => "request_headers",
            Self::RequestBody => "request_body",
            Self::ResponseHeaders => "response_headers",
            Self::ResponseBody => "response_body",
            Self::ResponseTrailers => "response_trailers",
            Self::Tick => "tick",
            Self::HttpCallResponse => "http_call_response",
            Self::QueueReady => "queue_ready",
            Self::Log => "log",
            Self::Done => "done",
            Self::Delete => "delete",
        }
    }

    /// Number of parameters, and the constant result if there is one.
    fn signature(self) -> (usize, Option<u32>) {
        match self {
            Self::VmStart | Self::Configure => (2, Some(1)),
            Self::ContextCreate | Self::QueueReady => (2, None),
            Self::RequestHeaders
            | Self::RequestBody
            | Self::ResponseHeaders
            | Self::ResponseBody => (3, Some(0)),
            Self::ResponseTrailers => (2, Some(0)),
            Self::Tick | Self::Log | Self::Delete => (1, None),
            Self::HttpCallResponse => (5, None),
            Self::Done => (1, Some(1)),
        }
    }

    /// Whether an exchange waits for the outcome of this callback, so that a fault must show in its answer.
    #[must_use]
    pub fn is_awaited(self) -> bool {
        matches!(
            self,
            Self::ContextCreate
                | Self::RequestHeaders
                | Self::RequestBody
                | Self::ResponseHeaders
                | Self::HttpCallResponse
        )
    }
}

/// What a module does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The `unreachable` instruction.
    Trap,
    /// A loop without an end.
    Loop,
    /// Memory is grown until the host refuses.
    Memory,
    /// A function calls itself for ever.
    Stack,
}

impl Fault {
    pub const ALL: [Self; 4] = [Self::Trap, Self::Loop, Self::Memory, Self::Stack];

    /// Value of the label `kind` of `portcullis_filter_faults_total`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Loop => "cpu",
            Self::Memory => "memory",
            Self::Stack => "stack",
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Trap => "(unreachable)",
            Self::Loop => "(loop $again (br $again))",
            Self::Memory => {
                "(loop $again
                   (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable)))
                   (br $again))"
            }
            Self::Stack => "(drop (call $deeper (i32.const 1)))",
        }
    }
}

/// Pages of a generated module's memory.
const PAGES: u64 = 2;
const MEMORY_BYTES: u64 = PAGES * 65_536;

/// Imports, memory and allocator of every generated module. Data for the host functions used by [`faulty`]:
/// a queue's name at 0, an upstream's name at 16, the callout's headers at 64.
fn prelude(imports: &str, allocator: &str) -> String {
    let headers = pairs(&[
        (":method", "GET"),
        (":path", "/"),
        (":authority", "callout.test"),
    ]);
    format!(
        r#"{imports}
  (memory (export "memory") {PAGES})
  (data (i32.const 0) "queue")
  (data (i32.const 16) "callee")
  (data (i32.const 64) "{headers}")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "_initialize"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) {allocator})
"#
    )
}

/// Host functions that lead to further callbacks.
const LEADING_IMPORTS: &str = r#"
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
  (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_http_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))"#;

const TICK: &str = "(drop (call $tick (i32.const 20)))";
const REGISTER: &str = "(drop (call $register (i32.const 0) (i32.const 5) (i32.const 512)))";
const ENQUEUE: &str =
    "(drop (call $enqueue (i32.load (i32.const 512)) (i32.const 0) (i32.const 5)))";

/// `GET /` at the upstream `callee`.
fn call() -> String {
    let length = pairs_length();
    format!(
        "(drop (call $call (i32.const 16) (i32.const 6) (i32.const 64) (i32.const {length})
           (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 5000) (i32.const 516)))"
    )
}

/// A module with one fault in one callback; everything else lets requests pass. It ticks, calls the upstream `callee`,
/// or uses a queue, where its callback needs that to be called.
#[must_use]
pub fn faulty(callback: Callback, fault: Fault) -> String {
    let mut module = format!("(module {}", prelude(LEADING_IMPORTS, "(i32.const 65536)"));
    module.push_str(
        "(func $deeper (param i32) (result i32)
           (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (call $deeper (local.get 0))))\n",
    );
    for (name, parameters, result) in exports(callback) {
        let (mut code, mut result) = (String::new(), result);
        match (name, callback) {
            ("configure", Callback::Tick) => code.push_str(TICK),
            ("configure", Callback::QueueReady) => code.push_str(REGISTER),
            ("request_headers", Callback::QueueReady) => code.push_str(ENQUEUE),
            ("request_headers", Callback::HttpCallResponse) => {
                code.push_str(&call());
                result = Some(1);
            }
            _ => {}
        }
        if name == callback.name() {
            // The root context is made at the start; only streams (whose parent is not 0) are to fail.
            let condition = if callback == Callback::ContextCreate {
                "(local.get 1)"
            } else {
                "(i32.const 1)"
            };
            let _ = write!(code, "(if {condition} (then {}))", fault.code());
        }
        module.push_str(&export(name, parameters, &code, result));
    }
    module.push(')');
    module
}

/// The callbacks that a faulty module needs: its own, and those that lead to it.
fn exports(callback: Callback) -> Vec<(&'static str, usize, Option<u32>)> {
    let mut callbacks = vec![
        Callback::Configure,
        Callback::ContextCreate,
        Callback::RequestHeaders,
    ];
    if !callbacks.contains(&callback) {
        callbacks.push(callback);
    }
    callbacks
        .into_iter()
        .map(|callback| {
            let (parameters, result) = callback.signature();
            (callback.name(), parameters, result)
        })
        .collect()
}

fn export(name: &str, parameters: usize, code: &str, result: Option<u32>) -> String {
    let parameters = " i32".repeat(parameters);
    let (kind, value) = result.map_or((String::new(), String::new()), |value| {
        (" (result i32)".to_owned(), format!(" (i32.const {value})"))
    });
    format!("  (func (export \"proxy_on_{name}\") (param{parameters}){kind} {code}{value})\n")
}

/// A module whose allocator answers this to every request of the host, and which asks for things that need one in
/// its request headers.
#[must_use]
pub fn bad_allocator(answer: u32) -> String {
    let imports = r#"(import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))"#;
    let code = "(drop (call $pairs (i32.const 0) (i32.const 512) (i32.const 516)))
      (drop (call $property (i32.const 32) (i32.const 11) (i32.const 512) (i32.const 516)))";
    let mut module = format!(
        "(module {}",
        prelude(imports, &format!("(i32.const {answer})"))
    );
    module.push_str("  (data (i32.const 32) \"plugin_name\")\n");
    module.push_str(&export("request_headers", 3, code, Some(0)));
    module.push(')');
    module
}

/// A header map as the ABI has it (count, lengths, then text with a NUL after each), escaped for a data segment.
fn pairs(headers: &[(&str, &str)]) -> String {
    let mut bytes = Vec::from(u32::try_from(headers.len()).expect("few").to_le_bytes());
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(u32::try_from(text.len()).expect("short").to_le_bytes());
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(text.bytes().chain([0]));
    }
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

fn pairs_length() -> usize {
    pairs(&[
        (":method", "GET"),
        (":path", "/"),
        (":authority", "callout.test"),
    ])
    .len()
        / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generated_module_parses() {
        for callback in Callback::STARTING.into_iter().chain(Callback::RUNNING) {
            for fault in Fault::ALL {
                let text = faulty(callback, fault);
                wat::parse_str(&text)
                    .unwrap_or_else(|error| panic!("{callback:?} {fault:?}: {error}"));
            }
        }
        wat::parse_str(wild_pointers()).unwrap_or_else(|error| panic!("{error}"));
        wat::parse_str(bad_allocator(0)).unwrap_or_else(|error| panic!("{error}"));
    }
}
