//! Client addresses as buckets: what is one client must be one bucket, however the address is written.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Bits of an IPv6 address.
pub const IPV6_BITS: u8 = 128;

/// The bytes that name the client of `source.address` (`192.0.2.1:4711`, `[2001:db8::1]:4711`; a bare address is
/// understood too), or none when it is no IP address, such as the path of a Unix socket.
///
/// An IPv6 client owns a whole network, of which it may use an address a request: only the first `ipv6_prefix` bits
/// count. An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
#[must_use]
pub fn bucket(source_address: &[u8], ipv6_prefix: u8) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(source_address).ok()?;
    match parse(text)?.to_canonical() {
        IpAddr::V4(address) => Some(address.octets().to_vec()),
        IpAddr::V6(address) => Some(masked(address, ipv6_prefix).octets().to_vec()),
    }
}

fn parse(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    // Neither a port nor, for link-local addresses, the zone (RFC 4007: `fe80::1%eth0`) belongs to the client's name.
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => text,
    };
    let host = host
        .split_once('%')
        .map_or(host, |(address, _zone)| address);
    host.parse().ok()
}

fn masked(address: Ipv6Addr, prefix: u8) -> Ipv6Addr {
    let host_bits = u32::from(IPV6_BITS.saturating_sub(prefix));
    let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_one_bucket_however_it_is_written() {
        let same = [
            "192.0.2.1:4711",
            "192.0.2.1:80",
            "192.0.2.1",
            "[::ffff:192.0.2.1]:4711",
            "::ffff:192.0.2.1",
            "::ffff:c000:201",
        ];
        for text in same {
            assert_eq!(
                bucket(text.as_bytes(), 64),
                Some(vec![192, 0, 2, 1]),
                "{text}"
            );
        }
        let same = [
            "[2001:db8:1:2::1]:443",
            "[2001:DB8:1:2:ffff:ffff:ffff:ffff]:1",
            "2001:db8:1:2::",
            "[2001:db8:1:2::9%eth0]:5",
        ];
        for text in same {
            let expected = [0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
            assert_eq!(
                bucket(text.as_bytes(), 64),
                Some(expected.to_vec()),
                "{text}"
            );
        }
    }

    #[test]
    fn the_prefix_decides_what_one_client_is() {
        let bucket_of = |text: &str, prefix| bucket(text.as_bytes(), prefix);
        assert_ne!(
            bucket_of("[2001:db8:1:2::1]:1", 64),
            bucket_of("[2001:db8:1:3::1]:1", 64)
        );
        assert_eq!(
            bucket_of("[2001:db8:1:2::1]:1", 48),
            bucket_of("[2001:db8:1:3::1]:1", 48)
        );
        assert_ne!(
            bucket_of("[2001:db8::1]:1", 128),
            bucket_of("[2001:db8::2]:1", 128)
        );
        assert_eq!(bucket_of("[2001:db8::1]:1", 0), bucket_of("[fe80::1]:1", 0));
    }

    #[test]
    fn what_is_no_address_is_none() {
        for text in [
            "",
            "/run/proxy.sock",
            "@envoy",
            "localhost:80",
            "[::1",
            "192.0.2.1:port",
            "192.0.2",
            "192.0.2.1:99999",
        ] {
            assert_eq!(bucket(text.as_bytes(), 64), None, "{text}");
        }
        assert_eq!(bucket(b"\xff\xfe", 64), None);
    }
}
