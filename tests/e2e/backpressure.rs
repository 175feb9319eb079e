//! Whoever does not read stops whoever sends: the proxy keeps a little in between, and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use portcullis_tests::deadline::within;
use portcullis_tests::origin::{Body, full};
use portcullis_tests::{Config, Filter, Origin, Proxy, RawOrigin};
use serde_json::json;
use tokio::sync::watch;

const CHUNK: usize = 64 << 10;
/// What is sent in all.
const TOTAL: usize = 128 << 20;
/// What may be under way: socket buffers on both sides of the proxy, and some of its own.
const UNDER_WAY_MAX: usize = 48 << 20;

/// A body of [`TOTAL`] bytes that counts what was taken of it.
fn counting() -> (Arc<AtomicUsize>, Body) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let chunk = Bytes::from(vec![b'x'; CHUNK]);
    let chunks = (0..TOTAL / CHUNK).map(move |_| {
        counter.fetch_add(CHUNK, Ordering::SeqCst);
        Ok(Frame::data(chunk.clone()))
    });
    (taken, StreamBody::new(stream::iter(chunks)).boxed_unsync())
}

/// The count once it stands still.
async fn standing_still(count: &AtomicUsize) -> usize {
    let mut still = tokio::time::interval(Duration::from_millis(500));
    still.tick().await;
    let mut last = 0;
    let end = async {
        loop {
            still.tick().await;
            let now = count.load(Ordering::SeqCst);
            if now == last && now > 0 {
                return now;
            }
            last = now;
        }
    };
    within("a standstill", end).await
}

async fn proxies(origin: std::net::SocketAddr) -> [Proxy; 2] {
    let looking = json!({ "request_body": [{ "when": ["never", ["upper"]] }], "response_body": [{ "when": ["never", ["upper"]] }] });
    let config = Config::new().origin(origin);
    [
        config.clone().start().await,
        config
            .filter("looking", Filter::rust(looking))
            .start()
            .await,
    ]
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_origin() {
    let counts = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sent = Arc::clone(&counts);
    let origin = Origin::handling(move |_| {
        let (taken, body) = counting();
        sent.lock().expect("counts").push(taken);
        async move { Response::new(body) }
    })
    .await;
    for (index, proxy) in proxies(origin.address()).await.into_iter().enumerate() {
        let mut wire = proxy.raw().await;
        let before = proxy.rss();
        wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        origin.wait_heads(index + 1).await;
        let count = Arc::clone(&counts.lock().expect("counts")[index]);
        let sent = standing_still(&count).await;
        assert!(
            sent < UNDER_WAY_MAX,
            "{sent} bytes were taken from the origin"
        );
        let growth = proxy.rss().saturating_sub(before);
        assert!(growth < 32 << 20, "memory grew by {growth} bytes");
        assert_eq!(wire.answer().await.body.len(), TOTAL, "and then it goes on");
    }
}

#[tokio::test]
async fn an_origin_that_does_not_read_stops_the_client() {
    let (go, waiting) = watch::channel(false);
    let origin = RawOrigin::start(move |mut wire| {
        let mut waiting = waiting.clone();
        async move {
            let Some(head) = wire.head().await else {
                return;
            };
            waiting.wait_for(|go| *go).await.expect("the test");
            let length = wire.body_of(&head).await.len();
            let length = length.to_string();
            wire.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{length}",
                length.len()
            ))
            .await;
        }
    })
    .await;
    for proxy in proxies(origin.address()).await {
        go.send(false).expect("the origin");
        let (taken, body) = counting();
        let before = proxy.rss();
        let mut client = proxy.client().await;
        let sending = tokio::spawn(async move {
            client
                .send(Request::post("/").body(body).expect("request"))
                .await
        });
        let sent = standing_still(&taken).await;
        assert!(
            sent < UNDER_WAY_MAX,
            "{sent} bytes were taken from the client"
        );
        let growth = proxy.rss().saturating_sub(before);
        assert!(growth < 32 << 20, "memory grew by {growth} bytes");
        go.send(true).expect("the origin");
        let answer = within("the rest", sending).await.expect("the client");
        assert_eq!(answer.text(), TOTAL.to_string(), "and then it goes on");
    }
}

/// A big answer streams through a filter in flat memory.
#[tokio::test]
async fn a_download_streams_in_flat_memory() {
    let origin = Origin::handling(|_| async { Response::new(counting().1) }).await;
    for proxy in proxies(origin.address()).await {
        for h2 in [false, true] {
            let mut client = if h2 {
                proxy.h2().await
            } else {
                proxy.client().await
            };
            let before = proxy.rss();
            let request = Request::get("/").body(full("")).expect("request");
            let mut body = client.open(request).await.expect("a response").into_body();
            let (mut length, mut highest) = (0, before);
            while let Some(frame) = within("a chunk", body.frame()).await {
                let read = frame.expect("no error").into_data().expect("data").len();
                if (length + read) / (4 << 20) > length / (4 << 20) {
                    highest = highest.max(proxy.rss());
                }
                length += read;
            }
            assert_eq!(length, TOTAL);
            let growth = highest.saturating_sub(before);
            assert!(growth < 32 << 20, "memory grew by {growth} bytes");
        }
    }
}
