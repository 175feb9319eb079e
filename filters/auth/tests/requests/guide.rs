//! The guide's example is a configuration that works, and its tables name every key.

use crate::NOW;
use crate::signer::{Sign, jwks, token};
use portcullis_filter_auth::decide::{Decision, decide};
use portcullis_filter_auth::policy::Policy;
use portcullis_filter_auth::request::Request;
use serde_json::Value;

const GUIDE: &str = include_str!("../../../../docs/guide/filter-auth.md");
const RSA: &str = include_str!("../keys/rsa.pem");

fn example() -> Value {
    let start = GUIDE.find("```yaml\n").expect("an example") + "```yaml\n".len();
    let yaml = &GUIDE[start..start + GUIDE[start..].find("```").expect("its end")];
    let mut file: Value = serde_saphyr::from_str(yaml).expect("YAML");
    let mut config = file["filters"]["gate"]["config"].take();
    fill_in(&mut config);
    config
}

/// What the proxy does with `${env:…}` and `${file:…}` before a filter sees its configuration.
fn fill_in(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(fill_in),
        Value::Array(items) => items.iter_mut().for_each(fill_in),
        Value::String(text) => {
            *text = match text.as_str() {
                "${file:./id-2024.pem}" => RSA.to_owned(),
                "${file:./jwks.json}" => jwks().to_string(),
                variable if variable.starts_with("${env:") => {
                    format!("value of {variable} and some more bytes")
                }
                plain => plain.to_owned(),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn the_example_works_as_the_guide_says() {
    let policy = Policy::parse(example().to_string().as_bytes()).expect("a good configuration");
    let ask = |fields: &[(&str, &str)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        decide(&policy, &Request::new(fields.collect()), NOW)
    };
    assert!(matches!(
        ask(&[("x-api-key", "value of ${env:ALICE_KEY} and some more bytes")]),
        Decision::Pass(_)
    ));
    let payload = r#"{"iss":"https://id.example.com","aud":"app","sub":"alice","exp":1700000300}"#;
    let token = format!(
        "Bearer {}",
        token(r#"{"alg":"RS256","kid":"id-2024"}"#, payload, Sign::Rs256)
    );
    assert!(matches!(
        ask(&[("authorization", &token)]),
        Decision::Pass(_)
    ));
    assert!(matches!(ask(&[]), Decision::Deny(..)));
}

#[test]
fn the_tables_name_every_key_of_the_example() {
    let example = example();
    for (prefix, section) in [
        ("", &example),
        ("api_keys.", &example["api_keys"]),
        ("jwt.", &example["jwt"]),
    ] {
        for key in section
            .as_object()
            .expect("a mapping")
            .keys()
            .filter(|key| !["api_keys", "jwt"].contains(&key.as_str()))
        {
            assert!(
                GUIDE.contains(&format!("\n| `{prefix}{key}` |")),
                "{prefix}{key}"
            );
        }
    }
}
