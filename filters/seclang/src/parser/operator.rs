//! `"!@rx ^a"`: how a rule looks.

use super::lexer::{Line, Word, unescape};
use super::suggest::{nearest, shown};
use crate::operators::{NAMES, Support};
use crate::rules::Operator;

/// Takes a word apart; an error comes with its place in the word.
pub(super) fn operator(
    line: &Line,
    file: &std::sync::Arc<str>,
    word: &Word<'_>,
) -> Result<Operator, (usize, String)> {
    let raw = word.raw;
    let trimmed = raw.trim_ascii_start();
    let (negated, rest) = match trimmed.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, trimmed),
    };
    let (name, argument) = match rest.trim_ascii_start().strip_prefix('@') {
        Some(rest) => {
            let end = rest
                .bytes()
                .position(|byte| byte.is_ascii_whitespace())
                .unwrap_or(rest.len());
            let (name, argument) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let at = raw.len() - rest.len();
            (
                known(name).map_err(|message| (at, message))?,
                argument.trim_ascii_start(),
            )
        }
        // White space before a pattern belongs to it.
        None if negated => ("rx", rest),
        None => ("rx", raw),
    };
    Ok(Operator {
        position: line.position(file, word.at),
        negated,
        name: name.to_owned(),
        argument: unescape(argument, b"\"").into_owned(),
    })
}

/// The name as the language spells it.
fn known(name: &str) -> Result<&'static str, String> {
    if name.is_empty() {
        return Err("the name of an operator is missing after @".to_owned());
    }
    let known = NAMES
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            let names = NAMES.iter().map(|known| known.name);
            format!("unknown operator @{}{}", shown(name), nearest(name, names))
        })?;
    match known.support {
        Support::Full(_) => Ok(known.name),
        Support::Refused => Err(format!("@{} is not supported: {}", known.name, known.what)),
    }
}
