//! Calls against real origins on the loopback: hyper's servers where they behave, raw sockets where they do not.

mod failures;
mod responses;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_abi::host::{HttpCall, HttpCallResponse};
use portcullis_config::model::{
    Dns, Endpoint, EndpointHost, Upstream, UpstreamProtocol, UpstreamTimeouts,
};
use portcullis_config::problem::Location;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::Callouts;
use crate::upstream::{Resolver, Upstreams};

pub(super) const TIMEOUTS: UpstreamTimeouts = UpstreamTimeouts {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(5),
    write: Duration::from_secs(5),
    idle: Duration::from_secs(60),
};

pub(super) type Reply = Response<BoxBody<Bytes, hyper::Error>>;

pub(super) fn full(body: impl Into<Bytes>) -> BoxBody<Bytes, hyper::Error> {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed()
}

/// An origin on a port of the system's choice.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Origin {
    /// Answers each request by `reply`.
    pub(super) async fn serve<F>(
        protocol: UpstreamProtocol,
        reply: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::accept(move |stream| {
            let reply = reply.clone();
            async move {
                let service = service_fn(move |request| {
                    let reply = reply(request);
                    async { Ok::<_, hyper::Error>(reply.await) }
                });
                let io = TokioIo::new(stream);
                // A connection that a test breaks is no fault of the origin.
                let _ = match protocol {
                    UpstreamProtocol::H1 => {
                        http1::Builder::new().serve_connection(io, service).await
                    }
                    UpstreamProtocol::H2 => {
                        http2::Builder::new(TokioExecutor::new())
                            .serve_connection(io, service)
                            .await
                    }
                };
            }
        })
        .await
    }

    /// Reads the head of one request from each connection, writes `bytes`, and closes.
    async fn raw(bytes: &'static [u8]) -> Self {
        Self::accept(move |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
        })
        .await
    }

    pub(super) async fn accept<F>(connection: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(connection(stream));
            }
        });
        Self {
            address,
            connections,
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Everything up to the empty line; empty at the end of the connection.
async fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    head
}

/// A port on which nothing listens, and nothing else will for as long as this lives.
pub(super) struct Refusing(TcpSocket);

impl Refusing {
    pub(super) fn bind() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// One upstream `origin`.
pub(super) fn upstream(
    addresses: &[SocketAddr],
    protocol: UpstreamProtocol,
    timeouts: UpstreamTimeouts,
) -> Upstreams {
    let at = Location::whole(Path::new("test.yaml"));
    let endpoints = addresses.iter().map(|address| Endpoint {
        host: EndpointHost::Address(address.ip()),
        port: address.port(),
        at: at.clone(),
    });
    let endpoints = endpoints.collect();
    let upstream = Upstream {
        name: "origin".to_owned(),
        endpoints,
        protocol,
        timeouts,
        at,
    };
    let dns = Dns {
        servers: Vec::new(),
        refresh: Duration::from_secs(5),
    };
    let resolver = Resolver::new(tokio::runtime::Handle::current(), |_, _| {});
    Upstreams::with_parts(&[upstream], &dns, &resolver)
}

fn h1(origin: &Origin) -> Upstreams {
    upstream(&[origin.address], UpstreamProtocol::H1, TIMEOUTS)
}

fn bytes_of(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect()
}

fn call(method: &str, path: &str) -> HttpCall {
    HttpCall {
        token: 1,
        upstream: "origin".to_owned(),
        headers: bytes_of(&[
            (":method", method),
            (":path", path),
            (":authority", "example.com"),
        ]),
        body: Vec::new(),
        trailers: Vec::new(),
        timeout: None,
    }
}

fn header<'a>(response: &'a HttpCallResponse, name: &str) -> Option<&'a str> {
    let found = response
        .headers
        .iter()
        .find(|(known, _)| known == name.as_bytes());
    found.map(|(_, value)| std::str::from_utf8(value).unwrap())
}

fn status(response: &HttpCallResponse) -> Option<&str> {
    header(response, ":status")
}

/// A failure as a guest sees it: nothing, and a reason that holds `reason`.
fn assert_failed(response: &HttpCallResponse, reason: &str) {
    assert!(
        response.headers.is_empty() && response.body.is_empty() && response.trailers.is_empty(),
        "{response:?}"
    );
    let (code, text) = &response.status;
    assert_eq!(*code, 11);
    assert!(
        text.starts_with("reset: ") && text.contains(reason),
        "{text}"
    );
}
