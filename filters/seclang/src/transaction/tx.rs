//! The collection `TX`: the variables of one exchange.

use crate::plan::TxNames;

/// More members than this are not made by one exchange; names with macros can make any number.
const MOST: usize = 4_096;

/// Members by number, where the rules name them, and by name, where a name has macros.
#[derive(Debug, Default)]
pub(super) struct Tx {
    numbered: Vec<Option<Vec<u8>>>,
    named: Vec<(String, Vec<u8>)>,
}

impl Tx {
    /// Without members.
    pub(super) fn clear(&mut self, names: &TxNames) {
        self.numbered.clear();
        self.numbered.resize(names.len(), None);
        self.named.clear();
    }

    /// The value of the member with a number.
    pub(super) fn get(&self, number: usize) -> Option<&[u8]> {
        self.numbered.get(number)?.as_deref()
    }

    /// The value of a member; `name` in any case.
    pub(super) fn find(&self, names: &TxNames, name: &str) -> Option<&[u8]> {
        let name = name.to_ascii_lowercase();
        match names.find(&name) {
            Some(number) => self.get(number),
            None => {
                let mut named = self.named.iter();
                let found = named.find(|(known, _)| *known == name)?;
                Some(found.1.as_slice())
            }
        }
    }

    /// Changes the member with a number; `None` removes it.
    pub(super) fn set(&mut self, number: usize, value: Option<&[u8]>) {
        let Some(slot) = self.numbered.get_mut(number) else {
            return;
        };
        match (slot.as_mut(), value) {
            (Some(old), Some(value)) => {
                old.clear();
                old.extend_from_slice(value);
            }
            (_, value) => *slot = value.map(<[u8]>::to_vec),
        }
    }

    /// Changes a member; `name` in any case.
    pub(super) fn set_named(&mut self, names: &TxNames, name: &str, value: Option<&[u8]>) {
        let name = name.to_ascii_lowercase();
        if let Some(number) = names.find(&name) {
            return self.set(number, value);
        }
        let known = self.named.iter().position(|(known, _)| *known == name);
        match (known, value) {
            (Some(index), Some(value)) => {
                if let Some(member) = self.named.get_mut(index) {
                    member.1 = value.to_vec();
                }
            }
            (Some(index), None) => {
                self.named.remove(index);
            }
            (None, Some(value)) if self.named.len() < MOST => {
                self.named.push((name, value.to_vec()));
            }
            (None, _) => {}
        }
    }

    /// All members, those with a number first.
    pub(super) fn iter<'a>(
        &'a self,
        names: &'a TxNames,
    ) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let numbered = self.numbered.iter().enumerate();
        let numbered =
            numbered.filter_map(|(number, value)| Some((names.name(number), value.as_deref()?)));
        let named = self.named.iter();
        numbered.chain(named.map(|(name, value)| (name.as_str(), value.as_slice())))
    }
}
