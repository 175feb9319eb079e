//! Scalars, and what a plain one means in free-form YAML (YAML 1.2.2, section 10.3.2, core schema).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Number, Value};

/// Longest value quoted in a message, characters.
const SHOWN_CHARS_MAX: usize = 60;

/// What stands for a secret wherever the configuration is shown.
pub(crate) const REDACTED: &str = "[redacted]";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes: may mean a number, a boolean or null.
    Plain,
    /// Quoted, or a block: always a string.
    Quoted,
}

/// An explicit core schema tag, such as `!!int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Str,
    Int,
    Float,
    Bool,
    Null,
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// As the file has it, `${...}` included, quotes and escapes resolved.
    pub(crate) written: Arc<str>,
    /// What it stands for, once expanded.
    pub(crate) value: Arc<str>,
    /// Whether `value` holds something from outside the file, and so must not be shown.
    pub(crate) expanded: bool,
    /// Whether a reference in it could not be expanded, which has been told: nothing more is to be said of the value.
    pub(crate) failed: bool,
    /// Whether `written` must not be shown either.
    pub(crate) secret: bool,
    pub(crate) style: Style,
    pub(crate) tag: Option<Tag>,
    /// Bytes of the file's text, quotes included.
    pub(crate) span: Range<usize>,
}

impl Scalar {
    /// The text for messages: never a secret, never something from outside the file, never long.
    pub(crate) fn shown(&self) -> Arc<str> {
        if self.secret {
            return REDACTED.into();
        }
        clip(&self.written).into()
    }

    pub(crate) fn is_null(&self) -> bool {
        !self.expanded && matches!(self.resolve(), Ok(Value::Null))
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.resolve() {
            Ok(Value::Null) => "nothing",
            Ok(Value::Bool(_)) => "true or false",
            Ok(Value::Number(_)) => "a number",
            _ => "a string",
        }
    }

    /// The scalar as JSON. What was expanded is a string unless a tag says otherwise: the type of a value must not
    /// depend on what a secret happens to look like.
    ///
    /// # Errors
    /// The message where the text does not fit its tag, or JSON has no such number.
    pub(crate) fn resolve(&self) -> Result<Value, &'static str> {
        let text: &str = &self.value;
        match self.tag {
            Some(Tag::Str) => Ok(text.into()),
            Some(Tag::Int) => integer(text)
                .transpose()?
                .ok_or("is not a whole number, as its tag says"),
            Some(Tag::Float) => {
                let number = integer(text).or_else(|| float(text));
                number
                    .transpose()?
                    .ok_or("is not a number, as its tag says")
            }
            Some(Tag::Bool) => boolean(text)
                .map(Value::Bool)
                .ok_or("is neither true nor false, as its tag says"),
            Some(Tag::Null) => Ok(Value::Null),
            None if self.style == Style::Quoted || self.expanded => Ok(text.into()),
            None => plain(text),
        }
    }
}

/// A text on one line and no longer than a message bears.
pub(crate) fn clip(text: &str) -> Cow<'_, str> {
    if text.len() <= SHOWN_CHARS_MAX && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let blank = |c: char| if c.is_control() { ' ' } else { c };
    let mut clipped: String = text.chars().take(SHOWN_CHARS_MAX).map(blank).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        clipped.push_str("...");
    }
    Cow::Owned(clipped)
}

/// A plain scalar by the core schema.
fn plain(text: &str) -> Result<Value, &'static str> {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Value::Null);
    }
    if let Some(value) = boolean(text) {
        return Ok(Value::Bool(value));
    }
    integer(text)
        .or_else(|| float(text))
        .unwrap_or_else(|| Ok(text.into()))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// `None` where the text has not the form of an integer.
fn integer(text: &str) -> Option<Result<Value, &'static str>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) => (hex, 16),
        (_, Some(octal)) => (octal, 8),
        _ => (unsigned, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let negative = radix == 10 && text.starts_with('-');
    let number = match negative {
        true => text.parse::<i64>().ok().map(Number::from),
        false => u64::from_str_radix(digits, radix).ok().map(Number::from),
    };
    Some(
        number
            .map(Value::Number)
            .ok_or("does not fit in 64 bits; put it in quotes to keep its digits"),
    )
}

/// `None` where the text has not the form of a float.
fn float(text: &str) -> Option<Result<Value, &'static str>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Err("is no number that JSON has"));
    }
    let starts_well = unsigned
        .trim_start_matches('.')
        .starts_with(|c: char| c.is_ascii_digit());
    if !starts_well
        || !unsigned
            .chars()
            .all(|c| c.is_ascii_digit() || ".eE+-".contains(c))
    {
        return None;
    }
    let number = text.parse::<f64>().ok()?;
    Some(
        Number::from_f64(number)
            .map(Value::Number)
            .ok_or("is no number that JSON has"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scalar(text: &str, style: Style, tag: Option<Tag>, expanded: bool) -> Scalar {
        Scalar {
            written: text.into(),
            value: text.into(),
            expanded,
            failed: false,
            secret: false,
            style,
            tag,
            span: 0..0,
        }
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("12", json!(12)),
            ("-12", json!(-12)),
            ("+12", json!(12)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("18446744073709551615", json!(u64::MAX)),
            ("1.5", json!(1.5)),
            ("-1e3", json!(-1000.0)),
            (".5", json!(0.5)),
        ] {
            assert_eq!(plain(text), Ok(value), "{text}");
        }
        for text in [
            "yes", "off", "1.2.3", "100/1s", "-", "+", ".", "..", "0x", "1_000", "e5", "--1",
            "0xg", "10:20", "1-2", "nan",
        ] {
            assert_eq!(plain(text), Ok(json!(text)), "{text}");
        }
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            ".inf",
            "-.INF",
            ".nan",
            "1e999",
        ] {
            assert!(plain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quotes_expansion_and_tags_decide() {
        assert_eq!(
            scalar("12", Style::Quoted, None, false).resolve(),
            Ok(json!("12"))
        );
        assert_eq!(
            scalar("12", Style::Plain, None, true).resolve(),
            Ok(json!("12"))
        );
        assert_eq!(
            scalar("12", Style::Quoted, Some(Tag::Int), true).resolve(),
            Ok(json!(12))
        );
        assert_eq!(
            scalar("12", Style::Quoted, Some(Tag::Float), true).resolve(),
            Ok(json!(12))
        );
        assert_eq!(
            scalar("true", Style::Quoted, Some(Tag::Bool), true).resolve(),
            Ok(json!(true))
        );
        assert_eq!(
            scalar("true", Style::Plain, Some(Tag::Str), false).resolve(),
            Ok(json!("true"))
        );
        assert!(
            scalar("x", Style::Quoted, Some(Tag::Int), true)
                .resolve()
                .is_err()
        );
        assert!(!scalar("", Style::Plain, None, true).is_null());
    }

    #[test]
    fn shown_is_short_and_on_one_line() {
        let long = scalar(&"a\n".repeat(100), Style::Quoted, None, false).shown();
        assert_eq!(long.len(), SHOWN_CHARS_MAX + 3);
        assert!(!long.contains('\n'));
        let mut secret = scalar("hunter2", Style::Plain, None, false);
        secret.secret = true;
        assert_eq!(&*secret.shown(), REDACTED);
    }
}
