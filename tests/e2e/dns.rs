//! Origins given by name, whose addresses change.

use std::net::{Ipv4Addr, SocketAddr};

use http::Response;
use portcullis_tests::deadline::until;
use portcullis_tests::dns::NameServer;
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Origin};
use serde_json::json;

const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Two origins on one port of two addresses of this machine.
async fn two_origins() -> (Origin, Origin) {
    let answer = |name: &'static str| move |_: &_| Response::new(full(name));
    loop {
        let here = Origin::answering_at((HERE, 0).into(), answer("here"))
            .await
            .expect("a free port");
        let port = here.address().port();
        // Somebody else may have that port there; then another one is tried.
        if let Ok(there) = Origin::answering_at((THERE, port).into(), answer("there")).await {
            return (here, there);
        }
    }
}

fn named(server: &NameServer, port: u16) -> Config {
    Config::new()
        .set(
            "/upstreams/origin",
            json!({ "endpoints": [{ "address": format!("origin.test:{port}") }] }),
        )
        .set(
            "/dns",
            json!({ "servers": [server.address().to_string()], "refresh": "1s" }),
        )
}

#[tokio::test]
async fn a_name_is_followed_to_its_new_address() {
    let (here, there) = two_origins().await;
    let server = NameServer::start().await;
    server.set("origin.test", &[HERE]);
    let proxy = named(&server, here.address().port()).start().await;
    let mut client = proxy.client().await;
    assert_eq!(client.get("/").await.text(), "here");
    server.set("origin.test", &[THERE]);
    until("the new address", async || {
        let answer = client.get("/").await;
        assert_eq!(
            answer.status, 200,
            "not one request fails while the address changes"
        );
        (answer.text() == "there").then_some(())
    })
    .await;
    drop(there);
}

/// The name server is gone, or the name is: the last addresses stay good.
#[tokio::test]
async fn a_failing_look_up_keeps_the_last_addresses() {
    let (here, _there) = two_origins().await;
    let server = NameServer::start().await;
    server.set("origin.test", &[HERE]);
    let proxy = named(&server, here.address().port()).start().await;
    assert_eq!(proxy.get("/").await.text(), "here");
    let questions = server.questions();
    server.set("origin.test", &[]);
    until("two more questions", async || {
        (server.questions() >= questions + 4).then_some(())
    })
    .await;
    assert_eq!(proxy.get("/").await.text(), "here");
}

#[tokio::test]
async fn several_addresses_of_a_name_take_turns() {
    let (here, _there) = two_origins().await;
    let server = NameServer::start().await;
    server.set("origin.test", &[HERE, THERE]);
    let proxy = named(&server, here.address().port()).start().await;
    let mut client = proxy.client().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..10 {
        seen.insert(client.get("/").await.text());
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

/// The system's hosts file is used where no name servers are given.
#[tokio::test]
async fn localhost_is_known() {
    let origin = Origin::echo().await;
    let SocketAddr::V4(address) = origin.address() else {
        unreachable!("bound to IPv4")
    };
    let config = Config::new().set(
        "/upstreams/origin",
        json!({ "endpoints": [{ "address": format!("localhost:{}", address.port()) }] }),
    );
    let proxy = config.start().await;
    assert_eq!(proxy.get("/").await.status, 200);
}
