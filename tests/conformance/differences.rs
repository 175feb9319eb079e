//! What Envoy does otherwise, by the name of a case, with the reason why Portcullis does not.

use std::collections::BTreeMap;

use serde_json::Value;

/// One listed difference.
pub(crate) struct Difference {
    /// What Envoy was seen to do.
    pub(crate) envoy: String,
    pub(crate) reason: String,
}

/// The list, less what was taken.
pub(crate) struct Differences(BTreeMap<String, Difference>);

impl Differences {
    pub(crate) fn read() -> Self {
        let list: BTreeMap<String, Value> =
            serde_json::from_str(include_str!("differences.json")).expect("differences.json");
        let text = |value: &Value, key: &str| {
            let text = value[key].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "differences.json: no {key} in {value}");
            text.to_owned()
        };
        let list = list.into_iter().map(|(name, value)| {
            let difference = Difference {
                envoy: text(&value, "envoy"),
                reason: text(&value, "reason"),
            };
            (name, difference)
        });
        Self(list.collect())
    }

    pub(crate) fn take(&mut self, case: &str) -> Option<Difference> {
        self.0.remove(case)
    }

    /// Those that nobody took.
    pub(crate) fn unused(self) -> impl Iterator<Item = String> {
        self.0.into_keys()
    }
}
