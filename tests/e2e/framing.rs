//! Messages keep their borders: bodiless answers, keep-alive, pipelining, early answers, all through a chain.

use http::{Request, Response};
use portcullis_tests::origin::full;
use portcullis_tests::raw::header;
use portcullis_tests::{Config, Filter, Origin, Proxy, RawOrigin};
use serde_json::json;

/// Chains of each kind: none, one that streams, one that holds both ways.
async fn proxies(origin: std::net::SocketAddr) -> [Proxy; 3] {
    let config = Config::new().origin(origin);
    let streaming = Filter::rust(
        json!({ "request_headers": [{ "set": ["x-a", "1"] }], "response_headers": [{ "set": ["x-b", "1"] }] }),
    );
    let holding =
        Filter::rust(json!({ "request_body": ["buffer"], "response_body": ["buffer"] })).hold();
    [
        config.clone().start().await,
        config.clone().filter("streaming", streaming).start().await,
        config.filter("holding", holding).start().await,
    ]
}

#[tokio::test]
async fn bodiless_answers_stay_bodiless() {
    let origin =
        Origin::answering(
            |request| match (request.method.as_str(), request.target.as_str()) {
                (_, "/204") => Response::builder()
                    .status(204)
                    .body(full(""))
                    .expect("response"),
                (_, "/304") => Response::builder()
                    .status(304)
                    .header("etag", "\"a\"")
                    .body(full(""))
                    .expect("response"),
                ("HEAD", _) => Response::builder()
                    .header("content-length", "12345")
                    .body(full(""))
                    .expect("response"),
                _ => Response::new(full("body")),
            },
        )
        .await;
    for proxy in proxies(origin.address()).await {
        let mut wire = proxy.raw().await;
        for _ in 0..2 {
            wire.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let answer = wire.answer_to("HEAD").await;
            assert_eq!(
                (answer.status, answer.header("content-length")),
                (200, Some("12345")),
                "{}",
                answer.head
            );
            for status in [204, 304] {
                wire.send(format!("GET /{status} HTTP/1.1\r\nhost: a\r\n\r\n"))
                    .await;
                let answer = wire.answer().await;
                assert_eq!(answer.status, status);
                assert_eq!(answer.header("transfer-encoding"), None, "{}", answer.head);
            }
            wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!(
                wire.answer().await.body,
                b"body",
                "nothing was left over on the connection"
            );
        }
        let mut client = proxy.h2().await;
        let head = client
            .send(Request::head("/").body(full("")).expect("request"))
            .await;
        assert_eq!(
            (head.status, head.header("content-length"), head.body.len()),
            (200, Some("12345"), 0)
        );
        assert_eq!(client.get("/204").await.status, 204);
        assert_eq!(client.get("/304").await.header("etag"), Some("\"a\""));
    }
}

#[tokio::test]
async fn a_hundred_requests_on_one_connection() {
    let origin = Origin::echo().await;
    for proxy in proxies(origin.address()).await {
        let mut wire = proxy.raw().await;
        for number in 0..100 {
            let body = "x".repeat(number * 37);
            if number % 2 == 0 {
                wire.send(format!(
                    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                ))
                .await;
            } else {
                let framed = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
                wire.send(format!(
                    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{framed}"
                ))
                .await;
            }
            let answer = wire.answer().await;
            assert_eq!(
                (answer.status, answer.body.len()),
                (200, body.len()),
                "request {number}"
            );
        }
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::echo().await;
    for proxy in proxies(origin.address()).await {
        let mut wire = proxy.raw().await;
        let requests: String = (0..10)
            .map(|number| {
                let body = format!("number {number}");
                format!(
                    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
            })
            .collect();
        wire.send(requests).await;
        for number in 0..10 {
            let answer = wire.answer().await;
            assert_eq!(
                (answer.status, answer.body),
                (200, format!("number {number}").into_bytes())
            );
        }
    }
}

#[tokio::test]
async fn connection_close_and_http_1_0() {
    let origin = Origin::echo().await;
    for proxy in proxies(origin.address()).await {
        for request in [
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "GET / HTTP/1.0\r\nhost: a\r\n\r\n",
        ] {
            let mut wire = proxy.raw().await;
            wire.send(request).await;
            let answer = wire.answer().await;
            assert_eq!(answer.status, 200);
            assert!(wire.closed().await, "{request}");
        }
    }
}

/// A filter that answers before the body was read: what follows on the connection is never taken for a request.
#[tokio::test]
async fn an_early_answer_leaves_no_request_behind() {
    let refusing = Filter::rust(
        json!({ "request_headers": [{ "when": ["refuse", [{ "reply": { "status": 403, "body": "no" } }]] }] }),
    );
    let origin = RawOrigin::recording().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("refusing", refusing)
        .start()
        .await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    for framing in [
        format!("content-length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!(
            "transfer-encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n",
            smuggled.len()
        ),
    ] {
        let mut wire = proxy.raw().await;
        wire.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\nx-do: refuse\r\n{framing}"
        ))
        .await;
        assert_eq!(wire.answer().await.status, 403);
        // The connection is closed, or good for another request; in between there is nothing.
        let more = wire
            .try_send("GET /after HTTP/1.1\r\nhost: a\r\nx-do: refuse\r\nconnection: close\r\n\r\n")
            .await;
        if more.is_ok()
            && let Some(answer) = wire.try_answer_to("GET").await
        {
            assert_eq!(answer.status, 403);
        }
        assert!(wire.closed().await);
    }
    let seen = String::from_utf8_lossy(&origin.bytes()).into_owned();
    assert!(!seen.contains("smuggled"), "{seen}");
}

/// The origin answers before it has read the request: the client gets the answer, the upload ends.
#[tokio::test]
async fn an_early_answer_of_the_origin_is_delivered() {
    let origin = RawOrigin::start(|mut wire| async move {
        wire.head().await;
        let _ = wire.try_send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig").await;
    })
    .await;
    let streaming = Filter::rust(json!({ "request_headers": [{ "set": ["x-a", "1"] }] }));
    let config = Config::new().origin(origin.address());
    for proxy in [
        config.clone().start().await,
        config.filter("streaming", streaming).start().await,
    ] {
        let mut wire = proxy.raw().await;
        wire.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nsome of it")
            .await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.body.as_slice()), (413, &b"big"[..]));
    }
}

/// An empty last chunk must not become two last chunks towards the origin.
#[tokio::test]
async fn the_origin_sees_one_last_chunk() {
    let origin = RawOrigin::recording().await;
    for proxy in proxies(origin.address()).await {
        let before = origin.bytes().len();
        let mut client = proxy.h2().await;
        for _ in 0..3 {
            let (sender, body) = portcullis_tests::origin::parts();
            let request = Request::post("/").body(body).expect("request");
            let sending = async {
                sender
                    .send(Ok(hyper::body::Frame::data("some".into())))
                    .await
                    .expect("the proxy reads");
                sender
                    .send(Ok(hyper::body::Frame::data("".into())))
                    .await
                    .expect("the proxy reads");
                drop(sender);
            };
            let (answer, ()) = tokio::join!(client.send(request), sending);
            assert_eq!(answer.status, 200);
        }
        let mut wire = proxy.raw().await;
        wire.send(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\n",
        )
        .await;
        wire.send("\r\n").await;
        assert_eq!(wire.answer().await.status, 200);
        let seen = String::from_utf8_lossy(&origin.bytes()[before..]).into_owned();
        assert!(
            !seen.contains("0\r\n\r\n0\r\n\r\n"),
            "two terminators:\n{seen}"
        );
        assert_eq!(seen.matches("POST / HTTP/1.1").count(), 4, "{seen}");
    }
}

#[tokio::test]
async fn an_answer_without_length_is_chunked_for_the_client() {
    let origin = RawOrigin::start(|mut wire| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end")
            .await;
        wire.finish().await;
    })
    .await;
    for proxy in proxies(origin.address()).await {
        let mut wire = proxy.raw().await;
        for _ in 0..2 {
            wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let head = wire.head().await.expect("a head");
            let framed = header(&head, "transfer-encoding").is_some()
                || header(&head, "content-length").is_some();
            assert!(framed, "the connection can be kept: {head}");
            assert_eq!(wire.body_of(&head).await, b"until the end");
        }
    }
}

/// What breaks off at the origin never looks complete to the client.
#[tokio::test]
async fn a_truncated_answer_is_seen_as_such() {
    let origin = RawOrigin::start(|mut wire| async move {
        let head = wire.head().await.unwrap_or_default();
        if head.contains("/chunked") {
            wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n")
                .await;
        } else {
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")
                .await;
        }
    })
    .await;
    for proxy in proxies(origin.address()).await {
        for path in ["/chunked", "/length"] {
            for h2 in [false, true] {
                let mut client = if h2 {
                    proxy.h2().await
                } else {
                    proxy.client().await
                };
                let request = Request::get(path).body(full("")).expect("request");
                // Broken off as it was, or never begun.
                if let Ok(answer) = client.try_send(request).await {
                    assert_eq!(answer.status, 502, "a whole answer: {answer:?}");
                }
            }
        }
    }
}

/// Many streams at once on one HTTP/2 connection, each with its own body through the chain.
#[tokio::test]
async fn many_streams_on_one_connection() {
    let origin = Origin::echo().await;
    for proxy in proxies(origin.address()).await {
        let client = proxy.h2().await;
        let streams = (0..60).map(|number| {
            let mut client = client.another();
            async move {
                let body = format!("{number} ").repeat(number * 50);
                let answer = client.post("/", body.clone()).await;
                assert_eq!(
                    (answer.status, answer.text()),
                    (200, body),
                    "stream {number}"
                );
            }
        });
        futures::future::join_all(streams).await;
    }
}
