//! The examples of a guide: rules, and tables of requests with what becomes of them.

use portcullis_seclang::Engine;
use portcullis_seclang::parser::Parser;
use portcullis_seclang::source::MemoryFiles;

use super::support::{Exchange, World, get, run};

/// Rules, and the rows of the table that follows: request, headers, body, outcome.
#[derive(Default)]
struct Example {
    rules: String,
    rows: Vec<[String; 3]>,
}

fn examples(document: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        if line == "```seclang" {
            examples.push(Example::default());
            inside = true;
        } else if line.starts_with("```") {
            inside = false;
        } else if let Some(example) = examples.last_mut() {
            if inside {
                example.rules.push_str(line);
                example.rules.push('\n');
            } else if line.starts_with("| `") {
                let cells: Vec<_> = line.trim_matches('|').splitn(3, '|').collect();
                // Other tables have other columns.
                if let [request, answer, why] = cells[..] {
                    example
                        .rows
                        .push([request, answer, why].map(|cell| cell.trim().to_owned()));
                }
            }
        }
    }
    examples
}

/// The texts in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn engine(rules: &str) -> Engine {
    let files = MemoryFiles::default();
    let mut parser = Parser::new(&files);
    parser.text("base.conf", include_str!("../../rules/base.conf"));
    parser.text("block", "SecRuleEngine On");
    parser.text("example", rules);
    let parsed = parser
        .finish()
        .unwrap_or_else(|problems| panic!("{rules}\n{problems:#?}"));
    assert_eq!(parsed.warnings, [], "{rules}");
    Engine::new(parsed.rules, &files).unwrap_or_else(|problems| panic!("{rules}\n{problems:#?}"))
}

fn outcome(engine: &Engine, world: &World, exchange: &Exchange<'_>) -> String {
    let mut transaction = engine.transaction();
    let verdict = run(&mut transaction, world, exchange);
    match verdict {
        Some(verdict) if verdict.drop => format!("dropped by {}", verdict.rule),
        Some(verdict) => format!("{} by {}", verdict.status, verdict.rule),
        None => {
            let ids: Vec<_> = transaction
                .matches()
                .iter()
                .map(|found| format!(", {} matches", found.id))
                .collect();
            format!("passes{}", ids.concat())
        }
    }
}

#[test]
fn rules_do_what_the_guide_says() {
    let document = super::guide("waf-rules.md");
    let examples = examples(&document);
    assert!(examples.len() > 8, "{}", examples.len());
    for example in examples {
        let engine = engine(&example.rules);
        let world = World::default();
        assert!(!example.rows.is_empty(), "{}", example.rules);
        for [request, body, expected] in &example.rows {
            let parts = quoted(request);
            let (method, target) = parts[0].split_once(' ').unwrap();
            let mut exchange = get(target);
            exchange.method = method;
            let headers = parts[1..]
                .iter()
                .map(|header| header.split_once(": ").unwrap());
            exchange.headers.extend(headers);
            exchange.body = quoted(body).first().copied().unwrap_or_default();
            let found = outcome(&engine, &world, &exchange);
            assert_eq!(found, *expected, "{request} under\n{}", example.rules);
        }
    }
}
