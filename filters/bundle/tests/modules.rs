//! What the embedded modules must be: small, of the promised ABI, and asking for nothing but the proxy-wasm calls and
//! the few WASI functions that Rust's standard library links in. A file or socket call here would mean that a guest
//! began to reach outside.

use portcullis_bundle::{all, find};
use wasmparser::{ExternalKind, Parser, Payload};

/// Bytes a built-in guest may have: it is embedded in the proxy's binary and compiled on a first start.
const MODULE_BYTES_MAX: usize = 500_000;
/// The same of the WAF, which has an engine for regular expressions in it.
const WAF_BYTES_MAX: usize = 4_000_000;

/// From `wasi_snapshot_preview1`: what Rust's standard library links for panic messages, for the look at
/// `RUST_BACKTRACE`, for the end of the program and for the seed of its hash maps.
const WASI_ALLOWED: [&str; 5] = [
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    "random_get",
];

/// From `env`: the functions of proxy-wasm ABI 0.2.1. The SDK links most of them whether called or not, because its
/// traits' default methods do call them; any other name would not run in another host.
const ENV_ALLOWED: [&str; 39] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_buffer_status",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_size",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_metric",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// Imports as (module, name) and the names of exported functions.
type Interface = (Vec<(String, String)>, Vec<String>);

fn interface(wasm: &[u8]) -> Interface {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("a well-formed module") {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.expect("a well-formed import");
                    imports.push((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.expect("a well-formed export");
                    if export.kind == ExternalKind::Func {
                        exports.push(export.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    (imports, exports)
}

#[test]
fn every_module_is_valid_and_small() {
    for builtin in all() {
        wasmparser::validate(builtin.wasm).expect(builtin.name);
        let size = builtin.wasm.len();
        println!("{}: {size} bytes", builtin.name);
        let most = match builtin.name {
            "waf" => WAF_BYTES_MAX,
            _ => MODULE_BYTES_MAX,
        };
        assert!(size < most, "{} has {size} bytes", builtin.name);
    }
}

#[test]
fn every_module_exports_the_abi() {
    for builtin in all() {
        let (_, exports) = interface(builtin.wasm);
        for name in [
            "_initialize",
            "proxy_abi_version_0_2_1",
            "proxy_on_configure",
            "proxy_on_context_create",
            "proxy_on_memory_allocate",
            "proxy_on_request_headers",
        ] {
            assert!(
                exports.iter().any(|export| export == name),
                "{} lacks {name}",
                builtin.name
            );
        }
    }
}

#[test]
fn no_module_reaches_outside() {
    for builtin in all() {
        for (module, name) in interface(builtin.wasm).0 {
            let allowed = match module.as_str() {
                "env" => ENV_ALLOWED.contains(&name.as_str()),
                "wasi_snapshot_preview1" => WASI_ALLOWED.contains(&name.as_str()),
                _ => false,
            };
            assert!(allowed, "{} imports {module}.{name}", builtin.name);
        }
    }
}

#[test]
fn no_module_names_the_machine_it_was_built_on() {
    let home = env!("CARGO_MANIFEST_DIR").trim_end_matches("/filters/bundle");
    for builtin in all() {
        let found = builtin
            .wasm
            .windows(home.len())
            .any(|window| window == home.as_bytes());
        assert!(!found, "{} holds the path {home}", builtin.name);
        let registry = b"registry/src";
        let at = builtin
            .wasm
            .windows(registry.len())
            .position(|window| window == registry);
        if let Some(at) = at {
            let before = &builtin.wasm[at.saturating_sub(6)..at];
            assert_eq!(
                before, b"cargo/",
                "{} holds the path of a cargo home",
                builtin.name
            );
        }
    }
}

#[test]
fn names_are_found_and_ordered() {
    let names: Vec<&str> = all().iter().map(|builtin| builtin.name).collect();
    assert_eq!(names, ["auth", "rate-limit", "waf"]);
    for name in names {
        assert_eq!(find(name).map(|builtin| builtin.name), Some(name));
    }
    assert!(find("Auth").is_none());
    assert!(find("").is_none());
}
