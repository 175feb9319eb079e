//! What is wrong with a configuration file, and where: places, problems, and how both are shown.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

/// Longest part of a source line that a snippet shows, characters: a terminal's width with room for the margin.
const SNIPPET_CHARS_MAX: usize = 120;

/// A place in a configuration file. Cheap to clone.
///
/// Two locations always compare equal: a value that only moved in the file is the same value, so that types which
/// carry their place can derive `PartialEq` and still answer whether something changed from one reload to the next.
#[derive(Clone)]
pub struct Location {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// From 1; 0 where the problem is with the file as a whole.
    pub line: usize,
    /// In characters, from 1; 0 where `line` is 0.
    pub column: usize,
    /// The YAML path, such as `filters.hello.limits.memory` or `routes[2].match.path.regex`; empty for the whole file.
    pub path: Arc<str>,
    /// The file's text with secrets masked, for snippets.
    text: Arc<str>,
}

impl Location {
    /// The whole file, where no line can be named.
    pub fn whole(file: &Path) -> Self {
        Self::start(file, Arc::from(""), 0, 0)
    }

    /// The top of a file whose text (secrets already masked) is known.
    pub(crate) fn start(file: &Path, text: Arc<str>, line: usize, column: usize) -> Self {
        Self {
            file: file.display().to_string().into(),
            line,
            column,
            path: Arc::from(""),
            text,
        }
    }

    /// Another place in the same file.
    pub(crate) fn moved(&self, line: usize, column: usize, path: Arc<str>) -> Self {
        Self {
            file: Arc::clone(&self.file),
            line,
            column,
            path,
            text: Arc::clone(&self.text),
        }
    }

    /// A problem at this place. `message` is one sentence without a full stop, `hint` says the way out.
    ///
    /// Neither may hold a value that came from `${env:...}` or `${file:...}`.
    pub fn problem(&self, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem {
            file: self.file.to_string(),
            line: self.line,
            column: self.column,
            path: self.path.to_string(),
            message: message.into(),
            hint,
            snippet: snippet(&self.text, self.line, self.column),
        }
    }
}

impl PartialEq for Location {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Location {}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `edge.yaml:41:18`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.file, self.line, self.column)
    }
}

/// One thing wrong with a configuration file.
///
/// As JSON it is `{file, line, column, path, message, hint}`; [`fmt::Display`] adds the source line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// From 1; 0 where the problem is with the file as a whole.
    pub line: usize,
    /// In characters, from 1; 0 where `line` is 0.
    pub column: usize,
    /// The YAML path; empty for the whole file.
    pub path: String,
    /// What is wrong, without a full stop.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// The source line and a caret below the column, secrets masked.
    #[serde(skip)]
    pub snippet: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.file, self.line, self.column)?;
        f.write_str("  ")?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(snippet) = &self.snippet {
            write!(f, "\n{snippet}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Everything wrong with a configuration file, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether the file itself could not be read, so that nothing is known about what it says.
    pub fn unreadable(&self) -> bool {
        self.0.iter().any(|problem| problem.line == 0)
    }

    pub(crate) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// In file order and without repeats (an alias may lead to the same place twice by one path).
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| {
            (a.line, a.column, &a.path, &a.message).cmp(&(b.line, b.column, &b.path, &b.message))
        });
        self.0.dedup();
        self
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

fn write_place(f: &mut fmt::Formatter<'_>, file: &str, line: usize, column: usize) -> fmt::Result {
    match line {
        0 => f.write_str(file),
        _ => write!(f, "{file}:{line}:{column}"),
    }
}

/// The line with its number, and a caret below `column`; long lines are cut to the part around the column.
fn snippet(text: &str, line: usize, column: usize) -> Option<String> {
    let source = text.lines().nth(line.checked_sub(1)?)?;
    if source.trim().is_empty() {
        return None;
    }
    let column = column.saturating_sub(1);
    let skipped = column.saturating_sub(SNIPPET_CHARS_MAX / 2);
    let skipped = if source.chars().count() <= SNIPPET_CHARS_MAX {
        0
    } else {
        skipped
    };
    // Control characters would move the caret or the terminal's cursor.
    let shown: String = source
        .chars()
        .skip(skipped)
        .take(SNIPPET_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let margin = format!("{line:>6} | ");
    let caret = " ".repeat(margin.len() - 2) + "| " + &" ".repeat(column - skipped) + "^";
    Some(format!("{margin}{}\n{caret}", shown.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, line: usize, column: usize) -> Location {
        Location::start(Path::new("edge.yaml"), Arc::from(text), line, column)
    }

    #[test]
    fn shows_place_line_caret_and_hint() {
        let problem = at("a: 1\nmemory: 8KiB\n", 2, 9)
            .moved(2, 9, Arc::from("filters.hello.limits.memory"))
            .problem(
                "8KiB is below one wasm page",
                Some("use 64KiB or more".into()),
            );
        assert_eq!(
            problem.to_string(),
            "edge.yaml:2:9  filters.hello.limits.memory: 8KiB is below one wasm page\n     2 | memory: 8KiB\n       |         ^\n  hint: use 64KiB or more"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_column() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let shown = at(&text, 1, 501)
            .problem("bad", None)
            .snippet
            .unwrap_or_default();
        let (line, caret) = shown.split_once('\n').unwrap_or_default();
        assert_eq!(line.find('X'), caret.find('^'));
        assert!(line.len() < 140, "{line}");
    }

    #[test]
    fn json_has_exactly_the_promised_keys() {
        let json = serde_json::to_value(at("a", 1, 1).problem("bad", None)).unwrap_or_default();
        let keys: Vec<_> = json
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(keys, ["file", "line", "column", "path", "message", "hint"]);
        assert!(json["hint"].is_null());
    }

    #[test]
    fn a_place_outside_the_text_has_no_snippet() {
        assert_eq!(at("a", 9, 9).problem("bad", None).snippet, None);
        assert_eq!(
            Location::whole(Path::new("x"))
                .problem("bad", None)
                .to_string(),
            "x  bad"
        );
    }
}
