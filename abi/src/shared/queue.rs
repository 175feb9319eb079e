//! A shared queue: first in, first out, bounded, with one consumer told of each item.

use std::collections::VecDeque;
use std::sync::Weak;

use parking_lot::Mutex;

use crate::limits::QUEUE_ITEMS_MAX;
use crate::vm::{ContextId, Vm};

pub(crate) struct Queue {
    id: u32,
    vm_id: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Vec<u8>>,
    bytes: usize,
    consumer: Option<(Weak<Vm>, ContextId)>,
}

/// What became of an item.
pub(crate) enum Enqueued {
    /// It waits; tell the consumer.
    Notify(Weak<Vm>, ContextId),
    /// It waits; nobody consumes.
    Silent,
    /// No room: dropped.
    Full,
}

impl Queue {
    pub(super) fn new(id: u32, vm_id: String) -> Self {
        Self {
            id,
            vm_id,
            state: Mutex::default(),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn vm_id(&self) -> &str {
        &self.vm_id
    }

    /// Points the notices at the latest registrant.
    pub(crate) fn consume(&self, vm: Weak<Vm>, root: ContextId) {
        self.state.lock().consumer = Some((vm, root));
    }

    /// Puts an item at the end, where no more than `bytes_max` wait then.
    pub(crate) fn enqueue(&self, item: &[u8], bytes_max: usize) -> Enqueued {
        let mut state = self.state.lock();
        if state.items.len() >= QUEUE_ITEMS_MAX
            || state.bytes.saturating_add(item.len()) > bytes_max
        {
            return Enqueued::Full;
        }
        state.bytes += item.len();
        state.items.push_back(item.to_vec());
        match &state.consumer {
            Some((vm, root)) => Enqueued::Notify(Weak::clone(vm), *root),
            None => Enqueued::Silent,
        }
    }

    pub(crate) fn dequeue(&self) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        let item = state.items.pop_front()?;
        state.bytes -= item.len();
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 100;

    #[test]
    fn items_come_out_in_order_and_a_full_queue_drops() {
        let queue = Queue::new(1, String::new());
        assert!(matches!(queue.enqueue(b"a", BYTES), Enqueued::Silent));
        queue.consume(Weak::new(), ContextId(3));
        assert!(matches!(
            queue.enqueue(b"b", BYTES),
            Enqueued::Notify(_, ContextId(3))
        ));
        assert_eq!(queue.dequeue().unwrap(), b"a");
        assert_eq!(queue.dequeue().unwrap(), b"b");
        assert!(queue.dequeue().is_none());

        assert!(matches!(
            queue.enqueue(&[0; BYTES], BYTES),
            Enqueued::Notify(..)
        ));
        assert!(matches!(queue.enqueue(b"x", BYTES), Enqueued::Full));
        queue.dequeue();
        for _ in 0..QUEUE_ITEMS_MAX {
            assert!(!matches!(queue.enqueue(b"", BYTES), Enqueued::Full));
        }
        assert!(matches!(queue.enqueue(b"", BYTES), Enqueued::Full));
    }
}
