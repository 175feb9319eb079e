//! Properties.

use super::call::{Answer, Call};
use super::grant;
use crate::limits::PROPERTY_BYTES_MAX;
use crate::memory;
use crate::wire::property::{self, normalised};
use crate::wire::types::Status;

/// What the host knows itself, then the exchange's properties, or the embedder's where there is no exchange.
pub(super) fn proxy_get_property(
    call: &mut Call<'_>,
    path: u32,
    path_size: u32,
    value_pointer_out: u32,
    value_size_out: u32,
) -> Answer {
    call.check_out(value_pointer_out)?;
    call.check_out(value_size_out)?;
    call.give_filled(value_pointer_out, value_size_out, |call, out| {
        let (memory, state) = call.parts();
        let path = normalised(memory::read(memory, path, path_size)?);
        let plugin = &state.plugin;
        let found = match path {
            b"plugin_name" => {
                out.extend_from_slice(plugin.name.as_bytes());
                true
            }
            b"plugin_root_id" => {
                out.extend_from_slice(plugin.root_id.as_bytes());
                true
            }
            b"plugin_vm_id" => {
                out.extend_from_slice(plugin.vm_id.as_bytes());
                true
            }
            path if !grant::reads_property(&plugin.grants, path) => {
                let missing = format!("properties: [{}]", grant::dotted(path));
                grant::refuse(call, "proxy_get_property", missing);
                false
            }
            // Higress: what the VM uses, in bytes.
            b"plugin_vm_memory" => {
                property::uint(u64::try_from(memory.len()).unwrap_or(u64::MAX), out);
                true
            }
            path => match &state.effective.stream {
                Some((stream, _)) => stream.lock().property(path, out),
                None => state.host.property(plugin, path, out),
            },
        };
        if found { Ok(()) } else { Err(Status::NotFound) }
    })
}

pub(super) fn proxy_set_property(
    call: &mut Call<'_>,
    path: u32,
    path_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    let (memory, state) = call.parts();
    let path = normalised(memory::read(memory, path, path_size)?);
    let value = memory::read(memory, value, value_size)?;
    if !state.plugin.grants.properties.property(path) {
        let missing = format!("properties: [{}]", grant::dotted(path));
        grant::refuse(call, "proxy_set_property", missing);
        return Ok(());
    }
    let fits = path.len().saturating_add(value.len()) <= PROPERTY_BYTES_MAX;
    let stored = match &state.effective.stream {
        Some((stream, _)) if fits => {
            let root = state.effective.root;
            let declared = root.and_then(|root| state.foreign.declaration(root, path));
            match declared {
                Some(declared) => stream.lock().set_declared_property(path, value, declared),
                None => stream.lock().set_property(path, value),
            }
        }
        Some(_) | None => false,
    };
    if stored {
        Ok(())
    } else {
        call.unavailable("proxy_set_property")
    }
}
