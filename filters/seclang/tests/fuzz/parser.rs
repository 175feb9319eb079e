//! Files of rules: two of them, separated by a zero byte, of which the first may include the second.

use portcullis_seclang::operators::Operator;
use portcullis_seclang::parser::parse;
use portcullis_seclang::rules::Entry;
use portcullis_seclang::source::{MemoryFiles, Problem, Severity};

pub(super) const WORDS: &[&str] = &[
    "SecRule ",
    "SecAction ",
    "SecMarker ",
    "SecDefaultAction ",
    "SecRuleRemoveById ",
    "SecRuleUpdateTargetById ",
    "SecRuleUpdateActionById ",
    "SecDataset ",
    "Include ",
    "include second",
    "\n",
    "\r\n",
    "\\\n",
    "\"",
    "'",
    "\\\"",
    "\\'",
    "\\",
    "`",
    "#",
    "|",
    "!",
    "&",
    ":",
    "/",
    ",",
    "=",
    "='",
    "=+",
    ";",
    "-",
    "%{",
    "}",
    "%{tx.a}",
    "ARGS",
    "TX:",
    "XML:/*",
    "@rx ",
    "!@",
    "@pmFromDataset a",
    "id:",
    "chain",
    "phase:1",
    "t:none",
    "setvar:tx.",
    "ctl:ruleRemoveTargetById=1;",
    "skipAfter:",
    "\u{feff}",
    "\0",
    "é",
    "\u{2028}",
];

pub(super) fn run(input: &[u8]) {
    told(input);
    // However lines end, they say the same.
    let unix: Vec<u8> = input
        .iter()
        .copied()
        .filter(|byte| *byte != b'\r')
        .collect();
    let windows: Vec<u8> = unix
        .iter()
        .flat_map(|&byte| {
            if byte == b'\n' {
                vec![b'\r', b'\n']
            } else {
                vec![byte]
            }
        })
        .collect();
    assert_eq!(told(&unix), told(&windows));
}

/// All problems; what must hold of them and of the rules is looked at.
fn told(input: &[u8]) -> Vec<Problem> {
    let mut parts = input.splitn(2, |&byte| byte == 0);
    let mut files = MemoryFiles::default();
    for name in ["first", "second"] {
        let text = parts.next().unwrap_or_default().to_vec();
        files.files.insert(name.to_owned(), text);
    }
    match parse(&files, "first") {
        Ok(parsed) => {
            let warns = |problem: &Problem| problem.severity == Severity::Warning;
            assert!(parsed.warnings.iter().all(warns));
            for entry in &parsed.rules.entries {
                let Entry::Rule(rule) = entry else { continue };
                assert!(rule.id > 0);
                for rule in std::iter::once(&**rule).chain(&rule.chain) {
                    assert!(rule.operator.is_some() != rule.targets.is_empty());
                    if let Some(operator) = &rule.operator {
                        // It may be refused, and must not panic.
                        drop(Operator::compile(operator, &files));
                    }
                }
            }
            parsed.warnings
        }
        Err(problems) => {
            let fails = |problem: &Problem| problem.severity == Severity::Error;
            assert!(problems.iter().any(fails));
            for problem in &problems {
                let text = &files.files[&*problem.position.file];
                let lines = text.split(|&byte| byte == b'\n').count();
                let line = usize::try_from(problem.position.line).unwrap();
                assert!((1..=lines).contains(&line), "{problem}");
                assert!(problem.position.column > 0);
                assert!(!problem.message.contains('\n'), "{problem}");
            }
            problems
        }
    }
}
