//! End-to-end tests: the real executable between real sockets.

mod access_log;
mod admin;
mod auth;
mod backpressure;
mod cancelled;
mod chain_of_filters;
mod cli;
mod dns;
mod drain;
mod envoy;
mod explain;
mod fault_borders;
mod faults;
mod forwarding;
mod framing;
mod grants;
mod held_responses;
mod higress;
mod isolation;
mod js;
mod languages;
mod limits;
mod listeners;
mod metrics;
mod pauses;
mod properties;
mod rate_limit;
mod refused;
mod reload;
mod replies;
mod restarts;
mod routes;
mod rules;
mod sdk_bodies;
mod sdk_callouts;
mod sdk_endings;
mod sdk_foreign;
mod sdk_grpc;
mod sdk_headers;
mod sdk_state;
mod statuses;
mod streaming;
mod tcp;
mod tcp_faults;
mod tcp_lifetime;
mod tcp_upstreams;
mod uploads;
mod upstreams;
mod waf;

/// A scenario for the guests of both SDKs: `async fn name(guest: Guest)`, which ends early where there is no guest.
macro_rules! with_both_sdks {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test]
            async fn rust() {
                super::$name(|on| Some(portcullis_tests::Filter::rust(on))).await;
            }

            #[tokio::test]
            async fn go() {
                super::$name(portcullis_tests::Filter::go).await;
            }
        })*
    };
}
pub(crate) use with_both_sdks;

/// Makes a filter that runs a script, by one of the SDKs.
pub(crate) type Guest = fn(serde_json::Value) -> Option<portcullis_tests::Filter>;

/// The filter, or the end of the test where its SDK's toolchain is missing (which was printed).
macro_rules! script {
    ($guest:expr, $($json:tt)+) => {
        match $guest(serde_json::json!($($json)+)) {
            Some(filter) => filter,
            None => return,
        }
    };
}
pub(crate) use script;
