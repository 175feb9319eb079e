//! The response's way: from Pingora through the chain to the client.

use std::sync::Arc;

use bytes::Bytes;
use http::Version;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use parking_lot::Mutex;
use pingora_core::protocols::http::{HttpTask, ServerSession};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;

use super::{State, Wrapped, ended};
use crate::chain::{Item, Verdict};
use crate::exchange::{Exchange, MapState};
use crate::rescue::{self, Reply};

/// A response that declares at most this length is sent when it is complete where a plugin may change it: the client
/// then gets an exact content-length.
const BODY_SENT_WHOLE_BYTES_MAX: u64 = 64 << 10;

/// Held bodies are written in pieces: Pingora copies what it is given together.
const WRITE_TOGETHER_BYTES_MAX: usize = 64 << 10;

/// What has left the chain and not yet been written.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Held until the response is complete, so that its length is known; and its place among `tasks`.
    head: Option<(Box<ResponseHeader>, usize)>,
    whole: bool,
    tasks: Vec<HttpTask>,
    /// The chain has seen the end of the response.
    entered_end: bool,
    /// The end has been queued in `tasks`.
    ended: bool,
    /// A head was written or queued for good.
    pub head_sent: bool,
    /// The client was answered otherwise, or a plugin has ended the response: what the origin still says is ignored.
    replaced: bool,
    /// What the client asked for or was told has no body: what plugins add is dropped.
    bodiless: bool,
    /// 101: bytes pass untouched.
    upgraded: bool,
}

impl Wrapped {
    /// Tasks from Pingora: through the chain, then to the client. `true` at the response's end.
    pub(super) async fn respond(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        for task in tasks {
            let (inner, state) = self.parts();
            if state.outgoing.replaced {
                return Ok(true);
            }
            let entered = match enter(state, task)? {
                Entered::Passed(task) => {
                    state.outgoing.tasks.push(task);
                    Ok(())
                }
                Entered::Chain(result) => result,
            };
            let settled = match entered {
                Ok(()) => settle(inner, state).await?,
                Err(verdict) => Err(verdict),
            };
            if let Err(verdict) = settled {
                return self.stop_response(verdict).await;
            }
        }
        let (inner, state) = self.parts();
        let written_end = flush(inner, state).await?;
        state.outgoing.replaced |= state.outgoing.ended && state.response.ended_early();
        Ok(state.outgoing.ended || written_end)
    }

    /// A plugin ends the response: its reply takes the response's place, or what was begun is broken off.
    async fn stop_response(&mut self, verdict: Verdict) -> Result<bool> {
        let request_done = self.request_done();
        let request = self.head.clone();
        let (inner, state) = self.parts();
        let reply = match rescue::verdict(&verdict, false) {
            Ok(reply) => reply,
            Err(failure) => Reply::failure(failure),
        };
        let (Some(reply), false) = (reply, state.outgoing.head_sent) else {
            inner.set_keepalive(None);
            return Err(ended(state, verdict));
        };
        state.outgoing = Outgoing {
            replaced: true,
            head_sent: true,
            ..Outgoing::default()
        };
        record(&state.run.exchange, &reply);
        if !request_done {
            inner.set_keepalive(None);
        }
        write_reply(inner, reply, &request).await?;
        if request_done {
            return Ok(true);
        }
        // Nobody needs the rest of the request: leave the origin at once.
        let (_, state) = self.parts();
        Err(ended(state, Verdict::Close))
    }

    /// Answers instead of an origin. `through`: the chain's response phases see the reply first.
    ///
    /// # Errors
    /// Of writing to the client.
    pub async fn reply(&mut self, mut reply: Reply, through: bool) -> Result<()> {
        let request = self.head.clone();
        let (inner, state) = self.parts();
        reply.head.insert_header(
            "x-request-id",
            state.run.exchange.lock().request_id.as_str(),
        )?;
        if state.outgoing.head_sent
            || inner
                .response_written()
                .is_some_and(|head| !head.status.is_informational())
        {
            inner.set_keepalive(None);
            return Ok(());
        }
        record(&state.run.exchange, &reply);
        if through && !state.outgoing.entered_end && state.response_untouched() {
            let end = reply.body.is_empty() || request.method == http::Method::HEAD;
            let mut tasks = vec![HttpTask::Header(reply.head, end)];
            if !end {
                tasks.push(HttpTask::Body(Some(reply.body), true));
            }
            self.respond(tasks).await?;
        } else {
            state.outgoing = Outgoing {
                replaced: true,
                head_sent: true,
                ..Outgoing::default()
            };
            write_reply(inner, reply, &request).await?;
        }
        Ok(())
    }
}

impl Wrapped {
    /// [`Self::reply`], where there is anything to say.
    ///
    /// # Errors
    /// Of writing to the client.
    pub async fn reply_if_some(&mut self, reply: Option<Reply>, through: bool) -> Result<()> {
        match reply {
            Some(reply) => self.reply(reply, through).await,
            None => Ok(()),
        }
    }

    /// The connection ends with this exchange.
    pub fn close(&mut self) {
        self.inner_mut().set_keepalive(None);
    }
}

impl State {
    /// No response has entered the chain yet.
    fn response_untouched(&self) -> bool {
        self.run.exchange.lock().response_state == MapState::Absent
    }
}

enum Entered {
    /// Not for the chain.
    Passed(HttpTask),
    Chain(std::result::Result<(), Verdict>),
}

/// Sends a task into the chain.
fn enter(state: &mut State, task: HttpTask) -> Result<Entered> {
    let outgoing = &mut state.outgoing;
    if outgoing.upgraded {
        return Ok(Entered::Passed(task));
    }
    let result = match task {
        HttpTask::Header(head, end) if head.status.is_informational() => {
            // 1xx go by; after 101 there is no response body to look at.
            outgoing.upgraded = head.status == http::StatusCode::SWITCHING_PROTOCOLS;
            outgoing.head_sent |= outgoing.upgraded;
            return Ok(Entered::Passed(HttpTask::Header(head, end)));
        }
        HttpTask::Header(head, end) => {
            outgoing.entered_end |= end;
            {
                let mut exchange = state.run.exchange.lock();
                exchange.response = Some(head);
                exchange.response_state = MapState::Open;
            }
            state.response.headers(&mut state.run, end)
        }
        HttpTask::Body(bytes, end) => enter_data(state, bytes.unwrap_or_default(), end),
        HttpTask::Trailer(Some(trailers)) => {
            outgoing.entered_end = true;
            state.run.exchange.lock().response_trailers = Some(trailers);
            state.response.trailers(&mut state.run)
        }
        HttpTask::Trailer(None) | HttpTask::Done => enter_data(state, Bytes::new(), true),
        HttpTask::UpgradedBody(..) => return Ok(Entered::Passed(task)),
        HttpTask::Failed(error) => return Err(error),
    };
    Ok(Entered::Chain(result))
}

fn enter_data(state: &mut State, bytes: Bytes, end: bool) -> std::result::Result<(), Verdict> {
    if state.outgoing.entered_end || (bytes.is_empty() && !end) {
        return Ok(());
    }
    state.outgoing.entered_end |= end;
    state.run.exchange.lock().response_bytes += bytes.len() as u64;
    state.response.data(&mut state.run, bytes, end)
}

/// Takes what left the chain, and waits while a plugin pauses that needs no more of the response.
async fn settle(
    inner: &mut ServerSession,
    state: &mut State,
) -> Result<std::result::Result<(), Verdict>> {
    loop {
        drain(inner, state)?;
        let Some(blocked) = state.response.blocked(&mut state.run) else {
            return Ok(Ok(()));
        };
        if blocked.reads {
            return Ok(Ok(()));
        }
        flush(inner, state).await?;
        let idle = inner.is_body_done();
        tokio::select! {
            waited = state.response.wait(&mut state.run) => {
                if let Err(verdict) = waited {
                    return Ok(Err(verdict));
                }
            }
            // Pingora does not watch the client while this waits.
            gone = inner.read_body_or_idle(true), if idle => {
                let error = match gone {
                    Ok(_) => Error::explain(ErrorType::ConnectionClosed, "the client left"),
                    Err(error) => error,
                };
                return Err(error.into_down());
            }
        }
    }
}

/// Queues what left the chain for writing.
fn drain(inner: &ServerSession, state: &mut State) -> Result<()> {
    loop {
        let complete = state.response.complete_length();
        let Some(item) = state.response.pop() else {
            return Ok(());
        };
        match item {
            Item::Headers { end } => queue_head(inner, state, end, complete)?,
            Item::Data { .. } if state.outgoing.bodiless => {}
            Item::Data { bytes, end } => {
                if end || !bytes.is_empty() {
                    state.outgoing.ended |= end;
                    state.outgoing.tasks.push(HttpTask::Body(Some(bytes), end));
                }
            }
            Item::Trailers => {
                let mut exchange = state.run.exchange.lock();
                exchange.response_trailers_state = MapState::Sent;
                let trailers = exchange.response_trailers.clone();
                drop(exchange);
                state.outgoing.ended = true;
                state.outgoing.tasks.push(HttpTask::Trailer(trailers));
            }
        }
        release_whole(inner, state)?;
    }
}

/// The head leaves the chain: guests may only read it from now on, and its framing is made to fit the body.
fn queue_head(
    inner: &ServerSession,
    state: &mut State,
    end: bool,
    complete: Option<u64>,
) -> Result<()> {
    let (head, bodiless) = {
        let mut exchange = state.run.exchange.lock();
        exchange.response_state = MapState::Sent;
        let Some(head) = exchange.response.clone() else {
            return Ok(());
        };
        let bodiless = inner.req_header().method == http::Method::HEAD
            || matches!(head.status.as_u16(), 204 | 304);
        (head, bodiless)
    };
    let mut head = head;
    let declared = content_length(&head);
    // A head that ended was the origin's; one that does not is followed by what a plugin adds.
    state.outgoing.bodiless = bodiless;
    let end = end || bodiless;
    state.outgoing.ended |= end;
    if bodiless || !state.run.plan.edits_response_body {
        state.outgoing.head_sent = true;
        state.outgoing.tasks.push(HttpTask::Header(head, end));
        return Ok(());
    }
    match complete {
        Some(length) if !end => set_length(&mut head, length)?,
        _ if end => {}
        _ if declared.is_some_and(|length| length <= BODY_SENT_WHOLE_BYTES_MAX) => {
            state.outgoing.head = Some((head, state.outgoing.tasks.len()));
            state.outgoing.whole = true;
            return Ok(());
        }
        _ => set_unknown_length(&mut head, inner.req_header().version)?,
    }
    state.outgoing.head_sent = true;
    state.outgoing.tasks.push(HttpTask::Header(head, end));
    Ok(())
}

/// A response that was held to learn its length goes when it is complete, or has grown too long to hold.
fn release_whole(inner: &ServerSession, state: &mut State) -> Result<()> {
    let outgoing = &mut state.outgoing;
    if !outgoing.whole {
        return Ok(());
    }
    let queued: u64 = outgoing.tasks.iter().map(body_length).sum();
    if !outgoing.ended && queued <= BODY_SENT_WHOLE_BYTES_MAX {
        return Ok(());
    }
    let Some((mut head, place)) = outgoing.head.take() else {
        return Ok(());
    };
    outgoing.whole = false;
    outgoing.head_sent = true;
    let trailers = matches!(outgoing.tasks.last(), Some(HttpTask::Trailer(_)));
    if outgoing.ended && !trailers {
        set_length(&mut head, queued)?;
    } else {
        set_unknown_length(&mut head, inner.req_header().version)?;
    }
    outgoing.tasks.insert(place, HttpTask::Header(head, false));
    Ok(())
}

fn body_length(task: &HttpTask) -> u64 {
    if let HttpTask::Body(Some(bytes), _) = task {
        bytes.len() as u64
    } else {
        0
    }
}

fn content_length(head: &ResponseHeader) -> Option<u64> {
    head.headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn set_length(head: &mut ResponseHeader, length: u64) -> Result<()> {
    head.remove_header(&TRANSFER_ENCODING);
    head.insert_header(CONTENT_LENGTH, length.to_string())
}

fn set_unknown_length(head: &mut ResponseHeader, version: Version) -> Result<()> {
    head.remove_header(&CONTENT_LENGTH);
    match version {
        // Ends with the connection.
        Version::HTTP_09 | Version::HTTP_10 => drop(head.remove_header(&TRANSFER_ENCODING)),
        Version::HTTP_11 => head.insert_header(TRANSFER_ENCODING, "chunked")?,
        _ => drop(head.remove_header(&TRANSFER_ENCODING)),
    }
    Ok(())
}

/// Writes what is queued; big bodies piece by piece.
async fn flush(inner: &mut ServerSession, state: &mut State) -> Result<bool> {
    if state.outgoing.whole || state.outgoing.tasks.is_empty() {
        return Ok(false);
    }
    let tasks = std::mem::take(&mut state.outgoing.tasks);
    let bytes: u64 = tasks.iter().map(body_length).sum();
    if bytes as usize <= WRITE_TOGETHER_BYTES_MAX {
        return inner.response_duplex_vec(tasks).await;
    }
    let mut end = false;
    for task in tasks {
        end |= inner.response_duplex_vec(vec![task]).await?;
    }
    Ok(end)
}

/// The reply is the response that guests and logs see from now on.
fn record(exchange: &Arc<Mutex<Exchange>>, reply: &Reply) {
    let mut exchange = exchange.lock();
    if !reply.details.is_empty() {
        exchange.response_code_details.clone_from(&reply.details);
    }
}

/// Writes a whole reply past the chain.
///
/// # Errors
/// Of writing to the client.
pub async fn write_reply(
    inner: &mut ServerSession,
    reply: Reply,
    request: &pingora_http::RequestHeader,
) -> Result<()> {
    let head_only = request.method == http::Method::HEAD;
    let end = reply.body.is_empty() || head_only;
    let mut tasks = vec![HttpTask::Header(reply.head, end)];
    if !end {
        tasks.push(HttpTask::Body(Some(reply.body), true));
    }
    inner.response_duplex_vec(tasks).await?;
    Ok(())
}
