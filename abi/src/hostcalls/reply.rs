//! Going on, ending, replying: the exchange records it and acts after the callback.

use super::call::{Answer, Call};
use crate::host::Refusal;
use crate::limits::REPLY_DETAILS_BYTES_MAX;
use crate::memory;
use crate::stream::{HeaderError, LocalResponse, Stream};
use crate::wire::pairs;
use crate::wire::types::StreamType;

/// Codes of gRPC, 0 (OK) to 16 (UNAUTHENTICATED).
const GRPC_STATUS_MAX: u32 = 16;

/// ABI 0.1.0
pub(super) fn proxy_continue_request(call: &mut Call<'_>) -> Answer {
    on_stream(call, "proxy_continue_request", |stream, slot| {
        stream.continue_stream(slot, StreamType::HttpRequest)
    })
}

/// ABI 0.1.0
pub(super) fn proxy_continue_response(call: &mut Call<'_>) -> Answer {
    on_stream(call, "proxy_continue_response", |stream, slot| {
        stream.continue_stream(slot, StreamType::HttpResponse)
    })
}

pub(super) fn proxy_clear_route_cache(call: &mut Call<'_>) -> Answer {
    on_stream(call, "proxy_clear_route_cache", |stream, slot| {
        stream.clear_route_cache(slot);
        true
    })
}

pub(super) fn proxy_continue_stream(call: &mut Call<'_>, stream: u32) -> Answer {
    let direction = StreamType::try_from(stream)?;
    on_stream(call, "proxy_continue_stream", |stream, slot| {
        stream.continue_stream(slot, direction)
    })
}

pub(super) fn proxy_close_stream(call: &mut Call<'_>, stream: u32) -> Answer {
    let direction = StreamType::try_from(stream)?;
    on_stream(call, "proxy_close_stream", |stream, slot| {
        stream.close_stream(slot, direction)
    })
}

#[allow(clippy::too_many_arguments, reason = "the specification's")]
pub(super) fn proxy_send_local_response(
    call: &mut Call<'_>,
    code: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    grpc_status: i32,
) -> Answer {
    const NAME: &str = "proxy_send_local_response";
    let (memory, state) = call.parts();
    let details = memory::read(memory, details, details_size)?;
    let body = memory::read(memory, body, body_size)?;
    let headers = memory::read(memory, headers, headers_size)?;
    let Some((stream, slot)) = &state.effective.stream else {
        return call.unavailable(NAME);
    };
    let Ok(headers) = pairs::decode_owned(headers) else {
        return call.unavailable(NAME);
    };
    if headers
        .iter()
        .any(|(name, value)| breaks_a_line(name) || breaks_a_line(value))
    {
        stream.lock().refuse(*slot, HeaderError::Invalid);
        call.refused(Refusal::InvalidHeader);
        return Ok(());
    }
    let response = LocalResponse {
        status: code,
        details: details_text(details),
        body: body.to_vec(),
        headers,
        grpc_status: u32::try_from(grpc_status)
            .ok()
            .filter(|status| *status <= GRPC_STATUS_MAX),
    };
    if stream.lock().send_local_response(*slot, response) {
        Ok(())
    } else {
        call.unavailable(NAME)
    }
}

/// Bytes that would end a header line, or that HTTP forbids everywhere in one (RFC 9110 section 5.5).
pub(super) fn breaks_a_line(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// One word for logs: blanks and control characters become underscores.
fn details_text(details: &[u8]) -> String {
    let details = details.get(..REPLY_DETAILS_BYTES_MAX).unwrap_or(details);
    String::from_utf8_lossy(details)
        .chars()
        .map(|char| {
            if char.is_whitespace() || char.is_control() {
                '_'
            } else {
                char
            }
        })
        .collect()
}

fn on_stream(
    call: &mut Call<'_>,
    name: &'static str,
    record: impl FnOnce(&mut dyn Stream, u16) -> bool,
) -> Answer {
    match &call.state().effective.stream {
        Some((stream, slot)) if record(&mut *stream.lock(), *slot) => Ok(()),
        Some(_) | None => call.unavailable(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_one_word() {
        assert_eq!(details_text(b"not allowed\r\nhere"), "not_allowed__here");
    }
}
