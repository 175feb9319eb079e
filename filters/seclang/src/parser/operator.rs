//! `"!@rx ^a"`: how a rule looks.

use super::lexer::{Line, Word, unescape};
use super::suggest::{nearest, shown};
use crate::rules::Operator;

/// Operators that rules may name.
pub const OPERATORS: &[&str] = &[
    "beginsWith",
    "contains",
    "containsWord",
    "detectSQLi",
    "detectXSS",
    "endsWith",
    "eq",
    "ge",
    "geoLookup",
    "gt",
    "ipMatch",
    "ipMatchF",
    "ipMatchFromDataset",
    "ipMatchFromFile",
    "le",
    "lt",
    "noMatch",
    "pm",
    "pmf",
    "pmFromDataset",
    "pmFromFile",
    "rbl",
    "restpath",
    "rx",
    "rxGlobal",
    "streq",
    "strmatch",
    "unconditionalMatch",
    "validateByteRange",
    "validateNid",
    "validateUrlEncoding",
    "validateUtf8Encoding",
    "verifyCC",
    "verifyCPF",
    "verifySSN",
    "verifySVNR",
    "within",
];

/// Operators of ModSecurity that there are not here, each with the reason.
pub const REFUSED: &[(&str, &str)] = &[
    ("fuzzyHash", "it reads a database of hashes from a disk"),
    ("gsbLookup", "the service it asks is gone"),
    ("inspectFile", "a filter can run no program"),
    ("rsub", "bodies are not changed by rules"),
    (
        "validateDTD",
        "documents are parsed without a DTD, for safety",
    ),
    ("validateHash", "links are not signed here"),
    ("validateSchema", "schemas are not read"),
];

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
    let same = |known: &&&str| known.eq_ignore_ascii_case(name);
    if let Some(known) = OPERATORS.iter().find(same) {
        return Ok(known);
    }
    if name.is_empty() {
        return Err("the name of an operator is missing after @".to_owned());
    }
    let refused = REFUSED
        .iter()
        .find(|(refused, _)| refused.eq_ignore_ascii_case(name));
    Err(match refused {
        Some((name, reason)) => format!("@{name} is not supported: {reason}"),
        None => format!(
            "unknown operator @{}{}",
            shown(name),
            nearest(name, OPERATORS.iter().copied())
        ),
    })
}
