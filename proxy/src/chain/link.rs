//! What an exchange, or a connection, has of one plugin.

use std::sync::Arc;

use portcullis_abi::stream::SharedStream;
use portcullis_abi::vm::{ContextId, Fault, Vm};
use portcullis_config::model::OnFault;

use super::Slot;

/// The VM and the stream context in it. `None`: the plugin is skipped.
type Context = Option<(Arc<Vm>, ContextId)>;

/// See the module.
pub enum Link {
    /// Bound to a VM; no stream context yet.
    Bound(Arc<Vm>),
    Live(Arc<Vm>, ContextId),
    /// Skipped after a fault, or never bound.
    Skipped,
}

impl Link {
    /// Binds to a VM, for good. `None`: there is none (the plugin keeps failing, or is being replaced for longer than it
    /// may pause), and it denies.
    pub async fn bind(slot: &Slot) -> Option<Self> {
        let vm = match slot.pool.get() {
            Some(vm) => Some(vm),
            None => slot.pool.wait(slot.pause).await,
        };
        match (vm, slot.on_fault) {
            (Some(vm), _) => Some(Self::Bound(vm)),
            (None, OnFault::Skip) => Some(Self::Skipped),
            (None, OnFault::Deny) => None,
        }
    }

    /// The context, made where there is none yet. `None`: skipped.
    ///
    /// # Errors
    /// The VM that faulted.
    pub fn context(
        &mut self,
        slot: &Slot,
        index: usize,
        stream: &SharedStream,
    ) -> Result<Context, (Arc<Vm>, Fault)> {
        match self {
            Self::Skipped => Ok(None),
            Self::Live(vm, context) => Ok(Some((vm.clone(), *context))),
            Self::Bound(vm) => {
                let vm = vm.clone();
                let number = u16::try_from(index).unwrap_or(u16::MAX);
                match vm.create_stream(slot.root, stream, number) {
                    Ok(context) => {
                        *self = Self::Live(vm.clone(), context);
                        Ok(Some((vm, context)))
                    }
                    Err(fault) => Err((vm, fault)),
                }
            }
        }
    }
}
