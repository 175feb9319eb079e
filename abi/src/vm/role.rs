//! What a VM is for.

use std::any::Any;
use std::sync::{Arc, Weak};

use super::Vm;

/// What a VM is for: see [`Vm::begin`].
#[derive(Default)]
pub enum Role {
    /// Holds any number of exchanges, and does what root contexts ask for: ticks, queues, callouts of the start.
    #[default]
    Service,
    /// Holds one exchange, and then ends without a word to its root contexts.
    ///
    /// The root contexts of such a VM do no work: what they asked for at the start was done for the `service` VM, and a
    /// tick asked for later has no effect. Queues registered later are consumed by `service`. Callouts are answered to
    /// the VM that asked.
    Exchange {
        /// The VM of the same plugin that works for the root contexts.
        service: Weak<Vm>,
        /// Dropped with the VM: a place among so many, for example.
        lease: Option<Arc<dyn Any + Send + Sync>>,
    },
}

impl Role {
    /// What the VM of an exchange was given to hold, where it is of that type.
    pub fn lease<T: Any>(&self) -> Option<&T> {
        match self {
            Self::Exchange { lease, .. } => lease.as_ref()?.downcast_ref(),
            Self::Service => None,
        }
    }

    /// The VM that works for the root contexts; `None`: this one.
    pub(super) fn service(&self) -> Option<&Weak<Vm>> {
        match self {
            Self::Service => None,
            Self::Exchange { service, .. } => Some(service),
        }
    }
}
