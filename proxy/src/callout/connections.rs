//! Connections to upstreams, kept for the next call.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use portcullis_config::model::UpstreamProtocol;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::body::CallBody;
use super::request::CallRequest;
use crate::upstream::Picked;

/// Unused HTTP/1.1 connections kept to one address by one worker: bursts beyond open new ones.
const IDLE_MAX: usize = 32;

/// How long a connection whose response is complete may take to send the rest of its request.
const LINGER: Duration = Duration::from_millis(500);

/// Largest header list taken over HTTP/2 (RFC 9113 section 6.5.2), bytes.
const HEADER_LIST_BYTES_MAX: u32 = 64 << 10;

/// An HTTP/2 connection with calls on it is asked whether it is still there after this silence.
const PING_AFTER: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("cannot connect: {0}")]
    Refused(#[from] io::Error),
    #[error("cannot connect in time")]
    TimedOut,
    /// Before the request could be sent.
    #[error("the connection was closed at once")]
    Closed,
}

#[derive(Debug)]
pub(super) enum SendError {
    /// Not a byte of the request was sent.
    Unsent,
    /// The connection ended before the first byte of a response.
    Lost(hyper::Error),
    Broken(hyper::Error),
    TimedOut,
}

/// One call at a time over HTTP/1.1, many over HTTP/2.
pub(super) enum Connection {
    Http1(Http1),
    Http2(http2::SendRequest<CallBody>),
}

pub(super) struct Http1 {
    sender: http1::SendRequest<CallBody>,
    /// Closes the connection when this is dropped, whatever it is doing.
    _driver: Driver,
}

struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Sends a request; returns when the head of the response is there.
    pub(super) async fn send(
        &mut self,
        request: &CallRequest,
    ) -> Result<Response<Incoming>, SendError> {
        match self {
            Self::Http1(connection) => connection
                .sender
                .try_send_request(request.http1())
                .await
                .map_err(send_error),
            Self::Http2(sender) => sender
                .try_send_request(request.http2())
                .await
                .map_err(send_error),
        }
    }
}

fn send_error(mut error: TrySendError<Request<CallBody>>) -> SendError {
    if error.take_message().is_some() {
        return SendError::Unsent;
    }
    let error = error.into_error();
    let closed = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    if closed || reset(&error) {
        SendError::Lost(error)
    } else {
        SendError::Broken(error)
    }
}

fn reset(error: &hyper::Error) -> bool {
    let source =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        )
    })
}

/// The unused connections of one worker.
#[derive(Default)]
pub(super) struct Connections {
    idle: Mutex<Idle>,
    /// Wakes the sweep early.
    sooner: Arc<Notify>,
}

#[derive(Default)]
struct Idle {
    /// The last used last.
    http1: HashMap<SocketAddr, Vec<(Http1, Instant)>>,
    /// One to each address, also while calls are on it.
    http2: HashMap<SocketAddr, (http2::SendRequest<CallBody>, Instant)>,
    /// When the sweep wakes up; `None` where it does not run.
    sweep_at: Option<Instant>,
}

impl Connections {
    /// A kept connection that looks usable.
    pub(super) fn take(&self, picked: &Picked<'_>) -> Option<Connection> {
        let now = Instant::now();
        let mut idle = self.idle.lock();
        match picked.upstream.protocol {
            UpstreamProtocol::H1 => {
                let kept = idle.http1.get_mut(&picked.address)?;
                kept.retain(|(connection, expires)| *expires > now && connection.sender.is_ready());
                kept.pop()
                    .map(|(connection, _)| Connection::Http1(connection))
            }
            UpstreamProtocol::H2 => {
                let (sender, expires) = idle.http2.get_mut(&picked.address)?;
                if sender.is_closed() || *expires <= now {
                    idle.http2.remove(&picked.address);
                    return None;
                }
                *expires = now + picked.upstream.timeouts.idle;
                Some(Connection::Http2(sender.clone()))
            }
        }
    }

    /// Opens a connection.
    pub(super) async fn open(
        self: &Arc<Self>,
        picked: &Picked<'_>,
    ) -> Result<Connection, ConnectError> {
        let connected = timeout(
            picked.upstream.timeouts.connect,
            TcpStream::connect(picked.address),
        )
        .await;
        let stream = connected.map_err(|_| ConnectError::TimedOut)??;
        // A call is one small write, or a body in few: nothing to wait for.
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        match picked.upstream.protocol {
            UpstreamProtocol::H1 => {
                let (sender, driver) = http1::handshake(io)
                    .await
                    .map_err(|_| ConnectError::Closed)?;
                // Its errors reach the call that they concern.
                let driver = tokio::spawn(async { drop(driver.await) });
                Ok(Connection::Http1(Http1 {
                    sender,
                    _driver: Driver(driver.abort_handle()),
                }))
            }
            UpstreamProtocol::H2 => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder
                    .timer(TokioTimer::new())
                    .keep_alive_interval(PING_AFTER);
                builder.max_header_list_size(HEADER_LIST_BYTES_MAX);
                let (sender, driver) = builder
                    .handshake(io)
                    .await
                    .map_err(|_| ConnectError::Closed)?;
                tokio::spawn(async { drop(driver.await) });
                // At once, so that calls made at the same time share it.
                self.keep(
                    Connection::Http2(sender.clone()),
                    picked.address,
                    picked.upstream.timeouts.idle,
                );
                Ok(Connection::Http2(sender))
            }
        }
    }

    /// Keeps a connection whose response was read to its end.
    pub(super) fn put(self: &Arc<Self>, connection: Connection, picked: &Picked<'_>) {
        let (address, idle) = (picked.address, picked.upstream.timeouts.idle);
        match connection {
            Connection::Http1(connection) if connection.sender.is_closed() => {}
            Connection::Http1(connection) if !connection.sender.is_ready() => {
                let pool = Arc::downgrade(self);
                tokio::spawn(keep_when_ready(pool, connection, address, idle));
            }
            Connection::Http1(_) => self.keep(connection, address, idle),
            // It is there already, and `take` counts its time from the last call.
            Connection::Http2(_) => {}
        }
    }

    fn keep(self: &Arc<Self>, connection: Connection, address: SocketAddr, idle_time: Duration) {
        let expires = Instant::now() + idle_time;
        let mut idle = self.idle.lock();
        match connection {
            Connection::Http1(connection) => {
                let kept = idle.http1.entry(address).or_default();
                if kept.len() < IDLE_MAX {
                    kept.push((connection, expires));
                }
            }
            Connection::Http2(sender) => drop(idle.http2.insert(address, (sender, expires))),
        }
        match idle.sweep_at {
            None => {
                idle.sweep_at = Some(expires);
                tokio::spawn(sweep(Arc::downgrade(self), Arc::clone(&self.sooner)));
            }
            Some(planned) if expires < planned => self.sooner.notify_one(),
            Some(_) => {}
        }
    }

    /// Closes what was unused for too long. The time of the next one, `None` where nothing is left.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.idle.lock();
        for kept in idle.http1.values_mut() {
            kept.retain(|(connection, expires)| *expires > now && !connection.sender.is_closed());
        }
        idle.http1.retain(|_, kept| !kept.is_empty());
        idle.http2
            .retain(|_, (sender, expires)| *expires > now && !sender.is_closed());
        let http1 = idle.http1.values().flatten().map(|(_, expires)| *expires);
        let http2 = idle.http2.values().map(|(_, expires)| *expires);
        idle.sweep_at = http1.chain(http2).min();
        idle.sweep_at
    }
}

async fn keep_when_ready(
    pool: Weak<Connections>,
    mut connection: Http1,
    address: SocketAddr,
    idle: Duration,
) {
    // Mostly the driver has only not been polled since the body ended.
    let ready = timeout(LINGER, connection.sender.ready()).await;
    if let (Ok(Ok(())), Some(pool)) = (ready, pool.upgrade()) {
        pool.keep(Connection::Http1(connection), address, idle);
    }
}

async fn sweep(pool: Weak<Connections>, sooner: Arc<Notify>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.expire(Instant::now())) {
        tokio::select! {
            () = sleep_until(next) => {}
            () = sooner.notified() => {}
        }
    }
}
