//! The parser: every form of the language, what is said about wrong ones, and the Core Rule Set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod actions;
mod assembling;
mod core_rule_set;
mod directives;
mod hostile;
mod problems;
mod targets;

use portcullis_seclang::parser::{Parsed, Parser};
use portcullis_seclang::rules::{Entry, Rule};
use portcullis_seclang::source::MemoryFiles;

/// Files by name and text.
fn files(files: &[(&str, &str)]) -> MemoryFiles {
    MemoryFiles {
        files: files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
            .collect(),
    }
}

/// What a text without errors says.
fn parsed(text: &str) -> Parsed {
    let files = MemoryFiles::default();
    let mut parser = Parser::new(&files);
    parser.text("t", text);
    match parser.finish() {
        Ok(parsed) => parsed,
        Err(problems) => panic!("{text}\n{}", listed(&problems)),
    }
}

/// All problems of a text, one a line.
fn problems(text: &str) -> String {
    problems_of(&[("t", text)])
}

/// All problems of files, of which the first includes the others.
fn problems_of(all: &[(&str, &str)]) -> String {
    let files = files(all);
    match portcullis_seclang::parser::parse(&files, all[0].0) {
        Ok(parsed) => listed(&parsed.warnings),
        Err(problems) => listed(&problems),
    }
}

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

/// The only rule of a text without errors.
fn only(text: &str) -> Rule {
    let parsed = parsed(text);
    let rules = rules(&parsed);
    assert_eq!(rules.len(), 1, "{text}");
    rules[0].clone()
}
