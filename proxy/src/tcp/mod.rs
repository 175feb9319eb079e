//! TCP: a listener whose connections are relayed to an upstream, through a chain of plugins.
//!
//! [`Service`] serves one connection, on its worker: TLS, then [`connection`], in which a client and an origin
//! ([`side`]) exchange bytes through the plugins ([`run`]) in the order that [`flow`] keeps. The plugins see it by a
//! [`view`] each, of one [`relay`].

mod connect;
mod connection;
mod flow;
mod relay;
mod run;
mod side;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::access_log::{ConnectionEntry, Tls, Upstream};
use crate::generation::{Generation, LiveTcp};
use crate::listener::{Connection, Handler, ListenerState, Permit, RefusedSink, secure};
use crate::metrics::{ConnectionEnd, ListenerMetrics};
use connect::Connector;
use connection::Conn;
use relay::{Origin, Relay};
use run::Run;
use side::Side;

/// What serving a TCP connection takes besides its socket.
#[derive(Clone)]
pub struct Service {
    pub listener: Arc<ListenerState>,
    /// The newest generation; a connection begins with it.
    pub current: Arc<ArcSwap<Generation>>,
    /// Changes with it.
    pub changes: watch::Receiver<u64>,
    pub metrics: Arc<ListenerMetrics>,
    pub refused: Arc<dyn RefusedSink>,
    pub shutdown: watch::Receiver<bool>,
}

impl Handler for Service {
    fn listener(&self) -> &Arc<ListenerState> {
        &self.listener
    }

    fn refused(&self) -> &dyn RefusedSink {
        &*self.refused
    }

    async fn run(self, stream: std::net::TcpStream, peer: SocketAddr, permit: Permit) {
        // Either fails only for a socket that is dead already.
        let Ok(stream) = TcpStream::from_std(stream) else {
            return;
        };
        let Ok(local) = stream.local_addr() else {
            return;
        };
        let Some((transport, tls, _)) = secure(&self.listener, &*self.refused, stream).await else {
            return;
        };
        let connection = Connection::new(self.listener.clone(), peer, local, tls);
        let relay = Arc::new(Mutex::new(Relay::new(Arc::new(connection))));
        self.relay(Side::new(transport), relay).await;
        drop(permit);
    }
}

impl Service {
    async fn relay(&self, client: Side, relay: Arc<Mutex<Relay>>) {
        let generation = self.current.load_full();
        let Some(live) = generation.tcp(&self.listener.config.name).cloned() else {
            return client.reset();
        };
        let run = match Run::bind(live.plan.clone(), relay.clone()).await {
            Ok(run) => run,
            Err(end) => {
                client.reset();
                return self.log(&relay.lock(), end, 1);
            }
        };
        let mut conn = Conn::new(client, run, self.metrics.clone());
        let connector = Connector::new(generation, live.clone());
        let end = conn.run(self.ending(&live, &relay), connector).await;
        let faults = conn.end(end);
        self.log(&relay.lock(), end, faults);
        conn.close(end).await;
    }

    /// Waits until the connection has only a while left: the process ends, or a reload changed what it runs on.
    async fn ending(&self, live: &LiveTcp, relay: &Mutex<Relay>) -> (Instant, ConnectionEnd) {
        let (mut shutdown, mut changes) = (self.shutdown.clone(), self.changes.clone());
        loop {
            let end = tokio::select! {
                // An error means that nobody is left to ask for a shutdown: as good as one.
                _ = shutdown.wait_for(|&down| down) => ConnectionEnd::Drained,
                Ok(()) = changes.changed() => ConnectionEnd::Superseded,
            };
            let newest = self.current.load();
            let name = &self.listener.config.name;
            let goes_on = |chosen| newest.continues(name, live, chosen);
            if end == ConnectionEnd::Superseded && goes_on(relay.lock().origin.chosen.as_ref()) {
                continue;
            }
            return (Instant::now() + newest.config.reload.drain, end);
        }
    }

    /// Metrics and the access line.
    fn log(&self, relay: &Relay, end: ConnectionEnd, faults: u32) {
        let duration = relay.started.elapsed();
        self.metrics.ended(end, duration);
        let generation = self.current.load();
        if !generation.access_log.enabled() {
            return;
        }
        let Origin {
            upstream, address, ..
        } = &relay.origin;
        generation.access_log.write(&ConnectionEntry {
            time: relay.started_at,
            connection_id: relay.connection.id,
            client: relay.connection.peer,
            listener: &self.listener.config.name,
            end: end.text(),
            upstream: (!upstream.is_empty()).then_some(Upstream {
                name: upstream,
                address: *address,
            }),
            bytes_received: relay.received,
            bytes_sent: relay.sent,
            duration,
            tls: relay.connection.tls.as_ref().map(|tls| Tls {
                version: tls.version,
                sni: tls.sni.as_deref(),
            }),
            faults,
        });
    }
}

/// Time after the drain in which connections that were told to end may do so.
pub const CLOSING_MAX: Duration = Duration::from_secs(1);
