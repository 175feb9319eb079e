//! The start of a VM: order, failures, limits.

use std::sync::Arc;
use std::time::Duration;

use portcullis_abi::{Fault, FaultKind};

use crate::fakes::{Bench, FakeHost, plugin, start};
use crate::guest::{Guest, OUT, call};

fn fails(guest: &Guest) -> Fault {
    let mut plugin = plugin(guest);
    plugin.limits.cpu_start = Duration::from_millis(50);
    let fault = start(plugin, &FakeHost::new())
        .err()
        .expect("it must not start");
    assert_eq!(fault.kind, FaultKind::Start, "{fault}");
    fault
}

fn say(number: u32) -> String {
    format!("(call $number (i32.const {number}))")
}

#[test]
fn initialize_and_main_run_and_start_does_not() {
    let guest = Guest::new()
        .on("_initialize", &say(1))
        .on("main", &format!("{} (i32.const 0)", say(2)))
        .on("_start", &say(3))
        .on("proxy_on_vm_start", &format!("{} (i32.const 1)", say(4)));
    let bench = Bench::of(&guest);
    assert_eq!(bench.host.said(), ["1", "2", "4", "4"]);
}

#[test]
fn a_command_runs_start_and_not_main() {
    let guest = Guest::new()
        .on("main", &format!("{} (i32.const 0)", say(2)))
        .on("_start", &say(3));
    assert_eq!(Bench::of(&guest).host.said(), ["3"]);
}

#[test]
fn main_without_arguments_runs_too() {
    let guest = Guest::new().on("_initialize", &say(1)).extra(
        "(func (export \"__main_void\") (result i32) (call $number (i32.const 2)) (i32.const 0))",
    );
    assert_eq!(Bench::of(&guest).host.said(), ["1", "2"]);
}

#[test]
fn hostcalls_work_in_the_wasm_start_section_allocator_included() {
    let get = call("proxy_get_property", &[100, 11, OUT, OUT + 4]);
    let guest = Guest::new().data(100, b"plugin_name").extra(&format!(
        "(func $early {get} (call $out (i32.const {OUT})) {}) (start $early)",
        call("proxy_set_tick_period_milliseconds", &[5]),
    ));
    let bench = Bench::of(&guest);
    assert_eq!(bench.host.said(), ["0", "hello", "0"]);
    assert!(bench.host.asked().is_empty(), "there is no root yet");
}

#[test]
fn a_guest_that_says_no_does_not_start() {
    let no = "(drop (call $proxy_log (i32.const 4) (i32.const 100) (i32.const 6))) (i32.const 0)";
    let fault = fails(
        &Guest::new()
            .data(100, b"no key")
            .on("proxy_on_configure", no),
    );
    assert_eq!(fault.callback, "proxy_on_configure");
    assert!(
        fault.message.contains("proxy_on_configure answered false"),
        "{fault}"
    );
    assert!(fault.message.contains("no key"), "{fault}");
    let fault = fails(&Guest::new().on("proxy_on_vm_start", "(i32.const 0)"));
    assert_eq!(fault.callback, "proxy_on_vm_start");
}

#[test]
fn any_root_may_say_no() {
    // The override has one byte more than the base.
    let guest = Guest::new().on(
        "proxy_on_configure",
        "(i32.lt_u (local.get 1) (i32.const 5))",
    );
    fails(&guest);
}

#[test]
fn traps_and_limits_in_every_step_are_failures_of_the_start() {
    let steps = [
        "_initialize",
        "main",
        "proxy_on_context_create",
        "proxy_on_vm_start",
        "proxy_on_configure",
    ];
    for step in steps {
        let with = |body: &str| {
            let guest = Guest::new().on(step, body);
            let guest = if step == "main" {
                guest.on("_initialize", "")
            } else {
                guest
            };
            let fault = fails(&guest);
            assert_eq!(fault.callback, step);
            fault.message
        };
        assert!(with("unreachable").starts_with("trap: "));
        let looped = with("(loop $again (br $again)) unreachable");
        assert!(looped.starts_with("cpu: used more than 50ms"), "{looped}");
    }
    let fault = fails(&Guest::new().on("_start", "unreachable"));
    assert_eq!(fault.callback, "_start");
    let fault = fails(&Guest::new().extra("(func $early unreachable) (start $early)"));
    assert_eq!(fault.callback, "instantiate");
}

#[test]
fn a_memory_larger_than_the_limit_does_not_start() {
    let fault = fails(&Guest::new().memory("(memory (export \"memory\") 2000)"));
    assert!(fault.message.starts_with("memory: "), "{fault}");
}

#[test]
fn a_data_segment_out_of_bounds_does_not_start() {
    let fault = fails(&Guest::new().data(200_000, b"x"));
    assert_eq!(fault.callback, "instantiate");
}

#[test]
fn exit_does_not_start() {
    let fault = fails(&Guest::new().on("_start", "(call $proc_exit (i32.const 3))"));
    assert!(fault.message.contains("proc_exit(3)"), "{fault}");
}

#[test]
fn a_failed_start_frees_everything() {
    let host = FakeHost::new();
    let plugin = Arc::new(plugin(
        &Guest::new().on("proxy_on_configure", "(i32.const 0)"),
    ));
    let shared: Arc<dyn portcullis_abi::Host> = Arc::clone(&host) as Arc<dyn portcullis_abi::Host>;
    assert!(portcullis_abi::Vm::start(&plugin, &shared, 0).is_err());
    drop(shared);
    assert_eq!(
        (Arc::strong_count(&plugin), Arc::strong_count(&host)),
        (1, 1)
    );
}
