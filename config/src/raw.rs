//! The shape of the file: every key, once.
//!
//! To add a key: declare it here with a doc comment (the reader and the JSON Schema follow), let the compiler name the
//! place in `resolve/` that must handle it, add the checked value to `model.rs`, a case to `tests/cases/` and a row to
//! `docs/guide/configuration.md`.

use std::net::SocketAddr;
use std::time::Duration;

use ipnetwork::IpNetwork;
use regex::Regex;
use schemars::{Schema, SchemaGenerator};

use crate::model::{Hold, Isolation, LogLevel, OnFault, UpstreamProtocol, Workers};
use crate::problem::Problems;
use crate::read::{Cursor, OneOrMany, Read, Slot, Table, mapping};
use crate::units::Rate;
use crate::values::{Free, NameServer, Protocol, Size, Text, short_or_long};
use crate::yaml::Content;

mod grants;

pub(crate) use grants::*;

mapping! {
    /// The configuration of Portcullis.
    struct File {
        /// Version of this format: 1.
        version: Slot<u64>,
        /// Where requests come in. At least one.
        listeners: Slot<Vec<Slot<Listener>>>,
        /// The origins, by name.
        upstreams: Option<Slot<Table<Upstream>>>,
        /// The plugins, by name: a module, its configuration, limits and grants.
        filters: Option<Slot<Table<Filter>>>,
        /// Ordered filters, by name: run first to last on requests, last to first on responses.
        chains: Option<Slot<Table<Vec<Slot<ChainEntry>>>>>,
        /// Which requests go where, through which chain. At least one where a listener speaks HTTP.
        routes: Option<Slot<Vec<Slot<Route>>>>,
        /// How host names of endpoints are resolved.
        dns: Option<Slot<Dns>>,
        /// Metrics, logs and request ids.
        observability: Option<Slot<Observability>>,
        /// The administration address. Without it there is none.
        admin: Option<Slot<Admin>>,
        /// Worker threads: auto (one for each core, the default) or a number from 1 to 1024.
        workers: Option<Slot<Workers>>,
        /// How a changed configuration is taken up.
        reload: Option<Slot<Reload>>,
    }
}

mapping! {
    /// A place where requests come in.
    struct Listener {
        /// A unique name (default: the address).
        name: Option<Slot<Text>>,
        /// IP address and port to bind. Port 0 lets the system choose.
        address: Slot<SocketAddr>,
        /// http (the default): HTTP/1.1 and HTTP/2. tcp: bytes, relayed to an upstream.
        protocol: Option<Slot<Protocol>>,
        /// With protocol tcp: the upstream that connections go to.
        upstream: Option<Slot<Text>>,
        /// With protocol tcp: the filters on the way, a chain's name or a list of filters (default: none).
        chain: Option<Slot<RouteChain>>,
        /// Serve HTTPS, or end TLS before bytes are relayed, with these certificates.
        tls: Option<Slot<ListenerTls>>,
        /// Whom to believe about the client's address (default: the peer alone).
        client_ip: Option<Slot<ClientIp>>,
        /// Bounds of requests and connections.
        limits: Option<Slot<ListenerLimits>>,
    }
}

mapping! {
    /// TLS of a listener.
    struct ListenerTls {
        /// At least one; the first serves clients that name no known host.
        certificates: Slot<Vec<Slot<Certificate>>>,
    }
}

mapping! {
    /// A certificate and its key.
    struct Certificate {
        /// The certificate chain: path of a PEM file, or PEM text.
        cert: Slot<Text>,
        /// The private key: path of a PEM file, or PEM text.
        key: Slot<Text>,
    }
}

mapping! {
    /// Whom to believe about the client's address.
    struct ClientIp {
        /// The header that names the hops, read from the right (default: x-forwarded-for).
        header: Option<Slot<Text>>,
        /// Addresses or networks of peers and hops whose word is taken. At least one.
        trusted: Slot<Vec<Slot<IpNetwork>>>,
    }
}

mapping! {
    /// Bounds of a listener.
    struct ListenerLimits {
        /// Request line and headers together (default 64KiB, at most 1MiB). Beyond: 431.
        header_bytes: Option<Slot<Size>>,
        /// Number of request headers (default 100, at most 256). Beyond: 431.
        headers: Option<Slot<u64>>,
        /// Time for a whole head, from its first byte (default 10s). Beyond: 408.
        header_timeout: Option<Slot<Duration>>,
        /// Request body (default 1GiB). Beyond: 413.
        body_bytes: Option<Slot<Size>>,
        /// Slowest average rate of a request body, bytes a second (default 500B); 0 means no limit.
        body_min_rate: Option<Slot<Size>>,
        /// Open connections (default 16384). Beyond: accepted and closed at once.
        connections: Option<Slot<u64>>,
        /// Time between two requests of a connection (default 60s); with protocol tcp, time without a byte (default 1h).
        idle_timeout: Option<Slot<Duration>>,
        /// HTTP/2 streams at once on a connection (default 100).
        streams: Option<Slot<u64>>,
    }
}

mapping! {
    /// A named set of origins, used in turn.
    struct Upstream {
        /// At least one.
        endpoints: Slot<Vec<Slot<Endpoint>>>,
        /// h1 (HTTP/1.1, the default) or h2 (HTTP/2 by prior knowledge).
        protocol: Option<Slot<UpstreamProtocol>>,
        /// How long to wait for an origin.
        timeouts: Option<Slot<UpstreamTimeouts>>,
    }
}

mapping! {
    /// One origin.
    struct Endpoint {
        /// Host name or IP address, and port: origin:9000, 10.0.0.7:80, "[::1]:9000".
        address: Slot<Text>,
    }
}

mapping! {
    /// How long to wait for an origin.
    struct UpstreamTimeouts {
        /// To open a connection (default 3s).
        connect: Option<Slot<Duration>>,
        /// For each read (default 60s).
        read: Option<Slot<Duration>>,
        /// For each write (default 60s).
        write: Option<Slot<Duration>>,
        /// Unused pooled connections are closed after this (default 60s).
        idle: Option<Slot<Duration>>,
    }
}

mapping! {
    /// How host names are resolved.
    struct Dns {
        /// Name servers, as address or address:port (default: the system's configuration and hosts file).
        servers: Option<Slot<Vec<Slot<NameServer>>>>,
        /// How often a name is asked again (default 5s).
        refresh: Option<Slot<Duration>>,
    }
}

mapping! {
    /// A plugin: exactly one of wasm and builtin.
    struct Filter {
        /// A module of one's own.
        wasm: Option<Slot<Wasm>>,
        /// A module that Portcullis brings along, such as auth or rate-limit.
        builtin: Option<Slot<Text>>,
        /// Which of the module's root contexts to use (default: the empty name).
        root_id: Option<Slot<Text>>,
        /// Names the space of shared data and queues (default: the filter's name).
        vm_id: Option<Slot<Text>>,
        /// Given to the module when its VM starts: a string as it is, a mapping as JSON.
        vm_config: Option<Slot<Free>>,
        /// Given to the module when it is configured: a string as it is, a mapping as JSON.
        config: Option<Slot<Free>>,
        /// Environment variables that the module sees; there are no others.
        env: Option<Slot<Table<Text>>>,
        /// What the module may do besides handling its exchange (default: nothing), and what of the exchange it may not.
        grants: Option<Slot<Grants>>,
        /// What the module may use.
        limits: Option<Slot<FilterLimits>>,
        /// What a fault of the module does to the exchange: deny (503, the default) or skip (go on without it).
        on_fault: Option<Slot<OnFault>>,
        /// Whether exchanges share a worker's VM (shared, the default) or each has a fresh one (request).
        isolation: Option<Slot<Isolation>>,
        /// When the origin may see a request: stream (as soon as the module continues, the default) or headers (once it continued headers and body).
        hold: Option<Slot<Hold>>,
    }
}

mapping! {
    /// A module of one's own.
    struct Wasm {
        /// Path of the .wasm file, relative to the configuration file.
        file: Slot<Text>,
    }
}

mapping! {
    /// What a module may use.
    struct FilterLimits {
        /// Linear memory of one VM (default 64MiB, from 64KiB to 4GiB).
        memory: Option<Slot<Size>>,
        /// Elements of each of a VM's tables (default 131072).
        table: Option<Slot<u64>>,
        /// CPU time of one callback (default 10ms).
        cpu_per_call: Option<Slot<Duration>>,
        /// CPU time of all callbacks of one exchange (default 10s).
        cpu_per_exchange: Option<Slot<Duration>>,
        /// CPU time of a VM's start (default 10s).
        cpu_start: Option<Slot<Duration>>,
        /// How long it may hold an exchange (default 5s). Beyond: 504.
        pause: Option<Slot<Duration>>,
        /// Body held back for it (default 16MiB). Beyond: 413 on a request, 500 on a response.
        body_held: Option<Slot<Size>>,
        /// Shared data under its vm_id (default 16MiB). Beyond: the least recently used entries go.
        shared_data: Option<Slot<Size>>,
        /// Bytes waiting in one shared queue (default 4MiB). Beyond: an item is dropped.
        queue: Option<Slot<Size>>,
        /// Callouts in flight of one VM (default 50).
        callouts: Option<Slot<u64>>,
        /// VMs at once with isolation: request (default 1000). Beyond: an exchange waits for one.
        vms: Option<Slot<u64>>,
        /// Log lines of one VM (default 100/1s). Beyond: dropped and counted.
        log: Option<Slot<Rate>>,
    }
}

/// A filter's name, or a mapping with it.
#[derive(Clone, Debug)]
pub(crate) struct ChainEntry {
    pub(crate) filter: Slot<Text>,
    pub(crate) reroute: Option<Slot<bool>>,
}

mapping! {
    /// One filter of a chain.
    struct LongChainEntry {
        /// The filter's name.
        filter: Slot<Text>,
        /// Whether a request that it changed may select its route again (default false).
        reroute: Option<Slot<bool>>,
    }
}

impl Read for ChainEntry {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        match &cursor.node.content {
            Content::Mapping(_) => {
                let LongChainEntry { filter, reroute } = LongChainEntry::read(cursor, problems)?;
                Some(Self { filter, reroute })
            }
            Content::Scalar(_) | Content::List(_) => {
                let name = Text::from(cursor.scalar("the name of a filter", problems)?);
                Some(Self {
                    filter: Slot {
                        at: cursor.at.clone(),
                        value: Some(name),
                    },
                    reroute: None,
                })
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        short_or_long(&Text::schema(generator), &LongChainEntry::schema(generator))
    }
}

mapping! {
    /// Which requests go where: exactly one of upstream and respond.
    struct Route {
        /// A unique name, used in logs and metrics.
        name: Slot<Text>,
        /// Which requests (default: all).
        r#match: Option<Slot<Match>>,
        /// The filters on the way: a chain's name, or a list of filters (default: none).
        chain: Option<Slot<RouteChain>>,
        /// The upstream that requests go to.
        upstream: Option<Slot<Text>>,
        /// A static answer.
        respond: Option<Slot<Respond>>,
        /// Changes to the configuration of filters in the chain, by filter name: mappings merge deeply, lists and scalars replace.
        overrides: Option<Slot<Table<Free>>>,
    }
}

mapping! {
    /// Which requests a route takes: all conditions must hold.
    struct Match {
        /// A host or a list of hosts, any of which matches: api.example.com, "*.example.com".
        host: Option<Slot<OneOrMany<Text>>>,
        /// What the path must be.
        path: Option<Slot<PathMatch>>,
        /// A method or a list of methods, any of which matches.
        method: Option<Slot<OneOrMany<Text>>>,
        /// Conditions on headers, by header name, all of which must hold.
        headers: Option<Slot<Table<HeaderMatch>>>,
    }
}

mapping! {
    /// What the path must be: exactly one of these.
    struct PathMatch {
        /// The whole path.
        exact: Option<Slot<Text>>,
        /// Its first segments: /v1 matches /v1 and /v1/x, not /v10.
        prefix: Option<Slot<Text>>,
        /// A regular expression that matches somewhere in it.
        regex: Option<Slot<Regex>>,
    }
}

/// A condition on a header: a word (`present`, `absent` or the value) or a mapping.
#[derive(Clone, Debug)]
pub(crate) enum HeaderMatch {
    Word(Text),
    Long(LongHeaderMatch),
}

mapping! {
    /// What a header's value must be: exactly one of these.
    struct LongHeaderMatch {
        /// The whole value; for values that are the word present or absent.
        exact: Option<Slot<Text>>,
        /// A regular expression that matches somewhere in it.
        regex: Option<Slot<Regex>>,
    }
}

impl Read for HeaderMatch {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        match &cursor.node.content {
            Content::Mapping(_) => LongHeaderMatch::read(cursor, problems).map(Self::Long),
            Content::Scalar(_) | Content::List(_) => {
                let expected = "present, absent, a value or a mapping with exact or regex";
                cursor
                    .scalar(expected, problems)
                    .map(|scalar| Self::Word(scalar.into()))
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        short_or_long(
            &Text::schema(generator),
            &LongHeaderMatch::schema(generator),
        )
    }
}

/// A chain's name, or its entries.
#[derive(Clone, Debug)]
pub(crate) enum RouteChain {
    Named(Text),
    Inline(Vec<Slot<ChainEntry>>),
}

impl Read for RouteChain {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        match &cursor.node.content {
            Content::List(_) => Vec::read(cursor, problems).map(Self::Inline),
            Content::Scalar(_) | Content::Mapping(_) => {
                let expected = "the name of a chain or a list of filters";
                cursor
                    .scalar(expected, problems)
                    .map(|scalar| Self::Named(scalar.into()))
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        short_or_long(
            &Text::schema(generator),
            &Vec::<Slot<ChainEntry>>::schema(generator),
        )
    }
}

mapping! {
    /// A static answer.
    struct Respond {
        /// The status, from 200 to 599.
        status: Slot<u64>,
        /// Headers, each with a value or a list of values.
        headers: Option<Slot<Table<OneOrMany<Text>>>>,
        /// The body (default: empty).
        body: Option<Slot<Text>>,
    }
}

mapping! {
    /// Metrics, logs and request ids.
    struct Observability {
        /// Where metrics are to be had (default: nowhere).
        metrics: Option<Slot<Metrics>>,
        /// The proxy's own log.
        log: Option<Slot<Log>>,
        /// One line for each exchange.
        access_log: Option<Slot<AccessLog>>,
        /// What filters report for the record: lines of a WAF.
        audit_log: Option<Slot<AuditLog>>,
        /// The id of a request.
        request_id: Option<Slot<RequestId>>,
    }
}

mapping! {
    /// Where metrics are to be had.
    struct Metrics {
        /// IP address and port that answer GET /metrics.
        address: Slot<SocketAddr>,
    }
}

mapping! {
    /// The proxy's own log.
    struct Log {
        /// trace, debug, info (the default), warn or error.
        level: Option<Slot<LogLevel>>,
    }
}

mapping! {
    /// One line for each exchange.
    struct AccessLog {
        /// off, stdout (the default), stderr, or the path of a file to append to (with a slash: ./access.log).
        output: Option<Slot<Text>>,
    }
}

mapping! {
    /// What filters report for the record.
    struct AuditLog {
        /// off, stdout, stderr (the default), or the path of a file to append to (with a slash: ./audit.log).
        output: Option<Slot<Text>>,
    }
}

mapping! {
    /// The id of a request.
    struct RequestId {
        /// Take the client's X-Request-Id instead of making one (default false).
        accept: Option<Slot<bool>>,
    }
}

mapping! {
    /// The administration address.
    struct Admin {
        /// IP address and port to bind.
        address: Slot<SocketAddr>,
        /// Demanded as bearer token. Must be there when the address is not a loopback one.
        token: Option<Slot<Text>>,
        /// Host header values accepted besides the address itself and localhost.
        hosts: Option<Slot<Vec<Slot<Text>>>>,
    }
}

mapping! {
    /// How a changed configuration is taken up.
    struct Reload {
        /// Reload when the file, a module or a file it draws in changes (default true).
        watch: Option<Slot<bool>>,
        /// How long exchanges may go on when their configuration or the process ends (default 30s).
        drain: Option<Slot<Duration>>,
    }
}
