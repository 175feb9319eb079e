//! What a trap does to its exchange, and to the next.

use serde_json::{Value, json};

use super::{Ask, Case, GET, case};

const FAULTY: Ask = Ask {
    headers: &[("x-do", "fault")],
    ..GET
};

pub(crate) fn cases() -> Vec<Case> {
    let fault = |callback: &str, kind: &str| json!({ callback: [{ "when": ["fault", [kind]] }] });
    let ok = "client 200 x-origin=1, origin GET /";
    let then_well = |name, on: Value, expected| {
        case(name, on, expected)
            .asking(FAULTY)
            .then(GET, ok)
            .alone()
    };
    vec![
        then_well(
            "a panic in request headers, and the next request",
            fault("request_headers", "panic"),
            "client 503",
        ),
        then_well(
            "a trap in request headers, and the next request",
            fault("request_headers", "trap"),
            "client 503",
        )
        .rust(),
        then_well(
            "a panic in response headers, and the next request",
            fault("response_headers", "panic"),
            "client 503, origin GET /",
        ),
        then_well(
            "a panic in the log phase, and the next request",
            fault("log", "panic"),
            ok,
        )
        .rust(),
        then_well(
            "a fault passed over, and the next request",
            fault("request_headers", "panic"),
            ok,
        )
        .with("on_fault", json!("skip")),
    ]
}
