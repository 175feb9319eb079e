//! One TCP connection of a client and the one to an origin, for their whole life: the data its plugins share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use portcullis_abi::wire::property::{self, segments};
use portcullis_config::model::Upstream;
use tokio::sync::Notify;

use crate::exchange::FilterState;
use crate::listener::Connection;

/// The key of filter state by which a plugin chooses the upstream, as for Envoy's TCP proxy.
const UPSTREAM_KEY: &[u8] = b"envoy.tcp_proxy.cluster";

/// What of an origin is known, once one was chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    pub(super) upstream: Arc<str>,
    /// As configured, where a plugin chose another than the listener's.
    pub(super) chosen: Option<Upstream>,
    pub(super) address: Option<SocketAddr>,
    /// This proxy's end of the connection.
    pub(super) local: Option<SocketAddr>,
    pub(super) attempts: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) connection: Arc<Connection>,
    pub(super) started: Instant,
    pub(super) started_at: SystemTime,
    pub(super) origin: Origin,
    /// Bytes that came from the client, that went to it.
    pub(super) received: u64,
    pub(super) sent: u64,
    /// The plugin that closed the connection.
    pub(super) closed_by: Option<u16>,
    /// What plugins leave for later ones.
    pub(super) filter_state: FilterState,
    /// Woken when a plugin asked for something.
    pub(super) wake: Arc<Notify>,
}

impl Relay {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            started: Instant::now(),
            started_at: SystemTime::now(),
            origin: Origin::default(),
            received: 0,
            sent: 0,
            closed_by: None,
            filter_state: FilterState::default(),
            wake: Arc::new(Notify::new()),
        }
    }

    /// The upstream that a plugin chose by name.
    pub(super) fn chosen_upstream(&self) -> Option<&[u8]> {
        self.filter_state.get(UPSTREAM_KEY)
    }

    /// Envoy's attributes as far as a connection has them, in Envoy's encodings.
    pub(super) fn read_property(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        let mut segments = segments(path);
        let Some(root) = segments.next() else {
            return false;
        };
        let (second, third) = (segments.next(), segments.next());
        let found = match (root, second, third) {
            (b"source", Some(name), None) => address(name, self.connection.peer, out),
            (b"destination", Some(name), None) => address(name, self.connection.local, out),
            (b"connection", Some(name), None) => self.connection_property(name, out),
            (b"upstream", Some(name), None) => self.upstream_property(name, out),
            (b"xds", Some(name), None) | (name, None, None) => self.place_property(name, out),
            (b"filter_state", Some(key), None) => self.state(key, out),
            _ => false,
        };
        found
            || self
                .filter_state
                .property(path)
                .is_some_and(|value| text(value, out))
    }

    fn state(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        let value = self.filter_state.get(key);
        value.is_some_and(|value| text(value, out))
    }

    fn connection_property(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        let tls = self.connection.tls.as_ref();
        match name {
            b"id" => number(self.connection.id, out),
            b"mtls" => {
                property::bool(false, out);
                true
            }
            b"requested_server_name" => tls
                .and_then(|tls| tls.sni.as_deref())
                .is_some_and(|name| text(name.as_bytes(), out)),
            b"tls_version" => tls.is_some_and(|tls| text(tls.version.as_bytes(), out)),
            _ => false,
        }
    }

    fn upstream_property(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        let origin = &self.origin;
        match name {
            b"local_address" => origin
                .local
                .is_some_and(|local| address(b"address", local, out)),
            b"request_attempt_count" => {
                origin.attempts > 0 && number(u64::from(origin.attempts), out)
            }
            name => origin.address.is_some_and(|peer| address(name, peer, out)),
        }
    }

    /// Names that Envoy gives the places of its configuration.
    fn place_property(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        match name {
            b"cluster_name" => {
                !self.origin.upstream.is_empty() && text(self.origin.upstream.as_bytes(), out)
            }
            b"filter_chain_name" | b"listener_name" => {
                text(self.connection.listener.config.name.as_bytes(), out)
            }
            // Nothing is configured there: an empty message.
            b"cluster_metadata"
            | b"listener_metadata"
            | b"upstream_host_metadata"
            | b"metadata" => true,
            _ => false,
        }
    }
}

fn text(value: &[u8], out: &mut Vec<u8>) -> bool {
    property::string(value, out);
    true
}

fn number(value: u64, out: &mut Vec<u8>) -> bool {
    property::uint(value, out);
    true
}

/// `address` is `ip:port`, `port` a number.
fn address(name: &[u8], of: SocketAddr, out: &mut Vec<u8>) -> bool {
    match name {
        b"address" => text(of.to_string().as_bytes(), out),
        b"port" => number(u64::from(of.port()), out),
        _ => false,
    }
}
