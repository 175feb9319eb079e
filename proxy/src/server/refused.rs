//! Refused requests are exchanges too: counted and logged, though no origin ever hears of them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use crate::access_log::{ChainOutcome, Entry, Tls};
use crate::generation::Generation;
use crate::listener::{Connection, ListenerState, RefusedIn, RefusedRequest, RefusedSink};
use crate::metrics::Metrics;

/// Counts and logs what listeners refuse.
pub(super) struct Refusals {
    pub(super) metrics: Arc<Metrics>,
    pub(super) current: Arc<ArcSwap<Generation>>,
}

impl RefusedSink for Refusals {
    fn refused(&self, connection: &Connection, refusal: &RefusedRequest) {
        self.metrics.request_refused(refusal.reason.label());
        // One refused in its body has an exchange, which writes its own line.
        if refusal.part == RefusedIn::Body {
            return;
        }
        let generation = self.current.load();
        if !generation.access_log.enabled() {
            return;
        }
        let line = refusal
            .head
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .next()
            .unwrap_or_default();
        let mut words = line.split(|byte| *byte == b' ');
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        generation.access_log.write(&Entry {
            time: SystemTime::now(),
            request_id: "",
            client: connection.peer.ip().to_canonical(),
            peer: connection.peer,
            listener: &connection.listener.config.name,
            method,
            host: b"",
            path,
            protocol: "HTTP/1.1",
            status: if refusal.answered { refusal.status } else { 0 },
            route: None,
            upstream: None,
            bytes_received: 0,
            bytes_sent: 0,
            duration: Duration::ZERO,
            user_agent: None,
            referer: None,
            tls: connection.tls.as_ref().map(|tls| Tls {
                version: tls.version,
                sni: tls.sni.as_deref(),
            }),
            chain: ChainOutcome::default(),
            refused: Some(refusal.reason.label()),
            grpc_status: None,
        });
    }

    fn connection_refused(&self, listener: &ListenerState, _reason: &'static str) {
        self.metrics.listener(&listener.config.name).refused();
    }
}
