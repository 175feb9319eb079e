//! The schema and the reader know the same keys.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::fixture::Fixture;

/// The object schemas below `schema`, with a YAML document in which `{}` stands where such an object goes.
fn objects(
    root: &Value,
    schema: &Value,
    document: &str,
    found: &mut Vec<(String, Map<String, Value>)>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        return objects(
            root,
            root.pointer(&reference[1..]).unwrap(),
            document,
            found,
        );
    }
    for option in schema["anyOf"].as_array().into_iter().flatten() {
        objects(root, option, document, found);
    }
    if schema["items"].is_object() {
        objects(
            root,
            &schema["items"],
            &document.replace("{}", "[ {} ]"),
            found,
        );
    }
    if schema["additionalProperties"].is_object() {
        objects(
            root,
            &schema["additionalProperties"],
            &document.replace("{}", "{ x-name: {} }"),
            found,
        );
    }
    if let Some(properties) = schema["properties"].as_object() {
        found.push((document.to_owned(), properties.clone()));
        for (key, property) in properties {
            objects(
                root,
                property,
                &document.replace("{}", &format!("{{ {key}: {{}} }}")),
                found,
            );
        }
    }
}

#[test]
fn the_reader_takes_the_keys_of_the_schema_and_no_others() {
    let schema = portcullis_config::schema();
    let mut found = Vec::new();
    objects(&schema, &schema, "{}", &mut found);
    assert!(found.len() > 25, "only {} mappings", found.len());
    for (document, properties) in found {
        let in_schema: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        // A key that is like no other makes the reader list all that it knows.
        let text = document.replace("{}", "{ qqqqqqqqqqqqqqqqqqqqqqqq: 1 }");
        let problems = Fixture::default().parse(&text).unwrap_err();
        let hint = problems
            .0
            .iter()
            .find(|p| p.message.starts_with("unknown key"))
            .and_then(|p| p.hint.as_deref()?.strip_prefix("known keys: "))
            .unwrap_or_else(|| panic!("{text}: {problems}"));
        assert_eq!(
            hint.split(", ").collect::<BTreeSet<_>>(),
            in_schema,
            "{text}"
        );
    }
}

#[test]
fn required_keys_are_the_same() {
    let schema = portcullis_config::schema();
    assert_eq!(
        schema["required"],
        serde_json::json!(["version", "listeners"])
    );
    assert_eq!(
        schema["$defs"]["Route"]["required"],
        serde_json::json!(["name"])
    );
    let problems = Fixture::default().parse("{}").unwrap_err();
    let missing: Vec<_> = problems.0.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(
        missing,
        [
            "the key `listeners` is missing",
            "the key `routes` is missing",
            "the key `version` is missing"
        ]
    );
}

#[test]
fn every_key_is_described() {
    fn walk(value: &Value, at: &str) {
        if let Some(properties) = value["properties"].as_object() {
            assert!(
                value["description"].as_str().is_some_and(|d| d.len() > 5),
                "{at}"
            );
            for (key, property) in properties {
                assert!(
                    property["description"]
                        .as_str()
                        .is_some_and(|d| d.len() > 5),
                    "{at}.{key}"
                );
            }
        }
        for (key, below) in value.as_object().into_iter().flatten() {
            let at = format!("{at}.{key}");
            match below.as_object() {
                // Names of keys, one of which is `properties` too.
                Some(keys) if key == "properties" => {
                    for (key, below) in keys {
                        walk(below, &format!("{at}.{key}"));
                    }
                }
                _ => walk(below, &at),
            }
        }
    }
    let schema = portcullis_config::schema();
    walk(&schema, "");
    assert_eq!(
        schema["properties"]["version"]["description"],
        "Version of this format: 1."
    );
    assert_eq!(schema["additionalProperties"], false);
}
