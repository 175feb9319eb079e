//! TCP connections through chains of filters, by both SDKs.

use portcullis_tests::deadline::until;
use portcullis_tests::{Authority, Config, Filter, Origin, Proxy, RawClient, RawOrigin};
use serde_json::{Value, json};

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    bytes_are_changed_in_both_directions,
    a_paused_plugin_gathers_what_comes,
    a_connection_waits_for_a_callout,
    a_plugin_refuses_a_connection,
    the_life_of_a_connection_is_told_in_order,
    a_tick_resumes_a_connection,
    properties_of_a_connection,
    state_outlives_connections,
);

/// The access line of the only connection.
pub(crate) async fn line(proxy: &Proxy) -> Value {
    proxy
        .access_line("the connection", |line| line["protocol"] == "TCP")
        .await
}

/// Without a chain, and without routes in the file.
#[tokio::test]
async fn bytes_are_relayed_both_ways_to_their_ends() {
    let origin = RawOrigin::echo().await;
    let proxy = Config::new().origin(origin.address()).tcp().start().await;
    let mut client = proxy.raw().await;
    for word in ["one", "two"] {
        client.send(word).await;
        assert_eq!(client.bytes(3).await, word.as_bytes());
    }
    client.finish().await;
    assert!(client.closed().await);
    let line = line(&proxy).await;
    assert_eq!(line["end"], "closed", "{line}");
    assert_eq!(
        (&line["bytes_received"], &line["bytes_sent"]),
        (&json!(6), &json!(6))
    );
    assert_eq!(line["upstream"]["address"], origin.address().to_string());
    let metrics = proxy
        .until_metrics("the end", |metrics| {
            metrics.sum("portcullis_tcp_connections_total", &[("end", "closed")]) == 1.0
        })
        .await;
    for name in [
        "portcullis_tcp_received_bytes_total",
        "portcullis_tcp_sent_bytes_total",
    ] {
        assert_eq!(metrics.sum(name, &[("listener", "tcp")]), 6.0);
    }
}

/// Requests first to last, responses last to first.
async fn bytes_are_changed_in_both_directions(guest: Guest) {
    let adding = |text: &str| {
        guest(json!({ "tcp": true, "on": {
            "downstream_data": [{ "at_end": [{ "append": text }] }],
            "upstream_data": ["upper", { "at_end": [{ "prepend": text }] }],
        }}))
    };
    let (Some(one), Some(two)) = (adding("1"), adding("2")) else {
        return;
    };
    let origin = RawOrigin::start(|mut wire| async move {
        assert_eq!(wire.rest().await, b"ab12");
        wire.send("xyz").await;
        wire.finish().await;
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("one", one)
        .filter("two", two)
        .tcp()
        .start()
        .await;
    let mut client = proxy.raw().await;
    client.send("ab").await;
    client.finish().await;
    let back = client.rest().await;
    // The end comes with a call of its own, after the bytes have gone on.
    assert_eq!(String::from_utf8_lossy(&back), "XYZ12");
}

async fn a_paused_plugin_gathers_what_comes(guest: Guest) {
    let filter = script!(guest, { "tcp": true, "on": {
        "downstream_data": [{ "gather": 6 }, { "size": "seen" }, { "replace": "whole" }],
    }});
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("gather", filter)
        .tcp()
        .start()
        .await;
    let mut client = proxy.raw().await;
    client.send("ab").await;
    proxy
        .until_metrics("the first call", |metrics| {
            metrics.sum(
                "portcullis_filter_duration_seconds_count",
                &[("phase", "downstream_data")],
            ) == 1.0
        })
        .await;
    client.send("cdef").await;
    assert_eq!(client.bytes(5).await, b"whole");
    assert_eq!(origin.bytes(), b"whole");
    proxy.until_log("seen=6").await;
}

async fn a_connection_waits_for_a_callout(guest: Guest) {
    let filter = script!(guest, { "tcp": true, "on": {
        "new_connection": [{ "call": { "upstream": "judge" } }, "pause"],
        "calls_done": [{ "call_status": "verdict" }, { "resume": "request" }],
    }});
    let (asked, mut asking) = tokio::sync::mpsc::channel(1);
    let judge = Origin::handling(move |_| {
        let asked = asked.clone();
        async move {
            let (answer, answered) = tokio::sync::oneshot::channel::<()>();
            asked.send(answer).await.expect("the test");
            let _ = answered.await;
            http::Response::new(portcullis_tests::origin::full("yes"))
        }
    })
    .await;
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .upstream("judge", judge.address())
        .filter("ask", filter.may_call(&["judge"]))
        .tcp()
        .start()
        .await;
    let mut client = proxy.raw().await;
    client.send("early").await;
    let answer = asking.recv().await.expect("a callout");
    assert_eq!(origin.connections(), 0, "nobody behind hears of it before");
    answer.send(()).expect("the judge");
    assert_eq!(client.bytes(5).await, b"early");
    proxy.until_log("verdict=200").await;
}

async fn a_plugin_refuses_a_connection(guest: Guest) {
    let filter =
        script!(guest, { "tcp": true, "on": { "new_connection": [{ "close": "request" }] } });
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("refuse", filter)
        .tcp()
        .start()
        .await;
    let mut client = proxy.raw().await;
    assert!(client.closed().await);
    assert_eq!(line(&proxy).await["end"], "filter_closed");
    assert_eq!(origin.connections(), 0);
}

/// Envoy's order for TCP, and who closed: 1 the proxy, 2 the other side.
async fn the_life_of_a_connection_is_told_in_order(guest: Guest) {
    let say = |word: &str| json!([{ "log": ["info", format!("step={word}")] }]);
    let filter = script!(guest, { "tcp": true, "on": {
        "new_connection": say("new"),
        "downstream_data": [{ "if_body": ["ping", say("ping")] }, { "at_end": say("client-end") }],
        "upstream_data": [{ "if_body": ["pong", say("pong")] }, { "at_end": say("origin-end") }],
        "upstream_close": [{ "size": "step=origin-closed" }],
        "downstream_close": [{ "size": "step=client-closed" }],
        "done": say("done"),
    }});
    for (client_first, ends) in [
        (
            false,
            [
                "origin-end",
                "origin-closed=2",
                "client-end",
                "client-closed=2",
            ],
        ),
        (
            true,
            [
                "client-end",
                "origin-end",
                "origin-closed=2",
                "client-closed=1",
            ],
        ),
    ] {
        let origin = RawOrigin::start(move |mut wire| async move {
            assert_eq!(wire.bytes(4).await, b"ping");
            wire.send("pong").await;
            if client_first {
                assert!(wire.closed().await);
            }
            wire.finish().await;
            wire.rest().await;
        })
        .await;
        let config = Config::new()
            .origin(origin.address())
            .filter("told", filter.clone());
        let proxy = config.tcp().start().await;
        let mut client = proxy.raw().await;
        client.send("ping").await;
        assert_eq!(client.bytes(4).await, b"pong");
        if !client_first {
            assert!(client.closed().await);
        }
        client.finish().await;
        client.rest().await;
        let log = proxy.until_log("step=done").await;
        let steps: Vec<_> = log
            .match_indices("step=")
            .map(|(at, _)| {
                log[at + 5..]
                    .split(['"', '\n', ' '])
                    .next()
                    .unwrap_or_default()
            })
            .collect();
        assert_eq!(
            steps,
            [&["new", "ping", "pong"][..], &ends, &["done"]].concat()
        );
    }
}

async fn a_tick_resumes_a_connection(guest: Guest) {
    let filter = script!(guest, { "tcp": true, "tick_ms": 20, "on": {
        "new_connection": ["resume_on_tick"],
        "downstream_data": [{ "gather": 3 }, "resume_on_tick"],
        "woken": [{ "append": "!" }],
    }});
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("wait", filter)
        .tcp()
        .start()
        .await;
    let mut client = proxy.raw().await;
    client.send("abc").await;
    // What it holds can be seen and changed outside of its callback too, and goes on without another one.
    assert_eq!(client.bytes(4).await, b"abc!");
}

async fn properties_of_a_connection(guest: Guest) {
    let filter = script!(guest, { "tcp": true, "on": {
        "new_connection": [
            { "property": ["source.address", "source"] },
            { "property_number": ["destination.port", "port"] },
            { "property": ["upstream.address", "before"] },
            { "property": ["request.path", "path"] },
            { "property": ["plugin_name", "plugin"] },
            { "set_property": ["mine", "kept"] },
        ],
        "downstream_data": [
            { "property": ["upstream.address", "after"] },
            { "property": ["cluster_name", "cluster"] },
            { "property": ["listener_name", "listener"] },
            { "property": ["mine", "mine"] },
            // A connection has no reply to give.
            { "log": ["info", "last"] },
        ],
    }});
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("look", filter)
        .tcp()
        .start()
        .await;
    let mut client = proxy.raw().await;
    client.send("x").await;
    assert_eq!(client.bytes(1).await, b"x");
    let log = proxy.until_log("last").await;
    for said in [
        "source=127.0.0.1:".to_owned(),
        format!("port={}", proxy.address().port()),
        "before=-".to_owned(),
        "path=-".to_owned(),
        "plugin=look".to_owned(),
        format!("after={}", origin.address()),
        "cluster=origin".to_owned(),
        "listener=tcp".to_owned(),
        "mine=kept".to_owned(),
    ] {
        assert!(log.contains(&said), "{said}");
    }
}

async fn state_outlives_connections(guest: Guest) {
    let filter = script!(guest, { "tcp": true, "on": {
        "new_connection": [{ "share_increment": "count" }, { "share_get": ["count", "count"] }],
    }});
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("count", filter)
        .tcp()
        .start()
        .await;
    // Connections go to workers in turn: the third and fourth see what other VMs wrote.
    for count in 1..=4 {
        let mut client = proxy.raw().await;
        client.send("x").await;
        assert_eq!(client.bytes(1).await, b"x");
        proxy.until_log(&format!("count={count}")).await;
    }
}

/// The origin speaks first, and the client says nothing.
#[tokio::test]
async fn a_server_may_speak_first() {
    let filter = Filter::rust(json!({ "on": { "upstream_data": [{ "prepend": "[" }] } })).tcp();
    let origin = RawOrigin::start(|mut wire| async move {
        wire.send("220 ready").await;
        wire.rest().await;
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("banner", filter)
        .tcp()
        .start()
        .await;
    let mut client = proxy.raw().await;
    assert_eq!(client.bytes(10).await, b"[220 ready");
}

/// The origin's direction is held, and resumed, like the client's.
#[tokio::test]
async fn what_the_origin_sends_is_held_until_resumed() {
    let filter = Filter::rust(json!({ "tick_ms": 20, "on": {
        "upstream_data": [{ "gather": 4 }, "resume_on_tick"],
        "woken": [{ "append": "." }],
    }}))
    .tcp();
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("hold", filter)
        .tcp()
        .start()
        .await;
    let mut client = proxy.raw().await;
    client.send("ab").await;
    until("the echo", async || (origin.bytes() == b"ab").then_some(())).await;
    client.send("cd").await;
    assert_eq!(client.bytes(5).await, b"abcd.");
}

/// With `hold: headers` a plugin is shown the client's bytes before an origin is chosen.
#[tokio::test]
async fn a_plugin_may_look_ahead_of_the_origin() {
    let filter = Filter::rust(json!({ "on": {
        "new_connection": ["pause"],
        "downstream_data": [{ "gather": 5 }, { "property": ["upstream.address", "origin"] }],
    }}))
    .tcp()
    .hold();
    let after = Filter::rust(json!({ "on": {
        "new_connection": [{ "log": ["info", "told"] }],
        "downstream_data": [{ "append": "!" }],
    }}))
    .tcp();
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("look", filter)
        .filter("after", after)
        .tcp()
        .start()
        .await;
    let mut client = proxy.raw().await;
    client.send("hel").await;
    proxy
        .until_metrics("the first look", |metrics| {
            metrics.sum("portcullis_tcp_received_bytes_total", &[]) == 3.0
        })
        .await;
    assert_eq!(origin.connections(), 0);
    assert!(!proxy.log().contains("told"));
    client.send("lo").await;
    assert_eq!(client.bytes(6).await, b"hello!");
    let log = proxy.until_log("told").await;
    assert!(log.contains("origin=-"), "it was not connected yet");
}

/// TLS ends at the listener; the origin gets the bytes.
#[tokio::test]
async fn tls_is_ended_at_the_listener() {
    let authority = Authority::new();
    let filter = Filter::rust(json!({ "on": {
        "new_connection": [{ "property": ["connection.requested_server_name", "sni"] }],
        "downstream_data": ["upper"],
    }}))
    .tcp();
    let origin = RawOrigin::echo().await;
    let (certificate, key) = authority.issue(&["localhost"]);
    let proxy = Config::new()
        .origin(origin.address())
        .filter("upper", filter)
        .tcp()
        .tls(&certificate, &key)
        .start()
        .await;
    let mut client = RawClient::tls(proxy.address(), &authority).await;
    client.send("secret").await;
    assert_eq!(client.bytes(6).await, b"SECRET");
    client.finish().await;
    assert!(client.closed().await);
    let line = line(&proxy).await;
    assert_eq!(
        (&line["end"], &line["tls"]["version"]),
        (&json!("closed"), &json!("TLSv1.3"))
    );
    proxy.until_log("sni=localhost").await;
}
