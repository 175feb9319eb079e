//! `@restpath /users/{id}/posts/{post}`: a path with named parts, as in Coraza.

use regex_automata::Input;

use super::search::Searcher;
use super::{Found, Necessary, Operator, Source, literals, rx};

/// A path whose named parts become members of `ARGS_PATH`. What is not in braces is a regular expression; it matches
/// anywhere in the value unless it is anchored.
#[derive(Debug)]
pub struct RestPath {
    searcher: Searcher,
    necessary: Necessary,
    /// In the order of their groups.
    names: Vec<(usize, String)>,
}

/// Memory of the compiled expression, bytes.
const PROGRAM_BYTES_MAX: usize = 1 << 20;

/// How many names a path may have.
const NAMES_MAX: usize = 64;

pub(super) fn new(source: &Source<'_>) -> Result<Operator, String> {
    let (mut pattern, mut names) = (String::new(), Vec::new());
    let mut rest = source.argument;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err(format!("the brace before {after:?} is not closed"));
        };
        if name.is_empty() || names.len() == NAMES_MAX {
            return Err(format!(
                "a path has names of at least one character, and at most {NAMES_MAX} of them"
            ));
        }
        pattern.push_str(before);
        pattern.push_str(&format!("(?P<{}>[^?/]+)", group(names.len())));
        names.push(name.to_owned());
        rest = after;
    }
    pattern.push_str(rest);
    let hir = rx::parse(&pattern)?;
    let searcher = Searcher::new(&hir, PROGRAM_BYTES_MAX)?;
    let names = names
        .into_iter()
        .enumerate()
        .filter_map(|(number, name)| Some((searcher.group(&group(number))?, name)))
        .collect();
    Ok(Operator::RestPath(RestPath {
        necessary: literals::necessary(&hir),
        searcher,
        names,
    }))
}

/// The name of a group: those of the path may have characters that a group's must not have.
fn group(number: usize) -> String {
    format!("part{number}")
}

impl RestPath {
    pub(super) fn evaluate(&self, value: &[u8], found: &mut Found) -> bool {
        let mut slots = std::mem::take(&mut found.slots);
        slots.clear();
        slots.resize(self.searcher.groups() * 2, None);
        let matches = self.searcher.find(&Input::new(value), &mut slots);
        let group = |number: usize| {
            let start = slots.get(number * 2).copied().flatten()?;
            let end = slots.get(number * 2 + 1).copied().flatten()?;
            Some(start.get()..end.get())
        };
        if let Some(whole) = group(0) {
            found.at(whole);
        }
        for (number, name) in &self.names {
            if let Some(part) = group(*number) {
                found.name(name, part);
            }
        }
        found.slots = slots;
        matches
    }

    pub(super) fn necessary(&self) -> Necessary {
        self.necessary.clone()
    }
}
