//! Which operators could match a text, found by one scan of it.
//!
//! Each operator says what a text must have for it to match ([`Necessary`]): one of some literals, bytes of some sets, a
//! length. All literals of all operators are in one Aho-Corasick automaton; the bytes that occur are a set of 256 bits.
//! What is left has to be tried by the operator itself.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::BTreeMap;

use crate::byte_set::ByteSet;
use crate::operators::Necessary;

/// See the module. Numbers of operators are those of the plan.
#[derive(Debug, Default)]
pub struct Prefilter {
    literals: Option<AhoCorasick>,
    /// By pattern of the automaton: the operators that have it.
    owners: Vec<Box<[u32]>>,
    /// What else an operator requires; by operator.
    conditions: Vec<Condition>,
    /// Operators with conditions but without literals, in order, each with the first set of bytes it requires: this list
    /// is walked for every text.
    unlisted: Vec<(ByteSet, u32)>,
    /// The bits of operators that could match anything.
    always: Vec<u64>,
}

/// Of one operator.
#[derive(Debug)]
struct Condition {
    min_length: usize,
    max_length: usize,
    bytes: Box<[ByteSet]>,
}

impl Condition {
    fn holds(&self, length: usize, bytes: ByteSet) -> bool {
        length >= self.min_length
            && length <= self.max_length
            && self.bytes.iter().all(|set| set.intersects(&bytes))
    }
}

impl Prefilter {
    /// From what each operator requires, in the order of their numbers.
    ///
    /// # Errors
    /// The automaton would be too large.
    pub fn new(necessary: Vec<Necessary>) -> Result<Self, String> {
        let mut literals: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        let mut prefilter = Self::default();
        for (number, necessary) in (0u32..).zip(necessary) {
            let anything = Necessary::default();
            prefilter.always.resize(number as usize / 64 + 1, 0);
            if necessary == anything {
                if let Some(word) = prefilter.always.last_mut() {
                    *word |= 1 << (number % 64);
                }
            } else if necessary.literals.is_none() {
                let first = necessary.bytes.first();
                let first = first.copied().unwrap_or(ByteSet::ALL);
                prefilter.unlisted.push((first, number));
            }
            for literal in necessary.literals.into_iter().flatten() {
                literals.entry(literal).or_default().push(number);
            }
            prefilter.conditions.push(Condition {
                min_length: necessary.min_length,
                max_length: necessary.max_length.unwrap_or(usize::MAX),
                bytes: necessary.bytes.into(),
            });
        }
        let (patterns, owners): (Vec<_>, Vec<_>) = literals.into_iter().unzip();
        prefilter.owners = owners.into_iter().map(Into::into).collect();
        if !patterns.is_empty() {
            let automaton = AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(patterns)
                .map_err(|error| format!("the literals of the rules: {error}"))?;
            prefilter.literals = Some(automaton);
        }
        Ok(prefilter)
    }

    /// How many words of 64 bits [`Prefilter::candidates`] fills.
    pub fn words(&self) -> usize {
        self.conditions.len().div_ceil(64)
    }

    /// Sets the bit of each operator that could match `text`, whose distinct bytes are `bytes`.
    pub fn candidates(&self, text: &[u8], bytes: ByteSet, out: &mut [u64]) {
        for (word, always) in out.iter_mut().zip(&self.always) {
            *word |= always;
        }
        for (first, number) in &self.unlisted {
            // No byte at all is in no set; the length decides then.
            if first.intersects(&bytes) || text.is_empty() {
                self.note(*number, text.len(), bytes, out);
            }
        }
        let Some(literals) = &self.literals else {
            return;
        };
        for found in literals.find_overlapping_iter(text) {
            let owners = self.owners.get(found.pattern().as_usize());
            for number in owners.into_iter().flat_map(|owners| owners.iter()) {
                self.note(*number, text.len(), bytes, out);
            }
        }
    }

    fn note(&self, number: u32, length: usize, bytes: ByteSet, out: &mut [u64]) {
        let number = number as usize;
        let (Some(word), Some(condition)) = (out.get_mut(number / 64), self.conditions.get(number))
        else {
            return;
        };
        let bit = 1 << (number % 64);
        if *word & bit == 0 && condition.holds(length, bytes) {
            *word |= bit;
        }
    }
}

/// Whether the bit of `number` is set.
pub fn is_candidate(bits: &[u64], number: usize) -> bool {
    bits.get(number / 64)
        .is_some_and(|word| word >> (number % 64) & 1 == 1)
}
