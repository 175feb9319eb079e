//! Header maps: one value, many values, all pairs, both ways.

use serde_json::json;

use super::{Ask, Case, GET, case};

const TWO: Ask = Ask {
    headers: &[("x-a", "1"), ("x-b", "b"), ("x-a", "2")],
    ..GET
};

const MULTI: Ask = Ask {
    path: "/multi",
    ..GET
};

pub(crate) fn cases() -> Vec<Case> {
    [request(), response(), odd()].concat()
}

fn request() -> Vec<Case> {
    let on = |ops| json!({ "request_headers": ops });
    let ok = |seen: &str| format!("client 200 x-origin=1, origin GET /{seen}");
    vec![
        case("a request header is added", on(json!([{ "add": ["x-a", "1"] }])), &ok(" x-a=1")),
        case("a value is added to a request header", on(json!([{ "add": ["x-a", "3"] }])), &ok(" x-a=1|2|3 x-b=b")).asking(TWO),
        case("a request header is set", on(json!([{ "set": ["x-a", "1"] }])), &ok(" x-a=1")),
        case("set replaces every value", on(json!([{ "set": ["x-a", "3"] }])), &ok(" x-a=3 x-b=b")).asking(TWO),
        case("remove takes every value", on(json!([{ "remove": "x-a" }])), &ok(" x-b=b")).asking(TWO),
        case("removing what is not there", on(json!([{ "remove": "x-c" }])), &ok("")),
        case("a get gives the first value", on(json!([{ "copy": ["x-a", "x-first"] }])), &ok(" x-a=1|2 x-b=b x-first=1")).asking(TWO),
        case("a get of what is not there", on(json!([{ "copy": ["x-c", "x-first"] }])), &ok(" x-first=-")),
        case("pairs have every value", on(json!([{ "list": ["x-a", "x-all"] }])), &ok(" x-a=1|2 x-all=1|2 x-b=b")).asking(TWO),
        case("names are without case", on(json!([{ "set": ["X-A", "3"] }, { "copy": ["x-A", "x-first"] }])), &ok(" x-a=3 x-b=b x-first=3")).asking(TWO),
        case("an empty value", on(json!([{ "set": ["x-a", ""] }, { "list": ["x-a", "x-all"] }])), &ok(" x-a= x-all=")),
        case("pairs replace the map", on(json!([{ "set_all": [[":method", "PUT"], [":scheme", "http"], [":authority", "a.test"], [":path", "/new"], ["x-forwarded-proto", "http"], ["x-only", "1"], ["x-only", "2"]] }])),
            "client 200 x-origin=1, origin PUT /new x-only=1|2").asking(TWO),
        case("the path is set", on(json!([{ "set": [":path", "/changed?a=b"] }])), &ok("changed?a=b")),
        case("the method is set", on(json!([{ "set": [":method", "OPTIONS"] }])), "client 200 x-origin=1, origin OPTIONS /"),
        case("pseudo headers are read", on(json!([{ "copy": [":method", "x-method"] }, { "copy": [":path", "x-path"] }, { "copy": [":scheme", "x-scheme"] }])),
            &ok("a?b x-method=GET x-path=/a?b x-scheme=http")).asking(Ask { path: "/a?b", ..GET }),
        case("the host is :authority", on(json!([{ "copy": ["host", "x-host"] }, { "if": ["x-host", "-", [{ "set": ["x-missing", "1"] }]] }, { "set": [":authority", "other.test"] }, { "copy": [":authority", "x-authority"] }, { "remove": "x-host" }])),
            &ok(" x-authority=other.test")).rust(),
    ]
}

fn response() -> Vec<Case> {
    let on = |ops| json!({ "response_headers": ops });
    let ok = |seen: &str| format!("client 200 {seen}, origin GET /");
    let multi = |seen: &str| format!("client 200 {seen}, origin GET /multi");
    vec![
        case(
            "a response header is added",
            on(json!([{ "add": ["x-a", "1"] }])),
            &ok("x-a=1 x-origin=1"),
        ),
        case(
            "a value is added to a response header",
            on(json!([{ "add": ["x-multi", "c"] }])),
            &multi("x-multi=a|b|c x-origin=1"),
        )
        .asking(MULTI),
        case(
            "a response header is set",
            on(json!([{ "set": ["x-multi", "c"] }])),
            &multi("x-multi=c x-origin=1"),
        )
        .asking(MULTI),
        case(
            "a response header is removed",
            on(json!([{ "remove": "x-multi" }])),
            &multi("x-origin=1"),
        )
        .asking(MULTI),
        case(
            "response pairs have every value",
            on(json!([{ "list": ["x-multi", "x-all"] }, { "copy": ["x-multi", "x-first"] }])),
            &multi("x-all=a|b x-first=a x-multi=a|b x-origin=1"),
        )
        .asking(MULTI),
        case(
            "response pairs replace the map",
            on(json!([{ "set_all": [[":status", "201"], ["x-only", "1"]] }])),
            "client 201 x-only=1, origin GET /",
        ),
        case(
            "the status is set",
            on(json!([{ "set": [":status", "418"] }])),
            "client 418 x-origin=1, origin GET /",
        ),
        case(
            "the status is read",
            on(json!([{ "copy": [":status", "x-status"] }])),
            &ok("x-origin=1 x-status=200"),
        ),
        case(
            "a response to HTTP/2",
            on(json!([{ "add": ["x-a", "1"] }, { "copy": [":status", "x-status"] }])),
            &ok("x-a=1 x-origin=1 x-status=200"),
        )
        .asking(Ask { h2: true, ..GET }),
        case(
            "a response without a body",
            on(json!([{ "at_end": [{ "set": ["x-end", "yes"] }] }])),
            "client 204 x-end=yes x-origin=1, origin GET /204",
        )
        .asking(Ask {
            path: "/204",
            ..GET
        }),
    ]
}

/// What a map must not take, and maps that are not there.
fn odd() -> Vec<Case> {
    let on = |ops| json!({ "request_headers": ops });
    let ok = |seen: &str| format!("client 200 x-origin=1, origin GET /{seen}");
    vec![
        case("a value with CR and LF", on(json!(["bad_header"])), "client 503").alone(),
        case("a value with CR and LF in a response", json!({ "response_headers": ["bad_header"] }), "client 503, origin GET /").alone(),
        case("a map before its phase", on(json!([{ "map": "response_headers" }, { "set": ["x-a", "1"] }, { "map": "request_headers" }, { "set": ["x-b", "1"] }])), &ok(" x-b=1"))
            .alone(),
        case("pairs of a map before its phase", on(json!([{ "map": "response_trailers" }, { "count": "x-count" }, { "map": "request_headers" }, { "set": ["x-b", "1"] }])), &ok(" x-b=1"))
            .alone().rust(),
        case("a request's headers after their phase", json!({ "response_headers": [{ "map": "request_headers" }, { "copy": ["x-a", "x-copy"] }, { "map": "response_headers" }, { "set": ["x-b", "1"] }] }),
            "client 200 x-b=1 x-origin=1, origin GET / x-a=1|2 x-b=b").asking(TWO).alone(),
        case("two filters see each other's changes", on(json!([{ "set": ["x-a", "1"] }])), &ok(" x-a=1 x-b=1"))
            .filter(on(json!([{ "copy": ["x-a", "x-b"] }]))),
        case("responses go last to first", json!({ "response_headers": [{ "add": ["x-a", "first"] }] }), "client 200 x-a=last|first x-origin=1, origin GET /")
            .filter(json!({ "response_headers": [{ "add": ["x-a", "last"] }] })),
    ]
}
