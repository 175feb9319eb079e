//! The whole Core Rule Set, 4.25.0, where its Go module is at hand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_seclang::parser::{Parsed, Parser};
use portcullis_seclang::rules::{Action, Disruptive, Entry, Phase, Rule};
use portcullis_seclang::source::{Files, matches_wildcards};

use super::rules;

/// Within the module cache of Go.
const MODULE: &str = "github.com/corazawaf/coraza-coreruleset/v4@v4.25.0/rules";

struct Folder(PathBuf);

impl Files for Folder {
    fn read(&self, _: &str, name: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(name)).map_err(|error| format!("{name}: {error}"))
    }

    fn expand(&self, _: &str, pattern: &str) -> Result<Vec<String>, String> {
        let folder = Path::new(pattern).parent().unwrap();
        let mut names: Vec<_> = std::fs::read_dir(self.0.join(folder))
            .map_err(|error| error.to_string())?
            .map(|entry| folder.join(entry.unwrap().file_name()))
            .map(|path| path.to_str().unwrap().to_owned())
            .filter(|name| matches_wildcards(pattern, name))
            .collect();
        names.sort();
        Ok(names)
    }
}

/// The folder of the rules, or `None` with a printed reason.
fn folder() -> Option<Folder> {
    let cache = std::env::var_os("GOMODCACHE")
        .map(PathBuf::from)
        .or_else(|| {
            let told = Command::new("go").args(["env", "GOMODCACHE"]).output();
            let text = String::from_utf8(told.ok()?.stdout).ok()?;
            Some(PathBuf::from(text.trim()))
        });
    let found = cache
        .map(|cache| cache.join(MODULE))
        .filter(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: the Go module coraza-coreruleset 4.25.0 is not in the module cache");
    }
    found.map(Folder)
}

fn core_rule_set(folder: &Folder) -> Parsed {
    let mut parser = Parser::new(folder);
    parser.file("@coraza.conf-recommended");
    parser.file("@crs-setup.conf.example");
    parser.text("inline", "Include @owasp_crs/*.conf");
    parser
        .finish()
        .unwrap_or_else(|problems| panic!("{}", super::listed(&problems)))
}

/// Those of the Core Rule Set itself, without the base configuration.
fn own(parsed: &Parsed) -> Vec<&Rule> {
    rules(parsed)
        .into_iter()
        .filter(|rule| rule.position.file.starts_with("@owasp_crs/"))
        .collect()
}

#[test]
fn loads_with_the_counts_that_a_tokenizer_found() {
    let Some(folder) = folder() else { return };
    let parsed = core_rule_set(&folder);
    let own = own(&parsed);
    let members: usize = own.iter().map(|rule| rule.chain.len()).sum();
    let markers = parsed
        .rules
        .entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Marker(_)))
        .count();
    let mut phases = HashMap::new();
    for rule in &own {
        *phases.entry(rule.phase).or_insert(0) += 1;
    }
    let longest = own.iter().map(|rule| rule.chain.len() + 1).max();
    assert_eq!((own.len(), members, own.len() + members), (625, 72, 697));
    assert_eq!((markers, longest), (30, Some(5)));
    assert_eq!(
        Phase::ALL.map(|phase| phases[&phase]),
        [172, 288, 43, 109, 13]
    );
    let warned: Vec<_> = parsed
        .warnings
        .iter()
        .map(|problem| &problem.message)
        .collect();
    assert!(
        warned
            .iter()
            .all(|message| message.contains("has no effect")),
        "{warned:?}"
    );
}

#[test]
fn its_parts_are_what_the_tokenizer_counted() {
    let Some(folder) = folder() else { return };
    let parsed = core_rule_set(&folder);
    let all: Vec<&Rule> = own(&parsed)
        .into_iter()
        .flat_map(|rule| std::iter::once(rule).chain(&rule.chain))
        .collect();
    let mut operators = HashMap::new();
    for operator in all.iter().filter_map(|rule| rule.operator.as_ref()) {
        *operators.entry(operator.name.as_str()).or_insert(0) += 1;
    }
    let counted = [
        ("rx", 315),
        ("lt", 190),
        ("eq", 53),
        ("ge", 42),
        ("pmFromFile", 21),
        ("gt", 15),
        ("pm", 12),
        ("within", 9),
        ("streq", 7),
        ("validateByteRange", 6),
        ("endsWith", 6),
        ("contains", 4),
        ("detectSQLi", 2),
        ("detectXSS", 2),
    ];
    for (name, count) in counted {
        assert_eq!(operators.get(name), Some(&count), "{name}");
    }
    let count =
        |counts: &dyn Fn(&Rule) -> usize| all.iter().map(|rule| counts(rule)).sum::<usize>();
    let set = |rule: &Rule| {
        let sets = |action: &&Action| matches!(action, Action::SetVar(_));
        rule.actions.iter().filter(sets).count()
    };
    assert_eq!(count(&set), 677);
    assert_eq!(count(&|rule| usize::from(rule.capture)), 275);
    assert_eq!(count(&|rule| usize::from(rule.multi_match)), 8);
    assert_eq!(count(&|rule| rule.metadata.tags.len()), 3058);
    assert_eq!(
        count(&|rule| usize::from(rule.metadata.message.is_some())),
        351
    );
    assert_eq!(
        count(&|rule| usize::from(rule.metadata.severity.is_some())),
        342
    );
    assert_eq!(count(&|rule| usize::from(rule.skip_after.is_some())), 206);
    let denied = |rule: &Rule| usize::from(rule.disruptive == Disruptive::Deny);
    assert_eq!(count(&denied), 6);
}

/// What the proxy puts before a rule set, and what the regression tests want.
#[test]
fn loads_with_our_own_base() {
    let Some(folder) = folder() else { return };
    let mut parser = Parser::new(&folder);
    parser.text("base.conf", include_str!("../../rules/base.conf"));
    parser.text("ftw.conf", include_str!("../../../../tests/crs/ftw.conf"));
    parser.file("@crs-setup.conf.example");
    parser.text("rules", "Include @owasp_crs/*.conf");
    let parsed = parser
        .finish()
        .unwrap_or_else(|problems| panic!("{}", super::listed(&problems)));
    assert_eq!(super::listed(&parsed.warnings), "");
}

#[test]
fn its_last_file_takes_cookies_out_of_rules() {
    let Some(folder) = folder() else { return };
    let parsed = core_rule_set(&folder);
    let own = own(&parsed);
    let rule = own.iter().find(|rule| rule.id == 932_240).unwrap();
    let excluded: Vec<_> = rule
        .targets
        .iter()
        .filter(|target| target.exclude)
        .map(|target| format!("{:?}", target.key))
        .collect();
    assert!(
        excluded.contains(&r#"Regex("^_ga(?:_\\w+)?$")"#.to_owned()),
        "{excluded:?}"
    );
}

/// Printed, not judged: a loaded machine is slow.
#[test]
fn time_to_parse() {
    let Some(folder) = folder() else { return };
    let start = std::time::Instant::now();
    let parsed = core_rule_set(&folder);
    println!(
        "{:?}, {} entries",
        start.elapsed(),
        parsed.rules.entries.len()
    );
}
