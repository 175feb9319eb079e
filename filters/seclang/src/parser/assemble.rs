//! What the files said becomes the rules that run: default actions, removals and updates are applied.

use std::collections::{BTreeMap, HashSet};

use super::actions::{Item, Placed};
use super::updates::{Change, Update, Which};
use super::{Parser, rule};
use crate::rules::{Disruptive, Entry, Metadata, Operator, Phase, Rule, Target};
use crate::source::{Position, Severity};

/// An entry of the rule set as it was written.
pub(super) enum Draft {
    Rule(Box<DraftRule>),
    Marker(String),
}

/// A rule as it was written.
pub(super) struct DraftRule {
    pub(super) position: Position,
    pub(super) targets: Vec<Target>,
    pub(super) operator: Option<Operator>,
    pub(super) items: Vec<Placed>,
    /// The members after this one.
    pub(super) chain: Vec<Self>,
}

/// Rules by id.
type Index = BTreeMap<u64, usize>;

impl Parser<'_> {
    pub(super) fn assembled(&mut self) -> Vec<Entry> {
        let mut drafts = std::mem::take(&mut self.drafts);
        let updates = std::mem::take(&mut self.updates);
        self.fill_datasets(&mut drafts);
        let index = index(&drafts);
        for update in &updates {
            if let Change::Actions(items) = &update.change {
                self.update_actions(&mut drafts, &index, update, items);
            }
        }
        let mut entries: Vec<_> = drafts
            .into_iter()
            .map(|draft| match draft {
                Draft::Marker(name) => Entry::Marker(name),
                Draft::Rule(draft) => {
                    let phase = rule::phase(&draft.items).unwrap_or(Phase::RequestBody);
                    Entry::Rule(Box::new(head(*draft, phase, self.default_items(phase))))
                }
            })
            .collect();
        let mut removed = vec![false; entries.len()];
        for update in &updates {
            self.update(&mut entries, &index, update, &mut removed);
        }
        let mut removed = removed.into_iter();
        entries.retain(|_| !removed.next().unwrap_or_default());
        self.check_markers(&entries);
        entries
    }

    /// Gives operators that name a dataset its records.
    fn fill_datasets(&mut self, drafts: &mut [Draft]) {
        for draft in drafts {
            let Draft::Rule(head) = draft else { continue };
            let head = &mut **head;
            let rules = std::iter::once(&mut head.operator)
                .chain(head.chain.iter_mut().map(|member| &mut member.operator));
            for operator in rules.flatten() {
                if !operator.name.ends_with("FromDataset") {
                    continue;
                }
                match self.datasets.get(operator.argument.trim_ascii()) {
                    Some(records) => operator.argument.clone_from(records),
                    None => {
                        let message = format!("there is no SecDataset {:?}", operator.argument);
                        self.problem(operator.position.clone(), Severity::Error, message);
                    }
                }
            }
        }
    }

    fn default_items(&self, phase: Phase) -> &[Placed] {
        self.defaults
            .get(usize::from(phase.number() - 1))
            .and_then(Option::as_ref)
            .map_or(&[], |defaults| &defaults.items)
    }

    fn update_actions(
        &mut self,
        drafts: &mut [Draft],
        index: &Index,
        update: &Update,
        items: &[Placed],
    ) {
        let Which::Ids(all) = &update.which else {
            return;
        };
        for ids in all {
            let mut found = false;
            for (_, &at) in index.range(ids.first..=ids.last) {
                let Some(Draft::Rule(head)) = drafts.get_mut(at) else {
                    continue;
                };
                let rule = match ids.member.checked_sub(1) {
                    None => Some(&mut **head),
                    Some(member) => head.chain.get_mut(member),
                };
                if let Some(rule) = rule {
                    found = true;
                    rule.items.extend_from_slice(items);
                }
            }
            if !found {
                self.no_such_rule(update);
            }
        }
    }

    fn no_such_rule(&mut self, update: &Update) {
        let what = match &update.which {
            Which::Ids(_) => "id (or the chain is shorter)",
            Which::Tag(_) => "tag, which is compared as a whole",
            Which::Message(_) => "message, which is compared as a whole",
        };
        let message = format!("no rule has this {what}: nothing is changed");
        self.problem(update.position.clone(), Severity::Warning, message);
    }

    /// Removes rules, or changes their targets.
    fn update(
        &mut self,
        entries: &mut [Entry],
        index: &Index,
        update: &Update,
        removed: &mut [bool],
    ) {
        for (at, member) in self.chosen(entries, index, update) {
            let Some(Entry::Rule(head)) = entries.get_mut(at) else {
                continue;
            };
            match &update.change {
                Change::Actions(_) => {}
                Change::Remove => {
                    if let Some(removed) = removed.get_mut(at) {
                        *removed = true;
                    }
                }
                Change::Targets { added, replaced } => {
                    let rule = match member.checked_sub(1) {
                        None => Some(&mut **head),
                        Some(member) => head.chain.get_mut(member),
                    };
                    match rule {
                        Some(rule) => update_targets(rule, added, replaced),
                        None => self.no_such_rule(update),
                    }
                }
            }
        }
    }

    /// The entries that an update means, with the member of the chain.
    fn chosen(&mut self, entries: &[Entry], index: &Index, update: &Update) -> Vec<(usize, usize)> {
        if matches!(update.change, Change::Actions(_)) {
            return Vec::new();
        }
        let by = |says: &dyn Fn(&Metadata) -> bool| {
            let rules = entries.iter().enumerate();
            rules
                .filter(|(_, entry)| matches!(entry, Entry::Rule(rule) if says(&rule.metadata)))
                .map(|(at, _)| (at, 0))
                .collect()
        };
        let mut missing = false;
        let chosen: Vec<_> = match &update.which {
            Which::Tag(tag) => by(&|metadata| metadata.tags.contains(tag)),
            Which::Message(message) => by(&|metadata| metadata.message.as_ref() == Some(message)),
            Which::Ids(all) => {
                let mut chosen = Vec::new();
                for ids in all {
                    let before = chosen.len();
                    let found = index.range(ids.first..=ids.last);
                    chosen.extend(found.map(|(_, &at)| (at, ids.member)));
                    missing |= chosen.len() == before;
                }
                chosen
            }
        };
        if missing || chosen.is_empty() {
            self.no_such_rule(update);
        }
        chosen
    }

    /// ModSecurity leaves out the rest of the phase where `skipAfter` leads nowhere; so is done here, with a warning.
    fn check_markers(&mut self, entries: &[Entry]) {
        let markers: HashSet<_> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Marker(name) => Some(name.as_str()),
                Entry::Rule(_) => None,
            })
            .collect();
        for entry in entries {
            let Entry::Rule(rule) = entry else { continue };
            let Some(wanted) = &rule.skip_after else {
                continue;
            };
            if !markers.contains(wanted.as_str()) {
                let message = format!(
                    "skipAfter: there is no SecMarker {wanted:?}: the rest of the phase is skipped"
                );
                self.problem(rule.position.clone(), Severity::Warning, message);
            }
        }
    }
}

fn index(drafts: &[Draft]) -> Index {
    let mut index = Index::new();
    for (at, draft) in drafts.iter().enumerate() {
        if let Draft::Rule(rule) = draft {
            for placed in &rule.items {
                if let Item::Id(id) = placed.item {
                    index.entry(id).or_insert(at);
                }
            }
        }
    }
    index
}

fn update_targets(rule: &mut Rule, added: &[Target], replaced: &[Target]) {
    rule.targets.retain(|target| !replaced.contains(target));
    for target in added {
        if !rule.targets.contains(target) {
            rule.targets.push(target.clone());
        }
    }
}

/// The first rule of a chain, with all that follow, or a rule alone.
fn head(draft: DraftRule, phase: Phase, defaults: &[Placed]) -> Rule {
    let own: Vec<_> = draft.items.into_iter().map(|placed| placed.item).collect();
    let default = verdict(defaults.iter().map(|placed| &placed.item)).unwrap_or_default();
    let mut rule = empty(draft.position, draft.targets, draft.operator, phase);
    rule.disruptive = match own.iter().rev().find(|item| item.disrupts()) {
        Some(Item::Disruptive(verdict)) => verdict.clone(),
        _ => default,
    };
    let items = defaults.iter().map(|placed| placed.item.clone());
    items.chain(own).for_each(|item| apply(&mut rule, item));
    let inherited: Vec<_> = defaults
        .iter()
        .map(|placed| &placed.item)
        .filter(|item| matches!(item, Item::Transformation(_)))
        .collect();
    for draft in draft.chain {
        let mut member = empty(draft.position, draft.targets, draft.operator, phase);
        let own = draft.items.into_iter().map(|placed| placed.item);
        let items = inherited.iter().copied().cloned();
        items.chain(own).for_each(|item| apply(&mut member, item));
        rule.chain.push(member);
    }
    rule
}

fn verdict<'a>(items: impl Iterator<Item = &'a Item>) -> Option<Disruptive> {
    items
        .filter_map(|item| match item {
            Item::Disruptive(verdict) => Some(verdict.clone()),
            _ => None,
        })
        .last()
}

fn empty(
    position: Position,
    targets: Vec<Target>,
    operator: Option<Operator>,
    phase: Phase,
) -> Rule {
    Rule {
        position,
        id: 0,
        phase,
        targets,
        operator,
        transformations: Vec::new(),
        multi_match: false,
        capture: false,
        actions: Vec::new(),
        disruptive: Disruptive::Pass,
        status: None,
        metadata: Metadata::default(),
        log: true,
        audit_log: true,
        skip: 0,
        skip_after: None,
        chain: Vec::new(),
    }
}

fn apply(rule: &mut Rule, item: Item) {
    let about = &mut rule.metadata;
    match item {
        Item::Id(id) => rule.id = id,
        // Known before, for it decides about the defaults; verdicts likewise.
        Item::Phase(_) | Item::Chain | Item::Block | Item::Disruptive(_) => {}
        Item::Status(status) => rule.status = Some(status),
        Item::Log(log) => rule.log = log,
        Item::AuditLog(log) => rule.audit_log = log,
        Item::Transformation(transformation) => rule.transformations.push(transformation),
        Item::NoTransformations => rule.transformations.clear(),
        Item::Capture => rule.capture = true,
        Item::MultiMatch => rule.multi_match = true,
        Item::Run(action) => rule.actions.push(action),
        Item::Skip(count) => rule.skip = count,
        Item::SkipAfter(marker) => rule.skip_after = Some(marker),
        Item::Message(text) => about.message = Some(text),
        Item::Logdata(text) => about.logdata = Some(text),
        Item::Tag(text) => about.tags.push(text),
        Item::Severity(severity) => about.severity = Some(severity),
        Item::Version(version) => about.version = Some(version),
        Item::Revision(revision) => about.revision = Some(revision),
        Item::Maturity(maturity) => about.maturity = Some(maturity),
        Item::Accuracy(accuracy) => about.accuracy = Some(accuracy),
    }
}
