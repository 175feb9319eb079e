//! Follows HTTP/1.1 requests through a stream of bytes and judges them: RFC 9112, read as narrowly as it may be.
//!
//! Pure: no I/O, no clock. The verdict depends on the bytes alone, never on how they were cut into pieces.
//!
//! Bytes are handed on only from a place where all before them were judged: a head as a whole, a chunk's size line as a
//! whole, the last chunk together with its trailers. So a parser behind this one never sees the beginning of something that
//! turns out to be refused, and never sees the end of a body that had none.

mod authority;
mod body;
mod head;

#[cfg(test)]
mod vectors;

use body::Body;
use head::Scan;
pub use head::{BodyLength, Head, Version};

use super::refusal::Refusal;

/// The bounds that framing enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingLimits {
    /// Request line and headers together, bytes; the same again for trailers.
    pub head_bytes: usize,
    /// Number of header lines; the same again for trailer lines.
    pub headers: usize,
    /// Payload of one body, bytes.
    pub body_bytes: u64,
}

/// Most headers that the parser behind this one takes.
const HEADERS_MAX: usize = 256;

/// Longest head that the parser behind this one takes, bytes.
const HEAD_BYTES_MAX: usize = 1 << 20;

/// How far a step over the body came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the given ones that were judged; all of them unless the body ended.
    pub scanned: usize,
    /// How many of the judged may be handed on, with all that earlier steps withheld; 0: none yet, keep them.
    pub safe: usize,
    /// Payload among the judged bytes.
    pub payload: usize,
    /// The body ended; what follows is the next request's head.
    pub done: bool,
}

/// The state machine of one connection: head, body, head, body.
#[derive(Debug)]
pub struct Framing {
    limits: FramingLimits,
    state: State,
}

#[derive(Debug)]
enum State {
    Head(Scan),
    Body(Body),
}

impl Framing {
    /// At the start of a connection.
    pub fn new(limits: FramingLimits) -> Self {
        let limits = FramingLimits {
            head_bytes: limits.head_bytes.min(HEAD_BYTES_MAX - 1),
            headers: limits.headers.min(HEADERS_MAX),
            ..limits
        };
        Self {
            limits,
            state: State::Head(Scan::default()),
        }
    }

    /// Whether the next bytes belong to a head.
    pub fn in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Judges a head. `bytes` is everything since the last message ended, more of it in each call.
    ///
    /// `Ok(None)`: incomplete. After `Ok(Some(_))` the head's bytes are no longer the caller's to pass in.
    ///
    /// # Errors
    /// What is wrong with it. The state machine must not be used any further.
    pub fn head(&mut self, bytes: &[u8]) -> Result<Option<Head>, Refusal> {
        let State::Head(scan) = &mut self.state else {
            return Ok(None);
        };
        let Some(head) = scan.advance(bytes, &self.limits)? else {
            return Ok(None);
        };
        self.state = match Body::new(head.body) {
            Some(body) => State::Body(body),
            None => State::Head(Scan::default()),
        };
        Ok(Some(head))
    }

    /// Whether a head has begun within `bytes`: the empty line that may come before one is not yet a request.
    pub fn head_begun(&self, bytes: &[u8]) -> bool {
        match &self.state {
            State::Head(scan) => scan.begun(bytes),
            State::Body(_) => false,
        }
    }

    /// Judges a piece of the body: only bytes that were not passed in before.
    ///
    /// # Errors
    /// What is wrong with it; nothing of `bytes` may be handed on. The state machine must not be used any further.
    pub fn body(&mut self, bytes: &[u8]) -> Result<Progress, Refusal> {
        let State::Body(body) = &mut self.state else {
            return Ok(Progress {
                scanned: 0,
                safe: 0,
                payload: 0,
                done: true,
            });
        };
        let progress = body.advance(bytes, &self.limits)?;
        if progress.done {
            self.state = State::Head(Scan::default());
        }
        Ok(progress)
    }
}
