//! Every property of an exchange, by each of its spellings, in Envoy's encodings.

use http::Response;
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Filter, Origin};
use serde_json::{Value, json};

/// What a property must be.
enum Is {
    /// This text.
    Text(&'static str),
    /// Some text that holds this.
    Like(&'static str),
    /// Eight bytes with this number.
    Number(i64),
    /// Eight bytes with a number above zero.
    Positive,
    /// One byte.
    Flag(u8),
    /// 32 hexadecimal digits.
    Hex,
    NotFound,
}

use Is::{Flag, Hex, Like, NotFound, Number, Positive, Text};

/// In the callback of the request's headers.
const OF_REQUEST: &[(&str, Is)] = &[
    ("request.path", Text("/a/b?c=d")),
    ("request.url_path", Text("/a/b")),
    ("request.query", Text("c=d")),
    ("request.host", Text("portcullis.test")),
    ("request.scheme", Text("http")),
    ("request.method", Text("POST")),
    ("request.protocol", Text("HTTP/1.1")),
    ("request.referer", Text("http://before")),
    ("request.useragent", Text("tester")),
    ("request.id", Hex),
    ("request.headers.x-two", Text("1,2")),
    ("request.headers.x-none", NotFound),
    ("request.time", Positive),
    ("request.duration", NotFound),
    ("request.size", Number(4)),
    ("request.headers_bytes", Positive),
    ("response.code", NotFound),
    ("source.address", Like("127.0.0.1:")),
    ("source.port", Positive),
    ("destination.address", Like("127.0.0.1:")),
    ("destination.port", Positive),
    ("connection.id", Positive),
    ("connection_id", Positive),
    ("connection.mtls", Flag(0)),
    ("connection.requested_server_name", NotFound),
    ("connection.tls_version", NotFound),
    ("connection.subject_peer_certificate", NotFound),
    ("upstream.num_endpoints", Number(1)),
    ("upstream.address", NotFound),
    ("upstream.request_attempt_count", NotFound),
    ("xds.cluster_name", Text("origin")),
    ("cluster_name", Text("origin")),
    ("xds.route_name", Text("all")),
    ("route_name", Text("all")),
    ("xds.listener_direction", Number(1)),
    ("listener_direction", Number(1)),
    ("xds.virtual_host_name", Text("portcullis.test")),
    ("xds.filter_chain_name", Text("http")),
    ("plugin_name", Text("reader")),
    ("plugin_root_id", Text("my_root")),
    ("plugin_vm_id", Text("my_vm")),
    ("plugin_vm_memory", Positive),
    // What the plugin before has set: its own, and one that the exchange has itself.
    ("trace_span_tag.tag", Text("own")),
    ("no.such.property", NotFound),
    ("no_such_property", NotFound),
];

/// In the callback of the response's headers.
const OF_RESPONSE: &[(&str, Is)] = &[
    ("request.path", Text("/a/b?c=d")),
    ("request.duration", Positive),
    ("request.total_size", Positive),
    ("response.code", Number(201)),
    ("response.headers.x-origin", Text("yes")),
    ("response.trailers.x-none", NotFound),
    ("response.headers_bytes", Positive),
    ("response.total_size", Positive),
    ("response.flags", Number(0)),
    ("response.grpc_status", Number(5)),
    ("response.code_details", Text("via_upstream")),
    ("response.backend_latency", Positive),
    ("upstream.address", Like("127.0.0.1:")),
    ("upstream.port", Positive),
    ("upstream.local_address", Like("127.0.0.1:")),
    ("upstream.request_attempt_count", Number(1)),
    ("upstream.cx_pool_ready_duration", Positive),
    ("upstream.locality", NotFound),
    ("connection.termination_details", NotFound),
    ("trace_span_tag.tag", Text("own")),
];

/// Empty messages and maps: there, and no bytes. The Rust SDK cannot tell that from what is not there.
const EMPTY: &[&str] = &[
    "xds.node",
    "node",
    "xds.cluster_metadata",
    "cluster_metadata",
    "xds.route_metadata",
    "route_metadata",
    "xds.listener_metadata",
    "listener_metadata",
    "xds.virtual_host_metadata",
    "xds.upstream_host_metadata",
    "upstream_host_metadata",
    "xds.upstream_host_locality_metadata",
    "metadata",
    "upstream_filter_state",
];

/// The operations that write each property to a header of its own.
fn readers(table: &[(&str, Is)]) -> Vec<Value> {
    let reader = |(index, (path, wanted)): (usize, &(&str, Is))| {
        let op = match wanted {
            Number(_) | Positive => "property_number",
            Flag(_) => "property_flag",
            Text(_) | Like(_) | Hex | NotFound => "property",
        };
        json!({ op: [path, format!("x-p-{index}")] })
    };
    table.iter().enumerate().map(reader).collect()
}

fn check(table: &[(&str, Is)], header: impl Fn(&str) -> Option<String>) {
    for (index, (path, wanted)) in table.iter().enumerate() {
        let found =
            header(&format!("x-p-{index}")).unwrap_or_else(|| panic!("{path} was not read"));
        let right = match wanted {
            Text(text) => found == *text,
            Like(part) => found.contains(part),
            Number(number) => found == number.to_string(),
            Positive => found.parse::<i64>().is_ok_and(|number| number > 0),
            Flag(byte) => found == format!("[{byte}]"),
            Hex => found.len() == 32 && found.bytes().all(|byte| byte.is_ascii_hexdigit()),
            NotFound => found == "-",
        };
        assert!(right, "{path}: {found:?}");
    }
}

#[tokio::test]
async fn each_has_its_value_in_its_phase() {
    let writer = Filter::rust(json!({ "request_headers": [
        { "set_property": ["trace_span_tag.tag", "own"] },
        // What a module sets does not hide what the exchange has itself.
        { "set_property": ["route_name", "another"] },
        // Names that modules built for Higress set.
        { "set_property": ["clear_route_cache", "off"] },
        { "set_property": ["set_decoder_buffer_limit", "100000"] },
        { "set_property": ["wasm_need_rebuild", "true"] },
    ]}));
    let reader = Filter::rust(json!({
        "request_headers": readers(OF_REQUEST),
        "response_headers": readers(OF_RESPONSE),
    }))
    .set("root_id", json!("my_root"))
    .set("vm_id", json!("my_vm"));
    let origin = Origin::answering(|_| {
        Response::builder()
            .status(201)
            .header("x-origin", "yes")
            .header("grpc-status", "5")
            .body(full("answer"))
            .expect("response")
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("writer", writer)
        .filter("reader", reader)
        .start()
        .await;
    let request = http::Request::post("/a/b?c=d")
        .header("user-agent", "tester")
        .header("referer", "http://before")
        .header("x-two", "1")
        .header("x-two", "2")
        .body(full("body"))
        .expect("request");
    let answer = proxy.client().await.send(request).await;
    assert_eq!(answer.status, 201);
    let seen = origin.next().await;
    check(OF_REQUEST, |name| seen.header(name).map(str::to_owned));
    check(OF_RESPONSE, |name| answer.header(name).map(str::to_owned));
}

#[tokio::test]
async fn what_has_nothing_in_it_is_there() {
    let reader =
        |(index, path): (usize, &&str)| json!({ "property": [path, format!("x-p-{index}")] });
    let readers: Vec<_> = EMPTY.iter().enumerate().map(reader).collect();
    let Some(filter) = Filter::go(json!({ "request_headers": readers })) else {
        return;
    };
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("reader", filter)
        .start()
        .await;
    assert_eq!(proxy.get("/").await.status, 200);
    let seen = origin.next().await;
    for (index, path) in EMPTY.iter().enumerate() {
        assert_eq!(seen.header(&format!("x-p-{index}")), Some(""), "{path}");
    }
}
