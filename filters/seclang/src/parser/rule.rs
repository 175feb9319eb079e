//! `SecRule`, `SecAction`, `SecDefaultAction` and `SecMarker`.

use super::actions::{self, Complaint, Item, Placed};
use super::assemble::{Draft, DraftRule};
use super::lexer::Word;
use super::{Call, Defaults, Parser, operator, targets};
use crate::rules::{Phase, Target};
use crate::source::Severity;

pub(super) fn rule(parser: &mut Parser<'_>, call: &Call<'_>) {
    let [target_word, operator_word, rest @ ..] = call.words.as_slice() else {
        return;
    };
    let targets = parser.targets(call, target_word);
    let operator = operator::operator(call.line, call.file, operator_word)
        .map_err(|(at, message)| parser.error(call, operator_word.at + at, message))
        .ok();
    let items = match rest.first() {
        Some(word) => parser.items(call, word),
        None => Vec::new(),
    };
    add(
        parser,
        call,
        DraftRule {
            position: call.position(0),
            targets,
            operator,
            items,
            chain: Vec::new(),
        },
    );
}

pub(super) fn action(parser: &mut Parser<'_>, call: &Call<'_>) {
    let Some(word) = call.words.first() else {
        return;
    };
    let items = parser.items(call, word);
    add(
        parser,
        call,
        DraftRule {
            position: call.position(0),
            targets: Vec::new(),
            operator: None,
            items,
            chain: Vec::new(),
        },
    );
}

fn add(parser: &mut Parser<'_>, call: &Call<'_>, mut rule: DraftRule) {
    let goes_on = rule
        .items
        .iter()
        .any(|placed| matches!(placed.item, Item::Chain));
    if parser.chain_open {
        let for_head = member(parser, call, &mut rule);
        if let Some(Draft::Rule(head)) = parser.drafts.last_mut() {
            head.items.extend(for_head);
            head.chain.push(rule);
        }
    } else {
        identify(parser, call, &rule.items);
        parser.drafts.push(Draft::Rule(Box::new(rule)));
    }
    parser.chain_open = goes_on;
}

/// Sees that the id is there, once.
fn identify(parser: &mut Parser<'_>, call: &Call<'_>, items: &[Placed]) {
    let id = items.iter().find_map(|placed| match placed.item {
        Item::Id(id) => Some((id, placed.at)),
        _ => None,
    });
    match id {
        Some((id, at)) => match parser.ids.get(&id) {
            Some(position) => {
                let message = format!("id {id} is taken by the rule at {position}");
                parser.error(call, at, message);
            }
            None => {
                parser.ids.insert(id, call.position(0));
            }
        },
        None => parser.error(call, 0, "the rule has no id: add id:NUMBER".to_owned()),
    }
}

/// Takes from a member of a chain what it cannot have, and returns what counts for the whole chain.
fn member(parser: &mut Parser<'_>, call: &Call<'_>, rule: &mut DraftRule) -> Vec<Placed> {
    let mut for_head = Vec::new();
    let mut kept = Vec::new();
    for placed in std::mem::take(&mut rule.items) {
        let name = placed.name;
        match placed.item {
            Item::Block | Item::Disruptive(_) => {
                let message = format!("{name} belongs to the first rule of the chain");
                parser.error(call, placed.at, message);
            }
            Item::Status(_) | Item::Skip(_) | Item::SkipAfter(_) => for_head.push(placed),
            Item::Id(_) | Item::Phase(_) => {
                let message =
                    format!("{name} has no effect here: the first rule of the chain has it");
                parser.warning(call, placed.at, message);
            }
            ref item if item.describes() => {
                let message =
                    format!("{name} has no effect here: the first rule describes the chain");
                parser.warning(call, placed.at, message);
            }
            _ => kept.push(placed),
        }
    }
    rule.items = kept;
    for_head
}

pub(super) fn default_action(parser: &mut Parser<'_>, call: &Call<'_>) {
    let Some(word) = call.words.first() else {
        return;
    };
    let items = parser.items(call, word);
    for placed in &items {
        let described = placed.item.describes() && !matches!(placed.item, Item::Tag(_));
        let unsuited = described
            || matches!(
                placed.item,
                Item::Id(_)
                    | Item::Chain
                    | Item::NoTransformations
                    | Item::Skip(_)
                    | Item::SkipAfter(_)
            );
        if unsuited {
            let message = format!("{} cannot be a default action", placed.name);
            parser.error(call, placed.at, message);
        }
    }
    let decides = |placed: &Placed| matches!(placed.item, Item::Disruptive(_));
    if !items.iter().any(decides) {
        let message = "the default verdict is missing: pass, deny, drop, redirect or allow";
        parser.error(call, word.at, message.to_owned());
    }
    let Some(phase) = phase(&items) else {
        let message = "the phase is missing: phase:NUMBER";
        return parser.error(call, word.at, message.to_owned());
    };
    let source = parser.sources;
    let Some(slot) = parser.defaults.get_mut(usize::from(phase.number() - 1)) else {
        return;
    };
    if let Some(first) = slot.as_ref().filter(|first| first.source == source) {
        let message = format!(
            "phase {} has its default at {}",
            phase.number(),
            first.position
        );
        return parser.error(call, 0, message);
    }
    *slot = Some(Defaults {
        items,
        position: call.position(0),
        source,
    });
}

/// The phase that a list names; the last one counts.
pub(super) fn phase(items: &[Placed]) -> Option<Phase> {
    items.iter().rev().find_map(|placed| match placed.item {
        Item::Phase(phase) => Some(phase),
        _ => None,
    })
}

pub(super) fn marker(parser: &mut Parser<'_>, call: &Call<'_>) {
    parser.end_chain();
    if let Some(word) = call.words.first() {
        parser.drafts.push(Draft::Marker(word.text().into_owned()));
    }
}

impl Parser<'_> {
    /// Sees that the last chain has its last member: no chain goes over a marker or the bounds of a file.
    pub(super) fn end_chain(&mut self) {
        if !std::mem::take(&mut self.chain_open) {
            return;
        }
        if let Some(Draft::Rule(head)) = self.drafts.last() {
            let position = head.chain.last().unwrap_or(head).position.clone();
            let message = "the rule says chain, and no rule follows".to_owned();
            self.problem(position, Severity::Error, message);
        }
    }

    pub(super) fn targets(&mut self, call: &Call<'_>, word: &Word<'_>) -> Vec<Target> {
        let mut faults = Vec::new();
        let targets = targets::targets(word, &mut faults);
        for fault in faults {
            self.error(call, fault.at, fault.message);
        }
        targets
    }

    pub(super) fn items(&mut self, call: &Call<'_>, word: &Word<'_>) -> Vec<Placed> {
        let mut remarks = Vec::new();
        let items = actions::items(word, &mut remarks);
        for remark in remarks {
            match remark.complaint {
                Complaint::Error(message) => self.error(call, remark.at, message),
                Complaint::Warning(message) => self.warning(call, remark.at, message),
            }
        }
        items
    }
}
