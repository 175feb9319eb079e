//! HTTP callouts.

use std::time::Duration;

use super::call::{Answer, Call};
use super::grant;
use super::reply::breaks_a_line;
use crate::host::{HostAction, HttpCall, Refusal};
use crate::limits::{ACTIONS_MAX, CALLOUT_BODY_BYTES_MAX};
use crate::vm::Callout;
use crate::wire::pairs;
use crate::wire::types::Status;

const NAME: &str = "proxy_http_call";

/// Pseudo headers that a request cannot be made without.
const REQUIRED: [&[u8]; 3] = [b":method", b":path", b":authority"];

/// Checks a call and leaves it to the embedder after the callback. It belongs to the root of the effective context.
#[allow(clippy::too_many_arguments, reason = "the specification's")]
pub(super) fn proxy_http_call(
    call: &mut Call<'_>,
    upstream: u32,
    upstream_size: u32,
    headers: u32,
    headers_size: u32,
    body: u32,
    body_size: u32,
    trailers: u32,
    trailers_size: u32,
    timeout: i32,
    token_out: u32,
) -> Answer {
    call.check_out(token_out)?;
    let upstream = call.read(upstream, upstream_size)?;
    let headers = call.read(headers, headers_size)?;
    let body = call.read(body, body_size)?;
    let trailers = call.read(trailers, trailers_size)?;
    let upstream = std::str::from_utf8(upstream).map_err(|_| Status::BadArgument)?;
    let timeout = u64::try_from(timeout).map_err(|_| Status::BadArgument)?;
    let headers = pairs::decode_owned(headers).map_err(|_| Status::BadArgument)?;
    let trailers = pairs::decode_owned(trailers).map_err(|_| Status::BadArgument)?;
    if body.len() > CALLOUT_BODY_BYTES_MAX {
        call.refused(Refusal::Unavailable { call: NAME });
        return Err(Status::InternalFailure.into());
    }
    check_headers(call, &headers, &trailers)?;
    check_upstream(call, upstream)?;
    let root = call.state().effective.root.ok_or(Status::BadArgument)?;
    let request = HttpCall {
        token: 0, // below, once nothing can refuse it
        upstream: upstream.to_owned(),
        headers,
        body: body.to_vec(),
        trailers,
        timeout: (timeout != 0).then(|| Duration::from_millis(timeout)),
    };
    let state = call.state_mut();
    let limit = state.plugin.limits.callouts;
    let room = state.actions.len() < ACTIONS_MAX;
    let Some(token) = room
        .then(|| state.callouts.open(root, limit, Callout::Http))
        .flatten()
    else {
        call.refused(Refusal::TooManyCallouts);
        return Err(Status::InternalFailure.into());
    };
    state
        .actions
        .push(HostAction::HttpCall(HttpCall { token, ..request }));
    Ok(call.write_u32(token_out, token)?)
}

type Pairs = [(Vec<u8>, Vec<u8>)];

fn check_headers(call: &Call<'_>, headers: &Pairs, trailers: &Pairs) -> Result<(), Status> {
    if !REQUIRED.iter().all(|name| {
        headers
            .iter()
            .any(|(key, value)| key == name && !value.is_empty())
    }) {
        return Err(Status::BadArgument);
    }
    if headers
        .iter()
        .chain(trailers)
        .any(|(name, value)| breaks_a_line(name) || breaks_a_line(value))
    {
        call.refused(Refusal::InvalidHeader);
        return Err(Status::BadArgument);
    }
    Ok(())
}

fn check_upstream(call: &Call<'_>, upstream: &str) -> Result<(), Status> {
    let state = call.state();
    if !state.plugin.grants.allows_http_call(upstream) {
        let upstream = grant::scalar(upstream.as_bytes());
        grant::refuse(call, NAME, format!("http_call: [{upstream}]"));
        return Err(Status::BadArgument);
    }
    if !state.host.has_upstream(upstream) {
        call.refused(Refusal::Unavailable { call: NAME });
        return Err(Status::BadArgument);
    }
    Ok(())
}

/// Of the callout whose answer is being given; (0, "") elsewhere.
pub(super) fn proxy_get_status(
    call: &mut Call<'_>,
    code_out: u32,
    message_pointer_out: u32,
    message_size_out: u32,
) -> Answer {
    call.check_out(code_out)?;
    let (code, message) = call.state().callouts.status();
    let message = message.to_owned();
    call.give(message.as_bytes(), message_pointer_out, message_size_out)?;
    Ok(call.write_u32(code_out, code)?)
}
