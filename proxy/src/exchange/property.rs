//! Properties of an exchange (Envoy's attributes) in Envoy's encodings.
//!
//! Source: Envoy's attribute reference, and the two spellings that modules in the field use (`xds.route_name`, `route_name`).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Version};
use portcullis_abi::wire::property::{self, segments};

use super::Exchange;
use super::headers::authority;

/// The value of `xds.listener_direction` for a proxy in front of its origins (Envoy's INBOUND).
const DIRECTION_INBOUND: i64 = 1;

impl Exchange {
    pub(super) fn read_property(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        let mut segments = segments(path);
        let Some(root) = segments.next() else {
            return false;
        };
        let (second, third) = (segments.next(), segments.next());
        let found = match root {
            b"request" => second.is_some_and(|name| self.request_property(name, third, out)),
            b"response" => second.is_some_and(|name| self.response_property(name, third, out)),
            b"source" => address_property(second, self.client, self.client_port, out),
            b"destination" => address_property(
                second,
                self.connection.local.ip(),
                self.connection.local.port(),
                out,
            ),
            b"connection" => second.is_some_and(|name| self.connection_property(name, out)),
            b"upstream" => second.is_some_and(|name| self.upstream_property(name, out)),
            b"portcullis" => second.is_some_and(|name| self.own_property(name, out)),
            b"xds" => second.is_some_and(|name| self.place_property(name, out)),
            b"filter_state" => {
                let key = path.strip_prefix(b"filter_state\0").unwrap_or_default();
                self.filter_state_property(key, out)
            }
            name => second.is_none() && self.place_property(name, out),
        };
        found || self.stored(path, out)
    }

    /// What a module set by that path.
    fn stored(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        let own = self.filter_state.property(path);
        if let Some(value) = own {
            return bytes(out, value);
        }
        let kept = self.connection.filter_state();
        kept.property(path).is_some_and(|value| bytes(out, value))
    }

    /// Filter state by its key, or all of it.
    fn filter_state_property(&self, key: &[u8], out: &mut Vec<u8>) -> bool {
        let kept = self.connection.filter_state();
        if !key.is_empty() {
            let value = self.filter_state.get(key).or_else(|| kept.get(key));
            return value.is_some_and(|value| bytes(out, value));
        }
        let later = kept
            .iter()
            .filter(|(key, _)| self.filter_state.get(key).is_none());
        let mut all: Vec<_> = self.filter_state.iter().chain(later).collect();
        all.sort_unstable();
        property::map(&all, out);
        true
    }

    fn request_property(&self, name: &[u8], key: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
        let head = &*self.request;
        let raw = head.raw_path();
        let header = |name: &str| head.headers.get(name).map(http::HeaderValue::as_bytes);
        match name {
            b"path" => bytes(out, raw),
            b"url_path" => bytes(out, raw.split(|byte| *byte == b'?').next().unwrap_or(raw)),
            b"query" => bytes(
                out,
                raw.iter()
                    .position(|byte| *byte == b'?')
                    .map_or(&[][..], |at| &raw[at + 1..]),
            ),
            b"host" => bytes(out, authority(head)),
            b"scheme" => bytes(out, self.scheme().as_bytes()),
            b"method" => bytes(out, head.method.as_str().as_bytes()),
            b"referer" => header("referer").is_some_and(|value| bytes(out, value)),
            b"useragent" => header("user-agent").is_some_and(|value| bytes(out, value)),
            b"id" => bytes(out, self.request_id.as_bytes()),
            b"protocol" => bytes(out, protocol(head.version).as_bytes()),
            b"headers" => headers_property(&head.headers, key, out),
            b"time" => timestamp(self.started_at, out),
            b"duration" => self.response.is_some() && duration(self.elapsed(), out),
            b"size" => int(
                content_length(&head.headers).unwrap_or(self.request_bytes),
                out,
            ),
            b"total_size" => int(self.request_bytes + headers_bytes(&head.headers), out),
            b"headers_bytes" => int(headers_bytes(&head.headers), out),
            _ => false,
        }
    }

    fn response_property(&self, name: &[u8], key: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
        let Some(head) = self.response.as_deref() else {
            return false;
        };
        match name {
            b"code" => int(u64::from(head.status.as_u16()), out),
            b"code_details" => match self.response_code_details.as_str() {
                // Envoy's word for an answer of the origin.
                "" => self.origin.address.is_some() && bytes(out, b"via_upstream"),
                details => bytes(out, details.as_bytes()),
            },
            b"headers" => headers_property(&head.headers, key, out),
            b"trailers" => self
                .response_trailers
                .as_deref()
                .is_some_and(|map| headers_property(map, key, out)),
            b"size" => int(self.response_bytes, out),
            b"total_size" => int(self.response_bytes + headers_bytes(&head.headers), out),
            b"headers_bytes" => int(headers_bytes(&head.headers), out),
            b"flags" => int(0, out),
            b"grpc_status" => self.grpc_status().is_some_and(|status| int(status, out)),
            b"backend_latency" => duration(self.elapsed(), out),
            _ => false,
        }
    }

    /// From the trailers, or from the head of a Trailers-Only answer.
    pub fn grpc_status(&self) -> Option<u64> {
        let trailers = self
            .response_trailers
            .as_deref()
            .and_then(|map| map.get("grpc-status"));
        let value = trailers.or_else(|| self.response.as_deref()?.headers.get("grpc-status"))?;
        value.to_str().ok()?.parse().ok()
    }

    fn connection_property(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        let tls = self.connection.tls.as_ref();
        match name {
            b"id" => int(self.connection.id, out),
            b"mtls" => {
                property::bool(false, out);
                true
            }
            b"requested_server_name" => tls
                .and_then(|tls| tls.sni.as_deref())
                .is_some_and(|name| bytes(out, name.as_bytes())),
            b"tls_version" => tls.is_some_and(|tls| bytes(out, tls.version.as_bytes())),
            _ => false,
        }
    }

    fn upstream_property(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        let origin = &self.origin;
        match name {
            b"num_endpoints" => self.cluster.as_ref().is_some_and(|cluster| {
                let endpoints = u64::try_from(cluster.addresses().len());
                int(endpoints.unwrap_or(u64::MAX), out)
            }),
            b"address" => origin
                .address
                .is_some_and(|address| bytes(out, address.to_string().as_bytes())),
            b"port" => origin
                .address
                .is_some_and(|address| int(u64::from(address.port()), out)),
            b"local_address" => origin
                .local
                .is_some_and(|address| bytes(out, address.to_string().as_bytes())),
            b"cx_pool_ready_duration" => origin.ready_after.is_some_and(|time| duration(time, out)),
            b"request_attempt_count" => origin.attempts > 0 && int(u64::from(origin.attempts), out),
            _ => false,
        }
    }

    /// Names that Envoy gives the places of its configuration.
    fn place_property(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        match name {
            b"route_name" => bytes(out, self.route.as_bytes()),
            b"cluster_name" => match &self.cluster {
                Some(cluster) => bytes(out, cluster.name().as_bytes()),
                None => false,
            },
            // The name of `connection.id` until it was grouped.
            b"connection_id" => int(self.connection.id, out),
            b"listener_direction" => {
                property::int(DIRECTION_INBOUND, out);
                true
            }
            b"filter_chain_name" | b"listener_name" => {
                bytes(out, self.connection.listener.config.name.as_bytes())
            }
            b"virtual_host_name" => bytes(out, authority(&self.request)),
            // Nothing is configured there: an empty message, or an empty map of pairs.
            b"node"
            | b"route_metadata"
            | b"cluster_metadata"
            | b"listener_metadata"
            | b"upstream_host_metadata"
            | b"upstream_host_locality_metadata"
            | b"upstream_filter_state"
            | b"virtual_host_metadata"
            | b"metadata" => true,
            _ => false,
        }
    }

    fn own_property(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        match name {
            b"raw_head" => bytes(out, &self.connection.raw_head()),
            b"request_line" => {
                let head = self.connection.raw_head();
                let end = head
                    .iter()
                    .position(|byte| *byte == b'\r')
                    .unwrap_or(head.len());
                !head.is_empty() && bytes(out, &head[..end])
            }
            b"raw_target" => {
                let head = self.connection.raw_head();
                head.split(|byte| *byte == b' ')
                    .nth(1)
                    .is_some_and(|target| bytes(out, target))
            }
            _ => false,
        }
    }
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) -> bool {
    property::string(value, out);
    true
}

fn int(value: u64, out: &mut Vec<u8>) -> bool {
    property::uint(value, out);
    true
}

fn duration(value: Duration, out: &mut Vec<u8>) -> bool {
    property::duration(value, out);
    true
}

fn timestamp(value: SystemTime, out: &mut Vec<u8>) -> bool {
    property::timestamp(value, out);
    true
}

fn address_property(
    name: Option<&[u8]>,
    ip: std::net::IpAddr,
    port: u16,
    out: &mut Vec<u8>,
) -> bool {
    match name {
        Some(b"address") => bytes(
            out,
            std::net::SocketAddr::new(ip, port).to_string().as_bytes(),
        ),
        Some(b"port") => int(u64::from(port), out),
        _ => false,
    }
}

/// One header, several values joined by a comma, or the whole map as pairs.
fn headers_property(map: &HeaderMap, key: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    let joined = |name: &http::HeaderName| {
        map.get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes)
            .collect::<Vec<_>>()
            .join(&b',')
    };
    match key {
        Some(key) => {
            let Ok(name) = http::HeaderName::from_bytes(key) else {
                return false;
            };
            map.contains_key(&name) && bytes(out, &joined(&name))
        }
        None => {
            let pairs: Vec<_> = map
                .keys()
                .map(|name| (name.as_str().as_bytes(), joined(name)))
                .collect();
            property::map(&pairs, out);
            true
        }
    }
}

fn content_length(map: &HeaderMap) -> Option<u64> {
    map.get(http::header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Names and values, without separators (as Envoy counts them).
fn headers_bytes(map: &HeaderMap) -> u64 {
    map.iter()
        .map(|(name, value)| (name.as_str().len() + value.len()) as u64)
        .sum()
}

/// As Envoy names versions.
pub fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}
