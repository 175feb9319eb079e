//! Filter state: what plugins leave for later ones, by Envoy's keys.

use std::collections::HashMap;

/// Keys and values kept for one exchange, or for one connection, in bytes: bounds what guests may keep.
const BYTES_MAX: usize = 1 << 20;

/// What a module sets as `name` is kept as `wasm.name`, as in Envoy.
const WASM: &[u8] = b"wasm.";

/// Objects of Envoy that hold a text: what `set_envoy_filter_state` may set.
const TEXTS: [&str; 3] = [
    "envoy.string",
    "envoy.tcp_proxy.cluster",
    "envoy.network.upstream_server_name",
];

/// See the module.
#[derive(Debug, Default)]
pub struct FilterState {
    entries: HashMap<Vec<u8>, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    read_only: bool,
}

impl FilterState {
    /// A property of modules, by the path it was set with.
    pub fn property(&self, path: &[u8]) -> Option<&[u8]> {
        self.get(&[WASM, path].concat())
    }

    /// By its key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.entries.get(key).map(|entry| entry.value.as_slice())
    }

    /// All, by key, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries
            .iter()
            .map(|(key, entry)| (key.as_slice(), entry.value.as_slice()))
    }

    /// False: it is read-only, or there is no room.
    pub fn set_property(&mut self, path: &[u8], value: &[u8], read_only: bool) -> bool {
        self.set([WASM, path].concat(), value, read_only)
    }

    /// False: no object of that key.
    pub fn set_object(&mut self, key: &str, value: &[u8]) -> bool {
        TEXTS.contains(&key) && self.set(key.as_bytes().to_vec(), value, false)
    }

    fn set(&mut self, key: Vec<u8>, value: &[u8], read_only: bool) -> bool {
        let old = self.entries.get(&key);
        if old.is_some_and(|entry| entry.read_only) {
            return false;
        }
        let freed = old.map_or(0, |entry| key.len() + entry.value.len());
        let bytes = self.bytes - freed + key.len() + value.len();
        if bytes > BYTES_MAX {
            return false;
        }
        self.bytes = bytes;
        let value = value.to_vec();
        self.entries.insert(key, Entry { value, read_only });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_by_path_and_by_key() {
        let mut state = FilterState::default();
        assert!(state.set_property(b"a\0b", b"1", false));
        assert!(state.set_property(b"a\0b", b"2", false));
        assert_eq!(state.property(b"a\0b"), Some(&b"2"[..]));
        assert_eq!(state.get(b"wasm.a\0b"), Some(&b"2"[..]));
        assert_eq!(state.property(b"a"), None);
        assert_eq!(state.iter().count(), 1);
    }

    #[test]
    fn what_is_read_only_is_set_once() {
        let mut state = FilterState::default();
        assert!(state.set_property(b"a", b"1", true));
        assert!(!state.set_property(b"a", b"2", true));
        assert!(!state.set_property(b"a", b"2", false));
        assert_eq!(state.property(b"a"), Some(&b"1"[..]));
    }

    #[test]
    fn only_known_objects_are_set() {
        let mut state = FilterState::default();
        assert!(state.set_object("envoy.tcp_proxy.cluster", b"other"));
        assert!(!state.set_object("envoy.something_else", b"other"));
        assert_eq!(state.get(b"envoy.tcp_proxy.cluster"), Some(&b"other"[..]));
        assert_eq!(state.property(b"envoy.tcp_proxy.cluster"), None);
    }

    #[test]
    fn it_is_bounded_and_what_is_replaced_makes_room() {
        let mut state = FilterState::default();
        let half = vec![0; BYTES_MAX / 2];
        assert!(state.set_property(b"a", &half, false));
        assert!(!state.set_property(b"b", &half, false));
        assert!(state.set_property(b"a", b"", false));
        assert!(state.set_property(b"b", &half, false));
    }
}
