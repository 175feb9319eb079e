//! `SecRuleRemove…` and `SecRuleUpdate…`: kept while files are read, carried out at the end.

use super::actions::{Item, Placed};
use super::ids;
use super::lexer::Word;
use super::suggest::shown;
use super::{Call, Parser};
use crate::rules::{Target, Text};
use crate::source::Position;

/// A change of rules that other lines made.
pub(super) struct Update {
    pub(super) position: Position,
    pub(super) which: Which,
    pub(super) change: Change,
}

/// Which rules are changed.
pub(super) enum Which {
    Ids(Vec<Ids>),
    Tag(Text),
    Message(Text),
}

/// Rules by id, and which member of their chains: 0 is the first.
#[derive(Clone, Copy)]
pub(super) struct Ids {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) member: usize,
}

/// What becomes of them.
pub(super) enum Change {
    Remove,
    /// Targets to add, and those to take away for them.
    Targets {
        added: Vec<Target>,
        replaced: Vec<Target>,
    },
    Actions(Vec<Placed>),
}

fn remember(parser: &mut Parser<'_>, call: &Call<'_>, which: Which, change: Change) {
    let position = call.position(call.words.first().map_or(0, |word| word.at));
    parser.updates.push(Update {
        position,
        which,
        change,
    });
}

pub(super) fn remove_by_id(parser: &mut Parser<'_>, call: &Call<'_>) {
    let mut found = Vec::new();
    for word in &call.words {
        match ids::ranges(&word.text()) {
            Ok(ranges) => found.extend(ranges.into_iter().map(|(first, last)| Ids {
                first,
                last,
                member: 0,
            })),
            Err(reason) => parser.error(call, word.at, reason),
        }
    }
    remember(parser, call, Which::Ids(found), Change::Remove);
}

pub(super) fn remove_by_tag(parser: &mut Parser<'_>, call: &Call<'_>) {
    if let Some(tag) = text(parser, call) {
        remember(parser, call, Which::Tag(tag), Change::Remove);
    }
}

pub(super) fn remove_by_message(parser: &mut Parser<'_>, call: &Call<'_>) {
    if let Some(message) = text(parser, call) {
        remember(parser, call, Which::Message(message), Change::Remove);
    }
}

fn text(parser: &mut Parser<'_>, call: &Call<'_>) -> Option<Text> {
    let word = call.words.first()?;
    Text::parse(&word.text())
        .map_err(|reason| parser.error(call, word.at, reason))
        .ok()
}

pub(super) fn targets_by_id(parser: &mut Parser<'_>, call: &Call<'_>) {
    let (found, rest) = leading_ids(parser, call);
    if found.is_empty() {
        return;
    }
    if let Some(change) = targets(parser, call, rest) {
        remember(parser, call, Which::Ids(found), change);
    }
}

pub(super) fn targets_by_tag(parser: &mut Parser<'_>, call: &Call<'_>) {
    if let (Some(tag), Some(rest)) = (text(parser, call), call.words.get(1..))
        && let Some(change) = targets(parser, call, rest)
    {
        remember(parser, call, Which::Tag(tag), change);
    }
}

pub(super) fn targets_by_message(parser: &mut Parser<'_>, call: &Call<'_>) {
    if let (Some(message), Some(rest)) = (text(parser, call), call.words.get(1..))
        && let Some(change) = targets(parser, call, rest)
    {
        remember(parser, call, Which::Message(message), change);
    }
}

/// `"TARGETS" ["REPLACED"]`
fn targets(parser: &mut Parser<'_>, call: &Call<'_>, words: &[Word<'_>]) -> Option<Change> {
    match words {
        [added] => Some(Change::Targets {
            added: parser.targets(call, added),
            replaced: Vec::new(),
        }),
        [added, replaced] => Some(Change::Targets {
            added: parser.targets(call, added),
            replaced: parser.targets(call, replaced),
        }),
        _ => {
            let message = format!("{}: RULES \"TARGETS\" [\"REPLACED\"]", call.name);
            parser.error(call, 0, message);
            None
        }
    }
}

pub(super) fn actions_by_id(parser: &mut Parser<'_>, call: &Call<'_>) {
    let (found, rest) = leading_ids(parser, call);
    if found.is_empty() {
        return;
    }
    let [word] = rest else {
        let message = format!("{}: RULES \"ACTIONS\"", call.name);
        return parser.error(call, 0, message);
    };
    let mut items = parser.items(call, word);
    let to_member = found.iter().any(|ids| ids.member > 0);
    items.retain(|placed| {
        let fixed = matches!(placed.item, Item::Id(_) | Item::Phase(_) | Item::Chain);
        let misplaced = to_member && (placed.item.disrupts() || placed.item.describes());
        if fixed || misplaced {
            let name = placed.name;
            let message = match fixed {
                true => format!("{name} of a rule cannot be updated"),
                false => format!("{name} belongs to the first rule of the chain"),
            };
            parser.error(call, placed.at, message);
        }
        !fixed && !misplaced
    });
    remember(parser, call, Which::Ids(found), Change::Actions(items));
}

/// `942100 942110:1 942200-942299`, and the words after them.
fn leading_ids<'c, 'a>(parser: &mut Parser<'_>, call: &'c Call<'a>) -> (Vec<Ids>, &'c [Word<'a>]) {
    let mut found = Vec::new();
    let mut rest = call.words.as_slice();
    while let [word, after @ ..] = rest {
        let text = word.text();
        let begins = text.trim_ascii().bytes().next();
        if !found.is_empty() && !begins.is_some_and(|byte| byte.is_ascii_digit()) {
            break;
        }
        rest = after;
        for part in text.split([' ', '\t', ',']).filter(|part| !part.is_empty()) {
            match with_member(part) {
                Ok(ids) => found.push(ids),
                Err(reason) => {
                    parser.error(call, word.at, reason);
                    return (Vec::new(), rest);
                }
            }
        }
        if found.is_empty() {
            let message = "the id of a rule is missing".to_owned();
            parser.error(call, word.at, message);
            return (Vec::new(), rest);
        }
    }
    (found, rest)
}

fn with_member(part: &str) -> Result<Ids, String> {
    let (range, member) = match part.split_once(':') {
        Some((range, member)) => {
            let member = ids::id(member)
                .and_then(|member| usize::try_from(member).ok())
                .ok_or_else(|| format!("{:?}: the place in the chain after :", shown(part)))?;
            (range, member)
        }
        None => (part, 0),
    };
    let ranges = ids::ranges(range)?;
    let (first, last) = ranges.first().copied().unwrap_or_default();
    Ok(Ids {
        first,
        last,
        member,
    })
}
