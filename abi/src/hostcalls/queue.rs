//! Shared queues.

use std::sync::Weak;

use super::call::{Answer, Call};
use super::grant;
use crate::host::{HostAction, Refusal};
use crate::limits::{ACTIONS_MAX, QUEUE_NAME_BYTES_MAX};
use crate::memory;
use crate::shared::Enqueued;
use crate::wire::types::Status;

/// The queue of that name in the plugin's own space; its notices come to this VM from now on, or to the one that works for
/// its root contexts.
pub(super) fn proxy_register_shared_queue(
    call: &mut Call<'_>,
    name: u32,
    name_size: u32,
    queue_out: u32,
) -> Answer {
    call.check_out(queue_out)?;
    let (memory, state) = call.parts();
    let name = memory::read(memory, name, name_size)?;
    if name.len() > QUEUE_NAME_BYTES_MAX {
        return Err(Status::InternalFailure.into());
    }
    let root = state.effective.root.ok_or(Status::InternalFailure)?;
    let consumer = Weak::clone(state.service.as_ref().unwrap_or(&state.vm));
    let queue = state.plugin.shared.register_queue(name, consumer, root);
    let queue = queue.ok_or(Status::InternalFailure)?;
    state.queues.retain(|(registered, _)| *registered != queue);
    state.queues.push((queue, root));
    Ok(call.write_u32(queue_out, queue)?)
}

/// No `vm_id` is the own one; another's queues are found only where they are granted.
pub(super) fn proxy_resolve_shared_queue(
    call: &mut Call<'_>,
    vm_id: u32,
    vm_id_size: u32,
    name: u32,
    name_size: u32,
    queue_out: u32,
) -> Answer {
    call.check_out(queue_out)?;
    let (memory, state) = call.parts();
    let vm_id = memory::read(memory, vm_id, vm_id_size)?;
    let name = memory::read(memory, name, name_size)?;
    let space = &state.plugin.shared;
    let queue = match std::str::from_utf8(vm_id) {
        Ok("") => space.resolve_queue(space.vm_id(), name),
        Ok(id) if id == space.vm_id() || state.plugin.grants.allows_queues(id) => {
            space.resolve_queue(id, name)
        }
        Ok(_) | Err(_) => {
            let missing = format!("queues: [{}]", grant::scalar(vm_id));
            grant::refuse(call, "proxy_resolve_shared_queue", missing);
            None
        }
    };
    Ok(call.write_u32(queue_out, queue.ok_or(Status::NotFound)?)?)
}

/// Tells the consumer, after this callback, once for each item.
pub(super) fn proxy_enqueue_shared_queue(
    call: &mut Call<'_>,
    queue: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    let (memory, state) = call.parts();
    let value = memory::read(memory, value, value_size)?;
    let found = state
        .plugin
        .shared
        .queue(queue, |vm_id| state.plugin.grants.allows_queues(vm_id))
        .ok_or(Status::NotFound)?;
    let outcome = if state.actions.len() < ACTIONS_MAX {
        found.enqueue(value, state.plugin.limits.queue)
    } else {
        Enqueued::Full
    };
    match outcome {
        Enqueued::Notify(consumer, root) => {
            state.actions.push(HostAction::QueueReady {
                consumer,
                root,
                queue,
            });
            Ok(())
        }
        Enqueued::Silent => Ok(()),
        Enqueued::Full => {
            call.refused(Refusal::QueueFull);
            Ok(())
        }
    }
}

pub(super) fn proxy_dequeue_shared_queue(
    call: &mut Call<'_>,
    queue: u32,
    value_pointer_out: u32,
    value_size_out: u32,
) -> Answer {
    // Before the item leaves its queue: it would be lost with a bad address.
    call.check_out(value_pointer_out)?;
    call.check_out(value_size_out)?;
    let plugin = &call.state().plugin;
    let found = plugin
        .shared
        .queue(queue, |vm_id| plugin.grants.allows_queues(vm_id))
        .ok_or(Status::NotFound)?;
    let item = found.dequeue().ok_or(Status::Empty)?;
    call.give(&item, value_pointer_out, value_size_out)
}
