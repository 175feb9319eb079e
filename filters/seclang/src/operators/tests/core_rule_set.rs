//! The operators of the Core Rule Set, where its Go module is at hand: all compile, and what they say is necessary is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::*;
use crate::rules::Entry;
use crate::source::matches_wildcards;

/// Within the module cache of Go.
const RULES: &str = "github.com/corazawaf/coraza-coreruleset/v4@v4.25.0/rules/@owasp_crs";

struct Folder(PathBuf);

impl Files for Folder {
    fn read(&self, _: &str, name: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(name)).map_err(|error| error.to_string())
    }

    fn expand(&self, _: &str, pattern: &str) -> Result<Vec<String>, String> {
        let entries = std::fs::read_dir(&self.0).map_err(|error| error.to_string())?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names
            .filter(|name| matches_wildcards(pattern, name))
            .collect())
    }
}

/// Each operator of the rules once, or `None` with a printed reason.
fn operators() -> Option<(Folder, Vec<rules::Operator>)> {
    let told = || {
        let told = Command::new("go")
            .args(["env", "GOMODCACHE"])
            .output()
            .ok()?;
        Some(PathBuf::from(String::from_utf8(told.stdout).ok()?.trim()))
    };
    let cache = std::env::var_os("GOMODCACHE")
        .map(PathBuf::from)
        .or_else(told);
    let Some(path) = cache
        .map(|cache| cache.join(RULES))
        .filter(|path| path.is_dir())
    else {
        println!("skipped: the Go module coraza-coreruleset 4.25.0 is not in the module cache");
        return None;
    };
    let folder = Folder(path);
    let mut parser = crate::parser::Parser::new(&folder);
    parser.text("all", "Include *.conf");
    let parsed = parser.finish().expect("rules without errors");
    let mut all = BTreeMap::new();
    for entry in parsed.rules.entries {
        if let Entry::Rule(rule) = entry {
            let chain = rule.chain.iter().filter_map(|rule| rule.operator.clone());
            for operator in rule.operator.iter().cloned().chain(chain) {
                all.insert((operator.name.clone(), operator.argument.clone()), operator);
            }
        }
    }
    Some((folder, all.into_values().collect()))
}

/// Random numbers, always the same ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    /// A text that the expression may match: where it looks around, it may not.
    fn text(&mut self, hir: &Hir, out: &mut Vec<u8>) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
            HirKind::Class(Class::Bytes(class)) => {
                let ranges = class.ranges();
                if !ranges.is_empty() {
                    let range = &ranges[self.below(ranges.len())];
                    let width = usize::from(range.end() - range.start()) + 1;
                    out.push(range.start() + self.below(width) as u8);
                }
            }
            HirKind::Class(Class::Unicode(_)) => unreachable!("patterns match bytes"),
            HirKind::Repetition(repetition) => {
                let more = repetition.max.map_or(3, |max| max - repetition.min).min(3);
                for _ in 0..repetition.min as usize + self.below(more as usize + 1) {
                    self.text(&repetition.sub, out);
                }
            }
            HirKind::Capture(capture) => self.text(&capture.sub, out),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.text(part, out)),
            HirKind::Alternation(branches) => {
                let branch = &branches[self.below(branches.len())];
                self.text(branch, out);
            }
        }
    }

    /// The text with something around it, or a byte changed.
    fn disturb(&mut self, text: &mut Vec<u8>) {
        match self.below(6) {
            0 => text.splice(0..0, *b"x=1 ").for_each(drop),
            1 => text.extend_from_slice(b" and"),
            2 => text.make_ascii_uppercase(),
            3 if !text.is_empty() => {
                let at = self.below(text.len());
                text[at] = self.below(256) as u8;
            }
            _ => {}
        }
    }
}

#[test]
fn all_compile() {
    let Some((folder, operators)) = operators() else {
        return;
    };
    for operator in &operators {
        let compiled = Operator::compile(operator, &folder);
        assert!(compiled.is_ok(), "{}: {compiled:?}", operator.position);
    }
    let expressions = operators
        .iter()
        .filter(|operator| operator.name == "rx")
        .count();
    assert_eq!(expressions, 291);
}

#[test]
fn what_expressions_match_has_what_is_necessary() {
    let Some((folder, operators)) = operators() else {
        return;
    };
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut unmatched = Vec::new();
    for operator in operators.iter().filter(|operator| operator.name == "rx") {
        let compiled = Operator::compile(operator, &folder).expect("it compiles");
        let hir = rx::parse(&operator.argument).expect("it compiles");
        let (necessary, mut found) = (compiled.necessary(), Found::default());
        let mut matched = 0;
        for _ in 0..40 {
            let mut text = Vec::new();
            dice.text(&hir, &mut text);
            dice.disturb(&mut text);
            if compiled.evaluate(&text, b"", &mut found) {
                matched += 1;
                holds(&necessary, &text);
            }
        }
        if matched == 0 {
            unmatched.push(operator.argument.as_str());
        }
    }
    // The test would be worth nothing if its texts did not match.
    assert!(unmatched.len() <= 5, "{unmatched:#?}");
}
