//! The stream that Pingora reads requests from: the client's, with everything taken out that is not a well-formed request
//! arriving in time.
//!
//! A head is handed on only when it is complete and judged, and only when Pingora has asked for it: bytes that come early
//! (pipelined requests, WebSocket frames before the 101) stay here until the request before has been answered. Then they
//! are judged as a head, or, after a 101, handed on as they are. So Pingora meets a client that never sends out of turn.
//!
//! On a violation the stream is taken away from Pingora: its next read fails, so that a body under way to an origin never
//! gets its end, and the client gets its answer and a clean close from here.

mod http1;
pub(super) mod target;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use pingora_core::protocols::http::date::get_cached_date;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::runtime::Handle;

use super::answer::{self, Observed};
use super::connection::Connection;
use super::farewell::{Ending, Linger, farewell};
use super::outgoing::Outgoing;
use super::preface::{Opening, Socket};
use super::refusal::{Refusal, RefusedRequest, RefusedSink};
use super::state::Permit;
use super::transport::Transport;
use http1::{Http1, Stop};

/// Room made for reading heads, and the least that is enough to go on with. Between the two no buffer is made anew for every
/// request.
const READ_BYTES: usize = 4096;
const READ_BYTES_MIN: usize = 1024;

/// What a connection speaks from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A client's stream, guarded.
pub(super) struct Guard {
    /// Gone once a request was refused.
    transport: Option<Transport>,
    /// This side was ended in order.
    is_shut: bool,
    incoming: Incoming,
    outgoing: Outgoing,
    mode: Mode,
    connection: Arc<Connection>,
    refused: Arc<dyn RefusedSink>,
    permit: Arc<Permit>,
    socket: Socket,
    ssl: Option<Arc<SslDigest>>,
    established: SystemTime,
    protocol: Protocol,
}

enum Mode {
    Http1(Box<Http1>),
    /// HTTP/2, or whatever came after a 101: bytes go through as they are.
    Through,
}

/// Bytes on their way to Pingora.
#[derive(Debug)]
struct Incoming {
    /// Judged.
    ready: Bytes,
    /// Received after those.
    input: BytesMut,
}

impl Incoming {
    /// Hands on what was judged; false where there is none.
    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let taken = self.ready.len().min(buf.remaining());
        buf.put_slice(&self.ready[..taken]);
        self.ready.advance(taken);
        if self.ready.is_empty() {
            // Lets go of the buffer, so that it can be used again.
            self.ready = Bytes::new();
        }
        taken > 0
    }

    /// Receives more; 0: the client has ended its side.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
    ) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < READ_BYTES_MIN {
            self.input.reserve(READ_BYTES);
        }
        // The future holds nothing but its arguments: polling a new one each time is the same as keeping it.
        let read = std::pin::pin!(transport.read_buf(&mut self.input));
        read.poll(cx)
    }
}

impl Guard {
    pub(super) fn new(
        transport: Transport,
        opening: Opening,
        socket: Socket,
        connection: Arc<Connection>,
        refused: Arc<dyn RefusedSink>,
        permit: Arc<Permit>,
    ) -> Self {
        let mode = match opening.protocol {
            Protocol::Http1 => Mode::Http1(Box::new(Http1::new(
                connection.listener.framing,
                opening.began,
            ))),
            Protocol::Http2 => Mode::Through,
        };
        let ssl = connection
            .tls
            .as_ref()
            .map(|tls| SslDigest::new(tls.cipher, tls.version, None, None, Vec::new()));
        Self {
            transport: Some(transport),
            is_shut: false,
            incoming: Incoming {
                ready: Bytes::new(),
                input: opening.bytes,
            },
            outgoing: Outgoing::default(),
            mode,
            connection,
            refused,
            permit,
            socket,
            ssl: ssl.map(Arc::new),
            established: SystemTime::now(),
            protocol: opening.protocol,
        }
    }

    /// Takes the stream away: the client is told if that is still possible, whoever counts is told, and the reader gets an
    /// error.
    fn refuse(&mut self, refusal: Refusal) -> io::Error {
        if let (Mode::Http1(http1), Some(transport)) = (&self.mode, self.transport.take()) {
            let (part, answered) = (http1.part(), http1.answer.is_open());
            let head = http1.refused_head(&mut self.incoming.input, &self.connection);
            self.connection.set_refusal(refusal);
            let request = RefusedRequest {
                reason: refusal,
                status: refusal.status(),
                answered,
                part,
                head,
            };
            self.refused.refused(&self.connection, &request);
            if answered {
                let date = get_cached_date();
                let answer = answer::to_refused(refusal, date.to_str().unwrap_or_default());
                self.outgoing.append(&answer);
            }
            let ending = if answered {
                Ending::Orderly
            } else {
                Ending::CutOff
            };
            self.part(transport, ending, Linger::Yes);
        }
        io::Error::new(io::ErrorKind::InvalidData, refusal)
    }

    /// Leaves the stream, and what is held for it, to a task that ends it.
    fn part(&mut self, transport: Transport, ending: Ending, linger: Linger) {
        let rest = self.outgoing.take().freeze();
        // Outside of a runtime there is nobody to say farewell; the socket is just closed.
        if let Ok(runtime) = Handle::try_current() {
            let permit = Arc::clone(&self.permit);
            runtime.spawn(farewell(transport, rest, ending, linger, permit));
        }
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(transport) = &mut this.transport else {
            return Poll::Ready(Err(closed()));
        };
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // A response head that nothing followed must not wait any longer. A failure will show in the next write.
        let _ = this.outgoing.poll_drain(cx, transport);
        if this.incoming.hand_on(buf) {
            return Poll::Ready(Ok(()));
        }
        match &mut this.mode {
            Mode::Through if this.incoming.input.is_empty() => {
                Pin::new(transport).poll_read(cx, buf)
            }
            Mode::Through => {
                this.incoming.ready = this.incoming.input.split().freeze();
                this.incoming.hand_on(buf);
                Poll::Ready(Ok(()))
            }
            Mode::Http1(http1) => {
                match ready!(http1.poll_read(
                    cx,
                    transport,
                    &mut this.incoming,
                    &this.connection,
                    buf
                )) {
                    Ok(()) => Poll::Ready(Ok(())),
                    Err(Stop::Io(error)) => Poll::Ready(Err(error)),
                    Err(Stop::Refused(refusal)) => Poll::Ready(Err(this.refuse(refusal))),
                }
            }
        }
    }
}

impl AsyncWrite for Guard {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(transport) = &mut this.transport else {
            return Poll::Ready(Err(closed()));
        };
        let Mode::Http1(http1) = &mut this.mode else {
            return this.outgoing.poll_write(cx, transport, data);
        };
        http1.clock.stop();
        if http1.answer.is_final() {
            return this.outgoing.poll_write(cx, transport, data);
        }
        let taken = ready!(this.outgoing.poll_hold(cx, transport, data))?;
        http1.clock.resume();
        match http1.answer.observe(&data[..taken]) {
            Observed::Interim | Observed::Final => {}
            Observed::Switched => {
                http1.wake();
                this.mode = Mode::Through;
            }
            Observed::SwitchedUnasked => {
                // Out of step from here on: nothing more may be sent, not even what is held.
                this.outgoing.take();
                if let Some(transport) = this.transport.take() {
                    this.part(transport, Ending::CutOff, Linger::Yes);
                }
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "101 to a request that asked for no upgrade",
                )));
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match (&mut this.transport, &this.mode) {
            (Some(transport), Mode::Through) => {
                this.outgoing.poll_write_vectored(cx, transport, data)
            }
            _ => {
                let first = data
                    .iter()
                    .find(|piece| !piece.is_empty())
                    .map_or(&[][..], |piece| piece);
                Pin::new(this).poll_write(cx, first)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self.mode, Mode::Through)
            && self
                .transport
                .as_ref()
                .is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.transport {
            Some(transport) => this.outgoing.poll_flush(cx, transport),
            None => Poll::Ready(Err(closed())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.transport {
            Some(transport) => {
                ready!(this.outgoing.poll_shutdown(cx, transport))?;
                this.is_shut = true;
                Poll::Ready(Ok(()))
            }
            // Seen to by the farewell.
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (Mode::Http1(http1), Some(transport)) = (&self.mode, self.transport.take()) else {
            return;
        };
        // Between requests nothing can be cut off; else Pingora says so by a shutdown.
        let is_idle = http1.is_idle(&self.connection);
        let ending = if is_idle || self.is_shut {
            Ending::Orderly
        } else {
            Ending::CutOff
        };
        if http1.is_first_to_end(&self.connection) {
            self.part(transport, ending, Linger::Yes);
        } else if is_idle && !self.is_shut && transport.is_tls() {
            self.part(transport, ending, Linger::No);
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "closed after a refused request")
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("connection", &self.connection.id)
            .field("protocol", &self.protocol)
            .finish()
    }
}

#[async_trait]
impl Shutdown for Guard {
    async fn shutdown(&mut self) {
        if let Err(error) = AsyncWriteExt::shutdown(self).await {
            tracing::debug!(connection = self.connection.id, %error, "closing");
        }
    }
}

impl UniqueID for Guard {
    fn id(&self) -> UniqueIDType {
        self.socket.fd
    }
}

impl Ssl for Guard {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.ssl.clone()
    }

    /// Also for prior knowledge in clear text: Pingora chooses the protocol by this.
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(match self.protocol {
            Protocol::Http1 => ALPN::H1,
            Protocol::Http2 => ALPN::H2,
        })
    }
}

/// Not supported, on purpose: the protocol is known already.
impl Peek for Guard {}

impl GetTimingDigest for Guard {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        vec![Some(TimingDigest {
            established_ts: self.established,
            ..TimingDigest::default()
        })]
    }
}

impl GetProxyDigest for Guard {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Guard {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.socket.digest))
    }
}
