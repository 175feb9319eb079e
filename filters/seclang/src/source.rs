//! Where rules come from, and what is said about them.

use std::fmt;
use std::sync::Arc;

/// A place in a file of rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// In bytes, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something wrong with a rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub position: Position,
    pub severity: Severity,
    /// What is wrong and the way out, one line.
    pub message: String,
}

/// What a problem means for the rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The rule set cannot be used.
    Error,
    /// The rule set works, but not as somebody may expect: an item that has no effect here.
    Warning,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}: {}", self.position, self.message)
    }
}

/// The files that rules may name: a folder on a disk, an archive in memory, the text of a configuration.
pub trait Files {
    /// The content of `name`, seen from the file `from` that names it (`Include`, `@pmFromFile`, `@ipMatchFromFile`).
    ///
    /// # Errors
    /// Why there is none, for an operator to read.
    fn read(&self, from: &str, name: &str) -> Result<Vec<u8>, String>;

    /// The names behind an `Include` with wildcards (`rules/*.conf`), in alphabetical order, each good for
    /// [`Files::read`] from the same `from`. A name without wildcards stands for itself.
    ///
    /// # Errors
    /// Why there are none.
    fn expand(&self, from: &str, pattern: &str) -> Result<Vec<String>, String>;
}
