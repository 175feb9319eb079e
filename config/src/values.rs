//! What single values of the file can be: text, numbers, quantities, addresses, patterns, free-form YAML.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnetwork::IpNetwork;
use regex::Regex;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::model::{Hold, Isolation, LogLevel, OnFault, UpstreamProtocol, Workers};
use crate::problem::{Location, Problems};
use crate::read::{Cursor, Read, choice};
use crate::suggest;
use crate::units;
use crate::yaml::{Content, Node, Scalar, child_path, item_path};

/// What a value with a `${...}` in it looks like to a schema.
const REFERENCE_PATTERN: &str = r"\$\{(env|file):.+\}";

/// A string, as it is used and as it may be shown.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) value: Arc<str>,
    shown: Arc<str>,
    /// Whether errors about the text may quote parts of it.
    pub(crate) open: bool,
}

/// Shows what the file has, never what was drawn in.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl From<&Scalar> for Text {
    fn from(scalar: &Scalar) -> Self {
        Self {
            value: Arc::clone(&scalar.value),
            shown: scalar.shown(),
            open: !scalar.expanded && !scalar.secret,
        }
    }
}

/// Any scalar is taken as it is written: `version: 1.10` under `headers` is the text `1.10`.
impl Read for Text {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        cursor.scalar("a string", problems).map(Self::from)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// A text parsed by `parse`, whose error is the reason (to follow the text) and the way out.
fn parsed<T>(
    cursor: &Cursor<'_>,
    expected: &str,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Result<T, (&'static str, &'static str)>,
) -> Option<T> {
    let scalar = cursor.scalar(expected, problems)?;
    match parse(&scalar.value) {
        Ok(value) => Some(value),
        Err((reason, hint)) => {
            problems.push(cursor.at.problem(
                format!("`{}` {reason}", scalar.shown()),
                Some(hint.to_owned()),
            ));
            None
        }
    }
}

impl Read for Duration {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        parsed(cursor, "a duration", problems, |text| {
            units::duration(text).map_err(|e| (e.reason, e.forms))
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_reference(
            json_schema!({ "type": "string", "pattern": r"^\d+(us|ms|s|m|h)$", "examples": ["500ms", "15s"] }),
        )
    }
}

impl Read for units::Rate {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        parsed(cursor, "a rate", problems, |text| {
            units::rate(text).map_err(|e| (e.reason, e.forms))
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_reference(
            json_schema!({ "type": "string", "pattern": r"^\d+/\d*(us|ms|s|m|h)$", "examples": ["100/1s", "20/m"] }),
        )
    }
}

/// Bytes, and how they are written in the file.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
    shown: Arc<str>,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Read for Size {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        let shown = cursor.scalar("a size", problems)?.shown();
        let bytes = parsed(cursor, "a size", problems, |text| {
            units::size(text).map_err(|e| (e.reason, e.forms))
        })?;
        Some(Self { bytes, shown })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_reference(json_schema!({
            "type": ["integer", "string"], "minimum": 0, "pattern": r"^\d+(B|[KMGT]i?B)?$", "examples": ["64KiB", 1024],
        }))
    }
}

/// A whole number from 0. A string in quotes is none, unless it is a reference.
impl Read for u64 {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        let scalar = cursor.scalar("a whole number", problems)?;
        let number = match scalar.expanded {
            true => scalar.value.parse().ok(),
            false => scalar.resolve().ok().and_then(|value| value.as_u64()),
        };
        if number.is_none() {
            let hint = match scalar.kind() {
                "a string" if scalar.value.parse::<Self>().is_ok() && !scalar.expanded => {
                    "leave out the quotes"
                }
                _ => "write a whole number, such as 100",
            };
            problems.push(cursor.at.problem(
                format!("`{}` is not a whole number", scalar.shown()),
                Some(hint.into()),
            ));
        }
        number
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_reference(json_schema!({ "type": "integer", "minimum": 0 }))
    }
}

impl Read for bool {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        let scalar = cursor.scalar("true or false", problems)?;
        let flag = match (scalar.expanded, &*scalar.value) {
            (true, "true") => Some(true),
            (true, "false") => Some(false),
            (true, _) => None,
            (false, _) => scalar.resolve().ok().and_then(|value| value.as_bool()),
        };
        if flag.is_none() {
            let message = format!("`{}` is neither true nor false", scalar.shown());
            problems.push(
                cursor
                    .at
                    .problem(message, Some("write true or false, without quotes".into())),
            );
        }
        flag
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_reference(json_schema!({ "type": "boolean" }))
    }
}

impl Read for SocketAddr {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        parsed(cursor, "an address", problems, |text| {
            const FORMS: &str = "write an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:80 or \"[::1]:8080\"";
            text.parse()
                .map_err(|_| match text.parse::<std::net::IpAddr>() {
                    Ok(_) => ("has no port", FORMS),
                    Err(_) => ("is not an IP address with a port", FORMS),
                })
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["127.0.0.1:8080", "[::]:8080"] })
    }
}

/// An IP address, with or without a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameServer(pub(crate) SocketAddr);

impl Read for NameServer {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        const DNS_PORT: u16 = 53;
        parsed(cursor, "the address of a name server", problems, |text| {
            let with_default = || {
                text.parse()
                    .map(|address| SocketAddr::new(address, DNS_PORT))
            };
            text.parse()
                .or_else(|_| with_default())
                .map(Self)
                .map_err(|_| {
                    (
                        "is not the address of a name server",
                        "write an IP address, with a port if it is not 53: 127.0.0.1:5353",
                    )
                })
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["127.0.0.1:5353"] })
    }
}

impl Read for IpNetwork {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        parsed(cursor, "a network", problems, |text| {
            text.parse().map_err(|_| {
                (
                    "is not a network",
                    "write an IP address or a network: 10.0.0.0/8, 192.0.2.7, \"fd00::/8\"",
                )
            })
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["10.0.0.0/8"] })
    }
}

impl Read for Regex {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        let scalar = cursor.scalar("a regular expression", problems)?;
        Self::new(&scalar.value)
            .map_err(|error| {
                problems.push(
                    cursor
                        .at
                        .problem(regex_message(scalar, &error), regex_hint(&error)),
                )
            })
            .ok()
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "regex" })
    }
}

/// The error of crate regex draws the pattern; only its last line says what is wrong, and may quote the pattern too.
fn regex_message(scalar: &Scalar, error: &regex::Error) -> String {
    let text = error.to_string();
    let reason = text
        .lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    match Text::from(scalar).open {
        true => format!("`{}` is not a regular expression: {reason}", scalar.shown()),
        false => format!("`{}` is not a regular expression", scalar.shown()),
    }
}

fn regex_hint(error: &regex::Error) -> Option<String> {
    let text = error.to_string();
    let foreign = text.contains("look-around") || text.contains("backreferences");
    foreign.then(|| {
        "expressions run in linear time, so look-around and backreferences do not exist".to_owned()
    })
}

impl Read for Workers {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        const WORKERS_MAX: usize = 1024;
        parsed(cursor, "`auto` or a number", problems, |text| match text {
            "auto" => Ok(Self::Auto),
            text => match text.parse() {
                Ok(count @ 1..=WORKERS_MAX) => Ok(Self::Count(count)),
                _ => Err((
                    "is no number of workers",
                    "write auto (one for each core) or a number from 1 to 1024",
                )),
            },
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_reference(
            json_schema!({ "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1, "maximum": 1024 }] }),
        )
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Http,
    Tcp,
}

choice!(Protocol: "http" => Self::Http, "tcp" => Self::Tcp);
choice!(OnFault: "deny" => Self::Deny, "skip" => Self::Skip);
choice!(Isolation: "shared" => Self::Shared, "request" => Self::Request);
choice!(Hold: "stream" => Self::Stream, "headers" => Self::Headers);
choice!(UpstreamProtocol: "h1" => Self::H1, "h2" => Self::H2);
choice!(LogLevel:
    "trace" => Self::Trace, "debug" => Self::Debug, "info" => Self::Info, "warn" => Self::Warn, "error" => Self::Error);

/// One of `words`, or a problem with the closest.
pub(crate) fn word(
    cursor: &Cursor<'_>,
    words: &[&str],
    problems: &mut Problems,
) -> Option<Arc<str>> {
    let scalar = cursor.scalar(&format!("one of {}", words.join(", ")), problems)?;
    if words.contains(&&*scalar.value) {
        return Some(Arc::clone(&scalar.value));
    }
    // A suggestion would tell something of a value from outside the file.
    let hint =
        match suggest::closest(&scalar.value, words.iter().copied()).filter(|_| !scalar.expanded) {
            Some(closest) => format!("did you mean `{closest}`?"),
            None => format!("write one of {}", words.join(", ")),
        };
    let message = format!("`{}` is none of {}", scalar.shown(), words.join(", "));
    problems.push(cursor.at.problem(message, Some(hint)));
    None
}

/// A schema that also takes a string with a reference in it.
pub(crate) fn or_reference(schema: Schema) -> Schema {
    json_schema!({ "anyOf": [schema, { "type": "string", "pattern": REFERENCE_PATTERN }] })
}

/// Free-form YAML, kept as JSON.
#[derive(Clone, Debug)]
pub(crate) struct Free(pub(crate) Value);

impl Read for Free {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        let before = problems.0.len();
        let value = json_of(cursor.node, &cursor.at, problems);
        let good = problems.0.len() == before && !cursor.node.has_failed();
        good.then_some(Self(value))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

fn json_of(node: &Node, at: &Location, problems: &mut Problems) -> Value {
    match &node.content {
        Content::Scalar(scalar) if scalar.failed => Value::Null,
        Content::Scalar(scalar) => scalar.resolve().unwrap_or_else(|reason| {
            problems.push(at.problem(format!("`{}` {reason}", scalar.shown()), None));
            Value::Null
        }),
        Content::List(items) => {
            let items = items.iter().enumerate().map(|(index, item)| {
                json_of(
                    item,
                    &at.moved(item.mark.line, item.mark.column, item_path(&at.path, index)),
                    problems,
                )
            });
            items.collect()
        }
        Content::Mapping(entries) => {
            let entries = entries.iter().map(|entry| {
                let mark = entry.node.mark;
                let at = at.moved(
                    mark.line,
                    mark.column,
                    child_path(&at.path, &entry.key_shown),
                );
                (entry.key.to_string(), json_of(&entry.node, &at, problems))
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// A mapping under a word, or a single word: for values with a short and a long form.
pub(crate) fn short_or_long(short: &Schema, long: &Schema) -> Schema {
    json_schema!({ "anyOf": [json!(short), json!(long)] })
}
