//! The order of evaluation of a phase, close together in memory.
//!
//! Most rules do not match most requests, and that can be known from a few bits. A step has what it takes to know, so that
//! a rule's own memory is not even looked at: walking six hundred rules would cost more in cache misses than in work.

use crate::plan::Rule;
use crate::plan::link::Test;

/// What runs in a phase.
#[derive(Debug, Default)]
pub struct Steps {
    list: Vec<Step>,
    /// Of all [`Quick::Groups`].
    groups: Vec<u32>,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Rule {
        /// Index in the plan's rules.
        index: u32,
        quick: Quick,
    },
    /// Nothing to do; a place to jump to.
    Marker,
}

/// How to know that a rule does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quick {
    /// Not without running it.
    Unknown,
    /// The operator could match none of these groups.
    Groups { start: u32, end: u32, operator: u32 },
    /// The operator does not match this member of `TX`, or there is none.
    Tx {
        number: u32,
        operator: u32,
        negated: bool,
    },
}

impl Steps {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The step at an index.
    pub fn get(&self, index: usize) -> Option<Step> {
        self.list.get(index).copied()
    }

    /// The groups of a [`Quick::Groups`].
    pub fn groups(&self, start: u32, end: u32) -> &[u32] {
        let groups = self.groups.get(start as usize..end as usize);
        groups.unwrap_or_default()
    }

    /// Adds a place to jump to.
    pub fn push_marker(&mut self) {
        self.list.push(Step::Marker);
    }

    /// Adds a rule, which is at `index` among the plan's.
    pub fn push_rule(&mut self, index: usize, rule: &Rule) {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let first = rule.links.first().and_then(|link| link.test.as_ref());
        let quick = first.and_then(|test| self.quick(test));
        self.list.push(Step::Rule {
            index,
            quick: quick.unwrap_or(Quick::Unknown),
        });
    }

    fn quick(&mut self, test: &Test) -> Option<Quick> {
        if test.argument.is_some() {
            return None;
        }
        let operator = u32::try_from(test.operator).ok()?;
        if let [target] = test.targets.as_slice()
            && let Some(number) = target.tx
            && !target.count
        {
            return Some(Quick::Tx {
                number: u32::try_from(number).ok()?,
                operator,
                negated: test.negated,
            });
        }
        let grouped = test.targets.iter().all(|target| !target.groups.is_empty());
        if test.negated || !grouped {
            return None;
        }
        let start = u32::try_from(self.groups.len()).ok()?;
        for group in test.targets.iter().flat_map(|target| &target.groups) {
            self.groups.push(u32::try_from(*group).ok()?);
        }
        Some(Quick::Groups {
            start,
            end: u32::try_from(self.groups.len()).ok()?,
            operator,
        })
    }
}
