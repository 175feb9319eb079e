//! Snapshots, and VMs for one exchange: what begins from a snapshot is as what was started, and nothing goes from one
//! exchange to the next.

use std::sync::{Arc, Weak};

use portcullis_abi::{Beginning, ContextId, Fault, Host, HostAction, Plugin, Role, Snapshot, Vm};

use crate::fakes::{FakeHost, SLOT, plugin, shared, start, stream};
use crate::guest::{Guest, OUT, call};

/// A started VM that works for the root contexts, its snapshot, and who hears of both.
pub(crate) struct Frozen {
    pub(crate) host: Arc<FakeHost>,
    pub(crate) service: Arc<Vm>,
    pub(crate) snapshot: Arc<Snapshot>,
}

impl Frozen {
    pub(crate) fn of(guest: &Guest) -> Self {
        Self::with(plugin(guest))
    }

    pub(crate) fn with(plugin: Plugin) -> Self {
        let host = FakeHost::new();
        let service = start(plugin, &host).unwrap();
        let snapshot = service.snapshot().unwrap();
        service.activate();
        Self {
            host,
            service,
            snapshot,
        }
    }

    pub(crate) fn begin(&self, role: Role) -> Result<Arc<Vm>, Fault> {
        let host: Arc<dyn Host> = Arc::clone(&self.host) as Arc<dyn Host>;
        Vm::begin(Beginning::Snapshot(&self.snapshot), &host, 5, role)
    }

    pub(crate) fn for_exchange(&self) -> Arc<Vm> {
        self.begin(exchange(&self.service)).unwrap()
    }

    /// A whole exchange in a VM of its own; what the guest said.
    pub(crate) fn exchange(&self) -> Vec<String> {
        self.host.said();
        let vm = self.for_exchange();
        let context = vm.create_stream(0, &shared(&stream()), SLOT).unwrap();
        vm.on_request_headers(context, 2, true).unwrap();
        vm.end_stream(context).unwrap();
        self.host.said()
    }
}

pub(crate) fn exchange(service: &Arc<Vm>) -> Role {
    Role::Exchange {
        service: Arc::downgrade(service),
        lease: None,
    }
}

/// Says and then changes a global, bytes of its data, of its zeros and of memory beyond its first size, and its table.
const SPY: &str = r"
    (call $number (global.get $seen))
    (call $word (i32.const 40000))
    (call $word (i32.const 50000))
    (call $number (memory.size))
    (if (i32.gt_u (memory.size) (i32.const 3)) (then (call $word (i32.const 200000))))
    (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
    (i32.store (i32.const 40000) (i32.const 666))
    (i32.store (i32.const 50000) (i32.const 666))
    (drop (memory.grow (i32.const 2)))
    (i32.store (i32.const 200000) (i32.const 666))
    (memory.fill (i32.const 60000) (i32.const 255) (i32.const 71000))
    (call $word (i32.const 130000))
    (i32.const 0)";

fn spy() -> Guest {
    Guest::new()
        .data(40_000, &7_u32.to_le_bytes())
        .extra("(global $seen (mut i32) (i32.const 3))")
        .on("proxy_on_request_headers", SPY)
        .on(
            "proxy_on_configure",
            "(global.set $seen (i32.add (global.get $seen) (i32.const 10)))
             (i32.store (i32.const 40000) (i32.add (i32.load (i32.const 40000)) (i32.const 1)))
             (drop (memory.grow (i32.const 1)))
             (i32.store (i32.const 131072) (i32.const 99))
             (i32.const 1)",
        )
}

#[test]
fn no_exchange_sees_a_byte_of_another() {
    let frozen = Frozen::of(&spy());
    // Two roots were configured: the global began at 3, the data at 7, the memory at two pages.
    let fresh = ["23", "9", "0", "4", "0", "4294967295"];
    for _ in 0..200 {
        assert_eq!(frozen.exchange(), fresh);
    }
    // At the same time, too.
    let vms: Vec<_> = (0..20).map(|_| frozen.for_exchange()).collect();
    for vm in &vms {
        let context = vm.create_stream(1, &shared(&stream()), SLOT).unwrap();
        frozen.host.said();
        vm.on_request_headers(context, 2, true).unwrap();
        assert_eq!(frozen.host.said(), fresh);
        vm.on_request_headers(context, 2, true).unwrap();
        assert_eq!(frozen.host.said()[0], "24", "one exchange keeps its state");
    }
    drop(vms);
    assert_eq!(frozen.exchange(), fresh);
    let context = frozen
        .service
        .create_stream(0, &shared(&stream()), SLOT)
        .unwrap();
    frozen.host.said();
    frozen.service.on_request_headers(context, 2, true).unwrap();
    assert_eq!(frozen.host.said(), fresh, "nor does the VM of the roots");
}

#[test]
fn the_state_of_the_started_vm_is_that_of_the_snapshot_whatever_it_does_later() {
    let frozen = Frozen::of(&spy());
    let context = frozen
        .service
        .create_stream(0, &shared(&stream()), SLOT)
        .unwrap();
    for _ in 0..3 {
        frozen.service.on_request_headers(context, 2, true).unwrap();
    }
    assert_eq!(frozen.exchange()[0], "23");
}

#[test]
fn contexts_tokens_and_metrics_go_on_where_the_start_ended() {
    let define = call("proxy_define_metric", &[0, 100, 4, OUT]);
    let guest = Guest::new()
        .data(100, b"hits")
        .on(
            "proxy_on_configure",
            &format!("{define} (call $word (i32.const {OUT})) (i32.const 1)"),
        )
        .on(
            "proxy_on_request_headers",
            "(call $number (local.get 0))
             (call $number (call $proxy_increment_metric (i32.const 2) (i64.const 5)))
             (call $number (call $proxy_increment_metric (i32.const 3) (i64.const 5)))
             (i32.const 0)",
        );
    let frozen = Frozen::of(&guest);
    assert_eq!(frozen.host.said(), ["0", "1", "0", "2"]);
    for _ in 0..2 {
        // Roots are 1 and 2; every VM has its own contexts.
        assert_eq!(frozen.exchange(), ["3", "0", "1"]);
    }
    let hits = frozen.host.metrics.lock()["hits"].clone();
    assert_eq!(portcullis_abi::Metric::value(&*hits), 10);
}

/// Sets a tick, registers a queue and makes a callout in `proxy_on_configure` of the first root.
pub(crate) fn busy() -> Guest {
    let headers = [(":method", "GET"), (":path", "/"), (":authority", "a")];
    let mut pairs = Vec::from(3_u32.to_le_bytes());
    for (key, value) in headers {
        pairs.extend_from_slice(&u32::try_from(key.len()).unwrap().to_le_bytes());
        pairs.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
    }
    for (key, value) in headers {
        pairs.extend_from_slice(&[key.as_bytes(), &[0], value.as_bytes(), &[0]].concat());
    }
    let size = u32::try_from(pairs.len()).unwrap();
    let http_call = call("proxy_http_call", &[100, 4, 200, size, 0, 0, 0, 0, 0, OUT]);
    let tick = call("proxy_set_tick_period_milliseconds", &[50]);
    let queue = call("proxy_register_shared_queue", &[104, 1, OUT]);
    Guest::new()
        .data(100, b"auth")
        .data(104, b"q")
        .data(200, &pairs)
        .on(
            "proxy_on_configure",
            &format!(
                "(if (i32.eq (local.get 0) (i32.const 1)) (then {tick} {queue} {http_call}
                 (call $word (i32.const {OUT})))) (i32.const 1)"
            ),
        )
        .on(
            "proxy_on_request_headers",
            &format!("{tick} {queue} {http_call} (call $word (i32.const {OUT})) (i32.const 0)"),
        )
        .on("proxy_on_queue_ready", "(call $number (local.get 0))")
        .on(
            "proxy_on_http_call_response",
            "(call $number (local.get 1))",
        )
}

pub(crate) fn granted(guest: &Guest) -> Plugin {
    let mut plugin = plugin(guest);
    plugin.grants.http_call = vec!["auth".to_owned()];
    plugin
}

#[test]
fn root_contexts_work_in_one_vm_and_an_exchange_has_its_own_callouts() {
    let frozen = Frozen::with(granted(&busy()));
    assert_eq!(frozen.host.said(), ["0", "0", "0", "1"]);
    let asked = frozen.host.asked();
    assert!(
        matches!(
            &asked[..],
            [
                HostAction::SetTick {
                    root: ContextId(1),
                    period: Some(_)
                },
                HostAction::HttpCall(call)
            ] if call.token == 1
        ),
        "{asked:?}"
    );

    let vm = frozen.for_exchange();
    assert!(
        frozen.host.asked().is_empty(),
        "what the start asked for was done"
    );
    let context = vm.create_stream(0, &shared(&stream()), SLOT).unwrap();
    vm.on_request_headers(context, 2, false).unwrap();
    assert_eq!(frozen.host.said(), ["0", "0", "0", "2"]);
    let asked = frozen.host.asked();
    assert!(
        matches!(&asked[..], [HostAction::HttpCall(call)] if call.token == 2),
        "no tick, one callout: {asked:?}"
    );
    assert_eq!(frozen.host.refused().len(), 1, "the tick had no effect");
    // The answer to the start's callout is nobody's here; the own one arrives.
    vm.on_http_call_response(1, Default::default()).unwrap();
    assert!(frozen.host.said().is_empty());
    vm.on_http_call_response(2, Default::default()).unwrap();
    assert_eq!(frozen.host.said(), ["2"]);
    frozen
        .service
        .on_http_call_response(1, Default::default())
        .unwrap();
    assert_eq!(frozen.host.said(), ["1"]);
}

#[test]
fn queues_stay_with_the_vm_of_the_root_contexts() {
    let enqueue = call("proxy_enqueue_shared_queue", &[1, 100, 4]);
    let queue = call("proxy_register_shared_queue", &[104, 1, OUT]);
    let guest = Guest::new()
        .data(100, b"item")
        .data(104, b"q")
        .on("proxy_on_configure", &format!("{queue} (i32.const 1)"))
        .on(
            "proxy_on_request_headers",
            &format!("{queue} {enqueue} (i32.const 0)"),
        );
    let frozen = Frozen::of(&guest);
    assert_eq!(frozen.exchange(), ["0", "0"]);
    match &frozen.host.asked()[..] {
        [HostAction::QueueReady { consumer, root, .. }] => {
            assert!(Weak::ptr_eq(consumer, &Arc::downgrade(&frozen.service)));
            // Each root registered it; an exchange of the first one did last.
            assert_eq!(*root, ContextId(1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_module_without_snapshots_is_started_for_each_exchange() {
    let guest = spy().extra("(data $d \"x\") (func $never (data.drop $d))");
    let plugin = Arc::new(plugin(&guest));
    let host = FakeHost::new();
    let dynamic: Arc<dyn Host> = Arc::clone(&host) as Arc<dyn Host>;
    let service = Vm::start(&plugin, &dynamic, 0).unwrap();
    service.activate();
    for _ in 0..3 {
        let vm = Vm::begin(Beginning::Start(&plugin), &dynamic, 0, exchange(&service)).unwrap();
        let context = vm.create_stream(0, &shared(&stream()), SLOT).unwrap();
        host.said();
        vm.on_request_headers(context, 2, true).unwrap();
        assert_eq!(host.said(), ["23", "9", "0", "4", "0", "4294967295"]);
    }
}

#[test]
fn a_start_for_an_exchange_does_none_of_the_root_contexts_work() {
    let plugin = Arc::new(granted(&busy()));
    let host = FakeHost::new();
    let dynamic: Arc<dyn Host> = Arc::clone(&host) as Arc<dyn Host>;
    let service = Vm::start(&plugin, &dynamic, 0).unwrap();
    service.activate();
    assert_eq!(host.asked().len(), 2);
    let _vm = Vm::begin(Beginning::Start(&plugin), &dynamic, 0, exchange(&service)).unwrap();
    assert!(host.asked().is_empty());
}

#[test]
fn a_fault_ends_one_exchange_and_no_other() {
    let guest = Guest::new().on(
        "proxy_on_request_headers",
        "(if (local.get 2) (then unreachable)) (i32.const 0)",
    );
    let frozen = Frozen::of(&guest);
    let (one, other) = (frozen.for_exchange(), frozen.for_exchange());
    let contexts = [&one, &other].map(|vm| vm.create_stream(0, &shared(&stream()), 1).unwrap());
    assert!(one.on_request_headers(contexts[0], 1, true).is_err());
    other.on_request_headers(contexts[1], 1, false).unwrap();
    assert!(!one.is_alive() && other.is_alive() && frozen.service.is_alive());
}

#[test]
fn a_lease_ends_with_its_vm() {
    let frozen = Frozen::of(&Guest::new());
    let lease = Arc::new(());
    let role = Role::Exchange {
        service: Arc::downgrade(&frozen.service),
        lease: Some(lease.clone()),
    };
    let vm = frozen.begin(role).unwrap();
    assert_eq!(Arc::strong_count(&lease), 2);
    drop(vm);
    assert_eq!(Arc::strong_count(&lease), 1);
}
