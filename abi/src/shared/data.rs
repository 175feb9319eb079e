//! Shared data: values with compare-and-swap, bounded, the least recently used going first.
//!
//! Entries form a doubly linked list through a slab, newest at the head, so that a read costs no allocation.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::{SHARED_ENTRY_OVERHEAD_BYTES, SHARED_VALUE_BYTES_MAX};

/// What a stored value cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetOutcome {
    /// Entries that had to go.
    pub evicted: usize,
}

/// Why a value was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The value there has another compare-and-swap number.
    #[error("compare-and-swap mismatch")]
    CasMismatch,
    /// Larger than a value may be, or than the whole quota.
    #[error("the value is too large")]
    TooLarge,
}

#[derive(Default)]
pub(super) struct Data {
    places: HashMap<Arc<[u8]>, usize>,
    entries: Vec<Entry>,
    vacant: Vec<usize>,
    newest: Option<usize>,
    oldest: Option<usize>,
    bytes: usize,
    last_cas: u32,
}

struct Entry {
    key: Arc<[u8]>,
    value: Vec<u8>,
    cas: u32,
    newer: Option<usize>,
    older: Option<usize>,
}

impl Data {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&mut self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        let place = *self.places.get(key)?;
        self.touch(place);
        self.entries
            .get(place)
            .map(|entry| (entry.value.clone(), entry.cas))
    }

    pub(super) fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        cas: u32,
        quota: usize,
    ) -> Result<SetOutcome, SetError> {
        let place = self.places.get(key).copied();
        let current = place.and_then(|place| self.entries.get(place));
        if cas != 0 && current.is_some_and(|entry| entry.cas != cas) {
            return Err(SetError::CasMismatch);
        }
        let cost = cost(key, value);
        if value.len() > SHARED_VALUE_BYTES_MAX || cost > quota {
            return Err(SetError::TooLarge);
        }
        let cas = self.next_cas();
        match place {
            Some(place) => self.replace(place, value, cas),
            None => self.insert(key, value, cas),
        }
        // The entry just stored is the newest and fits alone, so it is never the one to go.
        let mut evicted = 0;
        while self.bytes > quota && self.remove_oldest() {
            evicted += 1;
        }
        Ok(SetOutcome { evicted })
    }

    fn next_cas(&mut self) -> u32 {
        self.last_cas = self.last_cas.checked_add(1).unwrap_or(1);
        self.last_cas
    }

    fn replace(&mut self, place: usize, value: &[u8], cas: u32) {
        if let Some(entry) = self.entries.get_mut(place) {
            self.bytes = self.bytes - entry.value.len() + value.len();
            entry.value.clear();
            entry.value.extend_from_slice(value);
            entry.value.shrink_to(value.len().saturating_mul(2));
            entry.cas = cas;
        }
        self.touch(place);
    }

    fn insert(&mut self, key: &[u8], value: &[u8], cas: u32) {
        let key: Arc<[u8]> = Arc::from(key);
        let entry = Entry {
            key: Arc::clone(&key),
            value: value.to_vec(),
            cas,
            newer: None,
            older: None,
        };
        self.bytes += cost(&entry.key, &entry.value);
        let place = match self.vacant.pop() {
            Some(place) => {
                if let Some(slot) = self.entries.get_mut(place) {
                    *slot = entry;
                }
                place
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        self.places.insert(key, place);
        self.push_newest(place);
    }

    fn remove_oldest(&mut self) -> bool {
        let Some(place) = self.oldest else {
            return false;
        };
        self.unlink(place);
        if let Some(entry) = self.entries.get_mut(place) {
            self.bytes -= cost(&entry.key, &entry.value);
            self.places.remove(&entry.key);
            entry.value = Vec::new();
            entry.key = Arc::from([]);
        }
        self.vacant.push(place);
        true
    }

    fn touch(&mut self, place: usize) {
        if self.newest != Some(place) {
            self.unlink(place);
            self.push_newest(place);
        }
    }

    fn unlink(&mut self, place: usize) {
        let Some((newer, older)) = self
            .entries
            .get(place)
            .map(|entry| (entry.newer, entry.older))
        else {
            return;
        };
        match newer.and_then(|newer| self.entries.get_mut(newer)) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        match older.and_then(|older| self.entries.get_mut(older)) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn push_newest(&mut self, place: usize) {
        let second = self.newest;
        if let Some(entry) = self.entries.get_mut(place) {
            entry.newer = None;
            entry.older = second;
        }
        match second.and_then(|second| self.entries.get_mut(second)) {
            Some(entry) => entry.newer = Some(place),
            None => self.oldest = Some(place),
        }
        self.newest = Some(place);
    }
}

fn cost(key: &[u8], value: &[u8]) -> usize {
    key.len()
        .saturating_add(value.len())
        .saturating_add(SHARED_ENTRY_OVERHEAD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: SetOutcome = SetOutcome { evicted: 0 };

    #[test]
    fn cas_numbers_are_never_zero_and_guard_the_value() {
        let mut data = Data {
            last_cas: u32::MAX - 1,
            ..Data::default()
        };
        assert_eq!(data.set(b"", b"empty key", 0, 1000), Ok(NONE));
        let (value, cas) = data.get(b"").unwrap();
        assert_eq!((value.as_slice(), cas), (&b"empty key"[..], u32::MAX));
        assert_eq!(
            data.set(b"", b"x", cas - 1, 1000),
            Err(SetError::CasMismatch)
        );
        assert_eq!(data.set(b"", b"x", cas, 1000), Ok(NONE));
        assert_eq!(data.get(b"").unwrap(), (b"x".to_vec(), 1));
        assert_eq!(data.set(b"absent", b"y", 77, 1000), Ok(NONE));
        assert_eq!(data.get(b"absent").unwrap().0, b"y");
    }

    #[test]
    fn the_least_recently_used_entries_go() {
        let entry = SHARED_ENTRY_OVERHEAD_BYTES + 2;
        let mut data = Data::default();
        for key in [b"a", b"b", b"c"] {
            assert_eq!(data.set(key, b"1", 0, 3 * entry), Ok(NONE));
        }
        data.get(b"a");
        assert_eq!(
            data.set(b"d", b"1", 0, 3 * entry),
            Ok(SetOutcome { evicted: 1 })
        );
        assert!(data.get(b"b").is_none());
        assert_eq!(
            data.set(b"e", &[b'x'; 100], 0, 3 * entry),
            Ok(SetOutcome { evicted: 2 })
        );
        assert!(data.get(b"e").is_some());
        assert_eq!(
            data.set(b"f", &[0; 1000], 0, 3 * entry),
            Err(SetError::TooLarge)
        );
        assert_eq!(
            data.set(b"f", &vec![0; SHARED_VALUE_BYTES_MAX + 1], 0, 1 << 30),
            Err(SetError::TooLarge)
        );
    }

    #[test]
    fn the_list_agrees_with_a_plain_model() {
        let quota = 20 * (SHARED_ENTRY_OVERHEAD_BYTES + 9);
        let mut data = Data::default();
        let mut model: Vec<(u8, Vec<u8>)> = Vec::new(); // oldest first
        let mut seed = 7_u64;
        for _ in 0..20_000 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let key = (seed >> 40) as u8 % 40;
            let at = model.iter().position(|(k, _)| *k == key);
            if seed >> 63 == 0 {
                let found = data.get(&[key]).map(|(value, _)| value);
                assert_eq!(found, at.map(|at| model[at].1.clone()));
                if let Some(at) = at {
                    let entry = model.remove(at);
                    model.push(entry);
                }
            } else {
                let value = vec![key; (seed >> 50) as usize % 9];
                data.set(&[key], &value, 0, quota).unwrap();
                if let Some(at) = at {
                    model.remove(at);
                }
                model.push((key, value));
                let total = |model: &[(u8, Vec<u8>)]| {
                    model.iter().map(|(_, v)| cost(&[0], v)).sum::<usize>()
                };
                while total(&model) > quota {
                    model.remove(0);
                }
                assert_eq!(data.bytes(), total(&model));
            }
        }
        assert!(data.entries.len() <= 24);
    }
}
