//! A filter that pauses on a response holds its headers, and may change them after it saw the body.

use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Frame;
use portcullis_tests::deadline::within;
use portcullis_tests::origin::{full, parts};
use portcullis_tests::{Config, Filter, Origin};
use serde_json::json;

/// Pauses at the headers, reads the whole body, and only then writes headers and body.
fn rewriting() -> Filter {
    Filter::rust(json!({
        "response_body": ["buffer", { "append": " and more" }, { "size": "x-size" }, { "set": ["x-late", "1"] }, { "remove": "x-internal" }],
    }))
    .hold()
}

fn response(body: &'static str) -> Response<portcullis_tests::origin::Body> {
    Response::builder()
        .header("x-internal", "secret")
        .body(full(body))
        .expect("response")
}

#[tokio::test]
async fn headers_change_after_the_body_was_read() {
    let origin = Origin::answering(|_| response("body")).await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("rewriting", rewriting())
        .start()
        .await;
    let mut h1 = proxy.client().await;
    let mut h2 = proxy.h2().await;
    for _ in 0..3 {
        for client in [&mut h1, &mut h2] {
            let answer = client.get("/").await;
            assert_eq!(answer.text(), "body and more");
            assert_eq!(answer.header("x-size"), Some("4"));
            assert_eq!(answer.header("x-late"), Some("1"));
            assert_eq!(answer.header("x-internal"), None);
            if let Some(length) = answer.header("content-length") {
                assert_eq!(length, "13");
            }
        }
    }
}

/// The origin sends a chunked MiB; the client hears nothing before its end, then all of it with the late header.
#[tokio::test]
async fn a_chunked_answer_is_held_to_its_end() {
    let (sending, mut waiting) = tokio::sync::mpsc::channel(1);
    let origin = Origin::handling(move |_| {
        let sending = sending.clone();
        async move {
            let (sender, body) = parts();
            sending.send(sender).await.expect("the test");
            Response::new(body)
        }
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("rewriting", rewriting())
        .start()
        .await;
    let mut client = proxy.client().await;
    let answer = tokio::spawn(async move { client.get("/").await });
    let sender = within("the origin's turn", waiting.recv())
        .await
        .expect("the origin");
    for _ in 0..16 {
        sender
            .send(Ok(Frame::data(vec![b'x'; 64 << 10].into())))
            .await
            .expect("the proxy reads");
        assert!(!answer.is_finished());
    }
    drop(sender);
    let answer = answer.await.expect("the client");
    assert_eq!(answer.body.len(), (1 << 20) + " and more".len());
    assert_eq!(
        answer.header("x-size"),
        Some((1 << 20).to_string().as_str())
    );
}

/// Trailers of an HTTP/2 origin reach an HTTP/2 client, streamed and held.
#[tokio::test]
async fn trailers_pass_over_h2() {
    let origin = Origin::handling(|request| async move {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert(
            "x-te",
            request
                .headers()
                .get("te")
                .cloned()
                .unwrap_or(HeaderValue::from_static("-")),
        );
        let (sender, body) = parts();
        tokio::spawn(async move {
            let _ = sender.send(Ok(Frame::data("body".into()))).await;
            let _ = sender.send(Ok(Frame::trailers(trailers))).await;
        });
        Response::new(body)
    })
    .await;
    let changing = Filter::rust(
        json!({ "response_trailers": [{ "add": ["x-from-filter", "1"] }, { "copy": ["grpc-status", "x-copied"] }] }),
    );
    let config = Config::new()
        .origin(origin.address())
        .set("/upstreams/origin/protocol", json!("h2"));
    let request = || {
        Request::post("/")
            .header("te", "trailers")
            .body(full("question"))
            .expect("request")
    };
    for (config, more) in [
        (config.clone(), false),
        (config.clone().filter("rewriting", rewriting()), false),
        (config.filter("changing", changing), true),
    ] {
        let proxy = config.start().await;
        let answer = proxy.h2().await.send(request()).await;
        assert_eq!(answer.trailers.get("grpc-status").expect("a trailer"), "0");
        assert_eq!(
            answer.trailers.get("x-te").expect("a trailer"),
            "trailers",
            "gRPC needs it"
        );
        assert!(answer.text().starts_with("body"));
        if more {
            assert_eq!(
                answer
                    .trailers
                    .get("x-from-filter")
                    .expect("a filter's trailer"),
                "1"
            );
            assert_eq!(
                answer.trailers.get("x-copied").expect("a filter's trailer"),
                "0"
            );
        }
    }
}

/// An answer replaced by the filter after it saw all of it: the client gets that alone, the connection goes on.
#[tokio::test]
async fn an_answer_is_replaced_after_it_was_read() {
    let replacing = Filter::rust(json!({
        "response_body": ["buffer", { "reply_if_body": ["secret", 500] }],
    }))
    .hold();
    let origin = Origin::answering(|request| {
        response(if request.target == "/secret" {
            "a secret"
        } else {
            "fine"
        })
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("replacing", replacing)
        .start()
        .await;
    for h2 in [false, true] {
        let mut client = if h2 {
            proxy.h2().await
        } else {
            proxy.client().await
        };
        assert_eq!(client.get("/").await.text(), "fine");
        let answer = client.get("/secret").await;
        assert_eq!((answer.status, answer.text().as_str()), (500, "found"));
        assert!(
            answer.header("x-internal").is_none(),
            "nothing of the origin's answer"
        );
        let mut client = if h2 { client } else { proxy.client().await };
        assert_eq!(client.get("/").await.text(), "fine");
    }
}
