//! Properties: every name of the table, in its encoding. Those of a request are asked in the request, others in the
//! response. Where a value differs from run to run, its size is compared.

use serde_json::{Value, json};

use super::{Ask, Case, GET, case};

const ASK: Ask = Ask {
    method: "POST",
    path: "/multi?q=1",
    headers: &[
        ("x-a", "1"),
        ("x-a", "2"),
        ("referer", "http://from.test/"),
        ("user-agent", "kit"),
    ],
    body: &["body"],
    ..GET
};

/// How a value is compared.
#[derive(Clone, Copy)]
enum As {
    Text,
    /// Eight bytes, little endian.
    Number,
    /// One byte.
    Flag,
    /// How many bytes it has.
    Size,
}

/// Name of the case, property in a request, its kind, its value.
const REQUEST: [(&str, As, &str); 35] = [
    ("request.path", As::Text, "/multi?q=1"),
    ("request.url_path", As::Text, "/multi"),
    ("request.query", As::Text, "q=1"),
    ("request.method", As::Text, "POST"),
    ("request.scheme", As::Text, "http"),
    ("request.protocol", As::Text, "HTTP/1.1"),
    ("request.referer", As::Text, "http://from.test/"),
    ("request.useragent", As::Text, "kit"),
    ("request.headers.x-a", As::Text, "1,2"),
    ("request.headers.x-none", As::Text, "-"),
    ("request.host", As::Size, "*"),
    ("request.id", As::Size, "32"),
    ("request.time", As::Size, "8"),
    ("request.size", As::Number, "4"),
    ("request.duration", As::Size, "-"),
    ("response.code", As::Number, "-"),
    ("source.address", As::Size, "15"),
    ("source.port", As::Size, "8"),
    ("destination.address", As::Size, "15"),
    ("destination.port", As::Size, "8"),
    ("connection.id", As::Size, "8"),
    ("connection.mtls", As::Flag, "[0]"),
    ("connection.requested_server_name", As::Text, "-"),
    ("connection.tls_version", As::Text, "-"),
    ("connection.subject_peer_certificate", As::Text, "-"),
    ("upstream.address", As::Size, "-"),
    ("plugin_name", As::Size, "*"),
    ("plugin_root_id", As::Text, "-"),
    ("plugin_vm_id", As::Text, "Rust"),
    ("listener_direction", As::Number, "1"),
    ("xds.listener_direction", As::Number, "1"),
    ("route_name", As::Size, "*"),
    ("xds.route_name", As::Size, "*"),
    ("cluster_name", As::Text, "origin"),
    ("no_such_property", As::Text, "-"),
];

const RESPONSE: [(&str, As, &str); 11] = [
    ("response.code", As::Number, "200"),
    ("response.flags", As::Number, "0"),
    ("response.headers.x-multi", As::Text, "a,b"),
    ("response.headers.x-none", As::Text, "-"),
    ("response.grpc_status", As::Number, "-"),
    ("request.path", As::Text, "/multi?q=1"),
    ("request.method", As::Text, "POST"),
    ("request.headers.x-a", As::Text, "1,2"),
    ("upstream.address", As::Size, "15"),
    ("upstream.port", As::Size, "8"),
    ("xds.cluster_name", As::Text, "origin"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = REQUEST
        .into_iter()
        .map(|(path, kind, value)| in_request(path, kind, value))
        .chain(
            RESPONSE
                .into_iter()
                .map(|(path, kind, value)| in_response(path, kind, value)),
        )
        .collect();
    cases.extend(stored());
    cases
}

fn read(path: &str, kind: As) -> Value {
    let op = match kind {
        As::Text => "property",
        As::Number => "property_number",
        As::Flag => "property_flag",
        As::Size => "property_size",
    };
    json!({ op: [path, "x-value"] })
}

/// `*`: some bytes, their number is the case's own.
fn checked(ops: &mut Vec<Value>, value: &str) -> String {
    if value != "*" {
        return value.to_owned();
    }
    ops.push(json!({ "if": ["x-value", "-", [{ "set": ["x-value", "none"] }]] }));
    ops.push(json!({ "if": ["x-value", "0", [{ "set": ["x-value", "none"] }]] }));
    ops.push(json!({ "unless": ["x-value", "none", [{ "set": ["x-value", "some"] }]] }));
    "some".to_owned()
}

fn in_request(path: &str, kind: As, value: &str) -> Case {
    let mut ops = vec![read(path, kind)];
    let value = checked(&mut ops, value);
    let seen = format!(
        "client 200 x-multi=a|b x-origin=1 \"body\", origin POST /multi?q=1 x-a=1|2 x-value={value} \"body\""
    );
    case(path, json!({ "request_headers": ops }), &seen)
        .asking(ASK)
        .rust()
}

fn in_response(path: &str, kind: As, value: &str) -> Case {
    let mut ops = vec![read(path, kind)];
    let value = checked(&mut ops, value);
    let seen = format!(
        "client 200 x-multi=a|b x-origin=1 x-value={value} \"body\", origin POST /multi?q=1 x-a=1|2 \"body\""
    );
    let name = format!("{path} in the response");
    case(&name, json!({ "response_headers": ops }), &seen)
        .asking(ASK)
        .rust()
}

fn stored() -> Vec<Case> {
    let seen = |value: &str| format!("client 200 x-origin=1, origin GET / x-value={value}");
    let on = |ops| json!({ "request_headers": ops });
    vec![
        case("a property is set and read", on(json!([{ "set_property": ["kit_own", "v"] }, { "property": ["kit_own", "x-value"] }])), &seen("v")),
        case("a later filter reads what was set", on(json!([{ "set_property": ["kit_later", "v"] }])), &seen("v"))
            .filter(on(json!([{ "property": ["kit_later", "x-value"] }]))),
        case("a property of two segments is set", on(json!([{ "set_property": ["kit.two", "v"] }, { "property": ["kit.two", "x-value"] }])), &seen("v")).rust(),
        case("a response reads what its request set", json!({ "request_headers": [{ "set_property": ["kit_response", "v"] }], "response_headers": [{ "property": ["kit_response", "x-value"] }] }),
            "client 200 x-origin=1 x-value=v, origin GET /"),
        case("what was set is gone with its exchange", json!({ "request_headers": [{ "property": ["kit_gone", "x-value"] }], "response_headers": [{ "set_property": ["kit_gone", "v"] }] }),
            &seen("-")).then(GET, &seen("-")),
    ]
}
