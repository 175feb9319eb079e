//! Faults: what kind, in which callback, whom they touch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_abi::{ContextId, Fault, FaultKind, Plugin, Vm};

use crate::fakes::{Bench, FakeHost, FakeStream, SLOT, plugin, shared, start, stream};
use crate::guest::{Guest, PER_STREAM, call};

const LIMIT: Duration = Duration::from_millis(20);

const LOOP: &str = "(loop $again (br $again)) unreachable";
const LOOP_WITH_HOSTCALLS: &str =
    "(loop $again (drop (call $proxy_get_log_level (i32.const 16))) (br $again)) unreachable";
/// Takes memory until there is none, then does what allocators do.
const EAT: &str =
    "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
const RECURSE: &str = "(call $deeper (i32.const 0)) unreachable";
const DEEPER: &str =
    "(func $deeper (param i32) (call $deeper (i32.add (local.get 0) (i32.const 1)))
    (drop (i32.load (local.get 0))))";

/// Runs a stream through all its callbacks, with its end.
fn live(vm: &Arc<Vm>, stream: &Arc<Mutex<FakeStream>>) -> Result<(), Fault> {
    let context = vm.create_stream(0, &shared(stream), SLOT)?;
    vm.on_request_headers(context, 1, false)?;
    vm.on_request_body(context, 1, false)?;
    vm.on_request_trailers(context, 1)?;
    vm.on_response_headers(context, 1, false)?;
    vm.on_response_body(context, 1, false)?;
    vm.on_response_trailers(context, 1)?;
    vm.end_stream(context)
}

fn limited(guest: &Guest) -> Plugin {
    let mut plugin = plugin(guest);
    plugin.limits.cpu_per_call = LIMIT;
    plugin.limits.memory = 4 << 20;
    plugin
}

/// A guest whose `callback` does `body`, for streams only.
fn faulty(callback: &'static str, body: &str) -> Guest {
    let body = match callback {
        // The roots are created before, with parent 0.
        "proxy_on_context_create" => format!("(if (local.get 1) (then {body}))"),
        _ => body.to_owned(),
    };
    Guest::new().extra(DEEPER).on(callback, &body)
}

fn check(callback: &'static str, body: &str, kind: FaultKind) -> Fault {
    let host = FakeHost::new();
    let vm = start(limited(&faulty(callback, body)), &host).unwrap();
    vm.activate();
    let bystander = stream();
    if callback != "proxy_on_context_create" {
        vm.create_stream(1, &shared(&bystander), 1).unwrap();
    }
    let stream = stream();
    let fault = live(&vm, &stream).unwrap_err();
    assert_eq!((fault.kind, fault.callback), (kind, callback), "{fault}");
    assert!(!vm.is_alive());
    assert_eq!(vm.memory_bytes(), 0);
    assert_eq!(stream.lock().lost, [SLOT]);
    let others = if callback == "proxy_on_context_create" {
        vec![]
    } else {
        vec![1]
    };
    assert_eq!(
        bystander.lock().lost,
        others,
        "every stream in the VM is told once"
    );
    // A dead VM says why again, and calls nobody.
    host.said();
    assert_eq!(live(&vm, &stream).unwrap_err(), fault);
    assert_eq!(vm.on_tick(ContextId(1)).unwrap_err(), fault);
    assert_eq!(vm.end_stream(ContextId(3)).unwrap_err(), fault);
    assert_eq!(stream.lock().lost, [SLOT]);
    assert!(host.said().is_empty());
    assert_eq!(Arc::strong_count(&stream), 1, "the dead VM holds nothing");
    fault
}

#[test]
fn a_trap_in_every_callback() {
    for callback in PER_STREAM {
        check(callback, "unreachable", FaultKind::Trap);
    }
}

#[test]
fn an_endless_loop_in_every_callback_ends_near_its_limit() {
    for callback in PER_STREAM {
        check(callback, LOOP, FaultKind::Cpu);
    }
    // Measured where nothing else runs in the callback; CPU time, because this machine is shared.
    let host = FakeHost::new();
    let vm = start(
        limited(&faulty("proxy_on_request_headers", LOOP_WITH_HOSTCALLS)),
        &host,
    )
    .unwrap();
    let context = vm.create_stream(0, &shared(&stream()), SLOT).unwrap();
    let before = thread_time();
    let fault = vm.on_request_headers(context, 1, true).unwrap_err();
    let used = thread_time() - before;
    assert_eq!(fault.kind, FaultKind::Cpu);
    assert!(used >= LIMIT, "{used:?}");
    assert!(
        used <= 2 * LIMIT + portcullis_abi::limits::EPOCH_TICK + Duration::from_millis(100),
        "{used:?}"
    );
}

fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn eaten_memory_in_every_callback() {
    for callback in PER_STREAM {
        let fault = check(callback, EAT, FaultKind::Memory);
        assert!(fault.message.contains("limit of 4194304 bytes"), "{fault}");
    }
}

#[test]
fn a_used_up_stack_in_every_callback() {
    for callback in PER_STREAM {
        check(callback, RECURSE, FaultKind::Stack);
    }
}

#[test]
fn faults_in_callbacks_of_roots_touch_the_streams_of_the_vm() {
    for callback in ["proxy_on_tick", "proxy_on_queue_ready"] {
        let bench = Bench::of(&Guest::new().on(callback, "unreachable"));
        let fault = match callback {
            "proxy_on_tick" => bench.vm.on_tick(ContextId(1)).unwrap_err(),
            _ => bench.vm.on_queue_ready(ContextId(1), 1).unwrap_err(),
        };
        assert_eq!((fault.kind, fault.callback), (FaultKind::Trap, callback));
        assert_eq!(bench.stream.lock().lost, [SLOT]);
    }
}

#[test]
fn memory_refused_is_no_fault_where_the_guest_copes() {
    let cope = "(drop (memory.grow (i32.const 60000))) (i32.const 0)";
    let guest = Guest::new()
        .on("proxy_on_request_headers", cope)
        .on("proxy_on_request_body", "unreachable");
    let bench = Bench::with(limited(&guest));
    bench.headers();
    assert_eq!(bench.vm.memory_bytes(), 2 << 16);
    let fault = bench
        .vm
        .on_request_body(bench.context, 1, true)
        .unwrap_err();
    assert_eq!(
        fault.kind,
        FaultKind::Trap,
        "what was refused in an earlier callback is no reason"
    );
}

#[test]
fn tables_do_not_grow_without_bound() {
    let guest = Guest::new().extra("(table $t 1 funcref)").on(
        "proxy_on_request_headers",
        "(call $number (table.grow $t (ref.null func) (i32.const 1000)))
         (call $number (i32.eq (table.grow $t (ref.null func) (i32.const 10000000)) (i32.const -1)))
         (i32.const 0)",
    );
    assert_eq!(Bench::of(&guest).headers(), ["1", "1"]);
}

#[test]
fn bulk_operations_in_a_loop_are_stopped() {
    let fill = "(loop $again (memory.fill (i32.const 0) (i32.const 0) (i32.const 4194304)) (br $again)) unreachable";
    let guest = Guest::new()
        .memory("(memory (export \"memory\") 64)")
        .on("proxy_on_request_headers", fill);
    let bench = Bench::with(limited(&guest));
    let fault = bench
        .vm
        .on_request_headers(bench.context, 1, true)
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Cpu);
}

#[test]
fn waiting_is_no_use_of_cpu() {
    let guest = Guest::new().on(
        "proxy_on_request_headers",
        "(call $number (i32.const 1)) (call $number (i32.const 2)) (call $number (i32.const 3)) (i32.const 0)",
    );
    let bench = Bench::with(limited(&guest));
    *bench.host.log_takes.lock() = 3 * LIMIT;
    let before = Instant::now();
    bench.vm.on_request_headers(bench.context, 1, true).unwrap();
    assert!(before.elapsed() >= 9 * LIMIT);
    assert!(bench.vm.is_alive());
}

#[test]
fn bad_allocators_are_bad_addresses() {
    let cases = [
        ("0", "(i32.const 0)"),
        ("beyond the memory", "(i32.const 0x7fffffff)"),
        ("the end of the memory", "(i32.const 131071)"),
        ("a place where the value wraps", "(i32.const 0xffffffff)"),
    ];
    for (what, answer) in cases {
        let allocator = format!("(export \"malloc\") (param i32) (result i32) {answer}");
        let get = call("proxy_get_header_map_value", &[0, 100, 5, 16, 20]);
        let guest = Guest::new()
            .allocator(&allocator)
            .data(100, b":path")
            .on("proxy_on_request_headers", &format!("{get} (i32.const 0)"));
        let bench = Bench::of(&guest);
        assert_eq!(bench.headers(), ["6"], "{what}");
        assert!(bench.vm.is_alive());
    }
}

#[test]
fn the_allocator_may_log_and_do_nothing_else() {
    let get = call("proxy_get_header_map_value", &[0, 100, 5, 16, 20]);
    let guest = |inside: &str| {
        let allocator = format!(
            "(export \"proxy_on_memory_allocate\") (param i32) (result i32) {inside} (i32.const 0x8000)"
        );
        Guest::new().allocator(&allocator).data(100, b":path").on(
            "proxy_on_request_headers",
            &format!("{get} (call $out (i32.const 16)) (i32.const 0)"),
        )
    };
    let allowed = "(drop (call $proxy_log (i32.const 2) (i32.const 100) (i32.const 5)))
        (drop (call $sched_yield)) (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 32)))";
    assert_eq!(Bench::of(&guest(allowed)).headers(), [":path", "0", "/a"]);

    let bench = Bench::of(&guest("(drop (call $proxy_get_log_level (i32.const 16)))"));
    let fault = bench
        .vm
        .on_request_headers(bench.context, 1, true)
        .unwrap_err();
    assert!(
        fault
            .message
            .starts_with("restricted callback: proxy_get_log_level"),
        "{fault}"
    );
    assert_eq!(bench.stream.lock().lost, [SLOT]);

    let bench = Bench::with(limited(&guest(LOOP)));
    let fault = bench
        .vm
        .on_request_headers(bench.context, 1, true)
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Cpu);
}

#[test]
fn the_allocator_may_move_memory() {
    let allocator = "(export \"proxy_on_memory_allocate\") (param i32) (result i32)
        (i32.mul (memory.grow (i32.const 1)) (i32.const 65536))";
    let get = call("proxy_get_header_map_value", &[0, 100, 5, 16, 20]);
    let guest = Guest::new().allocator(allocator).data(100, b":path").on(
        "proxy_on_request_headers",
        &format!("{get} (call $out (i32.const 16)) (i32.const 0)"),
    );
    assert_eq!(Bench::of(&guest).headers(), ["0", "/a"]);
}

#[test]
fn nothing_is_allocated_for_an_empty_value() {
    let allocator = "(export \"proxy_on_memory_allocate\") (param i32) (result i32) unreachable";
    let get = call("proxy_get_buffer_bytes", &[0, 50, 5, 16, 20]);
    let guest = Guest::new().allocator(allocator).on(
        "proxy_on_request_headers",
        &format!("{get} (call $word (i32.const 16)) (call $word (i32.const 20)) (i32.const 0)"),
    );
    assert_eq!(Bench::of(&guest).headers(), ["0", "0", "0"]);
}

#[test]
fn backtraces_have_the_names_of_functions() {
    let guest = Guest::new()
        .extra("(func $inner unreachable) (func $outer (call $inner))")
        .on("proxy_on_request_headers", "(call $outer) (i32.const 0)");
    let bench = Bench::of(&guest);
    let fault = bench
        .vm
        .on_request_headers(bench.context, 1, true)
        .unwrap_err();
    let lines: Vec<&str> = fault.message.lines().collect();
    assert!(lines[0].contains("unreachable"), "{fault}");
    assert!(
        lines[1].contains("inner") && lines[2].contains("outer"),
        "{fault}"
    );
    assert_eq!(
        fault.to_string().lines().next().unwrap(),
        format!("trap fault in proxy_on_request_headers: {}", lines[0])
    );
}

#[test]
fn an_unknown_import_traps_by_name_only_when_it_is_called() {
    let guest = Guest::new()
        .import("(import \"env\" \"vendor_magic\" (func $vendor_magic (param i64)))")
        .on("proxy_on_request_headers", "(i32.const 0)")
        .on(
            "proxy_on_request_body",
            "(call $vendor_magic (i64.const 1)) (i32.const 0)",
        );
    let bench = Bench::of(&guest);
    assert_eq!(
        bench.vm.plugin().module.report().unknown_imports,
        ["env.vendor_magic"]
    );
    bench.headers();
    let fault = bench
        .vm
        .on_request_body(bench.context, 1, true)
        .unwrap_err();
    assert!(
        fault.message.starts_with("env.vendor_magic was called"),
        "{fault}"
    );
}

#[test]
fn actions_of_a_callback_that_faults_are_not_done() {
    let guest = Guest::new().on(
        "proxy_on_request_headers",
        "(drop (call $proxy_set_tick_period_milliseconds (i32.const 5))) unreachable",
    );
    let bench = Bench::of(&guest);
    assert!(bench.vm.on_request_headers(bench.context, 1, true).is_err());
    assert!(bench.host.asked().is_empty());
}

#[test]
fn a_hundred_vms_eat_their_memory_and_the_host_does_not() {
    let guest = Guest::new().on("proxy_on_request_headers", EAT);
    let plugin = Arc::new(limited(&guest));
    let host: Arc<dyn portcullis_abi::Host> = FakeHost::new();
    for _ in 0..100 {
        let vm = Vm::start(&plugin, &host, 0).unwrap();
        let context = vm.create_stream(0, &shared(&stream()), 0).unwrap();
        assert_eq!(
            vm.on_request_headers(context, 1, true).unwrap_err().kind,
            FaultKind::Memory
        );
    }
}
