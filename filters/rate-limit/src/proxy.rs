//! The calls of proxy-wasm ABI 0.2.1 that this guest makes, in the terms of its other modules.

use crate::decide::{Event, Expected, Store, Stored};
use crate::fields::Reply;
use crate::key::Request;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{MapType, MetricType};
use std::time::UNIX_EPOCH;

/// A version that no entry has: versions count up from 1 with every write, and are this one once in 2^32. Proxies
/// take any version for an entry that is not there, so a write with this one creates and never replaces.
const VERSION_OF_NO_ENTRY: u32 = u32::MAX;

/// The proxy, during a callback about a request.
#[derive(Debug)]
pub struct Proxy;

impl Request for Proxy {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        // Not the trait's method of this name: that one panics where a property cannot be expressed.
        hostcalls::get_property(path.to_vec()).ok().flatten()
    }

    fn header(&self, name: &str) -> Option<Vec<u8>> {
        // As bytes: the call for a String panics on a value that is not UTF-8, which a client may send.
        hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name)
            .ok()
            .flatten()
    }
}

impl Store for Proxy {
    fn read(&mut self, key: &str) -> Stored {
        let (value, version) = hostcalls::get_shared_data(key).unwrap_or_default();
        Stored {
            value: value.unwrap_or_default(),
            version,
        }
    }

    fn write(&mut self, key: &str, value: &[u8], expected: Expected) -> bool {
        let version = match expected {
            Expected::Version(version) => Some(version),
            Expected::Absent => Some(VERSION_OF_NO_ENTRY),
            Expected::Anything => None,
        };
        hostcalls::set_shared_data(key, Some(value), version).is_ok()
    }
}

/// Nanoseconds since the epoch.
#[must_use]
pub fn now() -> u64 {
    let elapsed = hostcalls::get_current_time()
        .ok()
        .and_then(|now| now.duration_since(UNIX_EPOCH).ok());
    u64::try_from(elapsed.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// Answers the request.
pub fn send(reply: &Reply) {
    let fields = reply
        .fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    if hostcalls::send_http_response(reply.status, fields, Some(reply.body.as_bytes())).is_err() {
        log::error!(
            "rate-limit: the proxy did not take a {} reply",
            reply.status
        );
    }
}

/// One counter an [`Event`], by their ids.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    allowed: u32,
    limited: u32,
    failed: u32,
}

impl Counters {
    /// Makes them known to the proxy; the same names again are the same counters.
    #[must_use]
    pub fn define() -> Self {
        let define = |name| hostcalls::define_metric(MetricType::Counter, name).unwrap_or(0);
        Self {
            allowed: define("rate_limit.allowed"),
            limited: define("rate_limit.limited"),
            failed: define("rate_limit.failed"),
        }
    }

    /// Counts one request.
    pub fn count(self, event: Event) {
        let id = match event {
            Event::Allowed => self.allowed,
            Event::Limited => self.limited,
            Event::Failed => {
                log::warn!("rate-limit: shared data gave no answer");
                self.failed
            }
        };
        // A counter that the proxy has forgotten is no reason to stop a request.
        let _ = hostcalls::increment_metric(id, 1);
    }
}
