//! What a line says of a TCP connection.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::json::Object;
use super::{ChainOutcome, Line, Tls, Upstream};

/// One TCP connection as the access log shows it, when it has ended.
#[derive(Clone, Debug)]
pub struct ConnectionEntry<'a> {
    /// When it was accepted.
    pub time: SystemTime,
    /// The property `connection.id`.
    pub connection_id: u64,
    pub client: SocketAddr,
    /// Name of the listener.
    pub listener: &'a str,
    /// Why it ended: a word of the label `end` of `portcullis_tcp_connections_total`.
    pub end: &'a str,
    pub upstream: Option<Upstream<'a>>,
    /// From the client.
    pub bytes_received: u64,
    /// To the client.
    pub bytes_sent: u64,
    pub duration: Duration,
    pub tls: Option<Tls<'a>>,
    /// Faults of plugins in this connection.
    pub faults: u32,
}

impl Line for ConnectionEntry<'_> {
    fn format(&self, out: &mut Vec<u8>) {
        // Every field is named: a new one does not compile until the line shows it.
        let Self {
            time,
            connection_id,
            client,
            listener,
            end,
            upstream,
            bytes_received,
            bytes_sent,
            duration,
            tls,
            faults,
        } = self;
        let mut line = Object::begin(out);
        line.time("time", *time);
        line.number("connection_id", *connection_id);
        line.display("client", client.ip().to_canonical());
        line.number("client_port", u64::from(client.port()));
        line.text("listener", listener.as_bytes());
        line.text("protocol", b"TCP");
        line.text("end", end.as_bytes());
        if let Some(upstream) = upstream {
            upstream.format(&mut line);
        }
        line.number("bytes_received", *bytes_received);
        line.number("bytes_sent", *bytes_sent);
        line.milliseconds("duration_ms", *duration);
        if let Some(tls) = tls {
            tls.format(&mut line);
        }
        ChainOutcome {
            reply_by: None,
            faults: *faults,
        }
        .format(&mut line);
        line.end();
    }
}
