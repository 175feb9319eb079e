//! TCP connections: what a client sends and gets, and what of it the origin sees.

use serde_json::{Value, json};

use super::{Ask, Case, GET, TCP, case};

/// Sends four bytes and its end.
const SEND: Ask = Ask {
    method: TCP,
    body: &["sent"],
    ..GET
};

fn on(events: Value) -> Value {
    json!({ "tcp": true, "on": events })
}

/// What Envoy's own TCP proxy takes for the name of its cluster: 1 key, 2 value.
fn other_upstream() -> String {
    let fields = [(1_u8, "envoy.tcp_proxy.cluster"), (2, "other")];
    let fields = fields.map(|(number, text)| {
        let length = u8::try_from(text.len()).expect("a short text");
        [&[number << 3 | 2, length], text.as_bytes()].concat()
    });
    let bytes = fields.concat();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn cases() -> Vec<Case> {
    let one =
        |name: &str, events: Value, expected: &str| case(name, on(events), expected).asking(SEND);
    let asks = json!({ "call": { "upstream": "callee", "path": "/204" } });
    vec![
        one("bytes pass", json!({}), "client \"sent\", origin \"sent\""),
        one("bytes of the client are changed", json!({ "downstream_data": [{ "if_body": ["sent", [{ "append": "!" }]] }] }),
            "client \"sent!\", origin \"sent!\""),
        one("bytes of the origin are changed", json!({ "upstream_data": [{ "if_body": ["sent", ["upper", { "prepend": "[" }]] }] }),
            "client \"[SENT\", origin \"sent\""),
        one("two filters, there and back", json!({ "downstream_data": [{ "if_body": ["sent", [{ "append": "1" }]] }], "upstream_data": [{ "if_body": ["sent", [{ "prepend": "1" }]] }] }),
            "client \"12sent12\", origin \"sent12\"")
            .filter(on(json!({ "downstream_data": [{ "if_body": ["sent", [{ "append": "2" }]] }], "upstream_data": [{ "if_body": ["sent", [{ "prepend": "2" }]] }] }))),
        one("a refused connection", json!({ "new_connection": [{ "close": "request" }] }), "client \"\""),
        one("closed at a word", json!({ "downstream_data": [{ "if_body": ["sent", [{ "close": "request" }, "pause"]] }] }), "client \"\""),
        one("a connection that waits for a callout", json!({ "new_connection": [asks, "pause"], "calls_done": [{ "resume": "request" }] }),
            "client \"sent\", origin \"sent\""),
        one("another upstream", json!({ "new_connection": [{ "foreign": ["set_envoy_filter_state", other_upstream(), "chosen"] }] }),
            "client \"SENT\", other \"sent\""),
        one("properties", json!({ "new_connection": [{ "property": ["plugin_name", "tcp-plugin"] }, { "property": ["request.path", "tcp-path"] }, { "property_number": ["connection.id", "tcp-id"] }] }),
            "client \"sent\", origin \"sent\"").logging(&["tcp-plugin=case-", "tcp-path=-"]),
        one("the moments of a connection", json!({
            "new_connection": [{ "log": ["info", "tcp moment new"] }], "downstream_close": [{ "log": ["info", "tcp moment client closed"] }],
            "upstream_close": [{ "log": ["info", "tcp moment origin closed"] }] }),
            "client \"sent\", origin \"sent\"").logging(&["tcp moment new", "tcp moment client closed", "tcp moment origin closed"]),
        one("a fault", json!({ "downstream_data": [{ "if_body": ["sent", ["panic"]] }] }), "client \"\"").alone(),
    ]
}
