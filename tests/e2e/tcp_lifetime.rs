//! How long TCP connections last, and what they may take: limits, backpressure, reloads, the end of the process.

use std::time::Duration;

use portcullis_tests::deadline::{until, within};
use portcullis_tests::metrics::Metrics;
use portcullis_tests::raw::Wire;
use portcullis_tests::{Config, Filter, Proxy, RawOrigin};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::tcp::line;

fn upper(note: &str) -> Filter {
    Filter::rust(json!({ "note": note, "on": { "downstream_data": ["upper"] } })).tcp()
}

async fn echoes(client: &mut Wire, word: &str) {
    client.send(word).await;
    assert_eq!(
        client.bytes(word.len()).await,
        word.to_uppercase().as_bytes()
    );
}

#[tokio::test]
async fn a_silent_connection_ends() {
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .tcp()
        .set("/listeners/0/limits", json!({ "idle_timeout": "200ms" }))
        .start()
        .await;
    let mut client = proxy.raw().await;
    client.send("x").await;
    assert_eq!(client.bytes(1).await, b"x");
    assert!(client.closed().await);
    assert_eq!(line(&proxy).await["end"], "idle_timeout");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let origin = RawOrigin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .tcp()
        .set("/listeners/0/limits", json!({ "connections": 1 }))
        .start()
        .await;
    let mut first = proxy.raw().await;
    first.send("x").await;
    assert_eq!(first.bytes(1).await, b"x");
    assert!(proxy.raw().await.closed().await);
    let metrics = proxy.metrics().await;
    assert_eq!(
        metrics.sum(
            "portcullis_connections_refused_total",
            &[("listener", "tcp")]
        ),
        1.0
    );
    assert_eq!(
        metrics.sum("portcullis_connections", &[("listener", "tcp")]),
        1.0
    );
    first.finish().await;
    assert!(first.closed().await);
    until("room for another", async || {
        let mut client = proxy.raw().await;
        let sent = client.try_send("x").await.is_ok();
        (sent && client.bytes(1).await == b"x").then_some(())
    })
    .await;
}

/// Who sends faster than the other reads has to wait; the proxy keeps little. Both ways, through a filter.
#[tokio::test]
async fn much_data_takes_little_memory() {
    const SIZE: usize = 100 << 20;
    /// Socket buffers on both sides of the proxy, and a little of its own.
    const UNDER_WAY_MAX: u64 = 48 << 20;
    const GROWTH_MAX: u64 = 24 << 20;
    let filter =
        Filter::rust(json!({ "on": { "downstream_data": [{ "if_body": ["-", []] }] } })).tcp();
    let origin = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = origin.local_addr().expect("an address");
    let proxy = Config::new()
        .origin(address)
        .filter("look", filter)
        .tcp()
        .start()
        .await;
    let mut client = TcpStream::connect(proxy.address())
        .await
        .expect("connected");
    let (mut server, _) = within("a connection", origin.accept())
        .await
        .expect("a connection");
    let rss = proxy.rss();
    let sending = tokio::spawn(async move {
        client.write_all(&vec![7; SIZE]).await.expect("sent");
        client.shutdown().await.expect("ended");
        count(client).await
    });
    let received = standing_still(&proxy).await;
    assert!(
        received < UNDER_WAY_MAX,
        "nobody reads, yet {received} bytes were taken"
    );
    let (read, mut write) = server.split();
    assert_eq!(count(read).await, SIZE);
    write.write_all(&vec![9; SIZE]).await.expect("sent");
    drop(server);
    assert_eq!(sending.await.expect("the client"), SIZE);
    let growth = proxy.rss().saturating_sub(rss);
    assert!(growth < GROWTH_MAX, "{growth} bytes more");
    let line = line(&proxy).await;
    assert_eq!(
        (&line["bytes_received"], &line["bytes_sent"]),
        (&json!(SIZE), &json!(SIZE))
    );
}

/// Reads to the end.
async fn count(mut from: impl AsyncRead + Unpin) -> usize {
    let mut sink = tokio::io::sink();
    let read = tokio::io::copy(&mut from, &mut sink);
    usize::try_from(within("the end", read).await.expect("bytes")).expect("a size")
}

/// Bytes received, once they stand still.
async fn standing_still(proxy: &Proxy) -> u64 {
    let mut still = tokio::time::interval(Duration::from_millis(300));
    let mut last = 0;
    let end = async {
        loop {
            still.tick().await;
            let metrics = proxy.metrics().await;
            let now = metrics.sum("portcullis_tcp_received_bytes_total", &[]) as u64;
            if now > 0 && std::mem::replace(&mut last, now) == now {
                return now;
            }
        }
    };
    within("a standstill", end).await
}

/// A reload that leaves a connection's plugins and origin alone leaves the connection alone; another gives it the drain.
#[tokio::test]
async fn a_reload_ends_only_connections_that_it_changes() {
    let origin = RawOrigin::echo().await;
    let config = |note: &str, more: &str| {
        Config::new()
            .origin(origin.address())
            .filter("upper", upper(note))
            .tcp()
            .set("/reload/drain", json!("300ms"))
            .set(
                "/upstreams/more",
                json!({ "endpoints": [{ "address": more }] }),
            )
    };
    let proxy = config("one", "127.0.0.1:1").start().await;
    let mut kept = proxy.raw().await;
    echoes(&mut kept, "one").await;
    assert_eq!(proxy.reload(&config("one", "127.0.0.1:2")).await.0, 200);
    let mut second = proxy.raw().await;
    echoes(&mut second, "two").await;
    assert_eq!(proxy.reload(&config("two", "127.0.0.1:2")).await.0, 200);
    let mut third = proxy.raw().await;
    echoes(&mut third, "three").await;
    // All of the drain is theirs, and no more.
    for client in [&mut kept, &mut second] {
        assert!(client.is_reset().await);
    }
    let superseded = |metrics: &Metrics| {
        metrics.sum("portcullis_tcp_connections_total", &[("end", "superseded")])
    };
    proxy
        .until_metrics("two ends", |metrics| superseded(metrics) == 2.0)
        .await;
    echoes(&mut third, "four").await;
}

/// A reload may lead a listener elsewhere, though not change the listener.
#[tokio::test]
async fn a_reload_may_change_where_a_listener_leads() {
    let (one, two) = (RawOrigin::echo().await, RawOrigin::echo().await);
    let config = Config::new()
        .upstream("one", one.address())
        .upstream("two", two.address())
        .filter("upper", upper(""))
        .tcp();
    let to = |name: &str| config.clone().set("/listeners/0/upstream", json!(name));
    let proxy = to("one").start().await;
    let mut before = proxy.raw().await;
    echoes(&mut before, "a").await;
    assert_eq!(proxy.reload(&to("two")).await.0, 200);
    let mut after = proxy.raw().await;
    echoes(&mut after, "b").await;
    echoes(&mut before, "c").await;
    assert_eq!((one.bytes(), two.bytes()), (b"AC".to_vec(), b"B".to_vec()));
    let changed = to("two").set("/listeners/0/limits", json!({ "connections": 5 }));
    let (status, answer) = proxy.reload(&changed).await;
    assert_eq!(status, 422, "{answer}");
}

/// SIGTERM: connections go on for the drain, then they end in order, each with its line.
#[tokio::test]
async fn the_end_of_the_process_ends_connections() {
    let filter = Filter::rust(json!({ "on": {
        "downstream_data": ["upper"], "done": [{ "log": ["info", "told of the end"] }],
    }}))
    .tcp();
    let origin = RawOrigin::echo().await;
    let config = Config::new()
        .origin(origin.address())
        .filter("upper", filter)
        .tcp();
    let mut proxy = config.set("/reload/drain", json!("1s")).start().await;
    let mut client = proxy.raw().await;
    let mut done = proxy.raw().await;
    echoes(&mut client, "a").await;
    echoes(&mut done, "b").await;
    proxy.signal(Signal::TERM);
    let address = proxy.address();
    until("a refused connection", async || {
        TcpStream::connect(address).await.err()
    })
    .await;
    echoes(&mut done, "goes on").await;
    done.finish().await;
    assert!(done.closed().await);
    assert!(client.is_reset().await);
    assert_eq!(proxy.ended().await.code(), Some(0));
    // A connection that only asked whether the listener is gone may have been accepted before it was.
    let lines = proxy.access_log();
    let spoke = lines
        .iter()
        .filter(|line| line["bytes_received"] != json!(0));
    let mut ends: Vec<_> = spoke.map(|line| line["end"].clone()).collect();
    ends.sort_by_key(ToString::to_string);
    assert_eq!(ends, ["closed", "drained"]);
    assert_eq!(
        proxy.log().matches("told of the end").count(),
        lines.len(),
        "each filter is told"
    );
}

/// Nothing is left to wait for when the last connection has ended.
#[tokio::test]
async fn the_process_ends_with_its_last_connection() {
    let origin = RawOrigin::echo().await;
    let mut proxy = Config::new().origin(origin.address()).tcp().start().await;
    let mut client = proxy.raw().await;
    client.send("x").await;
    assert_eq!(client.bytes(1).await, b"x");
    proxy.signal(Signal::TERM);
    client.finish().await;
    assert!(client.closed().await);
    let started = std::time::Instant::now();
    assert_eq!(proxy.ended().await.code(), Some(0));
    assert!(started.elapsed().as_secs() < 10);
}

/// A reset of one side is a reset for the other: it must not look like the end of what was sent.
#[tokio::test]
async fn a_reset_is_passed_on() {
    let origin = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = origin.local_addr().expect("an address");
    let filter = Filter::rust(json!({ "on": {
        "upstream_close": [{ "size": "origin" }], "downstream_close": [{ "size": "client" }],
    }}))
    .tcp();
    let proxy = Config::new()
        .origin(address)
        .filter("look", filter)
        .tcp()
        .start()
        .await;
    for (by_client, end, peers) in [
        (true, "client_reset", ["origin=1", "client=2"]),
        (false, "origin_reset", ["origin=2", "client=1"]),
    ] {
        let mut client = TcpStream::connect(proxy.address())
            .await
            .expect("connected");
        let (mut server, _) = within("a connection", origin.accept())
            .await
            .expect("a connection");
        client.write_all(b"x").await.expect("sent");
        assert_eq!(server.read_u8().await.expect("a byte"), b'x');
        let (one, mut other) = if by_client {
            (client, server)
        } else {
            (server, client)
        };
        set_socket_linger(&one, Some(Duration::ZERO)).expect("the system allows it");
        drop(one);
        let read = within("the reset", other.read_u8()).await;
        let error = read.expect_err("no byte");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{end}");
        let ended = |line: &serde_json::Value| line["end"] == end;
        proxy.access_line(end, ended).await;
        for peer in peers {
            proxy.until_log(peer).await;
        }
    }
}
