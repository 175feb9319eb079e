//! HTTP/2 by prior knowledge and by ALPN, and TLS.

use std::collections::HashSet;
use std::path::Path;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::listener::refusal::connection_reason;
use portcullis::listener::tls;
use portcullis_config::Location;
use portcullis_config::model::{Certificate, ListenerLimits, ListenerTls};

use crate::client::Client;
use crate::origin::Origin;
use crate::proxy::{Proxy, certificate, limits};

pub async fn h2(client: Client) -> SendRequest<Full<Bytes>> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(client.stream))
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

pub async fn post(sender: &mut SendRequest<Full<Bytes>>, path: &str, size: usize) -> (u16, String) {
    let body = Full::new(Bytes::from(vec![b'x'; size]));
    let request = Request::post(format!("http://localhost{path}"))
        .body(body)
        .expect("a request");
    let response = sender.send_request(request).await.expect("a response");
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_streams_of_a_connection_stay_on_its_worker() {
    let origin = Origin::start().await;
    for tls in [false, true] {
        let proxy = Proxy::start_with(&origin, limits(), tls).await;
        for _ in 0..3 {
            let mut sender =
                h2(Client::connect_with(&proxy, &[b"h2", b"http/1.1"], "localhost").await).await;
            let mut streams = Vec::new();
            for n in 0..60 {
                let mut sender = sender.clone();
                streams.push(tokio::spawn(async move {
                    post(&mut sender, &format!("/{n}"), n * 1000).await
                }));
            }
            for (n, stream) in streams.into_iter().enumerate() {
                assert_eq!(
                    stream.await.expect("no panic"),
                    (200, format!("/{n} {}", n * 1000))
                );
            }
            assert_eq!(
                post(&mut sender, "/large", 300_000).await.1,
                "/large 300000"
            );
        }
        let seen = proxy.logged(3 * 61).await;
        assert_eq!(seen.len(), 3 * 61);
        let connections: HashSet<_> = seen.iter().map(|seen| seen.connection).collect();
        assert_eq!(connections.len(), 3);
        for connection in connections {
            let workers: HashSet<_> = seen
                .iter()
                .filter(|seen| seen.connection == connection)
                .flat_map(|seen| seen.workers)
                .collect();
            assert_eq!(
                workers.len(),
                1,
                "connection {connection} was on {workers:?}"
            );
            assert!(!workers.contains(&None));
        }
        let all: HashSet<_> = seen.iter().flat_map(|seen| seen.workers).collect();
        assert_eq!(all.len(), 3, "connections go to the workers in turn");
        assert!(
            seen.iter()
                .all(|seen| seen.raw_head.is_empty() && seen.sni.is_some() == tls)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_h2_header_list_is_bounded() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(&origin, limits()).await;
    let mut sender = h2(Client::connect(&proxy).await).await;
    let request = Request::get("http://localhost/")
        .header("x-large", "x".repeat(12 << 10))
        .body(Full::default());
    let answered = sender.send_request(request.expect("a request")).await;
    assert!(
        answered.map_or(true, |response| response.status() == 431),
        "more than the listener's header_bytes"
    );
    assert!(origin.recorded().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_h2_connection_is_closed() {
    let origin = Origin::start().await;
    let limits = ListenerLimits {
        idle_timeout: std::time::Duration::from_millis(300),
        ..limits()
    };
    let proxy = Proxy::start(&origin, limits).await;
    let mut sender = h2(Client::connect(&proxy).await).await;
    assert_eq!(post(&mut sender, "/", 1).await.0, 200);
    proxy.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_agreed_on_and_something_else_sent() {
    let origin = Origin::start().await;
    let proxy = Proxy::start_with(&origin, limits(), true).await;
    let mut client = Client::connect_with(&proxy, &[b"h2"], "localhost").await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.read_to_end().await, "");
    assert_eq!(
        *proxy.refused.connections.lock(),
        [connection_reason::H2_PREFACE]
    );
    assert!(proxy.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn clear_text_on_a_tls_port() {
    let origin = Origin::start().await;
    let proxy = Proxy::start_with(&origin, limits(), true).await;
    let mut stream = tokio::net::TcpStream::connect(proxy.address)
        .await
        .expect("a connection");
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    proxy.drained().await;
    assert_eq!(
        *proxy.refused.connections.lock(),
        [connection_reason::TLS_HANDSHAKE]
    );
}

fn problem(certificate: Certificate) -> String {
    let problem = tls::server_config(
        &ListenerTls {
            certificates: vec![certificate],
        },
        true,
    )
    .expect_err("a problem");
    assert_eq!(problem.file, "test");
    problem.message
}

#[test]
fn certificates_and_keys_are_checked() {
    let ((_, good), (_, other)) = (certificate(&["a.example"]), certificate(&["b.example"]));
    assert!(
        tls::server_config(
            &ListenerTls {
                certificates: vec![good.clone(), other.clone()]
            },
            true
        )
        .is_ok()
    );
    let at = || Location::whole(Path::new("test"));
    let with = |cert: &[u8], key: &[u8]| {
        problem(Certificate {
            cert_pem: cert.to_vec(),
            key_pem: key.to_vec(),
            at: at(),
        })
    };
    assert_eq!(
        with(&good.cert_pem, &other.key_pem),
        "the private key does not belong to the certificate"
    );
    assert_eq!(with(b"", &good.key_pem), "no certificate found");
    assert_eq!(with(&good.key_pem, &good.key_pem), "no certificate found");
    assert_eq!(with(&good.cert_pem, b"text"), "no private key found");
    assert_eq!(with(&good.cert_pem, &good.cert_pem), "no private key found");
    let cut = &good.cert_pem[..good.cert_pem.len() / 2];
    assert!(
        with(cut, &good.key_pem).starts_with("the certificate is not valid PEM"),
        "{}",
        with(cut, &good.key_pem)
    );
    let garbled = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(with(garbled, &good.key_pem).contains("certificate"));
}
