//! Text with macros, its variables numbered.

use crate::plan::{Selectors, TxNames};
use crate::rules::text::{Part, Text};
use crate::rules::{Key, Target};
use crate::variables::Variable;

/// A [`Text`] ready to be expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Macro {
    pub pieces: Vec<Piece>,
}

/// A piece of a [`Macro`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Literal(Box<str>),
    /// By its number in [`TxNames`].
    Tx(usize),
    /// The first member of a selection.
    Selector(usize),
}

impl Macro {
    /// Numbers the variables of a text.
    pub fn new(text: &Text, selectors: &mut Selectors, names: &mut TxNames) -> Self {
        let mut piece = |part: &Part| match part {
            Part::Literal(literal) => Piece::Literal(literal.as_str().into()),
            Part::Macro {
                variable: Variable::Tx,
                key: Some(key),
            } => Piece::Tx(names.number(key)),
            Part::Macro { variable, key } => Piece::Selector(selectors.number(&Target {
                variable: *variable,
                key: key.clone().map_or(Key::All, Key::Name),
                count: false,
                exclude: false,
            })),
        };
        Self {
            pieces: text.parts.iter().map(&mut piece).collect(),
        }
    }

    /// Without variables: the text.
    pub fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }
}
