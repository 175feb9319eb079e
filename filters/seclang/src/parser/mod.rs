//! From the text of rule files to a [`RuleSet`]. All that is wrong in all files is told at once, each with its place.
//!
//! Several sources make one set of rules, in order:
//!
//! ```
//! use portcullis_seclang::parser::Parser;
//! use portcullis_seclang::source::MemoryFiles;
//!
//! let files = MemoryFiles::default();
//! let mut parser = Parser::new(&files);
//! parser.text("base", "SecRuleEngine On");
//! parser.text("rules", r#"SecRule ARGS "@contains evil" "id:1,deny""#);
//! let parsed = parser.finish().expect("no errors");
//! assert_eq!(parsed.rules.entries.len(), 1);
//! ```
//!
//! Where the engines that know the language differ, this is done:
//!
//! - `SecRuleRemove…` and `SecRuleUpdate…` change all rules, earlier and later ones, as in ModSecurity v3. (Coraza and
//!   ModSecurity v2: only earlier ones.) Tags and messages are compared as a whole, as in v3 and Coraza.
//! - `SecRuleUpdateActionById` sees the actions as if they stood at the end of the rule's own list: the last verdict,
//!   message or status counts, tags, variables and transformations are added. It cannot change `id`, `phase` and `chain`.
//! - `SecDefaultAction` holds for all rules of its phase, earlier and later ones, as in v3. It may stand once for each phase in
//!   each source; that of a later source replaces it. A rule that names no verdict takes the default one, as the reference
//!   manual says and v2 and Coraza do.
//! - A rule without `phase` runs in phase 2, as the manual says; in v3 in phase 1.
//! - `nolog` is also `noauditlog`, and `log` also `auditlog`, as in v2 and Coraza.
//! - Only the first rule of a chain has an id, a phase, a verdict and what describes it: a verdict in another one is an
//!   error, as everywhere, the rest a warning. `status`, `skip` and `skipAfter` of other members count for the chain.
//! - `SecAction` may be a member of a chain, as in v2 and Coraza, and needs an id, as in v2.
//! - Variables, operators, actions and directives that do not exist are errors, also in macros.

pub mod actions;
mod assemble;
pub mod directives;
mod ids;
mod include;
mod lexer;
pub mod operator;
mod rule;
mod settings;
pub(crate) mod suggest;
mod support;
pub mod targets;
mod updates;

pub use support::Support;

use std::collections::HashMap;
use std::sync::Arc;

use crate::rules::{RuleSet, Target};
use crate::source::{Files, Position, Problem, Severity, one_line};
use actions::Placed;
use directives::{DIRECTIVES, Directive};
use lexer::{DIRECTIVE_BYTES_MAX, Line, Lines, Word};

/// More problems than an operator reads.
const PROBLEMS_MAX: usize = 1_000;

/// A rule set without errors.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub rules: RuleSet,
    pub warnings: Vec<Problem>,
}

/// Reads the file `root` and all that it includes.
///
/// # Errors
/// All errors of all files, with the warnings, in the order of the files.
pub fn parse(files: &dyn Files, root: &str) -> Result<Parsed, Vec<Problem>> {
    let mut parser = Parser::new(files);
    parser.file(root);
    parser.finish()
}

/// Reads one target (`ARGS:q`), without `|`, `!` and `&`.
///
/// # Errors
/// What is wrong with it.
pub fn target(text: &str) -> Result<Target, String> {
    targets::single(text)
}

/// Reads sources, one after another, into one rule set.
pub struct Parser<'a> {
    files: &'a dyn Files,
    /// Without its entries, which are made at the end.
    rules: RuleSet,
    drafts: Vec<assemble::Draft>,
    /// Where each id was given.
    ids: HashMap<u64, Position>,
    defaults: [Option<Defaults>; 5],
    updates: Vec<updates::Update>,
    /// Records by name, one a line.
    datasets: HashMap<String, String>,
    /// Whether the last rule said `chain`.
    chain_open: bool,
    mime_types_named: bool,
    problems: Vec<Problem>,
    /// How many sources there were, not counting what they include.
    sources: usize,
    /// The files being read, each included by the one before.
    open: Vec<Arc<str>>,
    files_read: usize,
    bytes_read: usize,
}

/// What `SecDefaultAction` said of a phase.
struct Defaults {
    items: Vec<Placed>,
    position: Position,
    source: usize,
}

/// A directive being carried out.
struct Call<'a> {
    file: &'a Arc<str>,
    line: &'a Line,
    name: &'static str,
    /// After the name.
    words: Vec<Word<'a>>,
}

impl Call<'_> {
    fn position(&self, at: usize) -> Position {
        self.line.position(self.file, at)
    }
}

impl<'a> Parser<'a> {
    /// Without any rules yet.
    pub fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            rules: RuleSet::default(),
            drafts: Vec::new(),
            ids: HashMap::new(),
            defaults: [const { None }; 5],
            updates: Vec::new(),
            datasets: HashMap::new(),
            chain_open: false,
            mime_types_named: false,
            problems: Vec::new(),
            sources: 0,
            open: Vec::new(),
            files_read: 0,
            bytes_read: 0,
        }
    }

    /// Reads a file and all that it includes.
    pub fn file(&mut self, name: &str) {
        match self.read_from("", name) {
            Ok(bytes) => self.source(Arc::from(name), &bytes),
            Err(reason) => self.problem(beginning(name), Severity::Error, reason),
        }
    }

    /// Reads a text; `label` stands for the file in positions.
    pub fn text(&mut self, label: &str, text: &str) {
        self.source(Arc::from(label), text.as_bytes());
    }

    /// Puts the rules together.
    ///
    /// # Errors
    /// All errors of all sources, with the warnings, in the order of the sources.
    pub fn finish(mut self) -> Result<Parsed, Vec<Problem>> {
        self.rules.entries = self.assembled();
        let failed = |problem: &Problem| problem.severity == Severity::Error;
        if self.problems.iter().any(failed) {
            return Err(self.problems);
        }
        Ok(Parsed {
            rules: self.rules,
            warnings: self.problems,
        })
    }

    fn source(&mut self, file: Arc<str>, bytes: &[u8]) {
        self.sources += usize::from(self.open.is_empty());
        self.open.push(Arc::clone(&file));
        for line in Lines::new(bytes) {
            self.directive(&file, &line);
        }
        self.open.pop();
        self.end_chain();
    }

    fn directive(&mut self, file: &Arc<str>, line: &Line) {
        let at = |at| line.position(file, at);
        if line.too_long {
            let message = format!("a directive of more than {DIRECTIVE_BYTES_MAX} bytes");
            return self.problem(at(0), Severity::Error, message);
        }
        if let Some(foreign) = line.foreign {
            let message = "bytes that are not UTF-8: write them as \\xHH".to_owned();
            return self.problem(at(foreign), Severity::Error, message);
        }
        let words = match lexer::words(&line.text) {
            Ok(words) => words,
            Err((place, message)) => return self.problem(at(place), Severity::Error, message),
        };
        let Some((name, words)) = words.split_first() else {
            return;
        };
        let Some(directive) = find(name.raw) else {
            return self.problem(at(name.at), Severity::Error, unknown(name.raw));
        };
        let call = Call {
            file,
            line,
            name: directive.name,
            words: words.to_vec(),
        };
        self.carry_out(directive, name, &call);
    }

    fn carry_out(&mut self, directive: &Directive, name: &Word<'_>, call: &Call<'_>) {
        let (least, most) = directive.words;
        if call.words.len() < least {
            let message = format!("{} needs {least} words after it", directive.name);
            return self.error(call, name.at, message);
        }
        if let Some(extra) = call.words.get(most) {
            let message = format!("{} takes {most} words, this is one more", directive.name);
            return self.error(call, extra.at, message);
        }
        match directive.support {
            Support::Full(apply) => (apply.0)(self, call),
            Support::NoEffect(reason) => {
                let message = format!("{} has no effect: {reason}", directive.name);
                self.warning(call, name.at, message);
            }
            Support::OnlyOff(reason) => {
                let value = call.words.first();
                if !value.is_some_and(|word| word.raw.eq_ignore_ascii_case("off")) {
                    let message = format!("{} can only be Off: {reason}", directive.name);
                    self.error(call, value.unwrap_or(name).at, message);
                }
            }
            Support::Refused(reason) => {
                let message = format!("{} is not supported: {reason}", directive.name);
                self.error(call, name.at, message);
            }
        }
    }

    fn error(&mut self, call: &Call<'_>, at: usize, message: String) {
        self.problem(call.position(at), Severity::Error, message);
    }

    fn warning(&mut self, call: &Call<'_>, at: usize, message: String) {
        self.problem(call.position(at), Severity::Warning, message);
    }

    fn problem(&mut self, position: Position, severity: Severity, message: String) {
        let (severity, message) = match self.problems.len() + 1 {
            ..PROBLEMS_MAX => (severity, message),
            // What is not listed may be an error.
            PROBLEMS_MAX => (Severity::Error, "more problems are not listed".to_owned()),
            _ => return,
        };
        self.problems.push(Problem {
            position,
            severity,
            message: one_line(message),
        });
    }
}

fn beginning(file: &str) -> Position {
    Position {
        file: Arc::from(file),
        line: 1,
        column: 1,
    }
}

fn find(name: &str) -> Option<&'static Directive> {
    DIRECTIVES
        .iter()
        .find(|directive| directive.name.eq_ignore_ascii_case(name))
}

fn unknown(name: &str) -> String {
    if name.starts_with('<') {
        return "containers of a web server are not part of the language: use overrides of routes"
            .to_owned();
    }
    format!(
        "unknown directive {:?}{}",
        suggest::shown(name),
        suggest::nearest(name, DIRECTIVES.iter().map(|directive| directive.name))
    )
}
