//! An HTTP client on one connection.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::deadline::within;
use crate::origin::{Body, full};
use crate::tls::Authority;

/// Host of requests that name none.
pub const HOST: &str = "portcullis.test";

/// One connection. HTTP/2 clients can be cloned to send at the same time.
pub struct Client {
    sender: Sender,
    scheme: &'static str,
}

enum Sender {
    H1(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
}

/// A response read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Answer {
    /// The first value of a header, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a header's text"))
    }

    /// All values of a header.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().expect("a header's text"))
            .collect()
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads a response to its end.
    ///
    /// # Errors
    /// When it breaks off.
    pub async fn read(response: Response<Incoming>) -> Result<Self, hyper::Error> {
        let (parts, body) = response.into_parts();
        let collected = within("the body of a response", body.collect()).await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok(Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: collected.to_bytes(),
            trailers,
        })
    }
}

impl Client {
    /// HTTP/1.1 in clear text.
    pub async fn h1(address: SocketAddr) -> Self {
        Self::over_h1(connect(address).await, "http").await
    }

    /// HTTP/2 in clear text, by prior knowledge.
    pub async fn h2c(address: SocketAddr) -> Self {
        Self::over_h2(connect(address).await, "http").await
    }

    /// TLS, with the protocol that this ALPN name stands for: `http/1.1` or `h2`.
    ///
    /// # Panics
    /// When the handshake fails or agrees on another protocol.
    pub async fn tls(address: SocketAddr, authority: &Authority, alpn: &str) -> Self {
        let connector = TlsConnector::from(authority.client(&[alpn.as_bytes()]));
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = connector.connect(name, connect(address).await);
        let stream = within("TLS handshake", stream)
            .await
            .expect("TLS handshake");
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            Some(alpn.as_bytes()),
            "protocol agreed on"
        );
        match alpn {
            "h2" => Self::over_h2(stream, "https").await,
            _ => Self::over_h1(stream, "https").await,
        }
    }

    async fn over_h1(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        scheme: &'static str,
    ) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .expect("HTTP/1.1");
        tokio::spawn(connection.with_upgrades());
        Self {
            sender: Sender::H1(sender),
            scheme,
        }
    }

    async fn over_h2(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        scheme: &'static str,
    ) -> Self {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
        tokio::spawn(connection);
        Self {
            sender: Sender::H2(sender),
            scheme,
        }
    }

    /// Another handle on the same HTTP/2 connection.
    ///
    /// # Panics
    /// When this is HTTP/1.1.
    #[must_use]
    pub fn another(&self) -> Self {
        match &self.sender {
            Sender::H1(_) => panic!("an HTTP/1.1 connection does one request at a time"),
            Sender::H2(sender) => Self {
                sender: Sender::H2(sender.clone()),
                scheme: self.scheme,
            },
        }
    }

    /// # Panics
    /// When there is no whole answer.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path).body(full("")).expect("request"))
            .await
    }

    /// # Panics
    /// When there is no whole answer.
    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Request::post(path).body(full(body)).expect("request"))
            .await
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Panics
    /// When there is no whole answer.
    pub async fn send(&mut self, request: Request<Body>) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    /// # Errors
    /// When there is no whole answer.
    pub async fn try_send(&mut self, request: Request<Body>) -> Result<Answer, hyper::Error> {
        Answer::read(self.open(request).await?).await
    }

    /// Sends a request and gives the response when its head is there. A request without a host goes to [`HOST`].
    ///
    /// # Errors
    /// When there is no response.
    ///
    /// # Panics
    /// When the request has no path.
    pub async fn open(
        &mut self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        match &mut self.sender {
            Sender::H1(sender) => {
                request
                    .headers_mut()
                    .entry(header::HOST)
                    .or_insert(HeaderValue::from_static(HOST));
                within("readiness of the connection", sender.ready()).await?;
                within("the head of a response", sender.send_request(request)).await
            }
            Sender::H2(sender) => {
                let host = request.headers_mut().remove(header::HOST);
                let host = host
                    .as_ref()
                    .map_or(HOST, |host| host.to_str().expect("a host's text"));
                let path = request.uri().path_and_query().expect("a path").clone();
                let uri = Uri::builder()
                    .scheme(self.scheme)
                    .authority(host)
                    .path_and_query(path);
                *request.uri_mut() = uri.build().expect("a URI");
                within("readiness of the connection", sender.ready()).await?;
                within("the head of a response", sender.send_request(request)).await
            }
        }
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address)
        .await
        .expect("something listens");
    stream.set_nodelay(true).expect("no delay");
    stream
}
