//! Upstreams, their endpoints, and how host names are resolved.

use std::time::Duration;

use super::{Resolver, or};
use crate::model::{Dns, Endpoint, Upstream, UpstreamProtocol, UpstreamTimeouts};
use crate::raw;
use crate::read::{Row, Slot};
use crate::syntax;

impl Resolver<'_> {
    pub(super) fn upstream(&mut self, row: Row<raw::Upstream>) -> Option<Upstream> {
        let raw::Upstream {
            endpoints,
            protocol,
            timeouts,
        } = row.slot.value?;
        let timeouts = self.upstream_timeouts(timeouts.and_then(|slot| slot.value));
        let items = self.filled(endpoints, "endpoint")?;
        let endpoints = self.items(items, |resolver, _, endpoint| {
            let raw::Endpoint { address } = endpoint;
            let (host, port) = resolver.checked(&address, syntax::endpoint)?;
            Some(Endpoint {
                host,
                port,
                at: address.at,
            })
        })?;
        let protocol = or(protocol, UpstreamProtocol::H1);
        Some(Upstream {
            name: row.name.to_string(),
            endpoints,
            protocol,
            timeouts,
            at: row.at,
        })
    }

    fn upstream_timeouts(&mut self, timeouts: Option<raw::UpstreamTimeouts>) -> UpstreamTimeouts {
        let defaults = UpstreamTimeouts::default();
        let Some(raw::UpstreamTimeouts {
            connect,
            read,
            write,
            idle,
        }) = timeouts
        else {
            return defaults;
        };
        UpstreamTimeouts {
            connect: self.time(connect, defaults.connect),
            read: self.time(read, defaults.read),
            write: self.time(write, defaults.write),
            idle: self.time(idle, defaults.idle),
        }
    }

    pub(super) fn dns(&mut self, dns: Option<Slot<raw::Dns>>) -> Dns {
        let defaults = Dns::default();
        let Some(raw::Dns { servers, refresh }) = dns.and_then(|slot| slot.value) else {
            return defaults;
        };
        let servers = servers.and_then(|slot| slot.value).unwrap_or_default();
        Dns {
            servers: servers
                .into_iter()
                .filter_map(|slot| slot.value)
                .map(|server| server.0)
                .collect(),
            refresh: self.time(refresh, defaults.refresh),
        }
    }
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            read: Duration::from_secs(60),
            write: Duration::from_secs(60),
            idle: Duration::from_secs(60),
        }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            refresh: Duration::from_secs(5),
        }
    }
}
