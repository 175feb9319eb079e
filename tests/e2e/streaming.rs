//! What must flow while it is made: server-sent events, WebSocket, interim responses.

use futures::{SinkExt, StreamExt};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use portcullis_tests::deadline::within;
use portcullis_tests::origin::{full, parts};
use portcullis_tests::{Config, Filter, Origin, Proxy, RawOrigin};
use serde_json::json;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A chain that looks at everything and changes headers both ways.
fn looking() -> Filter {
    Filter::rust(json!({
        "request_headers": [{ "set": ["x-request", "seen"] }],
        "request_body": [{ "when": ["never", ["buffer"]] }],
        "response_headers": [{ "set": ["x-response", "seen"] }],
        "response_body": [{ "when": ["never", ["buffer"]] }],
    }))
}

/// The same proxy without and with a chain.
async fn both(origin: std::net::SocketAddr) -> [Proxy; 2] {
    let config = Config::new().origin(origin);
    [
        config.clone().start().await,
        config
            .filter("looking", looking())
            .filter("second", looking())
            .start()
            .await,
    ]
}

/// Each event reaches the client before the origin sends the next.
#[tokio::test]
async fn events_arrive_one_by_one() {
    let (sending, waiting) = tokio::sync::mpsc::channel(1);
    let origin = Origin::handling(move |_| {
        let sending = sending.clone();
        async move {
            let (events, body) = parts();
            sending.send(events).await.expect("the test");
            Response::builder()
                .header("content-type", "text/event-stream")
                .body(body)
                .expect("response")
        }
    })
    .await;
    let mut waiting = waiting;
    for proxy in both(origin.address()).await {
        for mut client in [proxy.client().await, proxy.h2().await] {
            let request = Request::get("/events").body(full("")).expect("request");
            let (response, events) = tokio::join!(client.open(request), waiting.recv());
            let events = events.expect("the origin's side");
            let mut body = response.expect("a response").into_body();
            for number in 0..5 {
                let event = format!("data: {number}\n\n");
                events
                    .send(Ok(Frame::data(event.clone().into())))
                    .await
                    .expect("the proxy reads");
                let frame = within("an event", body.frame())
                    .await
                    .expect("more")
                    .expect("no error");
                assert_eq!(frame.into_data().expect("data"), event);
            }
            drop(events);
            let rest = within("the end", body.collect()).await.expect("no error");
            assert!(rest.to_bytes().is_empty());
        }
    }
}

#[tokio::test]
async fn a_web_socket_passes_both_ways() {
    let origin = Origin::handling(|mut request| async move {
        let key = request.headers()["sec-websocket-key"].clone();
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request).await.expect("an upgrade");
            let mut socket =
                WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            socket
                .send(Message::text("welcome"))
                .await
                .expect("the client");
            while let Some(Ok(message)) = socket.next().await {
                if message.is_close() {
                    break;
                }
                socket.send(message).await.expect("the client");
            }
        });
        Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", accept)
            .body(full(""))
            .expect("response")
    })
    .await;
    for proxy in both(origin.address()).await {
        let url = format!("ws://{}/socket", proxy.address());
        let (mut socket, response) = within("a WebSocket", tokio_tungstenite::connect_async(url))
            .await
            .expect("a WebSocket");
        assert_eq!(response.status(), 101);
        let welcome = within("a message", socket.next())
            .await
            .expect("a message")
            .expect("a message");
        assert_eq!(
            welcome,
            Message::text("welcome"),
            "the origin may speak first"
        );
        for size in [1, 125, 126, 65_535, 65_536, 300_000] {
            let message = Message::binary(vec![7; size]);
            socket.send(message.clone()).await.expect("the proxy");
            assert_eq!(
                within("an echo", socket.next())
                    .await
                    .expect("an echo")
                    .expect("an echo"),
                message
            );
        }
        socket.close(None).await.expect("a close");
        while let Some(Ok(_)) = within("the end", socket.next()).await {}
    }
}

#[tokio::test]
async fn a_refused_upgrade_is_a_normal_response() {
    let origin = RawOrigin::start(|mut wire| async move {
        while wire.head().await.is_some() {
            wire.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
                .await;
        }
    })
    .await;
    for proxy in both(origin.address()).await {
        let mut wire = proxy.raw().await;
        for _ in 0..2 {
            wire.send("GET /socket HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").await;
            let answer = wire.answer().await;
            assert_eq!(
                (answer.status, answer.body.as_slice()),
                (403, &b"no"[..]),
                "and the connection is kept"
            );
        }
    }
}

/// Bytes sent after an upgrade request, before the origin agreed, are not a second request to it.
#[tokio::test]
async fn bytes_after_an_upgrade_wait_for_the_101() {
    let origin = RawOrigin::start(|mut wire| async move {
        wire.head().await;
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        )
        .await;
        let early = wire.bytes(5).await;
        wire.send([b"got ", early.as_slice()].concat()).await;
    })
    .await;
    for proxy in both(origin.address()).await {
        let mut wire = proxy.raw().await;
        wire.send("GET /socket HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nearly").await;
        let head = wire.head().await.expect("a head");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert_eq!(wire.bytes(9).await, b"got early");
    }
}

#[tokio::test]
async fn interim_responses_come_before_the_final_one() {
    let origin = RawOrigin::start(|mut wire| async move {
        while wire.head().await.is_some() {
            wire.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n")
                .await;
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")
                .await;
        }
    })
    .await;
    for proxy in both(origin.address()).await {
        let mut wire = proxy.raw().await;
        for _ in 0..2 {
            wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let head = wire.head().await.expect("a head");
            assert!(head.starts_with("HTTP/1.1 103"), "{head}");
            assert!(head.contains("a.css"), "{head}");
            let answer = wire.answer().await;
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"done"[..]));
        }
    }
}

/// The client waits for 100 before it sends the body, and gets it, whoever answers it.
#[tokio::test]
async fn expect_100_continue() {
    let holding = Filter::rust(json!({ "request_body": ["buffer"] })).hold();
    let origin = Origin::echo().await;
    let config = Config::new().origin(origin.address());
    let proxies = [
        config.clone().start().await,
        config.clone().filter("looking", looking()).start().await,
        config.filter("holding", holding).start().await,
    ];
    for proxy in proxies {
        let mut wire = proxy.raw().await;
        for _ in 0..2 {
            wire.send(
                "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n",
            )
            .await;
            let head = wire.head().await.expect("a head");
            assert!(head.starts_with("HTTP/1.1 100"), "{head}");
            wire.send("body").await;
            let answer = wire.answer().await;
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"body"[..]));
        }
    }
}

/// A filter that refuses by the headers spares the client the upload.
#[tokio::test]
async fn a_refusal_comes_instead_of_100_continue() {
    let refusing = Filter::rust(json!({ "request_headers": [{ "reply": { "status": 401 } }] }));
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("refusing", refusing)
        .start()
        .await;
    let mut wire = proxy.raw().await;
    wire.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        .await;
    let head = wire.head().await.expect("a head");
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    assert_eq!(origin.connections(), 0);
}
