//! Limits of a plugin that are not the memory or the CPU time of one callback: of an exchange, tables, logs, queues.

use std::sync::Arc;
use std::time::Duration;

use portcullis_abi::{FaultKind, Plugin, Refusal, Vm};

use crate::fakes::{Bench, FakeHost, SLOT, plugin, shared, start, stream};
use crate::guest::{Guest, OUT, call};

/// Works for as many rounds as the callback's number says, some tens of nanoseconds each.
const WORK: &str = "(local $n i32)
    (loop $again
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (i32.store (i32.const 300) (i32.div_u (i32.load (i32.const 300)) (local.get $n)))
        (br_if $again (i32.lt_u (local.get $n) (local.get 1))))
    (i32.const 0)";

const EXCHANGE: Duration = Duration::from_millis(100);

fn working(guest: &Guest) -> Plugin {
    let mut plugin = plugin(guest);
    plugin.limits.cpu_per_exchange = EXCHANGE;
    plugin.limits.cpu_per_call = Duration::from_secs(60);
    plugin
}

/// CPU time of this thread.
fn used() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap()
}

#[test]
fn one_long_callback_ends_at_the_limit_of_its_exchange() {
    let vm = start(
        working(&Guest::new().on("proxy_on_request_headers", WORK)),
        &FakeHost::new(),
    )
    .unwrap();
    let context = vm.create_stream(0, &shared(&stream()), SLOT).unwrap();
    let fault = vm.on_request_headers(context, u32::MAX, true).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Cpu);
    assert!(
        fault
            .message
            .starts_with("used more than 100ms of CPU time in one exchange"),
        "{fault}"
    );
}

/// Calls until the fault; how much CPU time that took.
fn until_fault(vm: &Arc<Vm>, rounds: u32) -> Duration {
    let context = vm.create_stream(0, &shared(&stream()), SLOT).unwrap();
    let before = used();
    for _ in 0..100_000_u32 {
        match vm.on_request_body(context, rounds, false) {
            Ok(_) => assert!(used() - before < 40 * EXCHANGE, "no end"),
            Err(fault) => {
                assert!(fault.message.contains("in one exchange"), "{fault}");
                return used() - before;
            }
        }
    }
    panic!("no end");
}

/// Each is far below what one callback may use, and shorter than a tick.
#[test]
fn many_short_callbacks_add_up() {
    let guest = Guest::new().on("proxy_on_request_body", WORK);
    let vm = start(working(&guest), &FakeHost::new()).unwrap();
    until_fault(&vm, 20_000);
}

#[test]
fn exchanges_have_accounts_of_their_own() {
    let mut limited = working(&Guest::new().on("proxy_on_request_body", WORK));
    limited.limits.cpu_per_exchange = Duration::from_secs(2);
    let vm = start(limited, &FakeHost::new()).unwrap();
    let before = used();
    // Together they use more than one may.
    while used() - before < Duration::from_secs(3) {
        let context = vm.create_stream(0, &shared(&stream()), SLOT).unwrap();
        for _ in 0..5 {
            vm.on_request_body(context, 20_000, false).unwrap();
        }
        vm.end_stream(context).unwrap();
    }
}

#[test]
fn what_runs_for_a_stream_in_a_callback_of_its_root_goes_to_the_stream() {
    let guest = Guest::new().on(
        "proxy_on_tick",
        "(drop (call $proxy_set_effective_context (i32.const 3)))
         (loop $again (br $again))",
    );
    let vm = start(working(&guest), &FakeHost::new()).unwrap();
    let context = vm.create_stream(0, &shared(&stream()), SLOT).unwrap();
    assert_eq!(context.0, 3);
    let fault = vm.on_tick(portcullis_abi::ContextId(1)).unwrap_err();
    assert!(fault.message.contains("in one exchange"), "{fault}");
}

#[test]
fn tables_grow_up_to_the_limit() {
    let mut limited = plugin(&Guest::new().extra("(table $t 2 funcref)").on(
        "proxy_on_request_headers",
        "(call $number (table.grow $t (ref.null func) (i32.const 8)))
                 (call $number (table.grow $t (ref.null func) (i32.const 1)))
                 (i32.const 0)",
    ));
    limited.limits.table = 10;
    assert_eq!(Bench::with(limited).headers(), ["2", "4294967295"]);
}

#[test]
fn a_table_larger_than_the_limit_does_not_start() {
    let mut limited = plugin(&Guest::new().extra("(table 11 funcref)"));
    limited.limits.table = 10;
    let fault = start(limited, &FakeHost::new()).err().unwrap();
    assert_eq!(fault.kind, FaultKind::Start);
    assert!(fault.message.contains("table"), "{fault}");
}

#[test]
fn log_lines_have_a_rate_of_their_own() {
    let mut limited = plugin(&Guest::new().on(
        "proxy_on_request_headers",
        "(call $number (i32.const 1)) (call $number (i32.const 2)) (call $number (i32.const 3))
         (i32.const 0)",
    ));
    limited.limits.log_lines = 2;
    limited.limits.log_period = Duration::from_secs(3600);
    let bench = Bench::with(limited);
    assert_eq!(bench.headers(), ["1", "2"]);
    assert_eq!(bench.host.refused(), [Refusal::LogRate { lines: 1 }]);
}

#[test]
fn a_queue_holds_as_many_bytes_as_its_limit() {
    let register = call("proxy_register_shared_queue", &[100, 1, OUT]);
    let mut limited = plugin(&Guest::new().data(100, b"q").on(
        "proxy_on_request_headers",
        &format!(
            "{register}
             (call $number (call $proxy_enqueue_shared_queue (i32.load (i32.const {OUT})) (i32.const 0) (i32.const 10)))
             (call $number (call $proxy_enqueue_shared_queue (i32.load (i32.const {OUT})) (i32.const 0) (i32.const 1)))
             (i32.const 0)"
        ),
    ));
    limited.limits.queue = 10;
    let bench = Bench::with(limited);
    assert_eq!(bench.headers(), ["0", "0", "0"]);
    assert_eq!(bench.host.refused(), [Refusal::QueueFull]);
}
