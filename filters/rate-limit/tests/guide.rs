//! The guide's example is a configuration that works, and its tables name every key.

use portcullis_filter_rate_limit::policy::Policy;
use serde_json::Value;

const GUIDE: &str = include_str!("../../../docs/guide/filter-rate-limit.md");

fn filters() -> Value {
    let start = GUIDE.find("```yaml\n").expect("an example") + "```yaml\n".len();
    let yaml = &GUIDE[start..start + GUIDE[start..].find("```").expect("its end")];
    let mut file: Value = serde_saphyr::from_str(yaml).expect("YAML");
    // As an override does: the rest of the configuration stays.
    let changed = file["routes"][0]["overrides"]["flood"].take();
    let mut login = file["filters"]["flood"].clone();
    login["config"]
        .as_object_mut()
        .expect("a mapping")
        .extend(changed.as_object().expect("a mapping").clone());
    file["filters"]["login"] = login;
    file["filters"].take()
}

#[test]
fn the_example_works() {
    let filters = filters();
    let mut limits = Vec::new();
    for name in ["flood", "login", "fair"] {
        let config = filters[name]["config"].to_string();
        limits.extend(Policy::parse(config.as_bytes()).expect(name).limits);
    }
    let names: Vec<&str> = limits.iter().map(|limit| limit.name.as_str()).collect();
    assert_eq!(
        names,
        ["default", "default", "user", "network", "everybody"]
    );
}

#[test]
fn the_tables_name_every_key_of_the_example() {
    let filters = filters();
    let (flood, fair) = (&filters["flood"]["config"], &filters["fair"]["config"]);
    let keys = |section: &Value| {
        section
            .as_object()
            .expect("a mapping")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let of_limits = fair["limits"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(keys);
    for key in keys(flood)
        .into_iter()
        .chain(of_limits)
        .chain(keys(fair))
        .filter(|key| key != "limits")
    {
        assert!(GUIDE.contains(&format!("\n| `{key}` |")), "{key}");
    }
}
