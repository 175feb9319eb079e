//! Leaving HTTP by a 101, and what must not leave with it.

use portcullis::listener::Refusal;

use crate::client::Client;
use crate::origin::Origin;
use crate::proxy::{Proxy, limits};

const UPGRADE: &str =
    "GET /gate/upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_both_ways_after_the_101_and_not_before() {
    for tls in [false, true] {
        let origin = Origin::start().await;
        let proxy = Proxy::start_with(&origin, limits(), tls).await;
        let mut client = Client::connect(&proxy).await;
        client.send(UPGRADE).await;
        client.send("EARLY\0\r\n\r\n").await;
        origin.received("/gate/upgrade").await;
        // A second request has no way to overtake, so when it is answered the early bytes had every chance.
        let mut other = Client::connect(&proxy).await;
        other.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n").await;
        other.response().await;
        assert!(
            !origin.recorded().contains("EARLY"),
            "held until the origin has agreed"
        );
        origin.gate.add_permits(1);
        assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 101 "));
        assert_eq!(client.exactly(10).await, "EARLY\0\r\n\r\n");
        for n in 0..50 {
            let message = format!("\0\r\nGET nothing like HTTP {n}\n");
            client.send(&message).await;
            assert_eq!(client.exactly(message.len()).await, message);
        }
        assert_eq!(proxy.refused.reasons(), []);
        drop((client, other));
        proxy.drained().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_101_early_bytes_are_the_next_request() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(&origin, limits()).await;
    let refused = UPGRADE.replace("/gate/upgrade", "/gate/no");
    let mut client = Client::connect(&proxy).await;
    client
        .send(format!(
            "{refused}GET /next HTTP/1.1\r\nHost: a\r\n\r\n{refused}\0FRAME"
        ))
        .await;
    origin.gate.add_permits(2);
    for path in ["/gate/no", "/next", "/gate/no"] {
        assert_eq!(client.response().await.1, format!("{path} 0"));
    }
    assert!(client.read_to_end().await.starts_with("HTTP/1.1 400 "));
    assert_eq!(proxy.refused.reasons(), [Refusal::Method]);
    assert!(!origin.recorded().contains("FRAME"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_101_that_nobody_asked_for_ends_the_connection() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(&origin, limits()).await;
    origin.gate.add_permits(10);
    for headers in [
        "",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Upgrade: websocket, h2c\r\n",
    ] {
        let mut client = Client::connect(&proxy).await;
        client
            .send(format!(
                "GET /gate/upgrade HTTP/1.1\r\nHost: a\r\n{headers}\r\n"
            ))
            .await;
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let response = client.read_to_end().await;
        assert!(!response.contains("101"), "{headers:?}: {response}");
    }
    proxy.drained().await;
    origin.left_alone().await;
    assert!(!origin.recorded().contains("PRI"), "{}", origin.recorded());
}
