//! The calls of proxy-wasm ABI 0.2.1 that this guest makes, in the terms of its other modules.

use crate::decide::Pass;
use crate::reply::Reply;
use crate::request::{Edit, Request};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{MapType, MetricType};
use std::time::UNIX_EPOCH;

/// The property in which later plugins of the same stream find the verified claims as JSON. One segment: Envoy keeps
/// it as filter state of that name, and would look for the parts of a longer path elsewhere.
const CLAIMS_PROPERTY: &str = "auth.claims";

/// Seconds since the epoch.
#[must_use]
pub fn now() -> i64 {
    let elapsed = hostcalls::get_current_time()
        .ok()
        .and_then(|now| now.duration_since(UNIX_EPOCH).ok());
    i64::try_from(elapsed.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

/// The request's fields. As bytes: the call for texts panics on a value that is not UTF-8, which a client may send.
#[must_use]
pub fn request() -> Request {
    Request::new(hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default())
}

/// Changes the request and leaves the claims to later plugins.
pub fn apply(pass: &Pass) {
    for edit in &pass.edits {
        let (name, value) = match edit {
            Edit::Remove(name) => (name, None),
            Edit::Set(name, value) => (name, Some(value.as_str())),
        };
        if hostcalls::set_map_value(MapType::HttpRequestHeaders, name, value).is_err() {
            log::error!("auth: the proxy did not change the header {name}");
        }
    }
    if let Some(claims) = &pass.claims {
        // Nobody may read them; whoever does falls back on "no claims".
        let _ = hostcalls::set_property(vec![CLAIMS_PROPERTY], Some(claims));
    }
    for claim in &pass.unwritable {
        log::warn!(
            "auth: claim {claim} of a valid token cannot be a header's value; the header is not written"
        );
    }
}

/// Answers the request.
pub fn send(reply: &Reply) {
    let fields = reply
        .fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    if hostcalls::send_http_response(reply.status, fields, Some(reply.body.as_bytes())).is_err() {
        log::error!("auth: the proxy did not take a {} reply", reply.status);
    }
}

/// One counter a result, by their ids.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    allowed: u32,
    anonymous: u32,
    denied: u32,
}

impl Counters {
    /// Makes them known to the proxy; the same names again are the same counters.
    #[must_use]
    pub fn define() -> Self {
        let define = |name| hostcalls::define_metric(MetricType::Counter, name).unwrap_or(0);
        Self {
            allowed: define("auth.allowed"),
            anonymous: define("auth.anonymous"),
            denied: define("auth.denied"),
        }
    }

    /// Counts a request that passes.
    pub fn count_pass(self, authenticated: bool) {
        count(if authenticated {
            self.allowed
        } else {
            self.anonymous
        });
    }

    /// Counts a request that is refused.
    pub fn count_denied(self) {
        count(self.denied);
    }
}

/// A counter that the proxy has forgotten is no reason to stop a request.
fn count(id: u32) {
    let _ = hostcalls::increment_metric(id, 1);
}
