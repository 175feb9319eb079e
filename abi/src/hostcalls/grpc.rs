//! gRPC callouts: not made by this host yet. The answers are those that SDKs turn into an error of the call.

use super::call::{Answer, Call};
use crate::host::Refusal;
use crate::wire::types::Status;

#[allow(clippy::too_many_arguments, reason = "the specification's")]
pub(super) fn proxy_grpc_call(
    call: &mut Call<'_>,
    upstream: u32,
    upstream_size: u32,
    service: u32,
    service_size: u32,
    method: u32,
    method_size: u32,
    metadata: u32,
    metadata_size: u32,
    message: u32,
    message_size: u32,
    _timeout: i32,
    token_out: u32,
) -> Answer {
    call.read(message, message_size)?;
    let ranges = [
        (upstream, upstream_size),
        (service, service_size),
        (method, method_size),
        (metadata, metadata_size),
    ];
    refuse(call, "proxy_grpc_call", &ranges, token_out)
}

#[allow(clippy::too_many_arguments, reason = "the specification's")]
pub(super) fn proxy_grpc_stream(
    call: &mut Call<'_>,
    upstream: u32,
    upstream_size: u32,
    service: u32,
    service_size: u32,
    method: u32,
    method_size: u32,
    metadata: u32,
    metadata_size: u32,
    token_out: u32,
) -> Answer {
    let ranges = [
        (upstream, upstream_size),
        (service, service_size),
        (method, method_size),
        (metadata, metadata_size),
    ];
    refuse(call, "proxy_grpc_stream", &ranges, token_out)
}

fn refuse(
    call: &mut Call<'_>,
    name: &'static str,
    ranges: &[(u32, u32)],
    token_out: u32,
) -> Answer {
    for (pointer, size) in ranges {
        call.read(*pointer, *size)?;
    }
    call.check_out(token_out)?;
    call.refused(Refusal::Unavailable { call: name });
    Err(Status::InternalFailure.into())
}

pub(super) fn proxy_grpc_send(
    call: &mut Call<'_>,
    _token: u32,
    message: u32,
    message_size: u32,
    _end_of_stream: u32,
) -> Answer {
    call.read(message, message_size)?;
    Err(Status::NotFound.into())
}

pub(super) fn proxy_grpc_cancel(_: &mut Call<'_>, _token: u32) -> Answer {
    Err(Status::NotFound.into())
}

pub(super) fn proxy_grpc_close(_: &mut Call<'_>, _token: u32) -> Answer {
    Err(Status::NotFound.into())
}
