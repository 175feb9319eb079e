//! `@pm`, `@pmFromFile` and `@pmf`: one of many phrases anywhere in the value, ASCII case ignored.

use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, Input, MatchKind};

use super::{Found, Necessary, Operator, Source};

/// Phrases, prepared.
#[derive(Debug)]
pub struct Phrases {
    automaton: AhoCorasick,
    necessary: Necessary,
}

/// Bytes of phrases that one operator may have: a bound for the automaton's memory.
const PHRASES_BYTES_MAX: usize = 4 << 20;

/// `@pm`: phrases with white space between them. `|41 42|` stands for bytes in hexadecimal, `\:`, `\;`, `\\` and `\"` for
/// the character; where these are broken, the argument is taken as it is written.
pub(super) fn phrases(source: &Source<'_>) -> Result<Operator, String> {
    let argument = source.argument.trim_matches([' ', '\t']);
    let argument = argument
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(argument);
    let phrases = unescaped(argument.as_bytes()).unwrap_or_else(|| {
        let phrases = argument.split_ascii_whitespace();
        phrases.map(|phrase| phrase.as_bytes().to_vec()).collect()
    });
    Phrases::operator(phrases)
}

/// `@pmFromFile`: a phrase a line of each file that is named. Empty lines and those that begin with `#` say nothing, white
/// space around a phrase is no part of it.
pub(super) fn from_files(source: &Source<'_>) -> Result<Operator, String> {
    let mut phrases = Vec::new();
    for content in source.files_named()? {
        for line in content.split(|&byte| byte == b'\n') {
            let line = line.trim_ascii();
            if !line.is_empty() && !line.starts_with(b"#") {
                phrases.push(line.to_vec());
            }
        }
    }
    Phrases::operator(phrases)
}

/// `@pmFromDataset`: a phrase a line of the argument.
pub(super) fn records(source: &Source<'_>) -> Result<Operator, String> {
    let phrases = source.argument.lines();
    Phrases::operator(phrases.map(|phrase| phrase.as_bytes().to_vec()).collect())
}

impl Phrases {
    fn operator(phrases: Vec<Vec<u8>>) -> Result<Operator, String> {
        if phrases.is_empty() {
            return Err(
                "there is no phrase to look for; @noMatch is the operator that never matches"
                    .to_owned(),
            );
        }
        if phrases.iter().map(Vec::len).sum::<usize>() > PHRASES_BYTES_MAX {
            return Err(format!(
                "the phrases have more than {PHRASES_BYTES_MAX} bytes together"
            ));
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            // The first in the order of their ends, as ModSecurity reports it; and the only kind that may stop there.
            .match_kind(MatchKind::Standard)
            // The densest form needs 1 KiB a byte of phrase.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&phrases)
            .map_err(|error| format!("the phrases cannot be compiled: {error}"))?;
        let necessary = Necessary::one_of(&phrases);
        Ok(Operator::Pm(Self {
            automaton,
            necessary,
        }))
    }

    pub(super) fn evaluate(&self, value: &[u8], found: &mut Found) -> bool {
        let input = Input::new(value).anchored(Anchored::No).earliest(true);
        match self.automaton.find(input) {
            Some(hit) => {
                found.whole(hit.range());
                true
            }
            None => false,
        }
    }

    pub(super) fn necessary(&self) -> Necessary {
        self.necessary.clone()
    }

    pub(super) fn memory(&self) -> usize {
        self.automaton.memory_usage()
    }
}

/// The phrases of an argument whose escapes are all well-formed.
fn unescaped(argument: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut phrases = Vec::new();
    let mut phrase = Vec::new();
    let mut bytes = argument.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'|' => hexadecimal(&mut bytes, &mut phrase)?,
            b'\\' => phrase.push(bytes.next().filter(|byte| b":;\\\"".contains(byte))?),
            byte if byte.is_ascii_whitespace() || byte == b'\x0b' => {
                if !phrase.is_empty() {
                    phrases.push(std::mem::take(&mut phrase));
                }
            }
            byte => phrase.push(byte),
        }
    }
    if !phrase.is_empty() {
        phrases.push(phrase);
    }
    Some(phrases)
}

/// Pairs of hexadecimal digits up to the closing `|`; blanks between them say nothing.
fn hexadecimal(bytes: &mut impl Iterator<Item = u8>, phrase: &mut Vec<u8>) -> Option<()> {
    let mut high = None;
    for byte in bytes {
        if byte == b'|' {
            return high.is_none().then_some(());
        }
        if byte == b' ' {
            continue;
        }
        let digit = u8::try_from(char::from(byte).to_digit(16)?).ok()?;
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => phrase.push(high | digit),
        }
    }
    None
}
