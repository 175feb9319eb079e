//! Collections that outlive an exchange: `IP`, `GLOBAL`, `SESSION`, `USER`, `RESOURCE`.
//!
//! An exchange works on what it loaded, and notes what it did. At its end the host replays that on the record as it is
//! then, so that two exchanges which both add 1 leave 2.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::transaction::host::Host;
use crate::variables::Variable;

/// More variables than this a record does not hold.
const MOST: usize = 256;

/// The collections that an exchange has initialised.
#[derive(Debug, Default)]
pub(super) struct Persistent {
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    collection: Variable,
    key: Vec<u8>,
    record: Record,
    changes: Vec<(String, Change)>,
}

/// What an exchange did to a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Set(Vec<u8>),
    /// Also a negative number.
    Add(i64),
    Remove,
    /// Seconds from now.
    Expire(u64),
    /// So much less every so many seconds.
    Deprecate {
        amount: u32,
        seconds: u32,
    },
}

/// As stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    variables: Vec<Stored>,
    /// Seconds since the epoch; for `deprecatevar` and the time-out.
    updated: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    name: String,
    value: Vec<u8>,
    /// Seconds since the epoch; 0: never.
    expires: u64,
}

impl Persistent {
    /// `initcol`: loads a record, unless the collection has one already.
    pub(super) fn open(&mut self, collection: Variable, key: &[u8], timeout: u32, host: &dyn Host) {
        if self.open.iter().any(|open| open.collection == collection) {
            return;
        }
        let stored = host.load(collection.name(), key);
        let record = Record::read(stored.as_deref(), host.now(), timeout);
        self.open.push(Open {
            collection,
            key: key.to_vec(),
            record,
            changes: Vec::new(),
        });
    }

    /// Names and values that have not expired.
    pub(super) fn members(
        &self,
        collection: Variable,
        now: Duration,
    ) -> impl Iterator<Item = (&str, &[u8])> {
        let open = self.open.iter().filter(move |o| o.collection == collection);
        open.flat_map(|open| &open.record.variables)
            .filter(move |stored| !stored.is_expired(now))
            .map(|stored| (stored.name.as_str(), stored.value.as_slice()))
    }

    /// The key by which `setsid` or `setuid` opened a collection.
    pub(super) fn identity(&self, collection: Variable) -> &[u8] {
        let mut open = self.open.iter();
        let found = open.find(|open| open.collection == collection);
        found.map(|open| open.key.as_slice()).unwrap_or_default()
    }

    /// Changes a variable; nothing happens in a collection that was not initialised.
    pub(super) fn change(
        &mut self,
        collection: Variable,
        name: &str,
        change: Change,
        now: Duration,
    ) {
        let name = name.to_ascii_lowercase();
        let mut open = self.open.iter_mut();
        let Some(open) = open.find(|open| open.collection == collection) else {
            return;
        };
        open.record.apply(&name, &change, now);
        if open.changes.len() < MOST * 4 {
            open.changes.push((name, change));
        }
    }

    /// Stores what the exchange did.
    pub(super) fn store(&mut self, timeout: u32, host: &dyn Host) {
        for open in self.open.drain(..) {
            if open.changes.is_empty() {
                continue;
            }
            let now = host.now();
            host.update(open.collection.name(), &open.key, &mut |present| {
                let mut record = Record::read(present, now, timeout);
                for (name, change) in &open.changes {
                    record.apply(name, change, now);
                }
                record.updated = now.as_secs();
                record.variables.retain(|stored| !stored.is_expired(now));
                serde_json::to_vec(&record).ok()
            });
        }
    }
}

impl Stored {
    fn is_expired(&self, now: Duration) -> bool {
        self.expires != 0 && self.expires <= now.as_secs()
    }
}

impl Record {
    /// An empty one where there is none, it cannot be read, or nobody changed it for `timeout` seconds.
    fn read(stored: Option<&[u8]>, now: Duration, timeout: u32) -> Self {
        let record: Option<Self> = stored.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let fresh = |record: &Self| record.updated + u64::from(timeout) > now.as_secs();
        record.filter(fresh).unwrap_or_default()
    }

    fn apply(&mut self, name: &str, change: &Change, now: Duration) {
        let index = self.variables.iter().position(|known| known.name == name);
        if matches!(change, Change::Remove) {
            if let Some(index) = index {
                self.variables.remove(index);
            }
            return;
        }
        let index = match index {
            Some(index) => index,
            None if self.variables.len() >= MOST => return,
            None => {
                self.variables.push(Stored {
                    name: name.to_owned(),
                    value: Vec::new(),
                    expires: 0,
                });
                self.variables.len() - 1
            }
        };
        let updated = self.updated;
        let Some(stored) = self.variables.get_mut(index) else {
            return;
        };
        if stored.is_expired(now) {
            stored.expires = 0;
            stored.value.clear();
        }
        match change {
            Change::Set(value) => stored.value.clone_from(value),
            Change::Add(amount) => {
                let sum = super::number(&stored.value).saturating_add(*amount);
                stored.value = sum.to_string().into_bytes();
            }
            Change::Expire(seconds) => stored.expires = now.as_secs().saturating_add(*seconds),
            Change::Deprecate { amount, seconds } => {
                let passed = now.as_secs().saturating_sub(updated) / u64::from((*seconds).max(1));
                let less =
                    i64::from(*amount).saturating_mul(i64::try_from(passed).unwrap_or(i64::MAX));
                let left = super::number(&stored.value).saturating_sub(less).max(0);
                stored.value = left.to_string().into_bytes();
            }
            Change::Remove => {}
        }
    }
}
