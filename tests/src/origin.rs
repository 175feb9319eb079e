//! An HTTP server behind the proxy: HTTP/1.1 and HTTP/2 in clear text, recording what arrives.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use crate::deadline::within;

/// A body that a test sends, as a client or as an origin.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Bytes of a request body that are kept; the rest is counted and hashed.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A port of the system's choice.
const FREE_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// A body with its length known.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body of unknown length, sent part by part: `Err` breaks it off, dropping the sender ends it.
#[must_use]
pub fn parts() -> (mpsc::Sender<io::Result<Frame<Bytes>>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let parts = stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    (sender, StreamBody::new(parts).boxed_unsync())
}

/// A body of unknown length: this many chunks of this many zero bytes.
#[must_use]
pub fn zeros(chunks: usize, size: usize) -> Body {
    let chunk = Bytes::from(vec![0; size]);
    let chunks = (0..chunks).map(move |_| Ok(Frame::data(chunk.clone())));
    StreamBody::new(stream::iter(chunks)).boxed_unsync()
}

/// The SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A request that arrived whole.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    /// As in the request line; for HTTP/2 path and query.
    pub target: String,
    pub version: Version,
    pub headers: HeaderMap,
    /// The first MiB.
    pub body: Bytes,
    pub length: usize,
    pub sha256: [u8; 32],
    pub trailers: HeaderMap,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
}

impl Recorded {
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
}

/// Counted while requests arrive.
#[derive(Default)]
struct Log {
    connections: AtomicUsize,
    heads: AtomicUsize,
    body_bytes: AtomicU64,
    requests: Mutex<Vec<Recorded>>,
    /// How many of `requests` were taken by [`Origin::next`].
    taken: AtomicUsize,
    changed: Notify,
}

/// A server on a port of the system's choice; dropped, it closes everything.
pub struct Origin {
    address: SocketAddr,
    log: Arc<Log>,
    task: JoinHandle<()>,
}

impl Origin {
    /// Answers 200 with the request's body (its first MiB).
    pub async fn echo() -> Self {
        Self::echo_at(FREE_PORT).await
    }

    /// The same at this address.
    ///
    /// # Panics
    /// When the address is taken.
    pub async fn echo_at(address: SocketAddr) -> Self {
        let echo = |request: &Recorded| Response::new(full(request.body.clone()));
        Self::answering_at(address, echo)
            .await
            .expect("a free address")
    }

    /// Reads each request whole, records it, and answers.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn answering(
        answer: impl Fn(&Recorded) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        Self::answering_at(FREE_PORT, answer)
            .await
            .expect("a free port")
    }

    /// The same at this address.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn answering_at(
        address: SocketAddr,
        answer: impl Fn(&Recorded) -> Response<Body> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let answer = Arc::new(answer);
        let service = move |request, connection, log: Arc<Log>| {
            let answer = Arc::clone(&answer);
            async move {
                let recorded = record(request, connection, &log).await?;
                let response = answer(&recorded);
                log.requests.lock().expect("log").push(recorded);
                log.changed.notify_waiters();
                Ok(response)
            }
        };
        Ok(Self::on(TcpListener::bind(address).await?, service))
    }

    /// Gives each request to a handler as soon as its head is there; only [`Self::heads`] counts it.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn handling<F, R>(handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let listener = TcpListener::bind(FREE_PORT).await.expect("a free port");
        Self::on(listener, move |request, _, _| {
            let handler = Arc::clone(&handler);
            async move { Ok(handler(request).await) }
        })
    }

    fn on<F, R>(listener: TcpListener, service: F) -> Self
    where
        F: Fn(Request<Incoming>, usize, Arc<Log>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Response<Body>, hyper::Error>> + Send + 'static,
    {
        let address = listener.local_addr().expect("address of a listener");
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("no delay");
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                shared.changed.notify_waiters();
                let (log, service) = (Arc::clone(&shared), service.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        log.heads.fetch_add(1, Ordering::SeqCst);
                        log.changed.notify_waiters();
                        service(request, number, Arc::clone(&log))
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    // An error is a client that went away: the test sees that on its own side.
                    let _ = server
                        .serve_connection_with_upgrades(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, log, task }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted until now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    /// Request heads received until now.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.log.heads.load(Ordering::SeqCst)
    }

    /// Bytes of request bodies received until now, by [`Self::answering`].
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.log.body_bytes.load(Ordering::SeqCst)
    }

    /// All requests that arrived whole until now.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.log.requests.lock().expect("log").clone()
    }

    /// The next request that this was not asked for before.
    pub async fn next(&self) -> Recorded {
        let wait = self.when(|log| {
            let requests = log.requests.lock().expect("log");
            let request = requests.get(log.taken.load(Ordering::SeqCst)).cloned()?;
            log.taken.fetch_add(1, Ordering::SeqCst);
            Some(request)
        });
        within("a request at the origin", wait).await
    }

    /// Waits for this many request heads in all.
    pub async fn wait_heads(&self, count: usize) {
        let wait = self.when(|log| (log.heads.load(Ordering::SeqCst) >= count).then_some(()));
        within("a request head at the origin", wait).await;
    }

    /// Waits for this many bytes of request bodies in all.
    pub async fn wait_body_bytes(&self, count: u64) {
        let wait = self.when(|log| (log.body_bytes.load(Ordering::SeqCst) >= count).then_some(()));
        within("bytes of a request body at the origin", wait).await;
    }

    async fn when<T>(&self, look: impl Fn(&Log) -> Option<T>) -> T {
        loop {
            let changed = self.log.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = look(&self.log) {
                return found;
            }
            changed.await;
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn record(
    request: Request<Incoming>,
    connection: usize,
    log: &Log,
) -> Result<Recorded, hyper::Error> {
    let (parts, mut incoming) = request.into_parts();
    let (mut body, mut length, mut hash, mut trailers) =
        (Vec::new(), 0, Sha256::new(), HeaderMap::new());
    while let Some(frame) = incoming.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                length += data.len();
                hash.update(&data);
                let room = KEPT_BYTES_MAX - body.len();
                body.extend_from_slice(&data[..data.len().min(room)]);
                log.body_bytes
                    .fetch_add(data.len() as u64, Ordering::SeqCst);
                log.changed.notify_waiters();
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    let target = parts
        .uri
        .path_and_query()
        .map_or_else(|| parts.uri.to_string(), ToString::to_string);
    Ok(Recorded {
        method: parts.method.to_string(),
        target,
        version: parts.version,
        headers: parts.headers,
        body: body.into(),
        length,
        sha256: hash.finalize().into(),
        trailers,
        connection,
    })
}
