//! Calls of the start, in VMs that begin from a snapshot.

use std::sync::Arc;

use portcullis_abi::{Beginning, GrpcEvent, GrpcNext, Host, HostAction, Role, Vm};

use super::{Asked, granted, guest, hello, send, todo};
use crate::fakes::{FakeHost, start};
use crate::guest::call;

#[test]
fn a_stream_of_the_start_is_opened_again_with_what_was_to_be_sent() {
    // The first root opens a stream and sends; the second opens one and cancels it.
    let body = format!(
        "(if (i32.eq (local.get 0) (i32.const 1))
            (then {} {})
            (else {} {}))
         (i32.const 1)",
        Asked::good().stream(),
        send(1, 0),
        Asked::good().stream(),
        call("proxy_grpc_cancel", &[2]),
    );
    let close = "(call $number (local.get 0)) (call $number (local.get 1))";
    let guest = guest()
        .on("proxy_on_configure", &body)
        .on("proxy_on_grpc_close", close);
    let host = FakeHost::new();
    let dynamic: Arc<dyn Host> = Arc::clone(&host) as Arc<dyn Host>;
    let service = start(granted(&guest), &host).unwrap();
    let snapshot = service.snapshot().unwrap();
    service.activate();
    let first = host.asked();
    assert_eq!(first.len(), 2, "both are told; one is to be reset");

    let begin = |role| Vm::begin(Beginning::Snapshot(&snapshot), &dynamic, 0, role).unwrap();
    let replacement = begin(Role::Service);
    replacement.activate();
    host.said();
    let again = host.asked();
    let [HostAction::GrpcCall(stream)] = &again[..] else {
        panic!("{again:?}");
    };
    assert_eq!(stream.token, 1);
    assert_eq!(todo(&stream.messages), hello());
    assert_eq!(todo(&stream.messages), None, "it is open");
    let end = || GrpcEvent::Close {
        status: 0,
        message: String::new(),
    };
    assert_eq!(replacement.on_grpc(1, end()), Ok(true));
    assert_eq!(host.said(), ["1", "1"]);

    let exchange = begin(Role::Exchange {
        service: Arc::downgrade(&service),
        lease: None,
    });
    assert!(host.asked().is_empty());
    assert_eq!(exchange.on_grpc(1, end()), Ok(false), "nobody waits here");
    let HostAction::GrpcCall(stream) = &first[0] else {
        panic!("{first:?}");
    };
    assert_eq!(todo(&stream.messages), hello(), "the first is as it was");
    drop(service);
    assert_eq!(todo(&stream.messages), Some(GrpcNext::Reset));
}
