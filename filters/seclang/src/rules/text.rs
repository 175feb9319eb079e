//! Text with macros in it: `Matched %{TX.0} in %{MATCHED_VAR_NAME}`.

use std::fmt;

use crate::parser::suggest::{nearest, shown};
use crate::variables::Variable;

/// A text whose macros are expanded when it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub parts: Vec<Part>,
}

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Literal(String),
    /// `%{ARGS.q}` and `%{ARGS:q}`. Of a collection without a key, the first member.
    Macro {
        variable: Variable,
        key: Option<String>,
    },
}

impl Text {
    /// Without macros: the text itself.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Splits at the macros.
    ///
    /// # Errors
    /// The name of a variable that does not exist. (ModSecurity expands it to nothing; to us it is a typing error.)
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("%{") {
            let Some(length) = rest.get(start + 2..).and_then(|after| after.find('}')) else {
                break;
            };
            let (before, after) = rest.split_at(start);
            let inside = after.get(2..2 + length).unwrap_or_default();
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            parts.push(macro_part(inside)?);
            rest = after.get(length + 3..).unwrap_or_default();
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { parts })
    }
}

/// As it was written, with the names of variables in capitals.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(text)?,
                Part::Macro {
                    variable,
                    key: Some(key),
                } => write!(f, "%{{{}.{key}}}", variable.name())?,
                Part::Macro {
                    variable,
                    key: None,
                } => write!(f, "%{{{}}}", variable.name())?,
            }
        }
        Ok(())
    }
}

fn macro_part(inside: &str) -> Result<Part, String> {
    let (name, key) = match inside.split_once(['.', ':']) {
        Some((name, key)) => (name, Some(key.to_owned())),
        None => (inside, None),
    };
    match Variable::parse(name.trim()) {
        Some(variable) => Ok(Part::Macro { variable, key }),
        None => Err(format!(
            "%{{{}}} names no variable{}",
            shown(inside),
            nearest(name, Variable::ALL.iter().map(|known| known.name()))
        )),
    }
}
