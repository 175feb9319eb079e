//! Which pools there are in this process, by what makes a plugin what it is.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use portcullis_abi::plugin::Plugin;
use sha2::{Digest, Sha256};

use super::Pool;

/// A plugin's identity: module, configurations, environment, limits and grants. The same means the same VMs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// `parts`: everything that a change of has to restart the plugin for.
    pub fn new<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// The pools in use. They live for as long as a generation holds them.
#[derive(Debug, Default)]
pub struct Registry(Mutex<HashMap<Key, Weak<Pool>>>);

impl Registry {
    pub fn find(&self, key: &Key) -> Option<Arc<Pool>> {
        self.0.lock().get(key)?.upgrade()
    }

    /// The pool that runs this very plugin.
    pub fn of(&self, plugin: &Arc<Plugin>) -> Option<Arc<Pool>> {
        let pools = self.0.lock();
        pools
            .values()
            .filter_map(Weak::upgrade)
            .find(|pool| Arc::ptr_eq(pool.plugin(), plugin))
    }

    pub fn insert(&self, key: Key, pool: &Arc<Pool>) {
        let mut pools = self.0.lock();
        pools.retain(|_, pool| pool.strong_count() > 0);
        pools.insert(key, Arc::downgrade(pool));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_parts_apart() {
        let key = |parts: &[&[u8]]| Key::new(parts.iter().copied());
        assert_eq!(key(&[b"ab", b"c"]), key(&[b"ab", b"c"]));
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_ne!(key(&[b"ab"]), key(&[b"ab", b""]));
    }
}
