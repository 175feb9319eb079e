//! Where rules come from, and what is said about them.

use std::collections::BTreeMap;
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

/// Names from files may have line breaks in them; the list of problems has one line for each.
pub(crate) fn one_line(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let mut line = String::with_capacity(message.len() + 8);
    for character in message.chars() {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
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

/// Files in memory, by their path.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    /// Paths without `.` and `..`.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Files for MemoryFiles {
    fn read(&self, from: &str, name: &str) -> Result<Vec<u8>, String> {
        let path = beside(from, name);
        match self.files.get(&path) {
            Some(bytes) => Ok(bytes.clone()),
            None => Err(format!("there is no file {path}")),
        }
    }

    fn expand(&self, from: &str, pattern: &str) -> Result<Vec<String>, String> {
        if !pattern.contains(['*', '?']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let full = beside(from, pattern);
        let depth = |path: &str| path.matches('/').count();
        Ok(self
            .files
            .keys()
            .filter(|path| depth(path) == depth(&full) && matches_wildcards(&full, path))
            .map(|path| seen_from(from, path))
            .collect())
    }
}

/// The path of the file that is called `name` in the file `from`: from the same folder, or from the top with a `/`.
pub fn beside(from: &str, name: &str) -> String {
    if name.starts_with('/') {
        return name.to_owned();
    }
    let mut parts: Vec<_> = match from.rsplit_once('/') {
        Some((folder, _)) => folder.split('/').collect(),
        None => Vec::new(),
    };
    for part in name.split('/') {
        match part {
            "." => {}
            ".." if !matches!(parts.last(), None | Some(&(".." | ""))) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The name that [`beside`] makes into `path` again.
fn seen_from(from: &str, path: &str) -> String {
    let Some((folder, _)) = from.rsplit_once('/') else {
        return path.to_owned();
    };
    let inside = path
        .strip_prefix(folder)
        .and_then(|rest| rest.strip_prefix('/'));
    match inside {
        Some(inside) => inside.to_owned(),
        None if path.starts_with('/') => path.to_owned(),
        None => "../".repeat(folder.split('/').count()) + path,
    }
}

/// Whether `name` is what `pattern` means, where `*` is any text and `?` any byte.
pub fn matches_wildcards(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where the last `*` is, and what of the name came before what it stands for.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, before)) = star else {
                    return false;
                };
                star = Some((star_at, before + 1));
                at = star_at + 1;
                seen = before + 1;
            }
        }
    }
    pattern
        .get(at..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}
