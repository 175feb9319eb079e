//! gRPC callouts: checked here, made by the embedder after the callback. Answers are those the Rust SDK survives: a call
//! that cannot be made is ParseFailure (no such upstream) or InternalFailure, one that is not there NotFound.

use std::time::Duration;

use super::call::{Answer, Call};
use super::grant;
use super::reply::breaks_a_line;
use crate::grpc::{self, GrpcCall, GrpcKind, GrpcTarget, Metadata, SendError};
use crate::host::{HostAction, Refusal};
use crate::limits::{ACTIONS_MAX, GRPC_MESSAGE_BYTES_MAX};
use crate::vm::{Callout, State, Unsent};
use crate::wire::types::Status;
use crate::wire::{pairs, protobuf};

/// A range of guest memory.
type Range = (u32, u32);

/// What a call and a stream have in common, as the guest points at it.
struct Request {
    name: &'static str,
    kind: GrpcKind,
    target: Range,
    service: Range,
    method: Range,
    metadata: Range,
    /// Of a call.
    message: Range,
    /// Of a call; milliseconds, 0 for none.
    timeout: i32,
    token_out: u32,
}

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
    timeout: i32,
    token_out: u32,
) -> Answer {
    let request = Request {
        name: "proxy_grpc_call",
        kind: GrpcKind::Unary,
        target: (upstream, upstream_size),
        service: (service, service_size),
        method: (method, method_size),
        metadata: (metadata, metadata_size),
        message: (message, message_size),
        timeout,
        token_out,
    };
    open(call, &request)
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
    let request = Request {
        name: "proxy_grpc_stream",
        kind: GrpcKind::Stream,
        target: (upstream, upstream_size),
        service: (service, service_size),
        method: (method, method_size),
        metadata: (metadata, metadata_size),
        message: (0, 0),
        timeout: 0,
        token_out,
    };
    open(call, &request)
}

fn open(call: &mut Call<'_>, request: &Request) -> Answer {
    call.check_out(request.token_out)?;
    let read = |(pointer, size): Range| call.read(pointer, size);
    let (target, message) = (read(request.target)?, read(request.message)?);
    let service = name(read(request.service)?);
    let method = name(read(request.method)?);
    let metadata = pairs::decode_owned(read(request.metadata)?);
    let timeout = u64::try_from(request.timeout);
    let (Some(service), Some(method), Ok(metadata), Ok(timeout)) =
        (service, method, metadata, timeout)
    else {
        return unable(call, request.name);
    };
    if message.len() > GRPC_MESSAGE_BYTES_MAX {
        return unable(call, request.name);
    }
    check_metadata(call, &metadata)?;
    let target = check_target(call, request.name, target)?;
    let (sender, messages) = grpc::queue();
    if let GrpcKind::Unary = request.kind {
        // An empty queue takes whatever is no larger than a message.
        if sender.send(message).is_err() {
            return unable(call, request.name);
        }
        sender.close();
    }
    let Some(root) = call.state().effective.root else {
        return unable(call, request.name);
    };
    let state = call.state_mut();
    let limit = state.plugin.limits.callouts;
    let room = state.actions.len() < ACTIONS_MAX;
    let callout = Callout::Grpc(request.kind, sender);
    let token = room.then(|| state.callouts.open(root, limit, callout));
    let Some(token) = token.flatten() else {
        call.refused(Refusal::TooManyCallouts);
        return Err(Status::InternalFailure.into());
    };
    state.actions.push(HostAction::GrpcCall(GrpcCall {
        token,
        kind: request.kind,
        target,
        service,
        method,
        metadata,
        timeout: (timeout != 0).then(|| Duration::from_millis(timeout)),
        messages,
    }));
    Ok(call.write_u32(request.token_out, token)?)
}

/// A call that cannot be made, whatever the configuration says.
fn unable(call: &Call<'_>, name: &'static str) -> Answer {
    call.refused(Refusal::Unavailable { call: name });
    Err(Status::InternalFailure.into())
}

/// A segment of the path `/service/method`: visible ASCII, and nothing that would end it.
fn name(bytes: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#' | b'%');
    if bytes.is_empty() || !bytes.iter().all(plain) {
        return None;
    }
    String::from_utf8(bytes.to_vec()).ok()
}

fn check_metadata(call: &Call<'_>, metadata: &Metadata) -> Result<(), Status> {
    let breaks = |(name, value): &(Vec<u8>, Vec<u8>)| breaks_a_line(name) || breaks_a_line(value);
    if metadata.iter().any(breaks) {
        call.refused(Refusal::InvalidHeader);
        return Err(Status::InternalFailure);
    }
    Ok(())
}

/// Who is meant, if the plugin may call it: the name of an upstream, or Envoy's `GrpcService`.
fn check_target(call: &Call<'_>, name: &'static str, target: &[u8]) -> Result<GrpcTarget, Status> {
    let state = call.state();
    let known = |target: &GrpcTarget| {
        let upstream = &target.upstream;
        state.plugin.grants.allows_grpc_call(upstream) && state.host.has_upstream(upstream)
    };
    let named = std::str::from_utf8(target).ok().map(|upstream| GrpcTarget {
        upstream: upstream.to_owned(),
        authority: String::new(),
    });
    // A name first: some names are messages as well.
    if let Some(target) = named.clone().filter(known) {
        return Ok(target);
    }
    let meant = envoy_grpc(target).or(named).ok_or(Status::ParseFailure)?;
    refuse_unknown(call, state, name, &meant)?;
    Ok(meant)
}

fn refuse_unknown(
    call: &Call<'_>,
    state: &State,
    name: &'static str,
    target: &GrpcTarget,
) -> Result<(), Status> {
    let upstream = &target.upstream;
    if !state.plugin.grants.allows_grpc_call(upstream) {
        let upstream = grant::scalar(upstream.as_bytes());
        grant::refuse(call, name, format!("grpc_call: [{upstream}]"));
        return Err(Status::InternalFailure);
    }
    if !state.host.has_upstream(upstream) {
        call.refused(Refusal::Unavailable { call: name });
        return Err(Status::ParseFailure);
    }
    Ok(())
}

/// `envoy_grpc` (1) of Envoy's `GrpcService`, in it `cluster_name` (1) and `authority` (2).
fn envoy_grpc(message: &[u8]) -> Option<GrpcTarget> {
    let mut inner = None;
    for field in protobuf::fields(message) {
        if let (1, value) = field.ok()? {
            inner = Some(value.bytes().ok()?);
        }
    }
    let mut target = GrpcTarget {
        upstream: String::new(),
        authority: String::new(),
    };
    for field in protobuf::fields(inner?) {
        match field.ok()? {
            (1, value) => target.upstream = value.text().ok()?.to_owned(),
            (2, value) => target.authority = value.text().ok()?.to_owned(),
            _ => {}
        }
    }
    (!target.upstream.is_empty()).then_some(target)
}

/// A message on a stream, which may be the last one.
pub(super) fn proxy_grpc_send(
    call: &mut Call<'_>,
    token: u32,
    message: u32,
    message_size: u32,
    end_of_stream: u32,
) -> Answer {
    const NAME: &str = "proxy_grpc_send";
    let (memory, state) = call.parts();
    let message = crate::memory::read(memory, message, message_size)?;
    if message.len() > GRPC_MESSAGE_BYTES_MAX {
        call.refused(Refusal::Unavailable { call: NAME });
        return Err(Status::BadArgument.into());
    }
    match state.callouts.send_grpc(token, message, end_of_stream != 0) {
        Ok(()) => Ok(()),
        Err(Unsent::NoStream) => Err(Status::NotFound.into()),
        Err(Unsent::Refused(SendError::Closed)) => {
            call.refused(Refusal::Unavailable { call: NAME });
            Err(Status::BadArgument.into())
        }
        Err(Unsent::Refused(SendError::Full)) => {
            call.refused(Refusal::GrpcQueueFull);
            Err(Status::BadArgument.into())
        }
    }
}

/// Resets a call or stream: no callback follows.
pub(super) fn proxy_grpc_cancel(call: &mut Call<'_>, token: u32) -> Answer {
    there_was(call.state_mut().callouts.cancel_grpc(token))
}

/// Closes the guest's side of a stream; a call is cancelled, as in Envoy.
pub(super) fn proxy_grpc_close(call: &mut Call<'_>, token: u32) -> Answer {
    there_was(call.state_mut().callouts.close_grpc(token))
}

fn there_was(call: bool) -> Answer {
    if call {
        Ok(())
    } else {
        Err(Status::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_of_a_grpc_service_is_read() {
        let target = |upstream: &str, authority: &str| GrpcTarget {
            upstream: upstream.to_owned(),
            authority: authority.to_owned(),
        };
        assert_eq!(
            envoy_grpc(b"\x0a\x06\x0a\x04auth"),
            Some(target("auth", ""))
        );
        // With a timeout (3) and an authority.
        assert_eq!(
            envoy_grpc(b"\x1a\x02\x08\x05\x0a\x0b\x0a\x04auth\x12\x03a:1"),
            Some(target("auth", "a:1"))
        );
        for other in [
            &b""[..],
            b"auth",
            b"\x0a\x00",
            b"\x12\x02\x0a\x00",
            b"\x0a\x06\x0a\x04\xff\xff\xff\xff",
            b"\x08\x01",
        ] {
            assert_eq!(envoy_grpc(other), None, "{other:?}");
        }
    }

    #[test]
    fn names_are_one_segment_of_a_path() {
        assert_eq!(name(b"a.b.Service"), Some("a.b.Service".to_owned()));
        for bad in [&b""[..], b"a/b", b"a b", b"a?b", b"a\r\n", b"\xc3\xa9"] {
            assert_eq!(name(bad), None, "{bad:?}");
        }
    }
}
