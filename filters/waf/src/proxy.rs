//! The calls of proxy-wasm ABI 0.2.1 that this guest makes, in the terms of its other modules.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use portcullis_seclang::transaction::host::Host;
use portcullis_waf_policy::Denial;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, Bytes, MapType, MetricType};

use crate::exchange::Parties;
use crate::head::{Head, Headers, address};
use crate::report::Report;

/// Where lines go that must not be cut or dropped, in hosts that have it.
const AUDIT: &str = "portcullis.audit";
/// Bytes of a body fetched at once: what is fetched is copied.
const CHUNK_MAX: usize = 256 << 10;
/// How often a change of shared data is tried anew when others change it at the same time.
const ATTEMPTS_MAX: usize = 16;
/// A version that no entry has: see the guest `rate-limit`.
const VERSION_OF_NO_ENTRY: u32 = u32::MAX;
/// Counters kept by name: one for each rule and attack there is.
const COUNTERS_MAX: usize = 4_096;

/// The proxy, during a callback.
#[derive(Clone, Copy, Debug)]
pub struct Proxy;

fn property(path: &[&str]) -> Option<Bytes> {
    // Not the trait's method of this name: that one panics where a property cannot be expressed.
    hostcalls::get_property(path.to_vec()).ok().flatten()
}

impl Host for Proxy {
    fn now(&self) -> Duration {
        let now = hostcalls::get_current_time().ok();
        now.and_then(|now| now.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default()
    }

    fn load(&self, collection: &str, key: &[u8]) -> Option<Vec<u8>> {
        hostcalls::get_shared_data(&shared_key(collection, key))
            .ok()?
            .0
    }

    fn update(
        &self,
        collection: &str,
        key: &[u8],
        change: &mut dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) {
        let key = shared_key(collection, key);
        for _ in 0..ATTEMPTS_MAX {
            let (present, version) = hostcalls::get_shared_data(&key).unwrap_or_default();
            let changed = change(present.as_deref()).unwrap_or_default();
            let version = version.unwrap_or(VERSION_OF_NO_ENTRY);
            if hostcalls::set_shared_data(&key, Some(&changed), Some(version)).is_ok() {
                return;
            }
        }
        log::warn!(
            "waf: a persistent collection is changed by too many at once; one change is lost"
        );
    }
}

/// Keys of shared data are text; those of collections may be any bytes.
fn shared_key(collection: &str, key: &[u8]) -> String {
    format!("waf.{collection}.{}", key.escape_ascii())
}

impl Proxy {
    /// Who talks to whom.
    #[must_use]
    pub fn parties(self) -> Parties {
        let text = |path: &[&str]| property(path).unwrap_or_default();
        Parties {
            client: address(&text(&["source", "address"])),
            server: address(&text(&["destination", "address"])),
            id: String::from_utf8_lossy(&text(&["request", "id"])).into_owned(),
        }
    }

    /// The head as the client wrote it, where this host shows it.
    #[must_use]
    pub fn raw_head(self) -> Option<Head> {
        let bytes = property(&["portcullis", "raw_head"]).filter(|bytes| !bytes.is_empty())?;
        Some(Head::of_bytes(&bytes))
    }

    /// The head of the request.
    #[must_use]
    pub fn request_head(self) -> Head {
        if let Some(head) = self.raw_head() {
            return head;
        }
        let map = hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default();
        let map = map
            .into_iter()
            .map(|(name, value)| (Cow::Owned(name.into_bytes()), value))
            .collect();
        let protocol = property(&["request", "protocol"]).unwrap_or_default();
        Head::of_map(map, protocol)
    }

    /// The response's status, and its headers without pseudo-headers.
    #[must_use]
    pub fn response_head(self) -> (u16, Headers) {
        let map = hostcalls::get_map_bytes(MapType::HttpResponseHeaders).unwrap_or_default();
        let mut status = 0;
        let mut headers = Vec::with_capacity(map.len());
        for (name, value) in map {
            if name == ":status" {
                status = str::from_utf8(&value)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0);
            } else if !name.starts_with(':') {
                headers.push((name.into_bytes(), value));
            }
        }
        (status, headers)
    }

    /// The version of HTTP that the client speaks.
    #[must_use]
    pub fn protocol(self) -> Vec<u8> {
        property(&["request", "protocol"]).unwrap_or_default()
    }

    /// Hands the bytes of a body from `start` to `end` on, piece by piece, until `take` has enough.
    pub fn body(
        self,
        buffer: BufferType,
        start: usize,
        end: usize,
        mut take: impl FnMut(&[u8], bool) -> bool,
    ) {
        let mut at = start;
        while at < end {
            let wanted = (end - at).min(CHUNK_MAX);
            let piece = hostcalls::get_buffer(buffer, at, wanted)
                .ok()
                .flatten()
                .unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            at += piece.len();
            if !take(&piece, at >= end) {
                return;
            }
        }
    }

    /// Asks the origin for a response that rules can read.
    pub fn refuse_compression(self) {
        let _ = hostcalls::set_map_value(MapType::HttpRequestHeaders, "accept-encoding", None);
    }

    /// Lets the head of a response go whose body nobody waits for. Portcullis holds it for a guest with `hold: headers`
    /// until that has continued some of the body, which of a stream may be long in coming. Other hosts do not hold it,
    /// and must not be asked to continue what goes on.
    pub fn release_response(self) {
        if property(&["plugin_vm_memory"]).is_some() {
            let _ = hostcalls::resume_http_response();
        }
    }

    /// Answers the client.
    pub fn reply(self, denial: &Denial) {
        let fields = denial
            .fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let body = Some(denial.body.as_bytes());
        if hostcalls::send_http_response(u32::from(denial.status), fields, body).is_err() {
            log::error!("waf: the proxy did not take a {} reply", denial.status);
        }
    }

    /// Closes the connection without an answer.
    pub fn close(self) {
        let _ = hostcalls::reset_http_request();
    }
}

/// Counters by name, defined when first used.
#[derive(Debug, Default)]
pub struct Counters(RefCell<HashMap<String, u32>>);

impl Counters {
    /// Writes the lines and adds to the counters of a report.
    pub fn publish(&self, report: &Report) {
        if !report.lines.is_empty() {
            let text = report.lines.join("\n");
            if hostcalls::call_foreign_function(AUDIT, Some(text.as_bytes())).is_err() {
                report.lines.iter().for_each(|line| log::warn!("{line}"));
            }
        }
        for name in &report.counts {
            self.count(name);
        }
    }

    fn count(&self, name: &str) {
        let mut counters = self.0.borrow_mut();
        let id = match counters.get(name) {
            Some(id) => *id,
            None if counters.len() >= COUNTERS_MAX => return,
            None => {
                let Ok(id) = hostcalls::define_metric(MetricType::Counter, name) else {
                    return;
                };
                counters.insert(name.to_owned(), id);
                id
            }
        };
        // A counter that the proxy has forgotten is no reason to stop a request.
        let _ = hostcalls::increment_metric(id, 1);
    }
}
