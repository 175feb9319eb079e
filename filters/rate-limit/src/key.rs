//! Which bucket a request belongs to.
//!
//! A key is the hash of everything that tells buckets apart: the limit itself (its name, numbers and parts, so that a
//! route with numbers of its own has buckets of its own) and what the request has for each part. Hashed, because
//! clients choose headers: a key has one length whatever they send, nobody can aim at another client's bucket, and the
//! proxy's shared data holds no addresses or names.

use crate::address;
use crate::policy::{Limit, Missing};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Bytes of the hash that a key keeps: 2^64 clients before two are likely to share a bucket.
const HASH_BYTES: usize = 16;

/// The property under which the filter `auth` leaves the verified claims of a request, as JSON.
const CLAIMS_PROPERTY: &str = "auth.claims";

/// One thing about a request that tells buckets apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The client's address, as the proxy sees it; of an IPv6 address the first bits only.
    ClientIp { ipv6_prefix: u8 },
    /// The first value of a request header.
    Header(String),
    /// A claim of the token that `auth` has verified: a member's name, or a path of names joined by dots.
    Claim(String),
    /// The name of the route.
    Route,
    /// The host asked for, without its port.
    Host,
    /// The same for every request.
    Constant(String),
}

/// What the proxy knows of a request. Asked for what the configured parts need, and nothing else.
pub trait Request {
    /// A property by its path, in the encoding of the proxy.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;
    /// The first value of a header, named in lower case.
    fn header(&self, name: &str) -> Option<Vec<u8>>;
}

/// The shared-data key of this request's bucket, or none when the limit does not apply because a part is missing.
#[must_use]
pub fn of(limit: &Limit, request: &dyn Request) -> Option<String> {
    let mut hash = limit.identity();
    for part in &limit.key {
        match (part.value(request), limit.missing) {
            (Some(value), _) => absorb(&mut hash, &value),
            (None, Missing::Skip) => return None,
            // A length that no value can have: a client cannot send what looks like a missing part.
            (None, Missing::Share) => hash.update(u64::MAX.to_be_bytes()),
        }
    }
    let digest = hash.finalize();
    let mut key = String::with_capacity(3 + 2 * HASH_BYTES);
    key.push_str("rl:");
    for byte in &digest[..HASH_BYTES] {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    Some(key)
}

/// Adds a value behind its length, so that neighbours cannot be cut differently.
pub fn absorb(hash: &mut Sha256, value: &[u8]) {
    hash.update((value.len() as u64).to_be_bytes());
    hash.update(value);
}

impl Part {
    fn value(&self, request: &dyn Request) -> Option<Vec<u8>> {
        match self {
            Self::ClientIp { ipv6_prefix } => {
                address::bucket(&request.property(&["source", "address"])?, *ipv6_prefix)
            }
            Self::Header(name) => request.header(name),
            Self::Claim(path) => claim(&request.property(&[CLAIMS_PROPERTY])?, path),
            Self::Route => request
                .property(&["xds", "route_name"])
                .or_else(|| request.property(&["route_name"])),
            Self::Host => request
                .header(":authority")
                .or_else(|| request.header("host"))
                .map(|host| host_name(&host)),
            Self::Constant(text) => Some(text.clone().into_bytes()),
        }
    }
}

/// The claim's JSON text. A name that has dots itself (`https://example.com/plan`) is looked for before the path.
fn claim(claims: &[u8], path: &str) -> Option<Vec<u8>> {
    let claims: Value = serde_json::from_slice(claims).ok()?;
    let found = match claims.get(path) {
        Some(value) => value,
        None => path
            .split('.')
            .try_fold(&claims, |value, name| value.get(name))?,
    };
    if found.is_null() {
        None
    } else {
        serde_json::to_vec(found).ok()
    }
}

/// `Example.COM.:8080` and `example.com` are one host.
fn host_name(authority: &[u8]) -> Vec<u8> {
    let mut name = authority.to_ascii_lowercase();
    let port = name.iter().rposition(|byte| *byte == b':');
    if let Some(colon) = port.filter(|colon| name[colon + 1..].iter().all(u8::is_ascii_digit)) {
        name.truncate(colon);
    }
    if name.ends_with(b".") {
        name.pop();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[derive(Default)]
    struct Fake {
        properties: Vec<(&'static str, &'static str)>,
        headers: Vec<(&'static str, &'static str)>,
    }

    impl Request for Fake {
        fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
            let path = path.join("/");
            let found = self.properties.iter().find(|(name, _)| *name == path);
            found.map(|(_, value)| value.as_bytes().to_vec())
        }

        fn header(&self, name: &str) -> Option<Vec<u8>> {
            self.headers
                .iter()
                .find(|(header, _)| *header == name)
                .map(|(_, value)| value.as_bytes().to_vec())
        }
    }

    fn key(configuration: &str, request: &Fake) -> Option<String> {
        let policy = Policy::parse(configuration.as_bytes()).expect(configuration);
        of(&policy.limits[0], request)
    }

    fn address(text: &'static str) -> Fake {
        Fake {
            properties: vec![("source/address", text)],
            ..Fake::default()
        }
    }

    fn header(name: &'static str, value: &'static str) -> Fake {
        Fake {
            headers: vec![(name, value)],
            ..Fake::default()
        }
    }

    fn claims(json: &'static str) -> Fake {
        Fake {
            properties: vec![("auth.claims", json)],
            ..Fake::default()
        }
    }

    const BY_ADDRESS: &str = r#"{"key":["client_ip"],"rate":"1/1s"}"#;
    const BY_HEADER: &str = r#"{"key":[{"header":"x-id"}],"rate":"1/1s"}"#;
    const BY_CLAIM: &str = r#"{"key":[{"claim":"sub"}],"rate":"1/1s"}"#;

    #[test]
    fn keys_are_short_and_stable() {
        let one = key(BY_ADDRESS, &address("192.0.2.1:1")).expect("a key");
        assert_eq!(one.len(), 3 + 32);
        assert_eq!(key(BY_ADDRESS, &address("192.0.2.1:2")), Some(one.clone()));
        assert_ne!(key(BY_ADDRESS, &address("192.0.2.2:1")), Some(one));
    }

    #[test]
    fn limits_with_other_numbers_names_or_parts_have_other_buckets() {
        let request = address("192.0.2.1:1");
        let mut keys: Vec<_> = [
            BY_ADDRESS,
            r#"{"key":["client_ip"],"rate":"2/1s"}"#,
            r#"{"key":["client_ip"],"rate":"1/2s"}"#,
            r#"{"key":["client_ip"],"rate":"1/1s","burst":9}"#,
            r#"{"key":["client_ip"],"rate":"1/1s","name":"login"}"#,
            r#"{"key":["client_ip",{"const":"a"}],"rate":"1/1s"}"#,
            r#"{"key":["client_ip"],"rate":"1/1s","ipv6_prefix":48}"#,
        ]
        .map(|configuration| key(configuration, &request))
        .to_vec();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 7);
    }

    #[test]
    fn neighbouring_parts_cannot_be_cut_differently() {
        let both = r#"{"key":[{"header":"a"},{"header":"b"}],"rate":"1/1s"}"#;
        let one = Fake {
            headers: vec![("a", "xy"), ("b", "z")],
            ..Fake::default()
        };
        let other = Fake {
            headers: vec![("a", "x"), ("b", "yz")],
            ..Fake::default()
        };
        assert_ne!(key(both, &one), key(both, &other));
    }

    #[test]
    fn a_missing_part_shares_a_bucket_or_skips_the_limit() {
        let shared = key(BY_HEADER, &Fake::default());
        assert!(shared.is_some());
        assert_ne!(
            shared,
            key(BY_HEADER, &header("x-id", "")),
            "an empty header is not a missing one"
        );
        assert_eq!(
            key(BY_ADDRESS, &address("/run/x.sock")),
            key(BY_ADDRESS, &Fake::default())
        );
        let skip = r#"{"key":[{"header":"x-id"}],"rate":"1/1s","missing":"skip"}"#;
        assert_eq!(key(skip, &Fake::default()), None);
        assert!(key(skip, &header("x-id", "7")).is_some());
    }

    #[test]
    fn claims_come_from_what_auth_verified() {
        let alice = key(BY_CLAIM, &claims(r#"{"sub":"alice"}"#));
        assert_ne!(alice, key(BY_CLAIM, &claims(r#"{"sub":"bob"}"#)));
        let absent = key(BY_CLAIM, &Fake::default());
        assert_eq!(absent, key(BY_CLAIM, &claims(r#"{"sub":null}"#)));
        assert_eq!(absent, key(BY_CLAIM, &claims("not json")));
        let unverified = header("authorization", "Bearer e30.eyJzdWIiOiJhbGljZSJ9.");
        assert_eq!(
            absent,
            key(BY_CLAIM, &unverified),
            "a token nobody verified names nobody"
        );
        let path = r#"{"key":[{"claim":"org.id"}],"rate":"1/1s"}"#;
        assert_eq!(
            key(path, &claims(r#"{"org":{"id":7}}"#)),
            key(path, &claims(r#"{"org.id":7}"#))
        );
        assert_ne!(
            key(path, &claims(r#"{"org":{"id":7}}"#)),
            key(path, &claims(r#"{"org":{"id":"7"}}"#))
        );
    }

    #[test]
    fn hosts_and_routes_are_names() {
        let by_host = r#"{"key":["host"],"rate":"1/1s"}"#;
        let one = key(by_host, &header(":authority", "example.com"));
        for text in [
            "Example.COM",
            "example.com:8080",
            "example.com.",
            "example.com.:80",
        ] {
            assert_eq!(key(by_host, &header(":authority", text)), one, "{text}");
        }
        assert_eq!(key(by_host, &header("host", "example.com")), one);
        assert_ne!(
            key(by_host, &header(":authority", "[::1]:80")),
            key(by_host, &header(":authority", "[::2]:80"))
        );
        let by_route = r#"{"key":["route"],"rate":"1/1s"}"#;
        let envoy = Fake {
            properties: vec![("xds/route_name", "api")],
            ..Fake::default()
        };
        let older = Fake {
            properties: vec![("route_name", "api")],
            ..Fake::default()
        };
        assert_eq!(key(by_route, &envoy), key(by_route, &older));
        assert_ne!(key(by_route, &envoy), key(by_route, &Fake::default()));
    }
}
