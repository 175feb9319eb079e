//! Who the client is: the peer, or what trusted hops say of it.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnetwork::IpNetwork;

use crate::listener::connection::Connection;

/// The client's address. A forwarding header is believed only from a trusted peer, and read from the right up to the
/// first hop that is not trusted. The port is the peer's where the peer is the client, else 0.
pub fn client_address(connection: &Connection, headers: &HeaderMap) -> SocketAddr {
    let peer = SocketAddr::new(connection.peer.ip().to_canonical(), connection.peer.port());
    let Some(settings) = &connection.listener.config.client_ip else {
        return peer;
    };
    match forwarded(peer.ip(), headers, &settings.header, &settings.trusted) {
        Some(address) => SocketAddr::new(address, 0),
        None => peer,
    }
}

fn trusts(trusted: &[IpNetwork], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

fn forwarded(
    peer: IpAddr,
    headers: &HeaderMap,
    name: &str,
    trusted: &[IpNetwork],
) -> Option<IpAddr> {
    if !trusts(trusted, peer) {
        return None;
    }
    let mut client = None;
    let values: Vec<&str> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        // Something that is no address ends the trust: what stands left of it may be anybody's word.
        let Some(address) = parse_hop(hop.trim()) else {
            break;
        };
        client = Some(address);
        if !trusts(trusted, address) {
            break;
        }
    }
    client
}

/// An address with or without a port, brackets or quotes.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address
        .or_else(bracketed)
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", value.parse().expect("a header value"));
        }
        let trusted = [
            "10.0.0.0/8".parse().expect("a network"),
            "::1/128".parse().expect("a network"),
        ];
        forwarded(
            peer.parse().expect("an address"),
            &headers,
            "x-forwarded-for",
            &trusted,
        )
        .map(|ip| ip.to_string())
    }

    #[test]
    fn only_trusted_peers_are_believed() {
        assert_eq!(client("1.2.3.4", &["9.9.9.9"]), None);
        assert_eq!(client("10.0.0.1", &["9.9.9.9"]).as_deref(), Some("9.9.9.9"));
        assert_eq!(client("10.0.0.1", &[]), None);
    }

    #[test]
    fn the_rightmost_untrusted_hop_is_the_client() {
        assert_eq!(
            client("10.0.0.1", &["6.6.6.6, 9.9.9.9, 10.1.1.1"]).as_deref(),
            Some("9.9.9.9")
        );
        assert_eq!(
            client("10.0.0.1", &["6.6.6.6", "9.9.9.9", "10.1.1.1"]).as_deref(),
            Some("9.9.9.9")
        );
        assert_eq!(
            client("10.0.0.1", &["10.2.2.2, 10.1.1.1"]).as_deref(),
            Some("10.2.2.2")
        );
    }

    #[test]
    fn forms_of_an_address() {
        assert_eq!(
            client("10.0.0.1", &["::ffff:9.9.9.9"]).as_deref(),
            Some("9.9.9.9")
        );
        assert_eq!(
            client("10.0.0.1", &["9.9.9.9:1234"]).as_deref(),
            Some("9.9.9.9")
        );
        assert_eq!(
            client("10.0.0.1", &["[2001:db8::1]:80"]).as_deref(),
            Some("2001:db8::1")
        );
        assert_eq!(
            client("10.0.0.1", &["[2001:db8::1]"]).as_deref(),
            Some("2001:db8::1")
        );
        assert_eq!(client("10.0.0.1", &["9.9.9.9, unknown"]), None);
        assert_eq!(
            client("10.0.0.1", &["9.9.9.9, unknown, 10.1.1.1"]).as_deref(),
            Some("10.1.1.1")
        );
    }
}
