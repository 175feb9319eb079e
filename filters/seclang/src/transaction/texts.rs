//! Every distinct string that rules look at in one exchange, once.
//!
//! An argument, its decoded form and the same words in another place are numbers here. What was found out about a text
//! (its bytes, what a transformation makes of it, which operators could match it) is found out once.

use hashbrown::{HashMap, HashTable};
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

use crate::byte_set::ByteSet;
use crate::plan::Prefilter;
use crate::transformations::{Transformation, UnicodeMap};

/// The number of a text.
pub type TextId = u32;

/// The empty text has the number 0.
pub const EMPTY: TextId = 0;

/// More memory than this is not kept for the next exchange, bytes.
const KEPT: usize = 1 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: Vec<u8>,
    list: Vec<Text>,
    numbers: HashTable<TextId>,
    derived: HashMap<(TextId, Transformation), TextId, FxBuildHasher>,
    /// Of [`Prefilter::candidates`], where asked for.
    bits: Vec<u64>,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Text {
    start: usize,
    end: usize,
    /// Which bytes occur.
    set: ByteSet,
    /// Where its candidates are in `bits`.
    bits: Option<usize>,
}

impl Texts {
    /// Without any but the empty one, with the memory of a former exchange.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.list.clear();
        self.list.shrink_to(KEPT / size_of::<Text>());
        self.numbers.clear();
        self.derived.clear();
        self.bits.clear();
        self.bits.shrink_to(KEPT / 8);
        self.scratch.clear();
        self.scratch.shrink_to(KEPT);
        self.intern(b"");
    }

    /// The number of a text.
    pub fn intern(&mut self, text: &[u8]) -> TextId {
        let hash = FxBuildHasher.hash_one(text);
        let known = self
            .numbers
            .find(hash, |number| self.get(*number) == text)
            .copied();
        if let Some(number) = known {
            return number;
        }
        let number = TextId::try_from(self.list.len()).unwrap_or(EMPTY);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.list.push(Text {
            start,
            end: self.bytes.len(),
            set: ByteSet::of(text),
            bits: None,
        });
        let Self {
            numbers,
            list,
            bytes,
            ..
        } = self;
        numbers.insert_unique(hash, number, |number| {
            FxBuildHasher.hash_one(slice(list, bytes, *number))
        });
        number
    }

    /// The bytes of a text.
    pub fn get(&self, number: TextId) -> &[u8] {
        slice(&self.list, &self.bytes, number)
    }

    /// Which bytes occur in a text.
    pub fn set(&self, number: TextId) -> ByteSet {
        let text = self.list.get(number as usize);
        text.map_or(ByteSet::NONE, |text| text.set)
    }

    /// A text after one transformation.
    pub fn transform(&mut self, number: TextId, by: Transformation, map: &UnicodeMap) -> TextId {
        let may_change = if number == EMPTY {
            by.changes_the_empty_value()
        } else {
            self.set(number).intersects(&by.triggers())
        };
        if !may_change {
            return number;
        }
        if let Some(known) = self.derived.get(&(number, by)) {
            return *known;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let changed = by.apply_with(self.get(number), &mut scratch, map);
        let result = if changed {
            self.intern(&scratch)
        } else {
            number
        };
        self.scratch = scratch;
        self.derived.insert((number, by), result);
        result
    }

    /// Which operators could match a text, by [`crate::plan::prefilter::is_candidate`].
    pub fn candidates(&mut self, number: TextId, prefilter: &Prefilter) -> &[u64] {
        let words = prefilter.words();
        let Some(text) = self.list.get_mut(number as usize) else {
            return &[];
        };
        let start = match text.bits {
            Some(start) => start,
            None => {
                let start = self.bits.len();
                text.bits = Some(start);
                self.bits.resize(start + words, 0);
                let bytes = self.bytes.get(text.start..text.end).unwrap_or_default();
                let out = self.bits.get_mut(start..).unwrap_or_default();
                prefilter.candidates(bytes, text.set, out);
                start
            }
        };
        self.bits.get(start..start + words).unwrap_or_default()
    }
}

fn slice<'a>(list: &[Text], bytes: &'a [u8], number: TextId) -> &'a [u8] {
    let text = list.get(number as usize);
    text.and_then(|text| bytes.get(text.start..text.end))
        .unwrap_or_default()
}
