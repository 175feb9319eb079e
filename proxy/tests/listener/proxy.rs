//! A listener with the smallest of proxies behind it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::{HttpProxy, ProxyHttp, Session};
use portcullis::listener::{
    Connection, ListenerState, Refusal, RefusedRequest, RefusedSink, bind, connection, serve,
};
use portcullis::workers::{self, Workers};
use portcullis_config::Location;
use portcullis_config::model::{
    Certificate, Listener, ListenerLimits, ListenerProtocol, ListenerTls,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::origin::{Origin, PATIENCE};

/// What the proxy learnt of one request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub connection: u64,
    pub raw_head: Bytes,
    pub sni: Option<String>,
    /// Of the beginning and of the end of the request.
    pub workers: [Option<usize>; 2],
}

struct Relay {
    origin: SocketAddr,
    seen: watch::Sender<Vec<Seen>>,
}

#[async_trait]
impl ProxyHttp for Relay {
    type CTX = (Option<Arc<Connection>>, Option<usize>);

    fn new_ctx(&self) -> Self::CTX {
        (connection::current(), workers::current())
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.origin, false, String::new())))
    }

    /// Pingora looks for a shutdown only as a request begins.
    async fn response_filter(
        &self,
        session: &mut Session,
        _: &mut ResponseHeader,
        (connection, _): &mut Self::CTX,
    ) -> Result<()> {
        if connection
            .as_ref()
            .is_some_and(|connection| connection.is_closing())
        {
            session.set_keepalive(None);
        }
        Ok(())
    }

    async fn logging(
        &self,
        session: &mut Session,
        _: Option<&Error>,
        (connection, begun): &mut Self::CTX,
    ) {
        let connection = connection
            .as_ref()
            .expect("every request has its connection");
        let one = Seen {
            path: session.req_header().uri.path().to_owned(),
            connection: connection.id,
            raw_head: connection.raw_head(),
            sni: connection.tls.as_ref().and_then(|tls| tls.sni.clone()),
            workers: [*begun, workers::current()],
        };
        self.seen.send_modify(|seen| seen.push(one));
    }
}

/// What was refused: reason, status, raw head.
#[derive(Default)]
pub struct Refused {
    pub requests: Mutex<Vec<RefusedRequest>>,
    pub connections: Mutex<Vec<&'static str>>,
}

impl RefusedSink for Refused {
    fn refused(&self, connection: &Connection, refusal: &RefusedRequest) {
        assert_eq!(connection.refusal(), Some(refusal.reason));
        self.requests.lock().push(refusal.clone());
    }

    fn connection_refused(&self, _: &ListenerState, reason: &'static str) {
        self.connections.lock().push(reason);
    }
}

impl Refused {
    pub fn reasons(&self) -> Vec<Refusal> {
        self.requests
            .lock()
            .iter()
            .map(|refused| refused.reason)
            .collect()
    }
}

/// Generous: only the test of a limit changes it.
pub fn limits() -> ListenerLimits {
    ListenerLimits {
        header_bytes: 8 << 10,
        headers: 50,
        header_timeout: Duration::from_secs(30),
        body_bytes: 16 << 20,
        body_min_rate: 1,
        connections: 1000,
        idle_timeout: Duration::from_secs(30),
        streams: 100,
    }
}

pub struct Proxy {
    pub address: SocketAddr,
    pub state: Arc<ListenerState>,
    pub refused: Arc<Refused>,
    pub workers: Arc<Workers>,
    pub certificate: Option<rcgen::Certificate>,
    pub accepting: JoinHandle<std::io::Result<()>>,
    seen: watch::Receiver<Vec<Seen>>,
    shutdown: watch::Sender<bool>,
}

impl Proxy {
    /// In clear text.
    pub async fn start(origin: &Origin, limits: ListenerLimits) -> Self {
        Self::start_with(origin, limits, false).await
    }

    pub async fn start_with(origin: &Origin, limits: ListenerLimits, tls: bool) -> Self {
        let (certificate, tls) = tls.then(|| certificate(&["localhost"])).unzip();
        let listener = Listener {
            name: "test".into(),
            address: ([127, 0, 0, 1], 0).into(),
            protocol: ListenerProtocol::Http,
            tls: tls.map(|certificate| ListenerTls {
                certificates: vec![certificate],
            }),
            client_ip: None,
            limits,
            at: Location::whole(Path::new("test")),
        };
        let socket = bind(&listener).expect("a port");
        let address = socket.local_addr().expect("an address");
        let state = ListenerState::new(listener).expect("a good certificate");
        let (seen_sender, seen) = watch::channel(Vec::new());
        let relay = Relay {
            origin: origin.address,
            seen: seen_sender,
        };
        let mut proxy = HttpProxy::new(relay, Arc::new(ServerConf::default()));
        proxy.handle_init_modules();
        let workers = Workers::start(3).expect("threads");
        let refused = Arc::new(Refused::default());
        let (shutdown, down) = watch::channel(false);
        let sink: Arc<dyn RefusedSink> = Arc::clone(&refused) as Arc<dyn RefusedSink>;
        let accepting = tokio::spawn(serve(
            socket,
            Arc::clone(&state),
            Arc::clone(&workers),
            Arc::new(proxy),
            sink,
            down,
        ));
        Self {
            address,
            state,
            refused,
            workers,
            certificate,
            accepting,
            seen,
            shutdown,
        }
    }

    /// The requests that were logged so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// The same, once there are so many: a client may have its response before the request is logged.
    pub async fn logged(&self, count: usize) -> Vec<Seen> {
        let mut seen = self.seen.clone();
        let logged = timeout(PATIENCE, seen.wait_for(|seen| seen.len() >= count)).await;
        logged.expect("logged in time").expect("a proxy").clone()
    }

    pub fn shut_down(&self) {
        self.shutdown.send_replace(true);
    }

    pub async fn drained(&self) {
        assert!(
            timeout(PATIENCE, self.state.drained()).await.is_ok(),
            "{} connections stay",
            self.state.open()
        );
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A self-signed certificate, and the same as a configuration has it.
pub fn certificate(names: &[&str]) -> (rcgen::Certificate, Certificate) {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let configured = Certificate {
        cert_pem: made.cert.pem().into_bytes(),
        key_pem: made.signing_key.serialize_pem().into_bytes(),
        at: Location::whole(Path::new("test")),
    };
    (made.cert, configured)
}
