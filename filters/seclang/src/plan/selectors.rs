//! The distinct selections of variables: `ARGS`, `REQUEST_HEADERS:Host`, `TX:/^x_/`.

use std::collections::HashMap;

use regex_automata::meta::Regex;

use crate::operators::regex;
use crate::rules::{Key, Target};
use crate::variables::Variable;

/// Numbers for selections, and for pairs of a selection and a list of transformations.
#[derive(Debug, Default)]
pub struct Selectors {
    list: Vec<Selector>,
    numbers: HashMap<(Variable, KeyName), usize>,
    groups: Vec<Group>,
    group_numbers: HashMap<Group, usize>,
}

/// A variable with a key.
#[derive(Debug)]
pub struct Selector {
    pub variable: Variable,
    pub key: Matcher,
    /// Whether rules change it while they run: its members are read anew each time.
    pub dynamic: bool,
}

/// Which members of a collection are meant.
#[derive(Debug)]
pub enum Matcher {
    All,
    /// Case is ignored.
    Name(Box<str>),
    Regex(Box<Regex>),
    /// `//@*` and the like, for `XML`.
    XPath(Box<str>),
}

/// A selection under a list of transformations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    pub selector: usize,
    pub pipeline: usize,
}

/// What makes two keys the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum KeyName {
    All,
    Name(String),
    Regex(String),
    XPath(String),
}

impl Matcher {
    /// # Errors
    /// What is wrong with a regular expression.
    pub fn new(key: &Key) -> Result<Self, String> {
        Ok(match key {
            Key::All => Self::All,
            Key::Name(name) => Self::Name(name.as_str().into()),
            Key::XPath(path) => Self::XPath(path.as_str().into()),
            // Names are compared without regard to case, by a pattern too.
            Key::Regex(pattern) => Self::Regex(Box::new(regex(&format!("(?i){pattern}"))?)),
        })
    }

    /// Whether a member of that name is meant.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::All | Self::XPath(_) => true,
            Self::Name(key) => name.eq_ignore_ascii_case(key.as_bytes()),
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

impl Selectors {
    /// The number of a target's selection, a new one where it has none. A pattern that does not compile selects nothing;
    /// [`Matcher::new`] tells of it when the rule is built.
    pub fn number(&mut self, target: &Target) -> usize {
        let name = match &target.key {
            Key::All => KeyName::All,
            Key::Name(name) => KeyName::Name(name.to_ascii_lowercase()),
            Key::Regex(pattern) => KeyName::Regex(pattern.clone()),
            Key::XPath(path) => KeyName::XPath(path.clone()),
        };
        if let Some(number) = self.numbers.get(&(target.variable, name.clone())) {
            return *number;
        }
        let number = self.list.len();
        let key = Matcher::new(&target.key).unwrap_or_else(|_| Matcher::Name("".into()));
        self.list.push(Selector {
            variable: target.variable,
            key,
            dynamic: is_dynamic(target.variable),
        });
        self.numbers.insert((target.variable, name), number);
        number
    }

    /// The number of a pair; `None` for a selection that has to be read anew each time.
    pub fn group(&mut self, group: Group) -> Option<usize> {
        if self.list.get(group.selector)?.dynamic {
            return None;
        }
        // Values that the transformations leave as they are belong to the group without any.
        if group.pipeline != 0 {
            self.group(Group {
                pipeline: 0,
                ..group
            });
        }
        let next = self.groups.len();
        let number = *self.group_numbers.entry(group).or_insert(next);
        if number == next {
            self.groups.push(group);
        }
        Some(number)
    }

    /// The selection behind a number.
    pub fn get(&self, number: usize) -> Option<&Selector> {
        self.list.get(number)
    }

    /// The pair behind a number.
    pub fn get_group(&self, number: usize) -> Option<Group> {
        self.groups.get(number).copied()
    }

    /// The number of a pair, where some rule has it.
    pub fn find_group(&self, selector: usize, pipeline: usize) -> Option<usize> {
        self.group_numbers
            .get(&Group { selector, pipeline })
            .copied()
    }

    /// How many selections there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many pairs there are.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }
}

/// Whether a variable may change between two rules of one phase.
fn is_dynamic(variable: Variable) -> bool {
    matches!(
        variable,
        Variable::ArgsPath
            | Variable::Duration
            | Variable::Env
            | Variable::Geo
            | Variable::Global
            | Variable::HighestSeverity
            | Variable::Ip
            | Variable::MatchedVar
            | Variable::MatchedVarName
            | Variable::MatchedVars
            | Variable::MatchedVarsNames
            | Variable::ReqbodyProcessor
            | Variable::ResbodyProcessor
            | Variable::Resource
            | Variable::Rule
            | Variable::Session
            | Variable::SessionId
            | Variable::Tx
            | Variable::User
            | Variable::UserId
    )
}
