//! The guide says what the code does.

use std::path::Path;

use serde_json::Value;

use crate::fixture::{Fixture, minimal};

fn guide() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/configuration.md");
    std::fs::read_to_string(path).unwrap()
}

/// The YAML blocks of the guide. One that has no `version` is a part, to be put below the least file.
#[test]
fn its_examples_are_good() {
    let guide = guide();
    let blocks: Vec<&str> = guide
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(b, _)| b)
        .collect();
    assert!(blocks.len() >= 10, "{} blocks", blocks.len());
    for block in blocks {
        let text = match block.starts_with("version:") {
            true => block.to_owned(),
            false => overlaid(block),
        };
        if let Err(problems) = Fixture::of_the_cases().parse(&text) {
            panic!("{text}\n{problems}");
        }
    }
}

/// The least file with those of its top-level keys left out that the part brings along.
fn overlaid(part: &str) -> String {
    let least = minimal("");
    let brings = |key: &str| {
        part.lines()
            .any(|line| line.starts_with(&format!("{key}:")))
    };
    let mut text = String::new();
    let mut keep = true;
    for line in least.lines() {
        if let Some((key, _)) = line.split_once(':').filter(|_| !line.starts_with(' ')) {
            keep = !brings(key);
        }
        if keep {
            text.push_str(line);
            text.push('\n');
        }
    }
    text + part
}

/// Every key of the schema stands in a table of the guide, in backquotes.
#[test]
fn it_names_every_key() {
    fn keys(value: &Value, found: &mut Vec<String>) {
        for (key, below) in value.as_object().into_iter().flatten() {
            match below.as_object() {
                Some(properties) if key == "properties" => {
                    found.extend(properties.keys().cloned());
                    properties.values().for_each(|below| keys(below, found));
                }
                _ => keys(below, found),
            }
        }
    }
    let guide = guide();
    let mut found = Vec::new();
    keys(&portcullis_config::schema(), &mut found);
    assert!(found.len() > 80, "{}", found.len());
    let missing: Vec<_> = found
        .iter()
        .filter(|key| !guide.contains(&format!("| `{key}` ")))
        .collect();
    assert!(missing.is_empty(), "not in the guide: {missing:?}");
}
