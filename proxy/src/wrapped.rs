//! The downstream session that Pingora sees on a route with a chain: it owns the real one and runs the chain in both
//! directions.
//!
//! Pingora's hooks cannot hold a request until its body was inspected, nor await anything on the way of a response.
//! A session can: what Pingora reads from it is what left the chain, and what Pingora writes to it enters the chain.
//! Invariant: the real session and the exchange's state come back through [`Slot`] when this is dropped, wherever Pingora
//! drops it, so that `logging` can finish the exchange and keep the connection.

mod request;
mod response;
mod session;

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use pingora_core::protocols::http::ServerSession;
use pingora_error::{Error, ErrorType};
use pingora_http::RequestHeader;

use crate::chain::{Direction, Message, Run, Verdict};

pub use request::RequestPhase;
pub use response::{Outgoing, write_reply};

/// Where the real session and the state come back to.
pub type Slot = Arc<Mutex<Option<(ServerSession, Box<State>)>>>;

/// Everything of an exchange on a route with a chain, beside the session.
pub struct State {
    pub run: Run,
    pub request: Message,
    pub response: Message,
    /// The client waits for 100 before it sends its body.
    pub continue_expected: bool,
    /// The request's end has left the chain.
    pub request_done: bool,
    /// Chunks that left the chain before an upstream was there, or are to be sent again on a retry.
    pub ready: std::collections::VecDeque<Bytes>,
    /// Chunks given to Pingora, for a retry over another connection.
    pub sent: Vec<Bytes>,
    pub sent_bytes: usize,
    pub outgoing: Outgoing,
    /// Why the exchange ends early; for `fail_to_proxy`.
    pub verdict: Option<Verdict>,
    /// Beyond it the request is refused: the listener's `body_bytes`.
    pub body_bytes_max: u64,
    /// HTTP/2 bodies are not watched by the byte guard.
    pub body_min_rate: u64,
    pub body_waited: std::time::Duration,
}

impl State {
    pub fn new(run: Run, body_bytes_max: u64, body_min_rate: u64) -> Box<Self> {
        let plugins = run.plan.slots.len();
        Box::new(Self {
            run,
            request: Message::new(Direction::Request, plugins),
            response: Message::new(Direction::Response, plugins),
            continue_expected: false,
            request_done: false,
            ready: std::collections::VecDeque::new(),
            sent: Vec::new(),
            sent_bytes: 0,
            outgoing: Outgoing::default(),
            verdict: None,
            body_bytes_max,
            body_min_rate,
            body_waited: std::time::Duration::ZERO,
        })
    }
}

/// See the module.
pub struct Wrapped {
    /// `None` only while being dropped.
    inner: Option<ServerSession>,
    state: Option<Box<State>>,
    /// The request as the chain left it; Pingora reads it through here.
    head: Arc<RequestHeader>,
    slot: Slot,
}

impl Wrapped {
    pub fn new(inner: ServerSession, state: Box<State>, slot: Slot) -> Self {
        let head = state.run.exchange.lock().request.clone();
        Self {
            inner: Some(inner),
            state: Some(state),
            head,
            slot,
        }
    }

    /// The session to put in the place of the real one.
    pub fn into_session(self) -> ServerSession {
        ServerSession::new_custom(Box::new(self))
    }

    fn inner(&self) -> &ServerSession {
        self.inner.as_ref().expect("present until dropped")
    }

    fn parts(&mut self) -> (&mut ServerSession, &mut State) {
        let inner = self.inner.as_mut().expect("present until dropped");
        let state = self.state.as_mut().expect("present until dropped");
        (inner, state)
    }

    fn inner_mut(&mut self) -> &mut ServerSession {
        self.parts().0
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        if let (Some(inner), Some(state)) = (self.inner.take(), self.state.take()) {
            *self.slot.lock() = Some((inner, state));
        }
    }
}

/// A session to stand in where the real one was taken out; never used.
pub fn placeholder() -> ServerSession {
    ServerSession::new_custom(Box::new(()))
}

/// The error that carries a verdict past Pingora to `fail_to_proxy`; the verdict itself is in [`State::verdict`].
fn ended(state: &mut State, verdict: Verdict) -> Box<Error> {
    state.verdict = Some(verdict);
    Error::new(ErrorType::Custom(ENDED)).into_in()
}

/// Type of the error that [`ended`] makes: expected, so not logged as a failure.
pub const ENDED: &str = "ended by the chain";
