//! Searching with compiled regular expressions within a bound of memory.
//!
//! An expression learns while it searches: which states the bytes lead to is found out once and remembered. That makes it
//! fast, and big: hundreds of expressions that remember what they may would need a hundred megabytes, and a client can
//! make them. So the memories of all expressions of a thread (a VM has one) are kept here together, and when they need too
//! much, those that were not used lately are dropped.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use regex_automata::meta::{BuildError, Cache, Config, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Input, PatternID};
use regex_syntax::hir::{Hir, HirKind};

/// Memory for what all expressions of a thread remember, bytes. All of the Core Rule Set on short values need about 5 MiB.
const MEMORY_BYTES_MAX: usize = 4 << 20;

/// What one expression may remember, bytes: so much, and so much for each of its states, without which it could not hold
/// the few states at once that it needs to be fast.
const MEMORY_BYTES_EACH: usize = 64 << 10;
const MEMORY_BYTES_A_STATE: usize = 32;

/// After so many bytes of values it is measured what an expression remembers by now.
const MEASURED_AFTER_BYTES: usize = 256;

/// A compiled regular expression.
#[derive(Debug)]
pub(super) struct Searcher {
    regex: Regex,
    /// Its place among the memories; `None`: it keeps its own.
    number: Option<usize>,
}

impl Searcher {
    /// Compiles an expression that is kept as long as its rule.
    ///
    /// # Errors
    /// It needs more than `program_bytes_max`.
    pub(super) fn new(hir: &Hir, program_bytes_max: usize) -> Result<Self, String> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let regex = compile(hir, program_bytes_max)?;
        let number = Some(NEXT.fetch_add(1, Ordering::Relaxed));
        Ok(Self { regex, number })
    }

    /// Compiles an expression that is soon dropped.
    ///
    /// # Errors
    /// It needs more than `program_bytes_max`.
    pub(super) fn temporary(hir: &Hir, program_bytes_max: usize) -> Result<Self, String> {
        let regex = compile(hir, program_bytes_max)?;
        Ok(Self {
            regex,
            number: None,
        })
    }

    /// Groups, with the whole match.
    pub(super) fn groups(&self) -> usize {
        self.regex.group_info().group_len(PatternID::ZERO)
    }

    /// The number of a group with a name.
    pub(super) fn group(&self, name: &str) -> Option<usize> {
        self.regex.group_info().to_index(PatternID::ZERO, name)
    }

    /// Memory of the compiled expression, bytes.
    pub(super) fn memory(&self) -> usize {
        self.regex.memory_usage()
    }

    pub(super) fn is_match(&self, value: &[u8]) -> bool {
        let input = Input::new(value).earliest(true);
        match self.number {
            None => self.regex.is_match(input),
            Some(number) => with_cache(number, &self.regex, value.len(), |cache| {
                self.regex.search_half_with(cache, &input).is_some()
            }),
        }
    }

    /// Writes where the groups of the first match are, two slots a group, as many as there are slots.
    pub(super) fn find(&self, input: &Input<'_>, slots: &mut [Option<NonMaxUsize>]) -> bool {
        match self.number {
            None => self.regex.search_slots(input, slots).is_some(),
            Some(number) => {
                let length = input.haystack().len();
                with_cache(number, &self.regex, length, |cache| {
                    self.regex.search_slots_with(cache, input, slots).is_some()
                })
            }
        }
    }
}

impl Drop for Searcher {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            // Fails when the thread ends, and then all is dropped.
            let _ = MEMORIES.try_with(|memories| memories.borrow_mut().take(number));
        }
    }
}

pub(super) fn compile(hir: &Hir, program_bytes_max: usize) -> Result<Regex, String> {
    let memory = MEMORY_BYTES_EACH.saturating_add(states(hir).saturating_mul(MEMORY_BYTES_A_STATE));
    let config = Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(program_bytes_max))
        .hybrid_cache_capacity(memory.min(MEMORY_BYTES_MAX / 4))
        .which_captures(WhichCaptures::All)
        // Groups are found by simulation instead, in linear time as well, and without a quarter of a megabyte for marks.
        .backtrack(false);
    let built = Regex::builder().configure(config).build_from_hir(hir);
    built.map_err(|error| too_big(&error, program_bytes_max))
}

fn too_big(error: &BuildError, program_bytes_max: usize) -> String {
    match error.size_limit() {
        Some(_) => format!(
            "the regular expression needs more than {program_bytes_max} bytes compiled; make the numbers in its \
             repetitions {{n,m}} smaller"
        ),
        None => format!("the regular expression cannot be compiled: {error}"),
    }
}

/// About how many states an expression is compiled to.
fn states(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty => 0,
        HirKind::Look(_) | HirKind::Class(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let all = parts.iter().map(states);
            all.fold(1, usize::saturating_add)
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            let times = usize::try_from(times).unwrap_or(usize::MAX);
            states(&repetition.sub)
                .saturating_add(1)
                .saturating_mul(times)
        }
    }
}

/// What the expressions of a thread remember.
#[derive(Default)]
struct Memories {
    /// By the number of the expression; missing while it searches.
    all: Vec<Option<Memory>>,
    bytes: usize,
    /// Rises whenever there was too much.
    age: u32,
}

struct Memory {
    cache: Box<Cache>,
    bytes: usize,
    /// Bytes of values since it was measured.
    searched: usize,
    used: u32,
}

thread_local! {
    static MEMORIES: RefCell<Memories> = const {
        RefCell::new(Memories {
            all: Vec::new(),
            bytes: 0,
            age: 0,
        })
    };
}

fn with_cache<T>(
    number: usize,
    regex: &Regex,
    length: usize,
    search: impl FnOnce(&mut Cache) -> T,
) -> T {
    let taken = MEMORIES.with_borrow_mut(|memories| memories.take(number));
    let mut memory = taken.unwrap_or_else(|| Memory {
        cache: Box::new(regex.create_cache()),
        bytes: 0,
        // Measured at once.
        searched: MEASURED_AFTER_BYTES,
        used: 0,
    });
    let found = search(&mut memory.cache);
    memory.searched = memory.searched.saturating_add(length);
    if memory.searched >= MEASURED_AFTER_BYTES {
        memory.searched = 0;
        memory.bytes = memory.cache.memory_usage();
    }
    MEMORIES.with_borrow_mut(|memories| memories.put(number, memory));
    found
}

impl Memories {
    fn take(&mut self, number: usize) -> Option<Memory> {
        let memory = self.all.get_mut(number)?.take()?;
        self.bytes -= memory.bytes;
        Some(memory)
    }

    fn put(&mut self, number: usize, mut memory: Memory) {
        if self.all.len() <= number {
            self.all.resize_with(number + 1, || None);
        }
        memory.used = self.age;
        self.bytes += memory.bytes;
        if let Some(place) = self.all.get_mut(number) {
            *place = Some(memory);
        }
        if self.bytes > MEMORY_BYTES_MAX {
            self.forget();
        }
    }

    /// Drops what was not used since it was last too much; all, if that is not enough.
    fn forget(&mut self) {
        let age = self.age;
        self.keep(|memory| memory.used == age);
        if self.bytes > MEMORY_BYTES_MAX / 2 {
            self.keep(|_| false);
        }
        self.age = age.wrapping_add(1);
    }

    fn keep(&mut self, kept: impl Fn(&Memory) -> bool) {
        self.bytes = 0;
        for place in &mut self.all {
            match place {
                Some(memory) if kept(memory) => self.bytes += memory.bytes,
                place => *place = None,
            }
        }
    }
}

/// How much the expressions of this thread remember now, bytes.
#[cfg(test)]
pub(super) fn remembered() -> usize {
    MEMORIES.with_borrow(|memories| memories.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_stay_within_their_bound() {
        // Each needs a state for every set of places where an `a` was: as many as it may remember.
        let hungry = |index: usize| {
            let hir = super::super::rx::parse(&format!("(?:a|b)*a[ab]{{{}}}c", 14 + index % 3));
            Searcher::new(&hir.expect("a pattern"), 1 << 20).expect("small enough")
        };
        let searchers: Vec<_> = (0..100).map(hungry).collect();
        let mut state = 1_u64;
        let value: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state & 1 == 0 { b'a' } else { b'b' }
        })
        .take(4_000)
        .collect();
        let mut most = 0;
        for searcher in &searchers {
            assert!(!searcher.is_match(&value));
            most = most.max(remembered());
        }
        assert!(
            most > MEMORY_BYTES_MAX / 2 && remembered() <= MEMORY_BYTES_MAX,
            "{most}"
        );
        // What was forgotten is found out again.
        let matching = [&value, b"a".as_slice(), &[b'b'; 14], b"c"].concat();
        assert!(
            searchers
                .first()
                .is_some_and(|searcher| searcher.is_match(&matching))
        );
        drop(searchers);
        assert_eq!(remembered(), 0);
    }
}
