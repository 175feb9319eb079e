//! Each operator against its definition.

mod comparisons;
mod core_rule_set;
mod expressions;
mod forms;
mod lists;

use std::sync::Arc;

use super::*;
use crate::source::Position;

/// Files by name.
struct Archive(&'static [(&'static str, &'static str)]);

impl Files for Archive {
    fn read(&self, _: &str, name: &str) -> Result<Vec<u8>, String> {
        let file = self.0.iter().find(|(known, _)| *known == name);
        file.map(|(_, content)| content.as_bytes().to_vec())
            .ok_or_else(|| "no such file".to_owned())
    }

    fn expand(&self, _: &str, pattern: &str) -> Result<Vec<String>, String> {
        Ok(vec![pattern.to_owned()])
    }
}

const FILES: Archive = Archive(&[
    (
        "words.data",
        "# comment\n\nselect\n  Union All\r\n#x\n|41|\n",
    ),
    ("more.data", "drop"),
    ("bad.txt", "10.0.0.0/8 # ten\n\n192.0.2.7, 2001:db8::/32\n"),
    ("broken.txt", "10.0.0.0/8\n10.0.0.0/33\n"),
    ("empty.data", "\n# nothing\n"),
]);

fn compile(name: &str, argument: &str) -> Result<Operator, String> {
    let operator = rules::Operator {
        position: Position {
            file: Arc::from("test.conf"),
            line: 1,
            column: 1,
        },
        negated: false,
        name: name.to_owned(),
        argument: argument.to_owned(),
    };
    Operator::compile(&operator, &FILES)
}

fn compiled(name: &str, argument: &str) -> Operator {
    compile(name, argument).unwrap_or_else(|error| panic!("@{name} {argument}: {error}"))
}

/// Whether it matches, with and without everything asked; and that what matches is what it says is necessary.
fn matches(operator: &Operator, value: &[u8], argument: &[u8]) -> bool {
    let mut found = Found::default();
    let plain = operator.evaluate(value, argument, &mut found);
    assert_eq!(found.captures(value).count(), 0, "nobody asked");
    for (wanted, explained) in [(true, false), (false, true), (true, true)] {
        found.wanted = wanted;
        found.explained = explained;
        assert_eq!(operator.evaluate(value, argument, &mut found), plain);
        if let Some(place) = found.place() {
            assert!(plain && value.get(place).is_some());
        }
    }
    if plain {
        holds(&operator.necessary(), value);
    }
    plain
}

/// That a value that matches has what is necessary.
fn holds(necessary: &Necessary, value: &[u8]) {
    let lower = value.to_ascii_lowercase();
    let shown = value.escape_ascii();
    assert!(value.len() >= necessary.min_length, "{necessary:?} {shown}");
    assert!(
        necessary.max_length.is_none_or(|max| value.len() <= max),
        "{necessary:?} {shown}"
    );
    for set in &necessary.bytes {
        assert!(set.intersects(&ByteSet::of(value)), "{necessary:?} {shown}");
    }
    if let Some(literals) = &necessary.literals {
        let occurs = |literal: &Vec<u8>| memchr::memmem::find(&lower, literal).is_some();
        assert!(literals.iter().any(occurs), "{necessary:?} {shown}");
        let proper = |literal: &Vec<u8>| (1..=LITERAL_BYTES_MAX).contains(&literal.len());
        assert!(literals.len() <= LITERALS_MAX && literals.iter().all(proper));
    }
}

fn captures(operator: &Operator, value: &[u8]) -> Vec<(u8, String)> {
    let mut found = Found::default();
    found.wanted = true;
    operator.evaluate(value, b"", &mut found);
    let captures = found.captures(value);
    captures
        .map(|(number, bytes)| (number, String::from_utf8_lossy(bytes).into_owned()))
        .collect()
}

fn table(name: &str, rows: &[(&str, &[u8], bool)]) {
    for &(argument, value, expected) in rows {
        let operator = compiled(name, argument);
        let shown = value.escape_ascii();
        assert_eq!(
            matches(&operator, value, b""),
            expected,
            "@{name} {argument:?} on \"{shown}\""
        );
    }
}

#[test]
fn what_is_not_supported_says_why() {
    let error = compile("inspectFile", "/bin/x").expect_err("no program is run");
    assert_eq!(
        error,
        "@inspectFile is not supported: no program can be run; inspect FILES_TMP_CONTENT with @rx or @pm"
    );
    assert_eq!(
        compile("rxx", "a").expect_err("a typing error"),
        "there is no operator @rxx"
    );
    assert!(compile("rbl", "dnsbl.example.").is_ok() && compile("rbl", "a b").is_err());
}

#[test]
fn the_list_of_names_is_in_order_and_each_is_there_once() {
    let names: Vec<_> = NAMES
        .iter()
        .map(|name| name.name.to_ascii_lowercase())
        .collect();
    assert!(names.is_sorted_by(|a, b| a < b));
}
