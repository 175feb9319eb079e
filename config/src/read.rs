//! From the tree to typed values, collecting every problem on the way.
//!
//! [`mapping!`](crate::read::mapping) turns one declaration into a struct, its reader and its JSON Schema, so that the
//! keys of the file are named once.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::problem::{Location, Problems};
use crate::suggest;
use crate::yaml::{Content, Entry, Node, Scalar, child_path, clip, item_path};

/// A node and its place in the file being read.
pub(crate) struct Cursor<'a> {
    pub(crate) node: &'a Node,
    pub(crate) at: Location,
}

impl<'a> Cursor<'a> {
    fn entry(&self, entry: &'a Entry) -> Self {
        let mark = entry.node.mark;
        Self {
            node: &entry.node,
            at: self.at.moved(
                mark.line,
                mark.column,
                child_path(&self.at.path, &entry.key_shown),
            ),
        }
    }

    fn item(&self, index: usize, node: &'a Node) -> Self {
        let path = item_path(&self.at.path, index);
        Self {
            node,
            at: self.at.moved(node.mark.line, node.mark.column, path),
        }
    }

    /// The scalar here, or a problem that says what was expected.
    pub(crate) fn scalar(&self, expected: &str, problems: &mut Problems) -> Option<&'a Scalar> {
        match &self.node.content {
            Content::Scalar(scalar) if scalar.failed => None,
            Content::Scalar(scalar) if !scalar.is_null() => Some(scalar),
            _ => self.refuse(expected, None, problems),
        }
    }

    /// "expected ..., found ...".
    fn refuse<T>(
        &self,
        expected: &str,
        hint: Option<String>,
        problems: &mut Problems,
    ) -> Option<T> {
        if !self.node.has_failed() {
            let message = format!("expected {expected}, found {}", self.node.kind());
            problems.push(self.at.problem(message, hint));
        }
        None
    }
}

/// A type that a node of the file can be read as.
pub(crate) trait Read: Sized {
    /// `None` once a problem has been told.
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self>;

    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// A value with its place; without the value where it is missing or wrong, which has then been told.
#[derive(Clone, Debug)]
pub(crate) struct Slot<T> {
    pub(crate) at: Location,
    pub(crate) value: Option<T>,
}

impl<T: Read> Slot<T> {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Self {
        Self {
            at: cursor.at.clone(),
            value: T::read(cursor, problems),
        }
    }
}

/// A key of a mapping, by its declaration.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// Its doc comment.
    pub(crate) docs: &'static str,
}

impl Key {
    /// `field` as it stands in the declaration: `r#match` is the key `match`.
    pub(crate) const fn new(field: &'static str, docs: &'static str) -> Self {
        let name = match field.as_bytes() {
            [b'r', b'#', ..] => field.split_at(2).1,
            _ => field,
        };
        Self { name, docs }
    }
}

/// What a key of a mapping holds: `Slot<T>` must be there, `Option<Slot<T>>` may be.
pub(crate) trait Field: Sized {
    const REQUIRED: bool;
    fn take(
        key: Key,
        found: Option<&Cursor<'_>>,
        mapping: &Location,
        problems: &mut Problems,
    ) -> Self;
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

impl<T: Read> Field for Slot<T> {
    const REQUIRED: bool = true;

    fn take(
        key: Key,
        found: Option<&Cursor<'_>>,
        mapping: &Location,
        problems: &mut Problems,
    ) -> Self {
        let Some(cursor) = found else {
            let message = format!("the key `{}` is missing", key.name);
            problems.push(mapping.problem(message, Some(paragraph(key.docs))));
            return Self {
                at: mapping.clone(),
                value: None,
            };
        };
        Self::read(cursor, problems)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Read> Field for Option<Slot<T>> {
    const REQUIRED: bool = false;

    fn take(_: Key, found: Option<&Cursor<'_>>, _: &Location, problems: &mut Problems) -> Self {
        found.map(|cursor| Slot::read(cursor, problems))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

/// The keys of one mapping while it is read.
pub(crate) struct Fields<'a> {
    at: Location,
    known: &'static [Key],
    found: Vec<(Arc<str>, Cursor<'a>)>,
}

impl<'a> Fields<'a> {
    /// Tells unknown keys. A key without a value counts as absent.
    pub(crate) fn open(
        cursor: &Cursor<'a>,
        known: &'static [Key],
        problems: &mut Problems,
    ) -> Option<Self> {
        let names = known.iter().map(|key| key.name);
        let mut found = Vec::new();
        for entry in mapping_entries(cursor, names.clone(), problems)? {
            let value = cursor.entry(entry);
            if names.clone().any(|name| name == &*entry.key) {
                if !entry.node.is_null() {
                    found.push((Arc::clone(&entry.key), value));
                }
            } else {
                let at = value.at.moved(
                    entry.key_mark.line,
                    entry.key_mark.column,
                    Arc::clone(&value.at.path),
                );
                let hint = suggest::hint(&entry.key, names.clone(), "keys");
                problems.push(at.problem(
                    format!("unknown key `{}`", clip(&entry.key_shown)),
                    Some(hint),
                ));
            }
        }
        Some(Self {
            at: cursor.at.clone(),
            known,
            found,
        })
    }

    /// What stands under one of the known keys, by the name of its field.
    pub(crate) fn take<F: Field>(&self, field: &'static str, problems: &mut Problems) -> F {
        let name = Key::new(field, "").name;
        let found = self
            .found
            .iter()
            .find(|(found, _)| &**found == name)
            .map(|(_, cursor)| cursor);
        let docs = self
            .known
            .iter()
            .find(|key| key.name == name)
            .map_or("", |key| key.docs);
        F::take(Key { name, docs }, found, &self.at, problems)
    }
}

/// The entries of a mapping with these keys; nothing at all is an empty mapping.
fn mapping_entries<'a>(
    cursor: &Cursor<'a>,
    known: impl Iterator<Item = &'static str>,
    problems: &mut Problems,
) -> Option<&'a [Entry]> {
    match &cursor.node.content {
        Content::Mapping(entries) => Some(entries),
        _ if cursor.node.is_null() => Some(&[]),
        _ => {
            let known: Vec<&str> = known.collect();
            let hint = format!("known keys: {}", known.join(", "));
            cursor.refuse(
                "a mapping",
                Some(hint).filter(|_| !known.is_empty()),
                problems,
            )
        }
    }
}

/// A list. Nothing at all is an empty list.
impl<T: Read> Read for Vec<Slot<T>> {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        match &cursor.node.content {
            Content::List(items) => {
                let items = items.iter().enumerate();
                Some(
                    items
                        .map(|(index, item)| Slot::read(&cursor.item(index, item), problems))
                        .collect(),
                )
            }
            _ if cursor.node.is_null() => Some(Self::new()),
            _ => cursor.refuse("a list", None, problems),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let items = T::schema(generator);
        json_schema!({ "type": "array", "items": items })
    }
}

/// One value, or a list of values.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<Slot<T>>);

impl<T: Read> Read for OneOrMany<T> {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        match &cursor.node.content {
            Content::List(_) => Vec::read(cursor, problems).map(Self),
            _ => Some(Self(vec![Slot::read(cursor, problems)])),
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let one = T::schema(generator);
        let many = Vec::<Slot<T>>::schema(generator);
        json_schema!({ "anyOf": [one, many] })
    }
}

/// A mapping whose keys are names that users choose, in file order.
#[derive(Clone, Debug)]
pub(crate) struct Table<T>(pub(crate) Vec<Row<T>>);

#[derive(Clone, Debug)]
pub(crate) struct Row<T> {
    pub(crate) name: Arc<str>,
    /// Where the name stands.
    pub(crate) at: Location,
    pub(crate) slot: Slot<T>,
}

impl<T: Read> Read for Table<T> {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        let rows = mapping_entries(cursor, std::iter::empty(), problems)?
            .iter()
            .map(|entry| {
                let value = cursor.entry(entry);
                let at = value.at.moved(
                    entry.key_mark.line,
                    entry.key_mark.column,
                    Arc::clone(&value.at.path),
                );
                Row {
                    name: Arc::clone(&entry.key),
                    at,
                    slot: Slot::read(&value, problems),
                }
            });
        Some(Self(rows.collect()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let values = T::schema(generator);
        json_schema!({ "type": "object", "additionalProperties": values })
    }
}

/// The schema of a mapping with fixed keys: for each, whether it is required, and what it holds.
pub(crate) fn object_schema(docs: &str, keys: &[Key], fields: Vec<(bool, Schema)>) -> Schema {
    let mut required = Vec::new();
    let mut properties = serde_json::Map::new();
    for (key, (is_required, mut schema)) in keys.iter().zip(fields) {
        if is_required {
            required.push(key.name);
        }
        schema.insert("description".into(), paragraph(key.docs).into());
        properties.insert(key.name.to_owned(), schema.to_value());
    }
    let mut schema = json_schema!({
        "type": "object",
        "description": paragraph(docs),
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema.insert("properties".into(), properties.into());
    schema
}

/// Doc comment lines as one paragraph.
fn paragraph(docs: &str) -> String {
    let lines = docs.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// Declares a mapping of the file: a struct whose fields are [`Slot`]s (required) or `Option<Slot<_>>`s, with doc
/// comments that become the schema's descriptions.
macro_rules! mapping {
    (
        $(#[doc = $docs:literal])*
        struct $name:ident { $( $(#[doc = $field_docs:literal])* $field:ident: $type:ty, )* }
    ) => {
        $(#[doc = $docs])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name { $( $(#[doc = $field_docs])* pub(crate) $field: $type, )* }

        impl $name {
            const KEYS: &[$crate::read::Key] = &[$(
                $crate::read::Key::new(stringify!($field), concat!($($field_docs, "\n"),*))
            ),*];
        }

        impl $crate::read::Read for $name {
            fn read(
                cursor: &$crate::read::Cursor<'_>,
                problems: &mut $crate::problem::Problems,
            ) -> Option<Self> {
                let fields = $crate::read::Fields::open(cursor, Self::KEYS, problems)?;
                Some(Self { $( $field: fields.take(stringify!($field), problems), )* })
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let fields = vec![$((
                    <$type as $crate::read::Field>::REQUIRED,
                    <$type as $crate::read::Field>::schema(generator),
                )),*];
                $crate::read::object_schema(concat!($($docs, "\n"),*), Self::KEYS, fields)
            }
        }
    };
}

/// Reads a type as one of a few words.
macro_rules! choice {
    ($type:ty: $( $word:literal => $value:expr ),+ $(,)?) => {
        impl $crate::read::Read for $type {
            fn read(
                cursor: &$crate::read::Cursor<'_>,
                problems: &mut $crate::problem::Problems,
            ) -> Option<Self> {
                let words = [$($word),+];
                match &*$crate::values::word(cursor, &words, problems)? {
                    $( $word => Some($value), )+
                    _ => None,
                }
            }

            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::values::or_reference(schemars::json_schema!({ "enum": [$($word),+] }))
            }
        }
    };
}

pub(crate) use {choice, mapping};
