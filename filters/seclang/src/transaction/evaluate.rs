//! Tries rules: links, targets, values.

use crate::operators::Operator;
use crate::plan::Plan;
use crate::plan::link::{Link, Target, Test};
use crate::plan::prefilter::is_candidate;
use crate::transaction::Transaction;
use crate::transaction::host::Host;
use crate::transaction::members::Member;
use crate::transaction::texts::{EMPTY, TextId};
use crate::variables::Variable;

/// A value that matched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matched {
    /// With the value as the operator saw it.
    pub member: Member,
    /// Before the transformations.
    pub original: TextId,
    /// `&ARGS`.
    pub count: bool,
    /// 0 is the rule itself, 1 the first member of its chain.
    pub level: usize,
}

/// One test at work.
struct Trial<'a> {
    plan: &'a Plan,
    link: &'a Link,
    test: &'a Test,
    operator: &'a Operator,
    /// Index of the rule.
    rule: usize,
    level: usize,
    host: &'a dyn Host,
}

impl Transaction {
    /// Whether a rule matched, with its chain.
    pub(super) fn rule(&mut self, plan: &Plan, index: usize, host: &dyn Host) -> bool {
        let Some(rule) = plan.rules.get(index) else {
            return false;
        };
        self.matched.clear();
        self.running = Some(index);
        self.texts_of_match = None;
        self.changes.clear();
        for (level, link) in rule.links.iter().enumerate() {
            if !self.link(plan, index, level, link, host) {
                self.trace(index, level, false);
                return false;
            }
        }
        self.trace(index, rule.links.len(), true);
        self.record(plan, index, host);
        true
    }

    fn link(
        &mut self,
        plan: &Plan,
        rule: usize,
        level: usize,
        link: &Link,
        host: &dyn Host,
    ) -> bool {
        let Some(test) = &link.test else {
            self.act(plan, &link.actions, host);
            return true;
        };
        let Some(operator) = plan.operators.get(test.operator) else {
            return false;
        };
        let mut argument = std::mem::take(&mut self.argument);
        argument.clear();
        if let Some(text) = &test.argument {
            self.expand(plan, text, host, &mut argument);
        }
        self.argument = argument;
        let trial = Trial {
            plan,
            link,
            test,
            operator,
            rule,
            level,
            host,
        };
        let mut matched = false;
        for target in &test.targets {
            matched |= self.target(&trial, target);
        }
        matched
    }

    fn target(&mut self, trial: &Trial<'_>, target: &Target) -> bool {
        let test = trial.test;
        if target.count {
            return self.count(trial, target);
        }
        if let Some(number) = target.tx {
            return self.tx_member(trial, number);
        }
        if target.groups.is_empty() {
            return self.dynamic(trial, target);
        }
        let Some(range) = self.select(trial.plan, trial.host, target.selector) else {
            return false;
        };
        if range.is_empty() {
            return false;
        }
        if !test.negated && test.argument.is_none() {
            let mut groups = target.groups.iter();
            if !groups.any(|group| self.could_match(trial.plan, trial.host, *group, test.operator))
            {
                return false;
            }
        }
        let mut matched = false;
        for place in 0..range.len() {
            let Some(member) = self.memo.member(range.start + place) else {
                break;
            };
            if self.is_excluded(trial, &member) {
                continue;
            }
            let mut before = None;
            for number in &target.groups {
                let text = self.group_text(trial.plan, trial.host, *number, place);
                let Some(text) = text.filter(|text| Some(*text) != before) else {
                    continue;
                };
                before = Some(text);
                matched |= self.value(trial, member, text);
            }
        }
        matched
    }

    /// A member of `TX`: the gates of the paranoia levels, by far the most tests of an exchange. It becomes a text only
    /// when it matches.
    fn tx_member(&mut self, trial: &Trial<'_>, number: usize) -> bool {
        let Self {
            tx,
            found,
            argument,
            ..
        } = self;
        let Some(value) = tx.get(number) else {
            return false;
        };
        found.wanted = trial.link.capture;
        if trial.operator.evaluate(value, argument, found) == trial.test.negated {
            return false;
        }
        let name = trial.plan.tx_names.name(number);
        let member = Member {
            variable: Variable::Tx,
            name: self.texts.intern(name.as_bytes()),
            value: self.texts.intern(value),
        };
        if self.is_excluded(trial, &member) {
            return false;
        }
        self.on_match(trial, member, member.value, false);
        true
    }

    /// `&ARGS`
    fn count(&mut self, trial: &Trial<'_>, target: &Target) -> bool {
        let Some(selector) = trial.plan.selectors.get(target.selector) else {
            return false;
        };
        let mut members = std::mem::take(&mut self.scratch_members);
        members.clear();
        self.read(selector, trial.host, &mut members);
        let mut count = 0_usize;
        for member in &members {
            count += usize::from(!self.is_excluded(trial, member));
        }
        self.scratch_members = members;
        let name = match &selector.key {
            crate::plan::selectors::Matcher::Name(name) => self.texts.intern(name.as_bytes()),
            _ => EMPTY,
        };
        let value = self.texts.intern(count.to_string().as_bytes());
        let member = Member {
            variable: target.variable,
            name,
            value,
        };
        if !self.evaluate(trial, value) {
            return false;
        }
        self.on_match(trial, member, value, true);
        true
    }

    /// A variable that rules change while they run.
    fn dynamic(&mut self, trial: &Trial<'_>, target: &Target) -> bool {
        let Some(selector) = trial.plan.selectors.get(target.selector) else {
            return false;
        };
        let mut members = std::mem::take(&mut self.scratch_members);
        members.clear();
        self.read(selector, trial.host, &mut members);
        let mut matched = false;
        for member in members.iter().copied() {
            if self.is_excluded(trial, &member) {
                continue;
            }
            let mut before = None;
            for pipeline in &trial.test.pipelines {
                let text = self.transform(trial.plan, member.value, *pipeline);
                if Some(text) == before {
                    continue;
                }
                before = Some(text);
                matched |= self.value(trial, member, text);
            }
        }
        self.scratch_members = members;
        matched
    }

    fn value(&mut self, trial: &Trial<'_>, member: Member, text: TextId) -> bool {
        if !trial.test.negated && trial.test.argument.is_none() {
            let bits = self.texts.candidates(text, &trial.plan.prefilter);
            if !is_candidate(bits, trial.test.operator) {
                return false;
            }
        }
        if !self.evaluate(trial, text) {
            return false;
        }
        self.on_match(trial, member, text, false);
        true
    }

    fn evaluate(&mut self, trial: &Trial<'_>, text: TextId) -> bool {
        let Self {
            texts,
            found,
            argument,
            ..
        } = self;
        found.clear();
        found.wanted = trial.link.capture;
        let value = texts.get(text);
        let matches = match trial.operator {
            Operator::GeoLookup => {
                let address = String::from_utf8_lossy(value);
                match trial.host.geo(&address) {
                    Some(members) => {
                        self.geo = members;
                        true
                    }
                    None => false,
                }
            }
            Operator::Rbl(list) => {
                let address = String::from_utf8_lossy(value);
                trial.host.listed(list, &address)
            }
            operator => operator.evaluate(value, argument, found),
        };
        matches != trial.test.negated
    }

    fn on_match(&mut self, trial: &Trial<'_>, member: Member, text: TextId, count: bool) {
        let matched = Matched {
            member: Member {
                value: text,
                ..member
            },
            original: member.value,
            count,
            level: trial.level,
        };
        if self.matched.len() < super::MOST_MATCHES {
            self.matched.push(matched);
        } else if let Some(last) = self.matched.last_mut() {
            *last = matched;
        }
        if trial.link.capture && !trial.test.negated {
            self.capture(text);
        }
        self.act(trial.plan, &trial.link.actions, trial.host);
        let alone = trial
            .plan
            .rules
            .get(trial.rule)
            .is_some_and(|rule| rule.links.len() == 1);
        // The first match of a rule without a chain is what its message tells of: later ones overwrite TX:0.
        if alone && self.texts_of_match.is_none() {
            self.texts_of_match = self.tell(trial.plan, trial.rule, trial.host);
        }
    }

    /// Captured groups to `TX:0` to `TX:9`; what an earlier rule captured goes.
    fn capture(&mut self, text: TextId) {
        let Self {
            texts, found, tx, ..
        } = self;
        let value = texts.get(text);
        for number in 0..10 {
            tx.set(number, None);
        }
        for (number, value) in found.captures(value) {
            tx.set(usize::from(number), Some(value));
        }
        for (name, value) in found.names(value) {
            self.path_arguments.push(name.as_bytes(), value);
        }
    }

    fn is_excluded(&self, trial: &Trial<'_>, member: &Member) -> bool {
        let exclusions = &trial.test.exclusions;
        if exclusions.is_empty() && self.removed_targets.is_empty() {
            return false;
        }
        let name = self.texts.get(member.name);
        let by_rule = exclusions
            .iter()
            .any(|exclusion| exclusion.covers(member.variable, name));
        by_rule || self.is_target_removed(trial.rule, member.variable, name)
    }
}
