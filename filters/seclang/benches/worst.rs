//! The twenty dearest regular expressions of the Core Rule Set, by the time they take on 64 KiB that suit them worst.
//!
//! For each place where an expression repeats something without an end, an input is made that leads there, repeats it, and
//! does not match in the end: on such inputs engines that go back take quadratic time or more. Besides there are inputs of
//! what each expression looks for, over and over. The last column is the time over that for a quarter of the input: 4 where
//! the time is linear.
//!
//! `cargo bench -p portcullis-seclang --bench worst`

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis_seclang::operators::{Found, Operator};
use portcullis_seclang::parser::Parser;
use portcullis_seclang::rules::{Entry, Rule};
use portcullis_seclang::source::{Files, matches_wildcards};
use regex_syntax::hir::{Class, Hir, HirKind};

const RULES: &str = "github.com/corazawaf/coraza-coreruleset/v4@v4.25.0/rules/@owasp_crs";

/// Bytes of an input.
const LENGTH: usize = 64 << 10;

/// Shown at most.
const ROWS: usize = 20;

struct Folder(PathBuf);

impl Files for Folder {
    fn read(&self, _: &str, name: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(name)).map_err(|error| error.to_string())
    }

    fn expand(&self, _: &str, pattern: &str) -> Result<Vec<String>, String> {
        let entries = std::fs::read_dir(&self.0).map_err(|error| error.to_string())?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names
            .filter(|name| matches_wildcards(pattern, name))
            .collect();
        names.sort();
        Ok(names)
    }
}

fn folder() -> Option<Folder> {
    let told = || {
        let told = Command::new("go")
            .args(["env", "GOMODCACHE"])
            .output()
            .ok()?;
        Some(PathBuf::from(String::from_utf8(told.stdout).ok()?.trim()))
    };
    let cache = std::env::var_os("GOMODCACHE")
        .map(PathBuf::from)
        .or_else(told)?;
    let path = cache.join(RULES);
    path.is_dir().then_some(Folder(path))
}

/// An expression and the worst that was found for it.
struct Row {
    id: u64,
    time: Duration,
    growth: f64,
    input: String,
}

fn main() {
    let Some(folder) = folder() else {
        println!("skipped: the Go module coraza-coreruleset 4.25.0 is not in the module cache");
        return;
    };
    let mut parser = Parser::new(&folder);
    parser.text("all", "Include *.conf");
    let parsed = parser.finish().expect("rules without errors");
    let mut rows = Vec::new();
    for entry in &parsed.rules.entries {
        if let Entry::Rule(rule) = entry {
            let members = std::iter::once(&**rule).chain(&rule.chain);
            rows.extend(members.filter_map(|member| worst(rule.id, member, &folder)));
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.time));
    println!(
        "{:>8}  {:>10}  {:>8}  {:>6}  input",
        "rule", "us/64 KiB", "ns/byte", "growth"
    );
    for row in rows.iter().take(ROWS) {
        let (micros, length) = (row.time.as_micros(), LENGTH as f64);
        let each = row.time.as_nanos() as f64 / length;
        println!(
            "{:>8}  {micros:>10}  {each:>8.2}  {:>6.1}  {}",
            row.id, row.growth, row.input
        );
    }
    println!("{} expressions", rows.len());
}

/// The input on which a rule's expression takes longest.
fn worst(id: u64, rule: &Rule, files: &dyn Files) -> Option<Row> {
    let spec = rule
        .operator
        .as_ref()
        .filter(|operator| operator.name == "rx")?;
    let operator = Operator::compile(spec, files).ok()?;
    let mut inputs: Vec<Vec<u8>> = repetitions(&spec.argument);
    let literals = operator.necessary().literals.unwrap_or_default();
    let seeds = literals.iter().map(Vec::as_slice).take(8);
    let common: [&[u8]; 5] = [b"a", b" ", b"0", b"\"'", b"a="];
    inputs.extend(
        seeds
            .chain(common)
            .map(|seed| seed.iter().copied().cycle().take(LENGTH).collect()),
    );
    let timed = inputs
        .iter()
        .map(|input| (time(&operator, input, 1), input));
    let (_, input) = timed.max_by_key(|(time, _)| *time)?;
    let whole = time(&operator, input, 3);
    let quarter = time(&operator, input.get(..input.len() / 4)?, 3);
    let begin = input.get(..input.len().min(40))?;
    Some(Row {
        id,
        time: whole,
        growth: whole.as_secs_f64() / quarter.as_secs_f64(),
        input: format!("{}...", begin.escape_ascii()),
    })
}

/// The shortest of some rounds, with captures: a neighbour only makes them longer.
fn time(operator: &Operator, input: &[u8], rounds: usize) -> Duration {
    let mut found = Found::default();
    found.wanted = true;
    let round = |_| {
        let start = Instant::now();
        std::hint::black_box(operator.evaluate(input, b"", &mut found));
        start.elapsed()
    };
    (0..rounds).map(round).min().unwrap_or_default()
}

/// An input for each repetition without an end.
fn repetitions(pattern: &str) -> Vec<Vec<u8>> {
    let mut parser = regex_syntax::ParserBuilder::new();
    let parser = parser
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .multi_line(true);
    // The few with bytes as `\x{e9}` are another matter to this parser, and go without.
    let Ok(hir) = parser.build().parse(pattern) else {
        return Vec::new();
    };
    (0..endless(&hir).min(16))
        .map(|chosen| {
            let mut path = Path {
                chosen,
                out: Vec::with_capacity(LENGTH),
                done: false,
            };
            path.walk(&hir);
            path.out.truncate(LENGTH - 1);
            // What ends no match: a byte that few expressions name.
            path.out.push(0x01);
            path.out
        })
        .collect()
}

/// How many repetitions without an end there are.
fn endless(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            usize::from(repetition.max.is_none()) + endless(&repetition.sub)
        }
        HirKind::Capture(capture) => endless(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().map(endless).sum(),
        _ => 0,
    }
}

/// A way through an expression that stays in one repetition.
struct Path {
    /// Repetitions without an end to pass by.
    chosen: usize,
    out: Vec<u8>,
    done: bool,
}

impl Path {
    fn walk(&mut self, hir: &Hir) {
        if self.done {
            return;
        }
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.out.extend_from_slice(&literal.0),
            HirKind::Class(Class::Bytes(class)) => {
                let printable = class.ranges().iter().find(|range| range.end() >= b' ');
                self.out
                    .extend(printable.map(|range| range.start().max(b' ')));
            }
            HirKind::Class(Class::Unicode(_)) => {}
            HirKind::Capture(capture) => self.walk(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.walk(part)),
            HirKind::Alternation(branches) => {
                // The branch in which the chosen repetition is; the first, if it is elsewhere.
                let mut before = 0;
                for branch in branches {
                    let inside = endless(branch);
                    if (before..before + inside).contains(&self.chosen) {
                        self.chosen -= before;
                        return self.walk(branch);
                    }
                    before += inside;
                }
                let chosen = std::mem::replace(&mut self.chosen, usize::MAX);
                branches.iter().take(1).for_each(|branch| self.walk(branch));
                self.chosen = chosen.saturating_sub(before);
            }
            HirKind::Repetition(repetition) => {
                if repetition.max.is_none() && self.chosen == 0 {
                    let start = self.out.len();
                    self.chosen = usize::MAX;
                    self.walk(&repetition.sub);
                    let body = self.out.split_off(start);
                    let rest = LENGTH.saturating_sub(start);
                    self.out.extend(body.iter().cycle().take(rest));
                    self.done = true;
                    return;
                }
                self.chosen -= usize::from(repetition.max.is_none() && self.chosen != usize::MAX);
                let inside = endless(&repetition.sub);
                if repetition.min > 0 || self.chosen < inside {
                    self.walk(&repetition.sub);
                } else if self.chosen != usize::MAX {
                    self.chosen -= inside;
                }
            }
        }
    }
}
