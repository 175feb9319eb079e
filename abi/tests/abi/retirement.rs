//! Roots that are not done when their VM is stopped.

use std::sync::Arc;

use portcullis_abi::{ContextId, HostAction};

use crate::fakes::{Bench, FakeHost, plugin, start};
use crate::guest::{Guest, call};

/// Root 1 is not done at first, root 2 is; each says 100 and its id when it is deleted.
fn guest(on_done: &str) -> Guest {
    Guest::new()
        .on(
            "proxy_on_done",
            &format!(
                "(call $number (local.get 0)) {on_done} (i32.ge_u (local.get 0) (i32.const 2))"
            ),
        )
        .on(
            "proxy_on_delete",
            "(call $number (i32.add (i32.const 100) (local.get 0)))",
        )
        .on(
            "proxy_on_tick",
            "(drop (call $proxy_done)) (call $number (i32.const 7))",
        )
}

#[test]
fn a_root_that_is_not_done_goes_on_until_it_says_so() {
    let host = FakeHost::new();
    let tick = "(drop (call $proxy_set_tick_period_milliseconds (i32.const 10)))";
    let vm = start(plugin(&guest(tick)), &host).unwrap();
    vm.activate();
    vm.stop();
    assert_eq!(host.said().join(" "), "1 2 102", "the other root is done");
    let asked = host.asked();
    let ticks = asked.iter().filter(|action| {
        matches!(
            action,
            HostAction::SetTick {
                root: ContextId(1),
                period: Some(_)
            }
        )
    });
    assert_eq!(ticks.count(), 1, "{asked:?}");
    assert!(
        asked
            .iter()
            .any(|action| matches!(action, HostAction::AwaitDone { .. }))
    );
    assert_eq!(asked.len(), 2, "a root that is done has no tick: {asked:?}");
    // Nobody else holds it: it keeps itself.
    let weak = Arc::downgrade(&vm);
    drop(vm);
    let vm = weak.upgrade().expect("it waits");
    assert!(vm.is_alive());
    vm.on_tick(ContextId(1)).unwrap();
    assert_eq!(host.said().join(" "), "7 101");
    assert!(!vm.is_alive() && !vm.give_up());
    drop(vm);
    assert!(weak.upgrade().is_none(), "it keeps itself no more");
}

#[test]
fn a_root_may_be_done_within_its_answer() {
    let host = FakeHost::new();
    let vm = start(plugin(&guest("(drop (call $proxy_done))")), &host).unwrap();
    vm.activate();
    vm.stop();
    assert_eq!(host.said().join(" "), "1 101 2 102");
    assert!(!vm.is_alive() && host.asked().is_empty());
}

#[test]
fn a_root_that_is_never_done_is_given_up() {
    let host = FakeHost::new();
    let vm = start(plugin(&guest("")), &host).unwrap();
    vm.activate();
    assert!(!vm.give_up(), "it was not stopped");
    vm.stop();
    vm.stop();
    assert_eq!(host.said().join(" "), "1 2 102", "asked once");
    assert!(vm.is_alive() && vm.give_up());
    assert_eq!(host.said(), ["101"]);
    assert!(!vm.is_alive());
}

#[test]
fn a_fault_ends_the_waiting() {
    let host = FakeHost::new();
    let guest = Guest::new()
        .on("proxy_on_done", "(i32.const 0)")
        .on("proxy_on_tick", "unreachable");
    let vm = start(plugin(&guest), &host).unwrap();
    vm.activate();
    vm.stop();
    let weak = Arc::downgrade(&vm);
    assert!(vm.on_tick(ContextId(2)).is_err());
    drop(vm);
    assert!(weak.upgrade().is_none());
}

#[test]
fn done_elsewhere_is_no_end() {
    let done = call("proxy_done", &[]);
    let guest = guest("").on("proxy_on_request_headers", &format!("{done} (i32.const 0)"));
    let bench = Bench::of(&guest);
    assert_eq!(bench.headers(), ["0"]);
    bench.vm.on_tick(ContextId(1)).unwrap();
    bench.vm.end_stream(bench.context).unwrap();
    bench.host.said();
    bench.vm.stop();
    assert!(
        bench.vm.is_alive(),
        "what was said before it was asked does not count"
    );
}
