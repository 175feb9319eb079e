//! Replies of a filter from every callback.

use serde_json::{Value, json};

use super::{Ask, Case, GET, POST, case};

fn reply(status: u16, body: &str) -> Value {
    json!({ "reply": { "status": status, "headers": [["x-reply", "1"]], "body": body } })
}

pub(crate) fn cases() -> Vec<Case> {
    let call = json!({ "call": { "upstream": "callee", "path": "/200" } });
    vec![
        case(
            "a reply to request headers",
            json!({ "request_headers": [reply(401, "no")] }),
            "client 401 x-reply=1 \"no\"",
        ),
        case(
            "a reply over HTTP/2",
            json!({ "request_headers": [reply(401, "no")] }),
            "client 401 x-reply=1 \"no\"",
        )
        .asking(Ask { h2: true, ..POST }),
        case(
            "a reply without a body",
            json!({ "request_headers": [{ "reply": { "status": 204 } }] }),
            "client 204",
        ),
        case(
            "a reply with a header twice",
            json!({ "request_headers": [{ "reply": { "status": 401, "headers": [["x-a", "1"], ["x-a", "2"]] } }] }),
            "client 401 x-a=1|2",
        ),
        case(
            "a reply to a request body",
            json!({ "request_headers": ["pause"], "request_body": ["buffer", reply(402, "no")] }),
            "client 402 x-reply=1 \"no\"",
        )
        .asking(POST)
        .with("hold", json!("headers")),
        case(
            "a reply to response headers",
            json!({ "response_headers": [reply(403, "no")] }),
            "client 403 x-reply=1 \"no\", origin POST / \"body\"",
        )
        .asking(POST),
        case(
            "a reply to a response body",
            json!({ "response_body": ["buffer", reply(405, "no")] }),
            "client 405 x-reply=1 \"no\", origin POST / \"body\"",
        )
        .asking(POST),
        case(
            "a reply to a callout's answer",
            json!({ "request_headers": [call, "pause"], "call_response": [reply(406, "no")] }),
            "client 406 x-reply=1 \"no\", callee GET /200",
        ),
        case(
            "a reply to a callout in the response",
            json!({ "response_headers": [call, "pause"], "call_response": [reply(451, "no")] }),
            "client 451 x-reply=1 \"no\", origin GET /, callee GET /200",
        ),
        case(
            "a reply passes the filter's own response callbacks",
            json!({ "request_headers": [reply(401, "no")], "response_headers": [{ "add": ["x-seen", "1"] }] }),
            "client 401 x-reply=1 x-seen=1 \"no\"",
        ),
        case(
            "a reply passes the filters before",
            json!({ "response_headers": [{ "add": ["x-seen", "1"] }] }),
            "client 401 x-reply=1 x-seen=1 \"no\"",
        )
        .filter(json!({ "request_headers": [reply(401, "no")] })),
        case(
            "a reply does not reach the filters behind",
            json!({ "request_headers": [reply(401, "no")] }),
            "client 401 x-reply=1 \"no\"",
        )
        .filter(json!({ "response_headers": [{ "add": ["x-seen", "1"] }] })),
        case(
            "a stream is closed",
            json!({ "request_headers": [{ "close": "request" }, "pause"] }),
            "client: broken off",
        )
        .asking(GET)
        .rust(),
        case(
            "a response is closed",
            json!({ "response_headers": [{ "close": "response" }, "pause"] }),
            "client: broken off, origin GET /",
        )
        .rust(),
    ]
}
