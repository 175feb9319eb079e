//! What a value must have for a regular expression to be able to match it, from the expression's syntax tree.
//!
//! For each node it is known which few texts it matches and no other, if they are few ("exact"), with which texts all its
//! matches begin and end, and conditions that hold for all of them. Where two nodes follow one another, the ends of the
//! first and the beginnings of the second make texts that occur: one of them is a condition. Everything is in lower case:
//! conditions ignore ASCII case.

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use super::necessary::{LITERALS_MAX, Necessary, SETS_MAX, odds, set_frequency, shortened};
use crate::byte_set::ByteSet;

/// Longest text that is carried on: what is longer is a condition already.
const TEXT_BYTES_MAX: usize = 16;

/// Most members of a class that are taken as texts.
const CLASS_TEXTS_MAX: usize = 12;

/// What every value matched by `hir` fulfils.
pub(super) fn necessary(hir: &Hir) -> Necessary {
    let properties = hir.properties();
    let whole = properties.look_set_prefix().contains(Look::Start)
        && properties.look_set_suffix().contains(Look::End);
    let facts = Facts::of(hir).settled();
    Necessary {
        min_length: properties.minimum_len().unwrap_or(0),
        max_length: properties.maximum_len().filter(|_| whole),
        literals: facts.literals,
        bytes: facts.sets.into_iter().map(|(_, set)| set).collect(),
    }
}

/// Texts in lower case, sorted.
type Texts = Vec<Vec<u8>>;

/// What is known about the texts that a node matches.
#[derive(Clone, Debug)]
struct Facts {
    shape: Shape,
    /// One of these occurs in each of them.
    literals: Option<Texts>,
    /// A byte of each occurs in each of them; case counts. With how often such a byte occurs at all, the rarest first.
    sets: Vec<(u32, ByteSet)>,
}

#[derive(Clone, Debug)]
enum Shape {
    /// These are all of them.
    Exact(Texts),
    /// Each begins with one of these and ends with one of those; with the empty text, if nothing is known.
    Open { begins: Texts, ends: Texts },
}

impl Facts {
    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::exactly(nothing()),
            HirKind::Literal(literal) => {
                let mut facts = Self::exactly(vec![literal.0.to_ascii_lowercase()]);
                for &byte in &literal.0 {
                    facts.add_set(ByteSet::listed(&[byte]));
                }
                facts
            }
            HirKind::Class(class) => Self::class(class),
            HirKind::Repetition(repetition) => Self::repetition(repetition),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Concat(parts) => Self::concatenation(parts.iter().map(Self::of)),
            HirKind::Alternation(branches) => Self::alternation(branches),
        }
    }

    fn unknown() -> Self {
        Self {
            shape: Shape::unknown(),
            literals: None,
            sets: Vec::new(),
        }
    }

    fn exactly(texts: Texts) -> Self {
        Self {
            shape: Shape::Exact(texts),
            ..Self::unknown()
        }
    }

    fn class(class: &Class) -> Self {
        let set = match class {
            Class::Bytes(class) => class
                .ranges()
                .iter()
                .map(|range| ByteSet::range(range.start(), range.end()))
                .fold(ByteSet::NONE, ByteSet::union),
            // A pattern over bytes has none; if one had, a character outside of ASCII is more than one byte.
            Class::Unicode(_) => return Self::unknown(),
        };
        let mut facts = Self::unknown();
        if set.len() as usize <= 2 * CLASS_TEXTS_MAX {
            let lower: ByteSet = set.iter().map(|byte| byte.to_ascii_lowercase()).collect();
            if lower.len() as usize <= CLASS_TEXTS_MAX {
                facts = Self::exactly(lower.iter().map(|byte| vec![byte]).collect());
            }
        }
        facts.add_set(set);
        facts
    }

    fn repetition(repetition: &Repetition) -> Self {
        let once = Self::of(&repetition.sub);
        let fixed = repetition.max == Some(repetition.min);
        match (usize::try_from(repetition.min), repetition.max) {
            (Ok(0), Some(1)) => match once.shape {
                Shape::Exact(texts) => Self::exactly(union([texts, nothing()])),
                Shape::Open { .. } => Self::unknown(),
            },
            (Ok(0), _) => Self::unknown(),
            (Ok(times), _) if fixed && times <= TEXT_BYTES_MAX => {
                Self::concatenation(std::iter::repeat_n(once, times))
            }
            _ => {
                let mut facts = once.settled();
                facts.shape = facts.shape.opened();
                facts
            }
        }
    }

    fn alternation(branches: &[Hir]) -> Self {
        let mut branches: Vec<Self> = branches.iter().map(Self::of).collect();
        let shape = Shape::one_of(branches.iter().map(|branch| &branch.shape));
        // Texts that are exact stay open: they become a condition when it is known what is around them.
        let literals = match shape {
            Shape::Exact(_) => None,
            Shape::Open { .. } => {
                branches = branches.into_iter().map(Self::settled).collect();
                let all: Option<Vec<Texts>> = branches
                    .iter_mut()
                    .map(|branch| branch.literals.take())
                    .collect();
                all.and_then(|all| shortened(union(all)))
            }
        };
        let mut rarest = branches.iter().map(|branch| branch.sets.first());
        let set = rarest.try_fold(ByteSet::NONE, |all, set| Some(all.union(set?.1)));
        let mut facts = Self {
            shape,
            literals,
            sets: Vec::new(),
        };
        if let Some(set) = set {
            facts.add_set(set);
        }
        facts
    }

    fn concatenation(parts: impl Iterator<Item = Self>) -> Self {
        parts.fold(Self::exactly(nothing()), Self::then)
    }

    fn then(mut self, next: Self) -> Self {
        for &(_, set) in &next.sets {
            self.add_set(set);
        }
        self.add_literals(next.literals);
        self.shape = match (self.shape.clone(), next.shape) {
            (Shape::Exact(before), Shape::Exact(after)) => match product(&before, &after) {
                Some(both) => Shape::Exact(both),
                None => {
                    self.add_crossing(&before, &after);
                    Shape::Open {
                        begins: before,
                        ends: after,
                    }
                }
            },
            (Shape::Exact(before), Shape::Open { begins, ends }) => {
                self.add_crossing(&before, &begins);
                let begins = product(&before, &begins).unwrap_or(before);
                Shape::Open { begins, ends }
            }
            (Shape::Open { begins, ends }, Shape::Exact(after)) => {
                self.add_crossing(&ends, &after);
                let ends = product(&ends, &after).unwrap_or(after);
                Shape::Open { begins, ends }
            }
            (
                Shape::Open { begins, ends },
                Shape::Open {
                    begins: inner,
                    ends: last,
                },
            ) => {
                self.add_crossing(&ends, &inner);
                Shape::Open { begins, ends: last }
            }
        };
        self
    }

    /// What ends with one of some texts is followed by what begins with one of others.
    fn add_crossing(&mut self, ends: &[Vec<u8>], begins: &[Vec<u8>]) {
        match product(ends, begins) {
            Some(both) => self.add_literals(shortened(both)),
            None => {
                self.add_literals(shortened(ends.to_vec()));
                self.add_literals(shortened(begins.to_vec()));
            }
        }
    }

    /// With what it matches exactly, begins with or ends with as conditions.
    fn settled(mut self) -> Self {
        match self.shape.clone() {
            Shape::Exact(texts) => self.add_literals(shortened(texts)),
            Shape::Open { begins, ends } => {
                self.add_literals(shortened(begins));
                self.add_literals(shortened(ends));
            }
        }
        self
    }

    /// One of these occurs, too: keeps the rarer.
    fn add_literals(&mut self, literals: Option<Texts>) {
        let Some(new) = literals else {
            return;
        };
        let old = self.literals.as_ref();
        if old.is_none_or(|old| odds(&new) < odds(old)) {
            self.literals = Some(new);
        }
    }

    /// A byte of this set occurs, too: keeps the few rarest.
    fn add_set(&mut self, set: ByteSet) {
        let entry = (set_frequency(&set), set);
        let common = self.sets.len() == SETS_MAX
            && self.sets.last().is_some_and(|(last, _)| *last <= entry.0);
        if common || set == ByteSet::ALL || self.sets.contains(&entry) {
            return;
        }
        let place = self.sets.partition_point(|(known, _)| *known <= entry.0);
        self.sets.insert(place, entry);
        self.sets.truncate(SETS_MAX);
    }
}

impl Shape {
    fn unknown() -> Self {
        Self::Open {
            begins: nothing(),
            ends: nothing(),
        }
    }

    /// Without the knowledge that these are all.
    fn opened(self) -> Self {
        match self {
            Self::Exact(texts) => Self::Open {
                begins: texts.clone(),
                ends: texts,
            },
            open @ Self::Open { .. } => open,
        }
    }

    fn one_of<'a>(shapes: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let exact = shapes.clone().map(|shape| match shape {
            Self::Exact(texts) => Some(texts),
            Self::Open { .. } => None,
        });
        if let Some(texts) = few(exact) {
            return Self::Exact(texts);
        }
        let begins = shapes.clone().map(|shape| match shape {
            Self::Exact(texts) | Self::Open { begins: texts, .. } => Some(texts),
        });
        let ends = shapes.map(|shape| match shape {
            Self::Exact(texts) | Self::Open { ends: texts, .. } => Some(texts),
        });
        Self::Open {
            begins: few(begins).unwrap_or_else(nothing),
            ends: few(ends).unwrap_or_else(nothing),
        }
    }
}

/// The empty text alone.
fn nothing() -> Texts {
    vec![Vec::new()]
}

fn union(all: impl IntoIterator<Item = Texts>) -> Texts {
    let mut texts: Texts = all.into_iter().flatten().collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// The texts of all, if all are known and they are few.
fn few<'a>(all: impl Iterator<Item = Option<&'a Texts>>) -> Option<Texts> {
    let mut texts: Vec<&Vec<u8>> = Vec::new();
    for more in all {
        texts.extend(more?);
        if texts.len() > LITERALS_MAX {
            texts.sort_unstable();
            texts.dedup();
        }
        if texts.len() > LITERALS_MAX {
            return None;
        }
    }
    texts.sort_unstable();
    texts.dedup();
    Some(texts.into_iter().cloned().collect())
}

/// Each text of one followed by each of the other, if they stay few and short.
fn product(before: &[Vec<u8>], after: &[Vec<u8>]) -> Option<Texts> {
    if before.len().saturating_mul(after.len()) > LITERALS_MAX {
        return None;
    }
    let mut texts = Vec::with_capacity(before.len() * after.len());
    for start in before {
        for end in after {
            if start.len() + end.len() > TEXT_BYTES_MAX {
                return None;
            }
            texts.push([start.as_slice(), end].concat());
        }
    }
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
}
