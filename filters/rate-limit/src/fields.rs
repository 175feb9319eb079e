//! What a client is told: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11, lists of
//! structured-field items), `Retry-After` (RFC 9110 section 10.2.3) and problem documents (RFC 9457).

use crate::gcra::Standing;
use crate::policy::Limit;
use std::fmt::Write;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Seconds after which a client may try again that was refused because shared data gave no answer.
const RETRY_AFTER_FAILURE_SECONDS: u64 = 1;

/// A response made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u32,
    /// Its header fields.
    pub fields: Vec<(&'static str, String)>,
    /// A problem document.
    pub body: String,
}

/// The two fields for these limits, of which there must be at least one.
#[must_use]
pub fn fields(standings: &[(&Limit, Standing)]) -> Vec<(&'static str, String)> {
    let mut policy = String::new();
    let mut left = String::new();
    for (index, (limit, standing)) in standings.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let name = &limit.name;
        // Writing to a String cannot fail.
        let _ = write!(policy, "{comma}\"{name}\";q={}", limit.rate.count);
        // The draft knows whole seconds only; a window that is none is not told.
        if limit.rate.period.is_multiple_of(NANOS_PER_SECOND) {
            let _ = write!(policy, ";w={}", limit.rate.period / NANOS_PER_SECOND);
        }
        let _ = write!(
            left,
            "{comma}\"{name}\";r={};t={}",
            standing.remaining,
            seconds(standing.next)
        );
    }
    vec![("ratelimit-policy", policy), ("ratelimit", left)]
}

/// 429: those of `standings` with nothing left are the limits exceeded.
#[must_use]
pub fn too_many_requests(standings: &[(&Limit, Standing)]) -> Reply {
    let exceeded = || {
        standings
            .iter()
            .filter(|(_, standing)| standing.remaining == 0)
    };
    let wait = exceeded()
        .map(|(_, standing)| seconds(standing.next))
        .max()
        .unwrap_or(1);
    let names: Vec<String> = exceeded()
        .map(|(limit, _)| format!("\"{}\"", limit.name))
        .collect();
    let mut told = fields(standings);
    told.push(("retry-after", wait.to_string()));
    let body = format!(
        "{{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
         \"title\":\"Too Many Requests\",\"status\":429,\"violated-policies\":[{}]}}",
        names.join(",")
    );
    Reply::problem(429, told, body)
}

/// 503: nobody knows whether the request is within its limits.
#[must_use]
pub fn unavailable() -> Reply {
    let fields = vec![("retry-after", RETRY_AFTER_FAILURE_SECONDS.to_string())];
    let body = "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503}";
    Reply::problem(503, fields, body.to_owned())
}

impl Reply {
    fn problem(status: u32, mut fields: Vec<(&'static str, String)>, body: String) -> Self {
        fields.push(("content-type", "application/problem+json".to_owned()));
        fields.push(("cache-control", "no-store".to_owned()));
        Self {
            status,
            fields,
            body,
        }
    }
}

/// Rounded up, and at least 1: a client that comes back when told must not be refused again for being early.
fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(NANOS_PER_SECOND).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn limits() -> Vec<Limit> {
        let configuration = br#"{"limits":[{"key":["host"],"rate":"100/1s"},
            {"name":"slow","key":["host"],"rate":"5/1m"},{"name":"fine","key":["host"],"rate":"5/1500ms"}]}"#;
        Policy::parse(configuration)
            .expect("a good configuration")
            .limits
    }

    fn standing(remaining: u64, next: u64) -> Standing {
        Standing { remaining, next }
    }

    #[test]
    fn fields_are_lists_of_structured_items() {
        let limits = limits();
        let one = fields(&[(&limits[0], standing(5, 10_000_000))]);
        assert_eq!(
            one[0],
            ("ratelimit-policy", "\"default\";q=100;w=1".to_owned())
        );
        assert_eq!(one[1], ("ratelimit", "\"default\";r=5;t=1".to_owned()));
        let all = fields(&[
            (&limits[0], standing(5, 0)),
            (&limits[1], standing(0, 11_000_000_001)),
            (&limits[2], standing(1, 1)),
        ]);
        assert_eq!(
            all[0].1,
            "\"default\";q=100;w=1, \"slow\";q=5;w=60, \"fine\";q=5"
        );
        assert_eq!(
            all[1].1,
            "\"default\";r=5;t=1, \"slow\";r=0;t=12, \"fine\";r=1;t=1"
        );
    }

    #[test]
    fn a_refusal_names_the_longest_wait_and_the_limits_exceeded() {
        let limits = limits();
        let reply = too_many_requests(&[
            (&limits[0], standing(0, 1)),
            (&limits[1], standing(0, 11_000_000_000)),
            (&limits[2], standing(2, 99_000_000_000)),
        ]);
        assert_eq!(reply.status, 429);
        assert!(
            reply.fields.contains(&("retry-after", "11".to_owned())),
            "{:?}",
            reply.fields
        );
        let body: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(body["status"], 429);
        assert_eq!(
            body["violated-policies"],
            serde_json::json!(["default", "slow"])
        );
    }

    #[test]
    fn an_unanswered_question_is_503() {
        let reply = unavailable();
        assert_eq!(reply.status, 503);
        assert!(reply.fields.contains(&("retry-after", "1".to_owned())));
        assert!(serde_json::from_str::<serde_json::Value>(&reply.body).is_ok());
    }
}
