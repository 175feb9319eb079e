//! The request's way: from the client through the chain to Pingora.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::time::timeout;

use super::{State, Wrapped, ended};
use crate::chain::{Item, Verdict};
use crate::exchange::MapState;

/// A request body that declares at most this length is read whole before an origin is chosen where a plugin may change
/// it: the origin then gets an exact content-length instead of chunks, which not every origin understands.
const BODY_READ_WHOLE_BYTES_MAX: u64 = 64 << 10;

/// Chunks kept for sending a request again over another connection. Larger requests are not retried.
const RETRY_BYTES_MAX: usize = 1 << 20;

/// Longest wait for the next chunk of a body.
const CHUNK_TIME_MAX: Duration = Duration::from_secs(60);

/// Before a minimum rate is judged.
const RATE_GRACE: Duration = Duration::from_secs(5);

/// How the request phase before an origin ended.
#[derive(Debug)]
pub enum RequestPhase {
    /// Go on to the origin.
    Proceed,
    Ended(Verdict),
    /// The client failed, or broke a limit.
    Failed(Box<Error>),
}

impl Wrapped {
    /// Runs the request phases until nothing holds the head any more. `reroute` is called where a plugin that may do so
    /// changed the request.
    pub async fn request_phase(
        &mut self,
        mut reroute: impl FnMut(&RequestHeader) + Send,
    ) -> RequestPhase {
        let (inner, state) = self.parts();
        let end = inner.is_body_empty();
        state.continue_expected = !end && expects_continue(inner);
        if let Err(verdict) = state.request.headers(&mut state.run, end) {
            return RequestPhase::Ended(verdict);
        }
        let whole = !end && reads_whole(state);
        loop {
            if state.request.headers_passed()
                && (!whole || state.request.complete_length().is_some())
            {
                break;
            }
            match step(inner, state).await {
                Ok(()) => {}
                Err(Stopped::Verdict(verdict)) => return RequestPhase::Ended(verdict),
                Err(Stopped::Error(error)) => return RequestPhase::Failed(error),
            }
        }
        self.release_head();
        if self.parts().1.run.reroute {
            reroute(&self.head);
        }
        RequestPhase::Proceed
    }

    /// Lets the head go: from now on guests may only read it, and Pingora gets what they made of it.
    fn release_head(&mut self) {
        let (inner, state) = self.parts();
        let length = state.request.complete_length();
        let edits = state.run.plan.edits_request_body;
        let empty = inner.is_body_empty();
        let mut exchange = state.run.exchange.lock();
        if exchange.request.headers.contains_key(http::header::EXPECT) {
            // Answered here: the origin must not be asked too.
            Arc::make_mut(&mut exchange.request).remove_header(&http::header::EXPECT);
        }
        if edits && !empty {
            let head = Arc::make_mut(&mut exchange.request);
            match length {
                Some(length) => {
                    drop(head.insert_header(http::header::CONTENT_LENGTH, length.to_string()))
                }
                None => drop(head.remove_header(&http::header::CONTENT_LENGTH)),
            }
        }
        exchange.request_state = MapState::Sent;
        let head = exchange.request.clone();
        drop(exchange);
        self.head = head;
    }

    /// The next chunk for the origin; `None` at the end. Cancel-safe: Pingora drops this future whenever the origin speaks.
    pub(super) async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let (inner, state) = self.parts();
        if inner.was_upgraded() {
            return inner.read_request_body().await;
        }
        loop {
            if let Some(chunk) = take_chunk(state) {
                remember(state, &chunk);
                return Ok(Some(chunk));
            }
            if state.request_done {
                return Ok(None);
            }
            match step(inner, state).await {
                Ok(()) => {}
                Err(Stopped::Verdict(verdict)) => return Err(ended(state, verdict)),
                Err(Stopped::Error(error)) => return Err(error),
            }
        }
    }

    /// Whether the origin has been given everything.
    pub(super) fn request_done(&mut self) -> bool {
        let (inner, state) = self.parts();
        if inner.was_upgraded() {
            return inner.is_body_done();
        }
        settle_end(state);
        state.request_done && state.ready.is_empty()
    }

    /// Whether the origin gets no body at all.
    pub(super) fn request_empty(&mut self) -> bool {
        let (_, state) = self.parts();
        settle_end(state);
        state.request_done && state.ready.is_empty() && state.sent.is_empty()
    }

    /// A new attempt: what the last one was given is to be given again.
    pub(super) fn rewind(&mut self) {
        let (_, state) = self.parts();
        for chunk in state.sent.drain(..).rev() {
            state.ready.push_front(chunk);
        }
        if state.sent_bytes <= RETRY_BYTES_MAX {
            state.sent_bytes = 0;
        }
    }

    /// Too much was sent to send it again.
    pub(super) fn retry_truncated(&self) -> bool {
        self.state
            .as_ref()
            .is_none_or(|state| state.sent_bytes > RETRY_BYTES_MAX)
    }
}

enum Stopped {
    Verdict(Verdict),
    Error(Box<Error>),
}

impl From<Verdict> for Stopped {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}

impl From<Box<Error>> for Stopped {
    fn from(error: Box<Error>) -> Self {
        Self::Error(error)
    }
}

/// Whether the body is to be read whole before the origin: see [`BODY_READ_WHOLE_BYTES_MAX`].
fn reads_whole(state: &State) -> bool {
    let exchange = state.run.exchange.lock();
    let declared = exchange.request.headers.get(http::header::CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    state.run.plan.edits_request_body
        && declared.is_some_and(|length| length <= BODY_READ_WHOLE_BYTES_MAX)
}

/// One step on: a chunk read and sent through the chain, or a paused plugin that goes on.
async fn step(inner: &mut ServerSession, state: &mut State) -> std::result::Result<(), Stopped> {
    let blocked = state.request.blocked(&mut state.run);
    let idle = inner.is_body_done();
    match blocked {
        Some(blocked) if !blocked.reads || idle => {
            tokio::select! {
                waited = state.request.wait(&mut state.run) => Ok(waited?),
                gone = inner.read_body_or_idle(true), if idle => match gone {
                    Ok(_) => Err(Error::explain(ErrorType::ConnectionClosed, "the client left").into_down().into()),
                    Err(error) => Err(error.into_down().into()),
                },
            }
        }
        Some(_) => {
            write_continue(inner, state).await?;
            let started = Instant::now();
            tokio::select! {
                waited = state.request.wait(&mut state.run) => Ok(waited?),
                chunk = read(inner) => accept(inner, state, chunk?, started),
            }
        }
        None => {
            write_continue(inner, state).await?;
            let started = Instant::now();
            let chunk = read(inner).await?;
            accept(inner, state, chunk, started)
        }
    }
}

/// Whether the client waits for 100 before it sends its body. HTTP/2 clients are sent no interim responses.
fn expects_continue(inner: &ServerSession) -> bool {
    let head = inner.req_header();
    let expect = head.headers.get(http::header::EXPECT);
    head.version == http::Version::HTTP_11
        && expect.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

async fn read(inner: &mut ServerSession) -> Result<Option<Bytes>> {
    // Pingora has no read timeout of its own on HTTP/2.
    let read = timeout(CHUNK_TIME_MAX, inner.read_request_body()).await;
    let read = read.unwrap_or_else(|_| {
        Error::e_explain(ErrorType::HTTPStatus(408), "the body has stopped to arrive")
    });
    read.map_err(|mut error| {
        error.as_down();
        error
    })
}

/// A chunk arrived (`None`: the end): count it, and send it through the chain.
fn accept(
    inner: &mut ServerSession,
    state: &mut State,
    chunk: Option<Bytes>,
    started: Instant,
) -> std::result::Result<(), Stopped> {
    let end = chunk.is_none() || inner.is_body_done();
    let bytes = chunk.unwrap_or_default();
    let total = {
        let mut exchange = state.run.exchange.lock();
        exchange.request_bytes += bytes.len() as u64;
        exchange.request_bytes
    };
    if total > state.body_bytes_max {
        return Err(Error::explain(
            ErrorType::HTTPStatus(413),
            "the body is over the listener's limit",
        )
        .into_down()
        .into());
    }
    state.body_waited += started.elapsed();
    if state.body_waited > RATE_GRACE
        && (total as f64) < state.body_min_rate as f64 * state.body_waited.as_secs_f64()
    {
        return Err(
            Error::explain(ErrorType::HTTPStatus(408), "the body arrives too slowly")
                .into_down()
                .into(),
        );
    }
    if bytes.is_empty() && !end {
        return Ok(());
    }
    Ok(state.request.data(&mut state.run, bytes, end)?)
}

/// `Expect: 100-continue` (RFC 9110 section 10.1.1): whoever reads the body asks for it, and here the chain does.
async fn write_continue(inner: &mut ServerSession, state: &mut State) -> Result<()> {
    if !std::mem::take(&mut state.continue_expected) {
        return Ok(());
    }
    // An interim response before the body was read would otherwise end keep-alive.
    inner.set_close_on_response_before_downstream_finish(false);
    let interim = ResponseHeader::build(100, Some(0))?;
    inner.write_response_header(Box::new(interim)).await?;
    inner.set_close_on_response_before_downstream_finish(true);
    Ok(())
}

/// Moves what left the chain into `ready`.
fn settle_end(state: &mut State) {
    while let Some(item) = state.request.pop() {
        match item {
            Item::Headers { end } => state.request_done |= end,
            Item::Data { bytes, end } => {
                state.request_done |= end;
                // An empty chunk handed on as the last one would end the body twice.
                if !bytes.is_empty() {
                    state.ready.push_back(bytes);
                }
            }
            Item::Trailers => state.request_done = true,
        }
    }
}

fn take_chunk(state: &mut State) -> Option<Bytes> {
    settle_end(state);
    state.ready.pop_front()
}

fn remember(state: &mut State, chunk: &Bytes) {
    state.sent_bytes += chunk.len();
    if state.sent_bytes <= RETRY_BYTES_MAX {
        state.sent.push(chunk.clone());
    } else {
        state.sent.clear();
    }
}
