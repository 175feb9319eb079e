//! One request and its response, for its whole life: the data that the phases, the chain and the guests share.
//!
//! It owns data only; what happens to it is decided in [`crate::chain`] and [`crate::gateway`].

mod cluster;
mod filter_state;
mod headers;
pub mod property;
mod stream;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use pingora_http::{RequestHeader, ResponseHeader};
use portcullis_abi::stream::{HeaderError, LocalResponse};
use tokio::sync::Notify;

use crate::chain::Body;
use crate::listener::connection::Connection;

pub use cluster::Cluster;
pub use filter_state::FilterState;
pub use headers::authority;

/// What one plugin asked for since it was last looked at.
#[derive(Debug, Default)]
pub struct Signals {
    pub continue_request: bool,
    pub continue_response: bool,
    /// Its VM was discarded.
    pub lost: bool,
    /// It tried to set a header that cannot be sent.
    pub refused: Option<HeaderError>,
}

/// What a guest adds to a response body.
#[derive(Debug)]
pub struct Injected {
    pub slot: u16,
    pub bytes: Bytes,
    /// The response ends with it.
    pub end: bool,
}

/// What guests may have added to one exchange that the chain has not taken yet, in bytes: what one callback may add.
pub const INJECTED_BYTES_MAX: usize = 1 << 20;

/// The same in pieces: empty ones count as well.
pub const INJECTED_PIECES_MAX: usize = 1024;

/// Where a message is, as far as its header map is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapState {
    /// Not there yet.
    #[default]
    Absent,
    /// Guests may read and write.
    Open,
    /// Sent on: guests may read.
    Sent,
}

/// The origin that answers, once chosen.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub upstream: Arc<str>,
    pub address: Option<SocketAddr>,
    pub attempts: u32,
    /// The proxy's end of the connection, and how long it took to get one, once there is one.
    pub local: Option<SocketAddr>,
    pub ready_after: Option<Duration>,
}

/// One exchange. See the module.
#[derive(Debug)]
pub struct Exchange {
    pub connection: Arc<Connection>,
    pub request_id: String,
    /// The client, as far as trusted hops tell.
    pub client: IpAddr,
    pub client_port: u16,
    pub started: Instant,
    pub started_at: SystemTime,
    pub route: Arc<str>,
    pub origin: Origin,
    /// Where the route leads to, if to an upstream.
    pub cluster: Option<Cluster>,
    /// The endpoint that a guest wants, where it is one of the upstream's.
    pub wanted_host: Option<SocketAddr>,

    /// Shared with Pingora once it was sent on; made unique for a write before.
    pub request: Arc<RequestHeader>,
    pub request_state: MapState,
    pub response: Option<Box<ResponseHeader>>,
    pub response_state: MapState,
    pub response_trailers: Option<Box<HeaderMap>>,
    pub response_trailers_state: MapState,
    /// Visible to the plugin whose body callback runs, or that holds them.
    pub request_body: Option<Body>,
    pub response_body: Option<Body>,
    /// Bytes that came from the client, that went to it.
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub response_code_details: String,

    /// By slot of the chain.
    pub signals: Vec<Signals>,
    /// The first reply that a guest asked for, and its slot.
    pub reply: Option<(u16, LocalResponse)>,
    /// A guest closed the stream.
    pub closed: bool,
    /// What guests add to the response body, until the chain takes it.
    pub injected: Vec<Injected>,
    /// A guest wrote a request header, so that a route may be selected again.
    pub route_stale: bool,
    /// `proxy_set_property`: seen by later plugins.
    pub filter_state: FilterState,
    /// Woken when a signal, a reply or a close was recorded.
    pub wake: Arc<Notify>,
}

/// What [`Exchange::new`] needs beside the request.
#[derive(Debug)]
pub struct Arrival {
    pub connection: Arc<Connection>,
    pub request_id: String,
    pub client: SocketAddr,
    pub started: Instant,
    pub started_at: SystemTime,
}

impl Exchange {
    /// `plugins`: slots of the chain.
    pub fn new(arrival: Arrival, request: RequestHeader, route: Arc<str>, plugins: usize) -> Self {
        let Arrival {
            connection,
            request_id,
            client,
            started,
            started_at,
        } = arrival;
        Self {
            connection,
            request_id,
            client: client.ip(),
            client_port: client.port(),
            started,
            started_at,
            route,
            origin: Origin::default(),
            cluster: None,
            wanted_host: None,
            request: Arc::new(request),
            request_state: MapState::Open,
            response: None,
            response_state: MapState::Absent,
            response_trailers: None,
            response_trailers_state: MapState::Absent,
            request_body: None,
            response_body: None,
            request_bytes: 0,
            response_bytes: 0,
            response_code_details: String::new(),
            signals: std::iter::repeat_with(Signals::default)
                .take(plugins)
                .collect(),
            reply: None,
            closed: false,
            injected: Vec::new(),
            route_stale: false,
            filter_state: FilterState::default(),
            wake: Arc::new(Notify::new()),
        }
    }

    /// "https" where the client spoke TLS.
    pub fn scheme(&self) -> &'static str {
        if self.connection.tls.is_some() {
            "https"
        } else {
            "http"
        }
    }

    /// Time since the first byte of the request's head was handled.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
