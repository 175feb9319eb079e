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
        bytes: facts.sets,
    }
}

/// Texts in lower case, sorted.
type Texts = Vec<Vec<u8>>;

/// What is known about the texts that a node matches.
#[derive(Clone, Debug)]
struct Facts {
    /// All of them.
    exact: Option<Texts>,
    /// Each of them begins with one of these; the empty text if nothing is known.
    begins: Texts,
    /// Each of them ends with one of these.
    ends: Texts,
    /// One of these occurs in each of them.
    literals: Option<Texts>,
    /// A byte of each occurs in each of them; case counts. The rarest first.
    sets: Vec<ByteSet>,
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
            exact: None,
            ..Self::exactly(nothing())
        }
    }

    fn exactly(texts: Texts) -> Self {
        Self {
            begins: texts.clone(),
            ends: texts.clone(),
            exact: Some(texts),
            literals: None,
            sets: Vec::new(),
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
        let lower: ByteSet = set.iter().map(|byte| byte.to_ascii_lowercase()).collect();
        let mut facts = match lower.iter().count() {
            0..=CLASS_TEXTS_MAX => Self::exactly(lower.iter().map(|byte| vec![byte]).collect()),
            _ => Self::unknown(),
        };
        facts.add_set(set);
        facts
    }

    fn repetition(repetition: &Repetition) -> Self {
        let once = Self::of(&repetition.sub);
        let fixed = repetition.max == Some(repetition.min);
        match (usize::try_from(repetition.min), repetition.max) {
            (Ok(0), Some(1)) => match once.exact {
                Some(texts) => Self::exactly(union(texts, nothing())),
                None => Self::unknown(),
            },
            (Ok(0), _) => Self::unknown(),
            (Ok(times), _) if fixed && times <= TEXT_BYTES_MAX => {
                Self::concatenation(std::iter::repeat_n(once, times))
            }
            _ => Self {
                exact: None,
                ..once.settled()
            },
        }
    }

    fn alternation(branches: &[Hir]) -> Self {
        let mut branches = branches.iter().map(Self::of);
        let Some(mut all) = branches.next() else {
            return Self::unknown();
        };
        for branch in branches {
            all = all.or(branch);
        }
        all
    }

    fn or(self, other: Self) -> Self {
        let exact = match (&self.exact, &other.exact) {
            (Some(a), Some(b)) => few(union(a.clone(), b.clone())),
            _ => None,
        };
        let begins = few(union(self.begins.clone(), other.begins.clone()));
        let ends = few(union(self.ends.clone(), other.ends.clone()));
        // Texts that are exact stay open: they settle when it is known what is around them.
        let both_exact = exact.is_some();
        let (a, b) = (self.settled(), other.settled());
        let literals = match (a.literals, b.literals) {
            (Some(a), Some(b)) if !both_exact => shortened(union(a, b)),
            _ => None,
        };
        let mut facts = Self {
            exact,
            begins: begins.unwrap_or_else(nothing),
            ends: ends.unwrap_or_else(nothing),
            literals,
            sets: Vec::new(),
        };
        if let (Some(&a), Some(&b)) = (a.sets.first(), b.sets.first()) {
            facts.add_set(a.union(b));
        }
        facts
    }

    fn concatenation(parts: impl Iterator<Item = Self>) -> Self {
        parts.fold(Self::exactly(nothing()), Self::then)
    }

    fn then(mut self, next: Self) -> Self {
        for &set in &next.sets {
            self.add_set(set);
        }
        let both = |a: &Option<Texts>, b: &Option<Texts>| product(a.as_ref()?, b.as_ref()?);
        if let Some(exact) = both(&self.exact, &next.exact) {
            self.begins = exact.clone();
            self.ends = exact.clone();
            self.exact = Some(exact);
            return self;
        }
        match product(&self.ends, &next.begins) {
            Some(crossing) => self.add_literals(shortened(crossing)),
            None => {
                self.add_literals(shortened(self.ends.clone()));
                self.add_literals(shortened(next.begins.clone()));
            }
        }
        self.add_literals(next.literals);
        if let Some(exact) = self.exact.take() {
            self.begins = product(&exact, &next.begins).unwrap_or(exact);
        }
        self.ends = match next.exact {
            Some(exact) => product(&self.ends, &exact).unwrap_or(exact),
            None => next.ends,
        };
        self
    }

    /// With what it matches exactly, begins with or ends with as conditions.
    fn settled(mut self) -> Self {
        match self.exact.clone() {
            Some(texts) => self.add_literals(shortened(texts)),
            None => {
                self.add_literals(shortened(self.begins.clone()));
                self.add_literals(shortened(self.ends.clone()));
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
        if set != ByteSet::ALL && !self.sets.contains(&set) {
            self.sets.push(set);
            self.sets.sort_by_key(set_frequency);
            self.sets.truncate(SETS_MAX);
        }
    }
}

/// The empty text alone.
fn nothing() -> Texts {
    vec![Vec::new()]
}

fn union(mut texts: Texts, more: Texts) -> Texts {
    texts.extend(more);
    texts.sort_unstable();
    texts.dedup();
    texts
}

fn few(texts: Texts) -> Option<Texts> {
    (texts.len() <= LITERALS_MAX).then_some(texts)
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
