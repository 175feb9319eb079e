//! Shared data, shared queues and metrics, through guests.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portcullis_abi::limits::{QUEUE_ITEMS_MAX, SHARED_ENTRY_OVERHEAD_BYTES};
use portcullis_abi::{ContextId, Grants, HostAction, Plugin, Refusal, Spaces, Vm};

use crate::fakes::{Bench, FakeHost, plugin, start};
use crate::guest::{Guest, OUT, call};

#[test]
fn data_is_stored_read_and_swapped() {
    let get = format!(
        "{} (call $out (i32.const {OUT})) (call $word (i32.const 24))",
        call("proxy_get_shared_data", &[100, 3, OUT, OUT + 4, 24])
    );
    let body = call("proxy_get_shared_data", &[100, 3, OUT, OUT + 4, 24])
        + &call("proxy_set_shared_data", &[100, 3, 110, 5, 0])
        + &get
        + &call("proxy_set_shared_data", &[100, 3, 120, 3, 9])
        + &call("proxy_set_shared_data", &[100, 3, 120, 3, 1])
        + &get
        + &call("proxy_set_shared_data", &[0, 0, 120, 3, 0]);
    let guest = Guest::new()
        .data(100, b"key")
        .data(110, b"value")
        .data(120, b"new")
        .on("proxy_on_request_headers", &format!("{body} (i32.const 0)"));
    let bench = Bench::of(&guest);
    assert_eq!(
        bench.headers(),
        ["1", "0", "0", "value", "1", "8", "0", "0", "new", "2", "0"]
    );
    assert_eq!(bench.vm.plugin().shared.get(b"").unwrap().0, b"new");
}

#[test]
fn beyond_the_quota_old_entries_go_and_the_guest_goes_on() {
    let body = call("proxy_set_shared_data", &[100, 1, 110, 8, 0])
        + &call("proxy_set_shared_data", &[101, 1, 110, 8, 0])
        + &call("proxy_set_shared_data", &[102, 1, 110, 4000, 0]);
    let guest = Guest::new()
        .data(100, b"abc")
        .on("proxy_on_request_headers", &format!("{body} (i32.const 0)"));
    let mut plugin = plugin(&guest);
    plugin.limits.shared_data = SHARED_ENTRY_OVERHEAD_BYTES + 10;
    let bench = Bench::with(plugin);
    assert_eq!(bench.headers(), ["0", "0", "0"]);
    let call = "proxy_set_shared_data";
    assert_eq!(
        bench.host.refused(),
        [
            Refusal::SharedDataEvicted { entries: 1 },
            Refusal::Unavailable { call }
        ]
    );
    assert!(bench.vm.plugin().shared.get(b"b").is_some());
}

/// A guest that swaps until it has added 1.
const COUNT: &str = r#"
    (block $done
        (loop $again
            (if (call $proxy_get_shared_data (i32.const 100) (i32.const 1) (i32.const 16) (i32.const 20) (i32.const 24))
                (then
                    (i32.store (i32.const 32) (i32.const 1)) (i32.store (i32.const 24) (i32.const 0)))
                (else
                    (i32.store (i32.const 32) (i32.add (i32.load (i32.load (i32.const 16))) (i32.const 1)))))
            (global.set $heap (i32.const 0x8000))
            (br_if $done (i32.eqz
                (call $proxy_set_shared_data (i32.const 100) (i32.const 1) (i32.const 32) (i32.const 4) (i32.load (i32.const 24)))))
            (br $again)))"#;

#[test]
fn eight_vms_on_eight_threads_count_exactly() {
    let guest = Guest::new().data(100, b"n").on("proxy_on_tick", COUNT);
    let space = Spaces::new().space("my_vm");
    space.set(b"n", &0_u32.to_le_bytes(), 0, 1 << 20).unwrap();
    let host = FakeHost::new();
    let vms: Vec<Arc<Vm>> = (0..8)
        .map(|_| {
            start(
                Plugin {
                    shared: Arc::clone(&space),
                    ..plugin(&guest)
                },
                &host,
            )
            .unwrap()
        })
        .collect();
    std::thread::scope(|scope| {
        for vm in &vms {
            scope.spawn(|| (0..200).for_each(|_| vm.on_tick(ContextId(1)).unwrap()));
        }
    });
    assert_eq!(space.get(b"n").unwrap().0, 1600_u32.to_le_bytes());
}

fn queue_guest() -> Guest {
    let dequeue = format!(
        "{} (call $out (i32.const {OUT}))",
        call("proxy_dequeue_shared_queue", &[1, OUT, OUT + 4])
    );
    Guest::new()
        .data(100, b"queue")
        .data(110, b"other_vm")
        .data(120, b"item")
        .on(
            "proxy_on_configure",
            &format!(
                "{} (i32.const 1)",
                call("proxy_register_shared_queue", &[100, 5, OUT])
            ),
        )
        .on(
            "proxy_on_request_headers",
            &format!(
                "{} {} (call $word (i32.const {OUT})) {} {} (i32.const 0)",
                call("proxy_resolve_shared_queue", &[110, 8, 100, 5, OUT]),
                call("proxy_resolve_shared_queue", &[0, 0, 100, 5, OUT]),
                call("proxy_enqueue_shared_queue", &[1, 120, 4]),
                call("proxy_enqueue_shared_queue", &[9, 120, 4]),
            ),
        )
        .on(
            "proxy_on_queue_ready",
            &format!("(call $number (local.get 1)) {dequeue}"),
        )
        .on(
            "proxy_on_tick",
            &call("proxy_dequeue_shared_queue", &[1, OUT, OUT + 4]),
        )
}

#[test]
fn an_item_goes_to_the_latest_registrant_in_another_vm() {
    let guest = queue_guest();
    let spaces = Spaces::new();
    let make = || Plugin {
        shared: spaces.space("my_vm"),
        ..plugin(&guest)
    };
    let producer = Bench::with(make());
    let consumer = Bench::with(make());
    assert_eq!(
        producer.headers(),
        ["1", "0", "1", "0", "1"],
        "no other's queue, own queue 1, no queue 9"
    );
    let actions = producer.host.asked();
    assert_eq!(actions.len(), 1);
    let HostAction::QueueReady {
        consumer: target,
        root,
        queue,
    } = &actions[0]
    else {
        panic!("{actions:?}")
    };
    let target = target.upgrade().unwrap();
    assert!(Arc::ptr_eq(&target, &consumer.vm), "registered last");
    assert_eq!((*root, *queue), (ContextId(2), 1));
    consumer.host.said();
    target.on_queue_ready(*root, *queue).unwrap();
    assert_eq!(consumer.host.said(), ["1", "0", "item"]);
    target.on_tick(ContextId(1)).unwrap();
    assert_eq!(consumer.host.said(), ["7"], "empty");
}

#[test]
fn another_spaces_queue_needs_a_grant() {
    let guest = queue_guest();
    let spaces = Spaces::new();
    let other = Bench::with(Plugin {
        shared: spaces.space("other_vm"),
        ..plugin(&guest)
    });
    let without = Bench::with(Plugin {
        shared: spaces.space("my_vm"),
        ..plugin(&guest)
    });
    // Queue 1 is the other space's; this one's is 2.
    assert_eq!(without.headers(), ["1", "0", "2", "1", "1"]);
    let grants = Grants {
        all: true,
        ..Grants::default()
    };
    let with = Bench::with(Plugin {
        shared: spaces.space("my_vm"),
        grants,
        ..plugin(&guest)
    });
    assert_eq!(with.headers()[3], "0");
    assert_eq!(with.host.asked().len(), 1);
    drop(other);
}

#[test]
fn a_queue_notice_before_activation_is_kept() {
    let host = FakeHost::new();
    let vm = start(plugin(&queue_guest()), &host).unwrap();
    host.said();
    vm.on_queue_ready(ContextId(1), 1).unwrap();
    assert!(host.said().is_empty());
    vm.activate();
    assert!(matches!(
        host.asked()[..],
        [HostAction::QueueReady {
            root: ContextId(1),
            queue: 1,
            ..
        }]
    ));
}

#[test]
fn a_full_queue_drops_and_says_so() {
    let fill = format!(
        "(local $n i32)
         (loop $again
            (drop (call $proxy_enqueue_shared_queue (i32.const 1) (i32.const 120) (i32.const 4)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const {}))))
         (i32.const 0)",
        QUEUE_ITEMS_MAX + 3
    );
    let guest = queue_guest().on("proxy_on_request_body", &fill);
    let bench = Bench::of(&guest);
    bench.vm.on_request_body(bench.context, 0, true).unwrap();
    assert_eq!(bench.host.refused(), vec![Refusal::QueueFull; 3]);
    assert_eq!(bench.host.asked().len(), QUEUE_ITEMS_MAX);
    assert!(bench.vm.is_alive());
}

#[test]
fn metrics_count_set_and_observe() {
    let define = |kind, at| {
        format!(
            "{} (call $word (i32.const {OUT}))",
            call("proxy_define_metric", &[kind, at, 1, OUT])
        )
    };
    let with_i64 = |name: &str, id: u32, value: i64| {
        format!("(call $number (call ${name} (i32.const {id}) (i64.const {value})))")
    };
    let get = |id| {
        format!(
            "{} (call $word (i32.const {OUT}))",
            call("proxy_get_metric", &[id, OUT])
        )
    };
    let body = define(0, 100)
        + &define(1, 101)
        + &define(2, 102)
        + &define(0, 100)
        + &with_i64("proxy_increment_metric", 1, 5)
        + &with_i64("proxy_increment_metric", 4, 2)
        + &with_i64("proxy_increment_metric", 1, 0)
        + &with_i64("proxy_increment_metric", 1, -1)
        + &with_i64("proxy_increment_metric", 2, -3)
        + &with_i64("proxy_increment_metric", 3, 1)
        + &with_i64("proxy_increment_metric", 9, 1)
        + &with_i64("proxy_record_metric", 1, 10)
        + &with_i64("proxy_record_metric", 2, 40)
        + &with_i64("proxy_record_metric", 3, 7)
        + &with_i64("proxy_record_metric", 0, 7)
        + &get(1)
        + &get(2)
        + &call("proxy_get_metric", &[3, OUT])
        + &call("proxy_get_metric", &[8, OUT]);
    let guest = Guest::new()
        .data(100, b"cgh")
        .on("proxy_on_request_headers", &format!("{body} (i32.const 0)"));
    let bench = Bench::of(&guest);
    let said = bench.headers();
    assert_eq!(
        said[..8],
        ["0", "1", "0", "2", "0", "3", "0", "4"],
        "a fresh id for each definition"
    );
    assert_eq!(
        said[8..19],
        ["0", "0", "2", "2", "0", "2", "1", "0", "0", "0", "1"]
    );
    assert_eq!(said[19..], ["0", "17", "0", "40", "2", "1"]);
    let metrics = bench.host.metrics.lock();
    assert_eq!(metrics["h"].value.load(Ordering::Relaxed), 7);
}

#[test]
fn a_metric_of_another_kind_is_defined_without_effect() {
    let body = call("proxy_define_metric", &[0, 100, 1, OUT])
        + &call("proxy_define_metric", &[1, 100, 1, OUT])
        + "(call $number (call $proxy_record_metric (i32.const 2) (i64.const 9)))"
        + &call("proxy_define_metric", &[1, 101, 1, OUT]);
    let guest = Guest::new()
        .data(100, b"c\xff")
        .on("proxy_on_request_headers", &format!("{body} (i32.const 0)"));
    let bench = Bench::of(&guest);
    assert_eq!(bench.headers(), ["0", "0", "0", "0"]);
    assert_eq!(
        bench.host.metrics.lock()["c"].value.load(Ordering::Relaxed),
        0
    );
    assert_eq!(
        bench.host.refused(),
        vec![
            Refusal::Unavailable {
                call: "proxy_define_metric"
            };
            2
        ]
    );
}
