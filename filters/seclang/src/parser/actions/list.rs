//! Where one action ends and the next begins.

use std::borrow::Cow;

use crate::parser::lexer::{after_quote, closing, unclosed, unescape};

/// An action with its value, not yet looked up.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    /// Where the name begins.
    pub(super) at: usize,
    /// Without quotes and their backslashes.
    pub(super) value: Option<Cow<'a, str>>,
    /// Where the value begins; the name's place where there is none.
    pub(super) value_at: usize,
}

/// The actions of a list, in order; what cannot be taken apart as its place and the reason.
pub(super) fn entries(text: &str) -> Entries<'_> {
    Entries {
        text,
        next: (!text.trim_ascii().is_empty()).then_some(0),
    }
}

pub(super) struct Entries<'a> {
    text: &'a str,
    /// Where the next one begins.
    next: Option<usize>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, (usize, String)>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next.take()?;
        let at = skip_space(self.text, start);
        let rest = self.text.get(at..).unwrap_or_default();
        let length = rest.find([':', ',']).unwrap_or(rest.len());
        let name = rest.get(..length).unwrap_or_default().trim_ascii();
        let end = at + length;
        if name.is_empty() {
            self.next = self.after(end);
            return Some(Err((at, "an action is missing here".to_owned())));
        }
        if self.text.as_bytes().get(end) != Some(&b':') {
            self.next = self.after(end);
            return Some(Ok(Entry {
                name,
                at,
                value: None,
                value_at: at,
            }));
        }
        let value_at = skip_space(self.text, end + 1);
        Some(self.value(value_at).map(|value| Entry {
            name,
            at,
            value: Some(value),
            value_at,
        }))
    }
}

impl<'a> Entries<'a> {
    /// Where the action after the comma at `end` begins.
    fn after(&self, end: usize) -> Option<usize> {
        (self.text.as_bytes().get(end) == Some(&b',')).then_some(end + 1)
    }

    fn value(&mut self, start: usize) -> Result<Cow<'a, str>, (usize, String)> {
        let bytes = self.text.as_bytes();
        if bytes.get(start) == Some(&b'\'') {
            let close = closing(bytes, start + 1, b'\'').ok_or((start, unclosed(b'\'')))?;
            let end = skip_space(self.text, close + 1);
            self.next = self.after(end);
            if self.next.is_none() && end < bytes.len() {
                return Err((end, after_quote(b'\'')));
            }
            let inside = self.text.get(start + 1..close).unwrap_or_default();
            return Ok(unescape(inside, b"'\""));
        }
        let (end, quotes) = self.plain_end(start)?;
        self.next = self.after(end);
        let part = |from: usize, to: usize| {
            let part = self.text.get(from..to).unwrap_or_default();
            unescape(part, b"'\",")
        };
        Ok(match quotes {
            None => unescape(
                self.text.get(start..end).unwrap_or_default().trim_ascii(),
                b"'\",",
            ),
            Some((open, close)) => {
                let parts = [
                    part(start, open),
                    part(open + 1, close),
                    part(close + 1, end),
                ];
                Cow::Owned(parts.concat().trim_ascii().to_owned())
            }
        })
    }

    /// Where a value without quotes around it ends, and the quotes that opened after its `=`: `setvar:tx.a='b, c'`.
    fn plain_end(&self, start: usize) -> Result<PlainEnd, (usize, String)> {
        let bytes = self.text.as_bytes();
        let (mut at, mut quotes) = (start, None);
        loop {
            let Some(found) = bytes
                .get(at..)
                .and_then(|rest| memchr::memchr3(b',', b'\\', b'=', rest))
                .map(|length| at + length)
            else {
                return Ok((bytes.len(), quotes));
            };
            at = match bytes.get(found) {
                Some(b',') => return Ok((found, quotes)),
                Some(b'=') if quotes.is_none() && bytes.get(found + 1) == Some(&b'\'') => {
                    let open = found + 1;
                    let close = closing(bytes, open + 1, b'\'').ok_or((open, unclosed(b'\'')))?;
                    quotes = Some((open, close));
                    close + 1
                }
                Some(b'=') => found + 1,
                _ => (found + 2).min(bytes.len()),
            };
        }
    }
}

/// A place, and those of two quotes before it.
type PlainEnd = (usize, Option<(usize, usize)>);

fn skip_space(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.len() - rest.trim_ascii_start().len()
}
