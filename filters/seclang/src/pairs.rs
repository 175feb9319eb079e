//! Many names and values in one buffer, so that a request with a thousand arguments costs two allocations.

use std::ops::Range;

/// An ordered list of names and values; a name may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    bytes: Vec<u8>,
    /// Where the name ends and where the value ends; each begins where its predecessor ended.
    ends: Vec<(usize, usize)>,
}

impl Pairs {
    /// Adds a pair.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(name);
        let name_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((name_end, self.bytes.len()));
    }

    /// Adds a pair whose name and value are written in place. Neither may remove what the buffer already holds.
    pub(crate) fn push_with(
        &mut self,
        name: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        name(&mut self.bytes);
        let name_end = self.bytes.len();
        value(&mut self.bytes);
        self.ends.push((name_end, self.bytes.len()));
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Removes all pairs and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// The pair at `index`, from 0.
    pub fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let (name, value) = self.ranges(index)?;
        Some((self.bytes.get(name)?, self.bytes.get(value)?))
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    fn ranges(&self, index: usize) -> Option<(Range<usize>, Range<usize>)> {
        let (name_end, value_end) = *self.ends.get(index)?;
        let begin = match index.checked_sub(1) {
            Some(before) => self.ends.get(before)?.1,
            None => 0,
        };
        Some((begin..name_end, name_end..value_end))
    }
}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Pairs {
    fn from_iter<I: IntoIterator<Item = (&'a [u8], &'a [u8])>>(pairs: I) -> Self {
        let mut collected = Self::default();
        for (name, value) in pairs {
            collected.push(name, value);
        }
        collected
    }
}
