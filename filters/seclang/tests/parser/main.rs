//! The parser: every form of the language, what is said about wrong ones, and the Core Rule Set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod core_rule_set;

use portcullis_seclang::parser::Parsed;
use portcullis_seclang::rules::{Entry, Rule};

fn listed(problems: &[portcullis_seclang::source::Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}

/// The rules of a set without its markers.
fn rules(parsed: &Parsed) -> Vec<&Rule> {
    parsed
        .rules
        .entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Rule(rule) => Some(&**rule),
            Entry::Marker(_) => None,
        })
        .collect()
}
