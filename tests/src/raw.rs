//! Bytes on a socket, for what an HTTP library would not send or would hide.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;

use crate::deadline::within;
use crate::tls::Authority;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// All that was read from a connection.
type Seen = Arc<Mutex<Vec<u8>>>;

/// One end of a connection.
pub struct Wire {
    stream: Box<dyn Stream>,
    /// Read, but not taken yet.
    buffer: Vec<u8>,
    seen: Seen,
    /// An origin waits for the next request as long as its connection is pooled.
    patient: bool,
}

/// What a client got back.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// Status line and header lines, without the empty line.
    pub head: String,
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// The first value of a header in the text of a head.
#[must_use]
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Wire {
    fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
            seen: Arc::default(),
            patient: false,
        }
    }

    /// # Panics
    /// When the other side does not take it.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the other side reads");
    }

    /// Like [`Self::send`], where the other side may have closed.
    ///
    /// # Errors
    /// When it did.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        let write = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        within("writing", write).await
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        self.try_finish().await.expect("shutdown");
    }

    /// Like [`Self::finish`], where the other side may have closed.
    ///
    /// # Errors
    /// When it did.
    pub async fn try_finish(&mut self) -> std::io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads what is there; false at the end of the stream (or when it was reset).
    async fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        let read = self.stream.read(&mut bytes);
        let read = if self.patient {
            read.await
        } else {
            within("reading", read).await
        };
        let count = read.unwrap_or(0);
        let bytes = &bytes[..count];
        self.buffer.extend_from_slice(bytes);
        self.seen.lock().expect("seen").extend_from_slice(bytes);
        count > 0
    }

    /// The text up to the next empty line, which is taken but not returned; none at the end of the stream.
    pub async fn head(&mut self) -> Option<String> {
        self.until(b"\r\n\r\n")
            .await
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self
                .buffer
                .windows(end.len())
                .position(|window| window == end)
            {
                let bytes = self.take(at);
                self.take(end.len());
                return Some(bytes);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Exactly this many bytes; fewer at the end of the stream.
    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count && self.fill().await {}
        self.take(count.min(self.buffer.len()))
    }

    /// Everything until the end of the stream.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        self.take(self.buffer.len())
    }

    /// Whether the connection is reset, having sent nothing more: to be told from an orderly end.
    pub async fn is_reset(&mut self) -> bool {
        let mut byte = [0];
        let read = within("reading", self.stream.read(&mut byte)).await;
        self.buffer.is_empty()
            && read.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    }

    /// Whether the other side closed, having sent nothing more.
    pub async fn closed(&mut self) -> bool {
        self.rest().await.is_empty()
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.buffer.drain(..count).collect()
    }

    /// A body framed as its head says.
    pub async fn body_of(&mut self, head: &str) -> Vec<u8> {
        if header(head, "transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
        {
            return self.chunked().await;
        }
        match header(head, "content-length") {
            Some(length) => self.bytes(length.parse().expect("content-length")).await,
            None => Vec::new(),
        }
    }

    /// A chunked body, with its trailers dropped.
    ///
    /// # Panics
    /// When it is malformed or ends early.
    pub async fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk().await.expect("a chunk");
            if chunk.is_empty() {
                while !self
                    .until(b"\r\n")
                    .await
                    .expect("end of trailers")
                    .is_empty()
                {}
                return body;
            }
            body.extend(chunk);
        }
    }

    /// The next chunk's data, empty for the last chunk (whose trailers are not read); none where the stream ends.
    ///
    /// # Panics
    /// When it is malformed.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.until(b"\r\n").await?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let size = line.split(';').next().unwrap_or_default();
        let size =
            usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("size of a chunk: {line:?}"));
        if size == 0 {
            return Some(Vec::new());
        }
        let data = self.bytes(size + 2).await;
        assert!(
            data.len() == size + 2 && data.ends_with(b"\r\n"),
            "a chunk's end is missing"
        );
        Some(data[..size].to_vec())
    }

    /// The next final answer to a request of this method; 1xx are skipped.
    ///
    /// # Panics
    /// When the connection ends before it is complete.
    pub async fn answer_to(&mut self, method: &str) -> RawAnswer {
        self.try_answer_to(method)
            .await
            .expect("an answer before the end of the connection")
    }

    /// The next final answer, or none where the connection ended instead.
    pub async fn try_answer_to(&mut self, method: &str) -> Option<RawAnswer> {
        loop {
            let head = self.head().await?;
            let status: u16 = head
                .get(9..12)
                .and_then(|digits| digits.parse().ok())
                .unwrap_or_else(|| panic!("status line: {head:?}"));
            if status < 200 && status != 101 {
                continue;
            }
            let bodiless = method == "HEAD" || matches!(status, 101 | 204 | 304);
            let framed = header(&head, "transfer-encoding").is_some()
                || header(&head, "content-length").is_some();
            let body = match (bodiless, framed) {
                (true, _) => Vec::new(),
                (false, true) => self.body_of(&head).await,
                (false, false) => self.rest().await,
            };
            return Some(RawAnswer { status, head, body });
        }
    }

    /// The next answer to a GET or POST.
    pub async fn answer(&mut self) -> RawAnswer {
        self.answer_to("GET").await
    }
}

/// A client that sends bytes.
pub struct RawClient;

impl RawClient {
    /// A clear-text connection.
    ///
    /// # Panics
    /// When nothing listens.
    pub async fn connect(address: SocketAddr) -> Wire {
        Self::try_connect(address).await.expect("something listens")
    }

    /// Like [`Self::connect`], where the other side may reset the connection at once.
    ///
    /// # Errors
    /// When it did, or nothing listens.
    pub async fn try_connect(address: SocketAddr) -> std::io::Result<Wire> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Wire::new(stream))
    }

    /// A TLS connection for HTTP/1.1.
    ///
    /// # Panics
    /// When the handshake fails.
    pub async fn tls(address: SocketAddr, authority: &Authority) -> Wire {
        let stream = TcpStream::connect(address)
            .await
            .expect("something listens");
        stream.set_nodelay(true).expect("no delay");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(authority.client(&[b"http/1.1"]));
        Wire::new(
            within("TLS handshake", connector.connect(name, stream))
                .await
                .expect("TLS handshake"),
        )
    }
}

/// A server that is given bytes.
pub struct RawOrigin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl RawOrigin {
    /// Runs a script on each connection, which ends with it.
    pub async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Wire) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("address of a listener");
        let (connections, seen) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let (counter, all) = (Arc::clone(&connections), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            let mut running = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("no delay");
                let mut wire = Wire::new(stream);
                wire.patient = true;
                all.lock().expect("seen").push(Arc::clone(&wire.seen));
                counter.fetch_add(1, Ordering::SeqCst);
                running.spawn(script(wire));
            }
        });
        Self {
            address,
            connections,
            seen,
            task,
        }
    }

    /// Sends back what comes, to the end.
    pub async fn echo() -> Self {
        Self::start(|mut wire| async move {
            while wire.fill().await {
                let bytes = wire.take(wire.buffer.len());
                if wire.try_send(bytes).await.is_err() {
                    return;
                }
            }
            let _ = wire.stream.shutdown().await;
        })
        .await
    }

    /// Answers each request with 200 and `ok`, leniently framed, and keeps the bytes.
    pub async fn recording() -> Self {
        Self::start(|mut wire| async move {
            while let Some(head) = wire.head().await {
                wire.body_of(&head).await;
                if wire
                    .try_send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .await
                    .is_err()
                {
                    return;
                }
            }
        })
        .await
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted until now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// All bytes of all connections until now.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let seen = self.seen.lock().expect("seen");
        seen.iter()
            .flat_map(|bytes| bytes.lock().expect("bytes").clone())
            .collect()
    }
}

impl Drop for RawOrigin {
    fn drop(&mut self) {
        self.task.abort();
    }
}
