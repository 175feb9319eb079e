//! One end of a relay: a socket, and what waits to be written to it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::flow::Out;
use crate::listener::{Ending, Linger, Transport, farewell};

/// Read at once, at most, in bytes.
const READ_BYTES_MAX: usize = 64 << 10;

/// Nothing more is read for a side while this much waits to be written to it, in bytes.
const BACKLOG_BYTES_MAX: usize = 64 << 10;

thread_local! {
    /// What is being read on this worker: a connection that waits holds no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES_MAX].into());
}

/// See the module.
#[derive(Debug)]
pub(super) struct Side {
    transport: Transport,
    queue: VecDeque<Bytes>,
    backlog: usize,
    /// Written, but maybe not yet handed to the system (TLS).
    unflushed: bool,
    /// After the queue nothing follows.
    ends: bool,
    /// The other side was told so.
    finished: bool,
    /// The other side said so.
    ended: bool,
}

impl Side {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            queue: VecDeque::new(),
            backlog: 0,
            unflushed: false,
            ends: false,
            finished: false,
            ended: false,
        }
    }

    pub(super) fn push(&mut self, out: Out) {
        let bytes = out.bytes.into_bytes();
        if !bytes.is_empty() {
            self.backlog += bytes.len();
            self.queue.push_back(bytes);
        }
        self.ends |= out.ended;
    }

    /// Whether more may be read for this side.
    pub(super) fn has_room(&self) -> bool {
        self.backlog < BACKLOG_BYTES_MAX
    }

    /// Whether nothing more comes and nothing more goes.
    pub(super) fn is_over(&self) -> bool {
        self.finished && self.ended
    }

    /// Whether everything was written, and that it was everything.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether the other side sends no more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Writes what waits: how many bytes went. Pending where nothing could be done, or nothing is to do.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut written = 0;
        while let Some(front) = self.queue.front_mut() {
            match Pin::new(&mut self.transport).poll_write(cx, front) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    front.advance(count);
                    self.backlog -= count;
                    self.unflushed = true;
                    written += count;
                    if self.queue.front().is_some_and(Bytes::is_empty) {
                        self.queue.pop_front();
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if written > 0 => return Poll::Ready(Ok(written)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if written > 0 {
            return Poll::Ready(Ok(written));
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.transport).poll_flush(cx))?;
            self.unflushed = false;
        }
        if self.ends && !self.finished {
            ready!(Pin::new(&mut self.transport).poll_shutdown(cx))?;
            self.finished = true;
            return Poll::Ready(Ok(0));
        }
        Poll::Pending
    }

    /// What has come, at most [`READ_BYTES_MAX`]; `None`: the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buffer))?;
            let filled = buffer.filled();
            self.ended = filled.is_empty();
            Poll::Ready(Ok(
                (!filled.is_empty()).then(|| Bytes::copy_from_slice(filled))
            ))
        })
    }

    /// Closes so that the other side cannot take it for the end of what was sent: a reset, and nothing more is written.
    pub(super) fn reset(mut self) {
        // It fails only for a socket that is closed already.
        let _ = set_socket_linger(self.transport.tcp(), Some(Duration::ZERO));
    }

    /// Writes what waits, ends this side and waits a bounded while for the other.
    pub(super) async fn close(self) {
        let mut rest = BytesMut::with_capacity(self.backlog);
        self.queue
            .iter()
            .for_each(|bytes| rest.extend_from_slice(bytes));
        let linger = if self.ended { Linger::No } else { Linger::Yes };
        farewell(self.transport, rest.freeze(), Ending::Orderly, linger, ()).await;
    }
}
