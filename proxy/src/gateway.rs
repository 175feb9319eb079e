//! The table of contents of one request: Pingora's hooks in the order in which they run.

mod client;
mod forward;
mod plain;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use parking_lot::Mutex;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use crate::chain::{Run, Verdict};
use crate::exchange::{Arrival, Exchange};
use crate::generation::{Generation, LiveRoute, LiveTarget};
use crate::listener::connection;
use crate::metrics::Metrics;
use crate::rescue::{self, Failure, Reply};
use crate::wrapped::{self, ENDED, RequestPhase, Slot, State, Wrapped};

pub use client::client_address;
pub use plain::Context;

/// What log lines of requests are filed under.
const LOG_TARGET: &str = "portcullis::gateway";

/// Reason of a request refused for a path that two parsers may read differently.
const PATH_AMBIGUOUS: &str = "path_ambiguous";

/// The proxy as Pingora calls it.
pub struct Gateway {
    /// The newest generation; an exchange pins the one it began with.
    pub current: Arc<ArcSwap<Generation>>,
    pub metrics: Arc<Metrics>,
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.current.load_full(), connection::current())
    }

    async fn early_request_filter(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<()> {
        // Bytes of a pipelined request belong to it, not to this one.
        session.set_pipelining_enabled(true);
        session
            .downstream_session
            .set_total_drain_timeout(Some(plain::DRAIN_TIME_MAX));
        context.arrived(session.req_header())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        if let Err(error) = forward::normalize_target(session.req_header_mut()) {
            self.metrics.request_refused(PATH_AMBIGUOUS);
            context.refused = Some(PATH_AMBIGUOUS);
            return Err(error);
        }
        let Some(route) = context.choose_route(session.req_header()) else {
            return self.refuse(session, context, Failure::NoRoute).await;
        };
        context.set_client(session);
        if route.plan.slots.is_empty() {
            return self.without_chain(session, context, &route).await;
        }
        self.with_chain(session, context, route).await
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        context: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        context.peer()
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        _fd: RawFd,
        digest: Option<&Digest>,
        context: &mut Context,
    ) -> Result<()> {
        let socket = digest.and_then(|digest| digest.socket_digest.as_ref());
        let local = socket.and_then(|socket| socket.local_addr()?.as_inet().copied());
        context.connected(local);
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        forward::request(session, request, context)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        context: &mut Context,
    ) -> Result<()> {
        // A chain counts its own bodies, and bytes after an upgrade are no body.
        if !session.downstream_session.is_custom() && !session.was_upgraded() {
            context.count_body(body.as_ref().map_or(0, Bytes::len))?;
        }
        // An empty chunk handed on as the last one would end the body twice and leave the origin out of step.
        if end_of_stream && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        _context: &mut Context,
    ) -> Result<()> {
        forward::strip_response(response);
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        if session.req_header().version < http::Version::HTTP_11 && response.status.as_u16() >= 200
        {
            // An HTTP/1.0 client knows no chunks: the body ends with the connection.
            response.remove_header(&TRANSFER_ENCODING);
        }
        if !response.status.is_informational() {
            session
                .downstream_session
                .set_close_on_response_before_downstream_finish(true);
            response.insert_header("x-request-id", context.request_id.as_str())?;
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        peer: &HttpPeer,
        context: &mut Context,
        error: Box<Error>,
    ) -> Box<Error> {
        context.connect_failed(peer, error)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        let failure = Failure::of(error);
        if let Some((inner, state)) = unwrap(session, &context.slot) {
            self.conclude(session, inner, state, failure, context).await;
        } else if let Some(reply) = Reply::failure(failure) {
            context.details.clone_from(&reply.details);
            plain::write_error(session, reply, &context.request_id).await;
        } else {
            context.details = failure.details().to_owned();
        }
        FailToProxy {
            error_code: context.status(session).unwrap_or(0),
            can_reuse_downstream: false,
        }
    }

    fn suppress_error_log(&self, _session: &Session, context: &Context, error: &Error) -> bool {
        let expected = matches!(error.etype(), ErrorType::Custom(name) if *name == ENDED);
        let refused = matches!(error.etype(), ErrorType::HTTPStatus(_))
            || *error.esource() == ErrorSource::Downstream;
        if !expected && !refused {
            tracing::warn!(target: LOG_TARGET, request_id = %context.request_id, "{error}");
        }
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Context) {
        let state = unwrap(session, &context.slot).map(|(inner, state)| {
            *session.downstream_session = inner;
            state
        });
        if let Some(mut state) = state.or_else(|| context.state.take()) {
            state.run.end();
            context.adopt(&state);
        }
        context.keep_alive(session, error.is_some());
        context.log(session);
    }
}

impl Gateway {
    async fn refuse(
        &self,
        session: &mut Session,
        context: &mut Context,
        failure: Failure,
    ) -> Result<bool> {
        if let Some(reply) = Reply::failure(failure) {
            context.details.clone_from(&reply.details);
            plain::write(session, reply, &context.request_id).await?;
        }
        Ok(true)
    }

    async fn without_chain(
        &self,
        session: &mut Session,
        context: &mut Context,
        route: &LiveRoute,
    ) -> Result<bool> {
        match &route.target {
            LiveTarget::Upstream(_) => {
                // Pingora would take the origin's 100 for a response that came before the body, and end keep-alive.
                let expects = session
                    .req_header()
                    .headers
                    .contains_key(http::header::EXPECT);
                session
                    .downstream_session
                    .set_close_on_response_before_downstream_finish(!expects);
                Ok(false)
            }
            LiveTarget::Respond(respond) => {
                if let Some(reply) = Reply::respond(respond) {
                    context.details.clone_from(&reply.details);
                    plain::write(session, reply, &context.request_id).await?;
                }
                Ok(true)
            }
        }
    }

    /// Runs the request phases, then leaves the wrapped session to Pingora, or answers.
    async fn with_chain(
        &self,
        session: &mut Session,
        context: &mut Context,
        route: Arc<LiveRoute>,
    ) -> Result<bool> {
        let mut head = session.req_header().clone();
        forward::strip_request(&mut head);
        let mut exchange = Exchange::new(
            context.arrival(),
            head,
            route.name.clone(),
            route.plan.slots.len(),
        );
        exchange.cluster = context.cluster();
        let exchange = Arc::new(Mutex::new(exchange));
        context.exchange = Some(exchange.clone());
        let limits = &context.connection.listener.config.limits;
        let rate = if session.is_http2() {
            limits.body_min_rate
        } else {
            0
        };
        let body_bytes_max = limits.body_bytes;
        let (run, bound) = match Run::bind(route.plan.clone(), exchange).await {
            Ok(run) => (run, None),
            Err((run, verdict)) => (run, Some(verdict)),
        };
        let state = State::new(run, body_bytes_max, rate);
        let inner = std::mem::replace(&mut *session.downstream_session, wrapped::placeholder());
        let mut wrapped = Wrapped::new(inner, state, context.slot.clone());
        let phase = match bound {
            Some(verdict) => RequestPhase::Ended(verdict),
            None => wrapped.request_phase(|head| context.reroute(head)).await,
        };
        let answered = match phase {
            RequestPhase::Failed(error) => Err(error),
            RequestPhase::Ended(verdict) => {
                answer(&mut wrapped, &verdict, true).await.map(|()| true)
            }
            RequestPhase::Proceed => match context.route_target() {
                Some(LiveTarget::Respond(respond)) => {
                    let reply = Reply::respond(&respond);
                    wrapped.reply_if_some(reply, true).await.map(|()| true)
                }
                _ => Ok(false),
            },
        };
        *session.downstream_session = wrapped.into_session();
        answered
    }

    /// An exchange with a chain failed after its request phases: its plugins see the answer where none was begun.
    async fn conclude(
        &self,
        session: &mut Session,
        inner: pingora_core::protocols::http::ServerSession,
        mut state: Box<State>,
        failure: Failure,
        context: &mut Context,
    ) {
        let verdict = state.verdict.take();
        let mut wrapped = Wrapped::new(inner, state, context.slot.clone());
        wrapped.close();
        let answered = match verdict {
            Some(verdict) => answer(&mut wrapped, &verdict, false).await,
            None => {
                context.details = failure.details().to_owned();
                wrapped.reply_if_some(Reply::failure(failure), true).await
            }
        };
        if let Err(error) = answered {
            tracing::debug!(target: LOG_TARGET, "cannot answer: {error}");
        }
        *session.downstream_session = wrapped.into_session();
    }
}

/// Sends what a verdict of a request phase becomes; the plugins that saw the request see the reply.
async fn answer(wrapped: &mut Wrapped, verdict: &Verdict, before_origin: bool) -> Result<()> {
    let reply = match rescue::verdict(verdict, true) {
        Ok(reply) => reply,
        Err(failure) => Reply::failure(failure),
    };
    match reply {
        // A failed or stuck plugin must not hold its own error too.
        Some(reply) => {
            wrapped
                .reply(
                    reply,
                    matches!(verdict, Verdict::Reply { .. } | Verdict::Overflow { .. }),
                )
                .await
        }
        None => {
            wrapped.close();
            if before_origin {
                return Err(
                    Error::explain(ErrorType::ConnectionClosed, "closed by a filter").into_down(),
                );
            }
            Ok(())
        }
    }
}

/// Takes the real session out of the wrapper, if there is one.
fn unwrap(
    session: &mut Session,
    slot: &Slot,
) -> Option<(pingora_core::protocols::http::ServerSession, Box<State>)> {
    if !session.downstream_session.is_custom() {
        return None;
    }
    drop(std::mem::replace(
        &mut *session.downstream_session,
        wrapped::placeholder(),
    ));
    slot.lock().take()
}

/// When a request began, before anything was done for it.
#[derive(Clone, Copy, Debug)]
pub struct Began {
    pub at: Instant,
    pub wall: std::time::SystemTime,
}

impl Context {
    fn arrival(&self) -> Arrival {
        Arrival {
            connection: self.connection.clone(),
            request_id: self.request_id.clone(),
            client: self.client,
            started: self.began.at,
            started_at: self.began.wall,
        }
    }
}
