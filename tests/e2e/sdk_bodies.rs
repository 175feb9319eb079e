//! Modules by the public SDKs change bodies, both ways, whole and chunk by chunk.

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;
use portcullis_tests::deadline::within;
use portcullis_tests::origin::{Body, full, parts};
use portcullis_tests::{Config, Filter, Origin, Recorded};
use serde_json::json;

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    request_bodies,
    held_request_bodies,
    response_bodies,
    held_response_bodies,
    sizes,
    chunks
);

/// What the request or response body `body` becomes, by the value of `x-do`.
const CHANGES: [(&str, &str); 5] = [
    ("append", "body!"),
    ("prepend", "?body"),
    ("replace", "other"),
    ("upper", "BODY"),
    ("empty", ""),
];

fn changes() -> serde_json::Value {
    json!([
        { "when": ["append", ["buffer", { "append": "!" }]] },
        { "when": ["prepend", ["buffer", { "prepend": "?" }]] },
        { "when": ["replace", ["buffer", { "replace": "other" }]] },
        { "when": ["upper", ["buffer", "upper"]] },
        { "when": ["empty", ["buffer", { "replace": "" }]] },
    ])
}

fn post(what: &str, body: &'static str) -> Request<Body> {
    Request::post("/")
        .header("x-do", what)
        .body(full(body))
        .expect("request")
}

/// Framed as the body is, or chunked: never by the length it had before.
fn check_length(seen: &Recorded) {
    match seen.header("content-length") {
        Some(length) => assert_eq!(length, seen.length.to_string()),
        None => assert!(seen.length == 0 || seen.header("transfer-encoding") == Some("chunked")),
    }
}

async fn request_bodies(guest: Guest) {
    check_request_bodies(script!(guest, { "request_body": changes() })).await;
}

async fn held_request_bodies(guest: Guest) {
    check_request_bodies(script!(guest, { "request_body": changes() }).hold()).await;
}

async fn check_request_bodies(filter: Filter) {
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    let mut h1 = proxy.client().await;
    let mut h2 = proxy.h2().await;
    for (what, result) in CHANGES {
        for client in [&mut h1, &mut h2] {
            let answer = client.send(post(what, "body")).await;
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, result),
                "{what}"
            );
            let seen = origin.next().await;
            assert_eq!(seen.body, result, "{what}");
            check_length(&seen);
        }
    }
    assert_eq!(h1.send(post("nothing", "body")).await.text(), "body");
}

async fn response_bodies(guest: Guest) {
    check_response_bodies(script!(guest, { "response_body": changes() })).await;
}

async fn held_response_bodies(guest: Guest) {
    check_response_bodies(script!(guest, { "response_body": changes() }).hold()).await;
}

async fn check_response_bodies(filter: Filter) {
    let origin = Origin::answering(|_| {
        Response::builder()
            .header("x-origin", "1")
            .body(full("body"))
            .expect("response")
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    let mut h1 = proxy.client().await;
    let mut h2 = proxy.h2().await;
    for (what, result) in CHANGES {
        for client in [&mut h1, &mut h2] {
            let answer = client.send(post(what, "")).await;
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, result),
                "{what}"
            );
            assert_eq!(answer.header("x-origin"), Some("1"));
            if let Some(length) = answer.header("content-length") {
                assert_eq!(length, result.len().to_string(), "{what}");
            }
        }
    }
    assert_eq!(h1.send(post("nothing", "")).await.text(), "body");
}

/// The size argument of a body callback is what is visible, and after a pause that is everything so far.
async fn sizes(guest: Guest) {
    let filter = script!(guest, {
        "request_body": ["buffer", { "size": "x-size" }],
        "response_body": ["buffer", { "size": "x-size" }],
    });
    let origin = Origin::answering(|_| Response::new(full(vec![b'b'; 200_000]))).await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter.hold())
        .start()
        .await;
    let answer = proxy.client().await.post("/", vec![b'a'; 300_000]).await;
    assert_eq!(answer.body.len(), 200_000);
    let seen = origin.next().await;
    assert_eq!(seen.length, 300_000);
    assert_eq!(
        seen.header("x-size"),
        Some("300000"),
        "held headers can still be changed when the body is complete"
    );
}

/// A filter that never pauses sees chunks as they come, and what it makes of each goes on at once.
async fn chunks(guest: Guest) {
    let filter = script!(guest, { "request_body": ["upper"], "response_body": ["upper"] });
    let (origin_sends, body) = parts();
    let body = std::sync::Mutex::new(Some(body));
    let origin = Origin::handling(move |_| {
        let body = body.lock().expect("body").take().expect("one request");
        async move { Response::new(body) }
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    let mut client = proxy.client().await;
    let response = client
        .open(Request::get("/").body(full("")).expect("request"))
        .await
        .expect("a response");
    let mut body = response.into_body();
    for part in ["one", "two", "three"] {
        origin_sends
            .send(Ok(Frame::data(part.into())))
            .await
            .expect("the origin still answers");
        let mut got = Vec::new();
        while got.len() < part.len() {
            let frame = within("a chunk of the response", body.frame()).await;
            got.extend(
                frame
                    .expect("more")
                    .expect("no error")
                    .into_data()
                    .expect("data"),
            );
        }
        assert_eq!(
            got,
            part.to_uppercase().as_bytes(),
            "before the next part was sent"
        );
    }
    drop(origin_sends);
    let end = body.frame().await;
    assert!(end.is_none(), "{end:?}");
}
