//! The callbacks and calls of TCP connections.

use portcullis_abi::{BufferType, ConnectionAction, PeerType, Refusal, StreamType};

use crate::fakes::{Bench, SLOT};
use crate::guest::{Guest, OUT, call};

fn bench(guest: &Guest) -> Bench {
    let bench = Bench::of(guest);
    {
        let mut stream = bench.stream.lock();
        stream.is_tcp = true;
        stream
            .bodies
            .insert(BufferType::DownstreamData, b"hello".to_vec());
    }
    bench.host.said();
    bench
}

#[test]
fn callbacks_get_their_arguments_and_their_answers_count() {
    let say = |count: usize| {
        (0..count)
            .map(|n| format!("(call $number (local.get {n}))"))
            .collect::<String>()
    };
    let guest = Guest::new()
        .on("proxy_on_new_connection", &(say(1) + "(i32.const 0)"))
        .on("proxy_on_downstream_data", &(say(3) + "(i32.const 1)"))
        .on("proxy_on_upstream_data", &(say(3) + "(i32.const 7)"))
        .on("proxy_on_downstream_connection_close", &say(2))
        .on("proxy_on_upstream_connection_close", &say(2));
    let Bench {
        vm, host, context, ..
    } = bench(&guest);
    let (go_on, stop) = (ConnectionAction::Continue, ConnectionAction::StopIteration);
    assert_eq!(vm.on_new_connection(context).unwrap(), go_on);
    assert_eq!(vm.on_downstream_data(context, 5, true).unwrap(), stop);
    assert_eq!(vm.on_upstream_data(context, 6, false).unwrap(), stop);
    vm.on_upstream_connection_close(context, PeerType::Remote)
        .unwrap();
    vm.on_downstream_connection_close(context, PeerType::Local)
        .unwrap();
    assert_eq!(host.said().join(" "), "3 3 5 1 3 6 0 3 2 3 1");
    vm.end_stream(context).unwrap();
    assert_eq!(vm.on_new_connection(context).unwrap(), go_on);
    assert!(host.said().is_empty(), "an ended context is not called");
}

#[test]
fn a_module_without_the_callbacks_lets_everything_pass() {
    let Bench { vm, context, .. } = bench(&Guest::new());
    let go_on = ConnectionAction::Continue;
    assert_eq!(vm.on_new_connection(context).unwrap(), go_on);
    assert_eq!(vm.on_downstream_data(context, 1, true).unwrap(), go_on);
    assert_eq!(vm.on_upstream_data(context, 1, true).unwrap(), go_on);
    vm.on_upstream_connection_close(context, PeerType::Unknown)
        .unwrap();
}

#[test]
fn bytes_are_read_and_changed_in_buffers_2_and_3() {
    let guest = Guest::new().data(100, b"J").on(
        "proxy_on_downstream_data",
        &(call("proxy_get_buffer_bytes", &[2, 1, 3, OUT, OUT + 4])
            + "(call $out (i32.const 16))"
            + &call("proxy_set_buffer_bytes", &[2, 0, 1, 100, 1])
            + &call("proxy_set_buffer_bytes", &[2, 9, 0, 100, 1])
            + &call("proxy_set_buffer_bytes", &[2, 2, 1, 100, 1])
            + &call("proxy_get_buffer_status", &[2, OUT, OUT + 4])
            + "(call $word (i32.const 16))"
            // There is nothing of the origin yet.
            + &call("proxy_get_buffer_bytes", &[3, 0, 9, OUT, OUT + 4])
            + &call("proxy_set_buffer_bytes", &[3, 0, 0, 100, 1])
            + "(i32.const 0)"),
    );
    let bench = bench(&guest);
    bench
        .vm
        .on_downstream_data(bench.context, 5, false)
        .unwrap();
    let said = bench.host.said().join(" ");
    assert_eq!(said, "0 ell 0 0 0 0 6 1 0");
    let body = bench.stream.lock().bodies[&BufferType::DownstreamData].clone();
    assert_eq!(body, b"JelloJ");
    assert_eq!(
        bench.host.refused().len(),
        2,
        "in the middle, and out of phase"
    );
}

#[test]
fn streams_of_another_kind_have_no_effect() {
    let mut body: String = (0..4)
        .map(|kind| call("proxy_continue_stream", &[kind]) + &call("proxy_close_stream", &[kind]))
        .collect();
    body += &call("proxy_send_local_response", &[403, 0, 0, 0, 0, 0, 0, 0]);
    body += "(i32.const 0)";
    let bench = bench(&Guest::new().on("proxy_on_new_connection", &body));
    bench.vm.on_new_connection(bench.context).unwrap();
    assert_eq!(bench.host.said(), ["0"; 9]);
    let stream = bench.stream.lock();
    let of_tcp = [(SLOT, StreamType::Downstream), (SLOT, StreamType::Upstream)];
    assert_eq!(
        (&stream.continued[..], &stream.closed[..]),
        (&of_tcp[..], &of_tcp[..])
    );
    assert!(stream.replies.is_empty());
    let refused = bench.host.refused();
    assert_eq!(refused.len(), 5);
    let unavailable = |refusal: &Refusal| matches!(refusal, Refusal::Unavailable { .. });
    assert!(refused.iter().all(unavailable), "{refused:?}");
}
