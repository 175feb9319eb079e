//! `isolation: request`: each exchange has a VM of its own, as the plugin was after its start.

use futures::future::join_all;
use http::{Request, Response};
use hyper::body::Frame;
use portcullis_tests::deadline::until;
use portcullis_tests::origin::{Body, full, parts};
use portcullis_tests::{Config, Filter, Origin, Proxy, RawOrigin};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    the_start_is_one_for_all_exchanges,
    answers_to_callouts_find_their_exchange,
    overrides_of_routes_are_in_the_snapshot,
    queues_are_read_by_the_vm_of_the_root_context,
    a_fault_touches_one_exchange,
    an_answer_finds_its_connection,
);

/// Writes into a global, its data and its zeros, and tells what it found there.
const SPY: &str = r#"
    (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (global $seen (mut i32) (i32.const 48))
    (data (i32.const 0) "x-seen")
    (data (i32.const 16) "???")
    (data (i32.const 32) "0")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (i32.store8 (i32.const 16) (global.get $seen))
        (i32.store8 (i32.const 17) (i32.load8_u (i32.const 32)))
        (i32.store8 (i32.const 18) (i32.add (i32.const 48) (i32.load8_u (i32.const 100000))))
        (drop (call $add (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 16) (i32.const 3)))
        (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
        (i32.store8 (i32.const 32) (i32.add (i32.load8_u (i32.const 32)) (i32.const 1)))
        (i32.store8 (i32.const 100000) (i32.add (i32.load8_u (i32.const 100000)) (i32.const 1)))
        (i32.const 0))"#;

/// What makes a module unfit for snapshots: an instruction that is never run.
const UNFIT: &str = r#"(data $segment "x") (func $never (data.drop $segment))"#;

fn isolated(filter: Filter) -> Filter {
    filter.set("isolation", json!("request"))
}

async fn start(origin: &Origin, filter: Filter) -> Proxy {
    let config = Config::new().origin(origin.address());
    config.filter("guest", filter).start().await
}

fn asking(what: &str) -> Request<Body> {
    let request = Request::get("/").header("x-do", what);
    request.body(full("")).expect("request")
}

/// What the spy found in each of so many requests, on one connection and then on several at once.
async fn spied(filter: Filter) -> (Vec<String>, Proxy) {
    let origin = Origin::echo().await;
    let proxy = start(&origin, filter).await;
    let mut client = proxy.client().await;
    for _ in 0..5 {
        assert_eq!(client.get("/").await.status, 200);
    }
    join_all((0..4).map(|_| async {
        let mut client = proxy.client().await;
        for _ in 0..5 {
            assert_eq!(client.get("/").await.status, 200);
        }
    }))
    .await;
    let seen = origin.requests();
    let seen = seen.iter().map(|request| request.header("x-seen"));
    let seen = seen.map(|seen| seen.expect("the spy's header").to_owned());
    (seen.collect(), proxy)
}

#[tokio::test]
async fn an_exchange_finds_nothing_of_another() {
    let module = format!("(module {SPY})");
    let (seen, proxy) = spied(isolated(Filter::wat(&module))).await;
    assert_eq!(seen, ["000"; 25]);
    assert!(!proxy.log().contains("started anew"));
    // In a VM that is shared, the spy does find something.
    let (seen, _) = spied(Filter::wat(&module)).await;
    assert!(seen.contains(&"111".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn a_module_that_has_no_snapshot_is_started_for_each_exchange() {
    let (seen, proxy) = spied(isolated(Filter::wat(&format!("(module {SPY} {UNFIT})")))).await;
    assert_eq!(seen, ["000"; 25]);
    let log = proxy.log();
    assert_eq!(
        log.matches("started anew for every exchange").count(),
        1,
        "said once:\n{log}"
    );
    assert!(log.contains("data.drop"), "with the reason");
}

/// Four workers, and one VM was configured.
async fn the_start_is_one_for_all_exchanges(guest: Guest) {
    let filter = isolated(script!(guest, {
        "configure": [{ "share_increment": "starts" }],
        "request_headers": [{ "share_get": ["starts", "x-starts"] }],
    }));
    let origin = Origin::echo().await;
    let config = Config::new().origin(origin.address());
    let config = config.filter("guest", filter).set("/workers", json!(4));
    let proxy = config.start().await;
    for _ in 0..8 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    let requests = origin.requests();
    assert_eq!(requests.len(), 8);
    for request in requests {
        assert_eq!(request.header("x-starts"), Some("1"));
    }
    // The VMs of ended exchanges are gone.
    let alone = |metrics: &portcullis_tests::metrics::Metrics| {
        (metrics.sum("portcullis_vms", &[("filter", "guest")]) - 1.0).abs() < f64::EPSILON
    };
    proxy
        .until_metrics("one VM, that of the root context", alone)
        .await;
}

async fn answers_to_callouts_find_their_exchange(guest: Guest) {
    let filter = script!(guest, {
        "request_headers": [{ "call": { "upstream": "callee", "path": "/", "body": "asked" } }, "pause"],
        "call_response": [{ "call_body": "x-answer" }, { "resume": "request" }],
    });
    let filter = isolated(filter.may_call(&["callee"]));
    let (origin, callee) = (Origin::echo().await, Origin::echo().await);
    let proxy = Config::new()
        .origin(origin.address())
        .upstream("callee", callee.address())
        .filter("guest", filter)
        .start()
        .await;
    join_all((0..8).map(|_| async {
        let mut client = proxy.client().await;
        for _ in 0..3 {
            assert_eq!(client.get("/").await.status, 200);
        }
    }))
    .await;
    let requests = origin.requests();
    assert_eq!(requests.len(), 24);
    for request in requests {
        assert_eq!(request.header("x-answer"), Some("asked"));
    }
}

async fn overrides_of_routes_are_in_the_snapshot(guest: Guest) {
    let on = json!({ "request_headers": [{ "plugin_config": "x-config" }] });
    let Some(filter) = guest(json!({ "note": "base", "on": on })) else {
        return;
    };
    let origin = Origin::echo().await;
    let route = |name: &str| {
        json!({
            "name": name, "match": { "path": { "exact": format!("/{name}") } }, "chain": ["guest"],
            "upstream": "origin", "overrides": { "guest": { "note": name } },
        })
    };
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", isolated(filter))
        .route_value(route("one"))
        .route_value(route("two"))
        .route("rest", json!({}), &["guest"])
        .start()
        .await;
    for (path, note) in [
        ("/one", "one"),
        ("/two", "two"),
        ("/", "base"),
        ("/one", "one"),
    ] {
        assert_eq!(proxy.get(path).await.status, 200);
        let request = origin.next().await;
        let config = request.header("x-config").expect("the configuration");
        let config: serde_json::Value = serde_json::from_str(config).expect("JSON");
        assert_eq!(config["note"], note, "{path}");
    }
}

async fn queues_are_read_by_the_vm_of_the_root_context(guest: Guest) {
    let filter = isolated(script!(guest, {
        "configure": [{ "queue_register": "jobs" }],
        "queue_ready": [{ "dequeue": "done" }],
        "request_headers": [
            { "when": ["work", [{ "enqueue": ["guest", "jobs", "job"] }]] },
            { "share_get": ["done", "x-done"] },
        ],
    }));
    let origin = Origin::echo().await;
    let proxy = start(&origin, filter).await;
    for _ in 0..3 {
        let answer = proxy.client().await.send(asking("work")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(origin.next().await.header("x-queue"), Some("Ok(())"));
    }
    until("all jobs to be done", async || {
        proxy.get("/").await;
        (origin.next().await.header("x-done") == Some("job,job,job,")).then_some(())
    })
    .await;
}

/// With a shared VM both would fail; and five faults would keep the filter back for a while.
async fn a_fault_touches_one_exchange(guest: Guest) {
    let filter = script!(guest, { "request_headers": [
        { "when": ["wait", [{ "share_set": ["waits", "yes"] }, "pause"]] },
        { "when": ["fault", ["panic"]] },
        { "share_get": ["waits", "x-waits"] },
    ] });
    let filter = isolated(filter.limit("pause", "60s"));
    let origin = Origin::echo().await;
    let config = Config::new().origin(origin.address());
    let config = config.filter("guest", filter).set("/workers", json!(1));
    let proxy = config.start().await;
    let mut paused = proxy.client().await;
    let waiting = tokio::spawn(async move { paused.send(asking("wait")).await.status });
    until("the paused exchange", async || {
        proxy.get("/").await;
        (origin.next().await.header("x-waits") == Some("yes")).then_some(())
    })
    .await;
    for _ in 0..8 {
        let status = proxy.client().await.send(asking("fault")).await.status;
        assert_eq!(status, 503);
        assert_eq!(proxy.get("/").await.status, 200, "the next one works");
    }
    assert!(!waiting.is_finished(), "the paused one has its own VM");
    waiting.abort();
    let labels = [("filter", "guest"), ("kind", "trap")];
    let metrics = proxy.metrics().await;
    let faults = metrics.sum("portcullis_filter_faults_total", &labels);
    assert!((faults - 8.0).abs() < f64::EPSILON, "{faults} faults");
    let backed_off = metrics.sum("portcullis_filter_backed_off", &[("filter", "guest")]);
    assert!(backed_off.abs() < f64::EPSILON);
}

/// An origin that sends a response's head, and its end when it is told to.
async fn slow_origin() -> (Origin, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel::<()>(1);
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(wait));
    let origin = Origin::handling(move |request| {
        let (wait, slow) = (wait.clone(), request.uri().path() == "/slow");
        async move {
            let (sender, body) = parts();
            tokio::spawn(async move {
                let _ = sender.send(Ok(Frame::data("begun".into()))).await;
                if slow {
                    wait.lock().await.recv().await;
                }
            });
            Response::new(body)
        }
    })
    .await;
    (origin, go)
}

#[tokio::test]
async fn beyond_so_many_vms_an_exchange_waits_and_then_the_policy_decides() {
    for (skip, status) in [(false, 503), (true, 200)] {
        let filter = isolated(Filter::wat(&format!("(module {SPY})")));
        let limits = json!({ "cpu_per_call": "1s", "vms": 1, "pause": "200ms" });
        let filter = filter.set("limits", limits);
        let filter = if skip { filter.skip() } else { filter };
        let (origin, go) = slow_origin().await;
        let proxy = start(&origin, filter).await;
        let mut slow = proxy.client().await;
        let held = tokio::spawn(async move { slow.get("/slow").await.status });
        origin.wait_heads(1).await;
        assert_eq!(proxy.get("/").await.status, status);
        assert!(proxy.log().contains("limits.vms is 1"), "said in the log");
        go.send(()).await.expect("the origin");
        assert_eq!(held.await.expect("the client"), 200);
        until("room for another", async || {
            (proxy.get("/").await.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn who_waits_for_a_vm_gets_the_next_one() {
    let filter = isolated(Filter::wat(&format!("(module {SPY})")));
    let limits = json!({ "cpu_per_call": "1s", "vms": 1, "pause": "60s" });
    let filter = filter.set("limits", limits);
    let (origin, go) = slow_origin().await;
    let proxy = start(&origin, filter).await;
    let mut slow = proxy.client().await;
    let held = tokio::spawn(async move { slow.get("/slow").await.status });
    origin.wait_heads(1).await;
    let mut next = proxy.client().await;
    let waiting = tokio::spawn(async move { next.get("/").await.status });
    go.send(()).await.expect("the origin");
    assert_eq!(held.await.expect("the client"), 200);
    assert_eq!(waiting.await.expect("the client"), 200);
}

#[tokio::test]
async fn a_filter_that_cannot_start_is_refused_in_either_isolation() {
    for isolation in ["shared", "request"] {
        let failing =
            Filter::rust(json!({ "configure": ["fail"] })).set("isolation", json!(isolation));
        let origin = Origin::echo().await;
        let config = Config::new().origin(origin.address());
        let refused = Proxy::try_start(&config.filter("guest", failing)).await;
        let refused = refused.err().expect("refused");
        assert!(
            refused.log.contains("the filter cannot start"),
            "{}",
            refused.log
        );
    }
}

/// As many plugins as a platform has customers, of one module, each configured differently.
#[tokio::test]
async fn a_thousand_plugins_fit_into_a_gibibyte() {
    const PLUGINS: usize = 1000;
    const GIBIBYTE: u64 = 1 << 30;
    for isolation in ["shared", "request"] {
        let origin = Origin::echo().await;
        let mut config = Config::new()
            .origin(origin.address())
            .set("/observability/log/level", json!("warn"));
        for number in 0..PLUGINS {
            let name = format!("plugin-{number}");
            let on = json!({ "request_headers": [{ "set": ["x-plugin", name] }] });
            let filter = Filter::rust(on).set("isolation", json!(isolation));
            let matches = json!({ "path": { "exact": format!("/{number}") } });
            config = config.filter(&name, filter).route(&name, matches, &[&name]);
        }
        let proxy = config.start().await;
        let mut client = proxy.client().await;
        for number in 0..PLUGINS {
            assert_eq!(client.get(&format!("/{number}")).await.status, 200);
        }
        let last = origin.requests().pop().expect("the last request");
        assert_eq!(last.header("x-plugin"), Some("plugin-999"));
        let resident = proxy.rss();
        println!("{isolation}: {} MiB resident", resident >> 20);
        assert!(resident < GIBIBYTE, "{isolation}: {} MiB", resident >> 20);
    }
}

/// Replaces what the client sends by the number of times it has done so.
const TCP_SPY: &str = r#"(module
    (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (global $seen (mut i32) (i32.const 48))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 0))
    (func (export "proxy_on_downstream_data") (param $context i32) (param $size i32) (param $end i32) (result i32)
        (i32.store8 (i32.const 16) (global.get $seen))
        (if (local.get $size) (then
            (drop (call $set (i32.const 2) (i32.const 0) (local.get $size) (i32.const 16) (i32.const 1)))
            (global.set $seen (i32.add (global.get $seen) (i32.const 1)))))
        (i32.const 0)))"#;

/// A connection is to TCP what an exchange is to HTTP: it keeps its VM for life, and finds nothing of another.
#[tokio::test]
async fn a_connection_finds_nothing_of_another() {
    let origin = RawOrigin::echo().await;
    for (isolation, second) in [("request", "01"), ("shared", "23")] {
        let filter = Filter::wat(TCP_SPY).set("isolation", json!(isolation));
        let config = Config::new().origin(origin.address()).filter("spy", filter);
        let proxy = config.tcp().set("/workers", json!(1)).start().await;
        let mut clients = [proxy.raw().await, proxy.raw().await];
        for (client, expected) in clients.iter_mut().zip(["01", second]) {
            for digit in expected.chars() {
                client.send("x").await;
                assert_eq!(client.bytes(1).await, [digit as u8], "{isolation}");
            }
        }
        for client in &mut clients {
            client.finish().await;
            assert!(client.closed().await);
        }
    }
}

async fn an_answer_finds_its_connection(guest: Guest) {
    let filter = script!(guest, { "tcp": true, "on": {
        "new_connection": [{ "call": { "upstream": "judge", "path": "/verdict" } }, "pause"],
        "calls_done": [{ "call_status": "verdict" }, { "resume": "request" }],
        "downstream_data": [{ "append": "!" }],
    }});
    let (origin, judge) = (RawOrigin::echo().await, Origin::echo().await);
    let proxy = Config::new()
        .origin(origin.address())
        .upstream("judge", judge.address())
        .filter("ask", isolated(filter.may_call(&["judge"])))
        .tcp()
        .start()
        .await;
    join_all((0..4).map(|_| async {
        let mut client = proxy.raw().await;
        client.send("abc").await;
        assert_eq!(client.bytes(4).await, b"abc!");
    }))
    .await;
    assert_eq!(judge.heads(), 4);
    proxy.until_log("verdict=200").await;
}

/// Counts how often it is configured.
const COUNTED: &str = r#"
    (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "configured")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $define (i32.const 0) (i32.const 0) (i32.const 10) (i32.const 16)))
        (drop (call $increment (i32.load (i32.const 16)) (i64.const 1)))
        (i32.const 1))"#;

#[tokio::test]
async fn workers_begin_from_the_first_ones_snapshot_where_the_module_knows_of_snapshots() {
    let reseeding = format!(r#"{COUNTED} (func (export "portcullis_reseed"))"#);
    for (module, starts) in [(COUNTED, 2.0), (reseeding.as_str(), 1.0)] {
        let origin = Origin::echo().await;
        let proxy = start(&origin, Filter::wat(module)).await;
        for _ in 0..8 {
            assert_eq!(proxy.client().await.get("/").await.status, 200);
        }
        let counted = |metrics: &portcullis_tests::metrics::Metrics| {
            metrics.sum("portcullis_guest_configured_total", &[]) == starts
        };
        proxy.until_metrics("starts", counted).await;
        let metrics = proxy.metrics().await;
        assert_eq!(metrics.sum("portcullis_vms", &[]), 2.0);
    }
}
