//! One mapping of a configuration, emptied key by key.

use crate::{Problems, duration};
use serde_json::{Map, Value};
use std::time::Duration;

/// A mapping whose keys are taken one by one. See the crate's documentation for the `None`s.
#[derive(Debug)]
pub struct Section<'a> {
    path: String,
    fields: Map<String, Value>,
    /// Every key asked for so far: what an unknown key could have been.
    known: Vec<&'static str>,
    problems: &'a Problems,
}

impl<'a> Section<'a> {
    /// The whole configuration, from the bytes the proxy gave.
    #[must_use]
    pub fn parse(configuration: &[u8], problems: &'a Problems) -> Option<Self> {
        if configuration.is_empty() {
            problems.add("config", "is missing");
            return None;
        }
        match serde_json::from_slice::<Value>(configuration) {
            Ok(value) => Self::of("config".to_owned(), value, problems),
            Err(error) => {
                problems.add("config", format_args!("is not JSON: {error}"));
                None
            }
        }
    }

    /// `value` as a mapping, reported when it is something else.
    #[must_use]
    pub fn of(path: String, value: Value, problems: &'a Problems) -> Option<Self> {
        match value {
            Value::Object(fields) => Some(Self {
                path,
                fields,
                known: Vec::new(),
                problems,
            }),
            other => {
                problems.add(
                    &path,
                    format_args!("must be a mapping, not {}", kind(&other)),
                );
                None
            }
        }
    }

    /// Where this mapping stands, for a problem that concerns all of it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where problems of this configuration go.
    #[must_use]
    pub fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// Reports that the value of `key` is wrong.
    pub fn refuse(&self, key: &str, message: impl std::fmt::Display) {
        self.problems.add(&self.at(key), message);
    }

    /// Where the value of `key` stands.
    #[must_use]
    pub fn at(&self, key: &str) -> String {
        if self.path == "config" {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Whether the key is there and has not been taken.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.ask_for(key);
        self.fields.contains_key(key)
    }

    /// The value of `key`, whatever it is.
    pub fn value(&mut self, key: &'static str) -> Option<Value> {
        self.ask_for(key);
        self.fields.shift_remove(key)
    }

    /// A text.
    pub fn string(&mut self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text),
            other => self.mistyped(key, "a string", &other),
        }
    }

    /// A text that is not empty.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let text = self.string(key)?;
        if text.is_empty() {
            self.refuse(key, "is empty");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        match self.value(key)? {
            Value::Bool(flag) => Some(flag),
            other => self.mistyped(key, "true or false", &other),
        }
    }

    /// A whole number in `range`.
    pub fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.value(key)?;
        match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let (low, high) = (range.start(), range.end());
                self.mistyped(key, &format!("a whole number from {low} to {high}"), &value)
            }
        }
    }

    /// A duration such as `60s`.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let text = self.string(key)?;
        let duration = duration::parse(&text);
        if duration.is_none() {
            self.refuse(
                key,
                format_args!(
                    "{text:?} is not a duration; write a whole number and a unit, such as 60s"
                ),
            );
        }
        duration
    }

    /// One of a few words, each standing for a value.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.string(key)?;
        let chosen = choices.iter().find(|(name, _)| *name == word);
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(
                key,
                format_args!("{word:?} is not one of: {}", names.join(", ")),
            );
        }
        chosen.map(|(_, value)| *value)
    }

    /// One text or a list of texts, none of them empty.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let found = texts(&self.value(key)?);
        if found.is_none() {
            self.refuse(key, TEXTS_WANTED);
        }
        found
    }

    /// The name of an HTTP field (RFC 9110 section 5.1), in lower case as HTTP/2 and proxies write it.
    pub fn header(&mut self, key: &'static str) -> Option<String> {
        let name = self.text(key)?;
        let checked = header_name(&name);
        if checked.is_none() {
            self.refuse(key, format_args!("{name:?} is not a header name"));
        }
        checked
    }

    /// A mapping inside this one.
    pub fn section(&mut self, key: &'static str) -> Option<Self> {
        let value = self.value(key)?;
        Self::of(self.at(key), value, self.problems)
    }

    /// A list, each item with its path.
    pub fn list(&mut self, key: &'static str) -> Option<Vec<(String, Value)>> {
        match self.value(key)? {
            Value::Array(items) => {
                let at = self.at(key);
                Some(
                    items
                        .into_iter()
                        .enumerate()
                        .map(|(index, item)| (format!("{at}[{index}]"), item))
                        .collect(),
                )
            }
            other => self.mistyped(key, "a list", &other),
        }
    }

    /// The texts of this mapping by their keys, for a mapping whose keys are the user's own. Each value is one text or
    /// a list of texts, none of them empty.
    #[must_use]
    pub fn into_texts(self) -> Vec<(String, Vec<String>)> {
        let mut entries = Vec::with_capacity(self.fields.len());
        for (key, value) in &self.fields {
            match texts(value) {
                Some(texts) => entries.push((key.clone(), texts)),
                None => self.refuse(key, TEXTS_WANTED),
            }
        }
        entries
    }

    /// Ends the reading: each key that nobody asked for is a problem.
    pub fn finish(self) {
        for key in self.fields.keys() {
            self.problems.add(
                &self.at(key),
                format_args!("unknown key; known here: {}", self.known.join(", ")),
            );
        }
    }

    fn ask_for(&mut self, key: &'static str) {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
    }

    fn mistyped<T>(&self, key: &str, wanted: &str, found: &Value) -> Option<T> {
        self.refuse(key, format_args!("must be {wanted}, not {}", kind(found)));
        None
    }
}

/// `name` in lower case if it is the name of an HTTP field: one or more token characters (RFC 9110 section 5.6.2).
#[must_use]
pub fn header_name(name: &str) -> Option<String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (!name.is_empty() && name.bytes().all(token)).then(|| name.to_ascii_lowercase())
}

const TEXTS_WANTED: &str = "must be a string or a list of strings, none of them empty";

fn texts(value: &Value) -> Option<Vec<String>> {
    let items = match value {
        Value::Array(items) if !items.is_empty() => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    let text = |item: &Value| {
        item.as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    items.iter().map(text).collect()
}

/// What a value is, without the value: it may be a secret.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "this number",
        Value::String(text) if text.is_empty() => "an empty string",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(configuration: &str, read: impl FnOnce(&mut Section<'_>)) -> Vec<String> {
        let problems = Problems::default();
        if let Some(mut section) = Section::parse(configuration.as_bytes(), &problems) {
            read(&mut section);
            section.finish();
        }
        problems.into_result(Some(())).err().unwrap_or_default()
    }

    #[test]
    fn takes_each_type() {
        let found = problems_of(
            r#"{"s":"x","f":true,"n":7,"d":"60s","c":"b","one":"x","many":["x","y"],"h":"X-Key","m":{"k":"v"},"l":[1]}"#,
            |section| {
                assert_eq!(section.string("s").as_deref(), Some("x"));
                assert_eq!(section.flag("f"), Some(true));
                assert_eq!(section.number("n", 1..=9), Some(7));
                assert_eq!(section.duration("d"), Some(Duration::from_secs(60)));
                assert_eq!(section.choice("c", &[("a", 1), ("b", 2)]), Some(2));
                assert_eq!(section.texts("one"), Some(vec!["x".to_owned()]));
                assert_eq!(
                    section.texts("many"),
                    Some(vec!["x".to_owned(), "y".to_owned()])
                );
                assert_eq!(section.header("h").as_deref(), Some("x-key"));
                let inner = section.section("m").expect("a mapping");
                assert_eq!(inner.into_texts(), [("k".to_owned(), vec!["v".to_owned()])]);
                assert_eq!(
                    section.list("l"),
                    Some(vec![("l[0]".to_owned(), Value::from(1))])
                );
                assert_eq!(section.string("absent"), None);
            },
        );
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn reports_every_problem_with_its_path() {
        let found = problems_of(
            r#"{"s":1,"f":"yes","n":0,"d":"soon","c":"z","many":["x",2],"h":"a b","l":{},"m":{"k":""},"typo":1}"#,
            |section| {
                section.string("s");
                section.flag("f");
                section.number("n", 1..=9);
                section.duration("d");
                section.choice("c", &[("a", 1), ("b", 2)]);
                section.texts("many");
                section.header("h");
                section.list("l");
                let _ = section.section("m").map(Section::into_texts);
            },
        );
        assert_eq!(found[0], "s: must be a string, not this number");
        assert_eq!(found[1], "f: must be true or false, not a string");
        assert_eq!(
            found[2],
            "n: must be a whole number from 1 to 9, not this number"
        );
        assert!(found[3].starts_with("d: \"soon\" is not a duration"));
        assert_eq!(found[4], "c: \"z\" is not one of: a, b");
        assert!(found[5].starts_with("many: must be a string or a list"));
        assert_eq!(found[6], "h: \"a b\" is not a header name");
        assert_eq!(found[7], "l: must be a list, not a mapping");
        assert_eq!(
            found[8],
            "m.k: must be a string or a list of strings, none of them empty"
        );
        assert!(
            found[9].starts_with("typo: unknown key; known here: s, f"),
            "{}",
            found[9]
        );
        assert_eq!(found.len(), 10);
    }

    #[test]
    fn an_unknown_key_is_told_each_known_one_once() {
        let found = problems_of(r#"{"nmae":"x"}"#, |section| {
            assert!(!section.has("name"));
            section.text("name");
            section.flag("hide");
        });
        assert_eq!(found, ["nmae: unknown key; known here: name, hide"]);
    }

    #[test]
    fn refuses_what_is_no_mapping() {
        assert_eq!(problems_of("", |_| ()), ["config: is missing"]);
        assert_eq!(
            problems_of("[]", |_| ()),
            ["config: must be a mapping, not a list"]
        );
        assert!(problems_of("{", |_| ())[0].starts_with("config: is not JSON"));
    }

    #[test]
    fn never_shows_a_value_of_the_wrong_type() {
        let found = problems_of(r#"{"secret":["hunter2"]}"#, |section| {
            section.string("secret");
        });
        assert!(!found[0].contains("hunter2"), "{found:?}");
    }
}
