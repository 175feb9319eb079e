//! What an exchange asks of the world around the engine.

use std::time::Duration;

/// What becomes of a record: from its bytes, if there is one, to its new ones; `None` removes it.
pub type Change<'a> = &'a mut dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>>;

/// Answers for one exchange. Every answer may be "nothing": then the rules see nothing.
pub trait Host {
    /// Time since the Unix epoch.
    fn now(&self) -> Duration;

    /// What is known of an address (`@geoLookup`): names of `GEO` members and their values.
    fn geo(&self, _address: &str) -> Option<Vec<(String, String)>> {
        None
    }

    /// Whether a block list names the address (`@rbl`).
    fn listed(&self, _list: &str, _address: &str) -> bool {
        false
    }

    /// A variable of the environment, for `ENV`.
    fn env(&self, _name: &str) -> Option<String> {
        None
    }

    /// The record of a persistent collection (`IP`, `SESSION` ...), as [`Host::update`] stored it.
    fn load(&self, _collection: &str, _key: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// Replaces the record by what `change` makes of the present one, again and again until nobody changed it in
    /// between. `None`: it is removed.
    fn update(&self, _collection: &str, _key: &[u8], _change: Change<'_>) {}
}
