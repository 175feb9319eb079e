//! What a listener is while it runs: its configuration, and how many connections it has.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pingora_core::apps::HttpServerOptions;
use pingora_core::protocols::http::v2::server::H2Options;
use portcullis_config::Problem;
use portcullis_config::model::{Listener, ListenerLimits, ListenerProtocol};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::metrics::ListenerMetrics;

use super::framing::FramingLimits;
use super::tls;

/// Bytes of one HTTP/2 stream's body that a client may send ahead of its being read.
const H2_STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// The same for all streams of a connection together: what one connection can make the proxy hold.
const H2_CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// Response bytes queued for one HTTP/2 stream before its writer waits.
const H2_SEND_BUFFER_BYTES: usize = 256 << 10;

/// Streams a client has reset that were not yet looked at; beyond it the connection ends (CVE-2023-44487).
const H2_PENDING_RESETS_MAX: usize = 20;

/// Streams that had to be reset because of the client's errors, in a connection's life; beyond it the connection ends
/// (CVE-2025-8671).
const H2_ERROR_RESETS_MAX: usize = 256;

/// Reset streams kept for late frames, and for how long.
const H2_RESETS_KEPT_MAX: usize = 50;
const H2_RESETS_KEPT: Duration = Duration::from_secs(1);

/// A listener's configuration and its open connections.
pub struct ListenerState {
    pub config: Listener,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) framing: FramingLimits,
    pub(super) h2: H2Options,
    pub(super) http: HttpServerOptions,
    open: AtomicUsize,
    emptied: Notify,
    metrics: OnceLock<Arc<ListenerMetrics>>,
}

impl ListenerState {
    /// Prepares a listener; TLS is set up here, so what is wrong with a certificate is known before anything is bound.
    ///
    /// # Errors
    /// What is wrong with a certificate or key, at its place in the file.
    pub fn new(config: Listener) -> Result<Arc<Self>, Problem> {
        let tls = config
            .tls
            .as_ref()
            .map(|tls| tls::server_config(tls, config.protocol == ListenerProtocol::Http))
            .transpose()?
            .map(TlsAcceptor::from);
        let mut http = HttpServerOptions::default();
        http.h2_idle_timeout = Some(config.limits.idle_timeout);
        Ok(Arc::new(Self {
            tls,
            framing: FramingLimits {
                head_bytes: config.limits.header_bytes,
                headers: config.limits.headers,
                body_bytes: config.limits.body_bytes,
            },
            h2: h2_options(&config.limits),
            http,
            open: AtomicUsize::new(0),
            emptied: Notify::new(),
            metrics: OnceLock::new(),
            config,
        }))
    }

    /// Counts connections from now on; only the first call has an effect.
    pub fn measure(&self, metrics: Arc<ListenerMetrics>) {
        let _ = self.metrics.set(metrics);
    }

    /// Connections open now, from accept to close.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Waits until no connection is open. Ends at once where none is.
    pub async fn drained(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.open() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Takes a place among the open connections; `None` when all are taken.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Permit> {
        let taken = self.open.fetch_add(1, Ordering::AcqRel);
        let permit = Permit(Arc::clone(self));
        if let Some(metrics) = self.metrics.get() {
            metrics.opened();
        }
        (taken < self.config.limits.connections).then_some(permit)
    }
}

/// One open connection: the place is free again when this is dropped.
pub struct Permit(Arc<ListenerState>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.closed();
        }
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.emptied.notify_waiters();
        }
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

/// All of them stated: options of one's own replace Pingora's bounded defaults, not complete them.
fn h2_options(limits: &ListenerLimits) -> H2Options {
    let mut options = H2Options::new();
    options
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams)
        .initial_window_size(H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(H2_SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(H2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(Some(H2_ERROR_RESETS_MAX))
        .max_concurrent_reset_streams(H2_RESETS_KEPT_MAX)
        .reset_stream_duration(H2_RESETS_KEPT);
    options
}

impl std::fmt::Debug for ListenerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListenerState")
            .field("name", &self.config.name)
            .field("open", &self.open())
            .finish_non_exhaustive()
    }
}
