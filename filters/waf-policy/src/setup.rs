//! Variables of `TX` that are there before the first rule: how the OWASP rules are set up.

use std::ops::RangeInclusive;

use portcullis_filter_settings::Section;
use serde_json::Value;

/// Key of the configuration, what it may be, and the variables it sets.
const NUMBERS: [(&str, RangeInclusive<u64>, &str); 5] = [
    ("paranoia", 1..=4, "blocking_paranoia_level"),
    ("detection_paranoia", 1..=4, "detection_paranoia_level"),
    (
        "inbound_threshold",
        1..=1_000_000,
        "inbound_anomaly_score_threshold",
    ),
    (
        "outbound_threshold",
        1..=1_000_000,
        "outbound_anomaly_score_threshold",
    ),
    ("sampling", 1..=100, "sampling_percentage"),
];

/// Reads the keys that have names of their own, and `setup`.
pub(crate) fn read(section: &mut Section<'_>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (key, range, variable) in NUMBERS {
        if let Some(number) = section.number(key, range) {
            variables.push((variable.to_owned(), number.to_string()));
        }
    }
    if let Some(early) = section.flag("early_blocking") {
        variables.push(("early_blocking".to_owned(), u8::from(early).to_string()));
    }
    match section.value("setup") {
        None => {}
        Some(Value::Object(setup)) => {
            for (name, value) in setup {
                match text(&value) {
                    Some(text) if is_name(&name) => {
                        variables.push((name.to_ascii_lowercase(), text))
                    }
                    Some(_) => section.refuse(
                        &format!("setup.{name}"),
                        "is not a name of a variable: letters, digits, _ and -",
                    ),
                    None => section.refuse(
                        &format!("setup.{name}"),
                        "must be a text, a number, true, false or a list of texts",
                    ),
                }
            }
        }
        Some(_) => section.refuse(
            "setup",
            "must be a mapping of variables, such as allowed_methods: [GET, HEAD]",
        ),
    }
    variables
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// Lists are the words between spaces that the OWASP rules expect.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        Value::Array(items) => {
            let words: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            words.map(|words| words.join(" "))
        }
        Value::Null | Value::Object(_) => None,
    }
}
