//! From bytes to directives: comments, continued lines and quotes, without losing where each byte came from.
//!
//! A line that ends in `\` goes on with the next one, whose indentation does not count. A comment may stand between such
//! lines, as in Coraza. A comment that ends in `\` goes on too, but never over a line that begins a directive: a live
//! rule is not lost below a careless comment.

use std::borrow::Cow;
use std::sync::Arc;

use crate::source::Position;

/// Bytes of one directive with all its lines; longer ones are errors.
pub(super) const DIRECTIVE_BYTES_MAX: usize = 1024 * 1024;

/// A directive with its arguments, its lines joined.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) text: String,
    /// Where each piece of the text began.
    pieces: Vec<Piece>,
    /// Where bytes were that are not UTF-8.
    pub(super) foreign: Option<usize>,
    pub(super) too_long: bool,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    start: usize,
    line: u32,
    column: u32,
}

impl Line {
    /// The place of the byte `at` of [`Line::text`].
    pub(super) fn position(&self, file: &Arc<str>, at: usize) -> Position {
        let index = self.pieces.partition_point(|piece| piece.start <= at);
        let piece = index
            .checked_sub(1)
            .and_then(|index| self.pieces.get(index))
            .copied()
            .unwrap_or(Piece {
                start: 0,
                line: 1,
                column: 1,
            });
        let offset = u32::try_from(at - piece.start.min(at)).unwrap_or(u32::MAX);
        Position {
            file: Arc::clone(file),
            line: piece.line,
            column: piece.column.saturating_add(offset),
        }
    }

    fn push(&mut self, physical: &Physical<'_>, text: &str) {
        self.pieces.push(Piece {
            start: self.text.len(),
            line: physical.number,
            column: physical.column,
        });
        if let Some(at) = physical.foreign {
            self.foreign.get_or_insert(self.text.len() + at);
        }
        if self.text.len() + text.len() > DIRECTIVE_BYTES_MAX {
            self.too_long = true;
        } else {
            self.text.push_str(text);
        }
    }
}

/// A line of the file, without white space around it.
struct Physical<'a> {
    number: u32,
    column: u32,
    text: Cow<'a, str>,
    foreign: Option<usize>,
}

/// The directives of a file, in order.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: u32,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes),
            number: 0,
        }
    }

    fn physical(&mut self) -> Option<Physical<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr::memchr(b'\n', self.rest) {
            Some(end) => (self.rest.get(..end)?, self.rest.get(end + 1..)?),
            None => (self.rest, &b""[..]),
        };
        self.rest = rest;
        self.number = self.number.saturating_add(1);
        let text = line.trim_ascii();
        let indent = line.len() - line.trim_ascii_start().len();
        let foreign = std::str::from_utf8(text)
            .err()
            .map(|error| error.valid_up_to());
        Some(Physical {
            number: self.number,
            column: u32::try_from(indent + 1).unwrap_or(u32::MAX),
            text: String::from_utf8_lossy(text),
            foreign,
        })
    }

    /// Leaves out what continues a comment.
    fn skip_comment(&mut self, first: &str) {
        let mut goes_on = first.ends_with('\\');
        while goes_on {
            let (rest, number) = (self.rest, self.number);
            match self.physical() {
                Some(next) if !next.text.is_empty() && !begins_directive(&next.text) => {
                    goes_on = next.text.ends_with('\\');
                }
                _ => {
                    (self.rest, self.number) = (rest, number);
                    return;
                }
            }
        }
    }

    /// Adds the records between backticks.
    fn records(&mut self, line: &mut Line) {
        while let Some(next) = self.physical() {
            if next.text.starts_with('#') {
                continue;
            }
            line.push(&next, "\n");
            line.push(&next, &next.text);
            if next.text.starts_with('`') {
                return;
            }
        }
    }
}

fn begins(text: &str, word: &str) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn begins_directive(text: &str) -> bool {
    text.starts_with('#') || begins(text, "sec") || begins(text, "include")
}

/// Whether the only backtick ends the line.
fn opens_records(text: &str) -> bool {
    text.find('`').is_some_and(|at| at + 1 == text.len())
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let mut line = Line::default();
        loop {
            let Some(next) = self.physical() else {
                return (!line.pieces.is_empty()).then_some(line);
            };
            if next.text.starts_with('#') {
                if line.pieces.is_empty() {
                    self.skip_comment(&next.text);
                }
                continue;
            }
            if next.text.is_empty() {
                if line.pieces.is_empty() {
                    continue;
                }
                return Some(line);
            }
            match next.text.strip_suffix('\\') {
                Some(before) => line.push(&next, before),
                None => {
                    line.push(&next, &next.text);
                    if begins(&line.text, "secdataset") && opens_records(&line.text) {
                        self.records(&mut line);
                    }
                    return Some(line);
                }
            }
        }
    }
}

/// A word of a directive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    /// Without the quotes around it, with the backslashes in it.
    pub(super) raw: &'a str,
    /// Where `raw` begins in the directive.
    pub(super) at: usize,
    quote: Option<u8>,
}

impl<'a> Word<'a> {
    /// With the backslashes before quotes taken away.
    pub(super) fn text(&self) -> Cow<'a, str> {
        match self.quote {
            Some(quote) => unescape(self.raw, &[quote]),
            None => Cow::Borrowed(self.raw),
        }
    }
}

/// `text` without the backslashes before any of `escaped`; every other backslash stands for itself.
pub(super) fn unescape<'a>(text: &'a str, escaped: &[u8]) -> Cow<'a, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some(next) if u8::try_from(next).is_ok_and(|byte| escaped.contains(&byte)) => {
                plain.push(next);
            }
            Some(next) => plain.extend(['\\', next]),
            None => plain.push('\\'),
        }
    }
    Cow::Owned(plain)
}

/// The words of a directive, its name first.
///
/// # Errors
/// Where a quote is wrong, and how.
pub(super) fn words(text: &str) -> Result<Vec<Word<'_>>, (usize, String)> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let word = rest.trim_ascii_start();
        at += rest.len() - word.len();
        let Some(&first) = word.as_bytes().first() else {
            return Ok(words);
        };
        if matches!(first, b'"' | b'\'' | b'`') {
            let Some(length) = closing(word.as_bytes(), 1, first) else {
                return Err((at, unclosed(first)));
            };
            words.push(Word {
                raw: word.get(1..length).unwrap_or_default(),
                at: at + 1,
                quote: Some(first),
            });
            at += length + 1;
            let after = text.as_bytes().get(at).copied();
            if after.is_some_and(|byte| !byte.is_ascii_whitespace() && byte != b'"') {
                return Err((at, after_quote(first)));
            }
        } else {
            let length = word
                .bytes()
                .position(|byte| byte.is_ascii_whitespace())
                .unwrap_or(word.len());
            words.push(Word {
                raw: word.get(..length).unwrap_or_default(),
                at,
                quote: None,
            });
            at += length;
        }
    }
}

/// Where the next `quote` is, from `start` on, that has no backslash of its own before it.
pub(super) fn closing(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start;
    loop {
        let found = at + memchr::memchr2(quote, b'\\', bytes.get(at..)?)?;
        if bytes.get(found) == Some(&quote) {
            return Some(found);
        }
        at = found + 2;
    }
}

pub(super) fn unclosed(quote: u8) -> String {
    format!("this {} is never closed", char::from(quote))
}

pub(super) fn after_quote(quote: u8) -> String {
    let quote = char::from(quote);
    format!("text right after a closing {quote}: a {quote} inside of quotes is written \\{quote}")
}
