//! Sets of bytes: what a transformation reacts to, what a regular expression asks for.

use std::fmt;

/// A set of byte values, one bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const NONE: Self = Self([0; 4]);
    /// Every byte.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// The bytes that `bytes` lists.
    pub const fn listed(bytes: &[u8]) -> Self {
        let mut set = Self::NONE;
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            set = set.with(*first);
            rest = after;
        }
        set
    }

    /// The bytes from `first` to `last`, both included; empty if they are the wrong way round.
    pub const fn range(first: u8, last: u8) -> Self {
        let mut set = Self::NONE;
        let mut byte = first as usize;
        while byte <= last as usize {
            set = set.with(byte as u8);
            byte += 1;
        }
        set
    }

    /// The bytes that occur in `value`.
    pub fn of(value: &[u8]) -> Self {
        let mut set = Self::NONE;
        for &byte in value {
            set.insert(byte);
        }
        set
    }

    /// This set with `byte` in it.
    pub const fn with(mut self, byte: u8) -> Self {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
        self
    }

    /// Adds `byte`.
    pub fn insert(&mut self, byte: u8) {
        *self = self.with(byte);
    }

    /// Whether `byte` is in it.
    pub const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] & (1 << (byte & 63)) != 0
    }

    /// Whether the two have a byte in common.
    pub const fn intersects(&self, other: &Self) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        (a & e) | (b & f) | (c & g) | (d & h) != 0
    }

    /// The bytes of both.
    pub const fn union(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    /// The bytes that are not in it.
    pub const fn complement(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([!a, !b, !c, !d])
    }

    /// How many bytes it has, 0 to 256.
    pub const fn len(&self) -> u32 {
        let [a, b, c, d] = self.0;
        a.count_ones() + b.count_ones() + c.count_ones() + d.count_ones()
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes, smallest first.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        let mut words = self.0.into_iter().zip([0_u8, 64, 128, 192]);
        let (mut bits, mut base) = words.next().unwrap_or_default();
        std::iter::from_fn(move || {
            while bits == 0 {
                (bits, base) = words.next()?;
            }
            let byte = base + bits.trailing_zeros() as u8;
            bits &= bits - 1;
            Some(byte)
        })
    }
}

impl FromIterator<u8> for ByteSet {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        let mut set = Self::NONE;
        for byte in bytes {
            set.insert(byte);
        }
        set
    }
}

impl fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.iter().collect();
        write!(f, "{{{}}}", bytes.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_into_it() {
        for byte in 0..=u8::MAX {
            let set = ByteSet::listed(&[byte]);
            assert_eq!(set.iter().collect::<Vec<_>>(), [byte]);
            assert_eq!(set, ByteSet::of(&[byte, byte]));
            assert!(!set.complement().contains(byte) && set.complement().len() == 255);
        }
        assert_eq!(ByteSet::range(0, 255), ByteSet::ALL);
        assert_eq!(ByteSet::range(b'z', b'a'), ByteSet::NONE);
        assert_eq!(ByteSet::range(63, 64).iter().collect::<Vec<_>>(), [63, 64]);
    }

    #[test]
    fn sets_are_joined_and_compared() {
        let low = ByteSet::range(0, 127);
        let high = ByteSet::range(128, 255);
        assert!(!low.intersects(&high));
        assert_eq!(low.union(high), ByteSet::ALL);
        assert!(low.intersects(&ByteSet::of(b"\xff\x7f")));
        assert!(ByteSet::NONE.is_empty() && !low.is_empty());
    }
}
