//! Filters choose the upstream of a TCP connection: `set_envoy_filter_state` with Envoy's key.

use portcullis_tests::{Config, Filter, RawClient, RawOrigin};
use serde_json::json;

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    a_connection_goes_to_the_chosen_upstream,
    an_upstream_that_is_not_there_ends_the_connection,
);

/// The message, in hexadecimal: 1 key, 2 value.
fn choice(upstream: &str) -> String {
    let fields = [(1_u8, "envoy.tcp_proxy.cluster"), (2, upstream)];
    let fields = fields.map(|(number, text)| {
        let length = u8::try_from(text.len()).expect("a short text");
        [&[number << 3 | 2, length], text.as_bytes()].concat()
    });
    let bytes = fields.concat();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn granted(filter: Filter) -> Filter {
    let grants = json!({ "foreign": ["set_envoy_filter_state"] });
    filter.set("grants", grants)
}

async fn a_connection_goes_to_the_chosen_upstream(guest: Guest) {
    // The last one chosen before the origin is connected counts; what comes later has no effect.
    let filter = script!(guest, { "tcp": true, "on": {
        "new_connection": [
            { "foreign": ["set_envoy_filter_state", choice("origin"), "first"] },
            { "foreign": ["set_envoy_filter_state", choice("other"), "second"] },
        ],
        "upstream_data": [
            { "property": ["cluster_name", "cluster"] },
            { "foreign": ["set_envoy_filter_state", choice("origin"), "late"] },
        ],
    }});
    let answering = |text: &'static str| {
        RawOrigin::start(move |mut wire| async move {
            wire.bytes(1).await;
            wire.send(text).await;
            wire.finish().await;
        })
    };
    let (origin, other) = (answering("the origin").await, answering("the other").await);
    let proxy = Config::new()
        .origin(origin.address())
        .upstream("other", other.address())
        .filter("choose", granted(filter))
        .tcp()
        .start()
        .await;
    let mut client = proxy.raw().await;
    client.send("x").await;
    assert_eq!(client.rest().await, b"the other");
    client.finish().await;
    assert_eq!(origin.connections(), 0);
    proxy.until_log("cluster=other").await;
    let line = crate::tcp::line(&proxy).await;
    assert_eq!(line["upstream"]["name"], "other", "{line}");
}

async fn an_upstream_that_is_not_there_ends_the_connection(guest: Guest) {
    let filter = script!(guest, { "tcp": true, "on": {
        "new_connection": [{ "foreign": ["set_envoy_filter_state", choice("nowhere"), "chosen"] }],
    }});
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("choose", granted(filter))
        .tcp()
        .start()
        .await;
    // It is reset, perhaps before the client has done with connecting.
    if let Ok(mut client) = RawClient::try_connect(proxy.address()).await {
        let _ = client.try_send("x").await;
        assert!(client.closed().await);
    }
    assert_eq!(origin.connections(), 0);
    let line = crate::tcp::line(&proxy).await;
    assert_eq!(line["end"], "no_upstream", "{line}");
}
