//! `ctl`, with the rules it means already found.

use std::sync::Arc;

use crate::plan::Identity;
use crate::plan::link::Exclusion;
use crate::plan::selectors::Matcher;
use crate::rules::{Target, actions};

/// A change of the engine for the rest of the exchange.
#[derive(Debug)]
pub enum Ctl {
    /// Anything that is a setting.
    Setting(actions::Ctl),
    /// Which rules run no more.
    Remove(RuleSet),
    /// Which rules no more look at something.
    RemoveTarget(Arc<RemovedTarget>),
}

/// What some rules no more look at.
#[derive(Debug)]
pub struct RemovedTarget {
    pub rules: RuleSet,
    pub what: Exclusion,
}

/// Some rules of a plan, a bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    words: Vec<u64>,
}

impl RuleSet {
    /// Those for which `meant` holds.
    pub fn new(rules: &[Identity], meant: impl Fn(&Identity) -> bool) -> Self {
        let mut set = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            if meant(rule) {
                set.insert(index);
            }
        }
        set
    }

    /// Adds the rule at `index`.
    pub fn insert(&mut self, index: usize) {
        if self.words.len() <= index / 64 {
            self.words.resize(index / 64 + 1, 0);
        }
        if let Some(word) = self.words.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    /// Adds the rules of another set.
    pub fn union(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// Whether the rule at `index` is among them.
    pub fn contains(&self, index: usize) -> bool {
        self.words
            .get(index / 64)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Removes all and keeps the memory.
    pub fn clear(&mut self) {
        self.words.clear();
    }
}

/// Which rules an action means: by id, by tag, by message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Ranges, both ends included.
    Ids(Vec<(u64, u64)>),
    Tag(String),
    Message(String),
}

impl Select {
    /// The rules that are meant.
    pub fn among(&self, rules: &[Identity]) -> RuleSet {
        RuleSet::new(rules, |rule| match self {
            Self::Ids(ranges) => ranges
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&rule.id)),
            Self::Tag(tag) => rule.has_tag(tag),
            Self::Message(message) => {
                let text = rule.metadata.message.as_ref();
                text.is_some_and(|text| text.literal() == Some(message))
            }
        })
    }
}

impl Ctl {
    /// With the rules of the plan, once all are there.
    ///
    /// # Errors
    /// What is wrong with a key that is a regular expression.
    pub fn new(ctl: &actions::Ctl, rules: &[Identity]) -> Result<Self, String> {
        use actions::Ctl as Spoken;
        let target = |select: Select, target: &Target| {
            Ok::<_, String>(Self::RemoveTarget(Arc::new(RemovedTarget {
                rules: select.among(rules),
                what: Exclusion {
                    variable: target.variable,
                    key: Matcher::new(&target.key)?,
                },
            })))
        };
        Ok(match ctl {
            Spoken::RuleRemoveById(ids) => Self::Remove(Select::Ids(ids.clone()).among(rules)),
            Spoken::RuleRemoveByTag(tag) => Self::Remove(Select::Tag(tag.clone()).among(rules)),
            Spoken::RuleRemoveByMsg(message) => {
                Self::Remove(Select::Message(message.clone()).among(rules))
            }
            Spoken::RuleRemoveTargetById { ids, target: what } => {
                target(Select::Ids(ids.clone()), what)?
            }
            Spoken::RuleRemoveTargetByTag { tag, target: what } => {
                target(Select::Tag(tag.clone()), what)?
            }
            Spoken::RuleRemoveTargetByMsg {
                message,
                target: what,
            } => target(Select::Message(message.clone()), what)?,
            setting => Self::Setting(setting.clone()),
        })
    }
}
