//! What VMs share: one space of data and queues for each `vm_id`, process-wide.

mod data;
mod queue;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::limits::QUEUES_MAX;
use crate::vm::{ContextId, Vm};

use data::Data;
pub use data::{SetError, SetOutcome};
pub(crate) use queue::{Enqueued, Queue};

/// The registry of spaces. One a process: two registries share nothing.
#[derive(Clone, Default)]
pub struct Spaces {
    registry: Arc<Registry>,
}

#[derive(Default)]
struct Registry {
    spaces: Mutex<HashMap<String, Weak<Space>>>,
    /// Queue ids are unique in the whole registry, so a granted VM may name another space's queue.
    queues: Mutex<HashMap<u32, Weak<Queue>>>,
    last_queue: AtomicU32,
}

impl Spaces {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The space of `vm_id`, made where there is none. It lives as long as somebody holds it.
    pub fn space(&self, vm_id: &str) -> Arc<Space> {
        let mut spaces = self.registry.spaces.lock();
        if let Some(space) = spaces.get(vm_id).and_then(Weak::upgrade) {
            return space;
        }
        spaces.retain(|_, space| space.strong_count() > 0);
        let space = Arc::new(Space {
            vm_id: vm_id.to_owned(),
            registry: Arc::clone(&self.registry),
            data: Mutex::default(),
            queues: Mutex::default(),
        });
        spaces.insert(vm_id.to_owned(), Arc::downgrade(&space));
        space
    }
}

/// Shared data and queues of one `vm_id`.
pub struct Space {
    vm_id: String,
    registry: Arc<Registry>,
    data: Mutex<Data>,
    queues: Mutex<HashMap<Vec<u8>, Arc<Queue>>>,
}

impl Space {
    /// The id that names this space.
    pub fn vm_id(&self) -> &str {
        &self.vm_id
    }

    /// A value and its compare-and-swap number, which is never 0.
    pub fn get(&self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.data.lock().get(key)
    }

    /// Stores a value. `cas` 0 stores always; another number only over the value that has it, or where there is none.
    /// Beyond `quota` bytes the entries used least recently go.
    ///
    /// # Errors
    /// Another number, or a value that does not fit at all.
    pub fn set(
        &self,
        key: &[u8],
        value: &[u8],
        cas: u32,
        quota: usize,
    ) -> Result<SetOutcome, SetError> {
        self.data.lock().set(key, value, cas, quota)
    }

    /// Bytes that count against the quota.
    pub fn bytes(&self) -> usize {
        self.data.lock().bytes()
    }

    /// The queue of that name, made where there is none; its notices go to `consumer` from now on.
    /// `None`: too many queues.
    pub(crate) fn register_queue(
        &self,
        name: &[u8],
        consumer: Weak<Vm>,
        root: ContextId,
    ) -> Option<u32> {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get(name) {
            queue.consume(consumer, root);
            return Some(queue.id());
        }
        if queues.len() >= QUEUES_MAX {
            return None;
        }
        let id = self
            .registry
            .last_queue
            .fetch_add(1, Ordering::Relaxed)
            .checked_add(1)?;
        let queue = Arc::new(Queue::new(id, self.vm_id.clone()));
        queue.consume(consumer, root);
        let mut all = self.registry.queues.lock();
        all.retain(|_, queue| queue.strong_count() > 0);
        all.insert(id, Arc::downgrade(&queue));
        queues.insert(name.to_vec(), queue);
        Some(id)
    }

    /// The id of the queue `name` in the space of `vm_id`.
    pub(crate) fn resolve_queue(&self, vm_id: &str, name: &[u8]) -> Option<u32> {
        if vm_id == self.vm_id {
            return self.queues.lock().get(name).map(|queue| queue.id());
        }
        let space = self
            .registry
            .spaces
            .lock()
            .get(vm_id)
            .and_then(Weak::upgrade)?;
        space.queues.lock().get(name).map(|queue| queue.id())
    }

    /// A queue by id: this space's own, or one of a `vm_id` that is granted.
    pub(crate) fn queue(&self, id: u32, granted: impl Fn(&str) -> bool) -> Option<Arc<Queue>> {
        let queue = self
            .registry
            .queues
            .lock()
            .get(&id)
            .and_then(Weak::upgrade)?;
        (queue.vm_id() == self.vm_id || granted(queue.vm_id())).then_some(queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_is_found_by_its_id_and_goes_with_its_last_holder() {
        let spaces = Spaces::new();
        let a = spaces.space("a");
        a.set(b"k", b"v", 0, 1000).unwrap();
        assert_eq!(spaces.space("a").get(b"k").unwrap().0, b"v");
        assert!(spaces.space("b").get(b"k").is_none());
        drop(a);
        assert!(spaces.space("a").get(b"k").is_none());
    }

    #[test]
    fn compare_and_swap_is_exact_under_eight_threads() {
        let space = Spaces::new().space("counter");
        space.set(b"n", &0_u64.to_le_bytes(), 0, 1 << 20).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        loop {
                            let (value, cas) = space.get(b"n").unwrap();
                            let next = u64::from_le_bytes(value.try_into().unwrap()) + 1;
                            if space.set(b"n", &next.to_le_bytes(), cas, 1 << 20).is_ok() {
                                break;
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(space.get(b"n").unwrap().0, 8000_u64.to_le_bytes());
    }

    #[test]
    fn queues_are_named_by_space_and_idempotent() {
        let spaces = Spaces::new();
        let (a, b) = (spaces.space("a"), spaces.space("b"));
        let first = a.register_queue(b"q", Weak::new(), ContextId(1)).unwrap();
        assert_eq!(
            a.register_queue(b"q", Weak::new(), ContextId(2)),
            Some(first)
        );
        let second = b.register_queue(b"q", Weak::new(), ContextId(1)).unwrap();
        assert_ne!(first, second);
        assert_eq!(b.resolve_queue("a", b"q"), Some(first));
        assert_eq!(b.resolve_queue("b", b"q"), Some(second));
        assert_eq!(b.resolve_queue("c", b"q"), None);
        assert!(b.queue(first, |_| false).is_none());
        assert!(b.queue(first, |vm_id| vm_id == "a").is_some());
        drop(a);
        assert!(b.queue(first, |vm_id| vm_id == "a").is_none());
    }

    #[test]
    fn a_space_bounds_its_queues() {
        let space = Spaces::new().space("a");
        for n in 0..QUEUES_MAX {
            assert!(
                space
                    .register_queue(&n.to_le_bytes(), Weak::new(), ContextId(1))
                    .is_some()
            );
        }
        assert!(
            space
                .register_queue(b"one more", Weak::new(), ContextId(1))
                .is_none()
        );
    }
}
