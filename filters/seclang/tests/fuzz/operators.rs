//! An argument for every operator, and a value, separated by a zero byte: whatever compiles is evaluated, and what matches
//! has what is necessary.

use std::sync::Arc;

use portcullis_seclang::byte_set::ByteSet;
use portcullis_seclang::operators::{Found, NAMES, Operator};
use portcullis_seclang::rules;
use portcullis_seclang::source::{MemoryFiles, Position};

pub(super) const WORDS: &[&str] = &[
    "\0",
    "(",
    ")",
    "(?i)",
    "(?:",
    "[",
    "]",
    "[^",
    "-",
    "|",
    "*",
    "+?",
    "{2}",
    "{1,3}",
    "^",
    "$",
    ".",
    "\\",
    "\\x{e9}",
    "\\b",
    "\\d",
    "\\w+",
    "\\s*",
    "[[:alpha:]]",
    "\\Q",
    "\\E",
    "a",
    "ab",
    "select",
    "union",
    "127.0.0.1",
    "::1",
    "/8",
    ",",
    "32-126",
    "|41 42|",
    "' or 1=1",
    "<script>",
    " onclick=",
    "into outfile",
    "{name}",
    "/",
    "cl ",
    "us ",
    "4111111111111111",
    "%",
    "%{tx.a}",
    "\u{e9}",
];

pub(super) fn run(input: &[u8]) {
    let mut parts = input.splitn(2, |&byte| byte == 0);
    let argument = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let value = parts.next().unwrap_or_default();
    // Compiling takes longer than all else: a long pattern is the parser's matter.
    if argument.len() > 256 {
        return;
    }
    let files = MemoryFiles::default();
    for name in NAMES {
        let operator = rules::Operator {
            position: Position {
                file: Arc::from("fuzz"),
                line: 1,
                column: 1,
            },
            negated: false,
            name: name.name.to_owned(),
            argument: argument.clone(),
        };
        match Operator::compile(&operator, &files) {
            Ok(operator) => evaluated(&operator, value, argument.as_bytes()),
            Err(error) => {
                let short = error.len() < 1_000 + 8 * argument.len();
                assert!(!error.contains('\n') && short, "{error}");
            }
        }
    }
}

fn evaluated(operator: &Operator, value: &[u8], argument: &[u8]) {
    let mut found = Found::default();
    let matches = operator.evaluate(value, argument, &mut found);
    found.wanted = true;
    assert_eq!(operator.evaluate(value, argument, &mut found), matches);
    assert!(matches || found.captures(value).count() == 0);
    if !matches {
        return;
    }
    let necessary = operator.necessary();
    let lower = value.to_ascii_lowercase();
    let (bytes, length) = (ByteSet::of(value), value.len());
    assert!(length >= necessary.min_length && necessary.max_length.is_none_or(|max| length <= max));
    assert!(necessary.bytes.iter().all(|set| set.intersects(&bytes)));
    if let Some(literals) = necessary.literals {
        let occurs = |literal: &Vec<u8>| lower.windows(literal.len()).any(|part| part == literal);
        assert!(literals.iter().any(occurs));
    }
}
