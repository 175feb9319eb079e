//! From a host name to its addresses, by the system's rules or by given name servers.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
    ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;

use super::system::System;

/// For one question to a given name server; it is asked again after that. Short, so that a lost packet does not use up
/// the time in which a new configuration waits for its first answers.
const SERVER_TIMEOUT: Duration = Duration::from_millis(800);

/// Who is asked for addresses.
pub(super) enum Lookup {
    System(System),
    /// Connected when first asked.
    Servers(OnceLock<Result<TokioResolver, String>>, Vec<SocketAddr>),
}

impl Lookup {
    /// No servers: the system's rules.
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        match servers {
            [] => Self::System(System::default()),
            servers => Self::Servers(OnceLock::new(), servers.to_vec()),
        }
    }

    /// All IPv4 and IPv6 addresses of `name`, sorted, at least one. Must be awaited on a Tokio runtime.
    ///
    /// # Errors
    /// A text for logs: nobody answered, or the answer is that there is none.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let mut addresses = match self {
            Self::System(system) => system.addresses(name).await?,
            Self::Servers(resolver, servers) => {
                let resolver = resolver.get_or_init(|| client_of(servers));
                ask(resolver.as_ref().map_err(String::clone)?, name).await?
            }
        };
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            Err("the answer holds no address".to_owned())
        } else {
            Ok(addresses)
        }
    }
}

fn client_of(servers: &[SocketAddr]) -> Result<TokioResolver, String> {
    let servers = servers.iter().map(|server| {
        let at_port = |mut connection: ConnectionConfig| {
            connection.port = server.port();
            connection
        };
        let connections = vec![
            at_port(ConnectionConfig::udp()),
            at_port(ConnectionConfig::tcp()),
        ];
        NameServerConfig::new(server.ip(), true, connections)
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    fit(options);
    options.timeout = SERVER_TIMEOUT;
    builder.build().map_err(|error| error.to_string())
}

/// What holds for every question, whoever is asked.
pub(super) fn fit(options: &mut ResolverOpts) {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // Looked into before, for both families at once.
    options.use_hosts_file = ResolveHosts::Never;
    // Names are asked at our own pace, whatever the time to live of a record, so nothing may answer from memory.
    options.cache_size = 0;
    options.positive_max_ttl = Some(Duration::ZERO);
    options.negative_max_ttl = Some(Duration::ZERO);
}

pub(super) async fn ask(resolver: &TokioResolver, name: &str) -> Result<Vec<IpAddr>, String> {
    let answer = resolver
        .lookup_ip(parsed(name)?)
        .await
        .map_err(|error| error.to_string())?;
    Ok(answer.iter().collect())
}

pub(super) fn parsed(name: &str) -> Result<Name, String> {
    // The rules for international names know no underscore, which names of containers often have.
    let parsed = if name.is_ascii() {
        Name::from_ascii(name)
    } else {
        Name::from_utf8(name)
    };
    parsed.map_err(|error| error.to_string())
}
