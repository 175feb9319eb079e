//! What ends a TCP connection against its will.

use portcullis_tests::{Config, Filter, Origin, Proxy, RawClient, RawOrigin};
use serde_json::{Value, json};

use crate::tcp::line;

/// Every callback of a connection, and whether bytes get to the origin before it.
const CALLBACKS: [(&str, bool); 3] = [
    ("new_connection", false),
    ("downstream_data", false),
    ("upstream_data", true),
];

async fn start(origin: &RawOrigin, filter: Filter) -> Proxy {
    Config::new()
        .origin(origin.address())
        .filter("guard", filter)
        .tcp()
        .start()
        .await
}

/// Whether a client that sends this is reset, sooner or later.
async fn resets(proxy: &Proxy, send: &[u8]) -> bool {
    // A reset is told once: by the call that meets it first.
    let met = async {
        let mut client = RawClient::try_connect(proxy.address()).await?;
        client.try_send(send).await?;
        Ok::<_, std::io::Error>(client)
    };
    match met.await {
        Ok(mut client) => client.is_reset().await,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn panicking(callback: &str) -> Filter {
    Filter::rust(json!({ "tcp": true, "on": { callback: ["panic"] } }))
}

/// Reset, so that nobody takes what came so far for the whole; and nothing that the plugin saw is forwarded.
#[tokio::test]
async fn a_fault_resets_the_connection() {
    for (callback, asked) in CALLBACKS {
        let origin = RawOrigin::echo().await;
        let proxy = start(&origin, panicking(callback)).await;
        assert!(resets(&proxy, b"hello").await, "{callback}");
        let line = line(&proxy).await;
        assert_eq!(line["end"], "filter_fault", "{callback}");
        assert_eq!(line["chain"]["faults"], 1, "{callback}");
        assert_eq!(
            origin.bytes(),
            if asked { &b"hello"[..] } else { b"" },
            "{callback}"
        );
        // The next connection is served by another VM, with the same end.
        assert!(resets(&proxy, b"hello").await, "{callback}");
    }
}

#[tokio::test]
async fn a_fault_is_passed_over_where_the_policy_says_so() {
    for (callback, _) in CALLBACKS {
        let origin = RawOrigin::echo().await;
        let after = Filter::rust(json!({ "tcp": true, "on": { "downstream_data": ["upper"] } }));
        let config = Config::new()
            .origin(origin.address())
            .filter("broken", panicking(callback).skip())
            .filter("after", after);
        let proxy = config.tcp().start().await;
        let mut client = proxy.raw().await;
        for word in ["one", "two"] {
            client.send(word).await;
            assert_eq!(
                client.bytes(3).await,
                word.to_uppercase().as_bytes(),
                "{callback}"
            );
        }
        client.finish().await;
        assert!(client.closed().await);
        let line = line(&proxy).await;
        assert_eq!(
            (&line["end"], &line["chain"]["faults"]),
            (&json!("closed"), &json!(1))
        );
    }
}

/// A fault after the end harms nobody but its VM.
#[tokio::test]
async fn a_fault_in_a_closing_callback_is_counted() {
    for callback in [
        "upstream_close",
        "downstream_close",
        "done",
        "log",
        "delete",
    ] {
        let origin = RawOrigin::echo().await;
        let proxy = start(&origin, panicking(callback)).await;
        let mut client = proxy.raw().await;
        client.send("hello").await;
        client.finish().await;
        let back = client.rest().await;
        let line = line(&proxy).await;
        assert_eq!(line["chain"]["faults"], 1, "{callback}");
        // The origin's end is seen while its bytes are still on their way.
        if callback != "upstream_close" {
            assert_eq!(
                (back, &line["end"]),
                (b"hello".to_vec(), &json!("closed")),
                "{callback}"
            );
        }
        proxy
            .until_metrics("the fault", |metrics| {
                metrics.sum("portcullis_filter_faults_total", &[("filter", "guard")]) == 1.0
            })
            .await;
    }
}

/// A VM that dies by one connection takes those along that had bytes with it, by its policy.
#[tokio::test]
async fn connections_of_a_lost_vm_end_or_go_on_by_its_policy() {
    for skip in [false, true] {
        let filter = Filter::rust(json!({ "tcp": true, "on": {
            "downstream_data": [{ "if_body": ["break", ["panic"]] }, { "if_body": ["hold", ["pause"]] }],
        }}));
        let filter = if skip { filter.skip() } else { filter };
        let origin = RawOrigin::echo().await;
        let config = Config::new()
            .origin(origin.address())
            .filter("guard", filter);
        let proxy = config.tcp().set("/workers", json!(1)).start().await;
        let mut held = proxy.raw().await;
        held.send("hold").await;
        proxy
            .until_metrics("the pause", |metrics| {
                metrics.sum(
                    "portcullis_filter_duration_seconds_count",
                    &[("phase", "downstream_data")],
                ) == 1.0
            })
            .await;
        let mut breaking = proxy.raw().await;
        breaking.send("break").await;
        if skip {
            assert_eq!(breaking.bytes(5).await, b"break");
            assert_eq!(held.bytes(4).await, b"hold");
        } else {
            assert!(breaking.is_reset().await);
            assert!(held.is_reset().await);
            assert_eq!(origin.bytes(), b"");
        }
    }
}

async fn ends_with(end: &str, filter: Value, limits: &[(&str, &str)], send: &[u8]) -> Value {
    let origin = RawOrigin::echo().await;
    let mut filter = Filter::rust(filter).tcp();
    for (name, value) in limits {
        filter = filter.limit(name, value);
    }
    let proxy = start(&origin, filter).await;
    assert!(resets(&proxy, send).await);
    assert_eq!(origin.bytes(), b"");
    let line = line(&proxy).await;
    assert_eq!(line["end"], end);
    line
}

#[tokio::test]
async fn a_pause_has_an_end() {
    let pause = ("pause", "200ms");
    let new = json!({ "on": { "new_connection": ["pause"] } });
    ends_with("filter_timeout", new, &[pause], b"hello").await;
    // The client has ended: nothing more can come for the plugin to see.
    let origin = RawOrigin::echo().await;
    let filter = Filter::rust(json!({ "on": { "downstream_data": ["pause"] } })).tcp();
    let proxy = start(&origin, filter.limit("pause", "200ms")).await;
    let mut client = proxy.raw().await;
    client.send("hello").await;
    client.finish().await;
    assert!(client.is_reset().await);
    assert_eq!(line(&proxy).await["end"], "filter_timeout");
}

/// What a plugin holds is bounded: then the client has to wait, and the pause has an end.
#[tokio::test]
async fn what_a_plugin_gathers_is_bounded() {
    let filter = json!({ "on": { "downstream_data": [{ "gather": 100_000_000 }] } });
    let limits = [("pause", "300ms"), ("body_held", "100KiB")];
    let line = ends_with("filter_timeout", filter, &limits, &vec![7; 150_000]).await;
    let received = line["bytes_received"].as_u64().expect("a number");
    assert!(
        (102_400..102_400 + 65_536).contains(&received),
        "{received}"
    );
}

#[tokio::test]
async fn a_plugin_cannot_hold_more_by_writing() {
    let filter = json!({ "on": { "downstream_data": [{ "append": "0123456789" }, "pause"] } });
    let line = ends_with(
        "filter_overflow",
        filter,
        &[("body_held", "1KiB")],
        &[7; 1020],
    )
    .await;
    assert_eq!(line["chain"], Value::Null, "no fault of a VM");
}

/// A loop is a fault by its CPU time, as for requests.
#[tokio::test]
async fn a_loop_is_ended() {
    let filter = json!({ "on": { "downstream_data": ["loop"] } });
    ends_with("filter_fault", filter, &[("cpu_per_call", "50ms")], b"x").await;
}

/// What has no meaning on a connection has no effect, and harms nobody.
#[tokio::test]
async fn calls_about_http_have_no_effect() {
    let filter = Filter::rust(json!({ "on": {
        "downstream_data": [
            { "map": "request_headers" }, { "add": ["x", "y"] }, { "count": "headers" },
            { "reply": { "status": 403 } },
        ],
        "upstream_data": [{ "log": ["info", "still there"] }],
    }}))
    .tcp();
    let origin = RawOrigin::echo().await;
    let proxy = start(&origin, filter.limit("pause", "200ms")).await;
    let mut client = proxy.raw().await;
    // The reply is refused; what it paused for goes on when the client has ended and the pause is over: not at all.
    client.send("hello").await;
    proxy.until_log("headers=0").await;
    proxy
        .until_metrics("refused calls", |metrics| {
            let labels = [("filter", "guard"), ("kind", "unavailable")];
            metrics.sum("portcullis_filter_refused_calls_total", &labels) == 2.0
        })
        .await;
    let metrics = proxy.metrics().await;
    assert!(
        !metrics.has("portcullis_filter_faults_total", &[("filter", "guard")])
            || metrics.sum("portcullis_filter_faults_total", &[("filter", "guard")]) == 0.0
    );
}

#[tokio::test]
async fn an_origin_that_cannot_be_connected() {
    let gone = RawOrigin::echo().await.address();
    let proxy = Config::new().origin(gone).tcp().start().await;
    assert!(resets(&proxy, b"").await);
    let line = line(&proxy).await;
    assert_eq!(line["end"], "connect_failed");
    assert_eq!(line["upstream"]["address"], gone.to_string());
    let metrics = proxy.metrics().await;
    assert_eq!(
        metrics.sum(
            "portcullis_upstream_connect_failures_total",
            &[("upstream", "origin")]
        ),
        1.0
    );
}

/// Another endpoint is tried before the client is let down.
#[tokio::test]
async fn another_endpoint_takes_over() {
    let gone = RawOrigin::echo().await.address();
    let origin = RawOrigin::echo().await;
    let endpoints = [gone, origin.address()].map(|at| json!({ "address": at.to_string() }));
    let proxy = Config::new()
        .set("/upstreams/origin", json!({ "endpoints": endpoints }))
        .tcp()
        .start()
        .await;
    for _ in 0..2 {
        let mut client = proxy.raw().await;
        client.send("x").await;
        assert_eq!(client.bytes(1).await, b"x");
    }
    assert_eq!(origin.connections(), 2);
}

/// A callout that fails answers too: the plugin decides.
#[tokio::test]
async fn a_failed_callout_resumes_by_the_plugin() {
    let gone = Origin::echo().await.address();
    let filter = Filter::rust(json!({ "on": {
        "new_connection": [{ "call": { "upstream": "judge" } }, "pause"],
        "calls_done": [{ "close": "request" }],
    }}))
    .tcp()
    .may_call(&["judge"]);
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .upstream("judge", gone)
        .filter("ask", filter)
        .tcp()
        .start()
        .await;
    assert!(proxy.raw().await.closed().await);
    assert_eq!(line(&proxy).await["end"], "filter_closed");
    assert_eq!(origin.connections(), 0);
}

/// A filter for HTTP would guard nothing there, so it is refused: at the start, by `check` and by a reload.
#[tokio::test]
async fn filters_for_http_are_refused() {
    let silent =
        "(module (memory (export \"memory\") 1) (func (export \"proxy_abi_version_0_2_1\")))";
    for filter in [
        Filter::builtin(
            "auth",
            json!({ "api_keys": { "header": "x", "keys": { "a": "b" } } }),
        ),
        Filter::wat(silent),
    ] {
        let origin = RawOrigin::echo().await;
        let config = Config::new()
            .origin(origin.address())
            .filter("guard", filter)
            .tcp();
        let refused = Proxy::try_start(&config).await.err().expect("a problem");
        let said = "the filter `guard` is for HTTP";
        assert!(
            refused.code == Some(1) && refused.log.contains(said),
            "{}",
            refused.log
        );
        let fit = Filter::rust(json!({ "on": {} })).tcp();
        let proxy = start(&origin, fit).await;
        let (status, answer) = proxy.reload(&config).await;
        assert!(
            status == 422 && answer.to_string().contains(said),
            "{answer}"
        );
        let check = portcullis_tests::proxy::command(proxy.folder())
            .args(["check", "-c", "portcullis.yaml"])
            .output()
            .expect("the command runs");
        let text = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(!check.status.success() && text.contains(said), "{text}");
    }
}
