//! HTTP callouts: what is checked, whom they belong to, how answers come back.

use std::time::Duration;

use portcullis_abi::{
    FaultKind, Grants, HostAction, HttpCall, HttpCallResponse, Plugin, Refusal, wire::pairs,
};

use crate::fakes::{Bench, SLOT, plugin, shared};
use crate::guest::{Guest, OUT, call};

const UPSTREAM: u32 = 100;
const OTHER: u32 = 110;
const BODY: u32 = 120;
const HEADERS: u32 = 200;
const TRAILERS: u32 = 300;
const INCOMPLETE: u32 = 400;
const SPLIT: u32 = 500;

fn headers() -> Vec<u8> {
    pairs::encode_pairs(&[
        (":method", "GET"),
        (":path", "/"),
        (":authority", "a"),
        ("x", "y"),
    ])
}

fn incomplete() -> Vec<u8> {
    pairs::encode_pairs(&[(":method", "GET"), (":path", "/"), (":authority", "")])
}

fn split() -> Vec<u8> {
    pairs::encode_pairs(&[(":method", "GET"), (":path", "/\r\n"), (":authority", "a")])
}

fn dispatch(upstream: u32, size: u32, headers: (u32, usize), timeout: u32) -> String {
    let trailers = pairs::encode_pairs(&[("t", "u")]).len() as u32;
    let headers_size = headers.1 as u32;
    call(
        "proxy_http_call",
        &[
            upstream,
            size,
            headers.0,
            headers_size,
            BODY,
            4,
            TRAILERS,
            trailers,
            timeout,
            OUT,
        ],
    )
}

fn good() -> String {
    format!(
        "{} (call $word (i32.const {OUT}))",
        dispatch(UPSTREAM, 4, (HEADERS, headers().len()), 500)
    )
}

fn guest() -> Guest {
    Guest::new()
        .data(UPSTREAM, b"auth")
        .data(OTHER, b"nowhere")
        .data(BODY, b"body")
        .data(HEADERS, &headers())
        .data(TRAILERS, &pairs::encode_pairs(&[("t", "u")]))
        .data(INCOMPLETE, &incomplete())
        .data(SPLIT, &split())
        .data(600, b":status")
        .data(610, b"t")
}

fn granted(guest: &Guest) -> Plugin {
    let grants = Grants {
        http_call: vec!["auth".to_owned(), "nowhere".to_owned()],
        ..Grants::default()
    };
    Plugin {
        grants,
        ..plugin(guest)
    }
}

fn calls(actions: Vec<HostAction>) -> Vec<HttpCall> {
    let calls = actions.into_iter().map(|action| match action {
        HostAction::HttpCall(call) => call,
        other => panic!("{other:?}"),
    });
    calls.collect()
}

#[test]
fn a_callout_is_handed_over_after_the_callback_and_answered_to_its_root() {
    let read = format!(
        "(call $number (local.get 0)) (call $number (local.get 1)) (call $number (local.get 2))
         (call $number (local.get 3)) (call $number (local.get 4))
         {} (call $out (i32.const {OUT})) {} (call $out (i32.const {OUT})) {} (call $out (i32.const {OUT}))
         {} (call $word (i32.const 24)) (call $out (i32.const {OUT}))
         {} {}",
        call("proxy_get_header_map_value", &[6, 600, 7, OUT, OUT + 4]),
        call("proxy_get_header_map_value", &[7, 610, 1, OUT, OUT + 4]),
        call("proxy_get_buffer_bytes", &[4, 1, 2, OUT, OUT + 4]),
        call("proxy_get_status", &[24, OUT, OUT + 4]),
        call("proxy_get_header_map_value", &[0, 600, 7, OUT, OUT + 4]),
        call("proxy_add_header_map_value", &[6, 600, 7, 600, 7]),
    );
    let guest = guest()
        .on(
            "proxy_on_request_headers",
            &format!("{} (i32.const 1)", good()),
        )
        .on("proxy_on_http_call_response", &read);
    let bench = Bench::with(granted(&guest));
    // Of the second root.
    let context = bench
        .vm
        .create_stream(1, &shared(&bench.stream), SLOT)
        .unwrap();
    bench.vm.on_request_headers(context, 1, true).unwrap();
    assert_eq!(bench.host.said(), ["0", "1"]);
    let sent = calls(bench.host.asked());
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].token, sent[0].upstream.as_str()), (1, "auth"));
    assert_eq!(sent[0].body, b"body");
    assert_eq!(sent[0].timeout, Some(Duration::from_millis(500)));
    assert_eq!(pairs::encode_pairs(&sent[0].headers), headers());
    assert_eq!(sent[0].trailers, [(b"t".to_vec(), b"u".to_vec())]);

    let pair = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    let response = || HttpCallResponse {
        headers: vec![pair(":status", "200"), pair("a", "b")],
        body: b"hello".to_vec(),
        trailers: vec![pair("t", "last")],
        status: (3, "why".to_owned()),
    };
    bench.vm.on_http_call_response(1, response()).unwrap();
    assert_eq!(
        bench.host.said(),
        [
            "2", "1", "2", "5", "1", "0", "200", "0", "last", "0", "el", "0", "3", "why", "1", "0"
        ]
    );
    bench.vm.on_http_call_response(1, response()).unwrap();
    bench.vm.on_http_call_response(99, response()).unwrap();
    assert!(bench.host.said().is_empty(), "an answer is given once");
}

#[test]
fn an_answer_is_gone_after_its_callback() {
    let read = call("proxy_get_buffer_bytes", &[4, 0, 9, OUT, OUT + 4])
        + &call("proxy_get_header_map_value", &[6, 600, 7, OUT, OUT + 4])
        + &format!(
            "{} (call $word (i32.const 24))",
            call("proxy_get_status", &[24, OUT, OUT + 4])
        );
    let guest = guest()
        .on(
            "proxy_on_request_headers",
            &format!("{} (i32.const 1)", good()),
        )
        .on("proxy_on_http_call_response", "")
        .on("proxy_on_request_body", &format!("{read} (i32.const 0)"));
    let bench = Bench::with(granted(&guest));
    bench.headers();
    let response = HttpCallResponse {
        status: (14, "down".to_owned()),
        ..HttpCallResponse::default()
    };
    bench.vm.on_http_call_response(1, response).unwrap();
    bench.vm.on_request_body(bench.context, 1, true).unwrap();
    assert_eq!(bench.host.said(), ["1", "1", "0", "0"]);
}

#[test]
fn bad_callouts_are_bad_arguments_and_the_reason_is_told() {
    let body = dispatch(OTHER, 7, (HEADERS, headers().len()), 0)
        + &dispatch(UPSTREAM, 3, (HEADERS, headers().len()), 0)
        + &dispatch(UPSTREAM, 4, (INCOMPLETE, incomplete().len()), 0)
        + &dispatch(UPSTREAM, 4, (HEADERS, headers().len() - 1), 0)
        + &dispatch(UPSTREAM, 4, (SPLIT, split().len()), 0)
        + &dispatch(UPSTREAM, 4, (HEADERS, headers().len()), u32::MAX)
        + &dispatch(UPSTREAM, 4, (HEADERS, 0), 0);
    let guest = guest().on("proxy_on_request_headers", &format!("{body} (i32.const 0)"));
    let bench = Bench::with(granted(&guest));
    assert_eq!(bench.headers(), ["2"; 7]);
    assert!(bench.host.asked().is_empty());
    let call = "proxy_http_call";
    assert_eq!(
        bench.host.refused(),
        [
            Refusal::Unavailable { call },
            Refusal::Grant {
                call,
                missing: "grants: { http_call: [aut] }".to_owned()
            },
            Refusal::InvalidHeader,
        ]
    );
}

#[test]
fn without_a_grant_there_is_no_callout_and_all_grants_every_one() {
    let guest = guest().on(
        "proxy_on_request_headers",
        &format!("{} (i32.const 0)", good()),
    );
    let bench = Bench::of(&guest);
    assert_eq!(bench.headers()[0], "2");
    let missing = "grants: { http_call: [auth] }".to_owned();
    assert_eq!(
        bench.host.refused(),
        [Refusal::Grant {
            call: "proxy_http_call",
            missing
        }]
    );

    let grants = Grants {
        all: true,
        ..Grants::default()
    };
    let bench = Bench::with(Plugin {
        grants,
        ..plugin(&guest)
    });
    assert_eq!(bench.headers()[0], "0");
}

#[test]
fn callouts_in_flight_are_bounded() {
    let guest = guest()
        .on(
            "proxy_on_request_headers",
            &format!("{} (i32.const 0)", good()),
        )
        .on("proxy_on_http_call_response", "");
    let mut plugin = granted(&guest);
    plugin.limits.callouts = 2;
    let bench = Bench::with(plugin);
    assert_eq!(bench.headers(), ["0", "1"]);
    assert_eq!(bench.headers(), ["0", "2"]);
    assert_eq!(bench.headers()[0], "10");
    assert_eq!(bench.host.refused(), [Refusal::TooManyCallouts]);
    bench
        .vm
        .on_http_call_response(1, HttpCallResponse::default())
        .unwrap();
    assert_eq!(bench.headers(), ["0", "3"], "tokens are never used again");
}

#[test]
fn callouts_of_the_start_are_kept_and_ticks_may_make_them() {
    let guest = guest()
        .on("proxy_on_configure", &format!("{} (i32.const 1)", good()))
        .on("proxy_on_tick", &good());
    let mut plugin = granted(&guest);
    plugin.roots.truncate(1);
    let bench = Bench::with(plugin);
    assert_eq!(calls(bench.host.asked())[0].token, 1);
    bench.vm.on_tick(portcullis_abi::ContextId(1)).unwrap();
    assert_eq!(calls(bench.host.asked())[0].token, 2);
}

#[test]
fn a_fault_in_the_answers_callback_ends_the_vm() {
    let guest = guest()
        .on(
            "proxy_on_request_headers",
            &format!("{} (i32.const 1)", good()),
        )
        .on("proxy_on_http_call_response", "unreachable");
    let bench = Bench::with(granted(&guest));
    bench.headers();
    let answer = || {
        bench
            .vm
            .on_http_call_response(1, HttpCallResponse::default())
    };
    let fault = answer().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap);
    assert_eq!(fault.callback, "proxy_on_http_call_response");
    assert_eq!(bench.stream.lock().lost, [SLOT]);
    assert_eq!(answer().unwrap_err(), fault);
}

#[test]
fn a_callouts_body_is_bounded() {
    let size = headers().len() as u32;
    let too_large = (16 << 20) + 1;
    let body = call(
        "proxy_http_call",
        &[UPSTREAM, 4, HEADERS, size, 0, too_large, 0, 0, 0, OUT],
    ) + &call(
        "proxy_http_call",
        &[UPSTREAM, 4, HEADERS, size, 0, too_large - 1, 0, 0, 0, OUT],
    );
    let guest = guest()
        .memory("(memory (export \"memory\") 300)")
        .on("proxy_on_request_headers", &format!("{body} (i32.const 0)"));
    let bench = Bench::with(granted(&guest));
    assert_eq!(bench.headers(), ["10", "0"]);
    assert_eq!(
        bench.host.refused(),
        [Refusal::Unavailable {
            call: "proxy_http_call"
        }]
    );
}
