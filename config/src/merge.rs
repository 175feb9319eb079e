//! A plugin's configuration: overriding parts of it, and the bytes its module gets.

use serde_json::Value;

use crate::model::PluginConfig;

/// `base` with a route's override applied: mappings merge deeply, lists and scalars replace.
///
/// Where either side is no mapping, `over` takes the place of `base` as a whole.
pub fn merge(base: &PluginConfig, over: &Value) -> PluginConfig {
    match (base, over) {
        (PluginConfig::Json(base @ Value::Object(_)), Value::Object(_)) => {
            let mut merged = base.clone();
            merge_value(&mut merged, over);
            PluginConfig::Json(merged)
        }
        (_, over) => PluginConfig::from(over.clone()),
    }
}

fn merge_value(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, over) in over {
                match base.get_mut(key) {
                    Some(base) => merge_value(base, over),
                    None => {
                        base.insert(key.clone(), over.clone());
                    }
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

impl PluginConfig {
    /// What the module gets: a string as it is, a mapping or list as JSON, nothing as no bytes.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Text(text) => text.clone().into_bytes(),
            Self::Json(value) => value.to_string().into_bytes(),
        }
    }
}

/// Numbers and booleans that stand alone go to a module as they are written.
impl From<Value> for PluginConfig {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::None,
            Value::String(text) => Self::Text(text),
            Value::Bool(_) | Value::Number(_) => Self::Text(value.to_string()),
            Value::Array(_) | Value::Object(_) => Self::Json(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mappings_merge_deeply() {
        let base = PluginConfig::Json(json!({ "a": { "x": 1, "y": 2 }, "rate": "100/1s" }));
        let merged = merge(&base, &json!({ "a": { "y": 3, "z": 4 }, "burst": 5 }));
        assert_eq!(
            merged,
            PluginConfig::Json(
                json!({ "a": { "x": 1, "y": 3, "z": 4 }, "rate": "100/1s", "burst": 5 })
            )
        );
    }

    #[test]
    fn lists_and_scalars_replace() {
        let base = PluginConfig::Json(json!({ "list": [1, 2, 3], "map": { "a": 1 }, "scalar": 1 }));
        let merged = merge(
            &base,
            &json!({ "list": [9], "map": 7, "scalar": { "b": 2 } }),
        );
        assert_eq!(
            merged,
            PluginConfig::Json(json!({ "list": [9], "map": 7, "scalar": { "b": 2 } }))
        );
        assert_eq!(
            merge(&base, &json!({ "list": null })).bytes(),
            br#"{"list":null,"map":{"a":1},"scalar":1}"#
        );
    }

    #[test]
    fn what_cannot_merge_is_replaced_whole() {
        let text = PluginConfig::Text("old".into());
        assert_eq!(
            merge(&text, &json!("new")),
            PluginConfig::Text("new".into())
        );
        assert_eq!(
            merge(&text, &json!({ "a": 1 })),
            PluginConfig::Json(json!({ "a": 1 }))
        );
        assert_eq!(
            merge(&PluginConfig::None, &json!({ "a": 1 })),
            PluginConfig::Json(json!({ "a": 1 }))
        );
        assert_eq!(
            merge(&PluginConfig::Json(json!({ "a": 1 })), &json!([1])),
            PluginConfig::Json(json!([1]))
        );
        assert_eq!(merge(&text, &Value::Null), PluginConfig::None);
    }

    #[test]
    fn bytes_are_text_json_or_nothing() {
        assert_eq!(PluginConfig::None.bytes(), b"");
        assert_eq!(PluginConfig::Text("a b\n".into()).bytes(), b"a b\n");
        assert_eq!(
            PluginConfig::Json(json!({ "b": 1, "a": [true] })).bytes(),
            br#"{"b":1,"a":[true]}"#
        );
        assert_eq!(PluginConfig::from(json!(7)).bytes(), b"7");
    }
}
