//! Every function of the host in every status it can answer, and the reference that says which these are.
//!
//! [`ROWS`] drives each pair of function and status from a guest. The set of pairs driven is compared with the table in
//! `docs/guide/abi.md`, so that neither grows alone; and `pointers.rs` holds what it provokes against the same table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis_abi::hostcalls::{self, Hostcall, Type};
use portcullis_abi::wire::pairs;
use portcullis_abi::{ContextId, Limits, Plugin};

use crate::fakes::{Bench, plugin};
use crate::guest::Guest;

/// Where a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the headers callback of an exchange.
    Exchange,
    /// In a root's tick.
    Root,
    /// Where no callout may be in flight.
    WithoutCallouts,
    /// With an allocator that has nothing to give.
    WithoutMemory,
    /// With a read of it not granted.
    Blind,
}

use At::{Blind, Exchange, Root, WithoutCallouts, WithoutMemory};

/// Function, place, calls made before (separated by `;`), arguments, status. An argument is a number or `@n`, the number
/// that stands at address n. Out of the memory is `bad`.
type Row = (&'static str, At, &'static str, &'static str, u32);

/// Addresses: 100 `:path`, 110 `x-one`, 120 `value`, 130 `request.path`, 150 `nothing`, 160 `auth`, 170 `queue`,
/// 180 bytes that are not UTF-8, 200 `histogram`, 220 `a` and `b`, 300 an HTTP call's headers, of 400 bytes at most,
/// 720 `compress`, 740 `uncompress`, 760 `expr_create`, 780 `portcullis.test`.
/// 16, 24 and 32 are for answers.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("proxy_log", Exchange, "", "2 100 5", 0),
    ("proxy_log", Exchange, "", "9 100 5", 2),
    ("proxy_log", Exchange, "", "2 bad 5", 6),
    ("proxy_get_log_level", Exchange, "", "16", 0),
    ("proxy_get_log_level", Exchange, "", "bad", 6),
    ("proxy_get_current_time_nanoseconds", Exchange, "", "16", 0),
    ("proxy_get_current_time_nanoseconds", Exchange, "", "bad", 6),
    ("proxy_set_tick_period_milliseconds", Root, "", "5", 0),
    ("proxy_set_effective_context", Exchange, "", "1", 0),
    ("proxy_set_effective_context", Exchange, "", "77", 2),
    ("proxy_done", Root, "", "", 0),

    ("proxy_get_configuration", Exchange, "", "16 24", 0),
    ("proxy_get_configuration", Exchange, "", "bad 24", 6),
    ("proxy_get_buffer_bytes", Exchange, "", "0 0 9 16 24", 0),
    ("proxy_get_buffer_bytes", Exchange, "", "1 0 9 16 24", 1),
    ("proxy_get_buffer_bytes", Blind, "", "0 0 9 16 24", 1),
    ("proxy_get_buffer_bytes", Exchange, "", "9 0 9 16 24", 2),
    ("proxy_get_buffer_bytes", Exchange, "", "0 0 9 bad 24", 6),
    ("proxy_get_buffer_bytes", WithoutMemory, "", "0 0 9 16 24", 6),
    ("proxy_set_buffer_bytes", Exchange, "", "0 0 9 120 5", 0),
    ("proxy_set_buffer_bytes", Exchange, "", "9 0 9 120 5", 2),
    ("proxy_set_buffer_bytes", Exchange, "", "0 0 9 bad 5", 6),
    ("proxy_get_buffer_status", Exchange, "", "0 16 24", 0),
    ("proxy_get_buffer_status", Exchange, "", "1 16 24", 1),
    ("proxy_get_buffer_status", Exchange, "", "9 16 24", 2),
    ("proxy_get_buffer_status", Exchange, "", "0 16 bad", 6),

    ("proxy_get_header_map_pairs", Exchange, "", "0 16 24", 0),
    ("proxy_get_header_map_pairs", Exchange, "", "8 16 24", 2),
    ("proxy_get_header_map_pairs", Exchange, "", "0 16 bad", 6),
    ("proxy_set_header_map_pairs", Exchange, "", "0 300 8", 0),
    ("proxy_set_header_map_pairs", Exchange, "", "8 300 8", 2),
    ("proxy_set_header_map_pairs", Exchange, "", "0 bad 8", 6),
    ("proxy_get_header_map_value", Exchange, "", "0 100 5 16 24", 0),
    ("proxy_get_header_map_value", Exchange, "", "0 150 7 16 24", 1),
    ("proxy_get_header_map_value", Exchange, "", "8 100 5 16 24", 2),
    ("proxy_get_header_map_value", Exchange, "", "0 100 5 bad 24", 6),
    ("proxy_add_header_map_value", Exchange, "", "0 110 5 120 5", 0),
    ("proxy_add_header_map_value", Exchange, "", "8 110 5 120 5", 2),
    ("proxy_add_header_map_value", Exchange, "", "0 110 5 bad 5", 6),
    ("proxy_replace_header_map_value", Exchange, "", "0 110 5 120 5", 0),
    ("proxy_replace_header_map_value", Exchange, "", "8 110 5 120 5", 2),
    ("proxy_replace_header_map_value", Exchange, "", "0 110 5 bad 5", 6),
    ("proxy_remove_header_map_value", Exchange, "", "0 110 5", 0),
    ("proxy_remove_header_map_value", Exchange, "", "8 110 5", 2),
    ("proxy_remove_header_map_value", Exchange, "", "0 bad 5", 6),
    ("proxy_get_header_map_size", Exchange, "", "0 16", 0),
    ("proxy_get_header_map_size", Exchange, "", "8 16", 2),
    ("proxy_get_header_map_size", Exchange, "", "0 bad", 6),

    ("proxy_get_property", Exchange, "", "130 12 16 24", 0),
    ("proxy_get_property", Exchange, "", "150 7 16 24", 1),
    ("proxy_get_property", Exchange, "", "130 12 bad 24", 6),
    ("proxy_set_property", Exchange, "", "150 7 120 5", 0),
    ("proxy_set_property", Exchange, "", "150 7 bad 5", 6),

    ("proxy_continue_request", Exchange, "", "", 0),
    ("proxy_continue_response", Exchange, "", "", 0),
    ("proxy_clear_route_cache", Exchange, "", "", 0),
    ("proxy_continue_stream", Exchange, "", "0", 0),
    ("proxy_continue_stream", Exchange, "", "4", 2),
    ("proxy_close_stream", Exchange, "", "0", 0),
    ("proxy_close_stream", Exchange, "", "4", 2),
    ("proxy_send_local_response", Exchange, "", "403 120 5 120 5 0 0 0", 0),
    ("proxy_send_local_response", Exchange, "", "403 bad 5 120 5 0 0 0", 6),

    ("proxy_http_call", Root, "", "160 4 300 400 0 0 0 0 1000 16", 0),
    ("proxy_http_call", Root, "", "150 7 300 400 0 0 0 0 1000 16", 2),
    ("proxy_http_call", Root, "", "160 4 300 400 0 0 0 0 1000 bad", 6),
    ("proxy_http_call", WithoutCallouts, "", "160 4 300 400 0 0 0 0 1000 16", 10),
    ("proxy_get_status", Root, "", "16 24 32", 0),
    ("proxy_get_status", Root, "", "16 24 bad", 6),
    ("proxy_grpc_call", Root, "", "160 4 120 5 120 5 0 0 0 0 1000 16", 0),
    ("proxy_grpc_call", Root, "", "180 4 120 5 120 5 0 0 0 0 1000 16", 4),
    ("proxy_grpc_call", Root, "", "160 4 120 5 120 5 0 0 0 0 1000 bad", 6),
    ("proxy_grpc_call", WithoutCallouts, "", "160 4 120 5 120 5 0 0 0 0 1000 16", 10),
    ("proxy_grpc_stream", Root, "", "160 4 120 5 120 5 0 0 16", 0),
    ("proxy_grpc_stream", Root, "", "180 4 120 5 120 5 0 0 16", 4),
    ("proxy_grpc_stream", Root, "", "160 4 120 5 120 5 0 0 bad", 6),
    ("proxy_grpc_stream", WithoutCallouts, "", "160 4 120 5 120 5 0 0 16", 10),
    ("proxy_grpc_send", Root, "proxy_grpc_stream 160 4 120 5 120 5 0 0 16", "@16 120 5 0", 0),
    ("proxy_grpc_send", Root, "", "77 120 5 0", 1),
    ("proxy_grpc_send", Root, "proxy_grpc_stream 160 4 120 5 120 5 0 0 16; proxy_grpc_close @16", "@16 120 5 0", 2),
    ("proxy_grpc_send", Root, "", "77 bad 5 0", 6),
    ("proxy_grpc_cancel", Root, "proxy_grpc_stream 160 4 120 5 120 5 0 0 16", "@16", 0),
    ("proxy_grpc_cancel", Root, "", "77", 1),
    ("proxy_grpc_close", Root, "proxy_grpc_stream 160 4 120 5 120 5 0 0 16", "@16", 0),
    ("proxy_grpc_close", Root, "", "77", 1),

    ("proxy_get_shared_data", Exchange, "proxy_set_shared_data 150 7 120 5 0", "150 7 16 24 32", 0),
    ("proxy_get_shared_data", Exchange, "", "110 5 16 24 32", 1),
    ("proxy_get_shared_data", Exchange, "", "110 5 16 24 bad", 6),
    ("proxy_set_shared_data", Exchange, "", "150 7 120 5 0", 0),
    ("proxy_set_shared_data", Exchange, "", "150 7 bad 5 0", 6),
    ("proxy_set_shared_data", Exchange, "proxy_set_shared_data 150 7 120 5 0", "150 7 120 5 12345", 8),
    ("proxy_register_shared_queue", Exchange, "", "170 5 16", 0),
    ("proxy_register_shared_queue", Exchange, "", "170 5 bad", 6),
    ("proxy_register_shared_queue", Exchange, "", "0 5000 16", 10),
    ("proxy_resolve_shared_queue", Exchange, "proxy_register_shared_queue 170 5 16", "0 0 170 5 16", 0),
    ("proxy_resolve_shared_queue", Exchange, "", "0 0 150 7 16", 1),
    ("proxy_resolve_shared_queue", Exchange, "", "0 0 170 5 bad", 6),
    ("proxy_enqueue_shared_queue", Exchange, "proxy_register_shared_queue 170 5 16", "@16 120 5", 0),
    ("proxy_enqueue_shared_queue", Exchange, "", "77 120 5", 1),
    ("proxy_enqueue_shared_queue", Exchange, "", "77 bad 5", 6),
    ("proxy_dequeue_shared_queue", Exchange,
     "proxy_register_shared_queue 170 5 16; proxy_enqueue_shared_queue @16 120 5", "@16 24 32", 0),
    ("proxy_dequeue_shared_queue", Exchange, "", "77 24 32", 1),
    ("proxy_dequeue_shared_queue", Exchange, "", "77 24 bad", 6),
    ("proxy_dequeue_shared_queue", Exchange, "proxy_register_shared_queue 100 5 16", "@16 24 32", 7),

    ("proxy_define_metric", Exchange, "", "0 120 5 16", 0),
    ("proxy_define_metric", Exchange, "", "3 120 5 16", 2),
    ("proxy_define_metric", Exchange, "", "0 120 5 bad", 6),
    ("proxy_increment_metric", Exchange, "proxy_define_metric 0 120 5 16", "@16 1", 0),
    ("proxy_increment_metric", Exchange, "", "77 1", 1),
    ("proxy_increment_metric", Exchange, "proxy_define_metric 0 120 5 16", "@16 0", 2),
    ("proxy_record_metric", Exchange, "proxy_define_metric 0 120 5 16", "@16 1", 0),
    ("proxy_record_metric", Exchange, "", "77 1", 1),
    ("proxy_get_metric", Exchange, "proxy_define_metric 0 120 5 16", "@16 24", 0),
    ("proxy_get_metric", Exchange, "", "77 24", 1),
    ("proxy_get_metric", Exchange, "proxy_define_metric 2 200 9 16", "@16 24", 2),
    ("proxy_get_metric", Exchange, "", "77 bad", 6),

    ("proxy_call_foreign_function", Exchange, "", "720 8 120 5 16 24", 0),
    ("proxy_call_foreign_function", Exchange, "", "150 7 0 0 16 24", 1),
    ("proxy_call_foreign_function", Exchange, "", "760 11 180 4 16 24", 2),
    ("proxy_call_foreign_function", Exchange, "", "740 10 120 5 16 24", 3),
    ("proxy_call_foreign_function", WithoutCallouts, "", "780 15 0 0 16 24", 10),
    ("proxy_call_foreign_function", Exchange, "", "bad 7 0 0 16 24", 6),
    ("envoy_resolve_dns", Root, "", "120 5 16", 2),
    ("envoy_resolve_dns", Root, "", "bad 5 16", 6),
    ("proxy_redis_init", Root, "", "120 5 120 5 120 5 0", 2),
    ("proxy_redis_init", Root, "", "bad 5 120 5 120 5 0", 6),
    ("proxy_redis_call", Root, "", "120 5 120 5 16", 2),
    ("proxy_redis_call", Root, "", "120 5 bad 5 16", 6),
    ("proxy_get_upstream_hosts", Exchange, "", "16 24", 0),
    ("proxy_get_upstream_hosts", Root, "", "16 24", 1),
    ("proxy_get_upstream_hosts", Exchange, "", "16 bad", 6),
    ("proxy_set_upstream_override_host", Exchange, "", "120 5", 0),
    ("proxy_set_upstream_override_host", Exchange, "", "bad 5", 6),
    ("proxy_inject_encoded_data_to_filter_chain", Exchange, "", "120 5 0", 0),
    ("proxy_inject_encoded_data_to_filter_chain", Exchange, "", "bad 5 0", 6),
    ("pthread_equal", Root, "", "1 2", 0),
    ("pthread_equal", Root, "", "1 1", 1),

    ("args_get", Root, "", "16 24", 0),
    ("args_sizes_get", Root, "", "16 24", 0),
    ("args_sizes_get", Root, "", "16 bad", 21),
    ("environ_get", Root, "", "32 500", 0),
    ("environ_get", Root, "", "bad 500", 21),
    ("environ_sizes_get", Root, "", "16 24", 0),
    ("environ_sizes_get", Root, "", "bad 24", 21),
    ("clock_res_get", Root, "", "0 16", 0),
    ("clock_res_get", Root, "", "0 bad", 21),
    ("clock_res_get", Root, "", "2 16", 58),
    ("clock_time_get", Root, "", "1 0 16", 0),
    ("clock_time_get", Root, "", "1 0 bad", 21),
    ("clock_time_get", Root, "", "3 0 16", 58),
    ("fd_advise", Root, "", "1 0 0 0", 0),
    ("fd_allocate", Root, "", "1 0 0", 0),
    ("fd_allocate", Root, "", "3 0 0", 8),
    ("fd_close", Root, "", "1", 0),
    ("fd_datasync", Root, "", "1", 0),
    ("fd_datasync", Root, "", "3", 8),
    ("fd_fdstat_get", Root, "", "1 500", 0),
    ("fd_fdstat_get", Root, "", "3 500", 8),
    ("fd_fdstat_get", Root, "", "1 bad", 21),
    ("fd_fdstat_set_flags", Root, "", "1 0", 52),
    ("fd_fdstat_set_rights", Root, "", "1 0 0", 0),
    ("fd_fdstat_set_rights", Root, "", "3 0 0", 8),
    ("fd_filestat_get", Root, "", "1 500", 8),
    ("fd_filestat_set_size", Root, "", "1 0", 0),
    ("fd_filestat_set_size", Root, "", "3 0", 8),
    ("fd_filestat_set_times", Root, "", "1 0 0 0", 0),
    ("fd_filestat_set_times", Root, "", "3 0 0 0", 8),
    ("fd_pread", Root, "", "1 0 0 0 16", 52),
    ("fd_prestat_dir_name", Root, "", "3 500 9", 52),
    ("fd_prestat_get", Root, "", "3 500", 8),
    ("fd_pwrite", Root, "", "1 500 0 0 16", 0),
    ("fd_pwrite", Root, "", "3 500 0 0 16", 8),
    ("fd_pwrite", Root, "", "1 bad 1 0 16", 21),
    ("fd_read", Root, "", "1 0 0 16", 52),
    ("fd_readdir", Root, "", "3 500 9 0 16", 8),
    ("fd_readdir", Root, "", "1 500 9 0 bad", 21),
    ("fd_readdir", Root, "", "1 500 9 0 16", 54),
    ("fd_renumber", Root, "", "3 1", 8),
    ("fd_renumber", Root, "", "1 2", 58),
    ("fd_seek", Root, "", "1 0 0 16", 0),
    ("fd_sync", Root, "", "1", 0),
    ("fd_sync", Root, "", "3", 8),
    ("fd_tell", Root, "", "1 16", 0),
    ("fd_tell", Root, "", "3 16", 8),
    ("fd_tell", Root, "", "1 bad", 21),
    ("fd_write", Root, "", "1 500 0 16", 0),
    ("fd_write", Root, "", "3 500 0 16", 8),
    ("fd_write", Root, "", "1 bad 1 16", 21),
    ("path_create_directory", Root, "", "3 0 0", 58),
    ("path_filestat_get", Root, "", "3 0 0 0 16", 58),
    ("path_filestat_set_times", Root, "", "3 0 0 0 0 0 0", 58),
    ("path_link", Root, "", "3 0 0 0 3 0 0", 58),
    ("path_open", Root, "", "3 0 0 0 0 0 0 0 16", 44),
    ("path_readlink", Root, "", "3 0 0 500 9 16", 58),
    ("path_remove_directory", Root, "", "3 0 0", 58),
    ("path_rename", Root, "", "3 0 0 3 0 0", 58),
    ("path_symlink", Root, "", "0 0 3 0 0", 58),
    ("path_unlink_file", Root, "", "3 0 0", 58),
    ("poll_oneoff", Root, "", "500 600 0 16", 0),
    ("poll_oneoff", Root, "", "500 600 0 bad", 21),
    ("proc_raise", Root, "", "9", 58),
    ("random_get", Root, "", "500 8", 0),
    ("random_get", Root, "", "bad 8", 21),
    ("random_get", Root, "", "500 70000", 28),
    ("sched_yield", Root, "", "", 0),
    ("sock_accept", Root, "", "3 0 16", 58),
    ("sock_recv", Root, "", "3 500 0 0 16 24", 58),
    ("sock_send", Root, "", "3 500 0 0 16", 58),
    ("sock_shutdown", Root, "", "3 0", 58),
];

/// Without an answer: the first never returns, the second has nothing to say.
const SILENT: [&str; 2] = ["proc_exit", "emscripten_notify_memory_growth"];

fn function(name: &str) -> &'static Hostcall {
    hostcalls::all()
        .find(|call| call.name == name)
        .unwrap_or_else(|| panic!("there is no function {name}"))
}

/// A call in WebAssembly text.
fn invoke(name: &str, arguments: &str) -> String {
    let call = function(name);
    let words: Vec<_> = arguments.split_whitespace().collect();
    assert_eq!(words.len(), call.params.len(), "{name} {arguments}");
    let arguments = words.iter().zip(call.signature.params);
    let arguments = arguments.map(|(word, kind)| match (word.strip_prefix('@'), kind) {
        (Some(address), _) => format!("(i32.load (i32.const {address})) "),
        (None, Type::I64) => format!("(i64.const {word}) "),
        (None, _) if *word == "bad" => "(i32.const 0xffff0000) ".to_owned(),
        (None, _) => format!("(i32.const {word}) "),
    });
    format!("(call ${name} {})", arguments.collect::<String>())
}

fn guest(row: &Row, headers: &[u8]) -> Guest {
    let (name, at, before, arguments, _) = row;
    let mut body = String::new();
    for call in before
        .split(';')
        .map(str::trim)
        .filter(|call| !call.is_empty())
    {
        let (name, arguments) = call.split_once(' ').unwrap_or((call, ""));
        body += &format!("(drop {})\n", invoke(name, arguments));
    }
    let arguments = arguments.replace("300 400", &format!("300 {}", headers.len()));
    body += &format!("(global.set $answer {})\n", invoke(name, &arguments));
    let tell = "(call $number (global.get $answer))";
    let mut guest = Guest::new()
        .extra("(global $answer (mut i32) (i32.const 0))")
        .data(100, b":path")
        .data(110, b"x-one")
        .data(120, b"value")
        .data(130, b"request\0path")
        .data(150, b"nothing")
        .data(160, b"auth")
        .data(170, b"queue")
        .data(180, b"\xff\xfe\xfd\xfc")
        .data(200, b"histogram")
        .data(300, headers)
        .data(720, b"compress")
        .data(740, b"uncompress")
        .data(760, b"expr_create")
        .data(780, b"portcullis.test");
    if *at == WithoutMemory {
        guest = guest.allocator(
            "(export \"proxy_on_memory_allocate\") (param i32) (result i32) (i32.const 0)",
        );
    }
    match at {
        Exchange | WithoutMemory | Blind => guest.on(
            "proxy_on_request_headers",
            &format!("{body} {tell} (i32.const 0)"),
        ),
        Root | WithoutCallouts => guest.on("proxy_on_tick", &format!("{body} {tell}")),
    }
}

fn granted(guest: &Guest, at: At) -> Plugin {
    let mut plugin = plugin(guest);
    plugin.grants.http_call = vec!["auth".to_owned()];
    plugin.grants.grpc_call = vec!["auth".to_owned()];
    let functions = ["compress", "uncompress", "expr_create", "portcullis.test"];
    plugin.grants.foreign = functions.map(str::to_owned).to_vec();
    if at == WithoutCallouts {
        plugin.limits = Limits {
            callouts: 0,
            ..plugin.limits
        };
    }
    if at == Blind {
        plugin.grants.request_body.read = false;
    }
    plugin
}

/// What the function answered, as the guest saw it.
fn answered(row: &Row, headers: &[u8]) -> String {
    let bench = Bench::with(granted(&guest(row, headers), row.1));
    bench.host.said();
    let vm = Arc::clone(&bench.vm);
    match row.1 {
        Exchange | WithoutMemory | Blind => {
            vm.on_request_headers(bench.context, 1, false)
                .unwrap_or_else(|fault| panic!("{row:?}: {fault}"));
        }
        Root | WithoutCallouts => vm
            .on_tick(ContextId(1))
            .unwrap_or_else(|fault| panic!("{row:?}: {fault}")),
    }
    bench.host.said().pop().unwrap_or_default()
}

#[test]
fn every_function_answers_each_of_its_statuses() {
    let pairs = [(":method", "GET"), (":path", "/"), (":authority", "a")];
    let headers = pairs::encode_pairs(&pairs);
    let wrong: Vec<_> = ROWS
        .iter()
        .filter_map(|row| {
            let answered = answered(row, &headers);
            (answered != row.4.to_string()).then(|| format!("{row:?} answered {answered}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The statuses of each function, as the reference's table has them.
pub(crate) fn documented() -> BTreeMap<String, BTreeSet<u32>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/abi.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## Statuses\n").unwrap();
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut table = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (names, statuses) = (cells.next().unwrap(), cells.next().unwrap());
        let statuses: BTreeSet<u32> = statuses
            .split(", ")
            .map(|status| status.parse().unwrap_or_else(|_| panic!("{line}")))
            .collect();
        for name in names
            .split(", ")
            .map(|name| name.trim_matches('`').to_owned())
        {
            assert!(
                table.insert(name, statuses.clone()).is_none(),
                "twice: {line}"
            );
        }
    }
    table
}

#[test]
fn the_reference_lists_what_is_driven_and_nothing_else() {
    let mut driven: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for (name, _, _, _, status) in ROWS {
        driven
            .entry((*name).to_owned())
            .or_default()
            .insert(*status);
    }
    assert_eq!(driven, documented());
    let functions: BTreeSet<_> = hostcalls::all().map(|call| call.name).collect();
    let known: BTreeSet<_> = driven.keys().map(String::as_str).chain(SILENT).collect();
    assert_eq!(known, functions);
}
