//! What a value must have for an operator to be able to match it: the questions of a prefilter.

use crate::byte_set::ByteSet;

/// Conditions of which every matching value fulfils all. The default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Necessary {
    /// Bytes the value has at least.
    pub min_length: usize,
    /// Bytes the value has at most.
    pub max_length: Option<usize>,
    /// One of these occurs in the value, ASCII case ignored: they are in lower case here, of 1 to [`LITERAL_BYTES_MAX`]
    /// bytes, none of them a part of another. `None`: nothing is known.
    pub literals: Option<Vec<Vec<u8>>>,
    /// Of each of these sets a byte occurs in the value.
    pub bytes: Vec<ByteSet>,
}

/// How many literals a condition has at most: with more, somebody else should search.
pub const LITERALS_MAX: usize = 64;

/// How many phrases of one list may be literals: a list of a million addresses is better searched alone.
const PHRASES_MAX: usize = 8_192;

/// How long a literal is at most.
pub const LITERAL_BYTES_MAX: usize = 8;

/// How many sets of bytes a condition has at most.
pub const SETS_MAX: usize = 4;

impl Necessary {
    /// One of `phrases` occurs in the value, ASCII case ignored.
    pub(super) fn one_of<P: AsRef<[u8]>>(phrases: impl IntoIterator<Item = P>) -> Self {
        let phrases: Vec<Vec<u8>> = phrases
            .into_iter()
            .map(|phrase| phrase.as_ref().to_ascii_lowercase())
            .collect();
        let mut condition = Self {
            min_length: phrases.iter().map(Vec::len).min().unwrap_or(0),
            ..Self::default()
        };
        if let Some(rarest) = union_of(phrases.iter().map(|phrase| rarest_byte(phrase))) {
            condition.bytes.push(rarest);
        }
        condition.literals = if phrases.len() > LITERALS_MAX {
            many(phrases)
        } else {
            shortened(phrases)
        };
        condition
    }
}

/// The set of a byte of each, in both cases; `None` where one has none.
fn union_of(bytes: impl Iterator<Item = Option<u8>>) -> Option<ByteSet> {
    let mut set = ByteSet::NONE;
    for byte in bytes {
        let byte = byte?;
        set.insert(byte.to_ascii_lowercase());
        set.insert(byte.to_ascii_uppercase());
    }
    Some(set).filter(|set| !set.is_empty())
}

fn rarest_byte(phrase: &[u8]) -> Option<u8> {
    phrase.iter().copied().min_by_key(|&byte| frequency(byte))
}

/// The phrases of a long list. Those that another makes superfluous stay: to find them all would take as long as the
/// square of the list.
fn many(phrases: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let mut literals: Vec<Vec<u8>> = phrases.into_iter().map(rarest_part).collect();
    literals.sort_unstable();
    literals.dedup();
    let useful = literals.len() <= PHRASES_MAX && literals.iter().all(|it| !it.is_empty());
    useful.then_some(literals)
}

/// Literals as a condition has them: cut to the rarest part of each, and without those that another makes superfluous.
/// `None` where that leaves nothing to ask for.
pub(super) fn shortened(phrases: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let mut literals: Vec<Vec<u8>> = phrases.into_iter().map(rarest_part).collect();
    literals.sort_unstable_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for literal in literals {
        if !kept.iter().any(|shorter| occurs(shorter, &literal)) {
            kept.push(literal);
        }
        if kept.len() > LITERALS_MAX {
            return None;
        }
    }
    let useful = !kept.is_empty() && kept.iter().all(|literal| !literal.is_empty());
    useful.then_some(kept)
}

fn occurs(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

fn rarest_part(phrase: Vec<u8>) -> Vec<u8> {
    if phrase.len() <= LITERAL_BYTES_MAX {
        return phrase;
    }
    let parts = phrase.windows(LITERAL_BYTES_MAX);
    let odds = |part: &&[u8]| -> u64 {
        part.iter()
            .map(|&byte| u64::from(frequency(byte)))
            .product()
    };
    parts.min_by_key(odds).map_or(Vec::new(), <[u8]>::to_vec)
}

/// How often one of several literals occurs: the sum of their odds.
pub(super) fn odds(literals: &[Vec<u8>]) -> f64 {
    let odds = |literal: &Vec<u8>| -> f64 {
        literal
            .iter()
            .map(|&byte| f64::from(frequency(byte)) / 1000.0)
            .product()
    };
    literals.iter().map(odds).sum()
}

/// Of a thousand bytes of the values that a firewall sees (names and values of arguments, headers, text in English, JSON
/// keys), about how many are this one, in either case. At most 90: the product of eight of them is a number of 64 bits.
pub(super) fn frequency(byte: u8) -> u16 {
    FREQUENCIES.get(usize::from(byte)).copied().unwrap_or(1)
}

const FREQUENCIES: [u16; 256] = {
    let mut all = [1; 256];
    let mut byte = 0;
    while byte < all.len() {
        all[byte] = match (byte as u8).to_ascii_lowercase() {
            b'e' => 90,
            b'a' | b'i' | b'n' | b'o' | b's' | b't' => 60,
            b'c' | b'd' | b'l' | b'm' | b'p' | b'r' | b'u' => 35,
            b' ' => 30,
            b'b' | b'f' | b'g' | b'h' | b'v' | b'w' | b'y' => 18,
            b'0' | b'1' | b'2' => 20,
            b'3'..=b'9' | b'.' | b'-' | b'_' | b'/' => 12,
            b'k' | b'x' => 8,
            b',' | b':' | b'=' | b';' | b'q' | b'j' | b'z' => 5,
            b'(' | b')' | b'%' | b'&' | b'+' | b'"' | b'\'' | b'?' | b'*' => 3,
            _ => 1,
        };
        byte += 1;
    }
    all
};

/// How often a byte of the set occurs among a thousand; a letter in both cases counts once.
pub(super) fn set_frequency(set: &ByteSet) -> u32 {
    let counts = |byte: &u8| !byte.is_ascii_uppercase() || !set.contains(byte.to_ascii_lowercase());
    set.iter()
        .filter(counts)
        .map(|byte| u32::from(frequency(byte)))
        .sum()
}
