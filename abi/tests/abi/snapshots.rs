//! Snapshots themselves: of what they can be taken, and what begins from them.

use std::time::Duration;

use portcullis_abi::{FaultKind, HostAction, Module, Role, SnapshotError};

use crate::fakes::{Bench, FakeHost, engine, plugin, start};
use crate::guest::Guest;
use crate::isolation::{Frozen, busy, exchange, granted};

#[test]
fn modules_that_change_tables_or_drop_segments_are_told_apart() {
    let table = "(table 2 funcref) (elem declare func $allocate)";
    for (code, name) in [
        ("(table.set (i32.const 0) (ref.null func))", "table.set"),
        (
            "(drop (table.grow (ref.null func) (i32.const 1)))",
            "table.grow",
        ),
        (
            "(table.fill (i32.const 0) (ref.null func) (i32.const 1))",
            "table.fill",
        ),
        (
            "(table.copy (i32.const 0) (i32.const 1) (i32.const 1))",
            "table.copy",
        ),
        ("(data.drop $d)", "data.drop"),
        ("(elem.drop $e)", "elem.drop"),
        (
            "(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))",
            "table.init",
        ),
    ] {
        let guest = Guest::new().extra(&format!(
            "{table} (data $d \"x\") (elem $e func $allocate) (func $never {code})"
        ));
        let plugin = plugin(&guest);
        let reason = plugin.module.unfit_for_snapshots().unwrap();
        assert!(reason.ends_with(name), "{reason}");
        let vm = start(plugin, &FakeHost::new()).unwrap();
        assert_eq!(vm.snapshot().err(), Some(SnapshotError::Unfit(reason)));
        assert!(vm.is_alive());
    }
    let guest = Guest::new().extra("(global $g (mut funcref) (ref.null func))");
    assert!(plugin(&guest).module.unfit_for_snapshots().is_some());
}

#[test]
fn a_guest_may_draw_new_randomness_in_each_vm() {
    let draw = "(drop (call $random_get (i32.const 300) (i32.const 4)))";
    let guest = Guest::new()
        .on("proxy_on_configure", &format!("{draw} (i32.const 1)"))
        .on(
            "proxy_on_request_headers",
            "(call $word (i32.const 300)) (i32.const 0)",
        );
    let frozen = Frozen::of(&guest);
    assert_eq!(
        frozen.exchange(),
        frozen.exchange(),
        "a snapshot has what was drawn at the start"
    );
    let guest = guest.extra(&format!("(func (export \"portcullis_reseed\") {draw})"));
    let frozen = Frozen::of(&guest);
    assert_ne!(frozen.exchange(), frozen.exchange());
}

#[test]
fn a_fault_in_reseeding_is_one_of_the_start() {
    let guest = Guest::new().extra("(func (export \"portcullis_reseed\") unreachable)");
    let frozen = Frozen::of(&guest);
    let fault = frozen.begin(exchange(&frozen.service)).err().unwrap();
    assert_eq!(
        (fault.kind, fault.callback),
        (FaultKind::Start, "portcullis_reseed")
    );
}

#[test]
fn a_snapshot_is_of_a_vm_that_has_done_nothing() {
    let bench = Bench::of(&Guest::new());
    assert_eq!(bench.vm.snapshot().err(), Some(SnapshotError::Late));
}

#[test]
fn memory_that_cannot_grow_beyond_its_limit_cannot_in_a_snapshot_either() {
    let mut limited = plugin(&Guest::new().on(
        "proxy_on_request_headers",
        "(call $number (memory.grow (i32.const 30))) (call $number (memory.grow (i32.const 1)))
         (i32.const 0)",
    ));
    limited.limits.memory = 32 << 16;
    let frozen = Frozen::with(limited);
    for _ in 0..3 {
        assert_eq!(frozen.exchange(), ["2", "4294967295"]);
    }
}

#[test]
fn a_module_with_no_data_and_one_with_data_at_its_edges() {
    let read = "(call $word (i32.const 131068)) (call $word (i32.const 4096))
        (i32.store (i32.const 131068) (i32.const 5)) (i32.store (i32.const 4096) (i32.const 5))
        (i32.const 0)";
    let guest = Guest::new().on("proxy_on_request_headers", read);
    let frozen = Frozen::of(&guest);
    assert_eq!(frozen.exchange(), ["0", "0"]);
    assert_eq!(frozen.exchange(), ["0", "0"]);
    let guest = guest.data(131_068, &1_u32.to_le_bytes()).data(0, b"x");
    let frozen = Frozen::of(&guest);
    assert_eq!(frozen.exchange(), ["1", "0"]);
    assert_eq!(frozen.exchange(), ["1", "0"]);
}

#[test]
fn names_of_the_host_cannot_be_exported() {
    let guest = Guest::new().extra(
        "(global $mine (mut i32) (i32.const 0)) (export \"portcullis:global:0\" (global $mine))",
    );
    assert!(Module::load(engine(), &guest.wasm()).is_err());
}

#[test]
fn a_long_start_is_paid_once() {
    let guest = Guest::new().on(
        "proxy_on_configure",
        "(local $n i32)
         (loop $again
             (local.set $n (i32.add (local.get $n) (i32.const 1)))
             (i32.store (i32.const 300) (i32.mul (local.get $n) (i32.load (i32.const 300))))
             (br_if $again (i32.lt_u (local.get $n) (i32.const 20000000))))
         (i32.const 1)",
    );
    let mut plugin = plugin(&guest);
    plugin.limits.cpu_start = Duration::from_secs(60);
    let before = std::time::Instant::now();
    let frozen = Frozen::with(plugin);
    let started = before.elapsed();
    let before = std::time::Instant::now();
    for _ in 0..10 {
        frozen.exchange();
    }
    assert!(
        before.elapsed() < started,
        "ten exchanges took longer than one start"
    );
}
#[test]
fn a_start_function_runs_once() {
    let guest = Guest::new()
        .extra("(func $early (call $number (i32.const 5))) (start $early)")
        .on("_initialize", "(call $number (i32.const 6))");
    let frozen = Frozen::of(&guest);
    assert_eq!(frozen.host.said(), ["5", "6"]);
    frozen.exchange();
    assert!(frozen.exchange().is_empty());
}

#[test]
fn a_replacement_takes_over_what_the_start_asked_for() {
    let frozen = Frozen::with(granted(&busy()));
    frozen.host.asked();
    frozen.host.said();
    let replacement = frozen.begin(Role::Service).unwrap();
    assert!(frozen.host.asked().is_empty(), "kept until activation");
    replacement.activate();
    let asked = frozen.host.asked();
    assert!(
        matches!(
            &asked[..],
            [HostAction::SetTick { .. }, HostAction::HttpCall(call)] if call.token == 1
        ),
        "{asked:?}"
    );
    assert!(frozen.host.said().is_empty(), "nothing was started again");
    replacement
        .on_http_call_response(1, Default::default())
        .unwrap();
    assert_eq!(frozen.host.said(), ["1"]);
}

/// The memory of the VM it was taken of rests on the snapshot's.
#[test]
fn a_vm_outlives_its_snapshot() {
    let guest = Guest::new()
        .data(40_000, &7_u32.to_le_bytes())
        .on("proxy_on_tick", "(call $word (i32.const 40000))");
    let host = FakeHost::new();
    let vm = start(plugin(&guest), &host).unwrap();
    drop(vm.snapshot().unwrap());
    vm.activate();
    vm.on_tick(portcullis_abi::ContextId(1)).unwrap();
    assert_eq!(host.said(), ["7"]);
}
