//! A guest that interprets a program: its plugin configuration. Every callback takes the next few calls of it.
//!
//! A callback reads a count (0 to 15), then that many calls, then its own answer. A call is the number of a function
//! and its arguments, each a kind and a byte or four: small numbers, addresses of useful bytes, of what the host gave
//! last, at the end of memory, or anything. One number beyond the functions writes program bytes to where the
//! useful bytes are.

use std::fmt::Write;

use portcullis_abi::hostcalls::{self, Type};

/// Useful bytes, in places of 64; the text below has the numbers too.
const PLACES: u32 = 0x1000;

/// What the host can make sense of.
const USEFUL: &[&[u8]] = &[
    b":path",
    b":method",
    b":authority",
    b"x-one",
    b"content-length",
    b"request\0path",
    b"request\0headers\0x-one",
    b"plugin_root_id",
    b"auth",
    b"vm",
    b"queue",
    b"compress",
    b"uncompress",
    b"expr_create",
    b"expr_evaluate",
    b"set_envoy_filter_state",
    b"declare_property",
    b"verify_signature",
    b"sign",
    b"a=1_b.c",
    b"request.path == '/'",
    b"GET",
    b"portcullis.test",
    b"inject_encoded_data_to_filter_chain",
    b"bad\r\nvalue",
    b"\xff\xfe",
    // An empty map, what a callout needs, and one pair.
    b"\0\0\0\0",
    b"\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0:method\0GET\0:path\0/\0:authority\0a\0",
    b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0",
    // A gRPC service that names an upstream; a field with text.
    b"\x0a\x06\x0a\x04auth",
    b"\x0a\x04auth\x12\x05value",
];

/// Callbacks, their parameters, and whether they answer.
const CALLBACKS: &[(&str, usize, bool)] = &[
    ("proxy_on_context_create", 2, false),
    ("proxy_on_vm_start", 2, true),
    ("proxy_on_tick", 1, false),
    ("proxy_on_queue_ready", 2, false),
    ("proxy_on_new_connection", 1, true),
    ("proxy_on_downstream_data", 3, true),
    ("proxy_on_upstream_data", 3, true),
    ("proxy_on_downstream_connection_close", 2, false),
    ("proxy_on_upstream_connection_close", 2, false),
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
    ("proxy_on_grpc_close", 3, false),
    ("proxy_on_foreign_function", 3, false),
    ("proxy_on_done", 1, true),
    ("proxy_on_log", 1, false),
    ("proxy_on_delete", 1, false),
];

/// The module.
pub(crate) fn wasm() -> Vec<u8> {
    let mut text = String::from("(module\n");
    let calls: Vec<_> = hostcalls::all()
        // Ends the guest, and so the run.
        .filter(|call| call.name != "proc_exit" && call.name != "proc_raise")
        .collect();
    for call in &calls {
        let params: String = call
            .signature
            .params
            .iter()
            .map(|ty| format!(" {ty}"))
            .collect();
        let results: String = call
            .signature
            .results
            .iter()
            .map(|ty| format!(" {ty}"))
            .collect();
        let (module, name) = (call.module, call.name);
        let _ = writeln!(
            text,
            "(import \"{module}\" \"{name}\" (func ${name} (param{params}) (result{results})))"
        );
    }
    text += RUNTIME;
    for (place, bytes) in USEFUL.iter().enumerate() {
        let at = PLACES + 64 * u32::try_from(place).unwrap();
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let _ = writeln!(text, "(data (i32.const {at}) \"{escaped}\")");
    }
    text += &dispatch(&calls);
    for (name, params, answers) in CALLBACKS {
        let params = " i32".repeat(*params);
        let (result, end) = match answers {
            true => ("(result i32)", ""),
            false => ("", "(drop)"),
        };
        let _ = writeln!(
            text,
            "(func (export \"{name}\") (param{params}) {result} (call $run) {end})"
        );
    }
    text.push(')');
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Reads a function's number and calls it.
fn dispatch(calls: &[&hostcalls::Hostcall]) -> String {
    let mut text = String::from("(func $step\n");
    for index in (0..=calls.len()).rev() {
        let _ = writeln!(text, "(block $b{index}");
    }
    let labels: String = (0..=calls.len())
        .map(|index| format!("$b{index} "))
        .collect();
    let _ = writeln!(
        text,
        "(br_table {labels} (i32.rem_u (call $byte) (i32.const {})))",
        calls.len() + 1
    );
    for (index, call) in calls.iter().enumerate() {
        let arguments: String = call
            .signature
            .params
            .iter()
            .map(|ty| match ty {
                Type::I64 => "(i64.extend_i32_s (call $argument))",
                _ => "(call $argument)",
            })
            .collect();
        let drop = if call.signature.results.is_empty() {
            ""
        } else {
            "(drop)"
        };
        let _ = writeln!(
            text,
            ") ;; $b{index}\n(call ${} {arguments}) {drop} (return)",
            call.name
        );
    }
    text += ")\n(call $poke))\n";
    text
}

/// Memory is four pages: page 0 for numbers and useful bytes, page 1 for the program (its first half), the rest for the
/// allocator.
const RUNTIME: &str = r#"
(memory (export "memory") 4)
(global $pc (mut i32) (i32.const 0x10000))
(global $end (mut i32) (i32.const 0x10000))
(global $heap (mut i32) (i32.const 0x20000))
(global $loading (mut i32) (i32.const 0))
(func (export "proxy_abi_version_0_2_1"))
(func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (if (global.get $loading) (then (return (i32.const 0x10000))))
    ;; Sometimes no memory, sometimes none of its own.
    (if (i32.eq (local.get $size) (i32.const 13)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $size) (i32.const 17)) (then (return (i32.const 0x7fffffff))))
    (if (i32.gt_u (i32.add (global.get $heap) (local.get $size)) (i32.const 0x3f000))
        (then (global.set $heap (i32.const 0x20000))))
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $size))))
(func (export "proxy_on_configure") (param i32 i32) (result i32)
    (if (i32.eq (global.get $end) (i32.const 0x10000))
        (then
            (global.set $loading (i32.const 1))
            (if (i32.eqz (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 0x8000) (i32.const 0x200) (i32.const 0x204)))
                (then (global.set $end (i32.add (i32.const 0x10000) (i32.load (i32.const 0x204))))))
            (global.set $loading (i32.const 0))))
    (drop (call $run))
    (i32.const 1))
(func $byte (result i32)
    (if (i32.ge_u (global.get $pc) (global.get $end)) (then (return (i32.const 0))))
    (i32.load8_u (global.get $pc))
    (global.set $pc (i32.add (global.get $pc) (i32.const 1))))
(func $word (result i32)
    (i32.or
        (i32.or (call $byte) (i32.shl (call $byte) (i32.const 8)))
        (i32.or (i32.shl (call $byte) (i32.const 16)) (i32.shl (call $byte) (i32.const 24)))))
(func $argument (result i32)
    (block $anything (block $edge (block $given_size (block $given (block $out (block $place (block $small
        (br_table $small $small $place $place $out $given $given_size $edge $anything
            (i32.rem_u (call $byte) (i32.const 9)))
    ) (return (i32.and (call $byte) (i32.const 63)))
    ) (return (i32.add (i32.const 0x1000) (i32.mul (i32.and (call $byte) (i32.const 31)) (i32.const 64))))
    ) (return (i32.add (i32.const 0x200) (i32.mul (i32.and (call $byte) (i32.const 15)) (i32.const 4))))
    ) (return (i32.load (i32.add (i32.const 0x200) (i32.mul (i32.and (call $byte) (i32.const 15)) (i32.const 4)))))
    ) (return (i32.load (i32.const 0x204)))
    ) (return (i32.sub (i32.const 0x40000) (call $byte)))
    )
    (call $word))
(func $poke (local $at i32) (local $count i32)
    (local.set $at (i32.add (i32.const 0x1000) (i32.mul (i32.and (call $byte) (i32.const 31)) (i32.const 64))))
    (local.set $count (i32.and (call $byte) (i32.const 63)))
    (loop $next
        (i32.store8 (local.get $at) (call $byte))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br_if $next (i32.gt_s (local.get $count) (i32.const 0)))))
(func $run (result i32) (local $count i32)
    (local.set $count (i32.and (call $byte) (i32.const 15)))
    (block $done (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (call $step)
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    ;; Zero stops a start, so it is rare there.
    (i32.and (i32.add (call $byte) (i32.const 1)) (i32.const 7)))
"#;
