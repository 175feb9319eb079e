//! The tables of the language's items.

use portcullis_seclang::operators;
use portcullis_seclang::parser::actions::{ACTIONS, CTLS};
use portcullis_seclang::parser::directives::DIRECTIVES;
use portcullis_seclang::parser::{Support, targets};
use portcullis_seclang::transformations::Transformation;
use portcullis_seclang::variables::Variable;

/// `(name, state, reason)`; of what is done there is no reason to compare.
type Row = (String, &'static str, String);

/// The rows of the table below a heading, as the document has them.
fn rows(heading: &str) -> Vec<(String, String, String)> {
    let document = super::guide("waf-language.md");
    let section = document
        .split("\n## ")
        .find(|section| section.starts_with(&format!("{heading}\n")))
        .unwrap_or_else(|| panic!("there is no section {heading}"));
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').splitn(3, " | ").collect();
            let [name, state, notes] = cells[..] else {
                panic!("{line}")
            };
            let name = name.trim().trim_matches('`').to_owned();
            (
                name,
                state.trim().to_owned(),
                notes.trim().replace("\\|", "|"),
            )
        })
        .collect()
}

fn compare(heading: &str, expected: &[Row]) {
    let rows = rows(heading);
    let names = |name: &str| name.to_owned();
    let documented: Vec<_> = rows.iter().map(|(name, ..)| names(name)).collect();
    let known: Vec<_> = expected.iter().map(|(name, ..)| names(name)).collect();
    assert_eq!(documented, known, "{heading}");
    for ((name, state, notes), (_, expected, reason)) in rows.iter().zip(expected) {
        assert_eq!(state, expected, "{name}");
        assert!(notes.contains(reason), "{name}: {reason}");
    }
}

fn row<T>(name: &str, support: Support<T>) -> Row {
    let (state, reason) = match support {
        Support::Full(_) => ("yes", ""),
        Support::NoEffect(reason) => ("warning", reason),
        Support::OnlyOff(reason) => ("only `Off`", reason),
        Support::Refused(reason) => ("refused", reason),
    };
    (name.to_owned(), state, reason.to_owned())
}

#[test]
fn directives() {
    let all = DIRECTIVES.iter();
    let all: Vec<_> = all
        .map(|directive| row(directive.name, directive.support))
        .collect();
    compare("Directives", &all);
}

#[test]
fn variables() {
    let done = Variable::ALL
        .iter()
        .map(|variable| row(variable.name(), Support::Full(())));
    let refused = targets::REFUSED
        .iter()
        .map(|(name, reason)| row::<()>(name, Support::Refused(reason)));
    compare("Variables", &done.chain(refused).collect::<Vec<_>>());
}

#[test]
fn operators() {
    let all = operators::NAMES.iter().map(|operator| {
        let state = match operator.support {
            operators::Support::Full(_) => "yes",
            operators::Support::Refused => "refused",
        };
        (operator.name.to_owned(), state, operator.what.to_owned())
    });
    compare("Operators", &all.collect::<Vec<_>>());
}

#[test]
fn transformations() {
    let all = Transformation::ALL.iter();
    let all: Vec<_> = all
        .map(|known| row(known.name(), Support::Full(())))
        .collect();
    compare("Transformations", &all);
}

#[test]
fn actions() {
    let all: Vec<_> = ACTIONS
        .iter()
        .map(|action| row(action.name, action.support))
        .collect();
    compare("Actions", &all);
    let all: Vec<_> = CTLS.iter().map(|ctl| row(ctl.name, ctl.support)).collect();
    compare("Settings of ctl", &all);
}
