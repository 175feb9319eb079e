//! Trailers, both ways.

use serde_json::json;

use super::{Ask, Case, GET, POST, case};

const RESPONSE: Ask = Ask {
    path: "/trailers",
    headers: &[("te", "trailers")],
    h2: true,
    ..POST
};

const REQUEST: Ask = Ask {
    trailers: &[("x-trailer", "t")],
    h2: true,
    ..POST
};

pub(crate) fn cases() -> Vec<Case> {
    let seen = |trailers: &str| {
        format!(
            "client 200 x-origin=1 \"body\" trailers {trailers}, origin POST /trailers \"body\""
        )
    };
    vec![
        case("trailers of a response are read", json!({ "response_trailers": [{ "copy": ["x-trailer", "x-copy"] }] }), &seen("x-copy=t x-trailer=t"))
            .asking(RESPONSE).over_h2().rust(),
        case("trailers of a response are changed", json!({ "response_trailers": [{ "set": ["x-trailer", "u"] }, { "add": ["x-more", "1"] }] }), &seen("x-more=1 x-trailer=u"))
            .asking(RESPONSE).over_h2().rust(),
        case("trailers behind a held body", json!({ "response_body": ["buffer"], "response_trailers": [{ "add": ["x-more", "1"] }] }), &seen("x-more=1 x-trailer=t"))
            .asking(RESPONSE).over_h2().rust(),
        case("trailers of a request are read", json!({ "request_trailers": [{ "copy": ["x-trailer", "x-copy"] }] }),
            "client 200 x-origin=1 \"body\", origin POST / \"body\"").asking(REQUEST).over_h2().rust(),
        case("no trailers", json!({ "response_trailers": [{ "add": ["x-more", "1"] }] }), "client 200 x-origin=1, origin GET /").asking(Ask { h2: true, ..GET }).over_h2().rust(),
    ]
}
