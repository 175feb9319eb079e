//! Bodies: changed as they come, or held until they are whole.

use serde_json::{Value, json};

use super::{Ask, Case, POST, case};

const PARTS: Ask = Ask {
    body: &["bo", "", "dy"],
    ..POST
};

const LARGE: Ask = Ask {
    path: "/large",
    ..POST
};

pub(crate) fn cases() -> Vec<Case> {
    [request(), response()].concat()
}

fn request() -> Vec<Case> {
    // A module that changes a body takes its length away: Envoy leaves that to it.
    let on = |ops: Value| json!({ "request_headers": [{ "remove": "content-length" }], "request_body": ops });
    let ok = |body: &str| {
        let body = if body.is_empty() {
            String::new()
        } else {
            format!(" {body:?}")
        };
        format!("client 200 x-origin=1{body}, origin POST /{body}")
    };
    vec![
        case(
            "a request body is appended to",
            on(json!(["buffer", { "append": "!" }])),
            &ok("body!"),
        )
        .asking(POST),
        case(
            "a request body is prepended to",
            on(json!(["buffer", { "prepend": "?" }])),
            &ok("?body"),
        )
        .asking(POST),
        case(
            "a request body is replaced",
            on(json!(["buffer", { "replace": "other" }])),
            &ok("other"),
        )
        .asking(POST),
        case(
            "a request body is emptied",
            on(json!(["buffer", { "replace": "" }])),
            &ok(""),
        )
        .asking(POST),
        case(
            "a request body is rewritten",
            on(json!(["buffer", "upper"])),
            &ok("BODY"),
        )
        .asking(POST),
        case(
            "a request body in parts is held",
            on(json!(["buffer", { "append": "!" }])),
            &ok("body!"),
        )
        .asking(PARTS),
        case(
            "a request body in parts is rewritten as a whole",
            on(json!(["buffer", "upper"])),
            &ok("BODY"),
        )
        .asking(PARTS),
        case(
            "a request body in parts is appended to at its end",
            on(json!([{ "at_end": [{ "append": "!" }] }])),
            &ok("body!"),
        )
        .asking(PARTS),
        case(
            "a request body over HTTP/2",
            on(json!(["buffer", { "prepend": "?" }, { "append": "!" }])),
            &ok("?body!"),
        )
        .asking(Ask { h2: true, ..PARTS }),
        case(
            "two filters change a request body",
            on(json!(["buffer", { "append": "1" }])),
            &ok("body12"),
        )
        .asking(PARTS)
        .filter(on(json!(["buffer", { "append": "2" }]))),
    ]
}

fn response() -> Vec<Case> {
    let on = |ops: Value| json!({ "response_headers": [{ "remove": "content-length" }], "response_body": ops });
    let ok = |body: &str| {
        let body = if body.is_empty() {
            String::new()
        } else {
            format!(" {body:?}")
        };
        format!("client 200 x-origin=1{body}, origin POST / \"body\"")
    };
    vec![
        case(
            "a response body is appended to",
            on(json!(["buffer", { "append": "!" }])),
            &ok("body!"),
        )
        .asking(POST),
        case(
            "a response body is prepended to",
            on(json!(["buffer", { "prepend": "?" }])),
            &ok("?body"),
        )
        .asking(POST),
        case(
            "a response body is replaced",
            on(json!(["buffer", { "replace": "other" }])),
            &ok("other"),
        )
        .asking(POST),
        case(
            "a response body is emptied",
            on(json!(["buffer", { "replace": "" }])),
            &ok(""),
        )
        .asking(POST),
        case(
            "a response body is rewritten",
            on(json!(["buffer", "upper"])),
            &ok("BODY"),
        )
        .asking(POST),
        case(
            "a response body over HTTP/2",
            on(json!(["buffer", "upper"])),
            &ok("BODY"),
        )
        .asking(Ask { h2: true, ..POST }),
        case(
            "a large response body is held",
            on(json!(["buffer", { "append": "!" }])),
            "client 200 x-origin=1 100001 bytes, origin POST /large \"body\"",
        )
        .asking(LARGE),
        case(
            "a large response body passes",
            on(json!([{ "at_end": [{ "append": "!" }] }])),
            "client 200 x-origin=1 100001 bytes, origin POST /large \"body\"",
        )
        .asking(LARGE),
        case(
            "two filters change a response body",
            on(json!(["buffer", { "append": "1" }])),
            &ok("body21"),
        )
        .asking(POST)
        .filter(on(json!(["buffer", { "append": "2" }]))),
    ]
}
