//! What a client is told when an origin fails.

use http::Request;
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Filter, Origin, Proxy, RawOrigin};
use serde_json::json;

/// An address where nothing listens.
fn nobody() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("address")
}

/// Without a chain, with one that streams, and with one that holds.
async fn proxies(config: Config) -> [Proxy; 3] {
    let streaming = Filter::rust(json!({ "response_headers": [{ "set": ["x-filter", "1"] }] }));
    let holding =
        Filter::rust(json!({ "request_body": ["buffer"], "response_body": ["buffer"] })).hold();
    [
        config.clone().start().await,
        config.clone().filter("streaming", streaming).start().await,
        config.filter("holding", holding).start().await,
    ]
}

async fn answers_to(config: Config, status: u16) {
    for proxy in proxies(config).await {
        for mut client in [proxy.client().await, proxy.h2().await] {
            assert_eq!(client.get("/").await.status, status);
        }
        assert_eq!(
            proxy.client().await.post("/", "a body").await.status,
            status
        );
    }
}

#[tokio::test]
async fn nobody_listens_502() {
    answers_to(Config::new().origin(nobody()), 502).await;
}

#[tokio::test]
async fn no_answer_in_time_504() {
    let origin = Origin::handling(|_| std::future::pending()).await;
    let config = Config::new()
        .origin(origin.address())
        .set("/upstreams/origin/timeouts", json!({ "read": "200ms" }));
    answers_to(config, 504).await;
}

#[tokio::test]
async fn no_answer_of_an_h2_origin_in_time_504() {
    let origin = Origin::handling(|_| std::future::pending()).await;
    let config = Config::new()
        .origin(origin.address())
        .set("/upstreams/origin/protocol", json!("h2"))
        .set("/upstreams/origin/timeouts", json!({ "read": "200ms" }));
    let proxy = config.start().await;
    assert_eq!(proxy.get("/").await.status, 504);
}

/// An address that does not answer at all (RFC 5737 keeps it for documentation).
#[tokio::test]
async fn no_connection_in_time_504() {
    // A listener whose queue is full, so that the system does not complete the handshake.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a port");
    let address = socket.local_addr().expect("address");
    let listener = socket.listen(1).expect("a listener");
    let mut queued = Vec::new();
    loop {
        let connecting = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(std::time::Duration::from_millis(200), connecting).await {
            Ok(stream) => queued.push(stream.expect("a connection")),
            Err(_) => break,
        }
    }
    let config = Config::new()
        .origin(address)
        .set("/upstreams/origin/timeouts", json!({ "connect": "200ms" }));
    let proxy = config.start().await;
    assert_eq!(proxy.get("/").await.status, 504);
    drop((queued, listener));
}

#[tokio::test]
async fn a_name_that_does_not_exist_503() {
    let servers = portcullis_tests::dns::NameServer::start().await;
    let config = Config::new()
        .set(
            "/upstreams/origin",
            json!({ "endpoints": [{ "address": "nowhere.test:80" }] }),
        )
        .set(
            "/dns",
            json!({ "servers": [servers.address().to_string()], "refresh": "1s" }),
        );
    let proxy = config.start().await;
    assert_eq!(proxy.get("/").await.status, 503);
}

/// What no HTTP parser should take is not passed on.
#[tokio::test]
async fn garbage_from_the_origin_502() {
    for answer in [
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nbody!",
        "HTTP/1.1 200 OK\r\ncontent-length: nonsense\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nx-nul: a\0b\r\ncontent-length: 0\r\n\r\n",
        "",
    ] {
        let origin = RawOrigin::start(move |mut wire| async move {
            wire.head().await;
            let _ = wire.try_send(answer).await;
            wire.finish().await;
        })
        .await;
        let proxy = Config::new().origin(origin.address()).start().await;
        assert_eq!(proxy.get("/").await.status, 502, "{answer:?}");
    }
}

/// The origin comes back: so do the answers, at once.
#[tokio::test]
async fn recovery_is_immediate() {
    let address = nobody();
    let proxy = Config::new().origin(address).start().await;
    assert_eq!(proxy.get("/").await.status, 502);
    let origin = Origin::echo_at(address).await;
    assert_eq!(proxy.get("/").await.status, 200);
    drop(origin);
}

/// Connections that the origin closed while they were pooled cost no request.
#[tokio::test]
async fn a_closed_pooled_connection_is_not_noticed() {
    let origin = RawOrigin::start(|mut wire| async move {
        wire.head().await;
        // Says keep-alive, and closes.
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await;
    })
    .await;
    let proxy = Config::new().origin(origin.address()).start().await;
    let mut client = proxy.client().await;
    for _ in 0..40 {
        let answer = client
            .send(Request::get("/").body(full("")).expect("request"))
            .await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
}

/// A second, unasked response on the same connection goes to nobody.
#[tokio::test]
async fn an_unsolicited_response_is_dropped() {
    let origin = RawOrigin::start(|mut wire| async move {
        while wire.head().await.is_some() {
            let _ = wire
                .try_send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
                .await;
        }
    })
    .await;
    for proxy in proxies(Config::new().origin(origin.address())).await {
        for _ in 0..3 {
            assert_eq!(proxy.get("/").await.text(), "good");
        }
    }
}
