//! What a line says.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use super::Line;
use super::json::Object;

/// One exchange as the access log shows it. Bytes are what the client sent, not yet made harmless.
///
/// Fields without a value are left out of the line, except those a reader sorts by.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// When the exchange began.
    pub time: SystemTime,
    pub request_id: &'a str,
    /// The client: the peer, or whom trusted hops name.
    pub client: IpAddr,
    /// The other end of the connection; shown where it is not the client.
    pub peer: SocketAddr,
    /// Name of the listener.
    pub listener: &'a str,
    /// Empty, like the next two, where no request could be made out.
    pub method: &'a [u8],
    pub host: &'a [u8],
    /// The request target as received, query included.
    pub path: &'a [u8],
    /// `HTTP/1.1`, `HTTP/2`.
    pub protocol: &'a str,
    /// 0 where the connection ended before a status was sent.
    pub status: u16,
    /// Name of the route.
    pub route: Option<&'a str>,
    pub upstream: Option<Upstream<'a>>,
    /// Request body, bytes.
    pub bytes_received: u64,
    /// Response body, bytes.
    pub bytes_sent: u64,
    pub duration: Duration,
    pub user_agent: Option<&'a [u8]>,
    pub referer: Option<&'a [u8]>,
    pub tls: Option<Tls<'a>>,
    pub chain: ChainOutcome<'a>,
    /// Why the request was refused before a route was chosen, as in `portcullis_requests_refused_total`.
    pub refused: Option<&'a str>,
    /// `grpc-status` of the trailers or headers.
    pub grpc_status: Option<&'a [u8]>,
}

/// Where a request went.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a> {
    pub name: &'a str,
    /// The endpoint of the last attempt; none where no endpoint was chosen.
    pub address: Option<SocketAddr>,
}

/// The client's TLS connection.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// `TLSv1.3`.
    pub version: &'a str,
    /// The host name the client asked for.
    pub sni: Option<&'a str>,
}

/// What the chain did beside passing.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChainOutcome<'a> {
    /// The filter that answered in the origin's place.
    pub reply_by: Option<&'a str>,
    /// Faults in this exchange.
    pub faults: u32,
}

impl Line for Entry<'_> {
    fn format(&self, out: &mut Vec<u8>) {
        // Every field is named: a new one does not compile until the line shows it.
        let Self {
            time,
            request_id,
            client,
            peer,
            listener,
            method,
            host,
            path,
            protocol,
            status,
            route,
            upstream,
            bytes_received,
            bytes_sent,
            duration,
            user_agent,
            referer,
            tls,
            chain,
            refused,
            grpc_status,
        } = self;
        let mut line = Object::begin(out);
        line.time("time", *time);
        line.text("request_id", request_id.as_bytes());
        line.display("client", *client);
        if peer.ip() != *client {
            line.display("peer", peer.ip());
        }
        line.text("listener", listener.as_bytes());
        line.text("method", method);
        line.text("host", host);
        line.text("path", path);
        line.text("protocol", protocol.as_bytes());
        line.number("status", u64::from(*status));
        line.text_if("route", route.map(str::as_bytes));
        if let Some(upstream) = upstream {
            upstream.format(&mut line);
        }
        line.number("bytes_received", *bytes_received);
        line.number("bytes_sent", *bytes_sent);
        line.milliseconds("duration_ms", *duration);
        line.text_if("user_agent", *user_agent);
        line.text_if("referer", *referer);
        if let Some(tls) = tls {
            tls.format(&mut line);
        }
        chain.format(&mut line);
        line.text_if("refused", refused.map(str::as_bytes));
        line.text_if("grpc_status", *grpc_status);
        line.end();
    }
}

impl Upstream<'_> {
    pub(super) fn format(&self, line: &mut Object<'_>) {
        let Self { name, address } = self;
        let mut upstream = line.object("upstream");
        upstream.text("name", name.as_bytes());
        if let Some(address) = address {
            upstream.display("address", address);
        }
        upstream.end();
    }
}

impl Tls<'_> {
    pub(super) fn format(&self, line: &mut Object<'_>) {
        let Self { version, sni } = self;
        let mut tls = line.object("tls");
        tls.text("version", version.as_bytes());
        tls.text_if("sni", sni.map(str::as_bytes));
        tls.end();
    }
}

impl ChainOutcome<'_> {
    pub(super) fn format(&self, line: &mut Object<'_>) {
        let Self { reply_by, faults } = self;
        if reply_by.is_none() && *faults == 0 {
            return;
        }
        let mut chain = line.object("chain");
        chain.text_if("reply_by", reply_by.map(str::as_bytes));
        if *faults > 0 {
            chain.number("faults", u64::from(*faults));
        }
        chain.end();
    }
}
