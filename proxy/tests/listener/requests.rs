//! What must pass untouched: keep-alive, pipelining, bodies, expectations.

use crate::client::Client;
use crate::origin::Origin;
use crate::proxy::{Proxy, limits};

async fn both(origin: &Origin) -> [Proxy; 2] {
    [
        Proxy::start_with(origin, limits(), false).await,
        Proxy::start_with(origin, limits(), true).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_on_one_connection() {
    let origin = Origin::start().await;
    for proxy in both(&origin).await {
        let mut client = Client::connect(&proxy).await;
        let mut heads = Vec::new();
        for n in 0..100_usize {
            let payload = "x".repeat(n * 700);
            let (headers, body) = match n % 3 {
                0 => (String::new(), String::new()),
                1 => (
                    format!("Content-Length: {}\r\n", payload.len()),
                    payload.clone(),
                ),
                _ => {
                    let chunks: String = payload
                        .as_bytes()
                        .chunks(999)
                        .map(|chunk| {
                            format!("{:x}\r\n{}\r\n", chunk.len(), "x".repeat(chunk.len()))
                        })
                        .collect();
                    (
                        "transfer-encoding: chunked\r\n".to_owned(),
                        chunks + "0\r\nX-Trailer: y\r\n\r\n",
                    )
                }
            };
            let head =
                format!("POST /{n} HTTP/1.1\r\nhOsT: a\r\nX-Odd_Name: \t v \r\n{headers}\r\n");
            client.send(format!("{head}{body}")).await;
            let sent = if n % 3 == 0 { 0 } else { payload.len() };
            let (response, body) = client.response().await;
            assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
            assert!(
                !response.to_ascii_lowercase().contains("connection: close"),
                "{response}"
            );
            assert_eq!(body, format!("/{n} {sent}"));
            heads.push(head);
        }
        let seen = proxy.logged(100).await;
        assert!(
            seen.iter()
                .enumerate()
                .all(|(n, one)| one.path == format!("/{n}"))
        );
        let raw: Vec<_> = seen
            .iter()
            .map(|seen| String::from_utf8_lossy(&seen.raw_head).into_owned())
            .collect();
        assert_eq!(raw, heads, "the raw heads, case and order and white space");
        assert!(
            seen.iter()
                .all(|one| one.connection == seen[0].connection && one.workers == seen[0].workers)
        );
        assert_eq!(
            seen[0].sni.as_deref(),
            proxy.certificate.is_some().then_some("localhost")
        );
        assert_eq!(proxy.refused.reasons(), []);
        assert_eq!(proxy.state.open(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start().await;
    for proxy in both(&origin).await {
        for drip in [false, true] {
            let mut client = Client::connect(&proxy).await;
            let mut all = String::new();
            for n in 0..20 {
                let request = match n % 3 {
                    0 => format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"),
                    1 => format!(
                        "POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nGET /x HTTP/1.1\r\n\r\n\n"
                    ),
                    _ => format!(
                        "POST /{n} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\r\n"
                    ),
                };
                all.push_str(&request);
            }
            if drip {
                client.drip(&all).await
            } else {
                client.send(&all).await
            }
            for n in 0..20 {
                let (_, body) = client.response().await;
                assert_eq!(body, format!("/{n} {}", [0, 20, 5][n % 3]));
            }
        }
        assert_eq!(proxy.refused.reasons(), []);
        assert_eq!(proxy.logged(40).await.len(), 40);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_100_gets_it() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(&origin, limits()).await;
    let mut client = Client::connect(&proxy).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 100 "));
    client.send("hello").await;
    assert_eq!(client.response().await.1, "/ 5");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_before_the_body_ended_survives_the_rest_of_the_body() {
    for tls in [false, true] {
        let origin = Origin::start().await;
        let proxy = Proxy::start_with(&origin, limits(), tls).await;
        let mut client = Client::connect(&proxy).await;
        let part = vec![b'x'; 1_000_000];
        client
            .send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n")
            .await;
        client.send(&part).await;
        origin.received("/early").await;
        // The origin hangs up, so does the proxy when it passes on more; the client has not read anything yet.
        origin.gate.add_permits(1);
        origin.left_alone().await;
        client.send(&part).await;
        proxy.logged(1).await;
        client.send(&part).await;
        let (head, body) = client.response().await;
        assert!(
            head.starts_with("HTTP/1.1 413 ") && body == "too large",
            "{head}{body}"
        );
        proxy.drained().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_noticed_while_the_origin_works() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(&origin, limits()).await;
    let mut client = Client::connect(&proxy).await;
    client.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.received("/gate").await;
    drop(client);
    proxy.drained().await;
    assert_eq!(proxy.seen().len(), 1);
}
