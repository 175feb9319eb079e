//! Binding, the limit of connections, and the end.

use std::net::SocketAddr;
use std::path::Path;

use portcullis::listener::bind;
use portcullis::listener::refusal::connection_reason;
use portcullis_config::Location;
use portcullis_config::model::{Listener, ListenerLimits, ListenerProtocol};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::Client;
use crate::origin::{Origin, PATIENCE};
use crate::protocols::{h2, post};
use crate::proxy::{Proxy, limits};

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_limit_are_closed_and_counted() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(
        &origin,
        ListenerLimits {
            connections: 2,
            ..limits()
        },
    )
    .await;
    let (mut first, mut second) = (Client::connect(&proxy).await, Client::connect(&proxy).await);
    for client in [&mut first, &mut second] {
        client.send("GET /in HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.response().await;
    }
    let mut third = Client::connect(&proxy).await;
    assert_eq!(third.read_to_end().await, "");
    assert_eq!(
        *proxy.refused.connections.lock(),
        [connection_reason::LIMIT]
    );
    assert_eq!(proxy.state.open(), 2);
    // A place that is given up is free again, and the others have gone on.
    drop(first);
    while proxy.state.open() > 1 {
        tokio::task::yield_now().await;
    }
    let mut fourth = Client::connect(&proxy).await;
    for client in [&mut second, &mut fourth] {
        client.send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.response().await.1, "/again 0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_closes_what_is_idle_and_finishes_what_is_not() {
    for tls in [false, true] {
        let origin = Origin::start().await;
        let mut proxy = Proxy::start_with(&origin, limits(), tls).await;
        let (mut fresh, mut idle, mut busy) = (
            Client::connect(&proxy).await,
            Client::connect(&proxy).await,
            Client::connect(&proxy).await,
        );
        idle.send("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").await;
        idle.response().await;
        busy.send("POST /gate/busy HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
            .await;
        let mut streams = h2(Client::connect_with(&proxy, &[b"h2"], "localhost").await).await;
        let stream = tokio::spawn(async move { post(&mut streams, "/gate/h2", 0).await.1 });
        origin.received("/gate/busy").await;
        origin.received("/gate/h2").await;
        proxy.shut_down();
        let accepting = timeout(PATIENCE, &mut proxy.accepting).await;
        assert!(matches!(accepting, Ok(Ok(Ok(())))), "{accepting:?}");
        assert!(
            TcpStream::connect(proxy.address).await.is_err(),
            "no longer listening"
        );
        assert_eq!(idle.read_to_end().await, "");
        assert_eq!(fresh.read_to_end().await, "");
        assert!(proxy.state.open() >= 2, "what is busy goes on");
        busy.send("hello").await;
        origin.gate.add_permits(2);
        let (head, body) = busy.response().await;
        assert_eq!(body, "/gate/busy 5");
        assert!(
            head.to_ascii_lowercase().contains("connection: close"),
            "{head}"
        );
        assert_eq!(busy.read_to_end().await, "");
        assert_eq!(stream.await.expect("no panic"), "/gate/h2 0");
        proxy.drained().await;
        proxy.workers.shutdown();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_said_to_be() {
    let listener = |address: SocketAddr| Listener {
        name: "edge".into(),
        address,
        protocol: ListenerProtocol::Http,
        tls: None,
        client_ip: None,
        limits: limits(),
        at: Location::whole(Path::new("test")),
    };
    let first = bind(&listener(([127, 0, 0, 1], 0).into())).expect("a port");
    let address = first.local_addr().expect("an address");
    let error = bind(&listener(address)).expect_err("in use");
    assert_eq!(
        error.to_string(),
        format!("listener edge: cannot listen on {address}: the address is in use")
    );
    drop(first);
    assert!(bind(&listener(address)).is_ok(), "free again at once");
    assert!(bind(&listener("[::1]:0".parse().expect("an address"))).is_ok());
}
