//! `@eq`, `@ge`, `@gt`, `@le`, `@lt`: the value and the argument as numbers.

use super::{Operator, Source};
use crate::rules::Text;

/// A comparison of numbers.
#[derive(Debug)]
pub struct NumberTest {
    relation: Relation,
    argument: Argument,
}

#[derive(Clone, Copy, Debug)]
enum Relation {
    Equal,
    AtLeast,
    Greater,
    AtMost,
    Less,
}

#[derive(Debug)]
enum Argument {
    Fixed(i64),
    Macros(Text),
}

pub(super) fn equal(source: &Source<'_>) -> Result<Operator, String> {
    NumberTest::operator(Relation::Equal, source)
}

pub(super) fn at_least(source: &Source<'_>) -> Result<Operator, String> {
    NumberTest::operator(Relation::AtLeast, source)
}

pub(super) fn greater(source: &Source<'_>) -> Result<Operator, String> {
    NumberTest::operator(Relation::Greater, source)
}

pub(super) fn at_most(source: &Source<'_>) -> Result<Operator, String> {
    NumberTest::operator(Relation::AtMost, source)
}

pub(super) fn less(source: &Source<'_>) -> Result<Operator, String> {
    NumberTest::operator(Relation::Less, source)
}

impl NumberTest {
    fn operator(relation: Relation, source: &Source<'_>) -> Result<Operator, String> {
        let text = source.text()?;
        let argument = match text.literal() {
            Some(literal) => Argument::Fixed(number(literal.as_bytes())),
            None => Argument::Macros(text),
        };
        Ok(Operator::Number(Self { relation, argument }))
    }

    /// The text, if it has to be expanded for each evaluation.
    pub(super) fn argument(&self) -> Option<&Text> {
        match &self.argument {
            Argument::Fixed(_) => None,
            Argument::Macros(text) => Some(text),
        }
    }

    pub(super) fn evaluate(&self, value: &[u8], expanded: &[u8]) -> bool {
        let (value, argument) = match self.argument {
            Argument::Fixed(argument) => (number(value), argument),
            Argument::Macros(_) => (number(value), number(expanded)),
        };
        match self.relation {
            Relation::Equal => value == argument,
            Relation::AtLeast => value >= argument,
            Relation::Greater => value > argument,
            Relation::AtMost => value <= argument,
            Relation::Less => value < argument,
        }
    }
}

/// The number at the beginning of a text, as C's `atoll` reads it: white space, a sign, digits; 0 without digits, the
/// nearest number of 64 bits if it is too big.
pub fn number(text: &[u8]) -> i64 {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().take_while(|byte| blank(byte)).count();
    let rest = text.get(start..).unwrap_or_default();
    let (negative, digits) = match rest {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    // Counted downwards: there is one more negative number than there are positive ones.
    let mut number = 0_i64;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        number = number
            .saturating_mul(10)
            .saturating_sub(i64::from(digit - b'0'));
    }
    if negative {
        number
    } else {
        number.saturating_neg()
    }
}
