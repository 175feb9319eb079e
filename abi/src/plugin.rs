//! A plugin: a module, its configuration, its limits and its grants.

use std::sync::Arc;

use crate::grants::Grants;
use crate::hostcalls::{CALL_FOREIGN, INJECT, INJECT_FOREIGN};
use crate::limits::Limits;
use crate::module::Module;
use crate::shared::Space;

/// What VMs are started from. Immutable: a changed plugin is another one.
pub struct Plugin {
    /// The property `plugin_name`.
    pub name: String,
    /// The property `plugin_root_id`, by which SDKs choose among root contexts.
    pub root_id: String,
    /// The property `plugin_vm_id`; names the space of shared data and queues.
    pub vm_id: String,
    /// What `proxy_on_vm_start` may read.
    pub vm_config: Vec<u8>,
    /// The plugin configuration of each root context; the first is the base, the others are overrides by routes.
    pub roots: Vec<Vec<u8>>,
    /// The whole environment that the guest sees.
    pub env: Vec<(String, String)>,
    /// What it may do outside of its exchange, and what of its exchange it may not.
    pub grants: Grants,
    /// Bounds on what one VM may use.
    pub limits: Limits,
    /// The compiled code.
    pub module: Module,
    /// Shared data and queues of `vm_id`.
    pub shared: Arc<Space>,
}

impl Plugin {
    /// Whether it could add to a response body by [`Stream::inject_response_body`]: it imports what does so, and may.
    ///
    /// [`Stream::inject_response_body`]: crate::Stream::inject_response_body
    pub fn injects(&self) -> bool {
        let imports = &self.module.report().imports;
        let imports = |name: &str| imports.iter().any(|import| import.name == name);
        let mut foreign = INJECT_FOREIGN.iter();
        self.grants.response_body.write
            && (imports(INJECT)
                || imports(CALL_FOREIGN) && foreign.any(|name| self.grants.allows_foreign(name)))
    }
}
