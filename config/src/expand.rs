//! `${env:NAME}` and `${file:PATH}` inside scalars.

use std::collections::HashMap;
use std::env::VarError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::problem::{Location, Problems};
use crate::sources::{FILE_BYTES_MAX, Sources};
use crate::yaml::{Content, Node, Scalar, child_path, clip, item_path};

/// All values drawn into one configuration together, bytes: an alias may repeat a large file.
const EXPANDED_BYTES_MAX: usize = 4 * FILE_BYTES_MAX;

const ESCAPE_HINT: &str =
    "only ${env:NAME} and ${file:PATH} are expanded; write $${ for a literal ${";

/// A piece of a scalar.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Env(&'a str),
    File(&'a str),
    /// What stands between `${` and `}`, or after an unclosed `${`.
    Unknown(&'a str),
    Unclosed,
}

/// Replaces what is to be replaced, everywhere in a tree.
pub(crate) struct Expander<'a> {
    sources: &'a dyn Sources,
    /// What relative paths are relative to.
    dir: &'a Path,
    /// Files read so far; each is read once, so that one configuration never holds two states of it.
    files: HashMap<PathBuf, Result<Arc<str>, String>>,
    /// The same files, in the order of the text.
    pub(crate) watched: Vec<PathBuf>,
    expanded_bytes: usize,
}

impl<'a> Expander<'a> {
    pub(crate) fn new(sources: &'a dyn Sources, dir: &'a Path) -> Self {
        Self {
            sources,
            dir,
            files: HashMap::new(),
            watched: Vec::new(),
            expanded_bytes: 0,
        }
    }

    /// Expands every scalar of `node`, which is at `at`. Where a reference cannot be resolved, that is a problem.
    pub(crate) fn tree(&mut self, node: &mut Node, at: &Location, problems: &mut Problems) {
        let place = |mark: crate::yaml::Mark, path| at.moved(mark.line, mark.column, path);
        match &mut node.content {
            Content::Scalar(scalar) => self.scalar(scalar, at, problems),
            Content::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let at = place(item.mark, item_path(&at.path, index));
                    self.tree(item, &at, problems);
                }
            }
            Content::Mapping(entries) => {
                for entry in entries {
                    let at = place(entry.node.mark, child_path(&at.path, &entry.key_shown));
                    self.tree(&mut entry.node, &at, problems);
                }
            }
        }
    }

    fn scalar(&mut self, scalar: &mut Scalar, at: &Location, problems: &mut Problems) {
        if !scalar.written.contains("${") {
            return;
        }
        let mut value = String::new();
        let mut drawn = false;
        for piece in pieces(&scalar.written) {
            let found = match piece {
                Piece::Text(text) => {
                    value.push_str(text);
                    continue;
                }
                Piece::Env(name) => self.env(name),
                Piece::File(path) => self.file(path),
                // What is written inside of a broken reference in a secret may be the secret.
                Piece::Unknown(_) if scalar.secret => Err((
                    "`${...}` here names no known source".into(),
                    ESCAPE_HINT.into(),
                )),
                Piece::Unknown(inner) => Err((
                    format!("`${{{}}}` names no known source", clip(inner)),
                    ESCAPE_HINT.into(),
                )),
                Piece::Unclosed => Err(("`${` without a closing brace".into(), ESCAPE_HINT.into())),
            };
            drawn = true;
            match found {
                Ok(text) if self.expanded_bytes + text.len() <= EXPANDED_BYTES_MAX => {
                    self.expanded_bytes += text.len();
                    value.push_str(&text);
                }
                Ok(_) => {
                    scalar.failed = true;
                    let message = "the values drawn into this file are too large together";
                    problems.push(at.problem(message, None));
                }
                Err((message, hint)) => {
                    scalar.failed = true;
                    problems.push(at.problem(message, Some(hint)));
                }
            }
        }
        scalar.value = value.into();
        scalar.expanded = drawn;
    }

    fn env(&self, name: &str) -> Result<Arc<str>, (String, String)> {
        match self.sources.env(name) {
            Ok(value) => Ok(value.into()),
            Err(VarError::NotPresent) => Err((
                format!("the environment variable {name} is not set"),
                format!("set it, or write $${{env:{name}}} for the literal text"),
            )),
            Err(VarError::NotUnicode(_)) => Err((
                format!("the environment variable {name} is not valid Unicode"),
                "binary values can be kept in a file in base64".into(),
            )),
        }
    }

    fn file(&mut self, path: &str) -> Result<Arc<str>, (String, String)> {
        let full = resolve_path(self.dir, path);
        if !self.files.contains_key(&full) {
            self.watched.push(full.clone());
            let read = self.sources.read(&full).map_err(|error| error.to_string());
            let text = read.and_then(|bytes| {
                String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
            });
            self.files
                .insert(full.clone(), text.map(|text| cut_newline(&text).into()));
        }
        match &self.files[&full] {
            Ok(text) => Ok(Arc::clone(text)),
            Err(reason) => {
                let hint = format!(
                    "the path is relative to the configuration file: {}",
                    full.display()
                );
                Err((format!("cannot read the file {path}: {reason}"), hint))
            }
        }
    }
}

/// `path` as seen from `dir`, without `.` parts. Links and `..` stay: what they mean is the file system's matter.
pub(crate) fn resolve_path(dir: &Path, path: &str) -> PathBuf {
    dir.join(path).components().collect()
}

/// Whether nothing in a scalar's text is replaced.
pub(crate) fn is_literal(written: &str) -> bool {
    !written.contains("${")
}

/// Whether a scalar's text is one reference and nothing else.
pub(crate) fn is_reference(written: &str) -> bool {
    let mut pieces = pieces(written);
    matches!(
        (pieces.next(), pieces.next()),
        (Some(Piece::Env(_) | Piece::File(_)), None)
    )
}

fn cut_newline(text: &str) -> &str {
    text.strip_suffix('\n')
        .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}

fn pieces(written: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = written;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let piece;
        if let Some(after) = rest.strip_prefix("$${") {
            piece = Piece::Text(&rest[1..3]);
            rest = after;
        } else if let Some(inner) = rest.strip_prefix("${") {
            let Some((inner, after)) = inner.split_once('}') else {
                rest = "";
                return Some(Piece::Unclosed);
            };
            piece = reference(inner);
            rest = after;
        } else {
            let end = next_special(rest);
            piece = Piece::Text(&rest[..end]);
            rest = &rest[end..];
        }
        Some(piece)
    })
}

/// Where the next `${` or `$${` begins.
fn next_special(text: &str) -> usize {
    let Some(open) = text.find("${") else {
        return text.len();
    };
    if open > 0 && text.as_bytes()[open - 1] == b'$' {
        open - 1
    } else {
        open
    }
}

fn reference(inner: &str) -> Piece<'_> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match inner.split_once(':') {
        Some(("env", name)) if is_name(name) => Piece::Env(name),
        Some(("file", path)) if !path.is_empty() && !path.contains(char::is_control) => {
            Piece::File(path)
        }
        _ => Piece::Unknown(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(written: &str) -> Vec<Piece<'_>> {
        pieces(written).collect()
    }

    #[test]
    fn splits_scalars() {
        use Piece::{Env, File, Text, Unclosed, Unknown};
        assert_eq!(
            split("a${env:X}b${file:./p q}"),
            [Text("a"), Env("X"), Text("b"), File("./p q")]
        );
        assert_eq!(split("$${env:X}"), [Text("${"), Text("env:X}")]);
        assert_eq!(split("a$$${x}"), [Text("a$"), Text("${"), Text("x}")]);
        assert_eq!(split("$ $$ {} $5"), [Text("$ $$ {} $5")]);
        assert_eq!(
            split("${X}${env:}${env:A-B}${file:}"),
            [
                Unknown("X"),
                Unknown("env:"),
                Unknown("env:A-B"),
                Unknown("file:")
            ]
        );
        assert_eq!(split("a${env:X"), [Text("a"), Unclosed]);
        assert_eq!(split("é${env:X}é"), [Text("é"), Env("X"), Text("é")]);
    }

    #[test]
    fn a_reference_alone_is_told_apart() {
        assert!(is_reference("${env:X}") && is_reference("${file:a/b}"));
        for text in [
            "",
            "x",
            "x${env:X}",
            "${env:X}x",
            "${env:X}${env:Y}",
            "$${env:X}",
            "${X}",
            "${env:X",
        ] {
            assert!(!is_reference(text), "{text}");
        }
    }

    #[test]
    fn one_trailing_newline_is_cut() {
        for (text, cut) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a", "a"),
            ("", ""),
            ("\n", ""),
        ] {
            assert_eq!(cut_newline(text), cut);
        }
    }
}
