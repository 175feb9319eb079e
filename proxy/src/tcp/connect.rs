//! Which endpoint a connection goes to.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::relay::Relay;
use super::side::Side;
use crate::generation::{Generation, LiveTcp};
use crate::listener::Transport;
use crate::metrics::ConnectionEnd;

/// Endpoints tried for one connection.
const ATTEMPTS_MAX: usize = 4;

/// What it takes to connect an origin. Connected, a connection needs nothing more of its generation but the plugins.
pub(super) struct Connector {
    generation: Arc<Generation>,
    live: Arc<LiveTcp>,
}

impl Connector {
    pub(super) fn new(generation: Arc<Generation>, live: Arc<LiveTcp>) -> Self {
        Self { generation, live }
    }

    /// Connects an endpoint of the upstream that a plugin chose, or else of the listener's.
    ///
    /// # Errors
    /// No endpoint could be connected.
    pub(super) async fn connect(self, relay: &Mutex<Relay>) -> Result<Side, ConnectionEnd> {
        let Self { generation, live } = self;
        let upstreams = &generation.upstreams;
        let id = match relay.lock().chosen_upstream() {
            None => live.upstream,
            Some(name) => std::str::from_utf8(name)
                .ok()
                .and_then(|name| upstreams.id(name))
                .ok_or(ConnectionEnd::NoUpstream)?,
        };
        {
            let origin = &mut relay.lock().origin;
            origin.upstream = generation.upstream_name(id);
            let is_chosen = id != live.upstream;
            origin.chosen = upstreams.upstream(id).filter(|_| is_chosen).cloned();
        }
        let (mut failed, mut end) = (Vec::new(), ConnectionEnd::NoAddress);
        while failed.len() < ATTEMPTS_MAX {
            let Ok(picked) = upstreams.pick_other(id, &failed) else {
                break;
            };
            {
                let origin = &mut relay.lock().origin;
                origin.attempts += 1;
                origin.address = Some(picked.address);
            }
            let connecting = TcpStream::connect(picked.address);
            end = match timeout(picked.upstream.timeouts.connect, connecting).await {
                Ok(Ok(stream)) => return connected(stream, relay),
                Ok(Err(error)) => {
                    let upstream = &picked.upstream.name;
                    tracing::debug!(upstream, address = %picked.address, %error, "cannot connect");
                    ConnectionEnd::ConnectFailed
                }
                Err(_) => ConnectionEnd::ConnectTimeout,
            };
            generation.upstream_metrics(id).connect_failed();
            failed.push(picked.address);
        }
        Err(end)
    }
}

fn connected(stream: TcpStream, relay: &Mutex<Relay>) -> Result<Side, ConnectionEnd> {
    // Bytes are passed on as they come: there is nothing for the system to wait for.
    let prepared = stream.set_nodelay(true).and_then(|()| stream.local_addr());
    let local = prepared.map_err(|_| ConnectionEnd::ConnectFailed)?;
    relay.lock().origin.local = Some(local);
    Ok(Side::new(Transport::Tcp(stream)))
}
