//! `@rx` and `@rxGlobal`: regular expressions, in time linear in the length of the value.

use std::sync::{Mutex, PoisonError};

use regex_automata::Input;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_syntax::hir::Hir;

use super::search::{self, Searcher};
use super::{Found, Necessary, Operator, Source, literals, pcre};
use crate::rules::Text;

/// A regular expression.
#[derive(Debug)]
pub struct Rx {
    pattern: Pattern,
    /// All matches are captured one after the other, not the first alone.
    global: bool,
}

#[derive(Debug)]
enum Pattern {
    Fixed(Box<Compiled>),
    /// Compiled when it is used; the last few are kept.
    Macros {
        text: Text,
        recent: Mutex<Vec<(Vec<u8>, Option<Searcher>)>>,
    },
}

#[derive(Debug)]
struct Compiled {
    searcher: Searcher,
    necessary: Necessary,
}

/// Memory of a compiled expression, bytes. The biggest of CRS needs 0.4 MiB.
const PROGRAM_BYTES_MAX: usize = 4 << 20;

/// The same for an expression that is made while a request waits.
const PROGRAM_BYTES_MAX_AT_USE: usize = 256 << 10;

/// Groups that are captured: `TX:0` to `TX:9`.
const CAPTURES: usize = 10;

/// How many expressions with macros are kept compiled.
const RECENT_MAX: usize = 4;

pub(super) fn first(source: &Source<'_>) -> Result<Operator, String> {
    Rx::operator(source, false)
}

pub(super) fn global(source: &Source<'_>) -> Result<Operator, String> {
    Rx::operator(source, true)
}

impl Rx {
    fn operator(source: &Source<'_>, global: bool) -> Result<Operator, String> {
        // `%{2}` is no macro but a repetition: only the names of variables make one here.
        let text = Text::parse(source.argument).ok();
        let pattern = match text.filter(|text| text.literal().is_none()) {
            Some(text) => Pattern::Macros {
                text,
                recent: Mutex::default(),
            },
            None => Pattern::Fixed(Box::new(Compiled::new(source.argument)?)),
        };
        Ok(Operator::Rx(Self { pattern, global }))
    }

    /// The text, if it has to be expanded for each evaluation.
    pub(super) fn argument(&self) -> Option<&Text> {
        match &self.pattern {
            Pattern::Fixed(_) => None,
            Pattern::Macros { text, .. } => Some(text),
        }
    }

    pub(super) fn evaluate(&self, value: &[u8], expanded: &[u8], found: &mut Found) -> bool {
        match &self.pattern {
            Pattern::Fixed(compiled) => self.search(&compiled.searcher, value, found),
            Pattern::Macros { recent, .. } => {
                let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
                let searcher = at_use(&mut recent, expanded);
                // As in ModSecurity: what is no regular expression matches nothing.
                searcher.is_some_and(|searcher| self.search(searcher, value, found))
            }
        }
    }

    pub(super) fn necessary(&self) -> Necessary {
        match &self.pattern {
            Pattern::Fixed(compiled) => compiled.necessary.clone(),
            Pattern::Macros { .. } => Necessary::default(),
        }
    }

    /// Memory of the compiled expression without its caches, bytes.
    pub(super) fn memory(&self) -> usize {
        match &self.pattern {
            Pattern::Fixed(compiled) => compiled.searcher.memory(),
            Pattern::Macros { .. } => 0,
        }
    }

    fn search(&self, searcher: &Searcher, value: &[u8], found: &mut Found) -> bool {
        if !found.needs_place() {
            return searcher.is_match(value);
        }
        let groups = searcher.groups();
        let mut input = Input::new(value);
        let mut number = 0;
        while let Some(next) = capture(searcher, &input, number, found) {
            number += groups;
            let last = !self.global || !found.wanted || Found::is_full_at(number);
            if last || next > value.len() {
                return true;
            }
            input.set_start(next);
        }
        number > 0
    }
}

/// Captures one match, its groups numbered from `number`, and answers where the next search begins.
fn capture(
    searcher: &Searcher,
    input: &Input<'_>,
    number: usize,
    found: &mut Found,
) -> Option<usize> {
    let groups = if found.wanted { searcher.groups() } else { 1 };
    let mut slots = std::mem::take(&mut found.slots);
    slots.clear();
    slots.resize(groups.min(CAPTURES) * 2, None);
    let mut next = searcher.find(input, &mut slots).then_some(0);
    for (group, pair) in slots.chunks_exact(2).enumerate() {
        let [Some(start), Some(end)] = pair else {
            continue;
        };
        let range = start.get()..end.get();
        if group == 0 {
            // A match of nothing is not found again.
            next = Some(range.end + usize::from(range.is_empty()));
            if number == 0 {
                found.at(range.clone());
            }
        }
        found.capture(number + group, range);
    }
    found.slots = slots;
    next
}

impl Compiled {
    fn new(pattern: &str) -> Result<Self, String> {
        let hir = parse(pattern)?;
        let necessary = literals::necessary(&hir);
        let searcher = Searcher::new(&hir, PROGRAM_BYTES_MAX)?;
        Ok(Self {
            searcher,
            necessary,
        })
    }
}

/// The expression that the expanded pattern is, compiled now or before.
fn at_use<'a>(
    recent: &'a mut Vec<(Vec<u8>, Option<Searcher>)>,
    pattern: &[u8],
) -> Option<&'a Searcher> {
    match recent.iter().position(|(known, _)| known == pattern) {
        Some(index) => recent.get_mut(..=index)?.rotate_right(1),
        None => {
            let searcher = std::str::from_utf8(pattern)
                .ok()
                .and_then(|pattern| parse(pattern).ok())
                .and_then(|hir| Searcher::temporary(&hir, PROGRAM_BYTES_MAX_AT_USE).ok());
            recent.truncate(RECENT_MAX - 1);
            recent.insert(0, (pattern.to_vec(), searcher));
        }
    }
    recent.first()?.1.as_ref()
}

/// A pattern outside of an operator: the key of a target, a path.
///
/// # Errors
/// What is wrong with it.
pub fn regex(pattern: &str) -> Result<Regex, String> {
    search::compile(&parse(pattern)?, PROGRAM_BYTES_MAX)
}

/// Reads a pattern as ModSecurity does.
pub(super) fn parse(pattern: &str) -> Result<Hir, String> {
    let translated = pcre::translate(pattern)?;
    let config = syntax::Config::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .multi_line(true)
        .nest_limit(128);
    syntax::parse_with(&translated, &config)
        .map_err(|error| format!("the regular expression is wrong: {}", reason(&error)))
}

/// The last line of an error of `regex-syntax`: what comes before it repeats the pattern.
fn reason(error: &regex_syntax::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
