//! Every host function called with pointers that lead nowhere.

use std::fmt::Write;

use super::{
    Callback, ENQUEUE, LEADING_IMPORTS, MEMORY_BYTES, REGISTER, TICK, call, export, prelude,
};

/// Every host function with its parameters: `i` a number, `l` a 64-bit number, `p` a pointer to data and `n` its
/// length, `o` a pointer to where the host writes an answer.
pub const HOST_FUNCTIONS: [(&str, &str, &str); 64] = [
    ("env", "proxy_log", "ipn"),
    ("env", "proxy_get_log_level", "o"),
    ("env", "proxy_get_current_time_nanoseconds", "o"),
    ("env", "proxy_get_configuration", "oo"),
    ("env", "proxy_get_buffer_bytes", "iiioo"),
    ("env", "proxy_set_buffer_bytes", "iiipn"),
    ("env", "proxy_get_buffer_status", "ioo"),
    ("env", "proxy_get_header_map_pairs", "ioo"),
    ("env", "proxy_set_header_map_pairs", "ipn"),
    ("env", "proxy_get_header_map_value", "ipnoo"),
    ("env", "proxy_add_header_map_value", "ipnpn"),
    ("env", "proxy_replace_header_map_value", "ipnpn"),
    ("env", "proxy_remove_header_map_value", "ipn"),
    ("env", "proxy_get_header_map_size", "io"),
    ("env", "proxy_get_property", "pnoo"),
    ("env", "proxy_set_property", "pnpn"),
    ("env", "proxy_send_local_response", "ipnpnpni"),
    ("env", "proxy_http_call", "pnpnpnpnio"),
    ("env", "proxy_grpc_call", "pnpnpnpnpnio"),
    ("env", "proxy_grpc_stream", "pnpnpnpno"),
    ("env", "proxy_grpc_send", "ipni"),
    ("env", "proxy_get_status", "ooo"),
    ("env", "proxy_get_shared_data", "pnooo"),
    ("env", "proxy_set_shared_data", "pnpni"),
    ("env", "proxy_register_shared_queue", "pno"),
    ("env", "proxy_resolve_shared_queue", "pnpno"),
    ("env", "proxy_enqueue_shared_queue", "ipn"),
    ("env", "proxy_dequeue_shared_queue", "ioo"),
    ("env", "proxy_define_metric", "ipno"),
    ("env", "proxy_get_metric", "io"),
    ("env", "proxy_call_foreign_function", "pnpnoo"),
    ("wasi_snapshot_preview1", "args_get", "oo"),
    ("wasi_snapshot_preview1", "args_sizes_get", "oo"),
    ("wasi_snapshot_preview1", "clock_res_get", "io"),
    ("wasi_snapshot_preview1", "clock_time_get", "ilo"),
    ("wasi_snapshot_preview1", "environ_get", "oo"),
    ("wasi_snapshot_preview1", "environ_sizes_get", "oo"),
    ("wasi_snapshot_preview1", "fd_fdstat_get", "io"),
    ("wasi_snapshot_preview1", "fd_filestat_get", "io"),
    ("wasi_snapshot_preview1", "fd_pread", "ipnlo"),
    ("wasi_snapshot_preview1", "fd_prestat_get", "io"),
    ("wasi_snapshot_preview1", "fd_prestat_dir_name", "ipn"),
    ("wasi_snapshot_preview1", "fd_pwrite", "ipnlo"),
    ("wasi_snapshot_preview1", "fd_read", "ipno"),
    ("wasi_snapshot_preview1", "fd_readdir", "ipnlo"),
    ("wasi_snapshot_preview1", "fd_seek", "ilio"),
    ("wasi_snapshot_preview1", "fd_tell", "io"),
    ("wasi_snapshot_preview1", "fd_write", "ipno"),
    ("wasi_snapshot_preview1", "path_create_directory", "ipn"),
    ("wasi_snapshot_preview1", "path_filestat_get", "iipno"),
    ("wasi_snapshot_preview1", "path_link", "iipnipn"),
    ("wasi_snapshot_preview1", "path_open", "iipnillio"),
    ("wasi_snapshot_preview1", "path_readlink", "ipnpno"),
    ("wasi_snapshot_preview1", "path_remove_directory", "ipn"),
    ("wasi_snapshot_preview1", "path_rename", "ipnipn"),
    ("wasi_snapshot_preview1", "path_symlink", "pnipn"),
    ("wasi_snapshot_preview1", "path_unlink_file", "ipn"),
    ("wasi_snapshot_preview1", "poll_oneoff", "ooio"),
    ("wasi_snapshot_preview1", "random_get", "pn"),
    ("wasi_snapshot_preview1", "sock_recv", "ipnioo"),
    ("wasi_snapshot_preview1", "sock_send", "ipnio"),
    ("wasi_snapshot_preview1", "sock_accept", "iio"),
    ("wasi_unstable", "fd_write", "ipno"),
    ("wasi_unstable", "clock_time_get", "ilo"),
];

/// Pointer and length of data that does not lie in the module's memory.
const BAD_DATA: [(u64, u64); 7] = [
    (0xffff_ffff, 1),
    (0x8000_0000, 4),
    (MEMORY_BYTES, 1),
    (MEMORY_BYTES - 1, 2),
    (0, 0xffff_ffff),
    (1, 0x8000_0000),
    (0xffff_fff0, 0x20),
];

/// Places where an answer of 4 bytes does not fit.
const BAD_PLACES: [u64; 7] = [
    0xffff_ffff,
    0x8000_0000,
    MEMORY_BYTES,
    MEMORY_BYTES - 1,
    0xffff_fffd,
    MEMORY_BYTES - 3,
    0x7fff_ffff,
];

/// A module that calls every host function with every bad pointer, in every callback, and lets requests pass. None
/// of the calls can have an effect. It ticks, calls the upstream `callee` and uses a queue, so that all callbacks come;
/// after each it counts in the metric `attacks` with the label `callback`.
#[must_use]
pub fn wild_pointers() -> String {
    let (mut imports, attack) = attack();
    imports.push_str(LEADING_IMPORTS);
    imports.push_str(
        r#"
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))"#,
    );
    let define = HOST_FUNCTIONS
        .iter()
        .position(|(_, name, _)| *name == "proxy_define_metric")
        .expect("in the table");
    let mut module = format!("(module {}", prelude(&imports, "(i32.const 65536)"));
    let _ = writeln!(module, "  (func $attack {attack})");
    let callbacks = Callback::STARTING.into_iter().chain(Callback::RUNNING);
    for (index, callback) in callbacks.enumerate() {
        let name = callback.name();
        let (parameters, result) = callback.signature();
        let metric = format!("attacks_callback={}", name.replace('_', "-"));
        let (at, length) = (1024 + 64 * index, metric.len());
        let _ = writeln!(module, "  (data (i32.const {at}) \"{metric}\")");
        let mut code = format!(
            "(call $attack)
             (drop (call $f{define} (i32.const 0) (i32.const {at}) (i32.const {length}) (i32.const 520)))
             (drop (call $increment (i32.load (i32.const 520)) (i64.const 1)))"
        );
        match callback {
            Callback::Configure => code.push_str(&format!("{TICK}{REGISTER}")),
            Callback::RequestHeaders => code.push_str(&format!("{ENQUEUE}{}", call())),
            _ => {}
        }
        module.push_str(&export(name, parameters, &code, result));
    }
    module.push(')');
    module
}

/// Imports of all host functions, as `$f0` and so on, and the code that calls each with every bad pointer.
fn attack() -> (String, String) {
    let (mut imports, mut code) = (String::new(), String::new());
    for (index, (module, name, parameters)) in HOST_FUNCTIONS.iter().enumerate() {
        let kinds = parameters
            .chars()
            .map(|kind| if kind == 'l' { "i64" } else { "i32" });
        let kinds = kinds.collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            imports,
            "  (import \"{module}\" \"{name}\" (func $f{index} (param {kinds}) (result i32)))"
        );
        for (row, ((pointer, length), place)) in BAD_DATA.into_iter().zip(BAD_PLACES).enumerate() {
            let _ = write!(code, "(drop (call $f{index}");
            for kind in parameters.chars() {
                let _ = match kind {
                    'p' => write!(code, " (i32.const {pointer})"),
                    'n' => write!(code, " (i32.const {length})"),
                    'o' => write!(code, " (i32.const {place})"),
                    'l' => write!(code, " (i64.const 0)"),
                    // Descriptors, map and buffer types that exist, so that the pointers get looked at.
                    _ => write!(code, " (i32.const {})", row % 3),
                };
            }
            code.push_str("))\n");
        }
    }
    (imports, code)
}
