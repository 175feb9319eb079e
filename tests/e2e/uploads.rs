//! Uploads through filters that want to see the whole body before the origin sees anything.

use http::Request;
use hyper::body::Frame;
use portcullis_tests::origin::{Body, full, parts, sha256, zeros};
use portcullis_tests::{Authority, Client, Config, Filter, Origin, Proxy};
use serde_json::json;

const TEN_MIB: usize = 10 << 20;

/// Ten MiB that do not repeat, with `mark` at the very end.
fn upload(mark: &str) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes: Vec<u8> = (0..TEN_MIB - mark.len())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    bytes.extend(mark.bytes());
    bytes
}

/// A filter that pauses until the body is complete, and says 403 to one that contains `ATTACK-AT-THE-END`.
fn inspecting() -> Filter {
    Filter::rust(
        json!({ "request_body": ["buffer", { "reply_if_body": ["ATTACK-AT-THE-END", 403] }] }),
    )
    .hold()
    .limit("cpu_per_call", "20s")
}

fn by_length(bytes: Vec<u8>) -> Request<Body> {
    Request::post("/upload").body(full(bytes)).expect("request")
}

fn in_chunks(bytes: &[u8]) -> Request<Body> {
    let chunks: Vec<_> = bytes
        .chunks(60_000)
        .map(|chunk| Ok(Frame::data(chunk.to_vec().into())))
        .collect();
    let body = http_body_util::StreamBody::new(futures::stream::iter(chunks));
    Request::post("/upload")
        .body(http_body_util::BodyExt::boxed_unsync(body))
        .expect("request")
}

async fn client_of(proxy: &Proxy, h2: bool) -> Client {
    if h2 {
        proxy.h2().await
    } else {
        proxy.client().await
    }
}

async fn arrives_intact(h2: bool, chunked: bool, origin_protocol: &str) {
    let origin = Origin::answering(|_| http::Response::new(full("taken"))).await;
    let proxy = Config::new()
        .origin(origin.address())
        .set("/upstreams/origin/protocol", json!(origin_protocol))
        .filter("inspect", inspecting())
        .start()
        .await;
    let bytes = upload("the end");
    let hash = sha256(&bytes);
    let request = if chunked {
        in_chunks(&bytes)
    } else {
        by_length(bytes)
    };
    let answer = client_of(&proxy, h2).await.send(request).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "taken"));
    let seen = origin.next().await;
    assert_eq!(seen.length, TEN_MIB);
    assert_eq!(seen.sha256, hash);
}

#[tokio::test]
async fn h1_by_length_arrives_intact() {
    arrives_intact(false, false, "h1").await;
}

#[tokio::test]
async fn h1_chunked_arrives_intact() {
    arrives_intact(false, true, "h1").await;
}

#[tokio::test]
async fn h2_by_length_arrives_intact() {
    arrives_intact(true, false, "h1").await;
}

#[tokio::test]
async fn h2_without_length_arrives_intact() {
    arrives_intact(true, true, "h1").await;
}

#[tokio::test]
async fn h1_to_an_h2_origin_arrives_intact() {
    arrives_intact(false, true, "h2").await;
}

#[tokio::test]
async fn h2_to_an_h2_origin_arrives_intact() {
    arrives_intact(true, false, "h2").await;
}

#[tokio::test]
async fn over_tls_arrives_intact() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["localhost"]);
    let origin = Origin::answering(|_| http::Response::new(full("taken"))).await;
    let proxy = Config::new()
        .origin(origin.address())
        .tls(&certificate, &key)
        .filter("inspect", inspecting())
        .start()
        .await;
    let bytes = upload("the end");
    for alpn in ["http/1.1", "h2"] {
        let mut client = Client::tls(proxy.address(), &authority, alpn).await;
        assert_eq!(client.send(in_chunks(&bytes)).await.status, 200, "{alpn}");
        let seen = origin.next().await;
        assert_eq!(
            (seen.length, seen.sha256),
            (TEN_MIB, sha256(&bytes)),
            "{alpn}"
        );
    }
}

/// The verdict falls on the last bytes; until then, and after it, the origin has not even a connection.
async fn denied_at_the_end(h2: bool, chunked: bool) {
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("inspect", inspecting())
        .start()
        .await;
    let bytes = upload("ATTACK-AT-THE-END");
    let request = if chunked {
        in_chunks(&bytes)
    } else {
        by_length(bytes)
    };
    let answer = client_of(&proxy, h2).await.send(request).await;
    assert_eq!((answer.status, answer.text().as_str()), (403, "found"));
    assert_eq!(
        origin.connections(),
        0,
        "no byte of the request reached the origin"
    );
    let mut client = client_of(&proxy, h2).await;
    assert_eq!(
        client.post("/", "good").await.status,
        200,
        "the next request works"
    );
}

#[tokio::test]
async fn h1_by_length_is_denied_at_the_end() {
    denied_at_the_end(false, false).await;
}

#[tokio::test]
async fn h1_chunked_is_denied_at_the_end() {
    denied_at_the_end(false, true).await;
}

#[tokio::test]
async fn h2_by_length_is_denied_at_the_end() {
    denied_at_the_end(true, false).await;
}

#[tokio::test]
async fn h2_without_length_is_denied_at_the_end() {
    denied_at_the_end(true, true).await;
}

/// While the client has not sent the last part, the origin has nothing; without `hold` it has the first part.
#[tokio::test]
async fn hold_decides_when_the_origin_hears_of_it() {
    for hold in [true, false] {
        let seeing = Filter::rust(json!({ "request_body": [{ "when": ["buffer", ["buffer"]] }] }));
        let seeing = if hold { seeing.hold() } else { seeing };
        let origin = Origin::echo().await;
        let proxy = Config::new()
            .origin(origin.address())
            .filter("seeing", seeing)
            .start()
            .await;
        let (sender, body) = parts();
        let mut client = proxy.client().await;
        let request = Request::post("/").header("x-do", if hold { "buffer" } else { "stream" });
        let answer =
            tokio::spawn(async move { client.send(request.body(body).expect("request")).await });
        sender
            .send(Ok(Frame::data("first ".into())))
            .await
            .expect("the proxy reads");
        if hold {
            // The proxy is busy with another request on the same workers; this one's origin connection is still the only one.
            assert_eq!(proxy.client().await.post("/", "other").await.status, 200);
            assert_eq!(origin.heads(), 1, "only the other request");
        } else {
            origin.wait_body_bytes(6).await;
        }
        sender
            .send(Ok(Frame::data("second".into())))
            .await
            .expect("the proxy reads");
        drop(sender);
        let answer = answer.await.expect("the client");
        assert_eq!(answer.text(), "first second");
    }
}

/// 256 MiB pass; neither a route without filters nor one with a streaming filter may keep them.
async fn streams_in_flat_memory(filter: Option<Filter>, h2: bool) {
    const CHUNKS: usize = 4096;
    const CHUNK: usize = 64 << 10;
    let origin = Origin::answering(|_| http::Response::new(full("taken"))).await;
    let config = Config::new().origin(origin.address());
    let config = match filter {
        Some(filter) => config.filter("streaming", filter),
        None => config,
    };
    let proxy = config.start().await;
    let mut client = client_of(&proxy, h2).await;
    let warm_up = Request::post("/").body(zeros(256, CHUNK)).expect("request");
    assert_eq!(client.send(warm_up).await.status, 200);
    origin.next().await;
    let before = proxy.rss();
    let request = Request::post("/")
        .body(zeros(CHUNKS, CHUNK))
        .expect("request");
    let mut highest = before;
    let sending = client.send(request);
    tokio::pin!(sending);
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
    let answer = loop {
        tokio::select! {
            answer = &mut sending => break answer,
            _ = ticks.tick() => highest = highest.max(proxy.rss()),
        }
    };
    assert_eq!(answer.status, 200);
    assert_eq!(origin.next().await.length, CHUNKS * CHUNK);
    let growth = highest.max(proxy.rss()).saturating_sub(before);
    assert!(
        growth < 32 << 20,
        "memory grew by {growth} bytes while {} passed",
        CHUNKS * CHUNK
    );
}

#[tokio::test]
async fn without_filters_memory_is_flat() {
    streams_in_flat_memory(None, false).await;
}

#[tokio::test]
async fn with_a_streaming_filter_memory_is_flat() {
    let filter = Filter::rust(
        json!({ "request_headers": [{ "set": ["x-a", "1"] }], "request_body": [{ "when": ["never", ["upper"]] }] }),
    );
    streams_in_flat_memory(Some(filter), false).await;
}

#[tokio::test]
async fn with_a_streaming_filter_over_h2_memory_is_flat() {
    let filter = Filter::rust(
        json!({ "request_headers": [{ "set": ["x-a", "1"] }], "request_body": [{ "when": ["never", ["upper"]] }] }),
    );
    streams_in_flat_memory(Some(filter), true).await;
}

/// Many keep-alive requests of all sizes and framings through one holding filter on one connection.
#[tokio::test]
async fn a_connection_survives_many_held_uploads() {
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("inspect", inspecting())
        .start()
        .await;
    let mut client = proxy.client().await;
    for size in [
        0, 1, 2, 1000, 16_384, 65_535, 65_536, 65_537, 200_000, 400_000,
    ] {
        let bytes = vec![b'x'; size];
        let answer = client.post("/", bytes.clone()).await;
        assert_eq!((answer.status, answer.body.len()), (200, size));
        let answer = client.send(in_chunks(&bytes)).await;
        assert_eq!((answer.status, answer.body.len()), (200, size), "chunked");
    }
}
