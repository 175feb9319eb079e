//! Buffers: bodies, configurations, a callout's answer.

use super::call::{Answer, Call};
use super::grant;
use crate::memory;
use crate::vm::State;
use crate::wire::types::{BufferType, Status};

/// ABI 0.1.0: the plugin configuration while it is being configured, else the VM configuration.
pub(super) fn proxy_get_configuration(
    call: &mut Call<'_>,
    data_pointer_out: u32,
    data_size_out: u32,
) -> Answer {
    call.give_filled(data_pointer_out, data_size_out, |call, out| {
        let state = call.state();
        out.extend_from_slice(
            state
                .plugin_configuration()
                .unwrap_or(&state.plugin.vm_config),
        );
        Ok::<_, Status>(())
    })
}

/// Bytes from `start`, at most `max_size`. A start beyond the end gives no bytes.
pub(super) fn proxy_get_buffer_bytes(
    call: &mut Call<'_>,
    buffer: u32,
    start: u32,
    max_size: u32,
    data_pointer_out: u32,
    data_size_out: u32,
) -> Answer {
    let buffer = BufferType::try_from(buffer)?;
    check_read(call, "proxy_get_buffer_bytes", buffer)?;
    call.give_filled(data_pointer_out, data_size_out, |call, out| {
        with_buffer(call.state(), buffer, |bytes| {
            let tail = bytes.get(memory::index(start)..).unwrap_or_default();
            out.extend_from_slice(tail.get(..memory::index(max_size)).unwrap_or(tail));
        })
        .ok_or(Status::NotFound)
    })
}

/// `start` 0 replaces `size` bytes (0: prepends); a start at or beyond the end appends; another makes no sense, as in
/// Envoy, and has no effect.
pub(super) fn proxy_set_buffer_bytes(
    call: &mut Call<'_>,
    buffer: u32,
    start: u32,
    size: u32,
    data: u32,
    data_size: u32,
) -> Answer {
    const NAME: &str = "proxy_set_buffer_bytes";
    let buffer = BufferType::try_from(buffer)?;
    let (memory, state) = call.parts();
    let data = memory::read(memory, data, data_size)?;
    if let Some((access, side)) = grant::body(&state.plugin.grants, buffer)
        && !access.write
    {
        grant::refuse(call, NAME, format!("body: {{ {side}: {{ write: true }} }}"));
        return Ok(());
    }
    let Some((stream, _)) = state.effective.body_stream(buffer) else {
        return call.unavailable(NAME);
    };
    let mut stream = stream.lock();
    let Some(visible) = stream.body(buffer).map(<[u8]>::len) else {
        drop(stream);
        return call.unavailable(NAME);
    };
    let (start, size) = match memory::index(start) {
        0 => (0, memory::index(size).min(visible)),
        start if start >= visible => (visible, 0),
        _ => {
            drop(stream);
            return call.unavailable(NAME);
        }
    };
    let done = stream.splice_body(buffer, start, size, data);
    drop(stream);
    if done { Ok(()) } else { call.unavailable(NAME) }
}

/// Size in bytes, and flags, of which there are none.
pub(super) fn proxy_get_buffer_status(
    call: &mut Call<'_>,
    buffer: u32,
    size_out: u32,
    flags_out: u32,
) -> Answer {
    let buffer = BufferType::try_from(buffer)?;
    call.check_out(size_out)?;
    call.check_out(flags_out)?;
    check_read(call, "proxy_get_buffer_status", buffer)?;
    let size = with_buffer(call.state(), buffer, <[u8]>::len).ok_or(Status::NotFound)?;
    call.write_u32(size_out, u32::try_from(size).unwrap_or(u32::MAX))?;
    call.write_u32(flags_out, 0)?;
    Ok(())
}

/// A body that the plugin may not read is as good as none.
fn check_read(call: &Call<'_>, name: &'static str, buffer: BufferType) -> Result<(), Status> {
    match grant::body(&call.state().plugin.grants, buffer) {
        Some((access, side)) if !access.read => {
            grant::refuse(call, name, format!("body: {{ {side}: {{ read: true }} }}"));
            Err(Status::NotFound)
        }
        _ => Ok(()),
    }
}

/// Shows a buffer; `None` where there is none of that kind now.
fn with_buffer<R>(state: &State, buffer: BufferType, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
    match buffer {
        BufferType::RequestBody
        | BufferType::ResponseBody
        | BufferType::DownstreamData
        | BufferType::UpstreamData => {
            let (stream, _) = state.effective.stream.as_ref()?;
            stream.lock().body(buffer).map(read)
        }
        BufferType::HttpCallResponseBody => state.callouts.http_body().map(read),
        BufferType::GrpcCallMessage => state.callouts.grpc_message().map(read),
        BufferType::VmConfiguration => Some(read(&state.plugin.vm_config)),
        BufferType::PluginConfiguration => state.plugin_configuration().map(read),
        BufferType::CallData => state.callouts.call_data().map(read),
    }
}
