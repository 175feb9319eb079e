//! The checked configuration: names are ids, defaults are applied, every reference exists.
//!
//! [`crate::load`] and [`crate::parse`] make these values, so nothing here is validated again.

mod grants;
mod limits;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnetwork::IpNetwork;
use regex::Regex;
use serde_json::Value;

use crate::problem::Location;

pub use grants::{Access, Grants, ReadWrite};
pub use limits::FilterLimits;

/// Index into [`Config::upstreams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub u16);

/// Index into [`Config::filters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterId(pub u16);

/// Index into [`Config::chains`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId(pub u16);

/// A whole configuration file, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file this was read from, as the user named it.
    pub file: PathBuf,
    pub listeners: Vec<Listener>,
    pub upstreams: Vec<Upstream>,
    pub filters: Vec<Filter>,
    pub chains: Vec<Chain>,
    /// In file order; precedence is the router's matter. Empty only where no listener speaks HTTP.
    pub routes: Vec<Route>,
    pub dns: Dns,
    pub observability: Observability,
    pub admin: Option<Admin>,
    pub workers: Workers,
    pub reload: Reload,
    /// Every file the result depends on (the file itself, modules, certificates, `${file:}`s), absolute, without repeats.
    pub watched: Vec<PathBuf>,
    /// The file as JSON with `${...}` left unexpanded and sensitive scalars replaced by `"[redacted]"`.
    pub redacted: Value,
}

/// How many worker threads serve requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One for each available core.
    Auto,
    /// This many (at least 1).
    Count(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: String,
    /// Where to bind. Port 0 lets the system choose.
    pub address: SocketAddr,
    pub protocol: ListenerProtocol,
    pub tls: Option<ListenerTls>,
    pub client_ip: Option<ClientIp>,
    pub limits: ListenerLimits,
    pub at: Location,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerProtocol {
    /// HTTP/1.1 and HTTP/2 (by ALPN over TLS, by prior knowledge in clear text).
    Http,
    /// Bytes, relayed without looking at them.
    Tcp(TcpTarget),
}

/// Where the connections of a TCP listener go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpTarget {
    pub upstream: UpstreamId,
    /// Empty where the listener names none.
    pub chain: Vec<ChainEntry>,
}

/// Certificate chains and keys as PEM text, already read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// At least one; the first serves clients that name no known host.
    pub certificates: Vec<Certificate>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    pub cert_pem: Vec<u8>,
    pub key_pem: Vec<u8>,
    pub at: Location,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Whom to believe about the client's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIp {
    /// Lower case header name, read from the right.
    pub header: String,
    /// Peers (and hops in the header) whose word is taken.
    pub trusted: Vec<IpNetwork>,
}

/// Bounds of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Request line and headers together, bytes (default 64 KiB). Beyond: 431.
    pub header_bytes: usize,
    /// Number of request headers (default 100). Beyond: 431.
    pub headers: usize,
    /// From the first byte of a head to its last (default 10 s). Beyond: 408.
    pub header_timeout: Duration,
    /// Request body, bytes (default 1 GiB). Beyond: 413.
    pub body_bytes: u64,
    /// Slowest average rate at which a request body may arrive, bytes a second (default 500); 0 means no limit.
    pub body_min_rate: u64,
    /// Open connections (default 16384). Beyond: accepted and closed at once, counted.
    pub connections: usize,
    /// Between two requests of a connection (default 60 s); without a byte on a TCP connection (default 1 h).
    pub idle_timeout: Duration,
    /// HTTP/2 streams at once on a connection (default 100).
    pub streams: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub name: String,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    pub protocol: UpstreamProtocol,
    pub timeouts: UpstreamTimeouts,
    pub at: Location,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A host name or the text of an IP address (without brackets).
    pub host: EndpointHost,
    pub port: u16,
    pub at: Location,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointHost {
    Address(std::net::IpAddr),
    /// To be resolved, and re-resolved.
    Name(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    H1,
    H2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// To open a connection (default 3 s).
    pub connect: Duration,
    /// For each read from the origin (default 60 s).
    pub read: Duration,
    /// For each write to the origin (default 60 s).
    pub write: Duration,
    /// Unused pooled connections are closed after this (default 60 s).
    pub idle: Duration,
}

/// How host names are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Name servers; empty means the system's configuration and hosts file.
    pub servers: Vec<SocketAddr>,
    /// At least this often a name is asked again (default 5 s; a record's shorter TTL does not shorten it, a longer one does not lengthen it).
    pub refresh: Duration,
}

/// A plugin: a module, its configuration, limits and grants.
#[derive(Clone, PartialEq)]
pub struct Filter {
    /// The key in the file: the plugin's name.
    pub name: String,
    pub module: ModuleSource,
    pub root_id: String,
    /// Names the space of shared data and queues (default: the name).
    pub vm_id: String,
    pub vm_config: Vec<u8>,
    /// What the module gets: a string as it is, a mapping as JSON; empty where there is none.
    pub config: PluginConfig,
    pub env: BTreeMap<String, String>,
    pub grants: Grants,
    pub limits: FilterLimits,
    pub on_fault: OnFault,
    pub isolation: Isolation,
    pub hold: Hold,
    pub at: Location,
    /// Where the module is named, for errors about the module itself.
    pub module_at: Location,
}

/// Without what may hold secrets: configuration and environment.
impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter")
            .field("name", &self.name)
            .field("module", &self.module)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleSource {
    /// Absolute path of a .wasm file. Not read here.
    File(PathBuf),
    /// The name of an embedded guest, such as `auth`. It is one of [`crate::Options::builtins`].
    Builtin(String),
}

/// A plugin's configuration before it is handed on as bytes, so that a route can override parts of it.
#[derive(Clone, PartialEq)]
pub enum PluginConfig {
    None,
    Text(String),
    /// Always an object or an array.
    Json(Value),
}

/// The size instead of the content, which may hold secrets.
impl std::fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Json(_) => write!(f, "Json({} bytes)", self.bytes().len()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFault {
    /// 503.
    Deny,
    /// Go on without this plugin.
    Skip,
}

/// Which exchanges may see the same VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// One VM for each worker, as the ABI has it.
    Shared,
    /// A fresh one for each exchange.
    Request,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// As Envoy: what was continued may be with the origin already.
    Stream,
    /// The origin gets nothing until this plugin has continued headers and body.
    Headers,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub name: String,
    pub entries: Vec<ChainEntry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainEntry {
    pub filter: FilterId,
    /// A request that this plugin changed may select its route again.
    pub reroute: bool,
}

#[derive(Clone, Debug)]
pub struct Route {
    pub name: String,
    pub matches: RouteMatch,
    /// Empty where the route names none.
    pub chain: Vec<ChainEntry>,
    pub target: Target,
    /// Whole configurations of plugins on this route, already merged: see [`crate::merge`].
    pub overrides: BTreeMap<FilterId, PluginConfig>,
    pub at: Location,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Upstream(UpstreamId),
    Respond(Respond),
}

/// A static answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    pub status: u16,
    /// Checked names and values, lower case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub struct RouteMatch {
    /// Any of these; empty matches every host.
    pub hosts: Vec<HostPattern>,
    pub path: PathPattern,
    /// Upper case; empty matches every method.
    pub methods: Vec<String>,
    /// All of these.
    pub headers: Vec<HeaderCondition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Lower case, without a port.
    Exact(String),
    /// `*.example.com` is kept as `.example.com`; it matches one or more labels before that.
    Wildcard(String),
}

#[derive(Clone, Debug, Default)]
pub enum PathPattern {
    #[default]
    Any,
    Exact(String),
    /// By segment: `/v1` matches `/v1` and `/v1/x`, never `/v10`. Without a slash at its end, `/` alone excepted.
    Prefix(String),
    /// Unanchored.
    Regex(Regex),
}

#[derive(Clone, Debug)]
pub struct HeaderCondition {
    /// Lower case.
    pub name: String,
    pub test: HeaderTest,
}

#[derive(Clone, Debug)]
pub enum HeaderTest {
    Present,
    Absent,
    Exact(String),
    Regex(Regex),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observability {
    /// Address of `GET /metrics`.
    pub metrics: Option<SocketAddr>,
    /// Place of the metrics address, for errors when binding it.
    pub metrics_at: Location,
    pub log_level: LogLevel,
    /// Default: standard output.
    pub access_log: Output,
    /// Where `portcullis.audit` writes. Default: standard error, where the proxy's own log is.
    pub audit_log: Output,
    /// Take the client's X-Request-Id instead of making one.
    pub accept_request_id: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Off,
    Stdout,
    Stderr,
    /// Absolute path, appended to.
    File(PathBuf),
}

#[derive(Clone, PartialEq, Eq)]
pub struct Admin {
    pub address: SocketAddr,
    /// Demanded as `Authorization: Bearer`; always present where the address is not loopback.
    pub token: Option<String>,
    /// Host header values accepted besides the address itself, `localhost`, `127.0.0.1` and `[::1]` with its port.
    pub hosts: Vec<String>,
    pub at: Location,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("address", &self.address)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    pub watch: bool,
    /// How long in-flight exchanges may go on when their generation or the process ends (default 30 s).
    pub drain: Duration,
}
