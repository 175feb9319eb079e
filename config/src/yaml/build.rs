//! From the parser's events to the tree: aliases are copied in within bounds, merge keys are applied, repeated keys found.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_saphyr::granit_parser::{self as granit, Event, Parser, ScalarStyle, ScanError, Span};

use crate::secrets;

use super::budget::{Budget, DEPTH_MAX};
use super::{Content, Entry, Mark, Node, Scalar, Style, Tag, child_path, clip, item_path};

/// What a text came to.
#[derive(Debug)]
pub(crate) struct Tree {
    /// `None` where the text is empty, or nothing could be built.
    pub(crate) root: Option<Node>,
    pub(crate) flaws: Vec<Flaw>,
    /// Whether the text ended in a syntax error, so that `root` is missing.
    pub(crate) broken: bool,
}

/// A problem that is still without its file.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) mark: Mark,
    pub(crate) path: Arc<str>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Reads one YAML document. Syntax errors end the reading; other flaws are collected.
pub(crate) fn parse(text: &str) -> Tree {
    let mut builder = Builder::default();
    let options = granit::options! { emit_comments: false };
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => Err(builder.syntax(&error)),
        };
        if let Err(flaw) = step {
            builder.flaws.push(*flaw);
            return Tree {
                root: None,
                flaws: builder.flaws,
                broken: true,
            };
        }
    }
    Tree {
        root: builder.root,
        flaws: builder.flaws,
        broken: false,
    }
}

/// Ends the reading. Boxed, as it is rare and large.
type Fatal = Box<Flaw>;

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    flaws: Vec<Flaw>,
    documents: usize,
    budget: Budget,
}

/// A list or mapping whose end has not come yet.
struct Open {
    mark: Mark,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        seen: HashMap<Arc<str>, Mark>,
        key: Option<Key>,
        merges: Vec<Node>,
    },
}

/// A key whose value has not come yet.
enum Key {
    Named(Named),
    /// `<<`.
    Merge,
    /// Already reported; its value is dropped.
    Refused,
}

struct Named {
    key: Arc<str>,
    shown: Arc<str>,
    mark: Mark,
    span: Range<usize>,
}

impl Named {
    fn with(self, node: Node) -> Entry {
        let Self {
            key,
            shown,
            mark,
            span,
        } = self;
        Entry {
            key,
            key_shown: shown,
            key_mark: mark,
            key_span: span,
            node,
        }
    }
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Fatal> {
        let mark = mark_of(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 2 {
                    return Err(self.flaw(
                        mark,
                        "a second document; the configuration is one document",
                        None,
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = self.scalar(&text, style, tag.as_deref(), span);
                self.place(
                    Node {
                        mark,
                        content: Content::Scalar(scalar),
                    },
                    anchor,
                )?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", mark);
                self.push(Open {
                    mark,
                    anchor,
                    items: Items::List(Vec::new()),
                })?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", mark);
                let items = Items::Mapping {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.push(Open {
                    mark,
                    anchor,
                    items,
                })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let node = Node {
                        mark: open.mark,
                        content: self.close(open.items),
                    };
                    self.place(node, open.anchor)?;
                }
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.flaw(mark, "an alias inside of what it names", None));
                };
                self.spend_copy(&node, mark)?;
                self.place(node, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, open: Open) -> Result<(), Fatal> {
        if self.open.len() >= DEPTH_MAX {
            return Err(self.flaw(
                open.mark,
                &format!("nested deeper than {DEPTH_MAX} levels"),
                None,
            ));
        }
        self.open.push(open);
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, anchor: usize) -> Result<(), Fatal> {
        if anchor != 0 {
            self.spend_copy(&node, node.mark)?;
            self.anchors.insert(anchor, node.clone());
        }
        let spent = self.budget.spend_node(&node);
        spent.map_err(|message| self.flaw(node.mark, message, None))?;
        let path = self.path();
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Mapping {
                entries,
                seen,
                key,
                merges,
            }) => match key.take() {
                None => {
                    let (found, flaw) = key_of(&node, seen, &path);
                    *key = Some(found);
                    self.flaws.extend(flaw);
                }
                Some(Key::Named(named)) => entries.push(named.with(node)),
                Some(Key::Merge) => merges.push(node),
                Some(Key::Refused) => {}
            },
        }
        Ok(())
    }

    fn close(&mut self, items: Items) -> Content {
        match items {
            Items::List(items) => Content::List(items),
            Items::Mapping {
                mut entries,
                mut seen,
                merges,
                ..
            } => {
                for node in merges {
                    let sources = match node.content {
                        Content::List(sources) => sources,
                        _ => vec![node],
                    };
                    for source in sources {
                        let Content::Mapping(merged) = source.content else {
                            let message =
                                format!("`<<` merges mappings, this is {}", source.kind());
                            self.flaws.push(*self.flaw(source.mark, &message, None));
                            continue;
                        };
                        for entry in merged {
                            if !seen.contains_key(&entry.key) {
                                seen.insert(Arc::clone(&entry.key), entry.key_mark);
                                entries.push(entry);
                            }
                        }
                    }
                }
                Content::Mapping(entries)
            }
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&granit::Tag>,
        span: &Span,
    ) -> Scalar {
        let written: Arc<str> = text.into();
        let tag = match tag {
            None => None,
            Some(tag) => match tag.core_suffix() {
                Some("str") => Some(Tag::Str),
                Some("int") => Some(Tag::Int),
                Some("float") => Some(Tag::Float),
                Some("bool") => Some(Tag::Bool),
                Some("null") => Some(Tag::Null),
                _ => {
                    self.check_tag(Some(tag), "str", mark_of(span));
                    None
                }
            },
        };
        Scalar {
            value: Arc::clone(&written),
            written,
            expanded: false,
            failed: false,
            secret: false,
            style: if style == ScalarStyle::Plain {
                Style::Plain
            } else {
                Style::Quoted
            },
            tag,
            span: byte_range(span),
        }
    }

    fn check_tag(&mut self, tag: Option<&granit::Tag>, expected: &str, mark: Mark) {
        if let Some(tag) = tag
            && !tag.is_yaml_core_schema_tag(expected)
        {
            let message = format!("the tag `{tag}` has no meaning here");
            let hint = "only !!str, !!int, !!float, !!bool and !!null on scalars".to_owned();
            self.flaws.push(*self.flaw(mark, &message, Some(hint)));
        }
    }

    /// Counts a copy of a whole subtree.
    fn spend_copy(&mut self, node: &Node, mark: Mark) -> Result<(), Fatal> {
        let spent = self.budget.spend_copy(node, self.open.len());
        spent.map_err(|message| self.flaw(mark, message, None))
    }

    fn syntax(&self, error: &ScanError) -> Fatal {
        let marker = error.marker();
        let mark = Mark {
            line: marker.line().max(1),
            column: marker.col() + 1,
        };
        self.flaw(mark, &format!("not valid YAML: {}", error.kind()), None)
    }

    fn flaw(&self, mark: Mark, message: &str, hint: Option<String>) -> Fatal {
        Box::new(Flaw {
            mark,
            path: self.path(),
            message: message.to_owned(),
            hint,
        })
    }

    /// The path of the node that comes next.
    fn path(&self) -> Arc<str> {
        self.open
            .iter()
            .fold(Arc::from(""), |path, open| match &open.items {
                Items::List(items) => item_path(&path, items.len()),
                Items::Mapping {
                    key: Some(Key::Named(named)),
                    ..
                } => child_path(&path, &named.shown),
                Items::Mapping {
                    key: Some(Key::Merge),
                    ..
                } => child_path(&path, "<<"),
                Items::Mapping { .. } => path,
            })
    }
}

/// The key that `node` is, or why it cannot be one.
fn key_of(node: &Node, seen: &mut HashMap<Arc<str>, Mark>, path: &str) -> (Key, Option<Flaw>) {
    let refused = |path: Arc<str>, message: String, hint: Option<String>| {
        (
            Key::Refused,
            Some(Flaw {
                mark: node.mark,
                path,
                message,
                hint,
            }),
        )
    };
    let Content::Scalar(scalar) = &node.content else {
        return refused(
            path.into(),
            format!("a key must be a string, this is {}", node.kind()),
            None,
        );
    };
    let key = &scalar.written;
    if &**key == "<<" && scalar.style == Style::Plain {
        return (Key::Merge, None);
    }
    if key.contains("${env:") || key.contains("${file:") {
        let hint = "use it in a value, or write the key out".to_owned();
        return refused(
            path.into(),
            "a key with `${...}`, which is expanded in values only".into(),
            Some(hint),
        );
    }
    let shown: Arc<str> = secrets::key_shown(key).map_or_else(|| Arc::clone(key), Arc::from);
    if let Some(first) = seen.get(key) {
        let message = format!(
            "the key `{}` again; it is in line {} already",
            clip(&shown),
            first.line
        );
        return refused(
            child_path(path, &shown),
            message,
            Some("keep one of the two".into()),
        );
    }
    seen.insert(Arc::clone(key), node.mark);
    let named = Named {
        key: Arc::clone(key),
        shown,
        mark: node.mark,
        span: scalar.span.clone(),
    };
    (Key::Named(named), None)
}

fn mark_of(span: &Span) -> Mark {
    Mark {
        line: span.start.line().max(1),
        column: span.start.col() + 1,
    }
}

fn byte_range(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
