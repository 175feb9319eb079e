//! Foreign functions of Envoy. Arguments and results are hexadecimal; Protocol Buffers are written by hand.

use serde_json::{Value, json};

use super::{Case, case};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A message with short fields of bytes.
fn message(fields: &[(u8, &str)]) -> String {
    let field = |(number, text): &(u8, &str)| {
        let length = u8::try_from(text.len()).expect("a short field");
        assert!(length < 0x80, "one byte of length");
        hex(&[&[number << 3 | 2, length], text.as_bytes()].concat())
    };
    fields.iter().map(field).collect()
}

pub(crate) fn cases() -> Vec<Case> {
    let call = |name: &str, argument: &str| json!({ "foreign": [name, argument, "x-result"] });
    let on = |ops: Value| json!({ "request_headers": ops });
    let told = |seen: &str| format!("client 200 x-origin=1, origin GET / x-result={seen}");
    let state =
        |key: &str, value: &str| call("set_envoy_filter_state", &message(&[(1, key), (2, value)]));
    vec![
        case("what is compressed", on(json!([call("compress", &hex(b"hello"))])), &told("=789ccb48cdc9c90700062c0215")).rust(),
        case("what is uncompressed", on(json!([call("uncompress", "789ccb48cdc9c90700062c0215")])), &told("=68656c6c6f")),
        case("what is no zlib stream", on(json!([call("uncompress", "00")])), &told("SerializationFailure")).rust(),
        case("a name that is not there", on(json!([call("no_such_function", "")])), &told("NotFound")).rust(),
        case("a property is declared once", on(json!([call("declare_property", &message(&[(1, "mine")])), { "remove": "x-result" }, call("declare_property", &message(&[(1, "mine")]))])), &told("BadArgument")).rust(),
        case("state by Envoy's key", on(json!([state("envoy.string", "kept")])), &told("=")),
        case("state of a name that is not there", on(json!([state("no.such.object", "kept")])), &told("NotFound")).rust(),
        case("the route is cleared", on(json!([call("clear_route_cache", "")])), &told("=")),
        case("an expression", on(json!([{ "expression": ["request.method == 'GET'", "x-result"] }])), &told("=01")).rust(),
        case("what is no expression", on(json!([call("expr_create", &hex(b"1 +"))])), &told("BadArgument")).rust(),
        case("an expression that is not there", on(json!([call("expr_evaluate", "63000000")])), &told("NotFound")).rust(),
    ]
}
