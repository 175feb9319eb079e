//! What the gateway keeps of one request beside the exchange, and what a request without a chain needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::{HttpPeer, Peer};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use portcullis_config::model::{UpstreamId, UpstreamProtocol};

use super::{Began, client_address};
use crate::access_log::{ChainOutcome, Entry, Tls, Upstream};
use crate::chain::run::SharedExchange;
use crate::exchange::property::protocol;
use crate::exchange::{Cluster, Origin};
use crate::generation::{Generation, LiveRoute, LiveTarget};
use crate::listener::{Connection, Refusal};
use crate::rescue::Reply;
use crate::route::{RouteRequest, host_of};
use crate::wrapped::{Slot, State, write_reply};

/// How long an unread rest of a body is drained before its connection is given up.
pub(super) const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// Pingora's per-request context.
pub struct Context {
    pub generation: Arc<Generation>,
    pub connection: Arc<Connection>,
    pub began: Began,
    pub request_id: String,
    pub client: SocketAddr,
    pub route: Option<Arc<LiveRoute>>,
    /// The upstream in force: the route's, or that of the route selected again.
    pub target: Option<LiveTarget>,
    pub origin: Origin,
    tried: Vec<SocketAddr>,
    /// When the present origin was chosen.
    picked_at: Option<Instant>,
    body_bytes: u64,
    pub details: String,
    /// Why the gateway refused the request before a route was chosen.
    pub refused: Option<&'static str>,
    faults: u32,
    reply_by: Option<String>,
    /// Present on a route with a chain.
    pub exchange: Option<SharedExchange>,
    /// Where the wrapper gives the session back.
    pub slot: Slot,
    /// The state, after the wrapper was taken off for good.
    pub state: Option<Box<State>>,
    grpc_status: Option<String>,
    /// What the origin was spoken to in, for the access log.
    host: String,
}

impl Context {
    pub fn new(generation: Arc<Generation>, connection: Option<Arc<Connection>>) -> Self {
        let connection = connection.expect("requests run in the scope of their connection");
        Self {
            client: connection.peer,
            generation,
            connection,
            began: Began {
                at: Instant::now(),
                wall: SystemTime::now(),
            },
            request_id: String::new(),
            route: None,
            target: None,
            origin: Origin::default(),
            tried: Vec::new(),
            picked_at: None,
            body_bytes: 0,
            details: String::new(),
            refused: None,
            faults: 0,
            reply_by: None,
            exchange: None,
            slot: Slot::default(),
            state: None,
            grpc_status: None,
            host: String::new(),
        }
    }

    /// The head has been read. On a reused connection the context was made before it came: start the clock now.
    pub fn arrived(&mut self, head: &RequestHeader) -> Result<()> {
        self.began = Began {
            at: Instant::now(),
            wall: SystemTime::now(),
        };
        let sent = head
            .headers
            .get("x-request-id")
            .and_then(|value| value.to_str().ok());
        let accepted = sent.filter(|id| {
            self.generation.accept_request_id
                && (1..=128).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        });
        self.request_id = accepted.map_or_else(new_request_id, str::to_owned);
        self.host = String::from_utf8_lossy(crate::exchange::authority(head)).into_owned();
        Ok(())
    }

    /// Chooses the route; the path is judged in its normal form.
    pub fn choose_route(&mut self, head: &RequestHeader) -> Option<Arc<LiveRoute>> {
        let route = select(&self.generation, head)?;
        self.target = Some(route.target.clone());
        self.route = Some(route.clone());
        Some(route)
    }

    /// A plugin changed the request, and may choose the route again. Its chain stays the one it began with.
    pub fn reroute(&mut self, head: &RequestHeader) {
        if let Some(route) = select(&self.generation, head) {
            self.target = Some(route.target.clone());
            if let Some(exchange) = &self.exchange {
                let mut exchange = exchange.lock();
                exchange.route = route.name.clone();
                exchange.cluster = self.cluster();
            }
            self.route = Some(route);
        }
    }

    /// Where the route leads to, for an exchange.
    pub fn cluster(&self) -> Option<Cluster> {
        match self.target {
            Some(LiveTarget::Upstream(id)) => {
                Some(Cluster::new(self.generation.upstreams.clone(), id))
            }
            _ => None,
        }
    }

    pub fn route_target(&self) -> Option<LiveTarget> {
        self.target.clone()
    }

    pub fn set_client(&mut self, session: &Session) {
        self.client = client_address(&self.connection, &session.req_header().headers);
    }

    fn upstream(&self) -> Result<UpstreamId> {
        match self.target {
            Some(LiveTarget::Upstream(id)) => Ok(id),
            _ => {
                Err(Error::explain(ErrorType::InternalError, "the route has no upstream").into_in())
            }
        }
    }

    /// The origin for this attempt: another one than those that could not be reached.
    pub fn peer(&mut self) -> Result<Box<HttpPeer>> {
        let id = self.upstream()?;
        let upstreams = self.generation.upstreams.clone();
        let wanted = self.exchange.as_ref();
        let wanted = wanted.and_then(|exchange| exchange.lock().wanted_host);
        let wanted = wanted.and_then(|address| upstreams.pick_at(id, address, &self.tried));
        let picked = match wanted {
            Some(picked) => picked,
            None => upstreams.pick_other(id, &self.tried).map_err(|none| {
                Error::explain(ErrorType::HTTPStatus(503), none.to_string()).into_in()
            })?,
        };
        self.origin.local = None;
        self.origin.ready_after = None;
        self.picked_at = Some(Instant::now());
        self.origin.attempts += 1;
        self.origin.address = Some(picked.address);
        self.origin.upstream = self.generation.upstream_name(id);
        if let Some(exchange) = &self.exchange {
            exchange.lock().origin = self.origin.clone();
        }
        let mut peer = HttpPeer::new(picked.address, false, picked.host.to_owned());
        let timeouts = picked.upstream.timeouts;
        peer.options.connection_timeout = Some(timeouts.connect);
        peer.options.total_connection_timeout = Some(timeouts.connect);
        peer.options.read_timeout = Some(timeouts.read);
        peer.options.write_timeout = Some(timeouts.write);
        peer.options.idle_timeout = Some(timeouts.idle);
        peer.options.alpn = match picked.upstream.protocol {
            UpstreamProtocol::H1 => ALPN::H1,
            UpstreamProtocol::H2 => ALPN::H2,
        };
        Ok(Box::new(peer))
    }

    /// There is a connection to the origin; `local` is our end of it.
    pub fn connected(&mut self, local: Option<SocketAddr>) {
        self.origin.local = local;
        self.origin.ready_after = self.picked_at.map(|at| at.elapsed());
        if let Some(exchange) = &self.exchange {
            exchange.lock().origin = self.origin.clone();
        }
    }

    /// Another endpoint is tried where there is one: nothing was sent yet.
    pub fn connect_failed(&mut self, peer: &HttpPeer, mut error: Box<Error>) -> Box<Error> {
        if let Some(address) = peer.address().as_inet() {
            self.tried.push(*address);
        }
        let others = self
            .upstream()
            .is_ok_and(|id| self.generation.upstreams.has_other(id, &self.tried));
        if let Ok(id) = self.upstream() {
            self.generation.upstream_metrics(id).connect_failed();
        }
        error.set_retry(others);
        error
    }

    /// Counts body bytes on a route without a chain (HTTP/1.1 is also counted by the byte guard).
    pub fn count_body(&mut self, bytes: usize) -> Result<()> {
        self.body_bytes += bytes as u64;
        if self.body_bytes > self.connection.listener.config.limits.body_bytes {
            let error = Error::explain(
                ErrorType::HTTPStatus(413),
                "the body is over the listener's limit",
            );
            return Err(error.into_down());
        }
        Ok(())
    }

    /// Takes from the chain's state what the log tells.
    pub fn adopt(&mut self, state: &State) {
        self.faults = state.run.faults;
        self.reply_by.clone_from(&state.run.reply_by);
        let exchange = state.run.exchange.lock();
        self.grpc_status = exchange.grpc_status().map(|status| status.to_string());
        if !exchange.response_code_details.is_empty() {
            self.details.clone_from(&exchange.response_code_details);
        }
    }

    /// The connection ends after an error. How long it may wait for the next request is the byte guard's matter.
    pub fn keep_alive(&self, session: &mut Session, failed: bool) {
        if failed {
            session.set_keepalive(None);
        }
    }

    /// The status the client got.
    pub fn status(&self, session: &Session) -> Option<u16> {
        session.response_written().map(|head| head.status.as_u16())
    }

    /// Metrics and the access line.
    pub fn log(&mut self, session: &mut Session) {
        let elapsed = self.began.at.elapsed();
        // 499: the client went before it was answered (nginx's number).
        let status = self.status(session).unwrap_or(499);
        match &self.route {
            Some(route) => route.metrics.observe(status, elapsed),
            None => self.generation.unrouted.observe(status, elapsed),
        }
        if !self.generation.access_log.enabled() {
            return;
        }
        let head = session.req_header();
        let header = |name: &str| head.headers.get(name).map(http::HeaderValue::as_bytes);
        let raw_head = self.connection.raw_head();
        let target = raw_head
            .split(|byte| *byte == b' ')
            .nth(1)
            .unwrap_or_else(|| head.raw_path());
        let upstream = (!self.origin.upstream.is_empty()).then(|| Upstream {
            name: &self.origin.upstream,
            address: self.origin.address,
        });
        self.generation.access_log.write(&Entry {
            time: self.began.wall,
            request_id: &self.request_id,
            client: self.client.ip(),
            peer: self.connection.peer,
            listener: &self.connection.listener.config.name,
            method: head.method.as_str().as_bytes(),
            host: self.host.as_bytes(),
            path: target,
            protocol: protocol(head.version),
            status,
            route: self.route.as_ref().map(|route| &*route.name),
            upstream,
            bytes_received: session.body_bytes_read() as u64,
            bytes_sent: session.body_bytes_sent() as u64,
            duration: elapsed,
            user_agent: header("user-agent"),
            referer: header("referer"),
            tls: self.connection.tls.as_ref().map(|tls| Tls {
                version: tls.version,
                sni: tls.sni.as_deref(),
            }),
            chain: ChainOutcome {
                reply_by: self.reply_by.as_deref(),
                faults: self.faults,
            },
            refused: self
                .refused
                .or_else(|| self.connection.refusal().map(Refusal::label)),
            grpc_status: self.grpc_status.as_deref().map(str::as_bytes),
        });
    }
}

fn select(generation: &Generation, head: &RequestHeader) -> Option<Arc<LiveRoute>> {
    let authority = String::from_utf8_lossy(crate::exchange::authority(head));
    let raw = std::str::from_utf8(head.raw_path()).ok()?;
    let path = raw.split('?').next().unwrap_or(raw);
    let request = RouteRequest {
        host: host_of(&authority),
        path,
        method: head.method.as_str(),
        headers: &head.headers,
    };
    let id = generation.router.select(&request)?;
    generation.routes.get(id.0 as usize).cloned()
}

/// 128 random bits as hex.
fn new_request_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Writes a reply on a session without a chain.
///
/// # Errors
/// Of writing to the client.
pub(super) async fn write(session: &mut Session, mut reply: Reply, request_id: &str) -> Result<()> {
    reply
        .head
        .insert_header("x-request-id", request_id.to_owned())?;
    let head = session.req_header().clone();
    write_reply(&mut session.downstream_session, reply, &head).await
}

/// Writes an error where no response was begun; the connection ends with it.
pub(super) async fn write_error(session: &mut Session, reply: Reply, request_id: &str) {
    session.set_keepalive(None);
    let begun = session
        .response_written()
        .is_some_and(|head| !head.status.is_informational() || head.status == 101);
    if begun {
        return;
    }
    if let Err(error) = write(session, reply, request_id).await {
        tracing::debug!("cannot answer: {error}");
    }
}
