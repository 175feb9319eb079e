//! What rules found, for logs and for people.

use crate::plan::Plan;
use crate::rules::{Disruptive, Phase};
use crate::transaction::Transaction;
use crate::transaction::evaluate::Matched;
use crate::transaction::host::Host;

/// Values of one rule that are told of.
const MOST_VALUES: usize = 32;
/// Bytes of a value that are told.
const LONGEST_VALUE: usize = 512;

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub id: u64,
    pub phase: Phase,
    /// Place of the rule.
    pub file: String,
    pub line: u32,
    pub message: String,
    pub data: String,
    pub tags: Vec<String>,
    /// 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    pub version: String,
    pub revision: String,
    pub maturity: u8,
    pub accuracy: u8,
    /// What matched, in order; at most 32.
    pub values: Vec<Value>,
    /// `@rx ...` of the last link.
    pub operator: String,
    pub log: bool,
    pub audit_log: bool,
    /// Denies, drops or redirects (also where the engine only detects).
    pub disruptive: bool,
    /// It ended the exchange.
    pub intervened: bool,
    /// What it did to `TX`: name, then the new value. Only where an explanation is wanted.
    pub changes: Vec<(String, String)>,
}

/// A value that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// `ARGS:q`
    pub name: String,
    /// As the operator saw it, at most 512 bytes.
    pub seen: Vec<u8>,
    /// As it was, where the transformations changed it.
    pub original: Option<Vec<u8>>,
    /// 0 is the rule itself, 1 the first member of its chain.
    pub level: usize,
}

/// A rule that was tried. Only where an explanation is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    pub id: u64,
    pub phase: Phase,
    /// How many links of the chain held.
    pub held: usize,
    pub matched: bool,
}

impl Transaction {
    /// Keeps, from now on, what is only for an explanation.
    pub fn explain(&mut self) {
        self.explain = true;
    }

    /// The rules that were tried, where an explanation was asked for.
    pub fn traces(&self) -> &[Trace] {
        &self.traces
    }

    pub(super) fn trace(&mut self, rule: usize, held: usize, matched: bool) {
        if !self.explain {
            return;
        }
        if let Some(rule) = self.plan.rules.get(rule) {
            self.traces.push(Trace {
                id: rule.id,
                phase: self.current,
                held,
                matched,
            });
        }
    }

    /// Message and data of a rule, as things are now.
    pub(super) fn tell(
        &mut self,
        plan: &Plan,
        rule: usize,
        host: &dyn Host,
    ) -> Option<(String, String)> {
        let rule = plan.rules.get(rule)?;
        if !rule.log && !rule.audit_log && !self.explain {
            return None;
        }
        let mut say = |text: &Option<crate::plan::Macro>| {
            let text = text.as_ref();
            text.map(|text| self.expand_text(plan, text, host))
                .unwrap_or_default()
        };
        Some((say(&rule.message), say(&rule.logdata)))
    }

    /// Notes a rule that matched with its whole chain.
    pub(super) fn record(&mut self, plan: &Plan, index: usize, host: &dyn Host) {
        let (Some(rule), Some(identity)) = (plan.rules.get(index), plan.identities.get(index))
        else {
            return;
        };
        let severity = identity.metadata.severity;
        if let Some(severity) = severity {
            self.highest_severity = self.highest_severity.min(severity);
        }
        if !rule.log && !rule.audit_log && !self.explain {
            return;
        }
        let told = match self.texts_of_match.take() {
            Some(told) => Some(told),
            None => self.tell(plan, index, host),
        };
        let (message, data) = told.unwrap_or_default();
        let tags = rule.tags.iter();
        let tags = tags.map(|tag| self.expand_text(plan, tag, host)).collect();
        let metadata = &identity.metadata;
        let disruptive = !matches!(rule.disruptive, Disruptive::Pass | Disruptive::Allow(_));
        let found = Match {
            id: rule.id,
            phase: self.current,
            file: rule.position.file.to_string(),
            line: rule.position.line,
            message,
            data,
            tags,
            severity,
            version: metadata.version.clone().unwrap_or_default(),
            revision: metadata.revision.clone().unwrap_or_default(),
            maturity: metadata.maturity.unwrap_or(0),
            accuracy: metadata.accuracy.unwrap_or(0),
            values: self.values(),
            operator: operator(plan, index),
            log: rule.log,
            audit_log: rule.audit_log,
            disruptive,
            intervened: disruptive
                && self.engine == crate::rules::actions::RuleEngine::On
                && self.current != Phase::Logging,
            changes: std::mem::take(&mut self.changes),
        };
        self.matches.push(found);
    }

    fn values(&self) -> Vec<Value> {
        let matched = self.matched.iter().take(MOST_VALUES);
        matched.map(|matched| self.told_value(matched)).collect()
    }

    fn told_value(&self, matched: &Matched) -> Value {
        let short = |text| {
            let text = self.texts.get(text);
            text.get(..LONGEST_VALUE).unwrap_or(text).to_vec()
        };
        let name = self.full_name(&matched.member, matched.count);
        let changed = !matched.count && matched.original != matched.member.value;
        Value {
            name: String::from_utf8_lossy(&name).into_owned(),
            seen: short(matched.member.value),
            original: changed.then(|| short(matched.original)),
            level: matched.level,
        }
    }

    /// Members of `RULE`, of the rule that runs.
    pub(super) fn rule_members(&self) -> Vec<(&'static str, String)> {
        let plan = &self.plan;
        let running = self.running.and_then(|index| {
            let rule = plan.rules.get(index)?;
            Some((rule, plan.identities.get(index)?))
        });
        let Some((rule, identity)) = running else {
            return Vec::new();
        };
        let metadata = &identity.metadata;
        let text = |text: &Option<crate::rules::Text>| {
            let text = text.as_ref().and_then(crate::rules::Text::literal);
            text.unwrap_or_default().to_owned()
        };
        let severity = metadata.severity.map(|severity| severity.to_string());
        vec![
            ("id", rule.id.to_string()),
            ("rev", metadata.revision.clone().unwrap_or_default()),
            ("severity", severity.unwrap_or_default()),
            ("msg", text(&metadata.message)),
            ("logdata", text(&metadata.logdata)),
        ]
    }

    /// What a variable means in the notes of an explanation.
    pub(super) fn note_change(&mut self, name: &str, value: &[u8]) {
        if self.explain && self.changes.len() < MOST_VALUES {
            let value = value.get(..LONGEST_VALUE).unwrap_or(value);
            let value = String::from_utf8_lossy(value).into_owned();
            self.changes.push((name.to_owned(), value));
        }
    }
}

/// The last link's operator as the rule has it.
fn operator(plan: &Plan, rule: usize) -> String {
    let test = plan
        .rules
        .get(rule)
        .and_then(|rule| rule.links.last())
        .and_then(|link| link.test.as_ref());
    let Some(test) = test else {
        return String::new();
    };
    let text = plan.operator_texts.get(test.operator);
    let text = text.map(String::as_str).unwrap_or_default();
    let negation = if test.negated { "!" } else { "" };
    format!("{negation}{text}")
}
