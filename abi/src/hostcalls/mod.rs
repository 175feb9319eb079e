//! Every function a guest may import: one row each with its name, parameters and the function that answers.
//!
//! All are linked whatever ABI version a module marks itself with. Linking, signature checks and `inspect` read these
//! tables.

mod body;
mod call;
mod callout;
mod emscripten;
mod foreign;
mod grant;
mod grpc;
mod headers;
mod higress;
mod log;
mod metric;
mod property;
mod queue;
mod reply;
mod shared_data;
mod timer;
mod wasi;

use std::fmt;

use wasmtime::{Caller, Linker};

pub(crate) use foreign::{Kept as ForeignState, NAME as CALL_FOREIGN};
pub(crate) use higress::{INJECT, INJECT_FOREIGN};

use crate::vm::State;
use call::{Call, answer, errno};

/// Where functions of the ABI come from.
const ENV: &str = "env";

/// WASI under its present name and the one that AssemblyScript still uses.
const WASI: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// A function that guests may import.
pub struct Hostcall {
    /// `env` or `wasi_snapshot_preview1` (which also stands for `wasi_unstable`).
    pub module: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Parameters and results.
    pub signature: Signature,
    /// Names of the parameters, in order. Those ending in `_pointer_out` take the place of an allocated answer.
    pub params: &'static [&'static str],
    pub(crate) link: fn(&mut Linker<State>, &str) -> wasmtime::Result<()>,
}

impl Hostcall {
    /// Whether it answers bytes, for which the guest's allocator is called.
    pub(crate) fn gives_data(&self) -> bool {
        self.params
            .iter()
            .any(|param| param.ends_with("_pointer_out"))
    }
}

/// A parameter or result type of WebAssembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// 32-bit number or address.
    I32,
    /// 64-bit number.
    I64,
    /// 32-bit float: in no function of this host.
    F32,
    /// 64-bit float: in no function of this host.
    F64,
    /// Vector: in no function of this host.
    V128,
    /// Reference: in no function of this host.
    Ref,
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::Ref => "ref",
        })
    }
}

/// Parameters and results of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Types of the parameters.
    pub params: &'static [Type],
    /// Types of the results.
    pub results: &'static [Type],
}

impl Signature {
    pub(crate) fn is(&self, params: &[Type], results: &[Type]) -> bool {
        self.params == params && self.results == results
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&display(self.params, self.results))
    }
}

/// A signature as text: `(i32, i64) -> i32`.
pub(crate) fn display(params: &[Type], results: &[Type]) -> String {
    let list = |types: &[Type]| {
        types
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match results {
        [] => format!("({})", list(params)),
        [one] => format!("({}) -> {one}", list(params)),
        many => format!("({}) -> ({})", list(params), list(many)),
    }
}

/// All functions of the host.
pub fn all() -> impl Iterator<Item = &'static Hostcall> {
    ENV_CALLS.iter().chain(WASI_CALLS)
}

/// Whether the host has functions in a module of that name.
pub(crate) fn is_module(module: &str) -> bool {
    module == ENV || WASI.contains(&module)
}

/// The function behind an import.
pub(crate) fn find(module: &str, name: &str) -> Option<&'static Hostcall> {
    let calls = match module {
        ENV => ENV_CALLS,
        module if WASI.contains(&module) => WASI_CALLS,
        _ => return None,
    };
    calls.iter().find(|call| call.name == name)
}

/// The WebAssembly type of a Rust parameter.
trait Typed {
    const TYPE: Type;
}
impl Typed for u32 {
    const TYPE: Type = Type::I32;
}
impl Typed for i32 {
    const TYPE: Type = Type::I32;
}
impl Typed for u64 {
    const TYPE: Type = Type::I64;
}
impl Typed for i64 {
    const TYPE: Type = Type::I64;
}

/// Makes rows: `name(parameter: type, ...) = function, how`, where `how` turns the function's answer into numbers.
macro_rules! calls {
    ($module:expr; $( $how:ident $name:ident ( $( $param:ident : $ty:ty ),* ) = $function:path ; )*) => {
        &[ $( Hostcall {
            module: $module,
            name: stringify!($name),
            signature: Signature { params: &[ $( <$ty as Typed>::TYPE ),* ], results: calls!(@results $how) },
            params: &[ $( stringify!($param) ),* ],
            link: |linker, module| {
                linker.func_wrap(module, stringify!($name), |caller: Caller<'_, State>, $( $param: $ty ),*| {
                    calls!(@run $how, caller, stringify!($name), |call: &mut Call<'_>| $function(call, $( $param ),*))
                })?;
                Ok(())
            },
        } ),* ]
    };
    // `status`: answers a status, not allowed inside the allocator. `always`: the same, but allowed there.
    // `errno`: WASI's way, always allowed. `plain`: no result, always allowed.
    (@results plain) => { &[] };
    (@results $how:ident) => { &[Type::I32] };
    (@run status, $caller:ident, $name:expr, $call:expr) => { answer($caller, Some($name), $call) };
    (@run always, $caller:ident, $name:expr, $call:expr) => { answer($caller, None, $call) };
    (@run errno, $caller:ident, $name:expr, $call:expr) => { errno($caller, $call) };
    (@run plain, $caller:ident, $name:expr, $call:expr) => { errno($caller, $call).map(|_| ()) };
}

/// The functions of proxy-wasm and what hosts and compilers added to `env`.
const ENV_CALLS: &[Hostcall] = calls! { ENV;
    // Logs and the clock.
    always proxy_log(level: u32, message: u32, message_size: u32) = log::proxy_log;
    status proxy_get_log_level(level_out: u32) = log::proxy_get_log_level;
    status proxy_get_current_time_nanoseconds(time_out: u32) = timer::proxy_get_current_time_nanoseconds;
    status proxy_set_tick_period_milliseconds(period: u32) = timer::proxy_set_tick_period_milliseconds;
    // Contexts.
    status proxy_set_effective_context(context: u32) = timer::proxy_set_effective_context;
    status proxy_done() = timer::proxy_done;
    // Buffers.
    status proxy_get_configuration(data_pointer_out: u32, data_size_out: u32) = body::proxy_get_configuration;
    status proxy_get_buffer_bytes(buffer: u32, start: u32, max_size: u32, data_pointer_out: u32, data_size_out: u32) = body::proxy_get_buffer_bytes;
    status proxy_set_buffer_bytes(buffer: u32, start: u32, size: u32, data: u32, data_size: u32) = body::proxy_set_buffer_bytes;
    status proxy_get_buffer_status(buffer: u32, size_out: u32, flags_out: u32) = body::proxy_get_buffer_status;
    // Header maps.
    status proxy_get_header_map_pairs(map: u32, pairs_pointer_out: u32, pairs_size_out: u32) = headers::proxy_get_header_map_pairs;
    status proxy_set_header_map_pairs(map: u32, pairs: u32, pairs_size: u32) = headers::proxy_set_header_map_pairs;
    status proxy_get_header_map_value(map: u32, key: u32, key_size: u32, value_pointer_out: u32, value_size_out: u32) = headers::proxy_get_header_map_value;
    status proxy_add_header_map_value(map: u32, key: u32, key_size: u32, value: u32, value_size: u32) = headers::proxy_add_header_map_value;
    status proxy_replace_header_map_value(map: u32, key: u32, key_size: u32, value: u32, value_size: u32) = headers::proxy_replace_header_map_value;
    status proxy_remove_header_map_value(map: u32, key: u32, key_size: u32) = headers::proxy_remove_header_map_value;
    status proxy_get_header_map_size(map: u32, size_out: u32) = headers::proxy_get_header_map_size;
    // Properties.
    status proxy_get_property(path: u32, path_size: u32, value_pointer_out: u32, value_size_out: u32) = property::proxy_get_property;
    status proxy_set_property(path: u32, path_size: u32, value: u32, value_size: u32) = property::proxy_set_property;
    // Going on, ending, replying.
    status proxy_continue_request() = reply::proxy_continue_request;
    status proxy_continue_response() = reply::proxy_continue_response;
    status proxy_clear_route_cache() = reply::proxy_clear_route_cache;
    status proxy_continue_stream(stream: u32) = reply::proxy_continue_stream;
    status proxy_close_stream(stream: u32) = reply::proxy_close_stream;
    status proxy_send_local_response(code: u32, details: u32, details_size: u32, body: u32, body_size: u32, headers: u32, headers_size: u32, grpc_status: i32) = reply::proxy_send_local_response;
    // Callouts.
    status proxy_http_call(upstream: u32, upstream_size: u32, headers: u32, headers_size: u32, body: u32, body_size: u32, trailers: u32, trailers_size: u32, timeout: i32, token_out: u32) = callout::proxy_http_call;
    status proxy_get_status(code_out: u32, message_pointer_out: u32, message_size_out: u32) = callout::proxy_get_status;
    status proxy_grpc_call(upstream: u32, upstream_size: u32, service: u32, service_size: u32, method: u32, method_size: u32, metadata: u32, metadata_size: u32, message: u32, message_size: u32, timeout: i32, token_out: u32) = grpc::proxy_grpc_call;
    status proxy_grpc_stream(upstream: u32, upstream_size: u32, service: u32, service_size: u32, method: u32, method_size: u32, metadata: u32, metadata_size: u32, token_out: u32) = grpc::proxy_grpc_stream;
    status proxy_grpc_send(token: u32, message: u32, message_size: u32, end_of_stream: u32) = grpc::proxy_grpc_send;
    status proxy_grpc_cancel(token: u32) = grpc::proxy_grpc_cancel;
    status proxy_grpc_close(token: u32) = grpc::proxy_grpc_close;
    // Shared between VMs.
    status proxy_get_shared_data(key: u32, key_size: u32, value_pointer_out: u32, value_size_out: u32, cas_out: u32) = shared_data::proxy_get_shared_data;
    status proxy_set_shared_data(key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) = shared_data::proxy_set_shared_data;
    status proxy_register_shared_queue(name: u32, name_size: u32, queue_out: u32) = queue::proxy_register_shared_queue;
    status proxy_resolve_shared_queue(vm_id: u32, vm_id_size: u32, name: u32, name_size: u32, queue_out: u32) = queue::proxy_resolve_shared_queue;
    status proxy_enqueue_shared_queue(queue: u32, value: u32, value_size: u32) = queue::proxy_enqueue_shared_queue;
    status proxy_dequeue_shared_queue(queue: u32, value_pointer_out: u32, value_size_out: u32) = queue::proxy_dequeue_shared_queue;
    // Metrics.
    status proxy_define_metric(kind: u32, name: u32, name_size: u32, metric_out: u32) = metric::proxy_define_metric;
    status proxy_increment_metric(metric: u32, offset: i64) = metric::proxy_increment_metric;
    status proxy_record_metric(metric: u32, value: u64) = metric::proxy_record_metric;
    status proxy_get_metric(metric: u32, value_out: u32) = metric::proxy_get_metric;
    // Beyond the specification.
    status proxy_call_foreign_function(name: u32, name_size: u32, argument: u32, argument_size: u32, result_pointer_out: u32, result_size_out: u32) = foreign::proxy_call_foreign_function;
    status envoy_resolve_dns(name: u32, name_size: u32, token_out: u32) = foreign::envoy_resolve_dns;
    status proxy_redis_init(service: u32, service_size: u32, user: u32, user_size: u32, password: u32, password_size: u32, timeout: u32) = higress::proxy_redis_init;
    status proxy_redis_call(service: u32, service_size: u32, query: u32, query_size: u32, token_out: u32) = higress::proxy_redis_call;
    status proxy_get_upstream_hosts(hosts_pointer_out: u32, hosts_size_out: u32) = higress::proxy_get_upstream_hosts;
    status proxy_set_upstream_override_host(address: u32, address_size: u32) = higress::proxy_set_upstream_override_host;
    status proxy_inject_encoded_data_to_filter_chain(data: u32, data_size: u32, end_of_stream: u32) = higress::proxy_inject_encoded_data_to_filter_chain;
    errno pthread_equal(left: u32, right: u32) = emscripten::pthread_equal;
    plain emscripten_notify_memory_growth(memory: u32) = emscripten::emscripten_notify_memory_growth;
};

/// WASI preview 1 (and `wasi_unstable`, whose signatures are the same): no files, no sockets, no processes.
const WASI_CALLS: &[Hostcall] = calls! { "wasi_snapshot_preview1";
    errno args_get(arguments: u32, buffer: u32) = wasi::args_get;
    errno args_sizes_get(count_out: u32, size_out: u32) = wasi::args_sizes_get;
    errno environ_get(variables: u32, buffer: u32) = wasi::environ_get;
    errno environ_sizes_get(count_out: u32, size_out: u32) = wasi::environ_sizes_get;
    errno clock_res_get(clock: u32, resolution_out: u32) = wasi::clock_res_get;
    errno clock_time_get(clock: u32, precision: u64, time_out: u32) = wasi::clock_time_get;
    errno fd_advise(fd: u32, offset: u64, size: u64, advice: u32) = wasi::fd_advise;
    errno fd_allocate(fd: u32, offset: u64, size: u64) = wasi::fd_allocate;
    errno fd_close(fd: u32) = wasi::fd_close;
    errno fd_datasync(fd: u32) = wasi::fd_datasync;
    errno fd_fdstat_get(fd: u32, status_out: u32) = wasi::fd_fdstat_get;
    errno fd_fdstat_set_flags(fd: u32, flags: u32) = wasi::fd_fdstat_set_flags;
    errno fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64) = wasi::fd_fdstat_set_rights;
    errno fd_filestat_get(fd: u32, status_out: u32) = wasi::fd_filestat_get;
    errno fd_filestat_set_size(fd: u32, size: u64) = wasi::fd_filestat_set_size;
    errno fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32) = wasi::fd_filestat_set_times;
    errno fd_pread(fd: u32, vectors: u32, count: u32, offset: u64, read_out: u32) = wasi::fd_pread;
    errno fd_prestat_dir_name(fd: u32, path: u32, path_size: u32) = wasi::fd_prestat_dir_name;
    errno fd_prestat_get(fd: u32, status_out: u32) = wasi::fd_prestat_get;
    errno fd_pwrite(fd: u32, vectors: u32, count: u32, offset: u64, written_out: u32) = wasi::fd_pwrite;
    errno fd_read(fd: u32, vectors: u32, count: u32, read_out: u32) = wasi::fd_read;
    errno fd_readdir(fd: u32, buffer: u32, buffer_size: u32, cookie: u64, used_out: u32) = wasi::fd_readdir;
    errno fd_renumber(fd: u32, to: u32) = wasi::fd_renumber;
    errno fd_seek(fd: u32, offset: u64, whence: u32, position_out: u32) = wasi::fd_seek;
    errno fd_sync(fd: u32) = wasi::fd_sync;
    errno fd_tell(fd: u32, position_out: u32) = wasi::fd_tell;
    errno fd_write(fd: u32, vectors: u32, count: u32, written_out: u32) = wasi::fd_write;
    errno path_create_directory(fd: u32, path: u32, path_size: u32) = wasi::path_create_directory;
    errno path_filestat_get(fd: u32, flags: u32, path: u32, path_size: u32, status_out: u32) = wasi::path_filestat_get;
    errno path_filestat_set_times(fd: u32, flags: u32, path: u32, path_size: u32, accessed: u64, modified: u64, what: u32) = wasi::path_filestat_set_times;
    errno path_link(fd: u32, flags: u32, path: u32, path_size: u32, to: u32, to_path: u32, to_path_size: u32) = wasi::path_link;
    errno path_open(fd: u32, flags: u32, path: u32, path_size: u32, open: u32, base: u64, inheriting: u64, fd_flags: u32, fd_out: u32) = wasi::path_open;
    errno path_readlink(fd: u32, path: u32, path_size: u32, buffer: u32, buffer_size: u32, used_out: u32) = wasi::path_readlink;
    errno path_remove_directory(fd: u32, path: u32, path_size: u32) = wasi::path_remove_directory;
    errno path_rename(fd: u32, path: u32, path_size: u32, to: u32, to_path: u32, to_path_size: u32) = wasi::path_rename;
    errno path_symlink(target: u32, target_size: u32, fd: u32, path: u32, path_size: u32) = wasi::path_symlink;
    errno path_unlink_file(fd: u32, path: u32, path_size: u32) = wasi::path_unlink_file;
    errno poll_oneoff(subscriptions: u32, events: u32, count: u32, count_out: u32) = wasi::poll_oneoff;
    plain proc_exit(code: u32) = wasi::proc_exit;
    errno proc_raise(signal: u32) = wasi::proc_raise;
    errno random_get(buffer: u32, buffer_size: u32) = wasi::random_get;
    errno sched_yield() = wasi::sched_yield;
    errno sock_accept(fd: u32, flags: u32, fd_out: u32) = wasi::sock_accept;
    errno sock_recv(fd: u32, vectors: u32, count: u32, flags: u32, size_out: u32, flags_out: u32) = wasi::sock_recv;
    errno sock_send(fd: u32, vectors: u32, count: u32, flags: u32, size_out: u32) = wasi::sock_send;
    errno sock_shutdown(fd: u32, how: u32) = wasi::sock_shutdown;
};
