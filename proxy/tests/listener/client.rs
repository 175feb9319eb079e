//! A client that sends bytes as they are.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::origin::PATIENCE;
use crate::proxy::Proxy;

pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub struct Client {
    pub stream: Box<dyn Io>,
    input: Vec<u8>,
}

impl Client {
    /// Over TLS where the proxy has it, without ALPN.
    pub async fn connect(proxy: &Proxy) -> Self {
        Self::connect_with(proxy, &[], "localhost").await
    }

    pub async fn connect_with(proxy: &Proxy, alpn: &[&[u8]], name: &'static str) -> Self {
        let stream = TcpStream::connect(proxy.address)
            .await
            .expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let stream: Box<dyn Io> = match &proxy.certificate {
            None => Box::new(stream),
            Some(certificate) => {
                let name = name.try_into().expect("a name");
                let connector = TlsConnector::from(tls(certificate, alpn));
                Box::new(connector.connect(name, stream).await.expect("a handshake"))
            }
        };
        Self {
            stream,
            input: Vec::new(),
        }
    }

    /// Sends in one piece.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("sent");
        self.stream.flush().await.expect("sent");
    }

    /// Sends byte by byte, until the other side is known to have closed.
    pub async fn drip(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            if self.stream.write_all(&[*byte]).await.is_err() || self.stream.flush().await.is_err()
            {
                return;
            }
        }
    }

    /// Everything until the other side ends: in order, with TLS's word for it and without a reset.
    pub async fn read_to_end(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.input);
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(matches!(read, Ok(Ok(_))), "{read:?} after {rest:?}");
        rest
    }

    /// The next response, by its content-length: its head, and its body.
    pub async fn response(&mut self) -> (String, String) {
        let head = self.until("\r\n\r\n").await;
        let lower = head.to_ascii_lowercase();
        let length = lower
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.parse().ok());
        let body = self.exactly(length.unwrap_or(0)).await;
        (head, body)
    }

    pub async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self
                .input
                .windows(end.len())
                .position(|window| window == end.as_bytes());
            if let Some(at) = found {
                return self.take(at + end.len());
            }
            self.more().await;
        }
    }

    pub async fn exactly(&mut self, count: usize) -> String {
        while self.input.len() < count {
            self.more().await;
        }
        self.take(count)
    }

    fn take(&mut self, count: usize) -> String {
        String::from_utf8_lossy(&self.input.drain(..count).collect::<Vec<_>>()).into_owned()
    }

    async fn more(&mut self) {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await;
        assert!(
            matches!(read, Ok(Ok(1..))),
            "{read:?} after {:?}",
            String::from_utf8_lossy(&self.input)
        );
    }
}

pub fn tls(certificate: &rcgen::Certificate, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}
