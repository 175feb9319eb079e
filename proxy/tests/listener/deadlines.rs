//! Clients that take their time.

use std::time::{Duration, Instant};

use portcullis::listener::Refusal;
use portcullis_config::model::ListenerLimits;
use tokio::io::AsyncWriteExt;
use tokio::time::interval;

use crate::client::Client;
use crate::origin::Origin;
use crate::proxy::{Proxy, limits};

const SHORT: Duration = Duration::from_millis(300);

fn short_header() -> ListenerLimits {
    ListenerLimits {
        header_timeout: SHORT,
        ..limits()
    }
}

/// Far below every other deadline in the way.
fn assert_in_time(start: Instant) {
    assert!(
        (SHORT..Duration::from_secs(8)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_one_deadline_however_it_drips() {
    let origin = Origin::start().await;
    for tls in [false, true] {
        let proxy = Proxy::start_with(&origin, short_header(), tls).await;
        for request_before in [false, true] {
            let mut client = Client::connect(&proxy).await;
            if request_before {
                client.send("GET /good HTTP/1.1\r\nHost: a\r\n\r\n").await;
                client.response().await;
            }
            let start = Instant::now();
            // Every byte would be in time for a limit on each read.
            let mut tick = interval(SHORT / 10);
            while start.elapsed() < SHORT * 2 {
                if client.stream.write_all(b"A").await.is_err()
                    || client.stream.flush().await.is_err()
                {
                    break;
                }
                tick.tick().await;
            }
            let response = client.read_to_end().await;
            assert!(response.starts_with("HTTP/1.1 408 "), "{response:?}");
            assert_in_time(start);
        }
        assert_eq!(proxy.refused.reasons(), [Refusal::HeadTimeout; 2]);
    }
    assert!(!origin.recorded().contains("AA"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preface_that_stops_half_way_does_not_hang() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(&origin, short_header()).await;
    for text in ["P", "PRI * HTTP/2.0\r\n\r\nSM\r\n", "PRI"] {
        let start = Instant::now();
        let mut client = Client::connect(&proxy).await;
        client.send(text).await;
        let response = client.read_to_end().await;
        assert!(
            response.starts_with("HTTP/1.1 408 ") || response.starts_with("HTTP/1.1 505 "),
            "{text}: {response:?}"
        );
        assert_in_time(start);
    }
    // Shorter than the preface, and complete.
    let mut client = Client::connect(&proxy).await;
    client.send("PUT / HTTP/1.0\r\n\r\n").await;
    assert!(client.read_to_end().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_without_a_word() {
    let origin = Origin::start().await;
    for tls in [false, true] {
        let proxy = Proxy::start_with(
            &origin,
            ListenerLimits {
                idle_timeout: SHORT,
                ..limits()
            },
            tls,
        )
        .await;
        for opening in ["", "\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let start = Instant::now();
            let mut client = Client::connect(&proxy).await;
            client.send(opening).await;
            if opening.len() > 2 {
                client.response().await;
            }
            assert_eq!(client.read_to_end().await, "");
            assert_in_time(start);
        }
        proxy.drained().await;
        assert_eq!(proxy.refused.reasons(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_refused_by_its_rate() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(
        &origin,
        ListenerLimits {
            body_min_rate: 1 << 20,
            ..short_header()
        },
    )
    .await;
    for framing in ["Content-Length: 1001", "Transfer-Encoding: chunked"] {
        let start = Instant::now();
        let mut client = Client::connect(&proxy).await;
        client
            .send(format!(
                "POST /slow HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n3\r\nabc\r\n"
            ))
            .await;
        let mut tick = interval(SHORT / 10);
        while start.elapsed() < SHORT * 2 {
            let byte: &[u8] = if framing.starts_with('C') {
                b"x"
            } else {
                b"1\r\nx\r\n"
            };
            if client.stream.write_all(byte).await.is_err() {
                break;
            }
            tick.tick().await;
        }
        let response = client.read_to_end().await;
        assert!(response.starts_with("HTTP/1.1 408 "), "{response:?}");
        assert_in_time(start);
    }
    assert_eq!(proxy.refused.reasons(), [Refusal::BodyTooSlow; 2]);
    origin.left_alone().await;
    assert!(!origin.recorded().contains("0\r\n\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_not_slow_while_others_are_waited_for() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(
        &origin,
        ListenerLimits {
            body_min_rate: 1 << 20,
            ..short_header()
        },
    )
    .await;
    let mut client = Client::connect(&proxy).await;
    // The origin takes longer than the client's grace to say 100, and then to answer.
    client
        .send("POST /gate HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    origin.received("/gate").await;
    tokio::time::sleep(SHORT * 2).await;
    origin.gate.add_permits(1);
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 100 "));
    client.send("hello").await;
    assert_eq!(client.response().await.1, "/gate 5");
    // A 1xx before the body has ended costs the connection.
    let mut client = Client::connect(&proxy).await;
    client.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(SHORT * 2).await;
    origin.gate.add_permits(1);
    assert_eq!(client.response().await.1, "/gate 0");
    assert_eq!(proxy.refused.reasons(), []);
}
