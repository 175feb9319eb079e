//! `@beginsWith`, `@contains`, `@containsWord`, `@endsWith`, `@streq`, `@strmatch` and `@within`: a value and a text, byte
//! for byte, upper and lower case apart.

use std::ops::Range;

use memchr::memmem::Finder;

use super::{Found, Necessary, Operator, Source};
use crate::rules::Text;

/// An operator that holds a value against a text.
#[derive(Debug)]
pub struct TextTest {
    relation: Relation,
    argument: Argument,
}

/// What the value and the text have to do with one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    BeginsWith,
    Contains,
    /// ... with no ASCII letter before and behind it.
    ContainsWord,
    EndsWith,
    Equals,
    /// The text contains the value.
    Within,
}

#[derive(Debug)]
enum Argument {
    Fixed(Box<Finder<'static>>),
    Macros(Text),
}

pub(super) fn begins_with(source: &Source<'_>) -> Result<Operator, String> {
    TextTest::operator(Relation::BeginsWith, source)
}

pub(super) fn contains(source: &Source<'_>) -> Result<Operator, String> {
    TextTest::operator(Relation::Contains, source)
}

pub(super) fn contains_word(source: &Source<'_>) -> Result<Operator, String> {
    TextTest::operator(Relation::ContainsWord, source)
}

pub(super) fn ends_with(source: &Source<'_>) -> Result<Operator, String> {
    TextTest::operator(Relation::EndsWith, source)
}

pub(super) fn equals(source: &Source<'_>) -> Result<Operator, String> {
    TextTest::operator(Relation::Equals, source)
}

pub(super) fn within(source: &Source<'_>) -> Result<Operator, String> {
    TextTest::operator(Relation::Within, source)
}

impl TextTest {
    fn operator(relation: Relation, source: &Source<'_>) -> Result<Operator, String> {
        let text = source.text()?;
        let argument = match text.literal() {
            Some(literal) => {
                Argument::Fixed(Box::new(Finder::new(literal.as_bytes()).into_owned()))
            }
            None => Argument::Macros(text),
        };
        Ok(Operator::Text(Self { relation, argument }))
    }

    /// The text, if it has to be expanded for each evaluation.
    pub(super) fn argument(&self) -> Option<&Text> {
        match &self.argument {
            Argument::Fixed(_) => None,
            Argument::Macros(text) => Some(text),
        }
    }

    pub(super) fn evaluate(&self, value: &[u8], expanded: &[u8], found: &mut Found) -> bool {
        let place = match &self.argument {
            Argument::Fixed(finder) => self.relation.place(value, finder),
            // Searching for a short text once is cheaper than any preparation of it.
            Argument::Macros(_) => self.relation.place(value, &Finder::new(expanded)),
        };
        match place {
            Some(place) => {
                found.at(place);
                true
            }
            None => false,
        }
    }

    pub(super) fn necessary(&self) -> Necessary {
        let Argument::Fixed(finder) = &self.argument else {
            return Necessary::default();
        };
        let text = finder.needle();
        match self.relation {
            Relation::Within => Necessary {
                max_length: Some(text.len()),
                ..Necessary::default()
            },
            Relation::Equals => Necessary {
                max_length: Some(text.len()),
                ..Necessary::one_of([text])
            },
            _ => Necessary::one_of([text]),
        }
    }
}

impl Relation {
    /// Where in the value the relation shows.
    fn place(self, value: &[u8], text: &Finder<'_>) -> Option<Range<usize>> {
        let needle = text.needle();
        match self {
            Self::BeginsWith => value.starts_with(needle).then_some(0..needle.len()),
            Self::EndsWith => value
                .ends_with(needle)
                .then(|| value.len().saturating_sub(needle.len())..value.len()),
            Self::Equals => (value == needle).then_some(0..value.len()),
            Self::Contains => text.find(value).map(|at| at..at + needle.len()),
            Self::ContainsWord => word(value, text),
            Self::Within => (value.is_empty() || memchr::memmem::find(needle, value).is_some())
                .then_some(0..value.len()),
        }
    }
}

fn word(value: &[u8], text: &Finder<'_>) -> Option<Range<usize>> {
    let length = text.needle().len();
    if length == 0 {
        return Some(0..0);
    }
    let letter = |at: Option<usize>| {
        at.and_then(|at| value.get(at))
            .is_some_and(u8::is_ascii_alphabetic)
    };
    let mut from = 0;
    while let Some(at) = value.get(from..).and_then(|rest| text.find(rest)) {
        let (start, end) = (from + at, from + at + length);
        if !letter(start.checked_sub(1)) && !letter(Some(end)) {
            return Some(start..end);
        }
        from = start + 1;
    }
    None
}
