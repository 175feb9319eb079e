//! What was found out in a phase about the variables that do not change within it: their members, what transformations
//! make of them, and which operators could match any.

use std::ops::Range;

use crate::byte_set::ByteSet;
use crate::plan::Plan;
use crate::plan::prefilter::is_candidate;
use crate::transaction::Transaction;
use crate::transaction::host::Host;
use crate::transaction::members::Member;
use crate::transaction::texts::TextId;

/// A selection's members, and which bytes occur in any of their values.
#[derive(Clone, Copy, Debug)]
struct Selection {
    start: usize,
    end: usize,
    set: ByteSet,
}

/// A selection under a list of transformations.
#[derive(Clone, Copy, Debug)]
struct Grouped {
    /// Of the first member's text, in `group_texts`.
    start: usize,
    /// Where the candidates of all texts together are, in `group_bits`.
    bits: usize,
}

/// What was found out in a phase about the variables that do not change within it.
#[derive(Debug, Default)]
pub(super) struct Memo {
    selections: Vec<Option<Selection>>,
    groups: Vec<Option<Grouped>>,
    members: Vec<Member>,
    group_texts: Vec<TextId>,
    group_bits: Vec<u64>,
}

impl Memo {
    /// The member at an index of [`Transaction::select`].
    pub(super) fn member(&self, index: usize) -> Option<Member> {
        self.members.get(index).copied()
    }

    pub(super) fn clear(&mut self, plan: &Plan) {
        self.selections.clear();
        self.selections.resize(plan.selectors.len(), None);
        self.groups.clear();
        self.groups.resize(plan.selectors.groups(), None);
        self.members.clear();
        self.group_texts.clear();
        self.group_bits.clear();
    }
}

impl Transaction {
    /// Whether an operator could match any text of a group.
    pub(super) fn could_match(
        &mut self,
        plan: &Plan,
        host: &dyn Host,
        group: usize,
        operator: usize,
    ) -> bool {
        let Some(group) = self.group(plan, host, group) else {
            return false;
        };
        let end = group.bits + plan.prefilter.words();
        let bits = self.memo.group_bits.get(group.bits..end);
        bits.is_some_and(|bits| is_candidate(bits, operator))
    }

    /// The text of a group's member; `place` counts from its first.
    pub(super) fn group_text(
        &mut self,
        plan: &Plan,
        host: &dyn Host,
        group: usize,
        place: usize,
    ) -> Option<TextId> {
        let group = self.group(plan, host, group)?;
        self.memo.group_texts.get(group.start + place).copied()
    }

    /// A text after a list of transformations.
    pub(super) fn transform(&mut self, plan: &Plan, text: TextId, pipeline: usize) -> TextId {
        let Some(pipeline) = plan.pipelines.get(pipeline) else {
            return text;
        };
        if !pipeline.always && !self.texts.set(text).intersects(&pipeline.triggers) {
            return text;
        }
        let mut text = text;
        for step in &pipeline.steps {
            text = self.texts.transform(text, *step, &plan.unicode_map);
        }
        text
    }

    /// Where the members of a selection are, in the memo.
    pub(super) fn select(
        &mut self,
        plan: &Plan,
        host: &dyn Host,
        number: usize,
    ) -> Option<Range<usize>> {
        if let Some(Some(known)) = self.memo.selections.get(number) {
            return Some(known.start..known.end);
        }
        let selector = plan.selectors.get(number)?;
        let mut members = std::mem::take(&mut self.memo.members);
        let start = members.len();
        self.read(selector, host, &mut members);
        let mut set = ByteSet::NONE;
        for member in members.iter().skip(start) {
            set = set.union(self.texts.set(member.value));
        }
        let selection = Selection {
            start,
            end: members.len(),
            set,
        };
        self.memo.members = members;
        if let Some(place) = self.memo.selections.get_mut(number) {
            *place = Some(selection);
        }
        Some(selection.start..selection.end)
    }

    /// The texts of a selection under a list of transformations, and what could match any of them.
    fn group(&mut self, plan: &Plan, host: &dyn Host, number: usize) -> Option<Grouped> {
        if let Some(Some(known)) = self.memo.groups.get(number) {
            return Some(*known);
        }
        let group = plan.selectors.get_group(number)?;
        let range = self.select(plan, host, group.selector)?;
        let pipeline = plan.pipelines.get(group.pipeline)?;
        let selection = (*self.memo.selections.get(group.selector)?)?;
        let identity = plan.selectors.find_group(group.selector, 0);
        let unchanged = !pipeline.always && !selection.set.intersects(&pipeline.triggers);
        let grouped = match identity.filter(|identity| unchanged && *identity != number) {
            Some(identity) => self.group(plan, host, identity)?,
            None => {
                let words = plan.prefilter.words();
                let grouped = Grouped {
                    start: self.memo.group_texts.len(),
                    bits: self.memo.group_bits.len(),
                };
                self.memo.group_bits.resize(grouped.bits + words, 0);
                for index in range {
                    let value = self.memo.members.get(index)?.value;
                    let text = if unchanged {
                        value
                    } else {
                        self.transform(plan, value, group.pipeline)
                    };
                    self.memo.group_texts.push(text);
                    let bits = self.texts.candidates(text, &plan.prefilter);
                    let all = self.memo.group_bits.get_mut(grouped.bits..)?;
                    for (all, bits) in all.iter_mut().zip(bits) {
                        *all |= bits;
                    }
                }
                grouped
            }
        };
        if let Some(place) = self.memo.groups.get_mut(number) {
            *place = Some(grouped);
        }
        Some(grouped)
    }
}
