//! YAML text as a tree in which every node knows its place.
//!
//! Values stay text here: the reader of a key decides what it must be, so that `100` can be a size and `0123` a name,
//! and so that one wrong value does not hide the next.

mod budget;
mod build;
mod scalar;

use std::ops::Range;
use std::sync::Arc;

pub(crate) use build::{Flaw, Tree, parse};
pub(crate) use scalar::{REDACTED, Scalar, Style, Tag, clip};

/// Longest part of a key that a path shows, characters.
const KEY_CHARS_MAX: usize = 60;

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    /// Without repeated keys.
    Mapping(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    /// The key as it may be shown: without a secret that a missing blank made part of it, as in `token:hunter2`.
    pub(crate) key_shown: Arc<str>,
    pub(crate) key_mark: Mark,
    /// Bytes of the file's text, quotes included.
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

impl Node {
    /// What this is, for messages: "expected ..., found a list".
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(scalar) => scalar.kind(),
            Content::List(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    /// Whether nothing is written here, or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(scalar) if scalar.is_null())
    }

    /// Whether this is a scalar that could not be expanded, which has been told.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(&self.content, Content::Scalar(scalar) if scalar.failed)
    }

    /// Calls `visit` for each scalar below, and for the node itself if it is one.
    pub(crate) fn each_scalar_mut(&mut self, visit: &mut impl FnMut(&mut Scalar)) {
        match &mut self.content {
            Content::Scalar(scalar) => visit(scalar),
            Content::List(items) => items
                .iter_mut()
                .for_each(|item| item.each_scalar_mut(visit)),
            Content::Mapping(entries) => {
                entries
                    .iter_mut()
                    .for_each(|entry| entry.node.each_scalar_mut(visit));
            }
        }
    }
}

/// `parent.key`, or `parent["odd key"]`; long keys are cut short, as paths are for people.
pub(crate) fn child_path(parent: &str, key: &str) -> Arc<str> {
    let cut = key
        .char_indices()
        .nth(KEY_CHARS_MAX)
        .map(|(at, _)| format!("{}...", &key[..at]));
    let key = cut.as_deref().unwrap_or(key);
    let plain = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || "_-<".contains(c));
    match (parent.is_empty(), plain) {
        (true, true) => key.into(),
        (false, true) => format!("{parent}.{key}").into(),
        (_, false) => format!("{parent}[{key:?}]").into(),
    }
}

/// `parent[2]`.
pub(crate) fn item_path(parent: &str, index: usize) -> Arc<str> {
    format!("{parent}[{index}]").into()
}
