//! Bodies, properties, replies, logs, the clock, configurations: with good arguments, and out of their phase.

use portcullis_abi::{
    BufferType, HeaderError, LocalResponse, LogLevel, MapType, Refusal, StreamType, wire::pairs,
};

use crate::fakes::{Bench, SLOT, plugin};
use crate::guest::{Guest, OUT, call};
use crate::headers::{REQUEST, on_headers, run, unavailable};

#[test]
fn bodies_are_read_in_parts() {
    let get = |buffer, start, size| {
        let get = call(
            "proxy_get_buffer_bytes",
            &[buffer, start, size, OUT, OUT + 4],
        );
        format!("{get} (call $out (i32.const {OUT}))")
    };
    let body = get(0, 2, 3)
        + &get(0, 8, 0x7fff_ffff)
        + &get(0, 8, u32::MAX)
        + &get(0, 11, 1)
        + &get(1, 0, 1);
    let (_, said) = run(&body);
    assert_eq!(&said[..8], ["0", "234", "0", "89", "0", "89", "0", ""]);
    assert_eq!(said[8], "1", "no response body in this phase");
}

#[test]
fn buffer_status_is_its_size() {
    let body = format!(
        "{} (call $word (i32.const {OUT})) {}",
        call("proxy_get_buffer_status", &[0, OUT, OUT + 4]),
        call("proxy_get_buffer_status", &[4, OUT, OUT + 4]),
    );
    assert_eq!(run(&body).1, ["0", "10", "1"]);
}

#[test]
fn bodies_are_prepended_replaced_and_appended() {
    let set = |start, size| call("proxy_set_buffer_bytes", &[0, start, size, 120, 3]);
    let cases = [
        (set(0, 0), "new0123456789"),
        (set(0, 4), "new456789"),
        (set(0, u32::MAX), "new"),
        (set(10, 0), "0123456789new"),
        (set(u32::MAX, 5), "0123456789new"),
    ];
    for (body, expected) in cases {
        let (bench, said) = run(&body);
        assert_eq!(said, ["0"]);
        assert_eq!(
            bench.stream.lock().bodies[&BufferType::RequestBody],
            expected.as_bytes()
        );
        assert!(bench.host.refused().is_empty());
    }
}

#[test]
fn a_body_is_not_cut_in_the_middle_nor_written_out_of_phase() {
    let set = |buffer, start| call("proxy_set_buffer_bytes", &[buffer, start, 2, 120, 3]);
    let (bench, said) = run(&(set(0, 5) + &set(1, 0) + &set(6, 0)));
    assert_eq!(said, ["0", "0", "0"]);
    assert_eq!(
        bench.stream.lock().bodies[&BufferType::RequestBody],
        b"0123456789"
    );
    assert_eq!(
        bench.host.refused(),
        vec![unavailable("proxy_set_buffer_bytes"); 3]
    );
}

#[test]
fn properties_come_from_the_plugin_the_exchange_or_the_host() {
    let get = |at, size| {
        let get = call("proxy_get_property", &[at, size, OUT, OUT + 4]);
        format!("{get} (call $out (i32.const {OUT}))")
    };
    let body = get(200, 11) + &get(220, 15) + &get(240, 12) + &get(260, 12) + &get(280, 4);
    let guest = on_headers(&body)
        .data(200, b"plugin_name")
        .data(220, b"plugin_root_id\0")
        .data(240, b"plugin_vm_id")
        .data(260, b"request\0path")
        .data(280, b"node")
        .on("proxy_on_tick", &get(280, 4));
    let bench = Bench::of(&guest);
    let said = bench.headers();
    assert_eq!(
        &said[..9],
        ["0", "hello", "0", "my_root", "0", "my_vm", "0", "/a", "1"]
    );
    bench.vm.on_tick(portcullis_abi::ContextId(1)).unwrap();
    assert_eq!(bench.host.said(), ["0", "this node"]);
}

#[test]
fn properties_are_set_on_the_exchange_only() {
    let set = call("proxy_set_property", &[110, 5, 120, 3]);
    let bench = Bench::of(&on_headers(&set).on("proxy_on_tick", &set));
    assert_eq!(bench.headers(), ["0"]);
    assert_eq!(bench.stream.lock().properties[&b"x-two"[..]], b"new");
    bench.stream.lock().read_only = true;
    assert_eq!(bench.headers(), ["0"]);
    bench.vm.on_tick(portcullis_abi::ContextId(1)).unwrap();
    assert_eq!(bench.host.said(), ["0"]);
    assert_eq!(
        bench.host.refused(),
        vec![unavailable("proxy_set_property"); 2]
    );
}

#[test]
fn going_on_and_closing_are_recorded() {
    let body = call("proxy_continue_stream", &[0])
        + &call("proxy_continue_stream", &[1])
        + &call("proxy_continue_stream", &[2])
        + &call("proxy_continue_request", &[])
        + &call("proxy_continue_response", &[])
        + &call("proxy_close_stream", &[0])
        + &call("proxy_close_stream", &[3])
        + &call("proxy_clear_route_cache", &[])
        + &call("proxy_done", &[]);
    let (bench, said) = run(&body);
    assert!(said.iter().all(|status| status == "0"));
    let stream = bench.stream.lock();
    let (request, response) = (
        (SLOT, StreamType::HttpRequest),
        (SLOT, StreamType::HttpResponse),
    );
    assert_eq!(stream.continued, [request, response, request, response]);
    assert_eq!(stream.closed, [request, (SLOT, StreamType::Upstream)]);
    assert_eq!(stream.routes_cleared, 1);
    assert_eq!(bench.host.refused(), [unavailable("proxy_continue_stream")]);
}

#[test]
fn a_local_reply_is_recorded_as_it_was_given() {
    let headers = pairs::encode_pairs(&[("a", "b"), ("a", "c")]);
    let reply = |grpc| {
        let size = headers.len() as u32;
        call(
            "proxy_send_local_response",
            &[403, 200, 9, 120, 3, 220, size, grpc],
        )
    };
    let body = reply(7) + &reply(u32::MAX) + &reply(17);
    let bench = Bench::of(
        &on_headers(&body)
            .data(200, b"not\nhere!")
            .data(220, &headers),
    );
    assert_eq!(bench.headers(), ["0", "0", "0"]);
    let expected = LocalResponse {
        status: 403,
        details: "not_here!".to_owned(),
        body: b"new".to_vec(),
        headers: vec![
            (b"a".to_vec(), b"b".to_vec()),
            (b"a".to_vec(), b"c".to_vec()),
        ],
        grpc_status: Some(7),
    };
    let replies = &bench.stream.lock().replies;
    assert_eq!(replies[0], (SLOT, expected));
    assert_eq!(
        (replies[1].1.grpc_status, replies[2].1.grpc_status),
        (None, None)
    );
}

#[test]
fn a_bad_local_reply_is_none() {
    let split = pairs::encode_pairs(&[("set-cookie", "a\r\nb: c")]);
    let body = call(
        "proxy_send_local_response",
        &[403, 0, 0, 120, 3, 220, split.len() as u32, 0],
    ) + &call("proxy_send_local_response", &[403, 0, 0, 120, 3, 220, 5, 0]);
    let guest = on_headers(&body).data(220, &split);
    let bench = Bench::of(&guest.on(
        "proxy_on_tick",
        &call("proxy_send_local_response", &[403, 0, 0, 0, 0, 0, 0, 0]),
    ));
    assert_eq!(bench.headers(), ["0", "0"]);
    bench.vm.on_tick(portcullis_abi::ContextId(1)).unwrap();
    let stream = bench.stream.lock();
    assert!(stream.replies.is_empty());
    assert_eq!(stream.refused, [(SLOT, HeaderError::Invalid)]);
    let name = "proxy_send_local_response";
    assert_eq!(
        bench.host.refused(),
        [Refusal::InvalidHeader, unavailable(name), unavailable(name)]
    );
}

#[test]
fn lines_below_the_level_and_beyond_the_rate_are_dropped() {
    let log = |level| {
        format!("(drop (call $proxy_log (i32.const {level}) (i32.const 130) (i32.const 4)))")
    };
    let flood = format!(
        "(local $n i32) {} {}
         (loop $again {}
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 150))))",
        log(0),
        log(2),
        log(1),
    );
    let bench = Bench::of(&on_headers(&flood));
    *bench.host.level.lock() = LogLevel::Debug;
    let said = bench.headers();
    assert_eq!(said.len(), 100);
    assert_eq!(said[0], "a\\r\\nb", "the line at trace is below the level");
    assert_eq!(bench.host.refused(), [Refusal::LogRate { lines: 51 }]);
}

#[test]
fn the_level_and_the_clock_are_told() {
    let body = format!(
        "{} (call $word (i32.const {OUT})) {}
         (call $number (i32.wrap_i64 (i64.div_u (i64.load (i32.const 21)) (i64.const 1000000000))))",
        call("proxy_get_log_level", &[OUT]),
        call("proxy_get_current_time_nanoseconds", &[21]), // any alignment
    );
    let bench = Bench::of(&on_headers(&body));
    *bench.host.level.lock() = LogLevel::Info;
    let said = bench.headers();
    assert_eq!(&said[..3], ["0", "2", "0"]);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(now.abs_diff(said[3].parse().unwrap()) < 60);
}

#[test]
fn configurations_are_read_where_they_belong() {
    let get = |buffer| {
        let get = call("proxy_get_buffer_bytes", &[buffer, 0, 100, OUT, OUT + 4]);
        format!(
            "(i32.store (i32.const {OUT}) (i32.const 0)) (i32.store (i32.const {}) (i32.const 0))
            {get} (call $out (i32.const {OUT}))",
            OUT + 4
        )
    };
    let both = get(6) + &get(7);
    let guest = Guest::new()
        .on("proxy_on_vm_start", &format!("{both} (i32.const 1)"))
        .on("proxy_on_configure", &format!("{both} (i32.const 1)"))
        .on("proxy_on_request_headers", &format!("{both} (i32.const 0)"));
    let bench = Bench::of(&guest);
    let vm_start = ["0", "vm config", "1", ""];
    let mut expected: Vec<&str> = Vec::new();
    expected.extend(vm_start);
    expected.extend(["0", "vm config", "0", "base"]);
    expected.extend(vm_start);
    expected.extend(["0", "vm config", "0", "override"]);
    assert_eq!(bench.host.said(), expected);
    assert_eq!(bench.headers(), vm_start);
}

#[test]
fn abi_0_1_0_has_its_own_ways() {
    let configuration = format!(
        "{} (call $out (i32.const {OUT}))",
        call("proxy_get_configuration", &[OUT, OUT + 4])
    );
    let body = format!(
        "{} (call $number (local.get 1)) (call $word (i32.const {})) {configuration} (i32.const 1)",
        call(
            "proxy_get_header_map_value",
            &[REQUEST, 100, 5, OUT, OUT + 4]
        ),
        OUT + 4,
    );
    let guest = Guest::new()
        .marker("proxy_abi_version_0_1_0")
        .data(100, b"x-two")
        .on(
            "proxy_on_configure",
            &format!("{configuration} (i32.const 1)"),
        )
        .extra(&format!(
            "(func (export \"proxy_on_request_headers\") (param i32 i32) (result i32) {body})"
        ));
    let mut plugin = plugin(&guest);
    plugin.roots.truncate(1);
    let bench = Bench::with(plugin);
    assert_eq!(bench.host.said(), ["0", "base"]);
    let action = bench
        .vm
        .on_request_headers(bench.context, 42, true)
        .unwrap();
    assert_eq!(action, portcullis_abi::HeadersAction::StopIteration);
    assert_eq!(bench.host.said(), ["0", "42", "0", "0", "vm config"]);
}

#[test]
fn what_the_host_does_not_have_answers_what_sdks_survive() {
    let body = call(
        "proxy_grpc_call",
        &[100, 5, 100, 5, 100, 5, 100, 5, 100, 5, 0, OUT],
    ) + &call("proxy_grpc_stream", &[100, 5, 100, 5, 100, 5, 100, 5, OUT])
        + &call("proxy_grpc_send", &[1, 100, 5, 0])
        + &call("proxy_grpc_cancel", &[1])
        + &call("proxy_grpc_close", &[1])
        + &call("proxy_call_foreign_function", &[100, 5, 110, 5, 0, 0])
        + &call("envoy_resolve_dns", &[100, 5, OUT])
        + &call("proxy_redis_init", &[100, 5, 100, 5, 100, 5, 1])
        + &call("proxy_redis_call", &[100, 5, 100, 5, OUT])
        + &call("proxy_get_upstream_hosts", &[OUT, OUT + 4])
        + &call("proxy_set_upstream_override_host", &[100, 5])
        + &call("proxy_inject_encoded_data_to_filter_chain", &[100, 5, 1])
        + &call("pthread_equal", &[5, 5])
        + &call("pthread_equal", &[5, 6])
        + "(call $emscripten_notify_memory_growth (i32.const 0))";
    let (_, said) = run(&body);
    assert_eq!(
        said,
        [
            "10", "10", "1", "1", "1", "1", "2", "2", "2", "0", "0", "0", "1", "0"
        ]
    );
}

#[test]
fn what_the_host_keeps_of_a_guest_is_bounded() {
    const MIB: u32 = 1 << 20;
    let body = call("proxy_add_header_map_value", &[REQUEST, 110, 5, 1000, MIB])
        + &call("proxy_set_property", &[110, 5, 1000, MIB])
        + &call("proxy_define_metric", &[0, 1000, 1025, OUT])
        + &call("proxy_register_shared_queue", &[1000, 1025, OUT])
        + &call(
            "proxy_send_local_response",
            &[403, 1000, MIB, 0, 0, 0, 0, 0],
        )
        + &call(
            "proxy_add_header_map_value",
            &[REQUEST, 110, 5, 100_000, MIB - 5],
        );
    let guest = on_headers(&body).memory("(memory (export \"memory\") 40)").extra(
        "(func $fill (memory.fill (i32.const 1000) (i32.const 97) (i32.const 2000000))) (start $fill)",
    );
    let bench = Bench::of(&guest);
    assert_eq!(bench.headers(), ["0", "0", "0", "10", "0", "0"]);
    let stream = bench.stream.lock();
    assert_eq!(stream.replies[0].1.details.len(), 1024);
    assert_eq!(
        stream.maps[&MapType::RequestHeaders].len(),
        4,
        "the last one fits"
    );
    let calls = [
        "proxy_add_header_map_value",
        "proxy_set_property",
        "proxy_define_metric",
    ];
    assert_eq!(bench.host.refused(), calls.map(unavailable));
}
