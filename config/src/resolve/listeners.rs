//! Listeners: addresses, TLS, client addresses, bounds.

use std::time::Duration;

use super::{Bounds, Resolver, or};
use crate::expand::resolve_path;
use crate::model::{Certificate, Chain, ClientIp, Listener, ListenerLimits, ListenerTls};
use crate::problem::Location;
use crate::raw;
use crate::read::Slot;
use crate::syntax;
use crate::values::{Protocol, Text};

/// Pingora 0.9 reads no larger head.
const HEADER_BYTES_MAX: u64 = 1 << 20;
/// Pingora 0.9 parses no more headers.
const HEADERS_MAX: u64 = 256;
/// Below this not even a plain request fits.
const HEADER_BYTES_MIN: u64 = 256;

/// Connections of other protocols than HTTP may be silent for long: Envoy's default.
const TCP_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

impl Resolver<'_> {
    pub(super) fn listeners(
        &mut self,
        slot: Slot<Vec<Slot<raw::Listener>>>,
        chains: Option<&[Chain]>,
    ) -> Option<Vec<Listener>> {
        let items = self.filled(slot, "listener")?;
        self.unique_names(
            items
                .iter()
                .filter_map(|slot| slot.value.as_ref()?.name.as_ref()),
            "listener",
        );
        self.items(items, |resolver, at, listener| {
            resolver.listener(at, listener, chains)
        })
    }

    /// `chains` is `None` where a chain is wrong; then references to chains are still checked.
    fn listener(
        &mut self,
        at: Location,
        listener: raw::Listener,
        chains: Option<&[Chain]>,
    ) -> Option<Listener> {
        let raw::Listener {
            name,
            address,
            protocol,
            upstream,
            chain,
            tls,
            client_ip,
            limits,
        } = listener;
        if let Some(slot) = &name {
            self.checked(slot, syntax::name);
        }
        let word = protocol.map_or(Some(Protocol::default()), |slot| slot.value);
        if word == Some(Protocol::Tcp) {
            self.without_http_keys(client_ip.as_ref(), limits.as_ref());
        }
        let protocol = word.and_then(|word| match word {
            Protocol::Http => self.without_target(upstream.as_ref(), chain.as_ref()),
            Protocol::Tcp => self.tcp_target(&at, upstream, chain, chains),
        });
        let has_tls = tls.is_some();
        let tls = tls
            .and_then(|slot| slot.value)
            .and_then(|tls| self.listener_tls(tls));
        let has_client_ip = client_ip.is_some();
        let client_ip = client_ip
            .and_then(|slot| slot.value)
            .and_then(|client_ip| self.client_ip(client_ip));
        let limits = self.listener_limits(word, limits.and_then(|slot| slot.value));
        let socket = address.value?;
        self.bind(socket, address.at);
        let protocol = protocol?;
        let complete = has_tls == tls.is_some() && has_client_ip == client_ip.is_some();
        complete.then(|| Listener {
            name: name
                .and_then(|slot| slot.value)
                .map_or_else(|| socket.to_string(), |text| text.value.to_string()),
            address: socket,
            protocol,
            tls,
            client_ip,
            limits,
            at,
        })
    }

    fn listener_tls(&mut self, tls: raw::ListenerTls) -> Option<ListenerTls> {
        let raw::ListenerTls { certificates } = tls;
        let items = self.filled(certificates, "certificate")?;
        let certificates = self.items(items, |resolver, at, certificate| {
            let raw::Certificate { cert, key } = certificate;
            let cert_pem = resolver.pem(&cert, "CERTIFICATE-----", "certificate");
            let key_pem = resolver.pem(&key, "PRIVATE KEY-----", "private key");
            Some(Certificate {
                cert_pem: cert_pem?,
                key_pem: key_pem?,
                at,
            })
        });
        certificates.map(|certificates| ListenerTls { certificates })
    }

    /// PEM text as it stands, or from the file that is named.
    fn pem(&mut self, slot: &Slot<Text>, marker: &str, what: &str) -> Option<Vec<u8>> {
        let text = slot.value.as_ref()?;
        let bytes = match text.value.contains("-----BEGIN") {
            true => text.value.as_bytes().to_vec(),
            false => {
                let path = resolve_path(self.dir, &text.value);
                let read = self.sources.read(&path);
                self.watched.push(path);
                match read {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        let hint = "write a path relative to the configuration file, or PEM text"
                            .to_owned();
                        self.problem(
                            &slot.at,
                            format!("cannot read the file {text}: {error}"),
                            Some(hint),
                        );
                        return None;
                    }
                }
            }
        };
        if !bytes
            .windows(marker.len())
            .any(|window| window == marker.as_bytes())
        {
            let hint = format!("a PEM {what} has a line `-----BEGIN ... {marker}`");
            self.problem(
                &slot.at,
                format!("there is no {what} in PEM form"),
                Some(hint),
            );
            return None;
        }
        Some(bytes)
    }

    fn client_ip(&mut self, client_ip: raw::ClientIp) -> Option<ClientIp> {
        let raw::ClientIp { header, trusted } = client_ip;
        let header = match header {
            Some(slot) => self.checked(&slot, syntax::header_name),
            None => Some("x-forwarded-for".to_owned()),
        };
        let items = self.filled(trusted, "network")?;
        let trusted = self.items(items, |_, _, network| Some(network));
        Some(ClientIp {
            header: header?,
            trusted: trusted?,
        })
    }

    fn listener_limits(
        &mut self,
        protocol: Option<Protocol>,
        limits: Option<raw::ListenerLimits>,
    ) -> ListenerLimits {
        let mut defaults = ListenerLimits::default();
        if protocol == Some(Protocol::Tcp) {
            defaults.idle_timeout = TCP_IDLE_TIMEOUT;
        }
        let Some(limits) = limits else {
            return defaults;
        };
        let raw::ListenerLimits {
            header_bytes,
            headers,
            header_timeout,
            body_bytes,
            body_min_rate,
            connections,
            idle_timeout,
            streams,
        } = limits;
        let header_bounds = Bounds {
            least: HEADER_BYTES_MIN,
            below: ("is too little for any request", "use 256B or more"),
            most: HEADER_BYTES_MAX,
            above: ("is more than can be read", "use 1MiB or less"),
        };
        ListenerLimits {
            header_bytes: self.size(header_bytes, defaults.header_bytes, &header_bounds),
            headers: self.number(headers, defaults.headers, 1..=HEADERS_MAX),
            header_timeout: self.time(header_timeout, defaults.header_timeout),
            body_bytes: self.size(body_bytes, defaults.body_bytes, &Bounds::NONE),
            body_min_rate: or(body_min_rate.map(bytes), defaults.body_min_rate),
            connections: self.number(connections, defaults.connections, 1..=u64::MAX),
            idle_timeout: self.time(idle_timeout, defaults.idle_timeout),
            streams: self.number(streams, defaults.streams, 1..=u64::from(u32::MAX)),
        }
    }
}

fn bytes(slot: Slot<crate::values::Size>) -> Slot<u64> {
    Slot {
        at: slot.at,
        value: slot.value.map(|size| size.bytes),
    }
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            header_bytes: 64 << 10,
            headers: 100,
            header_timeout: Duration::from_secs(10),
            body_bytes: 1 << 30,
            body_min_rate: 500,
            connections: 16_384,
            idle_timeout: Duration::from_secs(60),
            streams: 100,
        }
    }
}
