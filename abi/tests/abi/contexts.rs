//! Contexts: which one a callback and a hostcall act on, the order of a stream's life, ticks, retirement.

use std::sync::Arc;
use std::time::Duration;

use portcullis_abi::{
    ContextId, DataAction, HeadersAction, HostAction, StreamType, TrailersAction,
};

use crate::fakes::{Bench, FakeHost, SLOT, plugin, shared, start, stream};
use crate::guest::{Guest, OUT, call};

fn ticks(actions: Vec<HostAction>) -> Vec<(u32, Option<u64>)> {
    let ticks = actions.into_iter().map(|action| match action {
        HostAction::SetTick { root, period } => {
            (root.0, period.map(|period| period.as_millis() as u64))
        }
        other => panic!("{other:?}"),
    });
    ticks.collect()
}

#[test]
fn every_callback_gets_its_arguments_and_its_answer_counts() {
    let say = |count: usize| {
        (0..count)
            .map(|n| format!("(call $number (local.get {n}))"))
            .collect::<String>()
    };
    let answer = |count, answer: u32| format!("{} (i32.const {answer})", say(count));
    let guest = Guest::new()
        .on("proxy_on_context_create", &say(2))
        .on("proxy_on_vm_start", &answer(2, 1))
        .on("proxy_on_configure", &answer(2, 1))
        .on("proxy_on_request_headers", &answer(3, 1))
        .on("proxy_on_request_body", &answer(3, 1))
        .on("proxy_on_request_trailers", &answer(2, 1))
        .on("proxy_on_response_headers", &answer(3, 3))
        .on("proxy_on_response_body", &answer(3, 3))
        .on("proxy_on_response_trailers", &answer(2, 0))
        .on("proxy_on_tick", &say(1))
        .on("proxy_on_queue_ready", &say(2))
        .on("proxy_on_done", &answer(1, 1))
        .on("proxy_on_log", &say(1))
        .on("proxy_on_delete", &say(1));
    let Bench {
        vm,
        host,
        stream,
        context,
        ..
    } = Bench::of(&guest);
    assert_eq!(
        host.said(),
        [
            "1", "0", "1", "9", "1", "4", "2", "0", "2", "9", "2", "8", "3", "1"
        ]
    );
    assert_eq!(
        vm.on_request_headers(context, 5, true).unwrap(),
        HeadersAction::StopIteration
    );
    assert_eq!(
        vm.on_request_body(context, 6, false).unwrap(),
        DataAction::StopIterationAndBuffer
    );
    assert_eq!(
        vm.on_request_trailers(context, 7).unwrap(),
        TrailersAction::StopIteration
    );
    assert_eq!(
        vm.on_response_headers(context, 8, false).unwrap(),
        HeadersAction::StopAllIterationAndBuffer
    );
    assert_eq!(
        vm.on_response_body(context, 9, true).unwrap(),
        DataAction::StopIterationNoBuffer
    );
    assert_eq!(
        vm.on_response_trailers(context, 10).unwrap(),
        TrailersAction::Continue
    );
    assert_eq!(host.said().join(" "), "3 5 1 3 6 0 3 7 3 8 0 3 9 1 3 10");
    vm.on_tick(ContextId(2)).unwrap();
    vm.on_queue_ready(ContextId(2), 77).unwrap();
    vm.end_stream(context).unwrap();
    assert_eq!(host.said().join(" "), "2 2 77 3 3 3");
    // The next one never has the same id.
    let next = vm.create_stream(1, &shared(&stream), SLOT).unwrap();
    assert_eq!(next, ContextId(4));
    assert_eq!(host.said().join(" "), "4 2");
}

#[test]
fn a_module_without_callbacks_lets_everything_pass() {
    let bench = Bench::of(&Guest::new());
    let Bench { vm, context, .. } = &bench;
    assert_eq!(
        vm.on_request_headers(*context, 1, false).unwrap(),
        HeadersAction::Continue
    );
    assert_eq!(
        vm.on_request_body(*context, 1, false).unwrap(),
        DataAction::Continue
    );
    assert_eq!(
        vm.on_response_trailers(*context, 1).unwrap(),
        TrailersAction::Continue
    );
    vm.end_stream(*context).unwrap();
    let callbacks = vm.plugin().module.callbacks();
    assert_eq!(*callbacks, portcullis_abi::Callbacks::default());
    assert_eq!(vm.memory_bytes(), 2 << 16);
    assert_eq!(vm.worker(), 3);
}

#[test]
fn an_ended_context_is_not_called_again() {
    let guest = Guest::new()
        .on(
            "proxy_on_request_headers",
            "(call $number (i32.const 1)) (i32.const 1)",
        )
        .on("proxy_on_log", "(call $number (i32.const 2))");
    let Bench {
        vm,
        host,
        context,
        stream,
    } = Bench::of(&guest);
    assert_eq!(Arc::strong_count(&stream), 2);
    vm.end_stream(context).unwrap();
    assert_eq!(Arc::strong_count(&stream), 1, "the VM holds it no more");
    vm.end_stream(context).unwrap();
    assert_eq!(
        vm.on_request_headers(context, 1, true).unwrap(),
        HeadersAction::Continue
    );
    vm.on_tick(context).unwrap();
    assert_eq!(host.said(), ["2"]);
}

#[test]
fn the_stream_is_readable_to_its_end() {
    let read = call("proxy_get_header_map_value", &[0, 100, 5, OUT, OUT + 4]);
    let guest = Guest::new()
        .data(100, b":path")
        .on("proxy_on_done", &format!("{read} (i32.const 0)"))
        .on("proxy_on_log", &read)
        .on("proxy_on_delete", &read);
    let bench = Bench::of(&guest);
    bench.vm.end_stream(bench.context).unwrap();
    assert_eq!(bench.host.said(), ["0", "0", "0"]);
}

#[test]
fn a_tick_resumes_a_paused_stream_through_the_effective_context() {
    let guest = Guest::new()
        .on("proxy_on_request_headers", "(i32.const 1)")
        .on(
            "proxy_on_tick",
            &(call("proxy_continue_stream", &[0])
                + &call("proxy_set_effective_context", &[99])
                + &call("proxy_set_effective_context", &[3])
                + &call("proxy_continue_stream", &[0])),
        );
    let bench = Bench::of(&guest);
    bench.vm.on_request_headers(bench.context, 1, true).unwrap();
    bench.vm.on_tick(ContextId(1)).unwrap();
    assert_eq!(
        bench.host.said(),
        ["0", "2", "0", "0"],
        "an unknown context is a bad argument"
    );
    assert_eq!(
        bench.stream.lock().continued,
        [(SLOT, StreamType::HttpRequest)]
    );
    assert_eq!(
        bench.host.refused().len(),
        1,
        "there was no stream at first"
    );
}

#[test]
fn the_effective_context_does_not_outlive_its_callback() {
    let guest = Guest::new()
        .on("proxy_on_tick", &call("proxy_set_effective_context", &[3]))
        .on("proxy_on_queue_ready", &call("proxy_continue_stream", &[0]));
    let bench = Bench::of(&guest);
    bench.vm.on_tick(ContextId(1)).unwrap();
    bench.vm.on_queue_ready(ContextId(1), 5).unwrap();
    assert!(bench.stream.lock().continued.is_empty());
}

#[test]
fn ticks_are_asked_for_each_root_and_kept_until_activation() {
    let guest = Guest::new()
        .on(
            "proxy_on_configure",
            &format!(
                "{} {} (i32.const 1)",
                call("proxy_set_tick_period_milliseconds", &[5]),
                "(drop (call $proxy_set_tick_period_milliseconds (i32.mul (local.get 0) (i32.const 100))))"
            ),
        )
        .on("proxy_on_request_headers", &format!("{} (i32.const 0)", call("proxy_set_tick_period_milliseconds", &[0])));
    let host = FakeHost::new();
    let vm = start(plugin(&guest), &host).unwrap();
    assert!(host.asked().is_empty());
    vm.activate();
    assert_eq!(
        ticks(host.asked()),
        [(1, Some(100)), (2, Some(200))],
        "the last of a callback counts"
    );
    vm.activate();
    assert!(host.asked().is_empty());
    let context = vm.create_stream(1, &shared(&stream()), SLOT).unwrap();
    vm.on_request_headers(context, 0, true).unwrap();
    assert_eq!(
        ticks(host.asked()),
        [(2, None)],
        "a stream sets its root's tick"
    );
}

#[test]
fn a_stopped_vm_waits_for_its_streams_then_ends_its_roots() {
    let guest = Guest::new()
        .on(
            "proxy_on_configure",
            "(drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) (i32.const 1)",
        )
        .on(
            "proxy_on_request_headers",
            "(drop (call $proxy_set_tick_period_milliseconds (i32.const 10)))
             (call $number (i32.const 1)) (i32.const 0)",
        )
        .on(
            "proxy_on_done",
            "(call $number (local.get 0)) (i32.const 1)",
        )
        .on("proxy_on_delete", "(call $number (local.get 0))");
    let bench = Bench::of(&guest);
    assert_eq!(bench.host.asked().len(), 2);
    bench.vm.stop();
    assert_eq!(ticks(bench.host.asked()), [(1, None), (2, None)]);
    assert!(bench.vm.is_alive());
    assert_eq!(bench.headers(), ["1"]);
    assert!(bench.host.asked().is_empty(), "a retired VM begins no tick");
    bench.vm.end_stream(bench.context).unwrap();
    assert_eq!(bench.host.said().join(" "), "3 3 1 1 2 2");
    assert!(!bench.vm.is_alive());
    assert_eq!(bench.vm.memory_bytes(), 0);
    assert!(bench.vm.on_tick(ContextId(1)).is_err());
    bench.vm.stop();
    assert!(bench.stream.lock().lost.is_empty());
}

#[test]
fn an_unknown_root_is_an_error_and_no_fault_of_the_guest() {
    let bench = Bench::of(&Guest::new());
    assert!(
        bench
            .vm
            .create_stream(2, &shared(&bench.stream), 0)
            .is_err()
    );
    assert!(bench.vm.is_alive());
}

#[test]
fn a_header_costs_well_below_a_millisecond_of_host_time() {
    // Not a benchmark: unoptimised and crowded. It fails only if a hostcall makes a system call or compiles something.
    let guest = Guest::new().data(100, b":path").on(
        "proxy_on_request_headers",
        "(local $n i32)
         (loop $again
            (drop (call $proxy_get_header_map_value (i32.const 0) (i32.const 100) (i32.const 5) (i32.const 16) (i32.const 20)))
            (global.set $heap (i32.const 0x8000))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 1000))))
         (i32.const 0)",
    );
    let bench = Bench::of(&guest);
    let before = std::time::Instant::now();
    bench.vm.on_request_headers(bench.context, 1, true).unwrap();
    assert!(before.elapsed() < Duration::from_secs(1));
}
