//! Header maps.

use std::sync::Arc;

use super::call::{Answer, Call};
use super::grant;
use crate::grants::Access;
use crate::host::Refusal;
use crate::limits::HEADER_BYTES_MAX;
use crate::memory;
use crate::stream::{HeaderError, Stream};
use crate::vm::State;
use crate::wire::pairs;
use crate::wire::types::{MapType, Status};

/// The first value of a name. ABI 0.1.0 has no way to say that there is none: it gives no bytes.
pub(super) fn proxy_get_header_map_value(
    call: &mut Call<'_>,
    map: u32,
    key: u32,
    key_size: u32,
    value_pointer_out: u32,
    value_size_out: u32,
) -> Answer {
    const NAME: &str = "proxy_get_header_map_value";
    let map = MapType::try_from(map)?;
    let (memory, state) = call.parts();
    let key = memory::read(memory, key, key_size)?;
    let value = if grant::reads_header(&state.plugin.grants, map, key) {
        header(state, map, key)
    } else {
        let key = key.to_vec();
        refuse(call, NAME, map, "read", &key);
        None
    };
    match value {
        Some(value) => call.give(&value, value_pointer_out, value_size_out),
        None if call.state().absent_header_is_empty => {
            call.give(&[], value_pointer_out, value_size_out)
        }
        None => {
            call.check_out(value_pointer_out)?;
            call.check_out(value_size_out)?;
            Err(Status::NotFound.into())
        }
    }
}

/// All pairs; no bytes where the map is empty or not there now.
pub(super) fn proxy_get_header_map_pairs(
    call: &mut Call<'_>,
    map: u32,
    pairs_pointer_out: u32,
    pairs_size_out: u32,
) -> Answer {
    let map = MapType::try_from(map)?;
    call.give_filled(pairs_pointer_out, pairs_size_out, |call, out| {
        with_headers(call.state(), map, |each| pairs::encode(each, out));
        Ok::<_, Status>(())
    })
}

/// Bytes of all names and values, as Envoy counts.
pub(super) fn proxy_get_header_map_size(call: &mut Call<'_>, map: u32, size_out: u32) -> Answer {
    let map = MapType::try_from(map)?;
    let mut size = 0_usize;
    with_headers(call.state(), map, |each| {
        each(&mut |key, value| size = size.saturating_add(key.len()).saturating_add(value.len()))
    });
    Ok(call.write_u32(size_out, u32::try_from(size).unwrap_or(u32::MAX))?)
}

pub(super) fn proxy_add_header_map_value(
    call: &mut Call<'_>,
    map: u32,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    let map = MapType::try_from(map)?;
    change(
        call,
        "proxy_add_header_map_value",
        map,
        Changed::Name,
        [(key, key_size), (value, value_size)],
        |stream, [key, value]| stream.add_header(map, key, value),
    )
}

pub(super) fn proxy_replace_header_map_value(
    call: &mut Call<'_>,
    map: u32,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    let map = MapType::try_from(map)?;
    change(
        call,
        "proxy_replace_header_map_value",
        map,
        Changed::Name,
        [(key, key_size), (value, value_size)],
        |stream, [key, value]| stream.replace_header(map, key, value),
    )
}

pub(super) fn proxy_remove_header_map_value(
    call: &mut Call<'_>,
    map: u32,
    key: u32,
    key_size: u32,
) -> Answer {
    let map = MapType::try_from(map)?;
    change(
        call,
        "proxy_remove_header_map_value",
        map,
        Changed::Name,
        [(key, key_size)],
        |stream, [key]| stream.remove_header(map, key),
    )
}

/// Bytes that are no map change nothing: an empty map in their place would wipe all headers. Headers that the plugin
/// may not write stay as they are, and so do those it cannot see.
pub(super) fn proxy_set_header_map_pairs(
    call: &mut Call<'_>,
    map: u32,
    pairs: u32,
    pairs_size: u32,
) -> Answer {
    let map = MapType::try_from(map)?;
    let plugin = Arc::clone(&call.state().plugin);
    change(
        call,
        "proxy_set_header_map_pairs",
        map,
        Changed::Map,
        [(pairs, pairs_size)],
        |stream, [bytes]| {
            let mut pairs = pairs::decode(bytes).map_err(|_| HeaderError::Unavailable)?;
            let Some((access, _)) = grant::headers(&plugin.grants, map) else {
                return stream.set_headers(map, &pairs);
            };
            if access.read == Access::All && access.write == Access::All {
                return stream.set_headers(map, &pairs);
            }
            pairs.retain(|(name, _)| access.write.header(name));
            let mut kept = Vec::new();
            stream.each_header(map, &mut |name, value| {
                let hidden = !access.read.header(name) || !access.write.header(name);
                if hidden && !pairs.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)) {
                    kept.push((name.to_vec(), value.to_vec()));
                }
            });
            let kept = kept.iter().map(|(name, value)| (&**name, &**value));
            let all: Vec<_> = kept.chain(pairs).collect();
            stream.set_headers(map, &all)
        },
    )
}

/// What of a map a call changes.
enum Changed {
    /// The header that its first range names.
    Name,
    /// All that the plugin may change.
    Map,
}

/// Runs a change of an exchange's headers on ranges of guest memory, and answers Ok whatever became of it: SDKs abort
/// on another status, and a client could bring that about. An invalid name or value fails the exchange instead.
fn change<const N: usize>(
    call: &mut Call<'_>,
    name: &'static str,
    map: MapType,
    changed: Changed,
    ranges: [(u32, u32); N],
    apply: impl FnOnce(&mut dyn Stream, [&[u8]; N]) -> Result<(), HeaderError>,
) -> Answer {
    let (memory, state) = call.parts();
    let mut bytes = [&[][..]; N];
    for (bytes, (pointer, size)) in bytes.iter_mut().zip(ranges) {
        *bytes = memory::read(memory, pointer, size)?;
    }
    if bytes.iter().map(|bytes| bytes.len()).sum::<usize>() > HEADER_BYTES_MAX {
        return call.unavailable(name);
    }
    if let (Changed::Name, Some((access, _)), Some(key)) = (
        changed,
        grant::headers(&state.plugin.grants, map),
        bytes.first(),
    ) && !access.write.header(key)
    {
        let key = key.to_vec();
        refuse(call, name, map, "write", &key);
        return Ok(());
    }
    let Some((stream, slot)) = state.effective.header_stream(map) else {
        return call.unavailable(name);
    };
    let mut stream = stream.lock();
    match apply(&mut *stream, bytes) {
        Ok(()) => Ok(()),
        Err(error @ HeaderError::Invalid) => {
            stream.refuse(*slot, error);
            drop(stream);
            call.refused(Refusal::InvalidHeader);
            Ok(())
        }
        Err(HeaderError::Unavailable | HeaderError::Reserved) => {
            drop(stream);
            call.unavailable(name)
        }
    }
}

/// A header that the plugin may not read or write.
fn refuse(call: &Call<'_>, name: &'static str, map: MapType, verb: &str, key: &[u8]) {
    if let Some((_, side)) = grant::headers(&call.state().plugin.grants, map) {
        let key = grant::scalar(key);
        grant::refuse(
            call,
            name,
            format!("headers: {{ {side}: {{ {verb}: [{key}] }} }}"),
        );
    }
}

fn header(state: &State, map: MapType, name: &[u8]) -> Option<Vec<u8>> {
    if let Some((stream, _)) = state.effective.header_stream(map) {
        return stream.lock().header(map, name);
    }
    let pairs = state.callouts.map(map)?;
    pairs
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.clone())
}

/// Gives a function that visits the pairs of a map that the plugin may read; it answers false where there is none.
fn with_headers<R>(
    state: &State,
    map: MapType,
    read: impl FnOnce(&mut dyn FnMut(&mut dyn FnMut(&[u8], &[u8])) -> bool) -> R,
) -> R {
    if let Some((stream, _)) = state.effective.header_stream(map) {
        let stream = stream.lock();
        let access = grant::headers(&state.plugin.grants, map).map(|(access, _)| &access.read);
        return match access {
            None | Some(Access::All) => read(&mut |visit| stream.each_header(map, visit)),
            Some(access) => read(&mut |visit| {
                stream.each_header(map, &mut |name, value| {
                    if access.header(name) {
                        visit(name, value);
                    }
                })
            }),
        };
    }
    let pairs = state.callouts.map(map);
    read(&mut |visit| {
        for (key, value) in pairs.into_iter().flatten() {
            visit(key, value);
        }
        pairs.is_some()
    })
}
