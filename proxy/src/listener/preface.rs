//! The first bytes of a connection: HTTP/2 by prior knowledge (RFC 9113, 3.3) or HTTP/1.1.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use bytes::BytesMut;
use pingora_core::protocols::SocketDigest;
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddr;
use portcullis_config::model::ListenerLimits;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::guard::Protocol;

/// RFC 9113, 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Room for the first read: most heads fit.
const FIRST_READ_BYTES: usize = 4096;

/// How a connection began.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) protocol: Protocol,
    /// What was read to tell.
    pub(super) bytes: BytesMut,
    /// When the first of these bytes came.
    pub(super) began: Option<Instant>,
}

impl Opening {
    pub(super) fn empty(protocol: Protocol) -> Self {
        Self {
            protocol,
            bytes: BytesMut::new(),
            began: None,
        }
    }
}

/// Reads until the protocol is certain: at the first byte that is not the preface's, or at its end.
///
/// `None`: the client closed, broke off or sent nothing at all in time. A preface that stops half-way is left for HTTP/1.1
/// to refuse, by the deadline that began with the first byte.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    mut bytes: BytesMut,
    limits: &ListenerLimits,
) -> Option<Opening> {
    bytes.reserve(FIRST_READ_BYTES);
    let mut began = None;
    loop {
        let deadline = match began {
            None => Instant::now() + limits.idle_timeout,
            Some(began) => began + limits.header_timeout,
        };
        match timeout_at(deadline, stream.read_buf(&mut bytes)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0)) if !bytes.is_empty() => break,
            Err(_) if !bytes.is_empty() => break,
            Ok(Ok(0) | Err(_)) | Err(_) => return None,
        }
        began = began.or_else(|| Some(Instant::now()));
        let seen = bytes.len().min(PREFACE.len());
        if bytes[..seen] != PREFACE[..seen] {
            break;
        }
        if seen == PREFACE.len() {
            return Some(Opening {
                protocol: Protocol::Http2,
                bytes,
                began,
            });
        }
    }
    Some(Opening {
        protocol: Protocol::Http1,
        bytes,
        began,
    })
}

/// The socket under a connection, as Pingora wants to know it.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) fd: RawFd,
    pub(super) digest: Arc<SocketDigest>,
}

impl Socket {
    pub(super) fn of(stream: &TcpStream, peer: SocketAddr, local: SocketAddr) -> Self {
        let fd = stream.as_raw_fd();
        let digest = SocketDigest::from_raw_fd(fd);
        // Known already: saves asking the system again. They are empty, so setting cannot fail.
        let _ = digest.peer_addr.set(Some(PingoraAddr::Inet(peer)));
        let _ = digest.local_addr.set(Some(PingoraAddr::Inet(local)));
        Self {
            fd,
            digest: Arc::new(digest),
        }
    }
}
