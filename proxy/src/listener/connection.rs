//! One client connection: who is there, what it sent, and its way through Pingora.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::H2Options;
use pingora_core::server::ShutdownWatch;
use pingora_proxy::{HttpProxy, ProxyHttp};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use crate::exchange::FilterState;

use super::accept::Handler;
use super::farewell::{Ending, Linger, farewell};
use super::guard::{Guard, Protocol};
use super::preface::{self, Opening};
use super::refusal::{Refusal, RefusedSink, connection_reason};
use super::state::{ListenerState, Permit};
use super::transport::Transport;

/// A TLS handshake takes this long at most.
const TLS_HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// From the shutdown to the close of a connection without a request in progress. Closed at once, it would cross the next
/// request of a busy client, who cannot know whether it was processed.
const CLOSE_IDLE_AFTER: Duration = Duration::from_secs(1);

tokio::task_local! {
    static CONNECTION: Arc<Connection>;
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The connection whose request this task is processing; `None` outside of such a task.
pub fn current() -> Option<Arc<Connection>> {
    CONNECTION.try_with(Arc::clone).ok()
}

/// What is known of a client connection, from its accept to its close.
#[derive(Debug)]
pub struct Connection {
    /// Unique within the process.
    pub id: u64,
    pub listener: Arc<ListenerState>,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub tls: Option<TlsInfo>,
    progress: Progress,
    /// Filter state with the span of the connection.
    filter_state: Mutex<FilterState>,
}

/// What was agreed on in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// The host name the client asked for.
    pub sni: Option<String>,
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite's IANA name.
    pub cipher: &'static str,
}

/// What the guard of the stream and the requests on it have to tell each other.
#[derive(Debug, Default)]
struct Progress {
    /// HTTP/1.1 requests begun: Pingora has asked for this many heads.
    begun: AtomicU64,
    /// The head of the request in progress.
    head: Mutex<Bytes>,
    refusal: Mutex<Option<Refusal>>,
    /// To be closed as soon as no request is in progress.
    closing: AtomicBool,
    /// Wakes a read that waits for a request to begin.
    idle: AtomicWaker,
}

impl Connection {
    /// A connection that has just been made.
    pub fn new(
        listener: Arc<ListenerState>,
        peer: SocketAddr,
        local: SocketAddr,
        tls: Option<TlsInfo>,
    ) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self {
            id,
            listener,
            peer,
            local,
            tls,
            progress: Progress::default(),
            filter_state: Mutex::default(),
        }
    }

    /// The head of the HTTP/1.1 request in progress, byte for byte as it came: request line and header lines with their
    /// names' case and order, and the empty line. Empty for HTTP/2.
    pub fn raw_head(&self) -> Bytes {
        self.progress.head.lock().clone()
    }

    /// What guests keep for all exchanges of this connection.
    pub fn filter_state(&self) -> MutexGuard<'_, FilterState> {
        self.filter_state.lock()
    }

    /// Why the connection is being closed, once a request of it was refused by its bytes. It tells an exchange whose read
    /// of the body has failed which status was sent.
    pub fn refusal(&self) -> Option<Refusal> {
        *self.progress.refusal.lock()
    }

    /// HTTP/1.1 requests begun on this connection, the one in progress included.
    pub fn requests(&self) -> u64 {
        self.progress.begun.load(Ordering::Acquire)
    }

    /// Whether it is to be closed as soon as no request is in progress.
    pub fn is_closing(&self) -> bool {
        self.progress.closing.load(Ordering::Acquire)
    }

    pub(super) fn begin_request(&self) {
        self.progress.begun.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn set_raw_head(&self, head: Bytes) {
        *self.progress.head.lock() = head;
    }

    pub(super) fn set_refusal(&self, refusal: Refusal) {
        *self.progress.refusal.lock() = Some(refusal);
    }

    pub(super) fn idle_waker(&self) -> &AtomicWaker {
        &self.progress.idle
    }

    pub(super) fn close_when_idle(&self) {
        self.progress.closing.store(true, Ordering::Release);
        self.progress.idle.wake();
    }
}

/// What serving a connection takes besides its socket.
pub(super) struct Service<SV> {
    pub(super) listener: Arc<ListenerState>,
    pub(super) proxy: Arc<HttpProxy<SV>>,
    pub(super) refused: Arc<dyn RefusedSink>,
    pub(super) shutdown: ShutdownWatch,
}

// Derived, it would ask for `SV: Clone`.
impl<SV> Clone for Service<SV> {
    fn clone(&self) -> Self {
        Self {
            listener: Arc::clone(&self.listener),
            proxy: Arc::clone(&self.proxy),
            refused: Arc::clone(&self.refused),
            shutdown: self.shutdown.clone(),
        }
    }
}

impl<SV> Handler for Service<SV>
where
    SV: ProxyHttp + Send + Sync + 'static,
    SV::CTX: Send + Sync,
{
    fn listener(&self) -> &Arc<ListenerState> {
        &self.listener
    }

    fn refused(&self) -> &dyn RefusedSink {
        &*self.refused
    }

    async fn run(self, stream: std::net::TcpStream, peer: SocketAddr, permit: Permit) {
        let permit = Arc::new(permit);
        // Either fails only for a socket that is dead already.
        let Ok(stream) = TcpStream::from_std(stream) else {
            return;
        };
        let Ok(local) = stream.local_addr() else {
            return;
        };
        let socket = preface::Socket::of(&stream, peer, local);
        let secured = secure(&self.listener, &*self.refused, stream).await;
        let Some((transport, tls, over_h2)) = secured else {
            return;
        };
        let connection = Arc::new(Connection::new(
            Arc::clone(&self.listener),
            peer,
            local,
            tls,
        ));
        let Some((transport, opening)) = self.open(transport, over_h2, &permit).await else {
            return;
        };
        let guard = Guard::new(
            transport,
            opening,
            socket,
            Arc::clone(&connection),
            Arc::clone(&self.refused),
            permit,
        );
        let app = Arc::new(App {
            proxy: self.proxy,
            connection: Arc::clone(&connection),
        });
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            _ = app.process_new(Box::new(guard), &self.shutdown) => {}
            () = async {
                // An error means that nobody is left to ask for a shutdown: as good as one.
                let _ = shutdown.wait_for(|&down| down).await;
                // A request may be on its way just now: it is answered with `Connection: close`.
                sleep(CLOSE_IDLE_AFTER).await;
                connection.close_when_idle();
                std::future::pending().await
            } => {}
        }
    }
}

impl<SV> Service<SV> {
    /// Tells the protocol, from what ALPN agreed on and from the first bytes. `None`: the connection has been closed.
    async fn open(
        &self,
        mut transport: Transport,
        over_h2: bool,
        permit: &Arc<Permit>,
    ) -> Option<(Transport, Opening)> {
        if transport.is_tls() && !over_h2 {
            return Some((transport, Opening::empty(Protocol::Http1)));
        }
        let mut shutdown = self.shutdown.clone();
        let opening = tokio::select! {
            biased;
            opening = preface::read(&mut transport, BytesMut::new(), &self.listener.config.limits) => opening,
            _ = shutdown.wait_for(|&down| down) => None,
        };
        let linger = match opening {
            Some(opening) if !over_h2 || opening.protocol == Protocol::Http2 => {
                return Some((transport, opening));
            }
            Some(_) => {
                self.refused
                    .connection_refused(&self.listener, connection_reason::H2_PREFACE);
                Linger::Yes
            }
            None => Linger::No,
        };
        farewell(
            transport,
            Bytes::new(),
            Ending::Orderly,
            linger,
            Arc::clone(permit),
        )
        .await;
        None
    }
}

/// The TLS handshake, where the listener has TLS. The last value says whether HTTP/2 was agreed on. `None`: it failed, and
/// was counted.
pub(crate) async fn secure(
    listener: &ListenerState,
    refused: &dyn RefusedSink,
    stream: TcpStream,
) -> Option<(Transport, Option<TlsInfo>, bool)> {
    let Some(acceptor) = &listener.tls else {
        return Some((Transport::Tcp(stream), None, false));
    };
    let reason = match timeout(TLS_HANDSHAKE_MAX, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let (info, over_h2) = tls_info(&stream);
            return Some((Transport::Tls(Box::new(stream)), Some(info), over_h2));
        }
        Ok(Err(error)) => {
            tracing::debug!(listener = listener.config.name, %error, "TLS handshake failed");
            connection_reason::TLS_HANDSHAKE
        }
        Err(_) => connection_reason::TLS_TIMEOUT,
    };
    refused.connection_refused(listener, reason);
    None
}

fn tls_info(stream: &TlsStream<TcpStream>) -> (TlsInfo, bool) {
    let (_, session) = stream.get_ref();
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        // No other is configured.
        _ => "unknown",
    };
    let cipher = session
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str())
        .unwrap_or("unknown");
    let info = TlsInfo {
        sni: session.server_name().map(str::to_owned),
        version,
        cipher,
    };
    (info, session.alpn_protocol() == Some(b"h2"))
}

/// A connection as Pingora sees an application: its loop over requests (HTTP/1.1) or streams (HTTP/2) comes with the trait,
/// and every request is processed in the scope of its connection.
struct App<SV> {
    proxy: Arc<HttpProxy<SV>>,
    connection: Arc<Connection>,
}

#[async_trait]
impl<SV> HttpServerApp for App<SV>
where
    SV: ProxyHttp + Send + Sync + 'static,
    SV::CTX: Send + Sync,
{
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.connection.begin_request();
        if session.get_keepalive().is_some() {
            // Without a limit of Pingora's own: the guard has the deadlines.
            session.set_keepalive(Some(0));
        }
        CONNECTION
            .scope(
                Arc::clone(&self.connection),
                self.proxy.process_new_http(session, shutdown),
            )
            .await
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.connection.listener.h2.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.connection.listener.http)
    }
}
