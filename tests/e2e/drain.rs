//! The end of the process.

use futures::future::join_all;
use http::{Request, Response};
use hyper::body::Frame;
use portcullis_tests::deadline::{until, within};
use portcullis_tests::origin::{full, parts};
use portcullis_tests::{Config, Filter, Origin};
use rustix::process::Signal;
use serde_json::json;

/// SIGTERM: what is under way is finished, new connections are refused, and the process ends with 0 at once then.
#[tokio::test]
async fn sigterm_finishes_what_is_under_way() {
    let (sending, mut waiting) = tokio::sync::mpsc::channel(4);
    let origin = Origin::handling(move |_| {
        let sending = sending.clone();
        async move {
            let (sender, body) = parts();
            sending.send(sender).await.expect("the test");
            Response::new(body)
        }
    })
    .await;
    let streaming = Filter::rust(json!({ "response_headers": [{ "set": ["x-a", "1"] }] }));
    let mut proxy = Config::new()
        .origin(origin.address())
        .filter("streaming", streaming)
        .start()
        .await;
    let mut under_way = Vec::new();
    for h2 in [false, true] {
        let mut client = if h2 {
            proxy.h2().await
        } else {
            proxy.client().await
        };
        under_way.push(tokio::spawn(async move { client.get("/").await }));
    }
    let senders = [
        waiting.recv().await.expect("a request"),
        waiting.recv().await.expect("a request"),
    ];
    for sender in &senders {
        sender
            .send(Ok(Frame::data("first ".into())))
            .await
            .expect("the proxy reads");
    }
    proxy.signal(Signal::TERM);
    let address = proxy.address();
    until("a refused connection", async || {
        tokio::net::TcpStream::connect(address).await.err()
    })
    .await;
    assert!(proxy.is_running());
    for sender in senders {
        sender
            .send(Ok(Frame::data("last".into())))
            .await
            .expect("the proxy reads");
    }
    for answer in join_all(under_way).await {
        let answer = answer.expect("the client");
        assert_eq!((answer.status, answer.text().as_str()), (200, "first last"));
    }
    let started = std::time::Instant::now();
    assert_eq!(proxy.ended().await.code(), Some(0));
    assert!(
        started.elapsed().as_secs() < 10,
        "nothing was left to wait for"
    );
}

#[tokio::test]
async fn an_idle_proxy_ends_at_once() {
    let origin = Origin::echo().await;
    let mut proxy = Config::new().origin(origin.address()).start().await;
    let mut kept = proxy.client().await;
    assert_eq!(kept.get("/").await.status, 200);
    let started = std::time::Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().await.code(), Some(0));
    assert!(
        started.elapsed().as_secs() < 10,
        "an idle connection does not hold it: {:?}",
        started.elapsed()
    );
}

/// What does not end is cut off when the drain time is over.
#[tokio::test]
async fn the_drain_has_an_end() {
    let origin = Origin::handling(|_| std::future::pending()).await;
    let mut proxy = Config::new()
        .origin(origin.address())
        .set("/reload/drain", json!("1s"))
        .start()
        .await;
    let mut client = proxy.client().await;
    let waiting = tokio::spawn(async move {
        client
            .try_send(Request::get("/").body(full("")).expect("request"))
            .await
    });
    origin.wait_heads(1).await;
    let started = std::time::Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().await.code(), Some(0));
    let took = started.elapsed();
    assert!((1..15).contains(&took.as_secs()), "{took:?}");
    let _ = within("the end of the request", waiting).await;
}

/// Requests sent while the process drains are answered or refused whole: none is lost half way.
#[tokio::test]
async fn load_during_sigterm() {
    let origin = Origin::echo().await;
    let mut proxy = Config::new().origin(origin.address()).start().await;
    let clients: Vec<_> = join_all((0..8).map(|_| proxy.client())).await;
    let load = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let mut answered = 0;
            loop {
                let request = Request::post("/").body(full("a body")).expect("request");
                match client.try_send(request).await {
                    Ok(answer) => {
                        assert_eq!((answer.status, answer.text().as_str()), (200, "a body"));
                        answered += 1;
                        if answer.header("connection") == Some("close") {
                            return answered;
                        }
                    }
                    // The connection was closed between two requests: nothing was sent.
                    Err(error) => {
                        assert!(error.is_canceled() || error.is_closed(), "{error:?}");
                        return answered;
                    }
                }
            }
        })
    });
    let load: Vec<_> = load.collect();
    origin.wait_heads(100).await;
    proxy.signal(Signal::TERM);
    let answered: usize = join_all(load)
        .await
        .into_iter()
        .map(|answered| answered.expect("a client"))
        .sum();
    assert!(answered >= 90, "{answered}");
    assert_eq!(proxy.ended().await.code(), Some(0));
}

#[tokio::test]
async fn an_address_in_use_ends_the_start() {
    let origin = Origin::echo().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("address").to_string();
    let config = Config::new()
        .origin(origin.address())
        .set("/listeners/0/address", json!(address));
    let refused = portcullis_tests::Proxy::try_start(&config)
        .await
        .err()
        .expect("it does not start");
    assert!(refused.code.is_some_and(|code| code != 0));
    assert!(
        refused.log.contains(&address),
        "names the address: {}",
        refused.log
    );
}
