//! gRPC calls that are not made, and what the guest is answered.

use super::*;

#[test]
fn bad_calls_are_answered_what_sdks_survive() {
    let with = |change: fn(&mut Asked)| {
        let mut asked = Asked::good();
        change(&mut asked);
        asked.call()
    };
    let script = [
        with(|asked| asked.target = (OTHER, 7)),
        with(|asked| asked.target = (UPSTREAM, 3)),
        with(|asked| asked.target = (METADATA + 4, 0)),
        with(|asked| asked.service = (SERVICE, 0)),
        with(|asked| asked.method = (METHOD, 3)),
        with(|asked| asked.metadata.1 -= 1),
        with(|asked| asked.metadata = (SPLIT, split().len() as u32)),
        with(|asked| asked.timeout = u32::MAX),
        with(|asked| asked.message = (u32::MAX, 1)),
    ];
    let bench = doing(&script.concat());
    assert_eq!(
        bench.headers(),
        ["4", "10", "10", "10", "10", "10", "10", "10", "6"]
    );
    assert!(bench.host.asked().is_empty());
    let name = "proxy_grpc_call";
    let missing = |upstream: &str| Refusal::Grant {
        call: name,
        missing: format!("grants: {{ grpc_call: [{upstream}] }}"),
    };
    let unavailable = Refusal::Unavailable { call: name };
    assert_eq!(
        bench.host.refused(),
        [
            unavailable.clone(),
            missing("aut"),
            missing("\"\""),
            unavailable.clone(),
            unavailable.clone(),
            unavailable.clone(),
            Refusal::InvalidHeader,
            unavailable,
        ]
    );
}

#[test]
fn a_grant_for_http_is_none_for_grpc() {
    let guest = asking(&(Asked::good().call() + &Asked::good().stream()));
    let grants = Grants {
        http_call: vec!["auth".to_owned()],
        ..Grants::default()
    };
    let bench = Bench::with(Plugin {
        grants,
        ..plugin(&guest)
    });
    assert_eq!(bench.headers(), ["10", "10"]);
    let missing = "grants: { grpc_call: [auth] }".to_owned();
    assert_eq!(
        bench.host.refused()[1],
        Refusal::Grant {
            call: "proxy_grpc_stream",
            missing
        }
    );
    let grants = Grants {
        all: true,
        ..Grants::default()
    };
    let bench = Bench::with(Plugin {
        grants,
        ..plugin(&guest)
    });
    assert_eq!(bench.headers(), ["0", "0"]);
}

#[test]
fn calls_of_all_kinds_share_tokens_and_the_limit() {
    let headers = pairs::encode_pairs(&[(":method", "GET"), (":path", "/"), (":authority", "a")]);
    let size = headers.len() as u32;
    let http = call(
        "proxy_http_call",
        &[UPSTREAM, 4, 400, size, 0, 0, 0, 0, 0, OUT],
    );
    let script = Asked::good().call() + &http + &Asked::good().stream() + &http;
    let guest = asking(&script).data(400, &headers);
    let mut plugin = granted(&guest);
    plugin.grants.http_call = vec!["auth".to_owned()];
    plugin.limits.callouts = 2;
    let bench = Bench::with(plugin);
    assert_eq!(bench.headers(), ["0", "0", "10", "10"]);
    assert_eq!(
        bench.host.refused(),
        [Refusal::TooManyCallouts, Refusal::TooManyCallouts]
    );
    // An answer of the other kind is nobody's.
    let answer = HttpCallResponse::default;
    bench.vm.on_http_call_response(1, answer()).unwrap();
    assert_eq!(bench.vm.on_grpc(2, closed(0, "")), Ok(false));
    assert_eq!(bench.headers()[0], "10", "both are still in flight");
    bench.vm.on_http_call_response(2, answer()).unwrap();
    assert_eq!(bench.headers()[0], "0");
}
