//! What an operator tells about a match beyond that there is one.

use std::ops::Range;

/// Captures of one evaluation, and where in the value the match is. Made once and used for many evaluations: it keeps
/// its memory.
#[derive(Debug, Default)]
pub struct Found {
    /// Whether the captures are asked for (`capture`).
    pub wanted: bool,
    /// Whether the place of the match is asked for, to explain it.
    pub explained: bool,
    captures: Vec<(u8, Piece)>,
    names: Vec<(String, Range<usize>)>,
    own: Vec<u8>,
    place: Option<Range<usize>>,
    /// Where `@rx` writes its groups.
    pub(super) slots: Vec<Option<regex_automata::util::primitives::NonMaxUsize>>,
}

/// Where the bytes of a capture are.
#[derive(Clone, Debug)]
enum Piece {
    /// In the value.
    Value(Range<usize>),
    /// In [`Found::own`].
    Own(Range<usize>),
}

/// `TX:0` to `TX:9`
const CAPTURES: usize = 10;

impl Found {
    /// Forgets the last evaluation.
    pub fn clear(&mut self) {
        self.captures.clear();
        self.names.clear();
        self.own.clear();
        self.place = None;
    }

    /// The captures as numbers for `TX` (0 to 9, rising) and their bytes; `value` is what was evaluated. A group that had
    /// no part in the match is not among them.
    pub fn captures<'a>(&'a self, value: &'a [u8]) -> impl Iterator<Item = (u8, &'a [u8])> {
        self.captures.iter().filter_map(move |(number, piece)| {
            let bytes = match piece {
                Piece::Value(range) => value.get(range.clone())?,
                Piece::Own(range) => self.own.get(range.clone())?,
            };
            Some((*number, bytes))
        })
    }

    /// The members for `ARGS_PATH`, of `@restpath`.
    pub fn names<'a>(&'a self, value: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.names
            .iter()
            .filter_map(move |(name, range)| Some((name.as_str(), value.get(range.clone())?)))
    }

    /// Where in the value the match is. `None` where the match has no place (`@eq`), or nobody asked.
    pub fn place(&self) -> Option<Range<usize>> {
        self.place.clone()
    }

    /// Whether the operator should find out where the match is.
    pub(super) fn needs_place(&self) -> bool {
        self.wanted || self.explained
    }

    /// The match is here, and it is the capture 0.
    pub(super) fn whole(&mut self, range: Range<usize>) {
        self.capture(0, range.clone());
        self.at(range);
    }

    /// The match is here.
    pub(super) fn at(&mut self, range: Range<usize>) {
        if self.needs_place() {
            self.place = Some(range);
        }
    }

    /// A capture from the value; beyond number 9 it is dropped.
    pub(super) fn capture(&mut self, number: usize, range: Range<usize>) {
        self.push(number, Piece::Value(range));
    }

    /// A capture of bytes that are not in the value.
    pub(super) fn capture_own(&mut self, number: usize, bytes: &[u8]) {
        if self.wanted {
            let start = self.own.len();
            self.own.extend_from_slice(bytes);
            self.push(number, Piece::Own(start..self.own.len()));
        }
    }

    /// A named capture.
    pub(super) fn name(&mut self, name: &str, range: Range<usize>) {
        self.names.push((name.to_owned(), range));
    }

    /// Whether captures with this number and above would be dropped.
    pub(super) fn is_full_at(number: usize) -> bool {
        number >= CAPTURES
    }

    fn push(&mut self, number: usize, piece: Piece) {
        if self.wanted && !Self::is_full_at(number) {
            self.captures
                .extend(u8::try_from(number).ok().map(|number| (number, piece)));
        }
    }
}
