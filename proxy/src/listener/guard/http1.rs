//! The guard's reading side for HTTP/1.1: whose turn it is, which bytes may be handed on, and until when they must come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::super::answer::Answer;
use super::super::clock::{Alarm, BodyClock};
use super::super::connection::Connection;
use super::super::framing::{BodyLength, Framing, FramingLimits, Head};
use super::super::refusal::{Refusal, RefusedIn};
use super::super::transport::Transport;
use super::{Incoming, target};

/// A body is read past the guard's own buffer where the reader brings at least this much room.
const DIRECT_READ_BYTES: usize = 1024;

/// Where a connection is in its sequence of requests.
pub(super) struct Http1 {
    framing: Framing,
    /// Bytes at the front of the input that the body's framing has seen and withholds.
    withheld: usize,
    /// Heads handed on.
    heads: u64,
    wait: Wait,
    /// When the first byte came, if before the guard.
    began: Option<Instant>,
    /// Nothing more is handed on: the client ended its side, or was too long idle.
    ended: bool,
    alarm: Alarm,
    pub(super) clock: BodyClock,
    pub(super) answer: Answer,
    /// A read that waits until early bytes may be handed on.
    parked: Option<Waker>,
}

/// What of a request is waited for.
#[derive(Clone, Copy)]
enum Wait {
    /// Its turn: the one before is being answered.
    Turn,
    /// Its first byte.
    Head { since: Instant },
    /// The rest of its head.
    RestOfHead { since: Instant },
}

/// Why reading cannot go on.
pub(super) enum Stop {
    Refused(Refusal),
    Io(io::Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Http1 {
    pub(super) fn new(limits: FramingLimits, began: Option<Instant>) -> Self {
        Self {
            framing: Framing::new(limits),
            withheld: 0,
            heads: 0,
            wait: Wait::Turn,
            began,
            ended: false,
            alarm: Alarm::default(),
            clock: BodyClock::default(),
            answer: Answer::default(),
            parked: None,
        }
    }

    /// Fills `buf` with judged bytes; leaves it empty at the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
        incoming: &mut Incoming,
        connection: &Connection,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Stop>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        if self.framing.in_head() {
            ready!(self.poll_head(cx, transport, incoming, connection))?;
            incoming.hand_on(buf);
            return Poll::Ready(Ok(()));
        }
        self.poll_body(cx, transport, incoming, connection, buf)
    }

    /// Ready when a head is ready to be handed on, or at the end.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
        incoming: &mut Incoming,
        connection: &Connection,
    ) -> Poll<Result<(), Stop>> {
        if connection.requests() <= self.heads {
            return self.poll_early(cx, transport, incoming);
        }
        if let Wait::Turn = self.wait {
            self.wait = Wait::Head {
                since: self.began.unwrap_or_else(Instant::now),
            };
            self.answer = Answer::default();
            connection.set_raw_head(Bytes::new());
        }
        loop {
            if let Some(head) = self.framing.head(&incoming.input)? {
                self.accept(&head, incoming, connection);
                return Poll::Ready(Ok(()));
            }
            if matches!(self.wait, Wait::Head { .. }) && self.framing.head_begun(&incoming.input) {
                self.wait = Wait::RestOfHead {
                    since: self.began.take().unwrap_or_else(Instant::now),
                };
            }
            match incoming.poll_fill(cx, transport)? {
                Poll::Ready(0) => return Poll::Ready(self.end_of_input()),
                Poll::Ready(_) => {}
                Poll::Pending => return self.poll_deadline(cx, connection),
            }
        }
    }

    /// Reads while the request before is being answered: only to learn that the client is gone. What comes is kept.
    fn poll_early(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
        incoming: &mut Incoming,
    ) -> Poll<Result<(), Stop>> {
        if incoming.input.is_empty() && ready!(incoming.poll_fill(cx, transport))? == 0 {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        self.parked = Some(cx.waker().clone());
        Poll::Pending
    }

    fn end_of_input(&mut self) -> Result<(), Stop> {
        self.ended = true;
        match self.wait {
            Wait::RestOfHead { .. } => Err(Refusal::HeadTruncated.into()),
            Wait::Turn | Wait::Head { .. } => Ok(()),
        }
    }

    fn poll_deadline(
        &mut self,
        cx: &mut Context<'_>,
        connection: &Connection,
    ) -> Poll<Result<(), Stop>> {
        let limits = &connection.listener.config.limits;
        match self.wait {
            Wait::RestOfHead { since } => {
                ready!(self.alarm.poll(cx, since + limits.header_timeout));
                Poll::Ready(Err(Refusal::HeadTimeout.into()))
            }
            Wait::Turn | Wait::Head { .. } => {
                connection.idle_waker().register(cx.waker());
                let since = if let Wait::Head { since } = self.wait {
                    since
                } else {
                    Instant::now()
                };
                if !connection.is_closing() {
                    ready!(self.alarm.poll(cx, since + limits.idle_timeout));
                }
                self.ended = true;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn accept(&mut self, head: &Head, incoming: &mut Incoming, connection: &Connection) {
        incoming.input.advance(head.start);
        incoming.ready = incoming.input.split_to(head.end - head.start).freeze();
        connection.set_raw_head(incoming.ready.clone());
        if let Some(encoded) = target::encoded(&incoming.ready) {
            incoming.ready = encoded;
        }
        self.heads += 1;
        self.wait = Wait::Turn;
        self.began = None;
        self.answer = Answer::to_request(head.upgrade);
        self.clock
            .begin(head.expects_continue && head.body != BodyLength::None);
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
        incoming: &mut Incoming,
        connection: &Connection,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Stop>> {
        let before = buf.filled().len();
        loop {
            if self.withheld < incoming.input.len() {
                let progress = self.framing.body(&incoming.input[self.withheld..])?;
                self.clock.received(progress.payload);
                let seen = self.withheld + progress.scanned;
                let safe = if progress.safe > 0 {
                    self.withheld + progress.safe
                } else {
                    0
                };
                self.withheld = seen - safe;
                if safe > 0 {
                    incoming.ready = incoming.input.split_to(safe).freeze();
                    incoming.hand_on(buf);
                    return Poll::Ready(Ok(()));
                }
            }
            let is_direct = incoming.input.is_empty() && buf.remaining() >= DIRECT_READ_BYTES;
            let polled = if is_direct {
                self.poll_body_direct(cx, transport, incoming, buf)?
            } else {
                incoming.poll_fill(cx, transport)?
            };
            match polled {
                Poll::Ready(0) => {
                    self.ended = true;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(_) if buf.filled().len() > before => return Poll::Ready(Ok(())),
                Poll::Ready(_) => {}
                Poll::Pending => return self.poll_body_deadline(cx, connection),
            }
        }
    }

    /// Reads into the reader's own room and takes back what may not be handed on. Says how much came.
    fn poll_body_direct(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
        incoming: &mut Incoming,
        buf: &mut ReadBuf<'_>,
    ) -> Result<Poll<usize>, Stop> {
        let before = buf.filled().len();
        if Pin::new(transport).poll_read(cx, buf)?.is_pending() {
            return Ok(Poll::Pending);
        }
        let came = buf.filled().len() - before;
        let progress = match self.framing.body(&buf.filled()[before..]) {
            Ok(progress) => progress,
            Err(refusal) => {
                buf.set_filled(before);
                return Err(refusal.into());
            }
        };
        self.clock.received(progress.payload);
        let safe = before + progress.safe;
        incoming.input.extend_from_slice(&buf.filled()[safe..]);
        buf.set_filled(safe);
        self.withheld = progress.scanned - progress.safe;
        Ok(Poll::Ready(came))
    }

    fn poll_body_deadline(
        &mut self,
        cx: &mut Context<'_>,
        connection: &Connection,
    ) -> Poll<Result<(), Stop>> {
        let limits = &connection.listener.config.limits;
        // The first bytes of a body get as long as a head.
        let Some(deadline) = self.clock.wait(limits.body_min_rate, limits.header_timeout) else {
            return Poll::Pending;
        };
        ready!(self.alarm.poll(cx, deadline));
        Poll::Ready(Err(Refusal::BodyTooSlow.into()))
    }

    /// Lets a read go on that was parked for early bytes.
    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.parked.take() {
            waker.wake();
        }
    }

    /// Which part of a request is being read.
    pub(super) fn part(&self) -> RefusedIn {
        if self.framing.in_head() {
            RefusedIn::Head
        } else {
            RefusedIn::Body
        }
    }

    /// The raw head of a request being refused, as far as it came.
    pub(super) fn refused_head(&self, input: &mut BytesMut, connection: &Connection) -> Bytes {
        match self.part() {
            RefusedIn::Head => input.split().freeze(),
            RefusedIn::Body => connection.raw_head(),
        }
    }

    /// Whether the next request is waited for, all before having been answered.
    pub(super) fn is_idle(&self, connection: &Connection) -> bool {
        self.framing.in_head() && connection.requests() > self.heads
    }

    /// Whether it is this side that ends the connection, after a response. The client may be sending still: what it sends may be on
    /// its way, so there is no telling by what has come.
    pub(super) fn is_first_to_end(&self, connection: &Connection) -> bool {
        self.answer.is_final() && !self.ended && !self.is_idle(connection)
    }
}
