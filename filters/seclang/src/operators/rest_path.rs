//! `@restpath /users/{id}/posts/{post}`: a path with named parts, as in Coraza.

use regex_automata::meta::Regex;

use super::{Found, Necessary, Operator, Source, literals, rx};

/// A path whose named parts become members of `ARGS_PATH`. What is not in braces is a regular expression; it matches
/// anywhere in the value unless it is anchored.
#[derive(Debug)]
pub struct RestPath {
    regex: Regex,
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
            return Err(format!("{{{after} is not closed"));
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
    let regex = rx::compile(&hir, PROGRAM_BYTES_MAX)?;
    let index = |number| {
        let groups = regex.group_info();
        groups.to_index(regex_automata::PatternID::ZERO, &group(number))
    };
    let names = names
        .into_iter()
        .enumerate()
        .filter_map(|(number, name)| Some((index(number)?, name)))
        .collect();
    Ok(Operator::RestPath(RestPath {
        necessary: literals::necessary(&hir),
        regex,
        names,
    }))
}

/// The name of a group: those of the path may have characters that a group's must not have.
fn group(number: usize) -> String {
    format!("part{number}")
}

impl RestPath {
    pub(super) fn evaluate(&self, value: &[u8], found: &mut Found) -> bool {
        let mut captures = self.regex.create_captures();
        self.regex.captures(value, &mut captures);
        let Some(whole) = captures.get_group(0) else {
            return false;
        };
        found.at(whole.range());
        for (group, name) in &self.names {
            if let Some(span) = captures.get_group(*group) {
                found.name(name, span.range());
            }
        }
        true
    }

    pub(super) fn necessary(&self) -> Necessary {
        self.necessary.clone()
    }
}
