//! `@rx` and `@rxGlobal`: regular expressions, in time linear in the length of the value.

use std::sync::{Mutex, PoisonError};

use regex_automata::Input;
use regex_automata::meta::{BuildError, Config, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::syntax;
use regex_syntax::hir::Hir;

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
        recent: Mutex<Vec<(Vec<u8>, Option<Regex>)>>,
    },
}

#[derive(Debug)]
struct Compiled {
    regex: Regex,
    necessary: Necessary,
}

/// Memory of a compiled expression, bytes. The biggest of CRS needs 0.4 MiB.
const PROGRAM_BYTES_MAX: usize = 4 << 20;

/// The same for an expression that is made while a request waits.
const PROGRAM_BYTES_MAX_AT_USE: usize = 256 << 10;

/// Memory for the states of an expression that were met in values, bytes.
const CACHE_BYTES: usize = 128 << 10;

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
            Pattern::Fixed(compiled) => self.search(&compiled.regex, value, found),
            Pattern::Macros { recent, .. } => {
                let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
                let regex = at_use(&mut recent, expanded);
                // As in ModSecurity: what is no regular expression matches nothing.
                regex.is_some_and(|regex| self.search(regex, value, found))
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
            Pattern::Fixed(compiled) => compiled.regex.memory_usage(),
            Pattern::Macros { .. } => 0,
        }
    }

    fn search(&self, regex: &Regex, value: &[u8], found: &mut Found) -> bool {
        if !found.wanted {
            return match found.explained {
                false => regex.is_match(value),
                true => match regex.find(value) {
                    Some(hit) => {
                        found.at(hit.range());
                        true
                    }
                    None => false,
                },
            };
        }
        let mut input = Input::new(value);
        let mut matched = false;
        let mut number = 0;
        while let Some(end) = capture(regex, &input, number, found) {
            matched = true;
            number += regex
                .group_info()
                .group_len(regex_automata::PatternID::ZERO);
            if !self.global || Found::is_full_at(number) || end.next_start > value.len() {
                break;
            }
            input.set_start(end.next_start);
        }
        matched
    }
}

/// Where the next search begins.
struct Next {
    next_start: usize,
}

/// Captures one match, its groups numbered from `number`.
fn capture(regex: &Regex, input: &Input<'_>, number: usize, found: &mut Found) -> Option<Next> {
    let groups = regex
        .group_info()
        .group_len(regex_automata::PatternID::ZERO);
    let mut slots = std::mem::take(&mut found.slots);
    slots.clear();
    slots.resize(groups.min(10) * 2, None);
    let hit = regex.search_slots(input, &mut slots);
    let mut next_start = 0;
    if hit.is_some() {
        for (group, pair) in slots.chunks_exact(2).enumerate() {
            let [Some(start), Some(end)] = pair else {
                continue;
            };
            let range = start.get()..end.get();
            if group == 0 {
                // A match of nothing is not found again.
                next_start = range.end + usize::from(range.is_empty());
                if number == 0 {
                    found.at(range.clone());
                }
            }
            found.capture(number + group, range);
        }
    }
    found.slots = slots;
    hit.map(|_| Next { next_start })
}

impl Compiled {
    fn new(pattern: &str) -> Result<Self, String> {
        let hir = parse(pattern)?;
        let necessary = literals::necessary(&hir);
        let regex = compile(&hir, PROGRAM_BYTES_MAX)?;
        Ok(Self { regex, necessary })
    }
}

/// The expression that the expanded pattern is, compiled now or before.
fn at_use<'a>(recent: &'a mut Vec<(Vec<u8>, Option<Regex>)>, pattern: &[u8]) -> Option<&'a Regex> {
    match recent.iter().position(|(known, _)| known == pattern) {
        Some(index) => recent.get_mut(..=index)?.rotate_right(1),
        None => {
            let regex = std::str::from_utf8(pattern)
                .ok()
                .and_then(|pattern| parse(pattern).ok())
                .and_then(|hir| compile(&hir, PROGRAM_BYTES_MAX_AT_USE).ok());
            recent.truncate(RECENT_MAX - 1);
            recent.insert(0, (pattern.to_vec(), regex));
        }
    }
    recent.first()?.1.as_ref()
}

/// A pattern outside of an operator: the key of a target, a path.
///
/// # Errors
/// What is wrong with it.
pub fn regex(pattern: &str) -> Result<Regex, String> {
    compile(&parse(pattern)?, PROGRAM_BYTES_MAX)
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

pub(super) fn compile(hir: &Hir, program_bytes_max: usize) -> Result<Regex, String> {
    let config = Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(program_bytes_max))
        .hybrid_cache_capacity(CACHE_BYTES)
        .which_captures(WhichCaptures::All)
        // Without it groups are found by simulation, in linear time, too, but without a quarter of a megabyte for marks.
        .backtrack(false);
    Regex::builder()
        .configure(config)
        .build_from_hir(hir)
        .map_err(|error| too_big(&error, program_bytes_max))
}

fn too_big(error: &BuildError, program_bytes_max: usize) -> String {
    match error.size_limit() {
        Some(_) => format!(
            "the regular expression needs more than {program_bytes_max} bytes compiled; make the numbers in its \
             repetitions {{n,m}} smaller"
        ),
        None => format!("the regular expression cannot be compiled: {error}"),
    }
}
