//! A local reply from callbacks where it is less common: twice, late, and from outside of the exchange.

use http::{HeaderMap, HeaderValue, Response};
use hyper::body::Frame;
use portcullis_tests::origin::parts;
use portcullis_tests::raw::RawClient;
use portcullis_tests::{Config, Filter, Origin};
use serde_json::{Value, json};

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(the_first_of_two_counts, from_a_tick);

fn reply(status: u16) -> Value {
    json!({ "reply": { "status": status, "body": "by the filter" } })
}

/// The first reply of an exchange is sent, within one callback and over several.
async fn the_first_of_two_counts(guest: Guest) {
    let filter = script!(guest, {
        "request_headers": [{ "when": ["request", [reply(401), reply(402)]] }],
        "response_headers": [{ "when": ["response", [reply(403), reply(404)]] }],
        "response_body": [{ "when": ["response", [reply(405)]] }],
    });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    for (when, status) in [("request", 401), ("response", 403)] {
        for mut client in [proxy.client().await, proxy.h2().await] {
            let request = http::Request::get("/")
                .header("x-do", when)
                .body(portcullis_tests::origin::full(""))
                .expect("request");
            let answer = client.send(request).await;
            assert_eq!(answer.status, status, "{when}");
            assert_eq!(answer.text(), "by the filter");
        }
    }
}

/// A paused request is answered by a tick, which has no exchange of its own.
async fn from_a_tick(guest: Guest) {
    let filter = script!(guest, {
        "tick_ms": 20,
        "on": { "request_headers": ["resume_on_tick", "pause"], "woken": [reply(429)] },
    });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    let answer = proxy.get("/").await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (429, "by the filter")
    );
    assert_eq!(origin.heads(), 0);
}

/// Answers with a body and a trailer.
async fn trailing() -> Origin {
    Origin::handling(|_| async {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-trailer", HeaderValue::from_static("1"));
        let (sender, body) = parts();
        tokio::spawn(async move {
            let _ = sender.send(Ok(Frame::data("body".into()))).await;
            let _ = sender.send(Ok(Frame::trailers(trailers))).await;
        });
        Response::new(body)
    })
    .await
}

/// A response that has begun cannot become another: it is cut off, so that nobody takes it for whole.
#[tokio::test]
async fn after_the_head_was_sent_the_response_is_cut_off() {
    for on in [
        json!({ "response_body": [reply(403)] }),
        json!({ "response_trailers": [reply(403)] }),
    ] {
        let origin = trailing().await;
        let proxy = Config::new()
            .origin(origin.address())
            .set("/upstreams/origin/protocol", json!("h2"))
            .filter("late", Filter::rust(on.clone()))
            .start()
            .await;
        let mut client = RawClient::connect(proxy.address()).await;
        client
            .send("GET / HTTP/1.1\r\nHost: portcullis.test\r\n\r\n")
            .await;
        // The head may still have waited for the body to leave together with it.
        let head = client.head().await.unwrap_or_default();
        assert!(
            head.is_empty() || head.starts_with("HTTP/1.1 200"),
            "{on}: {head}"
        );
        let rest = client.rest().await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{on}: {rest:?}");
        assert!(
            !String::from_utf8_lossy(&rest).contains("by the filter"),
            "{on}"
        );
    }
}

/// With its head held, the same reply takes the response's place, from the trailers too.
#[tokio::test]
async fn before_the_head_was_sent_the_reply_takes_its_place() {
    let on = json!({ "response_body": ["buffer"], "response_trailers": [reply(403)] });
    let origin = trailing().await;
    let proxy = Config::new()
        .origin(origin.address())
        .set("/upstreams/origin/protocol", json!("h2"))
        .filter("late", Filter::rust(on).hold())
        .start()
        .await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        let answer = client.get("/").await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (403, "by the filter")
        );
    }
}
