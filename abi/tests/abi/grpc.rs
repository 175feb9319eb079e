//! gRPC callouts: what is checked, what the embedder is given to do, and how answers come back.

mod refused;
mod resumed;

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use portcullis_abi::{
    Grants, GrpcCall, GrpcEvent, GrpcKind, GrpcMessages, GrpcNext, HostAction, HttpCallResponse,
    Plugin, Refusal, wire::pairs,
};

use crate::fakes::{Bench, SLOT, plugin, shared};
use crate::guest::{Guest, OUT, call};

const UPSTREAM: u32 = 100;
const OTHER: u32 = 110;
const SERVICE: u32 = 120;
const METHOD: u32 = 130;
const MESSAGE: u32 = 140;
/// A `GrpcService` that names the upstream "auth".
const PROTO: u32 = 150;
const METADATA: u32 = 200;
const SPLIT: u32 = 300;

fn metadata() -> Vec<u8> {
    pairs::encode_pairs(&[("x-token", "a"), ("x-token", "b")])
}

fn split() -> Vec<u8> {
    pairs::encode_pairs(&[("x", "a\r\nb: c")])
}

fn guest() -> Guest {
    Guest::new()
        .data(UPSTREAM, b"auth")
        .data(OTHER, b"nowhere")
        .data(SERVICE, b"a.Check")
        .data(METHOD, b"Do/")
        .data(MESSAGE, b"hello")
        .data(PROTO, b"\x0a\x06\x0a\x04auth")
        .data(METADATA, &metadata())
        .data(SPLIT, &split())
}

/// The parts of a call, each by its address and size.
struct Asked {
    target: (u32, u32),
    service: (u32, u32),
    method: (u32, u32),
    metadata: (u32, u32),
    message: (u32, u32),
    timeout: u32,
}

impl Asked {
    fn good() -> Self {
        Self {
            target: (UPSTREAM, 4),
            service: (SERVICE, 7),
            method: (METHOD, 2),
            metadata: (METADATA, metadata().len() as u32),
            message: (MESSAGE, 5),
            timeout: 500,
        }
    }

    fn stream(&self) -> String {
        call("proxy_grpc_stream", &[&self.head()[..], &[OUT]].concat())
    }

    fn call(&self) -> String {
        let tail = [self.message.0, self.message.1, self.timeout, OUT];
        call("proxy_grpc_call", &[&self.head()[..], &tail].concat())
    }

    fn head(&self) -> Vec<u32> {
        [self.target, self.service, self.method, self.metadata]
            .iter()
            .flat_map(|(at, size)| [*at, *size])
            .collect()
    }
}

fn send(token: u32, end: u32) -> String {
    call("proxy_grpc_send", &[token, MESSAGE, 5, end])
}

fn granted(guest: &Guest) -> Plugin {
    let grants = Grants {
        grpc_call: vec!["auth".to_owned(), "nowhere".to_owned()],
        ..Grants::default()
    };
    Plugin {
        grants,
        ..plugin(guest)
    }
}

/// A bench whose guest does `body` with each request's headers.
fn doing(body: &str) -> Bench {
    Bench::with(granted(&asking(body)))
}

fn asking(body: &str) -> Guest {
    guest().on("proxy_on_request_headers", &format!("{body} (i32.const 0)"))
}

fn asked(bench: &Bench) -> Vec<GrpcCall> {
    let calls = bench.host.asked().into_iter().map(|action| match action {
        HostAction::GrpcCall(call) => call,
        other => panic!("{other:?}"),
    });
    calls.collect()
}

/// What the embedder is to do, as far as that is known now.
fn todo(messages: &GrpcMessages) -> Option<GrpcNext> {
    match messages.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(next) => Some(next),
        Poll::Pending => None,
    }
}

fn hello() -> Option<GrpcNext> {
    Some(GrpcNext::Message(b"hello".to_vec()))
}

/// Logs the callback's three numbers, then what it may read of a callout.
fn read_all() -> String {
    let numbers =
        "(call $number (local.get 0)) (call $number (local.get 1)) (call $number (local.get 2))";
    let out = format!("(call $out (i32.const {OUT}))");
    [
        numbers.to_owned(),
        clear(),
        call("proxy_get_header_map_pairs", &[4, OUT, OUT + 4]),
        format!("(call $word (i32.const {}))", OUT + 4),
        call("proxy_get_header_map_pairs", &[5, OUT, OUT + 4]),
        format!("(call $word (i32.const {}))", OUT + 4),
        clear(),
        call("proxy_get_buffer_bytes", &[5, 0, 100, OUT, OUT + 4]),
        out.clone(),
        call("proxy_get_status", &[24, OUT, OUT + 4]),
        "(call $word (i32.const 24))".to_owned(),
        out,
    ]
    .concat()
}

fn clear() -> String {
    format!("(i64.store (i32.const {OUT}) (i64.const 0))")
}

fn pair(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

fn closed(status: u32, message: &str) -> GrpcEvent {
    GrpcEvent::Close {
        status,
        message: message.to_owned(),
    }
}

#[test]
fn a_call_is_handed_over_after_the_callback_and_answered_once() {
    let read = read_all();
    let guest = asking(&format!(
        "{} (call $word (i32.const {OUT}))",
        Asked::good().call()
    ))
    .on("proxy_on_grpc_receive", &read)
    .on("proxy_on_grpc_close", &read);
    let bench = Bench::with(granted(&guest));
    // Of the second root, whose id is 2.
    let context = bench
        .vm
        .create_stream(1, &shared(&bench.stream), SLOT)
        .unwrap();
    bench.vm.on_request_headers(context, 1, true).unwrap();
    assert_eq!(bench.host.said(), ["0", "1"]);
    let sent = asked(&bench).remove(0);
    assert_eq!((sent.token, sent.kind), (1, GrpcKind::Unary));
    assert_eq!(
        (
            sent.target.upstream.as_str(),
            sent.target.authority.as_str()
        ),
        ("auth", "")
    );
    assert_eq!(
        (sent.service.as_str(), sent.method.as_str()),
        ("a.Check", "Do")
    );
    assert_eq!(sent.metadata, [pair("x-token", "a"), pair("x-token", "b")]);
    assert_eq!(sent.timeout, Some(Duration::from_millis(500)));
    assert_eq!(todo(&sent.messages), hello());
    assert_eq!(todo(&sent.messages), Some(GrpcNext::End));

    // The stream that asked is gone: its root is told all the same.
    bench.vm.end_stream(context).unwrap();
    let answer = || bench.vm.on_grpc(1, GrpcEvent::Answer(b"yes".to_vec()));
    assert_eq!(answer(), Ok(true));
    assert_eq!(
        bench.host.said(),
        ["2", "1", "3", "0", "0", "0", "0", "0", "yes", "0", "0", ""]
    );
    assert_eq!(todo(&sent.messages), Some(GrpcNext::Reset), "nobody waits");
    assert_eq!(answer(), Ok(false), "an answer is given once");
    assert_eq!(bench.vm.on_grpc(99, closed(2, "")), Ok(false));
    assert!(bench.host.said().is_empty());
}

#[test]
fn a_call_that_fails_is_closed_with_its_status() {
    let guest = asking(&Asked::good().call()).on("proxy_on_grpc_close", &read_all());
    let bench = Bench::with(granted(&guest));
    bench.headers();
    assert_eq!(bench.vm.on_grpc(1, closed(14, "down")), Ok(true));
    assert_eq!(
        bench.host.said(),
        [
            "1", "1", "14", "0", "0", "0", "0", "1", "", "0", "14", "down"
        ]
    );
}

fn everything_of_a_stream(trailing: &'static str) {
    let read = read_all();
    let guest = asking(&Asked::good().stream())
        .on("proxy_on_grpc_receive_initial_metadata", &read)
        .on("proxy_on_grpc_receive", &read)
        .on(trailing, &read)
        .on("proxy_on_grpc_close", &read);
    let bench = Bench::with(granted(&guest));
    assert_eq!(bench.headers(), ["0"]);
    let sent = asked(&bench).remove(0);
    assert_eq!((sent.kind, sent.timeout), (GrpcKind::Stream, None));
    assert_eq!(todo(&sent.messages), None, "no message yet");
    let give = |event| {
        assert_eq!(bench.vm.on_grpc(1, event), Ok(true));
        bench.host.said()
    };
    // One pair of 1 + 1 bytes: 4 + 8 + 4.
    let one = vec![pair("a", "b")];
    assert_eq!(
        give(GrpcEvent::InitialMetadata(one.clone())),
        ["1", "1", "1", "0", "16", "0", "0", "1", "", "0", "0", ""]
    );
    for message in ["first", "second"] {
        let size = message.len().to_string();
        assert_eq!(
            give(GrpcEvent::Message(message.into())),
            [
                "1", "1", &size, "0", "0", "0", "0", "0", message, "0", "0", ""
            ]
        );
    }
    assert_eq!(
        give(GrpcEvent::TrailingMetadata(one)),
        ["1", "1", "1", "0", "0", "0", "16", "1", "", "0", "0", ""]
    );
    assert_eq!(
        give(closed(5, "no such thing")),
        [
            "1",
            "1",
            "5",
            "0",
            "0",
            "0",
            "0",
            "1",
            "",
            "0",
            "5",
            "no such thing"
        ]
    );
    assert_eq!(bench.vm.on_grpc(1, closed(0, "")), Ok(false));
}

#[test]
fn a_stream_is_told_metadata_messages_metadata_and_the_end() {
    everything_of_a_stream("proxy_on_grpc_receive_trailing_metadata");
}

#[test]
fn assembly_script_spells_a_callback_in_its_own_way() {
    everything_of_a_stream("proxy_on_grpc_trailing_metadata");
}

#[test]
fn messages_are_queued_until_the_guest_closes_its_side() {
    let script = [
        Asked::good().stream(),
        send(1, 0),
        send(1, 0),
        call("proxy_grpc_close", &[1]),
        call("proxy_grpc_close", &[1]),
        send(1, 0),
        Asked::good().stream(),
        send(2, 1),
        send(2, 0),
        send(3, 0),
    ];
    let bench = doing(&script.concat());
    assert_eq!(
        bench.headers(),
        ["0", "0", "0", "0", "0", "2", "0", "0", "2", "1"]
    );
    let sent = asked(&bench);
    let list = |messages: &GrpcMessages| [(); 3].map(|()| todo(messages));
    let end = Some(GrpcNext::End);
    assert_eq!(list(&sent[0].messages), [hello(), hello(), end.clone()]);
    assert_eq!(list(&sent[1].messages), [hello(), end.clone(), end]);
    assert_eq!(bench.vm.on_grpc(1, closed(0, "")), Ok(true));
    assert_eq!(bench.headers()[1], "1", "the stream has ended");
}

#[test]
fn messages_that_wait_are_bounded() {
    let large = 4 << 20;
    let send = |token, size| call("proxy_grpc_send", &[token, 0, size, 0]);
    let script = Asked::good().stream()
        + &send(1, large + 1)
        + &send(1, large)
        + &send(1, 1)
        + &Asked {
            message: (0, large + 1),
            ..Asked::good()
        }
        .call();
    let bench = Bench::with(granted(
        &asking(&script).memory("(memory (export \"memory\") 80)"),
    ));
    assert_eq!(bench.headers(), ["0", "2", "0", "2", "10"]);
    let unavailable = |call| Refusal::Unavailable { call };
    assert_eq!(
        bench.host.refused(),
        [
            unavailable("proxy_grpc_send"),
            Refusal::GrpcQueueFull,
            unavailable("proxy_grpc_call"),
        ]
    );
}

#[test]
fn a_cancelled_call_is_reset_and_nothing_is_called_any_more() {
    let script = Asked::good().stream()
        + &Asked::good().call()
        + &Asked::good().call()
        + &call("proxy_grpc_cancel", &[1])
        + &call("proxy_grpc_cancel", &[2])
        // Closing a call is cancelling it.
        + &call("proxy_grpc_close", &[3])
        + &call("proxy_grpc_cancel", &[1])
        + &call("proxy_grpc_close", &[3])
        + &send(1, 0);
    let guest = asking(&script).on("proxy_on_grpc_close", "unreachable");
    let bench = Bench::with(granted(&guest));
    assert_eq!(
        bench.headers(),
        ["0", "0", "0", "0", "0", "0", "1", "1", "1"]
    );
    for call in asked(&bench) {
        assert_eq!(todo(&call.messages), Some(GrpcNext::Reset));
        assert_eq!(bench.vm.on_grpc(call.token, closed(1, "")), Ok(false));
    }
}

#[test]
fn calls_of_a_vm_that_dies_or_is_stopped_are_reset() {
    let guest = asking(&Asked::good().stream()).on("proxy_on_grpc_receive", "unreachable");
    let bench = Bench::with(granted(&guest));
    bench.headers();
    let sent = asked(&bench).remove(0);
    bench
        .vm
        .on_grpc(1, GrpcEvent::Message(Vec::new()))
        .unwrap_err();
    assert_eq!(todo(&sent.messages), Some(GrpcNext::Reset));

    let bench = doing(&Asked::good().stream());
    bench.headers();
    let sent = asked(&bench).remove(0);
    bench.vm.stop();
    assert_eq!(todo(&sent.messages), None, "an exchange may still need it");
    bench.vm.end_stream(bench.context).unwrap();
    assert_eq!(todo(&sent.messages), Some(GrpcNext::Reset));
}

#[test]
fn envoys_way_to_name_an_upstream_is_understood() {
    let by_proto = Asked {
        target: (PROTO, 8),
        ..Asked::good()
    };
    let bench = doing(&(by_proto.call() + &by_proto.stream()));
    assert_eq!(bench.headers(), ["0", "0"]);
    for call in asked(&bench) {
        assert_eq!(call.target.upstream, "auth");
    }
}
